#include "role/forecaster.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "bus/outbox.h"
#include "role/inbox.h"
#include "role/swap.h"

#include <math.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CYCLE_RECORDS = 512,
    OUT_BATCH = 512,
    MARKERS_MAX = 64,
    SYMBOLS_A_MINUTE = 32,
    IDLE_MINUTES = 30,         /* between checkpoints while nothing is forecast */
    LOOK_BACK = 10000,         /* records at the end of the own topic looked at for the newest forecast */
    BLOB_VERSION = 2,          /* 1: without forecasts of others */
    RELEARN_RECORDS = 4000000, /* some days of a few symbols; read in seconds */
    WARM_NS = 5000000,         /* of a cycle that warms up a network */
};

/* Head of a checkpoint's blob; the engine's bytes follow. */
struct blob_head {
    int64_t version, ended, minute, made;
    int64_t external; /* bytes at the blob's end: forecasts of others */
};

enum { HEAD_V1 = offsetof(struct blob_head, external) };

struct forecaster {
    struct tc_bus *bus;
    struct tc_engine *engine;
    struct tc_engine_conf conf; /* what it was opened with */
    bool clocked;               /* f->now is its clock */
    /* An exchange that another thread asked for; the fields belong to whom the state says. */
    struct {
        _Atomic int state; /* enum tc_swap_state; ASKED is SWAP_WARMING without a swap */
        int32_t place;
        struct tc_model *model;
        char why[512];
    } asked;
    struct tc_swap *swap;
    int64_t swapped; /* time of the last exchange; 0 = none */
    struct tc_outbox *outbox;
    struct tc_bus_reader *reader;
    char kernel[TC_KERNEL_SIZE];
    int64_t next;                 /* input offset that is read next */
    int64_t minute;               /* of the last checkpoint */
    int64_t made;                 /* forecasts since then */
    bool ended, live, caught_up;  /* newest marker is live; the live input's end was reached once */
    int64_t answered;             /* input offset after the newest published record's cause; 0 = none */
    bool relearning;              /* muted up to `answered` */
    int64_t published;            /* newest origin that was published before this start; 0 = none */
    int64_t (*now)(void);         /* clock of forecasts after it */
    struct tc_bus_reader *old;    /* over what was published behind the checkpoint; NULL = nothing is left */
    struct tc_record old_record;  /* the newest read from it */
    int shown;                    /* model of the skill metric */
    struct tc_external *external; /* NULL until somebody sent a forecast */
    struct tc_inbox *inbox;
    struct tc_bus_reader *again; /* forecasts of others behind the checkpoint; NULL = all are taken up */
    struct tc_record again_record;
    tc_metric *accepted, *refused;
    struct tc_buf blob;
    struct tc_record in;
    /* markers of this cycle, until their answers are published */
    size_t n_markers;
    struct {
        int64_t at;
        bool live;
    } markers[MARKERS_MAX];
    double scored, sq_model, sq_persist;
    int64_t after_ns; /* spent since the newest second on what it left to do; -1 = nothing is left */
    tc_metric *forecasts, *scored_total, *ratio, *lag, *depth, *high_water;
    struct tc_hist *latency, *after;
    int64_t started; /* wall clock */
};

static void on_resolved(void *ctx, const struct tc_resolved *r)
{
    struct forecaster *f = ctx;
    if (f->external)
        tc_external_resolved(f->external, r);
    if (r->model != f->shown || r->point != 0)
        return;
    double e = (r->move - r->forecast) / r->scale, y = r->move / r->scale;
    f->scored += 1;
    f->sq_model += e * e;
    f->sq_persist += y * y;
}

static int on_record(void *ctx, const struct tc_record *r)
{
    struct forecaster *f = ctx;
    if (r->type == TC_REC_FORECAST) {
        tc_metric_add(f->forecasts, 1);
        f->made++;
    }
    if (r->type == TC_REC_OUTCOME && f->external)
        tc_external_outcome(f->external, &r->outcome);
    return tc_outbox_add(f->outbox, r);
}

/* ---- forecasts of others ---- */

