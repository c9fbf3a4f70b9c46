/* runner.h - puts each role on a thread of its own and stops them in order.
 *
 * An idle role waits on the bus (or as long as it asks for). The first role that breaks stops the program:
 * failed() gives its code and sentence. stop() ends the roles in the order in which they were given (the way
 * of the data): each may finish what was handed to it before the next is asked, all within one deadline.
 */
#pragma once

#include "bus/bus.h"
#include "role/role.h"

#include <stddef.h>

enum { TC_ROLES_MAX = 8 };

struct tc_runner;

/* The roles and the bus stay the caller's and must outlive the runner. */
int tc_runner_start(struct tc_bus *bus, const struct tc_role *roles, size_t n, struct tc_runner **out);

bool tc_runner_ended(const struct tc_runner *r);          /* every role that can end has ended */
int tc_runner_failed(const struct tc_runner *r);          /* 0, or the code of the first role that broke */
const char *tc_runner_failure(const struct tc_runner *r); /* its sentence, with the role's name */

/* Stops and joins all threads and frees the runner. False when the deadline cut some role short (its input
 * stays in the log and is taken up at the next start). */
bool tc_runner_stop(struct tc_runner *r, int64_t deadline_mono_ns);
