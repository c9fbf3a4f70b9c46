#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/rng.h"
#include "role/persist.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define T0 INT64_C(1381152600000000000)
#define SEC TC_NS_PER_SEC

/* --- a bus in memory -------------------------------------------------------------------------------------
 */

struct mem_topic {
    struct tc_record *at;
    int64_t first, end, synced, committed;
};

struct mem_bus {
    struct mem_topic topic[TC_TOPIC_COUNT];
    int64_t undecodable; /* offset in bars; -1 = none */
};

struct tc_bus_reader {
    struct mem_bus *bus;
    struct mem_topic *topic;
    int64_t next;
    int flags;
};

static int mem_sync(void *self)
{
    struct mem_bus *b = self;
    for (int t = 0; t < TC_TOPIC_COUNT; t++)
        b->topic[t].synced = b->topic[t].end;
    return TC_OK;
}

static void mem_stat(void *self, enum tc_topic topic, struct tc_bus_stat *out)
{
    struct mem_topic *t = &((struct mem_bus *)self)->topic[topic];
    *out = (struct tc_bus_stat){t->first, t->end, t->synced, 0};
}

static int mem_open_reader(void *self, enum tc_topic topic, int64_t offset, int flags,
                           struct tc_bus_reader **out)
{
    struct mem_bus *b = self;
    struct mem_topic *t = &b->topic[topic];
    if (offset < t->first || offset > t->end)
        return tc_fail(TC_ENOTFOUND, "offset %lld is not there", (long long)offset);
    *out = malloc(sizeof(**out));
    assert_non_null(*out);
    **out = (struct tc_bus_reader){b, t, offset, flags};
    return TC_OK;
}

static int mem_read(struct tc_bus_reader *r, struct tc_record *out, int64_t *out_offset)
{
    if (r->next >= (r->flags & TC_READ_SYNCED ? r->topic->synced : r->topic->end))
        return TC_AGAIN;
    *out_offset = r->next++;
    if (r->topic == &r->bus->topic[TC_TOPIC_BARS] && *out_offset == r->bus->undecodable)
        return tc_fail(TC_EINPUT, "record of unknown type 99");
    *out = r->topic->at[*out_offset];
    return TC_OK;
}

static void mem_close_reader(struct tc_bus_reader *r)
{
    free(r);
}

static void mem_commit(void *self, const char *group, enum tc_topic topic, int64_t position)
{
    assert_string_equal(group, "store");
    ((struct mem_bus *)self)->topic[topic].committed = position;
}

static void mem_wake(void *self)
{
    (void)self;
}

static const struct tc_bus_ops mem_ops = {
    .name = "memory",
    .sync = mem_sync,
    .stat = mem_stat,
    .open_reader = mem_open_reader,
    .read = mem_read,
    .close_reader = mem_close_reader,
    .commit = mem_commit,
    .wake = mem_wake,
};

static struct tc_record bar_at(int64_t i)
{
    struct tc_record r = {.type = TC_REC_BAR, .from = -1};
    struct tc_bar *b = &r.bar;
    snprintf(b->symbol, sizeof(b->symbol), i % 2 ? "SPY" : "BAC");
    strcpy(b->feed, "lean");
    b->start = T0 + i / 2 * SEC;
    b->available = b->start + SEC;
    b->interval_ms = 1000;
    b->open = b->high = b->low = b->close = b->vwap = 100 + (double)i;
    b->volume = 7;
    b->origin = TC_ORIGIN_REPLAY;
    return r;
}

static struct tc_record forecast_at(int64_t i)
{
    struct tc_record r = {.type = TC_REC_FORECAST, .from = i};
    struct tc_forecast *f = &r.forecast;
    strcpy(f->symbol, "SPY");
    strcpy(f->model, "ridge@1");
    f->origin_time = T0 + i * SEC;
    f->day = 20131007;
    f->n_points = 1;
    f->points[0] = (struct tc_point){.kind = TC_KIND_NEXT, .value = 1, .lo = 0, .hi = 2};
    if (i % 50 == 49) {
        r.type = TC_REC_CHECKPOINT;
        memset(&r.checkpoint, 0, sizeof(r.checkpoint));
        strcpy(r.checkpoint.role, "forecast");
        r.checkpoint.position = i;
        r.checkpoint.blob = (const uint8_t *)"state";
        r.checkpoint.blob_len = 5;
    }
    return r;
}

