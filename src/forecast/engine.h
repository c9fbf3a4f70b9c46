/* engine.h - from bars to scored forecasts: a state machine that knows no clock, thread, bus or file.
 *
 * Fed with the records of topic bars in their order, it answers with records of topic forecasts. Everything
 * happens at second markers (TC_REC_SECOND): outcomes that have become known are scored, features advance,
 * all symbols that traded in the second are forecast as one batch. A bar after its second's marker is late
 * and used for nothing here; a revision (revision > 0) neither.
 *
 * State is a function of the records fed (and, live, of conf.now): the same records give the same answers,
 * bit for bit, also over save() and load(). No allocation after open; time of a bar is constant.
 * One thread.
 */
#pragma once

#include "bus/record.h"
#include "forecast/chance.h"
#include "forecast/features.h"
#include "forecast/score.h"
#include "market/calendar.h"
#include "model/model.h"

enum {
    TC_HORIZONS_MAX = (TC_POINTS_MAX - 1) / 2,
    TC_ENGINE_MODELS_MAX = 8,
    TC_ENGINE_FLIGHT_MAX =
        1 << 30, /* bytes of each network's windows in flight; symbols beyond compute afresh */
    TC_ENGINE_STATE_MAX = 8 << 20, /* of a symbol's state of one network */
};

/* Models that are always there, in this order; networks follow. `mean` is the mean of ridge and the first
 * network that speaks for the bar. */
enum { TC_ME_PERSISTENCE, TC_ME_REVERSAL, TC_ME_MICROPRICE, TC_ME_RIDGE, TC_ME_MEAN, TC_ME_NETWORK };

/* One resolved sample, for reports that need more than sums (struct tc_sample of it: tc_resolved_sample).
 * Moves and errors in price units. */
struct tc_resolved {
    uint32_t symbol; /* number by first sight */
    int32_t model;   /* TC_ME_... */
    int32_t point;   /* index into the engine's points */
    int32_t level;   /* of the bar's inputs: the forecast's, and every other model's on this sample */
    int64_t origin_time, known_time;
    double move, forecast; /* outcome and forecast, both minus the reference */
    double capped;         /* the outcome cut at a few times its usual size: what gates see */
    double half;           /* half width of the band; NaN without one */
    double micro;          /* the microprice's forecast move; NaN without one */
    double reversal, ridge;
    double ridge_at[TC_LEVELS]; /* ridge of each level on this very sample; NaN above `level` */
    double median;              /* the model's forecast of the median, as a move; NaN without p */
    double p[3];                /* P(down), P(none), P(up); p[0] NaN without them */
    double scale;
    double base, half_spread; /* price the moves start from; half the fresh spread at origin, else NaN */
    int32_t day, horizon_ms;
    bool gate_open; /* at issue */
};

void tc_resolved_sample(const struct tc_resolved *r, struct tc_sample *out);

struct tc_engine_conf {
    uint32_t symbols;          /* capacity; more are refused with TC_ELIMIT */
    enum tc_feature_set level; /* the highest that is used where it is known: T14, K11 or Q18 */
    int32_t n_horizons;
    int32_t horizons_ms[TC_HORIZONS_MAX];            /* rising, whole seconds, at most 300,000 */
    struct tc_model *networks[TC_ENGINE_MODELS_MAX]; /* borrowed; their features and targets are checked */
    int32_t n_networks;
    /* A network that forecasts no more, whose open forecasts are still scored ("" = none): it was replaced.
     */
    char retired[TC_MODEL_SIZE];
    int64_t networks_from; /* networks step for seconds from this on (ns); earlier ones only make features */
    /* The calendar of a symbol, asked once at its first bar; borrowed for the engine's life. */
    const struct tc_calendar *(*calendar)(void *ctx, const char *symbol);
    void *calendar_ctx;
    /* Shares for one through splits after the first day up to the second (market/actions.h), asked when a
     * session begins; NULL = always 1. */
    double (*split)(void *ctx, const char *symbol, int32_t after, int32_t day);
    void *split_ctx;
    /* Wall clock for forecasts whose marker is not stamped by the log; NULL = the marker's `available`. */
    int64_t (*now)(void);
    /* Called for every resolved sample; NULL for none. */
    void (*resolved)(void *ctx, const struct tc_resolved *r);
    void *resolved_ctx;
    int32_t score_every_s; /* event time between two publications of changed scores; 0 = 10 s */
};

