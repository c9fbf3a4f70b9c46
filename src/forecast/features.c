#include "forecast/features.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SCALE_BARS = 512, SCALE_START = 10, RING = 5, MIDS = 32 };

static const double MOVE_CAP = 8;    /* moves count for at most so many scales in the move scale */
static const double VWAP_FAR = 0.60; /* a VWAP farther off than this, and than 0.3 %, is not believed */
static const double VWAP_FAR_REL = 0.003;

static const double PRICE_MIN = 1e-9, PRICE_MAX = 1e12;
static const double SIZE_MAX_USABLE = 1e15;
static const double FRESH_MS = 1000; /* an older quote feed is not believed */
static const double FLOW_S = 10;     /* decay of sv10 */
static const double FLOW_CAP = 5;    /* order flow of a second, in mean depths */
static const double ROOT10 = 3.16227766016837933;

/* Kept of an exponential mean from second to second: 2^(-1 / half-life). */
static const double KEEP1 = 0.5, KEEP3 = 0.7937005259840998, KEEP10 = 0.9330329915368074,
                    KEEP120 = 0.9942404238175473, KEEP300 = 0.9976921765270234;

/* Every set of a level begins with the one below, so that the wide sets are the first so many of these. */
enum feature_id {
    F_D1,
    F_C_EMA2,
    F_C_EMA4,
    F_C_EMA16,
    F_TR_DEC,
    F_C_HL2,
    F_C_PH,
    F_C_PL,
    F_RMAX5,
    F_RMIN5,
    F_C_VW,
    F_C_EMAVW4,
    F_C_EMAVW8,
    F_C_EMA64,
    F_D2, /* further ones of bars */
    F_C_O,
    F_H_L,
    F_LV_REL,
    F_LN_REL,
    F_DT,
    F_ACT,
    F_VOLA,
    F_SV10,
    F_BARS_END,
    F_C_TM5 = F_BARS_END, /* of the tape */
    F_C_TM20,
    F_UP_C,
    F_DN_C,
    F_SG20,
    F_LIT_C,
    F_TAPE_END,
    F_MID_C = F_TAPE_END, /* of quotes */
    F_MIC_C,
    F_ISPR,
    F_M1,
    F_I,
    F_BID_C,
    F_ASK_C,
    F_VW_MID,
    F_OFI3,
    F_MIC1,
    F_TSV10,
    F_I3, /* further ones */
    F_LSPR,
    F_LBS,
    F_LAS,
    F_M2,
    F_M5,
    F_M30,
    F_MIC2,
    F_OFI1,
    F_OFI10,
    F_IE10,
    F_TSV1,
    F_C_PM,
    F_RV,
    F_COUNT
};

_Static_assert((int)F_COUNT == (int)TC_FEATURE_COUNT, "the header's counts");

