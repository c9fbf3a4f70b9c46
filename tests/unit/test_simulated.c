#include "base/clock.h"
#include "base/err.h"
#include "feed/simulated.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { HOUR = 3600, BATCH = 64 };

static const char *const seven[] = {"AAPL", "MSFT", "NVDA", "AMD", "TSLA", "AMZN", "SPY"};
static const int64_t START = INT64_C(1763913600) * INT64_C(1000000000) + INT64_C(51300) * INT64_C(1000000000);

static struct tc_sim_conf repeatable(uint64_t seed, int64_t seconds)
{
    return (struct tc_sim_conf){.symbols = seven,
                                .n_symbols = 7,
                                .seed = seed,
                                .speed = INFINITY,
                                .start = START,
                                .duration_ns = seconds * TC_NS_PER_SEC};
}

static struct tc_feed open_feed(const struct tc_sim_conf *conf)
{
    struct tc_feed f;
    if (tc_simulated_open(conf, &f))
        fail_msg("open: %s", tc_error());
    return f;
}

struct list {
    struct tc_event *e;
    size_t n, cap;
};

static void add_event(struct list *l, const struct tc_event *e)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 4096;
        l->e = realloc(l->e, l->cap * sizeof(*l->e));
        assert_non_null(l->e);
    }
    l->e[l->n++] = *e;
}

/* Everything up to the end, or up to `most` events. */
static void collect(struct tc_feed *f, struct list *l, size_t most)
{
    struct tc_event e[BATCH];
    size_t n;
    int64_t wait;
    int rc = TC_OK;
    while (l->n < most && rc == TC_OK) {
        size_t room = most - l->n < BATCH ? most - l->n : BATCH;
        rc = f->ops->next(f->self, e, room, &n, &wait);
        for (size_t i = 0; rc == TC_OK && i < n; i++)
            add_event(l, &e[i]);
    }
    assert_true(rc == TC_OK || rc == TC_DONE);
}

static bool same_events(const struct list *a, const struct list *b)
{
    return a->n == b->n && !memcmp(a->e, b->e, a->n * sizeof(*a->e));
}

static void the_same_seed_gives_the_same_market_and_another_seed_another(void **state)
{
    (void)state;
    struct list l[3] = {{0}};
    for (int i = 0; i < 3; i++) {
        struct tc_sim_conf conf = repeatable(i == 2 ? 8 : 7, HOUR / 2);
        struct tc_feed f = open_feed(&conf);
        collect(&f, &l[i], SIZE_MAX);
        f.ops->close(f.self);
    }
    assert_true(l[0].n > 10000);
    assert_true(same_events(&l[0], &l[1]));
    assert_false(same_events(&l[0], &l[2]));
    for (int i = 0; i < 3; i++)
        free(l[i].e);
}

static void a_symbol_lives_the_same_life_whatever_runs_beside_it(void **state)
{
    (void)state;
    static const char *const two[] = {"SPY", "ANYTHING"};
    struct list all = {0}, alone = {0};
    struct tc_sim_conf conf = repeatable(1, 1000);
    struct tc_feed f = open_feed(&conf);
    collect(&f, &all, SIZE_MAX);
    f.ops->close(f.self);
    conf.symbols = two;
    conf.n_symbols = 2;
    f = open_feed(&conf);
    collect(&f, &alone, SIZE_MAX);
    f.ops->close(f.self);
    size_t k = 0, matched = 0;
    for (size_t i = 0; i < all.n; i++) {
        if (all.e[i].sym != 6) /* SPY */
            continue;
        while (k < alone.n && alone.e[k].sym != 0)
            k++;
        assert_true(k < alone.n);
        assert_true(alone.e[k].time == all.e[i].time && alone.e[k].trade.price == all.e[i].trade.price);
        k++;
        matched++;
    }
    assert_true(matched > 1000);
    free(all.e);
    free(alone.e);
}

