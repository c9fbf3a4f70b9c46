#include "base/child.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

/* The list is the caller's to free, its strings are not. */
static char **environment(const struct tc_child_conf *conf)
{
    size_t n = 0, more = 0, kept = 0;
    while (environ[n])
        n++;
    while (conf->variables && conf->variables[more])
        more++;
    char **list = calloc(n + more + 1, sizeof(*list));
    if (!list)
        return NULL;
    for (size_t i = 0; i < more; i++)
        list[kept++] = (char *)conf->variables[i];
    for (size_t i = 0; i < n; i++)
        if (!conf->drop || strncmp(environ[i], conf->drop, strlen(conf->drop)) != 0)
            list[kept++] = environ[i];
    return list;
}

static void redirect(posix_spawn_file_actions_t *files, const struct tc_child_conf *conf)
{
    if (conf->input >= 0)
        posix_spawn_file_actions_adddup2(files, conf->input, 0);
    else
        posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(files, 1, conf->output ? conf->output : "/dev/null",
                                     O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (conf->errors)
        posix_spawn_file_actions_addopen(files, 2, conf->errors, O_WRONLY | O_CREAT | O_TRUNC, 0644);
}

int tc_child_start(const struct tc_child_conf *conf, pid_t *out)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    char **env = environment(conf);
    if (!env)
        return tc_fail(TC_ENOMEM, "no memory to start %s", conf->argv[0]);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    redirect(&files, conf);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int err = posix_spawn(out, conf->argv[0], &files, &attributes, (char *const *)conf->argv, env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    free(env);
    if (err)
        return tc_fail(TC_ECONF, "%s cannot be started: %s", conf->argv[0], strerror(err));
    if (conf->niceness) {
        errno = 0;
        int now = getpriority(PRIO_PROCESS, 0);
        if (!errno)
            setpriority(PRIO_PROCESS, (id_t)*out, now + conf->niceness);
    }
    return TC_OK;
}

int tc_child_poll(pid_t pid)
{
    int status;
    pid_t got = waitpid(pid, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR))
        return TC_AGAIN;
    if (got < 0)
        return tc_fail(TC_EIO, "waiting for a program: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return TC_OK;
    return tc_fail(TC_EPEER, "it ended with %s %d", WIFEXITED(status) ? "status" : "signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

void tc_child_kill(pid_t pid)
{
    int status;
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
}
