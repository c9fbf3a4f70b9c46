/* Weights in the order in which kernels read them. */
#include "kern/tables.h"

#include "base/err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t tc_lstm_gate_at(const struct tc_weights *w, int32_t gate, int32_t u)
{
    int32_t b = u / w->block, wide = tc_block_half(w, b) ? w->block / 2 : w->block;
    return (size_t)(4 * b * w->block + gate * wide + u % w->block);
}

size_t tc_lstm_gates(const struct tc_weights *w)
{
    return (size_t)(4 * w->block * w->blocks - (w->half ? 2 * w->block : 0));
}

static int weights_open(struct tc_weights *w, size_t floats)
{
    size_t bytes = (floats * sizeof(float) + TC_KERN_ALIGN - 1) / TC_KERN_ALIGN * TC_KERN_ALIGN;
    w->w = aligned_alloc(TC_KERN_ALIGN, bytes);
    if (!w->w)
        return tc_fail(TC_ENOMEM, "no memory for %zu bytes of weights", bytes);
    memset(w->w, 0, bytes);
    return TC_OK;
}

static const float fold[4] = {TC_FOLD_SIGMOID, TC_FOLD_SIGMOID, TC_FOLD_TANH, TC_FOLD_SIGMOID};

/* One output's weights go to every `row`-th float. */
static void put_floats(const float *w, int32_t n, float factor, size_t row, float *to)
{
    for (int32_t i = 0; i < n; i++)
        to[row * (size_t)i] = factor * w[i];
}

/* The largest scale with which every weight is a 16-bit integer and no sum of products with hidden units of
 * at most TC_INT_UNIT can leave 32 bits, whatever their signs and however the weights are rounded. */
static double int_scale(const float *w, int32_t n, double factor)
{
    double largest = 0, sum = 0;
    for (int32_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(factor * (double)w[i]));
        sum += fabs(factor * (double)w[i]);
    }
    double room = floor(2147483647.0 / (double)TC_INT_UNIT) - 0.5 * n - 1;
    return sum > 0 ? fmin(32767 / largest, room / sum) : 1;
}

static uint16_t brain_float(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    bits += 0x7fff + (bits >> 16 & 1);
    return (uint16_t)(bits >> 16);
}

/* One output's weights as pairs, two inputs in a float's place; `scale` takes what a sum is multiplied by. */
static void put_pairs(enum tc_pack format, const float *w, int32_t n, float factor, size_t row, float *to,
                      float *scale)
{
    double unit = format == TC_PACK_INT16 ? int_scale(w, n, (double)factor) : 1;
    for (int32_t i = 0; i < n; i++) {
        double v = (double)factor * (double)w[i];
        uint16_t code = format == TC_PACK_INT16 ? (uint16_t)(int16_t)lrint(v * unit) : brain_float((float)v);
        memcpy((char *)(to + row * (size_t)(i / 2)) + 2 * (i % 2), &code, sizeof(code));
    }
    *scale = format == TC_PACK_INT16 ? (float)(1 / (unit * (double)TC_INT_UNIT)) : 1.0f;
}

static void put_output(enum tc_pack format, const struct tc_weights *w, const float *w_ih, const float *w_hh,
                       float factor, size_t row, float *to)
{
    int32_t inputs = w->inputs, hidden = w->outputs;
    if (format == TC_PACK_FLOAT) {
        put_floats(w_ih, inputs, factor, row, to + row);
        put_floats(w_hh, hidden, factor, row, to + row * (size_t)(inputs + 1));
        return;
    }
    if (w->bounded)
        put_pairs(format, w_ih, inputs, factor, row, to + 3 * row, to + row);
    else
        put_floats(w_ih, inputs, factor, row, to + 3 * row);
    put_pairs(format, w_hh, hidden, factor, row, to + row * tc_pair_hidden_at(w), to + 2 * row);
}

int tc_lstm_pack(const struct tc_kern *k, int32_t inputs, int32_t hidden, bool bounded, const float *w_ih,
                 const float *w_hh, const float *b_ih, const float *b_hh, struct tc_weights *out)
{
    int32_t last = hidden % k->block;
    *out = (struct tc_weights){.inputs = inputs,
                               .outputs = hidden,
                               .block = k->block,
                               .blocks = (hidden + k->block - 1) / k->block,
                               .half = k->half && last && last <= k->block / 2,
                               .bounded = bounded};
    bool pairs = k->format != TC_PACK_FLOAT;
    int rc = weights_open(out, pairs ? tc_pair_block_at(out, out->blocks) : tc_block_at(out, out->blocks));
    if (!rc)
        tc_lstm_fill(k, w_ih, w_hh, b_ih, b_hh, out);
    return rc;
}

void tc_lstm_fill(const struct tc_kern *k, const float *w_ih, const float *w_hh, const float *b_ih,
                  const float *b_hh, struct tc_weights *out)
{
    int32_t inputs = out->inputs, hidden = out->outputs;
    bool pairs = k->format != TC_PACK_FLOAT;
    for (int32_t g = 0; g < 4; g++)
        for (int32_t u = 0; u < hidden; u++) {
            int32_t b = u / k->block, wide = tc_block_half(out, b) ? k->block / 2 : k->block;
            size_t from = (size_t)(g * hidden + u);
            float *to = out->w + (pairs ? tc_pair_block_at(out, b) : tc_block_at(out, b)) +
                        (size_t)(g * wide + u % k->block);
            *to = fold[g] * (b_ih[from] + b_hh[from]);
            put_output(k->format, out, w_ih + from * (size_t)inputs, w_hh + from * (size_t)hidden, fold[g],
                       (size_t)(4 * wide), to);
        }
}

int tc_dense_pack(const struct tc_kern *k, int32_t inputs, int32_t outputs, const float *w, const float *bias,
                  struct tc_weights *out)
{
    *out = (struct tc_weights){.inputs = inputs,
                               .outputs = outputs,
                               .block = k->block,
                               .blocks = (outputs + k->block - 1) / k->block};
    size_t stride = (size_t)k->block * (size_t)(inputs + 1);
    int rc = weights_open(out, stride * (size_t)out->blocks);
    if (!rc)
        tc_dense_fill(w, bias, out);
    return rc;
}

void tc_dense_fill(const float *w, const float *bias, struct tc_weights *out)
{
    int32_t inputs = out->inputs;
    size_t row = (size_t)out->block, stride = row * (size_t)(inputs + 1);
    for (int32_t u = 0; u < out->outputs; u++) {
        float *to = out->w + stride * (size_t)(u / out->block) + (size_t)(u % out->block);
        *to = bias ? bias[u] : 0;
        put_floats(w + (size_t)u * (size_t)inputs, inputs, 1.0f, row, to + row);
    }
}

void tc_weights_free(struct tc_weights *w)
{
    free(w->w);
    *w = (struct tc_weights){0};
}
