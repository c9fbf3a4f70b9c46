/* From one engine to another that runs other networks: what both have is taken over by name. */
#include "base/err.h"
#include "forecast/engine_priv.h"

#include <stdlib.h>
#include <string.h>

/* Number in `from` of each model of `to`; -1 = it has none. */
struct map {
    int model[TC_MODELS_ALL];
};

static struct map map_models(const struct tc_engine *to, const struct tc_engine *from)
{
    struct map map;
    for (int m = 0; m < to->n_models; m++) {
        map.model[m] = -1;
        for (int i = 0; i < from->n_models; i++)
            if (!strcmp(to->names[m], from->names[i]))
                map.model[m] = i;
    }
    return map;
}

static int network_of(const struct tc_engine *e, int model)
{
    return model >= TC_ME_NETWORK && model < TC_ME_NETWORK + e->conf.n_networks ? model - TC_ME_NETWORK : -1;
}

static int check_alike(const struct tc_engine *to, const struct tc_engine *from)
{
    bool alike = to->n_points == from->n_points && to->conf.level == from->conf.level &&
                 to->ring == from->ring && to->conf.symbols >= tc_symtab_count(from->symbols);
    for (int p = 0; alike && p < to->n_points; p++)
        alike = to->points[p].kind == from->points[p].kind &&
                to->points[p].horizon_ms == from->points[p].horizon_ms;
    return alike ? TC_OK
                 : tc_fail(TC_ECONF, "the forecasts of two engines differ in symbols, level or horizons");
}

static void take_learnt(const struct tc_engine *to, struct symbol *t, const struct tc_engine *from,
                        struct symbol *f, int level, int m, int i)
{
    for (int p = 0; p < to->n_points; p++) {
        *band_of(to, t, level, m, p) = *band_of(from, f, level, i, p);
        *chance_of(to, t, level, m, p) = *chance_of(from, f, level, i, p);
    }
}

static void take_bank(const struct tc_engine *to, struct symbol *t, const struct tc_engine *from,
                      struct symbol *f, int level, const struct map *map)
{
    tc_engine_bank_init(to, t, level);
    for (int m = 0; t->used[level] && m < to->n_models; m++) {
        int i = map->model[m];
        if (i < 0)
            continue;
        take_learnt(to, t, from, f, level, m, i);
        gates_open(to, t, level)[m] = gates_open(from, f, level)[i];
        for (int p = 0; p < to->n_points; p++) {
            *gate_of(to, t, level, m, p) = *gate_of(from, f, level, i, p);
            *sums_of(to, t, level, m, p) = *sums_of(from, f, level, i, p);
        }
    }
}

static void take_origin(const struct tc_engine *to, struct origin *t, const struct tc_engine *from,
                        struct origin *f, const struct map *map)
{
    size_t row = (size_t)to->n_points * sizeof(float);
    memset(t, 0, to->at.origin_size);
    memcpy(t, f, to->at.move); /* up to here the layout does not depend on the models */
    for (int m = 0; m < to->n_models; m++) {
        int i = map->model[m];
        for (int p = 0; i < 0 && p < to->n_points; p++) {
            float *chances = chances_at(to, t, m, p);
            move_of(to, t, m)[p] = half_of(to, t, m)[p] = median_of(to, t, m)[p] = NAN;
            chances[0] = chances[1] = NAN;
        }
        if (i < 0)
            continue;
        memcpy(move_of(to, t, m), move_of(from, f, i), row);
        memcpy(half_of(to, t, m), half_of(from, f, i), row);
        memcpy(median_of(to, t, m), median_of(from, f, i), row);
        memcpy(chances_at(to, t, m, 0), chances_at(from, f, i, 0), 2 * row);
        gates_at(to, t)[m] = gates_at(from, f)[i];
    }
}

static void take_state(const struct tc_engine *to, struct symbol *t, const struct tc_engine *from,
                       struct symbol *f, int m, int i)
{
    int k = network_of(to, m), j = network_of(from, i);
    if (k >= 0 && j >= 0)
        memcpy(network_state(to, t, k), network_state(from, f, j),
               tc_model_state_size(to->networks[k].model));
}

