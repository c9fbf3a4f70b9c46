/* First line as header, the rest as lines: whatever is accepted is a sane value. */
#include "wire/csv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check(const struct tc_csv_format *f, const struct tc_csv_row *r)
{
    require(r->time > 0 && strnlen(r->symbol, TC_SYMBOL_SIZE) < TC_SYMBOL_SIZE);
    if (f->kind == TC_CSV_TRADES)
        require(r->trade.price > 0 && r->trade.size >= 0);
    if (f->kind == TC_CSV_BARS)
        require(r->bar.low > 0 && r->bar.high >= r->bar.low && r->bar.volume >= 0 && r->bar.trades >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data, *end = p + size;
    struct tc_csv_format format;
    bool have = false;
    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop ? stop : end) - p);
        struct tc_csv_row row;
        if (!have && tc_csv_header(p, n, &format))
            return 0;
        if (have && !tc_csv_line(&format, p, n, &row))
            check(&format, &row);
        have = true;
        p += n + 1;
    }
    return 0;
}
