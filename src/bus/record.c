#include "bus/record.h"
#include "base/err.h"

#include <endian.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

/* One layout function a type serves both directions: it visits the fields in the order of docs/formats.md and
 * each visit either writes the field or reads and checks it. So the two directions cannot drift apart. */
enum { VERSION = 1, SCORE_VERSION = 2, BODY_MAX = 2048 };

/* Bits of a point. Most models give no probabilities: they are left out then. */
enum { POINT_GATE_OPEN = 1, POINT_HAS_P = 2 };

struct codec {
    bool write;
    bool bad;         /* reading: input too short or a value outside its range; writing: such a value */
    const char *what; /* the field that was bad */
    uint8_t version;
    uint8_t *to; /* writing: next byte; room for BODY_MAX is reserved before */
    const uint8_t *at, *end;
};

_Static_assert(BODY_MAX > 10 + 300 + TC_POINTS_MAX * 80, "the largest record without its blob must fit");

const char *tc_topic_name(enum tc_topic t)
{
    static const char *const names[TC_TOPIC_COUNT] = {"bars", "forecasts", "posts"};
    return (unsigned)t < TC_TOPIC_COUNT ? names[t] : "?";
}

const char *tc_evidence_name(enum tc_evidence e)
{
    static const char *const names[TC_EVIDENCE_COUNT] = {"cashtag", "option", "capitals", "context", "name"};
    return (unsigned)e < TC_EVIDENCE_COUNT ? names[e] : "?";
}

const char *tc_kind_name(enum tc_kind k)
{
    static const char *const names[TC_KIND_COUNT] = {"next", "last", "mid"};
    return (unsigned)k < TC_KIND_COUNT ? names[k] : "?";
}

static void bad(struct codec *c, const char *what)
{
    if (!c->bad) {
        c->bad = true;
        c->what = what;
    }
}

/* Takes n bytes of the input, NULL when it has fewer. */
static const uint8_t *take(struct codec *c, size_t n, const char *what)
{
    if (c->bad || (size_t)(c->end - c->at) < n) {
        bad(c, what);
        return NULL;
    }
    const uint8_t *p = c->at;
    c->at += n;
    return p;
}

static void do_u8(struct codec *c, uint8_t *v, const char *what)
{
    if (c->write) {
        *c->to++ = *v;
        return;
    }
    const uint8_t *p = take(c, 1, what);
    *v = p ? *p : 0;
}

static void do_u32(struct codec *c, uint32_t *v, const char *what)
{
    uint32_t le;
    if (c->write) {
        le = htole32(*v);
        memcpy(c->to, &le, sizeof(le));
        c->to += sizeof(le);
        return;
    }
    const uint8_t *p = take(c, sizeof(le), what);
    *v = 0;
    if (p) {
        memcpy(&le, p, sizeof(le));
        *v = le32toh(le);
    }
}

static void do_u64(struct codec *c, uint64_t *v, const char *what)
{
    uint64_t le;
    if (c->write) {
        le = htole64(*v);
        memcpy(c->to, &le, sizeof(le));
        c->to += sizeof(le);
        return;
    }
    const uint8_t *p = take(c, sizeof(le), what);
    *v = 0;
    if (p) {
        memcpy(&le, p, sizeof(le));
        *v = le64toh(le);
    }
}

static void do_i32(struct codec *c, int32_t *v, const char *what)
{
    uint32_t u = (uint32_t)*v;
    do_u32(c, &u, what);
    if (!c->write)
        *v = (int32_t)u;
}

static void do_i64(struct codec *c, int64_t *v, const char *what)
{
    uint64_t u = (uint64_t)*v;
    do_u64(c, &u, what);
    if (!c->write)
        *v = (int64_t)u;
}

static void do_f64(struct codec *c, double *v, const char *what)
{
    uint64_t u;
    memcpy(&u, v, sizeof(u));
    do_u64(c, &u, what);
    if (!c->write)
        memcpy(v, &u, sizeof(u));
}

static void do_bool(struct codec *c, bool *v, const char *what)
{
    uint8_t u = c->write && *v;
    do_u8(c, &u, what);
    if (u > 1)
        bad(c, what);
    if (!c->write)
        *v = u == 1;
}

