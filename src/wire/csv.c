#include "wire/csv.h"
#include "base/clock.h"
#include "base/num.h"
#include "market/symtab.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum field {
    F_TIME,
    F_SYMBOL,
    F_PRICE,
    F_SIZE,
    F_EXCHANGE,
    F_OFF,
    F_SUSPICIOUS,
    F_OPEN,
    F_HIGH,
    F_LOW,
    F_CLOSE,
    F_VOLUME,
    F_VWAP,
    F_TRADES,
    F_BID,
    F_ASK,
    F_BID_SIZE,
    F_ASK_SIZE,
    F_COUNT
};

_Static_assert((int)F_COUNT == (int)TC_CSV_FIELDS, "csv.h holds room for every field");

static const struct {
    const char *name;
    enum field field;
} columns[] = {
    {"time", F_TIME},         {"start", F_TIME},
    {"timestamp", F_TIME},    {"symbol", F_SYMBOL},
    {"price", F_PRICE},       {"size", F_SIZE},
    {"exchange", F_EXCHANGE}, {"off_exchange", F_OFF},
    {"open", F_OPEN},         {"suspicious", F_SUSPICIOUS},
    {"high", F_HIGH},         {"low", F_LOW},
    {"close", F_CLOSE},       {"volume", F_VOLUME},
    {"vwap", F_VWAP},         {"trades", F_TRADES},
    {"bid", F_BID},           {"ask", F_ASK},
    {"bid_size", F_BID_SIZE}, {"ask_size", F_ASK_SIZE},
};

struct text {
    const char *p;
    size_t n;
};

/* Takes the next field off the line; false when there is none left. */
static bool next_field(const char **line, const char *end, struct text *out)
{
    if (!*line)
        return false;
    const char *comma = memchr(*line, ',', (size_t)(end - *line));
    const char *stop = comma ? comma : end;
    out->p = *line;
    out->n = (size_t)(stop - *line);
    *line = comma ? comma + 1 : NULL;
    while (out->n && (*out->p == ' ' || *out->p == '\t'))
        out->p++, out->n--;
    while (out->n && (out->p[out->n - 1] == ' ' || out->p[out->n - 1] == '\t' || out->p[out->n - 1] == '\r'))
        out->n--;
    if (out->n >= 2 && out->p[0] == '"' && out->p[out->n - 1] == '"')
        out->p++, out->n -= 2;
    return true;
}

static int field_named(const struct text *t)
{
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        if (strlen(columns[i].name) == t->n && !strncasecmp(columns[i].name, t->p, t->n))
            return (int)columns[i].field;
    return -1;
}

static const char *choose_kind(struct tc_csv_format *f)
{
    const bool *h = f->has;
    if (!h[F_TIME])
        return "the header names no column time";
    f->has_symbol = h[F_SYMBOL];
    if (h[F_OPEN]) {
        f->kind = TC_CSV_BARS;
        return h[F_HIGH] && h[F_LOW] && h[F_CLOSE] && h[F_VOLUME]
                   ? NULL
                   : "the header names open, but not all of high, low, close and volume";
    }
    if (h[F_PRICE]) {
        f->kind = TC_CSV_TRADES;
        return h[F_SIZE] ? NULL : "the header names price, but not size";
    }
    f->kind = TC_CSV_QUOTES;
    return h[F_BID] && h[F_ASK] ? NULL
                                : "the header names neither price and size, open to volume, nor bid and ask";
}

const char *tc_csv_header(const char *line, size_t n, struct tc_csv_format *out)
{
    memset(out, 0, sizeof(*out));
    const char *end = line + n;
    if (n >= 3 && !memcmp(line, "\xef\xbb\xbf", 3)) /* a byte order mark */
        line += 3;
    struct text t;
    while (next_field(&line, end, &t)) {
        if (out->n_columns == TC_CSV_COLUMNS_MAX)
            return "the header has more than 64 columns";
        int field = field_named(&t);
        out->field_of[out->n_columns++] = (int8_t)field;
        if (field >= 0 && out->has[field])
            return "the header names a column twice";
        if (field >= 0)
            out->has[field] = true;
    }
    return choose_kind(out);
}

static bool two(const char *p, int lo, int hi, int *out)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *out = (p[0] - '0') * 10 + p[1] - '0';
    return *out >= lo && *out <= hi;
}

static bool fraction(const char **p, const char *end, int64_t *ns)
{
    int64_t unit = TC_NS_PER_SEC / 10;
    const char *first = ++*p;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++, unit /= 10)
        *ns += (**p - '0') * unit;
    return *p > first;
}

static bool zone(const char *p, const char *end, int64_t *offset_s)
{
    int h, m;
    *offset_s = 0;
    if (p == end || (end - p == 1 && (*p == 'Z' || *p == 'z')))
        return true;
    if (end - p != 6 || (*p != '+' && *p != '-') || p[3] != ':' || !two(p + 1, 0, 15, &h) ||
        !two(p + 4, 0, 59, &m))
        return false;
    *offset_s = (h * 3600 + m * 60) * (*p == '-' ? -1 : 1);
    return true;
}

