/* calendar.h - trading days and hours of an exchange, from an editable YAML file (data/calendars/), in the
 * zone it names.
 *
 * A `day` is the session date (exchange date; UTC date for the always-open calendar) as yyyymmdd. Any
 * thread may ask, also while another refreshes it. Daylight saving comes from the system's tz database.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct tc_calendar;

struct tc_session {
    int32_t day;
    int64_t open, close;          /* regular session [open, close) */
    int64_t pre_open, post_close; /* extended hours around it, equal to open and close where there are none */
    bool early_close;
};

/* Path of a calendar file, or "always" for the one that never closes (UTC). */
int tc_calendar_load(const char *path, struct tc_calendar **out);
void tc_calendar_free(struct tc_calendar *c);
/* Reads the file again when it is another than the one read last: TC_OK when the new one is in force,
 * TC_AGAIN when nothing changed (or the file is away), TC_EINPUT, TC_ECONF or TC_EIO when the new one is bad
 * and the old one stays; told once for each change. One thread at a time. What the calendar gave before stays
 * readable: all tables are kept until the end, a few kilobytes for each edit. */
int tc_calendar_refresh(struct tc_calendar *c);
uint32_t tc_calendar_version(const struct tc_calendar *c); /* rises with each refresh that changed it */
const char *tc_calendar_name(const struct tc_calendar *c);
const char *tc_calendar_zone(const struct tc_calendar *c); /* "America/New_York", "UTC" */
bool tc_calendar_always_open(const struct tc_calendar *c);

int32_t tc_calendar_day(const struct tc_calendar *c, int64_t t); /* exchange date of an instant */
int tc_calendar_session(const struct tc_calendar *c, int32_t day,
                        struct tc_session *out);                  /* TC_ENOTFOUND: closed */
bool tc_calendar_is_open(const struct tc_calendar *c, int64_t t); /* regular session */
int tc_calendar_next(const struct tc_calendar *c, int64_t t,
                     struct tc_session *out); /* first session with close > t */
int tc_calendar_previous(const struct tc_calendar *c, int64_t t,
                         struct tc_session *out); /* last session with close <= t */
const char *tc_calendar_closed_reason(const struct tc_calendar *c,
                                      int32_t day); /* holiday's name, "weekend"; NULL if open */
int64_t tc_calendar_local_midnight(const struct tc_calendar *c,
                                   int32_t day);                      /* 00:00 exchange time, in UTC ns */
int32_t tc_calendar_offset_s(const struct tc_calendar *c, int64_t t); /* local minus UTC, seconds */

/* What looks like a slip in the file: exceptions without an effect, years with too few sessions. Appends "; "
 * and a sentence for each; nothing when all is well. */
void tc_calendar_check(const struct tc_calendar *c, int first_year, int last_year, struct tc_buf *out);
