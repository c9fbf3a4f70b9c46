#include "store/cql_int.h"
#include "base/clock.h"
#include "base/err.h"

#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define OPEN_TIMEOUT_FACTOR 3
#define REPREPARE_NS (20 * TC_NS_PER_MS)
#define STEP_MOST_NS (100 * TC_NS_PER_MS)

enum {
    REQUEST_MAX = 8 << 20,
    COMPRESS_FROM = 2048,
    RETRY_FIRST_MS = 20,
    RETRY_MOST_MS = 1000,
    HOPELESS_MS = 1600
};

/* --- the pool of requests
 * ----------------------------------------------------------------------------------- */

struct tc_cql_write *cql_take(struct tc_cql_client *c)
{
    struct tc_cql_write *w = c->free;
    if (!w)
        return NULL;
    c->free = w->next;
    tc_buf_clear(&w->rows);
    tc_buf_clear(&w->frame);
    w->state = CQL_MAKING;
    w->n_rows = 0;
    w->values = 0;
    w->routed = w->once = false;
    w->node = -1;
    w->attempts = 0;
    w->not_before = 0;
    w->deadline = 0;
    w->done = NULL;
    w->ctx = NULL;
    w->next = NULL;
    return w;
}

void cql_give(struct tc_cql_client *c, struct tc_cql_write *w)
{
    w->state = CQL_FREE;
    w->next = c->free;
    c->free = w;
}

void cql_enqueue(struct tc_cql_client *c, struct tc_cql_write *w)
{
    w->state = CQL_WAITING;
    w->next = NULL;
    *c->waiting_tail = w;
    c->waiting_tail = &w->next;
}

static int make_pool(struct tc_cql_client *c)
{
    c->requests = calloc(TC_CQL_REQUESTS, sizeof(*c->requests));
    if (!c->requests)
        return tc_fail(TC_ENOMEM, "no memory for requests");
    for (int i = TC_CQL_REQUESTS - 1; i >= 0; i--) {
        struct tc_cql_write *w = &c->requests[i];
        w->client = c;
        tc_buf_init(&w->rows, REQUEST_MAX);
        tc_buf_init(&w->frame, REQUEST_MAX);
        cql_give(c, w);
    }
    return TC_OK;
}

/* --- what becomes of a request
 * ------------------------------------------------------------------------------ */

static void note_error(struct tc_cql_client *c, const char *text)
{
    if (c->first_error[0] == '\0')
        snprintf(c->first_error, sizeof(c->first_error), "%s", text);
}

/* The end of a request: acknowledged (TC_OK), not in its time (TC_EBUSY), impossible (TC_ECONF). */
static void finish(struct tc_cql_client *c, struct tc_cql_write *w, int rc, struct tc_cql_in *in)
{
    if (w->done) {
        w->done(c, w, rc, in);
    } else {
        c->outstanding--;
        c->late += rc == TC_EBUSY;
        c->refused += rc != TC_OK && rc != TC_EBUSY;
        if (rc != TC_OK)
            note_error(c, tc_error());
    }
    cql_give(c, w);
}

static void try_again(struct tc_cql_client *c, struct tc_cql_write *w, int64_t pause_ns)
{
    int64_t now = tc_mono_ns();
    if (w->once || now + pause_ns >= w->deadline) {
        finish(c, w, TC_EBUSY, NULL);
        return;
    }
    w->attempts++;
    w->not_before = now + pause_ns;
    cql_enqueue(c, w);
}

static int64_t retry_pause(struct tc_cql_client *c, const struct tc_cql_write *w)
{
    int doubled = w->attempts < 6 ? w->attempts : 6;
    int64_t most = (int64_t)RETRY_FIRST_MS << doubled;
    most = most < RETRY_MOST_MS ? most : RETRY_MOST_MS;
    return (int64_t)(tc_rng_uniform(&c->rng) * (double)(most * TC_NS_PER_MS));
}

