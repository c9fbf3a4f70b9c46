/* Any bytes as a vendor's answer to a request for history; the first byte names the vendor. */
#include "feed/adapter.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_row(void *arg, const struct tc_wire_event *e)
{
    (void)arg;
    if (e->time <= 0 || (e->kind == TC_WIRE_TRADE && !(e->trade.price > 0)) ||
        (e->kind == TC_WIRE_SECOND && !(e->bar.low > 0)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const struct tc_adapter *a = tc_adapters[data[0] % TC_ADAPTERS];
    struct tc_page p = {
        .base = "http://x", .symbol = "A", .start = 1000000000, .end = 2000000000, .url = a->url};
    struct tc_buf url;
    if (!a->take_page)
        return 0;
    tc_buf_init(&url, 4096);
    if (!a->take_page(&p, (const char *)data + 1, size - 1, on_row, NULL) && !p.done)
        a->page_url(&p, &url);
    tc_buf_release(&url);
    return 0;
}
