/* Elements that stand elsewhere: the places where they belong are the marks of a mask, or elements that are a mark. */
#include "kernels.h"

#include "spread_avx2.h"

/* Elements that are looked at together: of most groups none is a mark. */
enum { GROUP = 16 };

/* One loop for each width, so that the compiler can make vectors of it. */
#define BY_WIDTH(T)                                                                                                    \
    static size_t count_##T(const T *in, size_t n, T mark)                                                             \
    {                                                                                                                  \
        size_t count = 0;                                                                                              \
        for (size_t i = 0; i < n; i++)                                                                                 \
            count += in[i] == mark;                                                                                    \
        return count;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    /* Each mark becomes the next value. Returns the marks, which are at least as many as those that got a value. */   \
    static size_t fill_##T(T *out, size_t n, T mark, const T *values, size_t count)                                    \
    {                                                                                                                  \
        size_t marks = 0;                                                                                              \
        for (size_t i = 0; i < n;) {                                                                                   \
            size_t stop = n - i < GROUP ? n : i + GROUP;                                                               \
            if (stop - i == GROUP && count_##T(out + i, GROUP, mark) == 0) {                                           \
                i = stop;                                                                                              \
                continue;                                                                                              \
            }                                                                                                          \
            for (; i < stop; i++)                                                                                      \
                if (out[i] == mark) {                                                                                  \
                    if (marks < count)                                                                                 \
                        out[i] = values[marks];                                                                        \
                    marks++;                                                                                           \
                }                                                                                                      \
        }                                                                                                              \
        return marks;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    /* The next value where the mask is not 0, zero elsewhere. marks: the values that have been used. Returns as      \
     * `fill` does. */                                                                                                 \
    static size_t spread_##T(const uint8_t *mask, size_t n, const T *values, size_t count, size_t marks, T *out)       \
    {                                                                                                                  \
        size_t i = 0;                                                                                                  \
        while (n - i >= 8 && count - marks >= 8) {                                                                     \
            uint64_t eight;                                                                                            \
            memcpy(&eight, mask + i, 8);                                                                               \
            for (size_t stop = i + 8; i < stop; i++) {                                                                 \
                T is = (T)(mask[i] != 0);                                                                              \
                out[i] = eight == 0 ? 0 : (T)(values[marks] & (T)(0 - is));                                            \
                marks += is;                                                                                           \
            }                                                                                                          \
        }                                                                                                              \
        for (; i < n; i++) {                                                                                           \
            T is = (T)(mask[i] != 0);                                                                                  \
            out[i] = is && marks < count ? values[marks] : 0;                                                          \
            marks += is;                                                                                               \
        }                                                                                                              \
        return marks;                                                                                                  \
    }

/* The elements where the mask is not 0, as many as there is room for; returns how many there are.
 * Others may write to the elements. in mask: n. in from: n elements of `bytes`. out out: room for `room`. */
static inline size_t gather(const uint8_t *mask, size_t n, const uint8_t *from, uint8_t *out, size_t room, size_t bytes)
{
    size_t marks = 0, i = 0;
    while (i < n) {
        uint64_t eight = 1;
        if (n - i >= 8)
            memcpy(&eight, mask + i, 8);
        if (eight == 0) {
            i += 8;
            continue;
        }
        for (size_t stop = n - i >= 8 ? i + 8 : n; i < stop; i++) {
            if (marks < room)
                memcpy(out + marks * bytes, from + i * bytes, bytes);
            marks += mask[i] != 0;
        }
    }
    return marks;
}

BY_WIDTH(uint8_t)
BY_WIDTH(uint16_t)
BY_WIDTH(uint32_t)
BY_WIDTH(uint64_t)

/* count_marks(elements, itemsize, mark) -> how many are equal to it */
PyObject *py_count_marks(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer b;
    int bytes;
    unsigned long long mark;
    if (!PyArg_ParseTuple(args, "y*iK", &b, &bytes, &mark))
        return NULL;
    int sound = is_size(bytes) && holds(&b, (size_t)bytes);
    size_t count = 0, n = sound ? count_of(&b, (size_t)bytes) : 0;
    Py_BEGIN_ALLOW_THREADS
    if (bytes == 1)
        count = count_uint8_t(b.buf, n, (uint8_t)mark);
    else if (bytes == 2)
        count = count_uint16_t(b.buf, n, (uint16_t)mark);
    else if (bytes == 4)
        count = count_uint32_t(b.buf, n, (uint32_t)mark);
    else
        count = count_uint64_t(b.buf, n, mark);
    Py_END_ALLOW_THREADS
    release(&b, 1);
    return sound ? PyLong_FromSize_t(count) : refuse("count_marks");
}

/* fill_marks(out, itemsize, mark, values) -> how many marks there were */
PyObject *py_fill_marks(PyObject *self, PyObject *args)
{
    (void)self;
    enum { OUT, VALUES, BUFFERS };
    Py_buffer b[BUFFERS];
    int bytes;
    unsigned long long mark;
    if (!PyArg_ParseTuple(args, "w*iKy*", &b[OUT], &bytes, &mark, &b[VALUES]))
        return NULL;
    int sound = is_size(bytes) && holds(&b[OUT], (size_t)bytes) && holds(&b[VALUES], (size_t)bytes);
    size_t marks = 0, n = sound ? count_of(&b[OUT], (size_t)bytes) : 0;
    size_t count = sound ? count_of(&b[VALUES], (size_t)bytes) : 0;
    Py_BEGIN_ALLOW_THREADS
    if (bytes == 1)
        marks = fill_uint8_t(b[OUT].buf, n, (uint8_t)mark, b[VALUES].buf, count);
    else if (bytes == 2)
        marks = fill_uint16_t(b[OUT].buf, n, (uint16_t)mark, b[VALUES].buf, count);
    else if (bytes == 4)
        marks = fill_uint32_t(b[OUT].buf, n, (uint32_t)mark, b[VALUES].buf, count);
    else
        marks = fill_uint64_t(b[OUT].buf, n, mark, b[VALUES].buf, count);
    Py_END_ALLOW_THREADS
    release(b, BUFFERS);
    return sound ? PyLong_FromSize_t(marks) : refuse("fill_marks");
}

/* See `spread_uint32_t`. vectors: whether it may use what this processor alone has. */
static size_t spread(const uint8_t *mask, size_t n, const void *values, size_t count, int bytes, int vectors, void *out)
{
    size_t marks = 0, done = 0;
#ifdef SWSFMT_AVX2
    if (vectors && bytes == 4 && has_avx2())
        done = spread_words(mask, n, values, count, out, &marks);
    else if (vectors && bytes == 2 && has_avx2())
        done = spread_pairs(mask, n, values, count, out, &marks);
#endif
    (void)vectors;
    mask += done, n -= done;
    if (bytes == 1)
        return spread_uint8_t(mask, n, values, count, marks, out);
    if (bytes == 2)
        return spread_uint16_t(mask, n, values, count, marks, (uint16_t *)out + done);
    if (bytes == 4)
        return spread_uint32_t(mask, n, values, count, marks, (uint32_t *)out + done);
    return spread_uint64_t(mask, n, values, count, marks, out);
}

/* spread(mask, values, itemsize, vectors, out) -> how many marks there were */
PyObject *py_spread(PyObject *self, PyObject *args)
{
    (void)self;
    enum { MASK, VALUES, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    int bytes, vectors;
    if (!PyArg_ParseTuple(args, "y*y*ipw*", &b[MASK], &b[VALUES], &bytes, &vectors, &b[OUT]))
        return NULL;
    size_t n = count_of(&b[MASK], 1);
    int sound = is_size(bytes) && holds_exactly(&b[OUT], (size_t)bytes, n) && holds(&b[VALUES], (size_t)bytes);
    size_t marks = 0, count = sound ? count_of(&b[VALUES], (size_t)bytes) : 0;
    if (sound) {
        Py_BEGIN_ALLOW_THREADS
        marks = spread(b[MASK].buf, n, b[VALUES].buf, count, bytes, vectors, b[OUT].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, BUFFERS);
    return sound ? PyLong_FromSize_t(marks) : refuse("spread");
}

/* gather(mask, elements, itemsize, out) -> how many places of the mask are not 0 */
PyObject *py_gather(PyObject *self, PyObject *args)
{
    (void)self;
    enum { MASK, ELEMENTS, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    int bytes;
    if (!PyArg_ParseTuple(args, "y*y*iw*", &b[MASK], &b[ELEMENTS], &bytes, &b[OUT]))
        return NULL;
    size_t n = count_of(&b[MASK], 1), marks = 0;
    int sound = is_size(bytes) && (size_t)b[ELEMENTS].len / (size_t)bytes == n && b[ELEMENTS].len % bytes == 0 &&
                b[OUT].len % bytes == 0;
    if (sound) {
        size_t room = (size_t)b[OUT].len / (size_t)bytes;
        Py_BEGIN_ALLOW_THREADS
        if (bytes == 1)
            marks = gather(b[MASK].buf, n, b[ELEMENTS].buf, b[OUT].buf, room, 1);
        else if (bytes == 2)
            marks = gather(b[MASK].buf, n, b[ELEMENTS].buf, b[OUT].buf, room, 2);
        else if (bytes == 4)
            marks = gather(b[MASK].buf, n, b[ELEMENTS].buf, b[OUT].buf, room, 4);
        else
            marks = gather(b[MASK].buf, n, b[ELEMENTS].buf, b[OUT].buf, room, 8);
        Py_END_ALLOW_THREADS
    }
    release(b, BUFFERS);
    return sound ? PyLong_FromSize_t(marks) : refuse("gather");
}
