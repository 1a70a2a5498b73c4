/* From bits to symbols, and straight into the elements of a tensor.
 *
 * What comes from a file is checked here against the sizes of the buffers: no write is made before the whole block is
 * known to lie in its place. Codes are complete prefix codes (Kraft sum 1) of at most 12 bits, or fixed widths; Python
 * has checked that.
 */
#include "_native.h"

enum { MIN_WIDTH = 10, LANES = 4, GAP_BLOCK = 2048, SLACK = 8, MAX_FUSED_CHUNK = 1 << 16 };

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
    int has_holes; /* patterns without a codeword exist (only in a fixed-width code); their symbol is `alphabet` */
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
            uint32_t element = element_of(t, t->symbol[i >> used]);
            used += t->length[i >> used];
            if (bytes == 4)
                wide.element[count] = element;
            else
                packed |= (uint64_t)element << (16 + count * 8 * bytes);
            count++;
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

/* ---- a stream to elements ---------------------------------------------------------------------------------------- */

/* Chunks first to last - 1 of a stream of `total` symbols; chunk i has bits starts[i] to starts[i + 1].
 * exact: a chunk must end at its last bit. Returns FINE, or the chunk that does not. A lane that is done takes the next
 * chunk, so that four are under way to the end. */
static long decode_dense(Bits b, const Table *t, const int64_t *starts, size_t chunk, size_t total, size_t first,
                         size_t last, int exact, uint8_t *out, uint64_t *end)
{
    Lane lanes[LANES];
    size_t number[LANES], next = first;
    int open = 0;
    while (open > 0 || next < last) {
        for (; open < LANES && next < last; open++, next++) {
            size_t begin = next * chunk;
            number[open] = next;
            lanes[open].at = (uint64_t)starts[next];
            lanes[open].end = (uint64_t)starts[next + 1];
            lanes[open].count = 0;
            lanes[open].want = total - begin < chunk ? total - begin : chunk;
            lanes[open].out = out + begin * (size_t)t->bytes;
        }
        if (open == LANES && t->single < 0 && !t->has_holes)
            rounds_four(b, t, lanes);
        /* The lane that is nearest to its end is finished, and its place is taken by the last one. */
        int done = 0;
        for (int i = 1; i < open; i++)
            if (lanes[i].want - lanes[i].count < lanes[done].want - lanes[done].count)
                done = i;
        if (!finish(b, t, &lanes[done]) || lanes[done].count != lanes[done].want ||
            (exact && lanes[done].at != lanes[done].end))
            return (long)number[done];
        *end = lanes[done].at;
        open--;
        lanes[done] = lanes[open];
        number[done] = number[open];
    }
    return FINE;
}

/* ---- gaps and values to elements --------------------------------------------------------------------------------- */

/* Where positions lie in the tensor: line_offsets[line] + place_offsets[place], or the position itself where NULL. */
typedef struct {
    const int64_t *line_offsets, *place_offsets;
    uint64_t line_length;
    int clear; /* set to zero what lies between; only where positions are elements */
} Geometry;

/* Put the elements of `n` gap symbols; the caller has checked that all positions lie in the matrix. */
#define SCATTER(TYPE)                                                                                                  \
    static size_t scatter_##TYPE(const Geometry *g, uint64_t position, const uint16_t *gaps, size_t n, uint16_t skip,  \
                                 const TYPE *from, TYPE *to)                                                           \
    {                                                                                                                  \
        const TYPE *start = from;                                                                                      \
        if (g->line_offsets == NULL) {                                                                                 \
            TYPE *at = to + position;                                                                                  \
            for (size_t i = 0; i < n; i++) {                                                                           \
                at += gaps[i];                                                                                         \
                if (gaps[i] != skip)                                                                                   \
                    *at++ = *from++;                                                                                   \
            }                                                                                                          \
            return (size_t)(from - start);                                                                             \
        }                                                                                                              \
        uint64_t line = position / g->line_length, place = position % g->line_length;                                  \
        for (size_t i = 0; i < n; i++) {                                                                               \
            place += gaps[i];                                                                                          \
            while (place >= g->line_length) {                                                                          \
                place -= g->line_length;                                                                               \
                line++;                                                                                                \
            }                                                                                                          \
            if (gaps[i] != skip)                                                                                       \
                to[g->line_offsets[line] + g->place_offsets[place++]] = *from++;                                       \
        }                                                                                                              \
        return (size_t)(from - start);                                                                                 \
    }

