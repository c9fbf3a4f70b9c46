/* adjusted.h - histories with splits and changes of symbol applied as they are read (market/actions.h): rows
 * of what a symbol was called before come under its name of today, prices before a split are divided, sizes
 * multiplied. What is stored stays as it came.
 */
#pragma once

#include "market/actions.h"
#include "market/calendar.h"
#include "store/store.h"

/* One of the store's range scans. */
typedef int (*tc_scan_fn)(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);

struct tc_adjusted {
    const struct tc_store *store;
    const struct tc_actions *actions;   /* NULL = rows as they are stored */
    const struct tc_calendar *calendar; /* whose days the actions mean; NULL = UTC's */
    int32_t as_of;                      /* splits up to this day count; 0 = all in the list */
};

/* `scan` is bars, quotes, forecasts or outcomes of a->store; q needs a symbol for actions to apply. */
int tc_adjusted_scan(const struct tc_adjusted *a, tc_scan_fn scan, const struct tc_range *q, tc_row_fn fn,
                     void *ctx);
