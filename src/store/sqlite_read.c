/* The reading half of the SQLite store. Every scan is a range of one symbol in the order of a key, so it
 * reads only the rows it gives; a scan of all symbols is one such range after the other. */
#include "store/sqlite_int.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "store/fold.h"
#include "store/schema.h"
#include "store/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What differs between the tables: the statement's parts and how a row becomes a record. The columns begin
 * with the symbol; `order` is the time column. */
struct table {
    const char *name, *columns, *order, *also; /* also: further columns of the order, or "" */
    int (*row)(const struct tc_sqlite *s, sqlite3_stmt *st, struct tc_record *out);
};

static int prepare(const struct tc_sqlite *s, const char *sql, sqlite3_stmt **st)
{
    if (sqlite3_prepare_v2(s->db, sql, -1, st, NULL) == SQLITE_OK)
        return TC_OK;
    return tc_sqlite_fail(s, sql);
}

/* --- columns to values
 * ------------------------------------------------------------------------------------*/

static double num_at(sqlite3_stmt *st, int at)
{
    return sqlite3_column_type(st, at) == SQLITE_NULL ? NAN : sqlite3_column_double(st, at);
}

static void text_at(sqlite3_stmt *st, int at, char *out, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(st, at);
    snprintf(out, size, "%s", text ? text : "");
}

static int origin_at(sqlite3_stmt *st, int at, enum tc_origin *out)
{
    const char *text = (const char *)sqlite3_column_text(st, at);
    return tc_origin_parse(text ? text : "", out);
}

/* 'YYYY-MM-DD' to yyyymmdd; 0 when it is none. */
static int32_t day_at(sqlite3_stmt *st, int at)
{
    const char *text = (const char *)sqlite3_column_text(st, at);
    int64_t y, m, d;
    if (!text || strlen(text) != 10 || !tc_parse_int(text, 4, &y) || !tc_parse_int(text + 5, 2, &m) ||
        !tc_parse_int(text + 8, 2, &d))
        return 0;
    return (int32_t)(y * 10000 + m * 100 + d);
}

static void quote_at(sqlite3_stmt *st, int at, struct tc_quote *q, double *lag_ms)
{
    q->bid = num_at(st, at);
    q->ask = num_at(st, at + 1);
    q->bid_size = num_at(st, at + 2);
    q->ask_size = num_at(st, at + 3);
    *lag_ms = num_at(st, at + 4);
}

static int row_bar(const struct tc_sqlite *s, sqlite3_stmt *st, struct tc_record *out)
{
    (void)s;
    struct tc_bar *b = &out->bar;
    *out = (struct tc_record){.type = TC_REC_BAR, .from = -1};
    text_at(st, 0, b->symbol, sizeof(b->symbol));
    b->interval_ms = sqlite3_column_int(st, 1);
    b->start = sqlite3_column_int64(st, 2);
    b->open = num_at(st, 3);
    b->high = num_at(st, 4);
    b->low = num_at(st, 5);
    b->close = num_at(st, 6);
    b->vwap = num_at(st, 7);
    b->volume = num_at(st, 8);
    b->trades = sqlite3_column_int(st, 9);
    quote_at(st, 10, &b->quote, &b->quote_lag_ms);
    text_at(st, 17, b->feed, sizeof(b->feed));
    b->available = sqlite3_column_int64(st, 18);
    b->revision = sqlite3_column_int(st, 19);
    const char *tape = (const char *)sqlite3_column_text(st, 15);
    int rc = tc_text_read_tape(tape ? tape : "", (size_t)sqlite3_column_bytes(st, 15), &b->tape);
    return rc == TC_OK ? origin_at(st, 16, &b->origin) : rc;
}

static int row_quote(const struct tc_sqlite *s, sqlite3_stmt *st, struct tc_record *out)
{
    (void)s;
    struct tc_second_quote *q = &out->quote;
    *out = (struct tc_record){.type = TC_REC_QUOTE, .from = -1};
    text_at(st, 0, q->symbol, sizeof(q->symbol));
    q->second = sqlite3_column_int64(st, 1);
    quote_at(st, 2, &q->quote, &q->quote_lag_ms);
    text_at(st, 8, q->feed, sizeof(q->feed));
    q->available = sqlite3_column_int64(st, 9);
    return origin_at(st, 7, &q->origin);
}

