/* The answers that read the ledger: runs of jobs, alerts, and the quality report of some sessions. */
#include "base/clock.h"
#include "base/err.h"
#include "serve/api.h"
#include "serve/live.h"

enum { ROWS_MAX = 10000, DAYS_DEFAULT = 14 };

struct rows {
    struct tc_buf *out;
    bool any;
};

static void separate(struct rows *r)
{
    if (r->any)
        tc_buf_char(r->out, ',');
    r->any = true;
}

static int put_row(void *ctx, const struct tc_ledger_row *row)
{
    struct rows *r = ctx;
    separate(r);
    tc_ledger_to_json(row, r->out);
    return r->out->overflow ? TC_DONE : 0;
}

static int put_record(void *ctx, const struct tc_record *row)
{
    struct rows *r = ctx;
    separate(r);
    tc_record_to_json(row, r->out);
    return r->out->overflow ? TC_DONE : 0;
}

/* `,"name":[rows]`, or with `{` in place of the comma. */
static int put_list(const struct tc_store *store, const struct tc_ledger_query *q, const char *name,
                    struct tc_buf *out)
{
    struct rows rows = {.out = out};
    tc_buf_printf(out, "%c\"%s\":[", name[0], name + 1);
    int rc = store ? store->ops->ledger(store->self, q, put_row, &rows) : TC_OK;
    tc_buf_char(out, ']');
    return rc < 0 ? rc : TC_OK;
}

static void put_newest(const struct tc_store *store, const struct tc_params *p, enum tc_ledger_kind kind,
                       const char *name, struct tc_reply *r)
{
    int64_t limit = 100;
    if (!tc_param_int(p, "limit", 1, ROWS_MAX, &limit, r))
        return;
    struct tc_ledger_query q = {.kind = kind, .limit = (uint32_t)limit};
    int rc = put_list(store, &q, name, &r->body);
    tc_buf_str(&r->body, "}\n");
    if (rc)
        tc_api_store_error(r, rc);
}

void tc_api_jobs(struct tc_serve *s, const struct tc_store *store, const struct tc_params *p,
                 struct tc_reply *r)
{
    (void)s;
    put_newest(store, p, TC_LEDGER_JOB, "{jobs", r);
}

void tc_api_alerts(struct tc_serve *s, const struct tc_store *store, const struct tc_params *p,
                   struct tc_reply *r)
{
    (void)s;
    put_newest(store, p, TC_LEDGER_ALERT, "{alerts", r);
}

static int32_t newest_day(struct tc_serve *s)
{
    struct tc_live_totals t;
    tc_live_totals(s->live, &t);
    return t.day ? t.day : tc_date_utc(tc_now_ns());
}

void tc_api_quality(struct tc_serve *s, const struct tc_store *store, const struct tc_params *p,
                    struct tc_reply *r)
{
    int64_t to = newest_day(s);
    int64_t from = tc_date_from_days(tc_days_from_date((int32_t)to) - (DAYS_DEFAULT - 1));
    struct rows rows = {.out = &r->body};
    const char *symbol = NULL;
    if (!tc_param_symbol(p, false, &symbol, r) ||
        !tc_param_int(p, "from_day", 19000101, 99991231, &from, r) ||
        !tc_param_int(p, "to_day", 19000101, 99991231, &to, r))
        return;
    if (from > to) {
        tc_reply_error(r, 400, "parameter \"from_day\" is after parameter \"to_day\"");
        return;
    }
    if (s->conf.fresh)
        s->conf.fresh(s->conf.fresh_ctx);
    tc_buf_printf(&r->body, "{\"from_day\":%d,\"to_day\":%d,\"quality\":[", (int)from, (int)to);
    int rc = store ? store->ops->quality(store->self, symbol, (int32_t)from, (int32_t)to, put_record, &rows)
                   : TC_OK;
    tc_buf_char(&r->body, ']');
    struct tc_ledger_query q = {.key = symbol, .from_day = (int32_t)from, .to_day = (int32_t)to};
    q.kind = TC_LEDGER_RECONCILED;
    if (rc >= 0)
        rc = put_list(store, &q, ",reconciled", &r->body);
    q.kind = TC_LEDGER_FLAG;
    if (rc >= 0)
        rc = put_list(store, &q, ",flags", &r->body);
    tc_buf_str(&r->body, "}\n");
    if (rc < 0)
        tc_api_store_error(r, rc);
}
