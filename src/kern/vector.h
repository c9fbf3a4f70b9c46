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
    T(lstm_tile)(w, w->w + tc_block_at(w, b), (size_t)b * V, row, pre, NULL, 1, 2);
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

static void lstm_keep(const struct tc_weights *w, const struct tc_lstm_row *rows,
                      const struct tc_lstm_kept *kept, size_t n)
{
    for (int32_t b = 0; b < w->blocks; b++)
        for (size_t r = 0, some; r < n; r += some) {
            const float *from = w->w + tc_block_at(w, b);
            some = tile_rows(n - r);
#ifdef HALF
            if (tc_block_half(w, b)) {
                TH(lstm_keep_rows)(w, from, (size_t)b * V, rows + r, kept + r, some);
                continue;
            }
#endif
            T(lstm_keep_rows)(w, from, (size_t)b * V, rows + r, kept + r, some);
        }
}

static void lstm_back(const struct tc_weights *w, const struct tc_lstm_kept *kept, const float *c_before,
                      const float *dh, const float *dh_too, float *dc)
{
    for (int32_t b = 0; b < w->blocks; b++) {
        size_t u = (size_t)b * V;
        const float *before = c_before ? c_before + u : NULL;
#ifdef HALF
        if (tc_block_half(w, b)) {
            TH(cell_back)(kept->gates + 4 * u, before, kept->tc + u, TH(sum)(dh + u, dh_too + u), dc + u);
            continue;
        }
#endif
        T(cell_back)(kept->gates + 4 * u, before, kept->tc + u, T(sum)(dh + u, dh_too + u), dc + u);
    }
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

enum { DENSE_ROWS = ROWS, DENSE_BLOCKS = 4, DENSE_AHEAD = 256 /* floats of each block's weights */ };

ALWAYS void dense_tile(const struct tc_weights *w, const struct tc_dense_row *row, int32_t block, bool squash,
                       const int rows, const int blocks)
{
    const size_t stride = V * (size_t)(w->inputs + 1);
    const float *from = w->w + stride * (size_t)block;
    vf acc[DENSE_ROWS][DENSE_BLOCKS];
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < blocks; b++)
            acc[r][b] = v_load(from + stride * (size_t)b);
    for (size_t k = 0; k < (size_t)w->inputs; k++)
        for (int b = 0; b < blocks; b++) {
            const float *at = from + stride * (size_t)b + (k + 1) * V;
            vf weight = v_load(at);
            __builtin_prefetch(at + DENSE_AHEAD);
            for (int r = 0; r < rows; r++)
                acc[r][b] = v_fma(v_set(row[r].x[k]), weight, acc[r][b]);
        }
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < blocks; b++)
            v_store(row[r].y + (size_t)(block + b) * V, squash ? tanh_of(acc[r][b]) : acc[r][b]);
}

ALWAYS void dense_rows(const struct tc_weights *w, const struct tc_dense_row *row, int32_t block, bool squash,
                       size_t rows, const int blocks)
{
    switch (rows) {
#if TILE_ROWS > 3
    case 6:
        dense_tile(w, row, block, squash, 6, blocks);
        break;
    case 5:
        dense_tile(w, row, block, squash, 5, blocks);
        break;
    case 4:
        dense_tile(w, row, block, squash, 4, blocks);
        break;
#endif
    case 3:
        dense_tile(w, row, block, squash, 3, blocks);
        break;
    case 2:
        dense_tile(w, row, block, squash, 2, blocks);
        break;
    default:
        dense_tile(w, row, block, squash, 1, blocks);
    }
}

static void dense(const struct tc_weights *w, const struct tc_dense_row *rows, size_t n, bool squash)
{
    for (int32_t b = 0, some; b < w->blocks; b += some) {
        int32_t tiles = (w->blocks - b + DENSE_BLOCKS - 1) / DENSE_BLOCKS;
        some = (w->blocks - b + tiles - 1) / tiles;
        for (size_t r = 0, count; r < n; r += count) {
            count = tile_rows(n - r);
            if (some == 4)
                dense_rows(w, rows + r, b, squash, count, 4);
            else if (some == 3)
                dense_rows(w, rows + r, b, squash, count, 3);
            else if (some == 2)
                dense_rows(w, rows + r, b, squash, count, 2);
            else
                dense_rows(w, rows + r, b, squash, count, 1);
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

ALWAYS void gemm_rows(size_t k, const float *a, const float *b, float *c, size_t ldc, bool add,
                      const int rows)
{
    vf acc[TILE_M][2];
    for (int m = 0; m < rows; m++)
        acc[m][0] = acc[m][1] = v_set(0.0f);
    for (size_t i = 0; i < k; i++, a += TILE_M, b += 2 * V) {
        vf left = v_load(b), right = v_load(b + V);
        for (int m = 0; m < rows; m++) {
            vf s = v_set(a[m]);
            acc[m][0] = v_fma(s, left, acc[m][0]);
            acc[m][1] = v_fma(s, right, acc[m][1]);
        }
    }
    for (int m = 0; m < rows; m++, c += ldc) {
        v_store(c, add ? v_add(v_load(c), acc[m][0]) : acc[m][0]);
        v_store(c + V, add ? v_add(v_load(c + V), acc[m][1]) : acc[m][1]);
    }
}

/* Rows in thirds of a tile: an edge costs no more than it must. */
static void gemm_tile(size_t k, const float *a, const float *b, float *c, size_t ldc, bool add, size_t rows)
{
    if (rows <= TILE_M / 3)
        gemm_rows(k, a, b, c, ldc, add, TILE_M / 3);
    else if (rows <= 2 * TILE_M / 3)
        gemm_rows(k, a, b, c, ldc, add, 2 * TILE_M / 3);
    else
        gemm_rows(k, a, b, c, ldc, add, TILE_M);
}
