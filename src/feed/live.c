#include "feed/live.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "feed/live_int.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUEUE_FIRST = 65536,
    MAX_MESSAGE = 1 << 20,
    MAX_BODY = 32 << 20,
    RING_ROOM = 64 << 20,
    HANDSHAKE_TRIES = 3
};

static const int64_t SEC = TC_NS_PER_SEC;
static const int64_t PHASE_LIMIT = 15 * TC_NS_PER_SEC; /* for each step of the session */
static const int64_t FIRST_PAUSE = TC_NS_PER_SEC;
static const int64_t HEALTHY = 60 * TC_NS_PER_SEC; /* sets the attempts back */
static const int64_t TELL_EVERY = 10 * TC_NS_PER_SEC;
static const int64_t UNHEARD = 20 * TC_NS_PER_SEC; /* longer, and a ping would have gone unanswered */
static const int64_t STALL = 5 * TC_NS_PER_SEC;
static const int64_t NAP = 2 * TC_NS_PER_MS, LONG_NAP = 20 * TC_NS_PER_MS;
static const int64_t MARGIN = 250 * TC_NS_PER_MS; /* after a subscription's answer until all flows */

/* ---- what is said of it ---- */

/* Keys never leave: a vendor's text may repeat what we sent. */
static void mask(char *text, const char *key)
{
    size_t n = key ? strlen(key) : 0;
    for (char *at = text; n >= 4 && (at = strstr(at, key)) != NULL;)
        memset(at, '*', n);
}

