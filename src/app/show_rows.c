/* The plain rows of `tickcast show`: bars, forecasts, outcomes, gaps, quality. */
#include "app/show.h"
#include "app/when.h"
#include "base/clock.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int tc_show_json(struct tc_show *s, const struct tc_record *row)
{
    tc_buf_clear(&s->json);
    tc_record_to_json(row, &s->json);
    tc_buf_char(&s->json, '\n');
    if (s->json.overflow)
        return tc_fail(TC_ENOMEM, "show: no memory");
    fwrite(s->json.data, 1, s->json.len, stdout);
    return TC_OK;
}

void tc_show_time(struct tc_show *s, int64_t t)
{
    char text[TC_WHEN_TEXT];
    if (s->form == TC_SHOW_CSV)
        tc_table_int(&s->table, t);
    else
        tc_table_text(&s->table, tc_when_text(t, s->utc ? NULL : s->calendar, text));
}

static int row_json(void *ctx, const struct tc_record *row)
{
    return tc_show_json(ctx, row);
}

typedef int (*range_fn)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);

/* Table, CSV or JSON of one range. */
static int show_range(struct tc_show *s, range_fn scan, const struct tc_column *table, size_t n_table,
                      const struct tc_column *csv, size_t n_csv, tc_row_fn table_row, tc_row_fn csv_row)
{
    if (s->form == TC_SHOW_JSON) {
        int rc = scan(s->store->self, &s->range, row_json, s);
        return rc == TC_OK && (fflush(stdout) || ferror(stdout)) ? tc_fail(TC_EIO, "cannot write the answer")
                                                                 : rc;
    }
    bool as_csv = s->form == TC_SHOW_CSV;
    tc_table_open(&s->table, as_csv ? csv : table, as_csv ? n_csv : n_table, as_csv);
    int rc = scan(s->store->self, &s->range, as_csv ? csv_row : table_row, s);
    int closed = tc_table_close(&s->table);
    return rc == TC_OK ? closed : rc;
}

/* --- bars
 * -------------------------------------------------------------------------------------------------*/

static int bar_table(void *ctx, const struct tc_record *row)
{
    struct tc_show *s = ctx;
    const struct tc_bar *b = &row->bar;
    struct tc_table *t = &s->table;
    const double prices[] = {b->open, b->high, b->low, b->close, b->vwap};
    tc_show_time(s, b->start);
    tc_table_text(t, b->symbol);
    for (size_t i = 0; i < COUNT(prices); i++)
        tc_table_num(t, prices[i], 2, 4);
    tc_table_num(t, b->volume, 0, 2);
    tc_table_int(t, b->trades);
    tc_table_num(t, b->quote.bid, 2, 4);
    tc_table_num(t, b->quote.ask, 2, 4);
    tc_table_num(t, b->quote.bid_size, 0, 2);
    tc_table_num(t, b->quote.ask_size, 0, 2);
    tc_table_int(t, b->seconds ? b->seconds : b->interval_ms / 1000);
    tc_table_int(t, b->revision);
    tc_table_text(t, tc_origin_name(b->origin));
    return TC_OK;
}

static int bar_csv(void *ctx, const struct tc_record *row)
{
    struct tc_show *s = ctx;
    const struct tc_bar *b = &row->bar;
    struct tc_table *t = &s->table;
    const double prices[] = {b->open, b->high, b->low, b->close, b->vwap, b->volume};
    const double quote[] = {b->quote.bid, b->quote.ask, b->quote.bid_size, b->quote.ask_size,
                            b->quote_lag_ms};
    tc_table_text(t, b->symbol);
    tc_table_int(t, b->interval_ms);
    tc_table_int(t, b->start);
    for (size_t i = 0; i < COUNT(prices); i++)
        tc_table_num(t, prices[i], 0, 0);
    tc_table_int(t, b->trades);
    for (size_t i = 0; i < COUNT(quote); i++)
        tc_table_num(t, quote[i], 0, 0);
    tc_table_text(t, tc_origin_name(b->origin));
    tc_table_text(t, b->feed);
    tc_table_int(t, b->available);
    tc_table_int(t, b->revision);
    tc_table_int(t, b->seconds ? b->seconds : b->interval_ms / 1000);
    return TC_OK;
}

