#include "wire/joblib.h"

#include "base/err.h"
#include "wire/pickle.h"

#include <math.h>
#include <string.h>

enum { MINMAX, STANDARD, WRAPPER, NDARRAY, DTYPE, RECONSTRUCT, OTHER };

static const struct tc_pk_class classes[] = {
    {"sklearn.preprocessing._data", "MinMaxScaler", MINMAX},
    {"sklearn.preprocessing._data", "StandardScaler", STANDARD},
    {"sklearn.preprocessing.data", "MinMaxScaler", MINMAX},
    {"sklearn.preprocessing.data", "StandardScaler", STANDARD},
    {"joblib.numpy_pickle", "NumpyArrayWrapper", WRAPPER},
    {"sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper", WRAPPER},
    {"numpy", "ndarray", NDARRAY},
    {"numpy", "dtype", DTYPE},
    {"numpy.core.multiarray", "_reconstruct", RECONSTRUCT},
    {"numpy._core.multiarray", "_reconstruct", RECONSTRUCT},
    {"numpy.core.multiarray", "scalar", OTHER},
    {"numpy._core.multiarray", "scalar", OTHER},
    {"_codecs", "encode", OTHER},
};

static int fault(const char *what)
{
    return tc_fail(TC_EINPUT, "scaler: %s", what);
}

static int attribute_fault(const char *name, const char *what)
{
    return tc_fail(TC_EINPUT, "scaler: %s %s", name, what);
}

/* --- arrays --------------------------------------------------------------------------------------------- */
/* 'f8' to 8, 'f4' to 4, 'O8' to 0; -1 = another, or big-endian. */
static int64_t element_size(const struct tc_pk_value *dtype)
{
    if (tc_pk_object_tag(dtype) != DTYPE)
        return -1;
    const struct tc_pk_value *code = tc_pk_at(dtype->args, 0), *order = tc_pk_at(dtype->state, 1);
    if (tc_pk_is_text(code, "O8") || tc_pk_is_text(code, "O"))
        return 0;
    if (!tc_pk_is_text(order, "<") && !tc_pk_is_text(order, "="))
        return -1;
    return tc_pk_is_text(code, "f8") ? 8 : tc_pk_is_text(code, "f4") ? 4 : -1;
}

/* Columns of a one-dimensional array; -1 when it is another. */
static int64_t columns(const struct tc_pk_value *wrapper)
{
    const struct tc_pk_value *shape = tc_pk_get(wrapper->state, "shape"), *n = tc_pk_at(shape, 0);
    bool fits =
        shape && shape->n == 1 && n && n->type == TC_PK_INT && n->i >= 0 && n->i <= TC_SCALER_COLUMNS_MAX;
    return fits ? n->i : -1;
}

/* Behind a wrapper: its array. */
static int array_behind(struct tc_pickle *p, struct tc_pk_value *v, size_t *at, void *ctx)
{
    (void)ctx;
    if (tc_pk_object_tag(v) != WRAPPER)
        return TC_OK;
    int64_t size = element_size(tc_pk_get(v->state, "dtype")), n = columns(v);
    if (size < 0)
        return tc_fail(TC_EINPUT,
                       "an array whose elements are neither f8, f4 nor objects, or not little-endian");
    if (n < 0)
        return tc_fail(TC_EINPUT, "an array that is not one row of at most %d columns",
                       TC_SCALER_COLUMNS_MAX);
    if (!size)
        return tc_pickle_nested(p, at, &v->found);
    size_t end;
    const uint8_t *bytes = tc_pickle_input(p, &end);
    size_t pad = 0;
    if (tc_pk_get(v->state, "numpy_array_alignment_bytes")) {
        pad = *at < end ? (size_t)bytes[*at] + 1 : 1;
        if (pad < 2 || pad > 17 || pad > end - *at)
            return tc_fail(TC_EINPUT, "an array's padding is not 1 to 16 bytes (is the file cut short?)");
    }
    if ((uint64_t)(n * size) > end - *at - pad)
        return tc_fail(TC_EINPUT, "an array goes past the end (is the file cut short?)");
    v->bytes = bytes + *at + pad;
    v->i = n * size;
    *at += pad + (size_t)v->i;
    return TC_OK;
}

