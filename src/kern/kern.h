/* kern.h - the arithmetic of a network: one table of kernels an instruction set, chosen once at run time.
 *
 * The plain C table is the reference and is kept for ever. Files named after an instruction set are compiled
 * with its flags and hold nothing but kernels, so that no such instruction can run before the processor and
 * the operating system are known to have it. TICKCAST_KERNEL=c|avx2|avx512|int16|bf16|neon in the environment
 * forces one.
 *
 * Promise: a row's result is a function of that row alone. Each output is one chain of sums in a fixed order
 * (bias, inputs in order, hidden units in order), whatever the number of rows in the call, so any split of a
 * batch gives the same bits. Between tables results differ by rounding only (bounds: tests/unit/test_kern.c).
 * Inputs must be finite: callers refuse anything else before they come here. No function here allocates, logs
 * or keeps state.
 *
 * Activations: sigmoid(x) = 1/(1+e^-x) within 1.2e-7 and tanh(x) within 2.4e-7 absolute of the true value for
 * every finite x; 2^f on [-1/2, 1/2] is a degree 6 polynomial fitted for this program (relative
 * error 3.0e-9).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TC_KERN_ALIGN = 64, /* of packed weights */
    TC_KERN_PAD = 16,   /* vectors of units are kept in a multiple of this many floats */
    TC_KERN_TILE_MAX = 12 * 32,
};

/* Floats that a vector of n units takes. */
static inline int32_t tc_kern_pad(int32_t n)
{
    return (n + TC_KERN_PAD - 1) / TC_KERN_PAD * TC_KERN_PAD;
}

/* Blocks of `block` outputs; each block is `gates` bias vectors, then for every input `gates` weight vectors.
 * An LSTM layer has 4 gates (PyTorch's order i, f, g, o) and inputs + hidden inputs; a dense layer has one.
 * An LSTM layer's gates come folded: i, f and o times -log2 e, g times 2 log2 e.
 */
struct tc_weights {
    int32_t inputs, outputs, block, blocks;
    bool half;    /* the last block is one of half as many units */
    bool bounded; /* 16 bits: the inputs lie within +-1 and are rounded too */
    float *w;
};

struct tc_lstm_row {
    const float *x; /* inputs */
    const float *h; /* hidden state before; must not overlap h_out */
    float *c;       /* cell state, tc_kern_pad(hidden) floats, updated in place */
    float *h_out;   /* room for tc_kern_pad(hidden) floats; what stands behind the last unit means nothing */
};

/* What a step of training keeps of a row beside c and h: the gates as they were applied, in blocks of i, f,
 * g, o as the sums of `project`, and tanh of the new cell state. */
struct tc_lstm_kept {
    float *gates; /* 4 * tc_kern_pad(hidden) floats, as in tc_lstm_gate_at */
    float *tc;    /* tc_kern_pad(hidden) floats */
};

struct tc_dense_row {
    const float *x;
    float *y; /* tc_kern_pad(outputs) floats */
};

/* How a table wants LSTM weights: floats, or 16-bit integers or brain floats in pairs. */
enum tc_pack { TC_PACK_FLOAT, TC_PACK_INT16, TC_PACK_BF16 };

