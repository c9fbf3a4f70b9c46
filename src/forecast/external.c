#include "forecast/external.h"
#include "base/clock.h"
#include "base/err.h"
#include "forecast/gate.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VERSION = 1,
    NONE = -1,
    POINT_SLOTS = 65536, /* of the hash tables: twice the entries */
    CELL_SLOTS = 8192,
    PUBLISH_S = 10,
    SILENT_S = 3600, /* a model or cell that was not heard of for so long makes room for others */
};

static const char SUFFIX[] = "@external";
static const double FAR = 0.5; /* of the price: further away is a wrong unit */

struct open_point {
    int64_t origin;
    double value, lo, hi, p[3];
    uint32_t symbol;
    uint16_t model, point;
    int32_t next;        /* in the chain of its slot; among the free ones */
    int16_t used, shown; /* shown: its gate was open when it was accepted */
};

struct cell { /* of one symbol, model and point */
    uint32_t symbol;
    uint16_t model, point;
    int64_t heard;             /* event time of the newest sample */
    int64_t day, slot, minute; /* of the sums and the block under way; -1 = none */
    int64_t block_n, dirty;
    double block_d, block_ridge;
    struct tc_gate gate;
    struct tc_score_sums sums;
};

struct model {
    char name[TC_MODEL_SIZE + 7]; /* as published; "" = free */
    int64_t heard;
};

struct saved { /* head of the state's bytes */
    int64_t version, n_points, n_cells, published, half_hour;
    struct model models[TC_EXTERNAL_MODELS];
};

struct tc_external {
    struct tc_engine *engine;
    const struct tc_calendar *(*calendar)(void *ctx, const char *symbol);
    void *calendar_ctx;
    struct model models[TC_EXTERNAL_MODELS];
    struct open_point *points;
    int32_t *point_slots, free_point, n_points;
    struct cell *cells;
    int32_t *cell_slots, n_cells;
    int64_t published;         /* event time of the last publication, in units of PUBLISH_S */
    int64_t half_hour;         /* of the newest second */
    int64_t second, in_second; /* of the clock; submissions in it */
};

/* ---- tables ---- */

static uint32_t mix(uint64_t a, uint64_t b)
{
    uint64_t h = (a ^ (b * UINT64_C(0x9e3779b97f4a7c15))) * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)(h >> 32 ^ h);
}

static uint32_t point_slot(uint32_t symbol, int64_t origin, int point)
{
    return mix((uint64_t)origin, (uint64_t)symbol << 8 | (uint64_t)point) % POINT_SLOTS;
}

static uint32_t cell_slot(uint32_t symbol, int model, int point)
{
    return mix(symbol, (uint64_t)model << 8 | (uint64_t)point) % CELL_SLOTS;
}

static void clear_points(struct tc_external *x)
{
    for (int32_t i = 0; i < POINT_SLOTS; i++)
        x->point_slots[i] = NONE;
    for (int32_t i = 0; i < TC_EXTERNAL_POINTS; i++)
        x->points[i] = (struct open_point){.next = i + 1 < TC_EXTERNAL_POINTS ? i + 1 : NONE};
    x->free_point = 0;
    x->n_points = 0;
}

static void add_point(struct tc_external *x, const struct open_point *p)
{
    int32_t i = x->free_point;
    uint32_t slot = point_slot(p->symbol, p->origin, p->point);
    x->free_point = x->points[i].next;
    x->points[i] = *p;
    x->points[i].used = 1;
    x->points[i].next = x->point_slots[slot];
    x->point_slots[slot] = i;
    x->n_points++;
}

static bool is_of(const struct open_point *p, uint32_t symbol, int64_t origin, int point)
{
    return p->symbol == symbol && p->origin == origin && p->point == point;
}

static void drop_points(struct tc_external *x, uint32_t symbol, int64_t origin, int point)
{
    int32_t *at = &x->point_slots[point_slot(symbol, origin, point)];
    while (*at != NONE) {
        int32_t i = *at;
        if (!is_of(&x->points[i], symbol, origin, point)) {
            at = &x->points[i].next;
            continue;
        }
        *at = x->points[i].next;
        x->points[i] = (struct open_point){.next = x->free_point};
        x->free_point = i;
        x->n_points--;
    }
}

