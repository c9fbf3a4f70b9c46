/* Coinbase Exchange, channels matches, ticker and heartbeat (docs.cdp.coinbase.com/exchange/websocket-feed).
 * Prices and sizes are strings. `matches` holds every trade; `ticker` merges those of one order, so only its
 * quote is taken (best sizes came in 2022 and may be absent). */
#include "base/err.h"
#include "wire/vendor.h"

#include <math.h>

struct message {
    struct tc_text type, product, text, reason;
    double price, size, bid, ask, bid_size, ask_size;
    int64_t trade_id, last_trade_id, time;
};

static bool time_field(struct tc_json *j, int64_t *out)
{
    struct tc_text t;
    return tc_json_text(j, &t) && (tc_text_time(t, out) || tc_json_fail(j));
}

static void field(struct tc_json *j, struct tc_text key, struct message *m)
{
    if (tc_text_is(key, "type"))
        tc_json_text(j, &m->type);
    else if (tc_text_is(key, "product_id"))
        tc_json_text(j, &m->product);
    else if (tc_text_is(key, "price"))
        tc_json_decimal(j, &m->price);
    else if (tc_text_is(key, "size"))
        tc_json_decimal(j, &m->size);
    else if (tc_text_is(key, "time"))
        time_field(j, &m->time);
    else if (tc_text_is(key, "trade_id"))
        tc_json_int(j, &m->trade_id);
    else if (tc_text_is(key, "last_trade_id"))
        tc_json_int(j, &m->last_trade_id);
    else if (tc_text_is(key, "best_bid"))
        tc_json_decimal(j, &m->bid);
    else if (tc_text_is(key, "best_ask"))
        tc_json_decimal(j, &m->ask);
    else if (tc_text_is(key, "best_bid_size"))
        tc_json_decimal(j, &m->bid_size);
    else if (tc_text_is(key, "best_ask_size"))
        tc_json_decimal(j, &m->ask_size);
    else if (tc_text_is(key, "message"))
        tc_json_text(j, &m->text);
    else if (tc_text_is(key, "reason"))
        tc_json_text(j, &m->reason);
    else
        tc_json_skip(j);
}

static void give_error(const struct message *m, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.kind = TC_WIRE_ERROR, .fault = TC_FAULT_RETRY, .symbol = m->product};
    e.text = m->reason.n ? m->reason : m->text;
    /* "ABC-DEF is not a valid product" */
    if (e.text.n && memmem(e.text.p, e.text.n, "not a valid product", 19))
        e.fault = TC_FAULT_SYMBOL;
    sink(arg, &e);
}

static int give(const struct message *m, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.symbol = m->product, .time = m->time};
    bool match = tc_text_is(m->type, "match") || tc_text_is(m->type, "last_match");
    if (match) {
        if (!m->product.n || !m->time || !(m->price > 0) || !(m->size >= 0))
            return tc_fail(TC_EINPUT, "coinbase: a match without product, time, price or size");
        e.kind = TC_WIRE_TRADE;
        e.id = m->trade_id > 0 ? (uint64_t)m->trade_id : 0;
        e.trade = (struct tc_trade){.price = m->price, .size = m->size};
    } else if (tc_text_is(m->type, "ticker")) {
        if (!m->product.n || !m->time) /* the first one of a product that never traded has no time */
            return m->product.n ? TC_OK : tc_fail(TC_EINPUT, "coinbase: a ticker without product");
        e.kind = TC_WIRE_QUOTE;
        e.quote = (struct tc_quote){m->bid, m->ask, m->bid_size, m->ask_size};
    } else if (tc_text_is(m->type, "heartbeat")) {
        e.kind = TC_WIRE_ALIVE;
        e.last_id = m->last_trade_id > 0 ? (uint64_t)m->last_trade_id : 0;
    } else if (tc_text_is(m->type, "subscriptions")) {
        e.kind = TC_WIRE_SUBSCRIBED;
    } else if (tc_text_is(m->type, "error")) {
        give_error(m, sink, arg);
        return TC_OK;
    } else {
        return m->type.n ? TC_OK : tc_fail(TC_EINPUT, "coinbase: a message without type");
    }
    sink(arg, &e);
    return TC_OK;
}

int tc_coinbase_decode(const char *frame, size_t n, tc_wire_sink sink, void *arg)
{
    struct message m = {.price = NAN, .size = NAN, .bid = NAN, .ask = NAN, .bid_size = NAN, .ask_size = NAN};
    struct tc_json j;
    struct tc_text key;
    tc_json_start(&j, frame, n);
    if (tc_json_enter(&j, '{'))
        while (tc_json_key(&j, &key))
            field(&j, key, &m);
    if (!tc_json_end(&j))
        return tc_fail(TC_EINPUT, "coinbase: the message is no JSON of its form");
    return give(&m, sink, arg);
}
