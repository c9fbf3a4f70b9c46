/* notify.h - tells somebody outside of an alert: a webhook, a command. Each has a thread and a bounded queue
 * of its own, so a slow or dead receiver holds nothing up; when its queue is full the oldest message goes,
 * and that is counted.
 *
 * The webhook gets a POST with the message's JSON; no answer, 429 or 5xx is tried again, three times in all.
 * The command gets the JSON on its standard input and the parts in its environment (TICKCAST_ALERT_RULE,
 * _SUBJECT, _STATE, _VALUE, _MESSAGE); it is killed after 30 s. No shell reads anything of it.
 *
 * Metrics: tickcast_alert_messages_total{to="webhook|command",result="sent|failed|dropped"}.
 */
#pragma once

#include "base/buf.h"
#include "store/ledger.h"

struct tc_notify;

struct tc_notify_conf {
    const char *webhook; /* NULL = none; a secret */
    const char *command; /* a program's path; NULL = none */
    int64_t retry_ns;    /* before the second try, three times that before the third; 0 = 2 s */
};

int tc_notify_open(const struct tc_notify_conf *conf, struct tc_notify **out);
/* Messages still waiting are dropped; a receiver that is being spoken to is left. Takes NULL. */
void tc_notify_close(struct tc_notify *n);

/* Never waits. An alert with `until` set has ended. */
void tc_notify_put(struct tc_notify *n, const struct tc_ledger_alert *alert);
