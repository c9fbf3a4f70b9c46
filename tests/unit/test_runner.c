#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "role/runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

/* A bus that nobody publishes on: waiting is a short sleep. */
static void no_wait(void *self, uint64_t *seen, int64_t timeout_ns)
{
    (void)self;
    (void)seen;
    tc_sleep_until_mono(tc_mono_ns() + (timeout_ns < TC_NS_PER_MS ? timeout_ns : TC_NS_PER_MS));
}

static void no_wake(void *self)
{
    (void)self;
}

static const struct tc_bus_ops quiet = {.name = "quiet", .wait = no_wait, .wake = no_wake};

struct part {
    atomic_int handed, done, flushed_at;
    int limit, break_at;
    bool flush_breaks;
};

static atomic_int flush_order;

static int part_work(void *self)
{
    struct part *p = self;
    if (p->break_at && p->done >= p->break_at)
        return tc_fail(TC_EIO, "the disk is full");
    if (p->done >= p->limit)
        return 0;
    p->done++;
    return 1;
}

static bool part_ended(const void *self)
{
    const struct part *p = self;
    return p->done >= p->limit;
}

static int part_flush(void *self, int64_t deadline)
{
    struct part *p = self;
    p->flushed_at = ++flush_order;
    if (p->flush_breaks)
        return tc_fail(TC_EIO, "the disk is full");
    return tc_mono_ns() < deadline ? TC_OK : TC_AGAIN;
}

static const struct tc_role_ops part_ops = {
    .name = "part", .work = part_work, .ended = part_ended, .flush = part_flush};

static void wait_for(const struct tc_runner *r)
{
    for (int i = 0; i < 2000 && !tc_runner_ended(r) && !tc_runner_failed(r); i++)
        tc_sleep_until_mono(tc_mono_ns() + TC_NS_PER_MS);
}

static void roles_run_to_their_end_and_stop_in_order(void **state)
{
    (void)state;
    struct part a = {.limit = 1000}, b = {.limit = 10};
    struct tc_bus bus = {.ops = &quiet};
    struct tc_role roles[] = {{&part_ops, &a}, {&part_ops, &b}};
    struct tc_runner *r;
    flush_order = 0;
    assert_int_equal(tc_runner_start(&bus, roles, 2, &r), TC_OK);
    wait_for(r);
    assert_true(tc_runner_ended(r));
    assert_int_equal(tc_runner_failed(r), 0);
    assert_true(tc_runner_stop(r, tc_mono_ns() + TC_NS_PER_SEC));
    assert_int_equal(a.done, 1000);
    assert_int_equal(a.flushed_at, 1);
    assert_int_equal(b.flushed_at, 2);
}

static void a_broken_role_is_named(void **state)
{
    (void)state;
    struct part a = {.limit = 1000000000}, b = {.limit = 10, .break_at = 5};
    struct tc_bus bus = {.ops = &quiet};
    struct tc_role roles[] = {{&part_ops, &a}, {&part_ops, &b}};
    struct tc_runner *r;
    assert_int_equal(tc_runner_start(&bus, roles, 2, &r), TC_OK);
    wait_for(r);
    assert_int_equal(tc_runner_failed(r), TC_EIO);
    assert_string_equal(tc_runner_failure(r), "part: the disk is full");
    tc_runner_stop(r, tc_mono_ns() + TC_NS_PER_SEC);
}

static void a_deadline_that_has_passed_is_told(void **state)
{
    (void)state;
    struct part a = {.limit = 1};
    struct tc_bus bus = {.ops = &quiet};
    struct tc_role role = {&part_ops, &a};
    struct tc_runner *r;
    assert_int_equal(tc_runner_start(&bus, &role, 1, &r), TC_OK);
    wait_for(r);
    assert_false(tc_runner_stop(r, tc_mono_ns()));
}

static void a_last_flush_that_fails_is_told(void **state)
{
    (void)state;
    struct part a = {.limit = 1, .flush_breaks = true};
    struct tc_bus bus = {.ops = &quiet};
    struct tc_role role = {&part_ops, &a};
    struct tc_runner *r;
    tc_log_set_level(TC_LOG_ERROR - 1);
    assert_int_equal(tc_runner_start(&bus, &role, 1, &r), TC_OK);
    wait_for(r);
    assert_false(tc_runner_stop(r, tc_mono_ns() + TC_NS_PER_SEC));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_run_to_their_end_and_stop_in_order),
        cmocka_unit_test(a_broken_role_is_named),
        cmocka_unit_test(a_deadline_that_has_passed_is_told),
        cmocka_unit_test(a_last_flush_that_fails_is_told),
    };
    return cmocka_run_group_tests_name("runner", tests, NULL, NULL);
}