/* The point that the model gave for the question; NULL = none. */
static const struct open_point *find_point(const struct tc_external *x, uint32_t symbol, int64_t origin,
                                           int model, int point)
{
    for (int32_t i = x->point_slots[point_slot(symbol, origin, point)]; i != NONE; i = x->points[i].next)
        if (is_of(&x->points[i], symbol, origin, point) && x->points[i].model == model)
            return &x->points[i];
    return NULL;
}

static void index_cells(struct tc_external *x)
{
    for (int32_t i = 0; i < CELL_SLOTS; i++)
        x->cell_slots[i] = NONE;
    for (int32_t i = 0; i < x->n_cells; i++) {
        uint32_t at = cell_slot(x->cells[i].symbol, x->cells[i].model, x->cells[i].point);
        while (x->cell_slots[at] != NONE)
            at = (at + 1) % CELL_SLOTS;
        x->cell_slots[at] = i;
    }
}

static struct cell *find_cell(const struct tc_external *x, uint32_t symbol, int model, int point)
{
    for (uint32_t at = cell_slot(symbol, model, point); x->cell_slots[at] != NONE;
         at = (at + 1) % CELL_SLOTS) {
        struct cell *c = &x->cells[x->cell_slots[at]];
        if (c->symbol == symbol && c->model == model && c->point == point)
            return c;
    }
    return NULL;
}

static bool silent(const struct tc_external *x, int64_t heard)
{
    return heard + SILENT_S * TC_NS_PER_SEC < tc_engine_time(x->engine);
}

/* What was published and not heard of since gives its place back. */
static void make_room(struct tc_external *x)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < x->n_cells; i++)
        if (!silent(x, x->cells[i].heard) || x->cells[i].dirty)
            x->cells[kept++] = x->cells[i];
    x->n_cells = kept;
    index_cells(x);
}

static struct cell *cell_of(struct tc_external *x, uint32_t symbol, int model, int point)
{
    struct cell *c = find_cell(x, symbol, model, point);
    if (c)
        return c;
    if (x->n_cells == TC_EXTERNAL_CELLS)
        make_room(x);
    if (x->n_cells == TC_EXTERNAL_CELLS)
        return NULL;
    c = &x->cells[x->n_cells++];
    *c = (struct cell){.symbol = symbol,
                       .model = (uint16_t)model,
                       .point = (uint16_t)point,
                       .heard = tc_engine_time(x->engine),
                       .day = -1,
                       .slot = -1,
                       .minute = -1};
    tc_gate_init(&c->gate, NAN);
    index_cells(x);
    return c;
}

static bool has_cells(const struct tc_external *x, int model)
{
    for (int32_t i = 0; i < x->n_cells; i++)
        if (x->cells[i].model == model)
            return true;
    return false;
}

static int model_of(struct tc_external *x, const char *published)
{
    int free_at = NONE;
    for (int m = 0; m < TC_EXTERNAL_MODELS; m++) {
        if (!strcmp(x->models[m].name, published))
            return m;
        if (free_at == NONE && !x->models[m].name[0])
            free_at = m;
    }
    for (int m = 0; free_at == NONE && m < TC_EXTERNAL_MODELS; m++) {
        if (!silent(x, x->models[m].heard))
            continue;
        make_room(x);
        if (!has_cells(x, m))
            free_at = m;
    }
    if (free_at != NONE) {
        x->models[free_at] = (struct model){.heard = tc_engine_time(x->engine)};
        snprintf(x->models[free_at].name, sizeof(x->models[free_at].name), "%s", published);
    }
    return free_at;
}

/* ---- opening ---- */

int tc_external_open(struct tc_engine *engine, const struct tc_engine_conf *conf, struct tc_external **out)
{
    struct tc_external *x = calloc(1, sizeof(*x));
    if (!x)
        return tc_fail(TC_ENOMEM, "no memory for forecasts of others");
    x->engine = engine;
    x->calendar = conf->calendar;
    x->calendar_ctx = conf->calendar_ctx;
    x->points = malloc(TC_EXTERNAL_POINTS * sizeof(*x->points));
    x->point_slots = malloc(POINT_SLOTS * sizeof(*x->point_slots));
    x->cells = malloc(TC_EXTERNAL_CELLS * sizeof(*x->cells));
    x->cell_slots = malloc(CELL_SLOTS * sizeof(*x->cell_slots));
    if (!x->points || !x->point_slots || !x->cells || !x->cell_slots) {
        tc_external_close(x);
        return tc_fail(TC_ENOMEM, "no memory for forecasts of others");
    }
    clear_points(x);
    index_cells(x);
    *out = x;
    return TC_OK;
}

