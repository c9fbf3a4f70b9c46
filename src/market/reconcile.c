#include "market/reconcile.h"
#include "base/clock.h"

#include <math.h>

static const double VOLUME_PART = 1e-3, PRICE_PART = 1e-6;

static int near(double a, double b, double part)
{
    return fabs(a - b) <= part * fmax(fabs(a), fabs(b));
}

static int same(const struct tc_plain_bar *a, const struct tc_plain_bar *b)
{
    return near(a->volume, b->volume, VOLUME_PART) && near(a->open, b->open, PRICE_PART) &&
           near(a->high, b->high, PRICE_PART) && near(a->low, b->low, PRICE_PART) &&
           near(a->close, b->close, PRICE_PART);
}

static void note_volume(struct tc_reconcile *out, int64_t start, double own, double vendor)
{
    if (near(own, vendor, VOLUME_PART) || fabs(own - vendor) <= fabs(out->worst_volume))
        return;
    out->worst = start;
    out->worst_volume = own - vendor;
}

void tc_reconcile(const struct tc_plain_bar *own, size_t n_own, const struct tc_plain_bar *vendor,
                  size_t n_vendor, struct tc_reconcile *out)
{
    size_t i = 0, k = 0;
    *out = (struct tc_reconcile){0};
    while (i < n_own || k < n_vendor) {
        int has_own = i < n_own && (k == n_vendor || own[i].start <= vendor[k].start);
        int has_vendor = k < n_vendor && (i == n_own || vendor[k].start <= own[i].start);
        double mine = has_own ? own[i].volume : 0, theirs = has_vendor ? vendor[k].volume : 0;
        note_volume(out, has_own ? own[i].start : vendor[k].start, mine, theirs);
        out->own_volume += mine;
        out->vendor_volume += theirs;
        out->compared += has_own && has_vendor;
        out->mismatches += has_own && has_vendor && !same(&own[i], &vendor[k]);
        out->missing_vendor += has_own && !has_vendor;
        out->missing_own += has_vendor && !has_own;
        i += (size_t)has_own;
        k += (size_t)has_vendor;
    }
}

size_t tc_plain_fold(struct tc_plain_bar *list, size_t n, const struct tc_plain_bar *bar, int64_t width)
{
    int64_t start = tc_floor_div(bar->start, width) * width;
    if (!n || list[n - 1].start != start) {
        list[n] = *bar;
        list[n].start = start;
        return n + 1;
    }
    struct tc_plain_bar *b = &list[n - 1];
    b->high = bar->high > b->high ? bar->high : b->high;
    b->low = bar->low < b->low ? bar->low : b->low;
    b->close = bar->close;
    b->volume += bar->volume;
    return n;
}
