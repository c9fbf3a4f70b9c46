/* Whatever opens as a state dict has every element of its tensors inside the input. */
#include "wire/torch.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tc_torch t;
    if (tc_torch_open(data, size, &t))
        return 0;
    for (size_t i = 0; i < t.n; i++) {
        size_t n = (size_t)t.tensors[i].elements;
        if (n > size) /* a view is no larger than its storage, which lies in the file */
            abort();
        float *v = malloc((n + 1) * sizeof(*v));
        if (!v || tc_torch_find(&t, t.tensors[i].name) != &t.tensors[i])
            abort();
        int rc = tc_torch_copy(&t.tensors[i], v, n);
        if ((rc != 0) != (t.tensors[i].type == TC_TORCH_OTHER))
            abort();
        free(v);
    }
    tc_torch_close(&t);
    return 0;
}
