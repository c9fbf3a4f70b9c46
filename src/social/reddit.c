#include "social/reddit.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/rng.h"
#include "net/fetch.h"
#include "social/reddit_json.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    KNOWN = 2048,   /* names of a listing; more than the thousand items that Reddit shows */
    SHOWN = 900,    /* items from which on a listing may have been cut */
    PAGES_MAX = 10, /* of a hundred */
    TOKEN_SIZE = 2048,
    ASK_MAX = 100, /* names in one question for removed items */
    RETRY_S = 60,  /* when told to wait and not for how long */
    BACKOFF_MAX_S = 60,
    CACHE_ROUNDS = 30,
    REFUSED_MAX = 3, /* answers 401 with a fresh token */
};

static const int64_t TIMEOUT = 16 * TC_NS_PER_SEC,
                     SPACING = 700 * TC_NS_PER_MS; /* below 100 requests a minute */

struct listing {
    char subreddit[24];
    bool comments, ended, primed;
    uint64_t known[KNOWN]; /* hashes of names, a ring */
    size_t n_known;
    int64_t newest;      /* created of the newest known item */
    int64_t next, pause; /* mono; time between polls */
    unsigned round;
    /* one reading, over several pages */
    char after[TC_REDDIT_NAME];
    int64_t newest_read;
    uint64_t read[PAGES_MAX * TC_REDDIT_PAGE];
    size_t n_read;
};

enum doing { IDLE, TOKEN, PAGE, ASK };

struct reddit {
    struct tc_reddit_conf conf;
    char id[128], secret[128], token_url[200], api_url[200], device[32];
    char token[TOKEN_SIZE];
    int64_t token_until; /* mono; 0 = none */
    int refused;         /* answers 401 in a row */
    struct tc_fetch *fetch;
    enum doing doing;
    struct listing *listings;
    size_t n_listings, at;                  /* at: the one that is read */
    struct tc_reddit_page pages[PAGES_MAX]; /* of the reading; given when it is over, the oldest item first,
                                               so that a restart in between goes on where it was */
    int n_pages;
    bool reading;
    size_t given;                  /* items of the last page */
    struct tc_reddit_page answers; /* to the question for removed items */
    bool has_hole;
    struct tc_raw_post hole;
    char ask[ASK_MAX][TC_REDDIT_NAME];
    size_t n_ask, gone_at;
    bool asked_gone[ASK_MAX], has_gone;
    int64_t next_request; /* mono */
    int failures;
    struct tc_rng rng;
    pthread_mutex_t lock;
    struct tc_source_health health;
};

static void note(struct reddit *r, bool healthy, const char *state, const char *text)
{
    pthread_mutex_lock(&r->lock);
    r->health.healthy = healthy;
    r->health.state = state;
    snprintf(r->health.note, sizeof(r->health.note), "%s", text);
    r->health.errors += !healthy;
    pthread_mutex_unlock(&r->lock);
}

static uint64_t hash(const char *name)
{
    return tc_fnv(TC_FNV_START, name, strlen(name));
}

static bool knows(const struct listing *l, uint64_t h)
{
    size_t n = l->n_known < KNOWN ? l->n_known : KNOWN;
    for (size_t i = 0; i < n; i++)
        if (l->known[i] == h)
            return true;
    return false;
}

static void know(struct listing *l, uint64_t h)
{
    if (!knows(l, h))
        l->known[l->n_known++ % KNOWN] = h;
}

static void drop_pages(struct reddit *r)
{
    while (r->n_pages)
        tc_reddit_page_free(&r->pages[--r->n_pages]);
    r->reading = false;
    r->given = 0;
}

/* --- waiting ---------------------------------------------------------------------------------------------*/

static void wait_s(struct reddit *r, double seconds)
{
    r->next_request = tc_mono_ns() + (int64_t)(seconds * 1e9);
}

/* Full jitter: anywhere up to 1, 2, 4 ... 60 s, and no less than a quarter of a second. */
static void back_off(struct reddit *r, const char *why)
{
    double most = ldexp(1, r->failures < 6 ? r->failures : 6);
    r->failures++;
    most = most < BACKOFF_MAX_S ? most : BACKOFF_MAX_S;
    wait_s(r, 0.25 + tc_rng_uniform(&r->rng) * most);
    note(r, false, "waiting", why);
}

