#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hist.h"
#include "base/num.h"
#include "base/ring.h"
#include "base/rng.h"
#include "base/spill.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void doubles_are_written_shortest_and_read_back_equal(void **state)
{
    (void)state;
    const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"},
                 {168.86, "168.86"},
                 {-0.05, "-0.05"},
                 {1e-7, "1e-07"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1e22, "1e+22"},
                 {123456.7891, "123456.7891"},
                 {NAN, "null"},
                 {INFINITY, "null"},
                 {5e-324, "4.94065645841247e-324"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[TC_NUM_TEXT];
        size_t n = tc_format_double(cases[i].v, text);
        assert_int_equal(n, strlen(text));
        assert_string_equal(text, cases[i].text);
    }
    struct tc_rng rng;
    tc_rng_seed(&rng, 7);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = tc_rng_next(&rng);
        double v, back;
        memcpy(&v, &bits, 8);
        if (!isfinite(v))
            continue;
        char text[TC_NUM_TEXT];
        size_t n = tc_format_double(v, text);
        assert_true(tc_parse_double(text, n, &back));
        assert_memory_equal(&v, &back, 8);
        v = rint(tc_rng_uniform(&rng) * 1e7) / 1e4; /* prices */
        n = tc_format_double(v, text);
        assert_true(tc_parse_double(text, n, &back) && back == v);
    }
}

/* The first of 15, 16, 17 digits that reads back equal, by printf. */
static void slow_double(double v, char out[static TC_NUM_TEXT])
{
    for (int digits = 15; digits <= 17; digits++) {
        double back;
        snprintf(out, TC_NUM_TEXT, "%.*g", digits, v);
        if (tc_parse_double(out, strlen(out), &back) && back == v)
            return;
    }
}

static void usual_sizes_are_written_with_the_digits_that_printf_gives(void **state)
{
    (void)state;
    struct tc_rng rng;
    tc_rng_seed(&rng, 8);
    for (int i = 0; i < 300000; i++) {
        char fast[TC_NUM_TEXT], slow[TC_NUM_TEXT];
        double v = tc_rng_normal(&rng) * pow(10, (double)tc_rng_below(&rng, 20) - 4);
        if (i % 3 == 0) /* around powers of two, where the gap below is half the gap above */
            v = ldexp(1, (int)tc_rng_below(&rng, 60) - 13) * (i % 2 ? 1 : 1 - 0x1p-53);
        else if (i % 3 == 1) /* means of prices: few steps from a short decimal */
            v = nextafter(rint(v * 100) / 100, tc_rng_normal(&rng));
        if (fabs(v) < 1e-4 || fabs(v) >= 1e15)
            continue;
        tc_format_double(v, fast);
        slow_double(v, slow);
        assert_string_equal(fast, slow);
    }
}

static void broken_numbers_are_refused(void **state)
{
    (void)state;
    const char *bad[] = {"", "-", ".", "1e", "1 ", " 1", "0x10", "nan", "inf", "1.2.3", "1e500", "--1"};
    double d;
    int64_t i;
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
        assert_false(tc_parse_double(bad[k], strlen(bad[k]), &d));
    assert_false(tc_parse_int("9223372036854775808", 19, &i));
    assert_true(tc_parse_int("-9223372036854775808", 20, &i) && i == INT64_MIN);
    assert_true(tc_parse_int("9223372036854775807", 19, &i) && i == INT64_MAX);
    assert_false(tc_parse_int("12x", 3, &i));
}

static void a_buffer_stops_at_its_bound(void **state)
{
    (void)state;
    struct tc_buf b;
    tc_buf_init(&b, 600);
    for (int i = 0; i < 100; i++)
        tc_buf_str(&b, "0123456789");
    assert_true(b.overflow);
    assert_true(b.len < 600);
    tc_buf_release(&b);
    char room[8];
    tc_buf_init_fixed(&b, room, sizeof(room));
    tc_buf_str(&b, "1234567");
    assert_false(b.overflow);
    tc_buf_char(&b, '8');
    assert_true(b.overflow);
    assert_string_equal(room, "1234567");
}

