/* All symbols that traded in a second are forecast as one batch. */
#include "base/clock.h"
#include "base/err.h"
#include "forecast/engine_priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double NONE = NAN;

static void offer(const struct tc_engine *e, const struct symbol *s, const struct tc_second *m,
                  int64_t issued, struct origin *o)
{
    o->offered = o->late = 0;
    o->unscored = e->muted;
    for (int p = 0; p < e->n_points; p++) {
        const struct point *t = &e->points[p];
        int64_t target = o->time + t->horizon_ms * TC_NS_PER_MS;
        bool next = t->kind == TC_KIND_NEXT;
        if (!next && (t->horizon_ms <= m->delay_ms || (!s->always && target > s->close)))
            continue;
        if (next && !s->always && o->time >= s->close)
            continue;
        if (t->kind == TC_KIND_MID && isnan(o->mid))
            continue;
        o->offered |= UINT32_C(1) << p;
        if (next ? issued > o->time + TC_NS_PER_SEC : issued >= target)
            o->late |= UINT32_C(1) << p;
    }
}

/* Symbols that began together do not solve together: that would be one slow second in many. */
static void resolve_ridge(struct tc_engine *e, struct symbol *s, int level)
{
    struct level_ridge *r = &s->ridge[level];
    bool never = r->solved_rows == NEVER;
    int64_t every = r->rows < SOLVE_EVERY ? SOLVE_EVERY_YOUNG : SOLVE_EVERY;
    if (!never && r->rows - r->solved_rows < every)
        return;
    int64_t earlier = never ? symbol_index(e, s) / SOLVE_TOGETHER % SOLVE_EVERY_YOUNG : 0;
    struct tc_ridge_penalty penalty[TC_POINTS_MAX];
    for (int p = 0; p < e->n_points; p++)
        penalty[p] = e->points[p].penalty;
    const struct level_pool *pool = &e->pool[level];
    if (tc_ridge_solve(&r->sums, ridge_b(e, s, level), &pool->sums, pool->b, PRIOR_ROWS, penalty, e->n_points,
                       ridge_w(e, s, level)))
        r->solved_rows = r->rows - earlier;
}

/* The ridge of every level that is known; the bar's own level speaks. */
static void ridges(struct tc_engine *e, struct active *a, struct origin *o)
{
    for (int l = 0; l < TC_LEVELS; l++) {
        double x[TC_FEATURES_MAX], z[TC_RIDGE_DIM];
        if (a->known[l]) {
            resolve_ridge(e, a->s, l);
            tc_set_pick((enum tc_feature_set)l, a->x, x);
            bool clipped = tc_ridge_inputs((enum tc_feature_set)l, x, z);
            if (l == a->level)
                a->clipped = clipped;
        }
        for (int p = 0; p < e->n_points; p++) {
            const double *w = ridge_w(e, a->s, l) + p * TC_RIDGE_DIM;
            ridge_at(e, o, l)[p] = (float)(a->known[l] ? tc_ridge_dot(w, z) * o->scale : NONE);
        }
    }
    memcpy(move_of(e, o, TC_ME_RIDGE), ridge_at(e, o, a->level), (size_t)e->n_points * sizeof(float));
}

static void simple_models(struct tc_engine *e, struct symbol *s, struct origin *o)
{
    double micro = tc_quote_microprice(&s->quote, s->quote_lag_ms), d1 = x_of(e, o)[0] * o->scale;
    for (int p = 0; p < e->n_points; p++) {
        double base = e->points[p].kind == TC_KIND_MID ? o->mid : o->reference;
        move_of(e, o, TC_ME_PERSISTENCE)[p] = 0;
        move_of(e, o, TC_ME_REVERSAL)[p] = (float)(phi_xy(e, s)[p] / phi_xx(e, s)[p] * d1);
        move_of(e, o, TC_ME_MICROPRICE)[p] = (float)(micro - base);
    }
}

void tc_engine_take_bands(struct tc_engine *e, struct active *a)
{
    for (int p = 0; p < e->n_points; p++)
        for (int m = 0; m < e->n_models; m++)
            if (banded(m))
                a->half[m][p] = tc_band_half(band_of(e, a->s, a->level, m, p));
    memcpy(a->gates, gates_open(e, a->s, a->level), (size_t)e->n_models * sizeof(uint32_t));
}

/* The mean of ridge and the first network that speaks; those that forecast the price itself are of another
 * kind. */
