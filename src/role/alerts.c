#include "role/alerts.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/num.h"
#include "base/opt.h"
#include "market/symtab.h"
#include "store/store.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum { RECORDS_A_STEP = 200000, SCORED_MIN = 500, WORDS_MAX = 8, MODELS_MAX = 64 };

#define GAP_STANDS_NS (300 * TC_NS_PER_SEC)
#define SKILL_EVERY_NS (30 * TC_NS_PER_SEC)

struct watch {
    struct tc_alert_rule rule;
    double value;       /* NaN = not known */
    int64_t since_bad;  /* the condition holds since; 0 = it does not */
    int64_t since_good; /* of a standing alert: well back since */
    bool standing;
    struct tc_ledger_alert alert; /* of a standing one */
    int64_t gap_seen;             /* wall clock of the longest gap counted */
};

struct tc_alerts {
    struct tc_alerts_conf conf;
    struct tc_schedule_feed feeds[TC_SCHEDULE_FEEDS_MAX];
    struct watch watches[TC_ALERT_RULES_MAX];
    size_t n;
    struct tc_bus_reader *reader; /* when a rule needs prices or gaps */
    bool wants_skill;
    struct tc_store store; /* when a rule needs scores */
    int64_t next_skill, started;
    struct tc_notify *notify;
    tc_metric *m_standing;
    pthread_mutex_t lock; /* guards `standing` and `alert` of the watches for other threads */
};

/* ---- rules ---- */

static const char *const kind_names[] = {"silent", "gap", "skill", "price", "disk", "lag"};

static int wrong(const char *text, const char *why)
{
    return tc_fail(TC_ECONF, "alerts.rules: \"%.80s\": %s", text, why);
}

static bool parse_duration(const char *word, double *out)
{
    struct tc_opt o = {.key = "x", .type = TC_OPT_DURATION};
    int64_t ns = 0;
    struct tc_opt_group group = {.opts = &o, .n = 1, .target = &ns};
    struct tc_opt_set set = {.n_groups = 1};
    set.groups[0] = group;
    if (tc_opt_open(&set))
        return false;
    bool ok = tc_opt_set_text(&set, "x", word, "rule") == TC_OK;
    *out = (double)ns / 1e9;
    tc_opt_release(&set);
    return ok;
}

static bool parse_size(const char *word, double *out)
{
    struct tc_opt o = {.key = "x", .type = TC_OPT_SIZE};
    int64_t bytes = 0;
    struct tc_opt_group group = {.opts = &o, .n = 1, .target = &bytes};
    struct tc_opt_set set = {.n_groups = 1};
    set.groups[0] = group;
    if (tc_opt_open(&set))
        return false;
    bool ok = tc_opt_set_text(&set, "x", word, "rule") == TC_OK;
    *out = (double)bytes;
    tc_opt_release(&set);
    return ok;
}

static bool parse_bound(enum tc_alert_kind kind, const char *word, double *out)
{
    if (kind == TC_ALERT_SILENT || kind == TC_ALERT_GAP)
        return parse_duration(word, out);
    if (kind == TC_ALERT_DISK)
        return parse_size(word, out);
    return tc_parse_double(word, strlen(word), out);
}

static double default_clear(const struct tc_alert_rule *r)
{
    double way = r->below ? 1 : -1;
    switch (r->kind) {
    case TC_ALERT_SILENT:
    case TC_ALERT_LAG:
        return r->bound / 2;
    case TC_ALERT_SKILL:
        return r->bound + way * 0.01;
    case TC_ALERT_PRICE:
        return r->bound * (1 + way * 0.001);
    case TC_ALERT_DISK:
        return r->bound * 1.1;
    case TC_ALERT_GAP:
        break;
    }
    return r->bound;
}

/* The words behind the bound: for DURATION, clear BOUND, each once. */
static int parse_rest(const char *text, char *words[], size_t n, size_t at, struct tc_alert_rule *r)
{
    bool has_for = false, has_clear = false;
    for (; at < n; at += 2) {
        double seconds;
        if (at + 1 == n)
            return wrong(text, "behind the bound may stand `for DURATION` and `clear BOUND`");
        if (!strcmp(words[at], "for") && !has_for) {
            if (!parse_duration(words[at + 1], &seconds) || seconds > 86400)
                return wrong(text, "`for` needs a duration such as 30s, a day at most");
            r->for_ns = (int64_t)(seconds * 1e9);
            has_for = true;
        } else if (!strcmp(words[at], "clear") && !has_clear) {
            if (!parse_bound(r->kind, words[at + 1], &r->clear))
                return wrong(text, "`clear` needs a value of the same kind as the bound");
            has_clear = true;
        } else {
            return wrong(text, "behind the bound may stand `for DURATION` and `clear BOUND`");
        }
    }
    if (!has_clear)
        r->clear = default_clear(r);
    if (r->below ? r->clear < r->bound : r->clear > r->bound)
        return wrong(text, "`clear` must lie on the good side of the bound");
    return TC_OK;
}

