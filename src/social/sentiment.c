#include "social/sentiment.h"
#include "base/err.h"
#include "base/num.h"
#include "social/utf8.h"
#include "social/words.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROOM = 20 * TC_SENTIMENT_TEXT_MAX, /* three bytes of an emoji become at most 55 */
    TOKENS_MAX = TC_SENTIMENT_TEXT_MAX * 6,
    SHORT_WORD = 2, /* letters; what is no longer without its punctuation may be an emoticon */
};

static const double CAPITALS = 0.733, NEGATION = -0.74, ALPHA = 15;

struct token {
    uint16_t word;
    bool upper; /* all its letters are capitals */
    bool negates;
};

struct tc_sentiment {
    struct tc_words words;
    bool market;
    char *text; /* with the emoji put into words; ROOM bytes */
    size_t length;
    struct token *tokens;
    double *scores;
    uint16_t *ids; /* of the tokens, for finding phrases */
    size_t n;
    bool mixed_case; /* some words are in capitals and some are not */
};

bool tc_sentiment_available(void)
{
    return tc_vader_words_n > 0;
}

int tc_sentiment_open(const char *market_words, struct tc_sentiment **out)
{
    struct tc_sentiment *s = calloc(1, sizeof(*s));
    if (!s)
        return tc_fail(TC_ENOMEM, "no memory for the sentiment analyser");
    s->market = market_words != NULL;
    int rc = tc_words_open(&s->words, market_words);
    s->text = malloc(ROOM + 64);
    s->tokens = malloc(TOKENS_MAX * sizeof(*s->tokens));
    s->scores = malloc(TOKENS_MAX * sizeof(*s->scores));
    s->ids = malloc(TOKENS_MAX * sizeof(*s->ids));
    if (!rc && (!s->text || !s->tokens || !s->scores || !s->ids))
        rc = tc_fail(TC_ENOMEM, "no memory for the sentiment analyser");
    if (rc) {
        tc_sentiment_close(s);
        return rc;
    }
    *out = s;
    return TC_OK;
}

void tc_sentiment_close(struct tc_sentiment *s)
{
    if (!s)
        return;
    tc_words_close(&s->words);
    free(s->text);
    free(s->tokens);
    free(s->scores);
    free(s->ids);
    free(s);
}

/* --- text to words ---------------------------------------------------------------------------------------*/

static const char *emoji_text(uint32_t code)
{
    size_t lo = 0, hi = tc_vader_emojis_n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (tc_vader_emojis[mid].code < code)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < tc_vader_emojis_n && tc_vader_emojis[lo].code == code ? tc_vader_emojis[lo].text : NULL;
}

static void put(struct tc_sentiment *s, const char *bytes, size_t n)
{
    if (s->length + n <= ROOM) {
        memcpy(s->text + s->length, bytes, n);
        s->length += n;
    }
}

/* The text with each emoji replaced by its name (a blank before it where there is none), as VADER does. An
 * emoji of the market's words stays and stands alone. */
static void expand(struct tc_sentiment *s, const char *text, size_t n)
{
    bool blank_before = true;
    s->length = 0;
    for (size_t i = 0; i < n;) {
        if ((unsigned char)text[i] < 0x80) {
            s->text[s->length++] = text[i]; /* no more bytes than text has, less than ROOM */
            blank_before = text[i++] == ' ';
            continue;
        }
        size_t used;
        uint32_t code = tc_utf8_next(text + i, n - i, &used);
        bool ours = s->words.has_emoji && tc_words_find(&s->words, text + i, used) != TC_WORD_NONE;
        const char *name = ours ? NULL : emoji_text(code);
        if ((ours || name) && !blank_before)
            put(s, " ", 1);
        if (name)
            put(s, name, strlen(name));
        else if (code == TC_UTF8_BAD)
            put(s, "\xef\xbf\xbd", 3);
        else
            put(s, text + i, used);
        if (ours)
            put(s, " ", 1);
        blank_before = ours;
        i += used;
    }
}

/* str.isupper: a letter in capitals and none in small ones. */
static bool is_upper(const char *text, size_t n)
{
    bool cased = false;
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x80) {
            if (c >= 'a' && c <= 'z')
                return false;
            cased = cased || (c >= 'A' && c <= 'Z');
            i++;
            continue;
        }
        size_t used;
        uint32_t code = tc_utf8_next(text + i, n - i, &used);
        if (tc_code_in(code, tc_lower_ranges, tc_lower_ranges_n))
            return false;
        cased = cased || tc_code_in(code, tc_upper_ranges, tc_upper_ranges_n);
        i += used;
    }
    return cased;
}

