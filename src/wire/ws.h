/* ws.h - WebSocket as bytes (RFC 6455, RFC 7692): the client's handshake, frame heads, messages put together.
 * No sockets, no clocks; what comes in may be anything.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tc_ws_op {
    TC_WS_MORE = 0,
    TC_WS_TEXT = 1,
    TC_WS_BINARY = 2,
    TC_WS_CLOSE = 8,
    TC_WS_PING = 9,
    TC_WS_PONG = 10,
};

enum { TC_WS_KEY_SIZE = 25, TC_WS_CONTROL_MAX = 125 };

/* 16 random bytes as the text of Sec-WebSocket-Key. */
void tc_ws_key(const uint8_t random[static 16], char out[static TC_WS_KEY_SIZE]);

/* Appends the request; `extra` holds whole header lines or is empty. permessage-deflate is offered. */
void tc_ws_request(struct tc_buf *out, const char *host, const char *path, const char *key,
                   const char *extra);

struct tc_ws_answer {
    int status;        /* of HTTP */
    bool deflate;      /* the server takes permessage-deflate */
    bool no_context;   /* ... and starts each message anew */
    int retry_after_s; /* -1 = not said */
    char reason[64];   /* words behind the status */
};

/* TC_AGAIN: the head is not whole yet. TC_OK: *out_len bytes were the head, the stream begins behind them.
 * TC_EPEER: an answer with another status (in *out). TC_EINPUT: no answer to our request. */
int tc_ws_answer(const char *bytes, size_t n, const char *key, struct tc_ws_answer *out, size_t *out_len);

/* Appends one whole masked frame. */
void tc_ws_frame(struct tc_buf *out, enum tc_ws_op op, const void *payload, size_t n,
                 const uint8_t mask[static 4]);

struct tc_ws_reader;

struct tc_ws_message {
    enum tc_ws_op op; /* TEXT, BINARY, CLOSE, PING or PONG */
    const char *data; /* valid until the next call */
    size_t n;
};

/* max: bytes of one message, unpacked. */
int tc_ws_reader_open(struct tc_ws_reader **out, size_t max, const struct tc_ws_answer *agreed);
void tc_ws_reader_close(struct tc_ws_reader *r); /* takes NULL */

/* Where the caller's next bytes go: at least 4096 of room. TC_ELIMIT never: a frame over the bound is refused
 * by tc_ws_reader_next before its bytes are asked for. */
int tc_ws_reader_room(struct tc_ws_reader *r, char **out, size_t *out_n);
void tc_ws_reader_got(struct tc_ws_reader *r, size_t n);

/* TC_OK: a message. TC_AGAIN: more bytes are needed. TC_EINPUT: the peer broke the protocol. TC_ELIMIT: too
 * long. */
int tc_ws_reader_next(struct tc_ws_reader *r, struct tc_ws_message *out);

/* Code and words of a CLOSE message; 1005 when it has none. */
int tc_ws_close_code(const struct tc_ws_message *m, char *reason, size_t size);
