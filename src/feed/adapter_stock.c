/* Vendors of US stocks, which need a key: Massive (Polygon.io), Alpaca, Finnhub. */
#include "base/clock.h"
#include "base/err.h"
#include "feed/adapter.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define STOCKS "AAPL,MSFT,NVDA,AMD,TSLA,AMZN,SPY"

/* ---- Massive ---- */

static void massive_authorise(const struct tc_adapter_conf *c, struct tc_buf *out)
{
    tc_buf_str(out, "{\"action\":\"auth\",\"params\":");
    tc_buf_json_string(out, c->key);
    tc_buf_char(out, '}');
}

static bool massive_subscribe(const struct tc_adapter_conf *c, const char *const *symbols, size_t n, int part,
                              struct tc_buf *out)
{
    (void)part;
    const char *comma = "";
    tc_buf_str(out, "{\"action\":\"subscribe\",\"params\":\"");
    for (size_t i = 0; i < n; i++) {
        for (const char *p = c->channels; *p;) {
            int len = (int)strcspn(p, ", ");
            tc_buf_printf(out, "%s%.*s.%s", comma, len, p, symbols[i]);
            comma = ",";
            p += len;
            p += strspn(p, ", ");
        }
    }
    tc_buf_str(out, "\"}");
    return false;
}

static size_t massive_headers(const struct tc_adapter_conf *c, char (*lines)[320], size_t max)
{
    if (!max)
        return 0;
    snprintf(lines[0], sizeof(lines[0]), "Authorization: Bearer %.256s", c->key);
    return 1;
}

/* Second bars; not adjusted, since the stream is not. */
static void massive_url(const struct tc_page *p, struct tc_buf *out)
{
    if (p->token[0])
        tc_buf_printf(out, "%s%s", p->base, p->token);
    else
        tc_buf_printf(out,
                      "%s/v2/aggs/ticker/%s/range/1/second/%" PRId64 "/%" PRId64
                      "?adjusted=false&sort=asc&limit=50000",
                      p->base, p->symbol, p->start / TC_NS_PER_MS, (p->end - 1) / TC_NS_PER_MS);
}

struct aggregate {
    int64_t t, n;
    struct tc_event_bar bar;
};

static bool massive_row(struct tc_json *j, struct aggregate *a)
{
    struct tc_text key;
    *a = (struct aggregate){
        .bar = {.open = NAN, .high = NAN, .low = NAN, .close = NAN, .vwap = NAN, .volume = NAN}};
    if (!tc_json_enter(j, '{'))
        return false;
    while (tc_json_key(j, &key)) {
        char c = key.n == 1 ? key.p[0] : 0;
        double *price = c == 'o'   ? &a->bar.open
                        : c == 'h' ? &a->bar.high
                        : c == 'l' ? &a->bar.low
                        : c == 'c' ? &a->bar.close
                        : c == 'v' ? &a->bar.volume
                                   : NULL;
        if (price)
            tc_json_number(j, price);
        else if (tc_text_is(key, "vw"))
            tc_json_number(j, &a->bar.vwap);
        else if (c == 't')
            tc_json_int(j, &a->t);
        else if (c == 'n')
            tc_json_int(j, &a->n);
        else
            tc_json_skip(j);
    }
    const struct tc_event_bar *b = &a->bar;
    a->bar.trades = a->n > 0 && a->n < INT32_MAX ? (int32_t)a->n : 0;
    return !j->bad && a->t > 0 && b->low > 0 && b->high >= b->low && b->open > 0 && b->close > 0 &&
           b->volume >= 0;
}

static bool massive_rows(struct tc_json *j, tc_wire_sink sink, void *arg)
{
    struct aggregate a;
    if (tc_json_enter(j, '['))
        while (tc_json_item(j)) {
            if (!massive_row(j, &a))
                return tc_json_fail(j);
            struct tc_wire_event e = {.kind = TC_WIRE_SECOND, .time = tc_wire_time(a.t), .bar = a.bar};
            sink(arg, &e);
        }
    return !j->bad;
}

