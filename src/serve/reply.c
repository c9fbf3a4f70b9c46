#include "serve/reply.h"
#include "base/clock.h"
#include "base/num.h"
#include "market/symtab.h"

#include <stdio.h>
#include <string.h>

void tc_reply_init(struct tc_reply *r)
{
    *r = (struct tc_reply){.status = 200, .type = "application/json"};
    tc_buf_init(&r->body, TC_ANSWER_MAX);
}

void tc_reply_release(struct tc_reply *r)
{
    tc_buf_release(&r->body);
}

static const char *code_of(int status)
{
    switch (status) {
    case 400:
        return "bad_request";
    case 401:
        return "unauthorized";
    case 403:
        return "forbidden";
    case 404:
        return "not_found";
    case 405:
        return "method_not_allowed";
    case 409:
        return "conflict";
    case 413:
        return "too_large";
    case 415:
        return "unsupported_media_type";
    case 429:
        return "too_many_requests";
    case 414:
        return "uri_too_long";
    case 421:
        return "misdirected_request";
    case 503:
        return "unavailable";
    default:
        return "internal_error";
    }
}

bool tc_reply_error(struct tc_reply *r, int status, const char *fmt, ...)
{
    char message[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    r->status = status;
    r->type = "application/json";
    r->file[0] = '\0';
    tc_buf_clear(&r->body);
    tc_buf_printf(&r->body, "{\"error\":{\"code\":\"%s\",\"message\":", code_of(status));
    tc_buf_json_string(&r->body, message);
    tc_buf_str(&r->body, "}}\n");
    return false;
}

/* Index of `word` in a list of words separated by spaces, or -1. */
static int word_index(const char *list, const char *word)
{
    size_t n = strlen(word);
    int i = 0;
    for (const char *p = list; *p; i++) {
        size_t len = strcspn(p, " ");
        if (len == n && !memcmp(p, word, n))
            return i;
        p += len;
        p += strspn(p, " ");
    }
    return -1;
}

bool tc_params_check(const struct tc_params *p, const char *allowed, struct tc_reply *r)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *name = p->at[i].name;
        if (word_index(allowed, name) < 0 && strcmp(name, "token") != 0)
            return tc_reply_error(r, 400, "unknown parameter \"%.64s\"; this path takes: %s", name,
                                  allowed[0] ? allowed : "none");
        for (size_t k = 0; k < i; k++)
            if (!strcmp(p->at[k].name, name))
                return tc_reply_error(r, 400, "parameter \"%.64s\" is given twice", name);
    }
    return true;
}

const char *tc_params_get(const struct tc_params *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (!strcmp(p->at[i].name, name))
            return p->at[i].value;
    return NULL;
}

bool tc_param_int(const struct tc_params *p, const char *name, int64_t min, int64_t max, int64_t *out,
                  struct tc_reply *r)
{
    const char *text = tc_params_get(p, name);
    int64_t v;
    if (!text)
        return true;
    if (!tc_parse_int(text, strlen(text), &v) || v < min || v > max)
        return tc_reply_error(r, 400, "parameter \"%s\": \"%.64s\" is not a whole number from %lld to %lld",
                              name, text, (long long)min, (long long)max);
    *out = v;
    return true;
}

/* Exactly n digits at *s as a number; moves on. */
static bool digits(const char **s, int n, int64_t *out)
{
    int64_t v = 0;
    for (int i = 0; i < n; i++) {
        char c = (*s)[i];
        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (c - '0');
    }
    *s += n;
    *out = v;
    return true;
}

static bool parse_date(const char **s, int64_t *days)
{
    int64_t y, m, d;
    if (!digits(s, 4, &y) || *(*s)++ != '-' || !digits(s, 2, &m) || *(*s)++ != '-' || !digits(s, 2, &d))
        return false;
    int32_t date = (int32_t)(y * 10000 + m * 100 + d);
    if (y < 1678 || y > 2261 || m < 1 || m > 12 || d < 1)
        return false;
    *days = tc_days_from_date(date);
    return tc_date_from_days(*days) == date; /* no 31 February */
}

/* "13:30", "13:30:00", "13:30:00.25" */
static bool parse_clock(const char **s, int64_t *ns)
{
    int64_t h, m, sec = 0, frac = 0;
    if (!digits(s, 2, &h) || *(*s)++ != ':' || !digits(s, 2, &m))
        return false;
    if (**s == ':') {
        (*s)++;
        if (!digits(s, 2, &sec))
            return false;
        if (**s == '.') {
            (*s)++;
            int64_t unit = TC_NS_PER_SEC;
            const char *begin = *s;
            for (; **s >= '0' && **s <= '9' && unit > 1; (*s)++) {
                unit /= 10;
                frac += (**s - '0') * unit;
            }
            if (*s == begin)
                return false;
        }
    }
    if (h > 23 || m > 59 || sec > 59)
        return false;
    *ns = (h * 3600 + m * 60 + sec) * TC_NS_PER_SEC + frac;
    return true;
}

/* "", "Z", "+02:00"; an unescaped plus sign arrives as a space */
static bool parse_zone(const char **s, int64_t *ns)
{
    int64_t h, m;
    *ns = 0;
    if (**s == 'Z') {
        (*s)++;
    } else if (**s == '+' || **s == '-' || **s == ' ') {
        int sign = *(*s)++ == '-' ? -1 : 1;
        if (!digits(s, 2, &h) || *(*s)++ != ':' || !digits(s, 2, &m) || h > 15 || m > 59)
            return false;
        *ns = sign * (h * 3600 + m * 60) * TC_NS_PER_SEC;
    }
    return **s == '\0';
}

bool tc_time_parse(const char *text, int64_t *out)
{
    if (tc_parse_int(text, strlen(text), out))
        return true;
    int64_t days, clock = 0, zone = 0;
    if (!parse_date(&text, &days))
        return false;
    if (*text == 'T' || *text == ' ') {
        text++;
        if (!parse_clock(&text, &clock) || !parse_zone(&text, &zone))
            return false;
    }
    if (*text)
        return false;
    *out = days * 86400 * TC_NS_PER_SEC + clock - zone;
    return true;
}

bool tc_param_time(const struct tc_params *p, const char *name, int64_t *out, struct tc_reply *r)
{
    const char *text = tc_params_get(p, name);
    if (!text || tc_time_parse(text, out))
        return true;
    return tc_reply_error(r, 400,
                          "parameter \"%s\": \"%.64s\" is neither nanoseconds since 1970 nor a time such as "
                          "2013-10-07T13:30:00Z",
                          name, text);
}

bool tc_param_choice(const struct tc_params *p, const char *name, const char *choices, int *out,
                     struct tc_reply *r)
{
    const char *text = tc_params_get(p, name);
    if (!text)
        return true;
    int i = word_index(choices, text);
    if (i < 0 || !text[0])
        return tc_reply_error(r, 400, "parameter \"%s\": \"%.64s\" is none of: %s", name, text, choices);
    *out = i;
    return true;
}

bool tc_param_symbol(const struct tc_params *p, bool required, const char **out, struct tc_reply *r)
{
    const char *text = tc_params_get(p, "symbol");
    if (!text)
        return required ? tc_reply_error(r, 400, "parameter \"symbol\" is required, for example symbol=SPY")
                        : true;
    if (!tc_symbol_valid(text))
        return tc_reply_error(
            r, 400, "parameter \"symbol\": \"%.64s\" is no symbol (1 to 32 letters, digits and . _ - / :)",
            text);
    *out = text;
    return true;
}
