/* schedule.h - the role that keeps the exchange's hours: it puts feeds to rest outside the chosen sessions
 * and wakes them in time, runs the nightly jobs once for each session, takes over an edited calendar, and
 * steps the alerts.
 *
 * Jobs run one after the other, in their order, once a session's end and `settle_ns` are past; those of a
 * session that ended while the program was not running (or the machine slept) run at the next start. Only the
 * newest session counts: nobody waits for jobs of sessions before it. A job that fails is not run again for
 * that session; one that the program's end cut off is. Every run stands in the ledger.
 *
 * Metrics: tickcast_schedule_asleep, tickcast_job_runs_total{job,result}, tickcast_job_seconds{job} (last
 * run), tickcast_calendar_reloads_total.
 */
#pragma once

#include "base/buf.h"
#include "feed/feed.h"
#include "market/hours.h"
#include "role/role.h"
#include "store/ledger.h"

enum { TC_SCHEDULE_FEEDS_MAX = 16, TC_SCHEDULE_JOBS_MAX = 8 };

/* A piece of nightly work. step() does at most some tenths of a second of it. */
struct tc_job {
    char name[TC_JOB_SIZE];
    int (*start)(void *ctx, const struct tc_session *session);
    /* TC_AGAIN: more to do; TC_OK: done; TC_DONE: there was nothing to do; < 0: failed, tc_error() says how.
     * `message` takes one sentence on what came of it. */
    int (*step)(void *ctx, char *message, size_t size);
    void (*stop)(void *ctx); /* the program ends in the middle of it; NULL = nothing to do */
    void *ctx;
};

struct tc_schedule_feed {
    struct tc_feed *feed;
    const struct tc_calendar *calendar;
};

struct tc_schedule_conf {
    struct tc_calendar *const *calendars; /* looked at for edits, when `reload` */
    size_t n_calendars;
    bool reload;

    bool keep_hours; /* feeds rest outside the hours, and the jobs are run */
    int parts;       /* TC_HOURS_*; with before_ns and after_ns as in market/hours.h */
    int64_t before_ns, after_ns;
    const struct tc_schedule_feed *feeds;
    size_t n_feeds;

    struct tc_ledger *ledger;           /* the role's from open to close, then the caller's again */
    const struct tc_calendar *calendar; /* whose sessions the jobs follow */
    const struct tc_job *jobs;
    size_t n_jobs;
    int64_t settle_ns;

    /* Each second, for the alerts; NULL = none. */
    void (*each_second)(void *ctx, int64_t now);
    void *each_second_ctx;

    int64_t (*now)(void *ctx); /* NULL = the wall clock; tests replay one */
    void *now_ctx;
};

/* Everything pointed to must outlive the role; jobs and feeds are copied. TC_ECONF: a feed that cannot rest
 * has a calendar that closes. */
int tc_schedule_open(const struct tc_schedule_conf *conf, struct tc_role *out);

/* Any thread: `{"enabled":...,"asleep":...,"until":...,"job":...}` of docs/api.md. */
void tc_schedule_write(const struct tc_role *role, struct tc_buf *out);
