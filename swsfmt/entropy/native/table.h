/* Tables that tell what the next bits of a stream decode to.
 *
 * Codes are complete prefix codes (Kraft sum 1) of at most 12 bits, or fixed widths, of which some patterns may be no
 * codeword: holes.
 */
#ifndef SWSFMT_TABLE_H
#define SWSFMT_TABLE_H

#include <stdlib.h>

#include "bits.h"

enum { MIN_WIDTH = 10 };

/* A code as it comes from Python.
 * codewords: `alphabet` of them, first bit lowest. lengths: as many, each at most MAX_LENGTH bits, 0 where a symbol is
 * not used. single: the one symbol of a code without bits, or -1. */
typedef struct {
    const uint16_t *codewords;
    const uint8_t *lengths;
    size_t alphabet;
    int single;
} Code;

/* What a pattern of `width` bits decodes to: as many whole codewords as fit. Elements are what a symbol stands for:
 * itself, or a value of the codebook. Small elements are packed into one word behind the two counts. */
typedef struct {
    uint32_t element[3];
    uint16_t bits, size; /* bits consumed, bytes of elements */
} Wide;

typedef struct {
    union {
        uint64_t packed[PATTERNS]; /* bits consumed, bytes of elements, then up to 6 elements of one byte or 3 of two */
        Wide wide[PATTERNS];
    } multi;
    int width;     /* of a pattern in bits */
    int bytes;     /* of an element: 1, 2 or 4 */
    int single;    /* the symbol of a code without bits, or -1 */
    int has_multi; /* whether `multi` is filled: it takes longer than to decode a short stream symbol by symbol */
    uint32_t alphabet;
    const uint8_t *elements; /* of all symbols, or NULL where a symbol stands for itself */
    uint16_t symbol[PATTERNS]; /* of a hole: `alphabet` */
    uint8_t length[PATTERNS];
} Table;

static inline uint32_t element_of(const Table *t, uint32_t symbol)
{
    uint16_t two;
    uint32_t four;
    if (t->elements == NULL || symbol >= t->alphabet)
        return symbol;
    if (t->bytes == 1)
        return t->elements[symbol];
    if (t->bytes == 2) {
        memcpy(&two, t->elements + 2 * symbol, 2);
        return two;
    }
    memcpy(&four, t->elements + 4 * symbol, 4);
    return four;
}

/* The Kraft sum in units of 1 / PATTERNS. */
static inline uint32_t kraft_sum(const Code *code)
{
    uint32_t sum = 0;
    for (size_t s = 0; s < code->alphabet; s++)
        if (code->lengths[s])
            sum += PATTERNS >> code->lengths[s];
    return sum;
}

/* Fill `symbol` and `length` of all patterns of `width` bits. */
static inline void fill_single(Table *t, const Code *code)
{
    const uint8_t *lengths = code->lengths;
    size_t size = (size_t)1 << t->width;
    for (size_t i = 0; i < size; i++)
        t->symbol[i] = (uint16_t)code->alphabet;
    memset(t->length, lengths[0] ? lengths[0] : t->width, size);
    for (size_t s = 0; s < code->alphabet; s++)
        if (lengths[s])
            for (size_t i = code->codewords[s]; i < size; i += (size_t)1 << lengths[s]) {
                t->symbol[i] = (uint16_t)s;
                t->length[i] = lengths[s];
            }
}

/* Fill `multi`, from what `fill_single` has filled. */
static inline void fill_multi(Table *t)
{
    const int room = t->bytes == 1 ? 6 : 3;
    const size_t size = (size_t)1 << t->width;
    for (size_t i = 0; i < size; i++) {
        Wide wide = {{0, 0, 0}, 0, 0};
        uint64_t packed = 0;
        int used = 0, count = 0;
        while (count < room && used + t->length[i >> used] <= t->width) {
            /* A hole takes no bits: whoever meets it stays there, and does not end where the chunk does. */
            int is_hole = t->symbol[i >> used] >= t->alphabet;
            if (is_hole && count > 0)
                break;
            uint32_t element = element_of(t, t->symbol[i >> used]);
            used += is_hole ? 0 : t->length[i >> used];
            if (t->bytes == 4)
                wide.element[count] = element;
            else
                packed |= (uint64_t)element << (16 + count * 8 * t->bytes);
            count++;
            if (is_hole)
                break;
        }
        wide.bits = (uint16_t)used, wide.size = (uint16_t)(4 * count);
        if (t->bytes == 4)
            t->multi.wide[i] = wide;
        else
            t->multi.packed[i] = packed | (uint64_t)used | (uint64_t)(count * t->bytes) << 8;
    }
}

/* A table of a code, to be freed; NULL where there is no memory.
 * elements: in, `bytes` (1, 2 or 4) for each symbol of the alphabet, kept by the table; or NULL, then symbols stand for
 * themselves and `bytes` is 2. count: about how many symbols will be decoded. checked: whoever decodes sees whether a
 * lane ends at its last bit; otherwise a code with holes is decoded symbol by symbol. */
static inline Table *make_table(const Code *code, const uint8_t *elements, int bytes, size_t count, int checked)
{
    assert(code->alphabet >= 1 && code->alphabet <= PATTERNS && code->single < (int)code->alphabet);
    assert(bytes == 1 || bytes == 2 || bytes == 4);
    assert(elements != NULL || bytes == 2);
    Table *t = malloc(sizeof *t);
    if (t == NULL)
        return NULL;
    t->width = 1;
    t->bytes = bytes;
    t->single = code->single;
    t->has_multi = 0;
    t->alphabet = (uint32_t)code->alphabet;
    t->elements = elements;
    if (t->single >= 0)
        return t;
    for (size_t s = 0; s < code->alphabet; s++) {
        assert(code->lengths[s] <= MAX_LENGTH);
        if (code->lengths[s] > t->width)
            t->width = code->lengths[s];
    }
    /* A pattern of `multi` costs about as much as two symbols do. Small tables stay in the first-level cache. */
    int width = t->width < MIN_WIDTH ? MIN_WIDTH : t->width;
    t->has_multi = count >> 1 >= (size_t)1 << width && (checked || kraft_sum(code) == PATTERNS);
    if (t->has_multi)
        t->width = width;
    fill_single(t, code);
    if (t->has_multi)
        fill_multi(t);
    return t;
}

#endif
