/* calendar.c - reads a calendar file into a table of special days (one entry a holiday or early close,
 * FIRST_YEAR to LAST_YEAR), so that every question is one binary search and a zone look-up.
 */
#include "market/calendar.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "base/zone.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

enum { FIRST_YEAR = 1990, LAST_YEAR = 2099, NAME_SIZE = 64, SPECIAL_MAX = 8192, RULES_MAX = 128 };

struct special {
    int32_t day; /* yyyymmdd */
    bool closed; /* else an early close */
    bool single; /* an exception: no rule gave it */
    char name[NAME_SIZE];
};

/* One reading of the file; never changed once it is published. */
struct table {
    char name[NAME_SIZE], zone_name[NAME_SIZE];
    struct tc_zone *zone;
    bool always;
    bool week[7]; /* Sunday first */
    int32_t open, close, pre_open, post_close, early_close,
        early_post_close; /* seconds after local midnight */
    struct special *special;
    size_t n_special;
    struct table *older; /* what it replaced: another thread may still be reading that */
};

struct tc_calendar {
    char *path; /* NULL: always open */
    _Atomic(struct table *) now;
    struct stat read_from; /* of the file as it was last read, also in vain */
    _Atomic uint32_t version;
};

/* --- YAML helpers: every complaint names file, line and key --- */

struct reader {
    const char *path;
    yaml_document_t doc;
};

static int complain(const struct reader *r, const yaml_node_t *at, const char *what)
{
    size_t line = at ? at->start_mark.line + 1 : 1, column = at ? at->start_mark.column + 1 : 1;
    return tc_fail(TC_EINPUT, "%s:%zu:%zu: %s", r->path, line, column, what);
}

static yaml_node_t *node(const struct reader *r, int id)
{
    return yaml_document_get_node((yaml_document_t *)&r->doc, id);
}

static const char *scalar(const yaml_node_t *n)
{
    return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

static yaml_node_t *get(const struct reader *r, const yaml_node_t *map, const char *key)
{
    if (!map || map->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const char *k = scalar(node(r, p->key));
        if (k && !strcmp(k, key))
            return node(r, p->value);
    }
    return NULL;
}

/* Refuses keys that are not in the list, so that a typing error is not silently a default. */
static int only_keys(const struct reader *r, const yaml_node_t *map, const char *const *keys)
{
    if (!map || map->type != YAML_MAPPING_NODE)
        return complain(r, map, "expected a mapping (key: value)");
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const char *k = scalar(node(r, p->key));
        const char *const *known = keys;
        while (*known && (!k || strcmp(k, *known)))
            known++;
        if (!*known) {
            char text[120];
            snprintf(text, sizeof(text), "unknown key '%.60s'", k ? k : "?");
            return complain(r, node(r, p->key), text);
        }
    }
    return TC_OK;
}

static int get_text(const struct reader *r, const yaml_node_t *map, const char *key, char *out)
{
    const char *s = scalar(get(r, map, key));
    if (!s || !*s || strlen(s) >= NAME_SIZE) {
        char text[120];
        snprintf(text, sizeof(text), "key '%s' is missing, empty or longer than %d bytes", key,
                 NAME_SIZE - 1);
        return complain(r, map, text);
    }
    memcpy(out, s, strlen(s) + 1);
    return TC_OK;
}

/* "HH:MM" in seconds after midnight */
static int get_time(const struct reader *r, const yaml_node_t *map, const char *key, int32_t *out)
{
    yaml_node_t *n = get(r, map, key);
    const char *s = scalar(n);
    int64_t h, m;
    if (!s || strlen(s) != 5 || s[2] != ':' || !tc_parse_int(s, 2, &h) || !tc_parse_int(s + 3, 2, &m) ||
        h < 0 || h > 24 || m < 0 || m > 59) {
        char text[120];
        snprintf(text, sizeof(text), "key '%s' must be a time of day such as \"09:30\"", key);
        return complain(r, n ? n : map, text);
    }
    *out = (int32_t)(h * 3600 + m * 60);
    return TC_OK;
}