/* A user without a quorum of the roles' own replicas is "unauthorized" for a while, so that is tried again.
 */
static bool may_pass(int32_t code)
{
    switch (code) {
    case TC_CQL_E_SERVER:
    case TC_CQL_E_UNAVAILABLE:
    case TC_CQL_E_OVERLOADED:
    case TC_CQL_E_BOOTSTRAPPING:
    case TC_CQL_E_TRUNCATE:
    case TC_CQL_E_WRITE_TIMEOUT:
    case TC_CQL_E_READ_TIMEOUT:
    case TC_CQL_E_READ_FAILURE:
    case TC_CQL_E_WRITE_FAILURE:
    case TC_CQL_E_UNAUTHORIZED:
        return true;
    default:
        return false;
    }
}

static void prepare_again(struct tc_cql_client *c, struct tc_cql_write *w, struct tc_cql_bytes id)
{
    struct tc_cql_conn *conn = c->nodes[w->node].conn;
    for (int32_t i = 0; i < c->statements->n; i++) {
        const struct tc_cql_statement *s = &c->statements->list[i];
        if (conn && s->id_len == id.n && memcmp(s->id, id.p, id.n) == 0)
            (void)tc_cql_conn_prepare(conn, i);
    }
    w->node = -1; /* the same node will do */
    try_again(c, w, REPREPARE_NS);
}

static void on_error(struct tc_cql_client *c, struct tc_cql_write *w, struct tc_cql_in *in)
{
    struct tc_cql_error e;
    char text[480];
    if (tc_cql_read_error(in, &e) != TC_OK) {
        finish(c, w, TC_EINPUT, NULL);
        return;
    }
    if (e.code == TC_CQL_E_UNPREPARED && e.id.p) {
        prepare_again(c, w, e.id);
        return;
    }
    tc_cql_error_text(&e, text, sizeof(text));
    tc_fail(may_pass(e.code) ? TC_EBUSY : TC_ECONF, "%s: %s", c->nodes[w->node].name, text);
    if (may_pass(e.code))
        try_again(c, w, retry_pause(c, w));
    else
        finish(c, w, TC_ECONF, NULL);
}

void cql_on_answer(void *owner, void *request, int rc, uint8_t op, struct tc_cql_in *in)
{
    struct tc_cql_client *c = owner;
    struct tc_cql_write *w = request;
    if (rc != TC_OK) { /* the connection is lost, or the answer is late */
        if (rc == TC_EBUSY)
            tc_fail(TC_EBUSY, "%s: no answer within %lld ms", c->nodes[w->node].name,
                    (long long)(c->conf.attempt_timeout_ns / TC_NS_PER_MS));
        try_again(c, w, retry_pause(c, w));
    } else if (op == TC_CQL_ERROR) {
        on_error(c, w, in);
    } else {
        finish(c, w, TC_OK, in);
    }
}

/* --- working
 * ------------------------------------------------------------------------------------------------ */

static bool send_now(struct tc_cql_client *c, struct tc_cql_write *w, int64_t now)
{
    int32_t node = cql_node_pick(c, w);
    int64_t by = now + c->conf.attempt_timeout_ns;
    if (node < 0 || tc_cql_conn_send(c->nodes[node].conn, w->frame.data, w->frame.len, w,
                                     by < w->deadline ? by : w->deadline) != TC_OK)
        return false;
    w->state = CQL_SENT;
    w->node = node;
    return true;
}

static void dispatch(struct tc_cql_client *c, int64_t now)
{
    struct tc_cql_write *list = c->waiting;
    c->waiting = NULL;
    c->waiting_tail = &c->waiting;
    while (list) {
        struct tc_cql_write *w = list;
        list = w->next;
        w->next = NULL;
        if (now >= w->deadline) {
            tc_fail(TC_EBUSY, "no Cassandra node took the request in time (%s)",
                    c->nodes[0].error[0] ? c->nodes[0].error : "all are busy");
            finish(c, w, TC_EBUSY, NULL);
        } else if (now < w->not_before || !send_now(c, w, now)) {
            cql_enqueue(c, w);
        }
    }
}

