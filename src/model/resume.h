/* resume.h - training's state between two epochs as a file, so that a killed training goes on to the same
 * bytes.
 *
 * A safetensors file: F32 tensors params, moment1, moment2, best; numbers in the metadata; `key`, a hash over
 * everything that the result depends on (data, settings, kernel), so that another training's file is refused.
 */
#pragma once

#include "base/rng.h"

#include <stddef.h>
#include <stdint.h>

struct tc_train_state {
    char key[65];
    int32_t epoch, best_epoch; /* finished ones */
    int64_t updates;
    double best_score;
    struct tc_rng rng;
    size_t n; /* floats of each of these, which stay the caller's */
    float *params, *m1, *m2, *best;
};

int tc_train_state_write(const char *path, const struct tc_train_state *s);

/* `s` comes with key, n and room. TC_ENOTFOUND: no file; TC_ECONF: of another training. */
int tc_train_state_read(const char *path, struct tc_train_state *s);
