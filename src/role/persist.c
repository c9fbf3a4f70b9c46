#include "role/persist.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUP "store"
#define SYNC_EVERY_NS (5 * TC_NS_PER_SEC)
#define PRUNE_EVERY_NS (10 * TC_NS_PER_SEC)
#define PRUNE_AGAIN_NS (50 * TC_NS_PER_MS)
#define CATCH_UP_POLL_NS (5 * TC_NS_PER_MS)
#define IDLE_NS (100 * TC_NS_PER_MS)

enum { BATCH_ROWS = 4096, PRUNE_ROWS = 2000, CATCH_UP_MAX = 20000 };

struct input {
    struct tc_bus_reader *reader;
    int64_t next;          /* offset of the next record to store */
    _Atomic int64_t seen;  /* the same for other threads */
    int64_t waiting_since; /* mono; a batch that may still grow; 0 = none */
    int64_t committed;     /* what the bus was told */
    bool ended;            /* the last stored record is the topic's end */
    tc_metric *lag;
};

/* Records that were read and are not in the store yet. */
struct batch {
    struct tc_record *records;
    int64_t *offsets;
    size_t n, room;
    size_t dead;        /* records counted as dead letters */
    bool ends;          /* the newest record is the topic's end */
    struct tc_buf blob; /* of the newest checkpoint in it */
    int64_t position;   /* the offset after it */
    enum tc_topic topic;
    bool full; /* holds something to store (perhaps only a position) */
};

struct persist {
    struct tc_persist_conf conf;
    char dead_letter_path[1024];
    int dead_letter_fd;
    struct input in[TC_TOPIC_COUNT];
    struct batch batch;
    int64_t next_sync, next_prune, next_prune_posts; /* mono */
    _Atomic int64_t hurry_until;                     /* mono; until then no batch waits to grow */
    bool unsynced;                                   /* something was put since the last sync */
    int64_t newest_origin;
    tc_metric *inserted, *superseded, *duplicate, *dead, *pruned;
    struct tc_hist *write;
};

/* --- dead letters
 * -----------------------------------------------------------------------------------------*/

