/* Bits in memory (spec 6.1): bytes fill from the least significant bit; codewords come with their first bit lowest. */
#ifndef SWSFMT_BITS_H
#define SWSFMT_BITS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Elements and tables are read as the machine has them in memory, which must be as files have them. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the kernels of swsfmt are for little-endian machines; elsewhere the package works without them, slower"
#endif

/* Of a codeword, in bits. */
enum { MAX_LENGTH = 12 };

/* What the next bits of a stream may be, at most. */
#define PATTERNS (1u << MAX_LENGTH)

/* in p: 8 bytes, wherever they lie. */
static inline uint64_t load64(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

/* out p: 8 bytes, wherever they lie. */
static inline void put64(uint8_t *p, uint64_t word)
{
    memcpy(p, &word, 8);
}

typedef struct {
    const uint8_t *data;
    size_t bytes;
} Bits;

/* At least 57 bits from bit `at` on; zeros past the end. */
static inline uint64_t peek(Bits b, uint64_t at)
{
    size_t byte = (size_t)(at >> 3);
    if (byte + 8 <= b.bytes)
        return load64(b.data + byte) >> (at & 7);
    uint8_t rest[8] = {0};
    if (byte < b.bytes)
        memcpy(rest, b.data + byte, b.bytes - byte);
    return load64(rest) >> (at & 7);
}

#endif
