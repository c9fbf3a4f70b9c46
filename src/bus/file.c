#include "bus/file.h"

#include <fcntl.h>
#include <unistd.h>

static int open_file(const char *path, int flags, mode_t mode)
{
    return open(path, flags | O_CLOEXEC, mode);
}

const struct tc_file_ops tc_file_system = {.open = open_file,
                                           .write = write,
                                           .pwrite = pwrite,
                                           .fsync = fsync,
                                           .ftruncate = ftruncate,
                                           .unlink = unlink,
                                           .close = close};

const struct tc_file_ops *tc_files = &tc_file_system;
