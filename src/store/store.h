/* store.h - the queryable database. One writer (the store role); readers are opened apart, one a thread.
 *
 * put() writes rows and the group's position in one transaction: what the position says was stored, is. After
 * a killed process everything put is there. After a lost machine the store may have gone back to an earlier
 * put, rows and position together, but never behind the last sync(); the records in between are read from the
 * log again, which is why a bus may forget only what was synced here.
 *
 * Doubles read back bit-equal, except that minus zero in a column becomes zero and infinities become NaN.
 */
#pragma once

#include "base/buf.h"
#include "bus/record.h"
#include "store/ledger.h"

/* Every record of a put is counted in exactly one of these: a new key; a key that existed with other contents
 * (the newer version wins, an earlier version of a bar is kept in bar_revisions); exactly what was there. */
struct tc_store_counts { /* of one put, added to the caller's totals */
    uint64_t inserted, superseded, duplicate;
};

/* Range of a query: [from, to) in ns; limit rows at most, 0 = no limit (newest ones when `newest` is set,
 * still in rising order). */
struct tc_range {
    const char *symbol; /* NULL = all, one symbol after the other */
    const char *model;  /* forecasts only; NULL = all */
    int64_t from, to;
    int32_t interval_ms; /* bars: 1000, 60000 or 3600000; derived exactly from the seconds */
    uint32_t limit;
    bool newest; /* needs a symbol */
};

/* Called for each row; a non-zero answer ends the scan and is returned. The record is valid during the call.
 */
typedef int (*tc_row_fn)(void *ctx, const struct tc_record *row);

/* How the posts of one minute speak of a symbol: its counted mentions by the posts' time. */
struct tc_sentiment_minute {
    int64_t minute;        /* its start */
    int64_t n;             /* mentions */
    double mean;           /* of the compounds */
    double share_positive; /* share of compounds above 0.05 */
};
typedef int (*tc_sentiment_fn)(void *ctx, const struct tc_sentiment_minute *m);

/* Gets one id; a non-zero answer ends the scan and is returned. */
typedef int (*tc_post_id_fn)(void *ctx, const char *id);

/* What is older (by `created`) goes. */
struct tc_post_ages {
    int64_t asked;    /* posts of source reddit, which is asked again whether they still stand */
    int64_t others;   /* posts that cannot be asked for again */
    int64_t mentions; /* scores, without text or author */
};

/* Of posts; `self` is the store's. */
struct tc_post_ops {
    /* By rising time of writing; of a symbol, those that mention it. */
    int (*read)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
    int (*sentiment)(void *self, const struct tc_range *q, tc_sentiment_fn fn,
                     void *ctx); /* needs a symbol */
    /* Ids of a source's posts in their order, from the one behind `after` ("" = the first) on. */
    int (*ids)(void *self, const char *source, const char *after, uint32_t limit, tc_post_id_fn fn,
               void *ctx);
    /* Writer: deletes what is older, up to `limit` posts and as many mentions; TC_DONE, TC_AGAIN as prune().
     */
    int (*prune)(void *self, const struct tc_post_ages *ages, uint32_t limit, uint64_t *deleted);
};

struct tc_snapshot {
    int64_t position;    /* of the checkpoint record in the role's output topic */
    struct tc_buf bytes; /* the encoded checkpoint record; release with tc_buf_release */
};

struct tc_store_info {
    enum tc_world world;
    int32_t schema;
    int64_t bytes;                    /* of the database file */
    int64_t seconds;                  /* of trading time that the symbol with the longest record has */
    int64_t position[TC_TOPIC_COUNT]; /* of group "store"; 0 when nothing was stored */
    bool ended[TC_TOPIC_COUNT];       /* the topic's last stored record is its end */
    int64_t oldest_forecast, newest_forecast; /* origin times; 0 = none */
};

struct tc_store_ops {
    const char *name;
    /* Of several checkpoints of one role in one put only the last is written (the others count as
     * superseded), so the blobs of the others need not be there. TC_EIO: nothing of it was written. */
    int (*put)(void *self, const char *group, enum tc_topic topic, int64_t position,
               const struct tc_record *records, const int64_t *offsets, size_t n,
               struct tc_store_counts *counts);
    int (*sync)(void *self); /* writer: everything put so far survives a lost machine */
    int (*settle)(
        void *self); /* writer, when nothing more comes for now: the file holds everything by itself */
    /* Writer: deletes up to `limit` forecasts and outcomes with an origin before `before`; TC_DONE when none
     * are left, TC_AGAIN when there are more. */
    int (*prune)(void *self, int64_t before, uint32_t limit, uint64_t *deleted);
    int (*position)(void *self, const char *group, enum tc_topic topic,
                    int64_t *out);                                          /* 0 when never stored */
    int (*snapshot)(void *self, const char *role, struct tc_snapshot *out); /* TC_ENOTFOUND when none */
    int (*info)(void *self, struct tc_store_info *out);
    int (*latest)(void *self, tc_row_fn fn, void *ctx); /* newest second bar of every symbol, by name */
    int (*bars)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
    int (*quotes)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
    int (*forecasts)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx); /* by origin_time */
    int (*outcomes)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
    /* Days are yyyymmdd, both ends included; symbol NULL = all. */
    int (*scores)(void *self, const char *symbol, int32_t from_day, int32_t to_day, tc_row_fn fn, void *ctx);
    int (*gaps)(void *self, const struct tc_range *q, tc_row_fn fn,
                void *ctx); /* those that touch the range;
                               symbol "*" always with it */
    int (*quality)(void *self, const char *symbol, int32_t from_day, int32_t to_day, tc_row_fn fn, void *ctx);
    int (*ledger)(void *self, const struct tc_ledger_query *q, tc_ledger_fn fn, void *ctx);
    const struct tc_post_ops *posts; /* NULL: this store keeps none */
    void (*close)(void *self); /* takes NULL; quick: what stands in the log beside the file stays there */
};

struct tc_store {
    const struct tc_store_ops *ops;
    void *self;
};

/* Writer: makes and migrates the schema. `path` is the file. A file of another world (TC_ECONF), of a newer
 * schema or of another program (TC_EINPUT), or one that another process writes (TC_EBUSY) is refused. */
int tc_sqlite_open(const char *path, enum tc_world world, struct tc_store *out);
/* Reader: never writes, never blocks the writer (WAL). TC_ENOTFOUND when there is no file. */
int tc_sqlite_open_reader(const char *path, struct tc_store *out);
