#include "base/clock.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/rng.h"
#include "bus/file.h"
#include "bus/log_int.h"
#include "fault/lossy.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[256];

static int no_fsync(int fd)
{
    (void)fd;
    return 0;
}

/* fsync makes no difference to what a living machine reads, but much to the time a test takes. */
static struct tc_file_ops quick;

static int make_dir(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%s/tc-log-XXXXXX", tmp ? tmp : "/var/tmp");
    quick = tc_file_system;
    quick.fsync = no_fsync;
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

static struct tc_bus open_with(uint64_t segment, int64_t sync_every)
{
    struct tc_log_bus_conf conf = {.dir = dir, .segment_bytes = segment, .sync_every_ns = sync_every};
    struct tc_bus bus;
    int rc = tc_log_bus_open(&conf, &bus);
    if (rc)
        fail_msg("open: %s", tc_error());
    return bus;
}

/* A sync thread that sleeps through the test, so that the test decides what is synced. */
static struct tc_bus open_bus(uint64_t segment)
{
    return open_with(segment, 3600 * TC_NS_PER_SEC);
}

static void make_record(struct tc_record *r, int64_t i)
{
    memset(r, 0, sizeof(*r));
    r->type = TC_REC_GAP;
    r->from = i;
    r->gap.start = i * 7;
    snprintf(r->gap.symbol, sizeof(r->gap.symbol), "S%.*s", (int)(i % 30), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static int publish(struct tc_bus *bus, enum tc_topic t, int64_t first, int64_t n)
{
    static struct tc_record r[256];
    for (int64_t i = 0; i < n; i++)
        make_record(&r[i], first + i);
    return bus->ops->publish(bus->self, t, r, (size_t)n);
}

/* Reads to the end; every record must be the one of its offset. Returns how many came. */
static int64_t read_on(struct tc_bus *bus, struct tc_bus_reader *reader, int64_t offset)
{
    struct tc_record got, want;
    int64_t n = 0, at;
    int rc;
    while ((rc = bus->ops->read(reader, &got, &at)) == TC_OK) {
        make_record(&want, offset + n);
        assert_int_equal(at, offset + n);
        assert_int_equal(got.from, want.from);
        assert_true(got.gap.start == want.gap.start);
        assert_string_equal(got.gap.symbol, want.gap.symbol);
        n++;
    }
    if (rc != TC_AGAIN)
        fail_msg("read: %s", tc_error());
    return n;
}

static int64_t read_all(struct tc_bus *bus, enum tc_topic t, int64_t offset, int flags)
{
    struct tc_bus_reader *reader;
    if (bus->ops->open_reader(bus->self, t, offset, flags, &reader))
        fail_msg("open_reader: %s", tc_error());
    int64_t n = read_on(bus, reader, offset);
    bus->ops->close_reader(reader);
    return n;
}

static struct tc_bus_stat stat_of(struct tc_bus *bus, enum tc_topic t)
{
    struct tc_bus_stat s;
    bus->ops->stat(bus->self, t, &s);
    return s;
}

static void crc32c_is_the_published_one_in_both_forms(void **state)
{
    (void)state;
    assert_int_equal(tc_crc32c(0, "123456789", 9), 0xE3069283u);
    assert_int_equal(tc_crc32c_plain(0, "123456789", 9), 0xE3069283u);
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 31);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        assert_int_equal(tc_crc32c(0, bytes, n), tc_crc32c_plain(0, bytes, n));
        assert_int_equal(tc_crc32c(tc_crc32c(0, bytes, n / 3), bytes + n / 3, n - n / 3),
                         tc_crc32c(0, bytes, n));
    }
}

static void records_keep_their_order_and_offsets_over_a_restart(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus(0);
    assert_int_equal(publish(&bus, TC_TOPIC_BARS, 0, 100), TC_OK);
    assert_int_equal(publish(&bus, TC_TOPIC_BARS, 100, 1), TC_OK);
    assert_int_equal(publish(&bus, TC_TOPIC_FORECASTS, 0, 3), TC_OK);
    assert_int_equal(read_all(&bus, TC_TOPIC_BARS, 0, 0), 101);
    bus.ops->close(bus.self);
    bus = open_bus(0);
    assert_int_equal(stat_of(&bus, TC_TOPIC_BARS).end, 101);
    assert_int_equal(stat_of(&bus, TC_TOPIC_BARS).synced, 101);
    assert_int_equal(publish(&bus, TC_TOPIC_BARS, 101, 9), TC_OK);
    assert_int_equal(read_all(&bus, TC_TOPIC_BARS, 0, 0), 110);
    assert_int_equal(read_all(&bus, TC_TOPIC_BARS, 105, 0), 5);
    assert_int_equal(read_all(&bus, TC_TOPIC_BARS, 110, 0), 0);
    assert_int_equal(read_all(&bus, TC_TOPIC_FORECASTS, 0, 0), 3);
    struct tc_bus_reader *r;
    assert_int_equal(bus.ops->open_reader(bus.self, TC_TOPIC_BARS, 111, 0, &r), TC_ENOTFOUND);
    bus.ops->close(bus.self);
}

static void a_reader_sees_a_record_at_once_and_a_synced_reader_after_the_sync(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus(0);
    struct tc_bus_reader *live, *synced;
    assert_int_equal(bus.ops->open_reader(bus.self, TC_TOPIC_BARS, -1, 0, &live), TC_OK);
    assert_int_equal(bus.ops->open_reader(bus.self, TC_TOPIC_BARS, -1, TC_READ_SYNCED, &synced), TC_OK);
    for (int64_t i = 0; i < 50; i++) {
        assert_int_equal(publish(&bus, TC_TOPIC_BARS, i, 1), TC_OK);
        assert_int_equal(read_on(&bus, live, i), 1);
        assert_int_equal(read_on(&bus, synced, 0), 0);
    }
    assert_int_equal(bus.ops->sync(bus.self), TC_OK);
    assert_int_equal(read_on(&bus, synced, 0), 50);
    bus.ops->close_reader(live);
    bus.ops->close_reader(synced);
    bus.ops->close(bus.self);
}

static void segments_roll_and_readers_cross_them_from_any_offset(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus(2000);
    for (int64_t i = 0; i < 500; i += 5)
        assert_int_equal(publish(&bus, TC_TOPIC_BARS, i, 5), TC_OK);
    struct log_bus *b = bus.self;
    assert_true(b->topic[TC_TOPIC_BARS].n_seg > 10);
    for (int64_t i = 0; i <= 500; i += 7)
        assert_int_equal(read_all(&bus, TC_TOPIC_BARS, i, 0), 500 - i);
    bus.ops->close(bus.self);
    bus = open_bus(2000);
    assert_int_equal(read_all(&bus, TC_TOPIC_BARS, 0, TC_READ_SYNCED), 500);
    bus.ops->close(bus.self);
}

static void a_large_checkpoint_passes(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus(1 << 20);
    uint8_t *blob = malloc(TC_BLOB_MAX);
    memset(blob, 7, TC_BLOB_MAX);
    struct tc_record r = {.type = TC_REC_CHECKPOINT,
                          .checkpoint = {"forecast", "ref", 0, 0, 5, blob, TC_BLOB_MAX}};
    assert_int_equal(publish(&bus, TC_TOPIC_BARS, 0, 3), TC_OK);
    assert_int_equal(bus.ops->publish(bus.self, TC_TOPIC_BARS, &r, 1), TC_OK);
    assert_int_equal(publish(&bus, TC_TOPIC_BARS, 4, 3), TC_OK);
    struct tc_bus_reader *reader;
    struct tc_record got;
    int64_t at;
    assert_int_equal(bus.ops->open_reader(bus.self, TC_TOPIC_BARS, 3, 0, &reader), TC_OK);
    assert_int_equal(bus.ops->read(reader, &got, &at), TC_OK);
    assert_int_equal(got.checkpoint.blob_len, TC_BLOB_MAX);
    assert_memory_equal(got.checkpoint.blob, blob, TC_BLOB_MAX);
    assert_int_equal(read_on(&bus, reader, 4), 3);
    bus.ops->close_reader(reader);
    assert_int_equal(read_all(&bus, TC_TOPIC_BARS, 4, 0), 3);
    free(blob);
    bus.ops->close(bus.self);
}

static void segment_path(char out[static PATH_MAX], int64_t base)
{
    char topic[300];
    snprintf(topic, sizeof(topic), "%s/bars", dir);
    tc_segment_path(topic, base, out);
}

static void set_mark(int64_t bars)
{
    struct log_bus b = {0};
    int64_t mark[TC_TOPIC_COUNT] = {bars, 0};
    snprintf(b.dir, sizeof(b.dir), "%s", dir);
    assert_int_equal(tc_log_open_mark(&b), TC_OK);
    assert_int_equal(tc_log_write_mark(&b, mark, true), TC_OK);
    close(b.mark_fd);
}

static void a_tail_torn_at_any_byte_is_cut_at_the_last_whole_record(void **state)
{
    (void)state;
    uint64_t ends[11];
    struct tc_bus bus = open_bus(0);
    for (int64_t i = 0; i < 10; i++) {
        ends[i] = ((struct log_bus *)bus.self)->topic[0].seg[0].bytes;
        assert_int_equal(publish(&bus, TC_TOPIC_BARS, i, 1), TC_OK);
    }
    ends[10] = ((struct log_bus *)bus.self)->topic[0].seg[0].bytes;
    bus.ops->close(bus.self);
    char path[PATH_MAX];
    segment_path(path, 0);
    char *whole = malloc(ends[10]);
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, whole, ends[10]), ends[10]);
    close(fd);
    for (uint64_t cut = 0; cut <= ends[10]; cut++) {
        set_mark(0);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        assert_int_equal(write(fd, whole, cut), cut);
        close(fd);
        int64_t left = 0;
        while (left < 10 && ends[left + 1] <= cut)
            left++;
        bus = open_bus(0);
        assert_int_equal(stat_of(&bus, TC_TOPIC_BARS).end, left);
        assert_int_equal(publish(&bus, TC_TOPIC_BARS, left, 3), TC_OK);
        assert_int_equal(read_all(&bus, TC_TOPIC_BARS, 0, 0), left + 3);
        bus.ops->close(bus.self);
    }
    free(whole);
}

