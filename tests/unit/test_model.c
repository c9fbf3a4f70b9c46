/* Models against float64 written out plainly, in both modes, and files that must be refused. */
#include "base/err.h"
#include "base/num.h"
#include "base/rng.h"
#include "kern/kern.h"
#include "model/file.h"
#include "model/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static double looser; /* by how much the kernel in use is less exact than those of 32 bits */

static double sigmoid64(double x)
{
    return 1 / (1 + exp(-x));
}

static void spec_make(struct tc_model_spec *s, const struct tc_net_shape *shape, int32_t window,
                      uint64_t seed)
{
    struct tc_rng rng;
    tc_rng_seed(&rng, seed);
    *s = (struct tc_model_spec){.name = "test", .low = -6, .high = 6};
    struct tc_model_info *info = &s->info;
    strcpy(info->inputs, "T14");
    strcpy(info->feature_hash, "0123456789abcdef");
    strcpy(info->target_unit, "move_scale");
    strcpy(info->trained_from, "2013-10-07");
    strcpy(info->trained_to, "2013-10-08");
    strcpy(info->symbols, "SPY,IBM");
    strcpy(info->version, "0.1.0");
    memset(info->data_sha256, 'a', 64);
    info->stateful = window == 0;
    info->window = window;
    info->interval_ms = 1000;
    info->trained_rows = 1234;
    info->n_features = shape->features;
    info->n_targets = shape->targets;
    for (int32_t i = 0; i < shape->features; i++) {
        snprintf(info->features[i], TC_FEATURE_NAME_SIZE, "f%d", i);
        s->mean[i] = tc_rng_normal(&rng);
        s->sd[i] = 0.5 + tc_rng_uniform(&rng);
    }
    for (int32_t j = 0; j < shape->targets; j++) {
        info->targets[j] =
            (struct tc_model_target){j ? TC_KIND_LAST : TC_KIND_NEXT, 1000 * j, 0.9, NAN, 2.5, 1.5};
        s->scale[j] = 0.7 + 0.1 * j;
    }
    assert_int_equal(tc_net_open(shape, &s->net), 0);
    for (size_t i = 0; i < s->net.n; i++)
        s->net.p[i] = (float)(1.2 * tc_rng_normal(&rng) / sqrt((double)shape->hidden + 5));
}

struct state64 {
    double h[4][512], c[4][512];
};

static void product64(const float *w, const double *x, size_t rows, size_t cols, double *y)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            y[i] += (double)w[i * cols + j] * x[j];
}

/* One step of the whole network on one scaled row. */
static void step64(const struct tc_net *net, const double *z, struct state64 *s, double *y)
{
    size_t h = (size_t)net->shape.hidden, d = (size_t)net->shape.features, k = (size_t)net->shape.targets;
    double in[512] = {0}, pre[2048];
    memcpy(in, z, d * sizeof(double));
    if (net->w_in) {
        size_t n = (size_t)net->shape.input_size;
        for (size_t i = 0; i < n; i++)
            pre[i] = (double)net->b_in[i];
        product64(net->w_in, z, n, d, pre);
        for (size_t i = 0; i < n; i++)
            in[i] = tanh(pre[i]);
    }
    for (int32_t l = 0; l < net->shape.layers; l++) {
        for (size_t i = 0; i < 4 * h; i++)
            pre[i] = (double)net->layer[l].b_ih[i] + (double)net->layer[l].b_hh[i];
        product64(net->layer[l].w_ih, in, 4 * h, (size_t)tc_net_layer_inputs(&net->shape, l), pre);
        product64(net->layer[l].w_hh, s->h[l], 4 * h, h, pre);
        for (size_t u = 0; u < h; u++) {
            s->c[l][u] = sigmoid64(pre[h + u]) * s->c[l][u] + sigmoid64(pre[u]) * tanh(pre[2 * h + u]);
            s->h[l][u] = in[u] = sigmoid64(pre[3 * h + u]) * tanh(s->c[l][u]);
        }
    }
    for (size_t j = 0; j < k; j++)
        y[j] = (double)net->b_out[j];
    product64(net->w_out, s->h[net->shape.layers - 1], k, h, y);
    if (net->w_skip)
        product64(net->w_skip, z, k, d, y);
}

