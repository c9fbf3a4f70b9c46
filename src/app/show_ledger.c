/* What the schedule role wrote down, as `tickcast show` prints it: jobs, alerts, comparisons with the
 * vendor's bars, flags, and the quality report that puts everything of some sessions together. */
#include "app/show.h"
#include "base/clock.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void time_or_dash(struct tc_show *s, int64_t t)
{
    if (t)
        tc_show_time(s, t);
    else
        tc_table_text(&s->table, s->form == TC_SHOW_CSV ? "" : "-");
}

static void day_cell(struct tc_show *s, int32_t day)
{
    char text[12];
    tc_table_text(&s->table, tc_date_text(day, text));
}

static int row_json(void *ctx, const struct tc_ledger_row *row)
{
    struct tc_show *s = ctx;
    tc_buf_clear(&s->json);
    tc_ledger_to_json(row, &s->json);
    tc_buf_char(&s->json, '\n');
    if (s->json.overflow)
        return tc_fail(TC_ENOMEM, "show: no memory");
    fwrite(s->json.data, 1, s->json.len, stdout);
    return TC_OK;
}

static int show_kind(struct tc_show *s, enum tc_ledger_kind kind, const struct tc_column *columns, size_t n,
                     tc_ledger_fn row)
{
    struct tc_ledger_query q = {.kind = kind,
                                .key = s->symbol,
                                .from_day = s->from_day,
                                .to_day = s->to_day,
                                .limit = s->range.limit};
    if (s->form == TC_SHOW_JSON) {
        int rc = s->store->ops->ledger(s->store->self, &q, row_json, s);
        return rc == TC_OK && (fflush(stdout) || ferror(stdout)) ? tc_fail(TC_EIO, "cannot write the answer")
                                                                 : rc;
    }
    tc_table_open(&s->table, columns, n, s->form == TC_SHOW_CSV);
    int rc = s->store->ops->ledger(s->store->self, &q, row, s);
    int closed = tc_table_close(&s->table);
    return rc ? rc : closed;
}

static int job_row(void *ctx, const struct tc_ledger_row *row)
{
    struct tc_show *s = ctx;
    const struct tc_ledger_job *j = &row->job;
    tc_table_text(&s->table, j->name);
    day_cell(s, j->day);
    tc_show_time(s, j->started);
    tc_table_num(&s->table, j->finished ? (double)(j->finished - j->started) / 1e9 : NAN, 1, 1);
    tc_table_text(&s->table, j->result);
    tc_table_text(&s->table, j->message);
    return TC_OK;
}

int tc_show_jobs(struct tc_show *s)
{
    static const struct tc_column columns[] = {{"job", false},    {"session", false}, {"started", false},
                                               {"seconds", true}, {"result", false},  {"message", false}};
    return show_kind(s, TC_LEDGER_JOB, columns, COUNT(columns), job_row);
}

static int alert_row(void *ctx, const struct tc_ledger_row *row)
{
    struct tc_show *s = ctx;
    const struct tc_ledger_alert *a = &row->alert;
    tc_table_text(&s->table, a->rule);
    tc_table_text(&s->table, a->subject);
    tc_show_time(s, a->since);
    time_or_dash(s, a->until);
    tc_table_num(&s->table, a->value, 0, 4);
    tc_table_text(&s->table, a->message);
    return TC_OK;
}

int tc_show_alerts(struct tc_show *s)
{
    static const struct tc_column columns[] = {{"rule", false},  {"subject", false}, {"since", false},
                                               {"until", false}, {"value", true},    {"message", false}};
    return show_kind(s, TC_LEDGER_ALERT, columns, COUNT(columns), alert_row);
}

static int reconciled_row(void *ctx, const struct tc_ledger_row *row)
{
    struct tc_show *s = ctx;
    const struct tc_ledger_reconciled *r = &row->reconciled;
    const int64_t counts[] = {r->compared, r->mismatches, r->missing_own, r->missing_vendor};
    tc_table_text(&s->table, r->symbol);
    day_cell(s, r->day);
    tc_table_text(&s->table, r->interval_ms == 60000 ? "1m" : "session");
    tc_table_text(&s->table, r->source);
    for (size_t i = 0; i < COUNT(counts); i++)
        tc_table_int(&s->table, counts[i]);
    tc_table_num(&s->table, r->own_volume, 0, 2);
    tc_table_num(&s->table, r->vendor_volume, 0, 2);
    tc_table_num(&s->table, 100 * (r->own_volume / r->vendor_volume - 1), 3, 3);
    time_or_dash(s, r->worst);
    return TC_OK;
}

int tc_show_reconciled(struct tc_show *s)
{
    static const struct tc_column columns[] = {
        {"symbol", false},    {"day", false},          {"interval", false},   {"source", false},
        {"compared", true},   {"mismatches", true},    {"missing_own", true}, {"missing_vendor", true},
        {"own_volume", true}, {"vendor_volume", true}, {"off_percent", true}, {"worst", false}};
    return show_kind(s, TC_LEDGER_RECONCILED, columns, COUNT(columns), reconciled_row);
}

static int flag_row(void *ctx, const struct tc_ledger_row *row)
{
    struct tc_show *s = ctx;
    tc_table_text(&s->table, row->flag.symbol);
    day_cell(s, row->flag.day);
    tc_table_text(&s->table, row->flag.kind);
    tc_table_num(&s->table, row->flag.value, 0, 4);
    tc_table_text(&s->table, row->flag.message);
    return TC_OK;
}

int tc_show_flags(struct tc_show *s)
{
    static const struct tc_column columns[] = {
        {"symbol", false}, {"day", false}, {"kind", false}, {"value", true}, {"message", false}};
    return show_kind(s, TC_LEDGER_FLAG, columns, COUNT(columns), flag_row);
}

int tc_show_report(struct tc_show *s)
{
    static const struct {
        const char *title;
        int (*show)(struct tc_show *s);
    } parts[] = {{"Seconds of the sessions", tc_show_quality},
                 {"Gaps: spans of which nothing is known", tc_show_gaps},
                 {"Own bars against the vendor's", tc_show_reconciled},
                 {"Flags: days that look wrong", tc_show_flags},
                 {"Nightly jobs", tc_show_jobs}};
    if (s->form != TC_SHOW_TABLE)
        return tc_fail(TC_EUSAGE,
                       "show report: a text for people; quality, gaps, reconciled, flags and jobs give "
                       "JSON and CSV each");
    for (size_t i = 0; i < COUNT(parts); i++) {
        printf("%s%s\n", i ? "\n" : "", parts[i].title);
        int rc = parts[i].show(s);
        if (rc)
            return rc;
        if (!s->table.rows)
            printf("none\n");
    }
    return TC_OK;
}
