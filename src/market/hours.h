/* hours.h - when a program that keeps an exchange's hours is awake: the chosen parts of each session, a while
 * before for connecting and warming up, a while after for what comes late. Pure: the caller tells the time.
 */
#pragma once

#include "market/calendar.h"

enum { TC_HOURS_PRE = 1, TC_HOURS_REGULAR = 2, TC_HOURS_AFTER = 4 };

struct tc_hours {
    const struct tc_calendar *calendar;
    int parts;                   /* TC_HOURS_*, at least one */
    int64_t before_ns, after_ns; /* awake so long before the first part and after the last */
};

struct tc_hours_now {
    bool awake;
    int64_t until;             /* when that changes; INT64_MAX = never */
    struct tc_session session; /* that it is awake for, or that comes next */
};

/* TC_ENOTFOUND: the calendar has no session within two months. */
int tc_hours_at(const struct tc_hours *h, int64_t now, struct tc_hours_now *out);
