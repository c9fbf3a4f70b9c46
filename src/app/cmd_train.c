/* tickcast train: a network from recorded data, with what it learnt and how it compares. */
#include "app/command.h"
#include "app/config.h"
#include "app/train_card.h"
#include "app/train_data.h"
#include "app/train_report.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "forecast/features.h"
#include "kern/team.h"

#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
    char *data, *output, *name;
    int32_t validate, test;
    int64_t hidden, layers, input_size, window, epochs, patience, seed, batch;
    int64_t truncate, burn_in, stride;
    double rate, dropout, quantile, weight_decay, clip_norm;
    int loss, set, optimizer, schedule;
    struct tc_opt_list horizons;
    bool resume, json, leave_one_out;
};

static const char *const losses[] = {"squared", "huber", "quantile", NULL};
static const char *const optimizers[] = {"adamw", "adam", NULL};
static const char *const schedules[] = {"one-cycle", "cosine", "constant", NULL};
static const char *const sets[] = {"T14", "K11", "Q18", "T23", "K29", "Q54", NULL};

#define OPT(name, kind, field) .key = name, .type = kind, .at = offsetof(struct options, field)

static const struct tc_opt options[] = {
    {OPT("data", TC_OPT_PATH, data), .doc = "a data folder that tickcast recorded, in place of --path"},
    {OPT("validate", TC_OPT_DATE, validate), .def_doc = "the last session",
     .doc = "first session that stops training and chooses the best epoch"},
    {OPT("test", TC_OPT_DATE, test), .def_doc = "none",
     .doc = "first session kept aside: measured once at the end, no choice looks at it"},
    {OPT("hidden", TC_OPT_INT, hidden), .def = "48", .min = "1", .max = "2048",
     .doc = "LSTM units of a layer"},
    {OPT("layers", TC_OPT_INT, layers), .def = "1", .min = "1", .max = "16", .doc = "LSTM layers"},
    {OPT("input-size", TC_OPT_INT, input_size), .def = "48", .min = "0", .max = "2048",
     .doc = "units of the tanh layer before the LSTM; 0 = none"},
    {OPT("window", TC_OPT_INT, window), .def = "0", .min = "0", .max = "10000",
     .doc = "bars of a fresh-state window; 0 = stateful, memory carried from bar to bar"},
    {OPT("inputs", TC_OPT_ENUM, set), .def = "T14", .choices = sets, .doc = "feature set"},
    {OPT("horizons", TC_OPT_LIST, horizons), .def = "1s,10s,60s",
     .doc = "horizons of last price and mid; the next traded price is always a target"},
    {OPT("epochs", TC_OPT_INT, epochs), .def = "20", .min = "0", .max = "10000",
     .doc = "at most this many passes over the training sessions"},
    {OPT("patience", TC_OPT_INT, patience), .def = "8", .min = "1", .max = "10000",
     .doc = "stop after this many epochs without a better one"},
    {OPT("batch", TC_OPT_INT, batch), .def = "24", .min = "1", .max = "4096", .doc = "sequences of one step"},
    {OPT("rate", TC_OPT_DOUBLE, rate), .def = "0.004", .min = "0.0000001", .max = "1",
     .doc = "peak learning rate"},
    {OPT("dropout", TC_OPT_DOUBLE, dropout), .def = "0.1", .min = "0", .max = "0.9",
     .doc = "share of units left out in training"},
    {OPT("loss", TC_OPT_ENUM, loss), .def = "squared", .choices = losses,
     .doc = "squared error, Huber's (linear beyond one typical move), or the quantile's"},
    {OPT("quantile", TC_OPT_DOUBLE, quantile), .def = "0.5", .min = "0.001", .max = "0.999",
     .doc = "with the quantile loss: which one; 0.5 is the median"},
    {OPT("truncate", TC_OPT_INT, truncate), .def = "160", .min = "0", .max = "10000",
     .doc = "bars that back-propagation goes back (stateful models); 0 = whole sessions"},
    {OPT("burn-in", TC_OPT_INT, burn_in), .def = "48", .min = "0", .max = "9999",
     .doc = "first bars of each such piece, which fill the memory and carry no loss"},
    {OPT("stride", TC_OPT_INT, stride), .def = "4", .min = "1", .max = "10000",
     .doc = "bars between the windows that are learnt from (window models)"},
    {OPT("optimizer", TC_OPT_ENUM, optimizer), .def = "adamw", .choices = optimizers,
     .doc = "adamw: weight decay apart from the gradient; adam: in it"},
    {OPT("schedule", TC_OPT_ENUM, schedule), .def = "one-cycle", .choices = schedules,
     .doc = "of the learning rate: up and down, down, or the same throughout"},
    {OPT("weight-decay", TC_OPT_DOUBLE, weight_decay), .def = "0.001", .min = "0", .max = "1",
     .doc = "pull of all weights towards 0"},
    {OPT("clip-norm", TC_OPT_DOUBLE, clip_norm), .def = "1", .min = "0", .max = "1000000",
     .doc = "longest gradient; longer ones are scaled down to it; 0 = any"},
    {OPT("seed", TC_OPT_INT, seed), .def = "1", .min = "0",
     .doc = "the same seed, data and kernel give the same file"},
    {OPT("name", TC_OPT_STRING, name), .def_doc = "made of the shape",
     .doc = "the model's name; its id is the name and the file's hash"},
    {OPT("output", TC_OPT_PATH, output), .def = "model.safetensors", .doc = "the file to write (-o FILE)"},
    {OPT("resume", TC_OPT_BOOL, resume), .def = "false",
     .doc = "go on with a training that was stopped, from FILE.training, to the same result"},
    {OPT("leave-one-out", TC_OPT_BOOL, leave_one_out), .def = "false",
     .doc = "also train without each symbol in turn and measure on it; the table goes into the model card"},
    {OPT("json", TC_OPT_BOOL, json), .def = "false", .doc = "the summary as one JSON object"},
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int read_horizons(const struct tc_opt_list *l, struct tc_train_set_conf *out)
{
    int32_t most = (int32_t)(sizeof(out->horizons_ms) / sizeof(out->horizons_ms[0]));
    if ((int32_t)l->n > most)
        return tc_fail(TC_EUSAGE, "--horizons: at most %d", most);
    for (size_t i = 0; i < l->n; i++) {
        const char *text = l->items[i];
        size_t n = strlen(text);
        int64_t seconds = 0;
        if (n < 2 || text[n - 1] != 's' || !tc_parse_int(text, n - 1, &seconds) || seconds < 1 ||
            seconds > 300 || (i && (int32_t)seconds * 1000 <= out->horizons_ms[i - 1]))
            return tc_fail(TC_EUSAGE, "--horizons: \"%.20s\": whole seconds from 1s to 300s, rising", text);
        out->horizons_ms[i] = (int32_t)seconds * 1000;
    }
    out->n_horizons = (int32_t)l->n;
    return TC_OK;
}

static void fill_conf(const struct options *o, struct tc_train_conf *c)
{
    tc_train_conf_default(c);
    c->hidden = (int32_t)o->hidden;
    c->layers = (int32_t)o->layers;
    c->input_size = (int32_t)o->input_size;
    c->epochs = (int32_t)o->epochs;
    c->patience = (int32_t)o->patience;
    c->batch = (int32_t)o->batch;
    c->rate = o->rate;
    c->dropout = o->dropout;
    c->loss = (enum tc_loss)o->loss;
    c->quantile = o->quantile;
    c->piece = (int32_t)o->truncate;
    c->burn_in = (int32_t)o->burn_in;
    c->stride = (int32_t)o->stride;
    c->optimizer = (enum tc_optimizer)o->optimizer;
    c->schedule = (enum tc_schedule)o->schedule;
    c->weight_decay = o->weight_decay;
    c->clip_norm = o->clip_norm;
    c->seed = (uint64_t)o->seed;
}

static void join_symbols(const struct tc_train_set *s, char *out, size_t size)
{
    struct tc_buf b;
    tc_buf_init_fixed(&b, out, size);
    for (size_t i = 0; i < s->n_symbols && b.len + TC_SYMBOL_SIZE + 16 < size; i++) {
        tc_buf_str(&b, i ? "," : "");
        tc_buf_str(&b, s->symbols[i]);
    }
}

static int fill_spec(const struct options *o, const struct tc_train_set *set, enum tc_feature_set features,
                     struct tc_model_spec *spec)
{
    *spec = (struct tc_model_spec){0};
    struct tc_model_info *info = &spec->info;
    if (o->name && strlen(o->name) >= sizeof(spec->name))
        return tc_fail(TC_EUSAGE, "--name: at most %zu letters", sizeof(spec->name) - 1);
    if (o->name)
        snprintf(spec->name, sizeof(spec->name), "%s", o->name);
    else
        snprintf(spec->name, sizeof(spec->name), "lstm-%dx%d", (int)o->layers, (int)o->hidden);
    snprintf(info->inputs, sizeof(info->inputs), "%s", tc_set_name(features));
    tc_set_hash(features, info->feature_hash);
    info->n_features = (int32_t)tc_set_size(features);
    for (int32_t i = 0; i < info->n_features; i++)
        snprintf(info->features[i], TC_FEATURE_NAME_SIZE, "%s", tc_set_info(features, (size_t)i)->name);
    info->n_targets = set->dataset.n_targets;
    for (int32_t j = 0; j < info->n_targets; j++)
        info->targets[j] = (struct tc_model_target){.kind = set->dataset.targets[j].kind,
                                                    .horizon_ms = set->dataset.targets[j].horizon_ms};
    info->stateful = o->window == 0;
    info->window = (int32_t)o->window;
    info->interval_ms = 1000;
    snprintf(info->target_unit, sizeof(info->target_unit), "move_scale");
    tc_date_text(set->span[TC_SPAN_TRAIN].from, info->trained_from);
    tc_date_text(set->span[TC_SPAN_TRAIN].to, info->trained_to);
    tc_date_text(set->span[TC_SPAN_VALIDATE].from, info->validated_from);
    tc_date_text(set->span[TC_SPAN_VALIDATE].to, info->validated_to);
    join_symbols(set, info->symbols, sizeof(info->symbols));
    snprintf(info->version, sizeof(info->version), "%s", TC_VERSION);
    snprintf(info->data_sha256, sizeof(info->data_sha256), "%s", set->sha256);
    return TC_OK;
}

struct task {
    const struct options *o;
    struct tc_train_conf conf;
    struct tc_train_set set;
    struct tc_model_spec spec;
    struct tc_train_result result;
    struct tc_train_progress_line line;
    char state_path[4096], command[1024];
    struct tc_spill *spill;
};

static bool reading(void *ctx, int32_t day, int64_t bars)
{
    struct task *t = ctx;
    tc_train_line_reading(&t->line, day, bars);
    return !interrupted;
}

static bool training(void *ctx, const struct tc_train_progress *p)
{
    struct task *t = ctx;
    tc_train_line_step(&t->line, p, &t->spec.info);
    return !interrupted;
}

static bool going_on(void *ctx, const struct tc_train_progress *p)
{
    (void)ctx;
    (void)p;
    return !interrupted;
}

/* OUTPUT.training holds the state after each epoch; it goes when training is complete. */
static int name_state(struct task *t)
{
    if ((size_t)snprintf(t->state_path, sizeof(t->state_path), "%s.training", t->o->output) >=
        sizeof(t->state_path))
        return tc_fail(TC_EUSAGE, "--output: the path is too long");
    t->conf.state_path = t->state_path;
    t->conf.resume = t->o->resume;
    return TC_OK;
}

/* The rows lie in a nameless file beside OUTPUT, so that years of them need no memory. */
static int open_spill(struct task *t, struct tc_train_set_conf *data)
{
    char folder[4096];
    const char *slash = strrchr(t->o->output, '/');
    size_t n = slash ? (size_t)(slash - t->o->output) : 0;
    snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(n ? n : 1) : 1, slash ? t->o->output : ".");
    int rc = tc_spill_open(folder, &t->spill);
    data->spill = t->conf.spill = t->spill;
    return rc;
}

