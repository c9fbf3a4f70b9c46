#include "forecast/report.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void tc_report_target(enum tc_kind kind, int32_t horizon_ms, char out[static 24])
{
    if (kind == TC_KIND_NEXT)
        snprintf(out, 24, "next");
    else
        snprintf(out, 24, "%s+%ds", kind == TC_KIND_LAST ? "last" : "mid", horizon_ms / 1000);
}

typedef void (*row_fn)(struct tc_buf *out, const struct tc_backtest_row *r, const struct tc_backtest_cell *c);

/* The models of one symbol and target. */
static void each_model(const struct tc_backtest *b, uint32_t s, int32_t p, struct tc_buf *out, row_fn fn)
{
    for (int32_t m = 0; m < tc_engine_models(tc_backtest_engine(b)); m++) {
        struct tc_backtest_row r;
        if (tc_backtest_row(b, s, m, p, &r))
            fn(out, &r, tc_backtest_cell(b, s, m, p));
    }
}

static bool any_model(const struct tc_backtest *b, uint32_t s, int32_t p, struct tc_backtest_row *r)
{
    for (int32_t m = 0; m < tc_engine_models(tc_backtest_engine(b)); m++)
        if (tc_backtest_row(b, s, m, p, r))
            return true;
    return false;
}

static void put_span(const struct tc_backtest *b, struct tc_buf *out)
{
    int32_t from, to;
    char a[12], z[12];
    tc_backtest_span(b, &from, &to);
    if (!from)
        tc_buf_str(out, "no scored forecasts");
    else
        tc_buf_printf(out, "%s to %s", tc_date_text(from, a), tc_date_text(to, z));
}

/* ---- text ---- */

static void put_number(struct tc_buf *out, int width, int decimals, double v)
{
    if (isfinite(v))
        tc_buf_printf(out, " %*.*f", width, decimals, v);
    else
        tc_buf_printf(out, " %*s", width, "-");
}

static void error_row(struct tc_buf *out, const struct tc_backtest_row *r, const struct tc_backtest_cell *c)
{
    const struct tc_score_figures *f = &r->f;
    (void)c;
    tc_buf_printf(out, "  %-22.40s%8lld", r->model, (long long)f->n);
    put_number(out, 7, 4, f->ratio);
    put_number(out, 8, 4, f->ratio_lo);
    put_number(out, 7, 4, f->ratio_hi);
    put_number(out, 8, 4, f->ratio_clean);
    put_number(out, 7, 4, f->r2);
    put_number(out, 7, 3, f->mae_ratio);
    put_number(out, 7, 3, r->mae_ratio_median);
    put_number(out, 9, 1, f->dm_t);
    put_number(out, 9, 1, f->dm_t_ridge);
    put_number(out, 8, 4, f->ratio_reversal);
    put_number(out, 7, 4, f->ratio_microprice);
    put_number(out, 7, 4, f->ratio_ridge);
    if (r->in_sample)
        tc_buf_printf(out, "   (%lld more lie in its training days)", (long long)r->in_sample);
    tc_buf_char(out, '\n');
}

static void rest_row(struct tc_buf *out, const struct tc_backtest_row *r, const struct tc_backtest_cell *c)
{
    const struct tc_score_figures *f = &r->f;
    if (!c)
        return;
    tc_buf_printf(out, "  %-22.40s", r->model);
    put_number(out, 6, 1, 100 * f->share);
    put_number(out, 5, 1, 100 * f->share_lo);
    put_number(out, 5, 1, 100 * f->share_hi);
    put_number(out, 8, 1, 100 * f->share_microprice);
    put_number(out, 8, 1, 100 * f->coverage);
    put_number(out, 9, 5, f->width);
    put_number(out, 9, 5, f->winkler);
    put_number(out, 11, 1, 100 * f->beyond);
    put_number(out, 8, 4, f->brier);
    put_number(out, 7, 4, f->brier_base);
    put_number(out, 7, 1, 100 * r->open);
    put_number(out, 8, 4, r->ratio_shown);
    put_number(out, 7, 4, r->ratio_shown_clean);
    tc_buf_char(out, '\n');
}

/* ---- by day and half hour ---- */

enum { PART_MIN = 30 }; /* samples below which a ratio of a part says nothing */

