#include "base/rng.h"

#include <math.h>

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void tc_rng_seed(struct tc_rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) { /* splitmix64 spreads any seed over the state */
        seed += 0x9E3779B97F4A7C15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        r->s[i] = z ^ (z >> 31);
    }
}

uint64_t tc_rng_next(struct tc_rng *r)
{
    uint64_t result = rotl(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

double tc_rng_uniform(struct tc_rng *r)
{
    return (double)(tc_rng_next(r) >> 11) * 0x1.0p-53;
}

double tc_rng_normal(struct tc_rng *r)
{
    double u, v, s;
    do {
        u = 2 * tc_rng_uniform(r) - 1;
        v = 2 * tc_rng_uniform(r) - 1;
        s = u * u + v * v;
    } while (s >= 1 || s == 0);
    return u * sqrt(-2 * log(s) / s);
}

uint64_t tc_rng_below(struct tc_rng *r, uint64_t bound)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound, v;
    do {
        v = tc_rng_next(r);
    } while (v >= limit);
    return v % bound;
}
