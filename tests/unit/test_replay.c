/* The replay feed over small folders written here: order, faults, gaps, seek, pacing, packed files. */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "feed/replay.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>
#include <zstd.h>
#include <cmocka.h>

#define S TC_NS_PER_SEC
#define MS TC_NS_PER_MS
#define MIDNIGHT (INT64_C(1381118400) * S) /* 7 October 2013, New York, a Monday */
#define DAY (86400 * S)

static char dir[64];
static struct tc_calendar *calendar;

/* ---- files ---- */

static void path_of(const char *name, char out[static 256])
{
    snprintf(out, 256, "%s/%s", dir, name);
    for (char *p = out + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(out, 0777);
        *p = '/';
    }
}

static void write_file(const char *name, const void *bytes, size_t n)
{
    char path[256];
    path_of(name, path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void write_zip_bytes(const char *name, const void *bytes, size_t n)
{
    char path[256];
    path_of(name, path);
    unlink(path);
    zip_t *z = zip_open(path, ZIP_CREATE, NULL);
    assert_non_null(z);
    zip_source_t *source = zip_source_buffer(z, bytes, n, 0);
    assert_true(zip_file_add(z, "data.csv", source, 0) >= 0);
    assert_int_equal(zip_close(z), 0);
}

static void write_zip(const char *name, const char *text)
{
    write_zip_bytes(name, text, strlen(text));
}

static void write_gzip(const char *name, const char *text)
{
    char path[256];
    path_of(name, path);
    gzFile f = gzopen(path, "wb");
    assert_int_equal(gzwrite(f, text, (unsigned)strlen(text)), strlen(text));
    gzclose(f);
}

static void write_zstd(const char *name, const char *text)
{
    char packed[4096];
    size_t n = ZSTD_compress(packed, sizeof(packed), text, strlen(text), 3);
    assert_false(ZSTD_isError(n));
    write_file(name, packed, n);
}

static int setup(void **state)
{
    (void)state;
    tc_log_set_level(TC_LOG_ERROR - 1); /* the faults below are wanted */
    snprintf(dir, sizeof(dir), "/var/tmp/test_replay.XXXXXX");
    return mkdtemp(dir) && tc_calendar_load(TEST_CALENDARS "/xnys.yaml", &calendar) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    tc_calendar_free(calendar);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

/* ---- reading everything ---- */

static struct tc_event events[20000];
static size_t n_events;
static struct tc_feed feed;

static const char *const spy_ibm[] = {"SPY", "IBM"};

static struct tc_replay_conf conf_of(const char *path)
{
    return (struct tc_replay_conf){.path = path,
                                   .symbols = spy_ibm,
                                   .n_symbols = 2,
                                   .from = 20131007,
                                   .to = 20131008,
                                   .speed = INFINITY,
                                   .calendar = calendar};
}

static int read_on(void)
{
    int64_t wait;
    int rc;
    n_events = 0;
    do {
        size_t n = 0;
        rc = feed.ops->next(feed.self, events + n_events, 7, &n, &wait);
        n_events += n;
        assert_true(n_events + 7 < sizeof(events) / sizeof(events[0]));
    } while (rc == TC_OK || rc == TC_AGAIN);
    return rc;
}

static int replay(const struct tc_replay_conf *conf)
{
    int rc = tc_replay_open(conf, &feed);
    if (rc)
        return rc;
    rc = read_on();
    struct tc_feed_health h;
    feed.ops->health(feed.self, &h);
    assert_int_equal(h.state[0], rc == TC_DONE ? 'e' : 'b');
    return rc;
}

static void close_feed(void)
{
    feed.ops->close(feed.self);
}

static size_t count(enum tc_event_type type)
{
    size_t n = 0;
    for (size_t i = 0; i < n_events; i++)
        n += events[i].type == type;
    return n;
}

static const struct tc_event *nth(enum tc_event_type type, size_t k)
{
    for (size_t i = 0; i < n_events; i++)
        if (events[i].type == type && k-- == 0)
            return &events[i];
    fail_msg("there is no such event");
    return NULL;
}

static uint64_t bad_lines(void)
{
    struct tc_feed_health h;
    feed.ops->health(feed.self, &h);
    return h.bad_lines;
}

/* ---- a folder of two days and two symbols ---- */

static void write_lean(const char *root)
{
    static const struct {
        const char *name, *text;
    } files[] = {
        {"tick/spy/20131007_trade.zip", "34200000,1000000,100,P,0,0\n34200500,1000100,5,D,0,0\n"
                                        "34200500,1500000,5,P,0,1\n34201000,1000200,7,Q,0,0\n"},
        {"tick/ibm/20131007_trade.zip", "34200000,2000000,10,N,0,0\n34200499.5,2000100,20,N,0,0\n"},
        {"tick/spy/20131008_trade.zip", "34200000,1010000,100,P,0,0"},
        {"tick/ibm/20131008_trade.zip", "34260000,2010000,100,P,0,0\r\n"},
        {"second/spy/20131007_quote.zip", "34200000,1,1,1,999900,3,1,1,1,1000100,4\n"},
        {"second/spy/20131007_trade.zip", "34200000,1000000,1000100,1000000,1000100,105\n"},
        {"second/ibm/20131007_trade.zip", "34200000,2000000,2000100,2000000,2000100,30\n"},
        {"second/spy/20131008_trade.zip", ""},
        {"second/ibm/20131008_trade.zip", ""},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char name[256];
        snprintf(name, sizeof(name), "%s/equity/usa/%s", root, files[i].name);
        write_zip(name, files[i].text);
    }
}

static void trades_of_all_symbols_come_in_order_of_time(void **state)
{
    (void)state;
    write_lean("lean");
    struct tc_replay_conf conf = conf_of(dir); /* finds lean/equity/usa below it */
    assert_int_equal(replay(&conf), TC_DONE);
    assert_int_equal(count(TC_EVENT_TRADE), 7); /* the suspicious one is left out */
    assert_true(nth(TC_EVENT_TRADE, 0)->sym == 0 && nth(TC_EVENT_TRADE, 1)->sym == 1); /* a tie */
    assert_true(nth(TC_EVENT_TRADE, 2)->time == MIDNIGHT + 34200499 * MS + MS / 2);
    assert_true(nth(TC_EVENT_TRADE, 3)->sym == 0 && nth(TC_EVENT_TRADE, 3)->trade.off_exchange);
    assert_true(nth(TC_EVENT_TRADE, 3)->trade.price == 100.01);
    const struct tc_event *q = nth(TC_EVENT_QUOTE, 0);
    assert_true(q->time == MIDNIGHT + 34201 * S - 1 && q->quote.bid == 99.99 && q->quote.ask_size == 4);
    int64_t last = INT64_MIN, mark = INT64_MIN;
    for (size_t i = 0; i < n_events; i++) {
        assert_true(events[i].time >= last && events[i].time >= mark);
        last = events[i].time;
        if (events[i].type == TC_EVENT_WATERMARK)
            mark = events[i].time;
        else
            assert_true(events[i].time < mark + S); /* no event before its second's watermark */
    }
    assert_true(feed.quotes_always_fresh && feed.world == TC_WORLD_REPLAY && feed.live_from == INT64_MAX);
    close_feed();
}

static void merged_gives_vendor_bars_at_their_start_after_the_trades(void **state)
{
    (void)state;
    write_lean("lean");
    struct tc_replay_conf conf = conf_of(dir);
    conf.to = 20131007;
    conf.bars_from = TC_BARS_FROM_MERGED;
    assert_int_equal(replay(&conf), TC_DONE);
    assert_int_equal(count(TC_EVENT_BAR), 2);
    assert_int_equal(count(TC_EVENT_TRADE), 5);
    const struct tc_event *b = nth(TC_EVENT_BAR, 0);
    assert_true(b->time == MIDNIGHT + 34200 * S && b->bar.close == 100.01 && b->bar.volume == 105);
    assert_true(isnan(b->bar.vwap) && b->bar.trades == 0);
    assert_true(b > nth(TC_EVENT_TRADE, 3) && b < nth(TC_EVENT_TRADE, 4));
    close_feed();
    conf.bars_from = TC_BARS_FROM_SECONDS;
    assert_int_equal(replay(&conf), TC_DONE);
    assert_true(count(TC_EVENT_BAR) == 2 && count(TC_EVENT_TRADE) == 0);
    close_feed();
}

static void symbols_and_days_are_found_when_none_are_named(void **state)
{
    (void)state;
    write_lean("lean");
    struct tc_replay_conf conf = {.path = dir, .speed = INFINITY, .calendar = calendar};
    assert_int_equal(replay(&conf), TC_DONE);
    assert_int_equal(feed.n_symbols, 2);
    assert_string_equal(feed.symbols[0], "IBM");
    assert_string_equal(feed.symbols[1], "SPY");
    assert_int_equal(count(TC_EVENT_TRADE), 7);
    close_feed();
    static const char *const unknown[] = {"XYZ"};
    conf.symbols = unknown;
    conf.n_symbols = 1;
    assert_int_equal(tc_replay_open(&conf, &feed), TC_ENOTFOUND);
    assert_non_null(strstr(tc_error(), "XYZ"));
    static const char *const outside[] = {"../../../etc"};
    conf.symbols = outside;
    assert_int_equal(tc_replay_open(&conf, &feed), TC_ENOTFOUND);
    conf = conf_of(dir);
    conf.from = conf.to = 20140101;
    assert_int_equal(tc_replay_open(&conf, &feed), TC_ENOTFOUND);
    conf.path = "/nonexistent";
    assert_int_equal(tc_replay_open(&conf, &feed), TC_ENOTFOUND);
}

static void bad_lines_are_skipped_and_counted_or_refused_with_file_and_line(void **state)
{
    (void)state;
    char long_line[6000];
    memset(long_line, '7', sizeof(long_line) - 1);
    long_line[sizeof(long_line) - 1] = '\0';
    char text[8000];
    snprintf(
        text, sizeof(text),
        "34200000,1000000,100,P,0,0\nrubbish\n34202000,1000000,100,P,0,0\n34201000,1000000,100,P,0,0\n%s\n"
        "34203000,1000000,100,P,0,0\n",
        long_line);
    write_lean("bad");
    write_zip("bad/equity/usa/tick/spy/20131007_trade.zip", text);
    char root[128];
    snprintf(root, sizeof(root), "%s/bad", dir);
    struct tc_replay_conf conf = conf_of(root);
    conf.to = 20131007;
    assert_int_equal(replay(&conf), TC_DONE);
    assert_int_equal(bad_lines(), 3);
    assert_int_equal(count(TC_EVENT_TRADE), 5);
    assert_int_equal(count(TC_EVENT_GAP), 0);
    close_feed();
    conf.on_error = TC_ON_ERROR_REFUSE;
    assert_int_equal(replay(&conf), TC_EINPUT);
    assert_non_null(strstr(tc_error(), "bad/equity/usa/tick/spy/20131007_trade.zip line 2: field 1"));
    size_t n;
    int64_t wait;
    assert_int_equal(feed.ops->next(feed.self, events, 10, &n, &wait), TC_EINPUT); /* stays broken */
    close_feed();
}

static void flip_byte(const char *name, long from_end)
{
    char path[256];
    path_of(name, path);
    FILE *f = fopen(path, "r+b");
    fseek(f, from_end < 0 ? from_end : from_end, from_end < 0 ? SEEK_END : SEEK_SET);
    int c = fgetc(f);
    fseek(f, -1, SEEK_CUR);
    fputc(c ^ 0x55, f);
    fclose(f);
}

static void a_damaged_file_is_a_gap_or_refused(void **state)
{
    (void)state;
    char root[128], text[60000];
    size_t n = 0;
    for (int i = 0; i < 1500; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%d,%d,100,P,0,0\n",
                              34200000 + i * 1000 + i * i % 977, 1000000 + i * i % 991);
    write_lean("damaged");
    write_zip("damaged/equity/usa/tick/spy/20131007_trade.zip", text);
    flip_byte("damaged/equity/usa/tick/spy/20131007_trade.zip", 3000);
    write_file("damaged/equity/usa/tick/ibm/20131007_trade.zip", "no zip at all", 13);
    snprintf(root, sizeof(root), "%s/damaged", dir);
    struct tc_replay_conf conf = conf_of(root);
    conf.to = 20131007;
    assert_int_equal(replay(&conf), TC_DONE);
    assert_true(bad_lines() >= 2);
    assert_int_equal(count(TC_EVENT_GAP), 2);
    const struct tc_event *g = nth(TC_EVENT_GAP, 0);
    assert_true(g->sym == 1 && g->time == MIDNIGHT + 34200 * S && g->gap.end == MIDNIGHT + 57600 * S);
    assert_string_equal(g->gap.reason, "damaged_file");
    g = nth(TC_EVENT_GAP, 1);
    assert_true(g->sym == 0 && g->time % S == 0 && g->time >= MIDNIGHT + 34200 * S);
    close_feed();
    conf.on_error = TC_ON_ERROR_REFUSE;
    assert_int_equal(replay(&conf), TC_EINPUT);
    assert_non_null(strstr(tc_error(), "20131007_trade.zip"));
    close_feed();
}

static void a_missing_day_is_a_gap_or_refused_and_a_closed_day_is_not_missing(void **state)
{
    (void)state;
    char root[128], path[256];
    write_lean("missing");
    snprintf(root, sizeof(root), "%s/missing", dir);
    path_of("missing/equity/usa/tick/ibm/20131007_trade.zip", path);
    unlink(path);
    struct tc_replay_conf conf = conf_of(root);
    conf.from = 20131005; /* a Saturday */
    conf.to = 20131009;   /* a Wednesday without files */
    assert_int_equal(replay(&conf), TC_DONE);
    assert_int_equal(count(TC_EVENT_GAP), 2);
    assert_true(nth(TC_EVENT_GAP, 0)->sym == 1 && nth(TC_EVENT_GAP, 1)->sym == UINT32_MAX);
    assert_true(nth(TC_EVENT_GAP, 1)->time == MIDNIGHT + 2 * DAY + 34200 * S);
    assert_string_equal(nth(TC_EVENT_GAP, 1)->gap.reason, "missing_day");
    close_feed();
    conf.on_error = TC_ON_ERROR_REFUSE;
    assert_int_equal(replay(&conf), TC_ENOTFOUND);
    assert_non_null(strstr(tc_error(), "20131007_trade.zip is missing"));
    close_feed();
}

static void a_seek_goes_on_after_any_watermark(void **state)
{
    (void)state;
    static struct tc_event all[200];
    write_lean("lean");
    struct tc_replay_conf conf = conf_of(dir);
    conf.to = 20131009; /* with a missing day */
    assert_int_equal(replay(&conf), TC_DONE);
    size_t n = n_events;
    assert_true(n < 200);
    memcpy(all, events, n * sizeof(*all));
    struct tc_feed_cursor last;
    feed.ops->cursor(feed.self, &last);
    close_feed();
    for (size_t i = 0; i < n; i++) {
        if (all[i].type != TC_EVENT_WATERMARK)
            continue;
        assert_int_equal(tc_replay_open(&conf, &feed), 0);
        assert_int_equal(feed.ops->seek(feed.self, &all[i].cursor), 0);
        assert_int_equal(read_on(), TC_DONE);
        size_t k = 0;
        for (size_t j = i + 1; j < n; j++) {
            if (all[j].type == TC_EVENT_WATERMARK)
                continue;
            while (k < n_events && events[k].type == TC_EVENT_WATERMARK)
                k++;
            assert_true(k < n_events && events[k].time == all[j].time && events[k].type == all[j].type);
            k++;
        }
        assert_int_equal(k, n_events);
        close_feed();
    }
    assert_int_equal(tc_replay_open(&conf, &feed), 0);
    assert_int_equal(feed.ops->seek(feed.self, &last), 0);
    assert_int_equal(read_on(), TC_DONE);
    assert_int_equal(n_events, 0);
    close_feed();
    last.index += 1000;
    assert_int_equal(tc_replay_open(&conf, &feed), 0);
    int rc = feed.ops->seek(feed.self, &last);
    assert_int_equal(rc ? rc : read_on(), TC_EINPUT); /* the files have changed */
    close_feed();
}

static void an_end_behind_closed_days_is_found_again(void **state)
{
    (void)state;
    char path[256];
    path_of("weekend/x", path);
    *strrchr(path, '/') = '\0';
    write_zip("weekend/equity/usa/tick/spy/20131004_trade.zip", "34200000,1000000,100,P,0,0\n");
    write_zip("weekend/equity/usa/tick/ibm/20131004_trade.zip", "34200000,1000000,100,P,0,0\n");
    struct tc_replay_conf conf = conf_of(path);
    conf.from = 20131004; /* a Friday */
    conf.to = 20131006;
    assert_int_equal(replay(&conf), TC_DONE);
    struct tc_feed_cursor last;
    feed.ops->cursor(feed.self, &last);
    close_feed();
    assert_int_equal(tc_replay_open(&conf, &feed), 0);
    assert_int_equal(feed.ops->seek(feed.self, &last), 0);
    assert_int_equal(read_on(), TC_DONE);
    assert_int_equal(n_events, 0);
    close_feed();
}

static const char csv_trades[] = "time,symbol,price,size,suspicious\n"
                                 "2013-10-07T13:30:00Z,SPY,100,5,0\n"
                                 "2013-10-07T13:30:00.5Z,IBM,200,6,0\n"
                                 "2013-10-07T13:30:00.7Z,AIG,50,6,0\n"
                                 "2013-10-07T13:30:00.8Z,SPY,150,6,1\n"
                                 "2013-10-09T13:30:01Z,SPY,101,7,0\n";

static void check_csv(const char *name)
{
    char path[256];
    path_of(name, path);
    struct tc_replay_conf conf = conf_of(path);
    conf.to = 20131010;
    assert_int_equal(replay(&conf), TC_DONE);
    assert_int_equal(count(TC_EVENT_TRADE), 3);
    assert_true(nth(TC_EVENT_TRADE, 1)->sym == 1 && nth(TC_EVENT_TRADE, 1)->trade.price == 200);
    assert_int_equal(count(TC_EVENT_GAP), 2); /* the 8th before the 9th, the 10th at the end */
    assert_true(nth(TC_EVENT_GAP, 0) < nth(TC_EVENT_TRADE, 2));
    assert_true(nth(TC_EVENT_GAP, 0)->time == MIDNIGHT + DAY + 34200 * S);
    assert_int_equal(feed.bars_from, TC_BARS_FROM_TRADES);
    close_feed();
}

static void csv_files_may_be_packed(void **state)
{
    (void)state;
    write_file("c/plain.csv", csv_trades, sizeof(csv_trades) - 1);
    write_gzip("c1/packed.csv.gz", csv_trades);
    write_zstd("c2/packed.csv.zst", csv_trades);
    check_csv("c/plain.csv");
    check_csv("c");
    check_csv("c1/packed.csv.gz");
    check_csv("c2");
    char path[256];
    path_of("c2/packed.csv.zst", path);
    assert_int_equal(truncate(path, 60), 0);
    struct tc_replay_conf conf = conf_of(path);
    conf.on_error = TC_ON_ERROR_REFUSE;
    int rc = tc_replay_open(&conf, &feed);
    if (!rc) {
        rc = read_on();
        close_feed();
    }
    assert_int_equal(rc, TC_EINPUT);
}

static void csv_bars_bring_their_quotes_and_set_the_mode(void **state)
{
    (void)state;
    static const char bars[] = "start,open,high,low,close,volume,vwap,trades,bid,ask,bid_size,ask_size\n"
                               "1381152600,10,11,9,10.5,100,10.2,3,10.4,10.6,1,2\n"
                               "1381152601,10,11,9,10.5,100,,,,,,\n";
    static const char *const spy[] = {"SPY"};
    char path[256];
    write_file("bars/spy.csv", bars, sizeof(bars) - 1);
    path_of("bars", path);
    struct tc_replay_conf conf = conf_of(path);
    assert_int_equal(tc_replay_open(&conf, &feed), TC_ECONF); /* no column symbol, two symbols */
    conf.symbols = spy;
    conf.n_symbols = 1;
    conf.to = 20131007;
    assert_int_equal(replay(&conf), TC_DONE);
    assert_int_equal(feed.bars_from, TC_BARS_FROM_SECONDS);
    assert_true(count(TC_EVENT_BAR) == 2 && count(TC_EVENT_QUOTE) == 1);
    assert_true(nth(TC_EVENT_QUOTE, 0)->time == MIDNIGHT + 34201 * S - 1);
    assert_true(nth(TC_EVENT_BAR, 0)->bar.vwap == 10.2 && isnan(nth(TC_EVENT_BAR, 1)->bar.vwap));
    close_feed();
    conf.bars_from = TC_BARS_FROM_MERGED;
    assert_int_equal(tc_replay_open(&conf, &feed), TC_ECONF);
}

static void a_paced_replay_keeps_time_and_lets_empty_seconds_pass(void **state)
{
    (void)state;
    static const char text[] = "time,symbol,price,size\n"
                               "2013-10-07T13:30:00Z,SPY,100,5\n"
                               "2013-10-07T13:30:10Z,SPY,101,5\n";
    char path[256];
    write_file("paced/a.csv", text, sizeof(text) - 1);
    path_of("paced/a.csv", path);
    struct tc_replay_conf conf = conf_of(path);
    conf.to = 20131007;
    conf.speed = 50;
    assert_int_equal(tc_replay_open(&conf, &feed), 0);
    int64_t from = tc_mono_ns();
    n_events = 0;
    for (;;) {
        size_t n = 0;
        int64_t wait;
        int rc = feed.ops->next(feed.self, events + n_events, 8, &n, &wait);
        n_events += n;
        if (rc == TC_DONE)
            break;
        if (rc == TC_AGAIN)
            tc_sleep_until_mono(tc_mono_ns() + wait);
    }
    int64_t took = tc_mono_ns() - from;
    assert_true(took >= 199 * MS && took < 5 * S);
    assert_int_equal(count(TC_EVENT_TRADE), 2);
    /* One watermark a second; a machine that wakes us late gives one for several. */
    size_t marks = count(TC_EVENT_WATERMARK);
    assert_true(marks >= 3 && marks <= 11);
    for (size_t i = 1; i < marks; i++)
        assert_true(nth(TC_EVENT_WATERMARK, i)->time > nth(TC_EVENT_WATERMARK, i - 1)->time);
    assert_true(nth(TC_EVENT_WATERMARK, marks - 1)->time == nth(TC_EVENT_TRADE, 1)->time);
    close_feed();
}

static void a_finished_replay_stands_at_its_end(void **state)
{
    (void)state;
    write_lean("finished");
    char root[128];
    snprintf(root, sizeof(root), "%s/finished", dir);
    struct tc_replay_conf conf = conf_of(root);
    assert_int_equal(tc_replay_open(&conf, &feed), 0);
    struct tc_feed_health h;
    feed.ops->health(feed.self, &h);
    assert_string_equal(h.state, "reading");
    feed.ops->finish(feed.self);
    feed.ops->health(feed.self, &h);
    assert_string_equal(h.state, "ended");
    size_t n;
    int64_t wait;
    assert_int_equal(feed.ops->next(feed.self, events, 100, &n, &wait), TC_DONE);
    close_feed();
}

static void a_speed_beyond_all_measure_is_full_speed(void **state)
{
    (void)state;
    write_lean("fast");
    char root[128];
    snprintf(root, sizeof(root), "%s/fast", dir);
    struct tc_replay_conf conf = conf_of(root);
    conf.speed = 1e300;
    assert_int_equal(tc_replay_open(&conf, &feed), 0);
    int64_t wait, until = tc_mono_ns() + 2 * S;
    size_t n = 0, trades = 0;
    int rc = TC_AGAIN;
    while (rc != TC_DONE && tc_mono_ns() < until) {
        rc = feed.ops->next(feed.self, events, 100, &n, &wait);
        for (size_t i = 0; i < n; i++)
            trades += events[i].type == TC_EVENT_TRADE;
    }
    assert_int_equal(rc, TC_DONE);
    assert_int_equal(trades, 7);
    close_feed();
}

static void hours_outside_the_session_are_not_waited_for(void **state)
{
    (void)state;
    static const char text[] = "time,symbol,price,size\n"
                               "2013-10-07T08:00:00Z,SPY,100,5\n"
                               "2013-10-07T13:00:00Z,SPY,101,5\n"
                               "2013-10-07T22:00:00Z,SPY,102,5\n"
                               "2013-10-08T08:00:00Z,SPY,102,5\n";
    char path[256];
    write_file("hours/a.csv", text, sizeof(text) - 1);
    path_of("hours/a.csv", path);
    struct tc_replay_conf conf = conf_of(path);
    conf.speed = 1;
    int64_t from = tc_mono_ns();
    assert_int_equal(replay(&conf), TC_DONE);
    assert_true(tc_mono_ns() - from < 5 * S);
    assert_int_equal(count(TC_EVENT_TRADE), 4);
    close_feed();
}

static void a_file_that_unpacks_without_end_is_refused(void **state)
{
    (void)state;
    size_t n = (size_t)80 << 20;
    char *zeros = calloc(1, n), root[128];
    assert_non_null(zeros);
    memset(zeros, '\n', n);
    write_lean("bomb");
    write_zip_bytes("bomb/equity/usa/tick/spy/20131007_trade.zip", zeros, n);
    free(zeros);
    snprintf(root, sizeof(root), "%s/bomb", dir);
    struct tc_replay_conf conf = conf_of(root);
    conf.to = 20131007;
    assert_int_equal(replay(&conf), TC_DONE);
    assert_int_equal(count(TC_EVENT_GAP), 1);
    close_feed();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trades_of_all_symbols_come_in_order_of_time),
        cmocka_unit_test(merged_gives_vendor_bars_at_their_start_after_the_trades),
        cmocka_unit_test(symbols_and_days_are_found_when_none_are_named),
        cmocka_unit_test(bad_lines_are_skipped_and_counted_or_refused_with_file_and_line),
        cmocka_unit_test(a_damaged_file_is_a_gap_or_refused),
        cmocka_unit_test(a_missing_day_is_a_gap_or_refused_and_a_closed_day_is_not_missing),
        cmocka_unit_test(a_seek_goes_on_after_any_watermark),
        cmocka_unit_test(an_end_behind_closed_days_is_found_again),
        cmocka_unit_test(csv_files_may_be_packed),
        cmocka_unit_test(csv_bars_bring_their_quotes_and_set_the_mode),
        cmocka_unit_test(a_paced_replay_keeps_time_and_lets_empty_seconds_pass),
        cmocka_unit_test(a_finished_replay_stands_at_its_end),
        cmocka_unit_test(a_speed_beyond_all_measure_is_full_speed),
        cmocka_unit_test(hours_outside_the_session_are_not_waited_for),
        cmocka_unit_test(a_file_that_unpacks_without_end_is_refused),
    };
    return cmocka_run_group_tests_name("replay", tests, setup, teardown);
}