int tc_show_bars(struct tc_show *s)
{
    static const struct tc_column table[] = {
        {"time", false},    {"symbol", false}, {"open", true}, {"high", true},
        {"low", true},      {"close", true},   {"vwap", true}, {"volume", true},
        {"trades", true},   {"bid", true},     {"ask", true},  {"bid_size", true},
        {"ask_size", true}, {"seconds", true}, {"rev", true},  {"origin", false}};
    static const struct tc_column csv[] = {
        {"symbol", false},   {"interval_ms", false}, {"start", false},        {"open", false},
        {"high", false},     {"low", false},         {"close", false},        {"vwap", false},
        {"volume", false},   {"trades", false},      {"bid", false},          {"ask", false},
        {"bid_size", false}, {"ask_size", false},    {"quote_lag_ms", false}, {"origin", false},
        {"feed", false},     {"available", false},   {"revision", false},     {"seconds", false}};
    return show_range(s, s->store->ops->bars, table, COUNT(table), csv, COUNT(csv), bar_table, bar_csv);
}

/* --- forecasts and outcomes
 * -------------------------------------------------------------------------------*/

static const struct tc_point *point_of(const struct tc_forecast *f, enum tc_kind kind, int32_t horizon_ms)
{
    for (int32_t i = 0; i < f->n_points; i++)
        if (f->points[i].kind == kind && f->points[i].horizon_ms == horizon_ms)
            return &f->points[i];
    return NULL;
}

static const char *flags_text(uint32_t flags, char out[static 64])
{
    snprintf(out, 64, "%s%s%s%s%s", flags & TC_FLAG_LATE ? "late " : "", flags & TC_FLAG_COLD ? "cold " : "",
             flags & TC_FLAG_STALE ? "stale " : "", flags & TC_FLAG_OUT_OF_DOMAIN ? "out-of-domain " : "",
             flags & TC_FLAG_PRICE_LEVEL ? "price-level " : "");
    size_t n = strlen(out);
    if (n)
        out[n - 1] = '\0';
    return out;
}

static int forecast_table(void *ctx, const struct tc_record *row)
{
    struct tc_show *s = ctx;
    const struct tc_forecast *f = &row->forecast;
    static const int32_t horizons[] = {1000, 10000, 60000};
    const struct tc_point *next = point_of(f, TC_KIND_NEXT, 0);
    char flags[64];
    tc_show_time(s, f->origin_time);
    tc_table_text(&s->table, f->symbol);
    tc_table_text(&s->table, f->model);
    tc_table_num(&s->table, (double)(f->issued - f->origin_time) / 1e6, 1, 1);
    tc_table_num(&s->table, f->reference, 2, 4);
    tc_table_num(&s->table, next ? next->value : NAN, 2, 4);
    tc_table_num(&s->table, next ? next->lo : NAN, 2, 4);
    tc_table_num(&s->table, next ? next->hi : NAN, 2, 4);
    for (size_t i = 0; i < COUNT(horizons); i++) {
        const struct tc_point *p = point_of(f, TC_KIND_LAST, horizons[i]);
        tc_table_num(&s->table, p ? p->value : NAN, 2, 4);
    }
    tc_table_text(&s->table, next && next->gate_open ? "open" : "closed");
    tc_table_text(&s->table, flags_text(f->flags, flags));
    return TC_OK;
}

static int forecast_csv(void *ctx, const struct tc_record *row)
{
    struct tc_show *s = ctx;
    const struct tc_forecast *f = &row->forecast;
    struct tc_table *t = &s->table;
    char flags[64];
    for (int32_t i = 0; i < f->n_points; i++) {
        const struct tc_point *p = &f->points[i];
        tc_table_text(t, f->symbol);
        tc_table_text(t, f->model);
        tc_table_int(t, f->origin_time);
        tc_table_int(t, f->issued);
        tc_table_text(t, f->inputs);
        tc_table_text(t, f->kernel);
        tc_table_num(t, f->reference, 0, 0);
        tc_table_text(t, flags_text(f->flags, flags));
        tc_table_text(t, tc_kind_name(p->kind));
        tc_table_int(t, p->horizon_ms);
        if (p->target)
            tc_table_int(t, p->target);
        else
            tc_table_text(t, "");
        tc_table_num(t, p->value, 0, 0);
        tc_table_num(t, p->lo, 0, 0);
        tc_table_num(t, p->hi, 0, 0);
    }
    return TC_OK;
}

