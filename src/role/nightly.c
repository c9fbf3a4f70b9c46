#include "role/nightly.h"
#include "base/clock.h"
#include "base/err.h"
#include "feed/replay.h"
#include "market/reconcile.h"
#include "store/store.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MINUTES_MAX = 2000,   /* bars of a minute in a session of 24 hours, with room */
    SYMBOLS_A_STEP = 200, /* looked at in one step */
    EVENTS = 512,
    BATCHES_A_STEP = 100,
};

static const int64_t MINUTE = 60 * TC_NS_PER_SEC, DAY = 86400 * TC_NS_PER_SEC;

struct vendor_bars {
    size_t n;
    struct tc_plain_bar bars[MINUTES_MAX];
};

struct tc_nightly {
    struct tc_nightly_conf conf;
    struct tc_session session;
    struct tc_store store; /* a reader, while a job runs */
    char (*symbols)[TC_SYMBOL_SIZE];
    size_t n_symbols, cap, at;
    struct tc_quality sum;
    size_t holes, flags;
    /* reconcile */
    struct tc_feed feed;
    struct vendor_bars *vendor; /* one for each of the feed's symbols */
    struct tc_plain_bar own[MINUTES_MAX];
    size_t n_own, compared;
    int64_t mismatches, missing;
    double own_volume, vendor_volume;
    struct tc_event events[EVENTS];
};

static void end_job(struct tc_nightly *n)
{
    if (n->store.ops)
        n->store.ops->close(n->store.self);
    if (n->feed.ops)
        n->feed.ops->close(n->feed.self);
    free(n->symbols);
    free(n->vendor);
    n->store = (struct tc_store){0};
    n->feed = (struct tc_feed){0};
    n->symbols = NULL;
    n->vendor = NULL;
    n->n_symbols = n->cap = n->at = 0;
}

static void stop_job(void *ctx)
{
    end_job(ctx);
}

static int ended(struct tc_nightly *n, int rc)
{
    end_job(n);
    return rc;
}

/* ---- retention ---- */

static int start_plain(void *ctx, const struct tc_session *session)
{
    struct tc_nightly *n = ctx;
    n->session = *session;
    return TC_OK;
}

static int step_retention(void *ctx, char *message, size_t size)
{
    struct tc_nightly *n = ctx;
    int64_t deleted = 0;
    if (!n->conf.retain_ledger_ns) {
        snprintf(message, size, "everything is kept");
        return TC_DONE;
    }
    int64_t days = n->conf.retain_ledger_ns / DAY;
    int32_t before = tc_date_from_days(tc_days_from_date(n->session.day) - days);
    int rc = tc_ledger_trim(n->conf.ledger, before, &deleted);
    snprintf(message, size, "%" PRId64 " rows of the ledger from before %d deleted", deleted, before);
    return rc;
}

/* ---- the quality report ---- */

static int add_symbol(struct tc_nightly *n, const char *symbol)
{
    if (n->n_symbols == n->cap) {
        size_t cap = n->cap ? 2 * n->cap : 64;
        void *more = realloc(n->symbols, cap * sizeof(*n->symbols));
        if (!more)
            return tc_fail(TC_ENOMEM, "no memory for the symbols of a session");
        n->symbols = more;
        n->cap = cap;
    }
    memcpy(n->symbols[n->n_symbols++], symbol, TC_SYMBOL_SIZE);
    return TC_OK;
}

static int take_quality(void *ctx, const struct tc_record *row)
{
    struct tc_nightly *n = ctx;
    const struct tc_quality *q = &row->quality;
    n->sum.traded += q->traded;
    n->sum.no_trade += q->no_trade;
    n->sum.unknown += q->unknown;
    n->sum.duplicates += q->duplicates;
    n->sum.late += q->late;
    n->sum.revised += q->revised;
    n->sum.backfilled += q->backfilled;
    n->holes += q->unknown > 0;
    return add_symbol(n, q->symbol);
}

