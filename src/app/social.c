#include "app/social.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "role/posts.h"
#include "serve/auth.h"
#include "social/reddit.h"
#include "social/simulated.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tc_social {
    struct tc_sentiment *sentiment;
    struct tc_tickers *tickers;
    struct tc_source sources[TC_SOURCES_MAX];
    size_t n_sources;
    struct tc_posts_conf role;
    char salt[TC_TOKEN_SIZE], store_path[PATH_MAX];
};

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

static int open_simulated(const struct tc_config *c, struct tc_source *out)
{
    struct tc_sim_posts_conf conf = {.symbols = (const char *const *)c->symbols.items,
                                     .n_symbols = c->symbols.n,
                                     .seed = (uint64_t)c->sim_seed,
                                     .history_ns = c->sim_history_ns,
                                     .now = tc_now_ns};
    if (tc_config_world(c) != TC_WORLD_SIMULATED)
        return tc_fail(TC_ECONF, "social.sources: simulated posts belong to the simulated market only");
    return tc_sim_posts_open(&conf, out);
}

static int open_reddit(const struct tc_config *c, struct tc_source *out)
{
    struct tc_reddit_conf conf = {.id = c->reddit_id,
                                  .secret = c->reddit_secret.value,
                                  .user_agent = c->reddit_agent,
                                  .token_url = c->reddit_token_url,
                                  .api_url = c->reddit_api_url,
                                  .subreddits = (const char *const *)c->subreddits.items,
                                  .n_subreddits = c->subreddits.n,
                                  .poll_ns = c->reddit_poll_ns,
                                  .poll_max_ns = 120 * TC_NS_PER_SEC};
    if (conf.poll_max_ns < conf.poll_ns)
        conf.poll_max_ns = conf.poll_ns;
    if (tc_config_world(c) != TC_WORLD_LIVE)
        return tc_fail(
            TC_ECONF,
            "social.sources: reddit belongs to a live market only: nothing simulated may stand beside "
            "what people wrote");
    return tc_reddit_open(&conf, out);
}

static int open_source(struct tc_social *s, const struct tc_config *c, const char *name)
{
    if (s->n_sources == TC_SOURCES_MAX)
        return tc_fail(TC_ECONF, "social.sources: more than %d", TC_SOURCES_MAX);
    for (size_t i = 0; i < s->n_sources; i++)
        if (!strcmp(s->sources[i].ops->name, name))
            return tc_fail(TC_ECONF, "social.sources: %s is there twice", name);
    int rc = TC_OK;
    if (!strcmp(name, "simulated"))
        rc = open_simulated(c, &s->sources[s->n_sources]);
    else if (!strcmp(name, "reddit"))
        rc = open_reddit(c, &s->sources[s->n_sources]);
    else
        rc = tc_fail(TC_ECONF, "social.sources: there is no source '%s'; there are: simulated, reddit", name);
    s->n_sources += rc == TC_OK;
    return rc;
}

static int open_sources(struct tc_social *s, const struct tc_config *c)
{
    int rc = TC_OK;
    if (c->sources.n == 0 && tc_config_world(c) == TC_WORLD_SIMULATED)
        return open_source(s, c, "simulated");
    if (c->sources.n && tc_config_world(c) == TC_WORLD_REPLAY)
        return tc_fail(TC_ECONF, "social.sources: a replay has no posts, since those of its days are gone");
    for (size_t i = 0; i < c->sources.n && !rc; i++)
        rc = open_source(s, c, c->sources.items[i]);
    return rc;
}

static int open_analysers(struct tc_social *s, const struct tc_config *c)
{
    int rc = tc_social_open_tickers(c, &s->tickers);
    if (rc)
        return rc;
    if (tc_sentiment_available())
        return tc_social_open_sentiment(c, false, &s->sentiment);
    tc_log_warn("posts",
                "built without VADER's word lists: posts are shown without a score (script/bootstrap fetches "
                "the lists where PyPI can be reached)");
    return TC_OK;
}

static int fill_role(struct tc_social *s, const struct tc_config *c, const char *data_dir,
                     const char *store_path, struct tc_bus *bus)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/salt", data_dir);
    int rc = tc_token_load(path, s->salt);
    if (rc)
        return rc;
    snprintf(s->store_path, sizeof(s->store_path), "%s", store_path);
    s->role = (struct tc_posts_conf){
        .bus = bus,
        .sources = s->sources,
        .n_sources = s->n_sources,
        .sentiment = s->sentiment,
        .tickers = s->tickers,
        .salt = s->salt,
        .origin = tc_config_world(c) == TC_WORLD_SIMULATED ? TC_ORIGIN_SIMULATED : TC_ORIGIN_LIVE,
        .max_age_ns = c->recheck_ns / 8 * 7, /* what the topic surely still holds */
        .recheck_ns = c->recheck_ns,
        .store_path = s->store_path,
    };
    return TC_OK;
}

int tc_social_open(const struct tc_config *c, const char *data_dir, const char *store_path,
                   struct tc_bus *bus, struct tc_social **out)
{
    *out = NULL;
    if (c->store != TC_CONFIG_SQLITE && c->sources.n)
        return tc_fail(
            TC_ECONF,
            "social.sources: posts are kept in SQLite only; with store.kind cassandra there are none");
    if (!c->social || c->store != TC_CONFIG_SQLITE)
        return TC_OK;
    struct tc_social *s = calloc(1, sizeof(*s));
    if (!s)
        return tc_fail(TC_ENOMEM, "no memory for the posts");
    int rc = open_sources(s, c);
    if (!rc && s->n_sources)
        rc = open_analysers(s, c);
    if (!rc && s->n_sources)
        rc = fill_role(s, c, data_dir, store_path, bus);
    if (rc || s->n_sources == 0) {
        tc_social_close(s);
        return rc;
    }
    *out = s;
    return TC_OK;
}

int tc_social_role(struct tc_social *s, struct tc_role *out)
{
    return tc_posts_open(&s->role, out);
}

const struct tc_source *tc_social_sources(const struct tc_social *s, size_t *n)
{
    *n = s->n_sources;
    return s->sources;
}

void tc_social_close(struct tc_social *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_sources; i++)
        s->sources[i].ops->close(s->sources[i].self);
    tc_sentiment_close(s->sentiment);
    tc_tickers_close(s->tickers);
    free(s);
}
