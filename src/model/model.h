/* model.h - a trained network as the forecast engine sees it: load, describe, step.
 *
 * A model file is safetensors with a self-describing __metadata__ (docs/formats.md); one that does not say
 * how to use it is refused. Inputs are the feature values named in info.features, in that order, in the units
 * of forecast/features.h; scaling and clipping happen inside. Outputs are means, one a target, in the same
 * units as the training targets.
 *
 * Modes: `stateful` carries (h, c) from bar to bar; `window` starts from zero state and reads the last
 * `window` steps, and gives nothing before it has them. A step is a row, or of models with info.block a block
 * of the last so many rows; those too forecast on every row. Both modes keep their per-symbol memory in a
 * block that the caller owns, so that a snapshot is a copy of bytes. A row's result does not depend on what
 * else is in the batch.
 *
 * Windows in flight: with memory for it (tc_model_flight_size, not part of a snapshot) a symbol's open
 * windows are kept side by side. A row then costs the last step of one window before its forecast, and one
 * step of each of the others after it (tc_model_advance), which go as one batch. The result has the same bits
 * as a window computed afresh, which is what happens without that memory, and until the windows that were
 * open when it was new (start, restart from a snapshot) have ended.
 */
#pragma once

#include "bus/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TC_MODEL_FEATURES_MAX = 64, TC_MODEL_TARGETS_MAX = TC_POINTS_MAX, TC_FEATURE_NAME_SIZE = 16 };

struct tc_model_target {
    enum tc_kind kind;
    int32_t horizon_ms;
    double shrink;         /* the mean is multiplied by this, 0 to 1, as found on the validation span */
    double val_ratio;      /* RMSE ratio to persistence on the validation span; NaN = not known */
    double val_dm_t;       /* its Diebold-Mariano t */
    double val_dm_t_least; /* of the symbol where it was least */
};

struct tc_model_info {
    char id[TC_MODEL_SIZE];      /* name@hash8: first 8 hex digits of the file's SHA-256 */
    char kernel[TC_KERNEL_SIZE]; /* that will run it here */
    char inputs[TC_INPUTS_SIZE]; /* feature set's name; "columns": a bar's own numbers (imported) */
    char feature_hash[17];       /* version of the feature definitions it was trained with */
    bool stateful;
    int32_t window, layers, hidden, input_size;
    int32_t n_features, n_targets;
    char features[TC_MODEL_FEATURES_MAX][TC_FEATURE_NAME_SIZE];
    struct tc_model_target targets[TC_MODEL_TARGETS_MAX];
    int32_t interval_ms;
    char target_unit[16]; /* "move_scale": moves divided by the symbol's own scale; "price": the price itself
                           */
    int32_t block; /* above 1: a step reads so many rows as the mean, max, min and sd of each feature */
    char trained_from[12], trained_to[12], symbols[256]; /* card */
    int64_t trained_rows;
    char data_sha256[65];
    char validated_from[12], validated_to[12]; /* span of the validation figures; "" = none */
    char version[24];                          /* of the program that wrote it */
    char loss[24]; /* trained with: "huber", "quantile 0.9"; "" = squared error, or not known */
    bool skip;     /* has the linear path from inputs to outputs */
};

struct tc_model;

int tc_model_load(const char *path, struct tc_model **out);
void tc_model_free(struct tc_model *m);
/* Steps and windows are shared by a team of threads from now on (NULL: none), where they are large enough for
 * it to pay. The team stays the caller's and must live as long; results do not depend on it. TC_ENOMEM. */
struct tc_team;
int tc_model_team(struct tc_model *m, struct tc_team *team);

/* Share of the outputs' spread by which arithmetic of 16 bits may move any one of them. */
#define TC_MODEL_REDUCED_MAX 0.01

/* Goes over to arithmetic of 16 bits (tc_kern_reduced) if that keeps to the bound above on windows of the
 * network's own inputs that are made for this: random walks about the middle of its scaler, the same ones
 * every time, so that a replay that is started again decides the same. Otherwise it stays exact and TC_AGAIN
 * says so; `why` (or NULL) takes a sentence in both cases. For the time between loading and the first step.
 * TC_ENOMEM. */
int tc_model_reduce(struct tc_model *m, char *why, size_t size);

/* JSON of its training; NULL where the file has none. */
const char *tc_model_card(const struct tc_model *m);
const struct tc_model_info *tc_model_info(const struct tc_model *m);

/* The last session that it was trained or validated on, yyyymmdd; 0 = not known. The validation span chose
 * the epoch: it was seen too. */
int32_t tc_model_seen_to(const struct tc_model_info *info);

/* Bytes of one symbol's state (a multiple of 64, to be aligned to 64) and its start value. */
size_t tc_model_state_size(const struct tc_model *m);
void tc_model_state_reset(const struct tc_model *m, void *state);

/* Bytes of one symbol's windows in flight (a multiple of 64, to be aligned to 64, zero at first); 0 where
 * there is nothing to keep. At a reset of the state nothing need be done to it. */
size_t tc_model_flight_size(const struct tc_model *m);

struct tc_model_row {
    void *state;        /* of this symbol; advanced by the step */
    void *flight;       /* of this symbol, the same at every step; NULL: each window afresh */
    const double *x;    /* n_features raw values */
    double *y;          /* n_targets means, shrink applied */
    bool ready;         /* out: y is valid (window mode: enough rows) */
    bool out_of_domain; /* out: some input was clipped */
};

/* Advances n different symbols by one bar. No allocation. A non-finite input makes TC_EINPUT and leaves all
 * states as they were. One caller at a time for each model. */
int tc_model_step(struct tc_model *m, struct tc_model_row *rows, size_t n);

/* What a step left to do for its rows (state and flight are looked at): one piece of at most 256 window
 * steps, from row *at on (0 at first), which moves along. Returns the window steps done; 0 = all is done. A
 * step does itself what was not done before it. */
size_t tc_model_advance(struct tc_model *m, const struct tc_model_row *rows, size_t n, size_t *at);
size_t tc_model_left(const struct tc_model_row *rows, size_t n); /* window steps still to do */

/* Numbers of a row that tc_model_eval takes. */
int32_t tc_model_width(const struct tc_model *m, bool scaled);

/* One pass from zero state over n rows of tc_model_width numbers each; the outputs after the last one, both
 * n_targets: `raw` as the network gives them, `value` in the target's unit. `scaled`: the rows are the
 * network's own inputs, taken as they are; else feature values (of block models a whole number of blocks).
 * Any number of rows, whatever the window. Allocates. TC_EINPUT names a row that is not finite. */
int tc_model_eval(struct tc_model *m, const double *x, size_t n, bool scaled, double *raw, double *value);
