/* What is open at an origin: for forecasts that others make of it. */
#include "base/clock.h"
#include "base/err.h"
#include "forecast/engine_priv.h"

static struct origin *find_origin(const struct tc_engine *e, struct symbol *s, int64_t time, int64_t *number)
{
    for (int64_t i = s->end - 1; i >= s->first; i--) {
        struct origin *o = origin_at(e, s, i);
        if (o->time == time) {
            *number = i;
            return o;
        }
        if (o->time < time)
            break;
    }
    return NULL;
}

int tc_engine_question(const struct tc_engine *e, const char *symbol, int64_t origin_time,
                       struct tc_question *out)
{
    int64_t id = tc_symtab_find(e->symbols, symbol), number = 0;
    *out = (struct tc_question){0};
    if (id < 0)
        return TC_ENOTFOUND;
    struct symbol *s = symbol_at(e, (uint32_t)id);
    struct origin *o = find_origin(e, s, origin_time, &number);
    out->symbol = (uint32_t)id;
    out->newest = s->end > s->first ? origin_at(e, s, s->end - 1)->time : 0;
    if (!o || o->unscored)
        return TC_AGAIN;
    out->reference = o->reference;
    out->reference_mid = o->mid;
    out->day = (int32_t)o->day;
    out->seen_to = s->pending.there ? s->pending.start + TC_NS_PER_SEC : e->time;
    out->traded_since = number + 1 < s->end || s->pending.there;
    for (int p = 0; p < e->n_points; p++) {
        if (!(o->offered >> p & 1))
            continue;
        out->offered |= UINT32_C(1) << p;
        if (heads(e, s)[p] <= number && !(o->late >> p & 1))
            out->open |= UINT32_C(1) << p;
    }
    return TC_OK;
}
