/* The reading half of the Cassandra store. A range of a symbol is read day by day; rows of all models of a
 * span are gathered in short spans and put in order here. */
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "store/cassandra_int.h"
#include "store/fold.h"
#include "store/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_NS (900 * TC_NS_PER_SEC) /* of forecasts of all models: a few thousand rows at most */
#define DAY_NS (86400 * TC_NS_PER_SEC)

enum { PAGE_ROWS = 2000 };

/* --- columns to values
 * -------------------------------------------------------------------------------------- */

static void text_of(struct tc_cql_bytes v, char *out, size_t size)
{
    tc_cql_text_copy((struct tc_cql_text){v.p ? (const char *)v.p : "", v.n}, out, size);
}

static int origin_of(struct tc_cql_bytes v, enum tc_origin *out)
{
    char name[16];
    text_of(v, name, sizeof(name));
    return tc_origin_parse(name, out);
}

static void quote_of(const struct tc_cql_bytes *v, struct tc_quote *q, double *lag_ms)
{
    q->bid = tc_cql_as_double(v[0]);
    q->ask = tc_cql_as_double(v[1]);
    q->bid_size = tc_cql_as_double(v[2]);
    q->ask_size = tc_cql_as_double(v[3]);
    *lag_ms = tc_cql_as_double(v[4]);
}

int cs_bar_of_row(const struct tc_cql_bytes *v, struct tc_record *out)
{
    struct tc_bar *b = &out->bar;
    memset(out, 0, sizeof(*out));
    out->type = TC_REC_BAR;
    out->from = -1;
    text_of(v[0], b->symbol, sizeof(b->symbol));
    b->interval_ms = tc_cql_as_int(v[1], 0);
    b->start = tc_cql_as_bigint(v[3], 0);
    b->open = tc_cql_as_double(v[4]);
    b->high = tc_cql_as_double(v[5]);
    b->low = tc_cql_as_double(v[6]);
    b->close = tc_cql_as_double(v[7]);
    b->vwap = tc_cql_as_double(v[8]);
    b->volume = tc_cql_as_double(v[9]);
    b->trades = tc_cql_as_int(v[10], 0);
    quote_of(v + 11, &b->quote, &b->quote_lag_ms);
    text_of(v[18], b->feed, sizeof(b->feed));
    b->available = tc_cql_as_bigint(v[19], 0);
    b->revision = tc_cql_as_int(v[20], 0);
    int rc = tc_text_read_tape(v[16].p ? (const char *)v[16].p : "", v[16].n, &b->tape);
    return rc == TC_OK ? origin_of(v[17], &b->origin) : rc;
}

static int quote_of_row(const struct tc_cql_bytes *v, struct tc_record *out)
{
    struct tc_second_quote *q = &out->quote;
    memset(out, 0, sizeof(*out));
    out->type = TC_REC_QUOTE;
    out->from = -1;
    text_of(v[0], q->symbol, sizeof(q->symbol));
    q->second = tc_cql_as_bigint(v[2], 0);
    quote_of(v + 3, &q->quote, &q->quote_lag_ms);
    text_of(v[9], q->feed, sizeof(q->feed));
    q->available = tc_cql_as_bigint(v[10], 0);
    return origin_of(v[8], &q->origin);
}

static int forecast_of_row(const struct tc_cql_bytes *v, struct tc_record *out)
{
    struct tc_forecast *f = &out->forecast;
    memset(out, 0, sizeof(*out));
    out->type = TC_REC_FORECAST;
    out->from = -1;
    text_of(v[0], f->symbol, sizeof(f->symbol));
    text_of(v[1], f->model, sizeof(f->model));
    f->day = cs_as_date(v[2]);
    f->origin_time = tc_cql_as_bigint(v[3], 0);
    f->issued = tc_cql_as_bigint(v[4], 0);
    text_of(v[5], f->inputs, sizeof(f->inputs));
    text_of(v[6], f->kernel, sizeof(f->kernel));
    f->reference = tc_cql_as_double(v[7]);
    f->reference_mid = tc_cql_as_double(v[8]);
    f->flags = (uint32_t)tc_cql_as_int(v[9], 0);
    return tc_text_read_points(v[10].p ? (const char *)v[10].p : "", v[10].n, f);
}

