/* cell.h - the tile of an LSTM layer and its activation, written once over a handful of operations that each
 * instruction set's file defines before it includes this: type `vf` of VW floats, v_load, v_store, v_set,
 * v_add, v_sub, v_mul, v_div, v_fma(a, b, c) = a*b + c, v_min, v_max, v_scale(p, whole) = p * 2^n from
 * n + TC_ROUND, T(name), which tells the widths apart where a file includes this twice, and ROWS, the number
 * of rows whose four gate sums fit the registers together. With CELL_ONLY: the activation alone.
 *
 * Every output is summed as bias, then inputs and hidden units in order, each by one fused multiply-add: the
 * tile's shape never shows in the result, nor does a stop between inputs and hidden units.
 */
#define ALWAYS static inline __attribute__((always_inline))
#define PREFETCH 512

/* 2^t for |t| <= TC_EXP2_MAX, the nearest such for any other t. */
ALWAYS vf T(exp2_of)(vf t)
{
    t = v_max(v_min(t, v_set(TC_EXP2_MAX)), v_set(-TC_EXP2_MAX));
    vf whole = v_add(t, v_set(TC_ROUND));
    vf f = v_sub(t, v_sub(whole, v_set(TC_ROUND)));
    vf p = v_fma(v_set(TC_EXP2_C6), f, v_set(TC_EXP2_C5));
    p = v_fma(p, f, v_set(TC_EXP2_C4));
    p = v_fma(p, f, v_set(TC_EXP2_C3));
    p = v_fma(p, f, v_set(TC_EXP2_C2));
    p = v_fma(p, f, v_set(TC_EXP2_C1));
    p = v_fma(p, f, v_set(1.0f));
    return v_scale(p, whole);
}

/* One step of VW cells from the four gates' sums, which come folded (kern.h): c' = f c + i g, h = o tanh c',
 * with i = 1/(1+ei), g = (eg-1)/(eg+1) and so on, products of fractions as one fraction. */
ALWAYS void T(cell)(vf i, vf f, vf g, vf o, float *c, float *h)
{
    const vf one = v_set(1.0f);
    vf ei = T(exp2_of)(i), ef = T(exp2_of)(f), eg = T(exp2_of)(g), eo = T(exp2_of)(o);
    vf in = v_div(v_sub(eg, one), v_mul(v_add(one, ei), v_add(one, eg)));
    vf cell = v_add(v_div(v_load(c), v_add(one, ef)), in);
    vf ec = T(exp2_of)(v_mul(cell, v_set(TC_FOLD_TANH)));
    v_store(c, cell);
    v_store(h, v_div(v_sub(ec, one), v_mul(v_add(one, eo), v_add(one, ec))));
}

#ifndef CELL_ONLY
/* The same step with the gates themselves, which training keeps. */
ALWAYS void T(cell_keep)(vf i, vf f, vf g, vf o, float *c, float *h, float *gates, float *tc)
{
    const vf one = v_set(1.0f);
    vf eg = T(exp2_of)(g);
    i = v_div(one, v_add(one, T(exp2_of)(i)));
    f = v_div(one, v_add(one, T(exp2_of)(f)));
    g = v_div(v_sub(eg, one), v_add(eg, one));
    o = v_div(one, v_add(one, T(exp2_of)(o)));
    vf cell = v_fma(f, v_load(c), v_mul(i, g));
    vf ec = T(exp2_of)(v_mul(cell, v_set(TC_FOLD_TANH)));
    vf squashed = v_div(v_sub(ec, one), v_add(ec, one));
    v_store(gates, i);
    v_store(gates + VW, f);
    v_store(gates + 2 * VW, g);
    v_store(gates + 3 * VW, o);
    v_store(c, cell);
    v_store(tc, squashed);
    v_store(h, v_mul(o, squashed));
}

ALWAYS vf T(sum)(const float *a, const float *b)
{
    return v_add(v_load(a), v_load(b));
}

/* Back through VW cells: the gates become the gradients of their sums. */
ALWAYS void T(cell_back)(float *gates, const float *c_before, const float *tc, vf dh, float *dc)
{
    const vf one = v_set(1.0f);
    vf i = v_load(gates), f = v_load(gates + VW), g = v_load(gates + 2 * VW), o = v_load(gates + 3 * VW);
    vf t = v_load(tc), before = c_before ? v_load(c_before) : v_set(0.0f);
    vf d = v_fma(v_mul(dh, o), v_sub(one, v_mul(t, t)), v_load(dc));
    v_store(gates, v_mul(v_mul(d, g), v_mul(i, v_sub(one, i))));
    v_store(gates + VW, v_mul(v_mul(d, before), v_mul(f, v_sub(one, f))));
    v_store(gates + 2 * VW, v_mul(v_mul(d, i), v_sub(one, v_mul(g, g))));
    v_store(gates + 3 * VW, v_mul(v_mul(dh, t), v_mul(o, v_sub(one, o))));
    v_store(dc, v_mul(d, f));
}

/* acc[row][block][gate] += sum over n inputs, for `blocks` neighbouring blocks `stride` floats apart. Weights
 * that come from the second cache are asked for `ahead` floats early: the processor's own prefetcher stops at
 * the end of every page. */
ALWAYS void T(sum_tile)(vf (*acc)[2][4], const float *from, size_t stride, const float *const *in, size_t n,
                        size_t ahead, const int rows, const int blocks)
{
    for (size_t k = 0; k < n; k++, from += 4 * VW)
        for (int b = 0; b < blocks; b++)
            for (int g = 0; g < 4; g++) {
                __builtin_prefetch(from + stride * (size_t)b + (size_t)g * VW + ahead);
                vf weight = v_load(from + stride * (size_t)b + (size_t)g * VW);
                for (int r = 0; r < rows; r++)
                    acc[r][b][g] = v_fma(v_set(in[r][k]), weight, acc[r][b][g]);
            }
}

