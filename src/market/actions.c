#include "market/actions.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "market/symtab.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 256, ACTIONS_MAX = 200000, FIELDS = 4 };

struct action {
    char symbol[TC_SYMBOL_SIZE], old[TC_SYMBOL_SIZE]; /* old: "" for a split */
    int32_t day;
    double ratio;
};

struct tc_actions {
    struct action *at; /* by symbol, then day */
    size_t n, cap;
};

static int complain(const char *path, int line, const char *what)
{
    return tc_fail(TC_EINPUT, "%s:%d: %s", path, line, what);
}

static bool parse_day(const char *s, int32_t *out)
{
    int64_t y, m, d;
    if (strlen(s) != 10 || s[4] != '-' || s[7] != '-' || !tc_parse_int(s, 4, &y) ||
        !tc_parse_int(s + 5, 2, &m) || !tc_parse_int(s + 8, 2, &d) || y < 1900 || m < 1 || m > 12 || d < 1 ||
        d > 31)
        return false;
    *out = (int32_t)(y * 10000 + m * 100 + d);
    return tc_date_from_days(tc_days_from_date(*out)) == *out;
}

/* "4", "1.5" or "1/8" */
static bool parse_ratio(const char *s, double *out)
{
    const char *slash = strchr(s, '/');
    size_t n = slash ? (size_t)(slash - s) : strlen(s);
    double top, bottom = 1;
    if (!tc_parse_double(s, n, &top) || (slash && !tc_parse_double(slash + 1, strlen(slash + 1), &bottom)))
        return false;
    *out = top / bottom;
    return top > 0 && bottom > 0 && *out >= 1e-4 && *out <= 1e4 && *out != 1;
}

/* Cuts at commas and takes blanks off; false unless there are exactly FIELDS. */
static bool cut(char *line, char *fields[FIELDS])
{
    for (int i = 0; i < FIELDS; i++) {
        char *comma = strchr(line, ',');
        if ((comma != NULL) != (i < FIELDS - 1))
            return false;
        if (comma)
            *comma = '\0';
        line += strspn(line, " \t");
        size_t n = strlen(line);
        while (n && (line[n - 1] == ' ' || line[n - 1] == '\t'))
            line[--n] = '\0';
        fields[i] = line;
        line = comma ? comma + 1 : line;
    }
    return true;
}

static const char *parse_line(char *line, struct action *out)
{
    char *f[FIELDS];
    *out = (struct action){.ratio = 1};
    if (!cut(line, f))
        return "expected symbol,day,action,value";
    if (!tc_symbol_valid(f[0]))
        return "that is no symbol";
    if (!parse_day(f[1], &out->day))
        return "the day must be written yyyy-mm-dd";
    snprintf(out->symbol, sizeof(out->symbol), "%s", f[0]);
    if (!strcmp(f[2], "split"))
        return parse_ratio(f[3], &out->ratio) ? NULL
                                              : "the value of a split is new shares for one old: 4, 1.5, 1/8";
    if (strcmp(f[2], "was") != 0)
        return "the action must be split or was";
    if (!tc_symbol_valid(f[3]) || !strcmp(f[3], f[0]))
        return "the value of was is the symbol's old name";
    snprintf(out->old, sizeof(out->old), "%s", f[3]);
    return NULL;
}

static int add(struct tc_actions *a, const struct action *x, const char *path, int line)
{
    if (a->n == ACTIONS_MAX)
        return tc_fail(TC_ELIMIT, "%s:%d: more than %d actions", path, line, ACTIONS_MAX);
    if (a->n == a->cap) {
        size_t cap = a->cap ? 2 * a->cap : 64;
        struct action *more = realloc(a->at, cap * sizeof(*more));
        if (!more)
            return tc_fail(TC_ENOMEM, "no memory for %s", path);
        a->at = more;
        a->cap = cap;
    }
    a->at[a->n++] = *x;
    return TC_OK;
}

static int compare(const void *l, const void *r)
{
    const struct action *x = l, *y = r;
    int by = strcmp(x->symbol, y->symbol);
    return by ? by : (x->day > y->day) - (x->day < y->day);
}

static int read_lines(FILE *f, const char *path, struct tc_actions *a)
{
    char line[LINE_SIZE];
    for (int number = 1; fgets(line, sizeof(line), f); number++) {
        struct action x;
        size_t n = strcspn(line, "\r\n");
        if (!line[n] && !feof(f))
            return complain(path, number, "the line is too long");
        line[n] = '\0';
        if (!n || line[0] == '#' || (number == 1 && !strcmp(line, "symbol,day,action,value")))
            continue;
        const char *wrong = parse_line(line, &x);
        int rc = wrong ? complain(path, number, wrong) : add(a, &x, path, number);
        if (rc)
            return rc;
    }
    return ferror(f) ? tc_fail(TC_EIO, "%s: %s", path, strerror(errno)) : TC_OK;
}

