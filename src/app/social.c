#include "app/social.h"
#include "base/err.h"
#include "base/path.h"

#include <limits.h>

int tc_social_open_sentiment(const struct tc_config *c, bool vader, struct tc_sentiment **out)
{
    char path[PATH_MAX];
    if (!tc_sentiment_available())
        return tc_fail(TC_ECONF,
                       "this program was built without VADER's word lists, so posts cannot be scored: "
                       "run script/bootstrap where PyPI can be reached, and build again");
    if (vader)
        return tc_sentiment_open(NULL, out);
    int rc = tc_data_path(c->market_words ? c->market_words : "social/market-words.txt", path, sizeof(path));
    return rc ? rc : tc_sentiment_open(path, out);
}

int tc_social_open_tickers(const struct tc_config *c, struct tc_tickers **out)
{
    char symbols[PATH_MAX], ambiguous[PATH_MAX];
    int rc = tc_data_path(c->symbols_file ? c->symbols_file : "social/symbols.tsv", symbols, sizeof(symbols));
    if (!rc)
        rc = tc_data_path(c->ambiguous_file ? c->ambiguous_file : "social/ambiguous.txt", ambiguous,
                          sizeof(ambiguous));
    if (rc)
        return rc;
    struct tc_tickers_conf conf = {.symbols_file = symbols,
                                   .ambiguous_file = ambiguous,
                                   .extra = (const char *const *)c->symbols.items,
                                   .n_extra = c->symbols.n};
    return tc_tickers_open(&conf, out);
}
