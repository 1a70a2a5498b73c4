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

static inline void free_tables(RansTables *t)
{
    if (t != NULL) {
        free(t->slots);
        free(t->entries);
        free(t->columns);
        free(t);
    }
}

/* Tables to be given back; NULL where there is no memory. in frequencies: a table of an alphabet for each pair of classes, each with the
 * sum 2^bits. elements: of the alphabet, of `bytes`; those of 8 bytes stay symbols. */
static inline RansTables *make_rans_tables(const uint16_t *frequencies, int bits, const Classes *c, size_t alphabet,
                                           const uint8_t *elements, int bytes)
{
    size_t pairs = c->row_classes * c->column_classes;
    RansTables *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->bits = bits;
    for (size_t mask = 0; mask < 256; mask++)
        for (size_t lane = 0, next = 0; lane < 8; lane++)
            for (size_t byte = 0; byte < 4; byte++)
                t->spread[mask][4 * lane + byte] = (uint8_t)(byte < 2 && mask >> lane & 1 ? next++ : 128);
    if (alphabet == 2) {
        for (size_t i = 0; i < pairs; i++)
            t->zeros[i] = frequencies[2 * i];
        return t;
    }
    t->slots = malloc(((pairs << bits) + 8) * sizeof *t->slots);
    t->entries = malloc(pairs * alphabet * sizeof *t->entries);
    int by_row = c->column_count >= LONG_ROW && c->column_count <= LONGEST_ROW;
    t->columns = by_row ? malloc(c->column_count * sizeof *t->columns) : NULL;
    if (t->slots == NULL || t->entries == NULL || (by_row && t->columns == NULL)) {
        free_tables(t);
        return NULL;
    }
    for (size_t j = 0; by_row && j < c->column_count; j++)
        t->columns[j] = (uint32_t)c->columns[j] << bits;
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
static inline void put_elements(const uint32_t *from, size_t n, const uint8_t *elements, int bytes, uint8_t *to)
{
    if (bytes == 1)
        for (size_t k = 0; k < n; k++)
            to[k] = (uint8_t)from[k];
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

/* Decode the rows of a chunk. word, end: its words. For the others see `decode_rans_chunk`. Returns the word after them, or
 * NULL where there are not so many. */
static inline const uint8_t *decode_rows(const RansTables *t, DecodeBlock *decode, const Classes *c,
                                         const uint32_t *order, uint32_t *states, size_t lanes, const uint8_t *word,
                                         const uint8_t *end, const uint8_t *elements, int bytes, uint8_t *out)
{
    uint32_t pairs[RANS_BLOCK], block[RANS_BLOCK];
    Walk walk = {c, order, 0, 0};
    int direct = bytes == 4 && (uintptr_t)out % 4 == 0;
    size_t n = c->row_count * c->column_count, many;
    for (size_t k = 0; k < n && word != NULL; k += many) {
        size_t left = n - k < RANS_BLOCK ? n - k : RANS_BLOCK, in_row = c->column_count - walk.column;
        many = (in_row < left ? in_row : left) / lanes * lanes;
        if (t->columns != NULL && many > 0) {
            /* Within a row its columns say it all. */
            uint8_t *to = out + (row_of(&walk) * c->column_count + walk.column) * (size_t)bytes;
            const uint16_t *slots = t->slots + ((c->rows[row_of(&walk)] * c->column_classes) << t->bits);
            word = decode(t, slots, states, lanes, t->columns + walk.column, many, word, end,
                          direct ? (uint32_t *)(void *)to : block);
            if (!direct && word != NULL)
                put_elements(block, many, elements, bytes, to);
            advance(&walk, many);
            continue;
        }
        Walk before = walk;
        many = t->columns == NULL || left < lanes ? left : lanes;
        next_pairs(&walk, many, 1u << t->bits, pairs);
        word = decode(t, t->slots, states, lanes, pairs, many, word, end, block);
        if (word != NULL && order == NULL)
            put_elements(block, many, elements, bytes, out + k * (size_t)bytes);
        else if (word != NULL)
            scatter_block(&before, block, many, elements, bytes, out);
    }
    return word;
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

/* The same as `decode_rows` of two symbols. */
static inline const uint8_t *decode_rows_of_bits(const RansTables *t, DecodeBits *decode, const Classes *c,
                                                 const uint32_t *order, uint32_t *states, size_t lanes,
                                                 const uint8_t *word, const uint8_t *end, const uint8_t *elements,
                                                 int bytes, uint8_t *out)
{
    uint8_t block[RANS_BLOCK], labels[RANS_BLOCK];
    uint32_t pairs[RANS_BLOCK], spaced[RANS_BLOCK];
    Walk walk = {c, order, 0, 0};
    size_t n = c->row_count * c->column_count, many;
    for (size_t k = 0; k < n && word != NULL; k += many) {
        size_t left = n - k < RANS_BLOCK ? n - k : RANS_BLOCK, in_row = c->column_count - walk.column;
        many = (in_row < left ? in_row : left) / lanes * lanes;
        if (many > 0) {
            uint8_t *to = out + (row_of(&walk) * c->column_count + walk.column) * (size_t)bytes;
            const uint32_t *zeros = t->zeros + c->rows[row_of(&walk)] * c->column_classes;
            word = decode(t, zeros, states, lanes, c->columns + walk.column, many, word, end, block);
            if (word != NULL)
                put_bits(block, many, elements, bytes, to);
            advance(&walk, many);
            continue;
        }
        Walk before = walk;
        many = c->column_count < lanes || left < lanes ? left : lanes;
        next_pairs(&walk, many, 1, pairs);
        for (size_t i = 0; i < many; i++)
            labels[i] = (uint8_t)pairs[i];
        word = decode_bits_portable(t, t->zeros, states, lanes, labels, many, word, end, block);
        for (size_t i = 0; i < many && word != NULL; i++)
            spaced[i] = small_element(elements, block[i], bytes);
        if (word != NULL)
            scatter_block(&before, spaced, many, elements, bytes, out);
    }
    return word;
}

/* Decode a chunk. in data: its states and words. c: the classes of its rows. order: in which they are coded.
 * out out: its elements. Returns whether it is the code of these elements: every state ends where it began, and no word
 * is left over. */
static inline int decode_rans_chunk(const RansTables *t, int vectors, const Classes *c, const uint32_t *order,
                                    size_t lanes, const uint8_t *data, size_t bytes_of_data, const uint8_t *elements,
                                    int bytes, uint8_t *out)
{
    uint32_t states[MAX_RANS_LANES];
    const uint8_t *word = data + 4 * lanes, *end = data + bytes_of_data;
    if (bytes_of_data < 4 * lanes)
        return 0;
    memcpy(states, data, 4 * lanes);
    for (size_t lane = 0; lane < lanes; lane++)
        if (states[lane] < RANS_LOW)
            return 0;
    if (t->slots == NULL)
        word = decode_rows_of_bits(t, bit_decoder_of(lanes, vectors), c, order, states, lanes, word, end, elements,
                                   bytes, out);
    else
        word = decode_rows(t, decoder_of(lanes, vectors), c, order, states, lanes, word, end, elements, bytes, out);
    for (size_t lane = 0; lane < lanes; lane++)
        if (states[lane] != RANS_LOW)
            return 0;
    return word == end;
}

#endif