void tc_vendor_say(struct tc_vendor *l, const char *fmt, ...)
{
    char text[sizeof(l->detail)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    mask(text, l->words.key);
    mask(text, l->words.secret);
    pthread_mutex_lock(&l->lock);
    bool news = strcmp(text, l->detail) != 0;
    memcpy(l->detail, text, sizeof(text));
    pthread_mutex_unlock(&l->lock);
    if (news && text[0])
        tc_log_info("feed", "%s: %s", l->conf.adapter->name, text);
}

static void enter(struct tc_vendor *l, enum tc_vendor_phase phase)
{
    static const char *const words[] = {"disconnected", "connecting",  "connecting",
                                        "authorising",  "subscribing", "subscribing",
                                        "connected",    "asleep",      "failed"};
    l->phase = phase;
    l->deadline = l->now + PHASE_LIMIT;
    atomic_store(&l->word, words[phase]);
    atomic_store(&l->healthy, phase == TC_VENDOR_FLOWING || phase == TC_VENDOR_ASLEEP);
}

/* ---- watermarks and gaps ---- */

static void push_watermark(struct tc_vendor *l, int64_t t)
{
    struct tc_event e = {.type = TC_EVENT_WATERMARK, .sym = UINT32_MAX, .time = t};
    e.cursor = (struct tc_feed_cursor){.part = t, .index = l->delay};
    tc_vendor_push(l, &e);
    l->watermark = t;
    l->started = true;
}

/* Closes the seconds up to t, one watermark each. */
static void close_seconds(struct tc_vendor *l, int64_t t)
{
    t = tc_floor_second(t);
    while (l->started && l->watermark < t)
        push_watermark(l, l->watermark + SEC);
}

static void push_gap(struct tc_vendor *l, uint32_t sym, int64_t start, int64_t end, const char *reason,
                     bool filled)
{
    struct tc_event e = {.type = TC_EVENT_GAP, .sym = sym, .time = start};
    e.gap.end = end;
    e.gap.filled = filled;
    snprintf(e.gap.reason, sizeof(e.gap.reason), "%s", reason);
    tc_vendor_push(l, &e);
}

/* From that time (the link's) on nothing is known, also where seconds were closed already in good faith. */
static void begin_hole(struct tc_vendor *l, int64_t since, const char *reason)
{
    int64_t start = since == INT64_MAX ? since : tc_floor_second(tc_vendor_event_time(l, since));
    if (l->hole || !l->started)
        return;
    l->hole = true;
    l->gap_start = start < l->watermark ? start : l->watermark;
    l->next_tell = l->now + TELL_EVERY;
    snprintf(l->reason, sizeof(l->reason), "%s", reason);
}

/* Ends the feed for good. */
static void fail_for_good(struct tc_vendor *l, const char *what, const char *advice)
{
    tc_vendor_say(l, "%s; %s", what, advice);
    if (l->phase == TC_VENDOR_FLOWING)
        begin_hole(l, l->last_data, "disconnected");
    enter(l, TC_VENDOR_FAILED);
    pthread_mutex_lock(&l->lock);
    l->failed = true;
    pthread_mutex_unlock(&l->lock);
    tc_metric_set(l->m_fault, 1);
    tc_link_drop(l->link);
}

/* The ledger hears of the hole up to t, and the seconds pass as unknown. */
static void tell_hole(struct tc_vendor *l, int64_t t)
{
    t = tc_floor_second(t);
    l->next_tell = l->now + TELL_EVERY;
    if (t <= l->watermark)
        return;
    push_gap(l, UINT32_MAX, l->gap_start, t, l->reason, false);
    push_watermark(l, t);
}

static void fetch_hole(struct tc_vendor *l, int64_t start, int64_t end, int64_t gap_start, const char *reason)
{
    int64_t ready = l->now + SEC + l->conf.adapter->rest_delay_ns; /* `end` may lie a second ahead */
    struct tc_hole h = {.start = start, .end = end, .ready = ready, .gap_start = gap_start};
    snprintf(h.reason, sizeof(h.reason), "%s", reason);
    if (l->fill && end > start)
        tc_fill_add(l->fill, &h);
}

/* What collect calls unheard: a session that has begun before us. */
static void fetch_history(struct tc_vendor *l)
{
    const struct tc_calendar *c = l->conf.calendar;
    struct tc_session s;
    int64_t start = l->floor - l->conf.history_ns, end = l->floor;
    if (!l->conf.history_ns || !l->fill)
        return;
    int32_t day = tc_calendar_day(c, l->floor);
    bool today = tc_calendar_session(c, day, &s) == TC_OK && s.open < l->floor;
    for (int back = 1; !tc_calendar_always_open(c) && !today && back < 15; back++)
        today = tc_calendar_session(c, tc_date_from_days(tc_days_from_date(day) - back), &s) == TC_OK;
    bool inside = today && l->floor <= s.close;
    if (!tc_calendar_always_open(c) && today) {
        start = s.open;
        end = l->floor < s.close ? l->floor : s.close;
    }
    /* The row of the ledger is filled only when all of it was fetched. */
    bool whole = inside && start <= s.open;
    fetch_hole(l, whole && start < s.open ? s.open : start, end, whole ? s.open : 0, "not_running");
}

/* The stream flows: everything from `floor` on is whole. */
static void begin_flow(struct tc_vendor *l)
{
    l->floor = tc_floor_second(tc_vendor_event_time(l, l->now) + MARGIN) + SEC;
    enter(l, TC_VENDOR_FLOWING);
    l->flowing_since = l->last_data = l->now;
    l->suspicious = l->dropped = false;
    if (!l->measured)
        l->hold_until = l->now + 2 * SEC;
    if (!l->started) {
        push_watermark(l, l->floor);
        fetch_history(l);
    } else if (l->floor > l->watermark) {
        begin_hole(l, INT64_MAX, "not_running");
        int64_t start = l->gap_start;
        tell_hole(l, l->floor);
        if (strcmp(l->reason, "asleep") != 0)
            fetch_hole(l, start, l->floor, start, l->reason);
    }
    l->hole = false;
    tc_vendor_say(l, "%s", "");
    tc_log_info("feed", "%s: connected, %u symbols", l->conf.adapter->name, l->n);
}

/* ---- the session ---- */

static void rest(struct tc_vendor *l, int64_t at_least)
{
    double most = (double)FIRST_PAUSE * (double)(1u << (l->attempts < 12 ? l->attempts : 12));
    most = fmin(most, (double)l->conf.backoff_ns);
    int64_t pause = (int64_t)(most * tc_rng_uniform(&l->rng));
    l->attempts++;
    enter(l, TC_VENDOR_RESTING);
    l->next_try = l->now + (pause > at_least ? pause : at_least);
}

static void connect_now(struct tc_vendor *l)
{
    enter(l, TC_VENDOR_CONNECTING);
    l->deadline = INT64_MAX; /* the link has its own */
    tc_metric_add(l->m_attempts, 1);
    tc_link_connect(l->link);
}

static void send_text(struct tc_vendor *l, const struct tc_buf *text)
{
    if (text->overflow || tc_link_send(l->link, text->data, text->len))
        tc_link_drop(l->link);
}

static void authorise(struct tc_vendor *l)
{
    char room[2048];
    struct tc_buf b;
    tc_buf_init_fixed(&b, room, sizeof(room));
    l->conf.adapter->authorise(&l->words, &b);
    enter(l, TC_VENDOR_AUTHORISING);
    send_text(l, &b);
}

static void begin_subscription(struct tc_vendor *l)
{
    l->sent = 0;
    l->part = 0;
    l->next_send = l->now;
    enter(l, TC_VENDOR_SUBSCRIBING);
}

/* One message; those the vendor refused are left out. */
static void subscribe_some(struct tc_vendor *l)
{
    const struct tc_adapter *a = l->conf.adapter;
    const char *names[1024];
    size_t n = 0, at = l->sent;
    struct tc_buf b;
    for (; at < l->n && n < a->symbols_a_message && n < 1024; at++)
        if (!l->state[at].refused)
            names[n++] = l->vendor[at];
    bool more = false;
    if (n) {
        tc_buf_init(&b, 1 << 18);
        more = a->subscribe(&l->words, names, n, l->part, &b);
        send_text(l, &b);
        tc_buf_release(&b);
    }
    l->next_send = l->now + a->send_every_ns;
    l->part = more ? l->part + 1 : 0;
    l->sent = more ? l->sent : at;
    if (l->sent < l->n)
        l->deadline = l->now + PHASE_LIMIT;
    else
        enter(l, TC_VENDOR_CONFIRMING);
}

static void on_open(struct tc_vendor *l)
{
    l->refusals = 0;
    if (l->conf.adapter->welcome)
        enter(l, TC_VENDOR_GREETING);
    else
        begin_subscription(l);
}

static bool session_open(const struct tc_vendor *l)
{
    return tc_calendar_is_open(l->conf.calendar, tc_vendor_event_time(l, l->now));
}

static void on_closed(struct tc_vendor *l, const struct tc_link_item *item)
{
    char text[120];
    snprintf(text, sizeof(text), "%.*s", (int)(item->n < 110 ? item->n : 110), item->data);
    if (l->phase == TC_VENDOR_FAILED || l->phase == TC_VENDOR_ASLEEP)
        return;
    if (l->phase == TC_VENDOR_FLOWING) {
        int64_t alive = l->last_data;
        if (!l->suspicious && alive < l->now - UNHEARD) /* a ping was answered since then */
            alive = l->now - UNHEARD;
        close_seconds(l, tc_vendor_event_time(l, alive)); /* what came before the end is whole */
        begin_hole(l, alive, l->suspicious ? "silent" : "disconnected");
        atomic_fetch_add(&l->reconnects, 1);
    }
    bool never = item->status == 401 || item->status == 403 || item->status == 451;
    l->refusals = never ? l->refusals + 1 : 0;
    if (l->refusals >= HANDSHAKE_TRIES) {
        fail_for_good(l, text,
                      item->status == 451 ? "this service is not offered where you are"
                                          : "check key, plan and address, then start again");
        return;
    }
    tc_vendor_say(l, "%s", text);
    rest(l, item->retry_after_s > 0 ? item->retry_after_s * SEC : 0);
}

/* ---- messages ---- */

static void on_symbol_fault(struct tc_vendor *l, const struct tc_wire_event *e, const char *text)
{
    uint32_t left = 0;
    bool found = false;
    for (uint32_t i = 0; i < l->n; i++) {
        struct tc_vendor_symbol *s = &l->state[i];
        size_t len = strlen(l->vendor[i]);
        bool named = e->symbol.n ? e->symbol.n == len && !memcmp(e->symbol.p, l->vendor[i], len)
                                 : memmem(text, strlen(text), l->vendor[i], len) != NULL;
        if (named && !s->refused) {
            s->refused = found = true;
            tc_log_error("feed", "%s does not know the symbol %s and goes on without it; mend feed.symbols",
                         l->conf.adapter->name, l->vendor[i]);
        }
        left += !s->refused;
    }
    if (!left || !found) {
        fail_for_good(l, text, "mend feed.symbols and start again");
        return;
    }
    if (!e->symbol.n) /* the whole message was refused for one name */
        begin_subscription(l);
}

static void on_fault(struct tc_vendor *l, const struct tc_wire_event *e)
{
    char text[120];
    tc_text_copy(e->text, text, sizeof(text));
    mask(text, l->words.key);
    mask(text, l->words.secret);
    switch (e->fault) {
    case TC_FAULT_KEY:
        fail_for_good(l, text, "the key is refused: check it and start again");
        break;
    case TC_FAULT_PLAN:
        fail_for_good(
            l, text,
            "the plan does not include this: follow fewer symbols or channels, or take another plan");
        break;
    case TC_FAULT_CONNECTIONS:
        if (++l->crowded >= l->conf.adapter->connection_tries) {
            fail_for_good(l, text, "another program uses the same key: stop it and start again");
            break;
        }
        tc_vendor_say(l, "%s", text);
        tc_link_drop(l->link);
        break;
    case TC_FAULT_SYMBOL:
        on_symbol_fault(l, e, text);
        break;
    case TC_FAULT_RETRY:
        tc_vendor_say(l, "the server says: %s", text);
        tc_link_drop(l->link);
        break;
    }
}

static void on_event(void *arg, const struct tc_wire_event *e)
{
    struct tc_vendor *l = arg;
    char text[120];
    switch (e->kind) {
    case TC_WIRE_WELCOME:
        if (l->phase == TC_VENDOR_GREETING)
            authorise(l);
        break;
    case TC_WIRE_AUTHORISED:
        if (l->phase == TC_VENDOR_AUTHORISING)
            begin_subscription(l);
        break;
    case TC_WIRE_SUBSCRIBED:
        if (l->phase == TC_VENDOR_CONFIRMING)
            begin_flow(l);
        break;
    case TC_WIRE_NOTICE:
        tc_text_copy(e->text, text, sizeof(text));
        tc_vendor_say(l, "the server says: %s", text);
        break;
    case TC_WIRE_ERROR:
        on_fault(l, e);
        break;
    case TC_WIRE_MINUTE:
    case TC_WIRE_ALIVE:
        break;
    default: /* the stream may flow before its confirmation comes */
        if (l->phase == TC_VENDOR_FLOWING)
            tc_vendor_data(l, e);
    }
}

static void feel_rhythm(struct tc_vendor *l)
{
    double dt = (double)(l->now - l->last_data);
    l->rhythm += (fmin(dt, 60e9) - l->rhythm) * 0.02;
    l->last_data = l->now;
    if (l->suspicious && l->phase == TC_VENDOR_FLOWING) { /* it was only quiet: nothing was lost */
        l->suspicious = false;
        tc_vendor_say(l, "%s", "");
    }
    atomic_store_explicit(&l->last_event, tc_now_ns(), memory_order_relaxed);
}

static void on_frame(struct tc_vendor *l, const struct tc_link_item *item)
{
    if (l->phase < TC_VENDOR_GREETING || l->phase > TC_VENDOR_FLOWING)
        return;
    feel_rhythm(l);
    if (l->conf.adapter->decode(item->data, item->n, on_event, l)) {
        if (atomic_fetch_add_explicit(&l->bad, 1, memory_order_relaxed) == 0)
            tc_log_warn("feed", "%s: a message is left out: %s", l->conf.adapter->name, tc_error());
    }
}

/* ---- time ---- */

static bool all_halted(const struct tc_vendor *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (!l->state[i].halted)
            return false;
    return true;
}

/* Silence is judged by what the vendor promises (heartbeats) or by the stream's own rhythm, in open sessions
 * only. */
static void watch(struct tc_vendor *l)
{
    int64_t beat = l->conf.adapter->heartbeat_ns, age = l->now - l->last_data;
    double doubt = beat ? 2.5 * (double)beat : fmin(fmax(8 * l->rhythm, 2e9), 120e9);
    double dead = beat ? 6.0 * (double)beat : fmin(fmax(20 * l->rhythm, 10e9), 300e9);
    if (!session_open(l) || all_halted(l)) {
        l->suspicious = false;
        return;
    }
    if ((double)age > doubt && !l->suspicious) {
        l->suspicious = true;
        close_seconds(l, tc_vendor_event_time(l, l->last_data));
    }
    if ((double)age > dead && !l->dropped) {
        tc_vendor_say(l, "nothing came for %.0f s while the market is open; connecting anew",
                      (double)age / 1e9);
        tc_link_drop(l->link);
        l->dropped = true; /* one order is enough */
    }
}

static void tell_halts(struct tc_vendor *l)
{
    if (l->now < l->next_tell)
        return;
    l->next_tell = l->now + TELL_EVERY;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->state[i].halted && l->state[i].halted < l->watermark)
            push_gap(l, i, l->state[i].halted, l->watermark, "halted", false);
}

