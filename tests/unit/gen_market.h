/* gen_market.h - a small generated market for forecast tests: a mid that walks, quotes around it, trades that
 * bounce between bid and ask. Repeatable by its seed. */
#pragma once

#include "base/clock.h"
#include "base/rng.h"
#include "bus/record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct gen_market {
    struct tc_rng rng;
    int n;          /* symbols S0, S1 ... */
    double mid[64]; /* in ticks of 0.01 */
    double trade_p; /* chance of a bar in a second */
    double lean;    /* chance that a trade's side follows the queue imbalance, over 1/2 */
    int64_t delay;  /* available - second end */
};

static inline void gen_open(struct gen_market *g, uint64_t seed, int n)
{
    *g = (struct gen_market){.n = n, .trade_p = 0.7, .lean = 0.2};
    tc_rng_seed(&g->rng, seed);
    for (int i = 0; i < n; i++)
        g->mid[i] = 5000 + 700 * i;
}

static inline struct tc_bar gen_bar(struct gen_market *g, int i, int64_t second)
{
    struct tc_bar b = {.start = second, .interval_ms = 1000, .origin = TC_ORIGIN_SIMULATED};
    snprintf(b.symbol, sizeof(b.symbol), "S%d", i);
    snprintf(b.feed, sizeof(b.feed), "gen");
    b.available = second + TC_NS_PER_SEC + g->delay;
    double half = 0.5, imb = 2 * tc_rng_uniform(&g->rng) - 1;
    bool buy = tc_rng_uniform(&g->rng) < 0.5 + g->lean * imb;
    double c = g->mid[i] + (buy ? half : -half), o = g->mid[i] + (tc_rng_next(&g->rng) & 1 ? half : -half);
    b.close = c / 100;
    b.open = o / 100;
    b.high = fmax(c, o) / 100;
    b.low = fmin(c, o) / 100;
    b.vwap = (c + o) / 200;
    b.volume = 100 * (double)(1 + tc_rng_below(&g->rng, 9));
    b.trades = 2;
    b.quote = (struct tc_quote){(g->mid[i] - half) / 100, (g->mid[i] + half) / 100, 500 * (1 + imb) + 1,
                                500 * (1 - imb) + 1};
    b.tape = (struct tc_tape){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    return b;
}

/* All records of one second into out (room for n + 1); returns their number. The marker is the last. */
static inline int gen_second(struct gen_market *g, int64_t second, struct tc_record *out)
{
    int k = 0, traded = 0;
    for (int i = 0; i < g->n; i++) {
        double u = tc_rng_uniform(&g->rng);
        g->mid[i] += u < 0.1 ? -1 : u > 0.9 ? 1 : 0;
        memset(&out[k], 0, sizeof(out[k]));
        out[k].from = -1;
        if (tc_rng_uniform(&g->rng) < g->trade_p) {
            out[k].type = TC_REC_BAR;
            out[k++].bar = gen_bar(g, i, second);
            traded++;
            continue;
        }
        struct tc_bar b = gen_bar(g, i, second);
        out[k].type = TC_REC_QUOTE;
        out[k].quote = (struct tc_second_quote){.second = second, .available = b.available, .quote = b.quote};
        memcpy(out[k].quote.symbol, b.symbol, sizeof(b.symbol));
        memcpy(out[k++].quote.feed, b.feed, sizeof(b.feed));
    }
    memset(&out[k], 0, sizeof(out[k]));
    out[k] = (struct tc_record){.type = TC_REC_SECOND, .from = -1};
    out[k].second = (struct tc_second){.feed = "gen",
                                       .second = second,
                                       .available = second + TC_NS_PER_SEC + g->delay,
                                       .expected = g->n,
                                       .traded = traded,
                                       .healthy = true,
                                       .log_time = true,
                                       .origin = TC_ORIGIN_SIMULATED};
    return k + 1;
}
