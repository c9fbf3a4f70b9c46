/* tables.h - the tables of kernels that kern.c chooses from, one a file; private to this layer. */
#pragma once

#include "kern/kern.h"

extern const struct tc_kern tc_kern_c;
extern const struct tc_kern tc_kern_avx2;
extern const struct tc_kern tc_kern_avx512;
extern const struct tc_kern tc_kern_vnni;
extern const struct tc_kern tc_kern_bf16;
extern const struct tc_kern tc_kern_neon;

/* Largest errors of a layer's h that the tests allow. */
#define TC_BOUND_EXACT 3e-6
#define TC_BOUND_INT16 1e-3
#define TC_BOUND_BF16 1e-2

/* What kernels of 16 bits take from avx512. */
void tc_avx512_dense(const struct tc_weights *w, const struct tc_dense_row *rows, size_t n, bool squash);
void tc_avx512_sigmoid(float *v, size_t n);
void tc_avx512_tanh(float *v, size_t n);
void tc_avx512_gemm_tile(size_t k, const float *a, const float *b, float *c, size_t ldc, bool add,
                         size_t rows);

/* 2^f on [-1/2, 1/2] as 1 + c1 f + ... + c6 f^6: reweighted least squares towards equal relative error, own
 * fit, 3.0e-9. */
#define TC_EXP2_C1 0x1.62e430p-1f
#define TC_EXP2_C2 0x1.ebfbdcp-3f
#define TC_EXP2_C3 0x1.c6af7ap-5f
#define TC_EXP2_C4 0x1.3b2dd2p-7f
#define TC_EXP2_C5 0x1.5f0946p-10f
#define TC_EXP2_C6 0x1.417a5cp-13f
#define TC_EXP2_MAX 40.0f    /* 2^-40 beside 1 is nothing, and three factors of 2^40 are a normal float */
#define TC_ROUND 12582912.0f /* 1.5 * 2^23: adding and taking it away rounds to a whole number */

/* What the weights of a gate are multiplied by, so that its exponential is a power of two: -log2 e, 2 log2 e.
 */
#define TC_FOLD_SIGMOID -0x1.715476p+0f
#define TC_FOLD_TANH 0x1.715476p+1f

/* Half blocks: the last one of a layer, with the same four gates of half as many units. */
static inline bool tc_block_half(const struct tc_weights *w, int32_t b)
{
    return w->half && b + 1 == w->blocks;
}

/* --- 16-bit numbers in pairs (pair.h) --------------------------------------------------------------------
 */
#define TC_INT_UNIT                                                                        \
    8192.0f /* of hidden units: halves the error that is left between them and the weights \
             */

struct tc_pair_row {
    const float *x;
    const uint16_t *x_pairs, *h_pairs;
    const float *pre;
    float *c, *h_out; /* h_out: where `project` puts its sums */
};

static inline size_t tc_pairs(int32_t n)
{
    return ((size_t)n + 1) / 2;
}

/* Vectors of four gates before a block's hidden part: bias, two scales, inputs. */
static inline size_t tc_pair_hidden_at(const struct tc_weights *w)
{
    return 3 + (w->bounded ? tc_pairs(w->inputs) : (size_t)w->inputs);
}

static inline size_t tc_pair_block_at(const struct tc_weights *w, int32_t b)
{
    return (size_t)b * (size_t)(4 * w->block) * (tc_pair_hidden_at(w) + tc_pairs(w->outputs));
}

static inline int32_t tc_pair_at(const uint16_t *p)
{
    return (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 16);
}

/* Where an LSTM layer's block of floats begins, in floats. */
static inline size_t tc_block_at(const struct tc_weights *w, int32_t b)
{
    return (size_t)b * (size_t)(4 * w->block) * (size_t)(w->inputs + w->outputs + 1);
}
