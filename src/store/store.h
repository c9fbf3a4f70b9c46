/* store.h - the queryable database. One writer (the store role); readers are opened apart, one a thread.
 *
 * put() writes rows and the group's position in one transaction: what the position says was stored, is.
 */
#pragma once

#include "base/buf.h"
#include "bus/record.h"

struct tc_store_counts { /* of one put, added to the caller's totals */
    uint64_t inserted, superseded, duplicate;
};

/* Range of a query: [from, to) in ns; limit rows at most (newest ones when `newest` is set, still in rising
 * order). */
struct tc_range {
    const char *symbol;
    const char *model; /* forecasts and scores only; NULL = all */
    int64_t from, to;
    int32_t interval_ms; /* bars: 1000, 60000 or 3600000; derived exactly from the seconds */
    uint32_t limit;
    bool newest;
};

/* Called for each row; a non-zero answer ends the scan and is returned. The record is valid during the call.
 */
typedef int (*tc_row_fn)(void *ctx, const struct tc_record *row);

struct tc_snapshot {
    int64_t position;    /* of the checkpoint record in the role's output topic */
    struct tc_buf bytes; /* the encoded checkpoint record; release with tc_buf_release */
};

struct tc_store_ops {
    const char *name;
    int (*put)(void *self, const char *group, enum tc_topic topic, int64_t position,
               const struct tc_record *records, const int64_t *offsets, size_t n,
               struct tc_store_counts *counts);
    int (*position)(void *self, const char *group, enum tc_topic topic,
                    int64_t *out);                                          /* 0 when never stored */
    int (*snapshot)(void *self, const char *role, struct tc_snapshot *out); /* TC_ENOTFOUND when none */
    int (*bars)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
    int (*quotes)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
    int (*forecasts)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx); /* by origin_time */
    int (*outcomes)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
    int (*scores)(void *self, const char *symbol, int32_t from_day, int32_t to_day, tc_row_fn fn, void *ctx);
    int (*gaps)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
    int (*quality)(void *self, const char *symbol, int32_t from_day, int32_t to_day, tc_row_fn fn, void *ctx);
    void (*close)(void *self);
};

struct tc_store {
    const struct tc_store_ops *ops;
    void *self;
};

/* Writer: makes and migrates the schema. `path` is the file. */
int tc_sqlite_open(const char *path, enum tc_world world, struct tc_store *out);
/* Reader: never writes, never blocks the writer (WAL). */
int tc_sqlite_open_reader(const char *path, struct tc_store *out);
