/* net.h - a network's parameters as one flat array with named parts, shared by the model file, the engine and
 * training.
 *
 *   u = tanh(W_in z + b_in)             only when input_size > 0
 *   h = LSTM layers over u (or z)       PyTorch's gate order i, f, g, o and its two biases
 *   y = W_out h + W_skip z + b_out      W_skip only with `skip`
 *
 * z are the scaled features, y the scaled targets. All matrices are row-major, [outputs][inputs].
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TC_NET_LAYERS_MAX = 16,
    TC_NET_HIDDEN_MAX = 2048,
    TC_NET_WINDOW_MAX = 10000,
    TC_NET_TENSORS_MAX = 5 + 4 * TC_NET_LAYERS_MAX,
};

struct tc_net_shape {
    int32_t features, input_size, layers, hidden, targets;
    bool skip;
};

struct tc_net {
    struct tc_net_shape shape;
    size_t n;
    float *p;
    float *w_in, *b_in, *w_out, *b_out, *w_skip; /* into p; NULL where the shape has none */
    struct {
        float *w_ih, *w_hh, *b_ih, *b_hh;
    } layer[TC_NET_LAYERS_MAX];
};

/* One named part, as it stands in a file ("lstm.weight_ih_l0"). cols is 0 for a vector. */
struct tc_net_part {
    char name[32];
    int32_t rows, cols;
    float *p;
};

/* All parameters 0. TC_EINPUT when a size is outside the bounds above (message names it), TC_ENOMEM. */
int tc_net_open(const struct tc_net_shape *shape, struct tc_net *out);
int tc_net_copy(const struct tc_net *from, struct tc_net *out);
void tc_net_free(struct tc_net *net);

/* The same names over an array of another owner (gradients, moments). */
void tc_net_view(const struct tc_net_shape *shape, float *p, struct tc_net *out);

/* Fills parts[] in file order, returns how many. */
size_t tc_net_parts(const struct tc_net *net, struct tc_net_part parts[static TC_NET_TENSORS_MAX]);

/* Inputs of LSTM layer l. */
int32_t tc_net_layer_inputs(const struct tc_net_shape *shape, int32_t l);
