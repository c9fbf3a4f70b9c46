/* serve_harness - a server with a bus and a store that the test fills: known records at a known pace.
 *
 *   serve_harness run DIR PORT SYMBOLS HISTORY_S RATE [KEY=VALUE ...]
 *   serve_harness dump DIR            every record of both topics, one JSON object a line
 *
 * run: publishes HISTORY_S seconds of records as fast as it goes, prints "ready URL", then RATE seconds of
 * records a second until stdin is closed. `available` of each bar is the wall clock at its publication, so
 * that a client can measure how long it took. Keys: host, token_file, base_path, max_streams, max_per_ip,
 * ring_bytes, store=no.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "role/persist.h"
#include "role/runner.h"
#include "role/server.h"
#include "serve/models.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SYMBOLS_MAX = 2000, BATCH_MAX = 2 * SYMBOLS_MAX + 16 };

struct harness {
    struct tc_bus bus;
    struct tc_store store;
    struct tc_role roles[2];
    struct tc_runner *runner;
    int64_t symbols, history, second;
    _Atomic int64_t bars; /* offset of topic bars */
    double rate;
    char symbol[SYMBOLS_MAX][TC_SYMBOL_SIZE];
    struct tc_record batch[BATCH_MAX];
};

static struct harness h;

static void must(int rc)
{
    if (rc == TC_OK)
        return;
    fprintf(stderr, "serve_harness: %s\n", tc_error());
    exit(1);
}

static int64_t number(const char *text)
{
    int64_t v = 0;
    if (!tc_parse_int(text, strlen(text), &v))
        must(tc_fail(TC_ECONF, "\"%s\" is no number", text));
    return v;
}

static struct tc_bar make_bar(int64_t symbol, int64_t second, int32_t revision)
{
    double p = 100 + (double)symbol + 0.01 * (double)((second / TC_NS_PER_SEC) % 100);
    struct tc_bar b = {.start = second,
                       .available = tc_now_ns(),
                       .interval_ms = 1000,
                       .trades = 3,
                       .open = p,
                       .high = p + 0.02,
                       .low = p - 0.01,
                       .close = p + 0.01,
                       .vwap = p + 0.005,
                       .volume = 300,
                       .quote = {p, p + 0.02, 2, 5},
                       .tape = {p, p, 0.5, p, p, p, 10},
                       .origin = TC_ORIGIN_SIMULATED,
                       .revision = revision};
    snprintf(b.symbol, sizeof(b.symbol), "%s", h.symbol[symbol]);
    snprintf(b.feed, sizeof(b.feed), "test");
    return b;
}

static size_t make_bars(void)
{
    size_t n = 0;
    for (int64_t i = 0; i < h.symbols; i++)
        h.batch[n++] = (struct tc_record){.type = TC_REC_BAR, .from = -1, .bar = make_bar(i, h.second, 0)};
    if (h.second / TC_NS_PER_SEC % 10 == 0)
        h.batch[n++] = (struct tc_record){
            .type = TC_REC_BAR, .from = -1, .bar = make_bar(0, h.second - 5 * TC_NS_PER_SEC, 1)};
    if (h.second / TC_NS_PER_SEC % 30 == 0) {
        struct tc_gap gap = {.symbol = "*",
                             .feed = "test",
                             .reason = "silent",
                             .start = h.second - 3 * TC_NS_PER_SEC,
                             .end = h.second - 2 * TC_NS_PER_SEC};
        h.batch[n++] = (struct tc_record){.type = TC_REC_GAP, .from = -1, .gap = gap};
    }
    struct tc_second mark = {.feed = "test",
                             .second = h.second,
                             .available = tc_now_ns(),
                             .expected = (int32_t)h.symbols,
                             .traded = (int32_t)h.symbols,
                             .healthy = true,
                             .delay_ms = 1,
                             .origin = TC_ORIGIN_SIMULATED};
    h.batch[n++] = (struct tc_record){.type = TC_REC_SECOND, .from = -1, .second = mark};
    return n;
}

static struct tc_forecast make_forecast(int64_t symbol)
{
    double p = make_bar(symbol, h.second, 0).close;
    int64_t origin = h.second + TC_NS_PER_SEC;
    struct tc_forecast f = {.model = "test@00000000",
                            .inputs = "T14",
                            .kernel = "c",
                            .origin_time = origin,
                            .issued = tc_now_ns(),
                            .day = tc_date_utc(h.second),
                            .reference = p,
                            .reference_mid = NAN,
                            .n_points = 2};
    snprintf(f.symbol, sizeof(f.symbol), "%s", h.symbol[symbol]);
    f.points[0] = (struct tc_point){TC_KIND_NEXT, 0, 0, p + 0.001, p - 0.02, p + 0.02, NAN, NAN, NAN, true};
    f.points[1] = (struct tc_point){
        TC_KIND_LAST, 60000, origin + 60 * TC_NS_PER_SEC, p + 0.002, p - 0.1, p + 0.1, 0.3, 0.3, 0.4, false};
    return f;
}

