#include "model/net.h"
#include "model/model.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int32_t tc_net_layer_inputs(const struct tc_net_shape *s, int32_t l)
{
    if (l)
        return s->hidden;
    return s->input_size ? s->input_size : s->features;
}

static int check_shape(const struct tc_net_shape *s)
{
    const struct {
        const char *what;
        int32_t value, lo, hi;
    } bounds[] = {
        {"features", s->features, 1, TC_MODEL_FEATURES_MAX},
        {"input layer units", s->input_size, 0, TC_NET_HIDDEN_MAX},
        {"layers", s->layers, 1, TC_NET_LAYERS_MAX},
        {"hidden units", s->hidden, 1, TC_NET_HIDDEN_MAX},
        {"targets", s->targets, 1, TC_MODEL_TARGETS_MAX},
    };
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
        if (bounds[i].value < bounds[i].lo || bounds[i].value > bounds[i].hi)
            return tc_fail(TC_EINPUT, "%s: %d is not within %d to %d", bounds[i].what, bounds[i].value,
                           bounds[i].lo, bounds[i].hi);
    return TC_OK;
}

static void add_part(struct tc_net_part *parts, size_t *n, const char *name, int32_t layer, int32_t rows,
                     int32_t cols, float *p)
{
    struct tc_net_part *part = &parts[(*n)++];
    *part = (struct tc_net_part){.rows = rows, .cols = cols, .p = p};
    if (layer < 0)
        snprintf(part->name, sizeof(part->name), "%s", name);
    else
        snprintf(part->name, sizeof(part->name), "lstm.%s_l%d", name, layer);
}

size_t tc_net_parts(const struct tc_net *net, struct tc_net_part parts[static TC_NET_TENSORS_MAX])
{
    const struct tc_net_shape *s = &net->shape;
    size_t n = 0;
    if (s->input_size) {
        add_part(parts, &n, "input.weight", -1, s->input_size, s->features, net->w_in);
        add_part(parts, &n, "input.bias", -1, s->input_size, 0, net->b_in);
    }
    for (int32_t l = 0; l < s->layers; l++) {
        add_part(parts, &n, "weight_ih", l, 4 * s->hidden, tc_net_layer_inputs(s, l), net->layer[l].w_ih);
        add_part(parts, &n, "weight_hh", l, 4 * s->hidden, s->hidden, net->layer[l].w_hh);
        add_part(parts, &n, "bias_ih", l, 4 * s->hidden, 0, net->layer[l].b_ih);
        add_part(parts, &n, "bias_hh", l, 4 * s->hidden, 0, net->layer[l].b_hh);
    }
    add_part(parts, &n, "output.weight", -1, s->targets, s->hidden, net->w_out);
    add_part(parts, &n, "output.bias", -1, s->targets, 0, net->b_out);
    if (s->skip)
        add_part(parts, &n, "skip.weight", -1, s->targets, s->features, net->w_skip);
    return n;
}

static size_t part_size(const struct tc_net_part *p)
{
    return (size_t)p->rows * (size_t)(p->cols ? p->cols : 1);
}

/* Points the named members into p, in file order. */
static void set_pointers(struct tc_net *net)
{
    const struct tc_net_shape *s = &net->shape;
    struct tc_net_part parts[TC_NET_TENSORS_MAX];
    size_t n = tc_net_parts(net, parts), i = 0, at = 0;
    float *place[TC_NET_TENSORS_MAX];
    for (size_t j = 0; j < n; j++) {
        place[j] = net->p + at;
        at += part_size(&parts[j]);
    }
    if (s->input_size) {
        net->w_in = place[i++];
        net->b_in = place[i++];
    }
    for (int32_t l = 0; l < s->layers; l++) {
        net->layer[l].w_ih = place[i++];
        net->layer[l].w_hh = place[i++];
        net->layer[l].b_ih = place[i++];
        net->layer[l].b_hh = place[i++];
    }
    net->w_out = place[i++];
    net->b_out = place[i++];
    if (s->skip)
        net->w_skip = place[i];
}

void tc_net_view(const struct tc_net_shape *shape, float *p, struct tc_net *out)
{
    *out = (struct tc_net){.shape = *shape, .p = p};
    struct tc_net_part parts[TC_NET_TENSORS_MAX];
    size_t n = tc_net_parts(out, parts);
    for (size_t i = 0; i < n; i++)
        out->n += part_size(&parts[i]);
    set_pointers(out);
}

int tc_net_open(const struct tc_net_shape *shape, struct tc_net *out)
{
    *out = (struct tc_net){.shape = *shape};
    int rc = check_shape(shape);
    if (rc)
        return rc;
    struct tc_net_part parts[TC_NET_TENSORS_MAX];
    size_t n = tc_net_parts(out, parts);
    for (size_t i = 0; i < n; i++)
        out->n += part_size(&parts[i]);
    out->p = calloc(out->n, sizeof(float));
    if (!out->p)
        return tc_fail(TC_ENOMEM, "no memory for a network of %zu parameters", out->n);
    set_pointers(out);
    return TC_OK;
}

int tc_net_copy(const struct tc_net *from, struct tc_net *out)
{
    int rc = tc_net_open(&from->shape, out);
    if (!rc)
        memcpy(out->p, from->p, from->n * sizeof(float));
    return rc;
}

void tc_net_free(struct tc_net *net)
{
    free(net->p);
    *net = (struct tc_net){0};
}
