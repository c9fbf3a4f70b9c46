/* NEON of 64-bit ARM: 32 registers of 4 floats. Every such processor has it. */
#include <arm_neon.h>

#include "kern/tables.h"

typedef float32x4_t vf;
#define TILE_ROWS 6
enum { V = 4, VW = 4, ROWS = TILE_ROWS, TILE_M = 12 };

#define T(name) name
#define v_load(p) vld1q_f32(p)
#define v_store(p, v) vst1q_f32(p, v)
#define v_set(s) vdupq_n_f32(s)
#define v_add(a, b) vaddq_f32(a, b)
#define v_sub(a, b) vsubq_f32(a, b)
#define v_mul(a, b) vmulq_f32(a, b)
#define v_div(a, b) vdivq_f32(a, b)
#define v_fma(a, b, c) vfmaq_f32(c, a, b)
#define v_min(a, b) vminq_f32(a, b)
#define v_max(a, b) vmaxq_f32(a, b)
#define v_scale(p, whole) \
    vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(p), vshlq_n_s32(vreinterpretq_s32_f32(whole), 23)))

#include "kern/cell.h"
#include "kern/vector.h"

const struct tc_kern tc_kern_neon = {
    .name = "neon",
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