struct tc_kern {
    const char *name;
    enum tc_pack format;
    double bound;           /* largest error of a layer's h against float64 in the tests */
    int32_t block;          /* outputs of a packed block */
    bool half;              /* has half blocks */
    int32_t tile_m, tile_n; /* of gemm_tile */
    void (*lstm)(const struct tc_weights *w, const struct tc_lstm_row *rows, size_t n);
    /* Only blocks from..to-1 (units from * block on), so that threads can share a step. `pre`: what `project`
     * made of the rows' x, [n][4 * tc_kern_pad(hidden)]; NULL = from x, with the same bits. */
    void (*lstm_part)(const struct tc_weights *w, const struct tc_lstm_row *rows, size_t n, const float *pre,
                      int32_t from, int32_t to);
    /* The inputs' part of an LSTM layer's sums: from row's x to 4 * tc_kern_pad(hidden) floats at its y, in
     * this kernel's own order. Any rows together: those of many steps. */
    void (*project)(const struct tc_weights *w, const struct tc_dense_row *rows, size_t n, int32_t from,
                    int32_t to);
    /* As lstm, and keeps what back-propagation needs. */
    void (*lstm_keep)(const struct tc_weights *w, const struct tc_lstm_row *rows,
                      const struct tc_lstm_kept *kept, size_t n);
    /* Back through one row's step: the gates become the gradients of their sums, from that of h (two parts to
     * be added) and that of the cell state, dc, which becomes the one before the step. c_before NULL = 0. */
    void (*lstm_back)(const struct tc_weights *w, const struct tc_lstm_kept *kept, const float *c_before,
                      const float *dh, const float *dh_too, float *dc);
    void (*dense)(const struct tc_weights *w, const struct tc_dense_row *rows, size_t n, bool squash);
    void (*sigmoid)(float *v, size_t n);
    void (*tanh)(float *v, size_t n);
    /* c[tile_m][tile_n], rows ldc floats apart, = or += sum over k of a[k][tile_m] * b[k][tile_n] (packed
     * panels). Only the first `rows` rows are looked at; those behind may be written or not. */
    void (*gemm_tile)(size_t k, const float *a, const float *b, float *c, size_t ldc, bool add, size_t rows);
    const struct tc_kern
        *exact; /* of a table of 16 bits: the one of floats to train and compare with; NULL = itself */
};

/* Where gate `gate` of unit `u` lies among a layer's sums or gates, and how many of them there are. */
size_t tc_lstm_gate_at(const struct tc_weights *w, int32_t gate, int32_t u);
size_t tc_lstm_gates(const struct tc_weights *w);

/* The table in use: the best one that runs here, or the one TICKCAST_KERNEL names. TC_ECONF when that one is
 * unknown or cannot run here. Any thread. */
int tc_kern_choose(const struct tc_kern **out);

/* The best table of 16 bits that runs here, NULL when there is none. Never chosen unasked. */
const struct tc_kern *tc_kern_reduced(void);

/* By name; NULL when unknown or when this machine cannot run it. */
const struct tc_kern *tc_kern_find(const char *name);

/* Every table compiled in, slowest first (index from 0; NULL past the end), and whether it runs here. */
const struct tc_kern *tc_kern_at(size_t i);
bool tc_kern_runs(const struct tc_kern *k);

/* Packs PyTorch's row-major weights: w_ih [4*hidden][inputs], w_hh [4*hidden][hidden], biases [4*hidden]
 * (summed). `bounded`: the inputs lie within +-1 (another layer's h), which kernels of 16 bits make use of.
 * Owned by the caller: tc_weights_free. */
int tc_lstm_pack(const struct tc_kern *k, int32_t inputs, int32_t hidden, bool bounded, const float *w_ih,
                 const float *w_hh, const float *b_ih, const float *b_hh, struct tc_weights *out);
/* w [outputs][inputs], bias [outputs] or NULL. */
int tc_dense_pack(const struct tc_kern *k, int32_t inputs, int32_t outputs, const float *w, const float *bias,
                  struct tc_weights *out);
/* Other numbers into packed weights of the same shape. */
void tc_lstm_fill(const struct tc_kern *k, const float *w_ih, const float *w_hh, const float *b_ih,
                  const float *b_hh, struct tc_weights *w);
void tc_dense_fill(const float *w, const float *bias, struct tc_weights *out);
void tc_weights_free(struct tc_weights *w);

/* Flush-to-zero for the calling thread (denormals cost over 100 cycles each and mean nothing here); leave
 * gives the caller's mode back. */
unsigned tc_kern_enter(void);
void tc_kern_leave(unsigned mode);