/* The record itself stays in the log; the line says where. After a crash a line may stand there twice. */
static int dead_letter(struct persist *p, enum tc_topic topic, int64_t offset)
{
    char room[1400];
    struct tc_buf line;
    tc_buf_init_fixed(&line, room, sizeof(room));
    tc_buf_printf(&line, "{\"topic\":\"%s\",\"offset\":%lld,\"reason\":", tc_topic_name(topic),
                  (long long)offset);
    tc_buf_json_string(&line, tc_error());
    tc_buf_str(&line, "}\n");
    tc_log_warn("store", "record %lld of topic %s cannot be stored: %s", (long long)offset,
                tc_topic_name(topic), tc_error());
    if (p->dead_letter_fd < 0)
        p->dead_letter_fd = open(p->dead_letter_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (p->dead_letter_fd < 0 || write(p->dead_letter_fd, room, line.len) != (ssize_t)line.len)
        return tc_fail(TC_EIO, "%s: cannot write: %s", p->dead_letter_path, strerror(errno));
    p->batch.dead++;
    return TC_OK;
}

/* --- one batch
 * --------------------------------------------------------------------------------------------*/

/* The blob of a checkpoint lives in the reader until the next read; of several in one batch only the last is
 * stored (store.h). A topic has one writer, so they are all of the same role. */
static int keep_blob(struct batch *b, struct tc_checkpoint *k)
{
    for (size_t i = 0; i < b->n; i++) {
        if (b->records[i].type != TC_REC_CHECKPOINT)
            continue;
        b->records[i].checkpoint.blob = NULL;
        b->records[i].checkpoint.blob_len = 0;
    }
    tc_buf_clear(&b->blob);
    tc_buf_put(&b->blob, k->blob, k->blob_len);
    if (b->blob.overflow)
        return tc_fail(TC_ENOMEM, "no memory for a checkpoint of %u bytes", (unsigned)k->blob_len);
    k->blob = (const uint8_t *)b->blob.data;
    return TC_OK;
}

static int read_batch(struct persist *p, enum tc_topic topic)
{
    struct input *in = &p->in[topic];
    struct batch *b = &p->batch;
    b->n = b->dead = 0;
    b->ends = false;
    b->topic = topic;
    b->position = in->next;
    while (b->n + b->dead < b->room) {
        struct tc_record *r = &b->records[b->n];
        int64_t offset = -1;
        int rc = p->conf.bus->ops->read(in->reader, r, &offset);
        if (rc == TC_AGAIN)
            break;
        b->ends = rc == TC_OK && r->type == TC_REC_END;
        if (rc == TC_EINPUT && offset >= 0)
            rc = dead_letter(p, topic, offset);
        else if (rc == TC_OK) {
            b->offsets[b->n] = offset;
            rc = r->type == TC_REC_CHECKPOINT ? keep_blob(b, &r->checkpoint) : TC_OK;
            b->n++;
        }
        if (rc != TC_OK)
            return rc;
        b->position = offset + 1;
    }
    b->full = b->position != in->next;
    in->waiting_since = 0;
    return TC_OK;
}

static void note_stored(struct persist *p, const struct tc_store_counts *c)
{
    struct batch *b = &p->batch;
    struct input *in = &p->in[b->topic];
    in->next = b->position;
    atomic_store_explicit(&in->seen, in->next, memory_order_release); /* pairs with tc_persist_catch_up */
    in->ended = b->ends;
    for (size_t i = 0; i < b->n; i++)
        if (b->records[i].type == TC_REC_FORECAST && b->records[i].forecast.origin_time > p->newest_origin)
            p->newest_origin = b->records[i].forecast.origin_time;
    tc_metric_add(p->inserted, (int64_t)c->inserted);
    tc_metric_add(p->superseded, (int64_t)c->superseded);
    tc_metric_add(p->duplicate, (int64_t)c->duplicate);
    tc_metric_add(p->dead, (int64_t)b->dead);
    p->unsynced = true;
    b->full = false;
}

/* The rows and position of the batch in one transaction. 0 when another program holds the database for a
 * moment: the batch stays and is tried again. */
static int store_batch(struct persist *p)
{
    struct batch *b = &p->batch;
    struct tc_store_counts counts = {0};
    int64_t begin = tc_mono_ns();
    int rc = p->conf.store->ops->put(p->conf.store->self, GROUP, b->topic, b->position, b->records,
                                     b->offsets, b->n, &counts);
    if (rc == TC_EBUSY) {
        tc_log_warn("store", "%s", tc_error());
        return 0;
    }
    if (rc != TC_OK)
        return rc;
    tc_hist_add(p->write, tc_mono_ns() - begin);
    note_stored(p, &counts);
    return (int)(b->n + b->dead);
}

static bool may_still_grow(const struct persist *p, struct input *in, int64_t available)
{
    if (p->conf.batch_wait_ns == 0 || available >= (int64_t)p->batch.room)
        return false;
    int64_t now = tc_mono_ns();
    if (now < atomic_load_explicit(&p->hurry_until, memory_order_relaxed))
        return false;
    if (in->waiting_since == 0)
        in->waiting_since = now;
    return now - in->waiting_since < p->conf.batch_wait_ns;
}

static int store_topic(struct persist *p, enum tc_topic topic, bool now)
{
    struct input *in = &p->in[topic];
    struct tc_bus_stat stat;
    p->conf.bus->ops->stat(p->conf.bus->self, topic, &stat);
    tc_metric_set(in->lag, stat.end - in->next);
    if (stat.synced <= in->next || (!now && may_still_grow(p, in, stat.synced - in->next)))
        return 0;
    int rc = read_batch(p, topic);
    if (rc != TC_OK)
        return tc_more(rc, "topic %s", tc_topic_name(topic));
    int done = p->batch.full ? store_batch(p) : 0;
    tc_metric_set(in->lag, stat.end - in->next);
    return done;
}

/* --- now and then
 * -----------------------------------------------------------------------------------------*/

/* The bus may forget what is durable in the store, so it is told only after the store's sync. */
static int sync_store(struct persist *p)
{
    p->next_sync = tc_mono_ns() + SYNC_EVERY_NS;
    if (!p->unsynced)
        return TC_OK;
    int rc = p->conf.store->ops->sync(p->conf.store->self);
    if (rc != TC_OK)
        return rc;
    p->unsynced = false;
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        struct input *in = &p->in[t];
        if (in->next != in->committed)
            p->conf.bus->ops->commit(p->conf.bus->self, GROUP, (enum tc_topic)t, in->next);
        in->committed = in->next;
    }
    return TC_OK;
}

static int prune(struct persist *p, int64_t now)
{
    uint64_t deleted = 0;
    int rc = p->conf.store->ops->prune(p->conf.store->self, p->newest_origin - p->conf.retain_forecasts_ns,
                                       PRUNE_ROWS, &deleted);
    tc_metric_add(p->pruned, (int64_t)deleted);
    p->next_prune = now + (rc == TC_AGAIN ? PRUNE_AGAIN_NS : PRUNE_EVERY_NS);
    return rc == TC_EBUSY || rc == TC_AGAIN || rc == TC_DONE ? TC_OK : rc;
}

