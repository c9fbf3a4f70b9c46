/* Options from YAML, by the events of libyaml, so that every error has its line and column. */
#include "base/err.h"
#include "base/opt_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

enum { KEY_MAX = 128, WHERE_MAX = 512, SEEN_MAX = 512 };

struct reader {
    struct tc_opt_set *set;
    const char *name; /* of the file */
    yaml_parser_t parser;
    yaml_event_t event;
    char where[WHERE_MAX];
    const struct tc_opt *seen[SEEN_MAX]; /* each key once */
    int seen_line[SEEN_MAX];
    size_t n_seen;
};

static const char *place(struct reader *r, const yaml_mark_t *m)
{
    snprintf(r->where, sizeof(r->where), "%.400s:%zu:%zu", r->name, m->line + 1, m->column + 1);
    return r->where;
}

static int next(struct reader *r)
{
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event))
        return TC_OK;
    const yaml_mark_t *m = &r->parser.problem_mark;
    if (r->parser.error == YAML_READER_ERROR || r->parser.error == YAML_MEMORY_ERROR)
        return tc_fail(TC_ECONF, "%.400s: not readable as YAML: %s (byte %zu)", r->name,
                       r->parser.problem ? r->parser.problem : "no memory", r->parser.problem_offset);
    return tc_fail(TC_ECONF, "%s: not YAML: %s%s%s", place(r, m), r->parser.problem,
                   r->parser.context ? " " : "", r->parser.context ? r->parser.context : "");
}

static int want(struct reader *r, yaml_event_type_t type, const char *what)
{
    if (r->event.type == type)
        return TC_OK;
    if (r->event.type == YAML_ALIAS_EVENT)
        return tc_fail(TC_ECONF, "%s: aliases are not supported", place(r, &r->event.start_mark));
    return tc_fail(TC_ECONF, "%s: expected %s", place(r, &r->event.start_mark), what);
}

