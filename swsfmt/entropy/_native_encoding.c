/* From the elements of a tensor to symbols, and from symbols to bits. */
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
 * A slot with number 0 is free, others have a symbol + 1. The key of a free slot never equals an element whose first
 * slot it is: 0 belongs to slot 0, where the key is 1. So a first slot with the right key is not free. */
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

/* ---- code lengths ------------------------------------------------------------------------------------------------ */

/* Package-merge (see huffman.py) for `n` >= 2 counts in ascending order, lengths of at most `limit`.
 * Returns 0 where there is no memory. */
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
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < n; i++)
        most = ids[i] > most ? ids[i] : most;
    Py_END_ALLOW_THREADS
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
        int fine;
        Py_BEGIN_ALLOW_THREADS
        fine = package_merge(counts.buf, n, limit, lengths);
        Py_END_ALLOW_THREADS
        if (fine)
            result = Py_BuildValue("y#", (const char *)lengths, (Py_ssize_t)n);
        else
            PyErr_NoMemory();
    } else {
        PyErr_SetString(PyExc_ValueError, "code_lengths: sizes do not fit");
    }
    PyBuffer_Release(&counts);
    return result;
}
