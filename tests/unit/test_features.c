#include "base/num.h"
#include "forecast/features.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "near.h"

enum { IN = 11, K_OWN = 6, COLS = IN + 14 + K_OWN + 14 + 1 };

static bool read_row(FILE *f, double v[COLS])
{
    char line[2048];
    if (!fgets(line, sizeof(line), f))
        return false;
    char *at = line;
    for (int i = 0; i < COLS; i++) {
        size_t n = strcspn(at, ",\n");
        v[i] = NAN;
        if (n)
            assert_true(tc_parse_double(at, n, &v[i]));
        at += n + 1;
    }
    return true;
}

static struct tc_bar bar_of(const double v[COLS])
{
    struct tc_bar b = {
        .symbol = "TEST", .open = v[0], .high = v[1], .low = v[2], .close = v[3], .vwap = v[4]};
    b.tape = (struct tc_tape){
        .tm5 = v[5], .tm20 = v[6], .up = v[7], .dn = v[8], .lit = v[9], .sg20 = v[10], .sv = 0};
    return b;
}

static void close_to(double got, double want, const char *what, int row)
{
    if (!(fabs(got - want) <= 1e-5 * fmax(1, fabs(want))))
        fail_msg("row %d, %s: %.9g, expected %.9g", row, what, got, want);
}

static void features_equal_the_independent_numpy_formulas(void **state)
{
    (void)state;
    FILE *f = fopen(TEST_VECTORS "/features.csv", "r");
    assert_non_null(f);
    char head[2048];
    assert_non_null(fgets(head, sizeof(head), f));
    struct tc_features ft = {0};
    double v[COLS], x[TC_FEATURES_MAX];
    int rows = 0;
    for (; read_row(f, v); rows++) {
        struct tc_bar b = bar_of(v);
        tc_features_update(&ft, &b);
        assert_true(tc_features_raw(&ft, TC_SET_T14, x));
        for (size_t i = 0; i < 14; i++)
            close_to(x[i], v[IN + i], tc_set_info(TC_SET_T14, i)->name, rows);
        assert_true(tc_features_raw(&ft, TC_SET_K11, x));
        for (size_t i = 0; i < K_OWN; i++)
            close_to(x[5 + i], v[IN + 14 + i], tc_set_info(TC_SET_K11, 5 + i)->name, rows);
        assert_true(tc_features_scaled(&ft, TC_SET_T14, x));
        for (size_t i = 0; i < 14; i++)
            close_to(x[i], v[IN + 14 + K_OWN + i], "scaled", rows);
        close_to(tc_features_scale(&ft), v[COLS - 1], "scale", rows);
    }
    fclose(f);
    assert_int_equal(rows, 240);
}

static struct tc_bar flat(double price)
{
    return (struct tc_bar){.symbol = "TEST",
                           .open = price,
                           .high = price,
                           .low = price,
                           .close = price,
                           .vwap = NAN,
                           .tape = {NAN, NAN, NAN, NAN, NAN, NAN, NAN}};
}

static void a_new_session_forgets_everything_but_the_move_scale(void **state)
{
    (void)state;
    struct tc_features f = {0};
    double x[TC_FEATURES_MAX];
    for (int i = 0; i < 40; i++) {
        struct tc_bar b = flat(100 + 0.07 * (i % 2));
        tc_features_update(&f, &b);
    }
    assert_false(tc_features_warming(&f));
    double scale = tc_features_scale(&f);
    assert_true(scale > 0.04);
    tc_features_session(&f);
    assert_true(tc_features_warming(&f));
    assert_false(tc_features_raw(&f, TC_SET_T14, x));
    struct tc_bar b = flat(120); /* the gap over night is no move */
    tc_features_update(&f, &b);
    assert_near(tc_features_scale(&f), scale, 0);
    assert_true(tc_features_raw(&f, TC_SET_T14, x));
    for (int i = 0; i < 14; i++)
        assert_near(x[i], 0, 0);
}

static void prices_of_any_level_give_the_same_scaled_features(void **state)
{
    (void)state;
    struct tc_features low = {0}, high = {0};
    double x[TC_FEATURES_MAX], y[TC_FEATURES_MAX];
    for (int i = 0; i < 2000; i++) {
        double move = ((i * 7919) % 13) - 6;
        struct tc_bar a = flat(50 + 0.05 * move), b = flat(4000 + 4 * move);
        tc_features_update(&low, &a);
        tc_features_update(&high, &b);
    }
    assert_true(tc_features_scaled(&low, TC_SET_T14, x));
    assert_true(tc_features_scaled(&high, TC_SET_T14, y));
    for (int i = 0; i < 14; i++) /* what is left of the different start values is small */
        assert_near(x[i], y[i], 0.02 * (1 + fabs(x[i])));
}

