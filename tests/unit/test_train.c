/* The gradient against finite differences of a float64 forward pass, and training on sequences whose law is
 * known. */
#include "base/err.h"
#include "base/rng.h"
#include "kern/team.h"
#include "model/train.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { STEPS = 6, ROWS = 3, WIDE = 16 };

static double sigmoid64(double x)
{
    return 1 / (1 + exp(-x));
}

/* A dense or recurrent product from a flat parameter array at *at, which moves on. */
static const double *part(const double **at, size_t n)
{
    const double *p = *at;
    *at += n;
    return p;
}

static void add_product(const double *w, const double *x, size_t rows, size_t cols, double *y)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            y[i] += w[i * cols + j] * x[j];
}

static void cell64(const double *w_ih, const double *w_hh, const double *b_ih, const double *b_hh, size_t in,
                   size_t h, const double *x, double *hidden, double *cell, double *next)
{
    double pre[4 * WIDE];
    for (size_t i = 0; i < 4 * h; i++)
        pre[i] = b_ih[i] + b_hh[i];
    add_product(w_ih, x, 4 * h, in, pre);
    add_product(w_hh, hidden, 4 * h, h, pre);
    for (size_t u = 0; u < h; u++) {
        cell[u] = sigmoid64(pre[h + u]) * cell[u] + sigmoid64(pre[u]) * tanh(pre[2 * h + u]);
        hidden[u] = next[u] = sigmoid64(pre[3 * h + u]) * tanh(cell[u]);
    }
}

static double term64(const struct tc_bptt_batch *b, double e)
{
    if (b->loss == TC_LOSS_HUBER && fabs(e) > b->delta)
        return b->delta * (2 * fabs(e) - b->delta);
    return e * e;
}

/* One step of one sequence: parameters in file order. */
static void output64(const struct tc_net_shape *s, const double *p, const float *z, double h[2][WIDE],
                     double c[2][WIDE], double *y)
{
    size_t d = (size_t)s->features, n = (size_t)s->hidden, k = (size_t)s->targets,
           units = (size_t)s->input_size;
    double x[WIDE] = {0}, in[WIDE] = {0};
    const double *at = p;
    for (size_t i = 0; i < d; i++)
        x[i] = in[i] = (double)z[i];
    if (units) {
        const double *w = part(&at, units * d), *bias = part(&at, units);
        memcpy(in, bias, units * sizeof(double));
        add_product(w, x, units, d, in);
        for (size_t i = 0; i < units; i++)
            in[i] = tanh(in[i]);
    }
    for (int32_t l = 0; l < s->layers; l++) {
        size_t inputs = (size_t)tc_net_layer_inputs(s, l);
        const double *w_ih = part(&at, 4 * n * inputs), *w_hh = part(&at, 4 * n * n),
                     *b_ih = part(&at, 4 * n);
        cell64(w_ih, w_hh, b_ih, part(&at, 4 * n), inputs, n, in, h[l], c[l], in);
    }
    const double *w_out = part(&at, k * n);
    memcpy(y, part(&at, k), k * sizeof(double));
    add_product(w_out, in, k, n, y);
    if (s->skip)
        add_product(part(&at, k * d), x, k, d, y);
}

static double loss64(const struct tc_net_shape *s, const double *p, const struct tc_bptt_batch *b)
{
    double loss = 0;
    size_t d = (size_t)s->features, k = (size_t)s->targets;
    for (size_t r = 0; r < ROWS; r++) {
        double h[2][WIDE] = {0}, c[2][WIDE] = {0}, y[WIDE];
        for (size_t t = 0; t < STEPS; t++) {
            output64(s, p, b->z + (t * ROWS + r) * d, h, c, y);
            for (size_t j = 0; j < k; j++) {
                size_t at = (t * ROWS + r) * k + j;
                loss += (double)b->w[at] * term64(b, y[j] - (double)b->y[at]);
            }
        }
    }
    return loss;
}

