/* Posts and mentions in the SQLite store, written and read. */
#include "store/sqlite_int.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define POST_COLUMNS \
    "id, source, place, url, author, created, available, origin, compound, pos, neu, neg, text"
#define MINUTE "60000000000"

enum {
    POST_AVAILABLE,
    POST_PUT,
    MENTIONS_DROP,
    MENTION_PUT,
    POST_DROP,
    BEGIN,
    COMMIT,
    PRUNE_POSTS,
    PRUNE_MENTIONS,
    COUNT
};

static const char *const sql_text[COUNT] = {
    [POST_AVAILABLE] = "SELECT available FROM posts WHERE id = ?1",
    [POST_PUT] =
        "INSERT OR REPLACE INTO posts(" POST_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
    [MENTIONS_DROP] = "DELETE FROM mentions WHERE id = ?1",
    [MENTION_PUT] =
        "INSERT OR REPLACE INTO mentions(symbol, created, id, available, evidence, counted, compound) "
        "VALUES(?1,?2,?3,?4,?5,?6,?7)",
    [POST_DROP] = "DELETE FROM posts WHERE id = ?1",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [PRUNE_POSTS] = "DELETE FROM posts WHERE id IN (SELECT id FROM posts WHERE created < max(?1, ?2) AND "
                    "created < iif(source = 'reddit', ?1, ?2) ORDER BY created LIMIT ?3)",
    [PRUNE_MENTIONS] = "DELETE FROM mentions WHERE (symbol, created, id) IN (SELECT symbol, created, id FROM "
                       "mentions WHERE created < ?1 ORDER BY created LIMIT ?2)",
};

_Static_assert((int)COUNT <= (int)TC_POST_STATEMENTS, "room for the statements");

/* NULL with the error set. */
static sqlite3_stmt *statement(struct tc_sqlite *s, int which)
{
    if (!s->posts[which] && sqlite3_prepare_v3(s->db, sql_text[which], -1, SQLITE_PREPARE_PERSISTENT,
                                               &s->posts[which], NULL) != SQLITE_OK)
        tc_sqlite_fail(s, sql_text[which]);
    return s->posts[which];
}

void tc_sqlite_release_posts(struct tc_sqlite *s)
{
    for (int i = 0; i < TC_POST_STATEMENTS; i++)
        sqlite3_finalize(s->posts[i]);
}

static int finish(struct tc_sqlite *s, sqlite3_stmt *st, const char *what, int *changed)
{
    int step = sqlite3_step(st);
    int rc = step == SQLITE_DONE ? TC_OK : tc_sqlite_fail(s, what);
    if (changed)
        *changed = sqlite3_changes(s->db);
    sqlite3_reset(st);
    return rc;
}

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
    sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static void bind_num(sqlite3_stmt *st, int at, double v)
{
    if (isfinite(v))
        sqlite3_bind_double(st, at, v);
    else
        sqlite3_bind_null(st, at);
}

/* --- writing ---------------------------------------------------------------------------------------------*/

static int drop(struct tc_sqlite *s, int which, const char *id, int *changed)
{
    sqlite3_stmt *st = statement(s, which);
    if (!st)
        return TC_EIO;
    bind_text(st, 1, id);
    return finish(s, st, "remove a post", changed);
}

static int put_mentions(struct tc_sqlite *s, const struct tc_post *p)
{
    int rc = drop(s, MENTIONS_DROP, p->id, NULL); /* an edited post may speak of others */
    sqlite3_stmt *st = statement(s, MENTION_PUT);
    if (!st)
        return TC_EIO;
    for (int32_t i = 0; i < p->n_mentions && !rc; i++) {
        const struct tc_mention *m = &p->mentions[i];
        bind_text(st, 1, m->symbol);
        sqlite3_bind_int64(st, 2, p->created);
        bind_text(st, 3, p->id);
        sqlite3_bind_int64(st, 4, p->available);
        bind_text(st, 5, tc_evidence_name(m->evidence));
        sqlite3_bind_int(st, 6, m->counted);
        bind_num(st, 7, p->compound);
        rc = finish(s, st, "write a mention", NULL);
    }
    return rc;
}

