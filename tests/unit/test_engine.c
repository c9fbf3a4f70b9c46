#include "base/clock.h"
#include "base/err.h"
#include "forecast/engine.h"
#include "forecast/score.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gen_market.h"
#include "near.h"

static const int64_t MONDAY = INT64_C(1381104000) * 1000000000; /* 2013-10-07T00:00Z */
static const int64_t OPEN = 13 * 3600 + 30 * 60;                /* XNYS, in UTC that day */

static struct tc_calendar *always, *xnys;

static int load_calendars(void **state)
{
    (void)state;
    return tc_calendar_load("always", &always) || tc_calendar_load(TEST_CALENDARS "/xnys.yaml", &xnys);
}

static int free_calendars(void **state)
{
    (void)state;
    tc_calendar_free(always);
    tc_calendar_free(xnys);
    return 0;
}

static const struct tc_calendar *calendar_of(void *ctx, const char *symbol)
{
    (void)symbol;
    return *(struct tc_calendar **)ctx;
}

/* Everything published, kept as encoded bytes and, for looking into, as records. */
struct sink {
    struct tc_buf bytes;
    size_t n, forecasts, outcomes, scores;
    struct tc_record last_forecast;
    struct tc_score next[4][48]; /* newest score of kind next, of each model and slot */
};

static const char *const NAMES[] = {"persistence", "reversal", "microprice", "ridge"};

static int take(void *ctx, const struct tc_record *r)
{
    struct sink *k = ctx;
    k->n++;
    assert_int_equal(tc_record_encode(r, &k->bytes), 0);
    if (r->type == TC_REC_FORECAST) {
        k->forecasts++;
        k->last_forecast = *r;
    }
    k->outcomes += r->type == TC_REC_OUTCOME;
    k->scores += r->type == TC_REC_SCORE;
    for (int m = 0; m < 4; m++)
        if (r->type == TC_REC_SCORE && r->score.kind == TC_KIND_NEXT && !strcmp(r->score.model, NAMES[m]))
            k->next[m][r->score.slot] = r->score;
    return 0;
}

static struct tc_engine *opened(struct tc_calendar **cal, uint32_t symbols)
{
    struct tc_engine_conf conf;
    tc_engine_conf_default(&conf);
    conf.symbols = symbols;
    conf.calendar = calendar_of;
    conf.calendar_ctx = cal;
    struct tc_engine *e;
    assert_int_equal(tc_engine_open(&conf, &e), 0);
    return e;
}

static int64_t play(struct tc_engine *e, struct gen_market *g, int64_t from, int64_t seconds, int64_t offset,
                    struct sink *k)
{
    struct tc_record r[65];
    for (int64_t s = 0; s < seconds; s++) {
        int n = gen_second(g, from + s * TC_NS_PER_SEC, r);
        for (int i = 0; i < n; i++)
            assert_int_equal(tc_engine_feed(e, &r[i], offset++, take, k), 0);
    }
    return offset;
}

static void open_sink(struct sink *k)
{
    memset(k, 0, sizeof(*k));
    tc_buf_init(&k->bytes, (size_t)1 << 30);
}

static void each_traded_second_is_forecast_and_each_forecast_gets_its_outcome(void **state)
{
    (void)state;
    struct tc_engine *e = opened(&always, 2);
    struct gen_market g;
    gen_open(&g, 1, 2);
    g.trade_p = 1;
    struct sink k;
    open_sink(&k);
    play(e, &g, MONDAY + 1000 * TC_NS_PER_SEC, 100, 0, &k);
    assert_int_equal(k.forecasts, 200);
    assert_int_equal(k.outcomes, 2 * 40); /* the rest still waits for its 60 s */
    const struct tc_forecast *f = &k.last_forecast.forecast;
    assert_string_equal(f->model, "ridge");
    assert_string_equal(f->inputs, "T14");
    assert_int_equal(f->n_points, 7);
    assert_int_equal(f->origin_time, MONDAY + 1100 * TC_NS_PER_SEC);
    assert_int_equal(f->issued, f->origin_time);
    assert_int_equal(f->points[0].kind, TC_KIND_NEXT);
    assert_int_equal(f->points[0].target, 0);
    assert_int_equal(f->points[3].horizon_ms, 60000);
    assert_int_equal(f->points[3].target, f->origin_time + 60 * TC_NS_PER_SEC);
    assert_true(f->points[0].lo <= f->points[0].value && f->points[0].value <= f->points[0].hi);
    assert_int_equal(f->day, 20131007);
    tc_engine_close(e);
    tc_buf_release(&k.bytes);
}

