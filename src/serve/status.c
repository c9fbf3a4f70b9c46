#include "serve/status.h"
#include "base/clock.h"
#include "base/err.h"
#include "serve/hub.h"
#include "serve/models.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tick {
    int64_t mono, bars, forecasts;
    uint64_t events;
};

struct tc_status {
    struct tc_serve *serve;
    pthread_mutex_t lock; /* guards what follows */
    struct tick last;
    double bars_per_s, events_per_s, forecasts_per_s;
};

int tc_status_open(struct tc_serve *s, struct tc_status **out)
{
    struct tc_status *st = calloc(1, sizeof(*st));
    if (!st)
        return tc_fail(TC_ENOMEM, "no memory for the status");
    st->serve = s;
    pthread_mutex_init(&st->lock, NULL);
    *out = st;
    return TC_OK;
}

void tc_status_close(struct tc_status *st)
{
    if (!st)
        return;
    pthread_mutex_destroy(&st->lock);
    free(st);
}

static struct tc_feed_health health_of(const struct tc_feed *f)
{
    struct tc_feed_health h = {.state = "unknown"};
    if (f->ops && f->ops->health)
        f->ops->health(f->self, &h);
    return h;
}

static double rate(int64_t now, int64_t before, int64_t ns)
{
    return ns > 0 ? (double)(now - before) * 1e9 / (double)ns : 0;
}

void tc_status_tick(struct tc_status *st, int64_t mono)
{
    struct tc_live_totals t;
    tc_live_totals(st->serve->live, &t);
    struct tick now = {.mono = mono, .bars = t.bars, .forecasts = t.forecasts};
    for (size_t i = 0; i < st->serve->conf.n_feeds; i++)
        now.events += health_of(st->serve->conf.feeds[i]).events;
    pthread_mutex_lock(&st->lock);
    int64_t ns = st->last.mono ? mono - st->last.mono : 0;
    st->bars_per_s = rate(now.bars, st->last.bars, ns);
    st->forecasts_per_s = rate(now.forecasts, st->last.forecasts, ns);
    st->events_per_s = rate((int64_t)now.events, (int64_t)st->last.events, ns);
    st->last = now;
    pthread_mutex_unlock(&st->lock);
}

static void put_text(struct tc_buf *out, const char *name, const char *text)
{
    tc_buf_printf(out, ",\"%s\":", name);
    if (text)
        tc_buf_json_string(out, text);
    else
        tc_buf_str(out, "null");
}

static void put_time(struct tc_buf *out, const char *name, int64_t t)
{
    tc_buf_printf(out, ",\"%s\":", name);
    if (t > 0 && t < INT64_MAX)
        tc_buf_int(out, t);
    else
        tc_buf_str(out, "null");
}

static void put_num(struct tc_buf *out, const char *name, double v)
{
    tc_buf_printf(out, ",\"%s\":", name);
    tc_buf_double(out, v);
}

static void put_int(struct tc_buf *out, const char *name, int64_t v)
{
    tc_buf_printf(out, ",\"%s\":%lld", name, (long long)v);
}

static void write_feeds(const struct tc_server_conf *conf, int64_t now, struct tc_buf *out)
{
    tc_buf_str(out, ",\"feeds\":[");
    for (size_t i = 0; i < conf->n_feeds; i++) {
        const struct tc_feed *f = conf->feeds[i];
        struct tc_feed_health h = health_of(f);
        tc_buf_str(out, i ? ",{\"name\":" : "{\"name\":");
        tc_buf_json_string(out, f->name);
        put_text(out, "state", h.state);
        put_text(out, "detail", h.detail[0] ? h.detail : NULL);
        tc_buf_str(out, h.healthy ? ",\"healthy\":true" : ",\"healthy\":false");
        put_int(out, "symbols", f->n_symbols);
        put_num(out, "age_ms", h.last_event_ns ? fmax(0, (double)(now - h.last_event_ns) / 1e6) : NAN);
        put_int(out, "events", (int64_t)h.events);
        put_int(out, "bad_lines", (int64_t)h.bad_lines);
        put_int(out, "reconnects", (int64_t)h.reconnects);
        tc_buf_char(out, '}');
    }
    tc_buf_char(out, ']');
}

