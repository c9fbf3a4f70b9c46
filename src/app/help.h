/* help.h - the option table as text for people: --help. Other forms are in docs.h. */
#pragma once

#include "app/config.h"

/* "--no-forecast" for a switch that is on, "--listen HOST:PORT" for others. */
void tc_help_flag(const struct tc_opt *o, struct tc_buf *out);

/* Takes a command's description in place of printing it, while it is set (for the man page and completion).
 */
typedef void tc_help_sink(const struct tc_cli *cli, const struct tc_opt_set *s, void *arg);
void tc_help_divert(tc_help_sink *sink, void *arg);

/* `tickcast COMMAND --help`, to stdout. */
void tc_help_command(const struct tc_cli *cli, const struct tc_opt_set *s);

/* `tickcast --help`, to stdout. */
void tc_help_program(void);

/* What each exit code means: "2", "the command line is wrong"; NULL-ended by code < 0. */
struct tc_exit_doc {
    int code;
    const char *doc;
};
extern const struct tc_exit_doc tc_exit_docs[];