/* A second with the tape known, and a quote feed that was silent for so long. */
static void play_level(struct tc_engine *e, struct gen_market *g, int64_t second, bool tape, double lag_ms,
                       struct sink *k)
{
    struct tc_record r[65];
    int n = gen_second(g, second, r);
    for (int i = 0; i < n; i++) {
        if (r[i].type == TC_REC_BAR) {
            double c = r[i].bar.close;
            if (tape)
                r[i].bar.tape = (struct tc_tape){c, c - 0.01, 0.1, c + 0.01, c - 0.01, c, 3};
            r[i].bar.quote_lag_ms = lag_ms;
        }
        assert_int_equal(tc_engine_feed(e, &r[i], second / TC_NS_PER_SEC, take, k), 0);
    }
}

static void the_level_of_each_bar_is_published_and_every_level_goes_on_learning(void **state)
{
    (void)state;
    static const struct {
        bool tape;
        double lag_ms;
        const char *level;
    } cases[] = {{true, 0, "Q18"}, {true, 1500, "K11"}, {false, 0, "T14"}, {true, 20, "Q18"}};
    struct tc_engine *e = opened(&always, 1), *two = opened(&always, 1);
    struct gen_market g;
    gen_open(&g, 11, 1);
    g.trade_p = 1;
    struct sink k, after;
    struct tc_buf bytes, again;
    open_sink(&k);
    open_sink(&after);
    tc_buf_init(&bytes, 1 << 24);
    tc_buf_init(&again, 1 << 24);
    for (int s = 0; s < 1200; s++) {
        int c = s / 300;
        play_level(e, &g, MONDAY + s * TC_NS_PER_SEC, cases[c].tape, cases[c].lag_ms, &k);
        const struct tc_forecast *f = &k.last_forecast.forecast;
        assert_string_equal(f->inputs, cases[c].level);
        for (int p = 0; p < f->n_points; p++)
            assert_near(f->points[p].p_down + f->points[p].p_none + f->points[p].p_up, 1, 1e-6);
    }
    assert_int_equal(k.last_forecast.forecast.flags & TC_FLAG_COLD, 0); /* Q18 kept what it had learnt */
    assert_int_equal(tc_engine_save(e, &bytes), 0);                     /* all three levels have been used */
    assert_int_equal(tc_engine_load(two, (uint8_t *)bytes.data, bytes.len), 0);
    assert_int_equal(tc_engine_save(two, &again), 0);
    assert_int_equal(bytes.len, again.len);
    assert_memory_equal(bytes.data, again.data, bytes.len);
    for (int s = 1200; s < 1500; s++) {
        struct gen_market copy = g;
        tc_buf_clear(&k.bytes);
        tc_buf_clear(&after.bytes);
        play_level(e, &g, MONDAY + s * TC_NS_PER_SEC, s % 2, s % 3 ? 0 : 2000, &k);
        play_level(two, &copy, MONDAY + s * TC_NS_PER_SEC, s % 2, s % 3 ? 0 : 2000, &after);
        assert_int_equal(k.bytes.len, after.bytes.len);
        assert_memory_equal(k.bytes.data, after.bytes.data, k.bytes.len);
    }
    tc_buf_release(&bytes);
    tc_buf_release(&again);
    tc_buf_release(&k.bytes);
    tc_buf_release(&after.bytes);
    tc_engine_close(e);
    tc_engine_close(two);
}

