/* near.h - comparing doubles in tests: this cmocka compares floats only. Include after cmocka.h. */
#pragma once

#include <math.h>

#define assert_near(got, want, eps)                                    \
    do {                                                               \
        double got_ = (got), want_ = (want);                           \
        if (!(fabs(got_ - want_) <= (eps)))                            \
            fail_msg("%s = %.17g, expected %.17g", #got, got_, want_); \
    } while (0)