static void work_nodes(struct tc_cql_client *c)
{
    for (int32_t i = 0; i < c->n_nodes; i++) {
        if (!c->nodes[i].conn)
            continue;
        int rc = tc_cql_conn_work(c->nodes[i].conn, tc_mono_ns());
        if (rc < 0)
            cql_node_lost(c, i, rc);
    }
}

static int64_t next_waiting(const struct tc_cql_client *c, int64_t now)
{
    int64_t next = INT64_MAX;
    for (const struct tc_cql_write *w = c->waiting; w; w = w->next)
        next = w->not_before > now && w->not_before < next ? w->not_before : next;
    return next;
}

/* One turn: sends, waits until something happens or `until`, takes what came. */
static void step(struct tc_cql_client *c, int64_t until)
{
    struct pollfd fds[TC_CQL_NODES_MAX];
    nfds_t n = 0;
    int64_t now = tc_mono_ns();
    cql_nodes_work(c, now);
    dispatch(c, now);
    for (int32_t i = 0; i < c->n_nodes; i++) {
        struct tc_cql_conn *conn = c->nodes[i].conn;
        if (conn)
            fds[n++] = (struct pollfd){.fd = tc_cql_conn_fd(conn), .events = tc_cql_conn_wants(conn)};
    }
    int64_t next = cql_nodes_next(c), waiting = next_waiting(c, now);
    next = waiting < next ? waiting : next;
    next = next < until ? next : until;
    next = next < now + STEP_MOST_NS ? next : now + STEP_MOST_NS;
    int ms = next <= now ? 0 : (int)((next - now + TC_NS_PER_MS - 1) / TC_NS_PER_MS);
    poll(fds, n, ms);
    work_nodes(c);
    dispatch(c, tc_mono_ns());
}

/* --- open
 * --------------------------------------------------------------------------------------------------- */

static int tls_fail(const char *what, const char *file)
{
    char text[160];
    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    return tc_fail(TC_ECONF, "%s%s%s: %s", what, file ? " " : "", file ? file : "", text);
}

static int make_tls(struct tc_cql_client *c)
{
    if (!c->conf.tls)
        return TC_OK;
    c->tls = SSL_CTX_new(TLS_client_method());
    if (!c->tls || !SSL_CTX_set_min_proto_version(c->tls, TLS1_2_VERSION))
        return tls_fail("TLS", NULL);
    SSL_CTX_set_verify(c->tls, SSL_VERIFY_PEER, NULL);
    int ok = c->conf.tls_ca ? SSL_CTX_load_verify_file(c->tls, c->conf.tls_ca)
                            : SSL_CTX_set_default_verify_paths(c->tls);
    if (!ok)
        return tls_fail("cannot load the certificate authority", c->conf.tls_ca);
    if (c->conf.tls_cert && SSL_CTX_use_certificate_chain_file(c->tls, c->conf.tls_cert) != 1)
        return tls_fail("cannot load the certificate", c->conf.tls_cert);
    if (c->conf.tls_key && SSL_CTX_use_PrivateKey_file(c->tls, c->conf.tls_key, SSL_FILETYPE_PEM) != 1)
        return tls_fail("cannot load the key", c->conf.tls_key);
    return TC_OK;
}

/* Each of the contacts has refused several times. */
static bool hopeless(const struct tc_cql_client *c)
{
    for (int32_t i = 0; i < c->n_nodes; i++)
        if (!c->nodes[i].error[0] || c->nodes[i].backoff_ms < HOPELESS_MS)
            return false;
    return true;
}

