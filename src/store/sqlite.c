/* The writing half of the SQLite store.
 *
 * Durability: WAL with synchronous=NORMAL. A commit is one write to the WAL and no fsync, so a killed process
 * loses nothing (the page cache stays) and a lost machine may lose the newest transactions, whole ones, since
 * each frame carries a checksum chained to the one before. Rows and position go back together, so what the
 * store lost is read from the log again. That holds only while the log still has it: sync() makes the WAL
 * durable, and the store role tells the log a position only after that. synchronous=FULL would buy nothing
 * but an fsync for each batch.
 */
#include "store/sqlite_int.h"
#include "base/clock.h"
#include "base/err.h"
#include "store/schema.h"
#include "store/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR_VALUES "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20)"
#define BAR_KEY "symbol = ?1 AND interval_ms = ?2 AND start = ?3"
#define SUM_NAME(field, ctype, sqltype) ", " #field
#define SUM_MARK(field, ctype, sqltype) ", ?"

enum {
    SORT_FROM = 256,
    CHECKPOINT_PAGES = 8000,      /* WAL pages after which they are copied into the database, at least */
    CHECKPOINT_PAGES_MAX = 65536, /* and at most */
    CHECKPOINT_PUTS =
        4,         /* in between as many as so many puts make, so that a page they share is copied once */
    WAIT_MS = 300, /* for another program's lock; the caller tries again, and a stop must not wait long */
    CLOSE_PAGES = 1000, /* so many may be copied at close without making Ctrl-C wait for the disk */
};

static const char *const sql_text[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_POSITION_PUT] = "INSERT OR REPLACE INTO positions VALUES(?1, ?2, 0, ?3)",
    [SQL_BAR_INSERT] = "INSERT INTO bars(" TC_BAR_COLUMNS ") " BAR_VALUES " ON CONFLICT DO NOTHING",
    [SQL_BAR_AVAILABLE] = "SELECT available FROM bars WHERE " BAR_KEY,
    [SQL_BAR_KEEP] = "INSERT INTO bar_revisions(" TC_BAR_COLUMNS ") SELECT " TC_BAR_COLUMNS
                     " FROM bars WHERE " BAR_KEY " ON CONFLICT DO NOTHING",
    [SQL_BAR_REPLACE] = "INSERT OR REPLACE INTO bars(" TC_BAR_COLUMNS ") " BAR_VALUES,
    [SQL_BAR_OLDER] = "INSERT INTO bar_revisions(" TC_BAR_COLUMNS ") " BAR_VALUES " ON CONFLICT DO NOTHING",
    [SQL_QUOTE_INSERT] = "INSERT INTO quotes(symbol, second, bid, ask, bid_size, ask_size, quote_lag_ms, "
                         "origin, feed, available) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10) "
                         "ON CONFLICT DO NOTHING",
    [SQL_QUOTE_UPDATE] = "UPDATE quotes SET bid = ?3, ask = ?4, bid_size = ?5, ask_size = ?6, "
                         "quote_lag_ms = ?7, origin = ?8, feed = ?9, available = ?10 "
                         "WHERE symbol = ?1 AND second = ?2 AND available < ?10",
    [SQL_FEED_EXISTS] = "SELECT 1 FROM feeds WHERE feed = ?1",
    [SQL_FEED_PUT] = "INSERT OR REPLACE INTO feeds(feed, second, available, expected, traded, healthy, "
                     "delay_ms, origin) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
    [SQL_GAP_EXISTS] = "SELECT 1 FROM gaps WHERE symbol = ?1 AND start = ?2 AND feed = ?3",
    [SQL_GAP_PUT] = "INSERT OR REPLACE INTO gaps(symbol, start, feed, \"end\", reason, filled) "
                    "VALUES(?1,?2,?3,?4,?5,?6)",
    [SQL_QUALITY_EXISTS] = "SELECT 1 FROM quality WHERE symbol = ?1 AND day = ?2",
    [SQL_QUALITY_PUT] = "INSERT OR REPLACE INTO quality(symbol, day, traded, no_trade, unknown, duplicates, "
                        "late, revised, backfilled, gaps) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
    /* What was issued first stands: a forecast is never changed afterwards. */
    [SQL_FORECAST_INSERT] = "INSERT INTO forecasts(symbol, model, origin_time, day, issued, inputs, kernel, "
                            "reference, flags, points, reference_mid) "
                            "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11) ON CONFLICT DO NOTHING",
    [SQL_OUTCOME_INSERT] = "INSERT INTO outcomes(symbol, origin_time, day, \"values\") VALUES(?1,?2,?3,?4) "
                           "ON CONFLICT DO NOTHING",
    [SQL_SCORE_EXISTS] = "SELECT 1 FROM score_sums WHERE symbol = ?1 AND model = ?2 AND kind = ?3 AND "
                         "horizon_ms = ?4 AND inputs = ?5 AND day = ?6 AND slot = ?7",
    [SQL_SCORE_PUT] =
        "INSERT OR REPLACE INTO score_sums(symbol, model, kind, horizon_ms, inputs, day, "
        "slot" TC_SCORE_SUMS(SUM_NAME) ") VALUES(?1,?2,?3,?4,?5,?6,?7" TC_SCORE_SUMS(SUM_MARK) ")",
    [SQL_SNAPSHOT_EXISTS] = "SELECT 1 FROM snapshots WHERE role = ?1 AND topic = ?2 AND partition = ?3",
    [SQL_SNAPSHOT_PUT] = "INSERT OR REPLACE INTO snapshots(role, topic, partition, position, kernel, blob, "
                         "written_at) VALUES(?1,?2,?3,?4,?5,?6,?7)",
    [SQL_META_PUT] = "INSERT OR REPLACE INTO meta VALUES(?1, ?2)",
    [SQL_PRUNE_SYMBOL] = "SELECT min(symbol) FROM outcomes WHERE symbol > ?1",
    [SQL_PRUNE_FORECASTS] =
        "DELETE FROM forecasts WHERE (symbol, model, origin_time) IN (SELECT symbol, model, origin_time FROM "
        "forecasts WHERE symbol = ?1 AND origin_time < ?2 ORDER BY origin_time LIMIT ?3)",
    [SQL_PRUNE_OUTCOMES] =
        "DELETE FROM outcomes WHERE (symbol, origin_time) IN (SELECT symbol, origin_time "
        "FROM outcomes WHERE symbol = ?1 AND origin_time < ?2 ORDER BY origin_time LIMIT ?3)",
};

