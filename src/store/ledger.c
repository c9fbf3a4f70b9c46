#include "store/ledger.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "store/sqlite_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 5000 };

struct tc_ledger {
    struct tc_sqlite s; /* statements of the writer are not used */
};

/* What differs between the tables. */
struct kind {
    const char *table, *columns, *put, *key, *order;
    void (*bind)(sqlite3_stmt *st, const struct tc_ledger_row *row);
    void (*read)(sqlite3_stmt *st, struct tc_ledger_row *row);
};

static void text_at(sqlite3_stmt *st, int at, char *out, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(st, at);
    snprintf(out, size, "%s", text ? text : "");
}

static double num_at(sqlite3_stmt *st, int at)
{
    return sqlite3_column_type(st, at) == SQLITE_NULL ? NAN : sqlite3_column_double(st, at);
}

static int32_t day_at(sqlite3_stmt *st, int at)
{
    const char *t = (const char *)sqlite3_column_text(st, at);
    int64_t y, m, d;
    if (!t || strlen(t) != 10 || !tc_parse_int(t, 4, &y) || !tc_parse_int(t + 5, 2, &m) ||
        !tc_parse_int(t + 8, 2, &d))
        return 0;
    return (int32_t)(y * 10000 + m * 100 + d);
}

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
    sqlite3_bind_text(st, at, text, -1, SQLITE_TRANSIENT);
}

static void bind_day(sqlite3_stmt *st, int at, int32_t day)
{
    char text[12];
    bind_text(st, at, tc_date_text(day, text));
}

static void bind_num(sqlite3_stmt *st, int at, double v)
{
    if (isnan(v))
        sqlite3_bind_null(st, at);
    else
        sqlite3_bind_double(st, at, v);
}

static void bind_job(sqlite3_stmt *st, const struct tc_ledger_row *row)
{
    const struct tc_ledger_job *j = &row->job;
    bind_text(st, 1, j->name);
    bind_day(st, 2, j->day);
    sqlite3_bind_int64(st, 3, j->started);
    sqlite3_bind_int64(st, 4, j->finished);
    bind_text(st, 5, j->result);
    bind_text(st, 6, j->message);
}

static void read_job(sqlite3_stmt *st, struct tc_ledger_row *row)
{
    struct tc_ledger_job *j = &row->job;
    text_at(st, 0, j->name, sizeof(j->name));
    j->day = day_at(st, 1);
    j->started = sqlite3_column_int64(st, 2);
    j->finished = sqlite3_column_int64(st, 3);
    text_at(st, 4, j->result, sizeof(j->result));
    text_at(st, 5, j->message, sizeof(j->message));
}

static void bind_alert(sqlite3_stmt *st, const struct tc_ledger_row *row)
{
    const struct tc_ledger_alert *a = &row->alert;
    bind_text(st, 1, a->rule);
    bind_text(st, 2, a->subject);
    bind_day(st, 3, tc_date_utc(a->since));
    sqlite3_bind_int64(st, 4, a->since);
    sqlite3_bind_int64(st, 5, a->until);
    bind_num(st, 6, a->value);
    bind_num(st, 7, a->bound);
    bind_text(st, 8, a->message);
}

static void read_alert(sqlite3_stmt *st, struct tc_ledger_row *row)
{
    struct tc_ledger_alert *a = &row->alert;
    text_at(st, 0, a->rule, sizeof(a->rule));
    text_at(st, 1, a->subject, sizeof(a->subject));
    a->since = sqlite3_column_int64(st, 3);
    a->until = sqlite3_column_int64(st, 4);
    a->value = num_at(st, 5);
    a->bound = num_at(st, 6);
    text_at(st, 7, a->message, sizeof(a->message));
}

static void bind_reconciled(sqlite3_stmt *st, const struct tc_ledger_row *row)
{
    const struct tc_ledger_reconciled *r = &row->reconciled;
    const int64_t counts[] = {r->compared, r->mismatches, r->missing_own, r->missing_vendor};
    bind_text(st, 1, r->symbol);
    bind_day(st, 2, r->day);
    sqlite3_bind_int(st, 3, r->interval_ms);
    bind_text(st, 4, r->source);
    for (int i = 0; i < 4; i++)
        sqlite3_bind_int64(st, 5 + i, counts[i]);
    bind_num(st, 9, r->own_volume);
    bind_num(st, 10, r->vendor_volume);
    sqlite3_bind_int64(st, 11, r->worst);
    sqlite3_bind_int64(st, 12, r->written);
}

