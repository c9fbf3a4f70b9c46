#include "model/optimizer.h"

#include <math.h>

void tc_adam_begin(struct tc_adam *a)
{
    a->updates++;
}

void tc_adam_move(const struct tc_adam *a, size_t from, size_t to, const float *grad, double rate, float *p)
{
    double bias1 = 1 - pow(0.9, (double)a->updates), bias2 = 1 - pow(0.999, (double)a->updates);
    double own = a->kind == TC_ADAMW ? a->decay : 0;
    float mixed = a->kind == TC_ADAM ? (float)a->decay : 0.0f;
    for (size_t i = from; i < to; i++) {
        float g = grad[i] + mixed * p[i];
        a->m1[i] += 0.1f * (g - a->m1[i]);
        a->m2[i] += 0.001f * (g * g - a->m2[i]);
        double step = (double)a->m1[i] / bias1 / (sqrt((double)a->m2[i] / bias2) + 1e-8);
        p[i] -= (float)(rate * (step + own * (double)p[i]));
    }
}

double tc_clip_norm(float *grad, size_t n, double most)
{
    double norm = 0;
    for (size_t i = 0; i < n; i++)
        norm += (double)grad[i] * (double)grad[i];
    norm = sqrt(norm);
    if (!(most > 0 && norm > most))
        return norm;
    float shrink = (float)(most / norm);
    for (size_t i = 0; i < n; i++)
        grad[i] *= shrink;
    return norm;
}

double tc_schedule_rate(enum tc_schedule s, double peak, double at)
{
    double up = s == TC_SCHEDULE_ONE_CYCLE ? 0.15 : 0, low = peak / 25, end = low / 1e4;
    if (s == TC_SCHEDULE_CONSTANT)
        return peak;
    if (at < up)
        return low + (peak - low) * (1 - cos(M_PI * at / up)) / 2;
    return end + (peak - end) * (1 + cos(M_PI * (at - up) / (1 - up))) / 2;
}
