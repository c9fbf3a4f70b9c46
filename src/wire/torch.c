#include "wire/torch.h"

#include "base/err.h"
#include "wire/pickle.h"
#include "wire/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER, SIZE, STORAGE };
enum { VISITS_MAX = 100000, DEPTH_MAX = 4 };

static const struct tc_pk_class classes[] = {
    {"collections", "OrderedDict", ORDERED_DICT},
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER},
    {"torch", "Size", SIZE},
    {"torch", "FloatStorage", STORAGE},
    {"torch", "DoubleStorage", STORAGE},
    {"torch", "HalfStorage", STORAGE},
    {"torch", "BFloat16Storage", STORAGE},
    {"torch", "LongStorage", STORAGE},
    {"torch", "IntStorage", STORAGE},
    {"torch", "ShortStorage", STORAGE},
    {"torch", "CharStorage", STORAGE},
    {"torch", "ByteStorage", STORAGE},
    {"torch", "BoolStorage", STORAGE},
};

/* Element type and size of each storage class. */
static const struct {
    const char *name;
    enum tc_torch_type type;
    int64_t size;
} storages[] = {
    {"FloatStorage", TC_TORCH_F32, 4},   {"DoubleStorage", TC_TORCH_F64, 8},
    {"HalfStorage", TC_TORCH_F16, 2},    {"BFloat16Storage", TC_TORCH_BF16, 2},
    {"LongStorage", TC_TORCH_OTHER, 8},  {"IntStorage", TC_TORCH_OTHER, 4},
    {"ShortStorage", TC_TORCH_OTHER, 2}, {"CharStorage", TC_TORCH_OTHER, 1},
    {"ByteStorage", TC_TORCH_OTHER, 1},  {"BoolStorage", TC_TORCH_OTHER, 1},
};

struct reader {
    struct tc_zip zip;
    const char *folder; /* of data.pkl, "" or with its slash */
    size_t folder_n;
    struct tc_torch *out;
    size_t visits;
};

static int fault(const char *name, const char *what)
{
    return tc_fail(TC_EINPUT, "PyTorch file: tensor \"%.64s\": %s", name, what);
}

static int64_t element_size(enum tc_torch_type type)
{
    return type == TC_TORCH_F64 ? 8 : type == TC_TORCH_F32 ? 4 : 2;
}

/* --- archive -------------------------------------------------------------------------------------------- */
static int find_folder(struct reader *r, const struct tc_zip_member **pickle)
{
    static const char END[] = "data.pkl";
    const size_t end = sizeof(END) - 1;
    *pickle = NULL;
    for (size_t i = 0; i < r->zip.n; i++) {
        const struct tc_zip_member *m = &r->zip.members[i];
        if (m->name_n < end || memcmp(m->name + m->name_n - end, END, end) != 0 ||
            (m->name_n > end && m->name[m->name_n - end - 1] != '/'))
            continue;
        if (*pickle)
            return tc_fail(TC_EINPUT, "PyTorch file: two members data.pkl");
        *pickle = m;
        r->folder = m->name;
        r->folder_n = m->name_n - end;
    }
    return *pickle ? TC_OK
                   : tc_fail(TC_EINPUT, "PyTorch file: a zip archive without data.pkl; not from torch.save");
}

static const struct tc_zip_member *member(const struct reader *r, const char *name, size_t name_n)
{
    char path[2 * TC_ZIP_NAME_MAX];
    if (r->folder_n + name_n > sizeof(path))
        return NULL;
    memcpy(path, r->folder, r->folder_n);
    memcpy(path + r->folder_n, name, name_n);
    return tc_zip_find(&r->zip, path, r->folder_n + name_n);
}

static int check_folder(const struct reader *r)
{
    const struct tc_zip_member *order = member(r, "byteorder", 9);
    if (order && (order->size != 6 || memcmp(order->data, "little", 6) != 0))
        return tc_fail(TC_EINPUT,
                       "PyTorch file: its byte order is not little; load it and save it again with "
                       "torch.save on a usual machine");
    if (member(r, "constants.pkl", 13))
        return tc_fail(TC_EINPUT,
                       "PyTorch file: a TorchScript program; save torch.jit.load(FILE).state_dict() "
                       "with torch.save instead");
    return TC_OK;
}

/* --- tensors -------------------------------------------------------------------------------------------- */
static bool whole(const struct tc_pk_value *v, int64_t most)
{
    return v && v->type == TC_PK_INT && v->i >= 0 && v->i <= most;
}

