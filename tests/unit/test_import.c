/* Files of tests/fuzz/make_import.py: what is in them, and why the others are refused. */
#include "base/err.h"
#include "wire/joblib.h"
#include "wire/pickle.h"
#include "wire/torch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "near.h"

struct file {
    uint8_t *bytes; /* exactly n of them, so that a read past the end is seen by the sanitizer */
    size_t n;
};

static struct file load(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", TEST_CORPUS, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s cannot be read", path);
    static uint8_t room[1 << 16];
    struct file file = {.n = fread(room, 1, sizeof(room), f)};
    fclose(f);
    file.bytes = malloc(file.n);
    memcpy(file.bytes, room, file.n);
    return file;
}

/* Opens and closes by the folder's reader. */
static int try(const char *name, const uint8_t *bytes, size_t n)
{
    struct tc_torch t;
    struct tc_scaler s;
    struct tc_pickle *p;
    static const struct tc_pk_options none = {0};
    int rc;
    if (strncmp(name, "torch/", 6) == 0) {
        rc = tc_torch_open(bytes, n, &t);
        if (!rc)
            tc_torch_close(&t);
    } else if (strncmp(name, "joblib/", 7) == 0) {
        rc = tc_joblib_scaler(bytes, n, &s);
    } else {
        rc = tc_pickle_open(bytes, n, &none, &p, NULL);
        if (!rc)
            tc_pickle_close(p);
    }
    return rc;
}

static void files_that_lie_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"torch/refused-legacy", "torch.save(torch.load('OLD.pth'"},
        {"torch/refused-runs-a-command", "os.system, which is not on the list"},
        {"torch/refused-whole-model", "__main__.Forecaster, which is not on the list"},
        {"torch/refused-compressed", "is compressed"},
        {"torch/refused-view-past-end", "past the end of its storage"},
        {"torch/refused-stride-past-end", "past the end of its storage"},
        {"torch/refused-expanded", "more elements than its storage"},
        {"torch/refused-sizes-overflow", "beyond any file"},
        {"torch/refused-storage-lies", "fewer elements than it says"},
        {"torch/refused-storage-missing", "not in the archive"},
        {"torch/refused-big-endian", "byte order"},
        {"torch/refused-program", "TorchScript"},
        {"torch/refused-loop", "nested more than 4 deep"},
        {"torch/refused-twice", "is there twice"},
        {"torch/refused-list", "holds a list"},
        {"torch/refused-empty", "no tensors"},
        {"torch/refused-no-pickle", "without data.pkl"},
        {"torch/refused-safetensors-overflow", "beyond any file"},
        {"torch/refused-safetensors-none", "no tensors"},
        {"joblib/refused-compressed", "compress=0"},
        {"joblib/refused-other-class", "sklearn.preprocessing._data.RobustScaler, which is not on the list"},
        {"joblib/refused-short-column", "min_ has another number of columns"},
        {"joblib/refused-zero-scale", "not above 0"},
        {"joblib/refused-nan-scale", "no finite number"},
        {"joblib/refused-big-endian", "not little-endian"},
        {"joblib/refused-more-behind", "bytes after its end"},
        {"joblib/refused-unfitted", "fitted before it was saved"},
        {"joblib/refused-nested", "nested more than 2 deep"},
        {"pickle/refused-marks", "open marks"},
        {"pickle/refused-no-mark", "needs a mark"},
        {"pickle/refused-empty-stack", "more values than the stack holds"},
        {"pickle/refused-below-mark", "more values than the stack holds"},
        {"pickle/refused-memo", "never set"},
        {"pickle/refused-memo-far", "memo entries allowed"},
        {"pickle/refused-two-left", "not exactly one value"},
        {"pickle/refused-long-text", "past the end"},
        {"pickle/refused-odd-pairs", "pairs into what is no dict"},
        {"pickle/refused-utf8", "no UTF-8"},
        {"pickle/refused-no-class", "calls what is no class"},
        {"pickle/refused-protocol", "protocol"},
        {"pickle/refused-inst", "opcode 0x69"},
        {"pickle/refused-ext", "opcode 0x82"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct file f = load(cases[i][0]);
        int rc = try(cases[i][0], f.bytes, f.n);
        if (rc >= 0 || !strstr(tc_error(), cases[i][1]))
            fail_msg("%s gave %d: %s", cases[i][0], rc, rc ? tc_error() : "");
        free(f.bytes);
    }
}

static void every_cut_and_every_changed_byte_is_survived(void **state)
{
    (void)state;
    static const char *const names[] = {"torch/shared",  "torch/strided",   "torch/safetensors",
                                        "joblib/minmax", "joblib/standard", "pickle/data"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct file f = load(names[i]);
        assert_int_equal(try(names[i], f.bytes, f.n), 0);
        for (size_t cut = 0; cut < f.n; cut++) {
            uint8_t *part = malloc(cut ? cut : 1);
            memcpy(part, f.bytes, cut);
            if (try(names[i], part, cut) == 0)
                fail_msg("%s cut to %zu of %zu bytes was taken", names[i], cut, f.n);
            free(part);
        }
        for (size_t at = 0; at < f.n; at++) {
            f.bytes[at] ^= (uint8_t)(1 + at % 255);
            try(names[i], f.bytes, f.n);
            f.bytes[at] ^= (uint8_t)(1 + at % 255);
        }
        free(f.bytes);
    }
}