static void check_gradient(const struct tc_kern *kern, struct tc_net_shape s, enum tc_loss kind)
{
    struct tc_rng rng;
    tc_rng_seed(&rng, 77);
    struct tc_net net;
    assert_int_equal(tc_net_open(&s, &net), 0);
    float z[STEPS * ROWS * WIDE], y[STEPS * ROWS * WIDE], w[STEPS * ROWS * WIDE];
    for (size_t i = 0; i < STEPS * ROWS * WIDE; i++) {
        z[i] = (float)tc_rng_normal(&rng);
        y[i] = (float)tc_rng_normal(&rng);
        w[i] = tc_rng_below(&rng, 3) ? (float)tc_rng_uniform(&rng) : 0.0f;
    }
    struct tc_bptt_batch batch = {.rows = ROWS, .z = z, .y = y, .w = w, .loss = kind, .delta = 0.7};
    double *p = calloc(net.n, sizeof(double)), loss, far = 0, size = 0;
    float *grad = calloc(net.n, sizeof(float));
    for (size_t i = 0; i < net.n; i++)
        p[i] = (double)(net.p[i] = (float)(0.5 * tc_rng_normal(&rng)));
    struct tc_bptt *b;
    assert_int_equal(tc_bptt_open(&s, kern, STEPS, ROWS, &b), 0);
    assert_int_equal(tc_bptt_gradient(b, &net, &batch, grad, &loss), 0);
    double want = loss64(&s, p, &batch);
    assert_true(fabs(loss - want) < 1e-5 * want);
    for (size_t i = 0; i < net.n; i++) {
        double keep = p[i], step = 1e-5, up, down;
        p[i] = keep + step;
        up = loss64(&s, p, &batch);
        p[i] = keep - step;
        down = loss64(&s, p, &batch);
        p[i] = keep;
        double slope = (up - down) / (2 * step), off = fabs(slope - (double)grad[i]);
        far = fmax(far, off - 1e-4 * fabs(slope)); /* 1e-4 of itself; where it is nearly 0, of the largest */
        size = fmax(size, fabs(slope));
    }
    if (!(far < 3e-6 * size))
        fail_msg("%s, %d layers, %d input units: a slope is off by %g of the largest", kern->name, s.layers,
                 s.input_size, far / size);
    tc_bptt_close(b);
    tc_net_free(&net);
    free(p);
    free(grad);
}

static void the_gradient_equals_finite_differences(void **state)
{
    (void)state;
    const struct tc_net_shape shapes[] = {
        {.features = 3, .input_size = 5, .layers = 1, .hidden = 7, .targets = 2, .skip = true},
        {.features = 4, .layers = 2, .hidden = 6, .targets = 3},
        {.features = 2, .input_size = 3, .layers = 2, .hidden = 9, .targets = 1, .skip = true},
    };
    for (size_t k = 0; tc_kern_at(k); k++)
        for (size_t i = 0; i < 3 && tc_kern_runs(tc_kern_at(k)); i++)
            check_gradient(tc_kern_at(k), shapes[i], i == 1 ? TC_LOSS_HUBER : TC_LOSS_SQUARED);
}

/* y = 0.6 x0 now + 0.8 sin(1.5 x1 two rows ago) + noise: the line knows the first part only. A second target
 * is noise. */
enum { D = 3, K = 2, N = 4000, SERIES = 4 };

struct world {
    double x[SERIES][N * D], y[SERIES][N * K];
    uint8_t mask[SERIES][N * K];
    struct tc_series series[SERIES];
};

static struct world *world_make(uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));
    struct tc_rng rng;
    tc_rng_seed(&rng, seed);
    for (size_t s = 0; s < SERIES; s++) {
        for (size_t i = 0; i < N; i++) {
            for (size_t d = 0; d < D; d++)
                w->x[s][i * D + d] = 5 + 2 * tc_rng_normal(&rng);
            double now = (w->x[s][i * D] - 5) / 2, before = i > 1 ? (w->x[s][(i - 2) * D + 1] - 5) / 2 : 0;
            w->y[s][i * K] = 3 * (0.6 * now + 0.8 * sin(1.5 * before) + 0.5 * tc_rng_normal(&rng));
            w->y[s][i * K + 1] = tc_rng_normal(&rng);
            w->mask[s][i * K] = w->mask[s][i * K + 1] = i % 7 != 3;
            if (!w->mask[s][i * K])
                w->y[s][i * K] = NAN;
        }
        w->series[s] = (struct tc_series){w->x[s], w->y[s], w->mask[s], N - s * 37, (int32_t)(s % 2), NULL};
    }
    return w;
}

