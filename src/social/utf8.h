/* utf8.h - reading UTF-8 that may be anything. */
#pragma once

#include "social/lexicon.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TC_UTF8_BAD UINT32_MAX

/* The code point at text (n > 0) and its bytes; TC_UTF8_BAD and one byte where it is not well formed. */
uint32_t tc_utf8_next(const char *text, size_t n, size_t *used);

size_t tc_utf8_count(const char *text, size_t n); /* code points */

size_t tc_utf8_wide_blank(const char *text, size_t n);

/* The bytes of the blank at text, 0 when there is none: what Python's str.split() splits at. */
static inline size_t tc_utf8_blank(const char *text, size_t n)
{
    unsigned char c = (unsigned char)text[0];
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
    return tc_utf8_wide_blank(text, n);
}

/* At most max bytes, so that no character is cut. */
size_t tc_utf8_cut(const char *text, size_t max);

static inline bool tc_ascii_punct(char c) /* string.punctuation */
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
}

bool tc_code_in(uint32_t code, const struct tc_code_range *ranges, size_t n);

/* The beginning of a text for showing: blanks and control characters become one blank, what is no UTF-8
 * becomes U+FFFD, no character is cut; ends with "..." when something was left out. */
void tc_utf8_excerpt(const char *text, size_t n, char *out, size_t size);
