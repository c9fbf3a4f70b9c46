/* tables.h - the tables of kernels that kern.c chooses from, one a file; private to this layer. */
#pragma once

#include "kern/kern.h"

extern const struct tc_kern tc_kern_c;
extern const struct tc_kern tc_kern_avx2;
extern const struct tc_kern tc_kern_avx512;

/* e^f on [-ln2/2, ln2/2] as 1 + f + c2 f^2 + ... + c6 f^6: reweighted least squares towards equal relative
 * error, own fit, 3.1e-9. ln2 in two parts so that n * TC_LN2_HI is exact for |n| < 256. */
#define TC_EXP_C2 0x1.fffffcp-2f
#define TC_EXP_C3 0x1.555492p-3f
#define TC_EXP_C4 0x1.5558f2p-5f
#define TC_EXP_C5 0x1.1239e2p-7f
#define TC_EXP_C6 0x1.6a2434p-10f
#define TC_LOG2E 0x1.715476p+0f
#define TC_LN2_HI 0x1.62e000p-1f
#define TC_LN2_LO 0x1.0bfbe8p-15f
#define TC_EXP_MAX 87.0f     /* e^+-87 is a normal float */
#define TC_ROUND 12582912.0f /* 1.5 * 2^23: adding and taking it away rounds to a whole number */
