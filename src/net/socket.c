#include "net/socket.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/net.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

static const int64_t SEND_WAIT = 5 * TC_NS_PER_SEC;

struct tc_socket {
    struct tc_socket_conf conf;
    CURL *curl;
    curl_socket_t fd;
    struct tc_ws_reader *reader;
    struct tc_buf out;
    int64_t last_in;   /* monotonic, when the last byte came */
    int64_t last_ping; /* monotonic, sent since last_in; 0 = none */
    uint64_t bytes;
    int close_code;
    bool open; /* no close frame was sent or received, no error seen */
};

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct tc_socket *s = arg;
    (void)a, (void)b, (void)c, (void)d;
    return s->conf.stop && atomic_load(s->conf.stop);
}

/* Reads the parts of the URL and gives libcurl the https or http one that connects to the same place. */
struct place {
    char host[300]; /* with the port where it is not the usual one, for the Host line */
    char *path;     /* with the query */
    char *connect;  /* URL for libcurl */
};

static void place_free(struct place *p)
{
    free(p->path);
    free(p->connect);
}

static int place_of(const char *url, struct place *out)
{
    bool tls = strncasecmp(url, "wss://", 6) == 0;
    *out = (struct place){0};
    if (!tls && strncasecmp(url, "ws://", 5) != 0)
        return tc_fail(TC_ECONF, "%.80s: the address must begin with wss:// or ws://", url);
    const char *rest = url + (tls ? 6 : 5);
    size_t host = strcspn(rest, "/?");
    if (!host || host >= sizeof(out->host) || strchr(rest, '#') || memchr(rest, '@', host))
        return tc_fail(TC_ECONF, "%.80s: this is no address of a WebSocket server", url);
    snprintf(out->host, sizeof(out->host), "%.*s", (int)host, rest);
    const char *p = rest + host;
    if (asprintf(&out->connect, "%s://%s/", tls ? "https" : "http", out->host) < 0)
        out->connect = NULL;
    if (asprintf(&out->path, "%s%s", *p == '/' ? "" : "/", p) < 0)
        out->path = NULL;
    if (out->connect && out->path)
        return TC_OK;
    place_free(out);
    return tc_fail(TC_ENOMEM, "no memory for an address");
}

static int connect_failed(CURLcode c, const char *detail, struct tc_socket_refusal *why)
{
    why->certificate = c == CURLE_PEER_FAILED_VERIFICATION || c == CURLE_SSL_CACERT_BADFILE;
    if (c == CURLE_ABORTED_BY_CALLBACK)
        return tc_fail(TC_EPEER, "stopped while connecting");
    return tc_fail(TC_EPEER, "cannot connect: %s", detail[0] ? detail : curl_easy_strerror(c));
}

static int dial(struct tc_socket *s, const struct place *p, struct tc_socket_refusal *why)
{
    char detail[CURL_ERROR_SIZE] = "";
    s->curl = curl_easy_init();
    if (!s->curl)
        return tc_fail(TC_ENOMEM, "no memory for a connection");
    CURL *c = s->curl;
    curl_easy_setopt(c, CURLOPT_URL, p->connect);
    curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1); /* never h2: the upgrade is HTTP/1.1 */
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(s->conf.connect_ns / TC_NS_PER_MS));
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, s);
    if (s->conf.ca_file)
        curl_easy_setopt(c, CURLOPT_CAINFO, s->conf.ca_file);
    CURLcode rc = curl_easy_perform(c);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, NULL);
    if (rc == CURLE_OK)
        rc = curl_easy_getinfo(c, CURLINFO_ACTIVESOCKET, &s->fd);
    return rc == CURLE_OK && s->fd != CURL_SOCKET_BAD ? TC_OK : connect_failed(rc, detail, why);
}

/* TC_OK: ready; TC_AGAIN: the time is up or wake_fd says so. */
static int wait_for(const struct tc_socket *s, short events, int64_t wait_ns, int wake_fd)
{
    struct pollfd p[2] = {{.fd = s->fd, .events = events}, {.fd = wake_fd, .events = POLLIN}};
    if (wait_ns < 0)
        wait_ns = 0;
    struct timespec t = {.tv_sec = wait_ns / TC_NS_PER_SEC, .tv_nsec = wait_ns % TC_NS_PER_SEC};
    int n = ppoll(p, wake_fd >= 0 ? 2 : 1, &t, NULL);
    if (n < 0 && errno != EINTR)
        return tc_fail(TC_EIO, "poll: %s", strerror(errno));
    return n > 0 && p[0].revents ? TC_OK : TC_AGAIN;
}

