#include "feed/replay_int.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "market/symtab.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Long enough to see the page come up before the market opens. */
#define PACE_BEFORE_OPEN_NS (120 * TC_NS_PER_SEC)

enum { TOLD_PER_FILE = 5, SKIP_A_CALL = 50000 };

int32_t rp_day_after(int32_t day)
{
    return tc_date_from_days(tc_days_from_date(day) + 1);
}

void rp_set_days(struct replay *r)
{
    r->from_time = r->from ? tc_calendar_local_midnight(r->calendar, r->from) : INT64_MIN;
    r->to_time = r->to ? tc_calendar_local_midnight(r->calendar, rp_day_after(r->to)) : INT64_MAX;
}

/* ---- streams ---- */

void rp_stream_free(struct stream *s)
{
    if (!s)
        return;
    if (s->close)
        s->close(s);
    tc_text_close(s->text);
    free(s);
}

static int bad_line(struct replay *r, struct stream *s, const char *why)
{
    const char *path = tc_text_path(s->text);
    long long number = (long long)tc_text_number(s->text);
    s->bad_lines++;
    atomic_fetch_add_explicit(&r->bad_lines, 1, memory_order_relaxed);
    if (r->on_error == TC_ON_ERROR_REFUSE)
        return tc_fail(TC_EINPUT, "%s line %lld: %s (--on-error skip would pass over it)", path, number, why);
    if (r->skip == 0 && s->bad_lines <= TOLD_PER_FILE)
        tc_log_warn("replay", "%s line %lld: %s; the line is skipped", path, number, why);
    return TC_OK;
}

/* The rest of a damaged trade file is a gap: from the second after the last good trade to the session's end.
 */
static bool gap_behind(struct replay *r, struct stream *s)
{
    struct tc_session session;
    if (!s->trades || s->key <= 0 ||
        tc_calendar_session(r->calendar, tc_calendar_day(r->calendar, s->key), &session))
        return false;
    int64_t start = tc_floor_second(s->key) + TC_NS_PER_SEC;
    if (start < session.open)
        start = session.open;
    if (start >= session.close)
        return false;
    s->event = (struct tc_event){.type = TC_EVENT_GAP, .sym = s->sym, .time = start};
    s->event.gap.end = session.close;
    memcpy(s->event.gap.reason, "damaged_file", sizeof("damaged_file"));
    return true;
}

static int damaged(struct replay *r, struct stream *s, int rc)
{
    if (r->on_error == TC_ON_ERROR_REFUSE)
        return rc;
    atomic_fetch_add_explicit(&r->bad_lines, 1, memory_order_relaxed);
    if (r->skip == 0)
        tc_log_error("replay", "%s; the rest of the file is skipped", tc_error());
    s->said_damaged = true;
    return gap_behind(r, s) ? TC_OK : TC_DONE;
}

static int end_of_file(const struct replay *r, const struct stream *s)
{
    if (s->bad_lines > TOLD_PER_FILE && r->skip == 0)
        tc_log_warn("replay", "%s: %llu bad lines were skipped", tc_text_path(s->text),
                    (unsigned long long)s->bad_lines);
    return TC_DONE;
}

static int stream_advance(struct replay *r, struct stream *s)
{
    if (s->has_pending) {
        s->event = s->pending;
        s->has_pending = false;
        return TC_OK;
    }
    if (s->advance)
        return s->advance(r, s);
    while (!s->said_damaged) {
        const char *line, *why = NULL;
        size_t n;
        int rc = tc_text_line(s->text, &line, &n);
        if (rc == TC_OK) {
            enum rp_verdict v = s->decode(r, s, line, n, &why);
            if (v == RP_EVENT)
                return TC_OK;
            if (v == RP_BAD)
                rc = bad_line(r, s, why);
        } else if (rc == TC_ELIMIT) {
            rc = bad_line(r, s, "longer than 4096 bytes");
        } else {
            return rc == TC_DONE ? end_of_file(r, s) : damaged(r, s, rc);
        }
        if (rc)
            return rc;
    }
    return TC_DONE;
}

/* ---- the heap of streams ---- */

static bool before(const struct stream *a, const struct stream *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void sift_down(struct replay *r)
{
    struct stream **h = r->heap, *s = h[0];
    size_t n = r->n_streams, i = 0;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(h[child + 1], h[child]))
            child++;
        if (!before(h[child], s))
            break;
        h[i] = h[child];
    }
    h[i] = s;
}

