#include "model/bptt.h"

#include "base/err.h"
#include "kern/gemm.h"
#include "kern/team.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHARDS_MAX = 8,
    SHARD_ROWS = 12, /* fewer rows than this in a shard leave the multipliers waiting for weights */
};

/* What one LSTM layer keeps from its forward pass, each [steps][rows][...]. */
struct layer {
    float *x; /* [inputs, padded] inputs after dropout; NULL where they are as the layer below made them */
    float *gates;  /* [4 wide] in the kernel's order; their sums' gradients on the way back */
    float *c, *tc; /* [wide] cell state and its tanh */
    float *h;      /* [wide] */
    float *keep;   /* [wide] dropout on h: 0 or 1/(1-p) */
};

/* Some rows of the batch: forward, back and a gradient of their own, by one thread. */
struct shard {
    const struct tc_bptt *b;
    const struct tc_net *net;
    const struct tc_bptt_batch *batch;
    size_t from, rows; /* of the batch */
    struct tc_rng rng;
    double loss;
    int rc;
    struct layer layer[TC_NET_LAYERS_MAX];
    struct tc_gemm gemm;
    float *z;                   /* [fine] scaled inputs */
    float *u, *u_keep, *u_drop; /* [inner] input layer's output, its dropout, and after it */
    float *top;                 /* [wide] last layer's h after dropout, where there is dropout */
    float *out;                 /* [padded targets] outputs, then their gradients */
    float *back[2];             /* [wide + widest] gradient of h that goes on in time, and of the inputs */
    float *dc, *zero;           /* [rows][wide]; [wide + widest] */
    float *part;                /* gradient of one matrix, rows in the kernel's order */
    float *grad;                /* as net->p */
    struct tc_lstm_row *row;    /* [rows] */
    struct tc_lstm_kept *kept;  /* [rows] */
    struct tc_dense_row *dense; /* [rows] */
};

struct tc_bptt {
    struct tc_net_shape shape;
    const struct tc_kern *kern;
    struct tc_team *team;
    size_t steps, rows, shards, n_params;
    size_t wide, fine, inner, widest,
        targets; /* padded sizes: hidden, features, input layer, layers' inputs */
    struct tc_weights input, layer[TC_NET_LAYERS_MAX], output; /* packed for the pass forward */
    struct tc_weights back[TC_NET_LAYERS_MAX], output_back;    /* from gates to h before and inputs */
    float *gather;                                             /* room to pack those */
    struct shard shard[SHARDS_MAX];
    size_t in_use;       /* shards of this batch */
    float *grad;         /* of this batch */
    _Atomic size_t next; /* shard to be taken */
};

static int take(float **p, size_t n)
{
    size_t bytes = (n * sizeof(float) + TC_KERN_ALIGN - 1) / TC_KERN_ALIGN * TC_KERN_ALIGN;
    *p = aligned_alloc(TC_KERN_ALIGN, bytes ? bytes : TC_KERN_ALIGN);
    if (!*p)
        return tc_fail(TC_ENOMEM, "no memory for %zu floats of training", n);
    memset(*p, 0, bytes); /* what lies behind the last unit takes part in vectors and must be finite */
    return TC_OK;
}

static size_t pad(int32_t n)
{
    return (size_t)tc_kern_pad(n);
}

/* Of so many rows: a power of two, so that it divides well by the threads there may be. A function of the
 * rows alone: the sums' order must not depend on the threads. */
static size_t shards_of(size_t rows)
{
    size_t n = 1;
    while (2 * n <= SHARDS_MAX && rows / (2 * n) >= SHARD_ROWS)
        n *= 2;
    return n;
}

static size_t shard_rows(const struct tc_bptt *b)
{
    size_t most = 0;
    for (size_t rows = 1; rows <= b->rows; rows++) {
        size_t n = shards_of(rows), each = (rows + n - 1) / n;
        most = each > most ? each : most;
    }
    return most;
}

