/* tickcast show: what a store holds, as a table for people, as JSON or CSV for programs. */
#include "app/command.h"
#include "app/config.h"
#include "app/show.h"
#include "app/stores.h"
#include "app/when.h"
#include "base/err.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { TABLE_ROWS = 20 };

struct options {
    char *symbol, *model, *from, *to, *calendar;
    int interval;
    int64_t limit, last;
    bool json, csv, utc, by_day;
};

static const char *const intervals[] = {"1s", "1m", "1h", NULL};
static const int32_t interval_ms[] = {1000, 60000, 3600000};

#define AT(field) .at = offsetof(struct options, field)

static const struct tc_opt options[] = {
    {.key = "symbol", .type = TC_OPT_STRING, AT(symbol), .def_doc = "all", .doc = "one symbol"},
    {.key = "model",
     .type = TC_OPT_STRING,
     AT(model),
     .def_doc = "all",
     .doc = "forecasts and scores: one model, name@hash"},
    {.key = "from",
     .type = TC_OPT_STRING,
     AT(from),
     .def_doc = "the oldest",
     .doc = "first day (2013-10-07) or time: 2013-10-07T09:30:00 exchange time, with Z at the end UTC"},
    {.key = "to",
     .type = TC_OPT_STRING,
     AT(to),
     .def_doc = "the newest",
     .doc = "last day, included, or the time before which rows are shown"},
    {.key = "interval",
     .type = TC_OPT_ENUM,
     AT(interval),
     .def = "1s",
     .choices = intervals,
     .doc = "bars: length, minutes and hours are made of the seconds"},
    {.key = "limit",
     .type = TC_OPT_INT,
     AT(limit),
     .def = "0",
     .min = "0",
     .max = "1000000000",
     .def_doc = "all",
     .doc = "at most so many rows of each symbol, the oldest ones"},
    {.key = "last",
     .type = TC_OPT_INT,
     AT(last),
     .def = "0",
     .min = "0",
     .max = "1000000000",
     .def_doc = "20 in a table without --from, --to and --limit",
     .doc = "the newest so many rows of each symbol"},
    {.key = "by-day", .type = TC_OPT_BOOL, AT(by_day), .def = "false", .doc = "scores: one row for each day"},
    {.key = "calendar",
     .type = TC_OPT_STRING,
     AT(calendar),
     .def_doc = "simulated: always; else xnys",
     .doc = "whose days and clock the times are in"},
    {.key = "utc", .type = TC_OPT_BOOL, AT(utc), .def = "false", .doc = "tables in UTC"},
    {.key = "json", .type = TC_OPT_BOOL, AT(json), .def = "false", .doc = "JSON, one object a line"},
    {.key = "csv",
     .type = TC_OPT_BOOL,
     AT(csv),
     .def = "false",
     .doc = "CSV with a header, times in nanoseconds"},
};

