/* show.h - what the parts of `tickcast show` share. */
#pragma once

#include "app/table.h"
#include "market/calendar.h"
#include "store/store.h"

enum tc_show_form { TC_SHOW_TABLE, TC_SHOW_JSON, TC_SHOW_CSV };

struct tc_show {
    const struct tc_store *store;
    const struct tc_calendar *calendar; /* of the exchange; days are its days */
    bool utc;                           /* tables show UTC in place of exchange time */
    enum tc_show_form form;
    const char *symbol, *model; /* NULL = all */
    struct tc_range range;
    int32_t from_day, to_day; /* scores and quality: both included */
    bool by_day;              /* scores: one row a day */
    struct tc_table table;
    struct tc_buf json;
};

/* Each prints its rows and returns TC_OK or an error. */
int tc_show_bars(struct tc_show *s);
int tc_show_forecasts(struct tc_show *s);
int tc_show_outcomes(struct tc_show *s);
int tc_show_gaps(struct tc_show *s);
int tc_show_quality(struct tc_show *s);
int tc_show_scores(struct tc_show *s);
int tc_show_jobs(struct tc_show *s);
int tc_show_alerts(struct tc_show *s);
int tc_show_reconciled(struct tc_show *s);
int tc_show_flags(struct tc_show *s);
int tc_show_report(struct tc_show *s);
int tc_show_status(struct tc_show *s);

/* One JSON object on a line of its own. */
int tc_show_json(struct tc_show *s, const struct tc_record *row);
/* A time as a cell: nanoseconds in CSV, else the chosen clock. */
void tc_show_time(struct tc_show *s, int64_t t);
