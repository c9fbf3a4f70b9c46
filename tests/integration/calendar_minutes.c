/* Asks a calendar for every minute of a span and prints those at which it opened or closed, "open 1381152600"
 * or "closed ...". Usage: calendar_minutes FILE FIRST_SECOND LAST_SECOND (since 1970, of whole minutes, both
 * included) */
#include "base/clock.h"
#include "base/err.h"
#include "market/calendar.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct tc_calendar *c;
    if (argc != 4)
        return 2;
    if (tc_calendar_load(argv[1], &c)) {
        fprintf(stderr, "%s\n", tc_error());
        return 1;
    }
    bool open = false;
    int64_t last = strtoll(argv[3], NULL, 10);
    for (int64_t t = strtoll(argv[2], NULL, 10); t <= last; t += 60) {
        if (tc_calendar_is_open(c, t * TC_NS_PER_SEC) == open)
            continue;
        open = !open;
        printf("%s %" PRId64 "\n", open ? "open" : "closed", t);
    }
    tc_calendar_free(c);
    return 0;
}
