#include "app/calendars.h"
#include "base/err.h"
#include "base/path.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

int tc_calendar_open_named(const char *name, struct tc_calendar **out)
{
    if (!strcasecmp(name, "always") || !strcmp(name, "24/7"))
        return tc_calendar_load("always", out);
    if (strpbrk(name, "./"))
        return tc_calendar_load(name, out);
    char file[128], path[1024];
    snprintf(file, sizeof(file), "calendars/%.64s.yaml", name);
    for (char *c = file; *c; c++) /* exchanges are known by capitals: XNYS */
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
    if (tc_data_path(file, path, sizeof(path)))
        return tc_fail(TC_ECONF,
                       "feed.calendar: there is no calendar '%.64s': use xnys, always, or the path of a file",
                       name);
    return tc_calendar_load(path, out);
}
