"""The kernels in Python, on top of bitarray and NumPy: to be read, and to run where C was not built.

See `protocol.Kernels` for what each one does.
"""

from .adaptive import adaptive_decode, adaptive_encode
from .codes import cheapest_code, cheapest_table
from .elements import distinct, symbols
from .entries import gap_chunks, gap_counts, gap_estimates, gap_symbols, head_gaps, line_entries, line_gaps
from .grid import grid_levels, grid_steps
from .lengths import code_lengths
from .packed import read_runs, read_table
from .planes import join_planes, plane
from .record_head import record_head
from .runs import cheapest_runs, masks
from .scaled import dequantize
from .scatter import decode_sparse, scatter
from .streams import chunk_bits, decode_dense, decode_gaps, decode_stream, encode_symbols

__all__ = [
    "adaptive_decode",
    "adaptive_encode",
    "cheapest_code",
    "cheapest_runs",
    "cheapest_table",
    "chunk_bits",
    "code_lengths",
    "decode_dense",
    "decode_gaps",
    "decode_sparse",
    "decode_stream",
    "dequantize",
    "distinct",
    "encode_symbols",
    "gap_chunks",
    "gap_counts",
    "gap_estimates",
    "gap_symbols",
    "grid_levels",
    "grid_steps",
    "head_gaps",
    "join_planes",
    "line_entries",
    "line_gaps",
    "masks",
    "plane",
    "read_runs",
    "read_table",
    "record_head",
    "scatter",
    "symbols",
]
