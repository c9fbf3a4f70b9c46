#include "base/err.h"
#include "wire/vendor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct tc_wire_event seen[16];
static char symbols[16][TC_SYMBOL_SIZE], texts[16][80];
static int n;

static void on_event(void *arg, const struct tc_wire_event *e)
{
    (void)arg;
    assert_true(n < 16);
    tc_text_copy(e->symbol, symbols[n], sizeof(symbols[n]));
    tc_text_copy(e->text, texts[n], sizeof(texts[n]));
    seen[n++] = *e;
}

static int decode(tc_wire_decoder d, const char *frame)
{
    n = 0;
    return d(frame, strlen(frame), on_event, NULL);
}

/* Decodes what must give one event of that kind. */
static const struct tc_wire_event *one(tc_wire_decoder d, const char *frame, enum tc_wire_kind kind)
{
    if (decode(d, frame))
        fail_msg("%s", tc_error());
    assert_int_equal(n, 1);
    assert_int_equal(seen[0].kind, kind);
    return &seen[0];
}

static void none(tc_wire_decoder d, const char *frame)
{
    assert_int_equal(decode(d, frame), TC_OK);
    assert_int_equal(n, 0);
}

static void refused(tc_wire_decoder d, const char *frame)
{
    assert_int_equal(decode(d, frame), TC_EINPUT);
}

static enum tc_wire_fault fault(tc_wire_decoder d, const char *frame)
{
    return one(d, frame, TC_WIRE_ERROR)->fault;
}

/* ---- Coinbase ---- */

static void coinbase_takes_every_match_and_only_the_quote_of_a_ticker(void **state)
{
    (void)state;
    const struct tc_wire_event *e = one(tc_coinbase_decode,
                                        "{\"type\":\"last_match\",\"trade_id\":881613,\"maker_order_id\":"
                                        "\"x\",\"side\":\"sell\",\"size\":\"0.00000123\","
                                        "\"price\":\"48754.15\",\"product_id\":\"BTC-USD\",\"sequence\":9,"
                                        "\"time\":\"2021-09-01T12:00:01.123456Z\"}",
                                        TC_WIRE_TRADE);
    assert_true(e->trade.price == 48754.15 && e->trade.size == 0.00000123);
    assert_int_equal(e->id, 881613);
    assert_int_equal(e->time, INT64_C(1630497601123456000));
    assert_string_equal(symbols[0], "BTC-USD");
    e = one(tc_coinbase_decode,
            "{\"type\":\"ticker\",\"product_id\":\"BTC-USD\",\"price\":\"1\",\"best_bid\":\"99.5\",\"best_"
            "ask\":\"100\","
            "\"side\":\"buy\",\"time\":\"2021-09-01T12:00:01Z\",\"trade_id\":881613,\"last_size\":\"5\"}",
            TC_WIRE_QUOTE);
    assert_true(e->quote.bid == 99.5 && e->quote.ask == 100 &&
                isnan(e->quote.bid_size)); /* sizes came in 2022 */
    none(tc_coinbase_decode,
         "{\"type\":\"ticker\",\"product_id\":\"BTC-USD\",\"price\":\"0\"}"); /* never traded: no time */
    none(tc_coinbase_decode, "{\"type\":\"status\",\"products\":[{}]}");
}

static void coinbase_heartbeats_errors_and_breakage(void **state)
{
    (void)state;
    assert_int_equal(
        one(tc_coinbase_decode,
            "{\"type\":\"heartbeat\",\"last_trade_id\":20,\"product_id\":\"BTC-USD\",\"sequence\":90,"
            "\"time\":\"2014-11-07T08:19:28.464459Z\"}",
            TC_WIRE_ALIVE)
            ->last_id,
        20);
    assert_int_equal(fault(tc_coinbase_decode, "{\"type\":\"error\",\"message\":\"Failed to subscribe\","
                                               "\"reason\":\"FOO-BAR is not a valid product\"}"),
                     TC_FAULT_SYMBOL);
    assert_string_equal(texts[0], "FOO-BAR is not a valid product");
    assert_int_equal(fault(tc_coinbase_decode, "{\"type\":\"error\",\"message\":\"rate limit\"}"),
                     TC_FAULT_RETRY);
    refused(tc_coinbase_decode,
            "{\"type\":\"match\",\"product_id\":\"A\",\"time\":\"2014-11-07T08:19:28Z\"}");
    refused(tc_coinbase_decode, "{\"type\":\"match\",\"price\":\"abc\"}");
    refused(tc_coinbase_decode, "{\"type\":\"match\",\"time\":5}");
    refused(tc_coinbase_decode, "[]");
    refused(tc_coinbase_decode, "{\"a\":1}");
}

