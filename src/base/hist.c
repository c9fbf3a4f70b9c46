#include "base/hist.h"

static unsigned bucket_of(uint64_t v)
{
    if (v < 32)
        return (unsigned)v;
    unsigned exponent = 63 - (unsigned)__builtin_clzll(v); /* >= 5 */
    unsigned step = (unsigned)(v >> (exponent - 5)) & 31;
    unsigned i = (exponent - 4) * 32 + step;
    return i < TC_HIST_BUCKETS ? i : TC_HIST_BUCKETS - 1;
}

static uint64_t middle_of(unsigned i)
{
    if (i < 32)
        return i;
    unsigned exponent = i / 32 + 4, step = i % 32;
    uint64_t width = UINT64_C(1) << (exponent - 5);
    return (UINT64_C(1) << exponent) + step * width + width / 2;
}

void tc_hist_add(struct tc_hist *h, int64_t value_ns)
{
    uint64_t v = value_ns < 0 ? 0 : (uint64_t)value_ns;
    atomic_fetch_add_explicit(&h->bucket[bucket_of(v)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum, v, memory_order_relaxed);
    if (v > atomic_load_explicit(&h->max, memory_order_relaxed)) /* single writer: no race */
        atomic_store_explicit(&h->max, v, memory_order_relaxed);
}

int64_t tc_hist_quantile(const struct tc_hist *h, double q)
{
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < TC_HIST_BUCKETS; i++)
        total += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
    if (total == 0)
        return 0;
    uint64_t rank = (uint64_t)(q * (double)(total - 1)) + 1;
    for (unsigned i = 0; i < TC_HIST_BUCKETS; i++) {
        seen += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
        if (seen >= rank)
            return (int64_t)middle_of(i);
    }
    return (int64_t)atomic_load_explicit(&h->max, memory_order_relaxed);
}
