/* Our side of bench/lstm/compare: asked line by line, as bench/lstm/peers.py is.
 *
 *     own FOLDER THREADS        lines: cold|flight|train SHAPE MODE NUMBER SECONDS
 *
 * FOLDER holds SHAPE.safetensors and SHAPE.f32, windows of the network's inputs. MODE: f32 is the kernel that
 * tickcast chooses here, int16 and bf16 those of that name. Answers are JSON: nanoseconds of each call ("ns";
 * of flight "after" too, the work after each forecast) and outputs. */
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "kern/team.h"
#include "model/bptt.h"
#include "model/file.h"
#include "model/optimizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 200000, OUT_MAX = 64, WINDOWS_MAX = 1024 };

struct bed {
    char shape[32], mode[32];
    struct tc_model *model;
    const struct tc_model_info *info;
    float *windows; /* [WINDOWS_MAX][window][features] */
    size_t n;
    struct tc_model_row *rows;
    char *states, *flights;
    double *x, *y;
};

static int64_t ns[CALLS_MAX], after[CALLS_MAX];
static struct tc_team *team;
static const char *folder, *kernel; /* kernel: what the environment asks for, or "" */

static void give_up(const char *why)
{
    fprintf(stderr, "own: %s %s\n", why, tc_error());
    exit(1);
}

static float *read_windows(const struct tc_model_info *info, const char *shape)
{
    char path[1024];
    size_t n = (size_t)WINDOWS_MAX * (size_t)info->window * (size_t)info->n_features;
    snprintf(path, sizeof(path), "%s/%s.f32", folder, shape);
    FILE *f = fopen(path, "rb");
    float *windows = malloc(n * sizeof(float));
    if (!f || !windows || fread(windows, sizeof(float), n, f) != n)
        give_up(path);
    fclose(f);
    return windows;
}

static void close_rows(struct bed *b)
{
    free(b->rows);
    free(b->states);
    free(b->flights);
    free(b->x);
    free(b->y);
    b->n = 0;
}

static void open_rows(struct bed *b, size_t n, bool flight)
{
    size_t size = tc_model_state_size(b->model), more = flight ? tc_model_flight_size(b->model) : 0;
    size_t d = (size_t)b->info->n_features, k = (size_t)b->info->n_targets;
    close_rows(b);
    b->n = n;
    b->rows = calloc(n, sizeof(*b->rows));
    b->states = aligned_alloc(64, n * size);
    b->flights = aligned_alloc(64, n * more + 64);
    b->x = calloc(n * d, sizeof(double));
    b->y = calloc(n * k, sizeof(double));
    if (!b->rows || !b->states || !b->flights || !b->x || !b->y)
        give_up("no memory");
    memset(b->flights, 0, n * more);
    for (size_t i = 0; i < n; i++) {
        tc_model_state_reset(b->model, b->states + i * size);
        b->rows[i] = (struct tc_model_row){.state = b->states + i * size,
                                           .flight = more ? b->flights + i * more : NULL,
                                           .x = b->x + i * d,
                                           .y = b->y + i * k};
    }
}

static struct bed *bed_of(const char *shape, const char *mode)
{
    static struct bed beds[16];
    char path[1024];
    struct bed *b = beds;
    while (b->model && (strcmp(b->shape, shape) != 0 || strcmp(b->mode, mode) != 0))
        b++;
    if (b->model)
        return b;
    snprintf(b->shape, sizeof(b->shape), "%s", shape);
    snprintf(b->mode, sizeof(b->mode), "%s", mode);
    snprintf(path, sizeof(path), "%s/%s.safetensors", folder, shape);
    setenv("TICKCAST_KERNEL", strcmp(mode, "f32") == 0 ? kernel : mode, 1);
    if (tc_model_load(path, &b->model) || tc_model_team(b->model, team))
        give_up(path);
    b->info = tc_model_info(b->model);
    b->windows = read_windows(b->info, shape);
    return b;
}

static void feed(struct bed *b, size_t step)
{
    size_t d = (size_t)b->info->n_features, steps = (size_t)b->info->window;
    for (size_t r = 0; r < b->n; r++)
        for (size_t i = 0; i < d; i++)
            b->x[r * d + i] = (double)b->windows[((r % WINDOWS_MAX) * steps + step) * d + i];
}

static void step(struct bed *b)
{
    if (tc_model_step(b->model, b->rows, b->n))
        give_up("step");
}

static void print_list(const char *name, const int64_t *v, size_t n)
{
    printf("\"%s\":[", name);
    for (size_t i = 0; i < n; i++)
        printf("%s%lld", i ? "," : "", (long long)v[i]);
    printf("]");
}

/* Windows computed afresh: all but the last row go into the rings untimed. */
static void cold(struct bed *b, size_t batch, double seconds)
{
    size_t n = 0, steps = (size_t)b->info->window;
    int64_t end = tc_mono_ns() + (int64_t)(seconds * 1e9);
    open_rows(b, batch, false);
    for (size_t call = 0; n < CALLS_MAX && (call < 2 || tc_mono_ns() < end); call++) {
        for (size_t r = 0; r < batch; r++)
            tc_model_state_reset(b->model, b->rows[r].state);
        for (size_t t = 0; t < steps; t++) {
            feed(b, t);
            int64_t from = tc_mono_ns();
            step(b);
            if (t + 1 == steps && call) /* the first is a warm-up */
                ns[n++] = tc_mono_ns() - from;
        }
    }
    printf("{");
    print_list("ns", ns, n);
    printf(",\"out\":[");
    for (size_t i = 0; i < batch && i < OUT_MAX; i++)
        printf("%s%.9g", i ? "," : "", b->y[i]);
    printf("]}\n");
}

