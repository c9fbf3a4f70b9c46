#include "base/err.h"
#include "base/opt.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct target {
    bool on, off;
    int64_t n, size, time;
    double speed;
    char *text, *path;
    int color;
    struct tc_opt_list list;
    int32_t day;
    struct tc_opt_address at;
    struct tc_opt_secret key;
};

static const char *const colors[] = {"red", "green", NULL};

#define FIELD(f) .at = offsetof(struct target, f)
static const struct tc_opt opts[] = {
    {.key = "part.on", .alias = "on", .type = TC_OPT_BOOL, .def = "true", FIELD(on), .doc = "on"},
    {.key = "part.off", .type = TC_OPT_BOOL, FIELD(off), .doc = "off"},
    {.key = "part.row_count", .type = TC_OPT_INT, .def = "5", .min = "1", .max = "10", FIELD(n), .doc = "n"},
    {.key = "part.size", .type = TC_OPT_SIZE, .def = "4KiB", .max = "1GiB", FIELD(size), .doc = "size"},
    {.key = "part.time", .type = TC_OPT_DURATION, .min = "1ms", .max = "2d", FIELD(time), .doc = "time"},
    {.key = "part.speed",
     .type = TC_OPT_DOUBLE,
     .min = "0.5",
     .unit = "x",
     .inf = "max",
     FIELD(speed),
     .doc = "s"},
    {.key = "part.text", .type = TC_OPT_STRING, FIELD(text), .doc = "text"},
    {.key = "other.path", .alias = "path", .type = TC_OPT_PATH, FIELD(path), .doc = "path"},
    {.key = "other.color", .type = TC_OPT_ENUM, .choices = colors, FIELD(color), .doc = "color"},
    {.key = "other.list", .alias = "list", .type = TC_OPT_LIST, FIELD(list), .doc = "list"},
    {.key = "other.day", .type = TC_OPT_DATE, FIELD(day), .doc = "day"},
    {.key = "other.at", .type = TC_OPT_ADDRESS, FIELD(at), .doc = "address"},
    {.key = "other.key", .type = TC_OPT_SECRET, FIELD(key), .doc = "secret"},
};

struct fixture {
    struct target t;
    struct tc_opt_set s;
};

static int open_set(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f)
        return -1;
    f->s = (struct tc_opt_set){.n_groups = 1, .prefix = "TEST"};
    f->s.groups[0] =
        (struct tc_opt_group){.opts = opts, .n = sizeof(opts) / sizeof(opts[0]), .target = &f->t};
    *state = f;
    return tc_opt_open(&f->s);
}

static int close_set(void **state)
{
    struct fixture *f = *state;
    tc_opt_release(&f->s);
    free(f);
    return 0;
}

static int set(struct fixture *f, const char *key, const char *text)
{
    return tc_opt_set_text(&f->s, key, text, "here");
}

static int yaml(struct fixture *f, const char *text)
{
    return tc_opt_yaml_text(&f->s, "file.yaml", text, strlen(text));
}

#define ARGS(f, ...) args(f, (const char *[]){"prog", __VA_ARGS__, NULL})
static int args(struct fixture *f, const char **argv)
{
    int n = 0;
    while (argv[n])
        n++;
    return tc_opt_args(&f->s, n, (char *const *)argv);
}

static void assert_says(const char *part)
{
    if (!strstr(tc_error(), part))
        fail_msg("\"%s\" does not hold \"%s\"", tc_error(), part);
}

static void defaults_stand_before_anything_is_read(void **state)
{
    struct fixture *f = *state;
    assert_true(f->t.on);
    assert_false(f->t.off);
    assert_int_equal(f->t.n, 5);
    assert_int_equal(f->t.size, 4096);
    assert_null(f->t.text);
    assert_int_equal(f->t.list.n, 0);
}

