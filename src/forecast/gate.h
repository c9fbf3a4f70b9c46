/* gate.h - may a model speak for a symbol and target? Only while it is measurably better than persistence.
 *
 * Evidence: Diebold-Mariano t over one-minute blocks (score.h), each block counting half after 120 later ones
 * (about a rolling session). The gate
 *   starts open only when the model's card says t > 2 on its validation span;
 *   closes at once when t falls below 1 with 300 samples or more, or below -1 with 60;
 *   opens when t is above 2 with 300 samples or more, and 300 more for each 20 s of the horizon.
 * Plain bytes.
 */
#pragma once

#include "forecast/score.h"

struct tc_gate {
    struct tc_dm_sums roll;
    double open; /* 1 or 0 */
};

void tc_gate_init(struct tc_gate *g, double card_dm_t); /* NaN: no card */
/* A closed block of n > 0 samples with summed loss difference d. */
void tc_gate_block(struct tc_gate *g, int32_t horizon_ms, double n, double d);
bool tc_gate_is_open(const struct tc_gate *g);
