/* The writing half of the Cassandra store. */
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "store/cassandra_int.h"
#include "store/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Servers warn about batches above 5 KiB, in their log and on each answer. */
enum { BATCH_BYTES = 4600, TEXT_MAX = 64 << 10 };

/* --- gathering the rows of a partition
 * ---------------------------------------------------------------------- */

static int send_batch(struct tc_cassandra *s, struct cs_batch *b)
{
    struct tc_cql_write *w = b->write;
    b->write = NULL;
    return w ? tc_cql_write_send(s->client, w) : TC_OK;
}

static int send_batches(struct tc_cassandra *s)
{
    int rc = TC_OK;
    for (int i = 0; i < CS_BATCHES; i++) {
        int one = send_batch(s, &s->batches[i]);
        rc = rc == TC_OK ? one : rc;
    }
    return rc;
}

static uint64_t partition_hash(int32_t statement, const char *symbol, const char *model, int32_t day)
{
    uint64_t h = tc_fnv(TC_FNV_START, symbol, strlen(symbol) + 1);
    h = tc_fnv(h, model, strlen(model) + 1);
    h = tc_fnv(h, &day, sizeof(day));
    return tc_fnv(h, &statement, sizeof(statement));
}

/* A request for rows of this partition. Two partitions that fall on one place take turns there. */
static struct tc_buf *row_of(struct tc_cassandra *s, int32_t statement, const char *symbol, const char *model,
                             int32_t day)
{
    uint64_t key = partition_hash(statement, symbol, model, day);
    struct cs_batch *b = &s->batches[key % CS_BATCHES];
    bool same = b->write && b->key == key && b->statement == statement && b->day == day &&
                !strcmp(b->symbol, symbol) && !strcmp(b->model, model);
    if ((!same || tc_cql_write_bytes(b->write) > BATCH_BYTES) && send_batch(s, b) != TC_OK)
        return NULL;
    if (!b->write) {
        b->write = tc_cql_write_begin(s->client);
        if (!b->write)
            return NULL;
        b->key = key;
        b->statement = statement;
        b->day = day;
        snprintf(b->symbol, sizeof(b->symbol), "%s", symbol);
        snprintf(b->model, sizeof(b->model), "%s", model);
    }
    return tc_cql_write_row(b->write, statement);
}

/* A request of one row. */
static struct tc_cql_write *single(struct tc_cassandra *s, int32_t statement, struct tc_buf **values)
{
    struct tc_cql_write *w = tc_cql_write_begin(s->client);
    if (w)
        *values = tc_cql_write_row(w, statement);
    return w;
}

/* µs since 1970 that rise with each call: of two versions of a row the one written later wins. */
static int64_t next_us(struct tc_cassandra *s)
{
    int64_t now = tc_now_ns() / 1000;
    s->last_us = now > s->last_us ? now : s->last_us + 1;
    return s->last_us;
}

/* --- the lists of symbols and models
 * ------------------------------------------------------------------------ */

/* True the first time; a forgotten entry is only written again. */
static bool first_time(struct tc_cassandra *s, uint64_t key)
{
    uint64_t *slot = &s->seen[key % CS_SEEN];
    if (*slot == key)
        return false;
    *slot = key;
    return true;
}

static int list_symbol(struct tc_cassandra *s, const char *symbol, int32_t day)
{
    if (!first_time(s, partition_hash(CS_SYMBOL, symbol, "", day)))
        return TC_OK;
    struct tc_buf *v;
    struct tc_cql_write *w = single(s, CS_SYMBOL, &v);
    if (!w)
        return TC_EBUSY;
    tc_cql_put_text(v, symbol);
    tc_cql_put_bigint(v, 1);
    /* The least first day and the greatest last day win, in whatever order they are written. */
    v = tc_cql_write_row(w, CS_SYMBOL_FIRST);
    tc_cql_put_bigint(v, 100000000 - day);
    cs_put_date(v, day);
    tc_cql_put_text(v, symbol);
    v = tc_cql_write_row(w, CS_SYMBOL_LAST);
    tc_cql_put_bigint(v, day);
    cs_put_date(v, day);
    tc_cql_put_text(v, symbol);
    return tc_cql_write_send(s->client, w);
}