static int open_layer(const struct tc_bptt *b, struct shard *s, size_t l, size_t all)
{
    struct layer *a = &s->layer[l];
    int rc = l ? take(&a->x, all * b->wide) : TC_OK;
    rc = rc ? rc : take(&a->gates, all * 4 * b->wide);
    rc = rc ? rc : take(&a->c, all * b->wide);
    rc = rc ? rc : take(&a->tc, all * b->wide);
    rc = rc ? rc : take(&a->h, all * b->wide);
    return rc ? rc : take(&a->keep, all * b->wide);
}

static int open_shard(struct tc_bptt *b, struct shard *s, size_t rows)
{
    size_t all = b->steps * rows, through = b->wide + b->widest;
    int rc = TC_OK;
    *s = (struct shard){.b = b, .gemm = {.kern = b->kern}};
    for (size_t l = 0; l < (size_t)b->shape.layers && !rc; l++)
        rc = open_layer(b, s, l, all);
    rc = rc ? rc : take(&s->z, all * b->fine);
    if (b->shape.input_size) {
        rc = rc ? rc : take(&s->u, all * b->inner);
        rc = rc ? rc : take(&s->u_keep, all * b->inner);
        rc = rc ? rc : take(&s->u_drop, all * b->inner);
    }
    rc = rc ? rc : take(&s->top, all * b->wide);
    rc = rc ? rc : take(&s->out, all * b->targets);
    rc = rc ? rc : take(&s->back[0], all * through);
    rc = rc ? rc : take(&s->back[1], all * through);
    rc = rc ? rc : take(&s->dc, rows * b->wide);
    rc = rc ? rc : take(&s->zero, through);
    rc = rc ? rc : take(&s->part, 4 * b->wide * b->widest);
    rc = rc ? rc : take(&s->grad, b->n_params);
    rc = rc ? rc : tc_gemm_reserve(&s->gemm, 4 * b->wide > b->fine ? 4 * b->wide : b->fine);
    s->row = calloc(rows, sizeof(*s->row));
    s->kept = calloc(rows, sizeof(*s->kept));
    s->dense = calloc(rows, sizeof(*s->dense));
    if (!rc && (!s->row || !s->kept || !s->dense))
        rc = tc_fail(TC_ENOMEM, "no memory for training");
    return rc;
}

/* Packed weights without their numbers, which change with every batch. */
static int open_weights(struct tc_bptt *b, const struct tc_net *net)
{
    const struct tc_net_shape *s = &b->shape;
    size_t most = 0;
    int rc = TC_OK;
    if (s->input_size)
        rc = tc_dense_pack(b->kern, s->features, s->input_size, net->w_in, net->b_in, &b->input);
    for (int32_t l = 0; l < s->layers && !rc; l++) {
        int32_t in = tc_net_layer_inputs(s, l);
        rc = tc_lstm_pack(b->kern, in, s->hidden, false, net->layer[l].w_ih, net->layer[l].w_hh,
                          net->layer[l].b_ih, net->layer[l].b_hh, &b->layer[l]);
        if (rc)
            break;
        size_t gates = tc_lstm_gates(&b->layer[l]), outputs = b->wide + pad(in);
        most = gates * outputs > most ? gates * outputs : most;
        free(b->gather);
        rc = take(&b->gather, most);
        rc = rc ? rc : tc_dense_pack(b->kern, (int32_t)gates, (int32_t)outputs, b->gather, NULL, &b->back[l]);
    }
    rc = rc ? rc : tc_dense_pack(b->kern, s->hidden, s->targets, net->w_out, net->b_out, &b->output);
    return rc ? rc : tc_dense_pack(b->kern, s->targets, s->hidden, net->w_out, NULL, &b->output_back);
}

