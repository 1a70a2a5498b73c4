/* Chunks of interleaved rANS to elements of 1, 2, 4 or 8 bytes. */
#ifndef SWSFMT_RANS_CHUNK_H
#define SWSFMT_RANS_CHUNK_H

#include "rans_bits.h"
#include "rans_neon.h"

/* Rows of so many elements, and no more, are decoded row by row; others in blocks of many rows, or parts of one. */
enum { LONG_ROW = 128, LONGEST_ROW = 1 << 16 };

/* The decoder of blocks for so many lanes. vectors: whether it may be one that this processor alone has. */
static inline DecodeBlock *decoder_of(size_t lanes, int vectors)
{
#if defined(SWSFMT_AVX2) || defined(SWSFMT_NEON)
    DecodeBlock *decoder = vectors ? vector_decoder(lanes) : NULL;
    if (decoder != NULL)
        return decoder;
#endif
    (void)lanes, (void)vectors;
    return decode_portable;
}

static inline uint32_t small_element(const uint8_t *elements, size_t symbol, int bytes)
{
    uint32_t four;
    switch (bytes) {
    case 1: return elements[symbol];
    case 2: return load16(elements + 2 * symbol);
    case 4: memcpy(&four, elements + 4 * symbol, 4); return four;
    default: return (uint32_t)symbol;
    }
}

/* The numbers of a table of frequencies for each pair of classes, each with the sum 2^bits. */
typedef struct {
    const uint16_t *frequencies;
    const Classes *classes;
    size_t alphabet;
    int bits;
} Frequencies;

static inline size_t pairs_of(const Frequencies *f)
{
    return f->classes->row_classes * f->classes->column_classes;
}

static inline size_t slots_of(const Frequencies *f)
{
    return f->alphabet == 2 ? 0 : (pairs_of(f) << f->bits) + 8;
}

/* Columns that have a number each; none where all rows are cut into blocks. */
static inline size_t numbered_columns(const Frequencies *f)
{
    size_t columns = f->classes->column_count;
    return f->alphabet > 2 && columns >= LONG_ROW && columns <= LONGEST_ROW ? columns : 0;
}

/* What `put_rans_tables` needs. */
static inline size_t bytes_of_tables(const Frequencies *f)
{
    size_t entries = f->alphabet == 2 ? 0 : pairs_of(f) * f->alphabet;
    return sizeof(RansTables) + entries * sizeof(Entry) + numbered_columns(f) * sizeof(uint32_t) +
           slots_of(f) * sizeof(uint16_t);
}

/* out memory: `bytes_of_tables`, aligned as by malloc. in elements: of the alphabet, of `bytes`; those of 8 bytes stay symbols. */
static inline RansTables *put_rans_tables(const Frequencies *f, const uint8_t *elements, int bytes, void *memory)
{
    const Classes *c = f->classes;
    const uint16_t *frequencies = f->frequencies;
    size_t pairs = pairs_of(f), alphabet = f->alphabet;
    RansTables *t = memory;
    t->bits = f->bits;
    t->slots = NULL, t->entries = NULL, t->columns = NULL;
    for (size_t mask = 0; mask < 256; mask++)
        for (size_t lane = 0, next = 0; lane < 8; lane++) {
            uint32_t takes = mask >> lane & 1;
            uint32_t four = takes ? UINT32_C(0x80800100) + (uint32_t)next * 0x101 : UINT32_C(0x80808080);
            memcpy(&t->spread[mask][4 * lane], &four, 4);
            next += 2 * takes;
        }
    memset(t->zeros, 0, sizeof t->zeros);
    if (alphabet == 2) {
        for (size_t i = 0; i < pairs; i++)
            t->zeros[i] = frequencies[2 * i];
        return t;
    }
    t->entries = (Entry *)(void *)(t + 1);
    uint32_t *columns = (uint32_t *)(void *)(t->entries + pairs * alphabet);
    t->slots = (uint16_t *)(void *)(columns + numbered_columns(f));
    t->columns = numbered_columns(f) > 0 ? columns : NULL;
    for (size_t j = 0; j < numbered_columns(f); j++)
        columns[j] = (uint32_t)c->columns[j] << f->bits;
    uint16_t *slot = t->slots;
    for (size_t i = 0, start = 0; i < pairs * alphabet; i++) {
        start = i % alphabet == 0 ? 0 : start;
        t->entries[i].share = (uint32_t)frequencies[i] << 16 | (uint32_t)start;
        t->entries[i].element = small_element(elements, i % alphabet, bytes);
        /* Eight at a time: what is too much is overwritten by the next symbol, or lies in the room behind. */
        uint64_t four = i * UINT64_C(0x0001000100010001);
        for (size_t k = 0; k < frequencies[i]; k += 8) {
            memcpy(slot + k, &four, sizeof four);
            memcpy(slot + k + 4, &four, sizeof four);
        }
        slot += frequencies[i];
        start += frequencies[i];
    }
    return t;
}

