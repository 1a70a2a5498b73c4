/* Elements to the places where gaps lead, where gaps and values have been decoded before. */
#include "kernels.h"

#include "scatter.h"

/* scatter(gaps, skip, elements, itemsize, position, lines, line_length, line_offsets, place_offsets, out)
 * -> the position after all gaps, or None; `out` is written only where the gaps fit */
PyObject *py_scatter(PyObject *self, PyObject *args)
{
    (void)self;
    enum { GAPS, ELEMENTS, LINE_OFFSETS, PLACE_OFFSETS, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t position, lines, line_length;
    int bytes, skip;
    if (!PyArg_ParseTuple(args, "y*iy*innny*y*w*", &b[GAPS], &skip, &b[ELEMENTS], &bytes, &position, &lines,
                          &line_length, &b[LINE_OFFSETS], &b[PLACE_OFFSETS], &b[OUT]))
        return NULL;
    PyObject *result = NULL;
    int mapped = b[LINE_OFFSETS].len > 0;
    int sound = (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) && skip > 0 && skip < 1 << MAX_LENGTH &&
                position >= 0 && lines > 0 && line_length > 0 && lines <= PY_SSIZE_T_MAX / line_length &&
                holds(&b[GAPS], 2) &&
                (mapped ? holds_exactly(&b[LINE_OFFSETS], sizeof(int64_t), (size_t)lines) &&
                              holds_exactly(&b[PLACE_OFFSETS], sizeof(int64_t), (size_t)line_length)
                        : b[OUT].len / bytes / line_length >= lines);
    if (sound) {
        const uint16_t *gaps = b[GAPS].buf;
        size_t n = count_of(&b[GAPS], 2);
        uint64_t entries = 0, sum = 0, start = (uint64_t)position, size = (uint64_t)lines * (uint64_t)line_length;
        Geometry g = {mapped ? b[LINE_OFFSETS].buf : NULL, mapped ? b[PLACE_OFFSETS].buf : NULL, (uint64_t)lines,
                      (uint64_t)line_length};
        for (size_t i = 0; i < n; i++) {
            entries += gaps[i] != skip;
            sum += gaps[i];
        }
        if (entries != (uint64_t)(b[ELEMENTS].len / bytes) || start > size || sum + entries > size - start) {
            result = Py_NewRef(Py_None);
        } else if (!lie_within(&g, start, start + sum + entries, (uint64_t)(b[OUT].len / bytes))) {
            refuse("scatter");
        } else {
            Py_BEGIN_ALLOW_THREADS
            scatter(&g, start, gaps, n, (uint16_t)skip, b[ELEMENTS].buf, b[OUT].buf, bytes);
            Py_END_ALLOW_THREADS
            result = PyLong_FromUnsignedLongLong((unsigned long long)(start + sum + entries));
        }
    } else {
        refuse("scatter");
    }
    release(b, BUFFERS);
    return result;
}
