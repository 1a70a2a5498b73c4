/* The elements of a tensor: which ones occur, and the symbol of each.
 *
 * Others may write to the elements at any time, and a compiler may read one twice. Whatever is read then, nothing is
 * written outside of a buffer, and a symbol is that of an element that was read, or it is said that there is none. */
#include "kernels.h"
#include "hash.h"

/* Elements of one or two bytes need no hash: there is a place for each value that they could have. Of fewer elements of
 * two bytes than this the table takes longer to clear. */
enum { FEW = 1 << 14, LOOKED_AT = 1 << 12 };

static int have_places(size_t n, int bytes)
{
    return bytes == 1 || (bytes == 2 && n >= FEW);
}

/* As `distinct_of`, ascending. in out seen: 2**(8 * bytes) zeros. */
static inline size_t distinct_places(uint8_t *seen, const uint8_t *data, size_t n, uint64_t *values, size_t most, int bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < n && count <= most;) {
        size_t stop = n - i < LOOKED_AT ? n : i + LOOKED_AT;
        for (; i < stop; i++) {
            uint8_t *place = &seen[element_at(data, i, bytes)];
            count += 1 - (size_t)*place;
            *place = 1;
        }
    }
    if (count > most)
        return most + 1;
    size_t number = 0;
    for (size_t value = 0; value < (size_t)1 << 8 * bytes && number < count; value++)
        if (seen[value])
            values[number++] = value;
    return number;
}

/* As `symbols_of`. in values: `count` of uint64. in out places: 2**(8 * bytes). in out counts: SETS times count + 1, the last
 * of each for elements that are none of the values. */
