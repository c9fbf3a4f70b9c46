#include "store/schema.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

/* The sums of schema 1. */
#define SUMS_V1                                                                                 \
    "n INTEGER, n_late INTEGER, abs_err REAL, sq_err REAL, abs_persist REAL, sq_persist REAL, " \
    "sq_reversal REAL, sq_ridge REAL, n_micro INTEGER, sq_model_micro REAL, sq_micro REAL, "    \
    "moves INTEGER, hits INTEGER, ties INTEGER, banded INTEGER, covered INTEGER, width REAL, "  \
    "winkler REAL, dm_blocks INTEGER, dm_n2 REAL, dm_d REAL, dm_d2 REAL, dm_nd REAL, dm_n INTEGER, "

#define BAR_COLUMNS                                                                                 \
    "symbol TEXT NOT NULL, interval_ms INTEGER NOT NULL, start INTEGER NOT NULL, "                  \
    "open REAL, high REAL, low REAL, close REAL, vwap REAL, volume REAL, trades INTEGER NOT NULL, " \
    "bid REAL, ask REAL, bid_size REAL, ask_size REAL, quote_lag_ms REAL, tape TEXT, "              \
    "origin TEXT NOT NULL, feed TEXT NOT NULL, available INTEGER NOT NULL, revision INTEGER NOT NULL, "

static const char tables_v1[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY NOT NULL) WITHOUT ROWID;"
    /* The newest version of every traded second, and the versions it replaced. */
    "CREATE TABLE bars(" BAR_COLUMNS "PRIMARY KEY(symbol, interval_ms, start)) WITHOUT ROWID;"
    "CREATE TABLE bar_revisions(" BAR_COLUMNS
    "PRIMARY KEY(symbol, interval_ms, start, available)) WITHOUT ROWID;"
    /* The quote in force after a second without a trade, where it changed in that second. */
    "CREATE TABLE quotes(symbol TEXT NOT NULL, second INTEGER NOT NULL, bid REAL, ask REAL, bid_size REAL, "
    "ask_size REAL, quote_lag_ms REAL, origin TEXT NOT NULL, feed TEXT NOT NULL, available INTEGER NOT NULL, "
    "PRIMARY KEY(symbol, second)) WITHOUT ROWID;"
    "CREATE TABLE gaps(symbol TEXT NOT NULL, feed TEXT NOT NULL, start INTEGER NOT NULL, "
    "\"end\" INTEGER NOT NULL, reason TEXT NOT NULL, filled INTEGER NOT NULL, "
    "PRIMARY KEY(symbol, start, feed)) WITHOUT ROWID;"
    /* The newest second marker of every feed: up to there the seconds are known. */
    "CREATE TABLE feeds(feed TEXT PRIMARY KEY, second INTEGER NOT NULL, available INTEGER NOT NULL, "
    "expected INTEGER NOT NULL, traded INTEGER NOT NULL, healthy INTEGER NOT NULL, delay_ms REAL, "
    "origin TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE quality(symbol TEXT NOT NULL, day TEXT NOT NULL, traded INTEGER NOT NULL, "
    "no_trade INTEGER NOT NULL, unknown INTEGER NOT NULL, duplicates INTEGER NOT NULL, late INTEGER NOT "
    "NULL, "
    "revised INTEGER NOT NULL, backfilled INTEGER NOT NULL, gaps INTEGER NOT NULL, "
    "PRIMARY KEY(symbol, day)) WITHOUT ROWID;"
    "CREATE TABLE snapshots(role TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, "
    "position INTEGER NOT NULL, kernel TEXT NOT NULL, blob BLOB NOT NULL, written_at INTEGER NOT NULL, "
    "PRIMARY KEY(role, topic, partition)) WITHOUT ROWID;"
    "CREATE TABLE positions(group_name TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, "
    "position INTEGER NOT NULL, PRIMARY KEY(group_name, topic, partition)) WITHOUT ROWID;";

