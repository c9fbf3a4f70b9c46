#include "bus/kafka.h"
#include "base/clock.h"
#include "base/err.h"
#include "bus/record_bus.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REACH_NS (30 * TC_NS_PER_SEC) /* a reader's way to the records that were there when it was opened */

enum {
    TOPIC_NAME = 128,
    ERROR_TEXT = 256,
    POLL_MS = 50,
    FULL_WAIT_MS = 10,
    STATES_MAX_BYTES = TC_MESSAGE_MAX
};

/* A message on its way; its delivery report carries it. */
struct sent {
    uint64_t sequence;
    enum tc_topic topic;
};

/* What an old producer had not confirmed, for the new one. */
struct again {
    uint64_t sequence;
    enum tc_topic topic;
    int32_t partition;
    char *key, *value;
    size_t key_len, value_len;
    int64_t time_ms;
};

/* One connection for reading; a partition can be read only once through each. */
struct source {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topics[TC_TOPIC_COUNT];
    bool *taken; /* [topic * partitions + partition] */
    struct source *next;
};

struct part {
    _Atomic int64_t end[TC_TOPIC_COUNT], first[TC_TOPIC_COUNT]; /* -1 = not asked yet */
};

struct tc_kafka {
    struct tc_kafka_conf conf; /* its texts are copies of ours */
    char **settings;
    char names[TC_TOPIC_COUNT][TOPIC_NAME], group[TOPIC_NAME];
    rd_kafka_t *producer;
    rd_kafka_topic_t *topics[TC_TOPIC_COUNT]; /* of the producer */
    pthread_mutex_t lock;                     /* producer, sources, again */
    uint64_t sequence;
    struct again *again;
    size_t n_again, room_again;
    struct source *sources;
    rd_kafka_t *committer;
    struct part *parts;
    pthread_t poller;
    bool polling;
    _Atomic bool stop;
    _Atomic int failed; /* rd_kafka_resp_err_t of a message that can never be delivered */
    pthread_mutex_t wake_lock;
    pthread_cond_t wake;
    uint64_t version; /* counts news */
    pthread_mutex_t error_lock;
    char error[ERROR_TEXT]; /* what a broker or the library said last */
};

struct kafka_bus {
    struct tc_kafka *k;
    int32_t partition;
};

struct tc_bus_reader {
    struct tc_kafka *k;
    enum tc_topic topic;
    int32_t partition;
    struct source *source;
    rd_kafka_queue_t *queue;
    rd_kafka_message_t *message; /* of the record given last */
    int64_t next, reach;         /* offset expected next; up to there read() waits */
    struct tc_buf blob;
};

static int timeout_ms(const struct tc_kafka *k)
{
    return (int)(k->conf.timeout_ns / TC_NS_PER_MS);
}

static void news(struct tc_kafka *k)
{
    pthread_mutex_lock(&k->wake_lock);
    k->version++;
    pthread_cond_broadcast(&k->wake);
    pthread_mutex_unlock(&k->wake_lock);
}

static void note_error(struct tc_kafka *k, const char *text)
{
    pthread_mutex_lock(&k->error_lock);
    snprintf(k->error, sizeof(k->error), "%s", text);
    pthread_mutex_unlock(&k->error_lock);
}

static int peer_fail(struct tc_kafka *k, const char *what)
{
    char text[ERROR_TEXT];
    pthread_mutex_lock(&k->error_lock);
    snprintf(text, sizeof(text), "%s", k->error);
    pthread_mutex_unlock(&k->error_lock);
    return tc_fail(TC_EPEER, "Kafka (%s): %s%s%s", k->conf.brokers, what, text[0] ? ": " : "", text);
}

static void raise_to(_Atomic int64_t *to, int64_t v)
{
    int64_t old = atomic_load(to);
    while (old < v && !atomic_compare_exchange_weak(to, &old, v))
        continue;
}

/* --- callbacks of the library
 * ------------------------------------------------------------------------------- */

