#include "market/symtab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static void names_get_numbers_in_order_of_first_sight(void **state)
{
    (void)state;
    struct tc_symtab *t;
    assert_int_equal(tc_symtab_open(&t, 3), 0);
    assert_int_equal(tc_symtab_add(t, "SPY"), 0);
    assert_int_equal(tc_symtab_add(t, "coinbase:BTC-USD"), 1);
    assert_int_equal(tc_symtab_add(t, "SPY"), 0);
    assert_int_equal(tc_symtab_find(t, "coinbase:BTC-USD"), 1);
    assert_int_equal(tc_symtab_find(t, "IBM"), -1);
    assert_string_equal(tc_symtab_name(t, 1), "coinbase:BTC-USD");
    tc_symtab_close(t);
}

static void a_full_table_and_a_long_name_are_refused(void **state)
{
    (void)state;
    struct tc_symtab *t;
    assert_int_equal(tc_symtab_open(&t, 1), 0);
    assert_int_equal(tc_symtab_add(t, "123456789012345678901234567890123"), -1);
    assert_int_equal(tc_symtab_add(t, "12345678901234567890123456789012"), 0);
    assert_int_equal(tc_symtab_add(t, "IBM"), -1);
    tc_symtab_close(t);
}

static void only_plain_characters_make_a_symbol(void **state)
{
    (void)state;
    assert_true(tc_symbol_valid("BRK.B"));
    assert_true(tc_symbol_valid("kraken:XBT/USD"));
    assert_false(tc_symbol_valid(""));
    assert_false(tc_symbol_valid("SPY\n"));
    assert_false(tc_symbol_valid("<script>"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_get_numbers_in_order_of_first_sight),
        cmocka_unit_test(a_full_table_and_a_long_name_are_refused),
        cmocka_unit_test(only_plain_characters_make_a_symbol),
    };
    return cmocka_run_group_tests_name("symtab", tests, NULL, NULL);
}
