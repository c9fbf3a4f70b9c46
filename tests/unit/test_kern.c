/* Every kernel table that runs on this machine against float64 written out plainly. */
#include "base/rng.h"
#include "kern/gemm.h"
#include "kern/kern.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static float *randoms(struct tc_rng *rng, size_t n, double scale)
{
    float *v = calloc(n ? n : 1, sizeof(float));
    assert_non_null(v);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(scale * tc_rng_normal(rng));
    return v;
}

static double sigmoid64(double x)
{
    return 1 / (1 + exp(-x));
}

struct layer {
    int32_t inputs, hidden;
    float *w_ih, *w_hh, *b_ih, *b_hh;
};

static void layer_make(struct layer *l, struct tc_rng *rng, int32_t inputs, int32_t hidden)
{
    size_t d = (size_t)inputs, h = (size_t)hidden;
    double scale = 1.5 / sqrt((double)(inputs + hidden));
    *l = (struct layer){inputs,
                        hidden,
                        randoms(rng, 4 * h * d, scale),
                        randoms(rng, 4 * h * h, scale),
                        randoms(rng, 4 * h, 0.3),
                        randoms(rng, 4 * h, 0.3)};
}

static void layer_free(struct layer *l)
{
    free(l->w_ih);
    free(l->w_hh);
    free(l->b_ih);
    free(l->b_hh);
}

/* One cell in float64: c and h in place. */
static void cell64(const struct layer *l, const double *x, double *h, double *c)
{
    size_t d = (size_t)l->inputs, n = (size_t)l->hidden;
    double *pre = calloc(4 * n, sizeof(double));
    for (size_t g = 0; g < 4 * n; g++) {
        pre[g] = (double)l->b_ih[g] + (double)l->b_hh[g];
        for (size_t i = 0; i < d; i++)
            pre[g] += (double)l->w_ih[g * d + i] * x[i];
        for (size_t i = 0; i < n; i++)
            pre[g] += (double)l->w_hh[g * n + i] * h[i];
    }
    for (size_t u = 0; u < n; u++) {
        c[u] = sigmoid64(pre[n + u]) * c[u] + sigmoid64(pre[u]) * tanh(pre[2 * n + u]);
        h[u] = sigmoid64(pre[3 * n + u]) * tanh(c[u]);
    }
    free(pre);
}

enum { LAYERS_MAX = 8 };

struct net {
    int32_t layers, inputs, hidden;
    struct layer layer[LAYERS_MAX];
    struct tc_weights packed[LAYERS_MAX];
};

static void net_make(struct net *net, const struct tc_kern *k, struct tc_rng *rng, int32_t layers,
                     int32_t inputs, int32_t hidden)
{
    *net = (struct net){.layers = layers, .inputs = inputs, .hidden = hidden};
    for (int32_t i = 0; i < layers; i++) {
        struct layer *l = &net->layer[i];
        layer_make(l, rng, i ? hidden : inputs, hidden);
        assert_int_equal(
            tc_lstm_pack(k, l->inputs, hidden, i > 0, l->w_ih, l->w_hh, l->b_ih, l->b_hh, &net->packed[i]),
            0);
    }
}

static void net_free(struct net *net)
{
    for (int32_t i = 0; i < net->layers; i++) {
        layer_free(&net->layer[i]);
        tc_weights_free(&net->packed[i]);
    }
}

/* `steps` steps of `batch` rows in calls of at most `split` rows; x [steps][batch][inputs], out [batch][pad]:
 * top h. */
static void net_run(const struct tc_kern *k, const struct net *net, const float *x, size_t steps,
                    size_t batch, size_t split, float *out)
{
    size_t pad = (size_t)tc_kern_pad(net->hidden), state = batch * pad, d = (size_t)net->inputs;
    float *c = calloc(state * LAYERS_MAX, sizeof(float)), *h = calloc(2 * state * LAYERS_MAX, sizeof(float));
    struct tc_lstm_row *rows = calloc(batch, sizeof(*rows));
    assert_true(c && h && rows);
    for (size_t t = 0; t < steps; t++) {
        size_t now = t % 2, before = 1 - now;
        for (size_t l = 0; l < (size_t)net->layers; l++) {
            float *base = h + 2 * state * l, *below = l ? h + 2 * state * (l - 1) + now * state : NULL;
            for (size_t r = 0; r < batch; r++)
                rows[r] = (struct tc_lstm_row){below ? below + r * pad : x + (t * batch + r) * d,
                                               base + before * state + r * pad, c + l * state + r * pad,
                                               base + now * state + r * pad};
            for (size_t r = 0; r < batch; r += split)
                k->lstm(&net->packed[l], rows + r, r + split < batch ? split : batch - r);
        }
    }
    memcpy(out, h + 2 * state * (size_t)(net->layers - 1) + (steps - 1) % 2 * state, state * sizeof(float));
    free(c);
    free(h);
    free(rows);
}