static int open_external(struct forecaster *f)
{
    return f->external ? TC_OK : tc_external_open(f->engine, &f->conf, &f->external);
}

/* Before record `next` of the input is taken: what others had sent by then, in an earlier run, is kept again.
 */
static int take_again(struct forecaster *f, int64_t next)
{
    int64_t at;
    int rc = TC_OK;
    while (f->again && f->again_record.from < next && rc == TC_OK) {
        if (tc_external_is(&f->again_record) && f->again_record.from >= 0) {
            rc = open_external(f);
            if (rc == TC_OK)
                tc_external_again(f->external, &f->again_record.forecast);
        }
        if (rc == TC_OK)
            rc = f->bus->ops->read(f->again, &f->again_record, &at);
    }
    if (f->again && rc != TC_OK) {
        f->bus->ops->close_reader(f->again);
        f->again = NULL;
    }
    return rc < 0 ? rc : TC_OK;
}

static int judge(struct forecaster *f, struct tc_submission *s)
{
    int64_t now = tc_now_ns();
    if (f->ended || f->relearning || !f->next) {
        s->verdict = TC_VERDICT_UNKNOWN;
        snprintf(s->why, sizeof(s->why), "nothing is forecast now: the source has ended or has not begun");
        return TC_OK;
    }
    tc_external_submit(f->external, f->live ? now : 0, now / TC_NS_PER_SEC, s);
    tc_metric_add(s->verdict == TC_VERDICT_ACCEPTED ? f->accepted : f->refused, 1);
    if (s->verdict != TC_VERDICT_ACCEPTED)
        return TC_OK;
    struct tc_record r = {.type = TC_REC_FORECAST, .from = f->next - 1, .forecast = s->forecast};
    return tc_outbox_add(f->outbox, &r);
}

/* Only when all input was read, so that nothing that stands on the bus is still open here. Answered after it
 * was published. */
static int answer_others(struct forecaster *f)
{
    struct tc_submission *list;
    size_t n;
    int done = 0;
    while ((list = tc_inbox_take(f->inbox, &n)) != NULL) {
        int rc = open_external(f);
        if (rc == TC_OK)
            rc = take_again(f, f->next);
        for (size_t i = 0; i < n && rc == TC_OK; i++)
            rc = judge(f, &list[i]);
        if (rc == TC_OK)
            rc = tc_outbox_flush(f->outbox);
        for (size_t i = 0; i < n && rc < 0; i++)
            list[i].verdict = TC_VERDICT_BUSY;
        tc_inbox_done(f->inbox);
        if (rc < 0)
            return tc_more(rc, "forecasts of others");
        done++;
    }
    return done;
}

void tc_forecaster_submit(const struct tc_role *role, struct tc_submission *list, size_t n,
                          int64_t timeout_ns)
{
    struct forecaster *f = role->self;
    tc_inbox_submit(f->inbox, f->bus, list, n, timeout_ns);
}

static int checkpoint(struct forecaster *f, int64_t offset)
{
    struct blob_head h = {BLOB_VERSION, f->ended, f->minute, f->made, 0};
    tc_buf_clear(&f->blob);
    tc_buf_put(&f->blob, &h, sizeof(h));
    int rc = tc_engine_save(f->engine, &f->blob);
    if (rc >= 0 && f->external) {
        int64_t before = (int64_t)f->blob.len;
        rc = tc_external_save(f->external, &f->blob);
        h.external = (int64_t)f->blob.len - before;
        memcpy(f->blob.data, &h, sizeof(h));
    }
    if (rc < 0)
        return tc_more(rc, "forecast checkpoint");
    struct tc_record r = {.type = TC_REC_CHECKPOINT, .from = offset};
    r.checkpoint = (struct tc_checkpoint){.role = "forecast",
                                          .topic = TC_TOPIC_BARS,
                                          .position = offset + 1,
                                          .blob = (const uint8_t *)f->blob.data,
                                          .blob_len = (uint32_t)f->blob.len};
    memcpy(r.checkpoint.kernel, f->kernel, sizeof(r.checkpoint.kernel));
    return tc_outbox_add(f->outbox, &r);
}

