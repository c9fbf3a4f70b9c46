#include "forecast/chance.h"

#include <math.h>

static const double EDGES[TC_CHANCE_BINS - 1] = {0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.85, 1.15, 1.6, 2.5};
static const double FORGET = 1.0 / 500;
static const double START = 10; /* outcomes that a bin's first shares count for */

static int bin_of(double forecast)
{
    double size = fabs(forecast);
    int i = 0;
    while (i < TC_CHANCE_BINS - 1 && size >= EDGES[i])
        i++;
    return i;
}

void tc_chance_init(struct tc_chance *c)
{
    for (int i = 0; i < TC_CHANCE_BINS; i++) {
        double size = i ? EDGES[i - 1] : 0, with = fmin(0.85, 0.25 + 0.35 * size),
               against = fmax(0.05, 0.25 - 0.15 * size);
        c->count[i][0] = (float)(START * against);
        c->count[i][1] = (float)(START * (1 - with - against));
        c->count[i][2] = (float)(START * with);
    }
}

struct tc_chances tc_chance_of(const struct tc_chance *c, double forecast)
{
    const float *n = c->count[bin_of(forecast)];
    double all = (double)n[0] + (double)n[1] + (double)n[2], against = n[0] / all, with = n[2] / all;
    if (!(forecast > 0 || forecast < 0))
        against = with = (against + with) / 2;
    struct tc_chances p = {.none = n[1] / all};
    p.up = forecast < 0 ? against : with;
    p.down = forecast < 0 ? with : against;
    return p;
}

void tc_chance_learn(struct tc_chance *c, double forecast, double outcome)
{
    float *n = c->count[bin_of(forecast)];
    int with = outcome == 0 ? 1 : (outcome > 0) == (forecast >= 0) ? 2 : 0;
    for (int i = 0; i < 3; i++)
        n[i] = (float)(n[i] * (1 - FORGET));
    n[with] += 1;
}

double tc_chance_unit(double tick, double scale)
{
    return scale > 8 * tick ? scale / 4 : tick;
}

double tc_chance_median(struct tc_chances p, double forecast, double step)
{
    if (p.up > 0.5)
        return fmax(1, rint(forecast / step)) * step;
    if (p.down > 0.5)
        return fmin(-1, rint(forecast / step)) * step;
    return 0;
}
