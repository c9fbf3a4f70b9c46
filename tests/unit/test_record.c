#include "base/err.h"
#include "bus/record_bus.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void fill_text(char *to, size_t size, char c)
{
    memset(to, c, size - 1);
    to[size - 1] = '\0';
}

static struct tc_record make_bar(void)
{
    struct tc_record r = {.type = TC_REC_BAR, .from = -1};
    struct tc_bar *b = &r.bar;
    fill_text(b->symbol, sizeof(b->symbol), 'S');
    fill_text(b->feed, sizeof(b->feed), 'F');
    b->start = INT64_C(1381152600000000000);
    b->available = INT64_MAX;
    b->interval_ms = 1000;
    b->trades = 41;
    b->open = 168.86;
    b->high = 168.88;
    b->low = -0.0;
    b->close = 0.1 + 0.2;
    b->vwap = NAN;
    b->volume = 0x1p-1074;
    b->quote = (struct tc_quote){1, 2, 3, NAN};
    b->quote_lag_ms = INFINITY;
    b->tape = (struct tc_tape){1, 2, 3, 4, 5, 6, NAN};
    b->origin = TC_ORIGIN_SIMULATED;
    b->revision = 7;
    return r;
}

static struct tc_record make_forecast(void)
{
    struct tc_record r = {.type = TC_REC_FORECAST, .from = 12345};
    struct tc_forecast *f = &r.forecast;
    strcpy(f->symbol, "coinbase:BTC-USD");
    fill_text(f->model, sizeof(f->model), 'm');
    strcpy(f->inputs, "T14");
    strcpy(f->kernel, "avx2");
    f->origin_time = 5;
    f->issued = 6;
    f->day = 20131007;
    f->flags = TC_FLAG_LATE | TC_FLAG_OUT_OF_DOMAIN;
    f->reference = 1.5;
    f->reference_mid = NAN;
    f->n_points = TC_POINTS_MAX;
    for (int i = 0; i < TC_POINTS_MAX; i++)
        f->points[i] =
            (struct tc_point){(enum tc_kind)(i % 3), i * 1000, i ? 100 + i : 0, i + 0.25, i, i + 1, NAN, NAN,
                              i ? NAN : 0.5,         i & 1};
    return r;
}

static struct tc_record make_checkpoint(const uint8_t *blob, uint32_t n)
{
    struct tc_record r = {.type = TC_REC_CHECKPOINT, .from = 9};
    r.checkpoint = (struct tc_checkpoint){"forecast", "avx512", TC_TOPIC_FORECASTS, 3, 77, blob, n};
    return r;
}

static size_t make_all(struct tc_record *all)
{
    size_t n = 0;
    all[n++] = make_bar();
    all[n++] = make_forecast();
    all[n++] = (struct tc_record){
        .type = TC_REC_QUOTE, .from = 1, .quote = {"SPY", "lean", 1, 2, {3, 4, 5, 6}, 7, TC_ORIGIN_BACKFILL}};
    all[n++] = (struct tc_record){.type = TC_REC_SECOND,
                                  .from = -1,
                                  .second = {"lean", 1, 2, 3, 4, true, false, 5.5, TC_ORIGIN_REPLAY}};
    all[n++] = (struct tc_record){.type = TC_REC_GAP, .gap = {"*", "lean", "missing_day", 1, 2, true}};
    all[n++] =
        (struct tc_record){.type = TC_REC_QUALITY, .quality = {"SPY", 20131007, 1, 2, 3, 4, 5, 6, 7, 8}};
    all[n++] = (struct tc_record){
        .type = TC_REC_OUTCOME,
        .outcome = {"SPY", 1, 20131007, 2, {{TC_KIND_NEXT, 0, 5, 1.5}, {TC_KIND_MID, 60000, 6, NAN}}}};
    struct tc_score s = {
        .symbol = "SPY", .model = "ridge@00000000", .inputs = "K11", .kind = TC_KIND_MID, .slot = 47};
    s.n = 1;
    s.n_late = 2;
    s.sq_ridge = 3;
    s.dm_nd = 4;
    s.dm_n = INT64_MIN;
    all[n++] = (struct tc_record){.type = TC_REC_SCORE, .score = s};
    all[n++] = make_checkpoint((const uint8_t *)"blob\0bytes", 10);
    all[n++] = make_checkpoint(NULL, 0);
    all[n++] =
        (struct tc_record){.type = TC_REC_POST,
                           .from = -1,
                           .post = {"reddit:t3_a",
                                    "reddit",
                                    "r/stocks",
                                    "https://example.com/a",
                                    UINT64_MAX,
                                    1,
                                    2,
                                    3,
                                    TC_ORIGIN_LIVE,
                                    -0.5,
                                    0,
                                    0.5,
                                    NAN,
                                    2,
                                    {{"SPY", TC_EVIDENCE_NAME, true}, {"BRK.B", TC_EVIDENCE_CASHTAG, false}},
                                    "text"}};
    memset(all[n - 1].post.text, 'x', TC_POST_TEXT_SIZE - 1); /* longer than one byte can count */
    all[n++] = (struct tc_record){.type = TC_REC_REMOVED, .from = -1, .removed = {"reddit:t3_a", 9}};
    all[n++] = (struct tc_record){.type = TC_REC_END, .from = 100};
    return n;
}

