#include "base/err.h"
#include "wire/cql.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A response frame around a body; `out` must have room. */
static size_t frame(uint8_t flags, uint8_t op, const void *body, size_t n, uint8_t *out)
{
    const uint8_t head[] = {
        0x84, flags, 0, 7, op, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), body, n);
    return sizeof(head) + n;
}

static void tokens_are_those_of_the_published_vectors(void **state)
{
    (void)state;
    const struct {
        const char *key;
        size_t n;
        int64_t token;
    } cases[] = {
        {"123", 3, -7468325962851647638},
        {"\x00\xff\x10\xfa\x99\x00\xff\x10\xfa\x99\x00\xff\x10\xfa\x99\x00\xff\x10\xfa\x99\x00\xff\x10\xfa"
         "\x99"
         "\x00\xff\x10\xfa\x99\x00\xff\x10\xfa\x99\x00\xff\x10\xfa\x99\x00\xff\x10\xfa\x99\x00\xff\x10\xfa"
         "\x99",
         50, 5837342703291459765},
        {"\xfe\xfe\xfe\xfe\xfe\xfe\xfe\xfe", 8, -8927430733708461935},
        {"\x10\x10\x10\x10\x10\x10\x10\x10", 8, 1446172840243228796},
        {"9223372036854775807", 19, 7162290910810015547},
        {"AAPL", 4, -3367223219348229195},
        {"SPY", 3, 4802320144463500835},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(tc_cql_token(cases[i].key, cases[i].n), cases[i].token);
}

static void a_key_of_several_columns_has_lengths_and_zeros_between(void **state)
{
    (void)state;
    char room[64];
    struct tc_buf b;
    tc_buf_init_fixed(&b, room, sizeof(room));
    tc_cql_key_part(&b, (struct tc_cql_bytes){(const uint8_t *)"SPY", 3});
    tc_cql_key_part(&b, (struct tc_cql_bytes){(const uint8_t *)"\0\0\3\xe8", 4});
    assert_int_equal(b.len, 13);
    assert_memory_equal(room, "\0\3SPY\0\0\4\0\0\3\xe8\0", 13);
}

static void a_frame_is_found_only_when_it_is_whole(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t n = frame(0, TC_CQL_READY, "abc", 3, bytes), used;
    struct tc_cql_frame f;
    for (size_t have = 0; have < n; have++)
        assert_int_equal(tc_cql_frame(bytes, have, &f, &used), TC_AGAIN);
    assert_int_equal(tc_cql_frame(bytes, n + 5, &f, &used), TC_OK);
    assert_int_equal(used, n);
    assert_int_equal(f.stream, 7);
    assert_int_equal(f.op, TC_CQL_READY);
    assert_memory_equal(f.body, "abc", 3);
}

static void what_is_no_answer_of_this_protocol_is_refused_in_words(void **state)
{
    (void)state;
    struct tc_cql_frame f;
    size_t used;
    assert_int_equal(tc_cql_frame((const uint8_t *)"HTTP/1.1", 8, &f, &used), TC_EINPUT);
    assert_non_null(strstr(tc_error(), "not an answer"));
    assert_int_equal(tc_cql_frame((const uint8_t *)"\x85\0\0\0\0\0\0\0\0", 9, &f, &used), TC_EPEER);
    assert_non_null(strstr(tc_error(), "version 5"));
    assert_int_equal(tc_cql_frame((const uint8_t *)"\x84\0\0\0\0\x7f\0\0\0", 9, &f, &used), TC_ELIMIT);
}

static struct tc_cql_in message(const uint8_t *bytes, size_t n, struct tc_buf *room)
{
    struct tc_cql_frame f;
    size_t used;
    struct tc_cql_in in;
    struct tc_cql_text warning;
    assert_int_equal(tc_cql_frame(bytes, n, &f, &used), TC_OK);
    assert_int_equal(tc_cql_message(&f, room, &in, &warning), TC_OK);
    return in;
}

static void a_compressed_request_reads_back_as_a_message(void **state)
{
    (void)state;
    struct tc_buf b, room;
    tc_buf_init(&b, 1 << 20);
    tc_buf_init(&room, 1 << 20);
    size_t at = tc_cql_begin(&b, TC_CQL_QUERY, 300);
    for (int i = 0; i < 500; i++)
        tc_cql_put_string(&b, "the same again");
    tc_cql_end_lz4(&b, at, &room);
    assert_true(b.len < 500 * 16);
    b.data[0] = (char)0x84; /* as an answer */
    struct tc_cql_in in = message((const uint8_t *)b.data, b.len, &room);
    for (int i = 0; i < 500; i++)
        assert_true(tc_cql_text_is(tc_cql_string(&in), "the same again"));
    assert_ptr_equal(in.p, in.end);
    assert_false(in.bad);

    struct tc_cql_frame f;
    size_t used;
    struct tc_cql_text warning;
    b.data[TC_CQL_HEADER] = 0x03; /* claims fifty megabytes */
    assert_int_equal(tc_cql_frame((const uint8_t *)b.data, b.len, &f, &used), TC_OK);
    assert_int_equal(tc_cql_message(&f, &room, &in, &warning), TC_EINPUT);
    tc_buf_release(&b);
    tc_buf_release(&room);
}

static void what_stands_before_a_message_is_read_past(void **state)
{
    (void)state;
    uint8_t body[128] = {0}, bytes[160];
    size_t n = 16;                                   /* tracing id */
    static const char rest[] = "\0\2\0\3one\0\3two"  /* warnings */
                               "\0\1\0\1k\0\0\0\2vv" /* payload */
                               "\0\0\0\1";
    memcpy(body + n, rest, sizeof(rest) - 1);
    n += sizeof(rest) - 1;
    struct tc_cql_frame f;
    struct tc_cql_in in;
    struct tc_cql_text warning;
    size_t used, all = frame(0x0e, TC_CQL_RESULT, body, n, bytes);
    assert_int_equal(tc_cql_frame(bytes, all, &f, &used), TC_OK);
    assert_int_equal(tc_cql_message(&f, NULL, &in, &warning), TC_OK);
    assert_true(tc_cql_text_is(warning, "one"));
    struct tc_cql_result r;
    assert_int_equal(tc_cql_read_result(&in, &r), TC_OK);
    assert_int_equal(r.kind, TC_CQL_VOID);
}

static void errors_carry_what_their_code_has(void **state)
{
    (void)state;
    static const char timeout[] = "\0\0\x11\0\0\4late\0\4\0\0\0\1\0\0\0\2\0\6SIMPLE";
    struct tc_cql_in in = {(const uint8_t *)timeout, (const uint8_t *)timeout + sizeof(timeout) - 1, false};
    struct tc_cql_error e;
    char text[400];
    assert_int_equal(tc_cql_read_error(&in, &e), TC_OK);
    assert_int_equal(e.code, TC_CQL_E_WRITE_TIMEOUT);
    assert_int_equal(e.consistency, TC_CQL_QUORUM);
    assert_int_equal(e.received, 1);
    assert_int_equal(e.required, 2);
    assert_true(tc_cql_text_is(e.write_type, "SIMPLE"));
    tc_cql_error_text(&e, text, sizeof(text));
    assert_string_equal(text, "replicas did not confirm the write in time (0x1100: late; QUORUM, 1 of 2)");

    static const char unprepared[] = "\0\0\x25\0\0\0\0\2ab";
    in = (struct tc_cql_in){(const uint8_t *)unprepared, (const uint8_t *)unprepared + 10, false};
    assert_int_equal(tc_cql_read_error(&in, &e), TC_OK);
    assert_int_equal(e.id.n, 2);
    for (size_t n = 0; n < sizeof(timeout) - 1; n++) { /* every shorter form ends with an error, in bounds */
        uint8_t *exact = malloc(n + 1);
        memcpy(exact, timeout, n);
        in = (struct tc_cql_in){exact, exact + n, false};
        assert_int_equal(tc_cql_read_error(&in, &e), TC_EINPUT);
        free(exact);
    }
}

static void rows_are_read_with_their_columns_and_paging_state(void **state)
{
    (void)state;
    struct tc_buf b;
    tc_buf_init(&b, 4096);
    tc_cql_put_i32(&b, TC_CQL_ROWS);
    tc_cql_put_i32(&b, 1 | 2); /* global table, more pages */
    tc_cql_put_i32(&b, 3);
    tc_cql_put_bytes(&b, "page", 4);
    tc_cql_put_string(&b, "k");
    tc_cql_put_string(&b, "t");
    tc_cql_put_string(&b, "a");
    tc_cql_put_u16(&b, TC_CQL_T_BIGINT);
    tc_cql_put_string(&b, "b");
    tc_cql_put_u16(&b, TC_CQL_T_SET);
    tc_cql_put_u16(&b, TC_CQL_T_TEXT);
    tc_cql_put_string(&b, "c");
    tc_cql_put_u16(&b, TC_CQL_T_DOUBLE);
    tc_cql_put_i32(&b, 1);
    tc_cql_put_bigint(&b, -5);
    tc_cql_put_null(&b);
    tc_cql_put_double(&b, -INFINITY);
    struct tc_cql_in in = {(const uint8_t *)b.data, (const uint8_t *)b.data + b.len, false};
    struct tc_cql_result r;
    assert_int_equal(tc_cql_read_result(&in, &r), TC_OK);
    assert_int_equal(r.n_columns, 3);
    assert_int_equal(r.n_rows, 1);
    assert_true(r.more);
    assert_memory_equal(r.paging.p, "page", 4);
    assert_true(tc_cql_text_is(r.columns[2].name, "c"));
    assert_int_equal(r.columns[1].type, TC_CQL_T_SET);
    assert_int_equal(tc_cql_as_bigint(tc_cql_bytes(&in), 0), -5);
    assert_null(tc_cql_bytes(&in).p);
    assert_true(isinf(tc_cql_as_double(tc_cql_bytes(&in))));
    assert_false(in.bad);
    for (size_t n = 0; n < b.len; n++) { /* no shorter form is taken for a whole result */
        uint8_t *exact = malloc(n + 1);
        memcpy(exact, b.data, n);
        in = (struct tc_cql_in){exact, exact + n, false};
        if (tc_cql_read_result(&in, &r) == TC_OK) {
            for (int i = 0; i < 3; i++)
                tc_cql_bytes(&in);
            assert_true(in.bad);
        }
        free(exact);
    }
    tc_buf_release(&b);
}

static void a_result_that_claims_too_much_is_refused(void **state)
{
    (void)state;
    static const char rows[] = "\0\0\0\2\0\0\0\4\0\0\0\1\x7f\xff\xff\xff";
    struct tc_cql_in in = {(const uint8_t *)rows, (const uint8_t *)rows + 16, false};
    struct tc_cql_result r;
    assert_int_equal(tc_cql_read_result(&in, &r), TC_EINPUT);
    static const char columns[] = "\0\0\0\2\0\0\0\4\0\1\0\0\0\0\0\0";
    in = (struct tc_cql_in){(const uint8_t *)columns, (const uint8_t *)columns + 16, false};
    assert_int_equal(tc_cql_read_result(&in, &r), TC_ELIMIT);
    uint8_t nested[200]; /* a list of lists of lists ... */
    static const char head[] = "\0\0\0\2\0\0\0\1\0\0\0\1\0\1k\0\1t\0\1c";
    memset(nested, 0, sizeof(nested));
    memcpy(nested, head, sizeof(head) - 1);
    for (size_t i = sizeof(head) - 1; i + 1 < sizeof(nested); i += 2)
        nested[i + 1] = 0x20;
    in = (struct tc_cql_in){nested, nested + sizeof(nested), false};
    assert_int_equal(tc_cql_read_result(&in, &r), TC_EINPUT);
}

static void events_name_the_node(void **state)
{
    (void)state;
    static const char down[] = "\0\xdSTATUS_CHANGE\0\4DOWN\4\x7f\0\0\x1f\0\0\x23\x52";
    struct tc_cql_in in = {(const uint8_t *)down, (const uint8_t *)down + sizeof(down) - 1, false};
    struct tc_cql_event e;
    assert_int_equal(tc_cql_read_event(&in, &e), TC_OK);
    assert_int_equal(e.kind, TC_CQL_STATUS);
    assert_true(tc_cql_text_is(e.change, "DOWN"));
    assert_string_equal(e.host, "127.0.0.31");
}

static void requests_are_the_bytes_of_the_specification(void **state)
{
    (void)state;
    struct tc_buf b;
    tc_buf_init(&b, 4096);
    tc_cql_auth_response(&b, 1, "me", "pw");
    assert_memory_equal(b.data, "\x04\0\0\1\x0f\0\0\0\x0a\0\0\0\6\0me\0pw", 19);
    tc_buf_clear(&b);
    const struct tc_cql_params p = {
        .consistency = TC_CQL_QUORUM, .n_values = 1, .page_size = 100, .paging = {(const uint8_t *)"s", 1}};
    size_t at = tc_cql_open_request(&b, 258, NULL, (struct tc_cql_bytes){(const uint8_t *)"id", 2}, &p);
    tc_cql_put_int(&b, 5);
    tc_cql_close_request(&b, &p);
    tc_cql_end(&b, at);
    assert_memory_equal(b.data,
                        "\x04\0\1\2\x0a\0\0\0\x1a"
                        "\0\2id\0\4\x0d\0\1\0\0\0\4\0\0\0\5\0\0\0\x64\0\0\0\1s",
                        b.len);
    assert_int_equal(b.len, 35);
    tc_buf_clear(&b);
    at = tc_cql_open_batch(&b, 0, 1);
    tc_cql_batch_statement(&b, (struct tc_cql_bytes){(const uint8_t *)"i", 1}, 2);
    tc_cql_put_boolean(&b, true);
    tc_cql_put_unset(&b);
    tc_cql_close_batch(&b, TC_CQL_ONE);
    tc_cql_end(&b, at);
    assert_memory_equal(b.data + TC_CQL_HEADER, "\1\0\1\1\0\1i\0\2\0\0\0\1\1\xff\xff\xff\xfe\0\1\0", 21);
    assert_int_equal(b.len, TC_CQL_HEADER + 21);
    tc_buf_release(&b);
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_int_equal(tc_cql_consistency_of("local_quorum"), TC_CQL_LOCAL_QUORUM);
    assert_int_equal(tc_cql_consistency_of("most"), -1);
    assert_string_equal(tc_cql_consistency_name(TC_CQL_ALL), "ALL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_those_of_the_published_vectors),
        cmocka_unit_test(a_key_of_several_columns_has_lengths_and_zeros_between),
        cmocka_unit_test(a_frame_is_found_only_when_it_is_whole),
        cmocka_unit_test(what_is_no_answer_of_this_protocol_is_refused_in_words),
        cmocka_unit_test(a_compressed_request_reads_back_as_a_message),
        cmocka_unit_test(what_stands_before_a_message_is_read_past),
        cmocka_unit_test(errors_carry_what_their_code_has),
        cmocka_unit_test(rows_are_read_with_their_columns_and_paging_state),
        cmocka_unit_test(a_result_that_claims_too_much_is_refused),
        cmocka_unit_test(events_name_the_node),
        cmocka_unit_test(requests_are_the_bytes_of_the_specification),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
