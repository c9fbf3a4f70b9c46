#include "app/retrain.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/path.h"
#include "forecast/features.h"
#include "model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FLAGS_MAX = 24, ARGS_MAX = 48, SAMPLES_MIN = 200, NICENESS = 10, LINE_SIZE = 400 };

enum phase { IDLE, TRAINING, COMPARING };

struct tc_retrain {
    struct tc_retrain_conf conf;
    enum phase phase;
    pid_t child;              /* 0 = none */
    size_t which;             /* model being trained anew */
    bool any;                 /* one of them could be judged */
    char told[3 * LINE_SIZE]; /* what became of those before it */
    struct tc_session session;
    int32_t before; /* the session before it: the last one to learn from */
    char program[PATH_MAX], dir[PATH_MAX], candidate[PATH_MAX + 32], log[PATH_MAX + 32],
        result[PATH_MAX + 32], config[PATH_MAX + 32];
};

/* ---- the own model ---- */

static int copy_file(const char *from, const char *to)
{
    char part[PATH_MAX + 64], room[65536];
    snprintf(part, sizeof(part), "%s.part", to);
    FILE *in = fopen(from, "rbe"), *out = fopen(part, "wbe");
    size_t n = 0;
    bool ok = in && out;
    while (ok && (n = fread(room, 1, sizeof(room), in)) > 0)
        ok = fwrite(room, 1, n, out) == n;
    ok = ok && !ferror(in) && fflush(out) == 0 && fsync(fileno(out)) == 0;
    if (in)
        fclose(in);
    if (out && fclose(out) != 0)
        ok = false;
    if (!ok || rename(part, to) != 0)
        return tc_fail(TC_EIO, "%s cannot be copied to %s: %s", from, to, strerror(errno));
    return TC_OK;
}

int tc_retrain_own_model(struct tc_config *c)
{
    char dir[PATH_MAX], path[PATH_MAX + 32];
    if (!c->retrain || !c->models_default)
        return TC_OK;
    snprintf(dir, sizeof(dir), "%.3900s/models", c->data_dir);
    int rc = tc_mkdirs(dir);
    for (size_t i = 0; i < c->models.n && !rc; i++) {
        /* default.safetensors, default-tape.safetensors: own.safetensors, own-tape.safetensors */
        const char *name = strrchr(c->models.items[i], '/');
        snprintf(path, sizeof(path), "%s/own%s", dir, name + strlen("/default"));
        if (access(path, F_OK) != 0)
            rc = copy_file(c->models.items[i], path);
        char *own = rc ? NULL : strdup(path);
        if (!own)
            return rc ? rc : tc_fail(TC_ENOMEM, "configuration: no memory");
        free(c->models.items[i]);
        c->models.items[i] = own;
    }
    return rc;
}

/* ---- processes ---- */

/* The last line of a file that says something. */
static void last_line(const char *path, char *out, size_t size)
{
    char line[LINE_SIZE];
    FILE *f = fopen(path, "re");
    out[0] = '\0';
    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0])
            snprintf(out, size, "%s", line);
    }
    if (f)
        fclose(f);
}

static int start(struct tc_retrain *r, const char *const *argv, const char *output)
{
    struct tc_child_conf conf = {.argv = argv,
                                 .drop = "TICKCAST_",
                                 .input = -1,
                                 .output = output,
                                 .errors = r->log,
                                 .niceness = NICENESS};
    int rc = tc_child_start(&conf, &r->child);
    if (rc)
        r->child = 0;
    return rc;
}

/* Feature set and name of a model, so that the new one is its like; none of one that reads a bar's columns.
 */
static int describe(const char *path, char inputs[static TC_INPUTS_SIZE], char name[static TC_MODEL_SIZE])
{
    struct tc_model *m;
    enum tc_feature_set set;
    int rc = tc_model_load(path, &m);
    if (rc)
        return rc;
    const struct tc_model_info *info = tc_model_info(m);
    if (tc_set_parse(info->inputs, &set) == TC_OK) {
        snprintf(inputs, TC_INPUTS_SIZE, "%s", info->inputs);
        snprintf(name, TC_MODEL_SIZE, "%.*s", (int)strcspn(info->id, "@"), info->id);
    }
    tc_model_free(m);
    return TC_OK;
}

/* Learns from all that is recorded before the session; of that the last session stops the training. */
static int start_training(struct tc_retrain *r)
{
    char to[12], inputs[TC_INPUTS_SIZE] = "", name[TC_MODEL_SIZE] = "";
    int rc = describe(r->conf.models->items[r->which], inputs, name);
    if (rc)
        return rc;
    const char *argv[ARGS_MAX] = {r->program,   "train",          "--config", r->config,
                                  "--feed",     "replay",         "--path",   r->conf.data_dir,
                                  "--calendar", r->conf.calendar, "--to",     tc_date_text(r->before, to),
                                  "--output",   r->candidate};
    size_t n = 14;
    if (inputs[0]) {
        argv[n++] = "--inputs";
        argv[n++] = inputs;
        argv[n++] = "--name";
        argv[n++] = name;
    }
    for (size_t i = 0; i < r->conf.flags->n; i++)
        argv[n++] = r->conf.flags->items[i];
    return start(r, argv, NULL);
}

