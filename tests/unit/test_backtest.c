#include "base/clock.h"
#include "base/err.h"
#include "forecast/reference.h"
#include "forecast/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
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

/* Two days of 6,000 seconds. */
static void make_dataset(struct tc_dataset *d)
{
    struct tc_dataset_conf conf = {
        .set = TC_SET_T14, .raw = true, .n_horizons = 1, .horizons_ms = {1000}, .calendar = calendar_of};
    struct tc_dataset_builder *b;
    assert_int_equal(tc_dataset_open(&conf, &b), 0);
    struct gen_market g;
    gen_open(&g, 11, 1);
    struct tc_record r[8];
    for (int day = 0; day < 2; day++)
        for (int s = 0; s < 6000; s++) {
            int n = gen_second(&g, MONDAY + (day * 86400 + s) * TC_NS_PER_SEC, r);
            for (int i = 0; i < n; i++)
                assert_int_equal(tc_dataset_feed(b, &r[i]), 0);
        }
    assert_int_equal(tc_dataset_finish(b, d), 0);
}

static struct tc_reference_result fitted(const struct tc_dataset *d, int32_t shift, uint64_t shuffle)
{
    struct tc_reference_conf c = {.symbol = "S0",
                                  .train_from = 20131007,
                                  .train_to = 20131007,
                                  .test_from = 20131008,
                                  .test_to = 20131008,
                                  .lambda = 0.01,
                                  .shift = shift,
                                  .shuffle = shuffle};
    struct tc_reference_result r;
    assert_int_equal(tc_reference_ridge(d, &c, &r), 0);
    return r;
}

static void honest_features_have_skill_and_lose_it_when_they_come_late(void **state)
{
    (void)state;
    struct tc_dataset d;
    make_dataset(&d);
    struct tc_reference_result as_is = fitted(&d, 0, 0), late = fitted(&d, 1, 0);
    assert_true(as_is.ratio < 0.95 && as_is.dm_t > 5);
    assert_near(late.ratio, 1, 0.01);
    assert_null(tc_reference_leak(&as_is, &late));
    tc_dataset_free(&d);
}

static void shuffled_outcomes_teach_nothing(void **state)
{
    (void)state;
    struct tc_dataset d;
    make_dataset(&d);
    assert_near(fitted(&d, 0, 7).ratio, 1, 0.01);
    tc_dataset_free(&d);
}

static void features_one_bar_early_are_caught(void **state)
{
    (void)state;
    struct tc_dataset d;
    make_dataset(&d);
    /* Shift -1 reads the next bar's features. Seen from that leak, "one bar late" is what honest ones are. */
    struct tc_reference_result leaked = fitted(&d, -1, 0), leaked_late = fitted(&d, 0, 0);
    assert_true(leaked.ratio < 0.5);
    assert_non_null(tc_reference_leak(&leaked, &leaked_late));
    assert_non_null(strstr(tc_reference_leak(&leaked, &leaked_late), "future"));
    tc_dataset_free(&d);
}

static void days_without_rows_are_a_clear_error(void **state)
{
    (void)state;
    struct tc_dataset d;
    make_dataset(&d);
    struct tc_reference_conf c = {.symbol = "S0", .train_to = 20131006, .test_to = 20131008};
    struct tc_reference_result r;
    assert_int_equal(tc_reference_ridge(&d, &c, &r), TC_ENOTFOUND);
    c.symbol = "NONE";
    c.train_to = 20131008;
    assert_int_equal(tc_reference_ridge(&d, &c, &r), TC_ENOTFOUND);
    tc_dataset_free(&d);
}

static void newey_west_widens_where_losses_hang_together(void **state)
{
    (void)state;
    struct tc_rng rng;
    tc_rng_seed(&rng, 1);
    enum { N = 4000 };
    static double white[N], slow[N];
    double v = 0;
    for (int i = 0; i < N; i++) {
        white[i] = 0.1 + tc_rng_normal(&rng);
        v = 0.8 * v + 0.6 * tc_rng_normal(&rng);
        slow[i] = 0.1 + v;
    }
    double se_white, se_slow, plain;
    tc_newey_west_t(white, N, 20, &se_white);
    tc_newey_west_t(slow, N, 20, &se_slow);
    tc_newey_west_t(slow, N, 0, &plain);
    assert_near(se_white, 1 / sqrt(N), 0.002);
    assert_true(se_slow > 2 * plain);
    assert_true(isnan(tc_newey_west_t(white, 1, 10, NULL)));
    assert_int_equal(tc_dm_lags(0), 10);
    assert_int_equal(tc_dm_lags(10000), 20);
    assert_int_equal(tc_dm_lags(60000), 120);
}

static struct tc_backtest *played(int32_t report_from)
{
    struct tc_backtest_conf conf = {.report_from = report_from};
    tc_engine_conf_default(&conf.engine);
    conf.engine.calendar = calendar_of;
    struct tc_backtest *b;
    assert_int_equal(tc_backtest_open(&conf, &b), 0);
    struct gen_market g;
    gen_open(&g, 12, 2);
    struct tc_record r[8];
    for (int day = 0; day < 2; day++)
        for (int s = 0; s < 4000; s++) {
            int n = gen_second(&g, MONDAY + (day * 86400 + s) * TC_NS_PER_SEC, r);
            for (int i = 0; i < n; i++)
                assert_int_equal(tc_backtest_feed(b, &r[i], s), 0);
        }
    return b;
}