static int reopen(void)
{
    struct tc_log_bus_conf conf = {.dir = dir};
    struct tc_bus bus;
    int rc = tc_log_bus_open(&conf, &bus);
    if (!rc)
        bus.ops->close(bus.self);
    return rc;
}

static void damage_of_synced_records_is_named_and_never_cut(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus(0);
    assert_int_equal(publish(&bus, TC_TOPIC_BARS, 0, 100), TC_OK);
    uint64_t size = stat_of(&bus, TC_TOPIC_BARS).bytes;
    bus.ops->close(bus.self);
    char path[PATH_MAX];
    segment_path(path, 0);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "\xFF\xFF\xFF", 3, (off_t)size / 2), 3);
    assert_int_equal(reopen(), TC_EINPUT);
    assert_non_null(strstr(tc_error(), path));
    assert_non_null(strstr(tc_error(), "damaged at byte"));
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, size);
    set_mark(20); /* the same bytes behind the mark are a torn tail */
    assert_int_equal(reopen(), TC_OK);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true((uint64_t)st.st_size < size / 2);
    assert_int_equal(ftruncate(fd, 100), 0);
    set_mark(20);
    assert_int_equal(reopen(), TC_EINPUT);
    close(fd);
}

/* What a newer program may have written: a whole frame of a record that this one does not know. */
static void a_record_that_is_not_understood_is_named_and_stepped_over(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus(0);
    assert_int_equal(publish(&bus, TC_TOPIC_BARS, 0, 1), TC_OK);
    off_t at = (off_t)stat_of(&bus, TC_TOPIC_BARS).bytes;
    assert_int_equal(publish(&bus, TC_TOPIC_BARS, 1, 2), TC_OK);
    char path[PATH_MAX];
    segment_path(path, 0);
    int fd = open(path, O_RDWR);
    uint8_t frame[512] = {0};
    assert_true(pread(fd, frame, sizeof(frame), at) > 0);
    uint32_t length = tc_frame_length(frame);
    assert_in_range(length, 10, 250);
    frame[TC_FRAME_HEADER] = frame[TC_FRAME_HEADER + 1] = 0xEE;
    uint32_t crc = tc_crc32c(tc_crc32c(0, frame, 4), frame + TC_FRAME_HEADER, length);
    for (int i = 0; i < 4; i++)
        frame[4 + i] = (uint8_t)(crc >> (8 * i));
    assert_int_equal(pwrite(fd, frame, TC_FRAME_HEADER + length, at), TC_FRAME_HEADER + length);
    close(fd);
    struct tc_bus_reader *reader;
    struct tc_record got;
    int64_t offset;
    assert_int_equal(bus.ops->open_reader(bus.self, TC_TOPIC_BARS, 0, 0, &reader), TC_OK);
    assert_int_equal(bus.ops->read(reader, &got, &offset), TC_OK);
    assert_int_equal(bus.ops->read(reader, &got, &offset), TC_EINPUT);
    assert_int_equal(offset, 1);
    assert_non_null(strstr(tc_error(), "offset 1"));
    assert_int_equal(bus.ops->read(reader, &got, &offset), TC_OK);
    assert_int_equal(offset, 2);
    assert_int_equal(bus.ops->read(reader, &got, &offset), TC_AGAIN);
    assert_int_equal(offset, -1);
    bus.ops->close_reader(reader);
    bus.ops->close(bus.self);
}