static inline int symbols_by_place(uint16_t *places, int64_t *counts, const uint8_t *values, size_t count,
                                   const uint8_t *data, size_t n, uint16_t *out, int bytes)
{
    size_t i = 0, all = (size_t)1 << 8 * bytes;
    int64_t *sets[SETS];
    for (size_t value = 0; value < all; value++)
        places[value] = (uint16_t)count;
    for (size_t number = 0; number < count; number++) {
        uint64_t value = element_at(values, number, 8);
        if (value < all)
            places[value] = (uint16_t)number;
    }
    for (size_t set = 0; set < SETS; set++)
        sets[set] = counts + set * (count + 1);
    for (; n - i >= SETS; i += SETS)
        for (size_t k = 0; k < SETS; k++) {
            uint16_t symbol = places[element_at(data, i + k, bytes)];
            out[i + k] = symbol;
            sets[k][symbol]++;
        }
    for (; i < n; i++) {
        uint16_t symbol = places[element_at(data, i, bytes)];
        out[i] = symbol;
        sets[0][symbol]++;
    }
    return (sets[0][count] | sets[1][count] | sets[2][count] | sets[3][count]) == 0;
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

static size_t keep_by_size(Hash *h, const uint8_t *data, size_t n, uint64_t mark, uint8_t *out, int bytes)
{
    switch (bytes) {
    case 1: return keep_of(h, data, n, mark, out, 1);
    case 2: return keep_of(h, data, n, mark, out, 2);
    case 4: return keep_of(h, data, n, mark, out, 4);
    default: return keep_of(h, data, n, mark, out, 8);
    }
}

/* The table with `count` values, which get the numbers from 1 on; NULL where there is no memory. in values: uint64. */
static Hash *hash_of(const uint8_t *values, size_t count)
{
    Hash *h = make_hash(count);
    for (size_t i = 0; h != NULL && i < count; i++) {
        uint64_t key = element_at(values, i, 8);
        Slot *slot = slot_of(h, key);
        slot->key = key;
        slot->number = i + 1;
    }
    return h;
}

static int compare(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

/* The distinct elements, ascending, and how many, or most + 1 if more. Returns 0 where there is no memory. */
static int distinct_values(const uint8_t *data, size_t n, int bytes, uint64_t *values, size_t most, size_t *count)
{
    if (have_places(n, bytes)) {
        uint8_t *seen = calloc((size_t)1 << 8 * bytes, 1);
        if (seen != NULL)
            *count = bytes == 1 ? distinct_places(seen, data, n, values, most, 1)
                                : distinct_places(seen, data, n, values, most, 2);
        free(seen);
        return seen != NULL;
    }
    Hash *h = make_hash(n < most ? n : most);
    if (h != NULL)
        *count = distinct_by_size(h, data, n, values, most, bytes);
    free(h);
    if (*count <= most)
        qsort(values, *count, sizeof *values, compare);
    return h != NULL;
}

/* The symbols of elements, whether all have one, and how often each occurs, which is added. Returns 0 where there is no
 * memory. in values: `count` of uint64. */
static int number_elements(const uint8_t *data, size_t n, int bytes, const uint8_t *values, size_t count, uint16_t *out,
                           int64_t *counts, int *all)
{
    const int64_t *sets[SETS];
    void *memory;
    if (have_places(n, bytes)) {
        size_t most = (size_t)1 << 8 * bytes;
        int64_t *own = memory = calloc(1, SETS * (count + 1) * sizeof *own + most * sizeof(uint16_t));
        if (own == NULL)
            return 0;
        uint16_t *places = (uint16_t *)(void *)(own + SETS * (count + 1));
        *all = bytes == 1 ? symbols_by_place(places, own, values, count, data, n, out, 1)
                          : symbols_by_place(places, own, values, count, data, n, out, 2);
        for (size_t set = 0; set < SETS; set++)
            sets[set] = own + set * (count + 1);
    } else {
        Hash *h = memory = hash_of(values, count);
        if (h == NULL)
            return 0;
        *all = symbols_by_size(h, data, n, out, bytes);
        for (size_t set = 0; set < SETS; set++)
            sets[set] = h->counts[set] + 1;
    }
    for (size_t i = 0; i < count; i++)
        for (size_t set = 0; set < SETS; set++)
            counts[i] += sets[set][i];
    free(memory);
    return 1;
}

/* distinct(elements, itemsize, most) -> bytes of uint64, ascending, or None where there are more than `most` <= MAX_DISTINCT */
PyObject *py_distinct(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer data;
    int bytes;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(args, "y*in", &data, &bytes, &most))
        return NULL;
    PyObject *result = NULL;
    if (is_size(bytes) && data.len % bytes == 0 && most >= 0 && most <= MAX_DISTINCT) {
        uint64_t values[MAX_DISTINCT];
        size_t count = 0;
        int complete;
        Py_BEGIN_ALLOW_THREADS
        complete = distinct_values(data.buf, (size_t)data.len / (size_t)bytes, bytes, values, (size_t)most, &count);
        Py_END_ALLOW_THREADS
        if (!complete)
            PyErr_NoMemory();
        else if (count > (size_t)most)
            result = Py_NewRef(Py_None);
        else
            result = Py_BuildValue("y#", (const char *)values, (Py_ssize_t)(count * sizeof *values));
    } else {
        refuse("distinct");
    }
    release(&data, 1);
    return result;
}

/* symbols(elements, itemsize, values, out, counts) -> whether all elements are among the values */
PyObject *py_symbols(PyObject *self, PyObject *args)
{
    (void)self;
    enum { DATA, VALUES, OUT, COUNTS, BUFFERS };
    Py_buffer b[BUFFERS];
    int bytes, all = 0;
    if (!PyArg_ParseTuple(args, "y*iy*w*w*", &b[DATA], &bytes, &b[VALUES], &b[OUT], &b[COUNTS]))
        return NULL;
    PyObject *result = NULL;
    size_t count = count_of(&b[VALUES], 8);
    if (is_size(bytes) && b[DATA].len % bytes == 0 && holds(&b[VALUES], 8) && count <= MAX_DISTINCT &&
        holds_exactly(&b[OUT], 2, (size_t)(b[DATA].len / bytes)) && holds_exactly(&b[COUNTS], 8, count)) {
        int complete;
        Py_BEGIN_ALLOW_THREADS
        complete = number_elements(b[DATA].buf, (size_t)(b[DATA].len / bytes), bytes, b[VALUES].buf, count, b[OUT].buf,
                                   b[COUNTS].buf, &all);
        Py_END_ALLOW_THREADS
        result = complete ? PyBool_FromLong(all) : PyErr_NoMemory();
    } else {
        refuse("symbols");
    }
    release(b, BUFFERS);
    return result;
}

/* keep(elements, itemsize, values, mark, out) -> how many elements are not among the values */
PyObject *py_keep(PyObject *self, PyObject *args)
{
    (void)self;
    enum { DATA, VALUES, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    int bytes;
    unsigned long long mark;
    if (!PyArg_ParseTuple(args, "y*iy*Kw*", &b[DATA], &bytes, &b[VALUES], &mark, &b[OUT]))
        return NULL;
    PyObject *result = NULL;
    size_t count = count_of(&b[VALUES], 8), others = 0;
    if (is_size(bytes) && b[DATA].len % bytes == 0 && b[OUT].len == b[DATA].len && holds(&b[VALUES], 8) &&
        count <= MAX_DISTINCT) {
        Hash *h;
        Py_BEGIN_ALLOW_THREADS
        h = hash_of(b[VALUES].buf, count);
        if (h != NULL)
            others = keep_by_size(h, b[DATA].buf, (size_t)(b[DATA].len / bytes), mark, b[OUT].buf, bytes);
        free(h);
        Py_END_ALLOW_THREADS
        result = h == NULL ? PyErr_NoMemory() : PyLong_FromSize_t(others);
    } else {
        refuse("keep");
    }
    release(b, BUFFERS);
    return result;
}
