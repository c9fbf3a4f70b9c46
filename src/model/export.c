#include "model/export.h"

#include "base/err.h"
#include "wire/onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GATES = 4 };

struct graph {
    const struct tc_model_spec *spec;
    struct tc_onnx onnx;
    float *room; /* of the largest tensor that has to be put in another order */
};

static void constant(struct graph *g, const char *name, enum tc_onnx_type type, const void *data,
                     int32_t dims, int64_t a, int64_t b, int64_t c)
{
    const struct tc_onnx_tensor t = {
        .name = name, .type = type, .dims = dims, .shape = {a, b, c}, .data = data};
    tc_onnx_constant(&g->onnx, &t);
}

static void node(struct graph *g, const char *operation, const char *inputs, const char *outputs)
{
    tc_onnx_node(&g->onnx, operation, inputs, outputs, NULL, 0);
}

static void node_int(struct graph *g, const char *operation, const char *inputs, const char *outputs,
                     const char *attr, int64_t value)
{
    const struct tc_onnx_attr a = {.name = attr, .i = value};
    tc_onnx_node(&g->onnx, operation, inputs, outputs, &a, 1);
}

/* --- inputs --------------------------------------------------------------------------------------------- */
/* The four numbers of each column's block: [batch, steps, block, features] to [batch, steps, 4 x features].
 */
static void put_blocks(struct graph *g)
{
    const int64_t shape[] = {0, -1, g->spec->info.block, g->spec->info.n_features}, axis = 2;
    const struct tc_onnx_attr reduce[] = {{.name = "axes", .ints = &axis, .n = 1},
                                          {.name = "keepdims", .i = 0}};
    const struct tc_onnx_attr keep[] = {{.name = "axes", .ints = &axis, .n = 1},
                                        {.name = "keepdims", .i = 1}};
    constant(g, "block_shape", TC_ONNX_I64, shape, 1, 4, 0, 0);
    node(g, "Reshape", "scaled block_shape", "blocks");
    tc_onnx_node(&g->onnx, "ReduceMean", "blocks", "mean", reduce, 2);
    tc_onnx_node(&g->onnx, "ReduceMax", "blocks", "max", reduce, 2);
    tc_onnx_node(&g->onnx, "ReduceMin", "blocks", "min", reduce, 2);
    tc_onnx_node(&g->onnx, "ReduceMean", "blocks", "centre", keep, 2);
    node(g, "Sub", "blocks centre", "off");
    node(g, "Mul", "off off", "squares");
    tc_onnx_node(&g->onnx, "ReduceMean", "squares", "variance", reduce, 2);
    node(g, "Sqrt", "variance", "deviation");
    node_int(g, "Concat", "mean max min deviation", "steps64", "axis", 2);
}

/* `inputs` [batch, steps, inputs], given or made from feature values. */
static void put_inputs(struct graph *g, bool scaled)
{
    const struct tc_model_spec *s = g->spec;
    const struct tc_model_info *info = &s->info;
    const struct tc_onnx_dim rows[] = {{"batch", 0}, {"rows", 0}, {NULL, info->n_features}};
    const struct tc_onnx_dim steps[] = {{"batch", 0}, {"steps", 0}, {NULL, s->net.shape.features}};
    if (scaled) {
        tc_onnx_input(&g->onnx, "inputs", TC_ONNX_F32, steps, 3);
        return;
    }
    tc_onnx_input(&g->onnx, "rows", TC_ONNX_F64, rows, 3);
    constant(g, "scaler_mean", TC_ONNX_F64, s->mean, 1, info->n_features, 0, 0);
    constant(g, "scaler_sd", TC_ONNX_F64, s->sd, 1, info->n_features, 0, 0);
    constant(g, "scaler_low", TC_ONNX_F64, &s->low, 0, 0, 0, 0);
    constant(g, "scaler_high", TC_ONNX_F64, &s->high, 0, 0, 0, 0);
    node(g, "Sub", "rows scaler_mean", "centred");
    node(g, "Div", "centred scaler_sd", "unbounded");
    node(g, "Clip", "unbounded scaler_low scaler_high", "scaled");
    if (info->block > 1)
        put_blocks(g);
    node_int(g, "Cast", info->block > 1 ? "steps64" : "scaled", "inputs", "to", TC_ONNX_F32);
}

