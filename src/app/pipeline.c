#include "app/pipeline.h"
#include "app/buses.h"
#include "app/calendars.h"
#include "app/datadir.h"
#include "app/feeds.h"
#include "app/model_files.h"
#include "app/stores.h"
#include "app/social.h"
#include "app/retrain.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "feed/adapter.h"
#include "feed/simulated.h"
#include "role/alerts.h"
#include "role/collect.h"
#include "role/forecaster.h"
#include "role/group.h"
#include "role/nightly.h"
#include "role/persist.h"
#include "role/runner.h"
#include "role/schedule.h"
#include "role/server.h"
#include "store/store.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KAFKA_FLUSH_NS (700 * TC_NS_PER_MS) /* within the time that Ctrl-C has */

enum { FEEDS_MAX = TC_ADAPTERS, SPARE_SYMBOLS = 16, BATCH_ROWS_MAX = 32768 };

struct tc_pipeline {
    const struct tc_config *conf;
    struct tc_datadir dir;
    struct tc_store store;
    struct tc_bus bus;
    struct tc_kafka *kafka; /* NULL = log bus */
    size_t n_feeds;         /* one, or several live ones */
    struct tc_feed feeds[FEEDS_MAX];
    struct tc_calendar *calendars[FEEDS_MAX]; /* of each */
    uint32_t n_symbols;                       /* of all */
    struct tc_model_files *models;
    struct tc_role roles[TC_ROLES_MAX]; /* in the order of the data */
    size_t n_roles;
    const struct tc_role *store_role; /* one of them */
    struct tc_role *forecast_role;    /* one of them; NULL without forecasts */
    struct tc_role *schedule_role;    /* one of them; NULL in a replay */
    struct tc_ledger *ledger;
    struct tc_actions *actions;
    struct tc_nightly *nightly;
    struct tc_alerts *alerts;
    struct tc_social *social; /* sources and analysers of posts; NULL = none */
    struct tc_retrain *retrain;
    struct tc_runner *runner;
    char mode_text[40];
    /* What the serve role was given; it keeps pointers into these. */
    const struct tc_calendar *shown_calendars[FEEDS_MAX];
    const struct tc_feed *shown_feeds[FEEDS_MAX];
    char token_path[TC_PATH_SIZE + 16], dead_letters[TC_PATH_SIZE + 32], url[512];
};

/* What a repeatable run is made from: a folder made from other inputs is not gone on with. */
static void describe_inputs(const struct tc_pipeline *p, struct tc_buf *out)
{
    const struct tc_config *c = p->conf;
    static const char *const bars_from[] = {"trades", "seconds", "merged"};
    if (c->feed == TC_CONFIG_LIVE) { /* live feeds and symbols come and go */
        tc_buf_str(out, "feed=live\n");
        return;
    }
    tc_buf_printf(out, "feed=%s\nsymbols=", c->feed == TC_CONFIG_REPLAY ? "replay" : "simulated");
    for (size_t i = 0; i < c->symbols.n; i++)
        tc_buf_printf(out, "%s%s", i ? "," : "", c->symbols.items[i]);
    tc_buf_str(out, "\n");
    if (c->feed == TC_CONFIG_REPLAY) {
        char real[PATH_MAX]; /* one folder has one name here, however it was written */
        tc_buf_printf(out, "path=%s\nfrom=%d\nto=%d\nbars_from=%s\ndelay_ns=%" PRId64 "\n",
                      realpath(c->replay_path, real) ? real : c->replay_path, c->replay_from, c->replay_to,
                      bars_from[c->bars_from], c->replay_delay_ns);
    } else {
        tc_buf_printf(out, "seed=%" PRId64 "\n", c->sim_seed);
    }
    tc_buf_printf(out, "calendar=%s\n", c->calendar);
    /* A replay's rows must come from one set of models; elsewhere models may come and go. */
    if (c->feed == TC_CONFIG_REPLAY)
        tc_buf_printf(out, "forecast=%s\n", c->forecast ? "yes" : "no");
    for (size_t i = 0; c->feed == TC_CONFIG_REPLAY && i < tc_model_files_count(p->models); i++)
        tc_buf_printf(out, "model=%s\n", tc_model_info(tc_model_files_at(p->models, i))->id);
}

