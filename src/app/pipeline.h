/* pipeline.h - the one place that wires feed, bus, store and roles together. */
#pragma once

#include "app/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tc_pipeline;

/* Takes the folder and opens the source. A large file is read through for its symbols, so this may take long;
 * no thread is started yet, and a signal may end the process here: nothing is half made. `c` must outlive the
 * pipeline. */
int tc_pipeline_open(const struct tc_config *c, struct tc_pipeline **out);
/* Opens the rest: store, bus, roles. The page answers when this returns; data moves from tc_pipeline_start
 * on. */
int tc_pipeline_connect(struct tc_pipeline *p);
int tc_pipeline_start(struct tc_pipeline *p);

/* Looks after what may change while it runs (model files); to be called often, from the thread that opened
 * it. */
void tc_pipeline_tend(struct tc_pipeline *p);

bool tc_pipeline_ended(const struct tc_pipeline *p);        /* the source has ended and all of it is stored */
bool tc_pipeline_feeds_failed(const struct tc_pipeline *p); /* every live feed has ended for good */
int tc_pipeline_failed(const struct tc_pipeline *p);        /* 0, or the code of the role that broke */
const char *tc_pipeline_failure(const struct tc_pipeline *p);
const char *
tc_pipeline_url(const struct tc_pipeline *p); /* address of the page with its token; "" without serve */
const char *tc_pipeline_data(const struct tc_pipeline *p); /* the data folder */

/* Stops the roles in order, makes the log durable, closes everything and frees the pipeline. Takes NULL.
 * False when the deadline cut something short; what was left stands in the log and is taken up at the next
 * start. */
bool tc_pipeline_close(struct tc_pipeline *p, int64_t deadline_mono_ns);

/* "SIMULATED", "REPLAY 10x": what the terminal and the page call this run. */
void tc_pipeline_mode(const struct tc_config *c, char *out, size_t size);