static int weekday_of_name(const char *s, size_t n)
{
    static const char *const names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
    for (int i = 0; i < 7; i++)
        if (n == 3 && !memcmp(s, names[i], 3))
            return i;
    return -1;
}

static int get_weekdays(const struct reader *r, const yaml_node_t *map, const char *key, bool out[7])
{
    yaml_node_t *list = get(r, map, key);
    if (!list || list->type != YAML_SEQUENCE_NODE)
        return complain(r, list ? list : map, "expected a list of weekdays such as [mon, tue]");
    for (yaml_node_item_t *i = list->data.sequence.items.start; i < list->data.sequence.items.top; i++) {
        const char *s = scalar(node(r, *i));
        int day = s ? weekday_of_name(s, strlen(s)) : -1;
        if (day < 0)
            return complain(r, node(r, *i), "a weekday is one of sun mon tue wed thu fri sat");
        out[day] = true;
    }
    return TC_OK;
}

/* --- rules --- */

enum observe { OBSERVE_NONE, OBSERVE_SUNDAY, OBSERVE_WEEKEND };

struct rule {
    char name[NAME_SIZE];
    bool closed;
    bool easter;
    int month, day;   /* day > 0: fixed date */
    int nth, weekday; /* nth 1 to 4, 5 = last */
    int shift;        /* days */
    enum observe observe;
    bool limited, only[7];
    int from, to;
};

static int weekday(int64_t days)
{
    return (int)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}

/* Gregorian Easter Sunday (anonymous algorithm, "Meeus/Jones/Butcher"), days since 1970. */
static int64_t easter(int y)
{
    int a = y % 19, b = y / 100, c = y % 100, d = b / 4, e = b % 4, f = (b + 8) / 25, g = (b - f + 1) / 3;
    int h = (19 * a + b - d - g + 15) % 30, i = c / 4, k = c % 4, l = (32 + 2 * e + 2 * i - h - k) % 7;
    int m = (a + 11 * h + 22 * l) / 451, n = h + l - 7 * m + 114;
    return tc_days_from_date(y * 10000 + n / 31 * 100 + n % 31 + 1);
}

static int64_t nth_weekday(int year, int month, int nth, int wanted)
{
    int64_t first = tc_days_from_date(year * 10000 + month * 100 + 1);
    int64_t day = first + (wanted - weekday(first) + 7) % 7 + (nth - 1) * 7;
    if (nth == 5 && tc_date_from_days(day) / 100 % 100 != month)
        day -= 7;
    return day;
}

/* The day of a rule in a year, or -1 when it does not happen. */
static int64_t rule_day(const struct rule *r, int year)
{
    if (year < r->from || year > r->to)
        return -1;
    int64_t day = r->easter ? easter(year)
                  : r->day  ? tc_days_from_date(year * 10000 + r->month * 100 + r->day)
                            : nth_weekday(year, r->month, r->nth, r->weekday);
    day += r->shift;
    int wd = weekday(day);
    if (wd == 0 && r->observe != OBSERVE_NONE)
        day++;
    else if (wd == 6 && r->observe == OBSERVE_WEEKEND)
        day--;
    if (r->limited && !r->only[weekday(day)])
        return -1;
    return day;
}

/* Takes the next word of s; returns its length, 0 at the end. */
static size_t next_word(const char **s, const char **word)
{
    while (**s == ' ')
        (*s)++;
    *word = *s;
    while (**s && **s != ' ')
        (*s)++;
    return (size_t)(*s - *word);
}

static bool parse_shift(const char **s, int *out)
{
    const char *w;
    size_t n = next_word(s, &w);
    int64_t v = 0;
    if (n && ((w[0] != '+' && w[0] != '-') || !tc_parse_int(w, n, &v) || v < -60 || v > 60))
        return false;
    *out = (int)v;
    return next_word(s, &w) == 0;
}

