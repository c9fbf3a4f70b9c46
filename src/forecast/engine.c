#include "base/clock.h"
#include "base/err.h"
#include "forecast/engine_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

_Static_assert(sizeof(struct symbol) % 8 == 0 && sizeof(struct origin) % 8 == 0, "no padding at the end");

void tc_engine_conf_default(struct tc_engine_conf *conf)
{
    *conf = (struct tc_engine_conf){
        .symbols = 7, .level = TC_SET_Q18, .n_horizons = 3, .horizons_ms = {1000, 10000, 60000}};
}

static int check_conf(const struct tc_engine_conf *c)
{
    if (c->symbols == 0)
        return tc_fail(TC_ECONF, "forecasts for no symbols");
    if (c->n_horizons < 1 || c->n_horizons > TC_HORIZONS_MAX)
        return tc_fail(TC_ECONF, "%d horizons; 1 to %d are possible", c->n_horizons, TC_HORIZONS_MAX);
    for (int i = 0; i < c->n_horizons; i++) {
        int32_t h = c->horizons_ms[i];
        if (h < 1000 || h > 300000 || h % 1000 || (i && h <= c->horizons_ms[i - 1]))
            return tc_fail(TC_ECONF, "horizon %d ms: horizons are whole seconds, 1 to 300, rising", h);
    }
    if ((int)c->level >= TC_LEVELS)
        return tc_fail(TC_ECONF, "inputs %s: only T14, K11 and Q18 are levels", tc_set_name(c->level));
    if (c->n_networks < 0 || c->n_networks > TC_ENGINE_MODELS_MAX)
        return tc_fail(TC_ECONF, "%d networks; at most %d run side by side", c->n_networks,
                       TC_ENGINE_MODELS_MAX);
    return TC_OK;
}

/* The penalty grows with the horizon: less can be known, and targets that overlap say less than their number
 * (docs/forecasting.md). */
static struct tc_ridge_penalty penalty_of(int32_t horizon_ms)
{
    double s = horizon_ms < 1000 ? 1 : horizon_ms / 1000.0;
    return (struct tc_ridge_penalty){.lambda = s <= 1 ? 0.03 : 1, .rows = 150 + 50 * s};
}

static void make_points(struct tc_engine *e)
{
    e->points[e->n_points++] = (struct point){TC_KIND_NEXT, 0, penalty_of(0)};
    for (int k = TC_KIND_LAST; k <= TC_KIND_MID; k++)
        for (int i = 0; i < e->conf.n_horizons; i++) {
            int32_t h = e->conf.horizons_ms[i];
            e->points[e->n_points++] = (struct point){(enum tc_kind)k, h, penalty_of(h)};
        }
}

/* Bytes of a network's name that it shares with its like of other levels: "lstm-1x48-q18@..." has
 * "lstm-1x48".
 */
static size_t family(const struct network *n)
{
    size_t len = strcspn(n->info->id, "@"), tail = strlen(n->info->inputs);
    bool named = len > tail + 1 && n->info->id[len - tail - 1] == '-' &&
                 !strncasecmp(n->info->id + len - tail, n->info->inputs, tail);
    return named ? len - tail - 1 : len;
}

/* Of networks that differ in their level alone, one speaks: that of the highest level whose inputs are known.
 */
static void find_families(struct tc_engine *e)
{
    for (int k = 0; k < e->conf.n_networks; k++)
        for (int i = 0; i < e->conf.n_networks; i++) {
            const struct network *high = &e->networks[k], *low = &e->networks[i];
            size_t n = family(high);
            e->networks[k].closes[i] = !low->price && !high->price && low->level < high->level &&
                                       n == family(low) && !strncmp(high->info->id, low->info->id, n);
        }
}

