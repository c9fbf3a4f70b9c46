/* Length of a state dict (u32), the state dict, a scaler (or nothing). Whatever is taken over is a model file
 * that reads back, opens, and gives a finite output. */
#include "model/import.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS = 7, ROWS = 3 };

/* As `model import` tries: one row a step, or blocks; the columns by name when there is no scaler's. */
static void fill(const struct tc_torch *file, bool blocks, struct tc_import *how)
{
    static const char *const columns[COLUMNS] = {"price", "volume", "transactions", "high",
                                                 "low",   "open",   "vwap"};
    int64_t inputs = 5, outputs = 1;
    for (size_t i = 0; i < file->n; i++) {
        const struct tc_torch_tensor *t = &file->tensors[i];
        if (strstr(t->name, "weight_ih_l0") && t->dims == 2)
            inputs = t->shape[1];
        else if (!strstr(t->name, "_l") && t->dims == 2)
            outputs = t->shape[0];
    }
    int64_t n = blocks ? inputs / TC_MODEL_STATS : inputs;
    *how = (struct tc_import){.name = "fuzz",
                              .version = "fuzz",
                              .window = 4,
                              .block = blocks ? ROWS : 1,
                              .fallback = columns,
                              .n_fallback = n >= 1 && n <= COLUMNS ? (int32_t)n : COLUMNS,
                              .interval_ms = 1000};
    how->n_targets = outputs >= 1 && outputs <= TC_MODEL_TARGETS_MAX ? (int32_t)outputs : 1;
    for (int32_t j = 0; j < how->n_targets; j++) {
        how->target[j].kind = j ? TC_KIND_LAST : TC_KIND_NEXT;
        how->target[j].horizon_ms = j * 1000;
    }
}

static void run(const struct tc_model_spec *spec)
{
    struct tc_buf b;
    struct tc_model_spec again;
    struct tc_model *m;
    double x[ROWS * COLUMNS], raw[TC_MODEL_TARGETS_MAX], value[TC_MODEL_TARGETS_MAX];
    tc_buf_init(&b, TC_MODEL_FILE_MAX);
    if (tc_model_encode(spec, &b) || tc_model_decode(b.data, b.len, "fuzz", &again))
        abort();
    tc_model_spec_free(&again);
    tc_buf_release(&b);
    if (tc_model_open(spec, &m))
        return;
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        x[i] = (double)(i * i);
    if (tc_model_eval(m, x, ROWS, false, raw, value))
        abort();
    for (int32_t j = 0; j < tc_model_info(m)->n_targets; j++)
        if (!isfinite(raw[j]) || !isfinite(value[j]))
            abort();
    tc_model_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t n;
    struct tc_torch file;
    struct tc_scaler scaler;
    if (size < sizeof(n))
        return 0;
    memcpy(&n, data, sizeof(n));
    data += sizeof(n);
    size -= sizeof(n);
    if (n > size || tc_torch_open(data, n, &file))
        return 0;
    bool with = size > n && tc_joblib_scaler(data + n, size - n, &scaler) == 0;
    for (int blocks = 0; blocks < 2; blocks++) {
        struct tc_import how;
        struct tc_model_spec spec;
        fill(&file, blocks, &how);
        if (tc_import_model(&file, with ? &scaler : NULL, &how, &spec) == 0) {
            run(&spec);
            tc_model_spec_free(&spec);
        }
    }
    tc_torch_close(&file);
    return 0;
}
