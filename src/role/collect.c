#include "role/collect.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "bus/outbox.h"
#include "market/bars.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS = 1024, BATCH = 1024, STATE_VERSION = 2 };

static const int64_t MINUTE = 60 * TC_NS_PER_SEC;
enum { SYMBOLS_A_MINUTE = 64 }; /* with more of them checkpoints and quality become rarer */
static const int64_t LONGEST_WAIT = 20 * TC_NS_PER_MS;
static const uint32_t STATE_MAGIC = 0x314c4f43; /* "COL1" */

enum phase {
    FRESH, /* the feed has given nothing yet: the cursor means nothing */
    READING,
    DONE, /* everything is published but TC_REC_END */
};

struct span {
    int64_t start, end; /* unknown in [start, end) */
};

struct totals {
    int64_t traded, no_trade, unknown, duplicates, late, revised, backfilled, gaps;
};

struct symbol {
    struct totals now, sent; /* of the current day; as they stood in the last quality record */
    struct span gap;
};

/* Everything a checkpoint holds beside the builder's state; no padding. */
struct state {
    uint32_t magic, version;
    uint64_t identity;
    uint64_t size;                /* of this struct with its symbols */
    struct tc_feed_cursor cursor; /* where the feed stands */
    int64_t watermark;
    int64_t last_event;     /* start of the newest second of the day with an event; INT64_MIN = none */
    int64_t last_available; /* given by the clock */
    struct span gap;        /* of the whole feed */
    int32_t day;            /* yyyymmdd; 0 = before the first */
    int32_t day_started;    /* 1: the builder's seconds are this day's */
    int32_t phase;
    uint32_t n_symbols;
    struct symbol symbols[];
};

struct collect {
    struct tc_collect_conf conf;
    struct tc_outbox *outbox;
    struct tc_bars *bars;
    struct state *s;
    struct tc_session session; /* of s->day */
    bool has_session, ended;
    int64_t day_start, day_end; /* exchange's midnights around s->day */
    uint32_t calendar_version;  /* that the session was read from */
    int64_t open;               /* the builder's first open second, once the day has started */
    int64_t checkpoint_every;
    int64_t wait;
    uint8_t *blob;
    size_t blob_size;
    struct tc_record record;
    struct tc_event events[EVENTS];
    int64_t *last_bar; /* while a live feed's records are read again: the newest bar of each symbol */
    char role[TC_COLLECT_NAME];
    tc_metric *m_agreed, *m_differed;
    tc_metric *m_events, *m_bars, *m_late, *m_revised, *m_dropped, *m_bad_lines, *m_gaps, *m_data_time;
};

static bool inside(const struct span *s, int64_t t)
{
    return t >= s->start && t < s->end;
}

static bool in_session(const struct collect *c, int64_t second)
{
    return c->has_session && second >= c->session.open && second < c->session.close;
}

static int put(struct collect *c, enum tc_record_type type)
{
    c->record.type = type;
    c->record.from = -1;
    return tc_outbox_add(c->outbox, &c->record);
}

/* `available` of what becomes known at the end of a second, or late at the watermark. */
static int64_t stamp(struct collect *c, int64_t end)
{
    if (end <= c->conf.feed->live_from)
        return end + c->conf.replay_delay_ns;
    int64_t now = tc_now_ns();
    if (now > c->s->last_available)
        c->s->last_available = now;
    return c->s->last_available;
}

/* ---- quality and checkpoints ---- */

static int put_quality(struct collect *c)
{
    for (uint32_t i = 0; i < c->s->n_symbols; i++) {
        struct symbol *y = &c->s->symbols[i];
        if (!memcmp(&y->now, &y->sent, sizeof(y->now)))
            continue;
        y->sent = y->now;
        const struct totals *t = &y->now;
        struct tc_quality *q = &c->record.quality;
        memcpy(q->symbol, c->conf.feed->symbols[i], TC_SYMBOL_SIZE);
        q->day = c->s->day;
        q->traded = t->traded;
        q->no_trade = t->no_trade;
        q->unknown = t->unknown;
        q->duplicates = t->duplicates;
        q->late = t->late;
        q->revised = t->revised;
        q->backfilled = t->backfilled;
        q->gaps = t->gaps;
        int rc = put(c, TC_REC_QUALITY);
        if (rc)
            return rc;
    }
    return TC_OK;
}

