/* tickcast bench: what this machine can do. `bench lstm`: every kernel on the shapes that matter. */
#include "app/bench_flight.h"
#include "app/bench_kernels.h"
#include "app/command.h"
#include "app/config.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "base/path.h"
#include "base/rng.h"
#include "model/model.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    int64_t rounds, threads, bars;
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
    {.key = "threads",
     .type = TC_OPT_INT,
     .at = offsetof(struct options, threads),
     .def = "0",
     .min = "0",
     .max = "64",
     .doc = "lstm: threads, beside one; 0 = all processors, at most 8"},
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

enum { ROUND_NS = 10000000 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
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
    double *times = calloc((size_t)o->rounds, sizeof(double));
    if (!times)
        return tc_fail(TC_ENOMEM, "no memory for the benchmark's times");
    int rc = tc_bench_kernels(o->rounds, (int)o->threads, o->json);
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
