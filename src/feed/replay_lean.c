/* LEAN data folders: which files make a day, and their lines as events. */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "feed/replay_int.h"
#include "market/symtab.h"
#include "wire/lean.h"

#include <ctype.h>
#include <math.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum kind { TICK_TRADE, SECOND_TRADE, SECOND_QUOTE, KINDS };

static const struct {
    const char *folder, *suffix;
} kinds[KINDS] = {{"tick", "trade"}, {"second", "trade"}, {"second", "quote"}};

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool needed(const struct replay *r, enum kind k)
{
    return k == TICK_TRADE     ? r->bars_from != TC_BARS_FROM_SECONDS
           : k == SECOND_TRADE ? r->bars_from != TC_BARS_FROM_TRADES
                               : false;
}

static enum kind main_kind(const struct replay *r)
{
    return r->bars_from == TC_BARS_FROM_TRADES ? TICK_TRADE : SECOND_TRADE;
}

static bool symbol_folder(const struct replay *r, enum kind k, const char *symbol, char out[static RP_PATH])
{
    char lower[TC_SYMBOL_SIZE];
    size_t i = 0;
    for (; symbol[i]; i++)
        lower[i] = (char)tolower((unsigned char)symbol[i]);
    lower[i] = '\0';
    if (strchr(lower, '/') || lower[0] == '.') /* never a way out of the folder */
        return false;
    snprintf(out, RP_PATH, "%.2000s/%s/%s", r->path, kinds[k].folder, lower);
    return true;
}

/* ---- lines ---- */

static enum rp_verdict backwards(const char **why)
{
    *why = "time runs backwards";
    return RP_BAD;
}

static enum rp_verdict decode_trade(struct replay *r, struct stream *s, const char *line, size_t n,
                                    const char **why)
{
    (void)r;
    struct tc_lean_trade t;
    *why = tc_lean_trade_line(line, n, &t);
    if (*why)
        return RP_BAD;
    if (t.time < s->last)
        return backwards(why);
    s->last = t.time;
    if (t.suspicious)
        return RP_NOTHING;
    s->event.time = s->key = s->base + t.time;
    s->event.trade = t.trade;
    return RP_EVENT;
}

static enum rp_verdict decode_bar(struct replay *r, struct stream *s, const char *line, size_t n,
                                  const char **why)
{
    (void)r;
    struct tc_lean_bar b;
    *why = tc_lean_bar_line(line, n, &b);
    if (*why)
        return RP_BAD;
    if (b.time < s->last)
        return backwards(why);
    s->last = b.time;
    s->event.time = tc_floor_second(s->base + b.time);
    s->key = s->event.time + TC_NS_PER_SEC - 1;
    s->event.bar.open = b.open;
    s->event.bar.high = b.high;
    s->event.bar.low = b.low;
    s->event.bar.close = b.close;
    s->event.bar.volume = b.volume;
    return RP_EVENT;
}

static enum rp_verdict decode_quote(struct replay *r, struct stream *s, const char *line, size_t n,
                                    const char **why)
{
    (void)r;
    struct tc_lean_quote q;
    *why = tc_lean_quote_line(line, n, &q);
    if (*why)
        return RP_BAD;
    if (q.time < s->last)
        return backwards(why);
    s->last = q.time;
    s->event.time = s->key = tc_floor_second(s->base + q.time) + TC_NS_PER_SEC - 1;
    s->event.quote = q.quote;
    return RP_EVENT;
}

/* ---- a day ---- */

static struct stream *new_stream(uint32_t sym, enum kind k, int64_t midnight)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->sym = sym;
    s->order = sym * KINDS + (uint32_t)k;
    s->trades = k != SECOND_QUOTE;
    s->base = s->key = midnight;
    s->event.sym = sym;
    s->event.type = k == TICK_TRADE ? TC_EVENT_TRADE : k == SECOND_TRADE ? TC_EVENT_BAR : TC_EVENT_QUOTE;
    s->decode = k == TICK_TRADE ? decode_trade : k == SECOND_TRADE ? decode_bar : decode_quote;
    if (k == SECOND_TRADE)
        s->event.bar = (struct tc_event_bar){.vwap = NAN};
    return s;
}

