#include "bus/record_bus.h"
#include "base/err.h"

#include <jansson.h>
#include <math.h>
#include <openssl/evp.h>
#include <string.h>

enum { MESSAGE_VERSION = 1 };

static const struct {
    enum tc_record_type type;
    const char *name;
} types[] = {
    {TC_REC_BAR, "bar"},         {TC_REC_QUOTE, "quote"},     {TC_REC_SECOND, "second"},
    {TC_REC_GAP, "gap"},         {TC_REC_QUALITY, "quality"}, {TC_REC_FORECAST, "forecast"},
    {TC_REC_OUTCOME, "outcome"}, {TC_REC_SCORE, "score"},     {TC_REC_CHECKPOINT, "checkpoint"},
    {TC_REC_END, "end"},         {TC_REC_POST, "post"},       {TC_REC_REMOVED, "removed"},
};

const char *tc_record_type_name(enum tc_record_type t)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].type == t)
            return types[i].name;
    return "unknown";
}

/* --- writing
 * ------------------------------------------------------------------------------------------------ */

static bool knows_tape(const struct tc_tape *t)
{
    return !(isnan(t->tm5) && isnan(t->tm20) && isnan(t->sg20) && isnan(t->up) && isnan(t->dn) &&
             isnan(t->lit) && isnan(t->sv));
}

static void put_base64(struct tc_buf *out, const uint8_t *bytes, uint32_t n)
{
    size_t room = 4 * (((size_t)n + 2) / 3);
    if (!tc_buf_reserve(out, room + 1))
        return;
    out->len += (size_t)EVP_EncodeBlock((unsigned char *)out->data + out->len, bytes, (int)n);
    out->data[out->len] = '\0';
}

/* What the API leaves out. */
static void put_rest(const struct tc_record *r, struct tc_buf *out)
{
    switch (r->type) {
    case TC_REC_BAR:
        if (knows_tape(&r->bar.tape)) {
            tc_buf_str(out, ",\"tape\":");
            tc_tape_to_json(&r->bar.tape, out);
        }
        break;
    case TC_REC_SECOND:
        tc_buf_printf(out, ",\"available\":%lld,\"log_time\":%s,\"origin\":\"%s\"",
                      (long long)r->second.available, r->second.log_time ? "true" : "false",
                      tc_origin_name(r->second.origin));
        break;
    case TC_REC_FORECAST:
        tc_buf_printf(out, ",\"day\":%d", (int)r->forecast.day);
        break;
    case TC_REC_OUTCOME:
        tc_buf_printf(out, ",\"day\":%d", (int)r->outcome.day);
        break;
    case TC_REC_POST:
        tc_buf_printf(out, ",\"author\":%lld,\"cursor\":%lld", (long long)r->post.author,
                      (long long)r->post.cursor);
        break;
    case TC_REC_CHECKPOINT:
        tc_buf_str(out, ",\"state\":\"");
        put_base64(out, r->checkpoint.blob, r->checkpoint.blob_len);
        tc_buf_char(out, '"');
        break;
    default:
        break;
    }
}

void tc_record_to_message(const struct tc_record *r, struct tc_buf *out)
{
    tc_buf_printf(out, "{\"v\":%d,\"type\":\"%s\"", MESSAGE_VERSION, tc_record_type_name(r->type));
    if (r->type != TC_REC_END) {
        size_t at = out->len;
        tc_record_to_json(r, out);
        if (out->overflow)
            return;
        out->data[at] = ','; /* its opening bracket */
        out->len--;          /* and its closing one */
        put_rest(r, out);
    }
    if (r->from >= 0)
        tc_buf_printf(out, ",\"from\":%lld", (long long)r->from);
    tc_buf_char(out, '}');
}

/* --- reading
 * ------------------------------------------------------------------------------------------------ */

struct reading {
    const json_t *at; /* the object being read */
    const char *bad, *why;
};

static const json_t *get(struct reading *x, const char *key, bool required)
{
    const json_t *v = json_object_get(x->at, key);
    if (!v && required && !x->bad)
        x->bad = key, x->why = "is missing";
    return v;
}

static void refuse(struct reading *x, const char *key, const char *why)
{
    if (!x->bad)
        x->bad = key, x->why = why;
}

