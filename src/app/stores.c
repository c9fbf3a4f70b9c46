#include "app/stores.h"
#include "app/calendars.h"
#include "base/err.h"

#include <stdio.h>

int tc_stores_cassandra(const struct tc_config *c, const struct tc_calendar *calendar,
                        struct tc_cassandra_conf *out)
{
    int level = tc_cql_consistency_of(c->cassandra_consistency);
    if (level <= TC_CQL_ANY || level == TC_CQL_SERIAL || level == TC_CQL_LOCAL_SERIAL)
        return tc_fail(TC_ECONF,
                       "cassandra.consistency %.40s: one, two, three, quorum, all, local_quorum, each_quorum "
                       "or local_one",
                       c->cassandra_consistency);
    if (!c->cassandra_user != !c->cassandra_password.value)
        return tc_fail(TC_ECONF, "cassandra.user and cassandra.password: set both or neither");
    *out = (struct tc_cassandra_conf){
        .cql =
            {
                .contacts = (const char *const *)c->cassandra_nodes.items,
                .n_contacts = c->cassandra_nodes.n,
                .user = c->cassandra_user,
                .password = c->cassandra_password.value,
                .local_dc = c->cassandra_local_dc,
                .lz4 = c->cassandra_compression,
                .tls = c->cassandra_tls,
                .tls_ca = c->cassandra_tls_ca,
                .tls_cert = c->cassandra_tls_cert,
                .tls_key = c->cassandra_tls_key,
                .read = (enum tc_cql_consistency)level,
                .write = (enum tc_cql_consistency)level,
                .connect_timeout_ns = c->cassandra_connect_timeout_ns,
                .attempt_timeout_ns = c->cassandra_attempt_timeout_ns,
                .request_timeout_ns = c->cassandra_request_timeout_ns,
                .in_flight = (int32_t)c->cassandra_in_flight,
            },
        .keyspace = c->cassandra_keyspace,
        .replication = c->cassandra_replication,
        .calendar = calendar,
    };
    /* No single node reads at each_quorum. */
    if (level == TC_CQL_EACH_QUORUM)
        out->cql.read = TC_CQL_LOCAL_QUORUM;
    return TC_OK;
}

int tc_stores_open(const struct tc_config *c, const char *path, const struct tc_calendar *calendar,
                   struct tc_store *out)
{
    struct tc_cassandra_conf conf;
    if (c->store == TC_CONFIG_SQLITE)
        return tc_sqlite_open(path, tc_config_world(c), out);
    int rc = tc_stores_cassandra(c, calendar, &conf);
    return rc ? rc : tc_cassandra_open(&conf, tc_config_world(c), out);
}

int tc_stores_open_reader(const struct tc_config *c, const char *path, const struct tc_calendar *calendar,
                          struct tc_store *out)
{
    struct tc_cassandra_conf conf;
    if (c->store == TC_CONFIG_SQLITE)
        return tc_sqlite_open_reader(path, out);
    int rc = tc_stores_cassandra(c, calendar, &conf);
    return rc ? rc : tc_cassandra_open_reader(&conf, tc_config_world(c), out);
}

static int load_calendar(const char *name, enum tc_world world, struct tc_calendar **out)
{
    return tc_calendar_open_named(name ? name : world == TC_WORLD_SIMULATED ? "always" : "xnys", out);
}

int tc_stores_look(const struct tc_config *c, const char *calendar_name, struct tc_calendar **calendar,
                   struct tc_store *out, struct tc_store_info *info)
{
    char path[1100];
    snprintf(path, sizeof(path), "%.1000s/tickcast.db", c->data_dir);
    *calendar = NULL;
    int rc =
        c->store == TC_CONFIG_CASSANDRA ? load_calendar(calendar_name, tc_config_world(c), calendar) : TC_OK;
    if (!rc)
        rc = tc_stores_open_reader(c, path, *calendar, out);
    if (rc) {
        tc_calendar_free(*calendar);
        *calendar = NULL;
        return rc;
    }
    rc = out->ops->info(out->self, info);
    if (!rc && !*calendar)
        rc = load_calendar(calendar_name, info->world, calendar);
    if (rc) {
        out->ops->close(out->self);
        tc_calendar_free(*calendar);
        *out = (struct tc_store){0};
        *calendar = NULL;
    }
    return rc;
}