static void json_strings_hold_only_valid_utf8(void **state)
{
    (void)state;
    struct tc_buf b;
    tc_buf_init(&b, 1000);
    tc_buf_json_string(&b, "a\"b\\\n\xC3\xA9\xFF\xED\xA0\x80");
    assert_string_equal(b.data,
                        "\"a\\\"b\\\\\\u000a\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    tc_buf_release(&b);
}

static void errors_gather_context_on_the_way_up(void **state)
{
    (void)state;
    assert_int_equal(tc_fail(TC_EINPUT, "line %d: no price", 7), TC_EINPUT);
    assert_int_equal(tc_more(TC_EINPUT, "reading %s", "a.csv"), TC_EINPUT);
    assert_string_equal(tc_error(), "reading a.csv: line 7: no price");
    for (int i = 0; i < 200; i++)
        tc_more(TC_EINPUT, "a rather long context number %d", i);
    assert_true(strlen(tc_error()) < 1024);
    tc_error_clear();
    assert_string_equal(tc_error(), "");
}

static void dates_go_both_ways(void **state)
{
    (void)state;
    assert_int_equal(tc_days_from_date(19700101), 0);
    assert_int_equal(tc_date_from_days(15985), 20131007);
    for (int64_t d = -200000; d < 200000; d += 13)
        assert_int_equal(tc_days_from_date(tc_date_from_days(d)), d);
    char text[40];
    assert_string_equal(tc_time_iso(INT64_C(1381152600000000000), text, sizeof(text)),
                        "2013-10-07T13:30:00Z");
    assert_string_equal(tc_time_iso(-1, text, sizeof(text)), "1969-12-31T23:59:59.999999999Z");
    assert_int_equal(tc_floor_second(-1), -TC_NS_PER_SEC);
}

static void quantiles_are_within_four_percent(void **state)
{
    (void)state;
    static struct tc_hist h;
    for (int64_t i = 1; i <= 100000; i++)
        tc_hist_add(&h, i * 10);
    assert_true(fabs((double)tc_hist_quantile(&h, 0.5) - 500000) < 20000);
    assert_true(fabs((double)tc_hist_quantile(&h, 0.99) - 990000) < 40000);
}

enum { STRESS = 200000 };

static void *ring_writer(void *arg)
{
    struct tc_ring *r = arg;
    for (uint64_t i = 0; i < STRESS;) {
        uint64_t *slot = tc_ring_claim(r);
        if (!slot)
            continue;
        *slot = i++;
        tc_ring_publish(r);
    }
    return NULL;
}

static void a_ring_passes_everything_in_order_between_threads(void **state)
{
    (void)state;
    struct tc_ring *r;
    assert_int_equal(tc_ring_open(&r, 64, sizeof(uint64_t)), TC_OK);
    pthread_t writer;
    pthread_create(&writer, NULL, ring_writer, r);
    for (uint64_t want = 0; want < STRESS;) {
        void *first;
        size_t n = tc_ring_peek(r, &first, 16);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(((uint64_t *)first)[i], want++);
        tc_ring_release(r, n);
    }
    pthread_join(writer, NULL);
    struct tc_ring_stat s = tc_ring_stat(r);
    assert_int_equal(s.offered, STRESS);
    assert_int_equal(s.taken, STRESS);
    assert_true(s.high_water <= 64);
    tc_ring_close(r);
    assert_int_equal(tc_ring_open(&r, 63, 8), TC_ECONF);
}

/* Pages of this process that are in memory. */
static long resident_pages(void)
{
    long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &size, &resident), 2);
    fclose(f);
    return resident;
}

static void what_is_spilled_leaves_memory_and_comes_back(void **state)
{
    (void)state;
    enum { ARRAYS = 16, BYTES = 1 << 20 };
    struct tc_spill *s;
    uint32_t *array[ARRAYS];
    assert_int_equal(tc_spill_open(".", &s), 0);
    for (uint32_t a = 0; a < ARRAYS; a++) {
        array[a] = tc_spill_take(s, BYTES - 8 * a);
        assert_non_null(array[a]);
        for (uint32_t i = 0; i < (BYTES - 8 * a) / 4; i++) {
            assert_int_equal(array[a][i], 0);
            array[a][i] = i * 2654435761u + a;
        }
    }
    uint32_t mine[4096] = {1, 2, 3}; /* not the spill's: left as it is */
    tc_spill_release(s, mine, sizeof(mine));
    assert_true(mine[0] == 1 && mine[2] == 3);
    long before = resident_pages();
    for (uint32_t a = 0; a < ARRAYS; a++)
        tc_spill_release(s, array[a], BYTES - 8 * a);
    assert_true(before - resident_pages() > ARRAYS * (BYTES / 4096) * 9 / 10);
    for (uint32_t a = 0; a < ARRAYS; a++)
        for (uint32_t i = 0; i < (BYTES - 8 * a) / 4; i++)
            assert_int_equal(array[a][i], i * 2654435761u + a);
    tc_spill_close(s);
    assert_int_equal(tc_spill_open("no/such/folder", &s), TC_EIO);
    assert_non_null(strstr(tc_error(), "no/such/folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_are_written_shortest_and_read_back_equal),
        cmocka_unit_test(usual_sizes_are_written_with_the_digits_that_printf_gives),
        cmocka_unit_test(broken_numbers_are_refused),
        cmocka_unit_test(a_buffer_stops_at_its_bound),
        cmocka_unit_test(json_strings_hold_only_valid_utf8),
        cmocka_unit_test(errors_gather_context_on_the_way_up),
        cmocka_unit_test(dates_go_both_ways),
        cmocka_unit_test(what_is_spilled_leaves_memory_and_comes_back),
        cmocka_unit_test(quantiles_are_within_four_percent),
        cmocka_unit_test(a_ring_passes_everything_in_order_between_threads),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