static void spec_make(struct tc_model_spec *s, int32_t window)
{
    *s = (struct tc_model_spec){.name = "synthetic"};
    struct tc_model_info *info = &s->info;
    info->stateful = window == 0;
    info->window = window;
    info->n_features = D;
    info->n_targets = K;
    info->interval_ms = 1000;
    for (int32_t i = 0; i < D; i++)
        snprintf(info->features[i], TC_FEATURE_NAME_SIZE, "x%d", i);
    info->targets[0] = (struct tc_model_target){TC_KIND_NEXT, 0, 1, NAN, NAN, NAN};
    info->targets[1] = (struct tc_model_target){TC_KIND_LAST, 60000, 1, NAN, NAN, NAN};
}

static void conf_make(struct tc_train_conf *c)
{
    tc_train_conf_default(c);
    c->input_size = 12;
    c->hidden = 12;
    c->epochs = 40;
    c->piece = 60;
    c->burn_in = 10;
    c->rate = 1e-2;
    c->dropout = 0;
    c->seed = 3;
}

static void train_world(const struct tc_train_conf *conf, int32_t window, struct tc_model_spec *spec,
                        struct tc_train_result *result)
{
    struct world *w = world_make(1);
    const struct tc_train_data train = {w->series, 2}, val = {w->series + 2, 2};
    spec_make(spec, window);
    int rc = tc_train(conf, &train, &val, spec, NULL, NULL, result);
    if (rc)
        fail_msg("%s", tc_error());
    free(w);
}

static void what_ridge_cannot_see_is_learnt_in_both_modes(void **state)
{
    (void)state;
    for (int32_t window = 0; window < 9; window += 8) {
        struct tc_train_conf conf;
        struct tc_model_spec spec;
        struct tc_train_result r;
        conf_make(&conf);
        train_world(&conf, window, &spec, &r);
        /* sd of y: 3 * sqrt(0.36 + 0.64 * 0.494 + 0.25); floor: 3 * 0.5 */
        double sd = sqrt(0.36 + 0.64 * 0.4944 + 0.25), floor = 0.5 / sd, line = sqrt(1 - 0.36 / (sd * sd));
        print_message("window %d: network %.4f, ridge %.4f, floor %.4f, best epoch %d\n", window,
                      r.val[0].ratio, r.val[0].ridge_ratio, floor, r.best_epoch);
        assert_true(r.val[0].ratio < floor + 0.08 && r.val[0].ratio > floor - 0.02);
        assert_true(r.val[0].ridge_ratio < line + 0.02);
        assert_true(r.val[0].dm_t > 10 && r.val[0].over_ridge_t > 5);
        assert_true(r.val[1].ratio < 1.001 &&
                    spec.info.targets[1].shrink < 0.6); /* noise: next to nothing is said */
        assert_true(fabs(spec.mean[0] - 5) < 0.1 && fabs(spec.sd[0] - 2) < 0.1);
        tc_net_free(&r.ridge);
        tc_model_spec_free(&spec);
    }
}

static void whole_series_and_other_optimizers_and_schedules_learn_it_too(void **state)
{
    (void)state;
    static const struct {
        enum tc_optimizer optimizer;
        enum tc_schedule schedule;
        int32_t piece;
        enum tc_loss loss;
    } ways[] = {{TC_ADAM, TC_SCHEDULE_COSINE, 0, TC_LOSS_SQUARED},
                {TC_ADAMW, TC_SCHEDULE_CONSTANT, 60, TC_LOSS_HUBER}};
    for (size_t i = 0; i < 2; i++) {
        struct tc_train_conf conf;
        struct tc_model_spec spec;
        struct tc_train_result r;
        conf_make(&conf);
        conf.optimizer = ways[i].optimizer;
        conf.schedule = ways[i].schedule;
        conf.piece = ways[i].piece;
        conf.loss = ways[i].loss;
        conf.weight_decay = 1e-5;
        conf.batch = conf.piece ? conf.batch : 1; /* two series: two steps an epoch */
        conf.epochs = conf.piece ? 40 : 250;
        conf.patience = 100;
        train_world(&conf, 0, &spec, &r);
        print_message("piece %d: network %.4f, ridge %.4f, best epoch %d\n", conf.piece, r.val[0].ratio,
                      r.val[0].ridge_ratio, r.best_epoch);
        assert_true(r.val[0].ratio < r.val[0].ridge_ratio - 0.15);
        tc_net_free(&r.ridge);
        tc_model_spec_free(&spec);
    }
}

