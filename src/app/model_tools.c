#include "app/model_tools.h"

#include "base/err.h"
#include "base/num.h"
#include "base/opt_parse.h"
#include "model/export.h"
#include "model/import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t HORIZON_NS_MAX = 3600000000000; /* an hour, a model file's bound */

enum { NS_PER_MS = 1000000, LINE_MAX_BYTES = 8192, EVAL_ROWS_MAX = 200000 };

/* --- import --------------------------------------------------------------------------------------------- */
static const char *const CLASSIC[] = {"price", "volume", "transactions", "high", "low"};
static const char *const BLOCKS[] = {"volume", "price", "high", "low", "transactions"};
enum { PRESET_COLUMNS = 5 };

/* A model's name from its file's: what stands before the first dot, other letters as dashes. */
static void name_from(const char *path, char out[static TC_MODEL_NAME_SIZE])
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = strcspn(base, ".");
    n = n < TC_MODEL_NAME_SIZE ? n : TC_MODEL_NAME_SIZE - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(strchr(good, base[i]) ? base[i] : '-');
    memcpy(out + n, "", 1);
    if (!n)
        snprintf(out, TC_MODEL_NAME_SIZE, "imported");
}

/* "next", "last:10s", or "mid" with the horizon of --horizon. */
static int parse_target(const char *text, int64_t horizon_ns, enum tc_kind *kind, int32_t *horizon_ms)
{
    size_t n = strcspn(text, ":");
    int found = -1;
    for (int k = 0; k < TC_KIND_COUNT; k++)
        if (strlen(tc_kind_name((enum tc_kind)k)) == n && memcmp(tc_kind_name((enum tc_kind)k), text, n) == 0)
            found = k;
    if (text[n] && !tc_opt_parse_duration(text + n + 1, &horizon_ns))
        found = -1;
    if (found < 0)
        return tc_fail(TC_EUSAGE, "--target: \"%.40s\": next, last, mid, or one with its horizon (last:10s)",
                       text);
    if ((found == TC_KIND_NEXT) != (horizon_ns == 0) || horizon_ns < 0 || horizon_ns > HORIZON_NS_MAX ||
        horizon_ns % NS_PER_MS)
        return tc_fail(
            TC_EUSAGE,
            "--target %.40s: next has no --horizon; last and mid need one of whole milliseconds, at "
            "most 1h",
            text);
    *kind = (enum tc_kind)found;
    *horizon_ms = (int32_t)(horizon_ns / NS_PER_MS);
    return TC_OK;
}

static int fill_targets(const struct tc_import_options *o, struct tc_import *how)
{
    if (!o->targets.n || o->targets.n > TC_MODEL_TARGETS_MAX)
        return tc_fail(TC_EUSAGE, "--target: 1 to %d of them", TC_MODEL_TARGETS_MAX);
    int rc = TC_OK;
    for (size_t i = 0; i < o->targets.n && !rc; i++) {
        rc = parse_target(o->targets.items[i], o->horizon_ns, &how->target[i].kind,
                          &how->target[i].horizon_ms);
        for (size_t k = 0; k < i && !rc; k++)
            if (how->target[k].kind == how->target[i].kind &&
                how->target[k].horizon_ms == how->target[i].horizon_ms)
                rc = tc_fail(TC_EUSAGE, "--target: %s is there twice", o->targets.items[i]);
    }
    how->n_targets = (int32_t)o->targets.n;
    return rc;
}

static int fill_import(const struct tc_import_options *o, char name[static TC_MODEL_NAME_SIZE],
                       struct tc_import *how)
{
    if (!o->pth)
        return tc_fail(TC_EUSAGE, "model import needs --pth FILE (a state dict or safetensors)");
    if (o->preset == TC_PRESET_NONE && (!o->window || !o->features.n))
        return tc_fail(TC_EUSAGE,
                       "the file cannot say which column is which nor how long the window is: give "
                       "--preset, or --features and --window");
    if (o->name && strlen(o->name) >= TC_MODEL_NAME_SIZE)
        return tc_fail(TC_EUSAGE, "--name: at most %d letters", TC_MODEL_NAME_SIZE - 1);
    name_from(o->name ? o->name : o->pth, name);
    bool blocks = o->preset == TC_PRESET_BLOCKS;
    *how = (struct tc_import){
        .name = name,
        .version = TC_VERSION,
        .window = (int32_t)(o->window ? o->window
                            : blocks  ? 10
                                      : 200),
        .block = (int32_t)(o->block ? o->block
                           : blocks ? 100
                                    : 1),
        .feature = (const char *const *)o->features.items,
        .n_features = (int32_t)o->features.n,
        .fallback = blocks                           ? BLOCKS
                    : o->preset == TC_PRESET_CLASSIC ? CLASSIC
                                                     : NULL,
        .n_fallback = o->preset == TC_PRESET_NONE ? 0 : PRESET_COLUMNS,
        .interval_ms = (int32_t)(o->interval_ns / NS_PER_MS),
    };
    return fill_targets(o, how);
}