static bool iso_time(const char *s, const char *end, int64_t *out)
{
    int century, year, month, day, hour, minute, second;
    int64_t ns = 0, offset;
    if (end - s < 19 || s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != ' ') || s[13] != ':' ||
        s[16] != ':' || !two(s, 19, 21, &century) || !two(s + 2, 0, 99, &year) ||
        !two(s + 5, 1, 12, &month) || !two(s + 8, 1, 31, &day) || !two(s + 11, 0, 23, &hour) ||
        !two(s + 14, 0, 59, &minute) || !two(s + 17, 0, 59, &second))
        return false;
    const char *p = s + 19;
    if (p < end && *p == '.' && !fraction(&p, end, &ns))
        return false;
    int32_t date = (century * 100 + year) * 10000 + month * 100 + day;
    if (!zone(p, end, &offset) || tc_date_from_days(tc_days_from_date(date)) != date)
        return false;
    int64_t seconds = tc_days_from_date(date) * 86400 + hour * 3600 + minute * 60 + second - offset;
    *out = seconds * TC_NS_PER_SEC + ns;
    return true;
}

bool tc_csv_time(const char *s, size_t n, int64_t *out)
{
    const char *end = s + n, *p = s;
    int64_t v, ns = 0;
    if (n > 10 && s[4] == '-')
        return iso_time(s, end, out);
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    if (!tc_parse_int(s, (size_t)(p - s), &v) || v <= 0)
        return false;
    if (p < end && (*p != '.' || v >= 100000000000 || !fraction(&p, end, &ns) || p != end))
        return false;
    if (v < 100000000000)
        *out = v <= 9000000000 ? v * TC_NS_PER_SEC + ns : -1;
    else if (v < 100000000000000)
        *out = v <= 9000000000000 ? v * TC_NS_PER_MS : -1;
    else if (v < 100000000000000000)
        *out = v <= 9000000000000000 ? v * 1000 : -1;
    else
        *out = v <= 9000000000000000000 ? v : -1;
    return *out > 0;
}

static const char *symbol_field(const struct text *t, char out[static TC_SYMBOL_SIZE])
{
    if (t->n == 0 || t->n >= TC_SYMBOL_SIZE)
        return "the symbol is empty or longer than 32 bytes";
    memcpy(out, t->p, t->n);
    out[t->n] = '\0';
    return !memchr(out, '\0', t->n) && tc_symbol_valid(out)
               ? NULL
               : "the symbol holds a character that is no letter, digit or . _ - / :";
}

static bool flag(const struct text *t, bool *out)
{
    *out = t->n == 1 && *t->p == '1';
    return t->n == 0 || (t->n == 1 && (*t->p == '0' || *t->p == '1'));
}

/* Fields that may be left empty, which means unknown. */
static bool optional(enum field f)
{
    return f == F_VWAP || f == F_TRADES || f == F_BID || f == F_ASK || f == F_BID_SIZE || f == F_ASK_SIZE;
}

static const char *take_field(enum field f, const struct text *t, double v[static F_COUNT],
                              struct tc_csv_row *out)
{
    switch (f) {
    case F_TIME:
        return tc_csv_time(t->p, t->n, &out->time) ? NULL
                                                   : "the time is no epoch number and no ISO 8601 time";
    case F_SYMBOL:
        return symbol_field(t, out->symbol);
    case F_EXCHANGE:
        if ((t->n == 1 && *t->p == 'D') || (t->n == 5 && !memcmp(t->p, "FINRA", 5)))
            out->trade.off_exchange = true;
        return NULL;
    case F_OFF:
        return flag(t, &out->trade.off_exchange) ? NULL : "off_exchange is neither 0 nor 1";
    case F_SUSPICIOUS:
        return flag(t, &out->suspicious) ? NULL : "suspicious is neither 0 nor 1";
    default:
        if (t->n == 0 && optional(f))
            return NULL;
        if (!tc_parse_double(t->p, t->n, &v[f]) || fabs(v[f]) >= 1e15)
            return "a price, size or volume is no number below 1e15";
        return v[f] >= 0 ? NULL : "a price, size or volume is below 0";
    }
}

static const char *finish_bar(const double v[static F_COUNT], struct tc_csv_row *out)
{
    struct tc_event_bar *b = &out->bar;
    *b = (struct tc_event_bar){.open = v[F_OPEN], .high = v[F_HIGH], .low = v[F_LOW], .close = v[F_CLOSE]};
    b->vwap = v[F_VWAP];
    b->volume = v[F_VOLUME];
    b->trades = v[F_TRADES] <= INT32_MAX ? (int32_t)v[F_TRADES] : 0; /* false for NaN */
    if (!(b->low > 0 && b->open >= b->low && b->open <= b->high && b->close >= b->low && b->close <= b->high))
        return "open or close lies outside low to high, or a price is 0";
    return NULL;
}

const char *tc_csv_line(const struct tc_csv_format *f, const char *line, size_t n, struct tc_csv_row *out)
{
    const char *end = line + n;
    double v[F_COUNT];
    for (int i = 0; i < F_COUNT; i++)
        v[i] = NAN;
    out->symbol[0] = '\0';
    out->suspicious = false;
    out->trade = (struct tc_trade){0};
    struct text t;
    int column = 0;
    for (; next_field(&line, end, &t); column++) {
        if (column >= f->n_columns)
            return "the line has more fields than the header";
        if (f->field_of[column] < 0)
            continue;
        const char *why = take_field((enum field)f->field_of[column], &t, v, out);
        if (why)
            return why;
    }
    if (column != f->n_columns)
        return "the line has fewer fields than the header";
    out->quote = (struct tc_quote){v[F_BID], v[F_ASK], v[F_BID_SIZE], v[F_ASK_SIZE]};
    if (f->kind == TC_CSV_BARS)
        return finish_bar(v, out);
    out->trade.price = v[F_PRICE];
    out->trade.size = v[F_SIZE];
    if (f->kind == TC_CSV_TRADES && !(v[F_PRICE] > 0))
        return "the price is not above 0";
    return NULL;
}
