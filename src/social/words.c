#include "social/words.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/num.h"
#include "social/lines.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4 * TC_WORDS_MAX, LINE_MAX_BYTES = 256 };

static size_t slot_of(const char *text, size_t n)
{
    uint64_t h = tc_fnv(TC_FNV_START, text, n);
    return (size_t)(h ^ h >> 32) & (SLOTS - 1);
}

uint16_t tc_words_find(const struct tc_words *w, const char *text, size_t n)
{
    if (n >= TC_WORD_SIZE)
        return TC_WORD_NONE;
    for (size_t at = slot_of(text, n);; at = (at + 1) & (SLOTS - 1)) {
        uint16_t i = w->slots[at];
        if (i == TC_WORD_NONE || (w->items[i].length == n && !memcmp(w->items[i].text, text, n)))
            return i;
    }
}

/* The word's entry, made when it is new; TC_WORD_NONE when there is no room. */
static uint16_t add(struct tc_words *w, const char *text, size_t n)
{
    uint16_t i = tc_words_find(w, text, n);
    if (i != TC_WORD_NONE || n == 0 || n >= TC_WORD_SIZE || w->n == TC_WORDS_MAX)
        return i;
    size_t at = slot_of(text, n);
    while (w->slots[at] != TC_WORD_NONE)
        at = (at + 1) & (SLOTS - 1);
    struct tc_word *e = &w->items[w->n];
    memcpy(e->text, text, n);
    e->length = (uint8_t)n;
    w->slots[at] = (uint16_t)w->n++;
    return w->slots[at];
}

static int full(void)
{
    return tc_fail(TC_ELIMIT, "more than %d words or %d phrases", TC_WORDS_MAX, TC_PHRASES_MAX);
}

/* A phrase of words with single blanks between. */
static int add_phrase(struct tc_words *w, struct tc_phrases *list, const char *text, double value)
{
    struct tc_phrase p = {.value = value};
    for (const char *from = text; from;) {
        const char *blank = strchr(from, ' ');
        uint16_t i = add(w, from, blank ? (size_t)(blank - from) : strlen(from));
        if (i == TC_WORD_NONE || p.n == TC_PHRASE_WORDS)
            return full();
        p.words[p.n++] = i;
        from = blank ? blank + 1 : NULL;
    }
    if (list->n == list->room) {
        size_t room = list->room ? 2 * list->room : 16;
        struct tc_phrase *items = room <= TC_PHRASES_MAX ? realloc(list->items, room * sizeof(p)) : NULL;
        if (!items)
            return full();
        list->items = items;
        list->room = room;
    }
    list->items[list->n++] = p;
    return TC_OK;
}

static int add_vader(struct tc_words *w)
{
    for (size_t i = 0; i < tc_vader_words_n; i++) {
        const struct tc_vader_word *v = &tc_vader_words[i];
        uint16_t at = add(w, v->text, strlen(v->text));
        if (at == TC_WORD_NONE)
            return full();
        struct tc_word *e = &w->items[at];
        e->valence = v->valence;
        e->booster = v->booster;
        e->has_valence = v->has_valence;
        e->negates = v->negates;
    }
    int rc = TC_OK;
    for (size_t i = 0; i < tc_vader_idioms_n && !rc; i++)
        rc = add_phrase(w, &w->idioms, tc_vader_idioms[i].text, tc_vader_idioms[i].value);
    for (size_t i = 0; i < tc_vader_boosters_n && !rc; i++)
        rc = add_phrase(w, &w->boosters, tc_vader_boosters[i].text, tc_vader_boosters[i].value);
    const struct tc_phrases *both[] = {&w->idioms, &w->boosters};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < both[k]->n; i++)
            for (int32_t j = 0; j < both[k]->items[i].n; j++)
                w->items[both[k]->items[i].words[j]].in_idiom = true;
    return rc;
}

