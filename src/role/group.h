/* group.h - several roles run by one thread, for those that write the same topic. */
#pragma once

#include "role/role.h"

#include <stddef.h>

enum { TC_GROUP_MAX = 8 };

/* Takes the roles over: close() of the group closes them. */
int tc_group_open(const struct tc_role *roles, size_t n, struct tc_role *out);
