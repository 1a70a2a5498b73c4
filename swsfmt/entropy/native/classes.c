/* What an encoder asks to find classes of rows and columns: how often symbols occur, and what lines would cost. */
#include "kernels.h"

#include "rans.h"

/* Costs of elements are below 2^15; of so many the sum is in 32 bits. */
enum { MOST_COST = 1 << 15, SUMMED = 1 << 15 };

/* class_counts(symbols, rows, columns, row_classes, column_classes, alphabet, counts) -> None */
PyObject *py_class_counts(PyObject *self, PyObject *args)
{
    (void)self;
    enum { SYMBOLS, ROWS, COLUMNS, COUNTS, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t row_classes, column_classes, alphabet;
    if (!PyArg_ParseTuple(args, "y*y*y*nnnw*", &b[SYMBOLS], &b[ROWS], &b[COLUMNS], &row_classes, &column_classes,
                          &alphabet, &b[COUNTS]))
        return NULL;
    PyObject *result = NULL;
    const uint16_t *symbols = b[SYMBOLS].buf;
    int64_t *counts = b[COUNTS].buf;
    size_t n = count_of(&b[SYMBOLS], 2);
    Classes c = {b[ROWS].buf, b[COLUMNS].buf, (size_t)b[ROWS].len, (size_t)b[COLUMNS].len, (size_t)row_classes,
                 (size_t)column_classes};
    int sound = holds(&b[SYMBOLS], 2) && are_classes(&c) && alphabet >= 1 && alphabet <= MAX_RANS_ALPHABET &&
                n / c.column_count == c.row_count && n % c.column_count == 0 &&
                holds_exactly(&b[COUNTS], 8, c.row_classes * c.column_classes * (size_t)alphabet) &&
                (n == 0 || largest(symbols, n) < alphabet);
    if (sound) {
        Py_BEGIN_ALLOW_THREADS
        for (size_t i = 0; i < c.row_count; i++, symbols += c.column_count) {
            int64_t *own = counts + c.rows[i] * c.column_classes * (size_t)alphabet;
            for (size_t j = 0; j < c.column_count; j++)
                own[c.columns[j] * (size_t)alphabet + symbols[j]]++;
        }
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    } else {
        refuse("class_counts");
    }
    release(b, BUFFERS);
    return result;
}

static inline void add(int32_t *sums, const int32_t *costs)
{
    for (int k = 0; k < MAX_LINE_CLASSES; k++)
        sums[k] += costs[k];
}

static void flush(int32_t *sums, size_t n, int64_t *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] += sums[i];
        sums[i] = 0;
    }
}

/* in columns: the class of each. costs: for each such class and each symbol those in MAX_LINE_CLASSES classes of rows.
 * in out out: the sums of each row. */
static void row_costs(const uint16_t *symbols, size_t rows, const uint8_t *columns, size_t count, const int32_t *costs,
                      size_t alphabet, int64_t *out)
{
    for (size_t i = 0; i < rows; i++, out += MAX_LINE_CLASSES)
        for (size_t j = 0; j < count;) {
            int32_t sums[MAX_LINE_CLASSES] = {0};
            size_t stop = count - j < SUMMED ? count : j + SUMMED;
            for (; j < stop; j++)
                add(sums, costs + (columns[j] * alphabet + *symbols++) * MAX_LINE_CLASSES);
            flush(sums, MAX_LINE_CLASSES, out);
        }
}

/* The same the other way round. sums: room for MAX_LINE_CLASSES of each column, zeros. */
static void column_costs(const uint16_t *symbols, const uint8_t *rows, size_t count, size_t columns,
                         const int32_t *costs, size_t alphabet, int32_t *sums, int64_t *out)
{
    for (size_t i = 0; i < count; i++) {
        const int32_t *own = costs + rows[i] * alphabet * MAX_LINE_CLASSES;
        for (size_t j = 0; j < columns; j++)
            add(sums + MAX_LINE_CLASSES * j, own + (size_t)MAX_LINE_CLASSES * *symbols++);
        if ((i + 1) % SUMMED == 0 || i + 1 == count)
            flush(sums, MAX_LINE_CLASSES * columns, out);
    }
}

/* class_costs(symbols, others, costs, of_columns, out) -> None */
PyObject *py_class_costs(PyObject *self, PyObject *args)
{
    (void)self;
    enum { SYMBOLS, OTHERS, COSTS, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    int of_columns;
    if (!PyArg_ParseTuple(args, "y*y*y*pw*", &b[SYMBOLS], &b[OTHERS], &b[COSTS], &of_columns, &b[OUT]))
        return NULL;
    PyObject *result = NULL;
    const uint8_t *others = b[OTHERS].buf;
    const int32_t *costs = b[COSTS].buf;
    size_t n = count_of(&b[SYMBOLS], 2), count = (size_t)b[OTHERS].len, lines = count ? n / count : 0, classes = 0;
    for (size_t i = 0; i < count; i++)
        classes = others[i] >= classes ? (size_t)others[i] + 1 : classes;
    size_t symbols_of_costs = count_of(&b[COSTS], 4) / MAX_LINE_CLASSES;
    size_t alphabet = classes ? symbols_of_costs / MAX_LINE_CLASSES : 0;
    int sound = holds(&b[SYMBOLS], 2) && count > 0 && n % count == 0 && classes <= MAX_LINE_CLASSES && alphabet >= 1 &&
                alphabet <= MAX_RANS_ALPHABET &&
                holds_exactly(&b[COSTS], 4, alphabet * MAX_LINE_CLASSES * MAX_LINE_CLASSES) &&
                holds_exactly(&b[OUT], 8, lines * MAX_LINE_CLASSES) && largest(b[SYMBOLS].buf, n) < alphabet;
    for (size_t i = 0; sound && i < count_of(&b[COSTS], 4); i++)
        sound = costs[i] >= 0 && costs[i] <= MOST_COST;
    if (sound) {
        int32_t *sums = calloc(lines + 1, MAX_LINE_CLASSES * sizeof *sums);
        Py_BEGIN_ALLOW_THREADS
        if (sums != NULL && of_columns)
            column_costs(b[SYMBOLS].buf, others, count, lines, costs, alphabet, sums, b[OUT].buf);
        else if (sums != NULL)
            row_costs(b[SYMBOLS].buf, lines, others, count, costs, alphabet, b[OUT].buf);
        Py_END_ALLOW_THREADS
        result = sums == NULL ? PyErr_NoMemory() : Py_NewRef(Py_None);
        free(sums);
    } else {
        refuse("class_costs");
    }
    release(b, BUFFERS);
    return result;
}
