/* hub.h - the events of the stream, encoded once, in a bounded ring that any number of clients read at their
 * own speed.
 *
 * One writer (the role's thread), many readers (threads of the HTTP library). Everything is under one mutex
 * that is held for at most one copy of 16 KiB; nobody waits for a reader: one whose place was overwritten is
 * told so. While nobody listens nothing is kept, and the writer need not encode.
 *
 * A position is a vector: the next offset of each topic. The ring is a contiguous run of the writer's way
 * through the topics. A client has its own vector, because it may have come by another way (a resume merges
 * the topics anew): an event is for it when its offset is not below the client's.
 */
#pragma once

#include "base/buf.h"
#include "base/hist.h"
#include "bus/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tc_hub;

struct tc_vector {
    int64_t at[TC_TOPIC_COUNT];
};

enum { TC_HUB_NO_TOPIC = -1, TC_HUB_READ_MAX = 16384, TC_HUB_EVENT_MAX = 256 << 10 };

/* A client's place. The callbacks are called with the hub locked and may not call back into it. */
struct tc_hub_sub {
    struct tc_vector at;
    uint64_t seq;                                 /* next event in the ring */
    bool (*wants)(void *ctx, const char *symbol); /* NULL = everything; events without symbol always pass */
    void (*sleep)(void *ctx);
    void (*wake)(void *ctx);
    void *ctx;
    bool waiting; /* the rest is the hub's */
    struct tc_hub_sub *next, *prev;
};

enum tc_hub_state {
    TC_HUB_DATA,   /* something was written to `out` */
    TC_HUB_ASLEEP, /* nothing new; sleep() was called, wake() will be */
    TC_HUB_BEHIND, /* the client's place is no longer in the ring */
    TC_HUB_CLOSED, /* the server stops */
};

int tc_hub_open(size_t bytes, size_t events, struct tc_hist *latency, struct tc_hub **out);
void tc_hub_close(struct tc_hub *h); /* takes NULL; no subscriber may be left */

/* Writer. */
void tc_hub_start(struct tc_hub *h, const struct tc_vector *at);
/* Steps over a record. False, and nothing done, when it is an event and somebody listens: put() it then. */
bool tc_hub_pass(struct tc_hub *h, int topic, int64_t offset, bool event);
/* Adds an event: "event: NAME\ndata: JSON\n\n" without its id line. `topic` may be TC_HUB_NO_TOPIC. */
void tc_hub_put(struct tc_hub *h, int topic, int64_t offset, const char *symbol, const struct tc_buf *event);
/* Forgets the ring: every client is behind (the writer itself was too far behind to encode). */
void tc_hub_drop(struct tc_hub *h);
void tc_hub_flush(struct tc_hub *h); /* wakes who waits; once after a run of puts */
void tc_hub_stop(struct tc_hub *h);  /* wakes all for good */
bool tc_hub_listened(struct tc_hub *h);
struct tc_vector tc_hub_at(struct tc_hub *h);
/* Events that the slowest client has not taken yet, and the most seen by this call. */
void tc_hub_backlog(struct tc_hub *h, size_t *events, size_t *high_water);

/* Readers. attach() places the client at the newest position. */
void tc_hub_attach(struct tc_hub *h, struct tc_hub_sub *s);
void tc_hub_detach(struct tc_hub *h, struct tc_hub_sub *s);
void tc_hub_newest(struct tc_hub *h, struct tc_hub_sub *s);
/* True when the ring goes on where the client's vector stands; its place is set. */
bool tc_hub_join(struct tc_hub *h, struct tc_hub_sub *s);
/* Writes events with their ids to `out`, up to TC_HUB_READ_MAX bytes or one larger event. */
enum tc_hub_state tc_hub_read(struct tc_hub *h, struct tc_hub_sub *s, struct tc_buf *out);
/* Sleeps until the next flush. False when the server stops. */
bool tc_hub_sleep(struct tc_hub *h, struct tc_hub_sub *s);

void tc_vector_to_id(const struct tc_vector *v, struct tc_buf *out); /* "b12.f7.p3" */
bool tc_vector_parse(const char *text, struct tc_vector *out);
