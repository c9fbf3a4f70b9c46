/* collect.h - the role that turns a feed into the topic `bars`.
 *
 * At each second that the feed's watermark has passed it publishes, in this order: the second's bars in the
 * order of the feed's symbols, the quotes that moved in seconds without a bar, and the second marker. Markers
 * are written for every second of the calendar's regular session, and outside it from a day's first event to
 * its last. Each minute of event time (each second minute from 64 symbols on, each third from 128 and so on)
 * follow the quality totals that changed and a checkpoint (builder, totals, the feed's cursor). A gap told by
 * the feed is passed on at once. At a day's end follow the quality totals, at the start of all a checkpoint,
 * and when the feed ends the rest of the session, quality, a checkpoint and TC_REC_END.
 *
 * Time stamps: `available` is the second's end + replay_delay_ns up to feed.live_from, and the clock's (never
 * running backwards) after it. So a replay that was killed and goes on writes the same bytes.
 *
 * Quality counts the seconds of the regular session: traded (a bar), unknown (in a gap and no bar), no_trade
 * (the rest). late: trades and bars that came after their second's marker; revised: those that made a new
 * version of a bar; duplicates: vendor's bars sent twice; backfilled: bars of origin backfill.
 *
 * A live feed's checkpoint is not made again record for record (nobody can ask for its trades twice): on
 * start the role counts what it wrote behind the checkpoint and goes on behind its last second marker. Each
 * live feed has a role of its own in the topic, so several may stand side by side; they are run by one thread
 * (role/group.h), since a topic has one writer.
 *
 * A live feed that starts inside a session tells nothing of what came before: the session up to there is a
 * gap (not_running). Files speak for the whole session, and a simulated market begins where it begins.
 */
#pragma once

#include "bus/bus.h"
#include "feed/feed.h"
#include "market/calendar.h"
#include "role/role.h"

struct tc_collect_conf {
    struct tc_feed *feed; /* feed, bus and calendar stay the caller's and must outlive the role */
    struct tc_bus *bus;
    const struct tc_calendar *calendar;
    int64_t replay_delay_ns;
    int64_t snapshot_position; /* of a collect checkpoint the store knows; -1 = none */
};

enum { TC_COLLECT_NAME = 12 };

/* Under which the role keeps its checkpoints: "collect", or "in.NAME" for a live feed. */
void tc_collect_name(const struct tc_feed *feed, char out[static TC_COLLECT_NAME]);

/* Restores the last checkpoint of the topic. TC_ECONF: it is of a feed with another identity. */
int tc_collect_open(const struct tc_collect_conf *conf, struct tc_role *out);
