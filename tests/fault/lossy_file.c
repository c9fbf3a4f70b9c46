#include "lossy_file.h"
#include "base/rng.h"
#include "bus/file.h"

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
#include <unistd.h>

enum { FILES = 1024, FDS = 4096, SMALL = 256, SECTOR = 512 };

struct note {
    char path[512];
    bool used, named; /* named: its folder was synced after it was made */
    bool in_place;    /* was written with pwrite: `small` is its content at the last fsync */
    int64_t durable;  /* bytes from the start that are on the disk */
    int64_t small_len;
    char small[SMALL];
};

static struct note *notes;
static int16_t note_of_fd[FDS]; /* 0 = none, else number + 1 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *what)
{
    perror(what);
    abort();
}

static struct note *map_notes(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, sizeof(struct note) * FILES))
        die(path);
    void *p = mmap(NULL, sizeof(struct note) * FILES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        die(path);
    close(fd);
    return p;
}

static int64_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) ? 0 : st.st_size;
}

static struct note *find(const char *path)
{
    struct note *room = NULL;
    for (int i = 0; i < FILES; i++) {
        if (notes[i].used && !strcmp(notes[i].path, path))
            return &notes[i];
        if (!notes[i].used && !room)
            room = &notes[i];
    }
    if (!room || strlen(path) >= sizeof(room->path))
        die("too many files for the lossy layer");
    return room;
}

static int lossy_open(const char *path, int flags, mode_t mode)
{
    struct stat st;
    bool existed = !stat(path, &st);
    int fd = tc_file_system.open(path, flags, mode);
    if (fd < 0 || fd >= FDS || flags & O_DIRECTORY)
        return fd;
    pthread_mutex_lock(&lock);
    struct note *n = find(path);
    if (!n->used || !existed) {
        *n = (struct note){.used = true, .named = existed, .durable = existed ? st.st_size : 0};
        strcpy(n->path, path);
        if (existed) {
            ssize_t k = pread(fd, n->small, SMALL, 0);
            n->small_len = k > 0 ? k : 0;
        }
    }
    note_of_fd[fd] = (int16_t)(n - notes + 1);
    pthread_mutex_unlock(&lock);
    return fd;
}

static ssize_t lossy_write(int fd, const void *bytes, size_t n)
{
    return write(fd, bytes, n);
}

static ssize_t lossy_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    pthread_mutex_lock(&lock);
    if (note_of_fd[fd])
        notes[note_of_fd[fd] - 1].in_place = true;
    pthread_mutex_unlock(&lock);
    return pwrite(fd, bytes, n, at);
}

static void sync_folder(int fd)
{
    char proc[64], dir[PATH_MAX];
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(proc, dir, sizeof(dir) - 1);
    if (len <= 0)
        return;
    dir[len] = '\0';
    for (int i = 0; i < FILES; i++) {
        char real[PATH_MAX];
        const char *slash = notes[i].used ? strrchr(notes[i].path, '/') : NULL;
        if (!slash)
            continue;
        char parent[512];
        snprintf(parent, sizeof(parent), "%.*s", (int)(slash - notes[i].path), notes[i].path);
        if (realpath(parent, real) && !strcmp(real, dir))
            notes[i].named = true;
    }
}

static int lossy_fsync(int fd)
{
    struct stat st;
    if (fstat(fd, &st))
        return -1;
    pthread_mutex_lock(&lock);
    if (S_ISDIR(st.st_mode)) {
        sync_folder(fd);
    } else if (note_of_fd[fd]) {
        struct note *n = &notes[note_of_fd[fd] - 1];
        if (n->in_place) {
            ssize_t k = pread(fd, n->small, SMALL, 0);
            n->small_len = k > 0 ? k : 0;
        }
        n->durable = st.st_size;
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

static int lossy_ftruncate(int fd, off_t size)
{
    pthread_mutex_lock(&lock);
    int rc = ftruncate(fd, size);
    if (!rc && note_of_fd[fd] && notes[note_of_fd[fd] - 1].durable > size)
        notes[note_of_fd[fd] - 1].durable = size;
    pthread_mutex_unlock(&lock);
    return rc;
}

static int lossy_unlink(const char *path)
{
    int rc = unlink(path);
    pthread_mutex_lock(&lock);
    struct note *n = find(path);
    if (!rc && n->used)
        n->used = false;
    pthread_mutex_unlock(&lock);
    return rc;
}

static int lossy_close(int fd)
{
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < FDS)
        note_of_fd[fd] = 0;
    int rc = close(fd);
    pthread_mutex_unlock(&lock);
    return rc;
}

static const struct tc_file_ops lossy = {.open = lossy_open,
                                         .write = lossy_write,
                                         .pwrite = lossy_pwrite,
                                         .fsync = lossy_fsync,
                                         .ftruncate = lossy_ftruncate,
                                         .unlink = lossy_unlink,
                                         .close = lossy_close};

void lossy_install(const char *path)
{
    notes = map_notes(path);
    memset(note_of_fd, 0, sizeof(note_of_fd));
    tc_files = &lossy;
}

/* The unsynced end of a file: cut somewhere, and sectors before the cut may have stayed unwritten. */
static bool lose_tail(const struct note *n, int fd, struct tc_rng *rng)
{
    int64_t size = size_of(fd), lost = size - n->durable;
    if (lost <= 0)
        return false;
    int64_t keep = n->durable + (int64_t)tc_rng_below(rng, (uint64_t)lost + 1);
    if (ftruncate(fd, keep))
        die(n->path);
    static const char zeros[SECTOR];
    for (int64_t at = n->durable; at < keep; at = (at / SECTOR + 1) * SECTOR) {
        int64_t end = (at / SECTOR + 1) * SECTOR;
        if (tc_rng_below(rng, 4) == 0 && pwrite(fd, zeros, (size_t)((end < keep ? end : keep) - at), at) < 0)
            die(n->path);
    }
    return true;
}

static bool lose(const struct note *n, struct tc_rng *rng)
{
    int fd = open(n->path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool lost = false;
    if (!n->named && tc_rng_below(rng, 2)) {
        unlink(n->path);
        lost = true;
    } else if (n->in_place) {
        if (tc_rng_below(rng, 2)) {
            lost = true;
            if (ftruncate(fd, n->small_len) || pwrite(fd, n->small, (size_t)n->small_len, 0) < 0)
                die(n->path);
        }
    } else {
        lost = lose_tail(n, fd, rng);
    }
    close(fd);
    return lost;
}

int lossy_crash(const char *path, uint64_t seed)
{
    struct note *all = map_notes(path);
    struct tc_rng rng;
    int n = 0;
    tc_rng_seed(&rng, seed);
    for (int i = 0; i < FILES; i++)
        n += all[i].used && lose(&all[i], &rng);
    memset(all, 0, sizeof(struct note) * FILES);
    munmap(all, sizeof(struct note) * FILES);
    return n;
}