static struct tc_outcome make_outcome(int64_t symbol)
{
    struct tc_outcome o = {.origin_time = h.second, .day = tc_date_utc(h.second), .n_values = 1};
    snprintf(o.symbol, sizeof(o.symbol), "%s", h.symbol[symbol]);
    o.values[0] = (struct tc_outcome_value){TC_KIND_NEXT, 0, h.second + TC_NS_PER_SEC, 100.5};
    return o;
}

static struct tc_score make_score(int64_t symbol)
{
    int64_t n = h.second / TC_NS_PER_SEC % 86400 + 1;
    struct tc_score s = {.model = "test@00000000",
                         .inputs = "T14",
                         .kind = TC_KIND_NEXT,
                         .day = tc_date_utc(h.second),
                         .slot = (int32_t)(h.second / TC_NS_PER_SEC % 86400 / 1800),
                         .n = n,
                         .abs_err = 0.009 * (double)n,
                         .sq_err = 0.81e-4 * (double)n,
                         .abs_persist = 0.01 * (double)n,
                         .sq_persist = 1e-4 * (double)n,
                         .sq_reversal = 0.95e-4 * (double)n,
                         .sq_ridge = 0.85e-4 * (double)n,
                         .moves = n / 2,
                         .hits = n / 3,
                         .ties = n - n / 2,
                         .banded = n,
                         .covered = n * 9 / 10,
                         .width = 0.04 * (double)n,
                         .winkler = 0.05 * (double)n};
    snprintf(s.symbol, sizeof(s.symbol), "%s", h.symbol[symbol]);
    return s;
}

static size_t make_forecasts(int64_t cause)
{
    size_t n = 0;
    for (int64_t i = 0; i < h.symbols; i++)
        h.batch[n++] =
            (struct tc_record){.type = TC_REC_FORECAST, .from = cause, .forecast = make_forecast(i)};
    int64_t i = h.second / TC_NS_PER_SEC % h.symbols;
    h.batch[n++] = (struct tc_record){.type = TC_REC_OUTCOME, .from = cause, .outcome = make_outcome(i)};
    h.batch[n++] = (struct tc_record){.type = TC_REC_SCORE, .from = cause, .score = make_score(i)};
    return n;
}

/* One second of the market. */
static void publish_second(void)
{
    size_t n = make_bars();
    must(h.bus.ops->publish(h.bus.self, TC_TOPIC_BARS, h.batch, n));
    h.bars += (int64_t)n;
    n = make_forecasts(h.bars - 1);
    must(h.bus.ops->publish(h.bus.self, TC_TOPIC_FORECASTS, h.batch, n));
    h.second += TC_NS_PER_SEC;
}

static void feed_health(const void *self, struct tc_feed_health *out)
{
    (void)self;
    *out = (struct tc_feed_health){
        .state = "connected", .healthy = true, .events = (uint64_t)h.bars, .last_event_ns = tc_now_ns()};
}

static int open_store(void *path, struct tc_store *out)
{
    return tc_sqlite_open_reader(path, out);
}

static void read_keys(struct tc_server_conf *conf, bool *store, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            must(tc_fail(TC_ECONF, "\"%s\" is not KEY=VALUE", argv[i]));
        *value++ = '\0';
        if (!strcmp(argv[i], "host"))
            conf->host = value;
        else if (!strcmp(argv[i], "token_file"))
            conf->token_file = value;
        else if (!strcmp(argv[i], "base_path"))
            conf->base_path = value;
        else if (!strcmp(argv[i], "max_streams"))
            conf->max_streams = (int32_t)number(value);
        else if (!strcmp(argv[i], "max_per_ip"))
            conf->max_per_ip = (int32_t)number(value);
        else if (!strcmp(argv[i], "ring_bytes"))
            conf->ring_bytes = (size_t)number(value);
        else if (!strcmp(argv[i], "store"))
            *store = strcmp(value, "no") != 0;
        else
            must(tc_fail(TC_ECONF, "no key \"%s\"", argv[i]));
    }
}

static void open_bus(const char *dir)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/bus", dir);
    struct tc_log_bus_conf conf = {.dir = path, .sync_every_ns = 50 * TC_NS_PER_MS, .segment_bytes = 1 << 20};
    must(tc_log_bus_open(&conf, &h.bus));
    struct tc_bus_stat stat;
    h.bus.ops->stat(h.bus.self, TC_TOPIC_BARS, &stat);
    h.bars = stat.end;
}

