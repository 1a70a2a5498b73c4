/* From matrices of symbols to gaps and values. */
#include "_native.h"

/* Entries are looked for in so many symbols at a time. */
enum { SEGMENT = 2048 };

/* The places of the entries, which are not zero, among `n` <= SEGMENT symbols; `where` has room for SEGMENT + 1. */
static inline size_t find_entries(const uint16_t *symbols, size_t n, uint32_t *where)
{
    size_t found = 0, i = 0;
    while (i < n) {
        uint64_t four = 1;
        if (n - i >= 4)
            memcpy(&four, symbols + i, 8);
        if (four == 0) {
            i += 4;
            continue;
        }
        for (size_t stop = n - i >= 4 ? i + 4 : n; i < stop; i++) {
            /* Written in any case, and kept where it is an entry: no branch to guess. */
            where[found] = (uint32_t)i;
            found += symbols[i] != 0;
        }
    }
    return found;
}

static size_t count_entries(const uint16_t *symbols, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += symbols[i] != 0;
    return count;
}

/* Lines of symbols, with the position of each line's first place and, or NULL, the numbers of the places. */
typedef struct {
    const uint16_t *symbols;
    size_t lines, places;
    const int64_t *starts;
    const int32_t *numbers;
} Strip;

/* The gap before each entry, from position -1 on, and its value. Returns the last position.
 * fresh: the gap before the first entry of a line counts from the start of the line, not from the entry before. */
static int64_t line_entries(const Strip *s, int fresh, int64_t *gaps, uint16_t *values)
{
    uint32_t where[SEGMENT + 1];
    int64_t last = -1;
    for (size_t l = 0; l < s->lines; l++) {
        const uint16_t *line = s->symbols + l * s->places;
        int64_t start = s->starts[l];
        if (fresh)
            last = start - 1;
        for (size_t from = 0; from < s->places; from += SEGMENT) {
            size_t found = find_entries(line + from, s->places - from < SEGMENT ? s->places - from : SEGMENT, where);
            for (size_t k = 0; k < found; k++) {
                size_t place = from + where[k];
                int64_t position = start + (s->numbers ? s->numbers[place] : (int64_t)place);
                *gaps++ = position - last - 1;
                *values++ = (uint16_t)(line[place] - 1);
                last = position;
            }
        }
    }
    return last;
}

/* Rows top to top + height - 1 and columns left to left + width - 1 of a matrix: its lines are the rows, or the columns.
 * numbers: of the places of a whole line, or NULL. */
typedef struct {
    const uint16_t *symbols;
    size_t columns, top, height, left, width;
    int lines_are_columns;
    const int32_t *numbers;
} Window;

/* The gaps within lines, counted. Gaps of `countable` and more, of which there are few, are listed.
 * Of each line: its first and last place that is an entry, or -1, and how many there are. */
typedef struct {
    int64_t *counts, *others, *firsts, *lasts, *entries;
    size_t countable, listed, room;
} LineGaps;

static inline int add_gap(LineGaps *g, uint64_t gap)
{
    if (gap < g->countable) {
        g->counts[gap]++;
        return 1;
    }
    if (g->listed == g->room)
        return 0;
    g->others[g->listed++] = (int64_t)gap;
    return 1;
}

/* Entries of one line, at places from `from` on. */
static int add_to_line(const Window *w, LineGaps *g, size_t line, size_t from, const uint32_t *where, size_t found)
{
    int64_t last = g->lasts[line];
    for (size_t k = 0; k < found; k++) {
        int64_t place = (int64_t)(from + where[k]);
        if (w->numbers)
            place = w->numbers[place];
        if (last < 0)
            g->firsts[line] = place;
        else if (!add_gap(g, (uint64_t)(place - last - 1)))
            return 0;
        last = place;
    }
    g->lasts[line] = last;
    g->entries[line] += (int64_t)found;
    return 1;
}

/* Entries at the same place of several lines, from `from` on. */
static int add_to_lines(const Window *w, LineGaps *g, size_t from, size_t place, const uint32_t *where, size_t found)
{
    int64_t number = w->numbers ? w->numbers[place] : (int64_t)place;
    for (size_t k = 0; k < found; k++) {
        size_t line = from + where[k];
        int64_t last = g->lasts[line];
        g->lasts[line] = number;
        g->entries[line]++;
        if (last < 0)
            g->firsts[line] = number;
        else if (!add_gap(g, (uint64_t)(number - last - 1)))
            return 0;
    }
    return 1;
}

