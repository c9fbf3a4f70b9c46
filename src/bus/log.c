#include "base/clock.h"
#include "base/err.h"
#include "bus/file.h"
#include "bus/log_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PUBLISH_MAX = 4 * TC_FRAME_MAX, /* bytes of one publish */
    PUBLISH_ROOM = 500 << 10,       /* taken at open: enough for a role's batch */
    PUBLISH_KEEP = 1 << 20,         /* a larger buffer is given back after use */
};

void tc_log_notify(struct log_bus *b)
{
    atomic_fetch_add(&b->seq, 1);
    if (!atomic_load(
            &b->waiters)) /* a waiter counts itself before it looks at seq: one of us sees the other */
        return;
    pthread_mutex_lock(&b->wait_lock);
    pthread_cond_broadcast(&b->wait_cond);
    pthread_mutex_unlock(&b->wait_lock);
}

/* Closes the last segment and starts the next; the full one stays open until it is synced. */
int tc_log_roll(struct log_bus *b, struct log_topic *t)
{
    int64_t now = tc_now_ns(), base = atomic_load(&t->end);
    if (t->n_pending == LOG_PENDING) {
        if (tc_files->fsync(t->pending[0])) {
            tc_log_break(b, "cannot sync a segment in", t->dir, errno);
            return tc_log_broken(b);
        }
        if (t->pending[0] == t->in_sync) /* closed now, its number could come to name another file */
            t->left_open = t->pending[0];
        else
            tc_files->close(t->pending[0]);
        memmove(t->pending, t->pending + 1, (LOG_PENDING - 1) * sizeof(t->pending[0]));
        t->n_pending--;
    }
    struct tc_segment s = {.base = base, .end = base, .bytes = TC_SEG_HEADER, .newest = now, .begun = now};
    int fd = tc_segment_create(t->dir, t->id, base, now);
    if (fd < 0)
        return fd;
    int rc = tc_log_add_segment(t, &s);
    if (rc) {
        char path[PATH_MAX];
        tc_segment_path(t->dir, base, path);
        tc_files->close(fd);
        tc_files->unlink(path);
        return rc;
    }
    t->pending[t->n_pending++] = t->fd;
    t->fd = fd;
    t->dir_dirty = true;
    atomic_fetch_add(&t->bytes, TC_SEG_HEADER);
    return TC_OK;
}

/* All of the bytes or none: what a failed write left is cut off again. */
static int append(struct log_bus *b, struct log_topic *t, const char *bytes, size_t n)
{
    struct tc_segment *s = &t->seg[t->n_seg - 1];
    size_t done = 0;
    while (done < n) {
        ssize_t k = tc_files->write(t->fd, bytes + done, n - done);
        if (k > 0) {
            done += (size_t)k;
            continue;
        }
        if (k < 0 && errno == EINTR)
            continue;
        int err = k < 0 ? errno : ENOSPC;
        char path[PATH_MAX];
        tc_segment_path(t->dir, s->base, path);
        if (done && tc_files->ftruncate(t->fd, (off_t)s->bytes))
            tc_log_break(b, "cannot cut a half written batch off", path, errno);
        return tc_fail(TC_EIO, "cannot write %zu bytes to %s: %s", n, path, strerror(err));
    }
    return TC_OK;
}

static int encode_all(struct log_topic *t, const struct tc_record *records, size_t n)
{
    tc_buf_clear(&t->out);
    for (size_t i = 0; i < n; i++) {
        int rc = tc_frame_put(&records[i], &t->out);
        if (rc)
            return tc_more(rc, "topic %s, record %zu of %zu", tc_topic_name(t->id), i + 1, n);
    }
    return TC_OK;
}

static int publish_locked(struct log_bus *b, struct log_topic *t, size_t n)
{
    const struct tc_segment *last = &t->seg[t->n_seg - 1];
    int rc = TC_OK;
    if (last->end > last->base && last->bytes + t->out.len > b->conf.segment_bytes)
        rc = tc_log_roll(b, t);
    if (!rc)
        rc = append(b, t, t->out.data, t->out.len);
    if (rc)
        return rc;
    struct tc_segment *s = &t->seg[t->n_seg - 1];
    s->bytes += t->out.len;
    s->end += (int64_t)n;
    s->newest = tc_now_ns();
    atomic_fetch_add(&t->bytes, t->out.len);
    atomic_store_explicit(&t->end, s->end, memory_order_release);
    return TC_OK;
}

