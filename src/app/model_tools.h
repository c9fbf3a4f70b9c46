/* model_tools.h - what `tickcast model import` and `tickcast model eval` do. */
#pragma once

#include "base/opt.h"

enum tc_import_preset { TC_PRESET_NONE, TC_PRESET_CLASSIC, TC_PRESET_BLOCKS };

struct tc_import_options {
    const char *pth, *scaler, *output, *name; /* NULL = not given; output and pth must be */
    int preset;                               /* enum tc_import_preset */
    struct tc_opt_list features;              /* empty = the scaler's names, else the preset's */
    int64_t window, block;                    /* 0 = the preset's */
    int target;                               /* enum tc_kind */
    int64_t horizon_ns, interval_ns;
};

/* Reads, checks, writes the model file and says on standard output what it took for what. */
int tc_import_run(const struct tc_import_options *o);

/* Reads rows of numbers from standard input and prints "raw=... value=..." with 17 digits. */
int tc_eval_run(const char *path, bool scaled);
