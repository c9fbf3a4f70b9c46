#include "base/err.h"
#include "market/actions.h"
#include "market/reconcile.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static int load(const char *text, struct tc_actions **out)
{
    char path[] = "/tmp/tickcast-actions-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    int rc = tc_actions_load(path, out);
    unlink(path);
    return rc;
}

static struct tc_actions *some(void)
{
    struct tc_actions *a;
    int rc =
        load("symbol,day,action,value\n# a comment\nTSLA,2022-08-25,split,3\nTSLA, 2020-08-31 ,split, 5\r\n"
             "META,2022-06-09,was,FB\nXYZ,2021-03-01,split,1/8\n\nXYZ,2019-01-02,was,ABC",
             &a);
    if (rc)
        fail_msg("%s", tc_error());
    return a;
}

static void prices_before_a_split_are_divided_by_all_that_follow(void **state)
{
    (void)state;
    struct tc_actions *a = some();
    assert_true(tc_actions_ratio(a, "TSLA", 20200828, 20300101) == 15);
    assert_true(tc_actions_ratio(a, "TSLA", 20200831, 20300101) ==
                3); /* its own day trades at the new price */
    assert_true(tc_actions_ratio(a, "TSLA", 20220825, 20300101) == 1);
    assert_true(tc_actions_ratio(a, "TSLA", 20200828, 20210101) == 5); /* as it looked then */
    assert_true(tc_actions_ratio(a, "XYZ", 20200101, 20300101) == 0.125);
    assert_true(tc_actions_ratio(a, "SPY", 20200101, 20300101) == 1);
    assert_true(tc_actions_ratio(NULL, "TSLA", 20200101, 20300101) == 1);
    assert_true(tc_actions_split(a, "TSLA", 20220825) == 3);
    assert_true(tc_actions_split(a, "TSLA", 20220826) == 1);
    tc_actions_free(a);
}

static void a_symbol_knows_what_it_was_called(void **state)
{
    (void)state;
    struct tc_actions *a = some();
    int32_t day = 0;
    assert_string_equal(tc_actions_before(a, "META", 20300101, &day), "FB");
    assert_int_equal(day, 20220609);
    assert_null(tc_actions_before(a, "META", 20220608, &day));
    assert_null(tc_actions_before(a, "FB", 20300101, &day));
    assert_string_equal(tc_actions_before(a, "XYZ", 20300101, &day), "ABC");
    assert_true(tc_actions_any(a, "META"));
    assert_false(tc_actions_any(a, "FB"));
    char room[400];
    struct tc_buf out;
    tc_buf_init_fixed(&out, room, sizeof(room));
    tc_actions_to_json(a, "XYZ", 0, 99991231, &out);
    assert_string_equal(room, "[{\"day\":20190102,\"action\":\"was\",\"value\":\"ABC\"},"
                              "{\"day\":20210301,\"action\":\"split\",\"value\":0.125}]");
    tc_actions_free(a);
}

static void a_bad_line_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"symbol,day,action,value\nSPY,2020-01-01,split\n", ":2: expected symbol,day,action,value"},
        {"SPY,2020-02-30,split,2\n", ":1: the day must be written yyyy-mm-dd"},
        {"SPY,2020-01-01,split,0\n", ":1: the value of a split"},
        {"SPY,2020-01-01,split,1\n", ":1: the value of a split"},
        {"SPY,2020-01-01,split,2/x\n", ":1: the value of a split"},
        {"SPY,2020-01-01,merge,2\n", ":1: the action must be split or was"},
        {"SPY,2020-01-01,was,SPY\n", ":1: the value of was"},
        {"S PY,2020-01-01,split,2\n", ":1: that is no symbol"},
    };
    struct tc_actions *a;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(load(cases[i].text, &a), TC_EINPUT);
        if (!strstr(tc_error(), cases[i].message))
            fail_msg("'%s' does not say '%s'", tc_error(), cases[i].message);
    }
    char *line = calloc(1, 5000);
    assert_non_null(line);
    memset(line, 'A', 4999);
    assert_int_equal(load(line, &a), TC_EINPUT);
    free(line);
    assert_int_equal(tc_actions_load("/nowhere/actions.csv", &a), TC_ENOTFOUND);
}