int tc_sqlite_fail(const struct tc_sqlite *s, const char *what)
{
    switch (sqlite3_errcode(s->db) & 0xff) {
    case SQLITE_FULL:
        return tc_fail(TC_EIO,
                       "%s: %s: No space left on the disk; free some and start again, nothing is damaged",
                       s->path, what);
    case SQLITE_BUSY:
        return tc_fail(TC_EBUSY, "%s: %s: another program holds the database; stop that one", s->path, what);
    case SQLITE_READONLY:
        return tc_fail(TC_EIO, "%s: %s: no right to write there; give the folder to this user", s->path,
                       what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return tc_fail(TC_EINPUT,
                       "%s: %s: the file is damaged (%s); move it away, `tickcast run` fills a new one",
                       s->path, what, sqlite3_errmsg(s->db));
    default:
        return tc_fail(TC_EIO, "%s: %s: %s", s->path, what, sqlite3_errmsg(s->db));
    }
}

/* --- binding ---------------------------------------------------------------------------------------------*/

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
    sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static void bind_num(sqlite3_stmt *st, int at, double v)
{
    if (isfinite(v))
        sqlite3_bind_double(st, at, v);
    else
        sqlite3_bind_null(st, at);
}

static void bind_day(sqlite3_stmt *st, int at, int32_t day)
{
    char text[12];
    tc_date_text(day, text);
    sqlite3_bind_text(st, at, text, -1, SQLITE_TRANSIENT);
}

/* Runs a statement that gives no rows; *changed = rows it wrote. */
static int run(struct tc_sqlite *s, enum tc_sql which, int *changed, const char *what)
{
    sqlite3_stmt *st = s->st[which];
    int step = sqlite3_step(st);
    int rc = step == SQLITE_DONE ? TC_OK : tc_sqlite_fail(s, what);
    if (changed)
        *changed = sqlite3_changes(s->db);
    sqlite3_reset(st);
    return rc;
}

/* Runs a statement that gives at most one number. */
static int ask(struct tc_sqlite *s, enum tc_sql which, bool *found, int64_t *value, const char *what)
{
    sqlite3_stmt *st = s->st[which];
    int step = sqlite3_step(st);
    *found = step == SQLITE_ROW;
    if (*found && value)
        *value = sqlite3_column_int64(st, 0);
    int rc = step == SQLITE_ROW || step == SQLITE_DONE ? TC_OK : tc_sqlite_fail(s, what);
    sqlite3_reset(st);
    return rc;
}

/* --- bars ------------------------------------------------------------------------------------------------*/

static void bind_quote(sqlite3_stmt *st, int at, const struct tc_quote *q, double lag_ms)
{
    bind_num(st, at, q->bid);
    bind_num(st, at + 1, q->ask);
    bind_num(st, at + 2, q->bid_size);
    bind_num(st, at + 3, q->ask_size);
    bind_num(st, at + 4, lag_ms);
}

static void bind_bar_key(sqlite3_stmt *st, const struct tc_bar *b)
{
    bind_text(st, 1, b->symbol);
    sqlite3_bind_int(st, 2, b->interval_ms);
    sqlite3_bind_int64(st, 3, b->start);
}

static void bind_bar(struct tc_sqlite *s, sqlite3_stmt *st, const struct tc_bar *b)
{
    bind_bar_key(st, b);
    bind_num(st, 4, b->open);
    bind_num(st, 5, b->high);
    bind_num(st, 6, b->low);
    bind_num(st, 7, b->close);
    bind_num(st, 8, b->vwap);
    bind_num(st, 9, b->volume);
    sqlite3_bind_int(st, 10, b->trades);
    bind_quote(st, 11, &b->quote, b->quote_lag_ms);
    tc_buf_clear(&s->text);
    tc_text_tape(&b->tape, &s->text);
    if (s->text.len)
        sqlite3_bind_text(st, 16, s->text.data, (int)s->text.len, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, 16);
    bind_text(st, 17, tc_origin_name(b->origin));
    bind_text(st, 18, b->feed);
    sqlite3_bind_int64(st, 19, b->available);
    sqlite3_bind_int(st, 20, b->revision);
}

/* The key is there already: the version that became available later is the bar, the other one is kept. */
static int put_bar_again(struct tc_sqlite *s, const struct tc_bar *b, struct tc_store_counts *c)
{
    bool found;
    int64_t available = 0;
    bind_bar_key(s->st[SQL_BAR_AVAILABLE], b);
    int rc = ask(s, SQL_BAR_AVAILABLE, &found, &available, "look up a bar");
    if (rc != TC_OK)
        return rc;
    if (found && available == b->available) {
        c->duplicate++;
        return TC_OK;
    }
    int changed = 0;
    if (available > b->available) {
        bind_bar(s, s->st[SQL_BAR_OLDER], b);
        rc = run(s, SQL_BAR_OLDER, &changed, "keep an earlier bar");
        *(changed ? &c->superseded : &c->duplicate) += rc == TC_OK;
        return rc;
    }
    bind_bar_key(s->st[SQL_BAR_KEEP], b);
    rc = run(s, SQL_BAR_KEEP, NULL, "keep the earlier bar");
    if (rc != TC_OK)
        return rc;
    bind_bar(s, s->st[SQL_BAR_REPLACE], b);
    rc = run(s, SQL_BAR_REPLACE, NULL, "replace a bar");
    c->superseded += rc == TC_OK;
    return rc;
}

static int put_bar(struct tc_sqlite *s, const struct tc_bar *b, struct tc_store_counts *c)
{
    int changed = 0;
    bind_bar(s, s->st[SQL_BAR_INSERT], b);
    int rc = run(s, SQL_BAR_INSERT, &changed, "write a bar");
    if (rc != TC_OK)
        return rc;
    if (!changed)
        return put_bar_again(s, b, c);
    c->inserted++;
    return TC_OK;
}

static void bind_second_quote(sqlite3_stmt *st, const struct tc_second_quote *q)
{
    bind_text(st, 1, q->symbol);
    sqlite3_bind_int64(st, 2, q->second);
    bind_quote(st, 3, &q->quote, q->quote_lag_ms);
    bind_text(st, 8, tc_origin_name(q->origin));
    bind_text(st, 9, q->feed);
    sqlite3_bind_int64(st, 10, q->available);
}

static int put_quote(struct tc_sqlite *s, const struct tc_second_quote *q, struct tc_store_counts *c)
{
    int changed = 0;
    bind_second_quote(s->st[SQL_QUOTE_INSERT], q);
    int rc = run(s, SQL_QUOTE_INSERT, &changed, "write a quote");
    if (rc != TC_OK || changed) {
        c->inserted += rc == TC_OK;
        return rc;
    }
    bind_second_quote(s->st[SQL_QUOTE_UPDATE], q);
    rc = run(s, SQL_QUOTE_UPDATE, &changed, "write a quote");
    *(changed ? &c->superseded : &c->duplicate) += rc == TC_OK;
    return rc;
}

/* --- rows of which the last record of a key stands
 * --------------------------------------------------------*/

static int put_latest(struct tc_sqlite *s, enum tc_sql exists, enum tc_sql put, struct tc_store_counts *c,
                      const char *what)
{
    bool found;
    int rc = ask(s, exists, &found, NULL, what);
    if (rc == TC_OK)
        rc = run(s, put, NULL, what);
    if (rc == TC_OK)
        *(found ? &c->superseded : &c->inserted) += 1;
    return rc;
}

static int put_second(struct tc_sqlite *s, const struct tc_second *m, struct tc_store_counts *c)
{
    bind_text(s->st[SQL_FEED_EXISTS], 1, m->feed);
    sqlite3_stmt *st = s->st[SQL_FEED_PUT];
    bind_text(st, 1, m->feed);
    sqlite3_bind_int64(st, 2, m->second);
    sqlite3_bind_int64(st, 3, m->available);
    sqlite3_bind_int(st, 4, m->expected);
    sqlite3_bind_int(st, 5, m->traded);
    sqlite3_bind_int(st, 6, m->healthy);
    bind_num(st, 7, m->delay_ms);
    bind_text(st, 8, tc_origin_name(m->origin));
    return put_latest(s, SQL_FEED_EXISTS, SQL_FEED_PUT, c, "write a second marker");
}

static int put_gap(struct tc_sqlite *s, const struct tc_gap *g, struct tc_store_counts *c)
{
    const enum tc_sql both[] = {SQL_GAP_EXISTS, SQL_GAP_PUT};
    for (int i = 0; i < 2; i++) {
        bind_text(s->st[both[i]], 1, g->symbol);
        sqlite3_bind_int64(s->st[both[i]], 2, g->start);
        bind_text(s->st[both[i]], 3, g->feed);
    }
    sqlite3_stmt *st = s->st[SQL_GAP_PUT];
    sqlite3_bind_int64(st, 4, g->end);
    bind_text(st, 5, g->reason);
    sqlite3_bind_int(st, 6, g->filled);
    return put_latest(s, SQL_GAP_EXISTS, SQL_GAP_PUT, c, "write a gap");
}

static int put_quality(struct tc_sqlite *s, const struct tc_quality *q, struct tc_store_counts *c)
{
    const enum tc_sql both[] = {SQL_QUALITY_EXISTS, SQL_QUALITY_PUT};
    for (int i = 0; i < 2; i++) {
        bind_text(s->st[both[i]], 1, q->symbol);
        bind_day(s->st[both[i]], 2, q->day);
    }
    const int64_t values[] = {q->traded, q->no_trade, q->unknown,    q->duplicates,
                              q->late,   q->revised,  q->backfilled, q->gaps};
    for (int i = 0; i < 8; i++)
        sqlite3_bind_int64(s->st[SQL_QUALITY_PUT], 3 + i, values[i]);
    return put_latest(s, SQL_QUALITY_EXISTS, SQL_QUALITY_PUT, c, "write quality counts");
}

static void bind_score_key(sqlite3_stmt *st, const struct tc_score *x)
{
    bind_text(st, 1, x->symbol);
    bind_text(st, 2, x->model);
    bind_text(st, 3, tc_kind_name(x->kind));
    sqlite3_bind_int(st, 4, x->horizon_ms);
    bind_text(st, 5, x->inputs);
    bind_day(st, 6, x->day);
    sqlite3_bind_int(st, 7, x->slot);
}

static void bind_sum_int64_t(sqlite3_stmt *st, int at, int64_t v)
{
    sqlite3_bind_int64(st, at, v);
}

static void bind_sum_double(sqlite3_stmt *st, int at, double v)
{
    bind_num(st, at, v);
}

static int put_score(struct tc_sqlite *s, const struct tc_score *x, struct tc_store_counts *c)
{
    sqlite3_stmt *st = s->st[SQL_SCORE_PUT];
    bind_score_key(s->st[SQL_SCORE_EXISTS], x);
    bind_score_key(st, x);
    int at = 8;
#define SUM_BIND(field, ctype, sqltype) bind_sum_##ctype(st, at++, x->field);
    TC_SCORE_SUMS(SUM_BIND)
#undef SUM_BIND
    return put_latest(s, SQL_SCORE_EXISTS, SQL_SCORE_PUT, c, "write a score");
}

static int put_checkpoint(struct tc_sqlite *s, const struct tc_checkpoint *k, int64_t offset,
                          struct tc_store_counts *c)
{
    const enum tc_sql both[] = {SQL_SNAPSHOT_EXISTS, SQL_SNAPSHOT_PUT};
    for (int i = 0; i < 2; i++) {
        bind_text(s->st[both[i]], 1, k->role);
        bind_text(s->st[both[i]], 2, tc_topic_name(k->topic));
        sqlite3_bind_int(s->st[both[i]], 3, k->partition);
    }
    sqlite3_stmt *st = s->st[SQL_SNAPSHOT_PUT];
    sqlite3_bind_int64(st, 4, k->position);
    bind_text(st, 5, k->kernel);
    sqlite3_bind_blob(st, 6, k->blob ? (const void *)k->blob : "", (int)k->blob_len, SQLITE_STATIC);
    sqlite3_bind_int64(st, 7, offset);
    return put_latest(s, SQL_SNAPSHOT_EXISTS, SQL_SNAPSHOT_PUT, c, "write a snapshot");
}

/* --- rows that never change
 * -------------------------------------------------------------------------------*/

static int put_once(struct tc_sqlite *s, enum tc_sql which, struct tc_store_counts *c, const char *what)
{
    int changed = 0;
    int rc = run(s, which, &changed, what);
    *(changed ? &c->inserted : &c->duplicate) += rc == TC_OK;
    return rc;
}

static int put_forecast(struct tc_sqlite *s, const struct tc_forecast *f, struct tc_store_counts *c)
{
    sqlite3_stmt *st = s->st[SQL_FORECAST_INSERT];
    tc_buf_clear(&s->text);
    tc_points_to_json(f, &s->text);
    bind_text(st, 1, f->symbol);
    bind_text(st, 2, f->model);
    sqlite3_bind_int64(st, 3, f->origin_time);
    bind_day(st, 4, f->day);
    sqlite3_bind_int64(st, 5, f->issued);
    bind_text(st, 6, f->inputs);
    bind_text(st, 7, f->kernel);
    bind_num(st, 8, f->reference);
    sqlite3_bind_int64(st, 9, f->flags);
    sqlite3_bind_text(st, 10, s->text.data, (int)s->text.len, SQLITE_STATIC);
    bind_num(st, 11, f->reference_mid);
    return put_once(s, SQL_FORECAST_INSERT, c, "write a forecast");
}

static int put_outcome(struct tc_sqlite *s, const struct tc_outcome *o, struct tc_store_counts *c)
{
    sqlite3_stmt *st = s->st[SQL_OUTCOME_INSERT];
    tc_buf_clear(&s->text);
    tc_text_outcome(o, &s->text);
    bind_text(st, 1, o->symbol);
    sqlite3_bind_int64(st, 2, o->origin_time);
    bind_day(st, 3, o->day);
    sqlite3_bind_text(st, 4, s->text.data, (int)s->text.len, SQLITE_STATIC);
    return put_once(s, SQL_OUTCOME_INSERT, c, "write an outcome");
}

static int put_end(struct tc_sqlite *s, enum tc_topic topic, int64_t offset, struct tc_store_counts *c)
{
    char name[32];
    snprintf(name, sizeof(name), "ended:%s", tc_topic_name(topic));
    bind_text(s->st[SQL_META_PUT], 1, name);
    sqlite3_bind_int64(s->st[SQL_META_PUT], 2, offset);
    int rc = run(s, SQL_META_PUT, NULL, "write the end");
    c->inserted += rc == TC_OK;
    return rc;
}

/* --- put
 * --------------------------------------------------------------------------------------------------*/

static bool newer_checkpoint_follows(const struct tc_record *records, size_t i, size_t n)
{
    const struct tc_checkpoint *k = &records[i].checkpoint;
    for (size_t j = i + 1; j < n; j++) {
        const struct tc_checkpoint *o = &records[j].checkpoint;
        if (records[j].type == TC_REC_CHECKPOINT && o->topic == k->topic && o->partition == k->partition &&
            !strcmp(o->role, k->role))
            return true;
    }
    return false;
}

static int put_record(struct tc_sqlite *s, enum tc_topic topic, const struct tc_record *records,
                      const int64_t *offsets, size_t i, size_t n, struct tc_store_counts *c)
{
    const struct tc_record *r = &records[i];
    switch (r->type) {
    case TC_REC_BAR:
        return put_bar(s, &r->bar, c);
    case TC_REC_QUOTE:
        return put_quote(s, &r->quote, c);
    case TC_REC_SECOND:
        return put_second(s, &r->second, c);
    case TC_REC_GAP:
        return put_gap(s, &r->gap, c);
    case TC_REC_QUALITY:
        return put_quality(s, &r->quality, c);
    case TC_REC_FORECAST:
        return put_forecast(s, &r->forecast, c);
    case TC_REC_OUTCOME:
        return put_outcome(s, &r->outcome, c);
    case TC_REC_SCORE:
        return put_score(s, &r->score, c);
    case TC_REC_CHECKPOINT:
        if (newer_checkpoint_follows(records, i, n)) {
            c->superseded++;
            return TC_OK;
        }
        return put_checkpoint(s, &r->checkpoint, offsets[i], c);
    case TC_REC_END:
        return put_end(s, topic, offsets[i], c);
    case TC_REC_POST:
    case TC_REC_REMOVED:
        return tc_sqlite_put_post(s, r, c);
    }
    return tc_fail(TC_EINTERNAL, "%s: a record of unknown type %d", s->path, (int)r->type);
}

/* --- order ---*/

struct keyed {
    const struct tc_record *r;
    const char *key; /* symbol; the feed of a second marker */
    const char *model;
    int64_t time;
    size_t at;
};

static struct keyed key_of(const struct tc_record *r, size_t i)
{
    struct keyed k = {r, tc_record_key(r), "", 0, i};
    if (r->type == TC_REC_BAR)
        k.time = r->bar.start;
    else if (r->type == TC_REC_QUOTE)
        k.time = r->quote.second;
    else if (r->type == TC_REC_SECOND)
        k.key = r->second.feed;
    else if (r->type == TC_REC_FORECAST)
        k.model = r->forecast.model, k.time = r->forecast.origin_time;
    else if (r->type == TC_REC_OUTCOME)
        k.time = r->outcome.origin_time;
    else if (r->type == TC_REC_SCORE)
        k.model = r->score.model;
    else if (r->type == TC_REC_QUALITY)
        k.time = r->quality.day;
    return k;
}

static int compare_int(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_scores(const struct tc_score *a, const struct tc_score *b)
{
    int c = compare_int(a->kind, b->kind);
    c = c ? c : compare_int(a->horizon_ms, b->horizon_ms);
    c = c ? c : strcmp(a->inputs, b->inputs);
    c = c ? c : compare_int(a->day, b->day);
    return c ? c : compare_int(a->slot, b->slot);
}

static int compare_keys(const struct keyed *a, const struct keyed *b)
{
    int c = compare_int(a->r->type, b->r->type);
    c = c ? c : strcmp(a->key, b->key);
    c = c ? c : strcmp(a->model, b->model);
    c = c ? c : compare_int(a->time, b->time);
    return c == 0 && a->r->type == TC_REC_SCORE ? compare_scores(&a->r->score, &b->r->score) : c;
}

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int c = compare_keys(x, y);
    return c ? c : compare_int((int64_t)x->at, (int64_t)y->at); /* records of one key keep their order */
}

/* The record after it in the order replaces its row. */
static bool replaced_by_next(const struct keyed *k, size_t i, size_t n)
{
    enum tc_record_type t = k[i].r->type;
    return (t == TC_REC_SCORE || t == TC_REC_SECOND || t == TC_REC_QUALITY) && i + 1 < n &&
           compare_keys(&k[i], &k[i + 1]) == 0;
}

/* A large batch goes in the order of the tables' keys, so that each page is loaded and written once however
 * small the cache is, and what a later record of the batch replaces is not written at all. What a row ends as
 * depends only on the order within one key. */
static int put_sorted(struct tc_sqlite *s, enum tc_topic topic, const struct tc_record *records,
                      const int64_t *offsets, size_t n, struct tc_store_counts *c)
{
    struct keyed *keys = malloc(n * sizeof(*keys));
    if (!keys)
        return tc_fail(TC_ENOMEM, "%s: no memory for a batch of %zu records", s->path, n);
    for (size_t i = 0; i < n; i++)
        keys[i] = key_of(&records[i], i);
    qsort(keys, n, sizeof(*keys), by_key);
    int rc = TC_OK;
    for (size_t i = 0; i < n && rc == TC_OK; i++) {
        if (replaced_by_next(keys, i, n))
            c->superseded++;
        else
            rc = put_record(s, topic, records, offsets, keys[i].at, n, c);
    }
    free(keys);
    return rc;
}

static int put_records(struct tc_sqlite *s, enum tc_topic topic, const struct tc_record *records,
                       const int64_t *offsets, size_t n, struct tc_store_counts *c)
{
    if (n > SORT_FROM)
        return put_sorted(s, topic, records, offsets, n, c);
    int rc = TC_OK;
    for (size_t i = 0; i < n && rc == TC_OK; i++)
        rc = put_record(s, topic, records, offsets, i, n, c);
    return rc;
}

static int put_position(struct tc_sqlite *s, const char *group, enum tc_topic topic, int64_t position)
{
    sqlite3_stmt *st = s->st[SQL_POSITION_PUT];
    bind_text(st, 1, group);
    bind_text(st, 2, tc_topic_name(topic));
    sqlite3_bind_int64(st, 3, position);
    return run(s, SQL_POSITION_PUT, NULL, "write the position");
}

static int sqlite_put(void *self, const char *group, enum tc_topic topic, int64_t position,
                      const struct tc_record *records, const int64_t *offsets, size_t n,
                      struct tc_store_counts *counts)
{
    struct tc_sqlite *s = self;
    struct tc_store_counts mine = {0};
    int rc = run(s, SQL_BEGIN, NULL, "begin");
    if (rc != TC_OK)
        return rc;
    rc = put_records(s, topic, records, offsets, n, &mine);
    if (rc == TC_OK)
        rc = put_position(s, group, topic, position);
    if (rc == TC_OK)
        rc = run(s, SQL_COMMIT, NULL, "commit");
    if (rc != TC_OK) {
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL); /* fails when SQLite rolled back itself: fine */
        return rc;
    }
    counts->inserted += mine.inserted;
    counts->superseded += mine.superseded;
    counts->duplicate += mine.duplicate;
    return TC_OK;
}

