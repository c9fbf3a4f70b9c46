#include "serve/submit.h"
#include "forecast/external.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int status;
} VERDICTS[] = {
    [TC_VERDICT_ACCEPTED] = {"accepted", 200}, [TC_VERDICT_DUPLICATE] = {"duplicate", 200},
    [TC_VERDICT_CONFLICT] = {"conflict", 409}, [TC_VERDICT_LATE] = {"late", 409},
    [TC_VERDICT_UNKNOWN] = {"unknown", 404},   [TC_VERDICT_WRONG] = {"wrong", 400},
    [TC_VERDICT_LIMIT] = {"limit", 429},       [TC_VERDICT_BUSY] = {"busy", 503},
};

/* ---- JSON in ---- */

static bool wrong(struct tc_reply *r, size_t i, const char *what)
{
    return tc_reply_error(r, 400, "forecast %zu: %s", i + 1, what);
}

static bool only_keys(const json_t *object, const char *const *keys)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        const char *const *k = keys;
        while (*k && strcmp(*k, key) != 0)
            k++;
        if (!*k)
            return false;
    }
    return true;
}

/* A number or, where it is absent or null, NaN. False when it is something else. */
static bool number(const json_t *object, const char *key, double *out)
{
    const json_t *v = json_object_get(object, key);
    *out = NAN;
    if (!v || json_is_null(v))
        return true;
    *out = json_number_value(v);
    return json_is_number(v);
}

static bool text(const json_t *object, const char *key, char *out, size_t size)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_string(v) || json_string_length(v) >= size ||
        strlen(json_string_value(v)) != json_string_length(v))
        return false;
    memcpy(out, json_string_value(v), json_string_length(v) + 1);
    return true;
}

static bool point(const json_t *object, struct tc_point *p)
{
    static const char *const keys[] = {"kind",   "horizon_ms", "value", "lo", "hi",
                                       "p_down", "p_none",     "p_up",  NULL};
    char kind[8];
    *p = (struct tc_point){.kind = TC_KIND_COUNT};
    if (!json_is_object(object) || !only_keys(object, keys) || !text(object, "kind", kind, sizeof(kind)))
        return false;
    for (int k = 0; k < TC_KIND_COUNT; k++)
        if (!strcmp(kind, tc_kind_name((enum tc_kind)k)))
            p->kind = (enum tc_kind)k;
    const json_t *horizon = json_object_get(object, "horizon_ms");
    json_int_t ms = horizon ? json_integer_value(horizon) : 0;
    if (p->kind == TC_KIND_COUNT || (horizon && !json_is_integer(horizon)) || ms < 0 || ms > 3600000)
        return false;
    p->horizon_ms = (int32_t)ms;
    return json_is_number(json_object_get(object, "value")) && number(object, "value", &p->value) &&
           number(object, "lo", &p->lo) && number(object, "hi", &p->hi) &&
           number(object, "p_down", &p->p_down) && number(object, "p_none", &p->p_none) &&
           number(object, "p_up", &p->p_up);
}

static bool forecast(const json_t *object, size_t i, struct tc_forecast *f, struct tc_reply *r)
{
    static const char *const keys[] = {"symbol", "model", "origin_time", "points", NULL};
    if (!json_is_object(object) || !only_keys(object, keys))
        return wrong(r, i,
                     "an object with symbol, model, origin_time and points is expected, and "
                     "nothing else");
    if (!text(object, "symbol", f->symbol, sizeof(f->symbol)))
        return wrong(r, i, "symbol: a text is expected, such as \"SPY\"");
    if (!text(object, "model", f->model, TC_EXTERNAL_NAME + 1))
        return wrong(r, i, "model: a name of at most 31 characters is expected");
    const json_t *origin = json_object_get(object, "origin_time");
    if (!json_is_integer(origin))
        return wrong(r, i, "origin_time: ns since 1970 are expected, as in the event \"forecast\"");
    f->origin_time = json_integer_value(origin);
    const json_t *points = json_object_get(object, "points");
    size_t n = json_array_size(points);
    if (!json_is_array(points) || n < 1 || n > TC_POINTS_MAX)
        return wrong(r, i, "points: 1 to 12 of them are expected");
    f->n_points = (int32_t)n;
    for (size_t k = 0; k < n; k++)
        if (!point(json_array_get(points, k), &f->points[k]))
            return wrong(r, i,
                         "points: each has kind (next, last or mid), horizon_ms (not of next), value "
                         "and, where "
                         "known, lo, hi, p_down, p_none, p_up; and nothing else");
    return true;
}