static void read_reconciled(sqlite3_stmt *st, struct tc_ledger_row *row)
{
    struct tc_ledger_reconciled *r = &row->reconciled;
    int64_t *const counts[] = {&r->compared, &r->mismatches, &r->missing_own, &r->missing_vendor};
    text_at(st, 0, r->symbol, sizeof(r->symbol));
    r->day = day_at(st, 1);
    r->interval_ms = sqlite3_column_int(st, 2);
    text_at(st, 3, r->source, sizeof(r->source));
    for (int i = 0; i < 4; i++)
        *counts[i] = sqlite3_column_int64(st, 4 + i);
    r->own_volume = num_at(st, 8);
    r->vendor_volume = num_at(st, 9);
    r->worst = sqlite3_column_int64(st, 10);
    r->written = sqlite3_column_int64(st, 11);
}

static void bind_flag(sqlite3_stmt *st, const struct tc_ledger_row *row)
{
    const struct tc_ledger_flag *f = &row->flag;
    bind_text(st, 1, f->symbol);
    bind_day(st, 2, f->day);
    bind_text(st, 3, f->kind);
    bind_num(st, 4, f->value);
    bind_text(st, 5, f->message);
    sqlite3_bind_int64(st, 6, f->written);
}

static void read_flag(sqlite3_stmt *st, struct tc_ledger_row *row)
{
    struct tc_ledger_flag *f = &row->flag;
    text_at(st, 0, f->symbol, sizeof(f->symbol));
    f->day = day_at(st, 1);
    text_at(st, 2, f->kind, sizeof(f->kind));
    f->value = num_at(st, 3);
    text_at(st, 4, f->message, sizeof(f->message));
    f->written = sqlite3_column_int64(st, 5);
}

static const struct kind kinds[] = {
    [TC_LEDGER_JOB] = {"jobs", "name, day, started, finished, result, message",
                       "INSERT OR REPLACE INTO jobs(name, day, started, finished, result, message) "
                       "VALUES(?1,?2,?3,?4,?5,?6)",
                       "name", "day DESC, started DESC, name", bind_job, read_job},
    [TC_LEDGER_ALERT] = {"alerts", "rule, subject, day, since, until, value, bound, message",
                         "INSERT OR REPLACE INTO alerts(rule, subject, day, since, until, value, bound, "
                         "message) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
                         "subject", "since DESC, rule, subject", bind_alert, read_alert},
    [TC_LEDGER_RECONCILED] =
        {"reconciled",
         "symbol, day, interval_ms, source, compared, mismatches, missing_own, missing_vendor, own_volume, "
         "vendor_volume, worst, written",
         "INSERT OR REPLACE INTO reconciled(symbol, day, interval_ms, source, compared, mismatches, "
         "missing_own, missing_vendor, own_volume, vendor_volume, worst, written) "
         "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
         "symbol", "day DESC, symbol, interval_ms, source", bind_reconciled, read_reconciled},
    [TC_LEDGER_FLAG] = {"flags", "symbol, day, kind, value, message, written",
                        "INSERT OR REPLACE INTO flags(symbol, day, kind, value, message, written) "
                        "VALUES(?1,?2,?3,?4,?5,?6)",
                        "symbol", "day DESC, symbol, kind", bind_flag, read_flag},
};

static int prepare(const struct tc_sqlite *s, const char *sql, sqlite3_stmt **st)
{
    return sqlite3_prepare_v2(s->db, sql, -1, st, NULL) == SQLITE_OK ? TC_OK : tc_sqlite_fail(s, sql);
}

static int finish(const struct tc_sqlite *s, sqlite3_stmt *st, const char *what)
{
    int rc = sqlite3_step(st) == SQLITE_DONE ? TC_OK : tc_sqlite_fail(s, what);
    sqlite3_finalize(st);
    return rc;
}