/* By the wall clock: how long somebody's words may be kept does not depend on what the market does. */
static int prune_posts(struct persist *p, int64_t mono)
{
    int64_t now = tc_now_ns();
    struct tc_post_ages ages = {.asked = now - p->conf.keep_posts_ns,
                                .others = now - p->conf.recheck_posts_ns,
                                .mentions = now - p->conf.keep_mentions_ns};
    uint64_t deleted = 0;
    int rc = p->conf.store->ops->posts->prune(p->conf.store->self, &ages, PRUNE_ROWS, &deleted);
    tc_metric_add(p->pruned, (int64_t)deleted);
    p->next_prune_posts = mono + (rc == TC_AGAIN ? PRUNE_AGAIN_NS : PRUNE_EVERY_NS);
    return rc == TC_EBUSY || rc == TC_AGAIN || rc == TC_DONE ? TC_OK : rc;
}

static bool all_stored(const struct persist *p)
{
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        struct tc_bus_stat stat;
        if (t == TC_TOPIC_FORECASTS && !p->conf.forecasts)
            continue;
        p->conf.bus->ops->stat(p->conf.bus->self, (enum tc_topic)t, &stat);
        bool ends = t != TC_TOPIC_POSTS; /* which has no end of its own */
        if ((ends && !p->in[t].ended) || p->in[t].next != stat.end)
            return false;
    }
    return true;
}

static int maintain(struct persist *p)
{
    int64_t now = tc_mono_ns();
    int rc = TC_OK;
    bool all = p->unsynced && all_stored(p);
    if (all || (p->unsynced && now >= p->next_sync))
        rc = sync_store(p);
    if (rc == TC_OK && all)
        rc = p->conf.store->ops->settle(p->conf.store->self);
    if (rc == TC_OK && p->conf.retain_forecasts_ns > 0 && p->newest_origin > 0 && now >= p->next_prune)
        rc = prune(p, now);
    if (rc == TC_OK && p->conf.posts && p->conf.store->ops->posts && now >= p->next_prune_posts)
        rc = prune_posts(p, now);
    return rc;
}

/* --- the role
 * ---------------------------------------------------------------------------------------------*/

static int persist_work(void *self)
{
    struct persist *p = self;
    int done = 0;
    if (p->batch.full) {
        done = store_batch(p);
        if (done <= 0)
            return done;
    }
    for (int t = 0; t < TC_TOPIC_COUNT && !p->batch.full; t++) {
        int n = store_topic(p, (enum tc_topic)t, false);
        if (n < 0)
            return n;
        done += n;
    }
    int rc = maintain(p);
    return rc == TC_OK ? done : rc;
}

static bool persist_ended(const void *self)
{
    const struct persist *p = self;
    return !p->unsynced && all_stored(p);
}

static int64_t persist_wait_ns(const void *self)
{
    const struct persist *p = self;
    return p->conf.batch_wait_ns && p->conf.batch_wait_ns < IDLE_NS ? p->conf.batch_wait_ns : IDLE_NS;
}

/* Everything that was published is made durable, stored and synced. */
static int persist_flush(void *self, int64_t deadline_mono_ns)
{
    struct persist *p = self;
    int rc = p->conf.bus->ops->sync(p->conf.bus->self);
    int done = 1;
    while (rc == TC_OK && done > 0) {
        if (tc_mono_ns() > deadline_mono_ns)
            return TC_AGAIN;
        done = p->batch.full ? store_batch(p) : 0;
        for (int t = 0; t < TC_TOPIC_COUNT && done >= 0 && !p->batch.full; t++) {
            int n = store_topic(p, (enum tc_topic)t, true);
            done = n < 0 ? n : done + n;
        }
        rc = done < 0 ? done : TC_OK;
    }
    if (rc == TC_OK)
        rc = sync_store(p);
    return rc == TC_OK && p->batch.full ? TC_AGAIN : rc;
}

static bool behind(struct persist *p, const int64_t *ends)
{
    for (int t = 0; t < TC_TOPIC_COUNT; t++)
        if (atomic_load_explicit(&p->in[t].seen, memory_order_acquire) < ends[t])
            return true;
    return false;
}

