#include "wire/pickle.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_VALUES = 512, NAME_MAX_BYTES = 200 };

struct chunk {
    struct chunk *before;
    size_t used;
    struct tc_pk_value value[CHUNK_VALUES];
};

struct tc_pickle {
    const uint8_t *bytes;
    size_t n;
    struct tc_pk_options options;
    struct chunk *chunks;
    struct tc_pk_value *root;
    size_t n_values, memory;
    int nested;
};

/* The machine of one pickle. */
struct machine {
    struct tc_pickle *p;
    size_t at, op_at; /* op_at: the opcode under way, for messages */
    struct tc_pk_value **stack, **memo;
    size_t depth, stack_room, memo_next, memo_room;
    size_t mark[TC_PK_MARKS_MAX];
    size_t marks;
    bool stopped;
};

static int fault(const struct machine *m, const char *what)
{
    return tc_fail(TC_EINPUT, "pickle, byte %zu: %s", m->op_at, what);
}

static int limit(const struct machine *m, const char *what, size_t most)
{
    return tc_fail(TC_ELIMIT, "pickle, byte %zu: more than the %zu %s allowed", m->op_at, most, what);
}

static int take_memory(struct tc_pickle *p, size_t bytes)
{
    if (bytes > TC_PK_MEMORY_MAX - p->memory)
        return tc_fail(TC_ELIMIT, "pickle: its content takes more than %d MiB", TC_PK_MEMORY_MAX >> 20);
    p->memory += bytes;
    return TC_OK;
}

/* --- values --------------------------------------------------------------------------------------------- */
static int new_value(struct machine *m, enum tc_pk_type type, struct tc_pk_value **out)
{
    struct tc_pickle *p = m->p;
    if (p->n_values >= TC_PK_VALUES_MAX)
        return limit(m, "values", TC_PK_VALUES_MAX);
    if (!p->chunks || p->chunks->used == CHUNK_VALUES) {
        int rc = take_memory(p, sizeof(struct chunk));
        struct chunk *c = rc ? NULL : calloc(1, sizeof(*c));
        if (!c)
            return rc ? rc : tc_fail(TC_ENOMEM, "no memory to read a pickle");
        c->before = p->chunks;
        p->chunks = c;
    }
    p->n_values++;
    *out = &p->chunks->value[p->chunks->used++];
    (*out)->type = type;
    return TC_OK;
}

/* Room for `more` pointers behind those the container has. */
static int grow(struct machine *m, struct tc_pk_value *v, size_t have, size_t more)
{
    if (have + more <= v->room)
        return TC_OK;
    size_t room = have + more < 8 ? 8 : have + more;
    if (v->room && room < 2 * (size_t)v->room)
        room = 2 * (size_t)v->room;
    int rc = take_memory(m->p, (room - v->room) * sizeof(struct tc_pk_value *));
    if (rc)
        return rc;
    struct tc_pk_value **item = realloc(v->item, room * sizeof(struct tc_pk_value *));
    if (!item)
        return tc_fail(TC_ENOMEM, "no memory to read a pickle");
    v->item = item;
    v->room = (uint32_t)room;
    return TC_OK;
}

/* --- stack ---------------------------------------------------------------------------------------------- */
static size_t floor_of(const struct machine *m)
{
    return m->marks ? m->mark[m->marks - 1] : 0;
}

static int push(struct machine *m, struct tc_pk_value *v)
{
    if (m->depth == m->stack_room) {
        if (m->depth >= TC_PK_STACK_MAX)
            return limit(m, "values on the stack", TC_PK_STACK_MAX);
        size_t room = m->stack_room ? 2 * m->stack_room : 64;
        struct tc_pk_value **stack = realloc(m->stack, room * sizeof(struct tc_pk_value *));
        if (!stack)
            return tc_fail(TC_ENOMEM, "no memory to read a pickle");
        m->stack = stack;
        m->stack_room = room;
    }
    m->stack[m->depth++] = v;
    return TC_OK;
}