/* ---- Binance ---- */

static void binance_trades_bare_and_wrapped_in_ms_and_us(void **state)
{
    (void)state;
    const struct tc_wire_event *e = one(tc_binance_decode,
                                        "{\"e\":\"aggTrade\",\"E\":1672515782136,\"s\":\"BNBBTC\",\"a\":"
                                        "12345,\"p\":\"0.001\",\"q\":\"100\",\"f\":100,"
                                        "\"l\":105,\"T\":1672515782135,\"m\":true,\"M\":true}",
                                        TC_WIRE_TRADE);
    assert_int_equal(e->time, INT64_C(1672515782135000000));
    assert_int_equal(e->id, 12346); /* ids begin at 0, and 0 means none */
    assert_true(e->trade.price == 0.001 && e->trade.size == 100);
    e = one(tc_binance_decode,
            "{\"stream\":\"bnbbtc@trade\",\"data\":{\"e\":\"trade\",\"E\":1672515782136000,\"s\":\"BNBBTC\","
            "\"t\":12345,"
            "\"p\":\"0.001\",\"q\":\"100\",\"T\":1672515782136123,\"m\":true,\"M\":true}}",
            TC_WIRE_TRADE);
    assert_int_equal(e->time, INT64_C(1672515782136123000));
}

static void binance_quotes_have_no_time_and_klines_count_when_closed(void **state)
{
    (void)state;
    const struct tc_wire_event *e = one(tc_binance_decode,
                                        "{\"u\":400900217,\"s\":\"BNBUSDT\",\"b\":\"25.35190000\",\"B\":\"31."
                                        "21\",\"a\":\"25.36520000\",\"A\":\"40.66\"}",
                                        TC_WIRE_QUOTE);
    assert_true(e->quote.bid == 25.3519 && e->quote.ask_size == 40.66);
    assert_int_equal(e->time, 0);
#define KLINE(closed, count)                                                                          \
    "{\"e\":\"kline\",\"E\":1,\"s\":\"BNBBTC\",\"k\":{\"t\":1672515780000,\"T\":1672515780999,\"s\":" \
    "\"BNBBTC\","                                                                                     \
    "\"i\":\"1s\",\"f\":1,\"L\":2,\"o\":\"1\",\"c\":\"2\",\"h\":\"3\",\"l\":\"0.5\",\"v\":\"10\","    \
    "\"n\":" count ",\"x\":" closed ",\"q\":\"1\",\"V\":\"5\",\"Q\":\"5\",\"B\":\"1\"}}"
    e = one(tc_binance_decode, KLINE("true", "7"), TC_WIRE_SECOND);
    assert_true(e->bar.low == 0.5 && e->bar.volume == 10 && e->bar.trades == 7);
    assert_int_equal(e->time, INT64_C(1672515780000000000));
    none(tc_binance_decode, KLINE("false", "7"));
    none(tc_binance_decode, KLINE("true", "0")); /* a second without a trade is no bar */
}

static void binance_says_yes_no_and_goodbye(void **state)
{
    (void)state;
    one(tc_binance_decode, "{\"result\":null,\"id\":1}", TC_WIRE_SUBSCRIBED);
    assert_int_equal(
        fault(tc_binance_decode, "{\"error\":{\"code\":2,\"msg\":\"Invalid request\"},\"id\":1}"),
        TC_FAULT_RETRY);
    assert_string_equal(texts[0], "Invalid request");
    assert_int_equal(fault(tc_binance_decode, "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}"),
                     TC_FAULT_SYMBOL);
    one(tc_binance_decode, "{\"e\":\"serverShutdown\",\"E\":1770123456789}", TC_WIRE_NOTICE);
    refused(tc_binance_decode,
            "{\"e\":\"aggTrade\",\"s\":\"A\",\"a\":1,\"p\":\"-1\",\"q\":\"1\",\"T\":1672515782135}");
    refused(tc_binance_decode, "{\"e\":5}");
}

/* ---- Kraken ---- */

