/* file.h - the file operations whose order and durability the log bus depends on, behind a table that tests
 * replace: to cut writes short, to fill the disk, to lose what was not synced. Reading needs no such table.
 *
 * All answer as the system calls do: -1 and errno when they fail.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct tc_file_ops {
    int (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*write)(int fd, const void *bytes, size_t n);
    ssize_t (*pwrite)(int fd, const void *bytes, size_t n, off_t at);
    int (*fsync)(int fd);
    int (*ftruncate)(int fd, off_t size);
    int (*unlink)(const char *path);
    int (*close)(int fd);
};

extern const struct tc_file_ops tc_file_system;

/* The table in use; the system's unless a test sets its own before anything is opened. */
extern const struct tc_file_ops *tc_files;