static int push_new(struct machine *m, enum tc_pk_type type, struct tc_pk_value **out)
{
    int rc = new_value(m, type, out);
    return rc ? rc : push(m, *out);
}

/* The top n values, left where they are; above the last mark only. */
static int need(const struct machine *m, size_t n)
{
    return m->depth - floor_of(m) < n ? fault(m, "takes more values than the stack holds") : TC_OK;
}

static struct tc_pk_value *top(const struct machine *m, size_t below)
{
    return m->stack[m->depth - 1 - below];
}

/* Takes the last mark away; *from is where its values begin. */
static int to_mark(struct machine *m, size_t *from)
{
    if (!m->marks)
        return fault(m, "needs a mark that was not set");
    *from = m->mark[--m->marks];
    return TC_OK;
}

/* --- input ---------------------------------------------------------------------------------------------- */
static int take(struct machine *m, size_t n, const uint8_t **out)
{
    if (n > m->p->n - m->at)
        return fault(m, "goes past the end (is the file cut short?)");
    *out = m->p->bytes + m->at;
    m->at += n;
    return TC_OK;
}

/* Little-endian, n bytes up to 8. */
static int take_int(struct machine *m, size_t n, uint64_t *out)
{
    const uint8_t *b = NULL;
    int rc = take(m, n, &b);
    *out = 0;
    for (size_t i = 0; i < n && !rc; i++)
        *out |= (uint64_t)b[i] << (8 * i);
    return rc;
}

static bool good_text(const uint8_t *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint8_t c = s[i];
        size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : 3;
        if (!c || (c >= 0x80 && c < 0xc2) || c > 0xf4 || more > n - i - 1)
            return false;
        for (size_t k = 1; k <= more; k++)
            if ((s[i + k] & 0xc0) != 0x80)
                return false;
        i += more + 1;
    }
    return true;
}

/* Text or bytes behind a count of `width` bytes. */
static int read_string(struct machine *m, size_t width, enum tc_pk_type type)
{
    uint64_t n = 0;
    const uint8_t *s = NULL;
    struct tc_pk_value *v = NULL;
    int rc = take_int(m, width, &n);
    if (!rc)
        rc = take(m, n > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)n, &s);
    if (!rc && n > UINT32_MAX)
        rc = fault(m, "a text of more than 4 GiB");
    if (!rc && type == TC_PK_TEXT && !good_text(s, (size_t)n))
        rc = fault(m, "a text that is no UTF-8, or has a zero byte");
    if (!rc)
        rc = push_new(m, type, &v);
    if (!rc) {
        v->bytes = s;
        v->n = (uint32_t)n;
    }
    return rc;
}

static int push_int(struct machine *m, int64_t i, enum tc_pk_type type)
{
    struct tc_pk_value *v = NULL;
    int rc = push_new(m, type, &v);
    if (!rc)
        v->i = i;
    return rc;
}

static int read_int(struct machine *m, size_t width, bool is_signed)
{
    uint64_t u = 0;
    int rc = take_int(m, width, &u);
    return rc ? rc : push_int(m, is_signed ? (int32_t)(uint32_t)u : (int64_t)u, TC_PK_INT);
}

static int read_long(struct machine *m)
{
    uint64_t n = 0, u = 0;
    int rc = take_int(m, 1, &n);
    if (!rc && n > 8)
        return fault(m, "a whole number of more than 64 bits");
    if (!rc)
        rc = take_int(m, (size_t)n, &u);
    if (rc)
        return rc;
    if (n && n < 8 && u >> (8 * n - 1))
        u |= UINT64_MAX << (8 * n);
    return push_int(m, (int64_t)u, TC_PK_INT);
}

static int read_float(struct machine *m)
{
    const uint8_t *b = NULL;
    struct tc_pk_value *v = NULL;
    int rc = take(m, 8, &b);
    if (!rc)
        rc = push_new(m, TC_PK_FLOAT, &v);
    if (rc)
        return rc;
    uint64_t u = 0;
    for (size_t i = 0; i < 8; i++)
        u = u << 8 | b[i];
    memcpy(&v->f, &u, sizeof(u));
    return TC_OK;
}