static void flow(struct tc_vendor *l)
{
    watch(l);
    if (l->now - l->flowing_since > HEALTHY)
        l->attempts = l->crowded = 0;
    if (l->suspicious || l->now < l->hold_until)
        return;
    close_seconds(l, tc_vendor_event_time(l, l->now) - l->conf.settle_ns);
    tell_halts(l);
}

/* The process or the machine stood still: what the kernel kept for us is old, and seconds have passed unseen.
 */
static void look_for_stall(struct tc_vendor *l)
{
    bool stalled = l->last_tick && l->now - l->last_tick > STALL;
    l->last_tick = l->now;
    if (!stalled || l->phase != TC_VENDOR_FLOWING)
        return;
    begin_hole(l, l->last_data, "stalled");
    tc_vendor_say(l, "%s", "the program stood still for some seconds; connecting anew");
    tc_link_drop(l->link);
}

/* Goes to sleep and wakes as the schedule says. What passes meanwhile is unknown, and nobody asks for it. */
static void keep_hours(struct tc_vendor *l)
{
    bool told = atomic_load(&l->told_to_rest);
    if (told && l->phase < TC_VENDOR_ASLEEP) {
        if (l->phase == TC_VENDOR_FLOWING) {
            close_seconds(l, tc_vendor_event_time(l, l->now) - l->conf.settle_ns);
            begin_hole(l, INT64_MAX, "asleep");
        }
        enter(l, TC_VENDOR_ASLEEP);
        tc_link_drop(l->link);
    } else if (!told && l->phase == TC_VENDOR_ASLEEP) {
        l->attempts = 0;
        enter(l, TC_VENDOR_RESTING);
        l->next_try = l->now;
    }
}

