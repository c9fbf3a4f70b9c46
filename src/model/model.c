#include "model/model.h"

#include "base/err.h"
#include "base/rng.h"
#include "base/num.h"
#include "model/model_priv.h"
#include "wire/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW_BYTES = 2 << 20, /* of the inputs of windows that are computed afresh */
};

/* Files that say "as it comes" for the clip say nothing about what is usual: a row is marked from so many
 * units of the scaler on. */
static const double DOMAIN = 6, NO_CLIP = 1e6;

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

static int open_stack(struct tc_model *m, struct tc_team *team)
{
    struct tc_stack *fresh;
    const struct tc_model_info *info = &m->spec.info;
    int rc = tc_stack_open(m->kern, team, m->layer, (size_t)info->layers, (size_t)info->window, &fresh);
    if (rc)
        return rc;
    tc_stack_close(m->stack);
    m->stack = fresh;
    return TC_OK;
}

int tc_model_team(struct tc_model *m, struct tc_team *team)
{
    int rc = m->spec.info.stateful ? TC_OK : open_stack(m, team);
    if (!rc)
        m->team = team;
    return rc;
}

static int open_scratch(struct tc_model *m)
{
    const struct tc_model_info *info = &m->spec.info;
    size_t widest = larger(m->wide, m->inner), rows = CHUNK;
    m->fresh = 1;
    if (!info->stateful) {
        size_t fit = WINDOW_BYTES / ((size_t)info->window * m->inner * sizeof(float));
        m->fresh = fit < 1 ? 1 : fit > CHUNK ? CHUNK : fit;
        rows = PIECE;
    }
    m->scaled = calloc(CHUNK * (size_t)info->n_features, sizeof(double));
    m->z = floats(CHUNK * m->fine);
    m->u = floats(CHUNK * m->inner);
    m->a = floats(rows * widest);
    m->b = floats(rows * larger(widest, m->fine));
    m->inputs = floats(info->stateful ? 1 : (size_t)info->window * m->fresh * m->inner);
    m->last = floats(m->fresh * m->wide);
    m->join = floats(CHUNK * (m->wide + m->fine));
    m->y = floats(CHUNK * (size_t)tc_kern_pad(info->n_targets));
    m->lstm = calloc(PIECE, sizeof(*m->lstm));
    m->dense = calloc(CHUNK, sizeof(*m->dense));
    if (!m->scaled || !m->z || !m->u || !m->a || !m->b || !m->inputs || !m->last || !m->join || !m->y ||
        !m->lstm || !m->dense)
        return tc_fail(TC_ENOMEM, "no memory to run a model of %d layers of %d units", info->layers,
                       info->hidden);
    return info->stateful ? TC_OK : open_stack(m, NULL);
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
        rc = tc_lstm_pack(m->kern, tc_net_layer_inputs(&net->shape, l), net->shape.hidden,
                          l || net->shape.input_size, net->layer[l].w_ih, net->layer[l].w_hh,
                          net->layer[l].b_ih, net->layer[l].b_hh, &m->layer[l]);
    return rc ? rc : pack_output(m);
}

/* Takes the spec over. `hash`: SHA-256 of the file. */
static int model_open(struct tc_model_spec *spec, const char *hash, const struct tc_kern *kern,
                      struct tc_model **out)
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
    m->low = m->spec.low > -NO_CLIP ? m->spec.low : -DOMAIN;
    m->high = m->spec.high < NO_CLIP ? m->spec.high : DOMAIN;
    m->inner = info->input_size ? (size_t)tc_kern_pad(info->input_size) : m->fine;
    m->kern = kern;
    int rc = kern ? TC_OK : tc_kern_choose(&m->kern);
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
    return rc ? rc : model_open(&spec, hash, NULL, out);
}