/* What the rate headers leave is spread over the time that they name. Cached answers have none. */
static void heed_rate(struct reddit *r, const struct tc_fetch_answer *a)
{
    double spacing = (double)SPACING / 1e9;
    if (!isnan(a->remaining) && !isnan(a->reset_s)) {
        double even = a->remaining < 1 ? a->reset_s : a->reset_s / a->remaining;
        spacing = even > spacing ? even : spacing;
    }
    wait_s(r, spacing);
}

/* --- requests --------------------------------------------------------------------------------------------*/

static int ask_token(struct reddit *r)
{
    char url[300], form[200];
    snprintf(url, sizeof(url), "%s/api/v1/access_token", r->token_url);
    if (r->secret[0])
        snprintf(form, sizeof(form), "grant_type=client_credentials");
    else
        snprintf(form, sizeof(form),
                 "grant_type=https%%3A%%2F%%2Foauth.reddit.com%%2Fgrants%%2Finstalled_client&device_id=%s",
                 r->device);
    r->doing = TOKEN;
    return tc_fetch_begin(r->fetch, url, NULL, r->id, r->secret, form);
}

static int get(struct reddit *r, const char *path, enum doing doing)
{
    char url[3000], bearer[TOKEN_SIZE + 16];
    snprintf(url, sizeof(url), "%s%s", r->api_url, path);
    snprintf(bearer, sizeof(bearer), "bearer %s", r->token);
    r->doing = doing;
    return tc_fetch_begin(r->fetch, url, bearer, NULL, NULL, NULL);
}

static int ask_page(struct reddit *r)
{
    struct listing *l = &r->listings[r->at];
    char path[200];
    snprintf(path, sizeof(path), "/r/%s/%s?limit=%u&raw_json=1%s%s", l->subreddit,
             l->comments ? "comments" : "new", TC_REDDIT_PAGE - (l->after[0] ? 0 : l->round % CACHE_ROUNDS),
             l->after[0] ? "&after=" : "", l->after);
    return get(r, path, PAGE);
}

static int ask_gone(struct reddit *r)
{
    char path[64 + ASK_MAX * TC_REDDIT_NAME];
    int n = snprintf(path, sizeof(path), "/api/info?raw_json=1&id=");
    for (size_t i = 0; i < r->n_ask; i++)
        n += snprintf(path + n, sizeof(path) - (size_t)n, "%s%s", i ? "," : "", r->ask[i]);
    return get(r, path, ASK);
}

/* The listing that has waited longest past its time; false when none is due. */
static bool choose(struct reddit *r, int64_t mono)
{
    struct listing *best = NULL;
    if (r->listings[r->at].after[0])
        return true; /* goes on with its next page */
    for (size_t i = 0; i < r->n_listings; i++) {
        struct listing *l = &r->listings[i];
        if (!l->ended && l->next <= mono && (!best || l->next < best->next)) {
            best = l;
            r->at = i;
        }
    }
    if (best) {
        drop_pages(r);
        best->n_read = 0;
        best->newest_read = 0;
    }
    return best != NULL;
}

static int request(struct reddit *r, int64_t mono)
{
    if (!r->token_until || mono >= r->token_until)
        return ask_token(r);
    if (r->n_ask && !r->has_gone && !r->listings[r->at].after[0])
        return ask_gone(r);
    return choose(r, mono) ? ask_page(r) : TC_AGAIN;
}

/* --- answers ---------------------------------------------------------------------------------------------*/

static int on_token(struct reddit *r, const struct tc_fetch_answer *a)
{
    int64_t lifetime;
    if (a->status == 400 || a->status == 401 || a->status == 403)
        return tc_fail(TC_EPEER,
                       "Reddit refuses this application (%d): check reddit.id and the secret in "
                       "TICKCAST_REDDIT_SECRET or "
                       "reddit.secret_file; new applications need Reddit's approval",
                       a->status);
    if (a->status != 200) {
        back_off(r, "Reddit gives no token now");
        return TC_OK;
    }
    int rc = tc_reddit_token_parse(a->body, a->n, r->token, sizeof(r->token), &lifetime);
    if (rc == TC_EPEER)
        return tc_more(rc, "Reddit gives no token (reddit.id, kind of application)");
    if (rc) {
        back_off(r, "the token's answer is not understood");
        return TC_OK;
    }
    r->token_until = tc_mono_ns() + lifetime * 9 / 10 * TC_NS_PER_SEC;
    r->next_request = 0;
    return TC_OK;
}

static int end_listing(struct reddit *r, const char *why)
{
    struct listing *l = &r->listings[r->at];
    char text[160];
    bool some = false;
    l->ended = true;
    l->after[0] = '\0';
    drop_pages(r);
    snprintf(text, sizeof(text), "r/%s: %s; it is left out", l->subreddit, why);
    note(r, false, "connected", text);
    for (size_t i = 0; i < r->n_listings; i++)
        some = some || !r->listings[i].ended;
    return some ? TC_OK : tc_fail(TC_EPEER, "no subreddit is left: %s", text);
}

