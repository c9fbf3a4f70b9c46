#include "app/docs.h"
#include "app/command.h"
#include "app/help.h"

#include <string.h>

static const char *const section_docs[][2] = {
    {"feed", "Where the market comes from."},
    {"sim", "The simulated market."},
    {"replay", "Replay of files."},
    {"run", "When the program stops."},
    {"data", "Where everything is kept."},
    {"forecast", "Forecasts and models."},
    {"store", "The database."},
    {"bus", "The log between the parts of the program."},
    {"serve", "The page and the API."},
    {"log", "Messages on stderr."},
};

static void put_choices(const struct tc_opt *o, const char *between, struct tc_buf *out)
{
    for (size_t i = 0; o->choices[i]; i++)
        tc_buf_printf(out, "%s%s", i ? between : "", o->choices[i]);
}

/* "from 1 to 10" */
static void put_bounds(const struct tc_opt *o, struct tc_buf *out)
{
    if (o->min)
        tc_buf_printf(out, "from %s", o->min);
    if (o->max)
        tc_buf_printf(out, "%sto %s", o->min ? " " : "", o->max);
}

/* Calls back with each option that has a section; *new_section at the first of one. */
static void each_key(void (*fn)(const struct tc_opt *o, const char *name, bool new_section,
                                struct tc_buf *out),
                     struct tc_buf *out)
{
    const char *before = "";
    size_t before_n = 0;
    for (size_t i = 0; i < tc_config_opts_n; i++) {
        const struct tc_opt *o = &tc_config_opts[i];
        const char *dot = strchr(o->key, '.');
        if (!dot)
            continue;
        size_t n = (size_t)(dot - o->key);
        bool same = n == before_n && strncmp(before, o->key, n) == 0;
        fn(o, dot + 1, !same, out);
        before = o->key;
        before_n = n;
    }
}

static void put_section(const struct tc_opt *o, struct tc_buf *out)
{
    tc_buf_put(out, o->key, strcspn(o->key, "."));
}

static void yaml_key(const struct tc_opt *o, const char *name, bool new_section, struct tc_buf *out)
{
    if (new_section) {
        tc_buf_char(out, '\n');
        put_section(o, out);
        tc_buf_str(out, ":\n");
    }
    tc_buf_printf(out, "\n  # %s", o->doc);
    if (o->choices) {
        tc_buf_str(out, " (");
        put_choices(o, ", ", out);
        tc_buf_char(out, ')');
    }
    if (o->min || o->max) {
        tc_buf_str(out, " (");
        put_bounds(o, out);
        tc_buf_char(out, ')');
    }
    if (o->type == TC_OPT_SECRET)
        tc_buf_str(out, "\n  # The value itself comes only from the environment; here stands a file's name.");
    if (o->def_doc)
        tc_buf_printf(out, "\n  # When not set: %s.", o->def_doc);
    tc_buf_printf(out, "\n  #%s%s:%s%s\n", name, o->type == TC_OPT_SECRET ? "_file" : "", o->def ? " " : "",
                  o->def ? o->def : "");
}

void tc_docs_yaml(struct tc_buf *out)
{
    tc_buf_str(
        out,
        "# Configuration of tickcast. Every key stands here with its default; remove the # to change it.\n"
        "# Flags (--section.key) and the environment (TICKCAST_SECTION_KEY) win over this file.\n");
    each_key(yaml_key, out);
}

/* --- docs/configuration.md ---------------------------------------------------------------------------------
 */

static void markdown_key(const struct tc_opt *o, const char *name, bool new_section, struct tc_buf *out)
{
    (void)name;
    if (new_section) {
        tc_buf_str(out, "\n## ");
        put_section(o, out);
        tc_buf_str(out, "\n\n");
        for (size_t i = 0; i < sizeof(section_docs) / sizeof(section_docs[0]); i++)
            if (strcspn(o->key, ".") == strlen(section_docs[i][0]) &&
                strncmp(o->key, section_docs[i][0], strlen(section_docs[i][0])) == 0)
                tc_buf_printf(out, "%s\n\n", section_docs[i][1]);
        tc_buf_str(out, "| key | flag | value | default | meaning |\n|---|---|---|---|---|\n");
    }
    const char *file = o->type == TC_OPT_SECRET ? "_file" : "";
    tc_buf_printf(out, "| `%s%s` | `", o->key, file);
    struct tc_buf flag;
    char room[256];
    tc_buf_init_fixed(&flag, room, sizeof(room));
    tc_help_flag(o, &flag);
    tc_buf_put(out, room, strcspn(room, " "));
    tc_buf_str(out, "` | ");
    if (o->choices)
        put_choices(o, ", ", out);
    else
        tc_buf_printf(out, "%s", o->type == TC_OPT_BOOL ? "true, false" : tc_opt_metavar(o));
    if (o->min || o->max) {
        tc_buf_str(out, ", ");
        put_bounds(o, out);
    }
    const char *def = o->def_doc ? o->def_doc : o->def ? o->def : "";
    tc_buf_printf(out, " | %s | %s |\n", def, o->doc);
}

void tc_docs_configuration(struct tc_buf *out)
{
    tc_buf_str(out, "# Configuration\n\n"
                    "This page is made from the option table by `script/gen-docs`; do not edit it.\n\n"
                    "Later sources win: defaults, the YAML file (`--config FILE`, `TICKCAST_CONFIG`, else\n"
                    "`XDG_CONFIG_HOME/tickcast/tickcast.yaml` when it is there), the environment, flags. "
                    "`tickcast init` writes the\n"
                    "file with every key as a comment; `tickcast doctor` shows which values are in force and "
                    "where they come from.\n\n"
                    "A key `section.name` stands in YAML as `name` below `section:`; its flag is "
                    "`--section.name` (or the short one of\n"
                    "the tables), its variable `TICKCAST_SECTION_NAME`. An unknown key, flag or variable is "
                    "an error that names the\n"
                    "nearest known one, with file, line and column. Durations need a unit (`500ms`, `30s`, "
                    "`1h30m`, `7d`), sizes may\n"
                    "have one (`64KiB`, `1GB`). Secrets come from the environment or from a file named by "
                    "`KEY_file`, never from an\n"
                    "argument, and are never shown.\n");
    each_key(markdown_key, out);
    tc_buf_str(out, "\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (const struct tc_exit_doc *d = tc_exit_docs; d->doc; d++)
        tc_buf_printf(out, "| %d | %s |\n", d->code, d->doc);
}
