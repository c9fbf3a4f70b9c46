#include "net/webhook.h"
#include "base/clock.h"
#include "base/err.h"

#include <curl/curl.h>
#include <stdbool.h>

void tc_webhook_start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t drop(char *data, size_t one, size_t n, void *arg)
{
    (void)data, (void)arg;
    return one * n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return arg && atomic_load((const atomic_bool *)arg);
}

static void configure(CURL *c, const char *url, const char *json, size_t n, int64_t timeout_ns,
                      const atomic_bool *stop)
{
    curl_easy_setopt(c, CURLOPT_URL, url);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, json);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)n);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(timeout_ns / TC_NS_PER_MS));
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, (void *)stop);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "tickcast");
}

static int judge(CURL *c, CURLcode code)
{
    long status = 0;
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return TC_DONE;
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return tc_fail(TC_ECONF, "the webhook's address is no http:// or https:// address");
    if (code != CURLE_OK)
        return tc_fail(TC_EPEER, "the webhook did not answer: %s", curl_easy_strerror(code));
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300)
        return TC_OK;
    bool again = status == 408 || status == 425 || status == 429 || status >= 500;
    return tc_fail(again ? TC_EPEER : TC_ECONF, "the webhook answered %ld", status);
}

int tc_webhook_post(const char *url, const char *json, size_t n, int64_t timeout_ns, const atomic_bool *stop)
{
    CURL *c = curl_easy_init();
    if (!c)
        return tc_fail(TC_ENOMEM, "no memory for the webhook");
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    configure(c, url, json, n, timeout_ns, stop);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    int rc = judge(c, curl_easy_perform(c));
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    return rc;
}
