#include "base/err.h"
#include "bus/log_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_ROOM = 64 << 10 };

struct tc_bus_reader {
    const struct log_bus *bus;
    const struct log_topic *topic;
    bool synced_only;
    int fd;
    int64_t next;     /* offset of the record at `at` */
    int64_t proven;   /* records below it in the buffer were published before the bytes were read */
    uint64_t file_at; /* place in the file of buf[0] */
    uint8_t *buf;
    size_t room, len, at;
    char path[PATH_MAX];
};

static int64_t limit_of(const struct tc_bus_reader *r)
{
    return atomic_load_explicit(r->synced_only ? &r->topic->synced : &r->topic->end, memory_order_acquire);
}

static int open_segment(struct tc_bus_reader *r, int64_t base)
{
    if (r->fd >= 0)
        close(r->fd);
    tc_segment_path(r->topic->dir, base, r->path);
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0 && errno == ENOENT && base < atomic_load(&r->topic->first))
        return tc_fail(TC_ENOTFOUND, "%s was removed by retention before it was read", r->path);
    if (r->fd < 0)
        return tc_fail(TC_EIO, "cannot open %s: %s", r->path, strerror(errno));
    r->file_at = TC_SEG_HEADER;
    r->len = r->at = 0;
    r->next = r->proven = base;
    return tc_segment_check_header(r->fd, r->path, r->topic->id, base);
}

static int set_room(struct tc_bus_reader *r, size_t room)
{
    uint8_t *more = realloc(r->buf, room);
    if (!more)
        return tc_fail(TC_ENOMEM, "no memory for a record of %zu bytes", room);
    r->buf = more;
    r->room = room;
    return TC_OK;
}

/* Makes at least `need` bytes stand at buf[at]. Bytes that were read before their records were published are
 * read again: a publish that failed in between may have cut and rewritten them. */
static int fill(struct tc_bus_reader *r, size_t need, int64_t limit, size_t *have)
{
    if (r->next < r->proven && r->len - r->at >= need) {
        *have = r->len - r->at;
        return TC_OK;
    }
    size_t room = need > READ_ROOM ? need : READ_ROOM;
    int rc = room != r->room ? set_room(r, room) : TC_OK;
    if (rc)
        return rc;
    r->file_at += r->at;
    r->at = r->len = 0;
    while (r->len < need) {
        ssize_t n = pread(r->fd, r->buf + r->len, r->room - r->len, (off_t)(r->file_at + r->len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tc_fail(TC_EIO, "cannot read %s: %s", r->path, strerror(errno));
        if (n == 0)
            break;
        r->len += (size_t)n;
    }
    r->proven = limit;
    *have = r->len;
    return TC_OK;
}

static int damaged(const struct tc_bus_reader *r)
{
    return tc_fail(TC_EINPUT, "%s is damaged at byte %llu (offset %lld): restore it from a copy", r->path,
                   (unsigned long long)(r->file_at + r->at), (long long)r->next);
}

/* The next frame, known to be published: its length, in the buffer at buf[at]. At the end of a segment goes
 * on with the one that follows. */
static int next_frame(struct tc_bus_reader *r, int64_t limit, bool body, uint32_t *length)
{
    size_t have = 0;
    int rc = fill(r, TC_FRAME_HEADER, limit, &have);
    if (!rc && !have) {
        int64_t base = r->next;
        if ((rc = open_segment(r, base)) == TC_OK)
            rc = fill(r, TC_FRAME_HEADER, limit, &have);
    }
    if (rc)
        return rc;
    *length = have >= TC_FRAME_HEADER ? tc_frame_length(r->buf + r->at) : 0;
    if (!*length)
        return damaged(r);
    if (!body)
        return TC_OK;
    rc = fill(r, TC_FRAME_HEADER + *length, limit, &have);
    if (rc)
        return rc;
    return have < TC_FRAME_HEADER + *length ? damaged(r) : TC_OK;
}

/* Steps over a frame; it need not be in the buffer as a whole. */
static void step(struct tc_bus_reader *r, uint32_t length)
{
    size_t n = TC_FRAME_HEADER + (size_t)length;
    if (r->len - r->at >= n) {
        r->at += n;
    } else {
        r->file_at += r->at + n;
        r->at = r->len = 0;
    }
    r->next++;
}

int tc_log_read(struct tc_bus_reader *r, struct tc_record *out, int64_t *out_offset)
{
    int64_t limit = limit_of(r);
    *out_offset = -1;
    if (r->next >= limit)
        return TC_AGAIN;
    uint32_t length;
    int rc = next_frame(r, limit, true, &length);
    if (rc)
        return rc;
    const uint8_t *p = r->buf + r->at;
    if (!tc_frame_whole(p, length))
        return damaged(r);
    rc = tc_record_decode(p + TC_FRAME_HEADER, length, out);
    if (rc)
        tc_more(rc, "%s, offset %lld", r->path, (long long)r->next);
    *out_offset = r->next;
    step(r, length);
    return rc;
}

/* Base of the segment that holds the offset; the last one also for the topic's end. */
static int find_segment(struct log_topic *t, int64_t *offset, int64_t *base)
{
    pthread_mutex_lock(&t->lock);
    int64_t first = t->seg[0].base, end = atomic_load(&t->end);
    if (*offset < 0)
        *offset = first;
    *base = first;
    for (size_t i = 0; i < t->n_seg && t->seg[i].base <= *offset; i++)
        *base = t->seg[i].base;
    pthread_mutex_unlock(&t->lock);
    if (*offset < first)
        return tc_fail(TC_ENOTFOUND, "offset %lld of topic %s was removed by retention; the oldest is %lld",
                       (long long)*offset, tc_topic_name(t->id), (long long)first);
    if (*offset > end)
        return tc_fail(TC_ENOTFOUND, "topic %s ends at offset %lld, before %lld", tc_topic_name(t->id),
                       (long long)end, (long long)*offset);
    return TC_OK;
}

int tc_log_open_reader(void *self, enum tc_topic topic, int64_t offset, int flags, struct tc_bus_reader **out)
{
    struct log_bus *b = self;
    int64_t base;
    *out = NULL;
    int rc = find_segment(&b->topic[topic], &offset, &base);
    if (rc)
        return rc;
    struct tc_bus_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return tc_fail(TC_ENOMEM, "no memory for a reader");
    r->bus = b;
    r->topic = &b->topic[topic];
    r->synced_only = flags & TC_READ_SYNCED;
    r->fd = -1;
    rc = open_segment(r, base);
    while (!rc && r->next < offset) {
        uint32_t length;
        rc = next_frame(r, offset, false, &length);
        if (!rc)
            step(r, length);
    }
    if (rc) {
        tc_log_close_reader(r);
        return rc;
    }
    *out = r;
    return TC_OK;
}

void tc_log_close_reader(struct tc_bus_reader *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    free(r->buf);
    free(r);
}
