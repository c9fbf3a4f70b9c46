/* train_replace.h - may a new model take an old one's place? Only when it is better on the last session,
 * which neither of them has seen. */
#pragma once

#include "app/train_data.h"

struct tc_verdict {
    bool better;
    double next_t;  /* Diebold-Mariano t of the new model over the old one, kind next, all symbols */
    double worst_t; /* of the target where it is least */
    char why[160];
};

/* The file's model against `spec` on the set's test span. TC_ECONF when they cannot be compared (other
 * inputs, no common target) or the old one has seen that session. */
int tc_train_judge(const struct tc_train_set *set, const struct tc_model_spec *spec, const char *old_path,
                   struct tc_verdict *out);
