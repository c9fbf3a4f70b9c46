/* score.h - from mergeable sums (struct tc_score) to the figures people read. Methods and sources:
 * docs/forecasting.md. Pure functions, any thread. */
#pragma once

#include "bus/record.h"

/* One resolved forecast; moves in price units, minus the reference. */
struct tc_sample {
    double move;            /* what came */
    double forecast;        /* of the model */
    double lo, hi;          /* its band, as moves; NaN without one */
    double p[3];            /* P(down), P(none), P(up) of `move` below, at, above 0; p[0] NaN without them */
    double reversal, ridge; /* what those said; NaN when they said nothing */
    double micro;           /* the microprice's forecast move; NaN without one */
    double base,
        half_spread;    /* price it started from; half the fresh spread at the origin, NaN without one */
    int32_t horizon_ms; /* 0 for kind next */
};

/* Is the move one of a bad print? Taken for one: more than 0.3 % of the price in a second, times the root of
 * the horizon's seconds. Ratios are shown with and without such moves, never without alone. */
bool tc_score_flagged(double move, double base, int32_t horizon_ms);

/* -1, 0 or 1; 0 up to 1e-9 of the price, because sums and means of equal prices differ in their last bits. */
int tc_score_sign(double move, double base);

/* Adds a sample to all sums but those of late ones and of one-minute blocks. */
void tc_score_add(struct tc_score_sums *s, const struct tc_sample *x);

struct tc_score_figures {
    int64_t n, n_late, n_flagged, n_microprice, n_spread, n_prob;
    double rmse, mae, rmse_persistence, mae_ratio; /* price units; NaN when n is 0 */
    double ratio, ratio_lo, ratio_hi; /* RMSE over persistence's, same samples; 95 % interval by blocks */
    double ratio_clean;               /* the same without flagged moves */
    double r2;                        /* of the move: 1 - ratio^2 */
    double ratio_reversal, ratio_ridge, ratio_microprice;
    double share, share_lo, share_hi; /* direction on moves, Wilson 95 % */
    double share_microprice;          /* the microprice's on the same samples */
    double dm_t, dm_t_ridge;          /* Diebold-Mariano against persistence and ridge, block variance */
    double coverage, width, winkler;
    double beyond;     /* share of forecasts that move more than half the spread */
    double brier;      /* of P(down), P(none), P(up): mean sum of squares, 0 to 2 */
    double brier_base; /* of one who always gives the shares that came (best constant, known afterwards) */
};

/* Adds the sums; both must speak of the same target. Keys stay those of `into`. */
void tc_score_merge(struct tc_score *into, const struct tc_score *from);
void tc_score_figures(const struct tc_score *s, struct tc_score_figures *out);

/* The figures as members of a JSON object that has some already: ,"n":..,"direction":{..}. Keys as in
 * docs/api.md. */
void tc_score_figures_to_json(const struct tc_score *s, const struct tc_score_figures *f, struct tc_buf *out);

/* Sums over one-minute blocks b of n_b samples with loss difference D_b = sum(e_persist^2 - e_model^2).
 * Doubles, so that they may be forgotten exponentially (gate.h). */
struct tc_dm_sums {
    double blocks, n, n2, d, d2, nd; /* count, sums of n_b, n_b^2, D_b, D_b^2, n_b D_b */
};

/* Mean loss difference a sample and its standard error from the variance between blocks (the linearised
 * variance of a ratio of sums). Outcomes of long horizons overlap from block to block: the variance is
 * multiplied by what overlapping moves of a random walk add, 1 / (1 - h / 180 s) up to h = 60 s. False, and
 * NaN in *se, while fewer than 5 blocks are there or they do not differ. */
bool tc_dm_blocks(const struct tc_dm_sums *s, int32_t horizon_ms, double *mean, double *se);

/* Wilson's 95 % interval of a share (Wilson 1927); NaN when n is 0. */
void tc_wilson(int64_t hits, int64_t n, double *share, double *lo, double *hi);
