#include "forecast/band.h"

#include <math.h>
#include <string.h>

enum { PER_OCTAVE = 6, START_SCORES = 30, START_ERRORS = 10 };

static const double TARGET = 0.10; /* share of misses */
static const double ALPHA_MIN = 0.02, ALPHA_MAX = 0.30;
static const double LOWEST = 0.125;      /* upper edge of bucket 0 */
static const double FORGET = 1.0 / 1000; /* of the scores */
static const double LONG = 1.0 / 5000;   /* of the mean absolute error */
static const double CAP = 8;
static const double UNIT_MAX = 2;

static double edge(int i) /* upper edge of bucket i: LOWEST 2^(i / PER_OCTAVE) */
{
    static const double root[PER_OCTAVE] = {1,
                                            1.12246204830937298143,
                                            1.25992104989487316477,
                                            1.41421356237309504880,
                                            1.58740105196819947475,
                                            1.78179743628067860948};
    return LOWEST * root[i % PER_OCTAVE] * (double)(1 << i / PER_OCTAVE);
}

static int bucket_of(double s)
{
    if (!(s >= LOWEST))
        return 0;
    double i = 1 + floor(PER_OCTAVE * log2(s / LOWEST));
    return i < TC_BAND_BUCKETS - 1 ? (int)i : TC_BAND_BUCKETS - 1;
}

void tc_band_init(struct tc_band *b, double typical)
{
    memset(b, 0, sizeof(*b));
    b->alpha = TARGET;
    b->sigma = b->mean_abs = typical;
    b->n = START_ERRORS;
    b->unit = 1;
    /* A few scores of a normal error (mean |e| = 1), so that the first bands are neither 0 nor endless. */
    for (int i = 0; i < START_SCORES; i++) {
        double u = (i + 0.5) / START_SCORES;
        b->score[bucket_of(-log(1 - u) * 0.9)] += 1;
    }
    b->total = START_SCORES;
}

/* From the top, where the quantile is near. */
double tc_band_half(const struct tc_band *b)
{
    double want = fmin((1 - b->alpha) * (b->total + b->unit), b->total), below = b->total;
    for (int i = TC_BAND_BUCKETS - 1; i >= 0; i--) {
        double w = b->score[i];
        below -= w;
        if (w > 0 && below < want) {
            double lo = i ? edge(i - 1) : 0;
            return b->sigma * (lo + (edge(i) - lo) * fmin((want - below) / w, 1));
        }
    }
    return b->sigma * edge(TC_BAND_BUCKETS - 1);
}

/* Older scores count less by letting new ones count more; now and then all are brought back to a unit of 1.
 */
static void count_score(struct tc_band *b, int bucket)
{
    b->unit /= 1 - FORGET;
    b->score[bucket] += (float)b->unit;
    b->total += b->unit;
    if (b->unit < UNIT_MAX)
        return;
    b->total = 0;
    for (int i = 0; i < TC_BAND_BUCKETS; i++) {
        b->score[i] = (float)(b->score[i] / b->unit);
        b->total += b->score[i];
    }
    b->unit = 1;
}

struct speed {
    double sigma, alpha;
};

static struct speed speed_of(int32_t horizon_ms)
{
    if (horizon_ms <= 1000)
        return (struct speed){0.02, 0.01};
    if (horizon_ms <= 10000)
        return (struct speed){0.01, 0.003};
    return (struct speed){0.005, 0.001};
}

void tc_band_learn(struct tc_band *b, int32_t horizon_ms, double error, double half)
{
    double e = fabs(error);
    struct speed v = speed_of(horizon_ms);
    count_score(b, b->sigma > 0 ? bucket_of(e / b->sigma) : 0);
    double miss = e > half ? 1 : 0;
    b->alpha = fmin(fmax(b->alpha + v.alpha * (TARGET - miss), ALPHA_MIN), ALPHA_MAX);
    b->n += 1;
    double capped = b->sigma > 0 ? fmin(e, CAP * b->sigma) : e;
    b->mean_abs += (capped - b->mean_abs) * fmax(LONG, 1 / b->n);
    b->sigma += (capped - b->sigma) * fmax(v.sigma, 1 / b->n);
    b->sigma = fmax(b->sigma, b->mean_abs / 2);
}

double tc_winkler(double outcome, double lo, double hi)
{
    return hi - lo + 2 / TARGET * fmax(0, fmax(lo - outcome, outcome - hi));
}
