/* safetensors.h - tensors with names in one file: a strict reader and a writer whose output depends on its
 * input alone.
 *
 * Format (huggingface/safetensors README): u64 little-endian header length; the header, one JSON object
 * {"name":{"dtype":"F32","shape":[..],"data_offsets":[begin,end]}, "__metadata__":{"key":"text"}}, which may
 * end in spaces; then the data, row-major and little-endian, offsets counted from the header's end. The
 * reader refuses data that overlap, leave a hole, lie outside or do not match their shape, a name given
 * twice, an unknown type or key, and anything past the bounds below.
 */
#pragma once

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

enum {
    TC_ST_DIMS_MAX = 8,
    TC_ST_TENSORS_MAX = 1024,
    TC_ST_META_MAX = 256,
    TC_ST_HEADER_MAX = 4 << 20, /* bytes of JSON */
};

struct tc_st_tensor {
    const char *name;
    const char *dtype; /* "F32", "I64", ... */
    int32_t dims;
    int64_t shape[TC_ST_DIMS_MAX];
    const uint8_t *data; /* of the parsed bytes; aligned as the file is, so copy out with memcpy */
    size_t bytes;
};

struct tc_st_meta {
    const char *key, *value;
};

struct tc_safetensors {
    size_t n_tensors, n_meta;
    struct tc_st_tensor *tensors; /* in the order of their data */
    struct tc_st_meta *meta;      /* in the order of the file */
    void *header;                 /* owner of the names */
};

/* `bytes` must outlive the result. TC_EINPUT says which tensor and what is wrong; out is then empty. */
int tc_safetensors_parse(const uint8_t *bytes, size_t n, struct tc_safetensors *out);
void tc_safetensors_free(struct tc_safetensors *st);

const struct tc_st_tensor *tc_safetensors_find(const struct tc_safetensors *st, const char *name);
const char *tc_safetensors_meta(const struct tc_safetensors *st, const char *key); /* NULL = not there */

/* Appends a file: metadata and tensors in the order given, header padded with spaces to 8 bytes. */
int tc_safetensors_write(const struct tc_st_meta *meta, size_t n_meta, const struct tc_st_tensor *tensors,
                         size_t n_tensors, struct tc_buf *out);

/* Lower-case hex SHA-256 of bytes (libcrypto). */
int tc_sha256_hex(const void *bytes, size_t n, char out[static 65]);
