#include "role/inbox.h"
#include "base/clock.h"
#include "base/err.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WAITING_MAX = 64 };

struct request { /* on the stack of who waits */
    struct tc_submission *list;
    size_t n;
    bool taken, done;
    struct request *next;
};

struct tc_inbox {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    struct request *first, **last, *taken;
    atomic_int waiting;
};

int tc_inbox_open(struct tc_inbox **out)
{
    struct tc_inbox *b = calloc(1, sizeof(*b));
    if (!b)
        return tc_fail(TC_ENOMEM, "no memory for an inbox");
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->answered, &attr);
    pthread_condattr_destroy(&attr);
    b->last = &b->first;
    *out = b;
    return TC_OK;
}

void tc_inbox_close(struct tc_inbox *b)
{
    if (!b)
        return;
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->answered);
    free(b);
}

static void unlink_request(struct tc_inbox *b, const struct request *r)
{
    struct request **at = &b->first;
    while (*at && *at != r)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = r->next;
    if (!*at)
        b->last = at;
    atomic_fetch_sub(&b->waiting, 1);
}

static void busy(struct tc_submission *list, size_t n, const char *why)
{
    for (size_t i = 0; i < n; i++) {
        list[i].verdict = TC_VERDICT_BUSY;
        snprintf(list[i].why, sizeof(list[i].why), "%s", why);
    }
}

void tc_inbox_submit(struct tc_inbox *b, struct tc_bus *bus, struct tc_submission *list, size_t n,
                     int64_t timeout_ns)
{
    struct request r = {.list = list, .n = n};
    int64_t until = tc_mono_ns() + timeout_ns;
    struct timespec at = {until / TC_NS_PER_SEC, until % TC_NS_PER_SEC};
    pthread_mutex_lock(&b->lock);
    if (atomic_load(&b->waiting) >= WAITING_MAX) {
        pthread_mutex_unlock(&b->lock);
        busy(list, n, "too many senders at once; send it again");
        return;
    }
    *b->last = &r;
    b->last = &r.next;
    atomic_fetch_add(&b->waiting, 1);
    pthread_mutex_unlock(&b->lock);
    bus->ops->wake(bus->self);
    pthread_mutex_lock(&b->lock);
    while (!r.done && (r.taken || tc_mono_ns() < until)) {
        if (r.taken)
            pthread_cond_wait(&b->answered, &b->lock);
        else
            pthread_cond_timedwait(&b->answered, &b->lock, &at);
    }
    if (!r.done) {
        unlink_request(b, &r);
        busy(list, n, "the forecast role is behind its input; send it again");
    }
    pthread_mutex_unlock(&b->lock);
}

struct tc_submission *tc_inbox_take(struct tc_inbox *b, size_t *n)
{
    if (!atomic_load_explicit(&b->waiting, memory_order_relaxed))
        return NULL;
    struct tc_submission *list = NULL;
    pthread_mutex_lock(&b->lock);
    struct request *r = b->first;
    if (r) {
        unlink_request(b, r);
        r->taken = true;
        r->next = NULL;
        b->taken = r;
        list = r->list;
        *n = r->n;
    }
    pthread_mutex_unlock(&b->lock);
    return list;
}

void tc_inbox_done(struct tc_inbox *b)
{
    pthread_mutex_lock(&b->lock);
    b->taken->done = true;
    b->taken = NULL;
    pthread_cond_broadcast(&b->answered);
    pthread_mutex_unlock(&b->lock);
}