int tc_show_forecasts(struct tc_show *s)
{
    static const struct tc_column table[] = {
        {"origin", false},  {"symbol", false}, {"model", false}, {"after_ms", true}, {"reference", true},
        {"next", true},     {"lo", true},      {"hi", true},     {"last+1s", true},  {"last+10s", true},
        {"last+60s", true}, {"gate", false},   {"flags", false}};
    static const struct tc_column csv[] = {{"symbol", false},     {"model", false},  {"origin_time", false},
                                           {"issued", false},     {"inputs", false}, {"kernel", false},
                                           {"reference", false},  {"flags", false},  {"kind", false},
                                           {"horizon_ms", false}, {"target", false}, {"value", false},
                                           {"lo", false},         {"hi", false}};
    return show_range(s, s->store->ops->forecasts, table, COUNT(table), csv, COUNT(csv), forecast_table,
                      forecast_csv);
}

/* One row a value in both forms: what came true and when. */
static int outcome_row(void *ctx, const struct tc_record *row)
{
    struct tc_show *s = ctx;
    const struct tc_outcome *o = &row->outcome;
    for (int32_t i = 0; i < o->n_values; i++) {
        const struct tc_outcome_value *v = &o->values[i];
        tc_show_time(s, o->origin_time);
        tc_table_text(&s->table, o->symbol);
        tc_table_text(&s->table, tc_kind_name(v->kind));
        tc_table_int(&s->table, v->horizon_ms);
        if (v->time)
            tc_show_time(s, v->time);
        else
            tc_table_text(&s->table, s->form == TC_SHOW_CSV ? "" : "-");
        tc_table_num(&s->table, v->value, 2, 4);
    }
    return TC_OK;
}

int tc_show_outcomes(struct tc_show *s)
{
    static const struct tc_column columns[] = {{"origin_time", false}, {"symbol", false}, {"kind", false},
                                               {"horizon_ms", true},   {"time", false},   {"value", true}};
    return show_range(s, s->store->ops->outcomes, columns, COUNT(columns), columns, COUNT(columns),
                      outcome_row, outcome_row);
}

/* --- gaps and quality
 * -------------------------------------------------------------------------------------*/

static int gap_row(void *ctx, const struct tc_record *row)
{
    struct tc_show *s = ctx;
    const struct tc_gap *g = &row->gap;
    tc_table_text(&s->table, g->symbol);
    tc_table_text(&s->table, g->feed);
    tc_show_time(s, g->start);
    tc_show_time(s, g->end);
    tc_table_num(&s->table, (double)(g->end - g->start) / 1e9, 0, 3);
    tc_table_text(&s->table, g->reason);
    tc_table_text(&s->table, g->filled ? "yes" : "no");
    return TC_OK;
}

int tc_show_gaps(struct tc_show *s)
{
    static const struct tc_column columns[] = {{"symbol", false}, {"feed", false},   {"start", false},
                                               {"end", false},    {"seconds", true}, {"reason", false},
                                               {"filled", false}};
    return show_range(s, s->store->ops->gaps, columns, COUNT(columns), columns, COUNT(columns), gap_row,
                      gap_row);
}

static int quality_row(void *ctx, const struct tc_record *row)
{
    struct tc_show *s = ctx;
    const struct tc_quality *q = &row->quality;
    const int64_t counts[] = {q->traded, q->no_trade, q->unknown,    q->duplicates,
                              q->late,   q->revised,  q->backfilled, q->gaps};
    char day[12];
    tc_table_text(&s->table, q->symbol);
    tc_table_text(&s->table, tc_date_text(q->day, day));
    for (size_t i = 0; i < COUNT(counts); i++)
        tc_table_int(&s->table, counts[i]);
    return TC_OK;
}

/* quality() is asked by days; this gives it the form of a range. */
static int quality_scan(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    const struct tc_show *s = ctx;
    (void)q;
    return s->store->ops->quality(self, s->symbol, s->from_day, s->to_day, fn, ctx);
}

int tc_show_quality(struct tc_show *s)
{
    static const struct tc_column columns[] = {
        {"symbol", false},    {"day", false}, {"traded", true},  {"no_trade", true},   {"unknown", true},
        {"duplicates", true}, {"late", true}, {"revised", true}, {"backfilled", true}, {"gaps", true}};
    return show_range(s, quality_scan, columns, COUNT(columns), columns, COUNT(columns), quality_row,
                      quality_row);
}
