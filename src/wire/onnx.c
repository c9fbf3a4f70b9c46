#include "wire/onnx.h"

#include "base/err.h"

/* Field numbers of onnx.proto. */
enum {
    MODEL_IR = 1,
    MODEL_PRODUCER,
    MODEL_VERSION,
    MODEL_DOC = 6,
    MODEL_GRAPH,
    MODEL_OPSET,
    MODEL_META = 14
};
enum { OPSET_DOMAIN = 1, OPSET_VERSION };
enum { ENTRY_KEY = 1, ENTRY_VALUE };
enum { GRAPH_NODE = 1, GRAPH_NAME, GRAPH_CONSTANT = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT };
enum { NODE_INPUT = 1, NODE_OUTPUT, NODE_NAME, NODE_OPERATION, NODE_ATTRIBUTE };
enum { ATTR_NAME = 1, ATTR_INT = 3, ATTR_INTS = 8, ATTR_TYPE = 20 };
enum { TENSOR_DIM = 1, TENSOR_TYPE, TENSOR_NAME = 8, TENSOR_BYTES };
enum { VALUE_NAME = 1, VALUE_TYPE, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE, SHAPE_DIM = 1 };
enum { DIM_SIZE = 1, DIM_NAME };
enum { KIND_INT = 2, KIND_INTS = 7 };
enum { IR_VERSION = 8, OPERATOR_SET = 13 };
enum { WIRE_VARINT = 0, WIRE_BYTES = 2, VARINT_MAX = 10 };

/* --- protobuf ------------------------------------------------------------------------------------------- */
static size_t varint(uint64_t v, char out[static VARINT_MAX])
{
    size_t n = 0;
    do {
        out[n++] = (char)((v & 127) | (v > 127 ? 128 : 0));
        v >>= 7;
    } while (v);
    return n;
}

static void put_varint(struct tc_buf *b, uint64_t v)
{
    char bytes[VARINT_MAX];
    tc_buf_put(b, bytes, varint(v, bytes));
}

static void put_int(struct tc_buf *b, unsigned field, int64_t v)
{
    put_varint(b, field << 3 | WIRE_VARINT);
    put_varint(b, (uint64_t)v);
}

static void put_bytes(struct tc_buf *b, unsigned field, const void *bytes, size_t n)
{
    put_varint(b, field << 3 | WIRE_BYTES);
    put_varint(b, n);
    tc_buf_put(b, bytes, n);
}

static void put_text(struct tc_buf *b, unsigned field, const char *s)
{
    put_bytes(b, field, s, strlen(s));
}

/* A message inside another: begin says where its bytes start, end puts their number before them. */
static size_t begin(struct tc_buf *b, unsigned field)
{
    put_varint(b, field << 3 | WIRE_BYTES);
    return b->len;
}

static void end(struct tc_buf *b, size_t from)
{
    char bytes[VARINT_MAX];
    size_t content = b->len - from, n = varint(content, bytes);
    tc_buf_put(b, bytes, n); /* makes room; the bytes themselves belong in front */
    if (b->overflow)
        return;
    memmove(b->data + from + n, b->data + from, content);
    memcpy(b->data + from, bytes, n);
}

/* --- the file ------------------------------------------------------------------------------------------- */
void tc_onnx_open(struct tc_onnx *o, struct tc_buf *out, const char *producer, const char *version,
                  const char *doc)
{
    *o = (struct tc_onnx){.out = out};
    put_int(out, MODEL_IR, IR_VERSION);
    put_text(out, MODEL_PRODUCER, producer);
    put_text(out, MODEL_VERSION, version);
    put_text(out, MODEL_DOC, doc);
    size_t opset = begin(out, MODEL_OPSET);
    put_text(out, OPSET_DOMAIN, "");
    put_int(out, OPSET_VERSION, OPERATOR_SET);
    end(out, opset);
}

void tc_onnx_meta(struct tc_onnx *o, const char *key, const char *value)
{
    size_t entry = begin(o->out, MODEL_META);
    put_text(o->out, ENTRY_KEY, key);
    put_text(o->out, ENTRY_VALUE, value);
    end(o->out, entry);
}