static int list_model(struct tc_cassandra *s, const char *symbol, const char *model, int32_t day)
{
    if (!first_time(s, partition_hash(CS_MODEL, symbol, model, day)))
        return TC_OK;
    struct tc_buf *v;
    struct tc_cql_write *w = single(s, CS_MODEL, &v);
    if (!w)
        return TC_EBUSY;
    tc_cql_put_text(v, symbol);
    cs_put_date(v, day);
    tc_cql_put_text(v, model);
    tc_cql_put_bigint(v, 1);
    int rc = tc_cql_write_send(s->client, w);
    return rc == TC_OK ? list_symbol(s, symbol, day) : rc;
}

/* --- records to rows
 * ---------------------------------------------------------------------------------------- */

static void put_quote_values(struct tc_buf *v, const struct tc_quote *q, double lag_ms)
{
    tc_cql_put_double(v, q->bid);
    tc_cql_put_double(v, q->ask);
    tc_cql_put_double(v, q->bid_size);
    tc_cql_put_double(v, q->ask_size);
    tc_cql_put_double(v, lag_ms);
}

static void put_bar_values(struct tc_cassandra *s, struct tc_buf *v, const struct tc_bar *b, int32_t day)
{
    tc_cql_put_text(v, b->symbol);
    tc_cql_put_int(v, b->interval_ms);
    cs_put_date(v, day);
    tc_cql_put_bigint(v, b->start);
    const double numbers[] = {b->open, b->high, b->low, b->close, b->vwap, b->volume};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        tc_cql_put_double(v, numbers[i]);
    tc_cql_put_int(v, b->trades);
    put_quote_values(v, &b->quote, b->quote_lag_ms);
    tc_buf_clear(&s->text);
    tc_text_tape(&b->tape, &s->text);
    if (s->text.len)
        tc_cql_put_bytes(v, s->text.data, s->text.len);
    else
        tc_cql_put_unset(v);
    tc_cql_put_text(v, tc_origin_name(b->origin));
    tc_cql_put_text(v, b->feed);
    tc_cql_put_bigint(v, b->available);
    tc_cql_put_int(v, b->revision);
    tc_cql_put_bigint(v, b->available / 1000);
}

static int take_bar(void *ctx, const struct tc_cql_bytes *v, int32_t n)
{
    (void)n;
    return cs_bar_of_row(v, ctx);
}

static int put_revision(struct tc_cassandra *s, const struct tc_bar *b, int32_t day)
{
    struct tc_buf *v;
    struct tc_cql_write *w = single(s, CS_REVISION, &v);
    if (!w)
        return TC_EBUSY;
    put_bar_values(s, v, b, day);
    return tc_cql_write_send(s->client, w);
}

/* A revised bar: the version that it replaces, or that is newer than it, decides which goes to bar_revisions.
 */
static int keep_older(struct tc_cassandra *s, const struct tc_bar *b, int32_t day)
{
    struct tc_record old = {0};
    uint32_t refused;
    int rc = send_batches(s);
    if (rc == TC_OK)
        rc = tc_cql_finish(s->client, &refused);
    if (rc != TC_OK)
        return rc;
    tc_buf_clear(&s->values);
    tc_cql_put_text(&s->values, b->symbol);
    tc_cql_put_int(&s->values, b->interval_ms);
    cs_put_date(&s->values, day);
    tc_cql_put_bigint(&s->values, b->start);
    rc = tc_cql_read(s->client, CS_BAR_GET, &s->values, 2, take_bar, &old);
    if (rc != TC_OK || old.type != TC_REC_BAR || old.bar.available == b->available)
        return rc;
    return put_revision(s, old.bar.available < b->available ? &old.bar : b, day);
}