static int file_missing(struct replay *r, uint32_t sym, int32_t day, const char *path)
{
    if (tc_calendar_closed_reason(r->calendar, day))
        return TC_OK;
    char text[12];
    tc_date_text(day, text);
    if (r->on_error == TC_ON_ERROR_REFUSE)
        return tc_fail(TC_ENOTFOUND,
                       "%s is missing: %s is a trading day of calendar %s (--on-error skip would go on)",
                       path, text, tc_calendar_name(r->calendar));
    if (r->skip == 0)
        tc_log_warn("replay", "%s is missing: nothing is known of %s on %s, a trading day of calendar %s",
                    path, r->symbols[sym], text, tc_calendar_name(r->calendar));
    return rp_gap_add(r, sym, day, "missing_day");
}

static int file_broken(struct replay *r, uint32_t sym, int32_t day, enum kind k, int rc)
{
    if (r->on_error == TC_ON_ERROR_REFUSE || rc == TC_ELIMIT || rc == TC_ENOMEM)
        return rc;
    atomic_fetch_add_explicit(&r->bad_lines, 1, memory_order_relaxed);
    if (r->skip == 0)
        tc_log_error("replay", "%s; the file is skipped", tc_error());
    return k == SECOND_QUOTE ? TC_OK : rp_gap_add(r, sym, day, "damaged_file");
}

static int open_file(struct replay *r, uint32_t sym, int32_t day, enum kind k, int64_t midnight)
{
    char folder[RP_PATH], path[RP_PATH];
    if (!symbol_folder(r, k, r->symbols[sym], folder))
        return TC_OK;
    snprintf(path, sizeof(path), "%.4000s/%08d_%s.zip", folder, (int)day, kinds[k].suffix);
    struct tc_text *text;
    int rc = tc_text_open(path, &text);
    if (rc == TC_ENOTFOUND)
        return needed(r, k) ? file_missing(r, sym, day, path) : TC_OK;
    if (rc)
        return file_broken(r, sym, day, k, rc);
    struct stream *s = new_stream(sym, k, midnight);
    if (!s) {
        tc_text_close(text);
        return tc_fail(TC_ENOMEM, "%s: no memory to read it", path);
    }
    s->text = text;
    return rp_stream_add(r, s);
}

static int open_day(struct replay *r, int32_t day)
{
    int64_t midnight = tc_calendar_local_midnight(r->calendar, day);
    for (uint32_t sym = 0; sym < r->n_symbols; sym++) {
        for (enum kind k = 0; k < KINDS; k++) {
            int rc = needed(r, k) || k == SECOND_QUOTE ? open_file(r, sym, day, k, midnight) : TC_OK;
            if (rc)
                return rc;
        }
    }
    return TC_OK;
}

/* A day of which every symbol is missing is one gap of the whole feed. */
static void join_gaps(struct replay *r)
{
    if (r->n_streams || r->n_gaps != r->n_symbols || r->n_gaps < 2)
        return;
    for (size_t i = 1; i < r->n_gaps; i++)
        if (strcmp(r->gaps[i].reason, r->gaps[0].reason) != 0)
            return;
    r->gaps[0].sym = UINT32_MAX;
    r->n_gaps = 1;
}

static int lean_next_part(struct replay *r)
{
    while (r->next_day <= r->to) {
        int32_t day = r->next_day;
        r->next_day = rp_day_after(day);
        r->n_gaps = r->next_gap = 0;
        int rc = open_day(r, day);
        if (rc)
            return rc;
        join_gaps(r);
        if (r->n_streams || r->n_gaps) {
            r->part = tc_days_from_date(day); /* a day without anything is no place to go back to */
            return TC_OK;
        }
    }
    return TC_DONE;
}

static void lean_seek_part(struct replay *r, int64_t part)
{
    int64_t first = tc_days_from_date(r->from), last = tc_days_from_date(r->to);
    r->next_day = part < first ? r->from : part > last ? rp_day_after(r->to) : tc_date_from_days(part);
}

static const struct rp_source lean = {lean_next_part, lean_seek_part};