static void a_missing_or_renamed_segment_is_named(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus(2000);
    for (int64_t i = 0; i < 100; i++)
        assert_int_equal(publish(&bus, TC_TOPIC_BARS, i, 1), TC_OK);
    struct log_topic *t = &((struct log_bus *)bus.self)->topic[0];
    int64_t base = t->seg[1].base, last = t->seg[t->n_seg - 1].base;
    bus.ops->close(bus.self);
    char a[PATH_MAX], b[PATH_MAX];
    segment_path(a, base);
    segment_path(b, base + 1);
    assert_int_equal(rename(a, b), 0);
    assert_int_equal(reopen(), TC_EINPUT);
    assert_int_equal(rename(b, a), 0);
    assert_int_equal(reopen(), TC_OK);
    segment_path(b, last);
    assert_int_equal(unlink(b), 0);
    assert_int_equal(reopen(), TC_EINPUT);
    assert_non_null(strstr(tc_error(), "was synced up to 100"));
}

static int64_t room; /* bytes the disk still takes */
static bool fsync_fails;

static ssize_t full_write(int fd, const void *bytes, size_t n)
{
    if (room == 0) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t k = write(fd, bytes, n < (size_t)room ? n : (size_t)room);
    room -= k;
    return k;
}

static int bad_fsync(int fd)
{
    if (fsync_fails) {
        errno = EIO;
        return -1;
    }
    return fsync(fd);
}

