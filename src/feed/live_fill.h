/* live_fill.h - fills holes from a vendor's REST end points: one request at a time, within the vendor's
 * limits, whole seconds out. Part of feed/live.c, on its thread.
 */
#pragma once

#include "feed/adapter.h"
#include "feed/live_link.h"

enum { TC_FILL_HOLES = 1024 };

struct tc_hole {
    int64_t start, end; /* whole seconds, ns */
    int64_t ready;      /* link time from which on the vendor's history knows of it */
    int64_t gap_start;  /* of the gap's row that it fills */
    char reason[TC_REASON_SIZE];
};

/* One second of trades put together, or the vendor's bar of it. */
typedef void (*tc_fill_sink)(void *arg, uint32_t sym, int64_t second, const struct tc_event_bar *bar);

struct tc_fill;

struct tc_fill_conf {
    const struct tc_adapter *adapter;
    const char *rest, *url;          /* borrowed, as are the names */
    char (*symbols)[TC_SYMBOL_SIZE]; /* vendor's names */
    uint32_t n_symbols;
    struct tc_link *link;
    tc_fill_sink sink;
    void (*filled)(void *arg, const struct tc_hole *hole); /* all its bars were given */
    void (*failed)(void *arg, const struct tc_hole *hole, const char *why);
    void *arg;
};

int tc_fill_open(const struct tc_fill_conf *conf, struct tc_fill **out);
void tc_fill_close(struct tc_fill *f); /* takes NULL */
/* When too many wait the new one is given up, which `failed` is told. */
void tc_fill_add(struct tc_fill *f, const struct tc_hole *hole);
void tc_fill_tick(struct tc_fill *f, int64_t now); /* sends the next request when it is due */
void tc_fill_answer(struct tc_fill *f, const struct tc_link_item *answer);
