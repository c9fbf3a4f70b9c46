/* AVX-512 BF16: weights and hidden units rounded to 8 bits of mantissa, sums in float. Twice the rate of
 * float on AMD (Zen 4 and later); half of it on Intel, where int16 serves better. */
#include <immintrin.h>

#include "kern/tables.h"

enum { V = 16, ROWS = 6, TILE_M = 12 };

#define TILE_ROWS 6
#define WIDTH 8
#include "kern/vector512.h"
#define vp __m256
#define v_zero() _mm256_setzero_ps()
#define v_dot(acc, a, w) _mm256_dpbf16_ps(acc, (__m256bh)(a), (__m256bh)(w))
#define v_both(p) _mm256_set1_epi32(tc_pair_at(p))
#define v_pairs(p) _mm256_loadu_ps(p)
#define v_float(acc) (acc)
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
#define vp __m512
#define v_zero() _mm512_setzero_ps()
#define v_dot(acc, a, w) _mm512_dpbf16_ps(acc, (__m512bh)(a), (__m512bh)(w))
#define v_both(p) _mm512_set1_epi32(tc_pair_at(p))
#define v_pairs(p) _mm512_loadu_ps(p)
#define v_float(acc) (acc)
#include "kern/cell.h"
#include "kern/pair.h"

/* To the nearest, ties to even. */
static void encode(const float *x, size_t n, uint16_t *pairs)
{
    size_t all = (n + 1) / 2 * 2;
    for (size_t i = 0; i < all; i += 16) {
        __mmask16 in = n - i >= 16 ? 0xffff : (__mmask16)((1u << (n - i)) - 1),
                  out = all - i >= 16 ? 0xffff : (__mmask16)((1u << (all - i)) - 1);
        __m256bh v = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(in, x + i));
        _mm256_mask_storeu_epi16(pairs + i, out, (__m256i)v);
    }
}

#include "kern/pairs.h"

const struct tc_kern tc_kern_bf16 = {
    .name = "bf16",
    .format = TC_PACK_BF16,
    .bound = TC_BOUND_BF16,
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
