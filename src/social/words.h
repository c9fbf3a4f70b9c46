/* words.h - the analyser's table of words: VADER's lists and the market's words in one hash table, so that a
 * word of a text is looked up once. Internal to src/social.
 */
#pragma once

#include "social/lexicon.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TC_WORD_SIZE = 32,    /* longest word with its 0 byte */
    TC_WORDS_MAX = 16384, /* VADER has 7,600 */
    TC_PHRASE_WORDS = 4,
    TC_PHRASES_MAX = 1024,
    TC_WORD_NONE = 0, /* the entry of all words that are in no list */
};

struct tc_word {
    char text[TC_WORD_SIZE]; /* small letters */
    uint8_t length;
    bool has_valence, negates, begins_phrase, in_idiom;
    bool market; /* its valence comes from the market's words */
    double valence, booster;
};

struct tc_phrase {
    uint16_t words[TC_PHRASE_WORDS];
    int32_t n;
    uint16_t as; /* market: the entry that stands for the phrase; idioms, boosters: TC_WORD_NONE */
    double value;
};

struct tc_phrases {
    struct tc_phrase *items;
    size_t n, room;
};

struct tc_words {
    struct tc_word *items;
    size_t n;
    uint16_t *slots; /* open addressing; TC_WORD_NONE = free */
    struct tc_phrases idioms, boosters, market;
    bool has_emoji; /* of the market */
    /* Words that the rules name. */
    uint16_t no, or_, nor, least, at, very, never, so, this_, without, doubt, but, kind, of;
};

/* TC_ENOMEM; TC_EINPUT, TC_ENOTFOUND, TC_EIO of the market's file (NULL = none). */
int tc_words_open(struct tc_words *w, const char *market_file);
void tc_words_close(struct tc_words *w);

/* Entry of a word in small letters; TC_WORD_NONE when it is in no list. */
uint16_t tc_words_find(const struct tc_words *w, const char *text, size_t n);

/* The longest phrase of the market that begins at words[0]; NULL = none. */
const struct tc_phrase *tc_words_phrase(const struct tc_words *w, const uint16_t *words, size_t n);
