/* tickcast backtest: the live forecast code over a replay, every model against every baseline. */
#include "app/calendars.h"
#include "app/command.h"
#include "app/config.h"
#include "app/feeds.h"
#include "base/clock.h"
#include "base/err.h"
#include "feed/simulated.h"
#include "forecast/reference.h"
#include "forecast/report.h"
#include "kern/team.h"
#include "market/actions.h"
#include "role/play.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SYMBOLS_MAX = 1024, REPORT_MAX = 64 << 20, COMMAND_MAX = 1000 };

static const char SIMULATED_NOTE[] =
    "The market was simulated by this program: its figures say nothing about real markets.";

struct options {
    int32_t report_from, report_to, train_to;
    char *csv, *page;
    int set, by;
    bool reference, baselines, json;
    double lambda;
};

static const char *const SETS[] = {"T14", "K11", "Q18", "T5", NULL};
static const char *const BY[] = {"none", "day", "half-hour", NULL};
static const char *const BARS_FROM[] = {"trades", "seconds", "merged"};

#define OPT(name, kind, field) .key = name, .type = kind, .at = offsetof(struct options, field)

static const struct tc_opt OPTIONS[] = {
    {OPT("report-from", TC_OPT_DATE, report_from), .def_doc = "the first session",
     .doc = "first session whose forecasts count; earlier ones only teach"},
    {OPT("report-to", TC_OPT_DATE, report_to), .def_doc = "the last session",
     .doc = "last session whose forecasts count"},
    {OPT("inputs", TC_OPT_ENUM, set), .def = "Q18", .choices = SETS,
     .doc = "the highest level of inputs to use where it is known: bars, single trades, quotes; T5 for "
            "--reference"},
    {OPT("baselines", TC_OPT_BOOL, baselines), .def = "false",
     .doc = "run without networks: the simple models and ridge alone"},
    {OPT("csv", TC_OPT_PATH, csv), .doc = "write the table to this file"},
    {OPT("json", TC_OPT_BOOL, json), .def = "false",
     .doc = "print JSON: every figure in all, by day and by half hour"},
    {OPT("by", TC_OPT_ENUM, by), .def = "none", .choices = BY,
     .doc = "also print the ratio of each day or half hour"},
    {OPT("report", TC_OPT_PATH, page), .doc = "write an HTML page with tables and plots to this file"},
    {OPT("reference", TC_OPT_BOOL, reference), .def = "false",
     .doc = "also fit ridge once on the days up to --train-to, report it on those from --report-from on, and "
            "test the features for leaks"},
    {OPT("train-to", TC_OPT_DATE, train_to), .doc = "last session that --reference learns from"},
    {OPT("lambda", TC_OPT_DOUBLE, lambda), .def = "0.01", .min = "0", .doc = "penalty of --reference"},
};

static const struct tc_cli cli = {
    .command = "backtest",
    .usage = "[FLAGS]",
    .about = "Runs the live forecast code over recorded data and prints every model against every baseline: "
             "forecasts are made, and models taught, from what was known at each second. A network's figures "
             "leave out the sessions that it was trained on.",
    .sections = "feed sim replay forecast log",
    .opts = OPTIONS,
    .n_opts = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
    .examples = "  tickcast backtest --feed replay --path DIR --symbols SPY,BAC --report report.html\n"
                "  tickcast backtest --feed replay --path DIR --bars-from merged --report-from 2013-10-10 "
                "--csv table.csv\n",
};