int tc_model_open(const struct tc_model_spec *spec, struct tc_model **out)
{
    struct tc_buf bytes;
    struct tc_model_spec own = *spec;
    char hash[65];
    own.card = NULL;
    tc_buf_init(&bytes, TC_MODEL_FILE_MAX);
    int rc = tc_model_encode(spec, &bytes);
    if (!rc)
        rc = tc_sha256_hex(bytes.data, bytes.len, hash);
    if (!rc)
        rc = tc_net_copy(&spec->net, &own.net);
    tc_buf_release(&bytes);
    return rc ? rc : model_open(&own, hash, NULL, out);
}

/* --- 16 bits ----------------------------------------------------------------------------------------------
 */
enum { TRIALS = 32, TRIAL_STEPS = 256 /* of a stateful network */ };

/* A walk that is drawn back to the middle of the scaler: values change from step to step as prices and
 * volumes do, and keep within two or three of its units. */
static void make_trial(struct tc_rng *rng, size_t steps, size_t width, double *x)
{
    for (size_t t = 0; t < steps; t++)
        for (size_t i = 0; i < width; i++)
            x[t * width + i] = 0.95 * (t ? x[(t - 1) * width + i] : 0) + 0.31 * tc_rng_normal(rng);
}

/* How far `b` moves an output of `a`, as a share of that output's spread over the trials; the worst of all.
 */
static int compare(struct tc_model *a, struct tc_model *b, double *worst)
{
    const struct tc_model_info *info = &a->spec.info;
    size_t steps = info->stateful ? TRIAL_STEPS : (size_t)info->window, k = (size_t)info->n_targets;
    size_t width = (size_t)tc_model_width(a, true);
    double y[TRIALS][TC_MODEL_TARGETS_MAX], z[TC_MODEL_TARGETS_MAX], value[TC_MODEL_TARGETS_MAX];
    double off[TC_MODEL_TARGETS_MAX] = {0}, *x = calloc(steps * width, sizeof(double));
    if (!x)
        return tc_fail(TC_ENOMEM, "no memory to try a network");
    struct tc_rng rng;
    tc_rng_seed(&rng, 1);
    int rc = TC_OK;
    for (size_t i = 0; i < TRIALS && !rc; i++) {
        make_trial(&rng, steps, width, x);
        rc = tc_model_eval(a, x, steps, true, y[i], value);
        rc = rc ? rc : tc_model_eval(b, x, steps, true, z, value);
        for (size_t j = 0; j < k && !rc; j++)
            off[j] = fmax(off[j], fabs(y[i][j] - z[j]));
    }
    free(x);
    *worst = 0;
    for (size_t j = 0; j < k && !rc; j++) {
        double mean = 0, squares = 0;
        for (size_t i = 0; i < TRIALS; i++)
            mean += y[i][j] / TRIALS;
        for (size_t i = 0; i < TRIALS; i++)
            squares += (y[i][j] - mean) * (y[i][j] - mean) / TRIALS;
        *worst = fmax(*worst, off[j] > 0 ? off[j] / sqrt(squares) : 0);
    }
    return rc;
}

/* Both stay whole; what stands in `a` is then the other one. */
static int exchange(struct tc_model *a, struct tc_model *b)
{
    struct tc_team *team = a->team;
    struct tc_model was = *a;
    *a = *b;
    *b = was;
    memcpy(a->spec.info.id, was.spec.info.id, sizeof(was.spec.info.id));
    return tc_model_team(a, team); /* a stack points into its model */
}

int tc_model_reduce(struct tc_model *m, char *why, size_t size)
{
    const struct tc_kern *kern = tc_kern_reduced();
    char text[160] = "this processor has no kernel of 16 bits";
    struct tc_model_spec own = m->spec;
    struct tc_model *other;
    double worst = 0;
    int rc = kern ? tc_net_copy(&m->spec.net, &own.net) : TC_AGAIN;
    rc = rc ? rc : model_open(&own, "", kern, &other);
    if (!rc) {
        rc = compare(m, other, &worst);
        bool good = worst <= TC_MODEL_REDUCED_MAX;
        snprintf(text, sizeof(text),
                 "%s moves an output by up to %.3g %% of its spread, %s the %.3g %% allowed", kern->name,
                 100 * worst, good ? "within" : "more than", 100 * TC_MODEL_REDUCED_MAX);
        rc = rc ? rc : good ? exchange(m, other) : TC_AGAIN;
        tc_model_free(other);
    }
    if (why && rc >= 0)
        snprintf(why, size, "%s", text);
    return rc;
}