static int check_size(const struct tc_bptt *b, size_t each)
{
    double layers = 9.0 * (double)b->shape.layers * (double)b->wide;
    double other = (double)(b->fine + 3 * b->inner + b->wide + b->targets + 2 * (b->wide + b->widest));
    double own = (double)b->n_params + 4.0 * (double)b->wide * (double)b->widest;
    double bytes = sizeof(float) * (double)b->shards * ((double)(b->steps * each) * (layers + other) + own);
    if (bytes > (double)TC_BPTT_BYTES_MAX)
        return tc_fail(
            TC_ELIMIT,
            "training on %zu sequences of %zu rows together takes %.0f GiB; fewer (--batch) or shorter "
            "ones (--truncate, --window) take less",
            b->rows, b->steps, bytes / (1 << 30));
    return TC_OK;
}

int tc_bptt_open(const struct tc_net_shape *shape, const struct tc_kern *kern, size_t steps, size_t rows,
                 struct tc_bptt **out)
{
    struct tc_net net;
    int rc = tc_net_open(shape, &net);
    struct tc_bptt *b = rc ? NULL : calloc(1, sizeof(*b));
    if (!b) {
        tc_net_free(&net);
        return rc ? rc : tc_fail(TC_ENOMEM, "no memory for training");
    }
    b->shape = *shape;
    b->kern = kern->exact ? kern->exact : kern;
    b->steps = steps;
    b->rows = rows;
    b->shards = shards_of(rows);
    b->n_params = net.n;
    b->wide = pad(shape->hidden);
    b->fine = pad(shape->features);
    b->inner = shape->input_size ? pad(shape->input_size) : b->fine;
    b->widest = b->wide > b->inner ? b->wide : b->inner;
    b->targets = pad(shape->targets);
    size_t each = shard_rows(b);
    rc = check_size(b, each);
    rc = rc ? rc : open_weights(b, &net);
    for (size_t i = 0; i < b->shards && !rc; i++)
        rc = open_shard(b, &b->shard[i], each);
    tc_net_free(&net);
    if (rc)
        tc_bptt_close(b);
    else
        *out = b;
    return rc;
}

void tc_bptt_team(struct tc_bptt *b, struct tc_team *team)
{
    b->team = team;
}

static void close_shard(struct shard *s)
{
    for (size_t l = 0; l < TC_NET_LAYERS_MAX; l++) {
        float *all[] = {s->layer[l].x,  s->layer[l].gates, s->layer[l].c,
                        s->layer[l].tc, s->layer[l].h,     s->layer[l].keep};
        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
            free(all[i]);
    }
    float *all[] = {s->z,  s->u,       s->u_keep,  s->u_drop, s->top,  s->out,
                    s->dc, s->back[0], s->back[1], s->zero,   s->part, s->grad};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
    free(s->row);
    free(s->kept);
    free(s->dense);
    tc_gemm_free(&s->gemm);
}

void tc_bptt_close(struct tc_bptt *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < SHARDS_MAX; i++)
        close_shard(&b->shard[i]);
    for (size_t l = 0; l < TC_NET_LAYERS_MAX; l++) {
        tc_weights_free(&b->layer[l]);
        tc_weights_free(&b->back[l]);
    }
    tc_weights_free(&b->input);
    tc_weights_free(&b->output);
    tc_weights_free(&b->output_back);
    free(b->gather);
    free(b);
}

/* --- weights of this batch --------------------------------------------------------------------------------
 */
/* From the gates' gradients to those of h before the step (the first `wide` outputs) and of the inputs. */
static void fill_back(struct tc_bptt *b, const struct tc_net *net, size_t l)
{
    size_t hidden = (size_t)b->shape.hidden, in = (size_t)tc_net_layer_inputs(&b->shape, (int32_t)l);
    size_t gates = tc_lstm_gates(&b->layer[l]);
    memset(b->gather, 0, gates * (b->wide + pad((int32_t)in)) * sizeof(float));
    for (int32_t g = 0; g < 4; g++)
        for (int32_t u = 0; u < b->shape.hidden; u++) {
            size_t at = tc_lstm_gate_at(&b->layer[l], g, u), row = (size_t)g * hidden + (size_t)u;
            for (size_t i = 0; i < hidden; i++)
                b->gather[i * gates + at] = net->layer[l].w_hh[row * hidden + i];
            for (size_t i = 0; i < in; i++)
                b->gather[(b->wide + i) * gates + at] = net->layer[l].w_ih[row * in + i];
        }
    tc_dense_fill(b->gather, NULL, &b->back[l]);
}