static int open_store(struct tc_nightly *n, const struct tc_session *session, tc_row_fn take)
{
    end_job(n);
    n->session = *session;
    n->sum = (struct tc_quality){0};
    n->holes = n->flags = 0;
    int rc = tc_sqlite_open_reader(n->conf.store_path, &n->store);
    if (!rc)
        rc = n->store.ops->quality(n->store.self, NULL, session->day, session->day, take, n);
    return rc ? ended(n, rc) : TC_OK;
}

static int start_quality(void *ctx, const struct tc_session *session)
{
    return open_store(ctx, session, take_quality);
}

static int take_bar(void *ctx, const struct tc_record *row)
{
    *(struct tc_bar *)ctx = row->bar;
    return 0;
}

static int put_flag(struct tc_nightly *n, const char *symbol, double suspect, const struct tc_bar *before,
                    const struct tc_bar *after)
{
    struct tc_ledger_row row = {.kind = TC_LEDGER_FLAG};
    struct tc_ledger_flag *f = &row.flag;
    snprintf(f->symbol, sizeof(f->symbol), "%s", symbol);
    f->day = n->session.day;
    snprintf(f->kind, sizeof(f->kind), "split");
    f->value = suspect;
    f->written = tc_now_ns();
    snprintf(
        f->message, sizeof(f->message),
        "%s opened at %g after %g: a split of %g new for one old would look so, and data/actions.csv has "
        "none",
        symbol, after->open, before->close, suspect);
    n->flags++;
    return tc_ledger_put(n->conf.ledger, &row);
}

static int check_overnight(struct tc_nightly *n, const char *symbol)
{
    struct tc_bar before = {0}, after = {0};
    struct tc_range last = {.symbol = symbol,
                            .from = n->session.pre_open - 10 * DAY,
                            .to = n->session.pre_open,
                            .interval_ms = 1000,
                            .limit = 1,
                            .newest = true};
    struct tc_range first = {
        .symbol = symbol, .from = n->session.open, .to = n->session.close, .interval_ms = 1000, .limit = 1};
    int rc = n->store.ops->bars(n->store.self, &last, take_bar, &before);
    if (!rc)
        rc = n->store.ops->bars(n->store.self, &first, take_bar, &after);
    if (rc || !before.start || !after.start)
        return rc;
    /* A split that is known is taken out first; then nothing near a whole number should be left. */
    double known = tc_actions_split(n->conf.actions, symbol, n->session.day);
    double suspect = tc_split_suspect(before.close / known, after.open);
    return suspect > 0 ? put_flag(n, symbol, suspect, &before, &after)
                       : tc_ledger_unflag(n->conf.ledger, symbol, n->session.day, "split");
}

static int step_quality(void *ctx, char *message, size_t size)
{
    struct tc_nightly *n = ctx;
    for (int i = 0; i < SYMBOLS_A_STEP && n->at < n->n_symbols; i++, n->at++) {
        int rc = tc_calendar_always_open(n->conf.calendar) ? TC_OK : check_overnight(n, n->symbols[n->at]);
        if (rc)
            return ended(n, rc);
    }
    if (n->at < n->n_symbols)
        return TC_AGAIN;
    if (!n->n_symbols) {
        snprintf(message, size, "nothing was collected in that session");
        return ended(n, TC_DONE);
    }
    const struct tc_quality *q = &n->sum;
    snprintf(message, size,
             "%zu symbols, seconds: %" PRId64 " traded, %" PRId64 " without a trade, %" PRId64
             " unknown (%zu symbols); late %" PRId64 ", revised %" PRId64 ", duplicates %" PRId64
             ", back-filled %" PRId64 "; %zu flagged",
             n->n_symbols, q->traded, q->no_trade, q->unknown, n->holes, q->late, q->revised, q->duplicates,
             q->backfilled, n->flags);
    return ended(n, TC_OK);
}

