/* The forecast role on a log: a second's bars and its marker stand in topic bars, the role reads them, and
 * its forecasts, outcomes, scores and checkpoints stand in topic forecasts. Every symbol trades in every
 * second; what an idle role would sleep is left out.
 *
 *   bench_role SYMBOLS SECONDS FOLDER [MODEL]
 *
 * Prints one JSON line: time from the bars published to all answers published (p50, p99, largest, in
 * milliseconds, after the first 120 seconds), and a checksum of all answers, so that two builds can be
 * compared. The largest is a second with a checkpoint, or with the scores of a half hour that ends.
 */
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/hist.h"
#include "base/num.h"
#include "role/forecaster.h"

#include <stdio.h>
#include <stdlib.h>

#include "../tests/unit/gen_market.h"

enum { WARM_UP = 120, GROUP = 64, SYMBOLS_MAX = 1024 };

static struct tc_calendar *always;
static struct tc_bus bus;
static struct tc_role role;
static struct gen_market groups[SYMBOLS_MAX / GROUP];
static struct tc_record records[SYMBOLS_MAX + 1];
static struct tc_hist took, busy;
static struct tc_bus_ops ops; /* the log's, publishing watched */
static int (*log_publish)(void *, enum tc_topic, const struct tc_record *, size_t);
static int64_t forecasts_at; /* when the newest forecasts stood in the topic */

static int watch_publish(void *self, enum tc_topic topic, const struct tc_record *r, size_t n)
{
    int rc = log_publish(self, topic, r, n);
    int64_t now = tc_mono_ns();
    for (size_t i = 0; i < n; i++)
        if (r[i].type == TC_REC_FORECAST)
            forecasts_at = now;
    return rc;
}

static const struct tc_calendar *calendar_of(void *ctx, const char *symbol)
{
    (void)ctx;
    (void)symbol;
    return always;
}

static int give_up(void)
{
    fprintf(stderr, "bench_role: %s\n", tc_error());
    return 1;
}

/* One second of the market: groups of up to 64 symbols, one marker behind all. */
static size_t make_second(int n, int64_t at)
{
    size_t k = 0;
    for (int g = 0; g * GROUP < n; g++) {
        k += (size_t)gen_second(&groups[g], at, records + k) - 1;
        for (int i = g * GROUP; i < (int)k; i++)
            snprintf(records[i].bar.symbol, sizeof(records[i].bar.symbol), "S%d", i);
    }
    return k + 1;
}

static int run(int n, int64_t seconds)
{
    for (int64_t s = 0; s < seconds; s++) {
        size_t k = make_second(n, (1000000 + s) * TC_NS_PER_SEC);
        int rc = bus.ops->publish(bus.self, TC_TOPIC_BARS, records, k);
        int64_t begin = tc_mono_ns();
        while (rc == TC_OK && (rc = role.ops->work(role.self)) > 0)
            rc = TC_OK;
        if (rc < 0)
            return rc;
        if (s < WARM_UP)
            continue;
        tc_hist_add(&took, forecasts_at - begin);
        tc_hist_add(&busy, tc_mono_ns() - begin);
    }
    return TC_OK;
}

/* Checksum of the answers that stand in the topic, states left out. */
static int sum_up(uint32_t *crc, int64_t *count)
{
    static struct tc_record r;
    struct tc_bus_reader *reader;
    struct tc_buf bytes;
    int64_t at;
    int rc = bus.ops->open_reader(bus.self, TC_TOPIC_FORECASTS, 0, 0, &reader);
    tc_buf_init(&bytes, 1 << 20);
    while (rc == TC_OK && (rc = bus.ops->read(reader, &r, &at)) == TC_OK) {
        if (r.type == TC_REC_CHECKPOINT)
            continue;
        tc_buf_clear(&bytes);
        rc = tc_record_encode(&r, &bytes);
        *crc = tc_crc32c(*crc, bytes.data, bytes.len);
        ++*count;
    }
    tc_buf_release(&bytes);
    bus.ops->close_reader(reader);
    return rc < 0 ? rc : TC_OK;
}

int main(int argc, char **argv)
{
    int64_t n = 0, seconds = 0, count = 0;
    uint32_t crc = 0;
    if (argc < 4 || !tc_parse_int(argv[1], strlen(argv[1]), &n) || n < 1 || n > SYMBOLS_MAX ||
        !tc_parse_int(argv[2], strlen(argv[2]), &seconds)) {
        fprintf(stderr, "usage: bench_role SYMBOLS SECONDS FOLDER [MODEL]\n");
        return 2;
    }
    struct tc_log_bus_conf log = {.dir = argv[3], .sync_every_ns = 50 * TC_NS_PER_MS};
    struct tc_forecaster_conf conf = {.bus = &bus, .snapshot_position = -1};
    tc_engine_conf_default(&conf.engine);
    conf.engine.symbols = (uint32_t)n;
    conf.engine.calendar = calendar_of;
    if (tc_calendar_load("always", &always) || tc_log_bus_open(&log, &bus))
        return give_up();
    ops = *bus.ops;
    log_publish = ops.publish;
    ops.publish = watch_publish;
    bus.ops = &ops;
    if (argc > 4) {
        if (tc_model_load(argv[4], &conf.engine.networks[0]))
            return give_up();
        conf.engine.n_networks = 1;
    }
    if (tc_forecaster_open(&conf, &role))
        return give_up();
    for (int g = 0; g * GROUP < n; g++) {
        gen_open(&groups[g], (uint64_t)g + 1, n - g * GROUP < GROUP ? (int)n - g * GROUP : GROUP);
        groups[g].trade_p = 1;
    }
    if (run((int)n, seconds) || sum_up(&crc, &count))
        return give_up();
    printf("{\"symbols\":%lld,\"seconds\":%lld,\"records\":%lld,\"crc\":\"%08x\",\"p50_ms\":%.3f,"
           "\"p99_ms\":%.3f,\"max_ms\":%.3f,\"busy_max_ms\":%.3f}\n",
           (long long)n, (long long)seconds, (long long)count, crc,
           (double)tc_hist_quantile(&took, 0.5) / 1e6, (double)tc_hist_quantile(&took, 0.99) / 1e6,
           (double)tc_hist_quantile(&took, 1) / 1e6, (double)tc_hist_quantile(&busy, 1) / 1e6);
    role.ops->close(role.self);
    bus.ops->close(bus.self);
    if (conf.engine.n_networks)
        tc_model_free(conf.engine.networks[0]);
    tc_calendar_free(always);
    return 0;
}
