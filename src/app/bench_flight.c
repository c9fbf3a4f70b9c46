#include "app/bench_flight.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rng.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AFRESH_MAX = 9 }; /* forecasts computed afresh take long */

struct bed {
    struct tc_model *model;
    const struct tc_model_info *info;
    struct tc_model_row *rows, *plain;
    char *states, *plain_states, *flights;
    double *x, *y;
    int64_t *forecast, *after, *afresh; /* nanoseconds */
    size_t n_afresh;
    struct tc_rng rng;
};

static void close_bed(struct bed *b)
{
    free(b->rows);
    free(b->plain);
    free(b->states);
    free(b->plain_states);
    free(b->flights);
    free(b->x);
    free(b->y);
    free(b->forecast);
    free(b->after);
    free(b->afresh);
}

static int open_bed(struct bed *b, size_t n, size_t bars)
{
    size_t d = (size_t)b->info->n_features, k = (size_t)b->info->n_targets;
    size_t size = tc_model_state_size(b->model), flight = tc_model_flight_size(b->model);
    b->rows = calloc(n, sizeof(*b->rows));
    b->plain = calloc(n, sizeof(*b->plain));
    b->states = aligned_alloc(64, n * size);
    b->plain_states = aligned_alloc(64, n * size);
    b->flights = aligned_alloc(64, n * flight + 64);
    b->x = calloc(n * d, sizeof(double));
    b->y = calloc(n * k, sizeof(double));
    b->forecast = calloc(bars, sizeof(int64_t));
    b->after = calloc(bars, sizeof(int64_t));
    b->afresh = calloc(AFRESH_MAX, sizeof(int64_t));
    b->n_afresh = 0;
    tc_rng_seed(&b->rng, 1);
    if (!b->rows || !b->plain || !b->states || !b->plain_states || !b->flights || !b->x || !b->y ||
        !b->forecast || !b->after || !b->afresh)
        return tc_fail(TC_ENOMEM, "no memory for %zu symbols of %zu bytes", n, 2 * size + flight);
    memset(b->flights, 0, n * flight);
    for (size_t i = 0; i < n; i++) {
        tc_model_state_reset(b->model, b->states + i * size);
        tc_model_state_reset(b->model, b->plain_states + i * size);
        b->rows[i] = (struct tc_model_row){.state = b->states + i * size,
                                           .flight = flight ? b->flights + i * flight : NULL,
                                           .x = b->x + i * d,
                                           .y = b->y + i * k};
        b->plain[i] = b->rows[i];
        b->plain[i].state = b->plain_states + i * size;
        b->plain[i].flight = NULL;
    }
    return TC_OK;
}

static void next_bar(struct bed *b, size_t n)
{
    for (size_t i = 0; i < n * (size_t)b->info->n_features; i++)
        b->x[i] = tc_rng_normal(&b->rng);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* One second: every symbol's bar, its forecast, and all that is left. */
static int one_bar(struct bed *b, size_t n, int64_t *forecast, int64_t *after)
{
    size_t at = 0;
    int64_t from = tc_mono_ns();
    int rc = tc_model_step(b->model, b->rows, n);
    int64_t issued = tc_mono_ns();
    while (rc == TC_OK && tc_model_advance(b->model, b->rows, n, &at))
        ;
    *after = tc_mono_ns() - issued;
    *forecast = issued - from;
    return rc;
}

/* The same forecasts without windows in flight, from a copy of the states. */
static int one_afresh(struct bed *b, size_t n)
{
    size_t size = tc_model_state_size(b->model);
    memcpy(b->plain_states, b->states, n * size);
    int64_t from = tc_mono_ns();
    int rc = tc_model_step(b->model, b->plain, n);
    b->afresh[b->n_afresh++] = tc_mono_ns() - from;
    return rc;
}

static int measure(struct bed *b, size_t n, size_t bars)
{
    int64_t ignored[2];
    size_t fill = b->info->stateful ? 1 : (size_t)b->info->window * (size_t)b->info->block;
    int rc = TC_OK;
    for (size_t i = 0; i < fill && !rc; i++) {
        next_bar(b, n);
        rc = one_bar(b, n, &ignored[0], &ignored[1]);
    }
    for (size_t i = 0; i < bars && !rc; i++) {
        next_bar(b, n);
        if (i % (1 + bars / AFRESH_MAX) == 0)
            rc = one_afresh(b, n);
        rc = rc ? rc : one_bar(b, n, &b->forecast[i], &b->after[i]);
    }
    return rc;
}

static void print(const struct tc_flight_bench *o, struct bed *b, size_t n)
{
    size_t bars = (size_t)o->bars;
    double whole = 0;
    for (size_t i = 0; i < bars; i++)
        whole += (double)(b->forecast[i] + b->after[i]) / 1e9;
    qsort(b->forecast, bars, sizeof(int64_t), by_value);
    qsort(b->after, bars, sizeof(int64_t), by_value);
    qsort(b->afresh, b->n_afresh, sizeof(int64_t), by_value);
    double bars_s = (double)(bars * n) / whole;
    double first = (double)b->forecast[bars / 2] / 1e3, least = (double)b->forecast[0] / 1e3;
    double worst = (double)b->forecast[bars - 1 - bars / 100] / 1e3, after = (double)b->after[bars / 2] / 1e3;
    double afresh = (double)b->afresh[b->n_afresh / 2] / 1e3;
    size_t state = tc_model_state_size(b->model), flight = tc_model_flight_size(b->model);
    if (o->json)
        printf("{\"model\":\"%s\",\"kernel\":\"%s\",\"symbols\":%zu,\"bars\":%zu,\"forecast_median_us\":%.2f,"
               "\"forecast_min_us\":%.2f,\"forecast_p99_us\":%.2f,\"after_median_us\":%.2f,"
               "\"afresh_median_us\":%.2f,\"bars_per_s\":%.1f,\"state_bytes\":%zu,\"flight_bytes\":%zu}\n",
               b->info->id, b->info->kernel, n, bars, first, least, worst, after, afresh, bars_s, state,
               flight);
    else
        printf("%7zu %12.1f %10.1f %10.1f %12.1f %12.1f %12.0f %11.2f\n", n, first, least, worst, after,
               afresh, bars_s, (double)n * (double)(state + flight) / (1 << 20));
    fflush(stdout);
}

int tc_bench_flight(const struct tc_flight_bench *o)
{
    struct tc_model *model;
    int rc = tc_model_load(o->path, &model);
    if (rc)
        return rc;
    const struct tc_model_info *info = tc_model_info(model);
    if (!o->json)
        printf("%s on %s: %zu bytes a symbol, %zu of them windows in flight; us, one thread\n\n"
               "symbols  to forecast     min us     p99 us  after it us    afresh us       bars/s  memory "
               "MiB\n",
               info->id, info->kernel, tc_model_state_size(model) + tc_model_flight_size(model),
               tc_model_flight_size(model));
    for (size_t i = 0; i < o->n && !rc; i++) {
        struct bed b = {.model = model, .info = info};
        size_t n = (size_t)o->symbols[i];
        rc = open_bed(&b, n, (size_t)o->bars);
        if (!rc)
            rc = measure(&b, n, (size_t)o->bars);
        if (!rc)
            print(o, &b, n);
        close_bed(&b);
    }
    tc_model_free(model);
    return rc;
}