/* Numbers may be null (unknown); absent means the same where it is not required. */
static double num(struct reading *x, const char *key, bool required)
{
    const json_t *v = get(x, key, required);
    if (v && !json_is_number(v) && !json_is_null(v))
        refuse(x, key, "must be a number or null");
    return v && json_is_number(v) ? json_number_value(v) : NAN;
}

static int64_t integer(struct reading *x, const char *key, bool required, int64_t low, int64_t high,
                       int64_t otherwise)
{
    const json_t *v = get(x, key, required);
    if (!v || (json_is_null(v) && !required))
        return otherwise;
    if (!json_is_integer(v)) {
        refuse(x, key, "must be an integer");
        return otherwise;
    }
    int64_t n = json_integer_value(v);
    if (n < low || n > high)
        refuse(x, key, "is out of range");
    return n;
}

static int32_t small(struct reading *x, const char *key, bool required)
{
    return (int32_t)integer(x, key, required, INT32_MIN, INT32_MAX, 0);
}

static int64_t when(struct reading *x, const char *key)
{
    return integer(x, key, true, INT64_MIN, INT64_MAX, 0);
}

static bool truth(struct reading *x, const char *key)
{
    const json_t *v = get(x, key, false);
    if (v && !json_is_boolean(v))
        refuse(x, key, "must be true or false");
    return json_is_true(v);
}

static void text(struct reading *x, const char *key, bool required, char *out, size_t size)
{
    const json_t *v = get(x, key, required);
    out[0] = '\0';
    if (!v)
        return;
    if (!json_is_string(v) || json_string_length(v) >= size ||
        strlen(json_string_value(v)) != json_string_length(v)) {
        refuse(x, key, "must be a text of its length");
        return;
    }
    memcpy(out, json_string_value(v), json_string_length(v) + 1);
}

static enum tc_origin origin(struct reading *x)
{
    char name[16];
    enum tc_origin o = TC_ORIGIN_LIVE;
    text(x, "origin", true, name, sizeof(name));
    if (!x->bad && tc_origin_parse(name, &o) != TC_OK)
        refuse(x, "origin", "must be live, backfill, replay or simulated");
    return o;
}

static enum tc_kind kind(struct reading *x)
{
    char name[8];
    text(x, "kind", true, name, sizeof(name));
    for (int k = 0; k < TC_KIND_COUNT; k++)
        if (strcmp(name, tc_kind_name((enum tc_kind)k)) == 0)
            return (enum tc_kind)k;
    refuse(x, "kind", "must be next, last or mid");
    return TC_KIND_NEXT;
}

static void symbol(struct reading *x, char out[static TC_SYMBOL_SIZE])
{
    text(x, "symbol", true, out, TC_SYMBOL_SIZE);
    if (!x->bad && out[0] == '\0')
        refuse(x, "symbol", "is empty");
}

static void read_quote(struct reading *x, struct tc_quote *q, double *lag_ms)
{
    q->bid = num(x, "bid", false);
    q->ask = num(x, "ask", false);
    q->bid_size = num(x, "bid_size", false);
    q->ask_size = num(x, "ask_size", false);
    *lag_ms = num(x, "quote_lag_ms", false);
}

static void read_tape(struct reading *x, struct tc_tape *t)
{
    const json_t *outer = x->at, *v = get(x, "tape", false);
    if (v && !json_is_object(v) && !json_is_null(v))
        refuse(x, "tape", "must be an object");
    x->at = v && json_is_object(v) ? v : NULL;
    t->tm5 = num(x, "tm5", false);
    t->tm20 = num(x, "tm20", false);
    t->sg20 = num(x, "sg20", false);
    t->up = num(x, "up", false);
    t->dn = num(x, "dn", false);
    t->lit = num(x, "lit", false);
    t->sv = num(x, "sv", false);
    x->at = outer;
}

