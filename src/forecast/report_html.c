/* The back-test as one HTML page: tables and SVG plots, no script, nothing from a network. */
#include "base/clock.h"
#include "forecast/report.h"
#include "forecast/report_plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char STYLE[] =
    "<style>:root{color-scheme:light "
    "dark;--text:#1b1f24;--back:#fff;--soft:#57606a;--line:#d0d7de;--note:#f3f5f7;"
    "--good:#116329;--bad:#a40e26;--c1:#7b4f9d;--c2:#b8560b;--c3:#1f6fb2;--c4:#1a7f4b;--c5:#c0303f;--c6:#"
    "0f7c86;"
    "--c7:#7a5c00}"
    "@media(prefers-color-scheme:dark){:root{--text:#e6edf3;--back:#0d1117;--soft:#9aa5b1;--line:#30363d;"
    "--note:#161b22;--good:#7ee2a0;--bad:#ff9a9e;--c1:#c3a2dc;--c2:#f0a35e;--c3:#7db8ec;--c4:#74cf9f;"
    "--c5:#f28b94;--c6:#6fd0d8;--c7:#d9b44a}}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1240px;margin:2rem auto;padding:0 "
    "1rem;color:var(--text);"
    "background:var(--back)}h1{font-size:1.5rem}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}"
    "h3{margin:1.2rem 0 .3rem}summary{cursor:pointer;padding:.3rem 0}summary "
    "h3{display:inline;font-size:1rem}"
    "a{color:var(--c3)}code{overflow-wrap:anywhere}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.85rem;white-space:nowrap}"
    "th,td{text-align:right;padding:.15rem "
    ".5rem;font-weight:400}th:first-child{text-align:left;"
    "position:sticky;left:0;background:var(--back)}"
    "thead th{border-bottom:1px solid var(--soft);font-weight:600;vertical-align:bottom;white-space:normal}"
    "tbody tr:hover{background:var(--note)}.wide{overflow-x:auto}"
    "svg{max-width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:var(--text)}"
    "svg.key{display:inline-block;width:34px;height:10px;vertical-align:middle}"
    "polyline{fill:none;stroke-width:2}.grid{stroke:var(--line)}.level{stroke:var(--soft);stroke-dasharray:4 "
    "3}"
    ".m0{stroke:var(--soft)}.m1{stroke:var(--c1);stroke-dasharray:2 "
    "3}.m2{stroke:var(--c2);stroke-dasharray:7 3}"
    ".m3{stroke:var(--c3)}.m4{stroke:var(--c4);stroke-width:2.6}.m5{stroke:var(--c5);stroke-dasharray:9 3 2 "
    "3}"
    ".m6{stroke:var(--c6);stroke-dasharray:4 2}.m7{stroke:var(--c7);stroke-dasharray:1 3}"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:1rem;margin:"
    "1rem 0}"
    ".good{color:var(--good)}.bad{color:var(--bad)}.note{background:var(--note);padding:.6rem 1rem;"
    "border-radius:.4rem}.keys span{margin-right:1.2rem;white-space:nowrap}"
    "figure{margin:0}figcaption{font-size:.85rem;color:var(--soft)}"
    ":focus-visible{outline:2px solid var(--c3);outline-offset:2px}</style>";

static const char HEADINGS[] =
    "<thead><tr><th scope=\"col\">model</th><th scope=\"col\">n</th><th scope=\"col\">ratio</th>"
    "<th scope=\"col\">95 %</th><th scope=\"col\">clean</th><th scope=\"col\">R&sup2;</th>"
    "<th scope=\"col\">MAE ratio</th><th scope=\"col\">of the median</th><th scope=\"col\">t to no "
    "change</th><th scope=\"col\">t to ridge</th>"
    "<th scope=\"col\">/ reversal</th><th scope=\"col\">/ micro&shy;price</th><th scope=\"col\">/ ridge</th>"
    "<th scope=\"col\">direction, %</th><th scope=\"col\">95 %</th><th scope=\"col\">micro&shy;price's</th>"
    "<th scope=\"col\">band held, %</th><th scope=\"col\">width</th><th scope=\"col\">Winkler</th>"
    "<th scope=\"col\">moves &gt; half spread, %</th><th scope=\"col\">Brier</th>"
    "<th scope=\"col\">best constant</th><th scope=\"col\">gate open, %</th><th scope=\"col\">shown</th>"
    "<th scope=\"col\">shown, clean</th></tr></thead>\n<tbody>";