static void a_restored_engine_goes_on_bit_for_bit(void **state)
{
    (void)state;
    struct tc_engine *one = opened(&always, 3), *two = opened(&always, 3);
    struct gen_market g, h;
    struct sink a, b;
    open_sink(&a);
    open_sink(&b);
    gen_open(&g, 7, 3);
    int64_t offset = play(one, &g, MONDAY, 1500, 0, &a);
    struct tc_buf state1, state2;
    tc_buf_init(&state1, 1 << 24);
    tc_buf_init(&state2, 1 << 24);
    assert_int_equal(tc_engine_save(one, &state1), 0);
    assert_int_equal(tc_engine_load(two, (uint8_t *)state1.data, state1.len), 0);
    assert_int_equal(tc_engine_save(two, &state2), 0);
    assert_int_equal(state1.len, state2.len);
    assert_memory_equal(state1.data, state2.data, state1.len);
    h = g;
    tc_buf_clear(&a.bytes);
    play(one, &g, MONDAY + 1500 * TC_NS_PER_SEC, 2500, offset, &a);
    play(two, &h, MONDAY + 1500 * TC_NS_PER_SEC, 2500, offset, &b);
    assert_true(b.scores > 100 && b.outcomes > 1000);
    assert_int_equal(a.bytes.len, b.bytes.len);
    assert_memory_equal(a.bytes.data, b.bytes.data, a.bytes.len);
    tc_buf_release(&state1);
    tc_buf_release(&state2);
    tc_buf_release(&a.bytes);
    tc_buf_release(&b.bytes);
    tc_engine_close(one);
    tc_engine_close(two);
}

static void a_damaged_or_foreign_checkpoint_is_refused(void **state)
{
    (void)state;
    struct tc_engine *one = opened(&always, 2);
    struct gen_market g;
    struct sink a;
    open_sink(&a);
    gen_open(&g, 7, 2);
    play(one, &g, MONDAY, 200, 0, &a);
    struct tc_buf b;
    tc_buf_init(&b, 1 << 24);
    assert_int_equal(tc_engine_save(one, &b), 0);
    for (size_t cut = 0; cut < b.len; cut += 997) {
        struct tc_engine *two = opened(&always, 2);
        assert_true(tc_engine_load(two, (uint8_t *)b.data, cut) < 0);
        tc_engine_close(two);
    }
    struct tc_engine_conf conf;
    tc_engine_conf_default(&conf);
    conf.horizons_ms[0] = 2000;
    struct tc_engine *other;
    assert_int_equal(tc_engine_open(&conf, &other), 0);
    assert_int_equal(tc_engine_load(other, (uint8_t *)b.data, b.len), TC_ECONF);
    tc_engine_close(other);
    tc_engine_close(one);
    tc_buf_release(&a.bytes);
    tc_buf_release(&b);
}

static void a_bar_from_the_future_stops_the_engine(void **state)
{
    (void)state;
    struct tc_engine *e = opened(&always, 2);
    struct gen_market g;
    gen_open(&g, 1, 2);
    g.trade_p = 1;
    struct sink k;
    open_sink(&k);
    play(e, &g, MONDAY, 100, 0, &k);
    struct tc_record r[65];
    gen_second(&g, MONDAY + 100 * TC_NS_PER_SEC, r);
    r[0].bar.available += TC_NS_PER_SEC; /* known one second after the marker that would use it */
    assert_int_equal(tc_engine_feed(e, &r[0], 0, take, &k), 0);
    assert_int_equal(tc_engine_feed(e, &r[1], 0, take, &k), 0);
    assert_int_equal(tc_engine_feed(e, &r[2], 0, take, &k), TC_EINTERNAL);
    assert_non_null(strstr(tc_error(), "future"));
    tc_engine_close(e);
    tc_buf_release(&k.bytes);
}

