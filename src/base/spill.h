/* spill.h - large arrays in a file without a name, mapped: they may be larger than memory.
 *
 * What is written goes to the disk as the system sees fit, and is dropped from memory first when that is
 * short; reading brings it back. The file vanishes with the process, however it ends. For arrays that are
 * passed through in order (training rows), not for the data path. One thread.
 */
#pragma once

#include <stddef.h>

struct tc_spill;

/* In this folder. TC_EIO where no file can be made there. */
int tc_spill_open(const char *folder, struct tc_spill **out);
void tc_spill_close(struct tc_spill *s); /* takes NULL; every array goes with it */

/* `bytes` zeros at the start of a page; NULL (tc_error says why) when the disk is full. */
void *tc_spill_take(struct tc_spill *s, size_t bytes);

/* Takes (part of) an array out of the process's resident memory; the next access brings back what is needed.
 * What is not the spill's own is left alone. */
void tc_spill_release(const struct tc_spill *s, const void *at, size_t bytes);
