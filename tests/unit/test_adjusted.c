#include "base/clock.h"
#include "base/err.h"
#include "store/adjusted.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SEC TC_NS_PER_SEC
#define DAY (86400 * SEC)

/* META was FB until 2022-06-09 and splits 2:1 on 2022-06-15; FB had split 5:1 on 2022-06-03 (invented). One
 * bar at noon UTC of each day of 1 to 20 June: price 100 + day, volume 10. */
struct world {
    char dir[64], path[96];
    struct tc_store store;
    struct tc_actions *actions;
    struct tc_adjusted a;
};

static int64_t noon(int day)
{
    return tc_days_from_date(20220600 + day) * DAY + 12 * 3600 * SEC;
}

static struct tc_record bar(int day)
{
    struct tc_record r = {.type = TC_REC_BAR, .from = -1};
    struct tc_bar *b = &r.bar;
    snprintf(b->symbol, sizeof(b->symbol), "%s", day < 9 ? "FB" : "META");
    snprintf(b->feed, sizeof(b->feed), "test");
    b->start = noon(day);
    b->available = b->start + SEC;
    b->interval_ms = 1000;
    b->open = b->high = b->low = b->close = b->vwap = 100 + day;
    b->volume = 10;
    b->quote = (struct tc_quote){NAN, NAN, NAN, NAN};
    b->tape = (struct tc_tape){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    b->quote_lag_ms = NAN;
    return r;
}

static void open_world(struct world *w)
{
    struct tc_record rows[20];
    int64_t offsets[20];
    struct tc_store_counts counts = {0};
    snprintf(w->dir, sizeof(w->dir), "/tmp/tc-adjusted-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof(w->path), "%s/tickcast.db", w->dir);
    assert_int_equal(tc_sqlite_open(w->path, TC_WORLD_LIVE, &w->store), TC_OK);
    for (int i = 0; i < 20; i++) {
        rows[i] = bar(i + 1);
        offsets[i] = i;
    }
    assert_int_equal(w->store.ops->put(w->store.self, "store", TC_TOPIC_BARS, 20, rows, offsets, 20, &counts),
                     TC_OK);
    char list[] = "/tmp/tc-actions-XXXXXX";
    static const char text[] = "META,2022-06-09,was,FB\nMETA,2022-06-15,split,2\nFB,2022-06-03,split,5\n";
    int fd = mkstemp(list);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    assert_int_equal(tc_actions_load(list, &w->actions), TC_OK);
    unlink(list);
    w->a = (struct tc_adjusted){.store = &w->store, .actions = w->actions};
}

static void close_world(struct world *w)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    w->store.ops->close(w->store.self);
    tc_actions_free(w->actions);
    for (int i = 0; i < 3; i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s%s", w->path, tails[i]);
        unlink(path);
    }
    rmdir(w->dir);
}

struct got {
    int n;
    struct tc_bar at[32];
};

static int take(void *ctx, const struct tc_record *row)
{
    struct got *g = ctx;
    assert_true(g->n < 32);
    g->at[g->n++] = row->bar;
    return 0;
}

static struct got history(struct world *w, const char *symbol, int from, int to, uint32_t limit, bool newest)
{
    struct got g = {0};
    struct tc_range q = {.symbol = symbol,
                         .from = noon(from),
                         .to = noon(to) + 1,
                         .interval_ms = 1000,
                         .limit = limit,
                         .newest = newest};
    if (tc_adjusted_scan(&w->a, w->store.ops->bars, &q, take, &g))
        fail_msg("%s", tc_error());
    return g;
}

static void a_history_bears_one_name_and_one_scale(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    struct got g = history(&w, "META", 1, 20, 0, false);
    assert_int_equal(g.n, 20);
    for (int i = 0; i < 20; i++) {
        int day = i + 1;
        double ratio = (day < 15 ? 2 : 1) * (day < 3 ? 5 : 1);
        assert_string_equal(g.at[i].symbol, "META");
        assert_true(g.at[i].start == noon(day));
        assert_true(fabs(g.at[i].close - (100 + day) / ratio) < 1e-12);
        assert_true(fabs(g.at[i].volume - 10 * ratio) < 1e-12);
    }
    w.a.as_of = 20220610; /* as it looked on that day: the split to come is not known */
    g = history(&w, "META", 1, 10, 0, false);
    assert_true(g.at[9].close == 110 && fabs(g.at[0].close - 101.0 / 5) < 1e-12);
    w.a.actions = NULL;
    g = history(&w, "META", 1, 20, 0, false);
    assert_int_equal(g.n, 12);
    assert_true(g.at[0].close == 109);
    close_world(&w);
}

static void limits_hold_over_a_change_of_name(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    struct got g = history(&w, "META", 1, 20, 15, true); /* 12 of META, the newest 3 of FB */
    assert_int_equal(g.n, 15);
    assert_true(g.at[0].start == noon(6) && g.at[14].start == noon(20));
    g = history(&w, "META", 1, 20, 5, true);
    assert_int_equal(g.n, 5);
    assert_true(g.at[0].start == noon(16));
    g = history(&w, "META", 1, 20, 10, false); /* the oldest ones */
    assert_int_equal(g.n, 10);
    assert_true(g.at[0].start == noon(1) && g.at[9].start == noon(10));
    g = history(&w, "META", 2, 5, 0, false); /* before the change alone */
    assert_int_equal(g.n, 4);
    g = history(&w, "META", 12, 13, 0, false); /* after it alone */
    assert_int_equal(g.n, 2);
    g = history(&w, "FB", 1, 20, 0, false);
    assert_int_equal(g.n, 8);
    assert_true(g.at[7].close == 108);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_history_bears_one_name_and_one_scale),
        cmocka_unit_test(limits_hold_over_a_change_of_name),
    };
    return cmocka_run_group_tests_name("adjusted", tests, NULL, NULL);
}
