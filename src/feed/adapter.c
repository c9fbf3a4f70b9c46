#include "feed/adapter.h"

const struct tc_adapter *const tc_adapters[TC_ADAPTERS] = {
    &tc_adapter_coinbase, &tc_adapter_binance, &tc_adapter_kraken,
    &tc_adapter_massive,  &tc_adapter_alpaca,  &tc_adapter_finnhub,
};

const struct tc_adapter *tc_adapter_find(const char *name)
{
    for (size_t i = 0; i < TC_ADAPTERS; i++)
        if (!strcmp(tc_adapters[i]->name, name))
            return tc_adapters[i];
    return NULL;
}

bool tc_adapter_channel(const char *channels, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = channels; p && *p;) {
        size_t len = strcspn(p, ", ");
        if (len == n && !memcmp(p, word, n))
            return true;
        p += len;
        p += strspn(p, ", ");
    }
    return false;
}