static const char forecasts_v1[] =
    "CREATE TABLE forecasts(symbol TEXT NOT NULL, model TEXT NOT NULL, origin_time INTEGER NOT NULL, "
    "day TEXT NOT NULL, issued INTEGER NOT NULL, inputs TEXT NOT NULL, kernel TEXT NOT NULL, reference REAL, "
    "flags INTEGER NOT NULL, points TEXT NOT NULL, reference_mid REAL, "
    "PRIMARY KEY(symbol, model, origin_time)) WITHOUT ROWID;"
    /* Reading all models of a span, and deleting old rows, go by time. */
    "CREATE INDEX forecasts_by_time ON forecasts(symbol, origin_time);"
    "CREATE TABLE outcomes(symbol TEXT NOT NULL, origin_time INTEGER NOT NULL, day TEXT NOT NULL, "
    "\"values\" TEXT NOT NULL, PRIMARY KEY(symbol, origin_time)) WITHOUT ROWID;"
    "CREATE TABLE score_sums(symbol TEXT NOT NULL, model TEXT NOT NULL, kind TEXT NOT NULL, "
    "horizon_ms INTEGER NOT NULL, inputs TEXT NOT NULL, day TEXT NOT NULL, slot INTEGER NOT "
    "NULL, " SUMS_V1 "PRIMARY KEY(symbol, model, kind, horizon_ms, inputs, day, slot)) WITHOUT ROWID;"
    "CREATE VIEW forecast_points AS SELECT f.symbol AS symbol, f.model AS model, "
    "f.origin_time AS origin_time, json_extract(p.value, '$.kind') AS kind, "
    "json_extract(p.value, '$.horizon_ms') AS horizon_ms, json_extract(p.value, '$.target') AS "
    "target, "
    "json_extract(p.value, '$.value') AS value, json_extract(p.value, '$.lo') AS lo, "
    "json_extract(p.value, '$.hi') AS hi FROM forecasts AS f, json_each(f.points) AS p;"
    "CREATE VIEW scores AS SELECT symbol, model, kind, horizon_ms, inputs, day, sum(n) AS n, "
    "sum(n_late) AS n_late, sum(abs_err) / sum(n) AS mae, sqrt(sum(sq_err) / sum(n)) AS rmse, "
    "sqrt(sum(sq_persist) / sum(n)) AS rmse_persistence, sqrt(sum(sq_err) / sum(sq_persist)) AS "
    "ratio, "
    "sqrt(sum(sq_err) / sum(sq_reversal)) AS ratio_reversal, "
    "sqrt(sum(sq_err) / sum(sq_ridge)) AS ratio_ridge, sum(n_micro) AS n_microprice, "
    "sqrt(sum(sq_model_micro) / sum(sq_micro)) AS ratio_microprice, sum(moves) AS moves, "
    "sum(hits) AS hits, "
    "sum(ties) AS ties, sum(hits) * 1.0 / sum(moves) AS share, sum(covered) * 1.0 / sum(banded) "
    "AS coverage, "
    "sum(width) / sum(banded) AS width, sum(winkler) / sum(banded) AS winkler "
    "FROM score_sums GROUP BY symbol, model, kind, horizon_ms, inputs, day;";

#define ADD_SUM(name, sqltype) "ALTER TABLE score_sums ADD COLUMN " name " " sqltype " NOT NULL DEFAULT 0;"

static const char scores_v2[] =
    ADD_SUM("dm_ridge_d", "REAL") ADD_SUM("dm_ridge_d2", "REAL") ADD_SUM("dm_ridge_nd", "REAL")
        ADD_SUM("micro_moves", "INTEGER") ADD_SUM("micro_hits", "INTEGER") ADD_SUM("n_flagged", "INTEGER")
            ADD_SUM("sq_err_flagged", "REAL") ADD_SUM("sq_persist_flagged", "REAL")
                ADD_SUM("n_spread", "INTEGER") ADD_SUM("beyond", "INTEGER") ADD_SUM("n_prob", "INTEGER")
                    ADD_SUM("brier", "REAL") ADD_SUM("prob_down", "INTEGER") ADD_SUM("prob_none", "INTEGER");

