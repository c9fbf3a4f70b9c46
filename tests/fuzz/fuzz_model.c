/* Whatever loads as a model runs: finite forecasts from finite inputs, its file reads back as the same model,
 * and it can be exported. */
#include "model/export.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLIGHT_MAX = 16 << 20, BLOCK_MAX = 64 };

/* One block of rising numbers. */
static void evaluate(struct tc_model *m)
{
    const struct tc_model_info *info = tc_model_info(m);
    size_t n = (size_t)info->block * (size_t)tc_model_width(m, false);
    double *x = malloc(n * sizeof(*x)), raw[TC_MODEL_TARGETS_MAX], value[TC_MODEL_TARGETS_MAX];
    for (size_t i = 0; x && i < n; i++)
        x[i] = (double)i;
    if (!x || tc_model_eval(m, x, (size_t)info->block, false, raw, value))
        abort();
    for (int32_t j = 0; j < info->n_targets; j++)
        if (!isfinite(raw[j]) || !isfinite(value[j]))
            abort();
    free(x);
}

static void run(struct tc_model *m)
{
    const struct tc_model_info *info = tc_model_info(m);
    evaluate(m);
    if (info->block > BLOCK_MAX || (info->stateful && info->block > 1))
        return;
    double x[TC_MODEL_FEATURES_MAX], y[TC_MODEL_TARGETS_MAX];
    size_t room = tc_model_flight_size(m);
    void *state = aligned_alloc(64, tc_model_state_size(m));
    void *flight = room && room <= FLIGHT_MAX ? aligned_alloc(64, room) : NULL;
    if (!state)
        abort();
    tc_model_state_reset(m, state);
    if (flight)
        memset(flight, 0, room);
    for (int step = 0; step < 4; step++) {
        for (int32_t i = 0; i < info->n_features; i++)
            x[i] = step == 3 ? 1e300 : i - step;
        struct tc_model_row row = {.state = state, .flight = flight, .x = x, .y = y};
        if (tc_model_step(m, &row, 1))
            abort();
        for (int32_t j = 0; j < info->n_targets && row.ready; j++)
            if (!isfinite(y[j]))
                abort();
    }
    free(state);
    free(flight);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tc_model_spec spec, again;
    struct tc_model *m;
    if (tc_model_decode(data, size, "fuzz", &spec))
        return 0;
    struct tc_buf b;
    tc_buf_init(&b, (size_t)64 << 20);
    if (tc_model_encode(&spec, &b) || tc_model_decode(b.data, b.len, "again", &again))
        abort();
    if (again.net.n != spec.net.n || memcmp(again.net.p, spec.net.p, spec.net.n * sizeof(float)))
        abort();
    tc_buf_clear(&b);
    if (tc_model_export_onnx(&spec, size % 2, &b) || b.len < spec.net.n * sizeof(float))
        abort();
    if (tc_model_open(&spec, &m) == 0) {
        if (!spec.info.window || spec.info.window <= 64) /* longer ones only take longer */
            run(m);
        tc_model_free(m);
    }
    tc_model_spec_free(&again);
    tc_model_spec_free(&spec);
    tc_buf_release(&b);
    return 0;
}
