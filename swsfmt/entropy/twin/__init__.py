"""The kernels in Python, on top of bitarray and NumPy: to be read, and to run where C was not built.

See `protocol.Kernels` for what each one does.
"""

from .adaptive import adaptive_decode, adaptive_encode
from .cheapest_gaps import cheapest_gaps
from .classes import class_costs, class_counts
from .codes import cheapest_code, cheapest_table
from .elements import distinct, keep, symbols
from .entries import gap_chunks, gap_counts, gap_symbols, head_gaps, line_entries, line_gaps, matrix_gaps
from .escape import count_marks, fill_marks, gather, spread
from .frequencies import read_frequencies
from .grid import grid_levels, grid_steps
from .lengths import code_lengths, codewords
from .packed import read_runs, read_table
from .planes import count_fields, join_planes, plane
from .rans import rans_decode, rans_encode
from .record_head import record_head
from .runs import cheapest_mask, cheapest_runs
from .scaled import dequantize
from .scatter import decode_sparse, scatter
from .streams import chunk_bits, decode_dense, decode_gaps, decode_stream, encode_symbols

__all__ = [
    "adaptive_decode",
    "adaptive_encode",
    "cheapest_code",
    "cheapest_gaps",
    "cheapest_mask",
    "cheapest_runs",
    "cheapest_table",
    "chunk_bits",
    "class_costs",
    "class_counts",
    "code_lengths",
    "codewords",
    "count_fields",
    "count_marks",
    "decode_dense",
    "decode_gaps",
    "decode_sparse",
    "decode_stream",
    "dequantize",
    "distinct",
    "encode_symbols",
    "fill_marks",
    "gap_chunks",
    "gap_counts",
    "gap_symbols",
    "gather",
    "grid_levels",
    "grid_steps",
    "head_gaps",
    "join_planes",
    "keep",
    "line_entries",
    "line_gaps",
    "matrix_gaps",
    "plane",
    "rans_decode",
    "rans_encode",
    "read_frequencies",
    "read_runs",
    "read_table",
    "record_head",
    "scatter",
    "spread",
    "symbols",
]
