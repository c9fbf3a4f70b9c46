#include "wire/cql.h"
#include "base/err.h"

#include <arpa/inet.h>
#include <lz4.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

enum {
    VERSION_REQUEST = 0x04,
    VERSION_RESPONSE = 0x84,
    FLAG_COMPRESSED = 0x01,
    FLAG_TRACING = 0x02,
    FLAG_PAYLOAD = 0x04,
    FLAG_WARNING = 0x08,
    Q_VALUES = 0x01,
    Q_PAGE_SIZE = 0x04,
    Q_PAGING_STATE = 0x08,
    Q_SERIAL = 0x10,
    ROWS_GLOBAL = 1,
    ROWS_MORE = 2,
    ROWS_NO_METADATA = 4,
    TYPE_LIST = 0x20,
    TYPE_MAP = 0x21,
    TYPE_UDT = 0x30,
    TYPE_TUPLE = 0x31,
    TYPE_DEPTH_MAX = 8,
    INFLATION_MAX = 255, /* LZ4 cannot make more of a byte */
};

static const char *const consistencies[] = {
    "ANY",          "ONE",         "TWO",    "THREE",        "QUORUM",    "ALL",
    "LOCAL_QUORUM", "EACH_QUORUM", "SERIAL", "LOCAL_SERIAL", "LOCAL_ONE",
};

int tc_cql_consistency_of(const char *name)
{
    for (int i = 0; i <= TC_CQL_LOCAL_ONE; i++)
        if (strcasecmp(name, consistencies[i]) == 0)
            return i;
    return -1;
}

const char *tc_cql_consistency_name(int c)
{
    return c >= 0 && c <= TC_CQL_LOCAL_ONE ? consistencies[c] : "an unknown level";
}

/* --- reading
 * ------------------------------------------------------------------------------------------------ */