static void pass_time(struct tc_vendor *l, int64_t now)
{
    l->now = now > l->now ? now : l->now;
    look_for_stall(l);
    keep_hours(l);
    switch (l->phase) {
    case TC_VENDOR_RESTING:
        if (l->now >= l->next_try)
            connect_now(l);
        break;
    case TC_VENDOR_SUBSCRIBING:
        if (l->now >= l->next_send)
            subscribe_some(l);
        break;
    case TC_VENDOR_CONFIRMING: /* not every vendor confirms */
        if (l->now > l->next_send + 2 * SEC && l->now - l->last_data < 2 * SEC)
            begin_flow(l);
        else if (l->conf.adapter->heartbeat_ns == 0 && !l->conf.adapter->welcome &&
                 l->now > l->next_send + 2 * SEC)
            begin_flow(l);
        break;
    case TC_VENDOR_FLOWING:
        if (!l->hole)
            flow(l);
        break;
    default:
        break;
    }
    if (l->phase > TC_VENDOR_CONNECTING && l->phase < TC_VENDOR_FLOWING && l->now > l->deadline) {
        tc_vendor_say(l, "%s", "the server does not answer our messages; connecting anew");
        l->deadline = INT64_MAX;
        tc_link_drop(l->link);
    }
    if (l->hole && l->now >= l->next_tell && l->phase != TC_VENDOR_FLOWING && l->phase != TC_VENDOR_ASLEEP)
        tell_hole(l, tc_vendor_event_time(l, l->now) - l->conf.settle_ns);
    if (l->fill && l->phase != TC_VENDOR_FAILED)
        tc_fill_tick(l->fill, l->now);
}

