/* child.h - a program started beside ours: no shell, a group of its own that can be ended as a whole, signals
 * as programs expect them, and none of our settings (they may hold secrets) in its environment.
 */
#pragma once

#include <sys/types.h>

struct tc_child_conf {
    const char *const *argv;      /* argv[0] is the program's path; ends with NULL */
    const char *const *variables; /* further "NAME=value" of its environment, ends with NULL; NULL = none */
    const char *drop;             /* variables of ours whose names begin so are left out */
    int input;                    /* descriptor for its standard input; -1 = /dev/null */
    const char *output;           /* file for its standard output, made anew; NULL = /dev/null */
    const char *errors;           /* the same for its error output; NULL = ours */
    int niceness;                 /* added to ours */
};

/* TC_ECONF when the program cannot be started. */
int tc_child_start(const struct tc_child_conf *conf, pid_t *out);

/* TC_AGAIN while it runs; TC_OK when it ended with status 0; TC_EPEER otherwise, tc_error() says how. Ask no
 * more after it has ended. */
int tc_child_poll(pid_t pid);

/* Ends it and what it started, at once, and waits for its end. */
void tc_child_kill(pid_t pid);
