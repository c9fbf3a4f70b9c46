#include "base/clock.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "bus/file.h"
#include "bus/log_int.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is torn and what is damaged? After a lost machine the part of the log that was never synced may hold
 * anything, also whole records behind a hole. So the bus notes in the file `synced` up to where each topic is
 * durable (as Kafka does with its recovery point). The first record that is not whole and lies at or behind
 * that mark ends the log; one before the mark is damage, which is named and never cut silently. */

enum { MARK_SIZE = 8 + 8 * TC_TOPIC_COUNT + 4 };
static const char MARK_MAGIC[8] = {'t', 'c', '-', 's', 'y', 'n', 'c', '1'};

int tc_log_write_mark(struct log_bus *b, const int64_t mark[TC_TOPIC_COUNT], bool durable)
{
    uint8_t m[MARK_SIZE];
    memcpy(m, MARK_MAGIC, sizeof(MARK_MAGIC));
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        uint64_t v = htole64((uint64_t)mark[t]);
        memcpy(m + 8 + 8 * t, &v, sizeof(v));
    }
    uint32_t crc = htole32(tc_crc32c(0, m, MARK_SIZE - 4));
    memcpy(m + MARK_SIZE - 4, &crc, sizeof(crc));
    errno = ENOSPC;
    if (tc_files->pwrite(b->mark_fd, m, sizeof(m), 0) != (ssize_t)sizeof(m) ||
        (durable && tc_files->fsync(b->mark_fd)))
        return tc_fail(TC_EIO, "cannot write %s/synced: %s", b->dir, strerror(errno));
    memcpy(b->mark, mark, sizeof(b->mark));
    return TC_OK;
}

int tc_log_open_mark(struct log_bus *b)
{
    char path[PATH_MAX];
    uint8_t m[MARK_SIZE];
    uint32_t crc;
    if (snprintf(path, sizeof(path), "%s/synced", b->dir) >= (int)sizeof(path))
        return tc_fail(TC_ECONF, "the path %s is too long", b->dir);
    b->mark_fd = tc_files->open(path, O_RDWR | O_CREAT, 0644);
    if (b->mark_fd < 0)
        return tc_fail(TC_EIO, "cannot open %s: %s", path, strerror(errno));
    if (pread(b->mark_fd, m, sizeof(m), 0) != (ssize_t)sizeof(m))
        return TC_OK; /* new, or lost before it was ever synced: nothing is promised */
    memcpy(&crc, m + MARK_SIZE - 4, sizeof(crc));
    if (memcmp(m, MARK_MAGIC, sizeof(MARK_MAGIC)) || le32toh(crc) != tc_crc32c(0, m, MARK_SIZE - 4))
        return TC_OK;
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        uint64_t v;
        memcpy(&v, m + 8 + 8 * t, sizeof(v));
        b->mark[t] = (int64_t)le64toh(v);
    }
    return TC_OK;
}

int tc_log_add_segment(struct log_topic *t, const struct tc_segment *s)
{
    if (t->n_seg == t->cap_seg) {
        size_t cap = t->cap_seg ? t->cap_seg * 2 : 16;
        struct tc_segment *more = realloc(t->seg, cap * sizeof(*more));
        if (!more)
            return tc_fail(TC_ENOMEM, "no memory for the segments of %s", t->dir);
        t->seg = more;
        t->cap_seg = cap;
    }
    t->seg[t->n_seg++] = *s;
    return TC_OK;
}

/* Looks at one segment. TC_OK: whole, s filled. TC_DONE: torn after s->end (0 bytes when even its header is).
 * `next` is the base of the segment behind it, -1 for the last. */