static int outcome_of_row(const struct tc_cql_bytes *v, struct tc_record *out)
{
    struct tc_outcome *o = &out->outcome;
    memset(out, 0, sizeof(*out));
    out->type = TC_REC_OUTCOME;
    out->from = -1;
    text_of(v[0], o->symbol, sizeof(o->symbol));
    o->day = cs_as_date(v[1]);
    o->origin_time = tc_cql_as_bigint(v[2], 0);
    return tc_text_read_outcome(v[3].p ? (const char *)v[3].p : "", v[3].n, o);
}

static int gap_of_row(const struct tc_cql_bytes *v, struct tc_record *out)
{
    struct tc_gap *g = &out->gap;
    memset(out, 0, sizeof(*out));
    out->type = TC_REC_GAP;
    out->from = -1;
    text_of(v[0], g->symbol, sizeof(g->symbol));
    text_of(v[1], g->feed, sizeof(g->feed));
    g->start = tc_cql_as_bigint(v[2], 0);
    g->end = tc_cql_as_bigint(v[3], 0);
    text_of(v[4], g->reason, sizeof(g->reason));
    g->filled = tc_cql_as_boolean(v[5]);
    return TC_OK;
}

static int quality_of_row(const struct tc_cql_bytes *v, struct tc_record *out)
{
    struct tc_quality *q = &out->quality;
    memset(out, 0, sizeof(*out));
    out->type = TC_REC_QUALITY;
    out->from = -1;
    text_of(v[0], q->symbol, sizeof(q->symbol));
    q->day = cs_as_date(v[1]);
    int64_t *const to[] = {&q->traded, &q->no_trade, &q->unknown,    &q->duplicates,
                           &q->late,   &q->revised,  &q->backfilled, &q->gaps};
    for (int i = 0; i < 8; i++)
        *to[i] = tc_cql_as_bigint(v[2 + i], 0);
    return TC_OK;
}

static int64_t sum_int64_t(struct tc_cql_bytes v)
{
    return tc_cql_as_bigint(v, 0);
}

static double sum_double(struct tc_cql_bytes v)
{
    return tc_cql_as_double(v);
}

static int score_of_row(const struct tc_cql_bytes *v, struct tc_record *out)
{
    struct tc_score *x = &out->score;
    char kind[16];
    memset(out, 0, sizeof(*out));
    out->type = TC_REC_SCORE;
    out->from = -1;
    text_of(v[0], x->symbol, sizeof(x->symbol));
    text_of(v[1], x->model, sizeof(x->model));
    text_of(v[2], kind, sizeof(kind));
    x->horizon_ms = tc_cql_as_int(v[3], 0);
    text_of(v[4], x->inputs, sizeof(x->inputs));
    x->day = cs_as_date(v[5]);
    x->slot = tc_cql_as_int(v[6], 0);
    int at = 7;
#define SUM_READ(field, ctype, sqltype) x->field = sum_##ctype(v[at++]);
    TC_SCORE_SUMS(SUM_READ)
#undef SUM_READ
    return tc_kind_parse(kind, &x->kind);
}

/* --- the lists
 * ---------------------------------------------------------------------------------------------- */

struct symbols {
    struct cs_symbol *list;
    size_t n, room;
    const char *only;
};

static int take_symbol(void *ctx, const struct tc_cql_bytes *v, int32_t n)
{
    (void)n;
    struct symbols *x = ctx;
    struct cs_symbol one = {.first = cs_as_date(v[1]), .last = cs_as_date(v[2])};
    text_of(v[0], one.name, sizeof(one.name));
    if ((x->only && strcmp(x->only, one.name) != 0) || one.first == 0 || one.last == 0)
        return 0;
    if (x->n == x->room) {
        size_t room = x->room ? x->room * 2 : 64;
        struct cs_symbol *more = realloc(x->list, room * sizeof(*more));
        if (!more)
            return tc_fail(TC_ENOMEM, "no memory for %zu symbols", room);
        x->list = more;
        x->room = room;
    }
    x->list[x->n++] = one;
    return 0;
}

int cs_symbols(struct tc_cassandra *s, const char *only, struct cs_symbol **out, size_t *n)
{
    struct symbols x = {.only = only};
    struct tc_buf none;
    tc_buf_init_fixed(&none, NULL, 0);
    int rc = tc_cql_read(s->client, CR_SYMBOLS, &none, PAGE_ROWS, take_symbol, &x);
    if (rc != TC_OK) {
        free(x.list);
        x.list = NULL;
        x.n = 0;
    }
    *out = x.list; /* the clustering key is the name, so they come in order */
    *n = x.n;
    return rc;
}