static int row_forecast(const struct tc_sqlite *s, sqlite3_stmt *st, struct tc_record *out)
{
    (void)s;
    struct tc_forecast *f = &out->forecast;
    memset(out, 0, sizeof(*out));
    out->type = TC_REC_FORECAST;
    out->from = -1;
    text_at(st, 0, f->symbol, sizeof(f->symbol));
    text_at(st, 1, f->model, sizeof(f->model));
    f->origin_time = sqlite3_column_int64(st, 2);
    f->day = day_at(st, 3);
    f->issued = sqlite3_column_int64(st, 4);
    text_at(st, 5, f->inputs, sizeof(f->inputs));
    text_at(st, 6, f->kernel, sizeof(f->kernel));
    f->reference = num_at(st, 7);
    f->flags = (uint32_t)sqlite3_column_int64(st, 8);
    f->reference_mid = num_at(st, 10);
    const char *points = (const char *)sqlite3_column_text(st, 9);
    return tc_text_read_points(points ? points : "", (size_t)sqlite3_column_bytes(st, 9), f);
}

static int row_outcome(const struct tc_sqlite *s, sqlite3_stmt *st, struct tc_record *out)
{
    (void)s;
    struct tc_outcome *o = &out->outcome;
    *out = (struct tc_record){.type = TC_REC_OUTCOME, .from = -1};
    text_at(st, 0, o->symbol, sizeof(o->symbol));
    o->origin_time = sqlite3_column_int64(st, 1);
    o->day = day_at(st, 2);
    const char *values = (const char *)sqlite3_column_text(st, 3);
    return tc_text_read_outcome(values ? values : "", (size_t)sqlite3_column_bytes(st, 3), o);
}

static int row_gap(const struct tc_sqlite *s, sqlite3_stmt *st, struct tc_record *out)
{
    (void)s;
    struct tc_gap *g = &out->gap;
    *out = (struct tc_record){.type = TC_REC_GAP, .from = -1};
    text_at(st, 0, g->symbol, sizeof(g->symbol));
    text_at(st, 1, g->feed, sizeof(g->feed));
    g->start = sqlite3_column_int64(st, 2);
    g->end = sqlite3_column_int64(st, 3);
    text_at(st, 4, g->reason, sizeof(g->reason));
    g->filled = sqlite3_column_int(st, 5) != 0;
    return TC_OK;
}

static int row_quality(const struct tc_sqlite *s, sqlite3_stmt *st, struct tc_record *out)
{
    (void)s;
    struct tc_quality *q = &out->quality;
    *out = (struct tc_record){.type = TC_REC_QUALITY, .from = -1};
    text_at(st, 0, q->symbol, sizeof(q->symbol));
    q->day = day_at(st, 1);
    int64_t *const to[] = {&q->traded, &q->no_trade, &q->unknown,    &q->duplicates,
                           &q->late,   &q->revised,  &q->backfilled, &q->gaps};
    for (int i = 0; i < 8; i++)
        *to[i] = sqlite3_column_int64(st, 2 + i);
    return TC_OK;
}

static int64_t sum_int64_t(sqlite3_stmt *st, int at)
{
    return sqlite3_column_int64(st, at);
}

static double sum_double(sqlite3_stmt *st, int at)
{
    return num_at(st, at);
}

static int row_score(const struct tc_sqlite *s, sqlite3_stmt *st, struct tc_record *out)
{
    (void)s;
    struct tc_score *x = &out->score;
    *out = (struct tc_record){.type = TC_REC_SCORE, .from = -1};
    char kind[16];
    text_at(st, 0, x->symbol, sizeof(x->symbol));
    text_at(st, 1, x->model, sizeof(x->model));
    text_at(st, 2, kind, sizeof(kind));
    x->horizon_ms = sqlite3_column_int(st, 3);
    text_at(st, 4, x->inputs, sizeof(x->inputs));
    x->day = day_at(st, 5);
    x->slot = sqlite3_column_int(st, 6);
    int at = 7;
#define SUM_READ(field, ctype, sqltype) x->field = sum_##ctype(st, at++);
    TC_SCORE_SUMS(SUM_READ)
#undef SUM_READ
    return tc_kind_parse(kind, &x->kind);
}

#define SUM_NAME(field, ctype, sqltype) ", " #field

static const struct table bars_table = {"bars", TC_BAR_COLUMNS, "start", "", row_bar};
static const struct table quotes_table = {
    "quotes", "symbol, second, bid, ask, bid_size, ask_size, quote_lag_ms, origin, feed, available", "second",
    "", row_quote};
