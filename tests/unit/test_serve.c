/* The parts of the server that need no connection: parameters, times, names, token, ring, merge, answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "serve/auth.h"
#include "serve/hub.h"
#include "serve/live.h"
#include "serve/merge.h"
#include "serve/models.h"
#include "serve/reply.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- parameters ---- */

static void a_time_is_nanoseconds_or_iso_8601(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t t;
    } good[] = {
        {"0", 0},
        {"-5", -5},
        {"1381152600000000000", INT64_C(1381152600000000000)},
        {"2013-10-07", INT64_C(1381104000000000000)},
        {"2013-10-07T13:30Z", INT64_C(1381152600000000000)},
        {"2013-10-07T13:30:00", INT64_C(1381152600000000000)},
        {"2013-10-07T09:30:00-04:00", INT64_C(1381152600000000000)},
        {"2013-10-07T15:30:00+02:00", INT64_C(1381152600000000000)},
        {"2013-10-07T15:30:00 02:00", INT64_C(1381152600000000000)}, /* a plus sign that was not escaped */
        {"2013-10-07 13:30:00.5Z", INT64_C(1381152600500000000)},
        {"2013-10-07T13:30:00.123456789Z", INT64_C(1381152600123456789)},
        {"2012-02-29", INT64_C(1330473600000000000)},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t t = 0;
        assert_true(tc_time_parse(good[i].text, &t));
        assert_int_equal(t, good[i].t);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "now",
                                      "2013-10",
                                      "2013-13-01",
                                      "2013-02-29",
                                      "2013-10-07T",
                                      "2013-10-07T13",
                                      "2013-10-07T24:00Z",
                                      "2013-10-07T13:60Z",
                                      "2013-10-07T13:30:00.Z",
                                      "2013-10-07T13:30:00Zx",
                                      "2013-10-07T13:30:00.1234567890Z",
                                      "2013-10-07x",
                                      "1e9",
                                      "0x10",
                                      "9999-01-01",
                                      "99999999999999999999",
                                      "2013-10-07T13:30+25:00",
                                      "1677-01-01"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t t = 42;
        assert_false(tc_time_parse(bad[i], &t));
    }
}

static bool check(const char *allowed, const struct tc_params *p, char *message, size_t size)
{
    struct tc_reply r;
    tc_reply_init(&r);
    bool ok = tc_params_check(p, allowed, &r);
    snprintf(message, size, "%d %s", r.status, r.body.len ? r.body.data : "");
    tc_reply_release(&r);
    return ok;
}

static void unknown_and_double_parameters_are_named(void **state)
{
    (void)state;
    char text[700];
    struct tc_params p = {.n = 2, .at = {{"symbol", "A"}, {"token", "x"}}};
    assert_true(check("symbol from", &p, text, sizeof(text)));
    p.at[1].name = "symbo";
    assert_false(check("symbol from", &p, text, sizeof(text)));
    assert_non_null(strstr(
        text, "400 {\"error\":{\"code\":\"bad_request\",\"message\":\"unknown parameter \\\"symbo\\\""));
    p.at[1].name = "symbol";
    assert_false(check("symbol from", &p, text, sizeof(text)));
    assert_non_null(strstr(text, "twice"));
}

static void a_number_out_of_range_is_an_error_that_says_the_range(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "0", "11", "1.5", "1e1", " 1", "99999999999999999999", "ten"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tc_params p = {.n = 1, .at = {{"limit", bad[i]}}};
        struct tc_reply r;
        int64_t v = 7;
        tc_reply_init(&r);
        bool ok = tc_param_int(&p, "limit", 1, 10, &v, &r);
        assert_false(ok);
        assert_int_equal(v, 7);
        assert_non_null(strstr(r.body.data, "from 1 to 10"));
        tc_reply_release(&r);
    }
}

/* ---- who may ask ---- */

