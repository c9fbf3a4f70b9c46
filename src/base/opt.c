#include "base/opt.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "base/opt_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { LIST_MAX = 100000, TEXT_MAX = 1 << 20, SECRET_MAX = 4096 };

struct suffix {
    const char *text;
    double scale;
};

static const struct suffix time_suffixes[] = {
    {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9},
};
static const struct suffix size_suffixes[] = {
    {"", 1},     {"B", 1},    {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 0x1p30}, {"TiB", 0x1p40},
    {"KB", 1e3}, {"kB", 1e3}, {"MB", 1e6},     {"GB", 1e9},        {"TB", 1e12},
};

static size_t number_length(const char *s)
{
    size_t n = 0;
    while ((s[n] >= '0' && s[n] <= '9') || s[n] == '.')
        n++;
    return n;
}

/* Reads "NUMBER SUFFIX" and moves *s behind it. */
static bool parse_scaled(const char **s, const struct suffix *table, size_t n_table, double *out)
{
    size_t digits = number_length(*s);
    double v;
    if (!tc_parse_double(*s, digits, &v))
        return false;
    const char *name = *s + digits;
    size_t n = 0;
    while ((name[n] >= 'a' && name[n] <= 'z') || (name[n] >= 'A' && name[n] <= 'Z'))
        n++;
    for (size_t i = 0; i < n_table; i++) {
        if (strlen(table[i].text) == n && strncmp(table[i].text, name, n) == 0) {
            *out = v * table[i].scale;
            *s = name + n;
            return true;
        }
    }
    return false;
}

static bool to_int64(double v, int64_t *out)
{
    if (!(v >= 0 && v < 9.2e18))
        return false;
    *out = llround(v);
    return true;
}

bool tc_opt_parse_duration(const char *s, int64_t *out)
{
    if (strcmp(s, "0") == 0) {
        *out = 0;
        return true;
    }
    double sum = 0;
    do {
        double v;
        if (!parse_scaled(&s, time_suffixes, sizeof(time_suffixes) / sizeof(time_suffixes[0]), &v))
            return false;
        sum += v;
    } while (*s);
    return to_int64(sum, out);
}

bool tc_opt_parse_size(const char *s, int64_t *out)
{
    double v;
    if (!parse_scaled(&s, size_suffixes, sizeof(size_suffixes) / sizeof(size_suffixes[0]), &v))
        return false;
    return *s == '\0' && to_int64(v, out);
}

bool tc_opt_parse_bool(const char *s, bool *out)
{
    static const char *const words[][2] = {{"true", "false"}, {"yes", "no"}, {"on", "off"}, {"1", "0"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (int no = 0; no < 2; no++) {
            if (strcasecmp(s, words[i][no]) == 0) {
                *out = no == 0;
                return true;
            }
        }
    }
    return false;
}

bool tc_opt_parse_date(const char *s, int32_t *out)
{
    char digits[9];
    size_t n = strlen(s);
    if (n == 10 && s[4] == '-' && s[7] == '-')
        snprintf(digits, sizeof(digits), "%.4s%.2s%.2s", s, s + 5, s + 8);
    else if (n == 8)
        memcpy(digits, s, 9);
    else
        return false;
    if (strspn(digits, "0123456789") != 8)
        return false;
    int64_t v;
    if (!tc_parse_int(digits, 8, &v) || v < 19000101 || v > 21001231)
        return false;
    if (tc_date_from_days(tc_days_from_date((int32_t)v)) != v)
        return false;
    *out = (int32_t)v;
    return true;
}

bool tc_opt_parse_address(const char *s, struct tc_opt_address *out)
{
    const char *colon = strrchr(s, ':');
    if (!colon || colon == s)
        return false;
    size_t n = (size_t)(colon - s);
    bool bracket = s[0] == '[' && colon[-1] == ']';
    if (bracket)
        s++, n -= 2;
    else if (memchr(s, ':', n))
        return false; /* an IPv6 address needs its brackets */
    if (n == 0 || n >= sizeof(out->host))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%", s[i]))
            return false;
    }
    int64_t port;
    size_t port_n = strlen(colon + 1);
    if (port_n > 5 || strspn(colon + 1, "0123456789") != port_n || !tc_parse_int(colon + 1, port_n, &port) ||
        port > 65535)
        return false;
    memcpy(out->host, s, n);
    out->host[n] = '\0';
    out->port = (int32_t)port;
    return true;
}

