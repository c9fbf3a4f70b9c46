/* Networks in the engine: what each reads, its memory, its step and what the step leaves to do.
 *
 * Two kinds run: networks over a feature set, which forecast moves in the symbol's own scale, and imported
 * ones that read a bar's own columns and forecast the price itself. Both are published, scored and gated
 * alike; forecasts of the second are flagged. */
#include "base/err.h"
#include "forecast/engine_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum column { PRICE, VOLUME, TRANSACTIONS, HIGH, LOW, OPEN, VWAP, COLUMNS };

static const char *const columns[COLUMNS] = {"price", "volume", "transactions", "high",
                                             "low",   "open",   "vwap"};

static int find_column(const char *name)
{
    for (int i = 0; i < COLUMNS; i++)
        if (!strcmp(columns[i], name))
            return i;
    return -1;
}

static int find_feature(enum tc_feature_set set, const char *name)
{
    for (size_t j = 0; j < tc_set_size(set); j++)
        if (!strcmp(tc_set_info(set, j)->name, name))
            return (int)tc_set_index(set, j);
    return -1;
}

static int check_inputs(struct network *n)
{
    const struct tc_model_info *info = n->info;
    enum tc_feature_set set = TC_SET_T14;
    char hash[17];
    if (n->price && strcmp(info->inputs, "columns"))
        return tc_fail(TC_ECONF,
                       "model %s forecasts the price itself and reads %s; only columns go with that",
                       info->id, info->inputs);
    if (!n->price && tc_set_parse(info->inputs, &set) < 0)
        return tc_more(TC_ECONF, "model %s", info->id);
    n->level = tc_set_level(set);
    if (!n->price && strcmp(info->feature_hash, tc_set_hash(set, hash)))
        return tc_fail(TC_ECONF,
                       "model %s was trained with features %s of version %s; this program makes "
                       "version %s: train it anew",
                       info->id, info->inputs, info->feature_hash, hash);
    for (int i = 0; i < info->n_features; i++) {
        n->feature[i] = n->price ? find_column(info->features[i]) : find_feature(set, info->features[i]);
        if (n->feature[i] < 0)
            return tc_fail(TC_ECONF, "model %s wants feature \"%s\", which set %s has not", info->id,
                           info->features[i], info->inputs);
    }
    return TC_OK;
}

static int check_targets(const struct tc_engine *e, struct network *n)
{
    const struct tc_model_info *info = n->info;
    bool any = false;
    for (int i = 0; i < info->n_targets; i++) {
        n->point[i] = -1;
        for (int p = 0; p < e->n_points; p++)
            if (e->points[p].kind == info->targets[i].kind &&
                e->points[p].horizon_ms == info->targets[i].horizon_ms)
                n->point[i] = p;
        any |= n->point[i] >= 0;
    }
    if (!any)
        return tc_fail(TC_ECONF,
                       "model %s forecasts nothing that is asked for here (its first target: %s after %d ms)",
                       info->id, tc_kind_name(info->targets[0].kind), info->targets[0].horizon_ms);
    return TC_OK;
}

int tc_engine_check_network(struct tc_engine *e, struct network *n)
{
    const struct tc_model_info *info = n->info;
    n->price = !strcmp(info->target_unit, "price");
    if ((!n->price && strcmp(info->target_unit, "move_scale")) || info->interval_ms != 1000)
        return tc_fail(TC_ECONF,
                       "model %s: targets in \"%s\" every %d ms; only \"move_scale\" or \"price\" and 1000 "
                       "run here",
                       info->id, info->target_unit, info->interval_ms);
    if (info->stateful && info->block > 1)
        return tc_fail(TC_ECONF, "model %s carries its state over blocks of %d bars: it cannot run live",
                       info->id, info->block);
    if (tc_model_state_size(n->model) > TC_ENGINE_STATE_MAX)
        return tc_fail(TC_ECONF, "model %s needs %zu bytes for each symbol; at most %d run live", info->id,
                       tc_model_state_size(n->model), TC_ENGINE_STATE_MAX);
    int rc = check_inputs(n);
    return rc ? rc : check_targets(e, n);
}

/* Reserved for all symbols; the system gives the pages of those that come. */
int tc_engine_open_networks(struct tc_engine *e)
{
    for (int k = 0; k < e->conf.n_networks; k++) {
        struct network *n = &e->networks[k];
        n->flight_size = tc_model_flight_size(n->model);
        size_t room = n->flight_size ? TC_ENGINE_FLIGHT_MAX / n->flight_size : 0;
        n->n_flights = room < e->conf.symbols ? (uint32_t)room : e->conf.symbols;
        n->flights = calloc(n->n_flights * n->flight_size + 64, 1);
        n->rows = calloc(e->conf.symbols, sizeof(*n->rows));
        if (!n->flights || !n->rows)
            return tc_fail(TC_ENOMEM, "model %s: no memory for %u symbols", n->info->id, e->conf.symbols);
    }
    return TC_OK;
}

