/* preload.c - stands before the C library under the program as it ships (LD_PRELOAD), SQLite included.
 *
 *   LOSSY_NOTES, LOSSY_DATA   files below LOSSY_DATA go through the lossy layer (lossy.h)
 *   CLOCK_FILE                8 bytes: nanoseconds added to the wall clock; may change while the program runs
 */
#include "lossy.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int64_t *clock_offset;

__attribute__((constructor)) static void begin(void)
{
    const char *notes = getenv("LOSSY_NOTES"), *data = getenv("LOSSY_DATA"), *clock = getenv("CLOCK_FILE");
    if (notes && data)
        lossy_begin(notes, data);
    if (clock) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, clock, O_RDONLY);
        void *p = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
        clock_offset = p == MAP_FAILED ? NULL : p;
    }
}

/* Declared here and not by the headers, whose prototypes some compilers rename (large files) or annotate. */
int open(const char *path, int flags, ...);
int open64(const char *path, int flags, ...);
ssize_t pwrite64(int fd, const void *bytes, size_t n, int64_t at);
int ftruncate64(int fd, int64_t size);

static int open_any(const char *path, int flags, va_list ap)
{
    return lossy_open(path, flags, flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(ap, int) : 0);
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    int fd = open_any(path, flags, ap);
    va_end(ap);
    return fd;
}

int open64(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    int fd = open_any(path, flags, ap);
    va_end(ap);
    return fd;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    return lossy_write(fd, bytes, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    return lossy_pwrite(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, int64_t at)
{
    return lossy_pwrite(fd, bytes, n, at);
}

int fsync(int fd)
{
    return lossy_fsync(fd);
}

int fdatasync(int fd)
{
    return lossy_fsync(fd);
}

int ftruncate(int fd, off_t size)
{
    return lossy_ftruncate(fd, size);
}

int ftruncate64(int fd, int64_t size)
{
    return lossy_ftruncate(fd, size);
}

int unlink(const char *path)
{
    return lossy_unlink(path);
}

int rename(const char *from, const char *to)
{
    return lossy_rename(from, to);
}

int close(int fd)
{
    return lossy_close(fd);
}

int clock_gettime(clockid_t which, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, which, out);
    if (rc || which != CLOCK_REALTIME || !clock_offset)
        return rc;
    int64_t t = (int64_t)out->tv_sec * 1000000000 + out->tv_nsec + *(const volatile int64_t *)clock_offset;
    out->tv_sec = t / 1000000000;
    out->tv_nsec = t % 1000000000;
    return 0;
}
