#include "role/group.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

struct group {
    size_t n;
    struct tc_role roles[TC_GROUP_MAX];
};

static int group_work(void *self)
{
    struct group *g = self;
    int done = 0;
    for (size_t i = 0; i < g->n; i++) {
        int rc = g->roles[i].ops->work(g->roles[i].self);
        if (rc < 0)
            return rc;
        done += rc;
    }
    return done;
}

static bool group_ended(const void *self)
{
    const struct group *g = self;
    for (size_t i = 0; i < g->n; i++)
        if (!g->roles[i].ops->ended || !g->roles[i].ops->ended(g->roles[i].self))
            return false;
    return true;
}

static int64_t group_wait(const void *self)
{
    const struct group *g = self;
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < g->n; i++) {
        int64_t wait = g->roles[i].ops->wait_ns(g->roles[i].self);
        least = wait < least ? wait : least;
    }
    return least;
}

static int group_flush(void *self, int64_t deadline_mono_ns)
{
    struct group *g = self;
    int rc = 0;
    for (size_t i = 0; i < g->n && rc >= 0; i++)
        rc = g->roles[i].ops->flush(g->roles[i].self, deadline_mono_ns);
    return rc;
}

static void group_close(void *self)
{
    struct group *g = self;
    for (size_t i = 0; g && i < g->n; i++)
        g->roles[i].ops->close(g->roles[i].self);
    free(g);
}

static const struct tc_role_ops ops = {
    .name = "collect",
    .work = group_work,
    .ended = group_ended,
    .wait_ns = group_wait,
    .flush = group_flush,
    .close = group_close,
};

int tc_group_open(const struct tc_role *roles, size_t n, struct tc_role *out)
{
    struct group *g = calloc(1, sizeof(*g));
    if (!g || n > TC_GROUP_MAX) {
        free(g);
        return tc_fail(TC_ELIMIT, "%zu roles are more than %d, or no memory", n, TC_GROUP_MAX);
    }
    g->n = n;
    memcpy(g->roles, roles, n * sizeof(roles[0]));
    *out = (struct tc_role){&ops, g};
    return TC_OK;
}
