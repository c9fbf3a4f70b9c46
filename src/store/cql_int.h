/* cql_int.h - what the halves of the CQL client share; private to this layer. */
#pragma once

#include "base/rng.h"
#include "store/cql_client.h"

enum { CQL_TOKENS_MAX = 64 * 256, CQL_BACKOFF_FIRST_MS = 100, CQL_BACKOFF_MOST_MS = 10000 };

struct cql_node {
    struct sockaddr_storage address;
    socklen_t address_len;
    char name[80], dc[64];
    struct tc_cql_conn *conn; /* NULL = not connected now */
    bool used;                /* of the local data centre (or not known yet) */
    bool was_ready;           /* the connection has been ready */
    int64_t next_try;         /* mono; when conn is NULL */
    int32_t backoff_ms;
    char error[200];
    int error_rc;
};

struct cql_ring {
    int64_t token;
    int32_t node;
};

enum cql_request_state { CQL_FREE, CQL_MAKING, CQL_WAITING, CQL_SENT };

typedef void (*cql_done_fn)(struct tc_cql_client *c, struct tc_cql_write *w, int rc, struct tc_cql_in *in);

struct tc_cql_write {
    struct tc_cql_client *client;
    enum cql_request_state state;
    struct tc_buf rows, frame;
    uint32_t n_rows;
    int32_t statement; /* of the first row */
    size_t values;     /* where its values begin in `rows` */
    bool routed, once;
    int64_t token;
    int32_t node, attempts; /* where it was sent last; -1 = nowhere */
    int64_t not_before, deadline;
    cql_done_fn done; /* NULL = an ordinary write */
    void *ctx;
    struct tc_cql_write *next; /* in the list of free ones or of those waiting */
};

struct tc_cql_client {
    struct tc_cql_conf conf;
    struct tc_cql_statements *statements;
    SSL_CTX *tls;
    struct tc_rng rng;
    struct cql_node nodes[TC_CQL_NODES_MAX];
    int32_t n_nodes;
    struct cql_ring *ring, *new_ring;
    int32_t n_ring, n_new_ring;
    char dc[64];
    struct tc_cql_write *requests, *free, *waiting, **waiting_tail;
    uint32_t outstanding; /* writes that were sent off and are not acknowledged */
    uint32_t refused, late;
    char first_error[400]; /* of the refused and the late ones */
    struct tc_buf room;    /* for compressing */
    /* Discovery: the newest list of nodes, asked from one node. */
    int32_t control; /* node that sends events; -1 = none */
    int32_t asked;   /* questions of the discovery under way */
    bool discovered, old_peers, answered_badly;
    int64_t next_discovery; /* mono */
    bool seen[TC_CQL_NODES_MAX];
    int32_t next_node; /* round robin */
};

/* cql_nodes.c */
int cql_nodes_open(struct tc_cql_client *c); /* the contacts */
void cql_nodes_close(struct tc_cql_client *c);
void cql_nodes_work(struct tc_cql_client *c, int64_t now); /* connects, discovers */
void cql_node_lost(struct tc_cql_client *c, int32_t node, int rc);
int32_t cql_node_pick(struct tc_cql_client *c, const struct tc_cql_write *w); /* -1 = none has room now */
int64_t cql_nodes_next(const struct tc_cql_client *c);
void cql_on_event(void *owner, const struct tc_cql_event *event);

/* cql_client.c */
void cql_on_answer(void *owner, void *request, int rc, uint8_t op, struct tc_cql_in *in);
struct tc_cql_write *cql_take(struct tc_cql_client *c); /* NULL = none is free */
void cql_give(struct tc_cql_client *c, struct tc_cql_write *w);
void cql_enqueue(struct tc_cql_client *c, struct tc_cql_write *w);
