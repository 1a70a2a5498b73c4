/* The adaptive coder (spec 5.6 and 6.6): the symbols of a matrix to bytes and back. */
#include "kernels.h"

#include "adaptive_matrix.h"

/* Pairs of classes, at most. */
enum { MAX_PAIRS = 64 };

/* out x: the classes that these buffers hold, of `pairs` pairs. Returns whether they are those of the matrix. */
static int take_classes(Matrix *x, const Py_buffer *lines, const Py_buffer *places, Py_ssize_t pairs)
{
    uint32_t most = 0;
    x->line_classes = lines->buf, x->place_classes = places->buf, x->pairs = (uint32_t)pairs;
    if (pairs == 0)
        return 1;
    if (pairs < 0 || pairs > MAX_PAIRS || (size_t)lines->len != x->lines || (size_t)places->len != x->length)
        return 0;
    for (size_t i = 0; i < x->lines; i++)
        most = x->line_classes[i] > most ? x->line_classes[i] : most;
    for (size_t j = 0, sum = most; j < x->length; j++)
        most = x->place_classes[j] + sum > most ? (uint32_t)(x->place_classes[j] + sum) : most;
    return most < (uint32_t)pairs;
}

/* Whether what "nnnnIIpp" stands for is a matrix that can be coded. */
static int is_sound(const Matrix *x)
{
    return x->lines > 0 && x->length > 0 && x->stride > 0 && x->line_stride > 0 && x->values[0] < MAX_SYMBOLS &&
           x->values[1] < MAX_SYMBOLS && x->values[0] + x->values[1] > 0 &&
           x->values[0] + x->values[1] < MAX_SYMBOLS && x->length <= MAX_LINE && (uint64_t)x->lines <= MAX_LINES &&
           x->stride <= MAX_STRIDE && x->line_stride <= MAX_STRIDE;
}

/* Whether all its elements lie in a buffer of so many items. */
static int lies_within(const Matrix *x, size_t items)
{
    const size_t lines = x->lines - 1, places = x->length - 1;
    if (items == 0 || (lines > 0 && x->line_step > (items - 1) / lines) ||
        (places > 0 && x->place_step > (items - 1) / places))
        return 0;
    return lines * x->line_step <= items - 1 - places * x->place_step;
}

/* adaptive_encode(symbols, logarithms, lines, length, stride, line_stride, first, second, zeros, light, line_classes,
 *                 place_classes, pairs)
 * -> bytes, and what the decisions take in bits, as `Coder` counts them */