static void scale64(const struct tc_model_spec *s, const double *x, double *z)
{
    for (int32_t i = 0; i < s->info.n_features; i++)
        z[i] = fmin(fmax((x[i] - s->mean[i]) / s->sd[i], s->low), s->high);
}

/* What the model must say after rows x[0..t]. */
static void expected(const struct tc_model_spec *s, const double *x, size_t t, double *y)
{
    struct state64 *state = calloc(1, sizeof(*state));
    double z[TC_MODEL_FEATURES_MAX];
    size_t d = (size_t)s->info.n_features, first = s->info.stateful ? 0 : t + 1 - (size_t)s->info.window;
    for (size_t i = first; i <= t; i++) {
        scale64(s, x + i * d, z);
        step64(&s->net, z, state, y);
    }
    for (int32_t j = 0; j < s->info.n_targets; j++)
        y[j] *= s->scale[j] * s->info.targets[j].shrink;
    free(state);
}

static void *state_make(const struct tc_model *m)
{
    void *p = aligned_alloc(64, tc_model_state_size(m));
    assert_non_null(p);
    tc_model_state_reset(m, p);
    return p;
}

static double *random_rows(size_t n, uint64_t seed)
{
    struct tc_rng rng;
    tc_rng_seed(&rng, seed);
    double *x = calloc(n, sizeof(double));
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = tc_rng_normal(&rng) * (tc_rng_below(&rng, 40) ? 1 : 20);
    return x;
}

static void check_shape(struct tc_net_shape shape, int32_t window)
{
    enum { STEPS = 40 };
    struct tc_model_spec s;
    spec_make(&s, &shape, window, 7);
    struct tc_model *m;
    assert_int_equal(tc_model_open(&s, &m), 0);
    void *state = state_make(m);
    double *x = random_rows(STEPS * (size_t)shape.features, 3), y[TC_MODEL_TARGETS_MAX],
           want[TC_MODEL_TARGETS_MAX];
    for (size_t t = 0; t < STEPS; t++) {
        struct tc_model_row row = {.state = state, .x = x + t * (size_t)shape.features, .y = y};
        assert_int_equal(tc_model_step(m, &row, 1), 0);
        assert_int_equal(row.ready, window == 0 || t + 1 >= (size_t)window);
        if (!row.ready)
            continue;
        expected(&s, x, t, want);
        for (int32_t j = 0; j < shape.targets; j++)
            if (!(fabs(y[j] - want[j]) < 1e-5 * looser))
                fail_msg("step %zu target %d: %g, float64 says %g", t, j, y[j], want[j]);
    }
    free(x);
    free(state);
    tc_model_free(m);
    tc_model_spec_free(&s);
}

static void a_model_says_what_float64_says_in_both_modes(void **state)
{
    (void)state;
    const struct tc_net_shape shapes[] = {
        {.features = 14, .input_size = 48, .layers = 1, .hidden = 48, .targets = 7, .skip = true},
        {.features = 5, .layers = 1, .hidden = 1, .targets = 1},
        {.features = 5, .layers = 3, .hidden = 50, .targets = 2, .skip = true},
        {.features = 1, .input_size = 3, .layers = 2, .hidden = 33, .targets = 12},
        {.features = 64, .input_size = 70, .layers = 2, .hidden = 20, .targets = 3, .skip = true},
    };
    const int32_t windows[] = {0, 1, 7, 30};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        for (size_t w = 0; w < 4; w++)
            check_shape(shapes[i], windows[w]);
}

/* A line's numbers; "-" gives NaN. */
static size_t read_numbers(char *line, double *out, size_t most)
{
    size_t n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \n", &rest); word && n < most;
         word = strtok_r(NULL, " \n", &rest), n++)
        if (!tc_parse_double(word, strlen(word), &out[n]))
            out[n] = NAN;
    return n;
}

