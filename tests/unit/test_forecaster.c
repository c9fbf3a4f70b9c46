#include "base/clock.h"
#include "base/err.h"
#include "role/forecaster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "gen_market.h"
#include "near.h"

static const int64_t MONDAY = INT64_C(1381104000) * 1000000000;

static struct tc_calendar *always;

static const struct tc_calendar *calendar_of(void *ctx, const char *symbol)
{
    (void)ctx;
    (void)symbol;
    return always;
}

static int load_calendar(void **state)
{
    (void)state;
    return tc_calendar_load("always", &always);
}

static int free_calendar(void **state)
{
    (void)state;
    tc_calendar_free(always);
    return 0;
}

struct world {
    char dir[256];
    struct tc_bus bus;
    struct tc_role role;
};

static void open_bus(struct world *w)
{
    struct tc_log_bus_conf conf = {.dir = w->dir, .sync_every_ns = TC_NS_PER_SEC};
    assert_int_equal(tc_log_bus_open(&conf, &w->bus), 0);
}

static void open_world(struct world *w)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(w->dir, sizeof(w->dir), "%s/tc-forecaster-XXXXXX", tmp ? tmp : "/var/tmp");
    assert_non_null(mkdtemp(w->dir));
    open_bus(w);
}

static void open_role(struct world *w)
{
    struct tc_forecaster_conf conf = {.bus = &w->bus, .snapshot_position = -1};
    tc_engine_conf_default(&conf.engine);
    conf.engine.calendar = calendar_of;
    int rc = tc_forecaster_open(&conf, &w->role);
    if (rc)
        fail_msg("%s", tc_error());
}

static void close_world(struct world *w)
{
    w->bus.ops->close(w->bus.self);
    char command[300];
    snprintf(command, sizeof(command), "rm -rf %s", w->dir);
    assert_int_equal(system(command), 0);
}

static void put(struct world *w, const struct tc_record *r, size_t n)
{
    assert_int_equal(w->bus.ops->publish(w->bus.self, TC_TOPIC_BARS, r, n), 0);
}

static void put_seconds(struct world *w, struct gen_market *g, int64_t from, int n)
{
    struct tc_record r[65];
    for (int s = 0; s < n; s++)
        put(w, r, (size_t)gen_second(g, from + s * TC_NS_PER_SEC, r));
}

static void put_end(struct world *w)
{
    struct tc_record end = {.type = TC_REC_END, .from = -1};
    put(w, &end, 1);
}

static void run_to_end(struct world *w)
{
    for (int i = 0; i < 10000; i++)
        if (w->role.ops->work(w->role.self) == 0)
            return;
    fail_msg("the role never rests");
}

static void read_all(struct world *w, struct tc_buf *out, size_t counts[64])
{
    struct tc_bus_reader *r;
    struct tc_record rec;
    int64_t offset;
    tc_buf_init(out, (size_t)1 << 30);
    memset(counts, 0, 64 * sizeof(*counts));
    assert_int_equal(w->bus.ops->open_reader(w->bus.self, TC_TOPIC_FORECASTS, -1, 0, &r), 0);
    while (w->bus.ops->read(r, &rec, &offset) == TC_OK) {
        counts[rec.type]++;
        assert_int_equal(tc_record_encode(&rec, out), 0);
    }
    w->bus.ops->close_reader(r);
}