void tc_external_close(struct tc_external *x)
{
    if (!x)
        return;
    free(x->points);
    free(x->point_slots);
    free(x->cells);
    free(x->cell_slots);
    free(x);
}

void tc_external_follow(struct tc_external *x, struct tc_engine *engine)
{
    x->engine = engine;
}

bool tc_external_is(const struct tc_record *r)
{
    const char *at = r->type == TC_REC_FORECAST ? strchr(r->forecast.model, '@') : NULL;
    return at && !strcmp(at, SUFFIX);
}

/* ---- judging ---- */

static void refuse(struct tc_submission *s, enum tc_verdict verdict, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct tc_submission *s, enum tc_verdict verdict, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->why, sizeof(s->why), fmt, ap);
    va_end(ap);
    s->verdict = verdict;
}

static bool name_is_fine(const struct tc_external *x, struct tc_submission *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *name = s->forecast.model;
    size_t n = strlen(name);
    if (!n || n > TC_EXTERNAL_NAME || strspn(name, letters) != n) {
        refuse(s, TC_VERDICT_WRONG, "model: 1 to %d small letters, digits, dots, dashes and underscores",
               TC_EXTERNAL_NAME);
        return false;
    }
    for (int m = 0; m < tc_engine_models(x->engine); m++) {
        const char *own = tc_engine_model(x->engine, m);
        if (strcspn(own, "@") == n && !strncmp(own, name, n)) {
            refuse(s, TC_VERDICT_WRONG, "model: \"%s\" is one of our own; take another name", name);
            return false;
        }
    }
    return true;
}

static void put_target(const struct tc_point *p, char out[static 24])
{
    if (p->kind == TC_KIND_NEXT)
        snprintf(out, 24, "next");
    else
        snprintf(out, 24, "%s of %d ms", tc_kind_name(p->kind), p->horizon_ms);
}

/* Index of the engine's point; NONE when it is not offered at this origin. */
static int point_of(const struct tc_external *x, const struct tc_question *q, const struct tc_point *p)
{
    for (int32_t i = 0; i < tc_engine_points(x->engine); i++) {
        enum tc_kind kind;
        int32_t horizon;
        tc_engine_point(x->engine, i, &kind, &horizon);
        if (kind == p->kind && (kind == TC_KIND_NEXT || horizon == p->horizon_ms))
            return q->offered >> i & 1 ? i : NONE;
    }
    return NONE;
}

static bool numbers_are_fine(struct tc_submission *s, const struct tc_question *q, const struct tc_point *p)
{
    double base = p->kind == TC_KIND_MID ? q->reference_mid : q->reference;
    char target[24];
    put_target(p, target);
    if (!(fabs(p->value - base) <= FAR * base)) {
        refuse(s, TC_VERDICT_WRONG,
               "%s: value %g is more than %g %% away from %g; prices are "
               "expected",
               target, p->value, 100 * FAR, base);
        return false;
    }
    bool band = !isnan(p->lo) || !isnan(p->hi);
    if (band && !(p->lo <= p->value && p->value <= p->hi && base - p->lo <= base && p->hi <= 2 * base)) {
        refuse(s, TC_VERDICT_WRONG, "%s: lo, value and hi must rise (both of lo and hi, or neither)", target);
        return false;
    }
    double sum = p->p_down + p->p_none + p->p_up;
    bool chances = !isnan(p->p_down) || !isnan(p->p_none) || !isnan(p->p_up);
    if (chances && !(p->p_down >= 0 && p->p_none >= 0 && p->p_up >= 0 && fabs(sum - 1) <= 1e-3)) {
        refuse(s, TC_VERDICT_WRONG,
               "%s: p_down, p_none and p_up must be there together and sum to "
               "1",
               target);
        return false;
    }
    return true;
}

