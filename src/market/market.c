#include "market/market.h"
#include "base/err.h"

#include <string.h>

static const char *const origins[TC_ORIGIN_COUNT] = {"live", "backfill", "replay", "simulated"};

const char *tc_origin_name(enum tc_origin o)
{
    return o < TC_ORIGIN_COUNT ? origins[o] : "?";
}

int tc_origin_parse(const char *name, enum tc_origin *out)
{
    for (int i = 0; i < TC_ORIGIN_COUNT; i++) {
        if (!strcmp(name, origins[i])) {
            *out = (enum tc_origin)i;
            return TC_OK;
        }
    }
    return tc_fail(TC_EINPUT, "origin '%.20s' is none of live, backfill, replay, simulated", name);
}

const char *tc_world_name(enum tc_world w)
{
    static const char *const names[] = {"live", "replay", "simulated"};
    return names[w];
}

static const char *const bars_from[TC_BARS_FROM_COUNT] = {"trades", "seconds", "merged"};

const char *tc_bars_from_name(enum tc_bars_from f)
{
    return f < TC_BARS_FROM_COUNT ? bars_from[f] : "?";
}

int tc_bars_from_parse(const char *name, enum tc_bars_from *out)
{
    for (int i = 0; i < TC_BARS_FROM_COUNT; i++) {
        if (!strcmp(name, bars_from[i])) {
            *out = (enum tc_bars_from)i;
            return TC_OK;
        }
    }
    return tc_fail(TC_ECONF, "bars-from '%.20s' is none of trades, seconds, merged", name);
}