static int put_checkpoint(struct collect *c)
{
    size_t n;
    const void *bars = tc_bars_state(c->bars, &n);
    memcpy(c->blob, c->s, c->s->size);
    memcpy(c->blob + c->s->size, bars, n);
    struct tc_checkpoint *k = &c->record.checkpoint;
    memset(k, 0, sizeof(*k));
    memcpy(k->role, c->role, sizeof(k->role));
    snprintf(k->kernel, sizeof(k->kernel), "bars%d", STATE_VERSION);
    k->topic = TC_TOPIC_BARS;
    k->blob = c->blob;
    k->blob_len = (uint32_t)c->blob_size;
    return put(c, TC_REC_CHECKPOINT);
}

/* ---- one second ---- */

static int put_bars(struct collect *c, int64_t second, int64_t available, int32_t *traded)
{
    bool counts = in_session(c, second);
    for (uint32_t i = 0; i < c->s->n_symbols; i++) {
        struct symbol *y = &c->s->symbols[i];
        if (!tc_bars_closed_bar(c->bars, i, available, &c->record.bar)) {
            if (counts && (inside(&y->gap, second) || inside(&c->s->gap, second)))
                y->now.unknown++;
            else if (counts)
                y->now.no_trade++;
            continue;
        }
        y->now.traded += counts;
        y->now.backfilled += counts && c->record.bar.origin == TC_ORIGIN_BACKFILL;
        ++*traded;
        int rc = put(c, TC_REC_BAR);
        if (rc)
            return rc;
    }
    tc_metric_add(c->m_bars, *traded);
    return TC_OK;
}

static int put_quotes(struct collect *c, int64_t available)
{
    for (uint32_t i = 0; i < c->s->n_symbols; i++) {
        if (!tc_bars_closed_quote(c->bars, i, available, &c->record.quote))
            continue;
        int rc = put(c, TC_REC_QUOTE);
        if (rc)
            return rc;
    }
    return TC_OK;
}

static int put_marker(struct collect *c, int64_t second, int64_t available, int32_t traded)
{
    struct tc_second *m = &c->record.second;
    memset(m, 0, sizeof(*m));
    memcpy(m->feed, c->conf.feed->name, TC_FEED_SIZE);
    m->second = second;
    m->available = available;
    m->expected = (int32_t)c->s->n_symbols;
    m->traded = traded;
    m->healthy = !inside(&c->s->gap, second);
    m->log_time = second + TC_NS_PER_SEC <= c->conf.feed->live_from;
    m->delay_ms = (double)(available - second - TC_NS_PER_SEC) / TC_NS_PER_MS;
    m->origin = c->conf.feed->origin;
    tc_metric_set(c->m_data_time, (second + TC_NS_PER_SEC) / TC_NS_PER_SEC);
    return put(c, TC_REC_SECOND);
}

static int close_second(struct collect *c)
{
    int64_t second = c->open, end = second + TC_NS_PER_SEC;
    int64_t available = stamp(c, end);
    int32_t traded = 0;
    tc_bars_close_second(c->bars);
    c->open = end;
    int rc = put_bars(c, second, available, &traded);
    if (!rc)
        rc = put_quotes(c, available);
    if (!rc)
        rc = put_marker(c, second, available, traded);
    if (rc || end % c->checkpoint_every != 0)
        return rc;
    rc = put_quality(c);
    return rc ? rc : put_checkpoint(c);
}

static int close_up_to(struct collect *c, int64_t t)
{
    int rc = TC_OK;
    while (c->s->day_started && c->open < t && !rc)
        rc = close_second(c);
    return rc;
}

/* ---- days ---- */