static void one_bad_print_moves_the_scale_by_little(void **state)
{
    (void)state;
    struct tc_features f = {0};
    for (int i = 0; i < 600; i++) {
        struct tc_bar b = flat(100 + 0.01 * (i % 2));
        tc_features_update(&f, &b);
    }
    double before = tc_features_scale(&f);
    struct tc_bar bad = flat(250);
    tc_features_update(&f, &bad);
    assert_true(tc_features_scale(&f) < before * 1.02);
}

static void the_tape_set_needs_the_tape(void **state)
{
    (void)state;
    struct tc_features f = {0};
    double x[TC_FEATURES_MAX];
    struct tc_bar b = flat(10);
    tc_features_update(&f, &b);
    assert_false(tc_features_scaled(&f, TC_SET_K11, x));
    b.tape = (struct tc_tape){10, 10, 0, 10, 10, 10, 0};
    tc_features_update(&f, &b);
    assert_true(tc_features_scaled(&f, TC_SET_K11, x));
}

enum { Q_IN = 20, Q_COLS = Q_IN + TC_FEATURE_COUNT + 1 };

/* Feature that column Q_IN + i speaks of; -1 = the scale. */
static void read_names(FILE *f, int index[Q_COLS - Q_IN])
{
    char line[2048];
    assert_non_null(fgets(line, sizeof(line), f));
    char *at = line;
    for (int i = 0; i < Q_COLS; i++) {
        size_t n = strcspn(at, ",\n");
        if (i >= Q_IN) {
            index[i - Q_IN] = -1;
            for (size_t k = 0; k < TC_FEATURE_COUNT; k++)
                if (!strncmp(at, tc_set_info(TC_SET_Q54, k)->name, n) && !tc_set_info(TC_SET_Q54, k)->name[n])
                    index[i - Q_IN] = (int)k;
        }
        at += n + 1;
    }
}

/* open high low close vwap tm5 tm20 up dn lit bid ask volume trades sg20 sv bid_size ask_size lag traded */
static void feed_second(struct tc_features *f, const double v[Q_COLS], int second)
{
    struct tc_bar b = {
        .symbol = "TEST",
        .start = second * INT64_C(1000000000),
        .open = v[0],
        .high = v[1],
        .low = v[2],
        .close = v[3],
        .vwap = v[4],
        .volume = v[12],
        .trades = (int32_t)v[13],
        .quote = {v[10], v[11], v[16], v[17]},
        .quote_lag_ms = v[18],
        .tape = {.tm5 = v[5], .tm20 = v[6], .up = v[7], .dn = v[8], .lit = v[9], .sg20 = v[14], .sv = v[15]}};
    if (v[19] > 0)
        tc_features_update(f, &b);
    else
        tc_features_silent(f, b.start, &b.quote, b.quote_lag_ms);
}

static int compare_second(const struct tc_features *f, const double v[Q_COLS], const int index[Q_COLS - Q_IN],
                          int row)
{
    double raw[TC_FEATURE_COUNT], scaled[TC_FEATURE_COUNT];
    assert_true(tc_features_all(f, true, raw));
    assert_true(tc_features_all(f, false, scaled));
    int compared = 0;
    for (int i = 0; i < Q_COLS - Q_IN; i++) {
        double want = v[Q_IN + i];
        if (index[i] < 0) {
            close_to(tc_features_scale(f), want, "scale", row);
            continue;
        }
        const struct tc_feature_info *info = tc_set_info(TC_SET_Q54, (size_t)index[i]);
        double got = raw[index[i]];
        assert_int_equal(isnan(got), isnan(want));
        if (isnan(want))
            continue;
        close_to(got, want, info->name, row);
        close_to(scaled[index[i]], info->price ? want * 0.01 / tc_features_scale(f) : want, info->name, row);
        compared++;
    }
    return compared;
}

static void quote_features_equal_the_independent_numpy_formulas(void **state)
{
    (void)state;
    FILE *f = fopen(TEST_VECTORS "/quotes.csv", "r");
    assert_non_null(f);
    int index[Q_COLS - Q_IN], full = 0, without = 0;
    read_names(f, index);
    struct tc_features ft = {0};
    char line[4096];
    for (int row = 0; fgets(line, sizeof(line), f); row++) {
        double v[Q_COLS];
        char *at = line;
        for (int i = 0; i < Q_COLS; i++) {
            size_t n = strcspn(at, ",\n");
            v[i] = NAN;
            if (n)
                assert_true(tc_parse_double(at, n, &v[i]));
            at += n + 1;
        }
        feed_second(&ft, v, 1381239000 + row);
        if (!(v[19] > 0))
            continue;
        bool all = compare_second(&ft, v, index, row) == TC_FEATURE_COUNT;
        full += all;
        without += !all;
    }
    fclose(f);
    assert_true(full > 100);
    assert_int_equal(without, 2); /* of the four seconds of a silent quote feed, and the crossed one */
}

