/* The plain C kernels: the reference for every other table. Loops over the units of a block are left to the
 * compiler. */
#include "kern/tables.h"

#include <string.h>

enum { BLOCK = 8, TILE_M = 4, TILE_N = 8 };

static inline float exp2_of(float t)
{
    t = t > TC_EXP2_MAX ? TC_EXP2_MAX : t;
    t = t < -TC_EXP2_MAX ? -TC_EXP2_MAX : t;
    float whole = t + TC_ROUND, f = t - (whole - TC_ROUND), p = TC_EXP2_C6;
    p = p * f + TC_EXP2_C5;
    p = p * f + TC_EXP2_C4;
    p = p * f + TC_EXP2_C3;
    p = p * f + TC_EXP2_C2;
    p = p * f + TC_EXP2_C1;
    p = p * f + 1.0f;
    uint32_t bits, power; /* the low bits of `whole` are n */
    memcpy(&bits, &whole, sizeof(bits));
    memcpy(&power, &p, sizeof(power));
    power += bits << 23;
    memcpy(&p, &power, sizeof(p));
    return p;
}

static inline float sigmoid_of(float x)
{
    return 1.0f / (1.0f + exp2_of(TC_FOLD_SIGMOID * x));
}

static inline float tanh_of(float x)
{
    float e = exp2_of(TC_FOLD_TANH * x);
    return (e - 1.0f) / (e + 1.0f);
}

static void sum_block(const float *w, int32_t width, const float *x, int32_t n, float *acc)
{
    for (int32_t k = 0; k < n; k++, w += width)
        for (int32_t j = 0; j < width; j++)
            acc[j] += w[j] * x[k];
}

/* One step of a block's cells from the gates' sums, which come folded. */
static void cells(const float *acc, float *c, float *h)
{
    for (int32_t u = 0; u < BLOCK; u++) {
        float ei = exp2_of(acc[u]), ef = exp2_of(acc[BLOCK + u]);
        float eg = exp2_of(acc[2 * BLOCK + u]), eo = exp2_of(acc[3 * BLOCK + u]);
        c[u] = c[u] / (1.0f + ef) + (eg - 1.0f) / ((1.0f + ei) * (1.0f + eg));
        float ec = exp2_of(TC_FOLD_TANH * c[u]);
        h[u] = (ec - 1.0f) / ((1.0f + eo) * (1.0f + ec));
    }
}

static void lstm_part(const struct tc_weights *w, const struct tc_lstm_row *rows, size_t n, const float *pre,
                      int32_t from, int32_t to)
{
    const size_t stride = 4 * (size_t)tc_kern_pad(w->outputs);
    const int32_t width = 4 * BLOCK, inputs = w->inputs, hidden = w->outputs;
    for (size_t r = 0; r < n; r++)
        for (int32_t b = from; b < to; b++) {
            const float *at = w->w + tc_block_at(w, b);
            float acc[4 * BLOCK];
            memcpy(acc, pre ? pre + stride * r + b * width : at, sizeof(acc));
            if (!pre)
                sum_block(at + width, width, rows[r].x, inputs, acc);
            sum_block(at + (size_t)width * (size_t)(inputs + 1), width, rows[r].h, hidden, acc);
            cells(acc, rows[r].c + b * BLOCK, rows[r].h_out + b * BLOCK);
        }
}

static void lstm(const struct tc_weights *w, const struct tc_lstm_row *rows, size_t n)
{
    lstm_part(w, rows, n, NULL, 0, w->blocks);
}

static void keep_cells(const float *acc, float *c, float *h, float *gates, float *tc)
{
    for (int32_t u = 0; u < BLOCK; u++) {
        float eg = exp2_of(acc[2 * BLOCK + u]);
        float i = 1.0f / (1.0f + exp2_of(acc[u])), f = 1.0f / (1.0f + exp2_of(acc[BLOCK + u]));
        float g = (eg - 1.0f) / (eg + 1.0f), o = 1.0f / (1.0f + exp2_of(acc[3 * BLOCK + u]));
        c[u] = f * c[u] + i * g;
        tc[u] = tanh_of(c[u]);
        h[u] = o * tc[u];
        gates[u] = i;
        gates[BLOCK + u] = f;
        gates[2 * BLOCK + u] = g;
        gates[3 * BLOCK + u] = o;
    }
}

