/* Outcomes become known, are scored, and teach ridge, reversal and bands. */
#include "base/clock.h"
#include "forecast/engine_priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double TEACH_CLIP = 6;        /* outcomes teach with at most so many typical sizes */
static const double Y_SPAN = 1000;         /* rows behind that typical size */
static const double PHI_KEEP = 0.99994224; /* reversal: half after 12,000 samples */
static const double PHI_PRIOR = 200;       /* samples' worth of "no reversal" */

static void note_gate(const struct tc_engine *e, struct symbol *s, int level, int m, int p)
{
    uint32_t bit = UINT32_C(1) << p;
    gates_open(e, s, level)[m] &= ~bit;
    if (tc_gate_is_open(gate_of(e, s, level, m, p)))
        gates_open(e, s, level)[m] |= bit;
}

void tc_engine_bank_init(const struct tc_engine *e, struct symbol *s, int level)
{
    memset(bank_of(e, s, level), 0, e->at.bank_size);
    for (int m = 0; m < e->n_models; m++)
        for (int p = 0; p < e->n_points; p++) {
            double seconds = fmax(1, e->points[p].horizon_ms / 1000.0); /* moves grow with the root of time */
            tc_band_init(band_of(e, s, level, m, p), sqrt(seconds));
            tc_chance_init(chance_of(e, s, level, m, p));
            tc_gate_init(gate_of(e, s, level, m, p), m == TC_ME_PERSISTENCE ? INFINITY : NAN);
        }
    for (int k = 0; k < e->conf.n_networks; k++) {
        const struct network *n = &e->networks[k];
        for (int t = 0; t < n->info->n_targets; t++)
            if (n->point[t] >= 0)
                tc_gate_init(gate_of(e, s, level, TC_ME_NETWORK + k, n->point[t]),
                             n->info->targets[t].val_dm_t_least);
    }
    for (int m = 0; m < e->n_models; m++)
        for (int p = 0; p < e->n_points; p++)
            note_gate(e, s, level, m, p);
}

void tc_engine_symbol_init(const struct tc_engine *e, struct symbol *s)
{
    s->slot = s->minute = -1;
    s->last = s->quote_lag_ms = NAN;
    s->quote = (struct tc_quote){NAN, NAN, NAN, NAN};
    for (int p = 0; p < e->n_points; p++) {
        y_square(e, s)[p] = 4;
        phi_xx(e, s)[p] = PHI_PRIOR;
    }
    for (int l = 0; l < TC_LEVELS; l++) {
        s->ridge[l].solved_rows = NEVER;
        tc_engine_bank_init(e, s, l);
    }
    for (int k = 0; k < e->conf.n_networks; k++)
        tc_model_state_reset(e->networks[k].model, network_state(e, s, k));
}

static void close_bank_blocks(struct tc_engine *e, struct symbol *s, int level)
{
    for (int m = 0; m < e->n_models; m++)
        for (int p = 0; p < e->n_points; p++) {
            struct sums *a = sums_of(e, s, level, m, p);
            tc_gate_block(gate_of(e, s, level, m, p), e->points[p].horizon_ms);
            note_gate(e, s, level, m, p);
            if (!a->block_n)
                continue;
            double n = (double)a->block_n, d = a->block_d, r = a->block_ridge;
            a->s.dm_blocks++;
            a->s.dm_n += a->block_n;
            a->s.dm_n2 += n * n;
            a->s.dm_d += d;
            a->s.dm_d2 += d * d;
            a->s.dm_nd += n * d;
            a->s.dm_ridge_d += r;
            a->s.dm_ridge_d2 += r * r;
            a->s.dm_ridge_nd += n * r;
            a->block_n = 0;
            a->block_d = a->block_ridge = 0;
            a->dirty = 1;
        }
}

static void close_blocks(struct tc_engine *e, struct symbol *s)
{
    for (int l = 0; l < TC_LEVELS; l++)
        if (s->used[l])
            close_bank_blocks(e, s, l);
}

static int new_slot(struct tc_engine *e, struct symbol *s, int64_t day, int64_t slot)
{
    int rc = s->slot >= 0 ? tc_engine_publish_scores(e, s) : 0;
    for (int l = 0; l < TC_LEVELS; l++)
        memset(sums_of(e, s, l, 0, 0), 0, (size_t)(e->n_models * e->n_points) * sizeof(struct sums));
    s->slot = slot;
    s->slot_day = day;
    return rc;
}

