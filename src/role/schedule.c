#include "role/schedule.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_NS TC_NS_PER_SEC
#define RELOAD_NS (2 * TC_NS_PER_SEC)

struct kept_feed {
    struct tc_schedule_feed of;
    bool told, asleep; /* what the feed was told last */
    int64_t until;
};

struct schedule {
    struct tc_schedule_conf conf;
    struct kept_feed feeds[TC_SCHEDULE_FEEDS_MAX];
    struct tc_job jobs[TC_SCHEDULE_JOBS_MAX];
    struct tc_ledger_row run; /* of the job that runs */
    struct tc_session session;
    int running; /* index of the job that runs; -1 = none */
    int32_t done_day;
    int64_t next_tick, next_reload; /* monotonic */
    tc_metric *m_asleep, *m_reloads;
    pthread_mutex_t lock; /* guards what follows */
    bool asleep;
    int64_t until;
    char job[TC_JOB_SIZE];
};

static int64_t now_of(const struct schedule *s)
{
    return s->conf.now ? s->conf.now(s->conf.now_ctx) : tc_now_ns();
}

/* ---- hours ---- */

static void tell(struct kept_feed *f, const struct tc_hours_now *h)
{
    char until[40];
    bool asleep = !h->awake;
    f->until = h->until;
    if (f->told && f->asleep == asleep)
        return;
    f->of.feed->ops->rest(f->of.feed->self, asleep);
    tc_log_info("schedule", "feed %s %s until %s (session of %d)", f->of.feed->name,
                asleep ? "sleeps" : "is awake",
                tc_time_iso(h->until / TC_NS_PER_SEC * TC_NS_PER_SEC, until, sizeof(until)), h->session.day);
    f->told = true;
    f->asleep = asleep;
}

static int keep_hours(struct schedule *s, int64_t now)
{
    bool all = s->conf.n_feeds > 0;
    int64_t until = INT64_MAX;
    for (size_t i = 0; i < s->conf.n_feeds; i++) {
        struct kept_feed *f = &s->feeds[i];
        struct tc_hours h = {f->of.calendar, s->conf.parts, s->conf.before_ns, s->conf.after_ns};
        struct tc_hours_now at;
        if (!f->of.feed->ops->rest) {
            all = false;
            continue;
        }
        int rc = tc_hours_at(&h, now, &at);
        if (rc)
            return rc;
        tell(f, &at);
        all = all && f->asleep;
        until = f->until < until ? f->until : until;
    }
    tc_metric_set(s->m_asleep, all);
    pthread_mutex_lock(&s->lock);
    s->asleep = all;
    s->until = until;
    pthread_mutex_unlock(&s->lock);
    return TC_OK;
}

static void reload(struct schedule *s)
{
    for (size_t i = 0; i < s->conf.n_calendars; i++) {
        struct tc_calendar *c = s->conf.calendars[i];
        int rc = tc_calendar_refresh(c);
        if (rc == TC_OK) {
            tc_metric_add(s->m_reloads, 1);
            tc_log_info("schedule", "calendar %s was edited and is in force", tc_calendar_name(c));
        } else if (rc < 0) {
            tc_log_error("schedule", "%s; the calendar stays as it was", tc_error());
        }
    }
}

/* ---- jobs ---- */

static int put_run(struct schedule *s)
{
    int rc = tc_ledger_put(s->conf.ledger, &s->run);
    return rc ? tc_more(rc, "job %s", s->run.job.name) : TC_OK;
}

static void name_running(struct schedule *s, const char *name)
{
    pthread_mutex_lock(&s->lock);
    snprintf(s->job, sizeof(s->job), "%s", name);
    pthread_mutex_unlock(&s->lock);
}

