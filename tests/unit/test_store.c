#include "base/clock.h"
#include "base/err.h"
#include "base/rng.h"
#include "store/cassandra.h"
#include "store/store.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#define T0 INT64_C(1381152600000000000)
#define SEC TC_NS_PER_SEC

struct folder {
    char dir[64], path[96];
    struct tc_store store;
};

/* With TICKCAST_TEST_CASSANDRA=HOST[:PORT] the same tests run over a real Cassandra; what only a SQLite file
 * has is skipped there. */
static const char *cassandra_node;
#define ONLY_SQLITE     \
    if (cassandra_node) \
        skip();

static struct tc_cassandra_conf cassandra_conf(void)
{
    return (struct tc_cassandra_conf){.cql = {.contacts = &cassandra_node,
                                              .n_contacts = 1,
                                              .user = "cassandra",
                                              .password = "cassandra",
                                              .lz4 = true,
                                              .read = TC_CQL_ONE,
                                              .write = TC_CQL_ONE,
                                              .connect_timeout_ns = 20 * SEC,
                                              .attempt_timeout_ns = 20 * SEC,
                                              .request_timeout_ns = 120 * SEC,
                                              .in_flight = 256},
                                      .keyspace = "storetest",
                                      .replication = "1"};
}

static void empty_tables(void)
{
    static const char *const tables[] = {"bars",      "bar_revisions", "quotes",   "gaps",       "feeds",
                                         "quality",   "forecasts",     "outcomes", "score_sums", "snapshots",
                                         "positions", "symbols",       "models"};
    static struct tc_cql_statements none;
    struct tc_cassandra_conf conf = cassandra_conf();
    struct tc_cql_client *c;
    if (tc_cql_client_open(&conf.cql, &none, &c) != TC_OK)
        fail_msg("%s", tc_error());
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        char cql[80];
        snprintf(cql, sizeof(cql), "TRUNCATE storetest_replay.%s", tables[i]);
        if (tc_cql_execute(c, cql, NULL, NULL) != TC_OK)
            fail_msg("%s", tc_error());
    }
    (void)tc_cql_execute(c, "DELETE FROM storetest_replay.meta WHERE name = 'ended:bars'", NULL, NULL);
    (void)tc_cql_execute(c, "DELETE FROM storetest_replay.meta WHERE name = 'ended:forecasts'", NULL, NULL);
    tc_cql_client_close(c);
}

static void open_store(struct folder *f)
{
    struct tc_cassandra_conf conf = cassandra_conf();
    int rc = cassandra_node ? tc_cassandra_open(&conf, TC_WORLD_REPLAY, &f->store)
                            : tc_sqlite_open(f->path, TC_WORLD_REPLAY, &f->store);
    if (rc != TC_OK)
        fail_msg("%s", tc_error());
}

static struct folder *open_folder(void)
{
    struct folder *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    snprintf(f->dir, sizeof(f->dir), "/tmp/tc-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/tickcast.db", f->dir);
    if (cassandra_node)
        empty_tables();
    open_store(f);
    return f;
}

static void close_folder(struct folder *f)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    f->store.ops->close(f->store.self);
    for (int i = 0; i < 3; i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s%s", f->path, tails[i]);
        unlink(path);
    }
    rmdir(f->dir);
    free(f);
}

/* Runs SQL on a connection of its own and returns the first value as text ("" when none). */
static char *sql_value(const struct folder *f, const char *sql, char out[static 512])
{
    sqlite3 *db;
    sqlite3_stmt *st;
    out[0] = '\0';
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0))
        snprintf(out, 512, "%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    sqlite3_close(db);
    return out;
}

static void expect_sql(const struct folder *f, const char *sql, const char *value)
{
    char got[512];
    if (cassandra_node)
        return;
    assert_string_equal(sql_value(f, sql, got), value);
}

static struct tc_record make_bar(const char *symbol, int64_t start, double close)
{
    struct tc_record r = {.type = TC_REC_BAR, .from = -1};
    struct tc_bar *b = &r.bar;
    snprintf(b->symbol, sizeof(b->symbol), "%s", symbol);
    strcpy(b->feed, "lean");
    b->start = start;
    b->available = start + SEC;
    b->interval_ms = 1000;
    b->trades = 3;
    b->open = close - 0.01;
    b->high = close + 0.02;
    b->low = close - 0.02;
    b->close = close;
    b->vwap = close + 0.003;
    b->volume = 100;
    b->quote = (struct tc_quote){close - 0.01, close + 0.01, 3, 4};
    b->quote_lag_ms = 12.5;
    b->tape = (struct tc_tape){1, 2, 3, 4, 5, 6, 7};
    b->origin = TC_ORIGIN_REPLAY;
    return r;
}

static struct tc_record make_forecast(const char *symbol, const char *model, int64_t origin)
{
    struct tc_record r = {.type = TC_REC_FORECAST, .from = 4};
    struct tc_forecast *f = &r.forecast;
    snprintf(f->symbol, sizeof(f->symbol), "%s", symbol);
    snprintf(f->model, sizeof(f->model), "%s", model);
    strcpy(f->inputs, "T14");
    strcpy(f->kernel, "avx2");
    f->origin_time = origin;
    f->issued = origin + 5;
    f->day = 20131007;
    f->flags = TC_FLAG_COLD;
    f->reference = 168.86;
    f->reference_mid = NAN;
    f->n_points = 2;
    f->points[0] = (struct tc_point){TC_KIND_NEXT, 0, 0, 168.5, 168.25, 168.75, NAN, NAN, NAN, true};
    f->points[1] =
        (struct tc_point){TC_KIND_MID, 10000, origin + 10 * SEC, 0.1 + 0.2, -1, NAN, 0.1, 0.7, 0.2, false};
    return r;
}

static struct tc_record make_outcome(const char *symbol, int64_t origin)
{
    struct tc_record r = {.type = TC_REC_OUTCOME, .from = -1};
    struct tc_outcome *o = &r.outcome;
    snprintf(o->symbol, sizeof(o->symbol), "%s", symbol);
    o->origin_time = origin;
    o->day = 20131007;
    o->n_values = 2;
    o->values[0] = (struct tc_outcome_value){TC_KIND_NEXT, 0, origin + 3 * SEC, 168.87};
    o->values[1] = (struct tc_outcome_value){TC_KIND_LAST, 60000, origin + 60 * SEC, NAN};
    return r;
}

