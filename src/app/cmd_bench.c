/* tickcast bench: what this machine can do. `bench lstm`: every kernel on the shapes that matter. */
#include "app/bench_flight.h"
#include "app/command.h"
#include "app/config.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "base/path.h"
#include "base/rng.h"
#include "kern/kern.h"
#include "model/model.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    int64_t rounds, bars;
    struct tc_opt_list symbols;
    bool json;
};

static const struct tc_opt options[] = {
    {.key = "rounds",
     .type = TC_OPT_INT,
     .at = offsetof(struct options, rounds),
     .def = "9",
     .min = "3",
     .max = "1000",
     .doc = "interleaved rounds of about 10 ms for each figure"},
    {.key = "symbols",
     .type = TC_OPT_LIST,
     .at = offsetof(struct options, symbols),
     .def = "1,7,100",
     .doc = "flight: how many symbols trade in one second"},
    {.key = "bars",
     .type = TC_OPT_INT,
     .at = offsetof(struct options, bars),
     .def = "100",
     .min = "9",
     .max = "100000",
     .doc = "flight: seconds that are measured"},
    {.key = "json",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct options, json),
     .def = "false",
     .doc = "JSON, one object a line"},
};

static const struct shape {
    const char *name;
    int32_t inputs, hidden, layers;
} shapes[] = {{"1x48", 48, 48, 1}, {"2x50", 20, 50, 2}, {"5x200", 5, 200, 5}};

static const size_t batches[] = {1, 7, 256};

enum {
    SHAPES = 3,
    BATCHES = 3,
    BATCH_MAX = 256,
    LAYERS_MAX = 5,
    WIDE = 208,
    KERNELS_MAX = 8,
    ROUND_NS = 10000000
};

/* Weights of one shape packed for one kernel, and rows that step on and on. */
struct bed {
    struct tc_weights packed[LAYERS_MAX];
    float x[BATCH_MAX * WIDE], h[LAYERS_MAX][2][BATCH_MAX * WIDE], c[LAYERS_MAX][BATCH_MAX * WIDE];
    struct tc_lstm_row rows[BATCH_MAX];
};

static float *random_floats(struct tc_rng *rng, size_t n, double scale)
{
    float *v = malloc(n * sizeof(float));
    for (size_t i = 0; v && i < n; i++)
        v[i] = (float)(scale * (2 * tc_rng_uniform(rng) - 1));
    return v;
}

static int pack_layer(const struct tc_kern *k, struct tc_rng *rng, int32_t inputs, int32_t hidden,
                      struct tc_weights *out)
{
    size_t d = (size_t)inputs, h = (size_t)hidden;
    double scale = 1 / sqrt((double)hidden);
    float *w_ih = random_floats(rng, 4 * h * d, scale), *w_hh = random_floats(rng, 4 * h * h, scale);
    float *bias = random_floats(rng, 4 * h, scale);
    int rc = w_ih && w_hh && bias
                 ? tc_lstm_pack(k, inputs, hidden, inputs == hidden, w_ih, w_hh, bias, bias, out)
                 : tc_fail(TC_ENOMEM, "no memory for the benchmark's weights");
    free(w_ih);
    free(w_hh);
    free(bias);
    return rc;
}

static void bed_close(struct bed *b)
{
    if (!b)
        return;
    for (size_t l = 0; l < LAYERS_MAX; l++)
        tc_weights_free(&b->packed[l]);
    free(b);
}

static int bed_open(const struct tc_kern *k, const struct shape *s, struct bed **out)
{
    struct bed *b = calloc(1, sizeof(*b));
    if (!b)
        return tc_fail(TC_ENOMEM, "no memory for the benchmark");
    struct tc_rng rng;
    tc_rng_seed(&rng, 1);
    int rc = TC_OK;
    for (int32_t l = 0; l < s->layers && !rc; l++)
        rc = pack_layer(k, &rng, l ? s->hidden : s->inputs, s->hidden, &b->packed[l]);
    for (size_t i = 0; i < BATCH_MAX * WIDE; i++)
        b->x[i] = (float)tc_rng_uniform(&rng);
    if (rc)
        bed_close(b);
    else
        *out = b;
    return rc;
}

static void step(const struct tc_kern *k, const struct shape *s, struct bed *b, size_t batch, size_t now)
{
    for (size_t l = 0; l < (size_t)s->layers; l++) {
        const float *in = l ? b->h[l - 1][now] : b->x;
        for (size_t r = 0; r < batch; r++)
            b->rows[r] = (struct tc_lstm_row){in + r * WIDE, b->h[l][1 - now] + r * WIDE, b->c[l] + r * WIDE,
                                              b->h[l][now] + r * WIDE};
        k->lstm(&b->packed[l], b->rows, batch);
    }
}

