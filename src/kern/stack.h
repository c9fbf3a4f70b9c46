/* stack.h - LSTM layers over whole sequences, on a team of threads.
 *
 * Layer after layer, not step after step, so that one layer's weights stay near; of a few rows the inputs'
 * part of many steps is computed together, which reads the weights once for all. Few rows: the threads share
 * the units and pass each other's half of h on at every step. Many rows: they share the rows and meet once.
 * A sequence's bits depend on nothing but the kernel and its own inputs.
 */
#pragma once

#include "kern/kern.h"
#include "kern/team.h"

struct tc_stack;

/* `layer` (which stays the caller's) has one entry a layer; the first one's inputs are the sequence's. At
 * most `steps` steps; any number of rows. `team` may be NULL and must live as long. */
int tc_stack_open(const struct tc_kern *kern, struct tc_team *team, const struct tc_weights *layer,
                  size_t layers, size_t steps, struct tc_stack **out);
void tc_stack_close(struct tc_stack *s); /* takes NULL */

/* From zero state over `steps` steps: in [steps][rows][width] (width: tc_kern_pad of the inputs, or more);
 * last [rows][tc_kern_pad(hidden)] takes the top layer's h after the last step. No allocation. */
void tc_stack_run(struct tc_stack *s, const float *in, size_t width, size_t steps, size_t rows, float *last);

/* One step of one layer for n rows, shared by the team where that is worth it: as kern->lstm. */
void tc_team_lstm(struct tc_team *team, const struct tc_kern *kern, const struct tc_weights *w,
                  const struct tc_lstm_row *rows, size_t n);