static int stored_available(struct tc_sqlite *s, const char *id, bool *found, int64_t *available)
{
    sqlite3_stmt *st = statement(s, POST_AVAILABLE);
    if (!st)
        return TC_EIO;
    bind_text(st, 1, id);
    int step = sqlite3_step(st);
    *found = step == SQLITE_ROW;
    *available = *found ? sqlite3_column_int64(st, 0) : 0;
    int rc = step == SQLITE_ROW || step == SQLITE_DONE ? TC_OK : tc_sqlite_fail(s, "look up a post");
    sqlite3_reset(st);
    return rc;
}

static int put_post(struct tc_sqlite *s, const struct tc_post *p, struct tc_store_counts *c)
{
    bool found;
    int64_t available;
    int rc = stored_available(s, p->id, &found, &available);
    if (rc)
        return rc;
    if (found && available >= p->available) {
        *(available == p->available ? &c->duplicate : &c->superseded) += 1;
        return TC_OK;
    }
    sqlite3_stmt *st = statement(s, POST_PUT);
    if (!st)
        return TC_EIO;
    bind_text(st, 1, p->id);
    bind_text(st, 2, p->source);
    bind_text(st, 3, p->place);
    bind_text(st, 4, p->url);
    sqlite3_bind_int64(st, 5, (int64_t)p->author);
    sqlite3_bind_int64(st, 6, p->created);
    sqlite3_bind_int64(st, 7, p->available);
    bind_text(st, 8, tc_origin_name(p->origin));
    bind_num(st, 9, p->compound);
    bind_num(st, 10, p->pos);
    bind_num(st, 11, p->neu);
    bind_num(st, 12, p->neg);
    bind_text(st, 13, p->text);
    rc = finish(s, st, "write a post", NULL);
    if (!rc)
        rc = put_mentions(s, p);
    if (!rc)
        *(found ? &c->superseded : &c->inserted) += 1;
    return rc;
}

static int put_removed(struct tc_sqlite *s, const struct tc_removed *r, struct tc_store_counts *c)
{
    int posts = 0, mentions = 0;
    int rc = drop(s, POST_DROP, r->id, &posts);
    if (!rc)
        rc = drop(s, MENTIONS_DROP, r->id, &mentions);
    if (!rc)
        *(posts || mentions ? &c->superseded : &c->duplicate) += 1;
    return rc;
}

int tc_sqlite_put_post(struct tc_sqlite *s, const struct tc_record *r, struct tc_store_counts *c)
{
    return r->type == TC_REC_POST ? put_post(s, &r->post, c) : put_removed(s, &r->removed, c);
}

static int prune_step(struct tc_sqlite *s, const struct tc_post_ages *ages, uint32_t limit, int *posts,
                      int *mentions)
{
    sqlite3_stmt *st = statement(s, PRUNE_POSTS);
    if (!st)
        return TC_EIO;
    sqlite3_bind_int64(st, 1, ages->asked);
    sqlite3_bind_int64(st, 2, ages->others);
    sqlite3_bind_int64(st, 3, limit);
    int rc = finish(s, st, "delete old posts", posts);
    st = rc ? NULL : statement(s, PRUNE_MENTIONS);
    if (!st)
        return rc ? rc : TC_EIO;
    sqlite3_bind_int64(st, 1, ages->mentions);
    sqlite3_bind_int64(st, 2, limit);
    return finish(s, st, "delete old mentions", mentions);
}

static int prune_posts(void *self, const struct tc_post_ages *ages, uint32_t limit, uint64_t *deleted)
{
    struct tc_sqlite *s = self;
    int posts = 0, mentions = 0;
    sqlite3_stmt *begin = statement(s, BEGIN), *commit = statement(s, COMMIT);
    if (!begin || !commit)
        return TC_EIO;
    int rc = finish(s, begin, "begin", NULL);
    if (rc)
        return rc;
    rc = prune_step(s, ages, limit, &posts, &mentions);
    if (!rc)
        rc = finish(s, commit, "commit", NULL);
    if (rc) {
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        return rc;
    }
    *deleted += (uint64_t)posts + (uint64_t)mentions;
    return posts < (int)limit && mentions < (int)limit ? TC_DONE : TC_AGAIN;
}

