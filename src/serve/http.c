#include "serve/http.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/num.h"
#include "serve/api.h"
#include "serve/assets.h"
#include "serve/auth.h"
#include "serve/query.h"
#include "serve/status.h"
#include "serve/stream.h"
#include "serve/submit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

enum {
    THREADS = 2,
    QUERY_THREADS = 2,
    URL_MAX = 4096,
    GZIP_MIN = 1400, /* one packet */
    STALL_S = 30,
    STREAM_BLOCK = 16384,
    SEND_ROOM = 256 << 10,
    HELD_MAX = 96 << 20, /* no further question to the database while clients hold so much unread */
};
#define HEADER_NS (15 * TC_NS_PER_SEC)
#define ANSWER_NS (60 * TC_NS_PER_SEC)

enum conn_state { CONN_IDLE, CONN_ANSWERING, CONN_STREAMING };

struct conn { /* one TCP connection */
    int fd;
    enum conn_state state;
    int64_t since; /* monotonic, of the state */
    size_t url_len;
    struct conn *next, *prev;
};

struct tc_http {
    struct tc_serve *serve;
    struct MHD_Daemon *daemon;
    struct tc_query_pool *pool;
    const char *token;
    int fd;
    int32_t port;
    bool loopback;
    char csp[512];
    pthread_mutex_t lock; /* guards conns, took */
    struct conn *conns;
    struct tc_hist *took;
    tc_metric *answers[6]; /* by first digit of the status */
    _Atomic size_t held;   /* bytes of answers that are not taken yet */
};

struct request {
    struct tc_http *http;
    struct MHD_Connection *conn;
    struct tc_params params;
    struct tc_reply reply;
    struct tc_query query;
    bool head, gzip, post;
    struct tc_buf body; /* of a POST */
    bool begun, answered, packed;
    size_t held; /* bytes of the answer, counted in tc_http.held */
    bool too_many_params, bad_param;
    const char *base_url; /* without the base path */
    int64_t begun_at;
    struct tc_stream *stream;
};

struct route {
    const char *path, *params;
    tc_query_fn *query;                                  /* run on a query thread */
    void (*now)(struct tc_serve *s, struct tc_reply *r); /* or at once */
    bool open;                                           /* needs no token */
};

/* ---- answers given at once ---- */

static void answer_status(struct tc_serve *s, struct tc_reply *r)
{
    tc_status_write(s->status, &r->body);
    tc_buf_char(&r->body, '\n');
}

static void answer_openapi(struct tc_serve *s, struct tc_reply *r)
{
    (void)s;
    tc_buf_put(&r->body, tc_openapi, tc_openapi_size);
}

static void answer_metrics(struct tc_serve *s, struct tc_reply *r)
{
    (void)s;
    r->type = "text/plain; version=0.0.4; charset=utf-8";
    tc_metrics_write(&r->body);
}

static void answer_health(struct tc_serve *s, struct tc_reply *r)
{
    (void)s;
    r->type = "text/plain; charset=utf-8";
    tc_buf_str(&r->body, "ok\n");
}

static void answer_ready(struct tc_serve *s, struct tc_reply *r)
{
    const char *why;
    if (!tc_status_ready(s->status, &why)) {
        tc_reply_error(r, 503, "%s", why);
        return;
    }
    r->type = "text/plain; charset=utf-8";
    tc_buf_str(&r->body, "ready\n");
}

static const char stream_path[] = "/api/v1/stream", stream_params[] = "symbols last_event_id";

