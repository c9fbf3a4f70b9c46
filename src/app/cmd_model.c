/* tickcast model show: what a model file says about itself, in plain words or as JSON; import, export and
 * eval (model_tools.h). */
#include "app/command.h"
#include "app/config.h"
#include "app/model_tools.h"
#include "app/train_card.h"
#include "base/err.h"
#include "model/model.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct options {
    bool json, scaled;
    char *output;
    struct tc_import_options import;
};

static const char *const presets[] = {"none", "classic-5x200", "blocks-2x50", NULL};

static const struct tc_opt options[] = {
    {.key = "json",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct options, json),
     .def = "false",
     .doc = "show: one JSON object"},
    {.key = "scaled",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct options, scaled),
     .def = "false",
     .doc = "eval, export to ONNX: the rows are the network's own inputs, not feature values"},
    {.key = "pth",
     .type = TC_OPT_PATH,
     .at = offsetof(struct options, import.pth),
     .doc = "import: PyTorch state dict, as torch.save(model.state_dict(), FILE) writes it, or safetensors"},
    {.key = "scaler",
     .type = TC_OPT_PATH,
     .at = offsetof(struct options, import.scaler),
     .doc = "import: MinMaxScaler or StandardScaler, as joblib.dump(scaler, FILE) writes it"},
    {.key = "output",
     .type = TC_OPT_PATH,
     .at = offsetof(struct options, output),
     .doc = "the file to write (-o FILE); export: its ending says the form, .onnx or .safetensors"},
    {.key = "preset",
     .type = TC_OPT_ENUM,
     .at = offsetof(struct options, import.preset),
     .def = "none",
     .choices = presets,
     .doc = "import: columns, window and blocks of a known kind of model"},
    {.key = "features",
     .type = TC_OPT_LIST,
     .at = offsetof(struct options, import.features),
     .def_doc = "the scaler's own names, else the preset's",
     .doc = "import: which column is which, in order: price, volume, transactions, high, low, open, vwap"},
    {.key = "window",
     .type = TC_OPT_INT,
     .at = offsetof(struct options, import.window),
     .min = "1",
     .max = "10000",
     .def_doc = "the preset's",
     .doc = "import: steps that a forecast reads"},
    {.key = "block",
     .type = TC_OPT_INT,
     .at = offsetof(struct options, import.block),
     .min = "1",
     .max = "10000",
     .def_doc = "the preset's, else 1",
     .doc = "import: rows of a step; above 1 a step reads each column's mean, max, min and deviation"},
    {.key = "target",
     .type = TC_OPT_LIST,
     .at = offsetof(struct options, import.targets),
     .def = "next",
     .doc = "import: what each output forecasts: next (bar), last or mid, or with a horizon of its own "
            "last:10s"},
    {.key = "horizon",
     .type = TC_OPT_DURATION,
     .at = offsetof(struct options, import.horizon_ns),
     .max = "1h",
     .def = "0s",
     .doc = "import: how far ahead, for last and mid without one of their own"},
    {.key = "interval",
     .type = TC_OPT_DURATION,
     .at = offsetof(struct options, import.interval_ns),
     .min = "1ms",
     .max = "24h",
     .def = "1s",
     .doc = "import: of the bars"},
    {.key = "name",
     .type = TC_OPT_STRING,
     .at = offsetof(struct options, import.name),
     .def_doc = "the file's name",
     .doc = "import: the model's name"},
};

/* "price of the next traded second", "mid after 10 s" */
static const char *target_words(const struct tc_model_target *t, char out[static 48])
{
    if (t->kind == TC_KIND_NEXT)
        snprintf(out, 48, "price of the next traded second");
    else
        snprintf(out, 48, "%s after %g s", t->kind == TC_KIND_LAST ? "last price" : "mid",
                 t->horizon_ms / 1000.0);
    return out;
}

static void print_targets(const struct tc_model_info *info)
{
    printf("\ntarget                            shrink   RMSE ratio to persistence    DM t   of its worst "
           "symbol\n");
    for (int32_t i = 0; i < info->n_targets; i++) {
        const struct tc_model_target *t = &info->targets[i];
        char words[48];
        printf("%-32s  %6.3f   ", target_words(t, words), t->shrink);
        if (isfinite(t->val_ratio))
            printf("%-25.4f   %5.1f   %5.1f\n", t->val_ratio, t->val_dm_t, t->val_dm_t_least);
        else
            printf("not known\n");
    }
}

