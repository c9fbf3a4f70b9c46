/* train_report.h - what `tickcast train` shows: a line that updates in place on a terminal (plain lines
 * elsewhere) on stderr, and the summary on stdout. */
#pragma once

#include "app/train_data.h"

struct tc_train_progress_line {
    bool terminal;
    int64_t started, shown; /* monotonic */
    size_t rows;            /* of the training span */
};

void tc_train_line_open(struct tc_train_progress_line *l);
void tc_train_line_reading(struct tc_train_progress_line *l, int32_t day, int64_t bars);
void tc_train_line_begin(struct tc_train_progress_line *l, size_t rows);
void tc_train_line_step(struct tc_train_progress_line *l, const struct tc_train_progress *p,
                        const struct tc_model_info *info);
void tc_train_line_done(struct tc_train_progress_line *l); /* leaves an empty line on a terminal */

void tc_train_say_spans(const struct tc_train_set *set);

/* Per span, symbol and target: n, ratios of network and ridge to persistence with their t, network against
 * ridge. */
int tc_train_report(const struct tc_train_set *set, const struct tc_model_spec *spec,
                    const struct tc_train_result *result, const char *path, bool interrupted, bool json);
