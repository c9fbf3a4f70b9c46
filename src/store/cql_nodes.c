/* The nodes of the cluster: contacts, discovery, connections and their pauses, and which node a request goes
 * to. */
#include "store/cql_int.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#define DISCOVER_EVERY_NS (60 * TC_NS_PER_SEC)
#define AFTER_EVENT_NS TC_NS_PER_SEC /* a node that is announced as up needs a moment */

enum { DEFAULT_PORT = 9042 };

static const char local_query[] =
    "SELECT data_center, tokens, partitioner FROM system.local WHERE key = 'local'";
static const char peers_query[] =
    "SELECT data_center, tokens, native_address, native_port FROM system.peers_v2";
/* Servers before 4.0 */
static const char old_peers_query[] = "SELECT data_center, tokens, rpc_address FROM system.peers";

/* --- the table of nodes
 * ------------------------------------------------------------------------------------- */

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *x = (const void *)a, *y = (const void *)b;
        return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *x = (const void *)a, *y = (const void *)b;
    return x->sin6_port == y->sin6_port && memcmp(&x->sin6_addr, &y->sin6_addr, sizeof(x->sin6_addr)) == 0;
}

static struct cql_node *find_or_add(struct tc_cql_client *c, const struct sockaddr_storage *address,
                                    socklen_t len, const char *name)
{
    for (int32_t i = 0; i < c->n_nodes; i++)
        if (same_address(&c->nodes[i].address, address))
            return &c->nodes[i];
    if (c->n_nodes == TC_CQL_NODES_MAX)
        return NULL; /* the others carry the load */
    struct cql_node *n = &c->nodes[c->n_nodes++];
    memset(n, 0, sizeof(*n));
    memcpy(&n->address, address, sizeof(n->address));
    n->address_len = len;
    snprintf(n->name, sizeof(n->name), "%s", name);
    return n;
}