static int check_inputs(struct tc_pipeline *p)
{
    struct tc_buf inputs;
    tc_buf_init(&inputs, 1 << 20);
    describe_inputs(p, &inputs);
    int rc = inputs.overflow ? tc_fail(TC_ELIMIT, "the list of symbols is too long")
                             : tc_datadir_inputs(&p->dir, inputs.data);
    tc_buf_release(&inputs);
    return rc;
}

static int open_feed(struct tc_pipeline *p, size_t i)
{
    const struct tc_config *c = p->conf;
    int rc = tc_calendar_open_named(tc_config_calendar(c, i), &p->calendars[i]);
    if (rc)
        return rc;
    if (c->feed == TC_CONFIG_LIVE)
        return tc_feed_open_live(c, i, p->calendars[i], &p->feeds[i]);
    if (c->feed == TC_CONFIG_SIMULATED) {
        struct tc_sim_conf conf = {
            .symbols = (const char *const *)c->symbols.items,
            .n_symbols = c->symbols.n,
            .seed = (uint64_t)c->sim_seed,
            .history_ns = c->sim_history_ns,
            .speed = 1,
        };
        return tc_simulated_open(&conf, &p->feeds[i]);
    }
    if (!c->replay_path)
        return tc_fail(
            TC_ECONF,
            "replay.path is not set: name the folder of LEAN files, CSV or a recorded log with --path");
    return tc_feed_open_replay(c, c->replay_speed, p->calendars[i], &p->feeds[i]);
}

/* Position of a role's newest checkpoint that the store knows, so that the log need not be read from its
 * start. */
static int snapshot_position(struct tc_pipeline *p, const char *role, int64_t *out)
{
    struct tc_snapshot snapshot;
    int rc = p->store.ops->snapshot(p->store.self, role, &snapshot);
    *out = -1;
    if (rc == TC_ENOTFOUND)
        return TC_OK;
    if (rc)
        return rc;
    *out = snapshot.position;
    tc_buf_release(&snapshot.bytes);
    return TC_OK;
}

static int open_collect(struct tc_pipeline *p, size_t i, struct tc_role *out)
{
    struct tc_collect_conf conf = {.feed = &p->feeds[i],
                                   .bus = &p->bus,
                                   .calendar = p->calendars[i],
                                   .replay_delay_ns = p->conf->replay_delay_ns};
    char name[TC_COLLECT_NAME];
    tc_collect_name(&p->feeds[i], name);
    int rc = snapshot_position(p, name, &conf.snapshot_position);
    return rc ? rc : tc_collect_open(&conf, out);
}

/* The topic of bars has one writer, so the feeds share a thread. */
static int add_collect(struct tc_pipeline *p)
{
    struct tc_role each[FEEDS_MAX];
    size_t n = 0;
    int rc = TC_OK;
    while (n < p->n_feeds && !rc) {
        rc = open_collect(p, n, &each[n]);
        n += rc == TC_OK;
    }
    if (!rc && n == 1)
        p->roles[p->n_roles] = each[0];
    else if (!rc)
        rc = tc_group_open(each, n, &p->roles[p->n_roles]);
    for (size_t i = 0; rc && i < n; i++)
        each[i].ops->close(each[i].self);
    p->n_roles += rc == TC_OK;
    return rc;
}

static int add_posts(struct tc_pipeline *p)
{
    int rc = tc_social_open(p->conf, p->dir.path, p->dir.store, &p->bus, &p->social);
    if (rc || !p->social)
        return rc;
    rc = tc_social_role(p->social, &p->roles[p->n_roles]);
    p->n_roles += rc == TC_OK;
    return rc;
}