static int add_named(struct tc_words *w)
{
    const struct {
        const char *text;
        uint16_t *at;
    } named[] = {
        {"no", &w->no},      {"or", &w->or_},          {"nor", &w->nor},     {"least", &w->least},
        {"at", &w->at},      {"very", &w->very},       {"never", &w->never}, {"so", &w->so},
        {"this", &w->this_}, {"without", &w->without}, {"doubt", &w->doubt}, {"but", &w->but},
        {"kind", &w->kind},  {"of", &w->of},
    };
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        if ((*named[i].at = add(w, named[i].text, strlen(named[i].text))) == TC_WORD_NONE)
            return full();
    return TC_OK;
}

/* --- the market's words ---------------------------------------------------------------------------------*/

/* Small letters, single blanks, none at the ends. Returns the number of words. */
static int32_t tidy(char *text)
{
    char *to = text;
    int32_t n = 0;
    for (char *from = text; *from;) {
        from += strspn(from, " ");
        size_t length = strcspn(from, " ");
        if (length == 0)
            break;
        if (n++)
            *to++ = ' ';
        for (size_t i = 0; i < length; i++)
            *to++ = (char)((unsigned char)from[i] < 0x80 ? tolower((unsigned char)from[i]) : from[i]);
        from += length;
    }
    *to = '\0';
    return n;
}

static int add_market_line(void *ctx, char *line)
{
    struct tc_words *w = ctx;
    char *tab = strchr(line, '\t');
    double value;
    if (!tab)
        return tc_fail(TC_EINPUT, "expected a word or phrase, a tab and a number");
    *tab = '\0';
    char *number = tab + 1 + strspn(tab + 1, "\t ");
    size_t length = strcspn(number, " \t#");
    if (!tc_parse_double(number, length, &value) || value < -4 || value > 4)
        return tc_fail(TC_EINPUT, "'%.*s' is no number of -4 to 4", (int)length, number);
    int32_t n = tidy(line);
    if (n == 0 || n > TC_PHRASE_WORDS)
        return tc_fail(TC_EINPUT, "expected one to %d words before the tab", TC_PHRASE_WORDS);
    if (strlen(line) >= TC_WORD_SIZE)
        return tc_fail(TC_EINPUT, "'%.40s' is longer than %d bytes", line, TC_WORD_SIZE - 1);
    /* A phrase has an entry of its own: no single word of a text can be equal to it, since it holds a blank.
     */
    uint16_t at = add(w, line, strlen(line));
    if (at == TC_WORD_NONE)
        return full();
    w->items[at].valence = value;
    w->items[at].has_valence = true;
    w->items[at].market = true;
    w->has_emoji = w->has_emoji || (unsigned char)line[0] >= 0x80;
    if (n == 1)
        return TC_OK;
    int rc = add_phrase(w, &w->market, line, value);
    if (rc)
        return rc;
    struct tc_phrase *p = &w->market.items[w->market.n - 1];
    p->as = at;
    w->items[p->words[0]].begins_phrase = true;
    return TC_OK;
}

const struct tc_phrase *tc_words_phrase(const struct tc_words *w, const uint16_t *words, size_t n)
{
    const struct tc_phrase *best = NULL;
    for (size_t i = 0; i < w->market.n; i++) {
        const struct tc_phrase *p = &w->market.items[i];
        size_t length = (size_t)p->n;
        if (length <= n && (!best || p->n > best->n) && !memcmp(p->words, words, length * sizeof(*words)))
            best = p;
    }
    return best;
}

int tc_words_open(struct tc_words *w, const char *market_file)
{
    memset(w, 0, sizeof(*w));
    w->items = calloc(TC_WORDS_MAX, sizeof(*w->items));
    w->slots = calloc(SLOTS, sizeof(*w->slots));
    if (!w->items || !w->slots) {
        tc_words_close(w);
        return tc_fail(TC_ENOMEM, "no memory for the word lists");
    }
    w->n = 1; /* TC_WORD_NONE */
    int rc = add_vader(w);
    if (!rc)
        rc = add_named(w);
    if (!rc && market_file)
        rc = tc_lines_read(market_file, LINE_MAX_BYTES, add_market_line, w);
    if (rc)
        tc_words_close(w);
    return rc;
}

void tc_words_close(struct tc_words *w)
{
    free(w->items);
    free(w->slots);
    free(w->idioms.items);
    free(w->boosters.items);
    free(w->market.items);
    memset(w, 0, sizeof(*w));
}
