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

static int weights_open(const struct tc_kern *k, int32_t inputs, int32_t outputs, int32_t gates, int32_t rows,
                        struct tc_weights *out)
{
    int32_t blocks = (outputs + k->block - 1) / k->block;
    size_t floats = (size_t)blocks * (size_t)(rows + 1) * (size_t)(gates * k->block);
    size_t bytes = (floats * sizeof(float) + TC_KERN_ALIGN - 1) / TC_KERN_ALIGN * TC_KERN_ALIGN;
    *out = (struct tc_weights){.inputs = inputs, .outputs = outputs, .block = k->block, .blocks = blocks};
    out->w = aligned_alloc(TC_KERN_ALIGN, bytes);
    if (!out->w)
        return tc_fail(TC_ENOMEM, "no memory for %zu bytes of weights", bytes);
    memset(out->w, 0, bytes);
    return TC_OK;
}

int tc_lstm_pack(const struct tc_kern *k, int32_t inputs, int32_t hidden, const float *w_ih,
                 const float *w_hh, const float *b_ih, const float *b_hh, struct tc_weights *out)
{
    int rc = weights_open(k, inputs, hidden, 4, inputs + hidden, out);
    if (rc)
        return rc;
    size_t row = (size_t)(4 * k->block), stride = row * (size_t)(inputs + hidden + 1);
    for (int32_t g = 0; g < 4; g++)
        for (int32_t u = 0; u < hidden; u++) {
            size_t from = (size_t)(g * hidden + u);
            float *to = out->w + stride * (size_t)(u / k->block) + (size_t)(g * k->block + u % k->block);
            *to = b_ih[from] + b_hh[from];
            for (int32_t i = 0; i < inputs; i++)
                to[row * (size_t)(i + 1)] = w_ih[from * (size_t)inputs + (size_t)i];
            for (int32_t i = 0; i < hidden; i++)
                to[row * (size_t)(inputs + i + 1)] = w_hh[from * (size_t)hidden + (size_t)i];
        }
    return TC_OK;
}

int tc_dense_pack(const struct tc_kern *k, int32_t inputs, int32_t outputs, const float *w, const float *bias,
                  struct tc_weights *out)
{
    int rc = weights_open(k, inputs, outputs, 1, inputs, out);
    if (rc)
        return rc;
    size_t row = (size_t)k->block, stride = row * (size_t)(inputs + 1);
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
