/* opt.h - options are ONE table: key, type, default, bounds, unit and one line of help. The YAML file, the
 * environment, the flags, `--help`, the man page, shell completion and docs/configuration.md all come from
 * it.
 *
 * Later sources win: defaults, YAML file, environment, flags. A key is `section.name`, its flag
 * `--section.name` (dashes and underscores are the same) or its alias, its variable PREFIX_SECTION_NAME. A
 * key without a dot is a flag only. A bool that defaults to true is switched off by `--no-...`.
 *
 * Values are written into the target struct at `at`; the type there depends on the option's type (see the
 * list). Strings and lists are owned by the target and freed by tc_opt_release. Not thread safe; used at
 * start.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tc_opt_type {
    TC_OPT_BOOL,   /* bool                    true, false, yes, no, on, off */
    TC_OPT_INT,    /* int64_t */
    TC_OPT_DOUBLE, /* double                  a suffix equal to `unit` is taken; the word `inf` = INFINITY */
    TC_OPT_SIZE,   /* int64_t bytes           4096, 64KiB, 1GB */
    TC_OPT_DURATION, /* int64_t nanoseconds     500ms, 30s, 1h30m, 7d */
    TC_OPT_STRING,   /* char *                  NULL when not set */
    TC_OPT_PATH,     /* char *                  "~/" means the home folder; NULL when not set */
    TC_OPT_ENUM,     /* int                     index into `choices` */
    TC_OPT_LIST,     /* struct tc_opt_list      a,b,c or a YAML sequence; a repeated flag adds */
    TC_OPT_DATE,     /* int32_t yyyymmdd        2013-10-07 or 20131007; 0 when not set */
    TC_OPT_ADDRESS,  /* struct tc_opt_address   HOST:PORT, [IPV6]:PORT */
    TC_OPT_SECRET,   /* struct tc_opt_secret    from the environment, or from the file named by KEY_file */
};

struct tc_opt_list {
    char **items;
    size_t n;
};

struct tc_opt_address {
    char host[256];
    int32_t port; /* 0 = any free one */
};

struct tc_opt_secret {
    char *value; /* NULL when not set; never shown anywhere */
    char *file;  /* where it came from, NULL = environment or not set */
};

struct tc_opt {
    const char *key;
    const char *alias; /* short flag without the dashes; NULL = none */
    enum tc_opt_type type;
    size_t at;             /* offset in the target struct */
    const char *def;       /* default as text; NULL = not set (false, 0) */
    const char *def_doc;   /* how the documents name a default that is worked out at start; NULL = def */
    const char *min, *max; /* as text in the option's own form; NULL = no bound */
    const char *unit;
    const char *inf;            /* TC_OPT_DOUBLE: the word for infinity */
    const char *const *choices; /* TC_OPT_ENUM, and TC_OPT_LIST of fixed words: ends with NULL */
    const char *doc;            /* one line */
};

enum tc_opt_source { TC_OPT_DEFAULT, TC_OPT_FILE, TC_OPT_ENV, TC_OPT_FLAG };

/* Where a value came from. */
struct tc_opt_from {
    enum tc_opt_source source;
    int line; /* in the YAML file; 0 = not from there */
};

/* A table together with the struct that it fills. */
struct tc_opt_group {
    const struct tc_opt *opts;
    size_t n;
    void *target;
    struct tc_opt_from *from; /* n of them, made by tc_opt_open */
};

enum { TC_OPT_GROUPS_MAX = 2, TC_OPT_ARGS_MAX = 16, TC_OPT_FILE_MAX = 1 << 20 };

struct tc_opt_set {
    struct tc_opt_group groups[TC_OPT_GROUPS_MAX];
    size_t n_groups;
    const char *prefix; /* of environment variables, "TICKCAST" */
    /* Says whether a flag is one of this command's; NULL = all are. */
    bool (*wanted)(const struct tc_opt *o, const void *arg);
    const void *wanted_arg;
    const char *args[TC_OPT_ARGS_MAX]; /* what stands on the command line besides flags; borrowed from argv */
    size_t n_args;
};

/* Zeroes the fields that the tables name and writes the defaults. Call tc_opt_release also after a failure.
 */
int tc_opt_open(struct tc_opt_set *s);
void tc_opt_release(struct tc_opt_set *s);

/* Sets one option from text, as a default worked out at start; `where` starts the message ("--speed",
 * "tickcast.yaml:3:5: replay.speed"). */
int tc_opt_set_text(struct tc_opt_set *s, const char *key, const char *text, const char *where);

/* Reads YAML: sections as mappings (or dotted keys), each key once, an empty value keeps the default. Errors
 * are TC_ECONF (TC_EIO, TC_ENOTFOUND for the file itself) and begin with "NAME:LINE:COLUMN: ". */
int tc_opt_yaml_file(struct tc_opt_set *s, const char *path);
int tc_opt_yaml_text(struct tc_opt_set *s, const char *name, const char *text, size_t n);

/* `env` as environ. A variable whose name is nearly that of an option is an error (TC_ECONF). */
int tc_opt_env(struct tc_opt_set *s, char *const *env);

/* argv[0] is skipped. Errors are TC_EUSAGE. At most TC_OPT_ARGS_MAX plain arguments, kept in args. */
int tc_opt_args(struct tc_opt_set *s, int argc, char *const *argv);

/* The option with this key, or NULL. */
const struct tc_opt *tc_opt_find(const struct tc_opt_set *s, const char *key, struct tc_opt_from *from);

/* The value in force as text, as it could be written in YAML; a secret shows as "(set)" or "". */
void tc_opt_value(const struct tc_opt_set *s, const struct tc_opt *o, struct tc_buf *out);

/* The candidate nearest to `word` by edits, if near enough to be a slip of the fingers; else NULL. */
const char *tc_opt_nearest(const char *word, const char *const *candidates, size_t n);

/* Names: "--store.batch-rows", "TICKCAST_STORE_BATCH_ROWS" and what stands for the value: "N", "DURATION". */
void tc_opt_flag_name(const struct tc_opt *o, struct tc_buf *out);
void tc_opt_env_name(const char *prefix, const struct tc_opt *o, struct tc_buf *out);
const char *tc_opt_metavar(const struct tc_opt *o);
