/* Finding symbols in a text, sentence by sentence. */
#include "social/tickers_int.h"

#include <ctype.h>
#include <string.h>

enum { SENTENCE_TOKENS = 256, STRIKE_DISTANCE = 5 };

/* Words behind a symbol, or before it, that only a share has. The plain ones of `behind` also let a symbol in
 * small letters count. */
static const char *const behind[] = {"calls",    "puts",  "shares",  "stock",
                                     "earnings", "leaps", "options", NULL};
static const char *const behind_capitals[] = {"call",    "put",   "share",  "dip",  "price", "bulls", "bears",
                                              "holders", "chart", "ticker", "gang", "bags",  "er",    NULL};
static const char *const before[] = {"long", "short", "shorting", "shorted", "ticker", "longed", NULL};
static const char *const of_what[] = {"calls", "puts",  "shares",   "position", "bullish", "bearish",
                                      "long",  "short", "earnings", "options",  "leaps",   NULL};
/* Talk of the market, anywhere in a sentence. */
static const char *const talk[] = {
    "earnings",    "stock",      "stocks",     "shares",    "share",      "calls",      "puts",
    "call",        "put",        "buy",        "bought",    "sell",       "sold",       "bullish",
    "bearish",     "price",      "market",     "guidance",  "revenue",    "quarter",    "dividend",
    "options",     "upgrade",    "upgraded",   "downgrade", "downgraded", "analyst",    "analysts",
    "rally",       "dip",        "investors",  "portfolio", "valuation",  "leaps",      "eps",
    "long",        "short",      "margin",     "margins",   "puts",       "strike",     "expiry",
    "undervalued", "overvalued", "undervalue", "trading",   "premarket",  "afterhours", "ath",
    "squeeze",     "q1",         "q2",         "q3",        "q4",         "bagholder",  "trade",
    "traded",      "moon",       "rallied",    NULL};

static bool is_tail(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* What stands at `at` and is passed over whole: an address, u/NAME, r/NAME, @NAME. 0 = nothing. */
static size_t passed_over(const char *text, size_t n, size_t at)
{
    const char *p = text + at;
    size_t left = n - at, skip = 0;
    if (*p != 'h' && *p != 'w' && *p != '@' && *p != 'u' && *p != 'r')
        return 0;
    if ((left > 7 && !memcmp(p, "http://", 7)) || (left > 8 && !memcmp(p, "https://", 8)) ||
        (left > 4 && !memcmp(p, "www.", 4)) || *p == '@')
        skip = 1;
    else if (left > 2 && (*p == 'u' || *p == 'r') && p[1] == '/' && is_tail(p[2]))
        skip = 2;
    if (!skip)
        return 0;
    while (skip < left && !isspace((unsigned char)p[skip]) && p[skip] != ')' && p[skip] != ']')
        skip++;
    return skip;
}

static void classify(struct tc_token *t)
{
    size_t letters = 0, capitals = 0, digits = 0, points = 0, others = 0;
    for (size_t i = 0; i < t->n; i++) {
        char c = t->text[i];
        letters += isalpha((unsigned char)c) != 0;
        capitals += c >= 'A' && c <= 'Z';
        digits += c >= '0' && c <= '9';
        points += c == '.' || c == '&';
        others += (unsigned char)c >= 0x80;
    }
    t->letters = letters && digits == 0 && others == 0;
    t->upper = letters && capitals == letters && others == 0;
    t->capital = t->text[0] >= 'A' && t->text[0] <= 'Z';
    t->number = digits && digits + points == t->n;
    char last = (char)tolower((unsigned char)t->text[t->n - 1]);
    t->strike = digits && digits + points + 1 == t->n && (last == 'c' || last == 'p');
}

bool tc_token_next(const char *text, size_t n, size_t *at, struct tc_token *out)
{
    size_t i = *at;
    for (size_t skip; i < n; i += skip) {
        skip = passed_over(text, n, i);
        if (!skip && is_tail(text[i]))
            break;
        skip = skip ? skip : 1;
    }
    *at = i;
    if (i >= n)
        return false;
    size_t from = i;
    while (i < n &&
           (is_tail(text[i]) || (strchr(".&'", text[i]) && text[i] && i + 1 < n && is_tail(text[i + 1]))))
        i++;
    *at = i;
    size_t length = i - from;
    if (length > 2 && text[i - 2] == '\'' && tolower((unsigned char)text[i - 1]) == 's')
        length -= 2;
    *out = (struct tc_token){.text = text + from,
                             .n = (uint16_t)(length < UINT16_MAX ? length : UINT16_MAX),
                             .dollar = from > 0 && text[from - 1] == '$' &&
                                       (from == 1 || (!is_tail(text[from - 2]) && text[from - 2] != '$'))};
    classify(out);
    return true;
}

/* --- one sentence ----------------------------------------------------------------------------------------*/

struct sentence {
    const struct tc_tickers *t;
    struct tc_token tokens[SENTENCE_TOKENS];
    uint32_t known[SENTENCE_TOKENS]; /* the symbol a token may be; 0 = none */
    size_t n;
    bool shouts;
    int market; /* talks of the market; -1 = not looked yet */
};

struct finds {
    struct tc_ticker *out;
    size_t n;
};

static bool is_word(const struct tc_token *t, const char *word)
{
    return strlen(word) == t->n && !strncasecmp(t->text, word, t->n);
}

static bool is_any(const struct tc_token *t, const char *const *words)
{
    for (; *words; words++)
        if (is_word(t, *words))
            return true;
    return false;
}

static void find(struct finds *f, const char *symbol, enum tc_evidence e)
{
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->out[i].symbol, symbol))
            continue;
        if (e < f->out[i].evidence)
            f->out[i].evidence = e;
        return;
    }
    if (f->n == TC_TICKERS_MAX)
        return;
    struct tc_ticker *to = &f->out[f->n++];
    memset(to, 0, sizeof(*to));
    memcpy(to->symbol, symbol, strlen(symbol));
    to->evidence = e;
}