/* The persistent id ("storage", class, key, location, elements); *count elements lie at *at. */
static int find_storage(const struct reader *r, const struct tc_pk_value *v, struct tc_torch_tensor *t,
                        int64_t *count)
{
    const struct tc_pk_value *id = v && v->type == TC_PK_PERSID ? v->args : NULL;
    const struct tc_pk_value *cls = tc_pk_at(id, 1), *key = tc_pk_at(id, 2), *n = tc_pk_at(id, 4);
    if (!tc_pk_is_text(tc_pk_at(id, 0), "storage") || !cls || cls->type != TC_PK_CLASS ||
        cls->cls->tag != STORAGE || !key || key->type != TC_PK_TEXT || !whole(n, INT64_MAX))
        return fault(t->name, "its storage is not described as PyTorch does");
    char name[80];
    if (key->n > 64)
        return fault(t->name, "its storage has a name of more than 64 bytes");
    memcpy(name, "data/", 5);
    memcpy(name + 5, key->bytes, key->n);
    const struct tc_zip_member *m = member(r, name, 5 + key->n);
    if (!m)
        return fault(t->name, "its storage is not in the archive");
    size_t s = 0;
    while (strcmp(storages[s].name, cls->cls->name) != 0)
        s++;
    if ((uint64_t)n->i > m->size / (uint64_t)storages[s].size)
        return fault(t->name, "its storage holds fewer elements than it says");
    t->type = storages[s].type;
    t->at = m->data;
    *count = n->i;
    return TC_OK;
}

/* Sizes and strides; *last is the place of the view's last element, counted from its first. */
static int read_view(const struct tc_pk_value *size, const struct tc_pk_value *stride,
                     struct tc_torch_tensor *t, int64_t *last)
{
    if (!size || !stride || size->type != TC_PK_TUPLE || stride->type != TC_PK_TUPLE || size->n != stride->n)
        return fault(t->name, "its sizes and strides are no tuples of one length");
    if (size->n > TC_TORCH_DIMS_MAX)
        return fault(t->name, "has more than 8 dimensions");
    t->dims = (int32_t)size->n;
    t->elements = 1;
    *last = 0;
    for (uint32_t i = 0; i < size->n; i++) {
        int64_t reach;
        if (!whole(size->item[i], INT32_MAX) || !whole(stride->item[i], INT64_MAX))
            return fault(t->name, "a size or stride is no whole number from 0");
        t->shape[i] = size->item[i]->i;
        t->stride[i] = t->shape[i] > 1 ? stride->item[i]->i : 0; /* never walked along otherwise */
        if (__builtin_mul_overflow(t->elements, t->shape[i], &t->elements) ||
            __builtin_mul_overflow(t->shape[i] ? t->shape[i] - 1 : 0, t->stride[i], &reach) ||
            __builtin_add_overflow(*last, reach, last))
            return fault(t->name, "its sizes are beyond any file");
    }
    return TC_OK;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks) */
static int read_tensor(const struct reader *r, const struct tc_pk_value *v, struct tc_torch_tensor *t)
{
    const struct tc_pk_value *args = v->args, *offset = tc_pk_at(args, 1);
    int64_t count = 0, last = 0;
    int rc = find_storage(r, tc_pk_at(args, 0), t, &count);
    if (!rc)
        rc = read_view(tc_pk_at(args, 2), tc_pk_at(args, 3), t, &last);
    if (rc)
        return rc;
    if (!whole(offset, count) || (t->elements && last >= count - offset->i))
        return fault(t->name, "reaches past the end of its storage");
    if (t->elements > count)
        return fault(t->name, "has more elements than its storage");
    if (t->type != TC_TORCH_OTHER)
        t->at += offset->i * element_size(t->type);
    return TC_OK;
}

static int join_name(const char *prefix, const struct tc_pk_value *key, char out[static TC_TORCH_NAME_SIZE])
{
    int n = snprintf(out, TC_TORCH_NAME_SIZE, "%s%s%.*s", prefix, prefix[0] ? "." : "", (int)key->n,
                     (const char *)key->bytes);
    return n >= 0 && n < TC_TORCH_NAME_SIZE
               ? TC_OK
               : tc_fail(TC_ELIMIT, "PyTorch file: a tensor's name of more than %d bytes",
                         TC_TORCH_NAME_SIZE - 1);
}

