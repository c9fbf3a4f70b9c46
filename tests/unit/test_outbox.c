#include "base/err.h"
#include "base/rng.h"
#include "bus/file.h"
#include "bus/outbox.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* A little role: sums its input, writes one or two records for each input, a checkpoint every 10 inputs. */
struct sum_state {
    int64_t sum, done;
};

struct sum_role {
    struct tc_bus *bus;
    struct tc_outbox *out;
    struct tc_bus_reader *in;
    struct sum_state state;
};

static char dir[256];
static int64_t calls_left; /* until the "kill": the add or flush after the last does not happen */
static bool disk_full;

static int no_fsync(int fd)
{
    (void)fd;
    return 0;
}

static ssize_t maybe_full_write(int fd, const void *bytes, size_t n)
{
    if (disk_full) {
        errno = ENOSPC;
        return -1;
    }
    return write(fd, bytes, n);
}

static struct tc_file_ops quick;

static int make_dir(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%s/tc-outbox-XXXXXX", tmp ? tmp : "/var/tmp");
    quick = tc_file_system;
    quick.fsync = no_fsync;
    quick.write = maybe_full_write;
    disk_full = false;
    tc_files = &quick;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char cmd[300];
    tc_files = &tc_file_system;
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
    return system(cmd);
}

static struct tc_bus open_bus(void)
{
    struct tc_log_bus_conf conf = {
        .dir = dir, .segment_bytes = 4000, .sync_every_ns = INT64_C(3600000000000)};
    struct tc_bus bus;
    if (tc_log_bus_open(&conf, &bus))
        fail_msg("open: %s", tc_error());
    return bus;
}

static void publish_input(struct tc_bus *bus, int64_t n, bool end)
{
    struct tc_record r = {.type = TC_REC_GAP, .from = -1};
    for (int64_t i = 0; i < n; i++) {
        r.gap.start = i;
        assert_int_equal(bus->ops->publish(bus->self, TC_TOPIC_BARS, &r, 1), TC_OK);
    }
    r.type = TC_REC_END;
    if (end)
        assert_int_equal(bus->ops->publish(bus->self, TC_TOPIC_BARS, &r, 1), TC_OK);
}

static bool is_foreign(const struct tc_record *r)
{
    return r->type == TC_REC_GAP && !strcmp(r->gap.symbol, "FOREIGN");
}

static int open_role(struct sum_role *role, struct tc_bus *bus)
{
    *role = (struct sum_role){.bus = bus};
    struct tc_outbox_conf conf = {.bus = bus,
                                  .topic = TC_TOPIC_FORECASTS,
                                  .input = TC_TOPIC_BARS,
                                  .role = "sum",
                                  .snapshot_position = -1,
                                  .batch = 4,
                                  .foreign = is_foreign};
    int rc = tc_outbox_open(&conf, &role->out);
    if (rc)
        return rc;
    const struct tc_checkpoint *c = tc_outbox_checkpoint(role->out);
    if (c) {
        assert_int_equal(c->blob_len, sizeof(role->state));
        memcpy(&role->state, c->blob, sizeof(role->state));
        assert_int_equal(c->position, role->state.done);
    }
    return bus->ops->open_reader(bus->self, TC_TOPIC_BARS, role->state.done, 0, &role->in);
}

static void close_role(struct sum_role *role)
{
    if (role->in)
        role->bus->ops->close_reader(role->in);
    tc_outbox_close(role->out);
}

static bool killed(void)
{
    return calls_left-- <= 0;
}