/* Two topics of n records each, the last one the end. */
static void fill_bus(struct mem_bus *b, int64_t n)
{
    *b = (struct mem_bus){.undecodable = -1};
    for (int t = 0; t < TC_TOPIC_POSTS; t++) {
        b->topic[t].at = calloc((size_t)n, sizeof(struct tc_record));
        assert_non_null(b->topic[t].at);
        b->topic[t].end = b->topic[t].synced = n;
        for (int64_t i = 0; i < n; i++)
            b->topic[t].at[i] = t == TC_TOPIC_BARS ? bar_at(i) : forecast_at(i);
        b->topic[t].at[n - 1] = (struct tc_record){.type = TC_REC_END, .from = -1};
    }
}

/* --- a role on it ----------------------------------------------------------------------------------------
 */

struct rig {
    char dir[64], path[96], dead[96];
    struct mem_bus mem;
    struct tc_bus bus;
    struct tc_store store;
    struct tc_role role;
    struct tc_persist_conf conf;
};

static void open_role(struct rig *g)
{
    assert_int_equal(tc_sqlite_open(g->path, TC_WORLD_REPLAY, &g->store), TC_OK);
    if (tc_persist_open(&g->conf, &g->role) != TC_OK)
        fail_msg("%s", tc_error());
}

static void close_role(struct rig *g)
{
    g->role.ops->close(g->role.self);
    g->store.ops->close(g->store.self);
}

static struct rig *make_rig(int64_t records)
{
    struct rig *g = calloc(1, sizeof(*g));
    assert_non_null(g);
    snprintf(g->dir, sizeof(g->dir), "/tmp/tc-persist-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    snprintf(g->path, sizeof(g->path), "%s/tickcast.db", g->dir);
    snprintf(g->dead, sizeof(g->dead), "%s/dead", g->dir);
    fill_bus(&g->mem, records);
    g->bus = (struct tc_bus){&mem_ops, &g->mem};
    g->conf = (struct tc_persist_conf){
        .bus = &g->bus, .store = &g->store, .forecasts = true, .batch_rows = 64, .dead_letter_path = g->dead};
    return g;
}

static void free_rig(struct rig *g)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s%s", g->path, tails[i]);
        unlink(path);
    }
    unlink(g->dead);
    rmdir(g->dir);
    for (int t = 0; t < TC_TOPIC_COUNT; t++)
        free(g->mem.topic[t].at);
    free(g);
}

static int work(struct rig *g)
{
    int rc = g->role.ops->work(g->role.self);
    if (rc < 0)
        fail_msg("work: %s", tc_error());
    return rc;
}

static int count(void *ctx, const struct tc_record *row)
{
    (void)row;
    ++*(int64_t *)ctx;
    return 0;
}

static int64_t stored(struct rig *g, enum tc_topic topic)
{
    struct tc_range q = {.from = INT64_MIN, .to = INT64_MAX, .interval_ms = 1000};
    int64_t n = 0;
    int rc = topic == TC_TOPIC_BARS ? g->store.ops->bars(g->store.self, &q, count, &n)
                                    : g->store.ops->forecasts(g->store.self, &q, count, &n);
    assert_int_equal(rc, TC_OK);
    return n;
}

static int64_t position(struct rig *g, enum tc_topic topic)
{
    int64_t out;
    assert_int_equal(g->store.ops->position(g->store.self, "store", topic, &out), TC_OK);
    return out;
}

static int64_t metric(const char *result)
{
    char labels[64];
    snprintf(labels, sizeof(labels), "result=\"%s\"", result);
    tc_metric *m = tc_metric_find("tickcast_stored_total", labels);
    return m ? tc_metric_get(m) : 0;
}

