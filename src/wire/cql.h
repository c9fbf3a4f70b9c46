/* cql.h - Cassandra's native protocol, version 4: frames and messages to bytes and back.
 *
 * Source: native_protocol_v4.spec of Apache Cassandra. No socket, no clock; whoever holds the connection is
 * in store/cql_*.h. All integers on the wire are big-endian.
 *
 * Reading never goes past its input: a reader that runs out of bytes turns `bad` and answers zeros, so that a
 * chain of reads is checked once at its end. Pointers that a decoder hands out point into the frame's body.
 *
 * Writing appends to a tc_buf, whose own `overflow` says that something did not fit.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TC_CQL_HEADER = 9,           /* bytes of a frame's header */
    TC_CQL_BODY_MAX = 64 << 20,  /* larger bodies are refused (the protocol allows 256 MB) */
    TC_CQL_COLUMNS_MAX = 96,     /* of one result */
    TC_CQL_KEYS_MAX = 8,         /* columns of one partition key */
    TC_CQL_ID_MAX = 64,          /* bytes of a prepared statement's id (16 today) */
    TC_CQL_PAGING_MAX = 4 << 10, /* bytes of a paging state */
    TC_CQL_STREAMS = 32768,      /* requests in flight on one connection at most */
};

enum tc_cql_op {
    TC_CQL_ERROR = 0x00,
    TC_CQL_STARTUP = 0x01,
    TC_CQL_READY = 0x02,
    TC_CQL_AUTHENTICATE = 0x03,
    TC_CQL_OPTIONS = 0x05,
    TC_CQL_SUPPORTED = 0x06,
    TC_CQL_QUERY = 0x07,
    TC_CQL_RESULT = 0x08,
    TC_CQL_PREPARE = 0x09,
    TC_CQL_EXECUTE = 0x0a,
    TC_CQL_REGISTER = 0x0b,
    TC_CQL_EVENT = 0x0c,
    TC_CQL_BATCH = 0x0d,
    TC_CQL_AUTH_CHALLENGE = 0x0e,
    TC_CQL_AUTH_RESPONSE = 0x0f,
    TC_CQL_AUTH_SUCCESS = 0x10,
};

enum tc_cql_consistency {
    TC_CQL_ANY,
    TC_CQL_ONE,
    TC_CQL_TWO,
    TC_CQL_THREE,
    TC_CQL_QUORUM,
    TC_CQL_ALL,
    TC_CQL_LOCAL_QUORUM,
    TC_CQL_EACH_QUORUM,
    TC_CQL_SERIAL,
    TC_CQL_LOCAL_SERIAL,
    TC_CQL_LOCAL_ONE,
};
/* -1 when the name is none of them; names as in CQL, without regard to case. */
int tc_cql_consistency_of(const char *name);
const char *tc_cql_consistency_name(int c);

/* --- reading
 * ------------------------------------------------------------------------------------------------ */

struct tc_cql_in {
    const uint8_t *p, *end;
    bool bad;
};

struct tc_cql_text { /* not 0-terminated */
    const char *p;
    size_t n;
};

struct tc_cql_bytes { /* p NULL: the value is null */
    const uint8_t *p;
    size_t n;
};

uint8_t tc_cql_u8(struct tc_cql_in *in);
uint16_t tc_cql_u16(struct tc_cql_in *in);
int32_t tc_cql_i32(struct tc_cql_in *in);
struct tc_cql_text tc_cql_string(struct tc_cql_in *in);       /* [string] */
struct tc_cql_bytes tc_cql_bytes(struct tc_cql_in *in);       /* [bytes]; also the next value of a row */
struct tc_cql_bytes tc_cql_short_bytes(struct tc_cql_in *in); /* [short bytes] */
bool tc_cql_text_is(struct tc_cql_text t, const char *s);
void tc_cql_text_copy(struct tc_cql_text t, char *out, size_t size); /* cut to fit, always terminated */

/* Values of the named type. A null or a value of another length is `fallback`; check types by column. */
int64_t tc_cql_as_bigint(struct tc_cql_bytes v, int64_t fallback);
int32_t tc_cql_as_int(struct tc_cql_bytes v, int32_t fallback);
double tc_cql_as_double(struct tc_cql_bytes v); /* NaN for null */
bool tc_cql_as_boolean(struct tc_cql_bytes v);

struct tc_cql_frame {
    uint8_t flags;
    int16_t stream; /* below 0: an event */
    uint8_t op;
    const uint8_t *body;
    uint32_t length;
};

