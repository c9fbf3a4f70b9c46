#include "model/train.h"
#include "model/resume.h"

#include "base/err.h"
#include "wire/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double INPUT_CLIP = 6, TARGET_CLIP = 6; /* standard deviations */
enum { RELEASE_STEPS = 64 };      /* between two times that rows passed through leave memory */
static const double OUTLIER = 20; /* target units beyond which a move does not widen the scale */

void tc_train_conf_default(struct tc_train_conf *c)
{
    *c = (struct tc_train_conf){.input_size = 48,
                                .layers = 1,
                                .hidden = 48,
                                .skip = true,
                                .epochs = 20,
                                .patience = 8,
                                .piece = 160,
                                .burn_in = 48,
                                .stride = 4,
                                .batch = 24,
                                .rate = 4e-3,
                                .skip_share = 0.1,
                                .weight_decay = 1e-3,
                                .clip_norm = 1,
                                .dropout = 0.1,
                                .loss = TC_LOSS_SQUARED,
                                .delta = 1,
                                .seed = 1};
}

double tc_train_target_weight(const struct tc_model_target *t)
{
    return t->horizon_ms <= 1000 ? 1 : t->horizon_ms <= 10000 ? 0.3 : 0.03;
}

static double ridge_lambda(const struct tc_model_target *t)
{
    return t->horizon_ms <= 1000 ? 0.01 : t->horizon_ms <= 10000 ? 0.3 : 3;
}

/* One sequence: rows from..from+have of the flat arrays; the first `quiet` carry no loss. */
struct piece {
    size_t from, have, quiet;
};

struct trainer {
    const struct tc_train_conf *conf;
    const struct tc_train_data *train, *val;
    struct tc_model_spec *spec;
    size_t features, targets, rows, steps; /* steps of a sequence */
    float *z, *y;                          /* training rows, scaled and clipped, series after series */
    float *w;                              /* weight of each target of each row in the loss, 0 = not known */
    struct piece *pieces;
    size_t n_pieces;
    struct tc_bptt *bptt;
    struct tc_rng rng;
    float *grad;
    struct tc_adam adam;
    float *bz, *by, *bw;       /* one batch */
    double *predicted, *ridge; /* of the validation rows, without shrink */
    float *best;               /* parameters of the best epoch */
    double best_score;
    int64_t updates_max;
};

static int check_data(const struct tc_train_data *data, size_t features, size_t targets, const char *span)
{
    if (!tc_train_rows(data))
        return tc_fail(TC_EINPUT, "no rows in the %s span", span);
    for (size_t s = 0; s < data->n; s++) {
        const struct tc_series *v = &data->series[s];
        for (size_t i = 0; i < v->rows * features; i++)
            if (!isfinite(v->x[i]))
                return tc_fail(TC_EINPUT,
                               "series %zu of the %s span: row %zu has an input that is no finite number", s,
                               span, i / features);
        for (size_t i = 0; i < v->rows * targets; i++)
            if (v->mask[i] && !isfinite(v->y[i]))
                return tc_fail(TC_EINPUT,
                               "series %zu of the %s span: row %zu has a target that is no finite number", s,
                               span, i / targets);
    }
    return TC_OK;
}

static void fit_inputs(struct trainer *t)
{
    double rows = (double)t->rows;
    for (size_t i = 0; i < t->features; i++) {
        double sum = 0, squares = 0;
        for (size_t s = 0; s < t->train->n; s++)
            for (size_t r = 0; r < t->train->series[s].rows; r++)
                sum += t->train->series[s].x[r * t->features + i];
        double mean = sum / rows;
        for (size_t s = 0; s < t->train->n; s++)
            for (size_t r = 0; r < t->train->series[s].rows; r++)
                squares += pow(t->train->series[s].x[r * t->features + i] - mean, 2);
        t->spec->mean[i] = mean;
        t->spec->sd[i] = sqrt(squares / rows) + 1e-9;
    }
    t->spec->low = -INPUT_CLIP;
    t->spec->high = INPUT_CLIP;
}

