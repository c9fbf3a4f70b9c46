/* simulated.h - posts of a simulated forum for the first run: made by the program, marked so on every screen.
 * They say nothing of the simulated prices. The same seed gives the same posts at the same times. */
#pragma once

#include "social/source.h"

struct tc_sim_posts_conf {
    const char *const *symbols; /* spoken of; copied */
    size_t n_symbols;
    uint64_t seed;
    int64_t history_ns; /* how far before now the posts begin */
    int64_t (*now)(void);
};

int tc_sim_posts_open(const struct tc_sim_posts_conf *conf, struct tc_source *out);
