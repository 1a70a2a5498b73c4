/* The functions of the module `_native`. What each one does, its arguments and its result: protocol.py. */
#ifndef SWSFMT_KERNELS_H
#define SWSFMT_KERNELS_H

#include "arguments.h"

/* Results besides the number of a bad chunk, which is not negative. */
enum { FINE = -1, NO_MEMORY = -2 };

enum { MAX_DISTINCT = 4096, MAX_FUSED_CHUNK = 1 << 16 };

/* decode.c */
PyObject *py_decode_stream(PyObject *self, PyObject *args);
PyObject *py_decode_dense(PyObject *self, PyObject *args);
PyObject *py_decode_gaps(PyObject *self, PyObject *args);

/* sparse.c */
PyObject *py_decode_sparse(PyObject *self, PyObject *args);

/* scatter.c */
PyObject *py_scatter(PyObject *self, PyObject *args);

/* planes.c */
PyObject *py_plane(PyObject *self, PyObject *args);
PyObject *py_count_fields(PyObject *self, PyObject *args);
PyObject *py_join_planes(PyObject *self, PyObject *args);

/* escape.c */
PyObject *py_count_marks(PyObject *self, PyObject *args);
PyObject *py_fill_marks(PyObject *self, PyObject *args);
PyObject *py_spread(PyObject *self, PyObject *args);
PyObject *py_gather(PyObject *self, PyObject *args);

/* scaled.c */
PyObject *py_dequantize(PyObject *self, PyObject *args);

/* grid.c */
PyObject *py_grid_steps(PyObject *self, PyObject *args);
PyObject *py_grid_levels(PyObject *self, PyObject *args);

/* encode.c */
PyObject *py_encode_symbols(PyObject *self, PyObject *args);
PyObject *py_chunk_bits(PyObject *self, PyObject *args);

/* entries.c */
PyObject *py_line_entries(PyObject *self, PyObject *args);
PyObject *py_line_gaps(PyObject *self, PyObject *args);

/* heads.c */
PyObject *py_head_gaps(PyObject *self, PyObject *args);

/* matrix_gaps.c */
PyObject *py_matrix_gaps(PyObject *self, PyObject *args);

/* gaps.c */
PyObject *py_gap_symbols(PyObject *self, PyObject *args);
PyObject *py_gap_chunks(PyObject *self, PyObject *args);
PyObject *py_gap_counts(PyObject *self, PyObject *args);

/* cheapest_gaps.c */
PyObject *py_cheapest_gaps(PyObject *self, PyObject *args);

/* elements.c */
PyObject *py_distinct(PyObject *self, PyObject *args);
PyObject *py_symbols(PyObject *self, PyObject *args);
PyObject *py_keep(PyObject *self, PyObject *args);

/* lengths.c */
PyObject *py_code_lengths(PyObject *self, PyObject *args);
PyObject *py_codewords(PyObject *self, PyObject *args);

/* codes.c */
PyObject *py_cheapest_code(PyObject *self, PyObject *args);
PyObject *py_cheapest_table(PyObject *self, PyObject *args);

/* runs.c */
PyObject *py_cheapest_runs(PyObject *self, PyObject *args);
PyObject *py_cheapest_mask(PyObject *self, PyObject *args);

/* record_head.c */
PyObject *py_record_head(PyObject *self, PyObject *args);

/* packed.c */
PyObject *py_read_runs(PyObject *self, PyObject *args);
PyObject *py_read_table(PyObject *self, PyObject *args);

/* adaptive.c */
PyObject *py_adaptive_encode(PyObject *self, PyObject *args);
PyObject *py_adaptive_decode(PyObject *self, PyObject *args);

/* rans_decode.c */
PyObject *py_rans_decode(PyObject *self, PyObject *args);

/* rans_encode.c */
PyObject *py_rans_encode(PyObject *self, PyObject *args);

/* classes.c */
PyObject *py_class_counts(PyObject *self, PyObject *args);
PyObject *py_class_costs(PyObject *self, PyObject *args);

/* frequencies.c */
PyObject *py_read_frequencies(PyObject *self, PyObject *args);

#endif