static void print_training(const struct tc_model_info *info)
{
    printf("trained    %s to %s on %s, %lld rows, by tickcast %s\n", info->trained_from, info->trained_to,
           info->symbols, (long long)info->trained_rows, info->version);
    if (info->loss[0])
        printf("loss       %s\n", info->loss);
    if (info->validated_from[0])
        printf("validated  %s to %s\n", info->validated_from, info->validated_to);
    printf("data       SHA-256 %s\n", info->data_sha256);
}

static void print_words(const struct tc_model *m)
{
    const struct tc_model_info *info = tc_model_info(m);
    printf("%s\n\n", info->id);
    printf("network    ");
    if (info->input_size)
        printf("input layer of %d units (tanh), then ", info->input_size);
    printf("%d LSTM layer%s of %d units%s\n", info->layers, info->layers == 1 ? "" : "s", info->hidden,
           info->skip ? ", beside a linear path from the inputs" : "");
    if (info->stateful)
        printf("mode       stateful: carries its memory from bar to bar\n");
    else
        printf("mode       window: reads the last %d %s, from zero state, for each forecast\n", info->window,
               info->block > 1 ? "steps" : "bars");
    printf("memory     %zu bytes a symbol", tc_model_state_size(m));
    if (tc_model_flight_size(m))
        printf(", and %zu for its windows in flight", tc_model_flight_size(m));
    printf("\n");
    printf("kernel     %s here\n", info->kernel);
    printf("inputs     %s, definitions %s, bars of %d ms:\n          ", info->inputs, info->feature_hash,
           info->interval_ms);
    for (int32_t i = 0; i < info->n_features; i++)
        printf(" %s", info->features[i]);
    printf("\nunit       %s\n", strcmp(info->target_unit, "move_scale") == 0
                                    ? "moves divided by the symbol's own typical move (move_scale)"
                                : strcmp(info->target_unit, "price") == 0 ? "the price itself"
                                                                          : info->target_unit);
    if (info->block > 1)
        printf("steps      blocks of %d bars: mean, max, min and standard deviation of each input\n",
               info->block);
    if (strcmp(info->target_unit, "price") == 0)
        printf("trained    elsewhere: imported by tickcast %s; runs as a price-level model\n", info->version);
    else
        print_training(info);
    print_targets(info);
}

static void put_text(struct tc_buf *b, const char *key, const char *value)
{
    tc_buf_printf(b, ",\"%s\":", key);
    tc_buf_json_string(b, value);
}

static void put_number(struct tc_buf *b, const char *key, double value)
{
    tc_buf_printf(b, ",\"%s\":", key);
    tc_buf_double(b, value);
}

static void put_card(struct tc_buf *b, const struct tc_model_info *info)
{
    put_text(b, "target_unit", info->target_unit);
    put_text(b, "trained_from", info->trained_from);
    put_text(b, "trained_to", info->trained_to);
    put_text(b, "validated_from", info->validated_from);
    put_text(b, "validated_to", info->validated_to);
    put_text(b, "symbols", info->symbols);
    put_number(b, "trained_rows", (double)info->trained_rows);
    put_text(b, "version", info->version);
    put_text(b, "loss", info->loss[0] ? info->loss : "squared");
    put_text(b, "data_sha256", info->data_sha256);
}

