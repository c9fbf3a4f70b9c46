#include "app/when.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"

#include <stdio.h>
#include <string.h>

#define DAY_NS (86400 * TC_NS_PER_SEC)

/* n digits at *s as a number within [lo, hi]; moves *s. */
static bool digits(const char **s, size_t n, int64_t lo, int64_t hi, int64_t *out)
{
    if (strnlen(*s, n) < n || (*s)[0] < '0' || (*s)[0] > '9' || !tc_parse_int(*s, n, out))
        return false;
    *s += n;
    return *out >= lo && *out <= hi;
}

static bool skip(const char **s, char c)
{
    if (**s != c)
        return false;
    (*s)++;
    return true;
}

static bool parse_date(const char **s, int32_t *day)
{
    int64_t y, m, d;
    if (!digits(s, 4, 1970, 2200, &y) || !skip(s, '-') || !digits(s, 2, 1, 12, &m) || !skip(s, '-') ||
        !digits(s, 2, 1, 31, &d))
        return false;
    *day = (int32_t)(y * 10000 + m * 100 + d);
    return tc_date_from_days(tc_days_from_date(*day)) == *day; /* no 30 February */
}

static bool parse_fraction(const char **s, int64_t *ns)
{
    int64_t unit = TC_NS_PER_SEC;
    *ns = 0;
    for (; **s >= '0' && **s <= '9' && unit > 1; (*s)++) {
        unit /= 10;
        *ns += (**s - '0') * unit;
    }
    return unit < TC_NS_PER_SEC;
}

/* HH:MM, HH:MM:SS or HH:MM:SS.fraction, as ns since midnight. */
static bool parse_clock(const char **s, int64_t *ns)
{
    int64_t h, m, sec = 0, fraction = 0;
    if (!digits(s, 2, 0, 23, &h) || !skip(s, ':') || !digits(s, 2, 0, 59, &m))
        return false;
    if (skip(s, ':') && !digits(s, 2, 0, 59, &sec))
        return false;
    if (skip(s, '.') && !parse_fraction(s, &fraction))
        return false;
    *ns = (h * 3600 + m * 60 + sec) * TC_NS_PER_SEC + fraction;
    return true;
}

/* Local clock time to UTC: the offset at the instant it gives, asked twice for days when the clock changes.
 */
static int64_t local_to_utc(const struct tc_calendar *c, int32_t day, int64_t clock_ns)
{
    int64_t local = tc_days_from_date(day) * DAY_NS + clock_ns;
    int64_t t = local - tc_calendar_offset_s(c, local) * TC_NS_PER_SEC;
    return local - tc_calendar_offset_s(c, t) * TC_NS_PER_SEC;
}

static bool parse_time(const char *s, const struct tc_calendar *c, int32_t day, int64_t *out)
{
    int64_t clock_ns;
    if ((*s != 'T' && *s != ' ') || (s++, !parse_clock(&s, &clock_ns)))
        return false;
    if (skip(&s, 'Z'))
        *out = tc_days_from_date(day) * DAY_NS + clock_ns;
    else
        *out = local_to_utc(c, day, clock_ns);
    return *s == '\0';
}

int tc_when_parse(const char *text, const struct tc_calendar *c, bool end, const char *name, int64_t *out)
{
    const char *s = text;
    int32_t day;
    if (strlen(text) > 10 && tc_parse_int(text, strlen(text), out))
        return TC_OK;
    if (parse_date(&s, &day)) {
        if (*s == '\0') {
            int64_t days = tc_days_from_date(day) + end;
            *out = tc_calendar_local_midnight(c, tc_date_from_days(days));
            return TC_OK;
        }
        if (parse_time(s, c, day, out))
            return TC_OK;
    }
    return tc_fail(TC_EUSAGE,
                   "%s: \"%.40s\" is no time: write 2013-10-07, 2013-10-07T09:30:00 (%s) or "
                   "2013-10-07T13:30:00Z (UTC)",
                   name, text, tc_calendar_zone(c));
}

const char *tc_when_text(int64_t t, const struct tc_calendar *c, char out[static TC_WHEN_TEXT])
{
    int64_t local = t + (c ? tc_calendar_offset_s(c, t) * TC_NS_PER_SEC : 0);
    int64_t second = tc_floor_second(local);
    int64_t of_day = (second / TC_NS_PER_SEC % 86400 + 86400) % 86400;
    int ms = (int)((local - second) / TC_NS_PER_MS);
    char date[12];
    tc_date_text(tc_date_utc(local), date);
    int n = snprintf(out, TC_WHEN_TEXT, "%s %02d:%02d:%02d", date, (int)(of_day / 3600),
                     (int)(of_day / 60 % 60), (int)(of_day % 60));
    if (ms && n > 0)
        snprintf(out + n, (size_t)(TC_WHEN_TEXT - n), ".%03d", ms);
    return out;
}
