/* Every LEAN line decoder over every line of the input: whatever is accepted is a sane value. */
#include "wire/lean.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void one_line(const char *line, size_t n)
{
    struct tc_lean_trade t;
    struct tc_lean_bar b;
    struct tc_lean_quote q;
    const int64_t day = INT64_C(86400) * 1000000000;
    if (!tc_lean_trade_line(line, n, &t))
        require(t.time >= 0 && t.time < day && t.trade.price > 0 && t.trade.price < 1e13 &&
                t.trade.size >= 0);
    if (!tc_lean_bar_line(line, n, &b))
        require(b.time >= 0 && b.time < day && b.low > 0 && b.high >= b.low && b.volume >= 0);
    if (!tc_lean_quote_line(line, n, &q))
        require(q.time >= 0 && q.time < day && !(q.quote.bid <= 0) && !(q.quote.ask <= 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data, *end = p + size;
    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop ? stop : end) - p);
        one_line(p, n);
        p += n + 1;
    }
    return 0;
}