static void only_our_own_names_are_allowed(void **state)
{
    (void)state;
    assert_true(tc_host_allowed("localhost:8080", "127.0.0.1", NULL));
    assert_true(tc_host_allowed("LOCALHOST", "127.0.0.1", NULL));
    assert_true(tc_host_allowed("[::1]:8080", "127.0.0.1", NULL));
    assert_true(tc_host_allowed("ticks.example:443", "127.0.0.1", "other.example, ticks.example"));
    static const char *const bad[] = {
        "",         ":8080",      "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1",
        "[::2]:80", "xlocalhost", "localhos"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(tc_host_allowed(bad[i], "127.0.0.1", "ticks.example"));
}

static void the_token_is_found_in_query_header_and_cookie(void **state)
{
    (void)state;
    const char *t = "0123456789abcdef";
    assert_true(tc_token_in_request(t, t, NULL, NULL));
    assert_true(tc_token_in_request(t, NULL, "bearer 0123456789abcdef", NULL));
    assert_true(tc_token_in_request(t, NULL, NULL, "a=b; tickcast_token=0123456789abcdef; c=d"));
    assert_false(tc_token_in_request(t, NULL, NULL, NULL));
    assert_false(tc_token_in_request(t, "0123456789abcde", "Basic 0123456789abcdef",
                                     "tickcast_token=0123456789abcdeg"));
    assert_false(tc_token_in_request(t, "", "Bearer ", "tickcast_token=; xtickcast_token=0123456789abcdef"));
    assert_false(tc_token_equal(t, "0123456789abcdef0", 17));
}

static void a_token_is_made_once_and_kept_private(void **state)
{
    (void)state;
    char dir[] = "/tmp/tc-serve-XXXXXX", path[64], first[TC_TOKEN_SIZE], again[TC_TOKEN_SIZE];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/token", dir);
    assert_int_equal(tc_token_load(path, first), TC_OK);
    assert_int_equal(strlen(first), 64);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(tc_token_load(path, again), TC_OK);
    assert_string_equal(first, again);
    chmod(path, 0640);
    assert_int_equal(tc_token_load(path, again), TC_ECONF);
    chmod(path, 0600);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(tc_token_load(path, again), TC_ECONF);
    unlink(path);
    rmdir(dir);
}

/* ---- the ring ---- */

struct client {
    struct tc_hub_sub sub;
    int slept, woken;
};

static void on_sleep(void *ctx)
{
    ((struct client *)ctx)->slept++;
}

static void on_wake(void *ctx)
{
    ((struct client *)ctx)->woken++;
}

static void join(struct tc_hub *h, struct client *c)
{
    *c = (struct client){.sub = {.sleep = on_sleep, .wake = on_wake, .ctx = c}};
    tc_hub_attach(h, &c->sub);
}

static void put(struct tc_hub *h, enum tc_topic topic, int64_t offset, size_t size)
{
    char text[4096];
    struct tc_buf b;
    tc_buf_init_fixed(&b, text, sizeof(text));
    tc_buf_printf(&b, "event: t%d\ndata: %lld ", topic, (long long)offset);
    while (b.len < size)
        tc_buf_char(&b, 'x');
    tc_buf_str(&b, "\n\n");
    tc_hub_put(h, topic, offset, "SPY", &b);
}

static void a_client_gets_each_event_once_with_its_position_and_then_sleeps(void **state)
{
    (void)state;
    struct tc_hub *h;
    struct client c;
    struct tc_buf out;
    tc_buf_init(&out, 1 << 20);
    assert_int_equal(tc_hub_open(65536, 64, NULL, &h), TC_OK);
    tc_hub_start(h, &(struct tc_vector){{10, 20}});
    assert_true(tc_hub_pass(h, TC_TOPIC_BARS, 10, true)); /* nobody listens */
    join(h, &c);
    assert_false(tc_hub_pass(h, TC_TOPIC_BARS, 11, true));
    assert_true(tc_hub_pass(h, TC_TOPIC_BARS, 11, false));
    put(h, TC_TOPIC_BARS, 12, 0);
    put(h, TC_TOPIC_FORECASTS, 20, 0);
    assert_int_equal(tc_hub_read(h, &c.sub, &out), TC_HUB_DATA);
    assert_string_equal(out.data,
                        "id: b13.f20.p0\nevent: t0\ndata: 12 \n\nid: b13.f21.p0\nevent: t1\ndata: 20 \n\n");
    tc_buf_clear(&out);
    assert_int_equal(tc_hub_read(h, &c.sub, &out), TC_HUB_ASLEEP);
    assert_int_equal(c.slept, 1);
    tc_hub_flush(h);
    tc_hub_flush(h);
    assert_int_equal(c.woken, 1);
    tc_hub_stop(h);
    assert_int_equal(tc_hub_read(h, &c.sub, &out), TC_HUB_CLOSED);
    tc_hub_detach(h, &c.sub);
    tc_hub_close(h);
    tc_buf_release(&out);
}

static void a_client_whose_place_was_overwritten_is_told(void **state)
{
    (void)state;
    struct tc_hub *h;
    struct client slow, fast;
    struct tc_buf out;
    tc_buf_init(&out, 1 << 20);
    assert_int_equal(tc_hub_open(4000, 64, NULL, &h), TC_OK);
    join(h, &slow);
    join(h, &fast);
    for (int i = 0; i < 1000; i++) {
        put(h, TC_TOPIC_BARS, i, 20 + (size_t)(i * 37 % 300));
        tc_buf_clear(&out);
        assert_int_equal(tc_hub_read(h, &fast.sub, &out), TC_HUB_DATA);
        char want[64];
        snprintf(want, sizeof(want), "id: b%d.f0.p0\nevent: t0\ndata: %d ", i + 1, i);
        assert_memory_equal(out.data, want, strlen(want));
    }
    assert_int_equal(tc_hub_read(h, &slow.sub, &out), TC_HUB_BEHIND);
    tc_hub_newest(h, &slow.sub);
    assert_int_equal(slow.sub.at.at[TC_TOPIC_BARS], 1000);
    tc_hub_drop(h);
    assert_int_equal(tc_hub_read(h, &fast.sub, &out), TC_HUB_BEHIND);
    tc_hub_detach(h, &slow.sub);
    tc_hub_detach(h, &fast.sub);
    tc_hub_close(h);
    tc_buf_release(&out);
}

static void a_returning_client_joins_the_ring_where_it_reaches_back_far_enough(void **state)
{
    (void)state;
    struct tc_hub *h;
    struct client keeper, c;
    struct tc_buf out;
    tc_buf_init(&out, 1 << 20);
    assert_int_equal(tc_hub_open(65536, 4, NULL, &h), TC_OK);
    join(h, &keeper);
    for (int i = 0; i < 6; i++)
        put(h, TC_TOPIC_BARS, i, 0); /* 2 to 5 are kept */
    join(h, &c);
    c.sub.at = (struct tc_vector){{1, 0}};
    assert_false(tc_hub_join(h, &c.sub));
    c.sub.at = (struct tc_vector){{4, 0}};
    assert_true(tc_hub_join(h, &c.sub));
    assert_int_equal(tc_hub_read(h, &c.sub, &out), TC_HUB_DATA);
    assert_string_equal(out.data,
                        "id: b5.f0.p0\nevent: t0\ndata: 4 \n\nid: b6.f0.p0\nevent: t0\ndata: 5 \n\n");
    /* one that read ahead of the ring in the other topic keeps its own position */
    c.sub.at = (struct tc_vector){{5, 9}};
    assert_true(tc_hub_join(h, &c.sub));
    tc_buf_clear(&out);
    assert_int_equal(tc_hub_read(h, &c.sub, &out), TC_HUB_DATA);
    assert_string_equal(out.data, "id: b6.f9.p0\nevent: t0\ndata: 5 \n\n");
    tc_hub_detach(h, &c.sub);
    tc_hub_detach(h, &keeper.sub);
    tc_hub_close(h);
    tc_buf_release(&out);
}

static void positions_are_read_back_and_nonsense_is_not(void **state)
{
    (void)state;
    struct tc_vector v;
    assert_true(tc_vector_parse("b12.f7.p3", &v));
    assert_int_equal(v.at[TC_TOPIC_BARS], 12);
    assert_int_equal(v.at[TC_TOPIC_FORECASTS], 7);
    assert_int_equal(v.at[TC_TOPIC_POSTS], 3);
    static const char *const bad[] = {
        "",        "b",         "b1",        "b1.",      "b1.f",      "b1.f1",     "b1.f1.",      "b1.f1.p",
        "b.f1.p1", "b1.f-1.p1", "b-1.f1.p1", "f1.b1.p1", "b1.f1x.p1", "b1.f1.p1.", "b1.f1.p1.p1", "b1.p1.f1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(tc_vector_parse(bad[i], &v));
}

struct race {
    struct tc_hub *hub;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool awake;
};

static void race_sleep(void *ctx)
{
    struct race *r = ctx;
    pthread_mutex_lock(&r->lock);
    r->awake = false;
    pthread_mutex_unlock(&r->lock);
}

static void race_wake(void *ctx)
{
    struct race *r = ctx;
    pthread_mutex_lock(&r->lock);
    r->awake = true;
    pthread_cond_signal(&r->woken);
    pthread_mutex_unlock(&r->lock);
}

enum { RACE_EVENTS = 20000 };

static void *race_write(void *arg)
{
    struct race *r = arg;
    for (int i = 0; i < RACE_EVENTS; i++) {
        put(r->hub, TC_TOPIC_BARS, i, 0);
        if (i % 3 == 0)
            tc_hub_flush(r->hub);
    }
    tc_hub_flush(r->hub);
    return NULL;
}

static void no_event_and_no_wake_up_is_lost_between_two_threads(void **state)
{
    (void)state;
    struct race r = {.lock = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER};
    struct tc_hub_sub sub = {.sleep = race_sleep, .wake = race_wake, .ctx = &r};
    struct tc_buf out;
    pthread_t writer;
    tc_buf_init(&out, 1 << 20);
    assert_int_equal(tc_hub_open(4 << 20, RACE_EVENTS, NULL, &r.hub), TC_OK);
    tc_hub_attach(r.hub, &sub);
    assert_int_equal(pthread_create(&writer, NULL, race_write, &r), 0);
    while (sub.at.at[TC_TOPIC_BARS] < RACE_EVENTS) {
        tc_buf_clear(&out);
        enum tc_hub_state got = tc_hub_read(r.hub, &sub, &out);
        assert_true(got == TC_HUB_DATA || got == TC_HUB_ASLEEP);
        if (got == TC_HUB_DATA)
            continue;
        pthread_mutex_lock(&r.lock);
        while (!r.awake)
            pthread_cond_wait(&r.woken, &r.lock);
        pthread_mutex_unlock(&r.lock);
    }
    pthread_join(writer, NULL);
    tc_hub_detach(r.hub, &sub);
    tc_hub_close(r.hub);
    tc_buf_release(&out);
}

/* ---- both topics in one order ---- */

static void publish(struct tc_bus *bus, enum tc_topic topic, int64_t from)
{
    struct tc_record r = {.type = topic == TC_TOPIC_BARS ? TC_REC_SECOND : TC_REC_OUTCOME, .from = from};
    if (topic == TC_TOPIC_BARS)
        memcpy(r.second.feed, "test", 5);
    else
        memcpy(r.outcome.symbol, "SPY", 4);
    assert_int_equal(bus->ops->publish(bus->self, topic, &r, 1), TC_OK);
}

static void forecasts_come_after_the_bars_they_were_made_from(void **state)
{
    (void)state;
    char dir[] = "/tmp/tc-serve-XXXXXX", command[64];
    assert_non_null(mkdtemp(dir));
    struct tc_bus bus;
    struct tc_merge m;
    assert_int_equal(tc_log_bus_open(&(struct tc_log_bus_conf){.dir = dir}, &bus), TC_OK);
    for (int i = 0; i < 6; i++)
        publish(&bus, TC_TOPIC_BARS, -1);
    publish(&bus, TC_TOPIC_FORECASTS, 1);
    publish(&bus, TC_TOPIC_FORECASTS, 1);
    publish(&bus, TC_TOPIC_FORECASTS, 4);
    assert_int_equal(tc_merge_open(&m, &bus, &(struct tc_vector){{0, 0}}), TC_OK);
    static const char want[] = "bbffbbbfb";
    for (size_t i = 0; i < sizeof(want) - 1; i++) {
        const struct tc_record *r;
        enum tc_topic topic;
        int64_t offset;
        assert_int_equal(tc_merge_next(&m, &r, &topic, &offset), TC_OK);
        assert_int_equal(topic, want[i] == 'b' ? TC_TOPIC_BARS : TC_TOPIC_FORECASTS);
        assert_int_equal(m.at.at[topic], offset + 1);
    }
    const struct tc_record *r;
    enum tc_topic topic;
    int64_t offset;
    assert_int_equal(tc_merge_next(&m, &r, &topic, &offset), TC_AGAIN);
    publish(&bus, TC_TOPIC_FORECASTS, 5);
    assert_int_equal(tc_merge_next(&m, &r, &topic, &offset), TC_OK);
    tc_merge_close(&m);
    bus.ops->close(bus.self);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

/* ---- newest values ---- */

static struct tc_record bar(const char *symbol, int64_t second, double close, int32_t revision)
{
    struct tc_record r = {.type = TC_REC_BAR, .from = -1};
    r.bar = (struct tc_bar){.start = second * TC_NS_PER_SEC,
                            .interval_ms = 1000,
                            .open = close - 1,
                            .close = close,
                            .volume = 10,
                            .quote = {NAN, NAN, NAN, NAN},
                            .revision = revision};
    snprintf(r.bar.symbol, sizeof(r.bar.symbol), "%s", symbol);
    return r;
}

static void late_and_revised_bars_do_not_move_the_newest_price(void **state)
{
    (void)state;
    struct tc_server_conf conf = {0};
    struct tc_live *l;
    struct tc_live_symbol *s;
    size_t n;
    assert_int_equal(tc_live_open(&conf, &l), TC_OK);
    struct tc_record mark = {.type = TC_REC_SECOND,
                             .second = {.second = 100 * TC_NS_PER_SEC, .healthy = true}};
    struct tc_record rows[] = {bar("SPY", 99, 50, 0), bar("SPY", 100, 51, 0), bar("BAC", 100, 14, 0), mark,
                               bar("SPY", 98, 40, 0), bar("SPY", 99, 41, 1),  bar("SPY", 100, 52, 1)};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        tc_live_take(l, &rows[i]);
    assert_int_equal(tc_live_copy(l, &s, &n), TC_OK);
    assert_int_equal(n, 2);
    assert_string_equal(s[0].symbol, "BAC");
    assert_string_equal(s[1].symbol, "SPY");
    assert_float_equal(s[1].last, 52, 0); /* the newest bar itself was revised */
    assert_float_equal(s[1].open, 49, 0);
    assert_float_equal(s[1].volume, 20, 0);
    assert_int_equal(s[1].n_spark, 2);
    assert_float_equal(s[1].spark[0], 50, 0);
    free(s);
    struct tc_live_totals t;
    tc_live_totals(l, &t);
    assert_int_equal(t.late, 1);
    assert_int_equal(t.revised, 2);
    assert_int_equal(t.data_time, 101 * TC_NS_PER_SEC);
    tc_live_close(l);
}

static void a_day_whose_begin_is_gone_has_no_change_and_no_volume(void **state)
{
    (void)state;
    struct tc_server_conf conf = {0};
    struct tc_live *l;
    struct tc_live_symbol *s;
    size_t n;
    assert_int_equal(tc_live_open(&conf, &l), TC_OK);
    tc_live_begin(l, 50 * TC_NS_PER_SEC);
    struct tc_record first = bar("SPY", 50, 10, 0), next_day = bar("SPY", 86400, 11, 0);
    tc_live_take(l, &first);
    assert_int_equal(tc_live_copy(l, &s, &n), TC_OK);
    assert_float_equal(s[0].last, 10, 0);
    assert_true(isnan(s[0].open) && isnan(s[0].volume));
    free(s);
    tc_live_take(l, &next_day);
    assert_int_equal(tc_live_copy(l, &s, &n), TC_OK);
    assert_float_equal(s[0].open, 10, 0);
    assert_float_equal(s[0].volume, 10, 0);
    free(s);
    tc_live_close(l);
}

static void the_first_model_speaks_in_the_list_of_symbols(void **state)
{
    (void)state;
    struct tc_models *models;
    assert_int_equal(tc_models_open(&models), TC_OK);
    tc_models_set(models, 0, &(struct tc_model_card){.id = "lstm@1"});
    struct tc_server_conf conf = {.models = models};
    struct tc_live *l;
    struct tc_live_symbol *s;
    size_t n;
    assert_int_equal(tc_live_open(&conf, &l), TC_OK);
    struct tc_record f = {.type = TC_REC_FORECAST,
                          .forecast = {.symbol = "SPY",
                                       .model = "ridge",
                                       .n_points = 1,
                                       .points = {{.kind = TC_KIND_NEXT, .value = 1, .gate_open = true}}}};
    tc_live_take(l, &f);
    assert_int_equal(tc_live_copy(l, &s, &n), TC_OK);
    assert_float_equal(s[0].next.value, 1, 0);
    free(s);
    memcpy(f.forecast.model, "lstm@1", 7);
    f.forecast.points[0].value = 2;
    f.forecast.points[0].gate_open = false;
    tc_live_take(l, &f);
    memcpy(f.forecast.model, "ridge", 6);
    f.forecast.points[0].value = 3;
    tc_live_take(l, &f);
    assert_int_equal(tc_live_copy(l, &s, &n), TC_OK);
    assert_float_equal(s[0].next.value, 2, 0);
    free(s);
    assert_int_equal(tc_live_gate(l, "SPY", "lstm@1", TC_KIND_NEXT, 0), 0);
    assert_int_equal(tc_live_gate(l, "*", "ridge", TC_KIND_NEXT, 0), 0);
    assert_int_equal(tc_live_gate(l, "SPY", "other", TC_KIND_NEXT, 0), -1);
    tc_live_close(l);
    tc_models_close(models);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_nanoseconds_or_iso_8601),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(unknown_and_double_parameters_are_named),
        cmocka_unit_test(a_number_out_of_range_is_an_error_that_says_the_range),
        cmocka_unit_test(only_our_own_names_are_allowed),
        cmocka_unit_test(the_token_is_found_in_query_header_and_cookie),
        cmocka_unit_test(a_token_is_made_once_and_kept_private),
        cmocka_unit_test(a_client_gets_each_event_once_with_its_position_and_then_sleeps),
        cmocka_unit_test(a_client_whose_place_was_overwritten_is_told),
        cmocka_unit_test(a_returning_client_joins_the_ring_where_it_reaches_back_far_enough),
        cmocka_unit_test(positions_are_read_back_and_nonsense_is_not),
        cmocka_unit_test(no_event_and_no_wake_up_is_lost_between_two_threads),
        cmocka_unit_test(forecasts_come_after_the_bars_they_were_made_from),
        cmocka_unit_test(late_and_revised_bars_do_not_move_the_newest_price),
        cmocka_unit_test(a_day_whose_begin_is_gone_has_no_change_and_no_volume),
        cmocka_unit_test(the_first_model_speaks_in_the_list_of_symbols),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