static void a_full_disk_takes_all_or_nothing_and_goes_on_when_there_is_room(void **state)
{
    (void)state;
    struct tc_file_ops ops = quick;
    ops.write = full_write;
    room = 1 << 20;
    tc_files = &ops;
    struct tc_bus bus = open_bus(1500);
    struct tc_bus_reader *live;
    assert_int_equal(bus.ops->open_reader(bus.self, TC_TOPIC_BARS, 0, 0, &live), TC_OK);
    int64_t end = 0;
    for (int64_t i = 0; i < 300; i++) {
        room = i * 13 % 900;
        int rc = publish(&bus, TC_TOPIC_BARS, end, 5);
        if (rc) {
            assert_int_equal(rc, TC_EIO);
            assert_non_null(strstr(tc_error(), "No space left"));
            assert_non_null(strstr(tc_error(), dir));
        } else {
            end += 5;
        }
        assert_int_equal(stat_of(&bus, TC_TOPIC_BARS).end, end);
        read_on(&bus, live, rc ? end : end - 5);
    }
    assert_true(end > 0 && end < 1500);
    room = 1 << 20;
    bus.ops->close_reader(live);
    assert_int_equal(read_all(&bus, TC_TOPIC_BARS, 0, 0), end);
    bus.ops->close(bus.self);
    bus = open_bus(1500);
    assert_int_equal(read_all(&bus, TC_TOPIC_BARS, 0, 0), end);
    bus.ops->close(bus.self);
}