/* Bit for bit, so that NaN and -0.0 count; a blob by its bytes. */
static void assert_same(const struct tc_record *a, const struct tc_record *b)
{
    struct tc_record x = *a, y = *b;
    if (a->type == TC_REC_CHECKPOINT) {
        assert_int_equal(a->checkpoint.blob_len, b->checkpoint.blob_len);
        if (a->checkpoint.blob_len)
            assert_memory_equal(a->checkpoint.blob, b->checkpoint.blob, a->checkpoint.blob_len);
        x.checkpoint.blob = y.checkpoint.blob = NULL;
    }
    struct tc_buf p, q;
    tc_buf_init(&p, 1 << 20);
    tc_buf_init(&q, 1 << 20);
    x.checkpoint.blob_len = x.type == TC_REC_CHECKPOINT ? 0 : x.checkpoint.blob_len;
    y.checkpoint.blob_len = y.type == TC_REC_CHECKPOINT ? 0 : y.checkpoint.blob_len;
    assert_int_equal(tc_record_encode(&x, &p), TC_OK);
    assert_int_equal(tc_record_encode(&y, &q), TC_OK);
    assert_int_equal(p.len, q.len);
    assert_memory_equal(p.data, q.data, p.len);
    tc_buf_release(&p);
    tc_buf_release(&q);
}

static void every_type_reads_back_as_written(void **state)
{
    (void)state;
    struct tc_record all[16], back;
    size_t n = make_all(all);
    for (size_t i = 0; i < n; i++) {
        struct tc_buf b;
        tc_buf_init(&b, 1 << 20);
        assert_int_equal(tc_record_encode(&all[i], &b), TC_OK);
        assert_int_equal(tc_record_decode((const uint8_t *)b.data, b.len, &back), TC_OK);
        assert_int_equal(back.type, all[i].type);
        assert_int_equal(back.from, all[i].from);
        assert_same(&all[i], &back);
        tc_buf_release(&b);
    }
}

/* Infinities become unknown and minus zero becomes zero; everything else keeps its bits. */
static void every_type_reads_back_from_its_message(void **state)
{
    (void)state;
    struct tc_record all[16], back, again;
    size_t n = make_all(all);
    for (size_t i = 0; i < n; i++) {
        struct tc_buf b, c, blob;
        tc_buf_init(&b, 1 << 20);
        tc_buf_init(&c, 1 << 20);
        tc_buf_init(&blob, 1 << 20);
        if (all[i].type == TC_REC_BAR)
            all[i].bar.low = 0;
        tc_record_to_message(&all[i], &b);
        if (tc_record_from_message(b.data, b.len, &blob, &back) != TC_OK)
            fail_msg("%s: %s", b.data, tc_error());
        assert_int_equal(back.type, all[i].type);
        assert_int_equal(back.from, all[i].from);
        tc_record_to_message(&back, &c);
        assert_string_equal(b.data, c.data);
        if (all[i].type == TC_REC_CHECKPOINT) {
            assert_int_equal(back.checkpoint.blob_len, all[i].checkpoint.blob_len);
            assert_memory_equal(back.checkpoint.blob, all[i].checkpoint.blob, back.checkpoint.blob_len);
        }
        for (size_t cut = 0; cut < b.len; cut++) /* no shorter text is taken for it */
            assert_int_equal(tc_record_from_message(b.data, cut, &blob, &again), TC_EINPUT);
        tc_buf_release(&b);
        tc_buf_release(&c);
        tc_buf_release(&blob);
    }
}