static double net_worst_error(const struct net *net, const float *x, size_t steps, size_t batch,
                              const float *out)
{
    size_t n = (size_t)net->hidden, pad = (size_t)tc_kern_pad(net->hidden), d = (size_t)net->inputs;
    double *h = malloc(LAYERS_MAX * n * sizeof(double)), *c = malloc(LAYERS_MAX * n * sizeof(double));
    double *in = malloc((d + n) * sizeof(double)), worst = 0;
    size_t each = batch > 4 ? batch / 4 : 1; /* float64 is slow: first, last and some between */
    for (size_t r = 0; r < batch; r = r + 1 == batch ? batch : r + each < batch ? r + each : batch - 1) {
        memset(h, 0, LAYERS_MAX * n * sizeof(double));
        memset(c, 0, LAYERS_MAX * n * sizeof(double));
        for (size_t t = 0; t < steps; t++)
            for (size_t l = 0; l < (size_t)net->layers; l++) {
                for (size_t i = 0; i < (l ? n : d); i++)
                    in[i] = l ? h[(l - 1) * n + i] : (double)x[(t * batch + r) * d + i];
                cell64(&net->layer[l], in, h + l * n, c + l * n);
            }
        for (size_t u = 0; u < n; u++)
            worst = fmax(worst, fabs((double)out[r * pad + u] - h[(size_t)(net->layers - 1) * n + u]));
    }
    free(h);
    free(c);
    free(in);
    return worst;
}

static double worst_of_all;

static void check_shape(const struct tc_kern *k, int32_t layers, int32_t inputs, int32_t hidden, size_t batch,
                        size_t steps)
{
    struct tc_rng rng;
    tc_rng_seed(&rng, (uint64_t)(hidden * 1000 + inputs) + batch);
    struct net net;
    net_make(&net, k, &rng, layers, inputs, hidden);
    size_t floats = batch * (size_t)tc_kern_pad(hidden);
    float *x = randoms(&rng, steps * batch * (size_t)inputs, 1), *out = calloc(floats, sizeof(float));
    net_run(k, &net, x, steps, batch, batch, out);
    double worst = net_worst_error(&net, x, steps, batch, out);
    if (worst > worst_of_all)
        worst_of_all = worst;
    if (!(worst < k->bound))
        fail_msg("%s: %d layers, %d inputs, %d hidden, batch %zu: error %g", k->name, layers, inputs, hidden,
                 batch, worst);
    free(x);
    free(out);
    net_free(&net);
}

static void every_kernel_equals_float64_over_odd_sizes(void **state)
{
    (void)state;
    const int32_t hidden[] = {1, 3, 50, 200, 333}, inputs[] = {1, 5, 14, 65};
    const size_t batch[] = {1, 2, 7, 13, 300};
    for (size_t i = 0; tc_kern_at(i); i++) {
        if (!tc_kern_runs(tc_kern_at(i)))
            continue;
        for (size_t h = 0; h < 5; h++)
            for (size_t d = 0; d < 4; d++) {
                size_t b = (h + d) % 5;
                if (hidden[h] > 100 && b == 4)
                    b = 3;
                check_shape(tc_kern_at(i), 1 + (int32_t)((h + d) % 3), inputs[d], hidden[h], batch[b], 3);
            }
        check_shape(tc_kern_at(i), 2, 5, 50, 300, 2);
        check_shape(tc_kern_at(i), 1, 14, 48, 1, 500);
        check_shape(tc_kern_at(i), 8, 5, 50, 2, 1);
        check_shape(tc_kern_at(i), 8, 3, 33, 13, 20);
        print_message("%s: h within %.2g\n", tc_kern_at(i)->name, worst_of_all);
        worst_of_all = 0;
    }
}

