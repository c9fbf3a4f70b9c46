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
