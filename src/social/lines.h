/* lines.h - reads a list that people edit: one entry a line, # begins a comment, empty lines are passed over.
 */
#pragma once

#include <stddef.h>

enum { TC_LINES_LONGEST = 512 };

/* Gives each line, without its end, to take(), which may change it. `room`, at most TC_LINES_LONGEST, is two
 * more than the longest line may have. Errors name file and line. TC_ENOTFOUND: there is no such file. */
int tc_lines_read(const char *path, size_t room, int (*take)(void *ctx, char *line), void *ctx);
