/* report.h - a back-test as text for a terminal, as CSV, and as one HTML page with its plots inside. */
#pragma once

#include "base/buf.h"
#include "forecast/backtest.h"

struct tc_report_head {
    const char *command;   /* as it was given */
    const char *inputs;    /* "trades", "seconds", "merged" */
    const char *simulated; /* a sentence when the market was simulated; NULL else */
};

void tc_report_text(const struct tc_backtest *b, const struct tc_report_head *h, struct tc_buf *out);
void tc_report_csv(const struct tc_backtest *b, struct tc_buf *out);
void tc_report_html(const struct tc_backtest *b, const struct tc_report_head *h, struct tc_buf *out);

/* "next", "last+10s", "mid+60s" */
void tc_report_target(enum tc_kind kind, int32_t horizon_ms, char out[static 24]);