static int add_card(struct task *t)
{
    struct tc_left_out *left = NULL;
    size_t n = 0;
    int rc = t->o->leave_one_out && !interrupted
                 ? tc_train_leave_out(&t->set, &t->spec, &t->conf, going_on, t, &left, &n)
                 : TC_OK;
    rc = rc ? rc : tc_train_card(&t->set, &t->result, &t->conf, left, n, t->command, &t->spec);
    free(left);
    return rc;
}

static int train(struct task *t, const struct tc_train_set_conf *data)
{
    int rc = tc_train_set_open(data, &t->set);
    tc_train_line_done(&t->line);
    if (rc == TC_DONE)
        return tc_fail(TC_EINTERNAL, "interrupted before training began; nothing was written");
    if (rc)
        return rc;
    rc = fill_spec(t->o, &t->set, data->set, &t->spec);
    if (rc)
        return rc;
    tc_train_line_begin(&t->line, tc_train_rows(&t->set.span[TC_SPAN_TRAIN].data));
    tc_train_say_spans(&t->set);
    rc = tc_train(&t->conf, &t->set.span[TC_SPAN_TRAIN].data, &t->set.span[TC_SPAN_VALIDATE].data, &t->spec,
                  training, t, &t->result);
    tc_train_line_done(&t->line);
    if (rc)
        return rc;
    rc = add_card(t);
    rc = rc ? rc : tc_model_write_file(t->o->output, &t->spec);
    if (!rc && !interrupted)
        unlink(t->state_path);
    if (!rc)
        rc = tc_train_report(&t->set, &t->spec, &t->result, t->o->output, interrupted, t->o->json);
    tc_net_free(&t->result.ridge);
    tc_model_spec_free(&t->spec);
    return rc;
}

