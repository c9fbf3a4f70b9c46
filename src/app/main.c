#include "app/command.h"
#include "app/help.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc < 2) {
        tc_help_program();
        return TC_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0)
        name = "version";
    const struct tc_command *c = tc_command_find(name);
    if (!c)
        return tc_command_unknown(name);
    int code = c->run(argc - 1, argv + 1);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "tickcast: cannot write to standard output\n");
        return code ? code : TC_EXIT_DATA;
    }
    return code;
}
