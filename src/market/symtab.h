/* symtab.h - names of symbols to small numbers 0, 1, 2 ... in order of first sight. One thread; allocates
 * only when the table is opened, so adding a symbol past the capacity fails.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tc_symtab;

int tc_symtab_open(struct tc_symtab **out, uint32_t capacity);
void tc_symtab_close(struct tc_symtab *t);
int64_t tc_symtab_find(const struct tc_symtab *t, const char *name); /* -1 = unknown */
int64_t tc_symtab_add(struct tc_symtab *t,
                      const char *name); /* number, old or new; -1 = full or name too long */
const char *tc_symtab_name(const struct tc_symtab *t, uint32_t id);
uint32_t tc_symtab_count(const struct tc_symtab *t);

/* A symbol is 1 to 32 bytes of letters, digits and . _ - / : (a venue's name before the colon). */
int tc_symbol_valid(const char *name);
