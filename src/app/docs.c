#include "app/docs.h"
#include "app/config.h"

#include <string.h>

static void yaml_option(const struct tc_opt *o, const char *name, struct tc_buf *out)
{
    tc_buf_printf(out, "\n  # %s", o->doc);
    if (o->type == TC_OPT_ENUM) {
        for (size_t i = 0; o->choices[i]; i++)
            tc_buf_printf(out, "%s%s", i ? ", " : " (", o->choices[i]);
        tc_buf_char(out, ')');
    }
    if (o->min || o->max)
        tc_buf_printf(out, " (%s%s%s%s)", o->min ? "from " : "", o->min ? o->min : "", o->max ? " to " : "",
                      o->max ? o->max : "");
    if (o->type == TC_OPT_SECRET)
        tc_buf_printf(out,
                      "\n  # The value itself comes only from the environment; here stands a file's name.");
    if (!o->def && o->def_doc)
        tc_buf_printf(out, "\n  # When not set: %s.", o->def_doc);
    tc_buf_printf(out, "\n  #%s%s: %s\n", name, o->type == TC_OPT_SECRET ? "_file" : "",
                  o->def ? o->def : "");
}

void tc_docs_yaml(struct tc_buf *out)
{
    char section[32] = "";
    tc_buf_str(
        out,
        "# Configuration of tickcast. Every key stands here with its default; remove the # to change it.\n"
        "# Flags (--section.key) and the environment (TICKCAST_SECTION_KEY) win over this file.\n");
    for (size_t i = 0; i < tc_config_opts_n; i++) {
        const struct tc_opt *o = &tc_config_opts[i];
        const char *dot = strchr(o->key, '.');
        if (!dot)
            continue;
        size_t n = (size_t)(dot - o->key);
        if (strlen(section) != n || strncmp(section, o->key, n) != 0) {
            memcpy(section, o->key, n);
            section[n] = '\0';
            tc_buf_printf(out, "\n%s:\n", section);
        }
        yaml_option(o, dot + 1, out);
    }
}
