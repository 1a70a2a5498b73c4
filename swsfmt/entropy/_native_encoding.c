/* From the elements of a tensor to symbols, from symbols to gaps and values, and to bits. */
#include "_native.h"

/* ---- symbols to bits --------------------------------------------------------------------------------------------- */

static uint64_t stream_bits(const uint16_t *symbols, size_t n, const uint8_t *lengths)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += lengths[symbols[i]];
    return total;
}

/* `out` has 8 bytes more than the stream needs. */
static void encode(const uint16_t *symbols, size_t n, const uint16_t *codewords, const uint8_t *lengths, uint8_t *out)
{
    uint64_t word = 0;
    unsigned used = 0;
    size_t i = 0;
    while (i < n) {
        size_t stop = n - i < 4 ? n : i + 4;
        for (; i < stop; i++) {
            word |= (uint64_t)codewords[symbols[i]] << used;
            used += lengths[symbols[i]];
        }
        put64(out, word);
        out += used >> 3;
        word >>= used & ~7u;
        used &= 7;
    }
}

/* ---- elements to symbols ----------------------------------------------------------------------------------------- */

/* An open hash table of up to 4096 elements, so large that nearly all of them are found in their first slot.
 * A slot with number 0 is free, others have a symbol + 1. The key of a free slot is that of no element that belongs
 * there: 0, but for slot 0. So a first slot with the right key is never free. */
enum { HASH_BITS = 14, SLOTS = 1 << HASH_BITS, MAX_VALUES = 4096 };

typedef struct {
    uint64_t key, number;
} Slot;

/* Four sets of counts: of equal elements that follow each other each finds its count free. */
typedef struct {
    Slot slots[SLOTS];
    int64_t counts[4][MAX_VALUES];
} Hash;

static Hash *make_hash(void)
{
    Hash *h = calloc(1, sizeof *h);
    if (h != NULL)
        h->slots[0].key = 1;
    return h;
}

static inline Slot *first_slot(Hash *h, uint64_t key)
{
    return &h->slots[(key * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - HASH_BITS)];
}

/* The slot that has the key, or the free one where it goes. */
static Slot *slot_of(Hash *h, uint64_t key)
{
    Slot *slot = first_slot(h, key);
    while (slot->number != 0 && slot->key != key)
        slot = slot == &h->slots[SLOTS - 1] ? h->slots : slot + 1;
    return slot;
}

static inline uint64_t element_at(const uint8_t *data, size_t i, int bytes)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (bytes) {
    case 1: return data[i];
    case 2: memcpy(&two, data + 2 * i, 2); return two;
    case 4: memcpy(&four, data + 4 * i, 4); return four;
    default: memcpy(&eight, data + 8 * i, 8); return eight;
    }
}

/* Whether four elements are all in their first slots, which go to slot[]. */
static inline int at_home(Hash *h, const uint8_t *data, size_t i, int bytes, Slot **slot)
{
    uint64_t differ = 0;
    for (size_t k = 0; k < 4; k++) {
        uint64_t key = element_at(data, i + k, bytes);
        slot[k] = first_slot(h, key);
        differ |= slot[k]->key ^ key;
    }
    return differ == 0;
}

/* The distinct elements in the order in which they are met, into values[]; returns how many, or most + 1 if more. */
static inline size_t distinct_of(Hash *h, const uint8_t *data, size_t n, uint64_t *values, size_t most, int bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < n;) {
        Slot *home[4];
        if (n - i >= 4 && at_home(h, data, i, bytes, home)) {
            i += 4;
            continue;
        }
        for (size_t stop = n - i >= 4 ? i + 4 : n; i < stop; i++) {
            uint64_t key = element_at(data, i, bytes);
            Slot *slot = slot_of(h, key);
            if (slot->number != 0)
                continue;
            if (count == most)
                return most + 1;
            values[count] = slot->key = key;
            slot->number = ++count;
        }
    }
    return count;
}

/* The symbol of each element and how often each occurs. Returns 0 if an element is none of the values. */
static inline int symbols_of(Hash *h, const uint8_t *data, size_t n, uint16_t *out, int bytes)
{
    for (size_t i = 0; i < n;) {
        Slot *home[4];
        if (n - i >= 4 && at_home(h, data, i, bytes, home)) {
            for (size_t k = 0; k < 4; k++) {
                size_t symbol = (size_t)home[k]->number - 1;
                out[i + k] = (uint16_t)symbol;
                h->counts[k][symbol]++;
            }
            i += 4;
            continue;
        }
        for (size_t stop = n - i >= 4 ? i + 4 : n; i < stop; i++) {
            uint64_t number = slot_of(h, element_at(data, i, bytes))->number;
            if (number == 0)
                return 0;
            out[i] = (uint16_t)(number - 1);
            h->counts[0][number - 1]++;
        }
    }
    return 1;
}

