#include "feed/sim_market.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCKS_A_DAY = 86400 / TC_SIM_BLOCK_S,
    TRADES_MAX = 20,                   /* of one symbol in one second */
    EVENTS_MAX = 2 * TRADES_MAX + 2,   /* each trade may come with a quote */
    START_BAND_NS = 300 * 1000 * 1000, /* where in the second the first quote change falls */
};

/* What a random stream is for; part of its seed. */
enum stream { STREAM_NAME = 1, STREAM_DAY, STREAM_BLOCK, STREAM_VOL, STREAM_SECONDS };

static const double BRANCHING = 0.75; /* share of trades that earlier trades called forth */
static const double MEMORY = 0.6;     /* of the excitement, from second to second */
static const double SHARED = 0.35;    /* share of the price variance that all symbols have in common */
static const char MARKET[] = "*";     /* the stream of that common part */

struct traits {
    uint64_t name; /* hash */
    double price;  /* around which the days wander */
    double sigma;  /* of the efficient price, relative, over one second at normal activity */
    double rate;   /* trades a second at normal activity */
    double depth;  /* shares at the best prices */
    int spread;    /* usual, in cents */
};

struct symbol {
    struct traits t;
    struct tc_rng rng;
    double log_price, log_end; /* now; at the end of the block */
    double vol0, vol1;         /* log volatility at both ends of the block */
    double excited;            /* trades a second called forth by earlier ones */
    double lean;               /* noise of the queues, slowly changing */
    int side;                  /* of the last trade: +1 buyer, -1 seller */
    int wide;                  /* cents above the usual spread */
    bool quoted;               /* bid and ask are set */
    int64_t bid, ask;          /* cents */
    double bid_size, ask_size;
};

struct event {
    int64_t time;
    uint32_t sym;
    bool quote, off_exchange;
    double a, b, c, d; /* price, size; or bid, ask, bid_size, ask_size */
};

struct tc_sim_market {
    uint64_t seed;
    int64_t second; /* last one made; INT64_MIN = none */
    struct tc_rng common;
    uint32_t n;
    struct symbol *symbols;
    struct event *events;
    size_t n_events;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t z = a ^ (b + 0x9E3779B97F4A7C15u + (a << 6) + (a >> 2));
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t hash_name(const char *s)
{
    return mix(tc_fnv(TC_FNV_START, s, strlen(s)), STREAM_NAME);
}

static void stream(struct tc_rng *r, uint64_t seed, uint64_t name, enum stream what, int64_t index)
{
    tc_rng_seed(r, mix(mix(mix(seed, name), (uint64_t)what), (uint64_t)index));
}

static double normal_of(uint64_t seed, uint64_t name, enum stream what, int64_t index)
{
    struct tc_rng r;
    stream(&r, seed, name, what, index);
    return tc_rng_normal(&r);
}

/* Busy at both ends of the UTC day, quiet in its middle: 0.6 to 2. */
static double day_shape(double seconds_of_day)
{
    double x = 2 * seconds_of_day / 86400 - 1;
    return 0.6 + 1.4 * x * x * x * x;
}

static struct traits make_traits(const char *name)
{
    static const struct {
        const char *name;
        double price, sigma, rate, depth;
        int spread;
    } known[] = {
        {"AAPL", 252, 2.6e-5, 2.2, 700, 1},  {"MSFT", 478, 2.4e-5, 1.2, 300, 2},
        {"NVDA", 182, 4.0e-5, 3.0, 1500, 1}, {"AMD", 168, 4.2e-5, 1.8, 900, 1},
        {"TSLA", 395, 4.6e-5, 2.4, 350, 3},  {"AMZN", 226, 3.0e-5, 1.4, 500, 1},
        {"SPY", 662, 1.2e-5, 2.6, 1200, 1},
    };
    struct traits t = {.name = hash_name(name)};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(name, known[i].name))
            continue;
        t.price = known[i].price;
        t.sigma = known[i].sigma;
        t.rate = known[i].rate;
        t.depth = known[i].depth;
        t.spread = known[i].spread;
        return t;
    }
    struct tc_rng r;
    tc_rng_seed(&r, t.name);
    t.price = 10 * exp(3.4 * tc_rng_uniform(&r));
    t.spread = 1 + (int)(t.price / 100 * 1.5 * tc_rng_uniform(&r));
    t.sigma = (0.4 + 0.4 * tc_rng_uniform(&r)) * 0.01 * t.spread / t.price;
    t.rate = 0.8 + 2.2 * tc_rng_uniform(&r);
    t.depth = 300 * exp(tc_rng_normal(&r));
    return t;
}