struct models {
    char (*names)[TC_MODEL_SIZE];
    size_t n;
};

static int take_model(void *ctx, const struct tc_cql_bytes *v, int32_t n)
{
    (void)n;
    struct models *m = ctx;
    if (m->n < CS_MODELS_MAX)
        text_of(v[0], m->names[m->n++], TC_MODEL_SIZE);
    return 0;
}

int cs_models(struct tc_cassandra *s, const char *symbol, int32_t day, char (*out)[TC_MODEL_SIZE], size_t *n)
{
    struct models m = {.names = out};
    tc_buf_clear(&s->values);
    tc_cql_put_text(&s->values, symbol);
    cs_put_date(&s->values, day);
    int rc = tc_cql_read(s->client, CR_MODELS, &s->values, PAGE_ROWS, take_model, &m);
    *n = m.n;
    return rc;
}

/* --- ranges of one symbol
 * ----------------------------------------------------------------------------------- */

typedef int (*row_fn)(const struct tc_cql_bytes *v, struct tc_record *out);

struct table {
    const char *name;
    int32_t up, down; /* statements */
    row_fn row;
    bool intervals; /* the key has interval_ms */
};

static const struct table bars_table = {"bars", CR_BARS, CR_BARS_DOWN, cs_bar_of_row, true};
static const struct table quotes_table = {"quotes", CR_QUOTES, CR_QUOTES_DOWN, quote_of_row, false};
static const struct table outcomes_table = {"outcomes", CR_OUTCOMES, CR_OUTCOMES_DOWN, outcome_of_row, false};

struct giving {
    const struct table *t;
    tc_row_fn fn;
    void *ctx;
    uint32_t left; /* rows that may still be given; UINT32_MAX = no limit */
    struct tc_record row;
    /* When the newest are asked for they are kept, and given in rising order at the end. */
    struct tc_record *kept;
    size_t n_kept, room;
};

static int keep_row(struct giving *g)
{
    if (g->n_kept == g->room) {
        size_t room = g->room ? g->room * 2 : 256;
        struct tc_record *more = realloc(g->kept, room * sizeof(*more));
        if (!more)
            return tc_fail(TC_ENOMEM, "no memory for %zu rows", room);
        g->kept = more;
        g->room = room;
    }
    g->kept[g->n_kept++] = g->row;
    return 0;
}

static int give_row(void *ctx, const struct tc_cql_bytes *v, int32_t n)
{
    (void)n;
    struct giving *g = ctx;
    int rc = g->t->row(v, &g->row);
    if (rc != TC_OK)
        return tc_more(rc, "table %s", g->t->name);
    if (g->left != UINT32_MAX)
        g->left--;
    return g->fn ? g->fn(g->ctx, &g->row) : keep_row(g);
}

/* The days that a range touches, cut to those on which there is something. */
static bool day_span(struct tc_cassandra *s, const struct cs_symbol *x, const struct tc_range *q,
                     int64_t *from, int64_t *to)
{
    int64_t first = tc_days_from_date(x->first), last = tc_days_from_date(x->last);
    *from = first;
    *to = last;
    if (q->from >= q->to)
        return false;
    if (q->from > (first - 2) * DAY_NS)
        *from = tc_days_from_date(cs_day(s, x->name, q->from));
    if (q->to < (last + 2) * DAY_NS)
        *to = tc_days_from_date(cs_day(s, x->name, q->to - 1));
    *from = *from > first ? *from : first;
    *to = *to < last ? *to : last;
    return *from <= *to;
}

static int read_day(struct tc_cassandra *s, const struct cs_symbol *x, const struct tc_range *q, int64_t day,
                    bool down, struct giving *g)
{
    struct tc_buf *v = &s->values;
    tc_buf_clear(v);
    tc_cql_put_text(v, x->name);
    if (g->t->intervals)
        tc_cql_put_int(v, q->interval_ms);
    cs_put_date(v, tc_date_from_days(day));
    tc_cql_put_bigint(v, q->from);
    tc_cql_put_bigint(v, q->to);
    tc_cql_put_int(v, g->left > INT32_MAX ? INT32_MAX : (int32_t)g->left);
    return tc_cql_read(s->client, down ? g->t->down : g->t->up, v, PAGE_ROWS, give_row, g);
}

