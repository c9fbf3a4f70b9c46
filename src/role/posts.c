#include "role/posts.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "social/utf8.h"
#include "store/store.h"

#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ITEMS = 64,
    GENERATION = 1 << 16,
    SLOTS = 4 * GENERATION,
    TEXT_ROOM = TC_RAW_TEXT_MAX + 8,
    RECHECK_BATCH = 100
};

static const int64_t HOUR = 3600 * TC_NS_PER_SEC, IDLE_NS = TC_NS_PER_SEC / 5;

/* The last 65,536 to 131,072 keys: two generations, of which the older goes when the newer is full. */
struct recent {
    uint64_t *slots[2]; /* 0 = free */
    size_t n;           /* in slots[0] */
};

struct watch { /* one source */
    bool broken;
    int64_t again; /* mono; not before */
    tc_metric *m_posts;
    char after[TC_POST_ID_SIZE]; /* last id asked for again in this round */
    int64_t next_recheck;        /* mono */
};

struct posts {
    struct tc_posts_conf conf;
    struct watch watch[TC_SOURCES_MAX];
    struct recent seen, counted;
    struct tc_raw_post items[ITEMS];
    struct tc_record records[ITEMS];
    size_t n; /* records to publish */
    char *text;
    int64_t wait;
    tc_metric *m_old, *m_known, *m_removed, *m_counted, *m_repeated;
    struct tc_hist *h_delay;
};

/* --- what was there before -------------------------------------------------------------------------------*/

static bool has(const uint64_t *slots, uint64_t key)
{
    for (size_t at = key % SLOTS; slots[at]; at = (at + 1) % SLOTS)
        if (slots[at] == key)
            return true;
    return false;
}

static bool recent_has(const struct recent *r, uint64_t key)
{
    return has(r->slots[0], key | 1) || has(r->slots[1], key | 1);
}

static void recent_add(struct recent *r, uint64_t key)
{
    key |= 1;
    if (recent_has(r, key))
        return;
    if (r->n == GENERATION) {
        uint64_t *old = r->slots[1];
        r->slots[1] = r->slots[0];
        r->slots[0] = memset(old, 0, SLOTS * sizeof(*old));
        r->n = 0;
    }
    size_t at = key % SLOTS;
    while (r->slots[0][at])
        at = (at + 1) % SLOTS;
    r->slots[0][at] = key;
    r->n++;
}

static uint64_t key_of_id(const char *id)
{
    return tc_fnv(TC_FNV_START, id, strlen(id));
}

/* One mention per author, symbol and hour. */
static uint64_t key_of_mention(const struct tc_post *p, const struct tc_mention *m)
{
    int64_t hour = tc_floor_div(p->created, HOUR);
    uint64_t h = tc_fnv(TC_FNV_START, m->symbol, strlen(m->symbol));
    h = tc_fnv(h, &p->author, sizeof(p->author));
    return tc_fnv(h, &hour, sizeof(hour));
}

/* --- one post --------------------------------------------------------------------------------------------*/

static uint64_t author_hash(const struct posts *p, const char *source, const char *author)
{
    uint8_t bytes[TC_SALT_SIZE + TC_FEED_SIZE + TC_AUTHOR_SIZE] = {0}, digest[SHA256_DIGEST_LENGTH];
    uint64_t h;
    if (!author[0])
        return 0;
    memcpy(bytes, p->conf.salt, strnlen(p->conf.salt, TC_SALT_SIZE));
    snprintf((char *)bytes + TC_SALT_SIZE, TC_FEED_SIZE, "%s", source);
    snprintf((char *)bytes + TC_SALT_SIZE + TC_FEED_SIZE, TC_AUTHOR_SIZE, "%s", author);
    SHA256(bytes, sizeof(bytes), digest);
    memcpy(&h, digest, sizeof(h));
    return h ? h : 1;
}

/* Title and text as one; returns its bytes. */
static size_t join(struct posts *p, const struct tc_raw_post *raw)
{
    size_t title = raw->title_n < TC_RAW_TEXT_MAX ? raw->title_n : TC_RAW_TEXT_MAX;
    size_t text = raw->text_n < TC_RAW_TEXT_MAX - title ? raw->text_n : TC_RAW_TEXT_MAX - title;
    size_t n = 0;
    if (title) {
        memcpy(p->text, raw->title, title);
        n = title;
        p->text[n++] = '\n';
    }
    if (text)
        memcpy(p->text + n, raw->text, text);
    return n + text;
}

