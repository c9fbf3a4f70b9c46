/* tickcast doctor: looks at everything that a run needs, before the run does, and says what to do. */
#include "app/calendars.h"
#include "app/command.h"
#include "app/config.h"
#include "app/datadir.h"
#include "app/feeds.h"
#include "app/social.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "feed/adapter.h"
#include "kern/kern.h"
#include "market/actions.h"
#include "model/model.h"
#include "role/alerts.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

static const int64_t CONNECT_NS = 20 * TC_NS_PER_SEC, LISTEN_NS = 3 * TC_NS_PER_SEC;

enum state { GOOD, WARNING, BAD };

struct doctor {
    bool json;
    int bad, warnings;
};

static void report(struct doctor *d, enum state state, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void report(struct doctor *d, enum state state, const char *what, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warning", "BAD"};
    static const char *const json_words[] = {"ok", "warning", "bad"};
    char text[1400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    d->bad += state == BAD;
    d->warnings += state == WARNING;
    if (!d->json) {
        printf("%-8s %-14s %s\n", words[state], what, text);
        return;
    }
    struct tc_buf b;
    tc_buf_init(&b, 16384);
    tc_buf_printf(&b, "{\"check\":\"%s\",\"state\":\"%s\",\"text\":", what, json_words[state]);
    tc_buf_json_string(&b, text);
    tc_buf_char(&b, '}');
    if (!b.overflow)
        puts(b.data);
    tc_buf_release(&b);
}

static void check_configuration(struct doctor *d, const struct tc_config_set *s)
{
    static const char *const sources[] = {"default", "file", "environment", "flag"};
    if (s->conf.config_file)
        report(d, GOOD, "configuration", "%s", s->conf.config_file);
    else
        report(d, GOOD, "configuration", "no file; defaults (tickcast init writes one)");
    for (size_t i = 0; i < tc_config_opts_n; i++) {
        struct tc_opt_from from = {0};
        const struct tc_opt *o = tc_opt_find(&s->opts, tc_config_opts[i].key, &from);
        if (!o || !strchr(o->key, '.') || from.source == TC_OPT_DEFAULT)
            continue;
        char room[512];
        struct tc_buf value;
        tc_buf_init_fixed(&value, room, sizeof(room));
        tc_opt_value(&s->opts, o, &value);
        if (from.line)
            report(d, GOOD, "setting", "%s = %s (line %d of the file)", o->key, room, from.line);
        else
            report(d, GOOD, "setting", "%s = %s (%s)", o->key, room, sources[from.source]);
    }
}

/* The nearest folder above (or at) the path that is there. */
static void existing_part(const char *path, char out[static TC_PATH_SIZE])
{
    struct stat st;
    snprintf(out, TC_PATH_SIZE, "%s", path);
    while (stat(out, &st) != 0) {
        char *slash = strrchr(out, '/');
        if (!slash) {
            snprintf(out, TC_PATH_SIZE, ".");
            return;
        }
        slash[slash == out] = '\0'; /* "/" itself stays */
        if (slash == out)
            return;
    }
}

static void check_instance(struct doctor *d, const char *dir)
{
    char path[TC_PATH_SIZE + 8], pid[24] = "";
    snprintf(path, sizeof(path), "%s/lock", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0) {
        ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
        pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
        report(d, BAD, "instance", "process %s is using this data folder", pid[0] ? pid : "?");
    } else {
        report(d, GOOD, "instance", "no other process uses the data folder");
    }
    if (fd >= 0)
        close(fd);
}

static void check_world(struct doctor *d, const struct tc_config *c)
{
    char path[TC_PATH_SIZE + 8], world[24] = "";
    const char *mine = tc_world_name(tc_config_world(c));
    snprintf(path, sizeof(path), "%s/world", c->data_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, world, sizeof(world) - 1) : -1;
    if (fd >= 0)
        close(fd);
    world[n > 0 ? strcspn(world, "\n") : 0] = '\0';
    if (*world && strcmp(world, mine) != 0)
        report(d, BAD, "world",
               "the data folder belongs to the %s world, this configuration is %s: choose another --data",
               world, mine);
    else
        report(d, GOOD, "world", "%s%s", mine, *world ? "" : " (the folder has not been used yet)");
}

static void check_data_folder(struct doctor *d, const struct tc_config *c)
{
    char there[TC_PATH_SIZE];
    struct statvfs fs;
    existing_part(c->data_dir, there);
    if (access(there, W_OK | X_OK) != 0) {
        report(d, BAD, "data folder", "%s: %s cannot be written: %s (choose another with --data)",
               c->data_dir, there, strerror(errno));
        return;
    }
    if (tc_datadir_check_filesystem(there)) {
        report(d, BAD, "data folder", "%s", tc_error());
        return;
    }
    report(d, GOOD, "data folder", "%s (%s)", c->data_dir,
           strcmp(there, c->data_dir) == 0 ? "there, writable" : "will be made");
    if (statvfs(there, &fs) == 0) {
        double gib = (double)fs.f_bavail * (double)fs.f_frsize / 0x1p30;
        report(d, gib < 0.1 ? BAD : gib < 2 ? WARNING : GOOD, "disk", "%.1f GiB free", gib);
    }
    check_world(d, c);
    check_instance(d, c->data_dir);
}

static void check_models(struct doctor *d, const struct tc_config *c)
{
    const struct tc_kern *kern = NULL;
    if (tc_kern_choose(&kern))
        report(d, BAD, "kernel", "%s", tc_error());
    else
        report(d, GOOD, "kernel", "%s", kern->name);
    if (!c->forecast)
        return;
    if (!c->models.n)
        report(d, WARNING, "model",
               "none is configured and none was shipped: only the baselines will forecast");
    for (size_t i = 0; i < c->models.n; i++) {
        struct tc_model *m = NULL;
        if (tc_model_load(c->models.items[i], &m)) {
            report(d, BAD, "model", "%s", tc_error());
            continue;
        }
        const struct tc_model_info *info = tc_model_info(m);
        if (strcmp(info->target_unit, "price") == 0)
            report(d, GOOD, "model", "%s (imported: forecasts the price itself from %d columns)", info->id,
                   info->n_features);
        else
            report(d, GOOD, "model", "%s (%s, %d targets, trained %s to %s)", info->id,
                   info->stateful ? "stateful" : "window", info->n_targets, info->trained_from,
                   info->trained_to);
        tc_model_free(m);
    }
}

static void check_calendar(struct doctor *d, const struct tc_config *c)
{
    struct tc_calendar *cal = NULL;
    struct tc_session s;
    char open[40], close[40], text[1024];
    struct tc_buf slips;
    int64_t now = tc_now_ns();
    if (tc_calendar_open_named(tc_config_calendar(c, 0), &cal)) {
        report(d, BAD, "calendar", "%s", tc_error());
        return;
    }
    tc_buf_init_fixed(&slips, text, sizeof(text));
    tc_calendar_check(cal, tc_date_utc(now) / 10000 - 1, tc_date_utc(now) / 10000 + 9, &slips);
    if (slips.len)
        report(d, WARNING, "calendar", "%s: %s", tc_calendar_name(cal), text + 2);
    if (tc_calendar_next(cal, now, &s))
        report(d, WARNING, "calendar", "%s knows no session after now: %s", tc_calendar_name(cal),
               tc_error());
    else
        report(d, GOOD, "calendar", "%s (%s); session from %s to %s%s", tc_calendar_name(cal),
               tc_calendar_zone(cal), tc_time_iso(s.open, open, sizeof(open)),
               tc_time_iso(s.close, close, sizeof(close)), s.early_close ? ", an early close" : "");
    tc_calendar_free(cal);
}

static void check_schedule(struct doctor *d, const struct tc_config *c)
{
    struct tc_actions *actions = NULL;
    if (!c->actions_path)
        report(d, WARNING, "actions", "no list of splits: data.actions names none and none is shipped");
    else if (tc_actions_load(c->actions_path, &actions))
        report(d, BAD, "actions", "%s", tc_error());
    else
        report(d, GOOD, "actions", "%s", c->actions_path);
    tc_actions_free(actions);
    if (c->retrain && c->retain_ns && c->retain_ns < 5 * 86400 * TC_NS_PER_SEC)
        report(d, WARNING, "schedule",
               "schedule.retrain learns from what the log holds: with bus.retain under five days there will "
               "hardly be "
               "three sessions in it");
    if (c->vendor_bars && access(c->vendor_bars, R_OK) != 0)
        report(d, BAD, "schedule", "schedule.vendor_bars: %s: %s", c->vendor_bars, strerror(errno));
}

static void check_alerts(struct doctor *d, const struct tc_config *c)
{
    struct tc_alert_rule rule;
    bool good = true;
    for (size_t i = 0; i < c->alert_rules.n; i++)
        if (tc_alert_rule_parse(c->alert_rules.items[i], &rule)) {
            good = false;
            report(d, BAD, "alerts", "%s", tc_error());
        }
    if (c->alert_command && access(c->alert_command, X_OK) != 0)
        report(d, BAD, "alerts", "alerts.command: %s: %s", c->alert_command, strerror(errno));
    else if (good)
        report(d, GOOD, "alerts", "%zu rules; told to the log and the page%s%s", c->alert_rules.n,
               c->alert_webhook.value ? ", the webhook" : "", c->alert_command ? ", the command" : "");
}

static void check_reddit(struct doctor *d, const struct tc_config *c)
{
    if (!c->reddit_id || !c->reddit_id[0])
        report(d, BAD, "reddit",
               "reddit.id is not set: Reddit gives posts only to applications that it has approved, and many "
               "never are. "
               "With an approved one set reddit.id, and its secret in TICKCAST_REDDIT_SECRET or in the file "
               "that "
               "reddit.secret_file names");
    else
        report(d, GOOD, "reddit", "%s application, %zu subreddits",
               c->reddit_secret.value ? "script" : "installed (no secret)", c->subreddits.n);
}

static void check_posts(struct doctor *d, const struct tc_config *c)
{
    struct tc_sentiment *sentiment = NULL;
    struct tc_tickers *tickers = NULL;
    if (!tc_sentiment_available())
        report(d, WARNING, "sentiment",
               "built without VADER's word lists: posts have no score. Run script/bootstrap where PyPI "
               "can be reached, and build again");
    else if (tc_social_open_sentiment(c, false, &sentiment))
        report(d, BAD, "sentiment", "%s", tc_error());
    else
        report(d, GOOD, "sentiment", "VADER's word lists and the market's words");
    if (tc_social_open_tickers(c, &tickers))
        report(d, BAD, "symbols", "%s", tc_error());
    else
        report(d, GOOD, "symbols", "posts are searched for %zu symbols", tc_tickers_known(tickers));
    for (size_t i = 0; i < c->sources.n; i++)
        if (!strcmp(c->sources.items[i], "reddit"))
            check_reddit(d, c);
    tc_sentiment_close(sentiment);
    tc_tickers_close(tickers);
}

static void check_clock(struct doctor *d)
{
    char now[40];
    struct timex t = {0};
    int64_t wall = tc_now_ns();
    int32_t day = tc_date_utc(wall);
    tc_time_iso(wall / TC_NS_PER_SEC * TC_NS_PER_SEC, now, sizeof(now));
    if (day < 20250101 || day > 20991231) {
        report(d, BAD, "clock", "%s cannot be right: set the machine's clock", now);
        return;
    }
    int state = adjtimex(&t);
    if (state == TIME_ERROR || (t.status & STA_UNSYNC))
        report(d, WARNING, "clock",
               "%s; nobody keeps it right (install chrony or systemd-timesyncd for live data)", now);
    else
        report(d, GOOD, "clock", "%s, kept right", now);
}

/* Tries to take the address as the server will. */
static void check_port(struct doctor *d, const struct tc_config *c)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    char port[8];
    int one = 1;
    if (!c->serve || !c->listen.port)
        return;
    snprintf(port, sizeof(port), "%d", c->listen.port);
    int e = getaddrinfo(c->listen.host, port, &hints, &found);
    if (e) {
        report(d, BAD, "port", "%s: %s", c->listen.host, gai_strerror(e));
        return;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1) != 0)
        report(d, BAD, "port", "%s:%d: %s (choose another with --listen)", c->listen.host, c->listen.port,
               strerror(errno));
    else
        report(d, GOOD, "port", "%s:%d is free", c->listen.host, c->listen.port);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
}

