#include "app/feeds.h"
#include "base/err.h"
#include "feed/live.h"
#include "feed/replay.h"

#include <stdlib.h>
#include <string.h>

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

/* Does the symbol belong to that feed? What names no exchange goes to the first feed that is none. */
static bool belongs(const struct tc_config *c, const char *symbol, size_t feed)
{
    const struct tc_adapter *a = tc_adapter_find(c->feeds.items[feed]);
    size_t n = strcspn(symbol, ":");
    if (symbol[n])
        return n == strlen(a->name) && !strncmp(symbol, a->name, n);
    size_t first = 0;
    if (c->feeds.n > 1)
        while (first < c->feeds.n && tc_adapter_find(c->feeds.items[first])->venue)
            first++;
    return feed == first;
}

static int check_owners(const struct tc_config *c)
{
    for (size_t i = 0; i < c->symbols.n; i++) {
        bool owned = false;
        for (size_t k = 0; k < c->feeds.n && !owned; k++)
            owned = belongs(c, c->symbols.items[i], k);
        if (!owned)
            return tc_fail(TC_ECONF,
                           "feed.symbols: no feed that is configured has %s; write exchange:NAME with "
                           "one of the feeds in feed.name",
                           c->symbols.items[i]);
    }
    return TC_OK;
}

int tc_feed_open_live(const struct tc_config *c, size_t feed, const struct tc_calendar *calendar,
                      struct tc_feed *out)
{
    const struct tc_adapter *a = tc_adapter_find(c->feeds.items[feed]);
    size_t at = 0, n = 0;
    while (tc_adapters[at] != a)
        at++;
    int rc = check_owners(c);
    const char **names = rc ? NULL : calloc(c->symbols.n, sizeof(*names));
    if (rc)
        return rc;
    if (!names)
        return tc_fail(TC_ENOMEM, "no memory for %zu symbols", c->symbols.n);
    for (size_t i = 0; i < c->symbols.n; i++)
        if (belongs(c, c->symbols.items[i], feed))
            names[n++] = c->symbols.items[i];
    struct tc_vendor_conf conf = {
        .adapter = a,
        .url = c->live[at].url,
        .rest = c->live[at].rest,
        .channels = c->live[at].channels,
        .key = c->live[at].key.value,
        .secret = c->live[at].secret.value,
        .ca_file = c->live_ca_file,
        .symbols = names,
        .n_symbols = n,
        .calendar = calendar,
        .settle_ns = c->live_settle_ns,
        .history_ns = c->live_history_ns,
        .backoff_ns = c->live_backoff_ns,
    };
    rc = tc_vendor_open(&conf, out);
    free(names);
    return rc;
}
