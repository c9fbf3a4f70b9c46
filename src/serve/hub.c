#include "serve/hub.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCAN_MAX = 4096 }; /* events looked at while the lock is held */

struct event {
    struct tc_vector at; /* after it */
    int64_t offset;
    int64_t mono; /* when it was put */
    int topic;
    size_t pos, len; /* in the room */
    char symbol[TC_SYMBOL_SIZE];
};

struct tc_hub {
    pthread_mutex_t lock;
    struct tc_vector at;
    struct event *events; /* seq modulo n_events */
    size_t n_events;
    uint64_t first, end; /* sequence numbers in the ring */
    char *room;
    size_t room_size;
    size_t room_end; /* where the next event's bytes go */
    size_t high_water;
    struct tc_hub_sub *subs;
    bool stopped;
    struct tc_hist *latency;
};

int tc_hub_open(size_t bytes, size_t events, struct tc_hist *latency, struct tc_hub **out)
{
    struct tc_hub *h = calloc(1, sizeof(*h));
    if (!h)
        return tc_fail(TC_ENOMEM, "no memory for the event ring");
    pthread_mutex_init(&h->lock, NULL);
    h->latency = latency;
    h->room_size = bytes;
    h->n_events = events;
    h->room = malloc(bytes);
    h->events = calloc(events, sizeof(*h->events));
    if (!h->room || !h->events) {
        tc_hub_close(h);
        return tc_fail(TC_ENOMEM, "no memory for an event ring of %zu bytes", bytes);
    }
    *out = h;
    return TC_OK;
}

void tc_hub_close(struct tc_hub *h)
{
    if (!h)
        return;
    pthread_mutex_destroy(&h->lock);
    free(h->room);
    free(h->events);
    free(h);
}

void tc_hub_start(struct tc_hub *h, const struct tc_vector *at)
{
    pthread_mutex_lock(&h->lock);
    h->at = *at;
    pthread_mutex_unlock(&h->lock);
}

static void forget(struct tc_hub *h)
{
    h->first = ++h->end; /* one number is left out, so that a client at the end is behind as well */
    h->room_end = 0;
}

static void advance(struct tc_hub *h, int topic, int64_t offset)
{
    if (topic != TC_HUB_NO_TOPIC)
        h->at.at[topic] = offset + 1;
}

bool tc_hub_pass(struct tc_hub *h, int topic, int64_t offset, bool event)
{
    pthread_mutex_lock(&h->lock);
    bool passed = !event || !h->subs;
    if (passed) {
        if (event && h->first != h->end)
            forget(h);
        advance(h, topic, offset);
    }
    pthread_mutex_unlock(&h->lock);
    return passed;
}

/* True when the bytes [pos, pos + len) of the room are still those of an event in the ring. */
static bool occupied(const struct tc_hub *h, size_t pos, size_t len)
{
    const struct event *oldest = &h->events[h->first % h->n_events];
    return oldest->pos < pos + len && pos < oldest->pos + oldest->len;
}

/* Makes room for len bytes; the oldest events go. Events lie one after the other and wrap at the end, so the
 * one in the way is always the oldest (those between room_end and the end of the room go first on a wrap). */
static size_t make_room(struct tc_hub *h, size_t len)
{
    size_t pos = h->room_end;
    if (pos + len > h->room_size) {
        while (h->first != h->end && h->events[h->first % h->n_events].pos >= pos)
            h->first++;
        pos = 0;
    }
    while (h->first != h->end && (h->end - h->first == h->n_events || occupied(h, pos, len)))
        h->first++;
    return pos;
}

void tc_hub_put(struct tc_hub *h, int topic, int64_t offset, const char *symbol, const struct tc_buf *body)
{
    pthread_mutex_lock(&h->lock);
    advance(h, topic, offset);
    if (body->overflow || body->len > TC_HUB_EVENT_MAX || body->len > h->room_size / 4) {
        forget(h); /* an event that cannot be sent: everybody reads the range anew */
    } else {
        size_t pos = make_room(h, body->len);
        struct event *e = &h->events[h->end % h->n_events];
        *e = (struct event){.at = h->at,
                            .offset = offset,
                            .mono = tc_mono_ns(),
                            .topic = topic,
                            .pos = pos,
                            .len = body->len};
        snprintf(e->symbol, sizeof(e->symbol), "%s", symbol);
        memcpy(h->room + pos, body->data, body->len);
        h->room_end = pos + body->len;
        h->end++;
    }
    pthread_mutex_unlock(&h->lock);
}

void tc_hub_drop(struct tc_hub *h)
{
    pthread_mutex_lock(&h->lock);
    forget(h);
    pthread_mutex_unlock(&h->lock);
}

static void wake_all(struct tc_hub *h)
{
    for (struct tc_hub_sub *s = h->subs; s; s = s->next) {
        if (!s->waiting)
            continue;
        s->waiting = false;
        s->wake(s->ctx);
    }
}

void tc_hub_flush(struct tc_hub *h)
{
    pthread_mutex_lock(&h->lock);
    wake_all(h);
    pthread_mutex_unlock(&h->lock);
}

void tc_hub_stop(struct tc_hub *h)
{
    pthread_mutex_lock(&h->lock);
    h->stopped = true;
    wake_all(h);
    pthread_mutex_unlock(&h->lock);
}

bool tc_hub_listened(struct tc_hub *h)
{
    pthread_mutex_lock(&h->lock);
    bool yes = h->subs != NULL;
    pthread_mutex_unlock(&h->lock);
    return yes;
}

struct tc_vector tc_hub_at(struct tc_hub *h)
{
    pthread_mutex_lock(&h->lock);
    struct tc_vector v = h->at;
    pthread_mutex_unlock(&h->lock);
    return v;
}