static struct tc_store_counts put(struct folder *f, enum tc_topic topic, const struct tc_record *r, size_t n,
                                  int64_t position)
{
    int64_t offsets[512];
    struct tc_store_counts c = {0};
    assert_true(n <= 512);
    for (size_t i = 0; i < n; i++)
        offsets[i] = position - (int64_t)n + (int64_t)i;
    int rc = f->store.ops->put(f->store.self, "store", topic, position, r, offsets, n, &c);
    if (rc != TC_OK)
        fail_msg("put: %s", tc_error());
    return c;
}

static void expect_counts(struct tc_store_counts c, uint64_t inserted, uint64_t superseded,
                          uint64_t duplicate)
{
    if (cassandra_node) { /* cannot tell what was there */
        assert_int_equal(c.inserted, inserted + superseded + duplicate);
        return;
    }
    assert_int_equal(c.inserted, inserted);
    assert_int_equal(c.superseded, superseded);
    assert_int_equal(c.duplicate, duplicate);
}

struct rows {
    struct tc_record *at;
    size_t n, stop_after;
};

enum { ROWS_MAX = 4096 };

static int keep(void *ctx, const struct tc_record *row)
{
    struct rows *k = ctx;
    if (!k->at)
        k->at = calloc(ROWS_MAX, sizeof(*k->at));
    assert_non_null(k->at);
    assert_true(k->n < ROWS_MAX);
    k->at[k->n++] = *row;
    return k->stop_after && k->n == k->stop_after ? 77 : 0;
}

static struct tc_range all_of(const char *symbol)
{
    return (struct tc_range){.symbol = symbol, .from = INT64_MIN, .to = INT64_MAX, .interval_ms = 1000};
}

static struct rows bars_of(struct folder *f, struct tc_range q)
{
    struct rows k = {0};
    int rc = f->store.ops->bars(f->store.self, &q, keep, &k);
    if (rc != TC_OK)
        fail_msg("bars: %s", tc_error());
    return k;
}

static void same_bits(double a, double b)
{
    if (isnan(a) && isnan(b))
        return;
    assert_memory_equal(&a, &b, sizeof(a));
}

/* SQLite keeps whole numbers of REAL columns as integers: a column cannot hold the sign of minus zero. */
static void same_column(double a, double b)
{
    same_bits(a == 0 ? 0.0 : a, b == 0 ? 0.0 : b);
}

/* --- what is written reads back --------------------------------------------------------------------------
 */

static double any_double(struct tc_rng *g)
{
    static const double odd[] = {0.0,       -0.0, 0x1p-1074, 1.7976931348623157e308,
                                 0.1 + 0.2, 1e23, -5,        9007199254740991};
    uint64_t pick = tc_rng_below(g, 40);
    if (pick < 8)
        return odd[pick];
    if (pick < 20)
        return tc_rng_normal(g) * 1000;
    union {
        uint64_t bits;
        double v;
    } u = {.bits = tc_rng_next(g)};
    return isfinite(u.v) ? u.v : NAN;
}

static void same_bar(const struct tc_bar *a, const struct tc_bar *b)
{
    assert_string_equal(a->symbol, b->symbol);
    assert_string_equal(a->feed, b->feed);
    assert_true(a->start == b->start && a->available == b->available && a->interval_ms == b->interval_ms);
    assert_true(a->trades == b->trades && a->origin == b->origin && a->revision == b->revision);
    const double x[] = {a->open, a->high, a->low, a->close, a->vwap, a->volume, a->quote_lag_ms};
    const double y[] = {b->open, b->high, b->low, b->close, b->vwap, b->volume, b->quote_lag_ms};
    for (size_t i = 0; i < sizeof(x) / sizeof(x[0]); i++)
        same_column(x[i], y[i]);
    for (size_t i = 0; i < 4; i++)
        same_column(((const double *)&a->quote)[i], ((const double *)&b->quote)[i]);
    for (size_t i = 0; i < 7; i++)
        same_bits(((const double *)&a->tape)[i], ((const double *)&b->tape)[i]);
}

static void every_double_of_a_bar_reads_back_bit_equal(void **state)
{
    (void)state;
    enum { N = 500 };
    static struct tc_record r[N];
    struct folder *f = open_folder();
    struct tc_rng g;
    tc_rng_seed(&g, 7);
    for (int i = 0; i < N; i++) {
        r[i] = make_bar("coinbase:BTC-USD", T0 + i * SEC, 1);
        struct tc_bar *b = &r[i].bar;
        double *to[] = {&b->open, &b->high, &b->low, &b->close, &b->vwap, &b->volume, &b->quote_lag_ms};
        for (size_t k = 0; k < sizeof(to) / sizeof(to[0]); k++)
            *to[k] = any_double(&g);
        for (size_t k = 0; k < 4; k++)
            ((double *)&b->quote)[k] = any_double(&g);
        for (size_t k = 0; k < 7; k++)
            ((double *)&b->tape)[k] = any_double(&g);
        b->origin = (enum tc_origin)(i % TC_ORIGIN_COUNT);
        b->revision = i;
    }
    expect_counts(put(f, TC_TOPIC_BARS, r, N, N), N, 0, 0);
    struct rows k = bars_of(f, all_of("coinbase:BTC-USD"));
    assert_int_equal(k.n, N);
    for (int i = 0; i < N; i++)
        same_bar(&r[i].bar, &k.at[i].bar);
    free(k.at);
    close_folder(f);
}

