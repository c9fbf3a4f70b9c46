/* source.h - where posts come from. A source only reads: it gives posts as they stand at their place, in any
 * order, and perhaps more than once; the role (role/posts.h) knows which it has, scores them and puts them on
 * the bus.
 *
 * next() never blocks longer than some milliseconds: TC_OK with *n items (at least one); TC_AGAIN nothing
 * now, *wait_ns says for how long; < 0 broken for good, tc_error() says how and what to do.
 */
#pragma once

#include "bus/record.h"

#include <stddef.h>

enum { TC_RAW_TEXT_MAX = 48 << 10, TC_AUTHOR_SIZE = 80 };

enum tc_raw_kind {
    TC_RAW_POST,
    TC_RAW_REMOVED, /* only `id` */
    TC_RAW_HOLE,    /* posts of `place` written from `created` to `until` may be missing */
};

struct tc_raw_post {
    enum tc_raw_kind kind;
    char id[TC_POST_ID_SIZE];
    char place[TC_POST_PLACE_SIZE], url[TC_POST_URL_SIZE];
    char author[TC_AUTHOR_SIZE]; /* "" = not known; never kept */
    int64_t created;
    int64_t available; /* 0 = now */
    int64_t until;
    int64_t cursor; /* kept with the post; given back by resume() */
    char reason[TC_REASON_SIZE];
    const char *title, *text; /* the source's, until the next call; not 0-terminated; NULL = none */
    size_t title_n, text_n;   /* at most TC_RAW_TEXT_MAX together */
};

struct tc_source_health {
    const char *state; /* "connected", "waiting", ... static text */
    bool healthy;
    int64_t last_ns; /* wall clock of the last answer; 0 = none yet */
    uint64_t posts, holes, errors;
    char note[160]; /* what is wrong, "" = nothing */
};

struct tc_source_ops {
    const char *name;   /* at most 15 letters; begins the ids of its posts */
    bool only_mentions; /* posts without a symbol are passed over (a firehose) */
    int (*next)(void *self, struct tc_raw_post *items, size_t max, size_t *n, int64_t *wait_ns);
    /* Before the first next(): a post of this source that the bus holds, the oldest first. */
    void (*resume)(void *self, const struct tc_post *p);
    /* Ids that the store holds and that may have gone since; NULL = the source cannot ask. Called by the role
     * when the source has room for them; takes up to n and returns how many. */
    size_t (*recheck)(void *self, const char (*ids)[TC_POST_ID_SIZE], size_t n);
    void (*health)(const void *self, struct tc_source_health *out); /* any thread */
    void (*close)(void *self);                                      /* takes NULL */
};

struct tc_source {
    const struct tc_source_ops *ops;
    void *self;
};
