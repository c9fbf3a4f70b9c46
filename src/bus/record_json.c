#include "bus/record.h"

#include <math.h>

/* Writers of `"name":value` pairs; each object's first pair is written by its own function. */
static inline void put_name(struct tc_buf *out, const char *name)
{
    tc_buf_str(out, ",\"");
    tc_buf_str(out, name);
    tc_buf_str(out, "\":");
}

static void put_num(struct tc_buf *out, const char *name, double v)
{
    put_name(out, name);
    tc_buf_double(out, v);
}

static void put_int(struct tc_buf *out, const char *name, int64_t v)
{
    put_name(out, name);
    tc_buf_int(out, v);
}

static void put_text(struct tc_buf *out, const char *name, const char *v)
{
    put_name(out, name);
    tc_buf_json_string(out, v);
}

static void put_bool(struct tc_buf *out, const char *name, bool v)
{
    put_name(out, name);
    tc_buf_str(out, v ? "true" : "false");
}

static void start_object(struct tc_buf *out, const char *name, const char *v)
{
    tc_buf_str(out, "{\"");
    tc_buf_str(out, name);
    tc_buf_str(out, "\":");
    tc_buf_json_string(out, v);
}

static void put_quote(struct tc_buf *out, const struct tc_quote *q, double lag_ms)
{
    put_num(out, "bid", q->bid);
    put_num(out, "ask", q->ask);
    put_num(out, "bid_size", q->bid_size);
    put_num(out, "ask_size", q->ask_size);
    put_num(out, "quote_lag_ms", lag_ms);
}

void tc_tape_to_json(const struct tc_tape *t, struct tc_buf *out)
{
    tc_buf_str(out, "{\"tm5\":");
    tc_buf_double(out, t->tm5);
    put_num(out, "tm20", t->tm20);
    put_num(out, "sg20", t->sg20);
    put_num(out, "up", t->up);
    put_num(out, "dn", t->dn);
    put_num(out, "lit", t->lit);
    put_num(out, "sv", t->sv);
    tc_buf_char(out, '}');
}

static void bar_to_json(const struct tc_bar *b, struct tc_buf *out)
{
    start_object(out, "symbol", b->symbol);
    put_int(out, "start", b->start);
    put_int(out, "interval_ms", b->interval_ms);
    put_int(out, "available", b->available);
    put_num(out, "open", b->open);
    put_num(out, "high", b->high);
    put_num(out, "low", b->low);
    put_num(out, "close", b->close);
    put_num(out, "vwap", b->vwap);
    put_num(out, "volume", b->volume);
    put_int(out, "trades", b->trades);
    put_quote(out, &b->quote, b->quote_lag_ms);
    put_text(out, "origin", tc_origin_name(b->origin));
    put_text(out, "feed", b->feed);
    put_int(out, "revision", b->revision);
    if (b->interval_ms > 1000)
        put_int(out, "seconds", b->seconds);
    tc_buf_char(out, '}');
}

static void second_quote_to_json(const struct tc_second_quote *q, struct tc_buf *out)
{
    start_object(out, "symbol", q->symbol);
    put_int(out, "second", q->second);
    put_int(out, "available", q->available);
    put_quote(out, &q->quote, q->quote_lag_ms);
    put_text(out, "origin", tc_origin_name(q->origin));
    put_text(out, "feed", q->feed);
    tc_buf_char(out, '}');
}

static void second_to_json(const struct tc_second *s, struct tc_buf *out)
{
    start_object(out, "feed", s->feed);
    put_int(out, "second", s->second);
    put_int(out, "expected", s->expected);
    put_int(out, "traded", s->traded);
    put_bool(out, "healthy", s->healthy);
    put_num(out, "delay_ms", s->delay_ms);
    tc_buf_char(out, '}');
}

static void gap_to_json(const struct tc_gap *g, struct tc_buf *out)
{
    start_object(out, "symbol", g->symbol);
    put_text(out, "feed", g->feed);
    put_int(out, "start", g->start);
    put_int(out, "end", g->end);
    put_text(out, "reason", g->reason);
    put_bool(out, "filled", g->filled);
    tc_buf_char(out, '}');
}

static void quality_to_json(const struct tc_quality *q, struct tc_buf *out)
{
    start_object(out, "symbol", q->symbol);
    put_int(out, "day", q->day);
    put_int(out, "traded", q->traded);
    put_int(out, "no_trade", q->no_trade);
    put_int(out, "unknown", q->unknown);
    put_int(out, "duplicates", q->duplicates);
    put_int(out, "late", q->late);
    put_int(out, "revised", q->revised);
    put_int(out, "backfilled", q->backfilled);
    put_int(out, "gaps", q->gaps);
    tc_buf_char(out, '}');
}

void tc_points_to_json(const struct tc_forecast *f, struct tc_buf *out)
{
    tc_buf_char(out, '[');
    for (int32_t i = 0; i < f->n_points && i < TC_POINTS_MAX; i++) {
        const struct tc_point *p = &f->points[i];
        if (i)
            tc_buf_char(out, ',');
        start_object(out, "kind", tc_kind_name(p->kind));
        put_int(out, "horizon_ms", p->horizon_ms);
        if (p->target)
            put_int(out, "target", p->target);
        else
            tc_buf_str(out, ",\"target\":null");
        put_num(out, "value", p->value);
        put_num(out, "lo", p->lo);
        put_num(out, "hi", p->hi);
        if (!isnan(p->p_down) || !isnan(p->p_none) || !isnan(p->p_up)) {
            put_num(out, "p_down", p->p_down);
            put_num(out, "p_none", p->p_none);
            put_num(out, "p_up", p->p_up);
        }
        put_bool(out, "gate_open", p->gate_open);
        tc_buf_char(out, '}');
    }
    tc_buf_char(out, ']');
}

