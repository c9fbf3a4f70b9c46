/* when.h - instants as a person writes them on the command line, and as a table shows them. */
#pragma once

#include "market/calendar.h"

#include <stdbool.h>
#include <stdint.h>

/* A day of the calendar (2013-10-07), its local time (2013-10-07 09:30, with T in place of the space, seconds
 * and fraction at will), UTC (the same with Z), or nanoseconds since 1970. A day means its local midnight;
 * with `end` the midnight after it, so that a range of days includes the last one. TC_EUSAGE says what is
 * taken; `name` is the flag. */
int tc_when_parse(const char *text, const struct tc_calendar *c, bool end, const char *name, int64_t *out);

enum { TC_WHEN_TEXT = 40 };

/* "2013-10-07 09:30:00", with milliseconds when there are any; local to the calendar, or UTC for NULL. */
const char *tc_when_text(int64_t t, const struct tc_calendar *c, char out[static TC_WHEN_TEXT]);
