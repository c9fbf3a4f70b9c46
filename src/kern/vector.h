/* vector.h - the kernels of a vector instruction set over its tiles (cell.h) and operations. A file that has
 * tiles of half width too says HALF and TH(name); the last block of a layer is then one of those when half a
 * block of units is left or less.
 */
enum { ROWS_TOGETHER = 48 }; /* rows that a block's weights are used for while they are near */

/* Sizes of tiles differ by one row at most: one row alone would wait for its weights. */
static size_t tile_rows(size_t left)
{
    size_t tiles = (left + ROWS - 1) / ROWS;
    return tiles ? (left + tiles - 1) / tiles : 0;
}

static const float *sums_at(const float *pre, size_t at)
{
    return pre ? pre + at : NULL;
}

static void lstm_block(const struct tc_weights *w, const struct tc_lstm_row *rows, size_t n, const float *pre,
                       int32_t b)
{
    const float *from = w->w + tc_block_at(w, b);
    const size_t stride = pre ? 4 * (size_t)tc_kern_pad(w->outputs) : 0;
    size_t unit = (size_t)b * V;
    for (size_t r = 0, some; r < n; r += some) {
        some = tile_rows(n - r);
#ifdef HALF
        if (tc_block_half(w, b)) {
            TH(lstm_rows)(w, from, unit, rows + r, sums_at(pre, stride * r), some);
            continue;
        }
#endif
        T(lstm_rows)(w, from, unit, rows + r, sums_at(pre, stride * r), some);
    }
}

static void lstm_pair(const struct tc_weights *w, const struct tc_lstm_row *row, const float *pre, int32_t b)
{
    T(lstm_tile)(w, w->w + tc_block_at(w, b), (size_t)b * V, row, pre, 1, 2);
}

static void lstm_part(const struct tc_weights *w, const struct tc_lstm_row *rows, size_t n, const float *pre,
                      int32_t from, int32_t to)
{
    const size_t stride = pre ? 4 * (size_t)tc_kern_pad(w->outputs) : 0;
    if (n == 1) { /* one row alone: two blocks at once keep the multipliers busy */
        int32_t b = from;
        for (; b + 2 <= to && !tc_block_half(w, b + 1); b += 2)
            lstm_pair(w, rows, pre, b);
        for (; b < to; b++)
            lstm_block(w, rows, 1, pre, b);
        return;
    }
    for (size_t r = 0; r < n; r += ROWS_TOGETHER)
        for (int32_t b = from; b < to; b++)
            lstm_block(w, rows + r, n - r < ROWS_TOGETHER ? n - r : ROWS_TOGETHER, sums_at(pre, stride * r),
                       b);
}

static void lstm(const struct tc_weights *w, const struct tc_lstm_row *rows, size_t n)
{
    lstm_part(w, rows, n, NULL, 0, w->blocks);
}

static void project(const struct tc_weights *w, const struct tc_dense_row *rows, size_t n, int32_t from,
                    int32_t to)
{
    for (int32_t b = from; b < to; b++)
        for (size_t r = 0, some; r < n; r += some) {
            const float *weights = w->w + tc_block_at(w, b);
            some = tile_rows(n - r);
#ifdef HALF
            if (tc_block_half(w, b)) {
                TH(project_rows)(w, weights, (size_t)b * V, rows + r, some);
                continue;
            }
#endif
            T(project_rows)(w, weights, (size_t)b * V, rows + r, some);
        }
}

#define ALWAYS static inline __attribute__((always_inline))

ALWAYS vf sigmoid_of(vf x)
{
    return v_div(v_set(1.0f), v_add(v_set(1.0f), T(exp2_of)(v_mul(x, v_set(TC_FOLD_SIGMOID)))));
}

ALWAYS vf tanh_of(vf x)
{
    vf e = T(exp2_of)(v_mul(x, v_set(TC_FOLD_TANH)));
    return v_div(v_sub(e, v_set(1.0f)), v_add(e, v_set(1.0f)));
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