static int publish_end(struct forecaster *f, int64_t offset)
{
    struct tc_record r = {.type = TC_REC_END, .from = offset};
    return tc_outbox_add(f->outbox, &r);
}

static int end_input(struct forecaster *f, int64_t offset)
{
    if (f->relearning) { /* that end was passed on already */
        f->ended = true;
        return TC_OK;
    }
    int rc = tc_engine_flush_scores(f->engine, offset, on_record, f);
    if (rc == TC_OK && f->external)
        rc = tc_external_publish(f->external, true, on_record, f, offset);
    f->ended = true;
    if (rc == TC_OK)
        rc = checkpoint(f, offset);
    return rc == TC_OK ? publish_end(f, offset) : rc;
}

static int after_second(struct forecaster *f, const struct tc_second *m, int64_t offset)
{
    int64_t minute = m->second / (60 * TC_NS_PER_SEC);
    if (f->external && !f->relearning) {
        int rc = tc_external_publish(f->external, false, on_record, f, offset);
        if (rc < 0)
            return rc;
    }
    int64_t every = f->made ? 1 + tc_engine_symbols(f->engine) / SYMBOLS_A_MINUTE : IDLE_MINUTES;
    if (f->relearning || (f->minute && minute < f->minute + every))
        return TC_OK;
    int rc = tc_outbox_flush(f->outbox); /* forecasts do not wait for the state, which may be 50 MB */
    if (rc < 0)
        return rc;
    f->minute = minute;
    f->made = 0;
    return checkpoint(f, offset);
}

static void note_marker(struct forecaster *f, const struct tc_second *m)
{
    f->live = !m->log_time;
    if (f->n_markers == MARKERS_MAX || (f->live && !f->caught_up))
        return;
    f->markers[f->n_markers].live = !m->log_time;
    f->markers[f->n_markers++].at = m->log_time ? tc_mono_ns() : m->available;
}

/* A forecast that is made again keeps the instant of issue under which it went out: what was late stays late.
 * With log time that is the marker's own. */
static int issue_again(struct forecaster *f, struct tc_second *m, int64_t offset)
{
    const struct tc_record *o = &f->old_record;
    int64_t at;
    while (f->old &&
           (o->from < offset || (o->from == offset && (o->type != TC_REC_FORECAST || tc_external_is(o))))) {
        int rc = f->bus->ops->read(f->old, &f->old_record, &at);
        if (rc == TC_OK)
            continue;
        f->bus->ops->close_reader(f->old);
        f->old = NULL;
        return rc < 0 ? rc : TC_OK;
    }
    if (f->old && o->from == offset)
        m->available = o->forecast.issued;
    return TC_OK;
}

static int handle(struct forecaster *f, int64_t offset)
{
    struct tc_record *r = &f->in;
    int rc = take_again(f, offset);
    if (rc == TC_OK && r->type == TC_REC_SECOND && f->external)
        rc = tc_external_begin(f->external, r->second.second, on_record, f, offset);
    if (rc < 0)
        return rc;
    if (f->relearning && offset >= f->answered) {
        f->relearning = false;
        tc_engine_mute(f->engine, false);
    }
    if (r->type == TC_REC_END)
        return end_input(f, offset);
    if (f->ended && r->type == TC_REC_SECOND)
        f->ended = false; /* the source was taken up again */
    if (r->type == TC_REC_SECOND) {
        note_marker(f, &r->second);
        if (r->second.second >= f->published) {
            tc_engine_set_clock(f->engine, f->now);
            f->clocked = true;
        }
        if (!r->second.log_time)
            rc = issue_again(f, &r->second, offset);
    }
    if (rc == TC_OK)
        rc = tc_engine_feed(f->engine, r, offset, on_record, f);
    if (rc < 0)
        return tc_more(rc, "bars, record %lld", (long long)offset);
    return r->type == TC_REC_SECOND ? after_second(f, &r->second, offset) : TC_OK;
}

/* Seconds that are caught up with in one cycle (history, a replay at full speed) wait for each other: their
 * time says nothing about a forecast's latency. */
