/* The elements of a tensor: which ones occur, and the symbol of each.
 *
 * Others may write to the elements at any time, and a compiler may read one twice. Whatever is read then, nothing is
 * written outside of a buffer, and a symbol is that of an element that was read, or it is said that there is none. */
#include "kernels.h"

/* An open hash table of up to 4096 elements, so large that nearly all of them are found in their first slot.
 * A slot with number 0 is free, others have a symbol + 1. The key of a free slot never equals an element whose first
 * slot it is: 0 belongs to slot 0, where the key is 1. So a first slot with the right key is not free. */
typedef struct {
    uint64_t key, number;
} Slot;

/* Four sets of counts, by number: of equal elements that follow each other each finds its count free. Number 0 is
 * counted where an element changed between two looks at it. */
enum { SETS = 4 };

typedef struct {
    Slot *slots, *last;
    int64_t *counts[SETS];
    int shift;
} Hash;

/* For up to `most` elements; in the memory of a small table there is nothing to clear but what is used. */
static Hash *make_hash(size_t most)
{
    int bits = 6;
    while (bits < 14 && (size_t)1 << bits < 4 * most)
        bits++;
    size_t slots = (size_t)1 << bits;
    Hash *h = calloc(1, sizeof *h + slots * sizeof(Slot) + SETS * (most + 1) * sizeof(int64_t));
    if (h != NULL) {
        h->slots = (Slot *)(void *)(h + 1);
        h->slots[0].key = 1;
        h->last = h->slots + slots - 1;
        h->shift = 64 - bits;
        for (size_t set = 0; set < SETS; set++)
            h->counts[set] = (int64_t *)(void *)(h->slots + slots) + set * (most + 1);
    }
    return h;
}

static inline Slot *first_slot(Hash *h, uint64_t key)
{
    return &h->slots[(key * UINT64_C(0x9E3779B97F4A7C15)) >> h->shift];
}

/* The slot that has the key, or the free one where it goes. */
static Slot *slot_of(Hash *h, uint64_t key)
{
    Slot *slot = first_slot(h, key);
    while (slot->number != 0 && slot->key != key)
        slot = slot == h->last ? h->slots : slot + 1;
    return slot;
}

/* in data: at least i + 1 elements of `bytes`: 1, 2, 4 or 8. */
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

/* out data: room for at least i + 1 elements of `bytes`. */
static inline void put_element_at(uint8_t *data, size_t i, uint64_t element, int bytes)
{
    uint16_t two = (uint16_t)element;
    uint32_t four = (uint32_t)element;
    switch (bytes) {
    case 1: data[i] = (uint8_t)element; break;
    case 2: memcpy(data + 2 * i, &two, 2); break;
    case 4: memcpy(data + 4 * i, &four, 4); break;
    default: memcpy(data + 8 * i, &element, 8); break;
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

/* The distinct ones of `n` elements in the order in which they are met; returns how many, or most + 1 if more.
 * in data: n elements of `bytes`. out values: room for `most` <= MAX_DISTINCT. */
static inline size_t distinct_of(Hash *h, const uint8_t *data, size_t n, uint64_t *values, size_t most, int bytes)
{
    size_t count = 0;
    assert(most <= MAX_DISTINCT);
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

/* The symbol of each of `n` elements; how often each occurs is added to the counts of the table, which has the values.
 * in data: n elements of `bytes`. out out: n symbols. Returns 0 if an element is none of the values. */
static inline int symbols_of(Hash *h, const uint8_t *data, size_t n, uint16_t *out, int bytes)
{
    for (size_t i = 0; i < n;) {
        Slot *home[4];
        if (n - i >= 4 && at_home(h, data, i, bytes, home)) {
            for (size_t k = 0; k < 4; k++) {
                size_t number = (size_t)home[k]->number;
                out[i + k] = (uint16_t)(number - 1);
                h->counts[k][number]++;
            }
            i += 4;
            continue;
        }
        for (size_t stop = n - i >= 4 ? i + 4 : n; i < stop; i++) {
            uint64_t number = slot_of(h, element_at(data, i, bytes))->number;
            if (number == 0)
                return 0;
            out[i] = (uint16_t)(number - 1);
            h->counts[0][number]++;
        }
    }
    return (h->counts[0][0] | h->counts[1][0] | h->counts[2][0] | h->counts[3][0]) == 0;
}

/* Each element that has a slot as it is, `mark` for all others; returns how many others.
 * in data: n elements of `bytes`. out out: the same. */
static inline size_t keep_of(Hash *h, const uint8_t *data, size_t n, uint64_t mark, uint8_t *out, int bytes)
{
    size_t others = 0;
    for (size_t i = 0; i < n;) {
        Slot *home[4];
        if (n - i >= 4 && at_home(h, data, i, bytes, home)) {
            for (size_t k = 0; k < 4; k++)
                put_element_at(out, i + k, home[k]->key, bytes);
            i += 4;
            continue;
        }
        for (size_t stop = n - i >= 4 ? i + 4 : n; i < stop; i++) {
            uint64_t key = element_at(data, i, bytes);
            if (slot_of(h, key)->number == 0) {
                key = mark;
                others++;
            }
            put_element_at(out, i, key, bytes);
        }
    }
    return others;
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
        Hash *h;
        Py_BEGIN_ALLOW_THREADS
        size_t n = (size_t)data.len / (size_t)bytes;
        h = make_hash(n < (size_t)most ? n : (size_t)most);
        if (h != NULL)
            count = distinct_by_size(h, data.buf, n, values, (size_t)most, bytes);
        free(h);
        if (count <= (size_t)most)
            qsort(values, count, sizeof *values, compare);
        Py_END_ALLOW_THREADS
        if (h == NULL)
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
        int64_t *counts = b[COUNTS].buf;
        Hash *h;
        Py_BEGIN_ALLOW_THREADS
        h = hash_of(b[VALUES].buf, count);
        if (h != NULL) {
            all = symbols_by_size(h, b[DATA].buf, (size_t)(b[DATA].len / bytes), b[OUT].buf, bytes);
            for (size_t i = 0; i < count; i++)
                for (int set = 0; set < SETS; set++)
                    counts[i] += h->counts[set][i + 1];
        }
        free(h);
        Py_END_ALLOW_THREADS
        result = h == NULL ? PyErr_NoMemory() : PyBool_FromLong(all);
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