static int check_segment(struct log_topic *t, struct tc_segment *s, int64_t next, int64_t mark)
{
    char path[PATH_MAX];
    struct stat st;
    tc_segment_path(t->dir, s->base, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        int err = errno;
        if (fd >= 0)
            close(fd);
        return tc_fail(TC_EIO, "cannot open %s: %s", path, strerror(err));
    }
    int rc = tc_segment_check_header(fd, path, t->id, s->base);
    if (rc == TC_EINPUT && s->base >= mark)
        rc = TC_DONE; /* made, but lost before its header was durable */
    if (rc == TC_OK && next >= 0 && next <= mark) {
        s->end = next; /* durable as a whole; every record is checked when it is read */
        s->bytes = (uint64_t)st.st_size;
        s->newest = (int64_t)st.st_mtim.tv_sec * TC_NS_PER_SEC + st.st_mtim.tv_nsec;
    } else if (rc == TC_OK) {
        rc = tc_segment_scan(fd, path, INT64_MAX, s);
        if (rc == TC_OK && next >= 0 && s->end != next)
            rc = TC_DONE;
    }
    close(fd);
    if (rc == TC_DONE && s->end < mark)
        return tc_fail(
            TC_EINPUT,
            "%s is damaged at byte %llu (offset %lld), before offset %lld up to which it was synced: "
            "restore the file from a copy, or move the data folder away and start anew",
            path, (unsigned long long)s->bytes, (long long)s->end, (long long)mark);
    return rc;
}

static int remove_segment(const struct log_topic *t, int64_t base)
{
    char path[PATH_MAX];
    tc_segment_path(t->dir, base, path);
    if (tc_files->unlink(path))
        return tc_fail(TC_EIO, "cannot remove %s: %s", path, strerror(errno));
    return TC_OK;
}

/* Opens the last segment to append, cut to its whole records. */
static int open_last(struct log_topic *t)
{
    struct tc_segment *s = &t->seg[t->n_seg - 1];
    char path[PATH_MAX];
    tc_segment_path(t->dir, s->base, path);
    t->fd = tc_files->open(path, O_RDWR | O_APPEND, 0);
    if (t->fd < 0)
        return tc_fail(TC_EIO, "cannot open %s to write: %s", path, strerror(errno));
    if (tc_files->ftruncate(t->fd, (off_t)s->bytes) || tc_files->fsync(t->fd))
        return tc_fail(TC_EIO, "cannot cut %s to its whole records: %s", path, strerror(errno));
    return TC_OK;
}

static int new_last(struct log_topic *t, int64_t base)
{
    int64_t now = tc_now_ns();
    struct tc_segment s = {.base = base, .end = base, .bytes = TC_SEG_HEADER, .newest = now};
    int fd = tc_segment_create(t->dir, t->id, base, now);
    if (fd < 0)
        return fd;
    t->fd = fd;
    if (tc_files->fsync(fd))
        return tc_fail(TC_EIO, "cannot sync a new segment in %s: %s", t->dir, strerror(errno));
    return tc_log_add_segment(t, &s);
}

/* fsync of a segment that may have been written after the last sync of the earlier run. */
static int sync_segment(const struct log_topic *t, int64_t base)
{
    char path[PATH_MAX];
    tc_segment_path(t->dir, base, path);
    int fd = tc_files->open(path, O_RDWR, 0);
    int rc = fd < 0 ? -1 : tc_files->fsync(fd);
    int err = errno;
    if (fd >= 0)
        tc_files->close(fd);
    return rc ? tc_fail(TC_EIO, "cannot sync %s: %s", path, strerror(err)) : TC_OK;
}

static void refresh(struct log_topic *t)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < t->n_seg; i++)
        bytes += t->seg[i].bytes;
    atomic_store(&t->bytes, bytes);
    atomic_store(&t->first, t->seg[0].base);
    atomic_store(&t->end, t->seg[t->n_seg - 1].end);
    atomic_store(&t->synced, t->seg[t->n_seg - 1].end);
}

/* Keeps the whole segments of the list, removes what lies behind the first tear. When not even the first has
 * a whole header, the topic starts anew at that segment's base. */
