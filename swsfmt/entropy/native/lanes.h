/* Bits to symbols, and to the elements that they stand for: table lookups, in up to four places of a stream at once. */
#ifndef SWSFMT_LANES_H
#define SWSFMT_LANES_H

#include "table.h"

enum { LANES = 4, SLACK = 8 };

/* A stream that is decoded from bit `at` on until `want` elements are out or bit `end` is reached.
 * out: room for `want` elements, of which `count` are there. */
typedef struct {
    uint64_t at, end;
    size_t count, want;
    uint8_t *out;
} Lane;

/* Rounds of four lookups that surely stay within the stream and the buffer. */
static inline size_t safe_rounds(const Table *t, const Lane *lane)
{
    size_t most = t->bytes == 1 ? 24 : 12;
    assert(t->has_multi && lane->count <= lane->want);
    if (lane->end < lane->at + 64 || lane->want < lane->count + SLACK)
        return 0;
    size_t by_bits = (size_t)(lane->end - lane->at - 64) / (size_t)(4 * t->width);
    size_t by_room = (lane->want - lane->count - SLACK) / most;
    return by_bits < by_room ? by_bits : by_room;
}

/* `word` holds the stream from bit SHIFT on, so that it is, masked, the offset of a table entry. The low six bits of an
 * entry are the bits it consumes; those of the sum of four entries are the bits of all four, since these are at most
 * 48. The only chain from one lookup to the next is: mask, load, shift. */
