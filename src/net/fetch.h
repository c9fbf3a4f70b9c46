/* fetch.h - one HTTP request at a time that blocks nobody: begin, then poll until it is done. By libcurl:
 * http or https with the certificate checked, no redirects, gzip taken, the answer bounded. One thread a
 * client.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tc_fetch; /* opaque */

struct tc_fetch_conf {
    const char *user_agent;
    size_t max_body;
    int64_t timeout_ns; /* of a whole request */
};

struct tc_fetch_answer {
    int status;       /* 0: none came; `error` says why */
    const char *body; /* valid until the next begin; 0-terminated */
    size_t n;
    double remaining, reset_s; /* x-ratelimit-remaining, -reset; NaN = not sent */
    double retry_after_s;      /* NaN = not sent, or a date */
    char error[160];
};

int tc_fetch_open(const struct tc_fetch_conf *conf, struct tc_fetch **out);
void tc_fetch_close(struct tc_fetch *f); /* takes NULL; gives up what is under way */

/* `authorization`: value of that header, NULL = none. `user`, `password`: HTTP Basic, user NULL = none.
 * `form`: body of a POST, NULL = GET. All are copied. TC_EBUSY while one is under way; TC_EINTERNAL. */
int tc_fetch_begin(struct tc_fetch *f, const char *url, const char *authorization, const char *user,
                   const char *password, const char *form);
bool tc_fetch_busy(const struct tc_fetch *f);

/* Waits at most `wait_ns`. TC_OK: done, *out is filled. TC_AGAIN: not yet. */
int tc_fetch_poll(struct tc_fetch *f, int64_t wait_ns, struct tc_fetch_answer *out);
