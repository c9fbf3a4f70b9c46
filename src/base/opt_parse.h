/* opt_parse.h - what the parts of the option code (opt.c, opt_yaml.c, opt_args.c, opt_text.c) share. Not for
 * others. */
#pragma once

#include "base/opt.h"

/* One option's place in its set; `opt` is NULL when there is none of that name. */
struct tc_opt_place {
    const struct tc_opt *opt;
    void *at;
    struct tc_opt_from *from;
    bool file; /* the key was KEY_file of a secret */
};

struct tc_opt_place tc_opt_place(const struct tc_opt_set *s, const char *key);
int tc_opt_place_set(struct tc_opt_place *p, const char *text, struct tc_opt_from from, const char *where);

/* Writes a value; `add` puts a list's items behind those already there. */
int tc_opt_write(const struct tc_opt *o, void *at, const char *text, bool add, const char *where);
int tc_opt_secret_file(const struct tc_opt *o, struct tc_opt_secret *s, const char *path, const char *where);

/* TC_ECONF naming the nearest key. */
int tc_opt_unknown(const struct tc_opt_set *s, const char *key, const char *where);

/* "a whole number", "a duration such as 30s or 1h30m": what the type wants. */
const char *tc_opt_type_doc(const struct tc_opt *o);

bool tc_opt_parse_bool(const char *s, bool *out);
bool tc_opt_parse_duration(const char *s, int64_t *out);
bool tc_opt_parse_size(const char *s, int64_t *out);
bool tc_opt_parse_date(const char *s, int32_t *out);
bool tc_opt_parse_address(const char *s, struct tc_opt_address *out);
