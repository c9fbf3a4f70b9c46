#include "net/rest.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "net/net.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdbool.h>
#include <strings.h>

enum { HEADERS_MAX = 16384 };

struct tc_rest {
    struct tc_rest_conf conf;
    CURL *curl;
    struct curl_slist *headers;
    struct tc_buf body, head;
};

static void start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void tc_net_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
}

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
    struct tc_rest *r = arg;
    tc_buf_put(&r->body, data, one * n);
    return r->body.overflow ? 0 : one * n;
}

/* Of several answers (a proxy's before the server's) the last one counts. */
static size_t on_header(char *data, size_t one, size_t n, void *arg)
{
    struct tc_rest *r = arg;
    if (one * n > 5 && !strncasecmp(data, "HTTP/", 5))
        tc_buf_clear(&r->head);
    tc_buf_put(&r->head, data, one * n);
    return one * n; /* headers over the bound are left out, no fault */
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct tc_rest *r = arg;
    (void)a, (void)b, (void)c, (void)d;
    return r->conf.stop && atomic_load(r->conf.stop);
}

static void configure(struct tc_rest *r)
{
    CURL *c = r->curl;
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(c, CURLOPT_USERAGENT, "tickcast");
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, r->headers);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(r->conf.connect_ns / TC_NS_PER_MS));
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(r->conf.total_ns / TC_NS_PER_MS));
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, r);
    if (r->conf.ca_file)
        curl_easy_setopt(c, CURLOPT_CAINFO, r->conf.ca_file);
}

int tc_rest_open(const struct tc_rest_conf *conf, struct tc_rest **out)
{
    tc_net_start();
    struct tc_rest *r = calloc(1, sizeof(*r));
    if (!r)
        return tc_fail(TC_ENOMEM, "no memory for an HTTP client");
    r->conf = *conf;
    tc_buf_init(&r->body, conf->max_body + 1);
    tc_buf_init(&r->head, HEADERS_MAX);
    bool good = true;
    for (size_t i = 0; i < conf->n_headers && good; i++) {
        struct curl_slist *longer = curl_slist_append(r->headers, conf->headers[i]);
        good = longer != NULL;
        r->headers = longer ? longer : r->headers;
    }
    r->curl = curl_easy_init();
    if (!r->curl || !good) {
        tc_rest_close(r);
        return tc_fail(TC_ENOMEM, "no memory for an HTTP client");
    }
    configure(r);
    r->conf.headers = NULL;
    *out = r;
    return TC_OK;
}

void tc_rest_close(struct tc_rest *r)
{
    if (!r)
        return;
    curl_easy_cleanup(r->curl);
    curl_slist_free_all(r->headers);
    tc_buf_release(&r->body);
    tc_buf_release(&r->head);
    free(r);
}

bool tc_rest_header(const struct tc_rest *r, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    for (const char *p = r->head.len ? r->head.data : ""; *p;) {
        size_t line = strcspn(p, "\r\n");
        if (line > n && p[n] == ':' && !strncasecmp(p, name, n)) {
            const char *v = p + n + 1;
            v += strspn(v, " \t");
            snprintf(out, size, "%.*s", (int)(p + line - v), v);
            return true;
        }
        p += line;
        p += strspn(p, "\r\n");
    }
    return false;
}

int tc_rest_get(struct tc_rest *r, const char *url, struct tc_rest_answer *out)
{
    char detail[CURL_ERROR_SIZE] = "", text[32];
    long status = 0;
    int64_t seconds;
    *out = (struct tc_rest_answer){.retry_after_s = -1};
    tc_buf_clear(&r->body);
    tc_buf_clear(&r->head);
    curl_easy_setopt(r->curl, CURLOPT_URL, url);
    curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode rc = curl_easy_perform(r->curl);
    curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, NULL);
    int shown = (int)strcspn(url, "?");
    if (r->body.overflow)
        return tc_fail(TC_ELIMIT, "%.*s: the answer is over %zu bytes", shown, url, r->conf.max_body);
    if (rc != CURLE_OK)
        return tc_fail(TC_EPEER, "%.*s: %s", shown, url, detail[0] ? detail : curl_easy_strerror(rc));
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    out->status = (int)status;
    out->body.data = r->body.len ? r->body.data : "";
    out->body.n = r->body.len;
    if (tc_rest_header(r, "Retry-After", text, sizeof(text)) && tc_parse_int(text, strlen(text), &seconds) &&
        seconds >= 0)
        out->retry_after_s = seconds < 86400 ? (int)seconds : 86400;
    return TC_OK;
}