static const struct tc_calendar *calendar_of(void *ctx, const char *symbol)
{
    const struct tc_pipeline *p = ctx;
    for (size_t i = 0; i < p->n_feeds; i++)
        for (uint32_t k = 0; p->n_feeds > 1 && k < p->feeds[i].n_symbols; k++)
            if (!strcmp(p->feeds[i].symbols[k], symbol))
                return p->calendars[i];
    return p->calendars[0];
}

static int add_forecast(struct tc_pipeline *p)
{
    struct tc_forecaster_conf conf = {.bus = &p->bus};
    tc_engine_conf_default(&conf.engine);
    conf.engine.symbols = p->n_symbols + SPARE_SYMBOLS;
    conf.engine.calendar = calendar_of;
    conf.engine.calendar_ctx = p;
    conf.engine.split = tc_actions_since;
    conf.engine.split_ctx = p->actions;
    conf.engine.now = tc_now_ns;
    conf.engine.n_networks = (int32_t)tc_model_files_count(p->models);
    conf.may_relearn = p->conf->feed != TC_CONFIG_REPLAY;
    for (size_t i = 0; i < tc_model_files_count(p->models); i++)
        conf.engine.networks[i] = tc_model_files_at(p->models, i);
    int rc = snapshot_position(p, "forecast", &conf.snapshot_position);
    if (!rc)
        rc = tc_forecaster_open(&conf, &p->roles[p->n_roles]);
    if (!rc)
        p->forecast_role = &p->roles[p->n_roles++];
    return rc;
}

/* Each put writes a page or more for every symbol, so with many symbols fewer and larger puts are made: 10 s
 * for 1,000 symbols. At full speed there is always enough to store. */
static void size_batches(const struct tc_pipeline *p, struct tc_persist_conf *conf)
{
    const struct tc_config *c = p->conf;
    size_t rows = 32 * p->n_symbols;
    conf->batch_rows = (size_t)c->batch_rows;
    if (rows > conf->batch_rows)
        conf->batch_rows = rows < BATCH_ROWS_MAX ? rows : BATCH_ROWS_MAX;
    bool full_speed = c->feed == TC_CONFIG_REPLAY && isinf(c->replay_speed);
    if (c->batch_wait_ns && !full_speed)
        conf->batch_wait_ns = c->batch_wait_ns + (int64_t)p->n_symbols * 8 * TC_NS_PER_MS;
}

static int add_store(struct tc_pipeline *p)
{
    snprintf(p->dead_letters, sizeof(p->dead_letters), "%s/dead-letters.jsonl", p->dir.path);
    struct tc_persist_conf conf = {
        .bus = &p->bus,
        .store = &p->store,
        .forecasts = p->conf->forecast,
        .retain_forecasts_ns = p->conf->feed == TC_CONFIG_REPLAY ? 0 : p->conf->retain_forecasts_ns,
        .dead_letter_path = p->dead_letters,
        .posts = true,
        .keep_posts_ns = p->conf->keep_posts_ns,
        .recheck_posts_ns = p->conf->recheck_ns,
        .keep_mentions_ns = p->conf->keep_mentions_ns,
    };
    size_batches(p, &conf);
    int rc = tc_persist_open(&conf, &p->roles[p->n_roles]);
    if (rc)
        return rc;
    p->store_role = &p->roles[p->n_roles++];
    return TC_OK;
}

static void fresh_store(void *ctx)
{
    tc_persist_catch_up(((struct tc_pipeline *)ctx)->store_role, 500 * TC_NS_PER_MS);
}

