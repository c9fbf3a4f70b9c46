/* zip.h - members of a zip archive that lie in it as they are (method 0, stored), from memory.
 *
 * PyTorch stores without compression, so nothing has to be unpacked: a member is a piece of the input, and an
 * archive cannot grow while it is read. Sizes and places come from the central directory (local headers may
 * say 0: flag bit 3), the place of the data from the local header's own name and extra field. ZIP64 is read.
 * Checked: every bound, the names (no name twice), that all members together are no larger than the file,
 * and each member's CRC-32. Compressed or encrypted members and archives in several parts are refused.
 * Format: PKWARE APPNOTE.TXT 6.3.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TC_ZIP_MEMBERS_MAX = 4096, TC_ZIP_NAME_MAX = 512 };

struct tc_zip_member {
    const char *name; /* in the input, without a 0 byte behind it */
    size_t name_n;
    const uint8_t *data;
    size_t size;
};

struct tc_zip {
    struct tc_zip_member *members; /* sorted by name */
    size_t n;
};

/* True when the bytes begin as a zip archive does. */
bool tc_zip_is(const uint8_t *bytes, size_t n);

/* `bytes` must outlive the result. TC_EINPUT and TC_ELIMIT name the member and what is wrong. */
int tc_zip_open(const uint8_t *bytes, size_t n, struct tc_zip *out);
void tc_zip_close(struct tc_zip *z);
const struct tc_zip_member *tc_zip_find(const struct tc_zip *z, const char *name, size_t name_n);