static void flight(struct bed *b, size_t symbols, double seconds)
{
    size_t n = 0, steps = (size_t)b->info->window, bar = 0;
    open_rows(b, symbols, true);
    int64_t end = 0;
    while (n < CALLS_MAX && (n < 3 || tc_mono_ns() < end)) {
        size_t at = 0;
        feed(b, bar % steps);
        int64_t from = tc_mono_ns();
        step(b);
        int64_t issued = tc_mono_ns();
        while (tc_model_advance(b->model, b->rows, b->n, &at))
            ;
        if (++bar <= steps) { /* until every window in flight is there */
            end = tc_mono_ns() + (int64_t)(seconds * 1e9);
            continue;
        }
        ns[n] = issued - from;
        after[n++] = tc_mono_ns() - issued;
    }
    printf("{");
    print_list("ns", ns, n);
    printf(",");
    print_list("after", after, n);
    printf(",\"bytes\":%zu}\n", symbols * (tc_model_state_size(b->model) + tc_model_flight_size(b->model)));
}

/* --- training ------------------------------------------------------------------------------------------- */
struct school {
    struct tc_model_spec spec;
    struct tc_bptt *bptt;
    struct tc_bptt_batch batch;
    struct tc_adam adam;
    float *grad, *z, *y, *w;
};

static float *zeros(size_t n)
{
    float *v = calloc(n, sizeof(float));
    if (!v)
        give_up("no memory");
    return v;
}

/* Windows side by side, time-major; the mean square of the error after the last step is the loss. */
static void open_school(struct school *s, const char *shape, size_t rows)
{
    char path[1024];
    struct tc_buf bytes;
    const struct tc_kern *kern;
    snprintf(path, sizeof(path), "%s/%s.safetensors", folder, shape);
    tc_buf_init(&bytes, TC_MODEL_FILE_MAX);
    setenv("TICKCAST_KERNEL", kernel, 1);
    if (tc_model_read_file(path, &bytes) || tc_model_decode(bytes.data, bytes.len, path, &s->spec) ||
        tc_kern_choose(&kern))
        give_up(path);
    tc_buf_release(&bytes);
    size_t steps = (size_t)s->spec.info.window, d = (size_t)s->spec.info.n_features, n = s->spec.net.n;
    float *windows = read_windows(&s->spec.info, shape);
    if (tc_bptt_open(&s->spec.net.shape, kern, steps, rows, &s->bptt))
        give_up("training");
    tc_bptt_team(s->bptt, team);
    s->z = zeros(steps * rows * d);
    s->y = zeros(steps * rows);
    s->w = zeros(steps * rows);
    s->grad = zeros(3 * n);
    s->adam = (struct tc_adam){.kind = TC_ADAM, .m1 = s->grad + n, .m2 = s->grad + 2 * n};
    for (size_t r = 0; r < rows; r++) {
        for (size_t t = 0; t < steps; t++)
            memcpy(s->z + (t * rows + r) * d, windows + (r * steps + t) * d, d * sizeof(float));
        s->y[(steps - 1) * rows + r] = (float)(r % 17) / 17;
        s->w[(steps - 1) * rows + r] = 1 / (float)rows;
    }
    s->batch = (struct tc_bptt_batch){.rows = rows, .z = s->z, .y = s->y, .w = s->w};
    free(windows);
}

static void close_school(struct school *s)
{
    tc_bptt_close(s->bptt);
    tc_model_spec_free(&s->spec);
    free(s->grad);
    free(s->z);
    free(s->y);
    free(s->w);
}

/* Gradient and Adam. */
static void train(const char *shape, size_t rows, double seconds)
{
    struct school s;
    double loss = 0;
    size_t n = 0;
    open_school(&s, shape, rows);
    int64_t end = tc_mono_ns() + (int64_t)(seconds * 1e9);
    for (size_t call = 0; call < 2 || tc_mono_ns() < end; call++) {
        int64_t from = tc_mono_ns();
        if (tc_bptt_gradient(s.bptt, &s.spec.net, &s.batch, s.grad, &loss))
            give_up("gradient");
        tc_adam_begin(&s.adam);
        tc_adam_move(&s.adam, 0, s.spec.net.n, s.grad, 1e-3, s.spec.net.p);
        if (call && n < CALLS_MAX) /* the first is a warm-up */
            ns[n++] = tc_mono_ns() - from;
    }
    printf("{");
    print_list("ns", ns, n);
    printf(",\"out\":[%.9g]}\n", loss);
    close_school(&s);
}

int main(int argc, char **argv)
{
    char line[256], what[32], shape[32], mode[32];
    unsigned number;
    double seconds;
    int64_t threads;
    if (argc != 3 || !tc_parse_int(argv[2], strlen(argv[2]), &threads) || tc_team_open((int)threads, &team))
        give_up("own FOLDER THREADS");
    folder = argv[1];
    kernel = getenv("TICKCAST_KERNEL") ? strdup(getenv("TICKCAST_KERNEL")) : "";
    printf("{\"version\":\"%s\"}\n", TC_VERSION);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        if (sscanf(line, "%31s %31s %31s %u %lf", what, shape, mode, &number, &seconds) != 5)
            give_up("what?");
        bool plain = strcmp(mode, "f32") == 0;
        if (!plain && (strcmp(what, "train") == 0 || !tc_kern_find(mode)))
            printf("{\"none\":\"no such mode\"}\n");
        else if (strcmp(what, "train") == 0)
            train(shape, number, seconds);
        else if (strcmp(what, "cold") == 0)
            cold(bed_of(shape, mode), number, seconds);
        else
            flight(bed_of(shape, mode), number, seconds);
        fflush(stdout);
    }
    tc_team_close(team);
    return 0;
}
