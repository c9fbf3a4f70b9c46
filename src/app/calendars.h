/* calendars.h - from a calendar's name in the configuration to the calendar. */
#pragma once

#include "market/calendar.h"

/* "always" (or "24/7"), a shipped calendar's name ("xnys", in any case), or the path of a calendar file. */
int tc_calendar_open_named(const char *name, struct tc_calendar **out);