static void read_bar(struct reading *x, struct tc_bar *b)
{
    symbol(x, b->symbol);
    text(x, "feed", true, b->feed, sizeof(b->feed));
    b->start = when(x, "start");
    b->interval_ms = (int32_t)integer(x, "interval_ms", true, 1, 86400000, 1000);
    b->available = when(x, "available");
    b->open = num(x, "open", true);
    b->high = num(x, "high", true);
    b->low = num(x, "low", true);
    b->close = num(x, "close", true);
    b->vwap = num(x, "vwap", false);
    b->volume = num(x, "volume", true);
    b->trades = (int32_t)integer(x, "trades", false, 0, INT32_MAX, 0);
    b->revision = (int32_t)integer(x, "revision", false, 0, INT32_MAX, 0);
    b->origin = origin(x);
    read_quote(x, &b->quote, &b->quote_lag_ms);
    read_tape(x, &b->tape);
    if (!x->bad && !(b->low <= b->open && b->low <= b->close && b->open <= b->high && b->close <= b->high))
        refuse(x, "low", "open, high, low and close do not fit together");
}

static void read_second_quote(struct reading *x, struct tc_second_quote *q)
{
    symbol(x, q->symbol);
    text(x, "feed", true, q->feed, sizeof(q->feed));
    q->second = when(x, "second");
    q->available = when(x, "available");
    q->origin = origin(x);
    read_quote(x, &q->quote, &q->quote_lag_ms);
}

static void read_second(struct reading *x, struct tc_second *s)
{
    text(x, "feed", true, s->feed, sizeof(s->feed));
    s->second = when(x, "second");
    s->available = when(x, "available");
    s->expected = small(x, "expected", true);
    s->traded = small(x, "traded", true);
    s->healthy = truth(x, "healthy");
    s->log_time = truth(x, "log_time");
    s->delay_ms = num(x, "delay_ms", false);
    s->origin = origin(x);
}

static void read_gap(struct reading *x, struct tc_gap *g)
{
    symbol(x, g->symbol);
    text(x, "feed", true, g->feed, sizeof(g->feed));
    text(x, "reason", true, g->reason, sizeof(g->reason));
    g->start = when(x, "start");
    g->end = when(x, "end");
    g->filled = truth(x, "filled");
}

static void read_quality(struct reading *x, struct tc_quality *q)
{
    symbol(x, q->symbol);
    q->day = small(x, "day", true);
    const struct {
        const char *key;
        int64_t *to;
    } sums[] = {{"traded", &q->traded},         {"no_trade", &q->no_trade}, {"unknown", &q->unknown},
                {"duplicates", &q->duplicates}, {"late", &q->late},         {"revised", &q->revised},
                {"backfilled", &q->backfilled}, {"gaps", &q->gaps}};
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
        *sums[i].to = integer(x, sums[i].key, true, 0, INT64_MAX, 0);
}

static const json_t *array(struct reading *x, const char *key, size_t most, size_t *n)
{
    const json_t *v = get(x, key, true);
    *n = json_is_array(v) ? json_array_size(v) : 0;
    if (v && !json_is_array(v))
        refuse(x, key, "must be an array");
    if (*n > most) {
        refuse(x, key, "has too many elements");
        *n = 0;
    }
    return v;
}

static void read_point(struct reading *x, struct tc_point *p)
{
    p->kind = kind(x);
    p->horizon_ms = (int32_t)integer(x, "horizon_ms", true, 0, 86400000, 0);
    p->target = integer(x, "target", false, 0, INT64_MAX / 2, 0);
    p->value = num(x, "value", true);
    p->lo = num(x, "lo", false);
    p->hi = num(x, "hi", false);
    p->p_down = num(x, "p_down", false);
    p->p_none = num(x, "p_none", false);
    p->p_up = num(x, "p_up", false);
    p->gate_open = truth(x, "gate_open");
}

static const struct {
    uint32_t bit;
    const char *name;
} flag_names[] = {{TC_FLAG_LATE, "late"},
                  {TC_FLAG_COLD, "cold"},
                  {TC_FLAG_STALE, "stale"},
                  {TC_FLAG_OUT_OF_DOMAIN, "out_of_domain"},
                  {TC_FLAG_PRICE_LEVEL, "price_level"}};

static uint32_t flags(struct reading *x)
{
    const json_t *v = get(x, "flags", false);
    uint32_t bits = 0;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *one = json_array_get(v, i);
        for (size_t k = 0; k < sizeof(flag_names) / sizeof(flag_names[0]); k++)
            if (json_is_string(one) && !strcmp(json_string_value(one), flag_names[k].name))
                bits |= flag_names[k].bit;
    }
    return bits;
}