/* Finds one response frame at the start of the bytes. TC_OK: *used bytes belong to it. TC_AGAIN: more bytes
 * are needed. TC_EINPUT: no frame of this protocol. TC_ELIMIT: longer than TC_CQL_BODY_MAX. TC_EPEER: a frame
 * of another protocol version. After an error the connection is of no more use. */
int tc_cql_frame(const uint8_t *bytes, size_t n, struct tc_cql_frame *out, size_t *used);

/* The message of a frame, with compression undone (into `room`, which must outlive it) and the optional parts
 * before it read: *warning is the first warning of the server, or empty. */
int tc_cql_message(const struct tc_cql_frame *f, struct tc_buf *room, struct tc_cql_in *out,
                   struct tc_cql_text *warning);

enum tc_cql_code { /* of an ERROR message */
                   TC_CQL_E_SERVER = 0x0000,
                   TC_CQL_E_PROTOCOL = 0x000a,
                   TC_CQL_E_CREDENTIALS = 0x0100,
                   TC_CQL_E_UNAVAILABLE = 0x1000,
                   TC_CQL_E_OVERLOADED = 0x1001,
                   TC_CQL_E_BOOTSTRAPPING = 0x1002,
                   TC_CQL_E_TRUNCATE = 0x1003,
                   TC_CQL_E_WRITE_TIMEOUT = 0x1100,
                   TC_CQL_E_READ_TIMEOUT = 0x1200,
                   TC_CQL_E_READ_FAILURE = 0x1300,
                   TC_CQL_E_FUNCTION_FAILURE = 0x1400,
                   TC_CQL_E_WRITE_FAILURE = 0x1500,
                   TC_CQL_E_SYNTAX = 0x2000,
                   TC_CQL_E_UNAUTHORIZED = 0x2100,
                   TC_CQL_E_INVALID = 0x2200,
                   TC_CQL_E_CONFIG = 0x2300,
                   TC_CQL_E_EXISTS = 0x2400,
                   TC_CQL_E_UNPREPARED = 0x2500,
};

struct tc_cql_error {
    int32_t code;
    struct tc_cql_text message;
    /* Where the code has them, else 0 (or empty). */
    uint16_t consistency;
    int32_t received, required; /* answers received or replicas alive, and needed */
    struct tc_cql_text write_type;
    struct tc_cql_bytes id; /* TC_CQL_E_UNPREPARED */
};
int tc_cql_read_error(struct tc_cql_in *in, struct tc_cql_error *out);
/* One plain sentence with the server's own words, cut to fit. */
void tc_cql_error_text(const struct tc_cql_error *e, char *out, size_t size);

enum tc_cql_type { /* of a column; lists, maps, sets, tuples and user types are read past, not understood */
                   TC_CQL_T_CUSTOM = 0x00,
                   TC_CQL_T_ASCII = 0x01,
                   TC_CQL_T_BIGINT = 0x02,
                   TC_CQL_T_BLOB = 0x03,
                   TC_CQL_T_BOOLEAN = 0x04,
                   TC_CQL_T_DOUBLE = 0x07,
                   TC_CQL_T_INT = 0x09,
                   TC_CQL_T_TIMESTAMP = 0x0b,
                   TC_CQL_T_UUID = 0x0c,
                   TC_CQL_T_TEXT = 0x0d,
                   TC_CQL_T_INET = 0x10,
                   TC_CQL_T_DATE = 0x11,
                   TC_CQL_T_SET = 0x22,
};

struct tc_cql_column {
    struct tc_cql_text name;
    uint16_t type;
};

enum tc_cql_result_kind {
    TC_CQL_VOID = 1,
    TC_CQL_ROWS = 2,
    TC_CQL_SET_KEYSPACE = 3,
    TC_CQL_PREPARED = 4,
    TC_CQL_SCHEMA_CHANGE = 5,
};

struct tc_cql_result {
    enum tc_cql_result_kind kind;
    /* Rows: n_rows rows of n_columns values follow in the reader, to be taken by tc_cql_bytes. */
    int32_t n_columns, n_rows;
    struct tc_cql_column columns[TC_CQL_COLUMNS_MAX]; /* none when the server left the description out */
    bool more;                                        /* another page follows */
    struct tc_cql_bytes paging;                       /* the state to ask for it with */
    /* Prepared: */
    struct tc_cql_bytes id;
    int32_t n_binds;
    uint16_t binds[TC_CQL_COLUMNS_MAX]; /* type of each bind marker */
    int32_t n_keys;
    uint16_t keys[TC_CQL_KEYS_MAX]; /* bind markers that make the partition key; none: not all are bound */
};
int tc_cql_read_result(struct tc_cql_in *in, struct tc_cql_result *out);

