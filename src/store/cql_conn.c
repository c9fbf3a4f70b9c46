#include "store/cql_conn.h"
#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEVER INT64_MAX
#define DRIVER "tickcast"
#define DRIVER_VERSION "1"

enum {
    READ_AT_ONCE = 256 << 10,
    OUT_MAX = 64 << 20,
    OUT_HIGH = 1 << 20, /* above this much unsent, no further request is taken */
    STREAM_LOGIN = 0,   /* streams of the connection itself; requests have those from FIRST_STREAM on */
    STREAM_REGISTER = 1,
    FIRST_PREPARE = 2,
    FIRST_STREAM = FIRST_PREPARE + TC_CQL_STATEMENTS_MAX,
};

enum state { CONNECTING, TLS, STARTUP, LOGIN, PREPARING, READY };

struct slot {
    void *request;    /* NULL and taken: given back to its owner, the answer is still to come */
    int64_t deadline; /* mono */
    bool taken;
};

struct tc_cql_conn {
    struct tc_cql_conn_conf conf;
    enum state state;
    int fd;
    SSL *ssl;
    bool tls_wants_write;
    struct tc_buf in, out, inflated;
    size_t in_at, out_at; /* bytes of them that are done with */
    struct slot *slots;   /* by stream - FIRST_STREAM */
    int16_t *free_slots;  /* a stack */
    int32_t n_slots, n_free, n_lost;
    int32_t unprepared;    /* statements not prepared yet */
    int64_t opened, heard; /* mono */
    int64_t next_deadline; /* of the slots; NEVER = none */
};

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* --- open and close
 * ----------------------------------------------------------------------------------------- */

static int begin_connect(struct tc_cql_conn *c)
{
    c->fd = socket(c->conf.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return tc_fail(TC_EIO, "%s: no socket: %s", c->conf.name, strerror(errno));
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    if (connect(c->fd, (const struct sockaddr *)&c->conf.address, c->conf.address_len) &&
        errno != EINPROGRESS)
        return tc_fail(TC_EPEER, "%s: %s", c->conf.name, strerror(errno));
    return TC_OK;
}

static int alloc_slots(struct tc_cql_conn *c)
{
    int32_t most = TC_CQL_STREAMS - FIRST_STREAM;
    c->n_slots = c->conf.in_flight < 1 ? 1 : c->conf.in_flight > most ? most : c->conf.in_flight;
    c->slots = calloc((size_t)c->n_slots, sizeof(*c->slots));
    c->free_slots = calloc((size_t)c->n_slots, sizeof(*c->free_slots));
    if (!c->slots || !c->free_slots)
        return tc_fail(TC_ENOMEM, "no memory for a connection");
    for (int32_t i = 0; i < c->n_slots; i++)
        c->free_slots[c->n_free++] = (int16_t)(c->n_slots - 1 - i);
    return TC_OK;
}

int tc_cql_conn_open(const struct tc_cql_conn_conf *conf, struct tc_cql_conn **out)
{
    *out = NULL;
    struct tc_cql_conn *c = calloc(1, sizeof(*c));
    if (!c)
        return tc_fail(TC_ENOMEM, "no memory for a connection");
    c->conf = *conf;
    c->fd = -1;
    c->opened = c->heard = tc_mono_ns();
    c->next_deadline = NEVER;
    tc_buf_init(&c->in, TC_CQL_BODY_MAX + READ_AT_ONCE + TC_CQL_HEADER + 1);
    tc_buf_init(&c->out, OUT_MAX);
    tc_buf_init(&c->inflated, TC_CQL_BODY_MAX + 1);
    int rc = alloc_slots(c);
    if (rc == TC_OK)
        rc = begin_connect(c);
    if (rc != TC_OK) {
        tc_cql_conn_close(c);
        return rc;
    }
    *out = c;
    return TC_OK;
}

void tc_cql_conn_close(struct tc_cql_conn *c)
{
    if (!c)
        return;
    for (int32_t i = 0; c->slots && i < c->n_slots; i++)
        if (c->slots[i].taken && c->slots[i].request)
            c->conf.on_answer(c->conf.owner, c->slots[i].request, TC_EPEER, 0, NULL);
    if (c->ssl)
        SSL_free(c->ssl);
    if (c->fd >= 0)
        close(c->fd);
    tc_buf_release(&c->in);
    tc_buf_release(&c->out);
    tc_buf_release(&c->inflated);
    free(c->slots);
    free(c->free_slots);
    free(c);
}

/* --- bytes
 * -------------------------------------------------------------------------------------------------- */

static int tls_error(struct tc_cql_conn *c, const char *what)
{
    char text[160];
    unsigned long e = ERR_get_error();
    long verify = c->ssl ? SSL_get_verify_result(c->ssl) : X509_V_OK;
    if (verify != X509_V_OK)
        return tc_fail(TC_ECONF, "%s: its certificate is not accepted: %s; see cassandra.tls_ca",
                       c->conf.name, X509_verify_cert_error_string(verify));
    ERR_error_string_n(e, text, sizeof(text));
    return tc_fail(TC_EPEER, "%s: TLS failed while %s: %s", c->conf.name, what,
                   e ? text : "the connection ended");
}

/* Bytes moved, 0 = would block, negative = failed. */
static long tls_result(struct tc_cql_conn *c, int n, const char *what)
{
    if (n > 0)
        return n;
    int e = SSL_get_error(c->ssl, n);
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
        c->tls_wants_write = e == SSL_ERROR_WANT_WRITE;
        return 0;
    }
    if (e == SSL_ERROR_ZERO_RETURN)
        return tc_fail(TC_EPEER, "%s: closed the connection", c->conf.name);
    return tls_error(c, what);
}

