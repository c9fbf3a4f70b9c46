#include "net/fetch.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "net/webhook.h"

#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct tc_fetch {
    struct tc_fetch_conf conf;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct tc_buf body;
    struct tc_fetch_answer answer;
    char user_agent[200];
    bool busy;
};

static size_t take_body(char *bytes, size_t size, size_t n, void *self)
{
    struct tc_fetch *f = self;
    tc_buf_put(&f->body, bytes, size * n);
    return f->body.overflow ? 0 : size * n; /* 0 ends the transfer */
}

static void take_number(const char *value, size_t n, double *out)
{
    while (n && (value[0] == ' ' || value[0] == '\t'))
        value++, n--;
    while (n && strchr(" \t\r\n", value[n - 1]))
        n--;
    double v;
    if (tc_parse_double(value, n, &v) && fabs(v) < 1e9)
        *out = v > 0 ? v : 0;
}

static size_t take_header(char *line, size_t size, size_t n, void *self)
{
    struct tc_fetch_answer *a = &((struct tc_fetch *)self)->answer;
    const struct {
        const char *name;
        double *to;
    } wanted[] = {{"x-ratelimit-remaining:", &a->remaining},
                  {"x-ratelimit-reset:", &a->reset_s},
                  {"retry-after:", &a->retry_after_s}};
    size_t length = size * n;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        size_t name = strlen(wanted[i].name);
        if (length > name && !strncasecmp(line, wanted[i].name, name))
            take_number(line + name, length - name, wanted[i].to);
    }
    return length;
}

int tc_fetch_open(const struct tc_fetch_conf *conf, struct tc_fetch **out)
{
    tc_webhook_start(); /* libcurl's own start, once a process */
    struct tc_fetch *f = calloc(1, sizeof(*f));
    if (!f)
        return tc_fail(TC_ENOMEM, "no memory for an HTTP client");
    f->conf = *conf;
    snprintf(f->user_agent, sizeof(f->user_agent), "%s", conf->user_agent);
    tc_buf_init(&f->body, conf->max_body);
    f->multi = curl_multi_init();
    if (!f->multi) {
        tc_fetch_close(f);
        return tc_fail(TC_ENOMEM, "no memory for an HTTP client");
    }
    *out = f;
    return TC_OK;
}

static void finish(struct tc_fetch *f)
{
    if (f->easy) {
        curl_multi_remove_handle(f->multi, f->easy);
        curl_easy_cleanup(f->easy);
    }
    curl_slist_free_all(f->headers);
    f->easy = NULL;
    f->headers = NULL;
    f->busy = false;
}

void tc_fetch_close(struct tc_fetch *f)
{
    if (!f)
        return;
    finish(f);
    if (f->multi)
        curl_multi_cleanup(f->multi);
    tc_buf_release(&f->body);
    free(f);
}

static void set_options(struct tc_fetch *f, const char *url)
{
    CURL *e = f->easy;
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_USERAGENT, f->user_agent);
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(f->conf.timeout_ns / TC_NS_PER_MS));
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, f);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(e, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

int tc_fetch_begin(struct tc_fetch *f, const char *url, const char *authorization, const char *user,
                   const char *password, const char *form)
{
    char line[2200];
    if (f->busy)
        return tc_fail(TC_EBUSY, "a request is under way");
    tc_buf_release(&f->body);
    tc_buf_init(&f->body, f->conf.max_body);
    f->answer = (struct tc_fetch_answer){.remaining = NAN, .reset_s = NAN, .retry_after_s = NAN};
    f->easy = curl_easy_init();
    if (!f->easy)
        return tc_fail(TC_ENOMEM, "no memory for a request");
    set_options(f, url);
    if (authorization) {
        snprintf(line, sizeof(line), "Authorization: %s", authorization);
        f->headers = curl_slist_append(NULL, line);
        curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->headers);
    }
    if (user) {
        curl_easy_setopt(f->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(f->easy, CURLOPT_USERNAME, user);
        curl_easy_setopt(f->easy, CURLOPT_PASSWORD, password ? password : "");
    }
    if (form)
        curl_easy_setopt(f->easy, CURLOPT_COPYPOSTFIELDS, form);
    if (curl_multi_add_handle(f->multi, f->easy) != CURLM_OK) {
        finish(f);
        return tc_fail(TC_EINTERNAL, "the HTTP library refused a request");
    }
    f->busy = true;
    return TC_OK;
}

bool tc_fetch_busy(const struct tc_fetch *f)
{
    return f->busy;
}

static void read_result(struct tc_fetch *f, CURLcode result)
{
    long status = 0;
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    f->answer.status = result == CURLE_OK ? (int)status : 0;
    if (result != CURLE_OK)
        snprintf(f->answer.error, sizeof(f->answer.error), "%s",
                 f->body.overflow ? "the answer is too large" : curl_easy_strerror(result));
    f->answer.body = f->body.data ? f->body.data : "";
    f->answer.n = f->body.len;
}

int tc_fetch_poll(struct tc_fetch *f, int64_t wait_ns, struct tc_fetch_answer *out)
{
    int running = 0, left;
    if (!f->busy)
        return tc_fail(TC_EINTERNAL, "no request is under way");
    curl_multi_perform(f->multi, &running);
    if (running && wait_ns > 0) {
        curl_multi_poll(f->multi, NULL, 0, (int)(wait_ns / TC_NS_PER_MS), NULL);
        curl_multi_perform(f->multi, &running);
    }
    for (CURLMsg *m; (m = curl_multi_info_read(f->multi, &left));) {
        if (m->msg != CURLMSG_DONE)
            continue;
        read_result(f, m->data.result);
        finish(f);
        *out = f->answer;
        return TC_OK;
    }
    return TC_AGAIN;
}
