#include "app/calendars.h"
#include "base/err.h"
#include "base/path.h"

#include <stdio.h>
#include <string.h>

int tc_calendar_open_named(const char *name, struct tc_calendar **out)
{
    if (!strcmp(name, "always") || strpbrk(name, "./"))
        return tc_calendar_load(name, out);
    char file[128], path[1024];
    snprintf(file, sizeof(file), "calendars/%.64s.yaml", name);
    if (tc_data_path(file, path, sizeof(path)))
        return tc_fail(TC_ECONF,
                       "feed.calendar: there is no calendar '%.64s': use xnys, always, or the path of a file",
                       name);
    return tc_calendar_load(path, out);
}
