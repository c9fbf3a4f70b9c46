#include "app/config.h"
#include "app/help.h"
#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "feed/adapter.h"
#include "market/symtab.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char default_symbols[] = "AAPL,MSFT,NVDA,AMD,TSLA,AMZN,SPY";
/* One for each level of inputs: quotes, single trades, bars. */
static const char *const default_models[] = {"models/default.safetensors", "models/default-tape.safetensors",
                                             "models/default-bars.safetensors"};

enum { DEFAULT_SYMBOLS = 7 };

enum tc_world tc_config_world(const struct tc_config *c)
{
    return c->feed == TC_CONFIG_LIVE     ? TC_WORLD_LIVE
           : c->feed == TC_CONFIG_REPLAY ? TC_WORLD_REPLAY
                                         : TC_WORLD_SIMULATED;
}

const char *tc_config_calendar(const struct tc_config *c, size_t feed)
{
    return c->calendar ? c->calendar : tc_adapter_find(c->feeds.items[feed])->calendar;
}

/* Is this option a flag of the command? Those without a section always are. */
static bool wanted(const struct tc_opt *o, const void *arg)
{
    const struct tc_cli *cli = arg;
    const char *dot = strchr(o->key, '.');
    for (size_t i = 0; i < cli->n_opts; i++)
        if (&cli->opts[i] == o)
            return true;
    if (!cli->sections)
        return false;
    if (!dot || strncmp(o->key, "log.", 4) == 0)
        return true;
    size_t n = (size_t)(dot - o->key);
    for (const char *p = cli->sections ? cli->sections : ""; *p;) {
        size_t word = strcspn(p, " ");
        if (word == n && strncmp(p, o->key, n) == 0)
            return true;
        p += word + (p[word] == ' ');
    }
    return false;
}

static bool help_asked(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* The file named on the command line, by TICKCAST_CONFIG, or the usual one when it is there. */
static int read_file(struct tc_config_set *s, int argc, char **argv)
{
    const char *named = getenv("TICKCAST_CONFIG");
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0)
            named = argv[i] + 9;
        else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            named = argv[i + 1];
    }
    char usual[PATH_MAX];
    if (!named || !*named) {
        int rc = tc_xdg_path("XDG_CONFIG_HOME", ".config", "tickcast.yaml", usual, sizeof(usual));
        if (rc || access(usual, F_OK) != 0)
            return TC_OK; /* no home or no file: defaults */
        named = usual;
    }
    int rc = tc_opt_yaml_file(&s->opts, named);
    if (rc)
        return rc == TC_ENOTFOUND ? TC_ECONF : rc;
    free(s->conf.config_file);
    s->conf.config_file = strdup(named);
    return s->conf.config_file ? TC_OK : tc_fail(TC_ENOMEM, "configuration: no memory");
}

static int set_default(struct tc_config_set *s, const char *key, const char *text)
{
    return tc_opt_set_text(&s->opts, key, text, "default");
}

