#include "base/num.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool tc_parse_int(const char *s, size_t n, int64_t *out)
{
    size_t i = 0;
    bool negative = false;
    if (n && (s[0] == '-' || s[0] == '+'))
        negative = s[i++] == '-';
    if (i == n || n - i > 19)
        return false;
    uint64_t v = 0;
    for (; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s[i] - '0'); /* 19 digits fit in 64 bits unsigned */
    }
    if (v > (uint64_t)INT64_MAX + (negative ? 1u : 0u))
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static const double pow10_exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* strtod under the "C" locale, made once per thread that needs it. */
static double parse_slow(const char *text)
{
    static _Thread_local locale_t c_locale;
    if (!c_locale)
        c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = c_locale ? uselocale(c_locale) : (locale_t)0;
    double v = strtod(text, NULL);
    if (before)
        uselocale(before);
    return v;
}

bool tc_parse_double(const char *s, size_t n, double *out)
{
    if (n == 0 || n > 40)
        return false;
    size_t i = 0;
    bool negative = false;
    if (s[0] == '-' || s[0] == '+')
        negative = s[i++] == '-';
    uint64_t mantissa = 0;
    int digits = 0, scale = 0, exponent = 0;
    bool point = false, any = false;
    for (; i < n; i++) {
        if (s[i] == '.' && !point) {
            point = true;
        } else if (s[i] >= '0' && s[i] <= '9') {
            any = true;
            if (mantissa || s[i] != '0')
                digits++;
            if (digits <= 18)
                mantissa = mantissa * 10 + (uint64_t)(s[i] - '0');
            if (point)
                scale++;
        } else {
            break;
        }
    }
    if (!any)
        return false;
    if (i < n && (s[i] == 'e' || s[i] == 'E')) {
        int64_t e;
        if (!tc_parse_int(s + i + 1, n - i - 1, &e) || e < -400 || e > 400)
            return false;
        exponent = (int)e;
        i = n;
    }
    if (i != n)
        return false;
    /* Exact when mantissa and power of ten are both exact doubles (Clinger's fast path). */
    int power = exponent - scale;
    if (digits <= 15 && power >= -22 && power <= 22) {
        double v = power < 0 ? (double)mantissa / pow10_exact[-power] : (double)mantissa * pow10_exact[power];
        *out = negative ? -v : v;
        return true;
    }
    char text[48];
    memcpy(text, s, n);
    text[n] = '\0';
    double v = parse_slow(text);
    if (!isfinite(v))
        return false;
    *out = v;
    return true;
}

size_t tc_format_int(int64_t v, char out[static TC_NUM_TEXT])
{
    char digits[24];
    size_t n = 0, len = 0;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        digits[n++] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        out[len++] = '-';
    while (n)
        out[len++] = digits[--n];
    out[len] = '\0';
    return len;
}

/* Writes d / 10^k in plain notation with the sign of v. */
static size_t place_point(double v, uint64_t d, size_t k, char *out)
{
    char digits[TC_NUM_TEXT];
    size_t n = tc_format_int((int64_t)d, digits), len = 0;
    if (signbit(v))
        out[len++] = '-';
    if (k >= n) { /* leading zeros: 0.05 */
        out[len++] = '0';
        out[len++] = '.';
        for (size_t z = k - n; z; z--)
            out[len++] = '0';
        memcpy(out + len, digits, n);
        len += n;
    } else {
        memcpy(out + len, digits, n - k);
        len += n - k;
        if (k) {
            out[len++] = '.';
            memcpy(out + len, digits + n - k, k);
            len += k;
        }
    }
    out[len] = '\0';
    return len;
}

/* Prices and sizes are short decimals: m / 10^k with a small m. Returns 0 when v is not one. */
static size_t format_short_decimal(double v, char *out)
{
    double a = fabs(v);
    if (a >= 1e11 || (a != 0 && a < 1e-4))
        return 0;
    for (int k = 0; k <= 4; k++) {
        double scaled = rint(a * pow10_exact[k]);
        if (scaled < 9e15 && scaled / pow10_exact[k] == a)
            return place_point(v, (uint64_t)scaled, (size_t)k, out);
    }
    return 0;
}

static const long double pow10_long[] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,  1e7L,
                                         1e8L,  1e9L,  1e10L, 1e11L, 1e12L, 1e13L, 1e14L, 1e15L,
                                         1e16L, 1e17L, 1e18L, 1e19L, 1e20L}; /* all exact in 64 bits */

static int decimal_exponent(double a)
{
    if (a < 1)
        return a >= 0.1 ? -1 : a >= 0.01 ? -2 : a >= 0.001 ? -3 : -4;
    int e = 0;
    while (a >= pow10_exact[e + 1])
        e++;
    return e;
}

/* D with `digits` digits so that D / 10^k is the decimal next to a; 0 when that is not certain. The product
 * is wrong by less than 2^-6 here (2^-64 of at most 10^17), so a fraction that near to one half is not
 * decided. */
static uint64_t nearest_digits(double a, int k)
{
    long double scaled = (long double)a * pow10_long[k];
    uint64_t whole = (uint64_t)scaled;
    long double rest = scaled - (long double)whole;
    if (fabsl(rest - 0.5L) < 0x1p-6L)
        return 0;
    return whole + (rest > 0.5L);
}

/* 1: D / 10^k reads back as a. 0: it does not. -1: not certain, because the quotient in 64 bits lies so near
 * to the middle of two doubles that rounding twice could differ from rounding once. */
static int reads_back(uint64_t d, int k, double a)
{
    long double q = (long double)d / pow10_long[k];
    long double off = fabsl(q - (long double)a), half = (long double)(nextafter(a, INFINITY) - a) / 2;
    if (fabsl(off - half) <= half * 0x1p-9L || fabsl(off - half / 2) <= half * 0x1p-9L)
        return -1; /* half / 2: the gap below a power of two */
    return (double)q == a;
}

/* The same digits as the loop below, for usual sizes and without printf. 0 when it cannot be certain. */
static size_t format_usual(double v, char *out)
{
    double a = fabs(v);
    if (LDBL_MANT_DIG < 64 || a >= 1e15 || a < 1e-4)
        return 0;
    int exponent = decimal_exponent(a);
    for (int digits = 15; digits <= 17; digits++) {
        int k = digits - 1 - exponent;
        uint64_t d = nearest_digits(a, k);
        int good = d ? reads_back(d, k, a) : -1;
        if (good < 0)
            return 0;
        if (!good)
            continue;
        for (; k > 0 && d % 10 == 0; k--)
            d /= 10;
        return place_point(v, d, (size_t)k, out);
    }
    return 0;
}

size_t tc_format_double(double v, char out[static TC_NUM_TEXT])
{
    if (!isfinite(v)) {
        memcpy(out, "null", 5);
        return 4;
    }
    size_t n = format_short_decimal(v, out);
    if (!n)
        n = format_usual(v, out);
    if (n)
        return n;
    for (int digits = 15; digits <= 17; digits++) {
        n = (size_t)snprintf(out, TC_NUM_TEXT, "%.*g", digits, v);
        for (char *p = out; *p; p++) /* a program-wide locale may have put a comma */
            if (*p == ',')
                *p = '.';
        double back;
        if (tc_parse_double(out, n, &back) && back == v)
            break;
    }
    return n;
}
