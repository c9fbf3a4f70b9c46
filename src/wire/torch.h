/* torch.h - named tensors from a PyTorch state dict in zip form (torch.save since 1.6), nothing executed, or
 * from safetensors.
 *
 * The archive's folder is the stem of the name it was saved under; data.pkl in it is a pickle (wire/pickle.h)
 * whose tensors are views (offset, sizes, strides in elements) of storages data/KEY; several tensors may
 * share one storage. Dicts inside dicts ("model_state_dict" in a checkpoint) are looked through, names joined
 * with a dot; what is no tensor (epoch counts and the like) is passed over. Every view is checked against its
 * storage before anything is read. Source: pytorch docs/source/notes/serialization.rst and the files
 * themselves.
 */
#pragma once

#include "wire/zip.h"

enum { TC_TORCH_DIMS_MAX = 8, TC_TORCH_TENSORS_MAX = 1024, TC_TORCH_NAME_SIZE = 256 };

enum tc_torch_type { TC_TORCH_F32, TC_TORCH_F64, TC_TORCH_F16, TC_TORCH_BF16, TC_TORCH_OTHER };

struct tc_torch_tensor {
    char name[TC_TORCH_NAME_SIZE];
    enum tc_torch_type type;
    int32_t dims;
    int64_t shape[TC_TORCH_DIMS_MAX], stride[TC_TORCH_DIMS_MAX];
    int64_t elements;
    const uint8_t *at; /* element 0, in the input */
};

struct tc_torch {
    struct tc_torch_tensor *tensors; /* in the file's order */
    size_t n;
};

/* Tells the two forms apart by their first bytes. `bytes` must outlive the result. TC_EINPUT names the
 * tensor, class or member and what is wrong; a file of the form before 1.6 is refused with the line that
 * converts it. */
int tc_torch_open(const uint8_t *bytes, size_t n, struct tc_torch *out);
void tc_torch_close(struct tc_torch *t);
const struct tc_torch_tensor *tc_torch_find(const struct tc_torch *t, const char *name);

/* Row-major floats; `room` is the number of elements, which must be tensor->elements. Values that float32
 * cannot hold become infinite; TC_EINPUT when the elements are no floating-point numbers. */
int tc_torch_copy(const struct tc_torch_tensor *tensor, float *out, size_t room);