static long read_some(struct tc_cql_conn *c, char *to, size_t n)
{
    if (c->ssl)
        return tls_result(c, SSL_read(c->ssl, to, (int)n), "reading");
    ssize_t got = recv(c->fd, to, n, 0);
    if (got > 0)
        return got;
    if (got == 0)
        return tc_fail(TC_EPEER, "%s: closed the connection", c->conf.name);
    return errno == EAGAIN || errno == EINTR ? 0 : tc_fail(TC_EPEER, "%s: %s", c->conf.name, strerror(errno));
}

static long write_some(struct tc_cql_conn *c, const char *from, size_t n)
{
    if (c->ssl)
        return tls_result(c, SSL_write(c->ssl, from, n > INT32_MAX ? INT32_MAX : (int)n), "writing");
    ssize_t put = send(c->fd, from, n, MSG_NOSIGNAL);
    if (put >= 0)
        return put;
    return errno == EAGAIN || errno == EINTR ? 0 : tc_fail(TC_EPEER, "%s: %s", c->conf.name, strerror(errno));
}

static int flush(struct tc_cql_conn *c)
{
    while (c->out_at < c->out.len) {
        long n = write_some(c, c->out.data + c->out_at, c->out.len - c->out_at);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        c->out_at += (size_t)n;
    }
    if (c->out_at == 0 || (c->out_at < c->out.len && c->out_at < OUT_HIGH))
        return TC_OK;
    memmove(c->out.data, c->out.data + c->out_at, c->out.len - c->out_at);
    c->out.len -= c->out_at;
    c->out_at = 0;
    return TC_OK;
}

static int check_out(struct tc_cql_conn *c)
{
    return c->out.overflow ? tc_fail(TC_ELIMIT, "%s: more is waiting to be sent than fits", c->conf.name)
                           : TC_OK;
}

/* --- log-in and statements
 * ---------------------------------------------------------------------------------- */

static int begin_startup(struct tc_cql_conn *c)
{
    c->state = STARTUP;
    tc_cql_startup(&c->out, STREAM_LOGIN, c->conf.lz4, DRIVER, DRIVER_VERSION);
    return check_out(c);
}

static int begin_tls(struct tc_cql_conn *c)
{
    c->ssl = SSL_new(c->conf.tls);
    if (!c->ssl || !SSL_set_fd(c->ssl, c->fd))
        return tls_error(c, "starting");
    char host[80];
    snprintf(host, sizeof(host), "%s", c->conf.name);
    char *port = strrchr(host, ':');
    if (port)
        *port = '\0';
    X509_VERIFY_PARAM *p = SSL_get0_param(c->ssl);
    if (!X509_VERIFY_PARAM_set1_ip_asc(p, host))
        SSL_set1_host(c->ssl, host);
    SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_connect_state(c->ssl);
    c->state = TLS;
    return TC_OK;
}

