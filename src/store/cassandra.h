/* cassandra.h - the store interface over a Cassandra cluster; docs/formats.md describes the tables.
 *
 * Every row is an upsert with its own write timestamp, so writing it again is harmless and a later version
 * wins in whatever order they arrive: bars by `available`, forecasts and outcomes by what was issued first,
 * the rest by the writer's clock, which never stands still. put() writes the rows, waits until all are
 * acknowledged, and only then writes the position: after a crash the last rows are written again. Such a
 * store cannot tell a new row from one that was there, so it counts every record as inserted.
 *
 * A partition never exceeds one day of one symbol. One table lists the symbols with their first and last day,
 * one the models of a symbol and day; scans over all symbols go by them.
 *
 * The keyspace is the prefix, "_" and the world: tickcast_live.
 */
#pragma once

#include "market/calendar.h"
#include "store/cql_client.h"
#include "store/store.h"

struct tc_cassandra_conf {
    struct tc_cql_conf cql;
    const char *keyspace;               /* prefix; letters, digits, "_" */
    const char *replication;            /* "3" (every data centre alike) or "DC:3,DC2:2"; migration only */
    const struct tc_calendar *calendar; /* of plain symbols; those of a venue (venue:NAME) go by UTC */
};

/* Makes the keyspace and tables, or brings them to this program's version. TC_EINPUT: they are newer. */
int tc_cassandra_migrate(const struct tc_cassandra_conf *conf, enum tc_world world);

/* TC_ENOTFOUND: no keyspace or tables (migrate makes them). TC_EINPUT: they are of another version. The
 * strings and the calendar of conf outlive the store. */
int tc_cassandra_open(const struct tc_cassandra_conf *conf, enum tc_world world, struct tc_store *out);
int tc_cassandra_open_reader(const struct tc_cassandra_conf *conf, enum tc_world world, struct tc_store *out);