SCATTER(uint8_t)
SCATTER(uint16_t)
SCATTER(uint32_t)

static size_t scatter(const Geometry *g, uint64_t position, const uint16_t *gaps, size_t n, uint16_t skip,
                      const void *from, void *to, int bytes)
{
    if (bytes == 1)
        return scatter_uint8_t(g, position, gaps, n, skip, from, to);
    if (bytes == 2)
        return scatter_uint16_t(g, position, gaps, n, skip, from, to);
    return scatter_uint32_t(g, position, gaps, n, skip, from, to);
}

typedef struct {
    Lane gaps, values;
    uint64_t position, position_end;
    size_t entries;
} Chunk;

/* Use up the gap symbols in the chunk's buffer. Returns 0 if they leave the chunk. */
static int place(Chunk *c, const Geometry *g, uint16_t skip, int bytes, uint8_t *out, uint64_t *symbols)
{
    const uint16_t *gaps = (const uint16_t *)(const void *)c->gaps.out;
    size_t n = c->gaps.count, found = 0, sum = 0;
    for (size_t k = 0; k < n; k++) {
        found += gaps[k] != skip;
        sum += gaps[k];
    }
    if (found > c->values.want - c->entries || sum + found > c->position_end - c->position)
        return 0;
    if (g->clear)
        memset(out + c->position * (size_t)bytes, 0, (size_t)(sum + found) * (size_t)bytes);
    scatter(g, c->position, gaps, n, skip, c->values.out + c->entries * (size_t)bytes, out, bytes);
    c->position += sum + found;
    c->entries += found;
    c->gaps.count = 0;
    *symbols += n;
    return 1;
}

/* Chunks first to last - 1, into zeros or memory that is to be cleared. starts: rows of (gap bit, value bit, position), one more than there are chunks.
 * Every chunk must end exactly where the next one starts. Returns FINE or the chunk that does not; adds to *symbols the
 * number of gap symbols. */
static long decode_sparse(Bits b, const Table *gap_table, const Table *value_table, const int64_t *starts, size_t chunk,
                          size_t entries, size_t first, size_t last, const Geometry *g, uint8_t *out,
                          uint64_t *symbols)
{
    int bytes = value_table->bytes;
    uint16_t skip = (uint16_t)(gap_table->alphabet - 1);
    size_t gap_room = 2 * (GAP_BLOCK + SLACK), value_room = (chunk + SLACK) * (size_t)bytes;
    uint8_t *buffers = malloc(LANES * (gap_room + value_room));
    if (buffers == NULL)
        return NO_MEMORY;
    long bad = FINE;
    for (size_t group = first; group < last && bad == FINE; group += LANES) {
        int n = last - group < LANES ? (int)(last - group) : LANES;
        Chunk chunks[LANES];
        Lane lanes[LANES];
        for (int i = 0; i < n; i++) {
            size_t number = group + (size_t)i;
            const int64_t *here = starts + 3 * number, *next = here + 3;
            Chunk *c = &chunks[i];
            c->entries = 0;
            c->position = (uint64_t)here[2], c->position_end = (uint64_t)next[2];
            c->values.at = (uint64_t)here[1], c->values.end = (uint64_t)next[1];
            c->values.count = 0;
            c->values.want = entries - number * chunk < chunk ? entries - number * chunk : chunk;
            c->values.out = buffers + LANES * gap_room + (size_t)i * value_room;
            c->gaps.at = (uint64_t)here[0], c->gaps.end = (uint64_t)next[0];
            c->gaps.count = 0;
            c->gaps.want = gap_table->single < 0 || c->values.want > GAP_BLOCK ? GAP_BLOCK : c->values.want;
            c->gaps.out = buffers + (size_t)i * gap_room;
            lanes[i] = c->values;
        }
        if (n == LANES && value_table->single < 0 && !value_table->has_holes)
            rounds_four(b, value_table, lanes);
        for (int i = 0; i < n && bad == FINE; i++)
            if (!finish(b, value_table, &lanes[i]) || lanes[i].count != lanes[i].want || lanes[i].at != lanes[i].end)
                bad = (long)group + i;
        /* Four chunks together while all of them have bits for it, then each to its end. */
        while (n == LANES && gap_table->single < 0 && bad == FINE) {
            for (int i = 0; i < n; i++)
                lanes[i] = chunks[i].gaps;
            rounds_four(b, gap_table, lanes);
            int moved = 1;
            for (int i = 0; i < n; i++) {
                chunks[i].gaps = lanes[i];
                moved &= lanes[i].count > 0;
                if (bad == FINE && !place(&chunks[i], g, skip, bytes, out, symbols))
                    bad = (long)group + i;
            }
            if (!moved)
                break;
        }
        for (int i = 0; i < n && bad == FINE; i++) {
            Chunk *c = &chunks[i];
            while (bad == FINE &&
                   (gap_table->single < 0 ? c->gaps.at < c->gaps.end : c->entries < c->values.want)) {
                if (gap_table->single >= 0 && c->values.want - c->entries < c->gaps.want)
                    c->gaps.want = c->values.want - c->entries;
                if (!finish(b, gap_table, &c->gaps) || !place(c, g, skip, bytes, out, symbols))
                    bad = (long)group + i;
            }
            if (c->entries != c->values.want || c->position != c->position_end || c->gaps.at != c->gaps.end)
                bad = (long)group + i;
        }
    }
    free(buffers);
    return bad;
}

