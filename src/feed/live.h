/* live.h - a live feed over WebSocket: connection, session, watermarks, gaps, back-fill; what differs between
 * vendors is an adapter (feed/adapter.h).
 *
 * Time. All that happens follows from the items of the link (frames, connects, closes, each with the time it
 * came) and from the passing of time, both on the link's clock, which never jumps. Event times are the
 * vendor's. The delay between the two is measured (the least of the last half minute), so that a clock that
 * is some seconds wrong moves nothing; a second is closed `settle` after the fastest trade of its last
 * instant would have come.
 *
 * Holes. When the connection is lost, or is suspiciously silent while the market is open, no second is closed
 * any more. If data goes on on the same connection nothing was lost. Else everything from the last closed
 * second to the first whole second after the new subscription is a gap (disconnected, silent, stalled,
 * not_running), told as it grows. Trades of before that second are not taken from the stream even when the
 * vendor sends them again: where the vendor has REST the whole seconds of the hole are fetched and sent as
 * TC_EVENT_BACKFILL, each once, and the gap is told again as filled. So nothing is counted twice, whatever a
 * vendor repeats after a reconnect or restart. Within a connection a trade that comes twice is known by its
 * identity (the last TC_VENDOR_IDS of each symbol).
 *
 * Faults that another attempt cannot mend (wrong key, plan, too many connections) end the feed with a
 * sentence. All other ones lead to another attempt after a random time of up to 1 s, 2 s, 4 s ... backoff_ns
 * (full jitter), one at a time; a healthy minute sets the count back.
 */
#pragma once

#include "feed/adapter.h"
#include "feed/feed.h"
#include "market/calendar.h"

enum { TC_VENDOR_IDS = 64 };

struct tc_vendor_conf {
    const struct tc_adapter *adapter;
    const char *url, *rest, *channels; /* NULL = the adapter's own */
    const char *key, *secret;          /* NULL = none; never shown */
    const char *ca_file;               /* NULL = the system's certificates */
    const char *const *symbols;        /* our names ("coinbase:BTC-USD", "SPY"); copied */
    size_t n_symbols;
    const struct tc_calendar *calendar; /* the caller's; must outlive the feed */
    int64_t settle_ns;
    int64_t backoff_ns; /* longest pause between attempts */
    int64_t history_ns; /* how much of before the first start is fetched; a market with sessions: the last one
                           whole, when above 0 */
};

/* Starts the threads; connects at the first next(). TC_ECONF: a key or symbol is missing or wrong. */
int tc_vendor_open(const struct tc_vendor_conf *conf, struct tc_feed *out);
