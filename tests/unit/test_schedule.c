#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "role/schedule.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SEC TC_NS_PER_SEC
#define MIN (60 * SEC)
#define HOUR (60 * MIN)

/* A feed that says when it was put to rest and woken, by the replayed clock. */
struct world {
    int64_t now;
    struct tc_calendar *calendar;
    struct tc_feed feed;
    struct tc_feed_ops ops;
    bool resting;
    int n_changes;
    struct {
        int64_t at;
        bool rest;
    } changes[64];
    char dir[64], path[96];
    struct tc_store store;
    struct tc_ledger *ledger;
    struct tc_job jobs[2];
    struct {
        int32_t started[32];
        int n_started, steps_left, stopped, fail;
    } job;
    struct tc_schedule_feed feeds[1];
    struct tc_schedule_conf conf;
    struct tc_role role;
};

static int64_t now_of(void *ctx)
{
    return ((struct world *)ctx)->now;
}

static void rest(void *self, bool on)
{
    struct world *w = self;
    assert_true(w->n_changes < 64);
    w->changes[w->n_changes].at = w->now;
    w->changes[w->n_changes++].rest = on;
    w->resting = on;
}

static int job_start(void *ctx, const struct tc_session *s)
{
    struct world *w = ctx;
    assert_true(w->job.n_started < 32);
    w->job.started[w->job.n_started++] = s->day;
    w->job.steps_left = 2;
    return TC_OK;
}

static int job_step(void *ctx, char *message, size_t size)
{
    struct world *w = ctx;
    if (w->job.fail)
        return tc_fail(TC_EINPUT, "the dog ate it");
    if (w->job.steps_left-- > 0)
        return TC_AGAIN;
    snprintf(message, size, "two steps");
    return TC_OK;
}

static void job_stop(void *ctx)
{
    ((struct world *)ctx)->job.stopped++;
}

static int64_t at(const char *iso)
{
    int y, mo, d, h, mi;
    assert_int_equal(sscanf(iso, "%d-%d-%dT%d:%d", &y, &mo, &d, &h, &mi), 5);
    return (tc_days_from_date(y * 10000 + mo * 100 + d) * 86400 + h * 3600 + mi * 60) * SEC;
}

static struct world *open_world(const char *calendar, const char *start)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    assert_int_equal(tc_calendar_load(calendar, &w->calendar), TC_OK);
    snprintf(w->dir, sizeof(w->dir), "/tmp/tc-schedule-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof(w->path), "%s/tickcast.db", w->dir);
    assert_int_equal(tc_sqlite_open(w->path, TC_WORLD_LIVE, &w->store), TC_OK);
    assert_int_equal(tc_ledger_open(w->path, &w->ledger), TC_OK);
    w->now = at(start);
    w->ops.rest = rest;
    w->feed.ops = &w->ops;
    w->feed.self = w;
    snprintf(w->feed.name, sizeof(w->feed.name), "test");
    w->feeds[0] = (struct tc_schedule_feed){&w->feed, w->calendar};
    w->jobs[0] =
        (struct tc_job){.name = "work", .start = job_start, .step = job_step, .stop = job_stop, .ctx = w};
    w->conf = (struct tc_schedule_conf){
        .calendars = &w->calendar,
        .n_calendars = 1,
        .reload = true,
        .keep_hours = true,
        .parts = TC_HOURS_REGULAR,
        .before_ns = 2 * MIN,
        .after_ns = MIN,
        .feeds = w->feeds,
        .n_feeds = 1,
        .ledger = w->ledger,
        .calendar = w->calendar,
        .jobs = w->jobs,
        .n_jobs = 1,
        .settle_ns = 20 * MIN,
        .now = now_of,
        .now_ctx = w,
    };
    return w;
}

static void start(struct world *w)
{
    if (tc_schedule_open(&w->conf, &w->role))
        fail_msg("%s", tc_error());
}

static void close_world(struct world *w)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    if (w->role.ops)
        w->role.ops->close(w->role.self);
    tc_ledger_close(w->ledger);
    w->store.ops->close(w->store.self);
    for (int i = 0; i < 3; i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s%s", w->path, tails[i]);
        unlink(path);
    }
    rmdir(w->dir);
    tc_calendar_free(w->calendar);
    free(w);
}

static void step(struct world *w)
{
    if (w->role.ops->work(w->role.self) < 0)
        fail_msg("%s", tc_error());
}

static void run_until(struct world *w, const char *end)
{
    for (; w->now < at(end); w->now += 30 * SEC)
        step(w);
}

static void expect(const struct world *w, int i, bool resting, const char *when)
{
    char text[40];
    assert_true(i < w->n_changes);
    tc_time_iso(w->changes[i].at, text, sizeof(text));
    if (w->changes[i].rest != resting || w->changes[i].at != at(when))
        fail_msg("change %d is %s at %s, not %s at %s", i, w->changes[i].rest ? "rest" : "wake", text,
                 resting ? "rest" : "wake", when);
}