static void read_forecast(struct reading *x, struct tc_forecast *f)
{
    symbol(x, f->symbol);
    text(x, "model", true, f->model, sizeof(f->model));
    text(x, "inputs", false, f->inputs, sizeof(f->inputs));
    text(x, "kernel", false, f->kernel, sizeof(f->kernel));
    f->origin_time = when(x, "origin_time");
    f->issued = when(x, "issued");
    f->day = small(x, "day", true);
    f->flags = flags(x);
    f->reference = num(x, "reference", true);
    f->reference_mid = num(x, "reference_mid", false);
    size_t n;
    const json_t *outer = x->at, *points = array(x, "points", TC_POINTS_MAX, &n);
    for (size_t i = 0; i < n; i++) {
        x->at = json_array_get(points, i);
        read_point(x, &f->points[i]);
    }
    f->n_points = (int32_t)n;
    x->at = outer;
}

static void read_outcome(struct reading *x, struct tc_outcome *o)
{
    symbol(x, o->symbol);
    o->origin_time = when(x, "origin_time");
    o->day = small(x, "day", true);
    size_t n;
    const json_t *outer = x->at, *values = array(x, "values", TC_POINTS_MAX, &n);
    for (size_t i = 0; i < n; i++) {
        x->at = json_array_get(values, i);
        o->values[i].kind = kind(x);
        o->values[i].horizon_ms = (int32_t)integer(x, "horizon_ms", true, 0, 86400000, 0);
        o->values[i].time = integer(x, "time", true, 0, INT64_MAX / 2, 0);
        o->values[i].value = num(x, "value", true);
    }
    o->n_values = (int32_t)n;
    x->at = outer;
}

#define SUM_int64_t(key) integer(x, key, false, INT64_MIN, INT64_MAX, 0)
#define SUM_double(key) num(x, key, false)
#define READ_SUM(field, ctype, sqltype) s->field = SUM_##ctype(#field);

static void read_score(struct reading *x, struct tc_score *s)
{
    symbol(x, s->symbol);
    text(x, "model", true, s->model, sizeof(s->model));
    text(x, "inputs", true, s->inputs, sizeof(s->inputs));
    s->kind = kind(x);
    s->horizon_ms = (int32_t)integer(x, "horizon_ms", true, 0, 86400000, 0);
    s->day = small(x, "day", true);
    s->slot = (int32_t)integer(x, "slot", true, 0, 47, 0);
    TC_SCORE_SUMS(READ_SUM)
}

static void read_state(struct reading *x, struct tc_buf *blob, struct tc_checkpoint *k)
{
    const json_t *v = get(x, "state", true);
    size_t n = json_is_string(v) ? json_string_length(v) : 0;
    const char *s = json_is_string(v) ? json_string_value(v) : "";
    tc_buf_clear(blob);
    if (n % 4 || (v && !json_is_string(v)) || !tc_buf_reserve(blob, n / 4 * 3 + 1)) {
        refuse(x, "state", "must be base64");
        return;
    }
    int made = n ? EVP_DecodeBlock((unsigned char *)blob->data, (const unsigned char *)s, (int)n) : 0;
    int padding = n ? (s[n - 1] == '=') + (s[n - 2] == '=') : 0;
    if (made < padding || (size_t)(made - padding) > TC_BLOB_MAX) {
        refuse(x, "state", "must be base64");
        return;
    }
    blob->len = (size_t)(made - padding);
    k->blob = (const uint8_t *)blob->data;
    k->blob_len = (uint32_t)blob->len;
}

static void read_checkpoint(struct reading *x, struct tc_buf *blob, struct tc_checkpoint *k)
{
    char topic[16];
    text(x, "role", true, k->role, sizeof(k->role));
    text(x, "kernel", true, k->kernel, sizeof(k->kernel));
    text(x, "topic", true, topic, sizeof(topic));
    k->partition = (int32_t)integer(x, "partition", true, 0, INT32_MAX, 0);
    k->position = integer(x, "position", true, INT64_MIN, INT64_MAX, 0);
    bool known = false;
    for (int t = 0; t < TC_TOPIC_COUNT; t++)
        if (strcmp(topic, tc_topic_name((enum tc_topic)t)) == 0)
            k->topic = (enum tc_topic)t, known = true;
    if (!known)
        refuse(x, "topic", "is none of ours");
    read_state(x, blob, k);
}