static int newest_rows(struct tc_cassandra *s, const struct table *t, const struct cs_symbol *x,
                       const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    struct giving g = {.t = t, .left = q->limit};
    int64_t from, to;
    int rc = TC_OK;
    if (!day_span(s, x, q, &from, &to))
        return TC_OK;
    for (int64_t day = to; day >= from && g.left > 0 && rc == TC_OK; day--)
        rc = read_day(s, x, q, day, true, &g);
    for (size_t i = g.n_kept; i > 0 && rc == TC_OK; i--)
        rc = fn(ctx, &g.kept[i - 1]);
    free(g.kept);
    return rc;
}

static int rows_of_symbol(struct tc_cassandra *s, const struct table *t, const struct cs_symbol *x,
                          const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    if (q->newest && q->limit)
        return newest_rows(s, t, x, q, fn, ctx);
    struct giving g = {.t = t, .fn = fn, .ctx = ctx, .left = q->limit ? q->limit : UINT32_MAX};
    int64_t from, to;
    int rc = TC_OK;
    if (!day_span(s, x, q, &from, &to))
        return TC_OK;
    for (int64_t day = from; day <= to && g.left > 0 && rc == TC_OK; day++)
        rc = read_day(s, x, q, day, false, &g);
    return rc;
}

typedef int (*scan_fn)(struct tc_cassandra *s, const struct table *t, const struct cs_symbol *x,
                       const struct tc_range *q, tc_row_fn fn, void *ctx);

static int each_symbol(struct tc_cassandra *s, const struct table *t, const struct tc_range *q, scan_fn scan,
                       tc_row_fn fn, void *ctx)
{
    struct cs_symbol *list;
    size_t n;
    int rc = cs_symbols(s, q->symbol, &list, &n);
    for (size_t i = 0; i < n && rc == TC_OK; i++)
        rc = scan(s, t, &list[i], q, fn, ctx);
    free(list);
    return rc;
}

int cs_quotes(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    return each_symbol(self, &quotes_table, q, rows_of_symbol, fn, ctx);
}

int cs_outcomes(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    return each_symbol(self, &outcomes_table, q, rows_of_symbol, fn, ctx);
}

/* --- bars of longer intervals
 * ------------------------------------------------------------------------------- */

struct scan {
    struct tc_cassandra *s;
    const struct cs_symbol *x;
};

static int second_rows(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    struct scan *c = self;
    return rows_of_symbol(c->s, &bars_table, c->x, q, fn, ctx);
}

struct starts {
    int (*seen)(void *ctx, int64_t start);
    void *ctx;
};

static int see_row(void *ctx, const struct tc_record *row)
{
    struct starts *x = ctx;
    return x->seen(x->ctx, row->bar.start) ? TC_DONE : TC_OK;
}

static int second_starts(void *self, const struct tc_range *q, int (*seen)(void *ctx, int64_t start),
                         void *ctx)
{
    struct scan *c = self;
    struct starts starts = {seen, ctx};
    struct giving g = {.t = &bars_table, .fn = see_row, .ctx = &starts, .left = UINT32_MAX};
    int64_t from, to;
    int rc = TC_OK;
    if (!day_span(c->s, c->x, q, &from, &to))
        return TC_OK;
    for (int64_t day = to; day >= from && rc == TC_OK; day--)
        rc = read_day(c->s, c->x, q, day, true, &g);
    return rc == TC_DONE ? TC_OK : rc;
}

static int folded_bars(struct tc_cassandra *s, const struct table *t, const struct cs_symbol *x,
                       const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    struct scan scan = {s, x};
    const struct tc_fold_source source = {&scan, second_rows, second_starts};
    uint64_t given = 0;
    int rc = tc_fold_bars(&source, q, fn, ctx, &given);
    return rc == TC_OK && given == 0 ? rows_of_symbol(s, t, x, q, fn, ctx) : rc;
}

int cs_bars(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    if (q->interval_ms == 1000)
        return each_symbol(self, &bars_table, q, rows_of_symbol, fn, ctx);
    if (q->interval_ms == 60000 || q->interval_ms == 3600000)
        return each_symbol(self, &bars_table, q, folded_bars, fn, ctx);
    return tc_fail(TC_EINPUT, "bars of %d ms: intervals are 1000 (1s), 60000 (1m) and 3600000 (1h)",
                   (int)q->interval_ms);
}