static const struct tc_feature_info INFO[F_COUNT] = {
    [F_D1] = {"d1", "close - close of the bar before", true, 0, 1.6},
    [F_C_EMA2] = {"c_ema2", "close - EMA(close, 1/2)", true, 0, 1.0},
    [F_C_EMA4] = {"c_ema4", "close - EMA(close, 1/4)", true, 0, 1.6},
    [F_C_EMA16] = {"c_ema16", "close - EMA(close, 1/16)", true, 0, 3.0},
    [F_TR_DEC] = {"tr_dec", "sign of the last non-zero move / (1 + bars since)", false, 0, 0.7},
    [F_C_HL2] = {"c_hl2", "close - (high + low) / 2", true, 0, 0.6},
    [F_C_PH] = {"c_pH", "close - high of the bar before", true, -0.7, 1.7},
    [F_C_PL] = {"c_pL", "close - low of the bar before", true, 0.7, 1.7},
    [F_RMAX5] = {"rmax5", "highest high of 5 bars - close", true, 1.8, 1.8},
    [F_RMIN5] = {"rmin5", "close - lowest low of 5 bars", true, 1.8, 1.8},
    [F_C_VW] = {"c_vw", "close - VWAP (0 where VWAP is unknown, or off by 0.60 and 0.3 %)", true, 0, 0.7},
    [F_C_EMAVW4] = {"c_emavw4", "close - EMA(VWAP, 1/4)", true, 0, 1.5},
    [F_C_EMAVW8] = {"c_emavw8", "close - EMA(VWAP, 1/8)", true, 0, 2.1},
    [F_C_EMA64] = {"c_ema64", "close - EMA(close, 1/64)", true, 0, 6.0},
    [F_D2] = {"d2", "close - close two bars before", true, 0, 1.8},
    [F_C_O] = {"c_o", "close - open", true, 0, 1.0},
    [F_H_L] = {"h_l", "high - low", true, 1, 1.2},
    [F_LV_REL] = {"lv_rel", "log volume - EMA(log volume, 1/50)", false, 0, 1.5},
    [F_LN_REL] = {"ln_rel", "log trades - EMA(log trades, 1/50)", false, 0, 0.8},
    [F_DT] = {"dt", "log seconds since the bar before", false, 0.5, 0.8},
    [F_ACT] = {"act", "EMA(dt, 1/30)", false, 0.5, 0.5},
    [F_VOLA] = {"vola", "EMA(|d1| up to 8 scales, 1/30)", true, 1, 0.5},
    [F_SV10] = {"sv10", "sum of tick sign x sqrt(volume), decay exp(-s / 10 s), / 10 volume scales", false, 0,
                0.4},
    [F_C_TM5] = {"c_tm5", "close - mean price of the last 5 trades", true, 0, 0.8},
    [F_C_TM20] = {"c_tm20", "close - mean price of the last 20 trades", true, 0, 1.2},
    [F_UP_C] = {"up_c", "price of the latest uptick - close", true, 0.3, 1.0},
    [F_DN_C] = {"dn_c", "price of the latest downtick - close", true, -0.3, 1.0},
    [F_SG20] = {"sg20", "mean tick sign of the last 20 trades", false, 0, 0.5},
    [F_LIT_C] = {"lit_c", "latest on-exchange price - close", true, 0, 0.7},
    [F_MID_C] = {"mid_c", "mid - close", true, 0, 0.9},
    [F_MIC_C] = {"mic_c", "microprice - close", true, 0, 0.9},
    [F_ISPR] = {"Ispr", "imbalance x spread", true, 0, 0.8},
    [F_M1] = {"m1", "mid - mid a second before", true, 0, 0.9},
    [F_I] = {"I", "imbalance: (bid size - ask size) / (bid size + ask size)", false, 0, 0.5},
    [F_BID_C] = {"bid_c", "bid - close, within 20 units", true, -0.7, 1.1},
    [F_ASK_C] = {"ask_c", "ask - close, within 20 units", true, 0.7, 1.1},
    [F_VW_MID] = {"vw_mid", "VWAP - mid", true, 0, 0.9},
    [F_OFI3] = {"ofi3", "order flow / mean depth (half-life 300 s) within 5: mean, half-life 3 s", false, 0,
                0.6},
    [F_MIC1] = {"mic1", "microprice - microprice a second before", true, 0, 0.9},
    [F_TSV10] = {"tsv10", "sqrt(10) x mean (half-life 10 s) of trades' sign x sqrt(size) / 3 volume scales",
                 false, 0, 0.7},
    [F_I3] = {"I3", "imbalance cubed", false, 0, 0.3},
    [F_LSPR] = {"lspr", "log spread in ticks, at least half a tick", false, 0.5, 0.7},
    [F_LBS] = {"lbs", "log(bid size / mean depth)", false, -0.3, 0.8},
    [F_LAS] = {"las", "log(ask size / mean depth)", false, -0.3, 0.8},
    [F_M2] = {"m2", "mid - mid 2 s before", true, 0, 1.2},
    [F_M5] = {"m5", "mid - mid 5 s before", true, 0, 1.9},
    [F_M30] = {"m30", "mid - mid 30 s before", true, 0, 4.5},
    [F_MIC2] = {"mic2", "microprice - microprice 2 s before", true, 0, 1.2},
    [F_OFI1] = {"ofi1", "order flow / mean depth, half-life 1 s", false, 0, 0.8},
    [F_OFI10] = {"ofi10", "order flow / mean depth, half-life 10 s", false, 0, 0.3},
    [F_IE10] = {"Ie10", "mean imbalance, half-life 10 s", false, 0, 0.35},
    [F_TSV1] = {"tsv1", "as tsv10, half-life 1 s", false, 0, 0.7},
    [F_C_PM] = {"c_pm", "close - mid a second before", true, 0, 1.1},
    [F_RV] = {"rv", "root mean square of m1 up to 10 scales, half-life 120 s", true, 0.9, 0.4},
};

