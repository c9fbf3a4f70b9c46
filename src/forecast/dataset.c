#include "forecast/dataset.h"
#include "base/clock.h"
#include "base/err.h"
#include "market/symtab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SYMBOLS_MAX = 4096, SESSION_SECONDS_MAX = 90000, SKIP_SECONDS = 60 };

/* What is known at the end of each second of one symbol's session. */
struct grid {
    double *last, *mid; /* NaN = unknown */
    int32_t n;          /* seconds of the session */
    int32_t passed;     /* seconds gone by, known or not */
};

struct watched {
    char symbol[TC_SYMBOL_SIZE], feed[TC_FEED_SIZE];
    const struct tc_calendar *calendar;
    bool always;
    struct tc_session session; /* the one at or after `second`; close 0 = none yet */
    int32_t day;               /* of the session before; 0 = none */
    struct tc_features features;
    struct tc_bar pending;
    bool has_pending;
    struct tc_quote quote;
    double quote_lag_ms;
    double last;
    int64_t second; /* last marked */
    struct grid grid;
    struct tc_sequence rows; /* under way; y and mask made at the end */
    size_t capacity;
    int32_t *index; /* second of the session of each row */
};

struct tc_dataset_builder {
    struct tc_dataset_conf conf;
    struct tc_symtab *symbols;
    struct watched *watched[SYMBOLS_MAX];
    struct tc_dataset out;
};

static int no_memory(void)
{
    return tc_fail(TC_ENOMEM, "no memory for training sequences");
}

static void set_targets(struct tc_dataset *d, const struct tc_dataset_conf *conf)
{
    d->targets[d->n_targets++] = (struct tc_dataset_target){TC_KIND_NEXT, 0};
    for (int k = TC_KIND_LAST; k <= TC_KIND_MID; k++)
        for (int i = 0; i < conf->n_horizons; i++)
            d->targets[d->n_targets++] = (struct tc_dataset_target){(enum tc_kind)k, conf->horizons_ms[i]};
}

int tc_dataset_open(const struct tc_dataset_conf *conf, struct tc_dataset_builder **out)
{
    if (conf->n_horizons < 0 || 1 + 2 * conf->n_horizons > TC_POINTS_MAX)
        return tc_fail(TC_ECONF, "%d horizons; at most %d fit", conf->n_horizons, (TC_POINTS_MAX - 1) / 2);
    for (int i = 0; i < conf->n_horizons; i++)
        if (conf->horizons_ms[i] < 1000 || conf->horizons_ms[i] % 1000)
            return tc_fail(TC_ECONF, "horizon %d ms is not a whole number of seconds", conf->horizons_ms[i]);
    struct tc_dataset_builder *b = calloc(1, sizeof(*b));
    if (!b)
        return no_memory();
    b->conf = *conf;
    b->out.n_features = (int32_t)tc_set_size(conf->set);
    set_targets(&b->out, conf);
    int rc = tc_symtab_open(&b->symbols, SYMBOLS_MAX);
    if (rc < 0) {
        tc_dataset_close(b);
        return rc;
    }
    *out = b;
    return TC_OK;
}

static void free_rows(struct tc_sequence *s)
{
    if (s->spilled)
        return;
    free(s->x);
    free(s->y);
    free(s->mask);
    free(s->time);
    free(s->scale);
    free(s->close);
    free(s->mid);
    free(s->micro);
}

void tc_dataset_free(struct tc_dataset *d)
{
    for (size_t i = 0; i < d->n; i++)
        free_rows(&d->sequences[i]);
    free(d->sequences);
    *d = (struct tc_dataset){0};
}

void tc_dataset_close(struct tc_dataset_builder *b)
{
    if (!b)
        return;
    for (uint32_t i = 0; i < SYMBOLS_MAX && b->watched[i]; i++) {
        struct watched *w = b->watched[i];
        free(w->grid.last);
        free(w->grid.mid);
        free(w->index);
        free_rows(&w->rows);
        free(w);
    }
    tc_symtab_close(b->symbols);
    tc_dataset_free(&b->out);
    free(b);
}

static bool grow_one(void *p, size_t count, size_t size)
{
    void *grown = realloc(*(void **)p, count * size);
    if (grown)
        *(void **)p = grown;
    return grown != NULL;
}

static bool grow_rows(const struct tc_dataset_builder *b, struct watched *w)
{
    if (w->rows.rows < w->capacity)
        return true;
    size_t c = w->capacity ? w->capacity * 2 : 4096;
    struct tc_sequence *s = &w->rows;
    size_t nx = (size_t)b->out.n_features;
    if (!grow_one(&s->x, c * nx, sizeof(double)) || !grow_one(&s->time, c, sizeof(int64_t)) ||
        !grow_one(&s->scale, c, sizeof(double)) || !grow_one(&s->close, c, sizeof(double)) ||
        !grow_one(&s->mid, c, sizeof(double)) || !grow_one(&s->micro, c, sizeof(double)) ||
        !grow_one(&w->index, c, sizeof(int32_t)))
        return false;
    w->capacity = c;
    return true;
}