static void a_bar_without_quotes_and_tape_reads_back_with_both_unknown(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    struct tc_record r = make_bar("SPY", T0, 168);
    r.bar.vwap = NAN;
    r.bar.quote = (struct tc_quote){NAN, NAN, NAN, NAN};
    r.bar.quote_lag_ms = NAN;
    r.bar.tape = (struct tc_tape){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    put(f, TC_TOPIC_BARS, &r, 1, 1);
    struct rows k = bars_of(f, all_of("SPY"));
    same_bar(&r.bar, &k.at[0].bar);
    expect_sql(f, "SELECT count(*) FROM bars WHERE tape IS NULL AND bid IS NULL AND vwap IS NULL", "1");
    free(k.at);
    close_folder(f);
}

static void a_forecast_reads_back_with_every_point(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    struct tc_record r = make_forecast("SPY", "lstm@0a1b2c3d", T0);
    expect_counts(put(f, TC_TOPIC_FORECASTS, &r, 1, 1), 1, 0, 0);
    struct rows k = {0};
    struct tc_range q = all_of("SPY");
    assert_int_equal(f->store.ops->forecasts(f->store.self, &q, keep, &k), TC_OK);
    assert_int_equal(k.n, 1);
    const struct tc_forecast *a = &r.forecast, *b = &k.at[0].forecast;
    assert_string_equal(a->model, b->model);
    assert_string_equal(a->inputs, b->inputs);
    assert_string_equal(a->kernel, b->kernel);
    assert_true(a->origin_time == b->origin_time && a->issued == b->issued && a->day == b->day);
    assert_int_equal(a->flags, b->flags);
    same_bits(a->reference, b->reference);
    same_bits(a->reference_mid, b->reference_mid);
    assert_int_equal(b->n_points, 2);
    for (int i = 0; i < 2; i++) {
        const struct tc_point *x = &a->points[i], *y = &b->points[i];
        assert_true(x->kind == y->kind && x->horizon_ms == y->horizon_ms && x->target == y->target);
        assert_true(x->gate_open == y->gate_open);
        same_bits(x->value, y->value);
        same_bits(x->lo, y->lo);
        same_bits(x->hi, y->hi);
        same_bits(x->p_down, y->p_down);
        same_bits(x->p_up, y->p_up);
    }
    free(k.at);
    close_folder(f);
}

static void an_outcome_reads_back_and_stays_what_it_was_first(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    struct tc_record r = make_outcome("SPY", T0), again = r;
    again.outcome.values[0].value = 1;
    expect_counts(put(f, TC_TOPIC_FORECASTS, &r, 1, 1), 1, 0, 0);
    expect_counts(put(f, TC_TOPIC_FORECASTS, &again, 1, 2), 0, 0, 1);
    struct rows k = {0};
    struct tc_range q = all_of(NULL);
    assert_int_equal(f->store.ops->outcomes(f->store.self, &q, keep, &k), TC_OK);
    assert_int_equal(k.n, 1);
    assert_int_equal(k.at[0].outcome.n_values, 2);
    same_bits(k.at[0].outcome.values[0].value, 168.87);
    assert_int_equal(k.at[0].outcome.values[1].horizon_ms, 60000);
    assert_true(isnan(k.at[0].outcome.values[1].value));
    free(k.at);
    close_folder(f);
}

static void a_score_replaces_the_earlier_sums_of_its_key(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    struct tc_record r[3] = {{.type = TC_REC_SCORE, .from = -1}};
    r[0].score = (struct tc_score){.symbol = "SPY",
                                   .model = "ridge@1",
                                   .inputs = "T14",
                                   .kind = TC_KIND_NEXT,
                                   .day = 20131007,
                                   .slot = 19,
                                   .n = 10,
                                   .sq_err = 0.1,
                                   .sq_persist = 0.4,
                                   .dm_nd = NAN,
                                   .dm_n = 9};
    r[1] = r[0];
    r[1].score.n = 20;
    r[2] = r[1];
    r[2].score.day = 20131008;
    expect_counts(put(f, TC_TOPIC_FORECASTS, r, 3, 3), 2, 1, 0);
    struct rows k = {0};
    assert_int_equal(f->store.ops->scores(f->store.self, "SPY", 20131007, 20131007, keep, &k), TC_OK);
    assert_int_equal(k.n, 1);
    assert_true(k.at[0].score.n == 20 && k.at[0].score.dm_n == 9 && k.at[0].score.day == 20131007);
    assert_true(isnan(k.at[0].score.dm_nd) && k.at[0].score.sq_persist == 0.4);
    expect_sql(f, "SELECT ratio FROM scores WHERE day = '2013-10-07'", "0.5");
    free(k.at);
    close_folder(f);
}

static void gaps_quotes_and_quality_read_back(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    struct tc_record r[6] = {
        {.type = TC_REC_GAP, .gap = {"*", "lean", "not_running", T0, T0 + 10 * SEC, false}},
        {.type = TC_REC_GAP, .gap = {"SPY", "lean", "halted", T0 + 20 * SEC, T0 + 30 * SEC, true}},
        {.type = TC_REC_GAP, .gap = {"BAC", "lean", "halted", T0, T0 + 90 * SEC, false}},
        {.type = TC_REC_QUOTE, .quote = {"SPY", "lean", T0, T0 + SEC, {1, 2, 3, NAN}, 4, TC_ORIGIN_REPLAY}},
        {.type = TC_REC_QUALITY, .quality = {"SPY", 20131007, 1, 2, 3, 4, 5, 6, 7, 8}},
        {.type = TC_REC_QUALITY, .quality = {"SPY", 20131007, 9, 2, 3, 4, 5, 6, 7, 8}}};
    expect_counts(put(f, TC_TOPIC_BARS, r, 6, 6), 5, 1, 0);
    struct rows k = {0};
    struct tc_range q = all_of("SPY");
    assert_int_equal(f->store.ops->gaps(f->store.self, &q, keep, &k), TC_OK);
    assert_int_equal(k.n, 2);
    assert_string_equal(k.at[0].gap.symbol, "*");
    assert_string_equal(k.at[1].gap.reason, "halted");
    assert_true(k.at[1].gap.filled && !k.at[0].gap.filled);
    k.n = 0;
    q.from = T0 + 10 * SEC;
    assert_int_equal(f->store.ops->gaps(f->store.self, &q, keep, &k), TC_OK);
    assert_int_equal(k.n, 1);
    k.n = 0;
    q = all_of("SPY");
    assert_int_equal(f->store.ops->quotes(f->store.self, &q, keep, &k), TC_OK);
    assert_true(k.n == 1 && k.at[0].quote.quote.ask == 2 && isnan(k.at[0].quote.quote.ask_size));
    k.n = 0;
    assert_int_equal(f->store.ops->quality(f->store.self, NULL, 0, 99991231, keep, &k), TC_OK);
    assert_true(k.n == 1 && k.at[0].quality.traded == 9 && k.at[0].quality.gaps == 8);
    free(k.at);
    close_folder(f);
}

/* --- versions --------------------------------------------------------------------------------------------
 */

static void the_bar_that_became_available_later_wins_in_any_order(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    struct tc_record first = make_bar("SPY", T0, 10), second = make_bar("SPY", T0, 11),
                     third = make_bar("SPY", T0, 12);
    second.bar.available += SEC;
    second.bar.revision = 1;
    third.bar.available += 2 * SEC;
    third.bar.revision = 2;
    expect_counts(put(f, TC_TOPIC_BARS, &first, 1, 1), 1, 0, 0);
    expect_counts(put(f, TC_TOPIC_BARS, &third, 1, 2), 0, 1, 0);
    expect_counts(put(f, TC_TOPIC_BARS, &second, 1, 3), 0, 1, 0);
    expect_counts(put(f, TC_TOPIC_BARS, &second, 1, 4), 0, 0, 1);
    expect_counts(put(f, TC_TOPIC_BARS, &third, 1, 5), 0, 0, 1);
    struct rows k = bars_of(f, all_of("SPY"));
    assert_int_equal(k.n, 1);
    same_bar(&k.at[0].bar, &third.bar);
    expect_sql(f, "SELECT group_concat(close || ':' || revision) FROM bar_revisions", "10.0:0,11.0:1");
    free(k.at);
    close_folder(f);
}

static void a_record_put_twice_is_counted_as_duplicate(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    struct tc_record r[3] = {make_bar("SPY", T0, 10), make_bar("SPY", T0, 10), make_bar("BAC", T0, 5)};
    expect_counts(put(f, TC_TOPIC_BARS, r, 3, 3), 2, 0, 1);
    struct tc_record fc[2] = {make_forecast("SPY", "a@1", T0), make_forecast("SPY", "a@1", T0)};
    expect_counts(put(f, TC_TOPIC_FORECASTS, fc, 2, 2), 1, 0, 1);
    expect_sql(f, "SELECT count(*) FROM bar_revisions", "0");
    close_folder(f);
}

/* Bars with revisions, scores and quotes of many symbols, in the order of time. */
static size_t mixed(struct tc_record *r, size_t max)
{
    struct tc_rng g;
    char symbol[16];
    tc_rng_seed(&g, 5);
    for (size_t i = 0; i < max; i++) {
        snprintf(symbol, sizeof(symbol), "S%02d", (int)tc_rng_below(&g, 40));
        int64_t at = T0 + (int64_t)(i / 100) * SEC;
        uint64_t kind = tc_rng_below(&g, 4);
        if (kind == 0) {
            r[i] = (struct tc_record){.type = TC_REC_SCORE, .from = -1};
            snprintf(r[i].score.symbol, sizeof(r[i].score.symbol), "%s", symbol);
            strcpy(r[i].score.model, "ridge");
            r[i].score.day = 20131007;
            r[i].score.n = (int64_t)i;
        } else if (kind == 1) {
            r[i] = (struct tc_record){
                .type = TC_REC_QUOTE,
                .quote = {"", "lean", at, at + (int64_t)i, {1, 2, 3, 4}, 4, TC_ORIGIN_REPLAY}};
            strcpy(r[i].quote.symbol, symbol);
        } else {
            r[i] = make_bar(symbol, at, 100 + (double)i);
            r[i].bar.available += (int64_t)tc_rng_below(&g, 5);
        }
    }
    return max;
}

static void a_large_put_leaves_what_small_ones_leave(void **state)
{
    (void)state;
    ONLY_SQLITE /* two folders side by side */
        enum {
            N = 3000
        };
    static struct tc_record r[N];
    static int64_t offsets[N];
    struct folder *small = open_folder(), *large = open_folder();
    size_t n = mixed(r, N);
    for (size_t i = 0; i < n; i += 500)
        put(small, TC_TOPIC_BARS, r + i, 500, N);
    struct tc_store_counts c = {0};
    assert_int_equal(large->store.ops->put(large->store.self, "store", TC_TOPIC_BARS, N, r, offsets, n, &c),
                     TC_OK);
    assert_int_equal(c.inserted + c.superseded + c.duplicate, N);
    static const char *const tables[] = {"bars", "bar_revisions", "quotes", "score_sums", "positions"};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        char sql[400], got[512];
        snprintf(sql, sizeof(sql), "ATTACH '%s' AS o; ", small->path);
        sqlite3 *db;
        assert_int_equal(sqlite3_open(large->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        snprintf(sql, sizeof(sql),
                 "SELECT (SELECT count(*) FROM (SELECT * FROM main.%s EXCEPT SELECT * FROM o.%s)) || ' ' || "
                 "(SELECT count(*) FROM (SELECT * FROM o.%s EXCEPT SELECT * FROM main.%s)) || ' ' || "
                 "((SELECT count(*) FROM main.%s) > 0)",
                 tables[i], tables[i], tables[i], tables[i], tables[i]);
        sqlite3_stmt *st;
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        snprintf(got, sizeof(got), "%s", (const char *)sqlite3_column_text(st, 0));
        sqlite3_finalize(st);
        sqlite3_close(db);
        assert_string_equal(got, "0 0 1");
    }
    close_folder(small);
    close_folder(large);
}

/* --- ranges ----------------------------------------------------------------------------------------------
 */

static void a_range_gives_its_rows_in_rising_order_with_limit_and_newest(void **state)
{
    (void)state;
    enum { N = 100 };
    static struct tc_record r[N];
    struct folder *f = open_folder();
    for (int i = 0; i < N; i++)
        r[i] = make_bar(i % 2 ? "SPY" : "BAC", T0 + (N - i) * SEC, i + 1);
    put(f, TC_TOPIC_BARS, r, N, N);
    struct tc_range q = all_of("SPY");
    q.from = T0 + 11 * SEC;
    q.to = T0 + 21 * SEC;
    struct rows k = bars_of(f, q);
    assert_int_equal(k.n, 5);
    for (size_t i = 0; i < k.n; i++)
        assert_true(k.at[i].bar.start == T0 + (int64_t)(11 + 2 * i) * SEC);
    free(k.at);
    q.limit = 2;
    k = bars_of(f, q);
    assert_true(k.n == 2 && k.at[0].bar.start == T0 + 11 * SEC);
    free(k.at);
    q.newest = true;
    k = bars_of(f, q);
    assert_true(k.n == 2 && k.at[0].bar.start == T0 + 17 * SEC && k.at[1].bar.start == T0 + 19 * SEC);
    free(k.at);
    k = bars_of(f, all_of(NULL));
    assert_int_equal(k.n, N);
    assert_string_equal(k.at[0].bar.symbol, "BAC");
    assert_string_equal(k.at[N - 1].bar.symbol, "SPY");
    free(k.at);
    struct rows latest = {0};
    assert_int_equal(f->store.ops->latest(f->store.self, keep, &latest), TC_OK);
    assert_true(latest.n == 2 && latest.at[0].bar.start == T0 + N * SEC &&
                latest.at[1].bar.start == T0 + 99 * SEC);
    free(latest.at);
    close_folder(f);
}

static void a_scan_stops_where_its_reader_says_and_gives_that_answer(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    struct tc_record r[3] = {make_bar("SPY", T0, 1), make_bar("SPY", T0 + SEC, 2),
                             make_bar("SPY", T0 + 60 * SEC, 3)};
    put(f, TC_TOPIC_BARS, r, 3, 3);
    for (int32_t interval = 1000; interval <= 60000; interval += 59000) {
        struct rows k = {.stop_after = 1};
        struct tc_range q = all_of("SPY");
        q.interval_ms = interval;
        assert_int_equal(f->store.ops->bars(f->store.self, &q, keep, &k), 77);
        assert_int_equal(k.n, 1);
        free(k.at);
    }
    struct tc_range q = all_of("SPY");
    q.interval_ms = 5000;
    assert_int_equal(f->store.ops->bars(f->store.self, &q, keep, NULL), TC_EINPUT);
    close_folder(f);
}

static void forecasts_come_by_origin_time_over_all_models_or_of_one(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    struct tc_record r[20];
    for (int i = 0; i < 20; i++)
        r[i] = make_forecast("SPY", i % 2 ? "ridge@1" : "lstm@2", T0 + i / 2 * SEC);
    put(f, TC_TOPIC_FORECASTS, r, 20, 20);
    struct rows k = {0};
    struct tc_range q = all_of("SPY");
    q.limit = 3;
    q.newest = true;
    assert_int_equal(f->store.ops->forecasts(f->store.self, &q, keep, &k), TC_OK);
    assert_int_equal(k.n, 3);
    assert_string_equal(k.at[0].forecast.model, "ridge@1");
    assert_string_equal(k.at[1].forecast.model, "lstm@2");
    assert_true(k.at[0].forecast.origin_time == T0 + 8 * SEC && k.at[2].forecast.origin_time == T0 + 9 * SEC);
    k.n = 0;
    q = all_of("SPY");
    q.model = "lstm@2";
    q.from = T0 + 5 * SEC;
    assert_int_equal(f->store.ops->forecasts(f->store.self, &q, keep, &k), TC_OK);
    assert_int_equal(k.n, 5);
    for (size_t i = 0; i < k.n; i++)
        assert_string_equal(k.at[i].forecast.model, "lstm@2");
    free(k.at);
    close_folder(f);
}

/* --- minute and hour bars --------------------------------------------------------------------------------
 */

/* Three hours from 13:30:00 with about every fourth second traded. */
static size_t random_seconds(struct tc_record *r, size_t max)
{
    struct tc_rng g;
    tc_rng_seed(&g, 3);
    size_t n = 0;
    for (int64_t s = 0; s < 3 * 3600 && n < max; s++) {
        if (tc_rng_below(&g, 4))
            continue;
        r[n] = make_bar("SPY", T0 + s * SEC, 100 + tc_rng_normal(&g));
        r[n].bar.volume = (double)(1 + tc_rng_below(&g, 1000));
        n++;
    }
    return n;
}

static void expect_fold(const struct tc_bar *b, const struct tc_record *r, size_t n, int64_t width)
{
    double high = -INFINITY, low = INFINITY, volume = 0, pv = 0;
    int seconds = 0, trades = 0;
    const struct tc_bar *first = NULL, *last = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct tc_bar *s = &r[i].bar;
        if (s->start < b->start || s->start >= b->start + width)
            continue;
        first = first ? first : s;
        last = s;
        high = fmax(high, s->high);
        low = fmin(low, s->low);
        volume += s->volume;
        pv += s->vwap * s->volume;
        trades += s->trades;
        seconds++;
    }
    assert_non_null(first);
    assert_true(b->start % width == 0 && b->interval_ms == width / TC_NS_PER_MS);
    assert_true(b->open == first->open && b->close == last->close && b->high == high && b->low == low);
    assert_true(b->volume == volume && b->vwap == pv / volume);
    assert_true(b->trades == trades && b->seconds == seconds && b->available == last->available);
    assert_true(b->quote.bid == last->quote.bid);
}

static void minute_and_hour_bars_equal_what_their_seconds_give(void **state)
{
    (void)state;
    enum { MAX = 4000 };
    static struct tc_record r[MAX];
    struct folder *f = open_folder();
    size_t n = random_seconds(r, MAX);
    for (size_t i = 0; i < n; i += 500)
        put(f, TC_TOPIC_BARS, r + i, n - i < 500 ? n - i : 500, (int64_t)(i + 500));
    for (int64_t width = 60 * SEC; width <= 3600 * SEC; width *= 60) {
        struct tc_range q = all_of("SPY");
        q.interval_ms = (int32_t)(width / TC_NS_PER_MS);
        struct rows all = bars_of(f, q);
        assert_int_equal(all.n, width == 60 * SEC ? 180 : 4);
        for (size_t i = 0; i < all.n; i++)
            expect_fold(&all.at[i].bar, r, n, width);
        q.limit = 3;
        struct rows three = bars_of(f, q);
        assert_true(three.n == 3 && three.at[2].bar.start == all.at[2].bar.start);
        expect_fold(&three.at[2].bar, r, n, width);
        q.newest = true;
        struct rows newest = bars_of(f, q);
        assert_true(newest.n == 3 && newest.at[2].bar.start == all.at[all.n - 1].bar.start);
        assert_true(newest.at[0].bar.start == all.at[all.n - 3].bar.start);
        expect_fold(&newest.at[0].bar, r, n, width);
        free(all.at);
        free(three.at);
        free(newest.at);
    }
    /* A range that cuts minutes gives only bars that begin in it, and those whole. */
    struct tc_range q = all_of("SPY");
    q.interval_ms = 60000;
    q.from = T0 + 61 * SEC;
    q.to = T0 + 181 * SEC;
    struct rows cut = bars_of(f, q);
    assert_true(cut.n == 2 && cut.at[0].bar.start == T0 + 120 * SEC);
    expect_fold(&cut.at[1].bar, r, n, 60 * SEC);
    free(cut.at);
    close_folder(f);
}

static void stored_minute_bars_are_given_where_there_are_no_seconds(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    struct tc_record r = make_bar("SPY", T0, 10);
    r.bar.interval_ms = 60000;
    put(f, TC_TOPIC_BARS, &r, 1, 1);
    struct tc_range q = all_of("SPY");
    q.interval_ms = 60000;
    struct rows k = bars_of(f, q);
    assert_true(k.n == 1 && k.at[0].bar.close == 10);
    free(k.at);
    close_folder(f);
}

/* --- positions, snapshots, retention ---------------------------------------------------------------------
 */

static void the_position_is_stored_with_the_rows_and_survives_a_new_open(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    int64_t position = -1;
    assert_int_equal(f->store.ops->position(f->store.self, "store", TC_TOPIC_BARS, &position), TC_OK);
    assert_true(position == 0);
    struct tc_record r[2] = {make_bar("SPY", T0, 10), {.type = TC_REC_END}};
    put(f, TC_TOPIC_BARS, r, 2, 42);
    assert_int_equal(f->store.ops->sync(f->store.self), TC_OK);
    f->store.ops->close(f->store.self);
    open_store(f);
    f->store.ops->position(f->store.self, "store", TC_TOPIC_BARS, &position);
    assert_true(position == 42);
    f->store.ops->position(f->store.self, "store", TC_TOPIC_FORECASTS, &position);
    assert_true(position == 0);
    struct tc_store_info info;
    assert_int_equal(f->store.ops->info(f->store.self, &info), TC_OK);
    assert_true(info.world == TC_WORLD_REPLAY && info.position[TC_TOPIC_BARS] == 42);
    assert_true(info.bytes > 0 || cassandra_node); /* a cluster's size is not asked for */
    assert_true(info.ended[TC_TOPIC_BARS] && !info.ended[TC_TOPIC_FORECASTS]);
    put(f, TC_TOPIC_BARS, r, 1, 43);
    f->store.ops->info(f->store.self, &info);
    assert_false(info.ended[TC_TOPIC_BARS]);
    close_folder(f);
}

static void a_put_that_fails_writes_nothing_and_damages_nothing(void **state)
{
    (void)state;
    ONLY_SQLITE
    enum { N = 500 };
    static struct tc_record r[N];
    int64_t offsets[N] = {0};
    struct folder *f = open_folder();
    struct tc_record one = make_bar("SPY", T0, 1);
    put(f, TC_TOPIC_BARS, &one, 1, 1);
    for (int i = 0; i < N; i++)
        r[i] = make_bar("BAC", T0 + i * SEC, 1);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, small = {64 << 10, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    struct tc_store_counts c = {0};
    int rc = TC_OK;
    for (int64_t p = 2; p < 20 && rc == TC_OK; p++) {
        for (int i = 0; i < N; i++)
            r[i].bar.start += N * SEC;
        c = (struct tc_store_counts){0};
        rc = f->store.ops->put(f->store.self, "store", TC_TOPIC_BARS, p, r, offsets, N, &c);
    }
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(rc, TC_EIO);
    expect_counts(c, 0, 0, 0);
    int64_t position = 0;
    f->store.ops->position(f->store.self, "store", TC_TOPIC_BARS, &position);
    char want[32], rows[512];
    snprintf(want, sizeof(want), "%lld", (long long)(1 + (position - 1) * N));
    assert_string_equal(sql_value(f, "SELECT count(*) FROM bars", rows), want);
    expect_sql(f, "PRAGMA integrity_check", "ok");
    for (int i = 0; i < N; i++)
        r[i].bar.start += 100 * N * SEC;
    expect_counts(put(f, TC_TOPIC_BARS, r, N, position + 1), N, 0, 0);
    close_folder(f);
}

static void the_last_checkpoint_of_a_put_is_the_snapshot(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    static const uint8_t blob[] = {1, 0, 2, 0};
    struct tc_record r[3] = {{.type = TC_REC_CHECKPOINT, .from = 5}};
    r[0].checkpoint = (struct tc_checkpoint){"forecast", "avx2", TC_TOPIC_BARS, 0, 50, NULL, 0};
    r[1] = make_forecast("SPY", "a@1", T0);
    r[2] = r[0];
    r[2].checkpoint = (struct tc_checkpoint){"forecast", "avx2", TC_TOPIC_BARS, 0, 60, blob, sizeof(blob)};
    struct tc_snapshot snap;
    assert_int_equal(f->store.ops->snapshot(f->store.self, "forecast", &snap), TC_ENOTFOUND);
    expect_counts(put(f, TC_TOPIC_FORECASTS, r, 3, 10), 2, 1, 0);
    assert_int_equal(f->store.ops->snapshot(f->store.self, "forecast", &snap), TC_OK);
    assert_true(snap.position == 9);
    struct tc_record back;
    assert_int_equal(tc_record_decode((const uint8_t *)snap.bytes.data, snap.bytes.len, &back), TC_OK);
    assert_int_equal(back.type, TC_REC_CHECKPOINT);
    assert_string_equal(back.checkpoint.role, "forecast");
    assert_true(back.checkpoint.position == 60 && back.checkpoint.blob_len == sizeof(blob));
    assert_memory_equal(back.checkpoint.blob, blob, sizeof(blob));
    tc_buf_release(&snap.bytes);
    close_folder(f);
}

static void old_forecasts_are_deleted_in_small_steps(void **state)
{
    (void)state;
    ONLY_SQLITE
    struct folder *f = open_folder();
    struct tc_record r[200];
    for (int i = 0; i < 100; i++) {
        r[2 * i] = make_forecast(i % 2 ? "SPY" : "BAC", "a@1", T0 + i * SEC);
        r[2 * i + 1] = make_outcome(i % 2 ? "SPY" : "BAC", T0 + i * SEC);
    }
    put(f, TC_TOPIC_FORECASTS, r, 200, 200);
    uint64_t deleted = 0;
    int steps = 0, rc;
    while ((rc = f->store.ops->prune(f->store.self, T0 + 60 * SEC, 7, &deleted)) == TC_AGAIN)
        steps++;
    assert_int_equal(rc, TC_DONE);
    assert_int_equal(deleted, 120);
    assert_true(steps >= 17);
    expect_sql(f, "SELECT count(*) || ' ' || min(origin_time) FROM forecasts", "40 1381152660000000000");
    expect_sql(f, "SELECT count(*) || ' ' || min(origin_time) FROM outcomes", "40 1381152660000000000");
    struct tc_store_info info;
    f->store.ops->info(f->store.self, &info);
    assert_true(info.oldest_forecast == T0 + 60 * SEC && info.newest_forecast == T0 + 99 * SEC);
    close_folder(f);
}

/* --- the file --------------------------------------------------------------------------------------------
 */

static int count_row(void *ctx, const struct tc_record *row)
{
    (void)row;
    ++*(int *)ctx;
    return 0;
}

static void forecasts_of_days_past_are_deleted_and_those_of_today_stay(void **state)
{
    (void)state;
    struct folder *f = open_folder();
    struct tc_record r[8];
    const int64_t day = 86400 * SEC;
    for (int i = 0; i < 4; i++) {
        r[2 * i] = make_forecast("SPY", "a@1", T0 + i * day);
        r[2 * i + 1] = make_outcome("SPY", T0 + i * day);
        r[2 * i].forecast.day += i;
        r[2 * i + 1].outcome.day += i;
    }
    put(f, TC_TOPIC_FORECASTS, r, 8, 8);
    uint64_t deleted = 0;
    int rc;
    while ((rc = f->store.ops->prune(f->store.self, tc_floor_div(T0, day) * day + 2 * day, 2, &deleted)) ==
           TC_AGAIN)
        continue;
    assert_int_equal(rc, TC_DONE);
    assert_true(deleted > 0);
    int forecasts = 0, outcomes = 0;
    const struct tc_range all = {.symbol = "SPY", .from = INT64_MIN, .to = INT64_MAX};
    assert_int_equal(f->store.ops->forecasts(f->store.self, &all, count_row, &forecasts), TC_OK);
    assert_int_equal(f->store.ops->outcomes(f->store.self, &all, count_row, &outcomes), TC_OK);
    assert_int_equal(forecasts, 2);
    assert_int_equal(outcomes, 2);
    close_folder(f);
}

static void tables_and_views_have_the_promised_columns(void **state)
{
    (void)state;
    ONLY_SQLITE
    static const char *const want[][2] = {
        {"bars", "symbol,interval_ms,start,open,high,low,close,vwap,volume,trades,bid,ask,bid_size,ask_size,"
                 "quote_lag_ms,tape,origin,feed,available,revision"},
        {"bar_revisions", "symbol,interval_ms,start,open,high,low,close,vwap,volume,trades,bid,ask,bid_size,"
                          "ask_size,quote_lag_ms,tape,origin,feed,available,revision"},
        {"gaps", "symbol,feed,start,end,reason,filled"},
        {"forecasts",
         "symbol,model,origin_time,day,issued,inputs,kernel,reference,flags,points,reference_mid"},
        {"forecast_points", "symbol,model,origin_time,kind,horizon_ms,target,value,lo,hi,p_down,p_none,p_up"},
        {"quality", "symbol,day,traded,no_trade,unknown,duplicates,late,revised,backfilled,gaps"},
        {"positions", "group_name,topic,partition,position"},
        {"snapshots", "role,topic,partition,position,kernel,blob,written_at"},
    };
    struct folder *f = open_folder();
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        char sql[128];
        snprintf(sql, sizeof(sql), "SELECT group_concat(name) FROM pragma_table_info('%s')", want[i][0]);
        expect_sql(f, sql, want[i][1]);
    }
    expect_sql(f, "SELECT group_concat(name) FROM pragma_table_info('bars') WHERE pk",
               "symbol,interval_ms,start");
    expect_sql(f, "SELECT group_concat(name) FROM pragma_table_info('score_sums') WHERE pk",
               "symbol,model,kind,horizon_ms,inputs,day,slot");
    close_folder(f);
}

static void the_view_unpacks_the_points_of_a_forecast(void **state)
{
    (void)state;
    ONLY_SQLITE
    struct folder *f = open_folder();
    struct tc_record r = make_forecast("SPY", "lstm@0a1b2c3d", T0);
    put(f, TC_TOPIC_FORECASTS, &r, 1, 1);
    expect_sql(f, "SELECT count(*) FROM forecast_points", "2");
    expect_sql(f,
               "SELECT target IS NULL AND value = 168.5 AND lo = 168.25 AND hi = 168.75 AND horizon_ms = 0 "
               "FROM forecast_points WHERE kind = 'next'",
               "1");
    expect_sql(f, "SELECT target - origin_time FROM forecast_points WHERE kind = 'mid' AND hi IS NULL",
               "10000000000");
    expect_sql(f, "SELECT day FROM forecasts", "2013-10-07");
    close_folder(f);
}

static int open_again(struct folder *f, enum tc_world world)
{
    struct tc_store other;
    int rc = tc_sqlite_open(f->path, world, &other);
    if (rc == TC_OK)
        other.ops->close(other.self);
    return rc;
}

static void a_file_of_another_world_program_or_time_is_refused(void **state)
{
    (void)state;
    ONLY_SQLITE
    struct folder *f = open_folder();
    assert_int_equal(open_again(f, TC_WORLD_LIVE), TC_ECONF);
    assert_non_null(strstr(tc_error(), "holds replay data and cannot take live data"));
    assert_int_equal(open_again(f, TC_WORLD_REPLAY), TC_OK);
    char got[512];
    sql_value(f, "PRAGMA user_version = 99", got);
    assert_int_equal(open_again(f, TC_WORLD_REPLAY), TC_EINPUT);
    assert_non_null(strstr(tc_error(), "newer tickcast"));
    struct tc_store reader;
    assert_int_equal(tc_sqlite_open_reader(f->path, &reader), TC_EINPUT);
    sql_value(f, "PRAGMA user_version = 2", got);
    sql_value(f, "PRAGMA application_id = 5", got);
    assert_int_equal(open_again(f, TC_WORLD_REPLAY), TC_EINPUT);
    assert_non_null(strstr(tc_error(), "another program"));
    close_folder(f);
}

/* Schema 1 as it was: without the sums that came later. */
static void a_file_of_the_first_schema_keeps_its_scores_and_gets_the_new_sums(void **state)
{
    (void)state;
    ONLY_SQLITE
    static const char *const later[] = {
        "dm_ridge_d", "dm_ridge_d2",    "dm_ridge_nd",        "micro_moves", "micro_hits",
        "n_flagged",  "sq_err_flagged", "sq_persist_flagged", "n_spread",    "beyond",
        "n_prob",     "brier",          "prob_down",          "prob_none",
    };
    struct folder *f = open_folder();
    struct tc_record r = {.type = TC_REC_SCORE, .from = 1};
    r.score =
        (struct tc_score){.symbol = "SPY", .model = "ridge", .inputs = "T14", .day = 20131007, .slot = 20};
    r.score.n = 7;
    r.score.sq_err = 3;
    r.score.sq_persist = 12;
    put(f, TC_TOPIC_FORECASTS, &r, 1, 1);
    char got[512], sql[160];
    sql_value(f, "DROP VIEW scores", got);
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        snprintf(sql, sizeof(sql), "ALTER TABLE score_sums DROP COLUMN %s", later[i]);
        sql_value(f, sql, got);
    }
    sql_value(f, "CREATE VIEW scores AS SELECT sum(n) AS n FROM score_sums", got);
    sql_value(f, "PRAGMA user_version = 1", got);
    assert_int_equal(open_again(f, TC_WORLD_REPLAY), TC_OK);
    expect_sql(f, "SELECT n || ' ' || beyond || ' ' || brier || ' ' || prob_none FROM score_sums",
               "7 0 0.0 0");
    expect_sql(f, "SELECT ratio || ' ' || ratio_clean FROM scores", "0.5 0.5");
    close_folder(f);
}

