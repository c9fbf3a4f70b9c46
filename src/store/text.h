/* text.h - the JSON texts inside the store's rows: tape, points, values. Private to this layer.
 *
 * The readers take what the writers make (any order of keys, unknown keys are skipped) and nothing else;
 * TC_EINPUT on anything they do not understand. Doubles read back bit-equal; null becomes NaN.
 */
#pragma once

#include "bus/record.h"

void tc_text_tape(const struct tc_tape *t, struct tc_buf *out); /* nothing when all of it is unknown */
void tc_text_outcome(const struct tc_outcome *o, struct tc_buf *out);

int tc_text_read_tape(const char *text, size_t n, struct tc_tape *out);
int tc_text_read_points(const char *text, size_t n, struct tc_forecast *out); /* points and n_points */
int tc_text_read_outcome(const char *text, size_t n, struct tc_outcome *out); /* values and n_values */

int tc_kind_parse(const char *name, enum tc_kind *out);
