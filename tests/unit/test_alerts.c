#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "role/alerts.h"
#include "store/store.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SEC TC_NS_PER_SEC
#define OPEN INT64_C(1795444200000000000) /* 2026-11-23 09:30 in New York, a Monday */

struct world {
    char dir[64], db[96], bus_dir[96];
    struct tc_store store;
    struct tc_ledger *ledger;
    struct tc_bus bus;
    struct tc_calendar *calendar;
    struct tc_feed feed;
    struct tc_feed_ops ops;
    struct tc_feed_health health;
    struct tc_schedule_feed feeds[1];
    struct tc_alerts *alerts;
    int64_t now;
};

static void health(const void *self, struct tc_feed_health *out)
{
    *out = ((const struct world *)self)->health;
}

static struct world *open_world(const char *const *rules, size_t n)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    snprintf(w->dir, sizeof(w->dir), "/tmp/tc-alerts-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->db, sizeof(w->db), "%s/tickcast.db", w->dir);
    snprintf(w->bus_dir, sizeof(w->bus_dir), "%s/bus", w->dir);
    assert_int_equal(tc_sqlite_open(w->db, TC_WORLD_LIVE, &w->store), TC_OK);
    assert_int_equal(tc_ledger_open(w->db, &w->ledger), TC_OK);
    struct tc_log_bus_conf bus = {
        .dir = w->bus_dir, .sync_every_ns = 50 * TC_NS_PER_MS, .segment_bytes = 1 << 20};
    assert_int_equal(tc_log_bus_open(&bus, &w->bus), TC_OK);
    assert_int_equal(tc_calendar_load(TEST_CALENDARS "/xnys.yaml", &w->calendar), TC_OK);
    w->ops.health = health;
    w->feed.ops = &w->ops;
    w->feed.self = w;
    snprintf(w->feed.name, sizeof(w->feed.name), "test");
    w->health = (struct tc_feed_health){.state = "connected", .healthy = true};
    w->feeds[0] = (struct tc_schedule_feed){&w->feed, w->calendar};
    struct tc_alerts_conf conf = {.rules = rules,
                                  .n_rules = n,
                                  .bus = &w->bus,
                                  .store_path = w->db,
                                  .data_dir = w->dir,
                                  .feeds = w->feeds,
                                  .n_feeds = 1,
                                  .ledger = w->ledger};
    if (tc_alerts_open(&conf, &w->alerts))
        fail_msg("%s", tc_error());
    w->now = OPEN + 600 * SEC;
    return w;
}

static void close_world(struct world *w)
{
    char command[128];
    tc_alerts_close(w->alerts);
    tc_ledger_close(w->ledger);
    w->store.ops->close(w->store.self);
    w->bus.ops->close(w->bus.self);
    tc_calendar_free(w->calendar);
    snprintf(command, sizeof(command), "rm -r %s", w->dir);
    assert_int_equal(system(command), 0);
    free(w);
}

static void step(struct world *w)
{
    tc_alerts_step(w->alerts, w->now);
    w->now += SEC;
}

static void price(struct world *w, const char *symbol, double close)
{
    struct tc_record r = {.type = TC_REC_BAR, .from = -1};
    snprintf(r.bar.symbol, sizeof(r.bar.symbol), "%s", symbol);
    r.bar.interval_ms = 1000;
    r.bar.start = w->now;
    r.bar.open = r.bar.high = r.bar.low = r.bar.close = close;
    assert_int_equal(w->bus.ops->publish(w->bus.self, TC_TOPIC_BARS, &r, 1), TC_OK);
    step(w);
}

static char *standing(struct world *w, char out[static 2000])
{
    struct tc_buf b;
    tc_buf_init_fixed(&b, out, 2000);
    tc_alerts_write(w->alerts, &b);
    return out;
}

static bool stands(struct world *w, const char *rule)
{
    char text[2000];
    return strstr(standing(w, text), rule) != NULL;
}

static int count(void *ctx, const struct tc_ledger_row *row)
{
    (void)row;
    ++*(int *)ctx;
    return 0;
}

static int rises(struct world *w)
{
    int n = 0;
    struct tc_ledger_query q = {.kind = TC_LEDGER_ALERT};
    assert_int_equal(tc_ledger_read(w->ledger, &q, count, &n), TC_OK);
    return n;
}