#define LOOKUP_PACKED(I)                                                                                               \
    do {                                                                                                               \
        uint64_t entry;                                                                                                \
        memcpy(&entry, table + (word##I & mask), 8);                                                                   \
        put64(out##I, entry >> 16);                                                                                    \
        out##I += entry >> 8 & 255;                                                                                    \
        word##I >>= entry & 63;                                                                                        \
        sum##I += entry;                                                                                               \
    } while (0)

#define LOOKUP_WIDE(I)                                                                                                 \
    do {                                                                                                               \
        const Wide *entry = (const Wide *)(const void *)(table + (word##I & mask));                                    \
        memcpy(out##I, entry, sizeof *entry);                                                                          \
        out##I += entry->size;                                                                                         \
        word##I >>= entry->bits & 63;                                                                                  \
        sum##I += entry->bits;                                                                                         \
    } while (0)

#define BEGIN(I, BYTES)                                                                                                \
    uint64_t at##I = lanes[I].at;                                                                                      \
    uint8_t *out##I = lanes[I].out + lanes[I].count * BYTES
#define REFILL(I, SHIFT) uint64_t word##I = load64(data + (at##I >> 3)) >> (at##I & 7) << SHIFT, sum##I = 0
#define ADVANCE(I) at##I += sum##I & 63
#define END(I, BYTES) lanes[I].at = at##I, lanes[I].count = (size_t)(out##I - lanes[I].out) / BYTES
#define FOUR_TIMES(WHAT) WHAT; WHAT; WHAT; WHAT

/* One lane alone, and four in turn, lookup by lookup: their chains overlap in the processor, whose window is too short
 * for a whole round of each. in out lanes: 1 or 4; each has `n` rounds that `safe_rounds` allows. */
#define ROUNDS(NAME, LOOKUP, BYTES, SHIFT)                                                                             \
    static void NAME##_one(Bits b, const Table *t, Lane *lanes, size_t n)                                              \
    {                                                                                                                  \
        const uint64_t mask = (((uint64_t)1 << t->width) - 1) << SHIFT;                                                \
        const uint8_t *data = b.data, *table = (const uint8_t *)&t->multi;                                             \
        BEGIN(0, BYTES);                                                                                               \
        while (n--) {                                                                                                  \
            REFILL(0, SHIFT);                                                                                          \
            FOUR_TIMES(LOOKUP(0));                                                                                     \
            ADVANCE(0);                                                                                                \
        }                                                                                                              \
        END(0, BYTES);                                                                                                 \
    }                                                                                                                  \
    static void NAME##_four(Bits b, const Table *t, Lane *lanes, size_t n)                                             \
    {                                                                                                                  \
        const uint64_t mask = (((uint64_t)1 << t->width) - 1) << SHIFT;                                                \
        const uint8_t *data = b.data, *table = (const uint8_t *)&t->multi;                                             \
        BEGIN(0, BYTES);                                                                                               \
        BEGIN(1, BYTES);                                                                                               \
        BEGIN(2, BYTES);                                                                                               \
        BEGIN(3, BYTES);                                                                                               \
        while (n--) {                                                                                                  \
            REFILL(0, SHIFT);                                                                                          \
            REFILL(1, SHIFT);                                                                                          \
            REFILL(2, SHIFT);                                                                                          \
            REFILL(3, SHIFT);                                                                                          \
            FOUR_TIMES(LOOKUP(0); LOOKUP(1); LOOKUP(2); LOOKUP(3));                                                    \
            ADVANCE(0);                                                                                                \
            ADVANCE(1);                                                                                                \
            ADVANCE(2);                                                                                                \
            ADVANCE(3);                                                                                                \
        }                                                                                                              \
        END(0, BYTES);                                                                                                 \
        END(1, BYTES);                                                                                                 \
        END(2, BYTES);                                                                                                 \
        END(3, BYTES);                                                                                                 \
    }

ROUNDS(byte, LOOKUP_PACKED, 1, 3)
ROUNDS(pair, LOOKUP_PACKED, 2, 3)
ROUNDS(quad, LOOKUP_WIDE, 4, 4)

typedef void Rounds(Bits, const Table *, Lane *, size_t);

/* By size of the elements: 1, 2, 4 bytes. */
static Rounds *const ONE[3] = {byte_one, pair_one, quad_one};
static Rounds *const FOUR[3] = {byte_four, pair_four, quad_four};

/* All that four lanes can safely do together. in out lanes: LANES of them. The table must have `multi`. */
static inline void rounds_four(Bits b, const Table *t, Lane *lanes)
{
    for (;;) {
        size_t n = (size_t)-1;
        for (int i = 0; i < LANES; i++) {
            size_t own = safe_rounds(t, &lanes[i]);
            n = own < n ? own : n;
        }
        if (n == 0)
            return;
        FOUR[t->bytes >> 1](b, t, lanes, n);
    }
}

static inline void put_element(const Table *t, Lane *lane, uint32_t symbol)
{
    uint32_t element = element_of(t, symbol);
    uint16_t two = (uint16_t)element;
    if (t->bytes == 1)
        lane->out[lane->count] = (uint8_t)element;
    else if (t->bytes == 2)
        memcpy(lane->out + 2 * lane->count, &two, 2);
    else
        memcpy(lane->out + 4 * lane->count, &element, 4);
    lane->count++;
}

/* The rest of a lane: returns 0 where a codeword would go past `end` or a pattern is none. */
static inline int finish(Bits b, const Table *t, Lane *lane)
{
    size_t rounds;
    uint64_t mask = ((uint64_t)1 << t->width) - 1;
    assert(lane->at <= lane->end && lane->end <= 8 * (uint64_t)b.bytes && lane->count <= lane->want);
    if (t->single >= 0) {
        while (lane->count < lane->want)
            put_element(t, lane, (uint32_t)t->single);
        return 1;
    }
    while (t->has_multi && (rounds = safe_rounds(t, lane)) > 0)
        ONE[t->bytes >> 1](b, t, lane, rounds);
    while (lane->count < lane->want && lane->at < lane->end) {
        size_t pattern = (size_t)(peek(b, lane->at) & mask);
        if (lane->end - lane->at < t->length[pattern] || t->symbol[pattern] >= t->alphabet)
            return 0;
        put_element(t, lane, t->symbol[pattern]);
        lane->at += t->length[pattern];
    }
    return 1;
}

#endif
