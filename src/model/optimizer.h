/* optimizer.h - Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019) over flat arrays, clipping
 * of a gradient by its norm, and learning-rate schedules.
 *
 * With PyTorch's constants (0.9, 0.999, 1e-8) and its order of things, so that a step is PyTorch's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum tc_optimizer {
    TC_ADAMW, /* weight decay taken from the weights themselves */
    TC_ADAM,  /* weight decay added to the gradient */
};

enum tc_schedule {
    TC_SCHEDULE_ONE_CYCLE, /* up along a cosine over 15 % of the updates, then down to nothing (Smith 2018) */
    TC_SCHEDULE_COSINE,    /* down along a cosine from the first update on */
    TC_SCHEDULE_CONSTANT,
};

struct tc_adam {
    enum tc_optimizer kind;
    double decay;
    float *m1, *m2;  /* the caller's, as long as the parameters, zero at first */
    int64_t updates; /* steps begun */
};

/* Begins a step; then every parameter is moved once, in parts where rates differ. */
void tc_adam_begin(struct tc_adam *a);
void tc_adam_move(const struct tc_adam *a, size_t from, size_t to, const float *grad, double rate, float *p);

/* Scales the gradient to at most this norm (0 = as it is); returns the norm it had. */
double tc_clip_norm(float *grad, size_t n, double most);

/* Rate at a share 0..1 of all updates. */
double tc_schedule_rate(enum tc_schedule s, double peak, double at);