static void exchange_rules_hold_sixty_seconds_after_the_open_and_targets_inside(void **state)
{
    (void)state;
    struct tc_engine *e = opened(&xnys, 1);
    struct gen_market g;
    gen_open(&g, 3, 1);
    g.trade_p = 1;
    struct sink k;
    open_sink(&k);
    int64_t open = MONDAY + OPEN * TC_NS_PER_SEC, close = open + 23400 * TC_NS_PER_SEC;
    play(e, &g, open - 100 * TC_NS_PER_SEC, 160, 0, &k);
    assert_int_equal(k.forecasts, 0); /* before the open and in its first minute */
    play(e, &g, open + 60 * TC_NS_PER_SEC, 1, 0, &k);
    assert_int_equal(k.forecasts, 1);
    play(e, &g, open + 61 * TC_NS_PER_SEC, 23400 - 61 - 30, 0, &k);
    assert_int_equal(k.last_forecast.forecast.n_points, 5); /* 60 s would be after the close */
    play(e, &g, close - 30 * TC_NS_PER_SEC, 29, 0, &k);
    assert_int_equal(k.last_forecast.forecast.n_points, 3); /* next, and last and mid after 1 s */
    size_t before = k.forecasts;
    play(e, &g, close - TC_NS_PER_SEC, 200, 0, &k);
    assert_int_equal(k.forecasts, before); /* nothing after the last second */
    assert_int_equal(k.outcomes, before);  /* all origins closed with the session */
    tc_engine_close(e);
    tc_buf_release(&k.bytes);
}

struct tally {
    double n[8][7], model[8][7], base[8][7];
    double covered, banded;
};

static void tally(void *ctx, const struct tc_resolved *r)
{
    struct tally *t = ctx;
    double err = r->move - r->forecast;
    t->n[r->model][r->point] += 1;
    t->model[r->model][r->point] += err * err;
    t->base[r->model][r->point] += r->move * r->move;
    if (r->model == TC_ME_RIDGE && r->point == 0 && !isnan(r->half)) {
        t->banded += 1;
        t->covered += fabs(err) <= r->half;
    }
}

static void sum_scores(const struct sink *k, struct tc_score out[4])
{
    memset(out, 0, 4 * sizeof(*out));
    for (int m = 0; m < 4; m++)
        for (int slot = 0; slot < 48; slot++)
            tc_score_merge(&out[m], &k->next[m][slot]);
}

static void skill_is_found_where_there_is_some_and_scores_tell_it_exactly(void **state)
{
    (void)state;
    struct tc_engine_conf conf;
    tc_engine_conf_default(&conf);
    struct tally *t = calloc(1, sizeof(*t));
    conf.symbols = 1;
    conf.calendar = calendar_of;
    conf.calendar_ctx = &always;
    conf.resolved = tally;
    conf.resolved_ctx = t;
    struct tc_engine *e;
    assert_int_equal(tc_engine_open(&conf, &e), 0);
    struct gen_market g;
    gen_open(&g, 5, 1);
    struct sink k;
    open_sink(&k);
    play(e, &g, MONDAY, 8000, 0, &k);
    assert_int_equal(tc_engine_flush_scores(e, 0, take, &k), 0);
    double ridge = sqrt(t->model[TC_ME_RIDGE][0] / t->base[TC_ME_RIDGE][0]);
    double rev = sqrt(t->model[TC_ME_REVERSAL][0] / t->base[TC_ME_REVERSAL][0]);
    double mic = sqrt(t->model[TC_ME_MICROPRICE][0] / t->base[TC_ME_MICROPRICE][0]);
    assert_true(ridge > 0.7 && ridge < 0.9); /* bounce */
    assert_true(rev > ridge && rev < 0.95);
    assert_true(mic < 0.95);
    double cover = t->covered / t->banded;
    assert_near(cover, 0.9, 0.012);
    assert_true(k.last_forecast.forecast.points[0].gate_open);
    assert_false(k.last_forecast.forecast.points[6].gate_open); /* the mid walks at random */
    struct tc_score s[4];
    sum_scores(&k, s);
    assert_int_equal(s[TC_ME_RIDGE].n, (int64_t)t->n[TC_ME_RIDGE][0]);
    assert_near(s[TC_ME_RIDGE].sq_err, t->model[TC_ME_RIDGE][0], 1e-9);
    assert_near(s[TC_ME_REVERSAL].sq_ridge, t->model[TC_ME_RIDGE][0], 1e-9);
    assert_near(s[TC_ME_MICROPRICE].sq_micro, t->model[TC_ME_MICROPRICE][0], 1e-9);
    assert_near(s[TC_ME_PERSISTENCE].sq_err, s[TC_ME_PERSISTENCE].sq_persist, 0);
    struct tc_score_figures f;
    tc_score_figures(&s[TC_ME_RIDGE], &f);
    assert_true(f.dm_t > 5);
    tc_engine_close(e);
    tc_buf_release(&k.bytes);
    free(t);
}

