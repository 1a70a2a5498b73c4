/* Optimal code lengths that are bounded: package-merge (Larmore & Hirschberg, JACM 1990). */
#include "codes.h"

int package_merge(const int64_t *counts, size_t n, int limit, uint8_t *lengths)
{
    int64_t *items = malloc(3 * n * sizeof *items), *packages = items + 2 * n;
    uint8_t *is_package = malloc((size_t)limit * 2 * n);
    size_t made = 0;
    assert(n >= 2 && n <= (size_t)1 << limit && limit <= MAX_LENGTH);
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

/* code_lengths(counts, limit) -> bytes: the length of each codeword, at most `limit` <= MAX_LENGTH bits */
PyObject *py_code_lengths(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer counts;
    int limit;
    if (!PyArg_ParseTuple(args, "y*i", &counts, &limit))
        return NULL;
    PyObject *result = NULL;
    size_t n = count_of(&counts, sizeof(int64_t));
    uint8_t lengths[PATTERNS];
    if (holds(&counts, sizeof(int64_t)) && limit >= 1 && limit <= MAX_LENGTH && n >= 2 && n <= (size_t)1 << limit) {
        int fine;
        Py_BEGIN_ALLOW_THREADS
        fine = package_merge(counts.buf, n, limit, lengths);
        Py_END_ALLOW_THREADS
        result = fine ? Py_BuildValue("y#", (const char *)lengths, (Py_ssize_t)n) : PyErr_NoMemory();
    } else {
        refuse("code_lengths");
    }
    release(&counts, 1);
    return result;
}

/* A number of MAX_LENGTH bits with its bits in reverse order. */
static inline uint16_t flipped(uint32_t number)
{
    uint32_t out = 0;
    for (int bit = 0; bit < MAX_LENGTH; bit++)
        out |= (number >> bit & 1) << (MAX_LENGTH - 1 - bit);
    return (uint16_t)out;
}

/* Codewords by (length, symbol), as RFC 1951 has them. Returns 0 where there is no room for so many.
 * in lengths: `n`. out codewords: n; 0 where there is no length. */
static int codewords(const uint8_t *lengths, size_t n, uint16_t *codewords)
{
    /* In units of the smallest share of the code space: where the codewords of each length start. */
    uint32_t counts[MAX_LENGTH + 1] = {0}, starts[MAX_LENGTH + 1], next = 0;
    for (size_t s = 0; s < n; s++) {
        if (lengths[s] > MAX_LENGTH)
            return 0;
        counts[lengths[s]]++;
    }
    for (int length = 1; length <= MAX_LENGTH; length++) {
        starts[length] = next;
        next += counts[length] << (MAX_LENGTH - length);
    }
    if (next > PATTERNS)
        return 0;
    for (size_t s = 0; s < n; s++) {
        codewords[s] = lengths[s] ? flipped(starts[lengths[s]]) : 0;
        if (lengths[s])
            starts[lengths[s]] += (uint32_t)1 << (MAX_LENGTH - lengths[s]);
    }
    return 1;
}

/* codewords(lengths) -> bytes of uint16, to be written from the lowest bit on */
PyObject *py_codewords(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer lengths;
    if (!PyArg_ParseTuple(args, "y*", &lengths))
        return NULL;
    uint16_t out[PATTERNS];
    size_t n = (size_t)lengths.len;
    int sound = n <= PATTERNS && codewords(lengths.buf, n, out);
    release(&lengths, 1);
    return sound ? Py_BuildValue("y#", (const char *)out, (Py_ssize_t)(n * sizeof *out)) : refuse("codewords");
}
