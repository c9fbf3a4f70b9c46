/* Massive (Polygon.io): every frame is an array that may mix events of several kinds
 * (massive-com/client-python .massive/websocket.json). T: `c` is absent when empty, `ds` is the size with its
 * fraction, in a string, `i` a text that is unique only with exchange and TRF. Q: `c` is one number. A, AM:
 * no trade count; `dv` is the volume with its fraction. LULD: the ticker stands in `T`, its times are us.
 * Times go by their magnitude. */
#include "base/err.h"
#include "base/hash.h"
#include "wire/vendor.h"

#include <math.h>

struct item {
    struct tc_text ev, sym, luld, id, status, message, start_text;
    double p, s, ds, bp, bs, ap, as, o, h, l, c, v, dv, vw;
    int64_t t, start, x, trfi;
    struct tc_trade flags;
    int64_t indicators[8];
    int n_indicators;
};

/* A list of numbers, or one number. */
static void conditions(struct tc_json *j, struct tc_trade *flags)
{
    int64_t code;
    if (tc_json_null(j))
        return;
    if (tc_json_peek(j) != '[') {
        if (tc_json_int(j, &code))
            tc_wire_condition(code, flags);
        return;
    }
    if (tc_json_enter(j, '['))
        while (tc_json_item(j))
            if (tc_json_int(j, &code))
                tc_wire_condition(code, flags);
}

static void indicators(struct tc_json *j, struct item *m)
{
    int64_t code;
    if (tc_json_enter(j, '['))
        while (tc_json_item(j))
            if (tc_json_int(j, &code) && m->n_indicators < 8)
                m->indicators[m->n_indicators++] = code;
}

static void letter(struct tc_json *j, char key, struct item *m)
{
    bool bar = m->ev.n && m->ev.p[0] == 'A';
    bool trade = m->ev.n == 1 && m->ev.p[0] == 'T';
    switch (key) {
    case 'p':
        tc_json_number(j, &m->p);
        break;
    case 's':
        if (bar)
            tc_json_int(j, &m->start);
        else
            tc_json_number(j, &m->s);
        break;
    case 't':
        tc_json_int(j, &m->t);
        break;
    case 'x':
        tc_json_int(j, &m->x);
        break;
    case 'i':
        if (trade)
            tc_json_text(j, &m->id);
        else if (tc_json_peek(j) == '[')
            indicators(j, m);
        else
            tc_json_skip(j);
        break;
    case 'c':
        if (bar)
            tc_json_number(j, &m->c);
        else if (trade)
            conditions(j, &m->flags);
        else
            tc_json_skip(j);
        break;
    case 'o':
        tc_json_number(j, &m->o);
        break;
    case 'h':
        tc_json_number(j, &m->h);
        break;
    case 'l':
        tc_json_number(j, &m->l);
        break;
    case 'v':
        tc_json_number(j, &m->v);
        break;
    case 'T':
        if (tc_json_peek(j) == '"')
            tc_json_text(j, &m->luld);
        else
            tc_json_skip(j);
        break;
    default:
        tc_json_skip(j);
    }
}

static void field(struct tc_json *j, struct tc_text key, struct item *m)
{
    if (key.n == 1)
        letter(j, key.p[0], m);
    else if (tc_text_is(key, "sym"))
        tc_json_text(j, &m->sym);
    else if (tc_text_is(key, "ev"))
        tc_json_text(j, &m->ev);
    else if (tc_text_is(key, "ds"))
        tc_json_decimal(j, &m->ds);
    else if (tc_text_is(key, "dv"))
        tc_json_decimal(j, &m->dv);
    else if (tc_text_is(key, "vw"))
        tc_json_number(j, &m->vw);
    else if (tc_text_is(key, "bp"))
        tc_json_number(j, &m->bp);
    else if (tc_text_is(key, "bs"))
        tc_json_number(j, &m->bs);
    else if (tc_text_is(key, "ap"))
        tc_json_number(j, &m->ap);
    else if (tc_text_is(key, "as"))
        tc_json_number(j, &m->as);
    else if (tc_text_is(key, "trfi"))
        tc_json_int(j, &m->trfi);
    else if (tc_text_is(key, "status"))
        tc_json_text(j, &m->status);
    else if (tc_text_is(key, "message"))
        tc_json_text(j, &m->message);
    else
        tc_json_skip(j);
}

