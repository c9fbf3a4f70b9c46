/* reddit.h - posts and comments of subreddits through Reddit's API with application-only OAuth.
 *
 * Needs an application that Reddit has approved: a script application (id and secret) or an installed one (id
 * alone, empty secret). The token is renewed by the lifetime that was sent, and at once when it is refused.
 *
 * A listing is read from its newest item back to one that is known, over as many pages as that takes (Reddit
 * shows about 1,000 items); when it ends before, what lies between is a hole. `before` is never used: when
 * its item was deleted the answer stays empty for ever, which looks like silence. The limit changes from poll
 * to poll, so that no cached answer comes. Polls become rarer in quiet subreddits and never pass what the
 * rate headers leave.
 *
 * One refused subreddit (private, banned, no such) ends alone and is named in the source's health; a refused
 * application ends the source. Everything else (429, 5xx, lost connections, answers that are no JSON) is
 * waited out: Retry-After where it is given, else exponential back-off with jitter.
 */
#pragma once

#include "social/source.h"

enum { TC_SUBREDDITS_MAX = 50 };

struct tc_reddit_conf {
    const char *id, *secret; /* of the application; secret "" or NULL = installed */
    const char *user_agent;  /* Reddit asks for one that names the program and its user */
    const char *token_url;   /* "https://www.reddit.com"; http too, for tests and proxies */
    const char *api_url;     /* "https://oauth.reddit.com" */
    const char *const *subreddits;
    size_t n_subreddits;
    int64_t poll_ns;     /* shortest time between two polls of one listing */
    int64_t poll_max_ns; /* longest, for quiet ones */
};

/* TC_ECONF: no id, a name that is no subreddit, too many. */
int tc_reddit_open(const struct tc_reddit_conf *conf, struct tc_source *out);