static void load_day(struct collect *c)
{
    const struct tc_calendar *k = c->conf.calendar;
    c->calendar_version = tc_calendar_version(k); /* first: a change in between is seen the next time */
    int32_t after = tc_date_from_days(tc_days_from_date(c->s->day) + 1);
    c->has_session = tc_calendar_session(k, c->s->day, &c->session) == TC_OK;
    c->day_start = tc_calendar_local_midnight(k, c->s->day);
    c->day_end = tc_calendar_local_midnight(k, after);
}

static void begin_day(struct collect *c, int64_t t)
{
    c->s->day = tc_calendar_day(c->conf.calendar, t);
    c->s->day_started = 0;
    c->s->last_event = INT64_MIN;
    if (c->s->gap.end <= t) /* a hole over midnight goes on */
        c->s->gap = (struct span){0, 0};
    memset(c->s->symbols, 0, c->s->n_symbols * sizeof(c->s->symbols[0]));
    load_day(c);
}

static void start_seconds(struct collect *c, int64_t t)
{
    tc_bars_start_day(c->bars, t);
    c->open = tc_bars_open_second(c->bars);
    c->s->day_started = 1;
}

/* A day without any event: its session is unknown where a gap says so. */
static void count_unseen_day(struct collect *c)
{
    if (!c->has_session)
        return;
    for (uint32_t i = 0; i < c->s->n_symbols; i++) {
        struct symbol *y = &c->s->symbols[i];
        const struct span *g = inside(&y->gap, c->session.open) ? &y->gap : &c->s->gap;
        int64_t from = g->start > c->session.open ? g->start : c->session.open;
        int64_t to = g->end < c->session.close ? g->end : c->session.close;
        y->now.unknown += to > from ? (to - from) / TC_NS_PER_SEC : 0;
    }
}

/* Closes what is left of the day: up to its last event, and the session as far as the feed speaks for it. */
static int finish_day(struct collect *c, int64_t watermark)
{
    if (!c->s->day)
        return TC_OK;
    if (!c->s->day_started) {
        count_unseen_day(c);
    } else {
        bool whole = c->conf.feed->origin == TC_ORIGIN_REPLAY; /* files speak for the whole session */
        int64_t to = c->s->last_event == INT64_MIN ? INT64_MIN : c->s->last_event + TC_NS_PER_SEC;
        int64_t known = whole || watermark > c->session.close ? c->session.close : watermark;
        if (c->has_session && known > to)
            to = known;
        int rc = close_up_to(c, to);
        if (rc)
            return rc;
    }
    return put_quality(c);
}

/* Seconds outside the session wait for a later event of the day: behind the last one no marker is written. */
static bool may_wait(const struct collect *c)
{
    bool before = c->has_session && c->s->watermark <= c->session.open;
    bool after = !c->has_session || c->open >= c->session.close;
    return before || after;
}

static int unheard(struct collect *c, int64_t start, int64_t end);

/* The first sign of a day's life that starts its seconds: for files at the session's start at the latest. */
static int start_by(struct collect *c, int64_t t, bool is_event)
{
    int64_t second = tc_floor_second(t);
    bool late = c->has_session && second > c->session.open;
    if (!is_event && !late && c->conf.feed->origin == TC_ORIGIN_REPLAY)
        return TC_OK;
    if (late && c->conf.feed->origin == TC_ORIGIN_REPLAY) {
        start_seconds(c, c->session.open);
        return TC_OK;
    }
    start_seconds(c, second);
    if (late && c->conf.feed->origin == TC_ORIGIN_LIVE && second < c->session.close)
        return unheard(c, c->session.open, second);
    return TC_OK;
}

static int on_watermark(struct collect *c, const struct tc_event *e)
{
    if (e->time <= c->s->watermark && c->s->phase == READING)
        return TC_OK; /* of a feed that was set back to a checkpoint */
    int rc = TC_OK;
    c->s->cursor = e->cursor;
    c->s->phase = READING;
    if (!c->s->day || e->time >= c->day_end || e->time < c->day_start) {
        rc = finish_day(c, e->time);
        if (!rc)
            begin_day(c, e->time);
    } else if (c->calendar_version != tc_calendar_version(c->conf.calendar)) {
        load_day(c); /* somebody has edited it: an early close told at noon */
    }
    c->s->watermark = e->time;
    if (!rc && !c->s->day_started)
        rc = start_by(c, e->time, false);
    if (rc || !c->s->day_started)
        return rc;
    int64_t to = e->time;
    if (may_wait(c)) {
        int64_t behind = c->s->last_event == INT64_MIN ? c->open : c->s->last_event + TC_NS_PER_SEC;
        to = behind < to ? behind : to;
    } else if (c->has_session && to > c->session.close && c->s->last_event < c->session.close) {
        to = c->session.close;
    }
    return close_up_to(c, to);
}