static void add_mean(struct tc_engine *e, struct origin *o)
{
    for (int p = 0; p < e->n_points; p++)
        for (int k = TC_ME_NETWORK; k < TC_ME_NETWORK + e->conf.n_networks; k++) {
            double network = move_of(e, o, k)[p];
            if (isnan(network) || e->networks[k - TC_ME_NETWORK].price)
                continue;
            move_of(e, o, TC_ME_MEAN)[p] = (float)((move_of(e, o, TC_ME_RIDGE)[p] + network) / 2);
            break;
        }
}

static void add_bands(struct tc_engine *e, const struct active *a, struct origin *o)
{
    memcpy(gates_at(e, o), a->gates, (size_t)e->n_models * sizeof(uint32_t));
    for (int m = 0; m < e->n_models; m++)
        for (int p = 0; p < e->n_points; p++) {
            bool there = banded(m) && !isnan(move_of(e, o, m)[p]);
            half_of(e, o, m)[p] = (float)(there ? a->half[m][p] * o->scale : NONE);
        }
}

static void add_chances(struct tc_engine *e, const struct active *a, struct origin *o)
{
    double unit = tc_chance_unit(o->tick, o->scale);
    for (int m = 0; m < e->n_models; m++)
        for (int p = 0; p < e->n_points; p++) {
            double move = move_of(e, o, m)[p];
            float *kept = chances_at(e, o, m, p);
            kept[0] = kept[1] = median_of(e, o, m)[p] = (float)NONE;
            if (!banded(m) || isnan(move))
                continue;
            struct tc_chances c = tc_chance_of(chance_of(e, a->s, a->level, m, p), move / unit);
            double step = e->points[p].kind == TC_KIND_MID ? o->tick / 2 : o->tick;
            kept[0] = (float)c.down;
            kept[1] = (float)c.none;
            median_of(e, o, m)[p] = (float)tc_chance_median(c, move, step);
        }
}

static int push_origin(struct tc_engine *e, struct active *a, const struct tc_second *m, int64_t issued)
{
    struct symbol *s = a->s;
    if (s->end - s->first >= e->ring)
        return tc_fail(TC_EINTERNAL, "%s: more open forecasts than a horizon has seconds", s->name);
    struct origin *o = origin_at(e, s, s->end++);
    memset(o, 0, e->at.origin_size);
    const struct tc_calendar *c = e->calendars[symbol_index(e, s)];
    o->time = m->second + TC_NS_PER_SEC;
    o->day = s->always ? tc_calendar_day(c, m->second) : s->day;
    o->reference = s->last;
    o->mid = tc_quote_mid(&s->quote);
    o->scale = tc_features_scale(&s->features);
    o->half_spread = tc_quote_half_spread(&s->quote, s->quote_lag_ms);
    o->tick = s->features.tick;
    o->level = a->level;
    for (int p = 0; p < e->n_points; p++)
        outcome_of(e, o)[p] = NAN;
    for (int k = TC_ME_MEAN; k < e->n_models; k++)
        for (int p = 0; p < e->n_points; p++)
            move_of(e, o, k)[p] = (float)NONE;
    for (size_t i = 0; i < TC_FEATURE_COUNT; i++)
        x_of(e, o)[i] = (float)a->x[i];
    offer(e, s, m, issued, o);
    simple_models(e, s, o);
    ridges(e, a, o);
    a->origin = o;
    return TC_OK;
}

/* Of networks that differ in their level alone, the highest that spoke is heard. */
static void silence_lower(struct tc_engine *e, struct active *a)
{
    for (int k = 0; k < e->conf.n_networks; k++)
        for (int i = 0; a->spoke[k] && i < e->conf.n_networks; i++)
            for (int p = 0; e->networks[k].closes[i] && p < e->n_points; p++)
                move_of(e, a->origin, TC_ME_NETWORK + i)[p] = (float)NONE;
}

static void fill_points(struct tc_engine *e, struct origin *o, int m, struct tc_forecast *f)
{
    for (int p = 0; p < e->n_points; p++) {
        double move = move_of(e, o, m)[p], half = half_of(e, o, m)[p];
        if (!(o->offered >> p & 1) || isnan(move))
            continue;
        const struct point *t = &e->points[p];
        double chances[3];
        chances_of(e, o, m, p, chances);
        double value = (t->kind == TC_KIND_MID ? o->mid : o->reference) + move;
        f->points[f->n_points++] =
            (struct tc_point){.kind = t->kind,
                              .horizon_ms = t->horizon_ms,
                              .target = t->kind == TC_KIND_NEXT ? 0 : o->time + t->horizon_ms * TC_NS_PER_MS,
                              .value = value,
                              .lo = value - half,
                              .hi = value + half,
                              .p_down = chances[0],
                              .p_none = chances[1],
                              .p_up = chances[2],
                              .gate_open = gates_at(e, o)[m] >> p & 1};
    }
}

