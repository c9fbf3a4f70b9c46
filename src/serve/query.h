/* query.h - a few threads with a store reader each, and a bounded queue in front of them: what reads the
 * database never runs on a thread that serves connections. */
#pragma once

#include "serve/api.h"

struct tc_query {
    tc_query_fn *fn;
    const struct tc_params *params;
    struct tc_reply *reply;
    void (*done)(void *ctx); /* on the query's thread; the query may be freed by it */
    void *ctx;
    struct tc_query *next; /* the queue's */
};

struct tc_query_pool;

int tc_query_pool_open(struct tc_serve *s, int threads, struct tc_query_pool **out);
/* Finishes what was taken, answers 503 to what waits, joins. Takes NULL. */
void tc_query_pool_close(struct tc_query_pool *p);
/* False when the queue is full or closing; done() is not called then. */
bool tc_query_put(struct tc_query_pool *p, struct tc_query *q);
