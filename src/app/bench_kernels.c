#include "app/bench_kernels.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/rng.h"
#include "kern/stack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    KERNELS_MAX = 8,
    TEAMS = 2,
    STEPS = 8,
    ROUND_NS = 10000000
};

/* One layer as it comes, for the reference. */
struct layer {
    int32_t inputs;
    float *w_ih, *w_hh, *bias; /* the same bias twice */
};

/* One shape packed for one kernel. */
struct bed {
    const struct tc_kern *kern;
    struct tc_weights packed[LAYERS_MAX];
    struct tc_stack *stack[TEAMS];
    double peak; /* floating-point operations a nanosecond of the kernel's loop, one thread */
    double error;
};

struct bench {
    const struct shape *shape;
    int64_t rounds;
    bool json;
    struct tc_team *team[TEAMS];
    struct layer layer[LAYERS_MAX];
    struct bed bed[KERNELS_MAX];
    size_t n, teams, width, wide;
    float *x, *last; /* [STEPS][BATCH_MAX][width], [BATCH_MAX][wide] */
    double *times;   /* [KERNELS_MAX][rounds] */
};

static float *floats(size_t n)
{
    return aligned_alloc(TC_KERN_ALIGN,
                         (n * sizeof(float) + TC_KERN_ALIGN - 1) / TC_KERN_ALIGN * TC_KERN_ALIGN);
}