/* Lets a live feed connect, log in and subscribe, and listens for some seconds. */
static void listen_to(struct doctor *d, struct tc_feed *f, const struct tc_adapter *a)
{
    static struct tc_event events[1024];
    struct tc_feed_health h = {.state = "connecting"};
    int64_t begin = tc_mono_ns(), flowing = 0, wait = 0;
    int rc = TC_OK;
    while (rc >= 0 && !h.failed && tc_mono_ns() < (flowing ? flowing + LISTEN_NS : begin + CONNECT_NS)) {
        size_t n = 0;
        rc = f->ops->next(f->self, events, sizeof(events) / sizeof(events[0]), &n, &wait);
        f->ops->health(f->self, &h);
        if (h.healthy && !flowing)
            flowing = tc_mono_ns();
        if (rc == TC_AGAIN && wait)
            tc_sleep_until_mono(tc_mono_ns() + wait);
    }
    char labels[64], delay[64] = "no trade came, so the delay is not known";
    snprintf(labels, sizeof(labels), "feed=\"%s\"", f->name);
    const tc_metric *m = tc_metric_find("tickcast_feed_delay_ms", labels);
    if (m && h.events)
        snprintf(delay, sizeof(delay), "its times are %lld ms behind our clock", (long long)tc_metric_get(m));
    if (rc < 0)
        report(d, BAD, "feed", "%s: %s", f->name, tc_error());
    else if (!flowing || h.failed)
        report(d, BAD, "feed", "%s: %s%s%s", f->name, h.state, h.detail[0] ? ": " : "", h.detail);
    else
        report(d, GOOD, "feed", "%s: %s after %.1f s, %u symbols, %llu events in %.0f s; %s", f->name,
               a->needs_key ? "key taken and subscribed" : "subscribed", (double)(flowing - begin) / 1e9,
               f->n_symbols, (unsigned long long)h.events, (double)LISTEN_NS / 1e9, delay);
    if (a->page_url)
        report(d, GOOD, "history", "%s: fetched at up to %.0f requests a minute", f->name,
               a->rest_per_s * 60);
    else
        report(d, WARNING, "history", "%s: none; what is missed while disconnected stays missing", f->name);
}

