#include "feed/text.h"
#include "base/err.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>
#include <zlib.h>
#include <zstd.h>

enum { ROOM = 64 << 10, PACKED_ROOM = 32 << 10, ZSTD_WINDOW_LOG = 25 };

enum packing { PLAIN, GZIP, ZSTD, ZIP };

struct tc_text {
    enum packing packing;
    char *path;
    uint64_t packed_size, unpacked;
    FILE *file; /* plain, zstd */
    gzFile gz;
    zip_t *zip;
    zip_file_t *entry;
    ZSTD_DStream *zstd;
    ZSTD_inBuffer in;
    size_t zstd_hint; /* 0: a frame is complete */
    int64_t number;
    size_t at, end; /* unread part of data */
    bool eof, passing_over;
    char packed[PACKED_ROOM];
    char data[ROOM];
};

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && !strcmp(s + n - m, tail);
}

/* No fault of the file, so it must not be taken for damage. */
static int too_many(const char *path)
{
    return tc_fail(TC_ELIMIT, "%s: too many open files; raise the limit (ulimit -n) or replay fewer symbols",
                   path);
}

static int cannot_open(const char *path)
{
    return errno == EMFILE || errno == ENFILE ? too_many(path)
                                              : tc_fail(TC_EIO, "%s: %s", path, strerror(errno));
}

static int open_zip(struct tc_text *t)
{
    int code = 0;
    t->zip = zip_open(t->path, ZIP_RDONLY, &code);
    if (!t->zip && (errno == EMFILE || errno == ENFILE))
        return too_many(t->path);
    if (!t->zip) {
        zip_error_t e;
        zip_error_init_with_code(&e, code);
        tc_fail(TC_EINPUT, "%s: no readable zip file: %s", t->path, zip_error_strerror(&e));
        zip_error_fini(&e);
        return TC_EINPUT;
    }
    if (zip_get_num_entries(t->zip, 0) < 1)
        return tc_fail(TC_EINPUT, "%s: the zip file is empty", t->path);
    t->entry = zip_fopen_index(t->zip, 0, 0);
    if (!t->entry)
        return tc_fail(TC_EINPUT, "%s: cannot unpack: %s", t->path, zip_strerror(t->zip));
    return TC_OK;
}

