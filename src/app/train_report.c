#include "app/train_report.h"
#include "base/clock.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHOW_EVERY_NS = 100000000, BAR = 20 };

void tc_train_line_open(struct tc_train_progress_line *l)
{
    *l = (struct tc_train_progress_line){.terminal = isatty(STDERR_FILENO) == 1, .started = tc_mono_ns()};
}

static bool due(struct tc_train_progress_line *l)
{
    int64_t now = tc_mono_ns();
    if (!l->terminal || now - l->shown < SHOW_EVERY_NS)
        return false;
    l->shown = now;
    return true;
}

void tc_train_line_reading(struct tc_train_progress_line *l, int32_t day, int64_t bars)
{
    char date[12];
    if (due(l))
        fprintf(stderr, "\r\033[Kreading %s  %lld bars  %.0f bars/s", tc_date_text(day, date),
                (long long)bars, (double)bars * 1e9 / (double)(l->shown - l->started + 1));
}

void tc_train_line_begin(struct tc_train_progress_line *l, size_t rows)
{
    l->started = tc_mono_ns();
    l->shown = 0;
    l->rows = rows;
}

void tc_train_line_done(struct tc_train_progress_line *l)
{
    if (l->terminal)
        fprintf(stderr, "\r\033[K");
}

/* "next", "last 10s", "mid 60s" */
static const char *target_name(const struct tc_model_target *t, char out[static 24])
{
    if (t->kind == TC_KIND_NEXT)
        snprintf(out, 24, "next");
    else
        snprintf(out, 24, "%s %gs", tc_kind_name(t->kind), t->horizon_ms / 1000.0);
    return out;
}

static void say_epoch(const struct tc_train_progress_line *l, const struct tc_train_progress *p,
                      const struct tc_model_info *info)
{
    double seconds = (double)(tc_mono_ns() - l->started) / 1e9;
    fprintf(stderr, "%sepoch %2d/%d ", l->terminal ? "\r\033[K" : "", p->epoch, p->epochs);
    for (int32_t j = 0; j < info->n_targets; j++) {
        char name[24];
        fprintf(stderr, " %s %.4f", target_name(&info->targets[j], name), p->ratio[j]);
    }
    fprintf(stderr, "  %.1f s%s\n", seconds, p->best ? "  best" : "");
}

void tc_train_line_step(struct tc_train_progress_line *l, const struct tc_train_progress *p,
                        const struct tc_model_info *info)
{
    if (p->epoch_done) {
        if (p->epoch == 0)
            fprintf(stderr,
                    "validation: RMSE over persistence's, target by target; epoch 0 is the ridge start\n");
        say_epoch(l, p, info);
        return;
    }
    if (!due(l))
        return;
    double share = ((double)(p->epoch - 1) + (double)(p->step + 1) / (double)p->steps) / (double)p->epochs;
    double seconds = (double)(l->shown - l->started) / 1e9;
    int full = (int)(share * BAR), left = (int)(seconds / share - seconds);
    fprintf(stderr, "\r\033[K[%.*s%.*s] %3.0f %%  epoch %d/%d  %.0f rows/s  at most %d:%02d left", full,
            "####################", BAR - full, "....................", share * 100, p->epoch, p->epochs,
            share * p->epochs * (double)l->rows / (seconds + 1e-9), left / 60, left % 60);
}

void tc_train_say_spans(const struct tc_train_set *set)
{
    const char *names[] = {"train", "validate", "test"};
    for (int i = 0; i < TC_SPAN_COUNT; i++) {
        const struct tc_span *s = &set->span[i];
        char from[12], to[12];
        if (s->data.n)
            fprintf(stderr, "%-9s %s to %s  %zu rows in %zu sessions of symbols\n", names[i],
                    tc_date_text(s->from, from), tc_date_text(s->to, to), tc_train_rows(&s->data), s->data.n);
    }
}

/* Predictions of network and ridge over one span. */
struct predictions {
    double *network, *ridge;
};

static int predict(const struct tc_model_spec *spec, const struct tc_train_result *result,
                   const struct tc_train_data *data, struct predictions *p)
{
    size_t cells = tc_train_rows(data) * (size_t)spec->info.n_targets;
    p->network = malloc((cells + 1) * sizeof(double));
    p->ridge = malloc((cells + 1) * sizeof(double));
    if (!p->network || !p->ridge)
        return tc_fail(TC_ENOMEM, "no memory to compare the models");
    struct tc_model_spec ridge = *spec;
    ridge.net = result->ridge;
    for (int32_t j = 0; j < spec->info.n_targets; j++)
        ridge.info.targets[j].shrink = result->ridge_shrink[j];
    int rc = tc_train_predict(spec, data, p->network);
    return rc ? rc : tc_train_predict(&ridge, data, p->ridge);
}

struct row {
    const char *span, *symbol;
    const struct tc_model_target *target;
    double share;
    struct tc_train_figures f;
};