static bool empty_value(const yaml_event_t *e)
{
    if (e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    const char *v = (const char *)e->data.scalar.value;
    return !*v || strcmp(v, "~") == 0 || strcmp(v, "null") == 0;
}

static int scalar_text(struct reader *r, const char **out)
{
    int rc = want(r, YAML_SCALAR_EVENT, "a value");
    if (rc)
        return rc;
    *out = (const char *)r->event.data.scalar.value;
    if (strlen(*out) != r->event.data.scalar.length)
        return tc_fail(TC_ECONF, "%s: a value must not hold a zero byte", place(r, &r->event.start_mark));
    return TC_OK;
}

static int once(struct reader *r, const struct tc_opt *o, const char *key, const yaml_mark_t *m)
{
    for (size_t i = 0; i < r->n_seen; i++)
        if (r->seen[i] == o)
            return tc_fail(TC_ECONF, "%s: %s stands twice (first in line %d)", place(r, m), key,
                           r->seen_line[i]);
    if (r->n_seen < SEEN_MAX) {
        r->seen[r->n_seen] = o;
        r->seen_line[r->n_seen++] = (int)m->line + 1;
    }
    return TC_OK;
}

/* A sequence becomes the comma separated text that a flag would have. */
static int read_sequence(struct reader *r, struct tc_buf *out)
{
    for (;;) {
        const char *item;
        int rc = next(r);
        if (rc || r->event.type == YAML_SEQUENCE_END_EVENT)
            return rc;
        rc = scalar_text(r, &item);
        if (rc)
            return rc;
        if (strchr(item, ',') || !*item)
            return tc_fail(TC_ECONF, "%s: an item must not be empty nor hold a comma",
                           place(r, &r->event.start_mark));
        if (out->len)
            tc_buf_char(out, ',');
        tc_buf_str(out, item);
    }
}

static int read_value(struct reader *r, const char *key, yaml_mark_t key_mark)
{
    struct tc_opt_place p = strchr(key, '.') ? tc_opt_place(r->set, key) : (struct tc_opt_place){0};
    if (!p.opt)
        return tc_opt_unknown(r->set, key, place(r, &key_mark));
    int rc = once(r, p.opt, key, &key_mark);
    if (rc)
        return rc;
    yaml_mark_t at = r->event.start_mark;
    struct tc_opt_from from = {TC_OPT_FILE, (int)at.line + 1};
    if (r->event.type == YAML_SEQUENCE_START_EVENT && p.opt->type == TC_OPT_LIST) {
        struct tc_buf items;
        tc_buf_init(&items, TC_OPT_FILE_MAX);
        rc = read_sequence(r, &items);
        if (!rc && items.overflow)
            rc = tc_fail(TC_ENOMEM, "%s: no memory for the list", place(r, &at));
        if (!rc)
            rc = tc_opt_place_set(&p, items.data ? items.data : "", from, place(r, &at));
        tc_buf_release(&items);
        return rc;
    }
    const char *text;
    rc = scalar_text(r, &text);
    if (rc || empty_value(&r->event))
        return rc;
    return tc_opt_place_set(&p, text, from, place(r, &at));
}

static int key_text(struct reader *r, const char *section, char key[static KEY_MAX])
{
    const char *text;
    int rc = scalar_text(r, &text);
    if (rc)
        return rc;
    int n = snprintf(key, KEY_MAX, "%s%s%s", section, *section ? "." : "", text);
    if (n < 0 || n >= KEY_MAX)
        return tc_fail(TC_ECONF, "%s: the key is too long", place(r, &r->event.start_mark));
    return TC_OK;
}

/* The pairs of one mapping, after its start event. Sections are one deep. */
static int read_mapping(struct reader *r, const char *section)
{
    char key[KEY_MAX];
    for (;;) {
        int rc = next(r);
        if (rc || r->event.type == YAML_MAPPING_END_EVENT)
            return rc;
        yaml_mark_t mark = r->event.start_mark;
        rc = key_text(r, section, key);
        if (!rc)
            rc = next(r);
        if (rc)
            return rc;
        if (r->event.type == YAML_ALIAS_EVENT)
            return want(r, YAML_SCALAR_EVENT, "a value");
        if (r->event.type == YAML_MAPPING_START_EVENT && !*section)
            rc = read_mapping(r, key);
        else if (r->event.type == YAML_SCALAR_EVENT && empty_value(&r->event) && !strchr(key, '.'))
            continue; /* a section whose keys are all commented out */
        else
            rc = read_value(r, key, mark);
        if (rc)
            return rc;
    }
}

static int read_stream(struct reader *r)
{
    int rc = next(r); /* stream start */
    if (!rc)
        rc = next(r);
    if (rc || r->event.type == YAML_STREAM_END_EVENT)
        return rc; /* an empty file: all defaults */
    rc = next(r);  /* after the document's start */
    if (rc)
        return rc;
    bool empty = r->event.type == YAML_SCALAR_EVENT && empty_value(&r->event);
    if (!empty) {
        rc = want(r, YAML_MAPPING_START_EVENT,
                  "sections with keys, such as \"feed:\" and below it \"  name: replay\"");
        if (!rc)
            rc = read_mapping(r, "");
        if (rc)
            return rc;
    }
    rc = next(r); /* document end */
    if (!rc)
        rc = next(r);
    return rc ? rc : want(r, YAML_STREAM_END_EVENT, "the end of the file: one document only");
}

int tc_opt_yaml_text(struct tc_opt_set *s, const char *name, const char *text, size_t n)
{
    struct reader r = {.set = s, .name = name};
    if (n > TC_OPT_FILE_MAX)
        return tc_fail(TC_ECONF, "%.400s: longer than %d bytes", name, TC_OPT_FILE_MAX);
    if (!yaml_parser_initialize(&r.parser))
        return tc_fail(TC_ENOMEM, "%.400s: no memory", name);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    int rc = read_stream(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return rc;
}

static int read_all(const char *path, char **out, size_t *out_n)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int e = errno;
        if (fd >= 0)
            close(fd);
        return tc_fail(e == ENOENT ? TC_ENOTFOUND : TC_EIO, "%.400s: cannot open the configuration: %s", path,
                       strerror(e));
    }
    if (!S_ISREG(st.st_mode) || st.st_size > TC_OPT_FILE_MAX) {
        close(fd);
        return tc_fail(TC_ECONF, "%.400s: not a file of at most %d bytes", path, TC_OPT_FILE_MAX);
    }
    char *text = malloc((size_t)st.st_size + 1);
    size_t n = 0;
    ssize_t got = 1;
    while (text && n < (size_t)st.st_size && got > 0) {
        got = read(fd, text + n, (size_t)st.st_size - n);
        n += got > 0 ? (size_t)got : 0;
    }
    int e = errno;
    close(fd);
    if (!text)
        return tc_fail(TC_ENOMEM, "%.400s: no memory", path);
    if (got < 0) {
        free(text);
        return tc_fail(TC_EIO, "%.400s: cannot read the configuration: %s", path, strerror(e));
    }
    *out = text;
    *out_n = n;
    return TC_OK;
}

int tc_opt_yaml_file(struct tc_opt_set *s, const char *path)
{
    char *text = NULL;
    size_t n = 0;
    int rc = read_all(path, &text, &n);
    if (rc)
        return rc;
    rc = tc_opt_yaml_text(s, path, text, n);
    free(text);
    return rc;
}
