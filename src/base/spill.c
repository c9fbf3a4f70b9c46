#include "base/spill.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct piece {
    void *at;
    size_t bytes;
};

struct tc_spill {
    int fd;
    off_t size;
    size_t n, room;
    struct piece *pieces;
};

/* A file without a name; where the file system cannot make one, a name that is taken away at once. */
static int open_nameless(const char *folder)
{
    char path[4096];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    if ((size_t)snprintf(path, sizeof(path), "%s/.spill-XXXXXX", folder) >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

int tc_spill_open(const char *folder, struct tc_spill **out)
{
    struct tc_spill *s = calloc(1, sizeof(*s));
    if (!s)
        return tc_fail(TC_ENOMEM, "no memory for a spill file");
    s->fd = open_nameless(folder);
    if (s->fd < 0) {
        int fault = errno;
        free(s);
        return tc_fail(TC_EIO, "%s: no room for training rows can be made there: %s", folder,
                       strerror(fault));
    }
    *out = s;
    return TC_OK;
}

void tc_spill_close(struct tc_spill *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        munmap(s->pieces[i].at, s->pieces[i].bytes);
    free(s->pieces);
    close(s->fd);
    free(s);
}

static void *no_room(size_t bytes, int fault)
{
    tc_fail(fault == ENOMEM ? TC_ENOMEM : TC_EIO, "no room for %zu bytes of training rows: %s", bytes,
            strerror(fault));
    return NULL;
}

void *tc_spill_take(struct tc_spill *s, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes / page + 1) * page;
    if (s->n == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        struct piece *more = realloc(s->pieces, room * sizeof(*more));
        if (!more)
            return no_room(bytes, ENOMEM);
        s->pieces = more;
        s->room = room;
    }
    int fault = posix_fallocate(s->fd, s->size, (off_t)whole); /* a full disk shows here, not as a signal */
    if (fault)
        return no_room(bytes, fault);
    void *at = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, s->size);
    if (at == MAP_FAILED)
        return no_room(bytes, errno);
    s->size += (off_t)whole;
    s->pieces[s->n++] = (struct piece){at, whole};
    return at;
}

void tc_spill_release(const struct tc_spill *s, const void *at, size_t bytes)
{
    const char *from = at;
    for (size_t i = s->n; i-- > 0;) {
        char *begin = s->pieces[i].at, *end = begin + s->pieces[i].bytes;
        if (from < begin || from >= end || bytes > (size_t)(end - from))
            continue;
        size_t page = (size_t)sysconf(_SC_PAGESIZE), skip = (size_t)(from - begin) / page * page;
        madvise(begin + skip, (size_t)(from - begin) - skip + bytes, MADV_DONTNEED); /* the file keeps it */
        return;
    }
}