/* SQLite syncs the WAL before it copies from it and the database before it starts the WAL anew, so what is
 * not in this file is durable in the other. Closing the descriptor drops no lock: SQLite locks the database
 * and the -shm file, never the WAL. */
static int sqlite_sync(void *self)
{
    struct tc_sqlite *s = self;
    if (s->wal_fd < 0) {
        char wal[sizeof(s->path) + 8];
        snprintf(wal, sizeof(wal), "%s-wal", s->path);
        s->wal_fd = open(wal, O_RDWR | O_CLOEXEC);
        if (s->wal_fd < 0)
            return errno == ENOENT ? TC_OK : tc_fail(TC_EIO, "%s: %s", wal, strerror(errno));
    }
    return fdatasync(s->wal_fd) == 0 ? TC_OK : tc_fail(TC_EIO, "%s-wal: sync: %s", s->path, strerror(errno));
}

static int sqlite_settle(void *self)
{
    struct tc_sqlite *s = self;
    int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        return tc_sqlite_fail(s, "copy the log into the database");
    s->wal_pages = 0;
    return TC_OK;
}

/* After each commit. Readers may hold the copying back; then it is tried again after the next one. */
static int after_commit(void *self, sqlite3 *db, const char *name, int pages)
{
    struct tc_sqlite *s = self;
    int64_t enough = (int64_t)CHECKPOINT_PUTS * (pages > s->wal_pages ? pages - s->wal_pages : pages);
    s->wal_pages = pages;
    if (pages >= CHECKPOINT_PAGES_MAX || (pages >= CHECKPOINT_PAGES && pages >= enough))
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return SQLITE_OK;
}

