#include "role/swap.h"
#include "base/clock.h"
#include "base/err.h"
#include "forecast/external.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* of a checkpoint beside the symbols, more than it needs */
    CHECKPOINT_REST = (1 << 16) + TC_EXTERNAL_BYTES,
    RECORDS_MAX = 4000000, /* that a warm-up reads at most, */
    FEATURES_S = 86400,    /* for features of so many seconds, */
    WINDOW_S = 900,        /* for windows and bands of so many at least, */
    WINDOWS = 3,           /* and of so many windows */
};

struct tc_swap {
    struct tc_engine_conf conf; /* of the engine to come */
    struct tc_engine *next;     /* fresh until it takes over */
    struct tc_engine *side;     /* the new network alone, muted */
    struct tc_bus *bus;
    struct tc_bus_reader *reader;
    int64_t at; /* next record of it */
    struct tc_record in;
};

int tc_checkpoint_fits(const struct tc_engine *e, uint32_t symbols)
{
    size_t room = (TC_BLOB_MAX - CHECKPOINT_REST) / tc_engine_symbol_bytes(e);
    return symbols <= room
               ? TC_OK
               : tc_fail(TC_ECONF,
                         "%u symbols: with these models and horizons at most %zu fit into a checkpoint",
                         symbols, room);
}

void tc_swap_close(struct tc_swap *s)
{
    if (!s)
        return;
    if (s->reader)
        s->bus->ops->close_reader(s->reader);
    tc_engine_close(s->side);
    tc_engine_close(s->next);
    free(s);
}

static int no_record(void *ctx, const struct tc_record *r)
{
    (void)ctx;
    (void)r;
    return TC_OK;
}

/* Networks over windows step only as far back as is needed; features come from the whole span. */
static int64_t networks_from(const struct tc_model_info *info, int64_t time)
{
    int64_t span = WINDOWS * (int64_t)info->window * info->block;
    if (info->stateful)
        span = FEATURES_S;
    return time - (span > WINDOW_S ? span : WINDOW_S) * TC_NS_PER_SEC;
}

static int open_engines(struct tc_swap *s, int32_t k, struct tc_model *model, int64_t time)
{
    struct tc_engine_conf side = s->conf;
    const char *old = tc_model_info(s->conf.networks[k])->id;
    if (!strcmp(old, tc_model_info(model)->id))
        return tc_fail(TC_ECONF, "model %s is the one that runs", old);
    snprintf(s->conf.retired, sizeof(s->conf.retired), "%s", old);
    s->conf.networks[k] = model;
    side.networks[0] = model;
    side.n_networks = 1;
    side.retired[0] = '\0';
    side.resolved = NULL;
    side.now = NULL;
    side.networks_from = networks_from(tc_model_info(model), time);
    int rc = tc_engine_open(&side, &s->side);
    if (!rc)
        rc = tc_engine_open(&s->conf, &s->next);
    if (!rc)
        rc = tc_checkpoint_fits(s->next, s->conf.symbols);
    if (!rc)
        tc_engine_mute(s->side, true);
    return rc;
}

int tc_swap_open(const struct tc_engine_conf *running, int32_t k, struct tc_model *model, struct tc_bus *bus,
                 int64_t position, int64_t time, struct tc_swap **out)
{
    struct tc_swap *s = calloc(1, sizeof(*s));
    if (!s)
        return tc_fail(TC_ENOMEM, "no memory to exchange a model");
    s->conf = *running;
    s->bus = bus;
    int rc = open_engines(s, k, model, time);
    if (!rc) {
        struct tc_bus_stat stat;
        int64_t back = (int64_t)FEATURES_S * ((int64_t)running->symbols + 1);
        bus->ops->stat(bus->self, TC_TOPIC_BARS, &stat);
        s->at = position - (back < RECORDS_MAX ? back : RECORDS_MAX);
        s->at = s->at > stat.first ? s->at : stat.first;
        rc = bus->ops->open_reader(bus->self, TC_TOPIC_BARS, s->at, 0, &s->reader);
    }
    if (rc) {
        tc_swap_close(s);
        return rc;
    }
    *out = s;
    return TC_OK;
}

int tc_swap_warm(struct tc_swap *s, int64_t until, int64_t budget_ns)
{
    int64_t end = tc_mono_ns() + budget_ns, offset;
    while (s->at < until && tc_mono_ns() < end) {
        int rc = s->bus->ops->read(s->reader, &s->in, &offset);
        if (rc == TC_AGAIN)
            return 0;
        if (rc == TC_OK)
            rc = tc_engine_feed(s->side, &s->in, offset, no_record, NULL);
        if (rc < 0)
            return rc;
        s->at = offset + 1;
    }
    return s->at >= until;
}

int tc_swap_finish(struct tc_swap *s, struct tc_engine *old, struct tc_engine_conf *conf,
                   struct tc_engine **out)
{
    int rc = tc_engine_adopt(s->next, old);
    if (!rc)
        rc = tc_engine_graft(s->next, s->side);
    if (rc)
        return rc;
    *out = s->next;
    *conf = s->conf;
    s->next = NULL;
    tc_engine_close(old);
    return TC_OK;
}