static const struct {
    const char *name;
    int (*show)(struct tc_show *s);
    bool ranged; /* rows are asked for by time, newest first in a table */
} kinds[] = {{"bars", tc_show_bars, true},
             {"forecasts", tc_show_forecasts, true},
             {"outcomes", tc_show_outcomes, true},
             {"scores", tc_show_scores, false},
             {"gaps", tc_show_gaps, true},
             {"quality", tc_show_quality, false},
             {"reconciled", tc_show_reconciled, false},
             {"flags", tc_show_flags, false},
             {"report", tc_show_report, false},
             {"jobs", tc_show_jobs, false},
             {"alerts", tc_show_alerts, false},
             {"status", tc_show_status, false}};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static int find_kind(const char *name, int *out)
{
    const char *names[KINDS];
    for (int i = 0; i < KINDS; i++) {
        names[i] = kinds[i].name;
        if (strcmp(name, names[i]) != 0)
            continue;
        *out = i;
        return TC_OK;
    }
    const char *near = tc_opt_nearest(name, names, KINDS);
    return tc_fail(TC_EUSAGE,
                   "show %.40s: there are bars, forecasts, outcomes, scores, gaps, quality, reconciled, "
                   "flags, report, jobs, "
                   "alerts, status%s%s%s",
                   name, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int set_range(struct tc_show *s, const struct options *o, bool ranged)
{
    struct tc_range *q = &s->range;
    int64_t newest = o->last;
    int rc = TC_OK;
    *q = (struct tc_range){.symbol = o->symbol,
                           .model = o->model,
                           .from = INT64_MIN,
                           .to = INT64_MAX,
                           .interval_ms = interval_ms[o->interval]};
    if (o->from)
        rc = tc_when_parse(o->from, s->calendar, false, "--from", &q->from);
    if (rc == TC_OK && o->to)
        rc = tc_when_parse(o->to, s->calendar, true, "--to", &q->to);
    if (rc != TC_OK)
        return rc;
    if (o->limit && o->last)
        return tc_fail(TC_EUSAGE, "--limit and --last: give one of them");
    if (q->from >= q->to)
        return tc_fail(TC_EUSAGE, "--from must be before --to");
    if (ranged && s->form == TC_SHOW_TABLE && !o->from && !o->to && !o->limit && !newest)
        newest = TABLE_ROWS;
    q->limit = (uint32_t)(newest ? newest : o->limit);
    q->newest = newest != 0;
    s->from_day = o->from ? tc_calendar_day(s->calendar, q->from) : 0;
    s->to_day = o->to ? tc_calendar_day(s->calendar, q->to - 1) : 99991231;
    return TC_OK;
}

/* What a table speaks of; simulated data are never shown without the word. */
static void print_title(const struct tc_show *s, const char *kind, bool ranged, enum tc_world world,
                        const struct options *o)
{
    if (s->form != TC_SHOW_TABLE)
        return;
    bool many = s->range.newest && s->range.limit > 1;
    printf("%s%s%s%s%s%s", world == TC_WORLD_SIMULATED ? "SIMULATED " : "", kind,
           strcmp(kind, "bars") == 0 ? " of " : "", strcmp(kind, "bars") == 0 ? intervals[o->interval] : "",
           o->symbol ? ", " : "", o->symbol ? o->symbol : "");
    if (many && ranged)
        printf(", newest %u%s", (unsigned)s->range.limit, o->symbol ? "" : " of each symbol");
    printf(", times in %s\n", s->utc ? "UTC" : tc_calendar_zone(s->calendar));
}

static int show(const char *kind_name, const struct tc_config *c, const struct options *o)
{
    int kind = 0;
    struct tc_store store;
    struct tc_store_info info;
    struct tc_calendar *calendar = NULL;
    struct tc_show s = {
        .store = &store, .utc = o->utc, .symbol = o->symbol, .model = o->model, .by_day = o->by_day};
    int rc = find_kind(kind_name, &kind);
    if (rc == TC_OK && o->json && o->csv)
        rc = tc_fail(TC_EUSAGE, "--json and --csv: give one of them");
    if (rc != TC_OK)
        return rc;
    s.form = o->json ? TC_SHOW_JSON : o->csv ? TC_SHOW_CSV : TC_SHOW_TABLE;
    rc = tc_stores_look(c, o->calendar, &calendar, &store, &info);
    if (rc != TC_OK)
        return rc;
    tc_buf_init(&s.json, 16 << 20);
    s.calendar = calendar;
    rc = set_range(&s, o, kinds[kind].ranged);
    if (rc == TC_OK) {
        print_title(&s, kinds[kind].name, kinds[kind].ranged, info.world, o);
        rc = kinds[kind].show(&s);
    }
    tc_buf_release(&s.json);
    store.ops->close(store.self);
    tc_calendar_free(calendar);
    return rc;
}

int tc_cmd_show(int argc, char **argv)
{
    struct options o;
    struct tc_cli cli = {
        .command = "show",
        .usage =
            "[FLAGS] bars|forecasts|outcomes|scores|gaps|quality|reconciled|flags|report|jobs|alerts|status",
        .about =
            "Shows what a data folder's store holds. It may run beside `tickcast run` on the same folder.",
        .sections = "data feed store cassandra",
        .opts = options,
        .n_opts = sizeof(options) / sizeof(options[0]),
        .target = &o,
        .args_min = 1,
        .args_max = 1,
        .examples =
            "  tickcast show bars --symbol SPY --last 5\n"
            "  tickcast show bars --symbol SPY --interval 1m --from 2013-10-07T09:30 --csv > spy.csv\n"
            "  tickcast show scores --by-day --data OUT\n"
            "  tickcast show forecasts --symbol SPY --json | head -1\n"
            "  tickcast show report --from 2026-11-23 --data OUT     what is known of these sessions' data\n",
    };
    struct tc_config_set set;
    int rc = tc_config_load(&set, &cli, argc, argv);
    if (!rc)
        rc = show(set.opts.args[0], &set.conf, &o);
    tc_config_release(&set);
    return tc_command_exit(rc);
}
