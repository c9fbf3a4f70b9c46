/* One partition of the topics as a tc_bus: publishing, reading, waiting. */
#include "base/clock.h"
#include "base/err.h"
#include "bus/kafka_int.h"
#include "bus/record_bus.h"

#include <stdlib.h>
#include <string.h>

/* --- the bus of a partition
 * --------------------------------------------------------------------------------- */

/* Event time of a record, for the message's own time. */
static int64_t record_time(const struct tc_record *r)
{
    switch (r->type) {
    case TC_REC_BAR:
        return r->bar.start;
    case TC_REC_QUOTE:
        return r->quote.second;
    case TC_REC_SECOND:
        return r->second.second;
    case TC_REC_FORECAST:
        return r->forecast.origin_time;
    case TC_REC_OUTCOME:
        return r->outcome.origin_time;
    default:
        return tc_now_ns();
    }
}

static int publish_one(struct kafka_bus *b, enum tc_topic topic, const struct tc_record *r,
                       struct tc_buf *text)
{
    struct tc_kafka *k = b->k;
    const char *key = tc_record_key(r);
    tc_buf_clear(text);
    tc_record_to_message(r, text);
    if (text->overflow)
        return tc_fail(TC_ELIMIT, "a record of more than %d bytes", (int)TC_MESSAGE_MAX);
    for (;;) {
        rd_kafka_resp_err_t failed = atomic_load(&k->failed);
        if (failed)
            return tc_fail(TC_EIO, "Kafka topic %s: a message can never be delivered: %s", k->names[topic],
                           rd_kafka_err2str(failed));
        pthread_mutex_lock(&k->lock);
        rd_kafka_resp_err_t e = kafka_produce(k, topic, b->partition, key, strlen(key), text->data, text->len,
                                              record_time(r) / TC_NS_PER_MS);
        pthread_mutex_unlock(&k->lock);
        if (!e)
            return TC_OK;
        if (e != RD_KAFKA_RESP_ERR__QUEUE_FULL && e != RD_KAFKA_RESP_ERR__FATAL)
            return tc_fail(TC_EIO, "Kafka topic %s: %s", k->names[topic], rd_kafka_err2str(e));
        if (atomic_load(&k->stop))
            return tc_fail(TC_EIO, "Kafka is being closed");
        tc_sleep_until_mono(tc_mono_ns() +
                            FULL_WAIT_MS * TC_NS_PER_MS); /* the brokers are slower than we are */
    }
}

static int kafka_publish(void *self, enum tc_topic topic, const struct tc_record *records, size_t n)
{
    struct kafka_bus *b = self;
    struct tc_buf text;
    int rc = TC_OK;
    tc_buf_init(&text, TC_MESSAGE_MAX);
    for (size_t i = 0; i < n && !rc; i++)
        rc = publish_one(b, topic, &records[i], &text);
    tc_buf_release(&text);
    return rc;
}

static int kafka_sync(void *self)
{
    struct kafka_bus *b = self;
    int64_t until = tc_mono_ns() + REACH_NS;
    for (;;) {
        pthread_mutex_lock(&b->k->lock);
        int left = rd_kafka_outq_len(b->k->producer);
        pthread_mutex_unlock(&b->k->lock);
        if (left == 0)
            return TC_OK;
        if (tc_mono_ns() > until)
            return kafka_peer_fail(b->k, "messages are not confirmed");
        tc_sleep_until_mono(tc_mono_ns() + 2 * TC_NS_PER_MS);
    }
}

static int ask_offsets(struct tc_kafka *k, enum tc_topic topic, int32_t partition)
{
    int64_t low, high;
    pthread_mutex_lock(&k->lock);
    rd_kafka_resp_err_t e = rd_kafka_query_watermark_offsets(k->producer, k->names[topic], partition, &low,
                                                             &high, kafka_timeout_ms(k));
    pthread_mutex_unlock(&k->lock);
    if (e)
        return kafka_peer_fail(k, rd_kafka_err2str(e));
    kafka_raise_to(&k->parts[partition].end[topic], high);
    kafka_raise_to(&k->parts[partition].first[topic], low);
    return TC_OK;
}

