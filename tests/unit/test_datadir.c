#include "app/datadir.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/tickcast-datadir-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[200];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static void expect_error(int rc, int want, const char *words)
{
    assert_int_equal(rc, want);
    if (!strstr(tc_error(), words))
        fail_msg("'%s' does not say '%s'", tc_error(), words);
}

static void a_folder_belongs_to_one_world_and_one_set_of_inputs(void **state)
{
    (void)state;
    char path[200];
    struct tc_datadir d, other;
    snprintf(path, sizeof(path), "%s/deep/er", folder);
    assert_int_equal(tc_datadir_open(path, TC_WORLD_REPLAY, &d), TC_OK);
    assert_true(strstr(d.store, "/deep/er/tickcast.db") != NULL);
    expect_error(tc_datadir_open(path, TC_WORLD_REPLAY, &other), TC_EBUSY, "is in use by process ");
    assert_int_equal(tc_datadir_inputs(&d, "feed=replay\nsymbols=SPY\n"), TC_OK);
    tc_datadir_close(&d);
    assert_int_equal(tc_datadir_open(path, TC_WORLD_REPLAY, &d), TC_OK);
    assert_int_equal(tc_datadir_inputs(&d, "feed=replay\nsymbols=SPY\n"), TC_OK);
    expect_error(tc_datadir_inputs(&d, "feed=replay\nsymbols=SPY,IBM\n"), TC_ECONF,
                 "it has 'symbols=SPY', this run 'symbols=SPY,IBM'");
    expect_error(tc_datadir_inputs(&d, "feed=replay\n"), TC_ECONF, "it has 'symbols=SPY', this run ''");
    tc_datadir_close(&d);
    expect_error(tc_datadir_open(path, TC_WORLD_LIVE, &d), TC_ECONF, "belongs to the replay world");
}

static void a_long_list_of_symbols_is_recognised_again(void **state)
{
    (void)state;
    char path[200], *inputs = malloc(200001);
    struct tc_datadir d;
    assert_non_null(inputs);
    for (size_t i = 0; i < 200000; i++)
        inputs[i] = i % 10 == 9 ? ',' : (char)('A' + i / 10 % 26);
    inputs[200000] = '\0';
    snprintf(path, sizeof(path), "%s/many", folder);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tc_datadir_open(path, TC_WORLD_REPLAY, &d), TC_OK);
        assert_int_equal(tc_datadir_inputs(&d, inputs), TC_OK);
        tc_datadir_close(&d);
    }
    free(inputs);
}

static void folders_that_cannot_hold_data_are_refused(void **state)
{
    (void)state;
    struct tc_datadir d;
    char path[200];
    snprintf(path, sizeof(path), "%s/file", folder);
    fclose(fopen(path, "w"));
    expect_error(tc_datadir_open(path, TC_WORLD_LIVE, &d), TC_EIO, "is no folder");
    expect_error(tc_datadir_open("/proc/tickcast", TC_WORLD_LIVE, &d), TC_EIO, "choose another with --data");
    expect_error(tc_datadir_open("", TC_WORLD_LIVE, &d), TC_ECONF, "empty");
    char huge[2000];
    memset(huge, 'a', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    expect_error(tc_datadir_open(huge, TC_WORLD_LIVE, &d), TC_ECONF, "longer than");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_belongs_to_one_world_and_one_set_of_inputs),
        cmocka_unit_test(a_long_list_of_symbols_is_recognised_again),
        cmocka_unit_test(folders_that_cannot_hold_data_are_refused),
    };
    return cmocka_run_group_tests_name("datadir", tests, make_folder, remove_folder);
}