static const struct route routes[] = {
    {"/api/v1/symbols", TC_API_SYMBOLS_PARAMS, tc_api_symbols, NULL, false},
    {"/api/v1/bars", TC_API_BARS_PARAMS, tc_api_bars, NULL, false},
    {"/api/v1/forecasts", TC_API_FORECASTS_PARAMS, tc_api_forecasts, NULL, false},
    {"/api/v1/scores", TC_API_SCORES_PARAMS, tc_api_scores, NULL, false},
    {"/api/v1/posts", TC_API_POSTS_PARAMS, tc_api_posts, NULL, false},
    {"/api/v1/sentiment", TC_API_SENTIMENT_PARAMS, tc_api_sentiment, NULL, false},
    {"/api/v1/quality", TC_API_QUALITY_PARAMS, tc_api_quality, NULL, false},
    {"/api/v1/jobs", TC_API_JOBS_PARAMS, tc_api_jobs, NULL, false},
    {"/api/v1/alerts", TC_API_ALERTS_PARAMS, tc_api_alerts, NULL, false},
    {"/api/v1/status", "", NULL, answer_status, false},
    {"/api/v1/openapi.json", "", NULL, answer_openapi, false},
    {"/metrics", "", NULL, answer_metrics, false},
    {"/healthz", "", NULL, answer_health, true},
    {"/readyz", "", NULL, answer_ready, true},
};

static const char submit_path[] = "/api/v1/forecasts";
static const struct route submit_route = {submit_path, TC_API_SUBMIT_PARAMS, tc_api_submit, NULL, false};

static const struct route *find_route(const char *path, bool post)
{
    if (post)
        return !strcmp(path, submit_path) ? &submit_route : NULL;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (!strcmp(routes[i].path, path))
            return &routes[i];
    return NULL;
}

static const struct tc_asset *find_asset(const char *path)
{
    for (size_t i = 0; i < tc_assets_n; i++)
        if (!strcmp(tc_assets[i].path, path))
            return &tc_assets[i];
    return NULL;
}

/* ---- connections ---- */

static struct conn *conn_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void set_state(struct tc_http *h, struct conn *c, enum conn_state state)
{
    if (!c)
        return;
    pthread_mutex_lock(&h->lock);
    c->state = state;
    c->since = tc_mono_ns();
    pthread_mutex_unlock(&h->lock);
}

static void start_conn(struct tc_http *h, struct MHD_Connection *connection, void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct conn *c = info ? calloc(1, sizeof(*c)) : NULL;
    if (!c)
        return;
    c->fd = info->connect_fd;
    c->since = tc_mono_ns();
    pthread_mutex_lock(&h->lock);
    c->next = h->conns;
    if (c->next)
        c->next->prev = c;
    h->conns = c;
    pthread_mutex_unlock(&h->lock);
    *context = c;
}

static void end_conn(struct tc_http *h, struct conn *c)
{
    pthread_mutex_lock(&h->lock);
    if (c->prev)
        c->prev->next = c->next;
    else
        h->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    pthread_mutex_unlock(&h->lock);
    free(c);
}

static void on_conn(void *cls, struct MHD_Connection *connection, void **context,
                    enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        start_conn(cls, connection, context);
    else if (*context)
        end_conn(cls, *context);
}

void tc_http_tick(struct tc_http *h, int64_t mono)
{
    pthread_mutex_lock(&h->lock);
    for (struct conn *c = h->conns; c; c = c->next) {
        int64_t age = mono - c->since;
        if ((c->state == CONN_IDLE && age > HEADER_NS) || (c->state == CONN_ANSWERING && age > ANSWER_NS)) {
            shutdown(c->fd, SHUT_RDWR);
            c->since = mono; /* its thread closes it; not again before that */
            tc_metric_add(h->serve->m_rejected, 1);
        }
    }
    pthread_mutex_unlock(&h->lock);
}

/* ---- sending ---- */