/* next_url is whole, with the host and without the key: what follows the host is kept. */
static void massive_next(struct tc_page *p, struct tc_text next)
{
    char url[sizeof(p->token)];
    tc_text_copy(next, url, sizeof(url));
    const char *host = strstr(url, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;
    p->token[0] = '\0';
    if (path && strlen(url) < sizeof(url) - 1)
        snprintf(p->token, sizeof(p->token), "%s", path);
    p->done = !p->token[0];
}

static int massive_page(struct tc_page *p, const char *body, size_t n, tc_wire_sink sink, void *arg)
{
    struct tc_json j;
    struct tc_text key, next = {"", 0, false};
    tc_json_start(&j, body, n);
    if (tc_json_enter(&j, '{'))
        while (tc_json_key(&j, &key)) {
            if (tc_text_is(key, "results") && tc_json_peek(&j) == '[')
                massive_rows(&j, sink, arg);
            else if (tc_text_is(key, "next_url") && tc_json_peek(&j) == '"')
                tc_json_text(&j, &next);
            else
                tc_json_skip(&j);
        }
    if (!tc_json_end(&j))
        return tc_fail(TC_EINPUT, "massive: the answer to a request for bars is not of its form");
    massive_next(p, next);
    return TC_OK;
}

const struct tc_adapter tc_adapter_massive = {
    .name = "massive",
    .url = "wss://socket.massive.com/stocks",
    .rest = "https://api.massive.com",
    .channels = "T,Q,A",
    .symbols = STOCKS,
    .calendar = "xnys",
    .needs_key = true,
    .key_names = {"MASSIVE_API_KEY", "POLYGON_API_KEY"},
    .welcome = true,
    .vendor_bars = true,
    .send_every_ns = 100 * TC_NS_PER_MS,
    .symbols_a_message = 500,
    .connection_tries = 1, /* another program took the connection; to fight for it helps neither */
    .rest_per_s = 5.0 / 60,
    .rest_burst = 5,
    .rest_delay_ns = 5 * TC_NS_PER_SEC,
    .decode = tc_massive_decode,
    .authorise = massive_authorise,
    .subscribe = massive_subscribe,
    .rest_headers = massive_headers,
    .page_url = massive_url,
    .take_page = massive_page,
};

/* ---- Alpaca ---- */

static void alpaca_authorise(const struct tc_adapter_conf *c, struct tc_buf *out)
{
    tc_buf_str(out, "{\"action\":\"auth\",\"key\":");
    tc_buf_json_string(out, c->key);
    tc_buf_str(out, ",\"secret\":");
    tc_buf_json_string(out, c->secret);
    tc_buf_char(out, '}');
}

static bool alpaca_subscribe(const struct tc_adapter_conf *c, const char *const *symbols, size_t n, int part,
                             struct tc_buf *out)
{
    static const char *const known[] = {"trades", "quotes", "bars", "updatedBars", "statuses", "lulds"};
    (void)part;
    tc_buf_str(out, "{\"action\":\"subscribe\"");
    for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
        if (!tc_adapter_channel(c->channels, known[k]))
            continue;
        tc_buf_printf(out, ",\"%s\":[", known[k]);
        for (size_t i = 0; i < n; i++) {
            if (i)
                tc_buf_char(out, ',');
            tc_buf_json_string(out, symbols[i]);
        }
        tc_buf_char(out, ']');
    }
    tc_buf_char(out, '}');
    return false;
}

static size_t alpaca_headers(const struct tc_adapter_conf *c, char (*lines)[320], size_t max)
{
    if (max < 2)
        return 0;
    snprintf(lines[0], sizeof(lines[0]), "APCA-API-KEY-ID: %.256s", c->key);
    snprintf(lines[1], sizeof(lines[1]), "APCA-API-SECRET-KEY: %.256s", c->secret);
    return 2;
}

/* Trades, since bars are of minutes at least. The last part of the stream's path names the feed. */
static void alpaca_url(const struct tc_page *p, struct tc_buf *out)
{
    char from[40], to[40];
    const char *feed = strrchr(p->url, '/');
    feed = feed ? feed + 1 : "iex";
    if (!strcmp(feed, "delayed_sip"))
        feed = "sip";
    tc_time_iso(p->start, from, sizeof(from));
    tc_time_iso(p->end - 1, to, sizeof(to));
    tc_buf_printf(out, "%s/v2/stocks/trades?symbols=%s&start=%s&end=%s&limit=10000&feed=%s", p->base,
                  p->symbol, from, to, feed);
    if (p->token[0])
        tc_buf_printf(out, "&page_token=%s", p->token);
}