static void put_text(struct tc_buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '<')
            tc_buf_str(out, "&lt;");
        else if (*s == '&')
            tc_buf_str(out, "&amp;");
        else if (*s == '"')
            tc_buf_str(out, "&quot;");
        else
            tc_buf_char(out, *s);
    }
}

static void cell(struct tc_buf *out, int decimals, double v)
{
    if (isfinite(v))
        tc_buf_printf(out, "<td>%.*f</td>", decimals, v);
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
    tc_buf_str(out, "<tr><th scope=\"row\">");
    put_text(out, r->model);
    if (r->in_sample)
        tc_buf_printf(out, " (%lld more in its training days left out)", (long long)r->in_sample);
    tc_buf_printf(out, "</th><td>%lld</td>", (long long)f->n);
    if (isfinite(f->ratio))
        tc_buf_printf(out, "<td class=\"%s\">%.4f</td>", class, f->ratio);
    else
        tc_buf_str(out, "<td>-</td>");
    range_cell(out, 4, f->ratio_lo, f->ratio_hi);
    cell(out, 4, f->ratio_clean);
    cell(out, 4, f->r2);
    cell(out, 3, f->mae_ratio);
    cell(out, 3, r->mae_ratio_median);
    cell(out, 1, f->dm_t);
    cell(out, 1, f->dm_t_ridge);
    cell(out, 4, f->ratio_reversal);
    cell(out, 4, f->ratio_microprice);
    cell(out, 4, f->ratio_ridge);
    cell(out, 1, 100 * f->share);
    range_cell(out, 1, 100 * f->share_lo, 100 * f->share_hi);
    cell(out, 1, 100 * f->share_microprice);
    cell(out, 1, 100 * f->coverage);
    cell(out, 5, f->width);
    cell(out, 5, f->winkler);
    cell(out, 1, 100 * f->beyond);
    cell(out, 4, f->brier);
    cell(out, 4, f->brier_base);
    cell(out, 1, 100 * r->open);
    cell(out, 4, r->ratio_shown);
    cell(out, 4, r->ratio_shown_clean);
    tc_buf_str(out, "</tr>\n");
}

/* The model a reader asks for first: the first network, else ridge. */
static bool lead_row(const struct tc_backtest *b, uint32_t s, int32_t p, int32_t *model,
                     struct tc_backtest_row *out)
{
    int32_t network = TC_ME_NETWORK;
    *model = network < tc_engine_models(tc_backtest_engine(b)) ? network : TC_ME_RIDGE;
    if (tc_backtest_row(b, s, *model, p, out) && out->f.n)
        return true;
    *model = TC_ME_RIDGE;
    return tc_backtest_row(b, s, TC_ME_RIDGE, p, out) && out->f.n;
}

static void put_sentence(const struct tc_backtest_row *r, struct tc_buf *out)
{
    const struct tc_score_figures *f = &r->f;
    double better = 100 * (1 - f->ratio);
    tc_buf_printf(out, "error %.1f %% %s &ldquo;no change&rdquo;%s, n = %lld, band held %.1f %%",
                  fabs(better), better >= 0 ? "below" : "above",
                  f->ratio_hi < 1 || f->ratio_lo > 1 ? "" : " (too close to call)", (long long)f->n,
                  100 * f->coverage);
}

