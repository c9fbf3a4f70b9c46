#include "wire/zip.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { END_SIZE = 22, LOCATOR_SIZE = 20, END64_SIZE = 56, ENTRY_SIZE = 46, LOCAL_SIZE = 30 };

struct input {
    const uint8_t *bytes;
    size_t n;
};

/* What the central directory says of one member. */
struct entry {
    const char *name;
    size_t name_n;
    uint64_t packed, size, local;
    uint32_t crc;
    unsigned flags, method;
};

static uint64_t number(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static int fault(const char *what)
{
    return tc_fail(TC_EINPUT, "zip: %s", what);
}

static int member_fault(const struct entry *e, const char *what)
{
    char name[65];
    size_t n = e->name_n < 64 ? e->name_n : 64;
    for (size_t i = 0; i < n; i++)
        name[i] =
            (char)((unsigned char)e->name[i] < 0x20 || (unsigned char)e->name[i] > 0x7e ? '?' : e->name[i]);
    name[n] = '\0';
    return tc_fail(TC_EINPUT, "zip: member \"%s\": %s", name, what);
}

bool tc_zip_is(const uint8_t *bytes, size_t n)
{
    return n >= 4 && (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "PK\5\6", 4) == 0);
}

/* The end record: the last one whose comment ends with the file. */
static const uint8_t *find_end(const struct input *in)
{
    for (size_t comment = 0; comment <= 65535 && in->n >= END_SIZE + comment; comment++) {
        const uint8_t *p = in->bytes + in->n - END_SIZE - comment;
        if (memcmp(p, "PK\5\6", 4) == 0 && number(p + 20, 2) == comment)
            return p;
    }
    return NULL;
}

/* Place, bytes and members of the central directory. */
static int find_directory(const struct input *in, uint64_t *at, uint64_t *size, uint64_t *count)
{
    const uint8_t *end = find_end(in);
    if (!end)
        return fault("no end of a central directory (is the file cut short?)");
    *count = number(end + 10, 2);
    *size = number(end + 12, 4);
    *at = number(end + 16, 4);
    if (number(end + 4, 2) != number(end + 6, 2) || (number(end + 4, 2) && number(end + 4, 2) != 0xffff))
        return fault("an archive in several parts");
    size_t before = (size_t)(end - in->bytes);
    if (before >= LOCATOR_SIZE && memcmp(end - LOCATOR_SIZE, "PK\6\7", 4) == 0) {
        uint64_t at64 = number(end - LOCATOR_SIZE + 8, 8);
        if (in->n < END64_SIZE || at64 > in->n - END64_SIZE || memcmp(in->bytes + at64, "PK\6\6", 4) != 0)
            return fault("its ZIP64 end record is not where it says");
        const uint8_t *p = in->bytes + at64;
        *count = number(p + 32, 8);
        *size = number(p + 40, 8);
        *at = number(p + 48, 8);
    }
    if (*at > in->n || *size > in->n - *at)
        return fault("its central directory lies outside the file");
    if (*count > TC_ZIP_MEMBERS_MAX)
        return tc_fail(TC_ELIMIT, "zip: %llu members are more than the %d allowed",
                       (unsigned long long)*count, TC_ZIP_MEMBERS_MAX);
    return TC_OK;
}

/* The 64-bit numbers of extra field 1 stand for those that are all ones, in this order. */
static int read_zip64(const uint8_t *extra, size_t n, struct entry *e)
{
    uint64_t *const wide[] = {&e->size, &e->packed, &e->local};
    while (n >= 4) {
        size_t id = (size_t)number(extra, 2), size = (size_t)number(extra + 2, 2);
        if (size > n - 4)
            return member_fault(e, "an extra field longer than its room");
        const uint8_t *p = extra + 4;
        for (size_t i = 0, left = size; id == 1 && i < 3; i++) {
            if (*wide[i] != UINT32_MAX)
                continue;
            if (left < 8)
                return member_fault(e, "its 64-bit sizes are missing");
            *wide[i] = number(p, 8);
            p += 8;
            left -= 8;
        }
        extra += 4 + size;
        n -= 4 + size;
    }
    return TC_OK;
}