static void a_price_that_sways_about_its_bound_rings_once(void **state)
{
    (void)state;
    const char *const rules[] = {"price SPY > 700"};
    struct world *w = open_world(rules, 1);
    price(w, "SPY", 699.9);
    assert_false(stands(w, rules[0]));
    price(w, "BAC", 800); /* another symbol */
    assert_false(stands(w, rules[0]));
    for (int i = 0; i < 20; i++)
        price(w, "SPY", i % 2 ? 699.95 : 700.05);
    assert_true(stands(w, rules[0]));
    assert_int_equal(rises(w), 1);
    price(w, "SPY", 699.2); /* a thousandth below */
    assert_false(stands(w, rules[0]));
    price(w, "SPY", 701);
    assert_int_equal(rises(w), 2);
    close_world(w);
}

static void a_condition_must_hold_for_its_time_and_clear_at_its_own_level(void **state)
{
    (void)state;
    const char *const rules[] = {"price SPY < 600 for 5s clear 610"};
    struct world *w = open_world(rules, 1);
    for (int i = 0; i < 4; i++)
        price(w, "SPY", 599);
    price(w, "SPY", 601);
    for (int i = 0; i < 5; i++)
        price(w, "SPY", 599);
    assert_int_equal(rises(w), 0);
    price(w, "SPY", 599);
    assert_true(stands(w, rules[0]));
    for (int i = 0; i < 20; i++)
        price(w, "SPY", 609);
    assert_true(stands(w, rules[0]));
    for (int i = 0; i < 6; i++)
        price(w, "SPY", 610);
    assert_false(stands(w, rules[0]));
    close_world(w);
}

static void silence_counts_in_the_session_alone(void **state)
{
    (void)state;
    const char *const rules[] = {"silent > 30s", "silent other > 30s"};
    struct world *w = open_world(rules, 2);
    w->health.last_event_ns = w->now;
    for (int i = 0; i <= 30; i++)
        step(w);
    assert_false(stands(w, rules[0]));
    step(w);
    assert_true(stands(w, rules[0]));
    assert_false(stands(w, rules[1]));
    w->health.last_event_ns = w->now;
    step(w);
    assert_false(stands(w, rules[0]));
    w->health.state = "asleep";
    w->now += 3600 * SEC;
    step(w);
    assert_false(stands(w, rules[0]));
    w->health.state = "connected";
    w->now = OPEN + 8 * 3600 * SEC; /* 17:30 */
    step(w);
    assert_false(stands(w, rules[0]));
    w->now = OPEN + 24 * 3600 * SEC + 20 * SEC; /* the next open: the night is no silence */
    step(w);
    assert_false(stands(w, rules[0]));
    w->now += 11 * SEC;
    step(w);
    assert_true(stands(w, rules[0]));
    close_world(w);
}

static void a_gap_is_told_and_forgotten_after_a_while(void **state)
{
    (void)state;
    const char *const rules[] = {"gap > 10s"};
    struct world *w = open_world(rules, 1);
    struct tc_record r = {.type = TC_REC_GAP, .from = -1};
    r.gap = (struct tc_gap){
        .symbol = "*", .feed = "test", .reason = "silent", .start = OPEN, .end = OPEN + 9 * SEC};
    assert_int_equal(w->bus.ops->publish(w->bus.self, TC_TOPIC_BARS, &r, 1), TC_OK);
    step(w);
    assert_false(stands(w, rules[0]));
    r.gap.end = OPEN + 15 * SEC;
    assert_int_equal(w->bus.ops->publish(w->bus.self, TC_TOPIC_BARS, &r, 1), TC_OK);
    step(w);
    assert_true(stands(w, "a gap of 15 s (bound 10 s)"));
    w->now += 301 * SEC;
    step(w);
    assert_false(stands(w, rules[0]));
    close_world(w);
}

static struct tc_record score(const char *symbol, const char *model, int slot, int64_t n, double ratio)
{
    struct tc_record r = {.type = TC_REC_SCORE, .from = -1};
    struct tc_score *s = &r.score;
    snprintf(s->symbol, sizeof(s->symbol), "%s", symbol);
    snprintf(s->model, sizeof(s->model), "%s", model);
    snprintf(s->inputs, sizeof(s->inputs), "T14");
    s->day = 20261123;
    s->slot = slot;
    s->n = n;
    s->sq_persist = 4.0 * (double)n;
    s->sq_err = ratio * ratio * s->sq_persist;
    return r;
}

