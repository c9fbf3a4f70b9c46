/* serve.h - what the web server is made of and given; role/server.h is the way in for the program.
 *
 * Threads: the role's thread pumps the bus into `live` (newest values) and `hub` (encoded events). The HTTP
 * library's threads hand out events, status and the page. Two query threads, each with a store reader of its
 * own, answer everything that reads the database. Only the role's thread touches the bus's front, so no
 * client can slow it: it never waits for one.
 */
#pragma once

#include "base/metrics.h"
#include "bus/bus.h"
#include "feed/feed.h"
#include "market/actions.h"
#include "market/calendar.h"
#include "social/source.h"
#include "store/store.h"

#include <stdint.h>

struct tc_hub;
struct tc_submission;
struct tc_live;
struct tc_models;
struct tc_status;

/* Everything pointed to stays the caller's and must outlive the role. */
struct tc_server_conf {
    struct tc_bus *bus;
    /* A reader of the store for one thread; TC_ENOTFOUND: nothing is stored yet. */
    int (*open_store)(void *ctx, struct tc_store *out);
    void *store_ctx;
    /* Waits a moment until the store holds what the bus holds now; NULL = it always does. Any thread. */
    void (*fresh)(void *ctx);
    void *fresh_ctx;
    /* Writes the schedule's object of STATUS, or null; NULL = there is none. Any thread. */
    void (*schedule)(void *ctx, struct tc_buf *out);
    void (*alerts)(void *ctx, struct tc_buf *out); /* the standing ones, a JSON array; NULL = none */
    void *schedule_ctx;
    /* Hands forecasts of others to the forecast role and waits for the verdicts; NULL = there is none. Any
     * thread. */
    void (*submit)(void *ctx, struct tc_submission *list, size_t n);
    void *submit_ctx;
    const char *host;       /* address to listen on; anything but loopback needs the token */
    int32_t port;           /* 0 = any free one */
    const char *base_path;  /* "" or "/name" */
    const char *hosts;      /* further names allowed in Host, separated by commas (proxies); NULL = none */
    const char *token;      /* NULL = read from, or made in, token_file when one is needed */
    const char *token_file; /* made with mode 0600 at first need */

    const char *version;
    enum tc_world world;
    const char *mode;      /* LIVE, DELAYED, REPLAY, SIMULATED */
    const char *mode_text; /* "REPLAY 10x" */
    double speed;          /* of a replay; NaN or infinite = null */
    const char *notice;    /* a sentence for the person; NULL = none */

    const struct tc_calendar *const *calendars; /* the first one is the page's clock; symbols of one venue
                                                   ("venue:NAME") take the first that is always open */
    size_t n_calendars;                         /* 0 = always open, UTC */
    const struct tc_actions *actions;   /* splits and changes of symbol, applied to histories; NULL = none */
    const struct tc_feed *const *feeds; /* only name, n_symbols, symbols and health() are used */
    size_t n_feeds;
    const struct tc_source *sources; /* of posts; only their health is asked */
    size_t n_sources;
    struct tc_models *models; /* serve/models.h; NULL = none */

    int32_t max_connections; /* 0 = 512 */
    int32_t max_per_ip;      /* 0 = 128 */
    int32_t max_streams;     /* 0 = 256 */
    size_t ring_bytes;       /* of encoded events; 0 = 4 MiB */
};

/* Shared by the files of this layer. */
struct tc_serve {
    struct tc_server_conf conf;
    struct tc_hub *hub;
    struct tc_live *live;
    struct tc_status *status;
    int64_t started; /* wall clock */
    _Atomic int32_t streams;
    tc_metric *m_streams, *m_resets, *m_events, *m_bytes, *m_caught_up, *m_rejected;
};

/* The calendar of a symbol; NULL = always open, UTC. */
const struct tc_calendar *tc_serve_calendar(const struct tc_server_conf *conf, const char *symbol);