/* One forecast, or a list of them. */
static struct tc_submission *parse(const struct tc_buf *body, size_t *n, struct tc_reply *r)
{
    json_error_t at;
    json_t *root = json_loadb(body->data ? body->data : "", body->len, JSON_REJECT_DUPLICATES, &at);
    if (!root) {
        tc_reply_error(r, 400, "the body is no JSON: %.120s (line %d)", at.text, at.line);
        return NULL;
    }
    bool list = json_is_array(root);
    *n = list ? json_array_size(root) : 1;
    struct tc_submission *out = NULL;
    bool ok = *n >= 1 && *n <= TC_SUBMIT_MAX;
    if (!ok)
        tc_reply_error(r, 400, "one forecast, or a list of 1 to %d, is expected", TC_SUBMIT_MAX);
    if (ok && !(out = calloc(*n, sizeof(*out))))
        ok = tc_reply_error(r, 503, "no memory for %zu forecasts", *n);
    for (size_t i = 0; ok && i < *n; i++)
        ok = forecast(list ? json_array_get(root, i) : root, i, &out[i].forecast, r);
    json_decref(root);
    if (ok)
        return out;
    free(out);
    return NULL;
}

/* ---- verdicts out ---- */

static void put_result(const struct tc_submission *s, const struct tc_submission *sent, struct tc_buf *out)
{
    const struct tc_forecast *f = &sent->forecast;
    tc_buf_printf(out, "{\"verdict\":\"%s\",\"symbol\":", VERDICTS[s->verdict].name);
    tc_buf_json_string(out, f->symbol);
    tc_buf_str(out, ",\"model\":");
    tc_buf_json_string(out, s->verdict == TC_VERDICT_ACCEPTED ? s->forecast.model : f->model);
    tc_buf_printf(out, ",\"origin_time\":%lld,\"late\":[", (long long)f->origin_time);
    bool first = true;
    for (int32_t i = 0; i < f->n_points; i++)
        if (s->late >> i & 1) {
            tc_buf_printf(out, "%s{\"kind\":\"%s\",\"horizon_ms\":%d}", first ? "" : ",",
                          tc_kind_name(f->points[i].kind), f->points[i].horizon_ms);
            first = false;
        }
    tc_buf_str(out, "],\"message\":");
    if (s->why[0])
        tc_buf_json_string(out, s->why);
    else
        tc_buf_str(out, "null");
    tc_buf_char(out, '}');
}

static void put_results(const struct tc_submission *list, const struct tc_submission *sent, size_t n,
                        struct tc_reply *r)
{
    int status = 0;
    for (size_t i = 0; i < n; i++) {
        int one = VERDICTS[list[i].verdict].status;
        status = !status || one == 200 ? one : status;
    }
    if (status != 200) { /* none was taken: the first one's reason */
        for (size_t i = 0; i < n; i++)
            if (VERDICTS[list[i].verdict].status == status) {
                tc_reply_error(r, status, "%s", list[i].why);
                return;
            }
    }
    tc_buf_str(&r->body, "{\"results\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            tc_buf_char(&r->body, ',');
        put_result(&list[i], &sent[i], &r->body);
    }
    tc_buf_str(&r->body, "]}\n");
}

void tc_api_submit(struct tc_serve *s, const struct tc_store *store, const struct tc_params *p,
                   struct tc_reply *r)
{
    (void)store;
    size_t n;
    if (!s->conf.submit) {
        tc_reply_error(r, 503, "nothing is forecast here (forecast.enabled is false)");
        return;
    }
    struct tc_submission *list = parse(p->body, &n, r);
    struct tc_submission *sent = list ? malloc(n * sizeof(*sent)) : NULL;
    if (list && !sent)
        tc_reply_error(r, 503, "no memory for %zu forecasts", n);
    if (sent) {
        memcpy(sent, list, n * sizeof(*sent));
        s->conf.submit(s->conf.submit_ctx, list, n);
        put_results(list, sent, n, r);
    }
    free(sent);
    free(list);
}
