/* log_scan.h - reads a topic's files from the oldest record to the newest without touching them: for logs
 * that belong to another run, also one that is still being written. One thread.
 */
#pragma once

#include "bus/record.h"

struct tc_log_scan;

/* `dir` is the bus folder. TC_ENOTFOUND when it holds no such topic. */
int tc_log_scan_open(const char *dir, enum tc_topic topic, struct tc_log_scan **out);
void tc_log_scan_close(struct tc_log_scan *s); /* takes NULL */

/* TC_OK: the next record, valid until the next call. TC_DONE: the end; a torn last record counts as not yet
 * written. TC_EINPUT: damaged (with file and byte), or a record that this version does not know, after which
 * the scan may go on; *damaged tells which. */
int tc_log_scan_next(struct tc_log_scan *s, struct tc_record *out, bool *damaged);

/* Where the last record stands. */
const char *tc_log_scan_path(const struct tc_log_scan *s);
int64_t tc_log_scan_offset(const struct tc_log_scan *s);
