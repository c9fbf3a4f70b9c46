/* gate.h - may a model speak for a symbol and target? Only while it is measurably better than persistence.
 *
 * Evidence: Diebold-Mariano t over one-minute blocks (score.h), each block counting half after 120 later ones
 * (about a rolling session), of outcomes cut at a few times their usual size: one bad print decides nothing.
 * The gate
 *   starts open only when the model's card says t > 3 on its validation span, for its worst symbol;
 *   closes at once when t falls below 1 with 300 samples or more, or below -1 with 60;
 *   closes at once, within a block, when what was shown since it opened is worse than persistence by more
 *   than a budget: 0.1 % of RMSE over the same rolling span (and no less than over 1,800 samples);
 *   opens when t is above 3 with 300 samples or more, and 300 more for each 20 s of the horizon.
 * The bar to open is 3, not 2, because it is looked at every minute: 2 is passed by luck sooner or later.
 * Plain bytes.
 */
#pragma once

#include "forecast/score.h"

struct tc_gate {
    struct tc_dm_sums roll;
    double base, shown; /* rolling: persistence's squared errors, its lead over what was shown (negative) */
    double block_n, block_d; /* the open block: samples, loss difference */
    double open;             /* 1 or 0 */
};

void tc_gate_init(struct tc_gate *g, double card_dm_t); /* NaN: no card */
/* One resolved sample: squared error of persistence and of the model; whether the model was shown. */
void tc_gate_sample(struct tc_gate *g, double persistence, double model, bool shown);
/* Ends the block under way; nothing happens when it has no samples. */
void tc_gate_block(struct tc_gate *g, int32_t horizon_ms);
bool tc_gate_is_open(const struct tc_gate *g);
