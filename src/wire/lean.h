/* lean.h - one line of a LEAN data file (QuantConnect's folder format) to values. No file access, no memory.
 *
 * Formats (no header; prices are the number of 1/10,000; times are milliseconds since the exchange's midnight
 * and may carry a fraction, which is kept to the nanosecond):
 *   tick trade:   ms, price, size, exchange, sale condition (hex, may be empty), suspicious (0 or 1)
 *   second trade: ms, open, high, low, close, volume
 *   second quote: ms, bid open, high, low, close, bid size, ask open, high, low, close, ask size
 *                 (prices of a side without quotes are empty; only the closes are kept)
 *
 * A line must be exactly that; whatever else is refused with the reason. `line` need not be 0-terminated and
 * excludes the line end (a '\r' before it is taken off).
 */
#pragma once

#include "market/market.h"

#include <stddef.h>

struct tc_lean_trade {
    int64_t time;          /* ns since midnight, exchange time */
    struct tc_trade trade; /* off_exchange: exchange letter D (a trade reporting facility) or FINRA */
    bool suspicious;
};

struct tc_lean_bar {
    int64_t time;
    double open, high, low, close, volume;
};

struct tc_lean_quote {
    int64_t time;          /* start of the second; the quote is the one at its end */
    struct tc_quote quote; /* NaN prices where a side is empty */
};

/* NULL, or why the line is refused (static text). */
const char *tc_lean_trade_line(const char *line, size_t n, struct tc_lean_trade *out);
const char *tc_lean_bar_line(const char *line, size_t n, struct tc_lean_bar *out);
const char *tc_lean_quote_line(const char *line, size_t n, struct tc_lean_quote *out);
