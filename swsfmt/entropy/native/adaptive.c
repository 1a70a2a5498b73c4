/* The adaptive coder (spec 5.6 and 6.6): the symbols of a matrix to bytes and back. */
#include "kernels.h"

#include "adaptive_matrix.h"

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

/* adaptive_encode(symbols, lines, length, stride, line_stride, first, second, zeros, light) -> bytes */
PyObject *py_adaptive_encode(PyObject *self, PyObject *args)
{
    Py_buffer symbols;
    Py_ssize_t lines, length, stride, line_stride;
    Matrix x;
    if (!PyArg_ParseTuple(args, "y*nnnnIIpp", &symbols, &lines, &length, &stride, &line_stride, &x.values[0],
                          &x.values[1], &x.zeros, &x.light))
        return NULL;
    x.lines = (size_t)lines, x.length = (size_t)length, x.stride = (size_t)stride, x.line_stride = (size_t)line_stride;
    x.symbols = symbols.buf;
    PyObject *result = NULL;
    int sound = is_sound(&x) && holds(&symbols, 2) && count_of(&symbols, 2) / x.length == x.lines &&
                count_of(&symbols, 2) % x.length == 0;
    for (size_t i = 0; sound && i < x.lines * x.length; i++)
        sound = x.symbols[i] <= x.values[0] + x.values[1] && (x.zeros || x.symbols[i] > 0);
    if (sound) {
        const Tables *t = PyModule_GetState(self);
        Coder c = {.high = UINT32_MAX};
        int fine;
        Py_BEGIN_ALLOW_THREADS
        fine = code_matrix(t, &c, &x, 0);
        if (fine)
            finish_encoding(&c);
        Py_END_ALLOW_THREADS
        if (fine && !c.failed)
            result = PyBytes_FromStringAndSize((const char *)c.out, (Py_ssize_t)c.at);
        else
            PyErr_NoMemory();
        free(c.out);
    } else {
        PyErr_SetString(PyExc_ValueError, "adaptive_encode: sizes or symbols do not fit");
    }
    release(&symbols, 1);
    return result;
}

/* adaptive_decode(data, values_of, elements, line_step, place_step, lines, length, stride, line_stride, first, second,
 *                 zeros, light)
 * -> whether the bytes are those that an encoder writes. in values_of: the element of each symbol. out elements: of the
 * same size, zeros; those that are not zero are written, symbol s of place p in line l to
 * l * line_step + p * place_step. */
PyObject *py_adaptive_decode(PyObject *self, PyObject *args)
{
    enum { DATA, VALUES, ELEMENTS, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t line_step, place_step, lines, length, stride, line_stride;
    Matrix x;
    if (!PyArg_ParseTuple(args, "y*y*w*nnnnnnIIpp", &b[DATA], &b[VALUES], &b[ELEMENTS], &line_step, &place_step, &lines,
                          &length, &stride, &line_stride, &x.values[0], &x.values[1], &x.zeros, &x.light))
        return NULL;
    x.lines = (size_t)lines, x.length = (size_t)length, x.stride = (size_t)stride, x.line_stride = (size_t)line_stride;
    x.line_step = (size_t)line_step, x.place_step = (size_t)place_step;
    x.idle = 0;
    x.values_of = b[VALUES].buf, x.elements = b[ELEMENTS].buf, x.itemsize = (size_t)b[ELEMENTS].itemsize;
    PyObject *result = NULL;
    const int whole = x.itemsize == 1 || x.itemsize == 2 || x.itemsize == 4 || x.itemsize == 8;
    if (whole && line_step >= 0 && place_step >= 0 && is_sound(&x) && holds(&b[ELEMENTS], x.itemsize) &&
        lies_within(&x, count_of(&b[ELEMENTS], x.itemsize)) && holds(&b[VALUES], x.itemsize) &&
        count_of(&b[VALUES], x.itemsize) > x.values[0] + x.values[1]) {
        const Tables *t = PyModule_GetState(self);
        Coder c = {.high = UINT32_MAX, .in = b[DATA].buf, .length = (size_t)b[DATA].len};
        int fine, right;
        Py_BEGIN_ALLOW_THREADS
        for (int i = 0; i < 4; i++)
            c.code = c.code << 8 | next_byte(&c);
        fine = code_matrix(t, &c, &x, 1);
        right = fine && !x.idle && finish_decoding(&c);
        Py_END_ALLOW_THREADS
        result = fine ? PyBool_FromLong(right) : PyErr_NoMemory();
    } else {
        refuse("adaptive_decode");
    }
    release(b, BUFFERS);
    return result;
}
