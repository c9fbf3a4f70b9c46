#include "base/clock.h"
#include "base/err.h"
#include "forecast/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "gen_market.h"
#include "near.h"

static const int64_t MONDAY = INT64_C(1381104000) * 1000000000; /* 2013-10-07T00:00Z; XNYS opens 13:30Z */
static const int64_t OPEN = 13 * 3600 + 30 * 60;

static const struct tc_calendar *always_open(void *ctx, const char *symbol)
{
    (void)symbol;
    return ctx;
}

static struct tc_dataset_builder *opened(struct tc_calendar *cal, bool raw)
{
    struct tc_dataset_conf conf = {.set = TC_SET_T14,
                                   .raw = raw,
                                   .n_horizons = 2,
                                   .horizons_ms = {1000, 10000},
                                   .calendar = always_open,
                                   .ctx = cal};
    struct tc_dataset_builder *b;
    assert_int_equal(tc_dataset_open(&conf, &b), 0);
    return b;
}

static void bar(struct tc_dataset_builder *b, int64_t second, double price, double bid, double ask)
{
    struct tc_record r = {.type = TC_REC_BAR, .from = -1};
    r.bar = (struct tc_bar){.symbol = "S", .feed = "gen", .start = second, .interval_ms = 1000};
    r.bar.open = r.bar.high = r.bar.low = r.bar.close = r.bar.vwap = price;
    r.bar.quote = (struct tc_quote){bid, ask, 1, 3};
    assert_int_equal(tc_dataset_feed(b, &r), 0);
}

static void mark(struct tc_dataset_builder *b, int64_t second, bool healthy)
{
    struct tc_record r = {.type = TC_REC_SECOND, .from = -1};
    r.second = (struct tc_second){.feed = "gen", .second = second, .healthy = healthy};
    assert_int_equal(tc_dataset_feed(b, &r), 0);
}

static void targets_are_the_moves_that_came(void **state)
{
    (void)state;
    struct tc_calendar *cal;
    assert_int_equal(tc_calendar_load("always", &cal), 0);
    struct tc_dataset_builder *b = opened(cal, true);
    for (int i = 0; i < 20; i++) { /* trades at even seconds, price 100.00 + 0.01 i, mid 100.005 + 0.01 i */
        int64_t s = MONDAY + i * TC_NS_PER_SEC;
        if (i % 2 == 0)
            bar(b, s, 100 + 0.01 * i, 100 + 0.01 * i, 100.01 + 0.01 * i);
        mark(b, s, true);
    }
    struct tc_dataset d;
    assert_int_equal(tc_dataset_finish(b, &d), 0);
    assert_int_equal(d.n, 1);
    assert_int_equal(d.n_targets, 5);
    const struct tc_sequence *s = &d.sequences[0];
    assert_int_equal(s->rows, 10);
    assert_int_equal(s->day, 20131007);
    const double *y = s->y;
    assert_near(y[0], 2, 1e-9);  /* next: two ticks higher */
    assert_near(y[1], 0, 1e-9);  /* last price one second on: no trade, no change */
    assert_near(y[2], 10, 1e-9); /* ten seconds on */
    assert_near(y[3], 0, 1e-9);
    assert_near(y[4], 10, 1e-9);
    assert_near(s->micro[0], 100 + 0.01 * 0.25, 1e-9);
    assert_near(s->mid[0], 100.005, 1e-9);
    const uint8_t *last = s->mask + 9 * 5; /* row of second 18: nothing after second 19 */
    assert_int_equal(last[0], 0);
    assert_int_equal(last[1], 1);
    assert_int_equal(last[2], 0);
    tc_dataset_free(&d);
    tc_calendar_free(cal);
}

