/* posts_harness FOLDER SECONDS ID SECRET TOKEN_URL API_URL POLL_MS RECHECK_S SUBREDDIT... - the posts role
 * with the Reddit source, its log and a store, against the fake Reddit of the tests. Prints each new record
 * as JSON, and at the end the source's health. SECRET "-" = an installed application. */
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "role/persist.h"
#include "role/posts.h"
#include "social/reddit.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>

static struct tc_bus bus;
static struct tc_store store;

static int64_t number(const char *text)
{
    int64_t v = 0;
    return tc_parse_int(text, strlen(text), &v) ? v : 0;
}

static void print_new(struct tc_bus_reader *reader)
{
    struct tc_record r;
    struct tc_buf out;
    int64_t at;
    tc_buf_init(&out, 1 << 20);
    while (bus.ops->read(reader, &r, &at) == TC_OK) {
        tc_buf_clear(&out);
        tc_record_to_json(&r, &out);
        printf("{\"type\":%d,\"record\":%s}\n", (int)r.type, out.data);
    }
    fflush(stdout);
    tc_buf_release(&out);
}

static int run(struct tc_posts_conf *posts, struct tc_persist_conf *persist, double seconds)
{
    struct tc_role role, keeper;
    struct tc_bus_reader *reader;
    struct tc_bus_stat stat;
    bus.ops->stat(bus.self, TC_TOPIC_POSTS, &stat);
    int rc = tc_posts_open(posts, &role);
    if (!rc)
        rc = tc_persist_open(persist, &keeper);
    if (!rc)
        rc = bus.ops->open_reader(bus.self, TC_TOPIC_POSTS, stat.end, 0, &reader);
    int64_t end = tc_mono_ns() + (int64_t)(seconds * 1e9);
    while (!rc && tc_mono_ns() < end) {
        int n = role.ops->work(role.self);
        int m = n < 0 ? 0 : keeper.ops->work(keeper.self);
        rc = n < 0 ? n : m < 0 ? m : TC_OK;
        print_new(reader);
        if (!rc && n + m == 0)
            tc_sleep_until_mono(tc_mono_ns() + role.ops->wait_ns(role.self));
    }
    if (rc)
        return rc;
    rc = keeper.ops->flush(keeper.self, tc_mono_ns() + TC_NS_PER_SEC);
    bus.ops->close_reader(reader);
    keeper.ops->close(keeper.self);
    role.ops->close(role.self);
    return rc;
}

int main(int argc, char **argv)
{
    static char bus_dir[600], db[600], dead[600];
    struct tc_tickers *tickers = NULL;
    struct tc_sentiment *sentiment = NULL;
    struct tc_source source;
    if (argc < 10)
        return 2;
    snprintf(bus_dir, sizeof(bus_dir), "%s/bus", argv[1]);
    snprintf(db, sizeof(db), "%s/tickcast.db", argv[1]);
    snprintf(dead, sizeof(dead), "%s/dead", argv[1]);
    struct tc_reddit_conf reddit = {.id = argv[3],
                                    .secret = strcmp(argv[4], "-") ? argv[4] : "",
                                    .user_agent = "linux:tickcast-test:v1 (by /u/nobody)",
                                    .token_url = argv[5],
                                    .api_url = argv[6],
                                    .subreddits = (const char *const *)argv + 9,
                                    .n_subreddits = (size_t)argc - 9,
                                    .poll_ns = number(argv[7]) * TC_NS_PER_MS,
                                    .poll_max_ns = 4 * number(argv[7]) * TC_NS_PER_MS};
    struct tc_log_bus_conf log = {.dir = bus_dir};
    struct tc_tickers_conf lists = {.symbols_file = TEST_SOCIAL "/symbols.tsv",
                                    .ambiguous_file = TEST_SOCIAL "/ambiguous.txt"};
    int rc = tc_log_bus_open(&log, &bus);
    if (!rc)
        rc = tc_sqlite_open(db, TC_WORLD_LIVE, &store);
    if (!rc)
        rc = tc_tickers_open(&lists, &tickers);
    if (!rc)
        rc = tc_sentiment_open(TEST_SOCIAL "/market-words.txt", &sentiment);
    if (!rc)
        rc = tc_reddit_open(&reddit, &source);
    struct tc_posts_conf posts = {.bus = &bus,
                                  .sources = &source,
                                  .n_sources = 1,
                                  .sentiment = sentiment,
                                  .tickers = tickers,
                                  .salt = "salt",
                                  .max_age_ns = 86400 * TC_NS_PER_SEC,
                                  .recheck_ns = number(argv[8]) * TC_NS_PER_SEC,
                                  .store_path = db};
    struct tc_persist_conf persist = {.bus = &bus, .store = &store, .dead_letter_path = dead};
    if (!rc)
        rc = run(&posts, &persist, (double)number(argv[2]));
    if (rc) {
        fprintf(stderr, "posts_harness: %s\n", tc_error());
        return 1;
    }
    struct tc_source_health h;
    source.ops->health(source.self, &h);
    printf("{\"type\":0,\"record\":{\"state\":\"%s\",\"healthy\":%s,\"holes\":%d,\"errors\":%d,\"note\":\"%"
           "s\"}}\n",
           h.state, h.healthy ? "true" : "false", (int)h.holes, (int)h.errors, h.note);
    source.ops->close(source.self);
    bus.ops->close(bus.self);
    store.ops->close(store.self);
    tc_sentiment_close(sentiment);
    tc_tickers_close(tickers);
    return 0;
}