static const char views_v2[] =
    "DROP VIEW forecast_points;"
    "CREATE VIEW forecast_points AS SELECT f.symbol AS symbol, f.model AS model, "
    "f.origin_time AS origin_time, json_extract(p.value, '$.kind') AS kind, "
    "json_extract(p.value, '$.horizon_ms') AS horizon_ms, json_extract(p.value, '$.target') AS target, "
    "json_extract(p.value, '$.value') AS value, json_extract(p.value, '$.lo') AS lo, "
    "json_extract(p.value, '$.hi') AS hi, json_extract(p.value, '$.p_down') AS p_down, "
    "json_extract(p.value, '$.p_none') AS p_none, json_extract(p.value, '$.p_up') AS p_up "
    "FROM forecasts AS f, json_each(f.points) AS p;"
    "DROP VIEW scores;"
    "CREATE VIEW scores AS SELECT symbol, model, kind, horizon_ms, inputs, day, sum(n) AS n, "
    "sum(n_late) AS n_late, sum(abs_err) / sum(n) AS mae, sqrt(sum(sq_err) / sum(n)) AS rmse, "
    "sqrt(sum(sq_persist) / sum(n)) AS rmse_persistence, sqrt(sum(sq_err) / sum(sq_persist)) AS ratio, "
    "sum(abs_err) / sum(abs_persist) AS mae_ratio, 1 - sum(sq_err) / sum(sq_persist) AS r2, "
    "sqrt((sum(sq_err) - sum(sq_err_flagged)) / (sum(sq_persist) - sum(sq_persist_flagged))) AS ratio_clean, "
    "sum(n_flagged) AS n_flagged, sqrt(sum(sq_err) / sum(sq_reversal)) AS ratio_reversal, "
    "sqrt(sum(sq_err) / sum(sq_ridge)) AS ratio_ridge, sum(n_micro) AS n_microprice, "
    "sqrt(sum(sq_model_micro) / sum(sq_micro)) AS ratio_microprice, sum(moves) AS moves, "
    "sum(hits) AS hits, sum(ties) AS ties, sum(hits) * 1.0 / sum(moves) AS share, "
    "sum(micro_hits) * 1.0 / sum(micro_moves) AS share_microprice, "
    "sum(covered) * 1.0 / sum(banded) AS coverage, sum(width) / sum(banded) AS width, "
    "sum(winkler) / sum(banded) AS winkler, sum(n_spread) AS n_spread, "
    "sum(beyond) * 1.0 / sum(n_spread) AS beyond, sum(n_prob) AS n_prob, "
    "sum(brier) / sum(n_prob) AS brier FROM score_sums GROUP BY symbol, model, kind, horizon_ms, inputs, "
    "day;";

/* What the schedule role writes (store/ledger.h). */
static const char ledger[] =
    "CREATE TABLE IF NOT EXISTS jobs(name TEXT NOT NULL, day TEXT NOT NULL, started INTEGER NOT NULL, "
    "finished INTEGER NOT NULL, result TEXT NOT NULL, message TEXT NOT NULL, PRIMARY KEY(name, day)) "
    "WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS alerts(rule TEXT NOT NULL, subject TEXT NOT NULL, day TEXT NOT NULL, "
    "since INTEGER NOT NULL, until INTEGER NOT NULL, value REAL, bound REAL, message TEXT NOT NULL, "
    "PRIMARY KEY(day, since, rule, subject)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS reconciled(symbol TEXT NOT NULL, day TEXT NOT NULL, interval_ms INTEGER NOT "
    "NULL, "
    "source TEXT NOT NULL, compared INTEGER NOT NULL, mismatches INTEGER NOT NULL, "
    "missing_own INTEGER NOT NULL, missing_vendor INTEGER NOT NULL, own_volume REAL, vendor_volume REAL, "
    "worst INTEGER NOT NULL, written INTEGER NOT NULL, PRIMARY KEY(day, symbol, interval_ms, source)) "
    "WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS flags(symbol TEXT NOT NULL, day TEXT NOT NULL, kind TEXT NOT NULL, value "
    "REAL, "
    "message TEXT NOT NULL, written INTEGER NOT NULL, PRIMARY KEY(day, symbol, kind)) WITHOUT ROWID;";

/* posts: an excerpt of what was written, kept for a limited time. mentions: the score alone, without text or
 * author. */
static const char posts_tables[] =
    "CREATE TABLE IF NOT EXISTS posts(id TEXT PRIMARY KEY, source TEXT NOT NULL, place TEXT NOT NULL, url "
    "TEXT NOT NULL, "
    "author INTEGER NOT NULL, created INTEGER NOT NULL, available INTEGER NOT NULL, origin TEXT NOT NULL, "
    "compound REAL, pos REAL, neu REAL, neg REAL, text TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS posts_by_time ON posts(created, id);"
    "CREATE TABLE IF NOT EXISTS mentions(symbol TEXT NOT NULL, created INTEGER NOT NULL, id TEXT NOT NULL, "
    "available INTEGER NOT NULL, evidence TEXT NOT NULL, counted INTEGER NOT NULL, compound REAL, "
    "PRIMARY KEY(symbol, created, id)) WITHOUT ROWID;";
static const char posts_indexes[] = "CREATE INDEX IF NOT EXISTS mentions_by_id ON mentions(id);"
                                    "CREATE INDEX IF NOT EXISTS mentions_by_time ON mentions(created);";

static const char *const migrations[][2] = {
    {tables_v1, forecasts_v1}, {scores_v2, views_v2}, {ledger, ""}, {posts_tables, posts_indexes}};

enum { SCHEMA_VERSION = sizeof(migrations) / sizeof(migrations[0]) };

