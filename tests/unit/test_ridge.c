#include "base/rng.h"
#include "forecast/band.h"
#include "forecast/gate.h"
#include "forecast/ridge.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "near.h"

static void random_inputs(struct tc_rng *r, double z[TC_RIDGE_DIM])
{
    for (int i = 0; i < TC_RIDGE_DIM - 1; i++)
        z[i] = tc_rng_normal(r);
    z[TC_RIDGE_DIM - 1] = 1;
}

static void cholesky_solves_what_gauss_would(void **state)
{
    (void)state;
    double a[] = {4, 2, 5, 1, 2, 6}, b[] = {1, 2, 3}, x[3];
    assert_true(tc_cholesky(a, 3));
    tc_cholesky_solve(a, 3, b, x);
    assert_near(4 * x[0] + 2 * x[1] + 1 * x[2], 1, 1e-12);
    assert_near(2 * x[0] + 5 * x[1] + 2 * x[2], 2, 1e-12);
    assert_near(1 * x[0] + 2 * x[1] + 6 * x[2], 3, 1e-12);
    double bad[] = {1, 2, 1};
    assert_false(tc_cholesky(bad, 2));
}

static void weights_are_found_again_from_noise(void **state)
{
    (void)state;
    static struct tc_ridge r, pool;
    static double b[2 * TC_RIDGE_DIM], pool_b[2 * TC_RIDGE_DIM], w[2 * TC_RIDGE_DIM];
    const struct tc_ridge_penalty penalty[2] = {{1e-6, 50}, {1e-6, 50}};
    struct tc_rng rng;
    tc_rng_seed(&rng, 4);
    assert_false(tc_ridge_solve(&r, b, &pool, pool_b, 1500, penalty, 2, w));
    for (int i = 0; i < 20000; i++) {
        double z[TC_RIDGE_DIM], y[2];
        random_inputs(&rng, z);
        y[0] = 0.5 * z[0] - 0.25 * z[3] + tc_rng_normal(&rng);
        y[1] = 2 * z[TC_RIDGE_DIM - 1] + 0.1 * tc_rng_normal(&rng);
        tc_ridge_add(&r, b, 2, z, y);
    }
    assert_true(tc_ridge_solve(&r, b, &pool, pool_b, 1500, penalty, 2, w));
    assert_near(w[0], 0.5, 0.03);
    assert_near(w[3], -0.25, 0.03);
    assert_near(w[5], 0, 0.03);
    assert_near(w[TC_RIDGE_DIM + TC_RIDGE_DIM - 1], 2, 0.01);
}

static void a_new_symbol_starts_from_the_pool_and_leaves_it_with_its_own_rows(void **state)
{
    (void)state;
    static struct tc_ridge own, pool;
    static double own_b[TC_RIDGE_DIM], pool_b[TC_RIDGE_DIM], w[TC_RIDGE_DIM];
    const struct tc_ridge_penalty penalty[1] = {{1e-3, 50}};
    struct tc_rng rng;
    tc_rng_seed(&rng, 5);
    double z[TC_RIDGE_DIM], y;
    for (int i = 0; i < 50000; i++) {
        random_inputs(&rng, z);
        y = z[0] + tc_rng_normal(&rng);
        tc_ridge_add(&pool, pool_b, 1, z, &y);
    }
    assert_true(tc_ridge_solve(&own, own_b, &pool, pool_b, 1500, penalty, 1, w));
    assert_near(w[0], 1, 0.05);
    for (int i = 0; i < 15000; i++) {
        random_inputs(&rng, z);
        y = -z[0] + tc_rng_normal(&rng);
        tc_ridge_add(&own, own_b, 1, z, &y);
    }
    assert_true(tc_ridge_solve(&own, own_b, &pool, pool_b, 1500, penalty, 1, w));
    assert_near(w[0], (15000.0 * -1 + 1500) / 16500, 0.05);
}

