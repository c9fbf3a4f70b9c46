#pragma once
/* Any bytes as one frame of a vendor: whatever is given is sane, and its texts lie inside the frame. */
#include "wire/vendor.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct frame {
    const char *start, *end;
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void inside(const struct frame *f, struct tc_text t)
{
    char copy[TC_SYMBOL_SIZE];
    require(!t.n || (t.p >= f->start && t.p + t.n <= f->end));
    tc_text_copy(t, copy, sizeof(copy));
    require(memchr(copy, '\0', sizeof(copy)) != NULL);
}

static void on_event(void *arg, const struct tc_wire_event *e)
{
    const struct frame *f = arg;
    inside(f, e->symbol);
    if (e->kind == TC_WIRE_TRADE)
        require(e->symbol.n && e->time > 0 && e->trade.price > 0 && e->trade.size >= 0);
    if (e->kind == TC_WIRE_SECOND)
        require(e->symbol.n && e->time > 0);
}

static int decode_frame(tc_wire_decoder decode, const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1); /* of that size: an overrun is seen */
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    struct frame f = {copy, copy + size};
    decode(copy, size, on_event, &f);
    free(copy);
    return 0;
}