static void tell_metrics(struct forecaster *f)
{
    bool catching_up = f->n_markers > 1;
    for (size_t i = 0; i < f->n_markers; i++) {
        if (f->markers[i].live ? f->markers[i].at < f->started : catching_up)
            continue;
        int64_t now = f->markers[i].live ? tc_now_ns() : tc_mono_ns();
        tc_hist_add(f->latency, now - f->markers[i].at);
    }
    f->n_markers = 0;
    struct tc_bus_stat stat;
    f->bus->ops->stat(f->bus->self, TC_TOPIC_BARS, &stat);
    tc_metric_set(f->lag, stat.end - f->next);
    tc_metric_set(f->scored_total, (int64_t)f->scored);
    if (f->sq_persist > 0)
        tc_metric_set(f->ratio, (int64_t)(1e6 * sqrt(f->sq_model / f->sq_persist)));
}

/* Windows that stay open take their step (forecast/engine.h): a piece at a time, and only while no record
 * waits. */
static int work_after(struct forecaster *f)
{
    if (f->after_ns < 0)
        return 0;
    int64_t from = tc_mono_ns();
    size_t steps = tc_engine_advance(f->engine);
    if (steps) {
        f->after_ns += tc_mono_ns() - from;
        return 1;
    }
    if (f->after_ns > 0)
        tc_hist_add(f->after, f->after_ns);
    f->after_ns = -1;
    tc_metric_set(f->depth, 0);
    return 0;
}

static void note_left(struct forecaster *f)
{
    int64_t left = (int64_t)tc_engine_left(f->engine);
    f->after_ns = 0;
    tc_metric_set(f->depth, left);
    if (left > tc_metric_get(f->high_water))
        tc_metric_set(f->high_water, left);
}

static void end_swap(struct forecaster *f, enum tc_swap_state state)
{
    tc_swap_close(f->swap);
    f->swap = NULL;
    atomic_store(&f->asked.state, state);
}

static int fail_swap(struct forecaster *f)
{
    snprintf(f->asked.why, sizeof(f->asked.why), "%s", tc_error());
    end_swap(f, TC_SWAP_FAILED);
    return 0;
}

/* The new engine goes on, from a checkpoint of its own: behind it nothing is made again by the old one. */
static int take_over(struct forecaster *f)
{
    int rc = take_again(f, f->next);
    if (rc == TC_OK)
        rc = tc_engine_flush_scores(f->engine, f->next - 1, on_record, f);
    if (rc < 0)
        return rc;
    if (tc_swap_finish(f->swap, f->engine, &f->conf, &f->engine) < 0)
        return fail_swap(f);
    if (f->external)
        tc_external_follow(f->external, f->engine);
    if (f->clocked)
        tc_engine_set_clock(f->engine, f->now);
    memcpy(f->kernel, tc_model_info(f->conf.networks[0])->kernel, sizeof(f->kernel));
    f->swapped = tc_engine_time(f->engine);
    f->scored = f->sq_model = f->sq_persist = 0;
    f->after_ns = -1;
    tc_log_info("forecast", "%s has taken the place of %s", tc_model_info(f->asked.model)->id,
                f->conf.retired);
    rc = checkpoint(f, f->next - 1);
    rc = rc < 0 ? rc : tc_outbox_flush(f->outbox);
    end_swap(f, TC_SWAP_DONE);
    return rc < 0 ? rc : 1;
}

/* A slice of an exchange, while no record waits. What a model replaced before said must have been scored. */
static int work_swap(struct forecaster *f)
{
    if (atomic_load(&f->asked.state) != TC_SWAP_WARMING || f->relearning || f->next <= 0)
        return 0;
    int64_t now = tc_engine_time(f->engine), open = f->conf.horizons_ms[f->conf.n_horizons - 1] / 1000 + 1;
    if (!f->swap &&
        tc_swap_open(&f->conf, f->asked.place, f->asked.model, f->bus, f->next, now, &f->swap) < 0)
        return fail_swap(f);
    int rc = tc_swap_warm(f->swap, f->next, WARM_NS);
    if (rc < 0)
        return fail_swap(f);
    if (rc == 0)
        return 1;
    return f->swapped && now < f->swapped + open * TC_NS_PER_SEC ? 0 : take_over(f);
}