static void a_message_by_hand_needs_only_what_a_bar_is(void **state)
{
    (void)state;
    const char *const bar =
        "{\"type\":\"bar\",\"v\":1,\"symbol\":\"SPY\",\"start\":1381152600000000000,\"interval_ms\":1000,"
        "\"available\":1381152601000000000,\"open\":168,\"high\":168.5,\"low\":167.9,\"close\":168.1,"
        "\"volume\":100,"
        "\"origin\":\"live\",\"feed\":\"hand\",\"colour\":\"red\"}";
    const struct {
        const char *from, *to, *says;
    } wrong[] = {
        {"168,", "\"168\",", "open must be a number or null"},
        {"\"v\":1", "\"v\":2", "v is a version"},
        {"\"bar\"", "\"foo\"", "type is none of ours"},
        {"\"live\"", "\"moon\"", "origin must be"},
        {"167.9", "168.4", "do not fit together"},
        {"\"symbol\":\"SPY\",", "", "symbol is missing"},
        {"1000,", "1000.5,", "interval_ms must be an integer"},
        {"SPY", "SPYSPYSPYSPYSPYSPYSPYSPYSPYSPYSPYSPY", "symbol must be a text"},
    };
    struct tc_record r;
    struct tc_buf blob;
    tc_buf_init(&blob, 1 << 10);
    assert_int_equal(tc_record_from_message(bar, strlen(bar), &blob, &r), TC_OK);
    assert_true(r.bar.open == 168 && isnan(r.bar.vwap) && isnan(r.bar.quote.bid) && r.bar.trades == 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[1024];
        const char *at = strstr(bar, wrong[i].from);
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - bar), bar, wrong[i].to,
                 at + strlen(wrong[i].from));
        assert_int_equal(tc_record_from_message(text, strlen(text), &blob, &r), TC_EINPUT);
        if (!strstr(tc_error(), wrong[i].says))
            fail_msg("%s\nsays: %s", text, tc_error());
    }
    tc_buf_release(&blob);
}

static void fields_of_a_bar_keep_their_bits(void **state)
{
    (void)state;
    struct tc_record r = make_bar(), back;
    struct tc_buf b;
    tc_buf_init(&b, 4096);
    assert_int_equal(tc_record_encode(&r, &b), TC_OK);
    assert_int_equal(tc_record_decode((const uint8_t *)b.data, b.len, &back), TC_OK);
    assert_string_equal(back.bar.symbol, r.bar.symbol);
    assert_string_equal(back.bar.feed, r.bar.feed);
    assert_true(back.bar.start == r.bar.start && back.bar.available == INT64_MAX);
    assert_true(back.bar.low == 0 && signbit(back.bar.low));
    assert_memory_equal(&back.bar.close, &r.bar.close, sizeof(double));
    assert_true(isnan(back.bar.vwap) && isnan(back.bar.tape.sv) && isinf(back.bar.quote_lag_ms));
    assert_true(back.bar.volume == 0x1p-1074);
    assert_true(back.bar.tape.lit == 6 && back.bar.quote.bid_size == 3);
    assert_int_equal(back.bar.origin, TC_ORIGIN_SIMULATED);
    assert_int_equal(back.bar.revision, 7);
    tc_buf_release(&b);
}

static void fields_of_a_forecast_keep_their_bits(void **state)
{
    (void)state;
    struct tc_record r = make_forecast(), back;
    struct tc_buf b;
    tc_buf_init(&b, 4096);
    assert_int_equal(tc_record_encode(&r, &b), TC_OK);
    assert_int_equal(tc_record_decode((const uint8_t *)b.data, b.len, &back), TC_OK);
    assert_string_equal(back.forecast.model, r.forecast.model);
    assert_string_equal(back.forecast.kernel, "avx2");
    assert_int_equal(back.forecast.flags, TC_FLAG_LATE | TC_FLAG_OUT_OF_DOMAIN);
    assert_int_equal(back.forecast.n_points, TC_POINTS_MAX);
    assert_true(back.forecast.points[11].value == 11.25 && back.forecast.points[11].gate_open);
    assert_true(back.forecast.points[0].p_up == 0.5 && back.forecast.points[0].target == 0);
    tc_buf_release(&b);
}