static void each_type_reads_its_forms(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "part.on", "No"), TC_OK);
    assert_false(f->t.on);
    assert_int_equal(set(f, "part.row_count", "10"), TC_OK);
    assert_int_equal(f->t.n, 10);
    assert_int_equal(set(f, "part.size", "1.5MiB"), TC_OK);
    assert_int_equal(f->t.size, 1572864);
    assert_int_equal(set(f, "part.time", "1h30m"), TC_OK);
    assert_int_equal(f->t.time, INT64_C(5400000000000));
    assert_int_equal(set(f, "part.time", "250ms"), TC_OK);
    assert_int_equal(f->t.time, 250000000);
    assert_int_equal(set(f, "part.speed", "10x"), TC_OK);
    assert_true(f->t.speed == 10);
    assert_int_equal(set(f, "part.speed", "2.5"), TC_OK);
    assert_true(f->t.speed == 2.5);
    assert_int_equal(set(f, "part.speed", "max"), TC_OK);
    assert_true(isinf(f->t.speed));
    assert_int_equal(set(f, "other.color", "green"), TC_OK);
    assert_int_equal(f->t.color, 1);
    assert_int_equal(set(f, "other.day", "2013-10-07"), TC_OK);
    assert_int_equal(f->t.day, 20131007);
    assert_int_equal(set(f, "other.day", "20120229"), TC_OK);
    assert_int_equal(f->t.day, 20120229);
    assert_int_equal(set(f, "other.at", "[::1]:80"), TC_OK);
    assert_string_equal(f->t.at.host, "::1");
    assert_int_equal(f->t.at.port, 80);
}

static void lists_are_split_and_replaced(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "other.list", "SPY, BAC ,IBM"), TC_OK);
    assert_int_equal(f->t.list.n, 3);
    assert_string_equal(f->t.list.items[1], "BAC");
    assert_int_equal(set(f, "other.list", "AIG"), TC_OK);
    assert_int_equal(f->t.list.n, 1);
    assert_int_equal(set(f, "other.list", "A,,B"), TC_ECONF);
    assert_says("empty");
}

static void home_stands_for_the_tilde_of_a_path_only(void **state)
{
    struct fixture *f = *state;
    setenv("HOME", "/home/x", 1);
    assert_int_equal(set(f, "other.path", "~/data"), TC_OK);
    assert_string_equal(f->t.path, "/home/x/data");
    assert_int_equal(set(f, "part.text", "~/data"), TC_OK);
    assert_string_equal(f->t.text, "~/data");
}

static void wrong_forms_are_refused_with_key_and_reason(void **state)
{
    static const char *const bad[][2] = {
        {"part.on", "maybe"},      {"part.row_count", "3.5"},      {"part.row_count", "0x5"},
        {"part.row_count", ""},    {"part.size", "4 KiB"},         {"part.size", "-1"},
        {"part.time", "30"},       {"part.time", "1h-30m"},        {"part.time", "s"},
        {"part.speed", "10y"},     {"part.speed", "nan"},          {"part.speed", "inf"},
        {"other.color", "blue"},   {"other.day", "2013-02-29"},    {"other.day", "2013-1-1"},
        {"other.day", "20131301"}, {"other.at", "8080"},           {"other.at", "localhost:65536"},
        {"other.at", "::1:80"},    {"other.at", "a b:80"},         {"other.at", "host:+80"},
        {"other.at", ":80"},       {"part.time", "9999999999999d"}};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (set(f, bad[i][0], bad[i][1]) != TC_ECONF)
            fail_msg("%s took \"%s\"", bad[i][0], bad[i][1]);
        assert_says("here: ");
        assert_says(bad[i][0]);
    }
}

static void values_outside_their_bounds_are_refused_with_the_bound(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "part.row_count", "11"), TC_ECONF);
    assert_says("above the largest value, 10");
    assert_int_equal(set(f, "part.row_count", "0"), TC_ECONF);
    assert_says("below the smallest value, 1");
    assert_int_equal(set(f, "part.time", "0"), TC_ECONF);
    assert_int_equal(set(f, "part.time", "49h"), TC_ECONF);
    assert_says("2d");
    assert_int_equal(set(f, "part.size", "2GiB"), TC_ECONF);
    assert_int_equal(set(f, "part.speed", "0.1x"), TC_ECONF);
    assert_int_equal(f->t.n, 5);
}

static void yaml_sets_sections_dotted_keys_and_sequences(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(yaml(f, "# note\npart:\n  row_count: 7\n  text: \"a b\"\n  off:\nother.list: [A, B]\n"
                             "other:\n  day: 2013-10-08\n"),
                     TC_OK);
    assert_int_equal(f->t.n, 7);
    assert_string_equal(f->t.text, "a b");
    assert_int_equal(f->t.list.n, 2);
    assert_int_equal(f->t.day, 20131008);
    struct tc_opt_from from;
    assert_non_null(tc_opt_find(&f->s, "part.row_count", &from));
    assert_int_equal(from.source, TC_OPT_FILE);
    assert_int_equal(from.line, 3);
}

