/* feed.h - a source of trades, quotes or bars. An adapter only decodes; pacing, gaps and back-fill are shared
 * code.
 *
 * next() fills the caller's array with events in order of time and never blocks longer than a few
 * milliseconds: TC_OK     *out_n events (at least one) TC_AGAIN  nothing due yet; *out_wait_ns says for how
 * long (0 = ask again at once) TC_DONE   the source has ended < 0       the source is broken; tc_error() says
 * how
 */
#pragma once

#include "market/market.h"

#include <stddef.h>
#include <stdint.h>

enum tc_event_type {
    TC_EVENT_TRADE,
    TC_EVENT_QUOTE,     /* quote.* in force from `time` on */
    TC_EVENT_BAR,       /* a finished bar by the vendor (second files, vendor aggregates) */
    TC_EVENT_WATERMARK, /* nothing before `time` will come any more (sym unused): collect closes seconds only
                           on these, so a feed gives one at each second passed, before the first event of the
                           next; it carries the feed's cursor, which makes it the place of checkpoints */
    TC_EVENT_GAP,       /* unknown from `time` to gap.end; told again with a later end it has grown, told
                           with `filled` its bars have been supplied */
    TC_EVENT_BACKFILL,  /* bar.* of a closed second, fetched afterwards */
};

/* Where in the source the next event stands; opaque to all but the feed, kept in collect's checkpoints. */
struct tc_feed_cursor {
    int64_t part;  /* replay: day number; simulated: the second; live: the watermark */
    int64_t index; /* events of that part already given; live: measured delay, ns */
};

struct tc_event {
    enum tc_event_type type;
    uint32_t sym; /* index into the feed's list of symbols; UINT32_MAX = all */
    int64_t time; /* event time; a bar's start */
    bool again;   /* of TC_EVENT_BACKFILL: a bar of this second, made of a part of it, was published before */
    union {
        struct tc_trade trade;
        struct tc_quote quote;
        struct tc_event_bar bar;
        struct tc_feed_cursor cursor; /* of a watermark: where the source stands after it */
        struct {
            int64_t end;
            bool filled;
            char reason[TC_REASON_SIZE];
        } gap;
    };
};

struct tc_feed_health {
    const char *state; /* "connected", "ended", ... static text */
    char detail[160];  /* a sentence on the state; "" = nothing to say */
    bool healthy;
    bool failed; /* it has ended for good and gives nothing any more; `detail` says why */
    uint64_t events, bad_lines, reconnects;
    int64_t last_event_ns; /* wall clock when the last event came; 0 = none yet */
};

struct tc_feed_ops {
    const char *name;
    const char *doc;
    int (*next)(void *self, struct tc_event *events, size_t max, size_t *out_n, int64_t *out_wait_ns);
    int (*seek)(void *self,
                const struct tc_feed_cursor *cursor); /* go on from here; before the first next() */
    /* The caller has all that the source gives already (a finished run started again): it stands at its end
     * from now on. NULL = it has none. */
    void (*finish)(void *self);
    void (*cursor)(const void *self, struct tc_feed_cursor *out); /* after the events given so far */
    void (*health)(const void *self, struct tc_feed_health *out); /* any thread */
    /* Any thread: a feed that rests keeps no connection and gives nothing but what it has already, its health
     * says `asleep` (healthy); false wakes it. NULL = it cannot. */
    void (*rest)(void *self, bool rest);
    void (*close)(void *self); /* takes NULL */
};

struct tc_feed {
    const struct tc_feed_ops *ops;
    void *self;
    char name[TC_FEED_SIZE];
    enum tc_origin origin;
    enum tc_world world;
    enum tc_bars_from bars_from;
    bool cannot_repeat;  /* live: after a restart collect goes on behind what it published, and seek() gets
                            in cursor.part the end of the newest second that has its marker */
    bool vendor_revises; /* see bars.h */
    bool quotes_always_fresh; /* the source gives every change of a quote (files): silence means unchanged,
                                 and quote_lag_ms is 0; false: quotes or heartbeats must keep coming */
    uint64_t identity; /* of what the source gives (kind, files, symbols, days, mode, seed): collect refuses
                          to go on with another one; 0 = not checked */
    uint32_t n_symbols;
    char (*symbols)[TC_SYMBOL_SIZE]; /* owned by the feed */
    int64_t live_from; /* events from this wall-clock time on are stamped by the clock; INT64_MAX = always log
                          time */
};