static void sift_up(struct replay *r, size_t i)
{
    struct stream **h = r->heap, *s = h[i];
    for (; i > 0 && before(s, h[(i - 1) / 2]); i = (i - 1) / 2)
        h[i] = h[(i - 1) / 2];
    h[i] = s;
}

int rp_stream_add(struct replay *r, struct stream *s)
{
    int rc = stream_advance(r, s);
    if (rc) {
        rp_stream_free(s);
        return rc == TC_DONE ? TC_OK : rc;
    }
    if (r->n_streams == r->cap_streams) {
        size_t cap = r->cap_streams ? 2 * r->cap_streams : 16;
        struct stream **more = realloc(r->heap, cap * sizeof(*more));
        if (!more) {
            rp_stream_free(s);
            return tc_fail(TC_ENOMEM, "no memory for %zu open files", cap);
        }
        r->heap = more;
        r->cap_streams = cap;
    }
    r->heap[r->n_streams++] = s;
    sift_up(r, r->n_streams - 1);
    return TC_OK;
}

/* Moves the top stream on to its next event. */
static int pop(struct replay *r)
{
    struct stream *s = r->heap[0];
    int rc = stream_advance(r, s);
    if (rc < 0)
        return rc;
    if (rc == TC_DONE) {
        rp_stream_free(s);
        r->heap[0] = r->heap[--r->n_streams];
        if (r->n_streams == 0)
            return TC_OK;
    }
    sift_down(r);
    return TC_OK;
}

/* ---- gaps ---- */

int rp_gap_add(struct replay *r, uint32_t sym, int32_t day, const char *reason)
{
    struct tc_session session;
    if (tc_calendar_session(r->calendar, day, &session))
        return TC_OK; /* closed: nothing is missing */
    if (r->n_gaps == r->cap_gaps) {
        size_t cap = r->cap_gaps ? 2 * r->cap_gaps : 64;
        struct rp_gap *more = realloc(r->gaps, cap * sizeof(*more));
        if (!more)
            return tc_fail(TC_ENOMEM, "no memory for %zu gaps", cap);
        r->gaps = more;
        r->cap_gaps = cap;
    }
    int64_t key = tc_calendar_local_midnight(r->calendar, day);
    r->gaps[r->n_gaps++] = (struct rp_gap){sym, key, session.open, session.close, reason};
    return TC_OK;
}

static int missing_day(struct replay *r, int32_t day)
{
    char text[12];
    if (tc_calendar_closed_reason(r->calendar, day))
        return TC_OK;
    tc_date_text(day, text);
    if (r->on_error == TC_ON_ERROR_REFUSE)
        return tc_fail(TC_ENOTFOUND,
                       "%s holds nothing of %s, a trading day of calendar %s (--on-error skip would go on)",
                       r->path, text, tc_calendar_name(r->calendar));
    if (r->skip == 0)
        tc_log_warn("replay", "%s holds nothing of %s, a trading day of calendar %s", r->path, text,
                    tc_calendar_name(r->calendar));
    return rp_gap_add(r, UINT32_MAX, day, "missing_day");
}

/* Trading days from `from` up to, not including, `to`. */
static int missing_days(struct replay *r, int32_t from, int32_t to)
{
    int rc = TC_OK;
    for (int32_t d = from; d < to && !rc; d = rp_day_after(d))
        rc = missing_day(r, d);
    return rc;
}

static int enter_day(struct replay *r, int64_t key)
{
    int32_t day = tc_calendar_day(r->calendar, key);
    int32_t from = r->seen_day ? rp_day_after(r->seen_day) : r->from ? r->from : day;
    r->seen_day = day;
    r->day_end = tc_calendar_local_midnight(r->calendar, rp_day_after(day));
    r->anchored = false;
    return missing_days(r, from, day);
}

/* ---- the order of events ---- */

static int next_part(struct replay *r)
{
    r->n_gaps = r->next_gap = 0;
    if (r->watch_days && r->part_open && !r->days_done) {
        r->days_done = true;
        int32_t from = r->seen_day ? rp_day_after(r->seen_day) : r->from;
        return r->to && from ? missing_days(r, from, rp_day_after(r->to)) : TC_OK;
    }
    int rc = r->source->next_part(r);
    if (rc == TC_OK) {
        r->part_open = true;
        r->index = 0;
        r->anchored = false;
    }
    return rc;
}

