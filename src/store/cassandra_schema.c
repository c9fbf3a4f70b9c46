/* Tables of the Cassandra store, how they came about, and the statements on them. */
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "store/cassandra_int.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define AGREEMENT_NS (30 * TC_NS_PER_SEC)
#define AGREEMENT_POLL_NS (100 * TC_NS_PER_MS)

#define BAR_TYPES                                                                                     \
    "symbol text, interval_ms int, day date, start bigint, open double, high double, low double, "    \
    "close double, vwap double, volume double, trades int, bid double, ask double, bid_size double, " \
    "ask_size double, quote_lag_ms double, tape text, origin text, feed text, available bigint, "     \
    "revision int, "
#define BAR_COLUMNS                                                                                       \
    "symbol, interval_ms, day, start, open, high, low, close, vwap, volume, trades, bid, ask, bid_size, " \
    "ask_size, quote_lag_ms, tape, origin, feed, available, revision"
#define BAR_MARKS "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?"
#define SUM_TYPE_int64_t "bigint"
#define SUM_TYPE_double "double"
#define SUM_TYPE(field, ctype, sqltype) #field " " SUM_TYPE_##ctype ", "
#define SUM_NAME(field, ctype, sqltype) ", " #field
#define SUM_MARK(field, ctype, sqltype) ",?"
/* Rows of one day are written close together and never change later: windows of a day keep them together. */
#define BY_DAY                                                                                       \
    " AND compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS', " \
    "'compaction_window_size': 1}"

/* %1$s is the keyspace. A change of the tables is a new entry at the end, never an edit of an old one; the
 * version is the number of entries. */
static const char *const tables_v1[] = {
    "CREATE TABLE IF NOT EXISTS %1$s.meta (name text PRIMARY KEY, value text)",
    "CREATE TABLE IF NOT EXISTS %1$s.bars (" BAR_TYPES
    "PRIMARY KEY ((symbol, interval_ms, day), start)) WITH CLUSTERING ORDER BY (start ASC)" BY_DAY,
    "CREATE TABLE IF NOT EXISTS %1$s.bar_revisions (" BAR_TYPES
    "PRIMARY KEY ((symbol, interval_ms, day), start, available))",
    "CREATE TABLE IF NOT EXISTS %1$s.quotes (symbol text, day date, second bigint, bid double, ask double, "
    "bid_size double, ask_size double, quote_lag_ms double, origin text, feed text, available bigint, "
    "PRIMARY KEY ((symbol, day), second)) WITH CLUSTERING ORDER BY (second ASC)" BY_DAY,
    "CREATE TABLE IF NOT EXISTS %1$s.gaps (symbol text, day date, start bigint, feed text, end bigint, "
    "reason text, filled boolean, PRIMARY KEY ((symbol, day), start, feed))",
    "CREATE TABLE IF NOT EXISTS %1$s.feeds (feed text PRIMARY KEY, second bigint, available bigint, expected "
    "int, "
    "traded int, healthy boolean, delay_ms double, origin text)",
    "CREATE TABLE IF NOT EXISTS %1$s.quality (symbol text, day date, traded bigint, no_trade bigint, "
    "unknown bigint, duplicates bigint, late bigint, revised bigint, backfilled bigint, gaps bigint, "
    "PRIMARY KEY ((symbol, day)))",
    "CREATE TABLE IF NOT EXISTS %1$s.forecasts (symbol text, model text, day date, origin_time bigint, "
    "issued bigint, inputs text, kernel text, reference double, reference_mid double, flags int, points "
    "text, "
    "PRIMARY KEY ((symbol, model, day), origin_time)) WITH CLUSTERING ORDER BY (origin_time ASC)" BY_DAY,
    "CREATE TABLE IF NOT EXISTS %1$s.outcomes (symbol text, day date, origin_time bigint, \"values\" text, "
    "PRIMARY KEY ((symbol, day), origin_time)) WITH CLUSTERING ORDER BY (origin_time ASC)" BY_DAY,
    "CREATE TABLE IF NOT EXISTS %1$s.score_sums (symbol text, model text, day date, kind text, horizon_ms "
    "int, "
    "inputs text, slot int, " TC_SCORE_SUMS(
        SUM_TYPE) "PRIMARY KEY ((symbol, model, day), kind, horizon_ms, inputs, slot))",
    "CREATE TABLE IF NOT EXISTS %1$s.snapshots (role text, topic text, \"partition\" int, position bigint, "
    "kernel text, blob blob, written_at bigint, PRIMARY KEY ((role, topic, \"partition\")))",
    "CREATE TABLE IF NOT EXISTS %1$s.positions (group_name text, topic text, \"partition\" int, position "
    "bigint, "
    "PRIMARY KEY ((group_name, topic, \"partition\")))",
    "CREATE TABLE IF NOT EXISTS %1$s.symbols (bucket int, symbol text, first_day date, last_day date, "
    "PRIMARY KEY (bucket, symbol))",
    "CREATE TABLE IF NOT EXISTS %1$s.models (symbol text, day date, model text, PRIMARY KEY ((symbol, day), "
    "model))",
    NULL,
};
static const char *const *const migrations[CS_SCHEMA_VERSION] = {tables_v1};

