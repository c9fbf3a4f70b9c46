/* Trades, quotes and bars of a live stream on their way to collect. */
#include "base/clock.h"
#include "base/log.h"
#include "feed/live_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 4 << 20, WRONG_CLOCK = 200 };

static const int64_t BUCKET = 15 * TC_NS_PER_SEC;
static const int64_t PLAUSIBLE =
    60 * TC_NS_PER_SEC; /* further from what is usual, a delay is an old trade's */

void tc_vendor_push(struct tc_vendor *l, const struct tc_event *e)
{
    if (l->count == l->cap) {
        size_t cap = l->cap * 2;
        struct tc_event *more = cap <= QUEUE_MAX ? realloc(l->queue, cap * sizeof(*more)) : NULL;
        l->queue_failed = l->queue_failed || !more;
        if (!more)
            return;
        l->queue = more;
        l->cap = cap;
    }
    l->queue[l->count++] = *e;
}

int64_t tc_vendor_event_time(const struct tc_vendor *l, int64_t link_time)
{
    return link_time - l->delay;
}

/* The least delay of the last half minute, in two buckets. */
static void measure(struct tc_vendor *l, int64_t t)
{
    int64_t d = l->now - t;
    bool far = llabs(d - l->delay) > PLAUSIBLE;
    l->implausible = far ? l->implausible + 1 : 0;
    if (l->implausible == WRONG_CLOCK)
        tc_vendor_say(l, "the vendor's times are %.0f s away from this machine's clock: set the clock",
                      (double)d / 1e9);
    if (far)
        return;
    if (l->now >= l->bucket_end) {
        l->least_before = l->least;
        l->least = INT64_MAX;
        l->bucket_end = l->now + BUCKET;
    }
    l->least = d < l->least ? d : l->least;
    l->delay = l->least < l->least_before ? l->least : l->least_before;
    l->measured = true;
    tc_metric_set(l->m_delay, l->delay / TC_NS_PER_MS);
}

static bool seen(struct tc_vendor_symbol *s, uint64_t id)
{
    if (!id)
        return false;
    for (uint32_t i = 0; i < TC_VENDOR_IDS; i++)
        if (s->ids[i] == id)
            return true;
    s->ids[s->next_id++ % TC_VENDOR_IDS] = id;
    return false;
}

static void note_second(struct tc_vendor_symbol *s, int64_t t)
{
    int64_t second = tc_floor_second(t);
    if (s->seconds[(s->next_second - 1) % TC_VENDOR_SECONDS] != second)
        s->seconds[s->next_second++ % TC_VENDOR_SECONDS] = second;
}

static void on_trade(struct tc_vendor *l, uint32_t sym, const struct tc_wire_event *e)
{
    struct tc_vendor_symbol *s = &l->state[sym];
    measure(l, e->time);
    if (seen(s, e->id)) {
        tc_metric_add(l->m_duplicates, 1);
        return;
    }
    if (e->time < l->floor) { /* of a hole: REST gives its seconds whole */
        tc_metric_add(l->m_covered, 1);
        return;
    }
    note_second(s, e->time);
    struct tc_event out = {.type = TC_EVENT_TRADE, .sym = sym, .time = e->time, .trade = e->trade};
    tc_vendor_push(l, &out);
}

static void on_quote(struct tc_vendor *l, uint32_t sym, const struct tc_wire_event *e)
{
    int64_t t = e->time ? e->time : tc_vendor_event_time(l, l->now); /* some vendors give quotes no time */
    struct tc_event out = {.type = TC_EVENT_QUOTE, .sym = sym, .time = t, .quote = e->quote};
    if (t >= l->floor)
        tc_vendor_push(l, &out);
}

static void on_bar(struct tc_vendor *l, uint32_t sym, const struct tc_wire_event *e)
{
    measure(l, e->time + TC_NS_PER_SEC);
    struct tc_event out = {.type = TC_EVENT_BAR, .sym = sym, .time = e->time, .bar = e->bar};
    if (e->time < l->floor)
        return;
    note_second(&l->state[sym], e->time);
    tc_vendor_push(l, &out);
}

static void on_halt(struct tc_vendor *l, uint32_t sym, const struct tc_wire_event *e)
{
    struct tc_vendor_symbol *s = &l->state[sym];
    int64_t t = tc_floor_second(e->time ? e->time : tc_vendor_event_time(l, l->now));
    if (e->kind == TC_WIRE_HALT) {
        s->halted = s->halted ? s->halted : t;
        return;
    }
    struct tc_event out = {.type = TC_EVENT_GAP, .sym = sym, .time = s->halted};
    out.gap.end = t;
    snprintf(out.gap.reason, sizeof(out.gap.reason), "halted");
    if (s->halted && t > s->halted)
        tc_vendor_push(l, &out);
    s->halted = 0;
}

void tc_vendor_data(struct tc_vendor *l, const struct tc_wire_event *e)
{
    char name[TC_SYMBOL_SIZE];
    tc_text_copy(e->symbol, name, sizeof(name));
    int64_t sym = e->symbol.n < sizeof(name) ? tc_symtab_find(l->table, name) : -1;
    if (sym < 0) {
        tc_metric_add(l->m_unknown, 1);
        return;
    }
    uint32_t at = (uint32_t)sym;
    switch (e->kind) {
    case TC_WIRE_TRADE:
        on_trade(l, at, e);
        break;
    case TC_WIRE_QUOTE:
        on_quote(l, at, e);
        break;
    case TC_WIRE_SECOND:
        on_bar(l, at, e);
        break;
    case TC_WIRE_HALT:
    case TC_WIRE_RESUME:
        on_halt(l, at, e);
        break;
    default:
        break;
    }
    atomic_fetch_add_explicit(&l->events, 1, memory_order_relaxed);
}
