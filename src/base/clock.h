/* clock.h - time. All times are int64 nanoseconds since 1970 UTC unless a name says `mono`. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TC_NS_PER_SEC INT64_C(1000000000)
#define TC_NS_PER_MS INT64_C(1000000)

int64_t tc_now_ns(void);  /* wall clock */
int64_t tc_mono_ns(void); /* never jumps; only for durations */

/* Sleeps until the monotonic instant; returns early on a signal. */
void tc_sleep_until_mono(int64_t mono_ns);

/* a / b rounded down, also below zero; b > 0. */
int64_t tc_floor_div(int64_t a, int64_t b);

/* Start of the second that holds t (also before 1970). */
int64_t tc_floor_second(int64_t t);

/* "2013-10-07T13:30:00.000000000Z", fraction left out when zero. Returns out. */
const char *tc_time_iso(int64_t t, char *out, size_t size);

/* A calendar date as the number yyyymmdd and its text "yyyy-mm-dd". */
int32_t tc_date_utc(int64_t t);
const char *tc_date_text(int32_t yyyymmdd, char out[static 12]);

/* Days since 1970-01-01 of a date, and back (Howard Hinnant's civil algorithms). */
int64_t tc_days_from_date(int32_t yyyymmdd);
int32_t tc_date_from_days(int64_t days);
