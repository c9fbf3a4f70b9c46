/* vector.h - the vector kernels, written once over a handful of operations that each instruction set's file
 * defines before it includes this: type `vf` of V floats, v_load, v_store, v_set, v_add, v_sub, v_mul, v_div,
 * v_fma(a, b, c) = a*b + c, v_min, v_max, v_pow2(whole) = 2^n from n + TC_ROUND, v_abs, v_sign(magnitude,
 * sign), and ROWS, the number of rows whose four gate sums fit the registers together.
 *
 * Every output is summed as bias, then inputs and hidden units in order, each by one fused multiply-add: the
 * tile's shape never shows in the result.
 */
#include "kern/tables.h"

#define ALWAYS static inline __attribute__((always_inline))

ALWAYS vf exp_of(vf x)
{
    x = v_max(v_min(x, v_set(TC_EXP_MAX)), v_set(-TC_EXP_MAX));
    vf whole = v_fma(x, v_set(TC_LOG2E), v_set(TC_ROUND));
    vf n = v_sub(whole, v_set(TC_ROUND));
    vf f = v_fma(n, v_set(-TC_LN2_LO), v_fma(n, v_set(-TC_LN2_HI), x));
    vf p = v_fma(v_set(TC_EXP_C6), f, v_set(TC_EXP_C5));
    p = v_fma(p, f, v_set(TC_EXP_C4));
    p = v_fma(p, f, v_set(TC_EXP_C3));
    p = v_fma(p, f, v_set(TC_EXP_C2));
    p = v_add(v_fma(v_mul(p, f), f, f), v_set(1.0f));
    return v_mul(p, v_pow2(whole));
}

ALWAYS vf sigmoid_of(vf x)
{
    return v_div(v_set(1.0f), v_add(v_set(1.0f), exp_of(v_sub(v_set(0.0f), x))));
}

ALWAYS vf tanh_of(vf x)
{
    vf e = exp_of(v_mul(v_set(-2.0f), v_abs(x)));
    return v_sign(v_div(v_sub(v_set(1.0f), e), v_add(v_set(1.0f), e)), x);
}

/* One block of units for `rows` rows and `blocks` neighbouring blocks; both are constants at each call. */
ALWAYS void lstm_tile(const struct tc_weights *w, const struct tc_lstm_row *row, int32_t block,
                      const int rows, const int blocks)
{
    const size_t width = 4 * V, stride = width * (size_t)(w->inputs + w->outputs + 1);
    const float *from = w->w + stride * (size_t)block;
    vf acc[ROWS][2][4];
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < blocks; b++)
            for (int g = 0; g < 4; g++)
                acc[r][b][g] = v_load(from + stride * (size_t)b + (size_t)g * V);
    for (int part = 0; part < 2; part++) {
        const size_t n = (size_t)(part ? w->outputs : w->inputs);
        const float *in[ROWS];
        for (int r = 0; r < rows; r++)
            in[r] = part ? row[r].h : row[r].x;
        from += width * (size_t)(part ? w->inputs : 1);
        for (size_t k = 0; k < n; k++)
            for (int b = 0; b < blocks; b++)
                for (int g = 0; g < 4; g++) {
                    vf weight = v_load(from + stride * (size_t)b + k * width + (size_t)g * V);
                    for (int r = 0; r < rows; r++)
                        acc[r][b][g] = v_fma(v_set(in[r][k]), weight, acc[r][b][g]);
                }
    }
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < blocks; b++) {
            float *c = row[r].c + (size_t)(block + b) * V;
            vf in = v_mul(sigmoid_of(acc[r][b][0]), tanh_of(acc[r][b][2]));
            vf cell = v_fma(sigmoid_of(acc[r][b][1]), v_load(c), in);
            v_store(c, cell);
            v_store(row[r].h_out + (size_t)(block + b) * V, v_mul(sigmoid_of(acc[r][b][3]), tanh_of(cell)));
        }
}