struct run {
    const struct tc_config *c;
    const struct options *o;
    struct tc_calendar *calendar;
    struct tc_actions *actions;
    struct tc_feed feed;
    struct tc_team *team;
    struct tc_model *models[TC_ENGINE_MODELS_MAX];
    int32_t n_models;
    struct tc_backtest *backtest;
    struct tc_dataset_builder *builder; /* of --reference */
    struct tc_dataset dataset;
    int32_t day; /* told last */
    int64_t bars;
    char command[COMMAND_MAX];
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static const struct tc_calendar *calendar_of(void *ctx, const char *symbol)
{
    (void)symbol;
    return ((const struct run *)ctx)->calendar;
}

static int open_feed(struct run *r)
{
    const struct tc_config *c = r->c;
    if (c->feed == TC_CONFIG_SIMULATED) {
        struct tc_sim_conf conf = {.symbols = (const char *const *)c->symbols.items,
                                   .n_symbols = c->symbols.n,
                                   .seed = (uint64_t)c->sim_seed,
                                   .speed = INFINITY,
                                   .history_ns = c->sim_history_ns,
                                   .duration_ns = c->sim_history_ns};
        return tc_simulated_open(&conf, &r->feed);
    }
    if (!c->replay_path)
        return tc_fail(TC_EUSAGE, "--path is missing: the folder of LEAN files, the CSV or the recorded log");
    return tc_feed_open_replay(c, INFINITY, r->calendar, &r->feed);
}

static int load_models(struct run *r)
{
    if (r->o->baselines)
        return TC_OK;
    int rc = tc_team_open((int)r->c->threads, &r->team);
    if (rc)
        return rc;
    for (size_t i = 0; i < r->c->models.n; i++) {
        if (r->n_models == TC_ENGINE_MODELS_MAX)
            return tc_fail(TC_ECONF, "--model: more than %d models", TC_ENGINE_MODELS_MAX);
        rc = tc_model_load(r->c->models.items[i], &r->models[r->n_models]);
        if (rc)
            return rc;
        struct tc_model *m = r->models[r->n_models++];
        char why[200];
        rc = tc_model_team(m, r->team);
        if (!rc && r->c->precision) {
            rc = tc_model_reduce(m, why, sizeof(why));
            if (rc >= 0)
                fprintf(stderr, "%s: %s; it runs on %s\n", tc_model_info(m)->id, why,
                        tc_model_info(m)->kernel);
        }
        if (rc < 0)
            return rc;
    }
    return TC_OK;
}

static int open_backtest(struct run *r)
{
    struct tc_backtest_conf conf = {.report_from = r->o->report_from, .report_to = r->o->report_to};
    tc_engine_conf_default(&conf.engine);
    conf.engine.symbols = r->feed.n_symbols ? r->feed.n_symbols : SYMBOLS_MAX;
    enum tc_feature_set set;
    int rc = tc_set_parse(SETS[r->o->set], &set);
    if (rc < 0)
        return rc;
    conf.engine.level = tc_set_level(set);
    conf.engine.calendar = calendar_of;
    conf.engine.calendar_ctx = r;
    conf.engine.split = tc_actions_since;
    conf.engine.split_ctx = r->actions;
    conf.engine.n_networks = r->n_models;
    memcpy(conf.engine.networks, r->models, sizeof(conf.engine.networks));
    return tc_backtest_open(&conf, &r->backtest);
}

static int open_reference(struct run *r)
{
    if (!r->o->reference)
        return TC_OK;
    if (r->o->json)
        return tc_fail(TC_EUSAGE, "--reference prints a table: leave out --json (its rows go to --csv, too)");
    if (!r->o->train_to || !r->o->report_from || r->o->train_to >= r->o->report_from)
        return tc_fail(TC_EUSAGE, "--reference needs --train-to DAY and a later --report-from DAY");
    struct tc_dataset_conf conf = {
        .raw = true, .n_horizons = 3, .horizons_ms = {1000, 10000, 60000}, .calendar = calendar_of, .ctx = r};
    int rc = tc_set_parse(SETS[r->o->set], &conf.set);
    return rc ? rc : tc_dataset_open(&conf, &r->builder);
}

static void tell(struct run *r, int64_t second)
{
    char text[12];
    int32_t day = tc_calendar_day(r->calendar, second);
    if (day == r->day || !isatty(STDERR_FILENO))
        return;
    r->day = day;
    fprintf(stderr, "\r%s  %lld bars", tc_date_text(day, text), (long long)r->bars);
    fflush(stderr);
}

static int take_record(void *ctx, const struct tc_record *record, int64_t offset)
{
    struct run *r = ctx;
    if (interrupted)
        return tc_fail(TC_EUSAGE, "interrupted");
    r->bars += record->type == TC_REC_BAR;
    if (record->type == TC_REC_SECOND)
        tell(r, record->second.second);
    int rc = tc_backtest_feed(r->backtest, record, offset);
    if (rc == TC_OK && r->builder)
        rc = tc_dataset_feed(r->builder, record);
    return rc;
}

static int play(struct run *r)
{
    int64_t begin = tc_mono_ns();
    int rc = tc_play(&r->feed, r->calendar, r->c->replay_delay_ns, take_record, r);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%60s\r", "");
    if (rc < 0)
        return rc;
    double s = (double)(tc_mono_ns() - begin) / TC_NS_PER_SEC;
    fprintf(stderr, "%lld bars in %.1f s (%.0f a second)\n", (long long)r->bars, s, (double)r->bars / s);
    if (!r->builder)
        return TC_OK;
    struct tc_dataset_builder *b = r->builder;
    r->builder = NULL;
    return tc_dataset_finish(b, &r->dataset);
}

/* ---- the reference ---- */

static int reference_row(struct run *r, const char *symbol, int32_t target, struct tc_buf *text,
                         struct tc_buf *csv, int *leaks)
{
    struct tc_reference_conf conf = {.symbol = symbol,
                                     .target = target,
                                     .train_to = r->o->train_to,
                                     .test_from = r->o->report_from,
                                     .test_to = r->o->report_to ? r->o->report_to : INT32_MAX,
                                     .lambda = r->o->lambda};
    struct tc_reference_result as_is, late, shuffled;
    int rc = tc_reference_ridge(&r->dataset, &conf, &as_is);
    if (rc == TC_ENOTFOUND)
        return TC_OK; /* no quotes, no mid */
    conf.shift = 1;
    rc = rc ? rc : tc_reference_ridge(&r->dataset, &conf, &late);
    conf.shift = 0;
    conf.shuffle = 1;
    rc = rc ? rc : tc_reference_ridge(&r->dataset, &conf, &shuffled);
    if (rc)
        return rc;
    const struct tc_dataset_target *t = &r->dataset.targets[target];
    const char *leak = t->kind == TC_KIND_NEXT ? tc_reference_leak(&as_is, &late) : NULL;
    *leaks += leak != NULL;
    char name[24];
    tc_report_target(t->kind, t->horizon_ms, name);
    tc_buf_printf(text, "%-8s %-9s %8lld %9.3f %8.4f %7.1f %10.4f %10.4f  %s\n", symbol, name,
                  (long long)as_is.n, as_is.rms, as_is.ratio, as_is.dm_t, late.ratio, shuffled.ratio,
                  leak ? leak : "");
    tc_buf_printf(csv, "%s,reference,%s,%d,%lld,0,0,%.9g,%.9g,,,,,,,,,,%.9g,,,,,,,,,,,,,,,\n", symbol,
                  tc_kind_name(t->kind), t->horizon_ms, (long long)as_is.n, as_is.rms / 100, as_is.ratio,
                  as_is.dm_t);
    return TC_OK;
}

static int reference_table(struct run *r, struct tc_buf *text, struct tc_buf *csv)
{
    const struct tc_engine *e = tc_backtest_engine(r->backtest);
    int leaks = 0, rc = TC_OK;
    tc_buf_printf(text,
                  "\nRidge fitted once (%s, lambda %g), moves in cents:\n"
                  "symbol   target           n       rms    ratio       t   one late   shuffled\n",
                  SETS[r->o->set], r->o->lambda);
    for (uint32_t s = 0; s < tc_engine_symbols(e) && !rc; s++)
        for (int32_t t = 0; t < r->dataset.n_targets && !rc; t++)
            rc = reference_row(r, tc_engine_symbol(e, s), t, text, csv, &leaks);
    if (!rc && leaks)
        rc = tc_fail(TC_EINTERNAL, "the features of %d symbols know the future (see the table)", leaks);
    return rc;
}

/* ---- output ---- */

static int write_file(const char *path, const struct tc_buf *b)
{
    FILE *f = fopen(path, "w");
    bool ok = f && fwrite(b->data, 1, b->len, f) == b->len;
    ok = f && fclose(f) == 0 && ok;
    return ok ? TC_OK : tc_fail(TC_EIO, "%s cannot be written: %s", path, strerror(errno));
}

static int report(struct run *r)
{
    bool simulated = r->c->feed == TC_CONFIG_SIMULATED;
    struct tc_report_head head = {.command = r->command,
                                  .inputs = simulated ? "trades" : BARS_FROM[r->c->bars_from],
                                  .simulated = simulated ? SIMULATED_NOTE : NULL};
    struct tc_buf text, csv, html;
    tc_buf_init(&text, REPORT_MAX);
    tc_buf_init(&csv, REPORT_MAX);
    tc_buf_init(&html, REPORT_MAX);
    if (r->o->json)
        tc_report_json(r->backtest, &head, &text);
    else
        tc_report_text(r->backtest, &head, (enum tc_report_by)r->o->by, &text);
    tc_report_csv(r->backtest, &csv);
    int rc = r->o->reference ? reference_table(r, &text, &csv) : TC_OK;
    if (r->o->page)
        tc_report_html(r->backtest, &head, &html);
    fwrite(text.data, 1, text.len, stdout);
    if (text.overflow || csv.overflow || html.overflow)
        rc = tc_fail(TC_ELIMIT, "the report is larger than %d MiB: name fewer symbols", REPORT_MAX >> 20);
    if (!rc && r->o->csv)
        rc = write_file(r->o->csv, &csv);
    if (!rc && r->o->page)
        rc = write_file(r->o->page, &html);
    tc_buf_release(&text);
    tc_buf_release(&csv);
    tc_buf_release(&html);
    return rc;
}

static void close_run(struct run *r)
{
    tc_backtest_close(r->backtest);
    tc_dataset_close(r->builder);
    tc_dataset_free(&r->dataset);
    if (r->feed.ops)
        r->feed.ops->close(r->feed.self);
    for (int32_t i = 0; i < r->n_models; i++)
        tc_model_free(r->models[i]);
    tc_team_close(r->team);
    tc_calendar_free(r->calendar);
    tc_actions_free(r->actions);
}

static int backtest(const struct tc_config *c, const struct options *o, int argc, char **argv)
{
    struct run r = {.c = c, .o = o};
    struct tc_buf command;
    tc_buf_init_fixed(&command, r.command, sizeof(r.command));
    tc_buf_str(&command, "tickcast");
    for (int i = 0; i < argc; i++)
        tc_buf_printf(&command, " %s", argv[i]);
    signal(SIGINT, on_signal);
    int rc = tc_calendar_open_named(tc_config_calendar(c, 0), &r.calendar);
    if (!rc && c->actions_path)
        rc = tc_actions_load(c->actions_path, &r.actions);
    rc = rc ? rc : open_feed(&r);
    rc = rc ? rc : load_models(&r);
    rc = rc ? rc : open_backtest(&r);
    rc = rc ? rc : open_reference(&r);
    rc = rc ? rc : play(&r);
    rc = rc ? rc : report(&r);
    close_run(&r);
    return rc;
}

int tc_cmd_backtest(int argc, char **argv)
{
    struct tc_config_set set;
    struct options o;
    struct tc_cli with = cli;
    with.target = &o;
    int rc = tc_config_load(&set, &with, argc, argv);
    if (!rc)
        rc = backtest(&set.conf, &o, argc, argv);
    tc_config_release(&set);
    return tc_command_exit(rc);
}