static bool parse_rule_text(const char *s, struct rule *r)
{
    static const char *const nth[] = {"1st", "2nd", "3rd", "4th", "last"};
    const char *w;
    size_t n = next_word(&s, &w);
    int64_t month, day;
    if (n == 6 && !memcmp(w, "easter", 6)) {
        r->easter = true;
        return parse_shift(&s, &r->shift);
    }
    if (n == 5 && w[2] == '-') {
        if (!tc_parse_int(w, 2, &month) || !tc_parse_int(w + 3, 2, &day) || month < 1 || month > 12 ||
            day < 1 || day > 31)
            return false;
        r->month = (int)month;
        r->day = (int)day;
        return parse_shift(&s, &r->shift);
    }
    for (int i = 0; i < 5; i++)
        if (n == strlen(nth[i]) && !memcmp(w, nth[i], n))
            r->nth = i + 1;
    n = next_word(&s, &w);
    r->weekday = weekday_of_name(w, n);
    n = next_word(&s, &w);
    if (!r->nth || r->weekday < 0 || !tc_parse_int(w, n, &month) || month < 1 || month > 12)
        return false;
    r->month = (int)month;
    return parse_shift(&s, &r->shift);
}

static int get_year(const struct reader *rd, const yaml_node_t *map, const char *key, int *out)
{
    yaml_node_t *n = get(rd, map, key);
    if (!n)
        return TC_OK;
    const char *s = scalar(n);
    int64_t v;
    if (!s || !tc_parse_int(s, strlen(s), &v) || v < 1800 || v > 9999)
        return complain(rd, n, "expected a year");
    *out = (int)v;
    return TC_OK;
}

static int read_rule(const struct reader *rd, const yaml_node_t *map, bool closed, struct rule *r)
{
    static const char *const keys[] = {"name", "rule", "observe", "only", "from", "to", NULL};
    *r = (struct rule){.closed = closed, .from = FIRST_YEAR, .to = LAST_YEAR};
    int rc = only_keys(rd, map, keys);
    if (!rc)
        rc = get_text(rd, map, "name", r->name);
    if (!rc)
        rc = get_year(rd, map, "from", &r->from);
    if (!rc)
        rc = get_year(rd, map, "to", &r->to);
    if (!rc && get(rd, map, "only")) {
        r->limited = true;
        rc = get_weekdays(rd, map, "only", r->only);
    }
    if (rc)
        return rc;
    yaml_node_t *n = get(rd, map, "observe");
    const char *s = n ? scalar(n) : "none";
    if (s && !strcmp(s, "sunday"))
        r->observe = OBSERVE_SUNDAY;
    else if (s && !strcmp(s, "weekend"))
        r->observe = OBSERVE_WEEKEND;
    else if (!s || strcmp(s, "none"))
        return complain(rd, n, "observe must be none, sunday or weekend");
    n = get(rd, map, "rule");
    s = scalar(n);
    if (!s || !parse_rule_text(s, r))
        return complain(
            rd, n ? n : map,
            "rule must be \"MM-DD\", \"<1st|2nd|3rd|4th|last> <weekday> <MM>\" or \"easter\", then "
            "perhaps +N or -N days");
    return TC_OK;
}

static int add_special(struct table *c, int32_t day, bool closed, bool single, const char *name)
{
    if (c->n_special == SPECIAL_MAX)
        return tc_fail(TC_ELIMIT, "more than %d special days", SPECIAL_MAX);
    struct special *s = &c->special[c->n_special++];
    s->day = day;
    s->closed = closed;
    s->single = single;
    snprintf(s->name, sizeof(s->name), "%s", name);
    return TC_OK;
}