/* Brings the next event to hand: a gap, or the heap's top. */
static int ready(struct replay *r)
{
    for (;;) {
        int rc = TC_OK;
        if (r->next_gap < r->n_gaps)
            return TC_OK;
        if (r->n_streams && !(r->watch_days && r->heap[0]->key >= r->day_end))
            return TC_OK;
        if (r->n_streams) {
            r->n_gaps = r->next_gap = 0;
            rc = enter_day(r, r->heap[0]->key);
        } else {
            rc = next_part(r);
        }
        if (rc)
            return rc;
    }
}

static int64_t next_key(const struct replay *r)
{
    return r->next_gap < r->n_gaps ? r->gaps[r->next_gap].key : r->heap[0]->key;
}

static void gap_event(const struct rp_gap *g, struct tc_event *out)
{
    *out = (struct tc_event){.type = TC_EVENT_GAP, .sym = g->sym, .time = g->start};
    out->gap.end = g->end;
    snprintf(out->gap.reason, sizeof(out->gap.reason), "%s", g->reason);
}

/* Takes the event at hand; out may be NULL. */
static int take(struct replay *r, struct tc_event *out)
{
    r->index++;
    if (r->next_gap < r->n_gaps) {
        if (out)
            gap_event(&r->gaps[r->next_gap], out);
        r->next_gap++;
        return TC_OK;
    }
    if (out)
        *out = r->heap[0]->event;
    return pop(r);
}

static void watermark(struct replay *r, int64_t second, struct tc_event *out)
{
    r->watermark = second;
    out->type = TC_EVENT_WATERMARK;
    out->sym = UINT32_MAX;
    out->time = second;
    out->cursor = (struct tc_feed_cursor){r->part, r->index};
}

/* Event time that has come by now. */
static int64_t paced_now(struct replay *r, int64_t key)
{
    int64_t mono = tc_mono_ns();
    if (!r->anchored) {
        r->anchored = true;
        r->anchor_mono = mono;
        r->anchor_time = key;
    }
    double passed = (double)(mono - r->anchor_mono) * r->speed;
    return r->anchor_time + (int64_t)fmin(passed, (double)(r->pace_to - r->anchor_time));
}

/* The next event is not due: how long to wait, and whether a second ended meanwhile. */
static size_t not_due(struct replay *r, int64_t now, int64_t key, struct tc_event *out, int64_t *wait)
{
    int64_t second = tc_floor_second(now), next = second + TC_NS_PER_SEC;
    *wait = (int64_t)((double)((key < next ? key : next) - now) / r->speed) + 1;
    if (second <= r->watermark)
        return 0;
    watermark(r, second, out);
    return 1;
}

/* Whether the event at that time is waited for: only the regular session and the minutes before it are. */
static bool is_paced(struct replay *r, int64_t key)
{
    if (!isfinite(r->speed))
        return false;
    if (key < r->pace_day || key >= r->pace_day_end) {
        int32_t day = tc_calendar_day(r->calendar, key);
        struct tc_session s = {0}; /* a day without a session is not waited for at all */
        tc_calendar_session(r->calendar, day, &s);
        r->pace_day = tc_calendar_local_midnight(r->calendar, day);
        r->pace_day_end = tc_calendar_local_midnight(r->calendar, rp_day_after(day));
        r->pace_from = s.open - PACE_BEFORE_OPEN_NS;
        r->pace_to = s.close;
    }
    bool paced = key >= r->pace_from && key < r->pace_to;
    r->anchored = r->anchored && paced;
    return paced;
}

static int fill(struct replay *r, struct tc_event *events, size_t max, size_t *out_n, int64_t *wait)
{
    int64_t now = INT64_MIN;
    size_t n = 0;
    int rc = TC_OK;
    while (n + 2 <= max && (rc = ready(r)) == TC_OK) {
        int64_t key = next_key(r);
        bool is_gap = r->next_gap < r->n_gaps;
        bool paced = !is_gap && is_paced(r, key);
        if (paced && (now == INT64_MIN || !r->anchored))
            now = paced_now(r, key);
        if (paced && key > now) {
            n += not_due(r, now, key, &events[n], wait);
            rc = TC_AGAIN;
            break;
        }
        if (tc_floor_second(key) > r->watermark)
            watermark(r, tc_floor_second(key), &events[n++]);
        rc = take(r, &events[n++]);
        if (rc)
            break;
    }
    *out_n = n;
    return rc;
}

