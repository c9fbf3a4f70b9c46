/* hist.h - latency histogram with about 3 % relative error: 32 linear steps in each power of two (as
 * HdrHistogram does). One thread writes; any thread may read (counts are relaxed atomics, a reader sees a
 * slightly older picture).
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum { TC_HIST_BUCKETS = 32 * 60 };

struct tc_hist {
    _Atomic uint64_t count;
    _Atomic uint64_t sum;
    _Atomic uint64_t max;
    _Atomic uint64_t bucket[TC_HIST_BUCKETS];
};

void tc_hist_add(struct tc_hist *h, int64_t value_ns);       /* negative counts as 0 */
int64_t tc_hist_quantile(const struct tc_hist *h, double q); /* q in [0,1]; 0 when empty */
