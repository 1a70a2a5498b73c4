/* Streams of symbols to symbols, or to the elements that they stand for. */
#include "kernels.h"

#include "fixed.h"
#include "lanes.h"

/* ---- one stream -------------------------------------------------------------------------------------------------- */

/* decode_stream(bits, code, elements, itemsize, start, stop, out) -> the bit after the last codeword, or None */
PyObject *py_decode_stream(PyObject *self, PyObject *args)
{
    (void)self;
    enum { BITS, ELEMENTS, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    CodeArgument code;
    unsigned long long start, stop;
    int bytes;
    if (!PyArg_ParseTuple(args, "y*O&z*iKKw*", &b[BITS], parse_code, &code, &b[ELEMENTS], &bytes, &start, &stop,
                          &b[OUT]))
        return NULL;
    PyObject *result = NULL;
    int sound = (bytes == 1 || bytes == 2 || bytes == 4) && b[OUT].len % bytes == 0 && start <= stop &&
                stop <= (unsigned long long)b[BITS].len * 8 &&
                (b[ELEMENTS].len == 0 ? bytes == 2 : b[ELEMENTS].len / bytes >= (Py_ssize_t)code.code.alphabet);
    if (sound) {
        Lane lane = {start, stop, 0, (size_t)(b[OUT].len / bytes), b[OUT].buf};
        Bits bits = {b[BITS].buf, (size_t)b[BITS].len};
        const uint8_t *elements = b[ELEMENTS].len == 0 ? NULL : b[ELEMENTS].buf;
        int fine = 0;
        Table *table;
        Py_BEGIN_ALLOW_THREADS
        table = make_table(&code.code, elements, bytes, lane.want, 0);
        if (table != NULL)
            fine = finish(bits, table, &lane) && lane.count == lane.want;
        free(table);
        Py_END_ALLOW_THREADS
        if (table == NULL)
            PyErr_NoMemory();
        else
            result = fine ? PyLong_FromUnsignedLongLong(lane.at) : Py_NewRef(Py_None);
    } else {
        refuse("decode_stream");
    }
    release_code(&code);
    release(b, BUFFERS);
    return result;
}

/* ---- a stream in chunks ------------------------------------------------------------------------------------------ */

/* Chunks `first` to last - 1 of a stream of `total` symbols.
 * in starts: bits, of which chunk i has starts[i] to starts[i + 1], where it must end; last + 1 of them.
 * out out: room for `total` elements, of which those of these chunks are written.
 * Returns FINE, or the chunk that does not end where it must. A lane that is done takes the next chunk, so that four
 * are under way to the end. */
static long decode_dense(Bits b, const Table *t, const int64_t *starts, size_t chunk, size_t total, size_t first,
                         size_t last, uint8_t *out)
{
    Lane lanes[LANES];
    size_t number[LANES], next = first;
    int open = 0;
    assert(chunk > 0 && first <= last && (last == 0 || (last - 1) * chunk < total));
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
        if (open == LANES && t->has_multi)
            rounds_four(b, t, lanes);
        /* The lane that is nearest to its end is finished, and its place is taken by the last one. */
        int done = 0;
        for (int i = 1; i < open; i++)
            if (lanes[i].want - lanes[i].count < lanes[done].want - lanes[done].count)
                done = i;
        if (!finish(b, t, &lanes[done]) || lanes[done].count != lanes[done].want || lanes[done].at != lanes[done].end)
            return (long)number[done];
        open--;
        lanes[done] = lanes[open];
        number[done] = number[open];
    }
    return FINE;
}

/* The same of fields of a fixed width, to elements of one byte. */
static long unpack_chunks(Bits b, int width, const uint8_t *elements, const int64_t *starts, size_t chunk, size_t total,
                          size_t first, size_t last, uint8_t *out)
{
    for (size_t i = first; i < last; i++) {
        size_t begin = i * chunk, n = total - begin < chunk ? total - begin : chunk;
        if ((uint64_t)(starts[i + 1] - starts[i]) != n * (uint64_t)width)
            return (long)i;
        unpack(b, (uint64_t)starts[i], n, width, elements, out + begin);
    }
    return FINE;
}

