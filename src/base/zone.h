/* zone.h - a time zone from the system's tz database (TZif, RFC 8536). Immutable after load: any thread may
 * ask. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tc_zone;

/* "America/New_York"; "UTC" needs no database. TC_ENOTFOUND says which package is missing. */
int tc_zone_load(const char *name, struct tc_zone **out);
/* The same from bytes (fuzzed). */
int tc_zone_parse(const uint8_t *bytes, size_t n, struct tc_zone **out);
void tc_zone_free(struct tc_zone *z);

int32_t tc_zone_offset_s(const struct tc_zone *z, int64_t t_ns); /* local minus UTC, seconds */

/* Local civil time to UTC ns. A time that a jump forward leaves out is read with the offset before the jump;
 * one that happens twice means the first. */
int64_t tc_zone_to_utc(const struct tc_zone *z, int64_t days_since_1970, int32_t second_of_day);