static int read_array(const struct tc_pk_value *state, const char *name, int32_t n, double *out)
{
    const struct tc_pk_value *v = tc_pk_get(state, name);
    if (tc_pk_object_tag(v) != WRAPPER || !v->bytes)
        return attribute_fault(name, "is not there as an array of numbers");
    if (columns(v) != n)
        return attribute_fault(name, "has another number of columns than scale_");
    int64_t size = element_size(tc_pk_get(v->state, "dtype"));
    for (int32_t i = 0; i < n; i++) {
        float f;
        if (size == 8)
            memcpy(&out[i], v->bytes + 8 * i, 8);
        else
            memcpy(&f, v->bytes + 4 * i, 4);
        if (size == 4)
            out[i] = (double)f;
        if (!isfinite(out[i]))
            return attribute_fault(name, "holds a value that is no finite number");
    }
    return TC_OK;
}

/* --- names ---------------------------------------------------------------------------------------------- */
/* An object array's own pickle: _reconstruct(...) whose state is (version, shape, dtype, order, [texts]). */
static int read_names(const struct tc_pk_value *state, struct tc_scaler *out)
{
    const struct tc_pk_value *v = tc_pk_get(state, "feature_names_in_");
    if (!v || v->type == TC_PK_NONE)
        return TC_OK;
    const struct tc_pk_value *array = tc_pk_object_tag(v) == WRAPPER ? v->found : NULL;
    const struct tc_pk_value *list =
        tc_pk_object_tag(array) == RECONSTRUCT ? tc_pk_at(array->state, 4) : NULL;
    if (!list || list->type != TC_PK_LIST || list->n != (uint32_t)out->n)
        return attribute_fault("feature_names_in_", "is no list of one text a column");
    for (int32_t i = 0; i < out->n; i++) {
        const struct tc_pk_value *name = list->item[i];
        if (name->type != TC_PK_TEXT || name->n == 0 || name->n >= TC_SCALER_NAME_SIZE)
            return attribute_fault("feature_names_in_", "has a member that is no text of 1 to 63 bytes");
        memcpy(out->name[i], name->bytes, name->n);
    }
    out->named = true;
    return TC_OK;
}

/* --- scalers -------------------------------------------------------------------------------------------- */
static bool number(const struct tc_pk_value *v, double *out)
{
    bool fits = v && (v->type == TC_PK_FLOAT || v->type == TC_PK_INT);
    if (fits)
        *out = v->type == TC_PK_FLOAT ? v->f : (double)v->i;
    return fits && isfinite(*out);
}

/* X scale_ + min_ */
static int read_minmax(const struct tc_pk_value *s, struct tc_scaler *out)
{
    double scale[TC_SCALER_COLUMNS_MAX], shift[TC_SCALER_COLUMNS_MAX];
    const struct tc_pk_value *range = tc_pk_get(s, "feature_range"), *clip = tc_pk_get(s, "clip");
    int rc = read_array(s, "scale_", out->n, scale);
    if (!rc)
        rc = read_array(s, "min_", out->n, shift);
    if (rc)
        return rc;
    if (!number(tc_pk_at(range, 0), &out->low) || !number(tc_pk_at(range, 1), &out->high) ||
        out->low >= out->high)
        return attribute_fault("feature_range", "is not two numbers, the smaller first");
    out->clip = clip && clip->type == TC_PK_BOOL && clip->i;
    for (int32_t i = 0; i < out->n; i++) {
        if (!(scale[i] > 0))
            return attribute_fault("scale_", "holds a number that is not above 0");
        out->sd[i] = 1 / scale[i];
        out->mean[i] = -shift[i] / scale[i];
    }
    return TC_OK;
}

static bool is_none(const struct tc_pk_value *s, const char *name)
{
    const struct tc_pk_value *v = tc_pk_get(s, name);
    return v && v->type == TC_PK_NONE;
}

