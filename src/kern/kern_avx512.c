/* AVX-512 F, DQ and VL: 32 registers of 16 floats. */
#include <immintrin.h>

#include "kern/kern.h"

typedef __m512 vf;
enum { V = 16, ROWS = 6, TILE_M = 12 };

#define v_load(p) _mm512_loadu_ps(p)
#define v_store(p, v) _mm512_storeu_ps(p, v)
#define v_set(s) _mm512_set1_ps(s)
#define v_add(a, b) _mm512_add_ps(a, b)
#define v_sub(a, b) _mm512_sub_ps(a, b)
#define v_mul(a, b) _mm512_mul_ps(a, b)
#define v_div(a, b) _mm512_div_ps(a, b)
#define v_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define v_min(a, b) _mm512_min_ps(a, b)
#define v_max(a, b) _mm512_max_ps(a, b)
#define v_abs(a) _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a)
#define v_sign(m, s) _mm512_or_ps(m, _mm512_and_ps(_mm512_set1_ps(-0.0f), s))
#define v_pow2(whole)    \
    _mm512_castsi512_ps( \
        _mm512_add_epi32(_mm512_slli_epi32(_mm512_castps_si512(whole), 23), _mm512_set1_epi32(0x3f800000)))

#include "kern/vector.h"

const struct tc_kern tc_kern_avx512 = {
    .name = "avx512",
    .block = V,
    .tile_m = TILE_M,
    .tile_n = 2 * V,
    .lstm = lstm,
    .dense = dense,
    .sigmoid = sigmoid_all,
    .tanh = tanh_all,
    .gemm_tile = gemm_tile,
};
