/* The man page and the shells' completion, from the descriptions that the commands give to --help. */
#include "app/command.h"
#include "app/docs.h"
#include "app/help.h"

#include <string.h>

/* Runs each command's --help into the sink. */
static void each_command(tc_help_sink *sink, struct tc_buf *out)
{
    tc_help_divert(sink, out);
    for (int i = 0; i < tc_commands_n; i++) {
        char name[32], flag[] = "--help";
        struct tc_buf copy;
        tc_buf_init_fixed(&copy, name, sizeof(name));
        tc_buf_str(&copy, tc_commands[i].name);
        char *argv[] = {name, flag, NULL};
        if (tc_commands[i].run != tc_cmd_help)
            tc_commands[i].run(2, argv);
    }
    tc_help_divert(NULL, NULL);
}

/* Calls back with each option that the command takes; its own first. */
static void each_option(const struct tc_opt_set *s, void (*fn)(const struct tc_opt *o, struct tc_buf *out),
                        struct tc_buf *out)
{
    for (size_t g = s->n_groups; g-- > 0;)
        for (size_t i = 0; i < s->groups[g].n; i++)
            if (!s->wanted || s->wanted(&s->groups[g].opts[i], s->wanted_arg))
                fn(&s->groups[g].opts[i], out);
}

/* "no-forecast" or "listen": the flag without dashes and value. */
static void flag_name(const struct tc_opt *o, char *room, size_t size)
{
    struct tc_buf b;
    tc_buf_init_fixed(&b, room, size);
    tc_help_flag(o, &b);
    room[strcspn(room, " ")] = '\0';
    memmove(room, room + 2, strlen(room + 2) + 1);
}

/* Text for roff: a dash is a dash, a line's first dot no request. */
static void roff(const char *text, struct tc_buf *out)
{
    for (; *text; text++) {
        if (*text == '-' || *text == '\\')
            tc_buf_char(out, '\\');
        tc_buf_char(out, *text);
    }
}

static void man_option(const struct tc_opt *o, struct tc_buf *out)
{
    char room[256];
    struct tc_buf b;
    tc_buf_init_fixed(&b, room, sizeof(room));
    tc_help_flag(o, &b);
    tc_buf_str(out, ".TP\n.B ");
    roff(room, out);
    tc_buf_str(out, "\n");
    roff(o->doc, out);
    const char *def = o->def_doc ? o->def_doc : o->def;
    if (def && o->type != TC_OPT_BOOL) {
        tc_buf_str(out, " [");
        roff(def, out);
        tc_buf_char(out, ']');
    }
    tc_buf_char(out, '\n');
}

static void man_command(const struct tc_cli *cli, const struct tc_opt_set *s, void *arg)
{
    struct tc_buf *out = arg;
    tc_buf_printf(out, ".SS tickcast %s ", cli->command);
    roff(cli->usage, out);
    tc_buf_char(out, '\n');
    roff(cli->about, out);
    tc_buf_char(out, '\n');
    each_option(s, man_option, out);
    if (cli->examples) {
        tc_buf_str(out, ".PP\n.nf\n");
        roff(cli->examples, out);
        tc_buf_str(out, ".fi\n");
    }
}

void tc_docs_man(struct tc_buf *out)
{
    tc_buf_str(out,
               ".TH TICKCAST 1 \"\" \"tickcast " TC_VERSION "\" \"User commands\"\n"
               ".SH NAME\ntickcast \\- market data in, scored forecasts of the next seconds out\n"
               ".SH SYNOPSIS\n.B tickcast\n.I COMMAND\n[FLAGS]\n.SH DESCRIPTION\n"
               "Reads trades and quotes, makes second bars, forecasts the next seconds of every symbol, "
               "scores each\n"
               "forecast against simple rivals, and shows all of it on a page. Without any configuration\n"
               ".B tickcast run\nshows a simulated market on http://127.0.0.1:8080.\n.SH COMMANDS\n");
    for (int i = 0; i < tc_commands_n; i++) {
        tc_buf_printf(out, ".TP\n.B %s\n", tc_commands[i].name);
        roff(tc_commands[i].doc, out);
        tc_buf_char(out, '\n');
    }
    tc_buf_str(out, ".SH FLAGS\nEvery flag can also be given as \\-\\-SECTION.KEY, in the YAML file, or as\n"
                    "TICKCAST_SECTION_KEY in the environment.\n");
    each_command(man_command, out);
    tc_buf_str(
        out, ".SH FILES\n.TP\n$XDG_CONFIG_HOME/tickcast/tickcast.yaml\nthe configuration, when it is there\n"
             ".TP\n$XDG_DATA_HOME/tickcast/WORLD\nthe log and the store of each world\n.SH EXIT STATUS\n");
    for (const struct tc_exit_doc *d = tc_exit_docs; d->doc; d++)
        tc_buf_printf(out, ".TP\n%d\n%s\n", d->code, d->doc);
}

/* --- bash ------------------------------------------------------------------------------------------------
 */

static void bash_flag(const struct tc_opt *o, struct tc_buf *out)
{
    char name[128];
    flag_name(o, name, sizeof(name));
    tc_buf_printf(out, " --%s", name);
}

static void bash_command(const struct tc_cli *cli, const struct tc_opt_set *s, void *arg)
{
    struct tc_buf *out = arg;
    tc_buf_printf(out, "    %s) words=\"--help", cli->command);
    each_option(s, bash_flag, out);
    tc_buf_str(out, "\" ;;\n");
}