/* Log of the price at the start of a UTC day: slow waves, so that no day has to know the one before. */
static double day_anchor(const struct traits *t, uint64_t seed, int64_t day)
{
    static const struct {
        double days, height;
    } wave[] = {{11, 0.012}, {37, 0.03}, {173, 0.07}};
    struct tc_rng r;
    stream(&r, seed, t->name, STREAM_DAY, -1);
    double v = log(t->price);
    for (size_t i = 0; i < sizeof(wave) / sizeof(wave[0]); i++)
        v += wave[i].height * sin(2 * M_PI * ((double)day / wave[i].days + tc_rng_uniform(&r)));
    return v;
}

static double log_vol(const struct symbol *s, uint64_t seed, int64_t block)
{
    return 0.35 * normal_of(seed, s->t.name, STREAM_VOL, block);
}

static double block_shape(int64_t block)
{
    return day_shape((double)((block % BLOCKS_A_DAY + BLOCKS_A_DAY) % BLOCKS_A_DAY) * TC_SIM_BLOCK_S);
}

/* Change of the log price over a block, before the day's ends are pinned. */
static double block_move(const struct symbol *s, uint64_t seed, int64_t block)
{
    double vol = exp((log_vol(s, seed, block) + log_vol(s, seed, block + 1)) / 2) * sqrt(block_shape(block));
    double z = sqrt(SHARED) * normal_of(seed, hash_name(MARKET), STREAM_BLOCK, block) +
               sqrt(1 - SHARED) * normal_of(seed, s->t.name, STREAM_BLOCK, block);
    return s->t.sigma * sqrt(TC_SIM_BLOCK_S) * vol * z;
}

/* Log prices at both ends of a block. */
static void block_ends(const struct symbol *s, uint64_t seed, int64_t block, double *start, double *end)
{
    int64_t day = tc_floor_div(block, BLOCKS_A_DAY), first = day * BLOCKS_A_DAY;
    double total = 0, before = 0, move = 0;
    for (int64_t b = first; b < first + BLOCKS_A_DAY; b++) {
        double m = block_move(s, seed, b);
        before += b < block ? m : 0;
        move = b == block ? m : move;
        total += m;
    }
    double from = day_anchor(&s->t, seed, day), to = day_anchor(&s->t, seed, day + 1);
    double x0 = (double)(block - first) / BLOCKS_A_DAY, x1 = (double)(block - first + 1) / BLOCKS_A_DAY;
    *start = from + x0 * (to - from - total) + before;
    *end = from + x1 * (to - from - total) + before + move;
}

static void start_block(struct tc_sim_market *m, int64_t block)
{
    stream(&m->common, m->seed, hash_name(MARKET), STREAM_SECONDS, block);
    for (uint32_t i = 0; i < m->n; i++) {
        struct symbol *s = &m->symbols[i];
        stream(&s->rng, m->seed, s->t.name, STREAM_SECONDS, block);
        block_ends(s, m->seed, block, &s->log_price, &s->log_end);
        s->vol0 = log_vol(s, m->seed, block);
        s->vol1 = log_vol(s, m->seed, block + 1);
        s->excited = BRANCHING * s->t.rate * block_shape(block);
        s->lean = 0;
        s->side = 1;
        s->wide = 0;
        s->quoted = false;
    }
}

static int poisson(struct tc_rng *r, double mean)
{
    double limit = exp(-mean), p = tc_rng_uniform(r);
    int n = 0;
    while (p > limit && n < TRADES_MAX) {
        p *= tc_rng_uniform(r);
        n++;
    }
    return n;
}

