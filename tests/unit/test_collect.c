/* The collect role over a scripted feed and a real log bus. */
#include "base/clock.h"
#include "base/err.h"
#include "bus/bus.h"
#include "role/collect.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define S TC_NS_PER_SEC
#define MIDNIGHT (INT64_C(1381118400) * S) /* 7 October 2013, New York */
#define OPEN (MIDNIGHT + 34200 * S)
#define CLOSE (MIDNIGHT + 57600 * S)

/* ---- a feed that gives what an array says, a few events at a time ---- */

struct script {
    struct tc_event events[4000];
    size_t n, at, step;
    int64_t index;
    char names[2][TC_SYMBOL_SIZE];
};

static int script_next(void *self, struct tc_event *events, size_t max, size_t *out_n, int64_t *wait)
{
    struct script *f = self;
    *wait = 0;
    for (*out_n = 0; *out_n < max && *out_n < f->step && f->at < f->n; ++*out_n) {
        struct tc_event *e = &f->events[f->at++];
        if (e->type == TC_EVENT_WATERMARK)
            e->cursor.index = f->index;
        else
            f->index++;
        events[*out_n] = *e;
    }
    return *out_n ? TC_OK : TC_DONE;
}

static int script_seek(void *self, const struct tc_feed_cursor *cursor)
{
    struct script *f = self;
    for (f->at = 0, f->index = 0; f->index < cursor->index; f->at++)
        f->index += f->events[f->at].type != TC_EVENT_WATERMARK;
    return TC_OK;
}

static void script_cursor(const void *self, struct tc_feed_cursor *out)
{
    *out = (struct tc_feed_cursor){0, ((const struct script *)self)->index};
}

static void script_health(const void *self, struct tc_feed_health *out)
{
    (void)self;
    *out = (struct tc_feed_health){.state = "reading", .healthy = true};
}

static void script_close(void *self)
{
    (void)self;
}

static const struct tc_feed_ops script_ops = {
    .name = "script",
    .doc = "",
    .next = script_next,
    .seek = script_seek,
    .cursor = script_cursor,
    .health = script_health,
    .close = script_close,
};

static struct tc_feed feed_of(struct script *f)
{
    struct tc_feed feed = {.ops = &script_ops, .self = f, .name = "script", .origin = TC_ORIGIN_REPLAY};
    feed.world = TC_WORLD_REPLAY;
    feed.quotes_always_fresh = true;
    feed.identity = 77;
    feed.n_symbols = 2;
    memcpy(f->names[0], "SPY", 4);
    memcpy(f->names[1], "IBM", 4);
    feed.symbols = f->names;
    feed.live_from = INT64_MAX;
    return feed;
}

static struct tc_event *add(struct script *f, enum tc_event_type type, uint32_t sym, int64_t time)
{
    assert_true(f->n < sizeof(f->events) / sizeof(f->events[0]));
    struct tc_event *e = &f->events[f->n++];
    *e = (struct tc_event){.type = type, .sym = sym, .time = time};
    return e;
}

static void mark(struct script *f, int64_t time)
{
    add(f, TC_EVENT_WATERMARK, UINT32_MAX, time);
}

static void trade(struct script *f, uint32_t sym, int64_t time, double price)
{
    add(f, TC_EVENT_TRADE, sym, time)->trade = (struct tc_trade){.price = price, .size = 100};
}

static void quote(struct script *f, uint32_t sym, int64_t time, double bid)
{
    add(f, TC_EVENT_QUOTE, sym, time)->quote = (struct tc_quote){bid, bid + 0.01, 1, 1};
}

static void gap(struct script *f, uint32_t sym, int64_t start, int64_t end)
{
    struct tc_event *e = add(f, TC_EVENT_GAP, sym, start);
    e->gap.end = end;
    snprintf(e->gap.reason, sizeof(e->gap.reason), "missing_day");
}

/* ---- running it ---- */