/* In small letters; *ascii: no other bytes are in it. 0 when it is longer than any word. U+212A, the sign for
 * kelvin, is the one letter beyond ASCII whose small form is ASCII. */
static size_t lower(const char *text, size_t n, char out[static TC_WORD_SIZE], bool *ascii)
{
    size_t length = 0;
    *ascii = true;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (length == TC_WORD_SIZE - 1)
            return 0;
        if (n - i >= 3 && !memcmp(text + i, "\xe2\x84\xaa", 3)) {
            c = 'k';
            i += 2;
        }
        *ascii = *ascii && (unsigned char)c < 0x80;
        out[length++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    return length;
}

static bool has_nt(const char *text, size_t n)
{
    for (size_t i = 0; i + 3 <= n; i++)
        if ((text[i] | 32) == 'n' && text[i + 1] == '\'' && (text[i + 2] | 32) == 't')
            return true;
    return false;
}

static void add_token(struct tc_sentiment *s, const char *text, size_t n)
{
    const char *from = text, *to = text + n;
    while (from < to && tc_ascii_punct(*from))
        from++;
    while (to > from && tc_ascii_punct(to[-1]))
        to--;
    if (to - from <= 4 * SHORT_WORD && tc_utf8_count(from, (size_t)(to - from)) <= SHORT_WORD) {
        from = text;
        to = text + n;
    }
    size_t length = (size_t)(to - from);
    char word[TC_WORD_SIZE];
    bool ascii;
    size_t small = lower(from, length, word, &ascii);
    struct token *t = &s->tokens[s->n++];
    t->word = small && (ascii || s->words.has_emoji) ? tc_words_find(&s->words, word, small) : TC_WORD_NONE;
    t->upper = is_upper(from, length);
    t->negates = s->words.items[t->word].negates || has_nt(from, length);
}

static void split(struct tc_sentiment *s)
{
    s->n = 0;
    for (size_t i = 0; i < s->length && s->n < TOKENS_MAX;) {
        size_t blank = tc_utf8_blank(s->text + i, s->length - i);
        if (blank) {
            i += blank;
            continue;
        }
        size_t from = i;
        while (i < s->length && !tc_utf8_blank(s->text + i, s->length - i))
            i++;
        add_token(s, s->text + from, i - from);
    }
}

/* Each phrase of the market becomes one word. */
static void join_phrases(struct tc_sentiment *s)
{
    for (size_t i = 0; i < s->n; i++)
        s->ids[i] = s->tokens[i].word;
    size_t to = 0;
    for (size_t i = 0; i < s->n; to++) {
        const struct tc_phrase *p = NULL;
        if (s->words.items[s->ids[i]].begins_phrase)
            p = tc_words_phrase(&s->words, s->ids + i, s->n - i);
        struct token t = s->tokens[i];
        for (int32_t k = 1; p && k < p->n; k++)
            t.upper = t.upper && s->tokens[i + (size_t)k].upper;
        if (p) {
            t.word = p->as;
            t.negates = false;
        }
        s->tokens[to] = t;
        i += p ? (size_t)p->n : 1;
    }
    s->n = to;
}

static void find_capitals(struct tc_sentiment *s)
{
    size_t upper = 0;
    for (size_t i = 0; i < s->n; i++)
        upper += s->tokens[i].upper;
    s->mixed_case = upper > 0 && upper < s->n;
}

/* --- VADER's rules ---------------------------------------------------------------------------------------*/

static uint16_t word_at(const struct tc_sentiment *s, size_t i)
{
    return s->tokens[i].word;
}

static const struct tc_word *entry(const struct tc_sentiment *s, size_t i)
{
    return &s->words.items[s->tokens[i].word];
}

/* How the word before strengthens or weakens. */
static double boost(const struct tc_sentiment *s, size_t before, double valence)
{
    double b = entry(s, before)->booster;
    if (b == 0)
        return 0;
    if (valence < 0)
        b = -b;
    if (s->tokens[before].upper && s->mixed_case)
        b += valence > 0 ? CAPITALS : -CAPITALS;
    return b;
}

static double negation(const struct tc_sentiment *s, double valence, size_t distance, size_t i)
{
    const struct tc_words *w = &s->words;
    bool negates = s->tokens[i - distance].negates;
    if (distance == 1)
        return negates ? valence * NEGATION : valence;
    uint16_t one = word_at(s, i - 1), two = word_at(s, i - 2);
    if (distance == 2) {
        if (two == w->never && (one == w->so || one == w->this_))
            return valence * 1.25;
        if (two == w->without && one == w->doubt)
            return valence;
        return negates ? valence * NEGATION : valence;
    }
    uint16_t three = word_at(s, i - 3);
    if ((three == w->never && (two == w->so || two == w->this_)) || one == w->so || one == w->this_)
        return valence * 1.25;
    if (three == w->without && (two == w->doubt || one == w->doubt))
        return valence;
    return negates ? valence * NEGATION : valence;
}

static const struct tc_phrase *phrase_at(const struct tc_sentiment *s, const struct tc_phrases *list,
                                         size_t at, size_t n)
{
    for (size_t k = 0; k < list->n; k++) {
        const struct tc_phrase *p = &list->items[k];
        size_t same = 0;
        while (same < n && same < (size_t)p->n && p->words[same] == word_at(s, at + same))
            same++;
        if (same == n && (size_t)p->n == n)
            return p;
    }
    return NULL;
}

/* i >= 3. The order of the places is the package's. */
static double idioms(const struct tc_sentiment *s, double valence, size_t i)
{
    const size_t places[][2] = {{i - 1, 2}, {i - 2, 3}, {i - 2, 2}, {i - 3, 3}, {i - 3, 2}};
    const struct tc_phrase *p = NULL;
    for (size_t k = 0; k < 5 && !p; k++)
        p = phrase_at(s, &s->words.idioms, places[k][0], places[k][1]);
    if (p)
        valence = p->value;
    if (i + 1 < s->n && (p = phrase_at(s, &s->words.idioms, i, 2)))
        valence = p->value;
    if (i + 2 < s->n && (p = phrase_at(s, &s->words.idioms, i, 3)))
        valence = p->value;
    const size_t before[][2] = {{i - 3, 3}, {i - 3, 2}, {i - 2, 2}};
    for (size_t k = 0; k < 3; k++)
        if ((p = phrase_at(s, &s->words.boosters, before[k][0], before[k][1])))
            valence += p->value;
    return valence;
}

static bool idiom_near(const struct tc_sentiment *s, size_t i)
{
    for (size_t k = i - 3; k < s->n && k <= i + 2; k++)
        if (entry(s, k)->in_idiom)
            return true;
    return false;
}

static double least(const struct tc_sentiment *s, double valence, size_t i)
{
    const struct tc_words *w = &s->words;
    if (i == 0 || entry(s, i - 1)->has_valence || word_at(s, i - 1) != w->least)
        return valence;
    if (i > 1 && (word_at(s, i - 2) == w->at || word_at(s, i - 2) == w->very))
        return valence;
    return valence * NEGATION;
}

static double no_before(const struct tc_sentiment *s, double valence, size_t i)
{
    const struct tc_words *w = &s->words;
    if (word_at(s, i) == w->no && i + 1 < s->n && entry(s, i + 1)->has_valence)
        valence = 0;
    bool negated =
        (i > 0 && word_at(s, i - 1) == w->no) || (i > 1 && word_at(s, i - 2) == w->no) ||
        (i > 2 && word_at(s, i - 3) == w->no && (word_at(s, i - 1) == w->or_ || word_at(s, i - 1) == w->nor));
    return negated ? entry(s, i)->valence * NEGATION : valence;
}

static double word_score(const struct tc_sentiment *s, size_t i)
{
    static const double damped[] = {1, 0.95, 0.9};
    const struct tc_word *e = entry(s, i);
    if (e->booster != 0 && !e->market)
        return 0;
    if (i + 1 < s->n && word_at(s, i) == s->words.kind && word_at(s, i + 1) == s->words.of)
        return 0;
    if (!e->has_valence)
        return 0;
    double valence = no_before(s, e->valence, i);
    if (s->tokens[i].upper && s->mixed_case)
        valence += valence > 0 ? CAPITALS : -CAPITALS;
    for (size_t distance = 1; distance <= 3 && distance <= i; distance++) {
        if (entry(s, i - distance)->has_valence)
            continue;
        valence += boost(s, i - distance, valence) * damped[distance - 1];
        valence = negation(s, valence, distance, i);
        if (distance == 3 && idiom_near(s, i))
            valence = idioms(s, valence, i);
    }
    return least(s, valence, i);
}

/* What stands behind the first "but" counts more. The package walks the list and changes the first score that
 * is equal to the one it has come to, which need not be the same one; so it is done here. */
static void weigh_but(struct tc_sentiment *s)
{
    size_t but = 0;
    while (but < s->n && word_at(s, but) != s->words.but)
        but++;
    if (but == s->n)
        return;
    for (size_t i = 0; i < s->n; i++) {
        double v = s->scores[i];
        size_t first = 0;
        while (s->scores[first] != v)
            first++;
        if (first < but)
            s->scores[first] = v * 0.5;
        else if (first > but)
            s->scores[first] = v * 1.5;
    }
}

static double emphasis(const struct tc_sentiment *s)
{
    size_t exclamations = 0, questions = 0;
    for (size_t i = 0; i < s->length; i++) {
        exclamations += s->text[i] == '!';
        questions += s->text[i] == '?';
    }
    double e = (double)(exclamations < 4 ? exclamations : 4) * 0.292;
    if (questions > 1)
        e += questions <= 3 ? (double)questions * 0.18 : 0.96;
    return e;
}

/* Rounded in decimal, as Python does. What is near the middle of two decimals is left to the exact
 * conversion. */
static double rounded(double v, int decimals)
{
    double scale = decimals == 4 ? 1e4 : 1e3, scaled = v * scale, whole = nearbyint(scaled),
           out = whole / scale;
    if (fabs(fabs(scaled - whole) - 0.5) < 1e-6) {
        char text[32];
        int n = snprintf(text, sizeof(text), "%.*f", decimals, v);
        tc_parse_double(text, (size_t)n, &out);
    }
    return out == 0 ? 0 : out;
}

static void round_score(struct tc_sentiment_score *s)
{
    s->compound = rounded(s->compound, 4);
    s->pos = rounded(s->pos, 3);
    s->neu = rounded(s->neu, 3);
    s->neg = rounded(s->neg, 3);
}

static void sum_up(const struct tc_sentiment *s, struct tc_sentiment_score *out)
{
    double sum = 0, pos = 0, neg = 0, neu = 0, mark = emphasis(s);
    for (size_t i = 0; i < s->n; i++) {
        double v = s->scores[i];
        sum += v;
        pos += v > 0 ? v + 1 : 0;
        neg += v < 0 ? 1 - v : 0;
        neu += v == 0;
    }
    if (sum != 0)
        sum += sum > 0 ? mark : -mark;
    if (pos > neg)
        pos += mark;
    else if (pos < neg)
        neg += mark;
    double total = pos + neg + neu;
    out->compound = sum / sqrt(sum * sum + ALPHA);
    out->pos = pos / total;
    out->neu = neu / total;
    out->neg = neg / total;
}

/* Not rounded. */
static void score(struct tc_sentiment *s, const char *text, size_t n, struct tc_sentiment_score *out)
{
    expand(s, text, n);
    split(s);
    if (s->words.market.n)
        join_phrases(s);
    memset(out, 0, sizeof(*out));
    if (s->n == 0)
        return;
    find_capitals(s);
    for (size_t i = 0; i < s->n; i++)
        s->scores[i] = word_score(s, i);
    weigh_but(s);
    sum_up(s, out);
}

void tc_sentiment_text(struct tc_sentiment *s, const char *text, size_t n, struct tc_sentiment_score *out)
{
    score(s, text, n > TC_SENTIMENT_TEXT_MAX ? tc_utf8_cut(text, TC_SENTIMENT_TEXT_MAX) : n, out);
    round_score(out);
}

/* --- long posts ------------------------------------------------------------------------------------------*/

static size_t count_words(const char *text, size_t n)
{
    size_t words = 0;
    bool inside = false;
    for (size_t i = 0; i < n; i++) {
        bool blank = text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r';
        words += !blank && !inside;
        inside = !blank;
    }
    return words;
}

/* Bytes of the first sentence with the marks that end it: . ! ? before a blank, or the end of the line. */
static size_t sentence(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool ends = text[i] == '.' || text[i] == '!' || text[i] == '?';
        if (text[i] == '\n' || (ends && (i + 1 == n || text[i + 1] == ' ' || text[i + 1] == '\n')))
            return i + 1;
    }
    return n;
}

void tc_sentiment_post(struct tc_sentiment *s, const char *text, size_t n, struct tc_sentiment_score *out)
{
    if (n > TC_SENTIMENT_TEXT_MAX)
        n = tc_utf8_cut(text, TC_SENTIMENT_TEXT_MAX);
    if (count_words(text, n) < TC_SENTIMENT_LONG) {
        tc_sentiment_text(s, text, n, out);
        return;
    }
    struct tc_sentiment_score one, sum = {0};
    double sentences = 0;
    for (size_t at = 0; at < n;) {
        size_t length = sentence(text + at, n - at);
        score(s, text + at, length, &one);
        at += length;
        if (s->n == 0)
            continue;
        sum.compound += one.compound;
        sum.pos += one.pos;
        sum.neu += one.neu;
        sum.neg += one.neg;
        sentences++;
    }
    memset(out, 0, sizeof(*out));
    if (sentences == 0)
        return;
    out->compound = sum.compound / sentences;
    out->pos = sum.pos / sentences;
    out->neu = sum.neu / sentences;
    out->neg = sum.neg / sentences;
    round_score(out);
}