static int start_comparison(struct tc_retrain *r)
{
    char day[12];
    tc_date_text(r->session.day, day);
    const char *const argv[] = {r->program,      "backtest",
                                "--config",      r->config,
                                "--feed",        "replay",
                                "--path",        r->conf.data_dir,
                                "--calendar",    r->conf.calendar,
                                "--to",          day,
                                "--report-from", day,
                                "--model",       r->conf.models->items[r->which],
                                "--model",       r->candidate,
                                "--json",        NULL};
    return start(r, argv, r->result);
}

/* ---- comparison ---- */

struct target {
    const char *symbol, *kind;
    json_int_t horizon;
};

static bool read_row(json_t *row, const char *model, struct target *t, double *ratio)
{
    const char *name = json_string_value(json_object_get(row, "model"));
    *t = (struct target){json_string_value(json_object_get(row, "symbol")),
                         json_string_value(json_object_get(row, "kind")),
                         json_integer_value(json_object_get(row, "horizon_ms"))};
    json_t *n = json_object_get(row, "n"), *value = json_object_get(row, "ratio");
    if (!name || strcmp(name, model) || !t->symbol || !t->kind || !strcmp(t->symbol, "*"))
        return false;
    *ratio = json_number_value(value);
    return json_integer_value(n) >= SAMPLES_MIN && json_is_number(value) && *ratio > 0;
}

static bool find_target(json_t *rows, const char *model, const struct target *wanted, double *ratio)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        struct target t;
        if (read_row(row, model, &t, ratio) && !strcmp(t.symbol, wanted->symbol) &&
            !strcmp(t.kind, wanted->kind) && t.horizon == wanted->horizon)
            return true;
    }
    return false;
}

int tc_retrain_compare(const char *text, const char *old_model, const char *new_model, double *old_ratio,
                       double *new_ratio)
{
    json_error_t wrong;
    json_t *root = json_loads(text, 0, &wrong), *rows = json_object_get(root, "rows"), *row;
    double old_sum = 0, new_sum = 0, a, b;
    size_t i, n = 0;
    if (!root)
        return tc_fail(TC_EINPUT, "the back-test's answer is no JSON: %s", wrong.text);
    json_array_foreach(rows, i, row)
    {
        struct target t;
        if (!read_row(row, new_model, &t, &b) || !find_target(rows, old_model, &t, &a))
            continue;
        old_sum += log(a);
        new_sum += log(b);
        n++;
    }
    json_decref(root);
    if (!n)
        return tc_fail(TC_ENOTFOUND,
                       "no target has %d forecasts of both models in that session (none counts in a "
                       "session that a model was trained on)",
                       SAMPLES_MIN);
    *old_ratio = exp(old_sum / (double)n);
    *new_ratio = exp(new_sum / (double)n);
    return TC_OK;
}

static int model_id(const char *path, char id[static TC_MODEL_SIZE])
{
    struct tc_model *m;
    int rc = tc_model_load(path, &m);
    if (rc)
        return rc;
    snprintf(id, TC_MODEL_SIZE, "%s", tc_model_info(m)->id);
    tc_model_free(m);
    return TC_OK;
}

static int read_text(const char *path, struct tc_buf *out)
{
    char room[65536];
    size_t n;
    FILE *f = fopen(path, "re");
    if (!f)
        return tc_fail(TC_EIO, "%s: %s", path, strerror(errno));
    while ((n = fread(room, 1, sizeof(room), f)) > 0)
        tc_buf_put(out, room, n);
    fclose(f);
    return out->overflow ? tc_fail(TC_ELIMIT, "%s is too large", path) : TC_OK;
}

/* Puts the better one in place. */
static int judge(struct tc_retrain *r, char *message, size_t size)
{
    struct tc_buf text;
    char before[TC_MODEL_SIZE], after[TC_MODEL_SIZE];
    double a = NAN, b = NAN;
    const char *target = r->conf.models->items[r->which];
    tc_buf_init(&text, 64 << 20);
    int rc = read_text(r->result, &text);
    if (!rc)
        rc = model_id(target, before);
    if (!rc)
        rc = model_id(r->candidate, after);
    if (!rc)
        rc = tc_retrain_compare(text.data, before, after, &a, &b);
    tc_buf_release(&text);
    if (rc == TC_ENOTFOUND) { /* one of them has learnt from that session, or it was too short */
        snprintf(message, size, "%s stays: %s", before, tc_error());
        return TC_DONE;
    }
    if (rc)
        return rc;
    if (!(b < a)) {
        snprintf(
            message, size,
            "%s stays: its error is %.4f of \"no change\" in that session, that of the newly trained %s %.4f",
            before, a, after, b);
        return TC_OK;
    }
    if (rename(r->candidate, target) != 0)
        return tc_fail(TC_EIO, "%s cannot be put in place of %s: %s", r->candidate, target, strerror(errno));
    snprintf(message, size,
             "%s is in place of %s: its error is %.4f of \"no change\" in that session, before %.4f", after,
             before, b, a);
    return TC_OK;
}

