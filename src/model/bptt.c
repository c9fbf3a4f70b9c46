#include "model/bptt.h"

#include "base/err.h"
#include "kern/gemm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What one LSTM layer keeps from its forward pass, each [steps][rows][...]. */
struct layer {
    float *x; /* [inputs] after dropout; the scaled features themselves in layer 0 without an input layer */
    float *gates;  /* [4 hidden] i, f, g, o; their gradients on the way back */
    float *c, *tc; /* [hidden] cell state and its tanh */
    float *h;      /* [hidden] */
    float *keep;   /* [hidden] dropout on h: 0 or 1/(1-p) */
};

struct tc_bptt {
    struct tc_net_shape shape;
    const struct tc_kern *kern;
    size_t steps, rows;
    struct tc_gemm gemm;
    struct tc_panels hh; /* W_hh, packed for the pass at work */
    struct layer layer[TC_NET_LAYERS_MAX];
    float *u, *u_keep; /* input layer's output and its dropout */
    float *top;        /* [hidden] last layer's h after dropout */
    float *out;        /* [targets] outputs, then their gradients */
    float *dx;         /* [widest] gradient of a layer's input or output */
    float *dh, *dc;    /* [rows][hidden] carried back in time */
    float *bias;       /* [4 hidden] */
};

static int take(float **p, size_t n)
{
    *p = calloc(n, sizeof(float));
    return *p ? TC_OK : tc_fail(TC_ENOMEM, "no memory for %zu floats of training", n);
}

static size_t layer_inputs(const struct tc_bptt *b, size_t l)
{
    return (size_t)tc_net_layer_inputs(&b->shape, (int32_t)l);
}

static int open_layer(struct tc_bptt *b, size_t l, size_t all)
{
    size_t hidden = (size_t)b->shape.hidden;
    struct layer *a = &b->layer[l];
    int rc = l || b->shape.input_size ? take(&a->x, all * layer_inputs(b, l)) : TC_OK;
    rc = rc ? rc : take(&a->gates, all * 4 * hidden);
    rc = rc ? rc : take(&a->c, all * hidden);
    rc = rc ? rc : take(&a->tc, all * hidden);
    rc = rc ? rc : take(&a->h, all * hidden);
    return rc ? rc : take(&a->keep, all * hidden);
}

int tc_bptt_open(const struct tc_net_shape *shape, const struct tc_kern *kern, size_t steps, size_t rows,
                 struct tc_bptt **out)
{
    struct tc_bptt *b = calloc(1, sizeof(*b));
    if (!b)
        return tc_fail(TC_ENOMEM, "no memory for training");
    *b =
        (struct tc_bptt){.shape = *shape, .kern = kern, .steps = steps, .rows = rows, .gemm = {.kern = kern}};
    size_t all = steps * rows, hidden = (size_t)shape->hidden, units = (size_t)shape->input_size,
           widest = hidden;
    for (size_t l = 0; l < (size_t)shape->layers; l++)
        widest = layer_inputs(b, l) > widest ? layer_inputs(b, l) : widest;
    double floats = (double)all * ((double)shape->layers * (8.0 * (double)hidden + (double)widest) +
                                   2.0 * (double)(units + hidden) + (double)widest);
    int rc = TC_OK;
    if (floats * sizeof(float) > (double)TC_BPTT_BYTES_MAX)
        rc = tc_fail(
            TC_ELIMIT,
            "training on %zu sequences of %zu rows together takes %.0f GiB; fewer (--batch) or shorter "
            "ones (--truncate, --window) take less",
            rows, steps, floats * sizeof(float) / (1 << 30));
    for (size_t l = 0; l < (size_t)shape->layers && !rc; l++)
        rc = open_layer(b, l, all);
    if (units) {
        rc = rc ? rc : take(&b->u, all * units);
        rc = rc ? rc : take(&b->u_keep, all * units);
    }
    rc = rc ? rc : take(&b->top, all * hidden);
    rc = rc ? rc : take(&b->out, all * (size_t)shape->targets);
    rc = rc ? rc : take(&b->dx, all * widest);
    rc = rc ? rc : take(&b->dh, rows * hidden);
    rc = rc ? rc : take(&b->dc, rows * hidden);
    rc = rc ? rc : take(&b->bias, 4 * hidden);
    if (rc)
        tc_bptt_close(b);
    else
        *out = b;
    return rc;
}