static void after_a_failed_sync_nothing_more_is_promised(void **state)
{
    (void)state;
    struct tc_file_ops ops = tc_file_system;
    ops.fsync = bad_fsync;
    tc_files = &ops;
    fsync_fails = false;
    struct tc_bus bus = open_bus(0);
    assert_int_equal(publish(&bus, TC_TOPIC_BARS, 0, 5), TC_OK);
    assert_int_equal(bus.ops->sync(bus.self), TC_OK);
    assert_int_equal(publish(&bus, TC_TOPIC_BARS, 5, 5), TC_OK);
    fsync_fails = true;
    assert_int_equal(bus.ops->sync(bus.self), TC_EIO);
    fsync_fails = false; /* a second fsync would lie: the kernel has dropped the pages */
    assert_int_equal(bus.ops->sync(bus.self), TC_EIO);
    assert_int_equal(publish(&bus, TC_TOPIC_BARS, 10, 1), TC_EIO);
    assert_non_null(strstr(tc_error(), "no longer certain"));
    assert_int_equal(stat_of(&bus, TC_TOPIC_BARS).synced, 5);
    bus.ops->close(bus.self);
}

static void a_topic_cut_short_goes_on_from_there(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus(1000);
    for (int64_t i = 0; i < 200; i += 2)
        assert_int_equal(publish(&bus, TC_TOPIC_FORECASTS, i, 2), TC_OK);
    for (int64_t end = 190; end >= 0; end -= 38) {
        assert_int_equal(bus.ops->truncate(bus.self, TC_TOPIC_FORECASTS, end), TC_OK);
        assert_int_equal(stat_of(&bus, TC_TOPIC_FORECASTS).end, end);
        assert_int_equal(read_all(&bus, TC_TOPIC_FORECASTS, 0, 0), end);
        assert_int_equal(publish(&bus, TC_TOPIC_FORECASTS, end, 3), TC_OK);
        bus.ops->close(bus.self);
        bus = open_bus(1000);
        assert_int_equal(read_all(&bus, TC_TOPIC_FORECASTS, 0, 0), end + 3);
    }
    assert_int_equal(bus.ops->truncate(bus.self, TC_TOPIC_FORECASTS, 999), TC_EINPUT);
    bus.ops->close(bus.self);
}

static struct tc_bus *busy_bus;
static int busy_rolls;

/* While a sync is on its way, the publisher fills more segments than may wait for a sync. */
static int fsync_beside_a_busy_publisher(int fd)
{
    int rolls = busy_rolls;
    struct stat before, after;
    assert_int_equal(fstat(fd, &before), 0);
    busy_rolls = 0; /* publishing syncs as well when too much waits: that one is let through */
    for (; rolls > 0; rolls--) {
        int64_t end = stat_of(busy_bus, TC_TOPIC_BARS).end;
        assert_int_equal(publish(busy_bus, TC_TOPIC_BARS, end, 10), TC_OK);
    }
    assert_int_equal(fstat(fd, &after), 0);
    assert_true(before.st_ino == after.st_ino); /* not closed, nor its number given to another file */
    return fsync(fd);
}

