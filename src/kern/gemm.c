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

void tc_gemm_free(struct tc_gemm *g)
{
    free(g->a.p);
    free(g->b.p);
    g->a = g->b = (struct tc_panels){0};
}

/* Lines that lie beside each other already: `wide` is a constant at each call. */
static inline __attribute__((always_inline)) void copy_panel(const float *p, size_t along, size_t k,
                                                             const size_t wide, float *out)
{
    for (size_t i = 0; i < k; i++)
        memcpy(out + i * wide, p + i * along, wide * sizeof(float));
}

static bool pack_whole(const float *p, size_t along, size_t k, size_t wide, float *out)
{
    switch (wide) {
    case 4:
        copy_panel(p, along, k, 4, out);
        return true;
    case 6:
        copy_panel(p, along, k, 6, out);
        return true;
    case 8:
        copy_panel(p, along, k, 8, out);
        return true;
    case 12:
        copy_panel(p, along, k, 12, out);
        return true;
    case 16:
        copy_panel(p, along, k, 16, out);
        return true;
    case 32:
        copy_panel(p, along, k, 32, out);
        return true;
    default:
        return false;
    }
}

/* One panel: `wide` lines of the matrix (rows of A, columns of B) beside each other for every k, missing ones
 * 0. */
static void pack_panel(const float *p, size_t line, size_t along, size_t k, size_t have, size_t wide,
                       float *out)
{
    if (line == 1 && have == wide && pack_whole(p, along, k, wide, out))
        return;
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

/* Inner lines worked on at once: the panels of so many stay near while the outer loops go over them. */
enum { DEEP = 256 };

/* A tile at the edge goes through room of its own. */
static void edge_tile(const struct tc_kern *kern, size_t k, const float *a, const float *b, size_t rows,
                      size_t cols, float *c, size_t ldc, bool add)
{
    float tile[TC_KERN_TILE_MAX] __attribute__((aligned(TC_KERN_ALIGN)));
    size_t wide = (size_t)kern->tile_n;
    kern->gemm_tile(k, a, b, tile, wide, false, rows);
    for (size_t i = 0; i < rows; i++, c += ldc)
        for (size_t j = 0; j < cols; j++)
            c[j] = add ? c[j] + tile[i * wide + j] : tile[i * wide + j];
}

/* One panel of A against all of B's, `some` inner lines of it. */
static void row_of_tiles(const struct tc_kern *kern, size_t some, const float *a, const float *b,
                         size_t b_stride, size_t rows, size_t n, float *c, size_t ldc, bool add)
{
    size_t high = (size_t)kern->tile_m, wide = (size_t)kern->tile_n;
    for (size_t j = 0; j < n; j += wide, b += b_stride)
        if (rows == high && n - j >= wide)
            kern->gemm_tile(some, a, b, c + j, ldc, add, rows);
        else
            edge_tile(kern, some, a, b, rows, least(wide, n - j), c + j, ldc, add);
}

static size_t panels_of(const struct tc_gemm *g, size_t n)
{
    size_t wide = (size_t)g->kern->tile_n;
    return (n + wide - 1) / wide * wide;
}

int tc_gemm_reserve(struct tc_gemm *g, size_t n)
{
    int rc = room_for(&g->a, (size_t)g->kern->tile_m * DEEP);
    return rc ? rc : room_for(&g->b, panels_of(g, n) * DEEP);
}

int tc_gemm(struct tc_gemm *g, size_t m, size_t n, size_t k, struct tc_matrix a, struct tc_matrix b, float *c,
            size_t ldc, bool add)
{
    size_t high = (size_t)g->kern->tile_m, wide = (size_t)g->kern->tile_n;
    int rc = tc_gemm_reserve(g, n);
    for (size_t l = 0; l < k && !rc; l += DEEP) {
        size_t some = least(DEEP, k - l);
        for (size_t j = 0; j < n; j += wide)
            pack_panel(b.p + j * b.col + l * b.row, b.col, b.row, some, least(wide, n - j), wide,
                       g->b.p + j * some);
        for (size_t i = 0; i < m; i += high) {
            size_t rows = least(high, m - i);
            pack_panel(a.p + i * a.row + l * a.col, a.row, a.col, some, rows, high, g->a.p);
            row_of_tiles(g->kern, some, g->a.p, g->b.p, wide * some, rows, n, c + i * ldc, ldc, add || l);
        }
    }
    return rc;
}
