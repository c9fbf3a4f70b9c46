#include "wire/json.h"
#include "base/clock.h"
#include "base/num.h"

void tc_json_start(struct tc_json *j, const char *bytes, size_t n)
{
    *j = (struct tc_json){.p = bytes, .end = bytes + n};
}

bool tc_json_find_text(const struct tc_json *at, const char *key, struct tc_text *out)
{
    struct tc_json j = *at;
    struct tc_text name;
    if (tc_json_enter(&j, '{'))
        while (tc_json_key(&j, &name)) {
            if (tc_text_is(name, key))
                return tc_json_text(&j, out);
            tc_json_skip(&j);
        }
    return false;
}

bool tc_json_fail(struct tc_json *j)
{
    j->bad = true;
    j->p = j->end;
    return false;
}

static void blank(struct tc_json *j)
{
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r'))
        j->p++;
}

int tc_json_peek(struct tc_json *j)
{
    blank(j);
    if (j->bad || j->p == j->end)
        return -1;
    char c = *j->p;
    if (c == '-' || (c >= '0' && c <= '9'))
        return 0;
    return strchr("{[\"tfn", c) ? c : -1;
}

bool tc_json_enter(struct tc_json *j, char bracket)
{
    if (tc_json_peek(j) != bracket || j->depth == TC_JSON_DEPTH)
        return tc_json_fail(j);
    j->p++;
    j->depth++;
    j->fresh = true;
    return true;
}

/* True when another member follows: eats the comma before it or, when there is none, the closing bracket. */
static bool more(struct tc_json *j, char closing)
{
    blank(j);
    if (j->p == j->end)
        return tc_json_fail(j);
    if (*j->p == closing) {
        j->p++;
        j->depth--;
        j->fresh = false;
        return false;
    }
    if (!j->fresh) {
        if (*j->p != ',')
            return tc_json_fail(j);
        j->p++;
    }
    j->fresh = false;
    return true;
}

bool tc_json_key(struct tc_json *j, struct tc_text *out)
{
    if (!more(j, '}') || !tc_json_text(j, out))
        return false;
    blank(j);
    if (j->p == j->end || *j->p != ':')
        return tc_json_fail(j);
    j->p++;
    return true;
}

bool tc_json_item(struct tc_json *j)
{
    if (!more(j, ']'))
        return false;
    blank(j); /* a comma with nothing behind it is caught by the value's reader */
    return true;
}

bool tc_json_text(struct tc_json *j, struct tc_text *out)
{
    if (tc_json_peek(j) != '"')
        return tc_json_fail(j);
    const char *p = ++j->p;
    bool escaped = false;
    for (; p < j->end && *p != '"'; p++) {
        if ((unsigned char)*p < 0x20)
            return tc_json_fail(j);
        if (*p == '\\') {
            escaped = true;
            if (++p == j->end)
                break;
        }
    }
    if (p >= j->end)
        return tc_json_fail(j);
    *out = (struct tc_text){j->p, (size_t)(p - j->p), escaped};
    j->p = p + 1;
    j->fresh = false;
    return true;
}

static bool number_text(struct tc_json *j, struct tc_text *out)
{
    if (tc_json_peek(j) != 0)
        return tc_json_fail(j);
    const char *p = j->p;
    while (p < j->end &&
           ((*p >= '0' && *p <= '9') || *p == '.' || *p == '-' || *p == '+' || *p == 'e' || *p == 'E'))
        p++;
    *out = (struct tc_text){j->p, (size_t)(p - j->p), false};
    j->p = p;
    j->fresh = false;
    return true;
}

bool tc_json_number(struct tc_json *j, double *out)
{
    struct tc_text t = {0};
    return number_text(j, &t) && (tc_parse_double(t.p, t.n, out) || tc_json_fail(j));
}

bool tc_json_int(struct tc_json *j, int64_t *out)
{
    struct tc_text t = {0};
    return number_text(j, &t) && (tc_parse_int(t.p, t.n, out) || tc_json_fail(j));
}

bool tc_json_decimal(struct tc_json *j, double *out)
{
    struct tc_text t = {0};
    if (tc_json_peek(j) != '"')
        return tc_json_number(j, out);
    return tc_json_text(j, &t) && (tc_parse_double(t.p, t.n, out) || tc_json_fail(j));
}

static bool word(struct tc_json *j, const char *w)
{
    size_t n = strlen(w);
    if ((size_t)(j->end - j->p) < n || memcmp(j->p, w, n) != 0)
        return tc_json_fail(j);
    j->p += n;
    j->fresh = false;
    return true;
}

bool tc_json_bool(struct tc_json *j, bool *out)
{
    int c = tc_json_peek(j);
    if (c != 't' && c != 'f')
        return tc_json_fail(j);
    *out = c == 't';
    return word(j, c == 't' ? "true" : "false");
}

