#include "base/rng.h"
#include "forecast/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "near.h"

/* One sample: outcome y and forecast f, both moves; `block` closes the minute. */
static void add(struct tc_score *s, double *bn, double *bd, double y, double f, bool close)
{
    double e = y - f;
    s->n++;
    s->abs_err += fabs(e);
    s->sq_err += e * e;
    s->abs_persist += fabs(y);
    s->sq_persist += y * y;
    *bn += 1;
    *bd += y * y - e * e;
    if (!close)
        return;
    s->dm_blocks++;
    s->dm_n += (int64_t)*bn;
    s->dm_n2 += *bn * *bn;
    s->dm_d += *bd;
    s->dm_d2 += *bd * *bd;
    s->dm_nd += *bn * *bd;
    *bn = *bd = 0;
}

static struct tc_score made(uint64_t seed, double skill, int n)
{
    struct tc_rng r;
    tc_rng_seed(&r, seed);
    struct tc_score s = {0};
    double bn = 0, bd = 0;
    for (int i = 0; i < n; i++) {
        double f = skill * tc_rng_normal(&r), y = f + tc_rng_normal(&r);
        add(&s, &bn, &bd, y, f, i % 40 == 39);
    }
    return s;
}

static void figures_of_nothing_are_unknown(void **state)
{
    (void)state;
    struct tc_score s = {0};
    struct tc_score_figures f;
    tc_score_figures(&s, &f);
    assert_int_equal(f.n, 0);
    assert_true(isnan(f.ratio) && isnan(f.rmse) && isnan(f.share) && isnan(f.dm_t) && isnan(f.coverage));
}

static void ratio_and_errors_are_those_of_the_samples(void **state)
{
    (void)state;
    struct tc_score s = {
        .n = 4, .abs_err = 4, .sq_err = 8, .abs_persist = 8, .sq_persist = 32, .sq_ridge = 2};
    s.sq_reversal = 8;
    s.n_micro = 2, s.sq_model_micro = 9, s.sq_micro = 4;
    s.banded = 4, s.covered = 3, s.width = 10, s.winkler = 20;
    struct tc_score_figures f;
    tc_score_figures(&s, &f);
    assert_near(f.rmse, sqrt(2), 1e-15);
    assert_near(f.rmse_persistence, sqrt(8), 1e-15);
    assert_near(f.ratio, 0.5, 1e-15);
    assert_near(f.mae, 1, 0);
    assert_near(f.mae_ratio, 0.5, 0);
    assert_near(f.ratio_reversal, 1, 0);
    assert_near(f.ratio_ridge, 2, 0);
    assert_near(f.ratio_microprice, 1.5, 0);
    assert_near(f.coverage, 0.75, 0);
    assert_near(f.width, 2.5, 0);
    assert_near(f.winkler, 5, 0);
}

static struct tc_sample sample(double move, double forecast)
{
    return (struct tc_sample){.move = move,
                              .forecast = forecast,
                              .lo = NAN,
                              .hi = NAN,
                              .p = {NAN, NAN, NAN},
                              .reversal = NAN,
                              .ridge = NAN,
                              .micro = NAN,
                              .base = 100,
                              .half_spread = NAN};
}

static void forecasts_beyond_half_the_spread_are_counted_where_a_quote_was_fresh(void **state)
{
    (void)state;
    struct tc_score s = {0};
    struct tc_score_figures f;
    const double forecasts[] = {0.004, -0.006, 0.005, 0.02};
    for (int i = 0; i < 4; i++) {
        struct tc_sample x = sample(0.01, forecasts[i]);
        x.half_spread = i < 3 ? 0.005 : NAN;
        tc_score_add(&s.sums, &x);
    }
    tc_score_figures(&s, &f);
    assert_int_equal(f.n_spread, 3);
    assert_near(f.beyond, 1.0 / 3, 1e-15);
}

static void moves_as_large_as_bad_prints_are_left_out_of_the_clean_ratio(void **state)
{
    (void)state;
    assert_false(tc_score_flagged(0.3, 100, 0));
    assert_true(tc_score_flagged(-0.301, 100, 1000));
    assert_false(tc_score_flagged(0.9, 100, 10000)); /* 0.3 x root of 10 */
    assert_true(tc_score_flagged(0.95, 100, 10000));
    struct tc_score s = {0};
    struct tc_score_figures f;
    struct tc_sample x = sample(0.02, 0.01), print = sample(1.52, 0);
    tc_score_add(&s.sums, &x);
    tc_score_add(&s.sums, &print);
    tc_score_figures(&s, &f);
    assert_int_equal(f.n_flagged, 1);
    assert_near(f.ratio_clean, 0.5, 1e-9);
    assert_true(f.ratio > 0.9999);
}

static void probabilities_are_scored_against_the_best_constant(void **state)
{
    (void)state;
    struct tc_score s = {0};
    struct tc_score_figures f;
    const double moves[] = {-1, 0, 0, 1};
    for (int i = 0; i < 4; i++) {
        struct tc_sample x = sample(moves[i], 0);
        x.p[0] = 0.2, x.p[1] = 0.5, x.p[2] = 0.3;
        tc_score_add(&s.sums, &x);
    }
    struct tc_sample none = sample(1, 0);
    tc_score_add(&s.sums, &none);
    tc_score_figures(&s, &f);
    assert_int_equal(f.n_prob, 4);
    /* down: .64 + .25 + .09; none twice: .04 + .25 + .09; up: .04 + .25 + .49 */
    assert_near(f.brier, (0.98 + 2 * 0.38 + 0.78) / 4, 1e-12);
    assert_near(f.brier_base, 1 - 1.0 / 16 - 1.0 / 4 - 1.0 / 16, 1e-12);
}

