#include "forecast/score.h"
#include "forecast/band.h"

#include <math.h>

enum { MIN_BLOCKS = 5 }; /* fewer one-minute blocks say nothing of the variance between blocks */

static const double FLAGGED_MOVE = 0.003;
static const double NO_MOVE = 1e-9; /* of the price */
static const double Z95 = 1.959963984540054;

#define ADD(field, ctype, sqltype) into->field += from->field;

void tc_score_merge(struct tc_score *into, const struct tc_score *from)
{
    TC_SCORE_SUMS(ADD)
}

bool tc_score_flagged(double move, double base, int32_t horizon_ms)
{
    double seconds = fmax(1, horizon_ms / 1000.0);
    return fabs(move) > FLAGGED_MOVE * sqrt(seconds) * fabs(base);
}

int tc_score_sign(double move, double base)
{
    return fabs(move) <= NO_MOVE * fabs(base) ? 0 : move < 0 ? -1 : 1;
}

static void add_direction(struct tc_score_sums *s, const struct tc_sample *x)
{
    int y = tc_score_sign(x->move, x->base), f = tc_score_sign(x->forecast, x->base);
    if (y && f) {
        s->moves++;
        s->hits += y == f;
    } else {
        s->ties++;
    }
    int micro = isnan(x->micro) ? 0 : tc_score_sign(x->micro, x->base);
    s->micro_moves += y && micro;
    s->micro_hits += y && y == micro;
}

static void add_probabilities(struct tc_score_sums *s, const struct tc_sample *x)
{
    if (isnan(x->p[0]) || isnan(x->p[1]) || isnan(x->p[2]))
        return;
    int came = 1 + tc_score_sign(x->move, x->base);
    for (int i = 0; i < 3; i++)
        s->brier += (x->p[i] - (i == came)) * (x->p[i] - (i == came));
    s->n_prob++;
    s->prob_down += came == 0;
    s->prob_none += came == 1;
}

void tc_score_add(struct tc_score_sums *s, const struct tc_sample *x)
{
    double y = x->move, e = y - x->forecast;
    s->n++;
    s->abs_err += fabs(e);
    s->sq_err += e * e;
    s->abs_persist += fabs(y);
    s->sq_persist += y * y;
    if (!isnan(x->reversal))
        s->sq_reversal += (y - x->reversal) * (y - x->reversal);
    if (!isnan(x->ridge))
        s->sq_ridge += (y - x->ridge) * (y - x->ridge);
    if (!isnan(x->micro)) {
        s->n_micro++;
        s->sq_model_micro += e * e;
        s->sq_micro += (y - x->micro) * (y - x->micro);
    }
    add_direction(s, x);
    if (!isnan(x->lo) && !isnan(x->hi)) {
        s->banded++;
        s->covered += y >= x->lo && y <= x->hi;
        s->width += x->hi - x->lo;
        s->winkler += tc_winkler(y, x->lo, x->hi);
    }
    if (tc_score_flagged(y, x->base, x->horizon_ms)) {
        s->n_flagged++;
        s->sq_err_flagged += e * e;
        s->sq_persist_flagged += y * y;
    }
    if (!isnan(x->half_spread)) {
        s->n_spread++;
        s->beyond += fabs(x->forecast) > x->half_spread;
    }
    add_probabilities(s, x);
}

