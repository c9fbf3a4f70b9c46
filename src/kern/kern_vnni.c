/* AVX-512 VNNI: 16-bit integers, two products a lane and instruction. Hidden units are multiples of
 * 1/TC_INT_UNIT; each row of weights has the largest scale whose sum of products cannot overflow (kern.c).
 */
#include <immintrin.h>

#include "kern/tables.h"

enum { V = 16, ROWS = 6, TILE_M = 12 };

/* Written out because gcc 12 copies and spills the sums around the intrinsic, at half the speed. */
static inline __attribute__((always_inline)) __m256i dot_half(__m256i acc, __m256i a, __m256i w)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(w));
    return acc;
}

static inline __attribute__((always_inline)) __m512i dot(__m512i acc, __m512i a, __m512i w)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(w));
    return acc;
}

#define TILE_ROWS 6
#define WIDTH 8
#include "kern/vector512.h"
#define vp __m256i
#define v_zero() _mm256_setzero_si256()
#define v_dot(acc, a, w) dot_half(acc, a, w)
#define v_both(p) _mm256_set1_epi32(tc_pair_at(p))
#define v_pairs(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define v_float(acc) _mm256_cvtepi32_ps(acc)
#define CELL_ONLY
#include "kern/cell.h"
#include "kern/pair.h"
#undef vp
#undef v_zero
#undef v_dot
#undef v_both
#undef v_pairs
#undef v_float

#define WIDTH 16
#include "kern/vector512.h"
#define vp __m512i
#define v_zero() _mm512_setzero_si512()
#define v_dot(acc, a, w) dot(acc, a, w)
#define v_both(p) _mm512_set1_epi32(tc_pair_at(p))
#define v_pairs(p) _mm512_loadu_si512(p)
#define v_float(acc) _mm512_cvtepi32_ps(acc)
#include "kern/cell.h"
#include "kern/pair.h"

/* Nearest whole numbers; beyond +-1 it is +-1. */
static void encode(const float *x, size_t n, uint16_t *pairs)
{
    const __m512 one = _mm512_set1_ps(1.0f), unit = _mm512_set1_ps(TC_INT_UNIT);
    size_t all = (n + 1) / 2 * 2;
    for (size_t i = 0; i < all; i += 16) {
        __mmask16 in = n - i >= 16 ? 0xffff : (__mmask16)((1u << (n - i)) - 1),
                  out = all - i >= 16 ? 0xffff : (__mmask16)((1u << (all - i)) - 1);
        __m512 v = _mm512_maskz_loadu_ps(in, x + i);
        v = _mm512_max_ps(_mm512_min_ps(v, one), _mm512_sub_ps(_mm512_setzero_ps(), one));
        __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(v, unit));
        _mm512_mask_cvtepi32_storeu_epi16(pairs + i, out, whole);
    }
}

#include "kern/pairs.h"

const struct tc_kern tc_kern_vnni = {
    .name = "int16",
    .format = TC_PACK_INT16,
    .bound = TC_BOUND_INT16,
    .block = V,
    .half = true,
    .tile_m = TILE_M,
    .tile_n = 2 * V,
    .lstm = lstm,
    .lstm_part = lstm_part,
    .project = project,
    .dense = tc_avx512_dense,
    .sigmoid = tc_avx512_sigmoid,
    .tanh = tc_avx512_tanh,
    .gemm_tile = tc_avx512_gemm_tile,
    .exact = &tc_kern_avx512,
};