static void on_item(struct tc_vendor *l, const struct tc_link_item *item)
{
    pass_time(l, item->time);
    switch (item->kind) {
    case TC_LINK_OPEN:
        on_open(l);
        break;
    case TC_LINK_FRAME:
        on_frame(l, item);
        break;
    case TC_LINK_CLOSED:
        on_closed(l, item);
        break;
    case TC_LINK_ANSWER:
        tc_fill_answer(l->fill, item);
        break;
    }
}

/* ---- back-fill's answers ---- */

static void on_filled_second(void *arg, uint32_t sym, int64_t second, const struct tc_event_bar *bar)
{
    struct tc_vendor *l = arg;
    struct tc_event e = {.type = TC_EVENT_BACKFILL, .sym = sym, .time = second, .bar = *bar};
    for (int i = 0; i < TC_VENDOR_SECONDS; i++)
        e.again = e.again || l->state[sym].seconds[i] == second;
    tc_vendor_push(l, &e);
}

static void on_hole_filled(void *arg, const struct tc_hole *h)
{
    struct tc_vendor *l = arg;
    if (h->gap_start)
        push_gap(l, UINT32_MAX, h->gap_start, h->end, h->reason, true);
    tc_log_info("feed", "%s: %.0f s fetched from the vendor's history", l->conf.adapter->name,
                (double)(h->end - h->start) / 1e9);
}

