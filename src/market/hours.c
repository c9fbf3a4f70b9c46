#include "market/hours.h"
#include "base/clock.h"
#include "base/err.h"

enum { DAYS_MAX = 62 };

struct span {
    int64_t from, to;
};

/* The awake spans of a session, in order, those that touch made one. Returns their number. */
static int spans_of(const struct tc_hours *h, const struct tc_session *s, struct span out[3])
{
    const struct span parts[] = {{s->pre_open, s->open}, {s->open, s->close}, {s->close, s->post_close}};
    int n = 0;
    for (int i = 0; i < 3; i++) {
        if (!(h->parts & 1 << i) || parts[i].from >= parts[i].to)
            continue;
        int64_t from = parts[i].from - h->before_ns, to = parts[i].to + h->after_ns;
        if (n && from <= out[n - 1].to)
            out[n - 1].to = to;
        else
            out[n++] = (struct span){from, to};
    }
    return n;
}

int tc_hours_at(const struct tc_hours *h, int64_t now, struct tc_hours_now *out)
{
    if (tc_calendar_always_open(h->calendar)) {
        *out = (struct tc_hours_now){.awake = true, .until = INT64_MAX};
        return tc_calendar_next(h->calendar, now, &out->session);
    }
    int64_t today = tc_days_from_date(tc_calendar_day(h->calendar, now));
    for (int64_t d = today - 1; d < today + DAYS_MAX; d++) { /* extended hours may pass midnight */
        int32_t day = tc_date_from_days(d);
        struct span spans[3];
        if (tc_calendar_closed_reason(h->calendar, day) ||
            tc_calendar_session(h->calendar, day, &out->session))
            continue;
        int n = spans_of(h, &out->session, spans);
        for (int i = 0; i < n; i++) {
            if (spans[i].to <= now)
                continue;
            out->awake = spans[i].from <= now;
            out->until = out->awake ? spans[i].to : spans[i].from;
            return TC_OK;
        }
    }
    return tc_fail(TC_ENOTFOUND, "calendar %s has no session within %d days", tc_calendar_name(h->calendar),
                   DAYS_MAX);
}
