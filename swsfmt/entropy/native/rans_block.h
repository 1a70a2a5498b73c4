/* A block of symbols out of interleaved rANS lanes, in portable C. The variants for processors with vectors are beside. */
#ifndef SWSFMT_RANS_BLOCK_H
#define SWSFMT_RANS_BLOCK_H

#include "rans.h"

/* Before a loop over vectors, whose states stay in registers only where it is none. */
#if defined(__GNUC__) || defined(__clang__)
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* What a slot decodes to. share: frequency << 16 | first slot. element: what is written for the symbol. */
typedef struct {
    uint32_t share, element;
} Entry;

/* bits: a table has 2^bits slots. slots: for each pair of classes the number of the entry of each slot. entries: for each pair those of its alphabet.
 * columns: what the class of each column adds to the number of a slot; NULL where there are too many, or too few.
 * zeros: where there are two symbols, the frequency of the first one for each pair of classes, and no slots and entries.
 * spread: for each set of lanes out of eight, the bytes of the next words that each lane gets, 128 for none. */
typedef struct {
    int bits;
    uint16_t *slots;
    Entry *entries;
    uint32_t *columns;
    uint8_t spread[256][32];
    uint32_t zeros[MAX_LINE_CLASSES * MAX_LINE_CLASSES + 8];
} RansTables;

/* Decode `n` symbols, the first one in lane 0.
 * slots: of the tables, or those of a class of rows. in out states: one for each lane. pairs: what the pair of classes, or
 * the class of columns, of each symbol adds to the number of a slot.
 * word: the next word of 16 bits. end: after the last one. out: n elements.
 * Returns the next word after them, or NULL where there are not so many. */
typedef const uint8_t *DecodeBlock(const RansTables *t, const uint16_t *slots, uint32_t *states, size_t lanes,
                                   const uint32_t *pairs, size_t n, const uint8_t *word, const uint8_t *end,
                                   uint32_t *out);

static inline uint32_t load16(const uint8_t *p)
{
    uint16_t word;
    memcpy(&word, p, 2);
    return word;
}

/* The state after the symbol in the slot of a state, before it is renormalised. */
static inline uint32_t step(const Entry *entries, int bits, const uint16_t *slots, uint32_t state, uint32_t pair,
                            uint32_t *out)
{
    uint32_t slot = state & ((1u << bits) - 1);
    Entry entry = entries[slots[pair + slot]];
    *out = entry.element;
    return (entry.share >> 16) * (state >> bits) + slot - (entry.share & 0xffff);
}

static inline const uint8_t *decode_portable(const RansTables *t, const uint16_t *slots, uint32_t *states, size_t lanes,
                                             const uint32_t *pairs, size_t n, const uint8_t *word, const uint8_t *end,
                                             uint32_t *out)
{
    const Entry *const entries = t->entries;
    const int bits = t->bits;
    size_t k = 0;
    /* Words to spare: no branch asks whether a lane needs one, since nobody could foretell it. */
    for (; n - k >= lanes && (size_t)(end - word) > 2 * lanes; k += lanes)
        for (size_t lane = 0; lane < lanes; lane++) {
            uint32_t state = step(entries, bits, slots, states[lane], pairs[k + lane], &out[k + lane]);
            uint32_t is_low = state < RANS_LOW;
            states[lane] = state << (16 * is_low) | (load16(word) & (0u - is_low));
            word += 2 * is_low;
        }
    for (size_t lane = 0; k < n; k++) {
        uint32_t state = step(entries, bits, slots, states[lane], pairs[k], &out[k]);
        if (state < RANS_LOW) {
            if (end - word < 2)
                return NULL;
            state = state << 16 | load16(word);
            word += 2;
        }
        states[lane] = state;
        lane = lane + 1 == lanes ? 0 : lane + 1;
    }
    return word;
}

#endif
