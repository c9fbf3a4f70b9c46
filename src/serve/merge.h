/* merge.h - the topics of the bus as one stream of records, causes first: a forecast comes after the bars it
 * was made from. Posts go in between as they are there. One thread. */
#pragma once

#include "bus/bus.h"
#include "serve/hub.h"

struct tc_merge {
    const struct tc_bus *bus;
    struct tc_bus_reader *readers[TC_TOPIC_COUNT];
    struct tc_vector at; /* next offset of each topic */
    bool held;           /* `forecast` waits for its cause */
    int64_t held_offset;
    bool post_next; /* posts have their turn: after each other record, so that neither waits long */
    struct tc_record bar, forecast, post; /* what was read last of each topic */
};

/* TC_ENOTFOUND when retention has removed the place. */
int tc_merge_open(struct tc_merge *m, const struct tc_bus *bus, const struct tc_vector *at);
void tc_merge_close(struct tc_merge *m); /* takes one that was never opened (all zero) */

/* TC_OK: *out is the next record, valid until the next call. TC_AGAIN: nothing new. */
int tc_merge_next(struct tc_merge *m, const struct tc_record **out, enum tc_topic *topic, int64_t *offset);