static void late_forecasts_are_counted_apart_and_flagged(void **state)
{
    (void)state;
    struct tc_engine *e = opened(&always, 1);
    struct gen_market g;
    gen_open(&g, 5, 1);
    g.trade_p = 1;
    g.delay = 1500 * TC_NS_PER_MS; /* too late for one second, not for ten */
    struct sink k;
    open_sink(&k);
    play(e, &g, MONDAY, 300, 0, &k);
    assert_int_equal(k.last_forecast.forecast.flags & TC_FLAG_LATE, TC_FLAG_LATE);
    struct tc_score s[4];
    sum_scores(&k, s);
    assert_int_equal(s[TC_ME_RIDGE].n, 0);
    assert_true(s[TC_ME_RIDGE].n_late > 200);
    tc_engine_close(e);
    tc_buf_release(&k.bytes);
}

static void horizons_shorter_than_the_feeds_delay_are_not_offered(void **state)
{
    (void)state;
    struct tc_engine *e = opened(&always, 1);
    struct gen_market g;
    gen_open(&g, 5, 1);
    g.trade_p = 1;
    struct sink k;
    open_sink(&k);
    struct tc_record r[65];
    int n = gen_second(&g, MONDAY, r);
    r[n - 1].second.delay_ms = 2000;
    for (int i = 0; i < n; i++)
        assert_int_equal(tc_engine_feed(e, &r[i], i, take, &k), 0);
    assert_int_equal(k.last_forecast.forecast.n_points, 5);
    tc_engine_close(e);
    tc_buf_release(&k.bytes);
}

static void after_a_hole_nothing_is_resolved_across_it_and_forecasts_are_flagged(void **state)
{
    (void)state;
    struct tc_engine *e = opened(&always, 1);
    struct gen_market g;
    gen_open(&g, 5, 1);
    g.trade_p = 1;
    struct sink k;
    open_sink(&k);
    play(e, &g, MONDAY, 100, 0, &k);
    assert_int_equal(k.last_forecast.forecast.flags & TC_FLAG_STALE, 0);
    size_t outcomes = k.outcomes;
    struct tc_record gap = {.type = TC_REC_GAP, .from = -1};
    gap.gap = (struct tc_gap){.symbol = "*", .feed = "gen", .reason = "disconnected"};
    gap.gap.start = MONDAY + 100 * TC_NS_PER_SEC;
    gap.gap.end = MONDAY + 200 * TC_NS_PER_SEC;
    assert_int_equal(tc_engine_feed(e, &gap, 0, take, &k), 0);
    assert_int_equal(k.outcomes, 100); /* what was open is closed as unknown */
    assert_true(outcomes < 100);
    play(e, &g, MONDAY + 200 * TC_NS_PER_SEC, 1, 0, &k);
    assert_int_equal(k.last_forecast.forecast.flags & TC_FLAG_STALE, TC_FLAG_STALE);
    play(e, &g, MONDAY + 201 * TC_NS_PER_SEC, 30, 0, &k);
    assert_int_equal(k.last_forecast.forecast.flags & TC_FLAG_STALE, 0);
    tc_engine_close(e);
    tc_buf_release(&k.bytes);
}