static void a_sync_keeps_its_descriptor_however_many_segments_are_filled_meanwhile(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus(300);
    assert_int_equal(publish(&bus, TC_TOPIC_BARS, 0, 3), TC_OK);
    struct tc_file_ops busy = tc_file_system;
    busy.fsync = fsync_beside_a_busy_publisher;
    busy_bus = &bus;
    busy_rolls = 30;
    tc_files = &busy;
    assert_int_equal(bus.ops->sync(bus.self), TC_OK);
    tc_files = &quick;
    assert_int_equal(stat_of(&bus, TC_TOPIC_BARS).synced, 3);
    assert_int_equal(bus.ops->sync(bus.self), TC_OK);
    assert_int_equal(read_all(&bus, TC_TOPIC_BARS, 0, TC_READ_SYNCED), 303);
    bus.ops->close(bus.self);
}

/* Lets the sync thread look at retention as if the bus had been open for an hour. */
static void make_old(struct tc_bus *bus)
{
    ((struct log_bus *)bus->self)->opened_mono -= 3600 * TC_NS_PER_SEC;
    ((struct log_bus *)bus->self)->pruned_mono -= 3600 * TC_NS_PER_SEC;
}

static void retention_waits_for_the_slowest_group(void **state)
{
    (void)state;
    struct tc_log_bus_conf conf = {
        .dir = dir, .segment_bytes = 1000, .retain_bytes = 3000, .sync_every_ns = 20 * TC_NS_PER_MS};
    struct tc_bus bus;
    assert_int_equal(tc_log_bus_open(&conf, &bus), TC_OK);
    for (int64_t i = 0; i < 200; i += 2)
        assert_int_equal(publish(&bus, TC_TOPIC_BARS, i, 2), TC_OK);
    assert_int_equal(bus.ops->sync(bus.self), TC_OK);
    make_old(&bus);
    usleep(100000);
    assert_int_equal(stat_of(&bus, TC_TOPIC_BARS).first, 0); /* no group has spoken */
    bus.ops->commit(bus.self, "store", TC_TOPIC_BARS, 200);
    bus.ops->commit(bus.self, "forecast", TC_TOPIC_BARS, 60);
    make_old(&bus);
    usleep(100000);
    int64_t first = stat_of(&bus, TC_TOPIC_BARS).first;
    assert_true(first > 0 && first <= 60);
    assert_int_equal(read_all(&bus, TC_TOPIC_BARS, first, 0), 200 - first);
    bus.ops->commit(bus.self, "forecast", TC_TOPIC_BARS, 200);
    make_old(&bus);
    usleep(100000);
    assert_true(stat_of(&bus, TC_TOPIC_BARS).bytes <= 3000);
    struct tc_bus_reader *r;
    assert_int_equal(bus.ops->open_reader(bus.self, TC_TOPIC_BARS, first, 0, &r), TC_ENOTFOUND);
    assert_non_null(strstr(tc_error(), "retention"));
    bus.ops->close(bus.self);
    bus = open_bus(1000);
    first = stat_of(&bus, TC_TOPIC_BARS).first;
    assert_int_equal(read_all(&bus, TC_TOPIC_BARS, first, 0), 200 - first);
    bus.ops->close(bus.self);
}

static void *publish_later(void *bus)
{
    usleep(50000);
    publish(bus, TC_TOPIC_BARS, 0, 1);
    return NULL;
}

