#include "serve/live.h"
#include "base/clock.h"
#include "base/err.h"
#include "market/symtab.h"
#include "serve/models.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODELS_MAX = 32, DAYS_CACHED = 2 };

struct gate {
    enum tc_kind kind;
    int32_t horizon_ms;
    bool open;
};

struct gates { /* of one symbol and model, as of its newest forecast */
    int32_t n;
    struct gate at[TC_POINTS_MAX];
};

struct tc_live {
    const struct tc_server_conf *conf;
    pthread_mutex_t lock;
    struct tc_symtab *names;
    struct tc_live_symbol *symbols;
    struct gates (*gates)[MODELS_MAX];
    char models[MODELS_MAX][TC_MODEL_SIZE];
    int64_t heard[MODELS_MAX]; /* number of the forecast heard last from each */
    int n_models;
    struct tc_live_totals totals;
    int64_t begin;
};

const struct tc_calendar *tc_serve_calendar(const struct tc_server_conf *conf, const char *symbol)
{
    if (conf->n_calendars == 0)
        return NULL;
    if (strchr(symbol, ':'))
        for (size_t i = 0; i < conf->n_calendars; i++)
            if (tc_calendar_always_open(conf->calendars[i]))
                return conf->calendars[i];
    return conf->calendars[0];
}

int tc_live_open(const struct tc_server_conf *conf, struct tc_live **out)
{
    struct tc_live *l = calloc(1, sizeof(*l));
    if (!l)
        return tc_fail(TC_ENOMEM, "no memory for the list of symbols");
    pthread_mutex_init(&l->lock, NULL);
    l->conf = conf;
    /* untouched pages of these take no memory */
    l->symbols = calloc(TC_LIVE_SYMBOLS, sizeof(*l->symbols));
    l->gates = calloc(TC_LIVE_SYMBOLS, sizeof(*l->gates));
    int rc = l->symbols && l->gates ? tc_symtab_open(&l->names, TC_LIVE_SYMBOLS)
                                    : tc_fail(TC_ENOMEM, "no memory for the list of symbols");
    if (rc != TC_OK) {
        tc_live_close(l);
        return rc;
    }
    *out = l;
    return TC_OK;
}

void tc_live_close(struct tc_live *l)
{
    if (!l)
        return;
    if (l->names)
        tc_symtab_close(l->names);
    free(l->symbols);
    free(l->gates);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static struct tc_live_symbol *symbol_of(struct tc_live *l, const char *name)
{
    uint32_t before = tc_symtab_count(l->names);
    int64_t id = tc_symtab_add(l->names, name);
    if (id < 0)
        return NULL;
    struct tc_live_symbol *s = &l->symbols[id];
    if ((uint32_t)id == before) {
        snprintf(s->symbol, sizeof(s->symbol), "%s", name);
        s->calendar = tc_serve_calendar(l->conf, name);
        s->last = s->open = NAN;
        s->quote = (struct tc_quote){NAN, NAN, NAN, NAN};
        s->session_open = INT64_MAX;
    }
    return s;
}

static int32_t day_of(const struct tc_calendar *c, int64_t t)
{
    return c ? tc_calendar_day(c, t) : tc_date_utc(t);
}

static int64_t open_of(const struct tc_calendar *c, int32_t day)
{
    struct tc_session session;
    if (!c)
        return tc_days_from_date(day) * 86400 * TC_NS_PER_SEC;
    if (tc_calendar_session(c, day, &session) != TC_OK)
        return INT64_MAX;
    return session.open;
}

static int64_t midnight_of(const struct tc_calendar *c, int32_t day)
{
    return c ? tc_calendar_local_midnight(c, day) : tc_days_from_date(day) * 86400 * TC_NS_PER_SEC;
}

static void start_day(const struct tc_live *l, struct tc_live_symbol *s, int32_t day)
{
    s->day = day;
    s->session_open = open_of(s->calendar, day);
    if (s->session_open < l->begin)
        s->session_open = INT64_MAX; /* its first price is not known */
    s->open = NAN;
    s->volume = midnight_of(s->calendar, day) < l->begin ? NAN : 0;
}

void tc_live_begin(struct tc_live *l, int64_t begin)
{
    pthread_mutex_lock(&l->lock);
    l->begin = begin;
    pthread_mutex_unlock(&l->lock);
}

static void take_bar(struct tc_live *l, const struct tc_bar *b)
{
    struct tc_live_symbol *s = symbol_of(l, b->symbol);
    int64_t end = b->start + b->interval_ms * TC_NS_PER_MS;
    l->totals.bars++;
    if (b->revision > 0)
        l->totals.revised++;
    else if (l->totals.second && b->start <= l->totals.second)
        l->totals.late++;
    if (end > l->totals.data_time)
        l->totals.data_time = end;
    if (!s || b->start < s->last_start)
        return;
    bool again = b->start == s->last_start;
    if (!again) {
        int32_t day = day_of(s->calendar, b->start);
        if (day != s->day)
            start_day(l, s, day);
        s->volume += b->volume;
        s->n_spark++;
    }
    memcpy(s->feed, b->feed, sizeof(s->feed));
    s->last_start = b->start;
    s->last_time = end;
    s->last = b->close;
    s->quote = b->quote;
    if (s->n_spark)
        s->spark[(s->n_spark - 1) % TC_SPARK] = b->close;
    if (isnan(s->open) && b->start >= s->session_open)
        s->open = b->open;
}

/* Models come and go while running: a new one takes the place of that unheard of for longest. */
static int model_of(struct tc_live *l, const char *id)
{
    int place = l->n_models < MODELS_MAX ? l->n_models : 0;
    for (int i = 0; i < l->n_models; i++) {
        if (!strcmp(l->models[i], id)) {
            l->heard[i] = l->totals.forecasts;
            return i;
        }
        if (l->n_models == MODELS_MAX && l->heard[i] < l->heard[place])
            place = i;
    }
    if (l->n_models < MODELS_MAX)
        l->n_models++;
    for (uint32_t s = 0; s < tc_symtab_count(l->names); s++)
        l->gates[s][place].n = 0;
    snprintf(l->models[place], TC_MODEL_SIZE, "%s", id);
    l->heard[place] = l->totals.forecasts;
    return place;
}

static void take_point(struct tc_live_symbol *s, const struct tc_point *p)
{
    struct tc_live_point *to = NULL;
    if (p->kind == TC_KIND_NEXT)
        to = &s->next;
    else if (p->kind == TC_KIND_LAST && p->horizon_ms == 60000)
        to = &s->last60;
    if (to)
        *to = (struct tc_live_point){
            .known = true, .gate_open = p->gate_open, .value = p->value, .lo = p->lo, .hi = p->hi};
}

static void take_forecast(struct tc_live *l, const struct tc_forecast *f)
{
    l->totals.forecasts++;
    struct tc_live_symbol *s = symbol_of(l, f->symbol);
    int model = model_of(l, f->model);
    if (!s)
        return;
    bool preferred = tc_models_is_first(l->conf->models, f->model);
    bool external = strstr(f->model, "@external") != NULL;
    struct gates *g = &l->gates[s - l->symbols][model];
    g->n = 0;
    for (int32_t i = 0; i < f->n_points && i < TC_POINTS_MAX; i++) {
        const struct tc_point *p = &f->points[i];
        g->at[g->n++] = (struct gate){p->kind, p->horizon_ms, p->gate_open};
        if (preferred || (!s->preferred && !external))
            take_point(s, p);
    }
    s->preferred = s->preferred || preferred;
}

static void take_gap(struct tc_live *l, const struct tc_gap *g)
{
    l->totals.gaps++;
    int32_t day = day_of(tc_serve_calendar(l->conf, g->symbol), g->start);
    if (day > l->totals.day) {
        l->totals.day = day;
        l->totals.gaps_day = 0;
    }
    l->totals.gaps_day += day == l->totals.day;
}

static void take_second(struct tc_live *l, const struct tc_second *m)
{
    if (m->second > l->totals.second)
        l->totals.second = m->second;
    l->totals.healthy = m->healthy;
    int32_t day = day_of(tc_serve_calendar(l->conf, ""), m->second);
    if (day > l->totals.day) {
        l->totals.day = day;
        l->totals.gaps_day = 0;
    }
}

void tc_live_take(struct tc_live *l, const struct tc_record *r)
{
    pthread_mutex_lock(&l->lock);
    switch (r->type) {
    case TC_REC_BAR:
        take_bar(l, &r->bar);
        break;
    case TC_REC_QUOTE: {
        struct tc_live_symbol *s = symbol_of(l, r->quote.symbol);
        if (s)
            s->quote = r->quote.quote;
        break;
    }
    case TC_REC_SECOND:
        take_second(l, &r->second);
        break;
    case TC_REC_GAP:
        take_gap(l, &r->gap);
        break;
    case TC_REC_FORECAST:
        take_forecast(l, &r->forecast);
        break;
    default:
        break;
    }
    l->totals.ended = r->type == TC_REC_END || (l->totals.ended && r->type >= TC_REC_FORECAST);
    pthread_mutex_unlock(&l->lock);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tc_live_symbol *)a)->symbol, ((const struct tc_live_symbol *)b)->symbol);
}

