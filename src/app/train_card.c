#include "app/train_card.h"
#include "base/err.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CARD_SYMBOLS_MAX = 16, CARD_MAX = 60000 };

/* ---- leave one symbol out ---- */

static void others(const struct tc_train_data *all, int32_t group, bool keep, struct tc_series *room,
                   struct tc_train_data *out)
{
    *out = (struct tc_train_data){.series = room};
    for (size_t i = 0; i < all->n; i++)
        if ((all->series[i].group == group) == keep)
            room[out->n++] = all->series[i];
}

static int leave_out(const struct tc_train_set *set, const struct tc_model_spec *like,
                     const struct tc_train_conf *conf, int32_t group,
                     bool (*progress)(void *ctx, const struct tc_train_progress *p), void *ctx,
                     struct tc_series *room, struct tc_left_out *out)
{
    const struct tc_train_data *train = &set->span[TC_SPAN_TRAIN].data,
                               *val = &set->span[TC_SPAN_VALIDATE].data;
    struct tc_train_data rest, stop, unseen;
    others(train, group, false, room, &rest);
    others(val, group, false, room + train->n, &stop);
    others(val, group, true, room + train->n + stop.n, &unseen);
    struct tc_model_spec spec = *like;
    spec.card = NULL;
    struct tc_train_conf own = *conf;
    own.state_path = NULL;
    own.resume = false;
    own.spill = NULL;
    struct tc_train_result result;
    int rc = tc_train(&own, &rest, &stop, &spec, progress, ctx, &result);
    if (rc)
        return rc;
    size_t cells = tc_train_rows(&unseen) * (size_t)spec.info.n_targets;
    double *said = malloc((cells + 1) * sizeof(double));
    rc = said ? tc_train_predict(&spec, &unseen, said) : tc_fail(TC_ENOMEM, "no memory for predictions");
    for (int32_t j = 0; j < spec.info.n_targets && !rc; j++) {
        out[j] = (struct tc_left_out){.symbol = (size_t)group, .target = j};
        tc_train_compare(&unseen, &spec.info, j, -1, said, said, &out[j].figures);
    }
    free(said);
    tc_net_free(&result.ridge);
    tc_model_spec_free(&spec);
    return rc;
}

int tc_train_leave_out(const struct tc_train_set *set, const struct tc_model_spec *like,
                       const struct tc_train_conf *conf,
                       bool (*progress)(void *ctx, const struct tc_train_progress *p), void *ctx,
                       struct tc_left_out **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    if (set->n_symbols < 3)
        return TC_OK;
    size_t targets = (size_t)like->info.n_targets;
    struct tc_series *room = calloc(2 * set->dataset.n + 1, sizeof(*room));
    struct tc_left_out *rows = calloc(set->n_symbols * targets, sizeof(*rows));
    int rc = room && rows ? TC_OK : tc_fail(TC_ENOMEM, "no memory to leave symbols out");
    for (size_t g = 0; g < set->n_symbols && !rc; g++)
        rc = leave_out(set, like, conf, (int32_t)g, progress, ctx, room, rows + g * targets);
    free(room);
    if (rc) {
        free(rows);
        return rc;
    }
    *out = rows;
    *n = set->n_symbols * targets;
    return TC_OK;
}

/* ---- the text ---- */

static void put(struct tc_buf *b, const char *key, double v)
{
    tc_buf_printf(b, ",\"%s\":", key);
    if (isfinite(v))
        tc_buf_printf(b, "%.6g", v);
    else
        tc_buf_str(b, "null");
}

static void put_row(struct tc_buf *b, bool first, const char *symbol, const struct tc_model_target *t,
                    int64_t n)
{
    tc_buf_str(b, first ? "{\"symbol\":" : ",{\"symbol\":");
    tc_buf_json_string(b, symbol);
    tc_buf_printf(b, ",\"kind\":\"%s\",\"horizon_ms\":%d,\"n\":%lld", tc_kind_name(t->kind), t->horizon_ms,
                  (long long)n);
}

static void put_recipe(struct tc_buf *b, const struct tc_train_conf *c, const struct tc_train_result *r)
{
    tc_buf_printf(b,
                  ",\"recipe\":{\"input_size\":%d,\"layers\":%d,\"hidden\":%d,\"skip\":%s,\"epochs\":%d,"
                  "\"ran\":%d,\"best_epoch\":%d,\"patience\":%d,\"piece\":%d,\"burn_in\":%d,\"batch\":%d",
                  c->input_size, c->layers, c->hidden, c->skip ? "true" : "false", c->epochs, r->epochs,
                  r->best_epoch, c->patience, c->piece, c->burn_in, c->batch);
    put(b, "rate", c->rate);
    put(b, "skip_share", c->skip_share);
    put(b, "weight_decay", c->weight_decay);
    put(b, "dropout", c->dropout);
    tc_buf_printf(b, ",\"seed\":%llu}", (unsigned long long)c->seed);
}

static void put_days(struct tc_buf *b, const struct tc_train_set *set)
{
    tc_buf_str(b, ",\"days\":[");
    int32_t last = 0;
    for (size_t i = 0; i < set->dataset.n; i++) {
        const struct tc_sequence *q = &set->dataset.sequences[i]; /* in order of days */
        if (q->day != last)
            tc_buf_printf(b, "%s%d", last ? "," : "", q->day);
        last = q->day;
    }
    tc_buf_char(b, ']');
}