static int make_models(struct tc_engine *e)
{
    static const char *const base[TC_ME_NETWORK] = {"persistence", "reversal", "microprice", "ridge", "mean"};
    for (int m = 0; m < TC_ME_NETWORK; m++)
        snprintf(e->names[m], sizeof(e->names[m]), "%s", base[m]);
    e->n_models = TC_ME_NETWORK + e->conf.n_networks;
    for (int k = 0; k < e->conf.n_networks; k++) {
        struct network *n = &e->networks[k];
        n->model = e->conf.networks[k];
        n->info = tc_model_info(n->model);
        snprintf(e->names[TC_ME_NETWORK + k], TC_MODEL_SIZE, "%s", n->info->id);
        int rc = tc_engine_check_network(e, n);
        if (rc < 0)
            return rc;
    }
    if (e->conf.retired[0])
        memcpy(e->names[e->n_models++], e->conf.retired, TC_MODEL_SIZE);
    find_families(e);
    for (int k = 0; k < e->conf.n_networks; k++) {
        int32_t seen_to = tc_model_seen_to(e->networks[k].info);
        e->seen_to[TC_ME_NETWORK + k] = seen_to;
        if (seen_to > e->seen_to[TC_ME_MEAN])
            e->seen_to[TC_ME_MEAN] = seen_to;
    }
    return TC_OK;
}

static size_t take(size_t *at, size_t bytes)
{
    size_t here = *at;
    *at = (here + bytes + 7) & ~(size_t)7;
    return here;
}

static size_t take_aligned(size_t *at, size_t bytes)
{
    *at = (*at + 63) & ~(size_t)63;
    return take(at, bytes);
}

static void lay_out(struct tc_engine *e)
{
    struct layout *l = &e->at;
    size_t P = (size_t)e->n_points, MP = P * (size_t)e->n_models, d = sizeof(double), o = 0, n = 0, at = 0;
    take(&o, sizeof(struct origin));
    l->outcome = take(&o, P * d);
    l->x = take(&o, TC_FEATURE_COUNT * sizeof(float));
    l->ridge = take(&o, TC_LEVELS * P * sizeof(float));
    l->move = take(&o, MP * sizeof(float));
    l->half = take(&o, MP * sizeof(float));
    l->median = take(&o, MP * sizeof(float));
    l->chance = take(&o, 2 * MP * sizeof(float));
    l->gate = take(&o, (size_t)e->n_models * sizeof(uint32_t));
    l->origin_size = o;
    for (int k = 0; k < e->conf.n_networks; k++)
        l->network[k] = take_aligned(&n, tc_model_state_size(e->networks[k].model));
    size_t bank = 0;
    l->gates_open = take(&bank, (size_t)e->n_models * sizeof(uint32_t));
    l->bands = take(&bank, MP * sizeof(struct tc_band));
    l->gates = take(&bank, MP * sizeof(struct tc_gate));
    l->chances = take(&bank, MP * sizeof(struct tc_chance));
    l->sums = take(&bank, MP * sizeof(struct sums));
    l->bank_size = bank;
    take(&at, sizeof(struct symbol));
    l->head = take(&at, P * sizeof(int64_t));
    l->ridge_b = take(&at, TC_LEVELS * P * TC_RIDGE_DIM * d);
    l->ridge_w = take(&at, TC_LEVELS * P * TC_RIDGE_DIM * d);
    l->phi_xy = take(&at, P * d);
    l->phi_xx = take(&at, P * d);
    l->y_square = take(&at, P * d);
    l->banks = take(&at, TC_LEVELS * bank);
    l->networks = take_aligned(&at, n);
    l->origins = take(&at, (size_t)e->ring * o);
    l->size = (at + 63) & ~(size_t)63;
}

static int take_memory(struct tc_engine *e)
{
    size_t n = e->conf.symbols;
    e->blocks = aligned_alloc(64, n * e->at.size);
    e->calendars = calloc(n, sizeof(*e->calendars));
    e->active = calloc(n, sizeof(*e->active));
    e->inputs = calloc(n * TC_MODEL_FEATURES_MAX, sizeof(double));
    e->outputs = calloc(n * TC_MODEL_TARGETS_MAX, sizeof(double));
    if (!e->blocks || !e->calendars || !e->active || !e->inputs || !e->outputs)
        return tc_fail(TC_ENOMEM, "no memory to forecast %zu symbols", n);
    memset(e->blocks, 0, n * e->at.size);
    int rc = tc_engine_open_networks(e);
    return rc ? rc : tc_symtab_open(&e->symbols, e->conf.symbols);
}

