#include "bus/kafka_int.h"
#include "base/clock.h"
#include "base/err.h"
#include "bus/record_bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int kafka_timeout_ms(const struct tc_kafka *k)
{
    return (int)(k->conf.timeout_ns / TC_NS_PER_MS);
}

void kafka_news(struct tc_kafka *k)
{
    pthread_mutex_lock(&k->wake_lock);
    k->version++;
    pthread_cond_broadcast(&k->wake);
    pthread_mutex_unlock(&k->wake_lock);
}

void kafka_note_error(struct tc_kafka *k, const char *text)
{
    pthread_mutex_lock(&k->error_lock);
    snprintf(k->error, sizeof(k->error), "%s", text);
    pthread_mutex_unlock(&k->error_lock);
}

int kafka_peer_fail(struct tc_kafka *k, const char *what)
{
    char text[ERROR_TEXT];
    pthread_mutex_lock(&k->error_lock);
    snprintf(text, sizeof(text), "%s", k->error);
    pthread_mutex_unlock(&k->error_lock);
    return tc_fail(TC_EPEER, "Kafka (%s): %s%s%s", k->conf.brokers, what, text[0] ? ": " : "", text);
}

void kafka_raise_to(_Atomic int64_t *to, int64_t v)
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
        kafka_raise_to(&k->parts[m->partition].end[s->topic], m->offset + 1);
        kafka_news(k);
    } else if (m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || m->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
               m->err == RD_KAFKA_RESP_ERR__FATAL) {
        keep_again(k, m, s);
    } else {
        atomic_store(&k->failed, m->err);
        kafka_note_error(k, rd_kafka_err2str(m->err));
    }
    free(s);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    (void)rk, (void)err;
    kafka_note_error(opaque, reason);
}

void kafka_on_queue(rd_kafka_t *rk, void *opaque)
{
    (void)rk;
    kafka_news(opaque);
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

int kafka_new_handle(struct tc_kafka *k, rd_kafka_type_t type, const char *const *own, rd_kafka_t **out)
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
    int rc = kafka_new_handle(k, RD_KAFKA_PRODUCER, settings, &k->producer);
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

int kafka_open_source(struct tc_kafka *k, struct source **out)
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
    if (!s)
        return tc_fail(TC_ENOMEM, "no memory for a reader");
    s->taken = calloc((size_t)TC_TOPIC_COUNT * (size_t)k->conf.partitions, sizeof(*s->taken));
    int rc = s->taken ? kafka_new_handle(k, RD_KAFKA_CONSUMER, settings, &s->rk)
                      : tc_fail(TC_ENOMEM, "no memory for a reader");
    if (!rc)
        rc = open_topics(k, s->rk, s->topics);
    if (rc) {
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

rd_kafka_resp_err_t kafka_produce(struct tc_kafka *k, enum tc_topic topic, int32_t partition, const char *key,
                                  size_t key_len, const char *value, size_t len, int64_t time_ms)
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
            kafka_produce(k, a->topic, a->partition, a->key, a->key_len, a->value, a->value_len, a->time_ms);
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
        kafka_note_error(k, text);
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
    rd_kafka_AdminOptions_set_request_timeout(options, kafka_timeout_ms(k), NULL, 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(k->producer);
    rd_kafka_CreateTopics(k->producer, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, kafka_timeout_ms(k) + 1000);
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
    rd_kafka_resp_err_t e = rd_kafka_metadata(k->producer, 1, NULL, &m, kafka_timeout_ms(k));
    *out = 0;
    if (e)
        return kafka_peer_fail(k, rd_kafka_err2str(e));
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

int32_t tc_kafka_partition_of(const struct tc_kafka *k, const char *key)
{
    return rd_kafka_msg_partitioner_murmur2(NULL, key, strlen(key), k->conf.partitions, NULL, NULL);
}