static void waiting_ends_with_a_record_a_wake_or_the_time(void **state)
{
    (void)state;
    struct tc_bus bus = open_bus(0);
    uint64_t seen = 0;
    bus.ops->wait(bus.self, &seen, 0);
    int64_t start = tc_mono_ns();
    bus.ops->wait(bus.self, &seen, 30 * TC_NS_PER_MS);
    assert_true(tc_mono_ns() - start >= 29 * TC_NS_PER_MS);
    pthread_t thread;
    start = tc_mono_ns();
    pthread_create(&thread, NULL, publish_later, &bus);
    bus.ops->wait(bus.self, &seen, 10 * TC_NS_PER_SEC);
    assert_true(tc_mono_ns() - start < 5 * TC_NS_PER_SEC);
    pthread_join(thread, NULL);
    bus.ops->wake(bus.self);
    start = tc_mono_ns();
    bus.ops->wait(bus.self, &seen, 10 * TC_NS_PER_SEC);
    assert_true(tc_mono_ns() - start < TC_NS_PER_SEC);
    bus.ops->close(bus.self);
}

enum { STRESS = 60000 };

struct stress {
    struct tc_bus *bus;
    int flags;
    int64_t got;
    bool bad;
};

static void *read_stress(void *arg)
{
    struct stress *s = arg;
    struct tc_bus_reader *r;
    struct tc_record rec;
    uint64_t seen = 0;
    int64_t at, stop = tc_mono_ns() + 60 * TC_NS_PER_SEC;
    s->bad = s->bus->ops->open_reader(s->bus->self, TC_TOPIC_BARS, 0, s->flags, &r) != TC_OK;
    while (!s->bad && s->got < STRESS && tc_mono_ns() < stop) {
        int rc = s->bus->ops->read(r, &rec, &at);
        if (rc == TC_AGAIN)
            s->bus->ops->wait(s->bus->self, &seen, 100 * TC_NS_PER_MS);
        else if (rc || at != s->got || rec.from != at || rec.gap.start != at * 7)
            s->bad = true;
        else
            s->got++;
    }
    s->bus->ops->close_reader(r);
    return NULL;
}

static int slow_fsync(int fd)
{
    (void)fd;
    usleep(500);
    return 0;
}

static void readers_follow_a_busy_writer_without_hole_or_double(void **state)
{
    (void)state;
    quick.fsync = slow_fsync;
    struct tc_bus bus = open_with(100000, 2 * TC_NS_PER_MS);
    struct stress s[3] = {{.bus = &bus}, {.bus = &bus, .flags = TC_READ_SYNCED}, {.bus = &bus}};
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, read_stress, &s[i]);
    for (int64_t i = 0; i < STRESS;) {
        int64_t n = 1 + i % 17;
        n = n < STRESS - i ? n : STRESS - i;
        assert_int_equal(publish(&bus, TC_TOPIC_BARS, i, n), TC_OK);
        i += n;
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        assert_false(s[i].bad);
        assert_int_equal(s[i].got, STRESS);
    }
    bus.ops->close(bus.self);
}

/* Shared with the child that will be cut off: what it was promised. */
struct promise {
    _Atomic int64_t bars, forecasts;
};

static const struct tc_file_ops lossy_files = {.open = lossy_open,
                                               .write = lossy_write,
                                               .pwrite = lossy_pwrite,
                                               .fsync = lossy_fsync,
                                               .ftruncate = lossy_ftruncate,
                                               .unlink = lossy_unlink,
                                               .close = lossy_close};