static double clamp(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* How far the efficient price is from the mid, in half spreads. */
static double pressure(const struct symbol *s, double cents)
{
    return (cents - 0.5 * (double)(s->bid + s->ask)) / (0.5 * (double)(s->ask - s->bid));
}

static double round_lot(double shares)
{
    double lots = round(shares / 100);
    return lots < 1 ? 100 : 100 * lots;
}

/* Sets bid, ask and sizes for an efficient price; true when anything changed. The quote stays until the price
 * has left it by a little, so that it does not flicker. */
static bool requote(struct symbol *s, double cents, bool new_sizes)
{
    int64_t width = s->t.spread + s->wide, bid = s->bid, ask = s->ask;
    double bid_size = s->bid_size, ask_size = s->ask_size;
    double slack = 0.15;
    if (!s->quoted || s->ask - s->bid != width || cents > (double)s->ask + slack ||
        cents < (double)s->bid - slack) {
        s->bid = (int64_t)llround(cents - 0.5 * (double)width);
        s->bid = s->bid < 1 ? 1 : s->bid;
        s->ask = s->bid + width;
        new_sizes = true;
    }
    if (new_sizes) {
        double tilt = tanh(0.9 * pressure(s, cents) + 0.5 * s->lean);
        double depth = s->t.depth * (0.6 + 0.8 * tc_rng_uniform(&s->rng));
        s->bid_size = round_lot(depth * (1 + tilt));
        s->ask_size = round_lot(depth * (1 - tilt));
    }
    bool changed =
        !s->quoted || s->bid != bid || s->ask != ask || s->bid_size != bid_size || s->ask_size != ask_size;
    s->quoted = true;
    return changed;
}

static void put_quote(struct tc_sim_market *m, uint32_t sym, int64_t time)
{
    const struct symbol *s = &m->symbols[sym];
    m->events[m->n_events++] = (struct event){.time = time,
                                              .sym = sym,
                                              .quote = true,
                                              .a = (double)s->bid / 100,
                                              .b = (double)s->ask / 100,
                                              .c = s->bid_size,
                                              .d = s->ask_size};
}

static double trade_size(struct tc_rng *r)
{
    double size = exp(4.2 + 1.2 * tc_rng_normal(r));
    if (tc_rng_uniform(r) < 0.45)
        return round_lot(size);
    return clamp(floor(size), 1, 100000);
}

/* In hundredths of a cent, so that the division at the end gives the double nearest to the decimal. */
static void put_trade(struct tc_sim_market *m, uint32_t sym, int64_t time, double cents)
{
    struct symbol *s = &m->symbols[sym];
    if (tc_rng_uniform(&s->rng) > 0.35)
        s->side = tc_rng_uniform(&s->rng) < 0.5 + 0.3 * clamp(pressure(s, cents), -1, 1) ? 1 : -1;
    int64_t price = 100 * (s->side > 0 ? s->ask : s->bid);
    bool off = tc_rng_uniform(&s->rng) < 0.3;
    double kind = tc_rng_uniform(&s->rng);
    int64_t inside = 1 + (int64_t)tc_rng_below(&s->rng, 49);
    if (off && kind < 0.3)
        price = 50 * (s->bid + s->ask);
    else if (off && kind < 0.6)
        price -= s->side * inside;
    m->events[m->n_events++] = (struct event){
        .time = time, .sym = sym, .off_exchange = off, .a = (double)price / 10000, .b = trade_size(&s->rng)};
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Moves the efficient price over one second; `common` is the noise all symbols share. */
static void move_price(struct symbol *s, double common, int64_t at, double shape)
{
    double left = (double)(TC_SIM_BLOCK_S - at), x = (double)at / TC_SIM_BLOCK_S;
    double vol = exp(s->vol0 + x * (s->vol1 - s->vol0)) * sqrt(shape);
    double z = sqrt(SHARED) * common + sqrt(1 - SHARED) * tc_rng_normal(&s->rng);
    s->log_price += (s->log_end - s->log_price) / left + s->t.sigma * vol * sqrt((left - 1) / left) * z;
}

static void change_mood(struct symbol *s)
{
    s->lean = 0.8 * s->lean + 0.6 * tc_rng_normal(&s->rng);
    double u = tc_rng_uniform(&s->rng);
    if (u < 0.03)
        s->wide += s->wide < 2;
    else if (u < 0.18)
        s->wide -= s->wide > 0;
}

static void symbol_second(struct tc_sim_market *m, uint32_t sym, int64_t second, double common)
{
    struct symbol *s = &m->symbols[sym];
    int64_t block = tc_floor_div(second, TC_SIM_BLOCK_S), at = second - block * TC_SIM_BLOCK_S;
    int64_t start = second * TC_NS_PER_SEC, times[TRADES_MAX];
    double shape = day_shape((double)(second - tc_floor_div(second, 86400) * 86400));
    double from = 100 * exp(s->log_price);
    move_price(s, common, at, shape);
    double to = 100 * exp(s->log_price), per_ns = (to - from) / TC_NS_PER_SEC;
    change_mood(s);
    int n = poisson(&s->rng, (1 - BRANCHING) * s->t.rate * shape + s->excited);
    s->excited = MEMORY * s->excited + BRANCHING * (1 - MEMORY) * n;
    for (int i = 0; i < n; i++)
        times[i] = (int64_t)tc_rng_below(&s->rng, TC_NS_PER_SEC - 2) + 1;
    if (n > 1)
        qsort(times, (size_t)n, sizeof(times[0]), by_value);

    int64_t first = (int64_t)tc_rng_below(&s->rng, n && times[0] < START_BAND_NS ? times[0] : START_BAND_NS);
    if (requote(s, from + per_ns * (double)first, tc_rng_uniform(&s->rng) < 0.8))
        put_quote(m, sym, start + first);
    for (int i = 0; i < n; i++) {
        double cents = from + per_ns * (double)times[i];
        if (requote(s, cents, tc_rng_uniform(&s->rng) < 0.3))
            put_quote(m, sym, start + times[i]);
        put_trade(m, sym, start + times[i], cents);
    }
    int64_t last = n ? times[n - 1] : first;
    last += 1 + (int64_t)tc_rng_below(&s->rng, (uint64_t)(TC_NS_PER_SEC - last));
    if (requote(s, to, false))
        put_quote(m, sym, start + (last < TC_NS_PER_SEC ? last : TC_NS_PER_SEC - 1));
}

static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->time != y->time)
        return (x->time > y->time) - (x->time < y->time);
    if (x->sym != y->sym)
        return (x->sym > y->sym) - (x->sym < y->sym);
    return y->quote - x->quote; /* the quote that a trade met comes before it */
}

