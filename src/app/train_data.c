#include "app/train_data.h"
#include "app/calendars.h"
#include "app/feeds.h"
#include "base/clock.h"
#include "base/err.h"
#include "market/actions.h"
#include "role/play.h"
#include "wire/safetensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    const struct tc_train_set_conf *conf;
    const struct tc_calendar *calendar;
    struct tc_dataset_builder *builder;
    int64_t bars;
};

static const struct tc_calendar *calendar_of(void *ctx, const char *symbol)
{
    (void)symbol;
    const struct reading *r = ctx;
    return r->calendar;
}

static int take_record(void *ctx, const struct tc_record *record, int64_t offset)
{
    (void)offset;
    struct reading *r = ctx;
    int rc = tc_dataset_feed(r->builder, record);
    if (rc)
        return rc;
    r->bars += record->type == TC_REC_BAR;
    if (record->type == TC_REC_SECOND && r->conf->progress &&
        !r->conf->progress(r->conf->ctx, tc_calendar_day(r->calendar, record->second.second), r->bars))
        return TC_DONE;
    return TC_OK;
}

static int open_feed(const struct reading *r, struct tc_feed *feed)
{
    return tc_feed_open_replay(r->conf->config, INFINITY, r->calendar, feed);
}

static int read_all(struct reading *r, struct tc_dataset *out)
{
    struct tc_dataset_conf conf = {.set = r->conf->set,
                                   .n_horizons = r->conf->n_horizons,
                                   .spill = r->conf->spill,
                                   .calendar = calendar_of,
                                   .ctx = r};
    memcpy(conf.horizons_ms, r->conf->horizons_ms, sizeof(conf.horizons_ms));
    bool open = false;
    struct tc_feed feed;
    struct tc_actions *actions = NULL;
    const char *path = r->conf->config->actions_path;
    int rc = path ? tc_actions_load(path, &actions) : TC_OK;
    if (!rc && (rc = open_feed(r, &feed)) != 0)
        tc_actions_free(actions);
    if (rc)
        return rc;
    conf.split = tc_actions_since;
    conf.split_ctx = actions;
    rc = tc_dataset_open(&conf, &r->builder);
    if (!rc) {
        open = true;
        rc = tc_play(&feed, r->calendar, r->conf->config->replay_delay_ns, take_record, r);
    }
    feed.ops->close(feed.self);
    tc_actions_free(actions); /* finishing begins no session any more */
    if (rc) {
        if (open)
            tc_dataset_close(r->builder);
        return rc;
    }
    return tc_dataset_finish(r->builder, out);
}

/* Number of a symbol in the set, in order of first sight. */
static int32_t group_of(struct tc_train_set *s, const char *symbol)
{
    for (size_t i = 0; i < s->n_symbols; i++)
        if (strcmp(s->symbols[i], symbol) == 0)
            return (int32_t)i;
    memcpy(s->symbols[s->n_symbols], symbol, TC_SYMBOL_SIZE);
    return (int32_t)s->n_symbols++;
}

/* The latest session before `bound` (0 = no bound) that has rows. */
static int32_t last_day(const struct tc_dataset *d, int32_t bound)
{
    int32_t last = 0;
    for (size_t i = 0; i < d->n; i++)
        if (d->sequences[i].day > last && (!bound || d->sequences[i].day < bound))
            last = d->sequences[i].day;
    return last;
}

static int by_day(const void *a, const void *b)
{
    const struct tc_sequence *l = a, *r = b;
    int order = (l->day > r->day) - (l->day < r->day);
    return order ? order : strcmp(l->symbol, r->symbol);
}

/* Targets are moves in scales of the moment, what counts is the error of a price: squared errors weigh as
 * scale^2, in each session 1 on average. */
static void weigh(const struct tc_sequence *q, double *weights)
{
    double sum = 0;
    for (size_t r = 0; r < q->rows; r++)
        sum += q->scale[r] * q->scale[r];
    for (size_t r = 0; r < q->rows; r++)
        weights[r] = q->scale[r] * q->scale[r] * (double)q->rows / sum;
}

/* A session belongs to exactly one span: training before `validate`, validation up to `test`, the rest. */
static int divide(struct tc_train_set *s, int32_t validate, int32_t test)
{
    struct tc_dataset *d = &s->dataset;
    if (d->n)
        qsort(d->sequences, d->n, sizeof(*d->sequences), by_day);
    if (!validate)
        validate = last_day(d, test);
    double *weights = s->weights;
    for (size_t i = 0; i < d->n; i++) {
        const struct tc_sequence *q = &d->sequences[i];
        int which = test && q->day >= test ? TC_SPAN_TEST
                    : q->day >= validate   ? TC_SPAN_VALIDATE
                                           : TC_SPAN_TRAIN;
        struct tc_span *span = &s->span[which];
        span->series[span->data.n++] =
            (struct tc_series){q->x, q->y, q->mask, q->rows, group_of(s, q->symbol), weights};
        weigh(q, weights);
        weights += q->rows;
        span->from = span->from ? span->from : q->day;
        span->to = q->day;
    }
    const char *names[] = {"training", "validation"};
    for (int i = 0; i < 2; i++)
        if (!s->span[i].data.n)
            return tc_fail(
                TC_EINPUT,
                "no session is left for the %s span: it takes at least two days (--from, --to, --validate)",
                names[i]);
    return TC_OK;
}

