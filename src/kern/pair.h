/* pair.h - the tile of an LSTM layer with 16-bit weights and hidden units, two of them in a 32-bit lane:
 * after cell.h and with its operations, for a type `vp` of VW lanes: v_zero(), v_dot(acc, a, w) adds both
 * products of each lane, v_both(p) puts one pair into every lane, v_pairs(p) loads VW pairs, v_float(acc)
 * gives the sums as floats.
 *
 * A block is [4 VW] biases, scales of the inputs' and of the hidden part, then the inputs' part (floats where
 * the inputs are features without a bound, else pairs) and the hidden part. Integer sums are exact, so only
 * the two parts' order matters: inputs first.
 */
#define ALWAYS static inline __attribute__((always_inline))
#define PREFETCH 512

ALWAYS void T(pair_tile)(vf (*sum)[4], const float *from, const float *scale, const uint16_t *const *in,
                         size_t pairs, const int rows)
{
    vp acc[ROWS][4];
    for (int r = 0; r < rows; r++)
        for (int g = 0; g < 4; g++)
            acc[r][g] = v_zero();
    for (size_t k = 0; k < pairs; k++, from += 4 * VW)
        for (int g = 0; g < 4; g++) {
            __builtin_prefetch(from + (size_t)g * VW + PREFETCH);
            vp weight = v_pairs(from + (size_t)g * VW);
            for (int r = 0; r < rows; r++)
                acc[r][g] = v_dot(acc[r][g], v_both(in[r] + 2 * k), weight);
        }
    for (int r = 0; r < rows; r++)
        for (int g = 0; g < 4; g++)
            sum[r][g] = v_fma(v_float(acc[r][g]), v_load(scale + (size_t)g * VW), sum[r][g]);
}

/* Bias and the inputs' part: of float inputs, or of pairs. */
ALWAYS void T(pair_inputs)(vf (*sum)[4], const struct tc_weights *w, const float *from,
                           const struct tc_pair_row *row, const int rows)
{
    const size_t width = 4 * VW;
    for (int r = 0; r < rows; r++)
        for (int g = 0; g < 4; g++)
            sum[r][g] = v_load(from + (size_t)g * VW);
    if (w->bounded) {
        const uint16_t *in[ROWS];
        for (int r = 0; r < rows; r++)
            in[r] = row[r].x_pairs;
        T(pair_tile)(sum, from + 3 * width, from + width, in, tc_pairs(w->inputs), rows);
        return;
    }
    from += 3 * width;
    for (size_t k = 0; k < (size_t)w->inputs; k++, from += width)
        for (int g = 0; g < 4; g++) {
            vf weight = v_load(from + (size_t)g * VW);
            for (int r = 0; r < rows; r++)
                sum[r][g] = v_fma(v_set(row[r].x[k]), weight, sum[r][g]);
        }
}

ALWAYS void T(pair_lstm)(const struct tc_weights *w, const float *from, size_t unit,
                         const struct tc_pair_row *row, const int rows)
{
    const size_t width = 4 * VW;
    const uint16_t *in[ROWS];
    vf sum[ROWS][4];
    if (row[0].pre)
        for (int r = 0; r < rows; r++)
            for (int g = 0; g < 4; g++)
                sum[r][g] = v_load(row[r].pre + 4 * unit + (size_t)g * VW);
    else
        T(pair_inputs)(sum, w, from, row, rows);
    for (int r = 0; r < rows; r++)
        in[r] = row[r].h_pairs;
    T(pair_tile)(sum, from + width * tc_pair_hidden_at(w), from + 2 * width, in, tc_pairs(w->outputs), rows);
    for (int r = 0; r < rows; r++)
        T(cell)(sum[r][0], sum[r][1], sum[r][2], sum[r][3], row[r].c + unit, row[r].h_out + unit);
}

ALWAYS void T(pair_project)(const struct tc_weights *w, const float *from, size_t unit,
                            const struct tc_pair_row *row, const int rows)
{
    vf sum[ROWS][4];
    T(pair_inputs)(sum, w, from, row, rows);
    for (int r = 0; r < rows; r++)
        for (int g = 0; g < 4; g++)
            v_store(row[r].h_out + 4 * unit + (size_t)g * VW, sum[r][g]);
}

/* Some rows, at most ROWS, of one block. */
static void T(pair_rows)(const struct tc_weights *w, const float *from, size_t unit,
                         const struct tc_pair_row *row, size_t rows)
{
    switch (rows) {
    case 6:
        T(pair_lstm)(w, from, unit, row, 6);
        break;
    case 5:
        T(pair_lstm)(w, from, unit, row, 5);
        break;
    case 4:
        T(pair_lstm)(w, from, unit, row, 4);
        break;
    case 3:
        T(pair_lstm)(w, from, unit, row, 3);
        break;
    case 2:
        T(pair_lstm)(w, from, unit, row, 2);
        break;
    default:
        T(pair_lstm)(w, from, unit, row, 1);
    }
}

static void T(pair_project_rows)(const struct tc_weights *w, const float *from, size_t unit,
                                 const struct tc_pair_row *row, size_t rows)
{
    switch (rows) {
    case 6:
        T(pair_project)(w, from, unit, row, 6);
        break;
    case 5:
        T(pair_project)(w, from, unit, row, 5);
        break;
    case 4:
        T(pair_project)(w, from, unit, row, 4);
        break;
    case 3:
        T(pair_project)(w, from, unit, row, 3);
        break;
    case 2:
        T(pair_project)(w, from, unit, row, 2);
        break;
    default:
        T(pair_project)(w, from, unit, row, 1);
    }
}
#undef ALWAYS
#undef PREFETCH
