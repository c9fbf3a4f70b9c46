/* /api/v1/posts and /api/v1/sentiment. */
#include "serve/api.h"
#include "base/err.h"
#include "social/tickers.h"

#include <stdio.h>
#include <string.h>

enum { POSTS = 100, POSTS_MAX = 500, MINUTES = 1440, MINUTES_MAX = 11000 };

struct list {
    struct tc_buf *out;
    bool some;
};

/* Parameters of both; *ticker is the symbol that posts speak of, "" = all. */
static bool parse(const struct tc_params *p, bool symbol, int64_t limit, int64_t max, struct tc_range *out,
                  char ticker[static TC_SYMBOL_SIZE], struct tc_reply *r)
{
    const char *name = NULL;
    *out = (struct tc_range){.from = 0, .to = INT64_MAX, .newest = true};
    if (!tc_param_symbol(p, symbol, &name, r) || !tc_param_time(p, "from", &out->from, r) ||
        !tc_param_time(p, "to", &out->to, r) || !tc_param_int(p, "limit", 1, max, &limit, r))
        return false;
    if (out->from > out->to)
        return tc_reply_error(r, 400, "parameter \"from\" is after parameter \"to\"");
    out->limit = (uint32_t)limit;
    if (name)
        tc_ticker_of(name, ticker);
    else
        ticker[0] = '\0';
    out->symbol = name ? ticker : NULL;
    return true;
}

static void wait_for_store(const struct tc_serve *s)
{
    if (s->conf.fresh)
        s->conf.fresh(s->conf.fresh_ctx);
}

static int put_post(void *ctx, const struct tc_record *row)
{
    struct list *l = ctx;
    if (l->some)
        tc_buf_char(l->out, ',');
    l->some = true;
    tc_record_to_json(row, l->out);
    return l->out->overflow ? TC_DONE : 0;
}

void tc_api_posts(struct tc_serve *s, const struct tc_store *store, const struct tc_params *p,
                  struct tc_reply *r)
{
    struct tc_range q;
    char ticker[TC_SYMBOL_SIZE];
    if (!parse(p, false, POSTS, POSTS_MAX, &q, ticker, r))
        return;
    wait_for_store(s);
    struct list list = {.out = &r->body};
    tc_buf_str(&r->body, "{\"symbol\":");
    if (ticker[0])
        tc_buf_json_string(&r->body, ticker);
    else
        tc_buf_str(&r->body, "null");
    tc_buf_str(&r->body, ",\"posts\":[");
    int rc = store && store->ops->posts ? store->ops->posts->read(store->self, &q, put_post, &list) : TC_OK;
    tc_buf_str(&r->body, "]}\n");
    if (rc < 0)
        tc_api_store_error(r, rc);
}

static int put_minute(void *ctx, const struct tc_sentiment_minute *m)
{
    struct list *l = ctx;
    tc_buf_printf(l->out, "%s{\"minute\":%lld,\"n\":%lld,\"mean\":", l->some ? "," : "", (long long)m->minute,
                  (long long)m->n);
    tc_buf_double(l->out, m->mean);
    tc_buf_str(l->out, ",\"share_positive\":");
    tc_buf_double(l->out, m->share_positive);
    tc_buf_char(l->out, '}');
    l->some = true;
    return l->out->overflow ? TC_DONE : 0;
}

void tc_api_sentiment(struct tc_serve *s, const struct tc_store *store, const struct tc_params *p,
                      struct tc_reply *r)
{
    struct tc_range q;
    char ticker[TC_SYMBOL_SIZE];
    if (!parse(p, true, MINUTES, MINUTES_MAX, &q, ticker, r))
        return;
    wait_for_store(s);
    struct list list = {.out = &r->body};
    tc_buf_str(&r->body, "{\"symbol\":");
    tc_buf_json_string(&r->body, ticker);
    tc_buf_str(&r->body, ",\"minutes\":[");
    int rc =
        store && store->ops->posts ? store->ops->posts->sentiment(store->self, &q, put_minute, &list) : TC_OK;
    tc_buf_str(&r->body, "]}\n");
    if (rc < 0)
        tc_api_store_error(r, rc);
}
