/* Numbers of the dtypes of the registry as floats of C, and back, by integer arithmetic where a machine has no such
 * numbers itself; the same on all of them. */
#ifndef SWSFMT_REALS_H
#define SWSFMT_REALS_H

#include <stdint.h>
#include <string.h>

/* Ids of the registry. */
enum { U8 = 1, I8 = 2, U16 = 3, I16 = 4, U32 = 5, I32 = 6, F16 = 9, BF16 = 10, F32 = 11, F64 = 12 };

static const uint32_t NAN_32 = 0x7FC00000, NAN_BF16 = 0x7FC0, NAN_16 = 0x7E00;
static const uint64_t NAN_64 = 0x7FF8000000000000;

static inline uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float from_bfloat16(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

/* The product is exact, and makes normal numbers of those that are not. */
static inline float from_half(uint16_t h)
{
    uint32_t rest = (uint32_t)(h & 0x7FFF) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t finite = bits_of(float_of(rest) * float_of(0x77800000));
    return float_of((rest >= 0x0F800000 ? rest | 0x7F800000 : finite) | sign);
}

/* Rounded to the nearest, ties to even; there is one NaN. */
static inline uint16_t to_bfloat16(float x)
{
    uint32_t bits = bits_of(x), rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((int32_t)(bits & 0x7FFFFFFF) > 0x7F800000 ? NAN_BF16 : rounded);
}

/* The same. Below 2**-14 a sum with 0.5 rounds to the 2**-24 that are left. */
static inline uint16_t to_half(float x)
{
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000;
    int32_t size = (int32_t)(bits & 0x7FFFFFFF);
    uint32_t normal = ((uint32_t)size - 0x38000000 + 0xFFF + ((uint32_t)size >> 13 & 1)) >> 13;
    uint32_t small = bits_of(float_of((uint32_t)size) + 0.5f) - 0x3F000000;
    uint32_t rounded = size < 0x38800000 ? small : normal;
    rounded = size >= 0x477FF000 ? 0x7C00 : rounded;
    return (uint16_t)(size > 0x7F800000 ? NAN_16 : rounded | sign);
}

#endif
