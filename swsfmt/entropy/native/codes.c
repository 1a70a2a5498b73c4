/* The cheapest code of some symbols, its table counted too (spec 6.3, 6.4). */
#include "codes.h"

/* A symbol that occurs, and how often. */
typedef struct {
    int64_t count;
    uint16_t symbol;
} Used;

/* Sort by count, equal ones by symbol, in which order they come. in, out items: `n`. out spare: room for as many. */
static void sort_by_count(Used *items, Used *spare, size_t n)
{
    Used *from = items, *to = spare;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t start = 0; start < n; start += 2 * width) {
            size_t middle = start + width < n ? start + width : n, end = middle + width < n ? middle + width : n;
            for (size_t left = start, right = middle, i = start; i < end; i++)
                to[i] = right == end || (left < middle && from[left].count <= from[right].count) ? from[left++]
                                                                                                 : from[right++];
        }
        Used *swap = from;
        from = to, to = swap;
    }
    if (from != items)
        memcpy(items, from, n * sizeof *items);
}

/* The symbols that occur; returns how many. in counts: of an alphabet of `n`. out used: room for as many. */
static size_t used_of(const int64_t *counts, size_t n, Used *used)
{
    size_t found = 0;
    for (size_t s = 0; s < n; s++)
        if (counts[s])
            used[found++] = (Used){counts[s], (uint16_t)s};
    return found;
}

/* What the search has in hand, in the bytes behind it: for an alphabet of `n`. */
typedef struct {
    Used *used, *spare;
    int64_t *sorted, *smooth, *sums;
    uint8_t *lengths, *of_sorted;
} Work;

static Work *make_work(size_t n)
{
    size_t a_symbol = 2 * sizeof(Used) + 3 * sizeof(int64_t) + 2;
    Work *w = malloc(sizeof *w + sizeof(int64_t) + n * a_symbol);
    if (w == NULL)
        return NULL;
    w->used = (Used *)(void *)(w + 1);
    w->spare = w->used + n;
    w->sorted = (int64_t *)(void *)(w->spare + n);
    w->smooth = w->sorted + n;
    w->sums = w->smooth + n;
    w->lengths = (uint8_t *)(w->sums + n + 1);
    w->of_sorted = w->lengths + n;
    return w;
}

/* Optimal lengths for `counts`, of which `used` are not zero, two at least; returns 0 where there is no memory.
 * The used symbols are in w->used. out w->lengths. */
static int optimal_lengths(Work *w, size_t n, size_t used)
{
    sort_by_count(w->used, w->spare, used);
    for (size_t i = 0; i < used; i++)
        w->sorted[i] = w->used[i].count;
    if (!package_merge(w->sorted, used, MAX_LENGTH, w->of_sorted))
        return 0;
    memset(w->lengths, 0, n);
    for (size_t i = 0; i < used; i++)
        w->lengths[w->used[i].symbol] = w->of_sorted[i];
    return 1;
}

static int bit_length(uint64_t n)
{
    int bits = 0;
    for (; n > 0; n >>= 1)
        bits++;
    return bits;
}

/* Bits of the token of so many unused symbols. */
static int hole_bits(size_t hole)
{
    return hole ? 2 + 2 * bit_length(hole) : 0;
}

/* Bits of the table of a complete code, as spec 6.4 has it. in lengths: `n`, two of them at least not zero. */
static int64_t table_bits(const uint8_t *lengths, size_t n)
{
    int64_t bits = 1 + 4;
    size_t following = 0;
    int previous = -1;
    for (size_t s = 0; s < n; s++) {
        if (lengths[s] == 0)
            continue;
        int step = previous < 0 ? 0 : abs(lengths[s] - previous);
        bits += hole_bits(s - following) + (step == 0 ? 1 : step == 1 ? 3 : 7);
        previous = lengths[s], following = s + 1;
    }
    return bits;
}