static size_t cut(char *line, char *words[WORDS_MAX + 1])
{
    size_t n = 0;
    char *save = NULL;
    for (char *w = strtok_r(line, " \t", &save); w && n <= WORDS_MAX; w = strtok_r(NULL, " \t", &save))
        words[n++] = w;
    return n;
}

static int parse_kind(const char *text, const char *word, enum tc_alert_kind *out)
{
    for (size_t i = 0; i < sizeof(kind_names) / sizeof(kind_names[0]); i++)
        if (!strcmp(word, kind_names[i])) {
            *out = (enum tc_alert_kind)i;
            return TC_OK;
        }
    return wrong(text, "it must begin with silent, gap, skill, price, disk or lag");
}

int tc_alert_rule_parse(const char *text, struct tc_alert_rule *out)
{
    char line[TC_RULE_SIZE], *words[WORDS_MAX + 1];
    *out = (struct tc_alert_rule){0};
    if (strlen(text) >= sizeof(line))
        return wrong(text, "a rule has 95 characters at most");
    memcpy(line, text, strlen(text) + 1);
    memcpy(out->text, text, strlen(text) + 1);
    size_t n = cut(line, words), at = 1;
    if (n < 3)
        return wrong(text, "expected KIND [SUBJECT] > BOUND, such as: silent > 30s");
    int rc = parse_kind(text, words[0], &out->kind);
    if (rc)
        return rc;
    bool plain = out->kind == TC_ALERT_DISK || out->kind == TC_ALERT_LAG;
    if (strcmp(words[1], ">") && strcmp(words[1], "<")) {
        if (plain || !tc_symbol_valid(words[1]))
            return wrong(text, plain ? "this kind has no subject" : "the subject is no symbol or feed");
        memcpy(out->subject, words[1], strlen(words[1]) + 1);
        at = 2;
    } else if (out->kind == TC_ALERT_PRICE) {
        return wrong(text, "a price needs its symbol: price SPY > 700");
    }
    if (at + 1 >= n || (strcmp(words[at], ">") && strcmp(words[at], "<")))
        return wrong(text, "expected > or < and a bound");
    out->below = words[at][0] == '<';
    bool only_below = out->kind == TC_ALERT_DISK || out->kind == TC_ALERT_SKILL;
    if (out->kind != TC_ALERT_PRICE && out->below != only_below)
        return wrong(text, only_below ? "only < makes sense here" : "only > makes sense here");
    if (!parse_bound(out->kind, words[at + 1], &out->bound))
        return wrong(text, "the bound must be a duration (silent, gap), a size (disk) or a number");
    return parse_rest(text, words, n, at + 2, out);
}

/* ---- values ---- */

static double silence(const struct tc_alerts *a, const struct tc_alert_rule *r, int64_t now)
{
    double longest = 0;
    for (size_t i = 0; i < a->conf.n_feeds; i++) {
        const struct tc_schedule_feed *f = &a->feeds[i];
        struct tc_feed_health h = {0};
        if ((r->subject[0] && strcmp(r->subject, f->feed->name)) || !f->feed->ops->health)
            continue;
        f->feed->ops->health(f->feed->self, &h);
        bool rests = h.state && (!strcmp(h.state, "asleep") || !strcmp(h.state, "ended"));
        if (rests || !tc_calendar_is_open(f->calendar, now))
            continue;
        int64_t last = h.last_event_ns > a->started ? h.last_event_ns : a->started;
        struct tc_session s; /* what was before the open is no silence */
        if (!tc_calendar_session(f->calendar, tc_calendar_day(f->calendar, now), &s) && s.open > last)
            last = s.open;
        longest = fmax(longest, (double)(now - last) / 1e9);
    }
    return longest;
}

