#include "lossy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* System calls are made directly: when preloaded, this file stands before the C library's names. */

enum { FILES = 1024, FDS = 4096, SECTOR = 512, PIECE = 1 << 16 };

struct note {
    char path[512];
    bool used;
    bool named; /* its folder was synced since it was made */
};

/* What the file lacks against its shadow; of this process only. */
struct dirt {
    int64_t lo, hi; /* bytes written since the last fsync */
    int shadow;     /* descriptor; -1 = not open yet */
};

static char notes_dir[256], data_dir[512];
static struct note *notes;
static struct dirt dirt[FILES];
static int16_t note_of_fd[FDS]; /* 0 = none, else number + 1 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int real_open(const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

static void real_close(int fd)
{
    syscall(SYS_close, fd);
}

static void die(const char *what)
{
    char text[600];
    int n = snprintf(text, sizeof(text), "lossy: %s: %s\n", what, strerror(errno));
    syscall(SYS_write, 2, text, (size_t)n);
    abort();
}

static struct note *map_notes(const char *folder)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/table", folder);
    int fd = real_open(path, O_RDWR | O_CREAT, 0644);
    if (fd < 0 || syscall(SYS_ftruncate, fd, (off_t)(sizeof(struct note) * FILES)))
        die(path);
    void *p = mmap(NULL, sizeof(struct note) * FILES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        die(path);
    real_close(fd);
    return p;
}

static void shadow_path(const char *folder, long number, char out[static 300])
{
    snprintf(out, 300, "%s/%ld", folder, number);
}

static int open_shadow(const char *folder, long number)
{
    char path[300];
    shadow_path(folder, number, path);
    int fd = real_open(path, O_RDWR | O_CREAT, 0644);
    if (fd < 0)
        die(path);
    return fd;
}

static int64_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) ? 0 : st.st_size;
}

static void copy_range(int from, int to, int64_t lo, int64_t hi)
{
    static _Thread_local char piece[PIECE];
    while (lo < hi) {
        ssize_t n = pread(from, piece, (size_t)(hi - lo < PIECE ? hi - lo : PIECE), lo);
        if (n < 0)
            die("copy");
        if (n == 0)
            return;
        if (syscall(SYS_pwrite64, to, piece, (size_t)n, lo) != n)
            die("shadow");
        lo += n;
    }
}

void lossy_begin(const char *folder, const char *data)
{
    mkdir(folder, 0755);
    snprintf(notes_dir, sizeof(notes_dir), "%s", folder);
    snprintf(data_dir, sizeof(data_dir), "%s/", data);
    notes = map_notes(folder);
    memset(note_of_fd, 0, sizeof(note_of_fd));
    for (int i = 0; i < FILES; i++)
        dirt[i] = (struct dirt){.shadow = -1};
}

static struct note *find(const char *path, bool make)
{
    struct note *room = NULL;
    for (int i = 0; i < FILES; i++) {
        if (notes[i].used && !strcmp(notes[i].path, path))
            return &notes[i];
        if (!notes[i].used && !room)
            room = &notes[i];
    }
    if (!make)
        return NULL;
    if (!room || strlen(path) >= sizeof(room->path))
        die("too many files");
    return room;
}

static void forget(struct note *n)
{
    char path[300];
    shadow_path(notes_dir, n - notes, path);
    struct dirt *d = &dirt[n - notes];
    if (d->shadow >= 0)
        real_close(d->shadow);
    *d = (struct dirt){.shadow = -1};
    syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    n->used = false;
}

static void note_open(const char *path, int fd, bool existed)
{
    struct note *n = find(path, true);
    if (n->used && !existed)
        forget(n);
    struct dirt *d = &dirt[n - notes];
    bool known = n->used;
    if (d->shadow < 0)
        d->shadow = open_shadow(notes_dir, n - notes);
    if (!known) {
        *n = (struct note){.named = existed};
        snprintf(n->path, sizeof(n->path), "%s", path);
        if (syscall(SYS_ftruncate, d->shadow, (off_t)0))
            die("shadow");
        int from = existed ? real_open(path, O_RDONLY, 0) : -1;
        if (from >= 0) { /* before the program can hold a lock on it */
            copy_range(from, d->shadow, 0, size_of(from));
            real_close(from);
        }
        n->used = true;
    } else if (d->hi == 0) {
        d->hi = size_of(fd); /* an earlier process may have written anything */
    }
    if (fd < FDS)
        note_of_fd[fd] = (int16_t)(n - notes + 1);
}

