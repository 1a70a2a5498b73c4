/* See arguments.h. */
#include "arguments.h"

int holds(const Py_buffer *buffer, size_t itemsize)
{
    int is_array = buffer->itemsize == (Py_ssize_t)itemsize || buffer->itemsize == 1;
    return buffer->len == 0 ||
           (is_array && (size_t)buffer->len % itemsize == 0 && (uintptr_t)buffer->buf % itemsize == 0);
}

void release(Py_buffer *buffers, int count)
{
    for (int i = 0; i < count; i++)
        PyBuffer_Release(&buffers[i]);
}

uint16_t largest(const uint16_t *symbols, size_t count)
{
    uint16_t most = 0;
    for (size_t i = 0; i < count; i++)
        most = symbols[i] > most ? symbols[i] : most;
    return most;
}

PyObject *refuse(const char *kernel)
{
    PyErr_Format(PyExc_ValueError, "%s: sizes do not fit", kernel);
    return NULL;
}

int parse_code(PyObject *tuple, void *argument)
{
    CodeArgument *a = argument;
    Py_buffer *codewords = &a->buffers[0], *lengths = &a->buffers[1];
    int single;
    if (tuple == NULL) {
        release_code(a);
        return 1;
    }
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "a code is a tuple");
        return 0;
    }
    if (!PyArg_ParseTuple(tuple, "y*y*i", codewords, lengths, &single))
        return 0;
    const uint8_t *of_symbols = lengths->buf;
    int fits = lengths->len >= 1 && lengths->len <= (Py_ssize_t)PATTERNS && single >= -1 && single < lengths->len &&
               holds_exactly(codewords, sizeof(uint16_t), (size_t)lengths->len);
    uint8_t longest = 0;
    for (Py_ssize_t s = 0; fits && s < lengths->len; s++)
        longest = of_symbols[s] > longest ? of_symbols[s] : longest;
    if (!fits || longest > MAX_LENGTH) {
        release_code(a);
        PyErr_SetString(PyExc_ValueError, "a code has too many symbols, none, or codewords that are too long");
        return 0;
    }
    a->code = (Code){codewords->buf, of_symbols, (size_t)lengths->len, single};
    return Py_CLEANUP_SUPPORTED;
}

void release_code(CodeArgument *argument)
{
    release(argument->buffers, 2);
}