struct world {
    char dir[64];
    struct tc_calendar *calendar;
    struct tc_bus bus;
    struct tc_role role;
    struct tc_feed feed;
};

static void open_bus(struct world *w)
{
    struct tc_log_bus_conf conf = {.dir = w->dir, .sync_every_ns = S, .segment_bytes = 16 << 20};
    assert_int_equal(tc_log_bus_open(&conf, &w->bus), 0);
}

static int open_role(struct world *w, struct script *f)
{
    w->feed = feed_of(f);
    struct tc_collect_conf conf = {&w->feed, &w->bus, w->calendar, 5, -1};
    return tc_collect_open(&conf, &w->role);
}

static void begin(struct world *w)
{
    memset(w, 0, sizeof(*w));
    snprintf(w->dir, sizeof(w->dir), "/tmp/test_collect.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(tc_calendar_load(TEST_CALENDARS "/xnys.yaml", &w->calendar), 0);
    open_bus(w);
}

static void end(struct world *w)
{
    char command[128];
    w->bus.ops->close(w->bus.self);
    tc_calendar_free(w->calendar);
    snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
    assert_int_equal(system(command), 0);
}

static void run_to_end(struct world *w)
{
    int rc;
    while ((rc = w->role.ops->work(w->role.self)) >= 0 && !w->role.ops->ended(w->role.self))
        ;
    if (rc < 0)
        print_error("%s\n", tc_error());
    assert_true(rc >= 0);
}

struct seen {
    struct tc_record *r;
    size_t n;
};

static struct seen read_all(struct world *w)
{
    struct tc_bus_reader *reader;
    struct seen s = {calloc(200000, sizeof(struct tc_record)), 0};
    int64_t offset;
    assert_int_equal(w->bus.ops->open_reader(w->bus.self, TC_TOPIC_BARS, 0, 0, &reader), 0);
    while (w->bus.ops->read(reader, &s.r[s.n], &offset) == TC_OK) {
        s.r[s.n].checkpoint.blob = s.r[s.n].type == TC_REC_CHECKPOINT ? NULL : s.r[s.n].checkpoint.blob;
        s.n++;
        assert_true(s.n < 200000);
    }
    w->bus.ops->close_reader(reader);
    return s;
}

static const struct tc_record *find(const struct seen *s, enum tc_record_type type, size_t nth)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->r[i].type == type && nth-- == 0)
            return &s->r[i];
    return NULL;
}

static size_t count(const struct seen *s, enum tc_record_type type)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->r[i].type == type;
    return n;
}

/* ---- scripts ---- */

static void small_day(struct script *f)
{
    mark(f, MIDNIGHT);
    mark(f, OPEN - 3600 * S);
    trade(f, 0, OPEN - 3600 * S + 7, 10); /* before the session */
    mark(f, OPEN - 3598 * S);
    trade(f, 1, OPEN - 3598 * S, 20);
    mark(f, OPEN + S);
    trade(f, 1, OPEN + S, 20);
    trade(f, 0, OPEN + S, 10);
    quote(f, 0, OPEN + 2 * S - 1, 9.99);
    mark(f, OPEN + 3 * S);
    quote(f, 1, OPEN + 4 * S - 1, 19.99);
    mark(f, CLOSE + 10 * S);
    trade(f, 0, CLOSE + 10 * S, 11); /* after it */
}