static const char *phase_of(const struct tc_session *s, int64_t t)
{
    if (!s || t < s->pre_open || t >= s->post_close)
        return "closed";
    return t < s->open ? "pre" : t < s->close ? "regular" : "after";
}

static void write_last(const struct tc_calendar *c, int64_t t, struct tc_buf *out)
{
    struct tc_session last;
    if (!c || tc_calendar_always_open(c) || tc_calendar_previous(c, t, &last) != TC_OK) {
        tc_buf_str(out, ",\"last\":null");
        return;
    }
    tc_buf_printf(out, ",\"last\":{\"day\":%d", last.day);
    put_int(out, "open", last.open);
    put_int(out, "close", last.close);
    tc_buf_char(out, '}');
}

/* The exchange's clock shows the time of the data where that is not now. */
static void write_calendar(const struct tc_server_conf *conf, int64_t t, struct tc_buf *out)
{
    const struct tc_calendar *c = conf->n_calendars ? conf->calendars[0] : NULL;
    int32_t day = c ? tc_calendar_day(c, t) : tc_date_utc(t);
    tc_buf_str(out, ",\"calendar\":{\"name\":");
    tc_buf_json_string(out, c ? tc_calendar_name(c) : "always");
    put_text(out, "zone", c ? tc_calendar_zone(c) : "UTC");
    put_int(out, "offset_s", c ? tc_calendar_offset_s(c, t) : 0);
    put_int(out, "day", day);
    struct tc_session today, next;
    bool known = c && tc_calendar_session(c, day, &today) == TC_OK;
    bool always = !c || tc_calendar_always_open(c);
    put_text(out, "state", always ? "always" : tc_calendar_is_open(c, t) ? "open" : "closed");
    put_text(out, "phase", always ? "always" : phase_of(known ? &today : NULL, t));
    put_text(out, "reason", c ? tc_calendar_closed_reason(c, day) : NULL);
    put_time(out, "open", known ? today.open : 0);
    put_time(out, "close", known ? today.close : 0);
    tc_buf_str(out, known && today.early_close ? ",\"early_close\":true" : ",\"early_close\":false");
    int64_t next_open = 0;
    if (!always && tc_calendar_next(c, t, &next) == TC_OK) {
        next_open = next.open;
        if (next.open <= t && tc_calendar_next(c, next.close, &next) == TC_OK)
            next_open = next.open;
    }
    put_time(out, "next_open", next_open);
    write_last(c, t, out);
    tc_buf_char(out, '}');
}

/* `key` with what stands before it: a brace or a comma. */
static void put_latency(struct tc_buf *out, const char *key, const char *metric, double q)
{
    const struct tc_hist *h = tc_latency_find(metric, NULL);
    bool any = h && atomic_load_explicit(&h->count, memory_order_relaxed);
    tc_buf_printf(out, "%c\"%s\":", key[0], key + 1);
    tc_buf_double(out, any ? (double)tc_hist_quantile(h, q) / 1e6 : NAN);
}

static int64_t counter(const char *name, const char *labels)
{
    const tc_metric *m = tc_metric_find(name, labels);
    return m ? tc_metric_get(m) : 0;
}

static void write_counters(const struct tc_bus *bus, const struct tc_live_totals *t, struct tc_buf *out)
{
    struct tc_bus_stat stat;
    int64_t produced = 0;
    for (int topic = 0; topic < TC_TOPIC_COUNT; topic++) {
        bus->ops->stat(bus->self, (enum tc_topic)topic, &stat);
        produced += stat.end;
    }
    int64_t inserted = counter("tickcast_stored_total", "result=\"inserted\""),
            superseded = counter("tickcast_stored_total", "result=\"superseded\""),
            duplicate = counter("tickcast_stored_total", "result=\"duplicate\""),
            dead = counter("tickcast_stored_total", "result=\"dead_lettered\"");
    tc_buf_printf(out, ",\"counters\":{\"produced\":%lld", (long long)produced);
    put_int(out, "stored", inserted + superseded + duplicate + dead);
    put_int(out, "inserted", inserted);
    put_int(out, "superseded", superseded);
    put_int(out, "duplicate", duplicate);
    put_int(out, "dead_lettered", dead);
    put_int(out, "late_bars", t->late);
    put_int(out, "revised_bars", t->revised);
    put_int(out, "gaps_today", t->gaps_day);
    tc_buf_char(out, '}');
}

