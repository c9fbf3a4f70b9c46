/* assets.h - the page's files, put into the binary by embed.py, each also compressed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct tc_asset {
    const char *path; /* "/", "/assets/app-1a2b3c4d.js" */
    const char *type;
    const char *etag; /* with its quotes */
    bool immutable;   /* its name holds a hash of its contents */
    const unsigned char *data;
    size_t size;
    const unsigned char *gzip; /* NULL when compression does not pay */
    size_t gzip_size;
};

extern const struct tc_asset tc_assets[];
extern const size_t tc_assets_n;
extern const char tc_openapi[]; /* openapi.json, 0-terminated */
extern const size_t tc_openapi_size;
/* Hashes of the inline style elements that the page's libraries make, for the content policy: " 'sha256-...'"
 * each. */
extern const char tc_style_hashes[];