static int64_t stream_bits(const int64_t *counts, const uint8_t *lengths, size_t n)
{
    int64_t bits = 0;
    for (size_t s = 0; s < n; s++)
        bits += counts[s] * lengths[s];
    return bits;
}

/* A moving average, whose window grows with the symbol; the last one, the skip, keeps its own count.
 * in counts, out smooth: `n`. out sums: n + 1. window: half of it, in 64ths of the symbol's number. */
static void smoothed(const int64_t *counts, size_t n, size_t window, int64_t *smooth, int64_t *sums)
{
    sums[0] = 0;
    for (size_t s = 0; s < n; s++)
        sums[s + 1] = sums[s] + counts[s];
    for (size_t s = 0; s + 1 < n; s++) {
        size_t half = s * window / 64;
        size_t low = s > half ? s - half : 0, high = s + half + 1 < n - 1 ? s + half + 1 : n - 1;
        smooth[s] = (sums[high] - sums[low]) * 256 / (int64_t)(high - low);
        if (smooth[s] == 0 && counts[s])
            smooth[s] = 1;
    }
    smooth[n - 1] = counts[n - 1] * 256;
}

/* What any table takes at least that has all the symbols that occur: a bit for each, and for the others that are passed
 * over, unless they take a bit each. in counts: `n`. */
static int64_t least_table_bits(const int64_t *counts, size_t n)
{
    int64_t bits = 1 + 4;
    size_t following = 0;
    for (size_t s = 0; s < n; s++) {
        if (counts[s] == 0)
            continue;
        size_t hole = s - following;
        bits += 1 + ((size_t)hole_bits(hole) < hole ? hole_bits(hole) : (int64_t)hole);
        following = s + 1;
    }
    return bits;
}

/* in counts: `n`, of which two at least are not zero. in windows: `tries` of them. out best: n lengths.
 * Returns the size in bits, or -1 where there is no memory; some number of `most` or more where it is not less. */
static int64_t cheapest_code(const int64_t *counts, size_t n, const uint8_t *windows, size_t tries, int64_t most,
                             uint8_t *best)
{
    Work *w = make_work(n);
    if (w == NULL || !optimal_lengths(w, n, used_of(counts, n, w->used))) {
        free(w);
        return -1;
    }
    int64_t shortest = stream_bits(counts, w->lengths, n), least = table_bits(w->lengths, n) + shortest;
    memcpy(best, w->lengths, n);
    /* No code has a shorter stream. */
    int64_t sure = shortest + least_table_bits(counts, n);
    for (size_t i = 0; i < tries && sure < (least < most ? least : most); i++) {
        /* Where no window reaches the next symbol the counts stay as they are. */
        if ((n - 1) * windows[i] < 64)
            continue;
        smoothed(counts, n, windows[i], w->smooth, w->sums);
        size_t used = used_of(w->smooth, n, w->used);
        if (used < 2)
            continue;
        if (!optimal_lengths(w, n, used)) {
            least = -1;
            break;
        }
        int64_t size = table_bits(w->lengths, n) + stream_bits(counts, w->lengths, n);
        if (size < least) {
            least = size;
            memcpy(best, w->lengths, n);
        }
    }
    free(w);
    return least;
}

/* cheapest_code(counts, windows) -> (lengths: bytes, the one symbol or -1, size in bits) */
PyObject *py_cheapest_code(PyObject *self, PyObject *args)
{
    (void)self;
    enum { COUNTS, WINDOWS, BUFFERS };
    Py_buffer b[BUFFERS];
    if (!PyArg_ParseTuple(args, "y*y*", &b[COUNTS], &b[WINDOWS]))
        return NULL;
    PyObject *result = NULL;
    const int64_t *counts = b[COUNTS].buf;
    size_t n = count_of(&b[COUNTS], sizeof(int64_t)), used = 0;
    int single = -1, sound = holds(&b[COUNTS], sizeof(int64_t)) && n <= PATTERNS;
    for (size_t s = 0; sound && s < n; s++) {
        sound = counts[s] >= 0;
        used += counts[s] > 0;
        single = counts[s] > 0 ? (int)s : single;
    }
    if (!sound || used == 0) {
        refuse("cheapest_code");
    } else {
        uint8_t lengths[PATTERNS] = {0};
        int64_t size = 1 + bit_length(n - 1);
        if (used > 1) {
            single = -1;
            Py_BEGIN_ALLOW_THREADS
            size = cheapest_code(counts, n, b[WINDOWS].buf, (size_t)b[WINDOWS].len, INT64_MAX, lengths);
            Py_END_ALLOW_THREADS
        }
        result = size < 0 ? PyErr_NoMemory()
                          : Py_BuildValue("y#iL", (const char *)lengths, (Py_ssize_t)n, single, (long long)size);
    }
    release(b, BUFFERS);
    return result;
}

