/* feeds.h - from the configuration to the feed it names. */
#pragma once

#include "app/config.h"
#include "feed/feed.h"
#include "market/calendar.h"

/* The replay that `c` describes (its path must be set), at `speed` (INFINITY = as fast as possible).
 * `calendar` must outlive the feed. Errors as tc_replay_open. */
int tc_feed_open_replay(const struct tc_config *c, double speed, const struct tc_calendar *calendar,
                        struct tc_feed *out);

/* The live feed at place `feed` of feed.name, with the symbols that belong to it. */
int tc_feed_open_live(const struct tc_config *c, size_t feed, const struct tc_calendar *calendar,
                      struct tc_feed *out);