static void a_row_has_the_same_bits_in_any_split_of_a_batch(void **state)
{
    (void)state;
    enum { STEPS = 3, BATCH = 61, INPUTS = 9, HIDDEN = 50 };
    for (size_t i = 0; tc_kern_at(i); i++) {
        const struct tc_kern *k = tc_kern_at(i);
        if (!tc_kern_runs(k))
            continue;
        struct tc_rng rng;
        tc_rng_seed(&rng, 5);
        struct net net;
        net_make(&net, k, &rng, 2, INPUTS, HIDDEN);
        size_t floats = BATCH * (size_t)tc_kern_pad(HIDDEN);
        float *x = randoms(&rng, STEPS * BATCH * INPUTS, 1);
        float *one = calloc(floats, sizeof(float)), *other = calloc(floats, sizeof(float));
        net_run(k, &net, x, STEPS, BATCH, 1, one);
        for (size_t split = 2; split <= BATCH; split++) {
            net_run(k, &net, x, STEPS, BATCH, split, other);
            assert_memory_equal(one, other, floats * sizeof(float));
        }
        for (size_t r = 0; r < BATCH; r++)
            for (size_t u = HIDDEN; u < (size_t)tc_kern_pad(HIDDEN); u++)
                assert_true(one[r * (size_t)tc_kern_pad(HIDDEN) + u] == 0);
        free(x);
        free(one);
        free(other);
        net_free(&net);
    }
}

/* One step of 7 rows: inputs' part first, then block after block, against the whole in one call. */
static void a_step_taken_in_parts_has_the_same_bits(void **state)
{
    (void)state;
    enum { N = 7, INPUTS = 9 };
    const int32_t hidden[] = {1, 3, 24, 50, 200};
    for (size_t i = 0; tc_kern_at(i); i++)
        for (size_t s = 0; s < 5 && tc_kern_runs(tc_kern_at(i)); s++) {
            const struct tc_kern *k = tc_kern_at(i);
            size_t pad = (size_t)tc_kern_pad(hidden[s]);
            struct tc_rng rng;
            struct net net;
            tc_rng_seed(&rng, s);
            net_make(&net, k, &rng, 1, INPUTS, hidden[s]);
            float *x = randoms(&rng, N * INPUTS, 1), *h = randoms(&rng, N * pad, 0.5);
            float *c = randoms(&rng, 2 * N * pad, 1), *out = calloc(2 * N * pad, sizeof(float)),
                  *pre = calloc(N * 4 * pad, sizeof(float));
            memcpy(c + N * pad, c, N * pad * sizeof(float));
            struct tc_lstm_row whole[N], parts[N];
            struct tc_dense_row in[N];
            for (size_t r = 0; r < N; r++) {
                whole[r] = (struct tc_lstm_row){x + r * INPUTS, h + r * pad, c + r * pad, out + r * pad};
                parts[r] = (struct tc_lstm_row){NULL, h + r * pad, c + (N + r) * pad, out + (N + r) * pad};
                in[r] = (struct tc_dense_row){x + r * INPUTS, pre + r * 4 * pad};
            }
            const struct tc_weights *w = &net.packed[0];
            k->lstm(w, whole, N);
            for (int32_t b = 0; b < w->blocks; b++) {
                k->project(w, in, N, b, b + 1);
                k->lstm_part(w, parts, N, pre, b, b + 1);
            }
            for (size_t r = 0; r < N; r++) {
                size_t bytes = (size_t)hidden[s] * sizeof(float);
                assert_memory_equal(whole[r].h_out, parts[r].h_out, bytes);
                assert_memory_equal(whole[r].c, parts[r].c, bytes);
            }
            free(x);
            free(h);
            free(c);
            free(out);
            free(pre);
            net_free(&net);
        }
}

