#include "feed/live_link.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "net/rest.h"
#include "net/socket.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 65536, ORDERS_MAX = 1 << 20, PIECE = 4 };

static const int64_t READ_WAIT = 100 * TC_NS_PER_MS;
static const int64_t FULL_WAIT = TC_NS_PER_MS / 4;

/* What the ring holds of an item; its bytes lie in the arena. */
struct slot {
    struct tc_link_item item;
    uint64_t end; /* the arena is free up to here once the item is taken */
};

struct tc_link {
    char *ws_url, *ca_file;
    size_t max_message;
    atomic_bool stop;

    struct tc_ring *ring;
    char *arena;
    uint64_t room;
    uint64_t written;      /* the socket's thread only: bytes ever put into the arena */
    _Atomic uint64_t free; /* bytes ever given back */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t fetch_wanted;
    bool connect, drop;
    struct tc_buf orders; /* texts to be sent, each with its length before it */
    char *url;            /* to be fetched; NULL = none */
    bool fetching, answered;
    struct tc_link_item answer;
    struct tc_buf body;

    int wake_socket, wake_reader; /* eventfds */
    struct tc_rest *rest;
    pthread_t socket_thread, rest_thread;
    bool socket_runs, rest_runs, from_rest;
    tc_metric *depth, *high_water, *full, *bytes;
};

static int64_t boot_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * TC_NS_PER_SEC + t.tv_nsec;
}

static int64_t clock_base;

static void set_base(void)
{
    clock_base = tc_now_ns() - boot_ns();
}

int64_t tc_link_now(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_base);
    return clock_base + boot_ns();
}

static void wake(int fd)
{
    uint64_t one = 1;
    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR) /* EAGAIN: it is awake */
        ;
}

static void calm(int fd)
{
    uint64_t n;
    while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
        ;
}

/* ---- the queue of frames ---- */

/* Room for n bytes in one piece; NULL while there is none. */
static char *arena_room(struct tc_link *l, size_t n)
{
    uint64_t at = l->written % l->room;
    uint64_t skip = at + n > l->room ? l->room - at : 0; /* it does not fit before the end: begin anew */
    if (l->written + skip + n - atomic_load_explicit(&l->free, memory_order_acquire) > l->room)
        return NULL;
    l->written += skip;
    return l->arena + l->written % l->room;
}

/* Waits while the queue is full: the socket is not read meanwhile, nothing is dropped. */
static bool put(struct tc_link *l, struct tc_link_item *item)
{
    char *room;
    struct slot *slot;
    while (!(room = arena_room(l, item->n)) || !(slot = tc_ring_claim(l->ring))) {
        tc_metric_add(l->full, 1);
        if (atomic_load(&l->stop))
            return false;
        tc_sleep_until_mono(tc_mono_ns() + FULL_WAIT);
    }
    if (item->n)
        memcpy(room, item->data, item->n);
    l->written += item->n;
    slot->item = *item;
    slot->item.data = room;
    slot->end = l->written;
    tc_ring_publish(l->ring);
    struct tc_ring_stat stat = tc_ring_stat(l->ring);
    tc_metric_set(l->depth, (int64_t)stat.depth);
    tc_metric_set(l->high_water, (int64_t)stat.high_water);
    if (stat.depth <= 1)
        wake(l->wake_reader);
    return true;
}

static void put_closed(struct tc_link *l, const struct tc_socket_refusal *why)
{
    const char *text = tc_error();
    struct tc_link_item item = {
        .kind = TC_LINK_CLOSED, .time = tc_link_now(), .data = text, .n = strlen(text)};
    item.status = why ? why->status : 0;
    item.retry_after_s = why ? why->retry_after_s : -1;
    item.certificate = why && why->certificate;
    put(l, &item);
}

/* ---- the socket's thread ---- */

