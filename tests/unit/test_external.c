/* Forecasts of others beside the engine's own: what ridge says, sent by somebody else, has ridge's score. */
#include "base/clock.h"
#include "base/err.h"
#include "forecast/external.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gen_market.h"
#include "near.h"

static const int64_t MONDAY = INT64_C(1381104000) * 1000000000;
enum { SYMBOLS = 2, SECONDS = 4000, SENT_MAX = 16 };

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
    struct tc_engine *engine;
    struct tc_external *external;
    struct tc_forecast asked[SENT_MAX]; /* ridge's of the second under way */
    int n_asked;
    struct tc_score ridge, other; /* kind next, first symbol: all half hours */
    int64_t published;
};

static void on_resolved(void *ctx, const struct tc_resolved *r)
{
    struct world *w = ctx;
    tc_external_resolved(w->external, r);
}

static void keep_score(struct world *w, const struct tc_score *s)
{
    static struct tc_score slots[2][48];
    if (strcmp(s->symbol, "S0") != 0 || s->kind != TC_KIND_NEXT)
        return;
    bool other = !strcmp(s->model, "copy@external");
    if (!other && strcmp(s->model, "ridge") != 0)
        return;
    if (w->published++ == 0)
        memset(slots, 0, sizeof(slots));
    slots[other][s->slot] = *s; /* a later record replaces an earlier */
    struct tc_score sum = {.kind = TC_KIND_NEXT};
    for (int i = 0; i < 48; i++)
        tc_score_merge(&sum, &slots[other][i]);
    *(other ? &w->other : &w->ridge) = sum;
}

static int emit(void *ctx, const struct tc_record *r)
{
    struct world *w = ctx;
    if (r->type == TC_REC_FORECAST && !strcmp(r->forecast.model, "ridge") && w->n_asked < SENT_MAX)
        w->asked[w->n_asked++] = r->forecast;
    if (r->type == TC_REC_OUTCOME)
        tc_external_outcome(w->external, &r->outcome);
    if (r->type == TC_REC_SCORE)
        keep_score(w, &r->score);
    return TC_OK;
}

static void open_world(struct world *w)
{
    memset(w, 0, sizeof(*w));
    struct tc_engine_conf conf;
    tc_engine_conf_default(&conf);
    conf.level = TC_SET_T14;
    conf.symbols = SYMBOLS;
    conf.calendar = calendar_of;
    conf.resolved = on_resolved;
    conf.resolved_ctx = w;
    assert_int_equal(tc_engine_open(&conf, &w->engine), 0);
    assert_int_equal(tc_external_open(w->engine, &conf, &w->external), 0);
}

static void close_world(struct world *w)
{
    tc_external_close(w->external);
    tc_engine_close(w->engine);
}

static struct tc_submission sent(const struct tc_forecast *f, const char *model)
{
    struct tc_submission s = {.forecast = *f};
    snprintf(s.forecast.model, sizeof(s.forecast.model), "%s", model);
    return s;
}

/* Plays seconds [from, to) and sends ridge's own forecasts back as those of `model`; NULL sends none. */
static void play(struct world *w, struct gen_market *g, int from, int to, const char *model)
{
    struct tc_record r[8];
    for (int s = from; s < to; s++) {
        int n = gen_second(g, MONDAY + s * TC_NS_PER_SEC, r);
        w->n_asked = 0;
        assert_int_equal(tc_external_begin(w->external, MONDAY + s * TC_NS_PER_SEC, emit, w, s), 0);
        for (int i = 0; i < n; i++)
            assert_int_equal(tc_engine_feed(w->engine, &r[i], s, emit, w), 0);
        assert_int_equal(tc_external_publish(w->external, false, emit, w, s), 0);
        for (int i = 0; model && i < w->n_asked; i++) {
            struct tc_submission one = sent(&w->asked[i], model);
            tc_external_submit(w->external, 0, s, &one);
            assert_string_equal(one.why, "");
            assert_int_equal(one.verdict, TC_VERDICT_ACCEPTED);
        }
    }
}

static void expect_equal_sums(const struct tc_score *a, const struct tc_score *b)
{
#define SAME(field, ctype, sqltype) \
    assert_near((double)a->field, (double)b->field, 1e-4 * (1e-6 + fabs((double)b->field)));
    assert_true(b->n > 1000 && b->covered > 0 && b->moves > 0 && b->dm_blocks > 10);
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->hits, b->hits);
    assert_true(llabs(a->covered - b->covered) <= 2); /* an error that equals the half width */
    SAME(abs_err, , )
    SAME(sq_err, , )
    SAME(abs_persist, , )
    SAME(sq_persist, , )
    SAME(sq_reversal, , )
    SAME(sq_ridge, , )
    SAME(width, , )
    SAME(winkler, , )
    SAME(dm_blocks, , )
    SAME(dm_n, , )
    SAME(dm_d, , )
    SAME(dm_d2, , )
    SAME(brier, , )
    SAME(n_prob, , )
    SAME(beyond, , )
#undef SAME
}