static void a_role_killed_again_and_again_publishes_the_same_bytes(void **state)
{
    (void)state;
    struct world a, b;
    struct gen_market g;
    open_world(&a);
    open_world(&b);
    gen_open(&g, 3, 3);
    put_seconds(&a, &g, MONDAY, 900);
    put_end(&a);
    gen_open(&g, 3, 3);
    put_seconds(&b, &g, MONDAY, 900);
    put_end(&b);
    open_role(&a);
    run_to_end(&a);
    assert_true(a.role.ops->ended(a.role.self));
    a.role.ops->close(a.role.self);
    struct tc_rng rng;
    tc_rng_seed(&rng, 1);
    bool done = false;
    for (int kill = 0; kill < 60 && !done; kill++) { /* dropped without a flush, as by kill -9 */
        open_role(&b);
        uint64_t cycles = 1 + tc_rng_below(&rng, 3);
        for (uint64_t i = 0; i < cycles; i++)
            assert_true(b.role.ops->work(b.role.self) >= 0);
        done = b.role.ops->ended(b.role.self);
        b.role.ops->close(b.role.self);
        b.bus.ops->close(b.bus.self);
        open_bus(&b);
    }
    assert_true(done);
    struct tc_buf x, y;
    size_t nx[64], ny[64];
    read_all(&a, &x, nx);
    read_all(&b, &y, ny);
    assert_int_equal(nx[TC_REC_FORECAST], ny[TC_REC_FORECAST]);
    assert_int_equal(nx[TC_REC_END], 1);
    assert_true(nx[TC_REC_CHECKPOINT] >= 15 && nx[TC_REC_SCORE] > 0 && nx[TC_REC_OUTCOME] > 0);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    tc_buf_release(&x);
    tc_buf_release(&y);
    close_world(&a);
    close_world(&b);
}

static void a_finished_run_started_again_does_nothing_and_is_ended(void **state)
{
    (void)state;
    struct world w;
    struct gen_market g;
    open_world(&w);
    gen_open(&g, 3, 1);
    put_seconds(&w, &g, MONDAY, 100);
    put_end(&w);
    open_role(&w);
    run_to_end(&w);
    w.role.ops->close(w.role.self);
    struct tc_bus_stat before, after;
    w.bus.ops->stat(w.bus.self, TC_TOPIC_FORECASTS, &before);
    open_role(&w);
    assert_true(w.role.ops->ended(w.role.self));
    run_to_end(&w);
    assert_int_equal(w.role.ops->flush(w.role.self, 0), 0);
    w.bus.ops->stat(w.bus.self, TC_TOPIC_FORECASTS, &after);
    assert_int_equal(before.end, after.end);
    w.role.ops->close(w.role.self);
    close_world(&w);
}

static void forecasts_name_the_marker_that_caused_them(void **state)
{
    (void)state;
    struct world w;
    struct gen_market g;
    open_world(&w);
    gen_open(&g, 3, 1);
    g.trade_p = 1;
    put_seconds(&w, &g, MONDAY, 5); /* bar, marker, bar, marker, ... */
    open_role(&w);
    run_to_end(&w);
    assert_false(w.role.ops->ended(w.role.self));
    struct tc_bus_reader *r;
    struct tc_record rec;
    int64_t offset, n = 0;
    assert_int_equal(w.bus.ops->open_reader(w.bus.self, TC_TOPIC_FORECASTS, -1, 0, &r), 0);
    while (w.bus.ops->read(r, &rec, &offset) == TC_OK)
        if (rec.type == TC_REC_FORECAST)
            assert_int_equal(rec.from, 2 * n++ + 1);
    assert_int_equal(n, 5);
    w.bus.ops->close_reader(r);
    w.role.ops->close(w.role.self);
    close_world(&w);
}

static int64_t much_later(void)
{
    return MONDAY + INT64_C(1000000) * TC_NS_PER_SEC;
}

static void open_live_role(struct world *w)
{
    struct tc_forecaster_conf conf = {.bus = &w->bus, .snapshot_position = -1};
    tc_engine_conf_default(&conf.engine);
    conf.engine.calendar = calendar_of;
    conf.engine.now = much_later;
    assert_int_equal(tc_forecaster_open(&conf, &w->role), 0);
}

static void put_live_seconds(struct world *w, struct gen_market *g, int64_t from, int n)
{
    struct tc_record r[65];
    for (int s = 0; s < n; s++) {
        int k = gen_second(g, from + s * TC_NS_PER_SEC, r);
        r[k - 1].second.log_time = false;
        put(w, r, (size_t)k);
    }
}