/* Statuses that are no answer to the question. TC_DONE: it is one. */
static int on_refusal(struct reddit *r, const struct tc_fetch_answer *a)
{
    char text[160];
    switch (a->status) {
    case 200:
        r->failures = 0;
        r->refused = r->doing == TOKEN ? r->refused : 0;
        return TC_DONE;
    case 0:
        snprintf(text, sizeof(text), "Reddit does not answer: %.100s", a->error);
        back_off(r, text);
        return TC_OK;
    case 401:
        r->token_until = 0; /* a new one at once; refused again and again it is the application */
        if (r->doing != TOKEN && ++r->refused > REFUSED_MAX)
            return tc_fail(TC_EPEER, "Reddit refuses every token of this application: was it taken back?");
        return r->doing == TOKEN ? TC_DONE : TC_OK;
    case 429:
        wait_s(r, isnan(a->retry_after_s) ? RETRY_S
                  : a->retry_after_s < 1  ? 1
                                          : fmin(a->retry_after_s, 3600));
        note(r, false, "waiting", "Reddit asks for fewer requests (429)");
        return TC_OK;
    case 301:
    case 302:
    case 403:
    case 404:
        if (r->doing == PAGE)
            return end_listing(r, a->status == 403   ? "private, banned, or not for this application (403)"
                                  : a->status == 404 ? "there is none, or it is banned (404)"
                                                     : "there is none of that name");
        return TC_DONE;
    default:
        if (r->doing == TOKEN && a->status < 500)
            return TC_DONE;
        snprintf(text, sizeof(text), "Reddit answers %d", a->status);
        back_off(r, text);
        return TC_OK;
    }
}

static void make_hole(struct reddit *r, const struct listing *l, int64_t oldest)
{
    struct tc_raw_post *h = &r->hole;
    memset(h, 0, sizeof(*h));
    h->kind = TC_RAW_HOLE;
    snprintf(h->place, sizeof(h->place), "r/%s", l->subreddit);
    snprintf(h->reason, sizeof(h->reason), "no_overlap_%s", l->comments ? "comments" : "posts");
    h->created = l->newest;
    h->until = oldest > l->newest ? oldest : l->newest;
    r->has_hole = true;
    pthread_mutex_lock(&r->lock);
    r->health.holes++;
    pthread_mutex_unlock(&r->lock);
}

/* The reading has come to what was known, or to its end. */
static void end_reading(struct reddit *r, struct listing *l, bool fresh)
{
    l->after[0] = '\0';
    r->reading = false;
    r->given = 0;
    for (size_t i = l->n_read; i > 0; i--)
        know(l, l->read[i - 1]);
    if (l->newest_read > l->newest)
        l->newest = l->newest_read;
    l->primed = true;
    l->round++;
    l->pause = fresh ? r->conf.poll_ns : l->pause + l->pause / 2;
    l->pause = l->pause < r->conf.poll_max_ns ? l->pause : r->conf.poll_max_ns;
    l->next = tc_mono_ns() + l->pause;
}

/* Notes what the page holds; true when something of it was known. */
static bool read_names(struct listing *l, const struct tc_reddit_page *p)
{
    bool overlap = false;
    for (size_t i = 0; i < p->n; i++) {
        uint64_t h = hash(p->names[i]);
        overlap = overlap || knows(l, h);
        if (p->items[i].created > l->newest_read)
            l->newest_read = p->items[i].created;
        if (l->n_read < sizeof(l->read) / sizeof(l->read[0]))
            l->read[l->n_read++] = h;
    }
    return overlap;
}

static int on_page(struct reddit *r, const struct tc_fetch_answer *a)
{
    struct listing *l = &r->listings[r->at];
    struct tc_reddit_page *p = &r->pages[r->n_pages];
    if (tc_reddit_page_parse(a->body, a->n, p)) {
        l->after[0] = '\0';
        drop_pages(r);
        back_off(r, "an answer of Reddit is not understood");
        return TC_OK;
    }
    r->n_pages++;
    r->reading = true;
    bool overlap = read_names(l, p), fresh = p->n && !knows(l, hash(p->names[0]));
    /* The end of a listing is no hole: all that there is was seen. But after about a thousand items every
     * listing ends. */
    bool short_of = l->primed && !overlap && p->n && (p->after[0] || l->n_read >= SHOWN);
    if (short_of && p->after[0] && r->n_pages < PAGES_MAX) {
        memcpy(l->after, p->after, sizeof(l->after));
    } else {
        if (short_of)
            make_hole(r, l, p->items[p->n - 1].created);
        end_reading(r, l, fresh || r->n_pages > 1);
    }
    note(r, true, "connected", "");
    pthread_mutex_lock(&r->lock);
    r->health.last_ns = tc_now_ns();
    pthread_mutex_unlock(&r->lock);
    return TC_OK;
}

