#include "role/server.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "serve/auth.h"
#include "serve/http.h"
#include "serve/hub.h"
#include "serve/live.h"
#include "serve/merge.h"
#include "serve/status.h"
#include "serve/stream.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_NS TC_NS_PER_SEC
#define COMMENT_NS (10 * TC_NS_PER_SEC)
#define WAIT_NS (100 * TC_NS_PER_MS)
#define DAY_NS (86400 * TC_NS_PER_SEC)

enum {
    RING_BYTES = 4 << 20,
    RING_EVENTS = 16384,
    BATCH = 512,           /* records in one duty cycle */
    HISTORY_BARS = 400000, /* records of topic bars read at start at most */
    HISTORY_FORECASTS = 20000,
    PROBE_RECORDS = 256, /* looked through for one with a time */
    FAR_BEHIND = 50000,  /* records behind the bus at which nothing is encoded any more */
    CHANGED_MAX = 256,   /* symbols named in one `score` event; more are "*" */
};

struct server {
    struct tc_serve serve;
    struct tc_http *http;
    struct tc_merge merge;
    struct tc_vector live_from; /* records below it are history: no events */
    struct tc_buf event;
    int64_t next_tick, next_comment;
    size_t n_changed; /* symbols whose scores changed since the last `score` event */
    bool changed_more;
    char changed[CHANGED_MAX][TC_SYMBOL_SIZE];
    char token[TC_TOKEN_SIZE];
    char url[512];
};

/* ---- where to start ---- */

static int64_t time_of(const struct tc_record *r)
{
    switch (r->type) {
    case TC_REC_BAR:
        return r->bar.start;
    case TC_REC_QUOTE:
        return r->quote.second;
    case TC_REC_SECOND:
        return r->second.second;
    default:
        return -1;
    }
}

/* Time of the first record at or after the offset that has one; -1 when none is near. */
static int64_t time_at(const struct tc_bus *bus, int64_t offset)
{
    struct tc_bus_reader *reader;
    struct tc_record r;
    int64_t at, t = -1;
    if (bus->ops->open_reader(bus->self, TC_TOPIC_BARS, offset, 0, &reader) != TC_OK)
        return -1;
    for (int i = 0; i < PROBE_RECORDS && t < 0; i++) {
        if (bus->ops->read(reader, &r, &at) != TC_OK)
            break;
        t = time_of(&r);
    }
    bus->ops->close_reader(reader);
    return t;
}

/* First offset of topic bars (nearly: bars of a second are in no order) of the newest day, by halving. *cut:
 * the day began before it. */
static int64_t begin_of_day(const struct server *s, const struct tc_bus_stat *stat, bool *cut)
{
    const struct tc_bus *bus = s->serve.conf.bus;
    int64_t lo = stat->first, hi = stat->end;
    if (hi - lo > HISTORY_BARS)
        lo = hi - HISTORY_BARS;
    int64_t newest = time_at(bus, hi - PROBE_RECORDS > lo ? hi - PROBE_RECORDS : lo);
    int64_t oldest = lo;
    *cut = lo > 0;
    if (newest < 0)
        return lo;
    const struct tc_calendar *c = tc_serve_calendar(&s->serve.conf, "");
    int64_t midnight =
        c ? tc_calendar_local_midnight(c, tc_calendar_day(c, newest)) : newest - newest % DAY_NS;
    while (hi - lo > PROBE_RECORDS) {
        int64_t mid = lo + (hi - lo) / 2, t = time_at(bus, mid);
        if (t < 0 || t >= midnight)
            hi = mid;
        else
            lo = mid;
    }
    *cut = *cut && lo == oldest;
    return lo;
}

static int start_reading(struct server *s)
{
    const struct tc_bus *bus = s->serve.conf.bus;
    struct tc_bus_stat bars, forecasts, posts;
    bus->ops->stat(bus->self, TC_TOPIC_BARS, &bars);
    bus->ops->stat(bus->self, TC_TOPIC_FORECASTS, &forecasts);
    struct tc_vector from;
    bool cut;
    from.at[TC_TOPIC_BARS] = begin_of_day(s, &bars, &cut);
    tc_live_begin(s->serve.live, cut ? time_at(bus, from.at[TC_TOPIC_BARS]) : 0);
    from.at[TC_TOPIC_FORECASTS] = forecasts.end - HISTORY_FORECASTS > forecasts.first
                                      ? forecasts.end - HISTORY_FORECASTS
                                      : forecasts.first;
    s->live_from.at[TC_TOPIC_BARS] = bars.end;
    s->live_from.at[TC_TOPIC_FORECASTS] = forecasts.end;
    bus->ops->stat(bus->self, TC_TOPIC_POSTS, &posts);
    from.at[TC_TOPIC_POSTS] = s->live_from.at[TC_TOPIC_POSTS] =
        posts.end; /* older ones come from the store */
    tc_hub_start(s->serve.hub, &s->live_from);
    return tc_merge_open(&s->merge, bus, &from);
}

