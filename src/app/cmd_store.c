/* tickcast store: the tables of a Cassandra cluster. */
#include "app/command.h"
#include "app/config.h"
#include "app/stores.h"
#include "base/err.h"

#include <stdio.h>

struct options {
    bool migrate;
};

static const struct tc_opt options[] = {
    {.key = "migrate",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct options, migrate),
     .def = "false",
     .doc = "make the keyspace and its tables, or bring them up to date, and stop"},
};

static int migrate(struct tc_config *c)
{
    struct tc_cassandra_conf conf;
    enum tc_world world = tc_config_world(c);
    int rc = tc_stores_cassandra(c, NULL, &conf);
    if (!rc)
        rc = tc_cassandra_migrate(&conf, world);
    if (!rc)
        printf("keyspace %s_%s is ready\n", conf.keyspace, tc_world_name(world));
    return rc;
}

int tc_cmd_store(int argc, char **argv)
{
    struct options o;
    struct tc_cli cli = {
        .command = "store",
        .usage = "--migrate [FLAGS]",
        .about = "Makes the keyspace and the tables of a Cassandra cluster, or brings them up to date. There "
                 "is one "
                 "keyspace for each world: that of the feed which is configured.",
        .sections = "feed replay cassandra log",
        .opts = options,
        .n_opts = sizeof(options) / sizeof(options[0]),
        .target = &o,
        .examples =
            "  tickcast store --migrate --cassandra.nodes 10.0.0.1,10.0.0.2 --cassandra.replication 3\n",
    };
    struct tc_config_set set;
    int rc = tc_config_load(&set, &cli, argc, argv);
    if (!rc && !o.migrate)
        rc = tc_fail(TC_EUSAGE, "store: add --migrate");
    if (!rc)
        rc = migrate(&set.conf);
    tc_config_release(&set);
    return tc_command_exit(rc);
}