static int fail(sqlite3 *db, const char *path, const char *what)
{
    int rc = sqlite3_errcode(db) & 0xff;
    if (rc == SQLITE_NOTADB || rc == SQLITE_CORRUPT)
        return tc_fail(TC_EINPUT,
                       "%s: not a SQLite database, or a damaged one (%s); move it away to start a new one",
                       path, sqlite3_errmsg(db));
    if (rc == SQLITE_BUSY)
        return tc_fail(TC_EBUSY, "%s: another program is writing it; stop that one first", path);
    return tc_fail(TC_EIO, "%s: %s: %s", path, what, sqlite3_errmsg(db));
}

static int pragma_int(sqlite3 *db, const char *path, const char *sql, int64_t *out)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        return fail(db, path, sql);
    int step = sqlite3_step(st);
    *out = step == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    int rc = step == SQLITE_ROW || step == SQLITE_DONE ? TC_OK : fail(db, path, sql);
    sqlite3_finalize(st);
    return rc;
}

/* *version: 0 for a file without tables. */
static int check_file(sqlite3 *db, const char *path, int64_t *version)
{
    int64_t application, tables;
    int rc = pragma_int(db, path, "PRAGMA user_version", version);
    if (rc == TC_OK)
        rc = pragma_int(db, path, "PRAGMA application_id", &application);
    if (rc == TC_OK)
        rc = pragma_int(db, path, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc != TC_OK)
        return rc;
    if (tables && application != TC_STORE_APPLICATION_ID)
        return tc_fail(TC_EINPUT, "%s: a database of another program; name another data folder", path);
    if (*version > SCHEMA_VERSION)
        return tc_fail(
            TC_EINPUT,
            "%s: written by a newer tickcast (schema %lld, this program knows %d); use the newer one", path,
            (long long)*version, (int)SCHEMA_VERSION);
    return TC_OK;
}

int tc_schema_check(sqlite3 *db, const char *path)
{
    int64_t version;
    int rc = check_file(db, path, &version);
    if (rc != TC_OK)
        return rc;
    if (version == 0)
        return tc_fail(TC_ENOTFOUND, "%s: nothing is stored there yet", path);
    if (version < SCHEMA_VERSION)
        return tc_fail(TC_EINPUT,
                       "%s: an older schema (%lld); `tickcast run` on that folder brings it up to date", path,
                       (long long)version);
    return TC_OK;
}

int tc_schema_world(sqlite3 *db, const char *path, enum tc_world *out)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE name = 'world'", -1, &st, NULL) != SQLITE_OK)
        return fail(db, path, "read the world");
    int rc = tc_fail(TC_EINPUT, "%s: does not say which world it belongs to; the file is damaged", path);
    if (sqlite3_step(st) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(st, 0);
        for (int w = TC_WORLD_LIVE; name && w <= TC_WORLD_SIMULATED; w++) {
            if (strcmp(name, tc_world_name((enum tc_world)w)) != 0)
                continue;
            *out = (enum tc_world)w;
            rc = TC_OK;
        }
    }
    sqlite3_finalize(st);
    return rc;
}

static int migrate(sqlite3 *db, const char *path, int64_t version, enum tc_world world)
{
    char sql[160];
    for (int64_t v = version; v < SCHEMA_VERSION; v++)
        for (size_t part = 0; part < 2; part++)
            if (sqlite3_exec(db, migrations[v][part], NULL, NULL, NULL) != SQLITE_OK)
                return fail(db, path, "make the tables");
    snprintf(sql, sizeof(sql), "PRAGMA user_version = %d; PRAGMA application_id = %d", (int)SCHEMA_VERSION,
             (int)TC_STORE_APPLICATION_ID);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail(db, path, "mark the file");
    if (version == 0) {
        snprintf(sql, sizeof(sql), "INSERT INTO meta VALUES('world', '%s')", tc_world_name(world));
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
            return fail(db, path, "write the world");
    }
    return TC_OK;
}

int tc_schema_prepare(sqlite3 *db, const char *path, enum tc_world world)
{
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return fail(db, path, "begin");
    int64_t version;
    int rc = check_file(db, path, &version);
    if (rc == TC_OK && version < SCHEMA_VERSION)
        rc = migrate(db, path, version, world);
    enum tc_world stored;
    if (rc == TC_OK)
        rc = tc_schema_world(db, path, &stored);
    if (rc == TC_OK && stored != world)
        rc = tc_fail(TC_ECONF, "%s: holds %s data and cannot take %s data; name another folder with --data",
                     path, tc_world_name(stored), tc_world_name(world));
    if (rc == TC_OK && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        rc = fail(db, path, "commit the tables");
    if (rc != TC_OK)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* fails when nothing is open: fine */
    return rc;
}
