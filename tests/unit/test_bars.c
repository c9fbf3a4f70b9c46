/* The bar builder against plain recomputation, and its rules for late, early and strange input. */
#include "base/clock.h"
#include "base/rng.h"
#include "market/bars.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define S TC_NS_PER_SEC
#define T0 (INT64_C(1381152600) * S)

static const char names[2][TC_SYMBOL_SIZE] = {"SPY", "IBM"};

static struct tc_bars *make(enum tc_bars_from from, bool fresh)
{
    struct tc_bars_conf conf = {2, names, "test", TC_ORIGIN_REPLAY, from, fresh, false};
    struct tc_bars *b;
    assert_int_equal(tc_bars_open(&conf, &b), 0);
    tc_bars_start_day(b, T0);
    return b;
}

static enum tc_bars_fate trade(struct tc_bars *b, int64_t time, double price, double size)
{
    struct tc_trade t = {.price = price, .size = size};
    return tc_bars_trade(b, 0, time, &t);
}

static enum tc_bars_fate quote(struct tc_bars *b, uint32_t sym, int64_t time, double bid, double ask)
{
    struct tc_quote q = {bid, ask, 100, 200};
    return tc_bars_quote(b, sym, time, &q);
}

static void a_second_of_trades_becomes_a_bar_with_plain_vwap(void **state)
{
    (void)state;
    struct tc_bars *b = make(TC_BARS_FROM_TRADES, true);
    trade(b, T0, 10.0, 100);
    trade(b, T0 + 1, 10.02, 300);
    trade(b, T0 + S - 1, 9.99, 0);
    tc_bars_close_second(b);
    struct tc_bar bar;
    assert_true(tc_bars_closed_bar(b, 0, T0 + S, &bar));
    assert_false(tc_bars_closed_bar(b, 1, T0 + S, &bar));
    assert_true(bar.open == 10.0 && bar.high == 10.02 && bar.low == 9.99 && bar.close == 9.99);
    assert_true(bar.volume == 400 && bar.trades == 3 && bar.vwap == (1000.0 + 10.02 * 300) / 400);
    assert_true(isnan(bar.quote.bid) && isnan(bar.quote_lag_ms) && isnan(bar.tape.sv));
    assert_string_equal(bar.symbol, "SPY");
    assert_string_equal(bar.feed, "test");
    assert_true(bar.start == T0 && bar.available == T0 + S && bar.revision == 0);
    tc_bars_close_second(b);
    assert_false(tc_bars_closed_bar(b, 0, T0 + 2 * S, &bar));
    trade(b, T0 + 2 * S, 10, 0);
    tc_bars_close_second(b);
    assert_true(tc_bars_closed_bar(b, 0, T0 + 3 * S, &bar));
    assert_true(isnan(bar.vwap) && bar.volume == 0);
    tc_bars_close(b);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The definitions of forecast.md written down once more, over whole arrays. */
struct plain {
    double price[4000], size[4000], clean[4000];
    bool lit[4000], clean_lit[4000];
    int n, m, sign[4000];
};

static bool plain_add(struct plain *p, double price, double size, bool lit)
{
    p->price[p->n] = price;
    p->size[p->n] = size;
    p->lit[p->n++] = lit;
    int first = p->n > 21 ? p->n - 21 : 0, k = p->n - first;
    double window[21];
    memcpy(window, p->price + first, sizeof(double) * (size_t)k);
    qsort(window, (size_t)k, sizeof(double), compare);
    double median = k % 2 ? window[k / 2] : (window[k / 2 - 1] + window[k / 2]) / 2;
    if (!(fabs(price - median) < 0.003 * median))
        return false;
    p->clean[p->m] = price;
    p->clean_lit[p->m] = lit;
    double before = p->m ? p->clean[p->m - 1] : price;
    p->sign[p->m] = price > before ? 1 : price < before ? -1 : p->m ? p->sign[p->m - 1] : 0;
    p->m++;
    return true;
}

static double mean_of_last(const struct plain *p, int k)
{
    int from = p->m > k ? p->m - k : 0;
    double sum = 0;
    for (int i = from; i < p->m; i++)
        sum += p->clean[i];
    return sum / (p->m - from);
}

static void check_tape(const struct plain *p, double sv, const struct tc_tape *tape)
{
    double up = NAN, dn = NAN, lit = NAN, signs = 0;
    for (int i = 0; i < p->m; i++) {
        up = p->sign[i] > 0 ? p->clean[i] : up;
        dn = p->sign[i] < 0 ? p->clean[i] : dn;
        lit = p->clean_lit[i] ? p->clean[i] : lit;
        signs += i >= p->m - 20 ? p->sign[i] : 0;
    }
    assert_true(tape->tm5 == mean_of_last(p, 5));
    assert_true(tape->tm20 == mean_of_last(p, 20));
    assert_true(tape->sg20 == signs / (p->m < 20 ? p->m : 20));
    assert_true(tape->up == up || (isnan(up) && isnan(tape->up)));
    assert_true(tape->dn == dn || (isnan(dn) && isnan(tape->dn)));
    assert_true(tape->lit == lit || (isnan(lit) && isnan(tape->lit)));
    assert_true(tape->sv == sv || (isnan(sv) && isnan(tape->sv)));
}

static void the_tape_equals_a_recomputation_over_all_trades(void **state)
{
    (void)state;
    static struct plain p;
    memset(&p, 0, sizeof(p));
    struct tc_rng rng;
    tc_rng_seed(&rng, 7);
    struct tc_bars *b = make(TC_BARS_FROM_TRADES, true);
    double price = 100, mid = NAN, next_mid = NAN;
    int bars = 0, dropped = 0;
    for (int second = 0; second < 600; second++) {
        double sv = isnan(mid) ? NAN : 0;
        int n = (int)tc_rng_below(&rng, 8);
        for (int i = 0; i < n; i++) {
            price = round(price * 100 + (double)tc_rng_below(&rng, 5) - 2) / 100;
            double shown = tc_rng_below(&rng, 40) == 0 ? price * 1.02 : price;
            struct tc_trade t = {.price = shown,
                                 .size = (double)tc_rng_below(&rng, 900),
                                 .off_exchange = tc_rng_below(&rng, 3) == 0};
            if (!plain_add(&p, shown, t.size, !t.off_exchange))
                dropped++;
            else if (!isnan(mid))
                sv += shown > mid ? sqrt(t.size) : shown < mid ? -sqrt(t.size) : 0;
            assert_int_equal(tc_bars_trade(b, 0, T0 + second * S + i, &t), TC_BARS_TAKEN);
        }
        if (second > 3 && second % 3 == 0) {
            quote(b, 0, T0 + second * S + S - 1, price - 0.01, price + 0.02);
            next_mid = (price - 0.01 + price + 0.02) / 2;
        }
        tc_bars_close_second(b);
        struct tc_bar bar;
        assert_int_equal(tc_bars_closed_bar(b, 0, 1, &bar), n > 0);
        if (n > 0 && p.m > 0) {
            check_tape(&p, sv, &bar.tape);
            bars++;
        }
        mid = next_mid;
    }
    assert_true(bars > 400 && dropped > 20);
    tc_bars_close(b);
}

static void a_quote_stays_in_force_until_the_next_and_is_sent_only_when_it_moved(void **state)
{
    (void)state;
    struct tc_bars *b = make(TC_BARS_FROM_TRADES, false);
    struct tc_second_quote q;
    struct tc_bar bar;
    quote(b, 0, T0 + 100, 10, 10.01);
    quote(b, 0, T0 + 200 * TC_NS_PER_MS, 10.01, 10.02);
    tc_bars_close_second(b);
    assert_true(tc_bars_closed_quote(b, 0, 5, &q));
    assert_true(q.quote.bid == 10.01 && q.quote_lag_ms == 800 && q.second == T0 && q.available == 5);
    assert_false(tc_bars_closed_quote(b, 1, 5, &q));
    quote(b, 0, T0 + S, 10.01, 10.02); /* the same again */
    tc_bars_close_second(b);
    assert_false(tc_bars_closed_quote(b, 0, 5, &q));
    trade(b, T0 + 2 * S, 10, 1);
    quote(b, 0, T0 + 2 * S, 0, 10.02); /* one-sided: does not replace, but the feed lives */
    quote(b, 1, T0 + 2 * S + 400 * TC_NS_PER_MS, 50, 51);
    tc_bars_close_second(b);
    assert_false(tc_bars_closed_quote(b, 0, 5, &q));
    assert_true(tc_bars_closed_bar(b, 0, 5, &bar));
    assert_true(bar.quote.bid == 10.01 && bar.quote_lag_ms == 600);
    tc_bars_close_second(b);
    trade(b, T0 + 4 * S, 10, 1);
    tc_bars_close_second(b);
    assert_true(tc_bars_closed_bar(b, 0, 5, &bar));
    assert_true(bar.quote.bid == 10.01 && bar.quote_lag_ms == 2600);
    tc_bars_close(b);
    b = make(TC_BARS_FROM_TRADES, true);
    quote(b, 0, T0, 10, 10.01);
    tc_bars_close_second(b);
    trade(b, T0 + S, 10, 1);
    tc_bars_close_second(b);
    assert_true(tc_bars_closed_bar(b, 0, 5, &bar));
    assert_true(bar.quote_lag_ms == 0);
    tc_bars_close(b);
}

static void a_late_trade_makes_a_revision_with_a_later_availability(void **state)
{
    (void)state;
    struct tc_bars *b = make(TC_BARS_FROM_TRADES, true);
    struct tc_bar bar;
    trade(b, T0 + 10, 10, 100);
    trade(b, T0 + 20, 11, 100);
    tc_bars_close_second(b);
    assert_true(tc_bars_closed_bar(b, 0, 1000, &bar));
    double tm5 = bar.tape.tm5;
    assert_int_equal(trade(b, T0 + 15, 12, 100), TC_BARS_REVISED);
    tc_bars_revision(b, 0, T0 + 15, 1000, &bar);
    assert_true(bar.revision == 1 && bar.available == 1001 && bar.high == 12 && bar.close == 11);
    assert_true(bar.trades == 3 && bar.tape.tm5 == tm5);
    assert_int_equal(trade(b, T0 + 30, 9, 100), TC_BARS_REVISED);
    tc_bars_revision(b, 0, T0 + 30, 5000, &bar);
    assert_true(bar.revision == 2 && bar.available == 5000 && bar.close == 9 && bar.open == 10);
    assert_int_equal(trade(b, T0 + 5, 8, 100), TC_BARS_REVISED);
    tc_bars_revision(b, 0, T0 + 5, 6000, &bar);
    assert_true(bar.open == 8);
    /* a second that closed empty gets its first bar late, with nothing claimed about the tape */
    tc_bars_close_second(b);
    assert_false(tc_bars_closed_bar(b, 0, 7000, &bar));
    assert_int_equal(trade(b, T0 + S, 10, 1), TC_BARS_REVISED);
    tc_bars_revision(b, 0, T0 + S, 8000, &bar);
    assert_true(bar.revision == 0 && bar.close == 10 && isnan(bar.tape.tm5) && isnan(bar.tape.up));
    for (int i = 0; i < TC_BARS_HELD; i++)
        tc_bars_close_second(b);
    assert_int_equal(trade(b, T0 + 40, 9, 100), TC_BARS_TOO_LATE);
    tc_bars_close(b);
}

static void several_seconds_may_be_open_and_each_keeps_its_own_tape_and_quote(void **state)
{
    (void)state;
    struct tc_bars *b = make(TC_BARS_FROM_TRADES, true);
    struct tc_bar bar;
    trade(b, T0, 10, 1);
    quote(b, 0, T0, 9.99, 10.01);
    trade(b, T0 + S, 10.02, 1);
    quote(b, 0, T0 + S, 10.01, 10.03);
    assert_int_equal(trade(b, T0 + 1, 10.01, 1), TC_BARS_TAKEN); /* late within the open second */
    assert_int_equal(trade(b, T0 + TC_BARS_HELD * S, 10, 1), TC_BARS_AHEAD);
    tc_bars_close_second(b);
    assert_true(tc_bars_closed_bar(b, 0, 1, &bar));
    assert_true(bar.trades == 2 && bar.close == 10.01 && bar.tape.tm5 == 10 && bar.quote.bid == 9.99);
    tc_bars_close_second(b);
    assert_true(tc_bars_closed_bar(b, 0, 1, &bar));
    assert_true(bar.tape.tm5 == (10 + 10.02) / 2 && bar.quote.bid == 10.01 && bar.tape.sv == 1);
    tc_bars_close(b);
}

static void merged_takes_prices_from_the_vendor_and_the_rest_from_the_trades(void **state)
{
    (void)state;
    struct tc_bars *b = make(TC_BARS_FROM_MERGED, true);
    struct tc_event_bar v = {.open = 10, .high = 10.5, .low = 9.5, .close = 10.2, .vwap = NAN, .volume = 70};
    struct tc_bar bar;
    trade(b, T0, 10, 100);
    trade(b, T0, 11, 100); /* 10 % off: in the VWAP, not in the tape */
    assert_int_equal(tc_bars_bar(b, 0, T0, &v), TC_BARS_TAKEN);
    tc_bars_close_second(b);
    assert_true(tc_bars_closed_bar(b, 0, 1, &bar));
    assert_true(bar.close == 10.2 && bar.volume == 70 && bar.vwap == 10.5 && bar.trades == 2);
    trade(b, T0 + S, 10, 100); /* no vendor's bar: no bar */
    tc_bars_close_second(b);
    assert_false(tc_bars_closed_bar(b, 0, 1, &bar));
    assert_int_equal(trade(b, T0 + S, 10, 100), TC_BARS_TOO_LATE);
    tc_bars_bar(b, 0, T0 + 2 * S, &v); /* no trades: prices and the tape so far */
    tc_bars_close_second(b);
    assert_true(tc_bars_closed_bar(b, 0, 1, &bar));
    assert_true(bar.trades == 0 && isnan(bar.vwap) && bar.tape.tm5 == 10);
    tc_bars_close(b);
}

static void vendor_bars_pass_through_and_are_revised_or_recognised(void **state)
{
    (void)state;
    struct tc_bars *b = make(TC_BARS_FROM_SECONDS, true);
    struct tc_event_bar v = {.open = 10, .high = 10.5, .low = 9.5, .close = 10.2, .vwap = 10.1, .volume = 7};
    struct tc_bar bar;
    v.trades = 3;
    quote(b, 0, T0, 10, 11);
    tc_bars_close_second(b);
    tc_bars_bar(b, 0, T0 + S, &v);
    tc_bars_close_second(b);
    assert_true(tc_bars_closed_bar(b, 0, 1, &bar));
    assert_true(bar.vwap == 10.1 && bar.trades == 3 && isnan(bar.tape.sv) && isnan(bar.tape.tm20));
    assert_int_equal(tc_bars_bar(b, 0, T0 + S, &v), TC_BARS_DUPLICATE);
    v.close = 10.3;
    assert_int_equal(tc_bars_bar(b, 0, T0 + S, &v), TC_BARS_REVISED);
    tc_bars_revision(b, 0, T0 + S, 1, &bar);
    assert_true(bar.close == 10.3 && bar.revision == 1 && bar.available == 2);
    v.close = 99;
    assert_int_equal(tc_bars_bar(b, 0, T0 + 2 * S, &v), TC_BARS_BAD);
    tc_bars_close(b);
}

static void strange_numbers_are_refused(void **state)
{
    (void)state;
    struct tc_bars *b = make(TC_BARS_FROM_TRADES, true);
    assert_int_equal(trade(b, T0, 0, 1), TC_BARS_BAD);
    assert_int_equal(trade(b, T0, -1, 1), TC_BARS_BAD);
    assert_int_equal(trade(b, T0, NAN, 1), TC_BARS_BAD);
    assert_int_equal(trade(b, T0, INFINITY, 1), TC_BARS_BAD);
    assert_int_equal(trade(b, T0, 1, -1), TC_BARS_BAD);
    assert_int_equal(trade(b, T0, 1, NAN), TC_BARS_BAD);
    assert_int_equal(quote(b, 0, T0, NAN, 1), TC_BARS_BAD);
    assert_int_equal(trade(b, INT64_MIN, 1, 1), TC_BARS_TOO_LATE);
    assert_int_equal(trade(b, INT64_MAX, 1, 1), TC_BARS_AHEAD);
    tc_bars_close(b);
}

static void a_new_day_forgets_quotes_and_tape(void **state)
{
    (void)state;
    struct tc_bars *b = make(TC_BARS_FROM_TRADES, true);
    struct tc_bar bar;
    trade(b, T0, 10, 1);
    quote(b, 0, T0, 9, 11);
    tc_bars_close_second(b);
    tc_bars_start_day(b, T0 + 86400 * S);
    trade(b, T0 + 86400 * S, 20, 1);
    tc_bars_close_second(b);
    assert_true(tc_bars_closed_bar(b, 0, 1, &bar));
    assert_true(isnan(bar.quote.bid) && bar.tape.tm20 == 20 && bar.start == T0 + 86400 * S);
    tc_bars_close(b);
}

static void feed_second(struct tc_bars *b, struct tc_rng *rng, int second)
{
    for (int i = 0; i < 6; i++)
        trade(b, T0 + second * S + i, 10 + (double)tc_rng_below(rng, 5) / 100, (double)tc_rng_below(rng, 9));
    quote(b, 0, T0 + second * S, 10, 10.01 + (double)tc_rng_below(rng, 3) / 100);
}

static void a_restored_builder_goes_on_with_the_same_bytes(void **state)
{
    (void)state;
    struct tc_bars *a = make(TC_BARS_FROM_TRADES, false), *b = make(TC_BARS_FROM_TRADES, false);
    struct tc_rng rng;
    tc_rng_seed(&rng, 3);
    for (int second = 0; second < 50; second++) {
        feed_second(a, &rng, second);
        tc_bars_close_second(a);
    }
    feed_second(a, &rng, 50); /* a half second is saved too */
    size_t n, m;
    const void *bytes = tc_bars_state(a, &n);
    assert_int_equal(tc_bars_restore(b, bytes, n), 0);
    struct tc_rng other = rng;
    for (int second = 51; second < 90; second++) {
        struct tc_bar x, y;
        memset(&x, 0, sizeof(x));
        memset(&y, 0, sizeof(y));
        tc_bars_close_second(a);
        tc_bars_close_second(b);
        assert_int_equal(tc_bars_closed_bar(a, 0, second, &x), tc_bars_closed_bar(b, 0, second, &y));
        assert_memory_equal(&x, &y, sizeof(x));
        feed_second(a, &rng, second);
        feed_second(b, &other, second);
    }
    const void *left = tc_bars_state(a, &n), *right = tc_bars_state(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(left, right, n);
    assert_true(tc_bars_restore(b, left, n - 1) < 0);
    char *broken = malloc(n);
    memset(broken, 0x7f, n);
    assert_true(tc_bars_restore(b, broken, n) < 0);
    free(broken);
    tc_bars_close(a);
    tc_bars_close(b);
}

/* One trade whose sale conditions keep it from moving high and low, open and close, volume. */
static void held(struct tc_bars *b, int64_t time, double price, double size, bool range, bool last,
                 bool volume)
{
    struct tc_trade t = {
        .price = price, .size = size, .not_range = range, .not_last = last, .not_volume = volume};
    tc_bars_trade(b, 0, time, &t);
}

static void sale_conditions_hold_back_what_they_forbid(void **state)
{
    (void)state;
    struct tc_bars *b = make(TC_BARS_FROM_TRADES, true);
    struct tc_bar bar;
    trade(b, T0, 10.0, 100);
    held(b, T0 + 1, 12.0, 7, true, true, false);   /* an odd lot: volume alone */
    held(b, T0 + 2, 9.0, 50, false, true, false);  /* sold late: the low, not the close */
    held(b, T0 + 3, 10.5, 1000, true, true, true); /* an official print: nothing */
    trade(b, T0 + 4, 10.1, 100);
    tc_bars_close_second(b);
    assert_true(tc_bars_closed_bar(b, 0, T0 + S, &bar));
    assert_true(bar.open == 10.0 && bar.high == 10.1 && bar.low == 9.0 && bar.close == 10.1);
    assert_true(bar.volume == 257 && bar.trades == 4);
    held(b, T0 + S, 12.0, 7, true, true, false);
    tc_bars_close_second(b);
    assert_false(tc_bars_closed_bar(b, 0, T0 + 2 * S, &bar)); /* nothing to open and close a bar with */
    tc_bars_close(b);
}

static void a_vendors_bar_takes_the_place_of_ours_only_where_it_differs(void **state)
{
    (void)state;
    struct tc_bars_conf conf = {2, names, "test", TC_ORIGIN_LIVE, TC_BARS_FROM_TRADES, true, true};
    struct tc_bars *b;
    struct tc_bar bar;
    assert_int_equal(tc_bars_open(&conf, &b), 0);
    tc_bars_start_day(b, T0);
    for (int i = 0; i < 2; i++)
        trade(b, T0 + i * S, 10.0, 100);
    for (int i = 0; i < 2; i++) {
        tc_bars_close_second(b);
        assert_true(tc_bars_closed_bar(b, 0, T0 + (i + 1) * S, &bar));
    }
    struct tc_event_bar same = {.open = 10, .high = 10, .low = 10, .close = 10, .vwap = NAN, .volume = 100};
    struct tc_event_bar more = same;
    more.volume = 150;
    assert_int_equal(tc_bars_bar(b, 0, T0, &same), TC_BARS_AGREED);
    assert_int_equal(tc_bars_bar(b, 0, T0, &same), TC_BARS_DUPLICATE);
    assert_int_equal(tc_bars_bar(b, 0, T0 + S, &more), TC_BARS_REVISED);
    tc_bars_revision(b, 0, T0 + S, T0 + 5 * S, &bar);
    assert_true(bar.volume == 150 && bar.trades == 1 && bar.revision == 1);
    tc_bars_forget(b, 0, T0 + S);
    assert_int_equal(tc_bars_bar(b, 0, T0 + S, &same), TC_BARS_TOO_LATE);
    tc_bars_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_of_trades_becomes_a_bar_with_plain_vwap),
        cmocka_unit_test(the_tape_equals_a_recomputation_over_all_trades),
        cmocka_unit_test(a_quote_stays_in_force_until_the_next_and_is_sent_only_when_it_moved),
        cmocka_unit_test(a_late_trade_makes_a_revision_with_a_later_availability),
        cmocka_unit_test(several_seconds_may_be_open_and_each_keeps_its_own_tape_and_quote),
        cmocka_unit_test(merged_takes_prices_from_the_vendor_and_the_rest_from_the_trades),
        cmocka_unit_test(vendor_bars_pass_through_and_are_revised_or_recognised),
        cmocka_unit_test(strange_numbers_are_refused),
        cmocka_unit_test(a_new_day_forgets_quotes_and_tape),
        cmocka_unit_test(a_restored_builder_goes_on_with_the_same_bytes),
        cmocka_unit_test(sale_conditions_hold_back_what_they_forbid),
        cmocka_unit_test(a_vendors_bar_takes_the_place_of_ours_only_where_it_differs),
    };
    return cmocka_run_group_tests_name("bars", tests, NULL, NULL);
}