int cs_latest(void *self, tc_row_fn fn, void *ctx)
{
    const struct tc_range newest = {
        .from = INT64_MIN, .to = INT64_MAX, .interval_ms = 1000, .limit = 1, .newest = true};
    return each_symbol(self, &bars_table, &newest, rows_of_symbol, fn, ctx);
}

/* --- forecasts: several models of a span, in the order of their origin
 * -------------------------------------- */

static const struct table forecasts_table = {"forecasts", CR_FORECASTS, CR_FORECASTS, forecast_of_row, false};

static int by_origin(const void *a, const void *b)
{
    const struct tc_forecast *x = &((const struct tc_record *)a)->forecast;
    const struct tc_forecast *y = &((const struct tc_record *)b)->forecast;
    return x->origin_time != y->origin_time
               ? (x->origin_time > y->origin_time) - (x->origin_time < y->origin_time)
               : strcmp(x->model, y->model);
}

static int read_slice(struct tc_cassandra *s, const struct cs_symbol *x, const char *model, int32_t day,
                      int64_t from, int64_t to, struct giving *g)
{
    struct tc_buf *v = &s->values;
    tc_buf_clear(v);
    tc_cql_put_text(v, x->name);
    tc_cql_put_text(v, model);
    cs_put_date(v, day);
    tc_cql_put_bigint(v, from);
    tc_cql_put_bigint(v, to);
    return tc_cql_read(s->client, CR_FORECASTS, v, PAGE_ROWS, give_row, g);
}

struct forecast_scan {
    struct tc_cassandra *s;
    const struct cs_symbol *x;
    const struct tc_range *q;
    char models[CS_MODELS_MAX][TC_MODEL_SIZE];
    size_t n_models;
    int32_t day;
    struct giving slice, newest; /* rows of a slice; the newest rows, newest first */
    uint32_t left;
    tc_row_fn fn;
    void *ctx;
};

static int give_slice(struct forecast_scan *f, int64_t from, int64_t to)
{
    struct giving *g = &f->slice;
    g->n_kept = 0;
    g->left = UINT32_MAX;
    int rc = TC_OK;
    for (size_t m = 0; m < f->n_models && rc == TC_OK; m++)
        rc = read_slice(f->s, f->x, f->models[m], f->day, from, to, g);
    qsort(g->kept, g->n_kept, sizeof(*g->kept), by_origin);
    for (size_t i = 0; i < g->n_kept && rc == TC_OK && f->left > 0; i++) {
        bool down = f->newest.t != NULL;
        const struct tc_record *row = &g->kept[down ? g->n_kept - 1 - i : i];
        if (f->left != UINT32_MAX)
            f->left--;
        f->newest.row = *row;
        rc = down ? keep_row(&f->newest) : f->fn(f->ctx, row);
    }
    return rc;
}

/* A day's bounds, wide enough for every time zone. */
static int forecasts_of_day(struct forecast_scan *f, int64_t day, bool down)
{
    int64_t from = (day - 1) * DAY_NS, to = (day + 2) * DAY_NS;
    from = f->q->from > from ? f->q->from : from;
    to = f->q->to < to ? f->q->to : to;
    f->day = tc_date_from_days(day);
    f->n_models = 0;
    int rc = TC_OK;
    if (f->q->model)
        snprintf(f->models[f->n_models++], TC_MODEL_SIZE, "%s", f->q->model);
    else
        rc = cs_models(f->s, f->x->name, f->day, f->models, &f->n_models);
    if (f->n_models == 0)
        return rc;
    for (int64_t t = down ? to : from; rc == TC_OK && f->left > 0 && (down ? t > from : t < to);) {
        int64_t low = down ? (t - SLICE_NS > from ? t - SLICE_NS : from) : t;
        int64_t high = down ? t : (t + SLICE_NS < to ? t + SLICE_NS : to);
        rc = give_slice(f, low, high);
        t = down ? low : high;
    }
    return rc;
}

