/* play.h - a feed played through the collect role into a function, with no bus folder and no store: training
 * and back-test see exactly the records that a run would publish. */
#pragma once

#include "feed/feed.h"
#include "market/calendar.h"

#include "bus/record.h"

/* Takes one record of topic bars (not the checkpoints); any answer but 0 ends the play and is what tc_play
 * returns. */
typedef int (*tc_play_fn)(void *ctx, const struct tc_record *r, int64_t offset);

/* Plays the feed to its end. `feed` and `calendar` stay the caller's. One thread; allocates only when opened.
 */
int tc_play(struct tc_feed *feed, const struct tc_calendar *calendar, int64_t replay_delay_ns, tc_play_fn fn,
            void *ctx);
