/* posts.h - the role that reads the sources of posts, scores what they give and publishes it on topic posts.
 *
 * Each post goes out once, also over restarts: what the topic still holds is read at open, and what is older
 * than the topic reaches back is not taken any more. One mention per author, symbol and hour counts; the
 * others are marked. A post that its source has removed is followed by a TC_REC_REMOVED, at the latest
 * `recheck_ns` after the removal where the source can be asked again. A source that breaks for good is said
 * once and left; the others go on.
 *
 * Metrics: tickcast_posts_total{source}, tickcast_posts_old_total, tickcast_posts_known_total,
 * tickcast_posts_removed_total, tickcast_mentions_total{counted="yes|no"}, tickcast_post_seconds (written to
 * published).
 */
#pragma once

#include "bus/bus.h"
#include "role/role.h"
#include "social/sentiment.h"
#include "social/source.h"
#include "social/tickers.h"

enum { TC_SOURCES_MAX = 4, TC_SALT_SIZE = 64 };

struct tc_posts_conf {
    struct tc_bus *bus; /* all of these stay the caller's and must outlive the role */
    const struct tc_source *sources;
    size_t n_sources;
    struct tc_sentiment *sentiment; /* used by the role's thread only; NULL = posts are not scored */
    const struct tc_tickers *tickers;
    const char *salt; /* of the authors' hashes */
    enum tc_origin origin;
    int64_t max_age_ns;     /* older posts are no news; not longer than the topic is kept */
    int64_t recheck_ns;     /* each post of the store is asked for again at least this often */
    const char *store_path; /* where the ids for that are read; NULL = nothing is asked again */
};

int tc_posts_open(const struct tc_posts_conf *conf, struct tc_role *out);