static void a_file_that_is_no_database_or_is_missing_is_refused(void **state)
{
    (void)state;
    ONLY_SQLITE
    struct folder *f = open_folder();
    struct tc_store s;
    char path[128];
    snprintf(path, sizeof(path), "%s/none.db", f->dir);
    assert_int_equal(tc_sqlite_open_reader(path, &s), TC_ENOTFOUND);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(tc_sqlite_open_reader(path, &s), TC_ENOTFOUND);
    file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 5000; i++)
        fputc('x', file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(tc_sqlite_open_reader(path, &s), TC_EINPUT);
    assert_int_equal(tc_sqlite_open(path, TC_WORLD_REPLAY, &s), TC_EINPUT);
    unlink(path);
    close_folder(f);
}

static void a_reader_sees_whole_puts_and_never_writes(void **state)
{
    (void)state;
    ONLY_SQLITE
    struct folder *f = open_folder();
    struct tc_store reader;
    assert_int_equal(tc_sqlite_open_reader(f->path, &reader), TC_OK);
    struct tc_record r = make_bar("SPY", T0, 1);
    put(f, TC_TOPIC_BARS, &r, 1, 1);
    struct rows k = {0};
    struct tc_range q = all_of("SPY");
    assert_int_equal(reader.ops->bars(reader.self, &q, keep, &k), TC_OK);
    assert_int_equal(k.n, 1);
    int64_t offset = 1;
    struct tc_store_counts c = {0};
    assert_int_equal(reader.ops->put(reader.self, "store", TC_TOPIC_BARS, 2, &r, &offset, 1, &c),
                     TC_EINTERNAL);
    assert_int_equal(reader.ops->sync(reader.self), TC_EINTERNAL);
    free(k.at);
    reader.ops->close(reader.self);
    close_folder(f);
}