/* --- reading ---------------------------------------------------------------------------------------------*/

static double num_at(sqlite3_stmt *st, int at)
{
    return sqlite3_column_type(st, at) == SQLITE_NULL ? NAN : sqlite3_column_double(st, at);
}

static void text_at(sqlite3_stmt *st, int at, char *out, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(st, at);
    snprintf(out, size, "%s", text ? text : "");
}

static enum tc_evidence evidence_at(sqlite3_stmt *st, int at)
{
    const char *text = (const char *)sqlite3_column_text(st, at);
    for (int e = 0; text && e < TC_EVIDENCE_COUNT; e++)
        if (!strcmp(text, tc_evidence_name((enum tc_evidence)e)))
            return (enum tc_evidence)e;
    return TC_EVIDENCE_NAME;
}

static int read_mentions(const struct tc_sqlite *s, sqlite3_stmt *st, struct tc_post *p)
{
    int step;
    sqlite3_reset(st);
    bind_text(st, 1, p->id);
    while ((step = sqlite3_step(st)) == SQLITE_ROW && p->n_mentions < TC_MENTIONS_MAX) {
        struct tc_mention *m = &p->mentions[p->n_mentions++];
        text_at(st, 0, m->symbol, sizeof(m->symbol));
        m->evidence = evidence_at(st, 1);
        m->counted = sqlite3_column_int(st, 2);
    }
    return step == SQLITE_ROW || step == SQLITE_DONE ? TC_OK : tc_sqlite_fail(s, "read mentions");
}

static int read_post(const struct tc_sqlite *s, sqlite3_stmt *st, sqlite3_stmt *mentions,
                     struct tc_record *out)
{
    struct tc_post *p = &out->post;
    memset(out, 0, sizeof(*out));
    out->type = TC_REC_POST;
    out->from = -1;
    text_at(st, 0, p->id, sizeof(p->id));
    text_at(st, 1, p->source, sizeof(p->source));
    text_at(st, 2, p->place, sizeof(p->place));
    text_at(st, 3, p->url, sizeof(p->url));
    p->author = (uint64_t)sqlite3_column_int64(st, 4);
    p->created = sqlite3_column_int64(st, 5);
    p->available = sqlite3_column_int64(st, 6);
    const char *origin = (const char *)sqlite3_column_text(st, 7);
    p->compound = num_at(st, 8);
    p->pos = num_at(st, 9);
    p->neu = num_at(st, 10);
    p->neg = num_at(st, 11);
    text_at(st, 12, p->text, sizeof(p->text));
    int rc = tc_origin_parse(origin ? origin : "", &p->origin);
    return rc ? rc : read_mentions(s, mentions, p);
}

static int prepare(const struct tc_sqlite *s, const char *sql, sqlite3_stmt **st)
{
    return sqlite3_prepare_v2(s->db, sql, -1, st, NULL) == SQLITE_OK ? TC_OK : tc_sqlite_fail(s, sql);
}

static void bind_range(sqlite3_stmt *st, const struct tc_range *q)
{
    if (q->symbol)
        bind_text(st, 1, q->symbol);
    sqlite3_bind_int64(st, 2, q->from);
    sqlite3_bind_int64(st, 3, q->to);
    sqlite3_bind_int64(st, 4, q->limit ? (int64_t)q->limit : -1);
}

