/* sentiment.h - how a post speaks: VADER (Hutto, Gilbert 2014, as PyPI's vaderSentiment 3.3.2 computes it)
 * with words of the market on top.
 *
 * The word lists come from that package at build time (lexicon.h). The market's words stand in a file that
 * users may edit (data/social/market-words.txt): words, phrases of up to four words and single emoji, each
 * with a valence of -4 to 4; they go before VADER's own. Without that file the result equals the package's,
 * to the last of the four decimals that it gives.
 *
 * An analyser belongs to one thread. Nothing is allocated after open.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
    TC_SENTIMENT_TEXT_MAX = 64 << 10, /* bytes of a text that are looked at; what follows is not */
    TC_SENTIMENT_LONG = 50,           /* words from which on a post is scored by sentence */
};

struct tc_sentiment_score {
    double compound;      /* -1 to 1, four decimals */
    double pos, neu, neg; /* shares of the text, three decimals; all 0 without a word */
};

struct tc_sentiment; /* opaque */

/* False: the program was built without the word lists; every score would be wrong. */
bool tc_sentiment_available(void);

/* `market_words`: the file, NULL = VADER alone. TC_EINPUT names the file's line; TC_ENOTFOUND, TC_ENOMEM. */
int tc_sentiment_open(const char *market_words, struct tc_sentiment **out);
void tc_sentiment_close(struct tc_sentiment *s); /* takes NULL */

/* The whole text at once, as the package does it. Bytes that are no UTF-8 count as letters of no word. */
void tc_sentiment_text(struct tc_sentiment *s, const char *text, size_t n, struct tc_sentiment_score *out);

/* A post: a long one is scored sentence by sentence, and the mean taken, since VADER's compound of a long
 * text is nearly always +-1. */
void tc_sentiment_post(struct tc_sentiment *s, const char *text, size_t n, struct tc_sentiment_score *out);
