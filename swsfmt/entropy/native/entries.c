/* The entries of a matrix of symbols, and the gaps between them. */
#include "entries.h"

/* Entries are looked for in so many symbols at a time. */
enum { SEGMENT = 2048 };

/* The places of the entries, which are not zero, among `n` <= SEGMENT symbols; returns how many.
 * out where: room for SEGMENT + 1. */
static inline size_t find_entries(const uint16_t *symbols, size_t n, uint32_t *where)
{
    size_t entries = 0, i = 0;
    assert(n <= SEGMENT);
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
            where[entries] = (uint32_t)i;
            entries += symbols[i] != 0;
        }
    }
    return entries;
}

static size_t count_entries(const uint16_t *symbols, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += symbols[i] != 0;
    return count;
}

/* Lines of symbols: lines * places of them. starts: the position of the first place of each line. numbers: of the
 * places, or NULL. */
typedef struct {
    const uint16_t *symbols;
    size_t lines, places;
    const int64_t *starts;
    const int32_t *numbers;
} Strip;

/* The gap before each entry, from position -1 on, and its value. Returns the last position.
 * out gaps, values: room for as many as there are entries. fresh: the gap before the first entry of a line counts from
 * the start of the line, not from the entry before. */
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
            size_t entries = find_entries(line + from, s->places - from < SEGMENT ? s->places - from : SEGMENT, where);
            for (size_t k = 0; k < entries; k++) {
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

/* Entries of one line, at places from `from` on. in where: `entries` places, counted from there.
 * Returns 0 where there are more long gaps than there is room for. */
static int add_to_line(const Window *w, LineGaps *g, size_t line, size_t from, const uint32_t *where, size_t entries)
{
    int64_t last = g->lasts[line];
    for (size_t k = 0; k < entries; k++) {
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
    g->entries[line] += (int64_t)entries;
    return 1;
}

/* Entries at the same place of several lines, from `from` on. in where: `entries` lines, counted from there.
 * Returns 0 as `add_to_line` does. */
static int add_to_lines(const Window *w, LineGaps *g, size_t from, size_t place, const uint32_t *where, size_t entries)
{
    int64_t number = w->numbers ? w->numbers[place] : (int64_t)place;
    for (size_t k = 0; k < entries; k++) {
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

/* Entries of one row of the window, from column `from` of it on. Returns 0 as `add_to_line` does. */
static int add_row(const Window *w, LineGaps *g, size_t row, size_t from, const uint32_t *where, size_t entries)
{
    return w->lines_are_columns ? add_to_lines(w, g, from, w->top + row, where, entries)
                                : add_to_line(w, g, row, w->left + from, where, entries);
}

/* Short rows, as a whole: many of them in one segment. Returns 0 as `add_to_line` does. */
static int line_gaps_of_short(const Window *w, LineGaps *g)
{
    uint32_t where[SEGMENT + 1];
    const size_t at_once = SEGMENT / w->columns;
    for (size_t first = 0; first < w->height; first += at_once) {
        size_t rows = w->height - first < at_once ? w->height - first : at_once;
        size_t entries = find_entries(w->symbols + (w->top + first) * w->columns, rows * w->columns, where);
        for (size_t k = 0, row = 0, start = 0; k < entries;) {
            for (; where[k] >= start + w->columns; row++)
                start += w->columns;
            size_t next = k;
            for (; next < entries && where[next] < start + w->columns; next++)
                where[next] -= (uint32_t)start;
            if (!add_row(w, g, first + row, 0, where + k, next - k))
                return 0;
            k = next;
        }
    }
    return 1;
}

int line_gaps(const Window *w, LineGaps *g)
{
    uint32_t where[SEGMENT + 1];
    if (w->width == w->columns && w->columns <= SEGMENT / 2)
        return line_gaps_of_short(w, g);
    for (size_t r = 0; r < w->height; r++) {
        const uint16_t *row = w->symbols + (w->top + r) * w->columns + w->left;
        for (size_t from = 0; from < w->width; from += SEGMENT) {
            size_t entries = find_entries(row + from, w->width - from < SEGMENT ? w->width - from : SEGMENT, where);
            if (!add_row(w, g, r, from, where, entries))
                return 0;
        }
    }
    return 1;
}

/* line_entries(symbols, starts, numbers, fresh) -> (gaps: bytearray of int64, values: bytes of uint16, last) */
PyObject *py_line_entries(PyObject *self, PyObject *args)
{
    (void)self;
    enum { SYMBOLS, STARTS, NUMBERS, BUFFERS };
    Py_buffer b[BUFFERS];
    int fresh;
    if (!PyArg_ParseTuple(args, "y*y*y*p", &b[SYMBOLS], &b[STARTS], &b[NUMBERS], &fresh))
        return NULL;
    PyObject *result = NULL;
    size_t lines = count_of(&b[STARTS], sizeof(int64_t)), size = count_of(&b[SYMBOLS], 2);
    Strip strip = {b[SYMBOLS].buf, lines, lines > 0 ? size / lines : 0, b[STARTS].buf,
                   b[NUMBERS].len > 0 ? b[NUMBERS].buf : NULL};
    if (holds(&b[SYMBOLS], 2) && holds(&b[STARTS], sizeof(int64_t)) && strip.lines * strip.places == size &&
        (strip.numbers == NULL || holds_exactly(&b[NUMBERS], sizeof(int32_t), strip.places))) {
        size_t count;
        Py_BEGIN_ALLOW_THREADS
        count = count_entries(strip.symbols, size);
        Py_END_ALLOW_THREADS
        PyObject *gaps = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)(count * sizeof(int64_t)));
        PyObject *values = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * sizeof(uint16_t)));
        if (gaps != NULL && values != NULL) {
            int64_t *to = (int64_t *)(void *)PyByteArray_AsString(gaps), last;
            uint16_t *to_values = (uint16_t *)(void *)PyBytes_AsString(values);
            Py_BEGIN_ALLOW_THREADS
            last = line_entries(&strip, fresh, to, to_values);
            Py_END_ALLOW_THREADS
            result = Py_BuildValue("OOL", gaps, values, (long long)last);
        }
        Py_XDECREF(gaps);
        Py_XDECREF(values);
    } else {
        refuse("line_entries");
    }
    release(b, BUFFERS);
    return result;
}