void tc_bptt_close(struct tc_bptt *b)
{
    if (!b)
        return;
    for (size_t l = 0; l < TC_NET_LAYERS_MAX; l++) {
        float *all[] = {b->layer[l].x,  b->layer[l].gates, b->layer[l].c,
                        b->layer[l].tc, b->layer[l].h,     b->layer[l].keep};
        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
            free(all[i]);
    }
    float *all[] = {b->u, b->u_keep, b->top, b->out, b->dx, b->dh, b->dc, b->bias};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
    tc_gemm_free(&b->gemm);
    tc_panels_free(&b->hh);
    free(b);
}

static struct tc_matrix plain(const float *p, size_t cols)
{
    return (struct tc_matrix){p, cols, 1};
}

static struct tc_matrix transposed(const float *p, size_t cols)
{
    return (struct tc_matrix){p, 1, cols};
}

static void add_bias(float *y, const float *bias, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, y += n)
        for (size_t i = 0; i < n; i++)
            y[i] += bias[i];
}

static void add_columns(const float *dy, size_t rows, size_t n, float *sum)
{
    for (size_t r = 0; r < rows; r++, dy += n)
        for (size_t i = 0; i < n; i++)
            sum[i] += dy[i];
}

/* y = x * keep with fresh random keep; without dropout keep is 1. */
static void drop_out(const struct tc_bptt_batch *batch, const float *x, float *keep, size_t n, float *y)
{
    if (!(batch->dropout > 0)) {
        for (size_t i = 0; i < n; i++)
            keep[i] = 1.0f;
        memcpy(y, x, n * sizeof(float));
        return;
    }
    uint64_t limit = (uint64_t)(batch->dropout * 0x1.0p32), bits = 0;
    float scale = (float)(1 / (1 - batch->dropout));
    for (size_t i = 0; i < n; i++) {
        bits = i % 2 ? bits >> 32 : tc_rng_next(batch->rng);
        keep[i] = (bits & 0xffffffffu) < limit ? 0.0f : scale;
        y[i] = x[i] * keep[i];
    }
}

/* One step of one layer: the gates' sums in `g` become gates; c, tanh(c) and h come out. */
static void cells_forward(const struct tc_kern *k, size_t rows, size_t n, float *g, const float *c_before,
                          float *c, float *tc, float *h)
{
    for (size_t r = 0; r < rows; r++) {
        k->sigmoid(g + r * 4 * n, 2 * n);
        k->tanh(g + r * 4 * n + 2 * n, n);
        k->sigmoid(g + r * 4 * n + 3 * n, n);
    }
    for (size_t r = 0; r < rows; r++) {
        const float *in = g + r * 4 * n, *forget = in + n, *cell = in + 2 * n;
        for (size_t u = 0; u < n; u++) {
            float kept = c_before ? forget[u] * c_before[r * n + u] : 0.0f;
            tc[r * n + u] = c[r * n + u] = kept + in[u] * cell[u];
        }
    }
    k->tanh(tc, rows * n);
    for (size_t r = 0; r < rows; r++)
        for (size_t u = 0; u < n; u++)
            h[r * n + u] = g[r * 4 * n + 3 * n + u] * tc[r * n + u];
}

static int layer_forward(struct tc_bptt *b, const struct tc_net *net, size_t l, const float *x, size_t rows)
{
    struct layer *a = &b->layer[l];
    size_t n = (size_t)b->shape.hidden, in = layer_inputs(b, l), all = b->steps * rows;
    for (size_t i = 0; i < 4 * n; i++)
        b->bias[i] = net->layer[l].b_ih[i] + net->layer[l].b_hh[i];
    int rc = tc_gemm(&b->gemm, all, 4 * n, in, plain(x, in), transposed(net->layer[l].w_ih, in), a->gates,
                     4 * n, false);
    add_bias(a->gates, b->bias, all, 4 * n);
    rc = rc ? rc : tc_gemm_pack_b(b->kern, n, 4 * n, transposed(net->layer[l].w_hh, n), &b->hh);
    for (size_t t = 0; t < b->steps && !rc; t++) {
        size_t at = t * rows * n;
        float *g = a->gates + 4 * at;
        if (t)
            rc = tc_gemm_packed(&b->gemm, rows, 4 * n, n, plain(a->h + at - rows * n, n), &b->hh, g, 4 * n,
                                true);
        cells_forward(b->kern, rows, n, g, t ? a->c + at - rows * n : NULL, a->c + at, a->tc + at, a->h + at);
    }
    return rc;
}