/* --- names ---------------------------------------------------------------------------------------------- */
static int push_class(struct machine *m, const uint8_t *module, size_t module_n, const uint8_t *name,
                      size_t name_n)
{
    const struct tc_pk_options *o = &m->p->options;
    for (size_t i = 0; i < o->n_classes; i++) {
        const struct tc_pk_class *c = &o->classes[i];
        if (strlen(c->module) == module_n && memcmp(c->module, module, module_n) == 0 &&
            strlen(c->name) == name_n && memcmp(c->name, name, name_n) == 0) {
            struct tc_pk_value *v;
            int rc = push_new(m, TC_PK_CLASS, &v);
            if (!rc)
                v->cls = c;
            return rc;
        }
    }
    char words[2 * NAME_MAX_BYTES];
    int n = snprintf(words, sizeof(words), "%.*s.%.*s", (int)(module_n < 120 ? module_n : 120),
                     (const char *)module, (int)(name_n < 80 ? name_n : 80), (const char *)name);
    for (int i = 0; i < n && i < (int)sizeof(words) - 1; i++)
        if ((unsigned char)words[i] < 0x20 || (unsigned char)words[i] > 0x7e)
            words[i] = '?';
    return tc_fail(TC_EINPUT,
                   "pickle, byte %zu: it would run %s, which is not on the list of known names%s%s", m->op_at,
                   words, o->advice ? "; " : "", o->advice ? o->advice : "");
}

/* GLOBAL: two lines of text. */
static int read_global(struct machine *m)
{
    const uint8_t *line[2];
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        line[i] = m->p->bytes + m->at;
        size_t left = m->p->n - m->at;
        const uint8_t *end =
            left ? memchr(line[i], '\n', left < NAME_MAX_BYTES ? left : NAME_MAX_BYTES) : NULL;
        if (!end)
            return fault(m, "a name without an end");
        n[i] = (size_t)(end - line[i]);
        m->at += n[i] + 1;
    }
    return push_class(m, line[0], n[0], line[1], n[1]);
}

static int stack_global(struct machine *m)
{
    int rc = need(m, 2);
    if (rc)
        return rc;
    const struct tc_pk_value *module = top(m, 1), *name = top(m, 0);
    if (module->type != TC_PK_TEXT || name->type != TC_PK_TEXT)
        return fault(m, "a class whose module and name are no texts");
    m->depth -= 2;
    return push_class(m, module->bytes, module->n, name->bytes, name->n);
}

/* --- containers ----------------------------------------------------------------------------------------- */
static int make_tuple(struct machine *m, size_t from)
{
    struct tc_pk_value *v = NULL;
    size_t n = m->depth - from;
    int rc = new_value(m, TC_PK_TUPLE, &v);
    if (!rc && n)
        rc = grow(m, v, 0, n);
    if (rc)
        return rc;
    if (n)
        memcpy(v->item, m->stack + from, n * sizeof(*v->item));
    v->n = (uint32_t)n;
    m->depth = from;
    return push(m, v);
}

static int small_tuple(struct machine *m, size_t n)
{
    int rc = need(m, n);
    return rc ? rc : make_tuple(m, m->depth - n);
}

static int mark_tuple(struct machine *m)
{
    size_t from = 0;
    int rc = to_mark(m, &from);
    return rc ? rc : make_tuple(m, from);
}

/* Values from `from` on go into the container below them. */
static int put_items(struct machine *m, size_t from, bool pairs)
{
    if (from <= floor_of(m))
        return fault(m, "sets items into nothing");
    struct tc_pk_value *v = m->stack[from - 1];
    size_t n = m->depth - from, have = pairs ? 2 * (size_t)v->n : v->n;
    bool fits = pairs ? v->type == TC_PK_DICT || v->type == TC_PK_OBJECT : v->type == TC_PK_LIST;
    if (!fits || (pairs && n % 2))
        return fault(m, pairs ? "sets pairs into what is no dict" : "appends to what is no list");
    int rc = grow(m, v, have, n);
    if (rc)
        return rc;
    if (n)
        memcpy(v->item + have, m->stack + from, n * sizeof(*v->item));
    v->n += (uint32_t)(pairs ? n / 2 : n);
    m->depth = from;
    return TC_OK;
}

