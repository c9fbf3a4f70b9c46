/* config.h - the program's options (one table, config_table.c) and how a command gets them.
 *
 * Order: defaults, YAML file (--config, else XDG_CONFIG_HOME/tickcast/tickcast.yaml when it is there),
 * environment TICKCAST_SECTION_KEY, flags. Durations are nanoseconds, sizes bytes, dates yyyymmdd (0 = not
 * set).
 */
#pragma once

#include "base/opt.h"
#include "market/market.h"

enum tc_config_feed { TC_CONFIG_SIMULATED, TC_CONFIG_REPLAY, TC_CONFIG_LIVE };
enum tc_config_store { TC_CONFIG_SQLITE, TC_CONFIG_CASSANDRA };
enum { TC_CONFIG_VENDORS = 6 }; /* live feeds, in the order of tc_adapters (feed/adapter.h) */

/* Of one live feed; NULL = as usual. Keys are filled in from the vendor's own variables. */
struct tc_config_live {
    char *url, *rest, *channels;
    struct tc_opt_secret key, secret;
};

enum tc_config_bus { TC_CONFIG_LOG, TC_CONFIG_KAFKA };
enum tc_config_bars_from { TC_CONFIG_TRADES, TC_CONFIG_SECONDS, TC_CONFIG_MERGED };
enum tc_config_on_error { TC_CONFIG_SKIP, TC_CONFIG_REFUSE };

struct tc_config {
    /* feed */
    struct tc_opt_list feeds;   /* as written */
    int feed;                   /* enum tc_config_feed, filled in from them */
    struct tc_opt_list symbols; /* valid names, each once; filled in for the simulated feed, may be empty for
                                   replay: all that the folder holds */
    char *calendar; /* a calendar's name or file; filled in: "xnys" for replay, "always" for simulated;
                       NULL for live: each feed's own */
    /* sim */
    int64_t sim_seed, sim_history_ns, sim_symbols;
    /* replay */
    char *replay_path;
    int32_t replay_from, replay_to; /* session dates, both inclusive */
    double replay_speed;            /* INFINITY = as fast as possible; 1 = real time */
    int64_t replay_delay_ns;
    int bars_from, on_error;
    /* live */
    int64_t live_settle_ns, live_history_ns, live_backoff_ns;
    char *live_ca_file;
    bool exit_on_fatal;
    struct tc_config_live live[TC_CONFIG_VENDORS];
    /* run */
    bool until_end;
    int64_t duration_ns; /* 0 = for ever */
    /* data */
    char *data_dir;     /* filled in: XDG_DATA_HOME/tickcast/WORLD */
    char *actions_path; /* filled in with the shipped file; NULL when there is none */
    /* schedule */
    bool schedule;
    struct tc_opt_list schedule_sessions;
    int schedule_parts; /* TC_HOURS_*, made of the list */
    int64_t wake_before_ns, stay_after_ns, settle_ns, retain_ledger_ns;
    char *vendor_bars;
    bool retrain;
    struct tc_opt_list retrain_flags;
    /* alerts */
    struct tc_opt_list alert_rules;
    struct tc_opt_secret alert_webhook;
    char *alert_command;
    /* forecast */
    bool forecast;
    bool models_default;       /* nobody named any */
    struct tc_opt_list models; /* files, filled in with the shipped one when none is named */
    /* store */
    int store; /* enum tc_config_store */
    int64_t threads;
    int precision; /* 1 = 16 bits where they do */
    int64_t retain_forecasts_ns, batch_rows, batch_wait_ns;
    /* cassandra */
    struct tc_opt_list cassandra_nodes;
    char *cassandra_user, *cassandra_keyspace, *cassandra_replication, *cassandra_consistency,
        *cassandra_local_dc;
    char *cassandra_tls_ca, *cassandra_tls_cert, *cassandra_tls_key;
    struct tc_opt_secret cassandra_password;
    bool cassandra_tls, cassandra_compression;
    int64_t cassandra_connect_timeout_ns, cassandra_attempt_timeout_ns, cassandra_request_timeout_ns;
    int64_t cassandra_in_flight;
    /* bus */
    int bus; /* enum tc_config_bus */
    int64_t sync_every_ns, segment_bytes, retain_bytes, retain_ns;
    /* kafka */
    char *kafka_brokers, *kafka_prefix;
    int64_t kafka_replication, kafka_retain_ns;
    struct tc_opt_list kafka_settings; /* NAME=VALUE */
    struct tc_opt_secret kafka_password;
    /* serve */
    bool serve;
    struct tc_opt_address listen;
    char *hosts;     /* NULL = none */
    char *base_path; /* "" or "/name", no slash at the end; never NULL */
    struct tc_opt_secret token;
    /* social */
    bool social;
    struct tc_opt_list sources; /* of posts; filled in */
    int64_t recheck_ns, keep_posts_ns, keep_mentions_ns;
    char *reddit_id, *reddit_agent, *reddit_token_url, *reddit_api_url;
    struct tc_opt_secret reddit_secret;
    struct tc_opt_list subreddits;
    int64_t reddit_poll_ns;
    char *market_words, *symbols_file, *ambiguous_file; /* NULL = the shipped ones */
    /* log */
    int log_level; /* enum tc_log_level */
    bool log_json;

    char *config_file; /* that was read; NULL = none */
};

/* How a command takes its command line. */
struct tc_cli {
    const char *command; /* "run" */
    const char *usage;   /* what follows "tickcast COMMAND", for example "[FLAGS] FILE" */
    const char *about;   /* one or a few sentences for --help */
    const char
        *sections; /* sections of the program's options that this command takes as flags: "feed replay" */
    const struct tc_opt *opts; /* the command's own options; NULL = none */
    size_t n_opts;
    void *target; /* that they fill */
    size_t args_min, args_max;
    const char *examples; /* lines for --help; NULL = none */
};

struct tc_config_set {
    struct tc_config conf;
    struct tc_opt_set opts; /* args, n_args: what stood on the command line besides flags */
};

/* Loads everything. TC_OK; TC_DONE when --help was asked for and printed; TC_EUSAGE, TC_ECONF, TC_EIO with
 * tc_error(). Also sets the log's level and form. Release it in every case. */
int tc_config_load(struct tc_config_set *s, const struct tc_cli *cli, int argc, char **argv);
void tc_config_release(struct tc_config_set *s);

/* The world that the configured feed belongs to. */
enum tc_world tc_config_world(const struct tc_config *c);

/* Name or file of the trading hours of the feed at that place of feed.name (0 where there is one). */
const char *tc_config_calendar(const struct tc_config *c, size_t feed);

/* The program's table, for documents and tests. */
extern const struct tc_opt tc_config_opts[];
extern const size_t tc_config_opts_n;
