/* pickle.h - reads a Python pickle without executing anything.
 *
 * A pickle is a program for a small stack machine (Python's Lib/pickletools.py describes every opcode). This
 * reader knows the opcodes that plain data and the files of PyTorch and joblib use (protocols 2 to 5) and
 * builds a tree of values. Where Python would import and call something, the tree gets a node that says what
 * would have been called with what; and only names on the caller's list are taken, any other one ends the
 * reading with its name. Opcodes beyond these (inst, obj, ext, reduce with keywords, out-of-band buffers,
 * ...) are refused.
 *
 * Bounds: values, memo entries, stack, marks, memory and nested pickles (below). The tree may hold a value
 * in several places and, as in Python, a container in itself: who walks it bounds his depth and his steps.
 * Text and bytes point into the input, which must outlive the tree. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TC_PK_VALUES_MAX = 200000,
    TC_PK_STACK_MAX = 65536,
    TC_PK_MARKS_MAX = 256,
    TC_PK_NESTED_MAX = 2,
    TC_PK_MEMORY_MAX = 64 << 20,
};

enum tc_pk_type {
    TC_PK_NONE,
    TC_PK_BOOL,   /* i */
    TC_PK_INT,    /* i */
    TC_PK_FLOAT,  /* f */
    TC_PK_TEXT,   /* bytes, n: UTF-8, checked, without a zero byte */
    TC_PK_BYTES,  /* bytes, n */
    TC_PK_TUPLE,  /* item[n] */
    TC_PK_LIST,   /* item[n] */
    TC_PK_DICT,   /* item[2n]: key, value, ... in the order given; a key may come twice */
    TC_PK_CLASS,  /* cls */
    TC_PK_OBJECT, /* what calling cls with args would have made; state from BUILD; item[2n] set into it */
    TC_PK_PERSID, /* args: the persistent id */
};

/* A name that may stand in the file, as Python writes it: module, name. `tag` is the caller's. */
struct tc_pk_class {
    const char *module, *name;
    int tag;
};

struct tc_pk_value {
    enum tc_pk_type type;
    uint32_t n, room;
    int64_t i;
    double f;
    const uint8_t *bytes; /* of an object: raw bytes that a hook found behind it, i of them */
    struct tc_pk_value **item;
    const struct tc_pk_class *cls;
    struct tc_pk_value *args, *state; /* NULL = none */
    struct tc_pk_value *found;        /* by a hook, behind this object; NULL = nothing */
};

struct tc_pickle;

struct tc_pk_options {
    const struct tc_pk_class *classes;
    size_t n_classes;
    const char *advice; /* ends the sentence that refuses another class; NULL = none */
    /* Called after the state of an object was set, `at` behind its opcode: for files that put raw bytes into
     * the stream there. May move *at forward within the input, and fill in the object. NULL = none. */
    int (*built)(struct tc_pickle *p, struct tc_pk_value *object, size_t *at, void *ctx);
    void *ctx;
};

/* Reads bytes[0..n) up to its STOP; *used (may be NULL) is the byte after it. TC_EINPUT or TC_ELIMIT name the
 * byte and what is wrong. *out must be closed only on TC_OK. */
int tc_pickle_open(const uint8_t *bytes, size_t n, const struct tc_pk_options *options,
                   struct tc_pickle **out, size_t *used);
void tc_pickle_close(struct tc_pickle *p);
const struct tc_pk_value *tc_pickle_root(const struct tc_pickle *p);

/* For hooks: the input, and a complete pickle inside it at *at, which is moved behind its STOP. It has a memo
 * of its own; its values belong to p. */
const uint8_t *tc_pickle_input(const struct tc_pickle *p, size_t *n);
int tc_pickle_nested(struct tc_pickle *p, size_t *at, struct tc_pk_value **out);

/* Looking at values; all take NULL as a value of no type. */
bool tc_pk_is_text(const struct tc_pk_value *v, const char *text);
/* The object's class tag when v is an object of a listed class, else -1. */
int tc_pk_object_tag(const struct tc_pk_value *v);
/* Value of a text key in a dict (or in an object's items): the last one given; NULL = not there. */
const struct tc_pk_value *tc_pk_get(const struct tc_pk_value *v, const char *key);
/* Item i of a tuple or list; NULL when there is none. */
const struct tc_pk_value *tc_pk_at(const struct tc_pk_value *v, size_t i);
/* "a text", "a dict", "an object of numpy.dtype": for messages. Valid until this thread's next call. */
const char *tc_pk_words(const struct tc_pk_value *v);
