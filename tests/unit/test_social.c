/* Symbols in posts, case by case, and the files that users may edit. The sentiment itself is compared with
 * the package in tests/integration/test_sentiment.py. */
#include "base/err.h"
#include "social/sentiment.h"
#include "social/tickers.h"
#include "social/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct tc_tickers *open_shipped(void)
{
    static const char *const extra[] = {"SIM0008", "coinbase:ZORA-USD"};
    struct tc_tickers_conf conf = {.symbols_file = TEST_SOCIAL "/symbols.tsv",
                                   .ambiguous_file = TEST_SOCIAL "/ambiguous.txt",
                                   .extra = extra,
                                   .n_extra = 2};
    struct tc_tickers *t = NULL;
    assert_int_equal(tc_tickers_open(&conf, &t), TC_OK);
    return t;
}

static void expect(const struct tc_tickers *t, const char *text, const char *want)
{
    struct tc_ticker found[TC_TICKERS_MAX];
    char got[512] = "";
    size_t n = tc_tickers_find(t, text, strlen(text), found);
    for (size_t i = 0; i < n; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s:%s", i ? " " : "", found[i].symbol,
                 tc_evidence_name(found[i].evidence));
    if (strcmp(got, want))
        fail_msg("\"%s\" gave \"%s\" and not \"%s\"", text, got, want);
}

static void each_kind_of_evidence_counts(void **state)
{
    (void)state;
    struct tc_tickers *t = open_shipped();
    expect(t, "$TSLA and $tsla, $ZZZZ", "TSLA:cashtag ZZZZ:cashtag");
    expect(t, "AMD is cheap", "AMD:capitals");
    expect(t, "spy 450c tomorrow", "SPY:option");
    expect(t, "aapl 6/21 200 puts", "AAPL:option");
    expect(t, "ON calls, long F, shares of GE", "ON:context F:context GE:context");
    expect(t, "nvda puts", "NVDA:context");
    expect(t, "I like Tesla's cars and at&t, s&p 500 too", "TSLA:name T:name SPY:name");
    expect(t, "TSLA is Tesla is $TSLA", "TSLA:cashtag");
    expect(t, "BRK.B and SIM0008 and ZORA", "BRK.B:capitals SIM0008:capitals ZORA:capitals");
    tc_tickers_close(t);
}

static void everyday_words_prove_nothing(void **state)
{
    (void)state;
    struct tc_tickers *t = open_shipped();
    expect(t, "IT is ON, ALL of us are A OK", "");
    expect(t, "an apple a day", "");
    expect(t, "Apple is a fruit", "");
    expect(t, "Apple earnings", "AAPL:name");
    expect(t, "$USD $EUR $5 $ $TOOLONGTAG $123", "");
    expect(t, "amd", "");
    expect(t, "https://x.test/TSLA r/GME u/AMD @NVDA www.SPY.test", "");
    tc_tickers_close(t);
}

static void shouting_proves_nothing(void **state)
{
    (void)state;
    struct tc_tickers *t = open_shipped();
    expect(t, "WHY IS AMD SO LATE AGAIN", "");
    expect(t, "WHY ARE AMD CALLS SO CHEAP", "AMD:context");
    expect(t, "BUY ON CALLS NOW", "");
    expect(t, "BUY $ON NOW AND TESLA", "ON:cashtag TSLA:name");
    expect(t, "MEET ME AT APPLE FOR THE EARNINGS", "");
    expect(t, "AMD NVDA INTC", "AMD:capitals NVDA:capitals INTC:capitals");
    expect(t, "THIS IS SO LOUD. But AMD is fine", "AMD:capitals");
    tc_tickers_close(t);
}

static void a_post_names_eight_symbols_at_most(void **state)
{
    (void)state;
    struct tc_tickers *t = open_shipped();
    struct tc_ticker found[TC_TICKERS_MAX];
    const char *text = "AAPL AMD NVDA INTC MSFT TSLA NFLX GME AMC PLTR";
    assert_int_equal(tc_tickers_find(t, text, strlen(text), found), TC_TICKERS_MAX);
    assert_string_equal(found[7].symbol, "GME");
    tc_tickers_close(t);
}

