/* text.h - lines of a text file that may be packed: plain, .gz, .zst, or the first file inside a .zip.
 *
 * Unpacks as it goes: memory is one read buffer and one line buffer, whatever the file holds. A packed file
 * that grows past TC_TEXT_MAX_RATIO times its size (and past TC_TEXT_FREE bytes) is refused.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    TC_TEXT_LINE_MAX = 4096,
    TC_TEXT_MAX_RATIO = 250,
    TC_TEXT_FREE = 64 << 20,
};

struct tc_text;

/* TC_ENOTFOUND, TC_EIO, TC_EINPUT (no zip, nothing inside); TC_ELIMIT, TC_ENOMEM: no fault of the file. */
int tc_text_open(const char *path, struct tc_text **out);
void tc_text_close(struct tc_text *t); /* takes NULL */

/* TC_OK: the next line without its '\n', valid until the next call. TC_DONE at the end. TC_ELIMIT: the line
 * is longer than TC_TEXT_LINE_MAX; it was passed over and the next call goes on behind it. Other codes: the
 * file is damaged; nothing more comes from it. */
int tc_text_line(struct tc_text *t, const char **line, size_t *n);

int64_t tc_text_number(const struct tc_text *t); /* of the line given last, from 1 */
const char *tc_text_path(const struct tc_text *t);
