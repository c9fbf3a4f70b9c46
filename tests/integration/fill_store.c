/* Fills a store with a few minutes of two symbols for the tests of `tickcast show`.
 * Usage: fill_store FOLDER replay|simulated */
#include "base/clock.h"
#include "base/err.h"
#include "store/store.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* 2013-10-07 09:30:00 in New York */
#define OPEN INT64_C(1381152600000000000)

enum { SECONDS = 150, ROOM = 4 * SECONDS + 16 };

static struct tc_record rows[ROOM];
static int64_t offsets[ROOM];

static struct tc_record bar(const char *symbol, int64_t i, enum tc_origin origin)
{
    struct tc_record r = {.type = TC_REC_BAR, .from = -1};
    struct tc_bar *b = &r.bar;
    double price = 168 + (double)i / 100;
    snprintf(b->symbol, sizeof(b->symbol), "%s", symbol);
    snprintf(b->feed, sizeof(b->feed), "lean");
    b->start = OPEN + i * TC_NS_PER_SEC;
    b->available = b->start + TC_NS_PER_SEC;
    b->interval_ms = 1000;
    b->trades = 2;
    b->open = b->low = price;
    b->high = b->close = price + 0.01;
    b->vwap = price + 0.0025;
    b->volume = 400;
    b->quote = (struct tc_quote){price, price + 0.01, 5, NAN};
    b->quote_lag_ms = 3;
    b->tape = (struct tc_tape){price, price, 0, price, price, price, 1};
    b->origin = origin;
    return r;
}

static struct tc_record forecast(const char *symbol, int64_t i)
{
    struct tc_record r = {.type = TC_REC_FORECAST, .from = i};
    struct tc_forecast *f = &r.forecast;
    snprintf(f->symbol, sizeof(f->symbol), "%s", symbol);
    snprintf(f->model, sizeof(f->model), "ridge@0a1b2c3d");
    snprintf(f->inputs, sizeof(f->inputs), "T14");
    snprintf(f->kernel, sizeof(f->kernel), "plain");
    f->origin_time = OPEN + (i + 1) * TC_NS_PER_SEC;
    f->issued = f->origin_time + 1500000;
    f->day = 20131007;
    f->flags = i < 3 ? TC_FLAG_COLD | TC_FLAG_LATE : 0;
    f->reference = 168.5;
    f->reference_mid = NAN;
    f->n_points = 2;
    f->points[0] = (struct tc_point){TC_KIND_NEXT, 0, 0, 168.51, 168.49, 168.53, NAN, NAN, NAN, true};
    f->points[1] = (struct tc_point){
        TC_KIND_LAST, 10000, f->origin_time + 10 * TC_NS_PER_SEC, 168.52, 168.4, 168.6, NAN, NAN, NAN, false};
    return r;
}

static struct tc_record outcome(const char *symbol, int64_t i)
{
    struct tc_record r = {.type = TC_REC_OUTCOME, .from = i};
    struct tc_outcome *o = &r.outcome;
    snprintf(o->symbol, sizeof(o->symbol), "%s", symbol);
    o->origin_time = OPEN + (i + 1) * TC_NS_PER_SEC;
    o->day = 20131007;
    o->n_values = 2;
    o->values[0] = (struct tc_outcome_value){TC_KIND_NEXT, 0, o->origin_time + TC_NS_PER_SEC, 168.55};
    o->values[1] = (struct tc_outcome_value){TC_KIND_LAST, 10000, o->origin_time + 10 * TC_NS_PER_SEC, NAN};
    return r;
}

static struct tc_record score(const char *symbol, int32_t day, int32_t slot)
{
    struct tc_record r = {.type = TC_REC_SCORE, .from = -1};
    struct tc_score *x = &r.score;
    snprintf(x->symbol, sizeof(x->symbol), "%s", symbol);
    snprintf(x->model, sizeof(x->model), "ridge@0a1b2c3d");
    snprintf(x->inputs, sizeof(x->inputs), "T14");
    x->kind = TC_KIND_LAST;
    x->horizon_ms = 10000;
    x->day = day;
    x->slot = slot;
    x->n = 100;
    x->sq_err = 0.81;
    x->sq_persist = 1;
    x->moves = 80;
    x->hits = 48;
    x->banded = 100;
    x->covered = 90;
    return r;
}

static size_t fill_bars(enum tc_origin origin)
{
    size_t n = 0;
    for (int64_t i = 0; i < SECONDS; i++) {
        rows[n++] = bar("SPY", i, origin);
        if (i % 2)
            rows[n++] = bar("BAC", i, origin);
    }
    rows[n] = bar("SPY", SECONDS - 1, origin);
    rows[n].bar.available += TC_NS_PER_SEC;
    rows[n++].bar.revision = 1;
    rows[n++] = (struct tc_record){
        .type = TC_REC_GAP, .gap = {"*", "lean", "not_running", OPEN - 60 * TC_NS_PER_SEC, OPEN, false}};
    rows[n++] = (struct tc_record){.type = TC_REC_QUALITY,
                                   .quality = {"SPY", 20131007, SECONDS, 0, 0, 0, 0, 1, 0, 1}};
    rows[n++] = (struct tc_record){.type = TC_REC_END};
    return n;
}

static size_t fill_forecasts(void)
{
    size_t n = 0;
    for (int64_t i = 0; i < SECONDS; i++) {
        rows[n++] = forecast("SPY", i);
        rows[n++] = outcome("SPY", i);
    }
    rows[n++] = score("SPY", 20131007, 19);
    rows[n++] = score("SPY", 20131007, 20);
    rows[n++] = score("SPY", 20131008, 19);
    return n;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    bool simulated = !strcmp(argv[2], "simulated");
    char path[1024];
    struct tc_store s;
    struct tc_store_counts counts = {0};
    snprintf(path, sizeof(path), "%s/tickcast.db", argv[1]);
    int rc = tc_sqlite_open(path, simulated ? TC_WORLD_SIMULATED : TC_WORLD_REPLAY, &s);
    if (rc == TC_OK) {
        size_t n = fill_bars(simulated ? TC_ORIGIN_SIMULATED : TC_ORIGIN_REPLAY);
        for (size_t i = 0; i < n; i++)
            offsets[i] = (int64_t)i;
        rc = s.ops->put(s.self, "store", TC_TOPIC_BARS, (int64_t)n, rows, offsets, n, &counts);
        n = fill_forecasts();
        for (size_t i = 0; i < n; i++)
            offsets[i] = (int64_t)i;
        if (rc == TC_OK)
            rc = s.ops->put(s.self, "store", TC_TOPIC_FORECASTS, (int64_t)n, rows, offsets, n, &counts);
        s.ops->close(s.self);
    }
    if (rc != TC_OK)
        fprintf(stderr, "fill_store: %s\n", tc_error());
    return rc != TC_OK;
}