static void an_instrument_of_a_venue_is_spoken_of_by_its_base(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"SPY", "SPY"},
                                           {"coinbase:BTC-USD", "BTC"},
                                           {"binance:BTCUSDT", "BTC"},
                                           {"kraken:ETH/EUR", "ETH"},
                                           {"BRK.B", "BRK.B"},
                                           {"binance:USDT", "USDT"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[TC_SYMBOL_SIZE];
        tc_ticker_of(cases[i][0], out);
        assert_string_equal(out, cases[i][1]);
    }
}

static void a_text_without_end_is_read_in_parts(void **state)
{
    (void)state;
    struct tc_tickers *t = open_shipped();
    struct tc_ticker found[TC_TICKERS_MAX];
    size_t n = 1 << 20;
    char *text = malloc(n);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = "word $AMD "[i % 10];
    assert_int_equal(tc_tickers_find(t, text, n, found), 1);
    memset(text, '@', n);
    assert_int_equal(tc_tickers_find(t, text, n, found), 0);
    free(text);
    tc_tickers_close(t);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    char path[] = "/tmp/tickcast-social-XXXXXX";
    static const char *const words[][2] = {{"moon\n", ":1: expected a word"},
                                           {"# x\nmoon\t5\n", ":2: '5' is no number"},
                                           {"one two three four five\t1\n", ":1: expected one to 4 words"},
                                           {"\t1\n", ":1: expected one to 4 words"}};
    static const char *const symbols[][2] = {{"TS LA\n", ":1: 'TS LA' is no symbol"},
                                             {"A\tb\n\tx\n", ":2: '' is no symbol"},
                                             {"A\tone two three four five\n", ":1: the name"}};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct tc_sentiment *s = NULL;
        write_file(path, words[i][0]);
        assert_int_equal(tc_sentiment_open(path, &s), TC_EINPUT);
        assert_non_null(strstr(tc_error(), words[i][1]));
    }
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        struct tc_tickers_conf conf = {.symbols_file = path, .ambiguous_file = TEST_SOCIAL "/ambiguous.txt"};
        struct tc_tickers *t = NULL;
        write_file(path, symbols[i][0]);
        assert_int_equal(tc_tickers_open(&conf, &t), TC_EINPUT);
        assert_non_null(strstr(tc_error(), symbols[i][1]));
    }
    unlink(path);
}

static void words_of_the_market_are_phrases_and_emoji_too(void **state)
{
    (void)state;
    struct tc_sentiment *market = NULL, *plain = NULL;
    struct tc_sentiment_score a, b;
    assert_int_equal(tc_sentiment_open(TEST_SOCIAL "/market-words.txt", &market), TC_OK);
    assert_int_equal(tc_sentiment_open(NULL, &plain), TC_OK);
    static const char *const texts[] = {"Diamond HANDS!", "going up\xf0\x9f\x9a\x80now", "to the moon",
                                        "tendies"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        tc_sentiment_text(market, texts[i], strlen(texts[i]), &a);
        tc_sentiment_text(plain, texts[i], strlen(texts[i]), &b);
        assert_true(a.compound > 0.3 && a.compound > b.compound);
    }
    tc_sentiment_text(market, "", 0, &a);
    assert_true(a.compound == 0 && a.pos == 0 && a.neu == 0 && a.neg == 0);
    tc_sentiment_close(market);
    tc_sentiment_close(plain);
}

static void what_is_no_utf8_is_one_bad_byte(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\xff", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"};
    size_t used;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(tc_utf8_next(bad[i], strlen(bad[i]), &used) == TC_UTF8_BAD);
        assert_int_equal(used, 1);
    }
    assert_true(tc_utf8_next("\xf0\x9f\x9a\x80", 4, &used) == 0x1f680 && used == 4);
    assert_int_equal(tc_utf8_cut("a\xf0\x9f\x9a\x80", 3), 1);
    assert_int_equal(tc_utf8_cut("abcd", 3), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_evidence_counts),
        cmocka_unit_test(everyday_words_prove_nothing),
        cmocka_unit_test(shouting_proves_nothing),
        cmocka_unit_test(a_post_names_eight_symbols_at_most),
        cmocka_unit_test(an_instrument_of_a_venue_is_spoken_of_by_its_base),
        cmocka_unit_test(a_text_without_end_is_read_in_parts),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(words_of_the_market_are_phrases_and_emoji_too),
        cmocka_unit_test(what_is_no_utf8_is_one_bad_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