static void print_number(const char *form, double v)
{
    char text[24];
    snprintf(text, sizeof(text), form, v);
    printf(" %8s", isfinite(v) ? text : "-");
}

static void print_row(const struct row *r)
{
    char name[24];
    printf("%-9s %-8s %-9s %7lld ", r->span, r->symbol, target_name(r->target, name), (long long)r->f.n);
    print_number("%.4f", r->f.ratio);
    print_number("%.1f", r->f.dm_t);
    print_number("%.4f", r->f.ridge_ratio);
    print_number("%.1f", r->f.ridge_dm_t);
    print_number("%.1f", r->f.over_ridge_t);
    printf(" %6.2f\n", r->share);
}

static void put_row(struct tc_buf *b, const struct row *r)
{
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"ratio", r->f.ratio},
                   {"dm_t", r->f.dm_t},
                   {"ridge_ratio", r->f.ridge_ratio},
                   {"ridge_dm_t", r->f.ridge_dm_t},
                   {"over_ridge_t", r->f.over_ridge_t}};
    tc_buf_printf(b, "%s{\"span\":\"%s\",\"symbol\":", b->len && b->data[b->len - 1] == '}' ? "," : "",
                  r->span);
    tc_buf_json_string(b, r->symbol);
    tc_buf_printf(b, ",\"kind\":\"%s\",\"horizon_ms\":%d,\"n\":%lld", tc_kind_name(r->target->kind),
                  r->target->horizon_ms, (long long)r->f.n);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        tc_buf_printf(b, ",\"%s\":", numbers[i].key);
        tc_buf_double(b, numbers[i].value);
    }
    tc_buf_printf(b, ",\"share\":%.4f}", r->share);
}

/* All rows of one span: every symbol, then all together. */
static int report_span(const struct tc_train_set *set, const struct tc_model_spec *spec,
                       const struct tc_train_result *result, int which, struct tc_buf *json)
{
    const char *names[] = {"train", "validate", "test"};
    const struct tc_train_data *data = &set->span[which].data;
    struct predictions p = {0};
    int rc = predict(spec, result, data, &p);
    for (int32_t j = 0; j < spec->info.n_targets && !rc; j++)
        for (int32_t g = 0; g <= (int32_t)set->n_symbols; g++) {
            bool all = g == (int32_t)set->n_symbols;
            struct row r = {
                names[which], all ? "all" : set->symbols[g], &spec->info.targets[j], result->share[j], {0}};
            if (all && set->n_symbols == 1)
                continue;
            tc_train_compare(data, &spec->info, j, all ? -1 : g, p.network, p.ridge, &r.f);
            if (json)
                put_row(json, &r);
            else
                print_row(&r);
        }
    free(p.network);
    free(p.ridge);
    return rc;
}

static int report_json(const struct tc_train_set *set, const struct tc_model_spec *spec,
                       const struct tc_train_result *result, const char *path)
{
    struct tc_buf b;
    tc_buf_init(&b, 16 << 20);
    tc_buf_str(&b, "{\"file\":");
    tc_buf_json_string(&b, path);
    tc_buf_printf(&b, ",\"epochs\":%d,\"best_epoch\":%d,\"trained_rows\":%lld,\"figures\":[", result->epochs,
                  result->best_epoch, (long long)spec->info.trained_rows);
    int rc = TC_OK;
    for (int which = TC_SPAN_VALIDATE; which < TC_SPAN_COUNT && !rc; which++)
        if (set->span[which].data.n)
            rc = report_span(set, spec, result, which, &b);
    tc_buf_str(&b, "]}\n");
    if (!rc && b.overflow)
        rc = tc_fail(TC_ENOMEM, "no memory for the summary");
    if (!rc)
        fputs(b.data, stdout);
    tc_buf_release(&b);
    return rc;
}

int tc_train_report(const struct tc_train_set *set, const struct tc_model_spec *spec,
                    const struct tc_train_result *result, const char *path, bool interrupted, bool json)
{
    if (json)
        return report_json(set, spec, result, path);
    printf("%s%d epochs ran; epoch %d was best on the validation sessions\n\n",
           interrupted ? "Interrupted; the best epoch so far is kept, --resume goes on. " : "",
           result->epochs, result->best_epoch);
    printf("RMSE over persistence's on the same rows, Diebold-Mariano t in favour of the first named\n"
           "%-9s %-8s %-9s %7s  %8s %8s %8s %8s %8s  %5s\n",
           "span", "symbol", "target", "n", "network", "t", "ridge", "t", "vs ridge", "share");
    int rc = TC_OK;
    for (int which = TC_SPAN_VALIDATE; which < TC_SPAN_COUNT && !rc; which++)
        if (set->span[which].data.n)
            rc = report_span(set, spec, result, which, NULL);
    if (!rc)
        printf("\nwritten to %s (tickcast model show says what it is)\n", path);
    return rc;
}