/* 1, 10 and 60 s, up to Q18, seven symbols. */
void tc_engine_conf_default(struct tc_engine_conf *conf);

struct tc_engine;

int tc_engine_open(const struct tc_engine_conf *conf, struct tc_engine **out);
void tc_engine_close(struct tc_engine *e); /* takes NULL */

/* Takes a published record; a negative answer stops the feed call with that code. */
typedef int (*tc_emit_fn)(void *ctx, const struct tc_record *r);

/* Any record of topic bars at `offset`; what it causes is emitted before the call returns. TC_EINTERNAL when
 * an input became available after the forecast that would use it was issued (a leak). */
int tc_engine_feed(struct tc_engine *e, const struct tc_record *r, int64_t offset, tc_emit_fn emit,
                   void *ctx);

/* What networks have left to do after the second under way (windows in flight, model/model.h): one piece, of
 * a few milliseconds at most. Returns the window steps done; 0 = all is done. The next second that needs it
 * does what was not done. */
size_t tc_engine_advance(struct tc_engine *e);
size_t tc_engine_left(const struct tc_engine *e); /* bars with such work, one for each network */

/* Replaces conf.now (a role that makes again what it had published takes the markers' times for it). */
void tc_engine_set_clock(struct tc_engine *e, int64_t (*now)(void));

/* Muted, the engine learns from what it is fed (features, ridge, bands, network states), but publishes
 * nothing, and the forecasts made meanwhile are never scored: nobody saw them. For going on after a change of
 * models. */
void tc_engine_mute(struct tc_engine *e, bool muted);

/* Publishes all scores that changed since they were last published (end of the source). */
int tc_engine_flush_scores(struct tc_engine *e, int64_t offset, tc_emit_fn emit, void *ctx);

/* Whole state as bytes, equal for equal states; load() needs an engine opened with the same configuration
 * and networks (checked). */
int tc_engine_save(const struct tc_engine *e, struct tc_buf *out);
int tc_engine_load(struct tc_engine *e, const uint8_t *bytes, size_t n);

/* Takes over all that `from` knows and that this engine has too, by the models' names: symbols, features,
 * ridge, bands, gates, sums of the half hour under way, open forecasts, states of networks with their windows
 * in flight. A network of `from` that is not one here lives on only as conf.retired. `to` is fresh and of the
 * same symbols, level and horizons (TC_ECONF); `from` is only good for closing afterwards. */
int tc_engine_adopt(struct tc_engine *to, struct tc_engine *from);

/* For networks that both have: takes their states, bands and chances from `from`, which was fed the same
 * records up to the same second (TC_ECONF), for the symbols that both have. */
int tc_engine_graft(struct tc_engine *to, struct tc_engine *from);

/* The retired model that saved bytes speak of; "" when there is none or the bytes are none of an engine. */
void tc_engine_retired(const uint8_t *bytes, size_t n, char out[static TC_MODEL_SIZE]);
/* What may still be answered at an origin. */
struct tc_question {
    uint32_t symbol;
    uint32_t offered,
        open; /* bit a point; open: outcome not known here, and not late for the engine itself */
    double reference, reference_mid;
    int32_t day;
    int64_t newest;    /* newest origin of the symbol; 0 = none */
    int64_t seen_to;   /* end of the newest second of which something was seen */
    bool traded_since; /* a later trade was seen: the next traded price is known */
};

/* TC_ENOTFOUND: no such symbol. TC_AGAIN: no forecast was made at that origin, or all of it is known (only
 * symbol and newest are filled in). */
int tc_engine_question(const struct tc_engine *e, const char *symbol, int64_t origin_time,
                       struct tc_question *out);

int64_t tc_engine_time(const struct tc_engine *e); /* end of the last marked second; 0 = none */
const char *tc_engine_model(const struct tc_engine *e, int32_t model); /* name as published */
int32_t tc_engine_models(const struct tc_engine *e);
int32_t tc_engine_points(const struct tc_engine *e);
void tc_engine_point(const struct tc_engine *e, int32_t point, enum tc_kind *kind, int32_t *horizon_ms);
const char *tc_engine_symbol(const struct tc_engine *e, uint32_t symbol);
uint32_t tc_engine_symbols(const struct tc_engine *e);
size_t tc_engine_symbol_bytes(const struct tc_engine *e); /* memory of one symbol */
