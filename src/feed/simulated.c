#include "feed/simulated.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "feed/sim_market.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t CATCH_UP_NS = 86400 * TC_NS_PER_SEC; /* missed at most, before it becomes a gap */
static const int64_t AHEAD_NS = 3600 * TC_NS_PER_SEC;     /* a clock set back further than this is refused */
/* A long absence becomes a gap only at the end of the hour in which the folder ends: what follows a
 * checkpoint in the log was made of the seconds behind it and must be made the same again (bus/outbox.h). The
 * cursor says by its index when the gap begins right where it stands. */
enum { GAP_GRID_S = 3600, GAP_HERE = -1 };
static const int64_t NAP_NS = 20 * TC_NS_PER_MS; /* longest wait asked for */

struct sim {
    struct tc_sim_conf conf;
    char (*symbols)[TC_SYMBOL_SIZE];
    struct tc_sim_market *market;
    int64_t second;      /* whose events are given now; number since 1970 */
    size_t index, count; /* events of it given; that it has */
    bool made;           /* the market stands at `second` */
    bool opened;         /* the first watermark was given */
    int64_t stop;        /* first second not given; INT64_MAX = never */
    int64_t gap_at;      /* second from which on too much was missed; INT64_MAX = nowhere */
    int64_t fresh;       /* second behind that gap */
    int64_t start_mono;  /* for speeds other than the wall clock */
    int64_t start_time;
    _Atomic uint64_t events;
    _Atomic int64_t last_event;
    atomic_bool ended;
};

/* Event time up to which everything is due. */
static int64_t due_until(const struct sim *s)
{
    if (s->conf.speed == 1)
        return tc_now_ns();
    if (isinf(s->conf.speed))
        return INT64_MAX;
    return s->start_time + (int64_t)((double)(tc_mono_ns() - s->start_mono) * s->conf.speed);
}

static void sim_cursor(const void *self, struct tc_feed_cursor *out)
{
    const struct sim *s = self;
    out->part = s->second;
    out->index = s->second == s->gap_at ? GAP_HERE : (int64_t)s->index;
}

/* Nothing before s->second comes any more. */
static void put_watermark(const struct sim *s, struct tc_event *out)
{
    *out =
        (struct tc_event){.type = TC_EVENT_WATERMARK, .sym = UINT32_MAX, .time = s->second * TC_NS_PER_SEC};
    sim_cursor(s, &out->cursor);
}

static void put_gap(struct sim *s, struct tc_event *out)
{
    *out = (struct tc_event){.type = TC_EVENT_GAP, .sym = UINT32_MAX, .time = s->gap_at * TC_NS_PER_SEC};
    out->gap.end = s->fresh * TC_NS_PER_SEC;
    snprintf(out->gap.reason, sizeof(out->gap.reason), "not_running");
    s->second = s->fresh;
    s->index = 0;
    s->made = false;
    s->gap_at = INT64_MAX;
    s->opened = false; /* a watermark says on which day it goes on */
}

/* The next event, if it is due; else its time in *when. */
static bool next_event(struct sim *s, int64_t due, struct tc_event *out, int64_t *when)
{
    *when = s->second * TC_NS_PER_SEC;
    if (*when > due)
        return false;
    if (!s->opened) { /* the first watermark says on which day the events begin */
        s->opened = true;
        put_watermark(s, out);
        return true;
    }
    if (s->second == s->gap_at) {
        put_gap(s, out);
        return true;
    }
    if (!s->made) {
        s->count = tc_sim_market_second(s->market, s->second);
        s->made = true;
    }
    if (s->index < s->count) {
        tc_sim_market_event(s->market, s->index, out);
        *when = out->time;
        if (*when > due)
            return false;
        s->index++;
        return true;
    }
    *when = (s->second + 1) * TC_NS_PER_SEC;
    if (*when > due)
        return false;
    s->second++;
    s->index = 0;
    s->made = false;
    put_watermark(s, out);
    return true;
}

static int sim_next(void *self, struct tc_event *events, size_t max, size_t *out_n, int64_t *out_wait_ns)
{
    struct sim *s = self;
    int64_t due = due_until(s), when = 0;
    size_t n = 0;
    *out_wait_ns = 0;
    while (n < max && s->second < s->stop && next_event(s, due, &events[n], &when))
        n++;
    *out_n = n;
    if (n) {
        atomic_fetch_add_explicit(&s->events, n, memory_order_relaxed);
        atomic_store_explicit(&s->last_event, tc_now_ns(), memory_order_relaxed);
        return TC_OK;
    }
    if (s->second >= s->stop) {
        atomic_store(&s->ended, true);
        return TC_DONE;
    }
    double wait = (double)(when - due) / s->conf.speed;
    *out_wait_ns = wait < (double)NAP_NS ? (int64_t)wait + 1 : NAP_NS;
    return TC_AGAIN;
}