/* The checked value; the same as `v` when writing. */
static unsigned do_enum(struct codec *c, unsigned v, unsigned count, const char *what)
{
    uint8_t u = (uint8_t)v;
    do_u8(c, &u, what);
    unsigned now = c->write ? v : u;
    if (now < count)
        return now;
    bad(c, what);
    return 0;
}

/* Length byte, then the text without its 0 byte; size counts the 0 byte. */
static void do_text(struct codec *c, char *text, size_t size, const char *what)
{
    if (c->write) {
        size_t n = strnlen(text, size);
        if (n == size) {
            bad(c, what);
            n = 0;
        }
        *c->to++ = (uint8_t)n;
        memcpy(c->to, text, n);
        c->to += n;
        return;
    }
    uint8_t n = 0;
    do_u8(c, &n, what);
    const uint8_t *p = n < size ? take(c, n, what) : NULL;
    if (!p || memchr(p, 0, n)) {
        bad(c, what);
        n = 0;
    }
    if (n)
        memcpy(text, p, n);
    memset(text + n, 0, size - n);
}

/* As do_text with two bytes of length, for texts of more than 255. */
static void do_long_text(struct codec *c, char *text, size_t size, const char *what)
{
    size_t n = c->write ? strnlen(text, size) : 0;
    if (n == size) {
        bad(c, what);
        n = 0;
    }
    uint8_t low = (uint8_t)n, high = (uint8_t)(n >> 8);
    do_u8(c, &low, what);
    do_u8(c, &high, what);
    if (c->write) {
        memcpy(c->to, text, n);
        c->to += n;
        return;
    }
    n = (size_t)low | (size_t)high << 8;
    const uint8_t *p = n < size ? take(c, n, what) : NULL;
    if (!p || memchr(p, 0, n)) {
        bad(c, what);
        n = 0;
    }
    if (n)
        memcpy(text, p, n);
    memset(text + n, 0, size - n);
}

/* A count of array elements, one byte. */
static void do_count(struct codec *c, int32_t *v, int32_t max, const char *what)
{
    uint8_t u = (uint8_t)*v;
    do_u8(c, &u, what);
    if (u > max)
        bad(c, what);
    if (!c->write)
        *v = u > max ? 0 : u;
}

static void do_quote(struct codec *c, struct tc_quote *q, double *lag_ms)
{
    do_f64(c, &q->bid, "bid");
    do_f64(c, &q->ask, "ask");
    do_f64(c, &q->bid_size, "bid_size");
    do_f64(c, &q->ask_size, "ask_size");
    do_f64(c, lag_ms, "quote_lag_ms");
}

static void do_origin(struct codec *c, enum tc_origin *o)
{
    unsigned v = do_enum(c, *o, TC_ORIGIN_COUNT, "origin");
    if (!c->write)
        *o = (enum tc_origin)v;
}

static void do_bar(struct codec *c, struct tc_bar *b)
{
    do_text(c, b->symbol, sizeof(b->symbol), "symbol");
    do_text(c, b->feed, sizeof(b->feed), "feed");
    do_i64(c, &b->start, "start");
    do_i64(c, &b->available, "available");
    do_i32(c, &b->interval_ms, "interval_ms");
    do_i32(c, &b->trades, "trades");
    do_f64(c, &b->open, "open");
    do_f64(c, &b->high, "high");
    do_f64(c, &b->low, "low");
    do_f64(c, &b->close, "close");
    do_f64(c, &b->vwap, "vwap");
    do_f64(c, &b->volume, "volume");
    do_quote(c, &b->quote, &b->quote_lag_ms);
    do_f64(c, &b->tape.tm5, "tape.tm5");
    do_f64(c, &b->tape.tm20, "tape.tm20");
    do_f64(c, &b->tape.sg20, "tape.sg20");
    do_f64(c, &b->tape.up, "tape.up");
    do_f64(c, &b->tape.dn, "tape.dn");
    do_f64(c, &b->tape.lit, "tape.lit");
    do_f64(c, &b->tape.sv, "tape.sv");
    do_origin(c, &b->origin);
    do_i32(c, &b->revision, "revision");
}

static void do_second_quote(struct codec *c, struct tc_second_quote *q)
{
    do_text(c, q->symbol, sizeof(q->symbol), "symbol");
    do_text(c, q->feed, sizeof(q->feed), "feed");
    do_i64(c, &q->second, "second");
    do_i64(c, &q->available, "available");
    do_quote(c, &q->quote, &q->quote_lag_ms);
    do_origin(c, &q->origin);
}