static int finish_connect(struct tc_cql_conn *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLOUT};
    if (poll(&p, 1, 0) <= 0)
        return TC_OK;
    int error = 0;
    socklen_t n = sizeof(error);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) || error)
        return tc_fail(TC_EPEER, "%s: cannot connect: %s", c->conf.name, strerror(error ? error : errno));
    return c->conf.tls ? begin_tls(c) : begin_startup(c);
}

static int finish_tls(struct tc_cql_conn *c)
{
    long n = tls_result(c, SSL_do_handshake(c->ssl), "greeting");
    if (n < 0)
        return (int)n;
    return n > 0 ? begin_startup(c) : TC_OK;
}

static int begin_prepare(struct tc_cql_conn *c)
{
    c->state = PREPARING;
    c->unprepared = c->conf.statements->n;
    for (int32_t i = 0; i < c->conf.statements->n; i++)
        tc_cql_prepare(&c->out, (int16_t)(FIRST_PREPARE + i), c->conf.statements->list[i].text);
    if (c->unprepared == 0)
        c->state = READY;
    return check_out(c);
}

static int server_error(struct tc_cql_conn *c, struct tc_cql_in *in, const char *during)
{
    struct tc_cql_error e;
    char text[480];
    int rc = tc_cql_read_error(in, &e);
    if (rc != TC_OK)
        return tc_more(rc, "%s", c->conf.name);
    tc_cql_error_text(&e, text, sizeof(text));
    bool ours = e.code == TC_CQL_E_CREDENTIALS || e.code == TC_CQL_E_PROTOCOL || e.code == TC_CQL_E_SYNTAX ||
                e.code == TC_CQL_E_INVALID;
    return tc_fail(ours ? TC_ECONF : TC_EPEER, "%s: %s: %s", c->conf.name, during, text);
}

static int login_answer(struct tc_cql_conn *c, uint8_t op, struct tc_cql_in *in)
{
    switch (op) {
    case TC_CQL_READY:
    case TC_CQL_AUTH_SUCCESS:
        return begin_prepare(c);
    case TC_CQL_AUTHENTICATE:
        if (!c->conf.user || !c->conf.password)
            return tc_fail(TC_ECONF,
                           "%s: asks for user and password; set cassandra.user and cassandra.password",
                           c->conf.name);
        c->state = LOGIN;
        tc_cql_auth_response(&c->out, STREAM_LOGIN, c->conf.user, c->conf.password);
        return check_out(c);
    case TC_CQL_ERROR:
        return server_error(c, in, "log-in");
    default:
        return tc_fail(TC_EINPUT, "%s: answers the log-in with an unexpected message (0x%02x)", c->conf.name,
                       op);
    }
}

static int prepared_answer(struct tc_cql_conn *c, int32_t i, uint8_t op, struct tc_cql_in *in)
{
    struct tc_cql_statement *s = &c->conf.statements->list[i];
    struct tc_cql_result r;
    if (op == TC_CQL_ERROR) {
        int rc = server_error(c, in, "cannot prepare a statement");
        return tc_more(rc, "\"%.60s...\"", s->text);
    }
    int rc = op == TC_CQL_RESULT ? tc_cql_read_result(in, &r) : TC_EINPUT;
    if (rc == TC_OK && r.kind != TC_CQL_PREPARED)
        rc = TC_EINPUT;
    if (rc != TC_OK)
        return tc_fail(TC_EINPUT, "%s: answers a PREPARE with something else", c->conf.name);
    memcpy(s->id, r.id.p, r.id.n);
    s->id_len = r.id.n;
    s->n_binds = r.n_binds;
    s->n_keys = r.n_keys;
    memcpy(s->keys, r.keys, sizeof(s->keys));
    if (c->unprepared > 0 && --c->unprepared == 0 && c->state == PREPARING)
        c->state = READY;
    return TC_OK;
}

