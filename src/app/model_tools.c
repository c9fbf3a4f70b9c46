#include "app/model_tools.h"

#include "base/err.h"
#include "base/num.h"
#include "model/import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int fill_import(const struct tc_import_options *o, char name[static TC_MODEL_NAME_SIZE],
                       struct tc_import *how)
{
    if (!o->pth || !o->output)
        return tc_fail(TC_EUSAGE, "model import needs --pth FILE and --output FILE");
    if (o->preset == TC_PRESET_NONE && (!o->window || !o->features.n))
        return tc_fail(TC_EUSAGE,
                       "the file cannot say which column is which nor how long the window is: give "
                       "--preset, or --features and --window");
    if (o->name && strlen(o->name) >= TC_MODEL_NAME_SIZE)
        return tc_fail(TC_EUSAGE, "--name: at most %d letters", TC_MODEL_NAME_SIZE - 1);
    if ((o->target == TC_KIND_NEXT) != (o->horizon_ns == 0) || o->horizon_ns % NS_PER_MS)
        return tc_fail(TC_EUSAGE,
                       "--target next has no --horizon; last and mid need one of whole milliseconds");
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
        .kind = (enum tc_kind)o->target,
        .horizon_ms = (int32_t)(o->horizon_ns / NS_PER_MS),
        .interval_ms = (int32_t)(o->interval_ns / NS_PER_MS),
    };
    return TC_OK;
}

static void print_order(const struct tc_import_options *o, const struct tc_scaler *scaler,
                        const struct tc_model_spec *s)
{
    const struct tc_model_info *info = &s->info;
    printf("network   %d LSTM layers of %d units, %d inputs\n", s->net.shape.layers, s->net.shape.hidden,
           s->net.shape.features);
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
    if (scaler)
        printf("scaler    %s: fits a probe bar; the output is turned back with column price\n",
               tc_scaler_kind_name(scaler->kind));
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

int tc_import_run(const struct tc_import_options *o)
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
    rc = tc_model_write_file(o->output, &spec);
    tc_model_spec_free(&spec);
    if (!rc)
        rc = tc_model_load(o->output, &m); /* what was written can be read */
    if (!rc) {
        printf("written   %s as %s\n", o->output, tc_model_info(m)->id);
        tc_model_free(m);
    }
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
