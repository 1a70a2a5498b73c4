/* Fields of the bits of elements, most significant first; floats are rotated left by one bit, so that the sign comes
 * last. A plane has a byte for each field of up to 8 bits, and two bytes for wider ones. */
#include "kernels.h"

#include <string.h>

/* Fields of one bit, of elements of 64. */
enum { MAX_PLANES = 64, MAX_WIDTH = 16 };
/* Elements that stay in the first-level cache from plane to plane. */
enum { BLOCK = 2048 };

#define TURNED_LEFT(T, x, W) ((T)((T)((x) << 1) | (T)((x) >> (W - 1))))
#define TURNED_RIGHT(T, x, W) ((T)((T)((x) >> 1) | (T)((x) << (W - 1))))

/* One loop for each width, so that the compiler can make vectors of it. */
#define TAKE(T, W, P, B)                                                                                               \
    static void take##W##to##B(const T *in, size_t n, int shift, T mask, int rotated, P *out)                          \
    {                                                                                                                  \
        if (rotated)                                                                                                   \
            for (size_t i = 0; i < n; i++)                                                                             \
                out[i] = (P)(TURNED_LEFT(T, in[i], W) >> shift & mask);                                                \
        else                                                                                                           \
            for (size_t i = 0; i < n; i++)                                                                             \
                out[i] = (P)(in[i] >> shift & mask);                                                                   \
    }

/* The next field behind those that `out` has, of which the first may lie in it; the last one turns the elements. Returns
 * what is above the field. */
#define APPEND(T, W, P, B)                                                                                             \
    static uint64_t append##B##to##W(const P *plane, size_t n, int width, int is_first, int turns, T *out)             \
    {                                                                                                                  \
        P all = 0;                                                                                                     \
        if (is_first && (const void *)plane == (const void *)out)                                                      \
            for (size_t i = 0; i < n; i++)                                                                             \
                all |= plane[i];                                                                                       \
        else if (is_first)                                                                                             \
            for (size_t i = 0; i < n; i++) {                                                                           \
                all |= plane[i];                                                                                       \
                out[i] = plane[i];                                                                                     \
            }                                                                                                          \
        else if (turns)                                                                                                \
            for (size_t i = 0; i < n; i++) {                                                                           \
                all |= plane[i];                                                                                       \
                T x = (T)((T)(out[i] << width) | plane[i]);                                                            \
                out[i] = TURNED_RIGHT(T, x, W);                                                                        \
            }                                                                                                          \
        else                                                                                                           \
            for (size_t i = 0; i < n; i++) {                                                                           \
                all |= plane[i];                                                                                       \
                out[i] = (T)((T)(out[i] << width) | plane[i]);                                                         \
            }                                                                                                          \
        return (uint64_t)all >> width;                                                                                 \
    }

#define BOTH(T, W)                                                                                                     \
    TAKE(T, W, uint8_t, 8)                                                                                             \
    TAKE(T, W, uint16_t, 16)                                                                                           \
    APPEND(T, W, uint8_t, 8)                                                                                           \
    APPEND(T, W, uint16_t, 16)                                                                                         \
    static void take##W(const void *in, size_t n, int shift, int width, int rotated, void *out)                        \
    {                                                                                                                  \
        T mask = (T)((1u << width) - 1);                                                                               \
        if (width <= 8)                                                                                                \
            take##W##to8(in, n, shift, mask, rotated, out);                                                            \
        else                                                                                                           \
            take##W##to16(in, n, shift, mask, rotated, out);                                                           \
    }                                                                                                                  \
    static int join##W(const uint8_t *const *planes, const uint8_t *widths, int count, size_t n, int rotated, T *out)  \
    {                                                                                                                  \
        uint64_t above = 0;                                                                                            \
        for (size_t first = 0; first < n; first += BLOCK) {                                                            \
            size_t m = n - first < BLOCK ? n - first : BLOCK;                                                          \
            for (int k = 0; k < count; k++) {                                                                          \
                int turns = rotated && k == count - 1;                                                                 \
                if (widths[k] <= 8)                                                                                    \
                    above |= append8to##W(planes[k] + first, m, widths[k], k == 0, turns, out + first);                \
                else                                                                                                   \
                    above |= append16to##W((const uint16_t *)(const void *)planes[k] + first, m, widths[k], k == 0,    \
                                           turns, out + first);                                                        \
            }                                                                                                          \
        }                                                                                                              \
        return above == 0;                                                                                             \
    }

