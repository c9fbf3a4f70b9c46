/* live.h - the newest values of every symbol, kept by the role's thread from the bus and copied out by any
 * other under a short lock. Symbols past the capacity are not shown (counted in
 * tickcast_serve_rejected_total).
 */
#pragma once

#include "bus/record.h"
#include "serve/serve.h"

enum { TC_SPARK = 60, TC_LIVE_SYMBOLS = 8192 };

struct tc_live_point { /* of the first model, or of the first that spoke */
    bool known, gate_open;
    double value, lo, hi;
};

struct tc_live_symbol {
    char symbol[TC_SYMBOL_SIZE], feed[TC_FEED_SIZE];
    const struct tc_calendar *calendar;
    int32_t day;                   /* of the fields that are reset each day */
    int64_t session_open;          /* of that day; INT64_MAX on a closed day */
    int64_t last_start, last_time; /* of the newest bar: start and end */
    double last, open, volume;     /* open: first price of the regular session, NaN before it */
    struct tc_quote quote;
    uint32_t n_spark; /* closes of the last traded seconds; the newest is at (n_spark - 1) % TC_SPARK */
    double spark[TC_SPARK];
    bool preferred; /* the points below are those of the first model */
    struct tc_live_point next, last60;
};

struct tc_live_totals {
    int64_t bars, revised, late, gaps, forecasts; /* since start */
    int64_t gaps_day;                             /* gaps of the newest day */
    int64_t data_time;                            /* end of the newest bar; 0 = none */
    int64_t second;                               /* newest second marker; 0 = none */
    int32_t day;
    bool healthy; /* by that marker */
    bool ended;   /* the last thing in topic bars is the end of the source */
};

struct tc_live;

int tc_live_open(const struct tc_server_conf *conf, struct tc_live **out);
void tc_live_close(struct tc_live *l); /* takes NULL */

/* Role's thread, before the first record: nothing older than `begin` will be given. A day that began before
 * it gets neither its first price nor its volume. */
void tc_live_begin(struct tc_live *l, int64_t begin);
/* Role's thread. */
void tc_live_take(struct tc_live *l, const struct tc_record *r);

/* Any thread. The copy is the caller's to free; rising by name. */
int tc_live_copy(struct tc_live *l, struct tc_live_symbol **out, size_t *n);
void tc_live_totals(struct tc_live *l, struct tc_live_totals *out);
/* Whether the model is open for this target: 1, 0, or -1 when it never spoke. "*" = any symbol. */
int tc_live_gate(struct tc_live *l, const char *symbol, const char *model, enum tc_kind kind,
                 int32_t horizon_ms);
bool tc_live_knows(struct tc_live *l, const char *symbol);