/* ---- what the folder holds ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int list_symbols(struct replay *r)
{
    char folder[RP_PATH];
    snprintf(folder, sizeof(folder), "%.2000s/%s", r->path, kinds[main_kind(r)].folder);
    DIR *d = opendir(folder);
    if (!d)
        return tc_fail(TC_ENOTFOUND, "%s: cannot be read, so no symbols are found for bars from %s", folder,
                       tc_bars_from_name(r->bars_from));
    size_t n = 0, cap = 64;
    char(*names)[TC_SYMBOL_SIZE] = malloc(cap * sizeof(*names));
    for (struct dirent *e; names && (e = readdir(d)) && n < RP_SYMBOLS_MAX;) {
        if (e->d_name[0] == '.' || !tc_symbol_valid(e->d_name))
            continue;
        if (n == cap) {
            char(*more)[TC_SYMBOL_SIZE] = realloc(names, 2 * cap * sizeof(*names));
            if (!more)
                break;
            names = more;
            cap *= 2;
        }
        memset(names[n], 0, TC_SYMBOL_SIZE);
        for (size_t i = 0; e->d_name[i]; i++)
            names[n][i] = (char)toupper((unsigned char)e->d_name[i]);
        n++;
    }
    closedir(d);
    if (!names || n == 0) {
        free(names);
        return tc_fail(TC_ENOTFOUND, "%s holds no symbols", folder);
    }
    qsort(names, n, sizeof(*names), by_name);
    return rp_set_symbols(r, names, n);
}

/* First and last day of the symbol's files; false when there are none. */
static bool symbol_days(const struct replay *r, const char *symbol, int32_t *first, int32_t *last)
{
    char folder[RP_PATH], want[32];
    if (!symbol_folder(r, main_kind(r), symbol, folder))
        return false;
    DIR *d = opendir(folder);
    if (!d)
        return false;
    bool any = false;
    snprintf(want, sizeof(want), "_%s.zip", kinds[main_kind(r)].suffix);
    for (struct dirent *e; (e = readdir(d));) {
        int32_t day = 0;
        size_t digits = strspn(e->d_name, "0123456789");
        for (size_t i = 0; digits == 8 && i < 8; i++)
            day = day * 10 + (e->d_name[i] - '0');
        if (digits != 8 || strcmp(e->d_name + 8, want) != 0 ||
            tc_date_from_days(tc_days_from_date(day)) != day || day < 19000101)
            continue;
        any = true;
        *first = *first == 0 || day < *first ? day : *first;
        *last = day > *last ? day : *last;
    }
    closedir(d);
    return any;
}

static int find_days(struct replay *r)
{
    int32_t first = 0, last = 0;
    for (uint32_t i = 0; i < r->n_symbols; i++) {
        char folder[RP_PATH];
        if (!symbol_days(r, r->symbols[i], &first, &last)) {
            bool safe = symbol_folder(r, main_kind(r), r->symbols[i], folder);
            return tc_fail(TC_ENOTFOUND, "no files of symbol %s: %s holds no YYYYMMDD_%s.zip", r->symbols[i],
                           safe ? folder : r->path, kinds[main_kind(r)].suffix);
        }
    }
    r->from = r->from ? r->from : first;
    r->to = r->to ? r->to : last;
    if (r->from > r->to || r->from > last || r->to < first) {
        char a[12], b[12];
        return tc_fail(TC_ENOTFOUND, "%s holds the days %s to %s only", r->path, tc_date_text(first, a),
                       tc_date_text(last, b));
    }
    r->next_day = r->from;
    return TC_OK;
}

static bool find_root(struct replay *r)
{
    static const char *const below[] = {"", "/equity/usa", "/lean/equity/usa", "/usa"};
    for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
        char root[RP_PATH / 2], tick[RP_PATH], second[RP_PATH];
        snprintf(root, sizeof(root), "%.1024s%s", r->path, below[i]);
        snprintf(tick, sizeof(tick), "%s/tick", root);
        snprintf(second, sizeof(second), "%s/second", root);
        if (is_folder(tick) || is_folder(second)) {
            memcpy(r->path, root, sizeof(root));
            return true;
        }
    }
    return false;
}

int rp_lean_open(struct replay *r, bool *out)
{
    *out = find_root(r);
    if (!*out)
        return TC_OK;
    r->source = &lean;
    int rc = r->n_symbols ? TC_OK : list_symbols(r);
    return rc ? rc : find_days(r);
}