/* ---- the comparison with the vendor ---- */

static int take_symbol(void *ctx, const struct tc_record *row)
{
    return add_symbol(ctx, row->quality.symbol);
}

static int open_vendor(struct tc_nightly *n)
{
    struct tc_replay_conf conf = {
        .path = n->conf.vendor_path,
        .from = n->session.day,
        .to = n->session.day,
        .speed = INFINITY,
        .bars_from = TC_BARS_FROM_SECONDS,
        .on_error = TC_ON_ERROR_SKIP,
        .calendar = n->conf.calendar,
    };
    int rc = tc_replay_open(&conf, &n->feed);
    if (rc)
        return tc_more(rc, "schedule.vendor_bars");
    n->vendor = calloc(n->feed.n_symbols, sizeof(*n->vendor));
    return n->vendor ? TC_OK : tc_fail(TC_ENOMEM, "no memory for the vendor's bars");
}

static int start_reconcile(void *ctx, const struct tc_session *session)
{
    struct tc_nightly *n = ctx;
    n->compared = 0;
    n->mismatches = n->missing = 0;
    n->own_volume = n->vendor_volume = 0;
    if (!n->conf.vendor_path)
        return TC_OK;
    int rc = open_store(n, session, take_symbol);
    if (!rc && n->n_symbols)
        rc = open_vendor(n);
    return rc ? ended(n, rc) : TC_OK;
}

static int put_comparison(struct tc_nightly *n, const char *symbol, int32_t interval_ms,
                          const struct tc_reconcile *r)
{
    struct tc_ledger_row row = {.kind = TC_LEDGER_RECONCILED};
    struct tc_ledger_reconciled *x = &row.reconciled;
    snprintf(x->symbol, sizeof(x->symbol), "%s", symbol);
    snprintf(x->source, sizeof(x->source), "%.15s", n->feed.name);
    x->day = n->session.day;
    x->interval_ms = interval_ms;
    x->compared = r->compared;
    x->mismatches = r->mismatches;
    x->missing_own = r->missing_own;
    x->missing_vendor = r->missing_vendor;
    x->own_volume = r->own_volume;
    x->vendor_volume = r->vendor_volume;
    x->worst = r->worst;
    x->written = tc_now_ns();
    return tc_ledger_put(n->conf.ledger, &row);
}

static int take_own(void *ctx, const struct tc_record *row)
{
    struct tc_nightly *n = ctx;
    const struct tc_bar *b = &row->bar;
    if (n->n_own == MINUTES_MAX)
        return TC_DONE;
    n->own[n->n_own++] = (struct tc_plain_bar){b->start, b->open, b->high, b->low, b->close, b->volume};
    return 0;
}

/* One bar of the whole list, with the session's day as its start. */
static size_t whole(const struct tc_plain_bar *list, size_t n, struct tc_plain_bar *out)
{
    size_t made = 0;
    for (size_t i = 0; i < n; i++) {
        struct tc_plain_bar b = list[i];
        b.start = 0;
        made = tc_plain_fold(out, made, &b, DAY);
    }
    return made;
}

static int compare(struct tc_nightly *n, const char *symbol, const struct vendor_bars *v)
{
    struct tc_range q = {
        .symbol = symbol, .from = n->session.open, .to = n->session.close, .interval_ms = 60000};
    struct tc_reconcile r;
    struct tc_plain_bar mine, theirs;
    n->n_own = 0;
    int rc = n->store.ops->bars(n->store.self, &q, take_own, n);
    if (rc < 0)
        return rc;
    tc_reconcile(n->own, n->n_own, v->bars, v->n, &r);
    rc = put_comparison(n, symbol, 60000, &r);
    n->compared++;
    n->mismatches += r.mismatches;
    n->missing += r.missing_own + r.missing_vendor;
    n->own_volume += r.own_volume;
    n->vendor_volume += r.vendor_volume;
    size_t n_mine = whole(n->own, n->n_own, &mine), n_theirs = whole(v->bars, v->n, &theirs);
    tc_reconcile(&mine, n_mine, &theirs, n_theirs, &r);
    return rc ? rc : put_comparison(n, symbol, 86400000, &r);
}

