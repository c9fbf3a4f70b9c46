#include "store/adjusted.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 4, LAST_DAY = 99991231 };

/* A name of the symbol and the time in which it bore it. */
struct stretch {
    char name[TC_SYMBOL_SIZE];
    int64_t from, to;
    uint64_t rows; /* to be given; UINT64_MAX = all */
};

struct chain {
    const struct tc_adjusted *a;
    const char *symbol;           /* today's name */
    struct stretch at[NAMES_MAX]; /* newest first */
    int n;
    tc_row_fn fn;
    void *ctx;
};

static int64_t midnight(const struct tc_adjusted *a, int32_t day)
{
    return a->calendar ? tc_calendar_local_midnight(a->calendar, day)
                       : tc_days_from_date(day) * 86400 * TC_NS_PER_SEC;
}

static int32_t day_of(const struct tc_adjusted *a, int64_t t)
{
    return a->calendar ? tc_calendar_day(a->calendar, t) : tc_date_utc(t);
}

static void make_chain(struct chain *c, const struct tc_range *q, int32_t as_of)
{
    const char *name = q->symbol, *before;
    int32_t day = as_of, changed;
    int64_t to = q->to;
    for (c->n = 0; c->n < NAMES_MAX; name = before) {
        struct stretch *s = &c->at[c->n++];
        snprintf(s->name, sizeof(s->name), "%s", name);
        s->to = to;
        s->from = q->from;
        s->rows = UINT64_MAX;
        before = tc_actions_before(c->a->actions, name, day, &changed);
        int64_t begin = before ? midnight(c->a, changed) : q->from;
        if (!before || begin <= q->from)
            return;
        s->from = to = begin < to ? begin : to;
        day = tc_date_from_days(tc_days_from_date(changed) - 1);
    }
}

/* Splits stand under the name that the symbol bears, or bore, when they are written down. */
static double ratio_of(const struct chain *c, int32_t day, int32_t as_of)
{
    double ratio = 1;
    for (int i = 0; i < c->n; i++)
        ratio *= tc_actions_ratio(c->a->actions, c->at[i].name, day, as_of);
    return ratio;
}

static void adjust_forecast(struct tc_forecast *f, double ratio)
{
    f->reference /= ratio;
    f->reference_mid /= ratio;
    for (int32_t i = 0; i < f->n_points; i++) {
        f->points[i].value /= ratio;
        f->points[i].lo /= ratio;
        f->points[i].hi /= ratio;
    }
}

static void adjust_quote(struct tc_second_quote *q, double ratio)
{
    q->quote.bid /= ratio;
    q->quote.ask /= ratio;
    q->quote.bid_size *= ratio;
    q->quote.ask_size *= ratio;
}

static int give(void *ctx, const struct tc_record *row)
{
    struct chain *c = ctx;
    struct tc_record r = *row;
    int32_t as_of = c->a->as_of ? c->a->as_of : LAST_DAY;
    char *name = r.type == TC_REC_BAR        ? r.bar.symbol
                 : r.type == TC_REC_QUOTE    ? r.quote.symbol
                 : r.type == TC_REC_FORECAST ? r.forecast.symbol
                                             : r.outcome.symbol;
    int64_t t = r.type == TC_REC_BAR        ? r.bar.start
                : r.type == TC_REC_QUOTE    ? r.quote.second
                : r.type == TC_REC_FORECAST ? r.forecast.origin_time - 1
                                            : r.outcome.origin_time - 1; /* the end of its bar */
    double ratio = ratio_of(c, day_of(c->a, t), as_of);
    snprintf(name, TC_SYMBOL_SIZE, "%s", c->symbol);
    if (ratio != 1) {
        if (r.type == TC_REC_BAR)
            tc_bar_adjust(&r.bar, ratio);
        else if (r.type == TC_REC_QUOTE)
            adjust_quote(&r.quote, ratio);
        else if (r.type == TC_REC_FORECAST)
            adjust_forecast(&r.forecast, ratio);
        for (int32_t i = 0; r.type == TC_REC_OUTCOME && i < r.outcome.n_values; i++)
            r.outcome.values[i].value /= ratio;
    }
    return c->fn(c->ctx, &r);
}

static int count(void *ctx, const struct tc_record *row)
{
    (void)row;
    ++*(uint64_t *)ctx;
    return 0;
}

/* Of the newest rows alone, how many each name has: those of the newest name first. */
static int share_limit(struct chain *c, tc_scan_fn scan, const struct tc_range *q)
{
    uint64_t left = q->limit;
    for (int i = 0; i < c->n; i++) {
        struct tc_range one = *q;
        struct stretch *s = &c->at[i];
        s->rows = 0;
        if (!left)
            continue;
        one.symbol = s->name;
        one.from = s->from;
        one.to = s->to;
        one.limit = (uint32_t)left;
        int rc = scan(c->a->store->self, &one, count, &s->rows);
        if (rc)
            return rc;
        left -= s->rows < left ? s->rows : left;
    }
    return 0;
}

struct limited {
    struct chain *chain;
    uint64_t given;
};

static int give_counted(void *ctx, const struct tc_record *row)
{
    struct limited *l = ctx;
    l->given++;
    return give(l->chain, row);
}

int tc_adjusted_scan(const struct tc_adjusted *a, tc_scan_fn scan, const struct tc_range *q, tc_row_fn fn,
                     void *ctx)
{
    if (!a->actions || !q->symbol || !tc_actions_any(a->actions, q->symbol))
        return scan(a->store->self, q, fn, ctx);
    struct chain c = {.a = a, .symbol = q->symbol, .fn = fn, .ctx = ctx};
    struct limited l = {.chain = &c};
    make_chain(&c, q, a->as_of ? a->as_of : LAST_DAY);
    int rc = q->newest && q->limit && c.n > 1 ? share_limit(&c, scan, q) : 0;
    for (int i = c.n - 1; i >= 0 && !rc; i--) { /* oldest first */
        struct tc_range one = *q;
        const struct stretch *s = &c.at[i];
        if (!s->rows || s->from >= s->to || (q->limit && l.given >= q->limit))
            continue;
        one.symbol = s->name;
        one.from = s->from;
        one.to = s->to;
        if (q->limit)
            one.limit = s->rows != UINT64_MAX ? (uint32_t)s->rows : (uint32_t)(q->limit - l.given);
        rc = scan(a->store->self, &one, give_counted, &l);
    }
    return rc;
}