/* Was it too late at `now`, or at what the market has shown? */
static bool is_late(const struct tc_question *q, const struct tc_forecast *f, const struct tc_point *p,
                    int point, int64_t now)
{
    if (!(q->open >> point & 1))
        return true;
    if (p->kind == TC_KIND_NEXT)
        return q->traded_since || now > f->origin_time + TC_NS_PER_SEC;
    int64_t target = f->origin_time + p->horizon_ms * TC_NS_PER_MS;
    return now >= target || q->seen_to >= target;
}

/* The points as they are kept; late ones go. False when the submission was refused. */
static bool take_points(const struct tc_external *x, const struct tc_question *q, int64_t now,
                        struct tc_submission *s, int index[static TC_POINTS_MAX])
{
    struct tc_forecast *f = &s->forecast;
    int32_t n = 0;
    uint32_t seen = 0;
    for (int32_t i = 0; i < f->n_points; i++) {
        struct tc_point p = f->points[i];
        char target[24];
        put_target(&p, target);
        int at = point_of(x, q, &p);
        if (at == NONE || seen >> at & 1) {
            refuse(s, TC_VERDICT_WRONG,
                   at == NONE ? "%s is not asked for at this origin"
                              : "%s is "
                                "there twice",
                   target);
            return false;
        }
        seen |= UINT32_C(1) << at;
        if (!numbers_are_fine(s, q, &p))
            return false;
        if (is_late(q, f, &p, at, now)) {
            s->late |= UINT32_C(1) << i;
            continue;
        }
        p.horizon_ms = p.kind == TC_KIND_NEXT ? 0 : p.horizon_ms;
        p.target = p.kind == TC_KIND_NEXT ? 0 : f->origin_time + p.horizon_ms * TC_NS_PER_MS;
        index[n] = at;
        f->points[n++] = p;
    }
    f->n_points = n;
    if (s->late)
        refuse(s, n ? TC_VERDICT_ACCEPTED : TC_VERDICT_LATE,
               n ? "some points came after their target, or after it was known, and were left out"
                 : "too late: the target has passed, or what came of it is known");
    return n > 0;
}

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool same_point(const struct open_point *a, const struct tc_point *b)
{
    return same_number(a->value, b->value) && same_number(a->lo, b->lo) && same_number(a->hi, b->hi) &&
           same_number(a->p[0], b->p_down) && same_number(a->p[1], b->p_none) &&
           same_number(a->p[2], b->p_up);
}

/* True when the model has answered this question before; the verdict says whether with the same. */
static bool answered(const struct tc_external *x, const struct tc_question *q, struct tc_submission *s)
{
    char published[TC_MODEL_SIZE + 7];
    const struct tc_forecast *f = &s->forecast;
    bool any = false, same = true;
    snprintf(published, sizeof(published), "%s%s", f->model, SUFFIX);
    int model = 0;
    while (model < TC_EXTERNAL_MODELS && strcmp(x->models[model].name, published) != 0)
        model++;
    for (int32_t p = 0; model < TC_EXTERNAL_MODELS && p < tc_engine_points(x->engine); p++)
        any = any || find_point(x, q->symbol, f->origin_time, model, p);
    for (int32_t i = 0; any && i < f->n_points; i++) {
        int at = point_of(x, q, &f->points[i]);
        const struct open_point *was =
            at == NONE ? NULL : find_point(x, q->symbol, f->origin_time, model, at);
        same = same && (at == NONE || !was || same_point(was, &f->points[i]));
    }
    if (any && same)
        refuse(s, TC_VERDICT_DUPLICATE, "this forecast was accepted before");
    else if (any)
        refuse(s, TC_VERDICT_CONFLICT,
               "another forecast of this model for this origin was accepted "
               "before; it stands");
    return any;
}

static bool find_question(const struct tc_external *x, struct tc_submission *s, struct tc_question *q)
{
    const struct tc_forecast *f = &s->forecast;
    int rc = tc_engine_question(x->engine, f->symbol, f->origin_time, q);
    if (rc == TC_ENOTFOUND)
        refuse(s, TC_VERDICT_UNKNOWN, "symbol %.32s is not one of this market", f->symbol);
    else if (rc != TC_OK && q->newest && f->origin_time <= q->newest)
        refuse(s, TC_VERDICT_LATE, "too late: nothing is open any more at this origin");
    else if (rc != TC_OK)
        refuse(s, TC_VERDICT_UNKNOWN,
               "origin_time is no instant at which we forecast %.32s; take it from the event "
               "\"forecast\" (the newest is "
               "%lld)",
               f->symbol, (long long)q->newest);
    return rc == TC_OK;
}

