/* kafka_int.h - what the halves of the Kafka bus share; private to this layer. */
#pragma once

#include "base/clock.h"
#include "bus/kafka.h"
#include "bus/record_bus.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

#define REACH_NS (30 * TC_NS_PER_SEC) /* a reader's way to the records that were there when it was opened */

enum { TOPIC_NAME = 128, ERROR_TEXT = 256, POLL_MS = 50, FULL_WAIT_MS = 10 };

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

/* kafka.c; the first three take no lock, the last two are called with k->lock held */
int kafka_timeout_ms(const struct tc_kafka *k);
void kafka_news(struct tc_kafka *k); /* wakes whoever waits for records */
void kafka_note_error(struct tc_kafka *k, const char *text);
int kafka_peer_fail(struct tc_kafka *k, const char *what);
void kafka_raise_to(_Atomic int64_t *to, int64_t v);
int kafka_new_handle(struct tc_kafka *k, rd_kafka_type_t type, const char *const *own, rd_kafka_t **out);
int kafka_open_source(struct tc_kafka *k, struct source **out);
rd_kafka_resp_err_t kafka_produce(struct tc_kafka *k, enum tc_topic topic, int32_t partition, const char *key,
                                  size_t key_len, const char *value, size_t len, int64_t time_ms);
void kafka_on_queue(rd_kafka_t *rk, void *opaque);