/* All weights and inputs at their largest and of one sign: the sum that is nearest to the end of 32 bits. */
static void sums_of_16_bit_integers_cannot_overflow(void **state)
{
    (void)state;
    const struct tc_kern *k = tc_kern_find("int16");
    if (!k) {
        print_message("skipped: no AVX-512 VNNI here\n");
        return;
    }
    const int32_t sizes[] = {1, 2, 3, 50, 199, 333, 1024, 2048};
    for (size_t s = 0; s < 8; s++)
        for (int sign = -1; sign <= 1; sign += 2) {
            size_t n = (size_t)sizes[s], pad = (size_t)tc_kern_pad(sizes[s]);
            float *w_ih = calloc(4 * n, sizeof(float)), *w_hh = calloc(4 * n, sizeof(float));
            float *w = calloc(4 * n * n, sizeof(float)), *x = calloc(n, sizeof(float)),
                  *y = calloc(4 * pad, sizeof(float));
            assert_true(w_ih && w_hh && w && x && y);
            for (size_t i = 0; i < 4 * n * n; i++)
                w[i] = (float)sign * (i % 3 ? 1.0f : 0.9999f); /* not whole steps of the scale */
            for (size_t i = 0; i < n; i++)
                x[i] = i % 2 ? 1.0f : 7.0f; /* beyond the bound it is the bound */
            struct tc_weights packed;
            assert_int_equal(tc_lstm_pack(k, sizes[s], sizes[s], true, w, w, w_ih, w_hh, &packed), 0);
            k->project(&packed, &(struct tc_dense_row){x, y}, 1, 0, packed.blocks);
            double want = -1.4426950408889634 * (double)n * sign; /* the input gate's, folded */
            for (size_t u = 0; u < n && u < 8; u++)
                assert_true(fabs((double)y[u] / want - 1) < 2e-3);
            tc_weights_free(&packed);
            float *all[] = {w_ih, w_hh, w, x, y};
            for (size_t i = 0; i < 5; i++)
                free(all[i]);
        }
}

static void dense_layers_equal_float64_and_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    const int32_t sizes[][2] = {{1, 1}, {14, 48}, {65, 7}, {63, 33}, {5, 100}};
    for (size_t i = 0; tc_kern_at(i); i++)
        for (size_t s = 0; s < 5 && tc_kern_runs(tc_kern_at(i)); s++) {
            const struct tc_kern *k = tc_kern_at(i);
            size_t in = (size_t)sizes[s][0], out = (size_t)sizes[s][1],
                   pad = (size_t)tc_kern_pad((int32_t)out);
            struct tc_rng rng;
            tc_rng_seed(&rng, s);
            float *w = randoms(&rng, in * out, 0.4), *bias = randoms(&rng, out, 1),
                  *x = randoms(&rng, in * 11, 1);
            float *y = calloc(11 * pad, sizeof(float)), *alone = calloc(pad, sizeof(float));
            struct tc_weights packed;
            assert_int_equal(tc_dense_pack(k, (int32_t)in, (int32_t)out, w, bias, &packed), 0);
            struct tc_dense_row rows[11];
            for (size_t squash = 0; squash < 2; squash++) {
                for (size_t r = 0; r < 11; r++)
                    rows[r] = (struct tc_dense_row){x + r * in, y + r * pad};
                k->dense(&packed, rows, 11, squash);
                for (size_t r = 0; r < 11; r++) {
                    for (size_t u = 0; u < out; u++) {
                        double sum = (double)bias[u];
                        for (size_t j = 0; j < in; j++)
                            sum += (double)w[u * in + j] * (double)x[r * in + j];
                        assert_true(fabs((squash ? tanh(sum) : sum) - (double)y[r * pad + u]) < 5e-6);
                    }
                    k->dense(&packed, &(struct tc_dense_row){x + r * in, alone}, 1, squash);
                    assert_memory_equal(alone, y + r * pad, pad * sizeof(float));
                }
            }
            tc_weights_free(&packed);
            free(w);
            free(bias);
            free(x);
            free(y);
            free(alone);
        }
}

