#include "model/file.h"

#include "base/err.h"
#include "base/num.h"
#include "wire/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char FORMAT[] = "tickcast-model-1";
static const double WEIGHT_MAX = 1e6; /* beyond it sums of finite inputs could overflow */

struct reader {
    const struct tc_safetensors *st;
    const char *path;
};

static int key_fault(const struct reader *r, const char *key, const char *what)
{
    return tc_fail(TC_EINPUT, "%s: metadata key \"%s\" %s", r->path, key, what);
}

/* The key's text; *rc stays as it is when it is there and fits `size`. */
static const char *need(const struct reader *r, const char *key, size_t size, int *rc)
{
    const char *v = tc_safetensors_meta(r->st, key);
    if (*rc)
        return "";
    if (!v)
        *rc = key_fault(r, key, "is missing: the file does not say how to use it");
    else if (strlen(v) >= size)
        *rc = key_fault(r, key, "is too long");
    return *rc ? "" : v;
}

static void read_text(const struct reader *r, const char *key, char *out, size_t size, int *rc)
{
    const char *v = need(r, key, size, rc);
    if (!*rc)
        memcpy(out, v, strlen(v) + 1);
}

static int64_t read_int(const struct reader *r, const char *key, int64_t lo, int64_t hi, int *rc)
{
    const char *v = need(r, key, TC_NUM_TEXT, rc);
    int64_t value = 0;
    if (!*rc && (!tc_parse_int(v, strlen(v), &value) || value < lo || value > hi))
        *rc = tc_fail(TC_EINPUT, "%s: metadata key \"%s\" is not a whole number from %lld to %lld", r->path,
                      key, (long long)lo, (long long)hi);
    return value;
}

/* A list kept as JSON text; at most `most` members. NULL with *rc set when it is not. */
static json_t *read_list(const struct reader *r, const char *key, size_t most, int *rc)
{
    const char *v = need(r, key, 1 << 20, rc);
    if (*rc)
        return NULL;
    json_t *list = json_loads(v, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_array(list) || json_array_size(list) > most || json_array_size(list) == 0) {
        *rc = tc_fail(TC_EINPUT, "%s: metadata key \"%s\" is no JSON list of 1 to %zu members", r->path, key,
                      most);
        json_decref(list);
        return NULL;
    }
    return list;
}

static void read_features(const struct reader *r, struct tc_model_info *info, int *rc)
{
    json_t *list = read_list(r, "features", TC_MODEL_FEATURES_MAX, rc);
    info->n_features = (int32_t)json_array_size(list);
    for (int32_t i = 0; i < info->n_features && !*rc; i++) {
        const char *name = json_string_value(json_array_get(list, (size_t)i));
        if (!name || !name[0] || strlen(name) >= TC_FEATURE_NAME_SIZE)
            *rc = key_fault(r, "features", "has a name that is no text of 1 to 15 bytes");
        else
            memcpy(info->features[i], name, strlen(name) + 1);
        for (int32_t j = 0; j < i && !*rc; j++)
            if (strcmp(info->features[j], info->features[i]) == 0)
                *rc = key_fault(r, "features", "names a feature twice");
    }
    json_decref(list);
}

static void read_numbers(const struct reader *r, const char *key, int32_t n, bool positive, double *out,
                         int *rc)
{
    json_t *list = read_list(r, key, TC_MODEL_FEATURES_MAX, rc);
    if (!*rc && json_array_size(list) != (size_t)n)
        *rc = tc_fail(TC_EINPUT, "%s: metadata key \"%s\" is no list of %d numbers", r->path, key, n);
    for (int32_t i = 0; i < n && !*rc; i++) {
        const json_t *v = json_array_get(list, (size_t)i);
        out[i] = json_number_value(v);
        if (!json_is_number(v) || !isfinite(out[i]) || (positive && !(out[i] > 0)))
            *rc = key_fault(r, key,
                            positive ? "has a member that is no number above 0"
                                     : "has a member that is no number");
    }
    json_decref(list);
}

