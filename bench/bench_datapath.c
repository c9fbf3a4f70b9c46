/* The data path without log and store: files -> lines -> events in order -> second bars, on one thread.
 *
 *   bench_datapath PATH DAY SYMBOL...     (DAY as 20131007; PATH in LEAN form)
 *
 * Prints one JSON line: trades, bars, and the seconds of wall time for reading alone (feed) and for reading
 * and aggregating (bars), each the best of the rounds. bench/datapath.py runs it beside its peers.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "base/path.h"
#include "feed/replay.h"
#include "market/bars.h"
#include "market/calendar.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { EVENTS = 1024, ROUNDS = 3 };

struct result {
    int64_t trades, bars;
    double seconds;
};

static struct tc_event events[EVENTS];

static int64_t advance(struct tc_bars *b, int64_t watermark, uint32_t n_symbols)
{
    struct tc_bar bar;
    int64_t bars = 0;
    while (tc_bars_open_second(b) < watermark) {
        tc_bars_close_second(b);
        for (uint32_t i = 0; i < n_symbols; i++)
            bars += tc_bars_closed_bar(b, i, watermark, &bar);
    }
    return bars;
}

static void aggregate(struct tc_bars *b, const struct tc_event *e, uint32_t n_symbols, struct result *out)
{
    if (e->type == TC_EVENT_TRADE)
        tc_bars_trade(b, e->sym, e->time, &e->trade);
    else if (e->type == TC_EVENT_QUOTE)
        tc_bars_quote(b, e->sym, e->time, &e->quote);
    else if (e->type == TC_EVENT_WATERMARK && e->cursor.index == 0)
        tc_bars_start_day(b, e->time);
    else if (e->type == TC_EVENT_WATERMARK)
        out->bars += advance(b, e->time, n_symbols);
}

static int run(const struct tc_replay_conf *conf, bool with_bars, struct result *out)
{
    struct tc_feed feed;
    struct tc_bars *bars = NULL;
    int64_t from = tc_mono_ns(), wait;
    int rc = tc_replay_open(conf, &feed);
    if (rc)
        return rc;
    struct tc_bars_conf bars_conf = {feed.n_symbols, (const char(*)[TC_SYMBOL_SIZE])feed.symbols,
                                     "replay",       TC_ORIGIN_REPLAY,
                                     feed.bars_from, true};
    rc = tc_bars_open(&bars_conf, &bars);
    *out = (struct result){0};
    size_t n;
    while (!rc && (rc = feed.ops->next(feed.self, events, EVENTS, &n, &wait)) == TC_OK) {
        for (size_t i = 0; i < n; i++) {
            out->trades += events[i].type == TC_EVENT_TRADE;
            if (with_bars)
                aggregate(bars, &events[i], feed.n_symbols, out);
        }
    }
    if (rc == TC_DONE && with_bars)
        out->bars += advance(bars, tc_bars_open_second(bars) + TC_NS_PER_SEC, feed.n_symbols);
    out->seconds = (double)(tc_mono_ns() - from) / TC_NS_PER_SEC;
    tc_bars_close(bars);
    feed.ops->close(feed.self);
    return rc == TC_DONE ? TC_OK : rc;
}

static int best_of(const struct tc_replay_conf *conf, bool with_bars, struct result *out)
{
    out->seconds = INFINITY;
    for (int i = 0; i < ROUNDS; i++) {
        struct result r;
        int rc = run(conf, with_bars, &r);
        if (rc)
            return rc;
        if (r.seconds < out->seconds)
            *out = r;
    }
    return TC_OK;
}

int main(int argc, char **argv)
{
    struct tc_calendar *calendar = NULL;
    int64_t day;
    if (argc < 4 || !tc_parse_int(argv[2], 8, &day)) {
        fprintf(stderr, "usage: bench_datapath PATH YYYYMMDD SYMBOL...\n");
        return 2;
    }
    char path[1024];
    int rc = tc_data_path("calendars/xnys.yaml", path, sizeof(path));
    if (!rc)
        rc = tc_calendar_load(path, &calendar);
    struct tc_replay_conf conf = {
        .path = argv[1],
        .symbols = (const char *const *)argv + 3,
        .n_symbols = (size_t)argc - 3,
        .from = (int32_t)day,
        .to = (int32_t)day,
        .speed = INFINITY,
        .calendar = calendar,
    };
    struct result feed, bars;
    if (!rc)
        rc = best_of(&conf, false, &feed);
    if (!rc)
        rc = best_of(&conf, true, &bars);
    if (rc) {
        fprintf(stderr, "%s\n", tc_error());
        return 1;
    }
    printf("{\"trades\":%lld,\"bars\":%lld,\"feed_s\":%.4f,\"bars_s\":%.4f}\n", (long long)bars.trades,
           (long long)bars.bars, feed.seconds, bars.seconds);
    tc_calendar_free(calendar);
    return 0;
}