static uint32_t flags_of(const struct tc_engine *e, const struct active *a, int m)
{
    const struct symbol *s = a->s;
    uint32_t flags = 0;
    if (a->origin->late)
        flags |= TC_FLAG_LATE;
    if (tc_features_warming(&s->features) || (m <= TC_ME_MEAN && s->ridge[a->level].rows < COLD_ROWS))
        flags |= TC_FLAG_COLD;
    if (s->stale > 0)
        flags |= TC_FLAG_STALE;
    if (m <= TC_ME_MEAN ? a->clipped : a->out_of_domain[m - TC_ME_NETWORK])
        flags |= TC_FLAG_OUT_OF_DOMAIN;
    if (m >= TC_ME_NETWORK && e->networks[m - TC_ME_NETWORK].price)
        flags |= TC_FLAG_PRICE_LEVEL;
    return flags;
}

static int publish(struct tc_engine *e, struct active *a, int m, int64_t issued)
{
    struct origin *o = a->origin;
    memset(&e->out, 0, sizeof(e->out));
    e->out.type = TC_REC_FORECAST;
    struct tc_forecast *f = &e->out.forecast;
    memcpy(f->symbol, a->s->name, sizeof(f->symbol));
    memcpy(f->model, e->names[m], sizeof(f->model));
    snprintf(f->inputs, sizeof(f->inputs), "%s", tc_set_name((enum tc_feature_set)o->level));
    snprintf(f->kernel, sizeof(f->kernel), "c");
    if (m >= TC_ME_NETWORK)
        memcpy(f->kernel, e->networks[m - TC_ME_NETWORK].info->kernel, sizeof(f->kernel));
    f->origin_time = o->time;
    f->issued = issued;
    f->day = (int32_t)o->day;
    f->flags = flags_of(e, a, m);
    f->reference = o->reference;
    f->reference_mid = o->mid;
    fill_points(e, o, m, f);
    return f->n_points ? tc_engine_emit(e) : TC_OK;
}

/* The instant of issue; no input may be younger. On a log's time that is an error in the log or here; a live
 * clock may have been set back, then the youngest input says the time. */
static int issue_time(struct tc_engine *e, size_t n_active, const struct tc_second *m, int64_t *issued)
{
    *issued = m->log_time || !e->conf.now ? m->available : e->conf.now();
    for (size_t i = 0; i < n_active; i++) {
        const struct symbol *s = e->active[i].s;
        int64_t youngest = s->pending.available;
        if (s->quote_available > youngest)
            youngest = s->quote_available;
        if (youngest <= *issued)
            continue;
        if (m->log_time)
            return tc_fail(
                TC_EINTERNAL,
                "%s: a bar available at %lld would feed a forecast issued at %lld; inputs must not "
                "come from the future",
                s->name, (long long)youngest, (long long)*issued);
        *issued = youngest;
    }
    return TC_OK;
}

int tc_engine_forecast(struct tc_engine *e, size_t n_active, const struct tc_second *m)
{
    int64_t issued;
    int rc = issue_time(e, n_active, m, &issued);
    for (size_t i = 0; i < n_active && rc == TC_OK; i++) {
        struct active *a = &e->active[i];
        a->origin = NULL;
        bool early = !a->s->always && m->second < a->s->open + SKIP_SECONDS * TC_NS_PER_SEC;
        memset(a->spoke, 0, sizeof(a->spoke));
        if (!early)
            rc = push_origin(e, a, m, issued);
    }
    for (int k = 0; k < e->conf.n_networks && rc == TC_OK; k++)
        rc = tc_engine_step_network(e, k, n_active);
    for (size_t i = 0; i < n_active && rc == TC_OK; i++) {
        struct active *a = &e->active[i];
        if (!a->origin)
            continue;
        silence_lower(e, a);
        add_mean(e, a->origin);
        add_bands(e, a, a->origin);
        add_chances(e, a, a->origin);
        for (int k = TC_ME_RIDGE; k < TC_ME_NETWORK + e->conf.n_networks && rc == TC_OK; k++)
            rc = publish(e, a, k, issued);
        if (a->s->stale > 0)
            a->s->stale--;
    }
    return rc;
}