static int fit_targets(struct trainer *t)
{
    for (size_t j = 0; j < t->targets; j++) {
        double squares = 0;
        int64_t n = 0;
        for (size_t s = 0; s < t->train->n; s++)
            for (size_t r = 0; r < t->train->series[s].rows; r++)
                if (t->train->series[s].mask[r * t->targets + j]) {
                    double y = fmin(fabs(t->train->series[s].y[r * t->targets + j]), OUTLIER);
                    squares += y * y;
                    n++;
                }
        if (n < 100 || !(squares > 0))
            return tc_fail(
                TC_EINPUT,
                "target %s %d ms has %lld known moves in the training span; it takes 100 that are not all 0",
                tc_kind_name(t->spec->info.targets[j].kind), t->spec->info.targets[j].horizon_ms,
                (long long)n);
        t->spec->scale[j] = sqrt(squares / (double)n);
    }
    return TC_OK;
}

/* Is no series before s of the same group? */
static bool first_of_group(const struct tc_train_data *data, size_t s)
{
    for (size_t k = 0; k < s; k++)
        if (data->series[k].group == data->series[s].group)
            return false;
    return true;
}

static double clip(double v, double bound)
{
    return fmax(-bound, fmin(bound, v));
}

static void scale_rows(struct trainer *t)
{
    size_t row = 0;
    for (size_t s = 0; s < t->train->n; s++)
        for (size_t r = 0; r < t->train->series[s].rows; r++, row++) {
            const struct tc_series *v = &t->train->series[s];
            for (size_t i = 0; i < t->features; i++) {
                double z = (v->x[r * t->features + i] - t->spec->mean[i]) / t->spec->sd[i];
                t->z[row * t->features + i] = (float)clip(z, INPUT_CLIP);
            }
            for (size_t j = 0; j < t->targets; j++) {
                bool known = v->mask[r * t->targets + j];
                t->w[row * t->targets + j] = !known ? 0 : v->weight ? (float)v->weight[r] : 1;
                t->y[row * t->targets + j] =
                    known ? (float)clip(v->y[r * t->targets + j] / t->spec->scale[j], TARGET_CLIP) : 0.0f;
            }
        }
}

/* Every group's squared outcomes count the same in all, so that neither the busiest nor the wildest symbol
 * decides. */
static void balance_group(struct trainer *t, int32_t group, size_t groups)
{
    for (size_t j = 0; j < t->targets; j++) {
        double squares = 0, known = 0;
        for (int pass = 0; pass < 2; pass++)
            for (size_t s = 0, from = 0; s < t->train->n; from += t->train->series[s++].rows)
                for (size_t r = from; r < from + t->train->series[s].rows; r++) {
                    float *w = &t->w[r * t->targets + j], y = t->y[r * t->targets + j];
                    known += !pass && *w > 0;
                    if (t->train->series[s].group != group || !(*w > 0))
                        continue;
                    if (pass)
                        *w *= (float)(known / (double)groups / fmax(squares, 1));
                    else
                        squares += (double)*w * (double)y * (double)y;
                }
    }
}

static void balance(struct trainer *t)
{
    size_t groups = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t s = 0; s < t->train->n; s++)
            if (first_of_group(t->train, s)) {
                if (pass)
                    balance_group(t, t->train->series[s].group, groups);
                else
                    groups++;
            }
}

/* Stateful: overlapping pieces, the first of a series without burn-in (its zero state is the true one).
 * Window: every stride-th full window, loss on its last row. */
static void cut_pieces(struct trainer *t)
{
    t->n_pieces = 0;
    bool stateful = t->spec->info.stateful;
    size_t burn = !stateful ? t->steps - 1 : t->conf->piece ? (size_t)t->conf->burn_in : 0;
    size_t stride = stateful ? t->steps - burn : (size_t)t->conf->stride;
    for (size_t s = 0, from = 0; s < t->train->n; from += t->train->series[s++].rows) {
        size_t rows = t->train->series[s].rows;
        for (size_t a = 0; a == 0 || a + burn < rows; a += stride) {
            size_t have = rows - a < t->steps ? rows - a : t->steps;
            if (!stateful && have < t->steps)
                break;
            t->pieces[t->n_pieces++] = (struct piece){from + a, have, stateful && a == 0 ? 0 : burn};
        }
    }
}

/* In place Cholesky of the n x n matrix a, then the solution of a w = b in b. False when a is not positive.
 */
static bool solve(double *a, double *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (size_t k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > 0))
                return false;
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            b[i] -= a[i * n + k] * b[k];
        b[i] /= a[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            b[i] -= a[k * n + i] * b[k];
        b[i] /= a[i * n + i];
    }
    return true;
}

