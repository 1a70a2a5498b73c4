/* The elements of a matrix to a chunk of interleaved rANS. */
#include "kernels.h"

#include "rans.h"

/* How a symbol changes a state, with tables of 2^bits slots. inverse: of the frequency, 32 + bits behind the point, rounded
 * up: for states that are below the frequency times 2^(32 - bits), as they are, the product fits 64 bits and the quotient
 * is exact. */
typedef struct {
    uint64_t inverse;
    uint32_t frequency, start;
} Step;

/* Those of all pairs of classes, in room for `pairs * alphabet` steps. Returns 0 where the sums are not 2^bits. */
static int make_steps(const uint16_t *frequencies, int bits, size_t pairs, size_t alphabet, Step *steps)
{
    for (size_t i = 0; i < pairs; i++) {
        uint32_t start = 0;
        for (size_t s = 0; s < alphabet; s++, frequencies++, steps++) {
            uint64_t one = (uint64_t)1 << (32 + bits), frequency = *frequencies;
            *steps = (Step){frequency ? (one + frequency - 1) / frequency : 0, *frequencies, start};
            start += *frequencies;
        }
        if (start != 1u << bits)
            return 0;
    }
    return 1;
}

/* The next `n` symbols, and the number of the step of symbol 0 of their pairs of classes. in symbols: of the chunk. */
static void next_symbols(Walk *w, const uint16_t *symbols, size_t n, size_t alphabet, uint16_t *own, uint32_t *pairs)
{
    Walk before = *w;
    next_pairs(w, n, (uint32_t)alphabet, pairs);
    while (n > 0) {
        size_t left = before.c->column_count - before.column, run = left < n ? left : n;
        memcpy(own, symbols + row_of(&before) * before.c->column_count + before.column, run * sizeof *own);
        own += run;
        n -= run;
        advance(&before, run);
    }
}

/* Code the symbols of a chunk, from the last one to the first. order: in which its rows are coded.
 * out words: room for one more than there are symbols, filled from the end. out states: one for each lane.
 * Returns how many words there are, or more than symbols where one has no frequency. */
static size_t encode(const uint16_t *symbols, const Classes *c, const uint32_t *order, const Step *steps, int bits,
                     size_t alphabet, size_t lanes, uint32_t *states, uint16_t *words)
{
    uint32_t pairs[RANS_BLOCK];
    uint16_t own[RANS_BLOCK];
    size_t n = c->row_count * c->column_count;
    uint16_t *end = words + n + 1, *word = end;
    unsigned missing = 0;
    for (size_t lane = 0; lane < lanes; lane++)
        states[lane] = RANS_LOW;
    for (size_t stop = n; stop > 0;) {
        size_t first = (stop - 1) / RANS_BLOCK * RANS_BLOCK;
        Walk walk = {c, order, first / c->column_count, first % c->column_count};
        next_symbols(&walk, symbols, stop - first, alphabet, own, pairs);
        for (size_t k = stop - first; k-- > 0;) {
            const Step *step = &steps[pairs[k] + own[k]];
            uint32_t state = states[k & (lanes - 1)];
            missing |= step->frequency == 0;
            uint32_t is_full = (uint64_t)state >= (uint64_t)step->frequency << (32 - bits);
            word[-1] = (uint16_t)state;
            word -= is_full;
            state >>= 16 * is_full;
            uint32_t quotient = (uint32_t)(state * step->inverse >> (32 + bits));
            states[k & (lanes - 1)] = state + step->start + quotient * ((1u << bits) - step->frequency);
        }
        stop = first;
    }
    return missing ? n + 1 : (size_t)(end - word);
}

/* rans_encode(symbols, classes, frequencies, bits, lanes) -> bytes, or None where a
 * symbol has no frequency */
PyObject *py_rans_encode(PyObject *self, PyObject *args)
{
    (void)self;
    enum { SYMBOLS, ROWS, COLUMNS, FREQUENCIES, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t row_classes, column_classes, lanes;
    int bits;
    if (!PyArg_ParseTuple(args, "y*(y*y*nn)y*in", &b[SYMBOLS], &b[ROWS], &b[COLUMNS], &row_classes, &column_classes,
                          &b[FREQUENCIES], &bits, &lanes))
        return NULL;
    PyObject *result = NULL;
    const uint16_t *symbols = b[SYMBOLS].buf;
    size_t n = count_of(&b[SYMBOLS], 2), pairs = 0, alphabet = 0;
    Classes c = {b[ROWS].buf, b[COLUMNS].buf, (size_t)b[ROWS].len, (size_t)b[COLUMNS].len, (size_t)row_classes,
                 (size_t)column_classes};
    int sound = holds(&b[SYMBOLS], 2) && n > 0 && n < SIZE_MAX / 8 && bits >= MIN_RANS_BITS && bits <= MAX_RANS_BITS &&
                is_lanes(lanes) && are_classes(&c) && c.row_count <= UINT32_MAX && n % c.column_count == 0 &&
                n / c.column_count == c.row_count;
    if (sound) {
        pairs = c.row_classes * c.column_classes;
        alphabet = count_of(&b[FREQUENCIES], 2) / pairs;
        sound = alphabet >= 1 && alphabet <= MAX_RANS_ALPHABET && holds_exactly(&b[FREQUENCIES], 2, pairs * alphabet) &&
                largest(symbols, n) < alphabet;
    }
    if (sound) {
        uint32_t states[MAX_RANS_LANES], *order = NULL;
        size_t count = 0;
        int right = 0, has_order;
        Step *steps = NULL;
        uint16_t *words = NULL;
        Py_BEGIN_ALLOW_THREADS
        steps = calloc(pairs * alphabet, sizeof *steps);
        words = malloc((n + 1) * sizeof *words);
        has_order = rows_by_class(&c, &order);
        if (steps != NULL && words != NULL && has_order) {
            right = make_steps(b[FREQUENCIES].buf, bits, pairs, alphabet, steps);
            if (right)
                count = encode(symbols, &c, order, steps, bits, alphabet, (size_t)lanes, states, words);
        }
        Py_END_ALLOW_THREADS
        size_t head = (size_t)lanes * sizeof *states;
        if (steps == NULL || words == NULL || !has_order)
            PyErr_NoMemory();
        else if (!right)
            refuse("rans_encode");
        else if (count > n)
            result = Py_NewRef(Py_None);
        else if ((result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(head + 2 * count))) != NULL) {
            char *out = PyBytes_AsString(result);
            memcpy(out, states, head);
            memcpy(out + head, words + n + 1 - count, 2 * count);
        }
        free(steps);
        free(words);
        free(order);
    } else {
        refuse("rans_encode");
    }
    release(b, BUFFERS);
    return result;
}