static int put_some(struct machine *m, size_t n, bool pairs)
{
    int rc = need(m, n + 1);
    return rc ? rc : put_items(m, m->depth - n, pairs);
}

static int put_marked(struct machine *m, bool pairs)
{
    size_t from = 0;
    int rc = to_mark(m, &from);
    return rc ? rc : put_items(m, from, pairs);
}

/* REDUCE and NEWOBJ: the class and the arguments become a node. */
static int make_object(struct machine *m)
{
    int rc = need(m, 2);
    if (rc)
        return rc;
    struct tc_pk_value *cls = top(m, 1), *args = top(m, 0), *v;
    if (cls->type != TC_PK_CLASS || args->type != TC_PK_TUPLE)
        return fault(m, "calls what is no class, or with arguments that are no tuple");
    rc = new_value(m, TC_PK_OBJECT, &v);
    if (rc)
        return rc;
    v->cls = cls->cls;
    v->args = args;
    m->depth -= 2;
    return push(m, v);
}

static int build(struct machine *m)
{
    int rc = need(m, 2);
    if (rc)
        return rc;
    struct tc_pk_value *v = top(m, 1);
    if (v->type != TC_PK_OBJECT)
        return fault(m, "sets the state of what is no object");
    if (v->state)
        return fault(m, "sets the state of an object twice");
    v->state = top(m, 0);
    m->depth--;
    if (!m->p->options.built)
        return TC_OK;
    rc = m->p->options.built(m->p, v, &m->at, m->p->options.ctx);
    if (!rc && m->at > m->p->n)
        return tc_fail(TC_EINTERNAL, "pickle: a hook read past the end");
    return rc;
}

static int persistent(struct machine *m)
{
    struct tc_pk_value *v = NULL;
    int rc = need(m, 1);
    if (!rc)
        rc = new_value(m, TC_PK_PERSID, &v);
    if (rc)
        return rc;
    v->args = top(m, 0);
    m->stack[m->depth - 1] = v;
    return TC_OK;
}

/* --- memo ----------------------------------------------------------------------------------------------- */
static int put_memo(struct machine *m, uint64_t at)
{
    int rc = need(m, 1);
    if (rc)
        return rc;
    if (at >= TC_PK_VALUES_MAX)
        return limit(m, "memo entries", TC_PK_VALUES_MAX);
    if (at >= m->memo_room) { /* entries that nothing asks for may be left out, so gaps are fine */
        size_t room = at < 32 ? 64 : 2 * (size_t)at;
        struct tc_pk_value **memo = realloc(m->memo, room * sizeof(struct tc_pk_value *));
        if (!memo)
            return tc_fail(TC_ENOMEM, "no memory to read a pickle");
        memset(memo + m->memo_room, 0, (room - m->memo_room) * sizeof(struct tc_pk_value *));
        m->memo = memo;
        m->memo_room = room;
    }
    m->memo[at] = top(m, 0);
    m->memo_next++;
    return TC_OK;
}

static int read_put(struct machine *m, size_t width)
{
    uint64_t at;
    int rc = take_int(m, width, &at);
    return rc ? rc : put_memo(m, at);
}

static int read_get(struct machine *m, size_t width)
{
    uint64_t at;
    int rc = take_int(m, width, &at);
    if (!rc && (at >= m->memo_room || !m->memo[at]))
        rc = fault(m, "a memo entry that was never set");
    return rc ? rc : push(m, m->memo[at]);
}

/* --- the machine ---------------------------------------------------------------------------------------- */
static int set_mark(struct machine *m)
{
    if (m->marks == TC_PK_MARKS_MAX)
        return limit(m, "open marks", TC_PK_MARKS_MAX);
    m->mark[m->marks++] = m->depth;
    return TC_OK;
}

