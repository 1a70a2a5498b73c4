/* Kernels of swsfmt in C99: symbols <-> bits, and from bits straight into the elements of a tensor.
 *
 * `kernels.py` says what each function does; `_fallback.py` has the same results in Python. `_native.c` is the module.
 *
 * Bit order (spec 6.1): bytes fill from the least significant bit; codewords come with their first bit lowest.
 */
#ifndef SWSFMT_NATIVE_H
#define SWSFMT_NATIVE_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Of a codeword, in bits. */
enum { MAX_LENGTH = 12 };

/* What the next bits of a stream may be, at most. */
#define PATTERNS (1u << MAX_LENGTH)

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline void put64(uint8_t *p, uint64_t word)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(p, &word, 8);
}

/* _native_dense.c */
PyObject *py_decode_dense(PyObject *self, PyObject *args);

/* _native_sparse.c */
PyObject *py_decode_sparse(PyObject *self, PyObject *args);
PyObject *py_decode_gaps(PyObject *self, PyObject *args);
PyObject *py_scatter(PyObject *self, PyObject *args);

/* _native_encoding.c */
PyObject *py_distinct(PyObject *self, PyObject *args);
PyObject *py_symbols(PyObject *self, PyObject *args);
PyObject *py_code_lengths(PyObject *self, PyObject *args);
PyObject *py_encode_symbols(PyObject *self, PyObject *args);
PyObject *py_chunk_bits(PyObject *self, PyObject *args);

/* _native_gaps.c */
PyObject *py_line_entries(PyObject *self, PyObject *args);
PyObject *py_line_gaps(PyObject *self, PyObject *args);
PyObject *py_gap_symbols(PyObject *self, PyObject *args);
PyObject *py_gap_chunks(PyObject *self, PyObject *args);

#endif
