#include "base/clock.h"
#include "base/err.h"
#include "base/zone.h"
#include "market/calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct tc_calendar *xnys(void)
{
    struct tc_calendar *c = NULL;
    int rc = tc_calendar_load(TEST_CALENDARS "/xnys.yaml", &c);
    if (rc)
        fail_msg("%s", tc_error());
    return c;
}

/* What the exchange published for these years. */
static const int32_t closed[] = {
    20240101, 20240115, 20240219, 20240329, 20240527, 20240619, 20240704, 20240902, 20241128, 20241225,
    20250101, 20250109, 20250120, 20250217, 20250418, 20250526, 20250619, 20250704, 20250901, 20251127,
    20251225, 20260101, 20260119, 20260216, 20260403, 20260525, 20260619, 20260703, 20260907, 20261126,
    20261225, 20270101, 20270118, 20270215, 20270326, 20270531, 20270618, 20270705, 20270906, 20271125,
    20271224, 20280117, 20280221, 20280414, 20280529, 20280619, 20280704, 20280904, 20281123, 20281225,
};
static const int32_t early[] = {20240703, 20241129, 20241224, 20250703, 20251128, 20251224,
                                20261127, 20261224, 20271126, 20280703, 20281124};

static int listed(const int32_t *list, size_t n, int32_t day)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == day)
            return 1;
    return 0;
}

static void every_day_from_2024_to_2028_is_as_the_exchange_published(void **state)
{
    (void)state;
    struct tc_calendar *c = xnys();
    int64_t last = tc_days_from_date(20281231);
    for (int64_t d = tc_days_from_date(20240101); d <= last; d++) {
        int32_t day = tc_date_from_days(d);
        int weekday = (int)((d + 4) % 7);
        int want_open =
            weekday != 0 && weekday != 6 && !listed(closed, sizeof(closed) / sizeof(closed[0]), day);
        struct tc_session s;
        int is_open = tc_calendar_session(c, day, &s) == TC_OK;
        if (is_open != want_open)
            fail_msg("%d: open %d, published %d (%s)", day, is_open, want_open, is_open ? "" : tc_error());
        if (is_open && s.early_close != listed(early, sizeof(early) / sizeof(early[0]), day))
            fail_msg("%d: early close %d is wrong", day, s.early_close);
    }
    tc_calendar_free(c);
}

static void session_hours_follow_daylight_saving(void **state)
{
    (void)state;
    struct tc_calendar *c = xnys();
    struct tc_session s;
    char text[40];
    assert_int_equal(tc_calendar_session(c, 20131007, &s), TC_OK);
    assert_string_equal(tc_time_iso(s.open, text, sizeof(text)), "2013-10-07T13:30:00Z");
    assert_string_equal(tc_time_iso(s.close, text, sizeof(text)), "2013-10-07T20:00:00Z");
    assert_string_equal(tc_time_iso(s.pre_open, text, sizeof(text)), "2013-10-07T08:00:00Z");
    assert_int_equal(tc_calendar_session(c, 20260116, &s), TC_OK);
    assert_string_equal(tc_time_iso(s.open, text, sizeof(text)), "2026-01-16T14:30:00Z");
    assert_int_equal(tc_calendar_session(c, 20271126, &s), TC_OK);
    assert_string_equal(tc_time_iso(s.close, text, sizeof(text)), "2027-11-26T18:00:00Z");
    assert_int_equal(tc_calendar_session(c, 20450703, &s),
                     TC_OK); /* past the end of the binary table: the footer */
    assert_string_equal(tc_time_iso(s.open, text, sizeof(text)), "2045-07-03T13:30:00Z");
    tc_calendar_free(c);
}

