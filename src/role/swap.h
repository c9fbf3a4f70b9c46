/* swap.h - one network of a running engine is exchanged for another: the new one is warmed up beside the old
 * from the log, silently, and takes its place between two records. One thread, the role's; what is long is
 * done in slices. */
#pragma once

#include "bus/bus.h"
#include "forecast/engine.h"

struct tc_swap;

/* TC_ECONF when the state of so many symbols is too large for a checkpoint. */
int tc_checkpoint_fits(const struct tc_engine *e, uint32_t symbols);

/* `running` is what the old engine was opened with; `model` is to stand in place k and stays the caller's.
 * `position`: next input record of the old engine. TC_ECONF when the model does not fit. */
int tc_swap_open(const struct tc_engine_conf *running, int32_t k, struct tc_model *model, struct tc_bus *bus,
                 int64_t position, int64_t time, struct tc_swap **out);
void tc_swap_close(struct tc_swap *s); /* takes NULL */

/* Warms up for about budget_ns, at most up to input record `until`. 1 = it stands there, 0 = not yet. */
int tc_swap_warm(struct tc_swap *s, int64_t until, int64_t budget_ns);

/* The engine that goes on from `old`, which stands before record `until` of tc_swap_warm; closes `old`. When
 * it fails, `old` goes on as it was. *conf: what the new one was opened with. */
int tc_swap_finish(struct tc_swap *s, struct tc_engine *old, struct tc_engine_conf *conf,
                   struct tc_engine **out);