static void check_frozen(const char *name)
{
    char path[512], line[1024];
    struct tc_model *m;
    snprintf(path, sizeof(path), TEST_VECTORS "/%s.safetensors", name);
    if (tc_model_load(path, &m))
        fail_msg("%s", tc_error());
    snprintf(path, sizeof(path), TEST_VECTORS "/%s.txt", name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t d = (size_t)tc_model_info(m)->n_features, k = (size_t)tc_model_info(m)->n_targets, bars = 0;
    void *state = state_make(m);
    for (; fgets(line, sizeof(line), f); bars++) {
        double v[32], y[TC_MODEL_TARGETS_MAX];
        assert_int_equal(read_numbers(line, v, 32), d + k);
        struct tc_model_row row = {.state = state, .x = v, .y = y};
        assert_int_equal(tc_model_step(m, &row, 1), 0);
        assert_int_equal(row.ready, !isnan(v[d]));
        for (size_t j = 0; j < k && row.ready; j++)
            assert_true(fabs(y[j] - v[d + j]) < 2e-6 * looser);
    }
    assert_int_equal(bars, 40);
    fclose(f);
    free(state);
    tc_model_free(m);
}

static void frozen_vectors_made_by_another_program_come_out_the_same(void **state)
{
    (void)state;
    check_frozen("lstm-stateful");
    check_frozen("lstm-window");
}

/* 150 symbols that start at different times, so that window mode sees full and empty windows in one call. */
static void check_batches(int32_t window)
{
    enum { N = 150, D = 6, STEPS = 12, K = 2 };
    struct tc_model_spec s;
    spec_make(&s,
              &(struct tc_net_shape){.features = D, .layers = 2, .hidden = 21, .targets = K, .skip = true},
              window, 9);
    struct tc_model *m;
    assert_int_equal(tc_model_open(&s, &m), 0);
    double *x = random_rows(N * STEPS * D, 11), y[N][K], alone[K];
    void *one[N], *many[N];
    for (size_t i = 0; i < N; i++) {
        one[i] = state_make(m);
        many[i] = state_make(m);
    }
    struct tc_model_row rows[N];
    for (size_t t = 0; t < STEPS; t++) {
        size_t n = 0;
        for (size_t i = 0; i < N; i++)
            if (i % 5 <= t)
                rows[n] = (struct tc_model_row){.state = many[i], .x = x + (t * N + i) * D, .y = y[i]}, n++;
        assert_int_equal(tc_model_step(m, rows, n), 0);
        for (size_t i = 0, r = 0; i < N; i++)
            if (i % 5 <= t) {
                struct tc_model_row row = {.state = one[i], .x = x + (t * N + i) * D, .y = alone};
                assert_int_equal(tc_model_step(m, &row, 1), 0);
                assert_int_equal(row.ready, rows[r].ready);
                assert_int_equal(row.out_of_domain, rows[r].out_of_domain);
                if (row.ready)
                    assert_memory_equal(alone, y[i], sizeof(alone));
                assert_memory_equal(one[i], many[i], tc_model_state_size(m));
                r++;
            }
    }
    for (size_t i = 0; i < N; i++) {
        free(one[i]);
        free(many[i]);
    }
    free(x);
    tc_model_free(m);
    tc_model_spec_free(&s);
}

static void a_symbols_bits_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    check_batches(0);
    check_batches(4);
}

static void input_that_is_not_finite_is_refused_and_leaves_every_state_as_it_was(void **state)
{
    (void)state;
    for (int32_t window = 0; window < 3; window += 2) {
        struct tc_model_spec s;
        spec_make(&s, &(struct tc_net_shape){.features = 2, .layers = 1, .hidden = 4, .targets = 1}, window,
                  1);
        struct tc_model *m;
        assert_int_equal(tc_model_open(&s, &m), 0);
        void *a = state_make(m), *b = state_make(m), *before = state_make(m);
        double good[2] = {0.5, -0.5}, bad[2] = {0, NAN}, y[1];
        struct tc_model_row rows[2] = {{.state = a, .x = good, .y = y}, {.state = b, .x = good, .y = y}};
        assert_int_equal(tc_model_step(m, rows, 2), 0);
        memcpy(before, a, tc_model_state_size(m));
        rows[1].x = bad;
        assert_int_equal(tc_model_step(m, rows, 2), TC_EINPUT);
        assert_non_null(strstr(tc_error(), "f1"));
        bad[1] = -INFINITY;
        assert_int_equal(tc_model_step(m, rows, 2), TC_EINPUT);
        assert_memory_equal(a, before, tc_model_state_size(m));
        assert_memory_equal(b, before, tc_model_state_size(m));
        free(a);
        free(b);
        free(before);
        tc_model_free(m);
        tc_model_spec_free(&s);
    }
}

