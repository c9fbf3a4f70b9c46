#include "forecast/report.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>

void tc_report_target(enum tc_kind kind, int32_t horizon_ms, char out[static 24])
{
    if (kind == TC_KIND_NEXT)
        snprintf(out, 24, "next");
    else
        snprintf(out, 24, "%s+%ds", kind == TC_KIND_LAST ? "last" : "mid", horizon_ms / 1000);
}

typedef void (*row_fn)(struct tc_buf *out, const struct tc_backtest_row *r, int *group);

/* Rows by symbol, then target, then model. `group` changes where a new target starts. */
static void each_row(const struct tc_backtest *b, struct tc_buf *out, row_fn fn)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    int group = 0;
    for (uint32_t s = 0; s < tc_engine_symbols(e); s++)
        for (int32_t p = 0; p < tc_engine_points(e); p++) {
            group++;
            int seen = group;
            for (int32_t m = 0; m < tc_engine_models(e); m++) {
                struct tc_backtest_row r;
                if (tc_backtest_row(b, s, m, p, &r))
                    fn(out, &r, &seen);
            }
        }
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

static void text_row(struct tc_buf *out, const struct tc_backtest_row *r, int *group)
{
    char target[24];
    tc_report_target(r->kind, r->horizon_ms, target);
    if (*group) {
        tc_buf_printf(out, "\n%s %s, persistence's RMSE", r->symbol, target);
        put_number(out, 0, 6, r->f.rmse_persistence);
        tc_buf_str(
            out,
            "\n  model                       n   ratio  95 % interval   /revers  /micro   /ridge  t(ridge)"
            "    t(no change)     MAE   direction (95 %)     cover   width  winkler  gate open  shown\n");
        *group = 0;
    }
    const struct tc_score_figures *f = &r->f;
    tc_buf_printf(out, "  %-21.40s %7lld", r->model, (long long)f->n);
    put_number(out, 7, 4, f->ratio);
    put_number(out, 7, 4, f->ratio_lo);
    put_number(out, 7, 4, f->ratio_hi);
    put_number(out, 8, 4, f->ratio_reversal);
    put_number(out, 8, 4, f->ratio_microprice);
    put_number(out, 8, 4, f->ratio_ridge);
    put_number(out, 8, 1, r->dm_ridge);
    put_number(out, 15, 1, f->dm_t);
    put_number(out, 8, 3, f->mae_ratio);
    put_number(out, 6, 1, 100 * f->share);
    put_number(out, 5, 1, 100 * f->share_lo);
    put_number(out, 5, 1, 100 * f->share_hi);
    put_number(out, 8, 1, 100 * f->coverage);
    put_number(out, 8, 5, f->width);
    put_number(out, 8, 5, f->winkler);
    put_number(out, 10, 1, 100 * r->open);
    put_number(out, 6, 4, r->ratio_shown);
    if (r->in_sample)
        tc_buf_printf(out, "   (%lld more lie in its training days)", (long long)r->in_sample);
    tc_buf_char(out, '\n');
}

void tc_report_text(const struct tc_backtest *b, const struct tc_report_head *h, struct tc_buf *out)
{
    tc_buf_str(out, "Back-test, ");
    put_span(b, out);
    tc_buf_printf(out, ", bars from %s.", h->inputs);
    if (h->simulated)
        tc_buf_printf(out, " %s", h->simulated);
    tc_buf_str(out, "\nratio: RMSE over that of \"no change\" on the same forecasts; below 1 is better. "
                    "/revers /micro /ridge: RMSE over theirs.\n");
    each_row(b, out, text_row);
}

/* ---- CSV ---- */

static void csv_number(struct tc_buf *out, double v)
{
    tc_buf_char(out, ',');
    if (isfinite(v))
        tc_buf_double(out, v);
}

static void csv_row(struct tc_buf *out, const struct tc_backtest_row *r, int *group)
{
    (void)group;
    const struct tc_score_figures *f = &r->f;
    tc_buf_printf(out, "%s,%s,%s,%d,%lld,%lld,%lld", r->symbol, r->model, tc_kind_name(r->kind),
                  r->horizon_ms, (long long)f->n, (long long)f->n_late, (long long)r->in_sample);
    const double v[] = {f->rmse_persistence, f->ratio,       f->ratio_lo,   f->ratio_hi, f->ratio_reversal,
                        f->ratio_microprice, f->ratio_ridge, f->mae_ratio,  f->share,    f->share_lo,
                        f->share_hi,         f->dm_t,        r->dm_ridge,   f->coverage, f->width,
                        f->winkler,          r->open,        r->ratio_shown};
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
        csv_number(out, v[i]);
    tc_buf_char(out, '\n');
}

void tc_report_csv(const struct tc_backtest *b, struct tc_buf *out)
{
    tc_buf_str(out,
               "symbol,model,kind,horizon_ms,n,n_late,n_in_sample,rmse_persistence,ratio,ratio_lo,ratio_hi,"
               "ratio_reversal,ratio_microprice,ratio_ridge,mae_ratio,direction,direction_lo,direction_hi,"
               "dm_t,dm_t_ridge,coverage,width,winkler,gate_open,ratio_shown\n");
    each_row(b, out, csv_row);
}