enum tc_cql_event_kind { TC_CQL_TOPOLOGY, TC_CQL_STATUS, TC_CQL_SCHEMA };

struct tc_cql_event {
    enum tc_cql_event_kind kind;
    struct tc_cql_text change;   /* "UP", "DOWN", "NEW_NODE", "REMOVED_NODE", "CREATED" ... */
    char host[46];               /* of topology and status */
    struct tc_cql_text keyspace; /* of schema */
};
int tc_cql_read_event(struct tc_cql_in *in, struct tc_cql_event *out);

/* Text of an inet value; "" when it is none. */
void tc_cql_inet_text(struct tc_cql_bytes v, char out[static 46]);

/* --- writing
 * ------------------------------------------------------------------------------------------------ */

/* Starts a request frame and returns where it begins; end() fills in its length. */
size_t tc_cql_begin(struct tc_buf *b, enum tc_cql_op op, int16_t stream);
void tc_cql_end(struct tc_buf *b, size_t begin);
/* The same, with the body compressed (LZ4) where that makes it shorter. `room` is scratch. */
void tc_cql_end_lz4(struct tc_buf *b, size_t begin, struct tc_buf *room);

void tc_cql_put_u16(struct tc_buf *b, uint16_t v);
void tc_cql_put_i32(struct tc_buf *b, int32_t v);
void tc_cql_put_i64(struct tc_buf *b, int64_t v);
void tc_cql_put_string(struct tc_buf *b, const char *s);                /* [string]; at most 65535 bytes */
void tc_cql_put_long_string(struct tc_buf *b, const char *s);           /* [long string] */
void tc_cql_put_bytes(struct tc_buf *b, const void *bytes, size_t n);   /* [bytes]; also a value */
void tc_cql_put_short_bytes(struct tc_buf *b, const void *p, size_t n); /* [short bytes] */

/* Values. A missing value must be null (it deletes) or unset (it leaves the column alone). */
void tc_cql_put_null(struct tc_buf *b);
void tc_cql_put_unset(struct tc_buf *b);
void tc_cql_put_bigint(struct tc_buf *b, int64_t v);
void tc_cql_put_int(struct tc_buf *b, int32_t v);
void tc_cql_put_double(struct tc_buf *b, double v); /* bit for bit, infinities and NaN too */
void tc_cql_put_boolean(struct tc_buf *b, bool v);
void tc_cql_put_text(struct tc_buf *b, const char *s);

void tc_cql_startup(struct tc_buf *b, int16_t stream, bool lz4, const char *driver, const char *version);
/* SASL PLAIN: what Cassandra's PasswordAuthenticator asks for. */
void tc_cql_auth_response(struct tc_buf *b, int16_t stream, const char *user, const char *password);
void tc_cql_register(struct tc_buf *b, int16_t stream); /* for all three kinds of events */
void tc_cql_prepare(struct tc_buf *b, int16_t stream, const char *statement);

struct tc_cql_params {
    enum tc_cql_consistency consistency;
    uint16_t n_values;              /* that the caller puts between open and close */
    int32_t page_size;              /* 0 = one page */
    struct tc_cql_bytes paging;     /* p NULL = from the start */
    enum tc_cql_consistency serial; /* of a conditional statement; TC_CQL_ANY = the server's default */
};

/* A request with values: open, then n_values values in their order, then close. Exactly one of `statement`
 * (QUERY) and `id` (EXECUTE) is given. Returns what close takes. */
size_t tc_cql_open_request(struct tc_buf *b, int16_t stream, const char *statement, struct tc_cql_bytes id,
                           const struct tc_cql_params *params);
void tc_cql_close_request(struct tc_buf *b, const struct tc_cql_params *params);

/* An unlogged batch of `n` prepared statements: open; for each the id, the number of its values, the values;
 * close. */
size_t tc_cql_open_batch(struct tc_buf *b, int16_t stream, uint16_t n);
void tc_cql_batch_statement(struct tc_buf *b, struct tc_cql_bytes id, uint16_t n_values);
void tc_cql_close_batch(struct tc_buf *b, enum tc_cql_consistency consistency);

/* --- routing
 * ------------------------------------------------------------------------------------------------ */

/* The token of a partition key under Murmur3Partitioner. Cassandra's own form of MurmurHash3 x64-128 (first
 * half, seed 0), which extends the sign of the tail's bytes. */
int64_t tc_cql_token(const void *key, size_t n);
/* Appends one column of a partition key of several columns. A key of one column is its bytes alone. */
void tc_cql_key_part(struct tc_buf *b, struct tc_cql_bytes column);