static void score(struct posts *p, struct tc_post *to, size_t n)
{
    struct tc_sentiment_score s = {NAN, NAN, NAN, NAN};
    struct tc_ticker found[TC_TICKERS_MAX];
    if (p->conf.sentiment)
        tc_sentiment_post(p->conf.sentiment, p->text, n, &s);
    to->compound = s.compound;
    to->pos = s.pos;
    to->neu = s.neu;
    to->neg = s.neg;
    to->n_mentions = (int32_t)tc_tickers_find(p->conf.tickers, p->text, n, found);
    for (int32_t i = 0; i < to->n_mentions; i++) {
        memcpy(to->mentions[i].symbol, found[i].symbol, TC_SYMBOL_SIZE);
        to->mentions[i].evidence = found[i].evidence;
    }
}

static void count_mentions(struct posts *p, struct tc_post *post)
{
    for (int32_t i = 0; i < post->n_mentions; i++) {
        struct tc_mention *m = &post->mentions[i];
        uint64_t key = key_of_mention(post, m);
        m->counted = !recent_has(&p->counted, key);
        recent_add(&p->counted, key);
        tc_metric_add(m->counted ? p->m_counted : p->m_repeated, 1);
    }
}

static void take_post(struct posts *p, size_t source, const struct tc_raw_post *raw, int64_t now)
{
    const struct tc_source_ops *ops = p->conf.sources[source].ops;
    if (raw->created < now - p->conf.max_age_ns || raw->created <= 0) {
        tc_metric_add(p->m_old, 1);
        return;
    }
    if (recent_has(&p->seen, key_of_id(raw->id))) {
        tc_metric_add(p->m_known, 1);
        return;
    }
    struct tc_record *r = &p->records[p->n];
    struct tc_post *post = &r->post;
    memset(r, 0, sizeof(*r));
    r->type = TC_REC_POST;
    r->from = -1;
    snprintf(post->id, sizeof(post->id), "%s", raw->id);
    snprintf(post->source, sizeof(post->source), "%s", ops->name);
    snprintf(post->place, sizeof(post->place), "%s", raw->place);
    snprintf(post->url, sizeof(post->url), "%s", raw->url);
    size_t n = join(p, raw);
    score(p, post, n);
    if (ops->only_mentions && post->n_mentions == 0)
        return;
    post->author = author_hash(p, ops->name, raw->author);
    /* A clock that runs ahead of ours must not put a post into the future. */
    post->created = raw->created < now ? raw->created : now;
    post->available = raw->available && raw->available < now ? raw->available : now;
    post->cursor = raw->cursor;
    post->origin = p->conf.origin;
    count_mentions(p, post);
    tc_utf8_excerpt(p->text, n, post->text, sizeof(post->text));
    recent_add(&p->seen, key_of_id(post->id));
    tc_metric_add(p->watch[source].m_posts, 1);
    if (!raw->available)
        tc_hist_add(p->h_delay, now - post->created);
    p->n++;
}

static void take_removed(struct posts *p, const struct tc_raw_post *raw, int64_t now)
{
    struct tc_record *r = &p->records[p->n++];
    memset(r, 0, sizeof(*r));
    r->type = TC_REC_REMOVED;
    r->from = -1;
    snprintf(r->removed.id, sizeof(r->removed.id), "%s", raw->id);
    r->removed.available = now;
    recent_add(&p->seen, key_of_id(raw->id)); /* it may still stand in a listing */
    tc_metric_add(p->m_removed, 1);
}