BOTH(uint8_t, 8)
BOTH(uint16_t, 16)
BOTH(uint32_t, 32)
BOTH(uint64_t, 64)

/* Counts of neighbours go to different sets, so that equal ones need not wait for each other. */
enum { COUNT_SETS = 2, COUNTED = 1 << 30 };

/* in out sets: COUNT_SETS times as many counts as all fields have values */
#define COUNT(T, W)                                                                                                    \
    static void count##W(const T *in, size_t n, const uint8_t *widths, int fields, int rotated, uint32_t *sets,        \
                         size_t all)                                                                                   \
    {                                                                                                                  \
        uint16_t values[BLOCK];                                                                                        \
        for (size_t first = 0; first < n; first += BLOCK) {                                                            \
            size_t m = n - first < BLOCK ? n - first : BLOCK, start = 0;                                               \
            int shift = W;                                                                                             \
            for (int k = 0; k < fields; k++) {                                                                         \
                T mask = (T)((1u << widths[k]) - 1);                                                                   \
                shift -= widths[k];                                                                                    \
                take##W##to16(in + first, m, shift, mask, rotated, values);                                            \
                uint32_t *even = sets + start, *odd = even + all;                                                      \
                size_t i = 0;                                                                                          \
                for (; i + 1 < m; i += 2) {                                                                            \
                    even[values[i]]++;                                                                                 \
                    odd[values[i + 1]]++;                                                                              \
                }                                                                                                      \
                if (i < m)                                                                                             \
                    even[values[i]]++;                                                                                 \
                start += (size_t)1 << widths[k];                                                                       \
            }                                                                                                          \
        }                                                                                                              \
    }

COUNT(uint8_t, 8)
COUNT(uint16_t, 16)
COUNT(uint32_t, 32)
COUNT(uint64_t, 64)

static void count_by_size(const uint8_t *in, size_t n, int bytes, const uint8_t *widths, int fields, int rotated,
                          uint32_t *sets, size_t all)
{
    const void *data = in;
    if (bytes == 1)
        count8(data, n, widths, fields, rotated, sets, all);
    else if (bytes == 2)
        count16(data, n, widths, fields, rotated, sets, all);
    else if (bytes == 4)
        count32(data, n, widths, fields, rotated, sets, all);
    else
        count64(data, n, widths, fields, rotated, sets, all);
}

/* Whether there are so many fields that fill the bits of an element. */
static int fill(const Py_buffer *widths, int count, int bits)
{
    const uint8_t *width = widths->buf;
    int sum = 0;
    if (count < 1 || count > MAX_PLANES || !holds_exactly(widths, 1, (size_t)count))
        return 0;
    for (int k = 0; k < count; k++) {
        if (width[k] < 1 || width[k] > MAX_WIDTH)
            return 0;
        sum += width[k];
    }
    return sum == bits;
}

/* count_fields(elements, itemsize, widths, rotated, counts) */
PyObject *py_count_fields(PyObject *self, PyObject *args)
{
    (void)self;
    enum { ELEMENTS, WIDTHS, COUNTS, BUFFERS };
    Py_buffer b[BUFFERS];
    int bytes, rotated;
    if (!PyArg_ParseTuple(args, "y*iy*pw*", &b[ELEMENTS], &bytes, &b[WIDTHS], &rotated, &b[COUNTS]))
        return NULL;
    PyObject *result = NULL;
    const uint8_t *widths = b[WIDTHS].buf;
    int fields = b[WIDTHS].len > MAX_PLANES ? 0 : (int)b[WIDTHS].len;
    int sound = is_size(bytes) && fill(&b[WIDTHS], fields, 8 * bytes);
    size_t n = sound ? count_of(&b[ELEMENTS], (size_t)bytes) : 0, all = 0;
    for (int k = 0; sound && k < fields; k++)
        all += (size_t)1 << widths[k];
    sound = sound && holds_exactly(&b[ELEMENTS], (size_t)bytes, n) && holds_exactly(&b[COUNTS], 8, all);
    if (sound) {
        int64_t *counts = b[COUNTS].buf;
        uint32_t *sets = calloc(COUNT_SETS * all, sizeof *sets);
        Py_BEGIN_ALLOW_THREADS
        for (size_t first = 0; sets != NULL && first < n; first += COUNTED) {
            size_t m = n - first < COUNTED ? n - first : COUNTED;
            count_by_size((const uint8_t *)b[ELEMENTS].buf + first * (size_t)bytes, m, bytes, widths, fields, rotated,
                          sets, all);
            for (size_t k = 0; k < all; k++) {
                counts[k] += (int64_t)sets[k] + sets[all + k];
                sets[k] = sets[all + k] = 0;
            }
        }
        Py_END_ALLOW_THREADS
        result = sets == NULL ? PyErr_NoMemory() : Py_NewRef(Py_None);
        free(sets);
    } else {
        refuse("count_fields");
    }
    release(b, BUFFERS);
    return result;
}

