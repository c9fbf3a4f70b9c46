/* score.h - from mergeable sums (struct tc_score) to the figures people read. Methods and sources:
 * docs/forecasting.md. */
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
