#include "feed/live_fill.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS_MAX = 2000000, TRIES = 8, PAGES_MAX = 5000 };

static const int64_t LONGEST_PAUSE = 60 * TC_NS_PER_SEC;

struct row {
    int64_t time;
    uint64_t id;
    struct tc_trade trade;
    uint64_t at; /* place in the answer: the order of trades of one instant */
};

struct tc_fill {
    struct tc_fill_conf conf;
    struct tc_hole holes[TC_FILL_HOLES];
    size_t n;
    uint32_t sym;        /* of the first hole, being fetched */
    bool begun, waiting; /* page is set up; a request is under way */
    struct tc_page page;
    int pages, tries;
    int64_t not_before; /* after a refusal */
    double tokens;
    int64_t tokens_at;
    struct row *rows; /* trades of the symbol so far */
    size_t n_rows, cap_rows;
    bool overflow;
    struct tc_buf url;
    tc_metric *requests, *refused;
};

int tc_fill_open(const struct tc_fill_conf *conf, struct tc_fill **out)
{
    struct tc_fill *f = calloc(1, sizeof(*f));
    if (!f)
        return tc_fail(TC_ENOMEM, "no memory for back-fill");
    f->conf = *conf;
    f->tokens = conf->adapter->rest_burst;
    tc_buf_init(&f->url, 4096);
    char labels[64];
    snprintf(labels, sizeof(labels), "feed=\"%s\"", conf->adapter->name);
    f->requests = tc_counter("tickcast_backfill_requests_total", labels, "Requests sent to fill holes");
    f->refused = tc_counter("tickcast_backfill_refused_total", labels,
                            "Requests answered by 429, 5xx or not at all; they are sent again later");
    *out = f;
    return TC_OK;
}

void tc_fill_close(struct tc_fill *f)
{
    if (!f)
        return;
    free(f->rows);
    tc_buf_release(&f->url);
    free(f);
}

static void next_hole(struct tc_fill *f)
{
    f->n--;
    memmove(f->holes, f->holes + 1, f->n * sizeof(f->holes[0]));
    f->sym = 0;
    f->begun = false;
    f->tries = 0;
}

static void give_up(struct tc_fill *f, const char *why)
{
    struct tc_hole hole = f->holes[0];
    next_hole(f);
    f->conf.failed(f->conf.arg, &hole, why);
}

void tc_fill_add(struct tc_fill *f, const struct tc_hole *hole)
{
    if (f->n == TC_FILL_HOLES)
        f->conf.failed(f->conf.arg, hole, "too many holes wait already");
    else
        f->holes[f->n++] = *hole;
}

/* ---- rows to seconds ---- */