/* plane(elements, itemsize, shift, width, rotated, out) */
PyObject *py_plane(PyObject *self, PyObject *args)
{
    (void)self;
    enum { ELEMENTS, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    int bytes, shift, width, rotated;
    if (!PyArg_ParseTuple(args, "y*iiipw*", &b[ELEMENTS], &bytes, &shift, &width, &rotated, &b[OUT]))
        return NULL;
    int sound = is_size(bytes) && width >= 1 && width <= MAX_WIDTH && shift >= 0 && shift <= 8 * bytes - width;
    size_t size = width <= 8 ? 1 : 2, n = sound ? count_of(&b[ELEMENTS], (size_t)bytes) : 0;
    sound = sound && holds_exactly(&b[ELEMENTS], (size_t)bytes, n) && holds_exactly(&b[OUT], size, n);
    PyObject *result = sound ? Py_NewRef(Py_None) : refuse("plane");
    if (sound) {
        Py_BEGIN_ALLOW_THREADS
        if (bytes == 1)
            take8(b[ELEMENTS].buf, n, shift, width, rotated, b[OUT].buf);
        else if (bytes == 2)
            take16(b[ELEMENTS].buf, n, shift, width, rotated, b[OUT].buf);
        else if (bytes == 4)
            take32(b[ELEMENTS].buf, n, shift, width, rotated, b[OUT].buf);
        else
            take64(b[ELEMENTS].buf, n, shift, width, rotated, b[OUT].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, BUFFERS);
    return result;
}

/* join_planes(planes, widths, itemsize, rotated, out): a tuple of planes, and the widths of their fields */
PyObject *py_join_planes(PyObject *self, PyObject *args)
{
    (void)self;
    enum { WIDTHS, OUT, BUFFERS };
    Py_buffer b[BUFFERS], p[MAX_PLANES];
    PyObject *tuple, *result = NULL;
    int bytes, rotated, taken = 0;
    if (!PyArg_ParseTuple(args, "O!y*ipw*", &PyTuple_Type, &tuple, &b[WIDTHS], &bytes, &rotated, &b[OUT]))
        return NULL;
    const uint8_t *planes[MAX_PLANES], *widths = b[WIDTHS].buf;
    Py_ssize_t length = PyTuple_Size(tuple);
    int count = length > MAX_PLANES ? 0 : (int)length;
    int sound = is_size(bytes) && count > 1 && fill(&b[WIDTHS], count, 8 * bytes);
    size_t n = sound ? count_of(&b[OUT], (size_t)bytes) : 0;
    sound = sound && holds_exactly(&b[OUT], (size_t)bytes, n);
    for (int k = 0; sound && k < count; k++) {
        PyObject *plane = PyTuple_GetItem(tuple, k);
        if (plane == NULL || PyObject_GetBuffer(plane, &p[k], PyBUF_SIMPLE) < 0)
            goto end;
        taken++;
        planes[k] = p[k].buf;
        sound = holds_exactly(&p[k], widths[k] <= 8 ? 1 : 2, n);
    }
    if (!sound) {
        refuse("join_planes");
        goto end;
    }
    int fits;
    Py_BEGIN_ALLOW_THREADS
    if (bytes == 1)
        fits = join8(planes, widths, count, n, rotated, b[OUT].buf);
    else if (bytes == 2)
        fits = join16(planes, widths, count, n, rotated, b[OUT].buf);
    else if (bytes == 4)
        fits = join32(planes, widths, count, n, rotated, b[OUT].buf);
    else
        fits = join64(planes, widths, count, n, rotated, b[OUT].buf);
    Py_END_ALLOW_THREADS
    result = PyBool_FromLong(fits);
end:
    release(p, taken);
    release(b, BUFFERS);
    return result;
}