static int stop(struct machine *m)
{
    if (m->depth != 1 || m->marks)
        return fault(m, "the end, with not exactly one value on the stack");
    m->stopped = true;
    return TC_OK;
}

static int protocol(struct machine *m)
{
    uint64_t v;
    int rc = take_int(m, 1, &v);
    return rc || (v >= 2 && v <= 5) ? rc : fault(m, "a protocol that is not 2 to 5");
}

static int other_opcode(const struct machine *m, uint8_t op)
{
    return tc_fail(TC_EINPUT, "pickle, byte %zu: opcode 0x%02x is not among those that model files use",
                   m->op_at, op);
}

static int string_opcode(struct machine *m, uint8_t op)
{
    switch (op) {
    case 'X':
        return read_string(m, 4, TC_PK_TEXT); /* BINUNICODE */
    case 0x8c:
        return read_string(m, 1, TC_PK_TEXT); /* SHORT_BINUNICODE */
    case 0x8d:
        return read_string(m, 8, TC_PK_TEXT); /* BINUNICODE8 */
    case 'U':
        return read_string(m, 1, TC_PK_TEXT); /* SHORT_BINSTRING */
    case 'T':
        return read_string(m, 4, TC_PK_TEXT); /* BINSTRING */
    case 'C':
        return read_string(m, 1, TC_PK_BYTES); /* SHORT_BINBYTES */
    case 'B':
        return read_string(m, 4, TC_PK_BYTES); /* BINBYTES */
    case 0x8e:
        return read_string(m, 8, TC_PK_BYTES); /* BINBYTES8 */
    default:
        return other_opcode(m, op);
    }
}

static int value_opcode(struct machine *m, uint8_t op)
{
    struct tc_pk_value *v = NULL;
    switch (op) {
    case 'N':
        return push_new(m, TC_PK_NONE, &v);
    case 0x88:
        return push_int(m, 1, TC_PK_BOOL); /* NEWTRUE */
    case 0x89:
        return push_int(m, 0, TC_PK_BOOL); /* NEWFALSE */
    case 'J':
        return read_int(m, 4, true); /* BININT */
    case 'K':
        return read_int(m, 1, false); /* BININT1 */
    case 'M':
        return read_int(m, 2, false); /* BININT2 */
    case 0x8a:
        return read_long(m); /* LONG1 */
    case 'G':
        return read_float(m); /* BINFLOAT */
    case '}':
        return push_new(m, TC_PK_DICT, &v); /* EMPTY_DICT */
    case ']':
        return push_new(m, TC_PK_LIST, &v); /* EMPTY_LIST */
    case ')':
        return small_tuple(m, 0); /* EMPTY_TUPLE */
    default:
        return string_opcode(m, op);
    }
}

static int step(struct machine *m, uint8_t op)
{
    const uint8_t *skipped;
    switch (op) {
    case 0x80:
        return protocol(m);
    case 0x95:
        return take(m, 8, &skipped); /* FRAME: how to read ahead, nothing more */
    case '.':
        return stop(m);
    case '(':
        return set_mark(m);
    case 't':
        return mark_tuple(m);
    case 0x85:
        return small_tuple(m, 1);
    case 0x86:
        return small_tuple(m, 2);
    case 0x87:
        return small_tuple(m, 3);
    case 'a':
        return put_some(m, 1, false);
    case 'e':
        return put_marked(m, false);
    case 's':
        return put_some(m, 2, true);
    case 'u':
        return put_marked(m, true);
    case 'c':
        return read_global(m);
    case 0x93:
        return stack_global(m);
    case 'R': /* REDUCE */
    case 0x81:
        return make_object(m); /* NEWOBJ */
    case 'b':
        return build(m);
    case 'Q':
        return persistent(m);
    case 'q':
        return read_put(m, 1);
    case 'r':
        return read_put(m, 4);
    case 0x94:
        return put_memo(m, m->memo_next); /* MEMOIZE */
    case 'h':
        return read_get(m, 1);
    case 'j':
        return read_get(m, 4);
    default:
        return value_opcode(m, op);
    }
}