static void fill_weights(struct tc_bptt *b, const struct tc_net *net)
{
    size_t hidden = (size_t)b->shape.hidden, targets = (size_t)b->shape.targets;
    if (b->shape.input_size)
        tc_dense_fill(net->w_in, net->b_in, &b->input);
    for (size_t l = 0; l < (size_t)b->shape.layers; l++) {
        tc_lstm_fill(b->kern, net->layer[l].w_ih, net->layer[l].w_hh, net->layer[l].b_ih, net->layer[l].b_hh,
                     &b->layer[l]);
        fill_back(b, net, l);
    }
    tc_dense_fill(net->w_out, net->b_out, &b->output);
    for (size_t j = 0; j < targets; j++)
        for (size_t i = 0; i < hidden; i++)
            b->gather[i * targets + j] = net->w_out[j * hidden + i];
    tc_dense_fill(b->gather, NULL, &b->output_back);
}

/* --- forward ----------------------------------------------------------------------------------------------
 */
/* y = x * keep with fresh random keep. */
static void drop_out(struct shard *s, const float *x, float *keep, size_t n, float *y)
{
    uint64_t limit = (uint64_t)(s->batch->dropout * 0x1.0p32), bits = 0;
    float scale = (float)(1 / (1 - s->batch->dropout));
    for (size_t i = 0; i < n; i++) {
        bits = i % 2 ? bits >> 32 : tc_rng_next(&s->rng);
        keep[i] = (bits & 0xffffffffu) < limit ? 0.0f : scale;
        y[i] = x[i] * keep[i];
    }
}

static bool drops(const struct shard *s)
{
    return s->batch->dropout > 0;
}

/* Inputs of layer l and their stride. */
static const float *inputs_of(const struct shard *s, size_t l, size_t *stride)
{
    *stride = l ? s->b->wide : s->b->inner;
    if (l)
        return drops(s) ? s->layer[l].x : s->layer[l - 1].h;
    if (!s->b->shape.input_size)
        return s->z;
    return drops(s) ? s->u_drop : s->u;
}

/* y [steps][rows][y_stride] = dense layer of x [steps][rows][x_stride]. */
static void dense_all(struct shard *s, const struct tc_weights *w, const float *x, size_t x_stride, float *y,
                      size_t y_stride, bool squash)
{
    for (size_t t = 0; t < s->b->steps; t++) {
        for (size_t r = 0; r < s->rows; r++) {
            size_t at = t * s->rows + r;
            s->dense[r] = (struct tc_dense_row){x + at * x_stride, y + at * y_stride};
        }
        s->b->kern->dense(w, s->dense, s->rows, squash);
    }
}

static void layer_forward(struct shard *s, size_t l)
{
    const struct tc_bptt *b = s->b;
    struct layer *a = &s->layer[l];
    size_t wide = b->wide, stride;
    const float *x = inputs_of(s, l, &stride);
    for (size_t t = 0; t < b->steps; t++) {
        size_t now = t * s->rows, before = now - s->rows;
        if (t)
            memcpy(a->c + now * wide, a->c + before * wide, s->rows * wide * sizeof(float));
        else
            memset(a->c, 0, s->rows * wide * sizeof(float));
        for (size_t r = 0; r < s->rows; r++) {
            size_t at = (now + r) * wide;
            s->row[r] = (struct tc_lstm_row){x + (now + r) * stride, t ? a->h + (before + r) * wide : s->zero,
                                             a->c + at, a->h + at};
            s->kept[r] = (struct tc_lstm_kept){a->gates + 4 * at, a->tc + at};
        }
        b->kern->lstm_keep(&b->layer[l], s->row, s->kept, s->rows);
    }
}