static const float *layer_input(const struct tc_bptt *b, const struct tc_bptt_batch *batch, size_t l)
{
    return b->layer[l].x ? b->layer[l].x : batch->z;
}

static int forward(struct tc_bptt *b, const struct tc_net *net, const struct tc_bptt_batch *batch)
{
    const struct tc_net_shape *s = &b->shape;
    size_t rows = batch->rows, all = b->steps * rows, n = (size_t)s->hidden, d = (size_t)s->features;
    size_t units = (size_t)s->input_size, k = (size_t)s->targets, layers = (size_t)s->layers;
    int rc = TC_OK;
    if (units) {
        rc = tc_gemm(&b->gemm, all, units, d, plain(batch->z, d), transposed(net->w_in, d), b->u, units,
                     false);
        add_bias(b->u, net->b_in, all, units);
        b->kern->tanh(b->u, all * units);
        drop_out(batch, b->u, b->u_keep, all * units, b->layer[0].x);
    }
    for (size_t l = 0; l < layers && !rc; l++) {
        rc = layer_forward(b, net, l, layer_input(b, batch, l), rows);
        drop_out(batch, b->layer[l].h, b->layer[l].keep, all * n,
                 l + 1 < layers ? b->layer[l + 1].x : b->top);
    }
    rc =
        rc ? rc : tc_gemm(&b->gemm, all, k, n, plain(b->top, n), transposed(net->w_out, n), b->out, k, false);
    if (s->skip && !rc)
        rc = tc_gemm(&b->gemm, all, k, d, plain(batch->z, d), transposed(net->w_skip, d), b->out, k, true);
    add_bias(b->out, net->b_out, all, k);
    return rc;
}

/* Outputs become their gradients. */
static double loss_backward(struct tc_bptt *b, const struct tc_bptt_batch *batch)
{
    double loss = 0;
    size_t n = b->steps * batch->rows * (size_t)b->shape.targets;
    for (size_t i = 0; i < n; i++) {
        double e = (double)b->out[i] - (double)batch->y[i], w = (double)batch->w[i], slope = 2 * e,
               value = e * e;
        if (batch->loss == TC_LOSS_HUBER && fabs(e) > batch->delta) {
            value = batch->delta * (2 * fabs(e) - batch->delta);
            slope = copysign(2 * batch->delta, e);
        }
        if (batch->loss == TC_LOSS_QUANTILE) {
            slope = e < 0 ? -batch->quantile : e > 0 ? 1 - batch->quantile : 0;
            value = e * slope;
        }
        loss += w > 0 ? w * value : 0;
        b->out[i] = w > 0 ? (float)(w * slope) : 0.0f;
    }
    return loss;
}

/* Gates become the gradients of their sums; dh holds this step's gradient of h, dc comes and goes. */
static void cells_backward(size_t rows, size_t n, float *g, const float *c_before, const float *tc,
                           const float *dh, float *dc)
{
    for (size_t r = 0; r < rows; r++) {
        float *in = g + r * 4 * n, *forget = in + n, *cell = in + 2 * n, *out = in + 3 * n;
        for (size_t u = 0; u < n; u++) {
            size_t at = r * n + u;
            float i = in[u], f = forget[u], c = cell[u], o = out[u], t = tc[at];
            float d = dc[at] + dh[at] * o * (1.0f - t * t);
            out[u] = dh[at] * t * o * (1.0f - o);
            in[u] = d * c * i * (1.0f - i);
            forget[u] = c_before ? d * c_before[at] * f * (1.0f - f) : 0.0f;
            cell[u] = d * i * (1.0f - c * c);
            dc[at] = d * f;
        }
    }
}

