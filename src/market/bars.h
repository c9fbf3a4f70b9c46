/* bars.h - trades and quotes in, closed second bars out; one small block of memory a symbol.
 *
 * A second [t, t+1) stays open until tc_bars_close_second(t), which the owner calls when the feed's watermark
 * has passed t+1. What comes later for a closed second makes a new version of its bar (a revision), as long
 * as the second is among the last TC_BARS_HELD ones; what comes later still is told apart and counted by the
 * caller.
 *
 * What a bar holds:
 *  - open, high, low, close, volume, count: every trade of the second, in the order given. `vwap` is the
 * plain sum(price x size) / sum(size) of the same trades; NaN when the sizes sum to 0. (Features that want an
 *    outlier-proof VWAP replace it by the close where it is far off; the bar keeps what was traded.)
 *  - quote: the last two-sided quote (bid and ask above 0) in force at the second's end. It stays in force
 *    until the next one. quote_lag_ms: time from the last thing on the quote feed, of any symbol, to the
 *    second's end; 0 where the source is known to give every change of a quote.
 *  - tape: from a ring of the last 20 cleaned trades since the day's start. Cleaning drops a print that is
 *    0.3 % or more off the median of the last 21 prints, itself included (fewer at the day's start; the mean
 *    of the middle two when their number is even). Tick sign: sign of the change to the cleaned trade before,
 *    repeated when there is none, 0 before the first change. `sv` signs each cleaned trade of the second
 *    against the mid in force at the end of the second before; NaN when there was none. tm5 and tm20 take
 * what is there when the ring holds fewer; up, dn and lit are NaN until the first such trade.
 *  - Sale conditions (tc_trade's not_...): a trade moves open and close, high and low, volume, vwap and count
 * only as far as they let it. A second whose trades may all move nothing but the volume has no bar.
 *  - From vendor's bars (TC_BARS_FROM_SECONDS) nothing is known of single trades: vwap and tape are NaN,
 *    trades 0, unless the vendor's event carries them. TC_BARS_FROM_MERGED: see market.h.
 *
 * A trade that comes for an open second after trades of a later one (several seconds are open under a live
 * watermark) counts in its bar but no longer in the tape, which goes in order.
 *
 * All memory is taken at open; nothing is allocated after it. One thread.
 */
#pragma once

#include "market/market.h"

#include <stddef.h>

enum { TC_BARS_HELD = 8 }; /* seconds held a symbol: closed ones for revisions and open ones ahead */

struct tc_bars;

struct tc_bars_conf {
    uint32_t n_symbols;
    const char (*symbols)[TC_SYMBOL_SIZE]; /* n_symbols names; copied */
    const char *feed;
    enum tc_origin origin;
    enum tc_bars_from from;
    bool quotes_always_fresh; /* see feed.h */
    bool vendor_revises; /* bars of trades come first, a vendor's bar of the same second takes their place */
};

enum tc_bars_fate {
    TC_BARS_TAKEN,     /* part of an open second */
    TC_BARS_REVISED,   /* its second is closed: tc_bars_revision() gives the new version */
    TC_BARS_DUPLICATE, /* a vendor's bar that is there already, the same in every field */
    TC_BARS_AGREED,    /* a vendor's bar that says what our trades said (vendor_revises) */
    TC_BARS_TOO_LATE,  /* its second is closed and no longer held, or not made into a bar: dropped */
    TC_BARS_AHEAD,     /* TC_BARS_HELD or more seconds past the watermark: dropped */
    TC_BARS_BAD,       /* no price above 0, or a size below 0, or not a finite number: dropped */
};

int tc_bars_open(const struct tc_bars_conf *conf, struct tc_bars **out);
void tc_bars_close(struct tc_bars *b); /* takes NULL */

/* Forgets everything and opens the second that holds t as the first one. Must be called before the first
 * event and at each new day. */
void tc_bars_start_day(struct tc_bars *b, int64_t t);

enum tc_bars_fate tc_bars_trade(struct tc_bars *b, uint32_t sym, int64_t time, const struct tc_trade *t);
enum tc_bars_fate tc_bars_quote(struct tc_bars *b, uint32_t sym, int64_t time, const struct tc_quote *q);
enum tc_bars_fate tc_bars_bar(struct tc_bars *b, uint32_t sym, int64_t start, const struct tc_event_bar *v);

/* The first second that is still open. */
int64_t tc_bars_open_second(const struct tc_bars *b);

/* Moves the first open second on without making bars (nothing is known of what lies between). */
void tc_bars_skip_to(struct tc_bars *b, int64_t t);

/* Closes the first open second; the two calls below then speak of it. */
void tc_bars_close_second(struct tc_bars *b);

/* The symbol's bar of the second closed last; false when it has none. */
bool tc_bars_closed_bar(struct tc_bars *b, uint32_t sym, int64_t available, struct tc_bar *out);

/* The quote in force at the end of the second closed last; false when it has a bar (which carries the quote)
 * or the quote is the same as one second before. */
bool tc_bars_closed_quote(const struct tc_bars *b, uint32_t sym, int64_t available,
                          struct tc_second_quote *out);

/* After TC_BARS_REVISED for (sym, time): the bar's new version. `available` is raised where needed so that it
 * is above the version's before. */
void tc_bars_revision(struct tc_bars *b, uint32_t sym, int64_t time, int64_t available, struct tc_bar *out);

/* Takes no more trades and bars for a closed second: its bar was replaced by somebody else's. */
void tc_bars_forget(struct tc_bars *b, uint32_t sym, int64_t time);

/* The whole state as bytes, for a checkpoint, and back. The bytes depend on nothing but what came in. They
 * are good for the same build of the program and the same number of symbols; restore says TC_EINPUT
 * otherwise. */
const void *tc_bars_state(const struct tc_bars *b, size_t *n);
int tc_bars_restore(struct tc_bars *b, const void *state, size_t n);