static const char *const statement_text[CS_COUNT] = {
    [CS_BAR] = "INSERT INTO %1$s.bars (" BAR_COLUMNS ") VALUES (" BAR_MARKS ") USING TIMESTAMP ?",
    [CS_BAR_GET] = "SELECT " BAR_COLUMNS
                   " FROM %1$s.bars WHERE symbol = ? AND interval_ms = ? AND day = ? AND start = ?",
    [CS_REVISION] =
        "INSERT INTO %1$s.bar_revisions (" BAR_COLUMNS ") VALUES (" BAR_MARKS ") USING TIMESTAMP ?",
    [CS_QUOTE] = "INSERT INTO %1$s.quotes (symbol, day, second, bid, ask, bid_size, ask_size, quote_lag_ms, "
                 "origin, feed, available) VALUES (?,?,?,?,?,?,?,?,?,?,?) USING TIMESTAMP ?",
    [CS_GAP] = "INSERT INTO %1$s.gaps (symbol, day, start, feed, end, reason, filled) VALUES (?,?,?,?,?,?,?) "
               "USING TIMESTAMP ?",
    [CS_FEED] =
        "INSERT INTO %1$s.feeds (feed, second, available, expected, traded, healthy, delay_ms, origin) "
        "VALUES (?,?,?,?,?,?,?,?) USING TIMESTAMP ?",
    [CS_QUALITY] =
        "INSERT INTO %1$s.quality (symbol, day, traded, no_trade, unknown, duplicates, late, revised, "
        "backfilled, gaps) VALUES (?,?,?,?,?,?,?,?,?,?) USING TIMESTAMP ?",
    [CS_FORECAST] =
        "INSERT INTO %1$s.forecasts (symbol, model, day, origin_time, issued, inputs, kernel, "
        "reference, reference_mid, flags, points) VALUES (?,?,?,?,?,?,?,?,?,?,?) USING TIMESTAMP ?",
    [CS_OUTCOME] = "INSERT INTO %1$s.outcomes (symbol, day, origin_time, \"values\") VALUES (?,?,?,?) USING "
                   "TIMESTAMP ?",
    [CS_SCORE] =
        "INSERT INTO %1$s.score_sums (symbol, model, day, kind, horizon_ms, inputs, slot" TC_SCORE_SUMS(
            SUM_NAME) ") VALUES (?,?,?,?,?,?,?" TC_SCORE_SUMS(SUM_MARK) ") USING TIMESTAMP ?",
    [CS_SNAPSHOT] =
        "INSERT INTO %1$s.snapshots (role, topic, \"partition\", position, kernel, blob, written_at) "
        "VALUES (?,?,?,?,?,?,?) USING TIMESTAMP ?",
    [CS_POSITION] =
        "INSERT INTO %1$s.positions (group_name, topic, \"partition\", position) VALUES (?,?,?,?) "
        "USING TIMESTAMP ?",
    [CS_META] = "INSERT INTO %1$s.meta (name, value) VALUES (?,?) USING TIMESTAMP ?",
    [CS_SYMBOL] = "INSERT INTO %1$s.symbols (bucket, symbol) VALUES (0,?) USING TIMESTAMP ?",
    [CS_SYMBOL_FIRST] =
        "UPDATE %1$s.symbols USING TIMESTAMP ? SET first_day = ? WHERE bucket = 0 AND symbol = ?",
    [CS_SYMBOL_LAST] =
        "UPDATE %1$s.symbols USING TIMESTAMP ? SET last_day = ? WHERE bucket = 0 AND symbol = ?",
    [CS_MODEL] = "INSERT INTO %1$s.models (symbol, day, model) VALUES (?,?,?) USING TIMESTAMP ?",
    [CS_DROP_FORECASTS] =
        "DELETE FROM %1$s.forecasts USING TIMESTAMP ? WHERE symbol = ? AND model = ? AND day = ?",
    [CS_DROP_OUTCOMES] = "DELETE FROM %1$s.outcomes USING TIMESTAMP ? WHERE symbol = ? AND day = ?",
    [CR_BARS] = "SELECT " BAR_COLUMNS " FROM %1$s.bars WHERE symbol = ? AND interval_ms = ? AND day = ? AND "
                "start >= ? AND start < ? LIMIT ?",
    [CR_BARS_DOWN] =
        "SELECT " BAR_COLUMNS " FROM %1$s.bars WHERE symbol = ? AND interval_ms = ? AND day = ? AND "
        "start >= ? AND start < ? ORDER BY start DESC LIMIT ?",
    [CR_QUOTES] =
        "SELECT symbol, day, second, bid, ask, bid_size, ask_size, quote_lag_ms, origin, feed, available "
        "FROM %1$s.quotes WHERE symbol = ? AND day = ? AND second >= ? AND second < ? LIMIT ?",
    [CR_QUOTES_DOWN] = "SELECT symbol, day, second, bid, ask, bid_size, ask_size, quote_lag_ms, origin, "
                       "feed, available FROM "
                       "%1$s.quotes WHERE symbol = ? AND day = ? AND second >= ? AND second < ? ORDER BY "
                       "second DESC LIMIT ?",
    [CR_FORECASTS] =
        "SELECT symbol, model, day, origin_time, issued, inputs, kernel, reference, reference_mid, "
        "flags, points FROM %1$s.forecasts WHERE symbol = ? AND model = ? AND day = ? AND "
        "origin_time >= ? AND origin_time < ?",
    [CR_OUTCOMES] =
        "SELECT symbol, day, origin_time, \"values\" FROM %1$s.outcomes WHERE symbol = ? AND day = ? AND "
        "origin_time >= ? AND origin_time < ? LIMIT ?",
    [CR_OUTCOMES_DOWN] =
        "SELECT symbol, day, origin_time, \"values\" FROM %1$s.outcomes WHERE symbol = ? AND day = "
        "? AND origin_time >= ? AND origin_time < ? ORDER BY origin_time DESC LIMIT ?",
    [CR_SCORES] = "SELECT symbol, model, kind, horizon_ms, inputs, day, slot" TC_SCORE_SUMS(
        SUM_NAME) " FROM %1$s.score_sums WHERE symbol = ? AND model = ? AND day = ?",
    [CR_GAPS] = "SELECT symbol, feed, start, end, reason, filled FROM %1$s.gaps WHERE symbol = ? AND day = ?",
    [CR_QUALITY] =
        "SELECT symbol, day, traded, no_trade, unknown, duplicates, late, revised, backfilled, gaps FROM "
        "%1$s.quality WHERE symbol = ? AND day = ?",
    [CR_POSITION] =
        "SELECT position FROM %1$s.positions WHERE group_name = ? AND topic = ? AND \"partition\" = ?",
    [CR_SNAPSHOT] =
        "SELECT position, kernel, blob, written_at FROM %1$s.snapshots WHERE role = ? AND topic = ? AND "
        "\"partition\" = ?",
    [CR_META] = "SELECT value FROM %1$s.meta WHERE name = ?",
    [CR_SYMBOLS] = "SELECT symbol, first_day, last_day FROM %1$s.symbols WHERE bucket = 0",
    [CR_MODELS] = "SELECT model FROM %1$s.models WHERE symbol = ? AND day = ?",
};

