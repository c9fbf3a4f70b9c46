#include "base/num.h"

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

/* Prices and sizes are short decimals: m / 10^k with a small m. Returns 0 when v is not one. */
static size_t format_short_decimal(double v, char *out)
{
    double a = fabs(v);
    if (a >= 1e11 || (a != 0 && a < 1e-4))
        return 0;
    for (int k = 0; k <= 4; k++) {
        double scaled = rint(a * pow10_exact[k]);
        if (scaled >= 9e15 || scaled / pow10_exact[k] != a)
            continue;
        char digits[TC_NUM_TEXT];
        size_t n = tc_format_int((int64_t)scaled, digits), len = 0;
        if (signbit(v))
            out[len++] = '-';
        if ((size_t)k >= n) { /* leading zeros: 0.05 */
            out[len++] = '0';
            out[len++] = '.';
            for (size_t z = (size_t)k - n; z; z--)
                out[len++] = '0';
            memcpy(out + len, digits, n);
            len += n;
        } else {
            memcpy(out + len, digits, n - (size_t)k);
            len += n - (size_t)k;
            if (k) {
                out[len++] = '.';
                memcpy(out + len, digits + n - k, (size_t)k);
                len += (size_t)k;
            }
        }
        out[len] = '\0';
        return len;
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
