/* bench_flight.h - what `tickcast bench flight` does: a model with its windows in flight, bar after bar. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tc_flight_bench {
    const char *path; /* of the model file */
    int64_t bars;     /* measured ones, after the windows are full */
    const int64_t *symbols;
    size_t n;
    bool json;
};

/* For each number of symbols that trade in one second: time from the bars to their forecasts, of the work
 * left for afterwards, of the same forecasts computed afresh, bars a second of both together, and memory. One
 * line each. */
int tc_bench_flight(const struct tc_flight_bench *b);
