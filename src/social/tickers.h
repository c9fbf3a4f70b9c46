/* tickers.h - which symbols a post speaks of.
 *
 * Evidence, strongest first:
 *   cashtag   $TSLA, $tsla of a known symbol; $ABCD in capitals also of one that no list knows
 *   option    a known symbol with an option's pattern behind it: SPY 450c, tsla 6/21 300 puts
 *   capitals  TSLA, known and no everyday word
 *   context   a symbol right beside a word that only a share has (calls, shares, earnings; long, short before
 * it): lets an ambiguous one in capitals count (ON calls), and a plain one in small letters (tsla puts) name
 * Tesla, nvidia; names that are everyday words need a capital and talk of the market around them In a
 * sentence that shouts (most of its words in capitals) capitals are no evidence, and neither are everyday
 * names. Addresses, u/NAME, r/NAME and @NAME are passed over.
 *
 * Symbols and names stand in data/social/symbols.tsv, what is ambiguous in data/social/ambiguous.txt; both
 * may be edited. Nothing is allocated after open; finding may be done from several threads.
 */
#pragma once

#include "bus/record.h"

#include <stddef.h>

enum {
    TC_TICKERS_MAX = TC_MENTIONS_MAX
}; /* symbols of one post; a post with more is a list, its first ones are taken */

struct tc_ticker {
    char symbol[TC_SYMBOL_SIZE];
    enum tc_evidence evidence; /* the strongest */
};

struct tc_tickers; /* opaque */

struct tc_tickers_conf {
    const char *symbols_file, *ambiguous_file;
    const char *const *extra; /* symbols known besides; may be NULL */
    size_t n_extra;
};

/* TC_EINPUT names a file's line; TC_ENOTFOUND, TC_EIO, TC_ELIMIT, TC_ENOMEM. */
int tc_tickers_open(const struct tc_tickers_conf *conf, struct tc_tickers **out);
void tc_tickers_close(struct tc_tickers *t); /* takes NULL */

size_t tc_tickers_known(const struct tc_tickers *t); /* symbols */

/* The symbols in the order of their first place in the text, each once. Returns how many. */
size_t tc_tickers_find(const struct tc_tickers *t, const char *text, size_t n,
                       struct tc_ticker out[static TC_TICKERS_MAX]);

/* The symbol under which posts speak of an instrument: "coinbase:BTC-USD" is BTC, "binance:BTCUSDT" too,
 * "SPY" is itself. */
void tc_ticker_of(const char *instrument, char out[static TC_SYMBOL_SIZE]);
