/* The module of the kernels: see _native.h. */
#include "_native.h"

static PyMethodDef methods[] = {
    {"decode_dense", py_decode_dense, METH_VARARGS, NULL},
    {"decode_sparse", py_decode_sparse, METH_VARARGS, NULL},
    {"decode_gaps", py_decode_gaps, METH_VARARGS, NULL},
    {"scatter", py_scatter, METH_VARARGS, NULL},
    {"line_entries", py_line_entries, METH_VARARGS, NULL},
    {"line_gaps", py_line_gaps, METH_VARARGS, NULL},
    {"gap_symbols", py_gap_symbols, METH_VARARGS, NULL},
    {"gap_chunks", py_gap_chunks, METH_VARARGS, NULL},
    {"code_lengths", py_code_lengths, METH_VARARGS, NULL},
    {"encode_symbols", py_encode_symbols, METH_VARARGS, NULL},
    {"chunk_bits", py_chunk_bits, METH_VARARGS, NULL},
    {"distinct", py_distinct, METH_VARARGS, NULL},
    {"symbols", py_symbols, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_native", "Kernels in C; see kernels.py.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModule_Create(&module);
}