static void publish_until_stdin_closes(void)
{
    int64_t begin = tc_mono_ns();
    for (int64_t i = 0;; i++) {
        int64_t due = begin + (int64_t)((double)i * 1e9 / h.rate), now = tc_mono_ns();
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        int ms = due > now ? (int)((due - now) / TC_NS_PER_MS) : 0;
        if (poll(&in, 1, ms) > 0 && in.revents)
            return;
        tc_sleep_until_mono(due);
        publish_second();
        if (tc_runner_failed(h.runner))
            must(tc_fail(TC_EIO, "%s", tc_runner_failure(h.runner)));
    }
}

static int run(int argc, char **argv)
{
    char db[512];
    bool with_store = true;
    snprintf(db, sizeof(db), "%s/tickcast.db", argv[2]);
    h.symbols = number(argv[4]);
    h.history = number(argv[5]);
    must(tc_parse_double(argv[6], strlen(argv[6]), &h.rate) ? TC_OK : tc_fail(TC_ECONF, "bad rate"));
    if (h.symbols < 1 || h.symbols > SYMBOLS_MAX)
        must(tc_fail(TC_ECONF, "1 to %d symbols", SYMBOLS_MAX));
    for (int64_t i = 0; i < h.symbols; i++)
        snprintf(h.symbol[i], TC_SYMBOL_SIZE, "S%03lld", (long long)i);
    h.second = tc_floor_second(tc_now_ns()) - h.history * TC_NS_PER_SEC;
    open_bus(argv[2]);

    static const struct tc_feed_ops feed_ops = {.name = "test", .health = feed_health};
    static const struct tc_feed feed = {.ops = &feed_ops, .name = "test"};
    static const struct tc_feed *const feeds[] = {&feed};
    struct tc_models *models;
    must(tc_models_open(&models));
    tc_models_set(models, 0,
                  &(struct tc_model_card){.id = "test@00000000", .kind = "lstm", .mode = "window"});
    struct tc_server_conf conf = {.bus = &h.bus,
                                  .open_store = open_store,
                                  .store_ctx = db,
                                  .host = "127.0.0.1",
                                  .port = (int32_t)number(argv[3]),
                                  .base_path = "",
                                  .version = "test",
                                  .world = TC_WORLD_SIMULATED,
                                  .mode = "SIMULATED",
                                  .mode_text = "SIMULATED",
                                  .speed = NAN,
                                  .feeds = feeds,
                                  .n_feeds = 1,
                                  .models = models};
    read_keys(&conf, &with_store, argc - 7, argv + 7);
    size_t n = 0;
    if (with_store) {
        must(tc_sqlite_open(db, TC_WORLD_SIMULATED, &h.store));
        struct tc_persist_conf persist = {.bus = &h.bus, .store = &h.store, .forecasts = true};
        must(tc_persist_open(&persist, &h.roles[n++]));
    }
    must(tc_server_open(&conf, &h.roles[n++]));
    must(tc_runner_start(&h.bus, h.roles, n, &h.runner));
    for (int64_t i = 0; i < h.history; i++)
        publish_second();
    printf("ready %s\n", tc_server_url(&h.roles[n - 1]));
    fflush(stdout);
    publish_until_stdin_closes();
    tc_runner_stop(h.runner, tc_mono_ns() + 2 * TC_NS_PER_SEC);
    while (n--)
        h.roles[n].ops->close(h.roles[n].self);
    if (with_store)
        h.store.ops->close(h.store.self);
    h.bus.ops->close(h.bus.self);
    return 0;
}

static int dump(const char *dir)
{
    struct tc_buf out;
    tc_buf_init(&out, 1 << 20);
    open_bus(dir);
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        struct tc_bus_reader *reader;
        struct tc_record r;
        int64_t offset;
        must(h.bus.ops->open_reader(h.bus.self, (enum tc_topic)t, -1, 0, &reader));
        while (h.bus.ops->read(reader, &r, &offset) == TC_OK) {
            tc_buf_clear(&out);
            tc_record_to_json(&r, &out);
            printf("{\"topic\":\"%s\",\"offset\":%lld,\"type\":%d,\"data\":%s}\n",
                   tc_topic_name((enum tc_topic)t), (long long)offset, r.type, out.data);
        }
        h.bus.ops->close_reader(reader);
    }
    tc_buf_release(&out);
    h.bus.ops->close(h.bus.self);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 7 && !strcmp(argv[1], "run"))
        return run(argc, argv);
    if (argc == 3 && !strcmp(argv[1], "dump"))
        return dump(argv[2]);
    fprintf(stderr, "usage: serve_harness run DIR PORT SYMBOLS HISTORY_S RATE [KEY=VALUE ...] | dump DIR\n");
    return 2;
}