static int read_rules(const struct reader *rd, struct table *c, const yaml_node_t *root, const char *key,
                      bool closed)
{
    yaml_node_t *list = get(rd, root, key);
    if (!list)
        return TC_OK;
    if (list->type != YAML_SEQUENCE_NODE)
        return complain(rd, list, "expected a list");
    for (yaml_node_item_t *i = list->data.sequence.items.start; i < list->data.sequence.items.top; i++) {
        struct rule r;
        int rc = read_rule(rd, node(rd, *i), closed, &r);
        /* A day observed in the old year (1 January on a Saturday under `weekend`) belongs to the next year's
         * rule. */
        for (int year = FIRST_YEAR; !rc && year <= LAST_YEAR; year++) {
            int64_t day = rule_day(&r, year);
            if (day >= 0)
                rc = add_special(c, tc_date_from_days(day), closed, false, r.name);
        }
        if (rc)
            return rc;
    }
    return TC_OK;
}

static bool parse_date(const char *s, int32_t *out)
{
    int64_t y, m, d;
    if (!s || strlen(s) != 10 || s[4] != '-' || s[7] != '-' || !tc_parse_int(s, 4, &y) ||
        !tc_parse_int(s + 5, 2, &m) || !tc_parse_int(s + 8, 2, &d))
        return false;
    *out = (int32_t)(y * 10000 + m * 100 + d);
    return y >= FIRST_YEAR && y <= LAST_YEAR && m >= 1 && m <= 12 && d >= 1 && d <= 31;
}

static int read_exceptions(const struct reader *rd, struct table *c, const yaml_node_t *root)
{
    static const char *const keys[] = {"date", "closed", "early", NULL};
    yaml_node_t *list = get(rd, root, "exceptions");
    if (!list)
        return TC_OK;
    if (list->type != YAML_SEQUENCE_NODE)
        return complain(rd, list, "expected a list");
    for (yaml_node_item_t *i = list->data.sequence.items.start; i < list->data.sequence.items.top; i++) {
        yaml_node_t *map = node(rd, *i);
        char name[NAME_SIZE];
        int32_t day;
        int rc = only_keys(rd, map, keys);
        if (rc)
            return rc;
        if (!parse_date(scalar(get(rd, map, "date")), &day))
            return complain(rd, map, "date must be yyyy-mm-dd within 1990 to 2099");
        bool closed = get(rd, map, "closed") != NULL;
        rc = get_text(rd, map, closed ? "closed" : "early", name);
        if (!rc)
            rc = add_special(c, day, closed, true, name);
        if (rc)
            return rc;
    }
    return TC_OK;
}

static int compare_special(const void *a, const void *b)
{
    const struct special *x = a, *y = b;
    if (x->day != y->day)
        return x->day < y->day ? -1 : 1;
    return (int)y->closed - (int)x->closed; /* a holiday hides an early close of the same day */
}

static int read_calendar(const struct reader *rd, struct table *c)
{
    static const char *const keys[] = {"name",     "zone",         "week",       "session", "early",
                                       "holidays", "early_closes", "exceptions", NULL};
    yaml_node_t *root = yaml_document_get_root_node((yaml_document_t *)&rd->doc);
    int rc = only_keys(rd, root, keys);
    if (!rc)
        rc = get_text(rd, root, "name", c->name);
    if (!rc)
        rc = get_text(rd, root, "zone", c->zone_name);
    if (!rc && (rc = tc_zone_load(c->zone_name, &c->zone)) != 0)
        rc = tc_more(rc, "%s: zone", rd->path);
    if (!rc)
        rc = get_weekdays(rd, root, "week", c->week);
    yaml_node_t *session = get(rd, root, "session"), *early = get(rd, root, "early");
    if (!rc)
        rc = get_time(rd, session ? session : root, "open", &c->open);
    if (!rc)
        rc = get_time(rd, session, "close", &c->close);
    c->pre_open = c->open;
    c->post_close = c->close;
    if (!rc && get(rd, session, "pre_open"))
        rc = get_time(rd, session, "pre_open", &c->pre_open);
    if (!rc && get(rd, session, "post_close"))
        rc = get_time(rd, session, "post_close", &c->post_close);
    c->early_close = c->early_post_close = c->close;
    if (!rc && early)
        rc = get_time(rd, early, "close", &c->early_close);
    if (!rc && early)
        c->early_post_close = c->early_close;
    if (!rc && early && get(rd, early, "post_close"))
        rc = get_time(rd, early, "post_close", &c->early_post_close);
    if (!rc && !(c->pre_open <= c->open && c->open < c->close && c->close <= c->post_close &&
                 c->open < c->early_close))
        rc = complain(rd, session, "times must rise: pre_open <= open < close <= post_close");
    if (!rc)
        rc = read_rules(rd, c, root, "holidays", true);
    if (!rc)
        rc = read_rules(rd, c, root, "early_closes", false);
    if (!rc)
        rc = read_exceptions(rd, c, root);
    if (!rc)
        qsort(c->special, c->n_special, sizeof(*c->special), compare_special);
    return rc;
}