static double part_ratio(const struct tc_score_sums *s)
{
    return s->n >= PART_MIN && s->sq_persist > 0 ? sqrt(s->sq_err / s->sq_persist) : NAN;
}

/* Persistence has every sample, so its cell knows all days and half hours. */
static void part_heads(struct tc_buf *out, const struct tc_backtest_cell *all, enum tc_report_by by)
{
    char day[12];
    tc_buf_printf(out, "  %-22s", by == TC_BY_DAY ? "ratio by day" : "ratio, half hour from");
    for (size_t i = 0; by == TC_BY_DAY && i < all->n_days; i++)
        tc_buf_printf(out, "  %s", tc_date_text(all->days[i].day, day));
    for (int i = 0; by == TC_BY_HALF_HOUR && i < 48; i++)
        if (all->slot[i].n)
            tc_buf_printf(out, "   %02d:%02d", i / 2, i % 2 * 30);
    tc_buf_char(out, '\n');
}

static void part_row(struct tc_buf *out, const char *model, const struct tc_backtest_cell *all,
                     const struct tc_backtest_cell *c, enum tc_report_by by)
{
    tc_buf_printf(out, "  %-22.40s", model);
    for (size_t i = 0; by == TC_BY_DAY && i < all->n_days; i++) {
        double v = NAN;
        for (size_t k = 0; k < c->n_days; k++)
            if (c->days[k].day == all->days[i].day)
                v = part_ratio(&c->days[k].sums);
        put_number(out, 11, 4, v);
    }
    for (int i = 0; by == TC_BY_HALF_HOUR && i < 48; i++)
        if (all->slot[i].n)
            put_number(out, 7, 4, part_ratio(&c->slot[i].sums));
    tc_buf_char(out, '\n');
}

static void text_parts(const struct tc_backtest *b, uint32_t s, int32_t p, enum tc_report_by by,
                       struct tc_buf *out)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    const struct tc_backtest_cell *all = tc_backtest_cell(b, s, TC_ME_PERSISTENCE, p);
    if (!all)
        return;
    part_heads(out, all, by);
    for (int32_t m = 1; m < tc_engine_models(e); m++) {
        const struct tc_backtest_cell *c = tc_backtest_cell(b, s, m, p);
        if (c)
            part_row(out, tc_engine_model(e, m), all, c, by);
    }
}

/* Which inputs the forecasts were made from, and what ridge makes of each level on the same forecasts. */
static void text_levels(const struct tc_backtest *b, uint32_t s, int32_t p, struct tc_buf *out)
{
    const struct tc_backtest_cell *c = tc_backtest_cell(b, s, TC_ME_RIDGE, p);
    tc_buf_str(out, "; inputs");
    for (int l = 0; c && l < TC_LEVELS; l++)
        if (c->level[l].n)
            tc_buf_printf(out, " %s %.1f %%", tc_set_name((enum tc_feature_set)l),
                          100 * (double)c->level[l].n / (double)c->n);
    if (!c || !c->common.n || !(c->common.sq_persist > 0)) {
        tc_buf_char(out, '\n');
        return;
    }
    tc_buf_str(out, "\n  ridge by inputs on the same");
    tc_buf_printf(out, " %lld forecasts:", (long long)c->common.n);
    for (int l = 0; l < TC_LEVELS; l++)
        if (c->common.sq_ridge[l] > 0)
            tc_buf_printf(out, "  %s %.4f", tc_set_name((enum tc_feature_set)l),
                          sqrt(c->common.sq_ridge[l] / c->common.sq_persist));
    tc_buf_char(out, '\n');
}

static void text_target(const struct tc_backtest *b, uint32_t s, int32_t p, enum tc_report_by by,
                        struct tc_buf *out)
{
    struct tc_backtest_row r;
    char target[24];
    if (!any_model(b, s, p, &r))
        return;
    tc_report_target(r.kind, r.horizon_ms, target);
    tc_buf_printf(out, "\n%s %s, RMSE of no change", r.symbol, target);
    put_number(out, 0, 6, r.f.rmse_persistence);
    tc_buf_printf(out, ", %lld flagged moves", (long long)r.f.n_flagged);
    text_levels(b, s, p, out);
    tc_buf_str(
        out,
        "  model                        n   ratio  95 % interval     clean      R2     MAE  median  t(no ch.)"
        "  t(ridge)  /revers  /micro  /ridge\n");
    each_model(b, s, p, out, error_row);
    tc_buf_str(out, "  model                  direction  95 %   micro's    held    width   Winkler  "
                    ">1/2 spread   Brier constant  gate open  shown   clean\n");
    each_model(b, s, p, out, rest_row);
    if (by != TC_BY_NONE)
        text_parts(b, s, p, by, out);
}

