/* Gradients and optimizer steps for tests/integration/test_gradient.py, which holds them against PyTorch's.
 *
 * Standard input: eleven int32 (features, input size, layers, hidden, targets, skip, steps, rows, loss,
 * optimizer, updates), five doubles (delta, quantile, decay, rate, clip norm), then floats: the parameters in
 * file order, z [steps][rows][features], y and w [steps][rows][targets]. Standard output: the loss (double),
 * the gradient, and the parameters after the updates on this same batch. */
#include "base/err.h"
#include "model/bptt.h"
#include "model/optimizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES, UNITS, LAYERS, HIDDEN, TARGETS, SKIP, STEPS, ROWS, LOSS, OPTIMIZER, UPDATES, NUMBERS };
enum { DELTA, QUANTILE, DECAY, RATE, CLIP, REALS };

static void must(int rc)
{
    if (rc) {
        fprintf(stderr, "gradient: %s\n", tc_error());
        exit(1);
    }
}

static float *read_floats(size_t n)
{
    float *v = malloc(n * sizeof(float) + 1);
    if (!v || fread(v, sizeof(float), n, stdin) != n)
        must(tc_fail(TC_EINPUT, "the input is too short"));
    return v;
}

int main(void)
{
    int32_t n[NUMBERS];
    double real[REALS], loss;
    const struct tc_kern *kern;
    struct tc_net net;
    struct tc_bptt *bptt;
    if (fread(n, sizeof(n), 1, stdin) != 1 || fread(real, sizeof(real), 1, stdin) != 1)
        must(tc_fail(TC_EINPUT, "the input is too short"));
    struct tc_net_shape shape = {n[FEATURES], n[UNITS], n[LAYERS], n[HIDDEN], n[TARGETS], n[SKIP] != 0};
    must(tc_net_open(&shape, &net));
    size_t cells = (size_t)n[STEPS] * (size_t)n[ROWS];
    float *p = read_floats(net.n), *z = read_floats(cells * (size_t)n[FEATURES]);
    float *y = read_floats(cells * (size_t)n[TARGETS]), *w = read_floats(cells * (size_t)n[TARGETS]);
    float *grad = calloc(3 * net.n, sizeof(float));
    must(grad ? TC_OK : tc_fail(TC_ENOMEM, "no memory"));
    memcpy(net.p, p, net.n * sizeof(float));
    must(tc_kern_choose(&kern));
    must(tc_bptt_open(&shape, kern, (size_t)n[STEPS], (size_t)n[ROWS], &bptt));
    const struct tc_bptt_batch batch = {.rows = (size_t)n[ROWS],
                                        .z = z,
                                        .y = y,
                                        .w = w,
                                        .loss = (enum tc_loss)n[LOSS],
                                        .delta = real[DELTA],
                                        .quantile = real[QUANTILE]};
    must(tc_bptt_gradient(bptt, &net, &batch, grad, &loss));
    fwrite(&loss, sizeof(loss), 1, stdout);
    fwrite(grad, sizeof(float), net.n, stdout);
    struct tc_adam adam = {.kind = (enum tc_optimizer)n[OPTIMIZER],
                           .decay = real[DECAY],
                           .m1 = grad + net.n,
                           .m2 = grad + 2 * net.n};
    for (int32_t i = 0; i < n[UPDATES]; i++) {
        must(tc_bptt_gradient(bptt, &net, &batch, grad, &loss));
        tc_clip_norm(grad, net.n, real[CLIP]);
        tc_adam_begin(&adam);
        tc_adam_move(&adam, 0, net.n, grad, real[RATE], net.p);
    }
    fwrite(net.p, sizeof(float), net.n, stdout);
    tc_bptt_close(bptt);
    tc_net_free(&net);
    free(p);
    free(z);
    free(y);
    free(w);
    free(grad);
    return 0;
}
