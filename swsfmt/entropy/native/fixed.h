/* Codes of a fixed width to bytes: all fields of a word are taken apart at once. */
#ifndef SWSFMT_FIXED_H
#define SWSFMT_FIXED_H

#include "table.h"

/* The bits of each codeword, 1 to 7, where all patterns of so many bits stand for their own number; else 0. */
static inline int fixed_width(const Code *code)
{
    int width = code->single < 0 && code->alphabet > 1 ? code->lengths[0] : 0;
    if (width < 1 || width > 7 || code->alphabet != (size_t)1 << width)
        return 0;
    for (size_t s = 0; s < code->alphabet; s++)
        if (code->lengths[s] != width || code->codewords[s] != s)
            return 0;
    return width;
}

/* Masks of the fields of half, a quarter and an eighth of a word. */
typedef struct {
    uint64_t half, quarter, eighth;
} Fields;

static inline Fields fields_of(int width)
{
    Fields f = {((uint64_t)1 << (4 * width)) - 1, (((uint64_t)1 << (2 * width)) - 1) * UINT64_C(0x100000001),
                (((uint64_t)1 << width) - 1) * UINT64_C(0x1000100010001)};
    return f;
}

/* The lowest eight fields of a word, as eight bytes. */
static inline uint64_t eight_fields(uint64_t word, int width, Fields f)
{
    word = (word & f.half) | (word >> (4 * width) & f.half) << 32;
    word = (word & f.quarter) | (word >> (2 * width) & f.quarter) << 16;
    return (word & f.eighth) | (word >> width & f.eighth) << 8;
}

/* `n` fields from bit `at` on, all of which are there, to elements of one byte. in elements: 2^width of them. */
static inline void unpack(Bits b, uint64_t at, size_t n, int width, const uint8_t *elements, uint8_t *out)
{
    const Fields f = fields_of(width);
    size_t count = (size_t)1 << width, k = 0;
    int is_itself = 1;
    assert(at + n * (uint64_t)width <= 8 * (uint64_t)b.bytes);
    for (size_t s = 0; s < count; s++)
        is_itself &= elements[s] == s;
    for (; n - k >= 8 && (at >> 3) + 8 <= b.bytes; k += 8, at += 8 * (uint64_t)width) {
        /* A byte that is begun leaves 57 bits. */
        put64(out + k, eight_fields(load64(b.data + (at >> 3)) >> (at & 7), width, f));
        for (size_t i = k; !is_itself && i < k + 8; i++)
            /* Another thread may write there meanwhile. */
            out[i] = elements[out[i] & (count - 1)];
    }
    for (; k < n; k++, at += (uint64_t)width)
        out[k] = elements[peek(b, at) & (count - 1)];
}

#endif