static void a_market_stopped_anywhere_goes_on_without_hole_or_double(void **state)
{
    (void)state;
    struct tc_sim_conf conf = repeatable(3, 1300); /* over a block's end */
    struct list whole = {0};
    struct tc_feed f = open_feed(&conf);
    collect(&f, &whole, SIZE_MAX);
    f.ops->close(f.self);
    for (size_t cut = 0; cut <= whole.n; cut += 1 + whole.n / 23) {
        struct list parts = {0};
        struct tc_feed_cursor cursor;
        f = open_feed(&conf);
        collect(&f, &parts, cut);
        f.ops->cursor(f.self, &cursor);
        f.ops->close(f.self);
        f = open_feed(&conf);
        assert_int_equal(f.ops->seek(f.self, &cursor), TC_OK);
        collect(&f, &parts, SIZE_MAX);
        f.ops->close(f.self);
        if (cut) { /* who goes on says first where: a watermark with the cursor it was given */
            assert_int_equal(parts.e[cut].type, TC_EVENT_WATERMARK);
            assert_memory_equal(&parts.e[cut].cursor, &cursor, sizeof(cursor));
            memmove(parts.e + cut, parts.e + cut + 1, (--parts.n - cut) * sizeof(*parts.e));
        }
        assert_true(same_events(&whole, &parts));
        free(parts.e);
    }
    free(whole.e);
}

static void events_come_in_order_and_every_second_ends_with_its_watermark(void **state)
{
    (void)state;
    struct tc_sim_conf conf = repeatable(4, HOUR);
    struct list l = {0};
    struct tc_feed f = open_feed(&conf);
    collect(&f, &l, SIZE_MAX);
    int64_t last = START, second = START / TC_NS_PER_SEC - 1; /* the first watermark comes before any event */
    for (size_t i = 0; i < l.n; i++) {
        assert_true(l.e[i].time >= last);
        last = l.e[i].time;
        if (l.e[i].type == TC_EVENT_WATERMARK) {
            second++;
            assert_true(l.e[i].time == second * TC_NS_PER_SEC);
            assert_true(l.e[i].cursor.part == second && l.e[i].cursor.index == 0);
        } else {
            assert_true(l.e[i].sym < 7);
            assert_true(l.e[i].time / TC_NS_PER_SEC == second);
        }
    }
    assert_int_equal(second - START / TC_NS_PER_SEC, HOUR);
    assert_int_equal(f.origin, TC_ORIGIN_SIMULATED);
    assert_int_equal(f.world, TC_WORLD_SIMULATED);
    assert_true(f.live_from == INT64_MAX);
    f.ops->close(f.self);
    free(l.e);
}

/* What the market looks like, one symbol. */
struct look {
    struct tc_quote quote;
    double close, last_close, move, last_move, trades;
    double traded, zero, square, lagged, moves;
    double led, mid_moves; /* mid moves, and those that went where the queues leaned */
    double mid, tilt;      /* at the end of the second before */
    int off, fractions, odd_spreads, widest;
};

static void look_at(struct look *s, const struct tc_event *e)
{
    if (e->type == TC_EVENT_QUOTE) {
        s->quote = e->quote;
        double cents = 100 * (e->quote.ask - e->quote.bid);
        s->odd_spreads += fabs(cents - round(cents)) > 1e-6 || cents < 0.5;
        s->widest = cents > s->widest ? (int)round(cents) : s->widest;
        assert_true(e->quote.bid_size >= 100 && e->quote.ask_size >= 100);
        return;
    }
    double cents = 100 * e->trade.price;
    bool fraction = fabs(cents - round(cents)) > 1e-6;
    assert_true(e->trade.price >= s->quote.bid - 1e-9 && e->trade.price <= s->quote.ask + 1e-9);
    assert_true(e->trade.size >= 1);
    assert_true(e->trade.off_exchange || !fraction);
    s->off += e->trade.off_exchange;
    s->fractions += fraction;
    s->close = e->trade.price;
    s->trades++;
}

