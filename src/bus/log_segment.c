#include "bus/log_segment.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/num.h"
#include "bus/file.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENT_VERSION = 1, NAME_DIGITS = 20, SCAN_ROOM = 256 << 10 };
static const char MAGIC[8] = {'t', 'c', '-', 'l', 'o', 'g', '\r', '\n'};

static void put_le32(uint8_t *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static void put_le64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static uint32_t get_le32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static uint64_t get_le64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

void tc_segment_path(const char *topic_dir, int64_t base, char out[static PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%020lld.log", topic_dir, (long long)base);
}

static bool parse_name(const char *name, int64_t *base)
{
    size_t n = strlen(name);
    return n == NAME_DIGITS + 4 && strspn(name, "0123456789") == NAME_DIGITS &&
           !strcmp(name + NAME_DIGITS, ".log") && name[0] == '0' &&
           tc_parse_int(name + 1, NAME_DIGITS - 1, base);
}

static int by_base(const void *a, const void *b)
{
    int64_t x = ((const struct tc_segment *)a)->base, y = ((const struct tc_segment *)b)->base;
    return (x > y) - (x < y);
}

int tc_segment_list(const char *topic_dir, struct tc_segment **out, size_t *out_n)
{
    DIR *d = opendir(topic_dir);
    if (!d)
        return tc_fail(TC_EIO, "cannot read the folder %s: %s", topic_dir, strerror(errno));
    struct tc_segment *list = NULL;
    size_t n = 0, cap = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        int64_t base;
        if (!parse_name(e->d_name, &base))
            continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 16;
            struct tc_segment *more = realloc(list, cap * sizeof(*list));
            if (!more) {
                free(list);
                closedir(d);
                return tc_fail(TC_ENOMEM, "no memory for the segments of %s", topic_dir);
            }
            list = more;
        }
        list[n++] = (struct tc_segment){.base = base, .end = base};
    }
    closedir(d);
    if (n)
        qsort(list, n, sizeof(*list), by_base);
    *out = list;
    *out_n = n;
    return TC_OK;
}

int tc_segment_create(const char *topic_dir, enum tc_topic topic, int64_t base, int64_t now)
{
    char path[PATH_MAX];
    uint8_t h[TC_SEG_HEADER] = {0};
    tc_segment_path(topic_dir, base, path);
    int fd = tc_files->open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0644);
    if (fd < 0)
        return tc_fail(TC_EIO, "cannot create %s: %s", path, strerror(errno));
    memcpy(h, MAGIC, sizeof(MAGIC));
    put_le32(h + 8, SEGMENT_VERSION);
    put_le32(h + 12, (uint32_t)topic);
    put_le64(h + 16, (uint64_t)base);
    put_le64(h + 24, (uint64_t)now);
    put_le32(h + 36, tc_crc32c(0, h, 36));
    errno = ENOSPC; /* what a short write without an error means */
    if (tc_files->write(fd, h, sizeof(h)) != (ssize_t)sizeof(h)) {
        int err = errno;
        tc_files->close(fd);
        tc_files->unlink(path);
        return tc_fail(TC_EIO, "cannot write %s: %s", path, strerror(err));
    }
    return fd;
}

int tc_segment_check_header(int fd, const char *path, enum tc_topic topic, int64_t base)
{
    uint8_t h[TC_SEG_HEADER];
    ssize_t n = pread(fd, h, sizeof(h), 0);
    if (n < 0)
        return tc_fail(TC_EIO, "cannot read %s: %s", path, strerror(errno));
    if (n < (ssize_t)sizeof(h) || memcmp(h, MAGIC, sizeof(MAGIC)) || get_le32(h + 36) != tc_crc32c(0, h, 36))
        return tc_fail(TC_EINPUT, "%s has no valid log header", path);
    if (get_le32(h + 8) != SEGMENT_VERSION)
        return tc_fail(TC_EINPUT, "%s has log version %u, this program reads version %d", path,
                       get_le32(h + 8), SEGMENT_VERSION);
    if (get_le32(h + 12) != (uint32_t)topic || (int64_t)get_le64(h + 16) != base)
        return tc_fail(TC_EINPUT, "%s was renamed or moved: its header speaks of topic %u, offset %lld", path,
                       get_le32(h + 12), (long long)get_le64(h + 16));
    return TC_OK;
}

