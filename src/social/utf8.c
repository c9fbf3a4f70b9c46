#include "social/utf8.h"

#include <string.h>

static bool is_tail(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

uint32_t tc_utf8_next(const char *text, size_t n, size_t *used)
{
    unsigned char c = (unsigned char)text[0];
    *used = 1;
    if (c < 0x80)
        return c;
    size_t tail = c >= 0xf0 && c < 0xf5 ? 3 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xc2 && c < 0xe0 ? 1 : 0;
    if (tail == 0 || n <= tail)
        return TC_UTF8_BAD;
    uint32_t code = c & (0x3fu >> tail);
    for (size_t i = 1; i <= tail; i++) {
        if (!is_tail(text[i]))
            return TC_UTF8_BAD;
        code = code << 6 | ((unsigned char)text[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (code < least[tail] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return TC_UTF8_BAD;
    *used = tail + 1;
    return code;
}

size_t tc_utf8_count(const char *text, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; count++) {
        size_t used;
        tc_utf8_next(text + i, n - i, &used);
        i += used;
    }
    return count;
}

size_t tc_utf8_wide_blank(const char *text, size_t n)
{
    unsigned char c = (unsigned char)text[0];
    if (c != 0xc2 && c != 0xe1 && c != 0xe2 && c != 0xe3)
        return 0;
    size_t used;
    uint32_t code = tc_utf8_next(text, n, &used);
    bool blank = code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
                 code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
    return blank ? used : 0;
}

size_t tc_utf8_cut(const char *text, size_t max)
{
    size_t n = max;
    while (n > 0 && max - n < 3 && is_tail(text[n]))
        n--;
    return n;
}

bool tc_code_in(uint32_t code, const struct tc_code_range *ranges, size_t n)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (ranges[mid].last < code)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && ranges[lo].first <= code;
}

static bool is_control(uint32_t code)
{
    bool direction =
        (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069); /* could disguise */
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || direction;
}

void tc_utf8_excerpt(const char *text, size_t n, char *out, size_t size)
{
    static const char more[] = "...", bad[] = "\xef\xbf\xbd";
    size_t to = 0, last = 0; /* last: where "..." still fits */
    bool blank = true;
    for (size_t i = 0; i < n;) {
        size_t used, put;
        uint32_t code = tc_utf8_next(text + i, n - i, &used);
        const char *from = code == TC_UTF8_BAD ? bad : text + i;
        put = code == TC_UTF8_BAD ? sizeof(bad) - 1 : used;
        if (tc_utf8_blank(text + i, n - i) || is_control(code)) {
            from = " ";
            put = !blank;
        }
        i += used;
        if (to + put >= size) {
            to = last;
            memcpy(out + to, more, sizeof(more) - 1);
            to += sizeof(more) - 1;
            break;
        }
        memcpy(out + to, from, put);
        if (put)
            blank = from[0] == ' ';
        to += put;
        if (to + sizeof(more) <= size)
            last = to;
    }
    out[to] = '\0';
}
