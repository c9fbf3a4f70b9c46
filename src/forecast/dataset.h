/* dataset.h - training sequences: for each symbol and session the features of every traded second and what
 * came true, by the same feature code as live.
 *
 * Fed with the records of the topic bars in their order (from a store, a log or a replay held in memory).
 * Allocates as it grows; for training and reports, not for the data path. One thread.
 */
#pragma once

#include "base/spill.h"
#include "bus/record.h"
#include "forecast/features.h"
#include "market/calendar.h"

struct tc_dataset_target {
    enum tc_kind kind;
    int32_t horizon_ms; /* 0 for kind next */
};

struct tc_sequence {
    char symbol[TC_SYMBOL_SIZE];
    int32_t day;
    size_t rows;
    double *x;     /* rows x n_features, scaled (or raw) */
    double *y;     /* rows x n_targets: moves in move scales (raw: cents); 0 where the mask is 0 */
    uint8_t *mask; /* rows x n_targets: 1 where a forecast would be issued and the outcome is known */
    int64_t *time; /* end of the row's second */
    double *scale; /* move scale, price units */
    double *close; /* last price, price units */
    double *mid;   /* mid in force, NaN where no quotes are known */
    double *micro; /* microprice of a fresh quote, NaN else */
    bool spilled;  /* the arrays are the spill's */
};

struct tc_dataset {
    size_t n, capacity;
    struct tc_sequence *sequences; /* in order of (day, symbol's first sight) as they were fed */
    int32_t n_features, n_targets;
    struct tc_dataset_target targets[TC_POINTS_MAX];
};

struct tc_dataset_conf {
    enum tc_feature_set set;
    bool raw;               /* features and targets in cents, as the published reference table */
    struct tc_spill *spill; /* takes the rows of finished sessions, and outlives the dataset; NULL: memory */
    int32_t n_horizons;
    int32_t horizons_ms[(TC_POINTS_MAX - 1) / 2];
    /* The calendar of a symbol; asked once at its first bar. */
    const struct tc_calendar *(*calendar)(void *ctx, const char *symbol);
    void *ctx;
    /* Shares for one through splits after the first day up to the second (market/actions.h), asked when a
     * session begins; NULL = always 1. */
    double (*split)(void *ctx, const char *symbol, int32_t after, int32_t day);
    void *split_ctx;
};

struct tc_dataset_builder;

int tc_dataset_open(const struct tc_dataset_conf *conf, struct tc_dataset_builder **out);
/* Any record of topic bars; those that do not matter are passed over. */
int tc_dataset_feed(struct tc_dataset_builder *b, const struct tc_record *r);
/* Ends the open sessions and hands the sequences over; the builder is freed. Free with tc_dataset_free. */
int tc_dataset_finish(struct tc_dataset_builder *b, struct tc_dataset *out);
void tc_dataset_close(struct tc_dataset_builder *b); /* gives up; takes NULL */
void tc_dataset_free(struct tc_dataset *d);
