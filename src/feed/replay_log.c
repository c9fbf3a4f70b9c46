/* Logs recorded by tickcast: bars with quotes and tape, quotes of seconds without a trade, gaps.
 *
 * Markers say which seconds were watched. A span of a session without them is a gap (not_recorded), so that a
 * recording that began late is not taken for a quiet market.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "bus/log_scan.h"
#include "feed/replay_int.h"
#include "market/symtab.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct rp_log {
    struct tc_log_scan *scan;
    struct tc_record record;
    bool held;      /* record was read and is still to be given */
    int32_t day;    /* of the newest record; 0 = none yet */
    int64_t expect; /* first second of it that no record has spoken of */
    struct tc_session session;
    bool has_session, ended;
};

static int64_t second_end(int64_t second)
{
    return second + TC_NS_PER_SEC - 1;
}

static int bad_record(struct replay *r, bool damaged)
{
    if (r->on_error == TC_ON_ERROR_REFUSE)
        return TC_EINPUT;
    atomic_fetch_add_explicit(&r->bad_lines, 1, memory_order_relaxed);
    if (r->skip == 0)
        tc_log_error("replay", "%s; %s", tc_error(),
                     damaged ? "the rest of the log is skipped" : "it is skipped");
    return damaged ? TC_DONE : TC_OK;
}

/* The next record that may become an event. */
static int read_record(struct replay *r, struct rp_log *l)
{
    while (!l->held) {
        bool damaged;
        int rc = tc_log_scan_next(l->scan, &l->record, &damaged);
        if (rc == TC_EINPUT)
            rc = bad_record(r, damaged);
        else if (rc == TC_OK)
            l->held = l->record.type == TC_REC_BAR || l->record.type == TC_REC_QUOTE ||
                      l->record.type == TC_REC_SECOND || l->record.type == TC_REC_GAP;
        if (rc)
            return rc;
    }
    return TC_OK;
}

static int64_t second_of(const struct tc_record *rec)
{
    return rec->type == TC_REC_BAR     ? rec->bar.start
           : rec->type == TC_REC_QUOTE ? rec->quote.second
                                       : rec->second.second;
}

static bool give_gap(struct stream *s, uint32_t sym, int64_t start, int64_t end, const char *reason)
{
    if (start >= end)
        return false;
    s->event = (struct tc_event){.type = TC_EVENT_GAP, .sym = sym, .time = start};
    s->event.gap.end = end;
    snprintf(s->event.gap.reason, sizeof(s->event.gap.reason), "%s", reason);
    return true;
}

/* The part of the session between `expect` and `next` that nobody recorded. */
static bool unrecorded(struct stream *s, const struct rp_log *l, int64_t next)
{
    int64_t start = l->expect > l->session.open ? l->expect : l->session.open;
    int64_t end = next < l->session.close ? next : l->session.close;
    return l->has_session && give_gap(s, UINT32_MAX, start, end, "not_recorded");
}

/* True when seconds before the record's were not recorded: s->event is the gap, told at their beginning. */
static bool hole_before(struct replay *r, struct stream *s, struct rp_log *l, int64_t second)
{
    int32_t day = tc_calendar_day(r->calendar, second);
    if (day != l->day) {
        bool told = l->day && unrecorded(s, l, INT64_MAX);
        l->day = day;
        l->has_session = tc_calendar_session(r->calendar, day, &l->session) == TC_OK;
        l->expect = tc_calendar_local_midnight(r->calendar, day);
        if (told)
            return true;
    }
    bool told = unrecorded(s, l, second);
    l->expect = second > l->expect ? second : l->expect;
    if (told && s->key < s->event.time - 1)
        s->key = s->event.time - 1; /* before the watermark that would close them as quiet */
    return told;
}

static void quote_event(struct stream *s, int64_t second, const struct tc_quote *q, struct tc_event *out)
{
    *out = (struct tc_event){.type = TC_EVENT_QUOTE, .sym = s->sym, .time = second_end(second)};
    out->quote = *q;
}

static void bar_event(struct stream *s, const struct tc_bar *b)
{
    s->event = (struct tc_event){.type = TC_EVENT_BAR, .sym = s->sym, .time = b->start};
    s->event.bar = (struct tc_event_bar){.open = b->open,
                                         .high = b->high,
                                         .low = b->low,
                                         .close = b->close,
                                         .vwap = b->vwap,
                                         .volume = b->volume,
                                         .trades = b->trades,
                                         .has_tape = true,
                                         .quote_lag_ms = b->quote_lag_ms,
                                         .tape = b->tape};
    s->has_pending =
        b->revision == 0 && b->quote.bid > 0 && b->quote.ask > 0 && second_end(b->start) >= s->key;
    if (s->has_pending)
        quote_event(s, b->start, &b->quote, &s->pending);
}

/* The held record as an event; false when it makes none. */
static bool record_event(struct replay *r, struct stream *s, struct rp_log *l)
{
    const struct tc_record *rec = &l->record;
    if (rec->type == TC_REC_GAP) {
        bool all = !strcmp(rec->gap.symbol, "*");
        int64_t sym = all ? (int64_t)UINT32_MAX : tc_symtab_find(r->by_name, rec->gap.symbol);
        if (sym < 0 || !give_gap(s, (uint32_t)sym, rec->gap.start, rec->gap.end, rec->gap.reason))
            return false;
        int64_t day = tc_calendar_local_midnight(r->calendar, tc_calendar_day(r->calendar, rec->gap.start));
        s->key = s->key < day ? day : s->key; /* a gap is told on its day */
        return true;
    }
    int64_t second = second_of(rec);
    if (rec->type == TC_REC_SECOND) {
        l->expect = second + TC_NS_PER_SEC > l->expect ? second + TC_NS_PER_SEC : l->expect;
        return false;
    }
    int64_t sym = tc_symtab_find(r->by_name, rec->type == TC_REC_BAR ? rec->bar.symbol : rec->quote.symbol);
    if (sym < 0 || second < r->from_time || second >= r->to_time)
        return false;
    s->sym = (uint32_t)sym;
    if (rec->type == TC_REC_BAR)
        bar_event(s, &rec->bar);
    else
        quote_event(s, second, &rec->quote.quote, &s->event);
    if (second_end(second) > s->key)
        s->key = second_end(second);
    return true;
}