static int send_all(struct tc_socket *s)
{
    int64_t until = tc_mono_ns() + SEND_WAIT;
    size_t at = 0;
    if (s->out.overflow)
        return tc_fail(TC_ENOMEM, "no memory for a message");
    while (at < s->out.len) {
        size_t n = 0;
        CURLcode rc = curl_easy_send(s->curl, s->out.data + at, s->out.len - at, &n);
        at += n;
        if (rc == CURLE_AGAIN) {
            if (tc_mono_ns() >= until)
                return tc_fail(TC_EPEER, "the server takes nothing any more");
            wait_for(s, POLLOUT, 100 * TC_NS_PER_MS, -1);
        } else if (rc != CURLE_OK) {
            return tc_fail(TC_EPEER, "the connection broke off: %s", curl_easy_strerror(rc));
        }
    }
    return TC_OK;
}

/* TC_OK: bytes came. TC_AGAIN: none are there. */
static int receive(struct tc_socket *s, char *room, size_t size, size_t *out_n)
{
    CURLcode rc = curl_easy_recv(s->curl, room, size, out_n);
    if (rc == CURLE_AGAIN)
        return TC_AGAIN;
    if (rc != CURLE_OK)
        return tc_fail(TC_EPEER, "the connection broke off: %s", curl_easy_strerror(rc));
    if (!*out_n)
        return tc_fail(TC_EPEER, "the server has hung up");
    s->bytes += *out_n;
    s->last_in = tc_mono_ns();
    s->last_ping = 0;
    return TC_OK;
}

/* Sends the request and reads the answer; what came behind it goes to the reader. */
static int upgrade(struct tc_socket *s, const struct place *p, struct tc_socket_refusal *why)
{
    uint8_t random[16];
    char key[TC_WS_KEY_SIZE], head[32768];
    size_t have = 0, n = 0, len = 0;
    int64_t until = tc_mono_ns() + s->conf.connect_ns;
    struct tc_ws_answer answer;
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return tc_fail(TC_EIO, "no random numbers: %s", strerror(errno));
    tc_ws_key(random, key);
    tc_buf_clear(&s->out);
    tc_ws_request(&s->out, p->host, p->path, key, s->conf.headers ? s->conf.headers : "");
    int rc = send_all(s);
    for (bool whole = false; !rc && !whole;) {
        rc = receive(s, head + have, sizeof(head) - have, &n);
        if (rc == TC_AGAIN) {
            if (tc_mono_ns() >= until || on_progress(s, 0, 0, 0, 0))
                return tc_fail(TC_EPEER, "the server does not answer");
            rc = wait_for(s, POLLIN, 50 * TC_NS_PER_MS, -1);
            rc = rc == TC_AGAIN ? TC_OK : rc;
            continue;
        }
        if (rc)
            return rc;
        have += n;
        rc = tc_ws_answer(head, have, key, &answer, &len);
        why->status = answer.status;
        why->retry_after_s = answer.retry_after_s;
        whole = rc == TC_OK;
        rc = rc == TC_AGAIN ? TC_OK : rc;
    }
    if (!rc)
        rc = tc_ws_reader_open(&s->reader, s->conf.max_message, &answer);
    if (rc)
        return rc;
    char *room;
    size_t size;
    tc_ws_reader_room(s->reader, &room, &size); /* larger than `head` */
    memcpy(room, head + len, have - len);
    tc_ws_reader_got(s->reader, have - len);
    return TC_OK;
}

int tc_socket_open(const struct tc_socket_conf *conf, struct tc_socket **out, struct tc_socket_refusal *why)
{
    struct place p;
    *why = (struct tc_socket_refusal){.retry_after_s = -1};
    tc_net_start();
    int rc = place_of(conf->url, &p);
    if (rc)
        return rc;
    struct tc_socket *s = calloc(1, sizeof(*s));
    if (!s) {
        place_free(&p);
        return tc_fail(TC_ENOMEM, "no memory for a connection");
    }
    s->conf = *conf;
    s->fd = CURL_SOCKET_BAD;
    tc_buf_init(&s->out, 1 << 20);
    rc = dial(s, &p, why);
    if (!rc)
        rc = upgrade(s, &p, why);
    s->conf.url = s->conf.ca_file = s->conf.headers = NULL;
    place_free(&p);
    if (rc) {
        tc_socket_close(s);
        return rc;
    }
    s->open = true;
    *out = s;
    return TC_OK;
}