static void lstm(const struct tc_weights *w, const struct tc_lstm_row *rows, size_t n)
{
    size_t r = 0;
    for (; r + ROWS <= n; r += ROWS)
        for (int32_t b = 0; b < w->blocks; b++)
            lstm_tile(w, rows + r, b, ROWS, 1);
    for (; r + 2 <= n; r += 2)
        for (int32_t b = 0; b < w->blocks; b++)
            lstm_tile(w, rows + r, b, 2, 1);
    if (r < n) { /* one row alone: two blocks at once keep both multipliers busy */
        int32_t b = 0;
        for (; b + 2 <= w->blocks; b += 2)
            lstm_tile(w, rows + r, b, 1, 2);
        if (b < w->blocks)
            lstm_tile(w, rows + r, b, 1, 1);
    }
}

ALWAYS void dense_tile(const struct tc_weights *w, const struct tc_dense_row *row, int32_t block,
                       const int rows, const int blocks, bool squash)
{
    const size_t stride = V * (size_t)(w->inputs + 1);
    const float *from = w->w + stride * (size_t)block;
    vf acc[4][4];
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < blocks; b++)
            acc[r][b] = v_load(from + stride * (size_t)b);
    for (size_t k = 0; k < (size_t)w->inputs; k++)
        for (int b = 0; b < blocks; b++) {
            vf weight = v_load(from + stride * (size_t)b + (k + 1) * V);
            for (int r = 0; r < rows; r++)
                acc[r][b] = v_fma(v_set(row[r].x[k]), weight, acc[r][b]);
        }
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < blocks; b++)
            v_store(row[r].y + (size_t)(block + b) * V, squash ? tanh_of(acc[r][b]) : acc[r][b]);
}

static void dense(const struct tc_weights *w, const struct tc_dense_row *rows, size_t n, bool squash)
{
    for (int32_t b = 0; b < w->blocks;) {
        size_t r = 0;
        if (b + 2 <= w->blocks) {
            for (; r + 4 <= n; r += 4)
                dense_tile(w, rows + r, b, 4, 2, squash);
            for (; r < n; r++)
                dense_tile(w, rows + r, b, 1, 2, squash);
            b += 2;
        } else {
            for (; r + 4 <= n; r += 4)
                dense_tile(w, rows + r, b, 4, 1, squash);
            for (; r < n; r++)
                dense_tile(w, rows + r, b, 1, 1, squash);
            b += 1;
        }
    }
}

/* A tail shorter than a vector goes through a padded copy, so that a value's result does not depend on its
 * place. */
#define MAP_ALL(NAME, ONE)                      \
    static void NAME(float *v, size_t n)        \
    {                                           \
        size_t i = 0;                           \
        for (; i + V <= n; i += V)              \
            v_store(v + i, ONE(v_load(v + i))); \
        if (i < n) {                            \
            float tail[V] = {0};                \
            for (size_t j = i; j < n; j++)      \
                tail[j - i] = v[j];             \
            v_store(tail, ONE(v_load(tail)));   \
            for (size_t j = i; j < n; j++)      \
                v[j] = tail[j - i];             \
        }                                       \
    }
MAP_ALL(sigmoid_all, sigmoid_of)
MAP_ALL(tanh_all, tanh_of)

static void gemm_tile(size_t k, const float *a, const float *b, float *out)
{
    vf acc[TILE_M][2];
    for (int m = 0; m < TILE_M; m++)
        acc[m][0] = acc[m][1] = v_set(0.0f);
    for (size_t i = 0; i < k; i++, a += TILE_M, b += 2 * V) {
        vf left = v_load(b), right = v_load(b + V);
        for (int m = 0; m < TILE_M; m++) {
            vf s = v_set(a[m]);
            acc[m][0] = v_fma(s, left, acc[m][0]);
            acc[m][1] = v_fma(s, right, acc[m][1]);
        }
    }
    for (int m = 0; m < TILE_M; m++) {
        v_store(out + (size_t)m * 2 * V, acc[m][0]);
        v_store(out + (size_t)m * 2 * V + V, acc[m][1]);
    }
}
