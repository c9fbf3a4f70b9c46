#include "serve/api.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "serve/live.h"
#include "store/adjusted.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BARS_MAX = 11000, FORECASTS_MAX = 5000, GAPS_MAX = 1000 };

void tc_api_store_error(struct tc_reply *r, int rc)
{
    tc_log_error("serve", "%s", tc_error());
    tc_reply_error(r, rc == TC_EBUSY ? 503 : 500, "the database cannot be read: %s", tc_error());
}

static void put_num(struct tc_buf *out, const char *name, double v)
{
    tc_buf_printf(out, ",\"%s\":", name);
    tc_buf_double(out, v);
}

static void put_point(struct tc_buf *out, const char *name, const struct tc_live_point *p)
{
    tc_buf_printf(out, "\"%s\":", name);
    if (!p->known) {
        tc_buf_str(out, "null");
        return;
    }
    tc_buf_str(out, "{\"value\":");
    tc_buf_double(out, p->value);
    put_num(out, "lo", p->lo);
    put_num(out, "hi", p->hi);
    tc_buf_str(out, p->gate_open ? ",\"gate_open\":true}" : ",\"gate_open\":false}");
}

static void put_symbol(struct tc_buf *out, const struct tc_live_symbol *s)
{
    tc_buf_str(out, "{\"symbol\":");
    tc_buf_json_string(out, s->symbol);
    tc_buf_str(out, ",\"feed\":");
    tc_buf_json_string(out, s->feed);
    tc_buf_str(out, ",\"calendar\":");
    tc_buf_json_string(out, s->calendar ? tc_calendar_name(s->calendar) : "always");
    put_num(out, "last", s->last);
    tc_buf_str(out, ",\"last_time\":");
    if (s->last_time)
        tc_buf_int(out, s->last_time);
    else
        tc_buf_str(out, "null");
    put_num(out, "change", s->last - s->open);
    put_num(out, "change_pct", 100 * (s->last - s->open) / s->open);
    put_num(out, "volume", s->volume);
    put_num(out, "bid", s->quote.bid);
    put_num(out, "ask", s->quote.ask);
    tc_buf_str(out, ",\"spark\":[");
    uint32_t begin = s->n_spark > TC_SPARK ? s->n_spark - TC_SPARK : 0;
    for (uint32_t i = begin; i < s->n_spark; i++) {
        if (i > begin)
            tc_buf_char(out, ',');
        tc_buf_double(out, s->spark[i % TC_SPARK]);
    }
    tc_buf_str(out, "],\"forecasts\":{");
    put_point(out, "next", &s->next);
    tc_buf_char(out, ',');
    put_point(out, "last60", &s->last60);
    tc_buf_str(out, "}}");
}

void tc_api_symbols(struct tc_serve *s, const struct tc_store *store, const struct tc_params *p,
                    struct tc_reply *r)
{
    (void)store;
    (void)p;
    struct tc_live_symbol *symbols;
    size_t n;
    if (tc_live_copy(s->live, &symbols, &n) != TC_OK) {
        tc_reply_error(r, 503, "%s", tc_error());
        return;
    }
    tc_buf_str(&r->body, "{\"symbols\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            tc_buf_char(&r->body, ',');
        put_symbol(&r->body, &symbols[i]);
    }
    tc_buf_str(&r->body, "]}\n");
    free(symbols);
}

/* Rows as they come from the store, into the answer. */
struct rows {
    struct tc_buf *out;
    uint32_t n;
    bool csv;
    int64_t first, second, last; /* times of these rows */
    size_t begin, begin_second;  /* where the first two rows stand in out */
};

static void csv_num(struct tc_buf *out, double v)
{
    if (!isnan(v))
        tc_buf_double(out, v);
    tc_buf_char(out, ',');
}

static void csv_bar(const struct tc_bar *b, struct tc_buf *out)
{
    tc_buf_printf(out, "%s,%lld,%d,%lld,", b->symbol, (long long)b->start, b->interval_ms,
                  (long long)b->available);
    const double v[] = {b->open, b->high, b->low, b->close, b->vwap, b->volume};
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
        csv_num(out, v[i]);
    tc_buf_printf(out, "%d,", b->trades);
    const double q[] = {b->quote.bid, b->quote.ask, b->quote.bid_size, b->quote.ask_size, b->quote_lag_ms};
    for (size_t i = 0; i < sizeof(q) / sizeof(q[0]); i++)
        csv_num(out, q[i]);
    tc_buf_printf(out, "%s,%s,%d", tc_origin_name(b->origin), b->feed, b->revision);
    if (b->interval_ms != 1000)
        tc_buf_printf(out, ",%d", b->seconds);
    tc_buf_char(out, '\n');
}