/* --- retention
 * --------------------------------------------------------------------------------------------*/

static int prune_symbol(struct tc_sqlite *s, const char *symbol, int64_t before, int64_t *left,
                        uint64_t *deleted)
{
    const enum tc_sql both[] = {SQL_PRUNE_FORECASTS, SQL_PRUNE_OUTCOMES};
    for (int i = 0; i < 2 && *left > 0; i++) {
        int changed = 0;
        bind_text(s->st[both[i]], 1, symbol);
        sqlite3_bind_int64(s->st[both[i]], 2, before);
        sqlite3_bind_int64(s->st[both[i]], 3, *left);
        int rc = run(s, both[i], &changed, "delete old forecasts");
        if (rc != TC_OK)
            return rc;
        *left -= changed;
        *deleted += (uint64_t)changed;
    }
    return TC_OK;
}

/* Forecasts have an outcome each, so the symbols of outcomes are those of the forecasts. */
static int next_symbol(struct tc_sqlite *s, char symbol[static TC_SYMBOL_SIZE], bool *found)
{
    sqlite3_stmt *st = s->st[SQL_PRUNE_SYMBOL];
    bind_text(st, 1, symbol);
    int step = sqlite3_step(st);
    const char *next = step == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    *found = next != NULL;
    if (next)
        snprintf(symbol, TC_SYMBOL_SIZE, "%s", next);
    int rc = step == SQLITE_ROW ? TC_OK : tc_sqlite_fail(s, "list symbols");
    sqlite3_reset(st);
    return rc;
}

