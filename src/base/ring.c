#include "base/ring.h"
#include "base/err.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { CACHE_LINE = 64 };

struct tc_ring {
    /* never changes after open */
    unsigned char *slots;
    size_t mask, slot_size;
    /* the writer's line */
    alignas(CACHE_LINE) _Atomic uint64_t tail;
    uint64_t head_seen;
    _Atomic uint64_t full;
    _Atomic uint64_t high_water;
    /* the reader's line */
    alignas(CACHE_LINE) _Atomic uint64_t head;
    uint64_t tail_seen;
};

int tc_ring_open(struct tc_ring **out, size_t slots, size_t slot_size)
{
    if (slots == 0 || (slots & (slots - 1)) || slot_size == 0 || slots > SIZE_MAX / slot_size)
        return tc_fail(TC_ECONF, "ring of %zu slots of %zu bytes: slots must be a power of two", slots,
                       slot_size);
    struct tc_ring *r = aligned_alloc(CACHE_LINE, (sizeof(*r) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    if (!r)
        return tc_fail(TC_ENOMEM, "no memory for a ring");
    *r = (struct tc_ring){.mask = slots - 1, .slot_size = slot_size};
    r->slots = calloc(slots, slot_size);
    if (!r->slots) {
        free(r);
        return tc_fail(TC_ENOMEM, "no memory for %zu ring slots", slots);
    }
    *out = r;
    return TC_OK;
}

void tc_ring_close(struct tc_ring *r)
{
    if (!r)
        return;
    free(r->slots);
    free(r);
}

void *tc_ring_claim(struct tc_ring *r)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (tail - r->head_seen > r->mask) {
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire); /* pairs with tc_ring_release */
        if (tail - r->head_seen > r->mask) {
            atomic_fetch_add_explicit(&r->full, 1, memory_order_relaxed);
            return NULL;
        }
    }
    uint64_t depth = tail - r->head_seen + 1;
    if (depth > atomic_load_explicit(&r->high_water, memory_order_relaxed))
        atomic_store_explicit(&r->high_water, depth, memory_order_relaxed);
    return r->slots + (tail & r->mask) * r->slot_size;
}

void tc_ring_publish(struct tc_ring *r)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    atomic_store_explicit(&r->tail, tail + 1,
                          memory_order_release); /* pairs with the acquire in tc_ring_peek */
}

size_t tc_ring_peek(struct tc_ring *r, void **first, size_t max)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (head == r->tail_seen)
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire); /* pairs with tc_ring_publish */
    size_t n = (size_t)(r->tail_seen - head), to_wrap = r->mask + 1 - (head & r->mask);
    if (n > to_wrap)
        n = to_wrap;
    *first = r->slots + (head & r->mask) * r->slot_size;
    return n < max ? n : max;
}

void tc_ring_release(struct tc_ring *r, size_t n)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    atomic_store_explicit(&r->head, head + n,
                          memory_order_release); /* pairs with the acquire in tc_ring_claim */
}

struct tc_ring_stat tc_ring_stat(const struct tc_ring *r)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    return (struct tc_ring_stat){
        .offered = tail,
        .taken = head,
        .full = atomic_load_explicit(&r->full, memory_order_relaxed),
        .depth = tail > head ? (size_t)(tail - head) : 0,
        .high_water = (size_t)atomic_load_explicit(&r->high_water, memory_order_relaxed),
        .slots = r->mask + 1,
    };
}