static void take_hole(struct posts *p, size_t source, const struct tc_raw_post *raw)
{
    struct tc_record *r = &p->records[p->n++];
    memset(r, 0, sizeof(*r));
    r->type = TC_REC_GAP;
    r->from = -1;
    snprintf(r->gap.symbol, sizeof(r->gap.symbol), "%s", raw->place);
    snprintf(r->gap.feed, sizeof(r->gap.feed), "%s", p->conf.sources[source].ops->name);
    snprintf(r->gap.reason, sizeof(r->gap.reason), "%s", raw->reason);
    r->gap.start = raw->created;
    r->gap.end = raw->until;
    tc_log_warn("posts", "%s: posts of %s may be missing (%s)", p->conf.sources[source].ops->name, raw->place,
                raw->reason);
}

/* --- the role --------------------------------------------------------------------------------------------*/

static int read_source(struct posts *p, size_t i)
{
    const struct tc_source *s = &p->conf.sources[i];
    struct watch *w = &p->watch[i];
    int64_t mono = tc_mono_ns(), wait = IDLE_NS;
    size_t n = 0;
    if (w->broken || mono < w->again)
        return 0;
    int rc = s->ops->next(s->self, p->items, ITEMS, &n, &wait);
    if (rc < 0) {
        tc_log_error("posts", "%s: %s; this source is given up", s->ops->name, tc_error());
        w->broken = true;
        return 0;
    }
    if (rc == TC_AGAIN) {
        w->again = mono + wait;
        return 0;
    }
    int64_t now = tc_now_ns();
    p->n = 0;
    for (size_t k = 0; k < n; k++) {
        if (p->items[k].kind == TC_RAW_POST)
            take_post(p, i, &p->items[k], now);
        else if (p->items[k].kind == TC_RAW_REMOVED)
            take_removed(p, &p->items[k], now);
        else
            take_hole(p, i, &p->items[k]);
    }
    rc = p->conf.bus->ops->publish(p->conf.bus->self, TC_TOPIC_POSTS, p->records, p->n);
    return rc ? tc_more(rc, "posts") : (int)n;
}

struct ids {
    char at[RECHECK_BATCH][TC_POST_ID_SIZE];
    size_t n;
};

static int take_id(void *ctx, const char *id)
{
    struct ids *ids = ctx;
    snprintf(ids->at[ids->n++], TC_POST_ID_SIZE, "%s", id ? id : "");
    return 0;
}

/* The store's posts in the order of their ids, a batch at a time, so that a round takes half of the time: a
 * restart in the middle begins it anew and still keeps what was promised. */
static int recheck(struct posts *p, size_t i)
{
    const struct tc_source *s = &p->conf.sources[i];
    struct watch *w = &p->watch[i];
    struct ids ids = {.n = 0};
    struct tc_store store;
    int64_t mono = tc_mono_ns();
    if (!s->ops->recheck || !p->conf.store_path || w->broken || mono < w->next_recheck)
        return TC_OK;
    w->next_recheck = mono + TC_NS_PER_SEC * 5;
    if (access(p->conf.store_path, R_OK) != 0)
        return TC_OK;
    int rc = tc_sqlite_open_reader(p->conf.store_path, &store);
    if (rc == TC_OK) {
        rc = store.ops->posts->ids(store.self, s->ops->name, w->after, RECHECK_BATCH, take_id, &ids);
        store.ops->close(store.self);
    }
    if (rc) {
        tc_log_warn("posts", "%s: cannot look for removed posts now: %s", s->ops->name, tc_error());
        return TC_OK;
    }
    size_t taken = ids.n ? s->ops->recheck(s->self, ids.at, ids.n) : 0;
    if (taken)
        memcpy(w->after, ids.at[taken - 1], TC_POST_ID_SIZE);
    if (ids.n < RECHECK_BATCH &&
        taken == ids.n) { /* the end: the next round begins when half of the time is over */
        w->after[0] = '\0';
        w->next_recheck = mono + p->conf.recheck_ns / 2;
    }
    return TC_OK;
}

static int posts_work(void *self)
{
    struct posts *p = self;
    int done = 0;
    for (size_t i = 0; i < p->conf.n_sources; i++) {
        int n = read_source(p, i);
        if (n < 0)
            return n;
        done += n;
        int rc = recheck(p, i);
        if (rc)
            return rc;
    }
    return done;
}

