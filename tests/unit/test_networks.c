/* Networks in the engine: imported price-level models beside others, with holes, revisions, sessions that end
 * and restarts, against an evaluation of the very rows that had arrived. */
#include "base/clock.h"
#include "base/err.h"
#include "forecast/engine.h"
#include "model/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gen_market.h"

enum { NETWORKS = 3, SYMBOLS = 3, ROWS_MAX = 4000, COLUMNS = 5 };

static const int64_t MONDAY = INT64_C(1381104000) * 1000000000;
static const int64_t OPEN = 13 * 3600 + 30 * 60; /* XNYS, in UTC that day */
static const char *const columns[COLUMNS] = {"price", "volume", "transactions", "high", "low"};

static struct tc_calendar *xnys;
static struct tc_model *models[NETWORKS];

static const struct tc_calendar *calendar_of(void *ctx, const char *symbol)
{
    (void)ctx;
    (void)symbol;
    return xnys;
}

static void price_spec(struct tc_model_spec *s, const char *name, int32_t window, int32_t block)
{
    struct tc_rng rng;
    tc_rng_seed(&rng, (uint64_t)window);
    *s = (struct tc_model_spec){.low = -1e6, .high = 1e6};
    snprintf(s->name, sizeof(s->name), "%s", name);
    struct tc_model_info *info = &s->info;
    snprintf(info->inputs, sizeof(info->inputs), "columns");
    snprintf(info->feature_hash, sizeof(info->feature_hash), "as-named");
    snprintf(info->target_unit, sizeof(info->target_unit), "price");
    info->window = window;
    info->block = block;
    info->interval_ms = 1000;
    info->n_features = COLUMNS;
    info->n_targets = 1;
    info->targets[0] = (struct tc_model_target){TC_KIND_NEXT, 0, 1, NAN, NAN, NAN};
    s->scale[0] = 20;
    s->offset[0] = 45;
    for (int i = 0; i < COLUMNS; i++) {
        snprintf(info->features[i], sizeof(info->features[i]), "%s", columns[i]);
        s->mean[i] = i == 1 ? 100 : i == 2 ? 1 : 45;
        s->sd[i] = i == 1 ? 1000 : i == 2 ? 10 : 20;
    }
    struct tc_net_shape shape = {
        .features = COLUMNS * (block > 1 ? TC_MODEL_STATS : 1), .layers = 2, .hidden = 9, .targets = 1};
    assert_int_equal(tc_net_open(&shape, &s->net), 0);
    for (size_t i = 0; i < s->net.n; i++)
        s->net.p[i] = (float)(0.4 * tc_rng_normal(&rng));
}

/* A window over the feature set. */
static void set_spec(struct tc_model_spec *s)
{
    char hash[17];
    price_spec(s, "set", 6, 1);
    tc_net_free(&s->net);
    struct tc_model_info *info = &s->info;
    snprintf(info->inputs, sizeof(info->inputs), "T14");
    snprintf(info->feature_hash, sizeof(info->feature_hash), "%s", tc_set_hash(TC_SET_T14, hash));
    snprintf(info->target_unit, sizeof(info->target_unit), "move_scale");
    s->low = -6;
    s->high = 6;
    s->scale[0] = 1;
    s->offset[0] = 0;
    info->n_features = 3;
    for (int i = 0; i < 3; i++)
        snprintf(info->features[i], sizeof(info->features[i]), "%s",
                 tc_set_info(TC_SET_T14, (size_t)i)->name);
    struct tc_net_shape shape = {.features = 3, .layers = 3, .hidden = 5, .targets = 1, .skip = true};
    assert_int_equal(tc_net_open(&shape, &s->net), 0);
    for (size_t i = 0; i < s->net.n; i++)
        s->net.p[i] = 0.01F * (float)(i % 40);
}

static int open_all(void **state)
{
    (void)state;
    struct tc_model_spec s[NETWORKS];
    price_spec(&s[0], "rows", 11, 1);
    price_spec(&s[1], "blocks", 7, 3);
    set_spec(&s[2]);
    for (int k = 0; k < NETWORKS; k++) {
        if (tc_model_open(&s[k], &models[k]))
            return 1;
        tc_model_spec_free(&s[k]);
    }
    return tc_calendar_load(TEST_CALENDARS "/xnys.yaml", &xnys);
}

static int close_all(void **state)
{
    (void)state;
    for (int k = 0; k < NETWORKS; k++)
        tc_model_free(models[k]);
    tc_calendar_free(xnys);
    return 0;
}

static struct tc_engine *opened_with(const char *which, const char *retired)
{
    struct tc_engine_conf conf;
    struct tc_engine *e;
    tc_engine_conf_default(&conf);
    conf.symbols = SYMBOLS;
    conf.calendar = calendar_of;
    for (; *which; which++)
        conf.networks[conf.n_networks++] = models[*which - '0'];
    snprintf(conf.retired, sizeof(conf.retired), "%s", retired);
    if (tc_engine_open(&conf, &e))
        fail_msg("%s", tc_error());
    return e;
}

