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

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static const char weekdays[] = "name: x\nzone: America/New_York\nweek: [mon, tue, wed, thu, fri]\n"
                               "session: {open: \"09:30\", close: \"16:00\"}\nearly: {close: \"13:00\"}\n";

static void an_edited_file_is_taken_over_and_a_broken_one_is_not(void **state)
{
    (void)state;
    char path[] = "/tmp/tickcast-calendar-XXXXXX", text[800];
    close(mkstemp(path));
    write_file(path, weekdays);
    struct tc_calendar *c;
    struct tc_session s;
    assert_int_equal(tc_calendar_load(path, &c), TC_OK);
    assert_int_equal(tc_calendar_refresh(c), TC_AGAIN);
    assert_int_equal(tc_calendar_session(c, 20261126, &s), TC_OK);
    const char *name = tc_calendar_name(c);

    snprintf(text, sizeof(text), "%sexceptions:\n  - {date: 2026-11-26, closed: snow}\n", weekdays);
    write_file(path, text);
    assert_int_equal(tc_calendar_refresh(c), TC_OK);
    assert_int_equal(tc_calendar_refresh(c), TC_AGAIN);
    assert_int_equal(tc_calendar_version(c), 1);
    assert_string_equal(tc_calendar_closed_reason(c, 20261126), "snow");
    assert_string_equal(name, "x"); /* what was given before can still be read */

    snprintf(text, sizeof(text), "%sexceptions:\n  - {date: 2026-11-31x, closed: snow}\n", weekdays);
    write_file(path, text);
    assert_int_equal(tc_calendar_refresh(c), TC_EINPUT);
    assert_non_null(strstr(tc_error(), ":7:5: date must be"));
    assert_int_equal(tc_calendar_refresh(c), TC_AGAIN); /* told once */
    assert_string_equal(tc_calendar_closed_reason(c, 20261126), "snow");

    write_file(path, "name: x\nzone: UTC\nweek: [mon]\nsession: {open: \"09:30\", close: \"16:00\"}\n");
    assert_int_equal(tc_calendar_refresh(c), TC_ECONF);
    unlink(path);
    assert_int_equal(tc_calendar_refresh(c), TC_AGAIN);
    assert_string_equal(tc_calendar_closed_reason(c, 20261126), "snow");
    tc_calendar_free(c);
}

static void slips_in_a_file_are_named(void **state)
{
    (void)state;
    char path[] = "/tmp/tickcast-calendar-XXXXXX", text[800], room[800];
    close(mkstemp(path));
    snprintf(text, sizeof(text),
             "%sholidays:\n  - {name: a, rule: \"12-25\"}\nexceptions:\n  - {date: 2026-11-28, closed: a}\n"
             "  - {date: 2026-12-25, closed: b}\n  - {date: 2026-12-24, early: c}\n",
             weekdays);
    write_file(path, text);
    struct tc_calendar *c;
    struct tc_buf out;
    assert_int_equal(tc_calendar_load(path, &c), TC_OK);
    tc_buf_init_fixed(&out, room, sizeof(room));
    tc_calendar_check(c, 2026, 2027, &out);
    assert_string_equal(room, "; the exception of 2026-11-28 falls on a weekend; the exception of 2026-12-25 "
                              "changes nothing: that day is special already");
    tc_calendar_free(c);
    unlink(path);

    assert_int_equal(tc_calendar_load(TEST_CALENDARS "/xnys.yaml", &c), TC_OK);
    tc_buf_clear(&out);
    tc_calendar_check(c, 2000, 2035, &out);
    assert_int_equal(out.len, 0);
    tc_calendar_free(c);
}

static void the_last_session_before_an_instant(void **state)
{
    (void)state;
    struct tc_calendar *c;
    struct tc_session s, p;
    assert_int_equal(tc_calendar_load(TEST_CALENDARS "/xnys.yaml", &c), TC_OK);
    assert_int_equal(tc_calendar_session(c, 20261127, &s), TC_OK); /* Friday after Thanksgiving */
    assert_true(s.early_close);
    assert_int_equal(tc_calendar_previous(c, s.close, &p), TC_OK);
    assert_int_equal(p.day, 20261127);
    assert_int_equal(tc_calendar_previous(c, s.close - 1, &p), TC_OK);
    assert_int_equal(p.day, 20261125);
    assert_int_equal(tc_calendar_previous(c, s.close + 2 * 86400 * TC_NS_PER_SEC, &p), TC_OK);
    assert_int_equal(p.day, 20261127);
    tc_calendar_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_from_2024_to_2028_is_as_the_exchange_published),
        cmocka_unit_test(session_hours_follow_daylight_saving),
        cmocka_unit_test(a_day_is_the_exchange_date),
        cmocka_unit_test(the_hour_that_happens_twice_and_the_one_that_never_does),
        cmocka_unit_test(an_error_in_the_file_names_its_line),
        cmocka_unit_test(an_edited_file_is_taken_over_and_a_broken_one_is_not),
        cmocka_unit_test(slips_in_a_file_are_named),
        cmocka_unit_test(the_last_session_before_an_instant),
    };
    return cmocka_run_group_tests_name("calendar", tests, NULL, NULL);
}
