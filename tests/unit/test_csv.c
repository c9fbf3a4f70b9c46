#include "wire/csv.h"
#include "base/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct tc_csv_format format;
static struct tc_csv_row row;

static const char *header(const char *s)
{
    return tc_csv_header(s, strlen(s), &format);
}

static const char *line(const char *s)
{
    return tc_csv_line(&format, s, strlen(s), &row);
}

static int64_t time_of(const char *s)
{
    int64_t t = -1;
    return tc_csv_time(s, strlen(s), &t) ? t : -1;
}

static void the_header_tells_trades_quotes_and_bars_apart(void **state)
{
    (void)state;
    assert_null(header("\xef\xbb\xbfTime,Symbol,Price,Size,note\r"));
    assert_int_equal(format.kind, TC_CSV_TRADES);
    assert_null(line("1381152600,SPY,167.41,100,\"x\"\r"));
    assert_true(row.trade.price == 167.41 && row.trade.size == 100 && row.time == 1381152600 * TC_NS_PER_SEC);
    assert_string_equal(row.symbol, "SPY");
    assert_null(header("timestamp,bid,ask,ask_size,bid_size"));
    assert_int_equal(format.kind, TC_CSV_QUOTES);
    assert_null(line("1381152600000,1,2,,5"));
    assert_true(row.quote.bid == 1 && row.quote.ask == 2 && row.quote.bid_size == 5 &&
                isnan(row.quote.ask_size));
    assert_null(header("start,symbol,open,high,low,close,volume,vwap,trades,bid,ask"));
    assert_int_equal(format.kind, TC_CSV_BARS);
    assert_null(line("\"2013-10-07T13:30:00Z\",\"SPY\",10,11,9,10.5,7,,3,,"));
    assert_true(row.bar.close == 10.5 && isnan(row.bar.vwap) && row.bar.trades == 3 && isnan(row.quote.bid));
    assert_false(row.bar.has_tape);
}

static void bad_headers_say_what_is_missing(void **state)
{
    (void)state;
    assert_non_null(header(""));
    assert_non_null(strstr(header("price,size"), "time"));
    assert_non_null(strstr(header("time,price"), "size"));
    assert_non_null(strstr(header("time,open,high,low,close"), "volume"));
    assert_non_null(strstr(header("time,time,price,size"), "twice"));
    char wide[400];
    memset(wide, ',', sizeof(wide) - 1);
    wide[sizeof(wide) - 1] = '\0';
    assert_non_null(strstr(header(wide), "64"));
}

static void bad_lines_are_refused(void **state)
{
    (void)state;
    assert_null(header("time,symbol,price,size,off_exchange,suspicious"));
    assert_null(line("1381152600,SPY,1,2,1,1"));
    assert_true(row.trade.off_exchange && row.suspicious);
    static const char *const bad[] = {
        "",
        "1381152600,SPY,1,2,1",
        "1381152600,SPY,1,2,1,1,1",
        "x,SPY,1,2,1,1",
        "0,SPY,1,2,1,1",
        "1381152600,,1,2,1,1",
        "1381152600,S Y,1,2,1,1",
        "1381152600,SPYSPYSPYSPYSPYSPYSPYSPYSPYSPYSPYSPY,1,2,1,1",
        "1381152600,SPY,0,2,1,1",
        "1381152600,SPY,-1,2,1,1",
        "1381152600,SPY,inf,2,1,1",
        "1381152600,SPY,nan,2,1,1",
        "1381152600,SPY,1,-2,1,1",
        "1381152600,SPY,1,,1,1",
        "1381152600,SPY,1,2,x,1",
        "1381152600,SPY,1,2,1,2",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_non_null(line(bad[i]));
    assert_null(header("time,open,high,low,close,volume"));
    assert_non_null(line("1381152600,10,9,11,10,5"));
    assert_non_null(line("1381152600,0,0,0,0,5"));
}

static void a_damaged_symbol_is_no_other_symbol(void **state)
{
    (void)state;
    static const char damaged[] = "1381152600,S\0Y,100,5", beyond[] = "1381152600,SPY,1e15,5";
    assert_null(header("time,symbol,price,size"));
    assert_non_null(tc_csv_line(&format, damaged, sizeof(damaged) - 1, &row));
    assert_non_null(line(beyond)); /* no bar takes it, so the line is told as bad */
}

static void times_are_read_in_every_unit_and_zone(void **state)
{
    (void)state;
    int64_t t = INT64_C(1381152600) * TC_NS_PER_SEC;
    assert_true(time_of("1381152600") == t);
    assert_true(time_of("1381152600.25") == t + TC_NS_PER_SEC / 4);
    assert_true(time_of("1381152600000") == t);
    assert_true(time_of("1381152600000000") == t);
    assert_true(time_of("1381152600000000000") == t);
    assert_true(time_of("2013-10-07T13:30:00Z") == t);
    assert_true(time_of("2013-10-07 13:30:00") == t);
    assert_true(time_of("2013-10-07T09:30:00.5-04:00") == t + TC_NS_PER_SEC / 2);
    static const char *const bad[] = {"",
                                      "-5",
                                      "1e9",
                                      "1381152600.",
                                      "1381152600000.5",
                                      "99999999999999999999",
                                      "2013-02-30T00:00:00Z",
                                      "2013-10-07T24:00:00Z",
                                      "2013-10-07T13:30:00X",
                                      "2013-10-07T13:30",
                                      "2013-10-07T13:30:00.Z",
                                      "2013-10-07T13:30:00+99:00"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_true(time_of(bad[i]) == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_tells_trades_quotes_and_bars_apart),
        cmocka_unit_test(bad_headers_say_what_is_missing),
        cmocka_unit_test(bad_lines_are_refused),
        cmocka_unit_test(a_damaged_symbol_is_no_other_symbol),
        cmocka_unit_test(times_are_read_in_every_unit_and_zone),
    };
    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