static void the_feed_sleeps_outside_the_session_and_wakes_before_it(void **state)
{
    (void)state;
    struct world *w = open_world(TEST_CALENDARS "/xnys.yaml", "2026-11-23T03:00"); /* Monday */
    start(w);
    run_until(w, "2026-11-25T12:00");
    assert_int_equal(w->n_changes, 5);
    expect(w, 0, true, "2026-11-23T03:00");
    expect(w, 1, false, "2026-11-23T14:28");
    expect(w, 2, true, "2026-11-23T21:01");
    expect(w, 3, false, "2026-11-24T14:28");
    expect(w, 4, true, "2026-11-24T21:01");
    close_world(w);
}

static void daylight_saving_moves_the_hours_and_nothing_else(void **state)
{
    (void)state;
    struct world *w =
        open_world(TEST_CALENDARS "/xnys.yaml", "2026-03-06T12:00"); /* Friday before the change */
    start(w);
    run_until(w, "2026-03-10T00:00");
    expect(w, 1, false, "2026-03-06T14:28");
    expect(w, 2, true, "2026-03-06T21:01");
    expect(w, 3, false, "2026-03-09T13:28"); /* an hour earlier in UTC */
    expect(w, 4, true, "2026-03-09T20:01");
    assert_int_equal(w->n_changes, 5);
    close_world(w);
    w = open_world(TEST_CALENDARS "/xnys.yaml", "2026-10-30T12:00"); /* and back in autumn */
    start(w);
    run_until(w, "2026-11-03T00:00");
    expect(w, 2, true, "2026-10-30T20:01");
    expect(w, 3, false, "2026-11-02T14:28");
    expect(w, 4, true, "2026-11-02T21:01");
    close_world(w);
}

static void an_early_close_a_holiday_and_a_weekend_are_slept_through(void **state)
{
    (void)state;
    struct world *w =
        open_world(TEST_CALENDARS "/xnys.yaml", "2026-11-25T12:00"); /* Wednesday before Thanksgiving */
    start(w);
    run_until(w, "2026-12-01T12:00");
    expect(w, 1, false, "2026-11-25T14:28");
    expect(w, 2, true, "2026-11-25T21:01");
    expect(w, 3, false, "2026-11-27T14:28");
    expect(w, 4, true, "2026-11-27T18:01"); /* 13:00 in New York */
    expect(w, 5, false, "2026-11-30T14:28");
    expect(w, 6, true, "2026-11-30T21:01");
    assert_int_equal(w->n_changes, 7);
    close_world(w);
}

static void extended_hours_are_kept_when_they_are_chosen(void **state)
{
    (void)state;
    struct world *w = open_world(TEST_CALENDARS "/xnys.yaml", "2026-11-23T03:00");
    w->conf.parts = TC_HOURS_PRE | TC_HOURS_REGULAR | TC_HOURS_AFTER;
    start(w);
    run_until(w, "2026-11-24T07:00");
    expect(w, 1, false, "2026-11-23T08:58"); /* 04:00 in New York */
    expect(w, 2, true, "2026-11-24T01:01");  /* 20:00: the next day in UTC */
    assert_int_equal(w->n_changes, 3);
    close_world(w);
    w = open_world(TEST_CALENDARS "/xnys.yaml", "2026-11-23T03:00"); /* before and after, not between */
    w->conf.parts = TC_HOURS_PRE | TC_HOURS_AFTER;
    start(w);
    run_until(w, "2026-11-24T07:00");
    expect(w, 1, false, "2026-11-23T08:58");
    expect(w, 2, true, "2026-11-23T14:31");
    expect(w, 3, false, "2026-11-23T20:58");
    expect(w, 4, true, "2026-11-24T01:01");
    close_world(w);
}

static void a_machine_that_slept_over_the_open_wakes_its_feed_at_once(void **state)
{
    (void)state;
    struct world *w = open_world(TEST_CALENDARS "/xnys.yaml", "2026-11-23T03:00");
    start(w);
    run_until(w, "2026-11-23T06:00");
    w->now = at("2026-11-23T17:12"); /* the lid was closed */
    step(w);
    expect(w, 1, false, "2026-11-23T17:12");
    run_until(w, "2026-11-23T17:30");
    w->now = at("2026-11-24T10:00"); /* and again, over the close */
    step(w);
    expect(w, 2, true, "2026-11-24T10:00");
    for (int i = 0; i < 5; i++)
        step(w);
    assert_int_equal(w->job.n_started, 2); /* Friday's at the start, Monday's now */
    assert_int_equal(w->job.started[1], 20261123);
    close_world(w);
}

