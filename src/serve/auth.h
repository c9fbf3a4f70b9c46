/* auth.h - who may ask: the token, and the names under which we may be called. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { TC_TOKEN_SIZE = 65 };

/* Reads the token from the file, or makes one (32 random bytes as hex) and writes it with mode 0600. A file
 * that others may read is refused (TC_ECONF). */
int tc_token_load(const char *path, char token[static TC_TOKEN_SIZE]);

/* Compares in a time that does not depend on where they differ. */
bool tc_token_equal(const char *token, const char *given, size_t given_len);

/* Finds the token in the parts of a request; any may be NULL. */
bool tc_token_in_request(const char *token, const char *query, const char *authorization, const char *cookie);

/* True when the Host header names us: `host` is the address we listen on, `more` further names separated by
 * commas (NULL = none). A page of another site whose name was made to point here (DNS rebinding) is refused.
 */
bool tc_host_allowed(const char *header, const char *host, const char *more);