static bool outside(const struct replay *r, const struct rp_log *l)
{
    if (l->record.type == TC_REC_GAP)
        return l->record.gap.end <= r->from_time || l->record.gap.start >= r->to_time;
    int64_t second = second_of(&l->record);
    return second < r->from_time || second >= r->to_time;
}

static int log_advance(struct replay *r, struct stream *s)
{
    struct rp_log *l = s->log;
    for (;;) {
        int rc = read_record(r, l);
        if (rc == TC_DONE && !l->ended) {
            l->ended = true;
            return l->day && unrecorded(s, l, INT64_MAX) ? TC_OK : TC_DONE;
        }
        if (rc)
            return rc;
        if (outside(r, l)) {
            l->held = false;
            continue;
        }
        bool late =
            l->record.type == TC_REC_GAP || (l->record.type == TC_REC_BAR && l->record.bar.start < l->expect);
        if (!late && hole_before(r, s, l, second_of(&l->record)))
            return TC_OK;
        l->held = false;
        if (record_event(r, s, l))
            return TC_OK;
    }
}

static void log_close(struct stream *s)
{
    if (s->log)
        tc_log_scan_close(s->log->scan);
    free(s->log);
}

static int log_next_part(struct replay *r)
{
    if (r->opened)
        return TC_DONE;
    r->opened = true;
    struct stream *s = calloc(1, sizeof(*s));
    if (!s || !(s->log = calloc(1, sizeof(*s->log)))) {
        free(s);
        return tc_fail(TC_ENOMEM, "%s: no memory to read it", r->path);
    }
    s->advance = log_advance;
    s->close = log_close;
    int rc = tc_log_scan_open(r->path, TC_TOPIC_BARS, &s->log->scan);
    if (rc) {
        rp_stream_free(s);
        return rc;
    }
    return rp_stream_add(r, s);
}

static void log_seek_part(struct replay *r, int64_t part)
{
    (void)part;
    r->opened = false;
}

static const struct rp_source recorded = {log_next_part, log_seek_part};

/* ---- what the log holds ---- */

static int look(struct tc_log_scan *scan, struct tc_symtab *symbols, bool *simulated)
{
    struct tc_record rec;
    bool damaged;
    int rc;
    while ((rc = tc_log_scan_next(scan, &rec, &damaged)) == TC_OK || (rc == TC_EINPUT && !damaged)) {
        if (rc != TC_OK)
            continue;
        if (rec.type == TC_REC_SECOND && rec.second.origin == TC_ORIGIN_SIMULATED)
            *simulated = true;
        if (rec.type == TC_REC_BAR)
            tc_symtab_add(symbols, rec.bar.symbol);
        if (*simulated)
            break;
    }
    return rc < 0 && rc != TC_EINPUT ? rc : TC_OK; /* damage is told when the log is replayed */
}

static int take_all_symbols(struct replay *r, const struct tc_symtab *symbols)
{
    uint32_t n = tc_symtab_count(symbols);
    char(*names)[TC_SYMBOL_SIZE] = n ? calloc(n, sizeof(*names)) : NULL;
    if (!names)
        return n ? tc_fail(TC_ENOMEM, "no memory for %u symbols", n)
                 : tc_fail(TC_ENOTFOUND, "%s holds no bars", r->path);
    for (uint32_t i = 0; i < n; i++)
        snprintf(names[i], TC_SYMBOL_SIZE, "%s", tc_symtab_name(symbols, i));
    return rp_set_symbols(r, names, n);
}

static int look_through(struct replay *r)
{
    struct tc_log_scan *scan;
    struct tc_symtab *symbols;
    bool simulated = false;
    int rc = tc_log_scan_open(r->path, TC_TOPIC_BARS, &scan);
    if (rc)
        return rc;
    rc = tc_symtab_open(&symbols, RP_SYMBOLS_MAX);
    if (!rc)
        rc = look(scan, symbols, &simulated);
    tc_log_scan_close(scan);
    if (!rc && simulated)
        rc = tc_fail(TC_ECONF,
                     "%s was recorded from the simulated market, which must not appear as anything else: run "
                     "--feed simulated with the same seed",
                     r->path);
    if (!rc && r->n_symbols == 0)
        rc = take_all_symbols(r, symbols);
    tc_symtab_close(symbols);
    return rc;
}

int rp_log_open(struct replay *r, bool *out)
{
    static const char *const below[] = {"", "/bus"};
    for (size_t i = 0; i < 2 && !*out; i++) {
        char folder[RP_PATH];
        struct stat st;
        snprintf(folder, sizeof(folder), "%.2000s%s/%s", r->path, below[i], tc_topic_name(TC_TOPIC_BARS));
        *out = stat(folder, &st) == 0 && S_ISDIR(st.st_mode);
        if (*out && i == 1)
            snprintf(r->path + strlen(r->path), sizeof(r->path) - strlen(r->path), "/bus");
    }
    if (!*out)
        return TC_OK;
    r->source = &recorded;
    r->bars_from = TC_BARS_FROM_SECONDS;
    r->watch_days = true;
    rp_set_days(r);
    return look_through(r);
}