static void give_status(const struct item *m, tc_wire_sink sink, void *arg)
{
    static const struct {
        const char *status;
        enum tc_wire_kind kind;
        enum tc_wire_fault fault;
    } known[] = {
        {"connected", TC_WIRE_WELCOME, 0},
        {"auth_success", TC_WIRE_AUTHORISED, 0},
        {"auth_failed", TC_WIRE_ERROR, TC_FAULT_KEY},
        {"auth_timeout", TC_WIRE_ERROR, TC_FAULT_RETRY},
        {"auth_required", TC_WIRE_ERROR, TC_FAULT_RETRY},
        {"max_connections", TC_WIRE_ERROR, TC_FAULT_CONNECTIONS},
        {"not_authorized", TC_WIRE_ERROR, TC_FAULT_PLAN},
        {"slow_consumer", TC_WIRE_NOTICE, 0},
        {"force_disconnect", TC_WIRE_NOTICE, 0},
    };
    static const struct tc_text none = {"", 0, false};
    struct tc_wire_event e = {.text = m->message.n ? m->message : m->status, .symbol = none};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!tc_text_is(m->status, known[i].status))
            continue;
        e.kind = known[i].kind;
        e.fault = known[i].fault;
        sink(arg, &e);
        return;
    }
    bool subscribed = m->message.n > 14 && !memcmp(m->message.p, "subscribed to:", 14);
    bool authorised = memmem(m->message.p ? m->message.p : "", m->message.n, "not authorized", 14) ||
                      memmem(m->message.p ? m->message.p : "", m->message.n, "not entitled", 12);
    e.kind = TC_WIRE_NOTICE;
    if (tc_text_is(m->status, "success")) /* the specification's word for `connected` too */
        e.kind = subscribed ? TC_WIRE_SUBSCRIBED : TC_WIRE_WELCOME;
    if (tc_text_is(m->status, "error")) {
        e.kind = TC_WIRE_ERROR;
        e.fault = authorised ? TC_FAULT_PLAN : TC_FAULT_RETRY;
    }
    if (!tc_text_is(m->status, "success") || subscribed ||
        !memmem(m->message.p ? m->message.p : "", m->message.n, "ubscribed", 9))
        sink(arg, &e); /* "unsubscribed to" is no news */
}

static int incomplete(void)
{
    return tc_fail(TC_EINPUT, "massive: an event without symbol, time or price");
}

static int give_trade(const struct item *m, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.kind = TC_WIRE_TRADE, .symbol = m->sym, .time = tc_wire_time(m->t)};
    double size = isnan(m->ds) ? m->s : m->ds;
    if (!m->sym.n || !e.time || !(m->p > 0) || !(size >= 0))
        return incomplete();
    int64_t place[2] = {m->x, m->trfi};
    if (m->id.n) {
        e.id = tc_fnv(tc_wire_hash(m->id), place, sizeof(place));
        e.id += e.id == 0;
    }
    e.trade = m->flags;
    e.trade.price = m->p;
    e.trade.size = size;
    e.trade.off_exchange = m->trfi > 0;
    sink(arg, &e);
    return TC_OK;
}

static int give_bar(const struct item *m, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.symbol = m->sym, .time = tc_wire_time(m->start)};
    e.kind = m->ev.n == 1 ? TC_WIRE_SECOND : TC_WIRE_MINUTE;
    e.bar = (struct tc_event_bar){.open = m->o,
                                  .high = m->h,
                                  .low = m->l,
                                  .close = m->c,
                                  .vwap = m->vw,
                                  .volume = isnan(m->dv) ? m->v : m->dv};
    if (!m->sym.n || !e.time || !(m->l > 0) || isnan(m->o) || isnan(m->h) || isnan(m->c))
        return incomplete();
    sink(arg, &e);
    return TC_OK;
}

/* Limit-up limit-down: indicators 17 (trading pause) and 18 (resumption) of the CTA and UTP tapes. */
static int give_luld(const struct item *m, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.symbol = m->luld.n ? m->luld : m->sym, .time = tc_wire_time(m->t)};
    for (int i = 0; i < m->n_indicators && e.symbol.n; i++) {
        if (m->indicators[i] != 17 && m->indicators[i] != 18)
            continue;
        e.kind = m->indicators[i] == 17 ? TC_WIRE_HALT : TC_WIRE_RESUME;
        sink(arg, &e);
    }
    return TC_OK;
}

static int give(const struct item *m, tc_wire_sink sink, void *arg)
{
    if (tc_text_is(m->ev, "T"))
        return give_trade(m, sink, arg);
    if (tc_text_is(m->ev, "A") || tc_text_is(m->ev, "AM"))
        return give_bar(m, sink, arg);
    if (tc_text_is(m->ev, "Q")) {
        struct tc_wire_event e = {.kind = TC_WIRE_QUOTE, .symbol = m->sym, .time = tc_wire_time(m->t)};
        e.quote = (struct tc_quote){m->bp, m->ap, m->bs, m->as};
        if (!m->sym.n || !e.time)
            return incomplete();
        sink(arg, &e);
        return TC_OK;
    }
    if (tc_text_is(m->ev, "status")) {
        give_status(m, sink, arg);
        return TC_OK;
    }
    return tc_text_is(m->ev, "LULD") ? give_luld(m, sink, arg) : TC_OK;
}

int tc_massive_decode(const char *frame, size_t n, tc_wire_sink sink, void *arg)
{
    struct tc_json j;
    struct tc_text key;
    int rc = TC_OK;
    tc_json_start(&j, frame, n);
    if (tc_json_enter(&j, '['))
        while (!rc && tc_json_item(&j)) {
            struct item m = {.p = NAN,
                             .s = NAN,
                             .ds = NAN,
                             .bp = NAN,
                             .bs = NAN,
                             .ap = NAN,
                             .as = NAN,
                             .o = NAN,
                             .h = NAN,
                             .l = NAN,
                             .c = NAN,
                             .v = NAN,
                             .dv = NAN,
                             .vw = NAN};
            tc_json_find_text(&j, "ev", &m.ev); /* says what the letters mean */
            if (tc_json_enter(&j, '{'))
                while (tc_json_key(&j, &key))
                    field(&j, key, &m);
            if (!j.bad)
                rc = give(&m, sink, arg);
        }
    if (rc)
        return rc;
    return tc_json_end(&j) ? TC_OK : tc_fail(TC_EINPUT, "massive: the message is no JSON of its form");
}
