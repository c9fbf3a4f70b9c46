/* log_int.h - the log bus from inside: shared by log.c (publishing), log_sync.c (durability, retention),
 * log_open.c (recovery) and log_reader.c. Nobody else includes it.
 *
 * Locks, in the order they may nest: sync_lock (one sync at a time), topic.lock (segments and descriptors),
 * wait_lock, group_lock. Readers take none: they learn from `end` and `synced` how far they may read.
 */
#pragma once

#include "bus/bus.h"
#include "bus/log_segment.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LOG_PENDING = 8, LOG_GROUPS = 16, LOG_GROUP_NAME = 24, LOG_ERROR_SIZE = 512 };

struct log_topic {
    enum tc_topic id;
    char dir[PATH_MAX];
    pthread_mutex_t lock;
    struct tc_segment *seg; /* rising; the last is the one written to */
    size_t n_seg, cap_seg;
    int fd;                   /* of the last segment */
    int pending[LOG_PENDING]; /* full segments not synced yet */
    size_t n_pending;
    int in_sync;            /* descriptor that a sync works on outside of the lock; -1 = none */
    int left_open;          /* it was to be closed meanwhile: the sync does so at its end; -1 = no */
    bool dir_dirty;         /* a segment was made and the folder not synced since */
    struct tc_buf out;      /* frames of one publish */
    _Atomic int64_t first;  /* oldest kept */
    _Atomic int64_t end;    /* release after the bytes are in the file; pairs with the readers' acquire */
    _Atomic int64_t synced; /* release after fsync; pairs the same way */
    _Atomic uint64_t bytes;
};

struct log_group {
    char name[LOG_GROUP_NAME];
    int64_t position[TC_TOPIC_COUNT]; /* -1 = never committed there */
};

struct log_bus {
    struct tc_log_bus_conf conf;
    char dir[PATH_MAX];
    struct log_topic topic[TC_TOPIC_COUNT];
    int mark_fd; /* file `synced`: a lower bound of what is durable */
    int64_t mark[TC_TOPIC_COUNT];
    _Atomic int64_t opened_mono; /* atomic for tests alone, which set them back */

    pthread_mutex_t sync_lock;
    pthread_t sync_thread;
    bool sync_running;
    pthread_mutex_t stop_lock;
    pthread_cond_t stop_cond;
    bool stop;
    _Atomic int64_t pruned_mono; /* when retention was looked at last */

    atomic_bool broken; /* a sync failed: what is durable is no longer known, so nothing more is taken */
    char broken_text[LOG_ERROR_SIZE]; /* written before broken is set */

    pthread_mutex_t wait_lock;
    pthread_cond_t wait_cond;
    _Atomic uint64_t seq; /* counts publishes and syncs */
    _Atomic int waiters;

    pthread_mutex_t group_lock;
    struct log_group group[LOG_GROUPS];
    size_t n_group;
};

/* log_open.c */
int tc_log_open_topic(struct log_bus *b, enum tc_topic id);
int tc_log_cut(struct log_bus *b, enum tc_topic id, int64_t end);
int tc_log_open_mark(struct log_bus *b);
int tc_log_write_mark(struct log_bus *b, const int64_t mark[TC_TOPIC_COUNT], bool durable);
int tc_log_add_segment(struct log_topic *t, const struct tc_segment *s);

/* log_sync.c */
int tc_log_sync(struct log_bus *b);
void *tc_log_sync_main(void *bus);
int tc_log_broken(const struct log_bus *b); /* TC_OK, or TC_EIO with the reason */
void tc_log_break(struct log_bus *b, const char *what, const char *where, int err);

/* log.c */
int tc_log_roll(struct log_bus *b, struct log_topic *t); /* begins a segment; t->lock is held */
void tc_log_notify(struct log_bus *b);

/* log_reader.c */
int tc_log_open_reader(void *self, enum tc_topic topic, int64_t offset, int flags,
                       struct tc_bus_reader **out);
int tc_log_read(struct tc_bus_reader *r, struct tc_record *out, int64_t *out_offset);
void tc_log_close_reader(struct tc_bus_reader *r);
