/* tickcast score: computes the scores a second time, from the stored forecasts and what came true, and
 * compares them with what the forecast role wrote while it ran. An own, plain computation: it shares no code
 * with the engine's. */
#include "app/command.h"
#include "app/config.h"
#include "app/stores.h"
#include "app/table.h"
#include "base/clock.h"
#include "base/err.h"
#include "forecast/report.h"
#include "store/store.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS_MAX = 65536, STILL_OPEN_MAX = 120 /* forecasts of the last minute or so of a store in use */ };
#define TOLERANCE 1e-6 /* relative: sums are added in another order, and moves were held as floats */

struct options {
    char *symbol;
    bool recompute, csv;
};

static const struct tc_opt options[] = {
    {.key = "recompute",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct options, recompute),
     .def = "false",
     .doc = "compute the scores again from forecasts and outcomes; exit status 1 when they differ"},
    {.key = "symbol",
     .type = TC_OPT_STRING,
     .at = offsetof(struct options, symbol),
     .def_doc = "all",
     .doc = "one symbol"},
    {.key = "csv", .type = TC_OPT_BOOL, .at = offsetof(struct options, csv), .def = "false", .doc = "CSV"},
};

/* Sums of one symbol, model, target and day. */
#define SUMS(X)                   \
    X(int64_t, n)                 \
    X(int64_t, n_late)            \
    X(int64_t, moves)             \
    X(int64_t, hits)              \
    X(int64_t, banded)            \
    X(int64_t, covered)           \
    X(int64_t, n_flagged)         \
    X(int64_t, n_prob)            \
    X(int64_t, prob_down)         \
    X(int64_t, prob_none)         \
    X(double, abs_err)            \
    X(double, sq_err)             \
    X(double, abs_persist)        \
    X(double, sq_persist)         \
    X(double, width)              \
    X(double, sq_err_flagged)     \
    X(double, sq_persist_flagged) \
    X(double, brier)

#define FIELD(type, name) type name;

struct sums {
    SUMS(FIELD)
    int64_t n_spread, beyond;
    int64_t revised; /* of them from bars that were revised since: their quote may have been another one */
};

struct cell {
    char symbol[TC_SYMBOL_SIZE], model[TC_MODEL_SIZE];
    enum tc_kind kind;
    int32_t horizon_ms, day;
    struct sums again, stored;
};

struct spread { /* half the spread at the end of a traded second; NaN without a fresh quote */
    int64_t time;
    double half;
    bool revised;
};

struct outcome {
    int64_t origin;
    int32_t n;
    struct tc_outcome_value values[TC_POINTS_MAX];
};

struct work {
    struct tc_store store;
    struct tc_store_info info;
    struct cell *cells;
    size_t n_cells, last; /* last: the cell found last; runs of one model are the rule */
    struct outcome *outcomes;
    size_t n_outcomes, room, next; /* next: first outcome not before the forecast at hand */
    struct spread *spreads;        /* of the symbol at hand, rising */
    size_t n_spreads, spread_room;
};

/* ---- cells ---- */

static bool is_cell(const struct cell *c, const char *symbol, const char *model, enum tc_kind kind,
                    int32_t horizon, int32_t day)
{
    return c->kind == kind && c->horizon_ms == horizon && c->day == day && !strcmp(c->symbol, symbol) &&
           !strcmp(c->model, model);
}

static struct cell *cell_of(struct work *w, const char *symbol, const char *model, enum tc_kind kind,
                            int32_t horizon, int32_t day)
{
    for (size_t k = 0; k < w->n_cells; k++) { /* the wanted one is near the one found last */
        size_t i = (w->last + k) % w->n_cells;
        if (is_cell(&w->cells[i], symbol, model, kind, horizon, day)) {
            w->last = i;
            return &w->cells[i];
        }
    }
    if (w->n_cells == CELLS_MAX)
        return NULL;
    struct cell *c = &w->cells[w->n_cells++];
    *c = (struct cell){.kind = kind, .horizon_ms = horizon, .day = day};
    snprintf(c->symbol, sizeof(c->symbol), "%s", symbol);
    snprintf(c->model, sizeof(c->model), "%s", model);
    w->last = w->n_cells - 1;
    return c;
}