static int put_bar(struct tc_cassandra *s, const struct tc_bar *b)
{
    int32_t day = cs_day(s, b->symbol, b->start);
    int rc = b->revision > 0 ? keep_older(s, b, day) : TC_OK;
    if (rc == TC_OK)
        rc = list_symbol(s, b->symbol, day);
    if (rc != TC_OK)
        return rc;
    struct tc_buf *v = row_of(s, CS_BAR, b->symbol, b->interval_ms == 1000 ? "" : "coarse", day);
    if (!v)
        return TC_EBUSY;
    put_bar_values(s, v, b, day);
    return TC_OK;
}

static int put_quote(struct tc_cassandra *s, const struct tc_second_quote *q)
{
    int32_t day = cs_day(s, q->symbol, q->second);
    int rc = list_symbol(s, q->symbol, day);
    struct tc_buf *v = rc == TC_OK ? row_of(s, CS_QUOTE, q->symbol, "", day) : NULL;
    if (!v)
        return TC_EBUSY;
    tc_cql_put_text(v, q->symbol);
    cs_put_date(v, day);
    tc_cql_put_bigint(v, q->second);
    put_quote_values(v, &q->quote, q->quote_lag_ms);
    tc_cql_put_text(v, tc_origin_name(q->origin));
    tc_cql_put_text(v, q->feed);
    tc_cql_put_bigint(v, q->available);
    tc_cql_put_bigint(v, q->available / 1000);
    return TC_OK;
}

/* A gap stands in every day it touches, so that a day's partition tells all that is unknown of the day. */
static int put_gap(struct tc_cassandra *s, const struct tc_gap *g)
{
    int32_t first = cs_day(s, g->symbol, g->start);
    int32_t last = cs_day(s, g->symbol, g->end > g->start ? g->end - 1 : g->start);
    int64_t from = tc_days_from_date(first), to = tc_days_from_date(last);
    to = to > from + CS_GAP_DAYS_MAX ? from + CS_GAP_DAYS_MAX : to;
    int64_t us = next_us(s);
    for (int64_t d = from; d <= to; d++) {
        int32_t day = tc_date_from_days(d);
        int rc = list_symbol(s, g->symbol, day);
        struct tc_buf *v = rc == TC_OK ? row_of(s, CS_GAP, g->symbol, "", day) : NULL;
        if (!v)
            return TC_EBUSY;
        tc_cql_put_text(v, g->symbol);
        cs_put_date(v, day);
        tc_cql_put_bigint(v, g->start);
        tc_cql_put_text(v, g->feed);
        tc_cql_put_bigint(v, g->end);
        tc_cql_put_text(v, g->reason);
        tc_cql_put_boolean(v, g->filled);
        tc_cql_put_bigint(v, us);
    }
    return TC_OK;
}

static int put_second(struct tc_cassandra *s, const struct tc_second *m)
{
    struct tc_buf *v = row_of(s, CS_FEED, "", m->feed, 0);
    if (!v)
        return TC_EBUSY;
    tc_cql_put_text(v, m->feed);
    tc_cql_put_bigint(v, m->second);
    tc_cql_put_bigint(v, m->available);
    tc_cql_put_int(v, m->expected);
    tc_cql_put_int(v, m->traded);
    tc_cql_put_boolean(v, m->healthy);
    tc_cql_put_double(v, m->delay_ms);
    tc_cql_put_text(v, tc_origin_name(m->origin));
    tc_cql_put_bigint(v, next_us(s));
    return TC_OK;
}