static void add_headers(struct tc_http *h, struct MHD_Response *response, const char *type, const char *cache)
{
    const char *const headers[][2] = {
        {"Content-Type", type},
        {"Cache-Control", cache},
        {"Content-Security-Policy", h->csp},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"},
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
}

static enum MHD_Result send_response(struct request *rq, int status, struct MHD_Response *response)
{
    rq->answered = true;
    tc_metric_add(rq->http->answers[status / 100 % 6], 1);
    enum MHD_Result ok = MHD_queue_response(rq->conn, (unsigned)status, response);
    MHD_destroy_response(response);
    return ok;
}

/* Replaces the body by its gzip form; leaves it alone when that fails. */
static bool compress_body(struct tc_buf *body)
{
    z_stream z = {0};
    if (deflateInit2(&z, 4, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    struct tc_buf packed;
    tc_buf_init(&packed, TC_ANSWER_MAX + 4096);
    size_t bound = deflateBound(&z, body->len);
    bool ok = tc_buf_reserve(&packed, bound);
    if (ok) {
        z.next_in = (unsigned char *)body->data;
        z.avail_in = (unsigned)body->len;
        z.next_out = (unsigned char *)packed.data;
        z.avail_out = (unsigned)bound;
        ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
        packed.len = z.total_out;
    }
    deflateEnd(&z);
    if (ok) {
        tc_buf_release(body);
        *body = packed;
    } else {
        tc_buf_release(&packed);
    }
    return ok;
}

static void pack(struct request *rq)
{
    struct tc_buf *body = &rq->reply.body;
    rq->packed = rq->packed || (rq->gzip && body->len >= GZIP_MIN && !body->overflow && compress_body(body));
}

static enum MHD_Result send_reply(struct request *rq)
{
    struct tc_reply *r = &rq->reply;
    if (r->body.overflow)
        tc_reply_error(r, 503, "no memory for the answer");
    pack(rq);
    rq->held = r->body.len;
    atomic_fetch_add(&rq->http->held, rq->held);
    /* the body's memory is given to the library */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->body.len, r->body.data, MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO;
    r->body = (struct tc_buf){0};
    add_headers(rq->http, response, r->type, "no-store");
    if (rq->packed)
        MHD_add_response_header(response, "Content-Encoding", "gzip");
    MHD_add_response_header(response, "Vary", "Accept-Encoding");
    if (r->status == 405)
        MHD_add_response_header(response, "Allow",
                                strcmp(rq->base_url, submit_path) ? "GET, HEAD" : "GET, HEAD, POST");
    if (r->status == 401)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (r->status == 503 || r->status == 429)
        MHD_add_response_header(response, "Retry-After", "1");
    if (r->file[0]) {
        char value[160];
        snprintf(value, sizeof(value), "attachment; filename=\"%s\"", r->file);
        MHD_add_response_header(response, "Content-Disposition", value);
    }
    return send_response(rq, r->status, response);
}

static enum MHD_Result send_asset(struct request *rq, const struct tc_asset *a)
{
    const char *match = MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, "If-None-Match");
    bool same = match && strstr(match, a->etag);
    bool gzip = rq->gzip && a->gzip && !same;
    const unsigned char *data = gzip ? a->gzip : a->data;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(same   ? 0
                                        : gzip ? a->gzip_size
                                               : a->size,
                                        (void *)(uintptr_t)data, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    add_headers(rq->http, response, a->type,
                a->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    MHD_add_response_header(response, "ETag", a->etag);
    MHD_add_response_header(response, "Vary", "Accept-Encoding");
    if (gzip)
        MHD_add_response_header(response, "Content-Encoding", "gzip");
    return send_response(rq, same ? 304 : 200, response);
}

/* The page opened with ?token=: keep it in a cookie and take it out of the address. */
static enum MHD_Result send_cookie(struct request *rq)
{
    const char *base = rq->http->serve->conf.base_path;
    char value[256], location[300];
    snprintf(value, sizeof(value), "tickcast_token=%s; Path=%s/; HttpOnly; SameSite=Strict", rq->http->token,
             base);
    snprintf(location, sizeof(location), "%s/", base);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    add_headers(rq->http, response, "text/plain", "no-store");
    MHD_add_response_header(response, "Set-Cookie", value);
    MHD_add_response_header(response, "Location", location);
    return send_response(rq, 303, response);
}

/* ---- streams ---- */

static void stream_sleep(void *ctx)
{
    struct request *rq = ctx;
    MHD_suspend_connection(rq->conn);
}

static void stream_wake(void *ctx)
{
    struct request *rq = ctx;
    MHD_resume_connection(rq->conn);
}

static ssize_t stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
    (void)pos;
    struct request *rq = cls;
    ssize_t n = tc_stream_read(rq->stream, out, max);
    return n == TC_STREAM_END ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static bool open_stream(struct request *rq)
{
    struct tc_serve *s = rq->http->serve;
    int32_t max = s->conf.max_streams ? s->conf.max_streams : 256;
    if (atomic_fetch_add(&s->streams, 1) >= max) {
        atomic_fetch_sub(&s->streams, 1);
        tc_metric_add(s->m_rejected, 1);
        return tc_reply_error(&rq->reply, 503, "%d streams are open already", max);
    }
    const char *last = tc_params_get(&rq->params, "last_event_id");
    const char *header = MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, "Last-Event-ID");
    struct tc_stream_io io = {.sleep = stream_sleep, .wake = stream_wake, .ctx = rq};
    rq->stream =
        tc_stream_open(s, &io, tc_params_get(&rq->params, "symbols"), header ? header : last, &rq->reply);
    if (!rq->stream)
        atomic_fetch_sub(&s->streams, 1);
    return rq->stream != NULL;
}

static enum MHD_Result send_stream(struct request *rq)
{
    if (!rq->head && !open_stream(rq))
        return send_reply(rq);
    struct MHD_Response *response =
        rq->head ? MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT)
                 : MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_read, rq, NULL);
    if (!response)
        return MHD_NO;
    add_headers(rq->http, response, "text/event-stream; charset=utf-8", "no-store");
    MHD_add_response_header(response, "X-Accel-Buffering", "no");
    if (!rq->head)
        set_state(rq->http, conn_of(rq->conn), CONN_STREAMING);
    return send_response(rq, 200, response);
}

/* ---- the way of a request ---- */

static enum MHD_Result take_param(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                  const char *value, size_t value_size)
{
    (void)kind;
    struct request *rq = cls;
    if (rq->params.n == TC_PARAMS_MAX) {
        rq->too_many_params = true;
        return MHD_NO;
    }
    rq->bad_param = rq->bad_param || strlen(key) != key_size || (value && strlen(value) != value_size);
    rq->params.at[rq->params.n++] = (struct tc_param){key, value ? value : ""};
    return MHD_YES;
}

/* "gzip", "gzip;q=0.5", but not "gzip;q=0" */
static bool accepts_gzip(const char *header)
{
    const char *at = header ? strcasestr(header, "gzip") : NULL;
    if (!at)
        return false;
    at += 4;
    at += strspn(at, " ");
    if (strncmp(at, ";q=0", 4) != 0)
        return true;
    at += 4;
    at += strspn(at, ".0");
    return *at >= '1' && *at <= '9';
}

/* The path below the base path; a proxy may or may not take that away. */
static const char *below_base(const char *base, const char *url)
{
    size_t n = strlen(base);
    if (n && !strncmp(url, base, n) && (url[n] == '/' || url[n] == '\0'))
        return url[n] ? url + n : "/";
    return url;
}

static bool allowed(struct request *rq, const struct route *route)
{
    struct tc_http *h = rq->http;
    struct tc_reply *r = &rq->reply;
    const char *host = MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, "Host");
    const char *site = MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, "Sec-Fetch-Site");
    const struct conn *c = conn_of(rq->conn);
    if (c && c->url_len > URL_MAX)
        return tc_reply_error(r, 414, "the address is longer than %d bytes", URL_MAX);
    if (h->loopback && host && !tc_host_allowed(host, h->serve->conf.host, h->serve->conf.hosts))
        return tc_reply_error(r, 421, "the name in the Host header is not one of ours; see serve.hosts");
    if (site && !strcmp(site, "cross-site") && strcmp(rq->base_url, "/") != 0)
        return tc_reply_error(r, 403, "pages of other sites may not ask here");
    if (rq->too_many_params || rq->bad_param)
        return tc_reply_error(r, 400,
                              rq->bad_param ? "a parameter holds a zero byte" : "too many parameters");
    if (!h->token || (route && route->open))
        return true;
    if (tc_token_in_request(h->token, tc_params_get(&rq->params, "token"),
                            MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, "Authorization"),
                            MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, "Cookie")))
        return true;
    return tc_reply_error(r, 401,
                          "a token is needed: open the address that tickcast printed when it started");
}