static void yaml_without_content_leaves_the_defaults(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(yaml(f, ""), TC_OK);
    assert_int_equal(yaml(f, "# only a comment\n"), TC_OK);
    assert_int_equal(yaml(f, "part:\n  # all keys are comments\nother:\n"), TC_OK);
    assert_int_equal(f->t.n, 5);
}

static void yaml_errors_name_line_and_column(void **state)
{
    static const char *const bad[][2] = {
        {"part:\n  row_count: 99\n", "file.yaml:2:14: part.row_count: 99 is above"},
        {"part:\n  rwo_count: 9\n",
         "file.yaml:2:3: part.rwo_count: unknown key; did you mean part.row_count?"},
        {"prat:\n  row_count: 9\n",
         "file.yaml:2:3: prat.row_count: unknown key; did you mean part.row_count?"},
        {"part:\n  row_count: 2\n  row_count: 3\n",
         "file.yaml:3:3: part.row_count stands twice (first in line 2)"},
        {"part:\n  row_count: [1]\n", "file.yaml:2:14: expected a value"},
        {"part:\n  row_count: {a: 1}\n", "file.yaml:2:14: expected a value"},
        {"part: 5\n", "file.yaml:1:1: part: unknown key"},
        {"- part\n", "file.yaml:1:1: expected sections"},
        {"part: &x\n  row_count: 2\nother: *x\n", "file.yaml:3:8: aliases are not supported"},
        {"part:\n\trow_count: 2\n", "file.yaml:2:1: not YAML"},
        {"part:\n  text: \"open\n", "file.yaml:"},
        {"part:\n  row_count: 2\n---\npart:\n", "file.yaml:3:1: expected the end"},
        {"other:\n  key: hunter2\n",
         "a secret comes from the environment or from the file named by other.key_file"},
        {"other:\n  list: [A, [B]]\n", "file.yaml:2:13: expected a value"},
        {"part:\n  text: \xff\n", "not readable as YAML"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (yaml(f, bad[i][0]) != TC_ECONF)
            fail_msg("taken: %s", bad[i][0]);
        assert_says(bad[i][1]);
    }
}

static void a_missing_yaml_file_is_told_from_a_bad_one(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tc_opt_yaml_file(&f->s, "/nonexistent/x.yaml"), TC_ENOTFOUND);
    assert_says("/nonexistent/x.yaml");
    assert_int_equal(tc_opt_yaml_file(&f->s, "/"), TC_ECONF);
}

static void flags_take_keys_aliases_and_both_dashes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ARGS(f, "--part.row-count=6", "file", "--part.text", "x", "--no-on", "--part.off"),
                     TC_OK);
    assert_int_equal(f->t.n, 6);
    assert_string_equal(f->t.text, "x");
    assert_false(f->t.on);
    assert_true(f->t.off);
    assert_int_equal(f->s.n_args, 1);
    assert_string_equal(f->s.args[0], "file");
    assert_int_equal(ARGS(f, "--part.row_count", "8", "--", "--part.off"), TC_OK);
    assert_int_equal(f->t.n, 8);
    assert_string_equal(f->s.args[0], "--part.off");
}

static void a_repeated_list_flag_adds_and_replaces_the_file(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(yaml(f, "other:\n  list: [X]\n"), TC_OK);
    assert_int_equal(ARGS(f, "--list", "A,B", "--list=C"), TC_OK);
    assert_int_equal(f->t.list.n, 3);
    assert_string_equal(f->t.list.items[2], "C");
}

static void flag_errors_are_usage_errors_with_the_nearest_name(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ARGS(f, "--pth", "x"), TC_EUSAGE);
    assert_says("--pth: unknown flag; did you mean --path?");
    assert_int_equal(ARGS(f, "--part.row-cout", "x"), TC_EUSAGE);
    assert_says("did you mean --part.row-count?");
    assert_int_equal(ARGS(f, "--path"), TC_EUSAGE);
    assert_says("needs a value");
    assert_int_equal(ARGS(f, "--path", "--part.off"), TC_EUSAGE);
    assert_int_equal(ARGS(f, "--no-on=true"), TC_EUSAGE);
    assert_int_equal(ARGS(f, "--no-path", "x"), TC_EUSAGE);
    assert_int_equal(ARGS(f, "-x"), TC_EUSAGE);
    assert_int_equal(ARGS(f, "--part.row-count", "99"), TC_EUSAGE);
    assert_says("--part.row-count: part.row_count: 99 is above");
    assert_int_equal(ARGS(f, "--zzzzzzzzzzzzzzz"), TC_EUSAGE);
    assert_null(strstr(tc_error(), "did you mean"));
}

