/* chance.h - how likely is down, no move, up? Counted from what became of earlier forecasts of the same size.
 *
 * Forecasts are sorted by |forecast| in ticks into bins; a bin counts how often the price then moved with the
 * forecast, not at all, or against it, and forgets with a span of 500. So the shares are calibrated by what
 * happened and need no shape of the errors. Up and down are taken as mirror images. Plain bytes.
 */
#pragma once

enum { TC_CHANCE_BINS = 12 };

struct tc_chance {
    float count[TC_CHANCE_BINS][3]; /* against, none, with */
};

struct tc_chances {
    double down, none, up; /* sum to 1 */
};

void tc_chance_init(struct tc_chance *c);

/* Forecast move and outcome in units of tc_chance_unit. */
struct tc_chances tc_chance_of(const struct tc_chance *c, double forecast);
void tc_chance_learn(struct tc_chance *c, double forecast, double outcome);

/* One tick; a quarter of the move scale where that is above two ticks (instruments whose moves are many
 * ticks). */
double tc_chance_unit(double tick, double scale);

/* The median of the move in whole steps (a tick, half a tick for mids): none unless up or down is more likely
 * than not, then at least one step, else the forecast's nearest. It has the smallest absolute error. */
double tc_chance_median(struct tc_chances p, double forecast, double step);
