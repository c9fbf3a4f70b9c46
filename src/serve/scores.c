/* The scores' answer: sums of half hours, merged over the span and turned into figures. */
#include "base/clock.h"
#include "base/err.h"
#include "forecast/score.h"
#include "serve/api.h"
#include "serve/live.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SUMS_MAX = 100000, HOUR_SLOTS = 2 };

enum span { SPAN_HOUR, SPAN_SESSION, SPAN_ALL };

struct sums {
    struct tc_score *at;
    size_t n, room;
    enum span span;
    int32_t day, slot; /* the newest seen */
};

static int by_target(const struct tc_score *x, const struct tc_score *y)
{
    int c = strcmp(x->model, y->model);
    if (!c)
        c = strcmp(x->inputs, y->inputs);
    if (!c)
        c = (int)x->kind - (int)y->kind;
    if (!c)
        c = (x->horizon_ms > y->horizon_ms) - (x->horizon_ms < y->horizon_ms);
    return c;
}

static int by_symbol(const void *a, const void *b)
{
    const struct tc_score *x = a, *y = b;
    int c = strcmp(x->symbol, y->symbol);
    return c ? c : by_target(x, y);
}

static int by_pool(const void *a, const void *b)
{
    const struct tc_score *x = a, *y = b;
    int c = by_target(x, y);
    return c ? c : strcmp(x->symbol, y->symbol);
}

static int append(struct sums *s, const struct tc_score *score)
{
    if (s->n == s->room) {
        size_t room = s->room ? s->room * 2 : 256;
        struct tc_score *at = room > SUMS_MAX ? NULL : realloc(s->at, room * sizeof(*at));
        if (!at)
            return tc_fail(TC_ELIMIT, "more than %d sums of scores; ask for one symbol", SUMS_MAX / 2);
        s->at = at;
        s->room = room;
    }
    s->at[s->n++] = *score;
    return TC_OK;
}

/* Rows of older days (or half hours) than the newest one do not count for a session (or hour). */
static int take_sum(void *ctx, const struct tc_record *row)
{
    struct sums *s = ctx;
    const struct tc_score *score = &row->score;
    if (score->day > s->day || (score->day == s->day && score->slot > s->slot)) {
        s->day = score->day;
        s->slot = score->slot;
    }
    return append(s, score);
}

static bool counts(const struct sums *s, const struct tc_score *score)
{
    if (s->span == SPAN_ALL)
        return true;
    if (score->day != s->day)
        return false;
    return s->span == SPAN_SESSION || score->slot > s->slot - HOUR_SLOTS;
}

/* One sum a symbol and target, in order of symbol. */
static void merge_slots(struct sums *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (counts(s, &s->at[i]))
            s->at[kept++] = s->at[i];
    s->n = 0;
    if (kept)
        qsort(s->at, kept, sizeof(*s->at), by_symbol);
    for (size_t i = 0; i < kept; i++) {
        if (s->n && !by_symbol(&s->at[s->n - 1], &s->at[i]))
            tc_score_merge(&s->at[s->n - 1], &s->at[i]);
        else
            s->at[s->n++] = s->at[i];
    }
}

/* Errors in units of the symbol's own persistence error, so that a dear symbol does not outweigh the rest. */
static void normalise(struct tc_score *s)
{
    double unit = s->n > 0 ? sqrt(s->sq_persist / (double)s->n) : 0;
    double k = unit > 0 ? 1 / unit : 0, k2 = k * k;
    s->abs_err *= k;
    s->abs_persist *= k;
    s->width *= k;
    s->winkler *= k;
    s->sq_err *= k2;
    s->sq_persist *= k2;
    s->sq_reversal *= k2;
    s->sq_ridge *= k2;
    s->sq_model_micro *= k2;
    s->sq_micro *= k2;
    s->dm_d *= k2;
    s->dm_nd *= k2;
    s->dm_d2 *= k2 * k2;
    s->dm_ridge_d *= k2;
    s->dm_ridge_nd *= k2;
    s->dm_ridge_d2 *= k2 * k2;
    s->sq_err_flagged *= k2;
    s->sq_persist_flagged *= k2;
}

/* Appends the pools of the calendar of symbol `like`. */
static int pool(struct tc_serve *serve, struct sums *s)
{
    size_t n = s->n;
    if (!n)
        return TC_OK;
    qsort(s->at, n, sizeof(*s->at), by_pool);
    const struct tc_calendar *calendar = serve->conf.n_calendars ? serve->conf.calendars[0] : NULL;
    struct tc_score one;
    bool open = false;
    for (size_t i = 0; i < n; i++) {
        if (tc_serve_calendar(&serve->conf, s->at[i].symbol) != calendar)
            continue;
        one = s->at[i];
        normalise(&one);
        if (open && !by_target(&s->at[s->n - 1], &one)) {
            tc_score_merge(&s->at[s->n - 1], &one);
            continue;
        }
        memcpy(one.symbol, "*", 2);
        if (append(s, &one) != TC_OK)
            return TC_ELIMIT;
        open = true;
    }
    return TC_OK;
}

static void put_score(struct tc_serve *serve, const struct tc_score *s, struct tc_buf *out)
{
    struct tc_score_figures f;
    tc_score_figures(s, &f);
    tc_buf_str(out, "{\"symbol\":");
    tc_buf_json_string(out, s->symbol);
    tc_buf_str(out, ",\"model\":");
    tc_buf_json_string(out, s->model);
    tc_buf_printf(out, ",\"kind\":\"%s\",\"horizon_ms\":%d,\"inputs\":", tc_kind_name(s->kind),
                  s->horizon_ms);
    tc_buf_json_string(out, s->inputs);
    tc_score_figures_to_json(s, &f, out);
    int gate = tc_live_gate(serve->live, s->symbol, s->model, s->kind, s->horizon_ms);
    tc_buf_printf(out, ",\"gate_open\":%s,\"simulated\":%s}",
                  gate < 0 ? "null"
                  : gate   ? "true"
                           : "false",
                  serve->conf.world == TC_WORLD_SIMULATED ? "true" : "false");
}

void tc_api_scores(struct tc_serve *s, const struct tc_store *store, const struct tc_params *p,
                   struct tc_reply *r)
{
    static const char *const names[] = {"hour", "session", "all"};
    const char *symbol = NULL;
    int span = SPAN_SESSION;
    if (!tc_param_symbol(p, false, &symbol, r) || !tc_param_choice(p, "span", "hour session all", &span, r))
        return;
    struct tc_live_totals totals;
    tc_live_totals(s->live, &totals);
    struct sums sums = {.span = (enum span)span};
    int32_t from = span == SPAN_ALL ? 0 : totals.day;
    int rc = store ? store->ops->scores(store->self, symbol, from, 99991231, take_sum, &sums) : TC_OK;
    if (rc >= 0)
        merge_slots(&sums);
    if (rc >= 0 && !symbol)
        rc = pool(s, &sums);
    if (rc >= 0 && sums.n)
        qsort(sums.at, sums.n, sizeof(*sums.at), by_symbol);
    tc_buf_printf(&r->body, "{\"span\":\"%s\",\"scores\":[", names[span]);
    for (size_t i = 0; rc >= 0 && i < sums.n; i++) {
        if (i)
            tc_buf_char(&r->body, ',');
        put_score(s, &sums.at[i], &r->body);
    }
    tc_buf_str(&r->body, "]}\n");
    free(sums.at);
    if (rc == TC_ELIMIT)
        tc_reply_error(r, 400, "%s", tc_error());
    else if (rc < 0)
        tc_api_store_error(r, rc);
}