static int open_alerts(struct tc_pipeline *p, const struct tc_schedule_feed *feeds, size_t n_feeds)
{
    const struct tc_config *c = p->conf;
    struct tc_alerts_conf conf = {
        .rules = (const char *const *)c->alert_rules.items,
        .n_rules = c->alert_rules.n,
        .bus = &p->bus,
        .store_path = p->dir.store,
        .data_dir = p->dir.path,
        .feeds = feeds,
        .n_feeds = n_feeds,
        .ledger = p->ledger,
        .notify = {.webhook = c->alert_webhook.value, .command = c->alert_command},
    };
    return tc_alerts_open(&conf, &p->alerts);
}

/* The clock of a replay is that of its files: nothing to keep hours by, nothing to reload. */
static int add_schedule(struct tc_pipeline *p)
{
    const struct tc_config *c = p->conf;
    if (c->feed == TC_CONFIG_REPLAY)
        return TC_OK;
    if (c->store == TC_CONFIG_CASSANDRA) /* the ledger is tables of the SQLite file */
        return c->schedule ? tc_fail(TC_ECONF, "schedule.enabled needs store.kind sqlite") : TC_OK;
    struct tc_nightly_conf nightly = {
        .store_path = p->dir.store,
        .calendar = p->calendars[0],
        .actions = p->actions,
        .retain_ledger_ns = c->retain_ledger_ns,
        .vendor_path = c->vendor_bars,
    };
    int rc = tc_ledger_open(p->dir.store, &p->ledger);
    nightly.ledger = p->ledger;
    if (!rc)
        rc = tc_nightly_open(&nightly, &p->nightly);
    struct tc_schedule_feed feeds[FEEDS_MAX];
    for (size_t i = 0; i < p->n_feeds; i++)
        feeds[i] = (struct tc_schedule_feed){&p->feeds[i], p->calendars[i]};
    if (!rc)
        rc = open_alerts(p, feeds, p->n_feeds);
    if (rc)
        return rc;
    const struct tc_retrain_conf retrain = {.data_dir = p->dir.path,
                                            .calendar = tc_config_calendar(c, 0),
                                            .models = &c->models,
                                            .flags = &c->retrain_flags};
    struct tc_job jobs[4] = {tc_nightly_retention(p->nightly), tc_nightly_quality(p->nightly),
                             tc_nightly_reconcile(p->nightly)};
    size_t n_jobs = 3;
    if (c->retrain && (rc = tc_retrain_open(&retrain, &p->retrain)) != 0)
        return rc;
    if (c->retrain) /* last: it takes longest */
        jobs[n_jobs++] = tc_retrain_job(p->retrain);
    struct tc_schedule_conf conf = {
        .calendars = p->calendars,
        .n_calendars = p->n_feeds,
        .reload = true,
        .keep_hours = c->schedule,
        .parts = c->schedule_parts,
        .before_ns = c->wake_before_ns,
        .after_ns = c->stay_after_ns,
        .feeds = feeds,
        .n_feeds = p->n_feeds,
        .ledger = p->ledger,
        .calendar = p->calendars[0],
        .jobs = jobs,
        .n_jobs = n_jobs,
        .settle_ns = c->settle_ns,
        .each_second = tc_alerts_step,
        .each_second_ctx = p->alerts,
    };
    rc = tc_schedule_open(&conf, &p->roles[p->n_roles]);
    if (!rc)
        p->schedule_role = &p->roles[p->n_roles++];
    return rc;
}

static void write_schedule(void *ctx, struct tc_buf *out)
{
    struct tc_pipeline *p = ctx;
    if (p->schedule_role)
        tc_schedule_write(p->schedule_role, out);
    else
        tc_buf_str(out, "null");
}

static void write_alerts(void *ctx, struct tc_buf *out)
{
    struct tc_pipeline *p = ctx;
    if (p->alerts)
        tc_alerts_write(p->alerts, out);
    else
        tc_buf_str(out, "[]");
}

static int open_reader(void *ctx, struct tc_store *out)
{
    const struct tc_pipeline *p = ctx;
    return tc_stores_open_reader(p->conf, p->dir.store, p->calendars[0], out);
}