static void the_environment_sets_keys_and_catches_slips(void **state)
{
    struct fixture *f = *state;
    char *good[] = {(char *)"TEST_PART_ROW_COUNT=9", (char *)"TESTER=1", (char *)"TEST_UNRELATED_THING=1",
                    NULL};
    assert_int_equal(tc_opt_env(&f->s, good), TC_OK);
    assert_int_equal(f->t.n, 9);
    char *slip[] = {(char *)"TEST_PART_ROW_COUTN=9", NULL};
    assert_int_equal(tc_opt_env(&f->s, slip), TC_ECONF);
    assert_says("did you mean TEST_PART_ROW_COUNT?");
    char *bad[] = {(char *)"TEST_PART_ROW_COUNT=many", NULL};
    assert_int_equal(tc_opt_env(&f->s, bad), TC_ECONF);
    assert_says("TEST_PART_ROW_COUNT: part.row_count");
}

static void secrets_come_from_environment_or_file_and_are_never_shown(void **state)
{
    struct fixture *f = *state;
    char room[64];
    struct tc_buf b;
    tc_buf_init_fixed(&b, room, sizeof(room));
    char *env[] = {(char *)"TEST_OTHER_KEY=hunter2", NULL};
    assert_int_equal(tc_opt_env(&f->s, env), TC_OK);
    assert_string_equal(f->t.key.value, "hunter2");
    tc_opt_value(&f->s, tc_opt_find(&f->s, "other.key", NULL), &b);
    assert_string_equal(room, "(set)");
    assert_int_equal(ARGS(f, "--other.key", "hunter2"), TC_EUSAGE);

    char path[] = "/tmp/tickcast-secret-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "s3cret\n", 7), 7);
    close(fd);
    assert_int_equal(ARGS(f, "--other.key-file", path), TC_OK);
    assert_string_equal(f->t.key.value, "s3cret");
    assert_string_equal(f->t.key.file, path);
    unlink(path);
    assert_int_equal(ARGS(f, "--other.key-file", path), TC_EUSAGE);
    assert_null(strstr(tc_error(), "s3cret"));
}

static void values_print_as_they_are_written(void **state)
{
    static const char *const forms[][3] = {
        {"part.size", "65536", "64KiB"},
        {"part.time", "90s", "90s"},
        {"part.time", "120s", "2m"},
        {"part.time", "1500ms", "1500ms"},
        {"part.speed", "max", "max"},
        {"other.day", "20131007", "2013-10-07"},
        {"other.at", "[::1]:80", "[::1]:80"},
        {"other.list", "A, B", "A,B"},
        {"other.color", "green", "green"},
        {"part.on", "off", "false"},
        {"part.size", "0", "0"},
        {"part.speed", "0.5x", "0.5"},
    };
    struct fixture *f = *state;
    char room[64];
    struct tc_buf b;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        tc_buf_init_fixed(&b, room, sizeof(room));
        assert_int_equal(set(f, forms[i][0], forms[i][1]), TC_OK);
        tc_opt_value(&f->s, tc_opt_find(&f->s, forms[i][0], NULL), &b);
        assert_string_equal(room, forms[i][2]);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_set, close_set)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(defaults_stand_before_anything_is_read),
        T(each_type_reads_its_forms),
        T(lists_are_split_and_replaced),
        T(home_stands_for_the_tilde_of_a_path_only),
        T(wrong_forms_are_refused_with_key_and_reason),
        T(values_outside_their_bounds_are_refused_with_the_bound),
        T(yaml_sets_sections_dotted_keys_and_sequences),
        T(yaml_without_content_leaves_the_defaults),
        T(yaml_errors_name_line_and_column),
        T(a_missing_yaml_file_is_told_from_a_bad_one),
        T(flags_take_keys_aliases_and_both_dashes),
        T(a_repeated_list_flag_adds_and_replaces_the_file),
        T(flag_errors_are_usage_errors_with_the_nearest_name),
        T(the_environment_sets_keys_and_catches_slips),
        T(secrets_come_from_environment_or_file_and_are_never_shown),
        T(values_print_as_they_are_written),
    };
    return cmocka_run_group_tests_name("opt", tests, NULL, NULL);
}