void tc_report_text(const struct tc_backtest *b, const struct tc_report_head *h, enum tc_report_by by,
                    struct tc_buf *out)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    tc_buf_str(out, "Back-test, ");
    put_span(b, out);
    tc_buf_printf(out, ", bars from %s.", h->inputs);
    if (h->simulated)
        tc_buf_printf(out, " %s", h->simulated);
    tc_buf_str(
        out,
        "\nratio: RMSE over that of \"no change\" on the same forecasts; below 1 is better. clean: without "
        "moves that look like bad prints.\n/revers /micro /ridge: RMSE over theirs. Direction, held, "
        ">1/2 spread (forecast moves larger than half the spread, before fees and queue) and\n"
        "gate open in %. A high direction figure is mostly bounce between bid and ask: see the "
        "microprice's beside it. docs/reading-the-score.md explains each figure.\n");
    for (uint32_t s = 0; s < tc_engine_symbols(e); s++)
        for (int32_t p = 0; p < tc_engine_points(e); p++)
            text_target(b, s, p, by, out);
}

/* ---- CSV ---- */

static void csv_number(struct tc_buf *out, double v)
{
    tc_buf_char(out, ',');
    if (isfinite(v))
        tc_buf_double(out, v);
}

static void csv_row(struct tc_buf *out, const struct tc_backtest_row *r, const struct tc_backtest_cell *c)
{
    (void)c;
    const struct tc_score_figures *f = &r->f;
    tc_buf_printf(out, "%s,%s,%s,%d,%lld,%lld,%lld", r->symbol, r->model, tc_kind_name(r->kind),
                  r->horizon_ms, (long long)f->n, (long long)f->n_late, (long long)r->in_sample);
    const double v[] = {
        f->rmse_persistence, f->ratio,       f->ratio_lo,    f->ratio_hi,    f->ratio_reversal,
        f->ratio_microprice, f->ratio_ridge, f->mae_ratio,   f->share,       f->share_lo,
        f->share_hi,         f->dm_t,        f->dm_t_ridge,  f->coverage,    f->width,
        f->winkler,          r->open,        r->ratio_shown, f->ratio_clean, f->r2,
        f->share_microprice, f->beyond,      f->brier,       f->brier_base,  r->ratio_shown_clean,
        r->mae_ratio_median};
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
        csv_number(out, v[i]);
    tc_buf_printf(out, ",%s,%lld\n", r->inputs, (long long)f->n_flagged);
}

void tc_report_csv(const struct tc_backtest *b, struct tc_buf *out)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    tc_buf_str(
        out,
        "symbol,model,kind,horizon_ms,n,n_late,n_in_sample,rmse_persistence,ratio,ratio_lo,ratio_hi,"
        "ratio_reversal,ratio_microprice,ratio_ridge,mae_ratio,direction,direction_lo,direction_hi,"
        "dm_t,dm_t_ridge,coverage,width,winkler,gate_open,ratio_shown,ratio_clean,r2,"
        "direction_microprice,beyond,brier,brier_base,ratio_shown_clean,mae_ratio_median,inputs,n_flagged\n");
    for (uint32_t s = 0; s < tc_engine_symbols(e); s++)
        for (int32_t p = 0; p < tc_engine_points(e); p++)
            each_model(b, s, p, out, csv_row);
}

/* ---- JSON ---- */

static void json_num(struct tc_buf *out, const char *name, double v)
{
    tc_buf_printf(out, ",\"%s\":", name);
    tc_buf_double(out, v);
}

static void json_part(struct tc_buf *out, const struct tc_backtest_row *r, const struct tc_score_sums *sums)
{
    struct tc_score s = {.kind = r->kind, .horizon_ms = r->horizon_ms, .sums = *sums};
    struct tc_score_figures f;
    tc_score_figures(&s, &f);
    f.dm_t = f.dm_t_ridge = f.ratio_lo = f.ratio_hi = NAN; /* of whole spans only */
    tc_score_figures_to_json(&s, &f, out);
    tc_buf_char(out, '}');
}