static int take_symbol(struct tc_engine *to, struct tc_engine *from, uint32_t number, const struct map *map)
{
    struct symbol *t = symbol_at(to, number), *f = symbol_at(from, number);
    if (tc_symtab_add(to->symbols, f->name) != number)
        return tc_fail(TC_EINTERNAL, "%s: symbols of two engines are out of step", f->name);
    to->calendars[number] = from->calendars[number];
    memcpy(t, f, to->at.banks); /* no model's */
    for (int l = 0; l < TC_LEVELS; l++)
        take_bank(to, t, from, f, l, map);
    for (int k = 0; k < to->conf.n_networks; k++) {
        tc_model_state_reset(to->networks[k].model, network_state(to, t, k));
        take_state(to, t, from, f, TC_ME_NETWORK + k, map->model[TC_ME_NETWORK + k]);
    }
    for (int64_t o = f->first; o < f->end; o++)
        take_origin(to, origin_at(to, t, o), from, origin_at(from, f, o), map);
    return TC_OK;
}

/* A network that both have goes on with its windows in flight. */
static void take_flights(struct tc_engine *to, struct tc_engine *from, const struct map *map)
{
    for (int k = 0; k < to->conf.n_networks; k++) {
        int j = network_of(from, map->model[TC_ME_NETWORK + k]);
        struct network *t = &to->networks[k];
        if (j < 0 || t->n_flights != from->networks[j].n_flights)
            continue;
        uint8_t *own = t->flights;
        t->flights = from->networks[j].flights;
        from->networks[j].flights = own;
    }
}

int tc_engine_adopt(struct tc_engine *to, struct tc_engine *from)
{
    int rc = check_alike(to, from);
    if (!rc && tc_symtab_count(to->symbols))
        rc = tc_fail(TC_EINTERNAL, "an engine is taken over by a fresh one only");
    if (rc)
        return rc;
    while (tc_engine_advance(from))
        ; /* what is left of the newest second speaks of its memory */
    struct map map = map_models(to, from);
    for (uint32_t i = 0; i < tc_symtab_count(from->symbols) && !rc; i++)
        rc = take_symbol(to, from, i, &map);
    if (rc)
        return rc;
    take_flights(to, from, &map);
    memcpy(to->pool, from->pool, sizeof(to->pool));
    to->time = from->time;
    to->muted = from->muted;
    return TC_OK;
}

static void take_flight(const struct tc_engine *to, struct symbol *t, const struct tc_engine *from,
                        struct symbol *f, int k, int j)
{
    void *own = tc_engine_flight(&to->networks[k], symbol_index(to, t));
    const void *old = tc_engine_flight(&from->networks[j], symbol_index(from, f));
    if (own && old)
        memcpy(own, old, to->networks[k].flight_size);
}

int tc_engine_graft(struct tc_engine *to, struct tc_engine *from)
{
    while (tc_engine_advance(from))
        ;
    int rc = check_alike(to, from);
    if (!rc && to->time != from->time)
        rc = tc_fail(TC_ECONF, "the networks of two engines stand at different seconds");
    if (rc)
        return rc;
    struct map map = map_models(to, from);
    for (uint32_t i = 0; i < tc_symtab_count(to->symbols); i++) {
        struct symbol *t = symbol_at(to, i);
        int64_t there = tc_symtab_find(from->symbols, t->name);
        struct symbol *f = there < 0 ? NULL : symbol_at(from, (uint32_t)there);
        if (!f || f->second != t->second || f->open != t->open)
            continue; /* it did not trade in the span: the network begins cold */
        for (int m = TC_ME_NETWORK; m < TC_ME_NETWORK + to->conf.n_networks; m++) {
            if (network_of(from, map.model[m]) < 0)
                continue;
            take_state(to, t, from, f, m, map.model[m]);
            take_flight(to, t, from, f, m - TC_ME_NETWORK, network_of(from, map.model[m]));
            for (int l = 0; l < TC_LEVELS; l++)
                if (f->used[l] && t->used[l])
                    take_learnt(to, t, from, f, l, m, map.model[m]);
        }
    }
    return TC_OK;
}