static void write_lag(struct tc_serve *s, struct tc_buf *out)
{
    static const struct {
        const char *role;
        enum tc_topic topic;
    } others[] = {{"forecast", TC_TOPIC_BARS},
                  {"store", TC_TOPIC_BARS},
                  {"store", TC_TOPIC_FORECASTS},
                  {"store", TC_TOPIC_POSTS}};
    tc_buf_str(out, ",\"lag\":[");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char labels[64];
        const char *topic = tc_topic_name(others[i].topic);
        snprintf(labels, sizeof(labels), "role=\"%s\",topic=\"%s\"", others[i].role, topic);
        const tc_metric *m = tc_metric_find("tickcast_lag_records", labels);
        if (m)
            tc_buf_printf(out, "{\"role\":\"%s\",\"topic\":\"%s\",\"records\":%lld},", others[i].role, topic,
                          (long long)tc_metric_get(m));
    }
    struct tc_vector at = tc_hub_at(s->hub);
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        struct tc_bus_stat stat;
        s->conf.bus->ops->stat(s->conf.bus->self, (enum tc_topic)t, &stat);
        int64_t lag = stat.end - at.at[t];
        tc_buf_printf(out, "%s{\"role\":\"serve\",\"topic\":\"%s\",\"records\":%lld}", t ? "," : "",
                      tc_topic_name((enum tc_topic)t), (long long)(lag > 0 ? lag : 0));
    }
    tc_buf_char(out, ']');
}

static void write_models(const struct tc_server_conf *conf, struct tc_buf *out)
{
    struct tc_model_card cards[TC_CARDS_MAX];
    struct tc_model_change change;
    size_t n = tc_models_copy(conf->models, cards, &change);
    tc_buf_str(out, ",\"models\":[");
    for (size_t i = 0; i < n; i++) {
        const struct tc_model_card *m = &cards[i];
        tc_buf_str(out, i ? ",{\"id\":" : "{\"id\":");
        tc_buf_json_string(out, m->id);
        put_text(out, "kind", m->kind);
        put_text(out, "mode", m->mode);
        put_text(out, "inputs", m->inputs);
        put_text(out, "unit", m->unit);
        put_text(out, "kernel", m->kernel);
        put_text(out, "trained_from", m->trained_from);
        put_text(out, "trained_to", m->trained_to);
        put_num(out, "trained_rows", m->trained_rows > 0 ? (double)m->trained_rows : NAN);
        put_text(out, "symbols", m->symbols);
        put_time(out, "since", m->since);
        tc_buf_char(out, '}');
    }
    tc_buf_str(out, "],\"model_swap\":{\"state\":");
    tc_buf_json_string(out, change.state);
    put_text(out, "model", change.id[0] ? change.id : NULL);
    put_text(out, "message", change.message[0] ? change.message : NULL);
    put_time(out, "time", change.time);
    tc_buf_char(out, '}');
}

static void write_sources(const struct tc_server_conf *conf, struct tc_buf *out)
{
    tc_buf_str(out, ",\"posts\":[");
    for (size_t i = 0; i < conf->n_sources; i++) {
        struct tc_source_health h;
        conf->sources[i].ops->health(conf->sources[i].self, &h);
        tc_buf_str(out, i ? ",{\"source\":" : "{\"source\":");
        tc_buf_json_string(out, conf->sources[i].ops->name);
        put_text(out, "state", h.state);
        tc_buf_str(out, h.healthy ? ",\"healthy\":true" : ",\"healthy\":false");
        put_num(out, "last", h.last_ns ? (double)h.last_ns : NAN);
        put_int(out, "posts", (int64_t)h.posts);
        put_int(out, "holes", (int64_t)h.holes);
        put_int(out, "errors", (int64_t)h.errors);
        put_text(out, "note", h.note[0] ? h.note : NULL);
        tc_buf_char(out, '}');
    }
    tc_buf_char(out, ']');
}

