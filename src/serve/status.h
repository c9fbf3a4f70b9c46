/* status.h - the STATUS object of docs/api.md: how the program is, in one answer. Any thread. */
#pragma once

#include "serve/live.h"

int tc_status_open(struct tc_serve *s, struct tc_status **out);
void tc_status_close(struct tc_status *st); /* takes NULL */

/* Role's thread, once a second: takes the counters that rates are made of. */
void tc_status_tick(struct tc_status *st, int64_t mono);
void tc_status_write(struct tc_status *st, struct tc_buf *out);

/* True when data is flowing or the replay is complete; else *why says what is missing (static text). */
bool tc_status_ready(struct tc_status *st, const char **why);
