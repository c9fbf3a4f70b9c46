#include "forecast/backtest.h"
#include "base/clock.h"
#include "base/err.h"
#include "forecast/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tc_backtest {
    struct tc_backtest_conf conf;
    struct tc_engine *engine;
    struct tc_backtest_cell *cells; /* symbols x models x points */
    const struct tc_calendar **calendars;
    int32_t trained_to[TC_ENGINE_MODELS_MAX], all_trained_to;
    int32_t first, last; /* days reported */
    bool no_memory;
};

static struct tc_backtest_cell *cell_at(const struct tc_backtest *b, uint32_t s, int32_t m, int32_t p)
{
    size_t models = (size_t)tc_engine_models(b->engine), points = (size_t)tc_engine_points(b->engine);
    return &b->cells[(s * models + (size_t)m) * points + (size_t)p];
}

static bool keep(struct tc_backtest_cell *c, double d_persist, double d_ridge)
{
    if (c->n == c->capacity) {
        size_t more = c->capacity ? 2 * c->capacity : 1024;
        float *p = realloc(c->d_persist, more * sizeof(float));
        if (!p)
            return false;
        c->d_persist = p;
        p = realloc(c->d_ridge, more * sizeof(float));
        if (!p)
            return false;
        c->d_ridge = p;
        c->capacity = more;
    }
    c->d_persist[c->n] = (float)d_persist;
    c->d_ridge[c->n++] = (float)d_ridge;
    return true;
}

static struct tc_score_sums *day_of(struct tc_backtest_cell *c, int32_t day)
{
    if (c->n_days && c->days[c->n_days - 1].day == day)
        return &c->days[c->n_days - 1].sums;
    for (size_t i = 0; i < c->n_days; i++)
        if (c->days[i].day == day)
            return &c->days[i].sums;
    struct tc_backtest_day *more = realloc(c->days, (c->n_days + 1) * sizeof(*more));
    if (!more)
        return NULL;
    c->days = more;
    c->days[c->n_days] = (struct tc_backtest_day){.day = day};
    return &c->days[c->n_days++].sums;
}

static void add_pictures(struct tc_backtest_cell *c, const struct tc_sample *x, double half)
{
    if (half > 0) {
        double at = (x->move - x->forecast) / half * 4; /* quarters of the half width */
        int bin = at < -12 ? 0 : at >= 12 ? TC_RESIDUAL_BINS - 1 : (int)floor(at) + 13;
        c->residual[bin]++;
    }
    int came = 1 + tc_score_sign(x->move, x->base);
    for (int i = 0; i < 3 && !isnan(x->p[0]) && !isnan(x->p[1]) && !isnan(x->p[2]); i++) {
        int bin = (int)(x->p[i] * TC_PROBABILITY_BINS);
        bin = bin < 0 ? 0 : bin >= TC_PROBABILITY_BINS ? TC_PROBABILITY_BINS - 1 : bin;
        c->reliability[i].n[bin]++;
        c->reliability[i].said[bin] += x->p[i];
        c->reliability[i].came[bin] += i == came;
    }
}

static void add_levels(struct tc_backtest_cell *c, const struct tc_resolved *r, const struct tc_sample *x,
                       int highest)
{
    double y = r->move;
    tc_score_add(&c->level[r->level], x);
    if (!isnan(r->median)) {
        c->abs_median += fabs(y - r->median);
        c->abs_persist_median += fabs(y);
    }
    if (r->model != TC_ME_RIDGE)
        return;
    for (int l = 0; l <= highest; l++)
        if (isnan(r->ridge_at[l]))
            return;
    c->common.n++;
    c->common.sq_persist += y * y;
    for (int l = 0; l <= highest; l++)
        c->common.sq_ridge[l] += (y - r->ridge_at[l]) * (y - r->ridge_at[l]);
}