static struct tc_engine *opened(void)
{
    return opened_with("012", "");
}

/* First versions of a symbol's bars in the session, as they had arrived by their marker. */
struct past {
    double row[ROWS_MAX][COLUMNS];
    size_t n;
};

struct sink {
    struct tc_buf bytes;
    const struct past *past; /* NULL: only kept */
    size_t checked[2], all;
};

/* The forecast of network k must be the network's value on the rows that had arrived. */
static void check(struct sink *s, const struct tc_forecast *f, int k)
{
    const struct past *p = &s->past[f->symbol[1] - '0'];
    size_t need = k ? 21 : 11;
    double raw, value, said = f->points[0].value;
    assert_true(p->n >= need);
    assert_true(f->flags & TC_FLAG_PRICE_LEVEL);
    assert_int_equal(tc_model_eval(models[k], p->row[p->n - need], need, false, &raw, &value), 0);
    value = f->reference + (double)(float)(value - f->reference);
    if (said != value)
        fail_msg("%s %s: %.17g published, %.17g from the bars", f->symbol, f->model, said, value);
    s->checked[k]++;
}

static int take(void *ctx, const struct tc_record *r)
{
    struct sink *s = ctx;
    s->all++;
    assert_int_equal(tc_record_encode(r, &s->bytes), 0);
    if (r->type != TC_REC_FORECAST || !s->past)
        return 0;
    for (int k = 0; k < 2; k++)
        if (!strcmp(r->forecast.model, tc_model_info(models[k])->id))
            check(s, &r->forecast, k);
    return 0;
}

static void note(struct past *p, const struct tc_record *r)
{
    if (r->type != TC_REC_BAR)
        return;
    const struct tc_bar *b = &r->bar;
    struct past *of = &p[b->symbol[1] - '0'];
    double row[COLUMNS] = {b->close, b->volume, b->trades, b->high, b->low};
    assert_true(of->n < ROWS_MAX);
    memcpy(of->row[of->n++], row, sizeof(row));
}

/* After some bars a second version, with other numbers, before and after the marker. */
static void revise(struct tc_engine *e, const struct tc_record *r, int64_t offset, struct sink *s)
{
    struct tc_record again = *r;
    again.bar.close += 1;
    again.bar.volume *= 2;
    again.bar.revision = 1;
    again.bar.available += 1;
    assert_int_equal(tc_engine_feed(e, &again, offset, take, s), 0);
}

static struct tc_engine *restarted(struct tc_engine *e)
{
    struct tc_buf state;
    tc_buf_init(&state, (size_t)64 << 20);
    assert_int_equal(tc_engine_save(e, &state), 0);
    tc_engine_close(e);
    e = opened();
    assert_int_equal(tc_engine_load(e, (const uint8_t *)state.data, state.len), 0);
    tc_buf_release(&state);
    return e;
}

/* Two stretches with an hour nobody heard between them, then the next day. `disturbed`: restarts, and
 * deferred work done or not as chance has it. */
static void live_through(struct sink *s, struct past *past, bool disturbed)
{
    struct tc_engine *e = opened();
    struct gen_market g;
    struct tc_rng rng;
    struct tc_record r[2 * SYMBOLS + 1];
    int64_t offset = 0, from[3] = {OPEN, OPEN + 4000, OPEN + 86400};
    gen_open(&g, 5, SYMBOLS);
    tc_rng_seed(&rng, 8);
    for (int part = 0; part < 3; part++)
        for (int64_t t = 0; t < 160; t++) {
            int n = gen_second(&g, MONDAY + (from[part] + t) * TC_NS_PER_SEC, r);
            for (int i = 0; past && part == 2 && t == 0 && i < SYMBOLS; i++)
                past[i].n = 0; /* another session */
            for (int i = 0; i < n; i++) {
                if (past)
                    note(past, &r[i]);
                assert_int_equal(tc_engine_feed(e, &r[i], offset, take, s), 0);
                if (r[i].type == TC_REC_BAR && (t + i) % 7 == 0)
                    revise(e, &r[i], offset, s);
                offset++;
            }
            for (uint32_t k = disturbed ? tc_rng_below(&rng, 3) : 9; k && tc_engine_advance(e); k--)
                ;
            assert_true(disturbed || tc_engine_left(e) == 0);
            if (disturbed && tc_rng_below(&rng, 11) == 0)
                e = restarted(e);
        }
    tc_engine_close(e);
}