int tc_engine_open(const struct tc_engine_conf *conf, struct tc_engine **out)
{
    int rc = check_conf(conf);
    if (rc < 0)
        return rc;
    struct tc_engine *e = calloc(1, sizeof(*e));
    if (!e)
        return tc_fail(TC_ENOMEM, "no memory for the forecast engine");
    e->conf = *conf;
    if (!e->conf.score_every_s)
        e->conf.score_every_s = 10 * (1 + (int32_t)(conf->symbols / 32)); /* bounds the records a second */
    e->ring = conf->horizons_ms[conf->n_horizons - 1] / 1000 + 2;
    for (int i = 0; i <= FORGET_MAX_S; i++)
        e->keep[i] = exp2(-(double)i / HALF_LIFE_S);
    make_points(e);
    rc = make_models(e);
    if (rc == TC_OK) {
        lay_out(e);
        rc = take_memory(e);
    }
    if (rc < 0) {
        tc_engine_close(e);
        return rc;
    }
    *out = e;
    return TC_OK;
}

void tc_engine_close(struct tc_engine *e)
{
    if (!e)
        return;
    tc_symtab_close(e->symbols);
    free(e->calendars);
    free(e->blocks);
    free(e->active);
    tc_engine_close_networks(e);
    free(e->inputs);
    free(e->outputs);
    free(e);
}

int tc_engine_emit(struct tc_engine *e)
{
    if (e->muted)
        return TC_OK;
    e->out.from = e->offset;
    return e->emit(e->emit_ctx, &e->out);
}

static struct symbol *add_symbol(struct tc_engine *e, const char *name, const char *feed)
{
    int64_t id = tc_symtab_add(e->symbols, name);
    if (id < 0) {
        tc_fail(TC_ELIMIT, "symbol %s is one more than the %u the forecasts have room for", name,
                e->conf.symbols);
        return NULL;
    }
    struct symbol *s = symbol_at(e, (uint32_t)id);
    if (!e->calendars[id]) {
        e->calendars[id] = e->conf.calendar(e->conf.calendar_ctx, name);
        if (!s->name[0]) { /* not restored */
            snprintf(s->name, sizeof(s->name), "%s", name);
            s->always = tc_calendar_always_open(e->calendars[id]);
            tc_engine_symbol_init(e, s);
        }
    }
    if (strncmp(s->feed, feed, sizeof(s->feed))) {
        memset(s->feed, 0, sizeof(s->feed));
        snprintf(s->feed, sizeof(s->feed), "%s", feed);
    }
    return s;
}

static int feed_bar(struct tc_engine *e, const struct tc_bar *b)
{
    if (!tc_bar_usable(b))
        return TC_OK;
    struct symbol *s = add_symbol(e, b->symbol, b->feed);
    if (!s)
        return TC_ELIMIT;
    if (b->start <= s->second || s->pending.there)
        return TC_OK; /* late, or a second version of what waits for its marker */
    s->pending = (struct pending){.start = b->start,
                                  .available = b->available,
                                  .open = b->open,
                                  .high = b->high,
                                  .low = b->low,
                                  .close = b->close,
                                  .vwap = b->vwap,
                                  .volume = b->volume,
                                  .trades = b->trades,
                                  .quote = b->quote,
                                  .quote_lag_ms = b->quote_lag_ms,
                                  .tape = b->tape,
                                  .there = 1};
    return TC_OK;
}

static void feed_quote(struct tc_engine *e, const struct tc_second_quote *q)
{
    int64_t id = tc_symtab_find(e->symbols, q->symbol);
    if (id < 0)
        return;
    struct symbol *s = symbol_at(e, (uint32_t)id);
    if (q->second <= s->second)
        return;
    s->quote = q->quote;
    s->quote_lag_ms = q->quote_lag_ms;
    s->quote_available = q->available;
}

