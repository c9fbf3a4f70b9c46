/* model_tools.h - what `tickcast model import`, `model export` and `model eval` do. */
#pragma once

#include "base/opt.h"

enum tc_import_preset { TC_PRESET_NONE, TC_PRESET_CLASSIC, TC_PRESET_BLOCKS };

struct tc_import_options {
    const char *pth, *scaler, *name; /* NULL = not given; pth must be */
    int preset;                      /* enum tc_import_preset */
    struct tc_opt_list features;     /* empty = the scaler's names, else the preset's */
    int64_t window, block;           /* 0 = the preset's */
    struct tc_opt_list targets; /* one an output: next, last, mid or last:10s; without a horizon of its own */
    int64_t horizon_ns;         /* last and mid have this one */
    int64_t interval_ns;
};

/* Reads, checks, writes the model file and says on standard output what it took for what. */
int tc_import_run(const struct tc_import_options *o, const char *output);

/* Writes the model as OUTPUT's ending says: .onnx (`scaled`: the graph takes the network's own inputs) or
 * .safetensors. */
int tc_export_run(const char *path, const char *output, bool scaled);

/* Reads rows of numbers from standard input and prints "raw=... value=..." with 17 digits. */
int tc_eval_run(const char *path, bool scaled);