/* The number behind a text, for values and for bounds alike. */
static bool parse_number(const struct tc_opt *o, const char *s, double *as_double, int64_t *as_int)
{
    size_t n = strlen(s);
    bool ok;
    switch (o->type) {
    case TC_OPT_INT:
        ok = tc_parse_int(s, n, as_int);
        break;
    case TC_OPT_SIZE:
        ok = tc_opt_parse_size(s, as_int);
        break;
    case TC_OPT_DURATION:
        ok = tc_opt_parse_duration(s, as_int);
        break;
    default:
        if (o->inf && strcmp(s, o->inf) == 0) {
            *as_double = INFINITY;
            return true;
        }
        if (o->unit && n > strlen(o->unit) && strcmp(s + n - strlen(o->unit), o->unit) == 0)
            n -= strlen(o->unit);
        return tc_parse_double(s, n, as_double);
    }
    *as_double = (double)*as_int;
    return ok;
}

static int set_number(const struct tc_opt *o, void *at, const char *text, const char *where)
{
    double v, bound;
    int64_t i = 0, unused = 0;
    if (!parse_number(o, text, &v, &i))
        return tc_fail(TC_ECONF, "%s: %s: \"%.60s\" is not %s", where, o->key, text, tc_opt_type_doc(o));
    if (o->min && parse_number(o, o->min, &bound, &unused) && v < bound)
        return tc_fail(TC_ECONF, "%s: %s: %.60s is below the smallest value, %s", where, o->key, text,
                       o->min);
    if (o->max && parse_number(o, o->max, &bound, &unused) && v > bound)
        return tc_fail(TC_ECONF, "%s: %s: %.60s is above the largest value, %s", where, o->key, text, o->max);
    if (o->type == TC_OPT_DOUBLE)
        *(double *)at = v;
    else
        *(int64_t *)at = i;
    return TC_OK;
}

static int set_enum(const struct tc_opt *o, int *at, const char *text, const char *where)
{
    char all[256];
    struct tc_buf list;
    tc_buf_init_fixed(&list, all, sizeof(all));
    size_t n = 0;
    for (; o->choices[n]; n++) {
        if (strcmp(o->choices[n], text) == 0) {
            *at = (int)n;
            return TC_OK;
        }
        tc_buf_printf(&list, "%s%s", n ? ", " : "", o->choices[n]);
    }
    const char *near = tc_opt_nearest(text, o->choices, n);
    return tc_fail(TC_ECONF, "%s: %s: \"%.60s\" is none of: %s%s%s%s", where, o->key, text, all,
                   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int no_memory(const char *where)
{
    return tc_fail(TC_ENOMEM, "%s: no memory", where);
}

static int set_string(const struct tc_opt *o, char **at, const char *text, const char *where)
{
    const char *home = getenv("HOME");
    bool tilde = o->type == TC_OPT_PATH && text[0] == '~' && (text[1] == '/' || text[1] == '\0') && home;
    size_t head = tilde ? strlen(home) : 0;
    size_t tail = strlen(text) - (tilde ? 1 : 0);
    if (o->type == TC_OPT_PATH && head + tail >= PATH_MAX)
        return tc_fail(TC_ECONF, "%s: %s: the path is longer than %d bytes", where, o->key, PATH_MAX - 1);
    char *copy = NULL;
    if (head + tail) { /* "" means not set */
        copy = malloc(head + tail + 1);
        if (!copy)
            return no_memory(where);
        if (tilde)
            memcpy(copy, home, head);
        memcpy(copy + head, text + (tilde ? 1 : 0), tail + 1);
    }
    free(*at);
    *at = copy;
    return TC_OK;
}

static void list_clear(struct tc_opt_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i]);
    free(l->items);
    *l = (struct tc_opt_list){0};
}