static struct tc_socket *dial(struct tc_link *l)
{
    struct tc_socket_conf conf = {
        .url = l->ws_url,
        .ca_file = l->ca_file,
        .headers = "",
        .max_message = l->max_message,
        .connect_ns = 10 * TC_NS_PER_SEC,
        .ping_every_ns = 10 * TC_NS_PER_SEC,
        .pong_wait_ns = 5 * TC_NS_PER_SEC,
        .stop = &l->stop,
    };
    struct tc_socket *s = NULL;
    struct tc_socket_refusal why;
    if (tc_socket_open(&conf, &s, &why)) {
        put_closed(l, &why);
        return NULL;
    }
    struct tc_link_item item = {.kind = TC_LINK_OPEN, .time = tc_link_now(), .retry_after_s = -1};
    put(l, &item);
    return s;
}

struct work {
    bool connect, drop;
    struct tc_buf texts; /* taken over from the orders */
};

static void take_orders(struct tc_link *l, struct work *w)
{
    pthread_mutex_lock(&l->lock);
    w->connect = l->connect;
    w->drop = l->drop;
    l->connect = l->drop = false;
    struct tc_buf empty = w->texts;
    tc_buf_clear(&empty);
    w->texts = l->orders;
    l->orders = empty;
    pthread_mutex_unlock(&l->lock);
}

static int send_texts(struct tc_socket *s, const struct tc_buf *texts)
{
    uint32_t n;
    for (size_t at = 0; at + sizeof(n) <= texts->len; at += sizeof(n) + n) {
        memcpy(&n, texts->data + at, sizeof(n));
        int rc = tc_socket_send(s, texts->data + at + sizeof(n), n);
        if (rc)
            return rc;
    }
    return TC_OK;
}

/* One round of an open connection. Not TC_OK: it is over. */
static int attend(struct tc_link *l, struct tc_socket *s, const struct work *w)
{
    struct tc_ws_message m;
    if (w->drop)
        return tc_fail(TC_EPEER, "the connection was dropped");
    int rc = send_texts(s, &w->texts);
    if (rc)
        return rc;
    rc = tc_socket_read(s, READ_WAIT, l->wake_socket, &m);
    while (rc == TC_OK) {
        struct tc_link_item item = {
            .kind = TC_LINK_FRAME, .time = tc_link_now(), .retry_after_s = -1, .data = m.data, .n = m.n};
        tc_metric_add(l->bytes, (int64_t)m.n);
        if (!put(l, &item))
            return tc_fail(TC_EPEER, "stopped");
        rc = tc_socket_read(s, 0, l->wake_socket, &m);
    }
    return rc == TC_AGAIN ? TC_OK : rc;
}

/* Signals are the main thread's. */
static void no_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static void *socket_thread(void *arg)
{
    struct tc_link *l = arg;
    no_signals();
    struct tc_socket *s = NULL;
    struct work w = {0};
    tc_buf_init(&w.texts, ORDERS_MAX);
    while (!atomic_load(&l->stop)) {
        calm(l->wake_socket);
        take_orders(l, &w);
        if (w.connect && !s)
            s = dial(l);
        if (!s) {
            struct pollfd p = {.fd = l->wake_socket, .events = POLLIN};
            poll(&p, 1, 100);
        } else if (attend(l, s, &w)) {
            put_closed(l, NULL);
            tc_socket_close(s);
            s = NULL;
        }
    }
    tc_socket_close(s);
    tc_buf_release(&w.texts);
    return NULL;
}

/* ---- the HTTP thread ---- */

static void fetch(struct tc_link *l, const char *url)
{
    struct tc_rest_answer a;
    int rc = tc_rest_get(l->rest, url, &a);
    const char *text = rc ? tc_error() : a.body.data;
    size_t n = rc ? strlen(text) : a.body.n;
    pthread_mutex_lock(&l->lock);
    tc_buf_clear(&l->body);
    tc_buf_put(&l->body, text, n);
    l->answer = (struct tc_link_item){.kind = TC_LINK_ANSWER, .time = tc_link_now(), .n = l->body.len};
    l->answer.status = rc || l->body.overflow ? 0 : a.status;
    l->answer.retry_after_s = rc ? -1 : a.retry_after_s;
    l->answered = true;
    pthread_mutex_unlock(&l->lock);
    wake(l->wake_reader);
}