static void print_order(const struct tc_import_options *o, const struct tc_scaler *scaler,
                        const struct tc_model_spec *s)
{
    const struct tc_model_info *info = &s->info;
    printf("network   %d LSTM layers of %d units, %d inputs, %d output%s\n", s->net.shape.layers,
           s->net.shape.hidden, s->net.shape.features, s->net.shape.targets,
           s->net.shape.targets > 1 ? "s" : "");
    printf("columns  ");
    for (int32_t i = 0; i < info->n_features; i++)
        printf(" %s", info->features[i]);
    printf("   (in this order, from %s)\n", o->features.n             ? "--features"
                                            : scaler && scaler->named ? "the scaler"
                                                                      : "the preset");
    if (info->block > 1)
        printf(
            "steps     blocks of %d rows: the columns' means, then maxima, minima and standard deviations\n",
            info->block);
    printf("window    %d steps\n", info->window);
    printf("targets  ");
    for (int32_t j = 0; j < info->n_targets; j++)
        if (info->targets[j].kind == TC_KIND_NEXT)
            printf(" next");
        else
            printf(" %s:%gs", tc_kind_name(info->targets[j].kind), info->targets[j].horizon_ms / 1000.0);
    printf("\n");
    if (scaler)
        printf("scaler    %s%s: fits a probe bar; the output is turned back with column price\n",
               tc_scaler_kind_name(scaler->kind), scaler->clip ? ", inputs kept within its range" : "");
    else
        printf("scaler    none: rows are the network's own inputs, and its output is the value\n");
}

static int read_scaler(const char *path, struct tc_scaler *out)
{
    struct tc_buf bytes;
    tc_buf_init(&bytes, TC_MODEL_FILE_MAX);
    int rc = tc_model_read_file(path, &bytes);
    if (!rc && (rc = tc_joblib_scaler((const uint8_t *)bytes.data, bytes.len, out)))
        rc = tc_more(rc, "%s", path);
    tc_buf_release(&bytes);
    return rc;
}

static int read_network(const char *path, const struct tc_scaler *scaler, const struct tc_import *how,
                        struct tc_model_spec *out)
{
    struct tc_buf bytes;
    struct tc_torch file;
    tc_buf_init(&bytes, TC_MODEL_FILE_MAX);
    int rc = tc_model_read_file(path, &bytes);
    if (!rc) {
        rc = tc_torch_open((const uint8_t *)bytes.data, bytes.len, &file);
        if (!rc) {
            rc = tc_import_model(&file, scaler, how, out);
            tc_torch_close(&file);
        }
        if (rc)
            rc = tc_more(rc, "%s", path);
    }
    tc_buf_release(&bytes);
    return rc;
}

int tc_import_run(const struct tc_import_options *o, const char *output)
{
    struct tc_scaler scaler;
    struct tc_import how;
    struct tc_model_spec spec;
    struct tc_model *m;
    char name[TC_MODEL_NAME_SIZE];
    int rc = fill_import(o, name, &how);
    if (!rc && o->scaler)
        rc = read_scaler(o->scaler, &scaler);
    if (!rc)
        rc = read_network(o->pth, o->scaler ? &scaler : NULL, &how, &spec);
    if (rc)
        return rc;
    print_order(o, o->scaler ? &scaler : NULL, &spec);
    rc = tc_model_write_file(output, &spec);
    tc_model_spec_free(&spec);
    if (!rc)
        rc = tc_model_load(output, &m); /* what was written can be read */
    if (!rc) {
        printf("written   %s as %s\n", output, tc_model_info(m)->id);
        tc_model_free(m);
    }
    return rc;
}

/* --- export --------------------------------------------------------------------------------------------- */
static int read_model(const char *path, struct tc_model_spec *out)
{
    struct tc_buf bytes;
    tc_buf_init(&bytes, TC_MODEL_FILE_MAX);
    int rc = tc_model_read_file(path, &bytes);
    if (!rc)
        rc = tc_model_decode(bytes.data, bytes.len, path, out);
    tc_buf_release(&bytes);
    return rc;
}