int tc_live_copy(struct tc_live *l, struct tc_live_symbol **out, size_t *n)
{
    pthread_mutex_lock(&l->lock);
    *n = tc_symtab_count(l->names);
    *out = malloc((*n ? *n : 1) * sizeof(**out));
    if (*out)
        memcpy(*out, l->symbols, *n * sizeof(**out));
    pthread_mutex_unlock(&l->lock);
    if (!*out)
        return tc_fail(TC_ENOMEM, "no memory to copy %zu symbols", *n);
    qsort(*out, *n, sizeof(**out), by_name);
    return TC_OK;
}

void tc_live_totals(struct tc_live *l, struct tc_live_totals *out)
{
    pthread_mutex_lock(&l->lock);
    *out = l->totals;
    pthread_mutex_unlock(&l->lock);
}

static int gate_of(const struct gates *g, enum tc_kind kind, int32_t horizon_ms)
{
    for (int32_t i = 0; i < g->n; i++)
        if (g->at[i].kind == kind && g->at[i].horizon_ms == horizon_ms)
            return g->at[i].open;
    return -1;
}

int tc_live_gate(struct tc_live *l, const char *symbol, const char *model, enum tc_kind kind,
                 int32_t horizon_ms)
{
    int found = -1;
    pthread_mutex_lock(&l->lock);
    int m = 0;
    while (m < l->n_models && strcmp(l->models[m], model) != 0)
        m++;
    int64_t id = tc_symtab_find(l->names, symbol);
    if (m < l->n_models && id >= 0)
        found = gate_of(&l->gates[id][m], kind, horizon_ms);
    else if (m < l->n_models && !strcmp(symbol, "*"))
        for (uint32_t i = 0; i < tc_symtab_count(l->names) && found < 1; i++) {
            int g = gate_of(&l->gates[i][m], kind, horizon_ms);
            found = g > found ? g : found;
        }
    pthread_mutex_unlock(&l->lock);
    return found;
}

bool tc_live_knows(struct tc_live *l, const char *symbol)
{
    pthread_mutex_lock(&l->lock);
    bool yes = tc_symtab_find(l->names, symbol) >= 0;
    pthread_mutex_unlock(&l->lock);
    return yes;
}