/* ---- keeping ---- */

static bool keep(struct tc_external *x, uint32_t symbol, const struct tc_forecast *f, const int *index)
{
    int model = model_of(x, f->model);
    if (model == NONE || x->n_points + f->n_points > TC_EXTERNAL_POINTS)
        return false;
    for (int32_t i = 0; i < f->n_points; i++)
        if (!cell_of(x, symbol, model, index[i]))
            return false;
    x->models[model].heard = tc_engine_time(x->engine);
    for (int32_t i = 0; i < f->n_points; i++) {
        const struct tc_point *p = &f->points[i];
        add_point(x, &(struct open_point){.origin = f->origin_time,
                                          .value = p->value,
                                          .lo = p->lo,
                                          .hi = p->hi,
                                          .p = {p->p_down, p->p_none, p->p_up},
                                          .symbol = symbol,
                                          .model = (uint16_t)model,
                                          .point = (uint16_t)index[i],
                                          .shown = p->gate_open});
    }
    return true;
}

/* What we add to make it a forecast like ours. */
static void complete(const struct tc_external *x, const struct tc_question *q, int64_t now, const int *index,
                     struct tc_forecast *f)
{
    size_t n = strlen(f->model);
    memcpy(f->model + n, SUFFIX, sizeof(SUFFIX));
    memcpy(f->inputs, "own", 4);
    memcpy(f->kernel, "external", 9);
    f->issued = now;
    f->day = q->day;
    f->flags = 0;
    f->reference = q->reference;
    f->reference_mid = q->reference_mid;
    int model = 0;
    while (model < TC_EXTERNAL_MODELS && strcmp(x->models[model].name, f->model) != 0)
        model++;
    for (int32_t i = 0; i < f->n_points; i++) {
        const struct cell *c = model < TC_EXTERNAL_MODELS ? find_cell(x, q->symbol, model, index[i]) : NULL;
        f->points[i].gate_open = c && tc_gate_is_open(&c->gate);
    }
}

void tc_external_submit(struct tc_external *x, int64_t now, int64_t clock_second, struct tc_submission *s)
{
    struct tc_question q;
    int index[TC_POINTS_MAX];
    s->late = 0;
    s->why[0] = '\0';
    s->verdict = TC_VERDICT_ACCEPTED;
    if (tc_engine_time(x->engine) > now)
        now = tc_engine_time(x->engine);
    if (x->second != clock_second)
        x->in_second = 0;
    x->second = clock_second;
    if (++x->in_second > TC_EXTERNAL_A_SECOND) {
        refuse(s, TC_VERDICT_LIMIT, "more than %d forecasts in a second", TC_EXTERNAL_A_SECOND);
        return;
    }
    if (!name_is_fine(x, s) || !find_question(x, s, &q) || answered(x, &q, s) ||
        !take_points(x, &q, now, s, index))
        return;
    complete(x, &q, now, index, &s->forecast);
    if (!keep(x, q.symbol, &s->forecast, index))
        refuse(s, TC_VERDICT_LIMIT,
               "too many models (%d), open forecasts or targets at "
               "once",
               TC_EXTERNAL_MODELS);
}

void tc_external_again(struct tc_external *x, const struct tc_forecast *f)
{
    struct tc_question q;
    int index[TC_POINTS_MAX];
    if (tc_engine_question(x->engine, f->symbol, f->origin_time, &q) != TC_OK)
        return; /* the engine learnt anew and made no forecast there that counts */
    for (int32_t i = 0; i < f->n_points; i++) {
        index[i] = point_of(x, &q, &f->points[i]);
        if (index[i] == NONE)
            return;
    }
    keep(x, q.symbol, f, index);
}

/* ---- scoring ---- */

