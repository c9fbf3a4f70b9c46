/* adapter.h - what differs between live vendors: addresses, words of the session, limits, and how a hole is
 * filled from REST. Everything else is shared (feed/live.c). Texts are appended to the caller's buffer;
 * nothing here waits or keeps state.
 */
#pragma once

#include "base/buf.h"
#include "wire/vendor.h"

struct tc_adapter_conf {
    const char *key, *secret; /* NULL = none */
    const char *channels;     /* vendor's words, separated by commas */
    const char *url;          /* of the WebSocket, as configured */
};

/* One span of one symbol that is fetched by REST, page by page. */
struct tc_page {
    const char *base;   /* "https://host", without a slash at the end */
    const char *symbol; /* vendor's name */
    int64_t start, end; /* ns, [start, end) */
    const char *url;    /* of the stream: some vendors' history depends on it */
    /* set by take_page for the next url */
    char token[512]; /* cursor of the next page; "" = none */
    int64_t from_id; /* vendor's trade id to go on from; 0 = none */
    int64_t at;      /* time reached */
    bool done;
};

struct tc_adapter {
    const char *name;
    const char *url, *rest; /* usual addresses */
    const char *channels;   /* usual ones; NULL = fixed */
    const char *calendar;   /* usual trading hours */
    const char *symbols;    /* followed when none are named; separated by commas, as our names */
    bool venue;             /* our names of its symbols begin with "name:" */
    bool needs_key, needs_secret;
    const char *key_names[3]; /* variables of the environment that the vendor's own tools read */
    const char *secret_names[3];
    bool welcome;          /* the session begins with a message of the server */
    bool vendor_bars;      /* it sends second bars beside trades */
    int64_t heartbeat_ns;  /* something comes at least so often; 0 = not promised */
    int64_t send_every_ns; /* between our messages */
    size_t symbols_a_message;
    int connection_tries;          /* refusals for too many connections before it is final */
    double rest_per_s, rest_burst; /* limits of the REST end points used */
    int64_t rest_delay_ns;         /* how long after the event REST knows of it */
    tc_wire_decoder decode;
    void (*url_of)(const struct tc_adapter_conf *c, struct tc_buf *out); /* NULL = the configured one */
    void (*authorise)(const struct tc_adapter_conf *c, struct tc_buf *out);
    /* Subscribes n symbols; called again with part + 1 while it says true, for vendors that need several
     * messages. */
    bool (*subscribe)(const struct tc_adapter_conf *c, const char *const *symbols, size_t n, int part,
                      struct tc_buf *out);
    size_t (*rest_headers)(const struct tc_adapter_conf *c, char (*lines)[320], size_t max);
    /* NULL: no history. page_url appends the next page's address, take_page gives its rows (TRADE or SECOND,
     * any order) to the sink and sets what page_url needs, or `done`. TC_EINPUT: no answer of that form. */
    void (*page_url)(const struct tc_page *p, struct tc_buf *out);
    int (*take_page)(struct tc_page *p, const char *body, size_t n, tc_wire_sink sink, void *arg);
};

enum { TC_ADAPTERS = 6 };
extern const struct tc_adapter
    *const tc_adapters[TC_ADAPTERS]; /* coinbase, binance, kraken, massive, alpaca, finnhub */

const struct tc_adapter *tc_adapter_find(const char *name); /* NULL = none of that name */

extern const struct tc_adapter tc_adapter_coinbase, tc_adapter_binance, tc_adapter_kraken, tc_adapter_massive,
    tc_adapter_alpaca, tc_adapter_finnhub;

/* For adapters: the words of a list that is separated by commas. */
bool tc_adapter_channel(const char *channels, const char *word);
