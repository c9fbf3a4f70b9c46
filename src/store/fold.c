#include "store/fold.h"
#include "base/clock.h"
#include "base/err.h"

#include <math.h>
#include <string.h>

struct fold {
    struct tc_record bar; /* the one being made; seconds = 0: none */
    int64_t width;        /* ns */
    double price_volume;
    uint32_t left; /* bars that may still be given */
    tc_row_fn fn;
    void *ctx;
    uint64_t *given;
    int stop; /* what fn answered */
};

static int64_t floor_to(int64_t t, int64_t width)
{
    int64_t r = t % width;
    return t - (r < 0 ? r + width : r);
}

/* The first multiple of width at or after t; the end of time stays what it is. */
static int64_t ceil_to(int64_t t, int64_t width)
{
    if (t > INT64_MAX - width || t < INT64_MIN + width)
        return t;
    return floor_to(t + width - 1, width);
}

static int fold_give(struct fold *f)
{
    if (f->bar.bar.seconds == 0)
        return 0;
    struct tc_bar *b = &f->bar.bar;
    b->vwap = b->volume > 0 ? f->price_volume / b->volume : NAN;
    (*f->given)++;
    f->left--;
    f->stop = f->fn(f->ctx, &f->bar);
    b->seconds = 0;
    return f->stop;
}

static void fold_start(struct fold *f, const struct tc_bar *second)
{
    f->bar = (struct tc_record){.type = TC_REC_BAR, .from = -1, .bar = *second};
    f->bar.bar.start = floor_to(second->start, f->width);
    f->bar.bar.interval_ms = (int32_t)(f->width / TC_NS_PER_MS);
    f->bar.bar.seconds = 1;
    f->price_volume = second->vwap * second->volume;
}

static void fold_add(struct fold *f, const struct tc_bar *second)
{
    struct tc_bar *b = &f->bar.bar;
    b->high = second->high > b->high ? second->high : b->high;
    b->low = second->low < b->low ? second->low : b->low;
    b->close = second->close;
    b->volume += second->volume;
    b->trades += second->trades;
    b->quote = second->quote;
    b->quote_lag_ms = second->quote_lag_ms;
    b->tape = second->tape;
    b->origin = second->origin;
    memcpy(b->feed, second->feed, sizeof(b->feed));
    b->available = second->available > b->available ? second->available : b->available;
    b->revision = second->revision > b->revision ? second->revision : b->revision;
    b->seconds++;
    f->price_volume += second->vwap * second->volume;
}

enum { FOLD_FULL = 1000 }; /* ends the scan of the seconds, is no answer of fn */

static int fold_second(void *ctx, const struct tc_record *row)
{
    struct fold *f = ctx;
    bool same = f->bar.bar.seconds && floor_to(row->bar.start, f->width) == f->bar.bar.start;
    if (same) {
        fold_add(f, &row->bar);
        return 0;
    }
    if (fold_give(f) != 0)
        return f->stop;
    if (f->left == 0)
        return FOLD_FULL;
    fold_start(f, &row->bar);
    return 0;
}

/* Looks for the oldest of the newest `limit` bars: goes back over the seconds until it has seen that many. */
struct newest {
    int64_t width, limit, bars, oldest;
};

static int see_start(void *ctx, int64_t start)
{
    struct newest *x = ctx;
    start = floor_to(start, x->width);
    if (x->bars && start == x->oldest)
        return 0;
    if (x->bars == x->limit)
        return 1;
    x->oldest = start;
    x->bars++;
    return 0;
}

int tc_fold_bars(const struct tc_fold_source *from, const struct tc_range *q, tc_row_fn fn, void *ctx,
                 uint64_t *given)
{
    int64_t width = q->interval_ms * TC_NS_PER_MS;
    struct tc_range seconds = *q;
    seconds.from = ceil_to(q->from, width);
    seconds.to = ceil_to(q->to, width);
    seconds.interval_ms = 1000;
    seconds.limit = 0;
    seconds.newest = false;
    struct newest back = {.width = width, .limit = q->limit};
    int rc = q->newest && q->limit ? from->starts(from->self, &seconds, see_start, &back) : TC_OK;
    if (rc != TC_OK)
        return rc;
    if (back.bars)
        seconds.from = back.oldest;
    struct fold f = {
        .width = width, .left = q->limit ? q->limit : UINT32_MAX, .fn = fn, .ctx = ctx, .given = given};
    rc = from->rows(from->self, &seconds, fold_second, &f);
    if (rc == TC_OK && f.left)
        rc = fold_give(&f);
    return rc == FOLD_FULL && f.stop == 0 ? TC_OK : rc;
}
