/* Alpaca market data v2 (docs.alpaca.markets, alpaca-trade-api-go marketdata/stream): arrays of t, q, b, u,
 * s, success, error, subscription. Times are RFC 3339 with ns, conditions letters of the tape `z`. A trade's
 * id is unique with its exchange. */
#include "base/err.h"
#include "base/hash.h"
#include "wire/vendor.h"

#include <math.h>

struct item {
    struct tc_text kind, symbol, msg, exchange, tape, status;
    char conditions[8];
    int n_conditions;
    double p, s, bp, bs, ap, as, o, h, l, c, v, vw;
    int64_t t, id, n, code;
};

static void letters(struct tc_json *j, struct item *m)
{
    struct tc_text t;
    if (tc_json_null(j))
        return;
    if (tc_json_enter(j, '['))
        while (tc_json_item(j))
            if (tc_json_text(j, &t) && t.n && m->n_conditions < (int)sizeof(m->conditions))
                m->conditions[m->n_conditions++] = t.p[0];
}

static bool is(const struct item *m, char kind)
{
    return m->kind.n == 1 && m->kind.p[0] == kind;
}

static void letter(struct tc_json *j, char key, struct item *m)
{
    bool bar = is(m, 'b') || is(m, 'u') || is(m, 'd');
    struct tc_text t;
    switch (key) {
    case 'S':
        tc_json_text(j, &m->symbol);
        break;
    case 'p':
        tc_json_number(j, &m->p);
        break;
    case 's':
        tc_json_number(j, &m->s);
        break;
    case 'i':
        if (tc_json_peek(j) == 0)
            tc_json_int(j, &m->id);
        else
            tc_json_skip(j);
        break;
    case 'x':
        tc_json_text(j, &m->exchange);
        break;
    case 'z':
        tc_json_text(j, &m->tape);
        break;
    case 't':
        (void)(tc_json_text(j, &t) && (tc_text_time(t, &m->t) || tc_json_fail(j)));
        break;
    case 'c':
        if (bar)
            tc_json_number(j, &m->c);
        else
            letters(j, m);
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
    case 'n':
        tc_json_int(j, &m->n);
        break;
    default:
        tc_json_skip(j);
    }
}

static void field(struct tc_json *j, struct tc_text key, struct item *m)
{
    if (key.n == 1 && key.p[0] != 'T')
        letter(j, key.p[0], m);
    else if (tc_text_is(key, "bp"))
        tc_json_number(j, &m->bp);
    else if (tc_text_is(key, "bs"))
        tc_json_number(j, &m->bs);
    else if (tc_text_is(key, "ap"))
        tc_json_number(j, &m->ap);
    else if (tc_text_is(key, "as"))
        tc_json_number(j, &m->as);
    else if (tc_text_is(key, "vw"))
        tc_json_number(j, &m->vw);
    else if (tc_text_is(key, "sc"))
        tc_json_text(j, &m->status);
    else if (tc_text_is(key, "msg"))
        tc_json_text(j, &m->msg);
    else if (tc_text_is(key, "code"))
        tc_json_int(j, &m->code);
    else
        tc_json_skip(j);
}

static int incomplete(void)
{
    return tc_fail(TC_EINPUT, "alpaca: an event without symbol, time or price");
}

static int give_trade(const struct item *m, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.kind = TC_WIRE_TRADE, .symbol = m->symbol, .time = m->t};
    if (!m->symbol.n || !m->t || !(m->p > 0) || !(m->s >= 0))
        return incomplete();
    char tape = m->tape.n ? m->tape.p[0] : 'A';
    for (int i = 0; i < m->n_conditions; i++)
        tc_wire_condition_letter(m->conditions[i], tape, &e.trade);
    if (m->id) {
        e.id = tc_fnv(tc_wire_hash(m->exchange.n ? m->exchange : (struct tc_text){"", 0, false}), &m->id,
                      sizeof(m->id));
        e.id += e.id == 0;
    }
    e.trade.price = m->p;
    e.trade.size = m->s;
    e.trade.off_exchange = m->exchange.n && m->exchange.p[0] == 'D'; /* FINRA's facilities */
    sink(arg, &e);
    return TC_OK;
}

