#include "wire/lean.h"
#include "base/clock.h"
#include "base/num.h"

#include <math.h>
#include <string.h>

static const double SCALE = 10000.0;
static const double MAX_NUMBER = 1e13; /* prices x 10,000 and sizes above it are damage */

struct cursor {
    const char *p, *end;
};

static struct cursor cursor_of(const char *line, size_t n)
{
    if (n && line[n - 1] == '\r')
        n--;
    return (struct cursor){line, line + n};
}

/* Digits up to the first other character; false when there are none or more than 15. */
static inline bool digits(struct cursor *c, uint64_t *out)
{
    const char *p = c->p, *stop = c->end - p > 16 ? p + 16 : c->end;
    uint64_t v = 0;
    while (p < stop && (unsigned char)(*p - '0') < 10)
        v = v * 10 + (uint64_t)(*p++ - '0');
    size_t n = (size_t)(p - c->p);
    c->p = p;
    *out = v;
    return n >= 1 && n <= 15;
}

static inline bool comma(struct cursor *c)
{
    if (c->p == c->end || *c->p != ',')
        return false;
    c->p++;
    return true;
}

static bool fraction_ns(struct cursor *c, int64_t *ns)
{
    int64_t unit = 100000; /* a tenth of a millisecond */
    const char *first = ++c->p;
    for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++, unit /= 10)
        *ns += (*c->p - '0') * unit;
    return c->p > first && c->p - first <= 15;
}

static inline bool time_field(struct cursor *c, int64_t *out)
{
    uint64_t ms;
    if (!digits(c, &ms) || ms >= 86400000)
        return false;
    *out = (int64_t)ms * TC_NS_PER_MS;
    if (c->p < c->end && *c->p == '.' && !fraction_ns(c, out))
        return false;
    return comma(c);
}

/* A number with a fraction, which is rare here. */
static bool decimal_slow(struct cursor *c, const char *start, double *out)
{
    while (c->p < c->end && *c->p != ',')
        c->p++;
    return tc_parse_double(start, (size_t)(c->p - start), out) && *out >= 0 && *out <= MAX_NUMBER;
}

static inline bool number(struct cursor *c, double *out)
{
    const char *start = c->p;
    uint64_t v;
    if (!digits(c, &v))
        return false;
    *out = (double)v;
    if (c->p < c->end && *c->p == '.')
        return decimal_slow(c, start, out);
    return *out <= MAX_NUMBER;
}

static inline bool price_field(struct cursor *c, double *out)
{
    if (!number(c, out))
        return false;
    *out /= SCALE;
    return *out > 0 && comma(c);
}

static bool exchange_field(struct cursor *c, bool *off_exchange)
{
    const char *start = c->p;
    while (c->p < c->end && *c->p != ',' && c->p - start < 16)
        c->p++;
    size_t n = (size_t)(c->p - start);
    *off_exchange = (n == 1 && start[0] == 'D') || (n == 5 && !memcmp(start, "FINRA", 5));
    return comma(c);
}

static bool condition_field(struct cursor *c)
{
    const char *start = c->p;
    for (; c->p < c->end && *c->p != ',' && c->p - start < 16; c->p++) {
        char x = *c->p;
        if (!((x >= '0' && x <= '9') || (x >= 'a' && x <= 'f') || (x >= 'A' && x <= 'F')))
            return false;
    }
    return comma(c);
}

const char *tc_lean_trade_line(const char *line, size_t n, struct tc_lean_trade *out)
{
    struct cursor c = cursor_of(line, n);
    if (!time_field(&c, &out->time))
        return "field 1 is no time in milliseconds since midnight";
    out->trade = (struct tc_trade){0}; /* a file's sale conditions forbid nothing */
    if (!price_field(&c, &out->trade.price))
        return "field 2 is no price (a number above 0, times 10,000)";
    if (!number(&c, &out->trade.size) || !comma(&c))
        return "field 3 is no size";
    if (!exchange_field(&c, &out->trade.off_exchange))
        return "field 4 is no exchange";
    if (!condition_field(&c))
        return "field 5 is no sale condition (hexadecimal)";
    if (c.end - c.p != 1 || (*c.p != '0' && *c.p != '1'))
        return "field 6 is no suspicious flag (0 or 1), or the line goes on after it";
    out->suspicious = *c.p == '1';
    return NULL;
}

const char *tc_lean_bar_line(const char *line, size_t n, struct tc_lean_bar *out)
{
    struct cursor c = cursor_of(line, n);
    if (!time_field(&c, &out->time))
        return "field 1 is no time in milliseconds since midnight";
    if (!price_field(&c, &out->open) || !price_field(&c, &out->high) || !price_field(&c, &out->low) ||
        !price_field(&c, &out->close))
        return "one of fields 2 to 5 is no price (a number above 0, times 10,000)";
    if (!number(&c, &out->volume))
        return "field 6 is no volume";
    if (c.p != c.end)
        return "the line goes on after field 6";
    if (out->high < out->low || out->open > out->high || out->open < out->low || out->close > out->high ||
        out->close < out->low)
        return "open or close lies outside low to high";
    return NULL;
}

/* A price of a quote may be missing (empty), or 0, which says the same. */
static bool side_price(struct cursor *c, double *out)
{
    *out = NAN;
    if (c->p < c->end && *c->p == ',')
        return comma(c);
    if (!number(c, out))
        return false;
    *out = *out > 0 ? *out / SCALE : NAN;
    return comma(c);
}

static bool side(struct cursor *c, double *close, double *size, bool last)
{
    double unused;
    if (!side_price(c, &unused) || !side_price(c, &unused) || !side_price(c, &unused) ||
        !side_price(c, close))
        return false;
    if (c->p == c->end || *c->p == ',')
        *size = NAN;
    else if (!number(c, size))
        return false;
    return last ? c->p == c->end : comma(c);
}

const char *tc_lean_quote_line(const char *line, size_t n, struct tc_lean_quote *out)
{
    struct cursor c = cursor_of(line, n);
    if (!time_field(&c, &out->time))
        return "field 1 is no time in milliseconds since midnight";
    if (!side(&c, &out->quote.bid, &out->quote.bid_size, false))
        return "fields 2 to 6 are no bid (open, high, low, close, size)";
    if (!side(&c, &out->quote.ask, &out->quote.ask_size, true))
        return "fields 7 to 11 are no ask (open, high, low, close, size), or the line goes on after them";
    return NULL;
}