/* in from: n elements as they come out of a block. out to: n elements of `bytes`. */
static inline void put_elements(const uint32_t *restrict from, size_t n, const uint8_t *elements, int bytes,
                                uint8_t *restrict to)
{
    if (bytes == 1)
        for (size_t k = 0; k < n; k++)
            to[k] = (uint8_t)from[k];
    else if (bytes == 2 && (uintptr_t)to % 2 == 0)
        /* Aligned, and so a loop of which the compiler can make vectors. */
        for (size_t k = 0; k < n; k++)
            ((uint16_t *)(void *)to)[k] = (uint16_t)from[k];
    else if (bytes == 2)
        for (size_t k = 0; k < n; k++) {
            uint16_t two = (uint16_t)from[k];
            memcpy(to + 2 * k, &two, 2);
        }
    else if (bytes == 4)
        memcpy(to, from, 4 * n);
    else
        for (size_t k = 0; k < n; k++)
            memcpy(to + 8 * k, elements + 8 * (size_t)from[k], 8);
}

/* Put the next `n` elements where they belong. in from: as they come out of a block. out out: the chunk. */
static inline void scatter_block(Walk *w, const uint32_t *from, size_t n, const uint8_t *elements, int bytes,
                                 uint8_t *out)
{
    while (n > 0) {
        size_t left = w->c->column_count - w->column, run = left < n ? left : n;
        put_elements(from, run, elements, bytes, out + (row_of(w) * w->c->column_count + w->column) * (size_t)bytes);
        from += run;
        n -= run;
        advance(w, run);
    }
}

/* in from: n symbols that are 0 or 1. in elements: two of `bytes`. out to: n of them. */
static inline void put_bits(const uint8_t *from, size_t n, const uint8_t *elements, int bytes, uint8_t *to)
{
    uint32_t zero = small_element(elements, 0, bytes), change = zero ^ small_element(elements, 1, bytes);
    if (bytes == 1)
        for (size_t k = 0; k < n; k++)
            to[k] = (uint8_t)(zero ^ (change & (0u - from[k])));
    else if (bytes == 2)
        for (size_t k = 0; k < n; k++) {
            uint16_t two = (uint16_t)(zero ^ (change & (0u - from[k])));
            memcpy(to + 2 * k, &two, 2);
        }
    else if (bytes == 4)
        for (size_t k = 0; k < n; k++) {
            uint32_t four = zero ^ (change & (0u - from[k]));
            memcpy(to + 4 * k, &four, 4);
        }
    else
        for (size_t k = 0; k < n; k++)
            memcpy(to + 8 * k, elements + 8 * (size_t)from[k], 8);
}

/* What it takes to decode a chunk. lanes: of its states. elements: of the alphabet, of `bytes`. */
typedef struct {
    const RansTables *tables;
    DecodeBlock *decode;
    DecodeBits *decode_bits;
    size_t lanes;
    const uint8_t *elements;
    int bytes;
} ChunkDecoder;

/* The next `n` elements, wherever rows end; of two symbols, no more than there are lanes. in out walk: where they are.
 * word, end: as for `DecodeBlock`, and so is what is returned. out: the chunk. */
static inline const uint8_t *decode_mixed(const ChunkDecoder *d, uint32_t *states, Walk *walk, size_t n,
                                          const uint8_t *word, const uint8_t *end, uint8_t *out)
{
    uint32_t pairs[RANS_BLOCK], block[RANS_BLOCK];
    uint8_t labels[MAX_RANS_LANES] = {0}, symbols[MAX_RANS_LANES];
    const RansTables *t = d->tables;
    Walk before = *walk;
    if (t->slots != NULL) {
        next_pairs(walk, n, 1u << t->bits, pairs);
        word = d->decode(t, t->slots, states, d->lanes, pairs, n, word, end, block);
    } else {
        assert(n <= MAX_RANS_LANES);
        next_pairs(walk, n, 1, pairs);
        put_elements(pairs, n, NULL, 1, labels);
        word = decode_bits_portable(t, t->zeros, states, d->lanes, labels, n, word, end, symbols);
        for (size_t k = 0; k < n && word != NULL; k++)
            block[k] = small_element(d->elements, symbols[k], d->bytes);
    }
    if (word != NULL && before.order == NULL)
        put_elements(block, n, d->elements, d->bytes,
                     out + (before.at * before.c->column_count + before.column) * (size_t)d->bytes);
    else if (word != NULL)
        scatter_block(&before, block, n, d->elements, d->bytes, out);
    return word;
}

