/* From raw frames of vendors to second bars, on one thread: decoding, finding the symbol, the bar builder,
 * closing seconds. The frames are made up and lie in memory; what they hold is that of a busy minute: 1,000
 * symbols, sizes and ids that change.
 *
 *   build/bench/bench_frames [SECONDS [FOLDER]]     FOLDER: also writes the frames there, one file a kind,
 * one frame a line
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/rng.h"
#include "market/bars.h"
#include "market/symtab.h"
#include "wire/vendor.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { SYMBOLS = 1000, FRAMES = 2000 };

static const int64_t FIRST = INT64_C(1700000000000); /* ms */

struct frames {
    struct tc_buf text;
    size_t end[FRAMES];
    size_t events;
};

struct sink {
    struct tc_symtab *table;
    struct tc_bars *bars;
    uint64_t events, bars_made, unknown;
    int64_t shift; /* added to event times, so that each round is later than the one before */
};

static void on_event(void *arg, const struct tc_wire_event *e)
{
    struct sink *s = arg;
    char name[TC_SYMBOL_SIZE];
    tc_text_copy(e->symbol, name, sizeof(name));
    int64_t sym = tc_symtab_find(s->table, name);
    int64_t t = e->time + s->shift;
    s->events++;
    s->unknown += sym < 0;
    while (sym >= 0 && t >= tc_bars_open_second(s->bars) + 2 * TC_NS_PER_SEC) {
        struct tc_bar bar;
        tc_bars_close_second(s->bars);
        for (uint32_t i = 0; i < SYMBOLS; i++)
            s->bars_made += tc_bars_closed_bar(s->bars, i, t, &bar);
    }
    if (e->kind == TC_WIRE_TRADE && sym >= 0)
        tc_bars_trade(s->bars, (uint32_t)sym, t, &e->trade);
    else if (e->kind == TC_WIRE_SECOND && sym >= 0)
        tc_bars_bar(s->bars, (uint32_t)sym, t, &e->bar);
}

static void massive_trade(struct tc_buf *b, struct tc_rng *r, int64_t ms)
{
    tc_buf_printf(b,
                  "{\"ev\":\"T\",\"sym\":\"SYM%03d\",\"x\":%d,\"i\":\"%" PRIu64
                  "\",\"z\":3,\"p\":%.4f,\"s\":%d,\"c\":[14,41],"
                  "\"t\":%" PRId64 ",\"q\":%d,\"ds\":\"%d.0\"}",
                  (int)tc_rng_below(r, SYMBOLS), (int)tc_rng_below(r, 20), tc_rng_below(r, 1u << 30),
                  100 + tc_rng_uniform(r), (int)tc_rng_below(r, 500), ms, (int)tc_rng_below(r, 1 << 30),
                  (int)tc_rng_below(r, 500));
}

static void massive_second(struct tc_buf *b, struct tc_rng *r, int64_t ms)
{
    double p = 100 + tc_rng_uniform(r);
    int64_t start = ms / 1000 * 1000;
    tc_buf_printf(b,
                  "{\"ev\":\"A\",\"sym\":\"SYM%03d\",\"v\":%d,\"av\":%d,\"op\":100.25,\"vw\":%.4f,\"o\":%.4f,"
                  "\"c\":%.4f,\"h\":%.4f,"
                  "\"l\":%.4f,\"a\":100.3714,\"z\":50,\"s\":%" PRId64 ",\"e\":%" PRId64 "}",
                  (int)tc_rng_below(r, SYMBOLS), (int)tc_rng_below(r, 500), (int)tc_rng_below(r, 1 << 30), p,
                  p, p, p + 0.01, p - 0.01, start, start + 1000);
}

static void coinbase_match(struct tc_buf *b, struct tc_rng *r, int64_t ms)
{
    char time[40];
    tc_time_iso(ms * TC_NS_PER_MS + 123000, time, sizeof(time));
    tc_buf_printf(b,
                  "{\"type\":\"match\",\"trade_id\":%" PRIu64
                  ",\"maker_order_id\":\"ac928c66-ca53-498f-9c13-a110027a60e8\","
                  "\"taker_order_id\":\"132fb6ae-456b-4654-b4e0-d681ac05cea1\",\"side\":\"sell\",\"size\":\"%"
                  ".8f\",\"price\":\"%.2f\","
                  "\"product_id\":\"SYM%03d\",\"sequence\":%d,\"time\":\"%s\"}",
                  tc_rng_below(r, 1u << 30), tc_rng_uniform(r), 60000 + tc_rng_uniform(r),
                  (int)tc_rng_below(r, SYMBOLS), (int)tc_rng_below(r, 1 << 30), time);
}

