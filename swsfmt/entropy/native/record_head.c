/* What every record of the index begins with: its name, coding, dtype and shape (spec 4). */
#include "kernels.h"

enum { MAX_RANK = 64, LONG_RANK = 7, LONG_CODING = 15, MAX_VARINT_BYTES = 9 };

/* `size` bytes, of which `at` have been read. failed: they ended too early, or are not in their shortest form. */
typedef struct {
    const uint8_t *data;
    size_t size, at;
    int failed;
} Bytes;

static uint64_t take_byte(Bytes *b)
{
    if (b->at >= b->size) {
        b->failed = 1;
        return 0;
    }
    return b->data[b->at++];
}

static uint64_t take_varint(Bytes *b)
{
    uint64_t value = 0;
    for (int i = 0; i < MAX_VARINT_BYTES; i++) {
        uint64_t byte = take_byte(b);
        value |= (byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            b->failed |= byte == 0 && i > 0;
            return value;
        }
    }
    b->failed = 1;
    return 0;
}

/* record_head(index, position) -> (prefix, suffix, head, coding, dtype, shape, the byte after them), or None */
PyObject *py_record_head(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer index;
    Py_ssize_t position;
    uint64_t dimensions[MAX_RANK];
    if (!PyArg_ParseTuple(args, "y*n", &index, &position))
        return NULL;
    if (position < 0 || position > index.len) {
        release(&index, 1);
        return refuse("record_head");
    }
    Bytes b = {index.buf, (size_t)index.len, (size_t)position, 0};
    uint64_t prefix = take_varint(&b), code = take_varint(&b), length = code & 1 ? 0 : code / 2;
    const uint8_t *suffix = b.data + b.at;
    if (length > b.size - b.at)
        b.failed = 1;
    else
        b.at += (size_t)length;
    uint64_t head = take_byte(&b), coding = head & 15, rank = head >> 4 & 7;
    int dtype = -1;
    if (coding == LONG_CODING) {
        coding = take_varint(&b);
        b.failed |= coding < LONG_CODING;
    }
    if (head >> 7)
        dtype = (int)take_byte(&b);
    if (rank == LONG_RANK) {
        rank = take_varint(&b);
        b.failed |= rank < LONG_RANK || rank > MAX_RANK;
    }
    for (uint64_t i = 0; i < rank && !b.failed; i++)
        dimensions[i] = take_varint(&b);
    PyObject *result = NULL, *name = NULL, *shape = NULL;
    if (b.failed) {
        result = Py_NewRef(Py_None);
    } else {
        name = code & 1 ? PyLong_FromUnsignedLongLong(code / 2 + 1)
                        : PyBytes_FromStringAndSize((const char *)suffix, (Py_ssize_t)length);
        shape = PyTuple_New((Py_ssize_t)rank);
        for (uint64_t i = 0; name != NULL && shape != NULL && i < rank; i++) {
            PyObject *dimension = PyLong_FromUnsignedLongLong(dimensions[i]);
            if (dimension == NULL || PyTuple_SetItem(shape, (Py_ssize_t)i, dimension) < 0)
                Py_CLEAR(shape);
        }
        if (name != NULL && shape != NULL)
            result = Py_BuildValue("KOiKiOn", prefix, name, (int)head, coding, dtype, shape, (Py_ssize_t)b.at);
        Py_XDECREF(name);
        Py_XDECREF(shape);
    }
    release(&index, 1);
    return result;
}
