/* The posts role on a real log: each post once over restarts, counted mentions, removals, holes; and the
 * store's side. */
#include "base/clock.h"
#include "base/err.h"
#include "role/posts.h"
#include "social/simulated.h"
#include "store/store.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEC TC_NS_PER_SEC

/* A source that gives what it was told. */
struct script {
    struct tc_raw_post items[16];
    size_t n, given;
    size_t resumed;
    char asked[8][TC_POST_ID_SIZE];
    size_t n_asked;
};

static int script_next(void *self, struct tc_raw_post *items, size_t max, size_t *n, int64_t *wait_ns)
{
    struct script *s = self;
    *n = 0;
    *wait_ns = 0;
    while (s->given < s->n && *n < max)
        items[(*n)++] = s->items[s->given++];
    return *n ? TC_OK : TC_AGAIN;
}

static void script_resume(void *self, const struct tc_post *p)
{
    (void)p;
    ((struct script *)self)->resumed++;
}

static size_t script_recheck(void *self, const char (*ids)[TC_POST_ID_SIZE], size_t n)
{
    struct script *s = self;
    for (size_t i = 0; i < n && s->n_asked < 8; i++)
        memcpy(s->asked[s->n_asked++], ids[i], TC_POST_ID_SIZE);
    return n;
}

static const struct tc_source_ops script_ops = {
    .name = "reddit", .next = script_next, .resume = script_resume, .recheck = script_recheck};

struct rig {
    char dir[64], bus_dir[96], store_path[96];
    struct script script;
    struct tc_source source;
    struct tc_tickers *tickers;
    struct tc_sentiment *sentiment;
    struct tc_bus bus;
    struct tc_role role;
    struct tc_posts_conf conf;
};