static void query_done(void *ctx)
{
    struct request *rq = ctx;
    pack(rq); /* here, not on the thread that serves other connections too */
    MHD_resume_connection(rq->conn);
}

static enum MHD_Result start_query(struct request *rq, const struct route *route)
{
    rq->query = (struct tc_query){
        .fn = route->query, .params = &rq->params, .reply = &rq->reply, .done = query_done, .ctx = rq};
    /* suspended first: the query thread may be done before this one goes on */
    MHD_suspend_connection(rq->conn);
    if (atomic_load(&rq->http->held) < HELD_MAX && tc_query_put(rq->http->pool, &rq->query))
        return MHD_YES;
    tc_metric_add(rq->http->serve->m_rejected, 1);
    tc_reply_error(&rq->reply, 503, "too many questions at once; ask again");
    MHD_resume_connection(rq->conn);
    return MHD_YES;
}

static enum MHD_Result begin(struct request *rq)
{
    struct tc_reply *r = &rq->reply;
    const char *url = rq->base_url;
    const struct route *route = find_route(url, rq->post);
    if (!allowed(rq, route))
        return send_reply(rq);
    bool stream = !strcmp(url, stream_path);
    const struct tc_asset *asset = find_asset(url);
    if (!route && !stream && !asset) {
        tc_reply_error(r, 404, "nothing is at %.100s; /api/v1/openapi.json lists what there is", url);
        return send_reply(rq);
    }
    if (asset) {
        bool with_token = rq->http->token && tc_params_get(&rq->params, "token");
        return with_token && !strcmp(url, "/") ? send_cookie(rq) : send_asset(rq, asset);
    }
    if (!tc_params_check(&rq->params, stream ? stream_params : route->params, r))
        return send_reply(rq);
    if (stream)
        return send_stream(rq);
    if (route->query)
        return start_query(rq, route);
    route->now(rq->http->serve, r);
    return send_reply(rq);
}

