/* What is packed in the index: the runs of bitmaps, and code tables (spec 6.2, 6.4, 6.5). */
#include "kernels.h"

#include "packed.h"

/* out live: `count` flags, in runs. Returns -1. */
static int read_runs(Reader *r, uint8_t *live, uint64_t count)
{
    int value = (int)take(r, 1);
    for (uint64_t position = 0; position < count && !r->failed; value = !value) {
        uint64_t run = take_gamma(r);
        if (run > count - position) {
            r->failed = 1;
            break;
        }
        memset(live + position, value, (size_t)run);
        position += run;
    }
    return -1;
}

/* in out lengths: of `alphabet` symbols, zeros; those of a complete code of more than one symbol.
 * Returns the one symbol of a code without bits, or -1. */
static int read_table(Reader *r, uint8_t *lengths, uint64_t alphabet)
{
    enum { LONGER = 1, UNUSED = 3, SHORTER = 5 };
    if (take(r, 1)) {
        unsigned width = 0;
        while ((alphabet - 1) >> width)
            width++;
        uint64_t single = take(r, width);
        r->failed |= single >= alphabet;
        return (int)single;
    }
    uint64_t symbol = 0, previous = take(r, 4);
    uint32_t kraft = 0;
    if (previous < 1 || previous > MAX_LENGTH)
        r->failed = 1;
    while (kraft < PATTERNS && !r->failed) {
        if (symbol >= alphabet) {
            r->failed = 1;
            break;
        }
        if (take(r, 1)) {
            uint64_t token = take(r, 2) << 1 | 1;
            if (token == UNUSED) {
                symbol += take_gamma(r);
                continue;
            }
            previous = token == LONGER ? previous + 1 : token == SHORTER ? previous - 1 : take(r, 4);
            if (previous < 1 || previous > MAX_LENGTH) {
                r->failed = 1;
                break;
            }
        }
        lengths[symbol++] = (uint8_t)previous;
        kraft += PATTERNS >> previous;
    }
    r->failed |= kraft > PATTERNS;
    return -1;
}

/* What a kernel does with the arguments (bits, start, stop, out): read bits into `most` bytes or fewer, at least one.
 * -> (the bit after them, what `read` returns), or None */
static PyObject *read_bytes(PyObject *args, const char *kernel, int (*read)(Reader *, uint8_t *, uint64_t), size_t most)
{
    enum { BITS, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    unsigned long long start, stop;
    if (!PyArg_ParseTuple(args, "y*KKw*", &b[BITS], &start, &stop, &b[OUT]))
        return NULL;
    PyObject *result = NULL;
    if (start <= stop && stop <= (unsigned long long)b[BITS].len * 8 && b[OUT].len > 0 && (size_t)b[OUT].len <= most) {
        int single;
        Reader r = {{b[BITS].buf, (size_t)b[BITS].len}, start, stop, 0};
        Py_BEGIN_ALLOW_THREADS
        single = read(&r, b[OUT].buf, (uint64_t)b[OUT].len);
        Py_END_ALLOW_THREADS
        result = r.failed ? Py_NewRef(Py_None) : Py_BuildValue("Ki", (unsigned long long)r.at, single);
    } else {
        refuse(kernel);
    }
    release(b, BUFFERS);
    return result;
}

/* read_runs(bits, start, stop, out) -> (the bit after them, -1), or None */
PyObject *py_read_runs(PyObject *self, PyObject *args)
{
    (void)self;
    return read_bytes(args, "read_runs", read_runs, SIZE_MAX);
}

/* read_table(bits, start, stop, out) -> (the bit after it, the one symbol or -1), or None */
PyObject *py_read_table(PyObject *self, PyObject *args)
{
    (void)self;
    return read_bytes(args, "read_table", read_table, PATTERNS);
}
