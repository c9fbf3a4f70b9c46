/* file.h - a model file's content in memory, and its reader and writer (docs/formats.md, "Model file").
 *
 * The file is safetensors; __metadata__ says everything that using it needs. Reading refuses a file in which
 * a key is missing or does not fit, naming the key.
 */
#pragma once

#include "base/buf.h"
#include "model/model.h"
#include "model/net.h"

enum {
    TC_MODEL_NAME_SIZE = 32,
    TC_MODEL_FILE_MAX = 1 << 30,
    TC_MODEL_BLOCK_MAX = 10000,
    TC_MODEL_STATS = 4,
    TC_MODEL_CARD_MAX = 65536
};

struct tc_model_spec {
    char name[TC_MODEL_NAME_SIZE]; /* letters, digits, . _ - */
    struct tc_model_info info; /* id, kernel and the sizes that net.shape says are filled in by the model */
    double mean[TC_MODEL_FEATURES_MAX], sd[TC_MODEL_FEATURES_MAX];
    double low, high;                    /* scaled inputs are kept within */
    double scale[TC_MODEL_TARGETS_MAX];  /* of each target: network output times this, times its shrink, */
    double offset[TC_MODEL_TARGETS_MAX]; /* and this added: 0 unless the unit is "price" */
    struct tc_net net;
    char *card; /* JSON of the training (docs/formats.md, "Model card"), malloc; NULL = none */
};

/* `path` is for messages only. */
int tc_model_decode(const void *bytes, size_t n, const char *path, struct tc_model_spec *out);
int tc_model_encode(const struct tc_model_spec *spec, struct tc_buf *out);
/* The metadata, key by key in file order. */
int tc_model_describe(const struct tc_model_spec *spec,
                      void (*entry)(void *ctx, const char *key, const char *value), void *ctx);

void tc_model_spec_free(struct tc_model_spec *spec);

/* Whole files; written under a temporary name in the same folder and renamed when complete. */
int tc_model_read_file(const char *path, struct tc_buf *out);
int tc_model_write_file(const char *path, const struct tc_model_spec *spec);
int tc_file_replace(const char *path, const struct tc_buf *b);

/* A running model from what stands in memory; the id is made from the bytes that tc_model_encode gives. */
int tc_model_open(const struct tc_model_spec *spec, struct tc_model **out);