/* The next n bytes, or NULL and `bad`. */
static const uint8_t *take(struct tc_cql_in *in, size_t n)
{
    if (in->bad || n > (size_t)(in->end - in->p)) {
        in->bad = true;
        return NULL;
    }
    const uint8_t *p = in->p;
    in->p += n;
    return p;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t be64(const uint8_t *p)
{
    return (uint64_t)be32(p) << 32 | be32(p + 4);
}

uint8_t tc_cql_u8(struct tc_cql_in *in)
{
    const uint8_t *p = take(in, 1);
    return p ? *p : 0;
}

uint16_t tc_cql_u16(struct tc_cql_in *in)
{
    const uint8_t *p = take(in, 2);
    return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

int32_t tc_cql_i32(struct tc_cql_in *in)
{
    const uint8_t *p = take(in, 4);
    return p ? (int32_t)be32(p) : 0;
}

struct tc_cql_text tc_cql_string(struct tc_cql_in *in)
{
    size_t n = tc_cql_u16(in);
    const uint8_t *p = take(in, n);
    return (struct tc_cql_text){p ? (const char *)p : "", p ? n : 0};
}

struct tc_cql_bytes tc_cql_bytes(struct tc_cql_in *in)
{
    int32_t n = tc_cql_i32(in);
    if (n < 0)
        return (struct tc_cql_bytes){NULL, 0};
    const uint8_t *p = take(in, (size_t)n);
    return (struct tc_cql_bytes){p, p ? (size_t)n : 0};
}

struct tc_cql_bytes tc_cql_short_bytes(struct tc_cql_in *in)
{
    size_t n = tc_cql_u16(in);
    const uint8_t *p = take(in, n);
    return (struct tc_cql_bytes){p, p ? n : 0};
}

bool tc_cql_text_is(struct tc_cql_text t, const char *s)
{
    return t.n == strlen(s) && memcmp(t.p, s, t.n) == 0;
}

void tc_cql_text_copy(struct tc_cql_text t, char *out, size_t size)
{
    size_t n = t.n < size ? t.n : size - 1;
    memcpy(out, t.p, n);
    out[n] = '\0';
}

int64_t tc_cql_as_bigint(struct tc_cql_bytes v, int64_t fallback)
{
    return v.n == 8 ? (int64_t)be64(v.p) : fallback;
}

int32_t tc_cql_as_int(struct tc_cql_bytes v, int32_t fallback)
{
    return v.n == 4 ? (int32_t)be32(v.p) : fallback;
}

double tc_cql_as_double(struct tc_cql_bytes v)
{
    if (v.n != 8)
        return NAN;
    uint64_t bits = be64(v.p);
    double d;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

bool tc_cql_as_boolean(struct tc_cql_bytes v)
{
    return v.n == 1 && v.p[0] != 0;
}

int tc_cql_frame(const uint8_t *bytes, size_t n, struct tc_cql_frame *out, size_t *used)
{
    if (n < 1)
        return TC_AGAIN;
    if (bytes[0] != VERSION_RESPONSE && (bytes[0] & 0x80) && (bytes[0] & 0x7f) >= 1 && (bytes[0] & 0x7f) <= 6)
        return tc_fail(TC_EPEER, "the server answers in version %d of the protocol, this program speaks 4",
                       bytes[0] & 0x7f);
    if (bytes[0] != VERSION_RESPONSE)
        return tc_fail(TC_EINPUT, "not an answer of Cassandra's native protocol (first byte 0x%02x)",
                       bytes[0]);
    if (n < TC_CQL_HEADER)
        return TC_AGAIN;
    uint32_t length = be32(bytes + 5);
    if (length > TC_CQL_BODY_MAX)
        return tc_fail(TC_ELIMIT, "a frame of %u bytes, at most %d are taken", (unsigned)length,
                       TC_CQL_BODY_MAX);
    out->flags = bytes[1];
    out->stream = (int16_t)(bytes[2] << 8 | bytes[3]);
    out->op = bytes[4];
    out->length = length;
    if (n - TC_CQL_HEADER < length)
        return TC_AGAIN;
    out->body = bytes + TC_CQL_HEADER;
    *used = TC_CQL_HEADER + (size_t)length;
    return TC_OK;
}

/* v4: 4 bytes of uncompressed length, then a raw LZ4 block. */
static int inflate(const struct tc_cql_frame *f, struct tc_buf *room, struct tc_cql_in *out)
{
    if (f->length < 4)
        return tc_fail(TC_EINPUT, "a compressed frame of %u bytes", (unsigned)f->length);
    uint32_t size = be32(f->body);
    if (size > TC_CQL_BODY_MAX || size / INFLATION_MAX > f->length)
        return tc_fail(TC_EINPUT, "a compressed frame that claims %u bytes", (unsigned)size);
    tc_buf_clear(room);
    if (!tc_buf_reserve(room, size))
        return tc_fail(TC_ENOMEM, "no memory for a frame of %u bytes", (unsigned)size);
    int made =
        size ? LZ4_decompress_safe((const char *)f->body + 4, room->data, (int)f->length - 4, (int)size) : 0;
    if (made != (int)size)
        return tc_fail(TC_EINPUT, "a compressed frame that is damaged");
    room->len = size;
    *out = (struct tc_cql_in){(const uint8_t *)room->data, (const uint8_t *)room->data + size, false};
    return TC_OK;
}

static void skip_payload(struct tc_cql_in *in)
{
    for (uint16_t n = tc_cql_u16(in); n > 0 && !in->bad; n--) {
        tc_cql_string(in);
        tc_cql_bytes(in);
    }
}

int tc_cql_message(const struct tc_cql_frame *f, struct tc_buf *room, struct tc_cql_in *out,
                   struct tc_cql_text *warning)
{
    *out = (struct tc_cql_in){f->body, f->body + f->length, false};
    *warning = (struct tc_cql_text){"", 0};
    int rc = f->flags & FLAG_COMPRESSED ? inflate(f, room, out) : TC_OK;
    if (rc != TC_OK)
        return rc;
    if (f->flags & FLAG_TRACING)
        take(out, 16);
    if (f->flags & FLAG_WARNING) {
        uint16_t n = tc_cql_u16(out);
        for (uint16_t i = 0; i < n && !out->bad; i++) {
            struct tc_cql_text t = tc_cql_string(out);
            if (i == 0)
                *warning = t;
        }
    }
    if (f->flags & FLAG_PAYLOAD)
        skip_payload(out);
    return out->bad ? tc_fail(TC_EINPUT, "a frame that ends inside its own preamble") : TC_OK;
}

static int truncated(const char *what)
{
    return tc_fail(TC_EINPUT, "%s that ends too early", what);
}

int tc_cql_read_error(struct tc_cql_in *in, struct tc_cql_error *out)
{
    *out = (struct tc_cql_error){.write_type = {"", 0}};
    out->code = tc_cql_i32(in);
    out->message = tc_cql_string(in);
    switch (out->code) {
    case TC_CQL_E_UNAVAILABLE:
        out->consistency = tc_cql_u16(in);
        out->required = tc_cql_i32(in);
        out->received = tc_cql_i32(in);
        break;
    case TC_CQL_E_WRITE_TIMEOUT:
    case TC_CQL_E_READ_TIMEOUT:
    case TC_CQL_E_READ_FAILURE:
    case TC_CQL_E_WRITE_FAILURE:
        out->consistency = tc_cql_u16(in);
        out->received = tc_cql_i32(in);
        out->required = tc_cql_i32(in);
        if (out->code == TC_CQL_E_WRITE_FAILURE)
            tc_cql_i32(in); /* how many replicas failed */
        if (out->code == TC_CQL_E_WRITE_TIMEOUT || out->code == TC_CQL_E_WRITE_FAILURE)
            out->write_type = tc_cql_string(in);
        break;
    case TC_CQL_E_UNPREPARED:
        out->id = tc_cql_short_bytes(in);
        break;
    default:
        break; /* what else an error may carry is in its message too */
    }
    return in->bad ? truncated("an error message") : TC_OK;
}

static const char *code_words(int32_t code)
{
    switch (code) {
    case TC_CQL_E_SERVER:
        return "the server failed";
    case TC_CQL_E_PROTOCOL:
        return "the server did not understand the request";
    case TC_CQL_E_CREDENTIALS:
        return "user or password is wrong";
    case TC_CQL_E_UNAVAILABLE:
        return "too few replicas are alive";
    case TC_CQL_E_OVERLOADED:
        return "the server is overloaded";
    case TC_CQL_E_BOOTSTRAPPING:
        return "the server is still joining its cluster";
    case TC_CQL_E_WRITE_TIMEOUT:
        return "replicas did not confirm the write in time";
    case TC_CQL_E_READ_TIMEOUT:
        return "replicas did not answer the read in time";
    case TC_CQL_E_READ_FAILURE:
        return "a replica failed to read";
    case TC_CQL_E_WRITE_FAILURE:
        return "a replica failed to write";
    case TC_CQL_E_SYNTAX:
        return "the statement is not CQL";
    case TC_CQL_E_UNAUTHORIZED:
        return "the user may not do this (or the roles' own replicas are down)";
    case TC_CQL_E_INVALID:
        return "the statement is not valid";
    case TC_CQL_E_CONFIG:
        return "the schema does not allow this";
    case TC_CQL_E_EXISTS:
        return "it exists already";
    case TC_CQL_E_UNPREPARED:
        return "the statement is no longer prepared there";
    default:
        return "an error";
    }
}

void tc_cql_error_text(const struct tc_cql_error *e, char *out, size_t size)
{
    int cut = e->message.n < 300 ? (int)e->message.n : 300;
    int n =
        snprintf(out, size, "%s (0x%04x: %.*s", code_words(e->code), (unsigned)e->code, cut, e->message.p);
    if (e->required > 0 && n > 0 && (size_t)n < size)
        n += snprintf(out + n, size - (size_t)n, "; %s, %d of %d", tc_cql_consistency_name(e->consistency),
                      (int)e->received, (int)e->required);
    if (n > 0 && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, ")");
}

/* Reads an [option] of a column's type, and past whatever it contains. */
static uint16_t read_type(struct tc_cql_in *in, int depth)
{
    uint16_t type = tc_cql_u16(in);
    if (depth > TYPE_DEPTH_MAX) {
        in->bad = true;
        return 0;
    }
    if (type == TC_CQL_T_CUSTOM)
        tc_cql_string(in);
    else if (type == TYPE_LIST || type == TC_CQL_T_SET)
        read_type(in, depth + 1);
    else if (type == TYPE_MAP) {
        read_type(in, depth + 1);
        read_type(in, depth + 1);
    } else if (type == TYPE_UDT || type == TYPE_TUPLE) {
        if (type == TYPE_UDT) {
            tc_cql_string(in);
            tc_cql_string(in);
        }
        for (uint16_t n = tc_cql_u16(in); n > 0 && !in->bad; n--) {
            if (type == TYPE_UDT)
                tc_cql_string(in);
            read_type(in, depth + 1);
        }
    }
    return type;
}

static void read_columns(struct tc_cql_in *in, int32_t flags, int32_t n, struct tc_cql_column *out)
{
    if (flags & ROWS_NO_METADATA)
        return;
    if (flags & ROWS_GLOBAL) {
        tc_cql_string(in);
        tc_cql_string(in);
    }
    for (int32_t i = 0; i < n && !in->bad; i++) {
        if (!(flags & ROWS_GLOBAL)) {
            tc_cql_string(in);
            tc_cql_string(in);
        }
        out[i].name = tc_cql_string(in);
        out[i].type = read_type(in, 0);
    }
}

static int column_count(struct tc_cql_in *in, int32_t *out)
{
    *out = tc_cql_i32(in);
    if (in->bad)
        return truncated("a result");
    if (*out < 0 || *out > TC_CQL_COLUMNS_MAX)
        return tc_fail(TC_ELIMIT, "a result of %d columns, at most %d are taken", (int)*out,
                       TC_CQL_COLUMNS_MAX);
    return TC_OK;
}

static int read_rows(struct tc_cql_in *in, struct tc_cql_result *out)
{
    int32_t flags = tc_cql_i32(in);
    int rc = column_count(in, &out->n_columns);
    if (rc != TC_OK)
        return rc;
    out->more = flags & ROWS_MORE;
    if (out->more)
        out->paging = tc_cql_bytes(in);
    if (out->paging.n > TC_CQL_PAGING_MAX)
        return tc_fail(TC_ELIMIT, "a paging state of %zu bytes", out->paging.n);
    read_columns(in, flags, out->n_columns, out->columns);
    out->n_rows = tc_cql_i32(in);
    if (in->bad || out->n_rows < 0)
        return truncated("a result of rows");
    /* Every value has a length of four bytes, so more rows than that cannot follow. */
    size_t least = (size_t)out->n_columns * 4 * (size_t)out->n_rows;
    if (least > (size_t)(in->end - in->p) || (out->n_columns == 0 && out->n_rows > 0))
        return tc_fail(TC_EINPUT, "a result that claims %d rows and does not hold them", (int)out->n_rows);
    return TC_OK;
}

static int read_prepared(struct tc_cql_in *in, struct tc_cql_result *out)
{
    struct tc_cql_column binds[TC_CQL_COLUMNS_MAX];
    out->id = tc_cql_short_bytes(in);
    if (out->id.n == 0 || out->id.n > TC_CQL_ID_MAX)
        return tc_fail(TC_EINPUT, "a prepared statement with an id of %zu bytes", out->id.n);
    int32_t flags = tc_cql_i32(in);
    int rc = column_count(in, &out->n_binds);
    if (rc != TC_OK)
        return rc;
    out->n_keys = tc_cql_i32(in);
    if (out->n_keys < 0 || out->n_keys > TC_CQL_KEYS_MAX)
        return tc_fail(TC_ELIMIT, "a partition key of %d columns", (int)out->n_keys);
    for (int32_t i = 0; i < out->n_keys; i++) {
        out->keys[i] = tc_cql_u16(in);
        if (!in->bad && out->keys[i] >= out->n_binds)
            return tc_fail(TC_EINPUT, "a partition key made of a value that does not exist");
    }
    read_columns(in, flags, out->n_binds, binds);
    if (flags & ROWS_NO_METADATA && out->n_binds > 0)
        return tc_fail(TC_EINPUT, "a prepared statement without the types of its values");
    for (int32_t i = 0; i < out->n_binds && !in->bad; i++)
        out->binds[i] = binds[i].type;
    int32_t result_flags = tc_cql_i32(in);
    if (!in->bad && (rc = column_count(in, &out->n_columns)) != TC_OK)
        return rc;
    if (result_flags & ROWS_MORE)
        tc_cql_bytes(in);
    read_columns(in, result_flags, out->n_columns, out->columns);
    return in->bad ? truncated("a prepared statement") : TC_OK;
}

int tc_cql_read_result(struct tc_cql_in *in, struct tc_cql_result *out)
{
    out->n_columns = out->n_rows = out->n_binds = out->n_keys = 0;
    out->more = false;
    out->paging = out->id = (struct tc_cql_bytes){NULL, 0};
    int32_t kind = tc_cql_i32(in);
    if (in->bad)
        return truncated("a result");
    out->kind = (enum tc_cql_result_kind)kind;
    switch (kind) {
    case TC_CQL_ROWS:
        return read_rows(in, out);
    case TC_CQL_PREPARED:
        return read_prepared(in, out);
    case TC_CQL_VOID:
    case TC_CQL_SET_KEYSPACE:
    case TC_CQL_SCHEMA_CHANGE:
        return TC_OK;
    default:
        return tc_fail(TC_EINPUT, "a result of unknown kind %d", (int)kind);
    }
}

int tc_cql_read_event(struct tc_cql_in *in, struct tc_cql_event *out)
{
    struct tc_cql_text kind = tc_cql_string(in);
    out->change = tc_cql_string(in);
    out->host[0] = '\0';
    out->keyspace = (struct tc_cql_text){"", 0};
    if (tc_cql_text_is(kind, "SCHEMA_CHANGE")) {
        out->kind = TC_CQL_SCHEMA;
        tc_cql_string(in); /* keyspace, table, type, function ... */
        out->keyspace = tc_cql_string(in);
    } else if (tc_cql_text_is(kind, "TOPOLOGY_CHANGE") || tc_cql_text_is(kind, "STATUS_CHANGE")) {
        out->kind = tc_cql_text_is(kind, "STATUS_CHANGE") ? TC_CQL_STATUS : TC_CQL_TOPOLOGY;
        size_t n = tc_cql_u8(in);
        const uint8_t *p = take(in, n);
        tc_cql_i32(in); /* port */
        tc_cql_inet_text((struct tc_cql_bytes){p, p ? n : 0}, out->host);
    } else if (!in->bad) {
        return tc_fail(TC_EINPUT, "an event of a kind that was not asked for");
    }
    return in->bad ? truncated("an event") : TC_OK;
}

void tc_cql_inet_text(struct tc_cql_bytes v, char out[static 46])
{
    out[0] = '\0';
    if (v.n == 4 || v.n == 16)
        inet_ntop(v.n == 4 ? AF_INET : AF_INET6, v.p, out, 46);
}

/* --- writing
 * ------------------------------------------------------------------------------------------------ */

void tc_cql_put_u16(struct tc_buf *b, uint16_t v)
{
    uint8_t w[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    tc_buf_put(b, w, sizeof(w));
}

static void store32(uint8_t w[static 4], uint32_t v)
{
    w[0] = (uint8_t)(v >> 24);
    w[1] = (uint8_t)(v >> 16);
    w[2] = (uint8_t)(v >> 8);
    w[3] = (uint8_t)v;
}

void tc_cql_put_i32(struct tc_buf *b, int32_t v)
{
    uint8_t w[4];
    store32(w, (uint32_t)v);
    tc_buf_put(b, w, sizeof(w));
}

void tc_cql_put_i64(struct tc_buf *b, int64_t v)
{
    uint8_t w[8];
    store32(w, (uint32_t)((uint64_t)v >> 32));
    store32(w + 4, (uint32_t)v);
    tc_buf_put(b, w, sizeof(w));
}

void tc_cql_put_string(struct tc_buf *b, const char *s)
{
    size_t n = strlen(s);
    if (n > UINT16_MAX) {
        b->overflow = true;
        return;
    }
    tc_cql_put_u16(b, (uint16_t)n);
    tc_buf_put(b, s, n);
}

void tc_cql_put_long_string(struct tc_buf *b, const char *s)
{
    tc_cql_put_bytes(b, s, strlen(s));
}

void tc_cql_put_bytes(struct tc_buf *b, const void *bytes, size_t n)
{
    if (n > TC_CQL_BODY_MAX) {
        b->overflow = true;
        return;
    }
    tc_cql_put_i32(b, (int32_t)n);
    tc_buf_put(b, bytes, n);
}

void tc_cql_put_short_bytes(struct tc_buf *b, const void *p, size_t n)
{
    if (n > UINT16_MAX) {
        b->overflow = true;
        return;
    }
    tc_cql_put_u16(b, (uint16_t)n);
    tc_buf_put(b, p, n);
}

void tc_cql_put_null(struct tc_buf *b)
{
    tc_cql_put_i32(b, -1);
}

void tc_cql_put_unset(struct tc_buf *b)
{
    tc_cql_put_i32(b, -2);
}

void tc_cql_put_bigint(struct tc_buf *b, int64_t v)
{
    tc_cql_put_i32(b, 8);
    tc_cql_put_i64(b, v);
}

void tc_cql_put_int(struct tc_buf *b, int32_t v)
{
    tc_cql_put_i32(b, 4);
    tc_cql_put_i32(b, v);
}

void tc_cql_put_double(struct tc_buf *b, double v)
{
    int64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    tc_cql_put_bigint(b, bits);
}

void tc_cql_put_boolean(struct tc_buf *b, bool v)
{
    tc_cql_put_i32(b, 1);
    tc_buf_char(b, v ? 1 : 0);
}

void tc_cql_put_text(struct tc_buf *b, const char *s)
{
    tc_cql_put_bytes(b, s, strlen(s));
}

size_t tc_cql_begin(struct tc_buf *b, enum tc_cql_op op, int16_t stream)
{
    size_t begin = b->len;
    uint8_t header[TC_CQL_HEADER] = {VERSION_REQUEST, 0, (uint8_t)((uint16_t)stream >> 8), (uint8_t)stream,
                                     (uint8_t)op};
    tc_buf_put(b, header, sizeof(header));
    return begin;
}

void tc_cql_end(struct tc_buf *b, size_t begin)
{
    if (b->overflow)
        return;
    size_t body = b->len - begin - TC_CQL_HEADER;
    if (body > TC_CQL_BODY_MAX) {
        b->overflow = true;
        return;
    }
    store32((uint8_t *)b->data + begin + 5, (uint32_t)body);
}

void tc_cql_end_lz4(struct tc_buf *b, size_t begin, struct tc_buf *room)
{
    tc_cql_end(b, begin);
    if (b->overflow)
        return;
    char *body = b->data + begin + TC_CQL_HEADER;
    size_t n = b->len - begin - TC_CQL_HEADER;
    tc_buf_clear(room);
    if (n < 64 || !tc_buf_reserve(room, n))
        return; /* as it is */
    int made = LZ4_compress_default(body, room->data, (int)n, (int)n - 5);
    if (made <= 0)
        return;
    store32((uint8_t *)body, (uint32_t)n);
    memcpy(body + 4, room->data, (size_t)made);
    b->len = begin + TC_CQL_HEADER + 4 + (size_t)made;
    b->data[b->len] = '\0';
    b->data[begin + 1] |= FLAG_COMPRESSED;
    store32((uint8_t *)b->data + begin + 5, (uint32_t)made + 4);
}

void tc_cql_startup(struct tc_buf *b, int16_t stream, bool lz4, const char *driver, const char *version)
{
    size_t at = tc_cql_begin(b, TC_CQL_STARTUP, stream);
    const char *const options[][2] = {
        {"CQL_VERSION", "3.0.0"},   {"DRIVER_NAME", driver}, {"DRIVER_VERSION", version},
        {"THROW_ON_OVERLOAD", "1"}, /* an error that can be acted on, instead of a server that stops reading
                                     */
        {"COMPRESSION", "lz4"},
    };
    uint16_t n = lz4 ? 5 : 4;
    tc_cql_put_u16(b, n);
    for (uint16_t i = 0; i < n; i++) {
        tc_cql_put_string(b, options[i][0]);
        tc_cql_put_string(b, options[i][1]);
    }
    tc_cql_end(b, at);
}

void tc_cql_auth_response(struct tc_buf *b, int16_t stream, const char *user, const char *password)
{
    size_t at = tc_cql_begin(b, TC_CQL_AUTH_RESPONSE, stream);
    size_t n_user = strlen(user), n_password = strlen(password);
    if (n_user > UINT16_MAX || n_password > UINT16_MAX) {
        b->overflow = true;
        return;
    }
    tc_cql_put_i32(b, (int32_t)(2 + n_user + n_password));
    tc_buf_char(b, '\0');
    tc_buf_put(b, user, n_user);
    tc_buf_char(b, '\0');
    tc_buf_put(b, password, n_password);
    tc_cql_end(b, at);
}

void tc_cql_register(struct tc_buf *b, int16_t stream)
{
    size_t at = tc_cql_begin(b, TC_CQL_REGISTER, stream);
    tc_cql_put_u16(b, 3);
    tc_cql_put_string(b, "TOPOLOGY_CHANGE");
    tc_cql_put_string(b, "STATUS_CHANGE");
    tc_cql_put_string(b, "SCHEMA_CHANGE");
    tc_cql_end(b, at);
}

void tc_cql_prepare(struct tc_buf *b, int16_t stream, const char *statement)
{
    size_t at = tc_cql_begin(b, TC_CQL_PREPARE, stream);
    tc_cql_put_long_string(b, statement);
    tc_cql_end(b, at);
}

size_t tc_cql_open_request(struct tc_buf *b, int16_t stream, const char *statement, struct tc_cql_bytes id,
                           const struct tc_cql_params *params)
{
    size_t at = tc_cql_begin(b, statement ? TC_CQL_QUERY : TC_CQL_EXECUTE, stream);
    if (statement)
        tc_cql_put_long_string(b, statement);
    else
        tc_cql_put_short_bytes(b, id.p, id.n);
    tc_cql_put_u16(b, (uint16_t)params->consistency);
    int flags = (params->n_values ? Q_VALUES : 0) | (params->page_size > 0 ? Q_PAGE_SIZE : 0) |
                (params->paging.p ? Q_PAGING_STATE : 0) | (params->serial != TC_CQL_ANY ? Q_SERIAL : 0);
    tc_buf_char(b, (char)flags);
    if (params->n_values)
        tc_cql_put_u16(b, params->n_values);
    return at;
}

void tc_cql_close_request(struct tc_buf *b, const struct tc_cql_params *params)
{
    if (params->page_size > 0)
        tc_cql_put_i32(b, params->page_size);
    if (params->paging.p)
        tc_cql_put_bytes(b, params->paging.p, params->paging.n);
    if (params->serial != TC_CQL_ANY)
        tc_cql_put_u16(b, (uint16_t)params->serial);
}

size_t tc_cql_open_batch(struct tc_buf *b, int16_t stream, uint16_t n)
{
    size_t at = tc_cql_begin(b, TC_CQL_BATCH, stream);
    tc_buf_char(b, 1); /* unlogged: its rows are of one partition, and upserts may be repeated */
    tc_cql_put_u16(b, n);
    return at;
}

void tc_cql_batch_statement(struct tc_buf *b, struct tc_cql_bytes id, uint16_t n_values)
{
    tc_buf_char(b, 1); /* prepared */
    tc_cql_put_short_bytes(b, id.p, id.n);
    tc_cql_put_u16(b, n_values);
}

void tc_cql_close_batch(struct tc_buf *b, enum tc_cql_consistency consistency)
{
    tc_cql_put_u16(b, (uint16_t)consistency);
    tc_buf_char(b, 0);
}

/* --- routing
 * ------------------------------------------------------------------------------------------------ */

static uint64_t rotl(uint64_t v, int k)
{
    return v << k | v >> (64 - k);
}

static uint64_t le64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static uint64_t mix(uint64_t k)
{
    k ^= k >> 33;
    k *= 0xff51afd7ed558ccdULL;
    k ^= k >> 33;
    k *= 0xc4ceb9fe1a85ec53ULL;
    return k ^ k >> 33;
}

/* MurmurHash3_x64_128 by Austin Appleby (public domain); the tail as Cassandra computes it. */
int64_t tc_cql_token(const void *key, size_t n)
{
    const uint64_t c1 = 0x87c37b91114253d5ULL, c2 = 0x4cf5ad432745937fULL;
    const uint8_t *p = key;
    uint64_t h1 = 0, h2 = 0;
    for (size_t block = 0; block < n / 16; block++, p += 16) {
        h1 ^= rotl(le64(p) * c1, 31) * c2;
        h1 = (rotl(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= rotl(le64(p + 8) * c2, 33) * c1;
        h2 = (rotl(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    uint64_t k1 = 0, k2 = 0;
    size_t tail = n & 15;
    for (size_t i = tail; i > 8; i--)
        k2 ^= (uint64_t)(int64_t)(int8_t)p[i - 1] << (8 * (i - 9));
    for (size_t i = tail < 8 ? tail : 8; i > 0; i--)
        k1 ^= (uint64_t)(int64_t)(int8_t)p[i - 1] << (8 * (i - 1));
    h2 ^= rotl(k2 * c2, 33) * c1;
    h1 ^= rotl(k1 * c1, 31) * c2;
    h1 ^= n;
    h2 ^= n;
    h1 += h2;
    h2 += h1;
    h1 = mix(h1) + mix(h2);
    return h1 == (uint64_t)INT64_MIN ? INT64_MAX : (int64_t)h1;
}

void tc_cql_key_part(struct tc_buf *b, struct tc_cql_bytes column)
{
    tc_cql_put_short_bytes(b, column.p, column.n);
    tc_buf_char(b, '\0');
}
