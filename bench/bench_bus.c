/* Records a second through the log bus, bars of about 190 bytes: written in batches of 8 with the usual group
 * commit, read back by one reader, and the time from publish to a waiting reader. Usage: bench_bus FOLDER
 * [RECORDS] The folder must not hold a log yet. */
#include "base/clock.h"
#include "base/err.h"
#include "base/hist.h"
#include "base/num.h"
#include "bus/bus.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 8, LATENCIES = 2000 };

static struct tc_hist latency;

struct tail {
    struct tc_bus *bus;
    struct tc_bus_reader *reader;
};

static int64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * TC_NS_PER_SEC + ts.tv_nsec;
}

static void say(const char *what, int64_t n, int64_t wall, int64_t cpu)
{
    printf("%-8s %9.0f records/s of wall time, %9.0f of processor time\n", what,
           (double)n * 1e9 / (double)wall, (double)n * 1e9 / (double)cpu);
}

static int write_all(struct tc_bus *bus, int64_t n)
{
    static struct tc_record r[BATCH];
    int64_t wall = tc_mono_ns(), cpu = cpu_ns();
    for (int i = 0; i < BATCH; i++) {
        r[i].type = TC_REC_BAR;
        r[i].from = -1;
        snprintf(r[i].bar.symbol, sizeof(r[i].bar.symbol), "SYM%d", i);
        snprintf(r[i].bar.feed, sizeof(r[i].bar.feed), "simulated");
    }
    for (int64_t done = 0; done < n; done += BATCH) {
        for (int i = 0; i < BATCH; i++)
            r[i].bar.start = done;
        int rc = bus->ops->publish(bus->self, TC_TOPIC_BARS, r, BATCH);
        if (rc)
            return rc;
    }
    int rc = bus->ops->sync(bus->self);
    say("written", n, tc_mono_ns() - wall, cpu_ns() - cpu);
    return rc;
}

static int read_all(struct tc_bus *bus)
{
    struct tc_bus_reader *reader;
    struct tc_record r;
    int64_t at, n = 0, wall = tc_mono_ns(), cpu = cpu_ns();
    int rc = bus->ops->open_reader(bus->self, TC_TOPIC_BARS, 0, TC_READ_SYNCED, &reader);
    while (!rc && (rc = bus->ops->read(reader, &r, &at)) == TC_OK)
        n++;
    bus->ops->close_reader(reader);
    say("read", n, tc_mono_ns() - wall, cpu_ns() - cpu);
    return rc < 0 ? rc : TC_OK;
}

static void *follow(void *arg)
{
    struct tail *t = arg;
    struct tc_record r;
    uint64_t seen = 0;
    for (int64_t at, got = 0; got < LATENCIES;) {
        if (t->bus->ops->read(t->reader, &r, &at) == TC_OK) {
            tc_hist_add(&latency, tc_mono_ns() - r.gap.start);
            got++;
        } else {
            t->bus->ops->wait(t->bus->self, &seen, TC_NS_PER_SEC);
        }
    }
    return NULL;
}

static int measure_latency(struct tc_bus *bus)
{
    struct tail t = {.bus = bus};
    struct tc_record r = {.type = TC_REC_GAP, .from = -1};
    pthread_t thread;
    int rc = bus->ops->open_reader(bus->self, TC_TOPIC_FORECASTS, 0, 0, &t.reader);
    if (rc || pthread_create(&thread, NULL, follow, &t))
        return rc ? rc : tc_fail(TC_ENOMEM, "no thread");
    for (int i = 0; i < LATENCIES && !rc; i++) {
        tc_sleep_until_mono(tc_mono_ns() + TC_NS_PER_MS);
        r.gap.start = tc_mono_ns();
        rc = bus->ops->publish(bus->self, TC_TOPIC_FORECASTS, &r, 1);
    }
    if (!rc)
        pthread_join(thread, NULL);
    bus->ops->close_reader(t.reader);
    printf("latency  p50 %.1f us, p99 %.1f us from before publish to a reader that waited\n",
           (double)tc_hist_quantile(&latency, 0.5) / 1e3, (double)tc_hist_quantile(&latency, 0.99) / 1e3);
    return rc;
}

int main(int argc, char **argv)
{
    int64_t n = 1000000;
    if (argc < 2 || argc > 3 || (argc == 3 && (!tc_parse_int(argv[2], strlen(argv[2]), &n) || n < 1))) {
        fprintf(stderr, "usage: bench_bus FOLDER [RECORDS]\n");
        return 2;
    }
    struct tc_log_bus_conf conf = {.dir = argv[1]};
    struct tc_bus bus;
    int rc = tc_log_bus_open(&conf, &bus);
    if (!rc)
        rc = write_all(&bus, n / BATCH * BATCH);
    if (!rc)
        rc = read_all(&bus);
    if (!rc)
        rc = measure_latency(&bus);
    if (rc)
        fprintf(stderr, "bench_bus: %s\n", tc_error());
    if (bus.self)
        bus.ops->close(bus.self);
    return rc ? 1 : 0;
}
