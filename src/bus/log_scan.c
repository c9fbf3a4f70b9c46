#include "bus/log_scan.h"
#include "base/err.h"
#include "bus/log_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { START_ROOM = 64 << 10 };

struct tc_log_scan {
    enum tc_topic topic;
    char dir[PATH_MAX], path[PATH_MAX];
    struct tc_segment *seg;
    size_t n_seg, at; /* at: the segment after the open one */
    FILE *file;
    uint64_t byte;  /* of the next frame in the file */
    int64_t offset; /* of the next record */
    uint8_t *frame;
    size_t room;
};

int tc_log_scan_open(const char *dir, enum tc_topic topic, struct tc_log_scan **out)
{
    struct tc_log_scan *s = calloc(1, sizeof(*s));
    if (!s || !(s->frame = malloc(START_ROOM))) {
        free(s);
        return tc_fail(TC_ENOMEM, "%s: no memory to read it", dir);
    }
    s->topic = topic;
    s->room = START_ROOM;
    snprintf(s->dir, sizeof(s->dir), "%.*s/%s", PATH_MAX - 64, dir, tc_topic_name(topic));
    int rc = access(s->dir, R_OK | X_OK) ? tc_fail(TC_ENOTFOUND, "%s: %s", s->dir, strerror(errno))
                                         : tc_segment_list(s->dir, &s->seg, &s->n_seg);
    if (!rc && s->n_seg == 0)
        rc = tc_fail(TC_ENOTFOUND, "%s holds no log", s->dir);
    if (rc) {
        tc_log_scan_close(s);
        return rc;
    }
    *out = s;
    return TC_OK;
}

void tc_log_scan_close(struct tc_log_scan *s)
{
    if (!s)
        return;
    if (s->file)
        fclose(s->file);
    free(s->seg);
    free(s->frame);
    free(s);
}

static int open_next(struct tc_log_scan *s)
{
    if (s->file)
        fclose(s->file);
    s->file = NULL;
    if (s->at == s->n_seg)
        return TC_DONE;
    int64_t base = s->seg[s->at++].base;
    tc_segment_path(s->dir, base, s->path);
    int fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tc_fail(TC_EIO, "cannot open %s: %s", s->path, strerror(errno));
    int rc = tc_segment_check_header(fd, s->path, s->topic, base);
    s->file = rc ? NULL : fdopen(fd, "rb");
    if (!s->file) {
        close(fd);
        return rc ? rc : tc_fail(TC_ENOMEM, "%s: no memory to read it", s->path);
    }
    if (fseek(s->file, TC_SEG_HEADER, SEEK_SET))
        return tc_fail(TC_EIO, "cannot read %s: %s", s->path, strerror(errno));
    s->byte = TC_SEG_HEADER;
    s->offset = base;
    return TC_OK;
}

static int damage(const struct tc_log_scan *s)
{
    return tc_fail(TC_EINPUT, "%s is damaged at byte %llu (offset %lld)", s->path,
                   (unsigned long long)s->byte, (long long)s->offset);
}

/* TC_DONE: the file ends here, perhaps inside a frame. */
static int read_frame(struct tc_log_scan *s, uint32_t *length)
{
    size_t n = fread(s->frame, 1, TC_FRAME_HEADER, s->file);
    if (n < TC_FRAME_HEADER)
        return n == 0 || s->at == s->n_seg ? TC_DONE : damage(s);
    *length = tc_frame_length(s->frame);
    if (!*length)
        return damage(s);
    size_t need = TC_FRAME_HEADER + (size_t)*length;
    if (need > s->room) {
        uint8_t *more = realloc(s->frame, need);
        if (!more)
            return tc_fail(TC_ENOMEM, "no memory for a record of %u bytes", *length);
        s->frame = more;
        s->room = need;
    }
    if (fread(s->frame + TC_FRAME_HEADER, 1, *length, s->file) < *length)
        return s->at == s->n_seg ? TC_DONE : damage(s);
    return tc_frame_whole(s->frame, *length) ? TC_OK : damage(s);
}

int tc_log_scan_next(struct tc_log_scan *s, struct tc_record *out, bool *damaged)
{
    uint32_t length = 0;
    int rc;
    *damaged = true;
    while (!s->file || (rc = read_frame(s, &length)) == TC_DONE)
        if ((rc = open_next(s)) != TC_OK)
            return rc;
    if (rc)
        return rc;
    s->byte += TC_FRAME_HEADER + length;
    s->offset++;
    *damaged = false;
    rc = tc_record_decode(s->frame + TC_FRAME_HEADER, length, out);
    return rc ? tc_more(rc, "%s, offset %lld", s->path, (long long)s->offset - 1) : TC_OK;
}

const char *tc_log_scan_path(const struct tc_log_scan *s)
{
    return s->path;
}

int64_t tc_log_scan_offset(const struct tc_log_scan *s)
{
    return s->offset - 1;
}