static int sqlite_prune(void *self, int64_t before, uint32_t limit, uint64_t *deleted)
{
    struct tc_sqlite *s = self;
    char symbol[TC_SYMBOL_SIZE] = "";
    int64_t left = limit;
    uint64_t mine = 0;
    bool found = true;
    int rc = run(s, SQL_BEGIN, NULL, "begin");
    if (rc != TC_OK)
        return rc;
    while (rc == TC_OK && left > 0) {
        rc = next_symbol(s, symbol, &found);
        if (rc != TC_OK || !found)
            break;
        rc = prune_symbol(s, symbol, before, &left, &mine);
    }
    if (rc == TC_OK)
        rc = run(s, SQL_COMMIT, NULL, "commit");
    if (rc != TC_OK) {
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        return rc;
    }
    *deleted += mine;
    return left > 0 ? TC_DONE : TC_AGAIN;
}

/* --- open and close
 * ---------------------------------------------------------------------------------------*/

static void sqlite_close(void *self)
{
    struct tc_sqlite *s = self;
    if (!s)
        return;
    for (int i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(s->st[i]);
    tc_sqlite_release_posts(s);
    if (s->wal_pages > CLOSE_PAGES)
        sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(s->db);
    if (s->wal_fd >= 0)
        close(s->wal_fd);
    tc_buf_release(&s->text);
    free(s);
}

static const struct tc_store_ops sqlite_ops = {
    .name = "sqlite",
    .put = sqlite_put,
    .sync = sqlite_sync,
    .settle = sqlite_settle,
    .prune = sqlite_prune,
    .position = tc_sqlite_position,
    .snapshot = tc_sqlite_snapshot,
    .info = tc_sqlite_info,
    .latest = tc_sqlite_latest,
    .bars = tc_sqlite_bars,
    .quotes = tc_sqlite_quotes,
    .forecasts = tc_sqlite_forecasts,
    .outcomes = tc_sqlite_outcomes,
    .scores = tc_sqlite_scores,
    .gaps = tc_sqlite_gaps,
    .quality = tc_sqlite_quality,
    .ledger = tc_sqlite_ledger,
    .posts = &tc_sqlite_post_writer,
    .close = sqlite_close,
};

static int open_file(const char *path, int flags, struct tc_sqlite **out)
{
    struct tc_sqlite *s = calloc(1, sizeof(*s));
    if (!s)
        return tc_fail(TC_ENOMEM, "%s: no memory for the store", path);
    s->wal_fd = -1;
    tc_buf_init(&s->text, 1 << 16);
    if ((size_t)snprintf(s->path, sizeof(s->path), "%s", path) >= sizeof(s->path)) {
        sqlite_close(s);
        return tc_fail(TC_ECONF, "%.60s...: the path is longer than %zu bytes", path, sizeof(s->path) - 1);
    }
    if (sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        int rc = tc_fail(TC_EIO, "%s: cannot open: %s", path, s->db ? sqlite3_errmsg(s->db) : "no memory");
        sqlite_close(s);
        return rc;
    }
    sqlite3_busy_timeout(s->db, 2000);
    *out = s;
    return TC_OK;
}

static int expect_wal(struct tc_sqlite *s)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(s->db, "PRAGMA journal_mode = WAL", -1, &st, NULL) != SQLITE_OK)
        return tc_sqlite_fail(s, "set the journal");
    int step = sqlite3_step(st);
    const char *mode = step == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    int rc = TC_OK;
    if (!mode)
        rc = tc_sqlite_fail(s, "set the journal");
    else if (strcmp(mode, "wal") != 0)
        rc = tc_fail(TC_EIO,
                     "%s: this file system cannot hold SQLite's log (a network folder?); name a local "
                     "folder with --data",
                     s->path);
    sqlite3_finalize(st);
    return rc;
}

