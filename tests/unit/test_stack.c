/* Layers over sequences on teams of threads: the same bits as step after step on one. */
#include "base/clock.h"
#include "base/rng.h"
#include "kern/stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { LAYERS_MAX = 8 };

struct net {
    const struct tc_kern *kern;
    size_t layers, inputs, hidden, width, wide;
    struct tc_weights layer[LAYERS_MAX];
};

static float *randoms(struct tc_rng *rng, size_t n, double scale)
{
    float *v = calloc(n, sizeof(float));
    assert_non_null(v);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(scale * tc_rng_normal(rng));
    return v;
}

static void net_make(struct net *net, const struct tc_kern *k, size_t layers, size_t inputs, size_t hidden)
{
    struct tc_rng rng;
    tc_rng_seed(&rng, layers * 1000 + hidden);
    *net = (struct net){.kern = k, .layers = layers, .inputs = inputs, .hidden = hidden};
    net->width = (size_t)tc_kern_pad((int32_t)inputs);
    net->wide = (size_t)tc_kern_pad((int32_t)hidden);
    for (size_t l = 0; l < layers; l++) {
        size_t in = l ? hidden : inputs;
        float *w_ih = randoms(&rng, 4 * hidden * in, 0.1), *w_hh = randoms(&rng, 4 * hidden * hidden, 0.1),
              *bias = randoms(&rng, 4 * hidden, 0.3);
        assert_int_equal(
            tc_lstm_pack(k, (int32_t)in, (int32_t)hidden, l > 0, w_ih, w_hh, bias, bias, &net->layer[l]), 0);
        free(w_ih);
        free(w_hh);
        free(bias);
    }
}

static void net_free(struct net *net)
{
    for (size_t l = 0; l < net->layers; l++)
        tc_weights_free(&net->layer[l]);
}

/* Row after row, step after step, layer after layer: the plainest way. */
static void run_plainly(const struct net *net, const float *x, size_t steps, size_t rows, float *out)
{
    size_t state = net->layers * net->wide;
    float *h[2] = {calloc(state, sizeof(float)), calloc(state, sizeof(float))},
          *c = calloc(state, sizeof(float));
    for (size_t r = 0; r < rows; r++) {
        memset(h[1], 0, state * sizeof(float));
        memset(c, 0, state * sizeof(float));
        for (size_t t = 0; t < steps; t++)
            for (size_t l = 0; l < net->layers; l++) {
                const float *in = l ? h[t % 2] + (l - 1) * net->wide : x + (t * rows + r) * net->width;
                struct tc_lstm_row row = {in, h[1 - t % 2] + l * net->wide, c + l * net->wide,
                                          h[t % 2] + l * net->wide};
                net->kern->lstm(&net->layer[l], &row, 1);
            }
        memcpy(out + r * net->wide, h[(steps - 1) % 2] + state - net->wide, net->wide * sizeof(float));
    }
    free(h[0]);
    free(h[1]);
    free(c);
}

static void same_rows(const struct net *net, const float *a, const float *b, size_t rows, int threads)
{
    for (size_t r = 0; r < rows; r++)
        if (memcmp(a + r * net->wide, b + r * net->wide, net->hidden * sizeof(float)) != 0)
            fail_msg("%s: %zux%zu, row %zu of %zu differs on %d threads", net->kern->name, net->layers,
                     net->hidden, r, rows, threads);
}

static void check(const struct tc_kern *k, size_t layers, size_t inputs, size_t hidden, size_t steps,
                  size_t rows)
{
    struct net net;
    struct tc_rng rng;
    tc_rng_seed(&rng, rows);
    net_make(&net, k, layers, inputs, hidden);
    float *x = randoms(&rng, steps * rows * net.width, 1), *want = calloc(rows * net.wide, sizeof(float)),
          *got = calloc(rows * net.wide, sizeof(float));
    run_plainly(&net, x, steps, rows, want);
    for (int threads = 1; threads <= 3; threads++) {
        struct tc_team *team;
        struct tc_stack *stack;
        assert_int_equal(tc_team_open(threads, &team), 0);
        assert_int_equal(tc_stack_open(k, team, net.layer, layers, steps, &stack), 0);
        for (int again = 0; again < 2; again++) { /* nothing is left over from the run before */
            memset(got, 0, rows * net.wide * sizeof(float));
            tc_stack_run(stack, x, net.width, steps, rows, got);
            same_rows(&net, want, got, rows, threads);
        }
        tc_stack_close(stack);
        tc_team_close(team);
    }
    free(x);
    free(want);
    free(got);
    net_free(&net);
}

