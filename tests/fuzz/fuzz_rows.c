/* The JSON texts of the store's rows (tape, points, values): whatever bytes a damaged file holds are refused
 * or read into values within their bounds; what our own writer makes of them reads back the same. */
#include "base/buf.h"
#include "store/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof(a)) == 0;
}

static void points(const char *text, size_t n)
{
    static struct tc_forecast f, again;
    if (tc_text_read_points(text, n, &f) != 0)
        return;
    require(f.n_points >= 0 && f.n_points <= TC_POINTS_MAX);
    struct tc_buf out;
    tc_buf_init(&out, 1 << 16);
    tc_points_to_json(&f, &out);
    require(tc_text_read_points(out.data, out.len, &again) == 0 && again.n_points == f.n_points);
    for (int32_t i = 0; i < f.n_points; i++) {
        const struct tc_point *a = &f.points[i], *b = &again.points[i];
        require(a->kind == b->kind && a->horizon_ms == b->horizon_ms && a->target == b->target);
        require(same(a->value, b->value) && same(a->lo, b->lo) && same(a->hi, b->hi));
    }
    tc_buf_release(&out);
}

static void outcome(const char *text, size_t n)
{
    static struct tc_outcome o, again;
    if (tc_text_read_outcome(text, n, &o) != 0)
        return;
    require(o.n_values >= 0 && o.n_values <= TC_POINTS_MAX);
    struct tc_buf out;
    tc_buf_init(&out, 1 << 16);
    tc_text_outcome(&o, &out);
    require(tc_text_read_outcome(out.data, out.len, &again) == 0 && again.n_values == o.n_values);
    for (int32_t i = 0; i < o.n_values; i++)
        require(same(o.values[i].value, again.values[i].value) && o.values[i].time == again.values[i].time);
    tc_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tc_tape tape;
    /* A 0 byte behind the text, as SQLite gives it: messages print the text. */
    char *text = malloc(size + 1);
    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    points(text, size);
    outcome(text, size);
    tc_text_read_tape(text, size, &tape);
    free(text);
    return 0;
}