/* Pages of 8 KiB (set before the first table): a forecast's row takes 1 to 1.5 KB, and a row of more than a
 * quarter of a page would spill into a page of its own. Small caches: the kernel's page cache holds the rest,
 * and the program stays below its memory goal. */
static int prepare_writer(struct tc_sqlite *s, enum tc_world world)
{
    if (sqlite3_exec(s->db, "PRAGMA page_size = 8192", NULL, NULL, NULL) != SQLITE_OK)
        return tc_sqlite_fail(s, "set up");
    int rc = expect_wal(s);
    if (rc != TC_OK)
        return rc;
    if (sqlite3_exec(s->db,
                     "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -4096; PRAGMA mmap_size = 0; "
                     "PRAGMA journal_size_limit = 67108864",
                     NULL, NULL, NULL) != SQLITE_OK)
        return tc_sqlite_fail(s, "set up");
    sqlite3_wal_hook(s->db, after_commit, s);
    rc = tc_schema_prepare(s->db, s->path, world);
    for (int i = 0; i < SQL_COUNT && rc == TC_OK; i++)
        if (sqlite3_prepare_v3(s->db, sql_text[i], -1, SQLITE_PREPARE_PERSISTENT, &s->st[i], NULL) !=
            SQLITE_OK)
            rc = tc_sqlite_fail(s, sql_text[i]);
    return rc;
}