static double lag(void)
{
    static const char *const labels[] = {"role=\"store\",topic=\"bars\"",
                                         "role=\"store\",topic=\"forecasts\"",
                                         "role=\"forecast\",topic=\"bars\""};
    double most = 0;
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        const tc_metric *m = tc_metric_find("tickcast_lag_records", labels[i]);
        if (m)
            most = fmax(most, (double)tc_metric_get(m));
    }
    return most;
}

static double free_disk(const struct tc_alerts *a)
{
    struct statvfs fs;
    return statvfs(a->conf.data_dir, &fs) ? NAN : (double)fs.f_bavail * (double)fs.f_frsize;
}

/* Squared errors of one model, each divided by its symbol's mean squared error of "no change". */
struct pool {
    char model[TC_MODEL_SIZE];
    double model_sq, persist_sq;
    int64_t n;
};

struct scores {
    const char *symbol; /* "" = all */
    int32_t newest_slot;
    size_t n;
    struct pool pools[MODELS_MAX];
};

static int newest_slot(void *ctx, const struct tc_record *row)
{
    struct scores *s = ctx;
    if (row->score.slot > s->newest_slot)
        s->newest_slot = row->score.slot;
    return 0;
}

static int add_score(void *ctx, const struct tc_record *row)
{
    struct scores *s = ctx;
    const struct tc_score *x = &row->score;
    if (x->kind != TC_KIND_NEXT || x->slot < s->newest_slot - 1 || x->n < 1 || !(x->sq_persist > 0) ||
        (s->symbol[0] && strcmp(s->symbol, x->symbol)))
        return 0;
    size_t i = 0;
    while (i < s->n && strcmp(s->pools[i].model, x->model))
        i++;
    if (i == MODELS_MAX)
        return 0;
    struct pool *p = &s->pools[i];
    if (i == s->n) {
        s->n++;
        *p = (struct pool){0};
        snprintf(p->model, sizeof(p->model), "%s", x->model);
    }
    p->model_sq += x->sq_err / x->sq_persist * (double)x->n;
    p->persist_sq += (double)x->n;
    p->n += x->n;
    return 0;
}

static double best_skill(const struct scores *s)
{
    double best = NAN;
    for (size_t i = 0; i < s->n; i++)
        if (s->pools[i].n >= SCORED_MIN)
            best = fmax(best, 1 - sqrt(s->pools[i].model_sq / s->pools[i].persist_sq));
    return best;
}

/* Of the newest hour of the day; what was known before when the store cannot be read now. */
static void read_skill(struct tc_alerts *a, int64_t now)
{
    if (!a->store.ops && tc_sqlite_open_reader(a->conf.store_path, &a->store))
        return;
    int32_t day = tc_calendar_day(a->feeds[0].calendar, now);
    for (size_t i = 0; i < a->n; i++) {
        struct watch *w = &a->watches[i];
        if (w->rule.kind != TC_ALERT_SKILL)
            continue;
        struct scores s = {.symbol = w->rule.subject, .newest_slot = -1};
        const char *symbol = w->rule.subject[0] ? w->rule.subject : NULL;
        const struct tc_store_ops *ops = a->store.ops;
        int rc = ops->scores(a->store.self, symbol, day, day, newest_slot, &s);
        if (rc >= 0)
            rc = ops->scores(a->store.self, symbol, day, day, add_score, &s);
        if (rc >= 0)
            w->value = best_skill(&s);
    }
}

static void take_record(struct tc_alerts *a, const struct tc_record *r, int64_t now)
{
    for (size_t i = 0; i < a->n; i++) {
        struct watch *w = &a->watches[i];
        const char *subject = w->rule.subject;
        if (w->rule.kind == TC_ALERT_PRICE && r->type == TC_REC_BAR && !strcmp(subject, r->bar.symbol)) {
            w->value = r->bar.close;
        } else if (w->rule.kind == TC_ALERT_GAP && r->type == TC_REC_GAP && !r->gap.filled &&
                   (!subject[0] || !strcmp(subject, r->gap.symbol))) {
            double seconds = (double)(r->gap.end - r->gap.start) / 1e9;
            if (isnan(w->value) || seconds >= w->value) {
                w->value = seconds;
                w->gap_seen = now;
            }
        }
    }
}

