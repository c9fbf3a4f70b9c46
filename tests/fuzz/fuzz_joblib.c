/* Whatever opens as a scaler can scale: finite numbers, none to divide by zero with, names that end. */
#include "wire/joblib.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tc_scaler s;
    if (tc_joblib_scaler(data, size, &s))
        return 0;
    if (s.n < 1 || s.n > TC_SCALER_COLUMNS_MAX || (s.kind == TC_SCALER_MINMAX && !(s.low < s.high)))
        abort();
    for (int32_t i = 0; i < s.n; i++)
        if (!isfinite(s.mean[i]) || !(s.sd[i] > 0) || !isfinite(s.sd[i]) ||
            (s.named && (!s.name[i][0] || !memchr(s.name[i], 0, TC_SCALER_NAME_SIZE))))
            abort();
    return 0;
}