static int publish(void *self, enum tc_topic topic, const struct tc_record *records, size_t n)
{
    struct log_bus *b = self;
    struct log_topic *t = &b->topic[topic];
    if (!n)
        return TC_OK;
    int rc = tc_log_broken(b);
    if (!rc)
        rc = encode_all(t, records, n);
    if (!rc) {
        pthread_mutex_lock(&t->lock);
        rc = publish_locked(b, t, n);
        pthread_mutex_unlock(&t->lock);
    }
    if (t->out.cap > PUBLISH_KEEP) {
        tc_buf_release(&t->out);
        tc_buf_init(&t->out, PUBLISH_MAX);
    }
    if (!rc)
        tc_log_notify(b);
    return rc;
}

static int sync_now(void *self)
{
    return tc_log_sync(self);
}

static void stat_topic(void *self, enum tc_topic topic, struct tc_bus_stat *out)
{
    const struct log_topic *t = &((const struct log_bus *)self)->topic[topic];
    /* synced before end, so that it never seems to be ahead */
    out->synced = atomic_load(&t->synced);
    out->first = atomic_load(&t->first);
    out->end = atomic_load(&t->end);
    out->bytes = atomic_load(&t->bytes);
}

static int truncate_topic(void *self, enum tc_topic topic, int64_t end)
{
    struct log_bus *b = self;
    int rc = tc_log_sync(b);
    pthread_mutex_lock(&b->sync_lock);
    pthread_mutex_lock(&b->topic[topic].lock);
    if (!rc)
        rc = tc_log_cut(b, topic, end);
    pthread_mutex_unlock(&b->topic[topic].lock);
    pthread_mutex_unlock(&b->sync_lock);
    return rc;
}

static void commit(void *self, const char *group, enum tc_topic topic, int64_t position)
{
    struct log_bus *b = self;
    pthread_mutex_lock(&b->group_lock);
    size_t i = 0;
    while (i < b->n_group && strcmp(b->group[i].name, group))
        i++;
    if (i == b->n_group && i < LOG_GROUPS && strlen(group) < LOG_GROUP_NAME) {
        memcpy(b->group[i].name, group, strlen(group) + 1);
        for (int t = 0; t < TC_TOPIC_COUNT; t++)
            b->group[i].position[t] = -1;
        b->n_group++;
    }
    if (i < b->n_group)
        b->group[i].position[topic] = position;
    pthread_mutex_unlock(&b->group_lock);
}

static void wait_for_more(void *self, uint64_t *seen, int64_t timeout_ns)
{
    struct log_bus *b = self;
    if (atomic_load(&b->seq) == *seen && timeout_ns > 0) {
        int64_t until = tc_mono_ns() + timeout_ns;
        struct timespec ts = {.tv_sec = until / TC_NS_PER_SEC, .tv_nsec = until % TC_NS_PER_SEC};
        pthread_mutex_lock(&b->wait_lock);
        atomic_fetch_add(&b->waiters, 1);
        int rc = 0;
        while (atomic_load(&b->seq) == *seen && rc == 0)
            rc = pthread_cond_timedwait(&b->wait_cond, &b->wait_lock, &ts);
        atomic_fetch_sub(&b->waiters, 1);
        pthread_mutex_unlock(&b->wait_lock);
    }
    *seen = atomic_load(&b->seq);
}

static void wake(void *self)
{
    tc_log_notify(self);
}

static void close_bus(void *self)
{
    struct log_bus *b = self;
    if (!b)
        return;
    if (b->sync_running) {
        pthread_mutex_lock(&b->stop_lock);
        b->stop = true;
        pthread_cond_signal(&b->stop_cond);
        pthread_mutex_unlock(&b->stop_lock);
        pthread_join(b->sync_thread, NULL);
        if (tc_log_sync(b) == TC_OK)
            tc_files->fsync(b->mark_fd);
    }
    for (int i = 0; i < TC_TOPIC_COUNT; i++) {
        struct log_topic *t = &b->topic[i];
        for (size_t k = 0; k < t->n_pending; k++)
            tc_files->close(t->pending[k]);
        if (t->fd >= 0)
            tc_files->close(t->fd);
        free(t->seg);
        tc_buf_release(&t->out);
        pthread_mutex_destroy(&t->lock);
    }
    if (b->mark_fd >= 0)
        tc_files->close(b->mark_fd);
    pthread_mutex_destroy(&b->sync_lock);
    pthread_mutex_destroy(&b->stop_lock);
    pthread_mutex_destroy(&b->wait_lock);
    pthread_mutex_destroy(&b->group_lock);
    pthread_cond_destroy(&b->stop_cond);
    pthread_cond_destroy(&b->wait_cond);
    free(b);
}