/* Move of target t from row r, price units; NaN when it is not known or not in the session. */
static double outcome(const struct watched *w, const struct tc_dataset_target *t, size_t r)
{
    const struct grid *g = &w->grid;
    const struct tc_sequence *s = &w->rows;
    if (t->kind == TC_KIND_NEXT) {
        if (r + 1 >= s->rows)
            return NAN;
        for (int32_t i = w->index[r]; i < w->index[r + 1]; i++)
            if (isnan(g->last[i]))
                return NAN;
        return s->close[r + 1] - s->close[r];
    }
    int64_t at = (int64_t)w->index[r] + t->horizon_ms / 1000;
    if (at >= g->n)
        return NAN;
    return t->kind == TC_KIND_LAST ? g->last[at] - s->close[r] : g->mid[at] - s->mid[r];
}

static int make_targets(struct tc_dataset_builder *b, struct watched *w)
{
    struct tc_sequence *s = &w->rows;
    size_t nt = (size_t)b->out.n_targets, nx = (size_t)b->out.n_features;
    s->y = calloc(s->rows * nt, sizeof(double));
    s->mask = calloc(s->rows * nt, 1);
    if (!s->y || !s->mask)
        return no_memory();
    for (size_t r = 0; r < s->rows; r++) {
        bool unknown = isnan(s->x[r * nx]);
        if (unknown)
            memset(s->x + r * nx, 0, nx * sizeof(double));
        if (unknown || (!w->always && w->index[r] < SKIP_SECONDS))
            continue;
        double unit = b->conf.raw ? 0.01 : s->scale[r];
        for (size_t t = 0; t < nt; t++) {
            double y = outcome(w, &b->out.targets[t], r);
            if (!isfinite(y))
                continue;
            s->y[r * nt + t] = y / unit;
            s->mask[r * nt + t] = 1;
        }
    }
    return TC_OK;
}

/* Moves a finished sequence's arrays out of memory. */
static int spill_rows(struct tc_dataset_builder *b, struct tc_sequence *s)
{
    size_t nx = (size_t)b->out.n_features, nt = (size_t)b->out.n_targets, rows = s->rows, at = 0;
    const struct {
        void *array; /* pointer to the member */
        size_t bytes;
    } parts[] = {
        {&s->x, rows * nx * sizeof(double)}, {&s->y, rows * nt * sizeof(double)},
        {&s->time, rows * sizeof(int64_t)},  {&s->scale, rows * sizeof(double)},
        {&s->close, rows * sizeof(double)},  {&s->mid, rows * sizeof(double)},
        {&s->micro, rows * sizeof(double)},  {&s->mask, rows * nt}}; /* bytes last: all stay aligned */
    size_t n = sizeof(parts) / sizeof(parts[0]), whole = 0;
    for (size_t i = 0; i < n; i++)
        whole += parts[i].bytes;
    char *room = tc_spill_take(b->conf.spill, whole);
    if (!room)
        return TC_EIO;
    for (size_t i = 0; i < n; i++) {
        void *from;
        char *to = room + at;
        memcpy(&from, parts[i].array, sizeof(from));
        memcpy(to, from, parts[i].bytes);
        free(from);
        memcpy(parts[i].array, &to, sizeof(to));
        at += parts[i].bytes;
    }
    s->spilled = true;
    tc_spill_release(b->conf.spill, room, whole);
    return TC_OK;
}

/* Hands over the sequence under way. */
static int end_session(struct tc_dataset_builder *b, struct watched *w)
{
    int rc = TC_OK;
    if (w->rows.rows) {
        struct tc_dataset *d = &b->out;
        if (d->n == d->capacity) {
            size_t c = d->capacity ? d->capacity * 2 : 64;
            if (!grow_one(&d->sequences, c, sizeof(*d->sequences)))
                return no_memory();
            d->capacity = c;
        }
        rc = make_targets(b, w);
        if (!rc && b->conf.spill)
            rc = spill_rows(b, &w->rows);
        memcpy(w->rows.symbol, w->symbol, sizeof(w->rows.symbol));
        w->rows.day = w->session.day;
        d->sequences[d->n++] = w->rows;
        w->rows = (struct tc_sequence){0};
        w->capacity = 0;
    }
    if (!w->always)
        tc_features_session(&w->features);
    w->session = (struct tc_session){0};
    return rc;
}

static int begin_session(const struct tc_dataset_conf *conf, struct watched *w, int64_t second)
{
    int rc = tc_calendar_next(w->calendar, second, &w->session);
    if (rc < 0)
        return rc;
    int64_t n = (w->session.close - w->session.open) / TC_NS_PER_SEC;
    if (n <= 0 || n > SESSION_SECONDS_MAX)
        return tc_fail(TC_EINPUT, "a session of %lld seconds on %d", (long long)n, w->session.day);
    if (!grow_one(&w->grid.last, (size_t)n, sizeof(double)) ||
        !grow_one(&w->grid.mid, (size_t)n, sizeof(double)))
        return no_memory();
    double ratio =
        conf->split && w->day ? conf->split(conf->split_ctx, w->symbol, w->day, w->session.day) : 1;
    if (ratio != 1)
        tc_features_split(&w->features, ratio);
    w->day = w->session.day;
    w->grid.n = (int32_t)n;
    for (int32_t i = 0; i < w->grid.n; i++)
        w->grid.last[i] = w->grid.mid[i] = NAN;
    if (!w->always)
        w->last = NAN;
    return TC_OK;
}