static const uint8_t T5[] = {F_D1, F_C_EMA2, F_C_EMA4, F_C_EMA16, F_TR_DEC};
static const uint8_t T14[] = {F_D1,   F_C_EMA2, F_C_EMA4, F_C_EMA16, F_TR_DEC,   F_C_HL2,    F_C_PH,
                              F_C_PL, F_RMAX5,  F_RMIN5,  F_C_VW,    F_C_EMAVW4, F_C_EMAVW8, F_C_EMA64};
static const uint8_t K11[] = {F_D1,     F_C_EMA2, F_C_EMA4, F_C_EMA16, F_TR_DEC, F_C_TM5,
                              F_C_TM20, F_UP_C,   F_DN_C,   F_SG20,    F_LIT_C};
static const uint8_t Q18[] = {F_D1,     F_C_EMA2, F_C_EMA4, F_C_EMA16, F_TR_DEC, F_C_TM5,
                              F_C_TM20, F_MID_C,  F_MIC_C,  F_ISPR,    F_M1,     F_I,
                              F_BID_C,  F_ASK_C,  F_VW_MID, F_OFI3,    F_MIC1,   F_TSV10};

/* ids NULL: the first n features. */
static const struct {
    const char *name;
    const uint8_t *ids;
    size_t n;
    enum tc_feature_set level;
} SETS[TC_SET_COUNT] = {
    [TC_SET_T14] = {"T14", T14, sizeof(T14), TC_SET_T14},
    [TC_SET_K11] = {"K11", K11, sizeof(K11), TC_SET_K11},
    [TC_SET_Q18] = {"Q18", Q18, sizeof(Q18), TC_SET_Q18},
    [TC_SET_T23] = {"T23", NULL, F_BARS_END, TC_SET_T14},
    [TC_SET_K29] = {"K29", NULL, F_TAPE_END, TC_SET_K11},
    [TC_SET_Q54] = {"Q54", NULL, F_COUNT, TC_SET_Q18},
    [TC_SET_T5] = {"T5", T5, sizeof(T5), TC_SET_T14},
};

_Static_assert(sizeof(struct tc_features) < 2048, "state of a symbol stays below 2 KB");
_Static_assert(sizeof(struct tc_features) % sizeof(double) == 0, "no padding");

const char *tc_set_name(enum tc_feature_set set)
{
    return SETS[set].name;
}

int tc_set_parse(const char *name, enum tc_feature_set *out)
{
    for (int i = 0; i < TC_SET_COUNT; i++)
        if (!strcmp(name, SETS[i].name)) {
            *out = (enum tc_feature_set)i;
            return TC_OK;
        }
    return tc_fail(TC_EINPUT, "unknown feature set \"%s\"; known are T14, K11, Q18, T23, K29, Q54 and T5",
                   name);
}

size_t tc_set_size(enum tc_feature_set set)
{
    return SETS[set].n;
}

size_t tc_set_index(enum tc_feature_set set, size_t i)
{
    return SETS[set].ids ? SETS[set].ids[i] : i;
}

const struct tc_feature_info *tc_set_info(enum tc_feature_set set, size_t i)
{
    return i < SETS[set].n ? &INFO[tc_set_index(set, i)] : NULL;
}

enum tc_feature_set tc_set_level(enum tc_feature_set set)
{
    return SETS[set].level;
}

static uint64_t hash_text(uint64_t h, const char *s)
{
    return tc_fnv(h, s, strlen(s) + 1);
}

const char *tc_set_hash(enum tc_feature_set set, char out[static 17])
{
    uint64_t h = hash_text(TC_FNV_START, "move scale: 512 bars, start 10 x tick, cap 8, floor 0.1");
    for (size_t i = 0; i < SETS[set].n; i++) {
        const struct tc_feature_info *f = tc_set_info(set, i);
        h = hash_text(h, f->name);
        h = hash_text(h, f->doc);
        h = hash_text(h, f->price ? "price" : "plain");
    }
    snprintf(out, 17, "%016llx", (unsigned long long)h);
    return out;
}