static void on_hole_failed(void *arg, const struct tc_hole *h, const char *why)
{
    struct tc_vendor *l = arg;
    tc_log_warn("feed", "%s: %.0f s of history could not be fetched: %s", l->conf.adapter->name,
                (double)(h->end - h->start) / 1e9, why);
}

/* ---- the feed ---- */

static int live_next(void *self, struct tc_event *events, size_t max, size_t *out_n, int64_t *out_wait_ns)
{
    struct tc_vendor *l = self;
    struct tc_link_item item;
    *out_wait_ns = 0;
    for (int idle = 0; l->head == l->count && idle < 2;) {
        l->head = l->count = 0;
        if (tc_link_next(l->link, &item)) {
            on_item(l, &item);
            tc_link_take(l->link);
            idle = 0;
        } else {
            pass_time(l, tc_link_now());
            if (l->count || idle++)
                continue;
            bool flows = l->phase == TC_VENDOR_FLOWING;
            tc_link_wait(l->link, flows ? NAP : NAP / 2);
        }
    }
    if (l->queue_failed)
        return tc_fail(TC_ENOMEM, "%s: no memory for what came in", l->conf.adapter->name);
    size_t n = l->count - l->head < max ? l->count - l->head : max;
    memcpy(events, l->queue + l->head, n * sizeof(*events));
    l->head += n;
    *out_n = n;
    if (n)
        return TC_OK;
    *out_wait_ns = l->phase == TC_VENDOR_FLOWING ? 1 : LONG_NAP;
    return TC_AGAIN;
}

/* After a restart: the newest second that has its marker, and the delay as it was. */
static int live_seek(void *self, const struct tc_feed_cursor *cursor)
{
    struct tc_vendor *l = self;
    int64_t now = tc_link_now();
    if (cursor->part <= 0 || cursor->part > now + 3600 * SEC)
        return tc_fail(TC_ECONF,
                       "the data folder goes to a time that is ahead of the clock: set the clock, or use "
                       "another data folder");
    l->started = true;
    l->watermark = l->floor = cursor->part;
    l->now = now;
    if (llabs(cursor->index - l->delay) < 60 * SEC) {
        l->delay = cursor->index;
        l->measured = true;
    }
    begin_hole(l, INT64_MAX, "not_running");
    return TC_OK;
}

static void live_cursor(const void *self, struct tc_feed_cursor *out)
{
    const struct tc_vendor *l = self;
    *out = (struct tc_feed_cursor){.part = l->watermark, .index = l->delay};
}

static void live_health(const void *self, struct tc_feed_health *out)
{
    struct tc_vendor *l = (struct tc_vendor *)(uintptr_t)self; /* the lock alone is changed */
    *out =
        (struct tc_feed_health){.state = atomic_load(&l->word),
                                .healthy = atomic_load(&l->healthy),
                                .events = atomic_load_explicit(&l->events, memory_order_relaxed),
                                .bad_lines = atomic_load_explicit(&l->bad, memory_order_relaxed),
                                .reconnects = atomic_load_explicit(&l->reconnects, memory_order_relaxed),
                                .last_event_ns = atomic_load_explicit(&l->last_event, memory_order_relaxed)};
    pthread_mutex_lock(&l->lock);
    memcpy(out->detail, l->detail, sizeof(out->detail));
    out->failed = l->failed;
    pthread_mutex_unlock(&l->lock);
}

