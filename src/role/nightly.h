/* nightly.h - the jobs that need nothing but the store: retention, the quality report, and the comparison
 * with a vendor's bars. Each is a struct tc_job for the schedule role; all run on its thread.
 */
#pragma once

#include "market/actions.h"
#include "market/calendar.h"
#include "role/schedule.h"

struct tc_nightly_conf {
    const char *store_path;
    struct tc_ledger *ledger;
    const struct tc_calendar *calendar;
    const struct tc_actions *actions; /* NULL = none are known */
    int64_t retain_ledger_ns;         /* runs, alerts and comparisons older than this go; 0 = keep all */
    /* Bars of the vendor, as a replay reads them: a LEAN folder with second bars, or CSV files of bars of a
     * minute or a second. NULL: the comparison is skipped, and says so. */
    const char *vendor_path;
};

struct tc_nightly;

/* Strings are borrowed. */
int tc_nightly_open(const struct tc_nightly_conf *conf, struct tc_nightly **out);
void tc_nightly_close(struct tc_nightly *n); /* takes NULL; after the schedule role */

struct tc_job tc_nightly_retention(struct tc_nightly *n);
/* Sums up the session's ledger in one sentence, and flags symbols whose first price of the session stands to
 * the last one before it as whole numbers do, without a split in the list of actions. */
struct tc_job tc_nightly_quality(struct tc_nightly *n);
/* Own minute bars and the session's volume against the vendor's. */
struct tc_job tc_nightly_reconcile(struct tc_nightly *n);