static uint32_t look_up(const struct sentence *s, const struct tc_token *t)
{
    char key[TC_KEY_SIZE];
    if (t->n >= sizeof(key))
        return 0;
    for (size_t i = 0; i < t->n; i++)
        key[i] = (char)toupper((unsigned char)t->text[i]);
    return tc_known_find(s->t, key, t->n);
}

/* Most words are in capitals, and not because they are symbols. */
static bool shouts(const struct sentence *s)
{
    size_t words = 0, upper = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct tc_token *t = &s->tokens[i];
        const struct tc_known *k = &s->t->known[s->known[i]];
        if (!t->letters || t->n < 2 || t->dollar || (t->upper && k->is_symbol && !k->ambiguous))
            continue;
        words++;
        upper += t->upper;
    }
    return upper >= 2 && 2 * upper > words;
}

static bool talks_of_market(const struct sentence *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (is_any(&s->tokens[i], talk) || s->tokens[i].strike ||
            (s->tokens[i].dollar && s->tokens[i].number))
            return true;
    return false;
}

/* An option's price behind the symbol, with nothing but dates and numbers between. */
static bool has_strike(const struct sentence *s, size_t i)
{
    static const char *const sides[] = {"c", "p", "calls", "puts", "call", "put", NULL};
    if (i > 0 && s->tokens[i - 1].strike)
        return true;
    bool number = false;
    for (size_t k = i + 1; k < s->n && k <= i + STRIKE_DISTANCE; k++) {
        const struct tc_token *t = &s->tokens[k];
        if (t->strike || (number && is_any(t, sides)))
            return true;
        if (!t->number)
            return false;
        number = true;
    }
    return false;
}

static bool has_context(const struct sentence *s, size_t i, bool capitals)
{
    const struct tc_token *t = s->tokens;
    if (i + 1 < s->n && (is_any(&t[i + 1], behind) || (capitals && is_any(&t[i + 1], behind_capitals))))
        return true;
    if (!capitals || i == 0)
        return false;
    if (is_any(&t[i - 1], before))
        return true;
    return i > 1 && (is_word(&t[i - 1], "on") || is_word(&t[i - 1], "of")) && is_any(&t[i - 2], of_what);
}