/* decode_dense(bits, code, elements, itemsize, starts, chunk, total, first, last, out) -> -1, or the bad chunk */
PyObject *py_decode_dense(PyObject *self, PyObject *args)
{
    (void)self;
    enum { BITS, ELEMENTS, STARTS, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    CodeArgument code;
    Py_ssize_t chunk, total, first, last;
    int bytes;
    if (!PyArg_ParseTuple(args, "y*O&y*iy*nnnnw*", &b[BITS], parse_code, &code, &b[ELEMENTS], &bytes, &b[STARTS],
                          &chunk, &total, &first, &last, &b[OUT]))
        return NULL;
    PyObject *result = NULL;
    const int64_t *s = b[STARTS].buf;
    int sound = (bytes == 1 || bytes == 2 || bytes == 4) && b[ELEMENTS].len / bytes >= (Py_ssize_t)code.code.alphabet &&
                chunk > 0 && first >= 0 && first <= last && total >= 0 && b[OUT].len / bytes >= total &&
                holds(&b[STARTS], sizeof *s) && count_of(&b[STARTS], sizeof *s) > (size_t)last &&
                (last == 0 || (total > 0 && last - 1 <= (total - 1) / chunk));
    for (Py_ssize_t i = first; sound && i <= last; i++)
        sound = s[i] >= 0 && s[i] <= INT64_MAX - 7 && (s[i] + 7) / 8 <= b[BITS].len && (i == first || s[i] >= s[i - 1]);
    if (sound) {
        Bits bits = {b[BITS].buf, (size_t)b[BITS].len};
        size_t count = (size_t)(last - first) * (size_t)chunk;
        long bad = NO_MEMORY;
        Py_BEGIN_ALLOW_THREADS
        int width = bytes == 1 ? fixed_width(&code.code) : 0;
        if (width > 0) {
            bad = unpack_chunks(bits, width, b[ELEMENTS].buf, s, (size_t)chunk, (size_t)total, (size_t)first,
                                (size_t)last, b[OUT].buf);
        } else {
            Table *table =
                make_table(&code.code, b[ELEMENTS].buf, bytes, count < (size_t)total ? count : (size_t)total, 1);
            if (table != NULL)
                bad = decode_dense(bits, table, s, (size_t)chunk, (size_t)total, (size_t)first, (size_t)last, b[OUT].buf);
            free(table);
        }
        Py_END_ALLOW_THREADS
        result = bad == NO_MEMORY ? PyErr_NoMemory() : PyLong_FromLong(bad);
    } else {
        refuse("decode_dense");
    }
    release_code(&code);
    release(b, BUFFERS);
    return result;
}

/* ---- gaps -------------------------------------------------------------------------------------------------------- */

/* Gap symbols from bit `at` to `end` at most, until `entries` of them are not the skip.
 * in out at: the bit after them. out out: `count` symbols, for the caller to free whatever is returned.
 * Returns FINE, NO_MEMORY or, where the bits end too early or a pattern is no codeword, 0. */
static long decode_gaps(Bits b, const Table *t, uint64_t *at, uint64_t end, size_t entries, uint16_t **out,
                        size_t *count)
{
    size_t room = entries + entries / 4 + 64;
    uint16_t *symbols = malloc(room * sizeof *symbols), skip = (uint16_t)(t->alphabet - 1);
    uint64_t mask = ((uint64_t)1 << t->width) - 1;
    size_t n = 0;
    assert(*at <= end && end <= 8 * (uint64_t)b.bytes && t->single < 0);
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
        if (end - *at < t->length[pattern] || t->symbol[pattern] >= t->alphabet)
            return 0;
        symbols[n] = t->symbol[pattern];
        entries -= symbols[n++] != skip;
        *at += t->length[pattern];
    }
    *count = n;
    return FINE;
}

/* decode_gaps(bits, code, start, stop, entries) -> (bytes of uint16, the bit after them), or None */
PyObject *py_decode_gaps(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer b;
    CodeArgument code;
    unsigned long long start, stop;
    Py_ssize_t entries;
    if (!PyArg_ParseTuple(args, "y*O&KKn", &b, parse_code, &code, &start, &stop, &entries))
        return NULL;
    PyObject *result = NULL;
    if (code.code.single >= 0 || start > stop || stop > (unsigned long long)b.len * 8 || entries < 0) {
        refuse("decode_gaps");
    } else if ((unsigned long long)entries > stop - start) {
        result = Py_NewRef(Py_None);
    } else {
        Bits bits = {b.buf, (size_t)b.len};
        uint16_t *symbols = NULL;
        uint64_t at = start;
        size_t count = 0;
        long bad = NO_MEMORY;
        Py_BEGIN_ALLOW_THREADS
        Table *table = make_table(&code.code, NULL, 2, 0, 0);
        if (table != NULL)
            bad = decode_gaps(bits, table, &at, stop, (size_t)entries, &symbols, &count);
        free(table);
        Py_END_ALLOW_THREADS
        if (bad == NO_MEMORY)
            PyErr_NoMemory();
        else if (bad != FINE)
            result = Py_NewRef(Py_None);
        else
            result = Py_BuildValue("y#K", (const char *)symbols, (Py_ssize_t)(2 * count), (unsigned long long)at);
        free(symbols);
    }
    release_code(&code);
    release(&b, 1);
    return result;
}
