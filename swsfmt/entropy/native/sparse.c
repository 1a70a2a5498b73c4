/* Gaps and values, in chunks, straight to the elements of a tensor.
 *
 * What comes from a file is checked here against the sizes of the buffers: no write is made before the whole block is
 * known to lie in its place.
 */
#include "kernels.h"

#include "lanes.h"
#include "scatter.h"

/* Gap symbols of a chunk that are decoded before they are used. */
enum { GAP_BLOCK = 2048 };

typedef struct {
    Lane gaps, values;
    uint64_t position, position_end;
    size_t entries;
    int ends_in_skip; /* of the gap symbols so far, the last one */
} Chunk;

/* Use up the gap symbols in the chunk's buffer. Returns 0 if they leave the chunk. */
static inline int place(Chunk *c, const Geometry *g, uint16_t skip, int bytes, int clear, uint8_t *out,
                        uint64_t *symbols)
{
    const uint16_t *gaps = (const uint16_t *)(const void *)c->gaps.out;
    size_t n = c->gaps.count, entries = 0, sum = 0;
    assert(c->entries <= c->values.want && c->position <= c->position_end);
    for (size_t k = 0; k < n; k++) {
        entries += gaps[k] != skip;
        sum += gaps[k];
    }
    if (entries > c->values.want - c->entries || sum + entries > c->position_end - c->position)
        return 0;
    if (clear)
        memset(out + c->position * (size_t)bytes, 0, (size_t)(sum + entries) * (size_t)bytes);
    scatter(g, c->position, gaps, n, skip, c->values.out + c->entries * (size_t)bytes, out, bytes);
    c->position += sum + entries;
    c->entries += entries;
    if (n > 0)
        c->ends_in_skip = gaps[n - 1] == skip;
    c->gaps.count = 0;
    *symbols += n;
    return 1;
}

/* Chunks `first` to last - 1 of `entries` entries.
 * in starts: rows of (gap bit, value bit, position), one for each chunk and one more: each chunk must end where the
 * next one starts. clear: what lies between the entries is set to zero, else it is zero before; only where positions
 * are elements. given: NULL, or elements of `bytes` for all entries: then values are not read. out out: the tensor, in
 * which all positions lie. in out symbols: the number of gap symbols is added to it. Returns FINE, NO_MEMORY or the chunk
 * that does not end where it must. */
static long decode_sparse(Bits b, const Table *gap_table, const Table *value_table, const int64_t *starts, size_t chunk,
                          size_t entries, size_t first, size_t last, const Geometry *g, int clear, uint8_t *given,
                          int bytes, uint8_t *out, uint64_t *symbols)
{
    assert(chunk > 0 && chunk <= MAX_FUSED_CHUNK && entries > 0 && first <= last && !(clear && g->line_offsets));
    uint16_t skip = (uint16_t)(gap_table->alphabet - 1);
    size_t gap_room = 2 * (GAP_BLOCK + SLACK), value_room = given != NULL ? 0 : (chunk + SLACK) * (size_t)bytes;
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
            c->ends_in_skip = 0;
            c->position = (uint64_t)here[2], c->position_end = (uint64_t)next[2];
            c->values.at = (uint64_t)here[1], c->values.end = (uint64_t)next[1];
            c->values.want = entries - number * chunk < chunk ? entries - number * chunk : chunk;
            c->values.count = given != NULL ? c->values.want : 0;
            c->values.out = given != NULL ? given + number * chunk * (size_t)bytes
                                          : buffers + LANES * gap_room + (size_t)i * value_room;
            c->gaps.at = (uint64_t)here[0], c->gaps.end = (uint64_t)next[0];
            c->gaps.count = 0;
            c->gaps.want = gap_table->single < 0 || c->values.want > GAP_BLOCK ? GAP_BLOCK : c->values.want;
            c->gaps.out = buffers + (size_t)i * gap_room;
            lanes[i] = c->values;
        }
        if (given == NULL && n == LANES && value_table->has_multi)
            rounds_four(b, value_table, lanes);
        for (int i = 0; i < n && bad == FINE; i++)
            if ((given == NULL && !finish(b, value_table, &lanes[i])) || lanes[i].count != lanes[i].want ||
                lanes[i].at != lanes[i].end)
                bad = (long)group + i;
        /* Four chunks together while all of them have bits for it, then each to its end. */
        while (n == LANES && gap_table->has_multi && bad == FINE) {
            for (int i = 0; i < n; i++)
                lanes[i] = chunks[i].gaps;
            rounds_four(b, gap_table, lanes);
            int moved = 1;
            for (int i = 0; i < n; i++) {
                chunks[i].gaps = lanes[i];
                moved &= lanes[i].count > 0;
                if (bad == FINE && !place(&chunks[i], g, skip, bytes, clear, out, symbols))
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
                if (!finish(b, gap_table, &c->gaps) || !place(c, g, skip, bytes, clear, out, symbols))
                    bad = (long)group + i;
            }
            if (c->entries != c->values.want || c->position != c->position_end || c->gaps.at != c->gaps.end ||
                c->ends_in_skip)
                bad = (long)group + i;
        }
    }
    free(buffers);
    return bad;
}