/* Gap symbols from bit `at` on until `entries` of them are not the skip. The caller frees *out. */
static long decode_gaps(Bits b, const Table *t, uint64_t *at, uint64_t end, size_t entries, uint16_t **out,
                        size_t *count)
{
    size_t room = entries + entries / 4 + 64;
    uint16_t *symbols = malloc(room * sizeof *symbols), skip = (uint16_t)(t->alphabet - 1);
    uint64_t mask = ((uint64_t)1 << t->width) - 1;
    size_t n = 0;
    *out = symbols;
    if (symbols == NULL)
        return NO_MEMORY;
    while (entries > 0) {
        if (n == room) {
            room *= 2;
            symbols = realloc(symbols, room * sizeof *symbols);
            if (symbols == NULL)
                return NO_MEMORY;
            *out = symbols;
        }
        size_t pattern = (size_t)(peek(b, *at) & mask);
        if (end - *at < t->length[pattern])
            return 0;
        symbols[n] = t->symbol[pattern];
        entries -= symbols[n++] != skip;
        *at += t->length[pattern];
    }
    *count = n;
    return FINE;
}
/* ---- Python ------------------------------------------------------------------------------------------------------ */

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
/* decode_dense(data, code, elements, bytes, starts, chunk, total, first, last, exact, out) -> (bad, end) */
PyObject *py_decode_dense(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer data, elements, starts, out;
    PyObject *code_tuple;
    Py_ssize_t chunk, total, first, last;
    int exact, bytes;
    if (!PyArg_ParseTuple(args, "y*O!y*iy*nnnnpw*", &data, &PyTuple_Type, &code_tuple, &elements, &bytes, &starts,
                          &chunk, &total, &first, &last, &exact, &out))
        return NULL;
    PyObject *result = NULL;
    Code code;
    if (parse_code(code_tuple, &code)) {
        const int64_t *s = starts.buf;
        int sound = fits(&code, &elements, bytes) && chunk > 0 && first >= 0 && first <= last && total >= 0 &&
                    starts.len >= (Py_ssize_t)sizeof *s * (last + 1) && out.len / bytes >= total &&
                    (last == 0 || last - 1 <= (total - 1) / chunk);
        for (Py_ssize_t i = first; sound && i <= last; i++)
            sound = s[i] >= 0 && (s[i] + 7) / 8 <= data.len && (i == first || s[i] >= s[i - 1]);
        if (sound) {
            uint64_t end = 0;
            long bad = NO_MEMORY;
            Py_BEGIN_ALLOW_THREADS
            Table *table = make_table(&code, elements.buf, bytes);
            Bits bits = {data.buf, (size_t)data.len};
            if (table != NULL)
                bad = decode_dense(bits, table, s, (size_t)chunk, (size_t)total, (size_t)first, (size_t)last, exact,
                                   out.buf, &end);
            free(table);
            Py_END_ALLOW_THREADS
            result = bad == NO_MEMORY ? PyErr_NoMemory() : Py_BuildValue("lK", bad, (unsigned long long)end);
        } else {
            PyErr_SetString(PyExc_ValueError, "decode_dense: sizes do not fit");
        }
        release_code(&code);
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&elements);
    PyBuffer_Release(&starts);
    PyBuffer_Release(&out);
    return result;
}

