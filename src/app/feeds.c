#include "app/feeds.h"
#include "feed/replay.h"

int tc_feed_open_replay(const struct tc_config *c, double speed, const struct tc_calendar *calendar,
                        struct tc_feed *out)
{
    struct tc_replay_conf conf = {
        .path = c->replay_path,
        .symbols = (const char *const *)c->symbols.items,
        .n_symbols = c->symbols.n,
        .from = c->replay_from,
        .to = c->replay_to,
        .speed = speed,
        .bars_from = (enum tc_bars_from)c->bars_from,
        .on_error = c->on_error == TC_CONFIG_REFUSE ? TC_ON_ERROR_REFUSE : TC_ON_ERROR_SKIP,
        .calendar = calendar,
    };
    return tc_replay_open(&conf, out);
}
