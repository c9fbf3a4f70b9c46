/* cassandra_int.h - what the parts of the Cassandra store share; private to this layer. */
#pragma once

#include "store/cassandra.h"

/* The order is that of statement_text in cassandra_schema.c. */
enum {
    CS_BAR,
    CS_BAR_GET,
    CS_REVISION,
    CS_QUOTE,
    CS_GAP,
    CS_FEED,
    CS_QUALITY,
    CS_FORECAST,
    CS_OUTCOME,
    CS_SCORE,
    CS_SNAPSHOT,
    CS_POSITION,
    CS_META,
    CS_SYMBOL,
    CS_SYMBOL_FIRST,
    CS_SYMBOL_LAST,
    CS_MODEL,
    CS_DROP_FORECASTS,
    CS_DROP_OUTCOMES,
    CR_BARS,
    CR_BARS_DOWN,
    CR_QUOTES,
    CR_QUOTES_DOWN,
    CR_FORECASTS,
    CR_OUTCOMES,
    CR_OUTCOMES_DOWN,
    CR_SCORES,
    CR_GAPS,
    CR_QUALITY,
    CR_POSITION,
    CR_SNAPSHOT,
    CR_META,
    CR_SYMBOLS,
    CR_MODELS,
    CS_COUNT
};

enum { CS_SCHEMA_VERSION = 1, CS_KEYSPACE_SIZE = 64, CS_GAP_DAYS_MAX = 31, CS_MODELS_MAX = 64 };

/* Later than any clock: what was issued first has the highest timestamp below it, and wins. */
#define CS_FIRST_WINS_US INT64_C(9000000000000000)

struct cs_batch { /* rows of one partition that are being gathered */
    struct tc_cql_write *write;
    uint64_t key;
    char symbol[TC_SYMBOL_SIZE], model[TC_MODEL_SIZE];
    int32_t statement, day;
};

enum { CS_BATCHES = 512, CS_SEEN = 4096 };

struct tc_cassandra {
    struct tc_cassandra_conf conf;
    enum tc_world world;
    char keyspace[CS_KEYSPACE_SIZE];
    struct tc_cql_statements statements;
    char *texts; /* of the statements */
    struct tc_cql_client *client;
    bool writer;
    struct tc_buf text, values;
    /* Writer: */
    struct cs_batch batches[CS_BATCHES];
    uint64_t seen[CS_SEEN]; /* hashes of (symbol, day) and (symbol, model, day) that are in their lists */
    int64_t last_us;        /* write timestamp given last */
    int64_t pruned_day;     /* days since 1970 up to which retention is through */
};

/* cassandra_schema.c */
int cs_keyspace(const char *prefix, enum tc_world world, char out[static CS_KEYSPACE_SIZE]);
int cs_statements(struct tc_cassandra *s);
int cs_check_schema(const struct tc_cassandra_conf *conf, const char *keyspace);

int32_t cs_day(const struct tc_cassandra *s, const char *symbol, int64_t t);
void cs_put_date(struct tc_buf *b, int32_t yyyymmdd);
int32_t cs_as_date(struct tc_cql_bytes v); /* 0 when it is none */

/* cassandra_read.c: the reading half of struct tc_store_ops */
int cs_position(void *self, const char *group, enum tc_topic topic, int64_t *out);
int cs_snapshot(void *self, const char *role, struct tc_snapshot *out);
int cs_info(void *self, struct tc_store_info *out);
int cs_latest(void *self, tc_row_fn fn, void *ctx);
int cs_bars(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
int cs_quotes(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
int cs_forecasts(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
int cs_outcomes(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
int cs_scores(void *self, const char *symbol, int32_t from_day, int32_t to_day, tc_row_fn fn, void *ctx);
int cs_gaps(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx);
int cs_quality(void *self, const char *symbol, int32_t from_day, int32_t to_day, tc_row_fn fn, void *ctx);

struct cs_symbol {
    char name[TC_SYMBOL_SIZE];
    int32_t first, last; /* days; 0 = not known */
};
/* Sorted by name; free() it. One symbol when `only` is given (n = 0 when it is not there). */
int cs_symbols(struct tc_cassandra *s, const char *only, struct cs_symbol **out, size_t *n);
int cs_models(struct tc_cassandra *s, const char *symbol, int32_t day, char (*out)[TC_MODEL_SIZE], size_t *n);
int cs_bar_of_row(const struct tc_cql_bytes *v, struct tc_record *out);
