/* hash.h - FNV-1a, 64 bits (Fowler, Noll, Vo): for tables and for telling inputs apart, not against an
 * adversary. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TC_FNV_START UINT64_C(0xcbf29ce484222325)

/* Goes on from h; TC_FNV_START at first. */
static inline uint64_t tc_fnv(uint64_t h, const void *bytes, size_t n)
{
    const uint8_t *b = bytes;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * UINT64_C(0x100000001b3);
    return h;
}
