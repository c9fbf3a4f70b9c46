#include "base/clock.h"
#include "base/err.h"
#include "bus/file.h"
#include "bus/log_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PRUNE_EVERY_S = 1, PRUNE_GRACE_S = 60 };

void tc_log_break(struct log_bus *b, const char *what, const char *where, int err)
{
    if (atomic_load(&b->broken))
        return;
    snprintf(
        b->broken_text, sizeof(b->broken_text),
        "%s %s: %s. What is on the disk is no longer certain; nothing more is written. Mend the disk and "
        "start again",
        what, where, strerror(err));
    atomic_store(&b->broken, true);
}

int tc_log_broken(const struct log_bus *b)
{
    return atomic_load(&b->broken) ? tc_fail(TC_EIO, "%s", b->broken_text) : TC_OK;
}

/* What one topic has to sync, taken under its lock and worked off outside of it. */
struct todo {
    int64_t end;
    int fd;
    int pending[LOG_PENDING];
    size_t n_pending;
    bool dir;
};

static void take_todo(struct log_topic *t, struct todo *d)
{
    pthread_mutex_lock(&t->lock);
    d->end = atomic_load(&t->end);
    d->fd = t->fd;
    d->n_pending = t->n_pending;
    memcpy(d->pending, t->pending, sizeof(d->pending));
    d->dir = t->dir_dirty;
    t->in_sync = t->fd;
    t->n_pending = 0;
    t->dir_dirty = false;
    pthread_mutex_unlock(&t->lock);
}

static void end_todo(struct log_topic *t)
{
    pthread_mutex_lock(&t->lock);
    if (t->left_open >= 0)
        tc_files->close(t->left_open);
    t->in_sync = t->left_open = -1;
    pthread_mutex_unlock(&t->lock);
}

static int sync_topic(struct log_bus *b, struct log_topic *t, struct todo *d)
{
    bool ok = true;
    for (size_t i = 0; i < d->n_pending; i++) {
        ok = ok && !tc_files->fsync(d->pending[i]);
        if (!ok)
            tc_log_break(b, "cannot sync a segment in", t->dir, errno);
        tc_files->close(d->pending[i]);
    }
    if (ok && tc_files->fsync(d->fd)) {
        tc_log_break(b, "cannot sync the log in", t->dir, errno);
        ok = false;
    }
    if (ok && d->dir && tc_sync_folder(t->dir)) {
        tc_log_break(b, "cannot sync the folder", t->dir, errno);
        ok = false;
    }
    return ok ? TC_OK : tc_log_broken(b);
}

static int sync_locked(struct log_bus *b)
{
    struct todo todo[TC_TOPIC_COUNT];
    int64_t mark[TC_TOPIC_COUNT];
    bool dirty = false;
    for (int t = 0; t < TC_TOPIC_COUNT; t++)
        dirty = dirty || atomic_load(&b->topic[t].end) != atomic_load(&b->topic[t].synced);
    if (!dirty)
        return TC_OK;
    /* Ends from the last topic to the first, syncs from the first to the last: what a synced forecast came
     * from was published before that forecast's end was taken, so it is synced too. */
    for (int t = TC_TOPIC_COUNT - 1; t >= 0; t--)
        take_todo(&b->topic[t], &todo[t]);
    int rc = TC_OK;
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        int one = sync_topic(b, &b->topic[t], &todo[t]);
        end_todo(&b->topic[t]);
        rc = rc ? rc : one;
    }
    if (rc)
        return rc;
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        mark[t] = todo[t].end;
        atomic_store_explicit(&b->topic[t].synced, todo[t].end, memory_order_release);
    }
    tc_log_notify(b);
    rc = tc_log_write_mark(b, mark, false); /* may lag behind: a lower bound is all that recovery needs */
    if (rc)
        tc_log_break(b, "cannot note the synced position in", b->dir, errno);
    return rc;
}

int tc_log_sync(struct log_bus *b)
{
    pthread_mutex_lock(&b->sync_lock);
    int rc = tc_log_broken(b);
    if (!rc)
        rc = sync_locked(b);
    pthread_mutex_unlock(&b->sync_lock);
    return rc;
}