static int put_quality(struct tc_cassandra *s, const struct tc_quality *q)
{
    int rc = list_symbol(s, q->symbol, q->day);
    struct tc_buf *v = rc == TC_OK ? row_of(s, CS_QUALITY, q->symbol, "", q->day) : NULL;
    if (!v)
        return TC_EBUSY;
    tc_cql_put_text(v, q->symbol);
    cs_put_date(v, q->day);
    const int64_t sums[] = {q->traded, q->no_trade, q->unknown,    q->duplicates,
                            q->late,   q->revised,  q->backfilled, q->gaps};
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
        tc_cql_put_bigint(v, sums[i]);
    tc_cql_put_bigint(v, next_us(s));
    return TC_OK;
}

static int put_forecast(struct tc_cassandra *s, const struct tc_forecast *f)
{
    int rc = list_model(s, f->symbol, f->model, f->day);
    struct tc_buf *v = rc == TC_OK ? row_of(s, CS_FORECAST, f->symbol, f->model, f->day) : NULL;
    if (!v)
        return TC_EBUSY;
    tc_buf_clear(&s->text);
    tc_points_to_json(f, &s->text);
    tc_cql_put_text(v, f->symbol);
    tc_cql_put_text(v, f->model);
    cs_put_date(v, f->day);
    tc_cql_put_bigint(v, f->origin_time);
    tc_cql_put_bigint(v, f->issued);
    tc_cql_put_text(v, f->inputs);
    tc_cql_put_text(v, f->kernel);
    tc_cql_put_double(v, f->reference);
    tc_cql_put_double(v, f->reference_mid);
    tc_cql_put_int(v, (int32_t)f->flags);
    tc_cql_put_bytes(v, s->text.data, s->text.len);
    tc_cql_put_bigint(v, CS_FIRST_WINS_US - f->issued / 1000);
    return TC_OK;
}

static int put_outcome(struct tc_cassandra *s, const struct tc_outcome *o)
{
    int rc = list_symbol(s, o->symbol, o->day);
    struct tc_buf *v = rc == TC_OK ? row_of(s, CS_OUTCOME, o->symbol, "", o->day) : NULL;
    if (!v)
        return TC_EBUSY;
    tc_buf_clear(&s->text);
    tc_text_outcome(o, &s->text);
    tc_cql_put_text(v, o->symbol);
    cs_put_date(v, o->day);
    tc_cql_put_bigint(v, o->origin_time);
    tc_cql_put_bytes(v, s->text.data, s->text.len);
    tc_cql_put_bigint(v, CS_FIRST_WINS_US - next_us(s));
    return TC_OK;
}

#define PUT_int64_t tc_cql_put_bigint
#define PUT_double tc_cql_put_double
#define SUM_PUT(field, ctype, sqltype) PUT_##ctype(v, x->field);

static int put_score(struct tc_cassandra *s, const struct tc_score *x)
{
    int rc = list_model(s, x->symbol, x->model, x->day);
    struct tc_buf *v = rc == TC_OK ? row_of(s, CS_SCORE, x->symbol, x->model, x->day) : NULL;
    if (!v)
        return TC_EBUSY;
    tc_cql_put_text(v, x->symbol);
    tc_cql_put_text(v, x->model);
    cs_put_date(v, x->day);
    tc_cql_put_text(v, tc_kind_name(x->kind));
    tc_cql_put_int(v, x->horizon_ms);
    tc_cql_put_text(v, x->inputs);
    tc_cql_put_int(v, x->slot);
    TC_SCORE_SUMS(SUM_PUT)
    tc_cql_put_bigint(v, next_us(s));
    return TC_OK;
}

static int put_checkpoint(struct tc_cassandra *s, const struct tc_checkpoint *k, int64_t offset)
{
    struct tc_buf *v;
    struct tc_cql_write *w = single(s, CS_SNAPSHOT, &v);
    if (!w)
        return TC_EBUSY;
    tc_cql_put_text(v, k->role);
    tc_cql_put_text(v, tc_topic_name(k->topic));
    tc_cql_put_int(v, k->partition);
    tc_cql_put_bigint(v, k->position);
    tc_cql_put_text(v, k->kernel);
    tc_cql_put_bytes(v, k->blob, k->blob_len);
    tc_cql_put_bigint(v, offset);
    tc_cql_put_bigint(v, next_us(s));
    return tc_cql_write_send(s->client, w);
}