static int parse_file(FILE *f, const char *path, struct table *c)
{
    struct reader rd = {.path = path};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return tc_fail(TC_ENOMEM, "no memory to read %s", path);
    yaml_parser_set_input_file(&parser, f);
    int rc = TC_OK;
    if (!yaml_parser_load(&parser, &rd.doc))
        rc = tc_fail(TC_EINPUT, "%s:%zu:%zu: %s", path, parser.problem_mark.line + 1,
                     parser.problem_mark.column + 1, parser.problem ? parser.problem : "no YAML");
    yaml_parser_delete(&parser);
    if (rc)
        return rc;
    c->special = calloc(SPECIAL_MAX, sizeof(*c->special));
    rc = c->special ? read_calendar(&rd, c) : tc_fail(TC_ENOMEM, "no memory for a calendar");
    yaml_document_delete(&rd.doc);
    return rc;
}

static void free_tables(struct table *t)
{
    while (t) {
        struct table *older = t->older;
        tc_zone_free(t->zone);
        free(t->special);
        free(t);
        t = older;
    }
}

/* Gives back the room that was kept for more days. */
static void fit(struct table *t)
{
    struct special *less = realloc(t->special, (t->n_special ? t->n_special : 1) * sizeof(*t->special));
    if (less)
        t->special = less;
}

/* *st: what was read. */
static int load_file(const char *path, struct table **out, struct stat *st)
{
    FILE *f = fopen(path, "rbe");
    if (!f)
        return tc_fail(TC_ENOTFOUND, "calendar %s: %s", path, strerror(errno));
    struct table *t = calloc(1, sizeof(*t));
    int rc = !t                     ? tc_fail(TC_ENOMEM, "no memory for a calendar")
             : fstat(fileno(f), st) ? tc_fail(TC_EIO, "calendar %s: %s", path, strerror(errno))
             : S_ISDIR(st->st_mode) ? tc_fail(TC_EINPUT, "calendar %s: is a folder", path)
                                    : parse_file(f, path, t);
    fclose(f);
    if (rc) {
        free_tables(t);
        return rc;
    }
    fit(t);
    *out = t;
    return TC_OK;
}

static int load_always(struct table **out)
{
    struct table *c = calloc(1, sizeof(*c));
    if (!c)
        return tc_fail(TC_ENOMEM, "no memory for a calendar");
    snprintf(c->name, sizeof(c->name), "always");
    snprintf(c->zone_name, sizeof(c->zone_name), "UTC");
    c->always = true;
    c->close = c->post_close = c->early_close = c->early_post_close = 86400;
    for (int i = 0; i < 7; i++)
        c->week[i] = true;
    *out = c;
    return tc_zone_load("UTC", &c->zone);
}