static void skill_is_that_of_the_best_model_in_the_newest_hour(void **state)
{
    (void)state;
    const char *const rules[] = {"skill < 0.05", "skill BAC < 0.05"};
    struct world *w = open_world(rules, 2);
    int64_t offsets[5] = {1, 2, 3, 4, 5};
    struct tc_store_counts counts = {0};
    struct tc_record r[] = {
        score("SPY", "ridge@1", 19, 900, 0.99), score("SPY", "net@1", 19, 900, 0.9),
        score("BAC", "ridge@1", 19, 900, 0.99), score("SPY", "lucky@1", 19, 100, 0.1), /* too few */
        score("BAC", "net@1", 10, 900, 0.5),                                           /* hours ago */
    };
    step(w);
    assert_int_equal(rises(w), 0); /* nothing is known yet */
    assert_int_equal(w->store.ops->put(w->store.self, "store", TC_TOPIC_FORECASTS, 6, r, offsets, 5, &counts),
                     TC_OK);
    w->now += 30 * SEC;
    step(w);
    assert_false(stands(w, "\"skill < 0.05\""));
    assert_true(stands(w, "skill over the last hour on BAC is 0.01 (bound 0.05)"));
    close_world(w);
}

static void alerts_end_with_the_program(void **state)
{
    (void)state;
    const char *const rules[] = {"price SPY > 1"};
    struct world *w = open_world(rules, 1);
    price(w, "SPY", 2);
    tc_alerts_close(w->alerts);
    w->alerts = NULL;
    int n = 0;
    struct tc_ledger_query q = {.kind = TC_LEDGER_ALERT};
    assert_int_equal(tc_ledger_read(w->ledger, &q, count, &n), TC_OK);
    assert_int_equal(n, 1);
    close_world(w);
}

static void a_wrong_rule_is_told_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"quiet > 30s", "it must begin with silent"},
        {"silent > soon", "the bound must be a duration"},
        {"silent < 30s", "only > makes sense here"},
        {"disk > 1GiB", "only < makes sense here"},
        {"disk SPY < 1GiB", "this kind has no subject"},
        {"price > 700", "a price needs its symbol"},
        {"price SPY 700", "expected > or <"},
        {"price SPY > 700 for", "behind the bound"},
        {"price SPY > 700 for 1d1h", "a day at most"},
        {"price SPY > 700 clear 710", "the good side"},
        {"price SPY > 700 soon 5s", "behind the bound"},
        {"price SPY > 700 for 5s for 6s", "behind the bound"},
        {"lag >", "expected KIND"},
        {"price S@PY > 700", "no symbol"},
    };
    struct tc_alert_rule r;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (tc_alert_rule_parse(cases[i].text, &r) != TC_ECONF || !strstr(tc_error(), cases[i].message))
            fail_msg("\"%s\": '%s' does not say '%s'", cases[i].text, tc_error(), cases[i].message);
    }
    assert_int_equal(tc_alert_rule_parse("disk < 2GiB for 10s", &r), TC_OK);
    assert_true(r.bound == 2.0 * (1 << 30) && r.clear > r.bound && r.for_ns == 10 * SEC && r.below);
    assert_int_equal(tc_alert_rule_parse("price coinbase:BTC-USD > 1e5 clear 9e4", &r), TC_OK);
    assert_string_equal(r.subject, "coinbase:BTC-USD");
    assert_true(r.bound == 1e5 && r.clear == 9e4);
}

int main(void)
{
    tc_log_set_level(TC_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_price_that_sways_about_its_bound_rings_once),
        cmocka_unit_test(a_condition_must_hold_for_its_time_and_clear_at_its_own_level),
        cmocka_unit_test(silence_counts_in_the_session_alone),
        cmocka_unit_test(a_gap_is_told_and_forgotten_after_a_while),
        cmocka_unit_test(skill_is_that_of_the_best_model_in_the_newest_hour),
        cmocka_unit_test(alerts_end_with_the_program),
        cmocka_unit_test(a_wrong_rule_is_told_with_its_reason),
    };
    return cmocka_run_group_tests_name("alerts", tests, NULL, NULL);
}
