#include "app/datadir.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { SMALL_FILE_MAX = 1 << 20 }; /* as much as a list of all symbols may take */

/* Shared-memory locks of SQLite's WAL do not work between the machines of these (sqlite.org/wal.html). */
static const struct {
    unsigned magic;
    const char *name;
} unsafe_filesystems[] = {
    {0x6969, "NFS"},        {0xFF534D42, "CIFS"},   {0xFE534D42, "SMB2"}, {0x517B, "SMB"},
    {0x01021997, "9P"},     {0x65735546, "FUSE"},   {0x00C36400, "Ceph"}, {0x5346414F, "AFS"},
    {0x0BD00BD0, "Lustre"}, {0x786F4256, "vboxsf"},
};

int tc_datadir_check_filesystem(const char *path)
{
    struct statfs fs;
    if (statfs(path, &fs))
        return tc_fail(TC_EIO, "data folder %s: %s", path, strerror(errno));
    for (size_t i = 0; i < sizeof(unsafe_filesystems) / sizeof(unsafe_filesystems[0]); i++)
        if ((unsigned)fs.f_type == unsafe_filesystems[i].magic)
            return tc_fail(
                TC_EIO,
                "data folder %s is on %s, where the store's log is not safe: choose a folder on a local disk "
                "with --data",
                path, unsafe_filesystems[i].name);
    return TC_OK;
}

static int make_folders(const char *path)
{
    char part[TC_PATH_SIZE];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof(part) - 32)
        return tc_fail(TC_ECONF, "the data folder's name is empty or longer than %d bytes",
                       TC_PATH_SIZE - 33);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) && errno != EEXIST)
            return tc_fail(TC_EIO, "cannot make the data folder %s: %s (choose another with --data)", part,
                           strerror(errno));
    }
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode))
        return tc_fail(TC_EIO, "data folder %s is no folder", path);
    if (access(path, W_OK | X_OK))
        return tc_fail(TC_EIO, "data folder %s cannot be written: %s (choose another with --data)", path,
                       strerror(errno));
    return TC_OK;
}

static int take_lock(struct tc_datadir *d)
{
    char path[TC_PATH_SIZE + 8];
    snprintf(path, sizeof(path), "%s/lock", d->path);
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0)
        return tc_fail(TC_EIO, "%s: %s", path, strerror(errno));
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB)) {
        char pid[24] = "";
        ssize_t n = pread(d->lock_fd, pid, sizeof(pid) - 1, 0);
        pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
        return tc_fail(TC_EBUSY,
                       "data folder %s is in use by process %s: stop that one, or choose another with --data",
                       d->path, pid[0] ? pid : "?");
    }
    if (ftruncate(d->lock_fd, 0) || dprintf(d->lock_fd, "%ld\n", (long)getpid()) < 0)
        return tc_fail(TC_EIO, "%s: %s", path, strerror(errno));
    return TC_OK;
}

/* Reads a small text file into a fresh string; TC_ENOTFOUND when there is none. */
static int read_small(const char *path, char **out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tc_fail(errno == ENOENT ? TC_ENOTFOUND : TC_EIO, "%s: %s", path, strerror(errno));
    char *text = malloc(SMALL_FILE_MAX + 1);
    ssize_t n = text ? read(fd, text, SMALL_FILE_MAX) : -1;
    close(fd);
    if (n < 0) {
        free(text);
        return tc_fail(TC_EIO, "%s: %s", path, strerror(errno));
    }
    text[n] = '\0';
    *out = text;
    return TC_OK;
}

/* Whole or not at all, also when the machine stops meanwhile. */
static int write_small(const char *path, const char *text)
{
    char fresh[TC_PATH_SIZE + 24];
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t n = strlen(text);
    int bad = fd < 0 || write(fd, text, n) != (ssize_t)n || fsync(fd);
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (!bad && rename(fresh, path)) {
        bad = 1;
        why = errno;
    }
    return bad ? tc_fail(TC_EIO, "%s: %s", path, strerror(why)) : TC_OK;
}

/* The file holds `text`, or is made to when absent; else *out_old is what it holds (to be freed). */
static int agree(const char *path, const char *text, char **out_old)
{
    char *old = NULL;
    *out_old = NULL;
    int rc = read_small(path, &old);
    if (rc == TC_ENOTFOUND)
        return write_small(path, text);
    if (rc == TC_OK && strcmp(old, text)) {
        *out_old = old;
        return TC_ECONF;
    }
    free(old);
    return rc;
}

static int check_world(const struct tc_datadir *d, enum tc_world world)
{
    char path[TC_PATH_SIZE + 8], text[16], *old;
    snprintf(path, sizeof(path), "%s/world", d->path);
    snprintf(text, sizeof(text), "%s\n", tc_world_name(world));
    int rc = agree(path, text, &old);
    if (!old)
        return rc;
    old[strcspn(old, "\n")] = '\0';
    rc =
        tc_fail(TC_ECONF,
                "data folder %s belongs to the %.20s world and this run to the %s one; they are never mixed: "
                "choose another folder with --data",
                d->path, old, tc_world_name(world));
    free(old);
    return rc;
}

/* Names the first line in which two texts differ. */
int tc_datadir_inputs(const struct tc_datadir *d, const char *inputs)
{
    char path[TC_PATH_SIZE + 8], *old;
    snprintf(path, sizeof(path), "%s/inputs", d->path);
    int rc = agree(path, inputs, &old);
    if (!old)
        return rc;
    const char *a = old, *b = inputs;
    while (strcspn(a, "\n") == strcspn(b, "\n") && !memcmp(a, b, strcspn(a, "\n")) && a[strcspn(a, "\n")] &&
           b[strcspn(b, "\n")]) {
        a += strcspn(a, "\n") + 1;
        b += strcspn(b, "\n") + 1;
    }
    rc = tc_fail(TC_ECONF,
                 "data folder %s was made from other inputs: it has '%.*s', this run '%.*s'; use the same "
                 "ones to go on, "
                 "or another folder with --data",
                 d->path, (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
    free(old);
    return rc;
}

int tc_datadir_open(const char *path, enum tc_world world, struct tc_datadir *out)
{
    *out = (struct tc_datadir){.lock_fd = -1};
    int rc = make_folders(path);
    if (rc)
        return rc;
    snprintf(out->path, sizeof(out->path), "%s", path);
    snprintf(out->bus, sizeof(out->bus), "%s/bus", path);
    snprintf(out->store, sizeof(out->store), "%s/tickcast.db", path);
    rc = tc_datadir_check_filesystem(path);
    if (!rc)
        rc = take_lock(out);
    if (!rc)
        rc = check_world(out, world);
    if (rc)
        tc_datadir_close(out);
    return rc;
}

void tc_datadir_close(struct tc_datadir *d)
{
    if (d->lock_fd >= 0)
        close(d->lock_fd); /* gives the lock back; the file stays, so that nobody locks a deleted one */
    d->lock_fd = -1;
}
