/* cmocka.h - as much of cmocka's interface as the kernels' tests use, so that they can be built for a machine
 * whose cmocka is not at hand. A failed check ends the program with its place. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define fail_msg(...)                          \
    do {                                       \
        printf("%s:%d: ", __FILE__, __LINE__); \
        printf(__VA_ARGS__);                   \
        printf("\n");                          \
        exit(1);                               \
    } while (0)
#define assert_true(what)                 \
    do {                                  \
        if (!(what))                      \
            fail_msg("not true: " #what); \
    } while (0)
#define assert_non_null(p) assert_true((p) != NULL)
#define assert_int_equal(a, b) assert_true((a) == (b))
#define assert_string_equal(a, b) assert_true(strcmp(a, b) == 0)
#define assert_memory_equal(a, b, n) assert_true(memcmp(a, b, n) == 0)
#define print_message(...) printf(__VA_ARGS__)

#define cmocka_unit_test(f) \
    {                       \
#f, f               \
    }
#define cmocka_run_group_tests_name(group, tests, before, after) \
    run_all(group, tests, sizeof(tests) / sizeof((tests)[0]))

static inline int run_all(const char *group, const struct CMUnitTest *tests, size_t n)
{
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    for (size_t i = 0; i < n; i++) {
        void *state = NULL;
        tests[i].run(&state);
        printf("%s: %s\n", group, tests[i].name);
    }
    return 0;
}
