/* crc32c.h - CRC-32C (Castagnoli polynomial, RFC 3720 appendix B.4), by the processor's instruction where it
 * has one (SSE4.2), else by table. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc` (0 for a fresh start), so that pieces can be summed one after another. */
uint32_t tc_crc32c(uint32_t crc, const void *bytes, size_t n);

/* The plain table form; the same answer, kept for processors without the instruction and for tests. */
uint32_t tc_crc32c_plain(uint32_t crc, const void *bytes, size_t n);