static void the_level_drops_while_quotes_are_old_or_crossed(void **state)
{
    (void)state;
    struct tc_features f = {0};
    double all[TC_FEATURE_COUNT];
    struct tc_bar b = flat(10);
    b.tape = (struct tc_tape){10, 10, 0, 10, 10, 10, 0};
    const struct {
        struct tc_quote quote;
        double lag;
        enum tc_feature_set level;
    } cases[] = {{{9.99, 10.01, 5, 7}, 0, TC_SET_Q18},    {{9.99, 10.01, 5, 7}, 1000, TC_SET_Q18},
                 {{9.99, 10.01, 5, 7}, 1001, TC_SET_K11}, {{9.99, 10.01, 5, 7}, NAN, TC_SET_K11},
                 {{10.01, 9.99, 5, 7}, 0, TC_SET_K11},    {{NAN, NAN, NAN, NAN}, 0, TC_SET_K11},
                 {{9.99, 10.01, 0, 7}, 0, TC_SET_K11},    {{10, 10, 5, 7}, 0, TC_SET_Q18},
                 {{9.99, INFINITY, 5, 7}, 0, TC_SET_K11}, {{9.99, 10.01, 5, 1e300}, 0, TC_SET_K11}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        b.start += 1000000000;
        b.quote = cases[i].quote;
        b.quote_lag_ms = cases[i].lag;
        tc_features_update(&f, &b);
        assert_true(tc_features_all(&f, false, all));
        assert_int_equal(tc_features_level(all), cases[i].level);
    }
    b.tape.dn = NAN;
    b.start += 1000000000;
    tc_features_update(&f, &b);
    assert_true(tc_features_all(&f, false, all));
    assert_int_equal(tc_features_level(all), TC_SET_T14);
}

static void each_set_has_a_stable_hash_of_its_own(void **state)
{
    (void)state;
    char a[17], b[17], c[17];
    tc_set_hash(TC_SET_T14, a);
    tc_set_hash(TC_SET_K11, b);
    tc_set_hash(TC_SET_T14, c);
    assert_int_equal(strlen(a), 16);
    assert_string_equal(a, c);
    assert_string_not_equal(a, b);
    enum tc_feature_set s;
    assert_int_equal(tc_set_parse("K11", &s), 0);
    assert_int_equal(s, TC_SET_K11);
    assert_true(tc_set_parse("X", &s) < 0);
}

static void ticks_follow_price_and_kind_of_instrument(void **state)
{
    (void)state;
    assert_near(tc_price_tick("SPY", 168), 0.01, 0);
    assert_near(tc_price_tick("PENNY", 0.5), 0.0001, 0);
    assert_near(tc_price_tick("coinbase:BTC-USD", 1e5), 0.1, 1e-9);
}

static void a_split_moves_the_scales_and_nothing_else(void **state)
{
    (void)state;
    struct tc_features f = {.scale = 0.4, .scale_n = 100, .volume_scale = 30, .volume_n = 100, .tick = 0.01};
    tc_features_split(&f, 4);
    assert_true(f.scale == 0.1 && f.volume_scale == 60);
    assert_true(f.scale_n == 100 && f.volume_n == 100 && f.tick == 0.01);
    tc_features_split(&f, 0.25);
    assert_true(f.scale == 0.4 && f.volume_scale == 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_split_moves_the_scales_and_nothing_else),
        cmocka_unit_test(features_equal_the_independent_numpy_formulas),
        cmocka_unit_test(a_new_session_forgets_everything_but_the_move_scale),
        cmocka_unit_test(prices_of_any_level_give_the_same_scaled_features),
        cmocka_unit_test(one_bad_print_moves_the_scale_by_little),
        cmocka_unit_test(the_tape_set_needs_the_tape),
        cmocka_unit_test(quote_features_equal_the_independent_numpy_formulas),
        cmocka_unit_test(the_level_drops_while_quotes_are_old_or_crossed),
        cmocka_unit_test(each_set_has_a_stable_hash_of_its_own),
        cmocka_unit_test(ticks_follow_price_and_kind_of_instrument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