/* The next `n` elements, all of a row. row_class: its class. pairs: what the columns add to the number of a slot. labels: the
 * classes of the columns. out: where the elements go. */
static inline const uint8_t *decode_row(const ChunkDecoder *d, uint32_t *states, size_t row_class,
                                        size_t column_classes, const uint32_t *pairs, const uint8_t *labels, size_t n,
                                        const uint8_t *word, const uint8_t *end, uint8_t *out)
{
    const RansTables *t = d->tables;
    if (t->slots == NULL) {
        uint8_t symbols[RANS_BLOCK];
        const uint32_t *zeros = t->zeros + row_class * column_classes;
        word = d->decode_bits(t, zeros, states, d->lanes, labels, n, word, end, symbols);
        if (word != NULL)
            put_bits(symbols, n, d->elements, d->bytes, out);
        return word;
    }
    uint32_t block[RANS_BLOCK];
    int direct = d->bytes == 4 && (uintptr_t)out % 4 == 0;
    const uint16_t *slots = t->slots + ((row_class * column_classes) << t->bits);
    word = d->decode(t, slots, states, d->lanes, pairs, n, word, end, direct ? (uint32_t *)(void *)out : block);
    if (!direct && word != NULL)
        put_elements(block, n, d->elements, d->bytes, out);
    return word;
}

/* Decode a chunk. in data: its states and words. c: the classes of its rows. order: in which they are coded.
 * out out: its elements. Returns whether it is the code of these elements: every state ends where it began, and no word
 * is left over. */
static inline int decode_rans_chunk(const ChunkDecoder *d, const Classes *c, const uint32_t *order, const uint8_t *data,
                                    size_t bytes_of_data, uint8_t *out)
{
    static const uint32_t NO_PAIRS[RANS_BLOCK] = {0};
    static const uint8_t NO_LABELS[RANS_BLOCK] = {0};
    const RansTables *t = d->tables;
    size_t lanes = d->lanes, n = c->row_count * c->column_count, many;
    uint32_t states[MAX_RANS_LANES];
    const uint8_t *word = data + 4 * lanes, *end = data + bytes_of_data;
    Walk walk = {c, order, 0, 0};
    /* Where all elements have the same tables, rows do not matter. */
    int is_uniform = c->row_classes * c->column_classes == 1, by_row = t->slots == NULL || t->columns != NULL;
    if (bytes_of_data < 4 * lanes)
        return 0;
    memcpy(states, data, 4 * lanes);
    for (size_t lane = 0; lane < lanes; lane++)
        if (states[lane] < RANS_LOW)
            return 0;
    for (size_t k = 0; k < n && word != NULL; k += many) {
        size_t left = n - k < RANS_BLOCK ? n - k : RANS_BLOCK, column = walk.column;
        size_t in_row = c->column_count - column, whole = (in_row < left ? in_row : left) / lanes * lanes;
        if (is_uniform) {
            many = left;
            word = decode_row(d, states, 0, 1, NO_PAIRS, NO_LABELS, many, word, end, out + k * (size_t)d->bytes);
        } else if (by_row && whole > 0) {
            size_t row = row_of(&walk);
            const uint32_t *pairs = t->columns == NULL ? NULL : t->columns + column;
            many = whole;
            word = decode_row(d, states, c->rows[row], c->column_classes, pairs, c->columns + column, many, word, end,
                              out + (row * c->column_count + column) * (size_t)d->bytes);
            advance(&walk, many);
        } else {
            many = by_row && left > lanes ? lanes : left;
            word = decode_mixed(d, states, &walk, many, word, end, out);
        }
    }
    for (size_t lane = 0; lane < lanes; lane++)
        if (states[lane] != RANS_LOW)
            return 0;
    return word == end;
}

#endif
