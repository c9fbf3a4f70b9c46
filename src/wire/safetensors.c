#include "wire/safetensors.h"

#include "base/err.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int64_t size;
} types[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
             {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
             {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};

static int64_t type_size(const char *dtype)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, dtype) == 0)
            return types[i].size;
    return 0;
}

/* Bytes that the shape takes; -1 when that is more than any file has. */
static int64_t shape_bytes(const struct tc_st_tensor *t)
{
    int64_t bytes = type_size(t->dtype);
    for (int32_t i = 0; i < t->dims; i++)
        if (__builtin_mul_overflow(bytes, t->shape[i], &bytes))
            return -1;
    return bytes;
}

static int tensor_fault(const char *name, const char *what)
{
    return tc_fail(TC_EINPUT, "safetensors: tensor \"%.64s\": %s", name, what);
}

static int read_shape(const json_t *shape, struct tc_st_tensor *t)
{
    size_t dims = json_array_size(shape);
    if (!json_is_array(shape) || dims > TC_ST_DIMS_MAX)
        return tensor_fault(t->name, "shape is no list of at most 8 numbers");
    t->dims = (int32_t)dims;
    for (size_t i = 0; i < dims; i++) {
        const json_t *v = json_array_get(shape, i);
        t->shape[i] = json_integer_value(v);
        if (!json_is_integer(v) || t->shape[i] < 0)
            return tensor_fault(t->name, "a size in its shape is no whole number from 0");
    }
    return TC_OK;
}

static int read_tensor(const char *name, const json_t *v, const uint8_t *data, size_t room,
                       struct tc_st_tensor *t)
{
    const json_t *dtype = json_object_get(v, "dtype"), *shape = json_object_get(v, "shape");
    const json_t *span = json_object_get(v, "data_offsets");
    *t = (struct tc_st_tensor){.name = name, .dtype = json_string_value(dtype)};
    if (json_object_size(v) != 3 || !json_is_string(dtype) || !shape || !span)
        return tensor_fault(name, "has not exactly dtype, shape and data_offsets");
    if (!type_size(t->dtype))
        return tc_fail(TC_EINPUT, "safetensors: tensor \"%.64s\": unknown dtype \"%.16s\"", name, t->dtype);
    int rc = read_shape(shape, t);
    if (rc)
        return rc;
    const json_t *from = json_array_get(span, 0), *to = json_array_get(span, 1);
    if (json_array_size(span) != 2 || !json_is_integer(from) || !json_is_integer(to))
        return tensor_fault(name, "data_offsets are not two whole numbers");
    int64_t begin = json_integer_value(from), end = json_integer_value(to);
    if (begin < 0 || end < begin || (uint64_t)end > room)
        return tensor_fault(name, "its data lie outside the file (is the file cut short?)");
    if (end - begin != shape_bytes(t))
        return tensor_fault(name, "its data are not as many bytes as its shape takes");
    t->data = data + begin;
    t->bytes = (size_t)(end - begin);
    return TC_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct tc_st_tensor *l = a, *r = b;
    if (l->data != r->data)
        return l->data < r->data ? -1 : 1;
    if (l->bytes != r->bytes)
        return l->bytes < r->bytes ? -1 : 1;
    return strcmp(l->name, r->name);
}

/* In the order of their data every tensor begins where the one before ends, and the last ends with the file.
 */
static int check_tiling(struct tc_safetensors *st, const uint8_t *data, size_t room)
{
    if (st->n_tensors)
        qsort(st->tensors, st->n_tensors, sizeof(*st->tensors), by_place);
    size_t at = 0;
    for (size_t i = 0; i < st->n_tensors; i++) {
        size_t begin = (size_t)(st->tensors[i].data - data);
        if (begin != at)
            return tensor_fault(st->tensors[i].name,
                                begin < at ? "its data overlap another's" : "a hole before its data");
        at += st->tensors[i].bytes;
    }
    if (at != room)
        return tc_fail(TC_EINPUT, "safetensors: %zu bytes after the last tensor belong to none", room - at);
    return TC_OK;
}

static int read_meta(const json_t *meta, struct tc_safetensors *st)
{
    size_t n = json_object_size(meta);
    if (!json_is_object(meta) || n > TC_ST_META_MAX)
        return tc_fail(TC_EINPUT, "safetensors: __metadata__ is no object of at most %d texts",
                       TC_ST_META_MAX);
    st->meta = calloc(n + 1, sizeof(*st->meta));
    if (!st->meta)
        return tc_fail(TC_ENOMEM, "no memory for a model file's metadata");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)meta, key, value)
    {
        if (!json_is_string(value))
            return tc_fail(TC_EINPUT, "safetensors: __metadata__ key \"%.64s\" is no text", key);
        st->meta[st->n_meta++] = (struct tc_st_meta){key, json_string_value(value)};
    }
    return TC_OK;
}

