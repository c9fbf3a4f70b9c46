/* report.h - a back-test as text for a terminal, as CSV, as JSON, and as one HTML page with its plots inside.
 */
#pragma once

#include "base/buf.h"
#include "forecast/backtest.h"

struct tc_report_head {
    const char *command;   /* as it was given */
    const char *inputs;    /* "trades", "seconds", "merged" */
    const char *simulated; /* a sentence when the market was simulated; NULL else */
};

enum tc_report_by { TC_BY_NONE, TC_BY_DAY, TC_BY_HALF_HOUR };

/* `by`: which parts of the span get a ratio of their own. */
void tc_report_text(const struct tc_backtest *b, const struct tc_report_head *h, enum tc_report_by by,
                    struct tc_buf *out);
void tc_report_csv(const struct tc_backtest *b, struct tc_buf *out);
/* One object: the head, and a row a symbol, target and model with its figures, in all, by day and by half
 * hour (docs/forecasting.md). */
void tc_report_json(const struct tc_backtest *b, const struct tc_report_head *h, struct tc_buf *out);
void tc_report_html(const struct tc_backtest *b, const struct tc_report_head *h, struct tc_buf *out);

/* "next", "last+10s", "mid+60s" */
void tc_report_target(enum tc_kind kind, int32_t horizon_ms, char out[static 24]);
