/* lossy.h - plays a machine that loses power: writes go through to the files, but what was durable at each
 * moment is kept beside them, and lossy_crash() later puts back at random what a disk might not have kept:
 * parts of appended ends, single sectors written in place, sizes, names of files whose folder was never
 * synced.
 *
 * The notes are a folder of their own, so that they outlive a killed process: run the victim in a child, kill
 * it, call lossy_crash(). Not played: an unsynced unlink that comes back.
 *
 * Used in two ways: unit tests hand these functions to the log bus (bus/file.h); liblossy_preload.so puts
 * them before the C library's, under the program as it ships, SQLite included.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* From now on files below `data` are noted in the folder `notes` (made when absent). */
void lossy_begin(const char *notes, const char *data);

int lossy_open(const char *path, int flags, mode_t mode);
ssize_t lossy_write(int fd, const void *bytes, size_t n);
ssize_t lossy_pwrite(int fd, const void *bytes, size_t n, off_t at);
int lossy_fsync(int fd);
int lossy_ftruncate(int fd, off_t size);
int lossy_unlink(const char *path);
int lossy_rename(const char *from, const char *to);
int lossy_close(int fd);

/* Applies the loss to every file noted and forgets the notes. Returns how many files lost something. */
int lossy_crash(const char *notes, uint64_t seed);
