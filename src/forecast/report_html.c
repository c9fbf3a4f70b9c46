/* The back-test as one HTML page: tables and SVG plots, no script, nothing from a network. */
#include "base/clock.h"
#include "forecast/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 640, HEIGHT = 220, LEFT = 56, RIGHT = 24, TOP = 12, BOTTOM = 30 };

static const char *const COLOURS[] = {"#888888", "#b07aa1", "#f28e2b", "#4e79a7",
                                      "#59a14f", "#e15759", "#76b7b2", "#9c755f"};

static const char STYLE[] =
    "<style>:root{color-scheme:light dark}body{font:15px/1.5 "
    "system-ui,sans-serif;max-width:1180px;margin:2rem "
    "auto;padding:0 1rem}h1{font-size:1.5rem}h2{margin-top:2.5rem;border-bottom:1px solid #8885}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.85rem;width:100%}"
    "th,td{text-align:right;padding:.15rem .5rem}th:first-child,td:first-child{text-align:left}"
    "thead th{border-bottom:1px solid #888}tr.t td{padding-top:.8rem;font-weight:600;text-align:left}"
    "svg{max-width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:currentColor}"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:1rem}"
    ".good{color:#2e7d32}.bad{color:#c62828}.note{background:#8882;padding:.6rem 1rem;border-radius:.4rem}"
    "figure{margin:0}figcaption{font-size:.85rem;opacity:.8}.wide{overflow-x:auto}"
    "@media(prefers-color-scheme:dark){.good{color:#81c784}.bad{color:#ef9a9a}}</style>";

static void put_text(struct tc_buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '<')
            tc_buf_str(out, "&lt;");
        else if (*s == '&')
            tc_buf_str(out, "&amp;");
        else
            tc_buf_char(out, *s);
    }
}

static void cell(struct tc_buf *out, int decimals, double v, const char *after)
{
    if (isfinite(v))
        tc_buf_printf(out, "<td>%.*f%s</td>", decimals, v, after);
    else
        tc_buf_str(out, "<td>-</td>");
}

static void range_cell(struct tc_buf *out, int decimals, double lo, double hi)
{
    if (isfinite(lo) && isfinite(hi))
        tc_buf_printf(out, "<td>%.*f to %.*f</td>", decimals, lo, decimals, hi);
    else
        tc_buf_str(out, "<td>-</td>");
}

static void table_row(struct tc_buf *out, const struct tc_backtest_row *r)
{
    const struct tc_score_figures *f = &r->f;
    const char *class = f->ratio_hi < 1 ? "good" : f->ratio_lo > 1 ? "bad" : "";
    tc_buf_str(out, "<tr><td>");
    put_text(out, r->model);
    if (r->in_sample)
        tc_buf_printf(out, " (%lld more in its training days left out)", (long long)r->in_sample);
    tc_buf_printf(out, "</td><td>%lld</td>", (long long)f->n);
    if (isfinite(f->ratio))
        tc_buf_printf(out, "<td class=\"%s\">%.4f</td>", class, f->ratio);
    else
        tc_buf_str(out, "<td>-</td>");
    range_cell(out, 4, f->ratio_lo, f->ratio_hi);
    cell(out, 4, f->ratio_reversal, "");
    cell(out, 4, f->ratio_microprice, "");
    cell(out, 4, f->ratio_ridge, "");
    cell(out, 1, f->dm_t, "");
    cell(out, 1, r->dm_ridge, "");
    cell(out, 3, f->mae_ratio, "");
    cell(out, 1, 100 * f->share, " %");
    range_cell(out, 1, 100 * f->share_lo, 100 * f->share_hi);
    cell(out, 1, 100 * f->coverage, " %");
    cell(out, 5, f->width, "");
    cell(out, 5, f->winkler, "");
    cell(out, 1, 100 * r->open, " %");
    cell(out, 4, r->ratio_shown, "");
    tc_buf_str(out, "</tr>\n");
}

