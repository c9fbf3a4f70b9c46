/* Windows in flight against windows computed afresh and against an evaluation of the rows alone: the same
 * bits, for random networks, many symbols, sessions that end, restarts and any share of the work left undone.
 */
#include "base/err.h"
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
#include <cmocka.h>

enum { SYMBOLS = 40, FEATURES = 6, TARGETS = 3 };

static int32_t between(struct tc_rng *rng, int32_t lo, int32_t hi)
{
    return lo + (int32_t)tc_rng_below(rng, (uint32_t)(hi - lo + 1));
}

static void make_spec(struct tc_rng *rng, struct tc_model_spec *s)
{
    *s = (struct tc_model_spec){.name = "flight", .low = -6, .high = 6};
    struct tc_model_info *info = &s->info;
    snprintf(info->inputs, sizeof(info->inputs), "T14");
    snprintf(info->feature_hash, sizeof(info->feature_hash), "0123456789abcdef");
    snprintf(info->target_unit, sizeof(info->target_unit), "move_scale");
    memset(info->data_sha256, 'a', 64);
    info->window = between(rng, 1, 3) == 1 ? between(rng, 1, 3) : between(rng, 1, 24);
    info->block = between(rng, 1, 3) == 1 ? between(rng, 2, 7) : 1;
    info->interval_ms = 1000;
    info->n_features = between(rng, 1, FEATURES);
    info->n_targets = between(rng, 1, TARGETS);
    struct tc_net_shape shape = {.features = info->n_features * (info->block > 1 ? TC_MODEL_STATS : 1),
                                 .layers = between(rng, 1, 8),
                                 .hidden = between(rng, 0, 40) * 2 + 1,
                                 .targets = info->n_targets,
                                 .input_size = between(rng, 0, 2) == 0 ? between(rng, 1, 40) : 0,
                                 .skip = between(rng, 0, 1) == 1};
    for (int32_t i = 0; i < info->n_features; i++) {
        snprintf(info->features[i], TC_FEATURE_NAME_SIZE, "f%d", i);
        s->mean[i] = tc_rng_normal(rng);
        s->sd[i] = 0.5 + tc_rng_uniform(rng);
    }
    for (int32_t j = 0; j < info->n_targets; j++) {
        info->targets[j] =
            (struct tc_model_target){j ? TC_KIND_LAST : TC_KIND_NEXT, 1000 * j, 1, NAN, NAN, NAN};
        s->scale[j] = 0.7 + 0.1 * j;
    }
    assert_int_equal(tc_net_open(&shape, &s->net), 0);
    for (size_t i = 0; i < s->net.n; i++)
        s->net.p[i] = (float)(1.2 * tc_rng_normal(rng) / sqrt((double)shape.hidden + 5));
}

/* One symbol, three times: with its windows in flight, without, and its rows as they came since the reset. */
struct both {
    void *state, *flight, *plain;
    double *past;
    size_t n, room;
};

static void *zeroed(size_t size)
{
    void *p = aligned_alloc(64, size ? size : 64);
    assert_non_null(p);
    memset(p, 0, size);
    return p;
}

static void remember(struct both *b, const double *x, size_t width)
{
    if (b->n == b->room) {
        b->room = b->room ? 2 * b->room : 64;
        b->past = realloc(b->past, b->room * width * sizeof(double));
        assert_non_null(b->past);
    }
    memcpy(b->past + b->n++ * width, x, width * sizeof(double));
}

/* Reset (a session ends), restart (the flight's memory is lost, the state's bytes are not) or nothing. */
static void something_happens(struct tc_rng *rng, struct tc_model *m, struct both *b)
{
    uint32_t what = tc_rng_below(rng, 400);
    if (what == 0) {
        tc_model_state_reset(m, b->state);
        tc_model_state_reset(m, b->plain);
        b->n = 0;
    } else if (what <= 3) {
        size_t size = tc_model_state_size(m);
        void *again = zeroed(size);
        memcpy(again, b->state, size);
        free(b->state);
        b->state = again;
        memset(b->flight, 0, tc_model_flight_size(m));
    }
}

static void check_row(struct tc_model *m, const struct both *b, const struct tc_model_row *flown,
                      const struct tc_model_row *plain)
{
    const struct tc_model_info *info = tc_model_info(m);
    size_t k = (size_t)info->n_targets, d = (size_t)info->n_features;
    size_t need = (size_t)info->window * (size_t)info->block;
    assert_int_equal(flown->ready, b->n >= need);
    assert_int_equal(plain->ready, flown->ready);
    assert_int_equal(plain->out_of_domain, flown->out_of_domain);
    assert_memory_equal(b->state, b->plain, tc_model_state_size(m));
    if (!flown->ready)
        return;
    double raw[TARGETS], value[TARGETS];
    assert_memory_equal(flown->y, plain->y, k * sizeof(double));
    assert_int_equal(tc_model_eval(m, b->past + (b->n - need) * d, need, false, raw, value), 0);
    if (memcmp(flown->y, value, k * sizeof(double)) != 0)
        fail_msg("%d layers of %d, window %d x %d: %a in flight, %a afresh", info->layers, info->hidden,
                 info->window, info->block, flown->y[0], value[0]);
}