static const struct table forecasts_table = {
    "forecasts",
    "symbol, model, origin_time, day, issued, inputs, kernel, reference, flags, points, reference_mid",
    "origin_time", ", model", row_forecast};
static const struct table outcomes_table = {"outcomes", "symbol, origin_time, day, \"values\"", "origin_time",
                                            "", row_outcome};

/* --- scans
 * ------------------------------------------------------------------------------------------------*/

/* Steps a prepared statement to its end and gives every row; finalizes it. */
static int give_rows(const struct tc_sqlite *s, sqlite3_stmt *st, const struct table *t, tc_row_fn fn,
                     void *ctx, uint64_t *given)
{
    struct tc_record row;
    int rc = TC_OK, step;
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        rc = t->row(s, st, &row);
        if (rc != TC_OK) {
            tc_more(rc, "%s: table %s", s->path, t->name);
            break;
        }
        if (given)
            (*given)++;
        rc = fn(ctx, &row);
        if (rc != 0)
            break;
    }
    if (rc == TC_OK && step != SQLITE_DONE)
        rc = tc_sqlite_fail(s, t->name);
    sqlite3_finalize(st);
    return rc;
}

static int range_statement(const struct tc_sqlite *s, const struct table *t, const struct tc_range *q,
                           sqlite3_stmt **out)
{
    char sql[1024], inner[768];
    const char *interval = t == &bars_table ? "AND interval_ms = ?5 " : "";
    const char *model = q->model ? "AND model = ?6 " : "";
    const char *down = q->newest ? " DESC" : "";
    snprintf(inner, sizeof(inner),
             "SELECT %s FROM %s WHERE symbol = ?1 AND %s >= ?2 AND %s < ?3 %s%sORDER BY %s%s%s%s LIMIT ?4",
             t->columns, t->name, t->order, t->order, interval, model, t->order, down, t->also,
             t->also[0] ? down : "");
    snprintf(sql, sizeof(sql), q->newest ? "SELECT * FROM (%s) ORDER BY %s%s" : "%s", inner, t->order,
             t->also);
    int rc = prepare(s, sql, out);
    if (rc != TC_OK)
        return rc;
    sqlite3_bind_text(*out, 1, q->symbol, -1, SQLITE_STATIC);
    sqlite3_bind_int64(*out, 2, q->from);
    sqlite3_bind_int64(*out, 3, q->to);
    sqlite3_bind_int64(*out, 4, q->limit ? (int64_t)q->limit : -1);
    if (t == &bars_table)
        sqlite3_bind_int(*out, 5, q->interval_ms);
    if (q->model)
        sqlite3_bind_text(*out, 6, q->model, -1, SQLITE_STATIC);
    return TC_OK;
}

static int range_of_symbol(const struct tc_sqlite *s, const struct table *t, const struct tc_range *q,
                           tc_row_fn fn, void *ctx, uint64_t *given)
{
    sqlite3_stmt *st;
    int rc = range_statement(s, t, q, &st);
    return rc == TC_OK ? give_rows(s, st, t, fn, ctx, given) : rc;
}

/* The first symbol of the table after `symbol`; *found = false at the end. */
static int next_symbol(const struct tc_sqlite *s, const char *table, char symbol[static TC_SYMBOL_SIZE],
                       bool *found)
{
    char sql[96];
    sqlite3_stmt *st;
    snprintf(sql, sizeof(sql), "SELECT min(symbol) FROM %s WHERE symbol > ?1", table);
    int rc = prepare(s, sql, &st);
    if (rc != TC_OK)
        return rc;
    sqlite3_bind_text(st, 1, symbol, -1, SQLITE_TRANSIENT);
    int step = sqlite3_step(st);
    *found = step == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL;
    if (*found)
        text_at(st, 0, symbol, TC_SYMBOL_SIZE);
    rc = step == SQLITE_ROW ? TC_OK : tc_sqlite_fail(s, table);
    sqlite3_finalize(st);
    return rc;
}

typedef int (*scan_fn)(const struct tc_sqlite *s, const struct table *t, const struct tc_range *q,
                       tc_row_fn fn, void *ctx, uint64_t *given);