/* Reading was overtaken by retention, or the log is damaged: go on with what comes. */
static int open_reader(struct tc_alerts *a)
{
    struct tc_bus *bus = a->conf.bus;
    struct tc_bus_stat stat;
    bus->ops->stat(bus->self, TC_TOPIC_BARS, &stat);
    if (a->reader)
        bus->ops->close_reader(a->reader);
    a->reader = NULL;
    return bus->ops->open_reader(bus->self, TC_TOPIC_BARS, stat.end, 0, &a->reader);
}

static void read_bus(struct tc_alerts *a, int64_t now)
{
    struct tc_record r;
    int64_t offset;
    for (int i = 0; a->reader && i < RECORDS_A_STEP; i++) {
        int rc = a->conf.bus->ops->read(a->reader, &r, &offset);
        if (rc == TC_AGAIN)
            return;
        if (rc == TC_OK)
            take_record(a, &r, now);
        else if (offset < 0 || rc != TC_EINPUT) {
            if (open_reader(a))
                tc_log_error("alerts", "%s", tc_error());
            return;
        }
    }
}

static void measure(struct tc_alerts *a, int64_t now)
{
    read_bus(a, now);
    if (a->wants_skill && now >= a->next_skill) {
        a->next_skill = now + SKILL_EVERY_NS;
        read_skill(a, now);
    }
    for (size_t i = 0; i < a->n; i++) {
        struct watch *w = &a->watches[i];
        if (w->rule.kind == TC_ALERT_SILENT)
            w->value = silence(a, &w->rule, now);
        else if (w->rule.kind == TC_ALERT_LAG)
            w->value = lag();
        else if (w->rule.kind == TC_ALERT_DISK)
            w->value = free_disk(a);
        else if (w->rule.kind == TC_ALERT_GAP && now - w->gap_seen > GAP_STANDS_NS)
            w->value = 0;
    }
}

/* ---- rise and fall ---- */

static void put_value(const struct tc_alert_rule *r, double v, char *out, size_t size)
{
    if (r->kind == TC_ALERT_SILENT || r->kind == TC_ALERT_GAP)
        snprintf(out, size, "%.0f s", v);
    else if (r->kind == TC_ALERT_DISK)
        snprintf(out, size, "%.1f GiB", v / (1 << 30));
    else
        snprintf(out, size, "%.6g", v);
}

static void describe(const struct watch *w, char *out, size_t size)
{
    const struct tc_alert_rule *r = &w->rule;
    const char *what = r->subject;
    char value[40], bound[40];
    put_value(r, w->value, value, sizeof(value));
    put_value(r, r->bound, bound, sizeof(bound));
    switch (r->kind) {
    case TC_ALERT_SILENT:
        snprintf(out, size, "feed %s has been silent for %s (bound %s)", what[0] ? what : "of the market",
                 value, bound);
        break;
    case TC_ALERT_GAP:
        snprintf(out, size, "a gap of %s%s%s (bound %s)", value, what[0] ? " in " : "", what, bound);
        break;
    case TC_ALERT_SKILL:
        snprintf(out, size, "skill over the last hour%s%s is %s (bound %s)", what[0] ? " on " : "", what,
                 value, bound);
        break;
    case TC_ALERT_PRICE:
        snprintf(out, size, "%s is at %s, %s %s", what, value, r->below ? "below" : "above", bound);
        break;
    case TC_ALERT_DISK:
        snprintf(out, size, "%s are left on the disk of the data folder (bound %s)", value, bound);
        break;
    case TC_ALERT_LAG:
        snprintf(out, size, "%s records wait to be stored or forecast (bound %s)", value, bound);
        break;
    }
}

/* Into the ledger and to the receivers; none of it may stop the role. */
static void tell(struct tc_alerts *a, const struct tc_ledger_alert *alert)
{
    struct tc_ledger_row row = {.kind = TC_LEDGER_ALERT, .alert = *alert};
    if (tc_ledger_put(a->conf.ledger, &row))
        tc_log_error("alerts", "%s", tc_error());
    tc_notify_put(a->notify, alert);
}

static void rise(struct tc_alerts *a, struct watch *w, int64_t now)
{
    struct tc_ledger_alert x = {.since = now, .value = w->value, .bound = w->rule.bound};
    memcpy(x.rule, w->rule.text, sizeof(x.rule));
    memcpy(x.subject, w->rule.subject, sizeof(x.subject));
    describe(w, x.message, sizeof(x.message));
    tc_log_warn("alerts", "%s [%s]", x.message, x.rule);
    pthread_mutex_lock(&a->lock);
    w->alert = x;
    w->standing = true;
    pthread_mutex_unlock(&a->lock);
    w->since_good = 0;
    tc_metric_add(a->m_standing, 1);
    tell(a, &x);
}

