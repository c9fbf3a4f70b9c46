/* bus.h - an ordered, durable log of records: topics, offsets, readers.
 *
 * Offsets of a topic are dense: 0, 1, 2 ... A topic has one writer at a time. A published record can be read
 * at once, and survives a killed process; it survives a lost machine once it is below synced(). Topics are
 * made durable in the order of enum tc_topic, so that a durable forecast always has a durable bar behind it.
 *
 * Threads: publish() by the topic's writer only; readers one thread each; the rest from any thread.
 */
#pragma once

#include "bus/record.h"

struct tc_bus_reader; /* opaque, made by open_reader */

enum { TC_READ_SYNCED = 1 }; /* give only records that are durable (the store's reader) */

struct tc_bus_stat {
    int64_t first, end, synced; /* offsets: oldest kept, next to write, durable up to */
    uint64_t bytes;
};

struct tc_bus_ops {
    const char *name;
    /* All or none of the records. TC_EIO when the disk is full or broken (nothing was published). */
    int (*publish)(void *self, enum tc_topic topic, const struct tc_record *records, size_t n);
    /* Makes everything published so far durable before it returns. */
    int (*sync)(void *self);
    void (*stat)(void *self, enum tc_topic topic, struct tc_bus_stat *out);
    /* Cuts the topic so that `end` becomes its end; only before anything reads it (recovery). */
    int (*truncate)(void *self, enum tc_topic topic, int64_t end);
    /* A reader that starts at `offset` (TC_ENOTFOUND when retention has removed it; below 0 = oldest kept).
     */
    int (*open_reader)(void *self, enum tc_topic topic, int64_t offset, int flags,
                       struct tc_bus_reader **out);
    /* TC_OK: one record and its offset, valid until the next call. TC_AGAIN: nothing new. TC_EINPUT with an
     * offset: that record is whole but not understood, and the next call goes on after it; with offset -1:
     * the log is damaged there and cannot be read on. */
    int (*read)(struct tc_bus_reader *r, struct tc_record *out, int64_t *out_offset);
    void (*close_reader)(struct tc_bus_reader *r);
    /* Retention keeps what a named group has not passed yet. */
    void (*commit)(void *self, const char *group, enum tc_topic topic, int64_t position);
    /* Blocks until something is published or becomes durable after `seen` (a counter this call updates), or
     * the time is up. */
    void (*wait)(void *self, uint64_t *seen, int64_t timeout_ns);
    /* Wakes every waiter (shutdown). */
    void (*wake)(void *self);
    void (*close)(void *self);
};

struct tc_bus {
    const struct tc_bus_ops *ops;
    void *self;
};

struct tc_log_bus_conf {
    const char *dir;         /* folder of the topics; made when absent */
    int64_t sync_every_ns;   /* group commit; 50 ms by default */
    uint64_t segment_bytes;  /* 16 MiB by default */
    uint64_t retain_bytes;   /* a topic's size above which old segments go; 0 = keep all */
    int64_t retain_ns;       /* age above which old segments go; 0 = keep all */
    int64_t retain_posts_ns; /* no record of topic posts stays longer, once all groups have passed it; 0 = as
                                the rest */
};

/* Opens the folder, cuts a torn tail, starts the sync thread. */
int tc_log_bus_open(const struct tc_log_bus_conf *conf, struct tc_bus *out);
