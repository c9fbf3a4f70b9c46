/* The forecast engine without bus and store: a second's bars and its marker in, forecasts, outcomes and
 * scores out (dropped), on one thread. Every symbol trades in every second.
 *
 *   bench_forecast SYMBOLS SECONDS [MODEL]
 *
 * Prints one JSON line: time of one second for all symbols (p50, p99, largest, in milliseconds, after the
 * first 120 seconds), memory and checkpoint bytes of one symbol.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/hist.h"
#include "base/num.h"
#include "forecast/engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "../tests/unit/gen_market.h"

enum { WARM_UP = 120, GROUP = 64 };

static struct tc_calendar *always;

static const struct tc_calendar *calendar_of(void *ctx, const char *symbol)
{
    (void)ctx;
    (void)symbol;
    return always;
}

static int drop(void *ctx, const struct tc_record *r)
{
    (void)r;
    ++*(int64_t *)ctx;
    return TC_OK;
}

static int give_up(void)
{
    fprintf(stderr, "bench_forecast: %s\n", tc_error());
    return 1;
}

/* One second of the market: groups of up to 64 symbols, one marker. */
static int second(struct tc_engine *e, struct gen_market *groups, int n, int64_t at, struct tc_hist *took,
                  int64_t *emitted)
{
    static struct tc_record r[GROUP + 1];
    int64_t spent = 0;
    for (int g = 0; g * GROUP < n; g++) {
        int k = gen_second(&groups[g], at, r);
        int64_t begin = tc_mono_ns();
        for (int i = 0; i < k; i++) {
            if (r[i].type == TC_REC_SECOND && (g + 1) * GROUP < n)
                continue;
            if (r[i].type == TC_REC_BAR)
                snprintf(r[i].bar.symbol, sizeof(r[i].bar.symbol), "S%d", g * GROUP + i);
            if (tc_engine_feed(e, &r[i], 0, drop, emitted) < 0)
                return -1;
        }
        spent += tc_mono_ns() - begin;
    }
    if (took)
        tc_hist_add(took, spent);
    return 0;
}

int main(int argc, char **argv)
{
    int64_t n = 0, seconds = 0, emitted = 0;
    if (argc < 3 || !tc_parse_int(argv[1], strlen(argv[1]), &n) || n < 1 || n > 4096 ||
        !tc_parse_int(argv[2], strlen(argv[2]), &seconds)) {
        fprintf(stderr, "usage: bench_forecast SYMBOLS SECONDS [MODEL]\n");
        return 2;
    }
    struct tc_engine_conf conf;
    tc_engine_conf_default(&conf);
    conf.symbols = (uint32_t)n;
    conf.calendar = calendar_of;
    if (tc_calendar_load("always", &always))
        return give_up();
    if (argc > 3) {
        if (tc_model_load(argv[3], &conf.networks[0]))
            return give_up();
        conf.n_networks = 1;
    }
    struct tc_engine *e;
    if (tc_engine_open(&conf, &e))
        return give_up();
    static struct gen_market groups[4096 / GROUP];
    static struct tc_hist took;
    for (int g = 0; g * GROUP < n; g++) {
        gen_open(&groups[g], (uint64_t)g + 1, n - g * GROUP < GROUP ? (int)n - g * GROUP : GROUP);
        groups[g].trade_p = 1;
    }
    for (int64_t s = 0; s < seconds; s++)
        if (second(e, groups, (int)n, (1000000 + s) * TC_NS_PER_SEC, s < WARM_UP ? NULL : &took, &emitted))
            return give_up();
    struct tc_buf state;
    tc_buf_init(&state, (size_t)1 << 30);
    if (tc_engine_save(e, &state))
        return give_up();
    printf(
        "{\"symbols\":%lld,\"seconds\":%lld,\"records\":%lld,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
        "\"bytes_a_symbol\":%zu,\"checkpoint_bytes_a_symbol\":%zu}\n",
        (long long)n, (long long)seconds, (long long)emitted, (double)tc_hist_quantile(&took, 0.5) / 1e6,
        (double)tc_hist_quantile(&took, 0.99) / 1e6, (double)tc_hist_quantile(&took, 1) / 1e6,
        tc_engine_symbol_bytes(e), state.len / (size_t)n);
    tc_buf_release(&state);
    tc_engine_close(e);
    if (conf.n_networks)
        tc_model_free(conf.networks[0]);
    tc_calendar_free(always);
    return 0;
}