int tc_sqlite_open(const char *path, enum tc_world world, struct tc_store *out)
{
    struct tc_sqlite *s;
    int rc = open_file(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &s);
    if (rc != TC_OK)
        return rc;
    rc = prepare_writer(s, world);
    if (rc != TC_OK) {
        sqlite_close(s);
        return rc;
    }
    sqlite3_busy_timeout(s->db, WAIT_MS);
    *out = (struct tc_store){&sqlite_ops, s};
    return TC_OK;
}

static int reader_may_not_write(struct tc_sqlite *s)
{
    return tc_fail(TC_EINTERNAL, "%s: was opened for reading", s->path);
}

static int reader_put(void *self, const char *group, enum tc_topic topic, int64_t position,
                      const struct tc_record *records, const int64_t *offsets, size_t n,
                      struct tc_store_counts *counts)
{
    (void)group, (void)topic, (void)position, (void)records, (void)offsets, (void)n, (void)counts;
    return reader_may_not_write(self);
}

static int reader_sync(void *self)
{
    return reader_may_not_write(self);
}

static int reader_prune(void *self, int64_t before, uint32_t limit, uint64_t *deleted)
{
    (void)before, (void)limit, (void)deleted;
    return reader_may_not_write(self);
}

static const struct tc_store_ops reader_ops = {
    .name = "sqlite",
    .put = reader_put,
    .sync = reader_sync,
    .settle = reader_sync,
    .prune = reader_prune,
    .position = tc_sqlite_position,
    .snapshot = tc_sqlite_snapshot,
    .info = tc_sqlite_info,
    .latest = tc_sqlite_latest,
    .bars = tc_sqlite_bars,
    .quotes = tc_sqlite_quotes,
    .forecasts = tc_sqlite_forecasts,
    .outcomes = tc_sqlite_outcomes,
    .scores = tc_sqlite_scores,
    .gaps = tc_sqlite_gaps,
    .quality = tc_sqlite_quality,
    .ledger = tc_sqlite_ledger,
    .posts = &tc_sqlite_post_reader,
    .close = sqlite_close,
};

int tc_sqlite_open_reader(const char *path, struct tc_store *out)
{
    struct tc_sqlite *s;
    if (access(path, F_OK) != 0)
        return tc_fail(TC_ENOTFOUND, "%s: no such file; is --data right, and did `tickcast run` write there?",
                       path);
    int rc = open_file(path, SQLITE_OPEN_READONLY, &s);
    if (rc != TC_OK)
        return rc;
    if (sqlite3_exec(s->db, "PRAGMA cache_size = -1024; PRAGMA mmap_size = 0", NULL, NULL, NULL) != SQLITE_OK)
        rc = tc_sqlite_fail(s, "set up");
    if (rc == TC_OK)
        rc = tc_schema_check(s->db, s->path);
    if (rc != TC_OK) {
        sqlite_close(s);
        return rc;
    }
    *out = (struct tc_store){&reader_ops, s};
    return TC_OK;
}