static void live_rest(void *self, bool rest)
{
    atomic_store(&((struct tc_vendor *)self)->told_to_rest, rest);
}

static void live_close(void *self)
{
    struct tc_vendor *l = self;
    if (!l)
        return;
    tc_fill_close(l->fill);
    tc_link_close(l->link);
    tc_symtab_close(l->table);
    pthread_mutex_destroy(&l->lock);
    for (size_t i = 0; i < sizeof(l->texts) / sizeof(l->texts[0]); i++)
        free(l->texts[i]);
    free(l->symbols);
    free(l->vendor);
    free(l->state);
    free(l->queue);
    free(l);
}

static const struct tc_feed_ops live_ops = {
    .name = "live",
    .doc = "a vendor's stream over WebSocket",
    .next = live_next,
    .seek = live_seek,
    .cursor = live_cursor,
    .health = live_health,
    .rest = live_rest,
    .close = live_close,
};

/* ---- opening ---- */

static const char *keep(struct tc_vendor *l, size_t at, const char *text, const char *usual)
{
    const char *t = text ? text : usual;
    l->texts[at] = t ? strdup(t) : NULL;
    return l->texts[at];
}

static int take_conf(struct tc_vendor *l, const struct tc_vendor_conf *conf)
{
    const struct tc_adapter *a = conf->adapter;
    l->conf = *conf;
    l->conf.symbols = NULL;
    l->words.url = keep(l, 0, conf->url, a->url);
    l->rest = keep(l, 1, conf->rest, a->rest);
    l->words.channels = keep(l, 2, conf->channels, a->channels);
    l->words.key = keep(l, 3, conf->key, NULL);
    l->words.secret = keep(l, 4, conf->secret, NULL);
    l->conf.ca_file = keep(l, 5, conf->ca_file, NULL);
    l->conf.url = l->conf.rest = l->conf.channels = l->conf.key = l->conf.secret = NULL;
    if (l->rest && *l->rest && l->rest[strlen(l->rest) - 1] == '/')
        l->texts[1][strlen(l->rest) - 1] = '\0';
    if (a->needs_key && (!l->words.key || !*l->words.key))
        return tc_fail(TC_ECONF, "%s needs a key: set %s, or %s.key_file to a file that holds it", a->name,
                       a->key_names[0], a->name);
    if (a->needs_secret && (!l->words.secret || !*l->words.secret))
        return tc_fail(TC_ECONF, "%s needs a secret beside the key: set %s, or %s.secret_file", a->name,
                       a->secret_names[0], a->name);
    if (!conf->n_symbols)
        return tc_fail(TC_ECONF, "%s follows no symbols: name them with --symbols", a->name);
    return TC_OK;
}

static int take_symbols(struct tc_vendor *l, const struct tc_vendor_conf *conf)
{
    const struct tc_adapter *a = conf->adapter;
    size_t prefix = strlen(a->name);
    l->n = (uint32_t)conf->n_symbols;
    l->symbols = calloc(l->n, sizeof(*l->symbols));
    l->vendor = calloc(l->n, sizeof(*l->vendor));
    l->state = calloc(l->n, sizeof(*l->state));
    l->queue = calloc(QUEUE_FIRST, sizeof(*l->queue));
    l->cap = QUEUE_FIRST;
    if (!l->symbols || !l->vendor || !l->state || !l->queue)
        return tc_fail(TC_ENOMEM, "no memory for %u symbols", l->n);
    int rc = tc_symtab_open(&l->table, l->n);
    for (uint32_t i = 0; i < l->n && !rc; i++) {
        const char *name = conf->symbols[i];
        bool ours = !strncmp(name, a->name, prefix) && name[prefix] == ':';
        snprintf(l->vendor[i], sizeof(l->vendor[i]), "%s", ours ? name + prefix + 1 : name);
        int len = snprintf(l->symbols[i], sizeof(l->symbols[i]), "%s%s%s", a->venue ? a->name : "",
                           a->venue ? ":" : "", l->vendor[i]);
        if (len >= TC_SYMBOL_SIZE || tc_symtab_add(l->table, l->vendor[i]) != i)
            rc = tc_fail(TC_ECONF, "%s: the symbol %.40s is too long or stands twice", a->name, name);
    }
    return rc;
}