static int publish_cell(struct tc_external *x, struct cell *c, tc_emit_fn emit, void *ctx, int64_t offset)
{
    struct tc_record r = {.type = TC_REC_SCORE, .from = offset};
    r.score =
        (struct tc_score){.inputs = "own", .day = (int32_t)c->day, .slot = (int32_t)c->slot, .sums = c->sums};
    snprintf(r.score.symbol, sizeof(r.score.symbol), "%s", tc_engine_symbol(x->engine, c->symbol));
    snprintf(r.score.model, sizeof(r.score.model), "%.40s", x->models[c->model].name);
    tc_engine_point(x->engine, c->point, &r.score.kind, &r.score.horizon_ms);
    c->dirty = 0;
    return emit(ctx, &r);
}

static void close_block(struct tc_external *x, struct cell *c)
{
    if (!c->block_n)
        return;
    double n = (double)c->block_n, d = c->block_d, r = c->block_ridge;
    enum tc_kind kind;
    int32_t horizon;
    c->sums.dm_blocks++;
    c->sums.dm_n += c->block_n;
    c->sums.dm_n2 += n * n;
    c->sums.dm_d += d;
    c->sums.dm_d2 += d * d;
    c->sums.dm_nd += n * d;
    c->sums.dm_ridge_d += r;
    c->sums.dm_ridge_d2 += r * r;
    c->sums.dm_ridge_nd += n * r;
    tc_engine_point(x->engine, c->point, &kind, &horizon);
    tc_gate_block(&c->gate, horizon);
    c->block_n = 0;
    c->block_d = c->block_ridge = 0;
    c->dirty = 1;
}

/* Day, half hour and minute are those of the second in which the outcome became known. */
static void place(struct tc_external *x, int64_t known, int64_t *day, int64_t *slot, int64_t *minute,
                  const char *symbol)
{
    const struct tc_calendar *c = x->calendar(x->calendar_ctx, symbol);
    int64_t second = known - TC_NS_PER_SEC;
    *day = tc_calendar_day(c, second);
    *slot = (second / TC_NS_PER_SEC + tc_calendar_offset_s(c, second)) / 1800 % 48;
    *minute = second / (60 * TC_NS_PER_SEC);
}

static void add_sample(struct cell *c, const struct open_point *p, const struct tc_resolved *r)
{
    struct tc_sample sample;
    tc_resolved_sample(r, &sample);
    sample.forecast = p->value - r->base;
    sample.lo = p->lo - r->base;
    sample.hi = p->hi - r->base;
    memcpy(sample.p, p->p, sizeof(sample.p));
    tc_score_add(&c->sums, &sample);
    double y = r->move, e = y - sample.forecast, er = y - r->ridge;
    c->block_n++;
    c->block_d += y * y - e * e;
    c->block_ridge += isnan(er) ? 0 : er * er - e * e;
    double cut = r->capped / r->scale, said = sample.forecast / r->scale;
    tc_gate_sample(&c->gate, cut * cut, (cut - said) * (cut - said), p->shown);
    c->heard = r->known_time;
    c->dirty = 1;
}

void tc_external_resolved(struct tc_external *x, const struct tc_resolved *r)
{
    if (!x->n_points || r->model != TC_ME_PERSISTENCE)
        return;
    for (int32_t i = x->point_slots[point_slot(r->symbol, r->origin_time, r->point)]; i != NONE;
         i = x->points[i].next) {
        const struct open_point *p = &x->points[i];
        struct cell *c = is_of(p, r->symbol, r->origin_time, r->point)
                             ? find_cell(x, r->symbol, p->model, p->point)
                             : NULL;
        if (!c)
            continue;
        int64_t day, slot, minute;
        place(x, r->known_time, &day, &slot, &minute, tc_engine_symbol(x->engine, r->symbol));
        if (minute != c->minute)
            close_block(x, c);
        if (day != c->day || slot != c->slot) /* tc_external_begin has published the last ones */
            c->sums = (struct tc_score_sums){0};
        c->day = day;
        c->slot = slot;
        c->minute = minute;
        add_sample(c, p, r);
    }
}

void tc_external_outcome(struct tc_external *x, const struct tc_outcome *o)
{
    struct tc_question q;
    if (!x->n_points || tc_engine_question(x->engine, o->symbol, o->origin_time, &q) == TC_ENOTFOUND)
        return;
    for (int32_t p = 0; p < tc_engine_points(x->engine); p++)
        drop_points(x, q.symbol, o->origin_time, p);
}

