/* Logarithms in integers, equal on every machine: see logarithms.py. */
#ifndef SWSFMT_LOGARITHM_H
#define SWSFMT_LOGARITHM_H

#include <stdint.h>

enum { LOG_BITS = 12, LOGARITHMS = 256 };

/* log2 of n >= 1 in fractions of `1 << LOG_BITS`, from its leading 9 bits. in logarithms: of 1 + i / 256. */
static inline int64_t log2_of(int64_t n, const int64_t *logarithms)
{
    uint64_t mantissa = (uint64_t)n;
    int64_t exponent = 8;
    for (; mantissa >= 512; mantissa >>= 1)
        exponent++;
    for (; mantissa < 256; mantissa <<= 1)
        exponent--;
    return exponent * ((int64_t)1 << LOG_BITS) + logarithms[mantissa - 256];
}

#endif