static void *rest_thread(void *arg)
{
    struct tc_link *l = arg;
    no_signals();
    pthread_mutex_lock(&l->lock);
    while (!atomic_load(&l->stop)) {
        char *url = l->url;
        l->url = NULL;
        if (!url) {
            pthread_cond_wait(&l->fetch_wanted, &l->lock);
            continue;
        }
        pthread_mutex_unlock(&l->lock);
        fetch(l, url);
        free(url);
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- the other side ---- */

static void give_order(struct tc_link *l, bool *what)
{
    pthread_mutex_lock(&l->lock);
    *what = true;
    pthread_mutex_unlock(&l->lock);
    wake(l->wake_socket);
}

void tc_link_connect(struct tc_link *l)
{
    give_order(l, &l->connect);
}

void tc_link_drop(struct tc_link *l)
{
    give_order(l, &l->drop);
}

int tc_link_send(struct tc_link *l, const char *text, size_t n)
{
    uint32_t size = (uint32_t)n;
    pthread_mutex_lock(&l->lock);
    if (tc_buf_reserve(&l->orders, n + sizeof(size))) {
        tc_buf_put(&l->orders, &size, sizeof(size));
        tc_buf_put(&l->orders, text, n);
    }
    bool full = l->orders.overflow;
    pthread_mutex_unlock(&l->lock);
    wake(l->wake_socket);
    return full ? tc_fail(TC_ELIMIT, "too much to send at once") : TC_OK;
}

bool tc_link_fetch(struct tc_link *l, const char *url)
{
    pthread_mutex_lock(&l->lock);
    bool taken = !l->fetching && (l->url = strdup(url)) != NULL;
    l->fetching = l->fetching || taken;
    pthread_cond_signal(&l->fetch_wanted);
    pthread_mutex_unlock(&l->lock);
    return taken;
}

bool tc_link_next(struct tc_link *l, struct tc_link_item *out)
{
    void *first;
    bool frame = tc_ring_peek(l->ring, &first, 1) == 1;
    const struct slot *slot = first;
    pthread_mutex_lock(&l->lock);
    l->from_rest = l->answered && (!frame || l->answer.time < slot->item.time);
    if (l->from_rest) {
        *out = l->answer;
        out->data = l->body.len ? l->body.data : "";
    }
    pthread_mutex_unlock(&l->lock);
    if (frame && !l->from_rest)
        *out = slot->item;
    return frame || l->from_rest;
}

void tc_link_take(struct tc_link *l)
{
    void *first;
    if (l->from_rest) {
        pthread_mutex_lock(&l->lock);
        l->answered = l->fetching = l->from_rest = false;
        pthread_mutex_unlock(&l->lock);
        return;
    }
    if (tc_ring_peek(l->ring, &first, 1) != 1)
        return;
    uint64_t end = ((const struct slot *)first)->end;
    tc_ring_release(l->ring, 1);
    atomic_store_explicit(&l->free, end, memory_order_release); /* pairs with arena_room */
}

void tc_link_wait(struct tc_link *l, int64_t wait_ns)
{
    struct pollfd p = {.fd = l->wake_reader, .events = POLLIN};
    struct timespec t = {.tv_sec = wait_ns / TC_NS_PER_SEC, .tv_nsec = wait_ns % TC_NS_PER_SEC};
    if (ppoll(&p, 1, &t, NULL) > 0)
        calm(l->wake_reader);
}

/* ---- opening ---- */

static void register_metrics(struct tc_link *l, const char *name)
{
    char labels[64];
    snprintf(labels, sizeof(labels), "queue=\"%s\"", name);
    l->depth = tc_gauge("tickcast_queue_depth", labels, "Items waiting in a queue between threads");
    l->high_water = tc_gauge("tickcast_queue_high_water", labels, "Most items that ever waited in it");
    snprintf(labels, sizeof(labels), "feed=\"%s\"", name);
    l->full = tc_counter("tickcast_feed_queue_full_total", labels,
                         "Waits of a socket's reader for room in its queue; nothing is dropped");
    l->bytes = tc_counter("tickcast_feed_bytes_total", labels, "Bytes of messages received");
}

static int open_threads(struct tc_link *l, const struct tc_link_conf *conf)
{
    struct tc_rest_conf rest = {
        .ca_file = l->ca_file,
        .headers = conf->http_headers,
        .n_headers = conf->n_http_headers,
        .max_body = conf->max_body,
        .connect_ns = 10 * TC_NS_PER_SEC,
        .total_ns = 60 * TC_NS_PER_SEC,
        .stop = &l->stop,
    };
    int rc = tc_ring_open(&l->ring, SLOTS, sizeof(struct slot));
    if (!rc)
        rc = tc_rest_open(&rest, &l->rest);
    if (rc)
        return rc;
    l->wake_socket = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->wake_reader = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_socket < 0 || l->wake_reader < 0)
        return tc_fail(TC_EIO, "eventfd: %s", strerror(errno));
    int e = pthread_create(&l->socket_thread, NULL, socket_thread, l);
    l->socket_runs = e == 0;
    if (!e)
        e = pthread_create(&l->rest_thread, NULL, rest_thread, l);
    l->rest_runs = l->socket_runs && e == 0;
    if (e)
        return tc_fail(TC_EIO, "cannot start a thread: %s", strerror(e));
    pthread_setname_np(l->socket_thread, "socket");
    pthread_setname_np(l->rest_thread, "backfill");
    return TC_OK;
}

int tc_link_open(const struct tc_link_conf *conf, struct tc_link **out)
{
    struct tc_link *l = calloc(1, sizeof(*l));
    if (!l)
        return tc_fail(TC_ENOMEM, "no memory for a live feed");
    l->wake_socket = l->wake_reader = -1;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->fetch_wanted, NULL);
    tc_buf_init(&l->orders, ORDERS_MAX);
    tc_buf_init(&l->body, conf->max_body + 1);
    register_metrics(l, conf->name);
    l->max_message = conf->max_message;
    l->room = conf->room < conf->max_message * PIECE ? conf->max_message * PIECE : conf->room;
    l->arena = malloc(l->room);
    l->ws_url = strdup(conf->ws_url);
    l->ca_file = conf->ca_file ? strdup(conf->ca_file) : NULL;
    int rc = l->arena && l->ws_url && (l->ca_file || !conf->ca_file)
                 ? open_threads(l, conf)
                 : tc_fail(TC_ENOMEM, "no memory for a live feed");
    if (rc) {
        tc_link_close(l);
        return rc;
    }
    *out = l;
    return TC_OK;
}

void tc_link_close(struct tc_link *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    atomic_store(&l->stop, true);
    pthread_cond_broadcast(&l->fetch_wanted);
    pthread_mutex_unlock(&l->lock);
    if (l->socket_runs) {
        wake(l->wake_socket);
        pthread_join(l->socket_thread, NULL);
    }
    if (l->rest_runs)
        pthread_join(l->rest_thread, NULL);
    if (l->wake_socket >= 0)
        close(l->wake_socket);
    if (l->wake_reader >= 0)
        close(l->wake_reader);
    tc_rest_close(l->rest);
    tc_ring_close(l->ring);
    tc_buf_release(&l->orders);
    tc_buf_release(&l->body);
    pthread_cond_destroy(&l->fetch_wanted);
    pthread_mutex_destroy(&l->lock);
    free(l->url);
    free(l->ws_url);
    free(l->ca_file);
    free(l->arena);
    free(l);
}
