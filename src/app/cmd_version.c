#include "app/command.h"
#include "app/config.h"

#include <stdio.h>

int tc_cmd_version(int argc, char **argv)
{
    struct tc_config_set s;
    struct tc_cli cli = {.command = "version", .usage = "", .about = "Prints the version and the compiler."};
    int rc = tc_config_load(&s, &cli, argc, argv);
    tc_config_release(&s);
    if (rc)
        return tc_command_exit(rc);
    printf("tickcast %s (%s)\n", TC_VERSION, __VERSION__);
    return TC_EXIT_OK;
}
