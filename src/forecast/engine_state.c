/* The engine as bytes: head (struct), pools, then for each symbol its block up to the banks, the banks of the
 * levels that it has used, the networks' states and the origins that are still open. In the machine's own
 * form: a checkpoint stays on the machine that wrote it. */
#include "base/err.h"
#include "base/hash.h"
#include "forecast/engine_priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct head {
    char magic[8];
    uint64_t config; /* hash of all that the layout and the meaning depend on */
    int64_t time;
    uint64_t symbols;
    char retired[48]; /* text */
};

static const char MAGIC[8] = "tcengn3";

static uint64_t config_hash(const struct tc_engine *e)
{
    uint64_t h = TC_FNV_START;
    for (int l = 0; l <= (int)e->conf.level; l++) {
        char set[17];
        h = tc_fnv(h, tc_set_hash((enum tc_feature_set)l, set), 16);
    }
    h = tc_fnv(h, e->conf.horizons_ms, (size_t)e->conf.n_horizons * sizeof(int32_t));
    h = tc_fnv(h, &e->conf.score_every_s, sizeof(e->conf.score_every_s));
    h = tc_fnv(h, &e->at.origins, sizeof(e->at.origins));
    h = tc_fnv(h, &e->at.origin_size, sizeof(e->at.origin_size));
    for (int m = 0; m < e->n_models; m++)
        h = tc_fnv(h, e->names[m], strlen(e->names[m]) + 1);
    for (int k = 0; k < e->conf.n_networks; k++)
        h = tc_fnv(h, e->networks[k].info->kernel, strlen(e->networks[k].info->kernel) + 1);
    return h;
}

int tc_engine_save(const struct tc_engine *e, struct tc_buf *out)
{
    struct head h = {.config = config_hash(e), .time = e->time, .symbols = tc_symtab_count(e->symbols)};
    memcpy(h.magic, MAGIC, sizeof(h.magic));
    memcpy(h.retired, e->conf.retired, TC_MODEL_SIZE);
    tc_buf_put(out, &h, sizeof(h));
    tc_buf_put(out, e->pool, sizeof(e->pool));
    for (uint32_t i = 0; i < h.symbols; i++) {
        struct symbol *s = symbol_at(e, i);
        tc_buf_put(out, s, e->at.banks);
        for (int l = 0; l < TC_LEVELS; l++)
            if (s->used[l])
                tc_buf_put(out, bank_of(e, s, l), e->at.bank_size);
        tc_buf_put(out, (uint8_t *)s + e->at.networks, e->at.origins - e->at.networks);
        for (int64_t k = s->first; k < s->end; k++)
            tc_buf_put(out, origin_at(e, s, k), e->at.origin_size);
    }
    if (out->overflow)
        return tc_fail(TC_ELIMIT, "the state of %llu symbols needs more than %zu bytes",
                       (unsigned long long)h.symbols, out->max);
    return TC_OK;
}

struct reader {
    const uint8_t *at;
    size_t left;
};

static bool read_bytes(struct reader *r, void *out, size_t n)
{
    if (r->left < n)
        return false;
    memcpy(out, r->at, n);
    r->at += n;
    r->left -= n;
    return true;
}

static int broken(const char *what)
{
    return tc_fail(TC_EINPUT, "the forecast checkpoint is damaged (%s)", what);
}

static bool sound(const struct tc_engine *e, struct symbol *s)
{
    if (s->name[sizeof(s->name) - 1] || !tc_symbol_valid(s->name) || s->feed[sizeof(s->feed) - 1])
        return false;
    if (s->first < 0 || s->end < s->first || s->end - s->first > e->ring)
        return false;
    for (int p = 0; p < e->n_points; p++)
        if (heads(e, s)[p] < s->first || heads(e, s)[p] > s->end)
            return false;
    return s->features.bars >= 0;
}

static int load_symbol(struct tc_engine *e, struct reader *r, uint32_t i)
{
    struct symbol *s = symbol_at(e, i);
    memset(s, 0, e->at.size);
    if (!read_bytes(r, s, e->at.banks))
        return broken("short");
    if (!sound(e, s))
        return broken("a symbol's numbers contradict each other");
    for (int l = 0; l < TC_LEVELS; l++) {
        tc_engine_bank_init(e, s, l);
        if (s->used[l] && !read_bytes(r, bank_of(e, s, l), e->at.bank_size))
            return broken("short");
    }
    if (!read_bytes(r, (uint8_t *)s + e->at.networks, e->at.origins - e->at.networks))
        return broken("short");
    if (tc_symtab_add(e->symbols, s->name) != i)
        return broken("a symbol stands twice");
    e->calendars[i] = e->conf.calendar(e->conf.calendar_ctx, s->name);
    for (int64_t k = s->first; k < s->end; k++) {
        struct origin *o = origin_at(e, s, k);
        if (!read_bytes(r, o, e->at.origin_size))
            return broken("short");
        if (o->level < 0 || o->level >= TC_LEVELS)
            return broken("a forecast of no level");
    }
    return TC_OK;
}

int tc_engine_load(struct tc_engine *e, const uint8_t *bytes, size_t n)
{
    struct reader r = {bytes, n};
    struct head h;
    if (tc_symtab_count(e->symbols))
        return tc_fail(TC_EINTERNAL, "a checkpoint is loaded into a fresh engine only");
    if (!read_bytes(&r, &h, sizeof(h)) || memcmp(h.magic, MAGIC, sizeof(MAGIC)))
        return broken("no checkpoint of this version");
    if (h.config != config_hash(e))
        return tc_fail(TC_ECONF, "the forecast checkpoint was made with other models, horizons or features; "
                                 "start with the same ones, or with a new data folder");
    if (h.symbols > e->conf.symbols)
        return tc_fail(TC_ELIMIT, "the forecast checkpoint holds %llu symbols; there is room for %u",
                       (unsigned long long)h.symbols, e->conf.symbols);
    if (!read_bytes(&r, e->pool, sizeof(e->pool)))
        return broken("short");
    e->time = h.time;
    for (uint32_t i = 0; i < h.symbols; i++) {
        int rc = load_symbol(e, &r, i);
        if (rc < 0)
            return rc;
    }
    return r.left ? broken("longer than it should be") : TC_OK;
}

void tc_engine_retired(const uint8_t *bytes, size_t n, char out[static TC_MODEL_SIZE])
{
    struct reader r = {bytes, n};
    struct head h;
    out[0] = '\0';
    if (read_bytes(&r, &h, sizeof(h)) && !memcmp(h.magic, MAGIC, sizeof(MAGIC)) &&
        memchr(h.retired, 0, TC_MODEL_SIZE))
        memcpy(out, h.retired, TC_MODEL_SIZE);
}