static void lstm_keep(const struct tc_weights *w, const struct tc_lstm_row *rows,
                      const struct tc_lstm_kept *kept, size_t n)
{
    const int32_t width = 4 * BLOCK, inputs = w->inputs;
    for (size_t r = 0; r < n; r++)
        for (int32_t b = 0; b < w->blocks; b++) {
            const float *at = w->w + tc_block_at(w, b);
            float acc[4 * BLOCK];
            memcpy(acc, at, sizeof(acc));
            sum_block(at + width, width, rows[r].x, inputs, acc);
            sum_block(at + (size_t)width * (size_t)(inputs + 1), width, rows[r].h, w->outputs, acc);
            keep_cells(acc, rows[r].c + b * BLOCK, rows[r].h_out + b * BLOCK, kept[r].gates + b * width,
                       kept[r].tc + b * BLOCK);
        }
}

static void lstm_back(const struct tc_weights *w, const struct tc_lstm_kept *kept, const float *c_before,
                      const float *dh, const float *dh_too, float *dc)
{
    for (int32_t at = 0; at < w->blocks * BLOCK; at++) {
        float *gate = kept->gates + at / BLOCK * 4 * BLOCK + at % BLOCK;
        float i = gate[0], f = gate[BLOCK], g = gate[2 * BLOCK], o = gate[3 * BLOCK], t = kept->tc[at];
        float d_h = dh[at] + dh_too[at], d = dc[at] + d_h * o * (1.0f - t * t);
        gate[0] = d * g * (i * (1.0f - i));
        gate[BLOCK] = c_before ? d * c_before[at] * (f * (1.0f - f)) : 0.0f;
        gate[2 * BLOCK] = d * i * (1.0f - g * g);
        gate[3 * BLOCK] = d_h * t * (o * (1.0f - o));
        dc[at] = d * f;
    }
}

static void project(const struct tc_weights *w, const struct tc_dense_row *rows, size_t n, int32_t from,
                    int32_t to)
{
    const int32_t width = 4 * BLOCK;
    for (size_t r = 0; r < n; r++)
        for (int32_t b = from; b < to; b++) {
            const float *at = w->w + tc_block_at(w, b);
            memcpy(rows[r].y + b * width, at, (size_t)width * sizeof(float));
            sum_block(at + width, width, rows[r].x, w->inputs, rows[r].y + b * width);
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

static void gemm_tile(size_t k, const float *a, const float *b, float *c, size_t ldc, bool add, size_t rows)
{
    float acc[TILE_M * TILE_N] = {0};
    (void)rows;
    for (size_t i = 0; i < k; i++, a += TILE_M, b += TILE_N)
        for (int m = 0; m < TILE_M; m++)
            for (int j = 0; j < TILE_N; j++)
                acc[m * TILE_N + j] += a[m] * b[j];
    for (int m = 0; m < TILE_M; m++)
        for (int j = 0; j < TILE_N; j++)
            c[(size_t)m * ldc + (size_t)j] =
                acc[m * TILE_N + j] + (add ? c[(size_t)m * ldc + (size_t)j] : 0.0f);
}

const struct tc_kern tc_kern_c = {
    .name = "c",
    .bound = TC_BOUND_EXACT,
    .block = BLOCK,
    .tile_m = TILE_M,
    .tile_n = TILE_N,
    .lstm = lstm,
    .lstm_part = lstm_part,
    .project = project,
    .lstm_keep = lstm_keep,
    .lstm_back = lstm_back,
    .dense = dense,
    .sigmoid = sigmoid_all,
    .tanh = tanh_all,
    .gemm_tile = gemm_tile,
};
