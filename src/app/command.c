#include "app/command.h"
#include "app/help.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

const struct tc_command tc_commands[] = {
    {"run", "run everything: data in, forecasts out, the page", tc_cmd_run},
    {"sentiment", "score texts as posts are scored: sentiment and symbols", tc_cmd_sentiment},
    {"show", "show bars, forecasts, scores and more from a store, as table, JSON or CSV", tc_cmd_show},
    {"forecast", "forecast once from the newest bars of a store", tc_cmd_forecast},
    {"store", "make or update the tables of a Cassandra cluster", tc_cmd_store},
    {"score", "compute the scores of a store again and compare", tc_cmd_score},
    {"backtest", "score every model against every baseline over recorded data", tc_cmd_backtest},
    {"train", "train a network on recorded data", tc_cmd_train},
    {"model", "say what a model file is, import one from PyTorch, evaluate one", tc_cmd_model},
    {"calendar", "print sessions, opening and closing times of an exchange", tc_cmd_calendar},
    {"nightly", "do a session's nightly work now: retention, quality, comparison with the vendor",
     tc_cmd_nightly},
    {"init", "write a commented configuration file", tc_cmd_init},
    {"doctor", "check everything that a run needs and say what to do", tc_cmd_doctor},
    {"bench", "measure this machine: bench lstm", tc_cmd_bench},
    {"docs", "print the configuration page, the man page or shell completion", tc_cmd_docs},
    {"version", "print the version and the compiler", tc_cmd_version},
    {"help", "explain the program or one of its commands", tc_cmd_help},
};
const int tc_commands_n = sizeof(tc_commands) / sizeof(tc_commands[0]);

enum tc_exit tc_exit_code(int rc)
{
    switch (rc) {
    case TC_OK:
    case TC_DONE:
        return TC_EXIT_OK;
    case TC_EUSAGE:
        return TC_EXIT_USAGE;
    case TC_ECONF:
        return TC_EXIT_CONFIG;
    case TC_EINPUT:
    case TC_EIO:
    case TC_ENOTFOUND:
    case TC_ELIMIT:
        return TC_EXIT_DATA;
    case TC_EBUSY:
        return TC_EXIT_BUSY;
    case TC_EPEER:
        return TC_EXIT_NET;
    case TC_EFATAL:
        return TC_EXIT_FATAL;
    default:
        return TC_EXIT_FAILURE;
    }
}

int tc_command_exit(int rc)
{
    enum tc_exit code = tc_exit_code(rc);
    if (code != TC_EXIT_OK)
        fprintf(stderr, "tickcast: %s\n", tc_error());
    return code;
}

const struct tc_command *tc_command_find(const char *name)
{
    for (int i = 0; i < tc_commands_n; i++)
        if (strcmp(tc_commands[i].name, name) == 0)
            return &tc_commands[i];
    return NULL;
}

int tc_command_unknown(const char *name)
{
    const char *names[64];
    size_t n = 0;
    for (int i = 0; i < tc_commands_n && n < 64; i++)
        names[n++] = tc_commands[i].name;
    const char *near = tc_opt_nearest(name, names, n);
    fprintf(stderr, "tickcast: %.60s: unknown command%s%s%s\n", name, near ? "; did you mean " : "",
            near ? near : "", near ? "?" : " (tickcast --help lists them)");
    return TC_EXIT_USAGE;
}

int tc_cmd_help(int argc, char **argv)
{
    if (argc < 2 || strncmp(argv[1], "--", 2) == 0) {
        tc_help_program();
        return TC_EXIT_OK;
    }
    const struct tc_command *c = tc_command_find(argv[1]);
    if (!c)
        return tc_command_unknown(argv[1]);
    if (c->run == tc_cmd_help)
        return tc_help_program(), TC_EXIT_OK;
    char flag[] = "--help";
    char *args[] = {argv[1], flag, NULL};
    return c->run(2, args);
}
