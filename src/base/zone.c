#include "base/zone.h"
#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = 1 << 20, TYPES_MAX = 256 };

/* One change of the footer's rule: "Mm.w.d/time" (month, week 1-5 with 5 = last, weekday, seconds after
 * midnight). */
struct zone_rule {
    int month, week, weekday;
    int32_t second;
};

struct tc_zone {
    size_t n_transitions;
    int64_t *at;     /* seconds since 1970, rising */
    int32_t *after;  /* offset from at[i] on */
    int32_t first;   /* offset before at[0] */
    bool has_footer; /* what holds after the last transition */
    int32_t standard, daylight;
    bool has_daylight;
    struct zone_rule start, end;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const uint8_t *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

/* --- the footer: a POSIX TZ string such as EST5EDT,M3.2.0,M11.1.0 --- */

static bool read_number(const char **s, int *out)
{
    int v = 0, digits = 0;
    while (**s >= '0' && **s <= '9' && digits < 4) {
        v = v * 10 + (*(*s)++ - '0');
        digits++;
    }
    *out = v;
    return digits > 0;
}

static bool skip_name(const char **s)
{
    const char *p = *s;
    if (*p == '<') {
        while (*p && *p != '>')
            p++;
        if (*p != '>')
            return false;
        p++;
    } else {
        while ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z'))
            p++;
    }
    bool any = p > *s;
    *s = p;
    return any;
}

/* [+-]hh[:mm[:ss]] in seconds */
static bool read_time(const char **s, int32_t *out)
{
    int sign = 1, part[3] = {0, 0, 0};
    if (**s == '-' || **s == '+')
        sign = *(*s)++ == '-' ? -1 : 1;
    for (int i = 0; i < 3; i++) {
        if (i && *(*s)++ != ':')
            return false;
        if (!read_number(s, &part[i]) || part[i] > (i ? 59 : 167))
            return false;
        if (**s != ':')
            break;
    }
    *out = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
    return true;
}

static bool read_rule(const char **s, struct zone_rule *r)
{
    if (*(*s)++ != ',' || *(*s)++ != 'M')
        return false;
    if (!read_number(s, &r->month) || *(*s)++ != '.' || !read_number(s, &r->week) || *(*s)++ != '.' ||
        !read_number(s, &r->weekday))
        return false;
    r->second = 2 * 3600;
    if (**s == '/') {
        (*s)++;
        if (!read_time(s, &r->second))
            return false;
    }
    return r->month >= 1 && r->month <= 12 && r->week >= 1 && r->week <= 5 && r->weekday <= 6;
}

static bool read_footer(struct tc_zone *z, const char *s)
{
    int32_t west;
    if (!skip_name(&s) || !read_time(&s, &west))
        return false;
    z->standard = -west;
    z->has_footer = true;
    if (!*s)
        return true;
    if (!skip_name(&s))
        return false;
    z->daylight = z->standard + 3600;
    if (*s && *s != ',') {
        if (!read_time(&s, &west))
            return false;
        z->daylight = -west;
    }
    z->has_daylight = true;
    return read_rule(&s, &z->start) && read_rule(&s, &z->end) && !*s;
}

/* --- the binary part --- */

struct header {
    uint32_t isut, isstd, leap, times, types, chars;
};

static bool read_header(const uint8_t *p, size_t n, struct header *h)
{
    if (n < 44 || memcmp(p, "TZif", 4))
        return false;
    *h = (struct header){be32(p + 20), be32(p + 24), be32(p + 28), be32(p + 32), be32(p + 36), be32(p + 40)};
    return h->times < 100000 && h->types >= 1 && h->types <= TYPES_MAX && h->chars < 100000 &&
           h->leap < 100000 && h->isut <= TYPES_MAX && h->isstd <= TYPES_MAX;
}

static size_t body_size(const struct header *h, size_t time_size)
{
    return h->times * (time_size + 1) + h->types * 6 + h->chars + h->leap * (time_size + 4) + h->isstd +
           h->isut;
}

static int read_transitions(struct tc_zone *z, const uint8_t *p, const struct header *h)
{
    const uint8_t *index = p + (size_t)h->times * 8, *types = index + h->times;
    z->first = (int32_t)be32(types);
    z->n_transitions = h->times;
    z->at = calloc(h->times + 1, sizeof(*z->at));
    z->after = calloc(h->times + 1, sizeof(*z->after));
    if (!z->at || !z->after)
        return tc_fail(TC_ENOMEM, "no memory for a time zone");
    for (uint32_t i = 0; i < h->times; i++) {
        z->at[i] = be64(p + (size_t)i * 8);
        if (index[i] >= h->types || (i && z->at[i] <= z->at[i - 1]))
            return tc_fail(TC_EINPUT, "transition %u is out of order or has no type", i);
        z->after[i] = (int32_t)be32(types + (size_t)index[i] * 6);
    }
    for (uint32_t i = 0; i < h->types; i++) {
        int32_t offset = (int32_t)be32(types + (size_t)i * 6);
        if (offset < -86400 || offset > 86400)
            return tc_fail(TC_EINPUT, "offset of %d s is more than a day", offset);
    }
    return TC_OK;
}

static int parse_into(struct tc_zone *z, const uint8_t *p, size_t n)
{
    struct header h;
    if (!read_header(p, n, &h) || p[4] < '2')
        return tc_fail(TC_EINPUT, "no TZif file of version 2 or later");
    size_t skip = 44 + body_size(&h, 4);
    if (skip > n || !read_header(p + skip, n - skip, &h))
        return tc_fail(TC_EINPUT, "the TZif file is cut short");
    p += skip + 44;
    n -= skip + 44;
    size_t body = body_size(&h, 8);
    if (body + 2 > n)
        return tc_fail(TC_EINPUT, "the TZif file is cut short");
    int rc = read_transitions(z, p, &h);
    if (rc)
        return rc;
    const uint8_t *foot = p + body;
    const uint8_t *end = memchr(foot + 1, '\n', n - body - 1);
    char text[128];
    size_t len = end ? (size_t)(end - foot - 1) : sizeof(text);
    if (foot[0] != '\n' || len >= sizeof(text))
        return tc_fail(TC_EINPUT, "the TZif file has no footer");
    memcpy(text, foot + 1, len);
    text[len] = '\0';
    if (len && !read_footer(z, text))
        return tc_fail(TC_EINPUT, "the TZif footer '%s' is not understood", text);
    return TC_OK;
}

int tc_zone_parse(const uint8_t *bytes, size_t n, struct tc_zone **out)
{
    struct tc_zone *z = calloc(1, sizeof(*z));
    if (!z)
        return tc_fail(TC_ENOMEM, "no memory for a time zone");
    int rc = parse_into(z, bytes, n);
    if (rc) {
        tc_zone_free(z);
        return rc;
    }
    *out = z;
    return TC_OK;
}

static bool name_is_plain(const char *name)
{
    for (const char *s = name; *s; s++)
        if (!((*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') ||
              strchr("_+-/", *s)))
            return false;
    return name[0] && name[0] != '/';
}

int tc_zone_load(const char *name, struct tc_zone **out)
{
    if (!strcmp(name, "UTC")) {
        *out = calloc(1, sizeof(**out));
        return *out ? TC_OK : tc_fail(TC_ENOMEM, "no memory for a time zone");
    }
    if (!name_is_plain(name))
        return tc_fail(TC_EINPUT, "'%.60s' is no time zone's name", name);
    char path[256];
    snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.200s", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return tc_fail(TC_ENOTFOUND, "time zone %s: %s: %s (is the package tzdata installed?)", name, path,
                       strerror(errno));
    uint8_t *bytes = malloc(FILE_MAX_BYTES);
    size_t n = bytes ? fread(bytes, 1, FILE_MAX_BYTES, f) : 0;
    fclose(f);
    int rc = bytes ? tc_zone_parse(bytes, n, out) : tc_fail(TC_ENOMEM, "no memory for a time zone");
    free(bytes);
    return rc ? tc_more(rc, "%s", path) : TC_OK;
}

void tc_zone_free(struct tc_zone *z)
{
    if (!z)
        return;
    free(z->at);
    free(z->after);
    free(z);
}

/* Local seconds since 1970 at which the rule's change comes in that year. */
static int64_t rule_in_year(const struct zone_rule *r, int32_t year)
{
    int64_t first = tc_days_from_date(year * 10000 + r->month * 100 + 1);
    int weekday = (int)(((first + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    int64_t day = first + (r->weekday - weekday + 7) % 7 + (r->week - 1) * 7;
    if (r->week == 5) {
        int32_t next = r->month == 12 ? (year + 1) * 10000 + 101 : year * 10000 + (r->month + 1) * 100 + 1;
        while (day >= tc_days_from_date(next))
            day -= 7;
    }
    return day * 86400 + r->second;
}

static int32_t footer_offset(const struct tc_zone *z, int64_t t)
{
    if (!z->has_daylight)
        return z->standard;
    int32_t year = tc_date_from_days(tc_floor_div(t + z->standard, 86400)) / 10000;
    int64_t start = rule_in_year(&z->start, year) - z->standard,
            end = rule_in_year(&z->end, year) - z->daylight;
    bool in =
        start < end ? t >= start && t < end : t >= start || t < end; /* south of the equator the year wraps */
    return in ? z->daylight : z->standard;
}

static int32_t offset_at(const struct tc_zone *z, int64_t t)
{
    size_t lo = 0, hi = z->n_transitions;
    while (lo < hi) { /* first transition after t */
        size_t mid = lo + (hi - lo) / 2;
        if (z->at[mid] <= t)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == z->n_transitions && z->has_footer)
        return footer_offset(z, t);
    return lo ? z->after[lo - 1] : z->first;
}

int32_t tc_zone_offset_s(const struct tc_zone *z, int64_t t_ns)
{
    return offset_at(z, tc_floor_div(t_ns, TC_NS_PER_SEC));
}

int64_t tc_zone_to_utc(const struct tc_zone *z, int64_t days, int32_t second_of_day)
{
    int64_t local = days * 86400 + second_of_day;
    /* Offsets a day before and after bracket any one change; the earlier one wins where both fit. */
    int32_t before = offset_at(z, local - 86400), after = offset_at(z, local + 86400);
    int64_t t = local - before;
    if (before != after && offset_at(z, t) != before && offset_at(z, local - after) == after)
        t = local - after;
    return t * TC_NS_PER_SEC;
}
