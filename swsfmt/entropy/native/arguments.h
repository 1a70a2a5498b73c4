/* What comes from Python and goes back to it: buffers, codes, refusals.
 *
 * The kernels trust no size: each checks all buffers against each other, and against the numbers that come with them,
 * before it reads or writes.
 */
#ifndef SWSFMT_ARGUMENTS_H
#define SWSFMT_ARGUMENTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "table.h"

/* Whether a buffer holds whole, aligned items of so many bytes: an array of these, or plain bytes. */
int holds(const Py_buffer *buffer, size_t itemsize);

/* How many such items it holds. */
static inline size_t count_of(const Py_buffer *buffer, size_t itemsize)
{
    assert(itemsize > 0 && buffer->len >= 0);
    return (size_t)buffer->len / itemsize;
}

/* Whether it holds exactly so many. */
static inline int holds_exactly(const Py_buffer *buffer, size_t itemsize, size_t count)
{
    return holds(buffer, itemsize) && count_of(buffer, itemsize) == count;
}

/* Whether elements of so many bytes are looked at as unsigned integers. */
static inline int is_size(int bytes)
{
    return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

/* in buffers: of one call, `count` of them, all to be given back. */
void release(Py_buffer *buffers, int count);

/* The largest symbol, 0 if there are none. in symbols: `count` of them. */
uint16_t largest(const uint16_t *symbols, size_t count);

/* Sets a ValueError that names the kernel; NULL. */
PyObject *refuse(const char *kernel);

/* A code as an argument: the tuple (codewords, lengths, single), of uint16, uint8 and a number.
 * `parse_code` is a converter for "O&" and checks that they fit each other. */
typedef struct {
    Py_buffer buffers[2];
    Code code;
} CodeArgument;

int parse_code(PyObject *tuple, void *argument);
void release_code(CodeArgument *argument);

#endif
