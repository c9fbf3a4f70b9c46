/* lossy_file.h - a file layer that plays a machine losing power: it notes what was synced, and a later
 * lossy_crash() throws away at random what was not, in any order, as a disk would.
 *
 * The notes live in a shared mapping of a file, so that they outlive a killed process: run the victim in a
 * child, kill it, then call lossy_crash() in the parent.
 */
#pragma once

#include <stdint.h>

/* Opens or makes the notes; tc_files then points to the lossy layer. */
void lossy_install(const char *notes);
/* Applies the loss to every file noted, and starts the notes anew. Returns how many files lost something. */
int lossy_crash(const char *notes, uint64_t seed);