/* After a crash, what had gone out in time is not taken for late; what is new after a long rest is. */
static void forecasts_made_again_are_not_late_but_overdue_ones_are(void **state)
{
    (void)state;
    struct world w;
    struct gen_market g;
    open_world(&w);
    gen_open(&g, 3, 1);
    g.trade_p = 1;
    put_seconds(&w, &g, MONDAY, 90);
    open_role(&w);
    run_to_end(&w); /* forecasts of 90 seconds, the last checkpoint after 60 */
    w.role.ops->close(w.role.self);
    put_live_seconds(&w, &g, MONDAY + 90 * TC_NS_PER_SEC, 200);
    open_live_role(&w);
    run_to_end(&w);
    put_end(&w);
    run_to_end(&w);
    struct tc_bus_reader *r;
    struct tc_record rec;
    int64_t offset, late = 0, n = 0;
    assert_int_equal(w.bus.ops->open_reader(w.bus.self, TC_TOPIC_FORECASTS, -1, 0, &r), 0);
    while (w.bus.ops->read(r, &rec, &offset) == TC_OK)
        if (rec.type == TC_REC_SCORE && rec.score.kind == TC_KIND_NEXT && !strcmp(rec.score.model, "ridge")) {
            late = rec.score.n_late; /* the newest stands */
            n = rec.score.n;
        }
    assert_int_equal(n, 90);
    assert_int_equal(late, 199); /* the last one is not known yet */
    w.bus.ops->close_reader(r);
    w.role.ops->close(w.role.self);
    close_world(&w);
}

/* A crash does not turn a forecast that went out late into one in time. */
static void forecasts_that_went_out_late_stay_late_when_made_again(void **state)
{
    (void)state;
    struct world w;
    struct gen_market g;
    open_world(&w);
    gen_open(&g, 3, 1);
    g.trade_p = 1;
    put_live_seconds(&w, &g, MONDAY, 90);
    open_live_role(&w);
    run_to_end(&w); /* the last checkpoint after 60 */
    w.role.ops->close(w.role.self);
    open_live_role(&w);
    run_to_end(&w);
    put_end(&w);
    run_to_end(&w);
    struct tc_bus_reader *r;
    struct tc_record rec;
    int64_t offset, late = 0, n = 0;
    assert_int_equal(w.bus.ops->open_reader(w.bus.self, TC_TOPIC_FORECASTS, -1, 0, &r), 0);
    while (w.bus.ops->read(r, &rec, &offset) == TC_OK)
        if (rec.type == TC_REC_SCORE && rec.score.kind == TC_KIND_NEXT && !strcmp(rec.score.model, "ridge")) {
            late = rec.score.n_late; /* the newest stands */
            n = rec.score.n;
        }
    assert_int_equal(n, 0);
    assert_int_equal(late, 89);
    w.bus.ops->close_reader(r);
    w.role.ops->close(w.role.self);
    close_world(&w);
}

/* A forecast role with another horizon stands for one with another model: its checkpoint does not fit. */
static int open_other(struct world *w, bool may_relearn)
{
    struct tc_forecaster_conf conf = {.bus = &w->bus, .snapshot_position = -1, .may_relearn = may_relearn};
    tc_engine_conf_default(&conf.engine);
    conf.engine.calendar = calendar_of;
    conf.engine.horizons_ms[0] = 2000;
    return tc_forecaster_open(&conf, &w->role);
}

