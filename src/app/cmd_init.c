#include "app/command.h"
#include "app/config.h"
#include "app/docs.h"
#include "base/err.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct init_opts {
    bool force, print;
};

static const struct tc_opt init_opts[] = {
    {.key = "force",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct init_opts, force),
     .doc = "write over a file that is there"},
    {.key = "stdout",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct init_opts, print),
     .doc = "print the file in place of writing it"},
};

static int write_file(const char *path, bool force, const struct tc_buf *text)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof(dir), "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash && slash != dir) {
        *slash = '\0';
        int rc = tc_mkdirs(dir);
        if (rc)
            return rc;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL), 0666);
    if (fd < 0 && errno == EEXIST)
        return tc_fail(TC_ECONF, "%s is there already; --force writes over it", path);
    ssize_t n = fd >= 0 ? write(fd, text->data, text->len) : -1;
    int e = n >= 0 ? ENOSPC : errno;
    bool ok = n == (ssize_t)text->len;
    if (fd >= 0 && close(fd) != 0 && ok) {
        ok = false;
        e = errno;
    }
    return ok ? TC_OK : tc_fail(TC_EIO, "cannot write %s: %s", path, strerror(e));
}

static int init(const struct tc_config_set *s, const struct init_opts *o)
{
    char usual[PATH_MAX];
    const char *path = s->opts.n_args ? s->opts.args[0] : usual;
    struct tc_buf text;
    int rc = TC_OK;
    if (!s->opts.n_args && !o->print)
        rc = tc_xdg_path("XDG_CONFIG_HOME", ".config", "tickcast.yaml", usual, sizeof(usual));
    if (rc)
        return rc;
    tc_buf_init(&text, 1 << 20);
    tc_docs_yaml(&text);
    if (text.overflow)
        rc = tc_fail(TC_ENOMEM, "init: no memory");
    else if (o->print)
        fputs(text.data, stdout);
    else
        rc = write_file(path, o->force, &text);
    tc_buf_release(&text);
    if (!rc && !o->print)
        printf("wrote %s\n", path);
    return rc;
}

int tc_cmd_init(int argc, char **argv)
{
    struct init_opts o = {0};
    struct tc_config_set s;
    struct tc_cli cli = {
        .command = "init",
        .usage = "[FLAGS] [FILE]",
        .about = "Writes a configuration file in which every key stands as a comment with its default. "
                 "Without FILE "
                 "it is the one that every command reads: XDG_CONFIG_HOME/tickcast/tickcast.yaml.",
        .opts = init_opts,
        .n_opts = sizeof(init_opts) / sizeof(init_opts[0]),
        .target = &o,
        .args_max = 1,
        .examples = "  tickcast init\n  tickcast init --stdout | less\n",
    };
    int rc = tc_config_load(&s, &cli, argc, argv);
    if (!rc)
        rc = init(&s, &o);
    tc_config_release(&s);
    return tc_command_exit(rc);
}
