/* social.h - the analysers of posts as the configuration names their files. */
#pragma once

#include "app/config.h"
#include "social/sentiment.h"
#include "social/tickers.h"

/* `vader`: without the market's words. TC_ECONF when the program was built without VADER's word lists; errors
 * of tc_sentiment_open. */
int tc_social_open_sentiment(const struct tc_config *c, bool vader, struct tc_sentiment **out);

/* Errors of tc_tickers_open. */
int tc_social_open_tickers(const struct tc_config *c, struct tc_tickers **out);
