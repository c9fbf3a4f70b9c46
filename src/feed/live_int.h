/* live_int.h - what the files of the live feed share. */
#pragma once

#include "base/metrics.h"
#include "base/rng.h"
#include "feed/live.h"
#include "feed/live_fill.h"
#include "feed/live_link.h"
#include "market/symtab.h"

#include <pthread.h>
#include <stdatomic.h>

enum tc_vendor_phase {
    TC_VENDOR_RESTING, /* until next_try */
    TC_VENDOR_CONNECTING,
    TC_VENDOR_GREETING, /* the server speaks first */
    TC_VENDOR_AUTHORISING,
    TC_VENDOR_SUBSCRIBING, /* our messages go out, one at a time */
    TC_VENDOR_CONFIRMING,
    TC_VENDOR_FLOWING,
    TC_VENDOR_ASLEEP, /* told to rest: the market is closed */
    TC_VENDOR_FAILED, /* for good */
};

enum { TC_VENDOR_SECONDS = 4 };

struct tc_vendor_symbol {
    uint64_t ids[TC_VENDOR_IDS]; /* of the last trades, a ring */
    uint32_t next_id;
    bool refused;                       /* the vendor does not know it */
    int64_t halted;                     /* since when; 0 = trading */
    int64_t seconds[TC_VENDOR_SECONDS]; /* the last seconds with a trade of the stream, a ring */
    uint32_t next_second;
};

struct tc_vendor {
    struct tc_vendor_conf conf;
    struct tc_adapter_conf words;
    char *texts[6]; /* owned copies of the configuration's */
    const char *rest;
    uint32_t n;
    char (*symbols)[TC_SYMBOL_SIZE]; /* our names; given to tc_feed */
    char (*vendor)[TC_SYMBOL_SIZE];
    struct tc_symtab *table; /* of the vendor's names */
    struct tc_vendor_symbol *state;
    struct tc_link *link;
    struct tc_fill *fill;
    struct tc_rng rng;

    enum tc_vendor_phase phase;
    int64_t now;       /* of the item or tick being handled */
    int64_t last_tick; /* to find a stall of the whole process */
    int64_t next_try, deadline, next_send;
    int attempts, refusals, crowded;
    int64_t flowing_since;
    size_t sent; /* symbols subscribed to so far */
    int part;

    int64_t delay, least, least_before, bucket_end; /* of the vendor's times against the link's clock */
    bool measured;
    int implausible;    /* trades in a row whose delay is beyond belief */
    int64_t hold_until; /* while the delay is first measured */

    bool started;             /* a watermark was given */
    int64_t watermark;        /* the last one */
    int64_t floor;            /* trades before it are not taken from the stream */
    int64_t last_data;        /* when anything came */
    double rhythm;            /* mean ns between messages with data */
    bool suspicious, dropped; /* silent for a while; long enough that a new connection is ordered */
    bool hole; /* from the watermark on it is unknown, for `reason`; its row has begun at gap_start */
    int64_t gap_start, next_tell;
    char reason[TC_REASON_SIZE];

    struct tc_event *queue;
    size_t head, count, cap;
    bool queue_failed;

    pthread_mutex_t lock; /* guards detail and failed */
    char detail[160];
    bool failed;
    _Atomic(const char *) word; /* state for health */
    atomic_bool healthy, told_to_rest;
    _Atomic uint64_t events, bad, reconnects;
    _Atomic int64_t last_event;
    tc_metric *m_attempts, *m_duplicates, *m_covered, *m_unknown, *m_fault, *m_delay;
};

/* live_data.c: one event of a frame, and the measured delay. */
void tc_vendor_data(struct tc_vendor *l, const struct tc_wire_event *e);
void tc_vendor_push(struct tc_vendor *l, const struct tc_event *e);
int64_t tc_vendor_event_time(const struct tc_vendor *l,
                             int64_t link_time); /* the vendor's time of that instant */

/* live.c */
void tc_vendor_say(struct tc_vendor *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