static void the_shipped_list_can_be_read(void **state)
{
    (void)state;
    struct tc_actions *a;
    if (tc_actions_load(TEST_CALENDARS "/../actions.csv", &a))
        fail_msg("%s", tc_error());
    assert_true(tc_actions_ratio(a, "NVDA", 20210719, 20300101) == 40);
    tc_actions_free(a);
}

static void a_jump_that_looks_like_a_split_is_suspected(void **state)
{
    (void)state;
    assert_true(tc_split_suspect(1208.88, 121.79) == 10);
    assert_true(tc_split_suspect(100, 50.9) == 2);
    assert_true(tc_split_suspect(100, 66) == 1.5);
    assert_true(tc_split_suspect(10, 80.5) == 0.125);
    assert_true(tc_split_suspect(100, 90) == 0);
    assert_true(tc_split_suspect(100, 57) == 0); /* a crash */
    assert_true(tc_split_suspect(100, 100) == 0);
    assert_true(tc_split_suspect(NAN, 100) == 0);
    assert_true(tc_split_suspect(100, 0) == 0);
}

static void bars_are_compared_by_start(void **state)
{
    (void)state;
    const struct tc_plain_bar own[] = {{60, 1, 2, 1, 2, 1000}, {120, 2, 2, 2, 2, 500}, {240, 2, 3, 2, 3, 10}};
    const struct tc_plain_bar vendor[] = {
        {60, 1, 2, 1, 2, 1000.5}, {120, 2, 2, 2, 2, 400}, {180, 2, 2, 2, 2, 20}, {240, 2, 3, 2, 2.99, 10}};
    struct tc_reconcile r;
    tc_reconcile(own, 3, vendor, 4, &r);
    assert_int_equal(r.compared, 3);
    assert_int_equal(r.mismatches, 2); /* a volume, a close; 1000.5 is near enough */
    assert_int_equal(r.missing_own, 1);
    assert_int_equal(r.missing_vendor, 0);
    assert_true(r.own_volume == 1510 && r.vendor_volume == 1430.5);
    assert_int_equal(r.worst, 120);
    assert_true(r.worst_volume == 100);
    tc_reconcile(own, 3, vendor, 0, &r);
    assert_int_equal(r.missing_vendor, 3);
    assert_int_equal(r.worst, 60);
}

static void seconds_are_folded_into_minutes(void **state)
{
    (void)state;
    const struct tc_plain_bar s[] = {{59, 5, 5, 5, 5, 1}, {60, 1, 2, 1, 1.5, 10}, {61, 1.5, 3, 0.5, 2, 20}};
    struct tc_plain_bar list[3];
    size_t n = 0;
    for (int i = 0; i < 3; i++)
        n = tc_plain_fold(list, n, &s[i], 60);
    assert_int_equal(n, 2);
    assert_int_equal(list[0].start, 0);
    assert_int_equal(list[1].start, 60);
    assert_true(list[1].open == 1 && list[1].high == 3 && list[1].low == 0.5 && list[1].close == 2 &&
                list[1].volume == 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prices_before_a_split_are_divided_by_all_that_follow),
        cmocka_unit_test(a_symbol_knows_what_it_was_called),
        cmocka_unit_test(a_bad_line_is_named),
        cmocka_unit_test(the_shipped_list_can_be_read),
        cmocka_unit_test(a_jump_that_looks_like_a_split_is_suspected),
        cmocka_unit_test(bars_are_compared_by_start),
        cmocka_unit_test(seconds_are_folded_into_minutes),
    };
    return cmocka_run_group_tests_name("actions", tests, NULL, NULL);
}