/* A body that another site's page could send without asking first is refused by its type. */
static enum MHD_Result begin_post(struct request *rq, const char *length, bool body)
{
    const char *type = MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, "Content-Type");
    int64_t n = 0;
    tc_buf_init(&rq->body, TC_SUBMIT_BODY_MAX);
    if (!type || strncasecmp(type, "application/json", 16) != 0)
        tc_reply_error(&rq->reply, 415, "a body of Content-Type: application/json is expected");
    else if (!body)
        tc_reply_error(&rq->reply, 400, "a forecast, or a list of them, is expected as body");
    else if (length && (!tc_parse_int(length, strlen(length), &n) || n > TC_SUBMIT_BODY_MAX))
        tc_reply_error(&rq->reply, 413, "the body is longer than %d bytes", TC_SUBMIT_BODY_MAX);
    else
        return MHD_YES;
    return send_reply(rq);
}

/* First call: only the headers are there. An answer given now closes the connection afterwards, which is
 * right for whoever sends a body; everybody else is answered at the second call and keeps the connection. */
static enum MHD_Result on_headers(struct tc_http *h, struct MHD_Connection *connection, const char *url,
                                  const char *method, struct request *rq)
{
    rq->http = h;
    rq->conn = connection;
    rq->begun_at = tc_mono_ns();
    rq->head = !strcmp(method, "HEAD");
    rq->base_url = below_base(h->serve->conf.base_path, url);
    tc_reply_init(&rq->reply);
    set_state(h, conn_of(connection), CONN_ANSWERING);
    rq->params.body = &rq->body;
    MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, take_param, rq);
    rq->gzip = accepts_gzip(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept-Encoding"));
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    bool body = (length && strcmp(length, "0") != 0) ||
                MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding");
    rq->post = !strcmp(method, "POST") && !strcmp(rq->base_url, submit_path);
    if (rq->post)
        return begin_post(rq, length, body);
    if (strcmp(method, "GET") != 0 && !rq->head)
        tc_reply_error(&rq->reply, 405, "only GET and HEAD are answered here");
    else if (body)
        tc_reply_error(&rq->reply, 400, "a question here has no body");
    else
        return MHD_YES;
    return send_reply(rq);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
    (void)version;
    struct request *rq = *context;
    if (!rq) {
        rq = *context = calloc(1, sizeof(*rq));
        return rq ? on_headers(cls, connection, url, method, rq) : MHD_NO;
    }
    if (*upload_size) {
        if (rq->post && !rq->answered)
            tc_buf_put(&rq->body, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    if (rq->answered)
        return MHD_YES;
    if (rq->body.overflow) {
        tc_reply_error(&rq->reply, 413, "the body is longer than %d bytes", TC_SUBMIT_BODY_MAX);
        return send_reply(rq);
    }
    if (rq->begun) /* the query is done */
        return send_reply(rq);
    rq->begun = true;
    return begin(rq);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    (void)code;
    struct tc_http *h = cls;
    struct request *rq = *context;
    if (!rq)
        return;
    if (rq->stream) {
        tc_stream_close(rq->stream);
        atomic_fetch_sub(&h->serve->streams, 1);
    } else {
        pthread_mutex_lock(&h->lock);
        tc_hist_add(h->took, tc_mono_ns() - rq->begun_at);
        pthread_mutex_unlock(&h->lock);
    }
    atomic_fetch_sub(&h->held, rq->held);
    set_state(h, conn_of(connection), CONN_IDLE);
    tc_reply_release(&rq->reply);
    tc_buf_release(&rq->body);
    free(rq);
    *context = NULL;
}

static void *on_url(void *cls, const char *url, struct MHD_Connection *connection)
{
    (void)cls;
    struct conn *c = conn_of(connection);
    if (c)
        c->url_len = strlen(url);
    return NULL;
}

static void on_log(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    char text[256];
    vsnprintf(text, sizeof(text), fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    tc_log_debug("serve", "%s", text);
}

/* ---- opening ---- */

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

static int resolve(const char *host, int32_t port, struct addrinfo **out)
{
    char name[260], service[16];
    size_t n = strlen(host);
    bool brackets = n > 2 && host[0] == '[' && host[n - 1] == ']';
    snprintf(name, sizeof(name), "%.*s", (int)(brackets ? n - 2 : n), host + brackets);
    snprintf(service, sizeof(service), "%d", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    int err = getaddrinfo(name, service, &hints, out);
    if (err)
        return tc_fail(TC_ECONF, "serve.listen: \"%s\" is no address of this machine: %s", host,
                       gai_strerror(err));
    return TC_OK;
}

int tc_http_is_loopback(const char *host, bool *out)
{
    struct addrinfo *list;
    int rc = resolve(host, 0, &list);
    if (rc != TC_OK)
        return rc;
    *out = is_loopback(list->ai_addr);
    freeaddrinfo(list);
    return TC_OK;
}

static int bind_to(struct tc_http *h, const struct addrinfo *a, const char *host, int32_t port)
{
    int on = 1;
    h->loopback = is_loopback(a->ai_addr);
    h->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (h->fd < 0)
        return tc_fail(TC_EIO, "cannot make a socket: %s", strerror(errno));
    setsockopt(h->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* accepted connections inherit it: a client that reads nothing holds no more of the kernel's memory */
    int room = SEND_ROOM;
    setsockopt(h->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    if (bind(h->fd, a->ai_addr, a->ai_addrlen) != 0 || listen(h->fd, 128) != 0) {
        int err = errno;
        if (err == EADDRINUSE)
            return tc_fail(TC_EBUSY,
                           "port %d of %s is in use by another program; choose another one with --listen",
                           port, host);
        return tc_fail(TC_EIO, "cannot listen on %s port %d: %s", host, port, strerror(err));
    }
    struct sockaddr_storage own;
    socklen_t size = sizeof(own);
    if (getsockname(h->fd, (struct sockaddr *)&own, &size) != 0)
        return tc_fail(TC_EIO, "cannot read the port: %s", strerror(errno));
    h->port = ntohs(own.ss_family == AF_INET ? ((struct sockaddr_in *)&own)->sin_port
                                             : ((struct sockaddr_in6 *)&own)->sin6_port);
    return TC_OK;
}

static int listen_on(struct tc_http *h, const char *host, int32_t port)
{
    struct addrinfo *list;
    int rc = resolve(host, port, &list);
    if (rc != TC_OK)
        return rc;
    rc = bind_to(h, list, host, port);
    freeaddrinfo(list);
    return rc;
}

static int start_daemon(struct tc_http *h)
{
    const struct tc_server_conf *conf = &h->serve->conf;
    unsigned limit = conf->max_connections ? (unsigned)conf->max_connections : 512;
    unsigned per_ip = conf->max_per_ip ? (unsigned)conf->max_per_ip : 128;
    h->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, h->fd,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_CONNECTION_LIMIT, limit,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, per_ip, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)STALL_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(48 << 10), MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, on_conn, h,
        MHD_OPTION_URI_LOG_CALLBACK, on_url, h, MHD_OPTION_END);
    if (!h->daemon)
        return tc_fail(TC_EIO, "the HTTP server cannot start: %s", strerror(errno));
    h->fd = -1; /* the daemon's now */
    return TC_OK;
}

static void register_metrics(struct tc_http *h)
{
    static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    h->took = tc_latency("tickcast_http_request_seconds", NULL,
                         "From a request's headers to the end of its answer, streams left out");
    for (int i = 1; i < 6; i++) {
        char labels[16];
        snprintf(labels, sizeof(labels), "status=\"%s\"", classes[i - 1]);
        h->answers[i] = tc_counter("tickcast_http_answers_total", labels, "Answers by class of status");
    }
    h->answers[0] = h->answers[5];
}

int tc_http_open(struct tc_serve *s, const char *token, struct tc_http **out)
{
    struct tc_http *h = calloc(1, sizeof(*h));
    if (!h)
        return tc_fail(TC_ENOMEM, "no memory for the HTTP server");
    h->serve = s;
    h->token = token;
    h->fd = -1;
    pthread_mutex_init(&h->lock, NULL);
    snprintf(h->csp, sizeof(h->csp),
             "default-src 'none'; script-src 'self'; style-src 'self'%s; img-src 'self' data: blob:; "
             "connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
             "form-action 'none'; frame-ancestors 'none'",
             tc_style_hashes);
    register_metrics(h);
    int rc = listen_on(h, s->conf.host, s->conf.port);
    if (rc == TC_OK)
        rc = tc_query_pool_open(s, QUERY_THREADS, &h->pool);
    if (rc == TC_OK)
        rc = start_daemon(h);
    if (rc != TC_OK) {
        tc_http_close(h);
        return rc;
    }
    *out = h;
    return TC_OK;
}

void tc_http_close(struct tc_http *h)
{
    if (!h)
        return;
    tc_query_pool_close(h->pool); /* everything suspended goes on, to be answered or closed */
    if (h->daemon)
        MHD_stop_daemon(h->daemon);
    if (h->fd >= 0)
        close(h->fd);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

int32_t tc_http_port(const struct tc_http *h)
{
    return h->port;
}
