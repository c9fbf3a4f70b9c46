/* reply.h - a request's parameters, checked one by one, and its answer. Knows nothing of HTTP's library. */
#pragma once

#include "base/buf.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TC_PARAMS_MAX = 16, TC_ANSWER_MAX = 32 << 20 };

struct tc_param {
    const char *name, *value; /* unescaped; the caller's */
};

struct tc_params {
    size_t n;
    struct tc_param at[TC_PARAMS_MAX];
    const struct tc_buf *body; /* of a POST; NULL else */
};

/* The answer. A handler writes `body` or calls tc_reply_error; the last error wins. */
struct tc_reply {
    int status; /* 200 until something fails */
    const char *type;
    char file[96]; /* name offered for saving; "" = none */
    struct tc_buf body;
};

void tc_reply_init(struct tc_reply *r);
void tc_reply_release(struct tc_reply *r);

/* Makes the body {"error":{"code","message"}}. Always false, so that it can end a chain of checks. */
bool tc_reply_error(struct tc_reply *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* False when a parameter is not in `allowed` (names separated by spaces; "token" always is) or is there
 * twice. */
bool tc_params_check(const struct tc_params *p, const char *allowed, struct tc_reply *r);
const char *tc_params_get(const struct tc_params *p, const char *name); /* NULL when absent */

/* Getters: *out is left alone when the parameter is absent; false, with the reply's error naming the
 * parameter, when it is there and wrong. */
bool tc_param_int(const struct tc_params *p, const char *name, int64_t min, int64_t max, int64_t *out,
                  struct tc_reply *r);
/* ns since 1970, or ISO 8601: 2013-10-07, 2013-10-07T13:30[:00[.5]][Z|+02:00] (UTC when no zone is given). */
bool tc_param_time(const struct tc_params *p, const char *name, int64_t *out, struct tc_reply *r);
/* Index of the value in `choices`, a list of words separated by spaces. */
bool tc_param_choice(const struct tc_params *p, const char *name, const char *choices, int *out,
                     struct tc_reply *r);
/* A valid symbol; NULL stays when it is absent and not required. */
bool tc_param_symbol(const struct tc_params *p, bool required, const char **out, struct tc_reply *r);

bool tc_time_parse(const char *text, int64_t *out);
