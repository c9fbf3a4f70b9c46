/* Whatever decodes must encode to the same bytes, and its JSON must be one bounded object. */
#include "bus/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tc_record r;
    if (tc_record_decode(data, size, &r))
        return 0;
    struct tc_buf b;
    tc_buf_init(&b, (size_t)TC_BLOB_MAX + 65536);
    if (tc_record_encode(&r, &b) || b.len != size || memcmp(b.data, data, size))
        abort();
    tc_buf_clear(&b);
    tc_record_to_json(&r, &b);
    if (b.overflow || b.len < 2 || b.data[0] != '{' || b.data[b.len - 1] != '}')
        abort();
    tc_buf_release(&b);
    return 0;
}