/* Rows have the letters of the stream's trades, without kind and symbol. */
static bool alpaca_row(struct tc_json *j, struct tc_wire_event *e)
{
    struct tc_text key, t, tape = {"A", 1, false};
    char letters[8];
    int n = 0;
    int64_t id = 0;
    *e = (struct tc_wire_event){.kind = TC_WIRE_TRADE, .trade = {.price = NAN, .size = NAN}};
    if (!tc_json_enter(j, '{'))
        return false;
    while (tc_json_key(j, &key)) {
        char c = key.n == 1 ? key.p[0] : 0;
        if (c == 't')
            (void)(tc_json_text(j, &t) && (tc_text_time(t, &e->time) || tc_json_fail(j)));
        else if (c == 'p')
            tc_json_number(j, &e->trade.price);
        else if (c == 's')
            tc_json_number(j, &e->trade.size);
        else if (c == 'z')
            tc_json_text(j, &tape);
        else if (c == 'i' && tc_json_peek(j) == 0)
            tc_json_int(j, &id);
        else if (c == 'c' && tc_json_peek(j) == '[' && tc_json_enter(j, '['))
            while (tc_json_item(j)) {
                if (tc_json_text(j, &t) && t.n && n < (int)sizeof(letters))
                    letters[n++] = t.p[0];
            }
        else
            tc_json_skip(j);
    }
    for (int i = 0; i < n; i++)
        tc_wire_condition_letter(letters[i], tape.n ? tape.p[0] : 'A', &e->trade);
    e->id = (uint64_t)id;
    return !j->bad && e->time > 0 && e->trade.price > 0 && e->trade.size >= 0;
}

static void alpaca_rows(struct tc_json *j, tc_wire_sink sink, void *arg)
{
    struct tc_text symbol;
    struct tc_wire_event e;
    if (!tc_json_enter(j, '{'))
        return;
    while (tc_json_key(j, &symbol)) {
        if (tc_json_null(j) || !tc_json_enter(j, '['))
            continue;
        while (tc_json_item(j)) {
            if (!alpaca_row(j, &e)) {
                tc_json_fail(j);
                return;
            }
            sink(arg, &e);
        }
    }
}

static int alpaca_page(struct tc_page *p, const char *body, size_t n, tc_wire_sink sink, void *arg)
{
    struct tc_json j;
    struct tc_text key, next = {"", 0, false};
    tc_json_start(&j, body, n);
    if (tc_json_enter(&j, '{'))
        while (tc_json_key(&j, &key)) {
            if (tc_text_is(key, "trades") && tc_json_peek(&j) == '{')
                alpaca_rows(&j, sink, arg);
            else if (tc_text_is(key, "next_page_token") && tc_json_peek(&j) == '"')
                tc_json_text(&j, &next);
            else
                tc_json_skip(&j);
        }
    if (!tc_json_end(&j) || next.n >= sizeof(p->token))
        return tc_fail(TC_EINPUT, "alpaca: the answer to a request for trades is not of its form");
    snprintf(p->token, sizeof(p->token), "%.*s", (int)next.n, next.p);
    p->done = !next.n;
    return TC_OK;
}

const struct tc_adapter tc_adapter_alpaca = {
    .name = "alpaca",
    .url = "wss://stream.data.alpaca.markets/v2/iex",
    .rest = "https://data.alpaca.markets",
    .channels = "trades,quotes",
    .symbols = STOCKS,
    .calendar = "xnys",
    .needs_key = true,
    .needs_secret = true,
    .key_names = {"APCA_API_KEY_ID", "ALPACA_API_KEY"},
    .secret_names = {"APCA_API_SECRET_KEY", "ALPACA_SECRET_KEY"},
    .welcome = true,
    .send_every_ns = 100 * TC_NS_PER_MS,
    .symbols_a_message = 1000,
    .connection_tries = 6, /* a connection that was lost may count for some seconds more */
    .rest_per_s = 200.0 / 60,
    .rest_burst = 20,
    .rest_delay_ns = 5 * TC_NS_PER_SEC,
    .decode = tc_alpaca_decode,
    .authorise = alpaca_authorise,
    .subscribe = alpaca_subscribe,
    .rest_headers = alpaca_headers,
    .page_url = alpaca_url,
    .take_page = alpaca_page,
};

/* ---- Finnhub ---- */

/* The key stands in the address; nothing that shows an address shows what follows the question mark. */
static void finnhub_url(const struct tc_adapter_conf *c, struct tc_buf *out)
{
    tc_buf_printf(out, "%s?token=%s", c->url, c->key);
}

static bool finnhub_subscribe(const struct tc_adapter_conf *c, const char *const *symbols, size_t n, int part,
                              struct tc_buf *out)
{
    (void)c, (void)part, (void)n;
    tc_buf_str(out, "{\"type\":\"subscribe\",\"symbol\":");
    tc_buf_json_string(out, symbols[0]);
    tc_buf_char(out, '}');
    return false;
}

const struct tc_adapter tc_adapter_finnhub = {
    .name = "finnhub",
    .url = "wss://ws.finnhub.io",
    .symbols = STOCKS,
    .calendar = "xnys",
    .needs_key = true,
    .key_names = {"FINNHUB_API_KEY"},
    .send_every_ns = 50 * TC_NS_PER_MS,
    .symbols_a_message = 1,
    .connection_tries = 3,
    .decode = tc_finnhub_decode,
    .url_of = finnhub_url,
    .subscribe = finnhub_subscribe,
};
