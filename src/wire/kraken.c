/* Kraken WebSocket v2 (docs.kraken.com/api/docs/websocket-v2): channels trade and ticker. Prices and sizes
 * are numbers, times RFC 3339. A snapshot of `trade` holds the last 50 trades, which may have come before;
 * trade_id tells. */
#include "base/err.h"
#include "wire/vendor.h"

#include <math.h>

struct row {
    struct tc_text symbol;
    double price, qty, bid, ask, bid_qty, ask_qty;
    int64_t time, trade_id;
};

struct message {
    struct tc_text channel, method, error;
    bool success, has_success;
    struct tc_text symbol; /* in the result of a subscription */
};

static void row_field(struct tc_json *j, struct tc_text key, struct row *r)
{
    struct tc_text t;
    if (tc_text_is(key, "symbol"))
        tc_json_text(j, &r->symbol);
    else if (tc_text_is(key, "price"))
        tc_json_decimal(j, &r->price);
    else if (tc_text_is(key, "qty"))
        tc_json_decimal(j, &r->qty);
    else if (tc_text_is(key, "bid"))
        tc_json_decimal(j, &r->bid);
    else if (tc_text_is(key, "ask"))
        tc_json_decimal(j, &r->ask);
    else if (tc_text_is(key, "bid_qty"))
        tc_json_decimal(j, &r->bid_qty);
    else if (tc_text_is(key, "ask_qty"))
        tc_json_decimal(j, &r->ask_qty);
    else if (tc_text_is(key, "trade_id"))
        tc_json_int(j, &r->trade_id);
    else if (tc_text_is(key, "timestamp"))
        (void)(tc_json_text(j, &t) && (tc_text_time(t, &r->time) || tc_json_fail(j)));
    else
        tc_json_skip(j);
}

static int give_row(const struct row *r, bool trade, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.symbol = r->symbol, .time = r->time};
    if (!r->symbol.n || (trade && (!r->time || !(r->price > 0) || !(r->qty >= 0))))
        return tc_fail(TC_EINPUT, "kraken: a row without symbol, time, price or size");
    e.kind = trade ? TC_WIRE_TRADE : TC_WIRE_QUOTE;
    if (trade) {
        e.id = r->trade_id > 0 ? (uint64_t)r->trade_id : 0;
        e.trade = (struct tc_trade){.price = r->price, .size = r->qty};
    } else {
        e.quote = (struct tc_quote){r->bid, r->ask, r->bid_qty, r->ask_qty};
    }
    sink(arg, &e);
    return TC_OK;
}

/* The rows are read where they stand: `channel` comes before `data` in all that Kraken sends. */
static int rows(struct tc_json *j, const struct message *m, tc_wire_sink sink, void *arg)
{
    bool trade = tc_text_is(m->channel, "trade"), ticker = tc_text_is(m->channel, "ticker");
    struct tc_text key;
    int rc = TC_OK;
    if (!trade && !ticker) {
        tc_json_skip(j);
        return TC_OK;
    }
    if (!tc_json_enter(j, '['))
        return TC_OK;
    while (tc_json_item(j) && !rc) {
        struct row r = {.price = NAN, .qty = NAN, .bid = NAN, .ask = NAN, .bid_qty = NAN, .ask_qty = NAN};
        if (tc_json_enter(j, '{'))
            while (tc_json_key(j, &key))
                row_field(j, key, &r);
        if (!j->bad)
            rc = give_row(&r, trade, sink, arg);
    }
    return rc;
}

static void result(struct tc_json *j, struct message *m)
{
    struct tc_text key;
    if (tc_json_peek(j) != '{') {
        tc_json_skip(j);
        return;
    }
    if (tc_json_enter(j, '{'))
        while (tc_json_key(j, &key)) {
            if (tc_text_is(key, "symbol"))
                tc_json_text(j, &m->symbol);
            else
                tc_json_skip(j);
        }
}

static int field(struct tc_json *j, struct tc_text key, struct message *m, tc_wire_sink sink, void *arg)
{
    if (tc_text_is(key, "data") && tc_json_peek(j) == '[')
        return rows(j, m, sink, arg);
    if (tc_text_is(key, "channel"))
        tc_json_text(j, &m->channel);
    else if (tc_text_is(key, "method"))
        tc_json_text(j, &m->method);
    else if (tc_text_is(key, "error"))
        (void)(tc_json_null(j) || tc_json_text(j, &m->error));
    else if (tc_text_is(key, "symbol") && tc_json_peek(j) == '"')
        tc_json_text(j, &m->symbol);
    else if (tc_text_is(key, "success"))
        m->has_success = tc_json_bool(j, &m->success);
    else if (tc_text_is(key, "result"))
        result(j, m);
    else
        tc_json_skip(j);
    return TC_OK;
}

static void give(const struct message *m, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.symbol = m->symbol, .text = m->error};
    if (m->error.n || (m->has_success && !m->success)) {
        e.kind = TC_WIRE_ERROR;
        e.fault = memmem(m->error.p ? m->error.p : "", m->error.n, "not supported", 13) ? TC_FAULT_SYMBOL
                                                                                        : TC_FAULT_RETRY;
    } else if (tc_text_is(m->channel, "heartbeat")) {
        e.kind = TC_WIRE_ALIVE;
    } else if (m->has_success && tc_text_is(m->method, "subscribe")) {
        e.kind = TC_WIRE_SUBSCRIBED;
    } else {
        return;
    }
    sink(arg, &e);
}

int tc_kraken_decode(const char *frame, size_t n, tc_wire_sink sink, void *arg)
{
    struct message m = {0};
    struct tc_json j;
    struct tc_text key;
    int rc = TC_OK;
    tc_json_start(&j, frame, n);
    if (tc_json_enter(&j, '{'))
        while (!rc && tc_json_key(&j, &key))
            rc = field(&j, key, &m, sink, arg);
    if (rc)
        return rc;
    if (!tc_json_end(&j))
        return tc_fail(TC_EINPUT, "kraken: the message is no JSON of its form");
    give(&m, sink, arg);
    return TC_OK;
}
