#include "model/model.h"

#include "base/err.h"
#include "kern/kern.h"
#include "model/file.h"
#include "wire/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 48,             /* rows of a stateful step together: a multiple of every kernel's tile */
    WINDOW_BYTES = 2 << 20, /* of one sequence buffer of a window step */
    WINDOW_ROWS = 24,
};

/* Start of a symbol's state. Window: ring of scaled rows behind it. Stateful: h and c of each layer behind
 * it. */
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
    size_t wide;   /* floats of a padded hidden vector */
    size_t fine;   /* floats of a padded feature row */
    size_t inner;  /* floats of a padded input to layer 0: fine, or the input layer's units */
    size_t chunk;  /* rows worked on together */
    bool *clipped; /* of each row in the chunk */
    float *z;      /* [chunk][fine] scaled features */
    float *a, *b;  /* [steps][chunk][max(wide, inner)] a layer's inputs and outputs in turn */
    float *h, *c;  /* window mode: [2][chunk][wide], [chunk][wide] */
    float *join;   /* [chunk][wide + fine]: what the output layer reads, h then z */
    float *y;      /* [chunk][padded targets] */
    struct tc_lstm_row *lstm;
    struct tc_dense_row *dense;
};

static float *floats(size_t n)
{
    size_t bytes = (n * sizeof(float) + TC_KERN_ALIGN - 1) / TC_KERN_ALIGN * TC_KERN_ALIGN;
    float *p = aligned_alloc(TC_KERN_ALIGN, bytes ? bytes : TC_KERN_ALIGN);
    if (p)
        memset(p, 0, bytes);
    return p;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int open_scratch(struct tc_model *m)
{
    const struct tc_model_info *info = &m->spec.info;
    size_t steps = info->stateful ? 1 : (size_t)info->window, widest = larger(m->wide, m->inner);
    m->chunk = CHUNK;
    if (!info->stateful) {
        m->chunk = WINDOW_BYTES / (steps * widest * sizeof(float));
        m->chunk = m->chunk < 1 ? 1 : m->chunk > WINDOW_ROWS ? WINDOW_ROWS : m->chunk;
    }
    m->clipped = calloc(m->chunk, sizeof(bool));
    m->z = floats(m->chunk * m->fine);
    m->a = floats(steps * m->chunk * widest);
    m->b = floats(steps * m->chunk * widest);
    m->h = floats(2 * m->chunk * m->wide);
    m->c = floats(m->chunk * m->wide);
    m->join = floats(m->chunk * (m->wide + m->fine));
    m->y = floats(m->chunk * (size_t)tc_kern_pad(info->n_targets));
    m->lstm = calloc(m->chunk, sizeof(*m->lstm));
    m->dense = calloc(m->chunk, sizeof(*m->dense));
    if (!m->clipped || !m->z || !m->a || !m->b || !m->h || !m->c || !m->join || !m->y || !m->lstm ||
        !m->dense)
        return tc_fail(TC_ENOMEM, "no memory to run a model of %d layers of %d units", info->layers,
                       info->hidden);
    return TC_OK;
}

/* W_out and W_skip side by side: one product over [h, z]. */
static int pack_output(struct tc_model *m)
{
    const struct tc_net *net = &m->spec.net;
    size_t hidden = (size_t)net->shape.hidden, features = net->shape.skip ? (size_t)net->shape.features : 0;
    size_t row = hidden + features;
    float *w = calloc(row * (size_t)net->shape.targets, sizeof(float));
    if (!w)
        return tc_fail(TC_ENOMEM, "no memory to pack a model's output layer");
    for (size_t j = 0; j < (size_t)net->shape.targets; j++) {
        memcpy(w + j * row, net->w_out + j * hidden, hidden * sizeof(float));
        if (features)
            memcpy(w + j * row + hidden, net->w_skip + j * features, features * sizeof(float));
    }
    int rc = tc_dense_pack(m->kern, (int32_t)row, net->shape.targets, w, net->b_out, &m->output);
    free(w);
    return rc;
}

static int pack(struct tc_model *m)
{
    const struct tc_net *net = &m->spec.net;
    int rc = TC_OK;
    if (net->shape.input_size)
        rc = tc_dense_pack(m->kern, net->shape.features, net->shape.input_size, net->w_in, net->b_in,
                           &m->input);
    for (int32_t l = 0; l < net->shape.layers && !rc; l++)
        rc = tc_lstm_pack(m->kern, tc_net_layer_inputs(&net->shape, l), net->shape.hidden, net->layer[l].w_ih,
                          net->layer[l].w_hh, net->layer[l].b_ih, net->layer[l].b_hh, &m->layer[l]);
    return rc ? rc : pack_output(m);
}

/* Takes the spec over. `hash`: SHA-256 of the file. */
static int model_open(struct tc_model_spec *spec, const char *hash, struct tc_model **out)
{
    struct tc_model *m = calloc(1, sizeof(*m));
    if (!m) {
        tc_model_spec_free(spec);
        return tc_fail(TC_ENOMEM, "no memory for a model");
    }
    m->spec = *spec;
    struct tc_model_info *info = &m->spec.info;
    const struct tc_net_shape *shape = &m->spec.net.shape;
    info->layers = shape->layers;
    info->hidden = shape->hidden;
    info->input_size = shape->input_size;
    info->skip = shape->skip;
    info->block = info->block > 1 ? info->block : 1;
    snprintf(info->id, sizeof(info->id), "%.31s@%.8s", m->spec.name, hash);
    m->wide = (size_t)tc_kern_pad(info->hidden);
    m->fine = (size_t)tc_kern_pad(shape->features);
    m->inner = info->input_size ? (size_t)tc_kern_pad(info->input_size) : m->fine;
    int rc = tc_kern_choose(&m->kern);
    if (!rc) {
        snprintf(info->kernel, sizeof(info->kernel), "%s", m->kern->name);
        rc = pack(m);
    }
    if (!rc)
        rc = open_scratch(m);
    if (rc) {
        tc_model_free(m);
        return rc;
    }
    *out = m;
    return TC_OK;
}

int tc_model_load(const char *path, struct tc_model **out)
{
    struct tc_buf bytes;
    struct tc_model_spec spec;
    char hash[65];
    tc_buf_init(&bytes, TC_MODEL_FILE_MAX);
    int rc = tc_model_read_file(path, &bytes);
    if (!rc)
        rc = tc_sha256_hex(bytes.data, bytes.len, hash);
    if (!rc)
        rc = tc_model_decode(bytes.data, bytes.len, path, &spec);
    tc_buf_release(&bytes);
    return rc ? rc : model_open(&spec, hash, out);
}

int tc_model_open(const struct tc_model_spec *spec, struct tc_model **out)
{
    struct tc_buf bytes;
    struct tc_model_spec own = *spec;
    char hash[65];
    tc_buf_init(&bytes, TC_MODEL_FILE_MAX);
    int rc = tc_model_encode(spec, &bytes);
    if (!rc)
        rc = tc_sha256_hex(bytes.data, bytes.len, hash);
    if (!rc)
        rc = tc_net_copy(&spec->net, &own.net);
    tc_buf_release(&bytes);
    return rc ? rc : model_open(&own, hash, out);
}

void tc_model_free(struct tc_model *m)
{
    if (!m)
        return;
    tc_weights_free(&m->input);
    tc_weights_free(&m->output);
    for (size_t l = 0; l < TC_NET_LAYERS_MAX; l++)
        tc_weights_free(&m->layer[l]);
    tc_model_spec_free(&m->spec);
    float *all[] = {m->z, m->a, m->b, m->h, m->c, m->join, m->y};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
    free(m->clipped);
    free(m->lstm);
    free(m->dense);
    free(m);
}

const struct tc_model_info *tc_model_info(const struct tc_model *m)
{
    return &m->spec.info;
}

size_t tc_model_state_size(const struct tc_model *m)
{
    const struct tc_model_info *info = &m->spec.info;
    size_t n = info->stateful ? 2 * (size_t)info->layers * m->wide : (size_t)info->window * m->fine;
    return sizeof(struct head) + n * sizeof(float); /* both are multiples of 16 floats */
}

void tc_model_state_reset(const struct tc_model *m, void *state)
{
    memset(state, 0, tc_model_state_size(m));
}

static float *body(void *state)
{
    return (float *)((char *)state + sizeof(struct head));
}

static float *hidden_of(const struct tc_model *m, void *state, size_t layer)
{
    return body(state) + 2 * layer * m->wide;
}

static float *cell_of(const struct tc_model *m, void *state, size_t layer)
{
    return hidden_of(m, state, layer) + m->wide;
}

static int check_inputs(const struct tc_model *m, const struct tc_model_row *rows, size_t n)
{
    for (size_t r = 0; r < n; r++)
        for (int32_t i = 0; i < m->spec.info.n_features; i++)
            if (!isfinite(rows[r].x[i]))
                return tc_fail(TC_EINPUT, "%s: feature %s of row %zu is no finite number", m->spec.info.id,
                               m->spec.info.features[i], r);
    return TC_OK;
}

static void scale_inputs(struct tc_model *m, const struct tc_model_row *rows, size_t n)
{
    const struct tc_model_spec *s = &m->spec;
    for (size_t r = 0; r < n; r++) {
        m->clipped[r] = false;
        for (int32_t i = 0; i < s->info.n_features; i++) {
            double z = (rows[r].x[i] - s->mean[i]) / s->sd[i];
            if (!(fabs(z) <= s->clip)) {
                z = z > 0 ? s->clip : -s->clip;
                m->clipped[r] = true;
            }
            m->z[r * m->fine + (size_t)i] = (float)z;
        }
    }
}

static double value_of(const struct tc_model *m, int32_t target, double raw)
{
    return raw * m->spec.scale[target] * m->spec.info.targets[target].shrink + m->spec.offset[target];
}

/* Means of the rows from the top layer's h, which stands in m->join, and their scaled features. */
static void give_outputs(struct tc_model *m, const float *z, struct tc_model_row *rows, size_t n)
{
    const struct tc_model_info *info = &m->spec.info;
    size_t pad = (size_t)tc_kern_pad(info->n_targets), stride = m->wide + m->fine;
    for (size_t r = 0; r < n; r++) {
        m->dense[r] = (struct tc_dense_row){m->join + r * stride, m->y + r * pad};
        if (info->skip)
            memcpy(m->join + r * stride + info->hidden, z + r * m->fine,
                   (size_t)m->spec.net.shape.features * sizeof(float));
    }
    m->kern->dense(&m->output, m->dense, n, false);
    for (size_t r = 0; r < n; r++)
        for (int32_t j = 0; j < info->n_targets; j++)
            rows[r].y[j] = value_of(m, j, (double)m->y[r * pad + (size_t)j]);
}

static void step_stateful(struct tc_model *m, struct tc_model_row *rows, size_t n)
{
    const struct tc_model_info *info = &m->spec.info;
    size_t layers = (size_t)info->layers, hidden = (size_t)info->hidden;
    size_t stride = m->wide + m->fine, width = m->fine;
    float *in = m->z, *out = m->b;
    if (info->input_size) {
        for (size_t r = 0; r < n; r++)
            m->dense[r] = (struct tc_dense_row){m->z + r * m->fine, m->a + r * m->inner};
        m->kern->dense(&m->input, m->dense, n, true);
        in = m->a;
        width = m->inner;
    }
    for (size_t l = 0; l < layers; l++) {
        bool top = l + 1 == layers;
        for (size_t r = 0; r < n; r++)
            m->lstm[r] = (struct tc_lstm_row){in + r * width, hidden_of(m, rows[r].state, l),
                                              cell_of(m, rows[r].state, l),
                                              top ? m->join + r * stride : out + r * m->wide};
        m->kern->lstm(&m->layer[l], m->lstm, n);
        for (size_t r = 0; r < n; r++)
            memcpy(hidden_of(m, rows[r].state, l), m->lstm[r].h_out, hidden * sizeof(float));
        in = out;
        out = in == m->b ? m->a : m->b;
        width = m->wide;
    }
    give_outputs(m, m->z, rows, n);
    for (size_t r = 0; r < n; r++)
        rows[r].ready = true;
}

/* One layer over the whole window: `in` [steps][n][width] gives `out` [steps][n][wide]. The last hidden state
 * is left in out's last step. */
static void run_layer(struct tc_model *m, size_t l, const float *in, size_t width, float *out, size_t steps,
                      size_t n)
{
    memset(m->c, 0, n * m->wide * sizeof(float));
    memset(m->h, 0, n * m->wide * sizeof(float));
    for (size_t t = 0; t < steps; t++) {
        for (size_t r = 0; r < n; r++)
            m->lstm[r] = (struct tc_lstm_row){in + (t * n + r) * width,
                                              t ? out + ((t - 1) * n + r) * m->wide : m->h + r * m->wide,
                                              m->c + r * m->wide, out + (t * n + r) * m->wide};
        m->kern->lstm(&m->layer[l], m->lstm, n);
    }
}

/* Inputs of layer 0 for every step of the rows' windows, oldest first, into m->a. */
static size_t gather_windows(struct tc_model *m, void *const *states, size_t steps, size_t n)
{
    const struct tc_model_info *info = &m->spec.info;
    for (size_t t = 0; t < steps; t++) {
        for (size_t r = 0; r < n; r++) {
            const struct head *head = states[r];
            const float *row = body(states[r]) + (head->at + t) % steps * m->fine;
            if (info->input_size)
                m->dense[r] = (struct tc_dense_row){row, m->a + (t * n + r) * m->inner};
            else
                memcpy(m->a + (t * n + r) * m->fine, row, m->fine * sizeof(float));
        }
        if (info->input_size)
            m->kern->dense(&m->input, m->dense, n, true);
    }
    return info->input_size ? m->inner : m->fine;
}

/* `ready` rows only: the window is computed afresh from the ring. */
static void run_windows(struct tc_model *m, const float *z, struct tc_model_row *rows, size_t n)
{
    void *states[WINDOW_ROWS];
    size_t steps = (size_t)m->spec.info.window, stride = m->wide + m->fine;
    for (size_t r = 0; r < n; r++)
        states[r] = rows[r].state;
    size_t width = gather_windows(m, states, steps, n);
    float *in = m->a, *out = m->b;
    for (size_t l = 0; l < (size_t)m->spec.info.layers; l++) {
        run_layer(m, l, in, width, out, steps, n);
        float *free_again = in;
        in = out;
        out = free_again;
        width = m->wide;
    }
    for (size_t r = 0; r < n; r++)
        memcpy(m->join + r * stride, in + ((steps - 1) * n + r) * m->wide, m->wide * sizeof(float));
    give_outputs(m, z, rows, n);
}

static void step_window(struct tc_model *m, struct tc_model_row *rows, size_t n)
{
    uint64_t steps = (uint64_t)m->spec.info.window;
    for (size_t r = 0; r < n; r++) {
        struct head *head = rows[r].state;
        memcpy(body(rows[r].state) + head->at * m->fine, m->z + r * m->fine, m->fine * sizeof(float));
        head->at = (head->at + 1) % steps;
        rows[r].ready = head->rows + 1 >= steps;
    }
    for (size_t r = 0; r < n;) { /* runs of rows whose windows are full */
        size_t end = r;
        while (end < n && rows[end].ready)
            end++;
        if (end > r)
            run_windows(m, m->z + r * m->fine, rows + r, end - r);
        r = end + 1;
    }
}

int tc_model_step(struct tc_model *m, struct tc_model_row *rows, size_t n)
{
    if (m->spec.info.block > 1)
        return tc_fail(TC_ECONF, "%s reads blocks of %d rows: it can be evaluated, not run", m->spec.info.id,
                       m->spec.info.block);
    int rc = check_inputs(m, rows, n);
    if (rc)
        return rc;
    unsigned mode = tc_kern_enter();
    for (size_t done = 0; done < n; done += m->chunk) {
        size_t some = n - done < m->chunk ? n - done : m->chunk;
        scale_inputs(m, rows + done, some);
        if (m->spec.info.stateful)
            step_stateful(m, rows + done, some);
        else
            step_window(m, rows + done, some);
        for (size_t r = 0; r < some; r++) {
            rows[done + r].out_of_domain = m->clipped[r];
            ((struct head *)rows[done + r].state)->rows++;
        }
    }
    tc_kern_leave(mode);
    return TC_OK;
}

/* --- evaluation ----------------------------------------------------------------------------------------- */
int32_t tc_model_width(const struct tc_model *m, bool scaled)
{
    return scaled ? m->spec.net.shape.features : m->spec.info.n_features;
}

static int check_eval(const struct tc_model *m, const double *x, size_t n, bool scaled)
{
    size_t width = (size_t)tc_model_width(m, scaled), block = scaled ? 1 : (size_t)m->spec.info.block;
    if (n == 0 || n % block)
        return tc_fail(TC_EINPUT, "%s: %zu rows, where a whole number of blocks of %zu is needed",
                       m->spec.info.id, n, block);
    for (size_t i = 0; i < n * width; i++)
        if (!isfinite(x[i]) || fabs(x[i]) > 1e15)
            return tc_fail(TC_EINPUT, "%s: number %zu of row %zu is not finite, or beyond 1e15",
                           m->spec.info.id, i % width + 1, i / width + 1);
    return TC_OK;
}

static double scaled_value(const struct tc_model_spec *s, const double *row, int32_t column)
{
    double z = (row[column] - s->mean[column]) / s->sd[column];
    return z > s->clip ? s->clip : z < -s->clip ? -s->clip : z;
}

/* The network's inputs from one step's rows: the scaled values themselves, or over a block their means, then
 * their maxima, minima and standard deviations (of the block as a whole population). */
static void eval_inputs(const struct tc_model *m, const double *rows, float *z)
{
    const struct tc_model_spec *s = &m->spec;
    int32_t n = s->info.n_features, block = s->info.block;
    for (int32_t i = 0; i < n; i++) {
        double first = scaled_value(s, rows, i), sum = 0, squares = 0, low = first, high = first;
        for (int32_t k = 0; k < block; k++) {
            double v = scaled_value(s, rows + (size_t)k * (size_t)n, i);
            sum += v - first; /* from the first value: prices differ little beside their level */
            squares += (v - first) * (v - first);
            low = v < low ? v : low;
            high = v > high ? v : high;
        }
        double mean = sum / block, var = squares / block - mean * mean;
        z[i] = (float)(block > 1 ? first + mean : first);
        if (block > 1) {
            z[n + i] = (float)high;
            z[2 * n + i] = (float)low;
            z[3 * n + i] = (float)sqrt(var > 0 ? var : 0);
        }
    }
}

/* One step of every layer: h before it is read from `h`, h after it written to `next`, [layers][wide]. */
static void eval_step(struct tc_model *m, const float *z, const float *h, float *c, float *next)
{
    const float *in = z;
    if (m->spec.info.input_size) {
        struct tc_dense_row row = {z, m->a};
        m->kern->dense(&m->input, &row, 1, true);
        in = m->a;
    }
    for (size_t l = 0; l < (size_t)m->spec.info.layers; l++) {
        struct tc_lstm_row row = {in, h + l * m->wide, c + l * m->wide, next + l * m->wide};
        m->kern->lstm(&m->layer[l], &row, 1);
        in = next + l * m->wide;
    }
}

/* `h`: zeroed room for 3 x `state` floats. Gives where h after the last step lies. */
static const float *eval_rows(struct tc_model *m, const double *x, size_t n, bool scaled, float *h,
                              size_t state)
{
    size_t width = (size_t)tc_model_width(m, scaled), rows = scaled ? 1 : (size_t)m->spec.info.block;
    float *now = h, *next = h + state, *c = h + 2 * state;
    for (size_t t = 0; t < n; t += rows) {
        for (size_t i = 0; i < width && scaled; i++)
            m->z[i] = (float)x[t * width + i];
        if (!scaled)
            eval_inputs(m, x + t * width, m->z);
        eval_step(m, m->z, now, c, next);
        float *old = now;
        now = next;
        next = old;
    }
    return now;
}

int tc_model_eval(struct tc_model *m, const double *x, size_t n, bool scaled, double *raw, double *value)
{
    size_t state = (size_t)m->spec.info.layers * m->wide;
    int rc = check_eval(m, x, n, scaled);
    float *room = rc ? NULL : floats(3 * state);
    if (!room)
        return rc ? rc : tc_fail(TC_ENOMEM, "no memory to evaluate a model");
    unsigned mode = tc_kern_enter();
    const float *h = eval_rows(m, x, n, scaled, room, state);
    memcpy(m->join, h + state - m->wide, m->wide * sizeof(float));
    struct tc_model_row row = {.y = value};
    give_outputs(m, m->z, &row, 1);
    for (int32_t j = 0; j < m->spec.info.n_targets; j++)
        raw[j] = (double)m->y[j];
    tc_kern_leave(mode);
    free(room);
    return TC_OK;
}