/* Constant sizes make the loops above fast. */
static size_t distinct_by_size(Hash *h, const uint8_t *data, size_t n, uint64_t *values, size_t most, int bytes)
{
    switch (bytes) {
    case 1: return distinct_of(h, data, n, values, most, 1);
    case 2: return distinct_of(h, data, n, values, most, 2);
    case 4: return distinct_of(h, data, n, values, most, 4);
    default: return distinct_of(h, data, n, values, most, 8);
    }
}

static int symbols_by_size(Hash *h, const uint8_t *data, size_t n, uint16_t *out, int bytes)
{
    switch (bytes) {
    case 1: return symbols_of(h, data, n, out, 1);
    case 2: return symbols_of(h, data, n, out, 2);
    case 4: return symbols_of(h, data, n, out, 4);
    default: return symbols_of(h, data, n, out, 8);
    }
}

/* ---- matrices to gaps and values --------------------------------------------------------------------------------- */

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

/* The gap before each entry and its value. Returns the last position.
 * fresh: the gap before the first entry of a line counts from the start of the line, not from the entry before. */
static int64_t line_entries(const Strip *s, int64_t last, int fresh, int64_t *gaps, uint16_t *values)
{
    uint32_t where[SEGMENT + 1];
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

/* How many symbols the gaps make with their skips; `skip` is the largest symbol. */
static uint64_t count_gap_symbols(const int64_t *gaps, size_t n, uint64_t skip)
{
    uint64_t count = n;
    for (size_t i = 0; i < n; i++)
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
 * `rows` has room for two numbers for each chunk begun. */
static void gap_chunks(const uint16_t *symbols, size_t n, uint16_t skip, const uint8_t *lengths, size_t chunk,
                       int64_t *rows)
{
    size_t entries = 0;
    int64_t bits = 0, advance = 0;
    for (size_t i = 0; i < n; i++) {
        bits += lengths[symbols[i]];
        advance += symbols[i];
        if (symbols[i] == skip)
            continue;
        advance++;
        if (++entries == chunk) {
            *rows++ = bits, *rows++ = advance;
            entries = 0, bits = 0, advance = 0;
        }
    }
    if (entries > 0)
        *rows++ = bits, *rows++ = advance;
}

/* ---- code lengths ------------------------------------------------------------------------------------------------ */

/* Package-merge (see huffman.py) for `n` >= 2 counts in ascending order, lengths of at most `limit`. Returns 0 where there is no memory. */
static int package_merge(const int64_t *counts, size_t n, int limit, uint8_t *lengths)
{
    int64_t *items = malloc(3 * n * sizeof *items), *packages = items + 2 * n;
    uint8_t *is_package = malloc((size_t)limit * 2 * n);
    size_t made = 0;
    if (items == NULL || is_package == NULL) {
        free(items);
        free(is_package);
        return 0;
    }
    for (int level = 0; level < limit; level++) {
        uint8_t *kinds = is_package + (size_t)level * 2 * n;
        size_t leaf = 0, package = 0, total = n + made;
        for (size_t i = 0; i < total; i++) {
            kinds[i] = leaf == n || (package < made && packages[package] < counts[leaf]);
            items[i] = kinds[i] ? packages[package++] : counts[leaf++];
        }
        made = total / 2;
        for (size_t i = 0; i < made; i++)
            packages[i] = items[2 * i] + items[2 * i + 1];
    }
    /* The first 2n - 2 items of the last list are the solution; a leaf among them adds one to its length. */
    memset(lengths, 0, n);
    size_t taken = 2 * n - 2;
    for (int level = limit - 1; level >= 0; level--) {
        const uint8_t *kinds = is_package + (size_t)level * 2 * n;
        size_t in_packages = 0;
        for (size_t i = 0; i < taken; i++)
            in_packages += kinds[i];
        for (size_t i = 0; i < taken - in_packages; i++)
            lengths[i]++;
        taken = 2 * in_packages;
    }
    free(items);
    free(is_package);
    return 1;
}

/* ---- Python ------------------------------------------------------------------------------------------------------ */

/* encode_symbols(symbols, codewords, lengths) -> (bytes, bits) */
PyObject *py_encode_symbols(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer symbols, codewords, lengths;
    if (!PyArg_ParseTuple(args, "y*y*y*", &symbols, &codewords, &lengths))
        return NULL;
    PyObject *result = NULL;
    const uint16_t *ids = symbols.buf;
    size_t n = (size_t)symbols.len / 2;
    uint16_t most = 0;
    uint64_t bits = 0;
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < n; i++)
        most = ids[i] > most ? ids[i] : most;
    Py_END_ALLOW_THREADS
    if (n > 0 && (most >= lengths.len || codewords.len != 2 * lengths.len)) {
        PyErr_SetString(PyExc_ValueError, "encode_symbols: a symbol is outside of the alphabet");
    } else {
        uint8_t *out = NULL;
        Py_BEGIN_ALLOW_THREADS
        bits = stream_bits(ids, n, lengths.buf);
        out = malloc((size_t)(bits / 8) + 16);
        if (out != NULL)
            encode(ids, n, codewords.buf, lengths.buf, out);
        Py_END_ALLOW_THREADS
        if (out == NULL)
            PyErr_NoMemory();
        else
            result = Py_BuildValue("y#K", (const char *)out, (Py_ssize_t)((bits + 7) / 8), (unsigned long long)bits);
        free(out);
    }
    PyBuffer_Release(&symbols);
    PyBuffer_Release(&codewords);
    PyBuffer_Release(&lengths);
    return result;
}

/* chunk_bits(symbols, lengths, chunk) -> bytes of int64: the bits of the symbols of each chunk */
PyObject *py_chunk_bits(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer symbols, lengths;
    Py_ssize_t chunk;
    if (!PyArg_ParseTuple(args, "y*y*n", &symbols, &lengths, &chunk))
        return NULL;
    PyObject *result = NULL;
    const uint16_t *ids = symbols.buf;
    const uint8_t *bits = lengths.buf;
    size_t n = (size_t)symbols.len / 2, count = chunk > 0 ? (n + (size_t)chunk - 1) / (size_t)chunk : 0;
    uint16_t most = 0;
    for (size_t i = 0; i < n; i++)
        most = ids[i] > most ? ids[i] : most;
    int64_t *sums = calloc(count + 1, sizeof *sums);
    if (chunk <= 0 || (n > 0 && most >= lengths.len)) {
        PyErr_SetString(PyExc_ValueError, "chunk_bits: a symbol is outside of the alphabet");
    } else if (sums == NULL) {
        PyErr_NoMemory();
    } else {
        Py_BEGIN_ALLOW_THREADS
        for (size_t c = 0; c < count; c++) {
            size_t begin = c * (size_t)chunk, stop = n - begin < (size_t)chunk ? n : begin + (size_t)chunk;
            sums[c] = (int64_t)stream_bits(ids + begin, stop - begin, bits);
        }
        Py_END_ALLOW_THREADS
        result = Py_BuildValue("y#", (const char *)sums, (Py_ssize_t)(count * sizeof *sums));
    }
    free(sums);
    PyBuffer_Release(&symbols);
    PyBuffer_Release(&lengths);
    return result;
}

/* distinct(data, bytes, most) -> bytes of uint64, in the order met, or None where there are more than `most` <= 4096 */
PyObject *py_distinct(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer data;
    int bytes;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(args, "y*in", &data, &bytes, &most))
        return NULL;
    PyObject *result = NULL;
    if ((bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) && most >= 0 && most <= MAX_VALUES) {
        uint64_t values[MAX_VALUES];
        size_t count = 0;
        Hash *h;
        Py_BEGIN_ALLOW_THREADS
        h = make_hash();
        if (h != NULL)
            count = distinct_by_size(h, data.buf, (size_t)data.len / (size_t)bytes, values, (size_t)most, bytes);
        free(h);
        Py_END_ALLOW_THREADS
        if (h == NULL)
            PyErr_NoMemory();
        else if (count > (size_t)most)
            result = Py_NewRef(Py_None);
        else
            result = Py_BuildValue("y#", (const char *)values, (Py_ssize_t)(count * sizeof *values));
    } else {
        PyErr_SetString(PyExc_ValueError, "distinct: sizes do not fit");
    }
    PyBuffer_Release(&data);
    return result;
}

