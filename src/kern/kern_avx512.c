/* AVX-512 F, DQ and VL: 32 registers of 16 floats; the last block of a layer in the same registers' lower
 * halves where that is enough. */
#include <immintrin.h>

#include "kern/tables.h"

#define TILE_ROWS 6
enum { V = 16, ROWS = TILE_ROWS, TILE_M = 12 };
#define HALF 1

#define WIDTH 8
#include "kern/vector512.h"

#include "kern/cell.h"

#define WIDTH 16
#include "kern/vector512.h"

#include "kern/cell.h"
#include "kern/vector.h"

void tc_avx512_dense(const struct tc_weights *w, const struct tc_dense_row *rows, size_t n, bool squash)
{
    dense(w, rows, n, squash);
}

void tc_avx512_sigmoid(float *v, size_t n)
{
    sigmoid_all(v, n);
}

void tc_avx512_tanh(float *v, size_t n)
{
    tanh_all(v, n);
}

void tc_avx512_gemm_tile(size_t k, const float *a, const float *b, float *c, size_t ldc, bool add,
                         size_t rows)
{
    gemm_tile(k, a, b, c, ldc, add, rows);
}

const struct tc_kern tc_kern_avx512 = {
    .name = "avx512",
    .bound = TC_BOUND_EXACT,
    .block = V,
    .half = true,
    .tile_m = TILE_M,
    .tile_n = 2 * V,
    .lstm = lstm,
    .lstm_part = lstm_part,
    .project = project,
    .lstm_keep = lstm_keep,
    .lstm_back = lstm_back,
    .dense = tc_avx512_dense,
    .sigmoid = tc_avx512_sigmoid,
    .tanh = tc_avx512_tanh,
    .gemm_tile = tc_avx512_gemm_tile,
};
