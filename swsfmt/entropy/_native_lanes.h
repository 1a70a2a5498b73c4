/* Bits to symbols, and to the elements that they stand for: table lookups, in up to four places of a stream at a time.
 *
 * Codes are complete prefix codes (Kraft sum 1) of at most 12 bits, or fixed widths; Python has checked that.
 */
#ifndef SWSFMT_NATIVE_LANES_H
#define SWSFMT_NATIVE_LANES_H

#include "_native.h"

enum { MIN_WIDTH = 10, LANES = 4, SLACK = 8 };

/* Results besides the number of a bad chunk, which is not negative. */
enum { FINE = -1, NO_MEMORY = -2 };

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* What a pattern of `width` bits decodes to: as many whole codewords as fit. Elements are what a symbol stands for:
 * itself, or a value of the codebook. Small elements are packed into one word behind the two counts. */
typedef struct {
    uint32_t element[3];
    uint16_t bits, size; /* bits consumed, bytes of elements */
} Wide;

typedef struct {
    union {
        uint64_t packed[PATTERNS]; /* bits consumed, elements, then up to 6 elements of one byte or 3 of two */
        Wide wide[PATTERNS];
    } multi;
    int width;     /* of a pattern in bits; small tables stay in the first-level cache */
    int bytes;     /* of an element: 1, 2 or 4 */
    int single;    /* the symbol of a code without bits, or -1 */
    int has_holes; /* patterns without a codeword exist (only in a fixed-width code), whose symbol is `alphabet`, and
                      whoever decodes does not check where each chunk ends */
    uint32_t alphabet;
    const uint8_t *elements; /* of all symbols, or NULL where a symbol stands for itself */
    uint16_t symbol[PATTERNS];
    uint8_t length[PATTERNS];
} Table;

static uint32_t element_of(const Table *t, uint32_t symbol)
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

static void build(Table *t, const uint16_t *codewords, const uint8_t *lengths, size_t alphabet, int single,
                  const uint8_t *elements, int bytes)
{
    uint32_t kraft = 0;
    t->width = MIN_WIDTH;
    for (size_t s = 0; s < alphabet; s++) {
        if (lengths[s] > t->width)
            t->width = lengths[s];
        if (lengths[s])
            kraft += 1u << (MAX_LENGTH - lengths[s]);
    }
    size_t size = (size_t)1 << t->width;
    t->bytes = bytes;
    t->single = single;
    t->has_holes = single < 0 && kraft < PATTERNS;
    t->alphabet = (uint32_t)alphabet;
    t->elements = elements;
    if (single >= 0)
        return;
    for (size_t i = 0; i < size; i++) {
        t->symbol[i] = (uint16_t)alphabet;
        t->length[i] = (uint8_t)(lengths[0] ? lengths[0] : t->width);
    }
    for (size_t s = 0; s < alphabet; s++)
        if (lengths[s])
            for (size_t i = codewords[s]; i < size; i += (size_t)1 << lengths[s]) {
                t->symbol[i] = (uint16_t)s;
                t->length[i] = lengths[s];
            }
    int room = bytes == 1 ? 6 : 3;
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
            if (bytes == 4)
                wide.element[count] = element;
            else
                packed |= (uint64_t)element << (16 + count * 8 * bytes);
            count++;
            if (is_hole)
                break;
        }
        wide.bits = (uint16_t)used, wide.size = (uint16_t)(4 * count);
        if (bytes == 4)
            t->multi.wide[i] = wide;
        else
            t->multi.packed[i] = packed | (uint64_t)used | (uint64_t)(count * bytes) << 8;
    }
}

/* ---- bits to symbols --------------------------------------------------------------------------------------------- */

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

/* A stream that is decoded from bit `at` on until `want` elements are out or bit `end` is reached. */
typedef struct {
    uint64_t at, end;
    size_t count, want;
    uint8_t *out;
} Lane;

/* Rounds of four lookups that surely stay within the stream and the buffer. */
static size_t safe_rounds(const Table *t, const Lane *lane)
{
    size_t most = t->bytes == 1 ? 24 : 12;
    if (lane->end < lane->at + 64 || lane->want < lane->count + SLACK)
        return 0;
    size_t by_bits = (size_t)(lane->end - lane->at - 64) / (size_t)(4 * t->width);
    size_t by_room = (lane->want - lane->count - SLACK) / most;
    return by_bits < by_room ? by_bits : by_room;
}

/* `word` holds the stream from bit SHIFT on, so that it is, masked, the offset of a table entry. The low six bits of an
 * entry are the bits it consumes; those of the sum of four entries are the bits of all four, since these are at most 48.
 * The only chain from one lookup to the next is: mask, load, shift. */
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
 * for a whole round of each. */
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

/* All that four lanes can safely do together. */
static void rounds_four(Bits b, const Table *t, Lane *lanes)
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

static void put_element(const Table *t, Lane *lane, uint32_t symbol)
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
static int finish(Bits b, const Table *t, Lane *lane)
{
    size_t rounds;
    uint64_t mask = ((uint64_t)1 << t->width) - 1;
    if (t->single >= 0) {
        while (lane->count < lane->want)
            put_element(t, lane, (uint32_t)t->single);
        return 1;
    }
    while (!t->has_holes && (rounds = safe_rounds(t, lane)) > 0)
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

/* ---- codes from Python ------------------------------------------------------------------------------------------- */

typedef struct {
    Py_buffer codewords, lengths;
    int single;
} Code;

static void release_code(Code *c)
{
    PyBuffer_Release(&c->codewords);
    PyBuffer_Release(&c->lengths);
}

/* A code is the tuple (codewords, lengths, single). */
static int parse_code(PyObject *tuple, Code *c)
{
    if (!PyArg_ParseTuple(tuple, "y*y*i", &c->codewords, &c->lengths, &c->single))
        return 0;
    if (c->codewords.len != 2 * c->lengths.len || c->lengths.len < 1 || c->lengths.len > 1 << MAX_LENGTH ||
        c->single >= c->lengths.len) {
        release_code(c);
        PyErr_SetString(PyExc_ValueError, "a code has 1 to 4096 symbols");
        return 0;
    }
    return 1;
}

static Table *make_table(const Code *c, const uint8_t *elements, int bytes)
{
    Table *t = malloc(sizeof *t);
    if (t != NULL)
        build(t, c->codewords.buf, c->lengths.buf, (size_t)c->lengths.len, c->single, elements, bytes);
    return t;
}

/* Elements of 1, 2 or 4 bytes, one for each symbol. */
static int fits(const Code *c, const Py_buffer *elements, int bytes)
{
    return (bytes == 1 || bytes == 2 || bytes == 4) && elements->len / bytes >= c->lengths.len;
}
#endif