static int forecasts_of_symbol(struct tc_cassandra *s, const struct table *t, const struct cs_symbol *x,
                               const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    int64_t from, to;
    if (!day_span(s, x, q, &from, &to))
        return TC_OK;
    struct forecast_scan *f = calloc(1, sizeof(*f));
    if (!f)
        return tc_fail(TC_ENOMEM, "no memory for forecasts");
    bool down = q->newest && q->limit;
    f->s = s, f->x = x, f->q = q, f->fn = fn, f->ctx = ctx;
    f->left = q->limit ? q->limit : UINT32_MAX;
    f->slice.t = t;
    f->newest.t = down ? t : NULL;
    int rc = TC_OK;
    for (int64_t i = 0; i <= to - from && f->left > 0 && rc == TC_OK; i++)
        rc = forecasts_of_day(f, down ? to - i : from + i, down);
    for (size_t i = f->newest.n_kept; i > 0 && rc == TC_OK; i--)
        rc = fn(ctx, &f->newest.kept[i - 1]);
    free(f->slice.kept);
    free(f->newest.kept);
    free(f);
    return rc;
}

int cs_forecasts(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    return each_symbol(self, &forecasts_table, q, forecasts_of_symbol, fn, ctx);
}

/* --- rows by day, gaps
 * -------------------------------------------------------------------------------------- */

static int put_day_key(struct tc_cassandra *s, const char *symbol, const char *model, int64_t day)
{
    tc_buf_clear(&s->values);
    tc_cql_put_text(&s->values, symbol);
    if (model)
        tc_cql_put_text(&s->values, model);
    cs_put_date(&s->values, tc_date_from_days(day));
    return TC_OK;
}

static void cut_days(const struct cs_symbol *x, int32_t from_day, int32_t to_day, int64_t *from, int64_t *to)
{
    *from = tc_days_from_date(from_day > x->first ? from_day : x->first);
    *to = tc_days_from_date(to_day < x->last ? to_day : x->last);
}

static int by_score_key(const void *a, const void *b)
{
    const struct tc_score *x = &((const struct tc_record *)a)->score,
                          *y = &((const struct tc_record *)b)->score;
    int c = strcmp(x->model, y->model);
    c = c ? c : strcmp(tc_kind_name(x->kind), tc_kind_name(y->kind));
    c = c ? c : (x->horizon_ms > y->horizon_ms) - (x->horizon_ms < y->horizon_ms);
    c = c ? c : strcmp(x->inputs, y->inputs);
    c = c ? c : (x->day > y->day) - (x->day < y->day);
    return c ? c : (x->slot > y->slot) - (x->slot < y->slot);
}

static int scores_of_symbol(struct tc_cassandra *s, const struct cs_symbol *x, int32_t from_day,
                            int32_t to_day, tc_row_fn fn, void *ctx)
{
    static const struct table scores = {"score_sums", CR_SCORES, CR_SCORES, score_of_row, false};
    struct giving g = {.t = &scores, .left = UINT32_MAX};
    char(*models)[TC_MODEL_SIZE] = calloc(CS_MODELS_MAX, TC_MODEL_SIZE);
    int64_t from, to;
    int rc = models ? TC_OK : tc_fail(TC_ENOMEM, "no memory for scores");
    cut_days(x, from_day, to_day, &from, &to);
    for (int64_t day = from; day <= to && rc == TC_OK; day++) {
        size_t n = 0;
        rc = cs_models(s, x->name, tc_date_from_days(day), models, &n);
        for (size_t i = 0; i < n && rc == TC_OK; i++) {
            put_day_key(s, x->name, models[i], day);
            rc = tc_cql_read(s->client, CR_SCORES, &s->values, PAGE_ROWS, give_row, &g);
        }
    }
    if (g.n_kept)
        qsort(g.kept, g.n_kept, sizeof(*g.kept), by_score_key);
    for (size_t i = 0; i < g.n_kept && rc == TC_OK; i++)
        rc = fn(ctx, &g.kept[i]);
    free(g.kept);
    free(models);
    return rc;
}

int cs_scores(void *self, const char *symbol, int32_t from_day, int32_t to_day, tc_row_fn fn, void *ctx)
{
    struct cs_symbol *list;
    size_t n;
    int rc = cs_symbols(self, symbol, &list, &n);
    for (size_t i = 0; i < n && rc == TC_OK; i++)
        rc = scores_of_symbol(self, &list[i], from_day, to_day, fn, ctx);
    free(list);
    return rc;
}