static int send_frame(struct tc_socket *s, enum tc_ws_op op, const void *payload, size_t n)
{
    uint8_t mask[4];
    if (getrandom(mask, sizeof(mask), 0) != sizeof(mask))
        return tc_fail(TC_EIO, "no random numbers: %s", strerror(errno));
    tc_buf_clear(&s->out);
    tc_ws_frame(&s->out, op, payload, n, mask);
    int rc = send_all(s);
    s->open = s->open && rc == TC_OK;
    return rc;
}

void tc_socket_close(struct tc_socket *s)
{
    if (!s)
        return;
    if (s->open) { /* a courtesy: what does not go out at once is not waited for */
        uint8_t normal[2] = {1000 >> 8, 1000 & 255}, mask[4] = {0};
        size_t n;
        tc_buf_clear(&s->out);
        tc_ws_frame(&s->out, TC_WS_CLOSE, normal, sizeof(normal), mask);
        if (!s->out.overflow)
            curl_easy_send(s->curl, s->out.data, s->out.len, &n);
    }
    tc_ws_reader_close(s->reader);
    curl_easy_cleanup(s->curl);
    tc_buf_release(&s->out);
    free(s);
}

int tc_socket_send(struct tc_socket *s, const char *text, size_t n)
{
    return send_frame(s, TC_WS_TEXT, text, n);
}

static int on_close(struct tc_socket *s, const struct tc_ws_message *m)
{
    char reason[TC_WS_CONTROL_MAX];
    s->close_code = tc_ws_close_code(m, reason, sizeof(reason));
    if (s->open)
        send_frame(s, TC_WS_CLOSE, m->data, m->n < 2 ? 0 : 2);
    s->open = false;
    return tc_fail(TC_EPEER, "the server closed the connection (%d%s%s)", s->close_code,
                   reason[0] ? ": " : "", reason);
}

/* TC_OK: a message for the caller. TC_AGAIN: what the reader holds is no whole message. */
static int next_message(struct tc_socket *s, struct tc_ws_message *out)
{
    for (;;) {
        int rc = tc_ws_reader_next(s->reader, out);
        if (rc) {
            s->open = s->open && rc == TC_AGAIN;
            return rc;
        }
        if (out->op == TC_WS_CLOSE)
            return on_close(s, out);
        if (out->op == TC_WS_PING) {
            rc = send_frame(s, TC_WS_PONG, out->data, out->n);
            if (rc)
                return rc;
        } else if (out->op != TC_WS_PONG) {
            return TC_OK;
        }
    }
}

static int stay_alive(struct tc_socket *s, int64_t now)
{
    if (s->last_ping && now - s->last_ping > s->conf.pong_wait_ns) {
        s->open = false;
        return tc_fail(TC_EPEER, "the server has been silent for %.0f s and answers no ping",
                       (double)(now - s->last_in) / 1e9);
    }
    if (s->last_ping || now - s->last_in < s->conf.ping_every_ns)
        return TC_OK;
    s->last_ping = now;
    return send_frame(s, TC_WS_PING, "", 0);
}

int tc_socket_read(struct tc_socket *s, int64_t wait_ns, int wake_fd, struct tc_ws_message *out)
{
    int64_t until = tc_mono_ns() + wait_ns;
    for (;;) {
        int rc = next_message(s, out);
        if (rc != TC_AGAIN)
            return rc;
        char *room;
        size_t size, n = 0;
        tc_ws_reader_room(s->reader, &room, &size);
        rc = receive(s, room, size, &n);
        if (rc == TC_OK) {
            tc_ws_reader_got(s->reader, n);
            continue;
        }
        int64_t now = tc_mono_ns();
        s->open = s->open && rc == TC_AGAIN;
        if (rc == TC_AGAIN)
            rc = stay_alive(s, now);
        if (rc)
            return rc;
        if (now >= until)
            return TC_AGAIN;
        rc = wait_for(s, POLLIN, until - now, wake_fd);
        if (rc)
            return rc;
    }
}

int tc_socket_close_code(const struct tc_socket *s)
{
    return s->close_code;
}

uint64_t tc_socket_bytes(const struct tc_socket *s)
{
    return s->bytes;
}
