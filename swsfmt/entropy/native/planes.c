/* Byte planes of elements, most significant first; floats are rotated left by one bit, so that the sign comes last. */
#include "kernels.h"

#include <string.h>

enum { MAX_PLANES = 8 };

/* One loop for each width, so that the compiler can make vectors of it. */
#define TAKE(T, W)                                                                                                     \
    static void take##W(const T *in, size_t n, int number, int rotated, uint8_t *out)                                  \
    {                                                                                                                  \
        int shift = W - 8 * (number + 1);                                                                              \
        if (rotated)                                                                                                   \
            for (size_t i = 0; i < n; i++)                                                                             \
                out[i] = (uint8_t)((T)((T)(in[i] << 1) | (T)(in[i] >> (W - 1))) >> shift);                             \
        else                                                                                                           \
            for (size_t i = 0; i < n; i++)                                                                             \
                out[i] = (uint8_t)(in[i] >> shift);                                                                    \
    }

TAKE(uint16_t, 16)
TAKE(uint32_t, 32)
TAKE(uint64_t, 64)

#define ROTATED(x, W) (((x) >> 1) | ((x) << (W - 1)))

static void join16(const uint8_t *const *p, size_t n, int rotated, uint16_t *out)
{
    const uint8_t *a = p[0], *b = p[1];
    for (size_t i = 0; i < n; i++) {
        uint32_t x = (uint32_t)a[i] << 8 | b[i];
        out[i] = (uint16_t)(rotated ? ROTATED(x, 16) : x);
    }
}

static void join32(const uint8_t *const *p, size_t n, int rotated, uint32_t *out)
{
    const uint8_t *a = p[0], *b = p[1], *c = p[2], *d = p[3];
    for (size_t i = 0; i < n; i++) {
        uint32_t x = (uint32_t)a[i] << 24 | (uint32_t)b[i] << 16 | (uint32_t)c[i] << 8 | d[i];
        out[i] = rotated ? ROTATED(x, 32) : x;
    }
}

static void join64(const uint8_t *const *p, size_t n, int rotated, uint64_t *out)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t x = 0;
        for (int k = 0; k < 8; k++)
            x = x << 8 | p[k][i];
        out[i] = rotated ? ROTATED(x, 64) : x;
    }
}

/* plane(elements, itemsize, number, rotated, out) */
PyObject *py_plane(PyObject *self, PyObject *args)
{
    (void)self;
    enum { ELEMENTS, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    int bytes, number, rotated;
    if (!PyArg_ParseTuple(args, "y*iipw*", &b[ELEMENTS], &bytes, &number, &rotated, &b[OUT]))
        return NULL;
    int sound = (bytes == 2 || bytes == 4 || bytes == 8) && number >= 0 && number < bytes && b[OUT].len >= 0 &&
                holds_exactly(&b[ELEMENTS], (size_t)bytes, (size_t)b[OUT].len);
    PyObject *result = sound ? Py_NewRef(Py_None) : refuse("plane");
    if (sound) {
        size_t n = (size_t)b[OUT].len;
        Py_BEGIN_ALLOW_THREADS
        if (bytes == 2)
            take16(b[ELEMENTS].buf, n, number, rotated, b[OUT].buf);
        else if (bytes == 4)
            take32(b[ELEMENTS].buf, n, number, rotated, b[OUT].buf);
        else
            take64(b[ELEMENTS].buf, n, number, rotated, b[OUT].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, BUFFERS);
    return result;
}

/* join_planes(planes, itemsize, rotated, out): a tuple of as many planes as an element has bytes */
PyObject *py_join_planes(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer b[MAX_PLANES], out;
    PyObject *tuple, *result = NULL;
    int bytes, rotated, taken = 0;
    if (!PyArg_ParseTuple(args, "O!ipw*", &PyTuple_Type, &tuple, &bytes, &rotated, &out))
        return NULL;
    int sound = (bytes == 2 || bytes == 4 || bytes == 8) && PyTuple_Size(tuple) == bytes;
    const uint8_t *planes[MAX_PLANES];
    for (int k = 0; sound && k < bytes; k++) {
        PyObject *plane = PyTuple_GetItem(tuple, k);
        if (plane == NULL || PyObject_GetBuffer(plane, &b[k], PyBUF_SIMPLE) < 0)
            goto end;
        taken++;
        planes[k] = b[k].buf;
        sound = holds_exactly(&out, (size_t)bytes, (size_t)b[k].len);
    }
    if (!sound) {
        refuse("join_planes");
        goto end;
    }
    size_t n = (size_t)b[0].len;
    Py_BEGIN_ALLOW_THREADS
    if (bytes == 2)
        join16(planes, n, rotated, out.buf);
    else if (bytes == 4)
        join32(planes, n, rotated, out.buf);
    else
        join64(planes, n, rotated, out.buf);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
end:
    release(b, taken);
    release(&out, 1);
    return result;
}