static int feed_gap(struct tc_engine *e, const struct tc_gap *g)
{
    for (uint32_t i = 0; i < tc_symtab_count(e->symbols); i++) {
        struct symbol *s = symbol_at(e, i);
        bool named = !strcmp(g->symbol, "*") ? !strcmp(g->feed, s->feed) : !strcmp(g->symbol, s->name);
        if (!named || g->end <= s->second)
            continue;
        s->stale = STALE_BARS;
        int rc = tc_engine_void(e, s);
        if (rc < 0)
            return rc;
    }
    return TC_OK;
}

static int end_session(struct tc_engine *e, struct symbol *s)
{
    int rc = tc_engine_void(e, s);
    if (rc == TC_OK && !s->always) /* an always-open market has no last second to report at */
        rc = tc_engine_roll(e, s, INT64_MAX);
    s->close = 0;
    if (s->always)
        return rc;
    s->last = NAN;
    s->stale = 0;
    tc_features_session(&s->features);
    for (int k = 0; k < e->conf.n_networks; k++)
        tc_model_state_reset(e->networks[k].model, network_state(e, s, k));
    return rc;
}

/* Session dates follow; an always-open market goes on through midnight with everything it has. */
static int follow_session(struct tc_engine *e, struct symbol *s, int64_t second)
{
    if (s->close && second >= s->close) {
        if (s->always) {
            s->close = 0;
        } else {
            int rc = end_session(e, s);
            if (rc < 0)
                return rc;
        }
    }
    if (s->close)
        return TC_OK;
    struct tc_session session;
    int rc = tc_calendar_next(e->calendars[symbol_index(e, s)], second, &session);
    if (rc < 0)
        return rc;
    if (e->conf.split && s->day && s->day < session.day) {
        double ratio = e->conf.split(e->conf.split_ctx, tc_symtab_name(e->symbols, symbol_index(e, s)),
                                     s->day, session.day);
        if (ratio != 1)
            tc_features_split(&s->features, ratio);
    }
    s->open = session.open;
    s->close = session.close;
    s->day = session.day;
    return TC_OK;
}

static struct tc_bar bar_of(const struct symbol *s)
{
    const struct pending *p = &s->pending;
    struct tc_bar b = {.start = p->start,
                       .open = p->open,
                       .high = p->high,
                       .low = p->low,
                       .close = p->close,
                       .vwap = p->vwap,
                       .volume = p->volume,
                       .trades = (int32_t)p->trades,
                       .quote = p->quote,
                       .quote_lag_ms = p->quote_lag_ms,
                       .tape = p->tape};
    memcpy(b.symbol, s->name, sizeof(b.symbol) - 1);
    return b;
}

/* The features after the bar, and which levels they make. */
static void look_at(const struct tc_engine *e, struct active *a)
{
    double picked[TC_FEATURES_MAX];
    tc_features_all(&a->s->features, false, a->x);
    a->level = 0;
    for (int l = 0; l < TC_LEVELS; l++) {
        a->known[l] = l <= (int)e->conf.level && tc_set_pick((enum tc_feature_set)l, a->x, picked);
        if (a->known[l])
            a->level = l;
    }
}

/* What the marker says of one symbol: its second is over, what was waited for may be known. */
static int mark_symbol(struct tc_engine *e, struct symbol *s, const struct tc_second *m, size_t *n_active)
{
    int rc = follow_session(e, s, m->second);
    if (rc < 0)
        return rc;
    bool traded = s->pending.there && s->pending.start == m->second;
    s->pending.there = 0;
    bool hole = !m->healthy || (m->second > s->second + TC_NS_PER_SEC && s->second >= s->open);
    if (hole)
        s->stale = STALE_BARS;
    s->second = m->second;
    if (traded) {
        s->quote = s->pending.quote;
        s->quote_lag_ms = s->pending.quote_lag_ms;
        s->quote_available = s->pending.available;
    }
    if (m->second < s->open)
        return TC_OK;
    rc = tc_engine_roll(e, s, m->second);
    if (rc < 0)
        return rc;
    if (traded)
        s->last = s->pending.close;
    rc = tc_engine_resolve(e, s, m, traded, hole);
    if (rc < 0)
        return rc;
    if (!traded) {
        if (m->healthy)
            tc_features_silent(&s->features, m->second, &s->quote, s->quote_lag_ms);
        return TC_OK;
    }
    struct tc_bar b = bar_of(s);
    tc_features_update(&s->features, &b);
    struct active *a = &e->active[(*n_active)++];
    a->s = s;
    look_at(e, a);
    tc_engine_take_bands(e, a);
    return TC_OK;
}