/* `over`: the open blocks end, whatever the time says. */
static int publish_cells(struct tc_external *x, bool over, tc_emit_fn emit, void *ctx, int64_t offset)
{
    int64_t minute = tc_engine_time(x->engine) / (60 * TC_NS_PER_SEC);
    for (int32_t i = 0; i < x->n_cells; i++) {
        struct cell *c = &x->cells[i];
        if (over || minute != c->minute)
            close_block(x, c);
        int rc = c->dirty ? publish_cell(x, c, emit, ctx, offset) : TC_OK;
        if (rc < 0)
            return rc;
    }
    return TC_OK;
}

int tc_external_begin(struct tc_external *x, int64_t second, tc_emit_fn emit, void *ctx, int64_t offset)
{
    int64_t half_hour = second / (1800 * TC_NS_PER_SEC);
    if (half_hour == x->half_hour)
        return TC_OK;
    x->half_hour = half_hour;
    return publish_cells(x, true, emit, ctx, offset);
}

int tc_external_publish(struct tc_external *x, bool all, tc_emit_fn emit, void *ctx, int64_t offset)
{
    int64_t turn = tc_engine_time(x->engine) / (PUBLISH_S * TC_NS_PER_SEC);
    if (turn == x->published && !all)
        return TC_OK;
    x->published = turn;
    return publish_cells(x, false, emit, ctx, offset);
}

/* ---- bytes ---- */

int tc_external_save(const struct tc_external *x, struct tc_buf *out)
{
    struct saved h = {VERSION, x->n_points, x->n_cells, x->published, x->half_hour, {{{0}, 0}}};
    memcpy(h.models, x->models, sizeof(h.models));
    tc_buf_put(out, &h, sizeof(h));
    for (int32_t i = 0; i < TC_EXTERNAL_POINTS && h.n_points; i++)
        if (x->points[i].used)
            tc_buf_put(out, &x->points[i], sizeof(x->points[i]));
    tc_buf_put(out, x->cells, (size_t)x->n_cells * sizeof(*x->cells));
    return out->overflow ? tc_fail(TC_ELIMIT, "the forecasts of others do not fit into a checkpoint") : TC_OK;
}

static bool valid(const struct tc_external *x, uint32_t symbol, int model, int point)
{
    return symbol < tc_engine_symbols(x->engine) && model < TC_EXTERNAL_MODELS && x->models[model].name[0] &&
           point < tc_engine_points(x->engine);
}

static int damaged(void)
{
    return tc_fail(TC_EINPUT, "the forecast checkpoint is damaged (forecasts of others)");
}

int tc_external_load(struct tc_external *x, const uint8_t *bytes, size_t n)
{
    struct saved h;
    if (n < sizeof(h))
        return damaged();
    memcpy(&h, bytes, sizeof(h));
    size_t points = (size_t)h.n_points * sizeof(struct open_point);
    if (h.version != VERSION || h.n_points < 0 || h.n_points > TC_EXTERNAL_POINTS || h.n_cells < 0 ||
        h.n_cells > TC_EXTERNAL_CELLS || n != sizeof(h) + points + (size_t)h.n_cells * sizeof(struct cell))
        return damaged();
    memcpy(x->models, h.models, sizeof(x->models));
    for (int m = 0; m < TC_EXTERNAL_MODELS; m++)
        x->models[m].name[TC_MODEL_SIZE - 1] = '\0';
    clear_points(x);
    for (int64_t i = 0; i < h.n_points; i++) {
        struct open_point p;
        memcpy(&p, bytes + sizeof(h) + (size_t)i * sizeof(p), sizeof(p));
        if (!valid(x, p.symbol, p.model, p.point))
            return damaged();
        add_point(x, &p);
    }
    memcpy(x->cells, bytes + sizeof(h) + points, (size_t)h.n_cells * sizeof(struct cell));
    x->n_cells = (int32_t)h.n_cells;
    for (int32_t i = 0; i < x->n_cells; i++)
        if (!valid(x, x->cells[i].symbol, x->cells[i].model, x->cells[i].point))
            return damaged();
    index_cells(x);
    x->published = h.published;
    x->half_hour = h.half_hour;
    return TC_OK;
}