static void late_bars_and_revisions_change_nothing(void **state)
{
    (void)state;
    struct tc_engine *one = opened(&always, 1), *two = opened(&always, 1);
    struct gen_market g;
    gen_open(&g, 9, 1);
    struct sink a, b;
    open_sink(&a);
    open_sink(&b);
    struct tc_record r[65];
    for (int s = 0; s < 200; s++) {
        int n = gen_second(&g, MONDAY + s * TC_NS_PER_SEC, r);
        for (int i = 0; i < n; i++) {
            assert_int_equal(tc_engine_feed(one, &r[i], s, take, &a), 0);
            assert_int_equal(tc_engine_feed(two, &r[i], s, take, &b), 0);
        }
        if (r[0].type != TC_REC_BAR)
            continue;
        struct tc_record late = r[0];
        late.bar.close += 1;
        assert_int_equal(tc_engine_feed(two, &late, s, take, &b), 0);
        late.bar.start += TC_NS_PER_SEC;
        late.bar.revision = 1;
        assert_int_equal(tc_engine_feed(two, &late, s, take, &b), 0);
    }
    assert_int_equal(a.bytes.len, b.bytes.len);
    assert_memory_equal(a.bytes.data, b.bytes.data, a.bytes.len);
    tc_engine_close(one);
    tc_engine_close(two);
    tc_buf_release(&a.bytes);
    tc_buf_release(&b.bytes);
}

static void a_market_that_never_closes_goes_on_through_midnight(void **state)
{
    (void)state;
    struct tc_engine *e = opened(&always, 1);
    struct gen_market g;
    gen_open(&g, 3, 1);
    g.trade_p = 1;
    struct sink k;
    open_sink(&k);
    play(e, &g, MONDAY + 86000 * TC_NS_PER_SEC, 399, 0, &k);
    assert_int_equal(k.last_forecast.forecast.day, 20131007);
    play(e, &g, MONDAY + 86399 * TC_NS_PER_SEC, 1, 0, &k);
    assert_int_equal(k.last_forecast.forecast.day, 20131007); /* the second before midnight */
    play(e, &g, MONDAY + 86400 * TC_NS_PER_SEC, 300, 0, &k);
    assert_int_equal(k.last_forecast.forecast.day, 20131008);
    assert_int_equal(k.last_forecast.forecast.flags & (TC_FLAG_COLD | TC_FLAG_STALE), 0);
    assert_int_equal(k.forecasts, 700);
    assert_int_equal(k.outcomes, 640); /* nothing was given up at midnight */
    assert_int_equal(tc_engine_flush_scores(e, 0, take, &k), 0);
    assert_int_equal(k.next[TC_ME_RIDGE][47].n, 399); /* known in the last half hour of the first day */
    assert_int_equal(k.next[TC_ME_RIDGE][0].n, 300);
    assert_int_equal(k.next[TC_ME_RIDGE][0].day, 20131008);
    tc_engine_close(e);
    tc_buf_release(&k.bytes);
}

static int64_t an_hour_ago(void)
{
    return MONDAY - 3600 * TC_NS_PER_SEC;
}

static void a_live_clock_set_back_issues_no_forecast_before_its_inputs(void **state)
{
    (void)state;
    struct tc_engine *e = opened(&always, 1);
    tc_engine_set_clock(e, an_hour_ago);
    struct gen_market g;
    gen_open(&g, 3, 1);
    g.trade_p = 1;
    struct sink k;
    open_sink(&k);
    struct tc_record r[65];
    for (int s = 0; s < 5; s++) {
        int n = gen_second(&g, MONDAY + s * TC_NS_PER_SEC, r);
        r[n - 1].second.log_time = false;
        for (int i = 0; i < n; i++)
            assert_int_equal(tc_engine_feed(e, &r[i], s, take, &k), 0);
        assert_int_equal(k.last_forecast.forecast.issued, r[0].bar.available);
    }
    tc_engine_close(e);
    tc_buf_release(&k.bytes);
}

