/* bench_sse PORT SECONDS CLIENTS [STUCK] - how long an event takes to a client of the stream.
 *
 * Opens CLIENTS streams on one thread (epoll) and STUCK more that never read. For every bar (live:
 * `available` is the wall clock when the bar was closed) and forecast (`issued`) of each reading client it
 * takes the wall clock at the return of recv() and prints count, p50, p99, p99.9 and maximum of the
 * differences. Server and client share the machine's clock. Events of the first second, when everything warms
 * up, are left out.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/hist.h"
#include "base/num.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS_MAX = 256, ROOM = 1 << 17 };

struct client {
    int fd;
    size_t n;
    char room[ROOM + 1];
};

static struct client clients[CLIENTS_MAX];
static struct tc_hist bars, forecasts;
static long resets;
static int64_t count_from;

static void die(const char *what)
{
    fprintf(stderr, "bench_sse: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t number(const char *text)
{
    int64_t v;
    if (!tc_parse_int(text, strlen(text), &v) || v < 0) {
        fprintf(stderr, "bench_sse: \"%s\" is no number\n", text);
        exit(2);
    }
    return v;
}

static int connect_to(int port, int receive_room)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        die("socket");
    if (receive_room)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_room, sizeof(receive_room));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        die("connect");
    char head[128];
    int n = snprintf(head, sizeof(head), "GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", port);
    if (write(fd, head, (size_t)n) != n)
        die("write");
    return fd;
}

/* The number after `key` in one event's text. */
static int64_t value_of(const char *text, const char *end, const char *key)
{
    const char *at = memmem(text, (size_t)(end - text), key, strlen(key));
    if (!at)
        return -1;
    at += strlen(key);
    int64_t v = -1;
    tc_parse_int(at, strspn(at, "0123456789"), &v);
    return v;
}

static void take_event(const char *text, const char *end, int64_t now)
{
    int64_t made = -1;
    struct tc_hist *to = NULL;
    if (memmem(text, (size_t)(end - text), "event: bar\n", 11)) {
        made = value_of(text, end, "\"available\":");
        to = &bars;
    } else if (memmem(text, (size_t)(end - text), "event: forecast\n", 16)) {
        made = value_of(text, end, "\"issued\":");
        to = &forecasts;
    } else if (memmem(text, (size_t)(end - text), "event: reset\n", 13)) {
        resets++;
    }
    if (to && made >= count_from)
        tc_hist_add(to, now - made);
}

/* Chunk headers stand between events or inside them; neither hides an event's end nor its numbers' keys often
 * enough to matter: an event cut by one is not counted. */
static void take_bytes(struct client *c, int64_t now)
{
    char *at = c->room, *end = c->room + c->n, *stop;
    while ((stop = memmem(at, (size_t)(end - at), "\n\n", 2)) != NULL) {
        take_event(at, stop, now);
        at = stop + 2;
    }
    c->n = (size_t)(end - at);
    memmove(c->room, at, c->n);
    if (c->n == ROOM)
        c->n = 0;
}

static void run(int epoll, int64_t seconds)
{
    int64_t begin = tc_mono_ns();
    count_from = tc_now_ns() + TC_NS_PER_SEC;
    while (tc_mono_ns() - begin < seconds * TC_NS_PER_SEC) {
        struct epoll_event ready[64];
        int n = epoll_wait(epoll, ready, 64, 100);
        for (int i = 0; i < n; i++) {
            struct client *c = ready[i].data.ptr;
            ssize_t got = recv(c->fd, c->room + c->n, ROOM - c->n, 0);
            if (got <= 0)
                die("the server closed a stream");
            c->n += (size_t)got;
            take_bytes(c, tc_now_ns());
        }
    }
}

static void report(const char *name, const struct tc_hist *h)
{
    printf("%s: n %llu, p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, max %.3f ms\n", name,
           (unsigned long long)h->count, (double)tc_hist_quantile(h, 0.5) / 1e6,
           (double)tc_hist_quantile(h, 0.99) / 1e6, (double)tc_hist_quantile(h, 0.999) / 1e6,
           (double)h->max / 1e6);
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: bench_sse PORT SECONDS CLIENTS [STUCK]\n");
        return 2;
    }
    int port = (int)number(argv[1]);
    int64_t n = number(argv[3]), stuck = argc == 5 ? number(argv[4]) : 0;
    int epoll = epoll_create1(0);
    if (n > CLIENTS_MAX || epoll < 0)
        die("too many clients");
    for (int64_t i = 0; i < stuck; i++)
        connect_to(port, 4096);
    for (int64_t i = 0; i < n; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &clients[i]};
        clients[i].fd = connect_to(port, 0);
        epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &e);
    }
    run(epoll, number(argv[2]));
    report("bar closed -> event received", &bars);
    report("forecast issued -> event received", &forecasts);
    printf("resets: %ld\n", resets);
    return 0;
}
