#include "serve/stream.h"
#include "base/clock.h"
#include "base/err.h"
#include "market/symtab.h"
#include "serve/merge.h"
#include "serve/status.h"

#include <stdlib.h>
#include <string.h>

#define RESET_PAUSE_NS TC_NS_PER_SEC

enum {
    BATCH = 256,     /* records read from the bus at a time */
    READ_TRIES = 16, /* looks into the ring before the thread goes on to other clients */
    RETRY_MS = 1000, /* what EventSource waits before it comes back */
};

struct tc_stream {
    struct tc_serve *serve;
    struct tc_stream_io io;
    struct tc_hub_sub sub;
    struct tc_merge merge;
    bool catching_up;
    bool scores_passed; /* while catching up */
    int64_t last_reset; /* monotonic; 0 = never */
    size_t n_filter;    /* 0 = all symbols */
    char filter[TC_STREAM_FILTER_MAX][TC_SYMBOL_SIZE];
    struct tc_buf out;
    size_t sent; /* of out */
};

static bool wants(void *ctx, const char *symbol)
{
    const struct tc_stream *c = ctx;
    if (!c->n_filter || !strcmp(symbol, "*"))
        return true;
    for (size_t i = 0; i < c->n_filter; i++)
        if (!strcmp(c->filter[i], symbol))
            return true;
    return false;
}

static void fall_asleep(void *ctx)
{
    const struct tc_stream *c = ctx;
    c->io.sleep(c->io.ctx);
}

static void wake_up(void *ctx)
{
    const struct tc_stream *c = ctx;
    c->io.wake(c->io.ctx);
}

static bool parse_filter(struct tc_stream *c, const char *list, struct tc_reply *r)
{
    for (const char *p = list; p;) {
        size_t n = strcspn(p, ",");
        if (c->n_filter == TC_STREAM_FILTER_MAX)
            return tc_reply_error(r, 400, "parameter \"symbols\": more than %d symbols",
                                  TC_STREAM_FILTER_MAX);
        char *name = c->filter[c->n_filter];
        if (n < TC_SYMBOL_SIZE)
            memcpy(name, p, n);
        if (n >= TC_SYMBOL_SIZE || !tc_symbol_valid(name))
            return tc_reply_error(
                r, 400, "parameter \"symbols\": \"%.64s\" is no list of symbols such as SPY,BAC", list);
        c->n_filter++;
        p = p[n] ? p + n + 1 : NULL;
    }
    return true;
}

bool tc_stream_is_event(const struct tc_record *r)
{
    return r->type == TC_REC_BAR || r->type == TC_REC_SECOND || r->type == TC_REC_GAP ||
           r->type == TC_REC_FORECAST || r->type == TC_REC_OUTCOME || r->type == TC_REC_POST ||
           r->type == TC_REC_REMOVED;
}

const char *tc_stream_key(const struct tc_record *r)
{
    return r->type == TC_REC_POST || r->type == TC_REC_REMOVED ? "" : tc_record_key(r);
}

static const char *event_name(const struct tc_record *r)
{
    switch (r->type) {
    case TC_REC_BAR:
        return r->bar.revision > 0 ? "revision" : "bar";
    case TC_REC_SECOND:
        return "second";
    case TC_REC_GAP:
        return "gap";
    case TC_REC_FORECAST:
        return "forecast";
    case TC_REC_POST:
        return "post";
    case TC_REC_REMOVED:
        return "removed";
    default:
        return "outcome";
    }
}

bool tc_stream_encode(const struct tc_record *r, struct tc_buf *out)
{
    if (!tc_stream_is_event(r))
        return false;
    tc_buf_printf(out, "event: %s\ndata: ", event_name(r));
    tc_record_to_json(r, out);
    tc_buf_str(out, "\n\n");
    return true;
}

static void put_id(struct tc_stream *c)
{
    tc_buf_str(&c->out, "id: ");
    tc_vector_to_id(&c->sub.at, &c->out);
    tc_buf_char(&c->out, '\n');
}

static void put_hello(struct tc_stream *c)
{
    tc_buf_printf(&c->out, "retry: %d\n", RETRY_MS);
    put_id(c);
    tc_buf_str(&c->out, "event: hello\ndata: ");
    tc_status_write(c->serve->status, &c->out);
    tc_buf_str(&c->out, "\n\n");
}

static void put_reset(struct tc_stream *c, const char *why)
{
    tc_hub_newest(c->serve->hub, &c->sub);
    c->last_reset = tc_mono_ns();
    put_id(c);
    tc_buf_printf(&c->out, "event: reset\ndata: {\"reason\":\"%s\"}\n\n", why);
    tc_metric_add(c->serve->m_resets, 1);
}

/* Whether the vector is one of this log's, and whether what came after it can still be read at a bearable
 * length. */
static void judge(struct tc_serve *s, const struct tc_vector *v, bool *ours, bool *readable)
{
    int64_t behind = 0;
    *ours = *readable = true;
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        struct tc_bus_stat stat;
        s->conf.bus->ops->stat(s->conf.bus->self, (enum tc_topic)t, &stat);
        *ours = *ours && v->at[t] <= stat.end;
        *readable = *readable && v->at[t] >= stat.first;
        behind += stat.end - v->at[t];
    }
    *readable = *readable && *ours && behind <= TC_STREAM_RESUME_MAX;
}