/* Waits until the nodes are known, or a contact has said why not. */
static int wait_discovered(struct tc_cql_client *c)
{
    int64_t until = tc_mono_ns() + OPEN_TIMEOUT_FACTOR * c->conf.connect_timeout_ns;
    while (!c->discovered && !hopeless(c) && tc_mono_ns() < until) {
        step(c, until);
        for (int32_t i = 0; i < c->n_nodes; i++)
            if (c->nodes[i].error_rc == TC_ECONF)
                return tc_fail(TC_ECONF, "%s", c->nodes[i].error);
    }
    if (!c->discovered) {
        for (int32_t i = 0; i < c->n_nodes; i++)
            if (c->nodes[i].error[0])
                return tc_fail(TC_EPEER, "no Cassandra node answers: %s", c->nodes[i].error);
        return tc_fail(TC_EPEER, "no Cassandra node answers");
    }
    for (int32_t i = 0; i < c->n_nodes; i++)
        if (c->nodes[i].used)
            return TC_OK;
    return tc_fail(TC_ECONF, "there is no data centre %s; the contact is in %s", c->dc,
                   c->n_nodes > 0 ? c->nodes[0].dc : "none");
}

int tc_cql_client_open(const struct tc_cql_conf *conf, struct tc_cql_statements *statements,
                       struct tc_cql_client **out)
{
    *out = NULL;
    struct tc_cql_client *c = calloc(1, sizeof(*c));
    if (!c)
        return tc_fail(TC_ENOMEM, "no memory for a Cassandra client");
    c->conf = *conf;
    c->statements = statements;
    c->waiting_tail = &c->waiting;
    tc_buf_init(&c->room, REQUEST_MAX);
    tc_rng_seed(&c->rng, (uint64_t)tc_now_ns());
    snprintf(c->dc, sizeof(c->dc), "%s", conf->local_dc ? conf->local_dc : "");
    int rc = make_pool(c);
    if (rc == TC_OK)
        rc = make_tls(c);
    if (rc == TC_OK)
        rc = cql_nodes_open(c);
    if (rc == TC_OK)
        rc = wait_discovered(c);
    if (rc != TC_OK) {
        tc_cql_client_close(c);
        return rc;
    }
    *out = c;
    return TC_OK;
}

static void drop_answer(struct tc_cql_client *c, struct tc_cql_write *w, int rc, struct tc_cql_in *in)
{
    (void)c, (void)w, (void)rc, (void)in;
}

void tc_cql_client_close(struct tc_cql_client *c)
{
    if (!c)
        return;
    for (int i = 0; c->requests && i < TC_CQL_REQUESTS; i++) { /* nobody hears of them any more */
        c->requests[i].once = true;
        c->requests[i].done = drop_answer;
    }
    cql_nodes_close(c);
    for (int i = 0; c->requests && i < TC_CQL_REQUESTS; i++) {
        tc_buf_release(&c->requests[i].rows);
        tc_buf_release(&c->requests[i].frame);
    }
    if (c->tls)
        SSL_CTX_free(c->tls);
    tc_buf_release(&c->room);
    free(c->requests);
    free(c);
}

/* --- writing
 * ------------------------------------------------------------------------------------------------ */

struct tc_cql_write *tc_cql_write_begin(struct tc_cql_client *c)
{
    int64_t until = tc_mono_ns() + c->conf.request_timeout_ns;
    for (;;) {
        struct tc_cql_write *w = cql_take(c);
        if (w)
            return w;
        if (tc_mono_ns() >= until) {
            tc_fail(TC_EBUSY, "Cassandra takes no more requests: %s",
                    c->first_error[0] ? c->first_error : "all are under way");
            return NULL;
        }
        step(c, until);
    }
}

struct tc_buf *tc_cql_write_row(struct tc_cql_write *w, int32_t statement)
{
    const struct tc_cql_statement *s = &w->client->statements->list[statement];
    tc_cql_batch_statement(&w->rows, (struct tc_cql_bytes){s->id, s->id_len}, (uint16_t)s->n_binds);
    if (w->n_rows++ == 0) {
        w->statement = statement;
        w->values = w->rows.len;
    }
    return &w->rows;
}

