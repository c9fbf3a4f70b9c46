/* A model is exchanged while the forecast role runs: on a real log, with kills before, during and after. */
#include "base/clock.h"
#include "base/err.h"
#include "model/file.h"
#include "role/forecaster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "gen_market.h"

enum { SYMBOLS = 3, HEARD_MAX = 20000 };

static const int64_t MONDAY = INT64_C(1381104000) * 1000000000;

static struct tc_calendar *always;
static struct tc_model *first, *second, *misfit;

static const struct tc_calendar *calendar_of(void *ctx, const char *symbol)
{
    (void)ctx;
    (void)symbol;
    return always;
}

/* A price-level network over `window` bars. */
static struct tc_model *make_model(const char *name, int32_t window, const char *column)
{
    struct tc_model_spec s = {
        .low = -1e6, .high = 1e6, .mean = {50}, .sd = {20}, .scale = {20}, .offset = {50}};
    struct tc_model *m;
    snprintf(s.name, sizeof(s.name), "%s", name);
    snprintf(s.info.inputs, sizeof(s.info.inputs), "columns");
    snprintf(s.info.feature_hash, sizeof(s.info.feature_hash), "as-named");
    snprintf(s.info.target_unit, sizeof(s.info.target_unit), "price");
    snprintf(s.info.features[0], sizeof(s.info.features[0]), "%s", column);
    s.info.window = window;
    s.info.block = 1;
    s.info.interval_ms = 1000;
    s.info.n_features = s.info.n_targets = 1;
    s.info.targets[0] = (struct tc_model_target){TC_KIND_NEXT, 0, 1, NAN, NAN, NAN};
    struct tc_net_shape shape = {.features = 1, .layers = 2, .hidden = 5, .targets = 1};
    assert_int_equal(tc_net_open(&shape, &s.net), 0);
    for (size_t i = 0; i < s.net.n; i++)
        s.net.p[i] = 0.02F * (float)(i % 17);
    assert_int_equal(tc_model_open(&s, &m), 0);
    tc_model_spec_free(&s);
    return m;
}

static int open_all(void **state)
{
    (void)state;
    first = make_model("first", 5, "price");
    second = make_model("second", 40, "price");
    misfit = make_model("misfit", 5, "mood");
    return tc_calendar_load("always", &always);
}

static int close_all(void **state)
{
    (void)state;
    tc_model_free(first);
    tc_model_free(second);
    tc_model_free(misfit);
    tc_calendar_free(always);
    return 0;
}

struct world {
    char dir[256];
    struct tc_bus bus;
    struct tc_role role;
    struct gen_market market;
    int64_t at; /* next second */
};

static void open_bus(struct world *w)
{
    struct tc_log_bus_conf conf = {.dir = w->dir, .sync_every_ns = TC_NS_PER_SEC};
    assert_int_equal(tc_log_bus_open(&conf, &w->bus), 0);
}

static void open_role(struct world *w, struct tc_model *model)
{
    struct tc_forecaster_conf conf = {.bus = &w->bus, .snapshot_position = -1, .may_relearn = true};
    tc_engine_conf_default(&conf.engine);
    conf.engine.calendar = calendar_of;
    conf.engine.networks[0] = model;
    conf.engine.n_networks = 1;
    if (tc_forecaster_open(&conf, &w->role))
        fail_msg("%s", tc_error());
}

static void open_world(struct world *w)
{
    const char *tmp = getenv("TMPDIR");
    *w = (struct world){.at = MONDAY};
    snprintf(w->dir, sizeof(w->dir), "%s/tc-swap-XXXXXX", tmp ? tmp : "/var/tmp");
    assert_non_null(mkdtemp(w->dir));
    open_bus(w);
    gen_open(&w->market, 3, SYMBOLS);
    w->market.trade_p = 1;
    open_role(w, first);
}

static void close_world(struct world *w)
{
    char command[300];
    w->role.ops->close(w->role.self);
    w->bus.ops->close(w->bus.self);
    snprintf(command, sizeof(command), "rm -rf %s", w->dir);
    assert_int_equal(system(command), 0);
}

/* As kill -9 would leave it, then started again with `model` configured. */
static void killed(struct world *w, struct tc_model *model)
{
    w->role.ops->close(w->role.self);
    w->bus.ops->close(w->bus.self);
    open_bus(w);
    open_role(w, model);
}

static void rest(struct world *w)
{
    for (int i = 0; i < 100000; i++) {
        int rc = w->role.ops->work(w->role.self);
        if (rc < 0)
            fail_msg("%s", tc_error());
        if (rc == 0)
            return;
    }
    fail_msg("the role never rests");
}

static void live_on(struct world *w, int seconds)
{
    struct tc_record r[SYMBOLS + 1];
    for (int s = 0; s < seconds; s++, w->at += TC_NS_PER_SEC) {
        size_t n = (size_t)gen_second(&w->market, w->at, r);
        assert_int_equal(w->bus.ops->publish(w->bus.self, TC_TOPIC_BARS, r, n), 0);
        rest(w);
    }
}

/* Forecasts of a model from `from` on, and where the first and last of them stand. */
struct heard {
    int64_t n, first, last, scored;
};