static double over(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

static double root_ratio(double a, double b)
{
    return b > 0 && a >= 0 ? sqrt(a / b) : NAN;
}

/* Squared losses of targets that overlap hang together with weights 1 - |lag| / h. Long-run variance over the
 * variance between blocks of B = 60 s: h B over the double integral of those weights over a block. */
static double overlap(int32_t horizon_ms)
{
    const double block = 60;
    double h = horizon_ms / 1000.0;
    if (h <= 1)
        return 1;
    return h <= block ? 1 / (1 - h / (3 * block)) : h / (block - block * block / (3 * h));
}

bool tc_dm_blocks(const struct tc_dm_sums *s, int32_t horizon_ms, double *mean, double *se)
{
    *mean = *se = NAN;
    if (s->blocks < MIN_BLOCKS || s->n <= 0)
        return false;
    double m = s->d / s->n;
    double ss = s->d2 - 2 * m * s->nd + m * m * s->n2;
    *mean = m;
    if (ss <= 0) /* all blocks alike, or nothing but rounding is left */
        return false;
    *se = sqrt(ss * overlap(horizon_ms) * s->blocks / (s->blocks - 1)) / s->n;
    return true;
}

void tc_wilson(int64_t hits, int64_t n, double *share, double *lo, double *hi)
{
    *share = *lo = *hi = NAN;
    if (n <= 0)
        return;
    double p = (double)hits / (double)n, zn = Z95 * Z95 / (double)n;
    double centre = (p + zn / 2) / (1 + zn);
    double half = Z95 * sqrt(p * (1 - p) / (double)n + zn / (4 * (double)n)) / (1 + zn);
    *share = p;
    *lo = centre - half;
    *hi = centre + half;
}

static void blocks_to_figures(const struct tc_score *s, struct tc_score_figures *out)
{
    struct tc_dm_sums b = {.blocks = (double)s->dm_blocks,
                           .n = (double)s->dm_n,
                           .n2 = s->dm_n2,
                           .d = s->dm_d,
                           .d2 = s->dm_d2,
                           .nd = s->dm_nd};
    struct tc_dm_sums r = {b.blocks, b.n, b.n2, s->dm_ridge_d, s->dm_ridge_d2, s->dm_ridge_nd};
    double mean, se;
    out->dm_t = out->ratio_lo = out->ratio_hi = out->dm_t_ridge = NAN;
    if (tc_dm_blocks(&r, s->horizon_ms, &mean, &se))
        out->dm_t_ridge = mean / se;
    if (!tc_dm_blocks(&b, s->horizon_ms, &mean, &se))
        return;
    out->dm_t = mean / se;
    double p = over(s->sq_persist, (double)s->n);
    if (!(out->ratio > 0) || !(p > 0))
        return;
    double half = Z95 * se / (2 * out->ratio * p);
    out->ratio_lo = fmax(0, out->ratio - half);
    out->ratio_hi = out->ratio + half;
}

void tc_score_figures(const struct tc_score *s, struct tc_score_figures *out)
{
    double n = (double)s->n, banded = (double)s->banded, probs = (double)s->n_prob;
    *out = (struct tc_score_figures){.n = s->n,
                                     .n_late = s->n_late,
                                     .n_flagged = s->n_flagged,
                                     .n_microprice = s->n_micro,
                                     .n_spread = s->n_spread,
                                     .n_prob = s->n_prob};
    out->rmse = s->n > 0 ? sqrt(s->sq_err / n) : NAN;
    out->mae = over(s->abs_err, n);
    out->rmse_persistence = s->n > 0 ? sqrt(s->sq_persist / n) : NAN;
    out->mae_ratio = over(s->abs_err, s->abs_persist);
    out->ratio = root_ratio(s->sq_err, s->sq_persist);
    out->ratio_clean = root_ratio(s->sq_err - s->sq_err_flagged, s->sq_persist - s->sq_persist_flagged);
    out->r2 = 1 - out->ratio * out->ratio;
    out->ratio_reversal = root_ratio(s->sq_err, s->sq_reversal);
    out->ratio_ridge = root_ratio(s->sq_err, s->sq_ridge);
    out->ratio_microprice = s->n_micro > 0 ? root_ratio(s->sq_model_micro, s->sq_micro) : NAN;
    out->coverage = over((double)s->covered, banded);
    out->width = over(s->width, banded);
    out->winkler = over(s->winkler, banded);
    out->beyond = over((double)s->beyond, (double)s->n_spread);
    out->brier = over(s->brier, probs);
    double down = over((double)s->prob_down, probs), none = over((double)s->prob_none, probs);
    out->brier_base = 1 - down * down - none * none - (1 - down - none) * (1 - down - none);
    tc_wilson(s->hits, s->moves, &out->share, &out->share_lo, &out->share_hi);
    double lo, hi;
    tc_wilson(s->micro_hits, s->micro_moves, &out->share_microprice, &lo, &hi);
    blocks_to_figures(s, out);
}

static void json_num(struct tc_buf *out, const char *name, double v)
{
    tc_buf_printf(out, ",\"%s\":", name);
    tc_buf_double(out, v);
}

void tc_score_figures_to_json(const struct tc_score *s, const struct tc_score_figures *f, struct tc_buf *out)
{
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {{"n", f->n},
                  {"n_late", f->n_late},
                  {"n_flagged", f->n_flagged},
                  {"n_microprice", f->n_microprice},
                  {"n_spread", f->n_spread},
                  {"n_prob", f->n_prob}};
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"rmse", f->rmse},
        {"mae", f->mae},
        {"rmse_persistence", f->rmse_persistence},
        {"ratio", f->ratio},
        {"ratio_lo", f->ratio_lo},
        {"ratio_hi", f->ratio_hi},
        {"ratio_clean", f->ratio_clean},
        {"r2", f->r2},
        {"ratio_reversal", f->ratio_reversal},
        {"ratio_ridge", f->ratio_ridge},
        {"ratio_microprice", f->ratio_microprice},
        {"mae_ratio", f->mae_ratio},
        {"dm_t", f->dm_t},
        {"dm_t_ridge", f->dm_t_ridge},
        {"coverage", f->coverage},
        {"width", f->width},
        {"winkler", f->winkler},
        {"beyond", f->beyond},
        {"brier", f->brier},
        {"brier_base", f->brier_base},
    };
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        tc_buf_printf(out, ",\"%s\":%lld", counts[i].name, (long long)counts[i].value);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        json_num(out, numbers[i].name, numbers[i].value);
    tc_buf_printf(out, ",\"direction\":{\"hits\":%lld,\"moves\":%lld,\"ties\":%lld", (long long)s->hits,
                  (long long)s->moves, (long long)s->ties);
    json_num(out, "share", f->share);
    json_num(out, "lo", f->share_lo);
    json_num(out, "hi", f->share_hi);
    json_num(out, "microprice", f->share_microprice);
    tc_buf_char(out, '}');
}