/* Smallest position any group has committed; -1 when no group has. */
static int64_t slowest_group(struct log_bus *b, enum tc_topic topic)
{
    int64_t least = -1;
    pthread_mutex_lock(&b->group_lock);
    for (size_t i = 0; i < b->n_group; i++) {
        int64_t p = b->group[i].position[topic];
        if (p >= 0 && (least < 0 || p < least))
            least = p;
    }
    pthread_mutex_unlock(&b->group_lock);
    return least;
}

/* Posts must not stay longer than they may, however few they are: a segment is closed after an eighth of the
 * time, and goes when its newest record has the other seven. 0 = they are kept as the rest. */
static int64_t posts_age(const struct log_bus *b)
{
    return b->conf.retain_posts_ns ? b->conf.retain_posts_ns / 8 * 7 : b->conf.retain_ns;
}

static void close_old_posts(struct log_bus *b, int64_t now)
{
    struct log_topic *t = &b->topic[TC_TOPIC_POSTS];
    pthread_mutex_lock(&t->lock);
    const struct tc_segment *s = &t->seg[t->n_seg - 1];
    if (b->conf.retain_posts_ns && s->end > s->base && s->begun < now - b->conf.retain_posts_ns / 8)
        tc_log_roll(b, t); /* a failure is told by the next publish, or it is tried again */
    pthread_mutex_unlock(&t->lock);
}

/* Takes the oldest segment off the list when retention lets it go; its base, or -1. Synced records only. */
static int64_t take_old(struct log_bus *b, struct log_topic *t, int64_t passed, int64_t now)
{
    int64_t base = -1;
    pthread_mutex_lock(&t->lock);
    const struct tc_segment *s = &t->seg[0];
    int64_t most = t->id == TC_TOPIC_POSTS ? posts_age(b) : b->conf.retain_ns;
    bool big = b->conf.retain_bytes && atomic_load(&t->bytes) > b->conf.retain_bytes;
    bool old = most && s->newest < now - most;
    if (t->n_seg > 1 && (big || old) && s->end <= passed && s->end <= atomic_load(&t->synced)) {
        base = s->base;
        atomic_fetch_sub(&t->bytes, s->bytes);
        memmove(t->seg, t->seg + 1, (t->n_seg - 1) * sizeof(*t->seg));
        t->n_seg--;
        atomic_store(&t->first, t->seg[0].base);
    }
    pthread_mutex_unlock(&t->lock);
    return base;
}

/* A group that lags must have had time to say so: nothing goes in the first minute after open, nor while no
 * group has committed at all. */
static void prune(struct log_bus *b)
{
    int64_t mono = tc_mono_ns();
    if (mono - b->pruned_mono < PRUNE_EVERY_S * TC_NS_PER_SEC ||
        mono - b->opened_mono < PRUNE_GRACE_S * TC_NS_PER_SEC)
        return;
    b->pruned_mono = mono;
    close_old_posts(b, tc_now_ns());
    for (int i = 0; i < TC_TOPIC_COUNT; i++) {
        struct log_topic *t = &b->topic[i];
        int64_t passed = slowest_group(b, (enum tc_topic)i), base;
        while (passed >= 0 && (base = take_old(b, t, passed, tc_now_ns())) >= 0) {
            char path[PATH_MAX];
            tc_segment_path(t->dir, base, path);
            /* One at a time and durably, so that a lost machine cannot leave a hole in the row of files. */
            if (tc_files->unlink(path) || tc_sync_folder(t->dir))
                break; /* the file is found again at the next open */
        }
    }
}

static int64_t sleep_deadline(const struct log_bus *b)
{
    return tc_mono_ns() + b->conf.sync_every_ns;
}

void *tc_log_sync_main(void *bus)
{
    struct log_bus *b = bus;
    pthread_mutex_lock(&b->stop_lock);
    while (!b->stop) {
        int64_t until = sleep_deadline(b);
        struct timespec ts = {.tv_sec = until / TC_NS_PER_SEC, .tv_nsec = until % TC_NS_PER_SEC};
        pthread_cond_timedwait(&b->stop_cond, &b->stop_lock, &ts);
        if (b->stop)
            break;
        pthread_mutex_unlock(&b->stop_lock);
        tc_log_sync(b); /* a failure is kept in b->broken and told by the next publish or sync */
        prune(b);
        pthread_mutex_lock(&b->stop_lock);
    }
    pthread_mutex_unlock(&b->stop_lock);
    return NULL;
}
