#include "base/err.h"
#include "base/hash.h"
#include "social/lines.h"
#include "social/tickers_int.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KNOWN_SLOTS = 1 << 16, NAME_SLOTS = 1 << 17, LINE_BYTES = 512 };

static size_t hash(const char *text, size_t n)
{
    uint64_t h = tc_fnv(TC_FNV_START, text, n);
    return (size_t)(h ^ h >> 29);
}

uint32_t tc_known_find(const struct tc_tickers *t, const char *key, size_t n)
{
    if (n == 0 || n >= TC_KEY_SIZE)
        return 0;
    for (size_t at = hash(key, n) % KNOWN_SLOTS;; at = (at + 1) % KNOWN_SLOTS) {
        uint32_t i = t->known_slots[at];
        if (i == 0 || (!memcmp(t->known[i].key, key, n) && t->known[i].key[n] == '\0'))
            return i;
    }
}

uint32_t tc_names_find(const struct tc_tickers *t, const char *word, size_t n)
{
    if (n == 0 || n >= TC_KEY_SIZE)
        return 0;
    for (size_t at = hash(word, n) % NAME_SLOTS;; at = (at + 1) % NAME_SLOTS) {
        uint32_t i = t->name_slots[at];
        if (i == 0 || (!memcmp(t->names[i].words[0], word, n) && t->names[i].words[0][n] == '\0'))
            return i;
    }
}

/* The entry of a key in capitals, made when new; 0 = no room. */
static uint32_t add_known(struct tc_tickers *t, const char *key, size_t n)
{
    uint32_t i = tc_known_find(t, key, n);
    if (i || t->n_known == TC_KNOWN_MAX)
        return i;
    size_t at = hash(key, n) % KNOWN_SLOTS;
    while (t->known_slots[at])
        at = (at + 1) % KNOWN_SLOTS;
    i = (uint32_t)t->n_known++;
    memcpy(t->known[i].key, key, n);
    t->known_slots[at] = i;
    return i;
}

static int add_key(struct tc_tickers *t, const char *text, size_t n, uint32_t *out)
{
    char key[TC_KEY_SIZE];
    if (n == 0 || n >= sizeof(key))
        return tc_fail(TC_EINPUT, "'%.*s' is no symbol: 1 to %d letters are", (int)n, text, TC_KEY_SIZE - 1);
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)text[i]) && !strchr(".&-:/", text[i]))
            return tc_fail(TC_EINPUT, "'%.*s' is no symbol", (int)n, text);
        key[i] = (char)toupper((unsigned char)text[i]);
    }
    *out = add_known(t, key, n);
    return *out ? TC_OK : tc_fail(TC_ELIMIT, "more than %d symbols and ambiguous words", TC_KNOWN_MAX - 1);
}

static int add_symbol(struct tc_tickers *t, const char *text, size_t n, uint32_t *out)
{
    int rc = add_key(t, text, n, out);
    if (!rc && !t->known[*out].is_symbol) {
        t->known[*out].is_symbol = true;
        t->n_symbols++;
    }
    return rc;
}

static void chain_name(struct tc_tickers *t, const struct tc_company *c)
{
    uint32_t i = (uint32_t)t->n_names++;
    t->names[i] = *c;
    size_t n = strlen(c->words[0]);
    uint32_t first = tc_names_find(t, c->words[0], n);
    if (first) { /* longer names come first in no order that matters: the longest that fits is looked for */
        t->names[i].next = t->names[first].next;
        t->names[first].next = i;
        return;
    }
    size_t at = hash(c->words[0], n) % NAME_SLOTS;
    while (t->name_slots[at])
        at = (at + 1) % NAME_SLOTS;
    t->name_slots[at] = i;
}