static int finish_job(struct schedule *s, int rc, const char *message)
{
    struct tc_ledger_job *j = &s->run.job;
    const char *result = rc == TC_OK ? "done" : rc == TC_DONE ? "skipped" : "failed";
    char labels[96];
    j->finished = now_of(s);
    snprintf(j->result, sizeof(j->result), "%s", result);
    snprintf(j->message, sizeof(j->message), "%s", message);
    snprintf(labels, sizeof(labels), "job=\"%s\",result=\"%s\"", j->name, result);
    tc_metric_add(tc_counter("tickcast_job_runs_total", labels, "Runs of nightly jobs"), 1);
    snprintf(labels, sizeof(labels), "job=\"%s\"", j->name);
    tc_metric_set(tc_gauge("tickcast_job_seconds", labels, "Time that the last run of a nightly job took"),
                  (j->finished - j->started) / TC_NS_PER_SEC);
    if (rc < 0)
        tc_log_error("schedule", "job %s for the session of %d failed: %s", j->name, j->day, message);
    else
        tc_log_info("schedule", "job %s for the session of %d %s%s%s", j->name, j->day, result,
                    message[0] ? ": " : "", message);
    s->running = -1;
    name_running(s, "");
    return put_run(s);
}

static int start_job(struct schedule *s, int i, const struct tc_session *session)
{
    const struct tc_job *job = &s->jobs[i];
    struct tc_ledger_job *j = &s->run.job;
    s->run = (struct tc_ledger_row){.kind = TC_LEDGER_JOB};
    memcpy(j->name, job->name, sizeof(j->name));
    j->day = session->day;
    j->started = now_of(s);
    snprintf(j->result, sizeof(j->result), "running");
    s->session = *session;
    s->running = i;
    name_running(s, job->name);
    int rc = put_run(s);
    if (rc)
        return rc;
    rc = job->start(job->ctx, &s->session);
    return rc < 0 ? finish_job(s, rc, tc_error()) : TC_OK;
}

static int step_job(struct schedule *s)
{
    const struct tc_job *job = &s->jobs[s->running];
    char message[TC_LEDGER_TEXT] = "";
    int rc = job->step(job->ctx, message, sizeof(message));
    if (rc == TC_AGAIN)
        return TC_OK;
    if (rc < 0)
        snprintf(message, sizeof(message), "%s", tc_error());
    return finish_job(s, rc, message);
}

/* The first job that has not run for the newest session that is over. */
static int next_job(struct schedule *s, int64_t now)
{
    struct tc_session last;
    struct tc_ledger_job before;
    if (tc_calendar_previous(s->conf.calendar, now - s->conf.settle_ns, &last) || last.day == s->done_day)
        return TC_OK;
    if (last.post_close + s->conf.settle_ns > now && s->conf.parts & TC_HOURS_AFTER)
        return TC_OK;
    for (size_t i = 0; i < s->conf.n_jobs; i++) {
        int rc = tc_ledger_job(s->conf.ledger, s->jobs[i].name, last.day, &before);
        if (rc == TC_ENOTFOUND || (rc == TC_OK && !before.finished))
            return start_job(s, (int)i, &last);
        if (rc)
            return rc;
    }
    s->done_day = last.day;
    return TC_OK;
}

/* ---- role ---- */

static int tick(struct schedule *s, int64_t mono)
{
    int64_t now = now_of(s);
    int rc = TC_OK;
    s->next_tick = mono + TICK_NS;
    if (s->conf.reload && (mono >= s->next_reload || s->conf.now)) {
        s->next_reload = mono + RELOAD_NS;
        reload(s);
    }
    if (s->conf.keep_hours)
        rc = keep_hours(s, now);
    if (!rc && s->conf.each_second)
        s->conf.each_second(s->conf.each_second_ctx, now);
    if (!rc && s->conf.keep_hours && s->running < 0)
        rc = next_job(s, now);
    return rc;
}

