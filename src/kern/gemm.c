#include "kern/gemm.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

static int room_for(struct tc_panels *p, size_t floats)
{
    if (p->room >= floats)
        return TC_OK;
    size_t bytes = (floats * sizeof(float) + TC_KERN_ALIGN - 1) / TC_KERN_ALIGN * TC_KERN_ALIGN;
    float *fresh = aligned_alloc(TC_KERN_ALIGN, bytes);
    if (!fresh)
        return tc_fail(TC_ENOMEM, "no memory for %zu bytes of matrix panels", bytes);
    free(p->p);
    p->p = fresh;
    p->room = bytes / sizeof(float);
    return TC_OK;
}

void tc_panels_free(struct tc_panels *p)
{
    free(p->p);
    *p = (struct tc_panels){0};
}

void tc_gemm_free(struct tc_gemm *g)
{
    tc_panels_free(&g->a);
    tc_panels_free(&g->b);
}

/* One panel: `wide` lines of the matrix (rows of A, columns of B) beside each other for every k, missing ones
 * 0. */
static void pack_panel(const float *p, size_t line, size_t along, size_t k, size_t have, size_t wide,
                       float *out)
{
    for (size_t i = 0; i < k; i++, out += wide) {
        const float *from = p + i * along;
        if (line == 1) {
            memcpy(out, from, have * sizeof(float));
        } else {
            for (size_t j = 0; j < have; j++)
                out[j] = from[j * line];
        }
        for (size_t j = have; j < wide; j++)
            out[j] = 0;
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

int tc_gemm_pack_b(const struct tc_kern *kern, size_t k, size_t n, struct tc_matrix b, struct tc_panels *out)
{
    size_t wide = (size_t)kern->tile_n, panels = (n + wide - 1) / wide;
    int rc = room_for(out, panels * wide * k);
    for (size_t j = 0; !rc && j < panels; j++)
        pack_panel(b.p + j * wide * b.col, b.col, b.row, k, least(wide, n - j * wide), wide,
                   out->p + j * wide * k);
    return rc;
}

static void put_tile(const float *tile, size_t tile_n, size_t rows, size_t cols, float *c, size_t ldc,
                     bool add)
{
    for (size_t i = 0; i < rows; i++, tile += tile_n, c += ldc)
        for (size_t j = 0; j < cols; j++)
            c[j] = add ? c[j] + tile[j] : tile[j];
}

int tc_gemm_packed(struct tc_gemm *g, size_t m, size_t n, size_t k, struct tc_matrix a,
                   const struct tc_panels *b, float *c, size_t ldc, bool add)
{
    size_t high = (size_t)g->kern->tile_m, wide = (size_t)g->kern->tile_n;
    float tile[TC_KERN_TILE_MAX] __attribute__((aligned(TC_KERN_ALIGN)));
    int rc = room_for(&g->a, high * k);
    for (size_t i = 0; !rc && i < m; i += high) {
        size_t rows = least(high, m - i);
        pack_panel(a.p + i * a.row, a.row, a.col, k, rows, high, g->a.p);
        for (size_t j = 0; j < n; j += wide) {
            g->kern->gemm_tile(k, g->a.p, b->p + j * k, tile);
            put_tile(tile, wide, rows, least(wide, n - j), c + i * ldc + j, ldc, add);
        }
    }
    return rc;
}

int tc_gemm(struct tc_gemm *g, size_t m, size_t n, size_t k, struct tc_matrix a, struct tc_matrix b, float *c,
            size_t ldc, bool add)
{
    int rc = tc_gemm_pack_b(g->kern, k, n, b, &g->b);
    return rc ? rc : tc_gemm_packed(g, m, n, k, a, &g->b, c, ldc, add);
}