static void do_second(struct codec *c, struct tc_second *s)
{
    do_text(c, s->feed, sizeof(s->feed), "feed");
    do_i64(c, &s->second, "second");
    do_i64(c, &s->available, "available");
    do_i32(c, &s->expected, "expected");
    do_i32(c, &s->traded, "traded");
    do_bool(c, &s->healthy, "healthy");
    do_bool(c, &s->log_time, "log_time");
    do_f64(c, &s->delay_ms, "delay_ms");
    do_origin(c, &s->origin);
}

static void do_gap(struct codec *c, struct tc_gap *g)
{
    do_text(c, g->symbol, sizeof(g->symbol), "symbol");
    do_text(c, g->feed, sizeof(g->feed), "feed");
    do_text(c, g->reason, sizeof(g->reason), "reason");
    do_i64(c, &g->start, "start");
    do_i64(c, &g->end, "end");
    do_bool(c, &g->filled, "filled");
}

static void do_quality(struct codec *c, struct tc_quality *q)
{
    do_text(c, q->symbol, sizeof(q->symbol), "symbol");
    do_i32(c, &q->day, "day");
    do_i64(c, &q->traded, "traded");
    do_i64(c, &q->no_trade, "no_trade");
    do_i64(c, &q->unknown, "unknown");
    do_i64(c, &q->duplicates, "duplicates");
    do_i64(c, &q->late, "late");
    do_i64(c, &q->revised, "revised");
    do_i64(c, &q->backfilled, "backfilled");
    do_i64(c, &q->gaps, "gaps");
}

static void do_kind(struct codec *c, enum tc_kind *k)
{
    unsigned v = do_enum(c, *k, TC_KIND_COUNT, "kind");
    if (!c->write)
        *k = (enum tc_kind)v;
}

static void do_point(struct codec *c, struct tc_point *p)
{
    do_kind(c, &p->kind);
    do_i32(c, &p->horizon_ms, "horizon_ms");
    do_i64(c, &p->target, "target");
    do_f64(c, &p->value, "value");
    do_f64(c, &p->lo, "lo");
    do_f64(c, &p->hi, "hi");
    bool known = !isnan(p->p_down) || !isnan(p->p_none) || !isnan(p->p_up);
    uint8_t bits = (uint8_t)((p->gate_open ? POINT_GATE_OPEN : 0) | (known ? POINT_HAS_P : 0));
    do_u8(c, &bits, "point's bits");
    if (bits > (POINT_GATE_OPEN | POINT_HAS_P))
        bad(c, "point's bits");
    if (!c->write) {
        p->gate_open = bits & POINT_GATE_OPEN;
        p->p_down = p->p_none = p->p_up = NAN;
    }
    if (!(bits & POINT_HAS_P))
        return;
    do_f64(c, &p->p_down, "p_down");
    do_f64(c, &p->p_none, "p_none");
    do_f64(c, &p->p_up, "p_up");
    if (isnan(p->p_down) && isnan(p->p_none) && isnan(p->p_up))
        bad(c, "p_up"); /* has a shorter form */
}

static void do_forecast(struct codec *c, struct tc_forecast *f)
{
    do_text(c, f->symbol, sizeof(f->symbol), "symbol");
    do_text(c, f->model, sizeof(f->model), "model");
    do_text(c, f->inputs, sizeof(f->inputs), "inputs");
    do_text(c, f->kernel, sizeof(f->kernel), "kernel");
    do_i64(c, &f->origin_time, "origin_time");
    do_i64(c, &f->issued, "issued");
    do_i32(c, &f->day, "day");
    do_u32(c, &f->flags, "flags");
    do_f64(c, &f->reference, "reference");
    do_f64(c, &f->reference_mid, "reference_mid");
    do_count(c, &f->n_points, TC_POINTS_MAX, "n_points");
    for (int32_t i = 0; i < f->n_points; i++)
        do_point(c, &f->points[i]);
}

static void do_outcome(struct codec *c, struct tc_outcome *o)
{
    do_text(c, o->symbol, sizeof(o->symbol), "symbol");
    do_i64(c, &o->origin_time, "origin_time");
    do_i32(c, &o->day, "day");
    do_count(c, &o->n_values, TC_POINTS_MAX, "n_values");
    for (int32_t i = 0; i < o->n_values; i++) {
        struct tc_outcome_value *v = &o->values[i];
        do_kind(c, &v->kind);
        do_i32(c, &v->horizon_ms, "horizon_ms");
        do_i64(c, &v->time, "time");
        do_f64(c, &v->value, "value");
    }
}

