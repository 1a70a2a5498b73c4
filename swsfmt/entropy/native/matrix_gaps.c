/* All gaps of a matrix that is small enough to count each of them (spec 5.5). */
#include "entries.h"

/* The gaps that occur and how often, as a tuple of bytes of int64. in within, heads: `n` counts each, which add up.
 * spare: room for 2 * n. */
static PyObject *occurring(const int64_t *within, const int64_t *heads, size_t n, int64_t *spare)
{
    size_t count = 0;
    for (size_t gap = 0; gap < n; gap++)
        if (within[gap] + heads[gap]) {
            spare[count] = (int64_t)gap;
            spare[n + count++] = within[gap] + heads[gap];
        }
    Py_ssize_t size = (Py_ssize_t)(count * sizeof *spare);
    return Py_BuildValue("y#y#", (const char *)spare, size, (const char *)(spare + n), size);
}

/* How many live places come before each; returns how many there are. in live: `n`. out numbers: n. */
static int64_t number(const uint8_t *live, size_t n, int32_t *numbers)
{
    int32_t count = 0;
    for (size_t i = 0; i < n; i++) {
        numbers[i] = count;
        count += live[i] != 0;
    }
    return count;
}

/* matrix_gaps(symbols, columns, lines_are_columns, places, live) -> (most, (gaps, counts), the same, the same) */
PyObject *py_matrix_gaps(PyObject *self, PyObject *args)
{
    (void)self;
    enum { SYMBOLS, PLACES, LIVE, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t columns;
    int by_columns;
    if (!PyArg_ParseTuple(args, "y*npy*w*", &b[SYMBOLS], &columns, &by_columns, &b[PLACES], &b[LIVE]))
        return NULL;
    PyObject *result = NULL;
    size_t size = count_of(&b[SYMBOLS], 2), width = columns > 0 ? (size_t)columns : 1, height = size / width;
    size_t lines = by_columns ? width : height, places = by_columns ? height : width;
    int some_live = b[PLACES].len > 0;
    int sound = columns > 0 && size > 0 && width * height == size && holds(&b[SYMBOLS], 2) &&
                (size_t)b[LIVE].len == lines && (!some_live || (size_t)b[PLACES].len == places);
    /* Within lines, before lines each way, those that occur; of each line the first, the last, and how many; numbers. */
    int64_t *counts = sound ? calloc((1 + WAYS + 2) * size + 3 * lines + places, sizeof *counts) : NULL;
    if (counts != NULL) {
        int64_t *heads = counts + size, *spare = heads + WAYS * size, *ends = spare + 2 * size;
        int32_t *numbers = some_live ? (int32_t *)(void *)(ends + 3 * lines) : NULL;
        Window window = {b[SYMBOLS].buf, width, 0, height, 0, width, by_columns, numbers};
        LineGaps gaps = {counts, NULL, ends, ends + lines, ends + 2 * lines, size, 0, 0};
        State state = {0};
        Py_BEGIN_ALLOW_THREADS
        for (size_t i = 0; i < 2 * lines; i++)
            ends[i] = -1;
        int64_t length = some_live ? number(b[PLACES].buf, places, numbers) : (int64_t)places;
        sound = line_gaps(&window, &gaps) &&
                head_gaps(ends, lines, 0, length, &state, b[LIVE].buf, heads, size, NULL, 0);
        Py_END_ALLOW_THREADS
        if (sound)
            result = Py_BuildValue("LNNN", (long long)state.most, occurring(counts, heads, size, spare),
                                   occurring(counts, heads + size, size, spare),
                                   occurring(counts, heads + 2 * size, size, spare));
    }
    if (!sound)
        refuse("matrix_gaps");
    else if (counts == NULL)
        PyErr_NoMemory();
    free(counts);
    release(b, BUFFERS);
    return result;
}
