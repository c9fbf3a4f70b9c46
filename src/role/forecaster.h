/* forecaster.h - the forecast role: topic bars in, topic forecasts out.
 *
 * Reads bars as they are published (before they are synced), feeds them to the engine (forecast/engine.h) and
 * publishes what it answers. After a crash it goes on from its last checkpoint to the same records, bit for
 * bit, as long as the input is stamped by the log's time. Live, records made again are recognised and left as
 * they were published; what they teach is as if they had been issued with their marker.
 *
 * A checkpoint follows the first marker of each minute of event time (of every second minute from 32 symbols
 * on, of every third from 64 and so on), while nothing is forecast of every 30th. When the input ends
 * (TC_REC_END) the scores that changed, a checkpoint and TC_REC_END are published.
 *
 * Forecasts of others come in between two records (tc_forecaster_submit), are published in the same topic
 * with `from` = the newest input record, and are taken up from there after a crash.
 *
 * Metrics: tickcast_external_forecasts_total, tickcast_forecasts_total, tickcast_scored_total and
 * tickcast_skill_ratio_millionths (kind next, of the first network or, without one, of ridge, since start;
 * errors in move scales, so that symbols add up), tickcast_forecast_seconds (live, once the start's backlog
 * is worked off: from the marker's `available` to published; on a log's time from the marker's reading),
 * tickcast_forecast_after_seconds (what windows in flight leave to do after that, done while no record
 * waits), tickcast_queue_depth{queue="forecast"} and its high water (bars that wait for it),
 * tickcast_lag_records{role="forecast",topic="bars"}.
 */
#pragma once

#include "bus/bus.h"
#include "forecast/external.h"
#include "role/role.h"

struct tc_forecaster_conf {
    struct tc_bus *bus;           /* the caller's, outlives the role */
    struct tc_engine_conf engine; /* `resolved` is the role's own; networks stay the caller's */
    int64_t snapshot_position;    /* of a forecast checkpoint the store knows; -1 = none */
    bool may_relearn; /* a checkpoint of other models, another kernel or version: start fresh and learn from
                         the log (live), rather than refuse (replay, whose rows must come from one set) */
};

/* Restores the last checkpoint of the topic. TC_ECONF: it was made with other models or horizons, and
 * may_relearn is not set. */
int tc_forecaster_open(const struct tc_forecaster_conf *conf, struct tc_role *out);

enum tc_swap_state { TC_SWAP_NONE, TC_SWAP_WARMING, TC_SWAP_DONE, TC_SWAP_FAILED };

/* Asks for network `place` of the configuration to be exchanged for `model`, from any one thread. The role
 * warms the model up from the log in slices between records, puts it in its place after a second's marker
 * with a checkpoint, and goes on scoring what the old one had said. A model that does not fit changes
 * nothing. TC_EBUSY while an exchange is under way. */
int tc_forecaster_swap(struct tc_role *role, int32_t place, struct tc_model *model);

/* How the exchange stands; DONE (the old model is the caller's to free) and FAILED (the new one is, and `why`
 * says the reason) are told once. */
enum tc_swap_state tc_forecaster_swap_state(struct tc_role *role, char *why, size_t size);
/* Any thread, while the role lives: forecasts of others (forecast/external.h). Each gets its verdict after
 * what was accepted is published; waits `timeout_ns` at most. */
void tc_forecaster_submit(const struct tc_role *role, struct tc_submission *list, size_t n,
                          int64_t timeout_ns);
