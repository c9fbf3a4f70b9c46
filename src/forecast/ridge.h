/* ridge.h - linear least squares that follows the data: normal equations in double, older rows forgotten,
 * solved anew by Cholesky every so often (order-free and restart-safe, unlike recursive least squares).
 *
 * All arrays belong to the caller. Dimensions: dim inputs (the last one is the constant 1), p targets. The
 * matrix Z'Z is kept as its lower triangle by rows: element (i, j <= i) at i (i + 1) / 2 + j.
 */
#pragma once

#include "forecast/features.h"

enum {
    TC_RIDGE_INPUTS = 18,
    TC_RIDGE_DIM = TC_RIDGE_INPUTS + 1,
    TC_RIDGE_TRIANGLE = TC_RIDGE_DIM * (TC_RIDGE_DIM + 1) / 2
};

struct tc_ridge {
    double a[TC_RIDGE_TRIANGLE]; /* Z'Z */
    double n;                    /* rows, forgotten ones counted less */
};

/* Scaled features of a small set (at most TC_RIDGE_INPUTS) to inputs: (x - nominal mean) / nominal sd,
 * clipped to +-6, and the constant. Returns true when something was clipped. */
bool tc_ridge_inputs(enum tc_feature_set set, const double *x, double z[TC_RIDGE_DIM]);

/* Counts what is there `keep` times (0 to 1). */
void tc_ridge_forget(struct tc_ridge *r, double *b, int p, double keep);

/* One row: b (p x TC_RIDGE_DIM) += y z'. */
void tc_ridge_add(struct tc_ridge *r, double *b, int p, const double z[TC_RIDGE_DIM], const double *y);

/* How much a target is held back: lambda n, n the rows but at least `rows` (long horizons overlap, so that
 * few rows say less than their number). */
struct tc_ridge_penalty {
    double lambda, rows;
};

/* w (p x TC_RIDGE_DIM) from own sums plus `prior_rows` rows' worth of the pool's (none when the pool is
 * empty): (A + penalty 1) w = b, a penalty for each target. False, w unchanged, when there are no rows. */
bool tc_ridge_solve(const struct tc_ridge *r, const double *b, const struct tc_ridge *pool,
                    const double *pool_b, double prior_rows, const struct tc_ridge_penalty *penalty, int p,
                    double *w);

double tc_ridge_dot(const double *w, const double z[TC_RIDGE_DIM]);

/* In place: Cholesky factor of a symmetric positive definite matrix (lower triangle by rows), then solve.
 * False when it is not positive definite. */
bool tc_cholesky(double *a, int n);
void tc_cholesky_solve(const double *l, int n, const double *b, double *x);