/* w of (Z'Z + lambda n 1) w = Z'y for one target, rows weighted as in the loss. */
static int solve_ridge(struct trainer *t, size_t j, float *w)
{
    size_t d = t->features;
    double a[TC_MODEL_FEATURES_MAX * TC_MODEL_FEATURES_MAX] = {0}, b[TC_MODEL_FEATURES_MAX] = {0}, n = 0;
    for (size_t r = 0; r < t->rows; r++) {
        const float *z = t->z + r * d;
        double weight = (double)t->w[r * t->targets + j];
        if (!(weight > 0))
            continue;
        n += weight;
        for (size_t i = 0; i < d; i++) {
            b[i] += weight * (double)z[i] * (double)t->y[r * t->targets + j];
            for (size_t k = 0; k <= i; k++)
                a[i * d + k] += weight * (double)z[i] * (double)z[k];
        }
    }
    for (size_t i = 0; i < d; i++)
        a[i * d + i] += ridge_lambda(&t->spec->info.targets[j]) * n;
    if (!solve(a, b, d))
        return tc_fail(TC_EINTERNAL, "ridge has no solution");
    for (size_t i = 0; i < d; i++)
        w[i] = (float)b[i];
    return TC_OK;
}

/* The ridge solution as a network whose LSTM says nothing, and what it says on the validation rows. */
static int make_ridge(struct trainer *t, struct tc_net *ridge)
{
    struct tc_net_shape shape = {.features = t->spec->info.n_features,
                                 .layers = 1,
                                 .hidden = 1,
                                 .targets = t->spec->info.n_targets,
                                 .skip = true};
    struct tc_model_spec spec = *t->spec;
    int rc = tc_net_open(&shape, ridge);
    for (size_t j = 0; j < t->targets && !rc; j++)
        rc = solve_ridge(t, j, ridge->w_skip + j * t->features);
    spec.net = *ridge;
    return rc ? rc : tc_train_predict(&spec, t->val, t->ridge);
}

/* PyTorch's start values (uniform within 1/sqrt of the layer's size), W_out 0. */
static void start_net(struct trainer *t, const struct tc_net *ridge)
{
    struct tc_net *net = &t->spec->net;
    struct tc_net_part parts[TC_NET_TENSORS_MAX];
    size_t n = tc_net_parts(net, parts);
    for (size_t p = 0; p < n; p++) {
        int32_t size = strncmp(parts[p].name, "lstm.", 5) == 0    ? net->shape.hidden
                       : strncmp(parts[p].name, "input.", 6) == 0 ? net->shape.features
                                                                  : 0;
        size_t count = (size_t)parts[p].rows * (size_t)(parts[p].cols ? parts[p].cols : 1);
        for (size_t i = 0; i < count && size; i++)
            parts[p].p[i] = (float)((2 * tc_rng_uniform(&t->rng) - 1) / sqrt((double)size));
    }
    if (net->shape.skip)
        memcpy(net->w_skip, ridge->w_skip, t->targets * t->features * sizeof(float));
    else /* without a linear path W_out must not stay where it gives no gradient below it */
        for (size_t i = 0; i < t->targets * (size_t)net->shape.hidden; i++)
            net->w_out[i] = (float)(0.1 * (2 * tc_rng_uniform(&t->rng) - 1));
}

/* An array as long as the rows, where they are kept. */
static void *take_rows(const struct trainer *t, size_t bytes)
{
    return t->conf->spill ? tc_spill_take(t->conf->spill, bytes) : calloc(1, bytes);
}

/* Rows that were passed through need not stay in memory. */
static void release_rows(const struct trainer *t)
{
    size_t val = tc_train_rows(t->val) * t->targets * sizeof(double);
    if (!t->conf->spill)
        return;
    tc_spill_release(t->conf->spill, t->z, t->rows * t->features * sizeof(float));
    tc_spill_release(t->conf->spill, t->y, t->rows * t->targets * sizeof(float));
    tc_spill_release(t->conf->spill, t->w, t->rows * t->targets * sizeof(float));
    tc_spill_release(t->conf->spill, t->predicted, val);
    tc_spill_release(t->conf->spill, t->ridge, val);
}