static int print_json(const struct tc_model *m)
{
    const struct tc_model_info *info = tc_model_info(m);
    struct tc_buf b;
    tc_buf_init(&b, 1 << 20);
    tc_buf_str(&b, "{\"id\":");
    tc_buf_json_string(&b, info->id);
    put_text(&b, "kernel", info->kernel);
    put_text(&b, "mode", info->stateful ? "stateful" : "window");
    put_number(&b, "window", info->window);
    put_number(&b, "block", info->block);
    put_number(&b, "layers", info->layers);
    put_number(&b, "hidden", info->hidden);
    put_number(&b, "input_size", info->input_size);
    tc_buf_printf(&b, ",\"skip\":%s", info->skip ? "true" : "false");
    put_number(&b, "state_bytes", (double)tc_model_state_size(m));
    put_number(&b, "flight_bytes", (double)tc_model_flight_size(m));
    put_text(&b, "inputs", info->inputs);
    put_text(&b, "feature_hash", info->feature_hash);
    put_number(&b, "interval_ms", info->interval_ms);
    tc_buf_str(&b, ",\"features\":[");
    for (int32_t i = 0; i < info->n_features; i++) {
        tc_buf_str(&b, i ? "," : "");
        tc_buf_json_string(&b, info->features[i]);
    }
    tc_buf_str(&b, "],\"targets\":[");
    for (int32_t i = 0; i < info->n_targets; i++) {
        const struct tc_model_target *t = &info->targets[i];
        tc_buf_printf(&b, "%s{\"kind\":\"%s\",\"horizon_ms\":%d", i ? "," : "", tc_kind_name(t->kind),
                      t->horizon_ms);
        put_number(&b, "shrink", t->shrink);
        put_number(&b, "val_ratio", t->val_ratio);
        put_number(&b, "val_dm_t", t->val_dm_t);
        put_number(&b, "val_dm_t_least", t->val_dm_t_least);
        tc_buf_char(&b, '}');
    }
    tc_buf_char(&b, ']');
    put_card(&b, info);
    tc_train_card_json(tc_model_card(m), &b);
    tc_buf_str(&b, "}\n");
    int rc = b.overflow ? tc_fail(TC_ENOMEM, "no memory to print the model") : TC_OK;
    if (!rc)
        fputs(b.data, stdout);
    tc_buf_release(&b);
    return rc;
}

static int show(const char *path, bool json)
{
    struct tc_model *m;
    int rc = tc_model_load(path, &m);
    if (rc)
        return rc;
    if (json)
        rc = print_json(m);
    else
        print_words(m);
    if (!json && tc_model_card(m))
        tc_train_card_print(tc_model_card(m));
    tc_model_free(m);
    return rc;
}

static int run(const struct options *o, const char *const *args, size_t n)
{
    bool import = strcmp(args[0], "import") == 0, export = strcmp(args[0], "export") == 0, file = n == 2;
    if ((import || export) && !o->output)
        return tc_fail(TC_EUSAGE, "model %s needs --output FILE", args[0]);
    if (import && !file)
        return tc_import_run(&o->import, o->output);
    if (export && file)
        return tc_export_run(args[1], o->output, o->scaled);
    if (strcmp(args[0], "show") == 0 && file)
        return show(args[1], o->json);
    if (strcmp(args[0], "eval") == 0 && file)
        return tc_eval_run(args[1], o->scaled);
    return tc_fail(
        TC_EUSAGE,
        "model %.40s: it takes: show FILE, eval FILE, export FILE --output FILE, or import --pth FILE "
        "--output FILE",
        args[0]);
}

int tc_cmd_model(int argc, char **argv)
{
    struct options o;
    struct tc_cli cli = {
        .command = "model",
        .usage = "show|eval|export FILE, or import, [FLAGS]",
        .about =
            "show says what a model file is: network, inputs, targets, where it was trained and how well it "
            "did. "
            "import makes one from a PyTorch state dict or safetensors, without running anything that stands "
            "in it. export writes ONNX or safetensors. eval reads rows of numbers from standard input and "
            "prints what the network says after the last one.",
        .opts = options,
        .n_opts = sizeof(options) / sizeof(options[0]),
        .target = &o,
        .args_min = 1,
        .args_max = 2,
        .examples = "  tickcast model show models/default.safetensors\n"
                    "  tickcast model import --pth net.pth --scaler scaler.save --preset classic-5x200 "
                    "-o net.safetensors\n"
                    "  tickcast model export net.safetensors -o net.onnx\n"
                    "  tickcast model eval net.safetensors --scaled <rows.csv\n",
    };
    static char output[] = "--output";
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-o") == 0)
            argv[i] = output;
    struct tc_config_set set;
    int rc = tc_config_load(&set, &cli, argc, argv);
    if (!rc)
        rc = run(&o, set.opts.args, set.opts.n_args);
    tc_config_release(&set);
    return tc_command_exit(rc);
}
