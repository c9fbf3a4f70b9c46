/* simulated.h - a made-up market that needs no key and no network: the default first run, and the load of
 * tests and benchmarks.
 *
 * What happens in a second is a pure function of (seed, symbol, time): the same seed gives the same market on
 * every start, whatever symbols run beside it. At speed 1 the feed first gives `history_ns` of the past as
 * fast as it is asked, with log time, and then follows the wall clock (live_from is where that starts). After
 * a restart it goes on from its cursor: the seconds missed are given like history; when more than a day (and
 * more than history_ns) was missed, the hour is finished, then comes a gap (not_running) and a new history.
 *
 * The market is for trying things out. Skill shown on it says nothing about real markets: we built it.
 */
#pragma once

#include "feed/feed.h"

struct tc_sim_conf {
    const char *const *symbols; /* n_symbols valid names; any name makes a symbol */
    size_t n_symbols;
    uint64_t seed;
    double speed;       /* 1 = the wall clock; another N > 0: N times as fast from `start` on, with log time;
                           INFINITY = as fast as asked, with log time: wholly repeatable */
    int64_t start;      /* first second; 0 = now - history_ns. Speeds other than 1 only */
    int64_t history_ns; /* before now, at speed 1 */
    int64_t
        duration_ns; /* of event time from `start`, then TC_DONE; 0 = for ever. Speeds other than 1 only */
};

int tc_simulated_open(const struct tc_sim_conf *conf, struct tc_feed *out);
