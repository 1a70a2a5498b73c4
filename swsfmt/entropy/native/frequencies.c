/* Tables of frequencies: levels on a scale of four steps an octave, and the shares that they stand for (spec 6.8). */
#include "kernels.h"

#include "packed.h"
#include "rans.h"

enum { LEVELS = 49 };

static inline uint32_t weight_of(uint32_t level)
{
    return level < 8 ? level : (4 + level % 4) << (level / 4 - 1);
}

/* What a level is foretold to be: left + up - corner within the bounds of left and up. These are the levels of the
 * symbol before, of the same symbol in the table before, and of the symbol before in the table before. */
static inline int foretold(int left, int up, int corner)
{
    int low = left < up ? left : up, high = left < up ? up : left, sum = left + up - corner;
    return sum < low ? low : sum > high ? high : sum;
}

/* out levels: of an alphabet. before: those of the table before. Sets `failed` for one that is out of bounds. */
static void read_table(Reader *r, const uint8_t *before, size_t alphabet, uint8_t *levels)
{
    int left = 0, corner = 0;
    for (size_t s = 0; s < alphabet && !r->failed; s++) {
        int up = before[s];
        uint64_t n = take_gamma(r);
        if (n > 2 * LEVELS)
            n = 0;
        if (left == 0 && up == 0)
            left = (int)n - 1;
        else
            left = foretold(left, up, corner) + (n % 2 ? -(int)(n / 2) : (int)(n / 2));
        r->failed |= n == 0 || left < 0 || left >= LEVELS;
        levels[s] = (uint8_t)left;
        corner = up;
    }
}

/* Cut 2^bits into shares. in levels: of an alphabet. out frequencies: 0 for level 0, else at least 1.
 * Returns 0 where all levels are 0, or more than 2^bits are not. */
static int share(const uint8_t *levels, size_t alphabet, int bits, uint16_t *frequencies)
{
    uint64_t total = 0, used = 0, sum = 0, number = 0, start = 0;
    for (size_t s = 0; s < alphabet; s++) {
        total += weight_of(levels[s]);
        used += levels[s] > 0;
    }
    if (used == 0 || used > (uint64_t)1 << bits)
        return 0;
    for (size_t s = 0; s < alphabet; s++) {
        sum += weight_of(levels[s]);
        number += levels[s] > 0;
        uint64_t end = number + (((uint64_t)1 << bits) - used) * sum / total;
        frequencies[s] = (uint16_t)(end - start);
        start = end;
    }
    return 1;
}

/* out frequencies: of row_classes * column_classes tables. levels: as many, and the zeros before the first table. */
static void read_frequencies(Reader *r, size_t row_classes, size_t column_classes, size_t alphabet, int bits,
                             uint8_t *levels, uint16_t *frequencies)
{
    memset(levels, 0, alphabet);
    for (size_t i = 0; i < row_classes * column_classes && !r->failed; i++, frequencies += alphabet) {
        uint8_t *own = levels + (i + 1) * alphabet;
        /* The table before is that of the class of columns before, or of rows for the first class of columns. */
        size_t back = i % column_classes ? 1 : i ? column_classes : 1;
        read_table(r, own - back * alphabet, alphabet, own);
        r->failed |= !r->failed && !share(own, alphabet, bits, frequencies);
    }
}

/* read_frequencies(bits, start, stop, row_classes, column_classes, width, out) -> the bit after them, or None */
PyObject *py_read_frequencies(PyObject *self, PyObject *args)
{
    (void)self;
    enum { BITS, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    unsigned long long start, stop;
    Py_ssize_t row_classes, column_classes;
    int width;
    if (!PyArg_ParseTuple(args, "y*KKnniw*", &b[BITS], &start, &stop, &row_classes, &column_classes, &width,
                          &b[OUT]))
        return NULL;
    PyObject *result = NULL;
    int sound = start <= stop && stop <= (unsigned long long)b[BITS].len * 8 && row_classes >= 1 &&
                row_classes <= MAX_LINE_CLASSES && column_classes >= 1 && column_classes <= MAX_LINE_CLASSES &&
                width >= MIN_RANS_BITS && width <= MAX_RANS_BITS && holds(&b[OUT], 2) && count_of(&b[OUT], 2) > 0 &&
                count_of(&b[OUT], 2) % (size_t)(row_classes * column_classes) == 0;
    size_t alphabet = sound ? count_of(&b[OUT], 2) / (size_t)(row_classes * column_classes) : 0;
    if (sound && alphabet <= MAX_RANS_ALPHABET) {
        Reader r = {{b[BITS].buf, (size_t)b[BITS].len}, start, stop, 0};
        uint8_t *levels = malloc((size_t)(row_classes * column_classes + 1) * alphabet);
        Py_BEGIN_ALLOW_THREADS
        if (levels != NULL)
            read_frequencies(&r, (size_t)row_classes, (size_t)column_classes, alphabet, width, levels,
                             b[OUT].buf);
        Py_END_ALLOW_THREADS
        if (levels == NULL)
            PyErr_NoMemory();
        else
            result = r.failed ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong(r.at);
        free(levels);
    } else {
        refuse("read_frequencies");
    }
    release(b, BUFFERS);
    return result;
}
