/* ring.h - bounded queue between exactly one writer thread and one reader thread; no locks, no allocation
 * after open.
 *
 *   writer: slot = tc_ring_claim(r); if NULL the ring is full; fill *slot; tc_ring_publish(r)
 *   reader: n = tc_ring_peek(r, &first, max); use first[0 .. n-1]; tc_ring_release(r, n)
 *
 * The writer's release store of `tail` pairs with the reader's acquire load in peek; the reader's release
 * store of `head` pairs with the writer's acquire load in claim. Each side keeps a copy of the other's index
 * and reads the shared one only when the copy says full or empty.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tc_ring;

struct tc_ring_stat {
    uint64_t offered, taken, full; /* full = claims that found no room */
    size_t depth, high_water, slots;
};

int tc_ring_open(struct tc_ring **out, size_t slots, size_t slot_size); /* slots: a power of two */
void tc_ring_close(struct tc_ring *r);
void *tc_ring_claim(struct tc_ring *r);
void tc_ring_publish(struct tc_ring *r);
size_t tc_ring_peek(struct tc_ring *r, void **first, size_t max); /* a contiguous run */
void tc_ring_release(struct tc_ring *r, size_t n);
struct tc_ring_stat tc_ring_stat(const struct tc_ring *r); /* any thread */
