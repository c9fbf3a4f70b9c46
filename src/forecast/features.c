#include "forecast/features.h"
#include "base/hash.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SCALE_BARS = 512, SCALE_START = 10, RING = 5 };

static const double MOVE_CAP = 8;    /* moves count for at most so many scales in the move scale */
static const double VWAP_FAR = 0.60; /* a VWAP farther off than this, and than 0.3 %, is not believed */
static const double VWAP_FAR_REL = 0.003;

static const double PRICE_MIN = 1e-9, PRICE_MAX = 1e12;
static const double SIZE_MAX_USABLE = 1e15;
static const double FRESH_MS = 1000; /* an older quote feed is not asked for a microprice */

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
    F_C_TM5,
    F_C_TM20,
    F_UP_C,
    F_DN_C,
    F_SG20,
    F_LIT_C,
    F_COUNT
};

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
    [F_C_TM5] = {"c_tm5", "close - mean price of the last 5 trades", true, 0, 0.8},
    [F_C_TM20] = {"c_tm20", "close - mean price of the last 20 trades", true, 0, 1.2},
    [F_UP_C] = {"up_c", "price of the latest uptick - close", true, 0.3, 1.0},
    [F_DN_C] = {"dn_c", "price of the latest downtick - close", true, -0.3, 1.0},
    [F_SG20] = {"sg20", "mean tick sign of the last 20 trades", false, 0, 0.5},
    [F_LIT_C] = {"lit_c", "latest on-exchange price - close", true, 0, 0.7},
};

static const uint8_t T14[] = {F_D1,   F_C_EMA2, F_C_EMA4, F_C_EMA16, F_TR_DEC,   F_C_HL2,    F_C_PH,
                              F_C_PL, F_RMAX5,  F_RMIN5,  F_C_VW,    F_C_EMAVW4, F_C_EMAVW8, F_C_EMA64};
static const uint8_t K11[] = {F_D1,     F_C_EMA2, F_C_EMA4, F_C_EMA16, F_TR_DEC, F_C_TM5,
                              F_C_TM20, F_UP_C,   F_DN_C,   F_SG20,    F_LIT_C};

static const struct {
    const char *name;
    const uint8_t *ids;
    size_t n;
} SETS[TC_SET_COUNT] = {[TC_SET_T14] = {"T14", T14, sizeof(T14)}, [TC_SET_K11] = {"K11", K11, sizeof(K11)}};

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
    return tc_fail(TC_EINPUT, "unknown feature set \"%s\"; known are T14 and K11", name);
}

size_t tc_set_size(enum tc_feature_set set)
{
    return SETS[set].n;
}

const struct tc_feature_info *tc_set_info(enum tc_feature_set set, size_t i)
{
    return i < SETS[set].n ? &INFO[SETS[set].ids[i]] : NULL;
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

void tc_features_session(struct tc_features *f)
{
    *f = (struct tc_features){.scale = f->scale, .scale_n = f->scale_n, .tick = f->tick};
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

static void first_bar(struct tc_features *f, const struct tc_bar *b)
{
    f->close = f->ema2 = f->ema4 = f->ema16 = f->ema64 = b->close;
    f->vw4 = f->vw8 = f->vwap;
    f->this_high = b->high;
    f->this_low = b->low;
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

void tc_features_update(struct tc_features *f, const struct tc_bar *b)
{
    f->tick = tc_price_tick(b->symbol, b->close);
    f->vwap = believed_vwap(b);
    if (f->bars == 0)
        first_bar(f, b);
    f->d1 = b->close - f->close;
    update_scale(f, f->d1);
    f->prev_high = f->this_high;
    f->prev_low = f->this_low;
    f->this_high = b->high;
    f->this_low = b->low;
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
    f->tape = b->tape;
    f->bars++;
}

bool tc_features_warming(const struct tc_features *f)
{
    return f->bars < TC_WARMUP_BARS;
}

double tc_features_scale(const struct tc_features *f)
{
    return fmax(f->scale, 0.1 * f->tick);
}

static bool tape_known(const struct tc_tape *t)
{
    return isfinite(t->tm5) && isfinite(t->tm20) && isfinite(t->sg20) && isfinite(t->up) && isfinite(t->dn) &&
           isfinite(t->lit);
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
static void all_values(const struct tc_features *f, double v[F_COUNT])
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
    v[F_C_TM5] = f->close - f->tape.tm5;
    v[F_C_TM20] = f->close - f->tape.tm20;
    v[F_UP_C] = f->tape.up - f->close;
    v[F_DN_C] = f->tape.dn - f->close;
    v[F_SG20] = f->tape.sg20;
    v[F_LIT_C] = f->tape.lit - f->close;
}

static bool values(const struct tc_features *f, enum tc_feature_set set, double price_unit, double *out)
{
    if (f->bars == 0 || (set == TC_SET_K11 && !tape_known(&f->tape)))
        return false;
    double v[F_COUNT];
    all_values(f, v);
    for (size_t i = 0; i < SETS[set].n; i++) {
        size_t id = SETS[set].ids[i];
        out[i] = INFO[id].price ? v[id] / price_unit : v[id];
    }
    return true;
}

bool tc_features_raw(const struct tc_features *f, enum tc_feature_set set, double *out)
{
    return values(f, set, 0.01, out);
}

bool tc_features_scaled(const struct tc_features *f, enum tc_feature_set set, double *out)
{
    return values(f, set, tc_features_scale(f), out);
}
