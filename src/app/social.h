/* social.h - the analysers of posts as the configuration names their files. */
#pragma once

#include "app/config.h"
#include "bus/bus.h"
#include "role/role.h"
#include "social/sentiment.h"
#include "social/source.h"
#include "social/tickers.h"

/* `vader`: without the market's words. TC_ECONF when the program was built without VADER's word lists; errors
 * of tc_sentiment_open. */
int tc_social_open_sentiment(const struct tc_config *c, bool vader, struct tc_sentiment **out);

/* Sources of posts, analysers and what the role that reads them needs. *out is NULL when the configuration
 * names no source (a replay has none). Without VADER's word lists posts are taken and not scored, which is
 * logged. TC_ECONF: a source that does not exist, or does not belong to the feed's world. */
struct tc_social;
int tc_social_open(const struct tc_config *c, const char *data_dir, const char *store_path,
                   struct tc_bus *bus, struct tc_social **out);
int tc_social_role(struct tc_social *s, struct tc_role *out);
const struct tc_source *tc_social_sources(const struct tc_social *s, size_t *n);
void tc_social_close(struct tc_social *s); /* after the role; takes NULL */

/* Errors of tc_tickers_open. */
int tc_social_open_tickers(const struct tc_config *c, struct tc_tickers **out);
