/* The module `swsfmt.entropy._native`: its functions, its constants, and how it is made. */
#include "kernels.h"

#include "adaptive_matrix.h"
#include "rans.h"

static PyMethodDef methods[] = {
    {"decode_stream", py_decode_stream, METH_VARARGS, NULL},
    {"decode_dense", py_decode_dense, METH_VARARGS, NULL},
    {"decode_gaps", py_decode_gaps, METH_VARARGS, NULL},
    {"decode_sparse", py_decode_sparse, METH_VARARGS, NULL},
    {"scatter", py_scatter, METH_VARARGS, NULL},
    {"plane", py_plane, METH_VARARGS, NULL},
    {"count_fields", py_count_fields, METH_VARARGS, NULL},
    {"join_planes", py_join_planes, METH_VARARGS, NULL},
    {"count_marks", py_count_marks, METH_VARARGS, NULL},
    {"fill_marks", py_fill_marks, METH_VARARGS, NULL},
    {"spread", py_spread, METH_VARARGS, NULL},
    {"gather", py_gather, METH_VARARGS, NULL},
    {"dequantize", py_dequantize, METH_VARARGS, NULL},
    {"grid_levels", py_grid_levels, METH_VARARGS, NULL},
    {"grid_steps", py_grid_steps, METH_VARARGS, NULL},
    {"encode_symbols", py_encode_symbols, METH_VARARGS, NULL},
    {"chunk_bits", py_chunk_bits, METH_VARARGS, NULL},
    {"line_entries", py_line_entries, METH_VARARGS, NULL},
    {"line_gaps", py_line_gaps, METH_VARARGS, NULL},
    {"head_gaps", py_head_gaps, METH_VARARGS, NULL},
    {"matrix_gaps", py_matrix_gaps, METH_VARARGS, NULL},
    {"gap_symbols", py_gap_symbols, METH_VARARGS, NULL},
    {"gap_chunks", py_gap_chunks, METH_VARARGS, NULL},
    {"gap_counts", py_gap_counts, METH_VARARGS, NULL},
    {"cheapest_gaps", py_cheapest_gaps, METH_VARARGS, NULL},
    {"distinct", py_distinct, METH_VARARGS, NULL},
    {"symbols", py_symbols, METH_VARARGS, NULL},
    {"keep", py_keep, METH_VARARGS, NULL},
    {"code_lengths", py_code_lengths, METH_VARARGS, NULL},
    {"codewords", py_codewords, METH_VARARGS, NULL},
    {"cheapest_code", py_cheapest_code, METH_VARARGS, NULL},
    {"cheapest_table", py_cheapest_table, METH_VARARGS, NULL},
    {"cheapest_runs", py_cheapest_runs, METH_VARARGS, NULL},
    {"cheapest_mask", py_cheapest_mask, METH_VARARGS, NULL},
    {"record_head", py_record_head, METH_VARARGS, NULL},
    {"read_runs", py_read_runs, METH_VARARGS, NULL},
    {"read_table", py_read_table, METH_VARARGS, NULL},
    {"adaptive_encode", py_adaptive_encode, METH_VARARGS, NULL},
    {"adaptive_decode", py_adaptive_decode, METH_VARARGS, NULL},
    {"rans_decode", py_rans_decode, METH_VARARGS, NULL},
    {"rans_encode", py_rans_encode, METH_VARARGS, NULL},
    {"class_counts", py_class_counts, METH_VARARGS, NULL},
    {"class_costs", py_class_costs, METH_VARARGS, NULL},
    {"read_frequencies", py_read_frequencies, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

typedef struct {
    const char *name;
    long long value;
} Constant;

/* Those that Python has too; a test compares them. */
static const Constant constants[] = {
    {"MAX_LENGTH", MAX_LENGTH}, {"MAX_DISTINCT", MAX_DISTINCT},   {"MAX_FUSED_CHUNK", MAX_FUSED_CHUNK},
    {"MAX_LINE", MAX_LINE},     {"MAX_LINES", MAX_LINES},     {"MAX_STRIDE", MAX_STRIDE},
    {"LIMIT", LIMIT},           {"CLASSES", CLASSES},         {"BUCKETS", BUCKETS},
    {"UNSEEN", UNSEEN},         {"MAX_STRETCH", MAX_STRETCH}, {"MAX_SYMBOLS", MAX_SYMBOLS}, {"MAX_WEIGHT", MAX_WEIGHT},
    {"MAX_RANS_LANES", MAX_RANS_LANES}, {"MAX_RANS_ALPHABET", MAX_RANS_ALPHABET},
    {"MAX_LINE_CLASSES", MAX_LINE_CLASSES}, {"MIN_RANS_BITS", MIN_RANS_BITS}, {"MAX_RANS_BITS", MAX_RANS_BITS}, {NULL, 0},
};

static int prepare(PyObject *module)
{
    make_tables(PyModule_GetState(module));
    for (const Constant *c = constants; c->name != NULL; c++) {
        PyObject *value = PyLong_FromLongLong(c->value);
        int failed = value == NULL || PyModule_AddObjectRef(module, c->name, value) < 0;
        Py_XDECREF(value);
        if (failed)
            return -1;
    }
    return 0;
}

/* All that lasts is the state of the module, which is written only here: no lock is needed, and every interpreter has
 * its own. */
static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)prepare},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    "_native",
    "The kernels in C; see protocol.py.",
    sizeof(Tables),
    methods,
    slots,
    NULL,
    NULL,
    NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&module);
}
