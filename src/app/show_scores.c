/* `tickcast show scores` and `show status`. */
#include "app/show.h"
#include "app/when.h"
#include "base/clock.h"
#include "base/err.h"
#include "forecast/score.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSION_SECONDS = 23400 }; /* regular session of an exchange day */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- scores
 * -----------------------------------------------------------------------------------------------*/

/* Sums of the half hours and days asked for, one entry a target of a model. */
struct sums {
    struct tc_score *at;
    size_t n, room;
    bool by_day;
};

static bool same_key(const struct tc_score *a, const struct tc_score *b, bool by_day)
{
    return a->kind == b->kind && a->horizon_ms == b->horizon_ms && (!by_day || a->day == b->day) &&
           !strcmp(a->symbol, b->symbol) && !strcmp(a->model, b->model) && !strcmp(a->inputs, b->inputs);
}

/* The store gives rows in the order of their key, so equal keys follow each other. */
static int add_sums(void *ctx, const struct tc_record *row)
{
    struct sums *k = ctx;
    if (k->n && same_key(&k->at[k->n - 1], &row->score, k->by_day)) {
        tc_score_merge(&k->at[k->n - 1], &row->score);
        return TC_OK;
    }
    if (k->n == k->room) {
        size_t room = k->room ? 2 * k->room : 64;
        struct tc_score *more = realloc(k->at, room * sizeof(*more));
        if (!more)
            return tc_fail(TC_ENOMEM, "show: no memory");
        k->at = more;
        k->room = room;
    }
    k->at[k->n++] = row->score;
    return TC_OK;
}

static const char *target_text(const struct tc_score *x, char out[static 32])
{
    if (x->kind == TC_KIND_NEXT)
        snprintf(out, 32, "next");
    else
        snprintf(out, 32, "%s+%gs", tc_kind_name(x->kind), x->horizon_ms / 1000.0);
    return out;
}

static const char *day_text(const struct tc_show *s, const struct tc_score *x, char out[static 12])
{
    if (s->by_day)
        return tc_date_text(x->day, out);
    memcpy(out, "all", 4);
    return out;
}

static void score_table(struct tc_show *s, const struct tc_score *x, const struct tc_score_figures *f)
{
    struct tc_table *t = &s->table;
    char target[32], day[12];
    const double figures[] = {
        f->ratio, f->ratio_lo, f->ratio_hi, f->ratio_reversal, f->ratio_ridge, f->ratio_microprice,
        f->share, f->share_lo, f->share_hi, f->dm_t,           f->coverage,    f->width,
        f->rmse};
    tc_table_text(t, day_text(s, x, day));
    tc_table_text(t, x->symbol);
    tc_table_text(t, x->model);
    tc_table_text(t, x->inputs);
    tc_table_text(t, target_text(x, target));
    tc_table_int(t, f->n);
    tc_table_int(t, f->n_late);
    for (size_t i = 0; i < COUNT(figures); i++)
        tc_table_num(t, figures[i], 4, 4);
}

static int score_json(struct tc_show *s, const struct tc_score *x, const struct tc_score_figures *f)
{
    struct tc_buf *b = &s->json;
    char day[12];
    tc_buf_clear(b);
    tc_buf_str(b, "{\"symbol\":");
    tc_buf_json_string(b, x->symbol);
    tc_buf_printf(b, ",\"day\":\"%s\",\"model\":", day_text(s, x, day));
    tc_buf_json_string(b, x->model);
    tc_buf_printf(b, ",\"kind\":\"%s\",\"horizon_ms\":%d,\"inputs\":\"%s\"", tc_kind_name(x->kind),
                  (int)x->horizon_ms, x->inputs);
    tc_score_figures_to_json(x, f, b);
    tc_buf_str(b, "}\n");
    if (b->overflow)
        return tc_fail(TC_ENOMEM, "show: no memory");
    fwrite(b->data, 1, b->len, stdout);
    return TC_OK;
}

static int print_scores(struct tc_show *s, const struct sums *k)
{
    static const struct tc_column columns[] = {
        {"day", false},        {"symbol", false},  {"model", false},   {"inputs", false}, {"target", false},
        {"n", true},           {"late", true},     {"ratio", true},    {"lo", true},      {"hi", true},
        {"vs_reversal", true}, {"vs_ridge", true}, {"vs_micro", true}, {"share", true},   {"share_lo", true},
        {"share_hi", true},    {"dm_t", true},     {"coverage", true}, {"width", true},   {"rmse", true}};
    int rc = TC_OK;
    if (s->form != TC_SHOW_JSON)
        tc_table_open(&s->table, columns, COUNT(columns), s->form == TC_SHOW_CSV);
    for (size_t i = 0; i < k->n && rc == TC_OK; i++) {
        struct tc_score_figures f;
        if (s->model && strcmp(s->model, k->at[i].model) != 0)
            continue;
        tc_score_figures(&k->at[i], &f);
        if (s->form == TC_SHOW_JSON)
            rc = score_json(s, &k->at[i], &f);
        else
            score_table(s, &k->at[i], &f);
    }
    if (s->form == TC_SHOW_JSON)
        return rc;
    int closed = tc_table_close(&s->table);
    return rc == TC_OK ? closed : rc;
}