/* The shard's rows of the batch's inputs, padded. */
static void gather_inputs(struct shard *s)
{
    size_t d = (size_t)s->b->shape.features;
    for (size_t t = 0; t < s->b->steps; t++)
        for (size_t r = 0; r < s->rows; r++)
            memcpy(s->z + (t * s->rows + r) * s->b->fine,
                   s->batch->z + (t * s->batch->rows + s->from + r) * d, d * sizeof(float));
}

static struct tc_matrix plain(const float *p, size_t cols)
{
    return (struct tc_matrix){p, cols, 1};
}

static struct tc_matrix transposed(const float *p, size_t cols)
{
    return (struct tc_matrix){p, 1, cols};
}

static const float *top_of(const struct shard *s)
{
    return drops(s) ? s->top : s->layer[s->b->shape.layers - 1].h;
}

static int forward(struct shard *s)
{
    const struct tc_bptt *b = s->b;
    size_t all = b->steps * s->rows, layers = (size_t)b->shape.layers, d = (size_t)b->shape.features;
    gather_inputs(s);
    if (b->shape.input_size) {
        dense_all(s, &b->input, s->z, b->fine, s->u, b->inner, true);
        if (drops(s))
            drop_out(s, s->u, s->u_keep, all * b->inner, s->u_drop);
    }
    for (size_t l = 0; l < layers; l++) {
        layer_forward(s, l);
        if (drops(s))
            drop_out(s, s->layer[l].h, s->layer[l].keep, all * b->wide,
                     l + 1 < layers ? s->layer[l + 1].x : s->top);
    }
    dense_all(s, &b->output, top_of(s), b->wide, s->out, b->targets, false);
    if (!b->shape.skip)
        return TC_OK;
    return tc_gemm(&s->gemm, all, (size_t)b->shape.targets, d, plain(s->z, b->fine),
                   transposed(s->net->w_skip, d), s->out, b->targets, true);
}

/* --- back -------------------------------------------------------------------------------------------------
 */
/* Outputs become their gradients. */
static void loss_backward(struct shard *s)
{
    const struct tc_bptt_batch *batch = s->batch;
    size_t targets = (size_t)s->b->shape.targets;
    s->loss = 0;
    for (size_t t = 0; t < s->b->steps; t++)
        for (size_t r = 0; r < s->rows; r++)
            for (size_t j = 0; j < targets; j++) {
                float *out = s->out + (t * s->rows + r) * s->b->targets + j;
                size_t at = (t * batch->rows + s->from + r) * targets + j;
                double e = (double)*out - (double)batch->y[at], w = (double)batch->w[at], slope = 2 * e,
                       value = e * e;
                if (batch->loss == TC_LOSS_HUBER && fabs(e) > batch->delta) {
                    value = batch->delta * (2 * fabs(e) - batch->delta);
                    slope = copysign(2 * batch->delta, e);
                }
                if (batch->loss == TC_LOSS_QUANTILE) {
                    slope = e < 0 ? -batch->quantile : e > 0 ? 1 - batch->quantile : 0;
                    value = e * slope;
                }
                s->loss += w > 0 ? w * value : 0;
                *out = w > 0 ? (float)(w * slope) : 0.0f;
            }
}

static void add_columns(const float *dy, size_t rows, size_t stride, size_t n, float *sum)
{
    for (size_t r = 0; r < rows; r++, dy += stride)
        for (size_t i = 0; i < n; i++)
            sum[i] += dy[i];
}