static void keep_again(struct tc_kafka *k, const rd_kafka_message_t *m, const struct sent *s)
{
    if (k->n_again == k->room_again) {
        size_t room = k->room_again ? k->room_again * 2 : 256;
        struct again *more = realloc(k->again, room * sizeof(*more));
        if (!more) {
            atomic_store(&k->failed, RD_KAFKA_RESP_ERR__FAIL);
            return;
        }
        k->again = more;
        k->room_again = room;
    }
    struct again *a = &k->again[k->n_again];
    *a = (struct again){.sequence = s->sequence,
                        .topic = s->topic,
                        .partition = m->partition,
                        .key_len = m->key_len,
                        .value_len = m->len,
                        .time_ms = rd_kafka_message_timestamp(m, NULL),
                        .key = malloc(m->key_len + 1),
                        .value = malloc(m->len + 1)};
    if (!a->key || !a->value) {
        free(a->key);
        free(a->value);
        atomic_store(&k->failed, RD_KAFKA_RESP_ERR__FAIL);
        return;
    }
    memcpy(a->key, m->key_len ? m->key : "", m->key_len);
    memcpy(a->value, m->payload, m->len);
    k->n_again++;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    struct tc_kafka *k = opaque;
    struct sent *s = m->_private;
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        raise_to(&k->parts[m->partition].end[s->topic], m->offset + 1);
        news(k);
    } else if (m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || m->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
               m->err == RD_KAFKA_RESP_ERR__FATAL) {
        keep_again(k, m, s);
    } else {
        atomic_store(&k->failed, m->err);
        note_error(k, rd_kafka_err2str(m->err));
    }
    free(s);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    (void)rk, (void)err;
    note_error(opaque, reason);
}

static void on_queue(rd_kafka_t *rk, void *opaque)
{
    (void)rk;
    news(opaque);
}

static void no_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text; /* what matters comes to on_error */
}

/* --- connections
 * -------------------------------------------------------------------------------------------- */

