/* Options from flags and environment, and the nearest name for a slip of the fingers. */
#include "base/err.h"
#include "base/opt_parse.h"

#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 64, NAMES_MAX = 512, NAME_ROOM = 32768 };

/* Edit distance with neighbours swapped counting as one (Damerau, in its restricted form). */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n >= WORD_MAX || m >= WORD_MAX)
        return WORD_MAX;
    unsigned char d[3][WORD_MAX + 1];
    for (size_t j = 0; j <= m; j++)
        d[0][j] = (unsigned char)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned char *row = d[i % 3], *up = d[(i - 1) % 3], *up2 = d[(i + 1) % 3];
        row[0] = (unsigned char)i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1u < best)
                best = up[j] + 1u;
            if (row[j - 1] + 1u < best)
                best = row[j - 1] + 1u;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && up2[j - 2] + 1u < best)
                best = up2[j - 2] + 1u;
            row[j] = (unsigned char)best;
        }
    }
    return d[n % 3][m];
}

const char *tc_opt_nearest(const char *word, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    size_t best_d = strlen(word) / 3 + 1; /* one slip for each three letters begun */
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, candidates[i]);
        if (d < best_d || (d == best_d && !best)) {
            best = candidates[i];
            best_d = d;
        }
    }
    return best;
}

int tc_opt_unknown(const struct tc_opt_set *s, const char *key, const char *where)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (size_t g = 0; g < s->n_groups; g++)
        for (size_t i = 0; i < s->groups[g].n && n < NAMES_MAX; i++)
            if (strchr(s->groups[g].opts[i].key, '.'))
                names[n++] = s->groups[g].opts[i].key;
    const char *near = tc_opt_nearest(key, names, n);
    return tc_fail(TC_ECONF, "%s: %.80s: unknown key%s%s%s", where, key, near ? "; did you mean " : "",
                   near ? near : "", near ? "?" : "");
}

static bool same_name(const char *flag, const char *name)
{
    for (; *flag && *name; flag++, name++) {
        bool dash = (*flag == '-' || *flag == '_') && (*name == '-' || *name == '_');
        if (*flag != *name && !dash)
            return false;
    }
    return *flag == *name;
}

/* Is the flag KEY_file of a secret? */
static bool is_secret_file(const struct tc_opt *o, const char *flag)
{
    char file[WORD_MAX + 8];
    snprintf(file, sizeof(file), "%s_file", o->key);
    return o->type == TC_OPT_SECRET && same_name(flag, file);
}

static bool matches(const struct tc_opt *o, const char *flag)
{
    return is_secret_file(o, flag) || same_name(flag, o->key) || (o->alias && same_name(flag, o->alias));
}

/* The option of a flag's name (no dashes, no value); *negated for --no-NAME of a bool. */
/* A flag that this command wants goes before one of the same name that it does not (show --from,
 * replay.from). */
static struct tc_opt_place find_flag(const struct tc_opt_set *s, const char *name, bool *negated)
{
    struct tc_opt_place unwanted = {0};
    *negated = false;
    for (int no = 0; no < 2; no++) {
        for (size_t g = s->n_groups; g-- > 0;) { /* the command's own flags first */
            const struct tc_opt_group *group = &s->groups[g];
            for (size_t i = 0; i < group->n; i++) {
                const struct tc_opt *o = &group->opts[i];
                if (!matches(o, name) || (no && o->type != TC_OPT_BOOL))
                    continue;
                *negated = no == 1;
                struct tc_opt_place p = {o, (char *)group->target + o->at, &group->from[i],
                                         is_secret_file(o, name)};
                if (!s->wanted || s->wanted(o, s->wanted_arg))
                    return p;
                unwanted = p;
            }
        }
        if (strncmp(name, "no-", 3) != 0)
            break;
        name += 3;
    }
    return unwanted;
}

static int unknown_flag(const struct tc_opt_set *s, const char *name)
{
    char room[NAME_ROOM];
    struct tc_buf text;
    tc_buf_init_fixed(&text, room, sizeof(room));
    const char *names[NAMES_MAX];
    size_t n = 0;
    static const char *const always[] = {"help", "config"};
    for (size_t i = 0; i < 2; i++)
        names[n++] = always[i];
    for (size_t g = 0; g < s->n_groups; g++) {
        for (size_t i = 0; i < s->groups[g].n && n + 2 < NAMES_MAX; i++) {
            const struct tc_opt *o = &s->groups[g].opts[i];
            if (s->wanted && !s->wanted(o, s->wanted_arg))
                continue;
            if (o->alias) {
                names[n++] = room + text.len;
                tc_buf_printf(&text, "%s%s", o->type == TC_OPT_BOOL && o->def && *o->def == 't' ? "no-" : "",
                              o->alias);
                tc_buf_char(&text, '\0');
            }
            names[n++] = room + text.len;
            for (const char *p = o->key; *p; p++)
                tc_buf_char(&text, *p == '_' ? '-' : *p);
            tc_buf_char(&text, '\0');
        }
    }
    const char *near = text.overflow ? NULL : tc_opt_nearest(name, names, n);
    return tc_fail(TC_EUSAGE, "--%.60s: unknown flag%s%s%s", name, near ? "; did you mean --" : "",
                   near ? near : "", near ? "?" : " (--help lists them)");
}

