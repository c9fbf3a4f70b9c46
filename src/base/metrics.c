#include "base/metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum metric_type { COUNTER, GAUGE, LATENCY };

struct metric {
    struct metric *next; /* list in order of name, then registration */
    enum metric_type type;
    const char *name, *help;
    char *labels;
    tc_metric value;
    struct tc_hist hist;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *first;

static struct metric *find(const char *name, const char *labels)
{
    for (struct metric *m = first; m; m = m->next)
        if (!strcmp(m->name, name) && !strcmp(m->labels, labels ? labels : ""))
            return m;
    return NULL;
}

/* Registration happens at start; without memory there is no program to go on with. */
static struct metric *must_register(enum metric_type type, const char *name, const char *labels,
                                    const char *help)
{
    pthread_mutex_lock(&lock);
    struct metric *m = find(name, labels);
    if (!m) {
        m = calloc(1, sizeof(*m));
        char *copy = strdup(labels ? labels : "");
        if (!m || !copy)
            abort();
        m->type = type;
        m->name = name;
        m->help = help;
        m->labels = copy;
        struct metric **at = &first;
        while (*at && strcmp((*at)->name, name) <= 0)
            at = &(*at)->next;
        m->next = *at;
        *at = m;
    }
    pthread_mutex_unlock(&lock);
    return m;
}

tc_metric *tc_counter(const char *name, const char *labels, const char *help)
{
    return &must_register(COUNTER, name, labels, help)->value;
}

tc_metric *tc_gauge(const char *name, const char *labels, const char *help)
{
    return &must_register(GAUGE, name, labels, help)->value;
}

struct tc_hist *tc_latency(const char *name, const char *labels, const char *help)
{
    return &must_register(LATENCY, name, labels, help)->hist;
}

tc_metric *tc_metric_find(const char *name, const char *labels)
{
    pthread_mutex_lock(&lock);
    struct metric *m = find(name, labels);
    pthread_mutex_unlock(&lock);
    return m && m->type != LATENCY ? &m->value : NULL;
}

struct tc_hist *tc_latency_find(const char *name, const char *labels)
{
    pthread_mutex_lock(&lock);
    struct metric *m = find(name, labels);
    pthread_mutex_unlock(&lock);
    return m && m->type == LATENCY ? &m->hist : NULL;
}

static void write_value(struct tc_buf *out, const struct metric *m)
{
    tc_buf_str(out, m->name);
    if (m->labels[0])
        tc_buf_printf(out, "{%s}", m->labels);
    tc_buf_char(out, ' ');
    tc_buf_int(out, tc_metric_get(&m->value));
    tc_buf_char(out, '\n');
}

static void write_latency(struct tc_buf *out, const struct metric *m)
{
    static const double quantiles[] = {0.5, 0.9, 0.99, 1.0};
    const char *comma = m->labels[0] ? "," : "";
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        tc_buf_printf(out, "%s{%s%squantile=\"", m->name, m->labels, comma);
        tc_buf_double(out, quantiles[i]);
        tc_buf_str(out, "\"} ");
        tc_buf_double(out, (double)tc_hist_quantile(&m->hist, quantiles[i]) / 1e9);
        tc_buf_char(out, '\n');
    }
    const char *open = m->labels[0] ? "{" : "", *close = m->labels[0] ? "}" : "";
    uint64_t sum = atomic_load_explicit(&m->hist.sum, memory_order_relaxed);
    uint64_t count = atomic_load_explicit(&m->hist.count, memory_order_relaxed);
    tc_buf_printf(out, "%s_sum%s%s%s ", m->name, open, m->labels, close);
    tc_buf_double(out, (double)sum / 1e9);
    tc_buf_printf(out, "\n%s_count%s%s%s %llu\n", m->name, open, m->labels, close, (unsigned long long)count);
}

void tc_metrics_write(struct tc_buf *out)
{
    static const char *const types[] = {"counter", "gauge", "summary"};
    pthread_mutex_lock(&lock);
    const char *before = "";
    for (struct metric *m = first; m; m = m->next) {
        if (strcmp(m->name, before))
            tc_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, types[m->type]);
        before = m->name;
        if (m->type == LATENCY)
            write_latency(out, m);
        else
            write_value(out, m);
    }
    pthread_mutex_unlock(&lock);
}
