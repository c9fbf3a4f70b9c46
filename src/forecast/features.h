/* features.h - what a model may look at: streaming features of one symbol, one update a traded second.
 *
 * The same code runs in training, back-test and live. Time and memory of an update are constant; the state is
 * plain bytes (save = copy). Only bars of the regular session are given to it; tc_features_session() starts
 * a session afresh, the move scale alone lives on.
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

enum tc_feature_set { TC_SET_T14, TC_SET_K11, TC_SET_COUNT };

enum { TC_FEATURES_MAX = 14, TC_WARMUP_BARS = 30 };

struct tc_feature_info {
    const char *name;
    const char *doc; /* formula, in words of docs/forecasting.md */
    bool price;      /* a difference of prices: scaled by the move scale */
    double mean, sd; /* nominal, of the scaled value: only to bring features to like size */
};

const char *tc_set_name(enum tc_feature_set set); /* "T14" */
int tc_set_parse(const char *name, enum tc_feature_set *out);
size_t tc_set_size(enum tc_feature_set set);
const struct tc_feature_info *tc_set_info(enum tc_feature_set set, size_t i);

/* 16 hex digits over names, formulas and units: a model trained with another hash is refused. */
const char *tc_set_hash(enum tc_feature_set set, char out[static 17]);

/* Symbol-long memory of one symbol; all zero = fresh. No padding: it is saved as bytes. */
struct tc_features {
    double close; /* of the last bar; price units */
    double d1;    /* close minus close before */
    double ema2, ema4, ema16, ema64;
    double vw4, vw8;          /* exponential means of VWAP */
    double vwap;              /* this bar's, or close where it is unknown or absurd */
    double high5[5], low5[5]; /* ring of the last bars */
    double scale;             /* mean |d1|, see above; price units */
    double sign;              /* of the last close move that was not zero */
    double this_high, this_low, prev_high, prev_low;
    struct tc_tape tape;
    int64_t scale_n; /* moves behind scale, up to 512 */
    int64_t bars;    /* in this session */
    int64_t since;   /* bars since that move */
    double tick;     /* price units; 0 = not known yet */
};

/* A first version of a second's bar with prices that can be reckoned with (1e-9 to 1e12). Others are passed
 * over. */
bool tc_bar_usable(const struct tc_bar *bar);

/* Middle of bid and ask; NaN unless both are such prices. */
double tc_quote_mid(const struct tc_quote *q);

/* Bid and ask weighted by the other side's size; NaN unless the quote feed was heard of within a second
 * (lag_ms), the quote is not crossed and the sizes are above 0. */
double tc_quote_microprice(const struct tc_quote *q, double lag_ms);

/* Starts a session: everything but the move scale is forgotten. */
void tc_features_session(struct tc_features *f);

/* Takes a finished bar of the session. */
void tc_features_update(struct tc_features *f, const struct tc_bar *bar);

/* True until 30 bars of the session have been seen. */
bool tc_features_warming(const struct tc_features *f);

/* The values after the last update. False (and nothing written) when the set's inputs are not known for this
 * bar (K11 without single trades) or no bar came yet. */
bool tc_features_raw(const struct tc_features *f, enum tc_feature_set set, double *out);
bool tc_features_scaled(const struct tc_features *f, enum tc_feature_set set, double *out);

/* Price units of one move scale; 0.1 tick at least. */
double tc_features_scale(const struct tc_features *f);

/* The price step taken for a symbol: 0.01 from 1 on and 0.0001 below for instruments named by ticker (US
 * rule 612), 1e-6 of the price for instruments of one venue ("venue:NAME"), whose steps differ. */
double tc_price_tick(const char *symbol, double price);
