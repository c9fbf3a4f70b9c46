#include "forecast/report_plot.h"
#include "forecast/report.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH = 640, HEIGHT = 230, LEFT = 56, RIGHT = 16, TOP = 12, BOTTOM = 30, SLOT_MIN = 30, STYLES = 8 };

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
                      "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                      "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.*f</text>",
                      LEFT, WIDTH - RIGHT, py(a, y), py(a, y), LEFT - 6, py(a, y) + 4, decimals, y);
    }
}

static void end_plot(struct tc_buf *out, const char *caption)
{
    tc_buf_printf(out, "</svg><figcaption>%s</figcaption></figure>\n", caption);
}

static void x_label(struct tc_buf *out, const struct axes *a, double x, const char *text)
{
    tc_buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>", px(a, x), HEIGHT - 10,
                  text);
}

static void level(struct tc_buf *out, const struct axes *a, double y)
{
    if (y >= a->y0 && y <= a->y1)
        tc_buf_printf(out, "<line class=\"level\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                      WIDTH - RIGHT, py(a, y), py(a, y));
}

static void begin_line(struct tc_buf *out, int32_t m)
{
    tc_buf_printf(out, "<polyline class=\"m%d\" points=\"", m % STYLES);
}

static void line_point(struct tc_buf *out, const struct axes *a, double x, double y)
{
    tc_buf_printf(out, "%.1f,%.1f ", px(a, x), py(a, y));
}

static void end_line(struct tc_buf *out)
{
    tc_buf_str(out, "\"/>");
}

void tc_plot_key(int32_t m, struct tc_buf *out)
{
    tc_buf_printf(out,
                  "<svg class=\"key\" viewBox=\"0 0 34 10\" aria-hidden=\"true\"><polyline class=\"m%d\" "
                  "points=\"1,5 33,5\"/></svg>",
                  m % STYLES);
}

/* ---- by half hour ---- */

static double slot_value(const struct tc_backtest_cell *c, int slot, enum tc_plot what)
{
    if (!c || c->slot[slot].n < SLOT_MIN)
        return NAN;
    const struct tc_score_sums *s = &c->slot[slot].sums;
    if (what == TC_PLOT_RATIO)
        return s->sq_persist > 0 ? sqrt(s->sq_err / s->sq_persist) : NAN;
    return s->banded > 0 ? 100 * (double)s->covered / (double)s->banded : NAN;
}

static bool slot_axes(const struct tc_backtest *b, uint32_t s, int32_t p, enum tc_plot what, struct axes *a)
{
    *a = (struct axes){48, -1, INFINITY, -INFINITY};
    for (int32_t m = 1; m < tc_engine_models(tc_backtest_engine(b)); m++)
        for (int slot = 0; slot < 48; slot++) {
            double v = slot_value(tc_backtest_cell(b, s, m, p), slot, what);
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
    double line = what == TC_PLOT_RATIO ? 1 : 90, pad = what == TC_PLOT_RATIO ? 0.01 : 1;
    a->y0 = fmin(a->y0, line) - pad;
    a->y1 =
        fmin(fmax(a->y1, line) + pad, what == TC_PLOT_RATIO ? 1.5 : 100); /* one wild rule hides no other */
    return true;
}

static void slot_line(const struct tc_backtest *b, uint32_t s, int32_t m, int32_t p, enum tc_plot what,
                      const struct axes *a, struct tc_buf *out)
{
    begin_line(out, m);
    for (int slot = 0; slot < 48; slot++) {
        double v = slot_value(tc_backtest_cell(b, s, m, p), slot, what);
        if (isfinite(v))
            line_point(out, a, slot, fmin(v, a->y1));
    }
    end_line(out);
}

void tc_plot_slots(const struct tc_backtest *b, uint32_t s, int32_t p, enum tc_plot what, struct tc_buf *out)
{
    struct axes a;
    char clock[24];
    if (!slot_axes(b, s, p, what, &a))
        return;
    const char *caption =
        what == TC_PLOT_RATIO
            ? "RMSE over that of no change by half hour (exchange time); below the dashed "
              "line is better"
            : "Share of outcomes inside the 90 % band by half hour, %; the dashed line is 90";
    begin_plot(out, &a, caption, what == TC_PLOT_RATIO ? 3 : 1);
    level(out, &a, what == TC_PLOT_RATIO ? 1 : 90);
    for (int slot = (int)ceil(a.x0); slot <= a.x1; slot += a.x1 - a.x0 > 20 ? 6 : 2) {
        snprintf(clock, sizeof(clock), "%02d:%02d", slot / 2, slot % 2 * 30);
        x_label(out, &a, slot, clock);
    }
    for (int32_t m = 1; m < tc_engine_models(tc_backtest_engine(b)); m++)
        slot_line(b, s, m, p, what, &a, out);
    end_plot(out, caption);
}

/* ---- residuals ---- */

static int64_t residuals(const struct tc_backtest_cell *c, int64_t *below, int64_t *above)
{
    int64_t n = *below = *above = 0;
    const int bins = TC_RESIDUAL_BINS, inner = 9; /* bins 9 to 16 lie within one half width */
    for (int i = 0; c && i < bins; i++) {
        n += c->residual[i];
        *below += i < inner ? c->residual[i] : 0;
        *above += i >= bins - inner ? c->residual[i] : 0;
    }
    return n;
}

static double residual_share(const struct tc_backtest_cell *c, int bin, int64_t n)
{
    return 100 * (double)c->residual[bin] / (double)n;
}

static void residual_line(const struct tc_backtest_cell *c, int32_t m, int64_t n, const struct axes *a,
                          struct tc_buf *out)
{
    begin_line(out, m);
    for (int i = 0; i < TC_RESIDUAL_BINS; i++) {
        line_point(out, a, i, residual_share(c, i, n));
        line_point(out, a, i + 1, residual_share(c, i, n));
    }
    end_line(out);
}

void tc_plot_residuals(const struct tc_backtest *b, uint32_t s, int32_t p, struct tc_buf *out)
{
    const struct tc_engine *e = tc_backtest_engine(b);
    struct axes a = {0, TC_RESIDUAL_BINS, 0, 0};
    int64_t below, above, n;
    for (int32_t m = TC_ME_RIDGE; m < tc_engine_models(e); m++) {
        const struct tc_backtest_cell *c = tc_backtest_cell(b, s, m, p);
        n = residuals(c, &below, &above);
        for (int i = 0; n >= SLOT_MIN && i < TC_RESIDUAL_BINS; i++)
            a.y1 = fmax(a.y1, 1.05 * residual_share(c, i, n));
    }
    if (a.y1 <= 0)
        return;
    char caption[900];
    struct tc_buf words;
    tc_buf_init_fixed(&words, caption, sizeof(caption));
    tc_buf_str(&words, "Residuals (what came less what was said) in half widths of the band, % of outcomes; "
                       "dashed: the band's edges. Below, inside, above (5 / 90 / 5 is right):");
    begin_plot(out, &a, "Residuals in half widths of the band", 1);
    for (int i = -3; i <= 3; i++) {
        char text[8];
        snprintf(text, sizeof(text), "%d", i);
        x_label(out, &a, 13 + 4 * i, text);
        if (i == -1 || i == 1)
            tc_buf_printf(out, "<line class=\"level\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>",
                          px(&a, 13 + 4 * i), px(&a, 13 + 4 * i), TOP, HEIGHT - BOTTOM);
    }
    for (int32_t m = TC_ME_RIDGE; m < tc_engine_models(e); m++) {
        const struct tc_backtest_cell *c = tc_backtest_cell(b, s, m, p);
        n = residuals(c, &below, &above);
        if (n < SLOT_MIN)
            continue;
        residual_line(c, m, n, &a, out);
        double all = (double)n / 100;
        tc_buf_printf(&words, "%s %s %.1f / %.1f / %.1f", words.data[words.len - 1] == ':' ? "" : ";",
                      tc_engine_model(e, m), (double)below / all, (double)(n - below - above) / all,
                      (double)above / all);
    }
    end_plot(out, caption);
}

/* ---- probabilities ---- */

void tc_plot_reliability(const struct tc_backtest *b, uint32_t s, int32_t m, int32_t p, struct tc_buf *out)
{
    static const char *const names[] = {"down", "none", "up"};
    static const int styles[] = {5, 1, 4};
    const struct tc_backtest_cell *c = tc_backtest_cell(b, s, m, p);
    if (!c || !c->total.n_prob)
        return;
    const struct axes a = {0, 1, 0, 1};
    char caption[300];
    snprintf(
        caption, sizeof(caption),
        "%s: probabilities that were said (across) and shares that came (up), tenths with %d forecasts or "
        "more; on the dashed line they are right. Brier %.4f, best constant %.4f",
        tc_engine_model(tc_backtest_engine(b), m), SLOT_MIN, c->total.brier / (double)c->total.n_prob,
        1 - pow((double)c->total.prob_down / (double)c->total.n_prob, 2) -
            pow((double)c->total.prob_none / (double)c->total.n_prob, 2) -
            pow(1 - (double)(c->total.prob_down + c->total.prob_none) / (double)c->total.n_prob, 2));
    begin_plot(out, &a, caption, 2);
    tc_buf_printf(out, "<line class=\"level\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", px(&a, 0),
                  px(&a, 1), py(&a, 0), py(&a, 1));
    for (int i = 0; i <= 4; i++) {
        char text[8];
        snprintf(text, sizeof(text), "%.2f", i / 4.0);
        x_label(out, &a, i / 4.0, text);
    }
    for (int k = 0; k < 3; k++) {
        const struct tc_reliability *r = &c->reliability[k];
        double x = NAN, y = NAN;
        begin_line(out, styles[k]);
        for (int i = 0; i < TC_PROBABILITY_BINS; i++) {
            if (r->n[i] < SLOT_MIN)
                continue;
            x = r->said[i] / (double)r->n[i];
            y = (double)r->came[i] / (double)r->n[i];
            line_point(out, &a, x, y);
        }
        end_line(out);
        if (!isnan(x))
            tc_buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>", px(&a, x) - 5,
                          py(&a, y) - 5, names[k]);
    }
    end_plot(out, caption);
}