/* --- tests -----------------------------------------------------------------------------------------------
 */

static void both_topics_are_stored_to_their_end(void **state)
{
    (void)state;
    struct rig *g = make_rig(1001);
    open_role(g);
    assert_false(g->role.ops->ended(g->role.self));
    int64_t before = metric("inserted") + metric("superseded"), done = 0;
    int n;
    while ((n = work(g)) > 0)
        done += n;
    assert_int_equal(done, 2002);
    assert_true(g->role.ops->ended(g->role.self));
    assert_int_equal(stored(g, TC_TOPIC_BARS), 1000);
    assert_int_equal(stored(g, TC_TOPIC_FORECASTS), 980);
    assert_int_equal(metric("inserted") + metric("superseded") - before, 2002);
    assert_int_equal(g->mem.topic[TC_TOPIC_BARS].committed, 1001);
    assert_int_equal(g->mem.topic[TC_TOPIC_FORECASTS].committed, 1001);
    struct tc_snapshot snap;
    assert_int_equal(g->store.ops->snapshot(g->store.self, "forecast", &snap), TC_OK);
    struct tc_record back;
    assert_int_equal(tc_record_decode((const uint8_t *)snap.bytes.data, snap.bytes.len, &back), TC_OK);
    assert_true(snap.position == 999 && back.checkpoint.blob_len == 5);
    assert_memory_equal(back.checkpoint.blob, "state", 5);
    tc_buf_release(&snap.bytes);
    close_role(g);
    open_role(g);
    assert_true(g->role.ops->ended(g->role.self));
    assert_int_equal(work(g), 0);
    close_role(g);
    free_rig(g);
}

static void without_forecasts_the_end_of_bars_is_the_end(void **state)
{
    (void)state;
    struct rig *g = make_rig(100);
    g->conf.forecasts = false;
    g->mem.topic[TC_TOPIC_FORECASTS].end = g->mem.topic[TC_TOPIC_FORECASTS].synced = 0;
    open_role(g);
    while (work(g) > 0)
        ;
    assert_true(g->role.ops->ended(g->role.self));
    close_role(g);
    free_rig(g);
}

static void a_record_is_stored_only_when_the_bus_has_synced_it(void **state)
{
    (void)state;
    struct rig *g = make_rig(100);
    for (int t = 0; t < TC_TOPIC_POSTS; t++)
        g->mem.topic[t].synced = 10;
    open_role(g);
    while (work(g) > 0)
        ;
    assert_int_equal(position(g, TC_TOPIC_BARS), 10);
    assert_int_equal(stored(g, TC_TOPIC_BARS), 10);
    assert_int_equal(tc_metric_get(tc_metric_find("tickcast_lag_records", "role=\"store\",topic=\"bars\"")),
                     90);
    assert_int_equal(g->role.ops->flush(g->role.self, tc_mono_ns() + 10 * SEC), TC_OK);
    assert_int_equal(position(g, TC_TOPIC_BARS), 100);
    assert_int_equal(g->mem.topic[TC_TOPIC_BARS].committed, 100);
    close_role(g);
    free_rig(g);
}

static void a_flush_past_its_deadline_says_that_it_was_cut_short(void **state)
{
    (void)state;
    struct rig *g = make_rig(1000);
    open_role(g);
    assert_int_equal(g->role.ops->flush(g->role.self, tc_mono_ns() - 1), TC_AGAIN);
    close_role(g);
    free_rig(g);
}