static void kraken_gives_numbers_and_lists_of_trades(void **state)
{
    (void)state;
    assert_int_equal(decode(tc_kraken_decode,
                            "{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\"MATIC/"
                            "USD\",\"side\":\"sell\",\"price\":"
                            "0.5117,\"qty\":40.0,\"ord_type\":\"market\",\"trade_id\":4665906,\"timestamp\":"
                            "\"2023-09-25T07:49:37.708706Z\"},{\"symbol\":\"BTC\\/"
                            "USD\",\"side\":\"buy\",\"price\":1e4,\"qty\":2,"
                            "\"trade_id\":4665907,\"timestamp\":\"2023-09-25T07:49:37.8Z\"}]}"),
                     TC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(seen[0].id, 4665906);
    assert_true(seen[0].trade.price == 0.5117 && seen[0].trade.size == 40);
    assert_string_equal(symbols[1], "BTC/USD"); /* a slash may be escaped */
    assert_true(seen[1].trade.price == 10000);
}

static void kraken_answers_and_heartbeats(void **state)
{
    (void)state;
    one(tc_kraken_decode, "{\"channel\":\"heartbeat\"}", TC_WIRE_ALIVE);
    one(tc_kraken_decode,
        "{\"method\":\"subscribe\",\"result\":{\"channel\":\"trade\",\"snapshot\":false,\"symbol\":\"BTC/"
        "USD\"},\"success\":true,"
        "\"time_in\":\"a\",\"time_out\":\"b\",\"req_id\":1}",
        TC_WIRE_SUBSCRIBED);
    assert_string_equal(symbols[0], "BTC/USD");
    assert_int_equal(fault(tc_kraken_decode,
                           "{\"error\":\"Currency pair not supported FOO/BAR\",\"method\":\"subscribe\","
                           "\"success\":false,\"symbol\":\"FOO/BAR\"}"),
                     TC_FAULT_SYMBOL);
    assert_string_equal(symbols[0], "FOO/BAR");
    one(tc_kraken_decode,
        "{\"channel\":\"ticker\",\"type\":\"update\",\"data\":[{\"symbol\":\"ALGO/"
        "USD\",\"bid\":0.10025,\"bid_qty\":740.0,"
        "\"ask\":0.10035,\"ask_qty\":1361.44,\"last\":0.10035}]}",
        TC_WIRE_QUOTE);
    none(tc_kraken_decode, "{\"channel\":\"status\",\"type\":\"update\",\"data\":[{\"system\":\"online\"}]}");
    none(tc_kraken_decode, "{\"method\":\"pong\",\"req_id\":1}");
    refused(tc_kraken_decode, "{\"channel\":\"trade\",\"data\":[{\"symbol\":\"A\",\"price\":1}]}");
    refused(tc_kraken_decode, "{\"channel\":\"trade\",\"data\":[5]}");
}

/* ---- Massive ---- */

#define TRADE(more)                                                                                 \
    "[{\"ev\":\"T\",\"sym\":\"MSFT\",\"x\":4,\"i\":\"12345\",\"z\":3,\"p\":114.125,\"s\":100," more \
    "\"t\":1536036818784,\"q\":1}]"

static void massive_trades_without_conditions_and_with_fractions(void **state)
{
    (void)state;
    const struct tc_wire_event *e = one(tc_massive_decode, TRADE(""), TC_WIRE_TRADE);
    assert_int_equal(e->time, INT64_C(1536036818784000000));
    assert_true(e->trade.size == 100 && !e->trade.off_exchange && !e->trade.not_last);
    uint64_t id = e->id;
    e = one(tc_massive_decode, TRADE("\"ds\":\"0.5\",\"trfi\":3,\"trft\":1536036818780,"), TC_WIRE_TRADE);
    assert_true(e->trade.size == 0.5 && e->trade.off_exchange);
    assert_true(e->id != id && id != 0); /* an id is unique with its exchange and TRF only */
    refused(tc_massive_decode, "[{\"ev\":\"T\",\"sym\":\"MSFT\",\"p\":\"114\",\"s\":1,\"t\":1536036818784}]");
    refused(tc_massive_decode, "{\"ev\":\"T\"}"); /* every frame is an array */
}

static void massive_conditions_bind_high_close_and_volume_apart(void **state)
{
    static const struct {
        const char *text;
        bool range, last, volume;
    } cases[] = {{"\"c\":[0],", true, true, true},
                 {"\"c\":[37],", false, false, true},
                 {"\"c\":[10],", true, false, true},
                 {"\"c\":[15],", false, false, false},
                 {"\"c\":[38],", true, true, false},
                 {"\"c\":[12],", true, true, true}, /* extended hours do count */
                 {"\"c\":[10,37],", false, false, true},
                 {"\"c\":null,", true, true, true}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char frame[256];
        snprintf(frame, sizeof(frame),
                 "[{\"ev\":\"T\",\"sym\":\"A\",\"i\":\"1\",\"p\":1.5,\"s\":1,%s\"t\":1536036818784}]",
                 cases[i].text);
        const struct tc_trade *t = &one(tc_massive_decode, frame, TC_WIRE_TRADE)->trade;
        if (t->not_range == cases[i].range || t->not_last == cases[i].last ||
            t->not_volume == cases[i].volume)
            fail_msg("%s", cases[i].text);
    }
}

static void massive_mixes_kinds_in_one_frame(void **state)
{
    (void)state;
    assert_int_equal(
        decode(
            tc_massive_decode,
            "[{\"ev\":\"A\",\"sym\":\"SPCE\",\"v\":200,\"av\":8642007,\"op\":25.66,\"vw\":25.3981,\"o\":25."
            "39,\"c\":25.4,\"h\":"
            "25.5,\"l\":25.3,\"a\":25.37,\"z\":50,\"s\":1610144868000,\"e\":1610144869000,\"dv\":\"200.25\"},"
            "{\"ev\":\"AM\",\"sym\":\"GTE\",\"v\":4110,\"vw\":0.4488,\"o\":0.4488,\"c\":0.4486,\"h\":0.4489,"
            "\"l\":0.4486,"
            "\"s\":1610144640000,\"e\":1610144700000,\"otc\":true},"
            "{\"ev\":\"Q\",\"sym\":\"MSFT\",\"bx\":4,\"bp\":114.125,\"bs\":100,\"ax\":7,\"ap\":114.128,"
            "\"as\":160,\"c\":0,"
            "\"i\":[604],\"t\":1536036818784,\"q\":5,\"z\":3},{\"ev\":\"NOI\",\"T\":\"NTEST.Q\",\"t\":"
            "1601318039223013600,"
            "\"at\":930,\"a\":\"M\",\"i\":44,\"x\":10,\"o\":480,\"p\":440,\"b\":25.03}]"),
        TC_OK);
    assert_int_equal(n, 3);
    assert_int_equal(seen[0].kind, TC_WIRE_SECOND);
    assert_true(seen[0].bar.volume == 200.25 && seen[0].bar.close == 25.4 && seen[0].bar.trades == 0);
    assert_int_equal(seen[0].time, INT64_C(1610144868000000000));
    assert_int_equal(seen[1].kind, TC_WIRE_MINUTE);
    assert_int_equal(seen[2].kind, TC_WIRE_QUOTE);
    assert_true(seen[2].quote.ask == 114.128);
}

static void massive_halts_come_as_luld_with_other_names_and_units(void **state)
{
    (void)state;
    const struct tc_wire_event *e = one(tc_massive_decode,
                                        "[{\"ev\":\"LULD\",\"T\":\"MSFT\",\"h\":218.86,\"l\":198.02,\"i\":["
                                        "17],\"z\":3,\"t\":1601316752683746,\"q\":7}]",
                                        TC_WIRE_HALT);
    assert_int_equal(e->time, INT64_C(1601316752683746000));
    assert_string_equal(symbols[0], "MSFT");
    one(tc_massive_decode, "[{\"ev\":\"LULD\",\"T\":\"MSFT\",\"i\":[1,18],\"t\":1601316752683}]",
        TC_WIRE_RESUME);
    none(tc_massive_decode,
         "[{\"ev\":\"LULD\",\"T\":\"MSFT\",\"h\":1,\"l\":1,\"i\":[2],\"t\":1601316752683}]");
}

#define STATUS(name, text) "[{\"ev\":\"status\",\"status\":\"" name "\",\"message\":\"" text "\"}]"

static void massive_status_words(void **state)
{
    (void)state;
    one(tc_massive_decode, STATUS("connected", "Connected Successfully"), TC_WIRE_WELCOME);
    one(tc_massive_decode, STATUS("success", "Connected Successfully"), TC_WIRE_WELCOME);
    one(tc_massive_decode, STATUS("auth_success", "authenticated"), TC_WIRE_AUTHORISED);
    one(tc_massive_decode, STATUS("success", "subscribed to: T.MSFT"), TC_WIRE_SUBSCRIBED);
    none(tc_massive_decode, STATUS("success", "unsubscribed to: T.MSFT"));
    assert_int_equal(fault(tc_massive_decode, STATUS("auth_failed", "authentication failed")), TC_FAULT_KEY);
    assert_int_equal(fault(tc_massive_decode, STATUS("auth_timeout", "x")), TC_FAULT_RETRY);
    assert_int_equal(fault(tc_massive_decode,
                           STATUS("max_connections", "Maximum number of websocket connections exceeded.")),
                     TC_FAULT_CONNECTIONS);
    assert_int_equal(fault(tc_massive_decode, STATUS("error", "not authorized for T.*")), TC_FAULT_PLAN);
    one(tc_massive_decode, STATUS("slow_consumer", "x"), TC_WIRE_NOTICE);
    one(tc_massive_decode, STATUS("force_disconnect", "x"), TC_WIRE_NOTICE);
}

/* ---- Alpaca ---- */

static void alpaca_trades_quotes_and_bars(void **state)
{
    (void)state;
    assert_int_equal(
        decode(tc_alpaca_decode,
               "[{\"T\":\"t\",\"i\":96921,\"S\":\"AAPL\",\"x\":\"D\",\"p\":126.55,\"s\":1,\"t\":\"2021-02-"
               "22T15:51:44.208Z\","
               "\"c\":[\"@\",\"I\"],\"z\":\"C\"},{\"T\":\"q\",\"S\":\"AMD\",\"bx\":\"U\",\"bp\":87.66,\"bs\":"
               "1,\"ax\":\"X\","
               "\"ap\":87.68,\"as\":4,\"t\":\"2021-02-22T15:51:45.335689322Z\",\"c\":[\"R\"],\"z\":\"C\"},"
               "{\"T\":\"b\",\"S\":\"SPY\",\"o\":388.985,\"h\":389.13,\"l\":388.975,\"c\":389.12,\"v\":49378,"
               "\"n\":461,\"vw\":"
               "389.06,\"t\":\"2021-02-22T19:15:00Z\"}]"),
        TC_OK);
    assert_int_equal(n, 3);
    assert_true(seen[0].trade.off_exchange && seen[0].trade.not_last &&
                !seen[0].trade.not_volume); /* an odd lot */
    assert_int_equal(seen[1].time, INT64_C(1614009105335689322));
    assert_int_equal(seen[2].kind, TC_WIRE_MINUTE);
    assert_int_equal(seen[2].bar.trades, 461);
}

static void alpaca_letters_depend_on_the_tape(void **state)
{
    struct tc_trade cta = {0}, utp = {0}, close = {0};
    (void)state;
    tc_wire_condition_letter('B', 'A', &cta); /* average price; on the UTP tape a bunched trade */
    tc_wire_condition_letter('B', 'C', &utp);
    tc_wire_condition_letter('M', 'C', &close);
    assert_true(cta.not_last && !utp.not_last);
    assert_true(close.not_last && close.not_range && close.not_volume);
}

static void alpaca_control_messages_and_codes(void **state)
{
    (void)state;
    one(tc_alpaca_decode, "[{\"T\":\"success\",\"msg\":\"connected\"}]", TC_WIRE_WELCOME);
    one(tc_alpaca_decode, "[{\"T\":\"success\",\"msg\":\"authenticated\"}]", TC_WIRE_AUTHORISED);
    one(tc_alpaca_decode,
        "[{\"T\":\"subscription\",\"trades\":[\"AAPL\"],\"quotes\":[],\"bars\":[\"*\"],\"corrections\":[]}]",
        TC_WIRE_SUBSCRIBED);
    static const struct {
        const char *code;
        enum tc_wire_fault fault;
    } codes[] = {{"402", TC_FAULT_KEY},         {"404", TC_FAULT_RETRY}, {"405", TC_FAULT_PLAN},
                 {"406", TC_FAULT_CONNECTIONS}, {"409", TC_FAULT_PLAN},  {"500", TC_FAULT_RETRY},
                 {"400", TC_FAULT_SYMBOL}};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        char frame[80];
        snprintf(frame, sizeof(frame), "[{\"T\":\"error\",\"code\":%s,\"msg\":\"words\"}]", codes[i].code);
        assert_int_equal(fault(tc_alpaca_decode, frame), codes[i].fault);
    }
    one(tc_alpaca_decode, "[{\"T\":\"error\",\"code\":407,\"msg\":\"slow client\"}]", TC_WIRE_NOTICE);
    one(tc_alpaca_decode,
        "[{\"T\":\"s\",\"S\":\"AAPL\",\"sc\":\"H\",\"sm\":\"Trading "
        "Halt\",\"rc\":\"T12\",\"rm\":\"x\",\"t\":\"2021-02-22T19:15:00Z\","
        "\"z\":\"C\"}]",
        TC_WIRE_HALT);
    one(tc_alpaca_decode,
        "[{\"T\":\"s\",\"S\":\"AAPL\",\"sc\":\"T\",\"t\":\"2021-02-22T19:15:00Z\",\"z\":\"C\"}]",
        TC_WIRE_RESUME);
    refused(tc_alpaca_decode, "[{\"T\":\"t\",\"S\":\"AAPL\",\"p\":1,\"s\":1,\"t\":1614009105335689322}]");
}

