/* socket.h - a WebSocket client connection. libcurl finds the host, connects (through a proxy where the
 * environment names one) and does TLS with the certificate checked; wire/ws.h does the rest.
 *
 * One thread uses a connection. Pings of the peer are answered with their own payload; a peer that has been
 * silent for ping_every is pinged, and given up when pong_wait goes by without a byte.
 */
#pragma once

#include "wire/ws.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tc_socket;

struct tc_socket_conf {
    const char *url;     /* ws:// or wss://, host, port and path */
    const char *ca_file; /* certificates to trust in place of the system's; NULL */
    const char *headers; /* further whole lines of the request, each with its \r\n; "" */
    size_t max_message;
    int64_t connect_ns; /* for everything up to the server's answer */
    int64_t ping_every_ns, pong_wait_ns;
    const atomic_bool *stop; /* ends a connect that is under way */
};

/* Why a connection could not be made. */
struct tc_socket_refusal {
    int status;        /* of HTTP; 0 = it did not come that far */
    int retry_after_s; /* -1 = not said */
    bool certificate;  /* the server's certificate was refused */
};

int tc_socket_open(const struct tc_socket_conf *conf, struct tc_socket **out, struct tc_socket_refusal *why);
void tc_socket_close(struct tc_socket *s); /* says goodbye when the connection still stands; takes NULL */

/* One text message. Waits at most five seconds for a peer that does not take it. */
int tc_socket_send(struct tc_socket *s, const char *text, size_t n);

/* TC_OK: a text or binary message, valid until the next call. TC_AGAIN: none within the time, or wake_fd (an
 * eventfd; -1 = none) became readable. TC_EPEER: the connection has ended; TC_EINPUT, TC_ELIMIT: the peer
 * broke the rules. */
int tc_socket_read(struct tc_socket *s, int64_t wait_ns, int wake_fd, struct tc_ws_message *out);

/* Code of the peer's CLOSE message; 0 = none came. */
int tc_socket_close_code(const struct tc_socket *s);
uint64_t tc_socket_bytes(const struct tc_socket *s); /* that came in */
