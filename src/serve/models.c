#include "serve/models.h"
#include "base/err.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tc_models {
    pthread_mutex_t lock;
    size_t n;
    struct tc_model_card cards[TC_CARDS_MAX];
    struct tc_model_change change;
};

int tc_models_open(struct tc_models **out)
{
    struct tc_models *m = calloc(1, sizeof(*m));
    if (!m)
        return tc_fail(TC_ENOMEM, "no memory for the list of models");
    pthread_mutex_init(&m->lock, NULL);
    m->change.state = "none";
    *out = m;
    return TC_OK;
}

void tc_models_close(struct tc_models *m)
{
    if (!m)
        return;
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void tc_models_set(struct tc_models *m, size_t place, const struct tc_model_card *card)
{
    pthread_mutex_lock(&m->lock);
    m->cards[place] = *card;
    if (place >= m->n)
        m->n = place + 1;
    pthread_mutex_unlock(&m->lock);
}

void tc_models_changing(struct tc_models *m, const char *state, const char *id, const char *message,
                        int64_t now)
{
    pthread_mutex_lock(&m->lock);
    m->change = (struct tc_model_change){.state = state, .time = now};
    snprintf(m->change.id, sizeof(m->change.id), "%s", id);
    snprintf(m->change.message, sizeof(m->change.message), "%s", message);
    pthread_mutex_unlock(&m->lock);
}

size_t tc_models_copy(struct tc_models *m, struct tc_model_card out[static TC_CARDS_MAX],
                      struct tc_model_change *change)
{
    *change = (struct tc_model_change){.state = "none"};
    if (!m)
        return 0;
    pthread_mutex_lock(&m->lock);
    size_t n = m->n;
    memcpy(out, m->cards, n * sizeof(*out));
    *change = m->change;
    pthread_mutex_unlock(&m->lock);
    return n;
}

bool tc_models_is_first(struct tc_models *m, const char *id)
{
    if (!m)
        return false;
    pthread_mutex_lock(&m->lock);
    bool first = m->n && !strcmp(m->cards[0].id, id);
    pthread_mutex_unlock(&m->lock);
    return first;
}
