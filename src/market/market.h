/* market.h - the words of the market: trade, quote, bar, second marker, gap. Plain values, no pointers.
 *
 * Times are int64 ns since 1970 UTC. Prices, sizes and volumes are doubles (crypto volume is fractional); NaN
 * = unknown.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    TC_SYMBOL_SIZE = 33, /* 32 bytes and the 0 byte */
    TC_FEED_SIZE = 16,
    TC_REASON_SIZE = 48,
};

enum tc_origin { TC_ORIGIN_LIVE, TC_ORIGIN_BACKFILL, TC_ORIGIN_REPLAY, TC_ORIGIN_SIMULATED, TC_ORIGIN_COUNT };
const char *tc_origin_name(enum tc_origin o);
int tc_origin_parse(const char *name, enum tc_origin *out);

/* A world never mixes with another: each data folder belongs to exactly one. */
enum tc_world { TC_WORLD_LIVE, TC_WORLD_REPLAY, TC_WORLD_SIMULATED };
const char *tc_world_name(enum tc_world w);

struct tc_trade {
    double price;
    double size;
    bool off_exchange; /* reported through a TRF; `lit` ignores it */
    /* What its sale conditions forbid: moving high and low, open and close, volume. All false in files. */
    bool not_range, not_last, not_volume;
};

struct tc_quote {
    double bid, ask, bid_size, ask_size;
};

/* What forecasts need of single trades, from a ring of the last 20 cleaned ones (definitions:
 * docs/forecasting.md). */
struct tc_tape {
    double tm5, tm20; /* mean price of the last 5, 20 trades */
    double sg20;      /* mean tick sign of the last 20 */
    double up, dn;    /* price of the latest uptick, downtick */
    double lit;       /* latest on-exchange price */
    double sv;        /* sum over the second of sign(price - last mid) * sqrt(size) */
};

/* What the bars of a source are made from. `merged`: open, high, low, close and volume from the vendor's bar;
 * VWAP, count and tape from the trades of the same second; a second without the vendor's bar has no bar. */
enum tc_bars_from { TC_BARS_FROM_TRADES, TC_BARS_FROM_SECONDS, TC_BARS_FROM_MERGED, TC_BARS_FROM_COUNT };
const char *tc_bars_from_name(enum tc_bars_from f);
int tc_bars_from_parse(const char *name, enum tc_bars_from *out);

/* A finished bar as a vendor gives it (second files, aggregates) or as it was recorded. */
struct tc_event_bar {
    double open, high, low, close, vwap, volume;
    int32_t trades;
    bool has_tape; /* a recorded bar: `tape` and `quote_lag_ms` are taken over */
    double quote_lag_ms;
    struct tc_tape tape;
};

struct tc_bar {
    char symbol[TC_SYMBOL_SIZE];
    char feed[TC_FEED_SIZE];
    int64_t start;     /* begin of the interval */
    int64_t available; /* when the last piece reached us; per (symbol, start) strictly increasing over
                          revisions */
    int32_t interval_ms;
    int32_t trades; /* number of trades; 0 when the source does not say */
    double open, high, low, close;
    double vwap; /* NaN when the source does not say */
    double volume;
    struct tc_quote quote; /* in force at the interval's end; NaN when none is known */
    double quote_lag_ms;   /* time since anything came on the quote feed; NaN without one */
    struct tc_tape tape;   /* NaN fields when no single trades are known */
    enum tc_origin origin;
    int32_t revision; /* 0 = first version */
    int32_t
        seconds; /* minute and hour bars derived by the store: traded seconds inside; else 0, not stored */
};

/* The quote in force at the end of a second without a trade, sent only when it changed in that second. */
struct tc_second_quote {
    char symbol[TC_SYMBOL_SIZE];
    char feed[TC_FEED_SIZE];
    int64_t second;
    int64_t available;
    struct tc_quote quote;
    double quote_lag_ms;
    enum tc_origin origin;
};

/* Closes one second of one feed; comes after that second's bars. */
struct tc_second {
    char feed[TC_FEED_SIZE];
    int64_t second;
    int64_t available; /* when the second was closed */
    int32_t expected;  /* symbols of the feed */
    int32_t traded;
    bool healthy;
    bool
        log_time; /* `available` is taken from the log's time (replay, simulated history), not from a clock */
    double delay_ms; /* measured delay of the feed */
    enum tc_origin origin;
};

/* A span in which nothing is known of a symbol ("*" = every symbol of the feed). */
struct tc_gap {
    char symbol[TC_SYMBOL_SIZE];
    char feed[TC_FEED_SIZE];
    char reason[TC_REASON_SIZE]; /* disconnected, silent, not_running, halted, missing_day, ... */
    int64_t start, end;
    bool filled;
};

/* Running totals of one symbol and day; a later record of the same key replaces an earlier one. */
struct tc_quality {
    char symbol[TC_SYMBOL_SIZE];
    int32_t day; /* yyyymmdd, session date */
    int64_t traded, no_trade, unknown, duplicates, late, revised, backfilled, gaps;
};
