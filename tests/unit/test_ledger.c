#include "base/clock.h"
#include "base/err.h"
#include "store/store.h"

#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define T0 INT64_C(1381152600000000000) /* 2013-10-07 */

struct folder {
    char dir[64], path[96];
    struct tc_store store;
    struct tc_ledger *ledger;
};

static void open_folder(struct folder *f)
{
    snprintf(f->dir, sizeof(f->dir), "/tmp/tc-ledger-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/tickcast.db", f->dir);
    assert_int_equal(tc_sqlite_open(f->path, TC_WORLD_LIVE, &f->store), TC_OK);
    assert_int_equal(tc_ledger_open(f->path, &f->ledger), TC_OK);
}

static void close_folder(struct folder *f)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    tc_ledger_close(f->ledger);
    f->store.ops->close(f->store.self);
    for (int i = 0; i < 3; i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s%s", f->path, tails[i]);
        unlink(path);
    }
    rmdir(f->dir);
}

struct rows {
    size_t n;
    struct tc_ledger_row at[16];
};

static int take(void *ctx, const struct tc_ledger_row *row)
{
    struct rows *r = ctx;
    assert_true(r->n < 16);
    r->at[r->n++] = *row;
    return 0;
}

static struct tc_ledger_row job(const char *name, int32_t day, const char *result)
{
    struct tc_ledger_row r = {.kind = TC_LEDGER_JOB, .job = {.day = day, .started = T0, .finished = T0 + 5}};
    snprintf(r.job.name, sizeof(r.job.name), "%s", name);
    snprintf(r.job.result, sizeof(r.job.result), "%s", result);
    snprintf(r.job.message, sizeof(r.job.message), "it's \"done\"");
    return r;
}

static void rows_read_back_through_a_reader_of_the_store_newest_first(void **state)
{
    (void)state;
    struct folder f;
    struct rows got = {0};
    open_folder(&f);
    struct tc_ledger_row rows[] = {job("retention", 20131007, "running"), job("retention", 20131008, "done"),
                                   job("quality", 20131008, "done"), job("retention", 20131007, "failed")};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(tc_ledger_put(f.ledger, &rows[i]), TC_OK);

    struct tc_store reader;
    assert_int_equal(tc_sqlite_open_reader(f.path, &reader), TC_OK);
    struct tc_ledger_query q = {.kind = TC_LEDGER_JOB, .key = "retention"};
    assert_int_equal(reader.ops->ledger(reader.self, &q, take, &got), TC_OK);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.at[0].job.day, 20131008);
    assert_string_equal(got.at[1].job.result, "failed"); /* replaced what was there */
    assert_string_equal(got.at[1].job.message, "it's \"done\"");
    assert_int_equal(got.at[1].job.finished, T0 + 5);
    q = (struct tc_ledger_query){.kind = TC_LEDGER_JOB, .limit = 1};
    got.n = 0;
    assert_int_equal(reader.ops->ledger(reader.self, &q, take, &got), TC_OK);
    assert_int_equal(got.n, 1);
    reader.ops->close(reader.self);

    struct tc_ledger_job one;
    assert_int_equal(tc_ledger_job(f.ledger, "quality", 20131008, &one), TC_OK);
    assert_int_equal(tc_ledger_job(f.ledger, "quality", 20131009, &one), TC_ENOTFOUND);
    close_folder(&f);
}

