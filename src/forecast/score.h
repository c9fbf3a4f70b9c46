/* score.h - from mergeable sums (struct tc_score) to the figures people read. Methods and sources:
 * docs/forecasting.md. Pure functions, any thread. */
#pragma once

#include "bus/record.h"

struct tc_score_figures {
    int64_t n, n_late;
    double rmse, mae, rmse_persistence, mae_ratio; /* price units; NaN when n is 0 */
    double ratio, ratio_lo, ratio_hi; /* RMSE over persistence's, same samples; 95 % interval by blocks */
    double ratio_reversal, ratio_ridge, ratio_microprice;
    int64_t n_microprice;
    double share, share_lo, share_hi; /* direction on moves, Wilson 95 % */
    double dm_t;                      /* Diebold-Mariano against persistence, block variance */
    double coverage, width, winkler;
};

/* Adds the sums; both must speak of the same target. Keys stay those of `into`. */
void tc_score_merge(struct tc_score *into, const struct tc_score *from);
void tc_score_figures(const struct tc_score *s, struct tc_score_figures *out);

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