static void table(const struct tc_backtest *b, uint32_t s, int32_t p, const char *name, struct tc_buf *out)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    tc_buf_printf(out, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"%s, table\"><table>",
                  name);
    tc_buf_str(out, HEADINGS);
    for (int32_t m = 0; m < tc_engine_models(e); m++) {
        struct tc_backtest_row r;
        if (tc_backtest_row(b, s, m, p, &r))
            table_row(out, &r);
    }
    tc_buf_str(out, "</tbody></table></div>\n");
}

static void levels(const struct tc_backtest *b, uint32_t s, int32_t p, struct tc_buf *out)
{
    const struct tc_backtest_cell *c = tc_backtest_cell(b, s, TC_ME_RIDGE, p);
    if (!c)
        return;
    tc_buf_str(out, "<p>Inputs:");
    for (int l = 0; l < TC_LEVELS; l++)
        if (c->level[l].n)
            tc_buf_printf(out, " %s for %.1f %% of the forecasts.", tc_set_name((enum tc_feature_set)l),
                          100 * (double)c->level[l].n / (double)c->n);
    if (c->common.n && c->common.sq_persist > 0) {
        tc_buf_printf(out, " Ridge by inputs on the same %lld forecasts:", (long long)c->common.n);
        for (int l = 0; l < TC_LEVELS; l++)
            if (c->common.sq_ridge[l] > 0)
                tc_buf_printf(out, " %s %.4f", tc_set_name((enum tc_feature_set)l),
                              sqrt(c->common.sq_ridge[l] / c->common.sq_persist));
        tc_buf_char(out, '.');
    }
    tc_buf_str(out, "</p>\n");
}

static void days(const struct tc_backtest *b, uint32_t s, int32_t p, const char *name, struct tc_buf *out)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    const struct tc_backtest_cell *all = tc_backtest_cell(b, s, TC_ME_PERSISTENCE, p);
    if (!all || all->n_days < 2)
        return;
    tc_buf_printf(out,
                  "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"%s, ratio by day\"><table>"
                  "<thead><tr><th scope=\"col\">ratio by day</th>",
                  name);
    char day[12];
    for (size_t i = 0; i < all->n_days; i++)
        tc_buf_printf(out, "<th scope=\"col\">%s</th>", tc_date_text(all->days[i].day, day));
    tc_buf_str(out, "</tr></thead><tbody>");
    for (int32_t m = 1; m < tc_engine_models(e); m++) {
        const struct tc_backtest_cell *c = tc_backtest_cell(b, s, m, p);
        tc_buf_str(out, "<tr><th scope=\"row\">");
        put_text(out, tc_engine_model(e, m));
        tc_buf_str(out, "</th>");
        for (size_t i = 0; i < all->n_days; i++) {
            double v = NAN;
            for (size_t k = 0; c && k < c->n_days; k++)
                if (c->days[k].day == all->days[i].day && c->days[k].sums.sq_persist > 0)
                    v = sqrt(c->days[k].sums.sq_err / c->days[k].sums.sq_persist);
            cell(out, 4, v);
        }
        tc_buf_str(out, "</tr>\n");
    }
    tc_buf_str(out, "</tbody></table></div>\n");
}

static void target(const struct tc_backtest *b, uint32_t s, int32_t p, struct tc_buf *out)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    struct tc_backtest_row lead;
    enum tc_kind kind;
    int32_t h, model;
    char name[24], label[TC_SYMBOL_SIZE + 32];
    tc_engine_point(e, p, &kind, &h);
    tc_report_target(kind, h, name);
    if (!lead_row(b, s, p, &model, &lead))
        return;
    snprintf(label, sizeof(label), "%s %s", tc_engine_symbol(e, s), name);
    tc_buf_printf(out, "<details%s><summary><h3>%s</h3> &nbsp; %s: ", p == 0 ? " open" : "", name,
                  lead.model);
    put_sentence(&lead, out);
    tc_buf_str(out, "</summary>\n");
    table(b, s, p, label, out);
    levels(b, s, p, out);
    days(b, s, p, label, out);
    tc_buf_str(out, "<div class=\"plots\">");
    tc_plot_slots(b, s, p, TC_PLOT_RATIO, out);
    tc_plot_slots(b, s, p, TC_PLOT_COVERAGE, out);
    tc_plot_residuals(b, s, p, out);
    for (int32_t m = TC_ME_RIDGE; m < tc_engine_models(e); m++)
        tc_plot_reliability(b, s, m, p, out);
    tc_buf_str(out, "</div></details>\n");
}

