/* The keyless exchanges: Coinbase Exchange, Binance spot, Kraken. */
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "feed/adapter.h"

#include <inttypes.h>
#include <math.h>

static void list(struct tc_buf *out, const char *const *symbols, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i)
            tc_buf_char(out, ',');
        tc_buf_json_string(out, symbols[i]);
    }
}

static int no_page(const char *name)
{
    return tc_fail(TC_EINPUT, "%s: the answer to a request for trades is not of its form", name);
}

/* One trade of a page, as read by a vendor's row reader. */
struct row {
    int64_t time, id;
    double price, size;
};

static void give(const struct row *r, tc_wire_sink sink, void *arg)
{
    struct tc_wire_event e = {.kind = TC_WIRE_TRADE, .time = r->time, .id = (uint64_t)r->id};
    e.trade = (struct tc_trade){.price = r->price, .size = r->size};
    sink(arg, &e);
}

/* ---- Coinbase ---- */

static bool coinbase_subscribe(const struct tc_adapter_conf *c, const char *const *symbols, size_t n,
                               int part, struct tc_buf *out)
{
    (void)c, (void)part;
    tc_buf_str(out, "{\"type\":\"subscribe\",\"product_ids\":[");
    list(out, symbols, n);
    tc_buf_str(out, "],\"channels\":[\"matches\",\"ticker\",\"heartbeat\"]}");
    return false;
}

/* GET /products/ID/trades: newest first, `after` goes back in time. */
static void coinbase_url(const struct tc_page *p, struct tc_buf *out)
{
    tc_buf_printf(out, "%s/products/%s/trades?limit=1000", p->base, p->symbol);
    if (p->from_id)
        tc_buf_printf(out, "&after=%" PRId64, p->from_id);
}

static bool coinbase_row(struct tc_json *j, struct row *r)
{
    struct tc_text key, t;
    *r = (struct row){.price = NAN, .size = NAN};
    if (!tc_json_enter(j, '{'))
        return false;
    while (tc_json_key(j, &key)) {
        if (tc_text_is(key, "time"))
            (void)(tc_json_text(j, &t) && (tc_text_time(t, &r->time) || tc_json_fail(j)));
        else if (tc_text_is(key, "trade_id"))
            tc_json_int(j, &r->id);
        else if (tc_text_is(key, "price"))
            tc_json_decimal(j, &r->price);
        else if (tc_text_is(key, "size"))
            tc_json_decimal(j, &r->size);
        else
            tc_json_skip(j);
    }
    return !j->bad && r->time > 0 && r->id > 0 && r->price > 0 && r->size >= 0;
}

static int coinbase_page(struct tc_page *p, const char *body, size_t n, tc_wire_sink sink, void *arg)
{
    struct tc_json j;
    struct row r;
    int64_t before = p->from_id, oldest = INT64_MAX;
    tc_json_start(&j, body, n);
    if (tc_json_enter(&j, '['))
        while (tc_json_item(&j)) {
            if (!coinbase_row(&j, &r))
                return no_page("coinbase");
            give(&r, sink, arg);
            p->from_id = r.id;
            oldest = r.time < oldest ? r.time : oldest;
        }
    p->at = oldest;
    p->done = oldest == INT64_MAX || oldest < p->start || p->from_id <= 1 || (before && p->from_id >= before);
    return tc_json_end(&j) ? TC_OK : no_page("coinbase");
}

const struct tc_adapter tc_adapter_coinbase = {
    .name = "coinbase",
    .url = "wss://ws-feed.exchange.coinbase.com",
    .rest = "https://api.exchange.coinbase.com",
    .symbols = "coinbase:BTC-USD,coinbase:ETH-USD",
    .calendar = "always",
    .venue = true,
    .heartbeat_ns = TC_NS_PER_SEC,
    .send_every_ns = 200 * TC_NS_PER_MS,
    .symbols_a_message = 100,
    .rest_per_s = 5,
    .rest_burst = 10,
    .rest_delay_ns = 2 * TC_NS_PER_SEC,
    .decode = tc_coinbase_decode,
    .subscribe = coinbase_subscribe,
    .page_url = coinbase_url,
    .take_page = coinbase_page,
};

/* ---- Binance ---- */