int cs_quality(void *self, const char *symbol, int32_t from_day, int32_t to_day, tc_row_fn fn, void *ctx)
{
    static const struct table quality = {"quality", CR_QUALITY, CR_QUALITY, quality_of_row, false};
    struct tc_cassandra *s = self;
    struct giving g = {.t = &quality, .fn = fn, .ctx = ctx, .left = UINT32_MAX};
    struct cs_symbol *list;
    size_t n;
    int rc = cs_symbols(s, symbol, &list, &n);
    for (size_t i = 0; i < n && rc == TC_OK; i++) {
        int64_t from, to;
        cut_days(&list[i], from_day, to_day, &from, &to);
        for (int64_t day = from; day <= to && rc == TC_OK; day++) {
            put_day_key(s, list[i].name, NULL, day);
            rc = tc_cql_read(s->client, CR_QUALITY, &s->values, PAGE_ROWS, give_row, &g);
        }
    }
    free(list);
    return rc;
}

static int by_gap(const void *a, const void *b)
{
    const struct tc_gap *x = &((const struct tc_record *)a)->gap, *y = &((const struct tc_record *)b)->gap;
    int c = (x->start > y->start) - (x->start < y->start);
    c = c ? c : strcmp(x->symbol, y->symbol);
    return c ? c : strcmp(x->feed, y->feed);
}

static int gaps_of_symbol(struct tc_cassandra *s, const struct cs_symbol *x, const struct tc_range *q,
                          struct giving *g)
{
    int64_t from, to;
    int rc = TC_OK;
    if (!day_span(s, x, q, &from, &to))
        return TC_OK;
    for (int64_t day = from; day <= to && rc == TC_OK; day++) {
        put_day_key(s, x->name, NULL, day);
        rc = tc_cql_read(s->client, CR_GAPS, &s->values, PAGE_ROWS, give_row, g);
    }
    return rc;
}

int cs_gaps(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    static const struct table gaps = {"gaps", CR_GAPS, CR_GAPS, gap_of_row, false};
    struct giving g = {.t = &gaps, .left = UINT32_MAX};
    struct cs_symbol *list;
    size_t n, kept = 0;
    int rc = cs_symbols(self, NULL, &list, &n);
    for (size_t i = 0; i < n && rc == TC_OK; i++)
        if (!q->symbol || !strcmp(list[i].name, q->symbol) || !strcmp(list[i].name, "*"))
            rc = gaps_of_symbol(self, &list[i], q, &g);
    free(list);
    if (g.n_kept)
        qsort(g.kept, g.n_kept, sizeof(*g.kept), by_gap);
    for (size_t i = 0; i < g.n_kept; i++) { /* one of several days is there once for each of them */
        const struct tc_gap *x = &g.kept[i].gap;
        bool touches = x->start < q->to && x->end > q->from;
        if (touches && (kept == 0 || by_gap(&g.kept[kept - 1], &g.kept[i]) != 0))
            g.kept[kept++] = g.kept[i];
    }
    size_t first = q->newest && q->limit && kept > q->limit ? kept - q->limit : 0;
    size_t end = !q->newest && q->limit && kept > q->limit ? q->limit : kept;
    for (size_t i = first; i < end && rc == TC_OK; i++)
        rc = fn(ctx, &g.kept[i]);
    free(g.kept);
    return rc;
}

/* --- positions, snapshots, what the keyspace holds
 * ---------------------------------------------------------- */

static int take_bigint(void *ctx, const struct tc_cql_bytes *v, int32_t n)
{
    (void)n;
    *(int64_t *)ctx = tc_cql_as_bigint(v[0], 0);
    return 0;
}

int cs_position(void *self, const char *group, enum tc_topic topic, int64_t *out)
{
    struct tc_cassandra *s = self;
    *out = 0;
    tc_buf_clear(&s->values);
    tc_cql_put_text(&s->values, group);
    tc_cql_put_text(&s->values, tc_topic_name(topic));
    tc_cql_put_int(&s->values, 0);
    return tc_cql_read(s->client, CR_POSITION, &s->values, 2, take_bigint, out);
}

struct snapshot {
    struct tc_record record;
    struct tc_snapshot *out;
    bool found;
};

static int take_snapshot(void *ctx, const struct tc_cql_bytes *v, int32_t n)
{
    (void)n;
    struct snapshot *x = ctx;
    struct tc_checkpoint *k = &x->record.checkpoint;
    k->position = tc_cql_as_bigint(v[0], 0);
    text_of(v[1], k->kernel, sizeof(k->kernel));
    k->blob = v[2].p;
    if (v[2].n > TC_BLOB_MAX)
        return tc_fail(TC_ELIMIT, "the snapshot of role %s has %zu bytes, more than allowed", k->role,
                       v[2].n);
    k->blob_len = (uint32_t)v[2].n;
    x->out->position = tc_cql_as_bigint(v[3], 0);
    tc_buf_init(&x->out->bytes, TC_BLOB_MAX + 4096);
    int rc = tc_record_encode(&x->record, &x->out->bytes);
    if (rc != TC_OK)
        tc_buf_release(&x->out->bytes);
    x->found = rc == TC_OK;
    return rc;
}