static int too_many(void)
{
    return tc_fail(TC_ELIMIT, "more than %d rows of scores: ask for one symbol with --symbol", CELLS_MAX);
}

static int add_stored(void *ctx, const struct tc_record *r)
{
    struct work *w = ctx;
    const struct tc_score *s = &r->score;
    struct cell *c = cell_of(w, s->symbol, s->model, s->kind, s->horizon_ms, s->day);
    if (!c)
        return too_many();
#define STORED(type, name) c->stored.name += s->name;
    SUMS(STORED)
    c->stored.n_spread += s->n_spread;
    c->stored.beyond += s->beyond;
    return TC_OK;
}

/* ---- the computation ---- */

static int keep_outcome(void *ctx, const struct tc_record *r)
{
    struct work *w = ctx;
    if (w->n_outcomes == w->room) {
        size_t room = w->room ? w->room * 2 : 4096;
        struct outcome *more = realloc(w->outcomes, room * sizeof(*more));
        if (!more)
            return tc_fail(TC_ENOMEM, "no memory for %zu outcomes", room);
        w->outcomes = more;
        w->room = room;
    }
    struct outcome *o = &w->outcomes[w->n_outcomes++];
    o->origin = r->outcome.origin_time;
    o->n = r->outcome.n_values;
    memcpy(o->values, r->outcome.values, sizeof(o->values));
    return TC_OK;
}

/* The rule of docs/forecasting.md: bid below ask, and the quote feed heard of within a second. */
static int keep_spread(void *ctx, const struct tc_record *r)
{
    struct work *w = ctx;
    const struct tc_bar *b = &r->bar;
    if (w->n_spreads == w->spread_room) {
        size_t room = w->spread_room ? w->spread_room * 2 : 4096;
        struct spread *more = realloc(w->spreads, room * sizeof(*more));
        if (!more)
            return tc_fail(TC_ENOMEM, "no memory for %zu bars", room);
        w->spreads = more;
        w->spread_room = room;
    }
    double wide = b->quote.bid > 0 && b->quote_lag_ms <= 1000 ? b->quote.ask - b->quote.bid : NAN;
    w->spreads[w->n_spreads++] =
        (struct spread){b->start + TC_NS_PER_SEC, wide > 0 ? wide / 2 : NAN, b->revision > 0};
    return TC_OK;
}

static struct spread spread_at(const struct work *w, int64_t time)
{
    size_t lo = 0, hi = w->n_spreads;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (w->spreads[mid].time < time)
            lo = mid + 1;
        else
            hi = mid;
    }
    bool there = lo < w->n_spreads && w->spreads[lo].time == time;
    return there ? w->spreads[lo] : (struct spread){time, NAN, false};
}

static double value_of(const struct outcome *o, const struct tc_point *p)
{
    for (int32_t i = 0; i < o->n; i++)
        if (o->values[i].kind == p->kind && o->values[i].horizon_ms == p->horizon_ms)
            return o->values[i].value;
    return NAN;
}

/* contracts of lateness: `next` more than a second after its origin, a clock horizon at or after its target
 */
static bool is_late(const struct tc_forecast *f, const struct tc_point *p)
{
    return p->kind == TC_KIND_NEXT ? f->issued > f->origin_time + TC_NS_PER_SEC : f->issued >= p->target;
}

static bool is_zero(double move, double base)
{
    return fabs(move) <= 1e-9 * fabs(base);
}

static void add_rest(struct sums *s, const struct tc_point *p, double move, double said, double base,
                     const struct spread *spread)
{
    double err = move - said, seconds = p->horizon_ms > 1000 ? p->horizon_ms / 1000.0 : 1;
    if (fabs(move) > 0.003 * fabs(base) * sqrt(seconds)) {
        s->n_flagged++;
        s->sq_err_flagged += err * err;
        s->sq_persist_flagged += move * move;
    }
    s->revised += spread->revised;
    if (!isnan(spread->half)) {
        s->n_spread++;
        s->beyond += fabs(said) > spread->half;
    }
    if (isnan(p->p_down) || isnan(p->p_none) || isnan(p->p_up))
        return;
    double down = move<0, up = move> 0, none = move == 0;
    s->n_prob++;
    s->prob_down += move < 0;
    s->prob_none += move == 0;
    s->brier += pow(p->p_down - down, 2) + pow(p->p_none - none, 2) + pow(p->p_up - up, 2);
}