static int add_tensor(struct reader *r, const struct tc_pk_value *v, const char *name)
{
    struct tc_torch *out = r->out;
    if (out->n == TC_TORCH_TENSORS_MAX)
        return tc_fail(TC_ELIMIT, "PyTorch file: more than %d tensors", TC_TORCH_TENSORS_MAX);
    if (tc_torch_find(out, name))
        return fault(name, "is there twice");
    struct tc_torch_tensor *t = &out->tensors[out->n];
    memset(t, 0, sizeof(*t));
    memcpy(t->name, name, strlen(name) + 1);
    int rc = read_tensor(r, v, t);
    out->n += !rc;
    return rc;
}

static int walk(struct reader *r, const struct tc_pk_value *dict, const char *prefix, int depth)
{
    if (depth == DEPTH_MAX)
        return tc_fail(TC_ELIMIT, "PyTorch file: dicts nested more than %d deep", DEPTH_MAX);
    for (uint32_t i = 0; i < dict->n; i++) {
        const struct tc_pk_value *key = dict->item[2 * (size_t)i], *v = dict->item[2 * (size_t)i + 1];
        char name[TC_TORCH_NAME_SIZE];
        if (++r->visits > VISITS_MAX)
            return tc_fail(TC_ELIMIT, "PyTorch file: more than %d entries", VISITS_MAX);
        if (key->type != TC_PK_TEXT)
            continue; /* an optimizer's state: numbered */
        if (tc_pk_object_tag(v) == REBUILD_PARAMETER)
            v = tc_pk_at(v->args, 0);
        bool tensor = tc_pk_object_tag(v) == REBUILD_TENSOR;
        bool inner = v && (v->type == TC_PK_DICT || tc_pk_object_tag(v) == ORDERED_DICT);
        if (!tensor && !inner)
            continue;
        int rc = join_name(prefix, key, name);
        if (!rc)
            rc = tensor ? add_tensor(r, v, name) : walk(r, v, name, depth + 1);
        if (rc)
            return rc;
    }
    return TC_OK;
}

static int read_dict(struct reader *r, const struct tc_zip_member *pickle)
{
    static const struct tc_pk_options options = {
        .classes = classes,
        .n_classes = sizeof(classes) / sizeof(classes[0]),
        .advice = "a state dict holds only tensors: torch.save(model.state_dict(), FILE)",
    };
    struct tc_pickle *p;
    int rc = tc_pickle_open(pickle->data, pickle->size, &options, &p, NULL);
    if (rc)
        return tc_more(rc, "PyTorch file");
    const struct tc_pk_value *root = tc_pickle_root(p);
    if (root->type == TC_PK_DICT || tc_pk_object_tag(root) == ORDERED_DICT)
        rc = walk(r, root, "", 0);
    else
        rc = tc_fail(TC_EINPUT, "PyTorch file: it holds %s, not the dict of a state dict", tc_pk_words(root));
    tc_pickle_close(p);
    if (!rc && !r->out->n)
        rc = tc_fail(TC_EINPUT, "PyTorch file: no tensors in it");
    return rc;
}