static void submit(void *ctx, struct tc_submission *list, size_t n)
{
    tc_forecaster_submit(((struct tc_pipeline *)ctx)->forecast_role, list, n, 2 * TC_NS_PER_SEC);
}

static int add_serve(struct tc_pipeline *p)
{
    const struct tc_config *c = p->conf;
    bool simulated = c->feed == TC_CONFIG_SIMULATED, live = c->feed == TC_CONFIG_LIVE;
    snprintf(p->token_path, sizeof(p->token_path), "%s/token", p->dir.path);
    for (size_t i = 0; i < p->n_feeds; i++) {
        p->shown_calendars[i] = p->calendars[i];
        p->shown_feeds[i] = &p->feeds[i];
    }
    struct tc_server_conf conf = {
        .bus = &p->bus,
        .open_store = open_reader,
        .store_ctx = p,
        .fresh = fresh_store,
        .fresh_ctx = p,
        .submit = p->forecast_role ? submit : NULL,
        .submit_ctx = p,
        .schedule = write_schedule,
        .alerts = write_alerts,
        .schedule_ctx = p,
        .host = c->listen.host,
        .port = c->listen.port,
        .base_path = c->base_path,
        .hosts = c->hosts,
        .token = c->token.value,
        .token_file = p->token_path,
        .version = TC_VERSION,
        .world = tc_config_world(c),
        .mode = simulated ? "SIMULATED"
                : live    ? "LIVE"
                          : "REPLAY",
        .mode_text = p->mode_text,
        .speed = simulated || live ? NAN : c->replay_speed,
        .notice =
            simulated
                ? "This market is simulated: its prices and its scores are made by the program. For real "
                  "trades run: tickcast run --feed coinbase (live, no key), or --feed replay --path DIR"
                : NULL,
        .calendars = p->shown_calendars,
        .n_calendars = p->n_feeds,
        .feeds = p->shown_feeds,
        .n_feeds = p->n_feeds,
        .actions = p->actions,
        .models = tc_model_files_cards(p->models),
    };
    if (p->social)
        conf.sources = tc_social_sources(p->social, &conf.n_sources);
    int rc = tc_server_open(&conf, &p->roles[p->n_roles]);
    if (rc)
        return rc;
    snprintf(p->url, sizeof(p->url), "%s", tc_server_url(&p->roles[p->n_roles]));
    p->n_roles++;
    return TC_OK;
}

void tc_pipeline_mode(const struct tc_config *c, char *out, size_t size)
{
    if (c->feed == TC_CONFIG_SIMULATED)
        snprintf(out, size, "SIMULATED");
    else if (c->feed == TC_CONFIG_LIVE)
        snprintf(out, size, "LIVE");
    else if (isinf(c->replay_speed))
        snprintf(out, size, "REPLAY at full speed");
    else
        snprintf(out, size, "REPLAY %gx", c->replay_speed);
}

static int open_source(struct tc_pipeline *p)
{
    int rc = p->conf->forecast ? tc_model_files_open(p->conf, &p->models) : TC_OK;
    if (!rc)
        rc = tc_datadir_open(p->conf->data_dir, tc_config_world(p->conf), &p->dir);
    if (!rc && p->conf->actions_path)
        rc = tc_actions_load(p->conf->actions_path, &p->actions);
    size_t n = p->conf->feed == TC_CONFIG_LIVE ? p->conf->feeds.n : 1;
    for (; p->n_feeds < n && !rc; p->n_feeds++) {
        rc = open_feed(p, p->n_feeds);
        p->n_symbols += p->feeds[p->n_feeds].n_symbols;
    }
    return rc;
}