size_t tc_cql_write_bytes(const struct tc_cql_write *w)
{
    return w->rows.len;
}

/* The token of the partition that the statement's values name. */
static bool find_token(const struct tc_cql_statement *s, const uint8_t *values, size_t n, int64_t *token)
{
    struct tc_cql_bytes column[TC_CQL_COLUMNS_MAX];
    struct tc_cql_in in = {values, values + n, false};
    for (int32_t i = 0; i < s->n_binds; i++)
        column[i] = tc_cql_bytes(&in);
    if (in.bad || s->n_keys == 0)
        return false;
    if (s->n_keys == 1) {
        *token = tc_cql_token(column[s->keys[0]].p, column[s->keys[0]].n);
        return column[s->keys[0]].p != NULL;
    }
    char room[1024];
    struct tc_buf key;
    tc_buf_init_fixed(&key, room, sizeof(room));
    for (int32_t i = 0; i < s->n_keys; i++)
        tc_cql_key_part(&key, column[s->keys[i]]);
    *token = tc_cql_token(key.data, key.len);
    return !key.overflow;
}

static void make_write_frame(struct tc_cql_client *c, struct tc_cql_write *w)
{
    const struct tc_cql_statement *s = &c->statements->list[w->statement];
    size_t at;
    if (w->n_rows == 1) {
        const struct tc_cql_params p = {.consistency = c->conf.write, .n_values = (uint16_t)s->n_binds};
        at = tc_cql_open_request(&w->frame, 0, NULL, (struct tc_cql_bytes){s->id, s->id_len}, &p);
        tc_buf_put(&w->frame, w->rows.data + w->values, w->rows.len - w->values);
        tc_cql_close_request(&w->frame, &p);
    } else {
        at = tc_cql_open_batch(&w->frame, 0, (uint16_t)w->n_rows);
        tc_buf_put(&w->frame, w->rows.data, w->rows.len);
        tc_cql_close_batch(&w->frame, c->conf.write);
    }
    if (c->conf.lz4 && w->frame.len - at >= COMPRESS_FROM)
        tc_cql_end_lz4(&w->frame, at, &c->room);
    else
        tc_cql_end(&w->frame, at);
}

int tc_cql_write_send(struct tc_cql_client *c, struct tc_cql_write *w)
{
    make_write_frame(c, w);
    if (w->rows.overflow || w->frame.overflow || w->n_rows > UINT16_MAX) {
        tc_cql_write_drop(c, w);
        return tc_fail(TC_ELIMIT, "rows of more than %d bytes in one request", REQUEST_MAX);
    }
    const struct tc_cql_statement *s = &c->statements->list[w->statement];
    w->routed = find_token(s, (const uint8_t *)w->rows.data + w->values, w->rows.len - w->values, &w->token);
    int64_t now = tc_mono_ns();
    w->deadline = now + c->conf.request_timeout_ns;
    c->outstanding++;
    if (!send_now(c, w, now))
        cql_enqueue(c, w);
    return TC_OK;
}

void tc_cql_write_drop(struct tc_cql_client *c, struct tc_cql_write *w)
{
    tc_buf_clear(&w->rows);
    tc_buf_clear(&w->frame);
    cql_give(c, w);
}

int tc_cql_finish(struct tc_cql_client *c, uint32_t *refused)
{
    while (c->outstanding > 0)
        step(c, INT64_MAX);
    *refused = c->refused;
    int rc = c->late > 0 ? TC_EBUSY : c->refused > 0 ? TC_ECONF : TC_OK;
    if (rc != TC_OK)
        tc_fail(rc, "%s", c->first_error);
    c->late = c->refused = 0;
    c->first_error[0] = '\0';
    return rc;
}

/* --- reading
 * ------------------------------------------------------------------------------------------------ */

struct reading {
    tc_cql_row_fn row;
    void *ctx;
    int rc; /* of the request or of row() */
    bool done, more;
    char error[400];
    size_t paging_len;
    uint8_t paging[TC_CQL_PAGING_MAX];
};