/* symbols(data, bytes, values, out, counts) -> whether all elements are among the values (uint64, at most 4096).
 * out: uint16. counts: int64, to which the number of each symbol is added. */
PyObject *py_symbols(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer data, values, out, counts;
    int bytes, all = 0;
    if (!PyArg_ParseTuple(args, "y*iy*w*w*", &data, &bytes, &values, &out, &counts))
        return NULL;
    PyObject *result = NULL;
    Py_ssize_t count = values.len / 8, n = bytes > 0 ? data.len / bytes : 0;
    if ((bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) && count <= MAX_VALUES && out.len / 2 >= n &&
        counts.len / 8 >= count) {
        Hash *h;
        Py_BEGIN_ALLOW_THREADS
        h = make_hash();
        if (h != NULL) {
            for (Py_ssize_t i = 0; i < count; i++) {
                uint64_t key = element_at(values.buf, (size_t)i, 8);
                Slot *slot = slot_of(h, key);
                slot->key = key;
                slot->number = (uint64_t)i + 1;
            }
            all = symbols_by_size(h, data.buf, (size_t)n, out.buf, bytes);
            for (Py_ssize_t i = 0; i < count; i++)
                for (int set = 0; set < 4; set++)
                    ((int64_t *)counts.buf)[i] += h->counts[set][i];
        }
        free(h);
        Py_END_ALLOW_THREADS
        result = h == NULL ? PyErr_NoMemory() : PyBool_FromLong(all);
    } else {
        PyErr_SetString(PyExc_ValueError, "symbols: sizes do not fit");
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&values);
    PyBuffer_Release(&out);
    PyBuffer_Release(&counts);
    return result;
}

