/* cql_conn.h - one connection to a Cassandra node: socket, TLS, log-in, statements, many requests in flight.
 *
 * Nothing here blocks and nothing here retries: the owner polls the descriptor, calls work(), and learns what
 * became of each request through one function. A connection belongs to one thread. It is ready once the
 * log-in is done and every statement of the list is prepared on its node.
 *
 * A request that the server does not answer in time is given back to its owner; its stream stays taken until
 * the answer comes after all. A connection that has been silent too long with requests in flight, or whose
 * streams are mostly taken by such requests, fails as a whole and must be closed.
 */
#pragma once

#include "wire/cql.h"

#include <netinet/in.h>
#include <openssl/ssl.h>

enum { TC_CQL_STATEMENTS_MAX = 96 };

/* Statements that every connection prepares; the texts belong to the caller and outlive the client. What the
 * first server says of them is kept here; ids are the same on all nodes of a cluster. */
struct tc_cql_statement {
    const char *text;
    uint8_t id[TC_CQL_ID_MAX];
    size_t id_len; /* 0 = not prepared anywhere yet */
    int32_t n_binds;
    int32_t n_keys; /* 0: the partition is not known from the values */
    uint16_t keys[TC_CQL_KEYS_MAX];
};

struct tc_cql_statements {
    struct tc_cql_statement list[TC_CQL_STATEMENTS_MAX];
    int32_t n;
};

/* What a request's owner is told: an answer (`in` stands at the start of the message `op`), or NULL `in` with
 * a negative code: TC_EPEER (the connection is lost; what became of the request is unknown), TC_AGAIN is
 * never given. The pointers are valid during the call, in which the connection must not be closed. */
typedef void (*tc_cql_answer_fn)(void *owner, void *request, int rc, uint8_t op, struct tc_cql_in *in);
typedef void (*tc_cql_event_fn)(void *owner, const struct tc_cql_event *event);

struct tc_cql_conn_conf {
    struct sockaddr_storage address;
    socklen_t address_len;
    char name[80]; /* "127.0.0.1:9042", for messages and as the name that a certificate must have */
    const char *user, *password; /* user NULL: the server must not ask */
    bool lz4;
    SSL_CTX *tls; /* NULL = plain */
    int64_t connect_timeout_ns, silence_ns;
    int32_t in_flight; /* requests at most */
    struct tc_cql_statements *statements;
    tc_cql_answer_fn on_answer;
    tc_cql_event_fn on_event;
    void *owner;
};

struct tc_cql_conn; /* opaque */

/* Begins to connect. */
int tc_cql_conn_open(const struct tc_cql_conn_conf *conf, struct tc_cql_conn **out);
/* Gives every request in flight back with TC_EPEER; takes NULL. */
void tc_cql_conn_close(struct tc_cql_conn *c);

int tc_cql_conn_fd(const struct tc_cql_conn *c);
short tc_cql_conn_wants(const struct tc_cql_conn *c); /* for poll() */
/* The instant (mono) at which work() must run even when nothing happens on the descriptor. */
int64_t tc_cql_conn_next(const struct tc_cql_conn *c);

/* Reads, writes, answers. Negative: the connection is of no more use (TC_ECONF: it will not be better next
 * time: user, password, certificate, protocol). */
int tc_cql_conn_work(struct tc_cql_conn *c, int64_t now_mono);

bool tc_cql_conn_ready(const struct tc_cql_conn *c);
bool tc_cql_conn_room(const struct tc_cql_conn *c);    /* ready and one more request may be sent */
int32_t tc_cql_conn_busy(const struct tc_cql_conn *c); /* requests in flight */

/* Sends a whole request frame (made with any stream number) when there is room(). When no answer came by
 * `deadline` (mono), the owner is told TC_EBUSY. */
int tc_cql_conn_send(struct tc_cql_conn *c, const char *frame, size_t n, void *request, int64_t deadline);

/* Asks for events; best on one connection of a client. */
int tc_cql_conn_subscribe(struct tc_cql_conn *c);
/* Prepares one statement again (an UNPREPARED answer). Requests sent later are taken in order by the server
 * only after its answer, so the owner sends them again on the next room(). */
int tc_cql_conn_prepare(struct tc_cql_conn *c, int32_t statement);