int tc_forecaster_swap(struct tc_role *role, int32_t place, struct tc_model *model)
{
    struct forecaster *f = role->self;
    if (atomic_load(&f->asked.state) != TC_SWAP_NONE)
        return tc_fail(TC_EBUSY, "another model is being exchanged");
    f->asked.place = place;
    f->asked.model = model;
    atomic_store(&f->asked.state, TC_SWAP_WARMING);
    return TC_OK;
}

enum tc_swap_state tc_forecaster_swap_state(struct tc_role *role, char *why, size_t size)
{
    struct forecaster *f = role->self;
    int state = atomic_load(&f->asked.state);
    if (state == TC_SWAP_FAILED)
        snprintf(why, size, "%s", f->asked.why);
    if (state == TC_SWAP_FAILED || state == TC_SWAP_DONE)
        atomic_store(&f->asked.state, TC_SWAP_NONE);
    return (enum tc_swap_state)state;
}

static int work(void *self)
{
    struct forecaster *f = self;
    int done = 0, rc = TC_OK;
    for (; done < CYCLE_RECORDS && rc == TC_OK; done++) {
        int64_t offset;
        rc = f->bus->ops->read(f->reader, &f->in, &offset);
        if (rc == TC_OK) {
            rc = handle(f, offset);
            f->next = offset + 1;
        }
        if (rc != TC_OK)
            break;
    }
    if (rc < 0)
        return rc;
    f->caught_up |= rc == TC_AGAIN && f->live;
    if (done) {
        rc = tc_outbox_flush(f->outbox);
        tell_metrics(f);
        note_left(f);
    } else {
        done = work_after(f);
        if (!done)
            done = work_swap(f);
        rc = done < 0 ? done : rc;
    }
    if (rc == TC_AGAIN) {
        int answered = answer_others(f);
        return answered < 0 ? answered : done + answered;
    }
    return rc < 0 ? rc : done;
}

static bool ended(const void *self)
{
    return ((const struct forecaster *)self)->ended;
}

static int flush(void *self, int64_t deadline_mono_ns)
{
    (void)deadline_mono_ns; /* a flush is one write */
    return tc_outbox_flush(((struct forecaster *)self)->outbox);
}

static void close_forecaster(void *self)
{
    struct forecaster *f = self;
    if (!f)
        return;
    if (f->reader)
        f->bus->ops->close_reader(f->reader);
    if (f->old)
        f->bus->ops->close_reader(f->old);
    if (f->again)
        f->bus->ops->close_reader(f->again);
    tc_outbox_close(f->outbox);
    tc_swap_close(f->swap);
    tc_external_close(f->external);
    tc_inbox_close(f->inbox);
    tc_engine_close(f->engine);
    tc_buf_release(&f->blob);
    free(f);
}

static const struct tc_role_ops OPS = {
    .name = "forecast", .work = work, .ended = ended, .flush = flush, .close = close_forecaster};

static size_t head_size(const struct tc_checkpoint *c)
{
    int64_t version;
    memcpy(&version, c->blob, sizeof(version));
    return version == 1 ? HEAD_V1 : sizeof(struct blob_head);
}

