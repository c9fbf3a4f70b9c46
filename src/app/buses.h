/* buses.h - the bus that the configuration names: files in the data folder, or Kafka. */
#pragma once

#include "app/config.h"
#include "bus/kafka.h"

/* `dir` is the folder of the log bus. With Kafka *kafka is what close() needs besides the bus; all roles of
 * one process share one partition, since a run's records have one order. */
int tc_buses_open(const struct tc_config *c, const char *dir, struct tc_kafka **kafka, struct tc_bus *out);