static int add_name(struct tc_tickers *t, const char *text, size_t n, uint32_t known)
{
    struct tc_company c = {.known = known, .everyday = n && text[0] == '?'};
    struct tc_token token;
    size_t at = c.everyday;
    while (tc_token_next(text, n, &at, &token)) {
        if (c.n == TC_NAME_WORDS || token.n >= TC_KEY_SIZE)
            return tc_fail(TC_EINPUT, "the name '%.*s' has more than %d words or one of more than %d letters",
                           (int)n, text, TC_NAME_WORDS, TC_KEY_SIZE - 1);
        for (size_t i = 0; i < token.n; i++)
            c.words[c.n][i] = (char)tolower((unsigned char)token.text[i]);
        c.n++;
    }
    if (c.n == 0)
        return TC_OK;
    if (t->n_names == TC_NAMES_MAX)
        return tc_fail(TC_ELIMIT, "more than %d names", TC_NAMES_MAX - 1);
    chain_name(t, &c);
    return TC_OK;
}

static int symbol_line(void *ctx, char *line)
{
    struct tc_tickers *t = ctx;
    size_t n = strcspn(line, "\t");
    uint32_t known = 0;
    int rc = add_symbol(t, line, n, &known);
    for (const char *name = line + n; !rc && *name; name += n) {
        name++;
        n = strcspn(name, ";");
        rc = add_name(t, name, n, known);
    }
    return rc;
}

static int ambiguous_line(void *ctx, char *line)
{
    struct tc_tickers *t = ctx;
    int rc = TC_OK;
    for (const char *at = line; !rc && *at;) {
        at += strspn(at, " \t");
        size_t n = strcspn(at, " \t");
        uint32_t known = 0;
        if (n)
            rc = add_key(t, at, n, &known);
        if (!rc && known)
            t->known[known].ambiguous = true;
        at += n;
    }
    return rc;
}

int tc_tickers_open(const struct tc_tickers_conf *conf, struct tc_tickers **out)
{
    struct tc_tickers *t = calloc(1, sizeof(*t));
    if (t) {
        t->known = calloc(TC_KNOWN_MAX, sizeof(*t->known));
        t->names = calloc(TC_NAMES_MAX, sizeof(*t->names));
        t->known_slots = calloc(KNOWN_SLOTS, sizeof(*t->known_slots));
        t->name_slots = calloc(NAME_SLOTS, sizeof(*t->name_slots));
        t->n_known = t->n_names = 1;
    }
    int rc = t && t->known && t->names && t->known_slots && t->name_slots
                 ? TC_OK
                 : tc_fail(TC_ENOMEM, "no memory for the lists of symbols");
    if (!rc)
        rc = tc_lines_read(conf->symbols_file, LINE_BYTES, symbol_line, t);
    if (!rc)
        rc = tc_lines_read(conf->ambiguous_file, LINE_BYTES, ambiguous_line, t);
    for (size_t i = 0; !rc && i < conf->n_extra; i++) {
        char symbol[TC_SYMBOL_SIZE];
        uint32_t known;
        tc_ticker_of(conf->extra[i], symbol);
        if (strlen(symbol) < TC_KEY_SIZE) /* a longer one is no word that people write */
            rc = add_symbol(t, symbol, strlen(symbol), &known);
    }
    if (rc) {
        tc_tickers_close(t);
        return rc;
    }
    *out = t;
    return TC_OK;
}

void tc_tickers_close(struct tc_tickers *t)
{
    if (!t)
        return;
    free(t->known);
    free(t->names);
    free(t->known_slots);
    free(t->name_slots);
    free(t);
}

size_t tc_tickers_known(const struct tc_tickers *t)
{
    return t->n_symbols;
}

void tc_ticker_of(const char *instrument, char out[static TC_SYMBOL_SIZE])
{
    static const char *const quotes[] = {"USDT", "USDC", "USD", "EUR"};
    const char *colon = strchr(instrument, ':');
    const char *name = colon ? colon + 1 : instrument;
    size_t n = colon ? strcspn(name, "-/_") : strlen(name);
    for (size_t i = 0; colon && name[n] == '\0' && i < sizeof(quotes) / sizeof(quotes[0]); i++) {
        size_t q = strlen(quotes[i]);
        if (n > q + 1 && !memcmp(name + n - q, quotes[i], q)) {
            n -= q;
            break;
        }
    }
    n = n < TC_SYMBOL_SIZE ? n : TC_SYMBOL_SIZE - 1;
    memcpy(out, name, n);
    memset(out + n, 0, TC_SYMBOL_SIZE - n);
}
