/* model_priv.h - inside of a running model, shared by model.c (opening, stateful steps, evaluation) and
 * window.c (windows, in flight and afresh). */
#pragma once

#include "kern/stack.h"
#include "model/file.h"

enum {
    CHUNK = 48,  /* rows of a call worked on together: a multiple of every kernel's tile */
    PIECE = 256, /* window steps of one piece of deferred work */
};

/* Start of a symbol's state. Window: ring of scaled rows behind it (floats, padded; of block models doubles,
 * not padded). Stateful: h and c of each layer behind it. */
struct head {
    uint64_t rows; /* seen since reset */
    uint64_t at;   /* next place in the ring */
    uint64_t unused[6];
};
_Static_assert(sizeof(struct head) == 64, "a state begins on its own cache line");

struct tc_model {
    struct tc_model_spec spec;
    const struct tc_kern *kern;
    struct tc_weights input, layer[TC_NET_LAYERS_MAX], output;
    size_t wide;      /* floats of a padded hidden vector */
    size_t fine;      /* floats of a padded row of network inputs */
    size_t inner;     /* floats of a padded input to layer 0: fine, or the input layer's units */
    size_t fresh;     /* windows computed afresh together */
    double low, high; /* a scaled input outside marks the row */
    bool clipped[CHUNK];
    double *scaled;         /* [CHUNK][n_features] */
    float *z;               /* [CHUNK][fine] network inputs */
    float *u;               /* [CHUNK][inner] inputs of layer 0, where there is an input layer */
    float *a, *b;           /* [PIECE or CHUNK][max(wide, inner)] a layer's inputs and outputs in turn */
    struct tc_team *team;   /* of the caller, or NULL */
    struct tc_stack *stack; /* windows afresh; their inputs [steps][fresh][inner] and top h [fresh][wide] */
    float *inputs, *last;
    float *join;                /* [CHUNK][wide + fine]: what the output layer reads, h then z */
    float *y;                   /* [CHUNK][padded targets] */
    struct tc_lstm_row *lstm;   /* [PIECE] */
    struct tc_dense_row *dense; /* [CHUNK] */
};

static inline float *tc_model_body(void *state)
{
    return (float *)((char *)state + sizeof(struct head));
}

/* Network inputs from `block` rows of a ring of `total` rows of scaled features, from row `from` on (of
 * models that read single rows: the row itself). */
void tc_model_block(const struct tc_model *m, const double *ring, size_t total, size_t from, float *z);

/* Layer 0's inputs of n rows from their network inputs [n][fine]: `z` itself, or what the input layer makes
 * of it in `room` ([n][inner]). */
const float *tc_model_first(struct tc_model *m, const float *z, size_t n, float *room);

/* Outputs of the n rows that `which` names (places in the chunk), whose top h stand in m->join in that order.
 */
void tc_model_outputs(struct tc_model *m, struct tc_model_row *rows, const size_t *which, size_t n);

/* window.c: one bar of at most CHUNK rows. */
void tc_window_step(struct tc_model *m, struct tc_model_row *rows, size_t n);