void tc_onnx_graph(struct tc_onnx *o, const char *name)
{
    o->graph = begin(o->out, MODEL_GRAPH);
    put_text(o->out, GRAPH_NAME, name);
}

static void put_value(struct tc_buf *b, unsigned field, const char *name, enum tc_onnx_type type,
                      const struct tc_onnx_dim *dims, size_t n)
{
    size_t value = begin(b, field);
    put_text(b, VALUE_NAME, name);
    size_t kind = begin(b, VALUE_TYPE), tensor = begin(b, TYPE_TENSOR);
    put_int(b, TENSOR_ELEMENT, type);
    size_t shape = begin(b, TENSOR_SHAPE);
    for (size_t i = 0; i < n; i++) {
        size_t dim = begin(b, SHAPE_DIM);
        if (dims[i].name)
            put_text(b, DIM_NAME, dims[i].name);
        else
            put_int(b, DIM_SIZE, dims[i].size);
        end(b, dim);
    }
    end(b, shape);
    end(b, tensor);
    end(b, kind);
    end(b, value);
}

void tc_onnx_input(struct tc_onnx *o, const char *name, enum tc_onnx_type type,
                   const struct tc_onnx_dim *dims, size_t n)
{
    put_value(o->out, GRAPH_INPUT, name, type, dims, n);
}

void tc_onnx_output(struct tc_onnx *o, const char *name, enum tc_onnx_type type,
                    const struct tc_onnx_dim *dims, size_t n)
{
    put_value(o->out, GRAPH_OUTPUT, name, type, dims, n);
}

void tc_onnx_constant(struct tc_onnx *o, const struct tc_onnx_tensor *t)
{
    size_t from = begin(o->out, GRAPH_CONSTANT), bytes = t->type == TC_ONNX_F32 ? 4 : 8;
    for (int32_t i = 0; i < t->dims; i++) {
        put_int(o->out, TENSOR_DIM, t->shape[i]);
        bytes *= (size_t)t->shape[i];
    }
    put_int(o->out, TENSOR_TYPE, t->type);
    put_text(o->out, TENSOR_NAME, t->name);
    put_bytes(o->out, TENSOR_BYTES, t->data, bytes);
    end(o->out, from);
}

/* Each of the names between blanks. */
static void put_names(struct tc_buf *b, unsigned field, const char *names)
{
    for (size_t n; *names; names += n + (names[n] == ' ')) {
        n = strcspn(names, " ");
        put_bytes(b, field, names, n == 1 && *names == '-' ? 0 : n);
    }
}

void tc_onnx_node(struct tc_onnx *o, const char *operation, const char *inputs, const char *outputs,
                  const struct tc_onnx_attr *attrs, size_t n)
{
    struct tc_buf *b = o->out;
    size_t node = begin(b, GRAPH_NODE);
    put_names(b, NODE_INPUT, inputs);
    put_names(b, NODE_OUTPUT, outputs);
    put_bytes(b, NODE_NAME, outputs, strcspn(outputs, " "));
    put_text(b, NODE_OPERATION, operation);
    for (size_t i = 0; i < n; i++) {
        size_t attr = begin(b, NODE_ATTRIBUTE);
        put_text(b, ATTR_NAME, attrs[i].name);
        if (!attrs[i].ints)
            put_int(b, ATTR_INT, attrs[i].i);
        for (size_t k = 0; attrs[i].ints && k < attrs[i].n; k++)
            put_int(b, ATTR_INTS, attrs[i].ints[k]);
        put_int(b, ATTR_TYPE, attrs[i].ints ? KIND_INTS : KIND_INT);
        end(b, attr);
    }
    end(b, node);
}

int tc_onnx_close(struct tc_onnx *o)
{
    end(o->out, o->graph);
    return o->out->overflow ? tc_fail(TC_ELIMIT, "an ONNX file of more than %zu bytes", o->out->max) : TC_OK;
}
