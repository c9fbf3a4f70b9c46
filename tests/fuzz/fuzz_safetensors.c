/* Whatever parses has its tensors inside the input, one after the other, and writes to a file that parses
 * again. */
#include "wire/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tc_safetensors st, again;
    if (tc_safetensors_parse(data, size, &st))
        return 0;
    const uint8_t *at = data + size;
    for (size_t i = st.n_tensors; i-- > 0;) {
        if (st.tensors[i].data + st.tensors[i].bytes != at)
            abort();
        at = st.tensors[i].data;
    }
    struct tc_buf b;
    tc_buf_init(&b, (size_t)64 << 20);
    if (tc_safetensors_write(st.meta, st.n_meta, st.tensors, st.n_tensors, &b))
        abort();
    if (tc_safetensors_parse((const uint8_t *)b.data, b.len, &again) || again.n_tensors != st.n_tensors ||
        again.n_meta != st.n_meta)
        abort();
    tc_safetensors_free(&again);
    tc_safetensors_free(&st);
    tc_buf_release(&b);
    return 0;
}