static void every_kind_reads_back_and_has_its_json(void **state)
{
    (void)state;
    struct folder f;
    struct rows got = {0};
    char room[2000];
    struct tc_buf out;
    open_folder(&f);
    struct tc_ledger_row rows[] = {
        {.kind = TC_LEDGER_ALERT,
         .alert = {.rule = "price SPY > 700",
                   .subject = "SPY",
                   .since = T0,
                   .value = 700.5,
                   .bound = 700,
                   .message = "SPY at 700.5"}},
        {.kind = TC_LEDGER_RECONCILED,
         .reconciled = {.symbol = "SPY",
                        .source = "file",
                        .day = 20131007,
                        .interval_ms = 60000,
                        .compared = 390,
                        .mismatches = 2,
                        .missing_own = 1,
                        .own_volume = 1000.5,
                        .vendor_volume = NAN,
                        .written = T0}},
        {.kind = TC_LEDGER_FLAG,
         .flag = {.symbol = "SPY",
                  .day = 20131008,
                  .kind = "split",
                  .value = 2,
                  .message = "halved",
                  .written = T0}},
    };
    static const char *const json[] = {
        "{\"rule\":\"price SPY > 700\",\"subject\":\"SPY\",\"since\":1381152600000000000,\"until\":null,"
        "\"value\":700.5,\"bound\":700,\"message\":\"SPY at 700.5\"}",
        "{\"symbol\":\"SPY\",\"day\":20131007,\"interval_ms\":60000,\"source\":\"file\",\"compared\":390,"
        "\"mismatches\":2,\"missing_own\":1,\"missing_vendor\":0,\"own_volume\":1000.5,"
        "\"vendor_volume\":null,\"worst\":null,\"written\":1381152600000000000}",
        "{\"symbol\":\"SPY\",\"day\":20131008,\"kind\":\"split\",\"value\":2,\"message\":\"halved\","
        "\"written\":1381152600000000000}",
    };
    tc_buf_init_fixed(&out, room, sizeof(room));
    for (size_t i = 0; i < 3; i++) {
        struct tc_ledger_query q = {.kind = rows[i].kind, .key = "SPY", .from_day = 20131007};
        assert_int_equal(tc_ledger_put(f.ledger, &rows[i]), TC_OK);
        got.n = 0;
        assert_int_equal(f.store.ops->ledger(f.store.self, &q, take, &got), TC_OK);
        assert_int_equal(got.n, 1);
        tc_buf_clear(&out);
        tc_ledger_to_json(&got.at[0], &out);
        assert_string_equal(room, json[i]);
    }
    close_folder(&f);
}

static void old_rows_go_and_alerts_of_a_killed_program_end(void **state)
{
    (void)state;
    struct folder f;
    struct rows got = {0};
    int64_t deleted = 0;
    open_folder(&f);
    struct tc_ledger_row rows[] = {
        job("retention", 20131007, "done"),
        job("retention", 20131009, "done"),
        {.kind = TC_LEDGER_ALERT, .alert = {.rule = "a", .since = T0, .until = 0}},
        {.kind = TC_LEDGER_ALERT, .alert = {.rule = "b", .since = T0, .until = T0 + 1}}};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(tc_ledger_put(f.ledger, &rows[i]), TC_OK);
    assert_int_equal(tc_ledger_trim(f.ledger, 20131009, &deleted), TC_OK);
    assert_int_equal(deleted, 2); /* an alert that stands stays */
    assert_int_equal(tc_ledger_end_alerts(f.ledger, T0 + 9), TC_OK);
    struct tc_ledger_query q = {.kind = TC_LEDGER_ALERT};
    assert_int_equal(tc_ledger_read(f.ledger, &q, take, &got), TC_OK);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.at[0].alert.until, T0 + 9);
    close_folder(&f);
}

static void a_store_of_an_earlier_schema_gets_the_tables(void **state)
{
    (void)state;
    struct folder f;
    open_folder(&f);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "DROP TABLE jobs; DROP TABLE alerts; DROP TABLE reconciled; DROP TABLE "
                                  "flags; PRAGMA user_version = 2",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    f.store.ops->close(f.store.self);
    assert_int_equal(tc_sqlite_open(f.path, TC_WORLD_LIVE, &f.store), TC_OK);
    struct tc_ledger_row row = job("quality", 20131007, "done");
    assert_int_equal(tc_ledger_put(f.ledger, &row), TC_OK);
    close_folder(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_read_back_through_a_reader_of_the_store_newest_first),
        cmocka_unit_test(every_kind_reads_back_and_has_its_json),
        cmocka_unit_test(old_rows_go_and_alerts_of_a_killed_program_end),
        cmocka_unit_test(a_store_of_an_earlier_schema_gets_the_tables),
    };
    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