int tc_show_scores(struct tc_show *s)
{
    struct sums k = {.by_day = s->by_day};
    int rc = s->store->ops->scores(s->store->self, s->symbol, s->from_day, s->to_day, add_sums, &k);
    if (rc == TC_OK)
        rc = print_scores(s, &k);
    free(k.at);
    return rc;
}

/* --- status
 * -----------------------------------------------------------------------------------------------*/

static int symbol_row(void *ctx, const struct tc_record *row)
{
    struct tc_show *s = ctx;
    tc_table_text(&s->table, row->bar.symbol);
    tc_table_text(&s->table, row->bar.feed);
    tc_table_text(&s->table, tc_origin_name(row->bar.origin));
    tc_show_time(s, row->bar.start);
    tc_table_num(&s->table, row->bar.close, 2, 4);
    return TC_OK;
}

static int symbol_json(void *ctx, const struct tc_record *row)
{
    struct tc_show *s = ctx;
    struct tc_buf *b = &s->json;
    tc_buf_str(b, b->data[b->len - 1] == '[' ? "{\"symbol\":" : ",{\"symbol\":");
    tc_buf_json_string(b, row->bar.symbol);
    tc_buf_printf(b, ",\"feed\":\"%s\",\"origin\":\"%s\",\"last_time\":%lld,\"last\":", row->bar.feed,
                  tc_origin_name(row->bar.origin), (long long)row->bar.start);
    tc_buf_double(b, row->bar.close);
    tc_buf_char(b, '}');
    return TC_OK;
}

/* What a day of trading adds, judged by what there is; 0 when there is too little to say. */
static double bytes_a_day(const struct tc_show *s, const struct tc_store_info *i)
{
    double day = tc_calendar_always_open(s->calendar) ? 86400 : SESSION_SECONDS;
    return i->seconds >= 60 ? (double)i->bytes / (double)i->seconds * day : 0;
}

static int status_json(struct tc_show *s, const struct tc_store_info *i)
{
    struct tc_buf *b = &s->json;
    tc_buf_clear(b);
    tc_buf_printf(b, "{\"world\":\"%s\",\"schema\":%d,\"bytes\":%lld,\"bytes_a_day\":%.0f",
                  tc_world_name(i->world), (int)i->schema, (long long)i->bytes, bytes_a_day(s, i));
    for (int t = 0; t < TC_TOPIC_COUNT; t++)
        tc_buf_printf(b, ",\"%s\":{\"stored\":%lld,\"ended\":%s}", tc_topic_name((enum tc_topic)t),
                      (long long)i->position[t], i->ended[t] ? "true" : "false");
    tc_buf_printf(b, ",\"oldest_forecast\":%lld,\"newest_forecast\":%lld,\"symbols\":[",
                  (long long)i->oldest_forecast, (long long)i->newest_forecast);
    int rc = s->store->ops->latest(s->store->self, symbol_json, s);
    tc_buf_str(b, "]}\n");
    if (rc == TC_OK && b->overflow)
        rc = tc_fail(TC_ENOMEM, "show: no memory");
    if (rc == TC_OK)
        fwrite(b->data, 1, b->len, stdout);
    return rc;
}

int tc_show_status(struct tc_show *s)
{
    static const struct tc_column columns[] = {
        {"symbol", false}, {"feed", false}, {"origin", false}, {"last_bar", false}, {"close", true}};
    struct tc_store_info i;
    int rc = s->store->ops->info(s->store->self, &i);
    if (rc != TC_OK)
        return rc;
    if (s->form == TC_SHOW_JSON)
        return status_json(s, &i);
    char from[TC_WHEN_TEXT], to[TC_WHEN_TEXT];
    const struct tc_calendar *c = s->utc ? NULL : s->calendar;
    if (s->form == TC_SHOW_TABLE) {
        printf("world      %s\n", tc_world_name(i.world));
        printf("size       %.1f MiB", (double)i.bytes / (1 << 20));
        if (bytes_a_day(s, &i) > 0)
            printf(", about %.1f MiB a day of trading", bytes_a_day(s, &i) / (1 << 20));
        putchar('\n');
        for (int t = 0; t < TC_TOPIC_COUNT; t++)
            printf("%-10s %lld records stored%s\n", tc_topic_name((enum tc_topic)t), (long long)i.position[t],
                   i.ended[t] ? ", complete" : "");
        if (i.newest_forecast)
            printf("forecasts  from %s to %s\n", tc_when_text(i.oldest_forecast, c, from),
                   tc_when_text(i.newest_forecast, c, to));
        putchar('\n');
    }
    tc_table_open(&s->table, columns, COUNT(columns), s->form == TC_SHOW_CSV);
    rc = s->store->ops->latest(s->store->self, symbol_row, s);
    int closed = tc_table_close(&s->table);
    return rc == TC_OK ? closed : rc;
}
