#include "kern/kern.h"
#include "kern/tables.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static const struct tc_kern *const tables[] = {
    &tc_kern_c,
#if defined(__x86_64__)
    &tc_kern_avx2,
    &tc_kern_avx512,
#endif
};
enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

const struct tc_kern *tc_kern_at(size_t i)
{
    return i < TABLES ? tables[i] : NULL;
}

/* __builtin_cpu_supports looks at CPUID and at what the operating system saves (XGETBV). */
bool tc_kern_runs(const struct tc_kern *k)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (k == &tc_kern_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (k == &tc_kern_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#endif
    return k == &tc_kern_c;
}

const struct tc_kern *tc_kern_find(const char *name)
{
    for (size_t i = 0; i < TABLES; i++)
        if (strcmp(tables[i]->name, name) == 0)
            return tc_kern_runs(tables[i]) ? tables[i] : NULL;
    return NULL;
}

int tc_kern_choose(const struct tc_kern **out)
{
    const char *forced = getenv("TICKCAST_KERNEL");
    if (forced && forced[0]) {
        *out = tc_kern_find(forced);
        if (!*out)
            return tc_fail(
                TC_ECONF,
                "TICKCAST_KERNEL=%s: no such kernel on this machine; `tickcast bench lstm` lists them",
                forced);
        return TC_OK;
    }
    for (size_t i = TABLES; i-- > 0;)
        if (tc_kern_runs(tables[i])) {
            *out = tables[i];
            return TC_OK;
        }
    return tc_fail(TC_EINTERNAL, "no kernel runs on this machine");
}

static int weights_open(struct tc_weights *w, size_t floats)
{
    size_t bytes = (floats * sizeof(float) + TC_KERN_ALIGN - 1) / TC_KERN_ALIGN * TC_KERN_ALIGN;
    w->w = aligned_alloc(TC_KERN_ALIGN, bytes);
    if (!w->w)
        return tc_fail(TC_ENOMEM, "no memory for %zu bytes of weights", bytes);
    memset(w->w, 0, bytes);
    return TC_OK;
}

int tc_lstm_pack(const struct tc_kern *k, int32_t inputs, int32_t hidden, const float *w_ih,
                 const float *w_hh, const float *b_ih, const float *b_hh, struct tc_weights *out)
{
    static const float fold[4] = {TC_FOLD_SIGMOID, TC_FOLD_SIGMOID, TC_FOLD_TANH, TC_FOLD_SIGMOID};
    int32_t last = hidden % k->block;
    *out = (struct tc_weights){.inputs = inputs,
                               .outputs = hidden,
                               .block = k->block,
                               .blocks = (hidden + k->block - 1) / k->block,
                               .half = k->half && last && last <= k->block / 2};
    int rc = weights_open(out, tc_block_at(out, out->blocks));
    if (rc)
        return rc;
    for (int32_t g = 0; g < 4; g++)
        for (int32_t u = 0; u < hidden; u++) {
            int32_t b = u / k->block, wide = tc_block_half(out, b) ? k->block / 2 : k->block;
            size_t from = (size_t)(g * hidden + u), row = (size_t)(4 * wide);
            float *to = out->w + tc_block_at(out, b) + (size_t)(g * wide + u % k->block);
            *to = fold[g] * (b_ih[from] + b_hh[from]);
            for (int32_t i = 0; i < inputs; i++)
                to[row * (size_t)(i + 1)] = fold[g] * w_ih[from * (size_t)inputs + (size_t)i];
            for (int32_t i = 0; i < hidden; i++)
                to[row * (size_t)(inputs + i + 1)] = fold[g] * w_hh[from * (size_t)hidden + (size_t)i];
        }
    return TC_OK;
}

int tc_dense_pack(const struct tc_kern *k, int32_t inputs, int32_t outputs, const float *w, const float *bias,
                  struct tc_weights *out)
{
    *out = (struct tc_weights){.inputs = inputs,
                               .outputs = outputs,
                               .block = k->block,
                               .blocks = (outputs + k->block - 1) / k->block};
    size_t row = (size_t)k->block, stride = row * (size_t)(inputs + 1);
    int rc = weights_open(out, stride * (size_t)out->blocks);
    if (rc)
        return rc;
    for (int32_t u = 0; u < outputs; u++) {
        float *to = out->w + stride * (size_t)(u / k->block) + (size_t)(u % k->block);
        *to = bias ? bias[u] : 0;
        for (int32_t i = 0; i < inputs; i++)
            to[row * (size_t)(i + 1)] = w[(size_t)u * (size_t)inputs + (size_t)i];
    }
    return TC_OK;
}

void tc_weights_free(struct tc_weights *w)
{
    free(w->w);
    *w = (struct tc_weights){0};
}

#if defined(__x86_64__)
enum { FLUSH = 0x8040 }; /* MXCSR: flush results to zero, take denormal inputs as zero */

unsigned tc_kern_enter(void)
{
    unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | FLUSH);
    return mode;
}

void tc_kern_leave(unsigned mode)
{
    _mm_setcsr(mode);
}
#else
unsigned tc_kern_enter(void)
{
    return 0;
}

void tc_kern_leave(unsigned mode)
{
    (void)mode;
}
#endif
