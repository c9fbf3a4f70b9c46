/* Options as text: names, values, kinds of value. */
#include "base/clock.h"
#include "base/num.h"
#include "base/opt_parse.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

void tc_opt_flag_name(const struct tc_opt *o, struct tc_buf *out)
{
    tc_buf_str(out, "--");
    if (o->alias) {
        tc_buf_str(out, o->alias);
        return;
    }
    for (const char *p = o->key; *p; p++)
        tc_buf_char(out, *p == '_' ? '-' : *p);
    if (o->type == TC_OPT_SECRET)
        tc_buf_str(out, "-file");
}

void tc_opt_env_name(const char *prefix, const struct tc_opt *o, struct tc_buf *out)
{
    tc_buf_str(out, prefix);
    tc_buf_char(out, '_');
    for (const char *p = o->key; *p; p++)
        tc_buf_char(out, *p == '.' || *p == '-' ? '_' : (char)toupper((unsigned char)*p));
}

const char *tc_opt_metavar(const struct tc_opt *o)
{
    static const char *const names[] = {
        [TC_OPT_BOOL] = "BOOL",         [TC_OPT_INT] = "N",        [TC_OPT_DOUBLE] = "NUMBER",
        [TC_OPT_SIZE] = "SIZE",         [TC_OPT_STRING] = "TEXT",  [TC_OPT_PATH] = "PATH",
        [TC_OPT_ENUM] = "NAME",         [TC_OPT_LIST] = "A,B,...", [TC_OPT_DATE] = "YYYY-MM-DD",
        [TC_OPT_ADDRESS] = "HOST:PORT", [TC_OPT_SECRET] = "PATH",  [TC_OPT_DURATION] = "DURATION",
    };
    return names[o->type];
}

const char *tc_opt_type_doc(const struct tc_opt *o)
{
    static const char *const docs[] = {
        [TC_OPT_BOOL] = "true or false",
        [TC_OPT_INT] = "a whole number",
        [TC_OPT_DOUBLE] = "a number",
        [TC_OPT_SIZE] = "a size such as 4096, 64KiB or 1GB",
        [TC_OPT_STRING] = "a text",
        [TC_OPT_PATH] = "a path",
        [TC_OPT_ENUM] = "one of the named choices",
        [TC_OPT_LIST] = "a list such as A,B,C",
        [TC_OPT_DATE] = "a date such as 2013-10-07",
        [TC_OPT_ADDRESS] = "an address such as 127.0.0.1:8080 or [::1]:8080",
        [TC_OPT_SECRET] = "a secret",
        [TC_OPT_DURATION] = "a duration such as 500ms, 30s, 1h30m or 7d (the unit is needed)",
    };
    if (o->type == TC_OPT_DOUBLE && o->inf)
        return "a number such as 1, 10x or the word max";
    return docs[o->type];
}

struct unit {
    const char *name;
    int64_t size;
};

/* The largest unit that divides the value exactly. */
static void put_units(struct tc_buf *out, int64_t v, const struct unit *units, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v % units[i].size == 0 && (v || i == n - 1)) {
            tc_buf_int(out, v / units[i].size);
            tc_buf_str(out, v ? units[i].name : "");
            return;
        }
    }
}

static void put_list(struct tc_buf *out, const struct tc_opt_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            tc_buf_char(out, ',');
        tc_buf_str(out, l->items[i]);
    }
}

static void put_value(const struct tc_opt *o, const void *at, struct tc_buf *out)
{
    static const struct unit times[] = {{"d", 86400 * TC_NS_PER_SEC},
                                        {"h", 3600 * TC_NS_PER_SEC},
                                        {"m", 60 * TC_NS_PER_SEC},
                                        {"s", TC_NS_PER_SEC},
                                        {"ms", TC_NS_PER_MS},
                                        {"us", 1000},
                                        {"ns", 1}};
    static const struct unit sizes[] = {
        {"TiB", INT64_C(1) << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};
    const char *text = NULL;
    char date[12];
    switch (o->type) {
    case TC_OPT_BOOL:
        text = *(const bool *)at ? "true" : "false";
        break;
    case TC_OPT_INT:
        tc_buf_int(out, *(const int64_t *)at);
        break;
    case TC_OPT_DOUBLE:
        if (isinf(*(const double *)at))
            text = o->inf;
        else
            tc_buf_double(out, *(const double *)at);
        break;
    case TC_OPT_SIZE:
        put_units(out, *(const int64_t *)at, sizes, sizeof(sizes) / sizeof(sizes[0]));
        break;
    case TC_OPT_DURATION:
        put_units(out, *(const int64_t *)at, times, sizeof(times) / sizeof(times[0]));
        break;
    case TC_OPT_STRING:
    case TC_OPT_PATH:
        text = *(char *const *)at;
        break;
    case TC_OPT_ENUM:
        text = o->choices[*(const int *)at];
        break;
    case TC_OPT_LIST:
        put_list(out, at);
        break;
    case TC_OPT_DATE:
        text = *(const int32_t *)at ? tc_date_text(*(const int32_t *)at, date) : NULL;
        break;
    case TC_OPT_ADDRESS: {
        const struct tc_opt_address *a = at;
        bool v6 = strchr(a->host, ':') != NULL;
        tc_buf_printf(out, "%s%s%s:%d", v6 ? "[" : "", a->host, v6 ? "]" : "", a->port);
        break;
    }
    case TC_OPT_SECRET:
        text = ((const struct tc_opt_secret *)at)->value ? "(set)" : NULL;
        break;
    }
    if (text)
        tc_buf_str(out, text);
}

void tc_opt_value(const struct tc_opt_set *s, const struct tc_opt *o, struct tc_buf *out)
{
    struct tc_opt_place p = tc_opt_place(s, o->key);
    if (p.opt)
        put_value(o, p.at, out);
}