static bool binance_subscribe(const struct tc_adapter_conf *c, const char *const *symbols, size_t n, int part,
                              struct tc_buf *out)
{
    (void)c;
    tc_buf_str(out, "{\"method\":\"SUBSCRIBE\",\"params\":[");
    for (size_t i = 0; i < n; i++) {
        char name[TC_SYMBOL_SIZE]; /* lower case in the names of streams */
        size_t k = 0;
        for (; symbols[i][k] && k < sizeof(name) - 1; k++)
            name[k] = (char)(symbols[i][k] | (symbols[i][k] >= 'A' && symbols[i][k] <= 'Z' ? 0x20 : 0));
        name[k] = '\0';
        tc_buf_printf(out, "%s\"%s@aggTrade\",\"%s@bookTicker\"", i ? "," : "", name, name);
    }
    tc_buf_printf(out, "],\"id\":%d}", part + 1);
    return false;
}

/* GET /api/v3/aggTrades: by time for the first page of an hour, by id for the following ones. */
static const int64_t HOUR = 3600 * TC_NS_PER_SEC;

static void binance_url(const struct tc_page *p, struct tc_buf *out)
{
    int64_t from = p->at ? p->at : p->start, to = from + HOUR < p->end ? from + HOUR : p->end;
    tc_buf_printf(out, "%s/api/v3/aggTrades?symbol=%s&limit=1000", p->base, p->symbol);
    if (p->from_id)
        tc_buf_printf(out, "&fromId=%" PRId64, p->from_id);
    else
        tc_buf_printf(out, "&startTime=%" PRId64 "&endTime=%" PRId64, from / TC_NS_PER_MS,
                      to / TC_NS_PER_MS - 1);
}

static bool binance_row(struct tc_json *j, struct row *r)
{
    struct tc_text key;
    int64_t t = 0;
    *r = (struct row){.price = NAN, .size = NAN, .id = -1};
    if (!tc_json_enter(j, '{'))
        return false;
    while (tc_json_key(j, &key)) {
        if (tc_text_is(key, "a"))
            tc_json_int(j, &r->id);
        else if (tc_text_is(key, "p"))
            tc_json_decimal(j, &r->price);
        else if (tc_text_is(key, "q"))
            tc_json_decimal(j, &r->size);
        else if (tc_text_is(key, "T"))
            tc_json_int(j, &t);
        else
            tc_json_skip(j);
    }
    r->time = tc_wire_time(t);
    return !j->bad && r->time > 0 && r->id >= 0 && r->price > 0 && r->size >= 0;
}

static int binance_page(struct tc_page *p, const char *body, size_t n, tc_wire_sink sink, void *arg)
{
    struct tc_json j;
    struct row r = {0};
    bool any = false;
    tc_json_start(&j, body, n);
    if (tc_json_enter(&j, '['))
        while (tc_json_item(&j)) {
            if (!binance_row(&j, &r))
                return no_page("binance");
            any = true;
            p->from_id = r.id + 1;
            r.id++; /* ids begin at 0 */
            give(&r, sink, arg);
        }
    if (!tc_json_end(&j))
        return no_page("binance");
    if (any) {
        p->at = r.time;
        p->done = r.time >= p->end;
        return TC_OK;
    }
    p->done = p->from_id != 0; /* behind the last trade there is */
    p->at = (p->at ? p->at : p->start) + HOUR;
    p->done = p->done || p->at >= p->end;
    return TC_OK;
}

const struct tc_adapter tc_adapter_binance = {
    .name = "binance",
    .url = "wss://data-stream.binance.vision/ws",
    .rest = "https://data-api.binance.vision",
    .symbols = "binance:BTCUSDT,binance:ETHUSDT",
    .calendar = "always",
    .venue = true,
    .send_every_ns = 500 * TC_NS_PER_MS, /* five a second, pongs among them */
    .symbols_a_message = 100,
    .rest_per_s = 5,
    .rest_burst = 20,
    .rest_delay_ns = 2 * TC_NS_PER_SEC,
    .decode = tc_binance_decode,
    .subscribe = binance_subscribe,
    .page_url = binance_url,
    .take_page = binance_page,
};

/* ---- Kraken ---- */