/* decode_sparse(bits, gap_code, value_code, elements, itemsize, starts, chunk, entries, first, last, lines,
 *               line_length, line_offsets, place_offsets, clear, in_order, out) -> (-1 or the bad chunk, gap symbols) */
PyObject *py_decode_sparse(PyObject *self, PyObject *args)
{
    (void)self;
    enum { BITS, ELEMENTS, STARTS, LINE_OFFSETS, PLACE_OFFSETS, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    CodeArgument gaps, values;
    Py_ssize_t chunk, entries, first, last, lines, line_length;
    int bytes, clear, in_order;
    if (!PyArg_ParseTuple(args, "y*O&O&y*iy*nnnnnny*y*ppw*", &b[BITS], parse_code, &gaps, parse_code, &values,
                          &b[ELEMENTS], &bytes, &b[STARTS], &chunk, &entries, &first, &last, &lines, &line_length,
                          &b[LINE_OFFSETS], &b[PLACE_OFFSETS], &clear, &in_order, &b[OUT]))
        return NULL;
    PyObject *result = NULL;
    const int64_t *s = b[STARTS].buf;
    Py_ssize_t count = chunk > 0 && entries > 0 ? (entries - 1) / chunk + 1 : 0;
    int mapped = b[LINE_OFFSETS].len > 0;
    Geometry g = {mapped ? b[LINE_OFFSETS].buf : NULL, mapped ? b[PLACE_OFFSETS].buf : NULL, (uint64_t)lines,
                  (uint64_t)line_length};
    int sound = (bytes == 1 || bytes == 2 || bytes == 4 || (bytes == 8 && in_order)) && gaps.code.alphabet > 1 &&
                gaps.code.single != (int)gaps.code.alphabet - 1 &&
                b[ELEMENTS].len / bytes >= (in_order ? entries : (Py_ssize_t)values.code.alphabet) && count > 0 &&
                chunk <= MAX_FUSED_CHUNK &&
                first >= 0 && first <= last && last <= count && lines > 0 && line_length > 0 &&
                lines <= PY_SSIZE_T_MAX / line_length && !(clear && mapped) &&
                holds_exactly(&b[STARTS], sizeof *s, 3 * ((size_t)count + 1)) &&
                (mapped ? holds_exactly(&b[LINE_OFFSETS], sizeof(int64_t), (size_t)lines) &&
                              holds_exactly(&b[PLACE_OFFSETS], sizeof(int64_t), (size_t)line_length)
                        : b[OUT].len / bytes / line_length >= lines);
    for (Py_ssize_t i = 0; sound && i <= count; i++) {
        const int64_t *here = s + 3 * i;
        sound = here[0] >= 0 && here[1] >= 0 && here[2] >= 0 && here[0] / 8 <= b[BITS].len &&
                here[1] / 8 <= b[BITS].len && (here[0] + 7) / 8 <= b[BITS].len && (here[1] + 7) / 8 <= b[BITS].len &&
                (i == 0 || (here[0] >= here[-3] && here[1] >= here[-2] && here[2] > here[-1]));
    }
    sound = sound && s[3 * count + 2] <= lines * line_length &&
            lie_within(&g, (uint64_t)s[3 * first + 2], (uint64_t)s[3 * last + 2], (uint64_t)(b[OUT].len / bytes));
    if (sound) {
        Bits bits = {b[BITS].buf, (size_t)b[BITS].len};
        size_t of_part = (size_t)(last - first) * (size_t)chunk;
        of_part = of_part < (size_t)entries ? of_part : (size_t)entries;
        uint64_t symbols = 0;
        long bad = NO_MEMORY;
        Py_BEGIN_ALLOW_THREADS
        Table *gap_table = make_table(&gaps.code, NULL, 2, of_part, 0);
        Table *value_table = in_order ? NULL : make_table(&values.code, b[ELEMENTS].buf, bytes, of_part, 1);
        if (gap_table != NULL && (in_order || value_table != NULL))
            bad = decode_sparse(bits, gap_table, value_table, s, (size_t)chunk, (size_t)entries, (size_t)first,
                                (size_t)last, &g, clear, in_order ? b[ELEMENTS].buf : NULL, bytes, b[OUT].buf, &symbols);
        free(gap_table);
        free(value_table);
        Py_END_ALLOW_THREADS
        result = bad == NO_MEMORY ? PyErr_NoMemory() : Py_BuildValue("lK", bad, (unsigned long long)symbols);
    } else {
        refuse("decode_sparse");
    }
    release_code(&gaps);
    release_code(&values);
    release(b, BUFFERS);
    return result;
}