/* Share of the later span's outcomes of target 0 below what the network says. */
static double share_below(double quantile)
{
    struct world *w = world_make(1);
    const struct tc_train_data train = {w->series, 2}, val = {w->series + 2, 2};
    struct tc_train_conf conf;
    struct tc_model_spec spec;
    struct tc_train_result r;
    conf_make(&conf);
    conf.loss = TC_LOSS_QUANTILE;
    conf.quantile = quantile;
    conf.epochs = 15;
    spec_make(&spec, 0);
    assert_int_equal(tc_train(&conf, &train, &val, &spec, NULL, NULL, &r), 0);
    assert_int_equal(strncmp(spec.info.loss, "quantile 0.", 11), 0);
    double *y = calloc(2 * N * K, sizeof(double));
    assert_int_equal(tc_train_predict(&spec, &val, y), 0);
    double below = 0, known = 0, *at = y;
    for (size_t k = 0; k < val.n; k++)
        for (size_t i = 0; i < val.series[k].rows; i++, at += K) {
            known += val.series[k].mask[i * K];
            below += val.series[k].mask[i * K] && val.series[k].y[i * K] < *at;
        }
    free(y);
    free(w);
    tc_net_free(&r.ridge);
    tc_model_spec_free(&spec);
    return below / known;
}

static void the_quantile_loss_finds_the_quantile(void **state)
{
    (void)state;
    static const double quantiles[] = {0.1, 0.5, 0.9};
    for (size_t i = 0; i < 3; i++) {
        double share = share_below(quantiles[i]);
        print_message("quantile %.1f: %.3f of the outcomes lie below\n", quantiles[i], share);
        assert_true(fabs(share - quantiles[i]) < 0.03);
    }
}

static void rates_rise_and_fall_as_their_schedule_says(void **state)
{
    (void)state;
    double last = 0;
    for (int i = 0; i <= 100; i++) {
        double at = i / 100.0, one = tc_schedule_rate(TC_SCHEDULE_ONE_CYCLE, 2, at);
        assert_true(i <= 15 ? one > last : one < last);
        assert_true(tc_schedule_rate(TC_SCHEDULE_CONSTANT, 2, at) == 2);
        assert_true(tc_schedule_rate(TC_SCHEDULE_COSINE, 2, at) <= 2);
        last = one;
    }
    assert_true(fabs(tc_schedule_rate(TC_SCHEDULE_ONE_CYCLE, 2, 0.15) - 2) < 1e-12);
    assert_true(fabs(tc_schedule_rate(TC_SCHEDULE_COSINE, 2, 0) - 2) < 1e-12);
    assert_true(fabs(tc_schedule_rate(TC_SCHEDULE_COSINE, 2, 0.5) - 1) < 1e-4);
    assert_true(tc_schedule_rate(TC_SCHEDULE_COSINE, 2, 1) < 1e-4);
}

static void a_training_that_memory_cannot_hold_is_refused(void **state)
{
    (void)state;
    struct tc_net_shape s = {.features = 4, .layers = 16, .hidden = 2048, .targets = 1};
    struct tc_bptt *b;
    const struct tc_kern *kern;
    assert_int_equal(tc_kern_choose(&kern), 0);
    assert_int_equal(tc_bptt_open(&s, kern, 90000, 4096, &b), TC_ELIMIT);
    assert_non_null(strstr(tc_error(), "--batch"));
}

static void the_same_seed_gives_the_same_file_and_another_seed_another(void **state)
{
    (void)state;
    struct tc_buf file[3];
    for (size_t i = 0; i < 3; i++) {
        struct tc_train_conf conf;
        struct tc_model_spec spec;
        struct tc_train_result r;
        conf_make(&conf);
        conf.epochs = 2;
        conf.dropout = 0.2;
        conf.seed = i < 2 ? 9 : 10;
        train_world(&conf, 0, &spec, &r);
        tc_buf_init(&file[i], 1 << 20);
        assert_int_equal(tc_model_encode(&spec, &file[i]), 0);
        tc_net_free(&r.ridge);
        tc_model_spec_free(&spec);
    }
    assert_int_equal(file[0].len, file[1].len);
    assert_memory_equal(file[0].data, file[1].data, file[0].len);
    assert_true(file[0].len != file[2].len || memcmp(file[0].data, file[2].data, file[0].len) != 0);
    for (size_t i = 0; i < 3; i++)
        tc_buf_release(&file[i]);
}