/* decode_sparse(data, gap_code, value_code, elements, bytes, starts, chunk, entries, first, last, lines, line_length,
 *               line_offsets, place_offsets, clear, out) -> (bad, gap symbols)
 * line_offsets is empty where positions are elements; only then may `clear` be set, else `out` holds zeros. */
PyObject *py_decode_sparse(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer data, elements, starts, line_offsets, place_offsets, out;
    PyObject *gap_tuple, *value_tuple;
    Py_ssize_t chunk, entries, first, last, lines, line_length;
    int bytes, clear;
    if (!PyArg_ParseTuple(args, "y*O!O!y*iy*nnnnnny*y*pw*", &data, &PyTuple_Type, &gap_tuple, &PyTuple_Type,
                          &value_tuple, &elements, &bytes, &starts, &chunk, &entries, &first, &last, &lines,
                          &line_length, &line_offsets, &place_offsets, &clear, &out))
        return NULL;
    PyObject *result = NULL;
    Code gap_code, value_code;
    if (parse_code(gap_tuple, &gap_code)) {
        if (parse_code(value_tuple, &value_code)) {
            const int64_t *s = starts.buf;
            Py_ssize_t count = chunk > 0 && entries > 0 ? (entries - 1) / chunk + 1 : 0;
            int mapped = line_offsets.len > 0;
            int sound = fits(&value_code, &elements, bytes) && count > 0 && chunk <= MAX_FUSED_CHUNK && first >= 0 &&
                        first <= last && last <= count && lines > 0 && line_length > 0 &&
                        starts.len == (Py_ssize_t)sizeof *s * 3 * (count + 1) &&
                        (mapped ? line_offsets.len == (Py_ssize_t)sizeof *s * lines &&
                                      place_offsets.len == (Py_ssize_t)sizeof *s * line_length
                                : out.len / bytes / line_length >= lines);
            for (Py_ssize_t i = 0; sound && i <= count; i++) {
                const int64_t *here = s + 3 * i;
                sound = here[0] >= 0 && here[1] >= 0 && here[2] >= 0 && (here[0] + 7) / 8 <= data.len &&
                        (here[1] + 7) / 8 <= data.len &&
                        (i == 0 || (here[0] >= here[-3] && here[1] >= here[-2] && here[2] > here[-1]));
            }
            sound = sound && (s[3 * count + 2] - 1) / line_length < lines;
            if (sound) {
                uint64_t symbols = 0;
                long bad = NO_MEMORY;
                Py_BEGIN_ALLOW_THREADS
                Table *gap_table = make_table(&gap_code, NULL, 2);
                Table *value_table = make_table(&value_code, elements.buf, bytes);
                Bits bits = {data.buf, (size_t)data.len};
                Geometry g = {mapped ? line_offsets.buf : NULL, mapped ? place_offsets.buf : NULL,
                              (uint64_t)line_length, clear && !mapped};
                if (gap_table != NULL && value_table != NULL)
                    bad = decode_sparse(bits, gap_table, value_table, s, (size_t)chunk, (size_t)entries, (size_t)first,
                                        (size_t)last, &g, out.buf, &symbols);
                free(gap_table);
                free(value_table);
                Py_END_ALLOW_THREADS
                result = bad == NO_MEMORY ? PyErr_NoMemory() : Py_BuildValue("lK", bad, (unsigned long long)symbols);
            } else {
                PyErr_SetString(PyExc_ValueError, "decode_sparse: sizes do not fit");
            }
            release_code(&value_code);
        }
        release_code(&gap_code);
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&elements);
    PyBuffer_Release(&starts);
    PyBuffer_Release(&line_offsets);
    PyBuffer_Release(&place_offsets);
    PyBuffer_Release(&out);
    return result;
}