void tc_model_free(struct tc_model *m)
{
    if (!m)
        return;
    tc_stack_close(m->stack);
    tc_weights_free(&m->input);
    tc_weights_free(&m->output);
    for (size_t l = 0; l < TC_NET_LAYERS_MAX; l++)
        tc_weights_free(&m->layer[l]);
    tc_model_spec_free(&m->spec);
    float *all[] = {m->z, m->u, m->a, m->b, m->inputs, m->last, m->join, m->y};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
    free(m->scaled);
    free(m->lstm);
    free(m->dense);
    free(m);
}

/* "2013-10-09" or "20131009" to yyyymmdd; 0 when there is none. */
static int32_t day_number(const char *text)
{
    char digits[9];
    size_t n = 0;
    for (; *text && n < 8; text++)
        if (*text >= '0' && *text <= '9')
            digits[n++] = *text;
    int64_t v;
    return n == 8 && tc_parse_int(digits, 8, &v) ? (int32_t)v : 0;
}

int32_t tc_model_seen_to(const struct tc_model_info *info)
{
    int32_t trained = day_number(info->trained_to), validated = day_number(info->validated_to);
    return trained > validated ? trained : validated;
}

const char *tc_model_card(const struct tc_model *m)
{
    return m->spec.card;
}

const struct tc_model_info *tc_model_info(const struct tc_model *m)
{
    return &m->spec.info;
}

size_t tc_model_state_size(const struct tc_model *m)
{
    const struct tc_model_info *info = &m->spec.info;
    size_t rows = (size_t)info->window * (size_t)info->block;
    if (!info->stateful && info->block > 1) /* to whole lines, which floats come in anyway */
        return sizeof(struct head) + (rows * (size_t)info->n_features + 7) / 8 * 8 * sizeof(double);
    size_t n = info->stateful ? 2 * (size_t)info->layers * m->wide : rows * m->fine;
    return sizeof(struct head) + n * sizeof(float);
}

void tc_model_state_reset(const struct tc_model *m, void *state)
{
    memset(state, 0, tc_model_state_size(m));
}