static void a_record_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct tc_record all[16], back;
    size_t n = make_all(all);
    for (size_t i = 0; i < n; i++) {
        struct tc_buf b;
        tc_buf_init(&b, 1 << 20);
        assert_int_equal(tc_record_encode(&all[i], &b), TC_OK);
        for (size_t cut = 0; cut < b.len; cut++) {
            uint8_t *copy = malloc(cut ? cut : 1); /* its own block, so that a read past the end is seen */
            memcpy(copy, b.data, cut);
            assert_int_equal(tc_record_decode(copy, cut, &back), TC_EINPUT);
            free(copy);
        }
        tc_buf_char(&b, 'x');
        assert_int_equal(tc_record_decode((const uint8_t *)b.data, b.len, &back), TC_EINPUT);
        tc_buf_release(&b);
    }
}

static void values_out_of_range_are_refused_by_name(void **state)
{
    (void)state;
    struct tc_record r = {.type = TC_REC_SECOND, .second = {.feed = "lean"}}, back;
    struct tc_buf b;
    tc_buf_init(&b, 4096);
    assert_int_equal(tc_record_encode(&r, &b), TC_OK);
    uint8_t *p = (uint8_t *)b.data;
    p[10 + 5 + 24] = 2; /* healthy is neither 0 nor 1 */
    assert_int_equal(tc_record_decode(p, b.len, &back), TC_EINPUT);
    assert_non_null(strstr(tc_error(), "healthy"));
    p[10 + 5 + 24] = 1;
    p[b.len - 1] = TC_ORIGIN_COUNT;
    assert_int_equal(tc_record_decode(p, b.len, &back), TC_EINPUT);
    assert_non_null(strstr(tc_error(), "origin"));
    p[b.len - 1] = 0;
    p[10 + 2] = 0; /* a 0 byte inside a text */
    assert_int_equal(tc_record_decode(p, b.len, &back), TC_EINPUT);
    p[0] = 9;
    assert_int_equal(tc_record_decode(p, b.len, &back), TC_EINPUT);
    assert_non_null(strstr(tc_error(), "version 9"));
    tc_buf_release(&b);
}

static void what_cannot_be_read_back_is_not_written(void **state)
{
    (void)state;
    struct tc_buf b;
    tc_buf_init(&b, 4096);
    struct tc_record r = make_forecast();
    r.forecast.n_points = TC_POINTS_MAX + 1;
    assert_int_equal(tc_record_encode(&r, &b), TC_EINPUT);
    r = make_bar();
    memset(r.bar.symbol, 'x', sizeof(r.bar.symbol));
    assert_int_equal(tc_record_encode(&r, &b), TC_EINPUT);
    r = make_bar();
    r.bar.origin = (enum tc_origin)(TC_ORIGIN_COUNT + 256);
    assert_int_equal(tc_record_encode(&r, &b), TC_EINPUT);
    r.type = (enum tc_record_type)99;
    assert_int_equal(tc_record_encode(&r, &b), TC_EINPUT);
    assert_int_equal(b.len, 0);
    tc_buf_release(&b);
}

static void a_checkpoint_too_large_for_its_buffer_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    static uint8_t blob[8192];
    struct tc_record small = {.type = TC_REC_END}, big = make_checkpoint(blob, sizeof(blob));
    struct tc_buf b;
    tc_buf_init(&b, 4096);
    assert_int_equal(tc_record_encode(&small, &b), TC_OK);
    size_t len = b.len;
    assert_int_equal(tc_record_encode(&big, &b), TC_ELIMIT);
    assert_int_equal(b.len, len);
    tc_buf_release(&b);
}

static void garbage_never_reads_outside_and_never_leaves_open_text(void **state)
{
    (void)state;
    struct tc_record all[16], back;
    size_t n = make_all(all);
    uint32_t x = 1;
    for (int round = 0; round < 20000; round++) {
        struct tc_buf b;
        tc_buf_init(&b, 1 << 20);
        assert_int_equal(tc_record_encode(&all[(size_t)round % n], &b), TC_OK);
        for (int k = 0; k < 3; k++) {
            x = x * 1664525 + 1013904223;
            b.data[(x >> 8) % b.len] = (char)(x >> 3);
        }
        uint8_t *copy = malloc(b.len);
        memcpy(copy, b.data, b.len);
        if (tc_record_decode(copy, b.len, &back) == TC_OK) {
            struct tc_buf again;
            tc_buf_init(&again, 1 << 20);
            assert_int_equal(tc_record_encode(&back, &again), TC_OK);
            assert_int_equal(again.len, b.len);
            assert_memory_equal(again.data, copy, b.len); /* one value, one form */
            tc_buf_release(&again);
        }
        free(copy);
        tc_buf_release(&b);
    }
}