static void add_point(struct sums *s, const struct tc_forecast *f, const struct tc_point *p, double came,
                      const struct spread *spread)
{
    double base = p->kind == TC_KIND_MID ? f->reference_mid : f->reference;
    double move = came - base, said = p->value - base, err = came - p->value;
    if (isnan(move))
        return;
    if (is_late(f, p)) {
        s->n_late++;
        return;
    }
    s->n++;
    s->abs_err += fabs(err);
    s->sq_err += err * err;
    s->abs_persist += fabs(move);
    s->sq_persist += move * move;
    if (!is_zero(move, base) && !is_zero(said, base)) {
        s->moves++;
        s->hits += (move > 0) == (said > 0);
    }
    if (!isnan(p->lo) && !isnan(p->hi)) {
        s->banded++;
        s->covered += came >= p->lo && came <= p->hi;
        s->width += p->hi - p->lo;
    }
    add_rest(s, p, move, said, base, spread);
}

static int add_forecast(void *ctx, const struct tc_record *r)
{
    struct work *w = ctx;
    const struct tc_forecast *f = &r->forecast;
    if (w->next < w->n_outcomes && w->outcomes[w->next].origin > f->origin_time)
        w->next = 0; /* the next model of the symbol begins again at its first forecast */
    while (w->next < w->n_outcomes && w->outcomes[w->next].origin < f->origin_time)
        w->next++;
    if (w->next == w->n_outcomes || w->outcomes[w->next].origin != f->origin_time)
        return TC_OK; /* still open */
    struct spread spread = spread_at(w, f->origin_time);
    for (int32_t i = 0; i < f->n_points; i++) {
        const struct tc_point *p = &f->points[i];
        struct cell *c = cell_of(w, f->symbol, f->model, p->kind, p->horizon_ms, f->day);
        if (!c)
            return too_many();
        add_point(&c->again, f, p, value_of(&w->outcomes[w->next], p), &spread);
    }
    return TC_OK;
}

static int one_symbol(struct work *w, const char *symbol)
{
    struct tc_range q = {.symbol = symbol, .from = INT64_MIN, .to = INT64_MAX, .interval_ms = 1000};
    w->n_outcomes = w->next = w->n_spreads = 0;
    int rc = w->store.ops->bars(w->store.self, &q, keep_spread, w);
    if (!rc)
        rc = w->store.ops->outcomes(w->store.self, &q, keep_outcome, w);
    if (!rc)
        rc = w->store.ops->forecasts(w->store.self, &q, add_forecast, w);
    if (!rc)
        rc = w->store.ops->scores(w->store.self, symbol, 0, 99991231, add_stored, w);
    return rc;
}

struct names {
    char (*list)[TC_SYMBOL_SIZE];
    size_t n;
};

static int keep_name(void *ctx, const struct tc_record *r)
{
    struct names *names = ctx;
    void *more = realloc(names->list, (names->n + 1) * sizeof(*names->list));
    if (!more)
        return tc_fail(TC_ENOMEM, "no memory for the list of symbols");
    names->list = more;
    memcpy(names->list[names->n++], r->bar.symbol, TC_SYMBOL_SIZE);
    return TC_OK;
}

static int all_symbols(struct work *w)
{
    struct names names = {0};
    int rc = w->store.ops->latest(w->store.self, keep_name, &names);
    for (size_t i = 0; i < names.n && !rc; i++)
        rc = one_symbol(w, names.list[i]);
    free(names.list);
    return rc;
}

/* ---- the verdict ---- */

static bool near(double a, double b)
{
    return fabs(a - b) <= TOLERANCE * (fabs(a) + fabs(b)) + 1e-12;
}

static bool same(const struct sums *a, const struct sums *b)
{
    bool yes = llabs(a->n_spread - b->n_spread) <= a->revised && llabs(a->beyond - b->beyond) <= a->revised;
#define SAME(type, name) \
    yes = yes && _Generic(a->name, double : near(a->name, b->name), default : a->name == b->name);
    SUMS(SAME)
    return yes;
}

/* Whether the day is one that a store in use may not have whole: the newest one, and those that retention has
 * cut. */