static void fly(struct tc_rng *rng, struct tc_model *m, struct both *all, size_t seconds)
{
    size_t d = (size_t)tc_model_info(m)->n_features;
    bool fly = tc_model_flight_size(m) > 0;
    double x[SYMBOLS][FEATURES], y[SYMBOLS][TARGETS], z[SYMBOLS][TARGETS];
    struct tc_model_row rows[SYMBOLS], plain[SYMBOLS];
    struct both *who[SYMBOLS];
    for (size_t t = 0; t < seconds; t++) {
        size_t n = 0, at = 0;
        for (size_t i = 0; i < SYMBOLS; i++) {
            something_happens(rng, m, &all[i]);
            if (tc_rng_below(rng, 8) <= i % 8) /* some trade in every second, some seldom */
                continue;
            for (size_t j = 0; j < d; j++)
                x[n][j] = tc_rng_normal(rng) * (tc_rng_below(rng, 40) ? 1 : 20);
            remember(&all[i], x[n], d);
            rows[n] = (struct tc_model_row){
                .state = all[i].state, .flight = fly ? all[i].flight : NULL, .x = x[n], .y = y[n]};
            plain[n] = (struct tc_model_row){.state = all[i].plain, .x = x[n], .y = z[n]};
            who[n++] = &all[i];
        }
        assert_int_equal(tc_model_step(m, rows, n), 0);
        assert_int_equal(tc_model_step(m, plain, n), 0);
        for (size_t r = 0; r < n; r++)
            check_row(m, who[r], &rows[r], &plain[r]);
        uint32_t pieces = tc_rng_below(rng, 5); /* the rest is done when it can wait no longer */
        while (pieces < 3 && pieces-- && tc_model_advance(m, rows, n, &at))
            ;
        while (pieces >= 3 && tc_model_advance(m, rows, n, &at))
            ;
        assert_true(pieces < 3 || tc_model_left(rows, n) == 0);
    }
}

static void windows_in_flight_have_the_bits_of_windows_afresh(void **state)
{
    (void)state;
    struct tc_rng rng;
    tc_rng_seed(&rng, 20);
    for (int round = 0; round < 6; round++) {
        struct tc_model_spec s;
        struct tc_model *m;
        struct both all[SYMBOLS] = {0};
        make_spec(&rng, &s);
        assert_int_equal(tc_model_open(&s, &m), 0);
        for (size_t i = 0; i < SYMBOLS; i++) {
            all[i].state = zeroed(tc_model_state_size(m));
            all[i].plain = zeroed(tc_model_state_size(m));
            all[i].flight = zeroed(tc_model_flight_size(m));
        }
        fly(&rng, m, all, 70);
        for (size_t i = 0; i < SYMBOLS; i++) {
            free(all[i].state);
            free(all[i].plain);
            free(all[i].flight);
            free(all[i].past);
        }
        tc_model_free(m);
        tc_model_spec_free(&s);
    }
}

/* A symbol's first forecast comes with the last row of its first window and the work left is what is stated.
 */
static void a_full_window_leaves_one_step_for_each_open_window(void **state)
{
    (void)state;
    enum { T = 9, K = 3 };
    struct tc_rng rng;
    struct tc_model_spec s;
    struct tc_model *m;
    tc_rng_seed(&rng, 4);
    make_spec(&rng, &s);
    tc_net_free(&s.net);
    s.info.window = T;
    s.info.block = K;
    struct tc_net_shape shape = {
        .features = 4 * s.info.n_features, .layers = 2, .hidden = 7, .targets = s.info.n_targets};
    assert_int_equal(tc_net_open(&shape, &s.net), 0);
    assert_int_equal(tc_model_open(&s, &m), 0);
    assert_int_equal(tc_model_flight_size(m) % 64, 0);
    assert_int_equal(tc_model_state_size(m) % 64, 0);
    void *own = zeroed(tc_model_state_size(m)), *flight = zeroed(tc_model_flight_size(m));
    double x[FEATURES] = {0}, y[TARGETS];
    for (size_t t = 0; t < (size_t)T * K + 20; t++) {
        struct tc_model_row row = {.state = own, .flight = flight, .x = x, .y = y};
        assert_int_equal(tc_model_step(m, &row, 1), 0);
        assert_int_equal(row.ready, t + 1 >= (size_t)T * K);
        size_t open = t + 1 < K ? 0 : (t + 1 - K) / K + 1; /* of this phase */
        assert_int_equal(tc_model_left(&row, 1), open < T - 1 ? open : T - 1);
    }
    free(own);
    free(flight);
    tc_model_free(m);
    tc_model_spec_free(&s);
}

static void models_with_nothing_open_between_bars_take_no_flight(void **state)
{
    (void)state;
    struct tc_rng rng;
    tc_rng_seed(&rng, 3);
    for (int stateful = 0; stateful < 2; stateful++) {
        struct tc_model_spec s;
        struct tc_model *m;
        make_spec(&rng, &s);
        tc_net_free(&s.net);
        s.info.block = 1;
        s.info.window = stateful ? 0 : 1;
        s.info.stateful = stateful;
        struct tc_net_shape shape = {
            .features = s.info.n_features, .layers = 1, .hidden = 5, .targets = s.info.n_targets};
        assert_int_equal(tc_net_open(&shape, &s.net), 0);
        assert_int_equal(tc_model_open(&s, &m), 0);
        assert_int_equal(tc_model_flight_size(m), 0);
        tc_model_free(m);
        tc_model_spec_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_in_flight_have_the_bits_of_windows_afresh),
        cmocka_unit_test(a_full_window_leaves_one_step_for_each_open_window),
        cmocka_unit_test(models_with_nothing_open_between_bars_take_no_flight),
    };
    int failed = 0;
    for (size_t i = 0; tc_kern_at(i); i++)
        if (tc_kern_runs(tc_kern_at(i))) {
            setenv("TICKCAST_KERNEL", tc_kern_at(i)->name, 1);
            failed += cmocka_run_group_tests_name(tc_kern_at(i)->name, tests, NULL, NULL);
        }
    return failed;
}