static int each_symbol(const struct tc_sqlite *s, const struct table *t, const struct tc_range *q,
                       scan_fn scan, tc_row_fn fn, void *ctx)
{
    uint64_t given = 0;
    if (q->symbol)
        return scan(s, t, q, fn, ctx, &given);
    char symbol[TC_SYMBOL_SIZE] = "";
    struct tc_range one = *q;
    bool found;
    for (;;) {
        int rc = next_symbol(s, t->name, symbol, &found);
        if (rc != TC_OK || !found)
            return rc;
        one.symbol = symbol;
        rc = scan(s, t, &one, fn, ctx, &given);
        if (rc != TC_OK)
            return rc;
    }
}

int tc_sqlite_quotes(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    struct tc_range plain = *q;
    plain.model = NULL;
    return each_symbol(self, &quotes_table, &plain, range_of_symbol, fn, ctx);
}

int tc_sqlite_forecasts(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    return each_symbol(self, &forecasts_table, q, range_of_symbol, fn, ctx);
}

int tc_sqlite_outcomes(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    struct tc_range plain = *q;
    plain.model = NULL;
    return each_symbol(self, &outcomes_table, &plain, range_of_symbol, fn, ctx);
}

/* --- minute and hour bars
 * ---------------------------------------------------------------------------------*/

struct fold_table {
    const struct tc_sqlite *s;
    const struct table *t;
};

static int second_rows(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    const struct fold_table *x = self;
    return range_of_symbol(x->s, x->t, q, fn, ctx, NULL);
}

static int second_starts(void *self, const struct tc_range *q, int (*seen)(void *ctx, int64_t start),
                         void *ctx)
{
    const struct fold_table *x = self;
    sqlite3_stmt *st;
    int rc = prepare(x->s,
                     "SELECT start FROM bars WHERE symbol = ?1 AND interval_ms = 1000 AND start >= ?2 AND "
                     "start < ?3 ORDER BY start DESC",
                     &st);
    if (rc != TC_OK)
        return rc;
    sqlite3_bind_text(st, 1, q->symbol, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, q->from);
    sqlite3_bind_int64(st, 3, q->to);
    int step;
    while ((step = sqlite3_step(st)) == SQLITE_ROW && !seen(ctx, sqlite3_column_int64(st, 0)))
        continue;
    rc = step == SQLITE_ROW || step == SQLITE_DONE ? TC_OK : tc_sqlite_fail(x->s, "find the newest bars");
    sqlite3_finalize(st);
    return rc;
}

/* A source that has no seconds (minute bars of a file) has its own rows. */
static int folded_bars(const struct tc_sqlite *s, const struct table *t, const struct tc_range *q,
                       tc_row_fn fn, void *ctx, uint64_t *given)
{
    uint64_t before = *given;
    struct fold_table table = {s, t};
    const struct tc_fold_source source = {&table, second_rows, second_starts};
    int rc = tc_fold_bars(&source, q, fn, ctx, given);
    return rc == TC_OK && *given == before ? range_of_symbol(s, t, q, fn, ctx, given) : rc;
}

int tc_sqlite_bars(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    const struct tc_sqlite *s = self;
    struct tc_range plain = *q;
    plain.model = NULL;
    if (q->interval_ms == 1000)
        return each_symbol(s, &bars_table, &plain, range_of_symbol, fn, ctx);
    if (q->interval_ms == 60000 || q->interval_ms == 3600000)
        return each_symbol(s, &bars_table, &plain, folded_bars, fn, ctx);
    return tc_fail(TC_EINPUT, "bars of %d ms: intervals are 1000 (1s), 60000 (1m) and 3600000 (1h)",
                   (int)q->interval_ms);
}

int tc_sqlite_latest(void *self, tc_row_fn fn, void *ctx)
{
    const struct tc_range newest = {
        .from = INT64_MIN, .to = INT64_MAX, .interval_ms = 1000, .limit = 1, .newest = true};
    return each_symbol(self, &bars_table, &newest, range_of_symbol, fn, ctx);
}

/* --- rows by day, gaps
 * ------------------------------------------------------------------------------------*/

static int by_day(const struct tc_sqlite *s, const struct table *t, const char *symbol, int32_t from_day,
                  int32_t to_day, tc_row_fn fn, void *ctx)
{
    char sql[768], from[12], to[12];
    sqlite3_stmt *st;
    snprintf(sql, sizeof(sql), "SELECT %s FROM %s WHERE %sday >= ?2 AND day <= ?3 ORDER BY %s", t->columns,
             t->name, symbol ? "symbol = ?1 AND " : "", t->order);
    int rc = prepare(s, sql, &st);
    if (rc != TC_OK)
        return rc;
    if (symbol)
        sqlite3_bind_text(st, 1, symbol, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, tc_date_text(from_day, from), -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 3, tc_date_text(to_day, to), -1, SQLITE_STATIC);
    return give_rows(s, st, t, fn, ctx, NULL);
}

