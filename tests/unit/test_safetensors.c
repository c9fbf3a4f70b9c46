#include "base/err.h"
#include "wire/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A file of this header and `data` bytes of data. */
static size_t make_file(const char *header, size_t data, uint8_t *out)
{
    size_t n = strlen(header);
    memset(out, 0, 8 + n + data);
    for (size_t i = 0; i < 8; i++)
        out[i] = (uint8_t)(n >> (8 * i));
    memcpy(out + 8, header, n);
    return 8 + n + data;
}

static void refused(const char *header, size_t data, const char *because)
{
    uint8_t file[4096];
    size_t n = make_file(header, data, file);
    uint8_t *exact = malloc(n); /* a read past the end is seen by the sanitizer */
    memcpy(exact, file, n);
    struct tc_safetensors st;
    int rc = tc_safetensors_parse(exact, n, &st);
    if (rc >= 0 || !strstr(tc_error(), because))
        fail_msg("%s\n  gave %d: %s", header, rc, tc_error());
    assert_null(st.tensors);
    free(exact);
}

static void what_is_written_reads_back_and_is_the_same_every_time(void **state)
{
    (void)state;
    const float a[] = {1, 2, 3, 4, 5, 6};
    const uint8_t b[] = {7, 8, 9};
    const struct tc_st_tensor tensors[] = {
        {.name = "w",
         .dtype = "F32",
         .dims = 2,
         .shape = {2, 3},
         .data = (const uint8_t *)a,
         .bytes = sizeof(a)},
        {.name = "b\"q", .dtype = "U8", .dims = 1, .shape = {3}, .data = b, .bytes = 3},
        {.name = "empty", .dtype = "F64", .dims = 1, .shape = {0}, .data = b, .bytes = 0},
    };
    const struct tc_st_meta meta[] = {{"z", "last \n first"}, {"a", ""}};
    struct tc_buf one, two;
    tc_buf_init(&one, 1 << 20);
    tc_buf_init(&two, 1 << 20);
    assert_int_equal(tc_safetensors_write(meta, 2, tensors, 3, &one), 0);
    assert_int_equal(tc_safetensors_write(meta, 2, tensors, 3, &two), 0);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.data, two.data, one.len);

    struct tc_safetensors st;
    assert_int_equal(tc_safetensors_parse((const uint8_t *)one.data, one.len, &st), 0);
    assert_int_equal(st.n_tensors, 3);
    assert_int_equal(st.n_meta, 2);
    assert_string_equal(st.meta[0].key, "z");
    assert_string_equal(tc_safetensors_meta(&st, "z"), "last \n first");
    assert_null(tc_safetensors_meta(&st, "y"));
    const struct tc_st_tensor *w = tc_safetensors_find(&st, "w");
    assert_non_null(w);
    assert_int_equal(w->dims, 2);
    assert_int_equal(w->shape[1], 3);
    assert_memory_equal(w->data, a, sizeof(a));
    assert_memory_equal(tc_safetensors_find(&st, "b\"q")->data, b, 3);
    tc_safetensors_free(&st);
    tc_buf_release(&one);
    tc_buf_release(&two);
}

static void every_cut_of_a_file_is_refused(void **state)
{
    (void)state;
    uint8_t file[256];
    size_t n = make_file("{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}  ", 8, file);
    struct tc_safetensors st;
    assert_int_equal(tc_safetensors_parse(file, n, &st), 0);
    tc_safetensors_free(&st);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *part = malloc(cut + 1);
        memcpy(part, file, cut);
        assert_true(tc_safetensors_parse(part, cut, &st) < 0);
        free(part);
    }
}

#define T(name, shape, from, to) \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static void lies_about_data_are_refused(void **state)
{
    (void)state;
    refused("{" T("a", "[2]", "0", "8") "," T("b", "[2]", "4", "12") "}", 12, "overlap");
    refused("{" T("a", "[2]", "0", "8") "," T("b", "[2]", "0", "8") "}", 8, "overlap");
    refused("{" T("a", "[1]", "0", "4") "," T("b", "[1]", "8", "12") "}", 12, "hole");
    refused("{" T("a", "[1]", "4", "8") "}", 8, "hole");
    refused("{" T("a", "[1]", "0", "4") "}", 8, "belong to none");
    refused("{" T("a", "[2]", "0", "8") "," T("a", "[2]", "8", "16") "}", 16, "duplicate");
    refused("{" T("a", "[2]", "0", "8") "}", 4, "outside");
    refused("{" T("a", "[2]", "-8", "0") "}", 8, "outside");
    refused("{" T("a", "[2]", "8", "0") "}", 8, "outside");
    refused("{" T("a", "[3]", "0", "8") "}", 8, "as many bytes");
    refused("{" T("a", "[-2]", "0", "8") "}", 8, "whole number from 0");
    refused("{" T("a", "[4611686018427387905,4]", "0", "16") "}", 16, "as many bytes");
    refused("{" T("a", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "at most 8");
    refused("{" T("a", "[1.0]", "0", "4") "}", 4, "whole number from 0");
}

static void headers_that_are_no_safetensors_header_are_refused(void **state)
{
    (void)state;
    refused("[]", 0, "begin with {");
    refused(" {}", 0, "begin with {");
    refused("{}x", 0, "header byte");
    refused("{\"a\":{\"dtype\":\"F99\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "unknown dtype");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0]}}", 4, "two whole numbers");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 4, "exactly");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"x\":1}}", 4, "exactly");
    refused("{\"a\":3}", 0, "exactly");
    refused("{\"__metadata__\":{\"k\":1}}", 0, "is no text");
    refused("{\"__metadata__\":[]}", 0, "no object");
}

static void the_hash_is_sha256(void **state)
{
    (void)state;
    char hex[65];
    assert_int_equal(tc_sha256_hex("abc", 3, hex), 0);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back_and_is_the_same_every_time),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
        cmocka_unit_test(lies_about_data_are_refused),
        cmocka_unit_test(headers_that_are_no_safetensors_header_are_refused),
        cmocka_unit_test(the_hash_is_sha256),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