static int64_t posts_wait(const void *self)
{
    const struct posts *p = self;
    int64_t mono = tc_mono_ns(), wait = IDLE_NS;
    for (size_t i = 0; i < p->conf.n_sources; i++) {
        int64_t left = p->watch[i].again - mono;
        if (!p->watch[i].broken && left < wait)
            wait = left < 0 ? 0 : left;
    }
    return wait;
}

static void posts_close(void *self)
{
    struct posts *p = self;
    if (!p)
        return;
    for (int i = 0; i < 2; i++) {
        free(p->seen.slots[i]);
        free(p->counted.slots[i]);
    }
    free(p->text);
    free(p);
}

static const struct tc_role_ops posts_ops = {
    .name = "posts", .work = posts_work, .wait_ns = posts_wait, .close = posts_close};

/* What the topic holds makes the state again. */
static void remember(struct posts *p, const struct tc_record *r)
{
    if (r->type == TC_REC_REMOVED)
        recent_add(&p->seen, key_of_id(r->removed.id));
    if (r->type != TC_REC_POST)
        return;
    recent_add(&p->seen, key_of_id(r->post.id));
    for (int32_t i = 0; i < r->post.n_mentions; i++)
        if (r->post.mentions[i].counted)
            recent_add(&p->counted, key_of_mention(&r->post, &r->post.mentions[i]));
    for (size_t i = 0; i < p->conf.n_sources; i++)
        if (!strcmp(p->conf.sources[i].ops->name, r->post.source))
            p->conf.sources[i].ops->resume(p->conf.sources[i].self, &r->post);
}

static int restore(struct posts *p)
{
    struct tc_bus *bus = p->conf.bus;
    struct tc_bus_reader *reader;
    int64_t at;
    int rc = bus->ops->open_reader(bus->self, TC_TOPIC_POSTS, -1, 0, &reader);
    if (rc)
        return rc;
    for (;;) {
        at = -1;
        rc = bus->ops->read(reader, &p->records[0], &at);
        if (rc == TC_OK)
            remember(p, &p->records[0]);
        else if (!(rc == TC_EINPUT && at >= 0)) /* a record that is not understood is the store's to keep */
            break;
    }
    bus->ops->close_reader(reader);
    return rc == TC_AGAIN ? TC_OK : rc;
}

static void register_metrics(struct posts *p)
{
    static const char mentions[] = "tickcast_mentions_total", what[] = "Mentions of symbols in posts";
    for (size_t i = 0; i < p->conf.n_sources; i++) {
        char labels[48];
        snprintf(labels, sizeof(labels), "source=\"%s\"", p->conf.sources[i].ops->name);
        p->watch[i].m_posts = tc_counter("tickcast_posts_total", labels, "Posts published");
    }
    p->m_old = tc_counter("tickcast_posts_old_total", NULL, "Posts passed over because of their age");
    p->m_known = tc_counter("tickcast_posts_known_total", NULL, "Posts that a source gave once more");
    p->m_removed = tc_counter("tickcast_posts_removed_total", NULL, "Posts that their source has removed");
    p->m_counted = tc_counter(mentions, "counted=\"yes\"", what);
    p->m_repeated = tc_counter(mentions, "counted=\"no\"", what);
    p->h_delay = tc_latency("tickcast_post_seconds", NULL, "From a post's writing to its publishing");
}

int tc_posts_open(const struct tc_posts_conf *conf, struct tc_role *out)
{
    struct posts *p = calloc(1, sizeof(*p));
    if (p) {
        p->conf = *conf;
        p->text = malloc(TEXT_ROOM);
        for (int i = 0; i < 2; i++) {
            p->seen.slots[i] = calloc(SLOTS, sizeof(uint64_t));
            p->counted.slots[i] = calloc(SLOTS, sizeof(uint64_t));
        }
    }
    if (!p || !p->text || !p->seen.slots[0] || !p->seen.slots[1] || !p->counted.slots[0] ||
        !p->counted.slots[1]) {
        posts_close(p);
        return tc_fail(TC_ENOMEM, "no memory for the posts");
    }
    register_metrics(p);
    int rc = restore(p);
    if (rc) {
        posts_close(p);
        return tc_more(rc, "posts");
    }
    *out = (struct tc_role){&posts_ops, p};
    return TC_OK;
}