static int not_a_zip(const uint8_t *bytes, size_t n)
{
    static const uint8_t LEGACY[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    if (n >= 2 + sizeof(LEGACY) && bytes[0] == 0x80 && memcmp(bytes + 2, LEGACY, sizeof(LEGACY)) == 0)
        return tc_fail(TC_EINPUT,
                       "PyTorch file: the form that torch.save wrote before 1.6. This line converts it: "
                       "python3 -c \"import torch; torch.save(torch.load('OLD.pth', map_location='cpu'), "
                       "'NEW.pth')\"");
    return tc_fail(TC_EINPUT, "PyTorch file: no zip archive, so not from torch.save, and no safetensors");
}

static int allocate(struct tc_torch *out)
{
    out->tensors = calloc(TC_TORCH_TENSORS_MAX, sizeof(*out->tensors));
    return out->tensors ? TC_OK : tc_fail(TC_ENOMEM, "no memory for a model file's tensors");
}

/* --- safetensors ---------------------------------------------------------------------------------------- */
static bool is_safetensors(const uint8_t *bytes, size_t n)
{
    return n > 8 && bytes[8] == '{' && bytes[0] != 0x80; /* length of the header, then JSON */
}

static enum tc_torch_type type_of(const char *dtype)
{
    return strcmp(dtype, "F32") == 0    ? TC_TORCH_F32
           : strcmp(dtype, "F64") == 0  ? TC_TORCH_F64
           : strcmp(dtype, "F16") == 0  ? TC_TORCH_F16
           : strcmp(dtype, "BF16") == 0 ? TC_TORCH_BF16
                                        : TC_TORCH_OTHER;
}

static int adopt_tensor(const struct tc_st_tensor *from, struct tc_torch_tensor *to)
{
    if (strlen(from->name) >= TC_TORCH_NAME_SIZE)
        return fault(from->name, "its name is too long");
    *to = (struct tc_torch_tensor){
        .type = type_of(from->dtype), .dims = from->dims, .elements = 1, .at = from->data};
    memcpy(to->name, from->name, strlen(from->name) + 1);
    for (int32_t d = from->dims; d-- > 0;) {
        to->shape[d] = from->shape[d];
        to->stride[d] = to->elements;
        if (__builtin_mul_overflow(to->elements, from->shape[d], &to->elements))
            return fault(from->name, "its sizes are beyond any file");
    }
    return TC_OK;
}

static int open_safetensors(const uint8_t *bytes, size_t n, struct tc_torch *out)
{
    struct tc_safetensors st;
    int rc = tc_safetensors_parse(bytes, n, &st);
    if (rc)
        return rc;
    rc = st.n_tensors ? allocate(out) : tc_fail(TC_EINPUT, "safetensors: no tensors in it");
    for (size_t i = 0; i < st.n_tensors && !rc; i++) {
        rc = adopt_tensor(&st.tensors[i], &out->tensors[i]);
        out->n = i + 1;
    }
    tc_safetensors_free(&st);
    if (rc)
        tc_torch_close(out);
    return rc;
}

int tc_torch_open(const uint8_t *bytes, size_t n, struct tc_torch *out)
{
    struct reader r = {.out = out};
    const struct tc_zip_member *pickle = NULL;
    *out = (struct tc_torch){0};
    if (is_safetensors(bytes, n))
        return open_safetensors(bytes, n, out);
    if (!tc_zip_is(bytes, n))
        return not_a_zip(bytes, n);
    int rc = tc_zip_open(bytes, n, &r.zip);
    if (rc)
        return tc_more(rc, "PyTorch file");
    rc = allocate(out);
    if (!rc)
        rc = find_folder(&r, &pickle);
    if (!rc)
        rc = check_folder(&r);
    if (!rc)
        rc = read_dict(&r, pickle);
    tc_zip_close(&r.zip);
    if (rc)
        tc_torch_close(out);
    return rc;
}

void tc_torch_close(struct tc_torch *t)
{
    free(t->tensors);
    *t = (struct tc_torch){0};
}

const struct tc_torch_tensor *tc_torch_find(const struct tc_torch *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->tensors[i].name, name) == 0)
            return &t->tensors[i];
    return NULL;
}

/* --- elements ------------------------------------------------------------------------------------------- */
static float from_half(uint16_t h)
{
    int32_t exponent = h >> 10 & 31, fraction = h & 1023;
    float v = exponent == 31  ? (fraction ? __builtin_nanf("") : __builtin_inff())
              : exponent == 0 ? __builtin_ldexpf((float)fraction, -24)
                              : __builtin_ldexpf((float)(fraction + 1024), exponent - 25);
    return h & 0x8000 ? -v : v;
}

static float element(enum tc_torch_type type, const uint8_t *p)
{
    uint64_t bits = 0;
    for (int64_t i = 0; i < element_size(type); i++)
        bits |= (uint64_t)p[i] << (8 * i);
    uint32_t word = (uint32_t)(type == TC_TORCH_BF16 ? bits << 16 : bits);
    float f;
    double d;
    memcpy(&f, &word, sizeof(f));
    memcpy(&d, &bits, sizeof(d));
    return type == TC_TORCH_F64 ? (float)d : type == TC_TORCH_F16 ? from_half((uint16_t)bits) : f;
}

int tc_torch_copy(const struct tc_torch_tensor *t, float *out, size_t room)
{
    if (t->type == TC_TORCH_OTHER)
        return fault(t->name, "its elements are no floating-point numbers");
    if ((uint64_t)t->elements != room)
        return fault(t->name, "has not as many elements as are asked for");
    int64_t index[TC_TORCH_DIMS_MAX] = {0}, size = element_size(t->type), at = 0;
    for (size_t i = 0; i < room; i++) {
        out[i] = element(t->type, t->at + at * size);
        for (int32_t d = t->dims; d-- > 0;) { /* like a counter: the last dimension runs fastest */
            at += t->stride[d];
            if (++index[d] < t->shape[d])
                break;
            at -= index[d] * t->stride[d];
            index[d] = 0;
        }
    }
    return TC_OK;
}