/* (X - mean_) / scale_; with_mean and with_std may be off, scale_ is None then. */
static int read_standard(const struct tc_pk_value *s, struct tc_scaler *out)
{
    const struct tc_pk_value *with_mean = tc_pk_get(s, "with_mean");
    bool centred = !(with_mean && with_mean->type == TC_PK_BOOL && !with_mean->i) && !is_none(s, "mean_");
    int rc = is_none(s, "scale_") ? TC_OK : read_array(s, "scale_", out->n, out->sd);
    if (!rc && centred)
        rc = read_array(s, "mean_", out->n, out->mean);
    for (int32_t i = 0; i < out->n && !rc; i++) {
        if (is_none(s, "scale_"))
            out->sd[i] = 1;
        if (!(out->sd[i] > 0))
            rc = attribute_fault("scale_", "holds a number that is not above 0");
    }
    return rc;
}

static int read_scaler(const struct tc_pk_value *root, struct tc_scaler *out)
{
    int tag = tc_pk_object_tag(root);
    if (tag != MINMAX && tag != STANDARD)
        return tc_fail(TC_EINPUT, "scaler: the file holds %s, no MinMaxScaler or StandardScaler",
                       tc_pk_words(root));
    const struct tc_pk_value *s = root->state;
    const struct tc_pk_value *size = tc_pk_get(s, is_none(s, "scale_") ? "mean_" : "scale_");
    int64_t n = tc_pk_object_tag(size) == WRAPPER ? columns(size) : 0;
    if (n < 1)
        return fault("has no scale_: was it fitted before it was saved?");
    out->kind = tag == MINMAX ? TC_SCALER_MINMAX : TC_SCALER_STANDARD;
    out->n = (int32_t)n;
    int rc = tag == MINMAX ? read_minmax(s, out) : read_standard(s, out);
    for (int32_t i = 0; i < out->n && !rc; i++)
        if (!isfinite(out->mean[i]) || !isfinite(out->sd[i]))
            rc = fault("a column's numbers lie beyond what can be computed with");
    return rc ? rc : read_names(s, out);
}

/* How a compressed dump begins; NULL for a plain one. */
static const char *compression(const uint8_t *b, size_t n)
{
    static const struct {
        const char *name, *start;
        size_t n;
    } forms[] = {{"zlib", "\x78", 1},
                 {"gzip", "\x1f\x8b", 2},
                 {"bz2", "BZ", 2},
                 {"lzma", "\x5d\0", 2},
                 {"xz", "\xfd\x37zXZ", 5},
                 {"lz4", "\x04\x22\x4d\x18", 4},
                 {"an old joblib's own form", "ZF", 2}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (n >= forms[i].n && memcmp(b, forms[i].start, forms[i].n) == 0)
            return forms[i].name;
    return NULL;
}

int tc_joblib_scaler(const uint8_t *bytes, size_t n, struct tc_scaler *out)
{
    static const struct tc_pk_options options = {
        .classes = classes,
        .n_classes = sizeof(classes) / sizeof(classes[0]),
        .advice = "a scaler is a MinMaxScaler or a StandardScaler, saved with joblib.dump(scaler, FILE)",
        .built = array_behind,
    };
    memset(out, 0, sizeof(*out));
    const char *form = compression(bytes, n);
    if (form)
        return tc_fail(
            TC_EINPUT,
            "scaler: the file is compressed (%s). This line makes a plain one: python3 -c \"import "
            "joblib; joblib.dump(joblib.load('OLD'), 'NEW', compress=0)\"",
            form);
    struct tc_pickle *p;
    size_t used;
    int rc = tc_pickle_open(bytes, n, &options, &p, &used);
    if (rc)
        return tc_more(rc, "scaler");
    rc = used == n ? read_scaler(tc_pickle_root(p), out) : fault("bytes after its end");
    tc_pickle_close(p);
    return rc;
}

const char *tc_scaler_kind_name(enum tc_scaler_kind kind)
{
    return kind == TC_SCALER_MINMAX ? "MinMaxScaler" : "StandardScaler";
}