/* Nanoseconds of one step of the batch, from about one round's time of steps. */
static double time_round(const struct tc_kern *k, const struct shape *s, struct bed *b, size_t batch)
{
    int64_t from = tc_mono_ns(), now;
    size_t steps = 0;
    do {
        for (size_t i = 0; i < 4; i++)
            step(k, s, b, batch, steps++ % 2);
        now = tc_mono_ns();
    } while (now - from < ROUND_NS);
    return (double)(now - from) / (double)steps;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Multiply-adds of one row's step, times two. */
static double flops(const struct shape *s)
{
    double sum = 0;
    for (int32_t l = 0; l < s->layers; l++)
        sum += 8.0 * s->hidden * ((l ? s->hidden : s->inputs) + s->hidden);
    return sum;
}

static void print_line(const struct options *o, const struct tc_kern *k, const struct shape *s, size_t batch,
                       const double *ns, double plain)
{
    double median = ns[o->rounds / 2], rows = (double)batch * 1e9 / median,
           gflops = flops(s) * (double)batch / median;
    if (o->json)
        printf("{\"kernel\":\"%s\",\"shape\":\"%s\",\"batch\":%zu,\"median_us\":%.3f,\"min_us\":%.3f,\"rows_"
               "per_s\":%.0f,"
               "\"gflops\":%.2f,\"times_plain_c\":%.2f}\n",
               k->name, s->name, batch, median / 1e3, ns[0] / 1e3, rows, gflops, plain / median);
    else
        printf("%-8s %-7s %5zu   %10.2f %10.2f   %12.0f   %8.1f   %8.1fx\n", k->name, s->name, batch,
               median / 1e3, ns[0] / 1e3, rows, gflops, plain / median);
}

static int bench_shape(const struct options *o, const struct shape *s, double *times)
{
    struct bed *beds[KERNELS_MAX] = {0};
    const struct tc_kern *kernels[KERNELS_MAX];
    size_t n = 0;
    int rc = TC_OK;
    for (size_t i = 0; tc_kern_at(i) && n < KERNELS_MAX && !rc; i++)
        if (tc_kern_runs(tc_kern_at(i))) {
            kernels[n] = tc_kern_at(i);
            rc = bed_open(kernels[n], s, &beds[n]);
            n += rc == TC_OK;
        }
    size_t rounds = (size_t)o->rounds;
    for (size_t b = 0; b < BATCHES && !rc; b++) {
        for (size_t r = 0; r < rounds; r++)
            for (size_t i = 0; i < n; i++)
                times[i * rounds + r] = time_round(kernels[i], s, beds[i], batches[b]);
        for (size_t i = 0; i < n; i++) {
            qsort(times + i * rounds, rounds, sizeof(double), by_value);
            print_line(o, kernels[i], s, batches[b], times + i * rounds, times[rounds / 2]);
        }
        fflush(stdout);
    }
    for (size_t i = 0; i < n; i++)
        bed_close(beds[i]);
    return rc;
}

static int bench_lstm(const struct options *o, double *times)
{
    const struct tc_kern *chosen;
    int rc = tc_kern_choose(&chosen);
    if (!rc && !o->json)
        printf("One step (one bar) of stateful LSTM layers, one thread; tickcast uses %s here.\n\n"
               "kernel   shape   batch    median us     min us      rows a sec    GFLOP/s    plain c\n",
               chosen->name);
    for (size_t i = 0; i < SHAPES && !rc; i++)
        rc = bench_shape(o, &shapes[i], times);
    return rc;
}

static const size_t crowds[] = {1, 7, 1000, 10000};

enum { CROWDS = 4, CROWD_MAX = 10000 };

/* Symbols that all trade in every second, with inputs of their own. */
struct crowd {
    struct tc_model *model;
    struct tc_model_row *rows;
    char *states;
    double *x, *y;
};

static void crowd_close(struct crowd *c)
{
    tc_model_free(c->model);
    free(c->rows);
    free(c->states);
    free(c->x);
    free(c->y);
}

static int crowd_open(struct crowd *c, const char *path)
{
    *c = (struct crowd){0};
    int rc = tc_model_load(path, &c->model);
    if (rc)
        return rc;
    const struct tc_model_info *info = tc_model_info(c->model);
    size_t d = (size_t)info->n_features, k = (size_t)info->n_targets, size = tc_model_state_size(c->model);
    c->rows = calloc(CROWD_MAX, sizeof(*c->rows));
    c->states = aligned_alloc(64, CROWD_MAX * size);
    c->x = malloc(CROWD_MAX * d * sizeof(double));
    c->y = malloc(CROWD_MAX * k * sizeof(double));
    if (!c->rows || !c->states || !c->x || !c->y)
        return tc_fail(TC_ENOMEM, "no memory for %d symbols of %zu bytes", CROWD_MAX, size);
    struct tc_rng rng;
    tc_rng_seed(&rng, 1);
    for (size_t i = 0; i < CROWD_MAX * d; i++)
        c->x[i] = tc_rng_normal(&rng);
    for (size_t i = 0; i < CROWD_MAX; i++) {
        tc_model_state_reset(c->model, c->states + i * size);
        c->rows[i] =
            (struct tc_model_row){.state = c->states + i * size, .x = c->x + i * d, .y = c->y + i * k};
    }
    return TC_OK;
}

static int bench_crowd(const struct options *o, struct crowd *c, size_t n, double *times)
{
    for (size_t r = 0; r < (size_t)o->rounds; r++) {
        int64_t from = tc_mono_ns(), now;
        size_t steps = 0;
        do {
            int rc = tc_model_step(c->model, c->rows, n);
            if (rc)
                return rc;
            steps++;
            now = tc_mono_ns();
        } while (now - from < ROUND_NS);
        times[r] = (double)(now - from) / (double)steps;
    }
    qsort(times, (size_t)o->rounds, sizeof(double), by_value);
    double median = times[o->rounds / 2];
    if (o->json)
        printf("{\"model\":\"%s\",\"kernel\":\"%s\",\"symbols\":%zu,\"median_us\":%.3f,\"min_us\":%.3f}\n",
               tc_model_info(c->model)->id, tc_model_info(c->model)->kernel, n, median / 1e3, times[0] / 1e3);
    else
        printf("%-8zu %12.2f %12.2f %12.3f\n", n, median / 1e3, times[0] / 1e3, median / 1e3 / (double)n);
    return TC_OK;
}

/* A whole model as the engine runs it: checks, scaling, layers, outputs. */
static int bench_model(const struct options *o, const char *path, double *times)
{
    struct crowd c;
    int rc = crowd_open(&c, path);
    if (!rc && !o->json)
        printf("\n%s, a second in which every symbol trades:\nsymbols     median us       min us   us a "
               "symbol\n",
               tc_model_info(c.model)->id);
    for (size_t i = 0; i < CROWDS && !rc; i++)
        rc = bench_crowd(o, &c, crowds[i], times);
    crowd_close(&c);
    return rc;
}

/* `path` NULL = the shipped model, where there is one. */
static int bench_all(const struct options *o, const char *path)
{
    char shipped[PATH_MAX];
    if (!path && tc_data_path("models/default.safetensors", shipped, sizeof(shipped)) == TC_OK)
        path = shipped;
    double *times = calloc((size_t)o->rounds * KERNELS_MAX, sizeof(double));
    if (!times)
        return tc_fail(TC_ENOMEM, "no memory for the benchmark's times");
    int rc = bench_lstm(o, times);
    if (!rc && path)
        rc = bench_model(o, path, times);
    free(times);
    return rc;
}

static int bench_flight(const struct options *o, const char *path)
{
    enum { SIZES_MAX = 16, SYMBOLS_MAX = 100000 };
    int64_t symbols[SIZES_MAX];
    if (!path)
        return tc_fail(TC_EUSAGE, "bench flight: which model? Name its file");
    if (o->symbols.n > SIZES_MAX)
        return tc_fail(TC_EUSAGE, "--symbols: at most %d numbers", SIZES_MAX);
    for (size_t i = 0; i < o->symbols.n; i++)
        if (!tc_parse_int(o->symbols.items[i], strlen(o->symbols.items[i]), &symbols[i]) || symbols[i] < 1 ||
            symbols[i] > SYMBOLS_MAX)
            return tc_fail(TC_EUSAGE, "--symbols %.40s: numbers from 1 to %d", o->symbols.items[i],
                           SYMBOLS_MAX);
    return tc_bench_flight(&(struct tc_flight_bench){
        .path = path, .bars = o->bars, .symbols = symbols, .n = o->symbols.n, .json = o->json});
}

static int run(const struct options *o, const char *what, const char *path)
{
    if (strcmp(what, "lstm") == 0)
        return bench_all(o, path);
    if (strcmp(what, "flight") == 0)
        return bench_flight(o, path);
    return tc_fail(TC_EUSAGE, "bench %.40s: unknown; it takes: lstm, flight", what);
}

int tc_cmd_bench(int argc, char **argv)
{
    struct options o;
    struct tc_cli cli = {
        .command = "bench",
        .usage = "lstm|flight [FLAGS] [MODEL]",
        .about =
            "Measures this machine. lstm: every kernel for LSTM layers, on the shipped model's shape and the "
            "two classic ones, and a whole model (the shipped one) for many symbols. flight: a model that "
            "reads a window, bar after bar: time to the forecast, and of the work left for after it.",
        .opts = options,
        .n_opts = sizeof(options) / sizeof(options[0]),
        .target = &o,
        .args_min = 1,
        .args_max = 2,
        .examples = "  tickcast bench lstm\n  tickcast bench flight net.safetensors --symbols 1,7\n"
                    "  TICKCAST_KERNEL=avx2 tickcast run      (forces a kernel)\n",
    };
    struct tc_config_set set;
    int rc = tc_config_load(&set, &cli, argc, argv);
    if (!rc)
        rc = run(&o, set.opts.args[0], set.opts.n_args > 1 ? set.opts.args[1] : NULL);
    tc_config_release(&set);
    return tc_command_exit(rc);
}