/* One entry at p, of which `left` bytes are there; *used is its length. */
static int read_entry(const uint8_t *p, size_t left, struct entry *e, size_t *used)
{
    if (left < ENTRY_SIZE || memcmp(p, "PK\1\2", 4) != 0)
        return fault("its central directory ends early");
    size_t name_n = (size_t)number(p + 28, 2), extra = (size_t)number(p + 30, 2);
    *used = ENTRY_SIZE + name_n + extra + (size_t)number(p + 32, 2);
    if (*used > left)
        return fault("its central directory ends early");
    if (name_n == 0 || name_n > TC_ZIP_NAME_MAX)
        return fault("a member whose name is empty or of more than 512 bytes");
    *e = (struct entry){.name = (const char *)p + ENTRY_SIZE,
                        .name_n = name_n,
                        .flags = (unsigned)number(p + 8, 2),
                        .method = (unsigned)number(p + 10, 2),
                        .crc = (uint32_t)number(p + 16, 4),
                        .packed = number(p + 20, 4),
                        .size = number(p + 24, 4),
                        .local = number(p + 42, 4)};
    return read_zip64(p + ENTRY_SIZE + name_n, extra, e);
}

static int place_member(const struct input *in, const struct entry *e, struct tc_zip_member *out)
{
    if (e->flags & 1)
        return member_fault(e, "is encrypted");
    if (e->method != 0)
        return member_fault(e, "is compressed; PyTorch stores its files as they are, so save the model again "
                               "with torch.save");
    if (e->packed != e->size)
        return member_fault(e, "is stored, yet has two different sizes");
    if (in->n < LOCAL_SIZE || e->local > in->n - LOCAL_SIZE)
        return member_fault(e, "lies outside the file");
    const uint8_t *p = in->bytes + e->local;
    if (memcmp(p, "PK\3\4", 4) != 0 || number(p + 26, 2) != e->name_n)
        return member_fault(e, "its local header is not where the directory says");
    uint64_t head = LOCAL_SIZE + number(p + 26, 2) + number(p + 28, 2), left = in->n - e->local;
    if (head > left || e->size > left - head)
        return member_fault(e, "lies outside the file");
    if (memcmp(p + LOCAL_SIZE, e->name, e->name_n) != 0)
        return member_fault(e, "has another name in its local header");
    *out = (struct tc_zip_member){e->name, e->name_n, p + head, (size_t)e->size};
    return TC_OK;
}

/* After the bound on the sum of sizes, so that a small file cannot ask for much work. */
static int check_crc(const struct entry *e, const struct tc_zip_member *m)
{
    return crc32_z(0, m->data, m->size) == e->crc ? TC_OK
                                                  : member_fault(e, "its CRC-32 does not fit its bytes");
}

static int read_members(const struct input *in, uint64_t at, uint64_t size, uint64_t count, struct tc_zip *z)
{
    const uint8_t *p = in->bytes + at;
    size_t left = (size_t)size, sum = 0;
    for (; z->n < count; z->n++) {
        struct entry e;
        size_t used = 0;
        struct tc_zip_member *m = &z->members[z->n];
        int rc = read_entry(p, left, &e, &used);
        if (!rc)
            rc = place_member(in, &e, m);
        if (!rc && m->size > in->n - sum)
            rc = member_fault(&e, "with it the members are larger together than the file: they overlap");
        if (!rc)
            rc = check_crc(&e, m);
        if (rc)
            return rc;
        sum += m->size;
        p += used;
        left -= used;
    }
    return left ? fault("bytes in its central directory belong to no member") : TC_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct tc_zip_member *l = a, *r = b;
    int order = memcmp(l->name, r->name, l->name_n < r->name_n ? l->name_n : r->name_n);
    return order ? order : (l->name_n > r->name_n) - (l->name_n < r->name_n);
}

int tc_zip_open(const uint8_t *bytes, size_t n, struct tc_zip *out)
{
    const struct input in = {bytes, n};
    uint64_t at = 0, size = 0, count = 0;
    *out = (struct tc_zip){0};
    int rc = find_directory(&in, &at, &size, &count);
    if (rc)
        return rc;
    out->members = calloc((size_t)count + 1, sizeof(*out->members));
    if (!out->members)
        return tc_fail(TC_ENOMEM, "no memory for a zip archive's directory");
    rc = read_members(&in, at, size, count, out);
    if (!rc && out->n)
        qsort(out->members, out->n, sizeof(*out->members), by_name);
    for (size_t i = 1; i < out->n && !rc; i++)
        if (by_name(&out->members[i - 1], &out->members[i]) == 0)
            rc = fault("two members of the same name");
    if (rc)
        tc_zip_close(out);
    return rc;
}

void tc_zip_close(struct tc_zip *z)
{
    free(z->members);
    *z = (struct tc_zip){0};
}

const struct tc_zip_member *tc_zip_find(const struct tc_zip *z, const char *name, size_t name_n)
{
    const struct tc_zip_member key = {.name = name, .name_n = name_n};
    return z->n ? bsearch(&key, z->members, z->n, sizeof(*z->members), by_name) : NULL;
}
