/* reference.h - a ridge fitted once on some days and reported on later ones: the published reference that the
 * feature code is checked against (docs/forecasting.md), and the tests for leaks that go with it.
 *
 * Inputs standardised by mean and standard deviation of the training rows and clipped to +-6; outcomes
 * clipped to +-6 of their root mean square; (Z'Z + lambda n 1) w = Z'y in double; no constant. Dataset in
 * cents (tc_dataset_conf.raw) for figures that compare with the published table.
 */
#pragma once

#include "forecast/dataset.h"

struct tc_reference_conf {
    const char *symbol;
    int32_t target;               /* index into the dataset's targets */
    int32_t train_from, train_to; /* session dates, inclusive */
    int32_t test_from, test_to;
    double lambda;
    int32_t shift;    /* rows by which features come late: 0 as they are, 1 one bar late, -1 one bar early */
    uint64_t shuffle; /* not 0: training outcomes in random order of this seed */
};

struct tc_reference_result {
    int64_t n_train, n;
    double rms;   /* of the move, in the dataset's units */
    double ratio; /* RMSE over persistence's */
    double dm_t;  /* against persistence, Newey-West */
};

/* TC_ENOTFOUND when there are no rows to train or to test. */
int tc_reference_ridge(const struct tc_dataset *d, const struct tc_reference_conf *conf,
                       struct tc_reference_result *out);

/* Would honest features behave so? `as_is` and `late` are results with shift 0 and 1. Features that still
 * have skill when they come one bar late knew the future; so did those that halve the error of persistence.
 * Returns NULL when all is well, else a sentence. */
const char *tc_reference_leak(const struct tc_reference_result *as_is,
                              const struct tc_reference_result *late);

/* t of mean(d) > 0 with Newey-West variance (Newey and West 1987, Bartlett weights); NaN below 2 samples or
 * without variance. *se (may be NULL) gets the standard error of the mean. */
double tc_newey_west_t(const double *d, size_t n, int32_t lags, double *se);

/* Lags by horizon: 10 up to 1 s and for the next traded second, 20 up to 10 s, 120 beyond. */
int32_t tc_dm_lags(int32_t horizon_ms);