int tc_engine_roll(struct tc_engine *e, struct symbol *s, int64_t second)
{
    if (second == INT64_MAX) {
        close_blocks(e, s);
        s->minute = -1;
        return new_slot(e, s, 0, -1);
    }
    int64_t minute = second / (60 * TC_NS_PER_SEC);
    if (minute == s->minute)
        return 0;
    close_blocks(e, s);
    s->minute = minute;
    const struct tc_calendar *c = e->calendars[symbol_index(e, s)];
    int64_t day = s->always ? tc_calendar_day(c, second) : s->day;
    int64_t local = second / TC_NS_PER_SEC + tc_calendar_offset_s(c, second);
    int64_t slot = local / 1800 % 48;
    return slot == s->slot && day == s->slot_day ? 0 : new_slot(e, s, day, slot);
}

static void fill_score(struct tc_engine *e, const struct symbol *s, int level, int m, int p,
                       const struct sums *a)
{
    struct tc_score *o = &e->out.score;
    *o = (struct tc_score){.kind = e->points[p].kind,
                           .horizon_ms = e->points[p].horizon_ms,
                           .day = (int32_t)s->slot_day,
                           .slot = (int32_t)s->slot,
                           .sums = a->s};
    memcpy(o->symbol, s->name, sizeof(o->symbol));
    memcpy(o->model, e->names[m], sizeof(o->model));
    snprintf(o->inputs, sizeof(o->inputs), "%s", tc_set_name((enum tc_feature_set)level));
}

static int publish_bank(struct tc_engine *e, struct symbol *s, int level)
{
    for (int m = 0; m < e->n_models; m++)
        for (int p = 0; p < e->n_points; p++) {
            struct sums *a = sums_of(e, s, level, m, p);
            if (!a->dirty)
                continue;
            a->dirty = 0;
            memset(&e->out, 0, sizeof(e->out));
            e->out.type = TC_REC_SCORE;
            fill_score(e, s, level, m, p, a);
            int rc = tc_engine_emit(e);
            if (rc < 0)
                return rc;
        }
    return 0;
}

int tc_engine_publish_scores(struct tc_engine *e, struct symbol *s)
{
    int rc = 0;
    for (int l = 0; l < TC_LEVELS && rc == 0; l++)
        if (s->used[l])
            rc = publish_bank(e, s, l);
    return rc;
}

void tc_resolved_sample(const struct tc_resolved *r, struct tc_sample *out)
{
    *out = (struct tc_sample){.move = r->move,
                              .forecast = r->forecast,
                              .lo = r->forecast - r->half,
                              .hi = r->forecast + r->half,
                              .p = {r->p[0], r->p[1], r->p[2]},
                              .reversal = r->reversal,
                              .ridge = r->ridge,
                              .micro = r->micro,
                              .base = r->base,
                              .half_spread = r->half_spread,
                              .horizon_ms = r->horizon_ms};
}

static void add_sample(struct sums *a, const struct tc_resolved *r)
{
    struct tc_sample x;
    tc_resolved_sample(r, &x);
    tc_score_add(&a->s, &x);
    double y = r->move, e = y - r->forecast, er = y - r->ridge;
    a->block_n++;
    a->block_d += y * y - e * e;
    a->block_ridge += er * er - e * e;
}

/* An outcome in move scales, as it may teach: huge ones cut to a few times the usual size. */
static double teaching(double y, double y_square)
{
    double cap = TEACH_CLIP * sqrt(y_square);
    return fmin(fmax(y, -cap), cap);
}

/* Outcomes are cut as for teaching; what a network was trained on is no evidence. */
static void learn_gate(struct tc_engine *e, struct symbol *s, struct origin *o, int m, int p,
                       const struct tc_resolved *r)
{
    if (m == TC_ME_PERSISTENCE || o->day <= e->seen_to[m])
        return;
    int level = (int)o->level;
    double y = teaching(r->move / o->scale, y_square(e, s)[p]), f = r->forecast / o->scale;
    bool shown = gates_at(e, o)[m] >> p & 1;
    tc_gate_sample(gate_of(e, s, level, m, p), y * y, (y - f) * (y - f), shown);
    note_gate(e, s, level, m, p);
}