/* --- requests
 * ----------------------------------------------------------------------------------------------- */

static int request_answer(struct tc_cql_conn *c, int32_t i, uint8_t op, struct tc_cql_in *in)
{
    if (i >= c->n_slots || !c->slots[i].taken)
        return tc_fail(TC_EINPUT, "%s: answers a request that was not made", c->conf.name);
    struct slot *s = &c->slots[i];
    void *request = s->request;
    c->n_lost -= request == NULL;
    *s = (struct slot){0};
    c->free_slots[c->n_free++] = (int16_t)i;
    if (request)
        c->conf.on_answer(c->conf.owner, request, TC_OK, op, in);
    return TC_OK;
}

static int take_frame(struct tc_cql_conn *c, const struct tc_cql_frame *f)
{
    struct tc_cql_in in;
    struct tc_cql_text warning; /* of large batches and tombstones: the server logs it as well */
    int rc = tc_cql_message(f, &c->inflated, &in, &warning);
    if (rc != TC_OK)
        return tc_more(rc, "%s", c->conf.name);
    if (f->op == TC_CQL_EVENT) {
        struct tc_cql_event event;
        rc = tc_cql_read_event(&in, &event);
        if (rc == TC_OK && c->conf.on_event)
            c->conf.on_event(c->conf.owner, &event);
        return rc == TC_OK ? rc : tc_more(rc, "%s", c->conf.name);
    }
    if (f->stream == STREAM_LOGIN && c->state < PREPARING)
        return login_answer(c, f->op, &in);
    if (f->stream == STREAM_REGISTER && c->state == READY)
        return f->op == TC_CQL_ERROR ? server_error(c, &in, "events") : TC_OK;
    if (f->stream >= FIRST_PREPARE && f->stream < FIRST_PREPARE + c->conf.statements->n &&
        c->state >= PREPARING)
        return prepared_answer(c, f->stream - FIRST_PREPARE, f->op, &in);
    if (f->stream >= FIRST_STREAM && c->state == READY)
        return request_answer(c, f->stream - FIRST_STREAM, f->op, &in);
    return tc_fail(TC_EINPUT, "%s: a message (0x%02x) out of turn", c->conf.name, f->op);
}

static int take_frames(struct tc_cql_conn *c)
{
    for (;;) {
        struct tc_cql_frame f;
        size_t used;
        int rc = tc_cql_frame((const uint8_t *)c->in.data + c->in_at, c->in.len - c->in_at, &f, &used);
        if (rc == TC_AGAIN)
            break;
        if (rc == TC_OK)
            rc = take_frame(c, &f);
        else
            rc = tc_more(rc == TC_EPEER ? TC_ECONF : rc, "%s", c->conf.name);
        if (rc != TC_OK)
            return rc;
        c->in_at += used;
    }
    /* What is left is the beginning of one frame. */
    size_t left = c->in.len - c->in_at;
    if (c->in_at > 0) {
        memmove(c->in.data, c->in.data + c->in_at, left);
        c->in.len = left;
        c->in_at = 0;
    }
    return TC_OK;
}

static int receive(struct tc_cql_conn *c, int64_t now)
{
    for (int round = 0; round < 8; round++) { /* then the others get their turn */
        if (!tc_buf_reserve(&c->in, READ_AT_ONCE))
            return tc_fail(TC_ENOMEM, "%s: no memory for an answer", c->conf.name);
        long n = read_some(c, c->in.data + c->in.len, READ_AT_ONCE);
        if (n < 0)
            return (int)n;
        if (n == 0)
            return TC_OK;
        c->heard = now;
        c->in.len += (size_t)n;
        int rc = take_frames(c);
        if (rc != TC_OK)
            return rc;
        if (n < READ_AT_ONCE && !c->ssl)
            return TC_OK;
    }
    return TC_OK;
}