/* part [n][gates] in the kernel's order to grad [4 hidden][n] in PyTorch's. */
static void put_gates(const struct shard *s, size_t l, const float *part, size_t n, float *grad)
{
    int32_t hidden = s->b->shape.hidden;
    size_t gates = tc_lstm_gates(&s->b->layer[l]);
    for (int32_t g = 0; g < 4; g++)
        for (int32_t u = 0; u < hidden; u++) {
            const float *from = part + tc_lstm_gate_at(&s->b->layer[l], g, u);
            float *to = grad + ((size_t)g * (size_t)hidden + (size_t)u) * n;
            for (size_t i = 0; i < n; i++)
                to[i] = from[i * gates];
        }
}

/* The layer's own gradient, all steps as one product each. */
static int layer_gradient(struct shard *s, size_t l, const struct tc_net *grad)
{
    const struct tc_bptt *b = s->b;
    const struct layer *a = &s->layer[l];
    size_t n = (size_t)b->shape.hidden, in = (size_t)tc_net_layer_inputs(&b->shape, (int32_t)l), stride;
    size_t all = b->steps * s->rows, gates = tc_lstm_gates(&b->layer[l]), wide = b->wide;
    const float *x = inputs_of(s, l, &stride);
    memset(s->part, 0, gates * sizeof(float));
    add_columns(a->gates, all, 4 * wide, gates, s->part);
    put_gates(s, l, s->part, 1, grad->layer[l].b_ih);
    memcpy(grad->layer[l].b_hh, grad->layer[l].b_ih, 4 * n * sizeof(float));
    int rc = tc_gemm(&s->gemm, in, gates, all, transposed(x, stride), plain(a->gates, 4 * wide), s->part,
                     gates, false);
    put_gates(s, l, s->part, in, grad->layer[l].w_ih);
    if (rc || b->steps == 1)
        return rc;
    rc = tc_gemm(&s->gemm, n, gates, all - s->rows, transposed(a->h, wide),
                 plain(a->gates + s->rows * 4 * wide, 4 * wide), s->part, gates, false);
    put_gates(s, l, s->part, n, grad->layer[l].w_hh);
    return rc;
}

/* One step back: gates to their sums' gradients, then on to h before and the inputs. `dh`: the gradient of h
 * from the layer above. */
static void step_back(struct shard *s, size_t l, size_t t, float *dh, size_t stride, float *back)
{
    const struct tc_bptt *b = s->b;
    struct layer *a = &s->layer[l];
    size_t through = b->wide + b->widest;
    for (size_t r = 0; r < s->rows; r++) {
        size_t row = t * s->rows + r, at = row * b->wide;
        const struct tc_lstm_kept kept = {a->gates + 4 * at, a->tc + at};
        const float *later = t + 1 < b->steps ? back + (row + s->rows) * through : s->zero;
        for (size_t i = 0; i < b->wide && drops(s); i++)
            dh[row * stride + i] *= a->keep[at + i];
        b->kern->lstm_back(&b->layer[l], &kept, t ? a->c + at - s->rows * b->wide : NULL, dh + row * stride,
                           later, s->dc + r * b->wide);
        s->dense[r] = (struct tc_dense_row){kept.gates, back + row * through};
    }
    b->kern->dense(&b->back[l], s->dense, s->rows, false);
}

static int input_backward(struct shard *s, float *du, size_t stride, const struct tc_net *grad)
{
    const struct tc_bptt *b = s->b;
    size_t units = (size_t)b->shape.input_size, d = (size_t)b->shape.features, all = b->steps * s->rows;
    for (size_t r = 0; r < all; r++)
        for (size_t i = 0; i < units; i++) {
            float u = s->u[r * b->inner + i], keep = drops(s) ? s->u_keep[r * b->inner + i] : 1.0f;
            du[r * stride + i] *= keep * (1.0f - u * u);
        }
    add_columns(du, all, stride, units, grad->b_in);
    return tc_gemm(&s->gemm, units, d, all, transposed(du, stride), plain(s->z, b->fine), grad->w_in, d,
                   false);
}