static void price_level_networks_say_what_their_rows_give_and_restarts_change_no_bit(void **state)
{
    (void)state;
    struct past *past = calloc(SYMBOLS, sizeof(*past));
    struct sink whole = {.past = past}, torn = {.past = NULL};
    assert_non_null(past);
    tc_buf_init(&whole.bytes, (size_t)1 << 30);
    tc_buf_init(&torn.bytes, (size_t)1 << 30);
    live_through(&whole, past, false);
    live_through(&torn, NULL, true);
    assert_true(whole.checked[0] > 300 && whole.checked[1] > 300);
    assert_int_equal(whole.all, torn.all);
    assert_int_equal(whole.bytes.len, torn.bytes.len);
    assert_memory_equal(whole.bytes.data, torn.bytes.data, whole.bytes.len);
    tc_buf_release(&whole.bytes);
    tc_buf_release(&torn.bytes);
    free(past);
}

/* The forecasts of one engine as bytes, and how often each network was heard and scored. */
struct heard {
    struct tc_buf bytes;
    bool keep;
    int64_t forecasts, scored[SYMBOLS][48];
};

static int hear(void *ctx, const struct tc_record *r)
{
    struct heard *h = ctx;
    const char *rows = tc_model_info(models[0])->id;
    if (r->type == TC_REC_FORECAST && h->keep) {
        struct tc_record copy = *r;
        struct tc_point *p = &copy.forecast.points[0];
        if (!strcmp(r->forecast.model,
                    tc_model_info(models[1])->id)) /* its band missed what was never issued */
            p->lo = p->hi = p->p_down = p->p_none = p->p_up = 0;
        assert_int_equal(tc_record_encode(&copy, &h->bytes), 0);
    }
    h->forecasts += r->type == TC_REC_FORECAST && !strcmp(r->forecast.model, rows);
    if (r->type == TC_REC_SCORE && !strcmp(r->score.model, rows))
        h->scored[r->score.symbol[1] - '0'][r->score.slot] = r->score.sums.n;
    return 0;
}

static struct tc_engine *swapped(struct tc_engine *old, struct tc_engine *side)
{
    struct tc_engine *e = opened_with("12", tc_model_info(models[0])->id);
    assert_int_equal(tc_engine_adopt(e, old), 0);
    if (tc_engine_graft(e, side))
        fail_msg("%s", tc_error());
    tc_engine_close(old);
    tc_engine_close(side);
    return e;
}

/* After a swap the new network says what it would have said had it run all the time, the others go on to the
 * bit, and what the old one had said before is scored to the last. */
static void a_swapped_network_goes_on_as_if_it_had_always_been_there(void **state)
{
    (void)state;
    enum { SECONDS = 400, SWAP = 230 };
    struct tc_engine *e = opened_with("02", ""), *side = opened_with("1", ""),
                     *always = opened_with("12", "");
    struct heard a = {.keep = false}, b = {.keep = false}, none = {.keep = false};
    struct gen_market g;
    struct tc_record r[SYMBOLS + 1];
    int64_t offset = 0, scored = 0;
    tc_buf_init(&a.bytes, (size_t)1 << 26);
    tc_buf_init(&b.bytes, (size_t)1 << 26);
    gen_open(&g, 5, SYMBOLS);
    tc_engine_mute(side, true);
    for (int64_t t = 0; t < SECONDS; t++) {
        int n = gen_second(&g, MONDAY + (OPEN + t) * TC_NS_PER_SEC, r);
        for (int i = 0; i < n; i++, offset++) {
            assert_int_equal(tc_engine_feed(e, &r[i], offset, hear, &a), 0);
            assert_int_equal(tc_engine_feed(always, &r[i], offset, hear, &b), 0);
            if (side)
                assert_int_equal(tc_engine_feed(side, &r[i], offset, hear, &none), 0);
        }
        if (t == SWAP) {
            e = swapped(e, side);
            side = NULL;
            a.keep = b.keep = true;
        }
    }
    assert_int_equal(none.forecasts, 0);
    assert_true(a.bytes.len > 10000);
    assert_int_equal(a.bytes.len, b.bytes.len);
    assert_memory_equal(a.bytes.data, b.bytes.data, a.bytes.len);
    assert_int_equal(tc_engine_flush_scores(e, offset, hear, &a), 0);
    for (int i = 0; i < SYMBOLS; i++)
        for (int slot = 0; slot < 48; slot++)
            scored += a.scored[i][slot];
    assert_true(a.forecasts > 300);
    assert_int_equal(scored, a.forecasts);

    struct tc_buf bytes;
    char retired[TC_MODEL_SIZE];
    tc_buf_init(&bytes, (size_t)64 << 20);
    assert_int_equal(tc_engine_save(e, &bytes), 0);
    tc_engine_retired((const uint8_t *)bytes.data, bytes.len, retired);
    assert_string_equal(retired, tc_model_info(models[0])->id);
    struct tc_engine *again = opened_with("12", retired), *other = opened_with("12", "");
    assert_int_equal(tc_engine_load(again, (const uint8_t *)bytes.data, bytes.len), 0);
    assert_int_equal(tc_engine_load(other, (const uint8_t *)bytes.data, bytes.len), TC_ECONF);
    tc_engine_close(again);
    tc_engine_close(other);
    tc_engine_close(e);
    tc_engine_close(always);
    tc_buf_release(&bytes);
    tc_buf_release(&a.bytes);
    tc_buf_release(&b.bytes);
}

