/* stream.h - one client of /api/v1/stream.
 *
 * A client without Last-Event-ID starts at the newest event. One with it gets what came since: from the ring
 * where it is still there, else read from the bus (a few records at a time, on the HTTP thread that serves
 * the client), else `reset`. A client that falls behind the ring gets `reset`, at most once a second.
 *
 * All calls for one client come from one thread at a time, except that the hub wakes it from the role's.
 */
#pragma once

#include "serve/reply.h"
#include "serve/serve.h"

#include <sys/types.h>

struct tc_stream;

/* What the stream needs of the connection: called with the hub locked. */
struct tc_stream_io {
    void (*sleep)(void *ctx);
    void (*wake)(void *ctx);
    void *ctx;
};

enum { TC_STREAM_END = -1, TC_STREAM_FILTER_MAX = 64, TC_STREAM_RESUME_MAX = 250000 };

/* `symbols` (comma list) and `last_event_id` may be NULL; `r` gets the error of wrong ones. */
struct tc_stream *tc_stream_open(struct tc_serve *s, const struct tc_stream_io *io, const char *symbols,
                                 const char *last_event_id, struct tc_reply *r);
void tc_stream_close(struct tc_stream *c);

/* Bytes written to `out` (at most `max`); 0 = asleep until wake(); TC_STREAM_END. */
ssize_t tc_stream_read(struct tc_stream *c, char *out, size_t max);

/* The event of a record in the form that the hub takes; false when the record makes none. */
bool tc_stream_encode(const struct tc_record *r, struct tc_buf *out);
bool tc_stream_is_event(const struct tc_record *r);
/* What a client's list of symbols is compared with; "" = for everybody (posts). */
const char *tc_stream_key(const struct tc_record *r);