static void a_day_gives_bars_quotes_markers_and_quality(void **state)
{
    (void)state;
    static struct script f;
    memset(&f, 0, sizeof(f));
    f.step = 3;
    small_day(&f);
    struct world w;
    begin(&w);
    assert_int_equal(open_role(&w, &f), 0);
    run_to_end(&w);
    struct seen s = read_all(&w);
    assert_int_equal(s.r[0].type, TC_REC_CHECKPOINT);
    assert_int_equal(s.r[s.n - 1].type, TC_REC_END);
    assert_int_equal(s.r[s.n - 2].type, TC_REC_CHECKPOINT);
    assert_int_equal(count(&s, TC_REC_BAR), 5);
    assert_int_equal(count(&s, TC_REC_QUOTE), 1);
    assert_int_equal(count(&s, TC_REC_SECOND), 3600 + 23400 + 11);
    const struct tc_second *first = &find(&s, TC_REC_SECOND, 0)->second;
    assert_true(first->second == OPEN - 3600 * S && first->available == first->second + S + 5);
    assert_true(first->traded == 1 && first->expected == 2 && first->healthy && first->log_time);
    const struct tc_second *last = &find(&s, TC_REC_SECOND, 3600 + 23400 + 10)->second;
    assert_true(last->second == CLOSE + 10 * S);
    const struct tc_bar *spy = &find(&s, TC_REC_BAR, 2)->bar, *ibm = &find(&s, TC_REC_BAR, 3)->bar;
    assert_string_equal(spy->symbol, "SPY"); /* the feed's order of symbols, not of events */
    assert_string_equal(ibm->symbol, "IBM");
    assert_true(spy->quote.bid == 9.99 && isnan(ibm->quote.bid) && spy->available == OPEN + 2 * S + 5);
    const struct tc_second_quote *q = &find(&s, TC_REC_QUOTE, 0)->quote;
    assert_true(q->second == OPEN + 3 * S && q->quote.bid == 19.99);
    const struct tc_quality *last_spy = NULL;
    for (size_t i = 0; i < s.n; i++)
        if (s.r[i].type == TC_REC_QUALITY && !strcmp(s.r[i].quality.symbol, "SPY"))
            last_spy = &s.r[i].quality;
    assert_non_null(last_spy);
    assert_int_equal(last_spy->day, 20131007);
    assert_int_equal(last_spy->traded, 1);
    assert_int_equal(last_spy->no_trade, 23399);
    assert_int_equal(last_spy->unknown, 0);
    free(s.r);
    w.role.ops->close(w.role.self);
    end(&w);
}

static void a_missing_day_is_unknown_and_has_no_markers(void **state)
{
    (void)state;
    static struct script f;
    memset(&f, 0, sizeof(f));
    f.step = 100;
    mark(&f, MIDNIGHT);
    gap(&f, UINT32_MAX, OPEN, CLOSE);
    mark(&f, MIDNIGHT + 86400 * S);
    gap(&f, 1, OPEN + 86400 * S, CLOSE + 86400 * S);
    mark(&f, OPEN + 86400 * S);
    trade(&f, 0, OPEN + 86400 * S, 10);
    struct world w;
    begin(&w);
    assert_int_equal(open_role(&w, &f), 0);
    run_to_end(&w);
    struct seen s = read_all(&w);
    assert_int_equal(count(&s, TC_REC_GAP), 2);
    assert_string_equal(find(&s, TC_REC_GAP, 0)->gap.symbol, "*");
    assert_string_equal(find(&s, TC_REC_GAP, 1)->gap.symbol, "IBM");
    assert_int_equal(count(&s, TC_REC_SECOND), 23400);
    int64_t unknown[2][2] = {{0}}, no_trade[2][2] = {{0}};
    for (size_t i = 0; i < s.n; i++) {
        const struct tc_quality *q = &s.r[i].quality;
        if (s.r[i].type != TC_REC_QUALITY)
            continue;
        unknown[q->day - 20131007][!strcmp(q->symbol, "IBM")] = q->unknown;
        no_trade[q->day - 20131007][!strcmp(q->symbol, "IBM")] = q->no_trade;
    }
    assert_true(unknown[0][0] == 23400 && unknown[0][1] == 23400 && no_trade[0][0] == 0);
    assert_true(unknown[1][0] == 0 && no_trade[1][0] == 23399);
    assert_true(unknown[1][1] == 23400 && no_trade[1][1] == 0);
    free(s.r);
    w.role.ops->close(w.role.self);
    end(&w);
}

