#include "app/help.h"
#include "app/command.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 100, INDENT = 30 };

const struct tc_exit_doc tc_exit_docs[] = {
    {TC_EXIT_OK, "done"},
    {TC_EXIT_FAILURE, "not so (doctor, calendar --is-open), or a fault inside the program"},
    {TC_EXIT_USAGE, "the command line is wrong"},
    {TC_EXIT_CONFIG, "a configuration file, variable or value is wrong"},
    {TC_EXIT_DATA, "data or a file cannot be read or written (disk full included)"},
    {TC_EXIT_BUSY, "the port or the data folder is held by another program"},
    {TC_EXIT_NET, "the other side refused or went away"},
    {-1, NULL},
};

/* Prints text from column `at` on, broken at spaces, each further line indented. */
static void wrapped(const char *text, size_t at, size_t indent)
{
    while (*text) {
        size_t word = strcspn(text, " ");
        if (at > indent && at + word + 1 > WIDTH) {
            printf("\n%*s", (int)indent, "");
            at = indent;
        } else if (at > indent) {
            putchar(' ');
            at++;
        }
        printf("%.*s", (int)word, text);
        at += word;
        text += word;
        while (*text == ' ')
            text++;
    }
    putchar('\n');
}

void tc_help_flag(const struct tc_opt *o, struct tc_buf *out)
{
    char name[128];
    struct tc_buf flag;
    tc_buf_init_fixed(&flag, name, sizeof(name));
    tc_opt_flag_name(o, &flag);
    bool on = o->type == TC_OPT_BOOL && o->def && strcmp(o->def, "true") == 0;
    tc_buf_printf(out, "--%s%s", on ? "no-" : "", name + 2);
    if (o->choices) {
        for (size_t i = 0; o->choices[i]; i++)
            tc_buf_printf(out, "%c%s", i ? '|' : ' ', o->choices[i]);
    } else if (o->type != TC_OPT_BOOL) {
        tc_buf_printf(out, " %s", tc_opt_metavar(o));
    }
}

static void one_option(const struct tc_opt *o)
{
    char room[1024];
    struct tc_buf b;
    tc_buf_init_fixed(&b, room, sizeof(room));
    tc_buf_str(&b, "  ");
    tc_help_flag(o, &b);
    size_t at = b.len;
    fputs(room, stdout);
    if (at + 2 > INDENT) {
        printf("\n%*s", INDENT, "");
        at = INDENT;
    } else {
        printf("%*s", (int)(INDENT - at), "");
        at = INDENT;
    }
    tc_buf_clear(&b);
    bool on = o->type == TC_OPT_BOOL && o->def && strcmp(o->def, "true") == 0;
    tc_buf_printf(&b, "%s%s", on ? "do not " : "", o->doc);
    const char *def = o->def_doc ? o->def_doc : o->def;
    if (def && o->type != TC_OPT_BOOL)
        tc_buf_printf(&b, " [%s]", def);
    wrapped(room, at, INDENT);
}

static void section(const struct tc_opt_set *s, size_t g, const char *title, const char *name)
{
    size_t n = strlen(name);
    bool headed = false;
    for (size_t i = 0; i < s->groups[g].n; i++) {
        const struct tc_opt *o = &s->groups[g].opts[i];
        const char *dot = strchr(o->key, '.');
        size_t len = dot ? (size_t)(dot - o->key) : 0;
        if (len != n || strncmp(o->key, name, n) != 0 || (s->wanted && !s->wanted(o, s->wanted_arg)))
            continue;
        if (!headed)
            printf("\n%s:\n", title);
        headed = true;
        one_option(o);
    }
}

static tc_help_sink *diverted;
static void *diverted_arg;

void tc_help_divert(tc_help_sink *sink, void *arg)
{
    diverted = sink;
    diverted_arg = arg;
}

void tc_help_command(const struct tc_cli *cli, const struct tc_opt_set *s)
{
    if (diverted) {
        diverted(cli, s, diverted_arg);
        return;
    }
    static const char *const titles[][2] = {
        {"feed", "Feed"},    {"sim", "Simulated market"}, {"replay", "Replay"}, {"run", "Run"},
        {"data", "Data"},    {"forecast", "Forecasts"},   {"store", "Store"},   {"bus", "Log"},
        {"serve", "Server"}, {"log", "Messages"},
    };
    printf("Usage: tickcast %s %s\n\n", cli->command, cli->usage);
    wrapped(cli->about, 0, 0);
    if (s->n_groups > 1) {
        printf("\nFlags of this command:\n");
        for (size_t i = 0; i < s->groups[1].n; i++)
            one_option(&s->groups[1].opts[i]);
    }
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        section(s, 0, titles[i][1], titles[i][0]);
    section(s, 0, "Configuration", "");
    if (cli->sections)
        printf(
            "\nAll but the command's own flags can also be given as --SECTION.KEY, in the YAML file, or as\n"
            "TICKCAST_SECTION_KEY in the environment (`tickcast init` writes a file with every key).\n");
    if (cli->examples)
        printf("\nExamples:\n%s", cli->examples);
}

void tc_help_program(void)
{
    printf("tickcast: market data in, scored forecasts of the next seconds out, live on a page.\n\n"
           "Usage: tickcast COMMAND [FLAGS]\n\nCommands:\n");
    for (int i = 0; i < tc_commands_n; i++)
        printf("  %-10s %s\n", tc_commands[i].name, tc_commands[i].doc);
    printf("\n`tickcast COMMAND --help` explains a command and its flags. Without any configuration "
           "`tickcast run`\n"
           "shows a simulated market on http://127.0.0.1:8080; no key and no network are needed.\n"
           "\nExit codes:\n");
    for (const struct tc_exit_doc *d = tc_exit_docs; d->doc; d++)
        printf("  %d  %s\n", d->code, d->doc);
}
