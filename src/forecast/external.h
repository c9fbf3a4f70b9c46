/* external.h - forecasts that others send: accepted before their target only, scored beside ours by the same
 * rules on the same outcomes.
 *
 * A forecast answers a question: an origin (symbol and end of a traded second) for which the engine made
 * forecasts of its own and whose outcome is still open. One a (symbol, model, origin); the first stands. The
 * model is published as NAME@external.
 *
 * State is a function of the accepted forecasts and of what the engine resolves, so that a role that makes
 * its records again gets the same sums. Bounded: open points, models, and cells (symbol x model x target); a
 * model that falls silent gives its place back. Allocates once, at open. One thread.
 */
#pragma once

#include "forecast/engine.h"

enum {
    TC_EXTERNAL_MODELS = 16,
    TC_EXTERNAL_POINTS = 32768, /* open ones */
    TC_EXTERNAL_CELLS = 4096,
    TC_EXTERNAL_NAME = 31,       /* most bytes of a model's name, without @external */
    TC_EXTERNAL_BYTES = 5 << 20, /* its state in a checkpoint is smaller */
    TC_EXTERNAL_A_SECOND = 4096, /* forecasts accepted in one second of the clock */
};

enum tc_verdict {
    TC_VERDICT_ACCEPTED,
    TC_VERDICT_DUPLICATE, /* the very same was accepted before */
    TC_VERDICT_CONFLICT,  /* another one was accepted before, which stands */
    TC_VERDICT_LATE,      /* no point is before its target any more */
    TC_VERDICT_UNKNOWN,   /* symbol or origin */
    TC_VERDICT_WRONG,     /* name, target, number */
    TC_VERDICT_LIMIT,
    TC_VERDICT_BUSY, /* the forecast role did not answer in time: it may be asked again */
};

struct tc_submission {
    struct tc_forecast forecast; /* in: symbol, model (bare name), origin_time, points with kind, horizon_ms,
                                    value and, where known, lo, hi and the three p (NaN else). Out, when
                                    accepted: as it is published, late points left out */
    uint32_t late;               /* out: bit of each point, as it came in, that was too late */
    enum tc_verdict verdict;
    char why[200]; /* sentence for the sender; "" when accepted whole */
};

struct tc_external;

/* `engine` is borrowed. */
int tc_external_open(struct tc_engine *engine, const struct tc_engine_conf *conf, struct tc_external **out);
void tc_external_close(struct tc_external *x); /* takes NULL */

/* Another engine goes on in the first one's place, with its symbols and points (tc_engine_adopt). */
void tc_external_follow(struct tc_external *x, struct tc_engine *engine);

/* Judges at the instant `now` (clock, live; else ignored, 0) and keeps what is accepted. `clock_second`
 * counts for the limit on the rate. */
void tc_external_submit(struct tc_external *x, int64_t now, int64_t clock_second, struct tc_submission *s);
/* Keeps a forecast that was accepted in an earlier run. */
void tc_external_again(struct tc_external *x, const struct tc_forecast *f);
bool tc_external_is(const struct tc_record *r); /* a forecast of this kind */

/* From the engine's `resolved`, and for each TC_REC_OUTCOME that it emits (nothing of the origin is open
 * then). */
void tc_external_resolved(struct tc_external *x, const struct tc_resolved *r);
void tc_external_outcome(struct tc_external *x, const struct tc_outcome *o);

/* Before a second is fed: publishes what belongs to the half hour that ended. */
int tc_external_begin(struct tc_external *x, int64_t second, tc_emit_fn emit, void *ctx, int64_t offset);
/* After it: publishes the scores that changed, every 10 s of event time, or `all` at the source's end. */
int tc_external_publish(struct tc_external *x, bool all, tc_emit_fn emit, void *ctx, int64_t offset);

int tc_external_save(const struct tc_external *x, struct tc_buf *out);
int tc_external_load(struct tc_external *x, const uint8_t *bytes, size_t n);
