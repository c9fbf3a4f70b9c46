/* lexicon.h - the word lists of VADER, made into C source at build time by lexicon.py from PyPI's
 * vaderSentiment (MIT licence, notice in tc_vader_notice). Without that package at build time all lists but
 * the letter cases are empty.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tc_vader_word {
    const char *text; /* small ASCII letters */
    double valence;   /* -4 to 4 */
    double booster;   /* strengthens (+) or weakens (-) the words behind it; 0 = no booster */
    bool has_valence; /* stands in the lexicon, perhaps with 0 */
    bool negates;
};

struct tc_vader_phrase {
    const char *text; /* two or three words with a blank between */
    double value;
};

struct tc_vader_emoji {
    uint32_t code;
    const char *text; /* what it is replaced with */
};

struct tc_code_range {
    uint32_t first, last; /* both included */
};

extern const struct tc_vader_word tc_vader_words[];
extern const size_t tc_vader_words_n;
extern const struct tc_vader_emoji tc_vader_emojis[]; /* by rising code */
extern const size_t tc_vader_emojis_n;
extern const struct tc_vader_phrase tc_vader_idioms[], tc_vader_boosters[];
extern const size_t tc_vader_idioms_n, tc_vader_boosters_n;
/* Letters beyond ASCII, by rising code. */
extern const struct tc_code_range tc_upper_ranges[], tc_lower_ranges[];
extern const size_t tc_upper_ranges_n, tc_lower_ranges_n;
extern const char tc_vader_notice[];
