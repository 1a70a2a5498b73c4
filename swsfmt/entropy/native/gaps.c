/* Gaps to symbols, with skips where they are long (spec 5.5). */
#include "codes.h"

/* How many symbols the gaps make with their skips, or more than `most`; `skip` is the largest symbol.
 * in gaps: `n`, none negative. */
static uint64_t count_gap_symbols(const int64_t *gaps, size_t n, uint64_t skip, uint64_t most)
{
    uint64_t count = n;
    assert(skip > 0);
    for (size_t i = 0; i < n && count <= most; i++)
        if ((uint64_t)gaps[i] >= skip)
            count += (uint64_t)gaps[i] / skip;
    return count;
}

/* in gaps: `n`, none negative. out out: as many as `count_gap_symbols` says. */
static void gap_symbols(const int64_t *gaps, size_t n, uint64_t skip, uint16_t *out)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t gap = (uint64_t)gaps[i];
        for (; gap >= skip; gap -= skip)
            *out++ = (uint16_t)skip;
        *out++ = (uint16_t)gap;
    }
}

/* Of each `chunk` entries: the bits of their gap symbols, and how far these lead. Skips go with the entry behind them.
 * in symbols: at least up to the last one of so many `entries`. in lengths: of all symbols that occur.
 * out rows: two numbers for each chunk begun. */
static void gap_chunks(const uint16_t *symbols, size_t entries, uint16_t skip, const uint8_t *lengths, size_t chunk,
                       int64_t *rows)
{
    int64_t bits = 0, advance = 0;
    assert(chunk > 0);
    for (size_t passed = 0; passed < entries; symbols++) {
        bits += lengths[*symbols];
        advance += *symbols;
        if (*symbols == skip)
            continue;
        advance++;
        if (++passed % chunk == 0 || passed == entries) {
            *rows++ = bits, *rows++ = advance;
            bits = 0, advance = 0;
        }
    }
}

int64_t gap_counts(const int64_t *gaps, const int64_t *counts, size_t n, int pbits, int64_t *of_symbols)
{
    uint64_t skip = ((uint64_t)1 << pbits) - 1;
    int64_t total = 0, skips = 0;
    memset(of_symbols, 0, (skip + 1) * sizeof *of_symbols);
    for (size_t i = 0; i < n; i++) {
        uint64_t gap = (uint64_t)gaps[i];
        if (gap >= skip) {
            skips += (int64_t)(gap / skip) * counts[i];
            gap %= skip;
        }
        of_symbols[gap] += counts[i];
        total += counts[i];
    }
    of_symbols[skip] = skips;
    return total + skips;
}

/* gap_counts(gaps, counts, pbits) -> bytes of int64: how often each symbol occurs */
PyObject *py_gap_counts(PyObject *self, PyObject *args)
{
    (void)self;
    enum { GAPS, COUNTS, BUFFERS };
    Py_buffer b[BUFFERS];
    int pbits;
    if (!PyArg_ParseTuple(args, "y*y*i", &b[GAPS], &b[COUNTS], &pbits))
        return NULL;
    PyObject *result = NULL;
    const int64_t *gaps = b[GAPS].buf;
    size_t n = count_of(&b[GAPS], sizeof(int64_t));
    int sound = pbits >= 1 && pbits <= MAX_LENGTH && holds(&b[GAPS], sizeof(int64_t)) &&
                holds_exactly(&b[COUNTS], sizeof(int64_t), n);
    for (size_t i = 0; sound && i < n; i++)
        sound = gaps[i] >= 0;
    if (sound) {
        int64_t of_symbols[PATTERNS];
        gap_counts(gaps, b[COUNTS].buf, n, pbits, of_symbols);
        result = Py_BuildValue("y#", (const char *)of_symbols, (Py_ssize_t)(sizeof *of_symbols << pbits));
    } else {
        refuse("gap_counts");
    }
    release(b, BUFFERS);
    return result;
}

/* gap_symbols(gaps, pbits) -> bytes of uint16 */
PyObject *py_gap_symbols(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer b;
    int pbits;
    if (!PyArg_ParseTuple(args, "y*i", &b, &pbits))
        return NULL;
    PyObject *result = NULL;
    const int64_t *gaps = b.buf;
    size_t n = count_of(&b, sizeof(int64_t));
    int sound = pbits >= 1 && pbits <= MAX_LENGTH && holds(&b, sizeof(int64_t));
    uint64_t skip = sound ? ((uint64_t)1 << pbits) - 1 : 1, most = PY_SSIZE_T_MAX / 4, count = 0;
    int64_t least = 0;
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; sound && i < n; i++)
        least = gaps[i] < least ? gaps[i] : least;
    if (sound && least == 0)
        count = count_gap_symbols(gaps, n, skip, most);
    Py_END_ALLOW_THREADS
    if (!sound || least < 0) {
        refuse("gap_symbols");
    } else if (count > most) {
        PyErr_NoMemory();
    } else if ((result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(2 * count))) != NULL) {
        uint16_t *out = (uint16_t *)(void *)PyBytes_AsString(result);
        Py_BEGIN_ALLOW_THREADS
        gap_symbols(gaps, n, skip, out);
        Py_END_ALLOW_THREADS
    }
    release(&b, 1);
    return result;
}

/* gap_chunks(symbols, skip, lengths, chunk) -> bytes of int64 of shape (chunks, 2): bits and advance */
PyObject *py_gap_chunks(PyObject *self, PyObject *args)
{
    (void)self;
    enum { SYMBOLS, LENGTHS, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t chunk;
    int skip;
    if (!PyArg_ParseTuple(args, "y*iy*n", &b[SYMBOLS], &skip, &b[LENGTHS], &chunk))
        return NULL;
    PyObject *result = NULL;
    const uint16_t *symbols = b[SYMBOLS].buf;
    size_t n = count_of(&b[SYMBOLS], 2), entries = 0;
    int sound = chunk > 0 && skip >= 0 && skip < 1 << MAX_LENGTH && holds(&b[SYMBOLS], 2);
    uint16_t most = 0;
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; sound && i < n; i++) {
        most = symbols[i] > most ? symbols[i] : most;
        entries += symbols[i] != skip;
    }
    Py_END_ALLOW_THREADS
    if (!sound || most >= b[LENGTHS].len) {
        refuse("gap_chunks");
    } else {
        size_t chunks = entries / (size_t)chunk + (entries % (size_t)chunk > 0);
        result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(chunks * 2 * sizeof(int64_t)));
        if (result != NULL) {
            int64_t *rows = (int64_t *)(void *)PyBytes_AsString(result);
            Py_BEGIN_ALLOW_THREADS
            gap_chunks(symbols, entries, (uint16_t)skip, b[LENGTHS].buf, (size_t)chunk, rows);
            Py_END_ALLOW_THREADS
        }
    }
    release(b, BUFFERS);
    return result;
}