static void print_graph(const struct tc_model_spec *s, bool scaled)
{
    const struct tc_model_info *info = &s->info;
    if (scaled)
        printf("inputs    inputs [batch, steps, %d], float: the network's own\n", s->net.shape.features);
    else {
        printf("inputs    rows [batch, rows, %d], double:", info->n_features);
        for (int32_t i = 0; i < info->n_features; i++)
            printf(" %s", info->features[i]);
        printf("\n");
    }
    if (info->stateful)
        printf("          h, c [%d, batch, %d], float: zeros at first, then h_next and c_next\n",
               s->net.shape.layers, s->net.shape.hidden);
    printf("outputs   raw, value [batch, %d]\n", info->n_targets);
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

int tc_export_run(const char *path, const char *output, bool scaled)
{
    struct tc_model_spec spec;
    struct tc_buf out;
    bool onnx = ends_with(output, ".onnx");
    if (!onnx && !ends_with(output, ".safetensors"))
        return tc_fail(TC_EUSAGE, "--output %.200s: its ending says the form: .onnx or .safetensors", output);
    if (scaled && !onnx)
        return tc_fail(TC_EUSAGE,
                       "--scaled is for .onnx; safetensors hold no graph, only tensors and their card");
    int rc = read_model(path, &spec);
    if (rc)
        return rc;
    tc_buf_init(&out, TC_MODEL_FILE_MAX);
    rc = onnx ? tc_model_export_onnx(&spec, scaled, &out) : tc_model_encode(&spec, &out);
    if (!rc)
        rc = tc_file_replace(output, &out);
    if (!rc && onnx)
        print_graph(&spec, scaled);
    if (!rc)
        printf("written   %s, %zu bytes\n", output, out.len);
    tc_buf_release(&out);
    tc_model_spec_free(&spec);
    return rc;
}

/* --- eval ----------------------------------------------------------------------------------------------- */
struct rows {
    double *x;
    size_t n, room, width;
};

static int parse_row(char *line, size_t number, struct rows *r)
{
    double *row = r->x + r->n * r->width;
    size_t i = 0;
    for (char *s = line; s; i++) {
        char *comma = strchr(s, ','), *next = comma ? comma + 1 : NULL;
        size_t n = comma ? (size_t)(comma - s) : strlen(s);
        while (n && (*s == ' ' || *s == '\t'))
            s++, n--;
        while (n && strchr(" \t\r\n", s[n - 1]))
            n--;
        if (i == r->width)
            return tc_fail(TC_EINPUT, "standard input, line %zu: more than %zu numbers", number, r->width);
        if (!tc_parse_double(s, n, &row[i]))
            return tc_fail(TC_EINPUT, "standard input, line %zu: field %zu is no number", number, i + 1);
        s = next;
    }
    if (i < r->width)
        return tc_fail(TC_EINPUT, "standard input, line %zu: %zu numbers where %zu are needed", number, i,
                       r->width);
    r->n++;
    return TC_OK;
}

static int read_rows(FILE *in, struct rows *r)
{
    char line[LINE_MAX_BYTES];
    int rc = TC_OK;
    for (size_t number = 1; !rc && fgets(line, sizeof(line), in); number++) {
        size_t n = strlen(line);
        if (n + 1 == sizeof(line) && line[n - 1] != '\n')
            return tc_fail(TC_EINPUT, "standard input, line %zu: more than %d bytes", number, LINE_MAX_BYTES);
        if (line[strspn(line, " \t\r\n")] == '\0')
            continue;
        if (r->n == EVAL_ROWS_MAX)
            return tc_fail(TC_ELIMIT, "standard input: more than %d rows", EVAL_ROWS_MAX);
        if (r->n == r->room) {
            size_t room = r->room ? 2 * r->room : 256;
            double *x = realloc(r->x, room * r->width * sizeof(double));
            if (!x)
                return tc_fail(TC_ENOMEM, "no memory for %zu rows", room);
            r->x = x;
            r->room = room;
        }
        rc = parse_row(line, number, r);
    }
    if (!rc && ferror(in))
        rc = tc_fail(TC_EIO, "standard input: %s", strerror(errno));
    if (!rc && !r->n)
        rc = tc_fail(TC_EINPUT, "standard input holds no rows");
    return rc;
}

static void print_list(const char *name, const double *v, int32_t n)
{
    printf("%s=", name);
    for (int32_t i = 0; i < n; i++)
        printf("%s%.17g", i ? "," : "", v[i]);
}

/* A window reads its last rows only, as it would live. */
static const double *last_window(const struct tc_model_info *info, bool scaled, struct rows *r)
{
    size_t most = (size_t)info->window * (size_t)info->block;
    if (scaled || info->stateful || r->n <= most)
        return r->x;
    fprintf(stderr, "tickcast: the window is %zu rows: the first %zu of %zu are left out\n", most,
            r->n - most, r->n);
    const double *from = r->x + (r->n - most) * r->width;
    r->n = most;
    return from;
}

int tc_eval_run(const char *path, bool scaled)
{
    struct tc_model *m;
    int rc = tc_model_load(path, &m);
    if (rc)
        return rc;
    const struct tc_model_info *info = tc_model_info(m);
    struct rows r = {.width = (size_t)tc_model_width(m, scaled)};
    double raw[TC_MODEL_TARGETS_MAX], value[TC_MODEL_TARGETS_MAX];
    rc = read_rows(stdin, &r);
    if (!rc) {
        const double *x = last_window(info, scaled, &r);
        rc = tc_model_eval(m, x, r.n, scaled, raw, value);
    }
    if (!rc) {
        print_list("raw", raw, info->n_targets);
        print_list(" value", value, info->n_targets);
        printf("\n");
    }
    free(r.x);
    tc_model_free(m);
    return rc;
}
