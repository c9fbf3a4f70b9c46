/* The Kafka bus against librdkafka's own mock brokers; with TICKCAST_TEST_KAFKA=HOST:PORT against real ones.
 */
#include "base/clock.h"
#include "base/err.h"
#include "bus/kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { PARTITIONS = 4 };

static rd_kafka_t *host;
static rd_kafka_mock_cluster_t *mock;
static char prefix[40];
static const char *brokers;

/* Topics of its own for each test. */
static int fresh_topics(void **state)
{
    (void)state;
    static int n;
    char name[80];
    snprintf(prefix, sizeof(prefix), "t%d-%d", (int)getpid(), n++);
    for (int t = 0; mock && t < TC_TOPIC_COUNT; t++) {
        snprintf(name, sizeof(name), "%s.replay.%s", prefix, tc_topic_name((enum tc_topic)t));
        assert_int_equal(rd_kafka_mock_topic_create(mock, name, PARTITIONS, 1), 0);
    }
    return 0;
}

static struct tc_kafka *open_kafka(void)
{
    const struct tc_kafka_conf conf = {.brokers = brokers,
                                       .prefix = prefix,
                                       .world = TC_WORLD_REPLAY,
                                       .partitions = PARTITIONS,
                                       .replication = 1,
                                       .timeout_ns = 20 * TC_NS_PER_SEC};
    struct tc_kafka *k;
    if (tc_kafka_open(&conf, &k) != TC_OK)
        fail_msg("%s", tc_error());
    return k;
}

static struct tc_record gap(int64_t i)
{
    struct tc_record r = {.type = TC_REC_GAP, .from = i};
    r.gap = (struct tc_gap){.symbol = "SPY", .feed = "test", .reason = "silent", .start = i, .end = i + 1};
    return r;
}

static void publish(struct tc_bus *bus, enum tc_topic topic, int64_t first, int64_t n)
{
    struct tc_record r[100];
    assert_true(n <= 100);
    for (int64_t i = 0; i < n; i++)
        r[i] = gap(first + i);
    if (bus->ops->publish(bus->self, topic, r, (size_t)n) != TC_OK || bus->ops->sync(bus->self) != TC_OK)
        fail_msg("%s", tc_error());
}

static struct tc_bus_reader *reader_at(struct tc_bus *bus, enum tc_topic topic, int64_t offset)
{
    struct tc_bus_reader *r;
    if (bus->ops->open_reader(bus->self, topic, offset, 0, &r) != TC_OK)
        fail_msg("%s", tc_error());
    return r;
}

/* Reads n records numbered from `first`, waiting for each a while. */
static void expect(struct tc_bus *bus, struct tc_bus_reader *r, int64_t first, int64_t n)
{
    uint64_t seen = 0;
    int64_t until = tc_mono_ns() + 20 * TC_NS_PER_SEC;
    for (int64_t i = first; i < first + n;) {
        struct tc_record got;
        int64_t at;
        int rc = bus->ops->read(r, &got, &at);
        if (rc == TC_AGAIN && tc_mono_ns() < until) {
            bus->ops->wait(bus->self, &seen, 100 * TC_NS_PER_MS);
            continue;
        }
        if (rc != TC_OK)
            fail_msg("read %d: %s", rc, tc_error());
        assert_int_equal(at, i);
        assert_int_equal(got.type, TC_REC_GAP);
        assert_int_equal(got.gap.start, i);
        assert_int_equal(got.from, i);
        i++;
    }
}

static void records_keep_their_order_and_offsets_over_a_restart(void **state)
{
    (void)state;
    struct tc_kafka *k = open_kafka();
    struct tc_bus bus;
    struct tc_bus_stat s;
    assert_int_equal(tc_kafka_bus(k, 2, &bus), TC_OK);
    bus.ops->stat(bus.self, TC_TOPIC_BARS, &s);
    assert_int_equal(s.end, 0);
    for (int64_t i = 0; i < 500; i += 100)
        publish(&bus, TC_TOPIC_BARS, i, 100);
    bus.ops->stat(bus.self, TC_TOPIC_BARS, &s);
    assert_int_equal(s.end, 500);
    assert_int_equal(s.synced, 500);
    bus.ops->close(bus.self);
    assert_int_equal(tc_kafka_close(k, 5 * TC_NS_PER_SEC), TC_OK);

    k = open_kafka();
    assert_int_equal(tc_kafka_bus(k, 2, &bus), TC_OK);
    struct tc_bus_reader *r = reader_at(&bus, TC_TOPIC_BARS, -1);
    expect(&bus, r, 0, 500);
    struct tc_record none;
    int64_t at;
    assert_int_equal(bus.ops->read(r, &none, &at), TC_AGAIN);
    publish(&bus, TC_TOPIC_BARS, 500, 10);
    expect(&bus, r, 500, 10);
    bus.ops->close_reader(r);
    r = reader_at(&bus, TC_TOPIC_BARS, 490);
    expect(&bus, r, 490, 20);
    bus.ops->close_reader(r);
    bus.ops->close(bus.self);
    tc_kafka_close(k, 0);
}