static void legend(const struct tc_engine *e, struct tc_buf *out)
{
    tc_buf_str(out, "<p class=\"keys\">");
    for (int32_t m = 1; m < tc_engine_models(e); m++) {
        tc_buf_str(out, "<span>");
        tc_plot_key(m, out);
        tc_buf_char(out, ' ');
        put_text(out, tc_engine_model(e, m));
        tc_buf_str(out, "</span> ");
    }
    tc_buf_str(out, "</p>\n");
}

static void summary(const struct tc_backtest *b, struct tc_buf *out)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    tc_buf_str(out, "<h2>In one sentence each</h2><ul>\n");
    for (uint32_t s = 0; s < tc_engine_symbols(e); s++) {
        struct tc_backtest_row lead;
        int32_t model;
        if (!lead_row(b, s, 0, &model, &lead))
            continue;
        tc_buf_printf(out, "<li><a href=\"#s%u\">", s);
        put_text(out, tc_engine_symbol(e, s));
        tc_buf_str(out, "</a>, next trade, ");
        put_text(out, lead.model);
        tc_buf_str(out, ": ");
        put_sentence(&lead, out);
        tc_buf_str(out, "</li>\n");
    }
    tc_buf_str(out, "</ul>\n");
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
    tc_buf_str(out,
               "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
               "content=\"width=device-width,initial-scale=1\"><title>tickcast back-test</title>");
    tc_buf_str(out, STYLE);
    tc_buf_printf(out,
                  "</head><body><main><h1>tickcast back-test</h1><p>%s to %s, bars from %s.</p><p><code>", a,
                  z, h->inputs);
    put_text(out, h->command);
    tc_buf_str(out, "</code></p>");
    if (h->simulated)
        tc_buf_printf(out, "<p class=\"note\"><b>SIMULATED</b> %s</p>", h->simulated);
    tc_buf_str(
        out,
        "<p class=\"note\"><b>How to read this.</b> <i>ratio</i> is the root mean square error over that of "
        "&ldquo;the price does not change&rdquo; on the same forecasts: below 1 is better; <i>clean</i> is "
        "the same "
        "without moves that look like bad prints. <i>t</i> is the Diebold-Mariano statistic with Newey-West "
        "variance: above 2 the difference is hardly chance. <i>direction</i> counts only moves that are not "
        "zero; "
        "most of it is the bounce between bid and ask, which the microprice beside it foresees too, and is "
        "no way to "
        "a profit. <i>band held</i> should be 90 %. <i>moves &gt; half spread</i>: how often the forecast is "
        "large "
        "enough to matter to somebody who trades at once, before fees and queue. <i>Brier</i> scores the "
        "probabilities of down, none and up, and should be below that of the <i>best constant</i>. "
        "<i>shown</i> is "
        "the ratio of what a reader was shown: the model while its gate was open, else no change. Every "
        "forecast "
        "was made from what was known at its time. None of this is advice or profit.</p>\n");
}

void tc_report_html(const struct tc_backtest *b, const struct tc_report_head *h, struct tc_buf *out)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    head(b, h, out);
    summary(b, out);
    for (uint32_t s = 0; s < tc_engine_symbols(e); s++) {
        tc_buf_printf(out, "<h2 id=\"s%u\">", s);
        put_text(out, tc_engine_symbol(e, s));
        tc_buf_str(out, "</h2>\n");
        legend(e, out);
        for (int32_t p = 0; p < tc_engine_points(e); p++)
            target(b, s, p, out);
    }
    tc_buf_str(out, "</main></body></html>\n");
}
