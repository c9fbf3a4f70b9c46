/* statusline.h - one line on the terminal that updates in place; elsewhere a plain line now and then.
 *
 * Log lines step over it: it registers itself with base/log.h. Main thread only.
 */
#pragma once

#include <stdbool.h>

void tc_statusline_open(const char *mode); /* "SIMULATED", "REPLAY 10x" */
void tc_statusline_update(bool last);      /* call a few times a second; `last` leaves the line standing */
