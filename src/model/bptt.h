/* bptt.h - loss and gradient of a network over a batch of sequences by back-propagation through time (Werbos
 * 1990), on kernels that keep the gates, and the matrix products of kern/gemm.h. Allocates only when opened.
 *
 * The batch is cut into shards, as its size says and not the threads; each has a gradient of its own, and
 * these are added up in order: the same bits on any number of threads.
 *
 * All arrays are time-major: element (t, row, i) of a [steps][rows][n] array. Every sequence starts from zero
 * state.
 */
#pragma once

#include "base/rng.h"
#include "kern/kern.h"
#include "model/net.h"

enum tc_loss { TC_LOSS_SQUARED, TC_LOSS_HUBER, TC_LOSS_QUANTILE };

struct tc_bptt_batch {
    size_t rows;    /* at most those of open */
    const float *z; /* [steps][rows][features] scaled inputs */
    const float *y; /* [steps][rows][targets] scaled targets */
    const float *w; /* [steps][rows][targets] weight of each term, 0 = not known or not counted */
    enum tc_loss loss;
    double delta;       /* of Huber's loss */
    double quantile;    /* that the quantile loss aims at, above 0 and below 1 */
    double dropout;     /* share of units (input layer's, every layer's) set to 0, the others scaled up */
    struct tc_rng *rng; /* for dropout; may be NULL without */
};

struct tc_bptt;

static const size_t TC_BPTT_BYTES_MAX = (size_t)8 << 30;

/* TC_ELIMIT when steps x rows take more memory than training may (TC_BPTT_BYTES_MAX). */
int tc_bptt_open(const struct tc_net_shape *shape, const struct tc_kern *kern, size_t steps, size_t rows,
                 struct tc_bptt **out);
/* Shares the work from now on; the team (NULL: none) stays the caller's and must live as long. */
struct tc_team;
void tc_bptt_team(struct tc_bptt *b, struct tc_team *team);
void tc_bptt_close(struct tc_bptt *b); /* takes NULL */

/* Loss = sum of w * l(y - output), l(e) = e^2; or Huber's, e^2 within delta, then delta (2 |e| - delta); or
 * the quantile's (pinball), quantile * e above 0, (quantile - 1) * e below. grad (net->n floats, laid out as
 * net->p) is overwritten. */
int tc_bptt_gradient(struct tc_bptt *b, const struct tc_net *net, const struct tc_bptt_batch *batch,
                     float *grad, double *loss);