static void what_is_forgotten_counts_less(void **state)
{
    (void)state;
    static struct tc_ridge r, pool;
    static double b[TC_RIDGE_DIM], pool_b[TC_RIDGE_DIM], w[TC_RIDGE_DIM];
    const struct tc_ridge_penalty penalty[1] = {{1e-6, 50}};
    struct tc_rng rng;
    tc_rng_seed(&rng, 6);
    for (int i = 0; i < 20000; i++) {
        double z[TC_RIDGE_DIM], y;
        random_inputs(&rng, z);
        y = (i < 10000 ? 1 : 0) * z[0];
        tc_ridge_forget(&r, b, 1, exp2(-1.0 / 1000));
        tc_ridge_add(&r, b, 1, z, &y);
    }
    assert_true(tc_ridge_solve(&r, b, &pool, pool_b, 0, penalty, 1, w));
    assert_near(w[0], exp2(-10), 1e-3);
    assert_near(r.n, 1 / (1 - exp2(-1.0 / 1000)), 5);
}

static void inputs_are_clipped_and_say_so(void **state)
{
    (void)state;
    double x[TC_FEATURES_MAX] = {0}, z[TC_RIDGE_DIM];
    assert_false(tc_ridge_inputs(TC_SET_T14, x, z));
    assert_near(z[TC_RIDGE_DIM - 1], 1, 0);
    x[0] = 1e9;
    assert_true(tc_ridge_inputs(TC_SET_T14, x, z));
    assert_near(z[0], 6, 0);
}

static double coverage(uint64_t seed, int32_t horizon_ms, double (*sd)(int i))
{
    struct tc_band b;
    struct tc_rng rng;
    tc_band_init(&b, 1);
    tc_rng_seed(&rng, seed);
    int covered = 0;
    for (int i = 0; i < 20000; i++) {
        double e = sd(i) * tc_rng_normal(&rng), half = tc_band_half(&b);
        covered += i >= 2000 && fabs(e) <= half;
        tc_band_learn(&b, horizon_ms, e, half);
    }
    return covered / 18000.0;
}

static double steady(int i)
{
    (void)i;
    return 0.01;
}

static double waves(int i)
{
    return 1 + 0.8 * sin(i / 700.0);
}

static double jump(int i)
{
    return i < 10000 ? 1 : 5;
}

static void bands_cover_ninety_percent_in_calm_and_in_change(void **state)
{
    (void)state;
    assert_near(coverage(1, 0, steady), 0.9, 0.006);
    assert_near(coverage(2, 0, waves), 0.9, 0.006);
    assert_near(coverage(3, 1000, jump), 0.9, 0.006);
    assert_near(coverage(4, 10000, waves), 0.9, 0.01);
    assert_near(coverage(5, 60000, waves), 0.9, 0.02);
}

static void the_width_follows_the_errors(void **state)
{
    (void)state;
    struct tc_band b;
    struct tc_rng rng;
    tc_band_init(&b, 1);
    tc_rng_seed(&rng, 9);
    double sum = 0;
    for (int i = 0; i < 6000; i++) {
        sum += i >= 1000 ? tc_band_half(&b) : 0;
        tc_band_learn(&b, 0, tc_rng_normal(&rng), tc_band_half(&b));
    }
    assert_near(sum / 5000, 1.645, 0.06);
    double before = tc_band_half(&b);
    tc_band_learn(&b, 0, 1e6, tc_band_half(&b)); /* one bad print */
    assert_true(tc_band_half(&b) < 1.25 * before);
}

static void winkler_charges_width_and_misses(void **state)
{
    (void)state;
    assert_near(tc_winkler(0.5, -1, 1), 2, 0);
    assert_near(tc_winkler(-1.5, -1, 1), 2 + 20 * 0.5, 1e-12);
}

/* A minute of 30 samples whose squared error is 2 and the model's 2 - d a sample, give or take. */
static void minute(struct tc_gate *g, struct tc_rng *rng, double d, bool shown)
{
    for (int i = 0; i < 30; i++)
        tc_gate_sample(g, 2, 2 - d + 0.2 * tc_rng_normal(rng), shown);
    tc_gate_block(g, 0);
}

