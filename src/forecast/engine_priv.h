/* engine_priv.h - inside of the engine, shared by its files: engine.c (feeding), engine_forecast.c (making
 * forecasts), engine_network.c (networks), engine_score.c (outcomes and sums), engine_state.c (bytes),
 * engine_swap.c (from one engine to another).
 *
 * Memory of a symbol is one block of fixed layout: the struct, then arrays whose sizes depend on the number
 * of models, points and features (struct layout). It holds no pointer and no padding, so that saving it is
 * copying it.
 */
#pragma once

#include "forecast/band.h"
#include "forecast/engine.h"
#include "forecast/gate.h"
#include "forecast/ridge.h"
#include "market/symtab.h"

#include <math.h>

enum {
    TC_MODELS_ALL = TC_ME_NETWORK + TC_ENGINE_MODELS_MAX + 1, /* and a retired one, which is the last */
    SKIP_SECONDS = 60, /* no forecasts so long after an exchange's open */
    STALE_BARS = 16,   /* forecasts of so many bars after a hole are flagged */
    SOLVE_EVERY = 200, /* rows between two solutions of ridge, and of the first rows: */
    SOLVE_EVERY_YOUNG = 25,
    SOLVE_TOGETHER = 8, /* so many symbols solve in the same second, the next ones a row earlier */
    NEVER = -SOLVE_EVERY,
    COLD_ROWS = 300,     /* ridge is flagged cold below */
    PRIOR_ROWS = 1500,   /* the pool of all symbols counts for so many rows */
    HALF_LIFE_S = 23400, /* of ridge and reversal: the seconds of a session of New York */
    FORGET_MAX_S = 60,   /* a longer silence (night, gap) forgets no more than this */
};

/* What was forecast at one origin, until everything is known. Followed by:
 * double outcome[P]; float x[features]; float ridge[levels][P]; float move[M][P]; float half[M][P];
 * float median[M][P]; float chances[M][P][2] (down, none); uint32_t gate[M] (a bit a point). */
struct origin {
    int64_t time, next_time, day;
    int64_t level;
    double reference, mid, scale, tick, half_spread;
    uint32_t offered, late; /* bit a point */
    int64_t unscored;       /* made while muted */
};

/* Sums of one model and point in the slot under way. */
struct sums {
    struct tc_score_sums s;
    int64_t block_n; /* the open one-minute block */
    double block_d, block_ridge;
    int64_t dirty; /* changed since last published */
};

/* A bar as far as forecasts need it. */
struct pending {
    int64_t start, available;
    double open, high, low, close, vwap, volume;
    int64_t trades;
    struct tc_quote quote;
    double quote_lag_ms;
    struct tc_tape tape;
    int64_t there;
};

struct symbol {
    char name[40], feed[16];
    int64_t second;                   /* start of the last marked second */
    int64_t open, close, day, always; /* session at or after it; close 0 = not looked up */
    int64_t slot, slot_day, minute;   /* of the sums and blocks under way; -1 = none */
    int64_t stale;                    /* forecasts left to be flagged */
    int64_t first, end;               /* origins kept: numbers first .. end - 1 */
    int64_t used[TC_LEVELS];          /* 1: the level's bank holds more than its start */
    double last;                      /* last price in force; NaN = none in this session */
    double quote_lag_ms;
    struct tc_quote quote;
    int64_t quote_available;
    struct pending pending;
    struct tc_features features;
    struct level_ridge {
        int64_t learnt;            /* time of the last row; 0 = none */
        int64_t rows, solved_rows; /* rows ever learnt; at the last solution (NEVER = none yet) */
        struct tc_ridge sums;
    } ridge[TC_LEVELS];
};

struct layout { /* offsets in a symbol's block */
    size_t head, ridge_b, ridge_w, phi_xy, phi_xx, y_square, banks, networks, origins;
    size_t size;
    size_t bank_size, bands, gates, chances, sums, gates_open; /* a level's bank, and inside it */
    size_t origin_size, outcome, x, ridge, move, half, median, chance, gate;
    size_t network[TC_ENGINE_MODELS_MAX]; /* inside networks */
};

struct point {
    enum tc_kind kind;
    int32_t horizon_ms;
    struct tc_ridge_penalty penalty;
};