/* ---- events ---- */

static int put_gap(struct collect *c, const char *symbol, const struct tc_event *e)
{
    struct tc_gap *g = &c->record.gap;
    memset(g, 0, sizeof(*g));
    snprintf(g->symbol, sizeof(g->symbol), "%s", symbol);
    memcpy(g->feed, c->conf.feed->name, TC_FEED_SIZE);
    snprintf(g->reason, sizeof(g->reason), "%s", e->gap.reason);
    g->start = e->time;
    g->end = e->gap.end;
    g->filled = e->gap.filled;
    return put(c, TC_REC_GAP);
}

static void widen(struct span *s, int64_t start, int64_t end)
{
    if (s->end > s->start && start <= s->end && end >= s->start) {
        s->start = start < s->start ? start : s->start;
        s->end = end > s->end ? end : s->end;
    } else {
        *s = (struct span){start, end};
    }
}

static int on_gap(struct collect *c, const struct tc_event *e)
{
    bool all = e->sym >= c->s->n_symbols;
    struct span *known = all ? &c->s->gap : &c->s->symbols[e->sym].gap;
    if (e->gap.end <= e->time)
        return TC_OK;
    bool grown = known->end > known->start && known->start == e->time;
    if (!e->gap.filled)
        widen(known, e->time, e->gap.end);
    if (!e->gap.filled && !grown) {
        for (uint32_t i = all ? 0 : e->sym; i < (all ? c->s->n_symbols : e->sym + 1); i++)
            c->s->symbols[i].now.gaps++;
        tc_metric_add(c->m_gaps, 1);
    }
    return put_gap(c, all ? "*" : c->conf.feed->symbols[e->sym], e);
}

/* Nobody listened from start to end. */
static int unheard(struct collect *c, int64_t start, int64_t end)
{
    struct tc_event e = {.type = TC_EVENT_GAP, .sym = UINT32_MAX, .time = start};
    e.gap.end = end;
    snprintf(e.gap.reason, sizeof(e.gap.reason), "not_running");
    int64_t from = start > c->session.open ? start : c->session.open;
    int64_t to = end < c->session.close ? end : c->session.close;
    for (uint32_t i = 0; c->has_session && to > from && i < c->s->n_symbols; i++)
        c->s->symbols[i].now.unknown += (to - from) / TC_NS_PER_SEC;
    return on_gap(c, &e);
}

/* A trade or bar came for a second that was closed: its new version goes out at once. */
static int put_revision(struct collect *c, uint32_t sym, int64_t time)
{
    struct symbol *y = &c->s->symbols[sym];
    tc_bars_revision(c->bars, sym, time, stamp(c, c->s->watermark), &c->record.bar);
    if (c->record.bar.revision > 0) {
        y->now.revised++;
        tc_metric_add(c->m_revised, 1);
    } else if (in_session(c, tc_floor_second(time))) {
        y->now.traded++;
        if (inside(&y->gap, time) || inside(&c->s->gap, time))
            y->now.unknown--;
        else
            y->now.no_trade--;
    }
    return put(c, TC_REC_BAR);
}

