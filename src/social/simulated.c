#include "social/simulated.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rng.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AUTHORS = 300,
    TEXT_SIZE = 256,
    SILENT_SLOTS = 2 /* of three slots two have no post */,
    LATE_MS = 900
};
static const int64_t SLOT = 3 * TC_NS_PER_SEC;

/* %s is a symbol with or without its dollar sign. Tones are mixed so that a minute's mean moves about zero.
 */
static const char *const templates[] = {
    "%s calls are printing, I should have bought more",
    "Loaded up on %s this morning, chart looks great",
    "%s to the moon 🚀",
    "Sold half of my %s, happy with the profit",
    "%s breakout above yesterday's high, bullish",
    "Finally green on %s after a long wait",
    "%s guidance was better than anyone expected",
    "Bought the dip in %s",
    "%s puts for Friday, this is overvalued",
    "My %s position is bleeding again",
    "%s just dumped, what happened?",
    "Bagholding %s since last year, pain",
    "%s looks like a falling knife, careful",
    "Downgraded %s to sell in my own little spreadsheet",
    "%s volume is terrible today",
    "Stopped out of %s at the low of the day, of course",
    "What is everyone's view on %s here?",
    "%s earnings next week, any thoughts?",
    "Is %s a hold for ten years?",
    "Watching %s around this level",
    "%s flat all day",
    "Nothing to see in %s until the afternoon",
};
static const char *const without[] = {
    "Good morning everybody, coffee first",    "Which broker do you use for options?",
    "Red day for me, tomorrow is another one", "Best week of the year so far, thank you all",
    "How do I read the order book?",
};

struct sim_posts {
    struct tc_sim_posts_conf conf;
    char (*symbols)[TC_SYMBOL_SIZE];
    int64_t slot; /* next one to look at; -1 = nothing given or resumed yet */
    char text[64][TEXT_SIZE];
    _Atomic uint64_t posts;
    _Atomic int64_t last;
};

static bool make_post(struct sim_posts *s, int64_t slot, struct tc_raw_post *out, char text[static TEXT_SIZE])
{
    struct tc_rng r;
    tc_rng_seed(&r, s->conf.seed * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)slot);
    if (tc_rng_below(&r, 3) < SILENT_SLOTS)
        return false;
    char name[TC_SYMBOL_SIZE + 1];
    const char *symbol = s->symbols[tc_rng_below(&r, s->conf.n_symbols)];
    snprintf(name, sizeof(name), "%s%s", tc_rng_below(&r, 2) ? "$" : "", symbol);
    if (tc_rng_below(&r, 8) == 0) {
        snprintf(text, TEXT_SIZE, "%s", without[tc_rng_below(&r, sizeof(without) / sizeof(without[0]))]);
    } else {
        const char *t = templates[tc_rng_below(&r, sizeof(templates) / sizeof(templates[0]))];
        const char *mark = strstr(t, "%s");
        snprintf(text, TEXT_SIZE, "%.*s%s%s", (int)(mark - t), t, name, mark + 2);
    }
    memset(out, 0, sizeof(*out));
    snprintf(out->id, sizeof(out->id), "simulated:%llx-%llx", (unsigned long long)s->conf.seed,
             (unsigned long long)slot);
    snprintf(out->place, sizeof(out->place), "simulated");
    snprintf(out->author, sizeof(out->author), "sim%llu", (unsigned long long)tc_rng_below(&r, AUTHORS));
    out->created = slot * SLOT + (int64_t)tc_rng_below(&r, (uint64_t)SLOT);
    out->available = out->created + LATE_MS * TC_NS_PER_MS;
    out->cursor = slot;
    out->text = text;
    out->text_n = strlen(text);
    return true;
}

static int sim_next(void *self, struct tc_raw_post *items, size_t max, size_t *n, int64_t *wait_ns)
{
    struct sim_posts *s = self;
    int64_t now = s->conf.now(), oldest = tc_floor_div(now - s->conf.history_ns, SLOT);
    const size_t room = sizeof(s->text) / sizeof(s->text[0]);
    if (s->slot < oldest)
        s->slot = oldest;
    *n = 0;
    max = max < room ? max : room;
    /* A post is there when it has become available, at the latest this long after its slot. */
    while (*n < max && (s->slot + 1) * SLOT + LATE_MS * TC_NS_PER_MS <= now) {
        *n += make_post(s, s->slot, &items[*n], s->text[*n]);
        s->slot++;
    }
    if (*n == 0) {
        *wait_ns = (s->slot + 1) * SLOT + LATE_MS * TC_NS_PER_MS - now;
        return TC_AGAIN;
    }
    atomic_fetch_add(&s->posts, *n);
    atomic_store(&s->last, now);
    return TC_OK;
}

static void sim_resume(void *self, const struct tc_post *p)
{
    struct sim_posts *s = self;
    if (p->cursor >= s->slot)
        s->slot = p->cursor + 1;
}

static void sim_health(const void *self, struct tc_source_health *out)
{
    const struct sim_posts *s = self;
    *out = (struct tc_source_health){.state = "simulated",
                                     .healthy = true,
                                     .last_ns = atomic_load(&s->last),
                                     .posts = atomic_load(&s->posts)};
}

static void sim_close(void *self)
{
    struct sim_posts *s = self;
    if (!s)
        return;
    free(s->symbols);
    free(s);
}

static const struct tc_source_ops sim_ops = {
    .name = "simulated", .next = sim_next, .resume = sim_resume, .health = sim_health, .close = sim_close};

int tc_sim_posts_open(const struct tc_sim_posts_conf *conf, struct tc_source *out)
{
    if (conf->n_symbols == 0)
        return tc_fail(TC_ECONF, "simulated posts need a symbol to speak of");
    struct sim_posts *s = calloc(1, sizeof(*s));
    if (s) {
        s->conf = *conf;
        s->slot = -1;
        s->symbols = calloc(conf->n_symbols, sizeof(*s->symbols));
    }
    if (!s || !s->symbols) {
        sim_close(s);
        return tc_fail(TC_ENOMEM, "no memory for simulated posts");
    }
    for (size_t i = 0; i < conf->n_symbols; i++)
        snprintf(s->symbols[i], TC_SYMBOL_SIZE, "%s", conf->symbols[i]);
    s->conf.symbols = NULL;
    *out = (struct tc_source){&sim_ops, s};
    return TC_OK;
}