static void ridge_sent_by_another_has_the_score_of_ridge(void **state)
{
    (void)state;
    struct world w;
    struct gen_market g;
    gen_open(&g, 3, SYMBOLS);
    open_world(&w);
    play(&w, &g, 0, SECONDS, "copy");
    assert_int_equal(tc_engine_flush_scores(w.engine, SECONDS, emit, &w), 0);
    assert_int_equal(tc_external_publish(w.external, true, emit, &w, SECONDS), 0);
    expect_equal_sums(&w.other, &w.ridge);
    close_world(&w);
}

static size_t state_size(const struct world *w)
{
    struct tc_buf b;
    tc_buf_init(&b, TC_EXTERNAL_BYTES);
    assert_int_equal(tc_external_save(w->external, &b), 0);
    size_t n = b.len;
    tc_buf_release(&b);
    return n;
}

static void models_that_fall_silent_leave_nothing_open(void **state)
{
    (void)state;
    struct world w;
    struct gen_market g;
    char name[16];
    gen_open(&g, 4, SYMBOLS);
    open_world(&w);
    play(&w, &g, 0, 200, NULL);
    size_t empty = state_size(&w), after_first = 0;
    for (int m = 0; m < 40; m++) { /* more than there are places; each falls silent for over an hour */
        snprintf(name, sizeof(name), "m%d", m);
        play(&w, &g, 200 + m * 4000, 260 + m * 4000, name);
        assert_true(state_size(&w) > empty);
        play(&w, &g, 260 + m * 4000, 4200 + m * 4000, NULL);
        if (m == 0)
            after_first = state_size(&w);
        assert_true(state_size(&w) <=
                    (TC_EXTERNAL_MODELS + 1) * after_first); /* cells only, no open points */
    }
    close_world(&w);
}

static void what_is_open_survives_its_bytes(void **state)
{
    (void)state;
    struct world a, b;
    struct gen_market g, h;
    gen_open(&g, 5, SYMBOLS);
    gen_open(&h, 5, SYMBOLS);
    open_world(&a);
    open_world(&b);
    play(&a, &g, 0, 1500, "copy");
    play(&b, &h, 0, 1500, NULL); /* the engine's state is the same; what others sent comes as bytes */
    struct tc_buf bytes;
    tc_buf_init(&bytes, TC_EXTERNAL_BYTES);
    assert_int_equal(tc_external_save(a.external, &bytes), 0);
    assert_int_equal(tc_external_load(b.external, (const uint8_t *)bytes.data, bytes.len), 0);
    for (size_t cut = 0; cut < bytes.len; cut += 97) {
        struct world c;
        open_world(&c);
        assert_int_equal(tc_external_load(c.external, (const uint8_t *)bytes.data, cut), TC_EINPUT);
        close_world(&c);
    }
    tc_buf_release(&bytes);
    play(&a, &g, 1500, 3000, "copy");
    assert_int_equal(tc_external_publish(a.external, true, emit, &a, 0), 0);
    struct tc_score whole = a.other;
    b.other = (struct tc_score){0};
    b.published = 0;
    play(&b, &h, 1500, 3000, "copy");
    assert_int_equal(tc_external_publish(b.external, true, emit, &b, 0), 0);
    assert_int_equal(b.other.n, whole.n);
    assert_true(b.other.sq_err == whole.sq_err && b.other.dm_d2 == whole.dm_d2);
    close_world(&a);
    close_world(&b);
}

static void late_and_second_answers_do_not_count(void **state)
{
    (void)state;
    struct world w;
    struct gen_market g;
    gen_open(&g, 6, 1);
    open_world(&w);
    int s = 0;
    for (; !w.n_asked; s++)
        play(&w, &g, s, s + 1, NULL);
    struct tc_forecast f = w.asked[0];
    struct tc_submission one = sent(&f, "a"), again = one, other = one, clock = sent(&f, "b");
    tc_external_submit(w.external, 0, s, &one);
    assert_int_equal(one.verdict, TC_VERDICT_ACCEPTED);
    tc_external_submit(w.external, 0, s, &again);
    assert_int_equal(again.verdict, TC_VERDICT_DUPLICATE);
    other.forecast.points[0].value += 0.01;
    tc_external_submit(w.external, 0, s, &other);
    assert_int_equal(other.verdict, TC_VERDICT_CONFLICT);
    /* By the clock the first targets are over. */
    tc_external_submit(w.external, f.origin_time + 10 * TC_NS_PER_SEC, s, &clock);
    assert_int_equal(clock.verdict, TC_VERDICT_ACCEPTED);
    assert_int_not_equal(clock.late, 0);
    assert_int_equal(clock.forecast.issued, f.origin_time + 10 * TC_NS_PER_SEC);
    for (int i = 0; i < clock.forecast.n_points; i++)
        assert_int_equal(clock.forecast.points[i].horizon_ms, 60000);
    /* By the market they are, too. */
    play(&w, &g, s, s + 70, NULL);
    struct tc_submission late = sent(&f, "c");
    tc_external_submit(w.external, 0, s, &late);
    assert_int_equal(late.verdict, TC_VERDICT_LATE);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ridge_sent_by_another_has_the_score_of_ridge),
        cmocka_unit_test(models_that_fall_silent_leave_nothing_open),
        cmocka_unit_test(what_is_open_survives_its_bytes),
        cmocka_unit_test(late_and_second_answers_do_not_count),
    };
    return cmocka_run_group_tests(tests, load_calendar, free_calendar);
}