static void fall(struct tc_alerts *a, struct watch *w, int64_t now)
{
    pthread_mutex_lock(&a->lock);
    w->alert.until = now;
    w->standing = false;
    pthread_mutex_unlock(&a->lock);
    w->since_bad = 0;
    tc_log_info("alerts", "over: %s [%s]", w->alert.message, w->rule.text);
    tc_metric_add(a->m_standing, -1);
    tell(a, &w->alert);
}

static void judge(struct tc_alerts *a, struct watch *w, int64_t now)
{
    const struct tc_alert_rule *r = &w->rule;
    if (isnan(w->value))
        return;
    bool bad = r->below ? w->value < r->bound : w->value > r->bound;
    bool good = r->below ? w->value >= r->clear : w->value <= r->clear;
    if (!w->standing) {
        w->since_bad = !bad ? 0 : w->since_bad ? w->since_bad : now;
        if (bad && now - w->since_bad >= r->for_ns)
            rise(a, w, now);
        return;
    }
    w->since_good = !good ? 0 : w->since_good ? w->since_good : now;
    if (good && now - w->since_good >= r->for_ns)
        fall(a, w, now);
}

void tc_alerts_step(void *alerts, int64_t now)
{
    struct tc_alerts *a = alerts;
    if (!a->started)
        a->started = now;
    measure(a, now);
    for (size_t i = 0; i < a->n; i++)
        judge(a, &a->watches[i], now);
}

void tc_alerts_write(struct tc_alerts *a, struct tc_buf *out)
{
    bool any = false;
    tc_buf_char(out, '[');
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->n; i++) {
        if (!a->watches[i].standing)
            continue;
        struct tc_ledger_row row = {.kind = TC_LEDGER_ALERT, .alert = a->watches[i].alert};
        if (any)
            tc_buf_char(out, ',');
        any = true;
        tc_ledger_to_json(&row, out);
    }
    pthread_mutex_unlock(&a->lock);
    tc_buf_char(out, ']');
}

/* ---- opening ---- */

static int open_rules(struct tc_alerts *a)
{
    bool wants_bus = false;
    if (a->conf.n_rules > TC_ALERT_RULES_MAX)
        return tc_fail(TC_ECONF, "alerts.rules: more than %d", TC_ALERT_RULES_MAX);
    for (size_t i = 0; i < a->conf.n_rules; i++) {
        struct watch *w = &a->watches[i];
        int rc = tc_alert_rule_parse(a->conf.rules[i], &w->rule);
        if (rc)
            return rc;
        w->value = NAN;
        wants_bus = wants_bus || w->rule.kind == TC_ALERT_PRICE || w->rule.kind == TC_ALERT_GAP;
        a->wants_skill = a->wants_skill || w->rule.kind == TC_ALERT_SKILL;
        a->n++;
    }
    return wants_bus ? open_reader(a) : TC_OK;
}

int tc_alerts_open(const struct tc_alerts_conf *conf, struct tc_alerts **out)
{
    struct tc_alerts *a = calloc(1, sizeof(*a));
    if (!a)
        return tc_fail(TC_ENOMEM, "no memory for alerts");
    a->conf = *conf;
    pthread_mutex_init(&a->lock, NULL);
    a->m_standing = tc_gauge("tickcast_alerts_standing", NULL, "Alerts that stand");
    for (size_t i = 0; i < conf->n_feeds && i < TC_SCHEDULE_FEEDS_MAX; i++)
        a->feeds[i] = conf->feeds[i];
    int rc = open_rules(a);
    if (!rc)
        rc = tc_ledger_end_alerts(conf->ledger, tc_now_ns());
    if (!rc)
        rc = tc_notify_open(&conf->notify, &a->notify);
    if (rc) {
        tc_alerts_close(a);
        return rc;
    }
    *out = a;
    return TC_OK;
}

void tc_alerts_close(struct tc_alerts *a)
{
    if (!a)
        return;
    tc_notify_close(a->notify);
    if (a->reader)
        a->conf.bus->ops->close_reader(a->reader);
    if (a->store.ops)
        a->store.ops->close(a->store.self);
    tc_ledger_end_alerts(a->conf.ledger, tc_now_ns());
    tc_metric_set(a->m_standing, 0);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
