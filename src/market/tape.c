#include "market/tape.h"

#include <math.h>
#include <string.h>

static const double OFF_MEDIAN = 0.003; /* a print this share or more off the median is dropped */

void tc_tape_reset(struct tc_tape_state *t)
{
    memset(t, 0, sizeof(*t));
    t->up = t->dn = t->lit = NAN;
}

/* Puts the new print into the sorted window, in place of the oldest once the window is full. Neighbouring
 * prints have near prices, so the shifts are short. */
static void window_add(struct tc_tape_state *t, double price)
{
    double *s = t->sorted;
    int i;
    if (t->n_raw < TC_TAPE_MEDIAN) {
        i = t->n_raw++;
    } else {
        double old = t->raw[t->raw_at];
        for (i = 0; i < TC_TAPE_MEDIAN - 1 && s[i] != old; i++)
            ;
    }
    while (i > 0 && s[i - 1] > price) {
        s[i] = s[i - 1];
        i--;
    }
    while (i < t->n_raw - 1 && s[i + 1] < price) {
        s[i] = s[i + 1];
        i++;
    }
    s[i] = price;
    t->raw[t->raw_at] = price;
    t->raw_at = t->raw_at + 1 < TC_TAPE_MEDIAN ? t->raw_at + 1 : 0;
}

static double window_median(const struct tc_tape_state *t)
{
    int n = t->n_raw;
    return n & 1 ? t->sorted[n / 2] : (t->sorted[n / 2 - 1] + t->sorted[n / 2]) / 2;
}

bool tc_tape_add(struct tc_tape_state *t, const struct tc_trade *trade)
{
    double price = trade->price;
    window_add(t, price);
    double median = window_median(t);
    if (!(fabs(price - median) < OFF_MEDIAN * median))
        return false;
    if (t->n && price != t->last_price)
        t->last_sign = price > t->last_price ? 1 : -1;
    t->last_price = price;
    if (t->last_sign > 0)
        t->up = price;
    else if (t->last_sign < 0)
        t->dn = price;
    if (!trade->off_exchange)
        t->lit = price;
    t->price[t->at] = price;
    t->sign[t->at] = t->last_sign;
    t->at = t->at + 1 < TC_TAPE_RING ? t->at + 1 : 0;
    if (t->n < TC_TAPE_RING)
        t->n++;
    return true;
}

void tc_tape_summary(const struct tc_tape_state *t, struct tc_tape *out)
{
    double sum5 = 0, sum20 = 0;
    int signs = 0;
    for (int k = t->n; k >= 1; k--) { /* k trades back, oldest first */
        int i = t->at - k < 0 ? t->at - k + TC_TAPE_RING : t->at - k;
        sum20 += t->price[i];
        signs += t->sign[i];
        if (k <= 5)
            sum5 += t->price[i];
    }
    out->tm5 = t->n ? sum5 / (t->n < 5 ? t->n : 5) : NAN;
    out->tm20 = t->n ? sum20 / t->n : NAN;
    out->sg20 = t->n ? (double)signs / t->n : NAN;
    out->up = t->up;
    out->dn = t->dn;
    out->lit = t->lit;
    out->sv = NAN;
}