/* scatter(gaps, skip, elements, bytes, position, lines, line_length, line_offsets, place_offsets, out)
 * -> the position after all gaps, or None where they leave the matrix or are not those of as many elements.
 * line_offsets is empty where positions are elements. `out` is written only where the gaps fit. */
PyObject *py_scatter(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer gaps, elements, line_offsets, place_offsets, out;
    Py_ssize_t position, lines, line_length;
    int bytes, skip;
    if (!PyArg_ParseTuple(args, "y*iy*innny*y*w*", &gaps, &skip, &elements, &bytes, &position, &lines, &line_length,
                          &line_offsets, &place_offsets, &out))
        return NULL;
    PyObject *result = NULL;
    int mapped = line_offsets.len > 0;
    int sound = (bytes == 1 || bytes == 2 || bytes == 4) && position >= 0 && lines > 0 && line_length > 0 &&
                lines <= PY_SSIZE_T_MAX / line_length &&
                (mapped ? line_offsets.len == (Py_ssize_t)sizeof(int64_t) * lines &&
                              place_offsets.len == (Py_ssize_t)sizeof(int64_t) * line_length
                        : out.len / bytes / line_length >= lines);
    if (sound) {
        const uint16_t *symbols = gaps.buf;
        size_t n = (size_t)gaps.len / 2;
        uint64_t found = 0, sum = 0, size = (uint64_t)lines * (uint64_t)line_length;
        for (size_t i = 0; i < n; i++) {
            found += symbols[i] != skip;
            sum += symbols[i];
        }
        if (found == (uint64_t)(elements.len / bytes) && (uint64_t)position <= size &&
            sum + found <= size - (uint64_t)position) {
            Geometry g = {mapped ? line_offsets.buf : NULL, mapped ? place_offsets.buf : NULL, (uint64_t)line_length,
                          0};
            Py_BEGIN_ALLOW_THREADS
            scatter(&g, (uint64_t)position, symbols, n, (uint16_t)skip, elements.buf, out.buf, bytes);
            Py_END_ALLOW_THREADS
            result = PyLong_FromUnsignedLongLong((unsigned long long)position + sum + found);
        } else {
            result = Py_NewRef(Py_None);
        }
    } else {
        PyErr_SetString(PyExc_ValueError, "scatter: sizes do not fit");
    }
    PyBuffer_Release(&gaps);
    PyBuffer_Release(&elements);
    PyBuffer_Release(&line_offsets);
    PyBuffer_Release(&place_offsets);
    PyBuffer_Release(&out);
    return result;
}

/* decode_gaps(data, code, at, end, entries) -> (bytes of uint16, end), or None where the bits end too early */
PyObject *py_decode_gaps(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer data;
    PyObject *code_tuple, *result = NULL;
    unsigned long long start, stop;
    Py_ssize_t entries;
    if (!PyArg_ParseTuple(args, "y*O!KKn", &data, &PyTuple_Type, &code_tuple, &start, &stop, &entries))
        return NULL;
    Code code;
    if (parse_code(code_tuple, &code)) {
        uint64_t at = start, end = stop;
        if (code.single < 0 && at <= end && end <= (uint64_t)data.len * 8 && entries >= 0 && (uint64_t)entries <= end) {
            uint16_t *symbols = NULL;
            size_t count = 0;
            long bad = NO_MEMORY;
            Py_BEGIN_ALLOW_THREADS
            Table *table = make_table(&code, NULL, 2);
            Bits bits = {data.buf, (size_t)data.len};
            if (table != NULL)
                bad = decode_gaps(bits, table, &at, end, (size_t)entries, &symbols, &count);
            free(table);
            Py_END_ALLOW_THREADS
            if (bad == NO_MEMORY)
                PyErr_NoMemory();
            else if (bad != FINE)
                result = Py_NewRef(Py_None);
            else
                result = Py_BuildValue("y#K", (const char *)symbols, (Py_ssize_t)(2 * count), (unsigned long long)at);
            free(symbols);
        } else {
            result = Py_NewRef(Py_None);
        }
        release_code(&code);
    }
    PyBuffer_Release(&data);
    return result;
}