static void flags_to_json(uint32_t flags, struct tc_buf *out)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{TC_FLAG_LATE, "late"},
                 {TC_FLAG_COLD, "cold"},
                 {TC_FLAG_STALE, "stale"},
                 {TC_FLAG_OUT_OF_DOMAIN, "out_of_domain"},
                 {TC_FLAG_PRICE_LEVEL, "price_level"}};
    const char *comma = "";
    tc_buf_str(out, ",\"flags\":[");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!(flags & names[i].bit))
            continue;
        tc_buf_printf(out, "%s\"%s\"", comma, names[i].name);
        comma = ",";
    }
    tc_buf_char(out, ']');
}

static void forecast_to_json(const struct tc_forecast *f, struct tc_buf *out)
{
    start_object(out, "symbol", f->symbol);
    put_text(out, "model", f->model);
    put_int(out, "origin_time", f->origin_time);
    put_int(out, "issued", f->issued);
    put_text(out, "inputs", f->inputs);
    put_text(out, "kernel", f->kernel);
    put_num(out, "reference", f->reference);
    put_num(out, "reference_mid", f->reference_mid);
    flags_to_json(f->flags, out);
    tc_buf_str(out, ",\"points\":");
    tc_points_to_json(f, out);
    tc_buf_char(out, '}');
}

static void outcome_to_json(const struct tc_outcome *o, struct tc_buf *out)
{
    start_object(out, "symbol", o->symbol);
    put_int(out, "origin_time", o->origin_time);
    tc_buf_str(out, ",\"values\":[");
    for (int32_t i = 0; i < o->n_values && i < TC_POINTS_MAX; i++) {
        const struct tc_outcome_value *v = &o->values[i];
        if (i)
            tc_buf_char(out, ',');
        start_object(out, "kind", tc_kind_name(v->kind));
        put_int(out, "horizon_ms", v->horizon_ms);
        put_int(out, "time", v->time);
        put_num(out, "value", v->value);
        tc_buf_char(out, '}');
    }
    tc_buf_str(out, "]}");
}

#define PUT_SUM(field, ctype, sqltype) \
    _Generic((ctype)0, double : put_num, default : put_int)(out, #field, s->field);

static void score_to_json(const struct tc_score *s, struct tc_buf *out)
{
    start_object(out, "symbol", s->symbol);
    put_text(out, "model", s->model);
    put_text(out, "inputs", s->inputs);
    put_text(out, "kind", tc_kind_name(s->kind));
    put_int(out, "horizon_ms", s->horizon_ms);
    put_int(out, "day", s->day);
    put_int(out, "slot", s->slot);
    TC_SCORE_SUMS(PUT_SUM)
    tc_buf_char(out, '}');
}

static void checkpoint_to_json(const struct tc_checkpoint *k, struct tc_buf *out)
{
    start_object(out, "role", k->role);
    put_text(out, "kernel", k->kernel);
    put_text(out, "topic", tc_topic_name(k->topic));
    put_int(out, "partition", k->partition);
    put_int(out, "position", k->position);
    put_int(out, "bytes", k->blob_len);
    tc_buf_char(out, '}');
}

static void post_to_json(const struct tc_post *p, struct tc_buf *out)
{
    start_object(out, "id", p->id);
    put_text(out, "source", p->source);
    put_text(out, "place", p->place);
    put_text(out, "url", p->url);
    put_int(out, "created", p->created);
    put_int(out, "available", p->available);
    put_text(out, "origin", tc_origin_name(p->origin));
    put_num(out, "compound", p->compound);
    put_num(out, "pos", p->pos);
    put_num(out, "neu", p->neu);
    put_num(out, "neg", p->neg);
    tc_buf_str(out, ",\"mentions\":[");
    for (int32_t i = 0; i < p->n_mentions; i++) {
        const struct tc_mention *m = &p->mentions[i];
        tc_buf_str(out, i ? "," : "");
        start_object(out, "symbol", m->symbol);
        put_text(out, "evidence", tc_evidence_name(m->evidence));
        tc_buf_str(out, m->counted ? ",\"counted\":true}" : ",\"counted\":false}");
    }
    tc_buf_char(out, ']');
    put_text(out, "text", p->text);
    tc_buf_char(out, '}');
}

static void removed_to_json(const struct tc_removed *r, struct tc_buf *out)
{
    start_object(out, "id", r->id);
    put_int(out, "available", r->available);
    tc_buf_char(out, '}');
}

void tc_record_to_json(const struct tc_record *r, struct tc_buf *out)
{
    switch (r->type) {
    case TC_REC_BAR:
        bar_to_json(&r->bar, out);
        return;
    case TC_REC_QUOTE:
        second_quote_to_json(&r->quote, out);
        return;
    case TC_REC_SECOND:
        second_to_json(&r->second, out);
        return;
    case TC_REC_GAP:
        gap_to_json(&r->gap, out);
        return;
    case TC_REC_QUALITY:
        quality_to_json(&r->quality, out);
        return;
    case TC_REC_FORECAST:
        forecast_to_json(&r->forecast, out);
        return;
    case TC_REC_OUTCOME:
        outcome_to_json(&r->outcome, out);
        return;
    case TC_REC_SCORE:
        score_to_json(&r->score, out);
        return;
    case TC_REC_CHECKPOINT:
        checkpoint_to_json(&r->checkpoint, out);
        return;
    case TC_REC_POST:
        post_to_json(&r->post, out);
        return;
    case TC_REC_REMOVED:
        removed_to_json(&r->removed, out);
        return;
    case TC_REC_END:
        break;
    }
    tc_buf_str(out, "{}");
}