static void check_live(struct doctor *d, const struct tc_config *c)
{
    struct tc_config quiet = *c;
    quiet.live_history_ns = 0; /* nothing is fetched for a look */
    for (size_t i = 0; i < c->feeds.n; i++) {
        const struct tc_adapter *a = tc_adapter_find(c->feeds.items[i]);
        struct tc_calendar *hours = NULL;
        struct tc_feed f = {.ops = NULL};
        int rc = tc_calendar_open_named(tc_config_calendar(c, i), &hours);
        if (!rc)
            rc = tc_feed_open_live(&quiet, i, hours, &f);
        if (rc)
            report(d, BAD, "feed", "%s", tc_error());
        else
            listen_to(d, &f, a);
        if (f.ops)
            f.ops->close(f.self);
        tc_calendar_free(hours);
    }
}

static void check_feed(struct doctor *d, const struct tc_config *c)
{
    if (c->feed == TC_CONFIG_LIVE)
        check_live(d, c);
    else if (c->feed == TC_CONFIG_SIMULATED)
        report(d, GOOD, "feed",
               "simulated, %zu symbols; real data: --feed coinbase, or --feed replay --path DIR",
               c->symbols.n);
    else if (!c->replay_path)
        report(d, BAD, "feed", "replay needs a folder or file: --path");
    else if (access(c->replay_path, R_OK) != 0)
        report(d, BAD, "feed", "%s: %s", c->replay_path, strerror(errno));
    else
        report(d, GOOD, "feed", "replay of %s", c->replay_path);
}

