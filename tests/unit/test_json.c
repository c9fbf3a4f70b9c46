#include "wire/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Reads any value with nothing behind it. */
static bool good(const char *text)
{
    struct tc_json j;
    tc_json_start(&j, text, strlen(text));
    tc_json_skip(&j);
    return tc_json_end(&j);
}

static void whole_values_are_taken(void **state)
{
    (void)state;
    assert_true(good("{}"));
    assert_true(good(" [ ] "));
    assert_true(good("{\"a\":[1,2.5e3,-0.1,{\"b\":null}],\"c\":true,\"d\":\"x\\\"y\"}"));
}

static void what_is_no_json_is_refused(void **state)
{
    static const char *const bad[] = {"",           "{",     "[1,]",     "[,1]",  "{\"a\"}",   "{\"a\":}",
                                      "{\"a\":1,}", "[1 2]", "[1]]",     "\"abc", "\"a\\\"",   "tru",
                                      "nul",        "{a:1}", "\"\x01\"", "1.2.3", "[\"a\":1]", "{1:2}",
                                      "-",          "[1}",   "NaN"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (good(bad[i]))
            fail_msg("taken: %s", bad[i]);
}

static void nesting_is_bounded(void **state)
{
    char deep[2 * TC_JSON_DEPTH + 4];
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        int n = TC_JSON_DEPTH + extra;
        memset(deep, '[', (size_t)n);
        memset(deep + n, ']', (size_t)n);
        deep[2 * n] = '\0';
        assert_int_equal(good(deep), !extra);
    }
}

static void every_cut_of_a_message_is_refused(void **state)
{
    static const char whole[] = "{\"a\":[1,{\"b\":\"c\\u00e4\"}],\"d\":-2.5}";
    struct tc_json j;
    (void)state;
    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        tc_json_start(&j, whole, n);
        tc_json_skip(&j);
        assert_false(tc_json_end(&j));
    }
}

static void types_are_strict(void **state)
{
    struct tc_json j;
    struct tc_text t;
    double d = 0;
    int64_t i = 0;
    (void)state;
    tc_json_start(&j, "\"1.5\"", 5);
    assert_true(tc_json_decimal(&j, &d) && d == 1.5);
    tc_json_start(&j, "\"1.5\"", 5);
    assert_false(tc_json_number(&j, &d));
    tc_json_start(&j, "1.5", 3);
    assert_false(tc_json_int(&j, &i));
    tc_json_start(&j, "\"\"", 2);
    assert_false(tc_json_decimal(&j, &d));
    tc_json_start(&j, "7", 1);
    assert_false(tc_json_text(&j, &t));
}

static void escapes_are_undone_within_bounds(void **state)
{
    static const char text[] = "\"BTC\\/USD\\u00e4\\n\\ud800\"";
    struct tc_json j;
    struct tc_text t;
    char out[32], small[4];
    (void)state;
    tc_json_start(&j, text, sizeof(text) - 1);
    assert_true(tc_json_text(&j, &t) && t.escaped);
    tc_text_copy(t, out, sizeof(out));
    assert_string_equal(out, "BTC/USD\xc3\xa4\n\xef\xbf\xbd");
    tc_text_copy(t, small, sizeof(small));
    assert_string_equal(small, "BTC");
}

static int64_t time_of(const char *text)
{
    int64_t t = -1;
    return tc_text_time((struct tc_text){text, strlen(text), false}, &t) ? t : -1;
}

static void times_keep_their_nanoseconds(void **state)
{
    (void)state;
    assert_int_equal(time_of("1970-01-02T00:00:00Z"), INT64_C(86400000000000));
    assert_int_equal(time_of("2021-02-22T15:51:45.335689322Z"), INT64_C(1614009105335689322));
    assert_int_equal(time_of("2021-02-22T16:51:45.335689322+01:00"), INT64_C(1614009105335689322));
    assert_int_equal(time_of("2021-02-22T15:51:45"), INT64_C(1614009105000000000));
    assert_int_equal(time_of("2021-13-22T15:51:45Z"), -1);
    assert_int_equal(time_of("2021-02-22"), -1);
    assert_int_equal(time_of("2021-02-22T15:51:45+1"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_values_are_taken),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(every_cut_of_a_message_is_refused),
        cmocka_unit_test(types_are_strict),
        cmocka_unit_test(escapes_are_undone_within_bounds),
        cmocka_unit_test(times_keep_their_nanoseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