/* One hash over the hashes of each training series' arrays. */
static int hash_rows(struct tc_train_set *s)
{
    struct tc_buf b;
    tc_buf_init(&b, 64 << 20);
    const struct tc_span *span = &s->span[TC_SPAN_TRAIN];
    int rc = TC_OK;
    for (size_t i = 0; i < span->data.n && !rc; i++) {
        const struct tc_series *v = &span->series[i];
        const struct {
            const void *bytes;
            size_t n;
        } parts[] = {{v->x, v->rows * (size_t)s->dataset.n_features * sizeof(double)},
                     {v->y, v->rows * (size_t)s->dataset.n_targets * sizeof(double)},
                     {v->mask, v->rows * (size_t)s->dataset.n_targets}};
        for (size_t p = 0; p < 3 && !rc; p++) {
            char hex[65];
            rc = tc_sha256_hex(parts[p].bytes, parts[p].n, hex);
            tc_buf_str(&b, hex);
        }
    }
    if (!rc && b.overflow)
        rc = tc_fail(TC_ENOMEM, "no memory to hash the training rows");
    rc = rc ? rc : tc_sha256_hex(b.data, b.len, s->sha256);
    tc_buf_release(&b);
    return rc;
}

/* A target without a known outcome in both the training and the validation span (mid without quotes) is left
 * out. */
static void drop_unknown_targets(struct tc_train_set *s)
{
    struct tc_dataset *d = &s->dataset;
    bool known[TC_POINTS_MAX] = {0};
    size_t nt = (size_t)d->n_targets, kept = 0;
    for (int which = 0; which < 2; which++) {
        bool here[TC_POINTS_MAX] = {0};
        for (size_t i = 0; i < s->span[which].data.n; i++)
            for (size_t c = 0; c < s->span[which].series[i].rows * nt; c++)
                here[c % nt] = here[c % nt] || s->span[which].series[i].mask[c];
        for (size_t j = 0; j < nt; j++)
            known[j] = which ? known[j] && here[j] : here[j];
    }
    for (size_t j = 0; j < nt; j++)
        kept += known[j];
    if (kept == nt)
        return;
    for (size_t i = 0; i < d->n; i++)
        for (size_t r = 0, to = r * kept; r < d->sequences[i].rows; r++)
            for (size_t j = 0; j < nt; j++)
                if (known[j]) {
                    d->sequences[i].y[to] = d->sequences[i].y[r * nt + j];
                    d->sequences[i].mask[to++] = d->sequences[i].mask[r * nt + j];
                }
    for (size_t j = 0, to = 0; j < nt; j++)
        if (known[j])
            d->targets[to++] = d->targets[j];
    d->n_targets = (int32_t)kept;
}

static int arrange(const struct tc_train_set_conf *conf, struct tc_train_set *s)
{
    size_t n = s->dataset.n + 1;
    s->symbols = calloc(n, sizeof(*s->symbols));
    size_t rows = 0;
    for (size_t i = 0; i < s->dataset.n; i++)
        rows += s->dataset.sequences[i].rows;
    size_t bytes = (rows + 1) * sizeof(double);
    s->spilled = conf->spill != NULL;
    s->weights = conf->spill ? tc_spill_take(conf->spill, bytes) : calloc(1, bytes);
    bool room = s->symbols && s->weights;
    for (int i = 0; i < TC_SPAN_COUNT; i++) {
        s->span[i].series = calloc(n, sizeof(struct tc_series));
        s->span[i].data.series = s->span[i].series;
        room = room && s->span[i].series;
    }
    if (!room)
        return tc_fail(TC_ENOMEM, "no memory for %zu training sequences", s->dataset.n);
    int rc = divide(s, conf->validate, conf->test);
    if (rc)
        return rc;
    drop_unknown_targets(s);
    return hash_rows(s);
}

int tc_train_set_open(const struct tc_train_set_conf *conf, struct tc_train_set *out)
{
    *out = (struct tc_train_set){0};
    struct reading r = {.conf = conf};
    struct tc_calendar *calendar;
    int rc = tc_calendar_open_named(conf->config->calendar, &calendar);
    if (rc)
        return rc;
    r.calendar = calendar;
    rc = read_all(&r, &out->dataset);
    if (!rc)
        rc = arrange(conf, out);
    tc_calendar_free(calendar);
    if (rc)
        tc_train_set_close(out);
    return rc;
}

void tc_train_set_close(struct tc_train_set *s)
{
    for (int i = 0; i < TC_SPAN_COUNT; i++)
        free(s->span[i].series);
    free(s->symbols);
    if (!s->spilled)
        free(s->weights);
    tc_dataset_free(&s->dataset);
    *s = (struct tc_train_set){0};
}
