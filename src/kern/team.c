#include "kern/team.h"
#include "kern/kern.h"

#include "base/err.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINS = 2000, AUTO_MAX = 8 }; /* some 20 to 60 us: longer than a step, shorter than a time slice */

struct member {
    struct tc_turn done; /* jobs finished */
    struct tc_team *team;
    int index;
    pthread_t thread;
};

struct tc_team {
    struct tc_turn begun; /* jobs begun; what stands below is written before it is raised */
    void (*job)(void *ctx, int member, int members);
    void *ctx;
    int members; /* of the job */
    int size;
    struct member member[]; /* [0] is the caller and has no thread */
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex(_Atomic uint32_t *at, int op, uint32_t value)
{
    syscall(SYS_futex, at, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

void tc_turn_set(struct tc_turn *t, uint32_t n)
{
    atomic_exchange(&t->n, n); /* a whole barrier before the look at sleepers, as theirs before that at n */
    if (atomic_load(&t->sleepers))
        futex(&t->n, FUTEX_WAKE, INT_MAX);
}

static int reached(struct tc_turn *t, uint32_t n, uint32_t *seen)
{
    *seen = atomic_load_explicit(&t->n, memory_order_acquire);
    return (int32_t)(*seen - n) >= 0;
}

void tc_turn_wait(struct tc_turn *t, uint32_t n)
{
    uint32_t seen;
    for (int i = 0; i < SPINS; i++) {
        if (reached(t, n, &seen))
            return;
        relax();
    }
    atomic_fetch_add(&t->sleepers, 1);
    for (seen = atomic_load(&t->n); (int32_t)(seen - n) < 0; seen = atomic_load(&t->n))
        futex(&t->n, FUTEX_WAIT, seen);
    atomic_fetch_sub(&t->sleepers, 1);
}

static void *work(void *arg)
{
    struct member *m = arg;
    struct tc_team *t = m->team;
    tc_kern_enter();
    for (uint32_t jobs = 1;; jobs++) {
        tc_turn_wait(&t->begun, jobs);
        if (!t->job)
            return NULL;
        if (m->index < t->members)
            t->job(t->ctx, m->index, t->members);
        tc_turn_set(&m->done, jobs);
    }
}

int tc_team_processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > AUTO_MAX ? AUTO_MAX : n;
}

int tc_team_open(int threads, struct tc_team **out)
{
    threads = threads > 0 ? threads : tc_team_processors();
    if (threads > TC_TEAM_MAX)
        return tc_fail(TC_ECONF, "%d threads: at most %d", threads, TC_TEAM_MAX);
    size_t bytes = sizeof(struct tc_team) + (size_t)threads * sizeof(struct member);
    struct tc_team *t = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!t)
        return tc_fail(TC_ENOMEM, "no memory for %d threads", threads);
    memset(t, 0, bytes);
    t->size = 1;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* members inherit it */
    int rc = TC_OK;
    while (t->size < threads && !rc) {
        struct member *m = &t->member[t->size];
        *m = (struct member){.team = t, .index = t->size};
        int error = pthread_create(&m->thread, NULL, work, m);
        if (error)
            rc = tc_fail(TC_EIO, "cannot start a thread: %s", strerror(error));
        else
            t->size++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        tc_team_close(t);
    else
        *out = t;
    return rc;
}

static void begin(struct tc_team *t)
{
    tc_turn_set(&t->begun, atomic_load_explicit(&t->begun.n, memory_order_relaxed) + 1);
}

void tc_team_close(struct tc_team *t)
{
    if (!t)
        return;
    t->job = NULL;
    begin(t);
    for (int i = 1; i < t->size; i++)
        pthread_join(t->member[i].thread, NULL);
    free(t);
}

int tc_team_size(const struct tc_team *t)
{
    return t ? t->size : 1;
}

void tc_team_run(struct tc_team *t, int members, void (*job)(void *ctx, int member, int members), void *ctx)
{
    members = members < tc_team_size(t) ? members : tc_team_size(t);
    if (members <= 1) {
        job(ctx, 0, 1);
        return;
    }
    t->job = job;
    t->ctx = ctx;
    t->members = members;
    begin(t);
    job(ctx, 0, members);
    uint32_t jobs = atomic_load_explicit(&t->begun.n, memory_order_relaxed);
    for (int i = 1; i < t->size; i++)
        tc_turn_wait(&t->member[i].done, jobs);
}