static void table(const struct tc_backtest *b, uint32_t s, struct tc_buf *out)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    tc_buf_str(out,
               "<div class=\"wide\"><table><thead><tr><th>model</th><th>n</th><th>ratio</th><th>95 %</th>"
               "<th>/ reversal</th><th>/ microprice</th><th>/ ridge</th><th>t</th><th>t to ridge</th>"
               "<th>MAE ratio</th><th>direction</th><th>95 %</th><th>covered</th><th>width</th>"
               "<th>Winkler</th><th>gate open</th><th>shown</th></tr></thead>\n");
    for (int32_t p = 0; p < tc_engine_points(e); p++) {
        enum tc_kind kind;
        int32_t h;
        char target[24];
        tc_engine_point(e, p, &kind, &h);
        tc_report_target(kind, h, target);
        tc_buf_printf(out, "<tr class=\"t\"><td colspan=\"17\">%s</td></tr>\n", target);
        for (int32_t m = 0; m < tc_engine_models(e); m++) {
            struct tc_backtest_row r;
            if (tc_backtest_row(b, s, m, p, &r))
                table_row(out, &r);
        }
    }
    tc_buf_str(out, "</table></div>\n");
}

/* ---- plots ---- */

struct axes {
    double x0, x1, y0, y1;
};

static double px(const struct axes *a, double x)
{
    return LEFT + (x - a->x0) / (a->x1 - a->x0) * (WIDTH - LEFT - RIGHT);
}

static double py(const struct axes *a, double y)
{
    return HEIGHT - BOTTOM - (y - a->y0) / (a->y1 - a->y0) * (HEIGHT - TOP - BOTTOM);
}

static void begin_plot(struct tc_buf *out, const struct axes *a, const char *title, int decimals)
{
    tc_buf_printf(out, "<figure><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">", WIDTH, HEIGHT,
                  title);
    for (int i = 0; i <= 4; i++) {
        double y = a->y0 + (a->y1 - a->y0) * i / 4;
        tc_buf_printf(out,
                      "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"currentColor\" "
                      "stroke-opacity=\".15\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.*f</text>",
                      LEFT, WIDTH - RIGHT, py(a, y), py(a, y), LEFT - 6, py(a, y) + 4, decimals, y);
    }
}

static void hour_marks(struct tc_buf *out, const struct axes *a)
{
    for (int slot = (int)ceil(a->x0); slot <= a->x1; slot += a->x1 - a->x0 > 20 ? 6 : 2)
        tc_buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%02d:%02d</text>", px(a, slot),
                      HEIGHT - 10, slot / 2, slot % 2 * 30);
}

static void level_line(struct tc_buf *out, const struct axes *a, double y)
{
    if (y >= a->y0 && y <= a->y1)
        tc_buf_printf(out,
                      "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"currentColor\" "
                      "stroke-dasharray=\"4 3\" stroke-opacity=\".6\"/>",
                      LEFT, WIDTH - RIGHT, py(a, y), py(a, y));
}

static void end_plot(struct tc_buf *out, const char *caption)
{
    tc_buf_printf(out, "</svg><figcaption>%s</figcaption></figure>\n", caption);
}

static double slot_value(const struct tc_backtest_cell *c, int slot, bool coverage)
{
    struct tc_score_figures f;
    if (!c || c->slot[slot].n < 30)
        return NAN;
    tc_score_figures(&c->slot[slot], &f);
    return coverage ? 100 * f.coverage : f.ratio;
}

/* Range of slots and values over the models of one point. False when there is nothing to draw. */
static bool find_axes(const struct tc_backtest *b, uint32_t s, int32_t p, bool coverage, struct axes *a)
{
    *a = (struct axes){48, -1, INFINITY, -INFINITY};
    for (int32_t m = 1; m < tc_engine_models(tc_backtest_engine(b)); m++)
        for (int slot = 0; slot < 48; slot++) {
            double v = slot_value(tc_backtest_cell(b, s, m, p), slot, coverage);
            if (!isfinite(v))
                continue;
            a->x0 = fmin(a->x0, slot);
            a->x1 = fmax(a->x1, slot);
            a->y0 = fmin(a->y0, v);
            a->y1 = fmax(a->y1, v);
        }
    if (a->x1 < a->x0)
        return false;
    if (a->x1 == a->x0)
        a->x1 += 1;
    double line = coverage ? 90 : 1, pad = coverage ? 1 : 0.01;
    a->y0 = fmin(a->y0, line) - pad;
    a->y1 = fmax(a->y1, line) + pad;
    return true;
}