static int open_packing(struct tc_text *t)
{
    if (t->packing == ZIP)
        return open_zip(t);
    if (t->packing == GZIP) {
        t->gz = gzopen(t->path, "rb");
        return t->gz ? TC_OK : cannot_open(t->path);
    }
    t->file = fopen(t->path, "rb");
    if (!t->file)
        return cannot_open(t->path);
    if (t->packing == ZSTD) {
        t->zstd = ZSTD_createDStream();
        if (!t->zstd)
            return tc_fail(TC_ENOMEM, "%s: no memory to unpack", t->path);
        ZSTD_DCtx_setParameter(t->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
        t->in = (ZSTD_inBuffer){t->packed, 0, 0};
    }
    return TC_OK;
}

int tc_text_open(const char *path, struct tc_text **out)
{
    struct stat st;
    if (stat(path, &st))
        return tc_fail(errno == ENOENT ? TC_ENOTFOUND : TC_EIO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return tc_fail(TC_EINPUT, "%s: is no plain file", path);
    struct tc_text *t = calloc(1, sizeof(*t));
    if (!t || !(t->path = strdup(path))) {
        free(t);
        return tc_fail(TC_ENOMEM, "%s: no memory to read it", path);
    }
    t->packed_size = (uint64_t)st.st_size;
    t->packing = ends_with(path, ".zip")   ? ZIP
                 : ends_with(path, ".gz")  ? GZIP
                 : ends_with(path, ".zst") ? ZSTD
                                           : PLAIN;
    int rc = open_packing(t);
    if (rc) {
        tc_text_close(t);
        return rc;
    }
    *out = t;
    return TC_OK;
}

void tc_text_close(struct tc_text *t)
{
    if (!t)
        return;
    if (t->entry)
        zip_fclose(t->entry);
    if (t->zip)
        zip_discard(t->zip);
    if (t->gz)
        gzclose(t->gz);
    if (t->file)
        fclose(t->file);
    ZSTD_freeDStream(t->zstd);
    free(t->path);
    free(t);
}

static int damaged(const struct tc_text *t, const char *why)
{
    return tc_fail(TC_EINPUT, "%s: damaged after line %lld: %s", t->path, (long long)t->number, why);
}

static int fill_zstd(struct tc_text *t, char *room, size_t size, size_t *got)
{
    ZSTD_outBuffer out = {room, size, 0};
    while (out.pos == 0) {
        if (t->in.pos == t->in.size) {
            t->in.size = fread(t->packed, 1, sizeof(t->packed), t->file);
            t->in.pos = 0;
            if (t->in.size == 0) {
                if (ferror(t->file))
                    return damaged(t, "cannot be read");
                return t->zstd_hint ? damaged(t, "the file ends inside a compressed block") : TC_OK;
            }
        }
        t->zstd_hint = ZSTD_decompressStream(t->zstd, &out, &t->in);
        if (ZSTD_isError(t->zstd_hint))
            return damaged(t, ZSTD_getErrorName(t->zstd_hint));
        *got = out.pos;
    }
    return TC_OK;
}

static int fill_gzip(struct tc_text *t, char *room, size_t size, size_t *got)
{
    int n = gzread(t->gz, room, (unsigned)size), code;
    const char *why = gzerror(t->gz, &code);
    if (n < 0 || (n == 0 && code != Z_OK && code != Z_STREAM_END))
        return damaged(t, why);
    *got = (size_t)n;
    return TC_OK;
}

static int fill_some(struct tc_text *t, char *room, size_t size, size_t *got)
{
    *got = 0;
    if (t->packing == ZSTD)
        return fill_zstd(t, room, size, got);
    if (t->packing == GZIP)
        return fill_gzip(t, room, size, got);
    if (t->packing == ZIP) {
        zip_int64_t n = zip_fread(t->entry, room, size);
        if (n < 0)
            return damaged(t, zip_file_strerror(t->entry));
        *got = (size_t)n;
        return TC_OK;
    }
    *got = fread(room, 1, size, t->file);
    return *got == 0 && ferror(t->file) ? damaged(t, "cannot be read") : TC_OK;
}

/* Reads on behind the unread part, which moves to the front. */
static int refill(struct tc_text *t)
{
    memmove(t->data, t->data + t->at, t->end - t->at);
    t->end -= t->at;
    t->at = 0;
    size_t got;
    int rc = fill_some(t, t->data + t->end, sizeof(t->data) - t->end, &got);
    if (rc) {
        t->eof = true;
        t->at = t->end = 0;
        return rc;
    }
    t->end += got;
    t->unpacked += got;
    t->eof = got == 0;
    if (t->packing != PLAIN && t->unpacked > TC_TEXT_FREE &&
        t->unpacked / TC_TEXT_MAX_RATIO > t->packed_size) {
        t->eof = true;
        t->at = t->end = 0;
        return damaged(t, "it unpacks to far more than a data file can hold");
    }
    return TC_OK;
}

static int give(struct tc_text *t, size_t n, const char **line, size_t *out_n)
{
    *line = t->data + t->at;
    *out_n = n;
    t->at += n + (t->at + n < t->end); /* the '\n', which a last line may lack */
    t->number++;
    if (n <= TC_TEXT_LINE_MAX && !t->passing_over)
        return TC_OK;
    t->passing_over = false;
    return tc_fail(TC_ELIMIT, "%s line %lld: longer than %d bytes", t->path, (long long)t->number,
                   TC_TEXT_LINE_MAX);
}

int tc_text_line(struct tc_text *t, const char **line, size_t *n)
{
    size_t seen = 0;
    for (;;) {
        const char *from = t->data + t->at;
        const char *nl = memchr(from + seen, '\n', t->end - t->at - seen);
        if (nl)
            return give(t, (size_t)(nl - from), line, n);
        seen = t->end - t->at;
        if (t->eof)
            return seen || t->passing_over ? give(t, seen, line, n) : TC_DONE;
        if (seen > TC_TEXT_LINE_MAX) { /* keep only the fact */
            t->passing_over = true;
            t->at = t->end;
            seen = 0;
        }
        int rc = refill(t);
        if (rc)
            return rc;
    }
}

int64_t tc_text_number(const struct tc_text *t)
{
    return t->number;
}

const char *tc_text_path(const struct tc_text *t)
{
    return t->path;
}
