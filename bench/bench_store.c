/* Rows a second into the SQLite store, on one core: bars with quotes and tape, then forecasts with seven
 * points, seven symbols, batches of 1024 as the store role makes them. Usage: bench_store FOLDER [ROWS] */
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "base/rng.h"
#include "store/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BATCH = 1024, SYMBOLS = 7 };
#define T0 INT64_C(1381152600000000000)

static const char *const names[SYMBOLS] = {"AAPL", "AMD", "AMZN", "MSFT", "NVDA", "SPY", "TSLA"};

static double cents(struct tc_rng *g)
{
    return 168 + (double)tc_rng_below(g, 100) / 100;
}

static struct tc_record make_bar(struct tc_rng *g, int64_t i)
{
    struct tc_record r = {.type = TC_REC_BAR, .from = -1};
    struct tc_bar *b = &r.bar;
    snprintf(b->symbol, sizeof(b->symbol), "%s", names[i % SYMBOLS]);
    snprintf(b->feed, sizeof(b->feed), "lean");
    b->start = T0 + i / SYMBOLS * TC_NS_PER_SEC;
    b->available = b->start + TC_NS_PER_SEC;
    b->interval_ms = 1000;
    b->trades = (int32_t)tc_rng_below(g, 60);
    b->open = b->close = cents(g);
    b->high = b->open + 0.01;
    b->low = b->open - 0.01;
    b->vwap = b->open + tc_rng_normal(g) / 1000;
    b->volume = (double)tc_rng_below(g, 20000);
    b->quote =
        (struct tc_quote){b->open - 0.01, b->open, (double)tc_rng_below(g, 90), (double)tc_rng_below(g, 90)};
    b->quote_lag_ms = (double)tc_rng_below(g, 900);
    b->tape = (struct tc_tape){cents(g) + tc_rng_normal(g),
                               cents(g) + tc_rng_normal(g),
                               tc_rng_normal(g),
                               cents(g),
                               cents(g),
                               cents(g),
                               100 * tc_rng_normal(g)};
    b->origin = TC_ORIGIN_REPLAY;
    return r;
}

static struct tc_record make_forecast(struct tc_rng *g, int64_t i)
{
    static const int32_t horizons[] = {0, 1000, 10000, 60000, 1000, 10000, 60000};
    struct tc_record r = {.type = TC_REC_FORECAST, .from = i};
    struct tc_forecast *f = &r.forecast;
    snprintf(f->symbol, sizeof(f->symbol), "%s", names[i % SYMBOLS]);
    snprintf(f->model, sizeof(f->model), "lstm@0a1b2c3d");
    snprintf(f->inputs, sizeof(f->inputs), "T14");
    snprintf(f->kernel, sizeof(f->kernel), "avx2");
    f->origin_time = T0 + i / SYMBOLS * TC_NS_PER_SEC;
    f->issued = f->origin_time;
    f->day = 20131007;
    f->reference = cents(g);
    f->reference_mid = f->reference + 0.005;
    f->n_points = 7;
    for (int p = 0; p < 7; p++)
        f->points[p] = (struct tc_point){p == 0  ? TC_KIND_NEXT
                                         : p < 4 ? TC_KIND_LAST
                                                 : TC_KIND_MID,
                                         horizons[p],
                                         p ? f->origin_time + horizons[p] * TC_NS_PER_MS : 0,
                                         f->reference + tc_rng_normal(g) / 1000,
                                         f->reference - 0.02,
                                         f->reference + 0.02,
                                         NAN,
                                         NAN,
                                         NAN,
                                         true};
    return r;
}

static int measure(struct tc_store *s, const char *what, enum tc_topic topic, int64_t rows,
                   struct tc_record (*make)(struct tc_rng *, int64_t))
{
    static struct tc_record batch[BATCH];
    static int64_t offsets[BATCH];
    struct tc_store_counts counts = {0};
    struct tc_rng g;
    int64_t spent = 0;
    tc_rng_seed(&g, 1);
    for (int64_t i = 0; i < rows; i += BATCH) {
        for (int64_t k = 0; k < BATCH; k++)
            batch[k] = make(&g, i + k);
        int64_t begin = tc_mono_ns();
        int rc = s->ops->put(s->self, "store", topic, i + BATCH, batch, offsets, BATCH, &counts);
        spent += tc_mono_ns() - begin;
        if (rc != TC_OK)
            return rc;
    }
    printf("%-10s %9llu rows  %7.2f us a row  %8.0f rows/s\n", what, (unsigned long long)counts.inserted,
           (double)spent / 1e3 / (double)counts.inserted, (double)counts.inserted * 1e9 / (double)spent);
    return TC_OK;
}

int main(int argc, char **argv)
{
    int64_t rows = 200000;
    if (argc < 2 || (argc > 2 && !tc_parse_int(argv[2], strlen(argv[2]), &rows))) {
        fprintf(stderr, "usage: bench_store FOLDER [ROWS]\n");
        return 2;
    }
    char path[1024];
    snprintf(path, sizeof(path), "%s/bench_store.db", argv[1]);
    remove(path);
    struct tc_store s;
    int rc = tc_sqlite_open(path, TC_WORLD_REPLAY, &s);
    if (rc == TC_OK) {
        rc = measure(&s, "bars", TC_TOPIC_BARS, rows, make_bar);
        if (rc == TC_OK)
            rc = measure(&s, "forecasts", TC_TOPIC_FORECASTS, rows, make_forecast);
        s.ops->close(s.self);
    }
    struct stat st;
    if (rc == TC_OK && stat(path, &st) == 0)
        printf("file       %9lld bytes\n", (long long)st.st_size);
    remove(path);
    if (rc != TC_OK)
        fprintf(stderr, "bench_store: %s\n", tc_error());
    return rc != TC_OK;
}