static void bash_value(const struct tc_opt *o, struct tc_buf *out)
{
    if (!o->choices)
        return;
    char name[128];
    flag_name(o, name, sizeof(name));
    tc_buf_printf(out, "    --%s) COMPREPLY=($(compgen -W \"", name);
    for (size_t i = 0; o->choices[i]; i++)
        tc_buf_printf(out, "%s%s", i ? " " : "", o->choices[i]);
    tc_buf_str(out, "\" -- \"$word\")); return ;;\n");
}

void tc_docs_bash(struct tc_buf *out)
{
    tc_buf_str(out, "# bash completion of tickcast, made from its option table\n_tickcast() {\n"
                    "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
                    "  if [ \"$COMP_CWORD\" = 1 ]; then\n    COMPREPLY=($(compgen -W \"");
    for (int i = 0; i < tc_commands_n; i++)
        tc_buf_printf(out, "%s%s", i ? " " : "", tc_commands[i].name);
    tc_buf_str(out, "\" -- \"$word\"))\n    return\n  fi\n  case $before in\n");
    for (size_t i = 0; i < tc_config_opts_n; i++)
        bash_value(&tc_config_opts[i], out);
    tc_buf_str(out, "  esac\n  case ${COMP_WORDS[1]} in\n");
    each_command(bash_command, out);
    tc_buf_str(out, "  esac\n  case $word in\n    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$word\")) ;;\n"
                    "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n  esac\n}\n"
                    "complete -o filenames -F _tickcast tickcast\n");
}

/* --- zsh ---------------------------------------------------------------------------------------------------
 */

/* Text inside a single-quoted specification of _arguments. */
static void zsh_text(const char *text, struct tc_buf *out)
{
    for (; *text; text++) {
        if (strchr(":[]\\", *text))
            tc_buf_char(out, '\\');
        if (*text == '\'')
            tc_buf_str(out, "'\\''");
        else
            tc_buf_char(out, *text);
    }
}

static void zsh_option(const struct tc_opt *o, struct tc_buf *out)
{
    char name[128];
    flag_name(o, name, sizeof(name));
    tc_buf_printf(out, " \\\n        '--%s[", name);
    zsh_text(o->doc, out);
    tc_buf_char(out, ']');
    if (o->choices) {
        tc_buf_str(out, ":value:(");
        for (size_t i = 0; o->choices[i]; i++)
            tc_buf_printf(out, "%s%s", i ? " " : "", o->choices[i]);
        tc_buf_char(out, ')');
    } else if (o->type != TC_OPT_BOOL) {
        bool file = o->type == TC_OPT_PATH || o->type == TC_OPT_SECRET || o->type == TC_OPT_LIST;
        tc_buf_printf(out, ":%s:%s", o->type == TC_OPT_ADDRESS ? "address" : "value", file ? "_files" : "");
    }
    tc_buf_char(out, '\'');
}

static void zsh_command(const struct tc_cli *cli, const struct tc_opt_set *s, void *arg)
{
    struct tc_buf *out = arg;
    tc_buf_printf(out, "    %s)\n      _arguments '--help[explain the command]'", cli->command);
    each_option(s, zsh_option, out);
    tc_buf_str(out, " \\\n        '*:file:_files'\n      ;;\n");
}

void tc_docs_zsh(struct tc_buf *out)
{
    tc_buf_str(
        out,
        "#compdef tickcast\n# made from the option table of tickcast\n_tickcast() {\n  local -a commands\n"
        "  commands=(\n");
    for (int i = 0; i < tc_commands_n; i++) {
        tc_buf_printf(out, "    '%s:", tc_commands[i].name);
        zsh_text(tc_commands[i].doc, out);
        tc_buf_str(out, "'\n");
    }
    tc_buf_str(out, "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
                    "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n");
    each_command(zsh_command, out);
    tc_buf_str(out, "  esac\n}\n_tickcast \"$@\"\n");
}

/* --- fish --------------------------------------------------------------------------------------------------
 */

static const char *fish_command_name; /* of the command whose options are being written */

static void fish_text(const char *text, struct tc_buf *out)
{
    for (; *text; text++) {
        if (strchr("'\\", *text))
            tc_buf_char(out, '\\');
        tc_buf_char(out, *text);
    }
}

static void fish_option(const struct tc_opt *o, struct tc_buf *out)
{
    char name[128];
    flag_name(o, name, sizeof(name));
    tc_buf_printf(out, "complete -c tickcast -n '__fish_seen_subcommand_from %s' -l %s", fish_command_name,
                  name);
    if (o->choices) {
        tc_buf_str(out, " -x -a '");
        for (size_t i = 0; o->choices[i]; i++)
            tc_buf_printf(out, "%s%s", i ? " " : "", o->choices[i]);
        tc_buf_char(out, '\'');
    } else if (o->type != TC_OPT_BOOL) {
        tc_buf_str(out, " -r");
    }
    tc_buf_str(out, " -d '");
    fish_text(o->doc, out);
    tc_buf_str(out, "'\n");
}

static void fish_command(const struct tc_cli *cli, const struct tc_opt_set *s, void *arg)
{
    fish_command_name = cli->command;
    each_option(s, fish_option, arg);
}

void tc_docs_fish(struct tc_buf *out)
{
    tc_buf_str(out, "# fish completion of tickcast, made from its option table\n");
    for (int i = 0; i < tc_commands_n; i++) {
        tc_buf_printf(out, "complete -c tickcast -n __fish_use_subcommand -f -a %s -d '",
                      tc_commands[i].name);
        fish_text(tc_commands[i].doc, out);
        tc_buf_str(out, "'\n");
    }
    each_command(fish_command, out);
}
