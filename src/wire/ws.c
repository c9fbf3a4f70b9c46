#include "wire/ws.h"
#include "base/err.h"
#include "base/num.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum { HEAD_MAX = 16384, ROOM = 65536, FRAME_HEAD = 14 };

/* ---- handshake ---- */

void tc_ws_key(const uint8_t random[static 16], char out[static TC_WS_KEY_SIZE])
{
    EVP_EncodeBlock((unsigned char *)out, random, 16);
}

void tc_ws_request(struct tc_buf *out, const char *host, const char *path, const char *key, const char *extra)
{
    tc_buf_printf(out,
                  "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"
                  "User-Agent: tickcast\r\n%s\r\n",
                  path, host, key, extra);
}

/* The value that proves the server read our key (RFC 6455, 4.2.2). */
static void accept_of(const char *key, char out[static 32])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[TC_WS_KEY_SIZE + sizeof(guid)];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int len = snprintf(text, sizeof(text), "%.24s%s", key, guid);
    out[0] = '\0';
    if (EVP_Digest(text, (size_t)len, digest, &n, EVP_sha1(), NULL) == 1 && n == 20)
        EVP_EncodeBlock((unsigned char *)out, digest, 20);
}

/* One header line "name: value" without its line end. */
struct line {
    const char *name, *value;
    size_t name_n, value_n;
};

static bool split(const char *p, size_t n, struct line *out)
{
    const char *colon = memchr(p, ':', n);
    if (!colon || colon == p)
        return false;
    const char *v = colon + 1, *end = p + n;
    while (v < end && (*v == ' ' || *v == '\t'))
        v++;
    while (end > v && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *out = (struct line){p, v, (size_t)(colon - p), (size_t)(end - v)};
    return true;
}

static bool named(const struct line *l, const char *name)
{
    return l->name_n == strlen(name) && strncasecmp(l->name, name, l->name_n) == 0;
}

static bool holds(const struct line *l, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= l->value_n; i++)
        if (strncasecmp(l->value + i, word, n) == 0)
            return true;
    return false;
}

struct seen {
    bool upgrade, connection, accepted, bad_extension;
};

static void take_line(const struct line *l, const char *accept, struct tc_ws_answer *a, struct seen *seen)
{
    int64_t v;
    if (named(l, "Upgrade"))
        seen->upgrade = holds(l, "websocket");
    else if (named(l, "Connection"))
        seen->connection = holds(l, "upgrade");
    else if (named(l, "Sec-WebSocket-Accept"))
        seen->accepted = l->value_n == strlen(accept) && !memcmp(l->value, accept, l->value_n);
    else if (named(l, "Retry-After") && tc_parse_int(l->value, l->value_n, &v) && v >= 0)
        a->retry_after_s = v < 86400 ? (int)v : 86400;
    else if (named(l, "Sec-WebSocket-Extensions")) {
        a->deflate = holds(l, "permessage-deflate");
        a->no_context = holds(l, "server_no_context_takeover");
        seen->bad_extension = !a->deflate;
    }
}