static void json_has_the_documented_keys(void **state)
{
    (void)state;
    struct tc_record r = make_bar();
    strcpy(r.bar.symbol, "SPY");
    strcpy(r.bar.feed, "lean");
    r.bar.available = 5;
    r.bar.low = 1;
    r.bar.close = 2.5;
    r.bar.volume = 100;
    struct tc_buf b;
    tc_buf_init(&b, 1 << 16);
    tc_record_to_json(&r, &b);
    assert_string_equal(b.data,
                        "{\"symbol\":\"SPY\",\"start\":1381152600000000000,\"interval_ms\":1000,"
                        "\"available\":5,\"open\":168.86,\"high\":168.88,\"low\":1,\"close\":2.5,"
                        "\"vwap\":null,\"volume\":100,\"trades\":41,\"bid\":1,\"ask\":2,\"bid_size\":3,"
                        "\"ask_size\":null,\"quote_lag_ms\":null,\"origin\":\"simulated\","
                        "\"feed\":\"lean\",\"revision\":7}");
    r = make_forecast();
    strcpy(r.forecast.model, "m@1");
    r.forecast.n_points = 2;
    tc_buf_clear(&b);
    tc_record_to_json(&r, &b);
    assert_string_equal(
        b.data,
        "{\"symbol\":\"coinbase:BTC-USD\",\"model\":\"m@1\",\"origin_time\":5,\"issued\":6,"
        "\"inputs\":\"T14\",\"kernel\":\"avx2\",\"reference\":1.5,\"reference_mid\":null,"
        "\"flags\":[\"late\",\"out_of_domain\"],\"points\":[{\"kind\":\"next\",\"horizon_ms\":0,"
        "\"target\":null,\"value\":0.25,\"lo\":0,\"hi\":1,\"p_down\":null,\"p_none\":null,\"p_up\":0.5,"
        "\"gate_open\":false},{\"kind\":\"last\",\"horizon_ms\":1000,\"target\":101,\"value\":1.25,"
        "\"lo\":1,\"hi\":2,\"gate_open\":true}]}");
    tc_buf_release(&b);
}

static void every_type_writes_an_object_and_keeps_hostile_text_escaped(void **state)
{
    (void)state;
    struct tc_record all[16];
    size_t n = make_all(all);
    struct tc_buf b;
    tc_buf_init(&b, 1 << 16);
    for (size_t i = 0; i < n; i++) {
        tc_buf_clear(&b);
        tc_record_to_json(&all[i], &b);
        assert_false(b.overflow);
        assert_true(b.data[0] == '{' && b.data[b.len - 1] == '}');
        assert_null(strstr(b.data, "nan"));
        assert_null(strstr(b.data, "inf\""));
    }
    struct tc_record gap = {.type = TC_REC_GAP, .gap = {"\"<\\\n", "f", "r", 1, 2, false}};
    tc_buf_clear(&b);
    tc_record_to_json(&gap, &b);
    assert_non_null(strstr(b.data, "\"\\\"<\\\\\\u000a\""));
    tc_buf_release(&b);
}

static void the_key_is_the_symbol(void **state)
{
    (void)state;
    struct tc_record all[16];
    size_t n = make_all(all);
    assert_string_equal(tc_record_key(&all[1]), "coinbase:BTC-USD");
    assert_string_equal(tc_record_key(&all[2]), "SPY");
    assert_string_equal(tc_record_key(&all[3]), "");
    assert_string_equal(tc_record_key(&all[n - 1]), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_reads_back_as_written),
        cmocka_unit_test(every_type_reads_back_from_its_message),
        cmocka_unit_test(a_message_by_hand_needs_only_what_a_bar_is),
        cmocka_unit_test(fields_of_a_bar_keep_their_bits),
        cmocka_unit_test(fields_of_a_forecast_keep_their_bits),
        cmocka_unit_test(a_record_cut_anywhere_is_refused),
        cmocka_unit_test(values_out_of_range_are_refused_by_name),
        cmocka_unit_test(what_cannot_be_read_back_is_not_written),
        cmocka_unit_test(a_checkpoint_too_large_for_its_buffer_leaves_the_buffer_as_it_was),
        cmocka_unit_test(garbage_never_reads_outside_and_never_leaves_open_text),
        cmocka_unit_test(json_has_the_documented_keys),
        cmocka_unit_test(every_type_writes_an_object_and_keeps_hostile_text_escaped),
        cmocka_unit_test(the_key_is_the_symbol),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
