/* live_link.h - the two threads of a live feed that wait for the network: one only reads the WebSocket, one
 * fetches by HTTP. Both are told what to do; neither decides anything. What they got stands in bounded
 * queues, each item with the time it came, so that all that follows from it is a function of the items alone
 * (feed/live.c).
 */
#pragma once

#include "base/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tc_link_kind {
    TC_LINK_OPEN,   /* the WebSocket stands */
    TC_LINK_FRAME,  /* one message: data, n */
    TC_LINK_CLOSED, /* it ended, or could not be opened: data is the sentence, status HTTP's answer (0 = none)
                     */
    TC_LINK_ANSWER, /* of the HTTP thread: status (0 = none came: data is the sentence), body */
};

struct tc_link_item {
    enum tc_link_kind kind;
    int status, retry_after_s; /* -1 = not said */
    bool certificate;          /* CLOSED: the server's certificate was refused */
    int64_t time;              /* when it came: the link's clock */
    const char *data;          /* valid until tc_link_take() */
    size_t n;
};

struct tc_link_conf {
    const char *name;                /* of the feed; for threads and metrics */
    const char *ws_url;              /* with everything in it; copied */
    const char *ca_file;             /* NULL = the system's */
    const char *const *http_headers; /* of the HTTP thread, with the keys; copied */
    size_t n_http_headers;
    size_t max_message; /* bytes */
    size_t room;        /* bytes of messages that may wait */
    size_t max_body;    /* of an HTTP answer */
};

struct tc_link;

int tc_link_open(const struct tc_link_conf *conf, struct tc_link **out);
void tc_link_close(struct tc_link *l); /* takes NULL; waits for the threads */

/* The clock of all that follows: the wall's time at the start of the process, going on with a clock that
 * never jumps (but runs on while the machine sleeps). */
int64_t tc_link_now(void);

/* Orders to the socket's thread: connect (once), send a text, drop the connection. */
void tc_link_connect(struct tc_link *l);
int tc_link_send(struct tc_link *l, const char *text, size_t n);
void tc_link_drop(struct tc_link *l);

/* One request to the HTTP thread; false while another is under way. Its answer comes as TC_LINK_ANSWER. */
bool tc_link_fetch(struct tc_link *l, const char *url);

/* The next item, the oldest of both threads; false when there is none. Frames and answers are given in the
 * order of their time. */
bool tc_link_next(struct tc_link *l, struct tc_link_item *out);
void tc_link_take(struct tc_link *l); /* done with the item of tc_link_next */

/* Wakes at new items; waits at most that long. */
void tc_link_wait(struct tc_link *l, int64_t wait_ns);
