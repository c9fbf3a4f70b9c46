/* inbox.h - questions of other threads that a role answers between two of its records: here forecasts that
 * others send, judged by the forecast role. Bounded; nobody waits longer than he said.
 */
#pragma once

#include "bus/bus.h"
#include "forecast/external.h"

struct tc_inbox;

int tc_inbox_open(struct tc_inbox **out);
void tc_inbox_close(struct tc_inbox *b); /* nobody may wait in it; takes NULL */

/* Any thread: hands the list over and waits for its verdicts, `timeout_ns` at most; what was not taken by
 * then has the verdict TC_VERDICT_BUSY. The bus is woken, so that the role looks. */
void tc_inbox_submit(struct tc_inbox *b, struct tc_bus *bus, struct tc_submission *list, size_t n,
                     int64_t timeout_ns);

/* The role: the oldest list that waits, NULL when there is none; done() after its verdicts stand. */
struct tc_submission *tc_inbox_take(struct tc_inbox *b, size_t *n);
void tc_inbox_done(struct tc_inbox *b);