static void rows_kept_in_a_file_give_the_same_bytes(void **state)
{
    (void)state;
    struct tc_buf file[2];
    for (size_t i = 0; i < 2; i++) {
        struct tc_train_conf conf;
        struct tc_model_spec spec;
        struct tc_train_result r;
        conf_make(&conf);
        conf.epochs = 2;
        conf.batch = 3; /* many steps: rows leave memory in the middle of an epoch */
        if (i)
            assert_int_equal(tc_spill_open(".", &conf.spill), 0);
        train_world(&conf, 0, &spec, &r);
        tc_buf_init(&file[i], 1 << 20);
        assert_int_equal(tc_model_encode(&spec, &file[i]), 0);
        tc_net_free(&r.ridge);
        tc_model_spec_free(&spec);
        tc_spill_close(conf.spill);
    }
    assert_int_equal(file[0].len, file[1].len);
    assert_memory_equal(file[0].data, file[1].data, file[0].len);
    tc_buf_release(&file[0]);
    tc_buf_release(&file[1]);
}

static void without_epochs_the_model_is_ridge(void **state)
{
    (void)state;
    struct tc_train_conf conf;
    struct tc_model_spec spec;
    struct tc_train_result r;
    conf_make(&conf);
    conf.epochs = 0;
    train_world(&conf, 0, &spec, &r);
    assert_int_equal(r.best_epoch, 0);
    assert_true(r.share[0] < 1e-6);
    assert_true(fabs(r.val[0].ratio - r.val[0].ridge_ratio) < 1e-6);
    tc_net_free(&r.ridge);
    tc_model_spec_free(&spec);
}

static void the_validation_span_never_reaches_scaler_or_weights(void **state)
{
    (void)state;
    struct tc_train_conf conf;
    conf_make(&conf);
    conf.epochs = 1;
    struct tc_model_spec spec[2];
    for (size_t i = 0; i < 2; i++) {
        struct world *w = world_make(1);
        for (size_t j = 0; j < N * D && i; j++)
            w->x[3][j] = 1e3; /* wild inputs in the later span */
        const struct tc_train_data train = {w->series, 2}, val = {w->series + 2, 2};
        struct tc_train_result r;
        spec_make(&spec[i], 0);
        assert_int_equal(tc_train(&conf, &train, &val, &spec[i], NULL, NULL, &r), 0);
        tc_net_free(&r.ridge);
        free(w);
    }
    assert_memory_equal(spec[0].mean, spec[1].mean, sizeof(spec[0].mean));
    assert_memory_equal(spec[0].sd, spec[1].sd, sizeof(spec[0].sd));
    assert_memory_equal(spec[0].scale, spec[1].scale, sizeof(spec[0].scale));
    tc_model_spec_free(&spec[0]);
    tc_model_spec_free(&spec[1]);
}

static bool stop_after_two(void *ctx, const struct tc_train_progress *p)
{
    int *epochs = ctx;
    *epochs += p->epoch_done;
    return p->epoch < 2 || !p->epoch_done;
}

/* Counts down by epochs; an odd count stops in the middle of the next epoch. */
static bool stop_at(void *ctx, const struct tc_train_progress *p)
{
    int *left = ctx;
    if (p->epoch_done)
        *left -= 1;
    return *left > 0 || (*left == 0 && p->step < p->steps / 2);
}

static void a_listener_ends_training_and_keeps_the_best_so_far(void **state)
{
    (void)state;
    struct tc_train_conf conf;
    struct tc_model_spec spec;
    struct tc_train_result r;
    conf_make(&conf);
    struct world *w = world_make(1);
    const struct tc_train_data train = {w->series, 2}, val = {w->series + 2, 2};
    spec_make(&spec, 0);
    int epochs = 0;
    assert_int_equal(tc_train(&conf, &train, &val, &spec, stop_after_two, &epochs, &r), 0);
    assert_int_equal(epochs, 3); /* the start and two epochs */
    assert_int_equal(r.epochs, 2);
    assert_true(r.val[0].ratio < r.val[0].ridge_ratio + 1e-9);
    tc_net_free(&r.ridge);
    tc_model_spec_free(&spec);
    free(w);
}