static int set(rd_kafka_conf_t *c, const char *name, const char *value)
{
    char text[ERROR_TEXT];
    if (rd_kafka_conf_set(c, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
        return TC_OK;
    return tc_fail(TC_ECONF, "Kafka setting %s: %s", name, text);
}

static int new_handle(struct tc_kafka *k, rd_kafka_type_t type, const char *const *own, rd_kafka_t **out)
{
    char text[ERROR_TEXT];
    rd_kafka_conf_t *c = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(c, k);
    rd_kafka_conf_set_error_cb(c, on_error);
    rd_kafka_conf_set_log_cb(c, no_log);
    int rc = set(c, "bootstrap.servers", k->conf.brokers);
    for (; !rc && own[0]; own += 2)
        rc = set(c, own[0], own[1]);
    for (const char *const *s = k->conf.settings; !rc && s && s[0]; s += 2)
        rc = set(c, s[0], s[1]);
    if (!rc && type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(c, on_delivery);
    *out = rc ? NULL : rd_kafka_new(type, c, text, sizeof(text));
    if (!*out) {
        rd_kafka_conf_destroy(c);
        return rc ? rc : tc_fail(TC_ECONF, "Kafka: %s", text);
    }
    return TC_OK;
}

static int open_topics(struct tc_kafka *k, rd_kafka_t *rk, rd_kafka_topic_t *out[static TC_TOPIC_COUNT])
{
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        out[t] = rd_kafka_topic_new(rk, k->names[t], NULL);
        if (!out[t])
            return tc_fail(TC_EPEER, "Kafka topic %s: %s", k->names[t],
                           rd_kafka_err2str(rd_kafka_last_error()));
    }
    return TC_OK;
}

/* Nothing is given up: no message times out, and the order holds over every retry. */
static int open_producer(struct tc_kafka *k)
{
    static const char *const settings[] = {"enable.idempotence",
                                           "true",
                                           "message.timeout.ms",
                                           "0",
                                           "compression.codec",
                                           "lz4",
                                           "linger.ms",
                                           "5",
                                           "socket.nagle.disable",
                                           "true",
                                           "message.max.bytes",
                                           "100000000",
                                           "queue.buffering.max.kbytes",
                                           "262144",
                                           NULL};
    int rc = new_handle(k, RD_KAFKA_PRODUCER, settings, &k->producer);
    return rc ? rc : open_topics(k, k->producer, k->topics);
}

static void close_producer(struct tc_kafka *k)
{
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        if (k->topics[t])
            rd_kafka_topic_destroy(k->topics[t]);
        k->topics[t] = NULL;
    }
    if (k->producer)
        rd_kafka_destroy(k->producer);
    k->producer = NULL;
}

static int open_source(struct tc_kafka *k, struct source **out)
{
    static const char *const settings[] = {"enable.auto.commit",
                                           "false",
                                           "enable.auto.offset.store",
                                           "false",
                                           "auto.offset.reset",
                                           "error",
                                           "check.crcs",
                                           "true",
                                           "fetch.wait.max.ms",
                                           "20",
                                           "fetch.error.backoff.ms",
                                           "50",
                                           "receive.message.max.bytes",
                                           "200000000",
                                           "fetch.message.max.bytes",
                                           "4194304",
                                           "socket.nagle.disable",
                                           "true",
                                           NULL};
    struct source *s = calloc(1, sizeof(*s));
    if (s)
        s->taken = calloc((size_t)TC_TOPIC_COUNT * (size_t)k->conf.partitions, sizeof(*s->taken));
    int rc = s && s->taken ? new_handle(k, RD_KAFKA_CONSUMER, settings, &s->rk)
                           : tc_fail(TC_ENOMEM, "no memory for a reader");
    if (!rc)
        rc = open_topics(k, s->rk, s->topics);
    if (rc) {
        if (s)
            free(s->taken);
        free(s);
        return rc;
    }
    s->next = k->sources;
    k->sources = s;
    *out = s;
    return TC_OK;
}

static void close_sources(struct tc_kafka *k)
{
    while (k->sources) {
        struct source *s = k->sources;
        k->sources = s->next;
        for (int t = 0; t < TC_TOPIC_COUNT; t++)
            if (s->topics[t])
                rd_kafka_topic_destroy(s->topics[t]);
        rd_kafka_destroy(s->rk);
        free(s->taken);
        free(s);
    }
}

/* --- a producer that can go no further
 * ---------------------------------------------------------------------- */

static int by_sequence(const void *a, const void *b)
{
    const struct again *x = a, *y = b;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static rd_kafka_resp_err_t produce(struct tc_kafka *k, enum tc_topic topic, int32_t partition,
                                   const char *key, size_t key_len, const char *value, size_t len,
                                   int64_t time_ms)
{
    struct sent *s = malloc(sizeof(*s));
    if (!s)
        return RD_KAFKA_RESP_ERR__QUEUE_FULL; /* try again when there is room */
    *s = (struct sent){k->sequence, topic};
    rd_kafka_resp_err_t e = rd_kafka_producev(
        k->producer, RD_KAFKA_V_RKT(k->topics[topic]), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_KEY(key, key_len), RD_KAFKA_V_VALUE((void *)(uintptr_t)value, len),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(time_ms),
        RD_KAFKA_V_HEADER("schema", "tickcast/1", 10), RD_KAFKA_V_OPAQUE(s), RD_KAFKA_V_END);
    if (e)
        free(s);
    else
        k->sequence++;
    return e;
}

static void send_again(struct tc_kafka *k)
{
    qsort(k->again, k->n_again, sizeof(*k->again), by_sequence);
    size_t n = k->n_again, i = 0;
    struct again *list = k->again;
    k->again = NULL;
    k->n_again = k->room_again = 0;
    while (i < n && !atomic_load(&k->stop)) {
        struct again *a = &list[i];
        rd_kafka_resp_err_t e =
            produce(k, a->topic, a->partition, a->key, a->key_len, a->value, a->value_len, a->time_ms);
        if (e == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            rd_kafka_poll(k->producer, FULL_WAIT_MS);
            continue;
        }
        if (e)
            atomic_store(&k->failed, e);
        i++;
    }
    for (i = 0; i < n; i++) {
        free(list[i].key);
        free(list[i].value);
    }
    free(list);
}

/* The idempotent producer cannot go on after some errors (a broker that forgot it). Its unconfirmed messages
 * go to a new one in their order; the broker may then have some twice, which readers tell by their cause. */
static void replace_producer(struct tc_kafka *k)
{
    rd_kafka_purge(k->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    for (int i = 0; i < 200 && rd_kafka_outq_len(k->producer) > 0; i++)
        rd_kafka_poll(k->producer, POLL_MS);
    close_producer(k);
    if (open_producer(k) != TC_OK)
        atomic_store(&k->failed, RD_KAFKA_RESP_ERR__FAIL);
    else
        send_again(k);
}

/* This thread alone polls the producer and replaces it; the others take the lock to use it. */
static void *poll_producer(void *arg)
{
    struct tc_kafka *k = arg;
    char text[ERROR_TEXT];
    while (!atomic_load(&k->stop)) {
        rd_kafka_poll(k->producer, POLL_MS);
        if (!rd_kafka_fatal_error(k->producer, text, sizeof(text)))
            continue;
        note_error(k, text);
        pthread_mutex_lock(&k->lock);
        replace_producer(k);
        pthread_mutex_unlock(&k->lock);
    }
    return NULL;
}

/* --- topics
 * ------------------------------------------------------------------------------------------------- */

static int make_topic(struct tc_kafka *k, enum tc_topic t)
{
    char text[ERROR_TEXT], number[32];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(k->names[t], k->conf.partitions, k->conf.replication, text, sizeof(text));
    if (!topic)
        return tc_fail(TC_ECONF, "Kafka topic %s: %s", k->names[t], text);
    snprintf(number, sizeof(number), "%lld", (long long)(k->conf.retain_ns / TC_NS_PER_MS));
    if (k->conf.retain_ns > 0)
        rd_kafka_NewTopic_set_config(topic, "retention.ms", number);
    rd_kafka_NewTopic_set_config(topic, "max.message.bytes", "100000000"); /* states of many symbols */
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(k->producer, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms(k), NULL, 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(k->producer);
    rd_kafka_CreateTopics(k->producer, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms(k) + 1000);
    const rd_kafka_CreateTopics_result_t *result = event ? rd_kafka_event_CreateTopics_result(event) : NULL;
    size_t n = 0;
    const rd_kafka_topic_result_t **topics = result ? rd_kafka_CreateTopics_result_topics(result, &n) : NULL;
    rd_kafka_resp_err_t e = n == 1  ? rd_kafka_topic_result_error(topics[0])
                            : event ? rd_kafka_event_error(event)
                                    : RD_KAFKA_RESP_ERR__TIMED_OUT;
    int rc = TC_OK;
    if (e && e != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        rc = tc_fail(TC_EPEER, "Kafka topic %s cannot be made: %s", k->names[t],
                     n == 1 && rd_kafka_topic_result_error_string(topics[0])
                         ? rd_kafka_topic_result_error_string(topics[0])
                         : rd_kafka_err2str(e));
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
    return rc;
}

/* 0 = the topic is not there. */
static int count_partitions(struct tc_kafka *k, enum tc_topic t, int32_t *out)
{
    const struct rd_kafka_metadata *m;
    rd_kafka_resp_err_t e = rd_kafka_metadata(k->producer, 1, NULL, &m, timeout_ms(k));
    *out = 0;
    if (e)
        return peer_fail(k, rd_kafka_err2str(e));
    for (int i = 0; i < m->topic_cnt; i++)
        if (strcmp(m->topics[i].topic, k->names[t]) == 0 && !m->topics[i].err)
            *out = m->topics[i].partition_cnt;
    rd_kafka_metadata_destroy(m);
    return TC_OK;
}

static int prepare_topic(struct tc_kafka *k, enum tc_topic t)
{
    int32_t n;
    int rc = count_partitions(k, t, &n);
    if (!rc && n == 0)
        rc = make_topic(k, t);
    for (int i = 0; !rc && n == 0 && i < 50; i++) { /* the brokers hear of it one after the other */
        rc = count_partitions(k, t, &n);
        if (n == 0)
            tc_sleep_until_mono(tc_mono_ns() + 100 * TC_NS_PER_MS);
    }
    if (!rc && n != k->conf.partitions)
        rc = tc_fail(
            TC_ECONF,
            "Kafka topic %s has %d partitions, kafka.partitions says %d: a symbol's place would change",
            k->names[t], (int)n, (int)k->conf.partitions);
    return rc;
}

/* --- open and close
 * ----------------------------------------------------------------------------------------- */

static int make_parts(struct tc_kafka *k)
{
    k->parts = calloc((size_t)k->conf.partitions, sizeof(*k->parts));
    if (!k->parts)
        return tc_fail(TC_ENOMEM, "no memory for %d partitions", (int)k->conf.partitions);
    for (int32_t p = 0; p < k->conf.partitions; p++)
        for (int t = 0; t < TC_TOPIC_COUNT; t++) {
            atomic_init(&k->parts[p].end[t], -1);
            atomic_init(&k->parts[p].first[t], -1);
        }
    return TC_OK;
}

static void free_texts(struct tc_kafka *k)
{
    for (size_t i = 0; k->settings && k->settings[i]; i++)
        free(k->settings[i]);
    free(k->settings);
    free((char *)(uintptr_t)k->conf.brokers);
}

/* Further connections are opened later, when the caller's texts may be gone. */
static int copy_texts(struct tc_kafka *k)
{
    size_t n = 0;
    while (k->conf.settings && k->conf.settings[n])
        n++;
    k->settings = calloc(n + 1, sizeof(*k->settings));
    k->conf.brokers = strdup(k->conf.brokers);
    bool whole = k->settings && k->conf.brokers;
    for (size_t i = 0; whole && i < n; i++) {
        k->settings[i] = strdup(k->conf.settings[i]);
        whole = k->settings[i] != NULL;
    }
    k->conf.settings = (const char *const *)k->settings;
    return whole ? TC_OK : tc_fail(TC_ENOMEM, "no memory for Kafka");
}

int tc_kafka_open(const struct tc_kafka_conf *conf, struct tc_kafka **out)
{
    *out = NULL;
    struct tc_kafka *k = calloc(1, sizeof(*k));
    if (!k)
        return tc_fail(TC_ENOMEM, "no memory for Kafka");
    k->conf = *conf;
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&k->wake, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&k->lock, NULL);
    pthread_mutex_init(&k->wake_lock, NULL);
    pthread_mutex_init(&k->error_lock, NULL);
    snprintf(k->group, sizeof(k->group), "%s.%s.store", conf->prefix, tc_world_name(conf->world));
    for (int t = 0; t < TC_TOPIC_COUNT; t++)
        snprintf(k->names[t], TOPIC_NAME, "%s.%s.%s", conf->prefix, tc_world_name(conf->world),
                 tc_topic_name((enum tc_topic)t));
    int rc = copy_texts(k);
    if (!rc)
        rc = make_parts(k);
    if (!rc)
        rc = open_producer(k);
    for (int t = 0; t < TC_TOPIC_COUNT && !rc; t++)
        rc = prepare_topic(k, (enum tc_topic)t);
    if (!rc && pthread_create(&k->poller, NULL, poll_producer, k))
        rc = tc_fail(TC_ENOMEM, "no thread for Kafka");
    k->polling = !rc;
    if (rc) {
        char text[512];
        snprintf(text, sizeof(text), "%s", tc_error());
        tc_kafka_close(k, 0);
        return tc_fail(rc, "%s", text);
    }
    *out = k;
    return TC_OK;
}

int tc_kafka_close(struct tc_kafka *k, int64_t timeout_ns)
{
    if (!k)
        return TC_OK;
    int left = 0;
    if (k->producer) {
        pthread_mutex_lock(&k->lock);
        rd_kafka_flush(k->producer, (int)(timeout_ns / TC_NS_PER_MS));
        left = rd_kafka_outq_len(k->producer);
        pthread_mutex_unlock(&k->lock);
    }
    atomic_store(&k->stop, true);
    if (k->polling)
        pthread_join(k->poller, NULL);
    close_sources(k);
    if (k->committer)
        rd_kafka_destroy(k->committer);
    if (k->producer && left)
        rd_kafka_purge(k->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (k->producer)
        rd_kafka_flush(k->producer, 1000); /* the reports of what was purged */
    close_producer(k);
    for (size_t i = 0; i < k->n_again; i++) {
        free(k->again[i].key);
        free(k->again[i].value);
    }
    free(k->again);
    free(k->parts);
    free_texts(k);
    pthread_cond_destroy(&k->wake);
    pthread_mutex_destroy(&k->lock);
    pthread_mutex_destroy(&k->wake_lock);
    pthread_mutex_destroy(&k->error_lock);
    free(k);
    return left ? tc_fail(TC_EPEER,
                          "Kafka did not confirm %d messages in time; they are made again at the next start",
                          left)
                : TC_OK;
}

int32_t tc_kafka_partitions(const struct tc_kafka *k)
{
    return k->conf.partitions;
}

int32_t tc_kafka_partition_of(const struct tc_kafka *k, const char *key)
{
    return rd_kafka_msg_partitioner_murmur2(NULL, key, strlen(key), k->conf.partitions, NULL, NULL);
}

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
        rd_kafka_resp_err_t e = produce(k, topic, b->partition, key, strlen(key), text->data, text->len,
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
    tc_buf_init(&text, STATES_MAX_BYTES);
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
            return peer_fail(b->k, "messages are not confirmed");
        tc_sleep_until_mono(tc_mono_ns() + 2 * TC_NS_PER_MS);
    }
}

static int ask_offsets(struct tc_kafka *k, enum tc_topic topic, int32_t partition)
{
    int64_t low, high;
    pthread_mutex_lock(&k->lock);
    rd_kafka_resp_err_t e =
        rd_kafka_query_watermark_offsets(k->producer, k->names[topic], partition, &low, &high, timeout_ms(k));
    pthread_mutex_unlock(&k->lock);
    if (e)
        return peer_fail(k, rd_kafka_err2str(e));
    raise_to(&k->parts[partition].end[topic], high);
    raise_to(&k->parts[partition].first[topic], low);
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
    return open_source(k, out);
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
    rd_kafka_queue_cb_event_enable(r->queue, on_queue, k);
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
        raise_to(&r->k->parts[r->partition].end[r->topic], high);
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
                note_error(r->k, rd_kafka_message_errstr(r->message));
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
            return peer_fail(r->k, "records that are there do not come");
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
    raise_to(&r->k->parts[r->partition].end[r->topic], r->next);
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
    if (!k->committer && new_handle(k, RD_KAFKA_CONSUMER, settings, &k->committer) != TC_OK)
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
    news(((struct kafka_bus *)self)->k);
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
