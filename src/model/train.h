/* train.h - training a network: scaler, ridge start, back-propagation through time, early stopping on a later
 * span.
 *
 * Recipe and reasons: docs/model.md. The linear skip starts at the ridge solution and W_out at zero, so that
 * epoch 0 is ridge; the epoch kept is the best one on the validation span, and a target whose network is no
 * better than ridge there falls back to ridge. Scaler and target scales come from the training span alone.
 *
 * Repeatable: the same data, configuration and kernel give the same file. One thread, not the data path.
 */
#pragma once

#include "base/spill.h"
#include "model/bptt.h"
#include "model/file.h"
#include "model/optimizer.h"

struct tc_team;

/* One symbol's rows of one session in time order; starts from zero state. */
struct tc_series {
    const double *x;     /* rows x n_features, as a model sees them */
    const double *y;     /* rows x n_targets, in target_unit */
    const uint8_t *mask; /* rows x n_targets: 1 = known and counted */
    size_t rows;
    int32_t group;        /* for figures by symbol: any number */
    const double *weight; /* of each row's squared errors, mean about 1; NULL = all 1 */
};

struct tc_train_data {
    const struct tc_series *series;
    size_t n;
};

struct tc_train_conf {
    int32_t input_size, layers, hidden;
    bool skip;
    int32_t epochs, patience; /* epochs without a better one before it stops */
    int32_t piece, burn_in;   /* rows of a sequence, and its first ones without loss (stateful): truncated
                                 back-propagation; piece 0: whole series, all with loss (full) */
    int32_t stride;           /* rows between the starts of two windows (window mode) */
    int32_t batch;            /* sequences of a step */
    double rate, skip_share;  /* peak of the schedule; the skip learns at this share of it */
    enum tc_schedule schedule;
    enum tc_optimizer optimizer;
    double weight_decay;
    double clip_norm; /* of the whole gradient; 0 = none */
    double dropout;
    enum tc_loss loss;
    double delta;    /* of Huber's loss, in target scales */
    double quantile; /* of the quantile loss, whose networks are neither mixed with ridge nor shrunk */
    uint64_t seed;
    struct tc_team *team;   /* shares the arithmetic, with the same result; NULL = one thread */
    struct tc_spill *spill; /* takes the rows as they are learnt from; NULL: memory */
    const char *state_path; /* written after every epoch; NULL = none */
    bool resume;            /* go on from state_path, to the bytes that an undisturbed training gives */
};

/* The recipe's figures for a net of one layer of 48 units. */
void tc_train_conf_default(struct tc_train_conf *c);

/* RMSE of one target over persistence's on rows with a known outcome; t after Diebold and Mariano 1995 with
 * Newey-West variance (Bartlett weights, 10 lags up to 1 s, 20 up to 10 s, 120 beyond, within series).
 * Positive t: the first is better. NaN where there are too few rows. */
struct tc_train_figures {
    int64_t n;
    double ratio, dm_t;             /* network against persistence */
    double ridge_ratio, ridge_dm_t; /* ridge against persistence */
    double over_ridge_t;            /* network against ridge */
};

struct tc_train_progress {
    int32_t epoch, epochs; /* epoch 0 = the start, ridge where there is a skip */
    size_t step, steps;    /* within the epoch */
    bool epoch_done;       /* the rest is only then filled in */
    double train_loss;     /* mean over the epoch's steps; NaN for epoch 0 */
    double score; /* weighted mean square ratio on the validation span, what early stopping looks at; with the
                     quantile loss the ratio of that loss */
    double ratio[TC_MODEL_TARGETS_MAX];
    bool best;
};

struct tc_train_result {
    int32_t best_epoch, epochs;         /* epochs that ran */
    double share[TC_MODEL_TARGETS_MAX]; /* of the way from ridge (0) to the network (1) that was kept */
    struct tc_train_figures val[TC_MODEL_TARGETS_MAX];
    double ridge_shrink[TC_MODEL_TARGETS_MAX];
    struct tc_net ridge; /* as a network with nothing but its skip; free with tc_net_free */
};

/* Trains on `train`, stops by `val` (which must lie later; the caller sees to it). `spec` comes with name,
 * features, targets (kind, horizon), mode, window, units and card filled in; it leaves with scaler, scales,
 * shrinks, validation figures and the net. `progress` (or NULL) returning false ends training early; the best
 * epoch so far is kept. */
int tc_train(const struct tc_train_conf *conf, const struct tc_train_data *train,
             const struct tc_train_data *val, struct tc_model_spec *spec,
             bool (*progress)(void *ctx, const struct tc_train_progress *p), void *ctx,
             struct tc_train_result *out);

/* What the model says for every row of every series, one after the other, as live code does: out
 * [rows][n_targets], NaN where it is not ready. */
int tc_train_predict(const struct tc_model_spec *spec, const struct tc_train_data *data, double *out);
size_t tc_train_rows(const struct tc_train_data *data);

/* Figures of target j on the series of one group (or of all: group < 0), given two sets of predictions. */
void tc_train_compare(const struct tc_train_data *data, const struct tc_model_info *info, int32_t j,
                      int32_t group, const double *network, const double *ridge,
                      struct tc_train_figures *out);

/* Weight of a target in the loss, by its horizon. */
double tc_train_target_weight(const struct tc_model_target *t);
