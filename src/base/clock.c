#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

int64_t tc_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * TC_NS_PER_SEC + ts.tv_nsec;
}

int64_t tc_mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * TC_NS_PER_SEC + ts.tv_nsec;
}

void tc_sleep_until_mono(int64_t mono_ns)
{
    struct timespec ts = {.tv_sec = mono_ns / TC_NS_PER_SEC, .tv_nsec = mono_ns % TC_NS_PER_SEC};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

int64_t tc_floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b < 0 ? q - 1 : q;
}

int64_t tc_floor_second(int64_t t)
{
    return tc_floor_div(t, TC_NS_PER_SEC) * TC_NS_PER_SEC;
}

int64_t tc_days_from_date(int32_t yyyymmdd)
{
    int64_t y = yyyymmdd / 10000, m = yyyymmdd / 100 % 100, d = yyyymmdd % 100;
    y -= m <= 2;
    int64_t era = tc_floor_div(y, 400), yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int32_t tc_date_from_days(int64_t days)
{
    days += 719468;
    int64_t era = tc_floor_div(days, 146097), doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153, d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9;
    int64_t y = yoe + era * 400 + (m <= 2);
    return (int32_t)(y * 10000 + m * 100 + d);
}

int32_t tc_date_utc(int64_t t)
{
    return tc_date_from_days(tc_floor_div(t, 86400 * TC_NS_PER_SEC));
}

const char *tc_date_text(int32_t day, char out[static 12])
{
    unsigned d = day < 0 ? 0 : (unsigned)day;
    snprintf(out, 12, "%04u-%02u-%02u", d / 10000 % 10000, d / 100 % 100, d % 100);
    return out;
}

const char *tc_time_iso(int64_t t, char *out, size_t size)
{
    int64_t secs = tc_floor_div(t, TC_NS_PER_SEC), frac = t - secs * TC_NS_PER_SEC;
    int64_t days = tc_floor_div(secs, 86400), s = secs - days * 86400;
    char date[12];
    tc_date_text(tc_date_from_days(days), date);
    int h = (int)(s / 3600), m = (int)(s / 60 % 60), sec = (int)(s % 60);
    if (frac)
        snprintf(out, size, "%sT%02d:%02d:%02d.%09dZ", date, h, m, sec, (int)frac);
    else
        snprintf(out, size, "%sT%02d:%02d:%02dZ", date, h, m, sec);
    return out;
}