ALWAYS void T(load_sums)(vf (*acc)[2][4], const float *const *from, size_t stride, const int rows,
                         const int blocks)
{
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < blocks; b++)
            for (int g = 0; g < 4; g++)
                acc[r][b][g] = v_load(from[r] + stride * (size_t)b + (size_t)g * VW);
}

/* `rows` rows of `blocks` blocks from unit `unit` on, whose weights begin at `from`; rows and blocks are
 * constants at each call. */
ALWAYS void T(lstm_tile)(const struct tc_weights *w, const float *from, size_t unit,
                         const struct tc_lstm_row *row, const float *pre, const struct tc_lstm_kept *kept,
                         const int rows, const int blocks)
{
    const size_t width = 4 * VW, stride = width * (size_t)(w->inputs + w->outputs + 1);
    const size_t ahead = rows > 1 || pre ? PREFETCH : 0; /* one row's whole layer is larger than that cache */
    const float *in[ROWS];
    vf acc[ROWS][2][4];
    for (int r = 0; r < rows; r++)
        in[r] = pre ? pre + (size_t)r * 4 * (size_t)tc_kern_pad(w->outputs) + 4 * unit : from;
    T(load_sums)(acc, in, pre ? width : stride, rows, blocks);
    from += width;
    if (!pre) {
        for (int r = 0; r < rows; r++)
            in[r] = row[r].x;
        T(sum_tile)(acc, from, stride, in, (size_t)w->inputs, ahead, rows, blocks);
    }
    from += width * (size_t)w->inputs;
    for (int r = 0; r < rows; r++)
        in[r] = row[r].h;
    T(sum_tile)(acc, from, stride, in, (size_t)w->outputs, ahead, rows, blocks);
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < blocks; b++) {
            size_t u = unit + (size_t)b * VW;
            if (kept)
                T(cell_keep)
            (acc[r][b][0], acc[r][b][1], acc[r][b][2], acc[r][b][3], row[r].c + u, row[r].h_out + u,
             kept[r].gates + 4 * u, kept[r].tc + u);
            else T(cell)(acc[r][b][0], acc[r][b][1], acc[r][b][2], acc[r][b][3], row[r].c + u,
                         row[r].h_out + u);
        }
}

/* The part of the sums that the inputs give, bias included, of one block. */
ALWAYS void T(project_tile)(const struct tc_weights *w, const float *from, size_t unit,
                            const struct tc_dense_row *row, const int rows)
{
    const float *in[ROWS];
    vf acc[ROWS][2][4];
    for (int r = 0; r < rows; r++)
        in[r] = from;
    T(load_sums)(acc, in, 0, rows, 1);
    for (int r = 0; r < rows; r++)
        in[r] = row[r].x;
    T(sum_tile)(acc, from + 4 * VW, 0, in, (size_t)w->inputs, PREFETCH, rows, 1);
    for (int r = 0; r < rows; r++)
        for (int g = 0; g < 4; g++)
            v_store(row[r].y + 4 * unit + (size_t)g * VW, acc[r][0][g]);
}

/* Some rows, at most ROWS, of one block. */
static void T(lstm_rows)(const struct tc_weights *w, const float *from, size_t unit,
                         const struct tc_lstm_row *row, const float *pre, size_t rows)
{
    switch (rows) {
#if TILE_ROWS > 3
    case 6:
        T(lstm_tile)(w, from, unit, row, pre, NULL, 6, 1);
        break;
    case 5:
        T(lstm_tile)(w, from, unit, row, pre, NULL, 5, 1);
        break;
    case 4:
        T(lstm_tile)(w, from, unit, row, pre, NULL, 4, 1);
        break;
#endif
    case 3:
        T(lstm_tile)(w, from, unit, row, pre, NULL, 3, 1);
        break;
    case 2:
        T(lstm_tile)(w, from, unit, row, pre, NULL, 2, 1);
        break;
    default:
        T(lstm_tile)(w, from, unit, row, pre, NULL, 1, 1);
    }
}

static void T(lstm_keep_rows)(const struct tc_weights *w, const float *from, size_t unit,
                              const struct tc_lstm_row *row, const struct tc_lstm_kept *kept, size_t rows)
{
    switch (rows) {
#if TILE_ROWS > 3
    case 6:
        T(lstm_tile)(w, from, unit, row, NULL, kept, 6, 1);
        break;
    case 5:
        T(lstm_tile)(w, from, unit, row, NULL, kept, 5, 1);
        break;
    case 4:
        T(lstm_tile)(w, from, unit, row, NULL, kept, 4, 1);
        break;
#endif
    case 3:
        T(lstm_tile)(w, from, unit, row, NULL, kept, 3, 1);
        break;
    case 2:
        T(lstm_tile)(w, from, unit, row, NULL, kept, 2, 1);
        break;
    default:
        T(lstm_tile)(w, from, unit, row, NULL, kept, 1, 1);
    }
}

static void T(project_rows)(const struct tc_weights *w, const float *from, size_t unit,
                            const struct tc_dense_row *row, size_t rows)
{
    switch (rows) {
#if TILE_ROWS > 3
    case 6:
        T(project_tile)(w, from, unit, row, 6);
        break;
    case 5:
        T(project_tile)(w, from, unit, row, 5);
        break;
    case 4:
        T(project_tile)(w, from, unit, row, 4);
        break;
#endif
    case 3:
        T(project_tile)(w, from, unit, row, 3);
        break;
    case 2:
        T(project_tile)(w, from, unit, row, 2);
        break;
    default:
        T(project_tile)(w, from, unit, row, 1);
    }
}
#endif
#undef ALWAYS
#undef PREFETCH
