/* The range coder of spec 6.6: decisions, each with a probability, to bytes and back. */
#ifndef SWSFMT_ADAPTIVE_CODER_H
#define SWSFMT_ADAPTIVE_CODER_H

#include <stdlib.h>

#include "bits.h"
#include "logarithm.h"

/* What is called with constants is compiled for each of them. */
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/* in: `length` bytes, to be decoded; or out: those written so far, with so much room, to be freed. at: how many bytes
 * have been read or written. failed: there was no memory. bits: what the decisions take that have been encoded, in
 * fractions of `1 << LOG_BITS` bits; in logarithms: see `log2_of`. */
typedef struct {
    uint32_t low, high, code;
    const uint8_t *in;
    uint8_t *out;
    size_t length, at, room;
    int failed;
    int64_t bits;
    const int64_t *logarithms;
} Coder;

INLINE uint32_t next_byte(Coder *c)
{
    uint32_t byte = c->at < c->length ? c->in[c->at] : 0;
    c->at++;
    return byte;
}

static inline void put_byte(Coder *c, uint8_t byte)
{
    if (c->at == c->room) {
        size_t room = 2 * c->room + 256;
        uint8_t *bigger = realloc(c->out, room);
        if (bigger == NULL) {
            c->failed = 1;
            return;
        }
        c->out = bigger;
        c->room = room;
    }
    c->out[c->at++] = byte;
}

/* Whether all that is decoded from here on is 1: every byte has been used up, the code is 0 as all that follows, and so
 * it stays at the lower end of the interval. `finish_decoding` finds such an end right. */
INLINE int rest_is_ones(const Coder *c)
{
    assert(c->at < c->length + 4 || (c->code == 0 && c->low == 0));
    return c->at >= c->length + 4;
}

/* Where the interval is cut for a decision that is 1 with probability p / 65536, 0 < p < 65536. */
INLINE uint32_t middle_of(const Coder *c, uint32_t p)
{
    assert(c->low < c->high && p > 0 && p < 65536);
    return c->low + (uint32_t)(((uint64_t)(c->high - c->low) * p) >> 16);
}

/* Move the bytes out, or in, that low and high have in common. */
INLINE void shift(Coder *c, const int decoding)
{
    while ((c->low ^ c->high) >> 24 == 0) {
        if (decoding)
            c->code = c->code << 8 | next_byte(c);
        else
            put_byte(c, (uint8_t)(c->high >> 24));
        c->low <<= 8;
        c->high = c->high << 8 | 255;
    }
}

/* The fewest bytes, as the first ones of a word, whose continuation with zeros lies within low to high. out word. */
static inline int last_bytes(uint32_t low, uint32_t high, uint32_t *word)
{
    for (int bytes = 0; bytes < 4; bytes++) {
        uint32_t rest = bytes == 0 ? UINT32_MAX : UINT32_MAX >> (8 * bytes);
        *word = low == 0 ? 0 : (uint32_t)(low + rest) & ~rest;
        if (*word >= low && *word <= high)
            return bytes;
    }
    *word = low;
    return 4;
}

/* The last bytes; zeros at the end are left out. */
static inline void finish_encoding(Coder *c)
{
    uint32_t word;
    int bytes = last_bytes(c->low, c->high, &word);
    for (int i = 0; i < bytes; i++)
        put_byte(c, (uint8_t)(word >> (24 - 8 * i)));
    while (c->at > 0 && c->out[c->at - 1] == 0)
        c->at--;
}

/* Whether the bytes are those that an encoder would have written. */
static inline int finish_decoding(const Coder *c)
{
    uint32_t word;
    assert(c->at >= 4);
    size_t read = c->at - 4;
    int bytes = last_bytes(c->low, c->high, &word);
    if (c->length > read + (size_t)bytes || (c->length > 0 && c->in[c->length - 1] == 0))
        return 0;
    return bytes == 0 || (c->code ^ word) >> (32 - 8 * bytes) == 0;
}

#endif