static void other_models_learn_again_and_publish_nothing_twice(void **state)
{
    (void)state;
    struct world w;
    struct gen_market g;
    struct tc_buf before, after;
    size_t had[64], has[64];
    open_world(&w);
    gen_open(&g, 3, 5);
    put_seconds(&w, &g, MONDAY, 700);
    open_role(&w);
    run_to_end(&w);
    w.role.ops->close(w.role.self);
    read_all(&w, &before, had);
    assert_int_equal(open_other(&w, false), TC_ECONF);
    assert_int_equal(open_other(&w, true), TC_OK);
    run_to_end(&w);
    w.role.ops->flush(w.role.self, INT64_MAX);
    read_all(&w, &after, has);
    assert_int_equal(after.len, before.len); /* all was answered; nothing is said twice */
    assert_memory_equal(after.data, before.data, before.len);
    tc_buf_release(&after);
    put_seconds(&w, &g, MONDAY + 700 * TC_NS_PER_SEC, 100);
    run_to_end(&w);
    w.role.ops->close(w.role.self);
    read_all(&w, &after, has);
    assert_true(has[TC_REC_FORECAST] > had[TC_REC_FORECAST] + 20);
    assert_true(has[TC_REC_CHECKPOINT] > had[TC_REC_CHECKPOINT]);
    struct tc_bus_reader *r;
    struct tc_record rec;
    int64_t offset;
    assert_int_equal(w.bus.ops->open_reader(w.bus.self, TC_TOPIC_FORECASTS, -1, 0, &r), 0);
    while (w.bus.ops->read(r, &rec, &offset) == TC_OK) {
        if (rec.type == TC_REC_FORECAST && rec.forecast.origin_time > MONDAY + 700 * TC_NS_PER_SEC)
            assert_false(rec.forecast.flags & TC_FLAG_COLD); /* it has learnt from the log */
        if (rec.type == TC_REC_SCORE && rec.score.kind == TC_KIND_LAST && rec.score.horizon_ms == 2000)
            assert_true(rec.score.n <= 100); /* what was learnt in silence is no skill */
    }
    w.bus.ops->close_reader(r);
    tc_buf_release(&before);
    tc_buf_release(&after);
    close_world(&w);
}

/* While no forecast role ran (--no-forecast), retention went past its checkpoint. */
static void a_log_that_begins_behind_the_checkpoint_is_learnt_anew(void **state)
{
    (void)state;
    struct world w;
    struct gen_market g;
    open_world(&w);
    w.bus.ops->close(w.bus.self);
    struct tc_log_bus_conf conf = {.dir = w.dir, .sync_every_ns = TC_NS_PER_SEC, .segment_bytes = 20000};
    assert_int_equal(tc_log_bus_open(&conf, &w.bus), 0);
    gen_open(&g, 3, 5);
    put_seconds(&w, &g, MONDAY, 300);
    open_role(&w);
    run_to_end(&w);
    w.role.ops->close(w.role.self);
    for (int s = 300; s < 900; s++)
        put_seconds(&w, &g, MONDAY + s * TC_NS_PER_SEC, 1);
    w.bus.ops->close(w.bus.self);
    char command[400];
    snprintf(command, sizeof(command), "cd %s/bars && rm $(ls | head -n -3)", w.dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(tc_log_bus_open(&conf, &w.bus), 0);
    struct tc_forecaster_conf role = {.bus = &w.bus, .snapshot_position = -1};
    tc_engine_conf_default(&role.engine);
    role.engine.calendar = calendar_of;
    assert_int_equal(tc_forecaster_open(&role, &w.role), TC_EINPUT);
    role.may_relearn = true;
    assert_int_equal(tc_forecaster_open(&role, &w.role), TC_OK);
    run_to_end(&w);
    struct tc_bus_reader *r;
    struct tc_record rec;
    int64_t offset, newest = 0;
    assert_int_equal(w.bus.ops->open_reader(w.bus.self, TC_TOPIC_FORECASTS, -1, 0, &r), 0);
    while (w.bus.ops->read(r, &rec, &offset) == TC_OK)
        newest = rec.type == TC_REC_FORECAST ? rec.forecast.origin_time : newest;
    assert_true(newest > MONDAY + 800 * TC_NS_PER_SEC);
    w.bus.ops->close_reader(r);
    w.role.ops->close(w.role.self);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_role_killed_again_and_again_publishes_the_same_bytes),
        cmocka_unit_test(forecasts_that_went_out_late_stay_late_when_made_again),
        cmocka_unit_test(other_models_learn_again_and_publish_nothing_twice),
        cmocka_unit_test(a_log_that_begins_behind_the_checkpoint_is_learnt_anew),
        cmocka_unit_test(a_finished_run_started_again_does_nothing_and_is_ended),
        cmocka_unit_test(forecasts_name_the_marker_that_caused_them),
        cmocka_unit_test(forecasts_made_again_are_not_late_but_overdue_ones_are),
    };
    return cmocka_run_group_tests(tests, load_calendar, free_calendar);
}
