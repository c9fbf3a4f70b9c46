/* gemm.h - single-precision matrix products for training, over a kernel table's tile.
 *
 * Panels are packed into room that the caller keeps, so a product allocates only when it is larger than any
 * before. The order of sums depends on the sizes alone: the same call gives the same bits.
 */
#pragma once

#include "kern/kern.h"

/* Element (i, j) lies at p[i * row + j * col]; swap the two for a transposed view. */
struct tc_matrix {
    const float *p;
    size_t row, col;
};

struct tc_panels {
    float *p;
    size_t room; /* floats */
};

struct tc_gemm {
    const struct tc_kern *kern;
    struct tc_panels a, b;
};

void tc_gemm_free(struct tc_gemm *g);
/* Room for products of at most n columns, so that they cannot fail. */
int tc_gemm_reserve(struct tc_gemm *g, size_t n);

/* c[m][n] (row stride ldc) = or += A [m][k] times B [k][n]; k at least 1. */
int tc_gemm(struct tc_gemm *g, size_t m, size_t n, size_t k, struct tc_matrix a, struct tc_matrix b, float *c,
            size_t ldc, bool add);
