/* fold.h - minute and hour bars made of the seconds of one symbol, exactly, when they are read; for every
 * store. Private to this layer. */
#pragma once

#include "store/store.h"

/* Where the seconds come from. */
struct tc_fold_source {
    void *self;
    /* Second bars of the range in rising order. */
    int (*rows)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
    /* Their starts in falling order, until seen() answers other than 0 (which is no error). */
    int (*starts)(void *self, const struct tc_range *q, int (*seen)(void *ctx, int64_t start), void *ctx);
};

/* Bars of q->interval_ms whose start lies in the range, made of all their seconds; adds those given to
 * *given. */
int tc_fold_bars(const struct tc_fold_source *from, const struct tc_range *q, tc_row_fn fn, void *ctx,
                 uint64_t *given);