#define SUM(field, ctype, sqltype) \
    {#field, offsetof(struct tc_score_sums, field), _Generic((ctype)0, double : true, default : false)},

static const struct {
    const char *name;
    size_t at;
    bool real;
} sums[] = {TC_SCORE_SUMS(SUM)};

static void do_score(struct codec *c, struct tc_score *s)
{
    do_text(c, s->symbol, sizeof(s->symbol), "symbol");
    do_text(c, s->model, sizeof(s->model), "model");
    do_text(c, s->inputs, sizeof(s->inputs), "inputs");
    do_kind(c, &s->kind);
    do_i32(c, &s->horizon_ms, "horizon_ms");
    do_i32(c, &s->day, "day");
    do_i32(c, &s->slot, "slot");
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        if (c->version < SCORE_VERSION && sums[i].at >= offsetof(struct tc_score_sums, dm_ridge_d))
            return; /* written before the later sums were added; they stay 0 */
        if (sums[i].real)
            do_f64(c, (double *)((char *)&s->sums + sums[i].at), sums[i].name);
        else
            do_i64(c, (int64_t *)((char *)&s->sums + sums[i].at), sums[i].name);
    }
}

/* All but the blob's bytes, which follow. */
static void do_checkpoint(struct codec *c, struct tc_checkpoint *k)
{
    do_text(c, k->role, sizeof(k->role), "role");
    do_text(c, k->kernel, sizeof(k->kernel), "kernel");
    unsigned topic = do_enum(c, k->topic, TC_TOPIC_COUNT, "topic");
    if (!c->write)
        k->topic = (enum tc_topic)topic;
    do_i32(c, &k->partition, "partition");
    do_i64(c, &k->position, "position");
    do_u32(c, &k->blob_len, "blob_len");
    if (k->blob_len > TC_BLOB_MAX)
        bad(c, "blob_len");
    if (!c->write && !c->bad)
        k->blob = take(c, k->blob_len, "blob");
}

static uint8_t newest_version(enum tc_record_type type)
{
    return type == TC_REC_SCORE ? SCORE_VERSION : VERSION;
}

static void do_post(struct codec *c, struct tc_post *p)
{
    do_text(c, p->id, sizeof(p->id), "id");
    do_text(c, p->source, sizeof(p->source), "source");
    do_text(c, p->place, sizeof(p->place), "place");
    do_text(c, p->url, sizeof(p->url), "url");
    do_u64(c, &p->author, "author");
    do_i64(c, &p->created, "created");
    do_i64(c, &p->available, "available");
    do_i64(c, &p->cursor, "cursor");
    do_origin(c, &p->origin);
    do_f64(c, &p->compound, "compound");
    do_f64(c, &p->pos, "pos");
    do_f64(c, &p->neu, "neu");
    do_f64(c, &p->neg, "neg");
    do_count(c, &p->n_mentions, TC_MENTIONS_MAX, "n_mentions");
    for (int32_t i = 0; i < p->n_mentions; i++) {
        struct tc_mention *m = &p->mentions[i];
        do_text(c, m->symbol, sizeof(m->symbol), "symbol");
        unsigned evidence = do_enum(c, m->evidence, TC_EVIDENCE_COUNT, "evidence");
        if (!c->write)
            m->evidence = (enum tc_evidence)evidence;
        do_bool(c, &m->counted, "counted");
    }
    do_long_text(c, p->text, sizeof(p->text), "text");
}

static void do_removed(struct codec *c, struct tc_removed *r)
{
    do_text(c, r->id, sizeof(r->id), "id");
    do_i64(c, &r->available, "available");
}