static void expire(struct tc_cql_conn *c, int64_t now)
{
    c->next_deadline = NEVER;
    for (int32_t i = 0; i < c->n_slots; i++) {
        struct slot *s = &c->slots[i];
        if (!s->request)
            continue;
        if (s->deadline > now) {
            c->next_deadline = earlier(c->next_deadline, s->deadline);
            continue;
        }
        void *request = s->request;
        s->request = NULL;
        c->n_lost++;
        c->conf.on_answer(c->conf.owner, request, TC_EBUSY, 0, NULL);
    }
}

static int check_health(struct tc_cql_conn *c, int64_t now)
{
    if (c->state != READY && now - c->opened > c->conf.connect_timeout_ns)
        return tc_fail(TC_EPEER, "%s: no log-in within %lld ms", c->conf.name,
                       (long long)(c->conf.connect_timeout_ns / TC_NS_PER_MS));
    if (now >= c->next_deadline)
        expire(c, now);
    if (c->n_lost > 0 && (now - c->heard > c->conf.silence_ns || c->n_lost > c->n_slots / 2))
        return tc_fail(TC_EPEER, "%s: has not answered %d requests; connecting again", c->conf.name,
                       (int)c->n_lost);
    return TC_OK;
}

int tc_cql_conn_work(struct tc_cql_conn *c, int64_t now)
{
    int rc = c->state == CONNECTING ? finish_connect(c) : TC_OK;
    if (rc == TC_OK && c->state == TLS)
        rc = finish_tls(c);
    if (rc == TC_OK && c->state >= STARTUP)
        rc = flush(c);
    if (rc == TC_OK && c->state >= STARTUP)
        rc = receive(c, now);
    if (rc == TC_OK && c->state >= STARTUP)
        rc = flush(c);
    return rc == TC_OK ? check_health(c, now) : rc;
}

/* --- for the owner
 * ------------------------------------------------------------------------------------------ */

int tc_cql_conn_fd(const struct tc_cql_conn *c)
{
    return c->fd;
}

short tc_cql_conn_wants(const struct tc_cql_conn *c)
{
    bool write = c->state == CONNECTING || (c->state == TLS && c->tls_wants_write) ||
                 (c->state >= STARTUP && c->out_at < c->out.len);
    return (short)(POLLIN | (write ? POLLOUT : 0));
}

int64_t tc_cql_conn_next(const struct tc_cql_conn *c)
{
    int64_t t = c->state == READY ? NEVER : c->opened + c->conf.connect_timeout_ns + 1;
    if (c->n_lost > 0)
        t = earlier(t, c->heard + c->conf.silence_ns + 1);
    return earlier(t, c->next_deadline);
}

bool tc_cql_conn_ready(const struct tc_cql_conn *c)
{
    return c->state == READY;
}

bool tc_cql_conn_room(const struct tc_cql_conn *c)
{
    return c->state == READY && c->n_free > 0 && c->out.len - c->out_at < OUT_HIGH;
}

int32_t tc_cql_conn_busy(const struct tc_cql_conn *c)
{
    return c->n_slots - c->n_free - c->n_lost;
}

int tc_cql_conn_send(struct tc_cql_conn *c, const char *frame, size_t n, void *request, int64_t deadline)
{
    if (!tc_cql_conn_room(c))
        return TC_AGAIN;
    int16_t i = c->free_slots[c->n_free - 1];
    int stream = FIRST_STREAM + i;
    size_t at = c->out.len;
    tc_buf_put(&c->out, frame, n);
    if (c->out.overflow)
        return check_out(c);
    c->out.data[at + 2] = (char)(stream >> 8);
    c->out.data[at + 3] = (char)stream;
    c->n_free--;
    c->slots[i] = (struct slot){request, deadline, true};
    c->next_deadline = earlier(c->next_deadline, deadline);
    if (tc_cql_conn_busy(c) == 1)
        c->heard = tc_mono_ns(); /* silence is counted from the first unanswered request */
    return TC_OK;
}

int tc_cql_conn_subscribe(struct tc_cql_conn *c)
{
    tc_cql_register(&c->out, STREAM_REGISTER);
    return check_out(c);
}

int tc_cql_conn_prepare(struct tc_cql_conn *c, int32_t statement)
{
    tc_cql_prepare(&c->out, (int16_t)(FIRST_PREPARE + statement), c->conf.statements->list[statement].text);
    return check_out(c);
}
