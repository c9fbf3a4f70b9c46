/* command.h - the table of subcommands and the exit codes. Each command lives in cmd_NAME.c; a new one needs
 * its function here and its line in command.c's table. */
#pragma once

enum tc_exit {
    TC_EXIT_OK = 0,
    TC_EXIT_FAILURE = 1, /* the thing asked for is not so (calendar --is-open, doctor), or an inner fault */
    TC_EXIT_USAGE = 2,   /* the command line is wrong */
    TC_EXIT_CONFIG = 3,  /* a configuration file, variable or value is wrong */
    TC_EXIT_DATA = 4,    /* data or a file cannot be read or written; disk full */
    TC_EXIT_BUSY = 5,    /* the port or the data folder is held by another program */
    TC_EXIT_NET = 6,     /* the other side refused or went away */
    TC_EXIT_FATAL = 7,   /* --exit-on-fatal: every live feed was refused for good; a restart does not help */
};

struct tc_command {
    const char *name;
    const char *doc;                   /* one line */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns an exit code */
};

extern const struct tc_command tc_commands[];
extern const int tc_commands_n;

/* NULL when there is none of that name. */
const struct tc_command *tc_command_find(const char *name);

/* Says so on stderr, with the nearest name; returns the exit code. */
int tc_command_unknown(const char *name);

/* For the end of a command: 0 and TC_DONE give 0; else prints "tickcast: " and tc_error() to stderr and gives
 * the exit code of rc. */
int tc_command_exit(int rc);

/* The exit code of a result, printing nothing. */
enum tc_exit tc_exit_code(int rc);

int tc_cmd_backtest(int argc, char **argv);
int tc_cmd_calendar(int argc, char **argv);
int tc_cmd_train(int argc, char **argv);
int tc_cmd_model(int argc, char **argv);
int tc_cmd_bench(int argc, char **argv);
int tc_cmd_forecast(int argc, char **argv);
int tc_cmd_init(int argc, char **argv);
int tc_cmd_docs(int argc, char **argv);
int tc_cmd_doctor(int argc, char **argv);
int tc_cmd_sentiment(int argc, char **argv);
int tc_cmd_show(int argc, char **argv);
int tc_cmd_nightly(int argc, char **argv);
int tc_cmd_run(int argc, char **argv);
int tc_cmd_score(int argc, char **argv);
int tc_cmd_store(int argc, char **argv);
int tc_cmd_version(int argc, char **argv);
int tc_cmd_help(int argc, char **argv);