/* Trains with an end after `epochs` (0 = none) and encodes the model. */
static int train_part(struct tc_train_conf *conf, int epochs, struct tc_buf *file)
{
    struct world *w = world_make(1);
    const struct tc_train_data train = {w->series, 2}, val = {w->series + 2, 2};
    struct tc_model_spec spec;
    struct tc_train_result r;
    spec_make(&spec, 0);
    int left = epochs;
    int rc = tc_train(conf, &train, &val, &spec, epochs ? stop_at : NULL, &left, &r);
    tc_buf_init(file, 1 << 20);
    if (!rc) {
        assert_int_equal(tc_model_encode(&spec, file), 0);
        tc_net_free(&r.ridge);
        tc_model_spec_free(&spec);
    }
    free(w);
    return rc;
}

static void a_stopped_training_goes_on_to_the_bytes_of_an_undisturbed_one(void **state)
{
    (void)state;
    char path[] = "/tmp/tickcast-test-training-XXXXXX";
    close(mkstemp(path));
    struct tc_train_conf conf;
    struct tc_buf whole, part;
    conf_make(&conf);
    conf.epochs = 6;
    conf.dropout = 0.2;
    assert_int_equal(train_part(&conf, 0, &whole), 0);
    conf.state_path = path;
    for (int stop = 1; stop < 8; stop += 2) { /* after an epoch, and in the middle of one */
        conf.resume = false;
        assert_int_equal(train_part(&conf, stop, &part), 0);
        tc_buf_release(&part);
        conf.resume = true;
        assert_int_equal(train_part(&conf, 0, &part), 0);
        assert_int_equal(part.len, whole.len);
        assert_memory_equal(part.data, whole.data, whole.len);
        tc_buf_release(&part);
    }
    conf.seed++;
    assert_int_equal(train_part(&conf, 0, &part), TC_ECONF);
    assert_non_null(strstr(tc_error(), "--resume"));
    unlink(path);
    assert_int_equal(train_part(&conf, 0, &part), TC_ENOTFOUND);
    tc_buf_release(&whole);
}

static void data_and_settings_that_cannot_be_trained_on_are_refused(void **state)
{
    (void)state;
    struct tc_train_conf conf;
    struct tc_model_spec spec;
    struct tc_train_result r;
    struct world *w = world_make(1);
    struct tc_train_data train = {w->series, 2}, val = {w->series + 2, 2}, none = {w->series, 0};
    conf_make(&conf);
    spec_make(&spec, 0);
    assert_true(tc_train(&conf, &train, &none, &spec, NULL, NULL, &r) == TC_EINPUT);
    assert_non_null(strstr(tc_error(), "validation span"));
    conf.burn_in = conf.piece;
    spec_make(&spec, 0);
    assert_true(tc_train(&conf, &train, &val, &spec, NULL, NULL, &r) == TC_ECONF);
    conf_make(&conf);
    spec_make(&spec, 0);
    w->x[1][77] = INFINITY;
    assert_true(tc_train(&conf, &train, &val, &spec, NULL, NULL, &r) == TC_EINPUT);
    assert_non_null(strstr(tc_error(), "row 25"));
    free(w);
}

/* A batch of several shards: the sum of what its rows give alone, and the same bits on any number of threads,
 * dropout included. */