/* The size of a stream in another code, or -1 where a symbol has no codeword. in counts, lengths: `n`. */
static int64_t size_with(const int64_t *counts, const uint8_t *lengths, size_t n, int single)
{
    int64_t bits = 0;
    for (size_t s = 0; s < n; s++) {
        if (counts[s] && lengths[s] == 0 && (int)s != single)
            return -1;
        bits += counts[s] * lengths[s];
    }
    return bits;
}

int64_t cheapest_stream(const int64_t *counts, size_t n, int64_t entropy, const Choice *choice, int64_t most)
{
    size_t used = 0;
    int64_t total = 0, width = bit_length(n - 1);
    for (size_t s = 0; s < n; s++) {
        used += counts[s] > 0;
        total += counts[s];
    }
    int64_t least = total * width < most ? total * width : most;
    if (!choice->huffman)
        return least;
    for (size_t i = 0; i < choice->tables; i++) {
        const Earlier *table = choice->of_tables + i;
        if (table->alphabet != n || table->reference >= least)
            continue;
        int64_t size = size_with(counts, table->lengths, n, table->single);
        least = size >= 0 && size + table->reference < least ? size + table->reference : least;
    }
    int64_t size = 1 + width;
    if (used > 1) {
        uint8_t lengths[PATTERNS];
        if (entropy + least_table_bits(counts, n) >= least)
            return least;
        size = cheapest_code(counts, n, choice->windows, choice->tries, least, lengths);
    }
    return size < least ? size : least;
}

int is_table_of(PyObject *table, size_t n)
{
    PyObject *lengths = PyTuple_Check(table) ? PyTuple_GetItem(table, 0) : NULL;
    return lengths == NULL || !PyBytes_Check(lengths) || PyBytes_Size(lengths) == (Py_ssize_t)n;
}

/* cheapest_table(counts, [(lengths, the one symbol or -1, bits of a reference)]) -> (which, size) or None */
PyObject *py_cheapest_table(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer counts;
    PyObject *tables;
    if (!PyArg_ParseTuple(args, "y*O", &counts, &tables))
        return NULL;
    size_t n = count_of(&counts, sizeof(int64_t));
    Py_ssize_t which = -1;
    int64_t least = 0;
    int sound = holds(&counts, sizeof(int64_t)) && PyList_Check(tables);
    for (Py_ssize_t i = 0; sound && i < PyList_Size(tables); i++) {
        Py_buffer lengths;
        int single, bits;
        if (!is_table_of(PyList_GetItem(tables, i), n))
            continue;
        if (!PyArg_ParseTuple(PyList_GetItem(tables, i), "y*ii", &lengths, &single, &bits)) {
            release(&counts, 1);
            return NULL;
        }
        sound = holds_exactly(&lengths, 1, n);
        int64_t size = sound ? size_with(counts.buf, lengths.buf, n, single) : -1;
        if (size >= 0 && (which < 0 || size + bits < least)) {
            which = i;
            least = size + bits;
        }
        release(&lengths, 1);
    }
    release(&counts, 1);
    if (!sound)
        return refuse("cheapest_table");
    return which < 0 ? Py_NewRef(Py_None) : Py_BuildValue("nL", which, (long long)least);
}
