/* tickcast forecast: one shot over what a store holds. The newest bars of each symbol are run through the
 * live forecast code, and what it says after the last one is printed. */
#include "app/command.h"
#include "app/config.h"
#include "app/stores.h"
#include "app/table.h"
#include "app/when.h"
#include "base/clock.h"
#include "base/err.h"
#include "forecast/engine.h"
#include "forecast/report.h"
#include "store/store.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_STEP_S = 600, JSON_MAX = 1 << 20 };

struct options {
    char *symbol, *calendar;
    int64_t bars;
    bool json, utc;
};

#define OPT(name, kind, field) .key = name, .type = kind, .at = offsetof(struct options, field)

static const struct tc_opt OPTIONS[] = {
    {OPT("symbol", TC_OPT_STRING, symbol), .def_doc = "all", .doc = "one symbol"},
    {OPT("bars", TC_OPT_INT, bars), .def = "20000", .min = "1", .max = "1000000",
     .doc = "newest bars of each symbol that the simple models learn from"},
    {OPT("calendar", TC_OPT_STRING, calendar), .def_doc = "simulated: always; else xnys",
     .doc = "whose sessions and clock"},
    {OPT("utc", TC_OPT_BOOL, utc), .def = "false", .doc = "times in UTC"},
    {OPT("json", TC_OPT_BOOL, json), .def = "false", .doc = "JSON, one forecast a line"},
};

static const struct tc_cli cli = {
    .command = "forecast",
    .usage = "[FLAGS]",
    .about =
        "Forecasts from the newest bars of a store, once: the models run over them as they would live, and "
        "what they say after the last bar is printed. A model whose gate is shut has not been measurably "
        "better than \"no change\" on these bars.",
    .sections = "data feed forecast store cassandra log",
    .opts = OPTIONS,
    .n_opts = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
    .examples = "  tickcast forecast\n"
                "  tickcast forecast --symbol SPY --data OUT --json\n",
};

struct quote_at {
    int64_t second;
    struct tc_quote quote;
    double lag_ms;
};

struct shot {
    const struct options *o;
    struct tc_store store;
    struct tc_calendar *calendar;
    struct tc_engine_conf conf;
    struct tc_table table;
    struct tc_buf json;
    bool simulated;
    int64_t shown;
    /* of the symbol under way */
    struct tc_engine *engine;
    struct tc_bar bar; /* read, not fed yet */
    bool has_bar;
    struct quote_at *quotes;
    size_t n_quotes, quotes_capacity, quote;
    struct tc_forecast last[1 + TC_ENGINE_MODELS_MAX];
    size_t n_last;
};

static const struct tc_calendar *calendar_of(void *ctx, const char *symbol)
{
    (void)symbol;
    return ((const struct shot *)ctx)->calendar;
}

/* Keeps the forecasts of the newest origin. */
static int keep(void *ctx, const struct tc_record *r)
{
    struct shot *s = ctx;
    if (r->type != TC_REC_FORECAST)
        return TC_OK;
    if (s->n_last && s->last[0].origin_time != r->forecast.origin_time)
        s->n_last = 0;
    if (s->n_last < sizeof(s->last) / sizeof(s->last[0]))
        s->last[s->n_last++] = r->forecast;
    return TC_OK;
}

static int feed(struct shot *s, struct tc_record *r)
{
    r->from = -1;
    return tc_engine_feed(s->engine, r, 0, keep, s);
}

static int feed_quotes(struct shot *s, int64_t second, int64_t available)
{
    int rc = TC_OK;
    for (; s->quote < s->n_quotes && s->quotes[s->quote].second <= second && rc == TC_OK; s->quote++) {
        struct tc_record r = {.type = TC_REC_QUOTE};
        const struct quote_at *q = &s->quotes[s->quote];
        r.quote = (struct tc_second_quote){
            .second = q->second, .available = available, .quote = q->quote, .quote_lag_ms = q->lag_ms};
        memcpy(r.quote.symbol, s->bar.symbol, sizeof(r.quote.symbol));
        rc = feed(s, &r);
    }
    return rc;
}

static int feed_second(struct shot *s, int64_t second, int64_t available)
{
    struct tc_record r = {.type = TC_REC_SECOND};
    r.second =
        (struct tc_second){.second = second, .available = available, .healthy = true, .log_time = true};
    memcpy(r.second.feed, s->bar.feed, sizeof(r.second.feed));
    return feed(s, &r);
}