int tc_pipeline_connect(struct tc_pipeline *p)
{
    int rc = tc_stores_open(p->conf, p->dir.store, p->calendars[0], &p->store);
    if (!rc)
        rc = tc_buses_open(p->conf, p->dir.bus, &p->kafka, &p->bus);
    if (!rc)
        rc = check_inputs(p);
    if (!rc)
        rc = add_collect(p);
    if (!rc)
        rc = add_posts(p);
    if (!rc && p->conf->forecast)
        rc = add_forecast(p);
    if (!rc)
        rc = add_store(p);
    if (!rc)
        rc = add_schedule(p);
    if (!rc && p->conf->serve)
        rc = add_serve(p);
    return rc;
}

int tc_pipeline_open(const struct tc_config *c, struct tc_pipeline **out)
{
    struct tc_pipeline *p = calloc(1, sizeof(*p));
    if (!p)
        return tc_fail(TC_ENOMEM, "no memory for the pipeline");
    p->conf = c;
    p->dir.lock_fd = -1;
    tc_pipeline_mode(c, p->mode_text, sizeof(p->mode_text));
    int rc = open_source(p);
    if (rc) {
        char failure[1024];
        snprintf(failure, sizeof(failure), "%s", tc_error());
        tc_pipeline_close(p, 0);
        return tc_fail(rc, "%s", failure);
    }
    *out = p;
    return TC_OK;
}

int tc_pipeline_start(struct tc_pipeline *p)
{
    return tc_runner_start(&p->bus, p->roles, p->n_roles, &p->runner);
}

void tc_pipeline_tend(struct tc_pipeline *p)
{
    if (p->conf->feed != TC_CONFIG_REPLAY) /* whose rows come from one set of models */
        tc_model_files_watch(p->models, p->forecast_role);
}

bool tc_pipeline_ended(const struct tc_pipeline *p)
{
    return tc_runner_ended(p->runner);
}

bool tc_pipeline_feeds_failed(const struct tc_pipeline *p)
{
    struct tc_feed_health h;
    for (size_t i = 0; i < p->n_feeds; i++) {
        p->feeds[i].ops->health(p->feeds[i].self, &h);
        if (!h.failed)
            return false;
    }
    return true;
}

int tc_pipeline_failed(const struct tc_pipeline *p)
{
    return tc_runner_failed(p->runner);
}

const char *tc_pipeline_failure(const struct tc_pipeline *p)
{
    return tc_runner_failure(p->runner);
}

const char *tc_pipeline_url(const struct tc_pipeline *p)
{
    return p->url;
}

const char *tc_pipeline_data(const struct tc_pipeline *p)
{
    return p->dir.path;
}

bool tc_pipeline_close(struct tc_pipeline *p, int64_t deadline_mono_ns)
{
    if (!p)
        return true;
    bool whole = !p->runner || tc_runner_stop(p->runner, deadline_mono_ns);
    while (p->n_roles) { /* readers before writers, the page first */
        struct tc_role *r = &p->roles[--p->n_roles];
        r->ops->close(r->self);
    }
    tc_alerts_close(p->alerts);
    tc_retrain_close(p->retrain);
    tc_nightly_close(p->nightly);
    tc_ledger_close(p->ledger);
    tc_actions_free(p->actions);
    tc_social_close(p->social);
    for (size_t i = 0; i < p->n_feeds; i++)
        if (p->feeds[i].ops)
            p->feeds[i].ops->close(p->feeds[i].self);
    if (p->bus.ops)
        p->bus.ops->close(p->bus.self);
    if (tc_kafka_close(p->kafka, KAFKA_FLUSH_NS))
        tc_log_warn("run", "%s", tc_error());
    if (p->store.ops)
        p->store.ops->close(p->store.self);
    tc_model_files_close(p->models);
    for (size_t i = 0; i < FEEDS_MAX; i++)
        tc_calendar_free(p->calendars[i]);
    if (p->dir.lock_fd >= 0)
        tc_datadir_close(&p->dir);
    free(p);
    return whole;
}