/* u = tanh(W_in z + b_in) over all steps. */
static void put_input_layer(struct graph *g)
{
    const struct tc_net *net = &g->spec->net;
    size_t units = (size_t)net->shape.input_size, d = (size_t)net->shape.features;
    for (size_t i = 0; i < units; i++)
        for (size_t j = 0; j < d; j++)
            g->room[j * units + i] = net->w_in[i * d + j];
    constant(g, "input_weight", TC_ONNX_F32, g->room, 2, (int64_t)d, (int64_t)units, 0);
    constant(g, "input_bias", TC_ONNX_F32, net->b_in, 1, (int64_t)units, 0, 0);
    node(g, "MatMul", "inputs input_weight", "input_sum");
    node(g, "Add", "input_sum input_bias", "input_all");
    node(g, "Tanh", "input_all", "units");
}

/* --- layers --------------------------------------------------------------------------------------------- */
/* PyTorch's gates i, f, g, o in ONNX's order i, o, f, c. */
static const float *reorder(struct graph *g, const float *w, size_t cols, size_t at)
{
    static const size_t from[GATES] = {0, 3, 1, 2};
    size_t some = (size_t)g->spec->net.shape.hidden * cols;
    float *out = g->room + at;
    for (size_t k = 0; k < GATES; k++)
        memcpy(out + k * some, w + from[k] * some, some * sizeof(float));
    return out;
}

/* Zero state unless stateful; layer l reads "h<l>" and "c<l>" then. */
static void put_layer(struct graph *g, int32_t l, const char *input)
{
    const struct tc_net *net = &g->spec->net;
    int64_t hidden = net->shape.hidden, in = tc_net_layer_inputs(&net->shape, l);
    char w[24], r[24], b[24], names[128], outputs[96];
    snprintf(w, sizeof(w), "weight_ih_l%d", l);
    snprintf(r, sizeof(r), "weight_hh_l%d", l);
    snprintf(b, sizeof(b), "bias_l%d", l);
    constant(g, w, TC_ONNX_F32, reorder(g, net->layer[l].w_ih, (size_t)in, 0), 3, 1, GATES * hidden, in);
    constant(g, r, TC_ONNX_F32, reorder(g, net->layer[l].w_hh, (size_t)hidden, 0), 3, 1, GATES * hidden,
             hidden);
    reorder(g, net->layer[l].b_hh, 1, (size_t)(GATES * hidden));
    constant(g, b, TC_ONNX_F32, reorder(g, net->layer[l].b_ih, 1, 0), 2, 1, 2 * GATES * hidden, 0);
    if (g->spec->info.stateful)
        snprintf(names, sizeof(names), "%s %s %s %s - h%d c%d", input, w, r, b, l, l);
    else
        snprintf(names, sizeof(names), "%s %s %s %s", input, w, r, b);
    snprintf(outputs, sizeof(outputs), "all%d last%d cell%d", l, l, l);
    node_int(g, "LSTM", names, outputs, "hidden_size", hidden);
    if (l + 1 < net->shape.layers) { /* [steps, 1, batch, hidden] to [steps, batch, hidden] */
        snprintf(names, sizeof(names), "all%d direction", l);
        snprintf(outputs, sizeof(outputs), "out%d", l);
        node(g, "Squeeze", names, outputs);
    }
}

/* "stem0 stem1 ..." */
static void each_layer(const struct graph *g, const char *stem, char *out, size_t size)
{
    struct tc_buf b;
    tc_buf_init_fixed(&b, out, size);
    for (int32_t l = 0; l < g->spec->net.shape.layers; l++)
        tc_buf_printf(&b, "%s%s%d", l ? " " : "", stem, l);
}

/* [layers, batch, hidden] */
static void state_dims(const struct graph *g, struct tc_onnx_dim dims[static 3])
{
    const struct tc_net_shape *s = &g->spec->net.shape;
    dims[0] = (struct tc_onnx_dim){NULL, s->layers};
    dims[1] = (struct tc_onnx_dim){"batch", 0};
    dims[2] = (struct tc_onnx_dim){NULL, s->hidden};
}

static void put_state_in(struct graph *g, const char *name)
{
    struct tc_onnx_dim dims[3];
    char names[TC_NET_LAYERS_MAX * 8];
    state_dims(g, dims);
    tc_onnx_input(&g->onnx, name, TC_ONNX_F32, dims, 3);
    each_layer(g, name, names, sizeof(names));
    node_int(g, "Split", name, names, "axis", 0);
}

static void put_state_out(struct graph *g, const char *each, const char *name)
{
    struct tc_onnx_dim dims[3];
    char names[TC_NET_LAYERS_MAX * 8];
    state_dims(g, dims);
    each_layer(g, each, names, sizeof(names));
    node_int(g, "Concat", names, name, "axis", 0);
    tc_onnx_output(&g->onnx, name, TC_ONNX_F32, dims, 3);
}

