#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CHAIN_SIZE = 1024 };

static _Thread_local char chain[CHAIN_SIZE];

int tc_fail(int rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(chain, sizeof(chain), fmt, ap);
    va_end(ap);
    return rc;
}

int tc_more(int rc, const char *fmt, ...)
{
    char head[CHAIN_SIZE];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(head, sizeof(head) - 2, fmt, ap);
    va_end(ap);
    if (n < 0)
        return rc;
    if ((size_t)n > sizeof(head) - 3)
        n = sizeof(head) - 3;
    memcpy(head + n, ": ", 2);
    size_t used = (size_t)n + 2;
    size_t keep = strlen(chain);
    if (keep > sizeof(chain) - used - 1)
        keep = sizeof(chain) - used - 1;
    memmove(chain + used, chain, keep);
    memcpy(chain, head, used);
    chain[used + keep] = '\0';
    return rc;
}

const char *tc_error(void)
{
    return chain;
}

void tc_error_clear(void)
{
    chain[0] = '\0';
}