double tc_price_tick(const char *symbol, double price)
{
    if (strchr(symbol, ':'))
        return price * 1e-6;
    return price >= 1 ? 0.01 : 0.0001;
}

static bool price_usable(double p)
{
    return p >= PRICE_MIN && p <= PRICE_MAX; /* false for NaN */
}

bool tc_bar_usable(const struct tc_bar *b)
{
    return b->interval_ms == 1000 && b->revision == 0 && price_usable(b->open) && price_usable(b->high) &&
           price_usable(b->low) && price_usable(b->close);
}

double tc_quote_mid(const struct tc_quote *q)
{
    return price_usable(q->bid) && price_usable(q->ask) ? (q->bid + q->ask) / 2 : NAN;
}

double tc_quote_microprice(const struct tc_quote *q, double lag_ms)
{
    if (!(lag_ms <= FRESH_MS) || isnan(tc_quote_mid(q)) || q->ask < q->bid || !(q->bid_size > 0) ||
        !(q->ask_size > 0) || q->bid_size > SIZE_MAX_USABLE || q->ask_size > SIZE_MAX_USABLE)
        return NAN;
    return (q->bid * q->ask_size + q->ask * q->bid_size) / (q->bid_size + q->ask_size);
}

double tc_quote_half_spread(const struct tc_quote *q, double lag_ms)
{
    if (!(lag_ms <= FRESH_MS) || isnan(tc_quote_mid(q)) || q->ask <= q->bid)
        return NAN;
    return (q->ask - q->bid) / 2;
}

void tc_features_session(struct tc_features *f)
{
    *f = (struct tc_features){.scale = f->scale,
                              .scale_n = f->scale_n,
                              .volume_scale = f->volume_scale,
                              .volume_n = f->volume_n,
                              .tick = f->tick};
}

void tc_features_split(struct tc_features *f, double ratio)
{
    f->scale /= ratio;
    f->volume_scale *= sqrt(ratio); /* a mean of square roots */
}

static void update_scale(struct tc_features *f, double move)
{
    if (f->scale_n == 0) {
        f->scale_n = SCALE_START;
        f->scale = f->tick;
    }
    if (f->bars == 0)
        return; /* the first bar of a session moves from nowhere */
    double m = fmin(fabs(move), MOVE_CAP * tc_features_scale(f));
    if (f->scale_n < SCALE_BARS)
        f->scale_n++;
    f->scale += (m - f->scale) / (double)f->scale_n;
}

static void update_volume_scale(struct tc_features *f, double volume)
{
    if (!(volume > 0) || volume > SIZE_MAX_USABLE)
        return;
    double v = sqrt(volume);
    if (f->volume_n > 0)
        v = fmin(v, MOVE_CAP * f->volume_scale);
    if (f->volume_n < SCALE_BARS)
        f->volume_n++;
    f->volume_scale += (v - f->volume_scale) / (double)f->volume_n;
}

static double log_or(double v, double otherwise)
{
    return v > 0 && v <= SIZE_MAX_USABLE ? log(v) : otherwise;
}

static void first_bar(struct tc_features *f, const struct tc_bar *b)
{
    f->close = f->ema2 = f->ema4 = f->ema16 = f->ema64 = b->close;
    f->vw4 = f->vw8 = f->vwap;
    f->this_high = b->high;
    f->this_low = b->low;
    f->log_volume = f->log_volume50 = log_or(b->volume, 0);
    f->log_trades = f->log_trades50 = log_or(b->trades, 0);
    f->start = b->start - TC_NS_PER_SEC;
    for (int i = 0; i < RING; i++) {
        f->high5[i] = b->high;
        f->low5[i] = b->low;
    }
}

static double believed_vwap(const struct tc_bar *b)
{
    double far = fmax(VWAP_FAR, VWAP_FAR_REL * b->close);
    return isfinite(b->vwap) && fabs(b->vwap - b->close) < far ? b->vwap : b->close;
}

