#include "wire/lean.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct tc_lean_trade trade;
static struct tc_lean_bar bar;
static struct tc_lean_quote quote;

static const char *trade_line(const char *s)
{
    return tc_lean_trade_line(s, strlen(s), &trade);
}

static const char *bar_line(const char *s)
{
    return tc_lean_bar_line(s, strlen(s), &bar);
}

static const char *quote_line(const char *s)
{
    return tc_lean_quote_line(s, strlen(s), &quote);
}

static void a_trade_line_gives_time_price_size_and_flags(void **state)
{
    (void)state;
    assert_null(trade_line("14400464,1674100,100,P,20002000,0"));
    assert_true(trade.time == INT64_C(14400464000000) && trade.trade.price == 167.41 &&
                trade.trade.size == 100);
    assert_false(trade.trade.off_exchange);
    assert_false(trade.suspicious);
    assert_null(trade_line("34200000.123456,100,1.5,D,,1\r"));
    assert_true(trade.time == INT64_C(34200000123456) && trade.trade.price == 0.01 &&
                trade.trade.size == 1.5);
    assert_true(trade.trade.off_exchange && trade.suspicious);
    assert_null(trade_line("0.0000009,1,0,FINRA,Ab0,0"));
    assert_true(trade.time == 0 && trade.trade.off_exchange);
}

static void broken_trade_lines_are_refused_with_the_field(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ",",
        "-1,1674100,100,P,0,0",
        "86400000,1674100,100,P,0,0",
        "1e3,1674100,100,P,0,0",
        "14400464.,1674100,100,P,0,0",
        "14400464,0,100,P,0,0",
        "14400464,-1674100,100,P,0,0",
        "14400464,99999999999999999999999,100,P,0,0",
        "14400464,1674100,,P,0,0",
        "14400464,1674100,nan,P,0,0",
        "14400464,1674100,0x10,P,0,0",
        "14400464,1674100,100",
        "14400464,1674100,100,P",
        "14400464,1674100,100,PPPPPPPPPPPPPPPPPPP,0,0",
        "14400464,1674100,100,P,zz,0",
        "14400464,1674100,100,P,0,2",
        "14400464,1674100,100,P,0,",
        "14400464,1674100,100,P,0,0,7",
        "14400464,1674100,100,P,0,00",
        " 14400464,1674100,100,P,0,0",
        "\xff\xfe\x00\x01",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_non_null(trade_line(bad[i]));
    assert_non_null(strstr(trade_line("1,2,3,P,0,x"), "field 6"));
    assert_non_null(strstr(trade_line("1,0,3,P,0,0"), "field 2"));
}

static void a_bar_line_must_hang_together(void **state)
{
    (void)state;
    assert_null(bar_line("14400000,1674100,1674200,1674000,1674150,2049"));
    assert_true(bar.open == 167.41 && bar.high == 167.42 && bar.low == 167.4 && bar.close == 167.415);
    assert_true(bar.volume == 2049);
    assert_non_null(bar_line("14400000,1674100,1674000,1674200,1674100,1"));
    assert_non_null(bar_line("14400000,1674300,1674200,1674000,1674100,1"));
    assert_non_null(bar_line("14400000,1674100,1674200,1674000,1674100,1,2"));
    assert_non_null(bar_line("14400000,1674100,1674200,1674000,1674100"));
}

static void a_quote_line_keeps_the_closes_and_knows_an_empty_side(void **state)
{
    (void)state;
    assert_null(
        quote_line("14400000,1672700,1672700,1672700,1672701,100,1680000,1680000,1674100,1674100,600"));
    assert_true(quote.quote.bid == 167.2701 && quote.quote.ask == 167.41);
    assert_true(quote.quote.bid_size == 100 && quote.quote.ask_size == 600);
    assert_null(quote_line("14400000,,,,,0,1680000,1680000,1674100,1674100,600"));
    assert_true(isnan(quote.quote.bid) && quote.quote.ask == 167.41);
    assert_null(quote_line("14400000,1,1,1,1,5,0,0,0,0,"));
    assert_true(isnan(quote.quote.ask) && isnan(quote.quote.ask_size));
    assert_non_null(quote_line("14400000,1,1,1,1,5,0,0,0,0"));
    assert_non_null(quote_line("14400000,1,1,1,1,5,0,0,0,0,1,2"));
    assert_non_null(quote_line("14400000,1,1,1,x,5,0,0,0,0,1"));
}

/* Every prefix, read from a block that ends where the prefix ends, so that a sanitizer sees a read past it.
 */
static void no_prefix_of_a_line_is_read_past_its_end(void **state)
{
    (void)state;
    static const char *const lines[] = {"14400464.25,1674100,100.5,FINRA,20002000,0",
                                        "14400000,1672700,1672700,1672700,1672701,100,1680000,1,1,1,600"};
    for (size_t k = 0; k < 2; k++) {
        for (size_t n = 0; n <= strlen(lines[k]); n++) {
            char *copy = malloc(n ? n : 1);
            memcpy(copy, lines[k], n);
            tc_lean_trade_line(copy, n, &trade);
            tc_lean_bar_line(copy, n, &bar);
            tc_lean_quote_line(copy, n, &quote);
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trade_line_gives_time_price_size_and_flags),
        cmocka_unit_test(broken_trade_lines_are_refused_with_the_field),
        cmocka_unit_test(a_bar_line_must_hang_together),
        cmocka_unit_test(a_quote_line_keeps_the_closes_and_knows_an_empty_side),
        cmocka_unit_test(no_prefix_of_a_line_is_read_past_its_end),
    };
    return cmocka_run_group_tests_name("lean", tests, NULL, NULL);
}
