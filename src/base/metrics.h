/* metrics.h - every counter, gauge and histogram of the program by its Prometheus name.
 *
 * Registered once at open; the returned pointers live until the program ends. Writers use relaxed atomics;
 * any thread may read. The same (name, labels) registered twice gives the same metric. docs/metrics.md lists
 * them.
 */
#pragma once

#include "base/buf.h"
#include "base/hist.h"

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic int64_t tc_metric;

/* labels: NULL or the text between the braces, such as role="store". */
tc_metric *tc_counter(const char *name, const char *labels, const char *help);
tc_metric *tc_gauge(const char *name, const char *labels, const char *help);
struct tc_hist *tc_latency(const char *name, const char *labels,
                           const char *help); /* ns inside, seconds outside */

/* Finders for readers (status, page); NULL when nobody registered it. */
tc_metric *tc_metric_find(const char *name, const char *labels);
struct tc_hist *tc_latency_find(const char *name, const char *labels);

static inline void tc_metric_add(tc_metric *m, int64_t n)
{
    atomic_fetch_add_explicit(m, n, memory_order_relaxed);
}

static inline void tc_metric_set(tc_metric *m, int64_t v)
{
    atomic_store_explicit(m, v, memory_order_relaxed);
}

static inline int64_t tc_metric_get(const tc_metric *m)
{
    return atomic_load_explicit(m, memory_order_relaxed);
}

/* Prometheus text exposition format 0.0.4. */
void tc_metrics_write(struct tc_buf *out);