/* What is not among the answers, or only its name is, is gone. */
static int on_gone(struct reddit *r, const struct tc_fetch_answer *a)
{
    if (a->status != 200 || tc_reddit_page_parse(a->body, a->n, &r->answers)) {
        back_off(r, "an answer of Reddit is not understood");
        return TC_OK;
    }
    for (size_t i = 0; i < r->n_ask; i++) {
        r->asked_gone[i] = true;
        for (size_t k = 0; k < r->answers.n; k++)
            if (!strcmp(r->ask[i], r->answers.names[k]))
                r->asked_gone[i] = r->answers.gone[k];
    }
    tc_reddit_page_free(&r->answers);
    r->has_gone = true;
    r->gone_at = 0;
    return TC_OK;
}

static int on_answer(struct reddit *r, const struct tc_fetch_answer *a)
{
    enum doing doing = r->doing;
    heed_rate(r, a);
    int rc = on_refusal(r, a);
    r->doing = IDLE;
    if (rc != TC_DONE)
        return rc;
    return doing == TOKEN ? on_token(r, a) : doing == PAGE ? on_page(r, a) : on_gone(r, a);
}

/* --- the source ------------------------------------------------------------------------------------------*/

static size_t give(struct reddit *r, struct tc_raw_post *items, size_t max)
{
    size_t n = 0;
    if (r->has_hole && n < max) {
        items[n++] = r->hole;
        r->has_hole = false;
    }
    while (!r->reading && r->n_pages && n < max) {
        const struct tc_reddit_page *p = &r->pages[r->n_pages - 1];
        if (r->given == p->n && n)
            break; /* the texts that were given are the page's */
        if (r->given == p->n) {
            tc_reddit_page_free(&r->pages[--r->n_pages]);
            r->given = 0;
            continue;
        }
        /* One that is gone already was never taken, or is asked for by its name. */
        const struct tc_raw_post *item = &p->items[p->n - 1 - r->given++];
        if (item->kind == TC_RAW_POST)
            items[n++] = *item;
    }
    for (; r->has_gone && r->gone_at < r->n_ask && n < max; r->gone_at++) {
        if (!r->asked_gone[r->gone_at])
            continue;
        memset(&items[n], 0, sizeof(items[n]));
        items[n].kind = TC_RAW_REMOVED;
        snprintf(items[n++].id, TC_POST_ID_SIZE, "reddit:%s", r->ask[r->gone_at]);
    }
    if (r->has_gone && r->gone_at == r->n_ask) {
        r->has_gone = false;
        r->n_ask = 0;
    }
    return n;
}

static int reddit_next(void *self, struct tc_raw_post *items, size_t max, size_t *n, int64_t *wait_ns)
{
    struct reddit *r = self;
    int64_t mono = tc_mono_ns();
    struct tc_fetch_answer answer;
    *n = give(r, items, max);
    if (*n) {
        pthread_mutex_lock(&r->lock);
        r->health.posts += *n;
        pthread_mutex_unlock(&r->lock);
        return TC_OK;
    }
    *wait_ns = 20 * TC_NS_PER_MS;
    if (r->doing == IDLE) {
        int rc = mono < r->next_request ? TC_AGAIN : request(r, mono);
        if (rc == TC_AGAIN)
            *wait_ns = 100 * TC_NS_PER_MS;
        return rc < 0 ? rc : TC_AGAIN;
    }
    int rc = tc_fetch_poll(r->fetch, 2 * TC_NS_PER_MS, &answer);
    if (rc == TC_OK)
        rc = on_answer(r, &answer);
    if (rc == TC_OK)
        *wait_ns = 0;
    return rc < 0 ? rc : TC_AGAIN;
}