int tc_actions_load(const char *path, struct tc_actions **out)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return tc_fail(errno == ENOENT ? TC_ENOTFOUND : TC_EIO, "%s: %s", path, strerror(errno));
    struct tc_actions *a = calloc(1, sizeof(*a));
    int rc = a ? read_lines(f, path, a) : tc_fail(TC_ENOMEM, "no memory for %s", path);
    fclose(f);
    if (rc) {
        tc_actions_free(a);
        return rc;
    }
    if (a->n)
        qsort(a->at, a->n, sizeof(*a->at), compare);
    *out = a;
    return TC_OK;
}

void tc_actions_free(struct tc_actions *a)
{
    if (a)
        free(a->at);
    free(a);
}

/* Index of the symbol's first action, and how many it has. */
static size_t find(const struct tc_actions *a, const char *symbol, size_t *n)
{
    size_t lo = 0, hi = a ? a->n : 0;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(a->at[mid].symbol, symbol) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *n = 0;
    while (a && lo + *n < a->n && !strcmp(a->at[lo + *n].symbol, symbol))
        ++*n;
    return lo;
}

bool tc_actions_any(const struct tc_actions *a, const char *symbol)
{
    size_t n;
    find(a, symbol, &n);
    return n > 0;
}

double tc_actions_ratio(const struct tc_actions *a, const char *symbol, int32_t day, int32_t as_of)
{
    size_t n, at = find(a, symbol, &n);
    double ratio = 1;
    for (size_t i = at; i < at + n; i++)
        if (a->at[i].day > day && a->at[i].day <= as_of)
            ratio *= a->at[i].ratio;
    return ratio;
}

double tc_actions_since(void *actions, const char *symbol, int32_t after, int32_t day)
{
    return tc_actions_ratio(actions, symbol, after, day);
}

double tc_actions_split(const struct tc_actions *a, const char *symbol, int32_t day)
{
    size_t n, at = find(a, symbol, &n);
    double ratio = 1;
    for (size_t i = at; i < at + n; i++)
        if (a->at[i].day == day)
            ratio *= a->at[i].ratio;
    return ratio;
}

const char *tc_actions_before(const struct tc_actions *a, const char *symbol, int32_t day, int32_t *changed)
{
    size_t n, at = find(a, symbol, &n);
    for (size_t i = at + n; i > at; i--) {
        const struct action *x = &a->at[i - 1];
        if (!x->old[0] || x->day > day)
            continue;
        *changed = x->day;
        return x->old;
    }
    return NULL;
}

void tc_actions_to_json(const struct tc_actions *a, const char *symbol, int32_t from_day, int32_t to_day,
                        struct tc_buf *out)
{
    size_t n, at = find(a, symbol, &n);
    bool any = false;
    tc_buf_char(out, '[');
    for (size_t i = at; i < at + n; i++) {
        const struct action *x = &a->at[i];
        if (x->day < from_day || x->day > to_day)
            continue;
        tc_buf_printf(out, "%s{\"day\":%d,\"action\":\"%s\",\"value\":", any ? "," : "", x->day,
                      x->old[0] ? "was" : "split");
        if (x->old[0])
            tc_buf_json_string(out, x->old);
        else
            tc_buf_double(out, x->ratio);
        tc_buf_char(out, '}');
        any = true;
    }
    tc_buf_char(out, ']');
}

void tc_bar_adjust(struct tc_bar *b, double ratio)
{
    double *const prices[] = {&b->open,      &b->high,      &b->low,       &b->close,
                              &b->vwap,      &b->quote.bid, &b->quote.ask, &b->tape.tm5,
                              &b->tape.tm20, &b->tape.up,   &b->tape.dn,   &b->tape.lit};
    double *const sizes[] = {&b->volume, &b->quote.bid_size, &b->quote.ask_size};
    if (ratio == 1)
        return;
    for (size_t i = 0; i < sizeof(prices) / sizeof(prices[0]); i++)
        *prices[i] /= ratio;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        *sizes[i] *= ratio;
    b->tape.sv *= sqrt(ratio); /* a sum of square roots of sizes */
}

double tc_split_suspect(double before, double after)
{
    if (!(before > 0) || !(after > 0))
        return 0;
    bool down = before > after;
    double r = down ? before / after : after / before;
    double n = fabs(r / 1.5 - 1) <= 0.03 ? 1.5 : round(r);
    if (n < 1.5 || n > 50 || fabs(r / n - 1) > 0.03)
        return 0;
    return down ? n : 1 / n;
}