static bool add(struct tc_backtest_cell *c, int highest, int64_t slot, int32_t day,
                const struct tc_resolved *r)
{
    struct tc_sample x;
    tc_resolved_sample(r, &x);
    double y = r->move, e = y - r->forecast, er = y - r->ridge;
    double shown = r->gate_open ? e * e : y * y;
    c->open += r->gate_open;
    c->sq_shown += shown;
    if (tc_score_flagged(y, x.base, x.horizon_ms))
        c->shown_flagged += shown;
    tc_score_add(&c->total.sums, &x);
    tc_score_add(&c->slot[slot].sums, &x);
    add_pictures(c, &x, r->half);
    add_levels(c, r, &x, highest);
    struct tc_score_sums *of_day = day_of(c, day);
    if (of_day)
        tc_score_add(of_day, &x);
    return of_day && keep(c, y * y - e * e, er * er - e * e);
}

static void on_resolved(void *ctx, const struct tc_resolved *r)
{
    struct tc_backtest *b = ctx;
    const struct tc_calendar *c = b->calendars[r->symbol];
    if (!c) {
        c = b->conf.engine.calendar(b->conf.engine.calendar_ctx, tc_engine_symbol(b->engine, r->symbol));
        b->calendars[r->symbol] = c;
    }
    int64_t second = r->origin_time - TC_NS_PER_SEC;
    int32_t day = tc_calendar_day(c, second);
    if ((b->conf.report_from && day < b->conf.report_from) || (b->conf.report_to && day > b->conf.report_to))
        return;
    struct tc_backtest_cell *cell = cell_at(b, r->symbol, r->model, r->point);
    int32_t trained_to = r->model >= TC_ME_NETWORK ? b->trained_to[r->model - TC_ME_NETWORK]
                         : r->model == TC_ME_MEAN  ? b->all_trained_to
                                                   : 0;
    if (day <= trained_to) {
        cell->in_sample++;
        return;
    }
    b->first = b->first && b->first < day ? b->first : day;
    b->last = b->last > day ? b->last : day;
    int64_t slot = (second / TC_NS_PER_SEC + tc_calendar_offset_s(c, second)) / 1800 % 48;
    if (!add(cell, (int)b->conf.engine.level, slot, day, r))
        b->no_memory = true;
}

static int drop(void *ctx, const struct tc_record *r)
{
    (void)ctx;
    (void)r;
    return TC_OK;
}

int tc_backtest_open(const struct tc_backtest_conf *conf, struct tc_backtest **out)
{
    struct tc_backtest *b = calloc(1, sizeof(*b));
    if (!b)
        return tc_fail(TC_ENOMEM, "no memory for a back-test");
    b->conf = *conf;
    struct tc_engine_conf engine = conf->engine;
    engine.resolved = on_resolved;
    engine.resolved_ctx = b;
    int rc = tc_engine_open(&engine, &b->engine);
    if (rc < 0) {
        tc_backtest_close(b);
        return rc;
    }
    size_t n =
        conf->engine.symbols * (size_t)tc_engine_models(b->engine) * (size_t)tc_engine_points(b->engine);
    b->cells = calloc(n, sizeof(*b->cells));
    b->calendars = calloc(conf->engine.symbols, sizeof(*b->calendars));
    if (!b->cells || !b->calendars) {
        tc_backtest_close(b);
        return tc_fail(TC_ENOMEM, "no memory for a back-test of %u symbols", conf->engine.symbols);
    }
    for (int k = 0; k < conf->engine.n_networks;
         k++) { /* the validation span chose the epoch: it was seen too */
        b->trained_to[k] = tc_model_seen_to(tc_model_info(conf->engine.networks[k]));
        if (b->trained_to[k] > b->all_trained_to)
            b->all_trained_to = b->trained_to[k];
    }
    *out = b;
    return TC_OK;
}

