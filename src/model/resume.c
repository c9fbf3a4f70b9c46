#include "model/resume.h"
#include "model/file.h"

#include "base/err.h"
#include "base/num.h"
#include "wire/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char FORMAT[] = "tickcast-training-1";
static const char *const tensor_names[] = {"params", "moment1", "moment2", "best"};

enum { TENSORS = 4, RNG_WORDS = 4 };

int tc_train_state_write(const char *path, const struct tc_train_state *s)
{
    char epoch[TC_NUM_TEXT], best[TC_NUM_TEXT], updates[TC_NUM_TEXT], score[TC_NUM_TEXT],
        rng[RNG_WORDS * TC_NUM_TEXT];
    float *arrays[TENSORS] = {s->params, s->m1, s->m2, s->best};
    struct tc_st_tensor tensors[TENSORS];
    struct tc_buf b;
    tc_format_int(s->epoch, epoch);
    tc_format_int(s->best_epoch, best);
    tc_format_int(s->updates, updates);
    tc_format_double(s->best_score, score);
    snprintf(rng, sizeof(rng), "%lld %lld %lld %lld", (long long)s->rng.s[0], (long long)s->rng.s[1],
             (long long)s->rng.s[2], (long long)s->rng.s[3]);
    for (size_t i = 0; i < TENSORS; i++)
        tensors[i] = (struct tc_st_tensor){.name = tensor_names[i],
                                           .dtype = "F32",
                                           .dims = 1,
                                           .shape = {(int64_t)s->n},
                                           .data = (const uint8_t *)arrays[i],
                                           .bytes = s->n * sizeof(float)};
    const struct tc_st_meta meta[] = {{"format", FORMAT},   {"key", s->key},      {"epoch", epoch},
                                      {"best_epoch", best}, {"updates", updates}, {"best_score", score},
                                      {"rng", rng}};
    tc_buf_init(&b, TC_MODEL_FILE_MAX);
    int rc = tc_safetensors_write(meta, sizeof(meta) / sizeof(meta[0]), tensors, TENSORS, &b);
    if (!rc)
        rc = tc_file_replace(path, &b);
    tc_buf_release(&b);
    return rc;
}

static bool read_int(const struct tc_safetensors *st, const char *key, int64_t *out)
{
    const char *v = tc_safetensors_meta(st, key);
    return v && tc_parse_int(v, strlen(v), out) && *out >= 0;
}

static bool read_rng(const struct tc_safetensors *st, struct tc_rng *out)
{
    const char *v = tc_safetensors_meta(st, "rng");
    for (size_t i = 0; v && i < RNG_WORDS; i++) {
        int64_t word;
        size_t n = strcspn(v, " ");
        if (!tc_parse_int(v, n, &word))
            return false;
        out->s[i] = (uint64_t)word;
        v += n + (v[n] == ' ');
    }
    return v && !*v;
}

static bool read_arrays(const struct tc_safetensors *st, struct tc_train_state *s)
{
    float *arrays[TENSORS] = {s->params, s->m1, s->m2, s->best};
    for (size_t i = 0; i < TENSORS; i++) {
        const struct tc_st_tensor *t = tc_safetensors_find(st, tensor_names[i]);
        if (!t || strcmp(t->dtype, "F32") != 0 || t->bytes != s->n * sizeof(float))
            return false;
        memcpy(arrays[i], t->data, t->bytes);
        for (size_t j = 0; j < s->n; j++)
            if (!isfinite(arrays[i][j]))
                return false;
    }
    return true;
}

static int take(const char *path, const struct tc_safetensors *st, struct tc_train_state *s)
{
    const char *format = tc_safetensors_meta(st, "format"), *key = tc_safetensors_meta(st, "key");
    const char *score = tc_safetensors_meta(st, "best_score");
    int64_t epoch, best;
    if (!format || strcmp(format, FORMAT) != 0 || !key)
        return tc_fail(TC_EINPUT, "%s: not the state of a training", path);
    if (strcmp(key, s->key) != 0)
        return tc_fail(
            TC_ECONF,
            "%s: is of a training with other data, settings or kernel; train without --resume to start anew",
            path);
    if (!read_int(st, "epoch", &epoch) || !read_int(st, "best_epoch", &best) || epoch > INT32_MAX ||
        best > epoch || !read_int(st, "updates", &s->updates) || !score ||
        !tc_parse_double(score, strlen(score), &s->best_score) || !read_rng(st, &s->rng) ||
        !read_arrays(st, s))
        return tc_fail(TC_EINPUT, "%s: the state of a training is damaged", path);
    s->epoch = (int32_t)epoch;
    s->best_epoch = (int32_t)best;
    return TC_OK;
}

int tc_train_state_read(const char *path, struct tc_train_state *s)
{
    struct tc_buf b;
    struct tc_safetensors st;
    tc_buf_init(&b, TC_MODEL_FILE_MAX);
    int rc = tc_model_read_file(path, &b);
    if (!rc && (rc = tc_safetensors_parse((const uint8_t *)b.data, b.len, &st)))
        tc_more(rc, "%s", path);
    if (!rc) {
        rc = take(path, &st, s);
        tc_safetensors_free(&st);
    }
    tc_buf_release(&b);
    return rc;
}