static void kafka_stat(void *self, enum tc_topic topic, struct tc_bus_stat *out)
{
    struct kafka_bus *b = self;
    struct part *p = &b->k->parts[b->partition];
    if (atomic_load(&p->first[topic]) < 0)
        (void)ask_offsets(b->k, topic, b->partition);
    int64_t first = atomic_load(&p->first[topic]), end = atomic_load(&p->end[topic]);
    *out = (struct tc_bus_stat){.first = first < 0 ? 0 : first, .end = end < 0 ? 0 : end};
    out->synced = out->end;
}

static int kafka_truncate(void *self, enum tc_topic topic, int64_t end)
{
    struct kafka_bus *b = self;
    struct tc_bus_stat s;
    kafka_stat(self, topic, &s);
    return end >= s.end
               ? TC_OK
               : tc_fail(
                     TC_EINPUT,
                     "Kafka topic %s, partition %d: records from offset %lld on were made from input that is "
                     "gone; start with new topics (kafka.prefix)",
                     b->k->names[topic], (int)b->partition, (long long)end);
}

/* --- reading
 * ------------------------------------------------------------------------------------------------ */

static int free_source(struct tc_kafka *k, size_t at, struct source **out)
{
    for (struct source *s = k->sources; s; s = s->next)
        if (!s->taken[at]) {
            *out = s;
            return TC_OK;
        }
    return kafka_open_source(k, out);
}