static void busy_days(struct script *f)
{
    for (int day = 0; day < 2; day++) {
        int64_t base = day * 86400 * S;
        mark(f, MIDNIGHT + base);
        for (int i = 0; i < 600; i++) {
            int64_t t = OPEN + base + (i * 7 + i % 5) * S;
            if (i && t <= f->events[f->n - 1].time)
                continue;
            mark(f, t);
            trade(f, (uint32_t)(i % 2), t + i, 10 + (i % 9) * 0.01);
            if (i % 4 == 0)
                quote(f, (uint32_t)(i % 2), t + S - 1, 10 + (i % 5) * 0.01);
        }
        if (day == 0)
            gap(f, 0, OPEN + base + 7000 * S, OPEN + base + 8000 * S);
    }
}

static void same_records(const struct seen *a, const struct seen *b)
{
    assert_int_equal(a->n, b->n);
    struct tc_buf x, y;
    tc_buf_init(&x, 1 << 20);
    tc_buf_init(&y, 1 << 20);
    for (size_t i = 0; i < a->n; i++) {
        if (a->r[i].type == TC_REC_CHECKPOINT) {
            assert_int_equal(b->r[i].type, TC_REC_CHECKPOINT);
            continue;
        }
        tc_buf_clear(&x);
        tc_buf_clear(&y);
        assert_int_equal(tc_record_encode(&a->r[i], &x), 0);
        assert_int_equal(tc_record_encode(&b->r[i], &y), 0);
        assert_int_equal(x.len, y.len);
        assert_memory_equal(x.data, y.data, x.len);
    }
    tc_buf_release(&x);
    tc_buf_release(&y);
}

/* Killed again and again after any number of duty cycles, with the log cut to whatever was in it by then. */
static void a_role_stopped_anywhere_goes_on_to_the_same_records(void **state)
{
    (void)state;
    static struct script f;
    struct world quiet, w;
    memset(&f, 0, sizeof(f));
    busy_days(&f);
    f.step = 1000;
    begin(&quiet);
    assert_int_equal(open_role(&quiet, &f), 0);
    run_to_end(&quiet);
    struct seen want = read_all(&quiet);
    quiet.role.ops->close(quiet.role.self);
    begin(&w);
    for (int kill = 0; kill < 400; kill++) {
        f.at = 0;
        f.index = 0;
        f.step = (size_t)(kill % 7) + 1;
        int rc = open_role(&w, &f);
        if (rc)
            print_error("%s\n", tc_error());
        assert_int_equal(rc, 0);
        for (int i = 0; i < 3 + kill % 90 && !w.role.ops->ended(w.role.self); i++)
            assert_true(w.role.ops->work(w.role.self) >= 0);
        bool ended = w.role.ops->ended(w.role.self);
        w.role.ops->close(w.role.self);
        if (ended)
            break;
        /* what a torn write would have cut off */
        struct tc_bus_stat stat;
        w.bus.ops->stat(w.bus.self, TC_TOPIC_BARS, &stat);
        int64_t cut = stat.end - kill % 11;
        if (cut > 0)
            assert_int_equal(w.bus.ops->truncate(w.bus.self, TC_TOPIC_BARS, cut), 0);
    }
    assert_int_equal(open_role(&w, &f), 0);
    run_to_end(&w);
    struct seen got = read_all(&w);
    same_records(&want, &got);
    free(want.r);
    free(got.r);
    w.role.ops->close(w.role.self);
    end(&w);
    end(&quiet);
}

static void a_finished_folder_is_left_alone_and_another_source_is_refused(void **state)
{
    (void)state;
    static struct script f;
    memset(&f, 0, sizeof(f));
    f.step = 10;
    small_day(&f);
    struct world w;
    begin(&w);
    assert_int_equal(open_role(&w, &f), 0);
    run_to_end(&w);
    w.role.ops->close(w.role.self);
    struct seen before = read_all(&w);
    assert_int_equal(open_role(&w, &f), 0);
    assert_true(w.role.ops->ended(w.role.self));
    assert_int_equal(w.role.ops->work(w.role.self), 0);
    w.role.ops->close(w.role.self);
    struct seen after = read_all(&w);
    assert_int_equal(before.n, after.n);
    w.feed.identity = 78;
    struct tc_collect_conf conf = {&w.feed, &w.bus, w.calendar, 5, -1};
    assert_int_equal(tc_collect_open(&conf, &w.role), TC_ECONF);
    free(before.r);
    free(after.r);
    end(&w);
}

