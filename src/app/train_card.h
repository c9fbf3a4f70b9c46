/* train_card.h - the model card: data, recipe and figures of a training as one JSON text inside the model
 * file (docs/formats.md, "Model card"). */
#pragma once

#include "app/train_data.h"

/* How a network of the same recipe does on a symbol that it has never seen: trained and stopped on all
 * others, measured on that symbol's validation sessions. */
struct tc_left_out {
    size_t symbol; /* index into the set's */
    int32_t target;
    struct tc_train_figures figures;
};

/* A training for each symbol; *out (malloc) gets symbols x targets rows. Nothing (n 0) with fewer than three
 * symbols. `progress` false ends it early, with TC_DONE. */
int tc_train_leave_out(const struct tc_train_set *set, const struct tc_model_spec *like,
                       const struct tc_train_conf *conf,
                       bool (*progress)(void *ctx, const struct tc_train_progress *p), void *ctx,
                       struct tc_left_out **out, size_t *n);

/* Sets spec->card. `command` is the command line that repeats the training. */
int tc_train_card(const struct tc_train_set *set, const struct tc_train_result *result,
                  const struct tc_train_conf *conf, const struct tc_left_out *left, size_t n_left,
                  const char *command, struct tc_model_spec *spec);

/* The card of a model in plain words. */
void tc_train_card_print(const char *card);

/* Appends `,"card":` and the card (null where there is none, or where a file's card is no JSON object). */
void tc_train_card_json(const char *card, struct tc_buf *out);