/* Status codes: H and P (halt, pause) of the UTP, 2 and P of the CTA; T and 3 mean that trading goes on. */
static void give_status(const struct item *m, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.symbol = m->symbol, .time = m->t, .text = m->status};
    char c = m->status.n ? m->status.p[0] : 0;
    if (!m->symbol.n || !c || !strchr("HP2T3", c))
        return;
    e.kind = c == 'T' || c == '3' ? TC_WIRE_RESUME : TC_WIRE_HALT;
    sink(arg, &e);
}

static void give_error(const struct item *m, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.kind = TC_WIRE_ERROR, .text = m->msg};
    switch (m->code) {
    case 402:
        e.fault = TC_FAULT_KEY;
        break;
    case 405: /* symbols over the plan's limit: what was subscribed to before stays */
    case 408:
    case 409:
    case 411:
        e.fault = TC_FAULT_PLAN;
        break;
    case 400:
    case 410:
        e.fault = TC_FAULT_SYMBOL;
        break;
    case 403: /* authenticated already: nothing follows from it */
    case 407:
        e.kind = TC_WIRE_NOTICE;
        break;
    case 406: /* the old connection may still be dying: the vendor's client tries again, a few times */
        e.fault = TC_FAULT_CONNECTIONS;
        break;
    default:
        e.fault = TC_FAULT_RETRY;
    }
    sink(arg, &e);
}

static int give(const struct item *m, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.symbol = m->symbol, .time = m->t, .text = m->msg};
    if (is(m, 't'))
        return give_trade(m, sink, arg);
    if (is(m, 'q')) {
        e.kind = TC_WIRE_QUOTE;
        e.quote = (struct tc_quote){m->bp, m->ap, m->bs, m->as};
        if (!m->symbol.n || !m->t)
            return incomplete();
    } else if (is(m, 'b') || is(m, 'u')) {
        e.kind = TC_WIRE_MINUTE;
        e.bar = (struct tc_event_bar){.open = m->o,
                                      .high = m->h,
                                      .low = m->l,
                                      .close = m->c,
                                      .vwap = m->vw,
                                      .volume = m->v,
                                      .trades = (int32_t)m->n};
        if (!m->symbol.n || !m->t || !(m->l > 0))
            return incomplete();
    } else if (is(m, 's')) {
        give_status(m, sink, arg);
        return TC_OK;
    } else if (tc_text_is(m->kind, "success")) {
        e.kind = tc_text_is(m->msg, "authenticated") ? TC_WIRE_AUTHORISED : TC_WIRE_WELCOME;
    } else if (tc_text_is(m->kind, "subscription")) {
        e.kind = TC_WIRE_SUBSCRIBED;
    } else if (tc_text_is(m->kind, "error")) {
        give_error(m, sink, arg);
        return TC_OK;
    } else {
        return TC_OK;
    }
    sink(arg, &e);
    return TC_OK;
}

int tc_alpaca_decode(const char *frame, size_t n, tc_wire_sink sink, void *arg)
{
    struct tc_json j;
    struct tc_text key;
    int rc = TC_OK;
    tc_json_start(&j, frame, n);
    if (tc_json_enter(&j, '['))
        while (!rc && tc_json_item(&j)) {
            struct item m = {.p = NAN,
                             .s = NAN,
                             .bp = NAN,
                             .bs = NAN,
                             .ap = NAN,
                             .as = NAN,
                             .o = NAN,
                             .h = NAN,
                             .l = NAN,
                             .c = NAN,
                             .v = NAN,
                             .vw = NAN};
            tc_json_find_text(&j, "T", &m.kind); /* says what the letters mean */
            if (tc_json_enter(&j, '{'))
                while (tc_json_key(&j, &key))
                    field(&j, key, &m);
            if (!j.bad)
                rc = give(&m, sink, arg);
        }
    if (rc)
        return rc;
    return tc_json_end(&j) ? TC_OK : tc_fail(TC_EINPUT, "alpaca: the message is no JSON of its form");
}