static void read_mention(struct reading *x, struct tc_mention *m)
{
    char name[24];
    text(x, "symbol", true, m->symbol, sizeof(m->symbol));
    text(x, "evidence", true, name, sizeof(name));
    m->counted = truth(x, "counted");
    for (int e = 0; e < TC_EVIDENCE_COUNT; e++)
        if (strcmp(name, tc_evidence_name((enum tc_evidence)e)) == 0) {
            m->evidence = (enum tc_evidence)e;
            return;
        }
    refuse(x, "evidence", "is none of ours");
}

static void read_post(struct reading *x, struct tc_post *p)
{
    text(x, "id", true, p->id, sizeof(p->id));
    text(x, "source", true, p->source, sizeof(p->source));
    text(x, "place", false, p->place, sizeof(p->place));
    text(x, "url", false, p->url, sizeof(p->url));
    text(x, "text", true, p->text, sizeof(p->text));
    p->author = (uint64_t)integer(x, "author", false, INT64_MIN, INT64_MAX, 0);
    p->cursor = integer(x, "cursor", false, INT64_MIN, INT64_MAX, 0);
    p->created = when(x, "created");
    p->available = when(x, "available");
    p->origin = origin(x);
    p->compound = num(x, "compound", false);
    p->pos = num(x, "pos", false);
    p->neu = num(x, "neu", false);
    p->neg = num(x, "neg", false);
    size_t n;
    const json_t *outer = x->at, *mentions = array(x, "mentions", TC_MENTIONS_MAX, &n);
    for (size_t i = 0; i < n; i++) {
        x->at = json_array_get(mentions, i);
        read_mention(x, &p->mentions[i]);
    }
    p->n_mentions = (int32_t)n;
    x->at = outer;
}

static void read_removed(struct reading *x, struct tc_removed *r)
{
    text(x, "id", true, r->id, sizeof(r->id));
    r->available = when(x, "available");
}

static void read_body(struct reading *x, struct tc_buf *blob, struct tc_record *out)
{
    switch (out->type) {
    case TC_REC_BAR:
        read_bar(x, &out->bar);
        break;
    case TC_REC_QUOTE:
        read_second_quote(x, &out->quote);
        break;
    case TC_REC_SECOND:
        read_second(x, &out->second);
        break;
    case TC_REC_GAP:
        read_gap(x, &out->gap);
        break;
    case TC_REC_QUALITY:
        read_quality(x, &out->quality);
        break;
    case TC_REC_FORECAST:
        read_forecast(x, &out->forecast);
        break;
    case TC_REC_OUTCOME:
        read_outcome(x, &out->outcome);
        break;
    case TC_REC_SCORE:
        read_score(x, &out->score);
        break;
    case TC_REC_CHECKPOINT:
        read_checkpoint(x, blob, &out->checkpoint);
        break;
    case TC_REC_POST:
        read_post(x, &out->post);
        break;
    case TC_REC_REMOVED:
        read_removed(x, &out->removed);
        break;
    case TC_REC_END:
        break;
    }
}

static void read_type(struct reading *x, struct tc_record *out)
{
    char name[16];
    if (integer(x, "v", true, 1, INT32_MAX, 1) != MESSAGE_VERSION)
        refuse(x, "v", "is a version that this program does not read");
    text(x, "type", true, name, sizeof(name));
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, name) == 0)
            out->type = types[i].type;
    if (out->type == 0)
        refuse(x, "type", "is none of ours");
}

int tc_record_from_message(const char *message, size_t n, struct tc_buf *blob, struct tc_record *out)
{
    json_error_t e;
    memset(out, 0, sizeof(*out));
    json_t *root = json_loadb(message, n, JSON_REJECT_DUPLICATES, &e);
    if (!root)
        return tc_fail(TC_EINPUT, "not JSON: %.120s at byte %d", e.text, e.position);
    struct reading x = {.at = root};
    if (!json_is_object(root))
        refuse(&x, "the message", "must be an object");
    else
        read_type(&x, out);
    if (!x.bad)
        read_body(&x, blob, out);
    out->from = x.bad ? -1 : integer(&x, "from", false, 0, INT64_MAX, -1);
    json_decref(root);
    return x.bad ? tc_fail(TC_EINPUT, "%s %s", x.bad, x.why) : TC_OK;
}
