/* server.h - the serve role: page, API, event stream and metrics over HTTP (docs/api.md).
 *
 * open() listens, so that the page answers before the history is read; work() then follows both topics of the
 * bus from the begin of the newest day. The connection threads run until close().
 *
 * Metrics: docs/metrics.md, tickcast_http_*, tickcast_sse_*, tickcast_stream_*.
 */
#pragma once

#include "role/role.h"
#include "serve/serve.h"

/* TC_EBUSY: the port is taken. TC_ECONF: address, token file. What conf points to must outlive the role. */
int tc_server_open(const struct tc_server_conf *conf, struct tc_role *out);

/* The address to open, with the token where one is needed; the role's. */
const char *tc_server_url(const struct tc_role *role);
int32_t tc_server_port(const struct tc_role *role);