static void make_second(struct tc_sim_market *m, int64_t second)
{
    int64_t block = tc_floor_div(second, TC_SIM_BLOCK_S);
    if (second == block * TC_SIM_BLOCK_S)
        start_block(m, block);
    m->n_events = 0;
    double common = tc_rng_normal(&m->common);
    for (uint32_t i = 0; i < m->n; i++)
        symbol_second(m, i, second, common);
    m->second = second;
}

size_t tc_sim_market_second(struct tc_sim_market *m, int64_t second)
{
    int64_t next = tc_floor_div(second, TC_SIM_BLOCK_S) * TC_SIM_BLOCK_S;
    if (m->second != INT64_MIN && m->second < second && m->second >= next)
        next = m->second + 1;
    for (; next <= second; next++)
        make_second(m, next);
    qsort(m->events, m->n_events, sizeof(m->events[0]), by_time);
    return m->n_events;
}

void tc_sim_market_event(const struct tc_sim_market *m, size_t i, struct tc_event *out)
{
    const struct event *e = &m->events[i];
    *out =
        (struct tc_event){.type = e->quote ? TC_EVENT_QUOTE : TC_EVENT_TRADE, .sym = e->sym, .time = e->time};
    if (e->quote)
        out->quote = (struct tc_quote){.bid = e->a, .ask = e->b, .bid_size = e->c, .ask_size = e->d};
    else
        out->trade = (struct tc_trade){.price = e->a, .size = e->b, .off_exchange = e->off_exchange};
}

int tc_sim_market_open(struct tc_sim_market **out, uint64_t seed, const char (*symbols)[TC_SYMBOL_SIZE],
                       uint32_t n)
{
    *out = NULL;
    struct tc_sim_market *m = calloc(1, sizeof(*m));
    if (!m)
        return tc_fail(TC_ENOMEM, "no memory for the simulated market");
    m->seed = mix(seed, 0x7469636B63617374u);
    m->second = INT64_MIN;
    m->n = n;
    m->symbols = calloc(n, sizeof(*m->symbols));
    m->events = calloc(n, EVENTS_MAX * sizeof(*m->events));
    if (!m->symbols || !m->events) {
        tc_sim_market_close(m);
        return tc_fail(TC_ENOMEM, "no memory for %u simulated symbols", n);
    }
    for (uint32_t i = 0; i < n; i++)
        m->symbols[i].t = make_traits(symbols[i]);
    *out = m;
    return TC_OK;
}

void tc_sim_market_close(struct tc_sim_market *m)
{
    if (!m)
        return;
    free(m->symbols);
    free(m->events);
    free(m);
}