void tc_hub_backlog(struct tc_hub *h, size_t *events, size_t *high_water)
{
    pthread_mutex_lock(&h->lock);
    uint64_t slowest = h->end;
    for (struct tc_hub_sub *s = h->subs; s; s = s->next)
        if (s->seq >= h->first && s->seq < slowest)
            slowest = s->seq;
    *events = h->end - slowest;
    if (*events > h->high_water)
        h->high_water = *events;
    *high_water = h->high_water;
    pthread_mutex_unlock(&h->lock);
}

static void place_newest(struct tc_hub *h, struct tc_hub_sub *s)
{
    s->seq = h->end;
    s->at = h->at;
}

void tc_hub_attach(struct tc_hub *h, struct tc_hub_sub *s)
{
    pthread_mutex_lock(&h->lock);
    s->waiting = false;
    s->prev = NULL;
    s->next = h->subs;
    if (s->next)
        s->next->prev = s;
    h->subs = s;
    place_newest(h, s);
    pthread_mutex_unlock(&h->lock);
}

void tc_hub_detach(struct tc_hub *h, struct tc_hub_sub *s)
{
    pthread_mutex_lock(&h->lock);
    if (s->prev)
        s->prev->next = s->next;
    else
        h->subs = s->next;
    if (s->next)
        s->next->prev = s->prev;
    pthread_mutex_unlock(&h->lock);
}

void tc_hub_newest(struct tc_hub *h, struct tc_hub_sub *s)
{
    pthread_mutex_lock(&h->lock);
    place_newest(h, s);
    pthread_mutex_unlock(&h->lock);
}

bool tc_hub_join(struct tc_hub *h, struct tc_hub_sub *s)
{
    pthread_mutex_lock(&h->lock);
    struct tc_vector begin = h->at;
    if (h->first != h->end) {
        const struct event *e = &h->events[h->first % h->n_events];
        begin = e->at;
        if (e->topic != TC_HUB_NO_TOPIC)
            begin.at[e->topic] = e->offset;
    }
    bool joined = true;
    for (int t = 0; t < TC_TOPIC_COUNT; t++)
        joined = joined && s->at.at[t] >= begin.at[t];
    if (joined)
        s->seq = h->first;
    pthread_mutex_unlock(&h->lock);
    return joined;
}

/* The client's vector after the event; false when the event is one the client already has. */
static bool step(struct tc_hub_sub *s, const struct event *e)
{
    if (e->topic != TC_HUB_NO_TOPIC && e->offset < s->at.at[e->topic])
        return false;
    for (int t = 0; t < TC_TOPIC_COUNT; t++)
        if (e->at.at[t] > s->at.at[t])
            s->at.at[t] = e->at.at[t];
    return true;
}

static bool put_event(struct tc_hub *h, struct tc_hub_sub *s, const struct event *e, struct tc_buf *out,
                      int64_t now)
{
    if (out->len && out->len + e->len + 64 > TC_HUB_READ_MAX)
        return false;
    s->seq++;
    if (!step(s, e) || (s->wants && e->symbol[0] && !s->wants(s->ctx, e->symbol)))
        return true;
    tc_buf_str(out, "id: ");
    tc_vector_to_id(&s->at, out);
    tc_buf_char(out, '\n');
    tc_buf_put(out, h->room + e->pos, e->len);
    if (h->latency)
        tc_hist_add(h->latency, now - e->mono);
    return true;
}

static void fall_asleep(struct tc_hub_sub *s)
{
    s->waiting = true;
    s->sleep(s->ctx);
}

enum tc_hub_state tc_hub_read(struct tc_hub *h, struct tc_hub_sub *s, struct tc_buf *out)
{
    enum tc_hub_state state = TC_HUB_DATA;
    int64_t now = tc_mono_ns();
    pthread_mutex_lock(&h->lock);
    if (h->stopped)
        state = TC_HUB_CLOSED;
    else if (s->seq < h->first)
        state = TC_HUB_BEHIND;
    else {
        int looked = 0;
        while (s->seq < h->end && looked++ < SCAN_MAX)
            if (!put_event(h, s, &h->events[s->seq % h->n_events], out, now))
                break;
        if (!out->len && s->seq == h->end) {
            fall_asleep(s);
            state = TC_HUB_ASLEEP;
        }
    }
    pthread_mutex_unlock(&h->lock);
    return state;
}

bool tc_hub_sleep(struct tc_hub *h, struct tc_hub_sub *s)
{
    pthread_mutex_lock(&h->lock);
    bool may = !h->stopped;
    if (may)
        fall_asleep(s);
    pthread_mutex_unlock(&h->lock);
    return may;
}

void tc_vector_to_id(const struct tc_vector *v, struct tc_buf *out)
{
    tc_buf_char(out, 'b');
    tc_buf_int(out, v->at[TC_TOPIC_BARS]);
    tc_buf_str(out, ".f");
    tc_buf_int(out, v->at[TC_TOPIC_FORECASTS]);
    tc_buf_str(out, ".p");
    tc_buf_int(out, v->at[TC_TOPIC_POSTS]);
}

bool tc_vector_parse(const char *text, struct tc_vector *out)
{
    static const char letters[TC_TOPIC_COUNT] = {'b', 'f', 'p'};
    struct tc_vector v;
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        size_t n = strcspn(text, ".");
        bool last = t + 1 == TC_TOPIC_COUNT;
        if (text[0] != letters[t] || (text[n] == '.') == last || !tc_parse_int(text + 1, n - 1, &v.at[t]) ||
            v.at[t] < 0)
            return false;
        text += n + !last;
    }
    *out = v;
    return true;
}