static int fill_symbols(struct tc_config_set *s)
{
    struct tc_config *c = &s->conf;
    if (c->feed != TC_CONFIG_SIMULATED || (c->symbols.n && !c->sim_symbols))
        return TC_OK;
    if (c->symbols.n)
        return tc_fail(TC_ECONF, "sim.symbols and feed.symbols are both set; give one of them");
    struct tc_buf text;
    tc_buf_init(&text, 1 << 20);
    tc_buf_str(&text, default_symbols);
    if (c->sim_symbols && c->sim_symbols < DEFAULT_SYMBOLS) {
        size_t end = 0;
        for (int64_t i = 0; i < c->sim_symbols; i++)
            end += strcspn(text.data + end, ",") + 1;
        text.data[end - 1] = '\0';
    }
    for (int64_t i = DEFAULT_SYMBOLS + 1; i <= c->sim_symbols; i++)
        tc_buf_printf(&text, ",SIM%04d", (int)i);
    int rc =
        text.overflow ? tc_fail(TC_ENOMEM, "symbols: no memory") : set_default(s, "feed.symbols", text.data);
    tc_buf_release(&text);
    return rc;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int check_symbols(const struct tc_opt_list *l)
{
    char **sorted = malloc((l->n + 1) * sizeof(*sorted));
    if (!sorted)
        return tc_fail(TC_ENOMEM, "symbols: no memory");
    int rc = TC_OK;
    for (size_t i = 0; i < l->n && !rc; i++) {
        sorted[i] = l->items[i];
        if (!tc_symbol_valid(l->items[i]))
            rc = tc_fail(TC_ECONF,
                         "feed.symbols: \"%.40s\" is no symbol (letters, digits and .:/-_ , 32 at most)",
                         l->items[i]);
    }
    if (!rc)
        qsort(sorted, l->n, sizeof(*sorted), by_text);
    for (size_t i = 1; i < l->n && !rc; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            rc = tc_fail(TC_ECONF, "feed.symbols: %s stands twice", sorted[i]);
    free(sorted);
    return rc;
}

/* Straight into the list: the path may hold a comma. */
static int add_model(struct tc_opt_list *l, const char *path)
{
    char **items = realloc(l->items, (l->n + 1) * sizeof(*items)), *copy = items ? strdup(path) : NULL;
    if (items)
        l->items = items;
    if (!copy)
        return tc_fail(TC_ENOMEM, "configuration: no memory");
    l->items[l->n++] = copy;
    return TC_OK;
}

static int fill_paths(struct tc_config_set *s)
{
    struct tc_config *c = &s->conf;
    char path[PATH_MAX];
    int rc = TC_OK;
    if (!c->data_dir) {
        rc = tc_xdg_path("XDG_DATA_HOME", ".local/share", tc_world_name(tc_config_world(c)), path,
                         sizeof(path));
        if (!rc)
            rc = set_default(s, "data.dir", path);
    }
    /* Without the shipped model only the baselines forecast; a model that was named must be there. */
    c->models_default = !c->models.n;
    for (size_t i = 0; i < sizeof(default_models) / sizeof(default_models[0]) && !rc && c->models_default;
         i++)
        if (tc_data_path(default_models[i], path, sizeof(path)) == TC_OK)
            rc = add_model(&c->models, path);
    if (!rc && !c->actions_path && tc_data_path("actions.csv", path, sizeof(path)) == TC_OK)
        rc = set_default(s, "data.actions", path);
    if (!rc && !c->calendar && c->feed != TC_CONFIG_LIVE)
        rc = set_default(s, "feed.calendar", c->feed == TC_CONFIG_REPLAY ? "xnys" : "always");
    return rc;
}

static int choose_sessions(struct tc_config *c)
{
    static const char *const names[] = {"pre", "regular", "after"};
    for (size_t i = 0; i < c->schedule_sessions.n; i++) {
        int part = 0;
        for (int k = 0; k < 3; k++)
            if (!strcmp(c->schedule_sessions.items[i], names[k]))
                part = 1 << k;
        if (!part)
            return tc_fail(TC_ECONF, "schedule.sessions: \"%.40s\" is none of pre, regular, after",
                           c->schedule_sessions.items[i]);
        c->schedule_parts |= part;
    }
    if (!c->schedule_parts)
        return tc_fail(TC_ECONF, "schedule.sessions: name at least one of pre, regular, after");
    if (c->schedule && c->feed == TC_CONFIG_REPLAY)
        return tc_fail(TC_ECONF, "schedule.enabled: a replay has its own time and cannot keep hours; leave "
                                 "--schedule out");
    return TC_OK;
}

static int check_base_path(struct tc_config *c)
{
    if (!c->base_path) {
        c->base_path = strdup("");
        return c->base_path ? TC_OK : tc_fail(TC_ENOMEM, "configuration: no memory");
    }
    size_t n = strlen(c->base_path);
    while (n && c->base_path[n - 1] == '/')
        c->base_path[--n] = '\0';
    for (size_t i = 0; i < n; i++) {
        char b = c->base_path[i];
        bool plain = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9');
        if (!plain && !strchr("/-_.", b))
            n = SIZE_MAX - 1;
    }
    if (n > 200 || (n && c->base_path[0] != '/'))
        return tc_fail(TC_ECONF, "serve.base_path: \"%.60s\" must look like /name (letters, digits, - _ .)",
                       c->base_path);
    return TC_OK;
}

/* Who names a path to replay and no feed wants the replay, not a simulated market with another name on it. */
static int choose_feed(struct tc_config_set *s)
{
    struct tc_config *c = &s->conf;
    struct tc_opt_from from;
    tc_opt_find(&s->opts, "feed.name", &from);
    c->feed = TC_CONFIG_LIVE;
    for (size_t i = 0; i < c->feeds.n; i++) {
        const char *name = c->feeds.items[i];
        if (!strcmp(name, "simulated"))
            c->feed = TC_CONFIG_SIMULATED;
        else if (!strcmp(name, "replay"))
            c->feed = TC_CONFIG_REPLAY;
        for (size_t k = 0; k < i; k++)
            if (!strcmp(name, c->feeds.items[k]))
                return tc_fail(TC_ECONF, "feed.name: %s stands twice", name);
    }
    if (c->feeds.n > 1 && c->feed != TC_CONFIG_LIVE)
        return tc_fail(TC_ECONF,
                       "feed.name: several feeds must all be live ones; simulated and replay stand alone");
    if (from.source == TC_OPT_DEFAULT && c->replay_path)
        c->feed = TC_CONFIG_REPLAY;
    return TC_OK;
}

/* The names under which a vendor's own tools look for its key. */
static int vendor_key(struct tc_opt_secret *s, const char *const *names)
{
    for (; !s->value && *names; names++) {
        const char *value = getenv(*names);
        if (value && *value && !(s->value = strdup(value)))
            return tc_fail(TC_ENOMEM, "configuration: no memory");
    }
    return TC_OK;
}

static int fill_keys(struct tc_config *c)
{
    int rc = TC_OK;
    for (size_t i = 0; i < TC_ADAPTERS && c->feed == TC_CONFIG_LIVE && !rc; i++) {
        rc = vendor_key(&c->live[i].key, tc_adapters[i]->key_names);
        if (!rc)
            rc = vendor_key(&c->live[i].secret, tc_adapters[i]->secret_names);
    }
    return rc;
}

/* What a live feed without symbols follows. */
static int live_symbols(struct tc_config_set *s)
{
    struct tc_buf text;
    tc_buf_init(&text, 4096);
    for (size_t i = 0; i < s->conf.feeds.n; i++)
        tc_buf_printf(&text, "%s%s", i ? "," : "", tc_adapter_find(s->conf.feeds.items[i])->symbols);
    int rc = set_default(s, "feed.symbols", text.data);
    tc_buf_release(&text);
    return rc;
}

static int finish(struct tc_config_set *s)
{
    struct tc_config *c = &s->conf;
    int rc = choose_feed(s);
    if (rc)
        return rc;
    if (c->replay_from && c->replay_to && c->replay_from > c->replay_to)
        return tc_fail(TC_ECONF, "replay.from is after replay.to");
    rc = fill_keys(c);
    if (!rc)
        rc = c->feed == TC_CONFIG_LIVE && !c->symbols.n ? live_symbols(s) : fill_symbols(s);
    if (!rc)
        rc = check_symbols(&c->symbols);
    if (!rc)
        rc = fill_paths(s);
    if (!rc)
        rc = choose_sessions(c);
    return rc ? rc : check_base_path(c);
}

static int load_sources(struct tc_config_set *s, const struct tc_cli *cli, int argc, char **argv)
{
    int rc = tc_opt_open(&s->opts);
    if (!rc && help_asked(argc, argv)) {
        tc_help_command(cli, &s->opts);
        return TC_DONE;
    }
    if (!rc && cli->sections)
        rc = read_file(s, argc, argv);
    if (!rc && cli->sections)
        rc = tc_opt_env(&s->opts, environ);
    if (!rc)
        rc = tc_opt_args(&s->opts, argc, argv);
    if (rc)
        return rc;
    if (s->opts.n_args < cli->args_min || s->opts.n_args > cli->args_max)
        return tc_fail(TC_EUSAGE, "%s %s; usage: tickcast %s %s",
                       s->opts.n_args < cli->args_min ? "something is missing after"
                                                      : "too much stands behind",
                       cli->command, cli->command, cli->usage);
    tc_log_set_level((enum tc_log_level)s->conf.log_level);
    tc_log_set_json(s->conf.log_json);
    return TC_OK;
}

int tc_config_load(struct tc_config_set *s, const struct tc_cli *cli, int argc, char **argv)
{
    *s = (struct tc_config_set){0};
    s->opts.groups[0] =
        (struct tc_opt_group){.opts = tc_config_opts, .n = tc_config_opts_n, .target = &s->conf};
    s->opts.n_groups = 1;
    if (cli->n_opts)
        s->opts.groups[s->opts.n_groups++] =
            (struct tc_opt_group){.opts = cli->opts, .n = cli->n_opts, .target = cli->target};
    s->opts.prefix = "TICKCAST";
    s->opts.wanted = wanted;
    s->opts.wanted_arg = cli;
    int rc = load_sources(s, cli, argc, argv);
    return rc || !cli->sections ? rc : finish(s);
}

void tc_config_release(struct tc_config_set *s)
{
    tc_opt_release(&s->opts);
}