static void end_second(struct look *s)
{
    double mid = (s->quote.bid + s->quote.ask) / 2;
    if (s->mid > 0 && fabs(mid - s->mid) > 1e-9 && s->tilt != 0) {
        s->mid_moves++;
        s->led += (mid > s->mid) == (s->tilt > 0);
    }
    s->mid = mid;
    s->tilt = s->quote.bid_size - s->quote.ask_size;
    if (s->close == 0)
        return;
    s->traded++;
    if (s->last_close > 0) {
        s->move = s->close - s->last_close;
        s->moves++;
        s->zero += fabs(s->move) < 1e-9;
        s->square += s->move * s->move;
        s->lagged += s->move * s->last_move;
        s->last_move = s->move;
    }
    s->last_close = s->close;
    s->close = 0;
}

static void the_market_behaves_like_one(void **state)
{
    (void)state;
    struct tc_sim_conf conf = repeatable(5, 3 * HOUR);
    struct list l = {0};
    struct tc_feed f = open_feed(&conf);
    collect(&f, &l, SIZE_MAX);
    f.ops->close(f.self);
    static struct look s[7];
    for (size_t i = 0; i < l.n; i++) {
        if (l.e[i].type == TC_EVENT_WATERMARK) {
            for (int k = 0; k < 7; k++)
                end_second(&s[k]);
        } else {
            look_at(&s[l.e[i].sym], &l.e[i]);
        }
    }
    free(l.e);
    for (int k = 0; k < 7; k++) {
        double share = s[k].traded / (3 * HOUR), zero = s[k].zero / s[k].moves,
               acf = s[k].lagged / s[k].square;
        print_message("%-5s %.2f traded %.2f zero %.2f lag-1 %.2f queue leads %.2f off %.2f fractions %.2f\n",
                      seven[k], s[k].last_close, share, zero, acf, s[k].led / s[k].mid_moves,
                      s[k].off / s[k].trades, s[k].fractions / s[k].trades);
        assert_true(share > 0.3 && share < 0.95);        /* empty seconds exist */
        assert_true(zero > 0.15 && zero < 0.7);          /* the price often stays */
        assert_true(acf < -0.08 && acf > -0.5);          /* bid-ask bounce */
        assert_true(s[k].led / s[k].mid_moves > 0.54);   /* queues lead a little ... */
        assert_true(s[k].led / s[k].mid_moves < 0.85);   /* ... not entirely */
        assert_int_equal(s[k].odd_spreads, 0);           /* whole cents */
        assert_true(s[k].widest > 1 && s[k].widest < 8); /* not always the same */
        assert_true(s[k].off / s[k].trades > 0.2 && s[k].fractions > 100);
    }
    assert_true(s[0].last_close > 180 && s[0].last_close < 340); /* AAPL's order of magnitude */
    assert_true(s[6].last_close > 500 && s[6].last_close < 850);
}

static void trades_come_in_bursts_and_the_day_has_a_u(void **state)
{
    (void)state;
    struct tc_sim_conf conf = repeatable(6, 86400);
    conf.start = INT64_C(1763942400) * TC_NS_PER_SEC; /* midnight */
    conf.symbols = &seven[6];
    conf.n_symbols = 1;
    struct tc_feed f = open_feed(&conf);
    struct list l = {0};
    collect(&f, &l, SIZE_MAX);
    f.ops->close(f.self);
    static double count[86400];
    memset(count, 0, sizeof(count));
    for (size_t i = 0; i < l.n; i++)
        count[(l.e[i].time - conf.start) / TC_NS_PER_SEC % 86400] += l.e[i].type == TC_EVENT_TRADE;
    free(l.e);
    double first = 0, noon = 0, mean = 0, var = 0, lag = 0;
    for (int i = 0; i < HOUR; i++) {
        first += count[i];
        noon += count[12 * HOUR + i];
    }
    assert_true(first > 2 * noon);
    for (int i = 0; i < 4 * HOUR; i++) /* the quiet middle, where the mean hardly changes */
        mean += count[10 * HOUR + i] / (4 * HOUR);
    for (int i = 1; i < 4 * HOUR; i++) {
        double a = count[10 * HOUR + i] - mean, b = count[10 * HOUR + i - 1] - mean;
        var += a * a;
        lag += a * b;
    }
    print_message("variance over mean %.2f, lag-1 %.2f\n", var / (4 * HOUR) / mean, lag / var);
    assert_true(var / (4 * HOUR) > 1.2 * mean); /* more uneven than independent arrivals */
    assert_true(lag / var > 0.1);               /* and clustered */
}

