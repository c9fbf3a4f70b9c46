/* report_plot.h - plots of a back-test as SVG inside an HTML page: no script, colours by the page's style
 * (classes m0, m1 ... of the models), a caption that says the numbers in words. */
#pragma once

#include "base/buf.h"
#include "forecast/backtest.h"

enum tc_plot { TC_PLOT_RATIO, TC_PLOT_COVERAGE };

/* Ratio or coverage by half hour, a line a model. Nothing when no half hour has 30 samples. */
void tc_plot_slots(const struct tc_backtest *b, uint32_t symbol, int32_t point, enum tc_plot what,
                   struct tc_buf *out);
/* Errors over the band's half width, a line a model that has a band: shape, bias, and what lies outside. */
void tc_plot_residuals(const struct tc_backtest *b, uint32_t symbol, int32_t point, struct tc_buf *out);
/* What was said and what came, for P(down), P(none), P(up) of one model; nothing without probabilities. */
void tc_plot_reliability(const struct tc_backtest *b, uint32_t symbol, int32_t model, int32_t point,
                         struct tc_buf *out);
/* The style of model m in a legend. */
void tc_plot_key(int32_t m, struct tc_buf *out);
