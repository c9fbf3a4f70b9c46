#include "market/bars.h"
#include "base/clock.h"
#include "base/err.h"
#include "market/tape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int64_t NEVER = INT64_MIN;
static const uint32_t STATE_MAGIC = 0x32524254; /* "TBR2" */

/* One second of one symbol. No padding: the state's bytes must depend on its values alone. */
struct slot {
    int64_t second; /* number of the second it holds since 1970; NEVER = none */
    int64_t first_time, last_time;
    int64_t available; /* of the last version given out */
    double open, high, low, close;
    double notional, size; /* sums of price x size and size */
    double sv;
    int32_t trades;
    int32_t revision; /* of the next version */
    int32_t vendor;   /* 1: v_* hold a vendor's bar */
    int32_t v_trades;
    int32_t lasts, ranges; /* of the trades, those that may move open and close, high and low */
    double v_open, v_high, v_low, v_close, v_vwap, v_volume;
    int32_t v_tape; /* 1: tape and lag come from the vendor's event */
    int32_t quote_moved;
    double lag;
    struct tc_quote quote;
    struct tc_tape tape;
};

struct symbol {
    int64_t current;    /* number of the newest second with a slot */
    int64_t quote_time; /* event time of `quote`; NEVER = none */
    double mid;         /* in force at the end of the second before `current`; NaN = none */
    struct tc_quote quote;
    struct tc_tape_state trades;
    struct slot slots[TC_BARS_HELD];
};

/* Last sign of life on the quote feed in each second that may still be open. */
struct quote_life {
    int64_t second, time;
};

struct state {
    uint32_t magic, n_symbols;
    uint64_t size;
    int64_t open;       /* number of the first open second */
    int64_t quote_time; /* last sign of life before the open seconds; NEVER = none today */
    struct quote_life life[TC_BARS_HELD];
    struct symbol symbols[];
};

struct tc_bars {
    struct tc_bars_conf conf;
    char feed[TC_FEED_SIZE];
    char (*names)[TC_SYMBOL_SIZE];
    struct state *state;
    size_t state_size;
};

_Static_assert(sizeof(struct slot) == 4 * 8 + 7 * 8 + 6 * 4 + 6 * 8 + 2 * 4 + 8 + 4 * 8 + 7 * 8, "padding");
_Static_assert((TC_BARS_HELD & (TC_BARS_HELD - 1)) == 0, "a power of two");

static int64_t second_of(int64_t t)
{
    int64_t q = t / TC_NS_PER_SEC;
    return t % TC_NS_PER_SEC < 0 ? q - 1 : q;
}

static struct slot *slot_of(struct symbol *s, int64_t second)
{
    return &s->slots[second & (TC_BARS_HELD - 1)];
}