static void the_gradient_of_a_large_batch_does_not_depend_on_the_threads(void **state)
{
    (void)state;
    enum { BATCH = 101, TIME = 6, IN = 4, OUT = 2 };
    const struct tc_net_shape shape = {
        .features = IN, .input_size = 5, .layers = 2, .hidden = 20, .targets = OUT, .skip = true};
    const struct tc_kern *kern;
    struct tc_rng rng;
    struct tc_net net;
    assert_int_equal(tc_kern_choose(&kern), 0);
    assert_int_equal(tc_net_open(&shape, &net), 0);
    tc_rng_seed(&rng, 5);
    float z[TIME * BATCH * IN], y[TIME * BATCH * OUT], w[TIME * BATCH * OUT];
    for (size_t i = 0; i < TIME * BATCH * IN; i++)
        z[i] = (float)tc_rng_normal(&rng);
    for (size_t i = 0; i < TIME * BATCH * OUT; i++) {
        y[i] = (float)tc_rng_normal(&rng);
        w[i] = (float)tc_rng_uniform(&rng);
    }
    for (size_t i = 0; i < net.n; i++)
        net.p[i] = (float)(0.3 * tc_rng_normal(&rng));
    float *grad[2], *got = calloc(net.n, sizeof(float));
    double *sum = calloc(net.n, sizeof(double)), loss[2], all = 0, size = 0;
    for (int drop = 0; drop < 2; drop++) {
        grad[drop] = calloc(net.n, sizeof(float));
        for (int threads = 1; threads <= 3; threads++) {
            struct tc_team *team;
            struct tc_bptt *b;
            struct tc_rng own;
            tc_rng_seed(&own, 9);
            struct tc_bptt_batch batch = {
                .rows = BATCH, .z = z, .y = y, .w = w, .dropout = 0.3 * drop, .rng = &own};
            float *out = threads == 1 ? grad[drop] : got;
            assert_int_equal(tc_team_open(threads, &team), 0);
            assert_int_equal(tc_bptt_open(&shape, kern, TIME, BATCH, &b), 0);
            tc_bptt_team(b, team);
            assert_int_equal(tc_bptt_gradient(b, &net, &batch, out, &loss[drop]), 0);
            assert_memory_equal(grad[drop], out, net.n * sizeof(float));
            tc_bptt_close(b);
            tc_team_close(team);
        }
    }
    assert_true(loss[0] != loss[1]);
    struct tc_bptt *b;
    assert_int_equal(tc_bptt_open(&shape, kern, TIME, BATCH, &b), 0);
    for (size_t r = 0; r < BATCH; r++) { /* in the same object: smaller batches after larger ones */
        float z1[TIME * IN], y1[TIME * OUT], w1[TIME * OUT];
        double l;
        for (size_t t = 0; t < TIME; t++) {
            memcpy(z1 + t * IN, z + (t * BATCH + r) * IN, IN * sizeof(float));
            memcpy(y1 + t * OUT, y + (t * BATCH + r) * OUT, OUT * sizeof(float));
            memcpy(w1 + t * OUT, w + (t * BATCH + r) * OUT, OUT * sizeof(float));
        }
        struct tc_bptt_batch batch = {.rows = 1, .z = z1, .y = y1, .w = w1};
        assert_int_equal(tc_bptt_gradient(b, &net, &batch, got, &l), 0);
        all += l;
        for (size_t i = 0; i < net.n; i++)
            sum[i] += (double)got[i];
    }
    tc_bptt_close(b);
    for (size_t i = 0; i < net.n; i++)
        size = fmax(size, fabs(sum[i]));
    for (size_t i = 0; i < net.n; i++)
        assert_true(fabs(sum[i] - (double)grad[0][i]) < 1e-5 * size);
    assert_true(fabs(all - loss[0]) < 1e-6 * all);
    free(grad[0]);
    free(grad[1]);
    free(got);
    free(sum);
    tc_net_free(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gradient_equals_finite_differences),
        cmocka_unit_test(the_gradient_of_a_large_batch_does_not_depend_on_the_threads),
        cmocka_unit_test(what_ridge_cannot_see_is_learnt_in_both_modes),
        cmocka_unit_test(whole_series_and_other_optimizers_and_schedules_learn_it_too),
        cmocka_unit_test(the_quantile_loss_finds_the_quantile),
        cmocka_unit_test(rates_rise_and_fall_as_their_schedule_says),
        cmocka_unit_test(a_training_that_memory_cannot_hold_is_refused),
        cmocka_unit_test(the_same_seed_gives_the_same_file_and_another_seed_another),
        cmocka_unit_test(rows_kept_in_a_file_give_the_same_bytes),
        cmocka_unit_test(without_epochs_the_model_is_ridge),
        cmocka_unit_test(the_validation_span_never_reaches_scaler_or_weights),
        cmocka_unit_test(a_listener_ends_training_and_keeps_the_best_so_far),
        cmocka_unit_test(a_stopped_training_goes_on_to_the_bytes_of_an_undisturbed_one),
        cmocka_unit_test(data_and_settings_that_cannot_be_trained_on_are_refused),
    };
    return cmocka_run_group_tests_name("train", tests, NULL, NULL);
}