/* One input record. False when killed on the way or at the end. */
static bool step(struct sum_role *role)
{
    struct tc_record in, out = {0};
    int64_t at;
    int rc = role->bus->ops->read(role->in, &in, &at);
    if (rc)
        return false;
    role->state.done++;
    role->state.sum += in.type == TC_REC_GAP ? in.gap.start : 0;
    out.from = at;
    out.type = in.type == TC_REC_END ? TC_REC_END : TC_REC_GAP;
    if (out.type == TC_REC_GAP) {
        out.gap.start = role->state.sum;
        snprintf(out.gap.symbol, sizeof(out.gap.symbol), "S%d", (int)(at % 3));
    }
    for (int64_t i = 0; i < (out.type == TC_REC_END ? 1 : 1 + at % 2); i++) {
        if (killed() || tc_outbox_add(role->out, &out))
            return false;
    }
    if (role->state.done % 10 == 0) {
        struct tc_record c = {.type = TC_REC_CHECKPOINT, .from = at};
        c.checkpoint = (struct tc_checkpoint){"sum",
                                              "",
                                              TC_TOPIC_BARS,
                                              0,
                                              role->state.done,
                                              (const uint8_t *)&role->state,
                                              sizeof(role->state)};
        if (killed() || tc_outbox_add(role->out, &c))
            return false;
    }
    return at % 5 || (!killed() && !tc_outbox_flush(role->out));
}

static void run_role(struct tc_bus *bus)
{
    struct sum_role role;
    if (open_role(&role, bus))
        fail_msg("%s", tc_error());
    while (step(&role))
        ;
    if (!killed() && tc_outbox_flush(role.out))
        fail_msg("%s", tc_error());
    close_role(&role);
}

/* The whole output topic as bytes. */
static void read_output(struct tc_bus *bus, struct tc_buf *out)
{
    struct tc_bus_reader *r;
    struct tc_record rec;
    int64_t at;
    tc_buf_init(out, 1 << 24);
    assert_int_equal(bus->ops->open_reader(bus->self, TC_TOPIC_FORECASTS, 0, 0, &r), TC_OK);
    while (bus->ops->read(r, &rec, &at) == TC_OK)
        assert_int_equal(tc_record_encode(&rec, out), TC_OK);
    bus->ops->close_reader(r);
}

static void reference_output(struct tc_buf *want)
{
    struct tc_bus bus = open_bus();
    publish_input(&bus, 100, true);
    calls_left = INT64_MAX;
    run_role(&bus);
    read_output(&bus, want);
    assert_true(want->len > 1000);
    bus.ops->close(bus.self);
    assert_int_equal(remove_dir(NULL), 0);
    assert_int_equal(make_dir(NULL), 0);
}

static void a_role_killed_at_any_call_writes_the_same_topic_in_the_end(void **state)
{
    (void)state;
    struct tc_buf want, got;
    reference_output(&want);
    for (int64_t kill = 0; kill < 200; kill++) {
        struct tc_bus bus = open_bus();
        publish_input(&bus, 100, true);
        calls_left = kill;
        run_role(&bus);
        calls_left = kill / 2 + 3; /* and once more on the way back */
        run_role(&bus);
        bus.ops->close(bus.self);
        bus = open_bus();
        calls_left = INT64_MAX;
        run_role(&bus);
        read_output(&bus, &got);
        assert_int_equal(got.len, want.len);
        assert_memory_equal(got.data, want.data, want.len);
        tc_buf_release(&got);
        bus.ops->close(bus.self);
        assert_int_equal(remove_dir(NULL), 0);
        assert_int_equal(make_dir(NULL), 0);
    }
    tc_buf_release(&want);
}

static void a_finished_topic_says_so_and_takes_nothing_twice(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus();
    publish_input(&bus, 25, true);
    calls_left = INT64_MAX;
    run_role(&bus);
    struct tc_bus_stat before, after;
    bus.ops->stat(bus.self, TC_TOPIC_FORECASTS, &before);
    struct sum_role role;
    assert_int_equal(open_role(&role, &bus), TC_OK);
    assert_true(tc_outbox_finished(role.out));
    while (step(&role))
        ;
    assert_int_equal(tc_outbox_flush(role.out), TC_OK);
    assert_int_equal(tc_outbox_swallowed(role.out), before.end - before.first - 32);
    close_role(&role);
    bus.ops->stat(bus.self, TC_TOPIC_FORECASTS, &after);
    assert_int_equal(after.end, before.end);
    bus.ops->close(bus.self);
}

