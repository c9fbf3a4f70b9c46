#include "app/command.h"
#include "app/config.h"
#include "app/docs.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    void (*write)(struct tc_buf *out);
} forms[] = {
    {"configuration", tc_docs_configuration},
    {"man", tc_docs_man},
    {"bash", tc_docs_bash},
    {"zsh", tc_docs_zsh},
    {"fish", tc_docs_fish},
};

static int print(const char *name)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(forms[i].name, name) != 0)
            continue;
        struct tc_buf out;
        tc_buf_init(&out, 4 << 20);
        forms[i].write(&out);
        int rc = out.overflow ? tc_fail(TC_ENOMEM, "docs: no memory") : TC_OK;
        if (!rc)
            fputs(out.data, stdout);
        tc_buf_release(&out);
        return rc;
    }
    return tc_fail(TC_EUSAGE, "docs: %.40s is none of: configuration, man, bash, zsh, fish", name);
}

int tc_cmd_docs(int argc, char **argv)
{
    struct tc_config_set s;
    struct tc_cli cli = {
        .command = "docs",
        .usage = "configuration|man|bash|zsh|fish",
        .about = "Prints a document made from the tables of options and commands: docs/configuration.md, the "
                 "man page, "
                 "or the completion of a shell.",
        .args_min = 1,
        .args_max = 1,
        .examples = "  source <(tickcast docs bash)\n",
    };
    int rc = tc_config_load(&s, &cli, argc, argv);
    if (!rc)
        rc = print(s.opts.args[0]);
    tc_config_release(&s);
    return tc_command_exit(rc);
}
