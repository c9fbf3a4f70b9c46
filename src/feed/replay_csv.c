/* CSV files: one part for all of them, each file in order of time, merged. */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "feed/replay_int.h"
#include "market/symtab.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILES_MAX = 4096 };

/* ---- lines ---- */

static int64_t symbol_of(const struct replay *r, const struct tc_csv_row *row)
{
    if (row->symbol[0] == '\0')
        return r->n_symbols == 1 ? 0 : -1;
    return tc_symtab_find(r->by_name, row->symbol);
}

/* A bar that carries a quote makes two events; the quote is the one at the bar's end. */
static void bar_events(struct stream *s, const struct tc_csv_row *row)
{
    s->event.type = TC_EVENT_BAR;
    s->event.time = tc_floor_second(row->time);
    s->key = s->event.time + TC_NS_PER_SEC - 1;
    s->event.bar = row->bar;
    s->has_pending = row->quote.bid > 0 && row->quote.ask > 0;
    if (s->has_pending) {
        s->pending = (struct tc_event){.type = TC_EVENT_QUOTE, .sym = s->event.sym, .time = s->key};
        s->pending.quote = row->quote;
    }
}

static enum rp_verdict decode_row(struct replay *r, struct stream *s, const char *line, size_t n,
                                  const char **why)
{
    struct tc_csv_row row;
    if (n == 0 || (n == 1 && line[0] == '\r'))
        return RP_NOTHING;
    if (!s->header_read) {
        s->header_read = true;
        return RP_NOTHING;
    }
    *why = tc_csv_line(&s->format, line, n, &row);
    if (*why)
        return RP_BAD;
    if (row.time < s->last) {
        *why = "time runs backwards";
        return RP_BAD;
    }
    s->last = row.time;
    int64_t sym = symbol_of(r, &row);
    if (sym < 0 || row.suspicious || row.time < r->from_time || row.time >= r->to_time)
        return RP_NOTHING;
    s->event.sym = (uint32_t)sym;
    s->event.time = s->key = row.time;
    if (s->format.kind == TC_CSV_BARS) {
        bar_events(s, &row);
    } else if (s->format.kind == TC_CSV_QUOTES) {
        s->event.type = TC_EVENT_QUOTE;
        s->event.quote = row.quote;
    } else {
        s->event.type = TC_EVENT_TRADE;
        s->event.trade = row.trade;
    }
    return RP_EVENT;
}

/* ---- the one part ---- */

static int open_stream(struct replay *r, const struct rp_file *f, uint32_t order)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (!s)
        return tc_fail(TC_ENOMEM, "%s: no memory to read it", f->path);
    int rc = tc_text_open(f->path, &s->text);
    if (rc) {
        rp_stream_free(s);
        return rc;
    }
    s->format = f->format;
    s->decode = decode_row;
    s->order = order;
    s->trades = f->format.kind != TC_CSV_QUOTES;
    s->sym = UINT32_MAX; /* of a gap: the file may hold every symbol */
    return rp_stream_add(r, s);
}

static int csv_next_part(struct replay *r)
{
    if (r->opened)
        return TC_DONE;
    r->opened = true;
    int rc = TC_OK;
    for (size_t i = 0; i < r->n_files && !rc; i++)
        rc = open_stream(r, &r->files[i], (uint32_t)i);
    return rc;
}

static void csv_seek_part(struct replay *r, int64_t part)
{
    (void)part;
    r->opened = false;
}

static const struct rp_source csv = {csv_next_part, csv_seek_part};

/* ---- which files ---- */

static bool is_csv(const char *name)
{
    static const char *const tails[] = {".csv", ".csv.gz", ".csv.zst"};
    size_t n = strlen(name);
    for (size_t i = 0; i < 3; i++)
        if (n > strlen(tails[i]) && !strcmp(name + n - strlen(tails[i]), tails[i]))
            return name[0] != '.';
    return false;
}

/* Reads the header; a file without one is no data file. */
static int add_file(struct replay *r, const char *path)
{
    struct tc_csv_format format;
    struct tc_text *text;
    const char *line, *why = "is empty";
    size_t n;
    if (r->n_files == FILES_MAX)
        return tc_fail(TC_ELIMIT, "%s: more than %d files", path, FILES_MAX);
    int rc = tc_text_open(path, &text);
    if (!rc) {
        rc = tc_text_line(text, &line, &n);
        if (rc == TC_OK)
            why = tc_csv_header(line, n, &format);
        if (rc == TC_DONE || (rc == TC_OK && why))
            rc = tc_fail(TC_EINPUT, "%s line 1: %s", path, why);
        tc_text_close(text);
    }
    if (rc) {
        if (r->on_error == TC_ON_ERROR_REFUSE || rc == TC_ENOMEM || rc == TC_ELIMIT)
            return rc;
        tc_log_error("replay", "%s; the file is skipped", tc_error());
        atomic_fetch_add_explicit(&r->bad_lines, 1, memory_order_relaxed);
        return TC_OK;
    }
    struct rp_file *more = realloc(r->files, (r->n_files + 1) * sizeof(*more));
    char *copy = strdup(path);
    if (more)
        r->files = more;
    if (!more || !copy) {
        free(copy);
        return tc_fail(TC_ENOMEM, "%s: no memory", path);
    }
    r->files[r->n_files++] = (struct rp_file){copy, format};
    return TC_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct rp_file *)a)->path, ((const struct rp_file *)b)->path);
}