static int doctor(struct doctor *d, const struct tc_config_set *s)
{
    check_configuration(d, s);
    check_feed(d, &s->conf);
    check_calendar(d, &s->conf);
    check_schedule(d, &s->conf);
    check_alerts(d, &s->conf);
    check_posts(d, &s->conf);
    check_models(d, &s->conf);
    check_data_folder(d, &s->conf);
    check_port(d, &s->conf);
    check_clock(d);
    if (!d->json)
        printf("\n%d bad, %d warning%s\n", d->bad, d->warnings, d->warnings == 1 ? "" : "s");
    return d->bad ? TC_EXIT_FAILURE : TC_EXIT_OK;
}

static const struct tc_opt options[] = {
    {.key = "json",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct doctor, json),
     .doc = "one JSON object a check"},
};

int tc_cmd_doctor(int argc, char **argv)
{
    struct doctor d = {0};
    struct tc_cli cli = {
        .command = "doctor",
        .usage = "[FLAGS]",
        .about = "Checks what `tickcast run` with the same flags would need: configuration, feed, calendar, "
                 "models, data "
                 "folder, port and clock. Exit status 1 when something is bad.",
        .sections = "feed sim replay live coinbase binance kraken massive alpaca finnhub run data forecast "
                    "schedule alerts store bus serve social reddit",
        .opts = options,
        .n_opts = sizeof(options) / sizeof(options[0]),
        .target = &d,
    };
    struct tc_config_set s;
    int rc = tc_config_load(&s, &cli, argc, argv);
    int code = rc ? tc_command_exit(rc) : doctor(&d, &s);
    tc_config_release(&s);
    return code;
}
