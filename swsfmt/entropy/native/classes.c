/* What an encoder asks to find classes of rows and columns: how often symbols occur, and what lines would cost. */
#include "kernels.h"

#include "rans.h"

/* Costs of elements are below 2^15; of so many the sum is in 32 bits. */
enum { MOST_COST = 1 << 15, SUMMED = 1 << 15 };

/* About so many elements are counted in 32 bits. */
enum { COUNTED = 1 << 24 };

/* Rows of fewer than 2^32 elements together: their counts, in 32 bits and two sets, of which neighbours take different ones.
 * out counts: twice as many as there are symbols in all pairs of classes, zeros. */
static void count_rows(const uint16_t *symbols, const Classes *c, size_t first, size_t last, uint32_t alphabet,
                       uint32_t *counts)
{
    uint32_t all = (uint32_t)(c->row_classes * c->column_classes) * alphabet;
    for (size_t i = first; i < last; i++, symbols += c->column_count) {
        uint32_t *even = counts + c->rows[i] * c->column_classes * alphabet, *odd = even + all;
        size_t j = 0;
        for (; j + 1 < c->column_count; j += 2) {
            even[c->columns[j] * alphabet + symbols[j]]++;
            odd[c->columns[j + 1] * alphabet + symbols[j + 1]]++;
        }
        if (j < c->column_count)
            even[c->columns[j] * alphabet + symbols[j]]++;
    }
}

/* class_counts(symbols, classes, alphabet, counts) -> None */
PyObject *py_class_counts(PyObject *self, PyObject *args)
{
    (void)self;
    enum { SYMBOLS, ROWS, COLUMNS, COUNTS, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t row_classes, column_classes, alphabet;
    if (!PyArg_ParseTuple(args, "y*(y*y*nn)nw*", &b[SYMBOLS], &b[ROWS], &b[COLUMNS], &row_classes, &column_classes,
                          &alphabet, &b[COUNTS]))
        return NULL;
    PyObject *result = NULL;
    const uint16_t *symbols = b[SYMBOLS].buf;
    int64_t *counts = b[COUNTS].buf;
    size_t n = count_of(&b[SYMBOLS], 2);
    Classes c = {b[ROWS].buf, b[COLUMNS].buf, (size_t)b[ROWS].len, (size_t)b[COLUMNS].len, (size_t)row_classes,
                 (size_t)column_classes};
    int sound = holds(&b[SYMBOLS], 2) && are_classes(&c) && alphabet >= 1 && alphabet <= MAX_RANS_ALPHABET &&
                c.column_count < UINT32_MAX &&
                n / c.column_count == c.row_count && n % c.column_count == 0 &&
                holds_exactly(&b[COUNTS], 8, c.row_classes * c.column_classes * (size_t)alphabet) &&
                (n == 0 || largest(symbols, n) < alphabet);
    if (sound) {
        size_t all = c.row_classes * c.column_classes * (size_t)alphabet;
        size_t many = COUNTED / c.column_count + 1;
        uint32_t *own = calloc(2 * all, sizeof *own);
        Py_BEGIN_ALLOW_THREADS
        for (size_t i = 0; own != NULL && i < c.row_count; i += many) {
            size_t last = c.row_count - i < many ? c.row_count : i + many;
            count_rows(symbols + i * c.column_count, &c, i, last, (uint32_t)alphabet, own);
            for (size_t k = 0; k < all; k++) {
                counts[k] += (int64_t)own[k] + own[all + k];
                own[k] = own[all + k] = 0;
            }
        }
        Py_END_ALLOW_THREADS
        result = own == NULL ? PyErr_NoMemory() : Py_NewRef(Py_None);
        free(own);
    } else {
        refuse("class_counts");
    }
    release(b, BUFFERS);
    return result;
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
            for (; j < stop; j++) {
                const int32_t *own = costs + (columns[j] * alphabet + *symbols++) * MAX_LINE_CLASSES;
                for (int k = 0; k < MAX_LINE_CLASSES; k++)
                    sums[k] += own[k];
            }
            for (int k = 0; k < MAX_LINE_CLASSES; k++)
                out[k] += sums[k];
        }
}

/* Columns whose sums stay in the first-level cache. */
enum { TILE = 512 };

/* The same for each column. in rows: the class of each. costs: for each such class and each symbol those in
 * MAX_LINE_CLASSES classes of columns. in out out: the sums of each column. */
static void column_costs(const uint16_t *symbols, const uint8_t *rows, size_t count, size_t columns, const int32_t *costs,
                         size_t alphabet, int64_t *out)
{
    for (size_t first = 0; first < columns; first += TILE) {
        size_t tile = columns - first < TILE ? columns - first : TILE;
        for (size_t i = 0; i < count;) {
            int32_t sums[TILE][MAX_LINE_CLASSES] = {{0}};
            size_t stop = count - i < SUMMED ? count : i + SUMMED;
            for (; i < stop; i++) {
                const uint16_t *row = symbols + i * columns + first;
                const int32_t *of_row = costs + rows[i] * alphabet * MAX_LINE_CLASSES;
                for (size_t j = 0; j < tile; j++) {
                    /* So that the compiler makes vectors of it. */
                    int32_t *restrict sum = sums[j];
                    const int32_t *restrict own = of_row + (size_t)row[j] * MAX_LINE_CLASSES;
                    for (int k = 0; k < MAX_LINE_CLASSES; k++)
                        sum[k] += own[k];
                }
            }
            for (size_t j = 0; j < tile; j++)
                for (size_t k = 0; k < MAX_LINE_CLASSES; k++)
                    out[(first + j) * MAX_LINE_CLASSES + k] += sums[j][k];
        }
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
        Py_BEGIN_ALLOW_THREADS
        if (of_columns)
            column_costs(b[SYMBOLS].buf, others, count, lines, costs, alphabet, b[OUT].buf);
        else
            row_costs(b[SYMBOLS].buf, lines, others, count, costs, alphabet, b[OUT].buf);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    } else {
        refuse("class_costs");
    }
    release(b, BUFFERS);
    return result;
}
