#include "social/lines.h"
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int tc_lines_read(const char *path, size_t room, int (*take)(void *ctx, char *line), void *ctx)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return tc_fail(errno == ENOENT ? TC_ENOTFOUND : TC_EIO, "%s: %s", path, strerror(errno));
    char line[TC_LINES_LONGEST];
    int rc = TC_OK, number = 0;
    while (!rc && fgets(line, (int)room, f)) {
        number++;
        size_t n = strcspn(line, "\r\n");
        if (n == room - 1)
            rc = tc_fail(TC_EINPUT, "the line is longer than %d bytes", (int)room - 2);
        line[n] = '\0';
        if (!rc && n && line[0] != '#')
            rc = take(ctx, line);
        if (rc)
            tc_more(rc, "%s:%d", path, number);
    }
    if (!rc && ferror(f))
        rc = tc_fail(TC_EIO, "%s: %s", path, strerror(errno));
    fclose(f);
    return rc;
}
