#include "app/buses.h"
#include "base/clock.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_NS (10 * TC_NS_PER_SEC)

static int open_log(const struct tc_config *c, const char *dir, struct tc_bus *out)
{
    struct tc_log_bus_conf conf = {
        .dir = dir,
        .sync_every_ns = c->sync_every_ns,
        .segment_bytes = (uint64_t)c->segment_bytes,
        .retain_bytes = (uint64_t)c->retain_bytes,
        .retain_ns = c->retain_ns,
        .retain_posts_ns = c->recheck_ns,
    };
    return tc_log_bus_open(&conf, out);
}

/* NAME=VALUE texts as name and value in turn. The library copies what it takes. */
static int split_settings(const struct tc_config *c, char **copies, const char **out)
{
    size_t n = 0;
    for (size_t i = 0; i < c->kafka_settings.n; i++) {
        char *copy = copies[i] = strdup(c->kafka_settings.items[i]);
        char *equals = copy ? strchr(copy, '=') : NULL;
        if (!copy)
            return tc_fail(TC_ENOMEM, "no memory for settings");
        if (!equals || equals == copy)
            return tc_fail(TC_ECONF, "kafka.settings: \"%.60s\" is not NAME=VALUE",
                           c->kafka_settings.items[i]);
        *equals = '\0';
        if (strcmp(copy, "sasl.password") == 0)
            return tc_fail(TC_ECONF,
                           "kafka.settings: put sasl.password into kafka.password, where nobody sees it");
        out[n++] = copy;
        out[n++] = equals + 1;
    }
    if (c->kafka_password.value) {
        out[n++] = "sasl.password";
        out[n++] = c->kafka_password.value;
    }
    out[n] = NULL;
    return TC_OK;
}

static int open_kafka(const struct tc_config *c, struct tc_kafka **kafka, struct tc_bus *out)
{
    size_t n = c->kafka_settings.n;
    char **copies = calloc(n + 1, sizeof(*copies));
    const char **settings = calloc(2 * n + 3, sizeof(*settings));
    int rc = copies && settings ? split_settings(c, copies, settings)
                                : tc_fail(TC_ENOMEM, "no memory for settings");
    struct tc_kafka_conf conf = {
        .brokers = c->kafka_brokers,
        .prefix = c->kafka_prefix,
        .world = tc_config_world(c),
        .partitions = 1,
        .replication = (int32_t)c->kafka_replication,
        .retain_ns = c->kafka_retain_ns,
        .settings = settings,
        .timeout_ns = TIMEOUT_NS,
    };
    if (!rc)
        rc = tc_kafka_open(&conf, kafka);
    for (size_t i = 0; copies && i < n; i++)
        free(copies[i]);
    free(copies);
    free(settings);
    return rc ? rc : tc_kafka_bus(*kafka, 0, out);
}

int tc_buses_open(const struct tc_config *c, const char *dir, struct tc_kafka **kafka, struct tc_bus *out)
{
    *kafka = NULL;
    return c->bus == TC_CONFIG_LOG ? open_log(c, dir, out) : open_kafka(c, kafka, out);
}