/* Adds the comma separated items of text. */
static int list_add(const struct tc_opt *o, struct tc_opt_list *l, const char *text, const char *where)
{
    while (*text) {
        size_t n = strcspn(text, ",");
        const char *next = text[n] ? text + n + 1 : text + n;
        while (n && *text == ' ')
            text++, n--;
        while (n && text[n - 1] == ' ')
            n--;
        if (n == 0)
            return tc_fail(TC_ECONF, "%s: %s: an item of the list is empty", where, o->key);
        if (l->n >= LIST_MAX)
            return tc_fail(TC_ECONF, "%s: %s: more than %d items", where, o->key, LIST_MAX);
        if ((l->n & (l->n - 1)) == 0) { /* room for twice as many at each power of two */
            char **items = realloc(l->items, (l->n ? l->n * 2 : 1) * sizeof(*items));
            if (!items)
                return no_memory(where);
            l->items = items;
        }
        char *item = strndup(text, n);
        if (!item)
            return no_memory(where);
        l->items[l->n++] = item;
        int which, rc = o->choices ? set_enum(o, &which, item, where) : TC_OK;
        if (rc)
            return rc;
        text = next;
    }
    return TC_OK;
}

static void secret_clear(struct tc_opt_secret *s)
{
    if (s->value)
        explicit_bzero(s->value, strlen(s->value));
    free(s->value);
    free(s->file);
    *s = (struct tc_opt_secret){0};
}