static int put_meta(struct tc_cassandra *s, const char *name, int64_t value)
{
    struct tc_buf *v;
    struct tc_cql_write *w = single(s, CS_META, &v);
    char text[24];
    if (!w)
        return TC_EBUSY;
    snprintf(text, sizeof(text), "%lld", (long long)value);
    tc_cql_put_text(v, name);
    tc_cql_put_text(v, text);
    tc_cql_put_bigint(v, next_us(s));
    return tc_cql_write_send(s->client, w);
}

static bool newer_checkpoint_follows(const struct tc_record *records, size_t i, size_t n)
{
    for (size_t j = i + 1; j < n; j++)
        if (records[j].type == TC_REC_CHECKPOINT &&
            !strcmp(records[j].checkpoint.role, records[i].checkpoint.role))
            return true;
    return false;
}

static int put_record(struct tc_cassandra *s, enum tc_topic topic, const struct tc_record *records,
                      const int64_t *offsets, size_t i, size_t n)
{
    const struct tc_record *r = &records[i];
    char name[32];
    switch (r->type) {
    case TC_REC_BAR:
        return put_bar(s, &r->bar);
    case TC_REC_QUOTE:
        return put_quote(s, &r->quote);
    case TC_REC_SECOND:
        return put_second(s, &r->second);
    case TC_REC_GAP:
        return put_gap(s, &r->gap);
    case TC_REC_QUALITY:
        return put_quality(s, &r->quality);
    case TC_REC_FORECAST:
        return put_forecast(s, &r->forecast);
    case TC_REC_OUTCOME:
        return put_outcome(s, &r->outcome);
    case TC_REC_SCORE:
        return put_score(s, &r->score);
    case TC_REC_CHECKPOINT:
        return newer_checkpoint_follows(records, i, n) ? TC_OK
                                                       : put_checkpoint(s, &r->checkpoint, offsets[i]);
    case TC_REC_END:
        snprintf(name, sizeof(name), "ended:%s", tc_topic_name(topic));
        return put_meta(s, name, offsets[i]);
    case TC_REC_POST:
    case TC_REC_REMOVED:
        return tc_fail(TC_ECONF, "posts are kept in SQLite only: switch social.enabled off");
    }
    return tc_fail(TC_EINTERNAL, "%s: a record of unknown type %d", s->keyspace, (int)r->type);
}

/* Rows that are gathered but not sent are forgotten: the same records come again. */
static void drop_batches(struct tc_cassandra *s)
{
    for (int i = 0; i < CS_BATCHES; i++)
        if (s->batches[i].write) {
            tc_cql_write_drop(s->client, s->batches[i].write);
            s->batches[i].write = NULL;
        }
    memset(s->seen, 0, sizeof(s->seen)); /* what the lists were told may not have arrived */
}

static int put_rows(struct tc_cassandra *s, enum tc_topic topic, const struct tc_record *records,
                    const int64_t *offsets, size_t n)
{
    uint32_t refused;
    int rc = TC_OK;
    for (size_t i = 0; i < n && rc == TC_OK; i++)
        rc = put_record(s, topic, records, offsets, i, n);
    if (rc == TC_OK)
        rc = send_batches(s);
    if (rc != TC_OK) {
        char text[400];
        snprintf(text, sizeof(text), "%s", tc_error());
        drop_batches(s);
        (void)tc_cql_finish(s->client, &refused);
        return tc_fail(rc, "%s", text);
    }
    rc = tc_cql_finish(s->client, &refused);
    if (rc != TC_OK)
        drop_batches(s);
    return rc;
}

