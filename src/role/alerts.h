/* alerts.h - rules that a person wrote, watched each second: an alert rises when its condition has held for a
 * while and falls when the value is well back on the good side, so one that sways about its bound does not
 * ring all the time. Both are logged, written into the ledger and handed to the receivers (role/notify.h).
 *
 * A rule is one line: KIND [SUBJECT] > or < BOUND [for DURATION] [clear BOUND]
 *
 *   silent [FEED] > 30s    nothing has come from a feed for so long, while its market is open and it is awake
 *   gap [SYMBOL] > 10s     a span of which nothing is known, told in the last five minutes
 *   skill [SYMBOL] < 0     1 - error / error of "no change" on the price of the next trade, in the newest
 * hour, of the best model with at least 500 scored forecasts price SYMBOL > 700     the last price; < as well
 *   disk < 2GiB            free space of the data folder
 *   lag > 100000           records that wait to be stored or forecast
 *
 * Without `clear` it falls at: half the bound (silent, lag), 0.01 above (skill), a thousandth back (price), a
 * tenth above (disk).
 *
 * Metrics: tickcast_alerts_standing, and those of role/notify.h.
 */
#pragma once

#include "bus/bus.h"
#include "role/notify.h"
#include "role/schedule.h"

enum { TC_ALERT_RULES_MAX = 64 };

enum tc_alert_kind {
    TC_ALERT_SILENT,
    TC_ALERT_GAP,
    TC_ALERT_SKILL,
    TC_ALERT_PRICE,
    TC_ALERT_DISK,
    TC_ALERT_LAG
};

struct tc_alert_rule {
    enum tc_alert_kind kind;
    bool below; /* rises below the bound */
    char subject[TC_SYMBOL_SIZE];
    char text[TC_RULE_SIZE];
    double bound, clear; /* seconds, bytes, prices, records */
    int64_t for_ns;
};

/* TC_ECONF says what is wrong with the line. */
int tc_alert_rule_parse(const char *text, struct tc_alert_rule *out);

struct tc_alerts_conf {
    const char *const *rules;
    size_t n_rules;
    struct tc_bus *bus;
    const char *store_path, *data_dir;
    const struct tc_schedule_feed *feeds; /* copied */
    size_t n_feeds;
    struct tc_ledger *ledger;
    struct tc_notify_conf notify;
};

struct tc_alerts;

/* Everything pointed to must outlive it. */
int tc_alerts_open(const struct tc_alerts_conf *conf, struct tc_alerts **out);
void tc_alerts_close(struct tc_alerts *a); /* takes NULL; standing alerts end in the ledger */

/* The schedule role's thread, each second. Takes what there is on the bus, up to a bound. */
void tc_alerts_step(void *alerts, int64_t now);

/* Any thread: the alerts that stand, as a JSON array of ALERT (docs/api.md). */
void tc_alerts_write(struct tc_alerts *a, struct tc_buf *out);
