/* http.h - the HTTP server: routing, limits, security headers, and the way of a request.
 *
 * Two threads serve all connections. They answer the page, status and metrics at once; what reads the
 * database is suspended and handed to a query thread; a stream is suspended while it has nothing to send.
 * Limits: connections in all and for each address, streams, 4 KiB of URL, 32 KiB of headers, 15 s for the
 * headers to arrive, 60 s for an answer to be taken, and 30 s without any progress.
 */
#pragma once

#include "serve/serve.h"

struct tc_http;

/* `token` NULL = none needed. */
int tc_http_open(struct tc_serve *s, const char *token, struct tc_http **out);
/* The hub must have been stopped. Takes NULL. */
void tc_http_close(struct tc_http *h);

/* Role's thread, about once a second: closes connections that are over their time. */
void tc_http_tick(struct tc_http *h, int64_t mono);

int32_t tc_http_port(const struct tc_http *h);
/* True for addresses that other machines cannot reach. */
int tc_http_is_loopback(const char *host, bool *out);