static int put_position(struct tc_cassandra *s, const char *group, enum tc_topic topic, int64_t position)
{
    struct tc_buf *v;
    uint32_t refused;
    struct tc_cql_write *w = single(s, CS_POSITION, &v);
    if (!w)
        return TC_EBUSY;
    tc_cql_put_text(v, group);
    tc_cql_put_text(v, tc_topic_name(topic));
    tc_cql_put_int(v, 0);
    tc_cql_put_bigint(v, position);
    tc_cql_put_bigint(v, next_us(s));
    int rc = tc_cql_write_send(s->client, w);
    return rc == TC_OK ? tc_cql_finish(s->client, &refused) : rc;
}

static int cs_put(void *self, const char *group, enum tc_topic topic, int64_t position,
                  const struct tc_record *records, const int64_t *offsets, size_t n,
                  struct tc_store_counts *counts)
{
    struct tc_cassandra *s = self;
    int rc = put_rows(s, topic, records, offsets, n);
    if (rc == TC_OK)
        rc = put_position(s, group, topic, position);
    if (rc != TC_OK)
        return tc_more(rc, "keyspace %s", s->keyspace);
    counts->inserted += n;
    return TC_OK;
}

/* What was acknowledged is as durable as the cluster makes it (docs/operations.md). */
static int cs_sync(void *self)
{
    (void)self;
    return TC_OK;
}

/* --- retention
 * ---------------------------------------------------------------------------------------------- */

static int drop_day(struct tc_cassandra *s, const char *symbol, int32_t day)
{
    static char models[CS_MODELS_MAX][TC_MODEL_SIZE];
    struct tc_buf *v;
    size_t n = 0;
    int rc = cs_models(s, symbol, day, models, &n);
    for (size_t i = 0; i < n && rc == TC_OK; i++) {
        struct tc_cql_write *w = single(s, CS_DROP_FORECASTS, &v);
        if (!w)
            return TC_EBUSY;
        tc_cql_put_bigint(v, CS_FIRST_WINS_US);
        tc_cql_put_text(v, symbol);
        tc_cql_put_text(v, models[i]);
        cs_put_date(v, day);
        rc = tc_cql_write_send(s->client, w);
    }
    struct tc_cql_write *w = rc == TC_OK ? single(s, CS_DROP_OUTCOMES, &v) : NULL;
    if (!w)
        return rc == TC_OK ? TC_EBUSY : rc;
    tc_cql_put_bigint(v, CS_FIRST_WINS_US);
    tc_cql_put_text(v, symbol);
    cs_put_date(v, day);
    return tc_cql_write_send(s->client, w);
}

/* Whole days only: a partition goes by one tombstone. Days without forecasts cost one read, once. */
static int prune_symbol(struct tc_cassandra *s, const struct cs_symbol *x, int32_t end, uint32_t limit,
                        uint32_t *done)
{
    int64_t to = tc_days_from_date(end);
    int64_t from = x->first ? tc_days_from_date(x->first) : to;
    int rc = TC_OK;
    for (int64_t d = from; d < to && *done < limit && rc == TC_OK; d++) {
        int32_t day = tc_date_from_days(d);
        if (!first_time(s, partition_hash(CS_DROP_OUTCOMES, x->name, "", day)))
            continue;
        rc = drop_day(s, x->name, day);
        (*done)++;
    }
    return rc;
}

static int cs_prune(void *self, int64_t before, uint32_t limit, uint64_t *deleted)
{
    struct tc_cassandra *s = self;
    struct cs_symbol *list;
    uint32_t refused, done = 0;
    size_t n;
    int64_t day = tc_floor_div(before, 86400 * TC_NS_PER_SEC);
    if (day == s->pruned_day)
        return TC_DONE;
    int rc = cs_symbols(s, NULL, &list, &n);
    if (rc != TC_OK)
        return rc;
    for (size_t i = 0; i < n && rc == TC_OK && done < limit; i++)
        rc = prune_symbol(s, &list[i], cs_day(s, list[i].name, before), limit, &done);
    free(list);
    int finished = tc_cql_finish(s->client, &refused);
    *deleted += done;
    rc = rc == TC_OK ? finished : rc;
    if (rc == TC_OK && done < limit)
        s->pruned_day = day;
    return rc != TC_OK ? rc : done == limit ? TC_AGAIN : TC_DONE;
}