static bool status_line(const char *p, size_t n, struct tc_ws_answer *a)
{
    int64_t status;
    if (n < 12 || strncmp(p, "HTTP/1.", 7) || p[8] != ' ' || !tc_parse_int(p + 9, 3, &status))
        return false;
    a->status = (int)status;
    size_t words = n > 13 ? n - 13 : 0;
    snprintf(a->reason, sizeof(a->reason), "%.*s", (int)(words < 60 ? words : 60), words ? p + 13 : "");
    for (char *c = a->reason; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
            *c = '?';
    return true;
}

int tc_ws_answer(const char *bytes, size_t n, const char *key, struct tc_ws_answer *out, size_t *out_len)
{
    const char *end = memmem(bytes, n, "\r\n\r\n", 4);
    *out = (struct tc_ws_answer){.retry_after_s = -1};
    if (!end)
        return n > HEAD_MAX ? tc_fail(TC_EINPUT, "the answer to the WebSocket request has no end") : TC_AGAIN;
    char accept[32];
    struct seen seen = {0};
    accept_of(key, accept);
    const char *p = bytes, *stop = end + 2;
    for (bool first = true; p < stop; first = false) {
        const char *eol = memmem(p, (size_t)(stop - p), "\r\n", 2);
        struct line l;
        if (!eol || (first ? !status_line(p, (size_t)(eol - p), out) : !split(p, (size_t)(eol - p), &l)))
            return tc_fail(TC_EINPUT, "what answers is no HTTP server");
        if (!first)
            take_line(&l, accept, out, &seen);
        p = eol + 2;
    }
    *out_len = (size_t)(end + 4 - bytes);
    if (out->status != 101)
        return tc_fail(TC_EPEER, "the server answers %d %s", out->status, out->reason);
    if (!seen.upgrade || !seen.connection || !seen.accepted || seen.bad_extension)
        return tc_fail(TC_EINPUT, "the server's answer to the WebSocket request does not fit it");
    return TC_OK;
}

/* ---- frames ---- */

void tc_ws_frame(struct tc_buf *out, enum tc_ws_op op, const void *payload, size_t n,
                 const uint8_t mask[static 4])
{
    const uint8_t *p = payload;
    tc_buf_char(out, (char)(0x80 | op));
    if (n < 126) {
        tc_buf_char(out, (char)(0x80 | n));
    } else if (n < 65536) {
        tc_buf_char(out, (char)(0x80 | 126));
        tc_buf_char(out, (char)(n >> 8));
        tc_buf_char(out, (char)n);
    } else {
        tc_buf_char(out, (char)(0x80 | 127));
        for (int i = 7; i >= 0; i--)
            tc_buf_char(out, (char)((uint64_t)n >> (8 * i)));
    }
    tc_buf_put(out, mask, 4);
    for (size_t i = 0; i < n; i++)
        tc_buf_char(out, (char)(p[i] ^ mask[i & 3]));
}

struct tc_ws_reader {
    size_t max;
    bool deflate, no_context, zlib_open;
    z_stream z;
    char *in; /* bytes from the peer: [at, have) not yet read */
    size_t at, have, cap;
    struct tc_buf message; /* pieces of a fragmented or packed message */
    bool in_message, packed, done;
    enum tc_ws_op op;
};

int tc_ws_reader_open(struct tc_ws_reader **out, size_t max, const struct tc_ws_answer *agreed)
{
    struct tc_ws_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return tc_fail(TC_ENOMEM, "no memory for a WebSocket");
    r->max = max;
    r->deflate = agreed->deflate;
    r->no_context = agreed->no_context;
    r->cap = max + FRAME_HEAD + ROOM;
    r->in = malloc(r->cap);
    tc_buf_init(&r->message, max + 1);
    if (r->deflate)
        r->zlib_open = inflateInit2(&r->z, -15) == Z_OK;
    if (!r->in || (r->deflate && !r->zlib_open)) {
        tc_ws_reader_close(r);
        return tc_fail(TC_ENOMEM, "no memory for a WebSocket");
    }
    *out = r;
    return TC_OK;
}

void tc_ws_reader_close(struct tc_ws_reader *r)
{
    if (!r)
        return;
    if (r->zlib_open)
        inflateEnd(&r->z);
    tc_buf_release(&r->message);
    free(r->in);
    free(r);
}

int tc_ws_reader_room(struct tc_ws_reader *r, char **out, size_t *out_n)
{
    if (r->at == r->have)
        r->at = r->have = 0;
    if (r->cap - r->have < ROOM) { /* less than a whole frame is kept, so this moves little and always fits */
        memmove(r->in, r->in + r->at, r->have - r->at);
        r->have -= r->at;
        r->at = 0;
    }
    *out = r->in + r->have;
    *out_n = r->cap - r->have;
    return TC_OK;
}

void tc_ws_reader_got(struct tc_ws_reader *r, size_t n)
{
    r->have += n;
}

struct head {
    bool fin, packed;
    int op;
    size_t len, size; /* of the payload, of the head */
};

static int frame_head(const struct tc_ws_reader *r, struct head *h)
{
    const uint8_t *p = (const uint8_t *)r->in + r->at;
    size_t n = r->have - r->at;
    if (n < 2)
        return TC_AGAIN;
    *h = (struct head){
        .fin = p[0] & 0x80, .packed = p[0] & 0x40, .op = p[0] & 15, .len = p[1] & 127, .size = 2};
    if (p[1] & 0x80)
        return tc_fail(TC_EINPUT, "the server masks its frames, which the protocol forbids");
    if (p[0] & 0x30 || (h->packed && (!r->deflate || h->op == 0 || h->op > 7)))
        return tc_fail(TC_EINPUT, "a frame uses an extension that was not agreed on");
    if (h->op > 10 || (h->op > 2 && h->op < 8))
        return tc_fail(TC_EINPUT, "a frame of unknown kind %d", h->op);
    size_t more = h->len == 126 ? 2 : h->len == 127 ? 8 : 0;
    if (h->op >= 8 && (more || !h->fin))
        return tc_fail(TC_EINPUT, "a control frame that is too long or in pieces");
    if (n < 2 + more)
        return TC_AGAIN;
    if (more)
        h->len = 0;
    for (size_t i = 0; i < more; i++) {
        if (h->len >> 48)
            return tc_fail(TC_ELIMIT, "a frame longer than any that may come");
        h->len = h->len << 8 | p[2 + i];
    }
    h->size += more;
    if (h->len > r->max)
        return tc_fail(TC_ELIMIT, "a frame of %zu bytes is over the bound of %zu", h->len, r->max);
    return n < h->size + h->len ? TC_AGAIN : TC_OK;
}

/* Unpacks `n` bytes behind what the message holds already. */
static int unpack(struct tc_ws_reader *r, const char *data, size_t n)
{
    char room[16384];
    r->z.next_in = (Bytef *)(uintptr_t)data; /* zlib reads it only */
    r->z.avail_in = (uInt)n;
    for (;;) {
        r->z.next_out = (Bytef *)room;
        r->z.avail_out = sizeof(room);
        int z = inflate(&r->z, Z_SYNC_FLUSH);
        if (z != Z_OK && z != Z_BUF_ERROR && z != Z_STREAM_END)
            return tc_fail(TC_EINPUT, "a packed frame that cannot be unpacked");
        tc_buf_put(&r->message, room, sizeof(room) - r->z.avail_out);
        if (r->message.overflow || r->message.len > r->max)
            return tc_fail(TC_ELIMIT, "a packed message is over the bound of %zu bytes", r->max);
        if (z == Z_STREAM_END && inflateReset(&r->z) != Z_OK)
            return tc_fail(TC_EINPUT, "a packed frame that cannot be unpacked");
        if (z == Z_BUF_ERROR || (!r->z.avail_in && r->z.avail_out))
            return TC_OK;
    }
}

static int take_piece(struct tc_ws_reader *r, const char *data, const struct head *h)
{
    if (!r->packed) {
        tc_buf_put(&r->message, data, h->len);
        if (r->message.overflow || r->message.len > r->max)
            return tc_fail(TC_ELIMIT, "a message is over the bound of %zu bytes", r->max);
        return TC_OK;
    }
    static const char tail[] = {0, 0, (char)0xff, (char)0xff};
    int rc = unpack(r, data, h->len);
    if (rc || !h->fin)
        return rc;
    rc = unpack(r, tail, sizeof(tail));
    if (!rc && r->no_context && inflateReset(&r->z) != Z_OK)
        rc = tc_fail(TC_EINPUT, "a packed frame that cannot be unpacked");
    return rc;
}

int tc_ws_reader_next(struct tc_ws_reader *r, struct tc_ws_message *out)
{
    struct head h;
    if (r->done) {
        r->done = false;
        tc_buf_clear(&r->message);
    }
    for (;;) {
        int rc = frame_head(r, &h);
        if (rc)
            return rc;
        const char *data = r->in + r->at + h.size;
        r->at += h.size + h.len;
        if (h.op >= 8 || (h.fin && !h.packed && !r->in_message && h.op)) { /* whole as it stands */
            *out = (struct tc_ws_message){(enum tc_ws_op)h.op, data, h.len};
            return TC_OK;
        }
        if ((h.op == 0) != r->in_message)
            return tc_fail(TC_EINPUT, "the pieces of a message are mixed up");
        if (!r->in_message) {
            r->in_message = true;
            r->packed = h.packed;
            r->op = (enum tc_ws_op)h.op;
        }
        rc = take_piece(r, data, &h);
        if (rc)
            return rc;
        if (!h.fin)
            continue;
        r->in_message = false;
        r->done = true;
        *out = (struct tc_ws_message){r->op, r->message.len ? r->message.data : "", r->message.len};
        return TC_OK;
    }
}

int tc_ws_close_code(const struct tc_ws_message *m, char *reason, size_t size)
{
    size_t n = m->n > 2 ? m->n - 2 : 0;
    if (size) {
        n = n < size - 1 ? n : size - 1;
        for (size_t i = 0; i < n; i++) {
            unsigned char c = (unsigned char)m->data[2 + i];
            reason[i] = (char)(c < 0x20 || c > 0x7e ? '?' : c);
        }
        reason[n] = '\0';
    }
    return m->n < 2 ? 1005 : (uint8_t)m->data[0] << 8 | (uint8_t)m->data[1];
}