static bool in_flux(const struct work *w, const struct cell *c)
{
    int32_t oldest = tc_date_utc(w->info.oldest_forecast), newest = tc_date_utc(w->info.newest_forecast);
    return !w->info.ended[TC_TOPIC_FORECASTS] && (c->day <= oldest || c->day >= newest);
}

static const char *verdict(const struct work *w, const struct cell *c, bool *differs)
{
    if (same(&c->again, &c->stored))
        return "same";
    if (in_flux(w, c) && c->again.n <= c->stored.n + STILL_OPEN_MAX)
        return "in use";
    *differs = true;
    return "DIFFERENT";
}

static double ratio(const struct sums *s)
{
    return s->n && s->sq_persist > 0 ? sqrt(s->sq_err / s->sq_persist) : NAN;
}

/* Baselines that can be recomputed from bars have no stored forecasts and are left out. */
static bool has_forecasts(const struct cell *c)
{
    return strcmp(c->model, "persistence") && strcmp(c->model, "reversal") && strcmp(c->model, "microprice");
}

static int print(const struct work *w, bool csv, bool *differs)
{
    static const struct tc_column columns[] = {
        {"day", false},    {"symbol", false},        {"model", false},   {"target", false},
        {"n", true},       {"stored_n", true},       {"ratio", true},    {"stored_ratio", true},
        {"covered", true}, {"stored_covered", true}, {"verdict", false},
    };
    struct tc_table t;
    tc_table_open(&t, columns, sizeof(columns) / sizeof(columns[0]), csv);
    for (size_t i = 0; i < w->n_cells; i++) {
        const struct cell *c = &w->cells[i];
        char day[16], target[24];
        if (!has_forecasts(c))
            continue;
        tc_report_target(c->kind, c->horizon_ms, target);
        tc_table_text(&t, tc_date_text(c->day, day));
        tc_table_text(&t, c->symbol);
        tc_table_text(&t, c->model);
        tc_table_text(&t, target);
        tc_table_int(&t, c->again.n);
        tc_table_int(&t, c->stored.n);
        tc_table_num(&t, ratio(&c->again), 4, 4);
        tc_table_num(&t, ratio(&c->stored), 4, 4);
        tc_table_int(&t, c->again.covered);
        tc_table_int(&t, c->stored.covered);
        tc_table_text(&t, verdict(w, c, differs));
    }
    return tc_table_close(&t);
}

static int recompute(const struct tc_config *conf, const struct options *o, bool *differs)
{
    struct work w = {0};
    struct tc_calendar *calendar;
    int rc = tc_stores_look(conf, NULL, &calendar, &w.store, &w.info);
    if (rc)
        return rc;
    w.cells = malloc(CELLS_MAX * sizeof(*w.cells));
    rc = w.cells ? TC_OK : tc_fail(TC_ENOMEM, "no memory for scores");
    if (!rc)
        rc = o->symbol ? one_symbol(&w, o->symbol) : all_symbols(&w);
    if (!rc)
        rc = print(&w, o->csv, differs);
    w.store.ops->close(w.store.self);
    tc_calendar_free(calendar);
    free(w.outcomes);
    free(w.spreads);
    free(w.cells);
    return rc;
}

int tc_cmd_score(int argc, char **argv)
{
    struct options o;
    struct tc_cli cli = {
        .command = "score",
        .usage = "--recompute [FLAGS]",
        .about =
            "Computes the scores of a store a second time, from the stored forecasts and what came true, and "
            "compares "
            "them with those that were written while it ran. To print the stored ones: tickcast show scores.",
        .sections = "data feed store cassandra log",
        .opts = options,
        .n_opts = sizeof(options) / sizeof(options[0]),
        .target = &o,
        .examples = "  tickcast score --recompute --data OUT\n",
    };
    struct tc_config_set set;
    bool differs = false;
    int rc = tc_config_load(&set, &cli, argc, argv);
    if (!rc && !o.recompute)
        rc = tc_fail(TC_EUSAGE,
                     "score: add --recompute; the stored scores are printed by tickcast show scores");
    if (!rc)
        rc = recompute(&set.conf, &o, &differs);
    tc_config_release(&set);
    if (!rc && differs) {
        fprintf(stderr, "tickcast: some scores are not what forecasts and outcomes give\n");
        return TC_EXIT_FAILURE;
    }
    return tc_command_exit(rc);
}
