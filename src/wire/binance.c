/* Binance spot market streams (binance/binance-spot-api-docs, web-socket-streams.md): aggTrade, trade,
 * bookTicker and kline, bare or wrapped by /stream as {"stream":..,"data":{..}}. Prices and sizes are
 * strings; times are ms, or us when asked for. aggTrade's identity is `a`; `m` (the buyer is the maker) says
 * nothing that a bar needs. A bookTicker has neither kind nor time. Only closed klines are taken. */
#include "base/err.h"
#include "wire/vendor.h"

#include <math.h>

struct message {
    struct tc_text event, symbol, stream, error;
    double price, size, bid, ask, bid_size, ask_size;
    int64_t time, traded, id, agg_id, code;
    bool wrapped, is_error, result, has_kline, closed;
    struct tc_event_bar bar;
    struct tc_text interval;
    int64_t start;
};

static void kline_field(struct tc_json *j, char key, struct message *m)
{
    int64_t n;
    switch (key) {
    case 't':
        tc_json_int(j, &m->start);
        break;
    case 'i':
        tc_json_text(j, &m->interval);
        break;
    case 'o':
        tc_json_decimal(j, &m->bar.open);
        break;
    case 'h':
        tc_json_decimal(j, &m->bar.high);
        break;
    case 'l':
        tc_json_decimal(j, &m->bar.low);
        break;
    case 'c':
        tc_json_decimal(j, &m->bar.close);
        break;
    case 'v':
        tc_json_decimal(j, &m->bar.volume);
        break;
    case 'n':
        if (tc_json_int(j, &n))
            m->bar.trades = n > 0 && n < INT32_MAX ? (int32_t)n : 0;
        break;
    case 'x':
        tc_json_bool(j, &m->closed);
        break;
    default:
        tc_json_skip(j);
    }
}

static void kline(struct tc_json *j, struct message *m)
{
    struct tc_text key;
    m->has_kline = true;
    if (tc_json_enter(j, '{'))
        while (tc_json_key(j, &key))
            kline_field(j, key.n == 1 ? key.p[0] : 0, m);
}

static void object(struct tc_json *j, struct message *m, int level);

/* Keys of one letter mean different things in bookTicker (b, B, a, A), aggTrade (a, p, q, T) and trade (t, p,
 * q, T): `a` is a number in aggTrade and a price in a string in bookTicker, so the type tells. */
static void letter(struct tc_json *j, char key, struct message *m)
{
    bool text = tc_json_peek(j) == '"';
    switch (key) {
    case 'e':
        tc_json_text(j, &m->event);
        break;
    case 's':
        tc_json_text(j, &m->symbol);
        break;
    case 'p':
        tc_json_decimal(j, &m->price);
        break;
    case 'q':
        tc_json_decimal(j, &m->size);
        break;
    case 'E':
        tc_json_int(j, &m->time);
        break;
    case 'T':
        tc_json_int(j, &m->traded);
        break;
    case 't':
        tc_json_int(j, &m->id);
        break;
    case 'a':
        if (text)
            tc_json_decimal(j, &m->ask);
        else
            tc_json_int(j, &m->agg_id);
        break;
    case 'A':
        tc_json_decimal(j, &m->ask_size);
        break;
    case 'b':
        if (text)
            tc_json_decimal(j, &m->bid);
        else
            tc_json_skip(j); /* an order's number, in trades of old */
        break;
    case 'B':
        tc_json_decimal(j, &m->bid_size);
        break;
    case 'k':
        kline(j, m);
        break;
    default:
        tc_json_skip(j);
    }
}

static void field(struct tc_json *j, struct tc_text key, struct message *m, int level)
{
    if (key.n == 1) {
        letter(j, key.p[0], m);
    } else if (tc_text_is(key, "data") && level == 0) {
        m->wrapped = true;
        object(j, m, 1);
    } else if (tc_text_is(key, "stream")) {
        tc_json_text(j, &m->stream);
    } else if (tc_text_is(key, "result")) {
        m->result = true;
        tc_json_skip(j);
    } else if (tc_text_is(key, "error") && tc_json_peek(j) == '{') {
        m->is_error = true;
        object(j, m, 1);
    } else if (tc_text_is(key, "msg")) {
        tc_json_text(j, &m->error);
    } else if (tc_text_is(key, "code")) {
        m->is_error = true;
        tc_json_int(j, &m->code);
    } else {
        tc_json_skip(j);
    }
}

static void object(struct tc_json *j, struct message *m, int level)
{
    struct tc_text key;
    if (tc_json_enter(j, '{'))
        while (tc_json_key(j, &key))
            field(j, key, m, level);
}

static int give_market(const struct message *m, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.symbol = m->symbol, .time = tc_wire_time(m->traded ? m->traded : m->time)};
    if (tc_text_is(m->event, "aggTrade") || tc_text_is(m->event, "trade")) {
        if (!m->symbol.n || !e.time || !(m->price > 0) || !(m->size >= 0))
            return tc_fail(TC_EINPUT, "binance: a trade without symbol, time, price or size");
        e.kind = TC_WIRE_TRADE;
        e.id = (uint64_t)(m->event.n == 5 ? m->id : m->agg_id) + 1; /* ids begin at 0 */
        e.trade = (struct tc_trade){.price = m->price, .size = m->size};
    } else if (m->has_kline) {
        bool second = tc_text_is(m->interval, "1s");
        if (!m->closed || (!second && !tc_text_is(m->interval, "1m")))
            return TC_OK;
        e.kind = second ? TC_WIRE_SECOND : TC_WIRE_MINUTE;
        e.time = tc_wire_time(m->start);
        e.bar = m->bar;
        e.bar.vwap = NAN;
        if (!m->symbol.n || !e.time || !m->bar.trades) /* klines come for seconds without a trade too */
            return TC_OK;
    } else if (!m->event.n && m->symbol.n && !isnan(m->bid)) {
        e.kind = TC_WIRE_QUOTE;
        e.quote = (struct tc_quote){m->bid, m->ask, m->bid_size, m->ask_size};
    } else {
        return TC_OK;
    }
    sink(arg, &e);
    return TC_OK;
}

int tc_binance_decode(const char *frame, size_t n, tc_wire_sink sink, void *arg)
{
    struct message m = {.price = NAN, .size = NAN, .bid = NAN, .ask = NAN, .bid_size = NAN, .ask_size = NAN};
    struct tc_json j;
    m.bar = (struct tc_event_bar){.open = NAN, .high = NAN, .low = NAN, .close = NAN, .volume = NAN};
    tc_json_start(&j, frame, n);
    object(&j, &m, 0);
    if (!tc_json_end(&j))
        return tc_fail(TC_EINPUT, "binance: the message is no JSON of its form");
    struct tc_wire_event e = {.text = m.error};
    if (m.is_error) {
        e.kind = TC_WIRE_ERROR;
        e.fault =
            memmem(m.error.p ? m.error.p : "", m.error.n, "symbol", 6) ? TC_FAULT_SYMBOL : TC_FAULT_RETRY;
        sink(arg, &e);
        return TC_OK;
    }
    if (m.result && !m.event.n) {
        e.kind = TC_WIRE_SUBSCRIBED;
        sink(arg, &e);
        return TC_OK;
    }
    if (tc_text_is(m.event, "serverShutdown")) {
        e.kind = TC_WIRE_NOTICE;
        e.text = (struct tc_text){"the server shuts down soon", 27, false};
        sink(arg, &e);
        return TC_OK;
    }
    return give_market(&m, sink, arg);
}