static const struct tc_bus_ops log_ops = {
    .name = "log",
    .publish = publish,
    .sync = sync_now,
    .stat = stat_topic,
    .truncate = truncate_topic,
    .open_reader = tc_log_open_reader,
    .read = tc_log_read,
    .close_reader = tc_log_close_reader,
    .commit = commit,
    .wait = wait_for_more,
    .wake = wake,
    .close = close_bus,
};

static struct log_bus *new_bus(const struct tc_log_bus_conf *conf)
{
    struct log_bus *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->conf = *conf;
    b->conf.sync_every_ns = conf->sync_every_ns > 0 ? conf->sync_every_ns : 50 * TC_NS_PER_MS;
    b->conf.segment_bytes = conf->segment_bytes ? conf->segment_bytes : 16u << 20;
    b->mark_fd = -1;
    b->opened_mono = tc_mono_ns();
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_mutex_init(&b->sync_lock, NULL);
    pthread_mutex_init(&b->stop_lock, NULL);
    pthread_mutex_init(&b->wait_lock, NULL);
    pthread_mutex_init(&b->group_lock, NULL);
    pthread_cond_init(&b->stop_cond, &mono);
    pthread_cond_init(&b->wait_cond, &mono);
    pthread_condattr_destroy(&mono);
    for (int i = 0; i < TC_TOPIC_COUNT; i++) {
        struct log_topic *t = &b->topic[i];
        t->id = (enum tc_topic)i;
        t->fd = -1;
        t->in_sync = t->left_open = -1;
        pthread_mutex_init(&t->lock, NULL);
        tc_buf_init(&t->out, PUBLISH_MAX);
    }
    return b;
}

static int open_folder(struct log_bus *b)
{
    if (mkdir(b->conf.dir, 0755) && errno != EEXIST)
        return tc_fail(TC_EIO, "cannot make the folder %s: %s", b->conf.dir, strerror(errno));
    snprintf(b->dir, sizeof(b->dir), "%s", b->conf.dir);
    b->conf.dir = b->dir;
    int rc = tc_log_open_mark(b);
    for (int i = 0; !rc && i < TC_TOPIC_COUNT; i++) {
        struct log_topic *t = &b->topic[i];
        if (!tc_buf_reserve(&t->out,
                            PUBLISH_ROOM)) /* so that publishing allocates for a rare large batch only */
            return tc_fail(TC_ENOMEM, "no memory for topic %s", tc_topic_name(t->id));
        snprintf(t->dir, sizeof(t->dir), "%.*s/%s", PATH_MAX - 64, b->dir, tc_topic_name(t->id));
        rc = tc_log_open_topic(b, t->id);
    }
    if (!rc)
        rc = tc_sync_folder(b->dir);
    if (rc)
        return rc;
    int64_t mark[TC_TOPIC_COUNT];
    for (int i = 0; i < TC_TOPIC_COUNT; i++)
        mark[i] = atomic_load(&b->topic[i].synced);
    return tc_log_write_mark(b, mark, true);
}

int tc_log_bus_open(const struct tc_log_bus_conf *conf, struct tc_bus *out)
{
    *out = (struct tc_bus){.ops = &log_ops};
    if (strlen(conf->dir) > PATH_MAX - 128)
        return tc_fail(TC_ECONF, "the path of the log folder is too long");
    struct log_bus *b = new_bus(conf);
    if (!b)
        return tc_fail(TC_ENOMEM, "no memory for the log bus");
    int rc = open_folder(b);
    if (!rc && pthread_create(&b->sync_thread, NULL, tc_log_sync_main, b))
        rc = tc_fail(TC_ENOMEM, "cannot start the sync thread");
    if (rc) {
        close_bus(b);
        return rc;
    }
    b->sync_running = true;
    out->self = b;
    return TC_OK;
}