static void partitions_and_topics_do_not_mix_and_may_be_read_twice(void **state)
{
    (void)state;
    struct tc_kafka *k = open_kafka();
    struct tc_bus bus[2];
    assert_int_equal(tc_kafka_bus(k, 0, &bus[0]), TC_OK);
    assert_int_equal(tc_kafka_bus(k, 3, &bus[1]), TC_OK);
    publish(&bus[0], TC_TOPIC_BARS, 0, 5);
    publish(&bus[1], TC_TOPIC_BARS, 0, 7);
    publish(&bus[1], TC_TOPIC_FORECASTS, 0, 3);
    struct tc_bus_reader *a = reader_at(&bus[1], TC_TOPIC_BARS, 0), *b = reader_at(&bus[1], TC_TOPIC_BARS, 4),
                         *c = reader_at(&bus[1], TC_TOPIC_FORECASTS, 0),
                         *d = reader_at(&bus[0], TC_TOPIC_BARS, 0);
    expect(&bus[1], a, 0, 7);
    expect(&bus[1], b, 4, 3);
    expect(&bus[1], c, 0, 3);
    expect(&bus[0], d, 0, 5);
    bus[1].ops->close_reader(a);
    bus[1].ops->close_reader(b);
    bus[1].ops->close_reader(c);
    bus[0].ops->close_reader(d);
    bus[0].ops->close(bus[0].self);
    bus[1].ops->close(bus[1].self);
    tc_kafka_close(k, 0);
}

static void what_is_no_record_is_named_and_stepped_over(void **state)
{
    (void)state;
    struct tc_kafka *k = open_kafka();
    struct tc_bus bus;
    char topic[80];
    assert_int_equal(tc_kafka_bus(k, 1, &bus), TC_OK);
    publish(&bus, TC_TOPIC_BARS, 0, 1);
    snprintf(topic, sizeof(topic), "%s.replay.bars", prefix);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[200];
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof(text));
    rd_kafka_t *stranger = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    assert_int_equal(rd_kafka_producev(stranger, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(1),
                                       RD_KAFKA_V_VALUE((void *)(uintptr_t) "{\"v\":1,", 7),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
                     0);
    assert_int_equal(rd_kafka_flush(stranger, 20000), 0);
    rd_kafka_destroy(stranger);
    publish(&bus, TC_TOPIC_BARS, 2, 1);
    struct tc_bus_reader *r = reader_at(&bus, TC_TOPIC_BARS, 0);
    expect(&bus, r, 0, 1);
    struct tc_record got;
    int64_t at;
    assert_int_equal(bus.ops->read(r, &got, &at), TC_EINPUT);
    assert_int_equal(at, 1);
    assert_non_null(strstr(tc_error(), "not JSON"));
    expect(&bus, r, 2, 1);
    bus.ops->close_reader(r);
    bus.ops->close(bus.self);
    tc_kafka_close(k, 0);
}

static void a_key_has_the_partition_of_a_java_producer(void **state)
{
    (void)state;
    /* murmur2 as in the tests of Kafka's Java client: -973932308, -790332482, -985981536, 479470107 */
    const struct {
        const char *key;
        int32_t partition;
    } cases[] = {{"21", 0}, {"foobar", 2}, {"a-little-bit-long-string", 0}, {"abc", 3}};
    struct tc_kafka *k = open_kafka();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(tc_kafka_partition_of(k, cases[i].key), cases[i].partition);
    tc_kafka_close(k, 0);
}

static void brokers_that_are_not_there_are_named(void **state)
{
    (void)state;
    const struct tc_kafka_conf conf = {.brokers = "127.0.0.1:1",
                                       .prefix = "x",
                                       .world = TC_WORLD_REPLAY,
                                       .partitions = 1,
                                       .replication = 1,
                                       .timeout_ns = TC_NS_PER_SEC};
    struct tc_kafka *k;
    assert_int_equal(tc_kafka_open(&conf, &k), TC_EPEER);
    assert_non_null(strstr(tc_error(), "127.0.0.1:1"));
    const char *const wrong[] = {"no.such.setting", "1", NULL};
    struct tc_kafka_conf bad = conf;
    bad.settings = wrong;
    assert_int_equal(tc_kafka_open(&bad, &k), TC_ECONF);
    assert_non_null(strstr(tc_error(), "no.such.setting"));
}

static int open_mock(void **state)
{
    (void)state;
    char text[200];
    brokers = getenv("TICKCAST_TEST_KAFKA");
    if (brokers)
        return 0;
    host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof(text));
    mock = host ? rd_kafka_mock_cluster_new(host, 1) : NULL;
    brokers = mock ? rd_kafka_mock_cluster_bootstraps(mock) : NULL;
    return brokers ? 0 : -1;
}

static int close_mock(void **state)
{
    (void)state;
    if (mock)
        rd_kafka_mock_cluster_destroy(mock);
    if (host)
        rd_kafka_destroy(host);
    return 0;
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
    /* The library starts its threads with thrd_create, which the thread sanitizer does not know; our
     * callbacks on them would crash in it. */
    puts("skipped: the thread sanitizer does not know C11 threads");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(records_keep_their_order_and_offsets_over_a_restart, fresh_topics),
        cmocka_unit_test_setup(partitions_and_topics_do_not_mix_and_may_be_read_twice, fresh_topics),
        cmocka_unit_test_setup(what_is_no_record_is_named_and_stepped_over, fresh_topics),
        cmocka_unit_test_setup(a_key_has_the_partition_of_a_java_producer, fresh_topics),
        cmocka_unit_test_setup(brokers_that_are_not_there_are_named, fresh_topics),
    };
    return cmocka_run_group_tests(tests, open_mock, close_mock);
}