static void draw_line(const struct tc_backtest *b, uint32_t s, int32_t m, int32_t p, bool coverage,
                      const struct axes *a, struct tc_buf *out)
{
    const char *colour = COLOURS[m % (int)(sizeof(COLOURS) / sizeof(COLOURS[0]))];
    bool any = false;
    for (int slot = 0; slot < 48; slot++) {
        double v = slot_value(tc_backtest_cell(b, s, m, p), slot, coverage);
        if (!isfinite(v))
            continue;
        if (!any)
            tc_buf_printf(out, "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"%s\" points=\"", colour);
        tc_buf_printf(out, "%.1f,%.1f ", px(a, slot), py(a, v));
        any = true;
    }
    if (any)
        tc_buf_str(out, "\"/>");
}

static void slot_plot(const struct tc_backtest *b, uint32_t s, int32_t p, bool coverage, struct tc_buf *out)
{
    struct axes a;
    if (!find_axes(b, s, p, coverage, &a))
        return;
    const struct tc_engine *e = tc_backtest_engine(b);
    enum tc_kind kind;
    int32_t h;
    char target[24], caption[160];
    tc_engine_point(e, p, &kind, &h);
    tc_report_target(kind, h, target);
    snprintf(caption, sizeof(caption),
             "%s, %s by half hour (exchange time; half hours with 30 samples or more)", target,
             coverage ? "share covered by the 90 % band" : "RMSE over that of no change");
    begin_plot(out, &a, caption, coverage ? 1 : 3);
    level_line(out, &a, coverage ? 90 : 1);
    hour_marks(out, &a);
    for (int32_t m = 1; m < tc_engine_models(e); m++)
        draw_line(b, s, m, p, coverage, &a, out);
    end_plot(out, caption);
}

static void legend(const struct tc_engine *e, struct tc_buf *out)
{
    tc_buf_str(out, "<p>");
    for (int32_t m = 1; m < tc_engine_models(e); m++) {
        tc_buf_printf(out, "<span style=\"color:%s\">&#9632;</span> ",
                      COLOURS[m % (int)(sizeof(COLOURS) / sizeof(COLOURS[0]))]);
        put_text(out, tc_engine_model(e, m));
        tc_buf_str(out, " &nbsp; ");
    }
    tc_buf_str(out, "</p>\n");
}

static void head(const struct tc_backtest *b, const struct tc_report_head *h, struct tc_buf *out)
{
    int32_t from, to;
    char a[12] = "-", z[12] = "-";
    tc_backtest_span(b, &from, &to);
    if (from) {
        tc_date_text(from, a);
        tc_date_text(to, z);
    }
    tc_buf_str(out, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                    "content=\"width=device-width\"><title>tickcast back-test</title>");
    tc_buf_str(out, STYLE);
    tc_buf_printf(out, "</head><body><h1>tickcast back-test</h1><p>%s to %s, bars from %s.</p><p><code>", a,
                  z, h->inputs);
    put_text(out, h->command);
    tc_buf_str(out, "</code></p>");
    if (h->simulated)
        tc_buf_printf(out, "<p class=\"note\"><b>SIMULATED</b> %s</p>", h->simulated);
    tc_buf_str(
        out,
        "<p class=\"note\"><b>How to read this.</b> <i>ratio</i> is the root mean square error over that of "
        "\"the price does not change\" on the same forecasts: below 1 is better. <i>t</i> is the "
        "Diebold-Mariano statistic with Newey-West variance: above 2 the difference is hardly chance. "
        "<i>direction</i> counts only moves that are not zero; most of it is the bounce between bid and "
        "ask, which the row <i>microprice</i> shows too, and is no way to a profit. <i>covered</i> should "
        "be 90 %. <i>shown</i> is the ratio of what a reader was shown: the model while its gate was open, "
        "else no "
        "change. Every forecast was made from what was known at its time.</p>\n");
}

void tc_report_html(const struct tc_backtest *b, const struct tc_report_head *h, struct tc_buf *out)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    head(b, h, out);
    for (uint32_t s = 0; s < tc_engine_symbols(e); s++) {
        tc_buf_str(out, "<h2>");
        put_text(out, tc_engine_symbol(e, s));
        tc_buf_str(out, "</h2>\n");
        legend(e, out);
        tc_buf_str(out, "<div class=\"plots\">");
        for (int32_t p = 0; p < tc_engine_points(e); p++) {
            slot_plot(b, s, p, false, out);
            slot_plot(b, s, p, true, out);
        }
        tc_buf_str(out, "</div>\n");
        table(b, s, out);
    }
    tc_buf_str(out, "</body></html>\n");
}