static int restore(struct forecaster *f, const struct tc_checkpoint *c)
{
    struct blob_head h = {0};
    if (c->blob_len < sizeof(h))
        return tc_fail(TC_EINPUT, "the forecast checkpoint is damaged (short)");
    size_t head = head_size(c);
    memcpy(&h, c->blob, head);
    if (h.external < 0 || (uint64_t)h.external > c->blob_len - head)
        return tc_fail(TC_EINPUT, "the forecast checkpoint is damaged (forecasts of others)");
    if (h.version != BLOB_VERSION && h.version != 1)
        return tc_fail(TC_EINPUT, "the forecast checkpoint is of another version (%lld)",
                       (long long)h.version);
    struct tc_bus_stat bars;
    f->bus->ops->stat(f->bus->self, TC_TOPIC_BARS, &bars);
    if (c->position < bars.first) /* retention waits for no role that does not run (--no-forecast) */
        return tc_fail(
            TC_EINPUT,
            "the log begins at record %lld and the forecast checkpoint goes on at %lld: start with "
            "a new data folder",
            (long long)bars.first, (long long)c->position);
    size_t external = (size_t)h.external;
    int rc = tc_engine_load(f->engine, c->blob + head, c->blob_len - head - external);
    if (rc >= 0 && external)
        rc = open_external(f);
    if (rc >= 0 && external)
        rc = tc_external_load(f->external, c->blob + c->blob_len - external, external);
    if (rc < 0)
        return rc;
    f->minute = h.minute;
    f->made = h.made;
    f->next = c->position;
    f->ended = h.ended;
    if (!f->ended)
        return TC_OK;
    rc = publish_end(f, c->position - 1); /* swallowed when it is there already */
    return rc == TC_OK ? tc_outbox_flush(f->outbox) : rc;
}

/* Forecasts up to the newest published one are made again and swallowed; they went out in their time. */
static int find_published(struct forecaster *f)
{
    struct tc_bus_stat stat;
    struct tc_bus_reader *reader;
    int64_t offset;
    f->bus->ops->stat(f->bus->self, TC_TOPIC_FORECASTS, &stat);
    int64_t start = stat.end - LOOK_BACK > stat.first ? stat.end - LOOK_BACK : stat.first;
    int rc = f->bus->ops->open_reader(f->bus->self, TC_TOPIC_FORECASTS, start, 0, &reader);
    if (rc < 0)
        return rc;
    while ((rc = f->bus->ops->read(reader, &f->in, &offset)) == TC_OK) {
        if (f->in.type == TC_REC_FORECAST && !tc_external_is(&f->in))
            f->published = f->in.forecast.origin_time;
        if (f->in.from >= f->answered)
            f->answered = f->in.from + 1;
    }
    f->bus->ops->close_reader(reader);
    return rc < 0 ? rc : TC_OK;
}

static void open_metrics(struct forecaster *f)
{
    f->forecasts = tc_counter("tickcast_forecasts_total", NULL, "Forecasts made");
    f->scored_total = tc_gauge("tickcast_scored_total", NULL,
                               "Forecasts of the next traded price scored since start, of the shown model");
    f->ratio = tc_gauge("tickcast_skill_ratio_millionths", NULL,
                        "RMSE of those over that of no change, in millionths");
    f->lag = tc_gauge("tickcast_lag_records", "role=\"forecast\",topic=\"bars\"",
                      "Records published and not taken by the role yet");
    f->depth = tc_gauge("tickcast_queue_depth", "queue=\"forecast\"", "Items in a queue");
    f->high_water = tc_gauge("tickcast_queue_high_water", "queue=\"forecast\"", "Most items it ever had");
    f->after = tc_latency("tickcast_forecast_after_seconds", NULL,
                          "Work on open windows after the forecasts of a second went out");
    f->after_ns = -1;
    f->accepted =
        tc_counter("tickcast_external_forecasts_total", "result=\"accepted\"", "Forecasts of others");
    f->refused = tc_counter("tickcast_external_forecasts_total", "result=\"refused\"", "Forecasts of others");
    f->started = tc_now_ns();
    f->latency = tc_latency("tickcast_forecast_seconds", NULL, "From a second's marker to its forecasts");
}

static int open_engine(struct forecaster *f, const struct tc_forecaster_conf *conf)
{
    const struct tc_checkpoint *c = tc_outbox_checkpoint(f->outbox);
    f->conf = conf->engine;
    f->conf.resolved = on_resolved;
    f->conf.resolved_ctx = f;
    f->conf.now = NULL;
    f->now = conf->engine.now;
    if (c && !f->relearning && c->blob_len > sizeof(struct blob_head))
        tc_engine_retired(c->blob + head_size(c), c->blob_len - head_size(c), f->conf.retired);
    int rc = tc_engine_open(&f->conf, &f->engine);
    return rc < 0 ? rc : tc_checkpoint_fits(f->engine, f->conf.symbols);
}

