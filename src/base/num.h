/* num.h - bounded, locale-free parsing and formatting of numbers. Every number from a file or wire goes
 * through here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TC_NUM_TEXT = 32 }; /* room for any formatted number and its 0 byte */

/* Whole text must be the number: optional sign, digits. False (out untouched) on anything else or overflow.
 */
bool tc_parse_int(const char *s, size_t n, int64_t *out);

/* Decimal with optional fraction and exponent, at most 40 characters; no hex, no inf, no nan. Correctly
 * rounded. */
bool tc_parse_double(const char *s, size_t n, double *out);

/* Shortest decimal that reads back equal ("null" when not finite), 0-terminated; returns its length. */
size_t tc_format_double(double v, char out[static TC_NUM_TEXT]);
size_t tc_format_int(int64_t v, char out[static TC_NUM_TEXT]);