static void write_queues(struct tc_serve *s, struct tc_buf *out)
{
    size_t depth, high;
    tc_hub_backlog(s->hub, &depth, &high);
    tc_buf_printf(out, ",\"queues\":[{\"name\":\"stream\",\"depth\":%zu,\"high_water\":%zu}", depth, high);
    static const char *const rings[] = {"collect", "store",   "forecast", "coinbase", "binance",
                                        "kraken",  "massive", "alpaca",   "finnhub"};
    for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
        char labels[32];
        snprintf(labels, sizeof(labels), "queue=\"%s\"", rings[i]);
        const tc_metric *d = tc_metric_find("tickcast_queue_depth", labels),
                        *w = tc_metric_find("tickcast_queue_high_water", labels);
        if (d && w)
            tc_buf_printf(out, ",{\"name\":\"%s\",\"depth\":%lld,\"high_water\":%lld}", rings[i],
                          (long long)tc_metric_get(d), (long long)tc_metric_get(w));
    }
    tc_buf_char(out, ']');
}

void tc_status_write(struct tc_status *st, struct tc_buf *out)
{
    struct tc_serve *s = st->serve;
    const struct tc_server_conf *conf = &s->conf;
    struct tc_live_totals t;
    int64_t now = tc_now_ns();
    tc_live_totals(s->live, &t);
    tc_buf_str(out, "{\"version\":");
    tc_buf_json_string(out, conf->version);
    put_text(out, "mode", conf->mode);
    put_text(out, "mode_text", conf->mode_text);
    put_int(out, "started", s->started);
    put_int(out, "now", now);
    put_time(out, "data_time", t.data_time);
    put_num(out, "speed", conf->speed);
    write_feeds(conf, now, out);
    write_calendar(conf, conf->world == TC_WORLD_REPLAY && t.data_time ? t.data_time : now, out);
    pthread_mutex_lock(&st->lock);
    double bars = st->bars_per_s, events = st->events_per_s, forecasts = st->forecasts_per_s;
    pthread_mutex_unlock(&st->lock);
    tc_buf_str(out, ",\"rates\":{\"bars_per_s\":");
    tc_buf_double(out, bars);
    put_num(out, "events_per_s", events);
    put_num(out, "forecasts_per_s", forecasts);
    tc_buf_char(out, '}');
    write_sources(conf, out);
    write_queues(s, out);
    tc_buf_str(out, ",\"latency\":");
    put_latency(out, "{forecast_p50_ms", "tickcast_forecast_seconds", 0.5);
    put_latency(out, ",forecast_p99_ms", "tickcast_forecast_seconds", 0.99);
    put_latency(out, ",forecast_after_p50_ms", "tickcast_forecast_after_seconds", 0.5);
    put_latency(out, ",forecast_after_p99_ms", "tickcast_forecast_after_seconds", 0.99);
    put_latency(out, ",store_p99_ms", "tickcast_store_write_seconds", 0.99);
    put_latency(out, ",sse_p99_ms", "tickcast_sse_seconds", 0.99);
    tc_buf_char(out, '}');
    write_counters(conf->bus, &t, out);
    write_lag(s, out);
    write_models(conf, out);
    tc_buf_str(out, ",\"schedule\":");
    if (conf->schedule)
        conf->schedule(conf->schedule_ctx, out);
    else
        tc_buf_str(out, "null");
    tc_buf_str(out, ",\"alerts\":");
    if (conf->alerts)
        conf->alerts(conf->schedule_ctx, out);
    else
        tc_buf_str(out, "[]");
    put_int(out, "clients", atomic_load_explicit(&s->streams, memory_order_relaxed));
    put_text(out, "notice", conf->notice);
    tc_buf_char(out, '}');
}

bool tc_status_ready(struct tc_status *st, const char **why)
{
    const struct tc_server_conf *conf = &st->serve->conf;
    struct tc_live_totals t;
    tc_live_totals(st->serve->live, &t);
    if (t.ended)
        return true;
    bool healthy = conf->n_feeds == 0;
    for (size_t i = 0; i < conf->n_feeds; i++)
        healthy = healthy || health_of(conf->feeds[i]).healthy;
    for (size_t i = 0; i < conf->n_feeds; i++) {
        struct tc_feed_health h = health_of(conf->feeds[i]);
        if (h.healthy && h.state && !strcmp(h.state, "asleep"))
            return true; /* at night there is nothing to wait for */
    }
    *why = !healthy ? "no feed is healthy" : !t.second && !t.data_time ? "no data has come yet" : NULL;
    return !*why;
}