static void an_undecodable_record_goes_to_the_dead_letters_and_the_rest_is_stored(void **state)
{
    (void)state;
    struct rig *g = make_rig(100);
    g->mem.undecodable = 42;
    tc_log_set_level(TC_LOG_ERROR);
    int64_t before = metric("dead_lettered");
    open_role(g);
    while (work(g) > 0)
        ;
    assert_true(g->role.ops->ended(g->role.self));
    assert_int_equal(stored(g, TC_TOPIC_BARS), 98);
    assert_int_equal(metric("dead_lettered") - before, 1);
    char line[200] = "";
    FILE *f = fopen(g->dead, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    fclose(f);
    assert_string_equal(line,
                        "{\"topic\":\"bars\",\"offset\":42,\"reason\":\"record of unknown type 99\"}\n");
    close_role(g);
    free_rig(g);
}

static void an_end_in_one_batch_with_a_dead_letter_ends_the_topic(void **state)
{
    (void)state;
    struct rig *g = make_rig(100);
    g->mem.undecodable = 97;
    tc_log_set_level(TC_LOG_ERROR);
    open_role(g);
    while (work(g) > 0)
        ;
    assert_true(g->role.ops->ended(g->role.self));
    close_role(g);
    free_rig(g);
}

static void the_bus_hears_from_the_start_what_the_store_still_needs(void **state)
{
    (void)state;
    struct rig *g = make_rig(100);
    for (int t = 0; t < TC_TOPIC_POSTS; t++) {
        g->mem.topic[t].committed = -1;
        g->mem.topic[t].synced = 0;
    }
    open_role(g);
    work(g);
    assert_int_equal(g->mem.topic[TC_TOPIC_BARS].committed, 0);
    assert_int_equal(g->mem.topic[TC_TOPIC_FORECASTS].committed, 0);
    close_role(g);
    free_rig(g);
}

static void a_log_that_has_lost_what_the_store_needs_is_refused(void **state)
{
    (void)state;
    struct rig *g = make_rig(100);
    g->mem.topic[TC_TOPIC_BARS].first = 5;
    assert_int_equal(tc_sqlite_open(g->path, TC_WORLD_REPLAY, &g->store), TC_OK);
    assert_int_equal(tc_persist_open(&g->conf, &g->role), TC_ENOTFOUND);
    assert_non_null(strstr(tc_error(), "do not belong together"));
    g->store.ops->close(g->store.self);
    free_rig(g);
}

static void a_small_batch_waits_to_grow_and_no_longer(void **state)
{
    (void)state;
    struct rig *g = make_rig(200);
    g->conf.batch_wait_ns = 30 * TC_NS_PER_MS;
    for (int t = 0; t < TC_TOPIC_POSTS; t++)
        g->mem.topic[t].synced = 10;
    open_role(g);
    assert_int_equal(work(g), 0);
    tc_sleep_until_mono(tc_mono_ns() + 40 * TC_NS_PER_MS);
    assert_int_equal(work(g), 20);
    g->mem.topic[TC_TOPIC_BARS].synced = 10 + 64;
    assert_int_equal(work(g), 64);
    close_role(g);
    free_rig(g);
}

static void *work_until_stopped(void *arg)
{
    struct rig *g = arg;
    for (int i = 0; i < 2000 && position(g, TC_TOPIC_FORECASTS) < 50; i++) {
        if (g->role.ops->work(g->role.self) < 0)
            return arg;
        usleep(1000);
    }
    return NULL;
}

static void a_reader_that_asks_need_not_wait_for_a_batch_to_grow(void **state)
{
    (void)state;
    struct rig *g = make_rig(50);
    g->conf.batch_wait_ns = 3600 * SEC;
    open_role(g);
    assert_int_equal(work(g), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, work_until_stopped, g), 0);
    int64_t begin = tc_mono_ns();
    tc_persist_catch_up(&g->role, 60 * SEC);
    assert_true(tc_mono_ns() - begin < 30 * SEC);
    void *failed;
    pthread_join(thread, &failed);
    assert_null(failed);
    assert_int_equal(position(g, TC_TOPIC_BARS), 50);
    assert_int_equal(position(g, TC_TOPIC_FORECASTS), 50);
    tc_persist_catch_up(&g->role, 60 * SEC); /* nothing is missing: at once */
    close_role(g);
    free_rig(g);
}

