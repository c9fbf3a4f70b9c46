/* persist.h - the store role: reads the bus and writes the store, each record exactly once.
 *
 * It reads only synced records, from the positions the store holds, and writes rows and position in one
 * transaction. The bus may forget a record once the store is durable past it (store.h).
 *
 * Metrics: tickcast_stored_total{result="inserted|superseded|duplicate|dead_lettered"},
 * tickcast_store_write_seconds (one put), tickcast_lag_records{role="store",topic="bars|forecasts"} (records
 * on the bus, synced, not stored yet), tickcast_store_pruned_total.
 */
#pragma once

#include "bus/bus.h"
#include "role/role.h"
#include "store/store.h"

#include <stddef.h>

struct tc_persist_conf {
    struct tc_bus *bus;
    struct tc_store *store; /* the writer; owned by the caller, used by the role's thread only */
    bool forecasts;         /* false: no forecast role runs; the end of bars alone ends this role */
    size_t batch_rows;      /* records in one transaction at most; 0 = 4096 */
    int64_t batch_wait_ns;  /* how long a smaller batch may wait to grow, so that fewer pages are written more
                               often than once; 0 = write at once */
    int64_t retain_forecasts_ns; /* forecasts and outcomes older than this before the newest one are deleted,
                                    a few at a time; 0 = keep all */
    bool posts;                  /* posts are retained only so long: */
    int64_t keep_posts_ns, recheck_posts_ns,
        keep_mentions_ns;         /* those asked for again; others; scores alone */
    const char *dead_letter_path; /* file for records that cannot be decoded, one JSON object a line */
};

/* TC_ENOTFOUND: the bus has already removed records that the store has not seen (the message says which). */
int tc_persist_open(const struct tc_persist_conf *conf, struct tc_role *out);

/* Any thread, while the role runs: has everything that the bus holds now stored without waiting for larger
 * batches, and returns when it is, or after the timeout, or at once when so much is missing that it would
 * take too long. What reads the store after it misses nothing that was published before it. */
void tc_persist_catch_up(const struct tc_role *role, int64_t timeout_ns);
