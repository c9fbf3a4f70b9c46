#include "forecast/gate.h"

static const double KEEP = 0.99424040; /* 2^(-1/120) */
static const double OPEN_T = 2, CLOSE_T = 1, ALARM_T = -1;
static const double FULL_N = 300, ALARM_N = 60;
static const double FULL_N_SECONDS = 20; /* horizon that adds another FULL_N */

void tc_gate_init(struct tc_gate *g, double card_dm_t)
{
    *g = (struct tc_gate){.open = card_dm_t > OPEN_T};
}

void tc_gate_block(struct tc_gate *g, int32_t horizon_ms, double n, double d)
{
    struct tc_dm_sums *s = &g->roll;
    s->blocks = s->blocks * KEEP + 1;
    s->n = s->n * KEEP + n;
    s->n2 = s->n2 * KEEP + n * n;
    s->d = s->d * KEEP + d;
    s->d2 = s->d2 * KEEP + d * d;
    s->nd = s->nd * KEEP + n * d;
    double mean, se;
    if (!tc_dm_blocks(s, horizon_ms, &mean, &se))
        return;
    double t = mean / se, enough = FULL_N * (1 + horizon_ms / 1000.0 / FULL_N_SECONDS);
    if (g->open > 0)
        g->open = !((t < CLOSE_T && s->n >= FULL_N) || (t < ALARM_T && s->n >= ALARM_N));
    else
        g->open = t > OPEN_T && s->n >= enough;
}

bool tc_gate_is_open(const struct tc_gate *g)
{
    return g->open > 0;
}