static void the_microprice_is_compared_on_the_same_samples(void **state)
{
    (void)state;
    struct tc_score s = {0};
    struct tc_score_figures f;
    for (int i = 0; i < 4; i++) {
        struct tc_sample x = sample(i % 2 ? 1 : -1, 1);
        x.micro = i < 3 ? -1 : NAN;
        tc_score_add(&s.sums, &x);
    }
    tc_score_figures(&s, &f);
    assert_near(f.share, 0.5, 0);
    assert_near(f.share_microprice, 2.0 / 3, 1e-15);
}

static void wilson_gives_the_published_interval(void **state)
{
    (void)state;
    double p, lo, hi;
    tc_wilson(81, 263, &p, &lo, &hi); /* Newcombe 1998, table I, method 3: 0.2553 to 0.3662 */
    assert_near(lo, 0.2553, 5e-5);
    assert_near(hi, 0.3662, 5e-5);
    tc_wilson(0, 0, &p, &lo, &hi);
    assert_true(isnan(p) && isnan(lo) && isnan(hi));
}

static void parts_merged_say_the_same_as_the_whole(void **state)
{
    (void)state;
    struct tc_score a = made(1, 0.5, 4000), b = made(2, 0.5, 2000), whole = {0};
    tc_score_merge(&whole, &a);
    tc_score_merge(&whole, &b);
    struct tc_score_figures f;
    tc_score_figures(&whole, &f);
    assert_int_equal(f.n, 6000);
    assert_near(f.ratio, sqrt((a.sq_err + b.sq_err) / (a.sq_persist + b.sq_persist)), 1e-14);
    assert_int_equal(whole.dm_blocks, 150);
}

static void skill_has_a_large_t_and_no_skill_a_small_one(void **state)
{
    (void)state;
    struct tc_score_figures f;
    struct tc_score s = made(3, 0.5, 8000);
    tc_score_figures(&s, &f);
    assert_true(f.dm_t > 10);
    assert_true(f.ratio_lo < f.ratio && f.ratio < f.ratio_hi && f.ratio_hi < 1);
    assert_true(f.ratio_lo < sqrt(1 / 1.25) && sqrt(1 / 1.25) < f.ratio_hi);
}

static void useless_forecasts_reject_no_more_often_than_they_should(void **state)
{
    (void)state;
    int rejected = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct tc_rng r;
        tc_rng_seed(&r, seed);
        struct tc_score s = {0};
        double bn = 0, bd = 0;
        for (int i = 0; i < 2000; i++) { /* d has mean zero: model and persistence err alike */
            double a = tc_rng_normal(&r), b = tc_rng_normal(&r);
            add(&s, &bn, &bd, a, a - b, i % 40 == 39);
        }
        struct tc_score_figures f;
        tc_score_figures(&s, &f);
        rejected += fabs(f.dm_t) > 1.96;
    }
    assert_in_range(rejected, 8, 40); /* 5 % of 400 = 20 */
}

/* Moves over h seconds, one a second, of a random walk: the sums of a minute hang together with the next. */
static double overlapping_t(uint64_t seed, int h)
{
    enum { N = 60 * 120, LONG = 400 };
    static double step[N + LONG];
    struct tc_rng r;
    tc_rng_seed(&r, seed);
    for (int i = 0; i < N + LONG; i++)
        step[i] = tc_rng_normal(&r);
    struct tc_score s = {.horizon_ms = 1000 * h};
    double bn = 0, bd = 0;
    for (int i = 0; i < N; i++) {
        double y = 0;
        for (int k = 0; k < h; k++)
            y += step[i + k];
        double f = 0.05 * h * step[i > 0 ? i - 1 : N];
        add(&s, &bn, &bd, y + f / 2, f, i % 60 == 59); /* model and persistence err alike */
    }
    struct tc_score_figures out;
    tc_score_figures(&s, &out);
    return out.dm_t;
}

static void overlap_of_long_horizons_is_charged_for(void **state)
{
    (void)state;
    struct tc_score s = made(3, 0.5, 8000), slow = s;
    slow.horizon_ms = 60000;
    struct tc_score_figures f, g;
    tc_score_figures(&s, &f);
    tc_score_figures(&slow, &g);
    assert_near(g.dm_t * sqrt(1.5), f.dm_t, 1e-9);
    slow.horizon_ms = 300000;
    tc_score_figures(&slow, &g);
    assert_near(g.dm_t, f.dm_t / sqrt(300 / (60 - 4.0)), 1e-9);
    int rejected = 0;
    for (uint64_t seed = 0; seed < 200; seed++)
        rejected += fabs(overlapping_t(seed, 10)) > 1.96;
    assert_in_range(rejected, 0, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_of_nothing_are_unknown),
        cmocka_unit_test(ratio_and_errors_are_those_of_the_samples),
        cmocka_unit_test(forecasts_beyond_half_the_spread_are_counted_where_a_quote_was_fresh),
        cmocka_unit_test(moves_as_large_as_bad_prints_are_left_out_of_the_clean_ratio),
        cmocka_unit_test(probabilities_are_scored_against_the_best_constant),
        cmocka_unit_test(the_microprice_is_compared_on_the_same_samples),
        cmocka_unit_test(wilson_gives_the_published_interval),
        cmocka_unit_test(parts_merged_say_the_same_as_the_whole),
        cmocka_unit_test(skill_has_a_large_t_and_no_skill_a_small_one),
        cmocka_unit_test(useless_forecasts_reject_no_more_often_than_they_should),
        cmocka_unit_test(overlap_of_long_horizons_is_charged_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