struct network {
    struct tc_model *model;
    const struct tc_model_info *info;
    bool price; /* reads a bar's own columns and forecasts the price itself */
    enum tc_feature_set level;
    int32_t feature[TC_MODEL_FEATURES_MAX]; /* index into all features; of such a model enum column */
    bool closes[TC_ENGINE_MODELS_MAX];      /* networks that are silent where this one speaks */
    int32_t point[TC_MODEL_TARGETS_MAX];    /* -1: not asked for */
    uint8_t *flights;                       /* windows in flight of the first n_flights symbols */
    size_t flight_size;
    uint32_t n_flights;
    struct tc_model_row *rows; /* of the newest second: what is left to do for them begins at row `at` */
    size_t n_rows, at;
};

/* A symbol that traded in the second under way. */
struct active {
    struct symbol *s;
    struct origin *origin; /* NULL: no forecast (first minute of a session) */
    int level;
    bool known[TC_LEVELS]; /* x has the level's features */
    bool clipped, out_of_domain[TC_ENGINE_MODELS_MAX];
    bool spoke[TC_ENGINE_MODELS_MAX]; /* networks that said something for the origin */
    const struct tc_model_row *row;   /* of the network being stepped; NULL: its inputs are not known */
    double x[TC_FEATURE_COUNT];
    uint32_t gates[TC_MODELS_ALL]; /* gates and half widths of bands (in move scales), as they stand */
    double half[TC_MODELS_ALL][TC_POINTS_MAX];
};

struct tc_engine {
    struct tc_engine_conf conf;
    struct layout at;
    int32_t n_models, n_points;
    struct point points[TC_POINTS_MAX];
    struct network networks[TC_ENGINE_MODELS_MAX];
    char names[TC_MODELS_ALL][TC_MODEL_SIZE];
    int64_t ring; /* origins kept at most */
    struct tc_symtab *symbols;
    const struct tc_calendar **calendars; /* of each symbol */
    uint8_t *blocks;                      /* of all symbols */
    int64_t time;                         /* end of the last marked second */
    bool muted;                           /* learns, but publishes and scores nothing */
    struct level_pool {
        int64_t time;
        struct tc_ridge sums;
        double b[TC_POINTS_MAX * TC_RIDGE_DIM];
    } pool[TC_LEVELS];
    double keep[FORGET_MAX_S + 1]; /* share kept after so many seconds */
    struct active *active;
    int32_t seen_to[TC_MODELS_ALL]; /* last session a model was made from: no evidence for its gate */
    double *inputs, *outputs;       /* of the networks, a row a symbol */
    struct tc_record out;           /* the record being published */
    /* of the call under way */
    int64_t offset;
    tc_emit_fn emit;
    void *emit_ctx;
};

static inline struct symbol *symbol_at(const struct tc_engine *e, uint32_t i)
{
    return (struct symbol *)(e->blocks + i * e->at.size);
}

static inline uint32_t symbol_index(const struct tc_engine *e, const struct symbol *s)
{
    return (uint32_t)(((const uint8_t *)s - e->blocks) / e->at.size);
}

/* Number of the first origin that a point is still open for. */
static inline int64_t *heads(const struct tc_engine *e, struct symbol *s)
{
    return (int64_t *)((uint8_t *)s + e->at.head);
}

static inline double *ridge_b(const struct tc_engine *e, struct symbol *s, int level)
{
    return (double *)((uint8_t *)s + e->at.ridge_b) + level * e->n_points * TC_RIDGE_DIM;
}

static inline double *ridge_w(const struct tc_engine *e, struct symbol *s, int level)
{
    return (double *)((uint8_t *)s + e->at.ridge_w) + level * e->n_points * TC_RIDGE_DIM;
}

static inline double *phi_xy(const struct tc_engine *e, struct symbol *s)
{
    return (double *)((uint8_t *)s + e->at.phi_xy);
}

static inline double *phi_xx(const struct tc_engine *e, struct symbol *s)
{
    return (double *)((uint8_t *)s + e->at.phi_xx);
}

static inline double *y_square(const struct tc_engine *e, struct symbol *s)
{
    return (double *)((uint8_t *)s + e->at.y_square);
}

/* Bands, gates, chances and sums of each level: what is known of the models on bars of that level, so that
 * models are compared on the same samples. The models of a point stand side by side, as outcomes need them.
 */
static inline uint8_t *bank_of(const struct tc_engine *e, struct symbol *s, int level)
{
    return (uint8_t *)s + e->at.banks + (size_t)level * e->at.bank_size;
}

static inline struct tc_band *band_of(const struct tc_engine *e, struct symbol *s, int level, int m, int p)
{
    return (struct tc_band *)(bank_of(e, s, level) + e->at.bands) + p * e->n_models + m;
}

static inline struct tc_gate *gate_of(const struct tc_engine *e, struct symbol *s, int level, int m, int p)
{
    return (struct tc_gate *)(bank_of(e, s, level) + e->at.gates) + p * e->n_models + m;
}