static void sequences_have_the_same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    static const size_t shapes[][5] = {
        /* layers, inputs, hidden, steps, rows */
        {1, 1, 1, 1, 1},    {1, 5, 3, 7, 2},   {2, 20, 50, 10, 1},  {2, 20, 50, 10, 33}, {3, 5, 200, 60, 1},
        {2, 5, 200, 11, 3}, {2, 5, 200, 5, 7}, {1, 65, 333, 12, 2}, {8, 5, 24, 3, 300},  {4, 14, 136, 51, 5},
    };
    for (size_t i = 0; tc_kern_at(i); i++)
        for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]) && tc_kern_runs(tc_kern_at(i)); s++)
            check(tc_kern_at(i), shapes[s][0], shapes[s][1], shapes[s][2], shapes[s][3], shapes[s][4]);
}

static void one_step_shared_by_a_team_has_the_same_bits(void **state)
{
    (void)state;
    enum { ROWS = 40, HIDDEN = 200 };
    const struct tc_kern *k;
    struct tc_team *team;
    struct net net;
    struct tc_rng rng;
    assert_int_equal(tc_kern_choose(&k), 0);
    assert_int_equal(tc_team_open(3, &team), 0);
    net_make(&net, k, 1, HIDDEN, HIDDEN);
    tc_rng_seed(&rng, 3);
    size_t all = ROWS * net.wide;
    float *x = randoms(&rng, all, 1), *h = randoms(&rng, all, 0.5), *c = randoms(&rng, all, 1);
    float *c2 = malloc(all * sizeof(float)), *one = calloc(all, sizeof(float)),
          *two = calloc(all, sizeof(float));
    for (size_t n = 1; n <= ROWS; n += 13) {
        struct tc_lstm_row rows[ROWS], shared[ROWS];
        memcpy(c2, c, all * sizeof(float));
        for (size_t r = 0; r < n; r++) {
            size_t at = r * net.wide;
            rows[r] = (struct tc_lstm_row){x + at, h + at, c + at, one + at};
            shared[r] = (struct tc_lstm_row){x + at, h + at, c2 + at, two + at};
        }
        k->lstm(&net.layer[0], rows, n);
        tc_team_lstm(team, k, &net.layer[0], shared, n);
        same_rows(&net, one, two, n, 3);
        same_rows(&net, c, c2, n, 3);
    }
    float *all_of_them[] = {x, h, c, c2, one, two};
    for (size_t i = 0; i < 6; i++)
        free(all_of_them[i]);
    net_free(&net);
    tc_team_close(team);
}

struct counts {
    int seen[4];
    int members;
};

static void count(void *ctx, int member, int members)
{
    struct counts *c = ctx;
    c->seen[member]++;
    if (member == 0)
        c->members = members;
}

static void every_member_runs_each_job_once_asleep_or_awake(void **state)
{
    (void)state;
    struct tc_team *team;
    struct counts c = {0};
    assert_int_equal(tc_team_open(4, &team), 0);
    assert_int_equal(tc_team_size(team), 4);
    for (int i = 0; i < 3000; i++) {
        tc_team_run(team, 4, count, &c);
        if (i % 1000 == 0)
            tc_sleep_until_mono(tc_mono_ns() + 5 * TC_NS_PER_MS); /* long enough for all to fall asleep */
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(c.seen[i], 3000);
    tc_team_run(team, 2, count, &c);
    assert_true(c.members == 2 && c.seen[1] == 3001 && c.seen[2] == 3000);
    tc_team_run(NULL, 4, count, &c);
    assert_true(c.members == 1 && c.seen[0] == 3002 && c.seen[1] == 3001);
    tc_team_close(team);
    assert_true(tc_team_open(TC_TEAM_MAX + 1, &team) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_have_the_same_bits_on_any_number_of_threads),
        cmocka_unit_test(one_step_shared_by_a_team_has_the_same_bits),
        cmocka_unit_test(every_member_runs_each_job_once_asleep_or_awake),
    };
    return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
