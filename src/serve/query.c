#include "serve/query.h"
#include "base/err.h"
#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 8, WAITING_MAX = 64 };

struct tc_query_pool {
    struct tc_serve *serve;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct tc_query *first, **last;
    int waiting;
    bool closing;
    int n;
    pthread_t threads[THREADS_MAX];
};

static struct tc_query *take(struct tc_query_pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->first && !p->closing)
        pthread_cond_wait(&p->more, &p->lock);
    struct tc_query *q = p->first;
    if (q) {
        p->first = q->next;
        if (!p->first)
            p->last = &p->first;
        p->waiting--;
    }
    pthread_mutex_unlock(&p->lock);
    return q;
}

static bool closing(struct tc_query_pool *p)
{
    pthread_mutex_lock(&p->lock);
    bool yes = p->closing;
    pthread_mutex_unlock(&p->lock);
    return yes;
}

static void answer(struct tc_query_pool *p, struct tc_query *q, struct tc_store *store, bool *open)
{
    if (closing(p)) {
        tc_reply_error(q->reply, 503, "the program is stopping");
        return;
    }
    if (!*open) {
        int rc = p->serve->conf.open_store(p->serve->conf.store_ctx, store);
        *open = rc == TC_OK;
        if (!*open && rc != TC_ENOTFOUND) {
            tc_api_store_error(q->reply, rc);
            return;
        }
    }
    q->fn(p->serve, *open ? store : NULL, q->params, q->reply);
    if (q->reply->body.overflow)
        tc_reply_error(q->reply, 400, "the answer would be over %d bytes; ask for a smaller range",
                       TC_ANSWER_MAX);
    if (q->reply->status >= 500 && *open) {
        store->ops->close(store->self);
        *open = false;
    }
}

static void *run(void *arg)
{
    struct tc_query_pool *p = arg;
    struct tc_store store;
    bool open = false;
    for (struct tc_query *q; (q = take(p)) != NULL;) {
        answer(p, q, &store, &open);
        q->done(q->ctx);
    }
    if (open)
        store.ops->close(store.self);
    return NULL;
}

int tc_query_pool_open(struct tc_serve *s, int threads, struct tc_query_pool **out)
{
    struct tc_query_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return tc_fail(TC_ENOMEM, "no memory for the query threads");
    p->serve = s;
    p->last = &p->first;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->more, NULL);
    for (; p->n < threads && p->n < THREADS_MAX; p->n++) {
        int err = pthread_create(&p->threads[p->n], NULL, run, p);
        if (err) {
            tc_query_pool_close(p);
            return tc_fail(TC_EIO, "cannot start a query thread: %s", strerror(err));
        }
        pthread_setname_np(p->threads[p->n], "query");
    }
    *out = p;
    return TC_OK;
}

void tc_query_pool_close(struct tc_query_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

bool tc_query_put(struct tc_query_pool *p, struct tc_query *q)
{
    pthread_mutex_lock(&p->lock);
    bool ok = !p->closing && p->waiting < WAITING_MAX;
    if (ok) {
        q->next = NULL;
        *p->last = q;
        p->last = &q->next;
        p->waiting++;
        pthread_cond_signal(&p->more);
    }
    pthread_mutex_unlock(&p->lock);
    return ok;
}