static int read_posts(void *self, const struct tc_range *q, tc_row_fn fn, void *ctx)
{
    const struct tc_sqlite *s = self;
    static struct tc_record zero;
    struct tc_record row = zero;
    sqlite3_stmt *st = NULL, *mentions = NULL;
    char sql[640];
    const char *order = q->newest ? " DESC" : "";
    if (q->symbol)
        snprintf(sql, sizeof(sql),
                 "SELECT " POST_COLUMNS
                 " FROM posts WHERE id IN (SELECT m.id FROM mentions AS m JOIN posts AS p ON "
                 "p.id = m.id WHERE m.symbol = ?1 AND m.created >= ?2 AND m.created < ?3 ORDER BY "
                 "m.created%s LIMIT ?4) "
                 "ORDER BY created, id",
                 order);
    else
        snprintf(sql, sizeof(sql),
                 "SELECT * FROM (SELECT " POST_COLUMNS
                 " FROM posts WHERE created >= ?2 AND created < ?3 ORDER BY "
                 "created%s, id%s LIMIT ?4) ORDER BY created, id",
                 order, order);
    int rc = prepare(s, sql, &st);
    if (!rc)
        rc = prepare(s, "SELECT symbol, evidence, counted FROM mentions WHERE id = ?1 ORDER BY symbol",
                     &mentions);
    if (!rc)
        bind_range(st, q);
    while (!rc) {
        int step = sqlite3_step(st);
        if (step != SQLITE_ROW) {
            rc = step == SQLITE_DONE ? TC_OK : tc_sqlite_fail(s, "read posts");
            break;
        }
        rc = read_post(s, st, mentions, &row);
        rc = rc ? rc : fn(ctx, &row);
    }
    sqlite3_finalize(mentions);
    sqlite3_finalize(st);
    return rc;
}

static int read_sentiment(void *self, const struct tc_range *q, tc_sentiment_fn fn, void *ctx)
{
    const struct tc_sqlite *s = self;
    sqlite3_stmt *st;
    char sql[512];
    snprintf(sql, sizeof(sql),
             "SELECT * FROM (SELECT created / " MINUTE " * " MINUTE " AS minute, count(*), avg(compound), "
             "avg(compound > 0.05) FROM mentions WHERE symbol = ?1 AND created >= ?2 AND created < ?3 AND "
             "counted AND "
             "compound IS NOT NULL GROUP BY minute ORDER BY minute%s LIMIT ?4) ORDER BY minute",
             q->newest ? " DESC" : "");
    int rc = prepare(s, sql, &st);
    if (rc)
        return rc;
    bind_range(st, q);
    while (!rc) {
        int step = sqlite3_step(st);
        if (step != SQLITE_ROW) {
            rc = step == SQLITE_DONE ? TC_OK : tc_sqlite_fail(s, "read sentiment");
            break;
        }
        struct tc_sentiment_minute m = {.minute = sqlite3_column_int64(st, 0),
                                        .n = sqlite3_column_int64(st, 1),
                                        .mean = sqlite3_column_double(st, 2),
                                        .share_positive = sqlite3_column_double(st, 3)};
        rc = fn(ctx, &m);
    }
    sqlite3_finalize(st);
    return rc;
}

static int read_ids(void *self, const char *source, const char *after, uint32_t limit, tc_post_id_fn fn,
                    void *ctx)
{
    const struct tc_sqlite *s = self;
    sqlite3_stmt *st;
    int rc = prepare(s, "SELECT id FROM posts WHERE source = ?1 AND id > ?2 ORDER BY id LIMIT ?3", &st);
    if (rc)
        return rc;
    bind_text(st, 1, source);
    bind_text(st, 2, after);
    sqlite3_bind_int64(st, 3, limit);
    while (!rc) {
        int step = sqlite3_step(st);
        if (step != SQLITE_ROW) {
            rc = step == SQLITE_DONE ? TC_OK : tc_sqlite_fail(s, "read ids of posts");
            break;
        }
        rc = fn(ctx, (const char *)sqlite3_column_text(st, 0));
    }
    sqlite3_finalize(st);
    return rc;
}

static int reader_may_not_prune(void *self, const struct tc_post_ages *ages, uint32_t limit,
                                uint64_t *deleted)
{
    const struct tc_sqlite *s = self;
    (void)ages, (void)limit, (void)deleted;
    return tc_fail(TC_EINTERNAL, "%s: was opened for reading", s->path);
}

const struct tc_post_ops tc_sqlite_post_writer = {
    .read = read_posts, .sentiment = read_sentiment, .ids = read_ids, .prune = prune_posts};

const struct tc_post_ops tc_sqlite_post_reader = {
    .read = read_posts, .sentiment = read_sentiment, .ids = read_ids, .prune = reader_may_not_prune};
