/* tables.h - the tables of kernels that kern.c chooses from, one a file; private to this layer. */
#pragma once

#include "kern/kern.h"

extern const struct tc_kern tc_kern_c;
extern const struct tc_kern tc_kern_avx2;
extern const struct tc_kern tc_kern_avx512;

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

/* Where an LSTM layer's block begins, in floats. */
static inline size_t tc_block_at(const struct tc_weights *w, int32_t b)
{
    return (size_t)b * (size_t)(4 * w->block) * (size_t)(w->inputs + w->outputs + 1);
}
