#include "role/runner.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_WAIT_NS (10 * TC_NS_PER_MS)
#define STALL_NS (100 * TC_NS_PER_MS)

enum { ERROR_SIZE = 1024 };

struct worker {
    struct tc_runner *runner;
    struct tc_role role;
    pthread_t thread;
    atomic_bool stop; /* set by tc_runner_stop */
    atomic_bool ended;
    bool cut_short; /* read after the join */
    struct tc_hist *cycle;
    tc_metric *stalls;
};

struct tc_runner {
    struct tc_bus *bus;
    size_t n;
    struct worker workers[TC_ROLES_MAX];
    _Atomic int64_t deadline;
    pthread_mutex_t lock; /* guards failure */
    atomic_int failed;
    char failure[ERROR_SIZE];
};

static void fail(struct worker *w, int rc)
{
    struct tc_runner *r = w->runner;
    pthread_mutex_lock(&r->lock);
    if (!atomic_load(&r->failed)) {
        snprintf(r->failure, sizeof(r->failure), "%s: %s", w->role.ops->name, tc_error());
        atomic_store(&r->failed, rc);
    }
    pthread_mutex_unlock(&r->lock);
    r->bus->ops->wake(r->bus->self);
}

/* One duty cycle with its time taken; cycles over STALL_NS are counted, so that a stall is a number. */
static int cycle(struct worker *w)
{
    int64_t begin = tc_mono_ns();
    int rc = w->role.ops->work(w->role.self);
    int64_t took = tc_mono_ns() - begin;
    if (rc > 0)
        tc_hist_add(w->cycle, took);
    if (took > STALL_NS)
        tc_metric_add(w->stalls, 1);
    return rc;
}

/* What was handed to the role before the stop is finished here, as far as the deadline allows. */
static int drain(struct worker *w)
{
    int64_t deadline = atomic_load(&w->runner->deadline);
    const struct tc_role_ops *ops = w->role.ops;
    if (!ops->flush)
        return TC_OK;
    int rc = ops->flush(w->role.self, deadline);
    w->cut_short = rc != TC_OK;
    if (rc < 0) /* nobody asks for the failure of a runner that is being stopped */
        tc_log_error("run", "%s: %s", ops->name, tc_error());
    return rc;
}

static void *run(void *arg)
{
    struct worker *w = arg;
    struct tc_runner *r = w->runner;
    const struct tc_role_ops *ops = w->role.ops;
    uint64_t seen = 0;
    int rc = TC_OK;
    while (!atomic_load(&w->stop)) {
        rc = cycle(w);
        if (rc < 0)
            break;
        if (ops->ended && ops->ended(w->role.self))
            atomic_store(&w->ended, true);
        if (rc == 0)
            r->bus->ops->wait(r->bus->self, &seen, ops->wait_ns ? ops->wait_ns(w->role.self) : IDLE_WAIT_NS);
    }
    if (rc >= 0)
        rc = drain(w);
    if (rc < 0)
        fail(w, rc);
    return NULL;
}

static void register_metrics(struct worker *w)
{
    char labels[64];
    snprintf(labels, sizeof(labels), "role=\"%s\"", w->role.ops->name);
    w->cycle = tc_latency("tickcast_role_cycle_seconds", labels, "Time of one duty cycle that did something");
    w->stalls = tc_counter("tickcast_role_stalls_total", labels, "Duty cycles longer than 100 ms");
}

int tc_runner_start(struct tc_bus *bus, const struct tc_role *roles, size_t n, struct tc_runner **out)
{
    if (n > TC_ROLES_MAX)
        return tc_fail(TC_ELIMIT, "%zu roles are more than %d", n, TC_ROLES_MAX);
    struct tc_runner *r = calloc(1, sizeof(*r));
    if (!r)
        return tc_fail(TC_ENOMEM, "no memory for the runner");
    r->bus = bus;
    pthread_mutex_init(&r->lock, NULL);
    for (size_t i = 0; i < n; i++) {
        struct worker *w = &r->workers[i];
        *w = (struct worker){.runner = r, .role = roles[i]};
        register_metrics(w);
        int err = pthread_create(&w->thread, NULL, run, w);
        if (err) {
            tc_fail(TC_EIO, "cannot start the thread of role %s: %s", roles[i].ops->name, strerror(err));
            tc_runner_stop(r, tc_mono_ns());
            return TC_EIO;
        }
        char name[16];
        snprintf(name, sizeof(name), "%s", roles[i].ops->name);
        pthread_setname_np(w->thread, name);
        r->n++;
    }
    *out = r;
    return TC_OK;
}

bool tc_runner_ended(const struct tc_runner *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->workers[i].role.ops->ended && !atomic_load(&r->workers[i].ended))
            return false;
    return true;
}

int tc_runner_failed(const struct tc_runner *r)
{
    return atomic_load(&r->failed);
}

const char *tc_runner_failure(const struct tc_runner *r)
{
    return r->failure;
}

bool tc_runner_stop(struct tc_runner *r, int64_t deadline_mono_ns)
{
    bool whole = true;
    atomic_store(&r->deadline, deadline_mono_ns);
    for (size_t i = 0; i < r->n; i++) {
        struct worker *w = &r->workers[i];
        atomic_store(&w->stop, true);
        r->bus->ops->wake(r->bus->self);
        pthread_join(w->thread, NULL);
        whole = whole && !w->cut_short;
    }
    pthread_mutex_destroy(&r->lock);
    free(r);
    return whole;
}