static float *hidden_of(const struct tc_model *m, void *state, size_t layer)
{
    return tc_model_body(state) + 2 * layer * m->wide;
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

static double scaled_value(const struct tc_model_spec *s, const double *row, int32_t column)
{
    double z = (row[column] - s->mean[column]) / s->sd[column];
    return z > s->high ? s->high : z < s->low ? s->low : z;
}

static void scale_inputs(struct tc_model *m, const struct tc_model_row *rows, size_t n)
{
    const struct tc_model_spec *s = &m->spec;
    size_t width = (size_t)s->info.n_features;
    for (size_t r = 0; r < n; r++) {
        m->clipped[r] = false;
        for (int32_t i = 0; i < s->info.n_features; i++) {
            double z = (rows[r].x[i] - s->mean[i]) / s->sd[i];
            if (!(z >= m->low && z <= m->high))
                m->clipped[r] = true;
            m->scaled[r * width + (size_t)i] = scaled_value(s, rows[r].x, i);
        }
    }
}

/* Scaled values themselves, or over a block their means, then their maxima, minima and standard deviations
 * (of the block as a whole population). */
void tc_model_block(const struct tc_model *m, const double *ring, size_t total, size_t from, float *z)
{
    size_t n = (size_t)m->spec.info.n_features, block = (size_t)m->spec.info.block;
    for (size_t i = 0; i < n; i++) {
        double first = ring[from * n + i], sum = 0, squares = 0, low = first, high = first;
        for (size_t k = 0, at = from; k < block; k++, at = at + 1 == total ? 0 : at + 1) {
            double v = ring[at * n + i];
            sum += v - first; /* from the first value: prices differ little beside their level */
            squares += (v - first) * (v - first);
            low = v < low ? v : low;
            high = v > high ? v : high;
        }
        double mean = sum / (double)block, var = squares / (double)block - mean * mean;
        z[i] = (float)(block > 1 ? first + mean : first);
        if (block > 1) {
            z[n + i] = (float)high;
            z[2 * n + i] = (float)low;
            z[3 * n + i] = (float)sqrt(var > 0 ? var : 0);
        }
    }
}

const float *tc_model_first(struct tc_model *m, const float *z, size_t n, float *room)
{
    if (!m->spec.info.input_size)
        return z;
    for (size_t r = 0; r < n; r++)
        m->dense[r] = (struct tc_dense_row){z + r * m->fine, room + r * m->inner};
    m->kern->dense(&m->input, m->dense, n, true);
    return room;
}

static double value_of(const struct tc_model *m, int32_t target, double raw)
{
    return raw * m->spec.scale[target] * m->spec.info.targets[target].shrink + m->spec.offset[target];
}

void tc_model_outputs(struct tc_model *m, struct tc_model_row *rows, const size_t *which, size_t n)
{
    const struct tc_model_info *info = &m->spec.info;
    size_t pad = (size_t)tc_kern_pad(info->n_targets), stride = m->wide + m->fine;
    for (size_t i = 0; i < n; i++) {
        m->dense[i] = (struct tc_dense_row){m->join + i * stride, m->y + i * pad};
        if (info->skip)
            memcpy(m->join + i * stride + info->hidden, m->z + which[i] * m->fine,
                   (size_t)m->spec.net.shape.features * sizeof(float));
    }
    m->kern->dense(&m->output, m->dense, n, false);
    for (size_t i = 0; i < n; i++)
        for (int32_t j = 0; j < info->n_targets; j++)
            rows[which[i]].y[j] = value_of(m, j, (double)m->y[i * pad + (size_t)j]);
}

static void step_stateful(struct tc_model *m, struct tc_model_row *rows, size_t n)
{
    const struct tc_model_info *info = &m->spec.info;
    size_t layers = (size_t)info->layers, hidden = (size_t)info->hidden;
    size_t features = (size_t)info->n_features, stride = m->wide + m->fine, width = m->inner, which[CHUNK];
    for (size_t r = 0; r < n; r++) {
        which[r] = r;
        for (size_t i = 0; i < features; i++)
            m->z[r * m->fine + i] = (float)m->scaled[r * features + i];
    }
    const float *in = tc_model_first(m, m->z, n, m->u);
    float *out = m->b;
    for (size_t l = 0; l < layers; l++) {
        bool top = l + 1 == layers;
        for (size_t r = 0; r < n; r++)
            m->lstm[r] = (struct tc_lstm_row){in + r * width, hidden_of(m, rows[r].state, l),
                                              cell_of(m, rows[r].state, l),
                                              top ? m->join + r * stride : out + r * m->wide};
        tc_team_lstm(m->team, m->kern, &m->layer[l], m->lstm, n);
        for (size_t r = 0; r < n; r++)
            memcpy(hidden_of(m, rows[r].state, l), m->lstm[r].h_out, hidden * sizeof(float));
        in = out;
        out = in == m->b ? m->a : m->b;
        width = m->wide;
    }
    tc_model_outputs(m, rows, which, n);
    for (size_t r = 0; r < n; r++) {
        rows[r].ready = true;
        ((struct head *)rows[r].state)->rows++;
    }
}

int tc_model_step(struct tc_model *m, struct tc_model_row *rows, size_t n)
{
    size_t at = 0;
    if (m->spec.info.stateful && m->spec.info.block > 1)
        return tc_fail(TC_ECONF, "%s carries its state over blocks of %d rows: it can be evaluated, not run",
                       m->spec.info.id, m->spec.info.block);
    int rc = check_inputs(m, rows, n);
    if (rc)
        return rc;
    while (tc_model_advance(m, rows, n, &at))
        ; /* what should have been done since their last step */
    unsigned mode = tc_kern_enter();
    for (size_t done = 0; done < n; done += CHUNK) {
        size_t some = n - done < CHUNK ? n - done : CHUNK;
        scale_inputs(m, rows + done, some);
        if (m->spec.info.stateful)
            step_stateful(m, rows + done, some);
        else
            tc_window_step(m, rows + done, some);
        for (size_t r = 0; r < some; r++)
            rows[done + r].out_of_domain = m->clipped[r];
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

/* The network's inputs from one step's rows. */
static void eval_inputs(const struct tc_model *m, const double *rows, double *scaled, float *z)
{
    size_t n = (size_t)m->spec.info.n_features, block = (size_t)m->spec.info.block;
    for (size_t k = 0; k < block; k++)
        for (size_t i = 0; i < n; i++)
            scaled[k * n + i] = scaled_value(&m->spec, rows + k * n, (int32_t)i);
    tc_model_block(m, scaled, block, 0, z);
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

/* The network's inputs of the step that begins at row t, into m->z. */
static void eval_inputs_at(struct tc_model *m, const double *x, size_t t, bool scaled, double *block)
{
    size_t width = (size_t)tc_model_width(m, scaled);
    for (size_t i = 0; i < width && scaled; i++)
        m->z[i] = (float)x[t * width + i];
    if (!scaled)
        eval_inputs(m, x + t * width, block, m->z);
}

/* `h`: zeroed room for 3 x `state` floats. Gives the last layer's h after the last step. */
static const float *eval_rows(struct tc_model *m, const double *x, size_t n, bool scaled, double *block,
                              float *h, size_t state)
{
    size_t rows = scaled ? 1 : (size_t)m->spec.info.block;
    float *now = h, *next = h + state, *c = h + 2 * state;
    for (size_t t = 0; t < n; t += rows) {
        eval_inputs_at(m, x, t, scaled, block);
        eval_step(m, m->z, now, c, next);
        float *old = now;
        now = next;
        next = old;
    }
    return now + state - m->wide;
}

/* The same of at most a window, layer after layer, which is faster. */
static const float *eval_window(struct tc_model *m, const double *x, size_t n, bool scaled, double *block)
{
    size_t rows = scaled ? 1 : (size_t)m->spec.info.block;
    for (size_t t = 0; t < n; t += rows) {
        eval_inputs_at(m, x, t, scaled, block);
        const float *first = tc_model_first(m, m->z, 1, m->u);
        memcpy(m->inputs + t / rows * m->inner, first, m->inner * sizeof(float));
    }
    tc_stack_run(m->stack, m->inputs, m->inner, n / rows, 1, m->last);
    return m->last;
}

int tc_model_eval(struct tc_model *m, const double *x, size_t n, bool scaled, double *raw, double *value)
{
    size_t state = (size_t)m->spec.info.layers * m->wide;
    int rc = check_eval(m, x, n, scaled);
    if (rc)
        return rc;
    float *room = floats(3 * state);
    double *block = calloc((size_t)m->spec.info.block * (size_t)m->spec.info.n_features, sizeof(double));
    if (!room || !block) {
        free(room);
        free(block);
        return tc_fail(TC_ENOMEM, "no memory to evaluate a model");
    }
    unsigned mode = tc_kern_enter();
    size_t steps = scaled ? n : n / (size_t)m->spec.info.block;
    bool fits = m->stack && steps <= (size_t)m->spec.info.window;
    const float *h =
        fits ? eval_window(m, x, n, scaled, block) : eval_rows(m, x, n, scaled, block, room, state);
    memcpy(m->join, h, m->wide * sizeof(float));
    struct tc_model_row row = {.y = value};
    size_t which = 0;
    tc_model_outputs(m, &row, &which, 1);
    for (int32_t j = 0; j < m->spec.info.n_targets; j++)
        raw[j] = (double)m->y[j];
    tc_kern_leave(mode);
    free(room);
    free(block);
    return TC_OK;
}
