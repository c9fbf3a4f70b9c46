/* kafka.h - the bus over Kafka (librdkafka): JSON messages on one topic of each kind, one bus for each
 * partition.
 *
 * A tc_bus is one partition of the topics PREFIX.WORLD.bars, .forecasts ...; a process opens as many as it
 * works on, all through one tc_kafka. Offsets are Kafka's. What can be read has been acknowledged by all
 * replicas that are in sync, so it is durable: synced = end. publish() hands over and returns; a message
 * counts as published when its delivery was confirmed, and an unconfirmed one is neither dropped nor
 * reordered: a full queue makes publish() wait, and after a fatal error a new producer sends what the old one
 * had not confirmed.
 *
 * truncate() is refused unless there is nothing to cut: nothing here can be published before its cause is
 * durable.
 */
#pragma once

#include "bus/bus.h"

struct tc_kafka_conf {
    const char *brokers; /* "HOST:PORT,HOST:PORT" */
    const char *prefix;  /* of topics and groups */
    enum tc_world world;
    int32_t partitions, replication; /* of topics that are made */
    int64_t retain_ns;               /* likewise; 0 = the broker's own */
    /* Further settings of librdkafka ("security.protocol" ...), name and value in turn; NULL ends them. */
    const char *const *settings;
    int64_t timeout_ns; /* of questions to the brokers */
};

struct tc_kafka; /* opaque: connections that all partitions share */

/* Connects and makes what topics are missing. TC_EPEER: no broker answers. TC_ECONF: a setting is wrong, or a
 * topic has another number of partitions. */
int tc_kafka_open(const struct tc_kafka_conf *conf, struct tc_kafka **out);
/* Waits at most `timeout` for deliveries; TC_EPEER tells how many messages were not confirmed. Takes NULL. */
int tc_kafka_close(struct tc_kafka *k, int64_t timeout_ns);

/* The partition of a key: that of a Java producer (murmur2). */
int32_t tc_kafka_partition_of(const struct tc_kafka *k, const char *key);

/* The bus of one partition. Closes before the tc_kafka. */
int tc_kafka_bus(struct tc_kafka *k, int32_t partition, struct tc_bus *out);