static void a_gate_opens_on_evidence_only_and_closes_at_once(void **state)
{
    (void)state;
    struct tc_gate g;
    struct tc_rng rng;
    tc_rng_seed(&rng, 2);
    tc_gate_init(&g, NAN);
    for (int i = 0; i < 9; i++)
        minute(&g, &rng, 1, false);
    assert_false(tc_gate_is_open(&g)); /* 270 samples */
    for (int i = 0; i < 6; i++)
        minute(&g, &rng, 1, false);
    assert_true(tc_gate_is_open(&g));
    int blocks = 0;
    while (tc_gate_is_open(&g) && blocks < 100) {
        minute(&g, &rng, -2, false); /* not shown: the evidence alone closes it */
        blocks++;
    }
    assert_in_range(blocks, 2, 8);
    for (int i = 0; i < 5; i++)
        minute(&g, &rng, 1, false);
    assert_false(tc_gate_is_open(&g));
}

static void a_gate_closes_within_the_minute_once_the_budget_is_spent(void **state)
{
    (void)state;
    struct tc_gate g;
    struct tc_rng rng;
    tc_rng_seed(&rng, 4);
    tc_gate_init(&g, NAN);
    for (int i = 0; i < 60; i++)
        minute(&g, &rng, 1, true);
    assert_true(tc_gate_is_open(&g));
    double lead = g.shown;
    assert_true(lead > 0);
    int n = 0;
    for (; tc_gate_is_open(&g) && n < 10000; n++)
        tc_gate_sample(&g, 2, 4, true); /* loses 2 a sample; the budget is 0.002 of 2 x 1,800 */
    assert_in_range(n, (int)(lead + 7) / 2, (int)(lead + 10) / 2);
    for (int i = 0; i < 5; i++)
        minute(&g, &rng, 0, false);
    assert_false(tc_gate_is_open(&g));
}

static void luck_alone_seldom_opens_a_gate(void **state)
{
    (void)state;
    struct tc_rng rng;
    tc_rng_seed(&rng, 5);
    int opened = 0, shown_worse = 0;
    for (int day = 0; day < 200; day++) {
        struct tc_gate g;
        double sum = 0;
        tc_gate_init(&g, NAN);
        for (int m = 0; m < 390; m++) {
            for (int i = 0; i < 20; i++) {
                double d = -0.02 + tc_rng_normal(&rng); /* a little worse than no change */
                sum += tc_gate_is_open(&g) ? d : 0;
                tc_gate_sample(&g, 2, 2 - d, tc_gate_is_open(&g));
            }
            tc_gate_block(&g, 0);
        }
        opened += sum != 0;
        shown_worse += sum < -0.004 * 2 * 390 * 20; /* 0.2 % of the day's RMSE */
    }
    assert_true(opened < 20);
    assert_int_equal(shown_worse, 0);
}

static void a_card_opens_the_gate_until_live_figures_contradict(void **state)
{
    (void)state;
    struct tc_gate open, shut;
    struct tc_rng rng;
    tc_rng_seed(&rng, 3);
    tc_gate_init(&shut, 2.5);
    assert_false(tc_gate_is_open(&shut));
    tc_gate_init(&open, 12);
    assert_true(tc_gate_is_open(&open));
    for (int i = 0; i < 6; i++)
        minute(&open, &rng, -1, true);
    assert_false(tc_gate_is_open(&open));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cholesky_solves_what_gauss_would),
        cmocka_unit_test(weights_are_found_again_from_noise),
        cmocka_unit_test(a_new_symbol_starts_from_the_pool_and_leaves_it_with_its_own_rows),
        cmocka_unit_test(what_is_forgotten_counts_less),
        cmocka_unit_test(inputs_are_clipped_and_say_so),
        cmocka_unit_test(bands_cover_ninety_percent_in_calm_and_in_change),
        cmocka_unit_test(the_width_follows_the_errors),
        cmocka_unit_test(winkler_charges_width_and_misses),
        cmocka_unit_test(a_gate_opens_on_evidence_only_and_closes_at_once),
        cmocka_unit_test(a_gate_closes_within_the_minute_once_the_budget_is_spent),
        cmocka_unit_test(luck_alone_seldom_opens_a_gate),
        cmocka_unit_test(a_card_opens_the_gate_until_live_figures_contradict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