static void put_layers(struct graph *g)
{
    const struct tc_net_shape *s = &g->spec->net.shape;
    const int64_t turn[] = {1, 0, 2}, direction = 1;
    const struct tc_onnx_attr perm = {.name = "perm", .ints = turn, .n = 3};
    if (s->layers > 1)
        constant(g, "direction", TC_ONNX_I64, &direction, 1, 1, 0, 0);
    tc_onnx_node(&g->onnx, "Transpose", s->input_size ? "units" : "inputs", "in_time", &perm, 1);
    for (int32_t l = 0; l < s->layers; l++) {
        char input[24];
        snprintf(input, sizeof(input), "out%d", l - 1);
        put_layer(g, l, l ? input : "in_time");
    }
}

/* --- outputs -------------------------------------------------------------------------------------------- */
/* value = raw x (scale x shrink) + offset, in double precision. */
static void put_values(struct graph *g)
{
    const struct tc_model_spec *s = g->spec;
    double scale[TC_MODEL_TARGETS_MAX];
    int32_t n = s->info.n_targets;
    const struct tc_onnx_dim dims[] = {{"batch", 0}, {NULL, n}};
    for (int32_t j = 0; j < n; j++)
        scale[j] = s->scale[j] * s->info.targets[j].shrink;
    constant(g, "target_scale", TC_ONNX_F64, scale, 1, n, 0, 0);
    constant(g, "target_offset", TC_ONNX_F64, s->offset, 1, n, 0, 0);
    node_int(g, "Cast", "raw", "raw64", "to", TC_ONNX_F64);
    node(g, "Mul", "raw64 target_scale", "scaled_out");
    node(g, "Add", "scaled_out target_offset", "value");
    tc_onnx_output(&g->onnx, "raw", TC_ONNX_F32, dims, 2);
    tc_onnx_output(&g->onnx, "value", TC_ONNX_F64, dims, 2);
}

static void put_outputs(struct graph *g)
{
    const struct tc_net *net = &g->spec->net;
    const int64_t first = 0, last_step = -1;
    char last[24];
    constant(g, "layer", TC_ONNX_I64, &first, 1, 1, 0, 0);
    snprintf(last, sizeof(last), "last%d layer", net->shape.layers - 1);
    node(g, "Squeeze", last, "state");
    constant(g, "output_weight", TC_ONNX_F32, net->w_out, 2, net->shape.targets, net->shape.hidden, 0);
    constant(g, "output_bias", TC_ONNX_F32, net->b_out, 1, net->shape.targets, 0, 0);
    node_int(g, "Gemm", "state output_weight output_bias", net->shape.skip ? "head" : "raw", "transB", 1);
    if (net->shape.skip) {
        constant(g, "skip_weight", TC_ONNX_F32, net->w_skip, 2, net->shape.targets, net->shape.features, 0);
        constant(g, "last_step", TC_ONNX_I64, &last_step, 0, 0, 0, 0);
        node_int(g, "Gather", "inputs last_step", "last_inputs", "axis", 1);
        node_int(g, "Gemm", "last_inputs skip_weight head", "raw", "transB", 1);
    }
    put_values(g);
}

static void put_meta(void *ctx, const char *key, const char *value)
{
    struct graph *g = ctx;
    tc_onnx_meta(&g->onnx, key, value);
}

/* Floats of the largest tensor. */
static size_t largest(const struct tc_net *net)
{
    struct tc_net_part parts[TC_NET_TENSORS_MAX];
    size_t n = tc_net_parts(net, parts), most = 2 * GATES * (size_t)net->shape.hidden;
    for (size_t i = 0; i < n; i++) {
        size_t size = (size_t)parts[i].rows * (size_t)(parts[i].cols ? parts[i].cols : 1);
        most = size > most ? size : most;
    }
    return most;
}

int tc_model_export_onnx(const struct tc_model_spec *spec, bool scaled, struct tc_buf *out)
{
    struct graph g = {.spec = spec, .room = malloc(largest(&spec->net) * sizeof(float))};
    if (!g.room)
        return tc_fail(TC_ENOMEM, "no memory to export a model");
    tc_onnx_open(&g.onnx, out, "tickcast", spec->info.version,
                 "rows or inputs: oldest first; raw: the network's output; value: in target_unit (metadata)");
    int rc = tc_model_describe(spec, put_meta, &g);
    tc_onnx_graph(&g.onnx, spec->name);
    put_inputs(&g, scaled);
    if (spec->net.shape.input_size)
        put_input_layer(&g);
    if (spec->info.stateful) {
        put_state_in(&g, "h");
        put_state_in(&g, "c");
    }
    put_layers(&g);
    put_outputs(&g);
    if (spec->info.stateful) {
        put_state_out(&g, "last", "h_next");
        put_state_out(&g, "cell", "c_next");
    }
    rc = rc ? rc : tc_onnx_close(&g.onnx);
    free(g.room);
    return rc;
}