int tc_ledger_open(const char *path, struct tc_ledger **out)
{
    struct tc_ledger *l = calloc(1, sizeof(*l));
    if (!l)
        return tc_fail(TC_ENOMEM, "no memory for the ledger");
    snprintf(l->s.path, sizeof(l->s.path), "%s", path);
    int rc = TC_OK;
    if (sqlite3_open_v2(path, &l->s.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        rc = tc_fail(TC_EIO, "%s: cannot open: %s", path, l->s.db ? sqlite3_errmsg(l->s.db) : "no memory");
    /* The store role copies the WAL into the database, so that no small write here pays for its large ones.
     */
    else if (sqlite3_exec(l->s.db,
                          "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512; PRAGMA mmap_size = 0; "
                          "PRAGMA wal_autocheckpoint = 0",
                          NULL, NULL, NULL) != SQLITE_OK)
        rc = tc_sqlite_fail(&l->s, "set up");
    if (rc) {
        tc_ledger_close(l);
        return rc;
    }
    sqlite3_busy_timeout(l->s.db, WAIT_MS);
    *out = l;
    return TC_OK;
}

void tc_ledger_close(struct tc_ledger *l)
{
    if (!l)
        return;
    if (l->s.db)
        sqlite3_db_config(l->s.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(l->s.db);
    free(l);
}

int tc_ledger_put(struct tc_ledger *l, const struct tc_ledger_row *row)
{
    const struct kind *k = &kinds[row->kind];
    sqlite3_stmt *st;
    int rc = prepare(&l->s, k->put, &st);
    if (rc)
        return rc;
    k->bind(st, row);
    return finish(&l->s, st, k->table);
}

int tc_sqlite_ledger(void *self, const struct tc_ledger_query *q, tc_ledger_fn fn, void *ctx)
{
    const struct tc_sqlite *s = self;
    const struct kind *k = &kinds[q->kind];
    char sql[512];
    sqlite3_stmt *st;
    snprintf(sql, sizeof(sql), "SELECT %s FROM %s WHERE day >= ?2 AND day <= ?3 %s%s%s ORDER BY %s LIMIT ?4",
             k->columns, k->table, q->key ? "AND " : "", q->key ? k->key : "", q->key ? " = ?1" : "",
             k->order);
    int rc = prepare(s, sql, &st), step;
    if (rc)
        return rc;
    if (q->key)
        bind_text(st, 1, q->key);
    bind_day(st, 2, q->from_day);
    bind_day(st, 3, q->to_day ? q->to_day : 99991231);
    sqlite3_bind_int64(st, 4, q->limit ? (int64_t)q->limit : -1);
    while (rc == TC_OK && (step = sqlite3_step(st)) != SQLITE_DONE) {
        struct tc_ledger_row row = {.kind = q->kind};
        if (step != SQLITE_ROW) {
            rc = tc_sqlite_fail(s, k->table);
            break;
        }
        k->read(st, &row);
        rc = fn(ctx, &row);
    }
    sqlite3_finalize(st);
    return rc;
}

int tc_ledger_read(struct tc_ledger *l, const struct tc_ledger_query *q, tc_ledger_fn fn, void *ctx)
{
    return tc_sqlite_ledger(&l->s, q, fn, ctx);
}

static int take_job(void *ctx, const struct tc_ledger_row *row)
{
    *(struct tc_ledger_job *)ctx = row->job;
    return TC_DONE;
}

int tc_ledger_job(struct tc_ledger *l, const char *name, int32_t day, struct tc_ledger_job *out)
{
    struct tc_ledger_query q = {.kind = TC_LEDGER_JOB, .key = name, .from_day = day, .to_day = day};
    int rc = tc_ledger_read(l, &q, take_job, out);
    return rc == TC_DONE ? TC_OK : rc ? rc : tc_fail(TC_ENOTFOUND, "job %s has not run for %d", name, day);
}

int tc_ledger_end_alerts(struct tc_ledger *l, int64_t now)
{
    sqlite3_stmt *st;
    int rc = prepare(&l->s, "UPDATE alerts SET until = ?1 WHERE until = 0", &st);
    if (rc)
        return rc;
    sqlite3_bind_int64(st, 1, now);
    return finish(&l->s, st, "end alerts");
}

int tc_ledger_unflag(struct tc_ledger *l, const char *symbol, int32_t day, const char *kind)
{
    sqlite3_stmt *st;
    int rc = prepare(&l->s, "DELETE FROM flags WHERE symbol = ?1 AND day = ?2 AND kind = ?3", &st);
    if (rc)
        return rc;
    bind_text(st, 1, symbol);
    bind_day(st, 2, day);
    bind_text(st, 3, kind);
    return finish(&l->s, st, "take a flag back");
}

int tc_ledger_trim(struct tc_ledger *l, int32_t before_day, int64_t *deleted)
{
    static const char *const sql[] = {"DELETE FROM jobs WHERE day < ?1",
                                      "DELETE FROM alerts WHERE day < ?1 AND until <> 0",
                                      "DELETE FROM reconciled WHERE day < ?1"};
    int rc = TC_OK;
    for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]) && !rc; i++) {
        sqlite3_stmt *st;
        rc = prepare(&l->s, sql[i], &st);
        if (rc)
            break;
        bind_day(st, 1, before_day);
        rc = finish(&l->s, st, "delete old rows");
        *deleted += rc ? 0 : sqlite3_changes(l->s.db);
    }
    return rc;
}