/* ---- the job ---- */

/* The processes get what they need as flags; the person's file speaks of the live run. */
static int write_config(const struct tc_retrain *r)
{
    FILE *f = fopen(r->config, "we");
    if (!f)
        return tc_fail(TC_EIO, "%s: %s", r->config, strerror(errno));
    fputs("# Empty: the nightly training has its settings as flags.\n{}\n", f);
    return fclose(f) ? tc_fail(TC_EIO, "%s: %s", r->config, strerror(errno)) : TC_OK;
}

static int job_start(void *ctx, const struct tc_session *session)
{
    struct tc_retrain *r = ctx;
    r->session = *session;
    r->before = tc_date_from_days(tc_days_from_date(session->day) - 1);
    r->phase = IDLE;
    r->child = 0;
    r->which = 0;
    r->any = false;
    r->told[0] = '\0';
    int rc = tc_mkdirs(r->dir);
    if (rc)
        return rc;
    unlink(r->candidate); /* of a run that was cut off */
    return write_config(r);
}

static int failed(const struct tc_retrain *r, const char *what)
{
    char line[LINE_SIZE], how[200];
    snprintf(how, sizeof(how), "%s", tc_error());
    last_line(r->log, line, sizeof(line));
    return tc_fail(TC_EPEER, "%s: %s", what, line[0] ? line : how);
}

/* One model is done with; the next one follows, or all is told. */
static int next_model(struct tc_retrain *r, char *message, size_t size)
{
    char line[LINE_SIZE];
    int rc = judge(r, line, sizeof(line));
    if (rc < 0)
        return rc;
    r->any = r->any || rc == TC_OK;
    size_t at = strlen(r->told);
    snprintf(r->told + at, sizeof(r->told) - at, "%s%s", at ? "; " : "", line);
    if (++r->which < r->conf.models->n) {
        r->phase = IDLE;
        unlink(r->candidate);
        return TC_AGAIN;
    }
    snprintf(message, size, "%s", r->told);
    return r->any ? TC_OK : TC_DONE;
}

static int job_step(void *ctx, char *message, size_t size)
{
    struct tc_retrain *r = ctx;
    if (!r->conf.models->n) {
        snprintf(message, size, "there is no network to train anew");
        return TC_DONE;
    }
    if (r->phase == IDLE) {
        r->phase = TRAINING;
        int rc = start_training(r);
        return rc ? rc : TC_AGAIN;
    }
    int rc = tc_child_poll(r->child);
    if (rc == TC_AGAIN)
        return rc;
    r->child = 0;
    if (rc)
        return failed(r, r->phase == TRAINING ? "training" : "comparison");
    if (r->phase == COMPARING)
        return next_model(r, message, size);
    r->phase = COMPARING;
    rc = start_comparison(r);
    return rc ? rc : TC_AGAIN;
}

static void job_stop(void *ctx)
{
    struct tc_retrain *r = ctx;
    if (r->child)
        tc_child_kill(r->child);
    r->child = 0;
}

struct tc_job tc_retrain_job(struct tc_retrain *r)
{
    return (struct tc_job){
        .name = "retrain", .start = job_start, .step = job_step, .stop = job_stop, .ctx = r};
}

int tc_retrain_open(const struct tc_retrain_conf *conf, struct tc_retrain **out)
{
    if (conf->flags->n > FLAGS_MAX)
        return tc_fail(TC_ECONF, "schedule.retrain_flags: more than %d", FLAGS_MAX);
    struct tc_retrain *r = calloc(1, sizeof(*r));
    if (!r)
        return tc_fail(TC_ENOMEM, "no memory for the nightly training");
    r->conf = *conf;
    ssize_t n = readlink("/proc/self/exe", r->program, sizeof(r->program) - 1);
    if (n <= 0) {
        free(r);
        return tc_fail(TC_EIO, "schedule.retrain: the system does not say where this program's file is");
    }
    snprintf(r->dir, sizeof(r->dir), "%.3900s/models", conf->data_dir);
    snprintf(r->candidate, sizeof(r->candidate), "%s/candidate.safetensors", r->dir);
    snprintf(r->log, sizeof(r->log), "%s/retrain.log", r->dir);
    snprintf(r->config, sizeof(r->config), "%s/retrain.yaml", r->dir);
    snprintf(r->result, sizeof(r->result), "%s/retrain.json", r->dir);
    *out = r;
    return TC_OK;
}

void tc_retrain_close(struct tc_retrain *r)
{
    if (r)
        job_stop(r);
    free(r);
}
