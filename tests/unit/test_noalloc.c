/* Counts every allocation of the thread that carries the data: after a warm-up there is none from the feed's
 * event to the bar, to the features and forecasts, to the records on the log.
 *
 * malloc and its like are defined here, over those of the C library, so that nothing linked in escapes the
 * count. Under a sanitizer, which brings its own, the test is skipped.
 */
#include "base/clock.h"
#include "base/err.h"
#include "bus/bus.h"
#include "feed/simulated.h"
#include "role/collect.h"
#include "role/forecaster.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

static _Thread_local int64_t allocations; /* of this thread; the log's sync thread is not on the path */

#if !defined(SANITIZED) && defined(__GLIBC__)
#define COUNTED 1
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
    allocations++;
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    allocations++;
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    allocations++;
    return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    allocations++;
    return __libc_memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
    allocations++;
    *out = __libc_memalign(align, n);
    return *out ? 0 : ENOMEM;
}
#endif

static struct tc_calendar *always;

static const struct tc_calendar *calendar_of(void *ctx, const char *symbol)
{
    (void)ctx;
    (void)symbol;
    return always;
}

struct path {
    char dir[64];
    struct tc_bus bus;
    struct tc_feed feed;
    struct tc_role collect, forecast;
};

static void open_path(struct path *p)
{
    static const char *const symbols[] = {"AAPL", "MSFT", "NVDA", "AMD", "TSLA", "AMZN", "SPY"};
    struct tc_sim_conf sim = {.symbols = symbols, .n_symbols = 7, .seed = 1, .speed = INFINITY};
    sim.start = INT64_C(1381152600) * TC_NS_PER_SEC;
    sim.duration_ns = 3600 * TC_NS_PER_SEC;
    snprintf(p->dir, sizeof(p->dir), "/var/tmp/tc-noalloc-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    struct tc_log_bus_conf log = {.dir = p->dir, .sync_every_ns = 50 * TC_NS_PER_MS};
    assert_int_equal(tc_log_bus_open(&log, &p->bus), 0);
    assert_int_equal(tc_calendar_load("always", &always), 0);
    assert_int_equal(tc_simulated_open(&sim, &p->feed), 0);
    struct tc_collect_conf collect = {&p->feed, &p->bus, always, 0, -1};
    assert_int_equal(tc_collect_open(&collect, &p->collect), 0);
    struct tc_forecaster_conf forecast = {.bus = &p->bus, .snapshot_position = -1};
    tc_engine_conf_default(&forecast.engine);
    forecast.engine.calendar = calendar_of;
    assert_int_equal(tc_forecaster_open(&forecast, &p->forecast), 0);
}

static void close_path(struct path *p)
{
    char command[128];
    p->forecast.ops->close(p->forecast.self);
    p->collect.ops->close(p->collect.self);
    p->feed.ops->close(p->feed.self);
    p->bus.ops->close(p->bus.self);
    tc_calendar_free(always);
    snprintf(command, sizeof(command), "rm -rf '%s'", p->dir);
    assert_int_equal(system(command), 0);
}

/* One duty cycle; what it allocated is added to *count. */
static int work(struct tc_role *r, int64_t *count)
{
    int64_t before = allocations;
    int rc = r->ops->work(r->self);
    *count += allocations - before;
    if (rc < 0)
        fail_msg("%s", tc_error());
    return rc;
}

static int64_t bars_end(struct path *p)
{
    struct tc_bus_stat s;
    p->bus.ops->stat(p->bus.self, TC_TOPIC_BARS, &s);
    return s.end;
}

static void from_event_to_forecast_nothing_is_allocated_after_the_warm_up(void **state)
{
    (void)state;
#ifndef COUNTED
    skip();
#endif
    struct path p;
    open_path(&p);
    void *volatile seen = malloc(1);
    assert_true(allocations > 0); /* the count works */
    free(seen);
    int64_t collect = 0, forecast = 0, first = 0;
    while (!p.forecast.ops->ended(p.forecast.self)) {
        if (first == 0 && bars_end(&p) > 4000) { /* some ten minutes: buffers have their size */
            first = bars_end(&p);
            collect = forecast = 0;
        }
        work(&p.collect, &collect);
        while (work(&p.forecast, &forecast) > 0)
            ;
    }
    int64_t records = bars_end(&p) - first;
    print_message("%lld records on topic bars, %lld allocations by collect, %lld by forecast\n",
                  (long long)records, (long long)collect, (long long)forecast);
    assert_true(first > 0 && records > 10000);
    assert_int_equal(collect, 0);
    assert_int_equal(forecast, 0);
    close_path(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_event_to_forecast_nothing_is_allocated_after_the_warm_up),
    };
    return cmocka_run_group_tests_name("noalloc", tests, NULL, NULL);
}
