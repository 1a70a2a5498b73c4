/* A stream of symbols in chunks, to elements. What comes from a file is checked against the sizes of the buffers. */
#include "_native_lanes.h"

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
            if (table != NULL && exact)
                table->has_holes = 0;
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
