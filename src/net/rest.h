/* rest.h - HTTP GET by libcurl: TLS checked, gzip taken, answers bounded, redirects not followed. One thread
 * a client; the connection is kept between calls.
 */
#pragma once

#include "base/buf.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct tc_rest;

struct tc_rest_conf {
    const char *ca_file;        /* NULL = the system's certificates */
    const char *const *headers; /* "Name: value" sent with each request; copied */
    size_t n_headers;
    size_t max_body;
    int64_t connect_ns, total_ns; /* of one request */
    const atomic_bool *stop;      /* ends a request under way; NULL */
};

struct tc_rest_answer {
    int status;
    int retry_after_s; /* -1 = not said */
    struct {
        const char *data; /* valid until the next call */
        size_t n;
    } body;
};

int tc_rest_open(const struct tc_rest_conf *conf, struct tc_rest **out);
void tc_rest_close(struct tc_rest *r); /* takes NULL */

/* TC_OK: an answer of any status. TC_EPEER: none came. TC_ELIMIT: it is over max_body. Messages never hold
 * the URL's query, where some vendors want the key. */
int tc_rest_get(struct tc_rest *r, const char *url, struct tc_rest_answer *out);

/* A header of the last answer; false when it was not there. */
bool tc_rest_header(const struct tc_rest *r, const char *name, char *out, size_t size);