static void slot_start(struct slot *slot, int64_t second)
{
    memset(slot, 0, sizeof(*slot));
    slot->second = second;
    slot->tape = (struct tc_tape){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool same_quote(const struct tc_quote *a, const struct tc_quote *b)
{
    return same(a->bid, b->bid) && same(a->ask, b->ask) && same(a->bid_size, b->bid_size) &&
           same(a->ask_size, b->ask_size);
}

static double mid_of(const struct tc_quote *q)
{
    return (q->bid + q->ask) / 2;
}

static void symbol_reset(struct symbol *s, int64_t second)
{
    memset(s, 0, sizeof(*s));
    s->current = second;
    s->mid = NAN;
    s->quote_time = NEVER;
    s->quote = (struct tc_quote){NAN, NAN, NAN, NAN};
    tc_tape_reset(&s->trades);
    for (int i = 0; i < TC_BARS_HELD; i++)
        s->slots[i].second = NEVER;
    struct slot *first = slot_of(s, second);
    slot_start(first, second);
    first->sv = NAN;
    first->quote = s->quote; /* the second's last known quote, for quote_moved */
}

int tc_bars_open(const struct tc_bars_conf *conf, struct tc_bars **out)
{
    struct tc_bars *b = calloc(1, sizeof(*b));
    if (!b)
        return tc_fail(TC_ENOMEM, "no memory for the bar builder");
    size_t n = conf->n_symbols;
    b->state_size = sizeof(struct state) + n * sizeof(struct symbol);
    b->state = calloc(1, b->state_size);
    b->names = calloc(n ? n : 1, sizeof(*b->names));
    if (!b->state || !b->names) {
        tc_bars_close(b);
        return tc_fail(TC_ENOMEM, "no memory for the bars of %zu symbols", n);
    }
    b->conf = *conf;
    b->conf.symbols = NULL;
    b->conf.feed = b->feed;
    strncpy(b->feed, conf->feed, TC_FEED_SIZE - 1);
    for (size_t i = 0; i < n; i++)
        memcpy(b->names[i], conf->symbols[i], TC_SYMBOL_SIZE);
    b->state->magic = STATE_MAGIC;
    b->state->n_symbols = conf->n_symbols;
    b->state->size = b->state_size;
    tc_bars_start_day(b, 0);
    *out = b;
    return TC_OK;
}

void tc_bars_close(struct tc_bars *b)
{
    if (!b)
        return;
    free(b->state);
    free(b->names);
    free(b);
}

void tc_bars_start_day(struct tc_bars *b, int64_t t)
{
    struct state *st = b->state;
    st->open = second_of(t);
    st->quote_time = NEVER;
    for (int i = 0; i < TC_BARS_HELD; i++)
        st->life[i] = (struct quote_life){NEVER, NEVER};
    for (uint32_t i = 0; i < st->n_symbols; i++)
        symbol_reset(&st->symbols[i], st->open);
}

/* Ends the symbol's current second: what was in force at its end is kept with it. */
static void freeze(const struct tc_bars *b, struct symbol *s)
{
    struct slot *slot = slot_of(s, s->current);
    slot->quote_moved = !same_quote(&slot->quote, &s->quote);
    slot->quote = s->quote;
    if (!slot->v_tape && (slot->trades || slot->vendor || b->conf.from == TC_BARS_FROM_MERGED)) {
        tc_tape_summary(&s->trades, &slot->tape);
        slot->tape.sv = s->trades.n_raw ? slot->sv : NAN;
    }
    s->mid = mid_of(&s->quote);
}

static void move_to(const struct tc_bars *b, struct symbol *s, int64_t second)
{
    while (s->current < second) {
        freeze(b, s);
        struct slot *next = slot_of(s, s->current + 1);
        slot_start(next, s->current + 1);
        next->quote = s->quote;
        next->sv = isnan(s->mid) ? NAN : 0;
        s->current++;
    }
}

static void move_last(struct slot *slot, int64_t time, double price)
{
    if (slot->lasts == 0) {
        slot->open = slot->close = price;
        slot->first_time = slot->last_time = time;
    } else if (time >= slot->last_time) {
        slot->close = price;
        slot->last_time = time;
    } else if (time < slot->first_time) {
        slot->open = price;
        slot->first_time = time;
    }
    slot->lasts += slot->lasts < INT32_MAX;
}

static void widen(struct slot *slot, double price)
{
    if (slot->ranges == 0)
        slot->high = slot->low = price;
    if (price > slot->high)
        slot->high = price;
    if (price < slot->low)
        slot->low = price;
    slot->ranges += slot->ranges < INT32_MAX;
}

static void slot_add(struct slot *slot, int64_t time, const struct tc_trade *t)
{
    if (!t->not_last)
        move_last(slot, time, t->price);
    if (!t->not_range || !t->not_last) /* what opens or closes a bar lies inside its range */
        widen(slot, t->price);
    if (t->not_volume)
        return;
    slot->notional += t->price * t->size;
    slot->size += t->size;
    if (slot->trades < INT32_MAX)
        slot->trades++;
}

static bool makes_bar(const struct tc_bars *b, const struct slot *slot)
{
    return slot->vendor || (slot->lasts && b->conf.from != TC_BARS_FROM_MERGED);
}

/* Finds the slot for an event of that second, moving the symbol on when it is a new one. */
static enum tc_bars_fate place(struct tc_bars *b, struct symbol *s, int64_t second, struct slot **out)
{
    int64_t open = b->state->open;
    if (second >= open + TC_BARS_HELD)
        return TC_BARS_AHEAD;
    if (second > s->current)
        move_to(b, s, second);
    *out = slot_of(s, second);
    if (second >= open)
        return TC_BARS_TAKEN;
    return (*out)->second == second ? TC_BARS_REVISED : TC_BARS_TOO_LATE;
}

enum tc_bars_fate tc_bars_trade(struct tc_bars *b, uint32_t sym, int64_t time, const struct tc_trade *t)
{
    if (!(t->price > 0 && t->price < 1e15 && t->size >= 0 && t->size < 1e15))
        return TC_BARS_BAD;
    struct symbol *s = &b->state->symbols[sym];
    struct slot *slot;
    int64_t second = second_of(time);
    enum tc_bars_fate fate = place(b, s, second, &slot);
    if (fate > TC_BARS_REVISED)
        return fate;
    slot_add(slot, time, t);
    bool traded = !t->not_last || !t->not_range || !t->not_volume; /* not only an official print */
    if (second == s->current && traded && tc_tape_add(&s->trades, t))
        slot->sv += t->price > s->mid ? sqrt(t->size) : t->price < s->mid ? -sqrt(t->size) : 0;
    return fate == TC_BARS_REVISED && !makes_bar(b, slot) ? TC_BARS_TOO_LATE : fate;
}

static void quote_alive(struct state *st, int64_t second, int64_t time)
{
    struct quote_life *life = &st->life[second & (TC_BARS_HELD - 1)];
    if (life->second != second || time > life->time)
        *life = (struct quote_life){second, time};
}

enum tc_bars_fate tc_bars_quote(struct tc_bars *b, uint32_t sym, int64_t time, const struct tc_quote *q)
{
    struct symbol *s = &b->state->symbols[sym];
    int64_t second = second_of(time);
    if (second < b->state->open)
        second = b->state->open; /* the news is late, but news: in force from now on */
    struct slot *slot;
    enum tc_bars_fate fate = place(b, s, second, &slot);
    if (fate != TC_BARS_TAKEN)
        return fate;
    quote_alive(b->state, second, time);
    if (!(q->bid > 0 && q->ask > 0 && q->bid < 1e15 && q->ask < 1e15))
        return TC_BARS_BAD;
    if (time >= s->quote_time) {
        s->quote = *q;
        s->quote_time = time;
    }
    return TC_BARS_TAKEN;
}

enum tc_bars_fate tc_bars_bar(struct tc_bars *b, uint32_t sym, int64_t start, const struct tc_event_bar *v)
{
    if (!(v->low > 0 && v->high >= v->low && v->high < 1e15 && v->open >= v->low && v->open <= v->high &&
          v->close >= v->low && v->close <= v->high && v->volume >= 0 && v->volume < 1e18))
        return TC_BARS_BAD;
    struct symbol *s = &b->state->symbols[sym];
    struct slot *slot;
    enum tc_bars_fate fate = place(b, s, second_of(start), &slot);
    if (fate > TC_BARS_REVISED)
        return fate;
    if (slot->vendor && slot->v_open == v->open && slot->v_high == v->high && slot->v_low == v->low &&
        slot->v_close == v->close && slot->v_volume == v->volume && same(slot->v_vwap, v->vwap) &&
        slot->v_trades == v->trades)
        return TC_BARS_DUPLICATE;
    bool agrees = b->conf.vendor_revises && slot->lasts && !slot->vendor && slot->open == v->open &&
                  slot->high == v->high && slot->low == v->low && slot->close == v->close &&
                  fabs(slot->size - v->volume) <= 1e-9 * v->volume; /* sums of fractions */
    slot->vendor = 1;
    slot->v_open = v->open;
    slot->v_high = v->high;
    slot->v_low = v->low;
    slot->v_close = v->close;
    slot->v_volume = v->volume;
    slot->v_vwap = v->vwap;
    slot->v_trades = v->trades;
    if (v->has_tape) {
        slot->v_tape = 1;
        slot->tape = v->tape;
        slot->lag = v->quote_lag_ms;
    }
    return agrees && fate == TC_BARS_REVISED ? TC_BARS_AGREED : fate;
}

void tc_bars_forget(struct tc_bars *b, uint32_t sym, int64_t time)
{
    int64_t second = second_of(time);
    struct slot *slot = slot_of(&b->state->symbols[sym], second);
    if (second < b->state->open && slot->second == second)
        slot->second = NEVER;
}

int64_t tc_bars_open_second(const struct tc_bars *b)
{
    return b->state->open * TC_NS_PER_SEC;
}

void tc_bars_skip_to(struct tc_bars *b, int64_t t)
{
    int64_t second = second_of(t);
    if (second <= b->state->open)
        return;
    for (uint32_t i = 0; i < b->state->n_symbols; i++) {
        struct symbol *s = &b->state->symbols[i];
        struct tc_quote quote = s->quote;
        int64_t quote_time = s->quote_time;
        struct tc_tape_state trades = s->trades;
        symbol_reset(s, second);
        s->trades = trades;
        s->quote_time = quote_time;
        s->quote = slot_of(s, second)->quote = quote;
        s->mid = mid_of(&quote);
        slot_of(s, second)->sv = isnan(s->mid) ? NAN : 0;
    }
    b->state->open = second;
}

static double quote_lag(const struct tc_bars *b, const struct slot *slot)
{
    if (isnan(slot->quote.bid))
        return NAN;
    if (b->conf.quotes_always_fresh)
        return 0;
    int64_t end = (slot->second + 1) * TC_NS_PER_SEC;
    return b->state->quote_time == NEVER ? NAN : (double)(end - b->state->quote_time) / TC_NS_PER_MS;
}

void tc_bars_close_second(struct tc_bars *b)
{
    struct state *st = b->state;
    struct quote_life *life = &st->life[st->open & (TC_BARS_HELD - 1)];
    if (life->second == st->open)
        st->quote_time = life->time;
    for (uint32_t i = 0; i < st->n_symbols; i++) {
        struct symbol *s = &st->symbols[i];
        move_to(b, s, st->open + 1);
        struct slot *slot = slot_of(s, st->open);
        if (!slot->v_tape)
            slot->lag = quote_lag(b, slot);
    }
    st->open++;
}

static void fill_values(const struct tc_bars *b, const struct slot *slot, struct tc_bar *out)
{
    bool own = b->conf.from == TC_BARS_FROM_TRADES && slot->lasts && !b->conf.vendor_revises;
    bool vendor = slot->vendor && !own;
    out->vwap = slot->size > 0 ? slot->notional / slot->size : NAN;
    out->trades = slot->trades;
    if (!vendor) {
        out->open = slot->open;
        out->high = slot->high;
        out->low = slot->low;
        out->close = slot->close;
        out->volume = slot->size;
        return;
    }
    out->open = slot->v_open;
    out->high = slot->v_high;
    out->low = slot->v_low;
    out->close = slot->v_close;
    out->volume = slot->v_volume;
    if (b->conf.vendor_revises) { /* what the vendor leaves out stays as our trades say it */
        out->vwap = isnan(slot->v_vwap) ? out->vwap : slot->v_vwap;
        out->trades = slot->v_trades ? slot->v_trades : slot->trades;
    } else if (b->conf.from != TC_BARS_FROM_MERGED) {
        out->vwap = slot->v_vwap;
        out->trades = slot->v_trades;
    }
}

static void fill(struct tc_bars *b, uint32_t sym, struct slot *slot, int64_t available, struct tc_bar *out)
{
    memcpy(out->symbol, b->names[sym], TC_SYMBOL_SIZE);
    memcpy(out->feed, b->feed, TC_FEED_SIZE);
    if (slot->revision && available <= slot->available)
        available = slot->available + 1;
    slot->available = available;
    out->start = slot->second * TC_NS_PER_SEC;
    out->available = available;
    out->interval_ms = 1000;
    fill_values(b, slot, out);
    out->quote = slot->quote;
    out->quote_lag_ms = slot->lag;
    out->tape = slot->tape;
    out->origin = b->conf.origin;
    out->revision = slot->revision++;
}

bool tc_bars_closed_bar(struct tc_bars *b, uint32_t sym, int64_t available, struct tc_bar *out)
{
    struct slot *slot = slot_of(&b->state->symbols[sym], b->state->open - 1);
    if (slot->second != b->state->open - 1 || !makes_bar(b, slot))
        return false;
    fill(b, sym, slot, available, out);
    return true;
}

bool tc_bars_closed_quote(const struct tc_bars *b, uint32_t sym, int64_t available,
                          struct tc_second_quote *out)
{
    const struct slot *slot = slot_of(&b->state->symbols[sym], b->state->open - 1);
    if (slot->second != b->state->open - 1 || !slot->quote_moved || makes_bar(b, slot))
        return false;
    memcpy(out->symbol, b->names[sym], TC_SYMBOL_SIZE);
    memcpy(out->feed, b->feed, TC_FEED_SIZE);
    out->second = slot->second * TC_NS_PER_SEC;
    out->available = available;
    out->quote = slot->quote;
    out->quote_lag_ms = slot->lag;
    out->origin = b->conf.origin;
    return true;
}

void tc_bars_revision(struct tc_bars *b, uint32_t sym, int64_t time, int64_t available, struct tc_bar *out)
{
    fill(b, sym, slot_of(&b->state->symbols[sym], second_of(time)), available, out);
}

const void *tc_bars_state(const struct tc_bars *b, size_t *n)
{
    *n = b->state_size;
    return b->state;
}

/* Seconds of slots decide where they are looked for, so a state that does not hang together is refused. */
static bool state_sound(const struct state *st)
{
    for (uint32_t i = 0; i < st->n_symbols; i++) {
        const struct symbol *s = &st->symbols[i];
        const struct tc_tape_state *t = &s->trades;
        if (s->current < st->open || s->current >= st->open + TC_BARS_HELD || t->n_raw < 0 ||
            t->n_raw > TC_TAPE_MEDIAN || t->raw_at < 0 || t->raw_at >= TC_TAPE_MEDIAN || t->n < 0 ||
            t->n > TC_TAPE_RING || t->at < 0 || t->at >= TC_TAPE_RING)
            return false;
        for (int k = 0; k < t->n_raw; k++)
            if (!(t->raw[k] > 0 && t->sorted[k] > 0))
                return false;
    }
    return true;
}

int tc_bars_restore(struct tc_bars *b, const void *state, size_t n)
{
    struct state *copy = n == b->state_size ? malloc(n) : NULL;
    if (n == b->state_size && !copy)
        return tc_fail(TC_ENOMEM, "no memory for the saved bars");
    if (copy)
        memcpy(copy, state, n);
    if (!copy || copy->magic != STATE_MAGIC || copy->n_symbols != b->conf.n_symbols || copy->size != n ||
        !state_sound(copy)) {
        free(copy);
        return tc_fail(TC_EINPUT, "the saved state of the bar builder is of another version or damaged");
    }
    free(b->state);
    b->state = copy;
    return TC_OK;
}