int tc_opt_secret_file(const struct tc_opt *o, struct tc_opt_secret *s, const char *path, const char *where)
{
    char text[SECRET_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
    int e = errno;
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return tc_fail(TC_ECONF, "%s: %s_file: cannot read %s: %s", where, o->key, path, strerror(e));
    while (n > 0 && strchr("\r\n\t ", text[n - 1]))
        n--;
    if (n == 0 || n == (ssize_t)sizeof(text) || memchr(text, '\0', (size_t)n)) {
        explicit_bzero(text, sizeof(text));
        return tc_fail(TC_ECONF, "%s: %s_file: %s must hold one line of 1 to %d bytes", where, o->key, path,
                       SECRET_MAX - 1);
    }
    secret_clear(s);
    s->value = strndup(text, (size_t)n);
    s->file = strdup(path);
    explicit_bzero(text, sizeof(text));
    return s->value && s->file ? TC_OK : no_memory(where);
}

static int set_secret(struct tc_opt_secret *s, const char *text, const char *where)
{
    secret_clear(s);
    s->value = *text ? strdup(text) : NULL;
    return s->value || !*text ? TC_OK : no_memory(where);
}

int tc_opt_write(const struct tc_opt *o, void *at, const char *text, bool add, const char *where)
{
    if (strlen(text) > TEXT_MAX)
        return tc_fail(TC_ECONF, "%s: %s: the value is too long", where, o->key);
    bool ok = true;
    switch (o->type) {
    case TC_OPT_BOOL:
        ok = tc_opt_parse_bool(text, at);
        break;
    case TC_OPT_DATE:
        ok = tc_opt_parse_date(text, at);
        break;
    case TC_OPT_ADDRESS:
        ok = tc_opt_parse_address(text, at);
        break;
    case TC_OPT_ENUM:
        return set_enum(o, at, text, where);
    case TC_OPT_STRING:
    case TC_OPT_PATH:
        return set_string(o, at, text, where);
    case TC_OPT_LIST:
        if (!add)
            list_clear(at);
        return list_add(o, at, text, where);
    case TC_OPT_SECRET:
        return set_secret(at, text, where);
    default:
        return set_number(o, at, text, where);
    }
    if (!ok)
        return tc_fail(TC_ECONF, "%s: %s: \"%.60s\" is not %s", where, o->key, text, tc_opt_type_doc(o));
    return TC_OK;
}

static void clear(const struct tc_opt *o, void *at)
{
    static const size_t sizes[] = {
        [TC_OPT_BOOL] = sizeof(bool),
        [TC_OPT_INT] = sizeof(int64_t),
        [TC_OPT_DOUBLE] = sizeof(double),
        [TC_OPT_SIZE] = sizeof(int64_t),
        [TC_OPT_DURATION] = sizeof(int64_t),
        [TC_OPT_STRING] = sizeof(char *),
        [TC_OPT_PATH] = sizeof(char *),
        [TC_OPT_ENUM] = sizeof(int),
        [TC_OPT_LIST] = sizeof(struct tc_opt_list),
        [TC_OPT_DATE] = sizeof(int32_t),
        [TC_OPT_ADDRESS] = sizeof(struct tc_opt_address),
        [TC_OPT_SECRET] = sizeof(struct tc_opt_secret),
    };
    memset(at, 0, sizes[o->type]);
}

int tc_opt_open(struct tc_opt_set *s)
{
    for (size_t g = 0; g < s->n_groups; g++) { /* all of it before anything can fail: release relies on it */
        s->groups[g].from = NULL;
        for (size_t i = 0; i < s->groups[g].n; i++)
            clear(&s->groups[g].opts[i], (char *)s->groups[g].target + s->groups[g].opts[i].at);
    }
    for (size_t g = 0; g < s->n_groups; g++) {
        struct tc_opt_group *group = &s->groups[g];
        group->from = calloc(group->n, sizeof(*group->from));
        if (!group->from)
            return no_memory("options");
        for (size_t i = 0; i < group->n; i++) {
            const struct tc_opt *o = &group->opts[i];
            if (!o->def)
                continue;
            int rc = tc_opt_write(o, (char *)group->target + o->at, o->def, false, "default");
            if (rc)
                return rc;
        }
    }
    return TC_OK;
}

void tc_opt_release(struct tc_opt_set *s)
{
    for (size_t g = 0; g < s->n_groups; g++) {
        struct tc_opt_group *group = &s->groups[g];
        for (size_t i = 0; i < group->n; i++) {
            const struct tc_opt *o = &group->opts[i];
            void *at = (char *)group->target + o->at;
            if (o->type == TC_OPT_STRING || o->type == TC_OPT_PATH) {
                free(*(char **)at);
                *(char **)at = NULL;
            } else if (o->type == TC_OPT_LIST) {
                list_clear(at);
            } else if (o->type == TC_OPT_SECRET) {
                secret_clear(at);
            }
        }
        free(group->from);
        group->from = NULL;
    }
}

struct tc_opt_place tc_opt_place(const struct tc_opt_set *s, const char *key)
{
    for (size_t g = 0; g < s->n_groups; g++) {
        const struct tc_opt_group *group = &s->groups[g];
        for (size_t i = 0; i < group->n; i++) {
            const struct tc_opt *o = &group->opts[i];
            size_t n = strlen(o->key);
            bool exact = strcmp(o->key, key) == 0;
            bool file = o->type == TC_OPT_SECRET && strncmp(o->key, key, n) == 0 && !strcmp(key + n, "_file");
            if (exact || file)
                return (struct tc_opt_place){o, (char *)group->target + o->at, &group->from[i], file};
        }
    }
    return (struct tc_opt_place){0};
}

int tc_opt_place_set(struct tc_opt_place *p, const char *text, struct tc_opt_from from, const char *where)
{
    int rc;
    if (p->file)
        rc = tc_opt_secret_file(p->opt, p->at, text, where);
    else if (p->opt->type == TC_OPT_SECRET && from.source != TC_OPT_ENV)
        return tc_fail(TC_ECONF,
                       "%s: %s: a secret comes from the environment or from the file named by %s_file", where,
                       p->opt->key, p->opt->key);
    else
        rc = tc_opt_write(p->opt, p->at, text, from.source == TC_OPT_FLAG && p->from->source == TC_OPT_FLAG,
                          where);
    if (!rc)
        *p->from = from;
    return rc;
}

int tc_opt_set_text(struct tc_opt_set *s, const char *key, const char *text, const char *where)
{
    struct tc_opt_place p = tc_opt_place(s, key);
    if (!p.opt)
        return tc_opt_unknown(s, key, where);
    return tc_opt_place_set(&p, text, (struct tc_opt_from){TC_OPT_DEFAULT, 0}, where);
}

const struct tc_opt *tc_opt_find(const struct tc_opt_set *s, const char *key, struct tc_opt_from *from)
{
    struct tc_opt_place p = tc_opt_place(s, key);
    if (p.opt && from)
        *from = *p.from;
    return p.opt;
}