void tc_engine_close_networks(struct tc_engine *e)
{
    for (int k = 0; k < e->conf.n_networks; k++) {
        free(e->networks[k].flights);
        free(e->networks[k].rows);
    }
}

void *tc_engine_flight(const struct network *n, uint32_t symbol)
{
    uintptr_t at = ((uintptr_t)n->flights + 63) & ~(uintptr_t)63;
    return symbol < n->n_flights ? n->flights + (at - (uintptr_t)n->flights) + symbol * n->flight_size : NULL;
}

/* NaN where the source does not say. */
static double column_value(const struct pending *p, enum column c)
{
    switch (c) {
    case VOLUME:
        return p->volume;
    case TRANSACTIONS:
        return p->trades > 0 ? (double)p->trades : NAN;
    case HIGH:
        return p->high;
    case LOW:
        return p->low;
    case OPEN:
        return p->open;
    case VWAP:
        return p->vwap;
    default:
        return p->close;
    }
}

/* False where an input is not known for this bar. */
static bool take_inputs(const struct tc_engine *e, const struct network *n, const struct active *a, double *x)
{
    bool known = n->price || n->level <= e->conf.level;
    for (int i = 0; i < n->info->n_features; i++) {
        x[i] = n->price ? column_value(&a->s->pending, (enum column)n->feature[i]) : a->x[n->feature[i]];
        known = known && isfinite(x[i]);
    }
    return known;
}

static void take_outputs(struct tc_engine *e, int k, struct active *a, const struct tc_model_row *row)
{
    const struct network *n = &e->networks[k];
    struct origin *o = a->origin;
    a->out_of_domain[k] = row->out_of_domain;
    a->spoke[k] = o && row->ready;
    for (int t = 0; a->spoke[k] && t < n->info->n_targets; t++) {
        int p = n->point[t];
        if (p < 0)
            continue;
        double base = e->points[p].kind == TC_KIND_MID ? o->mid : o->reference;
        double move = n->price ? row->y[t] - base : row->y[t] * o->scale;
        move_of(e, o, TC_ME_NETWORK + k)[p] = (float)move;
    }
}

int tc_engine_step_network(struct tc_engine *e, int k, size_t n_active)
{
    struct network *n = &e->networks[k];
    if (n_active && e->active[0].s->second < e->conf.networks_from)
        return TC_OK;
    while (n->n_rows && tc_model_advance(n->model, n->rows, n->n_rows, &n->at))
        ; /* of the second before; what has time is done by tc_engine_advance */
    n->n_rows = n->at = 0;
    for (size_t i = 0; i < n_active; i++) {
        struct active *a = &e->active[i];
        double *x = e->inputs + n->n_rows * TC_MODEL_FEATURES_MAX;
        a->row = NULL;
        if (take_inputs(e, n, a, x)) {
            a->row = &n->rows[n->n_rows];
            n->rows[n->n_rows] = (struct tc_model_row){.state = network_state(e, a->s, k),
                                                       .flight = tc_engine_flight(n, symbol_index(e, a->s)),
                                                       .x = x,
                                                       .y = e->outputs + n->n_rows * TC_MODEL_TARGETS_MAX};
            n->n_rows++;
        }
    }
    int rc = n->n_rows ? tc_model_step(n->model, n->rows, n->n_rows) : TC_OK;
    if (rc < 0)
        return tc_more(rc, "model %s", n->info->id);
    for (size_t i = 0; i < n_active; i++)
        if (e->active[i].row)
            take_outputs(e, k, &e->active[i], e->active[i].row);
    return TC_OK;
}

size_t tc_engine_advance(struct tc_engine *e)
{
    for (int k = 0; k < e->conf.n_networks; k++) {
        struct network *n = &e->networks[k];
        size_t done = tc_model_advance(n->model, n->rows, n->n_rows, &n->at);
        if (done)
            return done;
    }
    return 0;
}

size_t tc_engine_left(const struct tc_engine *e)
{
    size_t left = 0;
    for (int k = 0; k < e->conf.n_networks; k++)
        for (size_t r = e->networks[k].at; r < e->networks[k].n_rows; r++)
            left += tc_model_left(&e->networks[k].rows[r], 1) > 0;
    return left;
}