int tc_sqlite_scores(void *self, const char *symbol, int32_t from_day, int32_t to_day, tc_row_fn fn,
                     void *ctx)
{
    static const struct table scores = {
        "score_sums", "symbol, model, kind, horizon_ms, inputs, day, slot" TC_SCORE_SUMS(SUM_NAME),
        "symbol, model, kind, horizon_ms, inputs, day, slot", "", row_score};
    return by_day(self, &scores, symbol, from_day, to_day, fn, ctx);
}

int tc_sqlite_quality(void *self, const char *symbol, int32_t from_day, int32_t to_day, tc_row_fn fn,
                      void *ctx)
{
    static const struct table quality = {
        "quality", "symbol, day, traded, no_trade, unknown, duplicates, late, revised, backfilled, gaps",
        "symbol, day", "", row_quality};
    return by_day(self, &quality, symbol, from_day, to_day, fn, ctx);
}

int tc_sqlite_gaps(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    static const struct table gaps = {"gaps", "symbol, feed, start, \"end\", reason, filled", "start", "",
                                      row_gap};
    const struct tc_sqlite *s = self;
    char sql[512], inner[400];
    sqlite3_stmt *st;
    snprintf(
        inner, sizeof(inner),
        "SELECT %s FROM gaps WHERE %s start < ?3 AND \"end\" > ?2 ORDER BY start%s, symbol, feed LIMIT ?4",
        gaps.columns, q->symbol ? "symbol IN (?1, '*') AND" : "", q->newest ? " DESC" : "");
    snprintf(sql, sizeof(sql), q->newest ? "SELECT * FROM (%s) ORDER BY start, symbol, feed" : "%s", inner);
    int rc = prepare(s, sql, &st);
    if (rc != TC_OK)
        return rc;
    if (q->symbol)
        sqlite3_bind_text(st, 1, q->symbol, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, q->from);
    sqlite3_bind_int64(st, 3, q->to);
    sqlite3_bind_int64(st, 4, q->limit ? (int64_t)q->limit : -1);
    return give_rows(s, st, &gaps, fn, ctx, NULL);
}

/* --- positions, snapshots, what the file holds
 * ------------------------------------------------------------*/

int tc_sqlite_position(void *self, const char *group, enum tc_topic topic, int64_t *out)
{
    const struct tc_sqlite *s = self;
    sqlite3_stmt *st;
    int rc = prepare(
        s, "SELECT position FROM positions WHERE group_name = ?1 AND topic = ?2 AND partition = 0", &st);
    if (rc != TC_OK)
        return rc;
    sqlite3_bind_text(st, 1, group, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, tc_topic_name(topic), -1, SQLITE_STATIC);
    int step = sqlite3_step(st);
    *out = step == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    rc = step == SQLITE_ROW || step == SQLITE_DONE ? TC_OK : tc_sqlite_fail(s, "read a position");
    sqlite3_finalize(st);
    return rc;
}

static int read_snapshot(const struct tc_sqlite *s, sqlite3_stmt *st, const char *role,
                         struct tc_snapshot *out)
{
    struct tc_record r = {.type = TC_REC_CHECKPOINT, .from = -1};
    struct tc_checkpoint *k = &r.checkpoint;
    char topic[16];
    snprintf(k->role, sizeof(k->role), "%s", role);
    text_at(st, 0, topic, sizeof(topic));
    k->topic = strcmp(topic, tc_topic_name(TC_TOPIC_FORECASTS)) ? TC_TOPIC_BARS : TC_TOPIC_FORECASTS;
    k->partition = sqlite3_column_int(st, 1);
    k->position = sqlite3_column_int64(st, 2);
    text_at(st, 3, k->kernel, sizeof(k->kernel));
    k->blob = sqlite3_column_blob(st, 4);
    int bytes = sqlite3_column_bytes(st, 4);
    if (bytes > TC_BLOB_MAX)
        return tc_fail(TC_ELIMIT, "%s: the snapshot of role %s has %d bytes, more than allowed", s->path,
                       role, bytes);
    k->blob_len = (uint32_t)bytes;
    out->position = sqlite3_column_int64(st, 5);
    tc_buf_init(&out->bytes, TC_BLOB_MAX + 4096);
    int rc = tc_record_encode(&r, &out->bytes);
    if (rc != TC_OK)
        tc_buf_release(&out->bytes);
    return rc;
}