int tc_calendar_load(const char *path, struct tc_calendar **out)
{
    struct table *t = NULL;
    struct tc_calendar *c = calloc(1, sizeof(*c));
    bool always = !strcmp(path, "always");
    int rc = c ? TC_OK : tc_fail(TC_ENOMEM, "no memory for a calendar");
    if (!rc && !always && !(c->path = strdup(path)))
        rc = tc_fail(TC_ENOMEM, "no memory for a calendar");
    if (!rc)
        rc = always ? load_always(&t) : load_file(path, &t, &c->read_from);
    if (rc) {
        free_tables(t);
        if (c)
            free(c->path);
        free(c);
        return rc;
    }
    atomic_init(&c->now, t);
    *out = c;
    return TC_OK;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int tc_calendar_refresh(struct tc_calendar *c)
{
    struct stat st;
    struct table *fresh = NULL;
    if (!c->path || stat(c->path, &st) || same_file(&st, &c->read_from))
        return TC_AGAIN;
    c->read_from = st;
    int rc = load_file(c->path, &fresh, &c->read_from);
    if (rc)
        return rc;
    struct table *old = atomic_load_explicit(&c->now, memory_order_relaxed);
    if (strcmp(old->zone_name, fresh->zone_name) != 0) {
        free_tables(fresh);
        return tc_fail(TC_ECONF, "%s: the zone of a calendar in use cannot change; start the program again",
                       c->path);
    }
    fresh->older = old;
    atomic_store_explicit(&c->now, fresh, memory_order_release);
    atomic_fetch_add_explicit(&c->version, 1, memory_order_release);
    return TC_OK;
}

uint32_t tc_calendar_version(const struct tc_calendar *c)
{
    return atomic_load_explicit(&c->version, memory_order_acquire);
}

void tc_calendar_free(struct tc_calendar *c)
{
    if (!c)
        return;
    free_tables(atomic_load_explicit(&c->now, memory_order_relaxed));
    free(c->path);
    free(c);
}

static const struct table *table_of(const struct tc_calendar *c)
{
    return atomic_load_explicit(&c->now, memory_order_acquire);
}

const char *tc_calendar_name(const struct tc_calendar *c)
{
    return table_of(c)->name;
}

const char *tc_calendar_zone(const struct tc_calendar *c)
{
    return table_of(c)->zone_name;
}

bool tc_calendar_always_open(const struct tc_calendar *c)
{
    return table_of(c)->always;
}

int32_t tc_calendar_offset_s(const struct tc_calendar *c, int64_t t)
{
    return tc_zone_offset_s(table_of(c)->zone, t);
}

static int32_t day_of(const struct table *c, int64_t t)
{
    return tc_date_utc(t + tc_zone_offset_s(c->zone, t) * TC_NS_PER_SEC);
}

int32_t tc_calendar_day(const struct tc_calendar *c, int64_t t)
{
    return day_of(table_of(c), t);
}

int64_t tc_calendar_local_midnight(const struct tc_calendar *c, int32_t day)
{
    return tc_zone_to_utc(table_of(c)->zone, tc_days_from_date(day), 0);
}

static const struct special *find_special(const struct table *c, int32_t day)
{
    size_t lo = 0, hi = c->n_special;
    while (lo < hi) { /* first entry of the day or later */
        size_t mid = lo + (hi - lo) / 2;
        if (c->special[mid].day < day)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->n_special && c->special[lo].day == day ? &c->special[lo] : NULL;
}

static const char *closed_reason(const struct table *c, int32_t day)
{
    if (!c->week[weekday(tc_days_from_date(day))])
        return "weekend";
    const struct special *s = find_special(c, day);
    return s && s->closed ? s->name : NULL;
}

const char *tc_calendar_closed_reason(const struct tc_calendar *c, int32_t day)
{
    return closed_reason(table_of(c), day);
}

/* Of a day that is not closed. */
static void session_of(const struct table *c, int32_t day, struct tc_session *out)
{
    bool early = find_special(c, day) != NULL;
    int64_t days = tc_days_from_date(day);
    *out = (struct tc_session){
        .day = day,
        .early_close = early,
        .open = tc_zone_to_utc(c->zone, days, c->open),
        .close = tc_zone_to_utc(c->zone, days, early ? c->early_close : c->close),
        .pre_open = tc_zone_to_utc(c->zone, days, c->pre_open),
        .post_close = tc_zone_to_utc(c->zone, days, early ? c->early_post_close : c->post_close),
    };
}

int tc_calendar_session(const struct tc_calendar *c, int32_t day, struct tc_session *out)
{
    const struct table *t = table_of(c);
    const char *reason = closed_reason(t, day);
    if (reason)
        return tc_fail(TC_ENOTFOUND, "%s is closed on %d: %s", t->name, day, reason);
    session_of(t, day, out);
    return TC_OK;
}

bool tc_calendar_is_open(const struct tc_calendar *c, int64_t t)
{
    const struct table *k = table_of(c);
    struct tc_session s;
    int32_t day = day_of(k, t);
    if (closed_reason(k, day))
        return false;
    session_of(k, day, &s);
    return t >= s.open && t < s.close;
}

enum { REST_DAYS_MAX = 60 }; /* no exchange rests for two months */

int tc_calendar_next(const struct tc_calendar *c, int64_t t, struct tc_session *out)
{
    const struct table *k = table_of(c);
    int64_t days = tc_days_from_date(day_of(k, t));
    for (int i = 0; i < REST_DAYS_MAX; i++) {
        int32_t day = tc_date_from_days(days + i);
        if (closed_reason(k, day))
            continue;
        session_of(k, day, out);
        if (out->close > t)
            return TC_OK;
    }
    return tc_fail(TC_ENOTFOUND, "calendar %s has no session within %d days", k->name, REST_DAYS_MAX);
}

int tc_calendar_previous(const struct tc_calendar *c, int64_t t, struct tc_session *out)
{
    const struct table *k = table_of(c);
    int64_t days = tc_days_from_date(day_of(k, t));
    for (int i = 0; i < REST_DAYS_MAX; i++) {
        int32_t day = tc_date_from_days(days - i);
        if (closed_reason(k, day))
            continue;
        session_of(k, day, out);
        if (out->close <= t)
            return TC_OK;
    }
    return tc_fail(TC_ENOTFOUND, "calendar %s had no session for %d days", k->name, REST_DAYS_MAX);
}

static int sessions_of(const struct table *t, int year)
{
    int64_t first = tc_days_from_date(year * 10000 + 101), after = tc_days_from_date(year * 10000 + 10101);
    int n = 0;
    for (int64_t d = first; d < after; d++)
        n += !closed_reason(t, tc_date_from_days(d));
    return n;
}

/* A day of the exception list that would be the same without it, or is told twice. */
static void check_exception(const struct table *t, size_t i, struct tc_buf *out)
{
    const struct special *s = &t->special[i];
    char date[12];
    bool again = false;
    for (size_t k = 0; k < t->n_special; k++)
        again = again || (k != i && t->special[k].day == s->day && (t->special[k].closed || !s->closed));
    tc_date_text(s->day, date);
    if (!t->week[weekday(tc_days_from_date(s->day))])
        tc_buf_printf(out, "; the exception of %s falls on a weekend", date);
    else if (again)
        tc_buf_printf(out, "; the exception of %s changes nothing: that day is special already", date);
}

void tc_calendar_check(const struct tc_calendar *c, int first_year, int last_year, struct tc_buf *out)
{
    const struct table *t = table_of(c);
    int per_week = 0;
    for (int i = 0; i < 7; i++)
        per_week += t->week[i];
    for (size_t i = 0; i < t->n_special; i++)
        if (t->special[i].single)
            check_exception(t, i, out);
    for (int year = first_year; year <= last_year; year++) {
        int n = sessions_of(t, year);
        if (n < per_week * 48)
            tc_buf_printf(out, "; %d has no more than %d sessions", year, n);
    }
}