static int by_time(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    if (x->id != y->id && x->id && y->id)
        return x->id < y->id ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

struct sum {
    struct tc_event_bar bar;
    double notional;
    int lasts;
};

static void add(struct sum *s, const struct tc_trade *t)
{
    struct tc_event_bar *b = &s->bar;
    if (!t->not_last) {
        b->open = s->lasts ? b->open : t->price;
        b->close = t->price;
        s->lasts++;
    }
    if (!t->not_range || !t->not_last) {
        b->high = b->high > t->price ? b->high : t->price;
        b->low = b->low > 0 && b->low < t->price ? b->low : t->price;
    }
    if (!t->not_volume) {
        s->notional += t->price * t->size;
        b->volume += t->size;
        b->trades++;
    }
}

static void give_seconds(struct tc_fill *f)
{
    struct sum s = {0};
    int64_t second = INT64_MIN;
    uint64_t before = 0;
    qsort(f->rows, f->n_rows, sizeof(f->rows[0]), by_time);
    for (size_t i = 0; i <= f->n_rows; i++) {
        int64_t now = i < f->n_rows ? tc_floor_second(f->rows[i].time) : INT64_MAX;
        if (now != second && s.lasts) {
            s.bar.vwap = s.bar.volume > 0 ? s.notional / s.bar.volume : NAN;
            f->conf.sink(f->conf.arg, f->sym, second, &s.bar);
        }
        if (i == f->n_rows)
            return;
        if (now != second)
            s = (struct sum){0};
        second = now;
        if (!f->rows[i].id || f->rows[i].id != before) /* pages may overlap */
            add(&s, &f->rows[i].trade);
        before = f->rows[i].id;
    }
}

static void on_row(void *arg, const struct tc_wire_event *e)
{
    struct tc_fill *f = arg;
    if (e->time < f->page.start || e->time >= f->page.end)
        return;
    if (e->kind == TC_WIRE_SECOND) {
        f->conf.sink(f->conf.arg, f->sym, tc_floor_second(e->time), &e->bar);
        return;
    }
    if (f->n_rows == f->cap_rows) {
        size_t cap = f->cap_rows ? 2 * f->cap_rows : 4096;
        struct row *more = cap <= ROWS_MAX ? realloc(f->rows, cap * sizeof(*more)) : NULL;
        f->overflow = !more;
        if (!more)
            return;
        f->rows = more;
        f->cap_rows = cap;
    }
    f->rows[f->n_rows] = (struct row){e->time, e->id, e->trade, f->n_rows};
    f->n_rows++;
}

/* ---- requests ---- */

static void begin_symbol(struct tc_fill *f)
{
    f->page = (struct tc_page){
        .base = f->conf.rest,
        .symbol = f->conf.symbols[f->sym],
        .start = f->holes[0].start,
        .end = f->holes[0].end,
        .url = f->conf.url,
    };
    f->n_rows = 0;
    f->pages = 0;
    f->overflow = false;
    f->begun = true;
}

static bool take_token(struct tc_fill *f, int64_t now)
{
    const struct tc_adapter *a = f->conf.adapter;
    if (f->tokens_at)
        f->tokens += (double)(now - f->tokens_at) * 1e-9 * a->rest_per_s;
    f->tokens = f->tokens < a->rest_burst ? f->tokens : a->rest_burst;
    f->tokens_at = now;
    if (f->tokens < 1)
        return false;
    f->tokens -= 1;
    return true;
}

void tc_fill_tick(struct tc_fill *f, int64_t now)
{
    if (!f->n || f->waiting || now < f->not_before || now < f->holes[0].ready)
        return;
    if (!f->begun)
        begin_symbol(f);
    if (!take_token(f, now))
        return;
    tc_buf_clear(&f->url);
    f->conf.adapter->page_url(&f->page, &f->url);
    if (f->url.overflow) {
        give_up(f, "an address is too long");
        return;
    }
    f->waiting = tc_link_fetch(f->conf.link, f->url.data);
    if (f->waiting)
        tc_metric_add(f->requests, 1);
}

static void again_later(struct tc_fill *f, const struct tc_link_item *a, const char *why)
{
    tc_metric_add(f->refused, 1);
    if (++f->tries > TRIES) {
        give_up(f, why);
        return;
    }
    int64_t pause = (int64_t)(1u << f->tries) * TC_NS_PER_SEC / 2;
    if (a->retry_after_s >= 0 && a->retry_after_s * TC_NS_PER_SEC > pause)
        pause = a->retry_after_s * TC_NS_PER_SEC;
    f->not_before = a->time + (pause < LONGEST_PAUSE || a->retry_after_s >= 0 ? pause : LONGEST_PAUSE);
}

static void end_symbol(struct tc_fill *f)
{
    if (f->n_rows)
        give_seconds(f);
    f->begun = false;
    if (++f->sym < f->conf.n_symbols)
        return;
    struct tc_hole hole = f->holes[0];
    next_hole(f);
    f->conf.filled(f->conf.arg, &hole);
}

void tc_fill_answer(struct tc_fill *f, const struct tc_link_item *a)
{
    char why[200];
    f->waiting = false;
    if (!f->n || !f->begun)
        return;
    if (a->status == 0 || a->status == 429 || a->status >= 500) {
        if (a->status)
            snprintf(why, sizeof(why), "the server answers %d", a->status);
        else
            snprintf(why, sizeof(why), "%.*s", (int)(a->n < 180 ? a->n : 180), a->data);
        again_later(f, a, why);
        return;
    }
    if (a->status != 200) {
        snprintf(why, sizeof(why), "%s answers %d to a request for history%s", f->conf.adapter->name,
                 a->status, a->status == 401 || a->status == 403 ? ": key or plan do not include it" : "");
        if (a->status == 404) /* a symbol without history; others may have one */
            end_symbol(f);
        else
            give_up(f, why);
        return;
    }
    f->tries = 0;
    int rc = f->conf.adapter->take_page(&f->page, a->data, a->n, on_row, f);
    if (rc) {
        snprintf(why, sizeof(why), "%s", tc_error());
        again_later(f, a, why);
    } else if (f->overflow || ++f->pages > PAGES_MAX) {
        give_up(f, "more trades than are fetched for one hole");
    } else if (f->page.done) {
        end_symbol(f);
    }
}
