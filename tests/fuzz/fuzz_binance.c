#include "fuzz_vendor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return decode_frame(tc_binance_decode, data, size);
}
