/* Finnhub trades (finnhub.io/docs/api websocket-trades): {"type":"trade","data":[{"p","s","t","v","c"}]}; `c`
 * is a list of texts or null, `v` = 0 a change of price without a trade. There is no id. */
#include "base/err.h"
#include "base/num.h"
#include "wire/vendor.h"

#include <math.h>

struct row {
    struct tc_text symbol;
    double price, size;
    int64_t time;
    struct tc_trade flags;
};

static void conditions(struct tc_json *j, struct tc_trade *flags)
{
    struct tc_text t;
    int64_t code;
    if (tc_json_null(j))
        return;
    if (tc_json_enter(j, '['))
        while (tc_json_item(j))
            if (tc_json_text(j, &t) && tc_parse_int(t.p, t.n, &code))
                tc_wire_condition(code, flags);
}

static void row_field(struct tc_json *j, struct tc_text key, struct row *r)
{
    char c = key.n == 1 ? key.p[0] : 0;
    if (c == 's')
        tc_json_text(j, &r->symbol);
    else if (c == 'p')
        tc_json_number(j, &r->price);
    else if (c == 'v')
        tc_json_number(j, &r->size);
    else if (c == 't')
        tc_json_int(j, &r->time);
    else if (c == 'c')
        conditions(j, &r->flags);
    else
        tc_json_skip(j);
}

static int rows(struct tc_json *j, tc_wire_sink sink, void *arg)
{
    struct tc_text key;
    if (!tc_json_enter(j, '['))
        return TC_OK;
    while (tc_json_item(j)) {
        struct row r = {.price = NAN, .size = NAN};
        if (tc_json_enter(j, '{'))
            while (tc_json_key(j, &key))
                row_field(j, key, &r);
        struct tc_wire_event e = {
            .kind = TC_WIRE_TRADE, .symbol = r.symbol, .time = tc_wire_time(r.time), .trade = r.flags};
        if (j->bad)
            return TC_OK;
        if (!r.symbol.n || !e.time || !(r.price > 0) || !(r.size >= 0))
            return tc_fail(TC_EINPUT, "finnhub: a trade without symbol, time, price or size");
        e.trade.price = r.price;
        e.trade.size = r.size;
        e.kind = r.size > 0 ? TC_WIRE_TRADE : TC_WIRE_ALIVE;
        sink(arg, &e);
    }
    return TC_OK;
}

static void give(struct tc_text type, struct tc_text msg, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.text = msg};
    if (tc_text_is(type, "ping")) {
        e.kind = TC_WIRE_ALIVE;
    } else if (tc_text_is(type, "error")) {
        e.kind = TC_WIRE_ERROR;
        const char *p = msg.p ? msg.p : "";
        e.fault = memmem(p, msg.n, "API key", 7) || memmem(p, msg.n, "api key", 7)   ? TC_FAULT_KEY
                  : memmem(p, msg.n, "access", 6) || memmem(p, msg.n, "too many", 8) ? TC_FAULT_PLAN
                  : memmem(p, msg.n, "ymbol", 5)                                     ? TC_FAULT_SYMBOL
                                                                                     : TC_FAULT_RETRY;
    } else {
        return;
    }
    sink(arg, &e);
}

int tc_finnhub_decode(const char *frame, size_t n, tc_wire_sink sink, void *arg)
{
    struct tc_json j;
    struct tc_text key, type = {"", 0, false}, msg = {"", 0, false};
    int rc = TC_OK;
    tc_json_start(&j, frame, n);
    if (tc_json_enter(&j, '{'))
        while (!rc && tc_json_key(&j, &key)) {
            if (tc_text_is(key, "data") && tc_json_peek(&j) == '[')
                rc = rows(&j, sink, arg);
            else if (tc_text_is(key, "type"))
                tc_json_text(&j, &type);
            else if (tc_text_is(key, "msg"))
                tc_json_text(&j, &msg);
            else
                tc_json_skip(&j);
        }
    if (rc)
        return rc;
    if (!tc_json_end(&j))
        return tc_fail(TC_EINPUT, "finnhub: the message is no JSON of its form");
    give(type, msg, sink, arg);
    return TC_OK;
}