/* dx holds the gradient of the layer's h (after dropout) and leaves with that of its input. */
static int layer_backward(struct tc_bptt *b, const struct tc_net *net, size_t l, const float *x, size_t rows,
                          struct tc_net *grad, bool go_on)
{
    struct layer *a = &b->layer[l];
    size_t n = (size_t)b->shape.hidden, in = layer_inputs(b, l), all = b->steps * rows;
    memset(b->dh, 0, rows * n * sizeof(float));
    memset(b->dc, 0, rows * n * sizeof(float));
    int rc = tc_gemm_pack_b(b->kern, 4 * n, n, plain(net->layer[l].w_hh, n), &b->hh);
    for (size_t t = b->steps; t-- > 0 && !rc;) {
        size_t at = t * rows * n;
        for (size_t i = 0; i < rows * n; i++)
            b->dh[i] += b->dx[at + i] * a->keep[at + i];
        cells_backward(rows, n, a->gates + 4 * at, t ? a->c + at - rows * n : NULL, a->tc + at, b->dh, b->dc);
        rc = tc_gemm_packed(&b->gemm, rows, n, 4 * n, plain(a->gates + 4 * at, 4 * n), &b->hh, b->dh, n,
                            false);
    }
    const float *g = a->gates;
    rc = rc ? rc
            : tc_gemm(&b->gemm, 4 * n, in, all, transposed(g, 4 * n), plain(x, in), grad->layer[l].w_ih, in,
                      true);
    if (b->steps > 1 && !rc)
        rc = tc_gemm(&b->gemm, 4 * n, n, all - rows, transposed(g + 4 * n * rows, 4 * n), plain(a->h, n),
                     grad->layer[l].w_hh, n, true);
    add_columns(g, all, 4 * n, grad->layer[l].b_ih);
    memcpy(grad->layer[l].b_hh, grad->layer[l].b_ih, 4 * n * sizeof(float));
    if (go_on && !rc)
        rc = tc_gemm(&b->gemm, all, in, 4 * n, plain(g, 4 * n), plain(net->layer[l].w_ih, in), b->dx, in,
                     false);
    return rc;
}

static int input_backward(struct tc_bptt *b, const float *z, size_t all, struct tc_net *grad)
{
    size_t units = (size_t)b->shape.input_size, d = (size_t)b->shape.features;
    for (size_t i = 0; i < all * units; i++)
        b->dx[i] *= b->u_keep[i] * (1.0f - b->u[i] * b->u[i]);
    add_columns(b->dx, all, units, grad->b_in);
    return tc_gemm(&b->gemm, units, d, all, transposed(b->dx, units), plain(z, d), grad->w_in, d, true);
}

static int backward(struct tc_bptt *b, const struct tc_net *net, const struct tc_bptt_batch *batch,
                    struct tc_net *grad)
{
    const struct tc_net_shape *s = &b->shape;
    size_t all = b->steps * batch->rows, n = (size_t)s->hidden, d = (size_t)s->features,
           k = (size_t)s->targets;
    add_columns(b->out, all, k, grad->b_out);
    int rc = tc_gemm(&b->gemm, k, n, all, transposed(b->out, k), plain(b->top, n), grad->w_out, n, true);
    if (s->skip && !rc)
        rc = tc_gemm(&b->gemm, k, d, all, transposed(b->out, k), plain(batch->z, d), grad->w_skip, d, true);
    rc = rc ? rc : tc_gemm(&b->gemm, all, n, k, plain(b->out, k), plain(net->w_out, n), b->dx, n, false);
    for (size_t l = (size_t)s->layers; l-- > 0 && !rc;)
        rc = layer_backward(b, net, l, layer_input(b, batch, l), batch->rows, grad, l || s->input_size);
    return rc || !s->input_size ? rc : input_backward(b, batch->z, all, grad);
}

int tc_bptt_gradient(struct tc_bptt *b, const struct tc_net *net, const struct tc_bptt_batch *batch,
                     float *grad, double *loss)
{
    struct tc_net view;
    tc_net_view(&net->shape, grad, &view);
    memset(grad, 0, net->n * sizeof(float));
    unsigned mode = tc_kern_enter();
    int rc = forward(b, net, batch);
    if (!rc) {
        *loss = loss_backward(b, batch);
        rc = backward(b, net, batch, &view);
    }
    tc_kern_leave(mode);
    return rc;
}
