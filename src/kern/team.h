/* team.h - a few threads that share one piece of arithmetic at a time.
 *
 * A job is one function that every member runs; the caller is member 0. Between jobs members spin for some
 * microseconds (the next job of a burst finds them awake) and then sleep in the kernel. Nothing is locked:
 * each member has a counter on a cache line of its own, which it alone writes.
 *
 * Members flush denormals (tc_kern_enter) and take no signals. Which member does what must not show in the
 * result: jobs here split rows or outputs, never a sum.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { TC_TEAM_MAX = 64 };

/* A count that one thread raises and others wait for. */
struct tc_turn {
    _Alignas(64) _Atomic uint32_t n;
    _Atomic uint32_t sleepers;
};

/* Release: what was written before is seen by who waited for it. */
void tc_turn_set(struct tc_turn *t, uint32_t n);

/* Waits until the count is n or has passed it (counts may wrap): spins for a bounded time, then sleeps. */
void tc_turn_wait(struct tc_turn *t, uint32_t n);

struct tc_team;

/* `threads` members, 1 to TC_TEAM_MAX, the caller's included; 0 = as many as processors may be used by this
 * process, at most 8. TC_ENOMEM, TC_EIO. */
int tc_team_open(int threads, struct tc_team **out);
void tc_team_close(struct tc_team *t); /* takes NULL */

/* Processors that this process may use, at most 8. */
int tc_team_processors(void);

int tc_team_size(const struct tc_team *t); /* NULL: 1 */

/* Runs job(ctx, member, members) on the first `members` of the team and returns when all are done. One caller
 * at a time. A NULL team runs it here. */
void tc_team_run(struct tc_team *t, int members, void (*job)(void *ctx, int member, int members), void *ctx);