/* ---- JSON ---- */

static void put_text(struct tc_buf *out, const char *key, const char *text)
{
    tc_buf_printf(out, "%s\":", key);
    tc_buf_json_string(out, text);
}

static void put_int(struct tc_buf *out, const char *key, int64_t v)
{
    tc_buf_printf(out, ",\"%s\":%lld", key, (long long)v);
}

static void put_time(struct tc_buf *out, const char *key, int64_t t)
{
    if (t)
        put_int(out, key, t);
    else
        tc_buf_printf(out, ",\"%s\":null", key);
}

static void put_num(struct tc_buf *out, const char *key, double v)
{
    tc_buf_printf(out, ",\"%s\":", key);
    tc_buf_double(out, v);
}

static void json_reconciled(const struct tc_ledger_reconciled *r, struct tc_buf *out)
{
    put_text(out, "{\"symbol", r->symbol);
    put_int(out, "day", r->day);
    put_int(out, "interval_ms", r->interval_ms);
    put_text(out, ",\"source", r->source);
    put_int(out, "compared", r->compared);
    put_int(out, "mismatches", r->mismatches);
    put_int(out, "missing_own", r->missing_own);
    put_int(out, "missing_vendor", r->missing_vendor);
    put_num(out, "own_volume", r->own_volume);
    put_num(out, "vendor_volume", r->vendor_volume);
    put_time(out, "worst", r->worst);
    put_int(out, "written", r->written);
}

void tc_ledger_to_json(const struct tc_ledger_row *row, struct tc_buf *out)
{
    switch (row->kind) {
    case TC_LEDGER_JOB:
        put_text(out, "{\"name", row->job.name);
        put_int(out, "day", row->job.day);
        put_int(out, "started", row->job.started);
        put_time(out, "finished", row->job.finished);
        put_text(out, ",\"result", row->job.result);
        put_text(out, ",\"message", row->job.message);
        break;
    case TC_LEDGER_ALERT:
        put_text(out, "{\"rule", row->alert.rule);
        put_text(out, ",\"subject", row->alert.subject);
        put_int(out, "since", row->alert.since);
        put_time(out, "until", row->alert.until);
        put_num(out, "value", row->alert.value);
        put_num(out, "bound", row->alert.bound);
        put_text(out, ",\"message", row->alert.message);
        break;
    case TC_LEDGER_RECONCILED:
        json_reconciled(&row->reconciled, out);
        break;
    case TC_LEDGER_FLAG:
        put_text(out, "{\"symbol", row->flag.symbol);
        put_int(out, "day", row->flag.day);
        put_text(out, ",\"kind", row->flag.kind);
        put_num(out, "value", row->flag.value);
        put_text(out, ",\"message", row->flag.message);
        put_int(out, "written", row->flag.written);
        break;
    }
    tc_buf_char(out, '}');
}