static int sim_seek(void *self, const struct tc_feed_cursor *cursor)
{
    struct sim *s = self;
    int64_t fresh = s->second;
    if (cursor->part < 0 || cursor->part > INT64_MAX / TC_NS_PER_SEC - 86400 || cursor->index < GAP_HERE)
        return tc_fail(TC_EINPUT, "the simulated market cannot go on from second %lld, event %lld",
                       (long long)cursor->part, (long long)cursor->index);
    s->second = cursor->part;
    s->index = cursor->index > 0 ? (size_t)cursor->index : 0;
    if (s->conf.speed != 1) {
        s->start_time = s->second * TC_NS_PER_SEC;
        return TC_OK;
    }
    int64_t missed = tc_now_ns() - s->second * TC_NS_PER_SEC;
    if (missed < -AHEAD_NS)
        return tc_fail(TC_ECONF,
                       "the data folder goes to %s, which is ahead of the clock: set the clock, or use "
                       "another data folder",
                       tc_time_iso(s->second * TC_NS_PER_SEC, (char[40]){0}, 40));
    int64_t gap = cursor->index == GAP_HERE ? s->second : (s->second / GAP_GRID_S + 1) * GAP_GRID_S;
    bool long_ago = missed > CATCH_UP_NS && missed > s->conf.history_ns;
    if ((long_ago || cursor->index == GAP_HERE) && fresh > gap) {
        s->gap_at = gap;
        s->fresh = fresh;
    }
    return TC_OK;
}

static void sim_health(const void *self, struct tc_feed_health *out)
{
    const struct sim *s = self;
    bool ended = atomic_load(&s->ended);
    *out =
        (struct tc_feed_health){.state = ended ? "ended" : "simulated",
                                .healthy = true,
                                .events = atomic_load_explicit(&s->events, memory_order_relaxed),
                                .last_event_ns = atomic_load_explicit(&s->last_event, memory_order_relaxed)};
}

static void sim_close(void *self)
{
    struct sim *s = self;
    if (!s)
        return;
    tc_sim_market_close(s->market);
    free(s->symbols);
    free(s);
}

static const struct tc_feed_ops sim_ops = {
    .name = "simulated",
    .doc = "a made-up market, seeded and repeatable; needs no key and no network",
    .next = sim_next,
    .seek = sim_seek,
    .cursor = sim_cursor,
    .health = sim_health,
    .close = sim_close,
};

/* Of what the market gives: the seed, the symbols in their order, and the span where it is fixed. */
static uint64_t identity_of(const struct sim *s)
{
    uint64_t h = tc_fnv(TC_FNV_START, "simulated 1", 11);
    h = tc_fnv(h, &s->conf.seed, sizeof(s->conf.seed));
    h = tc_fnv(h, s->symbols, s->conf.n_symbols * sizeof(*s->symbols));
    if (s->conf.speed != 1) {
        h = tc_fnv(h, &s->conf.start, sizeof(s->conf.start));
        h = tc_fnv(h, &s->conf.duration_ns, sizeof(s->conf.duration_ns));
    }
    return h ? h : 1;
}

static int check(const struct tc_sim_conf *c)
{
    if (!c->n_symbols || c->n_symbols > 100000)
        return tc_fail(TC_ECONF, "the simulated market needs 1 to 100000 symbols, not %zu", c->n_symbols);
    if (!(c->speed > 0))
        return tc_fail(TC_ECONF, "the speed of the simulated market must be above 0");
    if (c->start < 0 || c->history_ns < 0 || c->duration_ns < 0)
        return tc_fail(TC_ECONF, "start, history and duration of the simulated market cannot be below 0");
    for (size_t i = 0; i < c->n_symbols; i++) {
        if (strlen(c->symbols[i]) >= TC_SYMBOL_SIZE)
            return tc_fail(TC_ECONF, "symbol '%.40s' is longer than %d characters", c->symbols[i],
                           TC_SYMBOL_SIZE - 1);
    }
    return TC_OK;
}

static void set_span(struct sim *s, int64_t now)
{
    int64_t from = now - s->conf.history_ns;
    if (s->conf.speed != 1 && s->conf.start)
        from = s->conf.start;
    s->start_time = tc_floor_second(from);
    s->second = s->start_time / TC_NS_PER_SEC;
    s->stop = s->gap_at = INT64_MAX;
    if (s->conf.speed != 1 && s->conf.duration_ns)
        s->stop = s->second + (s->conf.duration_ns + TC_NS_PER_SEC - 1) / TC_NS_PER_SEC;
}

int tc_simulated_open(const struct tc_sim_conf *conf, struct tc_feed *out)
{
    *out = (struct tc_feed){.ops = &sim_ops};
    int rc = check(conf);
    if (rc)
        return rc;
    struct sim *s = calloc(1, sizeof(*s));
    if (!s)
        return tc_fail(TC_ENOMEM, "no memory for the simulated feed");
    s->conf = *conf;
    s->symbols = calloc(conf->n_symbols, sizeof(*s->symbols));
    if (!s->symbols) {
        free(s);
        return tc_fail(TC_ENOMEM, "no memory for %zu symbols", conf->n_symbols);
    }
    for (size_t i = 0; i < conf->n_symbols; i++)
        memcpy(s->symbols[i], conf->symbols[i], strlen(conf->symbols[i]));
    s->conf.symbols = NULL;
    rc = tc_sim_market_open(&s->market, conf->seed, (const char(*)[TC_SYMBOL_SIZE])s->symbols,
                            (uint32_t)conf->n_symbols);
    if (rc) {
        sim_close(s);
        return rc;
    }
    int64_t now = tc_now_ns();
    set_span(s, now);
    s->start_mono = tc_mono_ns();
    *out = (struct tc_feed){.ops = &sim_ops,
                            .self = s,
                            .name = "simulated",
                            .origin = TC_ORIGIN_SIMULATED,
                            .world = TC_WORLD_SIMULATED,
                            .quotes_always_fresh = true,
                            .identity = identity_of(s),
                            .n_symbols = (uint32_t)conf->n_symbols,
                            .symbols = s->symbols,
                            .live_from = conf->speed == 1 ? tc_floor_second(now) : INT64_MAX};
    return TC_OK;
}