int lossy_open(const char *path, int flags, mode_t mode)
{
    struct stat st;
    bool mine = notes && (flags & (O_WRONLY | O_RDWR)) && !strncmp(path, data_dir, strlen(data_dir)) &&
                !strstr(path, "-shm");
    if (!mine)
        return real_open(path, flags, mode);
    pthread_mutex_lock(&lock);
    bool existed = !stat(path, &st);
    int fd = real_open(path, flags, mode);
    if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
        note_open(path, fd, existed);
    pthread_mutex_unlock(&lock);
    return fd;
}

/* The note of a descriptor; call with the lock held. */
static struct note *note_of(int fd)
{
    return notes && fd >= 0 && fd < FDS && note_of_fd[fd] ? &notes[note_of_fd[fd] - 1] : NULL;
}

static void soil(int fd, int64_t lo, int64_t hi)
{
    struct note *n = note_of(fd);
    if (!n || lo >= hi)
        return;
    struct dirt *d = &dirt[n - notes];
    d->lo = d->lo < d->hi && d->lo < lo ? d->lo : lo;
    d->hi = d->hi > hi ? d->hi : hi;
}

ssize_t lossy_write(int fd, const void *bytes, size_t n)
{
    if (!notes || fd < 0 || fd >= FDS || !note_of_fd[fd])
        return syscall(SYS_write, fd, bytes, n);
    pthread_mutex_lock(&lock);
    ssize_t k = syscall(SYS_write, fd, bytes, n);
    int err = errno;
    if (k > 0) {
        int64_t end = lseek(fd, 0, SEEK_CUR);
        soil(fd, end - k, end);
    }
    pthread_mutex_unlock(&lock);
    errno = err;
    return k;
}

ssize_t lossy_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    if (!notes || fd < 0 || fd >= FDS || !note_of_fd[fd])
        return syscall(SYS_pwrite64, fd, bytes, n, at);
    pthread_mutex_lock(&lock);
    ssize_t k = syscall(SYS_pwrite64, fd, bytes, n, at);
    int err = errno;
    if (k > 0)
        soil(fd, at, at + k);
    pthread_mutex_unlock(&lock);
    errno = err;
    return k;
}

static void sync_names(int fd)
{
    char proc[64], dir[PATH_MAX];
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(proc, dir, sizeof(dir) - 1);
    if (len <= 0)
        return;
    dir[len] = '\0';
    for (int i = 0; i < FILES; i++) {
        const char *slash = notes[i].used ? strrchr(notes[i].path, '/') : NULL;
        if (slash && slash - notes[i].path == len && !strncmp(notes[i].path, dir, (size_t)len))
            notes[i].named = true;
    }
}

