/* sqlite_int.h - what the writing and the reading half of the SQLite store share; private to this layer. */
#pragma once

#include "base/buf.h"
#include "store/store.h"

#include <sqlite3.h>

/* Statements of the writer, prepared at open. */
enum tc_sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_POSITION_PUT,
    SQL_BAR_INSERT,
    SQL_BAR_AVAILABLE,
    SQL_BAR_KEEP,
    SQL_BAR_REPLACE,
    SQL_BAR_OLDER,
    SQL_QUOTE_INSERT,
    SQL_QUOTE_UPDATE,
    SQL_FEED_EXISTS,
    SQL_FEED_PUT,
    SQL_GAP_EXISTS,
    SQL_GAP_PUT,
    SQL_QUALITY_EXISTS,
    SQL_QUALITY_PUT,
    SQL_FORECAST_INSERT,
    SQL_OUTCOME_INSERT,
    SQL_SCORE_EXISTS,
    SQL_SCORE_PUT,
    SQL_SNAPSHOT_EXISTS,
    SQL_SNAPSHOT_PUT,
    SQL_META_PUT,
    SQL_PRUNE_SYMBOL,
    SQL_PRUNE_FORECASTS,
    SQL_PRUNE_OUTCOMES,
    SQL_COUNT
};

enum { TC_POST_STATEMENTS = 12 }; /* of sqlite_posts.c */

struct tc_sqlite {
    sqlite3 *db;
    sqlite3_stmt *posts[TC_POST_STATEMENTS]; /* writer only; prepared at first use */
    sqlite3_stmt *st[SQL_COUNT];             /* writer only */
    struct tc_buf text;                      /* JSON of the row being written */
    int wal_pages;                           /* writer: in the WAL after the last commit */
    int wal_fd;                              /* writer: the -wal file, for sync(); -1 before the first put */
    char path[1024];
};

/* Turns SQLite's last error into one of ours. */
int tc_sqlite_fail(const struct tc_sqlite *s, const char *what);

/* Columns of bars and bar_revisions in the order that bind and read use. */
#define TC_BAR_COLUMNS                                                                               \
    "symbol, interval_ms, start, open, high, low, close, vwap, volume, trades, bid, ask, bid_size, " \
    "ask_size, "                                                                                     \
    "quote_lag_ms, tape, origin, feed, available, revision"

/* sqlite_posts.c: a record of type POST or REMOVED */
int tc_sqlite_put_post(struct tc_sqlite *s, const struct tc_record *r, struct tc_store_counts *c);
extern const struct tc_post_ops tc_sqlite_post_writer, tc_sqlite_post_reader;
void tc_sqlite_release_posts(struct tc_sqlite *s);

int tc_sqlite_position(void *self, const char *group, enum tc_topic topic, int64_t *out);
int tc_sqlite_snapshot(void *self, const char *role, struct tc_snapshot *out);
int tc_sqlite_info(void *self, struct tc_store_info *out);
int tc_sqlite_latest(void *self, tc_row_fn fn, void *ctx);
int tc_sqlite_bars(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
int tc_sqlite_quotes(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
int tc_sqlite_forecasts(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
int tc_sqlite_outcomes(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
int tc_sqlite_scores(void *self, const char *symbol, int32_t from_day, int32_t to_day, tc_row_fn fn,
                     void *ctx);
int tc_sqlite_gaps(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
int tc_sqlite_quality(void *self, const char *symbol, int32_t from_day, int32_t to_day, tc_row_fn fn,
                      void *ctx);
int tc_sqlite_ledger(void *self, const struct tc_ledger_query *q, tc_ledger_fn fn, void *ctx);
