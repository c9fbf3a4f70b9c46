#include "base/path.h"
#include "base/buf.h"
#include "base/err.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool found(const char *dir, const char *name, char *out, size_t size, struct tc_buf *tried)
{
    int n = snprintf(out, size, "%s%s%s", dir, *dir ? "/" : "", name);
    if (n > 0 && (size_t)n < size && access(out, F_OK) == 0)
        return true;
    tc_buf_printf(tried, "%s%s", tried->len ? ", " : "", out);
    return false;
}

/* The folder of the program's file, "" when the system does not say. */
static void program_dir(char out[static PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
}

/* build/tickcast lies one folder below the source tree, the test programs three. */
static bool in_source_tree(const char *program, const char *name, char *out, size_t size,
                           struct tc_buf *tried)
{
    char root[PATH_MAX], mark[PATH_MAX + 32];
    const char *sub = strncmp(name, "models/", 7) == 0 ? "" : "data";
    snprintf(root, sizeof(root), "%s", program);
    for (int up = 0; up < 4; up++) {
        char *slash = strrchr(root, '/');
        if (!slash || slash == root)
            return false;
        *slash = '\0';
        snprintf(mark, sizeof(mark), "%s/src/base/path.h", root);
        if (access(mark, F_OK) != 0)
            continue;
        snprintf(mark, sizeof(mark), "%s%s%s", root, *sub ? "/" : "", sub);
        return found(mark, name, out, size, tried);
    }
    return false;
}

int tc_data_path(const char *name, char *out, size_t size)
{
    char program[PATH_MAX], share[PATH_MAX + 32], places[1024];
    struct tc_buf tried;
    tc_buf_init_fixed(&tried, places, sizeof(places));
    const char *home = getenv("TICKCAST_DATA_HOME");
    if (name[0] == '/' || name[0] == '.') {
        if (found("", name, out, size, &tried))
            return TC_OK;
        return tc_fail(TC_ENOTFOUND, "%s: no such file", name);
    }
    if (home && *home && found(home, name, out, size, &tried))
        return TC_OK;
    program_dir(program);
    if (in_source_tree(program, name, out, size, &tried))
        return TC_OK;
    snprintf(share, sizeof(share), "%s/../share/tickcast", program);
    if (found(share, name, out, size, &tried) || found(TC_DATADIR, name, out, size, &tried))
        return TC_OK;
    return tc_fail(TC_ENOTFOUND, "%s: not found (looked for %s)", name, places);
}

int tc_xdg_path(const char *variable, const char *fallback, const char *name, char *out, size_t size)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    const char *slash = name ? "/" : "";
    int n;
    if (base && base[0] == '/') /* the specification: relative ones are ignored */
        n = snprintf(out, size, "%s/tickcast%s%s", base, slash, name ? name : "");
    else if (home && *home)
        n = snprintf(out, size, "%s/%s/tickcast%s%s", home, fallback, slash, name ? name : "");
    else
        return tc_fail(TC_ECONF, "neither %s nor HOME is set; name the folder by a flag", variable);
    return n > 0 && (size_t)n < size ? TC_OK : tc_fail(TC_ECONF, "%s: the path is too long", variable);
}

int tc_mkdirs(const char *path)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof(part))
        return tc_fail(TC_ECONF, "\"%.100s\" is no folder's name", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) == 0)
            continue;
        int e = errno;
        struct stat st;
        if (stat(part, &st) == 0 && S_ISDIR(st.st_mode))
            continue;
        return tc_fail(TC_EIO, "cannot make the folder %s: %s", part, strerror(e));
    }
    return TC_OK;
}
