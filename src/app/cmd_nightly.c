/* tickcast nightly: the work that `tickcast run --schedule` does after each session, by hand and now. */
#include "app/calendars.h"
#include "app/command.h"
#include "app/config.h"
#include "app/retrain.h"
#include "base/clock.h"
#include "base/err.h"
#include "role/nightly.h"
#include "store/store.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct options {
    int32_t day;
    char *calendar;
};

static const struct tc_opt options[] = {
    {.key = "day",
     .type = TC_OPT_DATE,
     .at = offsetof(struct options, day),
     .def_doc = "the last session that is over",
     .doc = "the session to do it for"},
    {.key = "calendar",
     .type = TC_OPT_STRING,
     .at = offsetof(struct options, calendar),
     .def_doc = "simulated: always; else xnys",
     .doc = "whose sessions they are"},
};

/* Runs a job to its end and writes the run down as the schedule role does. */
static int run_job(const struct tc_job *job, const struct tc_session *session, struct tc_ledger *ledger)
{
    struct tc_ledger_row row = {.kind = TC_LEDGER_JOB};
    struct tc_ledger_job *j = &row.job;
    memcpy(j->name, job->name, sizeof(j->name));
    j->day = session->day;
    j->started = tc_now_ns();
    int rc = job->start(job->ctx, session);
    if (rc == TC_OK)
        do {
            rc = job->step(job->ctx, j->message, sizeof(j->message));
        } while (rc == TC_AGAIN);
    if (rc < 0)
        snprintf(j->message, sizeof(j->message), "%s", tc_error());
    j->finished = tc_now_ns();
    snprintf(j->result, sizeof(j->result), "%s", rc == TC_OK ? "done" : rc == TC_DONE ? "skipped" : "failed");
    printf("%-10s %-8s %s\n", j->name, j->result, j->message);
    int put = tc_ledger_put(ledger, &row);
    return rc < 0 ? tc_fail(rc, "job %s: %s", j->name, j->message) : put;
}

static bool wanted(const struct tc_config_set *set, const char *name)
{
    for (size_t i = 0; i < set->opts.n_args; i++)
        if (!strcmp(set->opts.args[i], name))
            return true;
    return set->opts.n_args == 0;
}

static int check_names(const struct tc_config_set *set, const struct tc_job *jobs, size_t n)
{
    for (size_t i = 0; i < set->opts.n_args; i++) {
        bool known = false;
        for (size_t k = 0; k < n; k++)
            known = known || !strcmp(set->opts.args[i], jobs[k].name);
        if (!known)
            return tc_fail(TC_EUSAGE, "nightly %.40s: the jobs are retention, quality, reconcile, retrain",
                           set->opts.args[i]);
    }
    return TC_OK;
}

static int run_jobs(const struct tc_config_set *set, struct tc_nightly *n, struct tc_retrain *retrain,
                    struct tc_ledger *ledger, const struct tc_session *session)
{
    const struct tc_job jobs[] = {tc_nightly_retention(n), tc_nightly_quality(n), tc_nightly_reconcile(n),
                                  tc_retrain_job(retrain)};
    size_t n_jobs = sizeof(jobs) / sizeof(jobs[0]);
    int rc = check_names(set, jobs, n_jobs), first = TC_OK;
    for (size_t i = 0; i < n_jobs && !rc; i++) {
        bool training =
            i == n_jobs - 1; /* only when it is asked for: it takes long and may exchange the model */
        if (!wanted(set, jobs[i].name) || (training && !set->opts.n_args && !set->conf.retrain))
            continue;
        int one = run_job(&jobs[i], session, ledger);
        first = first ? first : one;
    }
    return rc ? rc : first;
}

static int find_session(const struct tc_calendar *c, int32_t day, struct tc_session *out)
{
    return day ? tc_calendar_session(c, day, out) : tc_calendar_previous(c, tc_now_ns(), out);
}

static int nightly(struct tc_config_set *set, const struct options *o)
{
    struct tc_config *c = &set->conf;
    char path[PATH_MAX];
    const char *calendar_name = NULL;
    struct tc_store store = {0};
    struct tc_store_info info;
    struct tc_calendar *calendar = NULL;
    struct tc_actions *actions = NULL;
    struct tc_ledger *ledger = NULL;
    struct tc_nightly *n = NULL;
    struct tc_retrain *retrain = NULL;
    struct tc_session session;
    snprintf(path, sizeof(path), "%.1000s/tickcast.db", c->data_dir);
    int rc = tc_sqlite_open_reader(path, &store); /* checks that it is ours and up to date */
    if (!rc)
        rc = store.ops->info(store.self, &info);
    if (!rc)
        calendar_name = o->calendar ? o->calendar : info.world == TC_WORLD_SIMULATED ? "always" : "xnys";
    if (!rc)
        rc = tc_calendar_open_named(calendar_name, &calendar);
    if (!rc)
        rc = find_session(calendar, o->day, &session);
    if (!rc && c->actions_path)
        rc = tc_actions_load(c->actions_path, &actions);
    if (!rc)
        rc = tc_ledger_open(path, &ledger);
    struct tc_nightly_conf conf = {.store_path = path,
                                   .ledger = ledger,
                                   .calendar = calendar,
                                   .actions = actions,
                                   .retain_ledger_ns = c->retain_ledger_ns,
                                   .vendor_path = c->vendor_bars};
    if (!rc)
        rc = tc_nightly_open(&conf, &n);
    struct tc_retrain_conf training = {
        .data_dir = c->data_dir,
        .calendar = calendar_name,
        .models = &c->models,
        .flags = &c->retrain_flags,
    };
    c->retrain = c->retrain || (set->opts.n_args && wanted(set, "retrain"));
    if (!rc)
        rc = tc_retrain_own_model(c);
    if (!rc)
        rc = tc_retrain_open(&training, &retrain);
    if (!rc)
        rc = run_jobs(set, n, retrain, ledger, &session);
    tc_retrain_close(retrain);
    tc_nightly_close(n);
    tc_ledger_close(ledger);
    tc_actions_free(actions);
    tc_calendar_free(calendar);
    if (store.ops)
        store.ops->close(store.self);
    return rc;
}

int tc_cmd_nightly(int argc, char **argv)
{
    struct options o;
    struct tc_cli cli = {
        .command = "nightly",
        .usage = "[FLAGS] [JOB...]",
        .about =
            "Does the nightly work of a session now: retention, quality, reconcile (and retrain with "
            "--retrain), or those that are named. "
            "It may run beside `tickcast run` on the same folder. `tickcast show report` shows what came of "
            "it.",
        .sections = "data forecast schedule",
        .opts = options,
        .n_opts = sizeof(options) / sizeof(options[0]),
        .target = &o,
        .args_max = TC_OPT_ARGS_MAX,
        .examples = "  tickcast nightly --data DIR\n"
                    "  tickcast nightly reconcile --day 2013-10-07 --schedule.vendor-bars LEAN --data DIR\n"
                    "  tickcast nightly retrain --data DIR --model my.safetensors\n",
    };
    struct tc_config_set set;
    int rc = tc_config_load(&set, &cli, argc, argv);
    if (!rc)
        rc = nightly(&set, &o);
    tc_config_release(&set);
    return tc_command_exit(rc);
}