PyObject *py_adaptive_encode(PyObject *self, PyObject *args)
{
    enum { SYMBOLS, LOGARITHM_TABLE, LINES, PLACES, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t lines, length, stride, line_stride, pairs;
    Matrix x;
    if (!PyArg_ParseTuple(args, "y*y*nnnnIIppy*y*n", &b[SYMBOLS], &b[LOGARITHM_TABLE], &lines, &length, &stride,
                          &line_stride, &x.values[0], &x.values[1], &x.zeros, &x.light, &b[LINES], &b[PLACES], &pairs))
        return NULL;
    x.lines = (size_t)lines, x.length = (size_t)length, x.stride = (size_t)stride, x.line_stride = (size_t)line_stride;
    x.symbols = b[SYMBOLS].buf;
    PyObject *result = NULL;
    int sound = is_sound(&x) && holds(&b[SYMBOLS], 2) && count_of(&b[SYMBOLS], 2) / x.length == x.lines &&
                count_of(&b[SYMBOLS], 2) % x.length == 0 && holds(&b[LOGARITHM_TABLE], 8) &&
                count_of(&b[LOGARITHM_TABLE], 8) == LOGARITHMS && take_classes(&x, &b[LINES], &b[PLACES], pairs);
    for (size_t i = 0; sound && i < x.lines * x.length; i++)
        sound = x.symbols[i] <= x.values[0] + x.values[1] && (x.zeros || x.symbols[i] > 0);
    if (sound) {
        const Tables *t = PyModule_GetState(self);
        Coder c = {.high = UINT32_MAX, .logarithms = b[LOGARITHM_TABLE].buf};
        int fine;
        Py_BEGIN_ALLOW_THREADS
        fine = code_matrix(t, &c, &x, 0);
        if (fine)
            finish_encoding(&c);
        Py_END_ALLOW_THREADS
        if (fine && !c.failed)
            result = Py_BuildValue("y#L", c.at ? (const char *)c.out : "", (Py_ssize_t)c.at, (long long)c.bits);
        else
            PyErr_NoMemory();
        free(c.out);
    } else {
        PyErr_SetString(PyExc_ValueError, "adaptive_encode: sizes or symbols do not fit");
    }
    release(b, BUFFERS);
    return result;
}

/* Chunks `first` to last - 1 of a matrix, each of `chunk` lines and a code of its own.
 * in starts: the byte of `data` where the code of each chunk starts, and where the last one ends.
 * Returns FINE, NO_MEMORY, or a chunk whose bytes are not those that an encoder writes. */
static long decode_chunks(const Tables *t, const Matrix *whole, const uint8_t *data, const int64_t *starts,
                          size_t chunk, size_t first, size_t last)
{
    for (size_t i = first; i < last; i++) {
        Matrix x = *whole;
        Coder c = {.high = UINT32_MAX, .in = data + starts[i], .length = (size_t)(starts[i + 1] - starts[i])};
        x.lines = whole->lines - i * chunk < chunk ? whole->lines - i * chunk : chunk;
        x.line_classes += x.pairs ? i * chunk : 0;
        x.elements += i * chunk * x.line_step * x.itemsize;
        for (int k = 0; k < 4; k++)
            c.code = c.code << 8 | next_byte(&c);
        if (!code_matrix(t, &c, &x, 1))
            return NO_MEMORY;
        if (x.idle || !finish_decoding(&c))
            return (long)i;
    }
    return FINE;
}

/* adaptive_decode(data, starts, chunk, first_chunk, last_chunk, values_of, elements, line_step, place_step, lines,
 *                 length, stride, line_stride, first, second, zeros, light, line_classes, place_classes, pairs)
 * -> -1, or a chunk whose bytes are not those that an encoder writes. in values_of: the element of each symbol. out
 * elements: of the same size, zeros; those that are not zero are written, symbol s of place p in line l to
 * l * line_step + p * place_step. */
PyObject *py_adaptive_decode(PyObject *self, PyObject *args)
{
    enum { DATA, STARTS, VALUES, ELEMENTS, LINES, PLACES, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t chunk, first, last, line_step, place_step, lines, length, stride, line_stride, pairs;
    Matrix x;
    if (!PyArg_ParseTuple(args, "y*y*nnny*w*nnnnnnIIppy*y*n", &b[DATA], &b[STARTS], &chunk, &first, &last, &b[VALUES],
                          &b[ELEMENTS], &line_step, &place_step, &lines, &length, &stride, &line_stride, &x.values[0],
                          &x.values[1], &x.zeros, &x.light, &b[LINES], &b[PLACES], &pairs))
        return NULL;
    x.lines = (size_t)(chunk < lines ? chunk : lines), x.length = (size_t)length;
    x.stride = (size_t)stride, x.line_stride = (size_t)line_stride;
    x.line_step = (size_t)line_step, x.place_step = (size_t)place_step;
    x.idle = 0;
    x.values_of = b[VALUES].buf, x.elements = b[ELEMENTS].buf, x.itemsize = (size_t)b[ELEMENTS].itemsize;
    PyObject *result = NULL;
    const int64_t *s = b[STARTS].buf;
    const int whole = x.itemsize == 1 || x.itemsize == 2 || x.itemsize == 4 || x.itemsize == 8;
    int sound = chunk > 0 && lines > 0 && first >= 0 && first < last && last - 1 <= (lines - 1) / chunk &&
                holds(&b[STARTS], sizeof *s) && count_of(&b[STARTS], sizeof *s) > (size_t)last && whole &&
                line_step >= 0 && place_step >= 0 && is_sound(&x);
    x.lines = (size_t)lines;
    sound = sound && take_classes(&x, &b[LINES], &b[PLACES], pairs) && holds(&b[ELEMENTS], x.itemsize) &&
            lies_within(&x, count_of(&b[ELEMENTS], x.itemsize)) &&
            holds(&b[VALUES], x.itemsize) && count_of(&b[VALUES], x.itemsize) > x.values[0] + x.values[1];
    for (Py_ssize_t i = first; sound && i <= last; i++)
        sound = s[i] >= 0 && s[i] <= b[DATA].len && (i == first || s[i] >= s[i - 1]);
    if (sound) {
        const Tables *t = PyModule_GetState(self);
        long bad;
        Py_BEGIN_ALLOW_THREADS
        bad = decode_chunks(t, &x, b[DATA].buf, s, (size_t)chunk, (size_t)first, (size_t)last);
        Py_END_ALLOW_THREADS
        result = bad == NO_MEMORY ? PyErr_NoMemory() : PyLong_FromLong(bad);
    } else {
        refuse("adaptive_decode");
    }
    release(b, BUFFERS);
    return result;
}
