/* band.h - 90 % intervals that adapt: scaled conformal prediction with feedback (Gibbs and Candes 2021), as
 * in docs/forecasting.md.
 *
 * Score of an error e: |e| / sigma, sigma an exponential mean of |e| (each counted for at most 8 sigma, never
 * below half the long mean of |e|). The half width is sigma times the (1 - alpha) quantile of the last
 * scores, kept as a histogram that forgets with a span of 1,000. alpha moves towards 10 % misses, fed back
 * only when an outcome is known. Errors in any unit, the half width comes in the same. Plain bytes.
 */
#pragma once

#include <stdint.h>

enum { TC_BAND_BUCKETS = 44 };

struct tc_band {
    double sigma, mean_abs, alpha, n;
    double unit, total;           /* weight of the newest score; sum of all */
    float score[TC_BAND_BUCKETS]; /* bucket 0: below 1/8; then six an octave; the last: 16 and more */
};

/* `typical`: the size of error expected before any is known; it counts as ten errors. */
void tc_band_init(struct tc_band *b, double typical);

double tc_band_half(const struct tc_band *b);
/* horizon_ms: 0 for the next traded second; it sets the speeds. */
void tc_band_learn(struct tc_band *b, int32_t horizon_ms, double error, double half);

/* Interval score of Winkler (1972) for a 90 % interval. */
double tc_winkler(double outcome, double lo, double hi);