static void nightly_jobs_run_once_for_each_session(void **state)
{
    (void)state;
    struct world *w = open_world(TEST_CALENDARS "/xnys.yaml", "2026-11-23T12:00");
    struct tc_ledger_job run;
    start(w);
    run_until(w, "2026-11-30T12:00");
    static const int32_t days[] = {20261120, 20261123, 20261124, 20261125, 20261127};
    assert_int_equal(w->job.n_started, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(w->job.started[i], days[i]);
    assert_int_equal(tc_ledger_job(w->ledger, "work", 20261127, &run), TC_OK);
    assert_int_equal(run.started, at("2026-11-27T18:20")); /* the early close and 20 minutes */
    assert_string_equal(run.result, "done");
    assert_string_equal(run.message, "two steps");
    /* A program started again does not repeat them. */
    w->role.ops->close(w->role.self);
    start(w);
    run_until(w, "2026-11-30T14:00");
    assert_int_equal(w->job.n_started, 5);
    close_world(w);
}

static void a_failed_job_is_written_down_and_a_cut_off_one_runs_again(void **state)
{
    (void)state;
    struct world *w = open_world(TEST_CALENDARS "/xnys.yaml", "2026-11-23T12:00");
    struct tc_ledger_job run;
    w->jobs[1] = w->jobs[0];
    snprintf(w->jobs[1].name, sizeof(w->jobs[1].name), "second");
    w->conf.n_jobs = 2;
    w->job.fail = 1;
    tc_log_set_level(TC_LOG_ERROR);
    start(w);
    step(w); /* starts and fails in its first step */
    assert_int_equal(tc_ledger_job(w->ledger, "work", 20261120, &run), TC_OK);
    assert_string_equal(run.result, "failed");
    assert_string_equal(run.message, "the dog ate it");
    w->job.fail = 0;
    step(w); /* the second one starts */
    assert_int_equal(w->job.n_started, 2);
    w->role.ops->close(w->role.self); /* the program ends in the middle of it */
    assert_int_equal(w->job.stopped, 1);
    start(w);
    for (int i = 0; i < 6; i++)
        step(w);
    assert_int_equal(w->job.n_started, 3);
    assert_int_equal(tc_ledger_job(w->ledger, "second", 20261120, &run), TC_OK);
    assert_string_equal(run.result, "done");
    close_world(w);
}

static void a_calendar_that_never_closes_never_sleeps_and_has_its_nights(void **state)
{
    (void)state;
    struct world *w = open_world("always", "2026-11-23T12:00");
    start(w);
    run_until(w, "2026-11-25T12:00");
    assert_int_equal(w->n_changes, 1);
    expect(w, 0, false, "2026-11-23T12:00");
    assert_int_equal(w->job.n_started, 3);
    assert_int_equal(w->job.started[1], 20261123);
    close_world(w);
}

static void an_early_close_told_at_noon_is_heeded(void **state)
{
    (void)state;
    char path[] = "/tmp/tickcast-calendar-XXXXXX";
    static const char text[] = "name: x\nzone: America/New_York\nweek: [mon, tue, wed, thu, fri]\n"
                               "session: {open: \"09:30\", close: \"16:00\"}\nearly: {close: \"13:00\"}\n";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    struct world *w = open_world(path, "2026-11-23T12:00");
    start(w);
    run_until(w, "2026-11-23T17:00");
    static const char more[] = "exceptions:\n  - {date: 2026-11-23, early: a storm}\n";
    assert_int_equal(write(fd, more, strlen(more)), strlen(more));
    close(fd);
    run_until(w, "2026-11-23T23:00");
    expect(w, 1, false, "2026-11-23T14:28");
    expect(w, 2, true, "2026-11-23T18:01");
    assert_int_equal(w->n_changes, 3);
    unlink(path);
    close_world(w);
}

static void a_feed_that_cannot_sleep_is_refused_under_an_exchange(void **state)
{
    (void)state;
    struct world *w = open_world(TEST_CALENDARS "/xnys.yaml", "2026-11-23T12:00");
    w->ops.rest = NULL;
    assert_int_equal(tc_schedule_open(&w->conf, &w->role), TC_ECONF);
    assert_non_null(strstr(tc_error(), "feed test cannot sleep"));
    close_world(w);
}

static void what_it_does_can_be_read(void **state)
{
    (void)state;
    char room[200];
    struct tc_buf out;
    struct world *w = open_world(TEST_CALENDARS "/xnys.yaml", "2026-11-23T12:00");
    start(w);
    step(w);
    tc_buf_init_fixed(&out, room, sizeof(room));
    tc_schedule_write(&w->role, &out);
    assert_string_equal(room,
                        "{\"enabled\":true,\"asleep\":true,\"until\":1795444080000000000,\"job\":\"work\"}");
    close_world(w);
}

int main(void)
{
    tc_log_set_level(TC_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_feed_sleeps_outside_the_session_and_wakes_before_it),
        cmocka_unit_test(daylight_saving_moves_the_hours_and_nothing_else),
        cmocka_unit_test(an_early_close_a_holiday_and_a_weekend_are_slept_through),
        cmocka_unit_test(extended_hours_are_kept_when_they_are_chosen),
        cmocka_unit_test(a_machine_that_slept_over_the_open_wakes_its_feed_at_once),
        cmocka_unit_test(nightly_jobs_run_once_for_each_session),
        cmocka_unit_test(a_failed_job_is_written_down_and_a_cut_off_one_runs_again),
        cmocka_unit_test(a_calendar_that_never_closes_never_sleeps_and_has_its_nights),
        cmocka_unit_test(an_early_close_told_at_noon_is_heeded),
        cmocka_unit_test(a_feed_that_cannot_sleep_is_refused_under_an_exchange),
        cmocka_unit_test(what_it_does_can_be_read),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
