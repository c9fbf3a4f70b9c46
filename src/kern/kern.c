#include "kern/kern.h"
#include "kern/tables.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static const struct tc_kern *const tables[] = {
    &tc_kern_c,
#if defined(__x86_64__)
    &tc_kern_avx2, &tc_kern_avx512, &tc_kern_bf16, &tc_kern_vnni,
#elif defined(__aarch64__)
    &tc_kern_neon,
#endif
};
enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

const struct tc_kern *tc_kern_at(size_t i)
{
    return i < TABLES ? tables[i] : NULL;
}

/* __builtin_cpu_supports looks at CPUID and at what the operating system saves (XGETBV). */
bool tc_kern_runs(const struct tc_kern *k)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
    if (k == &tc_kern_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (k == &tc_kern_avx512)
        return avx512;
    if (k == &tc_kern_vnni)
        return avx512 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni");
    if (k == &tc_kern_bf16)
        return avx512 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512bf16");
#elif defined(__aarch64__)
    if (k == &tc_kern_neon)
        return true;
#endif
    return k == &tc_kern_c;
}

const struct tc_kern *tc_kern_find(const char *name)
{
    for (size_t i = 0; i < TABLES; i++)
        if (strcmp(tables[i]->name, name) == 0)
            return tc_kern_runs(tables[i]) ? tables[i] : NULL;
    return NULL;
}

const struct tc_kern *tc_kern_reduced(void)
{
    for (size_t i = TABLES; i-- > 0;)
        if (tables[i]->format != TC_PACK_FLOAT && tc_kern_runs(tables[i]))
            return tables[i];
    return NULL;
}

int tc_kern_choose(const struct tc_kern **out)
{
    const char *forced = getenv("TICKCAST_KERNEL");
    if (forced && forced[0]) {
        *out = tc_kern_find(forced);
        if (!*out)
            return tc_fail(
                TC_ECONF,
                "TICKCAST_KERNEL=%s: no such kernel on this machine; `tickcast bench lstm` lists them",
                forced);
        return TC_OK;
    }
    for (size_t i = TABLES; i-- > 0;)
        if (tables[i]->format == TC_PACK_FLOAT && tc_kern_runs(tables[i])) {
            *out = tables[i];
            return TC_OK;
        }
    return tc_fail(TC_EINTERNAL, "no kernel runs on this machine");
}

#if defined(__x86_64__)
enum { FLUSH = 0x8040 }; /* MXCSR: flush results to zero, take denormal inputs as zero */

unsigned tc_kern_enter(void)
{
    unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | FLUSH);
    return mode;
}

void tc_kern_leave(unsigned mode)
{
    _mm_setcsr(mode);
}
#elif defined(__aarch64__)
enum { FLUSH = 1 << 24 }; /* FPCR.FZ */

unsigned tc_kern_enter(void)
{
    unsigned long mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | FLUSH));
    return (unsigned)mode;
}

void tc_kern_leave(unsigned mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((unsigned long)mode));
}
#else
unsigned tc_kern_enter(void)
{
    return 0;
}

void tc_kern_leave(unsigned mode)
{
    (void)mode;
}
#endif
