/* table.h - rows of text cells on stdout: as an aligned table for people or as CSV (RFC 4180) for programs.
 *
 * A table is printed in pieces of some thousand rows, so that long answers need little memory; columns only
 * grow wider from piece to piece. After the last cell of a row the next one begins by itself.
 */
#pragma once

#include "base/buf.h"

enum { TC_TABLE_COLUMNS = 24 };

struct tc_column {
    const char *name;
    bool right; /* numbers stand to the right */
};

struct tc_table {
    const struct tc_column *columns;
    size_t n;
    bool csv;
    size_t at;         /* next cell of the row */
    size_t rows, kept; /* printed and kept; kept */
    size_t width[TC_TABLE_COLUMNS];
    struct tc_buf cells; /* of the rows kept, each ended by a 0 byte */
    bool headed;
};

/* `columns` must outlive the table; at most TC_TABLE_COLUMNS. */
void tc_table_open(struct tc_table *t, const struct tc_column *columns, size_t n, bool csv);
void tc_table_text(struct tc_table *t, const char *text);
void tc_table_int(struct tc_table *t, int64_t v);
/* NaN is "-" in a table and empty in CSV. A table shows `least` to `most` digits after the point (up to 8 for
 * numbers below 1 when the two differ); CSV has the shortest text that reads back equal. */
void tc_table_num(struct tc_table *t, double v, int least, int most);
/* Prints what is left and frees. TC_EIO when stdout cannot be written. */
int tc_table_close(struct tc_table *t);