static int split_contact(const char *text, char *host, size_t size, char port[static 8])
{
    const char *colon = strrchr(text, ':');
    bool bare6 = colon && strchr(text, ':') != colon && text[0] != '[';
    size_t n = colon && !bare6 ? (size_t)(colon - text) : strlen(text);
    snprintf(port, 8, "%d", DEFAULT_PORT);
    if (colon && !bare6) {
        int64_t number;
        if (!tc_parse_int(colon + 1, strlen(colon + 1), &number) || number < 1 || number > 65535)
            return tc_fail(TC_ECONF, "%s: not HOST or HOST:PORT", text);
        snprintf(port, 8, "%d", (int)number);
    }
    if (n > 1 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (n == 0 || n >= size)
        return tc_fail(TC_ECONF, "%s: not HOST or HOST:PORT", text);
    memcpy(host, text, n);
    host[n] = '\0';
    return TC_OK;
}

static int add_contact(struct tc_cql_client *c, const char *text)
{
    char host[256], port[8], name[80];
    int rc = split_contact(text, host, sizeof(host), port);
    if (rc != TC_OK)
        return rc;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int e = getaddrinfo(host, port, &hints, &found);
    if (e)
        return tc_fail(TC_EPEER, "%s: %s", text, gai_strerror(e));
    snprintf(name, sizeof(name), "%.70s:%s", host, port);
    for (struct addrinfo *a = found; a; a = a->ai_next) {
        struct sockaddr_storage address = {0};
        memcpy(&address, a->ai_addr, a->ai_addrlen);
        struct cql_node *n = find_or_add(c, &address, a->ai_addrlen, name);
        if (n)
            n->used = true;
    }
    freeaddrinfo(found);
    return TC_OK;
}

int cql_nodes_open(struct tc_cql_client *c)
{
    c->control = -1;
    c->ring = calloc(CQL_TOKENS_MAX, sizeof(*c->ring));
    c->new_ring = calloc(CQL_TOKENS_MAX, sizeof(*c->new_ring));
    if (!c->ring || !c->new_ring)
        return tc_fail(TC_ENOMEM, "no memory for the ring of nodes");
    int rc = TC_OK;
    for (size_t i = 0; i < c->conf.n_contacts; i++) {
        int one = add_contact(c, c->conf.contacts[i]);
        if (one == TC_ECONF)
            return one;
        rc = one != TC_OK ? one : rc;
    }
    return c->n_nodes > 0 ? TC_OK : rc != TC_OK ? rc : tc_fail(TC_ECONF, "no Cassandra node is named");
}

void cql_nodes_close(struct tc_cql_client *c)
{
    for (int32_t i = 0; i < c->n_nodes; i++) {
        tc_cql_conn_close(c->nodes[i].conn);
        c->nodes[i].conn = NULL;
    }
    free(c->ring);
    free(c->new_ring);
}

/* --- connections
 * -------------------------------------------------------------------------------------------- */

/* Full jitter: anywhere between now and the pause, which doubles from try to try. */
static void pause_node(struct tc_cql_client *c, struct cql_node *n)
{
    n->backoff_ms = n->backoff_ms == 0                        ? CQL_BACKOFF_FIRST_MS
                    : n->backoff_ms * 2 > CQL_BACKOFF_MOST_MS ? CQL_BACKOFF_MOST_MS
                                                              : n->backoff_ms * 2;
    n->next_try = tc_mono_ns() + (int64_t)(tc_rng_uniform(&c->rng) * n->backoff_ms * (double)TC_NS_PER_MS);
}

void cql_node_lost(struct tc_cql_client *c, int32_t node, int rc)
{
    struct cql_node *n = &c->nodes[node];
    struct tc_cql_conn *conn = n->conn;
    snprintf(n->error, sizeof(n->error), "%s", tc_error());
    n->error_rc = rc;
    if (n->was_ready)
        c->next_discovery = 0;
    n->was_ready = false;
    n->conn = NULL;
    if (c->control == node)
        c->control = -1;
    pause_node(c, n);
    tc_cql_conn_close(conn); /* gives its requests back */
}

static void connect_node(struct tc_cql_client *c, struct cql_node *n)
{
    struct tc_cql_conn_conf conf = {
        .address = n->address,
        .address_len = n->address_len,
        .user = c->conf.user,
        .password = c->conf.password,
        .lz4 = c->conf.lz4,
        .tls = c->tls,
        .connect_timeout_ns = c->conf.connect_timeout_ns,
        .silence_ns = c->conf.attempt_timeout_ns * 2,
        .in_flight = c->conf.in_flight,
        .statements = c->statements,
        .on_answer = cql_on_answer,
        .on_event = cql_on_event,
        .owner = c,
    };
    snprintf(conf.name, sizeof(conf.name), "%s", n->name);
    int rc = tc_cql_conn_open(&conf, &n->conn);
    if (rc == TC_OK)
        return;
    snprintf(n->error, sizeof(n->error), "%s", tc_error());
    n->error_rc = rc;
    pause_node(c, n);
}

static void note_ready(struct tc_cql_client *c, int32_t i)
{
    struct cql_node *n = &c->nodes[i];
    if (!n->conn || n->was_ready || !tc_cql_conn_ready(n->conn))
        return;
    n->was_ready = true;
    n->backoff_ms = 0;
    n->error[0] = '\0';
}

/* --- discovery
 * ---------------------------------------------------------------------------------------------- */

struct found_node {
    char dc[64];
    struct tc_cql_bytes tokens;
    struct sockaddr_storage address; /* family 0: the node that was asked */
    socklen_t len;
};

static bool address_of(struct tc_cql_bytes inet, int port, struct found_node *out)
{
    memset(&out->address, 0, sizeof(out->address));
    if (inet.n == 4) {
        struct sockaddr_in *a = (void *)&out->address;
        a->sin_family = AF_INET;
        a->sin_port = htons((uint16_t)port);
        memcpy(&a->sin_addr, inet.p, 4);
        out->len = sizeof(*a);
        return a->sin_addr.s_addr != 0;
    }
    if (inet.n != 16)
        return false;
    struct sockaddr_in6 *a = (void *)&out->address;
    a->sin6_family = AF_INET6;
    a->sin6_port = htons((uint16_t)port);
    memcpy(&a->sin6_addr, inet.p, 16);
    out->len = sizeof(*a);
    return true;
}

static int port_of(const struct cql_node *n)
{
    const struct sockaddr_in *a4 = (const void *)&n->address;
    const struct sockaddr_in6 *a6 = (const void *)&n->address;
    return ntohs(n->address.ss_family == AF_INET ? a4->sin_port : a6->sin6_port);
}

/* A set<text> of decimal numbers. */
static void add_tokens(struct tc_cql_client *c, int32_t node, struct tc_cql_bytes set)
{
    struct tc_cql_in in = {set.p, set.p ? set.p + set.n : set.p, set.p == NULL};
    for (int32_t n = tc_cql_i32(&in); n > 0 && !in.bad && c->n_new_ring < CQL_TOKENS_MAX; n--) {
        struct tc_cql_bytes t = tc_cql_bytes(&in);
        int64_t token;
        if (!in.bad && t.p && tc_parse_int((const char *)t.p, t.n, &token))
            c->new_ring[c->n_new_ring++] = (struct cql_ring){token, node};
    }
}

static void take_node(struct tc_cql_client *c, const struct found_node *f)
{
    struct cql_node *n = NULL;
    if (f->address.ss_family == 0) {
        n = c->control >= 0 ? &c->nodes[c->control] : NULL;
    } else {
        char host[46], name[80];
        const struct sockaddr_in *a4 = (const void *)&f->address;
        const struct sockaddr_in6 *a6 = (const void *)&f->address;
        bool v4 = f->address.ss_family == AF_INET;
        inet_ntop(f->address.ss_family, v4 ? (const void *)&a4->sin_addr : (const void *)&a6->sin6_addr, host,
                  sizeof(host));
        snprintf(name, sizeof(name), "%s:%d", host, ntohs(v4 ? a4->sin_port : a6->sin6_port));
        n = find_or_add(c, &f->address, f->len, name);
    }
    if (!n)
        return;
    int32_t i = (int32_t)(n - c->nodes);
    c->seen[i] = true;
    snprintf(n->dc, sizeof(n->dc), "%s", f->dc);
    if (c->dc[0] == '\0') /* nobody said which data centre: that of the node which answered first */
        snprintf(c->dc, sizeof(c->dc), "%s", f->dc);
    if (strcmp(f->dc, c->dc) == 0)
        add_tokens(c, i, f->tokens);
}

static int by_token(const void *a, const void *b)
{
    const struct cql_ring *x = a, *y = b;
    return x->token < y->token ? -1 : x->token > y->token;
}

/* Both answers are there: the new ring replaces the old, and nodes that are gone are let go. */
static void apply_discovery(struct tc_cql_client *c)
{
    /* No node of the named data centre: wait_discovered says so; later the old list is better than none. */
    if (c->answered_badly || (c->n_new_ring == 0 && c->discovered))
        return;
    qsort(c->new_ring, (size_t)c->n_new_ring, sizeof(*c->new_ring), by_token);
    struct cql_ring *old = c->ring;
    c->ring = c->new_ring;
    c->new_ring = old;
    c->n_ring = c->n_new_ring;
    for (int32_t i = 0; i < c->n_nodes; i++)
        c->nodes[i].used = c->seen[i] && strcmp(c->nodes[i].dc, c->dc) == 0;
    c->discovered = true;
}

static void on_nodes(struct tc_cql_client *c, struct tc_cql_write *w, int rc, struct tc_cql_in *in)
{
    struct tc_cql_result r;
    bool local = w->ctx == local_query;
    if (rc == TC_ECONF && w->ctx == peers_query) {
        c->old_peers = true; /* no such table there */
        c->next_discovery = 0;
    }
    if (rc != TC_OK || tc_cql_read_result(in, &r) != TC_OK || r.kind != TC_CQL_ROWS || r.n_columns < 3) {
        c->answered_badly = true;
        r.n_rows = 0;
    }
    for (int32_t row = 0; row < r.n_rows; row++) {
        struct found_node f = {0};
        struct tc_cql_bytes dc = tc_cql_bytes(in), third;
        tc_cql_text_copy((struct tc_cql_text){dc.p ? (const char *)dc.p : "", dc.n}, f.dc, sizeof(f.dc));
        f.tokens = tc_cql_bytes(in);
        third = tc_cql_bytes(in);
        int port = c->control >= 0 ? port_of(&c->nodes[c->control]) : DEFAULT_PORT;
        if (r.n_columns > 3)
            port = tc_cql_as_int(tc_cql_bytes(in), port);
        if (!in->bad && (local || address_of(third, port, &f)))
            take_node(c, &f);
    }
    if (--c->asked == 0)
        apply_discovery(c);
}

static void ask(struct tc_cql_client *c, const char *query)
{
    struct tc_cql_write *w = cql_take(c);
    if (!w) {
        c->answered_badly = true;
        return;
    }
    const struct tc_cql_params p = {.consistency = TC_CQL_ONE};
    size_t at = tc_cql_open_request(&w->frame, 0, query, (struct tc_cql_bytes){0}, &p);
    tc_cql_close_request(&w->frame, &p);
    tc_cql_end(&w->frame, at);
    w->done = on_nodes;
    w->ctx = (void *)(uintptr_t)query;
    w->once = true;
    w->node = c->control;
    c->asked++;
    w->deadline = tc_mono_ns() + c->conf.attempt_timeout_ns;
    if (tc_cql_conn_send(c->nodes[c->control].conn, w->frame.data, w->frame.len, w, w->deadline) == TC_OK) {
        w->state = CQL_SENT;
        return;
    }
    c->asked--;
    c->answered_badly = true;
    cql_give(c, w);
}

static void choose_control(struct tc_cql_client *c)
{
    for (int32_t i = 0; i < c->n_nodes && c->control < 0; i++) {
        struct cql_node *n = &c->nodes[i];
        if (!n->used || !n->conn || !tc_cql_conn_ready(n->conn))
            continue;
        if (tc_cql_conn_subscribe(n->conn) == TC_OK)
            c->control = i;
        c->next_discovery = 0;
    }
}

static void discover(struct tc_cql_client *c, int64_t now)
{
    choose_control(c);
    if (c->control < 0 || c->asked > 0 || now < c->next_discovery ||
        !tc_cql_conn_room(c->nodes[c->control].conn))
        return;
    c->next_discovery = now + (c->discovered ? DISCOVER_EVERY_NS : TC_NS_PER_SEC);
    memset(c->seen, 0, sizeof(c->seen));
    c->n_new_ring = 0;
    c->answered_badly = false;
    ask(c, local_query);
    ask(c, c->old_peers ? old_peers_query : peers_query);
}

void cql_on_event(void *owner, const struct tc_cql_event *event)
{
    struct tc_cql_client *c = owner;
    if (event->kind == TC_CQL_SCHEMA)
        return;
    c->next_discovery = tc_mono_ns() + AFTER_EVENT_NS;
    char host[48];
    if (!tc_cql_text_is(event->change, "UP"))
        return;
    for (int32_t i = 0; i < c->n_nodes; i++) { /* no need to sit out the pause */
        struct cql_node *n = &c->nodes[i];
        snprintf(host, sizeof(host), "%.45s:", event->host);
        if (!n->conn && strncmp(n->name, host, strlen(host)) == 0)
            n->next_try = c->next_discovery;
    }
}

void cql_nodes_work(struct tc_cql_client *c, int64_t now)
{
    for (int32_t i = 0; i < c->n_nodes; i++) {
        struct cql_node *n = &c->nodes[i];
        if (!n->used && n->conn && tc_cql_conn_busy(n->conn) == 0) {
            tc_cql_conn_close(n->conn);
            n->conn = NULL;
            n->was_ready = false;
            c->control = c->control == i ? -1 : c->control;
        }
        if (n->used && !n->conn && now >= n->next_try)
            connect_node(c, n);
        note_ready(c, i);
    }
    discover(c, now);
}

int64_t cql_nodes_next(const struct tc_cql_client *c)
{
    int64_t next = c->control >= 0 && c->asked == 0 ? c->next_discovery : INT64_MAX;
    for (int32_t i = 0; i < c->n_nodes; i++) {
        const struct cql_node *n = &c->nodes[i];
        int64_t t = n->conn ? tc_cql_conn_next(n->conn) : n->used ? n->next_try : INT64_MAX;
        next = t < next ? t : next;
    }
    return next;
}

/* --- routing
 * ------------------------------------------------------------------------------------------------ */

static bool can_take(const struct tc_cql_client *c, int32_t i)
{
    const struct cql_node *n = &c->nodes[i];
    return n->used && n->conn && tc_cql_conn_room(n->conn);
}

/* The owner of a token is the node with the smallest token at or above it; its replicas follow on the ring.
 */
static int32_t first_at(const struct tc_cql_client *c, int64_t token)
{
    int32_t low = 0, high = c->n_ring;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (c->ring[middle].token < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low == c->n_ring ? 0 : low;
}

int32_t cql_node_pick(struct tc_cql_client *c, const struct tc_cql_write *w)
{
    int32_t second = -1; /* the node that failed last, if no other can take it */
    if (w->routed && c->n_ring > 0) {
        int32_t at = first_at(c, w->token);
        for (int32_t k = 0; k < c->n_ring; k++) {
            int32_t i = c->ring[(at + k) % c->n_ring].node;
            if (!can_take(c, i))
                continue;
            if (i != w->node)
                return i;
            second = i;
        }
        return second;
    }
    for (int32_t k = 0; k < c->n_nodes; k++) {
        int32_t i = (c->next_node + k) % c->n_nodes;
        if (!can_take(c, i))
            continue;
        if (i == w->node) {
            second = i;
            continue;
        }
        c->next_node = (i + 1) % c->n_nodes;
        return i;
    }
    return second;
}
