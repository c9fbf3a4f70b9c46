/* cql_client.h - requests to a Cassandra cluster: which node, how long, what when it fails.
 *
 * One connection to each node of the local data centre, found through system.local and system.peers, kept up
 * to date by the servers' events. A request goes to the first replica of its partition (Murmur3 token), or to
 * the next node on the ring when that one is down or full. A failed request is repeated on the next node,
 * after a pause that grows, until its time is up: every statement that goes through here must be idempotent
 * (upserts with their own timestamp, reads). Lost nodes are connected again with growing, jittered pauses.
 *
 * A client belongs to one thread and works only inside its calls. Bounds: `in_flight` requests a node,
 * TC_CQL_REQUESTS requests in all.
 */
#pragma once

#include "store/cql_conn.h"

enum { TC_CQL_REQUESTS = 1024, TC_CQL_NODES_MAX = 64 };

struct tc_cql_conf {
    const char *const *contacts; /* "HOST" or "HOST:PORT"; at least one must answer at open */
    size_t n_contacts;
    const char *user, *password; /* NULL = without */
    const char *local_dc;        /* NULL = that of the first node that answers */
    bool lz4, tls;
    const char *tls_ca;             /* PEM file; NULL = the system's authorities */
    const char *tls_cert, *tls_key; /* of this client; NULL = none */
    enum tc_cql_consistency read, write;
    int64_t connect_timeout_ns; /* one try */
    int64_t attempt_timeout_ns; /* one try of a request */
    int64_t request_timeout_ns; /* all tries of a request */
    int32_t in_flight;          /* a node */
};

struct tc_cql_client; /* opaque */

/* Connects, logs in, finds the nodes, prepares. `statements` outlives the client. TC_ECONF: wrong user,
 * password, certificate, statement, data centre. TC_EPEER: no contact answered (the message says why). */
int tc_cql_client_open(const struct tc_cql_conf *conf, struct tc_cql_statements *statements,
                       struct tc_cql_client **out);
void tc_cql_client_close(struct tc_cql_client *c); /* takes NULL; what is under way is given up */

/* --- writing: start as many as there are, then finish
 * ------------------------------------------------------- */

struct tc_cql_write; /* one request being made; opaque */

/* A free request for rows of one partition, or NULL with tc_error() when none became free in time. Works on
 * the others meanwhile. */
struct tc_cql_write *tc_cql_write_begin(struct tc_cql_client *c);
/* Adds a row: the caller appends the statement's values to what this returns. */
struct tc_buf *tc_cql_write_row(struct tc_cql_write *w, int32_t statement);
size_t tc_cql_write_bytes(const struct tc_cql_write *w); /* so far */
/* Sends it. The first row's partition says where to. TC_ELIMIT: a value was too large. */
int tc_cql_write_send(struct tc_cql_client *c, struct tc_cql_write *w);
void tc_cql_write_drop(struct tc_cql_client *c, struct tc_cql_write *w);

/* Waits until every write is acknowledged. TC_EBUSY: some were not in their time (overload, nodes down):
 * write the same rows again later. Another error: a row cannot be written as it is (its sentence is the first
 * one's); *refused counts such requests. */
int tc_cql_finish(struct tc_cql_client *c, uint32_t *refused);

/* --- reading
 * ------------------------------------------------------------------------------------------------ */

/* `values` are n encoded values. Calls row() with the values of each row, over all pages, until it answers
 * other than 0, which is returned. TC_EBUSY: not in time. */
typedef int (*tc_cql_row_fn)(void *ctx, const struct tc_cql_bytes *values, int32_t n);
int tc_cql_read(struct tc_cql_client *c, int32_t statement, const struct tc_buf *values, int32_t page_rows,
                tc_cql_row_fn row, void *ctx);

/* A statement by its text, without values (schema).
 */
int tc_cql_execute(struct tc_cql_client *c, const char *statement, tc_cql_row_fn row, void *ctx);