static void forecasts_past_their_retention_are_deleted(void **state)
{
    (void)state;
    struct rig *g = make_rig(1000);
    struct tc_record *out = g->mem.topic[TC_TOPIC_FORECASTS].at;
    for (int i = 1; i < 999; i += 2) {
        int64_t origin = T0 + i * SEC;
        out[i] = (struct tc_record){.type = TC_REC_OUTCOME};
        strcpy(out[i].outcome.symbol, "SPY");
        out[i].outcome.origin_time = origin;
    }
    g->conf.retain_forecasts_ns = 100 * SEC;
    open_role(g);
    while (work(g) > 0)
        ;
    struct tc_store_info info;
    assert_int_equal(g->store.ops->info(g->store.self, &info), TC_OK);
    assert_true(info.oldest_forecast > T0);
    close_role(g);
    open_role(g);
    work(g);
    g->store.ops->info(g->store.self, &info);
    assert_true(info.oldest_forecast == T0 + 897 * SEC);
    close_role(g);
    free_rig(g);
}

/* The child stores until it is killed; it exits with 0 when all is stored. */
static void child_run(struct rig *g)
{
    open_role(g);
    while (!g->role.ops->ended(g->role.self))
        if (g->role.ops->work(g->role.self) < 0)
            _exit(3);
    close_role(g);
    _exit(0);
}

static void expect_rows_match_position(struct rig *g)
{
    struct tc_store_info info;
    assert_int_equal(tc_sqlite_open(g->path, TC_WORLD_REPLAY, &g->store), TC_OK);
    assert_int_equal(g->store.ops->info(g->store.self, &info), TC_OK);
    int64_t bars = info.position[TC_TOPIC_BARS], forecasts = info.position[TC_TOPIC_FORECASTS];
    assert_int_equal(stored(g, TC_TOPIC_BARS), bars - info.ended[TC_TOPIC_BARS]);
    assert_int_equal(stored(g, TC_TOPIC_FORECASTS),
                     forecasts - forecasts / 50 - info.ended[TC_TOPIC_FORECASTS]);
    g->store.ops->close(g->store.self);
}

static void killed_at_any_moment_rows_and_position_agree_and_nothing_is_lost(void **state)
{
    (void)state;
    enum { N = 4001, KILLS = 40 };
    struct rig *g = make_rig(N);
    struct tc_rng rng;
    tc_rng_seed(&rng, 11);
    int killed = 0;
    for (int i = 0; i < KILLS; i++) {
        g->conf.batch_rows = 1 + tc_rng_below(&rng, 100);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            child_run(g);
        usleep((useconds_t)(1000 + tc_rng_below(&rng, 8000)));
        kill(pid, SIGKILL);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        killed += WIFSIGNALED(status);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        expect_rows_match_position(g);
    }
    assert_true(killed > 0);
    open_role(g);
    while (!g->role.ops->ended(g->role.self))
        work(g);
    assert_int_equal(stored(g, TC_TOPIC_BARS), N - 1);
    assert_int_equal(stored(g, TC_TOPIC_FORECASTS), N - 1 - N / 50);
    close_role(g);
    free_rig(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_topics_are_stored_to_their_end),
        cmocka_unit_test(without_forecasts_the_end_of_bars_is_the_end),
        cmocka_unit_test(a_record_is_stored_only_when_the_bus_has_synced_it),
        cmocka_unit_test(a_flush_past_its_deadline_says_that_it_was_cut_short),
        cmocka_unit_test(an_undecodable_record_goes_to_the_dead_letters_and_the_rest_is_stored),
        cmocka_unit_test(an_end_in_one_batch_with_a_dead_letter_ends_the_topic),
        cmocka_unit_test(the_bus_hears_from_the_start_what_the_store_still_needs),
        cmocka_unit_test(a_log_that_has_lost_what_the_store_needs_is_refused),
        cmocka_unit_test(a_small_batch_waits_to_grow_and_no_longer),
        cmocka_unit_test(a_reader_that_asks_need_not_wait_for_a_batch_to_grow),
        cmocka_unit_test(forecasts_past_their_retention_are_deleted),
        cmocka_unit_test(killed_at_any_moment_rows_and_position_agree_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