/* --- open
 * --------------------------------------------------------------------------------------------------- */

static void cs_close(void *self)
{
    struct tc_cassandra *s = self;
    if (!s)
        return;
    tc_cql_client_close(s->client);
    tc_buf_release(&s->text);
    tc_buf_release(&s->values);
    free(s->texts);
    free(s);
}

static int reader_put(void *self, const char *group, enum tc_topic topic, int64_t position,
                      const struct tc_record *records, const int64_t *offsets, size_t n,
                      struct tc_store_counts *counts)
{
    (void)self, (void)group, (void)topic, (void)position, (void)records, (void)offsets, (void)n, (void)counts;
    return tc_fail(TC_EINTERNAL, "this store was opened for reading");
}

static int reader_prune(void *self, int64_t before, uint32_t limit, uint64_t *deleted)
{
    (void)self, (void)before, (void)limit, (void)deleted;
    return tc_fail(TC_EINTERNAL, "this store was opened for reading");
}

/* The ledger of the schedule role is kept in the data folder of the process that runs it. */
static int cs_ledger(void *self, const struct tc_ledger_query *q, tc_ledger_fn fn, void *ctx)
{
    (void)self, (void)q, (void)fn, (void)ctx;
    return TC_OK;
}

#define READING                                                                                              \
    .position = cs_position, .snapshot = cs_snapshot, .info = cs_info, .latest = cs_latest, .bars = cs_bars, \
    .quotes = cs_quotes, .forecasts = cs_forecasts, .outcomes = cs_outcomes, .scores = cs_scores,            \
    .gaps = cs_gaps, .quality = cs_quality, .ledger = cs_ledger, .close = cs_close

static const struct tc_store_ops writer_ops = {
    .name = "cassandra", .put = cs_put, .sync = cs_sync, .settle = cs_sync, .prune = cs_prune, READING};
static const struct tc_store_ops reader_ops = {.name = "cassandra",
                                               .put = reader_put,
                                               .sync = cs_sync,
                                               .settle = cs_sync,
                                               .prune = reader_prune,
                                               READING};

static int open_store(const struct tc_cassandra_conf *conf, enum tc_world world, bool writer,
                      struct tc_store *out)
{
    struct tc_cassandra *s = calloc(1, sizeof(*s));
    if (!s)
        return tc_fail(TC_ENOMEM, "no memory for the store");
    s->conf = *conf;
    s->world = world;
    s->writer = writer;
    tc_buf_init(&s->text, TEXT_MAX);
    tc_buf_init(&s->values, TEXT_MAX);
    int rc = cs_keyspace(conf->keyspace, world, s->keyspace);
    if (rc == TC_OK)
        rc = cs_check_schema(conf, s->keyspace);
    if (rc == TC_OK)
        rc = cs_statements(s);
    if (rc == TC_OK)
        rc = tc_cql_client_open(&conf->cql, &s->statements, &s->client);
    if (rc != TC_OK) {
        cs_close(s);
        return rc;
    }
    *out = (struct tc_store){writer ? &writer_ops : &reader_ops, s};
    return TC_OK;
}

int tc_cassandra_open(const struct tc_cassandra_conf *conf, enum tc_world world, struct tc_store *out)
{
    return open_store(conf, world, true, out);
}

int tc_cassandra_open_reader(const struct tc_cassandra_conf *conf, enum tc_world world, struct tc_store *out)
{
    return open_store(conf, world, false, out);
}