static void the_price_has_no_jump_at_midnight(void **state)
{
    (void)state;
    struct tc_sim_conf conf = repeatable(9, 60);
    conf.start = (INT64_C(1763942400) - 30) * TC_NS_PER_SEC;
    struct tc_feed f = open_feed(&conf);
    struct list l = {0};
    collect(&f, &l, SIZE_MAX);
    f.ops->close(f.self);
    double price[7] = {0};
    for (size_t i = 0; i < l.n; i++) {
        if (l.e[i].type != TC_EVENT_TRADE)
            continue;
        double *p = &price[l.e[i].sym];
        if (*p > 0)
            assert_true(fabs(l.e[i].trade.price / *p - 1) < 0.001);
        *p = l.e[i].trade.price;
    }
    free(l.e);
}

static void live_gives_the_history_at_once_and_then_keeps_to_the_clock(void **state)
{
    (void)state;
    struct tc_sim_conf conf = {
        .symbols = seven, .n_symbols = 7, .seed = 1, .speed = 1, .history_ns = 600 * TC_NS_PER_SEC};
    int64_t opened = tc_now_ns();
    struct tc_feed f = open_feed(&conf);
    assert_true(llabs(f.live_from - opened) <= TC_NS_PER_SEC);
    struct tc_event e[BATCH];
    size_t n, seen = 0;
    int64_t wait, newest = 0, first = 0, stop = tc_mono_ns() + 3 * TC_NS_PER_SEC;
    bool waited = false;
    while (tc_mono_ns() < stop && newest < opened + TC_NS_PER_SEC) {
        int rc = f.ops->next(f.self, e, BATCH, &n, &wait);
        if (rc == TC_AGAIN) {
            assert_true(wait > 0 && wait <= 20 * TC_NS_PER_MS);
            waited = true;
            tc_sleep_until_mono(tc_mono_ns() + wait);
            continue;
        }
        assert_int_equal(rc, TC_OK);
        first = first ? first : e[0].time;
        newest = e[n - 1].time;
        assert_true(newest <= tc_now_ns());
        seen += n;
    }
    assert_true(waited && seen > 5000);
    assert_true(newest >= opened + TC_NS_PER_SEC);
    assert_true(first >= opened - 602 * TC_NS_PER_SEC && first < opened - 590 * TC_NS_PER_SEC);
    f.ops->close(f.self);
}

static void a_long_absence_is_a_gap_and_a_short_one_is_made_up_for(void **state)
{
    (void)state;
    struct tc_sim_conf conf = {
        .symbols = seven, .n_symbols = 7, .seed = 1, .speed = 1, .history_ns = 60 * TC_NS_PER_SEC};
    struct tc_feed f = open_feed(&conf);
    int64_t now = tc_now_ns() / TC_NS_PER_SEC, wait;
    struct tc_feed_cursor cursor = {.part = now - 3 * 86400};
    struct tc_event e[2];
    struct list before = {0};
    size_t n;
    int64_t gap = (cursor.part / 3600 + 1) * 3600;
    assert_int_equal(f.ops->seek(f.self, &cursor), TC_OK);
    do { /* what the log may hold behind its last checkpoint is made again */
        assert_int_equal(f.ops->next(f.self, e, 1, &n, &wait), TC_OK);
        add_event(&before, e);
    } while (e->type != TC_EVENT_GAP);
    assert_true(before.n > 5 && before.e[before.n - 2].type == TC_EVENT_WATERMARK);
    assert_true(before.e[before.n - 2].time == gap * TC_NS_PER_SEC &&
                before.e[before.n - 2].cursor.index == -1);
    assert_true(before.e[0].time >= cursor.part * TC_NS_PER_SEC);
    assert_true(e[0].time == gap * TC_NS_PER_SEC);
    assert_true(e[0].gap.end >= (now - 62) * TC_NS_PER_SEC && e[0].gap.end <= (now - 58) * TC_NS_PER_SEC);
    assert_string_equal(e[0].gap.reason, "not_running");
    assert_int_equal(f.ops->next(f.self, e + 1, 1, &n, &wait), TC_OK);
    assert_true(e[1].type == TC_EVENT_WATERMARK && e[1].time == e[0].gap.end);
    f.ops->close(f.self);
    f = open_feed(&conf);
    assert_int_equal(f.ops->seek(f.self, &before.e[before.n - 2].cursor), TC_OK); /* stopped right there */
    do
        assert_int_equal(f.ops->next(f.self, e, 1, &n, &wait), TC_OK);
    while (e->type == TC_EVENT_WATERMARK);
    assert_true(e->type == TC_EVENT_GAP && e->time == gap * TC_NS_PER_SEC);
    free(before.e);
    f.ops->close(f.self);
    f = open_feed(&conf);
    cursor.part = now - 3600;
    assert_int_equal(f.ops->seek(f.self, &cursor), TC_OK);
    assert_int_equal(f.ops->next(f.self, e, 1, &n, &wait), TC_OK);
    assert_int_not_equal(e[0].type, TC_EVENT_GAP);
    assert_true(e[0].time / TC_NS_PER_SEC == cursor.part);
    f.ops->close(f.self);
    f = open_feed(&conf);
    cursor.part = now + 7200; /* the clock was set back */
    assert_int_equal(f.ops->seek(f.self, &cursor), TC_ECONF);
    assert_non_null(strstr(tc_error(), "ahead of the clock"));
    f.ops->close(f.self);
}

