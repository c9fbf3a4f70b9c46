/* AVX2 and FMA: 16 registers of 8 floats. */
#include <immintrin.h>

#include "kern/tables.h"

typedef __m256 vf;
#define TILE_ROWS 3
enum { V = 8, VW = 8, ROWS = TILE_ROWS, TILE_M = 6 };

#define T(name) name
#define v_load(p) _mm256_loadu_ps(p)
#define v_store(p, v) _mm256_storeu_ps(p, v)
#define v_set(s) _mm256_set1_ps(s)
#define v_add(a, b) _mm256_add_ps(a, b)
#define v_sub(a, b) _mm256_sub_ps(a, b)
#define v_mul(a, b) _mm256_mul_ps(a, b)
#define v_div(a, b) _mm256_div_ps(a, b)
#define v_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define v_min(a, b) _mm256_min_ps(a, b)
#define v_max(a, b) _mm256_max_ps(a, b)
#define v_scale(p, whole) \
    _mm256_castsi256_ps(  \
        _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(whole), 23)))

#include "kern/cell.h"
#include "kern/vector.h"

const struct tc_kern tc_kern_avx2 = {
    .name = "avx2",
    .bound = TC_BOUND_EXACT,
    .block = V,
    .tile_m = TILE_M,
    .tile_n = 2 * V,
    .lstm = lstm,
    .lstm_part = lstm_part,
    .project = project,
    .lstm_keep = lstm_keep,
    .lstm_back = lstm_back,
    .dense = dense,
    .sigmoid = sigmoid_all,
    .tanh = tanh_all,
    .gemm_tile = gemm_tile,
};