/* Always read row by row, as memory has it. Returns 0 where there are more long gaps than there is room for. */
static int line_gaps(const Window *w, LineGaps *g)
{
    uint32_t where[SEGMENT + 1];
    for (size_t r = 0; r < w->height; r++) {
        const uint16_t *row = w->symbols + (w->top + r) * w->columns + w->left;
        for (size_t from = 0; from < w->width; from += SEGMENT) {
            size_t found = find_entries(row + from, w->width - from < SEGMENT ? w->width - from : SEGMENT, where);
            if (!(w->lines_are_columns ? add_to_lines(w, g, from, w->top + r, where, found)
                                       : add_to_line(w, g, r, w->left + from, where, found)))
                return 0;
        }
    }
    return 1;
}

/* How many symbols the gaps make with their skips, or more than `most`; `skip` is the largest symbol. */
static uint64_t count_gap_symbols(const int64_t *gaps, size_t n, uint64_t skip, uint64_t most)
{
    uint64_t count = n;
    for (size_t i = 0; i < n && count <= most; i++)
        if ((uint64_t)gaps[i] >= skip)
            count += (uint64_t)gaps[i] / skip;
    return count;
}

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
 * `rows` has room for two numbers for each chunk begun; there are so many `entries`. */
static void gap_chunks(const uint16_t *symbols, size_t entries, uint16_t skip, const uint8_t *lengths, size_t chunk,
                       int64_t *rows)
{
    int64_t bits = 0, advance = 0;
    for (size_t found = 0; found < entries; symbols++) {
        bits += lengths[*symbols];
        advance += *symbols;
        if (*symbols == skip)
            continue;
        advance++;
        if (++found % chunk == 0 || found == entries) {
            *rows++ = bits, *rows++ = advance;
            bits = 0, advance = 0;
        }
    }
}

/* line_entries(symbols, starts, numbers, fresh) -> (gaps: bytearray of int64, values: bytes of uint16, last)
 * symbols: uint16, as many equal lines as there are starts. numbers: int32, one for each place, or empty. */
PyObject *py_line_entries(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer symbols, starts, numbers;
    int64_t last;
    int fresh;
    if (!PyArg_ParseTuple(args, "y*y*y*p", &symbols, &starts, &numbers, &fresh))
        return NULL;
    PyObject *result = NULL;
    size_t lines = (size_t)starts.len / sizeof(int64_t), size = (size_t)symbols.len / 2;
    Strip strip = {symbols.buf, lines, lines > 0 ? size / lines : 0, starts.buf, numbers.len > 0 ? numbers.buf : NULL};
    if (strip.lines * strip.places == size &&
        (numbers.len == 0 || (size_t)numbers.len == strip.places * sizeof(int32_t))) {
        size_t count;
        Py_BEGIN_ALLOW_THREADS
        count = count_entries(strip.symbols, size);
        Py_END_ALLOW_THREADS
        PyObject *gaps = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)(count * sizeof(int64_t)));
        PyObject *values = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * sizeof(uint16_t)));
        if (gaps != NULL && values != NULL) {
            int64_t *to = (int64_t *)(void *)PyByteArray_AsString(gaps);
            uint16_t *to_values = (uint16_t *)(void *)PyBytes_AsString(values);
            Py_BEGIN_ALLOW_THREADS
            last = line_entries(&strip, fresh, to, to_values);
            Py_END_ALLOW_THREADS
            result = Py_BuildValue("OOL", gaps, values, (long long)last);
        }
        Py_XDECREF(gaps);
        Py_XDECREF(values);
    } else {
        PyErr_SetString(PyExc_ValueError, "line_entries: sizes do not fit");
    }
    PyBuffer_Release(&symbols);
    PyBuffer_Release(&starts);
    PyBuffer_Release(&numbers);
    return result;
}

/* line_gaps(symbols, columns, (top, bottom, left, right), lines_are_columns, numbers, counts, others, lines)
 * -> number of others
 * symbols: uint16, rows of so many columns. numbers: int32, one for each place of a line, or empty. counts, others:
 * int64. lines: int64 of shape (3, lines): first place, last place, entries; -1, -1, 0 at first. */