static void output_whose_cause_was_lost_is_cut_off(void **state)
{
    (void)state;
    struct tc_buf want, got;
    reference_output(&want);
    for (int64_t keep = 0; keep <= 100; keep += 9) {
        struct tc_bus bus = open_bus();
        publish_input(&bus, 100, true);
        calls_left = INT64_MAX;
        run_role(&bus);
        assert_int_equal(bus.ops->truncate(bus.self, TC_TOPIC_BARS, keep), TC_OK);
        struct sum_role role;
        assert_int_equal(open_role(&role, &bus), TC_OK);
        assert_false(tc_outbox_finished(role.out));
        struct tc_bus_stat s;
        bus.ops->stat(bus.self, TC_TOPIC_FORECASTS, &s);
        assert_int_equal(s.end, keep + keep / 2 + keep / 10);
        close_role(&role);
        struct tc_record r = {.type = TC_REC_GAP, .from = -1};
        for (int64_t i = keep; i < 100; i++) {
            r.gap.start = i;
            assert_int_equal(bus.ops->publish(bus.self, TC_TOPIC_BARS, &r, 1), TC_OK);
        }
        r.type = TC_REC_END;
        assert_int_equal(bus.ops->publish(bus.self, TC_TOPIC_BARS, &r, 1), TC_OK);
        run_role(&bus);
        read_output(&bus, &got);
        assert_int_equal(got.len, want.len);
        assert_memory_equal(got.data, want.data, want.len);
        tc_buf_release(&got);
        bus.ops->close(bus.self);
        assert_int_equal(remove_dir(NULL), 0);
        assert_int_equal(make_dir(NULL), 0);
    }
    tc_buf_release(&want);
}

static void a_checkpoint_far_back_is_found(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus();
    struct tc_record r = {.type = TC_REC_CHECKPOINT, .from = -1};
    r.checkpoint = (struct tc_checkpoint){.role = "collect", .blob = (const uint8_t *)"abc", .blob_len = 3};
    assert_int_equal(bus.ops->publish(bus.self, TC_TOPIC_BARS, &r, 1), TC_OK);
    publish_input(&bus, 40000, false);
    struct tc_outbox_conf conf = {.bus = &bus,
                                  .topic = TC_TOPIC_BARS,
                                  .input = -1,
                                  .role = "collect",
                                  .snapshot_position = -1,
                                  .batch = 10};
    struct tc_outbox *o;
    assert_int_equal(tc_outbox_open(&conf, &o), TC_OK);
    const struct tc_checkpoint *c = tc_outbox_checkpoint(o);
    assert_non_null(c);
    assert_memory_equal(c->blob, "abc", 3);
    tc_outbox_close(o);
    conf.snapshot_position = 999999; /* from a store that knows more than the log: not trusted */
    assert_int_equal(tc_outbox_open(&conf, &o), TC_OK);
    assert_non_null(tc_outbox_checkpoint(o));
    tc_outbox_close(o);
    bus.ops->close(bus.self);
}

static void a_record_that_differs_from_the_one_written_before_is_an_error(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus();
    publish_input(&bus, 25, false);
    calls_left = INT64_MAX;
    run_role(&bus);
    struct sum_role role;
    assert_int_equal(open_role(&role, &bus), TC_OK);
    struct tc_record r = {.type = TC_REC_GAP, .from = 20, .gap = {.symbol = "OTHER"}};
    assert_int_equal(tc_outbox_add(role.out, &r), TC_EINPUT);
    assert_non_null(strstr(tc_error(), "OTHER"));
    assert_non_null(strstr(tc_error(), "other settings"));
    close_role(&role);
    bus.ops->close(bus.self);
}