/* line_gaps(symbols, columns, (top, bottom, left, right), lines_are_columns, numbers, counts, others, lines)
 * -> how many others */
PyObject *py_line_gaps(PyObject *self, PyObject *args)
{
    (void)self;
    enum { SYMBOLS, NUMBERS, COUNTS, OTHERS, LINES, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t columns, top, bottom, left, right;
    int by_columns;
    if (!PyArg_ParseTuple(args, "y*n(nnnn)py*w*w*w*", &b[SYMBOLS], &columns, &top, &bottom, &left, &right, &by_columns,
                          &b[NUMBERS], &b[COUNTS], &b[OTHERS], &b[LINES]))
        return NULL;
    PyObject *result = NULL;
    Py_ssize_t rows = columns > 0 ? b[SYMBOLS].len / 2 / columns : 0;
    size_t places = (size_t)(by_columns ? rows : columns), n = (size_t)(by_columns ? right - left : bottom - top);
    int sound = columns > 0 && 0 <= top && top <= bottom && bottom <= rows && 0 <= left && left <= right &&
                right <= columns && holds(&b[SYMBOLS], 2) && holds(&b[COUNTS], sizeof(int64_t)) &&
                holds(&b[OTHERS], sizeof(int64_t)) && holds_exactly(&b[LINES], sizeof(int64_t), 3 * n) &&
                (b[NUMBERS].len == 0 || holds_exactly(&b[NUMBERS], sizeof(int32_t), places));
    if (sound) {
        Window w = {b[SYMBOLS].buf, (size_t)columns, (size_t)top, (size_t)(bottom - top), (size_t)left,
                    (size_t)(right - left), by_columns, b[NUMBERS].len > 0 ? b[NUMBERS].buf : NULL};
        int64_t *lines = b[LINES].buf;
        LineGaps g = {b[COUNTS].buf, b[OTHERS].buf, lines, lines + n, lines + 2 * n,
                      count_of(&b[COUNTS], sizeof(int64_t)), 0, count_of(&b[OTHERS], sizeof(int64_t))};
        Py_BEGIN_ALLOW_THREADS
        sound = line_gaps(&w, &g);
        Py_END_ALLOW_THREADS
        if (sound)
            result = PyLong_FromSize_t(g.listed);
    }
    if (!sound)
        refuse("line_gaps");
    release(b, BUFFERS);
    return result;
}