int tc_backtest_feed(struct tc_backtest *b, const struct tc_record *r, int64_t offset)
{
    int rc = tc_engine_feed(b->engine, r, offset, drop, NULL);
    if (rc == TC_OK && b->no_memory)
        rc = tc_fail(TC_ENOMEM, "no memory for the samples of the back-test");
    return rc;
}

void tc_backtest_close(struct tc_backtest *b)
{
    if (!b)
        return;
    if (b->cells) {
        size_t n = b->conf.engine.symbols * (size_t)tc_engine_models(b->engine) *
                   (size_t)tc_engine_points(b->engine);
        for (size_t i = 0; i < n; i++) {
            free(b->cells[i].d_persist);
            free(b->cells[i].d_ridge);
            free(b->cells[i].days);
        }
    }
    tc_engine_close(b->engine);
    free(b->cells);
    free(b->calendars);
    free(b);
}

const struct tc_engine *tc_backtest_engine(const struct tc_backtest *b)
{
    return b->engine;
}

const struct tc_backtest_cell *tc_backtest_cell(const struct tc_backtest *b, uint32_t symbol, int32_t model,
                                                int32_t point)
{
    const struct tc_backtest_cell *c = cell_at(b, symbol, model, point);
    return c->n ? c : NULL;
}

static double newey_west(const float *d, size_t n, int32_t lags, double *se)
{
    double *wide = malloc((n + 1) * sizeof(double));
    *se = NAN;
    if (!wide)
        return NAN;
    for (size_t i = 0; i < n; i++)
        wide[i] = d[i];
    double t = tc_newey_west_t(wide, n, lags, se);
    free(wide);
    return t;
}

static enum tc_feature_set usual_level(const struct tc_backtest_cell *c)
{
    int usual = 0;
    for (int l = 1; l < TC_LEVELS; l++)
        if (c->level[l].n > c->level[usual].n)
            usual = l;
    return (enum tc_feature_set)usual;
}

bool tc_backtest_row(const struct tc_backtest *b, uint32_t symbol, int32_t model, int32_t point,
                     struct tc_backtest_row *out)
{
    const struct tc_backtest_cell *c = cell_at(b, symbol, model, point);
    if (!c->n && !c->in_sample)
        return false;
    *out = (struct tc_backtest_row){.symbol = tc_engine_symbol(b->engine, symbol),
                                    .model = tc_engine_model(b->engine, model),
                                    .inputs = tc_set_name(usual_level(c)),
                                    .mae_ratio_median = NAN,
                                    .in_sample = c->in_sample,
                                    .open = NAN,
                                    .ratio_shown = NAN,
                                    .ratio_shown_clean = NAN};
    tc_engine_point(b->engine, point, &out->kind, &out->horizon_ms);
    tc_score_figures(&c->total, &out->f);
    if (!c->n)
        return true;
    if (model != TC_ME_PERSISTENCE) {
        out->open = (double)c->open / (double)c->n;
        out->ratio_shown = sqrt(c->sq_shown / c->total.sq_persist);
        out->ratio_shown_clean =
            sqrt((c->sq_shown - c->shown_flagged) / (c->total.sq_persist - c->total.sq_persist_flagged));
    }
    if (c->abs_persist_median > 0)
        out->mae_ratio_median = c->abs_median / c->abs_persist_median;
    double se, half;
    int32_t lags = tc_dm_lags(out->horizon_ms);
    out->f.dm_t = newey_west(c->d_persist, c->n, lags, &se);
    half = 1.959963984540054 * se / (2 * out->f.ratio * out->f.rmse_persistence * out->f.rmse_persistence);
    out->f.ratio_lo = out->f.ratio - half;
    out->f.ratio_hi = out->f.ratio + half;
    out->f.dm_t_ridge = model == TC_ME_RIDGE ? NAN : newey_west(c->d_ridge, c->n, lags, &se);
    return true;
}

void tc_backtest_span(const struct tc_backtest *b, int32_t *from, int32_t *to)
{
    *from = b->first;
    *to = b->last;
}