static void resume(struct tc_stream *c, const struct tc_vector *from)
{
    struct tc_vector newest = c->sub.at;
    bool ours, readable;
    judge(c->serve, from, &ours, &readable);
    c->sub.at = *from;
    if (ours && tc_hub_join(c->serve->hub, &c->sub)) {
        put_hello(c);
        return;
    }
    if (readable && tc_merge_open(&c->merge, c->serve->conf.bus, from) == TC_OK) {
        c->catching_up = true;
        tc_metric_add(c->serve->m_caught_up, 1);
        put_hello(c);
        return;
    }
    c->sub.at = newest;
    put_hello(c);
    put_reset(c, ours ? "too_old" : "unknown_id");
}

struct tc_stream *tc_stream_open(struct tc_serve *s, const struct tc_stream_io *io, const char *symbols,
                                 const char *last_event_id, struct tc_reply *r)
{
    struct tc_vector from;
    struct tc_stream *c = calloc(1, sizeof(*c));
    if (!c) {
        tc_reply_error(r, 503, "no memory for another stream");
        return NULL;
    }
    c->serve = s;
    c->io = *io;
    tc_buf_init(&c->out, TC_HUB_EVENT_MAX + 4 * TC_HUB_READ_MAX);
    if (symbols && !parse_filter(c, symbols, r)) {
        free(c);
        return NULL;
    }
    c->sub = (struct tc_hub_sub){
        .wants = c->n_filter ? wants : NULL, .sleep = fall_asleep, .wake = wake_up, .ctx = c};
    tc_hub_attach(s->hub, &c->sub);
    if (!last_event_id || !last_event_id[0]) {
        put_hello(c);
    } else if (tc_vector_parse(last_event_id, &from)) {
        resume(c, &from);
    } else {
        put_hello(c);
        put_reset(c, "unknown_id");
    }
    return c;
}

void tc_stream_close(struct tc_stream *c)
{
    tc_hub_detach(c->serve->hub, &c->sub);
    tc_merge_close(&c->merge);
    tc_buf_release(&c->out);
    free(c);
}

static void end_catch_up(struct tc_stream *c)
{
    tc_merge_close(&c->merge);
    c->catching_up = false;
    if (!c->scores_passed)
        return;
    c->scores_passed = false;
    put_id(c);
    tc_buf_str(&c->out, "event: score\ndata: {\"symbols\":[\"*\"]}\n\n");
}

/* One record from the bus. False when it was the last for now or the place is gone. */
static bool catch_up_one(struct tc_stream *c)
{
    const struct tc_record *r;
    enum tc_topic topic;
    int64_t offset;
    int rc = tc_merge_next(&c->merge, &r, &topic, &offset);
    if (rc == TC_AGAIN)
        return false;
    if (rc != TC_OK) {
        end_catch_up(c);
        put_reset(c, "too_old");
        return false;
    }
    c->sub.at = c->merge.at;
    c->scores_passed = c->scores_passed || r->type == TC_REC_SCORE;
    const char *key = tc_stream_key(r);
    if (!tc_stream_is_event(r) || (c->n_filter && key[0] && !wants(c, key)))
        return true;
    put_id(c);
    tc_stream_encode(r, &c->out);
    return true;
}

/* True when there is something to send or the ring can go on. */
static bool catch_up(struct tc_stream *c)
{
    for (int i = 0; i < BATCH && c->out.len < TC_HUB_READ_MAX; i++)
        if (!catch_up_one(c))
            break;
    if (c->catching_up && tc_hub_join(c->serve->hub, &c->sub))
        end_catch_up(c);
    return !c->catching_up || c->out.len;
}

/* Fills c->out. TC_HUB_DATA, or why there is nothing. */
static enum tc_hub_state fill(struct tc_stream *c)
{
    struct tc_hub *hub = c->serve->hub;
    for (int i = 0; i < READ_TRIES; i++) {
        if (c->catching_up && !catch_up(c))
            continue;
        if (c->out.len)
            return TC_HUB_DATA;
        enum tc_hub_state state = tc_hub_read(hub, &c->sub, &c->out);
        if (state == TC_HUB_BEHIND) {
            if (c->last_reset && tc_mono_ns() - c->last_reset < RESET_PAUSE_NS)
                return tc_hub_sleep(hub, &c->sub) ? TC_HUB_ASLEEP : TC_HUB_CLOSED;
            put_reset(c, "too_slow");
        }
        if (state == TC_HUB_ASLEEP || state == TC_HUB_CLOSED)
            return state;
        if (c->out.len)
            return TC_HUB_DATA;
    }
    /* a long run of events that this client does not want: a comment keeps the connection's turn */
    tc_buf_str(&c->out, ":\n\n");
    return TC_HUB_DATA;
}

ssize_t tc_stream_read(struct tc_stream *c, char *out, size_t max)
{
    if (c->sent == c->out.len) {
        c->sent = 0;
        tc_buf_clear(&c->out);
        enum tc_hub_state state = fill(c);
        if (state != TC_HUB_DATA)
            return state == TC_HUB_ASLEEP ? 0 : TC_STREAM_END;
    }
    size_t n = c->out.len - c->sent;
    if (n > max)
        n = max;
    memcpy(out, c->out.data + c->sent, n);
    c->sent += n;
    tc_metric_add(c->serve->m_bytes, (int64_t)n);
    return (ssize_t)n;
}