static int keep_whole(struct log_topic *t, struct tc_segment *list, size_t n, int64_t mark)
{
    bool torn = false;
    int rc;
    for (size_t i = 0; i < n; i++) {
        int64_t expect = t->n_seg ? t->seg[t->n_seg - 1].end : list[i].base;
        if (torn || list[i].base != expect) { /* a hole: the file between was lost before it was durable */
            if (expect < mark)
                return tc_fail(TC_EINPUT, "%s: the segment of offset %lld is missing: restore it from a copy",
                               t->dir, (long long)expect);
            torn = true;
            if ((rc = remove_segment(t, list[i].base)) != TC_OK)
                return rc;
            continue;
        }
        rc = check_segment(t, &list[i], i + 1 < n ? list[i + 1].base : -1, mark);
        if (rc < 0)
            return rc;
        torn = rc == TC_DONE;
        if (list[i].bytes < TC_SEG_HEADER) {
            if ((rc = remove_segment(t, list[i].base)) != TC_OK)
                return rc;
            continue;
        }
        if ((rc = tc_log_add_segment(t, &list[i])) != TC_OK)
            return rc;
        if (list[i].end > mark && i + 1 < n && (rc = sync_segment(t, list[i].base)) != TC_OK)
            return rc;
    }
    return TC_OK;
}

int tc_log_open_topic(struct log_bus *b, enum tc_topic id)
{
    struct log_topic *t = &b->topic[id];
    if (mkdir(t->dir, 0755) && errno != EEXIST)
        return tc_fail(TC_EIO, "cannot make the folder %s: %s", t->dir, strerror(errno));
    struct tc_segment *list;
    size_t n;
    int rc = tc_segment_list(t->dir, &list, &n);
    if (rc)
        return rc;
    int64_t start = n ? list[0].base : 0;
    rc = keep_whole(t, list, n, b->mark[id]);
    free(list);
    int64_t end = t->n_seg ? t->seg[t->n_seg - 1].end : start;
    if (!rc && end < b->mark[id])
        rc = tc_fail(TC_EINPUT,
                     "%s ends at offset %lld, but was synced up to %lld: restore its files from a copy",
                     t->dir, (long long)end, (long long)b->mark[id]);
    if (!rc)
        rc = t->n_seg ? open_last(t) : new_last(t, start);
    if (!rc)
        rc = tc_sync_folder(t->dir);
    if (!rc)
        refresh(t);
    return rc;
}

/* The segment that ends the topic at `end` becomes the last; those behind it go, the newest first. */
static int cut_segments(struct log_topic *t, int64_t end)
{
    int rc = TC_OK;
    while (!rc && t->n_seg > 1 && t->seg[t->n_seg - 1].base >= end) {
        rc = remove_segment(t, t->seg[t->n_seg - 1].base);
        t->n_seg -= rc == TC_OK;
    }
    if (rc)
        return rc;
    struct tc_segment *s = &t->seg[t->n_seg - 1];
    char path[PATH_MAX];
    tc_segment_path(t->dir, s->base, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tc_fail(TC_EIO, "cannot open %s: %s", path, strerror(errno));
    rc = tc_segment_scan(fd, path, end, s);
    close(fd);
    if (rc == TC_DONE || (rc == TC_OK && s->end != end))
        rc = tc_fail(TC_EINPUT, "%s is damaged at byte %llu (offset %lld): restore it from a copy", path,
                     (unsigned long long)s->bytes, (long long)s->end);
    return rc;
}

int tc_log_cut(struct log_bus *b, enum tc_topic id, int64_t end)
{
    struct log_topic *t = &b->topic[id];
    if (end < atomic_load(&t->first) || end > atomic_load(&t->end))
        return tc_fail(TC_EINPUT, "%s cannot be cut at %lld: it holds %lld to %lld", t->dir, (long long)end,
                       (long long)atomic_load(&t->first), (long long)atomic_load(&t->end));
    if (end == atomic_load(&t->end))
        return TC_OK;
    /* First the mark, durably: else a crash in between would leave a promise that the files do not keep. */
    int64_t mark[TC_TOPIC_COUNT];
    memcpy(mark, b->mark, sizeof(mark));
    if (mark[id] > end)
        mark[id] = end;
    int rc = tc_log_write_mark(b, mark, true);
    if (rc)
        return rc;
    for (size_t i = 0; i < t->n_pending; i++)
        tc_files->close(t->pending[i]);
    t->n_pending = 0;
    tc_files->close(t->fd);
    t->fd = -1;
    rc = cut_segments(t, end);
    if (!rc)
        rc = open_last(t);
    if (!rc)
        rc = tc_sync_folder(t->dir);
    if (!rc)
        refresh(t);
    return rc;
}
