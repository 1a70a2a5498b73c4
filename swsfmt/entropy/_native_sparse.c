/* Gaps and values to elements.
 *
 * What comes from a file is checked here against the sizes of the buffers: no write is made before the whole block is
 * known to lie in its place.
 */
#include "_native_lanes.h"

enum { GAP_BLOCK = 2048, MAX_FUSED_CHUNK = 1 << 16 };

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

/* Chunks first to last - 1, into zeros or memory that is to be cleared.
 * starts: rows of (gap bit, value bit, position), one more than there are chunks. Every chunk must end exactly where the next one starts. Returns FINE or the chunk that does not; adds to *symbols the
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
                if (value_table != NULL)
                    value_table->has_holes = 0;
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