static void a_day_is_the_exchange_date(void **state)
{
    (void)state;
    struct tc_calendar *c = xnys(), *always;
    assert_int_equal(tc_calendar_load("always", &always), TC_OK);
    int64_t t = INT64_C(1381190399) * TC_NS_PER_SEC; /* 2013-10-07 23:59:59 UTC, 19:59:59 in New York */
    assert_int_equal(tc_calendar_day(c, t), 20131007);
    assert_int_equal(tc_calendar_day(c, t + 4 * 3600 * TC_NS_PER_SEC), 20131007);
    assert_int_equal(tc_calendar_day(c, t + 4 * 3600 * TC_NS_PER_SEC + TC_NS_PER_SEC), 20131008);
    assert_int_equal(tc_calendar_day(always, t + TC_NS_PER_SEC), 20131008);
    assert_true(tc_calendar_is_open(always, t));
    assert_false(tc_calendar_is_open(c, t));
    struct tc_session s;
    assert_int_equal(tc_calendar_next(c, t, &s), TC_OK);
    assert_int_equal(s.day, 20131008);
    assert_int_equal(tc_calendar_session(always, 20131007, &s), TC_OK);
    assert_int_equal(s.close - s.open, 86400 * TC_NS_PER_SEC);
    tc_calendar_free(c);
    tc_calendar_free(always);
}

static void the_hour_that_happens_twice_and_the_one_that_never_does(void **state)
{
    (void)state;
    struct tc_zone *z;
    assert_int_equal(tc_zone_load("America/New_York", &z), TC_OK);
    char text[40];
    int64_t fall = tc_days_from_date(20131103), spring = tc_days_from_date(20130310);
    assert_string_equal(tc_time_iso(tc_zone_to_utc(z, fall, 5400), text, sizeof(text)),
                        "2013-11-03T05:30:00Z");
    assert_string_equal(tc_time_iso(tc_zone_to_utc(z, fall, 3 * 3600), text, sizeof(text)),
                        "2013-11-03T08:00:00Z");
    assert_string_equal(tc_time_iso(tc_zone_to_utc(z, fall, 0), text, sizeof(text)), "2013-11-03T04:00:00Z");
    assert_string_equal(tc_time_iso(tc_zone_to_utc(z, spring, 9000), text, sizeof(text)),
                        "2013-03-10T07:30:00Z");
    assert_string_equal(tc_time_iso(tc_zone_to_utc(z, spring, 3 * 3600), text, sizeof(text)),
                        "2013-03-10T07:00:00Z");
    tc_zone_free(z);
    assert_int_equal(tc_zone_load("../../etc/passwd", &z), TC_EINPUT);
    assert_int_equal(tc_zone_load("America/Nowhere", &z), TC_ENOTFOUND);
}

static void an_error_in_the_file_names_its_line(void **state)
{
    (void)state;
    const struct {
        const char *text, *message;
    } cases[] = {
        {"name: x\nzone: UTC\nweek: [mon]\nsession: {open: \"9:30\", close: \"16:00\"}\n",
         ":4:17: key 'open'"},
        {"name: x\nzoen: UTC\n", ":2:1: unknown key 'zoen'"},
        {"name: x\nzone: UTC\nweek: [mun]\nsession: {open: \"09:30\", close: \"16:00\"}\n",
         ":3:8: a weekday"},
        {"name: x\nzone: UTC\nweek: [mon]\nsession: {open: \"09:30\", close: \"16:00\"}\nholidays:\n"
         "  - {name: a, rule: 5th mon 02}\n",
         ":6:21: rule must be"},
        {"name: [", ":2:1: "},
        {"name: x\nzone: UTC\nweek: [mon]\nsession: {open: \"16:30\", close: \"16:00\"}\n",
         "times must rise"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[] = "/tmp/tickcast-calendar-XXXXXX";
        int fd = mkstemp(path);
        assert_int_equal(write(fd, cases[i].text, strlen(cases[i].text)), strlen(cases[i].text));
        close(fd);
        struct tc_calendar *c;
        int rc = tc_calendar_load(path, &c);
        unlink(path);
        assert_int_equal(rc, TC_EINPUT);
        if (!strstr(tc_error(), cases[i].message))
            fail_msg("'%s' does not say '%s'", tc_error(), cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_from_2024_to_2028_is_as_the_exchange_published),
        cmocka_unit_test(session_hours_follow_daylight_saving),
        cmocka_unit_test(a_day_is_the_exchange_date),
        cmocka_unit_test(the_hour_that_happens_twice_and_the_one_that_never_does),
        cmocka_unit_test(an_error_in_the_file_names_its_line),
    };
    return cmocka_run_group_tests_name("calendar", tests, NULL, NULL);
}