static int backward(struct shard *s, const struct tc_net *grad)
{
    const struct tc_bptt *b = s->b;
    size_t all = b->steps * s->rows, n = (size_t)b->shape.hidden, d = (size_t)b->shape.features,
           k = (size_t)b->shape.targets, through = b->wide + b->widest;
    add_columns(s->out, all, b->targets, k, grad->b_out);
    int rc = tc_gemm(&s->gemm, k, n, all, transposed(s->out, b->targets), plain(top_of(s), b->wide),
                     grad->w_out, n, false);
    if (b->shape.skip && !rc)
        rc = tc_gemm(&s->gemm, k, d, all, transposed(s->out, b->targets), plain(s->z, b->fine), grad->w_skip,
                     d, false);
    float *above = s->back[0], *back = s->back[1];
    dense_all(s, &b->output_back, s->out, b->targets, above + b->wide, through, false);
    for (size_t l = (size_t)b->shape.layers; l-- > 0 && !rc;) {
        memset(s->dc, 0, s->rows * b->wide * sizeof(float));
        for (size_t t = b->steps; t-- > 0;)
            step_back(s, l, t, above + b->wide, through, back);
        rc = layer_gradient(s, l, grad);
        float *free_again = above;
        above = back;
        back = free_again;
    }
    return rc || !b->shape.input_size ? rc : input_backward(s, above + b->wide, through, grad);
}

/* Shards are taken one after the other by whichever thread is free. */
static void run_shards(void *ctx, int member, int members)
{
    struct tc_bptt *b = ctx;
    (void)member;
    (void)members;
    for (size_t i; (i = atomic_fetch_add(&b->next, 1)) < b->in_use;) {
        struct shard *s = &b->shard[i];
        struct tc_net grad;
        tc_net_view(&b->shape, s->grad, &grad);
        memset(s->grad, 0, b->n_params * sizeof(float));
        s->rc = forward(s);
        loss_backward(s);
        s->rc = s->rc ? s->rc : backward(s, &grad);
    }
}

/* The shards' gradients are added up in their order. */
static void add_gradients(void *ctx, int member, int members)
{
    struct tc_bptt *b = ctx;
    size_t from = b->n_params * (size_t)member / (size_t)members,
           to = b->n_params * ((size_t)member + 1) / (size_t)members;
    memcpy(b->grad + from, b->shard[0].grad + from, (to - from) * sizeof(float));
    for (size_t s = 1; s < b->in_use; s++)
        for (size_t i = from; i < to; i++)
            b->grad[i] += b->shard[s].grad[i];
}

int tc_bptt_gradient(struct tc_bptt *b, const struct tc_net *net, const struct tc_bptt_batch *batch,
                     float *grad, double *loss)
{
    b->in_use = shards_of(batch->rows);
    b->grad = grad;
    fill_weights(b, net);
    for (size_t i = 0; i < b->in_use; i++) {
        struct shard *s = &b->shard[i];
        s->net = net;
        s->batch = batch;
        s->from = batch->rows * i / b->in_use;
        s->rows = batch->rows * (i + 1) / b->in_use - s->from;
        if (batch->dropout > 0)
            tc_rng_seed(&s->rng, tc_rng_next(batch->rng));
    }
    unsigned mode = tc_kern_enter();
    atomic_store(&b->next, 0);
    tc_team_run(b->team, (int)b->in_use, run_shards, b);
    tc_team_run(b->team, tc_team_size(b->team), add_gradients, b);
    tc_kern_leave(mode);
    *loss = 0;
    for (size_t i = 0; i < b->in_use; i++) {
        *loss += b->shard[i].loss;
        if (b->shard[i].rc) /* room for everything was taken when opened */
            return tc_fail(TC_EINTERNAL, "training ran out of room for its products");
    }
    return TC_OK;
}