static void activations_keep_their_stated_bounds(void **state)
{
    (void)state;
    enum { N = 400001 };
    float *s = malloc(N * sizeof(float)), *t = malloc(N * sizeof(float));
    for (size_t i = 0; tc_kern_at(i); i++) {
        const struct tc_kern *k = tc_kern_at(i);
        if (!tc_kern_runs(k))
            continue;
        for (size_t j = 0; j < N; j++)
            s[j] = t[j] = (float)(((double)j - N / 2) * 40.0 / N);
        s[0] = t[0] = -3e38f;
        s[1] = t[1] = 3e38f;
        s[2] = t[2] = 1e-40f;
        float x3[] = {s[0], s[1], s[2]};
        k->sigmoid(s, N);
        k->tanh(t, N);
        double worst_s = 0, worst_t = 0;
        for (size_t j = 0; j < N; j++) {
            double x = j < 3 ? (double)x3[j] : (double)(float)(((double)j - N / 2) * 40.0 / N);
            worst_s = fmax(worst_s, fabs((double)s[j] - sigmoid64(x)));
            worst_t = fmax(worst_t, fabs((double)t[j] - tanh(x)));
        }
        print_message("%s: sigmoid within %.2g, tanh within %.2g\n", k->name, worst_s, worst_t);
        assert_true(worst_s <= 1.2e-7 && worst_t <= 2.4e-7);
    }
    free(s);
    free(t);
}

static void check_gemm(const struct tc_kern *k, size_t m, size_t n, size_t d, bool ta, bool tb)
{
    struct tc_rng rng;
    tc_rng_seed(&rng, m * 7 + n + d);
    float *a = randoms(&rng, m * d, 1), *b = randoms(&rng, d * n, 1), *c = randoms(&rng, m * (n + 3), 1);
    float *before = malloc(m * (n + 3) * sizeof(float));
    memcpy(before, c, m * (n + 3) * sizeof(float));
    struct tc_gemm g = {.kern = k};
    struct tc_matrix am = ta ? (struct tc_matrix){a, 1, m} : (struct tc_matrix){a, d, 1};
    struct tc_matrix bm = tb ? (struct tc_matrix){b, 1, d} : (struct tc_matrix){b, n, 1};
    assert_int_equal(tc_gemm(&g, m, n, d, am, bm, c, n + 3, true), 0);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n + 3; j++) {
            double sum = (double)before[i * (n + 3) + j];
            for (size_t l = 0; l < d && j < n; l++)
                sum += (double)am.p[i * am.row + l * am.col] * (double)bm.p[l * bm.row + j * bm.col];
            assert_true(fabs(sum - (double)c[i * (n + 3) + j]) < 1e-4);
        }
    tc_gemm_free(&g);
    free(a);
    free(b);
    free(c);
    free(before);
}

static void matrix_products_equal_float64_in_every_layout(void **state)
{
    (void)state;
    const size_t sizes[][3] = {{1, 1, 1}, {5, 3, 7}, {24, 192, 48}, {13, 33, 300}, {12, 32, 16}};
    for (size_t i = 0; tc_kern_at(i); i++)
        for (size_t s = 0; s < 5 && tc_kern_runs(tc_kern_at(i)); s++)
            for (int t = 0; t < 4; t++)
                check_gemm(tc_kern_at(i), sizes[s][0], sizes[s][1], sizes[s][2], t & 1, t & 2);
}

static void the_environment_forces_a_kernel_and_an_unknown_one_is_refused(void **state)
{
    (void)state;
    const struct tc_kern *k;
    setenv("TICKCAST_KERNEL", "c", 1);
    assert_int_equal(tc_kern_choose(&k), 0);
    assert_string_equal(k->name, "c");
    setenv("TICKCAST_KERNEL", "abacus", 1);
    assert_true(tc_kern_choose(&k) < 0);
    unsetenv("TICKCAST_KERNEL");
    assert_int_equal(tc_kern_choose(&k), 0);
    assert_true(tc_kern_runs(k));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_equals_float64_over_odd_sizes),
        cmocka_unit_test(a_row_has_the_same_bits_in_any_split_of_a_batch),
        cmocka_unit_test(a_step_taken_in_parts_has_the_same_bits),
        cmocka_unit_test(sums_of_16_bit_integers_cannot_overflow),
        cmocka_unit_test(dense_layers_equal_float64_and_do_not_depend_on_the_batch),
        cmocka_unit_test(activations_keep_their_stated_bounds),
        cmocka_unit_test(matrix_products_equal_float64_in_every_layout),
        cmocka_unit_test(the_environment_forces_a_kernel_and_an_unknown_one_is_refused),
    };
    return cmocka_run_group_tests_name("kern", tests, NULL, NULL);
}