static void make(struct frames *f, void (*event)(struct tc_buf *, struct tc_rng *, int64_t), int each,
                 bool array)
{
    struct tc_rng r;
    tc_rng_seed(&r, 1);
    tc_buf_init(&f->text, 1 << 28);
    for (int i = 0; i < FRAMES; i++) {
        tc_buf_str(&f->text, array ? "[" : "");
        for (int k = 0; k < each; k++) {
            tc_buf_str(&f->text, k ? "," : "");
            event(&f->text, &r, FIRST + i * 5); /* ten seconds in all */
        }
        tc_buf_str(&f->text, array ? "]" : "");
        f->end[i] = f->text.len;
    }
    f->events = (size_t)FRAMES * (size_t)each;
}

static void write_frames(const struct frames *f, const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s.jsonl", folder, name);
    FILE *out = fopen(path, "w");
    for (int i = 0; out && i < FRAMES; i++) {
        size_t from = i ? f->end[i - 1] : 0;
        fwrite(f->text.data + from, 1, f->end[i] - from, out);
        fputc('\n', out);
    }
    if (!out || fclose(out))
        fprintf(stderr, "bench_frames: cannot write %s\n", path);
}

static double ours(const struct frames *f, tc_wire_decoder decode, struct sink *s)
{
    int64_t begin = tc_mono_ns();
    for (int i = 0; i < FRAMES; i++) {
        size_t from = i ? f->end[i - 1] : 0;
        if (decode(f->text.data + from, f->end[i] - from, on_event, s))
            exit(1);
    }
    s->shift += 11 * TC_NS_PER_SEC;
    return (double)(tc_mono_ns() - begin) / 1e9;
}

/* A general JSON library in C on the same frames, to the tree alone. */
static double with_jansson(const struct frames *f)
{
    int64_t begin = tc_mono_ns();
    for (int i = 0; i < FRAMES / 10; i++) {
        size_t from = i ? f->end[i - 1] : 0;
        json_decref(json_loadb(f->text.data + from, f->end[i] - from, 0, NULL));
    }
    return (double)(tc_mono_ns() - begin) / 1e9 * 10;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, const struct frames *f, tc_wire_decoder decode, double seconds)
{
    struct sink s = {0};
    struct tc_bars_conf conf = {.n_symbols = SYMBOLS, .feed = "bench", .vendor_revises = true};
    char(*names)[TC_SYMBOL_SIZE] = calloc(SYMBOLS, sizeof(*names));
    double times[1000], theirs = with_jansson(f);
    int n = 0;
    for (int i = 0; i < SYMBOLS; i++)
        snprintf(names[i], sizeof(names[i]), "SYM%03d", i);
    conf.symbols = (const char(*)[TC_SYMBOL_SIZE])names;
    if (tc_symtab_open(&s.table, SYMBOLS) || tc_bars_open(&conf, &s.bars))
        exit(1);
    for (int i = 0; i < SYMBOLS; i++)
        tc_symtab_add(s.table, names[i]);
    tc_bars_start_day(s.bars, FIRST * TC_NS_PER_MS);
    for (double sum = 0; sum < seconds && n < 1000; n++)
        sum += times[n] = ours(f, decode, &s);
    qsort(times, (size_t)n, sizeof(times[0]), by_size);
    double t = times[n / 2];
    if (s.unknown || !s.bars_made)
        exit(1);
    printf("%-16s %6.2f M events/s  %6.0f MB/s  %7" PRIu64
           " bars; jansson, to its tree alone: %5.2f M events/s (%.1f times)\n",
           name, (double)f->events / t / 1e6, (double)f->text.len / t / 1e6, s.bars_made,
           (double)f->events / theirs / 1e6, theirs / t);
    tc_bars_close(s.bars);
    tc_symtab_close(s.table);
    free(names);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*event)(struct tc_buf *, struct tc_rng *, int64_t);
        tc_wire_decoder decode;
        int each;
        bool array;
    } kinds[] = {{"massive-trades", massive_trade, tc_massive_decode, 100, true},
                 {"massive-seconds", massive_second, tc_massive_decode, 100, true},
                 {"coinbase-matches", coinbase_match, tc_coinbase_decode, 1, false}};
    double seconds = argc > 1 && argv[1][0] ? (double)(argv[1][0] - '0') : 3;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct frames *f = calloc(1, sizeof(*f));
        if (!f)
            return 1;
        make(f, kinds[i].event, kinds[i].each, kinds[i].array);
        if (argc > 2)
            write_frames(f, argv[2], kinds[i].name);
        measure(kinds[i].name, f, kinds[i].decode, seconds);
        tc_buf_release(&f->text);
        free(f);
    }
    return 0;
}
