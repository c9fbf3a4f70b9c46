#include "forecast/reference.h"
#include "base/err.h"
#include "base/rng.h"
#include "forecast/ridge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { F = TC_FEATURES_MAX };

static const double CLIP = 6;

struct rows {
    size_t n;
    double *x; /* n x F */
    double *y;
};

struct scaler {
    double mean[F], sd[F];
    double y_cap;
};

double tc_newey_west_t(const double *d, size_t n, int32_t lags, double *se)
{
    if (se)
        *se = NAN;
    if (n < 2)
        return NAN;
    double mean = 0, v = 0;
    for (size_t i = 0; i < n; i++)
        mean += d[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        v += (d[i] - mean) * (d[i] - mean);
    v /= (double)n;
    for (size_t l = 1; l <= (size_t)lags && l < n; l++) {
        double c = 0;
        for (size_t i = l; i < n; i++)
            c += (d[i] - mean) * (d[i - l] - mean);
        v += 2 * (1 - (double)l / (lags + 1)) * c / (double)n;
    }
    if (!(v > 0))
        return NAN;
    double e = sqrt(v / (double)n);
    if (se)
        *se = e;
    return mean / e;
}

int32_t tc_dm_lags(int32_t horizon_ms)
{
    return horizon_ms <= 1000 ? 10 : horizon_ms <= 10000 ? 20 : 120;
}

/* Rows of the asked symbol and days with a known outcome; y goes with the features of `shift` rows before. */
static int collect(const struct tc_dataset *d, const struct tc_reference_conf *c, int32_t from, int32_t to,
                   struct rows *out)
{
    size_t most = 0, nx = (size_t)d->n_features, nt = (size_t)d->n_targets;
    for (size_t i = 0; i < d->n; i++)
        most += d->sequences[i].rows;
    *out =
        (struct rows){.x = malloc((most + 1) * F * sizeof(double)), .y = malloc((most + 1) * sizeof(double))};
    if (!out->x || !out->y)
        return tc_fail(TC_ENOMEM, "no memory for %zu rows", most);
    for (size_t i = 0; i < d->n; i++) {
        const struct tc_sequence *s = &d->sequences[i];
        if (strcmp(s->symbol, c->symbol) || s->day < from || s->day > to)
            continue;
        for (size_t r = 0; r < s->rows; r++) {
            int64_t at = (int64_t)r - c->shift;
            if (!s->mask[r * nt + (size_t)c->target] || at < 0 || at >= (int64_t)s->rows)
                continue;
            memcpy(out->x + out->n * F, s->x + (size_t)at * nx, nx * sizeof(double));
            out->y[out->n++] = s->y[r * nt + (size_t)c->target];
        }
    }
    if (!out->n)
        return tc_fail(TC_ENOTFOUND, "no rows of %s from %d to %d", c->symbol, from, to);
    return TC_OK;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_move(const double *y, size_t n)
{
    double *m = malloc(n * sizeof(double));
    size_t k = 0;
    for (size_t i = 0; m && i < n; i++)
        if (y[i] != 0)
            m[k++] = fabs(y[i]);
    if (k)
        qsort(m, k, sizeof(double), by_size);
    double median = k ? (m[(k - 1) / 2] + m[k / 2]) / 2 : 1;
    free(m);
    return median;
}

static double clip(double v, double cap)
{
    return fmin(fmax(v, -cap), cap);
}

static void fit_scaler(const struct rows *r, size_t nx, struct scaler *s)
{
    for (size_t j = 0; j < nx; j++) {
        double sum = 0, sq = 0;
        for (size_t i = 0; i < r->n; i++)
            sum += r->x[i * F + j];
        s->mean[j] = sum / (double)r->n;
        for (size_t i = 0; i < r->n; i++)
            sq += (r->x[i * F + j] - s->mean[j]) * (r->x[i * F + j] - s->mean[j]);
        s->sd[j] = sqrt(sq / (double)r->n) + 1e-9;
    }
    double far = 10 * median_move(r->y, r->n), sq = 0;
    for (size_t i = 0; i < r->n; i++)
        sq += clip(r->y[i], far) * clip(r->y[i], far);
    s->y_cap = CLIP * sqrt(sq / (double)r->n);
}

static void standardise(const struct scaler *s, const double *x, size_t nx, double *z)
{
    for (size_t j = 0; j < nx; j++)
        z[j] = clip((x[j] - s->mean[j]) / s->sd[j], CLIP);
}

static void shuffle(double *y, size_t n, uint64_t seed)
{
    struct tc_rng rng;
    tc_rng_seed(&rng, seed);
    for (size_t i = n; i > 1; i--) {
        size_t j = tc_rng_below(&rng, i);
        double t = y[i - 1];
        y[i - 1] = y[j];
        y[j] = t;
    }
}

static bool fit(const struct rows *r, size_t nx, const struct scaler *s, double lambda, double *w)
{
    double a[F * (F + 1) / 2] = {0}, b[F] = {0}, z[F];
    for (size_t i = 0; i < r->n; i++) {
        standardise(s, r->x + i * F, nx, z);
        double y = clip(r->y[i], s->y_cap), *at = a;
        for (size_t j = 0; j < nx; j++) {
            for (size_t k = 0; k <= j; k++)
                *at++ += z[j] * z[k];
            b[j] += z[j] * y;
        }
    }
    for (size_t j = 0; j < nx; j++)
        a[j * (j + 1) / 2 + j] += lambda * (double)r->n;
    if (!tc_cholesky(a, (int)nx))
        return false;
    tc_cholesky_solve(a, (int)nx, b, w);
    return true;
}

static void report(const struct rows *r, size_t nx, const struct scaler *s, const double *w, int32_t lags,
                   struct tc_reference_result *out)
{
    double z[F], sq = 0, base = 0;
    double *d = r->y; /* each outcome is read before its loss difference takes its place */
    for (size_t i = 0; i < r->n; i++) {
        double y = r->y[i], f = 0;
        standardise(s, r->x + i * F, nx, z);
        for (size_t j = 0; j < nx; j++)
            f += w[j] * z[j];
        sq += (y - f) * (y - f);
        base += y * y;
        d[i] = y * y - (y - f) * (y - f);
    }
    out->n = (int64_t)r->n;
    out->rms = sqrt(base / (double)r->n);
    out->ratio = sqrt(sq / base);
    out->dm_t = tc_newey_west_t(d, r->n, lags, NULL);
}

int tc_reference_ridge(const struct tc_dataset *d, const struct tc_reference_conf *c,
                       struct tc_reference_result *out)
{
    if (c->target < 0 || c->target >= d->n_targets || d->n_features > F)
        return tc_fail(TC_EINTERNAL, "no target %d in the data set", c->target);
    struct rows train = {0}, test = {0};
    struct scaler s;
    double w[F] = {0};
    size_t nx = (size_t)d->n_features;
    int rc = collect(d, c, c->train_from, c->train_to, &train);
    if (rc == TC_OK)
        rc = collect(d, c, c->test_from, c->test_to, &test);
    if (rc == TC_OK) {
        fit_scaler(&train, nx, &s);
        if (c->shuffle)
            shuffle(train.y, train.n, c->shuffle);
        *out = (struct tc_reference_result){.n_train = (int64_t)train.n};
        if (fit(&train, nx, &s, c->lambda, w))
            report(&test, nx, &s, w, tc_dm_lags(d->targets[c->target].horizon_ms), out);
        else
            rc = tc_fail(TC_EINPUT, "%s: the normal equations have no solution", c->symbol);
    }
    free(train.x);
    free(train.y);
    free(test.x);
    free(test.y);
    return rc;
}

const char *tc_reference_leak(const struct tc_reference_result *as_is, const struct tc_reference_result *late)
{
    if (late->ratio < 0.98 && late->dm_t > 4)
        return "features keep their skill when they come one bar late: they know the future";
    if (as_is->ratio < 0.5)
        return "half of persistence's error is gone: no honest feature does that one second ahead";
    return NULL;
}
