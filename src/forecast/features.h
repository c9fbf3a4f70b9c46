/* features.h - what a model may look at: streaming features of one symbol, one update a second.
 *
 * The same code runs in training, back-test and live. Time and memory of an update are constant; the state is
 * plain bytes (save = copy). Only seconds of the regular session are given to it; tc_features_session()
 * starts a session afresh, the move scale and the volume scale alone live on.
 *
 * Three levels of inputs: bars (T14), bars and the tape of single trades (K11), and fresh quotes as well
 * (Q18). A level is there for a bar or not (a quote feed silent for more than a second, a crossed quote: no
 * Q18); the state of all goes on with every second. Wide sets hold everything that a level knows, for
 * networks; T5 is there for comparison.
 *
 * Two units of the same features:
 *   raw     prices in hundredths of the currency unit (cents), as the published reference table is made
 *   scaled  prices divided by the symbol's own move scale (below): what models see, so that one model serves
 *           every price level. Features without a price in them (tr_dec, sg20) are the same in both.
 *
 * Move scale: exponential mean of |close - previous close| over 512 traded bars (plain mean until then, with
 * a start value of one tick that counts as 10 bars); one move counts for at most 8 scales; never below 0.1
 * tick.
 */
#pragma once

#include "market/market.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tc_feature_set {
    TC_SET_T14,
    TC_SET_K11,
    TC_SET_Q18,
    TC_SET_T23,
    TC_SET_K29,
    TC_SET_Q54,
    TC_SET_T5,
    TC_SET_COUNT
};

/* Levels are numbered as their small sets. */
enum { TC_LEVELS = 3, TC_FEATURE_COUNT = 54, TC_FEATURES_MAX = TC_FEATURE_COUNT, TC_WARMUP_BARS = 30 };

struct tc_feature_info {
    const char *name;
    const char *doc; /* formula, in words of docs/forecasting.md */
    bool price;      /* a difference of prices: scaled by the move scale */
    double mean, sd; /* nominal, of the scaled value: only to bring a ridge's inputs to like size */
};

const char *tc_set_name(enum tc_feature_set set); /* "T14" */
int tc_set_parse(const char *name, enum tc_feature_set *out);
size_t tc_set_size(enum tc_feature_set set);
const struct tc_feature_info *tc_set_info(enum tc_feature_set set, size_t i);
/* T14 for T23, K11 for K29, Q18 for Q54; a small set's level is itself. */
enum tc_feature_set tc_set_level(enum tc_feature_set set);

/* 16 hex digits over names, formulas and units: a model trained with another hash is refused. */
const char *tc_set_hash(enum tc_feature_set set, char out[static 17]);

/* Quotes of every second; zero = none in this session. */
struct tc_features_quotes {
    double bid, ask, bid_size, ask_size, mid, micro; /* of the last usable second */
    double mid1, micro1, micro2;                     /* one and two seconds before */
    double mids[32];                                 /* ring of the last seconds without a hole */
    double imbalance;                                /* (bid size - ask size) / (bid size + ask size) */
    double depth, ofi1, ofi3, ofi10, ie10, tsv1, tsv10, variance; /* exponential means over seconds */
    double left1, left3, left10, left120, left300;                /* share that the start still has in them */
    int64_t second;                                               /* start of the last second taken */
    int64_t run;                                                  /* usable seconds since the last hole */
    int64_t usable; /* 1: those of `second` are fresh and not crossed */
};

/* Symbol-long memory of one symbol; all zero = fresh. No padding: it is saved as bytes. */
struct tc_features {
    double close; /* of the last bar; price units */
    double d1;    /* close minus close before */
    double d1_before;
    double open;
    double ema2, ema4, ema16, ema64;
    double vw4, vw8;          /* exponential means of VWAP */
    double vwap;              /* this bar's, or close where it is unknown or absurd */
    double high5[5], low5[5]; /* ring of the last bars */
    double scale;             /* mean |d1|, see above; price units */
    double sign;              /* of the last close move that was not zero */
    double this_high, this_low, prev_high, prev_low;
    double volume_scale; /* mean of sqrt(volume) */
    double log_volume, log_volume50, log_trades, log_trades50, log_wait, wait30, move30, flow10;
    struct tc_tape tape;
    struct tc_features_quotes quotes;
    int64_t start;    /* of the last bar */
    int64_t scale_n;  /* moves behind scale, up to 512 */
    int64_t volume_n; /* bars behind volume_scale, up to 512 */
    int64_t bars;     /* in this session */
    int64_t since;    /* bars since that move */
    double tick;      /* price units; 0 = not known yet */
};

/* A first version of a second's bar with prices that can be reckoned with (1e-9 to 1e12). Others are passed
 * over. */
bool tc_bar_usable(const struct tc_bar *bar);

/* Middle of bid and ask; NaN unless both are such prices. */
double tc_quote_mid(const struct tc_quote *q);

/* Bid and ask weighted by the other side's size; NaN unless the quote feed was heard of within a second
 * (lag_ms), the quote is not crossed and the sizes are above 0. */
double tc_quote_microprice(const struct tc_quote *q, double lag_ms);

/* Half of ask minus bid; NaN unless such a quote, above 0 wide, was heard of within a second. */
double tc_quote_half_spread(const struct tc_quote *q, double lag_ms);

/* Starts a session: everything but the two scales is forgotten. */
void tc_features_session(struct tc_features *f);

/* Between two sessions: there are `ratio` shares for each one of before. The scales follow. */
void tc_features_split(struct tc_features *f, double ratio);

/* Takes a finished bar of the session, with the quote in force at its end. */
void tc_features_update(struct tc_features *f, const struct tc_bar *bar);

/* Takes a second of the session without a trade: the quote in force at its end, and how long ago its feed was
 * last heard of where that is known. */
void tc_features_silent(struct tc_features *f, int64_t second, const struct tc_quote *q, double lag_ms);

/* True until 30 bars of the session have been seen. */
bool tc_features_warming(const struct tc_features *f);

/* Every feature after the last update, in cents or in move scales; NaN where its inputs are not known for
 * this bar. False (and nothing written) when no bar came yet. */
bool tc_features_all(const struct tc_features *f, bool raw, double all[static TC_FEATURE_COUNT]);

/* Index of the set's i-th feature in what tc_features_all writes. */
size_t tc_set_index(enum tc_feature_set set, size_t i);

/* Takes a set's values out of them; false when one is not known (out is written all the same). */
bool tc_set_pick(enum tc_feature_set set, const double all[static TC_FEATURE_COUNT], double *out);

/* The highest level that is known. T14 always is. */
enum tc_feature_set tc_features_level(const double all[static TC_FEATURE_COUNT]);

/* The two in one. */
bool tc_features_raw(const struct tc_features *f, enum tc_feature_set set, double *out);
bool tc_features_scaled(const struct tc_features *f, enum tc_feature_set set, double *out);

/* Price units of one move scale; 0.1 tick at least. */
double tc_features_scale(const struct tc_features *f);

/* The price step taken for a symbol: 0.01 from 1 on and 0.0001 below for instruments named by ticker (US
 * rule 612), 1e-6 of the price for instruments of one venue ("venue:NAME"), whose steps differ. */
double tc_price_tick(const char *symbol, double price);