static int run(const struct options *o, const struct tc_config *c, const char *command)
{
    struct tc_train_set_conf data = {.config = c, .validate = o->validate, .test = o->test};
    struct tc_config with_path = *c;
    if (c->feed != TC_CONFIG_REPLAY)
        return tc_fail(TC_EUSAGE, "train reads recorded data: --path or --data");
    if (!c->replay_path && !o->data)
        return tc_fail(
            TC_EUSAGE,
            "train needs data: --path DIR (LEAN folder or CSV) or --data DIR (recorded by tickcast)");
    if (o->data)
        with_path.replay_path = o->data;
    if (o->test && o->validate && o->test <= o->validate)
        return tc_fail(TC_EUSAGE, "--test must be later than --validate");
    data.config = &with_path;
    int rc = read_horizons(&o->horizons, &data);
    if (!rc)
        rc = tc_set_parse(sets[o->set], &data.set);
    struct task *t = calloc(1, sizeof(*t));
    if (!t)
        return tc_fail(TC_ENOMEM, "no memory to train");
    t->o = o;
    snprintf(t->command, sizeof(t->command), "%s", command);
    fill_conf(o, &t->conf);
    rc = rc ? rc : name_state(t);
    rc = rc ? rc : tc_team_open((int)c->threads, &t->conf.team);
    data.progress = reading;
    data.ctx = t;
    tc_train_line_open(&t->line);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (!rc)
        rc = open_spill(t, &data);
    if (!rc)
        rc = train(t, &data);
    tc_train_set_close(&t->set);
    tc_team_close(t->conf.team);
    tc_spill_close(t->spill);
    free(t);
    return rc;
}