int lossy_fsync(int fd)
{
    struct stat st;
    if (!notes)
        return (int)syscall(SYS_fsync, fd);
    pthread_mutex_lock(&lock);
    int rc = fstat(fd, &st);
    struct note *n = rc ? NULL : note_of(fd);
    if (!rc && S_ISDIR(st.st_mode)) {
        sync_names(fd);
    } else if (n) {
        struct dirt *d = &dirt[n - notes];
        /* A descriptor that only writes needs another to read; never for others, since closing one gives up
         * the process's locks on the file. */
        bool blind = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
        int from = blind ? real_open(n->path, O_RDONLY, 0) : fd;
        copy_range(from, d->shadow, d->lo, d->hi < st.st_size ? d->hi : st.st_size);
        if (blind)
            real_close(from);
        if (syscall(SYS_ftruncate, d->shadow, st.st_size))
            die("shadow");
        d->lo = d->hi = 0;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

int lossy_ftruncate(int fd, off_t size)
{
    pthread_mutex_lock(&lock);
    int64_t before = size_of(fd);
    int rc = (int)syscall(SYS_ftruncate, fd, size);
    int err = errno;
    if (!rc)
        soil(fd, before < size ? before : size, size);
    pthread_mutex_unlock(&lock);
    errno = err;
    return rc;
}

int lossy_unlink(const char *path)
{
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    int err = errno;
    struct note *n = rc || !notes ? NULL : find(path, false);
    if (n)
        forget(n);
    pthread_mutex_unlock(&lock);
    errno = err;
    return rc;
}

int lossy_rename(const char *from, const char *to)
{
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    int err = errno;
    struct note *n = rc || !notes ? NULL : find(from, false), *old = rc || !notes ? NULL : find(to, false);
    if (n && old)
        forget(old);
    if (n) {
        snprintf(n->path, sizeof(n->path), "%s", to);
        n->named = false;
    }
    pthread_mutex_unlock(&lock);
    errno = err;
    return rc;
}

int lossy_close(int fd)
{
    pthread_mutex_lock(&lock);
    if (notes && fd >= 0 && fd < FDS)
        note_of_fd[fd] = 0;
    int rc = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return rc;
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static size_t read_sector(int fd, int64_t at, int64_t end, char *out)
{
    memset(out, 0, SECTOR);
    ssize_t n = pread(fd, out, (size_t)(end - at < SECTOR ? end - at : SECTOR), at);
    return n > 0 ? (size_t)n : 0;
}

/* Every sector that differs from the durable form is kept or lost by itself; so is the size. */
static bool mix(int fd, int shadow, uint64_t *rng)
{
    int64_t now = size_of(fd), was = size_of(shadow), size = now;
    char a[SECTOR], b[SECTOR];
    bool lost = false;
    if (now > was)
        size = was + (int64_t)(next_random(rng) % (uint64_t)(now - was + 1));
    else if (now < was && next_random(rng) % 2)
        size = was;
    if (size != now && syscall(SYS_ftruncate, fd, size))
        die("crash");
    for (int64_t at = 0; at < size; at += SECTOR) {
        size_t n = read_sector(fd, at, size, a);
        read_sector(shadow, at, size, b);
        int64_t odds = at >= was ? 4 : 2; /* of an appended end most is there, with holes */
        if (memcmp(a, b, SECTOR) && next_random(rng) % (uint64_t)odds == 0) {
            lost = true;
            if (syscall(SYS_pwrite64, fd, b, n, at) != (ssize_t)n)
                die("crash");
        }
    }
    return lost || size != now;
}

static bool lose(const struct note *n, int shadow, uint64_t *rng)
{
    int fd = real_open(n->path, O_RDWR, 0);
    if (fd < 0)
        return false;
    bool lost = true;
    if (!n->named && next_random(rng) % 2)
        syscall(SYS_unlinkat, AT_FDCWD, n->path, 0);
    else
        lost = mix(fd, shadow, rng);
    real_close(fd);
    return lost;
}

int lossy_crash(const char *folder, uint64_t seed)
{
    struct note *all = map_notes(folder);
    int files = 0;
    for (long i = 0; i < FILES; i++) {
        if (!all[i].used)
            continue;
        char path[300];
        int shadow = open_shadow(folder, i);
        files += lose(&all[i], shadow, &seed);
        real_close(shadow);
        shadow_path(folder, i, path);
        syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    }
    memset(all, 0, sizeof(struct note) * FILES);
    munmap(all, sizeof(struct note) * FILES);
    return files;
}