static int find_files(struct replay *r, bool *any)
{
    struct stat st;
    if (stat(r->path, &st))
        return TC_OK;
    if (S_ISREG(st.st_mode)) {
        *any = true;
        return add_file(r, r->path);
    }
    DIR *d = opendir(r->path);
    if (!d)
        return TC_OK;
    int rc = TC_OK;
    for (struct dirent *e; !rc && (e = readdir(d));) {
        char path[RP_PATH];
        if (!is_csv(e->d_name))
            continue;
        *any = true;
        snprintf(path, sizeof(path), "%.2000s/%s", r->path, e->d_name);
        rc = add_file(r, path);
    }
    closedir(d);
    if (r->n_files)
        qsort(r->files, r->n_files, sizeof(*r->files), by_path);
    return rc;
}

/* Leaves the files out that the wanted kind of bars has no use for. */
static int choose_files(struct replay *r)
{
    bool has[3] = {false, false, false};
    for (size_t i = 0; i < r->n_files; i++)
        has[r->files[i].format.kind] = true;
    if (r->bars_from == TC_BARS_FROM_TRADES && !has[TC_CSV_TRADES] && has[TC_CSV_BARS]) {
        tc_log_info("replay", "%s holds no trades: bars are taken as they are", r->path);
        r->bars_from = TC_BARS_FROM_SECONDS;
    }
    bool need_trades = r->bars_from != TC_BARS_FROM_SECONDS, need_bars = r->bars_from != TC_BARS_FROM_TRADES;
    if ((need_trades && !has[TC_CSV_TRADES]) || (need_bars && !has[TC_CSV_BARS]))
        return tc_fail(TC_ECONF, "%s: bars from %s need %s, and there are none", r->path,
                       tc_bars_from_name(r->bars_from), need_bars && !has[TC_CSV_BARS] ? "bars" : "trades");
    size_t kept = 0;
    for (size_t i = 0; i < r->n_files; i++) {
        enum tc_csv_kind k = r->files[i].format.kind;
        if ((k == TC_CSV_TRADES && !need_trades) || (k == TC_CSV_BARS && !need_bars))
            free(r->files[i].path);
        else
            r->files[kept++] = r->files[i];
    }
    r->n_files = kept;
    return TC_OK;
}

/* ---- which symbols ---- */

static int collect_symbols(struct tc_symtab *t, const struct rp_file *f)
{
    struct tc_text *text;
    int rc = tc_text_open(f->path, &text);
    if (rc)
        return rc;
    const char *line;
    size_t n;
    for (bool first = true; (rc = tc_text_line(text, &line, &n)) == TC_OK || rc == TC_ELIMIT; first = false) {
        struct tc_csv_row row;
        if (first || rc == TC_ELIMIT || tc_csv_line(&f->format, line, n, &row))
            continue;
        if (row.symbol[0] == '\0' || tc_symtab_add(t, row.symbol) < 0) {
            rc = tc_fail(TC_ECONF, "%s: %s", f->path,
                         row.symbol[0] ? "too many symbols; name the wanted ones with --symbols"
                                       : "has no column symbol; name its one symbol with --symbols");
            break;
        }
    }
    tc_text_close(text);
    return rc == TC_ECONF ? rc : TC_OK; /* damage is told when the file is replayed */
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int list_symbols(struct replay *r)
{
    struct tc_symtab *t;
    int rc = tc_symtab_open(&t, RP_SYMBOLS_MAX);
    for (size_t i = 0; i < r->n_files && !rc; i++)
        rc = collect_symbols(t, &r->files[i]);
    uint32_t n = rc ? 0 : tc_symtab_count(t);
    char(*names)[TC_SYMBOL_SIZE] = n ? calloc(n, sizeof(*names)) : NULL;
    for (uint32_t i = 0; names && i < n; i++)
        snprintf(names[i], TC_SYMBOL_SIZE, "%s", tc_symtab_name(t, i));
    tc_symtab_close(t);
    if (rc)
        return rc;
    if (!names)
        return tc_fail(n ? TC_ENOMEM : TC_ENOTFOUND, "%s: %s", r->path,
                       n ? "no memory" : "holds no good line");
    qsort(names, n, sizeof(*names), by_name);
    return rp_set_symbols(r, names, n);
}

static int check_symbol_columns(const struct replay *r)
{
    for (size_t i = 0; i < r->n_files; i++)
        if (!r->files[i].format.has_symbol && r->n_symbols != 1)
            return tc_fail(TC_ECONF, "%s: has no column symbol, so exactly one symbol must be asked for",
                           r->files[i].path);
    return TC_OK;
}

int rp_csv_open(struct replay *r, bool *out)
{
    int rc = find_files(r, out);
    if (rc || !*out)
        return rc;
    if (r->n_files == 0)
        return tc_fail(TC_EINPUT, "%s: holds no readable CSV file", r->path);
    r->source = &csv;
    r->watch_days = true;
    rp_set_days(r);
    rc = choose_files(r);
    if (!rc && r->n_symbols == 0)
        rc = list_symbols(r);
    return rc ? rc : check_symbol_columns(r);
}