static int one_flag(struct tc_opt_set *s, const char *flag, const char *next, bool *took_next)
{
    char name[WORD_MAX], where[WORD_MAX + 4];
    size_t n = strcspn(flag + 2, "=");
    const char *value = flag[2 + n] == '=' ? flag + 3 + n : NULL;
    snprintf(name, sizeof(name), "%.*s", (int)n, flag + 2);
    bool negated;
    struct tc_opt_place p = n < WORD_MAX ? find_flag(s, name, &negated) : (struct tc_opt_place){0};
    if (!p.opt)
        return unknown_flag(s, name);
    if (s->wanted && !s->wanted(p.opt, s->wanted_arg))
        return tc_fail(TC_EUSAGE, "--%s: this command has no use for that flag (--help lists those it takes)",
                       name);
    *took_next = false;
    if (p.opt->type == TC_OPT_BOOL) {
        if (negated && value)
            return tc_fail(TC_EUSAGE, "--%s takes no value", name);
        value = value ? value : negated ? "false" : "true";
    } else if (!value) {
        if (!next || strncmp(next, "--", 2) == 0)
            return tc_fail(TC_EUSAGE, "--%s needs a value: %s", name, tc_opt_metavar(p.opt));
        value = next;
        *took_next = true;
    }
    snprintf(where, sizeof(where), "--%s", name);
    int rc = tc_opt_place_set(&p, value, (struct tc_opt_from){TC_OPT_FLAG, 0}, where);
    return rc == TC_ECONF ? TC_EUSAGE : rc;
}

int tc_opt_args(struct tc_opt_set *s, int argc, char *const *argv)
{
    bool plain = false;
    s->n_args = 0;
    for (int i = 1; i < argc; i++) {
        if (!plain && strcmp(argv[i], "--") == 0) {
            plain = true;
        } else if (!plain && strncmp(argv[i], "--", 2) == 0) {
            bool took_next = false;
            int rc = one_flag(s, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &took_next);
            if (rc)
                return rc;
            i += took_next;
        } else if (!plain && argv[i][0] == '-' && argv[i][1]) {
            return tc_fail(TC_EUSAGE, "%.60s: unknown flag; flags begin with two dashes (--help lists them)",
                           argv[i]);
        } else if (s->n_args == TC_OPT_ARGS_MAX) {
            return tc_fail(TC_EUSAGE, "more than %d arguments", TC_OPT_ARGS_MAX);
        } else {
            s->args[s->n_args++] = argv[i];
        }
    }
    return TC_OK;
}

/* How a variable's name fits an option's: 0 = it is that, 1 or 2 = slips of the fingers; `file` is set for
 * NAME_FILE of a secret. */
static size_t variable_fits(const struct tc_opt_set *s, const struct tc_opt *o, const char *name, bool *file,
                            struct tc_buf *want)
{
    *file = false;
    tc_buf_clear(want);
    tc_opt_env_name(s->prefix, o, want);
    if (o->type == TC_OPT_SECRET && strncmp(name, want->data, want->len) == 0 &&
        !strcmp(name + want->len, "_FILE")) {
        *file = true;
        return 0;
    }
    return distance(want->data, name);
}

/* Sets the option whose variable is `name`; a name that differs from one in one or two letters is an error.
 */
static int one_variable(struct tc_opt_set *s, const char *name, const char *value)
{
    char room[WORD_MAX * 2], near[WORD_MAX * 2] = "";
    struct tc_buf want;
    tc_buf_init_fixed(&want, room, sizeof(room));
    for (size_t g = 0; g < s->n_groups; g++) {
        for (size_t i = 0; i < s->groups[g].n; i++) {
            const struct tc_opt *o = &s->groups[g].opts[i];
            bool file;
            size_t d = strchr(o->key, '.') ? variable_fits(s, o, name, &file, &want) : WORD_MAX;
            if (d == 0) {
                struct tc_opt_place p = tc_opt_place(s, o->key);
                p.file = file;
                return tc_opt_place_set(&p, value, (struct tc_opt_from){TC_OPT_ENV, 0}, name);
            }
            if (d <= 2)
                snprintf(near, sizeof(near), "%s", room);
        }
    }
    return *near ? tc_fail(TC_ECONF, "environment: %s is no option; did you mean %s?", name, near) : TC_OK;
}

int tc_opt_env(struct tc_opt_set *s, char *const *env)
{
    size_t n = strlen(s->prefix);
    for (; *env; env++) {
        const char *equals = strchr(*env, '=');
        if (strncmp(*env, s->prefix, n) != 0 || (*env)[n] != '_' || !equals)
            continue;
        char name[WORD_MAX * 2];
        snprintf(name, sizeof(name), "%.*s", (int)(equals - *env), *env);
        int rc = one_variable(s, name, equals + 1);
        if (rc)
            return rc;
    }
    return TC_OK;
}