static void a_day_of_seven_symbols_is_quick(void **state)
{
    (void)state;
    struct tc_sim_conf conf = repeatable(2, 86400);
    struct tc_feed f = open_feed(&conf);
    struct tc_event e[BATCH];
    size_t n, total = 0;
    int64_t wait, start = tc_mono_ns();
    while (f.ops->next(f.self, e, BATCH, &n, &wait) == TC_OK)
        total += n;
    print_message("%zu events in %.2f s\n", total, (double)(tc_mono_ns() - start) / 1e9);
    assert_true(total > 1000000);
    struct tc_feed_health h;
    f.ops->health(f.self, &h);
    assert_int_equal(h.events, total);
    assert_string_equal(h.state, "ended");
    f.ops->close(f.self);
}

static void settings_that_make_no_market_are_refused(void **state)
{
    (void)state;
    struct tc_feed f;
    struct tc_sim_conf conf = repeatable(1, 10);
    conf.n_symbols = 0;
    assert_int_equal(tc_simulated_open(&conf, &f), TC_ECONF);
    conf = repeatable(1, 10);
    conf.speed = NAN;
    assert_int_equal(tc_simulated_open(&conf, &f), TC_ECONF);
    conf = repeatable(1, -10);
    assert_int_equal(tc_simulated_open(&conf, &f), TC_ECONF);
    struct tc_sim_conf one = repeatable(1, 10), two = repeatable(2, 10);
    struct tc_feed a = open_feed(&one), b = open_feed(&two);
    assert_true(a.identity != 0 && a.identity != b.identity);
    a.ops->close(a.self);
    b.ops->close(b.self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_market_and_another_seed_another),
        cmocka_unit_test(a_symbol_lives_the_same_life_whatever_runs_beside_it),
        cmocka_unit_test(a_market_stopped_anywhere_goes_on_without_hole_or_double),
        cmocka_unit_test(events_come_in_order_and_every_second_ends_with_its_watermark),
        cmocka_unit_test(the_market_behaves_like_one),
        cmocka_unit_test(trades_come_in_bursts_and_the_day_has_a_u),
        cmocka_unit_test(the_price_has_no_jump_at_midnight),
        cmocka_unit_test(live_gives_the_history_at_once_and_then_keeps_to_the_clock),
        cmocka_unit_test(a_long_absence_is_a_gap_and_a_short_one_is_made_up_for),
        cmocka_unit_test(a_day_of_seven_symbols_is_quick),
        cmocka_unit_test(settings_that_make_no_market_are_refused),
    };
    return cmocka_run_group_tests_name("simulated", tests, NULL, NULL);
}