/* ---- Finnhub ---- */

static void finnhub_trades_of_no_size_are_no_trades(void **state)
{
    (void)state;
    assert_int_equal(
        decode(tc_finnhub_decode,
               "{\"data\":[{\"p\":1.5,\"s\":\"AAPL\",\"t\":1575526691134,\"v\":5,\"c\":[\"1\",\"37\"]},"
               "{\"p\":1.6,\"s\":\"AAPL\",\"t\":1575526691135,\"v\":0,\"c\":null}],\"type\":\"trade\"}"),
        TC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(seen[0].kind, TC_WIRE_TRADE);
    assert_true(seen[0].trade.not_last && seen[0].trade.size == 5);
    assert_int_equal(seen[0].time, INT64_C(1575526691134000000));
    assert_int_equal(seen[1].kind, TC_WIRE_ALIVE);
    one(tc_finnhub_decode, "{\"type\":\"ping\"}", TC_WIRE_ALIVE);
    assert_int_equal(fault(tc_finnhub_decode, "{\"type\":\"error\",\"msg\":\"Invalid API key\"}"),
                     TC_FAULT_KEY);
    refused(tc_finnhub_decode, "{\"data\":[{\"p\":1.5,\"s\":\"AAPL\"}],\"type\":\"trade\"}");
}

static void times_go_by_their_magnitude(void **state)
{
    (void)state;
    assert_int_equal(tc_wire_time(1601316752), INT64_C(1601316752000000000));
    assert_int_equal(tc_wire_time(1601316752683), INT64_C(1601316752683000000));
    assert_int_equal(tc_wire_time(1601316752683746), INT64_C(1601316752683746000));
    assert_int_equal(tc_wire_time(1601318039223013600), INT64_C(1601318039223013600));
    assert_int_equal(tc_wire_time(-5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coinbase_takes_every_match_and_only_the_quote_of_a_ticker),
        cmocka_unit_test(coinbase_heartbeats_errors_and_breakage),
        cmocka_unit_test(binance_trades_bare_and_wrapped_in_ms_and_us),
        cmocka_unit_test(binance_quotes_have_no_time_and_klines_count_when_closed),
        cmocka_unit_test(binance_says_yes_no_and_goodbye),
        cmocka_unit_test(kraken_gives_numbers_and_lists_of_trades),
        cmocka_unit_test(kraken_answers_and_heartbeats),
        cmocka_unit_test(massive_trades_without_conditions_and_with_fractions),
        cmocka_unit_test(massive_conditions_bind_high_close_and_volume_apart),
        cmocka_unit_test(massive_mixes_kinds_in_one_frame),
        cmocka_unit_test(massive_halts_come_as_luld_with_other_names_and_units),
        cmocka_unit_test(massive_status_words),
        cmocka_unit_test(alpaca_trades_quotes_and_bars),
        cmocka_unit_test(alpaca_letters_depend_on_the_tape),
        cmocka_unit_test(alpaca_control_messages_and_codes),
        cmocka_unit_test(finnhub_trades_of_no_size_are_no_trades),
        cmocka_unit_test(times_go_by_their_magnitude),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