bool tc_json_null(struct tc_json *j)
{
    return tc_json_peek(j) == 'n' && word(j, "null");
}

/* Depth is bounded by tc_json_enter, so this may call itself. */
bool tc_json_skip(struct tc_json *j)
{
    struct tc_text t;
    bool b;
    double d;
    switch (tc_json_peek(j)) {
    case '{':
        if (tc_json_enter(j, '{'))
            while (tc_json_key(j, &t))
                tc_json_skip(j);
        return !j->bad;
    case '[':
        if (tc_json_enter(j, '['))
            while (tc_json_item(j))
                tc_json_skip(j);
        return !j->bad;
    case '"':
        return tc_json_text(j, &t);
    case 't':
    case 'f':
        return tc_json_bool(j, &b);
    case 'n':
        return word(j, "null");
    case 0: /* more digits than we take for ours are no fault in a number that nobody reads */
        return number_text(j, &t) && (t.n > 40 || tc_parse_double(t.p, t.n, &d) || tc_json_fail(j));
    default:
        return tc_json_fail(j);
    }
}

bool tc_json_end(struct tc_json *j)
{
    blank(j);
    return !j->bad && j->depth == 0 && j->p == j->end;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* One \uXXXX as UTF-8; half a surrogate pair becomes U+FFFD. Returns bytes written. */
static size_t unicode(const char *p, char *out)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        int h = hex(p[i]);
        if (h < 0)
            return 0;
        v = v * 16 + (unsigned)h;
    }
    if (v >= 0xd800 && v < 0xe000)
        v = 0xfffd;
    if (v < 0x80) {
        out[0] = (char)v;
        return 1;
    }
    if (v < 0x800) {
        out[0] = (char)(0xc0 | v >> 6);
        out[1] = (char)(0x80 | (v & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | v >> 12);
    out[1] = (char)(0x80 | (v >> 6 & 0x3f));
    out[2] = (char)(0x80 | (v & 0x3f));
    return 3;
}

void tc_text_copy(struct tc_text t, char *out, size_t size)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t n = 0;
    for (size_t i = 0; i < t.n && n + 1 < size; i++) {
        char c = t.p[i], bytes[4];
        if (c != '\\' || i + 1 == t.n) {
            out[n++] = c;
            continue;
        }
        c = t.p[++i];
        const char *plain = c ? strchr(from, c) : NULL;
        if (plain) {
            out[n++] = to[plain - from];
        } else if (c == 'u' && t.n - i > 4) {
            size_t k = unicode(t.p + i + 1, bytes);
            i += 4;
            if (n + k >= size)
                break;
            memcpy(out + n, bytes, k);
            n += k;
        }
    }
    if (size)
        out[n] = '\0';
}

static bool digits(const char *p, int n, int *out)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        v = v * 10 + (p[i] - '0');
    }
    *out = v;
    return true;
}

/* "Z", "+01:00" or nothing (which is UTC too). */
static bool zone_offset(const char *p, size_t n, int *out_s)
{
    int h, m;
    *out_s = 0;
    if (n == 0 || (n == 1 && (*p == 'Z' || *p == 'z')))
        return true;
    if (n != 6 || (p[0] != '+' && p[0] != '-') || p[3] != ':' || !digits(p + 1, 2, &h) ||
        !digits(p + 4, 2, &m) || h > 23 || m > 59)
        return false;
    *out_s = (h * 3600 + m * 60) * (p[0] == '-' ? -1 : 1);
    return true;
}

bool tc_text_time(struct tc_text t, int64_t *out)
{
    int year, month, day, hour, minute, second, offset;
    const char *p = t.p;
    if (t.n < 19 || p[4] != '-' || p[7] != '-' || (p[10] != 'T' && p[10] != ' ') || p[13] != ':' ||
        p[16] != ':' || !digits(p, 4, &year) || !digits(p + 5, 2, &month) || !digits(p + 8, 2, &day) ||
        !digits(p + 11, 2, &hour) || !digits(p + 14, 2, &minute) || !digits(p + 17, 2, &second))
        return false;
    if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    size_t i = 19;
    int64_t fraction = 0;
    if (i < t.n && p[i] == '.') {
        int64_t unit = 100000000;
        for (i++; i < t.n && p[i] >= '0' && p[i] <= '9'; i++, unit /= 10)
            fraction += (p[i] - '0') * unit;
    }
    if (!zone_offset(p + i, t.n - i, &offset))
        return false;
    int64_t days = tc_days_from_date(year * 10000 + month * 100 + day);
    *out = (days * 86400 + hour * 3600 + minute * 60 + second - offset) * TC_NS_PER_SEC + fraction;
    return true;
}