static int on_fate(struct collect *c, const struct tc_event *e, enum tc_bars_fate fate)
{
    struct symbol *y = &c->s->symbols[e->sym];
    switch (fate) {
    case TC_BARS_TAKEN:
        break;
    case TC_BARS_DUPLICATE:
        y->now.duplicates++;
        break;
    case TC_BARS_AGREED:
        tc_metric_add(c->m_agreed, 1);
        break;
    case TC_BARS_REVISED:
    case TC_BARS_TOO_LATE:
        if (e->type == TC_EVENT_BAR && c->conf.feed->vendor_revises) {
            tc_metric_add(c->m_differed, 1);
        } else {
            y->now.late++;
            tc_metric_add(c->m_late, 1);
        }
        return fate == TC_BARS_REVISED ? put_revision(c, e->sym, e->time) : TC_OK;
    case TC_BARS_AHEAD:
    case TC_BARS_BAD:
        tc_metric_add(c->m_dropped, 1);
        break;
    }
    return TC_OK;
}

/* A bar fetched afterwards for a second that was closed long ago: the builder has nothing to do with it. */
static int on_backfill(struct collect *c, const struct tc_event *e)
{
    const struct tc_feed *f = c->conf.feed;
    struct tc_bar *b = &c->record.bar;
    int64_t second = tc_floor_second(e->time);
    if (e->sym >= c->s->n_symbols || !(e->bar.low > 0) || second >= c->open)
        return tc_fail(TC_EINTERNAL, "feed %s gave a fetched bar of a second that is open", f->name);
    tc_bars_forget(c->bars, e->sym, second);
    memset(b, 0, sizeof(*b));
    memcpy(b->symbol, f->symbols[e->sym], TC_SYMBOL_SIZE);
    memcpy(b->feed, f->name, TC_FEED_SIZE);
    b->start = second;
    b->available = stamp(c, c->s->watermark > f->live_from ? c->s->watermark : f->live_from + 1);
    b->interval_ms = 1000;
    b->trades = e->bar.trades;
    b->open = e->bar.open;
    b->high = e->bar.high;
    b->low = e->bar.low;
    b->close = e->bar.close;
    b->vwap = e->bar.vwap;
    b->volume = e->bar.volume;
    b->quote = (struct tc_quote){NAN, NAN, NAN, NAN};
    b->quote_lag_ms = NAN;
    b->tape = (struct tc_tape){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    b->origin = TC_ORIGIN_BACKFILL;
    b->revision = e->again;
    if (in_session(c, second) && !e->again) {
        struct totals *t = &c->s->symbols[e->sym].now;
        t->traded++;
        t->backfilled++;
        t->unknown -= t->unknown > 0;
    }
    return put(c, TC_REC_BAR);
}

static int on_data(struct collect *c, const struct tc_event *e)
{
    if (e->sym >= c->s->n_symbols)
        return tc_fail(TC_EINTERNAL, "feed %s gave an event of symbol %u and has %u", c->conf.feed->name,
                       e->sym, c->s->n_symbols);
    int rc = c->s->day_started ? TC_OK : start_by(c, e->time, true);
    if (!rc && c->open < c->s->watermark)
        rc = close_up_to(c, c->s->watermark);
    if (rc)
        return rc;
    enum tc_bars_fate fate = e->type == TC_EVENT_TRADE   ? tc_bars_trade(c->bars, e->sym, e->time, &e->trade)
                             : e->type == TC_EVENT_QUOTE ? tc_bars_quote(c->bars, e->sym, e->time, &e->quote)
                                                         : tc_bars_bar(c->bars, e->sym, e->time, &e->bar);
    if (fate == TC_BARS_TAKEN) {
        if (e->time >= c->s->last_event + TC_NS_PER_SEC || c->s->last_event == INT64_MIN)
            c->s->last_event = tc_floor_second(e->time);
        return TC_OK;
    }
    return on_fate(c, e, fate);
}

static int on_event(struct collect *c, const struct tc_event *e)
{
    if (e->type == TC_EVENT_WATERMARK)
        return on_watermark(c, e);
    if (!c->s->day)
        return tc_fail(TC_EINTERNAL, "feed %s gave an event before its first watermark", c->conf.feed->name);
    if (e->type == TC_EVENT_BACKFILL)
        return on_backfill(c, e);
    if (e->type != TC_EVENT_GAP)
        return on_data(c, e);
    int rc = close_up_to(c, c->s->watermark);
    return rc ? rc : on_gap(c, e);
}

static int on_end(struct collect *c)
{
    int rc = TC_OK;
    if (c->s->phase != DONE) {
        c->conf.feed->ops->cursor(c->conf.feed->self, &c->s->cursor);
        rc = finish_day(c, c->s->watermark);
        c->s->phase = DONE;
        if (!rc)
            rc = put_checkpoint(c);
    }
    memset(&c->record, 0, sizeof(c->record));
    if (!rc)
        rc = put(c, TC_REC_END);
    if (!rc)
        rc = tc_outbox_flush(c->outbox);
    c->ended = rc == TC_OK;
    return rc;
}

/* ---- the role ---- */

static void count(struct collect *c, size_t n)
{
    struct tc_feed_health h;
    c->conf.feed->ops->health(c->conf.feed->self, &h);
    tc_metric_add(c->m_events, (int64_t)n);
    tc_metric_set(c->m_bad_lines, (int64_t)h.bad_lines);
}

static int collect_work(void *self)
{
    struct collect *c = self;
    if (c->ended)
        return 0;
    size_t n = 0;
    if (c->s->phase == DONE) /* stopped between the last checkpoint and the end */
        return on_end(c);
    int rc = c->conf.feed->ops->next(c->conf.feed->self, c->events, EVENTS, &n, &c->wait);
    if (rc < 0)
        return rc;
    if (rc == TC_AGAIN)
        return c->wait == 0 ? 1 : 0; /* 1: it wants to be asked again at once */
    if (rc == TC_DONE) {
        rc = on_end(c);
        count(c, 0);
        return rc ? rc : 1;
    }
    for (size_t i = 0; i < n; i++)
        if ((rc = on_event(c, &c->events[i])) != TC_OK)
            return rc;
    rc = tc_outbox_flush(c->outbox);
    count(c, n);
    return rc ? rc : (int)n;
}

static bool collect_ended(const void *self)
{
    return ((const struct collect *)self)->ended;
}

static int64_t collect_wait(const void *self)
{
    const struct collect *c = self;
    return c->wait < LONGEST_WAIT && c->wait > 0 ? c->wait : LONGEST_WAIT;
}

static int collect_flush(void *self, int64_t deadline_mono_ns)
{
    (void)deadline_mono_ns;
    return tc_outbox_flush(((struct collect *)self)->outbox);
}

static void collect_close(void *self)
{
    struct collect *c = self;
    if (!c)
        return;
    tc_outbox_close(c->outbox);
    tc_bars_close(c->bars);
    free(c->last_bar);
    free(c->blob);
    free(c->s);
    free(c);
}

static const struct tc_role_ops ops = {
    .name = "collect",
    .work = collect_work,
    .ended = collect_ended,
    .wait_ns = collect_wait,
    .flush = collect_flush,
    .close = collect_close,
};

/* ---- open ---- */

static void open_metrics(struct collect *c)
{
    c->m_events =
        tc_counter("tickcast_feed_events_total", NULL, "Trades, quotes and bars that came from the feed");
    tc_metric_set(tc_gauge("tickcast_symbols", NULL, "Symbols of the feed"), c->conf.feed->n_symbols);
    c->m_bars = tc_counter("tickcast_bars_total", NULL, "Second bars published, first versions in time");
    c->m_late = tc_counter("tickcast_late_events_total", NULL, "Trades and bars of a second already closed");
    c->m_revised = tc_counter("tickcast_revised_bars_total", NULL, "New versions of published bars");
    c->m_dropped = tc_counter("tickcast_dropped_events_total", NULL,
                              "Events dropped: impossible numbers, or far ahead of the feed's clock");
    c->m_agreed = tc_counter("tickcast_vendor_bars_total", "result=\"agreed\"",
                             "Vendor's second bars that came after our own of the same second");
    c->m_differed = tc_counter("tickcast_vendor_bars_total", "result=\"differed\"",
                               "Vendor's second bars that came after our own of the same second");
    c->m_gaps = tc_counter("tickcast_gaps_total", NULL, "Gaps written to the ledger");
    c->m_bad_lines = tc_gauge("tickcast_feed_bad_lines", NULL, "Lines and files that the feed had to skip");
    c->m_data_time =
        tc_gauge("tickcast_data_time_seconds", NULL, "End of the newest closed second, Unix time");
}

static int make_builder(struct collect *c)
{
    const struct tc_feed *f = c->conf.feed;
    struct tc_bars_conf conf = {
        .n_symbols = f->n_symbols,
        .symbols = (const char(*)[TC_SYMBOL_SIZE])f->symbols,
        .feed = f->name,
        .origin = f->origin,
        .from = f->bars_from,
        .quotes_always_fresh = f->quotes_always_fresh,
        .vendor_revises = f->vendor_revises,
    };
    int rc = tc_bars_open(&conf, &c->bars);
    if (rc)
        return rc;
    size_t builder, size = sizeof(struct state) + f->n_symbols * sizeof(struct symbol);
    tc_bars_state(c->bars, &builder);
    c->blob_size = size + builder;
    c->s = calloc(1, size);
    c->blob = calloc(1, c->blob_size);
    if (!c->s || !c->blob)
        return tc_fail(TC_ENOMEM, "no memory to collect %u symbols", f->n_symbols);
    if (c->blob_size > TC_BLOB_MAX)
        return tc_fail(TC_ELIMIT, "%u symbols are more than one collect role can hold (%u)", f->n_symbols,
                       (unsigned)(TC_BLOB_MAX / (c->blob_size / f->n_symbols)));
    c->s->magic = STATE_MAGIC;
    c->s->version = STATE_VERSION;
    c->s->identity = f->identity;
    c->s->size = size;
    c->s->n_symbols = f->n_symbols;
    c->s->last_event = c->s->watermark = INT64_MIN;
    return TC_OK;
}

static uint32_t symbol_of(const struct collect *c, const char *name)
{
    uint32_t i = 0;
    while (i < c->s->n_symbols && strcmp(c->conf.feed->symbols[i], name) != 0)
        i++;
    return i;
}

/* What a live feed's marker says that was written after the checkpoint. */
static void count_second(struct collect *c, const struct tc_second *m)
{
    if (tc_calendar_day(c->conf.calendar, m->second) != c->s->day)
        begin_day(c, m->second);
    for (uint32_t i = 0; in_session(c, m->second) && i < c->s->n_symbols; i++) {
        struct totals *t = &c->s->symbols[i].now;
        if (c->last_bar[i] == m->second)
            t->traded++;
        else if (m->healthy)
            t->no_trade++;
        else
            t->unknown++;
    }
    c->s->watermark = m->second + TC_NS_PER_SEC;
}

/* A live source gives nothing twice: what this feed published behind its checkpoint is counted, and the next
 * second that is made is the one behind the last marker. */
static int go_on_behind(struct collect *c)
{
    struct tc_record r;
    int rc;
    c->last_bar = calloc(c->s->n_symbols, sizeof(*c->last_bar));
    if (!c->last_bar)
        return tc_fail(TC_ENOMEM, "no memory to collect %u symbols", c->s->n_symbols);
    while ((rc = tc_outbox_read_old(c->outbox, &r)) == TC_OK) {
        uint32_t i;
        if (r.type == TC_REC_SECOND && !strcmp(r.second.feed, c->conf.feed->name))
            count_second(c, &r.second);
        else if (r.type == TC_REC_BAR && (i = symbol_of(c, r.bar.symbol)) < c->s->n_symbols)
            c->last_bar[i] = r.bar.start;
    }
    if (rc < 0)
        return rc;
    if (c->s->watermark == INT64_MIN)
        return TC_OK; /* it had published nothing yet */
    if (c->s->day_started)
        tc_bars_skip_to(c->bars, c->s->watermark);
    else
        start_seconds(c, c->s->watermark);
    c->open = tc_bars_open_second(c->bars);
    c->s->phase = READING;
    struct tc_feed_cursor at = {.part = c->s->watermark, .index = c->s->cursor.index};
    return c->conf.feed->ops->seek(c->conf.feed->self, &at);
}

/* A live feed with other symbols than before: it goes on in time, its builder begins anew. */
static int other_symbols(struct collect *c, const struct state *before)
{
    c->s->cursor = before->cursor;
    c->s->watermark = before->watermark;
    if (before->day)
        begin_day(c, before->watermark);
    return go_on_behind(c);
}

static int restore(struct collect *c, const struct tc_checkpoint *k)
{
    struct state head;
    if (k->blob_len < sizeof(head))
        return tc_fail(TC_EINPUT, "the saved state of collect is damaged: it has %u bytes", k->blob_len);
    memcpy(&head, k->blob, sizeof(head));
    if (head.magic != STATE_MAGIC || head.version != STATE_VERSION)
        return tc_fail(TC_ECONF,
                       "the data folder was written by another version of tickcast: use another folder");
    if (c->conf.feed->cannot_repeat && (head.identity != c->s->identity || k->blob_len != c->blob_size))
        return other_symbols(c, &head);
    if (head.identity != c->s->identity || head.n_symbols != c->s->n_symbols || head.size != c->s->size ||
        k->blob_len != c->blob_size)
        return tc_fail(TC_ECONF,
                       "the data folder was begun with another source (symbols, days, files or settings): "
                       "run it with the same, or use another folder");
    memcpy(c->s, k->blob, c->s->size);
    int rc = tc_bars_restore(c->bars, k->blob + c->s->size, c->blob_size - c->s->size);
    if (rc)
        return rc;
    if (c->s->day) {
        if (c->s->day < 19000101 || c->s->day > 99991231)
            return tc_fail(TC_EINPUT, "the saved state of collect is damaged: day %d", (int)c->s->day);
        load_day(c);
    }
    c->open = tc_bars_open_second(c->bars);
    c->ended = tc_outbox_finished(c->outbox);
    if (c->ended && c->conf.feed->ops->finish)
        c->conf.feed->ops->finish(c->conf.feed->self);
    if (c->conf.feed->cannot_repeat)
        return go_on_behind(c);
    if (c->ended || c->s->phase != READING)
        return TC_OK;
    return c->conf.feed->ops->seek(c->conf.feed->self, &c->s->cursor);
}

static int begin(struct collect *c)
{
    struct tc_outbox_conf conf = {
        .bus = c->conf.bus,
        .topic = TC_TOPIC_BARS,
        .input = -1,
        .role = c->role,
        .snapshot_position = c->conf.snapshot_position,
        .batch = BATCH,
        .cannot_repeat = c->conf.feed->cannot_repeat,
    };
    int rc = tc_outbox_open(&conf, &c->outbox);
    if (rc)
        return rc;
    const struct tc_checkpoint *k = tc_outbox_checkpoint(c->outbox);
    if (k)
        return restore(c, k);
    rc = put_checkpoint(c); /* says from the start what source the folder is of */
    return rc ? rc : tc_outbox_flush(c->outbox);
}

void tc_collect_name(const struct tc_feed *feed, char out[static TC_COLLECT_NAME])
{
    memset(out, 0, TC_COLLECT_NAME); /* its bytes go into the log */
    if (feed->cannot_repeat)
        snprintf(out, TC_COLLECT_NAME, "in.%.8s", feed->name);
    else
        snprintf(out, TC_COLLECT_NAME, "collect");
}

int tc_collect_open(const struct tc_collect_conf *conf, struct tc_role *out)
{
    if (conf->feed->n_symbols == 0)
        return tc_fail(TC_ECONF, "feed %s has no symbols", conf->feed->name);
    struct collect *c = calloc(1, sizeof(*c));
    if (!c)
        return tc_fail(TC_ENOMEM, "no memory for the collect role");
    c->conf = *conf;
    tc_collect_name(conf->feed, c->role);
    c->checkpoint_every = MINUTE * (1 + conf->feed->n_symbols / SYMBOLS_A_MINUTE);
    open_metrics(c);
    int rc = make_builder(c);
    if (!rc)
        rc = begin(c);
    if (rc) {
        collect_close(c);
        return tc_more(rc, "collect");
    }
    *out = (struct tc_role){&ops, c};
    return TC_OK;
}