static int take_rows(struct reading *r, struct tc_cql_in *in)
{
    struct tc_cql_result result;
    struct tc_cql_bytes values[TC_CQL_COLUMNS_MAX];
    int rc = tc_cql_read_result(in, &result);
    if (rc != TC_OK || result.kind != TC_CQL_ROWS)
        return rc;
    r->more = result.more;
    r->paging_len = result.paging.n;
    if (result.paging.n)
        memcpy(r->paging, result.paging.p, result.paging.n);
    for (int32_t row = 0; row < result.n_rows && rc == 0; row++) {
        for (int32_t i = 0; i < result.n_columns; i++)
            values[i] = tc_cql_bytes(in);
        if (in->bad)
            return tc_fail(TC_EINPUT, "a result that ends inside a row");
        if (r->row)
            rc = r->row(r->ctx, values, result.n_columns);
    }
    return rc;
}

static void on_page(struct tc_cql_client *c, struct tc_cql_write *w, int rc, struct tc_cql_in *in)
{
    (void)c;
    struct reading *r = w->ctx;
    r->more = false;
    r->rc = rc == TC_OK ? take_rows(r, in) : rc;
    if (rc != TC_OK)
        snprintf(r->error, sizeof(r->error), "%s", tc_error());
    r->done = true;
}

static int read_page(struct tc_cql_client *c, const char *text, int32_t statement,
                     const struct tc_buf *values, const struct tc_cql_params *params, struct reading *r)
{
    struct tc_cql_write *w = tc_cql_write_begin(c);
    if (!w)
        return TC_EBUSY;
    const struct tc_cql_statement *s = text ? NULL : &c->statements->list[statement];
    struct tc_cql_params p = *params;
    p.n_values = s ? (uint16_t)s->n_binds : 0;
    size_t at = tc_cql_open_request(
        &w->frame, 0, text, s ? (struct tc_cql_bytes){s->id, s->id_len} : (struct tc_cql_bytes){0}, &p);
    if (values)
        tc_buf_put(&w->frame, values->data, values->len);
    tc_cql_close_request(&w->frame, &p);
    tc_cql_end(&w->frame, at);
    if (w->frame.overflow) {
        tc_cql_write_drop(c, w);
        return tc_fail(TC_ELIMIT, "a request of more than %d bytes", REQUEST_MAX);
    }
    w->routed = s && values && find_token(s, (const uint8_t *)values->data, values->len, &w->token);
    w->done = on_page;
    w->ctx = r;
    w->deadline = tc_mono_ns() + c->conf.request_timeout_ns;
    r->done = false;
    cql_enqueue(c, w);
    while (!r->done)
        step(c, INT64_MAX);
    return r->rc < 0 && r->error[0] ? tc_fail(r->rc, "%s", r->error) : r->rc;
}

int tc_cql_read(struct tc_cql_client *c, int32_t statement, const struct tc_buf *values, int32_t page_rows,
                tc_cql_row_fn row, void *ctx)
{
    struct reading r = {.row = row, .ctx = ctx};
    struct tc_cql_params p = {.consistency = c->conf.read, .page_size = page_rows};
    uint8_t paging[TC_CQL_PAGING_MAX];
    do {
        int rc = read_page(c, NULL, statement, values, &p, &r);
        if (rc != 0)
            return rc;
        memcpy(paging, r.paging, r.paging_len);
        p.paging = (struct tc_cql_bytes){paging, r.paging_len};
    } while (r.more);
    return TC_OK;
}

int tc_cql_execute(struct tc_cql_client *c, const char *statement, tc_cql_row_fn row, void *ctx)
{
    struct reading r = {.row = row, .ctx = ctx};
    const struct tc_cql_params p = {.consistency = c->conf.read};
    return read_page(c, statement, -1, NULL, &p, &r);
}