static void csv_forecast(const struct tc_forecast *f, struct tc_buf *out)
{
    for (int32_t i = 0; i < f->n_points; i++) {
        const struct tc_point *p = &f->points[i];
        tc_buf_printf(out, "%s,%s,%lld,%lld,%s,%s,%lld,", f->symbol, f->model, (long long)f->origin_time,
                      (long long)f->issued, f->inputs, tc_kind_name(p->kind), (long long)p->horizon_ms);
        if (p->target)
            tc_buf_int(out, p->target);
        tc_buf_char(out, ',');
        csv_num(out, p->value);
        csv_num(out, p->lo);
        csv_num(out, p->hi);
        csv_num(out, f->reference);
        tc_buf_printf(out, "%u,%d\n", f->flags, p->gate_open);
    }
}

static int put_row(void *ctx, const struct tc_record *row)
{
    struct rows *rows = ctx;
    int64_t time = row->type == TC_REC_BAR        ? row->bar.start
                   : row->type == TC_REC_FORECAST ? row->forecast.origin_time
                                                  : 0;
    if (rows->n == 0) {
        rows->first = time;
        rows->begin = rows->out->len;
    }
    if (rows->n == 1) {
        rows->second = time;
        rows->begin_second = rows->out->len + 1; /* after the comma */
    }
    rows->last = time;
    if (rows->csv && row->type == TC_REC_BAR) {
        csv_bar(&row->bar, rows->out);
    } else if (rows->csv) {
        csv_forecast(&row->forecast, rows->out);
    } else {
        if (rows->n)
            tc_buf_char(rows->out, ',');
        tc_record_to_json(row, rows->out);
    }
    rows->n++;
    return rows->out->overflow ? TC_DONE : 0;
}

/* Takes the first row out again: it was read only to know that there are more. */
static void drop_first(struct rows *rows)
{
    struct tc_buf *out = rows->out;
    if (out->overflow)
        return;
    memmove(out->data + rows->begin, out->data + rows->begin_second, out->len - rows->begin_second + 1);
    out->len -= rows->begin_second - rows->begin;
    rows->first = rows->second;
    rows->n--;
}

struct range {
    struct tc_range q;
    int64_t limit;
    bool csv, raw; /* raw: as it is stored, without splits and changes of symbol */
};

static bool parse_range(const struct tc_params *p, int64_t limit, int64_t max, struct range *out,
                        struct tc_reply *r)
{
    int csv = 0, raw = 0;
    *out = (struct range){.q = {.from = 0, .to = INT64_MAX, .newest = true}, .limit = limit};
    if (!tc_param_symbol(p, true, &out->q.symbol, r) || !tc_param_time(p, "from", &out->q.from, r) ||
        !tc_param_time(p, "to", &out->q.to, r) || !tc_param_int(p, "limit", 1, max, &out->limit, r) ||
        !tc_param_choice(p, "format", "json csv", &csv, r) ||
        !tc_param_choice(p, "adjusted", "yes no", &raw, r))
        return false;
    if (out->q.from > out->q.to)
        return tc_reply_error(r, 400, "parameter \"from\" is after parameter \"to\"");
    out->csv = csv == 1;
    out->raw = raw == 1;
    out->q.limit = (uint32_t)out->limit;
    return true;
}

/* Symbols hold only letters, digits and . _ - / : of which a file name takes most. */
static void name_file(struct tc_reply *r, const char *symbol, const char *what)
{
    r->type = "text/csv; charset=utf-8";
    snprintf(r->file, sizeof(r->file), "%s-%s.csv", symbol, what);
    for (char *c = r->file; *c; c++)
        if (*c == '/' || *c == ':')
            *c = '_';
}

static struct tc_adjusted adjusted(const struct tc_serve *s, const struct tc_store *store,
                                   const struct range *range)
{
    return (struct tc_adjusted){.store = store,
                                .actions = range->raw ? NULL : s->conf.actions,
                                .calendar = tc_serve_calendar(&s->conf, range->q.symbol)};
}

static void bars_csv(const struct tc_serve *s, const struct tc_store *store, const struct range *range,
                     struct tc_reply *r)
{
    struct tc_adjusted a = adjusted(s, store, range);
    name_file(r, range->q.symbol, "bars");
    tc_buf_printf(
        &r->body,
        "symbol,start,interval_ms,available,open,high,low,close,vwap,volume,trades,bid,ask,bid_size,"
        "ask_size,quote_lag_ms,origin,feed,revision%s\n",
        range->q.interval_ms == 1000 ? "" : ",seconds");
    struct rows rows = {.out = &r->body, .csv = true};
    int rc = store ? tc_adjusted_scan(&a, store->ops->bars, &range->q, put_row, &rows) : TC_OK;
    if (rc < 0)
        tc_api_store_error(r, rc);
}