/* --- names and days
 * ----------------------------------------------------------------------------------------- */

static bool plain_name(const char *s)
{
    for (const char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_')
            return false;
    return isalpha((unsigned char)s[0]);
}

int cs_keyspace(const char *prefix, enum tc_world world, char out[static CS_KEYSPACE_SIZE])
{
    int n = snprintf(out, CS_KEYSPACE_SIZE, "%s_%s", prefix, tc_world_name(world));
    if (n >= 48 || !plain_name(prefix)) /* Cassandra takes 48 bytes */
        return tc_fail(TC_ECONF,
                       "cassandra.keyspace %s: letters, digits and _, a letter first, 35 bytes at most",
                       prefix);
    for (char *p = out; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return TC_OK;
}

int32_t cs_day(const struct tc_cassandra *s, const char *symbol, int64_t t)
{
    return !s->conf.calendar || strchr(symbol, ':') ? tc_date_utc(t) : tc_calendar_day(s->conf.calendar, t);
}

/* CQL's date: days since the epoch, plus 2^31. */
void cs_put_date(struct tc_buf *b, int32_t yyyymmdd)
{
    uint32_t v = (uint32_t)(tc_days_from_date(yyyymmdd) + INT64_C(0x80000000));
    tc_cql_put_i32(b, 4);
    tc_cql_put_i32(b, (int32_t)v);
}

int32_t cs_as_date(struct tc_cql_bytes v)
{
    if (v.n != 4)
        return 0;
    int64_t days = (int64_t)(uint32_t)tc_cql_as_int(v, 0) - INT64_C(0x80000000);
    return days > -800000 && days < 3000000 ? tc_date_from_days(days) : 0;
}

int cs_statements(struct tc_cassandra *s)
{
    enum { TEXT = 2560 };
    s->texts = malloc((size_t)CS_COUNT * TEXT);
    if (!s->texts)
        return tc_fail(TC_ENOMEM, "no memory for statements");
    for (int i = 0; i < CS_COUNT; i++) {
        char *text = s->texts + (size_t)i * TEXT;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        if (snprintf(text, TEXT, statement_text[i], s->keyspace) >= TEXT)
            return tc_fail(TC_EINTERNAL, "statement %d is too long", i);
#pragma GCC diagnostic pop
        s->statements.list[i].text = text;
    }
    s->statements.n = CS_COUNT;
    return TC_OK;
}

/* --- migration
 * ---------------------------------------------------------------------------------------------- */

/* "3", or "dc1:3,dc2:2", as the map that CREATE KEYSPACE takes. */
static int replication_map(const char *text, char *out, size_t size)
{
    int64_t copies;
    if (tc_parse_int(text, strlen(text), &copies) && copies >= 1 && copies <= 32) {
        snprintf(out, size, "{'class': 'NetworkTopologyStrategy', 'replication_factor': %d}", (int)copies);
        return TC_OK;
    }
    size_t n = (size_t)snprintf(out, size, "{'class': 'NetworkTopologyStrategy'");
    const char *p = text;
    while (*p && n < size) {
        size_t len = strcspn(p, ",");
        const char *colon = memchr(p, ':', len);
        if (!colon || colon == p || memchr(p, '\'', len) ||
            !tc_parse_int(colon + 1, (size_t)(p + len - colon - 1), &copies) || copies < 1 || copies > 32)
            return tc_fail(TC_ECONF, "cassandra.replication %s: a number of copies (3), or DC:3,DC2:2", text);
        n += (size_t)snprintf(out + n, size - n, ", '%.*s': %d", (int)(colon - p), p, (int)copies);
        p += len + (p[len] == ',');
    }
    if (n + 2 > size)
        return tc_fail(TC_ECONF, "cassandra.replication is too long");
    snprintf(out + n, size - n, "}");
    return TC_OK;
}

struct text_answer {
    char text[64];
    uint32_t rows, others; /* rows; rows that differ from the first */
};

static int take_text(void *ctx, const struct tc_cql_bytes *v, int32_t n)
{
    struct text_answer *a = ctx;
    char text[64] = "";
    if (n > 0 && v[0].p)
        tc_cql_text_copy((struct tc_cql_text){(const char *)v[0].p, v[0].n}, text, sizeof(text));
    if (a->rows++ == 0)
        memcpy(a->text, text, sizeof(a->text));
    else
        a->others += strcmp(a->text, text) != 0;
    return 0;
}

/* A change of the schema holds everywhere once all nodes have the same version. */
static int wait_agreement(struct tc_cql_client *c)
{
    int64_t until = tc_mono_ns() + AGREEMENT_NS;
    for (;;) {
        struct text_answer a = {0};
        int rc = tc_cql_execute(c, "SELECT CAST(schema_version AS text) FROM system.local", take_text, &a);
        if (rc ==
            TC_OK) /* servers before 4.0 have another table of peers; they have no second node to wait for */
            (void)tc_cql_execute(c, "SELECT CAST(schema_version AS text) FROM system.peers_v2", take_text,
                                 &a);
        if (rc != TC_OK || a.others == 0)
            return rc;
        if (tc_mono_ns() > until)
            return tc_fail(TC_EPEER,
                           "the nodes did not agree on the new schema within 30 s; is one of them down?");
        tc_sleep_until_mono(tc_mono_ns() + AGREEMENT_POLL_NS);
    }
}

/* 0 = no tables yet. */
static int read_version(struct tc_cql_client *c, const char *keyspace, int64_t *version)
{
    char sql[256];
    struct text_answer a = {0};
    *version = 0;
    snprintf(sql, sizeof(sql),
             "SELECT table_name FROM system_schema.tables WHERE keyspace_name = '%s' AND table_name = 'meta'",
             keyspace);
    int rc = tc_cql_execute(c, sql, take_text, &a);
    if (rc != TC_OK || a.rows == 0)
        return rc;
    a = (struct text_answer){0};
    snprintf(sql, sizeof(sql), "SELECT value FROM %s.meta WHERE name = 'schema'", keyspace);
    rc = tc_cql_execute(c, sql, take_text, &a);
    if (rc == TC_OK && a.rows && !tc_parse_int(a.text, strlen(a.text), version))
        rc = tc_fail(TC_EINPUT, "keyspace %s: table meta says schema '%s'; it was not made by tickcast",
                     keyspace, a.text);
    return rc;
}

static int check_version(const char *keyspace, int64_t version)
{
    if (version > CS_SCHEMA_VERSION)
        return tc_fail(TC_EINPUT, "keyspace %s: made by a newer tickcast (schema %d, this program knows %d)",
                       keyspace, (int)version, CS_SCHEMA_VERSION);
    if (version == 0)
        return tc_fail(TC_ENOTFOUND, "keyspace %s has no tables; `tickcast store --migrate` makes them",
                       keyspace);
    if (version < CS_SCHEMA_VERSION)
        return tc_fail(
            TC_EINPUT,
            "keyspace %s has an older schema (%d); `tickcast store --migrate` brings it up to date", keyspace,
            (int)version);
    return TC_OK;
}

static int open_plain(const struct tc_cassandra_conf *conf, struct tc_cql_client **out)
{
    static struct tc_cql_statements none;
    return tc_cql_client_open(&conf->cql, &none, out);
}

int cs_check_schema(const struct tc_cassandra_conf *conf, const char *keyspace)
{
    struct tc_cql_client *c;
    int64_t version;
    int rc = open_plain(conf, &c);
    if (rc != TC_OK)
        return rc;
    rc = read_version(c, keyspace, &version);
    tc_cql_client_close(c);
    return rc == TC_OK ? check_version(keyspace, version) : rc;
}

static int make_tables(struct tc_cql_client *c, const char *keyspace, int64_t version, enum tc_world world)
{
    char sql[4096];
    int rc = TC_OK;
    for (int64_t v = version; v < CS_SCHEMA_VERSION && rc == TC_OK; v++)
        for (const char *const *t = migrations[v]; *t && rc == TC_OK; t++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(sql, sizeof(sql), *t, keyspace);
#pragma GCC diagnostic pop
            rc = tc_cql_execute(c, sql, NULL, NULL);
        }
    if (rc == TC_OK)
        rc = wait_agreement(c);
    if (rc != TC_OK)
        return rc;
    snprintf(sql, sizeof(sql), "INSERT INTO %s.meta (name, value) VALUES ('world', '%s')", keyspace,
             tc_world_name(world));
    rc = tc_cql_execute(c, sql, NULL, NULL);
    snprintf(sql, sizeof(sql), "INSERT INTO %s.meta (name, value) VALUES ('schema', '%d')", keyspace,
             CS_SCHEMA_VERSION);
    return rc == TC_OK ? tc_cql_execute(c, sql, NULL, NULL) : rc;
}

int tc_cassandra_migrate(const struct tc_cassandra_conf *conf, enum tc_world world)
{
    char keyspace[CS_KEYSPACE_SIZE], map[512], sql[768];
    struct tc_cql_client *c;
    int64_t version = 0;
    int rc = cs_keyspace(conf->keyspace, world, keyspace);
    if (rc == TC_OK)
        rc = replication_map(conf->replication, map, sizeof(map));
    if (rc == TC_OK)
        rc = open_plain(conf, &c);
    if (rc != TC_OK)
        return rc;
    snprintf(sql, sizeof(sql), "CREATE KEYSPACE IF NOT EXISTS %s WITH replication = %s", keyspace, map);
    rc = tc_cql_execute(c, sql, NULL, NULL);
    if (rc == TC_OK)
        rc = wait_agreement(c);
    if (rc == TC_OK)
        rc = read_version(c, keyspace, &version);
    if (rc == TC_OK && version > CS_SCHEMA_VERSION)
        rc = check_version(keyspace, version);
    if (rc == TC_OK)
        rc = make_tables(c, keyspace, version, world);
    tc_cql_client_close(c);
    return rc;
}
