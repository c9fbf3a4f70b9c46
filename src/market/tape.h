/* tape.h - the last trades of one symbol: cleaning, tick signs and the tape summary of a bar (definitions in
 * bars.h). Plain memory without pointers; start from all zero bytes and tc_tape_reset().
 */
#pragma once

#include "market/market.h"

enum { TC_TAPE_RING = 20, TC_TAPE_MEDIAN = 21 };

struct tc_tape_state {
    double raw[TC_TAPE_MEDIAN];    /* every print, a ring */
    double sorted[TC_TAPE_MEDIAN]; /* the same, in rising order */
    double price[TC_TAPE_RING];    /* cleaned trades, a ring */
    int8_t sign[TC_TAPE_RING];
    int8_t last_sign, unused[3];
    int32_t n_raw, raw_at, n, at;
    double last_price, up, dn, lit;
};

void tc_tape_reset(struct tc_tape_state *t);

/* True when the print passed the cleaning and entered the ring. */
bool tc_tape_add(struct tc_tape_state *t, const struct tc_trade *trade);

/* Everything but sv. */
void tc_tape_summary(const struct tc_tape_state *t, struct tc_tape *out);
