/* ledger.h - what the schedule role writes down beside the market's data: runs of jobs, alerts, comparisons
 * of our bars with the vendor's, and days that look wrong. Tables of the store's file, with a writer of their
 * own.
 *
 * The writer is one thread's; it waits for the store role's transactions and holds none itself for longer
 * than a few rows take. Readers use the store's ledger() operation.
 */
#pragma once

#include "base/buf.h"
#include "market/market.h"

enum { TC_JOB_SIZE = 24, TC_LEDGER_TEXT = 240, TC_RULE_SIZE = 96, TC_FLAG_SIZE = 24 };

enum tc_ledger_kind { TC_LEDGER_JOB, TC_LEDGER_ALERT, TC_LEDGER_RECONCILED, TC_LEDGER_FLAG };

/* The newest run of a job for a session. */
struct tc_ledger_job {
    char name[TC_JOB_SIZE];
    int32_t day;                  /* the session it was run for */
    int64_t started, finished;    /* finished 0: it runs, or the program ended in it */
    char result[12];              /* running, done, failed, skipped */
    char message[TC_LEDGER_TEXT]; /* what came of it, one sentence */
};

/* One alert from its rise to its fall. */
struct tc_ledger_alert {
    char rule[TC_RULE_SIZE], subject[TC_SYMBOL_SIZE]; /* subject: symbol, feed or "" */
    int64_t since, until;                             /* until 0: it stands */
    double value, bound;                              /* value at its rise */
    char message[TC_LEDGER_TEXT];
};

/* Own bars against the vendor's bars of one session; nothing is corrected by it. */
struct tc_ledger_reconciled {
    char symbol[TC_SYMBOL_SIZE], source[TC_FEED_SIZE]; /* whose bars: a feed, or "file" */
    int32_t day, interval_ms;                          /* 60000; 86400000 = the whole session */
    int64_t compared, mismatches;        /* bars that both have; that differ in price or volume */
    int64_t missing_own, missing_vendor; /* bars that only the other has */
    double own_volume, vendor_volume;
    int64_t worst; /* start of the bar whose volumes differ most; 0 = none differs */
    int64_t written;
};

/* A day that looks wrong and that a person should look at. */
struct tc_ledger_flag {
    char symbol[TC_SYMBOL_SIZE];
    int32_t day;
    char kind[TC_FLAG_SIZE]; /* split */
    double value;
    char message[TC_LEDGER_TEXT];
    int64_t written;
};

struct tc_ledger_row {
    enum tc_ledger_kind kind;
    union {
        struct tc_ledger_job job;
        struct tc_ledger_alert alert;
        struct tc_ledger_reconciled reconciled;
        struct tc_ledger_flag flag;
    };
};

/* Called for each row; a non-zero answer ends the scan and is returned. */
typedef int (*tc_ledger_fn)(void *ctx, const struct tc_ledger_row *row);

/* What is read: newest first. Days are yyyymmdd, both included (alerts: UTC days). */
struct tc_ledger_query {
    enum tc_ledger_kind kind;
    const char *key; /* name of a job, else a symbol; NULL = all */
    int32_t from_day, to_day;
    uint32_t limit; /* 0 = no limit */
};

struct tc_ledger;

/* The store's file, whose tables must be there (tc_sqlite_open makes them). */
int tc_ledger_open(const char *path, struct tc_ledger **out);
void tc_ledger_close(struct tc_ledger *l); /* takes NULL */

/* Writes or replaces: a job by (name, day), an alert by (rule, subject, since), a comparison by (symbol, day,
 * interval, source), a flag by (symbol, day, kind). */
int tc_ledger_put(struct tc_ledger *l, const struct tc_ledger_row *row);
/* TC_ENOTFOUND: it never ran for that day. */
int tc_ledger_job(struct tc_ledger *l, const char *name, int32_t day, struct tc_ledger_job *out);
int tc_ledger_read(struct tc_ledger *l, const struct tc_ledger_query *q, tc_ledger_fn fn, void *ctx);
/* Alerts that a program which was killed left standing end now. */
int tc_ledger_end_alerts(struct tc_ledger *l, int64_t now);
/* Takes a flag back that does not hold any more; fine when there is none. */
int tc_ledger_unflag(struct tc_ledger *l, const char *symbol, int32_t day, const char *kind);
/* Deletes jobs, ended alerts and comparisons of sessions before the day; flags stay. */
int tc_ledger_trim(struct tc_ledger *l, int32_t before_day, int64_t *deleted);

/* One JSON object with the keys of docs/api.md. */
void tc_ledger_to_json(const struct tc_ledger_row *row, struct tc_buf *out);
