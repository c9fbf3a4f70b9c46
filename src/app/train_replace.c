#include "app/train_replace.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double CLEARLY_WORSE_T = -2;

static int comparable(const struct tc_train_set *set, const struct tc_model_info *now,
                      const struct tc_model_info *old, const char *path)
{
    if (!set->span[TC_SPAN_TEST].data.n)
        return tc_fail(TC_EUSAGE, "a model is replaced on the figures of a session kept aside: --test DAY");
    if (strcmp(now->feature_hash, old->feature_hash) || strcmp(now->target_unit, old->target_unit))
        return tc_fail(TC_ECONF,
                       "%s reads inputs %s of version %s, the new model %s of version %s: not comparable",
                       path, old->inputs, old->feature_hash, now->inputs, now->feature_hash);
    if (tc_model_seen_to(old) >= set->span[TC_SPAN_TEST].from)
        return tc_fail(TC_ECONF, "%s has seen sessions up to %s: it cannot be judged on %d", path,
                       old->validated_to[0] ? old->validated_to : old->trained_to,
                       set->span[TC_SPAN_TEST].from);
    return TC_OK;
}

/* Place of the old model's target among its outputs; -1 when it has none of that kind. */
static int32_t place_of(const struct tc_model_info *old, const struct tc_model_target *t)
{
    for (int32_t i = 0; i < old->n_targets; i++)
        if (old->targets[i].kind == t->kind && old->targets[i].horizon_ms == t->horizon_ms)
            return i;
    return -1;
}

static void compare(const struct tc_train_data *test, const struct tc_model_info *now,
                    const struct tc_model_info *old, const double *said_now, double *said_old, double *column,
                    struct tc_verdict *out)
{
    size_t rows = tc_train_rows(test), targets = (size_t)now->n_targets;
    out->next_t = out->worst_t = NAN;
    for (int32_t j = 0; j < now->n_targets; j++) {
        int32_t i = place_of(old, &now->targets[j]);
        if (i < 0)
            continue;
        for (size_t r = 0; r < rows; r++)
            column[r * targets + (size_t)j] = said_old[r * (size_t)old->n_targets + (size_t)i];
        struct tc_train_figures f;
        tc_train_compare(test, now, j, -1, said_now, column, &f);
        if (now->targets[j].kind == TC_KIND_NEXT)
            out->next_t = f.over_ridge_t;
        if (!(f.over_ridge_t >= out->worst_t))
            out->worst_t = f.over_ridge_t;
    }
    out->better = out->next_t > 0 && out->worst_t >= CLEARLY_WORSE_T;
    snprintf(out->why, sizeof(out->why),
             "on the session kept aside, new over old: t %.1f for the next trade, %.1f where it is least; it "
             "takes "
             "above 0 and at least %.0f",
             out->next_t, out->worst_t, CLEARLY_WORSE_T);
}

int tc_train_judge(const struct tc_train_set *set, const struct tc_model_spec *spec, const char *old_path,
                   struct tc_verdict *out)
{
    struct tc_buf bytes;
    struct tc_model_spec old = {0};
    const struct tc_train_data *test = &set->span[TC_SPAN_TEST].data;
    *out = (struct tc_verdict){0};
    tc_buf_init(&bytes, TC_MODEL_FILE_MAX);
    int rc = tc_model_read_file(old_path, &bytes);
    rc = rc ? rc : tc_model_decode(bytes.data, bytes.len, old_path, &old);
    tc_buf_release(&bytes);
    if (rc)
        return rc;
    rc = comparable(set, &spec->info, &old.info, old_path);
    size_t rows = tc_train_rows(test) + 1;
    double *now = calloc(rows * (size_t)spec->info.n_targets, sizeof(double)),
           *then = calloc(rows * (size_t)old.info.n_targets, sizeof(double)),
           *column = calloc(rows * (size_t)spec->info.n_targets, sizeof(double));
    if (!rc && !(now && then && column))
        rc = tc_fail(TC_ENOMEM, "no memory to compare two models");
    rc = rc ? rc : tc_train_predict(spec, test, now);
    rc = rc ? rc : tc_train_predict(&old, test, then);
    if (!rc)
        compare(test, &spec->info, &old.info, now, then, column, out);
    free(now);
    free(then);
    free(column);
    tc_model_spec_free(&old);
    return rc;
}