static void a_clipped_input_is_marked(void **state)
{
    (void)state;
    struct tc_model_spec s;
    spec_make(&s, &(struct tc_net_shape){.features = 1, .layers = 1, .hidden = 4, .targets = 1}, 0, 1);
    struct tc_model *m;
    assert_int_equal(tc_model_open(&s, &m), 0);
    void *a = state_make(m);
    double x = s.mean[0], y;
    struct tc_model_row row = {.state = a, .x = &x, .y = &y};
    assert_int_equal(tc_model_step(m, &row, 1), 0);
    assert_false(row.out_of_domain);
    x = s.mean[0] - 7 * s.sd[0];
    assert_int_equal(tc_model_step(m, &row, 1), 0);
    assert_true(row.out_of_domain);
    free(a);
    tc_model_free(m);
    tc_model_spec_free(&s);
}

static void a_written_file_loads_as_the_same_model(void **state)
{
    (void)state;
    char path[] = "/tmp/tickcast-test-model-XXXXXX";
    close(mkstemp(path));
    struct tc_model_spec s;
    spec_make(&s,
              &(struct tc_net_shape){
                  .features = 3, .input_size = 5, .layers = 2, .hidden = 9, .targets = 2, .skip = true},
              17, 4);
    assert_int_equal(tc_model_write_file(path, &s), 0);
    struct tc_model *m, *same;
    assert_int_equal(tc_model_load(path, &m), 0);
    assert_int_equal(tc_model_open(&s, &same), 0);
    const struct tc_model_info *info = tc_model_info(m);
    assert_string_equal(info->id, tc_model_info(same)->id);
    assert_int_equal(strlen(info->id), strlen("test@") + 8);
    assert_int_equal(info->window, 17);
    assert_false(info->stateful);
    assert_int_equal(info->layers, 2);
    assert_int_equal(info->input_size, 5);
    assert_true(info->skip);
    assert_string_equal(info->features[2], "f2");
    assert_int_equal(info->targets[1].horizon_ms, 1000);
    assert_true(isnan(info->targets[1].val_ratio) && info->targets[1].val_dm_t == 2.5);
    assert_int_equal(info->trained_rows, 1234);
    tc_model_free(m);
    tc_model_free(same);
    assert_int_equal(tc_model_load("/nonexistent/model", &m), TC_ENOTFOUND);
    unlink(path);
    tc_model_spec_free(&s);
}

/* The file with `from` in its header replaced by `to` of the same length must be refused, naming `because`.
 */
static void refused_with(const struct tc_buf *file, const char *from, const char *to, const char *because)
{
    char *copy = malloc(file->len);
    memcpy(copy, file->data, file->len);
    char *at = memmem(copy, file->len, from, strlen(from));
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    struct tc_model_spec s;
    int rc = tc_model_decode(copy, file->len, "m.safetensors", &s);
    if (rc != TC_EINPUT || !strstr(tc_error(), because))
        fail_msg("%s -> %s gave %d: %s", from, to, rc, tc_error());
    free(copy);
}