static void json_levels(struct tc_buf *out, const struct tc_backtest_row *r, const struct tc_backtest_cell *c)
{
    tc_buf_str(out, ",\"levels\":[");
    bool first = true;
    for (int l = 0; c && l < TC_LEVELS; l++) {
        if (!c->level[l].n)
            continue;
        tc_buf_printf(out, "%s{\"inputs\":\"%s\"", first ? "" : ",", tc_set_name((enum tc_feature_set)l));
        json_part(out, r, &c->level[l]);
        first = false;
    }
    tc_buf_str(out, "],\"ridge_on_common\":");
    if (!c || !c->common.n || !(c->common.sq_persist > 0)) {
        tc_buf_str(out, "null");
        return;
    }
    tc_buf_printf(out, "{\"n\":%lld", (long long)c->common.n);
    for (int l = 0; l < TC_LEVELS; l++)
        if (c->common.sq_ridge[l] > 0)
            json_num(out, tc_set_name((enum tc_feature_set)l),
                     sqrt(c->common.sq_ridge[l] / c->common.sq_persist));
    tc_buf_char(out, '}');
}

static void json_row(struct tc_buf *out, const struct tc_backtest_row *r, const struct tc_backtest_cell *c)
{
    static const struct tc_score none;
    char last = out->len ? out->data[out->len - 1] : '[';
    tc_buf_str(out, last == '[' ? "\n{\"symbol\":" : ",\n{\"symbol\":");
    tc_buf_json_string(out, r->symbol);
    tc_buf_str(out, ",\"model\":");
    tc_buf_json_string(out, r->model);
    tc_buf_printf(out, ",\"kind\":\"%s\",\"horizon_ms\":%d,\"inputs\":\"%s\",\"n_in_sample\":%lld",
                  tc_kind_name(r->kind), r->horizon_ms, r->inputs, (long long)r->in_sample);
    tc_score_figures_to_json(c ? &c->total : &none, &r->f, out);
    json_num(out, "gate_open", r->open);
    json_num(out, "ratio_shown", r->ratio_shown);
    json_num(out, "ratio_shown_clean", r->ratio_shown_clean);
    json_num(out, "mae_ratio_median", r->mae_ratio_median);
    json_levels(out, r, c);
    tc_buf_str(out, ",\"days\":[");
    for (size_t i = 0; c && i < c->n_days; i++) {
        char day[12];
        tc_buf_printf(out, "%s{\"day\":\"%s\"", i ? "," : "", tc_date_text(c->days[i].day, day));
        json_part(out, r, &c->days[i].sums);
    }
    tc_buf_str(out, "],\"half_hours\":[");
    bool first = true;
    for (int i = 0; c && i < 48; i++) {
        if (!c->slot[i].n)
            continue;
        tc_buf_printf(out, "%s{\"begin\":\"%02d:%02d\"", first ? "" : ",", i / 2, i % 2 * 30);
        json_part(out, r, &c->slot[i].sums);
        first = false;
    }
    tc_buf_str(out, "]}");
}

void tc_report_json(const struct tc_backtest *b, const struct tc_report_head *h, struct tc_buf *out)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    int32_t from, to;
    char day[12];
    tc_backtest_span(b, &from, &to);
    tc_buf_str(out, "{\"command\":");
    tc_buf_json_string(out, h->command);
    tc_buf_printf(out, ",\"bars_from\":\"%s\",\"simulated\":%s", h->inputs, h->simulated ? "true" : "false");
    if (from) {
        tc_buf_printf(out, ",\"from\":\"%s\"", tc_date_text(from, day));
        tc_buf_printf(out, ",\"to\":\"%s\"", tc_date_text(to, day));
    } else {
        tc_buf_str(out, ",\"from\":null,\"to\":null");
    }
    tc_buf_str(out, ",\"rows\":[");
    for (uint32_t s = 0; s < tc_engine_symbols(e); s++)
        for (int32_t p = 0; p < tc_engine_points(e); p++)
            each_model(b, s, p, out, json_row);
    tc_buf_str(out, "\n]}\n");
}