static int compare_all(struct tc_nightly *n)
{
    for (size_t i = 0; i < n->n_symbols; i++)
        for (uint32_t k = 0; k < n->feed.n_symbols; k++) {
            if (strcmp(n->symbols[i], n->feed.symbols[k]) != 0)
                continue;
            int rc = compare(n, n->symbols[i], &n->vendor[k]);
            if (rc)
                return rc;
        }
    return TC_OK;
}

static void take_vendor(struct tc_nightly *n, const struct tc_event *e)
{
    if (e->type != TC_EVENT_BAR || e->time < n->session.open || e->time >= n->session.close)
        return;
    struct vendor_bars *v = &n->vendor[e->sym];
    const struct tc_event_bar *b = &e->bar;
    struct tc_plain_bar bar = {e->time, b->open, b->high, b->low, b->close, b->volume};
    if (v->n < MINUTES_MAX)
        v->n = tc_plain_fold(v->bars, v->n, &bar, MINUTE);
}

/* TC_AGAIN while the vendor's source has more. */
static int read_vendor(struct tc_nightly *n)
{
    for (int i = 0; i < BATCHES_A_STEP; i++) {
        size_t got = 0;
        int64_t wait;
        int rc = n->feed.ops->next(n->feed.self, n->events, EVENTS, &got, &wait);
        if (rc != TC_OK)
            return rc == TC_DONE ? TC_OK : rc;
        for (size_t k = 0; k < got; k++)
            take_vendor(n, &n->events[k]);
    }
    return TC_AGAIN;
}

static int step_reconcile(void *ctx, char *message, size_t size)
{
    struct tc_nightly *n = ctx;
    if (!n->conf.vendor_path || !n->n_symbols) {
        snprintf(message, size,
                 n->conf.vendor_path ? "nothing was collected in that session"
                                     : "schedule.vendor_bars names no bars to compare with");
        return ended(n, TC_DONE);
    }
    int rc = read_vendor(n);
    if (rc == TC_AGAIN)
        return rc;
    if (!rc)
        rc = compare_all(n);
    if (!rc)
        snprintf(message, size,
                 "%zu of %zu symbols compared: own volume %.0f, vendor's %.0f; %" PRId64
                 " minutes differ, %" PRId64 " are missing on one side",
                 n->compared, n->n_symbols, n->own_volume, n->vendor_volume, n->mismatches, n->missing);
    return ended(n, rc);
}

/* ---- opening ---- */

int tc_nightly_open(const struct tc_nightly_conf *conf, struct tc_nightly **out)
{
    struct tc_nightly *n = calloc(1, sizeof(*n));
    if (!n)
        return tc_fail(TC_ENOMEM, "no memory for the nightly jobs");
    n->conf = *conf;
    *out = n;
    return TC_OK;
}

void tc_nightly_close(struct tc_nightly *n)
{
    if (!n)
        return;
    end_job(n);
    free(n);
}

struct tc_job tc_nightly_retention(struct tc_nightly *n)
{
    return (struct tc_job){.name = "retention", .start = start_plain, .step = step_retention, .ctx = n};
}

struct tc_job tc_nightly_quality(struct tc_nightly *n)
{
    return (struct tc_job){
        .name = "quality", .start = start_quality, .step = step_quality, .stop = stop_job, .ctx = n};
}

struct tc_job tc_nightly_reconcile(struct tc_nightly *n)
{
    return (struct tc_job){
        .name = "reconcile", .start = start_reconcile, .step = step_reconcile, .stop = stop_job, .ctx = n};
}
