/* Whatever decodes must encode to the same bytes (those of an older version: to bytes that then stay the
 * same), and its JSON must be one bounded object. */
#include "bus/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tc_record r;
    if (tc_record_decode(data, size, &r))
        return 0;
    struct tc_buf b, again;
    tc_buf_init(&b, (size_t)TC_BLOB_MAX + 65536);
    tc_buf_init(&again, (size_t)TC_BLOB_MAX + 65536);
    if (tc_record_encode(&r, &b))
        abort();
    bool same_version = b.len > 0 && (uint8_t)b.data[0] == data[0];
    if (same_version && (b.len != size || memcmp(b.data, data, size)))
        abort();
    if (tc_record_decode((const uint8_t *)b.data, b.len, &r) || tc_record_encode(&r, &again) ||
        again.len != b.len || memcmp(again.data, b.data, b.len))
        abort();
    tc_buf_release(&again);
    tc_buf_clear(&b);
    tc_record_to_json(&r, &b);
    if (b.overflow || b.len < 2 || b.data[0] != '{' || b.data[b.len - 1] != '}')
        abort();
    tc_buf_release(&b);
    return 0;
}