/* As make_import.py makes them. */
static double value(int i)
{
    return ((i * 389 + 71) % 1023 - 511) / 1024.0;
}

static void tensors_that_share_a_storage_are_told_apart(void **state)
{
    (void)state;
    struct file f = load("torch/shared");
    struct tc_torch t;
    assert_int_equal(tc_torch_open(f.bytes, f.n, &t), 0);
    assert_int_equal(t.n, 10);
    const struct tc_torch_tensor *hh = tc_torch_find(&t, "net.lstm.weight_hh_l0");
    assert_non_null(hh);
    assert_int_equal(hh->dims, 2);
    assert_int_equal(hh->shape[0], 12);
    assert_int_equal(hh->shape[1], 3);
    float v[36];
    assert_int_equal(tc_torch_copy(hh, v, 36), 0);
    for (int i = 0; i < 36; i++)
        assert_near((double)v[i], value(60 + i), 0);
    assert_int_equal(tc_torch_copy(hh, v, 35), TC_EINPUT);
    assert_null(tc_torch_find(&t, "net.lstm.weight_hh_l2"));
    tc_torch_close(&t);
    free(f.bytes);
}

static void views_may_be_transposed_offset_and_of_other_types(void **state)
{
    (void)state;
    struct file f = load("torch/strided");
    struct tc_torch t;
    float v[6];
    assert_int_equal(tc_torch_open(f.bytes, f.n, &t), 0);
    assert_int_equal(tc_torch_copy(tc_torch_find(&t, "model.half.t"), v, 6), 0);
    const int turned[] = {0, 3, 1, 4, 2, 5};
    for (int i = 0; i < 6; i++)
        assert_near((double)v[i], value(turned[i]), 0);
    assert_int_equal(tc_torch_copy(tc_torch_find(&t, "model.double.tail"), v, 4), 0);
    for (int i = 0; i < 4; i++)
        assert_near((double)v[i], value(3 + i), 0);
    assert_int_equal(tc_torch_copy(tc_torch_find(&t, "model.bfloat"), v, 4), 0);
    assert_near((double)v[3], value(3), 1.0 / 256);
    assert_int_equal(tc_torch_copy(tc_torch_find(&t, "model.scalar"), v, 1), 0);
    assert_near((double)v[0], value(6), 0);
    assert_int_equal(tc_torch_copy(tc_torch_find(&t, "p"), v, 1), 0);
    assert_near((double)v[0], value(0), 0);
    assert_int_equal(tc_torch_copy(tc_torch_find(&t, "model.count"), v, 1), TC_EINPUT);
    tc_torch_close(&t);
    free(f.bytes);
}

static void scalers_scale_as_in_training(void **state)
{
    (void)state;
    static const char *const files[] = {"joblib/minmax", "joblib/old", "joblib/standard", "joblib/clip"};
    const double low[] = {100, 464.5, 464.25, 464, 1}, span[] = {1e6, 48, 48.5, 49, 4000};
    for (size_t i = 0; i < 4; i++) {
        struct file f = load(files[i]);
        struct tc_scaler s;
        assert_int_equal(tc_joblib_scaler(f.bytes, f.n, &s), 0);
        assert_int_equal(s.n, 5);
        assert_int_equal(s.kind, i == 2 ? TC_SCALER_STANDARD : TC_SCALER_MINMAX);
        assert_int_equal(s.clip, i == 3);
        assert_int_equal(s.named, i == 0 || i == 3);
        for (int c = 0; c < 5; c++) {
            assert_near(s.mean[c], low[c], 1e-12 * low[c]);
            assert_near(s.sd[c], span[c], 1e-12 * span[c]);
        }
        if (s.named)
            assert_string_equal(s.name[4], "n_transactions");
        free(f.bytes);
    }
}

/* A few bytes that ask for much: each ends at its bound. */
static void bombs_end_at_their_bounds(void **state)
{
    (void)state;
    static const char *const kinds[] = {"N", "]", ")", "(N\x85t", "}h"};
    static uint8_t bytes[1 << 20];
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        size_t n = strlen(kinds[k]);
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)kinds[k][i % n];
        assert_true(try("pickle/", bytes, sizeof(bytes)) < 0);
    }
    bytes[0] = ']'; /* one list that grows without an end */
    for (size_t i = 1; i + 1 < sizeof(bytes); i += 2)
        memcpy(bytes + i, "Na", 2);
    assert_int_equal(try("pickle/", bytes, sizeof(bytes)), TC_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_lie_are_refused_with_the_reason),
        cmocka_unit_test(every_cut_and_every_changed_byte_is_survived),
        cmocka_unit_test(tensors_that_share_a_storage_are_told_apart),
        cmocka_unit_test(views_may_be_transposed_offset_and_of_other_types),
        cmocka_unit_test(scalers_scale_as_in_training),
        cmocka_unit_test(bombs_end_at_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
