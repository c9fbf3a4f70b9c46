/* stores.h - the store that the configuration names: a SQLite file in the data folder, or Cassandra. */
#pragma once

#include "app/config.h"
#include "market/calendar.h"
#include "store/cassandra.h"

/* The strings of `c` and the calendar outlive what is opened with it. */
int tc_stores_cassandra(const struct tc_config *c, const struct tc_calendar *calendar,
                        struct tc_cassandra_conf *out);

/* The writer. `path` is the SQLite file. */
int tc_stores_open(const struct tc_config *c, const char *path, const struct tc_calendar *calendar,
                   struct tc_store *out);
int tc_stores_open_reader(const struct tc_config *c, const char *path, const struct tc_calendar *calendar,
                          struct tc_store *out);

/* For the commands that read a store: opens a reader, tells what it holds, and loads the calendar of its
 * world (or the one named). Close the store before the calendar. */
int tc_stores_look(const struct tc_config *c, const char *calendar_name, struct tc_calendar **calendar,
                   struct tc_store *out, struct tc_store_info *info);
