#include "forecast/score.h"

#include <math.h>

enum { MIN_BLOCKS = 5 }; /* fewer one-minute blocks say nothing of the variance between blocks */

static const double Z95 = 1.959963984540054;

void tc_score_merge(struct tc_score *into, const struct tc_score *from)
{
    into->n += from->n;
    into->n_late += from->n_late;
    into->abs_err += from->abs_err;
    into->sq_err += from->sq_err;
    into->abs_persist += from->abs_persist;
    into->sq_persist += from->sq_persist;
    into->sq_reversal += from->sq_reversal;
    into->sq_ridge += from->sq_ridge;
    into->n_micro += from->n_micro;
    into->sq_model_micro += from->sq_model_micro;
    into->sq_micro += from->sq_micro;
    into->moves += from->moves;
    into->hits += from->hits;
    into->ties += from->ties;
    into->banded += from->banded;
    into->covered += from->covered;
    into->width += from->width;
    into->winkler += from->winkler;
    into->dm_blocks += from->dm_blocks;
    into->dm_n2 += from->dm_n2;
    into->dm_d += from->dm_d;
    into->dm_d2 += from->dm_d2;
    into->dm_nd += from->dm_nd;
    into->dm_n += from->dm_n;
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
    double mean, se;
    out->dm_t = out->ratio_lo = out->ratio_hi = NAN;
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
    double n = (double)s->n, banded = (double)s->banded;
    *out = (struct tc_score_figures){.n = s->n, .n_late = s->n_late, .n_microprice = s->n_micro};
    out->rmse = s->n > 0 ? sqrt(s->sq_err / n) : NAN;
    out->mae = over(s->abs_err, n);
    out->rmse_persistence = s->n > 0 ? sqrt(s->sq_persist / n) : NAN;
    out->mae_ratio = over(s->abs_err, s->abs_persist);
    out->ratio = root_ratio(s->sq_err, s->sq_persist);
    out->ratio_reversal = root_ratio(s->sq_err, s->sq_reversal);
    out->ratio_ridge = root_ratio(s->sq_err, s->sq_ridge);
    out->ratio_microprice = s->n_micro > 0 ? root_ratio(s->sq_model_micro, s->sq_micro) : NAN;
    out->coverage = over((double)s->covered, banded);
    out->width = over(s->width, banded);
    out->winkler = over(s->winkler, banded);
    tc_wilson(s->hits, s->moves, &out->share, &out->share_lo, &out->share_hi);
    blocks_to_figures(s, out);
}