static int add_row(struct tc_dataset_builder *b, struct watched *w, int32_t index)
{
    const struct tc_bar *bar = &w->pending;
    tc_features_update(&w->features, bar);
    if (!grow_rows(b, w))
        return no_memory();
    struct tc_sequence *s = &w->rows;
    size_t r = s->rows++, nx = (size_t)b->out.n_features;
    double *x = s->x + r * nx;
    bool known = b->conf.raw ? tc_features_raw(&w->features, b->conf.set, x)
                             : tc_features_scaled(&w->features, b->conf.set, x);
    if (!known)
        x[0] = NAN; /* all become 0, with the mask 0, when the targets are made */
    const struct tc_quote *q = &w->quote;
    s->time[r] = bar->start + TC_NS_PER_SEC;
    s->scale[r] = tc_features_scale(&w->features);
    s->close[r] = w->last = bar->close;
    s->mid[r] = tc_quote_mid(q);
    s->micro[r] = tc_quote_microprice(q, bar->quote_lag_ms);
    w->index[r] = index;
    return TC_OK;
}

static int mark_symbol(struct tc_dataset_builder *b, struct watched *w, const struct tc_second *m)
{
    int rc = TC_OK;
    if (w->session.close && m->second >= w->session.close)
        rc = end_session(b, w);
    if (rc == TC_OK && !w->session.close)
        rc = begin_session(&b->conf, w, m->second);
    if (rc < 0)
        return rc;
    bool traded = w->has_pending && w->pending.start == m->second;
    if (traded) {
        w->quote = w->pending.quote;
        w->quote_lag_ms = w->pending.quote_lag_ms;
    }
    if (m->second >= w->session.open) {
        int32_t i = (int32_t)((m->second - w->session.open) / TC_NS_PER_SEC);
        if (traded)
            rc = add_row(b, w, i);
        else if (m->healthy)
            tc_features_silent(&w->features, m->second, &w->quote, w->quote_lag_ms);
        if (m->healthy) {
            w->grid.last[i] = w->last;
            w->grid.mid[i] = tc_quote_mid(&w->quote);
        }
    }
    w->has_pending = false;
    w->second = m->second;
    return rc;
}

static int take_bar(struct tc_dataset_builder *b, const struct tc_bar *bar)
{
    if (!tc_bar_usable(bar))
        return TC_OK;
    int64_t id = tc_symtab_add(b->symbols, bar->symbol);
    if (id < 0)
        return tc_fail(TC_ELIMIT, "more than %d symbols in a training set", SYMBOLS_MAX);
    struct watched *w = b->watched[id];
    if (!w) {
        w = b->watched[id] = calloc(1, sizeof(*w));
        if (!w)
            return no_memory();
        memcpy(w->symbol, bar->symbol, sizeof(w->symbol));
        w->calendar = b->conf.calendar(b->conf.ctx, bar->symbol);
        w->always = tc_calendar_always_open(w->calendar);
        w->second = INT64_MIN;
        w->last = w->quote_lag_ms = NAN;
        w->quote = (struct tc_quote){NAN, NAN, NAN, NAN};
    }
    if (bar->start <= w->second)
        return TC_OK; /* late */
    memcpy(w->feed, bar->feed, sizeof(w->feed));
    if (!w->has_pending)
        w->pending = *bar;
    w->has_pending = true;
    return TC_OK;
}

int tc_dataset_feed(struct tc_dataset_builder *b, const struct tc_record *r)
{
    if (r->type == TC_REC_BAR)
        return take_bar(b, &r->bar);
    if (r->type == TC_REC_QUOTE) {
        int64_t id = tc_symtab_find(b->symbols, r->quote.symbol);
        if (id >= 0 && r->quote.second > b->watched[id]->second) {
            b->watched[id]->quote = r->quote.quote;
            b->watched[id]->quote_lag_ms = r->quote.quote_lag_ms;
        }
    }
    if (r->type != TC_REC_SECOND)
        return TC_OK;
    int rc = TC_OK;
    for (uint32_t i = 0; i < tc_symtab_count(b->symbols) && rc == TC_OK; i++) {
        struct watched *w = b->watched[i];
        if (!strcmp(w->feed, r->second.feed) && r->second.second > w->second)
            rc = mark_symbol(b, w, &r->second);
    }
    return rc;
}

int tc_dataset_finish(struct tc_dataset_builder *b, struct tc_dataset *out)
{
    int rc = TC_OK;
    for (uint32_t i = 0; i < tc_symtab_count(b->symbols) && rc == TC_OK; i++)
        rc = end_session(b, b->watched[i]);
    if (rc == TC_OK) {
        *out = b->out;
        b->out = (struct tc_dataset){0};
    }
    tc_dataset_close(b);
    return rc;
}