static int kafka_open_reader(void *self, enum tc_topic topic, int64_t offset, int flags,
                             struct tc_bus_reader **out)
{
    (void)flags; /* what can be read is durable */
    struct kafka_bus *b = self;
    struct tc_kafka *k = b->k;
    *out = NULL;
    int rc = ask_offsets(k, topic, b->partition);
    if (rc)
        return rc;
    struct tc_bus_stat s;
    kafka_stat(self, topic, &s);
    if (offset < 0)
        offset = s.first;
    if (offset < s.first)
        return tc_fail(TC_ENOTFOUND,
                       "Kafka topic %s, partition %d begins at offset %lld; %lld was removed by retention",
                       k->names[topic], (int)b->partition, (long long)s.first, (long long)offset);
    if (offset > s.end)
        return tc_fail(TC_EINPUT, "Kafka topic %s, partition %d ends at offset %lld, before %lld",
                       k->names[topic], (int)b->partition, (long long)s.end, (long long)offset);
    struct tc_bus_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return tc_fail(TC_ENOMEM, "no memory for a reader");
    size_t at = (size_t)topic * (size_t)k->conf.partitions + (size_t)b->partition;
    pthread_mutex_lock(&k->lock);
    rc = free_source(k, at, &r->source);
    if (!rc)
        r->source->taken[at] = true;
    pthread_mutex_unlock(&k->lock);
    if (rc) {
        free(r);
        return rc;
    }
    r->k = k;
    r->topic = topic;
    r->partition = b->partition;
    r->next = offset;
    r->reach = s.end;
    tc_buf_init(&r->blob, (size_t)TC_BLOB_MAX + 8);
    r->queue = rd_kafka_queue_new(r->source->rk);
    rd_kafka_queue_cb_event_enable(r->queue, kafka_on_queue, k);
    if (rd_kafka_consume_start_queue(r->source->topics[topic], b->partition, offset, r->queue)) {
        rc =
            tc_fail(TC_EPEER, "Kafka topic %s: %s", k->names[topic], rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_queue_destroy(r->queue);
        pthread_mutex_lock(&k->lock);
        r->source->taken[at] = false;
        pthread_mutex_unlock(&k->lock);
        free(r);
        return rc;
    }
    *out = r;
    return TC_OK;
}

static void kafka_close_reader(struct tc_bus_reader *r)
{
    if (!r)
        return;
    if (r->message)
        rd_kafka_message_destroy(r->message);
    rd_kafka_queue_cb_event_enable(r->queue, NULL, NULL);
    rd_kafka_consume_stop(r->source->topics[r->topic], r->partition);
    rd_kafka_queue_destroy(r->queue);
    pthread_mutex_lock(&r->k->lock);
    r->source->taken[(size_t)r->topic * (size_t)r->k->conf.partitions + (size_t)r->partition] = false;
    pthread_mutex_unlock(&r->k->lock);
    tc_buf_release(&r->blob);
    free(r);
}

static void note_end(struct tc_bus_reader *r)
{
    int64_t low, high;
    if (rd_kafka_get_watermark_offsets(r->source->rk, r->k->names[r->topic], r->partition, &low, &high) ==
        RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_raise_to(&r->k->parts[r->partition].end[r->topic], high);
}

/* The next message; NULL: none now. Records that were there at open are waited for, so that whoever reads to
 * the end does not take a slow broker for the end. */
static int next_message(struct tc_bus_reader *r)
{
    int64_t until = tc_mono_ns() + REACH_NS;
    for (;;) {
        bool wait = r->next < r->reach;
        r->message = rd_kafka_consume_queue(r->queue, wait ? POLL_MS : 0);
        if (r->message && !r->message->err)
            return TC_OK;
        rd_kafka_resp_err_t e = r->message ? r->message->err : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (r->message) {
            if (e != RD_KAFKA_RESP_ERR__PARTITION_EOF)
                kafka_note_error(r->k, rd_kafka_message_errstr(r->message));
            rd_kafka_message_destroy(r->message);
            r->message = NULL;
        }
        if (e == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE || e == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
            return tc_fail(TC_EINPUT,
                           "Kafka topic %s, partition %d: offset %lld is gone, removed by retention",
                           r->k->names[r->topic], (int)r->partition, (long long)r->next);
        if (!wait && !e)
            return TC_AGAIN;
        if (wait && tc_mono_ns() > until)
            return kafka_peer_fail(r->k, "records that are there do not come");
    }
}

static int kafka_read(struct tc_bus_reader *r, struct tc_record *out, int64_t *out_offset)
{
    *out_offset = -1;
    if (r->message)
        rd_kafka_message_destroy(r->message);
    r->message = NULL;
    int rc = next_message(r);
    if (rc) {
        note_end(r);
        return rc;
    }
    *out_offset = r->message->offset;
    r->next = r->message->offset + 1;
    kafka_raise_to(&r->k->parts[r->partition].end[r->topic], r->next);
    note_end(r);
    return tc_record_from_message(r->message->payload ? r->message->payload : "", r->message->len, &r->blob,
                                  out);
}

/* For people and tools that look at the group's lag; our own positions stand in the store. */
static void kafka_commit(void *self, const char *group, enum tc_topic topic, int64_t position)
{
    struct kafka_bus *b = self;
    struct tc_kafka *k = b->k;
    const char *const settings[] = {"group.id", k->group, "enable.auto.commit", "false", NULL};
    if (strcmp(group, "store") != 0)
        return;
    pthread_mutex_lock(&k->lock);
    if (!k->committer && kafka_new_handle(k, RD_KAFKA_CONSUMER, settings, &k->committer) != TC_OK)
        k->committer = NULL;
    if (k->committer) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, k->names[topic], b->partition)->offset = position;
        rd_kafka_commit(k->committer, list, 1);
        rd_kafka_topic_partition_list_destroy(list);
        rd_kafka_poll(k->committer, 0);
    }
    pthread_mutex_unlock(&k->lock);
}

static void kafka_wait(void *self, uint64_t *seen, int64_t wait_ns)
{
    struct tc_kafka *k = ((struct kafka_bus *)self)->k;
    int64_t until = tc_mono_ns() + wait_ns;
    struct timespec t = {.tv_sec = until / TC_NS_PER_SEC, .tv_nsec = until % TC_NS_PER_SEC};
    pthread_mutex_lock(&k->wake_lock);
    while (k->version == *seen && pthread_cond_timedwait(&k->wake, &k->wake_lock, &t) == 0)
        continue;
    *seen = k->version;
    pthread_mutex_unlock(&k->wake_lock);
}

static void kafka_wake(void *self)
{
    kafka_news(((struct kafka_bus *)self)->k);
}

static void kafka_close(void *self)
{
    free(self);
}

static const struct tc_bus_ops ops = {
    .name = "kafka",
    .publish = kafka_publish,
    .sync = kafka_sync,
    .stat = kafka_stat,
    .truncate = kafka_truncate,
    .open_reader = kafka_open_reader,
    .read = kafka_read,
    .close_reader = kafka_close_reader,
    .commit = kafka_commit,
    .wait = kafka_wait,
    .wake = kafka_wake,
    .close = kafka_close,
};

int tc_kafka_bus(struct tc_kafka *k, int32_t partition, struct tc_bus *out)
{
    struct kafka_bus *b = calloc(1, sizeof(*b));
    if (!b)
        return tc_fail(TC_ENOMEM, "no memory for a partition");
    *b = (struct kafka_bus){k, partition};
    *out = (struct tc_bus){&ops, b};
    return TC_OK;
}