static void update_prices(struct tc_features *f, const struct tc_bar *b)
{
    f->prev_high = f->this_high;
    f->prev_low = f->this_low;
    f->this_high = b->high;
    f->this_low = b->low;
    f->open = b->open;
    f->close = b->close;
    f->ema2 += (b->close - f->ema2) / 2;
    f->ema4 += (b->close - f->ema4) / 4;
    f->ema16 += (b->close - f->ema16) / 16;
    f->ema64 += (b->close - f->ema64) / 64;
    f->vw4 += (f->vwap - f->vw4) / 4;
    f->vw8 += (f->vwap - f->vw8) / 8;
    f->high5[f->bars % RING] = b->high;
    f->low5[f->bars % RING] = b->low;
    if (f->d1 != 0) {
        f->sign = f->d1 > 0 ? 1 : -1;
        f->since = 0;
    } else {
        f->since++;
    }
}

/* Volume, trades, waiting time and how much the price moves. */
static void update_activity(struct tc_features *f, const struct tc_bar *b)
{
    double wait = fmax(1, (double)(b->start - f->start) / TC_NS_PER_SEC);
    f->log_volume = log_or(b->volume, f->log_volume50);
    f->log_volume50 += (f->log_volume - f->log_volume50) / 50;
    f->log_trades = log_or(b->trades, f->log_trades50);
    f->log_trades50 += (f->log_trades - f->log_trades50) / 50;
    f->log_wait = log(wait);
    f->wait30 += (f->log_wait - f->wait30) / (f->bars ? 30 : 1);
    double moved = fmin(fabs(f->d1), MOVE_CAP * tc_features_scale(f));
    f->move30 += (moved - f->move30) / (f->bars ? 30 : 1);
    double flow =
        f->volume_scale > 0 && b->volume > 0 ? f->sign * sqrt(b->volume) / (10 * f->volume_scale) : 0;
    f->flow10 = f->flow10 * exp(-wait / FLOW_S) + flow;
    f->start = b->start;
}

static double clip(double v, double bound)
{
    return fmin(fmax(v, -bound), bound);
}

/* Mean of all so far whose weights halve every so often: `left` is the share that the start would still have.
 */
static void step_mean(double *mean, double value, double keep, double left)
{
    *mean += (value - *mean) * (1 - keep) / (1 - left);
}

/* Seconds nobody told us of (or with quotes that cannot be used): flows die away as if nothing had happened,
 * and moves are not taken across. */
static void after_hole(struct tc_features_quotes *q, double seconds)
{
    double half = exp2(-seconds);
    double third = cbrt(half), tenth = exp2(-seconds / 10);
    q->ofi1 *= half;
    q->tsv1 *= half;
    q->ofi3 *= third;
    q->ofi10 *= tenth;
    q->tsv10 *= tenth;
    q->run = 0;
}

/* Order flow of a second (Cont, Kukanov and Stoikov 2014) over the mean depth. */
static double order_flow(const struct tc_features_quotes *q, const struct tc_quote *now)
{
    double flow = 0;
    if (now->bid >= q->bid)
        flow += now->bid_size;
    if (now->bid <= q->bid)
        flow -= q->bid_size;
    if (now->ask <= q->ask)
        flow -= now->ask_size;
    if (now->ask >= q->ask)
        flow += q->ask_size;
    return clip(flow / q->depth, FLOW_CAP);
}

static void step_means(struct tc_features *f, double flow, double signed_volume)
{
    struct tc_features_quotes *q = &f->quotes;
    double move = q->run ? fmin(fabs(q->mid - q->mid1), 10 * tc_features_scale(f)) : 0;
    step_mean(&q->ofi1, flow, KEEP1, q->left1);
    step_mean(&q->ofi3, flow, KEEP3, q->left3);
    step_mean(&q->ofi10, flow, KEEP10, q->left10);
    step_mean(&q->ie10, q->imbalance, KEEP10, q->left10);
    step_mean(&q->tsv1, signed_volume, KEEP1, q->left1);
    step_mean(&q->tsv10, signed_volume, KEEP10, q->left10);
    step_mean(&q->variance, move * move, KEEP120, q->left120);
}