/* Validation figures of each symbol and target. */
static int put_validation(struct tc_buf *b, const struct tc_train_set *set,
                          const struct tc_train_result *result, const struct tc_model_spec *spec)
{
    const struct tc_train_data *val = &set->span[TC_SPAN_VALIDATE].data;
    size_t cells = tc_train_rows(val) * (size_t)spec->info.n_targets;
    struct tc_model_spec ridge = *spec;
    ridge.net = result->ridge;
    ridge.card = NULL;
    for (int32_t j = 0; j < spec->info.n_targets; j++)
        ridge.info.targets[j].shrink = result->ridge_shrink[j];
    double *network = malloc((cells + 1) * sizeof(double)), *linear = malloc((cells + 1) * sizeof(double));
    int rc = network && linear ? TC_OK : tc_fail(TC_ENOMEM, "no memory for the model card");
    rc = rc ? rc : tc_train_predict(spec, val, network);
    rc = rc ? rc : tc_train_predict(&ridge, val, linear);
    tc_buf_str(b, ",\"validation\":[");
    size_t symbols = set->n_symbols <= CARD_SYMBOLS_MAX ? set->n_symbols : 0;
    for (int32_t j = 0; j < spec->info.n_targets && !rc; j++)
        for (size_t g = 0; g <= symbols; g++) {
            struct tc_train_figures f;
            bool all = g == symbols;
            tc_train_compare(val, &spec->info, j, all ? -1 : (int32_t)g, network, linear, &f);
            put_row(b, !j && !g, all ? "all" : set->symbols[g], &spec->info.targets[j], f.n);
            put(b, "ratio", f.ratio);
            put(b, "dm_t", f.dm_t);
            put(b, "ridge_ratio", f.ridge_ratio);
            put(b, "over_ridge_t", f.over_ridge_t);
            put(b, "share", result->share[j]);
            tc_buf_char(b, '}');
        }
    tc_buf_char(b, ']');
    free(network);
    free(linear);
    return rc;
}

int tc_train_card(const struct tc_train_set *set, const struct tc_train_result *result,
                  const struct tc_train_conf *conf, const struct tc_left_out *left, size_t n_left,
                  const char *command, struct tc_model_spec *spec)
{
    struct tc_buf b;
    tc_buf_init(&b, CARD_MAX);
    tc_buf_str(&b, "{\"command\":");
    tc_buf_json_string(&b, command);
    put_days(&b, set);
    put_recipe(&b, conf, result);
    int rc = put_validation(&b, set, result, spec);
    tc_buf_str(&b, ",\"left_out\":[");
    for (size_t i = 0; i < n_left && set->n_symbols <= CARD_SYMBOLS_MAX; i++) {
        const struct tc_left_out *l = &left[i];
        put_row(&b, !i, set->symbols[l->symbol], &spec->info.targets[l->target], l->figures.n);
        put(&b, "ratio", l->figures.ratio);
        put(&b, "dm_t", l->figures.dm_t);
        tc_buf_char(&b, '}');
    }
    tc_buf_str(&b, "]}");
    if (!rc && b.overflow)
        rc = tc_fail(TC_ELIMIT, "the model card is larger than %d bytes", CARD_MAX);
    if (!rc && !(spec->card = strdup(b.data)))
        rc = tc_fail(TC_ENOMEM, "no memory for the model card");
    tc_buf_release(&b);
    return rc;
}

/* ---- in words ---- */

static double number(const json_t *row, const char *key)
{
    return json_number_value(json_object_get(row, key));
}

static void print_rows(const json_t *rows, const char *title, bool ridge)
{
    if (!json_array_size(rows))
        return;
    printf("\n%s\n%-10s %-8s %8s %8s %7s%s\n", title, "symbol", "target", "n", "ratio", "t",
           ridge ? "    ridge  t over ridge" : "");
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const char *kind = json_string_value(json_object_get(row, "kind"));
        const char *symbol = json_string_value(json_object_get(row, "symbol"));
        double horizon = number(row, "horizon_ms") / 1000;
        char target[24];
        snprintf(target, sizeof(target), horizon > 0 ? "%.8s %gs" : "%.8s", kind ? kind : "", horizon);
        printf("%-10.32s %-8s %8.0f %8.4f %7.1f", symbol ? symbol : "", target, number(row, "n"),
               number(row, "ratio"), number(row, "dm_t"));
        if (ridge)
            printf(" %8.4f %13.1f", number(row, "ridge_ratio"), number(row, "over_ridge_t"));
        printf("\n");
    }
}

void tc_train_card_print(const char *card)
{
    json_t *c = json_loads(card, 0, NULL);
    const json_t *recipe = json_object_get(c, "recipe");
    const char *command = json_string_value(json_object_get(c, "command"));
    if (command)
        printf("\nmade by    %s\n", command);
    if (recipe)
        printf("recipe     %.0f of at most %.0f epochs, the best was %.0f; batch %.0f, rate %g, dropout %g, "
               "seed %.0f\n",
               number(recipe, "ran"), number(recipe, "epochs"), number(recipe, "best_epoch"),
               number(recipe, "batch"), number(recipe, "rate"), number(recipe, "dropout"),
               number(recipe, "seed"));
    print_rows(json_object_get(c, "validation"),
               "On the validation span (RMSE over that of \"no change\"):", true);
    print_rows(json_object_get(c, "left_out"),
               "On a symbol that it never saw (the same recipe trained on all others):", false);
    json_decref(c);
}

void tc_train_card_json(const char *card, struct tc_buf *out)
{
    json_t *c = card ? json_loads(card, 0, NULL) : NULL;
    char *text = json_is_object(c) ? json_dumps(c, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    tc_buf_str(out, ",\"card\":");
    tc_buf_str(out, text ? text : "null");
    free(text);
    json_decref(c);
}