static void work_until_the_end(struct promise *p, uint64_t seed)
{
    struct tc_rng rng;
    tc_rng_seed(&rng, seed);
    /* The thread's syncs depend on how fast the machine is, the others on the seed alone. */
    struct tc_bus bus = open_with(4000, tc_rng_below(&rng, 3) ? 3600 * TC_NS_PER_SEC : TC_NS_PER_MS);
    int64_t bars = stat_of(&bus, TC_TOPIC_BARS).end, forecasts = stat_of(&bus, TC_TOPIC_FORECASTS).end;
    int64_t rounds = (int64_t)tc_rng_below(&rng, 200);
    for (int64_t i = 0; i < rounds; i++) {
        int64_t n = 1 + (int64_t)tc_rng_below(&rng, 20);
        if (publish(&bus, TC_TOPIC_BARS, bars, n))
            _exit(1);
        bars += n;
        if (forecasts + n < bars && publish(&bus, TC_TOPIC_FORECASTS, forecasts, n))
            _exit(1);
        forecasts = stat_of(&bus, TC_TOPIC_FORECASTS).end;
        if (tc_rng_below(&rng, 50) == 0 && bus.ops->sync(bus.self))
            _exit(1);
        p->bars = stat_of(&bus, TC_TOPIC_BARS).synced;
        p->forecasts = stat_of(&bus, TC_TOPIC_FORECASTS).synced;
    }
    _exit(0); /* no close: the power is gone */
}

static void what_was_synced_survives_a_lost_machine(void **state)
{
    (void)state;
    char notes[300];
    snprintf(notes, sizeof(notes), "%s.notes", dir);
    struct promise *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int lost = 0;
    for (uint64_t round = 0; round < 150; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            lossy_begin(notes, dir);
            tc_files = &lossy_files;
            work_until_the_end(p, round);
        }
        int status;
        waitpid(pid, &status, 0);
        assert_int_equal(status, 0);
        lost += lossy_crash(notes, round) > 0;
        struct tc_bus bus = open_bus(4000);
        struct tc_bus_stat bars = stat_of(&bus, TC_TOPIC_BARS), forecasts = stat_of(&bus, TC_TOPIC_FORECASTS);
        assert_true(bars.end >= p->bars);
        assert_true(forecasts.end >= p->forecasts);
        assert_true(p->forecasts <= bars.end); /* a promised forecast has its promised bar */
        assert_int_equal(read_all(&bus, TC_TOPIC_BARS, 0, 0), bars.end);
        assert_int_equal(read_all(&bus, TC_TOPIC_FORECASTS, 0, 0), forecasts.end);
        if (forecasts.end > bars.end) /* as the outbox does: output whose cause is gone */
            assert_int_equal(bus.ops->truncate(bus.self, TC_TOPIC_FORECASTS, bars.end), TC_OK);
        bus.ops->close(bus.self);
        if (round % 15 == 14) { /* else the many small segments make it slow */
            assert_int_equal(remove_dir(NULL), 0);
            assert_int_equal(make_dir(NULL), 0);
            p->bars = p->forecasts = 0;
        }
    }
    char cmd[400];
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", notes);
    assert_int_equal(system(cmd), 0);
    assert_true(lost > 60); /* the layer does lose things */
    munmap(p, sizeof(*p));
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_is_the_published_one_in_both_forms),
        T(records_keep_their_order_and_offsets_over_a_restart),
        T(a_reader_sees_a_record_at_once_and_a_synced_reader_after_the_sync),
        T(segments_roll_and_readers_cross_them_from_any_offset),
        T(a_large_checkpoint_passes),
        T(a_tail_torn_at_any_byte_is_cut_at_the_last_whole_record),
        T(damage_of_synced_records_is_named_and_never_cut),
        T(a_record_that_is_not_understood_is_named_and_stepped_over),
        T(a_missing_or_renamed_segment_is_named),
        T(a_full_disk_takes_all_or_nothing_and_goes_on_when_there_is_room),
        T(after_a_failed_sync_nothing_more_is_promised),
        T(a_topic_cut_short_goes_on_from_there),
        T(a_sync_keeps_its_descriptor_however_many_segments_are_filled_meanwhile),
        T(retention_waits_for_the_slowest_group),
        T(waiting_ends_with_a_record_a_wake_or_the_time),
        T(readers_follow_a_busy_writer_without_hole_or_double),
        T(what_was_synced_survives_a_lost_machine),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