static void earlier_days_teach_and_do_not_count(void **state)
{
    (void)state;
    struct tc_backtest *both = played(0), *second = played(20131008);
    struct tc_backtest_row a, z;
    assert_true(tc_backtest_row(both, 0, TC_ME_RIDGE, 0, &a));
    assert_true(tc_backtest_row(second, 0, TC_ME_RIDGE, 0, &z));
    assert_true(z.f.n < a.f.n * 0.55 && z.f.n > a.f.n * 0.45);
    assert_true(z.f.ratio < 0.95 && z.f.ratio_lo < z.f.ratio && z.f.ratio < z.f.ratio_hi);
    assert_true(z.f.dm_t > 5 && isnan(z.f.dm_t_ridge));
    assert_true(tc_backtest_row(second, 0, TC_ME_REVERSAL, 0, &z));
    assert_true(z.f.dm_t_ridge < -2);
    int32_t from, to;
    tc_backtest_span(second, &from, &to);
    assert_int_equal(from, 20131008);
    assert_int_equal(to, 20131008);
    tc_backtest_close(both);
    tc_backtest_close(second);
}

static void reports_are_whole_and_escape_what_they_print(void **state)
{
    (void)state;
    struct tc_backtest *b = played(0);
    struct tc_report_head head = {.command = "tickcast backtest <x>", .inputs = "trades"};
    struct tc_buf text, csv, html;
    tc_buf_init(&text, 1 << 22);
    tc_buf_init(&csv, 1 << 22);
    tc_buf_init(&html, 1 << 22);
    tc_report_text(b, &head, TC_BY_DAY, &text);
    tc_report_csv(b, &csv);
    tc_report_html(b, &head, &html);
    assert_non_null(strstr(text.data, "S1 mid+60s"));
    assert_non_null(strstr(text.data, "ratio by day"));
    assert_non_null(strstr(text.data, "2013-10-08"));
    size_t lines = 0;
    for (size_t i = 0; i < csv.len; i++)
        lines += csv.data[i] == '\n';
    assert_int_equal(lines, 1 + 2 * 4 * 7); /* head; symbols x models x points */
    assert_non_null(strstr(html.data, "&lt;x>"));
    assert_null(strstr(html.data, "<script"));
    assert_null(strstr(html.data, "http"));
    assert_non_null(strstr(html.data, "<polyline"));
    assert_memory_equal(html.data + html.len - 8, "</html>\n", 8);
    tc_buf_release(&text);
    tc_buf_release(&csv);
    tc_buf_release(&html);
    tc_backtest_close(b);
}

/* Days and half hours are parts of the same samples. */
static void parts_add_up_to_the_whole(void **state)
{
    (void)state;
    struct tc_backtest *b = played(0);
    const struct tc_backtest_cell *c = tc_backtest_cell(b, 0, TC_ME_RIDGE, 0);
    struct tc_score_sums days = {0}, slots = {0};
    int64_t residuals = 0;
    assert_int_equal(c->n_days, 2);
    for (size_t i = 0; i < c->n_days; i++) {
        days.n += c->days[i].sums.n;
        days.sq_err += c->days[i].sums.sq_err;
    }
    for (int i = 0; i < 48; i++) {
        slots.n += c->slot[i].n;
        slots.beyond += c->slot[i].beyond;
        slots.sq_err += c->slot[i].sq_err;
    }
    for (int i = 0; i < TC_RESIDUAL_BINS; i++)
        residuals += c->residual[i];
    assert_int_equal(days.n, c->total.n);
    assert_int_equal(slots.n, c->total.n);
    assert_int_equal(slots.beyond, c->total.beyond);
    assert_int_equal(residuals, c->total.banded);
    assert_near(days.sq_err, c->total.sq_err, 1e-9 * c->total.sq_err);
    assert_near(slots.sq_err, c->total.sq_err, 1e-9 * c->total.sq_err);
    int64_t inside = 0; /* bins 9 to 16 lie between the band's edges */
    for (int i = 9; i <= 16; i++)
        inside += c->residual[i];
    assert_true(llabs(inside - c->total.covered) <= 2); /* an error that equals the half width */
    tc_backtest_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_features_have_skill_and_lose_it_when_they_come_late),
        cmocka_unit_test(shuffled_outcomes_teach_nothing),
        cmocka_unit_test(features_one_bar_early_are_caught),
        cmocka_unit_test(days_without_rows_are_a_clear_error),
        cmocka_unit_test(newey_west_widens_where_losses_hang_together),
        cmocka_unit_test(earlier_days_teach_and_do_not_count),
        cmocka_unit_test(reports_are_whole_and_escape_what_they_print),
        cmocka_unit_test(parts_add_up_to_the_whole),
    };
    return cmocka_run_group_tests(tests, load_calendar, free_calendar);
}