static bool kraken_subscribe(const struct tc_adapter_conf *c, const char *const *symbols, size_t n, int part,
                             struct tc_buf *out)
{
    (void)c;
    tc_buf_printf(out, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"%s\",\"symbol\":[",
                  part ? "ticker" : "trade");
    list(out, symbols, n);
    tc_buf_printf(out, "],%s},\"req_id\":%d}",
                  part ? "\"event_trigger\":\"bbo\",\"snapshot\":true" : "\"snapshot\":false", part + 1);
    return part == 0;
}

/* GET /0/public/Trades: oldest first, `since` in ns, `last` to go on from. Pairs are written without the
 * slash. */
static void kraken_url(const struct tc_page *p, struct tc_buf *out)
{
    tc_buf_printf(out, "%s/0/public/Trades?pair=", p->base);
    for (const char *s = p->symbol; *s; s++)
        if (*s != '/')
            tc_buf_char(out, *s);
    tc_buf_printf(out, "&count=1000&since=%" PRId64, p->at ? p->at : p->start - 1);
}

/* ["price","volume",time,"b","m","",trade_id] */
static bool kraken_row(struct tc_json *j, struct row *r)
{
    double seconds = 0;
    int column = 0;
    *r = (struct row){.price = NAN, .size = NAN};
    if (!tc_json_enter(j, '['))
        return false;
    for (; tc_json_item(j); column++) {
        if (column == 0)
            tc_json_decimal(j, &r->price);
        else if (column == 1)
            tc_json_decimal(j, &r->size);
        else if (column == 2)
            tc_json_number(j, &seconds);
        else if (column == 6)
            tc_json_int(j, &r->id);
        else
            tc_json_skip(j);
    }
    /* A double holds seconds of our time to about 0.2 us. */
    r->time = seconds > 0 && seconds < 4e9 ? (int64_t)llround(seconds * 1e6) * 1000 : 0;
    return !j->bad && r->time > 0 && r->price > 0 && r->size >= 0;
}

static bool kraken_rows(struct tc_json *j, tc_wire_sink sink, void *arg, int64_t *newest)
{
    struct row r;
    if (tc_json_enter(j, '['))
        while (tc_json_item(j)) {
            if (!kraken_row(j, &r))
                return tc_json_fail(j);
            give(&r, sink, arg);
            *newest = r.time > *newest ? r.time : *newest;
        }
    return !j->bad;
}

static int kraken_page(struct tc_page *p, const char *body, size_t n, tc_wire_sink sink, void *arg)
{
    struct tc_json j;
    struct tc_text key, text = {"", 0, false};
    int64_t newest = 0, last = 0;
    tc_json_start(&j, body, n);
    if (tc_json_enter(&j, '{'))
        while (tc_json_key(&j, &key)) {
            if (tc_text_is(key, "error") && tc_json_enter(&j, '['))
                while (tc_json_item(&j))
                    tc_json_text(&j, &text);
            else if (tc_text_is(key, "result") && tc_json_enter(&j, '{'))
                while (tc_json_key(&j, &key))
                    if (!tc_text_is(key, "last"))
                        kraken_rows(&j, sink, arg, &newest);
                    else if (tc_json_text(&j, &text) && !tc_parse_int(text.p, text.n, &last))
                        tc_json_fail(&j);
                    else
                        text.n = 0;
            else
                tc_json_skip(&j);
        }
    if (!tc_json_end(&j))
        return no_page("kraken");
    if (text.n)
        return tc_fail(TC_EPEER, "kraken: %.*s", (int)(text.n < 80 ? text.n : 80), text.p);
    p->done = !newest || newest >= p->end || last <= p->at;
    p->at = last;
    return TC_OK;
}

const struct tc_adapter tc_adapter_kraken = {
    .name = "kraken",
    .url = "wss://ws.kraken.com/v2",
    .rest = "https://api.kraken.com",
    .symbols = "kraken:BTC/USD,kraken:ETH/USD",
    .calendar = "always",
    .venue = true,
    .heartbeat_ns = TC_NS_PER_SEC,
    .send_every_ns = 200 * TC_NS_PER_MS,
    .symbols_a_message = 100,
    .rest_per_s = 0.5,
    .rest_burst = 5,
    .rest_delay_ns = 2 * TC_NS_PER_SEC,
    .decode = tc_kraken_decode,
    .subscribe = kraken_subscribe,
    .page_url = kraken_url,
    .take_page = kraken_page,
};
