#include "market/symtab.h"
#include "base/err.h"
#include "base/hash.h"
#include "market/market.h"

#include <stdlib.h>
#include <string.h>

struct tc_symtab {
    uint32_t capacity, count, mask;
    uint32_t *slots; /* id + 1; 0 = empty; linear probing, at most half full */
    char (*names)[TC_SYMBOL_SIZE];
};

int tc_symbol_valid(const char *s)
{
    size_t n = strnlen(s, TC_SYMBOL_SIZE);
    if (n == 0 || n == TC_SYMBOL_SIZE)
        return 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              strchr("._-/:", c)))
            return 0;
    }
    return 1;
}

int tc_symtab_open(struct tc_symtab **out, uint32_t capacity)
{
    if (capacity == 0 || capacity > 1u << 24)
        return tc_fail(TC_ELIMIT, "room for %u symbols is outside 1 to 16777216", capacity);
    uint32_t slots = 16;
    while (slots < capacity * 2)
        slots *= 2;
    struct tc_symtab *t = calloc(1, sizeof(*t));
    if (!t)
        return tc_fail(TC_ENOMEM, "no memory for the symbol table");
    t->capacity = capacity;
    t->mask = slots - 1;
    t->slots = calloc(slots, sizeof(*t->slots));
    t->names = calloc(capacity, sizeof(*t->names));
    if (!t->slots || !t->names) {
        tc_symtab_close(t);
        return tc_fail(TC_ENOMEM, "no memory for %u symbols", capacity);
    }
    *out = t;
    return TC_OK;
}

void tc_symtab_close(struct tc_symtab *t)
{
    if (!t)
        return;
    free(t->slots);
    free(t->names);
    free(t);
}

/* Slot that holds the name, or the empty one where it belongs. */
static uint32_t slot_of(const struct tc_symtab *t, const char *name)
{
    uint64_t h = tc_fnv(TC_FNV_START, name, strlen(name));
    uint32_t i = (uint32_t)(h ^ (h >> 32)) & t->mask;
    while (t->slots[i] && strcmp(t->names[t->slots[i] - 1], name))
        i = (i + 1) & t->mask;
    return i;
}

int64_t tc_symtab_find(const struct tc_symtab *t, const char *name)
{
    return (int64_t)t->slots[slot_of(t, name)] - 1;
}

int64_t tc_symtab_add(struct tc_symtab *t, const char *name)
{
    uint32_t i = slot_of(t, name);
    if (t->slots[i])
        return (int64_t)t->slots[i] - 1;
    size_t n = strnlen(name, TC_SYMBOL_SIZE);
    if (t->count == t->capacity || n == 0 || n == TC_SYMBOL_SIZE)
        return -1;
    memcpy(t->names[t->count], name, n + 1);
    t->slots[i] = ++t->count;
    return (int64_t)t->count - 1;
}

const char *tc_symtab_name(const struct tc_symtab *t, uint32_t id)
{
    return id < t->count ? t->names[id] : "";
}

uint32_t tc_symtab_count(const struct tc_symtab *t)
{
    return t->count;
}