void tc_persist_catch_up(const struct tc_role *role, int64_t timeout_ns)
{
    struct persist *p = role->self;
    int64_t ends[TC_TOPIC_COUNT], missing = 0, until = tc_mono_ns() + timeout_ns;
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        struct tc_bus_stat stat;
        p->conf.bus->ops->stat(p->conf.bus->self, (enum tc_topic)t, &stat);
        ends[t] = stat.end;
        missing += stat.end - atomic_load(&p->in[t].seen);
    }
    if (missing == 0 || missing > CATCH_UP_MAX)
        return;
    atomic_store_explicit(&p->hurry_until, until, memory_order_relaxed);
    p->conf.bus->ops->wake(p->conf.bus->self);
    while (behind(p, ends) && tc_mono_ns() < until)
        tc_sleep_until_mono(tc_mono_ns() + CATCH_UP_POLL_NS);
}

static void persist_close(void *self)
{
    struct persist *p = self;
    if (!p)
        return;
    for (int t = 0; t < TC_TOPIC_COUNT; t++)
        if (p->in[t].reader)
            p->conf.bus->ops->close_reader(p->in[t].reader);
    if (p->dead_letter_fd >= 0)
        close(p->dead_letter_fd);
    tc_buf_release(&p->batch.blob);
    free(p->batch.records);
    free(p->batch.offsets);
    free(p);
}

static const struct tc_role_ops persist_ops = {
    .name = "store",
    .work = persist_work,
    .ended = persist_ended,
    .wait_ns = persist_wait_ns,
    .flush = persist_flush,
    .close = persist_close,
};

static void register_metrics(struct persist *p)
{
    static const char name[] = "tickcast_stored_total",
                      help[] = "Records the store role took, by what they were";
    p->inserted = tc_counter(name, "result=\"inserted\"", help);
    p->superseded = tc_counter(name, "result=\"superseded\"", help);
    p->duplicate = tc_counter(name, "result=\"duplicate\"", help);
    p->dead = tc_counter(name, "result=\"dead_lettered\"", help);
    p->pruned = tc_counter("tickcast_store_pruned_total", NULL, "Old forecasts and outcomes deleted");
    p->write = tc_latency("tickcast_store_write_seconds", NULL, "Time of one transaction");
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        char labels[64];
        snprintf(labels, sizeof(labels), "role=\"store\",topic=\"%s\"", tc_topic_name((enum tc_topic)t));
        p->in[t].lag =
            tc_gauge("tickcast_lag_records", labels, "Records published and not taken by the role yet");
    }
}

static int open_inputs(struct persist *p, const struct tc_store_info *info)
{
    const struct tc_bus *bus = p->conf.bus;
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        struct input *in = &p->in[t];
        in->next = info->position[t];
        atomic_store(&in->seen, in->next);
        in->committed = -1;
        in->ended = info->ended[t];
        int rc = bus->ops->open_reader(bus->self, (enum tc_topic)t, in->next, TC_READ_SYNCED, &in->reader);
        if (rc == TC_ENOTFOUND)
            return tc_more(
                rc,
                "the store and the log do not belong together (the store goes on at record %lld of "
                "topic %s); use a new data folder, or give back the missing part of DATA/bus",
                (long long)in->next, tc_topic_name((enum tc_topic)t));
        if (rc != TC_OK)
            return rc;
    }
    return TC_OK;
}

static int open_batch(struct batch *b, size_t rows)
{
    b->room = rows ? rows : BATCH_ROWS;
    tc_buf_init(&b->blob, TC_BLOB_MAX + 1);
    b->records = malloc(b->room * sizeof(*b->records));
    b->offsets = malloc(b->room * sizeof(*b->offsets));
    return b->records && b->offsets ? TC_OK : tc_fail(TC_ENOMEM, "store: no memory for %zu rows", b->room);
}

int tc_persist_open(const struct tc_persist_conf *conf, struct tc_role *out)
{
    struct persist *p = calloc(1, sizeof(*p));
    if (!p)
        return tc_fail(TC_ENOMEM, "store: no memory");
    p->conf = *conf;
    p->dead_letter_fd = -1;
    snprintf(p->dead_letter_path, sizeof(p->dead_letter_path), "%s", conf->dead_letter_path);
    p->conf.dead_letter_path = p->dead_letter_path;
    register_metrics(p);
    struct tc_store_info info;
    int rc = conf->store->ops->info(conf->store->self, &info);
    if (rc == TC_OK)
        rc = open_batch(&p->batch, conf->batch_rows);
    if (rc == TC_OK)
        rc = open_inputs(p, &info);
    p->newest_origin = rc == TC_OK ? info.newest_forecast : 0;
    /* The bus is told at once, so that retention waits for a store that cannot write for a while. */
    p->unsynced = true;
    if (rc == TC_OK)
        rc = sync_store(p);
    if (rc != TC_OK) {
        persist_close(p);
        return rc;
    }
    *out = (struct tc_role){&persist_ops, p};
    return TC_OK;
}
