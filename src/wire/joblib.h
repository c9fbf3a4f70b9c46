/* joblib.h - a scikit-learn MinMaxScaler or StandardScaler from an uncompressed joblib.dump, nothing
 * executed.
 *
 * Such a file is a pickle (wire/pickle.h) with each array's bytes in the middle of it, right behind the
 * wrapper that describes it: numbers after a padding count and padding (joblib 1.2 and later; none before),
 * arrays of texts as a complete pickle of their own. Source: joblib numpy_pickle.py.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TC_SCALER_COLUMNS_MAX = 64, TC_SCALER_NAME_SIZE = 64 };

enum tc_scaler_kind { TC_SCALER_MINMAX, TC_SCALER_STANDARD };

/* Scaled value of column i: (x - mean[i]) / sd[i], whatever the kind. */
struct tc_scaler {
    enum tc_scaler_kind kind;
    int32_t n;
    double mean[TC_SCALER_COLUMNS_MAX], sd[TC_SCALER_COLUMNS_MAX];
    double low, high; /* min-max: what the training span's extremes become */
    bool clip;        /* min-max: scaled values are kept within low and high */
    bool named;
    char name[TC_SCALER_COLUMNS_MAX][TC_SCALER_NAME_SIZE]; /* as the columns were called in training */
};

/* TC_EINPUT says what is wrong or, for a compressed file, how to make a plain one. */
int tc_joblib_scaler(const uint8_t *bytes, size_t n, struct tc_scaler *out);

const char *tc_scaler_kind_name(enum tc_scaler_kind kind); /* "MinMaxScaler" */
