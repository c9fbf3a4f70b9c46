#include "app/model_files.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "forecast/engine.h"
#include "kern/team.h"
#include "role/forecaster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

_Static_assert((int)TC_ENGINE_MODELS_MAX <= (int)TC_CARDS_MAX, "every network has a card");

static const int64_t LOOK_EVERY = 2 * TC_NS_PER_SEC;

/* What tells one version of a file from another; all 0 = no file. */
struct stamp {
    int64_t inode, size, changed;
};

struct place {
    const char *path;
    struct tc_model *model;
    struct stamp used, seen; /* of what was read; as it was at the last look */
};

struct tc_model_files {
    struct tc_team *team; /* shares the networks' arithmetic */
    bool reduce;          /* 16 bits are asked for */
    struct tc_models *cards;
    size_t n;
    struct place places[TC_ENGINE_MODELS_MAX];
    struct tc_model *fresh; /* on its way to `to`; NULL = none is */
    size_t to;
    int64_t looked;
};

static struct stamp stamp_of(const char *path)
{
    struct stat st;
    if (stat(path, &st))
        return (struct stamp){0};
    return (struct stamp){.inode = (int64_t)st.st_ino,
                          .size = st.st_size,
                          .changed = st.st_mtim.tv_sec * TC_NS_PER_SEC + st.st_mtim.tv_nsec};
}

static bool same(const struct stamp *a, const struct stamp *b)
{
    return a->inode == b->inode && a->size == b->size && a->changed == b->changed;
}

static void show_card(struct tc_model_files *f, size_t place, int64_t since)
{
    const struct tc_model_info *m = tc_model_info(f->places[place].model);
    struct tc_model_card c = {.kind = "lstm", .trained_rows = m->trained_rows, .since = since};
    memcpy(c.id, m->id, sizeof(c.id));
    snprintf(c.mode, sizeof(c.mode), "%s", m->stateful ? "stateful" : "window");
    memcpy(c.inputs, m->inputs, sizeof(c.inputs));
    memcpy(c.kernel, m->kernel, sizeof(c.kernel));
    memcpy(c.unit, m->target_unit, sizeof(c.unit));
    memcpy(c.trained_from, m->trained_from, sizeof(c.trained_from));
    memcpy(c.trained_to, m->trained_to, sizeof(c.trained_to));
    memcpy(c.symbols, m->symbols, sizeof(c.symbols));
    tc_models_set(f->cards, place, &c);
}

static void tell_metric(const struct tc_model *m, int64_t in_use)
{
    const struct tc_model_info *info = tc_model_info(m);
    char labels[128];
    snprintf(labels, sizeof(labels), "model=\"%s\",kernel=\"%s\"", info->id, info->kernel);
    tc_metric_set(tc_gauge("tickcast_model_info", labels, "1 for each network in use, 0 for one that was"),
                  in_use);
}

static int load(struct tc_model_files *f, const char *path, struct tc_model **out)
{
    int rc = tc_model_load(path, out);
    if (rc)
        return rc;
    rc = tc_model_team(*out, f->team);
    if (!rc && f->reduce) {
        char why[200];
        rc = tc_model_reduce(*out, why, sizeof(why));
        if (rc >= 0)
            tc_log_info("models", "%s: %s; it runs on %s", tc_model_info(*out)->id, why,
                        tc_model_info(*out)->kernel);
        rc = rc > 0 ? TC_OK : rc;
    }
    if (rc)
        tc_model_free(*out);
    return rc;
}

static int load_all(struct tc_model_files *f, const struct tc_config *c)
{
    int threads = (int)c->threads;
    f->reduce = c->precision != 0;
    int rc = tc_team_open(threads ? threads : (tc_team_processors() + 1) / 2, &f->team);
    if (!rc)
        rc = tc_models_open(&f->cards);
    if (!rc && c->models.n > TC_ENGINE_MODELS_MAX)
        rc = tc_fail(TC_ECONF, "forecast.models: more than %d models", TC_ENGINE_MODELS_MAX);
    for (size_t i = 0; i < c->models.n && !rc; i++) {
        struct place *p = &f->places[i];
        *p = (struct place){.path = c->models.items[i], .used = stamp_of(c->models.items[i])};
        p->seen = p->used;
        rc = load(f, p->path, &p->model);
        if (rc)
            return rc;
        f->n++;
        show_card(f, i, 0);
        tell_metric(p->model, 1);
    }
    return rc;
}

