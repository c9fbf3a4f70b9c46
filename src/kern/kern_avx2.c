/* AVX2 and FMA: 16 registers of 8 floats. */
#include <immintrin.h>

#include "kern/kern.h"

typedef __m256 vf;
enum { V = 8, ROWS = 3, TILE_M = 6 };

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
#define v_abs(a) _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a)
#define v_sign(m, s) _mm256_or_ps(m, _mm256_and_ps(_mm256_set1_ps(-0.0f), s))
#define v_pow2(whole)    \
    _mm256_castsi256_ps( \
        _mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(whole), 23), _mm256_set1_epi32(0x3f800000)))

#include "kern/vector.h"

const struct tc_kern tc_kern_avx2 = {
    .name = "avx2",
    .block = V,
    .tile_m = TILE_M,
    .tile_n = 2 * V,
    .lstm = lstm,
    .dense = dense,
    .sigmoid = sigmoid_all,
    .tanh = tanh_all,
    .gemm_tile = gemm_tile,
};