PyObject *py_line_gaps(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer symbols, numbers, counts, others, lines;
    Py_ssize_t columns, top, bottom, left, right;
    int lines_are_columns;
    if (!PyArg_ParseTuple(args, "y*n(nnnn)py*w*w*w*", &symbols, &columns, &top, &bottom, &left, &right,
                          &lines_are_columns, &numbers, &counts, &others, &lines))
        return NULL;
    PyObject *result = NULL;
    Py_ssize_t rows = columns > 0 ? symbols.len / 2 / columns : 0;
    size_t n = 0, places = (size_t)(lines_are_columns ? rows : columns);
    int sound = columns > 0 && 0 <= top && top <= bottom && bottom <= rows && 0 <= left && left <= right &&
                right <= columns && (numbers.len == 0 || (size_t)numbers.len == places * sizeof(int32_t));
    if (sound) {
        n = (size_t)(lines_are_columns ? right - left : bottom - top);
        sound = (size_t)lines.len == 3 * n * sizeof(int64_t);
    }
    if (sound) {
        Window w = {symbols.buf, (size_t)columns, (size_t)top, (size_t)(bottom - top), (size_t)left,
                    (size_t)(right - left), lines_are_columns, numbers.len > 0 ? numbers.buf : NULL};
        int64_t *of_lines = lines.buf;
        LineGaps g = {counts.buf, others.buf, of_lines, of_lines + n, of_lines + 2 * n,
                      (size_t)counts.len / sizeof(int64_t), 0, (size_t)others.len / sizeof(int64_t)};
        Py_BEGIN_ALLOW_THREADS
        sound = line_gaps(&w, &g);
        Py_END_ALLOW_THREADS
        if (sound)
            result = PyLong_FromSize_t(g.listed);
    }
    if (result == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "line_gaps: sizes do not fit");
    PyBuffer_Release(&symbols);
    PyBuffer_Release(&numbers);
    PyBuffer_Release(&counts);
    PyBuffer_Release(&others);
    PyBuffer_Release(&lines);
    return result;
}

/* gap_symbols(gaps, pbits) -> bytes of uint16. gaps: int64, not negative. */
PyObject *py_gap_symbols(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer gaps;
    int pbits;
    if (!PyArg_ParseTuple(args, "y*i", &gaps, &pbits))
        return NULL;
    PyObject *result = NULL;
    size_t n = (size_t)gaps.len / sizeof(int64_t);
    const int64_t *of_gaps = gaps.buf;
    uint64_t skip = pbits >= 1 && pbits <= MAX_LENGTH ? ((uint64_t)1 << pbits) - 1 : 0, most = PY_SSIZE_T_MAX / 4;
    uint64_t count = 0;
    int64_t least = 0;
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < n; i++)
        least = of_gaps[i] < least ? of_gaps[i] : least;
    if (skip > 0 && least == 0)
        count = count_gap_symbols(of_gaps, n, skip, most);
    Py_END_ALLOW_THREADS
    if (skip > 0 && least == 0) {
        result = count > most ? PyErr_NoMemory() : PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(2 * count));
        if (result != NULL) {
            uint16_t *out = (uint16_t *)(void *)PyBytes_AsString(result);
            Py_BEGIN_ALLOW_THREADS
            gap_symbols(of_gaps, n, skip, out);
            Py_END_ALLOW_THREADS
        }
    } else {
        PyErr_SetString(PyExc_ValueError, "gap_symbols: sizes do not fit");
    }
    PyBuffer_Release(&gaps);
    return result;
}

/* gap_chunks(symbols, skip, lengths, chunk) -> bytes of int64 of shape (chunks, 2): bits and advance */
PyObject *py_gap_chunks(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer symbols, lengths;
    Py_ssize_t chunk;
    int skip;
    if (!PyArg_ParseTuple(args, "y*iy*n", &symbols, &skip, &lengths, &chunk))
        return NULL;
    PyObject *result = NULL;
    const uint16_t *ids = symbols.buf;
    size_t n = (size_t)symbols.len / 2, entries = 0;
    uint16_t most = 0;
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < n; i++) {
        most = ids[i] > most ? ids[i] : most;
        entries += ids[i] != skip;
    }
    Py_END_ALLOW_THREADS
    if (chunk > 0 && skip >= 0 && skip < 1 << MAX_LENGTH && most < lengths.len) {
        size_t chunks = (entries + (size_t)chunk - 1) / (size_t)chunk;
        result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(chunks * 2 * sizeof(int64_t)));
        if (result != NULL) {
            int64_t *rows = (int64_t *)(void *)PyBytes_AsString(result);
            Py_BEGIN_ALLOW_THREADS
            gap_chunks(ids, entries, (uint16_t)skip, lengths.buf, (size_t)chunk, rows);
            Py_END_ALLOW_THREADS
        }
    } else {
        PyErr_SetString(PyExc_ValueError, "gap_chunks: sizes do not fit");
    }
    PyBuffer_Release(&symbols);
    PyBuffer_Release(&lengths);
    return result;
}