static struct rig *open_rig(void)
{
    struct rig *g = calloc(1, sizeof(*g));
    assert_non_null(g);
    snprintf(g->dir, sizeof(g->dir), "/tmp/tc-posts-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    snprintf(g->bus_dir, sizeof(g->bus_dir), "%s/bus", g->dir);
    snprintf(g->store_path, sizeof(g->store_path), "%s/tickcast.db", g->dir);
    struct tc_tickers_conf tickers = {.symbols_file = TEST_SOCIAL "/symbols.tsv",
                                      .ambiguous_file = TEST_SOCIAL "/ambiguous.txt"};
    assert_int_equal(tc_tickers_open(&tickers, &g->tickers), TC_OK);
    assert_int_equal(tc_sentiment_open(TEST_SOCIAL "/market-words.txt", &g->sentiment), TC_OK);
    g->source = (struct tc_source){&script_ops, &g->script};
    g->conf = (struct tc_posts_conf){.bus = &g->bus,
                                     .sources = &g->source,
                                     .n_sources = 1,
                                     .sentiment = g->sentiment,
                                     .tickers = g->tickers,
                                     .salt = "0123456789abcdef",
                                     .origin = TC_ORIGIN_LIVE,
                                     .max_age_ns = 3600 * SEC,
                                     .recheck_ns = 3600 * SEC};
    return g;
}

static void start(struct rig *g)
{
    struct tc_log_bus_conf conf = {.dir = g->bus_dir};
    assert_int_equal(tc_log_bus_open(&conf, &g->bus), TC_OK);
    assert_int_equal(tc_posts_open(&g->conf, &g->role), TC_OK);
}

static void stop(struct rig *g)
{
    g->role.ops->close(g->role.self);
    g->bus.ops->close(g->bus.self);
}

static void close_rig(struct rig *g)
{
    char command[96];
    tc_sentiment_close(g->sentiment);
    tc_tickers_close(g->tickers);
    snprintf(command, sizeof(command), "rm -rf '%s'", g->dir);
    assert_int_equal(system(command), 0);
    free(g);
}

static void say(struct rig *g, const char *id, const char *author, const char *text, int64_t age_ns)
{
    struct tc_raw_post *p = &g->script.items[g->script.n++];
    memset(p, 0, sizeof(*p));
    snprintf(p->id, sizeof(p->id), "reddit:%s", id);
    snprintf(p->place, sizeof(p->place), "r/stocks");
    snprintf(p->author, sizeof(p->author), "%s", author);
    p->created = tc_now_ns() / (3600 * SEC) * 3600 * SEC + 1; /* all in one hour, whatever the time */
    p->created = age_ns ? tc_now_ns() - age_ns : p->created;
    p->text = text;
    p->text_n = strlen(text);
}

/* All records of the topic from `from` on. */
static size_t read_all(struct rig *g, struct tc_record *out, size_t max)
{
    struct tc_bus_reader *reader;
    int64_t at;
    size_t n = 0;
    assert_int_equal(g->bus.ops->open_reader(g->bus.self, TC_TOPIC_POSTS, 0, 0, &reader), TC_OK);
    while (n < max && g->bus.ops->read(reader, &out[n], &at) == TC_OK)
        n++;
    g->bus.ops->close_reader(reader);
    return n;
}

static void a_post_is_scored_and_goes_out_once_also_after_a_restart(void **state)
{
    (void)state;
    static struct tc_record r[16];
    struct rig *g = open_rig();
    say(g, "t3_a", "ann", "TSLA calls to the moon", 0);
    say(g, "t3_a", "ann", "TSLA calls to the moon", 0);
    say(g, "t3_b", "bob", "my AMD puts expired worthless\nin \xff the red", 0);
    start(g);
    while (g->role.ops->work(g->role.self))
        ;
    assert_int_equal(read_all(g, r, 16), 2);
    const struct tc_post *a = &r[0].post, *b = &r[1].post;
    assert_string_equal(a->id, "reddit:t3_a");
    assert_int_equal(a->n_mentions, 1);
    assert_string_equal(a->mentions[0].symbol, "TSLA");
    assert_true(a->mentions[0].counted && a->compound > 0.5 && b->compound < -0.5);
    assert_string_equal(b->text, "my AMD puts expired worthless in \xef\xbf\xbd the red");
    assert_true(a->author && b->author && a->author != b->author);
    stop(g);
    g->script.given = 0; /* a source that begins anew */
    say(g, "t3_c", "ann", "nothing", 0);
    start(g);
    assert_int_equal(g->script.resumed, 2);
    while (g->role.ops->work(g->role.self))
        ;
    assert_int_equal(read_all(g, r, 16), 3);
    assert_string_equal(r[2].post.id, "reddit:t3_c");
    stop(g);
    close_rig(g);
}

static void one_mention_of_an_author_a_symbol_and_an_hour_counts(void **state)
{
    (void)state;
    static struct tc_record r[16];
    struct rig *g = open_rig();
    say(g, "1", "ann", "$TSLA up", 0);
    say(g, "2", "ann", "$TSLA up, $AMD too", 0);
    start(g);
    while (g->role.ops->work(g->role.self))
        ;
    stop(g);
    say(g, "3", "ann", "$TSLA still", 0); /* also after a restart */
    say(g, "4", "bob", "$TSLA down", 0);
    start(g);
    while (g->role.ops->work(g->role.self))
        ;
    assert_int_equal(read_all(g, r, 16), 4);
    assert_true(r[0].post.mentions[0].counted);
    assert_true(!r[1].post.mentions[0].counted && r[1].post.mentions[1].counted);
    assert_true(!r[2].post.mentions[0].counted);
    assert_true(r[3].post.mentions[0].counted);
    stop(g);
    close_rig(g);
}

static void old_posts_are_no_news_removals_and_holes_are_told(void **state)
{
    (void)state;
    static struct tc_record r[16];
    struct rig *g = open_rig();
    say(g, "old", "ann", "$TSLA", 2 * 3600 * SEC);
    say(g, "new", "ann", "$TSLA", 10 * SEC);
    say(g, "new", "", "", 0);
    g->script.items[2].kind = TC_RAW_REMOVED;
    say(g, "", "", "", 0);
    g->script.items[3].kind = TC_RAW_HOLE;
    g->script.items[3].created = 5 * SEC;
    g->script.items[3].until = 9 * SEC;
    snprintf(g->script.items[3].reason, TC_REASON_SIZE, "no_overlap");
    say(g, "new", "ann", "$TSLA", 10 * SEC); /* still in a listing: does not come back */
    start(g);
    while (g->role.ops->work(g->role.self))
        ;
    assert_int_equal(read_all(g, r, 16), 3);
    assert_true(r[0].type == TC_REC_POST && r[1].type == TC_REC_REMOVED && r[2].type == TC_REC_GAP);
    assert_string_equal(r[1].removed.id, "reddit:new");
    assert_string_equal(r[2].gap.symbol, "r/stocks");
    assert_string_equal(r[2].gap.reason, "no_overlap");
    stop(g);
    close_rig(g);
}

struct rows {
    size_t n;
    struct tc_record last;
    struct tc_sentiment_minute minute;
};

static int count_row(void *ctx, const struct tc_record *row)
{
    struct rows *rows = ctx;
    rows->n++;
    rows->last = *row;
    return 0;
}

static int take_minute(void *ctx, const struct tc_sentiment_minute *m)
{
    struct rows *rows = ctx;
    rows->n++;
    rows->minute = *m;
    return 0;
}

static void the_store_keeps_posts_drops_removed_ones_and_forgets_old_ones(void **state)
{
    (void)state;
    static struct tc_record r[16];
    static int64_t offsets[16];
    struct rig *g = open_rig();
    struct tc_store store;
    struct tc_store_counts counts = {0};
    struct tc_range q = {.symbol = "TSLA", .from = 0, .to = INT64_MAX, .newest = true, .limit = 10};
    static struct rows rows;
    say(g, "1", "ann", "$TSLA great", 0);
    say(g, "2", "bob", "$TSLA terrible, $AMD awful", 0);
    say(g, "3", "ann", "$TSLA great once more", 0); /* not counted */
    start(g);
    while (g->role.ops->work(g->role.self))
        ;
    size_t n = read_all(g, r, 16);
    assert_int_equal(n, 3);
    assert_int_equal(tc_sqlite_open(g->store_path, TC_WORLD_LIVE, &store), TC_OK);
    for (int again = 0; again < 2; again++)
        assert_int_equal(store.ops->put(store.self, "store", TC_TOPIC_POSTS, 3, r, offsets, n, &counts),
                         TC_OK);
    assert_int_equal(counts.inserted, 3);
    assert_int_equal(counts.duplicate, 3);
    assert_int_equal(store.ops->posts->read(store.self, &q, count_row, &rows), TC_OK);
    assert_int_equal(rows.n, 3);
    rows.n = 0;
    assert_int_equal(store.ops->posts->sentiment(store.self, &q, take_minute, &rows), TC_OK);
    assert_int_equal(rows.n, 1);
    assert_int_equal(rows.minute.n, 2);
    assert_true(fabs(rows.minute.share_positive - 0.5) < 1e-9);
    assert_true(fabs(rows.minute.mean - (r[0].post.compound + r[1].post.compound) / 2) < 1e-9);
    /* The role finds in the store what it asks its source for again. */
    g->conf.store_path = g->store_path;
    stop(g);
    start(g);
    g->role.ops->work(g->role.self);
    assert_int_equal(g->script.n_asked, 3);
    assert_string_equal(g->script.asked[2], "reddit:3");
    r[0].type = TC_REC_REMOVED;
    snprintf(r[0].removed.id, sizeof(r[0].removed.id), "reddit:1");
    assert_int_equal(store.ops->put(store.self, "store", TC_TOPIC_POSTS, 4, r, offsets, 1, &counts), TC_OK);
    rows.n = 0;
    assert_int_equal(store.ops->posts->read(store.self, &q, count_row, &rows), TC_OK);
    assert_int_equal(rows.n, 2);
    struct tc_post_ages ages = {.asked = INT64_MAX, .others = 0, .mentions = 0};
    uint64_t deleted = 0;
    assert_int_equal(store.ops->posts->prune(store.self, &ages, 100, &deleted), TC_DONE);
    assert_int_equal(deleted, 2);
    rows.n = 0;
    assert_int_equal(store.ops->posts->sentiment(store.self, &q, take_minute, &rows), TC_OK);
    assert_int_equal(rows.minute.n, 1); /* scores outlive the texts, but not those of a removed post */
    store.ops->close(store.self);
    stop(g);
    close_rig(g);
}

static int64_t fake_now;

static int64_t now_for_test(void)
{
    return fake_now;
}

static void simulated_posts_are_the_same_for_a_seed_and_go_on_where_they_were(void **state)
{
    (void)state;
    static const char *const symbols[] = {"AAPL", "SPY"};
    static struct tc_raw_post all[64], part[64];
    struct tc_sim_posts_conf conf = {
        .symbols = symbols, .n_symbols = 2, .seed = 7, .history_ns = 300 * SEC, .now = now_for_test};
    struct tc_source a, b;
    int64_t wait;
    size_t n = 0, m = 0;
    char first[TC_POST_ID_SIZE];
    fake_now = INT64_C(1795460000) * SEC;
    assert_int_equal(tc_sim_posts_open(&conf, &a), TC_OK);
    assert_int_equal(a.ops->next(a.self, all, 64, &n, &wait), TC_OK);
    assert_in_range(n, 10, 64);
    for (size_t i = 0; i < n; i++)
        assert_true(all[i].available <= fake_now && all[i].created > fake_now - 310 * SEC);
    snprintf(first, sizeof(first), "%s", all[n / 2].id);
    struct tc_post post = {.cursor = all[n / 2 - 1].cursor};
    assert_int_equal(tc_sim_posts_open(&conf, &b), TC_OK);
    b.ops->resume(b.self, &post);
    assert_int_equal(b.ops->next(b.self, part, 64, &m, &wait), TC_OK);
    assert_int_equal(m, n - n / 2);
    assert_string_equal(part[0].id, first);
    assert_int_equal(a.ops->next(a.self, all, 64, &n, &wait), TC_AGAIN);
    assert_true(wait > 0 && wait <= 4 * SEC);
    a.ops->close(a.self);
    b.ops->close(b.self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_post_is_scored_and_goes_out_once_also_after_a_restart),
        cmocka_unit_test(one_mention_of_an_author_a_symbol_and_an_hour_counts),
        cmocka_unit_test(old_posts_are_no_news_removals_and_holes_are_told),
        cmocka_unit_test(the_store_keeps_posts_drops_removed_ones_and_forgets_old_ones),
        cmocka_unit_test(simulated_posts_are_the_same_for_a_seed_and_go_on_where_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