static void do_body(struct codec *c, struct tc_record *r)
{
    switch (r->type) {
    case TC_REC_BAR:
        do_bar(c, &r->bar);
        return;
    case TC_REC_QUOTE:
        do_second_quote(c, &r->quote);
        return;
    case TC_REC_SECOND:
        do_second(c, &r->second);
        return;
    case TC_REC_GAP:
        do_gap(c, &r->gap);
        return;
    case TC_REC_QUALITY:
        do_quality(c, &r->quality);
        return;
    case TC_REC_FORECAST:
        do_forecast(c, &r->forecast);
        return;
    case TC_REC_OUTCOME:
        do_outcome(c, &r->outcome);
        return;
    case TC_REC_SCORE:
        do_score(c, &r->score);
        return;
    case TC_REC_CHECKPOINT:
        do_checkpoint(c, &r->checkpoint);
        return;
    case TC_REC_POST:
        do_post(c, &r->post);
        return;
    case TC_REC_REMOVED:
        do_removed(c, &r->removed);
        return;
    case TC_REC_END:
        return;
    }
    bad(c, "type");
}

int tc_record_encode(const struct tc_record *r, struct tc_buf *out)
{
    bool blob = r->type == TC_REC_CHECKPOINT && r->checkpoint.blob_len > 0;
    if (!tc_buf_reserve(out, BODY_MAX))
        return tc_fail(TC_ELIMIT, "a record does not fit its buffer of %zu bytes", out->max);
    /* Writing never stores into the fields. */
    struct tc_record *fields = (struct tc_record *)(uintptr_t)r;
    struct codec c = {.write = true, .to = (uint8_t *)out->data + out->len};
    if ((r->type == TC_REC_FORECAST && (unsigned)r->forecast.n_points > TC_POINTS_MAX) ||
        (r->type == TC_REC_OUTCOME && (unsigned)r->outcome.n_values > TC_POINTS_MAX) ||
        (r->type == TC_REC_POST && (unsigned)r->post.n_mentions > TC_MENTIONS_MAX))
        return tc_fail(TC_EINPUT, "record of type %d has too many points", (int)r->type);
    uint8_t type = (uint8_t)r->type;
    c.version = newest_version(r->type);
    do_u8(&c, &c.version, "version");
    do_u8(&c, &type, "type");
    do_i64(&c, &fields->from, "from");
    do_body(&c, fields);
    if (c.bad)
        return tc_fail(TC_EINPUT, "record of type %d has a bad field '%s'", (int)r->type, c.what);
    size_t keep = out->len;
    out->len = (size_t)(c.to - (uint8_t *)out->data);
    if (blob)
        tc_buf_put(out, r->checkpoint.blob, r->checkpoint.blob_len);
    if (out->overflow) {
        out->len = keep;
        return tc_fail(TC_ELIMIT, "a checkpoint of %u bytes does not fit its buffer of %zu bytes",
                       r->checkpoint.blob_len, out->max);
    }
    out->data[out->len] = '\0';
    return TC_OK;
}

int tc_record_decode(const uint8_t *bytes, size_t n, struct tc_record *out)
{
    struct codec c = {.at = bytes, .end = bytes + n};
    uint8_t type = 0;
    memset(out, 0, sizeof(*out));
    do_u8(&c, &c.version, "version");
    do_u8(&c, &type, "type");
    out->type = (enum tc_record_type)type;
    if (!c.bad && (c.version < VERSION || c.version > newest_version(out->type)))
        return tc_fail(TC_EINPUT, "record has version %u, this program reads version %u", c.version,
                       newest_version(out->type));
    do_i64(&c, &out->from, "from");
    if (!c.bad)
        do_body(&c, out);
    if (c.bad)
        return tc_fail(TC_EINPUT, "record of type %u and %zu bytes: field '%s' is cut off or out of range",
                       type, n, c.what);
    if (c.at != c.end)
        return tc_fail(TC_EINPUT, "record of type %u and %zu bytes: %zu bytes too many", type, n,
                       (size_t)(c.end - c.at));
    return TC_OK;
}

const char *tc_record_key(const struct tc_record *r)
{
    switch (r->type) {
    case TC_REC_BAR:
        return r->bar.symbol;
    case TC_REC_QUOTE:
        return r->quote.symbol;
    case TC_REC_GAP:
        return r->gap.symbol;
    case TC_REC_QUALITY:
        return r->quality.symbol;
    case TC_REC_FORECAST:
        return r->forecast.symbol;
    case TC_REC_OUTCOME:
        return r->outcome.symbol;
    case TC_REC_SCORE:
        return r->score.symbol;
    case TC_REC_POST:
        return r->post.id;
    case TC_REC_REMOVED:
        return r->removed.id;
    case TC_REC_SECOND:
    case TC_REC_CHECKPOINT:
    case TC_REC_END:
        break;
    }
    return "";
}
