/* sim_market.h - the made-up market behind the simulated feed, second by second.
 *
 * Model, a symbol (sources: Hawkes 1971 for self-exciting arrivals; Roll 1984 for the bid-ask bounce;
 * Cont, Kukanov, Stoikov 2014 for queue imbalance ahead of the price):
 *  - a hidden efficient price: a random walk with part of its noise shared by all symbols, pinned at the ends
 *    of blocks of 15 minutes (Brownian bridge) to values that are themselves drawn from the block's number.
 *    So any second can be reached without running the days before it. Days hang between slow waves.
 *  - volatility that drifts from block to block and follows the day's U, as does the arrival of trades
 *  - a quote on whole cents around it, moved when the efficient price leaves it; queue sizes lean to the side
 *    where the efficient price is, with noise
 *  - trades in self-exciting bursts, at bid or ask with a leaning side that tends to repeat; some off the
 *    exchanges at the midpoint or a fraction of a cent inside
 *
 * Names known from real markets get their order of price and activity, all others theirs from the name's
 * hash. Allocates at open only. One thread.
 */
#pragma once

#include "feed/feed.h"

enum { TC_SIM_BLOCK_S = 900 };

struct tc_sim_market;

int tc_sim_market_open(struct tc_sim_market **out, uint64_t seed, const char (*symbols)[TC_SYMBOL_SIZE],
                       uint32_t n);
void tc_sim_market_close(struct tc_sim_market *m);

/* Makes the events of the second (number since 1970) and returns how many; they are valid until the next
 * call. In order of time. Cheap for the second after the last one asked for; another costs up to a block. */
size_t tc_sim_market_second(struct tc_sim_market *m, int64_t second);
void tc_sim_market_event(const struct tc_sim_market *m, size_t i, struct tc_event *out);
