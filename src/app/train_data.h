/* train_data.h - a replay turned into training, validation and test sequences by session. */
#pragma once

#include "app/config.h"
#include "forecast/dataset.h"
#include "model/train.h"

enum { TC_SPAN_TRAIN, TC_SPAN_VALIDATE, TC_SPAN_TEST, TC_SPAN_COUNT };

struct tc_span {
    int32_t from, to; /* session dates, 0 = the span is empty */
    struct tc_train_data data;
    struct tc_series *series;
};

struct tc_train_set {
    struct tc_dataset dataset;
    struct tc_span span[TC_SPAN_COUNT];
    double *weights; /* of all rows, see weigh() */
    bool spilled;    /* they are the spill's */
    size_t n_symbols;
    char (*symbols)[TC_SYMBOL_SIZE]; /* a series' group is the index here */
    char sha256[65];                 /* over the training span's rows, targets and masks */
};

struct tc_train_set_conf {
    const struct tc_config *config; /* replay_path, dates, symbols, calendar, bars_from, on_error */
    enum tc_feature_set set;
    int32_t n_horizons;
    int32_t horizons_ms[(TC_POINTS_MAX - 1) / 2];
    int32_t validate,
        test; /* first session of the span; validate 0 = the last one before the test span; test 0 = none */
    struct tc_spill *spill; /* takes the rows, and outlives the set; NULL: memory */
    bool (*progress)(void *ctx, int32_t day, int64_t bars); /* false = stop; NULL for none */
    void *ctx;
};

/* TC_EINPUT when a span has no rows. TC_DONE when `progress` stopped it (out is empty). */
int tc_train_set_open(const struct tc_train_set_conf *conf, struct tc_train_set *out);
void tc_train_set_close(struct tc_train_set *s);