static void score_model(struct tc_engine *e, struct symbol *s, struct origin *o, int m, int p,
                        struct tc_resolved *r)
{
    r->forecast = move_of(e, o, m)[p];
    if (isnan(r->forecast))
        return;
    int level = (int)o->level;
    struct sums *a = sums_of(e, s, level, m, p);
    r->model = m;
    r->half = half_of(e, o, m)[p];
    if (!isnan(r->half)) {
        double unit = tc_chance_unit(o->tick, o->scale);
        tc_band_learn(band_of(e, s, level, m, p), e->points[p].horizon_ms, (r->move - r->forecast) / o->scale,
                      r->half / o->scale);
        tc_chance_learn(chance_of(e, s, level, m, p), r->forecast / unit, r->move);
    }
    if (o->unscored)
        return;
    chances_of(e, o, m, p, r->p);
    learn_gate(e, s, o, m, p, r);
    a->dirty = 1;
    if (o->late >> p & 1) {
        a->s.n_late++;
        return;
    }
    add_sample(a, r);
    if (e->conf.resolved) {
        r->gate_open = gates_at(e, o)[m] >> p & 1;
        r->median = median_of(e, o, m)[p];
        e->conf.resolved(e->conf.resolved_ctx, r);
    }
}

static void teach_simple(struct tc_engine *e, struct symbol *s, struct origin *o, int p, double y)
{
    double t = teaching(y / o->scale, y_square(e, s)[p]), d1 = x_of(e, o)[0];
    y_square(e, s)[p] += (t * t - y_square(e, s)[p]) / Y_SPAN;
    y_square(e, s)[p] = fmax(y_square(e, s)[p], 1e-4);
    phi_xy(e, s)[p] = phi_xy(e, s)[p] * PHI_KEEP + t * d1;
    phi_xx(e, s)[p] = phi_xx(e, s)[p] * PHI_KEEP + d1 * d1;
}

/* `value` became known for point p of o at `known`. */
static void know(struct tc_engine *e, struct symbol *s, struct origin *o, int p, double value, int64_t known)
{
    if (!(o->offered >> p & 1))
        return;
    outcome_of(e, o)[p] = value;
    if (e->points[p].kind == TC_KIND_NEXT)
        o->next_time = known;
    double base = e->points[p].kind == TC_KIND_MID ? o->mid : o->reference;
    struct tc_resolved r = {.symbol = symbol_index(e, s),
                            .point = p,
                            .origin_time = o->time,
                            .known_time = known,
                            .move = value - base,
                            .micro = move_of(e, o, TC_ME_MICROPRICE)[p],
                            .reversal = move_of(e, o, TC_ME_REVERSAL)[p],
                            .ridge = move_of(e, o, TC_ME_RIDGE)[p],
                            .level = (int32_t)o->level,
                            .p = {NAN, NAN, NAN},
                            .scale = o->scale,
                            .base = base,
                            .half_spread = o->half_spread,
                            .day = (int32_t)o->day,
                            .horizon_ms = e->points[p].horizon_ms};
    if (isnan(r.move))
        return;
    r.capped = teaching(r.move / o->scale, y_square(e, s)[p]) * o->scale;
    s->used[o->level] = 1;
    for (int l = 0; l < TC_LEVELS; l++)
        r.ridge_at[l] = ridge_at(e, o, l)[p];
    for (int m = 0; m < e->n_models; m++)
        score_model(e, s, o, m, p, &r);
    teach_simple(e, s, o, p, r.move);
}

/* One level's sums, own and pooled. */
static void teach_level(struct tc_engine *e, struct symbol *s, const struct origin *o, int level,
                        const double *z, const double *y)
{
    struct level_ridge *r = &s->ridge[level];
    struct level_pool *pool = &e->pool[level];
    int64_t own = (o->time - r->learnt) / TC_NS_PER_SEC, all = (o->time - pool->time) / TC_NS_PER_SEC;
    own = own < FORGET_MAX_S ? own : FORGET_MAX_S;
    all = all < FORGET_MAX_S ? all : FORGET_MAX_S;
    tc_ridge_forget(&r->sums, ridge_b(e, s, level), e->n_points, e->keep[own]);
    tc_ridge_add(&r->sums, ridge_b(e, s, level), e->n_points, z, y);
    if (all > 0) {
        tc_ridge_forget(&pool->sums, pool->b, e->n_points, e->keep[all]);
        pool->time = o->time;
    }
    tc_ridge_add(&pool->sums, pool->b, e->n_points, z, y);
    r->learnt = o->time;
    r->rows++;
}