static float *random_floats(struct tc_rng *rng, size_t n, double scale)
{
    float *v = floats(n);
    for (size_t i = 0; v && i < n; i++)
        v[i] = (float)(scale * (2 * tc_rng_uniform(rng) - 1));
    return v;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* --- what the machine allows -------------------------------------------------------------------------------
 */
/* The kernel's own loop over weights that lie in the first cache: 64 inputs, 48 rows, one block; of 16 bits
 * three blocks, so that rounding the inputs is as little of it as in a real layer. */
static int measure_peak(const struct tc_kern *k, double *out)
{
    enum { INPUTS = 64, ROWS = 48 };
    int32_t blocks = k->format == TC_PACK_FLOAT ? 1 : 3, units = k->block * blocks;
    size_t pad = (size_t)tc_kern_pad(units);
    struct tc_rng rng;
    struct tc_dense_row row[ROWS];
    struct tc_weights w = {0};
    tc_rng_seed(&rng, 1);
    float *weights = random_floats(&rng, 4 * (size_t)units * INPUTS, 0.1),
          *x = random_floats(&rng, INPUTS * ROWS, 1), *y = floats(ROWS * 4 * pad);
    int rc = weights && x && y ? tc_lstm_pack(k, INPUTS, units, true, weights, weights, weights, weights, &w)
                               : tc_fail(TC_ENOMEM, "no memory for the benchmark");
    for (size_t r = 0; r < ROWS && !rc; r++)
        row[r] = (struct tc_dense_row){x + r * INPUTS, y + r * 4 * pad};
    *out = 0;
    for (int round = 0; round < 60 && !rc; round++) {
        enum { TIMES = 50 };
        int64_t from = tc_mono_ns();
        for (int i = 0; i < TIMES; i++)
            k->project(&w, row, ROWS, 0, blocks);
        double rate = 8.0 * units * INPUTS * ROWS * TIMES / (double)(tc_mono_ns() - from);
        *out = rate > *out ? rate : *out;
    }
    tc_weights_free(&w);
    free(weights);
    free(x);
    free(y);
    return rc;
}

/* Bytes a nanosecond of one thread that reads so many again and again. */
static double read_rate(size_t bytes)
{
    enum { LANES = 16 };
    size_t n = bytes / sizeof(uint64_t) / LANES * LANES;
    uint64_t *p = aligned_alloc(64, (n * sizeof(*p) + 63) / 64 * 64), sum[LANES] = {0};
    double best = 0;
    if (!p || !n) {
        free(p);
        return 1e3;
    }
    memset(p, 1, n * sizeof(*p));
    for (int round = 0; round < 20; round++) {
        size_t times = (4u << 20) / bytes + 1;
        int64_t from = tc_mono_ns();
        for (size_t t = 0; t < times; t++)
            for (size_t i = 0; i < n; i += LANES)
                for (size_t l = 0; l < LANES; l++)
                    sum[l] ^= p[i + l] + t;
        double rate = (double)(times * n * sizeof(*p)) / (double)(tc_mono_ns() - from);
        best = rate > best ? rate : best;
    }
    volatile uint64_t used = sum[0] ^ sum[LANES - 1];
    (void)used;
    free(p);
    return best;
}

/* Multiply-adds of one row's step, times two. */
static double flops(const struct shape *s)
{
    double sum = 0;
    for (int32_t l = 0; l < s->layers; l++)
        sum += 8.0 * s->hidden * ((l ? s->hidden : s->inputs) + s->hidden);
    return sum;
}

/* Nanoseconds below which no step of so many rows on so many threads can be. */
static double least_ns(const struct shape *s, const struct bed *b, size_t rows, int threads)
{
    double hidden = 4.0 * s->hidden * s->hidden * (b->kern->format == TC_PACK_FLOAT ? 4 : 2);
    double work = flops(s) * (double)rows / (b->peak * threads);
    double bytes = s->layers * hidden / (read_rate((size_t)hidden) * threads);
    return work > bytes ? work : bytes;
}

/* --- the reference -----------------------------------------------------------------------------------------
 */
static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void step64(const struct layer *l, int32_t hidden, const double *x, double *h, double *c)
{
    double sums[4 * 200];
    for (int32_t g = 0; g < 4 * hidden; g++) {
        sums[g] = 2 * (double)l->bias[g];
        for (int32_t i = 0; i < l->inputs; i++)
            sums[g] += (double)l->w_ih[g * l->inputs + i] * x[i];
        for (int32_t i = 0; i < hidden; i++)
            sums[g] += (double)l->w_hh[g * hidden + i] * h[i];
    }
    for (int32_t u = 0; u < hidden; u++) {
        c[u] = sigmoid(sums[hidden + u]) * c[u] + sigmoid(sums[u]) * tanh(sums[2 * hidden + u]);
        h[u] = sigmoid(sums[3 * hidden + u]) * tanh(c[u]);
    }
}

/* Largest error of the top h of the first row. */
static double error_of(const struct bench *b, const struct bed *bed)
{
    double h[LAYERS_MAX][200] = {{0}}, c[LAYERS_MAX][200] = {{0}}, in[200], worst = 0;
    const struct shape *s = b->shape;
    for (size_t t = 0; t < STEPS; t++)
        for (int32_t l = 0; l < s->layers; l++) {
            for (int32_t i = 0; i < b->layer[l].inputs; i++)
                in[i] = l ? h[l - 1][i] : (double)b->x[t * b->width + (size_t)i];
            step64(&b->layer[l], s->hidden, in, h[l], c[l]);
        }
    tc_stack_run(bed->stack[0], b->x, b->width, STEPS, 1, b->last);
    for (int32_t u = 0; u < s->hidden; u++)
        worst = fmax(worst, fabs(h[s->layers - 1][u] - (double)b->last[u]));
    return worst;
}

/* --- measuring ---------------------------------------------------------------------------------------------
 */
/* Nanoseconds of one step of so many rows. */
static double time_round(const struct bench *b, const struct bed *bed, size_t team, size_t rows)
{
    int64_t from = tc_mono_ns(), now;
    size_t steps = 0;
    do {
        tc_stack_run(bed->stack[team], b->x, b->width, STEPS, rows, b->last);
        steps += STEPS;
        now = tc_mono_ns();
    } while (now - from < ROUND_NS);
    return (double)(now - from) / (double)steps;
}

static void print_line(const struct bench *b, const struct bed *bed, size_t team, size_t rows, double *ns,
                       double plain)
{
    const struct shape *s = b->shape;
    qsort(ns, (size_t)b->rounds, sizeof(*ns), by_value);
    double median = ns[b->rounds / 2], gflops = flops(s) * (double)rows / median;
    int threads = tc_team_size(b->team[team]);
    double share = least_ns(s, bed, rows, threads) / ns[0];
    plain = plain > 0 ? plain : median;
    if (b->json)
        printf("{\"kernel\":\"%s\",\"shape\":\"%s\",\"batch\":%zu,\"threads\":%d,\"median_us\":%.3f,\"min_"
               "us\":%.3f,"
               "\"gflops\":%.2f,\"roofline\":%.3f,\"error\":%.3g,\"times_plain_c\":%.2f}\n",
               bed->kern->name, s->name, rows, threads, median / 1e3, ns[0] / 1e3, gflops, share, bed->error,
               plain / median);
    else
        printf("%-7s %-6s %5zu %7d %11.2f %11.2f %9.1f %8.0f %% %9.1g %8.1fx\n", bed->kern->name, s->name,
               rows, threads, median / 1e3, ns[0] / 1e3, gflops, 100 * share, bed->error, plain / median);
}

static void measure(struct bench *b)
{
    size_t rounds = (size_t)b->rounds;
    for (size_t i = 0; i < b->n; i++)
        b->bed[i].error = error_of(b, &b->bed[i]);
    for (size_t batch = 0; batch < BATCHES; batch++) {
        double plain = 0;
        for (size_t team = 0; team < b->teams; team++) {
            for (size_t r = 0; r < rounds; r++)
                for (size_t i = 0; i < b->n; i++)
                    b->times[i * rounds + r] = time_round(b, &b->bed[i], team, batches[batch]);
            for (size_t i = 0; i < b->n; i++) {
                print_line(b, &b->bed[i], team, batches[batch], b->times + i * rounds, plain);
                if (i == 0 && team == 0)
                    plain = b->times[rounds / 2];
            }
        }
        fflush(stdout);
    }
}

static void close_shape(struct bench *b)
{
    for (size_t i = 0; i < KERNELS_MAX; i++) {
        for (size_t t = 0; t < TEAMS; t++)
            tc_stack_close(b->bed[i].stack[t]);
        for (size_t l = 0; l < LAYERS_MAX; l++)
            tc_weights_free(&b->bed[i].packed[l]);
        b->bed[i] = (struct bed){0};
    }
    for (size_t l = 0; l < LAYERS_MAX; l++) {
        free(b->layer[l].w_ih);
        free(b->layer[l].w_hh);
        free(b->layer[l].bias);
        b->layer[l] = (struct layer){0};
    }
    free(b->x);
    free(b->last);
    b->x = b->last = NULL;
    b->n = 0;
}

static int open_bed(struct bench *b, const struct tc_kern *k, struct bed *bed)
{
    const struct shape *s = b->shape;
    int rc = measure_peak(k, &bed->peak);
    bed->kern = k;
    for (int32_t l = 0; l < s->layers && !rc; l++) {
        const struct layer *a = &b->layer[l];
        rc =
            tc_lstm_pack(k, a->inputs, s->hidden, l > 0, a->w_ih, a->w_hh, a->bias, a->bias, &bed->packed[l]);
    }
    for (size_t t = 0; t < b->teams && !rc; t++)
        rc = tc_stack_open(k, b->team[t], bed->packed, (size_t)s->layers, STEPS, &bed->stack[t]);
    return rc;
}

static int open_shape(struct bench *b, const struct shape *s)
{
    struct tc_rng rng;
    tc_rng_seed(&rng, 1);
    b->shape = s;
    b->width = (size_t)tc_kern_pad(s->inputs);
    b->wide = (size_t)tc_kern_pad(s->hidden);
    size_t h = (size_t)s->hidden;
    double scale = 1 / sqrt((double)h);
    b->x = random_floats(&rng, STEPS * BATCH_MAX * b->width, 1);
    b->last = floats(BATCH_MAX * b->wide);
    bool room = b->x && b->last;
    for (int32_t l = 0; l < s->layers; l++) {
        int32_t in = l ? s->hidden : s->inputs;
        b->layer[l] =
            (struct layer){in, random_floats(&rng, 4 * h * (size_t)in, scale),
                           random_floats(&rng, 4 * h * h, scale), random_floats(&rng, 4 * h, scale / 2)};
        room = room && b->layer[l].w_ih && b->layer[l].w_hh && b->layer[l].bias;
    }
    int rc = room ? TC_OK : tc_fail(TC_ENOMEM, "no memory for the benchmark's weights");
    for (size_t i = 0; tc_kern_at(i) && b->n < KERNELS_MAX && !rc; i++)
        if (tc_kern_runs(tc_kern_at(i)))
            rc = open_bed(b, tc_kern_at(i), &b->bed[b->n++]);
    return rc;
}

static void say_kernels(const struct tc_kern *chosen)
{
    printf("Kernels: ");
    for (size_t i = 0; tc_kern_at(i); i++)
        printf("%s%s%s", i ? ", " : "", tc_kern_at(i)->name,
               tc_kern_runs(tc_kern_at(i)) ? "" : " (not on this processor)");
    const struct tc_kern *reduced = tc_kern_reduced();
    const char *forced = getenv("TICKCAST_KERNEL");
    printf(".\ntickcast uses %s: %s. With forecast.precision=16bit: %s.\n", chosen->name,
           forced && forced[0] ? "TICKCAST_KERNEL names it" : "the widest exact one that this processor has",
           reduced ? reduced->name : "the same, there is none of 16 bits here");
    printf("A step is one bar of a window through all LSTM layers. roofline: share of what the kernel's own "
           "loop does "
           "out of the\nfirst cache, or of reading a layer's hidden weights, whichever bounds; of the "
           "quickest round. "
           "error: of h, against float64.\n\n"
           "kernel  shape   rows threads   median us      min us   GFLOP/s   roofline     error  plain c\n");
}

int tc_bench_kernels(int64_t rounds, int threads, bool json)
{
    const struct tc_kern *chosen;
    struct bench b = {.rounds = rounds, .json = json};
    int rc = tc_kern_choose(&chosen);
    if (!rc && !json)
        say_kernels(chosen);
    b.times = calloc((size_t)rounds * KERNELS_MAX, sizeof(double));
    if (!rc && !b.times)
        rc = tc_fail(TC_ENOMEM, "no memory for the benchmark's times");
    rc = rc ? rc : tc_team_open(1, &b.team[0]);
    rc = rc ? rc : tc_team_open(threads, &b.team[1]);
    b.teams = rc || tc_team_size(b.team[1]) == 1 ? 1 : TEAMS;
    unsigned mode = tc_kern_enter();
    for (size_t i = 0; i < SHAPES && !rc; i++) {
        rc = open_shape(&b, &shapes[i]);
        if (!rc)
            measure(&b);
        close_shape(&b);
    }
    tc_kern_leave(mode);
    tc_team_close(b.team[0]);
    tc_team_close(b.team[1]);
    free(b.times);
    return rc;
}
