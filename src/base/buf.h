/* buf.h - a growable byte buffer with a bound, and the few writers the program needs on top of it.
 *
 * A writer that finds no room sets `overflow` and writes nothing more, so that a chain of writers is checked
 * once at its end. The data is always followed by a 0 byte that `len` does not count (when there is any room
 * at all).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tc_buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max;    /* never grows past this; equal to cap and not owned when fixed */
    bool owned;    /* data is ours to grow and free */
    bool overflow; /* something did not fit (bound or memory) */
};

void tc_buf_init(struct tc_buf *b, size_t max);                    /* grows up to max bytes */
void tc_buf_init_fixed(struct tc_buf *b, char *room, size_t size); /* writes into the caller's room */
void tc_buf_release(struct tc_buf *b); /* frees the contents; b may be reused after init */
void tc_buf_clear(struct tc_buf *b);   /* empties, keeps the room */

bool tc_buf_reserve(struct tc_buf *b, size_t more);

/* These three are most of what writing JSON does, so the compiler may see into them. */
static inline void tc_buf_put(struct tc_buf *b, const void *bytes, size_t n)
{
    if ((n >= b->cap - b->len || b->overflow) && !tc_buf_reserve(b, n)) /* len <= cap */
        return;
    if (n)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

static inline void tc_buf_str(struct tc_buf *b, const char *s)
{
    tc_buf_put(b, s, strlen(s));
}

static inline void tc_buf_char(struct tc_buf *b, char c)
{
    tc_buf_put(b, &c, 1);
}

void tc_buf_printf(struct tc_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Shortest decimal that reads back equal; "null" for NaN and infinities (JSON has neither). */
void tc_buf_double(struct tc_buf *b, double v);
void tc_buf_int(struct tc_buf *b, int64_t v);

/* Quoted and escaped; bytes that are no valid UTF-8 become U+FFFD. */
void tc_buf_json_string(struct tc_buf *b, const char *s);