int tc_frame_put(const struct tc_record *r, struct tc_buf *out)
{
    static const uint8_t none[TC_FRAME_HEADER];
    size_t at = out->len;
    tc_buf_put(out, none, sizeof(none));
    int rc = tc_record_encode(r, out);
    if (rc) {
        out->len = at;
        return rc;
    }
    uint8_t *p = (uint8_t *)out->data + at;
    uint32_t length = (uint32_t)(out->len - at - TC_FRAME_HEADER);
    put_le32(p, length);
    put_le32(p + 4, tc_crc32c(tc_crc32c(0, p, 4), p + TC_FRAME_HEADER, length));
    return TC_OK;
}

uint32_t tc_frame_length(const uint8_t *p)
{
    uint32_t n = get_le32(p);
    return n >= TC_FRAME_MIN && n <= TC_FRAME_MAX ? n : 0;
}

bool tc_frame_whole(const uint8_t *p, uint32_t length)
{
    return get_le32(p + 4) == tc_crc32c(tc_crc32c(0, p, 4), p + TC_FRAME_HEADER, length);
}

/* A window on the file that holds at least `need` bytes from `at` on; false when the file has fewer. */
struct window {
    int fd;
    uint8_t *data;
    size_t room, len;
    uint64_t at;
};

static int window_hold(struct window *w, uint64_t at, size_t need, const uint8_t **out)
{
    if (at < w->at || at + need > w->at + w->len) {
        if (need > w->room) {
            uint8_t *more = realloc(w->data, need);
            if (!more)
                return tc_fail(TC_ENOMEM, "no memory for a record of %zu bytes", need);
            w->data = more;
            w->room = need;
        }
        ssize_t n = pread(w->fd, w->data, w->room, (off_t)at);
        if (n < 0)
            return tc_fail(TC_EIO, "cannot read: %s", strerror(errno));
        w->at = at;
        w->len = (size_t)n;
    }
    *out = at + need <= w->at + w->len ? w->data + (at - w->at) : NULL;
    return TC_OK;
}

static int scan_frames(struct window *w, int64_t stop, uint64_t size, struct tc_segment *s)
{
    while (s->end < stop) {
        const uint8_t *p = NULL;
        if (s->bytes == size)
            return TC_OK;
        int rc = window_hold(w, s->bytes, TC_FRAME_HEADER, &p);
        if (rc || !p)
            return rc ? rc : TC_DONE;
        uint32_t length = tc_frame_length(p);
        if (!length || s->bytes + TC_FRAME_HEADER + length > size)
            return TC_DONE;
        rc = window_hold(w, s->bytes, TC_FRAME_HEADER + length, &p);
        if (rc)
            return rc;
        if (!p || !tc_frame_whole(p, length))
            return TC_DONE;
        s->bytes += TC_FRAME_HEADER + length;
        s->end++;
    }
    return TC_OK;
}

int tc_segment_scan(int fd, const char *path, int64_t stop, struct tc_segment *s)
{
    struct stat st;
    if (fstat(fd, &st))
        return tc_fail(TC_EIO, "cannot look at %s: %s", path, strerror(errno));
    struct window w = {.fd = fd, .data = malloc(SCAN_ROOM), .room = SCAN_ROOM};
    if (!w.data)
        return tc_fail(TC_ENOMEM, "no memory to read %s", path);
    s->end = s->base;
    s->bytes = TC_SEG_HEADER;
    s->newest = (int64_t)st.st_mtim.tv_sec * TC_NS_PER_SEC + st.st_mtim.tv_nsec;
    int rc = scan_frames(&w, stop, (uint64_t)st.st_size, s);
    free(w.data);
    return rc < 0 ? tc_more(rc, "%s", path) : rc;
}

int tc_sync_folder(const char *path)
{
    int fd = tc_files->open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return tc_fail(TC_EIO, "cannot open the folder %s: %s", path, strerror(errno));
    int rc = tc_files->fsync(fd);
    int err = errno;
    tc_files->close(fd);
    return rc ? tc_fail(TC_EIO, "cannot sync the folder %s: %s", path, strerror(err)) : TC_OK;
}
