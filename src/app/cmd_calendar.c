/* tickcast calendar: the sessions of an exchange, their open and close. */
#include "app/calendars.h"
#include "app/command.h"
#include "app/config.h"
#include "base/clock.h"
#include "base/err.h"

#include <stddef.h>
#include <stdio.h>

enum { DAYS_DEFAULT = 10, DAYS_MAX = 40000 };

struct options {
    char *exchange;
    int32_t from, to;
    bool is_open, json, csv;
};

static const struct tc_opt options[] = {
    {.key = "exchange",
     .type = TC_OPT_STRING,
     .at = offsetof(struct options, exchange),
     .def_doc = "xnys",
     .doc = "the calendar: xnys, always (24/7, for crypto), or a calendar file"},
    {.key = "from",
     .type = TC_OPT_DATE,
     .at = offsetof(struct options, from),
     .def_doc = "today",
     .doc = "first day"},
    {.key = "to",
     .type = TC_OPT_DATE,
     .at = offsetof(struct options, to),
     .def_doc = "nine days after the first",
     .doc = "last day, included"},
    {.key = "is-open",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct options, is_open),
     .def = "false",
     .doc = "print nothing but open or closed; exit status 0 when the exchange is open now, 1 when not"},
    {.key = "json",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct options, json),
     .def = "false",
     .doc = "JSON, one object a day"},
    {.key = "csv",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct options, csv),
     .def = "false",
     .doc = "CSV: day,open_utc,close_utc, days with a session alone"},
};

/* "09:30:00" of an instant in the calendar's zone */
static const char *local_time(const struct tc_calendar *c, int64_t t, char out[static 40])
{
    int64_t midnight = tc_calendar_local_midnight(c, tc_calendar_day(c, t));
    /* Local clock time, not time passed since midnight: the two differ on days when the clock is changed. */
    int64_t s =
        (t - midnight) / TC_NS_PER_SEC + tc_calendar_offset_s(c, t) - tc_calendar_offset_s(c, midnight);
    snprintf(out, 40, "%02d:%02d:%02d", (int)(s / 3600 % 100), (int)(s / 60 % 60), (int)(s % 60));
    return out;
}

static void print_closed(int32_t day, const char *reason, bool json)
{
    char date[16];
    tc_date_text(day, date);
    if (json)
        printf("{\"day\":\"%s\",\"open\":null,\"close\":null,\"closed\":\"%s\"}\n", date, reason);
    else
        printf("%s  closed    -         %s\n", date, reason);
}

static void print_session(const struct tc_calendar *c, const struct tc_session *s, bool json)
{
    char date[16], open[40], close[40], open_utc[40], close_utc[40];
    tc_date_text(s->day, date);
    if (json) {
        printf("{\"day\":\"%s\",\"open\":%lld,\"close\":%lld,\"early_close\":%s}\n", date, (long long)s->open,
               (long long)s->close, s->early_close ? "true" : "false");
        return;
    }
    printf("%s  %s  %s  %s  %s%s\n", date, local_time(c, s->open, open),
           s->close - s->open == 86400 * TC_NS_PER_SEC ? "24:00:00" : local_time(c, s->close, close),
           tc_time_iso(s->open, open_utc, sizeof(open_utc)),
           tc_time_iso(s->close, close_utc, sizeof(close_utc)), s->early_close ? "  early close" : "");
}

static void print_csv(const struct tc_session *s)
{
    char date[16], open[40], close[40];
    printf("%s,%s,%s\n", tc_date_text(s->day, date), tc_time_iso(s->open, open, sizeof(open)),
           tc_time_iso(s->close, close, sizeof(close)));
}

static void print_day(const struct tc_calendar *c, int32_t day, const struct options *o)
{
    const char *reason = tc_calendar_closed_reason(c, day);
    struct tc_session s;
    if (reason && !o->csv)
        print_closed(day, reason, o->json);
    else if (!reason && tc_calendar_session(c, day, &s) == TC_OK && o->csv)
        print_csv(&s);
    else if (!reason)
        print_session(c, &s, o->json);
}

static int list(const struct tc_calendar *c, const struct options *o)
{
    int64_t first = tc_days_from_date(o->from ? o->from : tc_calendar_day(c, tc_now_ns()));
    int64_t last = o->to ? tc_days_from_date(o->to) : first + DAYS_DEFAULT - 1;
    if (last < first || last - first > DAYS_MAX)
        return tc_fail(TC_EUSAGE,
                       "--from and --to: the last day must not be before the first, nor %d days after it",
                       DAYS_MAX);
    if (o->csv && o->json)
        return tc_fail(TC_EUSAGE, "--json and --csv: give one of them");
    if (o->csv)
        printf("day,open_utc,close_utc\n");
    else if (!o->json)
        printf("%s, times in %s\nday         open      close     open (UTC)            close (UTC)\n",
               tc_calendar_name(c), tc_calendar_zone(c));
    for (int64_t d = first; d <= last; d++)
        print_day(c, tc_date_from_days(d), o);
    return TC_OK;
}

int tc_cmd_calendar(int argc, char **argv)
{
    struct options o;
    struct tc_cli cli = {
        .command = "calendar",
        .usage = "[FLAGS] [CALENDAR]",
        .about = "Prints the sessions of an exchange: xnys (default), always, or a calendar file.",
        .opts = options,
        .n_opts = sizeof(options) / sizeof(options[0]),
        .target = &o,
        .args_max = 1,
        .examples = "  tickcast calendar --from 2026-11-23 --to 2026-12-31\n"
                    "  tickcast calendar --exchange XNYS --from 2024-01-01 --to 2024-12-31 --csv\n"
                    "  tickcast calendar --is-open && echo trading\n",
    };
    struct tc_config_set set;
    struct tc_calendar *c = NULL;
    int rc = tc_config_load(&set, &cli, argc, argv);
    if (!rc && o.exchange && set.opts.n_args)
        rc = tc_fail(TC_EUSAGE, "calendar: name it once, as --exchange or as an argument");
    if (!rc)
        rc = tc_calendar_open_named(set.opts.n_args ? set.opts.args[0]
                                    : o.exchange    ? o.exchange
                                                    : "xnys",
                                    &c);
    int code = TC_EXIT_OK;
    if (!rc && o.is_open) {
        bool open = tc_calendar_is_open(c, tc_now_ns());
        printf("%s\n", open ? "open" : "closed");
        code = open ? TC_EXIT_OK : TC_EXIT_FAILURE;
    } else if (!rc) {
        rc = list(c, &o);
    }
    tc_calendar_free(c);
    tc_config_release(&set);
    return rc ? tc_command_exit(rc) : code;
}
