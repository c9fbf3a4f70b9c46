/* datadir.h - the data folder: one world, one set of inputs, one process at a time.
 *
 *   DATA/world        live | replay | simulated, written at first use
 *   DATA/inputs       what a repeatable run is made from, one "key=value" a line; other inputs are refused
 *   DATA/lock         held with flock while a process runs; holds its process id
 *   DATA/bus/         the log bus
 *   DATA/tickcast.db  the store
 */
#pragma once

#include "market/market.h"

enum { TC_PATH_SIZE = 1024 };

struct tc_datadir {
    char path[TC_PATH_SIZE], bus[TC_PATH_SIZE], store[TC_PATH_SIZE];
    int lock_fd;
};

/* Makes the folder when absent and takes it. TC_EBUSY: another process has it; TC_ECONF: another world;
 * TC_EIO: cannot be made or written, or its file system cannot hold the store. */
int tc_datadir_open(const char *path, enum tc_world world, struct tc_datadir *out);

/* Writes the inputs down at first use; TC_ECONF when the folder was made from others. Called once all else
 * has opened, so that a run that was refused leaves nothing to be corrected. */
int tc_datadir_inputs(const struct tc_datadir *d, const char *inputs);
void tc_datadir_close(struct tc_datadir *d);

/* TC_EIO with a sentence when the path's file system is one on which SQLite's write-ahead log is not safe. */
int tc_datadir_check_filesystem(const char *path);