static int open_outbox(struct forecaster *f, const struct tc_forecaster_conf *conf)
{
    struct tc_outbox_conf out = {.bus = conf->bus,
                                 .topic = TC_TOPIC_FORECASTS,
                                 .input = TC_TOPIC_BARS,
                                 .role = "forecast",
                                 .snapshot_position = conf->snapshot_position,
                                 .batch = OUT_BATCH,
                                 .foreign = tc_external_is};
    int rc = tc_outbox_open(&out, &f->outbox);
    return rc < 0 ? rc : find_published(f);
}

/* The checkpoint is of other models, another kernel or another version of the program: a fresh engine learns
 * again from what the log still holds, silently up to the newest answer that was published. */
static int relearn(struct forecaster *f, const struct tc_forecaster_conf *conf)
{
    tc_log_warn("forecast",
                "%s. Going on with a fresh state that learns again from the log; scores of the half hour "
                "under way start anew",
                tc_error());
    tc_external_close(f->external); /* it spoke of what the old engine had open */
    f->external = NULL;
    tc_engine_close(f->engine);
    f->engine = NULL;
    f->relearning = true;
    int rc = open_engine(f, conf);
    if (rc < 0)
        return rc;
    struct tc_bus_stat stat;
    f->bus->ops->stat(f->bus->self, TC_TOPIC_BARS, &stat);
    f->next = stat.end - RELEARN_RECORDS > stat.first ? stat.end - RELEARN_RECORDS : stat.first;
    f->minute = f->made = 0;
    f->ended = false;
    tc_engine_mute(f->engine, true);
    tc_outbox_start_over(f->outbox);
    return TC_OK;
}

static int open_parts(struct forecaster *f, const struct tc_forecaster_conf *conf)
{
    int rc = open_outbox(f, conf);
    if (rc == TC_OK)
        rc = open_engine(f, conf);
    if (rc < 0)
        return rc;
    const struct tc_checkpoint *c = tc_outbox_checkpoint(f->outbox);
    f->next = -1;
    if (c)
        rc = restore(f, c);
    if ((rc == TC_ECONF || rc == TC_EINPUT) && conf->may_relearn)
        rc = relearn(f, conf);
    int64_t old = tc_outbox_old(f->outbox);
    f->old_record.from = -1;
    if (rc == TC_OK && old >= 0)
        rc = f->bus->ops->open_reader(f->bus->self, TC_TOPIC_FORECASTS, old, 0, &f->old);
    f->again_record.from = -1;
    if (rc == TC_OK && old >= 0)
        rc = f->bus->ops->open_reader(f->bus->self, TC_TOPIC_FORECASTS, old, 0, &f->again);
    return rc < 0 ? rc : f->bus->ops->open_reader(f->bus->self, TC_TOPIC_BARS, f->next, 0, &f->reader);
}

int tc_forecaster_open(const struct tc_forecaster_conf *conf, struct tc_role *out)
{
    struct forecaster *f = calloc(1, sizeof(*f));
    if (!f)
        return tc_fail(TC_ENOMEM, "no memory for the forecast role");
    f->bus = conf->bus;
    f->shown = conf->engine.n_networks ? TC_ME_NETWORK : TC_ME_RIDGE;
    snprintf(f->kernel, sizeof(f->kernel), "c");
    if (conf->engine.n_networks)
        memcpy(f->kernel, tc_model_info(conf->engine.networks[0])->kernel, sizeof(f->kernel));
    tc_buf_init(&f->blob, TC_BLOB_MAX);
    open_metrics(f);
    int rc = tc_inbox_open(&f->inbox);
    if (rc == TC_OK)
        rc = open_parts(f, conf);
    if (rc < 0) {
        tc_more(rc, "forecast role");
        close_forecaster(f);
        return rc;
    }
    *out = (struct tc_role){&OPS, f};
    return TC_OK;
}