/* The bar read before, its second, and the quiet seconds up to `next`. */
static int feed_pending(struct shot *s, int64_t next)
{
    if (!s->has_bar)
        return TC_OK;
    s->has_bar = false;
    struct tc_record r = {.type = TC_REC_BAR};
    r.bar = s->bar;
    r.bar.revision = 0; /* the newest version is what the store holds */
    int rc = feed_quotes(s, r.bar.start, r.bar.available);
    rc = rc ? rc : feed(s, &r);
    rc = rc ? rc : feed_second(s, r.bar.start, r.bar.available);
    int64_t end = next - s->bar.start <= LONGEST_STEP_S * TC_NS_PER_SEC ? next : s->bar.start;
    for (int64_t t = s->bar.start + TC_NS_PER_SEC; t < end && !rc; t += TC_NS_PER_SEC) {
        rc = feed_quotes(s, t, t + TC_NS_PER_SEC);
        rc = rc ? rc : feed_second(s, t, t + TC_NS_PER_SEC);
    }
    return rc;
}

static int take_bar(void *ctx, const struct tc_record *row)
{
    struct shot *s = ctx;
    int rc = feed_pending(s, row->bar.start);
    s->bar = row->bar;
    s->has_bar = true;
    return rc;
}

static int take_quote(void *ctx, const struct tc_record *row)
{
    struct shot *s = ctx;
    if (s->n_quotes == s->quotes_capacity) {
        size_t more = s->quotes_capacity ? 2 * s->quotes_capacity : 4096;
        struct quote_at *grown = realloc(s->quotes, more * sizeof(*grown));
        if (!grown)
            return tc_fail(TC_ENOMEM, "no memory for the quotes of %s", row->quote.symbol);
        s->quotes = grown;
        s->quotes_capacity = more;
    }
    s->quotes[s->n_quotes++] =
        (struct quote_at){row->quote.second, row->quote.quote, row->quote.quote_lag_ms};
    return TC_OK;
}

static void show_table(struct shot *s, const struct tc_forecast *f)
{
    if (!s->shown)
        printf("%sforecasts after the newest bars, times in %s\n", s->simulated ? "SIMULATED " : "",
               s->o->utc ? "UTC" : tc_calendar_zone(s->calendar));
    for (int32_t i = 0; i < f->n_points; i++) {
        const struct tc_point *p = &f->points[i];
        char when[TC_WHEN_TEXT], target[24];
        tc_report_target(p->kind, p->horizon_ms, target);
        tc_table_text(&s->table, f->symbol);
        tc_table_text(&s->table, tc_when_text(f->origin_time, s->o->utc ? NULL : s->calendar, when));
        tc_table_text(&s->table, f->model);
        tc_table_text(&s->table, target);
        tc_table_num(&s->table, p->kind == TC_KIND_MID ? f->reference_mid : f->reference, 2, 4);
        tc_table_num(&s->table, p->value, 4, 4);
        tc_table_num(&s->table, p->lo, 4, 4);
        tc_table_num(&s->table, p->hi, 4, 4);
        tc_table_text(&s->table, p->gate_open ? "open" : "shut");
        tc_table_text(&s->table, f->flags & TC_FLAG_COLD ? "cold" : "");
    }
}

static int show_json(struct shot *s, const struct tc_forecast *f)
{
    struct tc_record r = {.type = TC_REC_FORECAST, .from = -1};
    r.forecast = *f;
    tc_buf_clear(&s->json);
    tc_record_to_json(&r, &s->json);
    if (s->json.overflow)
        return tc_fail(TC_ELIMIT, "a forecast of %s does not fit into %d bytes", f->symbol, JSON_MAX);
    puts(s->json.data);
    return TC_OK;
}

