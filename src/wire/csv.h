/* csv.h - trades, quotes or bars from a plain CSV text with a header line. No file access, no memory.
 *
 * The header names the columns, in any order and case; columns of other names are ignored:
 *   trades: time, price, size  [symbol, exchange, off_exchange, suspicious]
 *   quotes: time, bid, ask     [symbol, bid_size, ask_size]
 *   bars:   time, open, high, low, close, volume  [symbol, vwap, trades, bid, ask, bid_size, ask_size]
 * `open` makes it bars, else `price` trades, else `bid` and `ask` quotes. `start` and `timestamp` are other
 * names of time.
 *
 * time: seconds, milliseconds, microseconds or nanoseconds since 1970 UTC (told apart by their size; seconds
 * may carry a fraction), or ISO 8601 "2013-10-07T13:30:00.25Z" (a blank for the T; Z, +hh:mm or nothing,
 * which is UTC). A bar's time is its start. Prices are plain numbers. Flags are 0 or 1. Fields are separated
 * by commas and may stand in double quotes, without a comma or a quote inside.
 */
#pragma once

#include "market/market.h"

#include <stddef.h>

enum tc_csv_kind { TC_CSV_TRADES, TC_CSV_QUOTES, TC_CSV_BARS };

enum { TC_CSV_COLUMNS_MAX = 64, TC_CSV_FIELDS = 18 };

struct tc_csv_format {
    enum tc_csv_kind kind;
    int n_columns;
    int8_t field_of[TC_CSV_COLUMNS_MAX]; /* which value each column holds; -1 = ignored */
    bool has[TC_CSV_FIELDS];
    bool has_symbol;
};

struct tc_csv_row {
    int64_t time;
    char symbol[TC_SYMBOL_SIZE]; /* "" without such a column */
    bool suspicious;
    struct tc_trade trade;
    struct tc_quote quote; /* quotes, and bars that carry one; NaN where not given */
    struct tc_event_bar bar;
};

/* NULL, or why the line is refused (static text). */
const char *tc_csv_header(const char *line, size_t n, struct tc_csv_format *out);
const char *tc_csv_line(const struct tc_csv_format *f, const char *line, size_t n, struct tc_csv_row *out);

/* The time of one field, as above. */
bool tc_csv_time(const char *s, size_t n, int64_t *out);