/* ---- work ---- */

static void note_score(struct server *s, const char *symbol)
{
    for (size_t i = 0; i < s->n_changed; i++)
        if (!strcmp(s->changed[i], symbol))
            return;
    if (s->n_changed == CHANGED_MAX)
        s->changed_more = true;
    else
        memcpy(s->changed[s->n_changed++], symbol, TC_SYMBOL_SIZE);
}

static void take(struct server *s, const struct tc_record *r, enum tc_topic topic, int64_t offset, bool far)
{
    struct tc_hub *hub = s->serve.hub;
    if (topic != TC_TOPIC_POSTS)
        tc_live_take(s->serve.live, r);
    if (offset < s->live_from.at[topic])
        return;
    if (r->type == TC_REC_SCORE)
        note_score(s, r->score.symbol);
    bool event = tc_stream_is_event(r);
    if (event && far) {
        tc_hub_drop(hub);
        event = false;
    }
    if (tc_hub_pass(hub, topic, offset, event))
        return;
    tc_buf_clear(&s->event);
    tc_stream_encode(r, &s->event);
    tc_hub_put(hub, topic, offset, tc_stream_key(r), &s->event);
    tc_metric_add(s->serve.m_events, 1);
}

/* Retention overtook us: go on at the oldest record there is; every client reads its range anew. */
static int overtaken(struct server *s)
{
    tc_log_warn("serve", "%s; going on with the oldest record that is kept", tc_error());
    tc_merge_close(&s->merge);
    int rc = start_reading(s);
    tc_hub_drop(s->serve.hub);
    return rc == TC_OK ? 1 : rc;
}

static int read_bus(struct server *s)
{
    const struct tc_bus *bus = s->serve.conf.bus;
    struct tc_bus_stat stat;
    bus->ops->stat(bus->self, TC_TOPIC_FORECASTS, &stat);
    int64_t behind = stat.end - s->merge.at.at[TC_TOPIC_FORECASTS];
    bus->ops->stat(bus->self, TC_TOPIC_BARS, &stat);
    behind += stat.end - s->merge.at.at[TC_TOPIC_BARS];
    int n = 0;
    while (n < BATCH) {
        const struct tc_record *r;
        enum tc_topic topic;
        int64_t offset;
        int rc = tc_merge_next(&s->merge, &r, &topic, &offset);
        if (rc == TC_AGAIN)
            break;
        if (rc == TC_ENOTFOUND)
            return overtaken(s);
        if (rc != TC_OK)
            return tc_more(rc, "serve cannot read the bus");
        take(s, r, topic, offset, behind > FAR_BEHIND);
        n++;
    }
    return n;
}

static void put_scores(struct server *s)
{
    struct tc_buf *out = &s->event;
    tc_buf_clear(out);
    tc_buf_str(out, "event: score\ndata: {\"symbols\":[");
    for (size_t i = 0; i < s->n_changed && !s->changed_more; i++) {
        if (i)
            tc_buf_char(out, ',');
        tc_buf_json_string(out, s->changed[i]);
    }
    tc_buf_str(out, s->changed_more ? "\"*\"]}\n\n" : "]}\n\n");
    tc_hub_put(s->serve.hub, TC_HUB_NO_TOPIC, 0, "", out);
    s->n_changed = 0;
    s->changed_more = false;
}

static void tick(struct server *s, int64_t mono)
{
    s->next_tick = mono + TICK_NS;
    tc_status_tick(s->serve.status, mono);
    tc_http_tick(s->http, mono);
    tc_metric_set(s->serve.m_streams, atomic_load_explicit(&s->serve.streams, memory_order_relaxed));
    if (!tc_hub_listened(s->serve.hub))
        return;
    if (s->n_changed)
        put_scores(s);
    tc_buf_clear(&s->event);
    if (mono >= s->next_comment) {
        s->next_comment = mono + COMMENT_NS;
        tc_buf_str(&s->event, ": alive\n");
    }
    tc_buf_str(&s->event, "event: status\ndata: ");
    tc_status_write(s->serve.status, &s->event);
    tc_buf_str(&s->event, "\n\n");
    tc_hub_put(s->serve.hub, TC_HUB_NO_TOPIC, 0, "", &s->event);
}

static int server_work(void *self)
{
    struct server *s = self;
    int n = read_bus(s);
    if (n < 0)
        return n;
    int64_t mono = tc_mono_ns();
    bool ticked = mono >= s->next_tick;
    if (ticked)
        tick(s, mono);
    if (n || ticked)
        tc_hub_flush(s->serve.hub);
    return n;
}

