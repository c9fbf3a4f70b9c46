#include "base/buf.h"
#include "base/num.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tc_buf_init(struct tc_buf *b, size_t max)
{
    *b = (struct tc_buf){.max = max, .owned = true};
}

void tc_buf_init_fixed(struct tc_buf *b, char *room, size_t size)
{
    *b = (struct tc_buf){.data = room, .cap = size, .max = size};
    if (size)
        room[0] = '\0';
}

void tc_buf_release(struct tc_buf *b)
{
    if (b->owned)
        free(b->data);
    *b = (struct tc_buf){0};
}

void tc_buf_clear(struct tc_buf *b)
{
    b->len = 0;
    b->overflow = false;
    if (b->cap)
        b->data[0] = '\0';
}

bool tc_buf_reserve(struct tc_buf *b, size_t more)
{
    if (b->overflow)
        return false;
    if (more < SIZE_MAX - b->len - 1 && b->len + more + 1 <= b->cap)
        return true;
    if (!b->owned || more >= b->max || b->len > b->max - more - 1) {
        b->overflow = true;
        return false;
    }
    size_t cap = b->cap ? b->cap : 256;
    while (cap < b->len + more + 1)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    char *data = realloc(b->data, cap);
    if (!data) {
        b->overflow = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void tc_buf_printf(struct tc_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n >= 0 && tc_buf_reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void tc_buf_double(struct tc_buf *b, double v)
{
    char text[TC_NUM_TEXT];
    tc_buf_put(b, text, tc_format_double(v, text));
}

void tc_buf_int(struct tc_buf *b, int64_t v)
{
    char text[TC_NUM_TEXT];
    tc_buf_put(b, text, tc_format_int(v, text));
}

/* Length of the valid UTF-8 sequence at s (1 to 4), or 0. Overlong forms and surrogates are not valid. */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xC2 && s[0] <= 0xDF)
        return (s[1] & 0xC0) == 0x80 ? 2 : 0;
    if (s[0] >= 0xE0 && s[0] <= 0xEF) {
        if ((s[1] & 0xC0) != 0x80 || (s[2] & 0xC0) != 0x80)
            return 0;
        unsigned v = (s[0] & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
        return v < 0x800 || (v >= 0xD800 && v <= 0xDFFF) ? 0 : 3;
    }
    if (s[0] >= 0xF0 && s[0] <= 0xF4) {
        if ((s[1] & 0xC0) != 0x80 || (s[2] & 0xC0) != 0x80 || (s[3] & 0xC0) != 0x80)
            return 0;
        unsigned v = (s[0] & 0x07u) << 18 | (s[1] & 0x3Fu) << 12 | (s[2] & 0x3Fu) << 6 | (s[3] & 0x3Fu);
        return v < 0x10000 || v > 0x10FFFF ? 0 : 4;
    }
    return 0;
}

void tc_buf_json_string(struct tc_buf *b, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    tc_buf_char(b, '"');
    while (*s) {
        if (*s == '"' || *s == '\\') {
            tc_buf_char(b, '\\');
            tc_buf_char(b, (char)*s++);
        } else if (*s < 0x20) {
            tc_buf_printf(b, "\\u%04x", *s++);
        } else {
            size_t n = utf8_length(s);
            if (n)
                tc_buf_put(b, s, n);
            else
                tc_buf_str(b, "\xEF\xBF\xBD");
            s += n ? n : 1;
        }
    }
    tc_buf_char(b, '"');
}
