/* Messages of any bytes: what is taken is a record that can be written again and means the same. */
#include "bus/record_bus.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tc_buf blob, once, twice;
    struct tc_record r;
    tc_buf_init(&blob, 1 << 20);
    tc_buf_init(&once, 1 << 22);
    tc_buf_init(&twice, 1 << 22);
    if (tc_record_from_message((const char *)data, size, &blob, &r) == 0) {
        tc_record_to_message(&r, &once);
        if (once.overflow || tc_record_from_message(once.data, once.len, &blob, &r) != 0)
            abort();
        tc_record_to_message(&r, &twice);
        if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
            abort();
    }
    tc_buf_release(&blob);
    tc_buf_release(&once);
    tc_buf_release(&twice);
    return 0;
}