static int64_t server_wait(const void *self)
{
    const struct server *s = self;
    int64_t left = s->next_tick - tc_mono_ns();
    return left < 0 ? 0 : left < WAIT_NS ? left : WAIT_NS;
}

static void server_close(void *self)
{
    struct server *s = self;
    if (!s)
        return;
    if (s->serve.hub)
        tc_hub_stop(s->serve.hub);
    tc_http_close(s->http);
    tc_merge_close(&s->merge);
    tc_status_close(s->serve.status);
    tc_live_close(s->serve.live);
    tc_hub_close(s->serve.hub);
    tc_buf_release(&s->event);
    free(s);
}

/* ---- opening ---- */

static const struct tc_role_ops server_ops = {
    .name = "serve", .work = server_work, .wait_ns = server_wait, .close = server_close};

static int prepare_token(struct server *s, bool *needed)
{
    const struct tc_server_conf *conf = &s->serve.conf;
    bool loopback;
    int rc = tc_http_is_loopback(conf->host, &loopback);
    if (rc != TC_OK)
        return rc;
    *needed = !loopback || conf->token;
    if (!*needed)
        return TC_OK;
    if (!conf->token)
        return conf->token_file
                   ? tc_token_load(conf->token_file, s->token)
                   : tc_fail(TC_ECONF, "listening on %s needs serve.token or serve.token_file", conf->host);
    if (strlen(conf->token) >= sizeof(s->token) || strlen(conf->token) < 16)
        return tc_fail(TC_ECONF, "serve.token must have 16 to %zu characters", sizeof(s->token) - 1);
    memcpy(s->token, conf->token, strlen(conf->token) + 1);
    return TC_OK;
}

static void make_url(struct server *s, bool token)
{
    const struct tc_server_conf *conf = &s->serve.conf;
    bool any = !strcmp(conf->host, "0.0.0.0") || !strcmp(conf->host, "::") || !strcmp(conf->host, "[::]");
    const char *host = any ? "127.0.0.1" : conf->host;
    bool v6 = strchr(host, ':') && host[0] != '[';
    snprintf(s->url, sizeof(s->url), "http://%s%s%s:%d%s/%s%s", v6 ? "[" : "", host, v6 ? "]" : "",
             tc_http_port(s->http), conf->base_path, token ? "?token=" : "", token ? s->token : "");
}

static void register_metrics(struct tc_serve *s)
{
    s->m_streams = tc_gauge("tickcast_sse_clients", NULL, "Open event streams");
    s->m_events =
        tc_counter("tickcast_sse_events_total", NULL, "Events encoded for the streams, once for all clients");
    s->m_bytes = tc_counter("tickcast_sse_bytes_total", NULL, "Bytes handed to event streams");
    s->m_resets = tc_counter("tickcast_sse_resets_total", NULL, "Streams told to read their range anew");
    s->m_caught_up =
        tc_counter("tickcast_sse_resumes_total", NULL, "Streams that went on by reading the bus");
    s->m_rejected =
        tc_counter("tickcast_http_rejected_total", NULL, "Requests and connections ended because of a limit");
}

static int open_parts(struct server *s)
{
    struct tc_serve *serve = &s->serve;
    size_t bytes = serve->conf.ring_bytes ? serve->conf.ring_bytes : RING_BYTES;
    struct tc_hist *latency =
        tc_latency("tickcast_sse_seconds", NULL, "From an event's encoding to its handing over to a client");
    bool token = false;
    register_metrics(serve);
    tc_buf_init(&s->event, TC_HUB_EVENT_MAX);
    int rc = tc_hub_open(bytes, RING_EVENTS, latency, &serve->hub);
    if (rc == TC_OK)
        rc = tc_live_open(&serve->conf, &serve->live);
    if (rc == TC_OK)
        rc = tc_status_open(serve, &serve->status);
    if (rc == TC_OK)
        rc = start_reading(s);
    if (rc == TC_OK)
        rc = prepare_token(s, &token);
    if (rc == TC_OK)
        rc = tc_http_open(serve, token ? s->token : NULL, &s->http);
    if (rc == TC_OK)
        make_url(s, token);
    return rc;
}

int tc_server_open(const struct tc_server_conf *conf, struct tc_role *out)
{
    struct server *s = calloc(1, sizeof(*s));
    if (!s)
        return tc_fail(TC_ENOMEM, "no memory for the server");
    s->serve.conf = *conf;
    s->serve.started = tc_now_ns();
    int rc = open_parts(s);
    if (rc != TC_OK) {
        server_close(s);
        return rc;
    }
    *out = (struct tc_role){.ops = &server_ops, .self = s};
    return TC_OK;
}

const char *tc_server_url(const struct tc_role *role)
{
    return ((const struct server *)role->self)->url;
}

int32_t tc_server_port(const struct tc_role *role)
{
    return tc_http_port(((const struct server *)role->self)->http);
}
