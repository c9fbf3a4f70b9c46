/* The plain C kernels: the reference for every other table. Loops over the units of a block are left to the
 * compiler. */
#include "kern/tables.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 8, TILE_M = 4, TILE_N = 8 };

static inline float clamp(float x)
{
    x = x > TC_EXP_MAX ? TC_EXP_MAX : x;
    return x < -TC_EXP_MAX ? -TC_EXP_MAX : x;
}

static inline float exp_of(float x)
{
    x = clamp(x);
    float whole = x * TC_LOG2E + TC_ROUND;
    int32_t bits;
    memcpy(&bits, &whole, sizeof(bits));
    float n = whole - TC_ROUND;
    float f = x - n * TC_LN2_HI - n * TC_LN2_LO;
    float p = TC_EXP_C6;
    p = p * f + TC_EXP_C5;
    p = p * f + TC_EXP_C4;
    p = p * f + TC_EXP_C3;
    p = p * f + TC_EXP_C2;
    p = p * f * f + f + 1.0f;
    int32_t power = (int32_t)((uint32_t)bits << 23) + 0x3f800000; /* low bits of `whole` are n */
    float scale;
    memcpy(&scale, &power, sizeof(scale));
    return p * scale;
}

static inline float sigmoid_of(float x)
{
    return 1.0f / (1.0f + exp_of(-x));
}

static inline float tanh_of(float x)
{
    float e = exp_of(-2.0f * fabsf(x));
    return copysignf((1.0f - e) / (1.0f + e), x);
}

static void sum_block(const float *w, int32_t width, const float *x, int32_t n, float *acc)
{
    for (int32_t k = 0; k < n; k++, w += width)
        for (int32_t j = 0; j < width; j++)
            acc[j] += w[j] * x[k];
}

static void lstm(const struct tc_weights *w, const struct tc_lstm_row *rows, size_t n)
{
    const int32_t width = 4 * BLOCK, inputs = w->inputs, hidden = w->outputs;
    size_t stride = (size_t)width * (size_t)(inputs + hidden + 1);
    for (size_t r = 0; r < n; r++)
        for (int32_t b = 0; b < w->blocks; b++) {
            const float *from = w->w + stride * (size_t)b;
            float acc[4 * BLOCK];
            memcpy(acc, from, sizeof(acc));
            sum_block(from + width, width, rows[r].x, inputs, acc);
            sum_block(from + (size_t)width * (size_t)(inputs + 1), width, rows[r].h, hidden, acc);
            for (int32_t u = 0; u < BLOCK; u++) {
                float *c = rows[r].c + b * BLOCK + u;
                float in = sigmoid_of(acc[u]) * tanh_of(acc[2 * BLOCK + u]);
                *c = sigmoid_of(acc[BLOCK + u]) * *c + in;
                rows[r].h_out[b * BLOCK + u] = sigmoid_of(acc[3 * BLOCK + u]) * tanh_of(*c);
            }
        }
}

static void dense(const struct tc_weights *w, const struct tc_dense_row *rows, size_t n, bool squash)
{
    size_t stride = (size_t)BLOCK * (size_t)(w->inputs + 1);
    for (size_t r = 0; r < n; r++)
        for (int32_t b = 0; b < w->blocks; b++) {
            const float *from = w->w + stride * (size_t)b;
            float acc[BLOCK];
            memcpy(acc, from, sizeof(acc));
            sum_block(from + BLOCK, BLOCK, rows[r].x, w->inputs, acc);
            for (int32_t u = 0; u < BLOCK; u++)
                rows[r].y[b * BLOCK + u] = squash ? tanh_of(acc[u]) : acc[u];
        }
}

static void sigmoid_all(float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = sigmoid_of(v[i]);
}

static void tanh_all(float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = tanh_of(v[i]);
}

static void gemm_tile(size_t k, const float *a, const float *b, float *out)
{
    float acc[TILE_M * TILE_N] = {0};
    for (size_t i = 0; i < k; i++, a += TILE_M, b += TILE_N)
        for (int m = 0; m < TILE_M; m++)
            for (int j = 0; j < TILE_N; j++)
                acc[m * TILE_N + j] += a[m] * b[j];
    memcpy(out, acc, sizeof(acc));
}

const struct tc_kern tc_kern_c = {
    .name = "c",
    .block = BLOCK,
    .tile_m = TILE_M,
    .tile_n = TILE_N,
    .lstm = lstm,
    .dense = dense,
    .sigmoid = sigmoid_all,
    .tanh = tanh_all,
    .gemm_tile = gemm_tile,
};