static int run_symbol(struct shot *s, const char *symbol)
{
    struct tc_range q = {.symbol = symbol,
                         .from = INT64_MIN,
                         .to = INT64_MAX,
                         .interval_ms = 1000,
                         .limit = (uint32_t)s->o->bars,
                         .newest = true};
    s->has_bar = false;
    s->n_quotes = s->quote = s->n_last = 0;
    int rc = tc_engine_open(&s->conf, &s->engine);
    rc = rc ? rc : s->store.ops->quotes(s->store.self, &q, take_quote, s);
    rc = rc ? rc : s->store.ops->bars(s->store.self, &q, take_bar, s);
    rc = rc ? rc : feed_pending(s, s->bar.start);
    for (size_t i = 0; i < s->n_last && !rc; i++) {
        if (s->o->json)
            rc = show_json(s, &s->last[i]);
        else
            show_table(s, &s->last[i]);
        s->shown++;
    }
    tc_engine_close(s->engine);
    s->engine = NULL;
    return rc;
}

struct names {
    char (*name)[TC_SYMBOL_SIZE];
    size_t n, capacity;
    const char *only;
};

static int take_name(void *ctx, const struct tc_record *row)
{
    struct names *l = ctx;
    if (l->only && strcmp(l->only, row->bar.symbol))
        return TC_OK;
    if (l->n == l->capacity) {
        size_t more = l->capacity ? 2 * l->capacity : 64;
        void *grown = realloc(l->name, more * sizeof(*l->name));
        if (!grown)
            return tc_fail(TC_ENOMEM, "no memory for the names of symbols");
        l->name = grown;
        l->capacity = more;
    }
    memcpy(l->name[l->n++], row->bar.symbol, TC_SYMBOL_SIZE);
    return TC_OK;
}

static int run_all(struct shot *s)
{
    struct names l = {.only = s->o->symbol};
    int rc = s->store.ops->latest(s->store.self, take_name, &l);
    if (!rc && !l.n)
        rc = l.only ? tc_fail(TC_ENOTFOUND, "the store holds no bars of %s", l.only)
                    : tc_fail(TC_ENOTFOUND, "the store holds no bars yet");
    for (size_t i = 0; i < l.n && !rc; i++)
        rc = run_symbol(s, l.name[i]);
    free(l.name);
    if (!rc && !s->shown)
        rc = tc_fail(TC_ENOTFOUND,
                     "no bars of a regular session, from its second minute on: nothing to forecast");
    return rc;
}

static int load_models(struct shot *s, const struct tc_config *c)
{
    struct tc_store_info info;
    int rc = tc_stores_look(c, s->o->calendar, &s->calendar, &s->store, &info);
    if (rc)
        return rc;
    for (size_t i = 0; i < c->models.n && !rc; i++) {
        if (s->conf.n_networks == TC_ENGINE_MODELS_MAX)
            return tc_fail(TC_ECONF, "--model: more than %d models", TC_ENGINE_MODELS_MAX);
        rc = tc_model_load(c->models.items[i], &s->conf.networks[s->conf.n_networks]);
        s->conf.n_networks += !rc;
    }
    s->simulated = info.world == TC_WORLD_SIMULATED;
    return rc;
}

static int forecast(const struct tc_config *c, const struct options *o)
{
    static const struct tc_column columns[] = {
        {"symbol", false},  {"origin", false}, {"model", false}, {"target", false}, {"now", true},
        {"forecast", true}, {"lo", true},      {"hi", true},     {"gate", false},   {"flags", false}};
    struct shot s = {.o = o};
    tc_engine_conf_default(&s.conf);
    s.conf.symbols = 1;
    s.conf.calendar = calendar_of;
    s.conf.calendar_ctx = &s;
    tc_buf_init(&s.json, JSON_MAX);
    int rc = load_models(&s, c);
    tc_table_open(&s.table, columns, sizeof(columns) / sizeof(columns[0]), false);
    rc = rc ? rc : run_all(&s);
    if (s.shown && !o->json) {
        int closed = tc_table_close(&s.table);
        rc = rc ? rc : closed;
    }
    tc_buf_release(&s.table.cells);
    for (int32_t i = 0; i < s.conf.n_networks; i++)
        tc_model_free(s.conf.networks[i]);
    if (s.store.ops)
        s.store.ops->close(s.store.self);
    tc_calendar_free(s.calendar);
    tc_buf_release(&s.json);
    free(s.quotes);
    return rc;
}

int tc_cmd_forecast(int argc, char **argv)
{
    struct tc_config_set set;
    struct options o;
    struct tc_cli with = cli;
    with.target = &o;
    int rc = tc_config_load(&set, &with, argc, argv);
    if (!rc)
        rc = forecast(&set.conf, &o);
    tc_config_release(&set);
    return tc_command_exit(rc);
}
