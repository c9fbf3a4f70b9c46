/* import.h - a model file's content from a PyTorch state dict and, where there is one, its scaler.
 *
 * The LSTM's tensors are found by their endings (weight_ih_l0, ...) under any one prefix; besides them there
 * must be one linear layer from its last state to the outputs, one a target. What the file cannot say stands
 * in the configuration. The result forecasts the price itself (unit "price"): every output goes back through
 * the price column of the scaler.
 */
#pragma once

#include "model/file.h"
#include "wire/joblib.h"
#include "wire/torch.h"

struct tc_import {
    const char *name;            /* of the model */
    const char *version;         /* of the program */
    int32_t window;              /* steps; of block models each reads `block` rows */
    int32_t block;               /* 1 = a step is a row */
    int32_t n_features;          /* 0 = the scaler's own names */
    const char *const *feature;  /* by any name tc_import_column knows */
    const char *const *fallback; /* the preset's order, for a scaler without names; NULL = none */
    int32_t n_fallback;
    int32_t n_targets; /* in the order of the outputs */
    struct {
        enum tc_kind kind;
        int32_t horizon_ms; /* 0 for the next bar */
    } target[TC_MODEL_TARGETS_MAX];
    int32_t interval_ms;
};

/* The column that a name means ("curr_price" is "price"); NULL when unknown. The names are price, volume,
 * transactions, high, low, open, vwap. */
const char *tc_import_column(const char *name);

/* `scaler` may be NULL: inputs and output are then what the network works with. TC_EINPUT says which tensor,
 * column or number does not fit; *out must be freed only on TC_OK. */
int tc_import_model(const struct tc_torch *file, const struct tc_scaler *scaler, const struct tc_import *how,
                    struct tc_model_spec *out);