static int put_gaps(const struct tc_store *store, const struct tc_range *q, const struct rows *bars,
                    bool more, struct tc_buf *out)
{
    struct rows rows = {.out = out};
    struct tc_range span = {
        .symbol = q->symbol, .from = q->from, .to = q->to, .limit = GAPS_MAX, .newest = true};
    if (more)
        span.from = bars->first; /* older ones belong to the bars that were left out */
    return store->ops->gaps(store->self, &span, put_row, &rows);
}

static bool parse_bars(const struct tc_params *p, struct range *range, struct tc_reply *r)
{
    static const int32_t intervals[] = {1000, 60000, 3600000};
    int interval = 0;
    if (!parse_range(p, 1000, BARS_MAX, range, r) ||
        !tc_param_choice(p, "interval", "1s 1m 1h", &interval, r))
        return false;
    range->q.interval_ms = intervals[interval];
    return true;
}

/* The store writes in batches: what the stream has shown already must be in a range that is fetched after it.
 */
static void wait_for_store(const struct tc_serve *s)
{
    if (s->conf.fresh)
        s->conf.fresh(s->conf.fresh_ctx);
}

void tc_api_bars(struct tc_serve *s, const struct tc_store *store, const struct tc_params *p,
                 struct tc_reply *r)
{
    static const char *const names[] = {"1s", "1m", "1h"};
    struct range range;
    if (!parse_bars(p, &range, r))
        return;
    wait_for_store(s);
    if (range.csv) {
        bars_csv(s, store, &range, r);
        return;
    }
    int i = range.q.interval_ms == 1000 ? 0 : range.q.interval_ms == 60000 ? 1 : 2;
    tc_buf_str(&r->body, "{\"symbol\":");
    tc_buf_json_string(&r->body, range.q.symbol);
    tc_buf_printf(&r->body, ",\"interval\":\"%s\",\"bars\":[", names[i]);
    struct rows rows = {.out = &r->body};
    struct tc_range one_more = range.q;
    one_more.limit++;
    struct tc_adjusted a = adjusted(s, store, &range);
    int rc = store ? tc_adjusted_scan(&a, store->ops->bars, &one_more, put_row, &rows) : TC_OK;
    bool more = rows.n > range.q.limit;
    if (more)
        drop_first(&rows);
    tc_buf_str(&r->body, "],\"gaps\":[");
    if (rc >= 0 && store)
        rc = put_gaps(store, &range.q, &rows, more, &r->body);
    tc_buf_str(&r->body, "],\"actions\":");
    tc_actions_to_json(a.actions, range.q.symbol, 0, 99991231, &r->body);
    tc_buf_printf(&r->body, ",\"more\":%s}\n", more ? "true" : "false");
    if (rc < 0)
        tc_api_store_error(r, rc);
}

static void forecasts_csv(const struct tc_serve *s, const struct tc_store *store, const struct range *range,
                          struct tc_reply *r)
{
    struct tc_adjusted a = adjusted(s, store, range);
    name_file(r, range->q.symbol, "forecasts");
    tc_buf_str(&r->body,
               "symbol,model,origin_time,issued,inputs,kind,horizon_ms,target,value,lo,hi,reference,"
               "flags,gate_open\n");
    struct rows rows = {.out = &r->body, .csv = true};
    int rc = store ? tc_adjusted_scan(&a, store->ops->forecasts, &range->q, put_row, &rows) : TC_OK;
    if (rc < 0)
        tc_api_store_error(r, rc);
}

void tc_api_forecasts(struct tc_serve *s, const struct tc_store *store, const struct tc_params *p,
                      struct tc_reply *r)
{
    struct range range;
    if (!parse_range(p, 500, FORECASTS_MAX, &range, r))
        return;
    wait_for_store(s);
    range.q.model = tc_params_get(p, "model");
    if (range.csv) {
        forecasts_csv(s, store, &range, r);
        return;
    }
    tc_buf_str(&r->body, "{\"symbol\":");
    tc_buf_json_string(&r->body, range.q.symbol);
    tc_buf_str(&r->body, ",\"forecasts\":[");
    struct rows rows = {.out = &r->body};
    struct tc_adjusted a = adjusted(s, store, &range);
    int rc = store ? tc_adjusted_scan(&a, store->ops->forecasts, &range.q, put_row, &rows) : TC_OK;
    tc_buf_str(&r->body, "],\"outcomes\":[");
    if (rc >= 0 && rows.n) {
        struct tc_range q = {
            .symbol = range.q.symbol, .from = rows.first, .to = rows.last + 1, .limit = FORECASTS_MAX};
        struct rows outcomes = {.out = &r->body};
        rc = tc_adjusted_scan(&a, store->ops->outcomes, &q, put_row, &outcomes);
    }
    tc_buf_str(&r->body, "]}\n");
    if (rc < 0)
        tc_api_store_error(r, rc);
}