static int allocate(struct trainer *t)
{
    size_t params = t->spec->net.n, batch = (size_t)t->conf->batch, val = tc_train_rows(t->val) * t->targets;
    t->z = take_rows(t, t->rows * t->features * sizeof(float));
    t->y = take_rows(t, t->rows * t->targets * sizeof(float));
    t->w = take_rows(t, t->rows * t->targets * sizeof(float));
    t->pieces = calloc(t->rows + t->train->n, sizeof(*t->pieces));
    t->grad = calloc(params, sizeof(float));
    t->adam.m1 = calloc(params, sizeof(float));
    t->adam.m2 = calloc(params, sizeof(float));
    t->best = calloc(params, sizeof(float));
    t->bz = calloc(t->steps * batch * t->features, sizeof(float));
    t->by = calloc(t->steps * batch * t->targets, sizeof(float));
    t->bw = calloc(t->steps * batch * t->targets, sizeof(float));
    t->predicted = take_rows(t, val * sizeof(double));
    t->ridge = take_rows(t, val * sizeof(double));
    if (!t->z || !t->y || !t->w || !t->pieces || !t->grad || !t->adam.m1 || !t->adam.m2 || !t->best ||
        !t->bz || !t->by || !t->bw || !t->predicted || !t->ridge)
        return tc_fail(TC_ENOMEM, "no memory to train on %zu rows", t->rows);
    return TC_OK;
}