static void nothing_is_known_across_an_unhealthy_second(void **state)
{
    (void)state;
    struct tc_calendar *cal;
    assert_int_equal(tc_calendar_load("always", &cal), 0);
    struct tc_dataset_builder *b = opened(cal, true);
    for (int i = 0; i < 6; i++) {
        if (i != 2)
            bar(b, MONDAY + i * TC_NS_PER_SEC, 100, 99, 101);
        mark(b, MONDAY + i * TC_NS_PER_SEC, i != 2);
    }
    struct tc_dataset d;
    assert_int_equal(tc_dataset_finish(b, &d), 0);
    const struct tc_sequence *s = &d.sequences[0];
    assert_int_equal(s->rows, 5);
    assert_int_equal(s->mask[0], 1);     /* second 0: next is second 1 */
    assert_int_equal(s->mask[5], 0);     /* second 1: next lies behind the hole */
    assert_int_equal(s->mask[5 + 1], 0); /* and its last price at +1 s is unknown */
    assert_int_equal(s->mask[10], 1);
    tc_dataset_free(&d);
    tc_calendar_free(cal);
}

static void exchange_sessions_are_apart_and_their_first_minute_is_masked(void **state)
{
    (void)state;
    struct tc_calendar *cal;
    assert_int_equal(tc_calendar_load(TEST_CALENDARS "/xnys.yaml", &cal), 0);
    struct tc_dataset_builder *b = opened(cal, false);
    for (int day = 0; day < 2; day++)
        for (int i = -30; i < 90; i++) {
            int64_t s = MONDAY + (day * 86400 + OPEN + i) * TC_NS_PER_SEC;
            bar(b, s, 100 + 0.01 * (i & 1), NAN, NAN);
            mark(b, s, true);
        }
    struct tc_dataset d;
    assert_int_equal(tc_dataset_finish(b, &d), 0);
    assert_int_equal(d.n, 2);
    assert_int_equal(d.sequences[1].day, 20131008);
    assert_int_equal(d.sequences[0].rows, 90); /* before the open nothing counts */
    assert_int_equal(d.sequences[1].mask[59 * 5], 0);
    assert_int_equal(d.sequences[1].mask[60 * 5], 1);
    assert_int_equal(d.sequences[1].mask[60 * 5 + 3], 0); /* no quotes, no mid */
    for (int i = 0; i < 14; i++) /* first bar of the day knows nothing of yesterday */
        assert_near(d.sequences[1].x[i], 0, 0);
    tc_dataset_free(&d);
    tc_calendar_free(cal);
}

static void late_bars_and_revisions_are_not_learnt_from(void **state)
{
    (void)state;
    struct tc_calendar *cal;
    assert_int_equal(tc_calendar_load("always", &cal), 0);
    struct tc_dataset_builder *b = opened(cal, true);
    for (int i = 0; i < 5; i++) {
        bar(b, MONDAY + i * TC_NS_PER_SEC, 100, 99, 101);
        bar(b, MONDAY + i * TC_NS_PER_SEC, 55, 99, 101); /* a second version before the marker */
        mark(b, MONDAY + i * TC_NS_PER_SEC, true);
        bar(b, MONDAY + i * TC_NS_PER_SEC, 77, 99, 101); /* after it */
    }
    struct tc_dataset d;
    assert_int_equal(tc_dataset_finish(b, &d), 0);
    assert_int_equal(d.sequences[0].rows, 5);
    for (int i = 0; i < 5; i++)
        assert_near(d.sequences[0].close[i], 100, 0);
    tc_dataset_free(&d);
    tc_calendar_free(cal);
}

static void horizons_that_are_no_whole_seconds_are_refused(void **state)
{
    (void)state;
    struct tc_dataset_conf conf = {.n_horizons = 1, .horizons_ms = {1500}};
    struct tc_dataset_builder *b;
    assert_int_equal(tc_dataset_open(&conf, &b), TC_ECONF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_the_moves_that_came),
        cmocka_unit_test(nothing_is_known_across_an_unhealthy_second),
        cmocka_unit_test(exchange_sessions_are_apart_and_their_first_minute_is_masked),
        cmocka_unit_test(late_bars_and_revisions_are_not_learnt_from),
        cmocka_unit_test(horizons_that_are_no_whole_seconds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