static int open_link(struct tc_vendor *l)
{
    const struct tc_adapter *a = l->conf.adapter;
    char lines[2][320], url_room[1024];
    const char *headers[2] = {lines[0], lines[1]};
    struct tc_buf url;
    tc_buf_init_fixed(&url, url_room, sizeof(url_room));
    if (a->url_of)
        a->url_of(&l->words, &url);
    else
        tc_buf_str(&url, l->words.url);
    if (url.overflow)
        return tc_fail(TC_ECONF, "%s.url is too long", a->name);
    struct tc_link_conf conf = {
        .name = a->name,
        .ws_url = url.data,
        .ca_file = l->conf.ca_file,
        .http_headers = headers,
        .n_http_headers = a->rest_headers ? a->rest_headers(&l->words, lines, 2) : 0,
        .max_message = MAX_MESSAGE,
        .room = RING_ROOM,
        .max_body = MAX_BODY,
    };
    int rc = tc_link_open(&conf, &l->link);
    if (rc || !a->page_url)
        return rc;
    struct tc_fill_conf fill = {
        .adapter = a,
        .rest = l->rest,
        .url = l->words.url,
        .symbols = l->vendor,
        .n_symbols = l->n,
        .link = l->link,
        .sink = on_filled_second,
        .filled = on_hole_filled,
        .failed = on_hole_failed,
        .arg = l,
    };
    return tc_fill_open(&fill, &l->fill);
}

static void register_metrics(struct tc_vendor *l)
{
    char labels[64];
    snprintf(labels, sizeof(labels), "feed=\"%s\"", l->conf.adapter->name);
    l->m_attempts = tc_counter("tickcast_feed_connects_total", labels, "Attempts to connect");
    l->m_duplicates = tc_counter("tickcast_feed_repeated_trades_total", labels,
                                 "Trades that the vendor sent again within a connection; not counted twice");
    l->m_covered =
        tc_counter("tickcast_feed_covered_trades_total", labels,
                   "Trades of a hole, sent again after a reconnect; its seconds are fetched whole instead");
    l->m_unknown =
        tc_counter("tickcast_feed_other_symbols_total", labels, "Events of symbols nobody asked for");
    l->m_fault = tc_gauge("tickcast_feed_failed", labels, "1: the feed has ended for good");
    l->m_delay =
        tc_gauge("tickcast_feed_delay_ms", labels, "Least delay of the vendor's times against our clock");
}

static bool delayed_by_plan(const char *url)
{
    return strstr(url, "delayed") != NULL;
}

int tc_vendor_open(const struct tc_vendor_conf *conf, struct tc_feed *out)
{
    const struct tc_adapter *a = conf->adapter;
    *out = (struct tc_feed){.ops = NULL};
    struct tc_vendor *l = calloc(1, sizeof(*l));
    if (!l)
        return tc_fail(TC_ENOMEM, "no memory for feed %s", a->name);
    pthread_mutex_init(&l->lock, NULL);
    int rc = take_conf(l, conf);
    if (!rc)
        rc = take_symbols(l, conf);
    if (!rc) {
        register_metrics(l);
        rc = open_link(l);
    }
    if (rc) {
        live_close(l);
        return rc;
    }
    l->now = tc_link_now();
    tc_rng_seed(&l->rng, (uint64_t)l->now);
    l->rhythm = 1e9;
    l->least = l->least_before = INT64_MAX;
    l->delay = delayed_by_plan(l->words.url) ? 900 * SEC : 0;
    enter(l, TC_VENDOR_RESTING);
    bool bars_only = a->vendor_bars && !tc_adapter_channel(l->words.channels, "T");
    *out = (struct tc_feed){.ops = &live_ops,
                            .self = l,
                            .origin = TC_ORIGIN_LIVE,
                            .world = TC_WORLD_LIVE,
                            .bars_from = bars_only ? TC_BARS_FROM_SECONDS : TC_BARS_FROM_TRADES,
                            .cannot_repeat = true,
                            .vendor_revises = a->vendor_bars && !bars_only,
                            .n_symbols = l->n,
                            .symbols = l->symbols,
                            .live_from = 0};
    uint64_t h = tc_fnv(TC_FNV_START, l->symbols, l->n * sizeof(*l->symbols));
    out->identity = h ? h : 1;
    snprintf(out->name, sizeof(out->name), "%s", a->name);
    return TC_OK;
}