/* A post of the log: the next reading goes back to it. */
static void reddit_resume(void *self, const struct tc_post *p)
{
    struct reddit *r = self;
    const char *name = strncmp(p->id, "reddit:", 7) ? "" : p->id + 7;
    for (size_t i = 0; i < r->n_listings; i++) {
        struct listing *l = &r->listings[i];
        if (strncmp(p->place, "r/", 2) || strcasecmp(p->place + 2, l->subreddit) ||
            l->comments != (name[1] == '1'))
            continue;
        know(l, hash(name));
        l->primed = true;
        l->newest = p->created > l->newest ? p->created : l->newest;
    }
}

static size_t reddit_recheck(void *self, const char (*ids)[TC_POST_ID_SIZE], size_t n)
{
    struct reddit *r = self;
    if (r->n_ask || r->has_gone)
        return 0;
    size_t taken = 0;
    for (; taken < n && r->n_ask < ASK_MAX; taken++)
        if (!strncmp(ids[taken], "reddit:", 7) && tc_reddit_name_valid(ids[taken] + 7))
            snprintf(r->ask[r->n_ask++], TC_REDDIT_NAME, "%.19s", ids[taken] + 7);
    return taken;
}

static void reddit_health(const void *self, struct tc_source_health *out)
{
    struct reddit *r = (struct reddit *)(uintptr_t)self;
    pthread_mutex_lock(&r->lock);
    *out = r->health;
    pthread_mutex_unlock(&r->lock);
}

static void reddit_close(void *self)
{
    struct reddit *r = self;
    if (!r)
        return;
    drop_pages(r);
    tc_fetch_close(r->fetch);
    memset(r->secret, 0, sizeof(r->secret));
    memset(r->token, 0, sizeof(r->token));
    pthread_mutex_destroy(&r->lock);
    free(r->listings);
    free(r);
}

static const struct tc_source_ops reddit_ops = {.name = "reddit",
                                                .next = reddit_next,
                                                .resume = reddit_resume,
                                                .recheck = reddit_recheck,
                                                .health = reddit_health,
                                                .close = reddit_close};

static int open_listings(struct reddit *r)
{
    r->listings = calloc(2 * r->conf.n_subreddits, sizeof(*r->listings));
    if (!r->listings)
        return tc_fail(TC_ENOMEM, "no memory for the subreddits");
    for (size_t i = 0; i < r->conf.n_subreddits; i++) {
        const char *name = r->conf.subreddits[i];
        size_t n = strlen(name);
        if (n < 2 || n > 21 ||
            strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != n)
            return tc_fail(
                TC_ECONF,
                "reddit.subreddits: \"%.40s\" is no name of a subreddit (write wallstreetbets, not r/...)",
                name);
        for (int comments = 0; comments < 2; comments++) {
            struct listing *l = &r->listings[r->n_listings++];
            snprintf(l->subreddit, sizeof(l->subreddit), "%s", name);
            l->comments = comments;
            l->pause = r->conf.poll_ns;
        }
    }
    return TC_OK;
}

int tc_reddit_open(const struct tc_reddit_conf *conf, struct tc_source *out)
{
    if (!conf->id || !conf->id[0])
        return tc_fail(TC_ECONF, "reddit.id is not set: it is the id of your Reddit application "
                                 "(docs/social.md says what it needs)");
    if (conf->n_subreddits == 0 || conf->n_subreddits > TC_SUBREDDITS_MAX)
        return tc_fail(TC_ECONF, "reddit.subreddits: name 1 to %d subreddits", TC_SUBREDDITS_MAX);
    struct reddit *r = calloc(1, sizeof(*r));
    if (!r)
        return tc_fail(TC_ENOMEM, "no memory for Reddit");
    pthread_mutex_init(&r->lock, NULL);
    r->conf = *conf;
    r->health.state = "starting";
    snprintf(r->id, sizeof(r->id), "%s", conf->id);
    snprintf(r->secret, sizeof(r->secret), "%s", conf->secret ? conf->secret : "");
    snprintf(r->token_url, sizeof(r->token_url), "%s", conf->token_url);
    snprintf(r->api_url, sizeof(r->api_url), "%s", conf->api_url);
    tc_rng_seed(&r->rng, (uint64_t)tc_now_ns());
    snprintf(r->device, sizeof(r->device), "tickcast%016llx", (unsigned long long)tc_rng_next(&r->rng));
    struct tc_fetch_conf fetch = {
        .user_agent = conf->user_agent, .max_body = TC_REDDIT_ANSWER_MAX, .timeout_ns = TIMEOUT};
    int rc = tc_fetch_open(&fetch, &r->fetch);
    if (!rc)
        rc = open_listings(r);
    if (rc) {
        reddit_close(r);
        return rc;
    }
    *out = (struct tc_source){&reddit_ops, r};
    return TC_OK;
}