static struct heard listen(struct world *w, const struct tc_model *model)
{
    static struct tc_record rec;
    struct heard h = {.first = -1};
    int64_t offset, slots[SYMBOLS][48] = {{0}}, seen[HEARD_MAX] = {0};
    struct tc_bus_reader *r;
    assert_int_equal(w->bus.ops->open_reader(w->bus.self, TC_TOPIC_FORECASTS, -1, 0, &r), 0);
    while (w->bus.ops->read(r, &rec, &offset) == TC_OK) {
        const char *id = tc_model_info(model)->id;
        if (rec.type == TC_REC_SCORE && !strcmp(rec.score.model, id))
            slots[rec.score.symbol[1] - '0'][rec.score.slot] = rec.score.sums.n;
        if (rec.type != TC_REC_FORECAST || strcmp(rec.forecast.model, id))
            continue;
        int64_t t = (rec.forecast.origin_time - MONDAY) / TC_NS_PER_SEC;
        int64_t *place = &seen[t * SYMBOLS + (rec.forecast.symbol[1] - '0')];
        assert_int_equal((*place)++, 0); /* nothing twice */
        h.first = h.first < 0 ? t : h.first;
        h.last = t;
        h.n++;
    }
    w->bus.ops->close_reader(r);
    for (int i = 0; i < SYMBOLS; i++)
        for (int s = 0; s < 48; s++)
            h.scored += slots[i][s];
    return h;
}

static enum tc_swap_state stands(struct world *w, char why[static 512])
{
    return tc_forecaster_swap_state(&w->role, why, 512);
}

static void the_new_model_speaks_from_the_next_second_on_and_the_old_ones_forecasts_are_scored(void **state)
{
    (void)state;
    struct world w;
    char why[512];
    open_world(&w);
    live_on(&w, 200);
    assert_int_equal(tc_forecaster_swap(&w.role, 0, second), 0);
    assert_int_equal(tc_forecaster_swap(&w.role, 0, second), TC_EBUSY);
    rest(&w);
    assert_int_equal(stands(&w, why), TC_SWAP_DONE);
    assert_int_equal(stands(&w, why), TC_SWAP_NONE);
    live_on(&w, 100);
    struct heard old = listen(&w, first), fresh = listen(&w, second);
    assert_int_equal(old.last, 200);
    assert_int_equal(fresh.first, 201); /* warm: it has read its 40 bars */
    assert_int_equal(fresh.n, 100 * SYMBOLS);
    assert_int_equal(old.n, (200 - 4) * SYMBOLS);
    assert_int_equal(old.scored, old.n);
    killed(&w, second);
    live_on(&w, 100);
    fresh = listen(&w, second);
    assert_int_equal(fresh.n, 200 * SYMBOLS);
    assert_true(fresh.scored > 185 * SYMBOLS); /* scores come every 10 s */
    close_world(&w);
}

static void a_model_that_does_not_fit_changes_nothing_and_says_why(void **state)
{
    (void)state;
    struct world w;
    char why[512] = "";
    open_world(&w);
    live_on(&w, 60);
    assert_int_equal(tc_forecaster_swap(&w.role, 0, misfit), 0);
    rest(&w);
    assert_int_equal(stands(&w, why), TC_SWAP_FAILED);
    assert_non_null(strstr(why, "wants feature \"mood\""));
    assert_int_equal(tc_forecaster_swap(&w.role, 0, first), 0);
    rest(&w);
    assert_int_equal(stands(&w, why), TC_SWAP_FAILED);
    assert_non_null(strstr(why, "is the one that runs"));
    live_on(&w, 60);
    assert_int_equal(listen(&w, first).n, (120 - 4) * SYMBOLS);
    close_world(&w);
}

/* While the old model's forecasts are open another exchange waits, so that each one is scored. */
static void exchanges_in_a_row_wait_for_what_was_said(void **state)
{
    (void)state;
    struct world w;
    char why[512];
    open_world(&w);
    live_on(&w, 100);
    assert_int_equal(tc_forecaster_swap(&w.role, 0, second), 0);
    rest(&w);
    assert_int_equal(stands(&w, why), TC_SWAP_DONE);
    live_on(&w, 10);
    assert_int_equal(tc_forecaster_swap(&w.role, 0, first), 0);
    live_on(&w, 40);
    assert_int_equal(stands(&w, why), TC_SWAP_WARMING);
    live_on(&w, 30);
    assert_int_equal(stands(&w, why), TC_SWAP_DONE);
    live_on(&w, 20);
    struct heard a = listen(&w, first), b = listen(&w, second);
    assert_int_equal(a.n + b.n, (200 - 4) * SYMBOLS);
    assert_true(b.n >= 60 * SYMBOLS && b.n <= 75 * SYMBOLS);
    assert_int_equal(b.scored, b.n);
    close_world(&w);
}

/* Killed at any cycle of an exchange: the log goes on with one of the two, nothing is said twice, nobody is
 * left out. */
static void a_kill_during_an_exchange_leaves_one_model_or_the_other(void **state)
{
    (void)state;
    for (int cycles = 0; cycles < 6; cycles++) {
        struct world w;
        char why[512];
        open_world(&w);
        live_on(&w, 90);
        assert_int_equal(tc_forecaster_swap(&w.role, 0, second), 0);
        for (int i = 0; i < cycles; i++)
            assert_true(w.role.ops->work(w.role.self) >= 0);
        bool done = stands(&w, why) == TC_SWAP_DONE;
        killed(&w, second); /* the configuration names the new file by now */
        live_on(&w, 50);
        struct heard a = listen(&w, first), b = listen(&w, second);
        assert_int_equal(a.n, (90 - 4) * SYMBOLS);
        assert_true(b.n >= (done ? 50 : 40) * SYMBOLS);
        assert_int_equal(b.last, 140);
        close_world(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_new_model_speaks_from_the_next_second_on_and_the_old_ones_forecasts_are_scored),
        cmocka_unit_test(a_model_that_does_not_fit_changes_nothing_and_says_why),
        cmocka_unit_test(exchanges_in_a_row_wait_for_what_was_said),
        cmocka_unit_test(a_kill_during_an_exchange_leaves_one_model_or_the_other),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
