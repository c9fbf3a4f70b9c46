#include "forecast/ridge.h"

#include <math.h>
#include <string.h>

static const double CLIP = 6;

bool tc_ridge_inputs(enum tc_feature_set set, const double *x, double z[TC_RIDGE_DIM])
{
    bool clipped = false;
    size_t n = tc_set_size(set);
    memset(z, 0, TC_RIDGE_DIM * sizeof(double));
    for (size_t i = 0; i < n; i++) {
        const struct tc_feature_info *f = tc_set_info(set, i);
        double v = (x[i] - f->mean) / f->sd;
        clipped |= fabs(v) > CLIP;
        z[i] = fmin(fmax(v, -CLIP), CLIP);
    }
    z[TC_RIDGE_DIM - 1] = 1;
    return clipped;
}

void tc_ridge_forget(struct tc_ridge *r, double *b, int p, double keep)
{
    for (int i = 0; i < TC_RIDGE_TRIANGLE; i++)
        r->a[i] *= keep;
    for (int i = 0; i < p * TC_RIDGE_DIM; i++)
        b[i] *= keep;
    r->n *= keep;
}

void tc_ridge_add(struct tc_ridge *r, double *b, int p, const double z[TC_RIDGE_DIM], const double *y)
{
    double *a = r->a;
    for (int i = 0; i < TC_RIDGE_DIM; i++)
        for (int j = 0; j <= i; j++)
            *a++ += z[i] * z[j];
    for (int t = 0; t < p; t++)
        for (int i = 0; i < TC_RIDGE_DIM; i++)
            b[t * TC_RIDGE_DIM + i] += y[t] * z[i];
    r->n += 1;
}

bool tc_cholesky(double *a, int n)
{
    for (int i = 0; i < n; i++) {
        double *ri = a + i * (i + 1) / 2;
        for (int j = 0; j <= i; j++) {
            const double *rj = a + j * (j + 1) / 2;
            double s = ri[j];
            for (int k = 0; k < j; k++)
                s -= ri[k] * rj[k];
            if (i > j)
                ri[j] = s / rj[j];
            else if (s > 0)
                ri[i] = sqrt(s);
            else
                return false;
        }
    }
    return true;
}

void tc_cholesky_solve(const double *l, int n, const double *b, double *x)
{
    for (int i = 0; i < n; i++) {
        const double *ri = l + i * (i + 1) / 2;
        double s = b[i];
        for (int k = 0; k < i; k++)
            s -= ri[k] * x[k];
        x[i] = s / ri[i];
    }
    for (int i = n - 1; i >= 0; i--) {
        double s = x[i];
        for (int k = i + 1; k < n; k++)
            s -= l[k * (k + 1) / 2 + i] * x[k];
        x[i] = s / l[i * (i + 1) / 2 + i];
    }
}

/* Sum of own and pooled sums with the penalty on the diagonal, factored. */
static bool factor(const struct tc_ridge *r, const struct tc_ridge *pool, double share,
                   struct tc_ridge_penalty penalty, double l[TC_RIDGE_TRIANGLE])
{
    double n = fmax(penalty.rows, r->n + share * pool->n);
    for (int i = 0; i < TC_RIDGE_TRIANGLE; i++)
        l[i] = r->a[i] + share * pool->a[i];
    for (int i = 0; i < TC_RIDGE_DIM; i++)
        l[i * (i + 1) / 2 + i] += penalty.lambda * n;
    return tc_cholesky(l, TC_RIDGE_DIM);
}

bool tc_ridge_solve(const struct tc_ridge *r, const double *b, const struct tc_ridge *pool,
                    const double *pool_b, double prior_rows, const struct tc_ridge_penalty *penalty, int p,
                    double *w)
{
    double share = pool->n > 0 ? fmin(1, prior_rows / pool->n) : 0;
    if (r->n + share * pool->n <= 0)
        return false;
    double l[TC_RIDGE_TRIANGLE], rhs[TC_RIDGE_DIM];
    const struct tc_ridge_penalty *done = NULL; /* that l is factored for */
    for (int t = 0; t < p; t++) {
        if (!done || done->lambda != penalty[t].lambda || done->rows != penalty[t].rows) {
            done = &penalty[t];
            if (!factor(r, pool, share, *done, l))
                return false;
        }
        for (int i = 0; i < TC_RIDGE_DIM; i++)
            rhs[i] = b[t * TC_RIDGE_DIM + i] + share * pool_b[t * TC_RIDGE_DIM + i];
        tc_cholesky_solve(l, TC_RIDGE_DIM, rhs, w + t * TC_RIDGE_DIM);
    }
    return true;
}

double tc_ridge_dot(const double *w, const double z[TC_RIDGE_DIM])
{
    double s = 0;
    for (int i = 0; i < TC_RIDGE_DIM; i++)
        s += w[i] * z[i];
    return s;
}