static int close_symbol(struct tc_engine *e, struct symbol *s, const struct tc_second *m)
{
    int64_t end = m->second + TC_NS_PER_SEC;
    if (!s->always && s->close && end >= s->close && m->second >= s->open)
        return end_session(e, s);
    uint32_t every = (uint32_t)e->conf.score_every_s;
    if ((uint64_t)(m->second / TC_NS_PER_SEC) % every == symbol_index(e, s) % every)
        return tc_engine_publish_scores(e, s);
    return TC_OK;
}

static int feed_second(struct tc_engine *e, const struct tc_second *m)
{
    size_t n_active = 0;
    uint32_t n = tc_symtab_count(e->symbols);
    for (uint32_t i = 0; i < n; i++) {
        struct symbol *s = symbol_at(e, i);
        if (strncmp(s->feed, m->feed, sizeof(s->feed)) || m->second <= s->second)
            continue;
        int rc = mark_symbol(e, s, m, &n_active);
        if (rc < 0)
            return rc;
    }
    int rc = tc_engine_forecast(e, n_active, m);
    for (uint32_t i = 0; i < n && rc == TC_OK; i++)
        if (symbol_at(e, i)->second == m->second)
            rc = close_symbol(e, symbol_at(e, i), m);
    if (m->second + TC_NS_PER_SEC > e->time)
        e->time = m->second + TC_NS_PER_SEC;
    return rc;
}

int tc_engine_feed(struct tc_engine *e, const struct tc_record *r, int64_t offset, tc_emit_fn emit, void *ctx)
{
    e->offset = offset;
    e->emit = emit;
    e->emit_ctx = ctx;
    switch (r->type) {
    case TC_REC_BAR:
        return feed_bar(e, &r->bar);
    case TC_REC_QUOTE:
        feed_quote(e, &r->quote);
        return TC_OK;
    case TC_REC_SECOND:
        return feed_second(e, &r->second);
    case TC_REC_GAP:
        return feed_gap(e, &r->gap);
    default:
        return TC_OK;
    }
}

int tc_engine_flush_scores(struct tc_engine *e, int64_t offset, tc_emit_fn emit, void *ctx)
{
    e->offset = offset;
    e->emit = emit;
    e->emit_ctx = ctx;
    int rc = TC_OK;
    for (uint32_t i = 0; i < tc_symtab_count(e->symbols) && rc == TC_OK; i++)
        rc = tc_engine_publish_scores(e, symbol_at(e, i));
    return rc;
}

void tc_engine_mute(struct tc_engine *e, bool muted)
{
    e->muted = muted;
}

void tc_engine_set_clock(struct tc_engine *e, int64_t (*now)(void))
{
    e->conf.now = now;
}

int64_t tc_engine_time(const struct tc_engine *e)
{
    return e->time;
}

const char *tc_engine_model(const struct tc_engine *e, int32_t model)
{
    return model >= 0 && model < e->n_models ? e->names[model] : NULL;
}

int32_t tc_engine_models(const struct tc_engine *e)
{
    return e->n_models;
}

int32_t tc_engine_points(const struct tc_engine *e)
{
    return e->n_points;
}

void tc_engine_point(const struct tc_engine *e, int32_t point, enum tc_kind *kind, int32_t *horizon_ms)
{
    *kind = e->points[point].kind;
    *horizon_ms = e->points[point].horizon_ms;
}

const char *tc_engine_symbol(const struct tc_engine *e, uint32_t symbol)
{
    return tc_symtab_name(e->symbols, symbol);
}

uint32_t tc_engine_symbols(const struct tc_engine *e)
{
    return tc_symtab_count(e->symbols);
}

size_t tc_engine_symbol_bytes(const struct tc_engine *e)
{
    return e->at.size;
}