static void late_trades_are_published_as_revisions_and_counted(void **state)
{
    (void)state;
    static struct script f;
    memset(&f, 0, sizeof(f));
    f.step = 10;
    mark(&f, MIDNIGHT);
    mark(&f, OPEN);
    trade(&f, 0, OPEN, 10);
    mark(&f, OPEN + 2 * S);
    trade(&f, 0, OPEN + 5, 12);
    trade(&f, 0, OPEN + S, 12); /* the first of its second */
    mark(&f, OPEN + 60 * S);
    trade(&f, 0, OPEN + 9, 13); /* too late for anything */
    struct world w;
    begin(&w);
    assert_int_equal(open_role(&w, &f), 0);
    run_to_end(&w);
    struct seen s = read_all(&w);
    assert_int_equal(count(&s, TC_REC_BAR), 3);
    const struct tc_bar *b = &find(&s, TC_REC_BAR, 1)->bar;
    assert_true(b->revision == 1 && b->high == 12 && b->start == OPEN && b->available == OPEN + 2 * S + 5);
    b = &find(&s, TC_REC_BAR, 2)->bar;
    assert_true(b->revision == 0 && b->start == OPEN + S);
    const struct tc_quality *q = NULL;
    for (size_t i = 0; i < s.n; i++)
        q = s.r[i].type == TC_REC_QUALITY && !strcmp(s.r[i].quality.symbol, "SPY") ? &s.r[i].quality : q;
    assert_true(q->late == 3 && q->revised == 1 && q->traded == 2 && q->no_trade == 23398);
    free(s.r);
    w.role.ops->close(w.role.self);
    end(&w);
}

static void a_watermark_that_jumps_over_the_night_closes_no_second_of_it(void **state)
{
    (void)state;
    static struct script f;
    memset(&f, 0, sizeof(f));
    f.step = 10;
    mark(&f, CLOSE - S);
    trade(&f, 0, CLOSE - S, 10);
    mark(&f, CLOSE + 60 * S);
    trade(&f, 0, CLOSE + 60 * S, 11); /* after the session */
    mark(&f, OPEN + 86400 * S);
    trade(&f, 0, OPEN + 86400 * S, 12);
    mark(&f, OPEN + 86400 * S + S);
    struct world w;
    begin(&w);
    w.feed = feed_of(&f);
    w.feed.origin = TC_ORIGIN_LIVE;
    struct tc_collect_conf conf = {&w.feed, &w.bus, w.calendar, 5, -1};
    assert_int_equal(tc_collect_open(&conf, &w.role), 0);
    run_to_end(&w);
    struct seen s = read_all(&w);
    for (size_t i = 0; i < s.n; i++)
        if (s.r[i].type == TC_REC_SECOND)
            assert_false(s.r[i].second.second > CLOSE + 60 * S && s.r[i].second.second < OPEN + 86400 * S);
    assert_int_equal(count(&s, TC_REC_BAR), 3);
    free(s.r);
    w.role.ops->close(w.role.self);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_gives_bars_quotes_markers_and_quality),
        cmocka_unit_test(a_missing_day_is_unknown_and_has_no_markers),
        cmocka_unit_test(a_role_stopped_anywhere_goes_on_to_the_same_records),
        cmocka_unit_test(a_finished_folder_is_left_alone_and_another_source_is_refused),
        cmocka_unit_test(late_trades_are_published_as_revisions_and_counted),
        cmocka_unit_test(a_watermark_that_jumps_over_the_night_closes_no_second_of_it),
    };
    return cmocka_run_group_tests_name("collect", tests, NULL, NULL);
}
