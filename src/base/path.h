/* path.h - folders: where shipped data lies and where a user's files belong. */
#pragma once

#include <stddef.h>

/* Finds a shipped file ("models/...", "calendars/...") in the first of: TICKCAST_DATA_HOME; the source tree
 * beside the build folder that holds the program; ../share/tickcast beside the program; the installed data
 * folder. In the source tree all but the models lie below data/. An absolute name, or one that begins with a
 * dot, is taken as it stands. TC_ENOTFOUND names every place looked at. */
int tc_data_path(const char *name, char *out, size_t size);

/* The XDG folder (`variable` such as "XDG_DATA_HOME", or HOME/`fallback`) with "/tickcast" and, when not
 * NULL,
 * "/NAME". TC_ECONF when HOME is not set either. */
int tc_xdg_path(const char *variable, const char *fallback, const char *name, char *out, size_t size);

/* Makes a folder and those above it (mode 0777 less the umask); fine when it is there. */
int tc_mkdirs(const char *path);