static void a_damaged_text_in_a_row_is_an_error_that_names_the_table(void **state)
{
    (void)state;
    ONLY_SQLITE
    struct folder *f = open_folder();
    struct tc_record r = make_forecast("SPY", "a@1", T0);
    put(f, TC_TOPIC_FORECASTS, &r, 1, 1);
    static const char *const bad[] = {"",
                                      "[",
                                      "[{\"kind\":\"nxt\"}]",
                                      "[{\"value\":1e999}]",
                                      "[{}]x",
                                      "[{\"horizon_ms\":-1}]",
                                      "[{\"aaaaaaaaaaaaaaaaaaaaaaaa\":1}]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char sql[128], got[512];
        snprintf(sql, sizeof(sql), "UPDATE forecasts SET points = '%s'", bad[i]);
        sql_value(f, sql, got);
        struct rows k = {0};
        struct tc_range q = all_of("SPY");
        assert_int_equal(f->store.ops->forecasts(f->store.self, &q, keep, &k), TC_EINPUT);
        assert_non_null(strstr(tc_error(), "table forecasts"));
    }
    close_folder(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_double_of_a_bar_reads_back_bit_equal),
        cmocka_unit_test(a_bar_without_quotes_and_tape_reads_back_with_both_unknown),
        cmocka_unit_test(a_forecast_reads_back_with_every_point),
        cmocka_unit_test(an_outcome_reads_back_and_stays_what_it_was_first),
        cmocka_unit_test(a_score_replaces_the_earlier_sums_of_its_key),
        cmocka_unit_test(gaps_quotes_and_quality_read_back),
        cmocka_unit_test(the_bar_that_became_available_later_wins_in_any_order),
        cmocka_unit_test(a_record_put_twice_is_counted_as_duplicate),
        cmocka_unit_test(a_large_put_leaves_what_small_ones_leave),
        cmocka_unit_test(a_range_gives_its_rows_in_rising_order_with_limit_and_newest),
        cmocka_unit_test(a_scan_stops_where_its_reader_says_and_gives_that_answer),
        cmocka_unit_test(forecasts_come_by_origin_time_over_all_models_or_of_one),
        cmocka_unit_test(minute_and_hour_bars_equal_what_their_seconds_give),
        cmocka_unit_test(stored_minute_bars_are_given_where_there_are_no_seconds),
        cmocka_unit_test(the_position_is_stored_with_the_rows_and_survives_a_new_open),
        cmocka_unit_test(a_put_that_fails_writes_nothing_and_damages_nothing),
        cmocka_unit_test(the_last_checkpoint_of_a_put_is_the_snapshot),
        cmocka_unit_test(old_forecasts_are_deleted_in_small_steps),
        cmocka_unit_test(forecasts_of_days_past_are_deleted_and_those_of_today_stay),
        cmocka_unit_test(tables_and_views_have_the_promised_columns),
        cmocka_unit_test(the_view_unpacks_the_points_of_a_forecast),
        cmocka_unit_test(a_file_of_another_world_program_or_time_is_refused),
        cmocka_unit_test(a_file_of_the_first_schema_keeps_its_scores_and_gets_the_new_sums),
        cmocka_unit_test(a_file_that_is_no_database_or_is_missing_is_refused),
        cmocka_unit_test(a_reader_sees_whole_puts_and_never_writes),
        cmocka_unit_test(a_damaged_text_in_a_row_is_an_error_that_names_the_table),
    };
    cassandra_node = getenv("TICKCAST_TEST_CASSANDRA");
    struct tc_cassandra_conf conf = cassandra_conf();
    if (cassandra_node && tc_cassandra_migrate(&conf, TC_WORLD_REPLAY) != TC_OK) {
        fprintf(stderr, "%s\n", tc_error());
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