/* Recorded data is what train takes, so --feed replay is understood; -o FILE is --output FILE. */
static int load(struct tc_config_set *set, const struct tc_cli *cli, int argc, char **argv)
{
    static char feed[] = "--feed=replay", output[] = "--output";
    char **args = calloc((size_t)argc + 2, sizeof(*args));
    if (!args)
        return tc_fail(TC_ENOMEM, "no memory for the command line");
    args[0] = argv[0];
    args[1] = feed;
    bool named = false;
    for (int i = 1; i < argc; i++)
        named = named || strncmp(argv[i], "--feed", 6) == 0;
    int n = 1;
    if (!named)
        args[n++] = feed;
    for (int i = 1; i < argc; i++)
        args[n++] = strcmp(argv[i], "-o") == 0 ? output : argv[i];
    int rc = tc_config_load(set, cli, n, args);
    free(args);
    return rc;
}

/* The flags that make a model what it is, for its card. Where files stand and how the work was watched or
 * gone on with is left out: the same recipe and data give the same bytes. */
static void put_recipe(int argc, char **argv, struct tc_buf *out)
{
    static const struct {
        const char *flag;
        bool value; /* the next word is its value */
    } places[] = {{"-o", true},        {"--output", true},   {"--path", true},
                  {"--data", true},    {"--data.dir", true}, {"--replay.path", true},
                  {"--resume", false}, {"--json", false},    {"--threads", true}};
    tc_buf_str(out, "tickcast train");
    for (int i = 1; i < argc; i++) {
        size_t len = strcspn(argv[i], "=");
        bool place = false;
        for (size_t k = 0; k < sizeof(places) / sizeof(places[0]) && !place; k++) {
            place = strlen(places[k].flag) == len && strncmp(places[k].flag, argv[i], len) == 0;
            if (place && places[k].value && argv[i][len] != '=')
                i++;
        }
        if (!place)
            tc_buf_printf(out, " %s", argv[i]);
    }
}

int tc_cmd_train(int argc, char **argv)
{
    struct options o;
    struct tc_cli cli = {
        .command = "train",
        .usage = "[FLAGS] --path DIR | --data DIR",
        .about = "Trains an LSTM with a linear path beside it on recorded second data. The path starts at "
                 "the ridge "
                 "solution; early stopping on later sessions keeps the best epoch.",
        .sections = "feed replay",
        .opts = options,
        .n_opts = sizeof(options) / sizeof(options[0]),
        .target = &o,
        .examples =
            "  tickcast train --path DIR --symbols SPY,BAC --from 2013-10-07 --to 2013-10-09 -o "
            "my.safetensors\n"
            "  tickcast train --path DIR --validate 2013-10-09 --test 2013-10-10 --window 60 --layers 2\n"
            "  tickcast run --model my.safetensors ...\n",
    };
    struct tc_config_set set;
    char command[1024];
    struct tc_buf words;
    tc_buf_init_fixed(&words, command, sizeof(command));
    put_recipe(argc, argv, &words);
    int rc = load(&set, &cli, argc, argv);
    if (!rc)
        rc = run(&o, &set.conf, command);
    tc_config_release(&set);
    return tc_command_exit(rc);
}