/* The topic without what came from elsewhere, and how much that was. */
static int64_t read_own(struct tc_bus *bus, struct tc_buf *out)
{
    struct tc_bus_reader *r;
    struct tc_record rec;
    int64_t at, foreign = 0;
    tc_buf_init(out, 1 << 24);
    assert_int_equal(bus->ops->open_reader(bus->self, TC_TOPIC_FORECASTS, 0, 0, &r), TC_OK);
    while (bus->ops->read(r, &rec, &at) == TC_OK) {
        if (is_foreign(&rec))
            foreign++;
        else
            assert_int_equal(tc_record_encode(&rec, out), TC_OK);
    }
    bus->ops->close_reader(r);
    return foreign;
}

static void records_of_others_are_passed_over_and_stay(void **state)
{
    (void)state;
    struct tc_buf want, got;
    reference_output(&want);
    struct tc_bus bus = open_bus();
    struct tc_record in = {.type = TC_REC_GAP, .from = -1}, other = {.type = TC_REC_GAP};
    snprintf(other.gap.symbol, sizeof(other.gap.symbol), "FOREIGN");
    calls_left = INT64_MAX;
    for (int64_t i = 0; i < 100; i++) { /* every input a start of its own, from the last checkpoint on */
        in.gap.start = i;
        assert_int_equal(bus.ops->publish(bus.self, TC_TOPIC_BARS, &in, 1), TC_OK);
        run_role(&bus);
        other.from = i;
        if (i % 3 == 0)
            assert_int_equal(bus.ops->publish(bus.self, TC_TOPIC_FORECASTS, &other, 1), TC_OK);
    }
    in.type = TC_REC_END;
    assert_int_equal(bus.ops->publish(bus.self, TC_TOPIC_BARS, &in, 1), TC_OK);
    run_role(&bus);
    assert_int_equal(read_own(&bus, &got), 34);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.data, want.data, want.len);
    tc_buf_release(&got);
    tc_buf_release(&want);
    bus.ops->close(bus.self);
}

static void a_full_disk_loses_nothing_when_it_is_tried_again(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus();
    struct tc_outbox_conf conf = {.bus = &bus,
                                  .topic = TC_TOPIC_BARS,
                                  .input = -1,
                                  .role = "collect",
                                  .snapshot_position = -1,
                                  .batch = 3};
    struct tc_outbox *o;
    assert_int_equal(tc_outbox_open(&conf, &o), TC_OK);
    struct tc_record r = {.type = TC_REC_GAP, .from = -1};
    for (int64_t i = 0; i < 300; i++) {
        r.gap.start = i;
        disk_full = i % 7 == 3;
        if (tc_outbox_add(o, &r)) {
            disk_full = false;
            assert_int_equal(tc_outbox_add(o, &r), TC_OK);
        }
    }
    assert_int_equal(tc_outbox_flush(o), TC_OK);
    tc_outbox_close(o);
    struct tc_bus_reader *reader;
    assert_int_equal(bus.ops->open_reader(bus.self, TC_TOPIC_BARS, 0, 0, &reader), TC_OK);
    int64_t at, n = 0;
    for (; bus.ops->read(reader, &r, &at) == TC_OK; n++)
        assert_true(r.gap.start == n);
    assert_int_equal(n, 300);
    bus.ops->close_reader(reader);
    bus.ops->close(bus.self);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_role_killed_at_any_call_writes_the_same_topic_in_the_end),
        T(a_finished_topic_says_so_and_takes_nothing_twice),
        T(output_whose_cause_was_lost_is_cut_off),
        T(a_checkpoint_far_back_is_found),
        T(a_record_that_differs_from_the_one_written_before_is_an_error),
        T(records_of_others_are_passed_over_and_stay),
        T(a_full_disk_loses_nothing_when_it_is_tried_again),
    };
    return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
