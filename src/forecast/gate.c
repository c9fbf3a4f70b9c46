#include "forecast/gate.h"

#include <math.h>

static const double KEEP = 0.99424040; /* 2^(-1/120) */
static const double OPEN_T = 3, CLOSE_T = 1, ALARM_T = -1;
static const double FULL_N = 300, ALARM_N = 60;
static const double FULL_N_SECONDS = 20; /* horizon that adds another FULL_N */
static const double BUDGET = 0.002;      /* of squared errors: 0.1 % of RMSE */
static const double BUDGET_N = 1800;     /* samples that the budget is reckoned for at least */

void tc_gate_init(struct tc_gate *g, double card_dm_t)
{
    *g = (struct tc_gate){.open = card_dm_t > OPEN_T};
}

/* What may be lost against persistence before the gate closes. */
static double budget(const struct tc_gate *g)
{
    double n = g->roll.n + g->block_n;
    return n > 0 ? BUDGET * g->base / n * fmax(n, BUDGET_N) : 0;
}

void tc_gate_sample(struct tc_gate *g, double persistence, double model, bool shown)
{
    g->block_n += 1;
    g->block_d += persistence - model;
    g->base += persistence;
    if (!shown || !(g->open > 0))
        return;
    g->shown += persistence - model;
    if (g->shown < -budget(g))
        g->open = 0;
}

static void roll(struct tc_gate *g)
{
    struct tc_dm_sums *s = &g->roll;
    double n = g->block_n, d = g->block_d;
    s->blocks = s->blocks * KEEP + 1;
    s->n = s->n * KEEP + n;
    s->n2 = s->n2 * KEEP + n * n;
    s->d = s->d * KEEP + d;
    s->d2 = s->d2 * KEEP + d * d;
    s->nd = s->nd * KEEP + n * d;
    g->base *= KEEP;
    g->shown *= KEEP;
    g->block_n = g->block_d = 0;
}

void tc_gate_block(struct tc_gate *g, int32_t horizon_ms)
{
    if (g->block_n <= 0)
        return;
    roll(g);
    double mean, se;
    if (!tc_dm_blocks(&g->roll, horizon_ms, &mean, &se))
        return;
    double t = mean / se, n = g->roll.n, enough = FULL_N * (1 + horizon_ms / 1000.0 / FULL_N_SECONDS);
    if ((t < CLOSE_T && n >= FULL_N) || (t < ALARM_T && n >= ALARM_N)) {
        g->open = 0;
    } else if (!(g->open > 0) && t > OPEN_T && n >= enough) {
        g->open = 1;
        g->shown = 0; /* what was lost before is in t: the evidence outweighs it */
    }
}

bool tc_gate_is_open(const struct tc_gate *g)
{
    return g->open > 0;
}