static int pass_over(struct replay *r)
{
    for (int i = 0; i < SKIP_A_CALL && r->skip > 0; i++) {
        int rc = ready(r);
        if (rc == TC_DONE)
            return tc_fail(TC_EINPUT, "%s holds fewer events than it did when the run was interrupted",
                           r->path);
        if (rc)
            return rc;
        if (tc_floor_second(next_key(r)) > r->watermark)
            r->watermark = tc_floor_second(next_key(r));
        rc = take(r, NULL);
        if (rc)
            return rc;
        r->skip--;
    }
    return TC_AGAIN;
}

static void count(struct replay *r, const struct tc_event *events, size_t n)
{
    if (n == 0)
        return;
    atomic_fetch_add_explicit(&r->events, n, memory_order_relaxed);
    atomic_store_explicit(&r->last_event_ns, tc_now_ns(), memory_order_relaxed);
    (void)events;
}

static void replay_finish(void *self)
{
    struct replay *r = self;
    r->ended = true;
    atomic_store(&r->state, "ended");
}

static int replay_next(void *self, struct tc_event *events, size_t max, size_t *out_n, int64_t *out_wait_ns)
{
    struct replay *r = self;
    *out_n = 0;
    *out_wait_ns = 0;
    if (r->broken)
        return tc_fail(r->broken, "%s", r->why);
    if (r->ended)
        return TC_DONE;
    int rc = r->skip > 0 ? pass_over(r) : fill(r, events, max, out_n, out_wait_ns);
    count(r, events, *out_n);
    if (rc < 0) {
        r->broken = rc;
        snprintf(r->why, sizeof(r->why), "%s", tc_error());
        atomic_store(&r->state, "broken");
    }
    if (rc == TC_DONE)
        replay_finish(r);
    return *out_n ? TC_OK : rc;
}

static int replay_seek(void *self, const struct tc_feed_cursor *cursor)
{
    struct replay *r = self;
    if (cursor->index < 0)
        return tc_fail(TC_EINPUT, "the saved place in %s is damaged", r->path);
    r->source->seek_part(r, cursor->part);
    r->skip = cursor->index;
    int rc = next_part(r);
    if (rc == TC_DONE || (rc == TC_OK && r->part != cursor->part))
        return tc_fail(TC_EINPUT, "%s no longer holds what it held when the run was interrupted", r->path);
    return rc;
}

static void replay_cursor(const void *self, struct tc_feed_cursor *out)
{
    const struct replay *r = self;
    *out = (struct tc_feed_cursor){r->part, r->index};
}

static void replay_health(const void *self, struct tc_feed_health *out)
{
    struct replay *r = (struct replay *)(uintptr_t)self; /* atomic loads take no const */
    out->state = atomic_load(&r->state);
    out->healthy = strcmp(out->state, "broken") != 0;
    out->events = atomic_load_explicit(&r->events, memory_order_relaxed);
    out->bad_lines = atomic_load_explicit(&r->bad_lines, memory_order_relaxed);
    out->reconnects = 0;
    out->last_event_ns = atomic_load_explicit(&r->last_event_ns, memory_order_relaxed);
}

static void replay_close(void *self)
{
    struct replay *r = self;
    if (!r)
        return;
    for (size_t i = 0; i < r->n_streams; i++)
        rp_stream_free(r->heap[i]);
    for (size_t i = 0; i < r->n_files; i++)
        free(r->files[i].path);
    tc_symtab_close(r->by_name);
    free(r->files);
    free(r->heap);
    free(r->gaps);
    free(r->symbols);
    free(r);
}

static const struct tc_feed_ops ops = {
    .name = "replay",
    .doc = "recorded markets from LEAN folders, CSV files and recorded logs",
    .next = replay_next,
    .seek = replay_seek,
    .finish = replay_finish,
    .cursor = replay_cursor,
    .health = replay_health,
    .close = replay_close,
};

/* ---- open ---- */

int rp_set_symbols(struct replay *r, char (*names)[TC_SYMBOL_SIZE], size_t n)
{
    r->symbols = names;
    r->n_symbols = (uint32_t)n;
    int rc = tc_symtab_open(&r->by_name, (uint32_t)n);
    for (size_t i = 0; i < n && !rc; i++)
        if (tc_symtab_add(r->by_name, names[i]) != (int64_t)i)
            rc = tc_fail(TC_ECONF, "symbol %s is named twice", names[i]);
    return rc;
}