/* line_entries(symbols, starts, numbers, last, fresh) -> (gaps: bytearray of int64, values: bytes of uint16, last)
 * symbols: uint16, as many equal lines as there are starts. numbers: int32, one for each place, or empty. */
PyObject *py_line_entries(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer symbols, starts, numbers;
    long long last;
    int fresh;
    if (!PyArg_ParseTuple(args, "y*y*y*Lp", &symbols, &starts, &numbers, &last, &fresh))
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
            last = line_entries(&strip, last, fresh, to, to_values);
            Py_END_ALLOW_THREADS
            result = Py_BuildValue("OOL", gaps, values, last);
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
    uint64_t skip = pbits >= 1 && pbits <= MAX_LENGTH ? ((uint64_t)1 << pbits) - 1 : 0, most = PY_SSIZE_T_MAX / 4, count;
    int64_t least = 0;
    for (size_t i = 0; i < n; i++)
        least = ((const int64_t *)gaps.buf)[i] < least ? ((const int64_t *)gaps.buf)[i] : least;
    if (skip > 0 && least == 0) {
        count = count_gap_symbols(gaps.buf, n, skip);
        result = count > most ? PyErr_NoMemory() : PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(2 * count));
        if (result != NULL) {
            uint16_t *out = (uint16_t *)(void *)PyBytes_AsString(result);
            Py_BEGIN_ALLOW_THREADS
            gap_symbols(gaps.buf, n, skip, out);
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
            gap_chunks(ids, n, (uint16_t)skip, lengths.buf, (size_t)chunk, rows);
            Py_END_ALLOW_THREADS
        }
    } else {
        PyErr_SetString(PyExc_ValueError, "gap_chunks: sizes do not fit");
    }
    PyBuffer_Release(&symbols);
    PyBuffer_Release(&lengths);
    return result;
}

/* code_lengths(counts, limit) -> bytes: the length of each codeword, at most `limit` <= 12 bits
 * counts: int64, ascending, 2 to 2**limit of them */
PyObject *py_code_lengths(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer counts;
    int limit;
    if (!PyArg_ParseTuple(args, "y*i", &counts, &limit))
        return NULL;
    PyObject *result = NULL;
    size_t n = (size_t)counts.len / sizeof(int64_t);
    uint8_t lengths[PATTERNS];
    if (limit >= 1 && limit <= MAX_LENGTH && n >= 2 && n <= (size_t)1 << limit) {
        if (package_merge(counts.buf, n, limit, lengths))
            result = Py_BuildValue("y#", (const char *)lengths, (Py_ssize_t)n);
        else
            PyErr_NoMemory();
    } else {
        PyErr_SetString(PyExc_ValueError, "code_lengths: sizes do not fit");
    }
    PyBuffer_Release(&counts);
    return result;
}