int cs_snapshot(void *self, const char *role, struct tc_snapshot *out)
{
    struct tc_cassandra *s = self;
    struct snapshot x = {.record = {.type = TC_REC_CHECKPOINT, .from = -1}, .out = out};
    for (int t = 0; t < TC_TOPIC_COUNT && !x.found; t++) {
        x.record.checkpoint.topic = (enum tc_topic)t;
        snprintf(x.record.checkpoint.role, sizeof(x.record.checkpoint.role), "%s", role);
        tc_buf_clear(&s->values);
        tc_cql_put_text(&s->values, role);
        tc_cql_put_text(&s->values, tc_topic_name((enum tc_topic)t));
        tc_cql_put_int(&s->values, 0);
        int rc = tc_cql_read(s->client, CR_SNAPSHOT, &s->values, 2, take_snapshot, &x);
        if (rc != TC_OK)
            return rc;
    }
    return x.found ? TC_OK : tc_fail(TC_ENOTFOUND, "keyspace %s: no snapshot of role %s", s->keyspace, role);
}

static int take_number(void *ctx, const struct tc_cql_bytes *v, int32_t n)
{
    (void)n;
    int64_t *out = ctx;
    if (v[0].p && !tc_parse_int((const char *)v[0].p, v[0].n, out))
        *out = -1;
    return 0;
}

static int read_meta(struct tc_cassandra *s, const char *name, int64_t *out)
{
    *out = -1;
    tc_buf_clear(&s->values);
    tc_cql_put_text(&s->values, name);
    return tc_cql_read(s->client, CR_META, &s->values, 2, take_number, out);
}

struct span {
    int64_t oldest, newest;
};

static int widen_span(void *ctx, const struct tc_record *row)
{
    struct span *x = ctx;
    int64_t t = row->outcome.origin_time;
    x->oldest = x->oldest == 0 || t < x->oldest ? t : x->oldest;
    x->newest = t > x->newest ? t : x->newest;
    return 0;
}

struct seconds {
    char symbol[TC_SYMBOL_SIZE];
    int64_t sum, most;
};

static int add_seconds(void *ctx, const struct tc_record *row)
{
    struct seconds *x = ctx;
    const struct tc_quality *q = &row->quality;
    if (strcmp(x->symbol, q->symbol) != 0)
        x->sum = 0;
    memcpy(x->symbol, q->symbol, sizeof(x->symbol));
    x->sum += q->traded + q->no_trade + q->unknown;
    x->most = x->sum > x->most ? x->sum : x->most;
    return 0;
}

int cs_info(void *self, struct tc_store_info *out)
{
    struct tc_cassandra *s = self;
    struct span span = {0};
    struct seconds seconds = {{0}, 0, 0};
    int rc = TC_OK;
    *out = (struct tc_store_info){.world = s->world, .schema = CS_SCHEMA_VERSION};
    for (int t = 0; t < TC_TOPIC_COUNT && rc == TC_OK; t++) {
        char name[32];
        int64_t ended = -1;
        snprintf(name, sizeof(name), "ended:%s", tc_topic_name((enum tc_topic)t));
        rc = cs_position(s, "store", (enum tc_topic)t, &out->position[t]);
        if (rc == TC_OK)
            rc = read_meta(s, name, &ended);
        out->ended[t] = rc == TC_OK && ended >= 0 && ended + 1 == out->position[t];
    }
    struct tc_range edge = {.from = INT64_MIN, .to = INT64_MAX, .limit = 1};
    if (rc == TC_OK)
        rc = cs_outcomes(s, &edge, widen_span, &span);
    edge.newest = true;
    if (rc == TC_OK)
        rc = cs_outcomes(s, &edge, widen_span, &span);
    if (rc == TC_OK)
        rc = cs_quality(s, NULL, 0, 99991231, add_seconds, &seconds);
    out->seconds = seconds.most;
    out->oldest_forecast = span.oldest;
    out->newest_forecast = span.newest;
    return rc;
}
