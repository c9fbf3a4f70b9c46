/* Any bytes as a post: scores stay in their ranges, symbols are words of the alphabet they are made of. */
#include "social/sentiment.h"
#include "social/tickers.h"
#include "social/utf8.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tc_sentiment *plain, *market;
static struct tc_tickers *tickers;

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void open_once(void)
{
    struct tc_tickers_conf conf = {.symbols_file = TEST_SOCIAL "/symbols.tsv",
                                   .ambiguous_file = TEST_SOCIAL "/ambiguous.txt"};
    if (plain)
        return;
    require(!tc_sentiment_open(NULL, &plain));
    require(!tc_sentiment_open(TEST_SOCIAL "/market-words.txt", &market));
    require(!tc_tickers_open(&conf, &tickers));
}

static void check(const struct tc_sentiment_score *s)
{
    require(s->compound >= -1 && s->compound <= 1);
    require(s->pos >= 0 && s->neu >= 0 && s->neg >= 0 && s->pos + s->neu + s->neg < 1.01);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tc_sentiment_score score;
    struct tc_ticker found[TC_TICKERS_MAX];
    const char *text = (const char *)data;
    open_once();
    tc_sentiment_text(plain, text, size, &score);
    check(&score);
    tc_sentiment_post(market, text, size, &score);
    check(&score);
    size_t n = tc_tickers_find(tickers, text, size, found);
    require(n <= TC_TICKERS_MAX);
    for (size_t i = 0; i < n; i++) {
        require(strnlen(found[i].symbol, TC_SYMBOL_SIZE) < TC_SYMBOL_SIZE && found[i].symbol[0]);
        require(isalnum((unsigned char)found[i].symbol[0]));
        for (size_t k = 0; k < i; k++)
            require(strcmp(found[i].symbol, found[k].symbol) != 0);
    }
    return 0;
}