int tc_model_files_open(const struct tc_config *c, struct tc_model_files **out)
{
    struct tc_model_files *f = calloc(1, sizeof(*f));
    if (!f)
        return tc_fail(TC_ENOMEM, "no memory for the models");
    int rc = load_all(f, c);
    if (rc) {
        tc_model_files_close(f);
        return rc;
    }
    *out = f;
    return TC_OK;
}

void tc_model_files_close(struct tc_model_files *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        tc_model_free(f->places[i].model);
    tc_model_free(f->fresh);
    tc_models_close(f->cards);
    tc_team_close(f->team);
    free(f);
}

size_t tc_model_files_count(const struct tc_model_files *f)
{
    return f ? f->n : 0;
}

struct tc_model *tc_model_files_at(const struct tc_model_files *f, size_t place)
{
    return f->places[place].model;
}

struct tc_models *tc_model_files_cards(struct tc_model_files *f)
{
    return f ? f->cards : NULL;
}

/* --- exchanging ------------------------------------------------------------------------------------------
 */
static void count_exchange(bool done)
{
    tc_metric_add(tc_counter("tickcast_model_swaps_total", done ? "result=\"done\"" : "result=\"failed\"",
                             "Models exchanged while running"),
                  1);
}

static void stays(struct tc_model_files *f, size_t place, const char *id, const char *why)
{
    char text[512];
    snprintf(text, sizeof(text), "%s goes on: %s", tc_model_info(f->places[place].model)->id, why);
    tc_log_warn("models", "%s", text);
    count_exchange(false);
    tc_models_changing(f->cards, "failed", id, text, tc_now_ns());
}

static void follow_exchange(struct tc_model_files *f, struct tc_role *forecast)
{
    char why[400];
    struct place *p = &f->places[f->to];
    switch (tc_forecaster_swap_state(forecast, why, sizeof(why))) {
    case TC_SWAP_DONE:
        count_exchange(true);
        tell_metric(p->model, 0);
        tc_model_free(p->model);
        p->model = f->fresh;
        f->fresh = NULL;
        tell_metric(p->model, 1);
        show_card(f, f->to, tc_now_ns());
        tc_models_changing(f->cards, "done", tc_model_info(p->model)->id, "", tc_now_ns());
        break;
    case TC_SWAP_FAILED:
        stays(f, f->to, tc_model_info(f->fresh)->id, why);
        tc_model_free(f->fresh);
        f->fresh = NULL;
        break;
    default:
        break;
    }
}

static bool in_use(const struct tc_model_files *f, const char *id)
{
    for (size_t i = 0; i < f->n; i++)
        if (!strcmp(tc_model_info(f->places[i].model)->id, id))
            return true;
    return false;
}

static void begin_exchange(struct tc_model_files *f, size_t place, struct tc_role *forecast)
{
    struct tc_model *m;
    if (load(f, f->places[place].path, &m)) {
        stays(f, place, "", tc_error());
        return;
    }
    const char *id = tc_model_info(m)->id;
    if (in_use(f, id) || tc_forecaster_swap(forecast, (int32_t)place, m)) {
        if (strcmp(tc_model_info(f->places[place].model)->id, id))
            stays(f, place, id, "that model is in use already");
        tc_model_free(m);
        return;
    }
    tc_log_info("models", "%s has changed: %s is warmed up beside %s", f->places[place].path, id,
                tc_model_info(f->places[place].model)->id);
    tc_models_changing(f->cards, "warming", id, "", tc_now_ns());
    f->fresh = m;
    f->to = place;
}

void tc_model_files_watch(struct tc_model_files *f, struct tc_role *forecast)
{
    int64_t now = tc_mono_ns();
    if (!f || !forecast)
        return;
    if (f->fresh)
        follow_exchange(f, forecast);
    if (now < f->looked + LOOK_EVERY)
        return;
    f->looked = now;
    for (size_t i = 0; i < f->n && !f->fresh; i++) {
        struct place *p = &f->places[i];
        struct stamp stamp = stamp_of(p->path);
        bool settled = same(&stamp, &p->seen); /* nobody writes at it any more */
        p->seen = stamp;
        if (!settled || same(&stamp, &p->used) || !stamp.inode)
            continue;
        p->used = stamp;
        begin_exchange(f, i, forecast);
    }
}
