/* Any bytes are read or refused, without an endless loop and within the bounds; a tree can be looked at. */
#include "wire/pickle.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tc_pk_class classes[] = {
    {"a", "b", 1},
    {"collections", "OrderedDict", 2},
    {"joblib.numpy_pickle", "NumpyArrayWrapper", 3},
};

/* A pickle inside the pickle behind each object of class 3. */
static int built(struct tc_pickle *p, struct tc_pk_value *object, size_t *at, void *ctx)
{
    (void)ctx;
    return tc_pk_object_tag(object) == 3 ? tc_pickle_nested(p, at, &object->found) : 0;
}

/* Every byte of every text and every item, to a depth: what lies outside is seen by the sanitizer. */
static size_t look(const struct tc_pk_value *v, int depth)
{
    size_t sum = strlen(tc_pk_words(v));
    if (!v || depth == 4)
        return sum;
    if (v->type == TC_PK_TEXT || v->type == TC_PK_BYTES)
        for (uint32_t i = 0; i < v->n; i++)
            sum += v->bytes[i];
    if (v->type == TC_PK_TUPLE || v->type == TC_PK_LIST)
        for (uint32_t i = 0; i < v->n && i < 8; i++)
            sum += look(tc_pk_at(v, i), depth + 1);
    if (v->type == TC_PK_DICT || v->type == TC_PK_OBJECT)
        for (uint32_t i = 0; i < v->n && i < 8; i++)
            sum += look(v->item[2 * i], depth + 1) + look(v->item[2 * i + 1], depth + 1);
    sum += tc_pk_get(v, "a") != NULL;
    return sum + look(v->args, depth + 1) + look(v->state, depth + 1) + look(v->found, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tc_pk_options options = {.classes = classes, .n_classes = 3, .built = built};
    struct tc_pickle *p;
    size_t used = 0;
    if (tc_pickle_open(data, size, &options, &p, &used))
        return 0;
    if (used > size || look(tc_pickle_root(p), 0) == 0)
        abort();
    tc_pickle_close(p);
    return 0;
}