static inline struct tc_chance *chance_of(const struct tc_engine *e, struct symbol *s, int level, int m,
                                          int p)
{
    return (struct tc_chance *)(bank_of(e, s, level) + e->at.chances) + p * e->n_models + m;
}

/* The gates' answers, a bit a point, for each model. */
static inline uint32_t *gates_open(const struct tc_engine *e, struct symbol *s, int level)
{
    return (uint32_t *)(bank_of(e, s, level) + e->at.gates_open);
}

static inline struct sums *sums_of(const struct tc_engine *e, struct symbol *s, int level, int m, int p)
{
    return (struct sums *)(bank_of(e, s, level) + e->at.sums) + p * e->n_models + m;
}

static inline void *network_state(const struct tc_engine *e, struct symbol *s, int k)
{
    return (uint8_t *)s + e->at.networks + e->at.network[k];
}

static inline struct origin *origin_at(const struct tc_engine *e, struct symbol *s, int64_t number)
{
    return (struct origin *)((uint8_t *)s + e->at.origins + (size_t)(number % e->ring) * e->at.origin_size);
}

static inline double *outcome_of(const struct tc_engine *e, struct origin *o)
{
    return (double *)((uint8_t *)o + e->at.outcome);
}

static inline float *x_of(const struct tc_engine *e, struct origin *o)
{
    return (float *)((uint8_t *)o + e->at.x);
}

static inline float *move_of(const struct tc_engine *e, struct origin *o, int m)
{
    return (float *)((uint8_t *)o + e->at.move) + m * e->n_points;
}

static inline float *half_of(const struct tc_engine *e, struct origin *o, int m)
{
    return (float *)((uint8_t *)o + e->at.half) + m * e->n_points;
}

static inline float *median_of(const struct tc_engine *e, struct origin *o, int m)
{
    return (float *)((uint8_t *)o + e->at.median) + m * e->n_points;
}

/* Down and none of point p. */
static inline float *chances_at(const struct tc_engine *e, struct origin *o, int m, int p)
{
    return (float *)((uint8_t *)o + e->at.chance) + 2 * (m * e->n_points + p);
}

/* All three, as they are published. */
static inline void chances_of(const struct tc_engine *e, struct origin *o, int m, int p, double out[3])
{
    const float *c = chances_at(e, o, m, p);
    out[0] = c[0];
    out[1] = c[1];
    out[2] = isnan(c[0]) ? NAN : fmax(0, 1 - out[0] - out[1]);
}

static inline float *ridge_at(const struct tc_engine *e, struct origin *o, int level)
{
    return (float *)((uint8_t *)o + e->at.ridge) + level * e->n_points;
}

/* What may be shown has bands and chances: persistence, ridge, mean and the networks. */
static inline bool banded(int m)
{
    return m != TC_ME_REVERSAL && m != TC_ME_MICROPRICE;
}

/* Gates as they stood at issue. */
static inline uint32_t *gates_at(const struct tc_engine *e, struct origin *o)
{
    return (uint32_t *)((uint8_t *)o + e->at.gate);
}

int tc_engine_emit(struct tc_engine *e); /* e->out */

/* engine_score.c */
int tc_engine_roll(struct tc_engine *e, struct symbol *s, int64_t second); /* blocks and slots that end */
int tc_engine_resolve(struct tc_engine *e, struct symbol *s, const struct tc_second *m, bool traded,
                      bool hole);
int tc_engine_void(struct tc_engine *e, struct symbol *s); /* what is open will never be known */
int tc_engine_publish_scores(struct tc_engine *e, struct symbol *s);
void tc_engine_symbol_init(const struct tc_engine *e, struct symbol *s);
void tc_engine_bank_init(const struct tc_engine *e, struct symbol *s, int level);

/* engine_network.c */
int tc_engine_check_network(struct tc_engine *e, struct network *n);
int tc_engine_open_networks(struct tc_engine *e); /* their memory */
void tc_engine_close_networks(struct tc_engine *e);
/* Steps network k for every symbol of the batch; what it says goes into their origins. */
int tc_engine_step_network(struct tc_engine *e, int k, size_t n_active);
void *tc_engine_flight(const struct network *n, uint32_t symbol); /* NULL: there is none for it */

/* engine_forecast.c */
/* Done with each symbol as soon as its outcomes are known, while the bands are still in the cache. */
void tc_engine_take_bands(struct tc_engine *e, struct active *a);
int tc_engine_forecast(struct tc_engine *e, size_t n_active, const struct tc_second *m);