static void a_file_that_does_not_say_how_to_use_it_is_refused_by_key(void **state)
{
    (void)state;
    struct tc_model_spec s;
    spec_make(&s, &(struct tc_net_shape){.features = 2, .layers = 1, .hidden = 4, .targets = 1}, 5, 4);
    struct tc_buf b;
    tc_buf_init(&b, 1 << 20);
    assert_int_equal(tc_model_encode(&s, &b), 0);
    const char *keys[] = {"format",      "kind",         "name",        "mode",         "window",
                          "inputs",      "feature_hash", "features",    "scaler_sd",    "targets",
                          "scaler_mean", "scaler_clip",  "target_unit", "trained_from", "trained_to",
                          "symbols",     "trained_rows", "version",     "data_sha256",  "interval_ms"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char from[40], to[40], because[60];
        snprintf(from, sizeof(from), "\"%s\":", keys[i]);
        snprintf(to, sizeof(to), "\"X%s\":", keys[i] + 1);
        snprintf(because, sizeof(because), "\"%s\" is missing", keys[i]);
        refused_with(&b, from, to, because);
    }
    refused_with(&b, "tickcast-model-1", "tickcast-model-2", "\"format\"");
    refused_with(&b, "\"window\":\"5\"", "\"window\":\"0\"", "\"window\"");
    refused_with(&b, "\"mode\":\"window\"", "\"mode\":\"doors!\"", "\"mode\"");
    refused_with(&b, "\\\"next\\\"", "\\\"nest\\\"", "\"targets\"");
    refused_with(&b, "f0", "f1", "names a feature twice");
    refused_with(&b, "lstm.bias_hh_l0", "lstm.bias_hh_lX", "lstm.bias_hh_l0");
    refused_with(&b, "\"F32\"", "\"I32\"", "as F32");
    s.net.p[3] = NAN;
    tc_buf_clear(&b);
    assert_int_equal(tc_model_encode(&s, &b), 0);
    refused_with(&b, "f0", "f0", "no number up to a million");
    tc_buf_release(&b);
    tc_model_spec_free(&s);
}

/* Weights as they come: 16 bits do. Weights many times as large make small differences grow without end from
 * step to step: the network stays exact, to the bit. */
static void arithmetic_of_16_bits_is_taken_only_where_it_moves_little(void **state)
{
    (void)state;
    const struct tc_net_shape shape = {.features = 6, .layers = 2, .hidden = 40, .targets = 2};
    for (int wild = 0; wild < 2; wild++) {
        struct tc_model_spec s;
        struct tc_model *m, *exact;
        char why[200] = "";
        spec_make(&s, &shape, 30, 11);
        for (size_t i = 0; i < s.net.n && wild; i++)
            s.net.p[i] *= 12;
        assert_int_equal(tc_model_open(&s, &m), 0);
        assert_int_equal(tc_model_open(&s, &exact), 0);
        int rc = tc_model_reduce(m, why, sizeof(why));
        print_message("%s\n", why);
        assert_true(why[0] != 0);
        bool taken = tc_kern_reduced() && !wild;
        assert_int_equal(rc, taken ? TC_OK : TC_AGAIN);
        assert_string_equal(tc_model_info(m)->id, tc_model_info(exact)->id);
        assert_string_equal(tc_model_info(m)->kernel,
                            taken ? tc_kern_reduced()->name : tc_model_info(exact)->kernel);
        double x[30 * 6], a[2], b[2], value[2];
        for (size_t i = 0; i < 30 * 6; i++)
            x[i] = sin((double)i);
        assert_int_equal(tc_model_eval(m, x, 30, true, a, value), 0);
        assert_int_equal(tc_model_eval(exact, x, 30, true, b, value), 0);
        for (size_t j = 0; j < 2; j++)
            assert_true(taken ? fabs(a[j] - b[j]) < 3e-3 : a[j] == b[j]);
        tc_model_free(m);
        tc_model_free(exact);
        tc_model_spec_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_says_what_float64_says_in_both_modes),
        cmocka_unit_test(frozen_vectors_made_by_another_program_come_out_the_same),
        cmocka_unit_test(a_symbols_bits_do_not_depend_on_the_batch),
        cmocka_unit_test(input_that_is_not_finite_is_refused_and_leaves_every_state_as_it_was),
        cmocka_unit_test(a_clipped_input_is_marked),
        cmocka_unit_test(a_written_file_loads_as_the_same_model),
        cmocka_unit_test(a_file_that_does_not_say_how_to_use_it_is_refused_by_key),
    };
    const struct CMUnitTest reduced[] = {
        cmocka_unit_test(arithmetic_of_16_bits_is_taken_only_where_it_moves_little),
    };
    int failed = cmocka_run_group_tests_name("16 bits", reduced, NULL, NULL);
    for (size_t i = 0; tc_kern_at(i); i++)
        if (tc_kern_runs(tc_kern_at(i))) {
            setenv("TICKCAST_KERNEL", tc_kern_at(i)->name, 1);
            looser = tc_kern_at(i)->bound / tc_kern_at(0)->bound;
            failed += cmocka_run_group_tests_name(tc_kern_at(i)->name, tests, NULL, NULL);
        }
    return failed;
}