static void engines_that_differ_are_not_taken_over(void **state)
{
    (void)state;
    struct tc_engine *old = opened_with("0", ""), *side = opened_with("1", ""), *e = opened_with("1", "");
    struct gen_market g;
    struct tc_record r[SYMBOLS + 1];
    struct heard none = {.keep = false};
    gen_open(&g, 5, SYMBOLS);
    int n = gen_second(&g, MONDAY + OPEN * TC_NS_PER_SEC, r);
    for (int i = 0; i < n; i++)
        assert_int_equal(tc_engine_feed(side, &r[i], i, hear, &none), 0);
    assert_int_equal(tc_engine_adopt(e, old), 0);
    assert_int_equal(tc_engine_graft(e, side), TC_ECONF);
    assert_non_null(strstr(tc_error(), "different seconds"));
    assert_int_equal(tc_engine_adopt(side, old), TC_EINTERNAL);
    tc_engine_close(old);
    tc_engine_close(side);
    tc_engine_close(e);
}

static void a_bar_without_what_a_network_reads_is_passed_over_by_it(void **state)
{
    (void)state;
    struct tc_engine *e = opened();
    struct sink s = {.past = NULL};
    struct gen_market g;
    struct tc_record r[SYMBOLS + 1];
    int64_t offset = 0;
    tc_buf_init(&s.bytes, (size_t)1 << 26);
    gen_open(&g, 5, 1);
    g.trade_p = 1;
    for (int64_t t = 0; t < 100; t++) {
        int n = gen_second(&g, MONDAY + (OPEN + t) * TC_NS_PER_SEC, r);
        r[0].bar.trades = 0; /* the source does not say */
        for (int i = 0; i < n; i++)
            assert_int_equal(tc_engine_feed(e, &r[i], offset++, take, &s), 0);
    }
    assert_null(memmem(s.bytes.data, s.bytes.len, "rows@", 5));
    assert_non_null(memmem(s.bytes.data, s.bytes.len, "set@", 4));
    tc_engine_close(e);
    tc_buf_release(&s.bytes);
}

static void refused(struct tc_model_spec *s, const char *because)
{
    struct tc_model *m;
    struct tc_engine_conf conf;
    struct tc_engine *e;
    assert_int_equal(tc_model_open(s, &m), 0);
    tc_engine_conf_default(&conf);
    conf.calendar = calendar_of;
    conf.n_networks = 1;
    conf.networks[0] = m;
    assert_int_equal(tc_engine_open(&conf, &e), TC_ECONF);
    if (!strstr(tc_error(), because))
        fail_msg("\"%s\" does not say \"%s\"", tc_error(), because);
    tc_model_free(m);
}

static void networks_that_cannot_run_here_are_refused_by_their_reason(void **state)
{
    (void)state;
    struct tc_model_spec s;
    price_spec(&s, "n", 5, 1);
    s.info.interval_ms = 60000;
    refused(&s, "every 60000 ms");
    s.info.interval_ms = 1000;
    snprintf(s.info.features[1], sizeof(s.info.features[1]), "mood");
    refused(&s, "wants feature \"mood\"");
    snprintf(s.info.features[1], sizeof(s.info.features[1]), "vwap");
    s.info.targets[0] = (struct tc_model_target){TC_KIND_MID, 7000, 1, NAN, NAN, NAN};
    refused(&s, "nothing that is asked for");
    s.info.targets[0] = (struct tc_model_target){TC_KIND_MID, 10000, 1, NAN, NAN, NAN};
    s.info.window = 10000;
    s.info.block = 100;
    tc_net_free(&s.net);
    struct tc_net_shape shape = {
        .features = COLUMNS * TC_MODEL_STATS, .layers = 1, .hidden = 3, .targets = 1};
    assert_int_equal(tc_net_open(&shape, &s.net), 0);
    refused(&s, "bytes for each symbol");
    tc_model_spec_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(price_level_networks_say_what_their_rows_give_and_restarts_change_no_bit),
        cmocka_unit_test(a_swapped_network_goes_on_as_if_it_had_always_been_there),
        cmocka_unit_test(engines_that_differ_are_not_taken_over),
        cmocka_unit_test(a_bar_without_what_a_network_reads_is_passed_over_by_it),
        cmocka_unit_test(networks_that_cannot_run_here_are_refused_by_their_reason),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