static void teach_ridge(struct tc_engine *e, struct symbol *s, struct origin *o)
{
    double all[TC_FEATURE_COUNT], x[TC_FEATURES_MAX], z[TC_RIDGE_DIM], y[TC_POINTS_MAX];
    const double *value = outcome_of(e, o);
    for (int p = 0; p < e->n_points; p++) {
        y[p] = 0;
        if (!(o->offered >> p & 1))
            continue;
        if (isnan(value[p]))
            return;
        double base = e->points[p].kind == TC_KIND_MID ? o->mid : o->reference;
        y[p] = teaching((value[p] - base) / o->scale, y_square(e, s)[p]);
    }
    for (size_t i = 0; i < TC_FEATURE_COUNT; i++)
        all[i] = x_of(e, o)[i];
    for (int l = 0; l <= (int)e->conf.level; l++) {
        if (!tc_set_pick((enum tc_feature_set)l, all, x))
            continue;
        tc_ridge_inputs((enum tc_feature_set)l, x, z);
        teach_level(e, s, o, l, z, y);
    }
}

static int publish_outcome(struct tc_engine *e, struct symbol *s, struct origin *o)
{
    memset(&e->out, 0, sizeof(e->out));
    e->out.type = TC_REC_OUTCOME;
    struct tc_outcome *out = &e->out.outcome;
    memcpy(out->symbol, s->name, sizeof(out->symbol));
    out->origin_time = o->time;
    out->day = (int32_t)o->day;
    for (int p = 0; p < e->n_points; p++) {
        if (!(o->offered >> p & 1))
            continue;
        struct tc_outcome_value *v = &out->values[out->n_values++];
        v->kind = e->points[p].kind;
        v->horizon_ms = e->points[p].horizon_ms;
        v->time = v->kind == TC_KIND_NEXT ? o->next_time : o->time + v->horizon_ms * TC_NS_PER_MS;
        v->value = outcome_of(e, o)[p];
    }
    return out->n_values ? tc_engine_emit(e) : 0;
}

/* Publishes origins that nothing is open for any more. */
static int finish(struct tc_engine *e, struct symbol *s, bool teach)
{
    int64_t done = s->end;
    for (int p = 0; p < e->n_points; p++)
        done = heads(e, s)[p] < done ? heads(e, s)[p] : done;
    for (; s->first < done; s->first++) {
        struct origin *o = origin_at(e, s, s->first);
        if (teach)
            teach_ridge(e, s, o);
        int rc = publish_outcome(e, s, o);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void resolve_next(struct tc_engine *e, struct symbol *s, int p, int64_t now, bool traded, bool hole)
{
    int64_t *head = &heads(e, s)[p];
    if (!traded && !hole)
        return;
    for (; *head < s->end; (*head)++)
        know(e, s, origin_at(e, s, *head), p, hole ? NAN : s->last, now);
}

static void resolve_clock(struct tc_engine *e, struct symbol *s, int p, int64_t now, bool healthy)
{
    int64_t *head = &heads(e, s)[p];
    for (; *head < s->end; (*head)++) {
        struct origin *o = origin_at(e, s, *head);
        int64_t target = o->time + e->points[p].horizon_ms * TC_NS_PER_MS;
        if (target > now)
            return;
        double value = e->points[p].kind == TC_KIND_MID ? tc_quote_mid(&s->quote) : s->last;
        know(e, s, o, p, target == now && healthy ? value : NAN, now);
    }
}

int tc_engine_resolve(struct tc_engine *e, struct symbol *s, const struct tc_second *m, bool traded,
                      bool hole)
{
    int64_t now = m->second + TC_NS_PER_SEC;
    for (int p = 0; p < e->n_points; p++) {
        if (e->points[p].kind == TC_KIND_NEXT)
            resolve_next(e, s, p, now, traded, hole);
        else
            resolve_clock(e, s, p, now, m->healthy);
    }
    return finish(e, s, true);
}

int tc_engine_void(struct tc_engine *e, struct symbol *s)
{
    for (int p = 0; p < e->n_points; p++)
        heads(e, s)[p] = s->end; /* outcomes start as NaN */
    return finish(e, s, false);
}