static void try_symbol(const struct sentence *s, size_t i, struct finds *f)
{
    const struct tc_token *t = &s->tokens[i];
    const struct tc_known *k = &s->t->known[s->known[i]];
    if (t->dollar) {
        if (k->is_symbol) {
            find(f, k->key, TC_EVIDENCE_CASHTAG);
        } else if (!k->ambiguous && t->letters && t->upper && t->n >= 2 && t->n <= 5) {
            char symbol[8] = "";
            memcpy(symbol, t->text, t->n);
            find(f, symbol, TC_EVIDENCE_CASHTAG);
        }
        return;
    }
    if (!k->is_symbol)
        return;
    if ((t->upper || !k->ambiguous) && has_strike(s, i))
        find(f, k->key, TC_EVIDENCE_OPTION);
    else if (t->upper && !k->ambiguous && !s->shouts)
        find(f, k->key, TC_EVIDENCE_CAPITALS);
    else if (t->upper && !(k->ambiguous && s->shouts) && has_context(s, i, true))
        find(f, k->key, TC_EVIDENCE_CONTEXT);
    else if (!t->upper && !t->capital && !k->ambiguous && t->n >= 3 && has_context(s, i, false))
        find(f, k->key, TC_EVIDENCE_CONTEXT);
}

static bool name_at(struct sentence *s, size_t i, const struct tc_company *c)
{
    if (i + c->n > s->n)
        return false;
    for (size_t k = 0; k < c->n; k++)
        if (!is_word(&s->tokens[i + k], c->words[k]))
            return false;
    const struct tc_token *t = &s->tokens[i];
    if (!c->everyday)
        return true;
    if (!t->capital || s->shouts)
        return false;
    if (s->market < 0)
        s->market = talks_of_market(s);
    return s->market;
}

/* The longest name that begins here; returns its words. */
static size_t try_name(struct sentence *s, size_t i, struct finds *f)
{
    char word[TC_KEY_SIZE];
    const struct tc_token *t = &s->tokens[i];
    if (t->n >= sizeof(word))
        return 0;
    for (size_t k = 0; k < t->n; k++)
        word[k] = (char)tolower((unsigned char)t->text[k]);
    const struct tc_company *best = NULL;
    for (uint32_t at = tc_names_find(s->t, word, t->n); at; at = s->t->names[at].next) {
        const struct tc_company *c = &s->t->names[at];
        if ((!best || c->n > best->n) && name_at(s, i, c))
            best = c;
    }
    if (!best)
        return 0;
    find(f, s->t->known[best->known].key, TC_EVIDENCE_NAME);
    return best->n;
}

/* Bytes up to the end of the sentence, or as many as its tokens have room for. */
static size_t read_sentence(struct sentence *s, const char *text, size_t n)
{
    size_t end = 0;
    while (end < n) {
        char c = text[end++];
        bool stops = c == '.' || c == '!' || c == '?';
        if (c == '\n' || (stops && (end == n || isspace((unsigned char)text[end]))))
            break;
    }
    size_t at = 0;
    for (s->n = 0; s->n < SENTENCE_TOKENS; s->n++) {
        if (!tc_token_next(text, end, &at, &s->tokens[s->n]))
            return end;
        s->known[s->n] = look_up(s, &s->tokens[s->n]);
    }
    return at;
}

size_t tc_tickers_find(const struct tc_tickers *t, const char *text, size_t n,
                       struct tc_ticker out[static TC_TICKERS_MAX])
{
    struct sentence s;
    struct finds f = {.out = out};
    s.t = t;
    for (size_t at = 0; at < n;) {
        at += read_sentence(&s, text + at, n - at);
        s.shouts = shouts(&s);
        s.market = -1;
        for (size_t i = 0; i < s.n;) {
            size_t words = s.tokens[i].dollar ? 0 : try_name(&s, i, &f);
            for (size_t k = 0; k < (words ? words : 1); k++)
                if (!words || s.tokens[i + k].upper)
                    try_symbol(&s, i + k, &f);
            i += words ? words : 1;
        }
    }
    return f.n;
}
