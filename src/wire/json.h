/* json.h - a pull reader of JSON (RFC 8259) that allocates nothing and points into the caller's bytes.
 *
 *   struct tc_json j;
 *   tc_json_start(&j, bytes, n);
 *   if (tc_json_enter(&j, '{'))
 *       while (tc_json_key(&j, &key))
 *           if (tc_text_is(key, "price")) tc_json_decimal(&j, &price); else tc_json_skip(&j);
 *   bool good = tc_json_end(&j);
 *
 * The first fault sets `bad`, after which every call says false, so a chain of calls is checked once, at its
 * end. Values of another type than asked for are a fault. Nesting is at most TC_JSON_DEPTH deep. Strings are
 * given as they stand, escapes included (`escaped`); tc_text_copy undoes them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { TC_JSON_DEPTH = 32 };

struct tc_text {
    const char *p;
    size_t n;
    bool escaped; /* holds backslashes that stand for something else */
};

struct tc_json {
    const char *p, *end;
    int depth;
    bool fresh; /* right behind an opening bracket: no comma is due */
    bool bad;
};

void tc_json_start(struct tc_json *j, const char *bytes, size_t n);

/* The kind of the next value by its first byte: { [ " t f n, 0 for a number; -1 at the end or after a fault.
 */
int tc_json_peek(struct tc_json *j);

bool tc_json_enter(struct tc_json *j, char bracket);      /* '{' or '[' */
bool tc_json_key(struct tc_json *j, struct tc_text *out); /* false: the object is closed, or a fault */
bool tc_json_item(struct tc_json *j);                     /* false: the array is closed, or a fault */

bool tc_json_text(struct tc_json *j, struct tc_text *out);
bool tc_json_number(struct tc_json *j, double *out);
bool tc_json_int(struct tc_json *j, int64_t *out);    /* a number without fraction or exponent */
bool tc_json_decimal(struct tc_json *j, double *out); /* a number, or a string that holds one */
bool tc_json_bool(struct tc_json *j, bool *out);
bool tc_json_null(struct tc_json *j); /* takes a null if one stands there; no fault if not */
bool tc_json_skip(struct tc_json *j); /* any value */
/* Looks ahead for a text of the object that begins here; `at` stays where it is. False: the object has none.
 * Cheap where the key comes first. */
bool tc_json_find_text(const struct tc_json *at, const char *key, struct tc_text *out);
bool tc_json_fail(struct tc_json *j); /* the caller found a fault; says false */
bool tc_json_end(struct tc_json *j);  /* true: no fault, and nothing but white space is left */

static inline bool tc_text_is(struct tc_text t, const char *word)
{
    return t.n == strlen(word) && memcmp(t.p, word, t.n) == 0;
}

/* Copies with escapes undone; cut to what fits, always 0-terminated. Bytes are not checked to be UTF-8. */
void tc_text_copy(struct tc_text t, char *out, size_t size);

/* "2021-09-01T12:34:56.123456789Z" (or +01:00) as ns since 1970. */
bool tc_text_time(struct tc_text t, int64_t *out);