int tc_sqlite_snapshot(void *self, const char *role, struct tc_snapshot *out)
{
    const struct tc_sqlite *s = self;
    sqlite3_stmt *st;
    int rc = prepare(s,
                     "SELECT topic, partition, position, kernel, blob, written_at FROM snapshots WHERE "
                     "role = ?1 ORDER BY written_at DESC LIMIT 1",
                     &st);
    if (rc != TC_OK)
        return rc;
    sqlite3_bind_text(st, 1, role, -1, SQLITE_STATIC);
    int step = sqlite3_step(st);
    if (step == SQLITE_ROW)
        rc = read_snapshot(s, st, role, out);
    else if (step == SQLITE_DONE)
        rc = tc_fail(TC_ENOTFOUND, "%s: no snapshot of role %s", s->path, role);
    else
        rc = tc_sqlite_fail(s, "read a snapshot");
    sqlite3_finalize(st);
    return rc;
}

static int ask_number(const struct tc_sqlite *s, const char *sql, const char *text, int64_t *out)
{
    sqlite3_stmt *st;
    int rc = prepare(s, sql, &st);
    if (rc != TC_OK)
        return rc;
    if (text)
        sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
    int step = sqlite3_step(st);
    bool found = step == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL;
    *out = found ? sqlite3_column_int64(st, 0) : -1;
    rc = step == SQLITE_ROW || step == SQLITE_DONE ? TC_OK : tc_sqlite_fail(s, sql);
    sqlite3_finalize(st);
    return rc;
}

static int forecast_span(const struct tc_sqlite *s, struct tc_store_info *out)
{
    char symbol[TC_SYMBOL_SIZE] = "";
    bool found;
    for (;;) {
        int64_t oldest, newest;
        int rc = next_symbol(s, "outcomes", symbol, &found);
        if (rc != TC_OK || !found)
            return rc;
        rc = ask_number(s, "SELECT min(origin_time) FROM outcomes WHERE symbol = ?1", symbol, &oldest);
        if (rc == TC_OK)
            rc = ask_number(s, "SELECT max(origin_time) FROM outcomes WHERE symbol = ?1", symbol, &newest);
        if (rc != TC_OK)
            return rc;
        if (out->oldest_forecast == 0 || oldest < out->oldest_forecast)
            out->oldest_forecast = oldest;
        if (newest > out->newest_forecast)
            out->newest_forecast = newest;
    }
}

int tc_sqlite_info(void *self, struct tc_store_info *out)
{
    const struct tc_sqlite *s = self;
    int64_t version, pages, page_size, ended, seconds;
    *out = (struct tc_store_info){0};
    int rc = tc_schema_world(s->db, s->path, &out->world);
    if (rc == TC_OK)
        rc = ask_number(s, "PRAGMA user_version", NULL, &version);
    if (rc == TC_OK)
        rc = ask_number(s, "PRAGMA page_count", NULL, &pages);
    if (rc == TC_OK)
        rc = ask_number(s, "PRAGMA page_size", NULL, &page_size);
    if (rc == TC_OK)
        rc = ask_number(
            s,
            "SELECT max(s) FROM (SELECT sum(traded + no_trade + unknown) AS s FROM quality GROUP BY "
            "symbol)",
            NULL, &seconds);
    for (int t = 0; t < TC_TOPIC_COUNT && rc == TC_OK; t++) {
        char name[32];
        snprintf(name, sizeof(name), "ended:%s", tc_topic_name((enum tc_topic)t));
        rc = tc_sqlite_position(self, "store", (enum tc_topic)t, &out->position[t]);
        if (rc == TC_OK)
            rc = ask_number(s, "SELECT value FROM meta WHERE name = ?1", name, &ended);
        out->ended[t] = rc == TC_OK && ended >= 0 && ended + 1 == out->position[t];
    }
    if (rc != TC_OK)
        return rc;
    out->schema = (int32_t)version;
    out->bytes = pages * page_size;
    out->seconds = seconds > 0 ? seconds : 0;
    return forecast_span(s, out);
}
