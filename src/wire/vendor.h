/* vendor.h - frames of live market-data vendors to events, without allocation.
 *
 * A decoder is called with one whole frame and calls the sink once for each event in it, in the frame's
 * order. Texts point into the frame. Decoders are strict about the types of the fields they read and take no
 * notice of those they do not know: TC_EINPUT means the frame breaks its format; what came before the fault
 * has been given already.
 *
 * Sources: the vendors' own documents and clients, listed with each decoder.
 */
#pragma once

#include "market/market.h"
#include "wire/json.h"

enum tc_wire_kind {
    TC_WIRE_TRADE,
    TC_WIRE_QUOTE,
    TC_WIRE_SECOND,     /* the vendor's bar of one second */
    TC_WIRE_MINUTE,     /* the vendor's bar of one minute */
    TC_WIRE_ALIVE,      /* a heartbeat: the symbol's (or, without one, the connection's) data flows */
    TC_WIRE_WELCOME,    /* the session has begun: time to authenticate */
    TC_WIRE_AUTHORISED, /* time to subscribe */
    TC_WIRE_SUBSCRIBED, /* of `symbol`, or of all when it is empty */
    TC_WIRE_HALT,       /* trading in the symbol is halted ... */
    TC_WIRE_RESUME,     /* ... or goes on */
    TC_WIRE_NOTICE,     /* words worth showing; the connection goes on or ends by itself */
    TC_WIRE_ERROR,      /* `fault` says what follows from it */
};

enum tc_wire_fault {
    TC_FAULT_RETRY,       /* try again later */
    TC_FAULT_SYMBOL,      /* the vendor does not know `symbol` (or one of those asked for) */
    TC_FAULT_KEY,         /* final: the key is wrong */
    TC_FAULT_PLAN,        /* final: the plan does not include it */
    TC_FAULT_CONNECTIONS, /* final: somebody else uses the key */
};

struct tc_wire_event {
    enum tc_wire_kind kind;
    enum tc_wire_fault fault;
    struct tc_text symbol; /* as the vendor writes it; n = 0: none */
    struct tc_text text;   /* of errors and notices */
    int64_t time;          /* of the event, ns; a bar's start; 0 = not said */
    uint64_t id;           /* a trade's identity among those of its symbol; 0 = none */
    uint64_t last_id;      /* of a heartbeat: the newest trade's id; 0 = not said */
    struct tc_trade trade;
    struct tc_quote quote;
    struct tc_event_bar bar;
};

typedef void (*tc_wire_sink)(void *arg, const struct tc_wire_event *e);
typedef int (*tc_wire_decoder)(const char *frame, size_t n, tc_wire_sink sink, void *arg);

int tc_coinbase_decode(const char *frame, size_t n, tc_wire_sink sink, void *arg);
int tc_binance_decode(const char *frame, size_t n, tc_wire_sink sink, void *arg);
int tc_kraken_decode(const char *frame, size_t n, tc_wire_sink sink, void *arg);
int tc_massive_decode(const char *frame, size_t n, tc_wire_sink sink, void *arg);
int tc_alpaca_decode(const char *frame, size_t n, tc_wire_sink sink, void *arg);
int tc_finnhub_decode(const char *frame, size_t n, tc_wire_sink sink, void *arg);

/* A time in s, ms, us or ns since 1970 by its magnitude (vendors promise one and send another), in ns; 0 for
 * what is none. */
int64_t tc_wire_time(int64_t t);

/* FNV-1a of a text, never 0: the identity of a trade whose id is no number. */
uint64_t tc_wire_hash(struct tc_text t);

/* What sale conditions say of a trade, as tc_trade's `not_...` fields: numbers of the consolidated tapes as
 * Massive gives them (Finnhub gives the same as texts). A trade with several moves only what all of them
 * allow. */
void tc_wire_condition(int64_t code, struct tc_trade *t);

/* The same for the letters of the CTA and UTP tapes, as Alpaca gives them; `tape` A, B (CTA) or C (UTP). */
void tc_wire_condition_letter(char letter, char tape, struct tc_trade *t);