static int schedule_work(void *self)
{
    struct schedule *s = self;
    int64_t mono = tc_mono_ns();
    int rc = TC_OK;
    if (mono >= s->next_tick || s->conf.now) /* a replayed clock has seconds of its own */
        rc = tick(s, mono);
    if (!rc && s->running >= 0)
        rc = step_job(s);
    /* A busy or full database must not end a live run: it is said, and tried again with the next tick. */
    if (rc == TC_EBUSY || rc == TC_EIO) {
        tc_log_error("schedule", "%s", tc_error());
        rc = TC_OK;
    }
    return rc < 0 ? rc : 0;
}

static int64_t schedule_wait(const void *self)
{
    const struct schedule *s = self;
    int64_t left = s->next_tick - tc_mono_ns();
    int64_t most = s->running >= 0 ? 10 * TC_NS_PER_MS : 100 * TC_NS_PER_MS;
    return left < 0 ? 0 : left < most ? left : most;
}

static void schedule_close(void *self)
{
    struct schedule *s = self;
    if (!s)
        return;
    if (s->running >= 0 && s->jobs[s->running].stop)
        s->jobs[s->running].stop(s->jobs[s->running].ctx);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static const struct tc_role_ops schedule_ops = {
    .name = "schedule", .work = schedule_work, .wait_ns = schedule_wait, .close = schedule_close};

static int check_feeds(const struct tc_schedule_conf *conf)
{
    if (conf->n_feeds > TC_SCHEDULE_FEEDS_MAX || conf->n_jobs > TC_SCHEDULE_JOBS_MAX)
        return tc_fail(TC_ELIMIT, "schedule: more than %d feeds or %d jobs", TC_SCHEDULE_FEEDS_MAX,
                       TC_SCHEDULE_JOBS_MAX);
    for (size_t i = 0; i < conf->n_feeds && conf->keep_hours; i++)
        if (!conf->feeds[i].feed->ops->rest && !tc_calendar_always_open(conf->feeds[i].calendar))
            return tc_fail(
                TC_ECONF,
                "schedule.enabled: feed %s cannot sleep; leave --schedule out, or let it follow the "
                "calendar `always`",
                conf->feeds[i].feed->name);
    return TC_OK;
}

int tc_schedule_open(const struct tc_schedule_conf *conf, struct tc_role *out)
{
    int rc = check_feeds(conf);
    if (rc)
        return rc;
    struct schedule *s = calloc(1, sizeof(*s));
    if (!s)
        return tc_fail(TC_ENOMEM, "no memory for the schedule");
    s->conf = *conf;
    s->running = -1;
    for (size_t i = 0; i < conf->n_feeds; i++)
        s->feeds[i].of = conf->feeds[i];
    for (size_t i = 0; i < conf->n_jobs; i++)
        s->jobs[i] = conf->jobs[i];
    pthread_mutex_init(&s->lock, NULL);
    s->m_asleep = tc_gauge("tickcast_schedule_asleep", NULL, "1 while all feeds rest outside the hours kept");
    s->m_reloads =
        tc_counter("tickcast_calendar_reloads_total", NULL, "Edited calendars that came into force");
    *out = (struct tc_role){.ops = &schedule_ops, .self = s};
    /* Before any feed's thread asks for data, so that none connects at night. */
    rc = conf->keep_hours ? keep_hours(s, now_of(s)) : TC_OK;
    if (rc) {
        schedule_close(s);
        return rc;
    }
    return TC_OK;
}

void tc_schedule_write(const struct tc_role *role, struct tc_buf *out)
{
    struct schedule *s = role->self;
    pthread_mutex_lock(&s->lock);
    tc_buf_printf(out, "{\"enabled\":%s,\"asleep\":%s,\"until\":", s->conf.keep_hours ? "true" : "false",
                  s->asleep ? "true" : "false");
    if (s->conf.keep_hours && s->until != INT64_MAX)
        tc_buf_int(out, s->until);
    else
        tc_buf_str(out, "null");
    tc_buf_str(out, ",\"job\":");
    if (s->job[0])
        tc_buf_json_string(out, s->job);
    else
        tc_buf_str(out, "null");
    tc_buf_char(out, '}');
    pthread_mutex_unlock(&s->lock);
}