/* Prices, sizes and quotes that no market has must neither stop the engine nor spoil its sums. */
static void absurd_bars_and_quotes_are_survived(void **state)
{
    (void)state;
    static const double absurd[] = {1e308, -1,   0,   NAN,  INFINITY, 5e-324, 1e-300, 1e13,
                                    1e12,  1e-9, 1e6, 50.0, 1e300,    -1e300, 0.0001, 1e-8};
    enum { N = sizeof(absurd) / sizeof(absurd[0]) };
    struct tc_engine *e = opened(&always, 1);
    struct gen_market g;
    gen_open(&g, 9, 1);
    g.trade_p = 1;
    struct sink k;
    open_sink(&k);
    struct tc_rng rng;
    tc_rng_seed(&rng, 5);
    struct tc_record r[65];
    for (int s = 0; s < 4000; s++) {
        int n = gen_second(&g, MONDAY + s * TC_NS_PER_SEC, r);
        double *fields[] = {&r[0].bar.close,     &r[0].bar.high,           &r[0].bar.low,
                            &r[0].bar.vwap,      &r[0].bar.open,           &r[0].bar.quote.bid,
                            &r[0].bar.quote.ask, &r[0].bar.quote.bid_size, &r[0].bar.quote.ask_size};
        for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]) && s % 3 == 0; f++)
            if (tc_rng_below(&rng, 3) == 0)
                *fields[f] = absurd[tc_rng_below(&rng, N)];
        for (int i = 0; i < n; i++)
            assert_int_equal(tc_engine_feed(e, &r[i], s, take, &k), 0);
        const struct tc_forecast *f = &k.last_forecast.forecast;
        for (int i = 0; i < f->n_points; i++)
            assert_true(isfinite(f->points[i].value) && f->points[i].lo <= f->points[i].hi);
    }
    for (int m = 0; m < 4; m++)
        for (int slot = 0; slot < 48; slot++)
            assert_true(isfinite(k.next[m][slot].sq_err) && isfinite(k.next[m][slot].winkler));
    assert_true(k.forecasts > 2000);
    tc_engine_close(e);
    tc_buf_release(&k.bytes);
}

static void one_symbol_too_many_is_a_clear_error(void **state)
{
    (void)state;
    struct tc_engine *e = opened(&always, 1);
    struct gen_market g;
    gen_open(&g, 9, 2);
    g.trade_p = 1;
    struct sink k;
    open_sink(&k);
    struct tc_record r[65];
    gen_second(&g, MONDAY, r);
    assert_int_equal(tc_engine_feed(e, &r[0], 0, take, &k), 0);
    assert_int_equal(tc_engine_feed(e, &r[1], 0, take, &k), TC_ELIMIT);
    assert_non_null(strstr(tc_error(), "S1"));
    tc_engine_close(e);
    tc_buf_release(&k.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_traded_second_is_forecast_and_each_forecast_gets_its_outcome),
        cmocka_unit_test(the_level_of_each_bar_is_published_and_every_level_goes_on_learning),
        cmocka_unit_test(a_restored_engine_goes_on_bit_for_bit),
        cmocka_unit_test(a_damaged_or_foreign_checkpoint_is_refused),
        cmocka_unit_test(a_bar_from_the_future_stops_the_engine),
        cmocka_unit_test(exchange_rules_hold_sixty_seconds_after_the_open_and_targets_inside),
        cmocka_unit_test(skill_is_found_where_there_is_some_and_scores_tell_it_exactly),
        cmocka_unit_test(late_forecasts_are_counted_apart_and_flagged),
        cmocka_unit_test(horizons_shorter_than_the_feeds_delay_are_not_offered),
        cmocka_unit_test(after_a_hole_nothing_is_resolved_across_it_and_forecasts_are_flagged),
        cmocka_unit_test(late_bars_and_revisions_change_nothing),
        cmocka_unit_test(a_market_that_never_closes_goes_on_through_midnight),
        cmocka_unit_test(a_live_clock_set_back_issues_no_forecast_before_its_inputs),
        cmocka_unit_test(absurd_bars_and_quotes_are_survived),
        cmocka_unit_test(one_symbol_too_many_is_a_clear_error),
    };
    return cmocka_run_group_tests(tests, load_calendars, free_calendars);
}