static int kind_of(const char *name, enum tc_kind *out)
{
    for (int k = 0; name && k < TC_KIND_COUNT; k++)
        if (strcmp(tc_kind_name((enum tc_kind)k), name) == 0) {
            *out = (enum tc_kind)k;
            return TC_OK;
        }
    return TC_EINPUT;
}

static double number_or_nan(const json_t *v)
{
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static int read_target(const struct reader *r, const json_t *v, struct tc_model_target *t, double *scale,
                       double *offset)
{
    const json_t *horizon = json_object_get(v, "horizon_ms"), *shift = json_object_get(v, "offset");
    if (kind_of(json_string_value(json_object_get(v, "kind")), &t->kind))
        return key_fault(r, "targets", "has a member whose kind is not next, last or mid");
    if (!json_is_integer(horizon) || json_integer_value(horizon) < 0 ||
        json_integer_value(horizon) > 3600000 ||
        (t->kind == TC_KIND_NEXT) != (json_integer_value(horizon) == 0))
        return key_fault(r, "targets", "has a member whose horizon_ms does not fit its kind");
    t->horizon_ms = (int32_t)json_integer_value(horizon);
    *scale = number_or_nan(json_object_get(v, "scale"));
    *offset = shift ? number_or_nan(shift) : 0;
    t->shrink = number_or_nan(json_object_get(v, "shrink"));
    if (!(*scale > 0 && *scale < 1e9))
        return key_fault(r, "targets", "has a member without a scale above 0");
    if (!(fabs(*offset) < 1e9))
        return key_fault(r, "targets", "has a member whose offset is no number");
    if (!(t->shrink >= 0 && t->shrink <= 1))
        return key_fault(r, "targets", "has a member without a shrink within 0 to 1");
    t->val_ratio = number_or_nan(json_object_get(v, "val_ratio"));
    t->val_dm_t = number_or_nan(json_object_get(v, "val_dm_t"));
    json_t *least = json_object_get(v, "val_dm_t_least");
    t->val_dm_t_least = least ? number_or_nan(least) : t->val_dm_t;
    return TC_OK;
}

static void read_targets(const struct reader *r, struct tc_model_spec *s, int *rc)
{
    json_t *list = read_list(r, "targets", TC_MODEL_TARGETS_MAX, rc);
    s->info.n_targets = (int32_t)json_array_size(list);
    for (int32_t i = 0; i < s->info.n_targets && !*rc; i++) {
        struct tc_model_target *t = s->info.targets;
        *rc = read_target(r, json_array_get(list, (size_t)i), &t[i], &s->scale[i], &s->offset[i]);
        for (int32_t j = 0; j < i && !*rc; j++)
            if (t[j].kind == t[i].kind && t[j].horizon_ms == t[i].horizon_ms)
                *rc = key_fault(r, "targets", "names a target twice");
    }
    json_decref(list);
}

static void read_card(const struct reader *r, struct tc_model_info *info, int *rc)
{
    read_text(r, "trained_from", info->trained_from, sizeof(info->trained_from), rc);
    read_text(r, "trained_to", info->trained_to, sizeof(info->trained_to), rc);
    read_text(r, "validated_from", info->validated_from, sizeof(info->validated_from), rc);
    read_text(r, "validated_to", info->validated_to, sizeof(info->validated_to), rc);
    read_text(r, "symbols", info->symbols, sizeof(info->symbols), rc);
    info->trained_rows = read_int(r, "trained_rows", 0, INT64_MAX, rc);
    read_text(r, "version", info->version, sizeof(info->version), rc);
    if (!*rc && tc_safetensors_meta(r->st, "loss"))
        read_text(r, "loss", info->loss, sizeof(info->loss), rc);
    read_text(r, "data_sha256", info->data_sha256, sizeof(info->data_sha256), rc);
}

/* One number, the same on both sides; or where scaler_range is there, its own two. */
static void read_clip(const struct reader *r, struct tc_model_spec *s, int *rc)
{
    const char *text = need(r, "scaler_clip", TC_NUM_TEXT, rc);
    double range[2];
    if (!*rc && (!tc_parse_double(text, strlen(text), &s->high) || !(s->high > 0 && s->high <= 1e6)))
        *rc = key_fault(r, "scaler_clip", "is no number above 0, at most a million");
    s->low = -s->high;
    if (*rc || !tc_safetensors_meta(r->st, "scaler_range"))
        return;
    read_numbers(r, "scaler_range", 2, false, range, rc);
    if (!*rc && !(range[0] < range[1] && range[0] >= s->low && range[1] <= s->high))
        *rc = key_fault(r, "scaler_range", "is not two numbers within scaler_clip, the smaller first");
    s->low = range[0];
    s->high = range[1];
}

static int read_meta(const struct reader *r, struct tc_model_spec *s)
{
    struct tc_model_info *info = &s->info;
    char format[32] = "", kind[16] = "", mode[16] = "";
    int rc = 0;
    read_text(r, "format", format, sizeof(format), &rc);
    if (!rc && strcmp(format, FORMAT) != 0)
        return key_fault(r, "format", "is not tickcast-model-1");
    read_text(r, "kind", kind, sizeof(kind), &rc);
    if (!rc && strcmp(kind, "lstm") != 0)
        return key_fault(r, "kind", "is not lstm");
    read_text(r, "name", s->name, sizeof(s->name), &rc);
    if (!rc && (!s->name[0] ||
                strspn(s->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
                    strlen(s->name)))
        return key_fault(r, "name", "is not made of letters, digits, dot, dash and underscore");
    read_text(r, "mode", mode, sizeof(mode), &rc);
    info->stateful = strcmp(mode, "stateful") == 0;
    if (!rc && !info->stateful && strcmp(mode, "window") != 0)
        return key_fault(r, "mode", "is neither stateful nor window");
    if (!info->stateful)
        info->window = (int32_t)read_int(r, "window", 1, TC_NET_WINDOW_MAX, &rc);
    read_text(r, "inputs", info->inputs, sizeof(info->inputs), &rc);
    read_text(r, "feature_hash", info->feature_hash, sizeof(info->feature_hash), &rc);
    read_features(r, info, &rc);
    read_numbers(r, "scaler_mean", info->n_features, false, s->mean, &rc);
    read_numbers(r, "scaler_sd", info->n_features, true, s->sd, &rc);
    read_clip(r, s, &rc);
    read_targets(r, s, &rc);
    read_text(r, "target_unit", info->target_unit, sizeof(info->target_unit), &rc);
    info->block = 1;
    if (!rc && tc_safetensors_meta(r->st, "block"))
        info->block = (int32_t)read_int(r, "block", 2, TC_MODEL_BLOCK_MAX, &rc);
    info->interval_ms = (int32_t)read_int(r, "interval_ms", 1, 86400000, &rc);
    read_card(r, info, &rc);
    const char *card = tc_safetensors_meta(r->st, "card");
    if (!rc && card && strlen(card) > TC_MODEL_CARD_MAX)
        return key_fault(r, "card", "is too long");
    if (!rc && card && !(s->card = strdup(card)))
        return tc_fail(TC_ENOMEM, "no memory for the model card");
    return rc;
}

/* Sizes come from the tensors themselves; every tensor is then checked against them. */
static int find_shape(const struct reader *r, const struct tc_model_info *info, struct tc_net_shape *s)
{
    const struct tc_st_tensor *hh = tc_safetensors_find(r->st, "lstm.weight_hh_l0");
    const struct tc_st_tensor *in = tc_safetensors_find(r->st, "input.weight");
    if (!hh || hh->dims != 2 || hh->shape[1] > TC_NET_HIDDEN_MAX ||
        (in && (in->dims != 2 || in->shape[0] > TC_NET_HIDDEN_MAX)))
        return tc_fail(TC_EINPUT, "%s: no tensor lstm.weight_hh_l0 of two dimensions and at most %d units",
                       r->path, TC_NET_HIDDEN_MAX);
    *s = (struct tc_net_shape){.features = info->n_features * (info->block > 1 ? TC_MODEL_STATS : 1),
                               .targets = info->n_targets,
                               .hidden = (int32_t)hh->shape[1],
                               .input_size = in ? (int32_t)in->shape[0] : 0,
                               .skip = tc_safetensors_find(r->st, "skip.weight") != NULL};
    char name[40];
    do
        snprintf(name, sizeof(name), "lstm.weight_hh_l%d", ++s->layers);
    while (s->layers <= TC_NET_LAYERS_MAX && tc_safetensors_find(r->st, name));
    return TC_OK;
}

static int read_part(const struct reader *r, const struct tc_net_part *p)
{
    const struct tc_st_tensor *t = tc_safetensors_find(r->st, p->name);
    bool fits = t && strcmp(t->dtype, "F32") == 0 && t->dims == (p->cols ? 2 : 1) && t->shape[0] == p->rows &&
                (!p->cols || t->shape[1] == p->cols);
    if (!fits)
        return tc_fail(TC_EINPUT, "%s: tensor %s is not there as F32 of %d x %d", r->path, p->name, p->rows,
                       p->cols ? p->cols : 1);
    memcpy(p->p, t->data, t->bytes);
    for (size_t i = 0; i < t->bytes / sizeof(float); i++)
        if (!(fabs((double)p->p[i]) <= WEIGHT_MAX))
            return tc_fail(TC_EINPUT, "%s: tensor %s holds a value that is no number up to a million",
                           r->path, p->name);
    return TC_OK;
}

static int read_net(const struct reader *r, struct tc_model_spec *s)
{
    struct tc_net_shape shape;
    struct tc_net_part parts[TC_NET_TENSORS_MAX];
    int rc = find_shape(r, &s->info, &shape);
    if (!rc && (rc = tc_net_open(&shape, &s->net)))
        return tc_more(rc, "%s", r->path);
    size_t n = rc ? 0 : tc_net_parts(&s->net, parts);
    if (!rc && n != r->st->n_tensors)
        return tc_fail(TC_EINPUT, "%s: %zu tensors where this network has %zu", r->path, r->st->n_tensors, n);
    for (size_t i = 0; i < n && !rc; i++)
        rc = read_part(r, &parts[i]);
    return rc;
}

int tc_model_decode(const void *bytes, size_t n, const char *path, struct tc_model_spec *out)
{
    memset(out, 0, sizeof(*out));
    struct tc_safetensors st;
    int rc = tc_safetensors_parse(bytes, n, &st);
    if (rc)
        return tc_more(rc, "%s", path);
    const struct reader r = {&st, path};
    rc = read_meta(&r, out);
    if (!rc)
        rc = read_net(&r, out);
    tc_safetensors_free(&st);
    if (rc)
        tc_model_spec_free(out);
    return rc;
}

void tc_model_spec_free(struct tc_model_spec *s)
{
    tc_net_free(&s->net);
    free(s->card);
    s->card = NULL;
}

enum { META_ROOM = 32768, META_KEYS = 32 };

/* Metadata under construction: texts one after the other in one fixed room. */
struct writer {
    struct tc_st_meta meta[META_KEYS];
    size_t n;
    struct tc_buf text;
    char room[META_ROOM];
};

static void begin(struct writer *w, const char *key)
{
    w->meta[w->n++] = (struct tc_st_meta){key, w->text.data + w->text.len};
}

static void end(struct writer *w)
{
    tc_buf_char(&w->text, '\0');
}

static void put_text(struct writer *w, const char *key, const char *value)
{
    begin(w, key);
    tc_buf_str(&w->text, value);
    end(w);
}

static void put_int(struct writer *w, const char *key, int64_t value)
{
    begin(w, key);
    tc_buf_int(&w->text, value);
    end(w);
}

static void put_numbers(struct writer *w, const char *key, const double *v, int32_t n)
{
    begin(w, key);
    for (int32_t i = 0; i < n; i++) {
        tc_buf_char(&w->text, i ? ',' : '[');
        tc_buf_double(&w->text, v[i]);
    }
    tc_buf_char(&w->text, ']');
    end(w);
}

static void put_targets(struct writer *w, const struct tc_model_spec *s)
{
    begin(w, "targets");
    for (int32_t i = 0; i < s->info.n_targets; i++) {
        const struct tc_model_target *t = &s->info.targets[i];
        tc_buf_printf(&w->text, "%s{\"kind\":\"%s\",\"horizon_ms\":%d,\"scale\":", i ? "," : "[",
                      tc_kind_name(t->kind), t->horizon_ms);
        tc_buf_double(&w->text, s->scale[i]);
        if (s->offset[i] != 0) {
            tc_buf_str(&w->text, ",\"offset\":");
            tc_buf_double(&w->text, s->offset[i]);
        }
        tc_buf_str(&w->text, ",\"shrink\":");
        tc_buf_double(&w->text, t->shrink);
        tc_buf_str(&w->text, ",\"val_ratio\":");
        tc_buf_double(&w->text, t->val_ratio);
        tc_buf_str(&w->text, ",\"val_dm_t\":");
        tc_buf_double(&w->text, t->val_dm_t);
        tc_buf_str(&w->text, ",\"val_dm_t_least\":");
        tc_buf_double(&w->text, t->val_dm_t_least);
        tc_buf_char(&w->text, '}');
    }
    tc_buf_char(&w->text, ']');
    end(w);
}

static void put_meta(struct writer *w, const struct tc_model_spec *s)
{
    const struct tc_model_info *info = &s->info;
    put_text(w, "format", FORMAT);
    put_text(w, "kind", "lstm");
    put_text(w, "name", s->name);
    put_text(w, "mode", info->stateful ? "stateful" : "window");
    if (!info->stateful)
        put_int(w, "window", info->window);
    put_text(w, "inputs", info->inputs);
    put_text(w, "feature_hash", info->feature_hash);
    begin(w, "features");
    for (int32_t i = 0; i < info->n_features; i++) {
        tc_buf_char(&w->text, i ? ',' : '[');
        tc_buf_json_string(&w->text, info->features[i]);
    }
    tc_buf_char(&w->text, ']');
    end(w);
    put_numbers(w, "scaler_mean", s->mean, info->n_features);
    put_numbers(w, "scaler_sd", s->sd, info->n_features);
    begin(w, "scaler_clip");
    tc_buf_double(&w->text, fmax(fabs(s->low), fabs(s->high)));
    end(w);
    if (s->low != -s->high)
        put_numbers(w, "scaler_range", (const double[]){s->low, s->high}, 2);
    put_targets(w, s);
    put_text(w, "target_unit", info->target_unit);
    if (info->block > 1)
        put_int(w, "block", info->block);
    put_int(w, "interval_ms", info->interval_ms);
    put_text(w, "trained_from", info->trained_from);
    put_text(w, "trained_to", info->trained_to);
    put_text(w, "validated_from", info->validated_from);
    put_text(w, "validated_to", info->validated_to);
    put_text(w, "symbols", info->symbols);
    put_int(w, "trained_rows", info->trained_rows);
    put_text(w, "version", info->version);
    if (info->loss[0])
        put_text(w, "loss", info->loss);
    put_text(w, "data_sha256", info->data_sha256);
    if (s->card) /* too large for the room, and there for as long as the spec is */
        w->meta[w->n++] = (struct tc_st_meta){"card", s->card};
}

/* NULL: tc_error says why. */
static struct writer *write_meta(const struct tc_model_spec *spec)
{
    struct writer *w = calloc(1, sizeof(*w));
    if (!w) {
        tc_fail(TC_ENOMEM, "no memory to write a model file");
        return NULL;
    }
    tc_buf_init_fixed(&w->text, w->room, sizeof(w->room));
    put_meta(w, spec);
    if (!w->text.overflow)
        return w;
    tc_fail(TC_ELIMIT, "a model's metadata take more than %d bytes", META_ROOM);
    free(w);
    return NULL;
}

int tc_model_describe(const struct tc_model_spec *spec,
                      void (*entry)(void *ctx, const char *key, const char *value), void *ctx)
{
    struct writer *w = write_meta(spec);
    if (!w)
        return TC_ELIMIT;
    for (size_t i = 0; i < w->n; i++)
        entry(ctx, w->meta[i].key, w->meta[i].value);
    free(w);
    return TC_OK;
}

int tc_model_encode(const struct tc_model_spec *spec, struct tc_buf *out)
{
    struct writer *w = write_meta(spec);
    if (!w)
        return TC_ELIMIT;
    struct tc_net_part parts[TC_NET_TENSORS_MAX];
    struct tc_st_tensor tensors[TC_NET_TENSORS_MAX];
    size_t n = tc_net_parts(&spec->net, parts);
    for (size_t i = 0; i < n; i++) {
        const struct tc_net_part *p = &parts[i];
        tensors[i] =
            (struct tc_st_tensor){.name = p->name,
                                  .dtype = "F32",
                                  .dims = p->cols ? 2 : 1,
                                  .shape = {p->rows, p->cols},
                                  .data = (const uint8_t *)p->p,
                                  .bytes = (size_t)p->rows * (size_t)(p->cols ? p->cols : 1) * sizeof(float)};
    }
    int rc = tc_safetensors_write(w->meta, w->n, tensors, n, out);
    free(w);
    return rc;
}

int tc_model_read_file(const char *path, struct tc_buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) {
        int rc = tc_fail(errno == ENOENT ? TC_ENOTFOUND : TC_EIO, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return rc;
    }
    int rc = TC_OK;
    if (!S_ISREG(st.st_mode) || st.st_size > TC_MODEL_FILE_MAX)
        rc = tc_fail(TC_EINPUT, "%s: no file of at most 1 GiB", path);
    else if (!tc_buf_reserve(out, (size_t)st.st_size))
        rc = tc_fail(TC_ENOMEM, "%s: no memory for %lld bytes", path, (long long)st.st_size);
    size_t want = rc ? 0 : (size_t)st.st_size;
    while (!rc && out->len < want) {
        ssize_t got = read(fd, out->data + out->len, want - out->len);
        if (got < 0 && errno != EINTR)
            rc = tc_fail(TC_EIO, "%s: %s", path, strerror(errno));
        else if (got == 0)
            break;
        else if (got > 0)
            out->len += (size_t)got;
    }
    close(fd);
    return rc;
}

static int write_all(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t put = write(fd, bytes, n);
        if (put < 0 && errno != EINTR)
            return -1;
        if (put > 0) {
            bytes += put;
            n -= (size_t)put;
        }
    }
    return fsync(fd);
}

int tc_file_replace(const char *path, const struct tc_buf *b)
{
    char temp[4096];
    if ((size_t)snprintf(temp, sizeof(temp), "%s.part", path) >= sizeof(temp))
        return tc_fail(TC_ECONF, "%s: the path is too long", path);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return tc_fail(TC_EIO, "%s: %s", temp, strerror(errno));
    int bad = write_all(fd, b->data, b->len);
    int fault = errno;
    bad = close(fd) || bad;
    if (bad || rename(temp, path)) {
        fault = bad ? fault : errno;
        unlink(temp);
        return tc_fail(TC_EIO, "%s: %s", path, strerror(fault));
    }
    return TC_OK;
}

int tc_model_write_file(const char *path, const struct tc_model_spec *spec)
{
    struct tc_buf b;
    tc_buf_init(&b, TC_MODEL_FILE_MAX);
    int rc = tc_model_encode(spec, &b);
    if (!rc)
        rc = tc_file_replace(path, &b);
    tc_buf_release(&b);
    return rc;
}