static int read_header(const json_t *root, const uint8_t *data, size_t room, struct tc_safetensors *st)
{
    size_t n = json_object_size(root);
    if (!json_is_object(root) || n > TC_ST_TENSORS_MAX)
        return tc_fail(TC_EINPUT, "safetensors: the header is no object of at most %d tensors",
                       TC_ST_TENSORS_MAX);
    st->tensors = calloc(n + 1, sizeof(*st->tensors));
    if (!st->tensors)
        return tc_fail(TC_ENOMEM, "no memory for a model file's %zu tensors", n);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)root, name, value)
    {
        int rc = strcmp(name, "__metadata__") == 0
                     ? read_meta(value, st)
                     : read_tensor(name, value, data, room, &st->tensors[st->n_tensors++]);
        if (rc)
            return rc;
    }
    return check_tiling(st, data, room);
}

int tc_safetensors_parse(const uint8_t *bytes, size_t n, struct tc_safetensors *out)
{
    *out = (struct tc_safetensors){0};
    uint64_t header = 0;
    for (size_t i = 0; i < 8 && i < n; i++)
        header |= (uint64_t)bytes[i] << (8 * i);
    if (n < 8 || header > n - 8)
        return tc_fail(TC_EINPUT, "safetensors: the header does not fit the file of %zu bytes", n);
    if (header > TC_ST_HEADER_MAX)
        return tc_fail(TC_ELIMIT, "safetensors: a header of %llu bytes is more than the %d allowed",
                       (unsigned long long)header, TC_ST_HEADER_MAX);
    if (header < 2 || bytes[8] != '{')
        return tc_fail(TC_EINPUT, "safetensors: the header does not begin with {");
    json_error_t fault;
    json_t *root = json_loadb((const char *)bytes + 8, (size_t)header, JSON_REJECT_DUPLICATES, &fault);
    if (!root)
        return tc_fail(TC_EINPUT, "safetensors: header byte %d: %s", fault.position, fault.text);
    out->header = root;
    int rc = read_header(root, bytes + 8 + header, n - 8 - (size_t)header, out);
    if (rc)
        tc_safetensors_free(out);
    return rc;
}

void tc_safetensors_free(struct tc_safetensors *st)
{
    free(st->tensors);
    free(st->meta);
    json_decref(st->header);
    *st = (struct tc_safetensors){0};
}

const struct tc_st_tensor *tc_safetensors_find(const struct tc_safetensors *st, const char *name)
{
    for (size_t i = 0; i < st->n_tensors; i++)
        if (strcmp(st->tensors[i].name, name) == 0)
            return &st->tensors[i];
    return NULL;
}

const char *tc_safetensors_meta(const struct tc_safetensors *st, const char *key)
{
    for (size_t i = 0; i < st->n_meta; i++)
        if (strcmp(st->meta[i].key, key) == 0)
            return st->meta[i].value;
    return NULL;
}

static void put_header(const struct tc_st_meta *meta, size_t n_meta, const struct tc_st_tensor *tensors,
                       size_t n, struct tc_buf *out)
{
    int64_t at = 0;
    tc_buf_str(out, "{\"__metadata__\":{");
    for (size_t i = 0; i < n_meta; i++) {
        tc_buf_str(out, i ? "," : "");
        tc_buf_json_string(out, meta[i].key);
        tc_buf_char(out, ':');
        tc_buf_json_string(out, meta[i].value);
    }
    tc_buf_char(out, '}');
    for (size_t i = 0; i < n; i++) {
        tc_buf_char(out, ',');
        tc_buf_json_string(out, tensors[i].name);
        tc_buf_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", tensors[i].dtype);
        for (int32_t d = 0; d < tensors[i].dims; d++)
            tc_buf_printf(out, "%s%lld", d ? "," : "", (long long)tensors[i].shape[d]);
        tc_buf_printf(out, "],\"data_offsets\":[%lld,", (long long)at);
        at += (int64_t)tensors[i].bytes;
        tc_buf_printf(out, "%lld]}", (long long)at);
    }
    tc_buf_char(out, '}');
}

int tc_safetensors_write(const struct tc_st_meta *meta, size_t n_meta, const struct tc_st_tensor *tensors,
                         size_t n_tensors, struct tc_buf *out)
{
    size_t start = out->len;
    tc_buf_put(out, "\0\0\0\0\0\0\0\0", 8);
    put_header(meta, n_meta, tensors, n_tensors, out);
    while ((out->len - start) % 8 && !out->overflow)
        tc_buf_char(out, ' ');
    uint64_t header = out->len - start - 8;
    for (size_t i = 0; i < 8 && !out->overflow; i++)
        out->data[start + i] = (char)(header >> (8 * i) & 0xff);
    for (size_t i = 0; i < n_tensors; i++)
        tc_buf_put(out, tensors[i].data, tensors[i].bytes);
    if (out->overflow)
        return tc_fail(TC_ELIMIT, "safetensors: the file would be larger than %zu bytes", out->max);
    return TC_OK;
}

int tc_sha256_hex(const void *bytes, size_t n, char out[static 65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(bytes, n, digest, &size, EVP_sha256(), NULL) != 1 || size != 32)
        return tc_fail(TC_EINTERNAL, "libcrypto made no SHA-256");
    for (unsigned i = 0; i < size; i++) {
        out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    out[64] = '\0';
    return TC_OK;
}