/* One second's quote; signed_volume in volume scales. */
static void update_quotes(struct tc_features *f, int64_t second, const struct tc_quote *now, double lag_ms,
                          double signed_volume)
{
    struct tc_features_quotes *q = &f->quotes;
    double micro = tc_quote_microprice(now, lag_ms);
    q->usable = !isnan(micro);
    if (!q->usable)
        return; /* q->second stays: the next usable one sees the hole */
    bool first = q->second == 0;
    if (first)
        q->left1 = q->left3 = q->left10 = q->left120 = q->left300 = 1;
    else if (second - q->second != TC_NS_PER_SEC)
        after_hole(q, (double)(second - q->second) / TC_NS_PER_SEC - 1);
    q->second = second;
    q->left1 *= KEEP1;
    q->left3 *= KEEP3;
    q->left10 *= KEEP10;
    q->left120 *= KEEP120;
    q->left300 *= KEEP300;
    double mid = tc_quote_mid(now);
    step_mean(&q->depth, (now->bid_size + now->ask_size) / 2, KEEP300, q->left300);
    bool alone = first || q->run == 0;
    double flow = alone ? 0 : order_flow(q, now);
    q->micro2 = q->run > 1 ? q->micro1 : micro;
    q->micro1 = alone ? micro : q->micro;
    q->mid1 = alone ? mid : q->mid;
    q->bid = now->bid;
    q->ask = now->ask;
    q->bid_size = now->bid_size;
    q->ask_size = now->ask_size;
    q->mid = mid;
    q->micro = micro;
    q->imbalance = (now->bid_size - now->ask_size) / (now->bid_size + now->ask_size);
    step_means(f, flow, signed_volume);
    q->mids[q->run % MIDS] = mid;
    q->run++;
}

/* Mid now minus mid so many seconds before; 0 where that is beyond the start or a hole. */
static double mid_move(const struct tc_features_quotes *q, int64_t seconds)
{
    return q->run > seconds ? q->mid - q->mids[(q->run - 1 - seconds) % MIDS] : 0;
}

void tc_features_update(struct tc_features *f, const struct tc_bar *b)
{
    f->tick = tc_price_tick(b->symbol, b->close);
    f->vwap = believed_vwap(b);
    if (f->bars == 0)
        first_bar(f, b);
    f->d1_before = f->d1;
    f->d1 = b->close - f->close;
    update_scale(f, f->d1);
    update_volume_scale(f, b->volume);
    update_prices(f, b);
    update_activity(f, b);
    f->tape = b->tape;
    double flow = isfinite(b->tape.sv) && f->volume_scale > 0 ? b->tape.sv / (3 * f->volume_scale) : 0;
    update_quotes(f, b->start, &b->quote, b->quote_lag_ms, flow);
    f->bars++;
}

void tc_features_silent(struct tc_features *f, int64_t second, const struct tc_quote *q, double lag_ms)
{
    update_quotes(f, second, q, lag_ms, 0);
}

bool tc_features_warming(const struct tc_features *f)
{
    return f->bars < TC_WARMUP_BARS;
}

double tc_features_scale(const struct tc_features *f)
{
    return fmax(f->scale, 0.1 * f->tick);
}

static double ring_max(const double v[RING])
{
    double m = v[0];
    for (int i = 1; i < RING; i++)
        m = fmax(m, v[i]);
    return m;
}

static double ring_min(const double v[RING])
{
    double m = v[0];
    for (int i = 1; i < RING; i++)
        m = fmin(m, v[i]);
    return m;
}

/* In price units where INFO says so. */
static void bar_values(const struct tc_features *f, double v[F_COUNT])
{
    v[F_D1] = f->d1;
    v[F_C_EMA2] = f->close - f->ema2;
    v[F_C_EMA4] = f->close - f->ema4;
    v[F_C_EMA16] = f->close - f->ema16;
    v[F_C_EMA64] = f->close - f->ema64;
    v[F_TR_DEC] = f->sign / (1 + (double)f->since);
    v[F_C_HL2] = f->close - (f->this_high + f->this_low) / 2;
    v[F_C_PH] = f->close - f->prev_high;
    v[F_C_PL] = f->close - f->prev_low;
    v[F_RMAX5] = ring_max(f->high5) - f->close;
    v[F_RMIN5] = f->close - ring_min(f->low5);
    v[F_C_VW] = f->close - f->vwap;
    v[F_C_EMAVW4] = f->close - f->vw4;
    v[F_C_EMAVW8] = f->close - f->vw8;
    v[F_D2] = f->d1 + f->d1_before;
    v[F_C_O] = f->close - f->open;
    v[F_H_L] = f->this_high - f->this_low;
    v[F_LV_REL] = f->log_volume - f->log_volume50;
    v[F_LN_REL] = f->log_trades - f->log_trades50;
    v[F_DT] = f->log_wait;
    v[F_ACT] = f->wait30;
    v[F_VOLA] = f->move30;
    v[F_SV10] = f->flow10;
}

