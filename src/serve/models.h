/* models.h - the models in use as the page and the API show them: a list that changes when one is exchanged
 * while running. Any thread; copies in, copies out. */
#pragma once

#include "bus/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TC_CARDS_MAX = 8 };

struct tc_model_card {
    char id[TC_MODEL_SIZE], kind[16], mode[12], inputs[TC_INPUTS_SIZE], kernel[TC_KERNEL_SIZE];
    char unit[16]; /* of its forecasts: "move_scale" or, of imported models, "price" */
    char trained_from[12], trained_to[12], symbols[256];
    int64_t trained_rows; /* 0 = not known */
    int64_t since;        /* in use since (ns); 0 = since the start */
};

/* The newest exchange of a model. */
struct tc_model_change {
    const char *state; /* "none", "warming", "done", "failed"; static text */
    char id[TC_MODEL_SIZE], message[512];
    int64_t time;
};

struct tc_models;

int tc_models_open(struct tc_models **out);
void tc_models_close(struct tc_models *m); /* takes NULL */

/* Place 0 is the one shown in the list of symbols. Places are filled in order. */
void tc_models_set(struct tc_models *m, size_t place, const struct tc_model_card *card);
/* `state`: static text. */
void tc_models_changing(struct tc_models *m, const char *state, const char *id, const char *message,
                        int64_t now);

/* Readers take NULL for no models. */
size_t tc_models_copy(struct tc_models *m, struct tc_model_card out[static TC_CARDS_MAX],
                      struct tc_model_change *change);
bool tc_models_is_first(struct tc_models *m, const char *id);
