/* What variants for x86 processors with AVX2 need. They are compiled on every x86, and chosen at run time. */
#ifndef SWSFMT_AVX2_H
#define SWSFMT_AVX2_H

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define SWSFMT_AVX2
#include <immintrin.h>

#define WITH_AVX2 __attribute__((target("avx2,popcnt")))

static inline int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
}

#endif
#endif