static void tape_values(const struct tc_features *f, double v[F_COUNT])
{
    v[F_C_TM5] = f->close - f->tape.tm5;
    v[F_C_TM20] = f->close - f->tape.tm20;
    v[F_UP_C] = f->tape.up - f->close;
    v[F_DN_C] = f->tape.dn - f->close;
    v[F_SG20] = f->tape.sg20;
    v[F_LIT_C] = f->tape.lit - f->close;
}

static void quote_values(const struct tc_features *f, double unit, double v[F_COUNT])
{
    const struct tc_features_quotes *q = &f->quotes;
    double spread = q->ask - q->bid, far = 20 * unit;
    v[F_MID_C] = q->mid - f->close;
    v[F_MIC_C] = q->micro - f->close;
    v[F_ISPR] = q->imbalance * spread;
    v[F_M1] = mid_move(q, 1);
    v[F_I] = q->imbalance;
    v[F_BID_C] = clip(q->bid - f->close, far);
    v[F_ASK_C] = clip(q->ask - f->close, far);
    v[F_VW_MID] = f->vwap - q->mid;
    v[F_OFI3] = q->ofi3;
    v[F_MIC1] = q->micro - q->micro1;
    v[F_TSV10] = q->tsv10 * ROOT10;
    v[F_I3] = q->imbalance * q->imbalance * q->imbalance;
    v[F_LSPR] = log(fmax(spread / f->tick, 0.5));
    v[F_LBS] = log(q->bid_size / q->depth);
    v[F_LAS] = log(q->ask_size / q->depth);
    v[F_M2] = mid_move(q, 2);
    v[F_M5] = mid_move(q, 5);
    v[F_M30] = mid_move(q, 30);
    v[F_MIC2] = q->micro - q->micro2;
    v[F_OFI1] = q->ofi1;
    v[F_OFI10] = q->ofi10;
    v[F_IE10] = q->ie10;
    v[F_TSV1] = q->tsv1;
    v[F_C_PM] = f->close - q->mid1;
    v[F_RV] = sqrt(q->variance);
}

bool tc_features_all(const struct tc_features *f, bool raw, double all[static TC_FEATURE_COUNT])
{
    if (f->bars == 0)
        return false;
    double unit = raw ? 0.01 : tc_features_scale(f);
    bar_values(f, all);
    tape_values(f, all);
    if (f->quotes.usable)
        quote_values(f, unit, all);
    for (size_t i = 0; i < F_COUNT; i++) {
        if (i >= F_TAPE_END && !f->quotes.usable)
            all[i] = NAN;
        else if (INFO[i].price)
            all[i] /= unit;
    }
    return true;
}

bool tc_set_pick(enum tc_feature_set set, const double all[static TC_FEATURE_COUNT], double *out)
{
    bool known = true;
    for (size_t i = 0; i < SETS[set].n; i++) {
        out[i] = all[tc_set_index(set, i)];
        known = known && isfinite(out[i]);
    }
    return known;
}

enum tc_feature_set tc_features_level(const double all[static TC_FEATURE_COUNT])
{
    double out[TC_FEATURES_MAX];
    for (int level = TC_LEVELS - 1; level > 0; level--)
        if (tc_set_pick((enum tc_feature_set)level, all, out))
            return (enum tc_feature_set)level;
    return TC_SET_T14;
}

static bool values(const struct tc_features *f, enum tc_feature_set set, bool raw, double *out)
{
    double all[F_COUNT], picked[TC_FEATURES_MAX];
    if (!tc_features_all(f, raw, all) || !tc_set_pick(set, all, picked))
        return false;
    memcpy(out, picked, SETS[set].n * sizeof(*out));
    return true;
}

bool tc_features_raw(const struct tc_features *f, enum tc_feature_set set, double *out)
{
    return values(f, set, true, out);
}

bool tc_features_scaled(const struct tc_features *f, enum tc_feature_set set, double *out)
{
    return values(f, set, false, out);
}