static int run(struct tc_pickle *p, size_t *at, struct tc_pk_value **out)
{
    struct machine m = {.p = p, .at = *at};
    int rc = TC_OK;
    while (!rc && !m.stopped) {
        const uint8_t *op = NULL;
        m.op_at = m.at;
        rc = take(&m, 1, &op);
        if (!rc)
            rc = step(&m, *op);
    }
    if (!rc) {
        *out = m.stack[0];
        *at = m.at;
    }
    free(m.stack);
    free(m.memo);
    return rc;
}

int tc_pickle_nested(struct tc_pickle *p, size_t *at, struct tc_pk_value **out)
{
    if (p->nested == TC_PK_NESTED_MAX)
        return tc_fail(TC_ELIMIT, "pickle, byte %zu: pickles nested more than %d deep", *at,
                       TC_PK_NESTED_MAX);
    p->nested++;
    int rc = run(p, at, out);
    p->nested--;
    return rc;
}

int tc_pickle_open(const uint8_t *bytes, size_t n, const struct tc_pk_options *options,
                   struct tc_pickle **out, size_t *used)
{
    struct tc_pickle *p = calloc(1, sizeof(*p));
    if (!p)
        return tc_fail(TC_ENOMEM, "no memory to read a pickle");
    p->bytes = bytes;
    p->n = n;
    p->options = *options;
    size_t at = 0;
    int rc = run(p, &at, &p->root);
    if (rc) {
        tc_pickle_close(p);
        return rc;
    }
    if (used)
        *used = at;
    *out = p;
    return TC_OK;
}

void tc_pickle_close(struct tc_pickle *p)
{
    while (p && p->chunks) {
        struct chunk *c = p->chunks;
        p->chunks = c->before;
        for (size_t i = 0; i < c->used; i++)
            free(c->value[i].item);
        free(c);
    }
    free(p);
}

const struct tc_pk_value *tc_pickle_root(const struct tc_pickle *p)
{
    return p->root;
}

const uint8_t *tc_pickle_input(const struct tc_pickle *p, size_t *n)
{
    *n = p->n;
    return p->bytes;
}

/* --- looking at values ---------------------------------------------------------------------------------- */
bool tc_pk_is_text(const struct tc_pk_value *v, const char *text)
{
    return v && v->type == TC_PK_TEXT && v->n == strlen(text) && memcmp(v->bytes, text, v->n) == 0;
}

int tc_pk_object_tag(const struct tc_pk_value *v)
{
    return v && v->type == TC_PK_OBJECT ? v->cls->tag : -1;
}

const struct tc_pk_value *tc_pk_get(const struct tc_pk_value *v, const char *key)
{
    if (!v || (v->type != TC_PK_DICT && v->type != TC_PK_OBJECT))
        return NULL;
    for (size_t i = v->n; i-- > 0;)
        if (tc_pk_is_text(v->item[2 * i], key))
            return v->item[2 * i + 1];
    return NULL;
}

const struct tc_pk_value *tc_pk_at(const struct tc_pk_value *v, size_t i)
{
    return v && (v->type == TC_PK_TUPLE || v->type == TC_PK_LIST) && i < v->n ? v->item[i] : NULL;
}

const char *tc_pk_words(const struct tc_pk_value *v)
{
    static const char *const words[] = {
        "None",  "a truth value", "a whole number", "a number", "a text",
        "bytes", "a tuple",       "a list",         "a dict",
    };
    static _Thread_local char room[2 * NAME_MAX_BYTES];
    if (!v)
        return "nothing";
    if (v->type < sizeof(words) / sizeof(words[0]))
        return words[v->type];
    if (v->type == TC_PK_PERSID)
        return "a reference into another part of the file";
    snprintf(room, sizeof(room), "%s %s.%s", v->type == TC_PK_CLASS ? "the class" : "an object of",
             v->cls->module, v->cls->name);
    return room;
}
