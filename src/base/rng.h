/* rng.h - seeded, repeatable random numbers: xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64. */
#pragma once

#include <stdint.h>

struct tc_rng {
    uint64_t s[4];
};

void tc_rng_seed(struct tc_rng *r, uint64_t seed);
uint64_t tc_rng_next(struct tc_rng *r);
double tc_rng_uniform(struct tc_rng *r);                 /* [0, 1) with 53 bits */
double tc_rng_normal(struct tc_rng *r);                  /* standard normal, polar method */
uint64_t tc_rng_below(struct tc_rng *r, uint64_t bound); /* [0, bound) without bias; bound > 0 */