static int take_symbols(struct replay *r, const struct tc_replay_conf *conf)
{
    if (conf->n_symbols == 0)
        return TC_OK;
    if (conf->n_symbols > RP_SYMBOLS_MAX)
        return tc_fail(TC_ELIMIT, "%zu symbols are more than the %d a replay takes", conf->n_symbols,
                       RP_SYMBOLS_MAX);
    char(*names)[TC_SYMBOL_SIZE] = calloc(conf->n_symbols, sizeof(*names));
    if (!names)
        return tc_fail(TC_ENOMEM, "no memory for %zu symbols", conf->n_symbols);
    for (size_t i = 0; i < conf->n_symbols; i++) {
        if (!tc_symbol_valid(conf->symbols[i])) {
            free(names);
            return tc_fail(TC_ECONF,
                           "'%.40s' is no symbol: 1 to 32 letters, digits and . _ - / :", conf->symbols[i]);
        }
        snprintf(names[i], TC_SYMBOL_SIZE, "%s", conf->symbols[i]);
    }
    return rp_set_symbols(r, names, conf->n_symbols);
}

static uint64_t identity(const struct replay *r)
{
    uint64_t h = TC_FNV_START;
    for (uint32_t i = 0; i < r->n_symbols; i++)
        h = tc_fnv(h, r->symbols[i], strlen(r->symbols[i]) + 1);
    h = tc_fnv(h, &r->from, sizeof(r->from));
    h = tc_fnv(h, &r->to, sizeof(r->to));
    h = tc_fnv(h, &r->bars_from, sizeof(r->bars_from));
    return h ? h : 1;
}

static int find_source(struct replay *r)
{
    bool found = false;
    int rc = rp_lean_open(r, &found);
    if (!rc && !found)
        rc = rp_log_open(r, &found);
    if (!rc && !found)
        rc = rp_csv_open(r, &found);
    if (!rc && !found)
        rc = tc_fail(
            TC_ENOTFOUND,
            "%s: neither a LEAN data folder (with tick or second in it, or in equity/usa below it), nor a "
            "recorded log, nor CSV files (*.csv, *.csv.gz, *.csv.zst)",
            r->path);
    return rc;
}

/* A folder of many symbols has more files open than the usual soft limit of 1,024 lets us. */
static void raise_file_limit(size_t files)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur >= files)
        return;
    now.rlim_cur = now.rlim_max == RLIM_INFINITY || now.rlim_max > files ? files : now.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &now); /* when it fails, opening a file says so */
}

int tc_replay_open(const struct tc_replay_conf *conf, struct tc_feed *out)
{
    if (!conf->path || !conf->path[0] || strlen(conf->path) > 1024)
        return tc_fail(TC_ECONF, "replay needs --path: a folder or file of at most 1,024 bytes");
    if (!(conf->speed > 0))
        return tc_fail(TC_ECONF, "the speed of a replay must be above 0");
    struct replay *r = calloc(1, sizeof(*r));
    if (!r)
        return tc_fail(TC_ENOMEM, "no memory for the replay");
    snprintf(r->path, sizeof(r->path), "%s", conf->path);
    r->calendar = conf->calendar;
    r->from = conf->from;
    r->to = conf->to;
    r->speed = conf->speed;
    r->bars_from = conf->bars_from;
    r->on_error = conf->on_error;
    r->watermark = INT64_MIN;
    r->day_end = INT64_MIN;
    atomic_init(&r->state, "reading");
    int rc = take_symbols(r, conf);
    if (!rc)
        rc = find_source(r);
    if (rc) {
        replay_close(r);
        return rc;
    }
    raise_file_limit(3 * (size_t)r->n_symbols + r->n_files + 256);
    *out = (struct tc_feed){.ops = &ops, .self = r, .name = "replay", .origin = TC_ORIGIN_REPLAY};
    out->world = TC_WORLD_REPLAY;
    out->bars_from = r->bars_from;
    out->quotes_always_fresh = true;
    out->identity = identity(r);
    out->n_symbols = r->n_symbols;
    out->symbols = r->symbols;
    out->live_from = INT64_MAX;
    return TC_OK;
}
