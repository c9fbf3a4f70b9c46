/* replay.h - recorded markets from files, in order of time over all symbols, at 1x, Nx or as fast as
 * possible.
 *
 * `path` is one of
 *  - a LEAN data folder: equity/usa/{tick,second}/SYMBOL/YYYYMMDD_{trade,quote}.zip below it, or below `lean`
 *    in it, or the folder that holds tick and second itself (docs/formats.md). Times are the calendar's local
 *    ones. A second quote bar gives the quote in force at its second's end, and its event time says so.
 *    Trades flagged suspicious are left out; sale conditions are not looked at.
 *  - a CSV file, or a folder of them (*.csv), wire/csv.h; .gz and .zst of these.
 *  - a folder recorded by tickcast (its data folder, or the folder `bus` in it): its bars with tape and
 * quotes.
 *
 * Events of the same instant come in the order of the symbols, and of one symbol in the order of its file. A
 * damaged file, a line that is no data, and a line whose time runs backwards are reported with file and line,
 * and then skipped and counted, or the replay is refused, as conf says. What a damaged file would have told,
 * and a session that has no file, is a gap (damaged_file, missing_day) of that symbol. While a session lasts,
 * its quote files are complete, so a quote that does not change is not old.
 *
 * A paced replay waits only in the regular session and the two minutes before it: nights and extended hours
 * pass at full speed.
 *
 * Memory is bounded whatever the files hold: lines to 4 KiB, one buffer a file, and a compressed file that
 * unpacks to more than 250 times its size (and more than 64 MiB) is refused as damaged.
 */
#pragma once

#include "feed/feed.h"
#include "market/calendar.h"

enum tc_on_error { TC_ON_ERROR_SKIP, TC_ON_ERROR_REFUSE };

struct tc_replay_conf {
    const char *path;
    const char *const *symbols; /* n_symbols names; none = all that the source holds */
    size_t n_symbols;
    int32_t from, to; /* session dates yyyymmdd, both inclusive; 0 = the first, the last there is */
    double speed;     /* event time over wall time; INFINITY = as fast as possible */
    enum tc_bars_from bars_from;
    enum tc_on_error on_error;
    const struct tc_calendar *calendar; /* must outlive the feed */
};

/* TC_ENOTFOUND: no such folder, symbol or day; TC_ECONF: the source cannot give what is asked for. */
int tc_replay_open(const struct tc_replay_conf *conf, struct tc_feed *out);
