/* backtest.h - every model against every baseline on the samples that the live engine scored.
 *
 * The engine runs over the records of topic bars as it would live: every forecast is made, and every model is
 * taught, from what was known then (walk-forward). Sessions before `report_from` only teach. A network is
 * reported from the session after the last one it was trained or validated on (the embargo: no window and no
 * target spans sessions); its earlier samples are counted apart. Allocates as it grows; one thread.
 */
#pragma once

#include "forecast/engine.h"
#include "forecast/score.h"

struct tc_backtest_conf {
    struct tc_engine_conf engine; /* `resolved` is the back-test's own */
    int32_t report_from;          /* session date; 0 = the first */
    int32_t report_to;            /* 0 = the last */
};

struct tc_backtest;

/* Shares of resolved samples by where they fell: for what is drawn. */
enum {
    TC_RESIDUAL_BINS = 26, /* error over the band's half width: below -3, twelve a side of 1/4, above 3 */
    TC_PROBABILITY_BINS = 10,
};

struct tc_reliability { /* of one of P(down), P(none), P(up), by tenths */
    int64_t n[TC_PROBABILITY_BINS], came[TC_PROBABILITY_BINS];
    double said[TC_PROBABILITY_BINS]; /* sum of the probabilities */
};

struct tc_backtest_day {
    int32_t day;
    struct tc_score_sums sums;
};

/* Ridge of each level on the samples that all levels up to the highest could forecast. */
struct tc_backtest_common {
    int64_t n;
    double sq_persist, sq_ridge[TC_LEVELS];
};

/* Everything of one symbol, model and point. The loss differences are kept whole for Newey-West. */
struct tc_backtest_cell {
    struct tc_score total, slot[48];
    struct tc_score_sums level[TC_LEVELS]; /* by the inputs that the forecast was made from */
    struct tc_backtest_common common;      /* of ridge's cell */
    double abs_median,
        abs_persist_median;       /* absolute errors of the forecast median, and of no change there */
    struct tc_backtest_day *days; /* rising */
    size_t n_days;
    size_t n, capacity;
    float *d_persist;               /* e_persist^2 - e_model^2 */
    float *d_ridge;                 /* e_ridge^2 - e_model^2 */
    int64_t in_sample;              /* left out: the network was trained on that session */
    int64_t open;                   /* samples whose gate was open at issue */
    double sq_shown, shown_flagged; /* squared errors of what was shown (the model where its gate was open,
                                       else no change); of flagged moves */
    int64_t residual[TC_RESIDUAL_BINS];
    struct tc_reliability reliability[3];
};

struct tc_backtest_row {
    const char *symbol, *model;
    const char *inputs; /* level of most of its forecasts */
    enum tc_kind kind;
    int32_t horizon_ms;
    struct tc_score_figures f;             /* ratio_lo, ratio_hi, dm_t, dm_t_ridge by Newey-West here */
    double mae_ratio_median;               /* of the median, where there are probabilities */
    double open;                           /* share of open gates */
    double ratio_shown, ratio_shown_clean; /* RMSE ratio of what was shown; without flagged moves */
    int64_t in_sample;
};

int tc_backtest_open(const struct tc_backtest_conf *conf, struct tc_backtest **out);
int tc_backtest_feed(struct tc_backtest *b, const struct tc_record *r, int64_t offset);
void tc_backtest_close(struct tc_backtest *b); /* takes NULL */

const struct tc_engine *tc_backtest_engine(const struct tc_backtest *b);
/* NULL where there are no samples. */
const struct tc_backtest_cell *tc_backtest_cell(const struct tc_backtest *b, uint32_t symbol, int32_t model,
                                                int32_t point);
/* False when the cell has no samples at all (not even left-out ones). */
bool tc_backtest_row(const struct tc_backtest *b, uint32_t symbol, int32_t model, int32_t point,
                     struct tc_backtest_row *out);
void tc_backtest_span(const struct tc_backtest *b, int32_t *from, int32_t *to); /* days reported; 0 = none */