static void trainer_close(struct trainer *t)
{
    void *rows[] = {t->z, t->y, t->w, t->predicted, t->ridge};
    void *others[] = {t->pieces, t->grad, t->adam.m1, t->adam.m2, t->best, t->bz, t->by, t->bw};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !t->conf->spill; i++)
        free(rows[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        free(others[i]);
    tc_bptt_close(t->bptt);
}

static int check_conf(const struct tc_train_conf *c, const struct tc_model_spec *spec)
{
    if (c->epochs < 0 || c->batch < 1 || c->batch > 4096 || c->patience < 1 || c->stride < 1)
        return tc_fail(TC_ECONF, "training: epochs, batch, patience or stride is out of range");
    if (spec->info.stateful && c->piece != 0 &&
        (c->piece < 2 || c->piece > TC_NET_WINDOW_MAX || c->burn_in < 0 || c->burn_in >= c->piece))
        return tc_fail(TC_ECONF,
                       "training: a piece of %d rows with %d of burn-in leaves nothing to learn from",
                       c->piece, c->burn_in);
    if (!spec->info.stateful && (spec->info.window < 1 || spec->info.window > TC_NET_WINDOW_MAX))
        return tc_fail(TC_ECONF, "training: a window of %d rows is not within 1 to %d", spec->info.window,
                       TC_NET_WINDOW_MAX);
    if (!(c->dropout >= 0 && c->dropout < 1) || !(c->rate > 0) || !(c->delta > 0) ||
        (c->loss == TC_LOSS_QUANTILE && !(c->quantile > 0 && c->quantile < 1)) || !(c->weight_decay >= 0))
        return tc_fail(TC_ECONF, "training: dropout, rate, decay, delta or quantile is out of range");
    return TC_OK;
}

/* Rows of a sequence: whole series where back-propagation is not truncated. */
static size_t piece_rows(const struct trainer *t)
{
    size_t longest = 0;
    for (size_t i = 0; i < t->train->n; i++)
        longest = t->train->series[i].rows > longest ? t->train->series[i].rows : longest;
    return t->conf->piece ? (size_t)t->conf->piece : longest;
}

static int trainer_open(struct trainer *t, struct tc_net *ridge)
{
    struct tc_model_spec *spec = t->spec;
    const struct tc_kern *kern;
    struct tc_net_shape shape = {.features = spec->info.n_features,
                                 .input_size = t->conf->input_size,
                                 .layers = t->conf->layers,
                                 .hidden = t->conf->hidden,
                                 .targets = spec->info.n_targets,
                                 .skip = t->conf->skip};
    for (int32_t j = 0; j < spec->info.n_targets && j < TC_MODEL_TARGETS_MAX; j++)
        spec->info.targets[j].shrink = 1;
    t->features = (size_t)shape.features;
    t->targets = (size_t)shape.targets;
    t->rows = tc_train_rows(t->train);
    t->steps = spec->info.stateful ? piece_rows(t) : (size_t)spec->info.window;
    t->adam = (struct tc_adam){.kind = t->conf->optimizer, .decay = t->conf->weight_decay};
    tc_rng_seed(&t->rng, t->conf->seed);
    int rc = check_conf(t->conf, spec);
    rc = rc ? rc : check_data(t->train, t->features, t->targets, "training");
    rc = rc ? rc : check_data(t->val, t->features, t->targets, "validation");
    rc = rc ? rc : tc_net_open(&shape, &spec->net);
    rc = rc ? rc : allocate(t);
    rc = rc ? rc : tc_kern_choose(&kern);
    rc = rc ? rc : tc_bptt_open(&shape, kern, t->steps, (size_t)t->conf->batch, &t->bptt);
    if (rc)
        return rc;
    tc_bptt_team(t->bptt, t->conf->team);
    fit_inputs(t);
    rc = fit_targets(t);
    if (rc)
        return rc;
    scale_rows(t);
    balance(t);
    cut_pieces(t);
    if (!t->n_pieces)
        return tc_fail(TC_EINPUT, "no series of the training span is as long as the window of %d rows",
                       spec->info.window);
    t->updates_max = (int64_t)t->conf->epochs *
                     (int64_t)((t->n_pieces + (size_t)t->conf->batch - 1) / (size_t)t->conf->batch);
    rc = make_ridge(t, ridge);
    if (!rc)
        start_net(t, ridge);
    release_rows(t);
    for (size_t i = 0; i < t->train->n && t->conf->spill; i++) /* not looked at any more */
        tc_spill_release(t->conf->spill, t->train->series[i].x,
                         t->train->series[i].rows * t->features * sizeof(double));
    return rc;
}

/* Copies some pieces side by side, time-major; on average every target's weights add up to its weight in the
 * loss. */
static void fill_batch(struct trainer *t, const struct piece *pieces, size_t rows)
{
    memset(t->bz, 0, t->steps * rows * t->features * sizeof(float));
    memset(t->bw, 0, t->steps * rows * t->targets * sizeof(float));
    for (size_t r = 0; r < rows; r++)
        for (size_t s = 0; s < pieces[r].have; s++) {
            size_t from = pieces[r].from + s, to = s * rows + r;
            memcpy(t->bz + to * t->features, t->z + from * t->features, t->features * sizeof(float));
            memcpy(t->by + to * t->targets, t->y + from * t->targets, t->targets * sizeof(float));
            for (size_t j = 0; j < t->targets; j++)
                t->bw[to * t->targets + j] = s >= pieces[r].quiet ? t->w[from * t->targets + j] : 0.0f;
        }
    for (size_t j = 0; j < t->targets; j++) {
        double n = 0;
        for (size_t i = 0; i < t->steps * rows; i++)
            n += t->bw[i * t->targets + j] > 0;
        double each = tc_train_target_weight(&t->spec->info.targets[j]) / fmax(n, 1);
        for (size_t i = 0; i < t->steps * rows; i++)
            t->bw[i * t->targets + j] *= (float)each;
    }
}

static void update(struct trainer *t)
{
    struct tc_net *net = &t->spec->net;
    double at = (double)t->adam.updates / (double)t->updates_max;
    double rate = tc_schedule_rate(t->conf->schedule, t->conf->rate, at);
    size_t skip = net->w_skip ? (size_t)(net->w_skip - net->p) : net->n;
    tc_clip_norm(t->grad, net->n, t->conf->clip_norm);
    tc_adam_begin(&t->adam);
    tc_adam_move(&t->adam, 0, skip, t->grad, rate, net->p);
    tc_adam_move(&t->adam, skip, net->n, t->grad, rate * t->conf->skip_share, net->p);
}

static void shuffle(struct trainer *t)
{
    for (size_t i = t->n_pieces; i > 1; i--) {
        size_t j = (size_t)tc_rng_below(&t->rng, i);
        struct piece p = t->pieces[i - 1];
        t->pieces[i - 1] = t->pieces[j];
        t->pieces[j] = p;
    }
}

/* Sums of one target over the validation rows. Outcomes are clipped as in training, so that one bad print
 * does not choose the model, and every group counts the same, whatever its rows. */
struct sums {
    double yy, fy, ff; /* outcome and forecast */
    double dd, de;     /* forecast minus ridge; that times (outcome minus ridge) */
    double loss, none; /* quantile loss of the forecast, and of 0 */
};

/* Quantile (pinball) loss of an outcome that is e above the forecast. */
static double pinball(const struct trainer *t, double e)
{
    return e > 0 ? t->conf->quantile * e : (t->conf->quantile - 1) * e;
}

static void add_group(const struct trainer *t, const double *predicted, size_t j, int32_t group,
                      struct sums *out)
{
    struct sums s = {0};
    double bound = TARGET_CLIP * t->spec->scale[j];
    for (size_t i = 0, at = 0; i < t->val->n; at += t->val->series[i++].rows) {
        const struct tc_series *v = &t->val->series[i];
        for (size_t r = 0; r < v->rows && v->group == group; r++) {
            double f = predicted[(at + r) * t->targets + j], z = t->ridge[(at + r) * t->targets + j];
            double y = clip(v->y[r * t->targets + j], bound);
            if (!v->mask[r * t->targets + j] || !isfinite(f))
                continue;
            double w = v->weight ? v->weight[r] : 1;
            s.yy += w * y * y;
            s.fy += w * f * y;
            s.ff += w * f * f;
            s.dd += w * (f - z) * (f - z);
            s.de += w * (f - z) * (y - z);
            s.loss += w * pinball(t, y - f);
            s.none += w * pinball(t, y);
        }
    }
    if (!(s.yy > 0))
        return;
    out->yy += 1;
    out->fy += s.fy / s.yy;
    out->ff += s.ff / s.yy;
    out->dd += s.dd / s.yy;
    out->de += s.de / s.yy;
    out->loss += s.loss / s.none;
    out->none += 1;
}

static struct sums add_up(const struct trainer *t, const double *predicted, size_t j)
{
    struct sums s = {0};
    for (size_t i = 0; i < t->val->n; i++)
        if (first_of_group(t->val, i))
            add_group(t, predicted, j, t->val->series[i].group, &s);
    return s;
}

/* The factor within 0 to 1 that suits the validation rows best, and the mean square ratio to persistence that
 * it gives. */
static double best_shrink(const struct sums *s, double *square_ratio)
{
    double g = s->ff > 0 ? fmax(0, fmin(1, s->fy / s->ff)) : 0;
    *square_ratio = s->yy > 0 ? (s->yy - 2 * g * s->fy + g * g * s->ff) / s->yy : 1;
    return g;
}

static int evaluate(struct trainer *t, struct tc_train_progress *p)
{
    int rc = tc_train_predict(t->spec, t->val, t->predicted);
    double weights = 0, sum = 0;
    for (size_t j = 0; j < t->targets && !rc; j++) {
        double w = tc_train_target_weight(&t->spec->info.targets[j]), square;
        const struct sums found = add_up(t, t->predicted, j);
        best_shrink(&found, &square);
        p->ratio[j] = sqrt(square);
        if (t->conf->loss == TC_LOSS_QUANTILE)
            square = p->ratio[j] = found.none > 0 ? found.loss / found.none : 1;
        weights += w;
        sum += w * square;
    }
    p->score = sum / weights;
    p->epoch_done = true;
    p->best = p->score < t->best_score - 1e-7;
    if (p->best && !rc) {
        t->best_score = p->score;
        memcpy(t->best, t->spec->net.p, t->spec->net.n * sizeof(float));
    }
    return rc;
}

typedef bool (*progress_fn)(void *ctx, const struct tc_train_progress *p);

/* TC_DONE when the listener wants no more. */
static int run_epoch(struct trainer *t, struct tc_train_progress *p, progress_fn progress, void *ctx)
{
    size_t batch = (size_t)t->conf->batch;
    double sum = 0;
    p->epoch_done = false;
    p->steps = (t->n_pieces + batch - 1) / batch;
    cut_pieces(t); /* so that an epoch's order is a function of the random state at its start */
    shuffle(t);
    for (p->step = 0; p->step < p->steps; p->step++) {
        size_t from = p->step * batch, rows = t->n_pieces - from < batch ? t->n_pieces - from : batch;
        double loss;
        fill_batch(t, t->pieces + from, rows);
        const struct tc_bptt_batch b = {.rows = rows,
                                        .z = t->bz,
                                        .y = t->by,
                                        .w = t->bw,
                                        .loss = t->conf->loss,
                                        .delta = t->conf->delta,
                                        .quantile = t->conf->quantile,
                                        .dropout = t->conf->dropout,
                                        .rng = &t->rng};
        int rc = tc_bptt_gradient(t->bptt, &t->spec->net, &b, t->grad, &loss);
        if (rc)
            return rc;
        if (!isfinite(loss))
            return tc_fail(TC_EINPUT,
                           "training diverged in epoch %d: the loss is no number; a lower rate may help",
                           p->epoch);
        sum += loss;
        update(t);
        if (p->step % RELEASE_STEPS == 0)
            release_rows(t);
        if (progress && !progress(ctx, p))
            return TC_DONE;
    }
    p->train_loss = sum / (double)p->steps;
    return TC_OK;
}

/* Everything that the result depends on, as one hash. */
static int make_key(const struct trainer *t, char key[static 65])
{
    const struct tc_train_conf *c = t->conf;
    const struct tc_model_info *info = &t->spec->info;
    char text[1024], val[65];
    const struct tc_kern *kern;
    size_t rows = tc_train_rows(t->val) * t->targets;
    int rc = tc_kern_choose(&kern);
    rc =
        rc ? rc : tc_sha256_hex(t->ridge, rows * sizeof(double), val); /* stands for all rows of both spans */
    if (rc)
        return rc;
    int n = snprintf(text, sizeof(text),
                     "%s %s %s %d %d %d %d %d %d %d %d %d %d %d %.17g %.17g %.17g %.17g %.17g %d %.17g %llu",
                     val, info->data_sha256, kern->name, info->stateful, info->window, c->input_size,
                     c->layers, c->hidden, c->skip, c->epochs, c->patience, c->piece, c->burn_in, c->stride,
                     c->rate, c->skip_share, c->weight_decay, c->clip_norm, c->dropout, (int)c->loss,
                     c->delta, (unsigned long long)c->seed);
    n += snprintf(text + n, sizeof(text) - (size_t)n, " %d %d %d %.17g", c->batch, (int)c->schedule,
                  (int)c->optimizer, c->quantile);
    return tc_sha256_hex(text, (size_t)n, key);
}

/* The trainer's own arrays and numbers, to be written or filled. */
static int describe_state(struct trainer *t, const struct tc_train_result *out, int32_t epoch,
                          struct tc_train_state *s)
{
    *s = (struct tc_train_state){.epoch = epoch,
                                 .best_epoch = out->best_epoch,
                                 .updates = t->adam.updates,
                                 .best_score = t->best_score,
                                 .rng = t->rng,
                                 .n = t->spec->net.n,
                                 .params = t->spec->net.p,
                                 .m1 = t->adam.m1,
                                 .m2 = t->adam.m2,
                                 .best = t->best};
    return make_key(t, s->key);
}

static int write_state(struct trainer *t, const struct tc_train_result *out, int32_t epoch)
{
    struct tc_train_state s;
    if (!t->conf->state_path)
        return TC_OK;
    int rc = describe_state(t, out, epoch, &s);
    return rc ? rc : tc_train_state_write(t->conf->state_path, &s);
}

static int read_state(struct trainer *t, struct tc_train_result *out)
{
    struct tc_train_state s;
    int rc = describe_state(t, out, 0, &s);
    rc = rc ? rc : tc_train_state_read(t->conf->state_path, &s);
    if (rc)
        return rc;
    t->adam.updates = s.updates;
    t->best_score = s.best_score;
    t->rng = s.rng;
    out->best_epoch = s.best_epoch;
    out->epochs = s.epoch;
    return TC_OK;
}

/* Epoch 0, or what an earlier run left. TC_DONE when the listener wants no more. */
static int begin_epochs(struct trainer *t, struct tc_train_progress *p, progress_fn progress, void *ctx,
                        struct tc_train_result *out)
{
    t->best_score = INFINITY;
    if (t->conf->resume && t->conf->state_path)
        return read_state(t, out);
    int rc = evaluate(t, p);
    rc = rc ? rc : write_state(t, out, 0);
    return !rc && progress && !progress(ctx, p) ? TC_DONE : rc;
}

static int run_epochs(struct trainer *t, progress_fn progress, void *ctx, struct tc_train_result *out)
{
    struct tc_train_progress p = {.epochs = t->conf->epochs, .train_loss = NAN};
    int rc = begin_epochs(t, &p, progress, ctx, out);
    for (p.epoch = out->epochs + 1;
         p.epoch <= t->conf->epochs && !rc && p.epoch - out->best_epoch <= t->conf->patience; p.epoch++) {
        rc = run_epoch(t, &p, progress, ctx);
        rc = rc ? rc : evaluate(t, &p);
        if (rc)
            break;
        out->epochs = p.epoch;
        if (p.best)
            out->best_epoch = p.epoch;
        p.step = p.steps;
        rc = write_state(t, out, p.epoch);
        if (!rc && progress && !progress(ctx, &p))
            rc = TC_DONE;
    }
    return rc == TC_DONE ? TC_OK : rc;
}

/* The head of target j becomes ridge + share * (network - ridge); both are linear in [h, z]. */
static void mix_with_ridge(struct trainer *t, const struct tc_net *ridge, size_t j, double share)
{
    struct tc_net *net = &t->spec->net;
    size_t hidden = (size_t)net->shape.hidden;
    float a = (float)share;
    for (size_t i = 0; i < hidden; i++)
        net->w_out[j * hidden + i] *= a;
    net->b_out[j] *= a;
    for (size_t i = 0; i < t->features; i++) {
        float base = ridge->w_skip[j * t->features + i], *w = &net->w_skip[j * t->features + i];
        *w = base + a * (*w - base);
    }
}

/* Takes the best epoch. How far each target's head goes from ridge to the network is what the validation rows
 * say, so a target that the network has not learnt stays ridge. */
static int keep_best(struct trainer *t, struct tc_train_result *out)
{
    struct tc_net *net = &t->spec->net;
    double square;
    memcpy(net->p, t->best, net->n * sizeof(float));
    bool mean = t->conf->loss != TC_LOSS_QUANTILE; /* what follows is about means */
    int rc = tc_train_predict(t->spec, t->val, t->predicted);
    for (size_t j = 0; j < t->targets; j++)
        out->share[j] = 1;
    for (size_t j = 0; j < t->targets && net->w_skip && mean && !rc; j++) {
        const struct sums s = add_up(t, t->predicted, j);
        out->share[j] = s.dd > 0 ? fmax(0, fmin(1, s.de / s.dd)) : 0;
        mix_with_ridge(t, &out->ridge, j, out->share[j]);
    }
    rc = rc ? rc : tc_train_predict(t->spec, t->val, t->predicted);
    for (size_t j = 0; j < t->targets && !rc; j++) {
        const struct sums mixed = add_up(t, t->predicted, j), ridge = add_up(t, t->ridge, j);
        t->spec->info.targets[j].shrink = mean ? best_shrink(&mixed, &square) : 1;
        out->ridge_shrink[j] = best_shrink(&ridge, &square);
    }
    return rc ? rc : tc_train_predict(t->spec, t->val, t->predicted);
}

static void fill_figures(struct trainer *t, struct tc_train_result *out)
{
    size_t rows = tc_train_rows(t->val);
    for (size_t i = 0; i < rows * t->targets; i++)
        t->ridge[i] *= out->ridge_shrink[i % t->targets];
    for (size_t j = 0; j < t->targets; j++) {
        struct tc_model_target *target = &t->spec->info.targets[j];
        tc_train_compare(t->val, &t->spec->info, (int32_t)j, -1, t->predicted, t->ridge, &out->val[j]);
        target->val_ratio = out->val[j].ratio;
        target->val_dm_t = target->val_dm_t_least = out->val[j].dm_t;
        for (size_t i = 0; i < t->val->n; i++) {
            struct tc_train_figures one;
            if (!first_of_group(t->val, i))
                continue;
            tc_train_compare(t->val, &t->spec->info, (int32_t)j, t->val->series[i].group, t->predicted,
                             t->ridge, &one);
            if (!(one.dm_t >= target->val_dm_t_least)) /* NaN, nothing known, is the least */
                target->val_dm_t_least = one.dm_t;
        }
    }
    t->spec->info.trained_rows = (int64_t)t->rows;
    struct tc_model_info *info = &t->spec->info;
    if (t->conf->loss == TC_LOSS_HUBER)
        snprintf(info->loss, sizeof(info->loss), "huber");
    if (t->conf->loss == TC_LOSS_QUANTILE)
        snprintf(info->loss, sizeof(info->loss), "quantile %g", t->conf->quantile);
}

int tc_train(const struct tc_train_conf *conf, const struct tc_train_data *train,
             const struct tc_train_data *val, struct tc_model_spec *spec, progress_fn progress, void *ctx,
             struct tc_train_result *out)
{
    *out = (struct tc_train_result){0};
    struct trainer t = {.conf = conf, .train = train, .val = val, .spec = spec};
    int rc = trainer_open(&t, &out->ridge);
    rc = rc ? rc : run_epochs(&t, progress, ctx, out);
    rc = rc ? rc : keep_best(&t, out);
    if (!rc)
        fill_figures(&t, out);
    trainer_close(&t);
    if (rc) {
        tc_net_free(&out->ridge);
        tc_model_spec_free(spec);
    }
    return rc;
}
