/* Numbers that are packed in bits (spec 6.1, 6.2), read one after the other. */
#ifndef SWSFMT_PACKED_H
#define SWSFMT_PACKED_H

#include "bits.h"

enum { MAX_GAMMA_ZEROS = 32 };

/* Bits `at` to `stop` - 1, as far as they have been read. failed: they ended too early, or are no code. */
typedef struct {
    Bits bits;
    uint64_t at, stop;
    int failed;
} Reader;

/* A number of `width` <= 57 bits. */
static inline uint64_t take(Reader *r, unsigned width)
{
    if (width > r->stop - r->at) {
        r->failed = 1;
        return 0;
    }
    uint64_t word = peek(r->bits, r->at) & (((uint64_t)1 << width) - 1);
    r->at += width;
    return word;
}

/* A number n >= 1 in Elias gamma. */
static inline uint64_t take_gamma(Reader *r)
{
    uint64_t word = peek(r->bits, r->at) & (((uint64_t)2 << MAX_GAMMA_ZEROS) - 1);
    unsigned zeros = 0;
    if (word == 0) {
        r->failed = 1;
        return 0;
    }
    while (!(word >> zeros & 1))
        zeros++;
    take(r, zeros + 1);
    uint64_t rest = take(r, zeros);
    return (uint64_t)1 << zeros | rest;
}

#endif
