/* onnx.h - writes ONNX files: the few protobuf messages that a small graph needs, by hand.
 *
 * A file is one ModelProto (onnx/onnx.proto, IR version 8, operator set 13); all of it goes into the caller's
 * buffer. Names hold no blanks. Nothing is checked but that it fits: the caller builds a graph that makes
 * sense, and the buffer's `overflow` says at the end whether all of it is there.
 */
#pragma once

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

enum { TC_ONNX_DIMS_MAX = 4 };

enum tc_onnx_type { TC_ONNX_F32 = 1, TC_ONNX_I64 = 7, TC_ONNX_F64 = 11 };

struct tc_onnx {
    struct tc_buf *out;
    size_t graph; /* where the graph's bytes begin */
};

struct tc_onnx_tensor {
    const char *name;
    enum tc_onnx_type type;
    int32_t dims; /* 0 = a scalar */
    int64_t shape[TC_ONNX_DIMS_MAX];
    const void *data; /* row-major, of this machine's byte order, which must be little-endian */
};

/* A dimension is a number, or where `name` is set whatever the caller feeds (the same name, the same size).
 */
struct tc_onnx_dim {
    const char *name;
    int64_t size;
};

struct tc_onnx_attr {
    const char *name;
    const int64_t *ints; /* NULL: one number, `i` */
    size_t n;
    int64_t i;
};

/* Begins a file; metadata before anything of the graph. */
void tc_onnx_open(struct tc_onnx *o, struct tc_buf *out, const char *producer, const char *version,
                  const char *doc);
void tc_onnx_meta(struct tc_onnx *o, const char *key, const char *value);
void tc_onnx_graph(struct tc_onnx *o, const char *name);

void tc_onnx_input(struct tc_onnx *o, const char *name, enum tc_onnx_type type,
                   const struct tc_onnx_dim *dims, size_t n);
void tc_onnx_output(struct tc_onnx *o, const char *name, enum tc_onnx_type type,
                    const struct tc_onnx_dim *dims, size_t n);
void tc_onnx_constant(struct tc_onnx *o, const struct tc_onnx_tensor *t);

/* Inputs and outputs as names with single blanks between them; "-" for an input that is left out. The node
 * takes the name of its first output. */
void tc_onnx_node(struct tc_onnx *o, const char *operation, const char *inputs, const char *outputs,
                  const struct tc_onnx_attr *attrs, size_t n);

/* TC_ELIMIT when the buffer's bound was passed (or memory ran out). */
int tc_onnx_close(struct tc_onnx *o);
