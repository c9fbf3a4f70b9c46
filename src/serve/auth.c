#include "serve/auth.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOKEN_BYTES = 32, TOKEN_MIN = 16 };

static int make_token(char token[static TC_TOKEN_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char bytes[TOKEN_BYTES];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return tc_fail(TC_EIO, "no random bytes for the token: %s", strerror(errno));
    for (int i = 0; i < TOKEN_BYTES; i++) {
        token[2 * i] = hex[bytes[i] >> 4];
        token[2 * i + 1] = hex[bytes[i] & 15];
    }
    token[2 * TOKEN_BYTES] = '\0';
    return TC_OK;
}

static int write_token(const char *path, char token[static TC_TOKEN_SIZE])
{
    int rc = make_token(token);
    if (rc != TC_OK)
        return rc;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return tc_fail(TC_EIO, "cannot make the token's file %s: %s", path, strerror(errno));
    size_t n = strlen(token);
    bool ok = write(fd, token, n) == (ssize_t)n && write(fd, "\n", 1) == 1 && fsync(fd) == 0;
    int err = errno;
    close(fd);
    if (ok)
        return TC_OK;
    unlink(path);
    return tc_fail(TC_EIO, "cannot write the token's file %s: %s", path, strerror(err));
}

static int read_token(int fd, const char *path, char token[static TC_TOKEN_SIZE])
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return tc_fail(TC_EIO, "cannot read the token's file %s: %s", path, strerror(errno));
    if (st.st_mode & 077)
        return tc_fail(TC_ECONF, "the token's file %s may be read by others; run: chmod 600 %s", path, path);
    char text[TC_TOKEN_SIZE + 1];
    ssize_t n = read(fd, text, sizeof(text));
    if (n < 0)
        return tc_fail(TC_EIO, "cannot read the token's file %s: %s", path, strerror(errno));
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    if (n < TOKEN_MIN || n >= TC_TOKEN_SIZE)
        return tc_fail(TC_ECONF,
                       "the token in %s must have %d to %d characters; remove the file to get a new one",
                       path, TOKEN_MIN, TC_TOKEN_SIZE - 1);
    for (ssize_t i = 0; i < n; i++)
        if (!strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.~", text[i]) ||
            !text[i])
            return tc_fail(TC_ECONF, "the token in %s may hold only letters, digits and - _ . ~", path);
    memcpy(token, text, (size_t)n);
    token[n] = '\0';
    return TC_OK;
}

int tc_token_load(const char *path, char token[static TC_TOKEN_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return write_token(path, token);
    if (fd < 0)
        return tc_fail(TC_EIO, "cannot read the token's file %s: %s", path, strerror(errno));
    int rc = read_token(fd, path, token);
    close(fd);
    return rc;
}

bool tc_token_equal(const char *token, const char *given, size_t given_len)
{
    size_t n = strlen(token);
    unsigned differ = given_len != n;
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)token[i] ^ (unsigned char)(i < given_len ? given[i] : 0);
    return differ == 0;
}

/* "a=1; tickcast_token=X; b=2" */
static bool in_cookie(const char *token, const char *cookie)
{
    static const char name[] = "tickcast_token=";
    bool found = false;
    while (*cookie) {
        cookie += strspn(cookie, " ;");
        size_t n = strcspn(cookie, ";");
        if (n >= sizeof(name) - 1 && !memcmp(cookie, name, sizeof(name) - 1))
            found |= tc_token_equal(token, cookie + sizeof(name) - 1, n - (sizeof(name) - 1));
        cookie += n;
    }
    return found;
}

bool tc_token_in_request(const char *token, const char *query, const char *authorization, const char *cookie)
{
    if (query && tc_token_equal(token, query, strlen(query)))
        return true;
    if (authorization && !strncasecmp(authorization, "Bearer ", 7) &&
        tc_token_equal(token, authorization + 7, strlen(authorization + 7)))
        return true;
    return cookie && in_cookie(token, cookie);
}

/* Length of the name in "name:port" or "[v6]:port". */
static size_t name_length(const char *header)
{
    if (header[0] == '[') {
        const char *end = strchr(header, ']');
        return end ? (size_t)(end + 1 - header) : 0;
    }
    return strcspn(header, ":");
}

static bool equal(const char *a, size_t n, const char *b, size_t m)
{
    return n == m && !strncasecmp(a, b, n);
}

bool tc_host_allowed(const char *header, const char *host, const char *more)
{
    static const char *const own[] = {"localhost", "127.0.0.1", "[::1]"};
    size_t n = name_length(header);
    if (!n)
        return false;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (equal(header, n, own[i], strlen(own[i])))
            return true;
    if (equal(header, n, host, strlen(host)))
        return true;
    for (const char *p = more; p && *p;) {
        p += strspn(p, ", ");
        size_t len = strcspn(p, ", ");
        if (len && equal(header, n, p, len))
            return true;
        p += len;
    }
    return false;
}
